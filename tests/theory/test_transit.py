"""Public transport against what can be worked out by hand.

Waiting. Riders who come at any time to a stop where a vehicle leaves every h seconds wait h/2 on average
(Osuna & Newell 1972, Transportation Science 6:52-72, for constant headways).

Lower bound. However well connections fit, nobody arrives sooner than on the shortest path through the network in which
every hop takes the least time that any vehicle of the day needs for it, every walk its time, and waiting and changes
nothing (the reference's "walking-free lower bound"). Journeys of one vehicle boarded at once attain it.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

sys.path.append(str(Path(__file__).parents[1] / "environment" / "transit"))
from transit_twin import small_timetables

from citytwin.environment.transit.added import join
from citytwin.environment.transit.gtfs import read_gtfs
from citytwin.environment.transit.raptor import Walks, arrivals, travel_times
from citytwin.environment.transit.timetable import RouteType, make_timetable, walk_columns

DATA = Path(os.environ.get("CITYTWIN_DATA", "")) / "porto_alegre_access"
real = pytest.mark.skipif(not DATA.is_dir(), reason="CITYTWIN_DATA names no folder with porto_alegre_access")


def shuttle(headway: int, ride: int):
    """A vehicle every ``headway`` seconds for an hour, that takes ``ride`` seconds."""
    leave = np.arange(0, 7_200, headway, dtype=float)
    return make_timetable(
        crs="EPSG:32631",
        stops={"x": [0.0, 1_000.0], "y": [0.0, 0.0], "id": ["a", "b"], "name": ["A", "B"]},
        routes={"id": ["r"], "name": ["R"], "type": [RouteType.TRAM]},
        trips={
            "id": [str(n) for n in range(len(leave))],
            "route": np.zeros(len(leave), int),
            "first": 2 * np.arange(len(leave) + 1),
        },
        calls={"stop": np.tile([0, 1], len(leave)), **dict.fromkeys(("arrival", "departure"), _pairs(leave, ride))},
    )


def _pairs(leave, ride):
    return np.stack([leave, leave + ride], 1).ravel()


@pytest.mark.parametrize("headway", [60, 300, 900])
def test_the_mean_wait_is_half_the_headway(headway):
    ride, walk = 240, 75
    departs = np.arange(3_600) + 0.5
    start = Walks(np.array([0, 1]), np.array([0]), np.array([float(walk)]))
    end = Walks(np.array([0, 1]), np.array([1]), np.array([30.0]))
    seconds = travel_times(shuttle(headway, ride), start, end, departs)[:, 0, 0]
    assert seconds.mean() == pytest.approx(walk + headway / 2 + ride + 30, abs=1e-3)
    assert seconds.max() == pytest.approx(walk + headway + ride + 30, abs=1.0)


@real
def test_nobody_arrives_before_the_lower_bound_in_porto_alegre():
    table = read_gtfs([DATA / "poa_eptc.zip", DATA / "poa_trensurb.zip"], "2019-05-14").with_walks()
    calls = np.concatenate([np.arange(table.first[p], table.first[p + 1]) for p in table.trip_pattern])
    stop = table.stop[calls]
    hop = np.ones(len(calls), bool)
    hop[table.trip_time_first[:-1]] = False
    hops = np.flatnonzero(hop)
    start, end, seconds = stop[hops - 1], stop[hops], table.arrival[hops] - table.departure[hops - 1]
    walk_start = np.repeat(np.arange(table.stops), np.diff(table.walk_first))
    # the shortest paths are over the least of each pair; scipy reads 0 as no edge, so every edge is a second longer
    edges = np.stack(
        [np.append(start, walk_start), np.append(end, table.walk_stop), np.append(seconds, table.walk_seconds)], 1
    )
    edges = edges[np.lexsort((edges[:, 2], edges[:, 1], edges[:, 0]))]
    keep = np.ones(len(edges), bool)
    keep[1:] = np.any(edges[1:, :2] != edges[:-1, :2], 1)
    graph = coo_array((np.maximum(edges[keep, 2], 1e-9), edges[keep, :2].astype(np.int32).T), shape=(table.stops,) * 2)
    origins = np.arange(0, table.stops, 200)
    bound = dijkstra(graph.tocsr(), indices=origins)
    access = Walks(np.arange(len(origins) + 1), origins, np.zeros(len(origins)))
    departs = 50_400.0 + 600.0 * np.arange(6)
    out = arrivals(table, access, departs, vehicles=5) - departs[None, :, None]
    reached = np.isfinite(out)
    assert reached.mean() > 0.5
    assert (out[reached] >= np.broadcast_to(bound[:, None], out.shape)[reached] - 1e-6).all()
    # where no vehicle needs to be waited for, the bound is met: one hop with the quickest vehicle, from its departure
    quickest = hops[np.lexsort((hops, seconds))[:50]]
    for row in quickest:
        alone = Walks(np.array([0, 1]), stop[[row - 1]], np.zeros(1))
        first = arrivals(table, alone, table.departure[row - 1])[0, 0, stop[row]] - table.departure[row - 1]
        assert first <= table.arrival[row] - table.departure[row - 1]


@settings(max_examples=100)
@given(small_timetables(), small_timetables(), st.integers(0, 25))
def test_a_line_more_never_makes_anybody_later(table, more, depart):
    """Cumulative access can only grow: the second timetable's stops are a walk of 5 s from those of the first."""
    both = join(table, more)
    start = np.concatenate([np.repeat(np.arange(14), np.diff(both.walk_first)), np.arange(7), np.arange(7, 14)])
    end = np.concatenate([both.walk_stop, np.arange(7, 14), np.arange(7)])
    both = replace(both, **walk_columns(14, start, end, np.concatenate([both.walk_seconds, np.full(14, 5.0)])))
    access = Walks(np.array([0, 2]), np.array([0, 3]), np.array([0.0, 20.0]))
    before = arrivals(table, access, 10.0 * depart)[0, 0]
    after = arrivals(both, access, 10.0 * depart)[0, 0, :7]
    assert (after <= before).all()


def test_a_vehicle_more_often_never_lengthens_a_journey():
    start = Walks(np.array([0, 1]), np.array([0]), np.zeros(1))
    departs = np.arange(0.0, 3_600.0, 7.0)
    seldom, often = (arrivals(shuttle(headway, 100), start, departs)[0, :, 1] for headway in (600, 300))
    assert (often <= seldom).all()
    assert (often < seldom).any()
    faster = arrivals(replace(shuttle(600, 100), change=np.full(2, 60.0)), start, departs)[0, :, 1]
    assert np.array_equal(faster, seldom)  # a change costs nothing on a journey without one
