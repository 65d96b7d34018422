"""The timetable of one day: stops, lines, the stops that trips call at, their times, and walks between stops.

Trips that call at the same stops in the same order, on the same line, are a *variant*. The trips of a variant in which no
trip overtakes another are a *pattern*: within a pattern the first trip to leave a stop is the first to arrive at every later
one, which is what the search for earliest arrivals (:mod:`.raptor`) rests on. Most variants are one pattern.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

DAY = 86_400.0
"""Seconds."""

WALK_SPEED = 4.5 / 3.6
"""Walking speed in m/s: 4.5 km/h, the speed that UITP's guidance on stop spacing assumes."""
WALK_DETOUR = 1.3
"""Metres walked along streets for a metre as the crow flies; assumed, of the order found in street grids (4/π = 1.27)."""


class TransitError(ValueError):
    """Public transport that cannot be read or used; the message names feed, file, line or object, and the remedy."""


class RouteType(IntEnum):
    """What runs on a line: the values of ``route_type`` in GTFS; the extended types are mapped to these."""

    TRAM = 0
    METRO = 1
    RAIL = 2
    BUS = 3
    FERRY = 4
    CABLE_TRAM = 5
    AERIAL_LIFT = 6
    FUNICULAR = 7
    TROLLEYBUS = 11
    MONORAIL = 12


CAPACITY = {
    # Riders that fit into a vehicle: the defaults of MATSim's converter pt2matsim (VehicleTypeDefaults).
    RouteType.TRAM: 180,
    RouteType.METRO: 300,
    RouteType.RAIL: 400,
    RouteType.BUS: 70,
    RouteType.FERRY: 250,
    RouteType.CABLE_TRAM: 60,
    RouteType.AERIAL_LIFT: 80,
    RouteType.FUNICULAR: 100,
    RouteType.TROLLEYBUS: 70,
    RouteType.MONORAIL: 300,  # as METRO; assumed
}

ON_STREETS = (RouteType.BUS, RouteType.TROLLEYBUS)
"""What shares the streets with cars; everything else has a track or water of its own."""


