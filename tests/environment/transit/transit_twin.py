"""Earliest arrivals in plain Python: every trip of the day is ridden through, in every round. And small timetables."""

import math
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from citytwin.environment.transit.timetable import RouteType, Timetable, make_timetable, walk_columns


def earliest(timetable: Timetable, access: dict[int, float], depart: float, vehicles: int, limit: float = 86_400.0):
    """Return how early every stop is reached by vehicle, and by vehicle or on foot: two lists of seconds."""
    latest = depart + limit
    ready = {s: depart + seconds for s, seconds in access.items() if depart + seconds <= latest}
    on_foot = dict(ready)
    by_vehicle: dict[int, float] = {}
    pattern_of = timetable.trip_pattern
    trips = [(int(pattern_of[t]), *timetable.times(t)) for t in range(timetable.trips)]
    for _ in range(vehicles):
        ridden: dict[int, float] = {}
        for pattern, arrival, departure in trips:
            aboard = False
            for i, call in enumerate(range(timetable.first[pattern], timetable.first[pattern + 1])):
                s = int(timetable.stop[call])
                if aboard and timetable.alight[call] and arrival[i] <= latest:
                    ridden[s] = min(ridden.get(s, math.inf), float(arrival[i]))
                if timetable.board[call] and ready.get(s, math.inf) <= departure[i]:
                    aboard = True
        for s, t in ridden.items():
            by_vehicle[s] = min(by_vehicle.get(s, math.inf), t)
            onward = [(s, float(timetable.change[s]))]
            walks = slice(timetable.walk_first[s], timetable.walk_first[s + 1])
            onward += zip(timetable.walk_stop[walks].tolist(), timetable.walk_seconds[walks].tolist(), strict=True)
            for u, seconds in onward:
                if t + seconds <= latest:
                    ready[u] = min(ready.get(u, math.inf), t + seconds)
                    on_foot[u] = min(on_foot.get(u, math.inf), t + seconds)
    stops = range(timetable.stops)
    ride = [by_vehicle.get(s, math.inf) for s in stops]
    return ride, [min(by_vehicle.get(s, math.inf), on_foot.get(s, math.inf)) for s in stops]


def timetable_of(stops: int, trips: list[tuple[list[int], list[float]]], **columns) -> Timetable:
    """Return a timetable of trips given by stops and times; they arrive and leave at once."""
    lengths = [len(calls) for calls, _ in trips]
    times = np.array([t for _, times in trips for t in times], float)
    return make_timetable(
        crs="EPSG:32631",
        stops={
            "x": 1_000.0 * np.arange(stops),
            "y": np.zeros(stops),
            "id": [f"s{n}" for n in range(stops)],
            "name": [f"Stop {n}" for n in range(stops)],
        },
        routes={"id": ["r"], "name": ["R"], "type": [RouteType.BUS]},
        trips={
            "id": [f"t{n}" for n in range(len(trips))],
            "route": np.zeros(len(trips), int),
            "first": np.concatenate([[0], np.cumsum(lengths)]),
            **columns,
        },
        calls={"stop": np.array([s for calls, _ in trips for s in calls], int), "arrival": times, "departure": times},
    )


@st.composite
def small_timetables(draw, stops: int = 7, strict: bool = False):
    """Timetables of a few trips that share stop sequences, overtake each other and call twice at a stop, with walks.

    ``strict``: a vehicle always takes some time from one stop to the next.
    """
    lines = draw(st.lists(st.lists(st.integers(0, stops - 1), min_size=2, max_size=5), min_size=1, max_size=4))
    trips = []
    for line in lines:
        for _ in range(draw(st.integers(1, 4))):
            steps = draw(st.lists(st.integers(int(strict), 6), min_size=len(line), max_size=len(line)))
            begin = draw(st.integers(0, 20))
            trips.append((line, (10.0 * (begin + np.cumsum(steps))).tolist()))
    timetable = timetable_of(stops, trips)
    # patterns of a variant are alike
    lengths = np.diff(timetable.first)
    place = np.arange(len(timetable.stop)) - np.repeat(timetable.first[:-1], lengths)
    call = 5 * np.repeat(timetable.pattern_variant, lengths) + place
    number = 5 * (int(timetable.pattern_variant.max()) + 1)
    flags = np.array(draw(st.lists(st.integers(0, 5), min_size=number, max_size=number)))[call]
    pairs = draw(st.sets(st.tuples(st.integers(0, stops - 1), st.integers(0, stops - 1)), max_size=6))
    pairs = [(a, b) for a, b in sorted(pairs) if a != b]
    seconds = draw(st.lists(st.sampled_from([0.0, 10.0, 25.0]), min_size=len(pairs), max_size=len(pairs)))
    change = draw(st.lists(st.sampled_from([0.0, 10.0]), min_size=stops, max_size=stops))
    starts, ends = [a for a, _ in pairs], [b for _, b in pairs]
    return replace(
        timetable,
        board=flags != 0,
        alight=flags != 1,
        change=np.array(change),
        **walk_columns(stops, np.array(starts, int), np.array(ends, int), np.array(seconds, float)),
    )
