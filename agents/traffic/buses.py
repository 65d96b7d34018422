"""Buses on the streets: the vehicles of a timetable, which stops and streets they use, and when they really come.

Stops are matched to nodes of the network call by call, because where a street has two carriageways a stop may lie nearer
to the wrong one. A vehicle's run from one call to the next is a trip of its own in the flow, by the quickest route, so that
a bus at a stop stands beside the lane and must find a gap to go on. Calls that lie off the network, or that it joins only by
a wide detour, are not driven on it: there a bus takes its planned time and carries its delay along.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...environment.network.graph import Graph
from ...environment.network.network import Network
from ...environment.network.search import paths as cheapest_routes
from ...environment.roads import RoadRank, largest_component
from ...environment.transit.timetable import ON_STREETS, Timetable

LEAST_DWELL = 15.0
"""Seconds that a bus stands at a stop at least before it drives on on a street; assumed."""

_NEAR = 150.0  # m between a stop and the node that stands for it, assumed
_AGAINST = 60.0  # m that a street in the opposite direction counts as farther away, assumed
_MINOR = 30.0  # m that a street too small for a bus line counts as farther away, assumed
_WIDE = 3.0  # routes longer than this many times the straight line …
_WIDE_METRES = 1_000.0  # … and by this much longer are detours that no line makes; both assumed


@dataclass(frozen=True)
class Buses:
    """Runs of buses from one call to the next, a row each, in order of planned departure.

    Attributes:
        trip: int32 (runs,) trip of the timetable.
        call: int32 (runs,) call at which the run begins, counted within the trip.
        depart: float64 (runs,) seconds since midnight, as planned.
        origin, destination: int32 (runs,) nodes; −1 where the run is not driven on the streets.
        previous: int32 (runs,) run of the same vehicle before, −1 for its first of the day.
        seconds: float64 (runs,) what the flow takes as ``duration``: planned seconds of runs off the streets, seconds at the
            stop before the others.
        route: int32 (runs,) route of each run, −1 off the streets.
        route_first: int64 (routes + 1,) links of route r are rows route_first[r] … route_first[r + 1] − 1; none between
            two stops at one crossing.
        link: int32 links in the order in which they are driven.
        report: what was matched and what was not, by name.
    """

    trip: NDArray[np.int32]
    call: NDArray[np.int32]
    depart: NDArray[np.float64]
    origin: NDArray[np.int32]
    destination: NDArray[np.int32]
    previous: NDArray[np.int32]
    seconds: NDArray[np.float64]
    route: NDArray[np.int32]
    route_first: NDArray[np.int64]
    link: NDArray[np.int32]
    report: dict[str, Any]

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.trip)

    def routes(self, run: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return first (n + 1,) and links of the routes of some runs on the streets."""
        begin = self.route_first[self.route[run]]
        size = self.route_first[self.route[run] + 1] - begin
        first = np.concatenate([[0], np.cumsum(size)])
        return first, self.link[np.repeat(begin - first[:-1], size) + np.arange(first[-1])]


def bus_runs(timetable: Timetable, network: Network, graph: Graph, threads: int = 1) -> Buses:
    """Return the runs of all vehicles of a timetable that share the streets.

    What runs before midnight of the day is left out: it is where it should be then.

    Args:
        timetable: what runs; lines that are not :data:`~citytwin.environment.transit.timetable.ON_STREETS` are left out, and
            so are vehicles that are not on the network anywhere.
        network: the streets, in the timetable's CRS.
        graph: its routing states for buses (:func:`~citytwin.environment.network.graph.make_graph` with ``Access.BUS``).
        threads: for the search of routes; results do not depend on it.
    """
    patterns = np.flatnonzero(_on_streets(timetable))
    node = _nodes_of_calls(timetable, network, graph, patterns)
    routes = _routes(timetable, network, graph, patterns, node, threads)
    number = {pair: n for n, pair in enumerate(routes)}
    columns: dict[str, list[NDArray[Any]]] = {
        name: [] for name in ("trip", "call", "depart", "origin", "destination", "previous", "seconds", "route")
    }
    legs = driven = rows = 0
    for p in patterns:
        base, length = int(timetable.first[p]), int(timetable.first[p + 1] - timetable.first[p])
        trips = np.arange(timetable.trip_first[p], timetable.trip_first[p + 1])
        times = slice(timetable.time_first[p], timetable.time_first[p + 1])
        arrival, departure = (a[times].reshape(-1, length) for a in (timetable.arrival, timetable.departure))
        pairs = [(int(node[base + i]), int(node[base + i + 1])) for i in range(length - 1)]
        route = np.array([number.get(pair, -1) for pair in pairs], np.int32)
        legs += len(route) * len(trips)
        driven += int(np.count_nonzero(route >= 0)) * len(trips)
        if not (route >= 0).any():
            continue
        trip, call = np.nonzero(departure[:, :-1] >= 0)
        row = np.arange(rows, rows + len(trip))
        rows += len(trip)
        first = np.ones(len(trip), bool)
        first[1:] = trip[1:] != trip[:-1]
        on = route[call] >= 0
        ends = np.array(pairs, np.int32)[call]
        columns["trip"].append(trips[trip])
        columns["call"].append(call)
        columns["depart"].append(departure[trip, call])
        columns["origin"].append(np.where(on, ends[:, 0], -1))
        columns["destination"].append(np.where(on, ends[:, 1], -1))
        columns["previous"].append(np.where(first, -1, row - 1))
        columns["seconds"].append(np.where(on, LEAST_DWELL, arrival[trip, call + 1] - departure[trip, call]))
        columns["route"].append(route[call])
    whole = {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in columns.items()}
    order = np.argsort(whole["depart"], kind="stable")
    row = np.empty(rows + 1, np.int32)
    row[order] = np.arange(rows, dtype=np.int32)
    row[-1] = -1
    ordered: dict[str, Any] = {
        name: whole[name][order].astype(np.float64 if name in ("depart", "seconds") else np.int32)
        for name in columns
        if name != "previous"
    }
    return Buses(
        **ordered,
        previous=row[whole["previous"][order].astype(np.intp)].astype(np.int32),
        route_first=np.concatenate([[0], np.cumsum([len(route) for route in routes.values()], dtype=np.int64)]).astype(
            np.int64
        ),
        link=np.concatenate([*routes.values(), np.zeros(0, np.int32)]).astype(np.int32),
        report={"stretches between stops": legs, "stretches driven on the streets": driven},
    )


