"""Rates by place: against numbers worked by hand and plain Python."""

from types import SimpleNamespace

import numpy as np
import pytest
from cities import tiny_city
from epidemic_cities import city_of, random_city

from citytwin.agents.epidemic.rates import (
    HOME_AIR_CHANGES,
    LEAST_HOME_FLOOR,
    REFERENCE_FLOW,
    ROOMS,
    crowding,
    outdoor_air,
    place_rates,
    quanta_per_hour,
    volumes,
)
from citytwin.environment.city import City
from citytwin.environment.places import PlaceKind

EQUAL = dict.fromkeys(PlaceKind, 1.0)


def routes(contact, air):
    return SimpleNamespace(contact=contact, air=air)


def test_crowding_follows_the_number_of_visitors():
    # One shop with 1,200 visitors, some of them twice a day, one with 3, one with none; a team of 1,203 meets entirely.
    people = 1203
    home = np.arange(people)
    shop = np.where(home < 1200, people, people + 1)
    place = np.column_stack([home, shop, home, np.full(people, people + 3), home, shop, home])
    edges = np.array([0, 10, 20, 30, 40, 50, 60, 96])
    day = (np.arange(people + 1) * 7, place.ravel(), np.tile(edges[:-1], people), np.tile(edges[1:], people))
    city = city_of(np.arange(people + 1), [PlaceKind.SHOP, PlaceKind.SHOP, PlaceKind.LEISURE, PlaceKind.WORK], [day])
    effective = 5 + 35 * (1 - np.exp(-1.2))
    assert crowding(city, 0) == pytest.approx([effective / 1199, 1.0, 1.0, 1.0])


def test_contact_is_strength_times_weight_times_crowding():
    city = random_city(4)
    rng = np.random.default_rng(2)
    weights = {kind: float(rng.random()) for kind in PlaceKind}
    contact, air = place_rates(city, 1, weights, routes(0.7, 0.0))
    crowds = crowding(city, 1)
    for place, kind in enumerate(city.places.kind):
        factor = crowds[place - city.homes] if place >= city.homes else 1.0
        assert contact[place] == pytest.approx(0.7 * weights[PlaceKind(kind)] * factor)
    assert air.size == 0


def test_every_kind_of_rooms_is_known():
    assert set(ROOMS) == set(PlaceKind) - {PlaceKind.HOME}


def test_rooms_have_the_floor_of_their_busiest_time():
    # 40 people in turns of 25 and 15 in one class, 100 in another on a day type of no weekday, all in the shop for a while.
    people = 40
    turn = np.where(np.arange(people) < 25, 0, 20)
    home = np.arange(people)
    place = np.column_stack([home, np.full(people, people), home, np.full(people, people + 2), home])
    start = np.column_stack([np.zeros(people), 30 + turn, 50 + turn, np.full(people, 80), np.full(people, 84)])
    ends = np.column_stack([start[:, 1:], np.full(people, 96)])
    day = (np.arange(people + 1) * 5, place.ravel(), start.ravel(), ends.ravel())
    holiday = (np.arange(people + 1), np.full(people, people + 1), np.zeros(people), np.full(people, 96))
    kinds = [PlaceKind.PRIMARY, PlaceKind.PRIMARY, PlaceKind.SHOP]
    city = city_of(np.arange(people + 1), kinds, [day, holiday])
    # 2 m2 a pupil and 3 m high; at least 30 m2; 7 m2 a customer and 3.5 m high
    assert volumes(city)[people:] == pytest.approx([25 * 2 * 3, 30 * 3, 40 * 7 * 3.5])
    assert outdoor_air(city)[people:] == pytest.approx([150 * 2.0, 90 * 2.0, 980 * 1.6])
    assert outdoor_air(city)[:people] == pytest.approx(REFERENCE_FLOW)  # no building is known


def test_homes_share_the_useful_floor_of_their_building():
    city = tiny_city(6)  # a building of 160 m2 for each household
    assert volumes(city)[: city.homes] == pytest.approx(np.full(6, 0.8 * 160 * 2.5))
    synthetic = City.synthetic(2000, seed=3)
    homes, building = synthetic.homes, synthetic.places.building[: synthetic.homes]
    size = np.diff(synthetic.households.first)
    shared = 0.8 * synthetic.buildings.floor_area[building] / np.bincount(building)[building]
    expected = 2.5 * np.maximum(shared, LEAST_HOME_FLOOR * size)
    assert volumes(synthetic)[:homes] == pytest.approx(expected, rel=1e-6)
    assert (shared > LEAST_HOME_FLOOR * size).mean() > 0.9


def test_the_air_of_a_place_is_relative_to_that_of_the_reference_home():
    city = tiny_city(6)
    _, air = place_rates(city, 0, EQUAL, routes(1.0, 0.4))
    assert air[0] == pytest.approx(0.4 * (90 * 2.5 * 0.5) / (0.8 * 160 * 2.5 * HOME_AIR_CHANGES))
    hospital = np.flatnonzero(city.places.kind == PlaceKind.HOSPITAL)
    assert air[hospital] == pytest.approx(0.4 * (90 * 2.5 * 0.5) / (20 * 2.7 * 6))  # nobody comes: the smallest room


def test_weights_are_of_contacts_not_of_the_air():
    city = tiny_city(6)
    contact, air = place_rates(city, 0, dict.fromkeys(PlaceKind, 0.0), routes(1.0, 0.4))
    assert not contact.any()
    assert np.array_equal(air, place_rates(city, 0, EQUAL, routes(1.0, 0.4))[1])


@pytest.mark.parametrize("kind", sorted(ROOMS))
def test_twice_the_air_changes_halve_the_rate_exactly(monkeypatch, kind):
    rates = []
    for factor in (1.0, 2.0):
        city = random_city(4, places=40)
        room = ROOMS[kind]
        with monkeypatch.context() as patch:
            patch.setitem(ROOMS, kind, room._replace(air_changes=factor * room.air_changes))
            rates.append(place_rates(city, 0, EQUAL, routes(0.0, 1.0))[1])
    there = city.places.kind == kind
    assert there.any()
    assert np.array_equal(rates[1][there], rates[0][there] / 2)
    assert np.array_equal(rates[1][~there], rates[0][~there])


def test_quanta_are_those_of_wells_and_riley():
    # 10 quanta an hour in the reference home, breathing 0.5 m3/h: 10 · 0.5 / (225 m3 · 0.5 an hour) an hour for each person
    per_hour = 10 * 0.5 / (225 * 0.5)
    assert quanta_per_hour(24 * per_hour, routes(1.0, 1.0)) == pytest.approx(10)
    assert quanta_per_hour(24 * per_hour, routes(1.0, 0.25)) == pytest.approx(2.5)
