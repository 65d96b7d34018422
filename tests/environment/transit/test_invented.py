"""Invented public transport: what a city of some size may expect of it."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial import cKDTree

from citytwin.environment.city import City
from citytwin.environment.network.of_city import network_of_city
from citytwin.environment.roads import Access, RoadRank
from citytwin.environment.transit.invented import STOP_SPACING, invented_timetable
from citytwin.environment.transit.raptor import travel_times, walks_to_stops
from citytwin.environment.transit.timetable import RouteType


@pytest.fixture(scope="module")
def city():
    return City.synthetic(60_000, seed=3)


@pytest.fixture(scope="module")
def table(city):
    return invented_timetable(city)


def test_stops_lie_on_larger_streets_some_400_m_apart(city, table):
    network = network_of_city(city)
    larger = network.usable(Access.BUS) & (network.rank <= RoadRank.TERTIARY)
    used = np.unique(network.start[larger])
    corners = set(zip(network.x[used].tolist(), network.y[used].tolist(), strict=True))
    assert set(zip(table.stop_x.tolist(), table.stop_y.tolist(), strict=True)) <= corners
    apart = []
    for p in range(table.patterns):
        stops = table.stop[table.first[p] : table.first[p + 1]]
        apart.append(np.hypot(np.diff(table.stop_x[stops]), np.diff(table.stop_y[stops])))
    assert 0.7 * STOP_SPACING[RouteType.BUS] < np.mean(np.concatenate(apart)) < 1.1 * STOP_SPACING[RouteType.BUS]


def test_most_residents_have_a_stop_near(city, table):
    homes = np.stack([city.places.x[: city.homes], city.places.y[: city.homes]], 1)
    metres, _ = cKDTree(np.stack([table.stop_x, table.stop_y], 1)).query(homes)
    residents = np.diff(city.households.first)
    assert residents[metres < 500].sum() > 0.75 * residents.sum()


def test_every_line_runs_both_ways_and_oftener_in_the_rush(table):
    assert len(np.unique(table.pattern_variant)) == 2 * len(table.route_id)
    leave = np.array([table.times(trip)[1][0] for trip in range(table.trips)]) / 3600
    assert leave.min() >= 5.0
    assert leave.max() < 23.0
    rush, noon, night = (((leave >= low) & (leave < low + 1)).sum() for low in (7, 11, 21))
    assert rush > noon > night > 0


def test_a_weekend_has_fewer_vehicles(city, table):
    assert invented_timetable(city, weekend=True).trips < 0.7 * table.trips


def test_buses_go_about_as_fast_as_buses_do(table):
    speeds = []
    for p in range(table.patterns):
        stops = table.stop[table.first[p] : table.first[p + 1]]
        arrival, departure = table.times(int(table.trip_first[p]))
        metres = np.hypot(np.diff(table.stop_x[stops]), np.diff(table.stop_y[stops])).sum()
        speeds.append(3.6 * metres / (arrival[-1] - departure[0]))
    assert 15 < np.mean(speeds) < 25  # km/h


def test_the_centre_is_reached_from_all_sides(city, table):
    walking = table.with_walks()
    rng = np.random.default_rng(5)
    home = rng.choice(city.homes, 100, p=np.diff(city.households.first) / len(city.people))
    x, y = city.places.x, city.places.y
    start = walks_to_stops(walking, x[home], y[home])
    middle = np.median(x[: city.homes]), np.median(y[: city.homes])
    end = walks_to_stops(walking, [middle[0]], [middle[1]])
    minutes = travel_times(walking, start, end, 28_800.0)[0, :, 0] / 60
    served = np.diff(start.first) > 0
    assert served.mean() > 0.9
    assert np.isfinite(minutes[served]).all()
    assert minutes[served].max() < 90


def test_the_same_city_has_the_same_lines(city, table):
    again = invented_timetable(city)
    for field in dataclasses.fields(table):
        assert np.array_equal(getattr(table, field.name), getattr(again, field.name)), field.name


def test_a_large_city_has_trams_and_a_ring_line():
    table = invented_timetable(City.synthetic(210_000, seed=2))
    assert set(table.route_type.tolist()) == {RouteType.BUS, RouteType.TRAM}
    assert "Ring" in table.route_name
    ring = table.route_name.index("Ring")
    pattern = int(np.flatnonzero(table.pattern_route == ring)[0])
    stops = table.stop[table.first[pattern] : table.first[pattern + 1]]
    assert stops[0] == stops[-1]


def test_a_village_has_a_line():
    table = invented_timetable(City.synthetic(1_000, seed=2))
    assert len(table.route_id) == 1
    assert table.trips > 10
