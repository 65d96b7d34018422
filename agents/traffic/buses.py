"""Buses on the streets: the paths that vehicles of a timetable drive, where they stand, and when they really come.

Stops are matched to nodes of the network call by call, because where a street has two carriageways a stop may lie nearer
to the wrong one. Between two calls a bus takes the quickest way. Calls that lie off the network, or that it joins only
by a wide detour, are not driven on it: there a bus keeps to its timetable and carries its delay along.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...environment.network.graph import Graph
from ...environment.network.network import Network
from ...environment.network.search import paths as cheapest_ways
from ...environment.roads import RoadRank, largest_component
from ...environment.transit.timetable import ON_STREETS, Timetable

CARS_OF_A_BUS = 2.8
"""Cars whose room a bus takes: the default of MATSim's converter pt2matsim for a bus of 18 m."""
LEAST_DWELL = 15.0
"""Seconds that a bus stands at a stop at least; assumed."""

_NEAR = 150.0  # m between a stop and the node that stands for it, assumed
_AGAINST = 60.0  # m that a street in the opposite direction counts as farther away, assumed
_MINOR = 30.0  # m that a street too small for a bus line counts as farther away, assumed
_WIDE = 3.0  # ways longer than this many times the straight line …
_WIDE_METRES = 1_000.0  # … and by this much longer are detours that no line makes; both assumed


@dataclass(frozen=True)
class Buses:
    """Vehicles on the streets: a part of a trip in which every call is on the network is a vehicle.

    Attributes:
        trip: int32 (vehicles,) trip of the timetable.
        depart: float64 (vehicles,) seconds since midnight, as planned.
        origin, destination: int32 (vehicles,) nodes.
        first_call: int32 (vehicles,) first call of the vehicle, counted within the trip.
        path: int32 (vehicles,) path of each; trips of a pattern share theirs.
        path_first: int64 (paths + 1,) links of path p are rows path_first[p] … path_first[p + 1] − 1.
        link: int32 (rows,) links in the order in which they are driven.
        dwell: float64 (rows,) seconds that the vehicle stands at the end of the link on top of driving, so that on empty
            streets it keeps to its timetable, and at least :data:`LEAST_DWELL` at every stop.
        call_first: int64 (paths + 1,) calls of path p are rows call_first[p] … call_first[p + 1] − 1 of the next column.
        served: int32 (calls,) links driven before each call; 0 where the path begins.
        report: what was matched and what was not, by name.
    """

    trip: NDArray[np.int32]
    depart: NDArray[np.float64]
    origin: NDArray[np.int32]
    destination: NDArray[np.int32]
    first_call: NDArray[np.int32]
    path: NDArray[np.int32]
    path_first: NDArray[np.int64]
    link: NDArray[np.int32]
    dwell: NDArray[np.float64]
    call_first: NDArray[np.int64]
    served: NDArray[np.int32]
    report: dict[str, Any]

    def __len__(self) -> int:
        """Return the number of vehicles."""
        return len(self.trip)

    def pool(self) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.int32]]:
        """Return paths as the flow takes them: links, each path closed by −1; dwell beside them; where vehicles begin."""
        ends = self.path_first[1:]
        begins = self.path_first[:-1] + np.arange(len(ends))
        return np.insert(self.link, ends, -1), np.insert(self.dwell, ends, 0.0), begins[self.path].astype(np.int32)


