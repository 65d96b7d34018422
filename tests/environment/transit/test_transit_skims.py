"""Journeys between parts of a city by hour, against journeys searched one by one."""

import numpy as np
import pytest
from transit_twin import timetable_of

from citytwin.environment.transit.raptor import journeys, parts_of, walks_to_stops
from citytwin.environment.transit.skims import transit_skims
from citytwin.environment.transit.timetable import WALK_DETOUR, WALK_SPEED, RouteType, Timetable


@pytest.fixture(scope="module")
def table() -> Timetable:
    """A line along seven stops a kilometre apart, every ten minutes from 6 to 10, and a branch from the middle."""
    line = [(list(range(7)), (21_600 + 600 * n + 120 * np.arange(7)).tolist()) for n in range(24)]
    return timetable_of(8, [*line, ([3, 7], [30_000, 30_600])])


@pytest.fixture(scope="module")
def points():
    rng = np.random.default_rng(4)
    return rng.uniform(-300, 6_300, 400), rng.uniform(-900, 300, 400)


def test_cells_are_no_more_than_allowed_and_hold_every_point(table, points):
    skims = transit_skims(table, *points, cells=30)
    assert 15 < len(skims.seconds[0]) <= 30
    cells = skims.cells_of(*points)
    assert set(cells.tolist()) == set(range(len(skims.seconds[0])))
    assert skims.cells_of([1e6, -1e6], [0.0, 0.0]).tolist() == [-1, -1]


def test_journeys_are_those_searched_one_by_one(table, points):
    skims = transit_skims(table, *points, cells=30)
    cells = skims.cells_of(*points)
    count = int(cells.max()) + 1
    x, y = (np.array([column[cells == n].mean() for n in range(count)]) for column in points)
    walks = walks_to_stops(table, x, y)
    for a, b in ((0, count - 1), (2, 9), (count - 2, 1), (5, 5)):
        depart = float(np.floor(8 * 3_600 + 3_600 * (0.6180339887498949 * a % 1.0)))
        one = parts_of(table, journeys(table, walks, walks, [a], [b], [depart], limit=10_800.0), [depart])
        got = skims.between(x[[a]], y[[a]], x[[b]], y[[b]], [8 * 3_600 + 5.0])
        assert got.seconds == pytest.approx(np.nan_to_num(one.seconds, nan=np.inf))
        if np.isfinite(got.seconds[0]):
            assert [got.walk[0], got.wait[0], got.ride[0]] == pytest.approx(
                [one.walk[0], one.wait[0], one.ride[0]], abs=1e-2
            )
            assert got.transfers.tolist() == one.transfers.tolist()


def test_parts_of_a_journey_are_worked_out(table):
    # 650 m to stop 1 along the street, its vehicle at 8:02, four hops of 120 s, then 260 m
    start = walks_to_stops(table, [1_000.0], [500.0], 700.0)
    end = walks_to_stops(table, [5_000.0], [200.0], 700.0)
    depart = 28_800.0 - 30 * 60.0
    parts = parts_of(table, journeys(table, start, end, [0], [0], [depart]), [depart])
    walk = (500.0 + 200.0) * WALK_DETOUR / WALK_SPEED
    assert parts.walk[0] == pytest.approx(walk)
    assert parts.ride[0] == 480.0
    # after 520 s on foot, at 7:38:40, the next vehicle comes at 7:42
    assert parts.wait[0] == pytest.approx(28_800 - 18 * 60 - (depart + 500.0 * WALK_DETOUR / WALK_SPEED))
    assert parts.seconds[0] == pytest.approx(parts.walk[0] + 480.0 + parts.wait[0])
    assert parts.transfers[0] == 0
    assert parts.only_bus[0]


def test_without_service_there_is_no_journey(table, points):
    skims = transit_skims(table, *points, cells=30)
    night = skims.between([0.0], [0.0], [6_000.0], [0.0], [23 * 3_600.0])
    assert np.isinf(night.seconds[0])
    assert not night.only_bus[0]
    outside = skims.between([1e7], [0.0], [6_000.0], [0.0], [8 * 3_600.0])
    assert np.isinf([outside.seconds[0], outside.walk[0], outside.wait[0]]).all()


def test_a_journey_with_a_tram_is_not_only_by_bus(table, points):
    table.route_type[:] = RouteType.TRAM
    skims = transit_skims(table, *points, cells=30, threads=3)
    table.route_type[:] = RouteType.BUS
    again = transit_skims(table, *points, cells=30)
    assert not skims.only_bus.any()
    assert np.array_equal(again.only_bus, np.isfinite(again.seconds))
    assert np.array_equal(skims.seconds, again.seconds)  # for any number of threads
