"""Earliest arrivals: the kernels against plain Python, on small timetables and on a real one."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transit_twin import earliest, small_timetables, timetable_of

from citytwin.environment.transit.gtfs import read_gtfs
from citytwin.environment.transit.raptor import Walks, arrivals, journeys, travel_times, walks_to_stops

DATA = Path(os.environ.get("CITYTWIN_DATA", "")) / "porto_alegre_access"
real = pytest.mark.skipif(not DATA.is_dir(), reason="CITYTWIN_DATA names no folder with porto_alegre_access")


def one_point(access: dict[int, float]) -> Walks:
    return Walks(np.array([0, len(access)]), np.array(list(access), int), np.array(list(access.values()), float))


def every_stop(stops: int) -> Walks:
    return Walks(np.arange(stops + 1), np.arange(stops), np.zeros(stops))


accesses = st.dictionaries(st.integers(0, 6), st.sampled_from([0.0, 10.0, 30.0]), min_size=1, max_size=3)


@settings(max_examples=300)
@given(small_timetables(), accesses, st.integers(0, 25), st.integers(1, 4), st.sampled_from([60.0, 150.0, 86_400.0]))
def test_arrivals_are_those_of_riding_every_trip(timetable, access, depart, vehicles, limit):
    depart = 10.0 * depart
    out = arrivals(timetable, one_point(access), depart, vehicles, limit)
    assert out.shape == (1, 1, 7)
    assert out[0, 0].tolist() == earliest(timetable, access, depart, vehicles, limit)[1]


@settings(max_examples=150)
@given(small_timetables(), accesses, st.lists(st.integers(0, 25), min_size=2, max_size=5), st.integers(1, 4))
def test_many_departures_at_once_are_the_same_as_one_by_one(timetable, access, departs, vehicles):
    departs = [10.0 * d for d in departs]
    together = arrivals(timetable, one_point(access), departs, vehicles, 150.0)[0]
    alone = [arrivals(timetable, one_point(access), d, vehicles, 150.0)[0, 0] for d in departs]
    assert together.tolist() == np.array(alone).tolist()


@settings(max_examples=150)
@given(small_timetables(), accesses, st.integers(0, 25), st.integers(1, 4))
def test_journeys_can_be_ridden_and_arrive_first(timetable, access, depart, vehicles):
    depart = 10.0 * depart
    ride, _ = earliest(timetable, access, depart, vehicles)
    found = journeys(
        timetable, one_point(access), every_stop(7), np.zeros(7, int), np.arange(7), np.full(7, depart), vehicles
    )
    assert found.arrive.tolist() == ride
    for j in range(7):
        legs = range(found.first[j], found.first[j + 1])
        if not np.isfinite(ride[j]):
            assert not legs
            continue
        assert 1 <= len(legs) <= vehicles
        # with one vehicle less nothing arrives as early
        assert earliest(timetable, access, depart, len(legs) - 1)[0][j] > ride[j]
        now, at = depart, None
        for leg in legs:
            board, alight, trip = found.board[leg], found.alight[leg], found.trip[leg]
            pattern = timetable.trip_pattern[trip]
            arrival, departure = timetable.times(trip)
            start = timetable.stop[board]
            if at is None:
                assert found.walk[leg] == access[start]
            elif at == start:
                assert found.walk[leg] == timetable.change[start]
            else:
                walks = slice(timetable.walk_first[at], timetable.walk_first[at + 1])
                place = timetable.walk_stop[walks].tolist().index(start)
                assert found.walk[leg] == timetable.walk_seconds[walks][place]
            assert timetable.first[pattern] <= board < alight < timetable.first[pattern + 1]
            assert timetable.board[board] and timetable.alight[alight]
            assert now + found.walk[leg] <= departure[board - timetable.first[pattern]]
            now, at = arrival[alight - timetable.first[pattern]], timetable.stop[alight]
        assert at == j
        assert now == ride[j]


@settings(max_examples=150)
@given(small_timetables(), accesses, st.integers(0, 25), st.sampled_from([0.0, 15.0]))
def test_a_search_for_one_destination_finds_what_a_search_for_all_does(timetable, access, depart, last):
    egress = Walks(
        np.arange(0, 15, 2), np.stack([np.arange(7), np.roll(np.arange(7), 1)], 1).ravel(), np.tile([0, last], 7)
    )
    depart = np.full(7, 10.0 * depart)
    start = one_point(access)
    together = journeys(timetable, start, egress, np.zeros(7, int), np.arange(7), depart)
    for j in range(7):
        alone = journeys(timetable, start, egress, [0], [j], depart[[j]])
        legs = slice(together.first[j], together.first[j + 1])
        assert alone.arrive.tolist() == together.arrive[[j]].tolist()
        for name in ("trip", "board", "alight", "walk"):
            assert getattr(alone, name).tolist() == getattr(together, name)[legs].tolist()


@settings(max_examples=100)
@given(small_timetables(), accesses, st.dictionaries(st.integers(0, 6), st.sampled_from([0.0, 20.0]), min_size=1))
def test_travel_times_end_with_the_best_last_walk(timetable, access, egress):
    ride, _ = earliest(timetable, access, 50.0, 3, 200.0)
    arrive = min(ride[s] + seconds for s, seconds in egress.items())
    expected = arrive - 50.0 if arrive <= 250.0 else np.inf
    out = travel_times(timetable, one_point(access), one_point(egress), 50.0, 3, 200.0)
    assert out.tolist() == [[[expected]]]


def test_a_rider_waits_changes_and_walks_once():
    line, branch = ([0, 1, 2], [100.0, 200.0, 300.0]), ([3, 6], [230.0, 400.0])
    timetable = timetable_of(7, [line, branch])
    start = one_point({0: 30.0})
    assert arrivals(timetable, start, 60.0)[0, 0, :3].tolist() == [90.0, 200.0, 300.0]
    assert np.isinf(arrivals(timetable, start, 71.0)[0, 0, 2])  # a second too late for the only vehicle
    assert np.isinf(arrivals(timetable, start, 60.0)[0, 0, 6])
    walking = timetable.with_walks(metres=2_600.0, speed=100.0, detour=1.3)  # from stop 1 to 3: 2 km, 26 s
    assert arrivals(walking, start, 60.0)[0, 0, 6] == 400.0
    assert np.isinf(arrivals(walking, start, 60.0, vehicles=1)[0, 0, 6])
    slow = timetable.with_walks(metres=2_600.0, speed=80.0, detour=1.3)  # 32.5 s: the connection is missed
    assert np.isinf(arrivals(slow, start, 60.0)[0, 0, 6])


def test_threads_change_nothing():
    timetable = timetable_of(40, [([n, (n * 7 + 3) % 40, (n * 11 + 5) % 40], [n, n + 50, n + 90]) for n in range(40)])
    access = every_stop(40)
    assert np.array_equal(arrivals(timetable, access, 10.0), arrivals(timetable, access, 10.0, threads=4))
    one, four = (travel_times(timetable, access, access, [0.0, 20.0], threads=n) for n in (1, 4))
    assert np.array_equal(one, four)
    pairs = np.arange(40), np.arange(40)[::-1], np.full(40, 5.0)
    one, four = (journeys(timetable, access, access, *pairs, threads=n) for n in (1, 4))
    assert all(np.array_equal(getattr(one, name), getattr(four, name)) for name in vars(one))


@pytest.fixture(scope="module")
def porto_alegre():
    return read_gtfs([DATA / "poa_eptc.zip", DATA / "poa_trensurb.zip"], "2019-05-14").with_walks()


@real
def test_arrivals_in_porto_alegre_are_those_of_riding_every_trip(porto_alegre):
    stops = np.arange(0, porto_alegre.stops, 333)
    access = walks_to_stops(porto_alegre, porto_alegre.stop_x[stops], porto_alegre.stop_y[stops], 400.0)
    out = arrivals(porto_alegre, access, 50_400.0, vehicles=3)
    for n in range(len(stops)):
        rows = slice(access.first[n], access.first[n + 1])
        near = dict(zip(access.stop[rows].tolist(), access.seconds[rows].tolist(), strict=True))
        assert out[n, 0].tolist() == earliest(porto_alegre, near, 50_400.0, 3)[1]