def call_times(
    timetable: Timetable,
    buses: Buses,
    depart: NDArray[np.float64],
    arrive: NDArray[np.float64],
    until: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return arrivals and departures of a timetable, (times,) each, as buses really came and went.

    Args:
        timetable: as planned; what has no runs keeps to it.
        buses: its runs.
        depart, arrive: (runs,) seconds since midnight; nan where it has not happened.
        until: seconds since midnight at which the streets were looked at: what has not happened then happens later, and
            takes its planned time at least.
    """
    at = timetable.trip_time_first[buses.trip] + buses.call
    arrival, departure = timetable.arrival.copy(), timetable.departure.copy()
    unknown = np.zeros((2, len(arrival)), bool)
    departure[at], arrival[at + 1] = depart, arrive
    unknown[0, at], unknown[1, at + 1] = np.isnan(depart), np.isnan(arrive)
    for row in np.flatnonzero(unknown.any(0)):  # in order of calls: what is not known follows from the call before
        if unknown[1, row]:
            planned = timetable.arrival[row] - timetable.departure[row - 1]
            arrival[row] = max(departure[row - 1] + planned, until)
        if unknown[0, row]:
            departure[row] = max(arrival[row] + LEAST_DWELL, timetable.departure[row], until)
    last = timetable.trip_time_first[1:] - 1
    departure[last] = np.maximum(departure[last], arrival[last])
    return arrival, departure


def riders_in(timetable: Timetable, actual: Timetable, buses: Buses, load: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return the riders in buses on each run, (runs,).

    Args:
        timetable: as planned.
        actual: with the times at which buses came, whose trips may be in another order.
        buses: runs of the planned timetable.
        load: (times,) riders in vehicles that leave, in the order of the actual timetable.
    """
    trip = np.empty(timetable.trips, np.int64)
    trip[np.argsort(timetable.trip_id, kind="stable")] = np.argsort(actual.trip_id, kind="stable")
    return load[actual.trip_time_first[trip[buses.trip]] + buses.call]


def _on_streets(timetable: Timetable) -> NDArray[np.bool_]:
    return np.isin(timetable.route_type[timetable.pattern_route], [int(kind) for kind in ON_STREETS])


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


def _routes(
    timetable: Timetable,
    network: Network,
    graph: Graph,
    patterns: NDArray[np.int64],
    node: NDArray[np.int32],
    threads: int,
) -> dict[tuple[int, int], NDArray[np.int32]]:
    """Return the links of the quickest route between the nodes of every two calls; left out where it is a wide detour."""
    pairs: dict[tuple[int, int], float] = {}
    for p in patterns:
        calls = np.arange(timetable.first[p], timetable.first[p + 1])
        x, y = timetable.stop_x[timetable.stop[calls]], timetable.stop_y[timetable.stop[calls]]
        for a, b, straight in zip(node[calls[:-1]], node[calls[1:]], np.hypot(np.diff(x), np.diff(y)), strict=True):
            if a >= 0 and b >= 0:
                pairs[int(a), int(b)] = max(float(straight), pairs.get((int(a), int(b)), 0.0))
    ends = np.array(sorted(pairs), np.int32).reshape(-1, 2)
    first, link = cheapest_routes(graph, network.free_time, ends[:, 0], ends[:, 1], threads)
    routes: dict[tuple[int, int], NDArray[np.int32]] = {}
    for row, (a, b) in enumerate(ends.tolist()):
        route = link[first[row] : first[row + 1]]
        straight, metres = pairs[a, b], float(network.length[route].sum())
        if (a == b or len(route)) and metres <= max(_WIDE * straight, straight + _WIDE_METRES):
            routes[a, b] = route
    return routes
