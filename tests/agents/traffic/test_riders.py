"""Riders: the kernel against plain Python, what is conserved, and a queue worked out by hand."""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[2] / "environment" / "transit"))
from transit_twin import small_timetables, timetable_of

from citytwin.agents.traffic.riders import Riders, RiderState, ride, riders_of
from citytwin.environment.transit.raptor import Walks, journeys


def ride_by_hand(timetable, riders, until):
    """Go through the seconds at which vehicles come; return arrivals, states and refusals of riders."""
    arrivals, departures = defaultdict(list), defaultdict(list)
    for trip in range(timetable.trips):
        pattern = timetable.trip_pattern[trip]
        for i, (come, go) in enumerate(zip(*timetable.times(trip), strict=True)):
            arrivals[come].append((trip, i))
            departures[go].append((trip, i, timetable.pattern_variant[pattern], timetable.first[pattern]))
    plans = []
    for n in range(len(riders.depart)):
        rows = range(riders.first[n], riders.first[n + 1])
        plans.append([(riders.variant[r], riders.board[r], riders.alight[r], riders.walk[r]) for r in rows])
    waiting = defaultdict(list)  # by variant and call: (since, rider)
    for n, plan in enumerate(plans):
        if plan:
            waiting[plan[0][:2]].append((riders.depart[n] + plan[0][3], n))
    leg = [0] * len(plans)
    inside = defaultdict(list)  # by trip: (rider, call where they get off)
    arrive, refused = [np.nan] * len(plans), [0] * len(plans)
    for now in sorted(set(arrivals) | set(departures)):
        if now > until:
            break
        for trip, i in arrivals[now]:
            for n, off in list(inside[trip]):
                if off == i:
                    inside[trip].remove((n, off))
                    leg[n] += 1
                    if leg[n] == len(plans[n]):
                        arrive[n] = now + riders.last_walk[n]
                    else:
                        waiting[plans[n][leg[n]][:2]].append((now + plans[n][leg[n]][3], n))
        for trip, i, variant, first in sorted(departures[now]):
            last = i == timetable.first[timetable.trip_pattern[trip] + 1] - first - 1
            if last or not timetable.board[first + i]:
                continue
            for since, n in sorted(waiting[variant, i]):
                if since > now:
                    break
                if len(inside[trip]) < timetable.capacity[trip]:
                    waiting[variant, i].remove((since, n))
                    inside[trip].append((n, plans[n][leg[n]][2]))
                else:
                    refused[n] += 1
    states = []
    at_stop = {n for queue in waiting.values() for since, n in queue if since <= until}
    for n, plan in enumerate(plans):
        if not plan:
            states.append(RiderState.NO_JOURNEY)
        elif arrive[n] <= until:
            states.append(RiderState.ARRIVED)
        else:
            states.append(RiderState.LEFT_OVER if n in at_stop else RiderState.UNDER_WAY)
    return arrive, states, refused


@st.composite
def scenes(draw):
    timetable = draw(small_timetables(strict=True))
    capacity = draw(st.lists(st.integers(1, 3), min_size=timetable.trips, max_size=timetable.trips))
    timetable.capacity[:] = capacity
    number = draw(st.integers(1, 12))
    origin = np.array(draw(st.lists(st.integers(0, 6), min_size=number, max_size=number)))
    destination = np.array(draw(st.lists(st.integers(0, 6), min_size=number, max_size=number)))
    depart = 10.0 * np.array(draw(st.lists(st.integers(0, 25), min_size=number, max_size=number)))
    return timetable, origin, destination, depart


def points(stops, seconds):
    return Walks(np.arange(stops + 1), np.arange(stops), np.full(stops, seconds))


@settings(max_examples=300)
@given(scenes(), st.sampled_from([np.inf, 150.0, 240.0]))
def test_riders_are_those_of_plain_python(scene, until):
    timetable, origin, destination, depart = scene
    planned = journeys(timetable, points(7, 5.0), points(7, 15.0), origin, destination, depart)
    riders = riders_of(timetable, planned, depart)
    done = ride(timetable, riders, until)
    arrive, states, refused = ride_by_hand(timetable, riders, until)
    assert np.array_equal(done.arrive, arrive, equal_nan=True)
    assert done.state.tolist() == states
    assert done.left_behind.tolist() == refused
    balance = done.balance()
    assert balance["riders"] == len(depart)
    assert sum(balance[s.name.lower().replace("_", " ")] for s in RiderState) == len(depart)
    inside = np.maximum(done.load, 0)
    assert np.array_equal(inside, done.load)
    assert (done.load <= np.repeat(timetable.capacity, np.diff(timetable.trip_time_first))).all()