def bus_vehicles(timetable: Timetable, network: Network, graph: Graph, threads: int = 1) -> Buses:
    """Return the vehicles of a timetable that drive on the streets, in order of departure.

    Args:
        timetable: what runs; lines that are not :data:`~citytwin.environment.transit.timetable.ON_STREETS` are left out.
        network: the streets, in the timetable's CRS.
        graph: its routing states for buses (:func:`~citytwin.environment.network.graph.make_graph` with ``Access.BUS``).
        threads: for the search of ways; results do not depend on it.
    """
    patterns = np.flatnonzero(_on_streets(timetable))
    node = _nodes_of_calls(timetable, network, graph, patterns)
    ways = _ways(timetable, network, graph, patterns, node, threads)
    trip, depart, first_call, path, ends = [], [], [], [], []
    paths: list[NDArray[np.int32]] = []
    dwells: list[NDArray[np.float64]] = []
    calls: list[NDArray[np.int32]] = []
    legs = driven = 0
    for p in patterns:
        base, length = int(timetable.first[p]), int(timetable.first[p + 1] - timetable.first[p])
        trips = np.arange(timetable.trip_first[p], timetable.trip_first[p + 1])
        departure = timetable.departure[timetable.time_first[p] : timetable.time_first[p + 1]].reshape(-1, length)
        on = np.array([(node[base + i], node[base + i + 1]) in ways for i in range(length - 1)])
        legs += len(on) * len(trips)
        for begin, end in _stretches(on):
            way = [ways[node[base + i], node[base + i + 1]] for i in range(begin, end)]
            links = np.concatenate(way)
            if not len(links):
                continue
            driven += (end - begin) * len(trips)
            served = np.concatenate([[0], np.cumsum([len(w) for w in way])]).astype(np.int32)
            planned = np.median(departure[:, begin + 1 : end + 1] - departure[:, begin:end], axis=0)
            dwells.append(_dwell(network, way, served, planned))
            runs = departure[:, begin] >= 0  # what left the day before is under way when the day begins
            trip.append(trips[runs])
            depart.append(departure[runs, begin])
            first_call.append(np.full(int(runs.sum()), begin))
            path.append(np.full(int(runs.sum()), len(paths)))
            ends.append(np.tile([node[base + begin], node[base + end]], (int(runs.sum()), 1)))
            paths.append(links)
            calls.append(served)

    def whole(parts: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
        return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype)

    order = np.lexsort((whole(trip, int), whole(depart, float)))
    both = np.concatenate(ends) if ends else np.zeros((0, 2), np.int32)
    return Buses(
        trip=whole(trip, np.int32)[order],
        depart=whole(depart, np.float64)[order],
        origin=both[order, 0].astype(np.int32),
        destination=both[order, 1].astype(np.int32),
        first_call=whole(first_call, np.int32)[order],
        path=whole(path, np.int32)[order],
        path_first=np.concatenate([[0], np.cumsum([len(p) for p in paths], dtype=np.int64)]).astype(np.int64),
        link=whole(paths, np.int32),
        dwell=whole(dwells, np.float64),
        call_first=np.concatenate([[0], np.cumsum([len(c) for c in calls], dtype=np.int64)]).astype(np.int64),
        served=whole(calls, np.int32),
        report={"stretches between stops": legs, "stretches driven on the streets": driven},
    )


def actual_times(
    timetable: Timetable,
    buses: Buses,
    vehicle: NDArray[np.integer],
    entered: NDArray[np.float64],
    arrive: NDArray[np.float64],
    until: float,
) -> Timetable:
    """Return the timetable with the times at which vehicles came, given when they entered the links of their paths.

    Between two calls a vehicle takes the time that it took on the streets. It does not leave a stop before its planned time
    and stands for :data:`LEAST_DWELL` at least; off the streets it takes its planned time.

    Args:
        timetable: as planned.
        buses: its vehicles.
        vehicle: (passages,) rows of buses.
        entered: (passages,) seconds since midnight at which the vehicle entered the next link of its path; the passages of
            a vehicle in order.
        arrive: (vehicles,) when it reached the end of its path; nan where it has not.
        until: seconds since midnight at which the streets were looked at: what a vehicle has not done then it does later.
    """
    order = np.argsort(vehicle, kind="stable")
    passed = np.concatenate([[0], np.cumsum(np.bincount(vehicle, minlength=len(buses)))])
    seconds = np.asarray(entered, float)[order]
    first = timetable.trip_time_first
    running = np.full(len(timetable.arrival), np.nan)
    running[1:] = timetable.arrival[1:] - timetable.departure[:-1]
    unknown = np.zeros(len(running), bool)
    for number, trip in enumerate(buses.trip):
        path = buses.path[number]
        links = slice(int(buses.path_first[path]), int(buses.path_first[path + 1]))
        length = links.stop - links.start
        at = np.full(length + 1, np.nan)  # when the vehicle had driven 0, 1, … links
        own = seconds[passed[number] : passed[number + 1]]
        at[: len(own)] = own
        at[length] = arrive[number]
        served = buses.served[buses.call_first[path] : buses.call_first[path + 1]]
        stood = np.append(0.0, buses.dwell[links])[served]
        rows = int(first[trip]) + int(buses.first_call[number]) + np.arange(1, len(served))
        took = np.maximum(at[served[1:]] - at[served[:-1]] - stood[1:], 0.0)
        took[served[1:] == served[:-1]] = 0.0  # two stops at one crossing
        known = ~np.isnan(took)
        running[rows[known]] = took[known]
        unknown[rows[~known]] = True
    arrival, departure = timetable.arrival.copy(), timetable.departure.copy()
    for p in np.flatnonzero(_on_streets(timetable)):
        length = int(timetable.first[p + 1] - timetable.first[p])
        low, high = int(timetable.time_first[p]), int(timetable.time_first[p + 1])
        planned, come = timetable.departure[low:high].reshape(-1, length), arrival[low:high].reshape(-1, length)
        go = departure[low:high].reshape(-1, length)
        drive, open_ended = running[low:high].reshape(-1, length), unknown[low:high].reshape(-1, length)
        for i in range(1, length):
            come[:, i] = go[:, i - 1] + drive[:, i]
            come[:, i] = np.where(open_ended[:, i], np.maximum(come[:, i], until), come[:, i])
            if i < length - 1:
                go[:, i] = np.maximum(come[:, i] + LEAST_DWELL, planned[:, i])
            else:
                go[:, i] = np.maximum(come[:, i], planned[:, i])
    return timetable.with_times(arrival, departure)


