"""Scenes: nearest node that vehicles reach, the way from there, zones."""

import numpy as np
import pytest
from cities import SIDE, SOUTH, WEST, tiny_city
from epidemic_cities import homes_only

from citytwin.agents.response.scenes import DETOUR, WALKING_SPEED, CallError, Scenes
from citytwin.environment.network.of_city import network_of_city
from citytwin.environment.roads import Access


@pytest.fixture(scope="module")
def city():
    return tiny_city(40)


def test_places_are_reached_from_the_nearest_node(city):
    scenes = Scenes(city)
    places = np.arange(len(city.places))
    found = scenes.at_places(places)
    x, y = city.places.x[places], city.places.y[places]
    away = np.hypot(x[:, None] - city.nodes.x, y[:, None] - city.nodes.y)
    assert np.array_equal(away[places, found.node], away.min(axis=1))
    assert found.access == pytest.approx(away.min(axis=1) * DETOUR / WALKING_SPEED, rel=1e-6)
    assert np.array_equal(found.x, x)
    assert np.array_equal(found.zone, city.places.zone)
    street = scenes.at_places(places, street=True)
    assert (street.access == 0).all()
    assert np.array_equal(street.x, city.nodes.x[street.node])


def test_points_lie_in_their_zone_or_the_nearest(city):
    scenes = Scenes(city)
    x = np.array([WEST + 10, WEST + SIDE - 10, WEST + 10, WEST + SIDE + 50])
    y = np.array([SOUTH + 10, SOUTH + 10, SOUTH + SIDE - 10, SOUTH + SIDE + 50])
    assert scenes.at_points(x, y).zone.tolist() == [0, 1, 2, 3]
    assert len(scenes.at_points([], []).node) == 0


def test_only_nodes_that_cars_or_buses_reach_count(city):
    network = network_of_city(city)
    corner = (network.start == 0) | (network.end == 0)
    on_foot = network.with_columns(access=np.where(corner, Access.FOOT, network.access).astype(np.uint8))
    assert 0 not in Scenes(city, on_foot).nodes
    by_bus = network.with_columns(access=np.where(corner, Access.BUS, network.access).astype(np.uint8))
    assert 0 in Scenes(city, by_bus).nodes


def test_a_city_without_streets_is_refused():
    with pytest.raises(CallError, match="has no streets on which emergency vehicles can go round"):
        Scenes(homes_only(1, 10))