@settings(max_examples=100)
@given(scenes())
def test_with_room_for_all_everybody_arrives_as_planned_or_sooner(scene):
    timetable, origin, destination, depart = scene
    assume(timetable.patterns == len(np.unique(timetable.pattern_variant)))  # who gets in first may be overtaken
    timetable.capacity[:] = 100
    planned = journeys(timetable, points(7, 5.0), points(7, 15.0), origin, destination, depart)
    done = ride(timetable, riders_of(timetable, planned, depart))
    possible = np.isfinite(planned.arrive)
    assert (done.state == np.where(possible, RiderState.ARRIVED, RiderState.NO_JOURNEY)).all()
    # a line may have the same stop twice, so that an earlier vehicle of it serves as well
    assert (done.arrive[possible] <= planned.arrive[possible]).all()
    assert not done.left_behind.any()


def one_line(capacity):
    times = [([0, 1, 2], [600.0 * n, 600.0 * n + 100, 600.0 * n + 200]) for n in range(1, 4)]
    return timetable_of(3, times, capacity=[capacity] * 3)


def plan(board, alight, depart):
    count = len(depart)
    return Riders(
        np.arange(count + 1),
        np.zeros(count, np.int32),
        np.asarray(board, np.int32),
        np.asarray(alight, np.int32),
        np.zeros(count),
        np.zeros(count),
        np.asarray(depart, float),
    )


def test_who_comes_first_is_served_first_and_the_rest_wait():
    # five come to the first stop, one to the second; two fit in. Who leaves at the second stop makes room there.
    riders = plan([0, 0, 0, 0, 0, 1], [2, 1, 2, 2, 2, 2], [50, 10, 40, 30, 20, 0])
    done = ride(one_line(2), riders)
    # 600: riders 1 and 4 get in, 1 leaves at stop 1 where rider 5 takes the place; 1200: 3 and 2; 1800: 0
    assert done.boarded.tolist() == [1800, 600, 1200, 1200, 600, 700]
    assert done.arrive.tolist() == [2000, 700, 1400, 1400, 800, 800]
    assert done.left_behind.tolist() == [2, 0, 1, 1, 0, 0]
    assert done.refused.reshape(3, 3)[:, 0].tolist() == [3, 1, 0]
    assert done.load.reshape(3, 3).tolist() == [[2, 2, 0], [2, 2, 0], [1, 1, 0]]


def test_who_finds_no_room_all_day_is_left_over():
    done = ride(one_line(1), plan([0] * 5, [2] * 5, [0, 1, 2, 3, 1_801]))
    assert done.state.tolist() == [RiderState.ARRIVED] * 3 + [RiderState.LEFT_OVER] * 2
    assert done.left_behind.tolist() == [0, 1, 2, 3, 0]  # the last one came after the last vehicle
    assert done.balance() == {
        "riders": 5,
        "arrived": 3,
        "under way": 0,
        "left over": 2,
        "no journey": 0,
        "left behind": 6,
    }


def test_a_delay_lets_a_rider_miss_the_connection():
    first, second = ([0, 1], [100.0, 200.0]), ([1, 2], [250.0, 400.0])
    later = ([1, 2], [850.0, 1_000.0])
    timetable = timetable_of(3, [first, second, later])
    planned = journeys(timetable, points(3, 0.0), points(3, 0.0), [0], [2], [90.0])
    riders = riders_of(timetable, planned, [90.0])
    assert ride(timetable, riders).arrive.tolist() == [400.0]
    late = timetable.arrival + np.where(timetable.arrival == 200.0, 60.0, 0.0)
    actual = timetable.with_times(late, np.maximum(late, timetable.departure))
    assert ride(actual, riders).arrive.tolist() == [1_000.0]