def _on_streets(timetable: Timetable) -> NDArray[np.bool_]:
    return np.isin(timetable.route_type[timetable.pattern_route], [int(kind) for kind in ON_STREETS])


def _stretches(on: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (first call, last call) of every run of legs that are on the network."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _dwell(
    network: Network, way: list[NDArray[np.int32]], served: NDArray[np.int32], planned: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the seconds that a vehicle stands at the end of each link; none where the path ends."""
    free = network.free_time
    dwell = np.zeros(int(served[-1]))
    for leg, links in enumerate(way[:-1]):
        if served[leg + 1] > 0:
            stand = max(float(planned[leg] - free[links].sum()), LEAST_DWELL)
            dwell[served[leg + 1] - 1] += stand
    if served[-2] == served[-1]:  # the last stops lie at one crossing
        dwell[-1] = 0.0
    return dwell


def _nodes_of_calls(
    timetable: Timetable, network: Network, graph: Graph, patterns: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Return the node that stands for each call, −1 where there is none near.

    It is the end of a street that buses may use; near, large streets that lead the way the line goes are preferred.
    """
    from scipy.spatial import cKDTree

    links = np.unique(graph.arc_link)
    # only where buses come from and get on from: the part in which every node reaches every other
    inside = largest_component(network.start[links], network.end[links], network.nodes)
    links = links[inside[network.start[links]] & inside[network.end[links]]]
    node = np.full(len(timetable.stop), -1, np.int32)
    if not len(links):
        return node
    end = network.end[links]
    points = np.stack([network.x[end], network.y[end]], 1)
    along = points - np.stack([network.x[network.start[links]], network.y[network.start[links]]], 1)
    along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    minor = np.where(network.rank[links] > RoadRank.UNCLASSIFIED, _MINOR, 0.0)
    tree = cKDTree(points)
    stops = np.stack([timetable.stop_x, timetable.stop_y], 1)
    near = tree.query_ball_point(stops, _NEAR)
    found: dict[tuple[int, int, int], int] = {}
    for p in patterns:
        calls = timetable.stop[timetable.first[p] : timetable.first[p + 1]]
        for i, stop in enumerate(calls):
            what = (int(calls[max(i - 1, 0)]), int(stop), int(calls[min(i + 1, len(calls) - 1)]))
            if what not in found:
                heading = stops[what[2]] - stops[what[0]]
                heading = heading / max(float(np.hypot(*heading)), 1e-9)
                rows = np.array(sorted(near[stop]), int)
                if len(rows):
                    score = np.hypot(*(points[rows] - stops[stop]).T) + minor[rows]
                    score += 0.5 * _AGAINST * (1.0 - along[rows] @ heading)
                    found[what] = int(end[rows[score.argmin()]])
                else:
                    found[what] = -1
            node[timetable.first[p] + i] = found[what]
    return node


def _ways(
    timetable: Timetable,
    network: Network,
    graph: Graph,
    patterns: NDArray[np.int64],
    node: NDArray[np.int32],
    threads: int,
) -> dict[tuple[int, int], NDArray[np.int32]]:
    """Return the links of the quickest way between the nodes of every two calls; left out where it is a wide detour."""
    pairs: dict[tuple[int, int], float] = {}
    for p in patterns:
        calls = np.arange(timetable.first[p], timetable.first[p + 1])
        x, y = timetable.stop_x[timetable.stop[calls]], timetable.stop_y[timetable.stop[calls]]
        for a, b, straight in zip(node[calls[:-1]], node[calls[1:]], np.hypot(np.diff(x), np.diff(y)), strict=True):
            if a >= 0 and b >= 0:
                pairs[int(a), int(b)] = max(float(straight), pairs.get((int(a), int(b)), 0.0))
    ends = np.array(sorted(pairs), np.int32).reshape(-1, 2)
    first, link = cheapest_ways(graph, network.free_time, ends[:, 0], ends[:, 1], threads)
    ways: dict[tuple[int, int], NDArray[np.int32]] = {}
    for row, (a, b) in enumerate(ends.tolist()):
        way = link[first[row] : first[row + 1]]
        straight, metres = pairs[a, b], float(network.length[way].sum())
        if (a == b or len(way)) and metres <= max(_WIDE * straight, straight + _WIDE_METRES):
            ways[a, b] = way
    return ways