@dataclass(frozen=True)
class Timetable:
    """All that runs on one day. Times are seconds since midnight of that day; they may be negative or beyond a day.

    Attributes:
        crs: projected CRS of the coordinates.
        stop_x, stop_y: float64 (stops,) metres.
        stop_id, stop_name: of each stop.
        route_id, route_name: of each line.
        route_type: uint8 (routes,) :class:`RouteType`.
        pattern_route: int32 (patterns,) line of each pattern.
        pattern_variant: int32 (patterns,) variant of each pattern.
        first: int32 (patterns + 1,) calls of pattern p are at positions first[p] … first[p + 1] − 1 of the next columns.
        stop: int32 (calls,) stop.
        board, alight: bool (calls,) whether riders may get on and off.
        trip_first: int32 (patterns + 1,) trips of pattern p are rows trip_first[p] … trip_first[p + 1] − 1, in the order in
            which they run.
        time_first: int64 (patterns + 1,) where the times of a pattern begin: those of its trip number n (counted within the
            pattern) at its call i are at ``time_first[p] + n * (first[p + 1] − first[p]) + i``.
        arrival, departure: float64 (times,) seconds since midnight.
        trip_id: of each trip.
        capacity: int32 (trips,) riders that fit in.
        change: float64 (stops,) seconds that a change at the stop takes.
        walk_first: int32 (stops + 1,), walk_stop: int32, walk_seconds: float64: walks from each stop to others.
        report: what was repaired, assumed or left out, by name.
    """

    crs: str
    stop_x: NDArray[np.float64]
    stop_y: NDArray[np.float64]
    stop_id: list[str]
    stop_name: list[str]
    route_id: list[str]
    route_name: list[str]
    route_type: NDArray[np.uint8]
    pattern_route: NDArray[np.int32]
    pattern_variant: NDArray[np.int32]
    first: NDArray[np.int32]
    stop: NDArray[np.int32]
    board: NDArray[np.bool_]
    alight: NDArray[np.bool_]
    trip_first: NDArray[np.int32]
    time_first: NDArray[np.int64]
    arrival: NDArray[np.float64]
    departure: NDArray[np.float64]
    trip_id: list[str]
    capacity: NDArray[np.int32]
    change: NDArray[np.float64]
    walk_first: NDArray[np.int32]
    walk_stop: NDArray[np.int32]
    walk_seconds: NDArray[np.float64]
    report: dict[str, Any]

    def __repr__(self) -> str:
        return (
            f"Timetable({self.stops:,} stops, {len(self.route_id):,} lines, {self.patterns:,} patterns, "
            f"{self.trips:,} trips, {len(self.arrival):,} calls)"
        )

    @property
    def stops(self) -> int:
        """Number of stops."""
        return len(self.stop_x)

    @property
    def patterns(self) -> int:
        """Number of patterns."""
        return len(self.pattern_route)

    @property
    def trips(self) -> int:
        """Number of trips."""
        return len(self.trip_id)

    @property
    def trip_pattern(self) -> NDArray[np.int32]:
        """Pattern of each trip, (trips,)."""
        return np.repeat(np.arange(self.patterns, dtype=np.int32), np.diff(self.trip_first))

    @property
    def trip_time_first(self) -> NDArray[np.int64]:
        """Where the times of each trip begin, (trips + 1,)."""
        lengths = np.diff(self.first)[self.trip_pattern]
        return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])

    @property
    def stop_types(self) -> NDArray[np.bool_]:
        """Which kinds of lines call at each stop: bool (stops, 13), a column a value of :class:`RouteType`."""
        kinds = np.zeros((self.stops, max(RouteType) + 1), bool)
        running = np.repeat(np.diff(self.trip_first) > 0, np.diff(self.first))
        kinds[self.stop[running], np.repeat(self.route_type[self.pattern_route], np.diff(self.first))[running]] = True
        return kinds

    def times(self, trip: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return arrivals and departures of one trip at its calls."""
        pattern = int(np.searchsorted(self.trip_first, trip, side="right")) - 1
        length = int(self.first[pattern + 1] - self.first[pattern])
        low = int(self.time_first[pattern]) + (trip - int(self.trip_first[pattern])) * length
        return self.arrival[low : low + length], self.departure[low : low + length]

    def with_times(self, arrival: NDArray[np.float64], departure: NDArray[np.float64]) -> "Timetable":
        """Return the timetable with other times, for example those at which vehicles really came.

        Patterns are made anew, because a late trip may be overtaken: trips are in another order then. Tell them by
        :attr:`trip_id`; variants keep their numbers.

        Args:
            arrival, departure: (times,) in the order of this timetable's.

        Raises:
            TransitError: if a trip would arrive before it left the stop before, or leave before it arrived.
        """
        variants = int(self.pattern_variant.max()) + 1 if self.patterns else 0
        example = np.zeros(variants, np.int64)
        example[self.pattern_variant[::-1]] = np.arange(self.patterns)[::-1]
        calls = [slice(int(self.first[p]), int(self.first[p + 1])) for p in example]
        return replace(
            self,
            **_patterns(
                [self.stop[c] for c in calls],
                [self.board[c] for c in calls],
                [self.alight[c] for c in calls],
                self.pattern_route[example] if variants else np.zeros(0, np.int32),
                self.pattern_variant[self.trip_pattern],
                self.trip_time_first,
                np.asarray(arrival, float),
                np.asarray(departure, float),
                self.trip_id,
                self.capacity,
            ),
        )

    def with_walks(
        self, metres: float = 300.0, speed: float = WALK_SPEED, detour: float = WALK_DETOUR, change: float = 0.0
    ) -> "Timetable":
        """Return the timetable with walks between all stops near each other, where the source gave none for the pair.

        Args:
            metres: longest walk, along streets; 300 by default (assumed).
            speed: m/s.
            detour: metres walked for a metre as the crow flies.
            change: seconds that every change between vehicles takes on top of the walk, and at least at the stop itself.
        """
        from scipy.spatial import cKDTree

        points = np.stack([self.stop_x, self.stop_y], 1)
        pairs = (
            cKDTree(points).query_pairs(metres / detour, output_type="ndarray") if self.stops else np.zeros((0, 2), int)
        )
        start = np.concatenate([pairs[:, 0], pairs[:, 1]])
        end = np.concatenate([pairs[:, 1], pairs[:, 0]])
        seconds = np.hypot(*(points[start] - points[end]).T) * detour / speed + change
        given_start = np.repeat(np.arange(self.stops), np.diff(self.walk_first))
        new = ~np.isin(start * self.stops + end, given_start * self.stops + self.walk_stop)
        walks = walk_columns(
            self.stops,
            np.concatenate([given_start, start[new]]),
            np.concatenate([self.walk_stop, end[new]]),
            np.concatenate([self.walk_seconds, seconds[new]]),
        )
        return replace(self, change=np.maximum(self.change, change), **walks)


def walk_columns(
    stops: int, start: NDArray[np.integer], end: NDArray[np.integer], seconds: NDArray[np.floating]
) -> dict[str, Any]:
    """Return the columns ``walk_first, walk_stop, walk_seconds`` of walks between stops; infinite where none is possible."""
    start, end, seconds = (np.asarray(a) for a in (start, end, seconds))
    order = np.lexsort((end, start))
    first = np.concatenate([[0], np.cumsum(np.bincount(start, minlength=stops))])
    return {
        "walk_first": first.astype(np.int32),
        "walk_stop": end[order].astype(np.int32),
        "walk_seconds": seconds[order].astype(np.float64),
    }


def make_timetable(
    *,
    crs: str,
    stops: dict[str, Any],
    routes: dict[str, Any],
    trips: dict[str, Any],
    calls: dict[str, Any],
    report: dict[str, Any] | None = None,
) -> Timetable:
    """Put a timetable together from trips and their calls.

    Args:
        crs: projected CRS.
        stops: columns ``x, y`` (metres) and ``id, name``; ``change`` (seconds) may be left out.
        routes: ``id, name, type`` (:class:`RouteType`).
        trips: ``id, route`` (row of routes), ``first`` (trips + 1: where the calls of each begin), and ``capacity``, which
            may be left out (:data:`CAPACITY` by the line's type).
        calls: ``stop`` (row of stops), ``arrival, departure`` (seconds), and ``board, alight``, which may be left out.
        report: what to keep with the timetable.

    Raises:
        TransitError: if a trip has fewer than two calls, or times that run backwards.
    """
    route_type = np.asarray(routes["type"], np.uint8)
    route = np.asarray(trips["route"], np.int32)
    first = np.asarray(trips["first"], np.int64)
    stop = np.asarray(calls["stop"], np.int32)
    board = np.asarray(calls.get("board", np.ones(len(stop), bool)), bool)
    alight = np.asarray(calls.get("alight", np.ones(len(stop), bool)), bool)
    if "capacity" in trips:
        capacity = np.asarray(trips["capacity"], np.int32)
    else:
        by_type = np.zeros(max(RouteType) + 1, np.int32)
        by_type[list(CAPACITY)] = list(CAPACITY.values())
        capacity = by_type[route_type[route]]
    known: dict[tuple[int, bytes, bytes, bytes], int] = {}
    variant = np.zeros(len(route), np.int32)
    examples: list[slice] = []
    for trip in range(len(route)):
        rows = slice(int(first[trip]), int(first[trip + 1]))
        if rows.stop - rows.start < 2:
            raise TransitError(f"trip {trips['id'][trip]}: calls at fewer than two stops; leave it out")
        what = (int(route[trip]), stop[rows].tobytes(), board[rows].tobytes(), alight[rows].tobytes())
        if what not in known:
            known[what] = len(examples)
            examples.append(rows)
        variant[trip] = known[what]
    variant_route = np.zeros(len(examples), np.int32)
    variant_route[variant] = route
    count = len(stops["x"])
    return Timetable(
        crs=crs,
        stop_x=np.asarray(stops["x"], float),
        stop_y=np.asarray(stops["y"], float),
        stop_id=list(stops["id"]),
        stop_name=list(stops["name"]),
        route_id=list(routes["id"]),
        route_name=list(routes["name"]),
        route_type=route_type,
        change=np.asarray(stops.get("change", np.zeros(count)), float),
        walk_first=np.zeros(count + 1, np.int32),
        walk_stop=np.zeros(0, np.int32),
        walk_seconds=np.zeros(0),
        report=dict(report or {}),
        **_patterns(
            [stop[rows] for rows in examples],
            [board[rows] for rows in examples],
            [alight[rows] for rows in examples],
            variant_route,
            variant,
            first,
            np.asarray(calls["arrival"], float),
            np.asarray(calls["departure"], float),
            list(trips["id"]),
            capacity,
        ),
    )


def _patterns(
    stop: list[NDArray[np.int32]],
    board: list[NDArray[np.bool_]],
    alight: list[NDArray[np.bool_]],
    route: NDArray[np.int32],
    variant: NDArray[np.int32],
    first: NDArray[np.int64],
    arrival: NDArray[np.float64],
    departure: NDArray[np.float64],
    trip_id: Sequence[str],
    capacity: NDArray[np.int32],
) -> dict[str, Any]:
    """Return the columns of patterns and trips: the trips of each variant, split where one overtakes another."""
    _check_times(first, arrival, departure, trip_id)
    order = np.lexsort((np.arange(len(variant)), variant))
    bounds = np.searchsorted(variant[order], np.arange(len(stop) + 1))
    chosen: list[NDArray[np.int64]] = []
    pattern_variant: list[int] = []
    for v in range(len(stop)):
        trips = order[bounds[v] : bounds[v + 1]]
        if not len(trips):
            continue
        rows = first[trips][:, None] + np.arange(len(stop[v]))
        times = np.stack([arrival[rows], departure[rows]], 2).reshape(len(trips), -1)
        ranks = np.lexsort((trips, times[:, -2], times[:, 1]))
        trips, times = trips[ranks], times[ranks]
        for part in _without_overtaking(times):
            chosen.append(trips[part])
            pattern_variant.append(v)
    trips = np.concatenate(chosen) if chosen else np.zeros(0, np.int64)
    lengths = np.array([len(stop[v]) for v in pattern_variant], np.int64)
    counts = np.array([len(part) for part in chosen], np.int64)
    trip_lengths = np.repeat(lengths, counts)
    row_first = np.concatenate([[0], np.cumsum(trip_lengths)])
    rows = np.repeat(first[trips] - row_first[:-1], trip_lengths) + np.arange(row_first[-1])

    def calls(columns: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
        return np.concatenate([columns[v] for v in pattern_variant]) if pattern_variant else np.zeros(0, dtype)

    return {
        "pattern_route": route[pattern_variant].astype(np.int32) if pattern_variant else np.zeros(0, np.int32),
        "pattern_variant": np.array(pattern_variant, np.int32),
        "first": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32),
        "stop": calls(stop, np.int32),
        "board": calls(board, bool),
        "alight": calls(alight, bool),
        "trip_first": np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        "time_first": np.concatenate([[0], np.cumsum(lengths * counts)]).astype(np.int64),
        "arrival": arrival[rows],
        "departure": departure[rows],
        "trip_id": [trip_id[t] for t in trips],
        "capacity": capacity[trips],
    }


def _without_overtaking(times: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Split rows, which are in order of their first departure, so that in no part a later row is earlier anywhere."""
    if np.all(times[1:] >= times[:-1]):
        return [np.arange(len(times))]
    parts: list[list[int]] = []
    for n in range(len(times)):
        for part in parts:
            if np.all(times[n] >= times[part[-1]]):
                part.append(n)
                break
        else:
            parts.append([n])
    return [np.array(part) for part in parts]


def _check_times(first, arrival, departure, trip_id) -> None:
    wrong = ~(departure >= arrival)  # also where a time is not a number
    if len(arrival):
        backwards = np.zeros(len(arrival), bool)
        backwards[1:] = ~(arrival[1:] >= departure[:-1])
        backwards[first[:-1]] = False
        wrong |= backwards
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        trip = int(np.searchsorted(first, row, side="right")) - 1
        raise TransitError(
            f"trip {trip_id[trip]}, call {row - int(first[trip]) + 1}: arrival {arrival[row]:g} s, departure "
            f"{departure[row]:g} s; times must not run backwards"
        )
