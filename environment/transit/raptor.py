"""Earliest arrivals by public transport, round by round (Delling, Pajor & Werneck 2015, "Round-based public transit
routing", Transportation Science 49:591-604).

Round k knows how early every stop is reached with at most k vehicles. Between two vehicles riders walk once at most, or
change at the stop; several departure times are searched from the latest to the earliest, and what a later departure found
bounds what an earlier one may still improve (the article's range queries).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .kernels import Lines, all_points, all_stops, pairs
from .timetable import DAY, ON_STREETS, WALK_DETOUR, WALK_SPEED, Timetable, TransitError

VEHICLES = 4
"""Vehicles of a journey at most, that is three changes; assumed."""
ACCESS_METRES = 1_000.0
"""Longest walk to the first stop and from the last, along streets: the reach of a railway station in SDG 11.2.1."""
_POINTS = 10_000  # points whose stops are looked for at once


class Walks(NamedTuple):
    """Walks between points and stops: those of point n are at first[n] … first[n + 1] − 1."""

    first: NDArray[np.int32]
    stop: NDArray[np.int32]
    seconds: NDArray[np.float64]


def lines_of(timetable: Timetable) -> Lines:
    """Return a timetable as kernels read it."""
    patterns = np.repeat(np.arange(timetable.patterns, dtype=np.int32), np.diff(timetable.first))
    place = np.arange(len(timetable.stop), dtype=np.int32) - timetable.first[patterns]
    order = np.lexsort((place, patterns, timetable.stop))
    first = np.concatenate([[0], np.cumsum(np.bincount(timetable.stop, minlength=timetable.stops))])
    columns = [getattr(timetable, name) for name in Lines._fields[:12]]
    columns += [first.astype(np.int32), patterns[order], place[order]]
    return Lines(*(_fixed(column) for column in columns))


def walks_to_stops(
    timetable: Timetable,
    x: ArrayLike,
    y: ArrayLike,
    metres: float = ACCESS_METRES,
    speed: float = WALK_SPEED,
    detour: float = WALK_DETOUR,
) -> Walks:
    """Return the walks between points and all stops near them, as the crow flies times a detour.

    Args:
        timetable: of the stops.
        x, y: (points,) metres in the timetable's CRS.
        metres: longest walk, along streets.
        speed: m/s.
        detour: metres walked for a metre as the crow flies.
    """
    from scipy.spatial import cKDTree

    points = np.stack([np.asarray(x, float), np.asarray(y, float)], 1)
    stops = np.stack([timetable.stop_x, timetable.stop_y], 1)
    if not len(stops):
        return Walks(np.zeros(len(points) + 1, np.int32), np.zeros(0, np.int32), np.zeros(0))
    tree = cKDTree(stops)
    counts, parts = [np.zeros(1, np.int64)], [np.zeros(0, np.int32)]
    for low in range(0, len(points), _POINTS):
        near = tree.query_ball_point(points[low : low + _POINTS], metres / detour, return_sorted=True)
        counts.append(np.array([len(n) for n in near], np.int64))
        parts += [np.asarray(n, np.int32) for n in near]
    first, stop = np.cumsum(np.concatenate(counts)).astype(np.int32), np.concatenate(parts)
    start = np.repeat(np.arange(len(points)), np.diff(first))
    return Walks(first, stop, np.hypot(*(points[start] - stops[stop]).T) * detour / speed)


def arrivals(
    timetable: Timetable,
    access: Walks,
    depart: ArrayLike,
    vehicles: int = VEHICLES,
    limit: float = DAY,
    threads: int = 1,
) -> NDArray[np.float64]:
    """Return how early every stop is reached.

    Args:
        timetable: what runs.
        access: walks from each origin to stops.
        depart: (departures,) seconds since midnight.
        vehicles: of a journey, at most.
        limit: longest journey in seconds.
        threads: working side by side; results do not depend on it.

    Returns:
        float64 (origins, departures, stops): seconds since midnight; infinite where a stop is not reached.
    """
    departs, order = _departures(depart)
    lines = lines_of(timetable)
    out = np.full((len(access.first) - 1, len(departs), timetable.stops), np.inf)

    def work(low: int, high: int) -> None:
        all_stops(lines, *_fixed_all(access), departs, order, vehicles, limit, low, high, out)

    _in_threads(work, len(out), threads)
    return out


def travel_times(
    timetable: Timetable,
    access: Walks,
    egress: Walks,
    depart: ArrayLike,
    vehicles: int = VEHICLES,
    limit: float = DAY,
    threads: int = 1,
) -> NDArray[np.float32]:
    """Return the seconds that journeys by public transport take from points to points, walks and waiting included.

    Walking all the way is not looked at: take the lesser of the two where one may walk.

    Args:
        timetable: what runs.
        access: walks from each origin to stops.
        egress: walks from stops to each destination (the same columns: point, stop, seconds).
        depart: (departures,) seconds since midnight.
        vehicles: of a journey, at most.
        limit: longest journey in seconds.
        threads: working side by side; results do not depend on it.

    Returns:
        float32 (departures, origins, destinations); infinite where there is no journey.
    """
    departs, order = _departures(depart)
    lines = lines_of(timetable)
    origins, destinations = len(access.first) - 1, len(egress.first) - 1
    out = np.full((len(departs), origins, destinations), np.inf, np.float32)

    def work(low: int, high: int) -> None:
        all_points(lines, *_fixed_all(access), *_fixed_all(egress), departs, order, vehicles, limit, low, high, out)

    _in_threads(work, origins, threads)
    return out


@dataclass(frozen=True)
class Journeys:
    """Journeys by public transport, leg by leg.

    Attributes:
        first: int64 (journeys + 1,) legs of journey n are rows first[n] … first[n + 1] − 1; none where there is no journey.
        trip: int32 (legs,) trip of the timetable.
        board, alight: int32 (legs,) calls (positions in ``timetable.stop``) where the rider gets on and off.
        walk: float64 (legs,) seconds of the walk, or of the change, before the leg.
        last_walk: float64 (journeys,) seconds from the last stop to the destination.
        arrive: float64 (journeys,) seconds since midnight, infinite where there is no journey.
    """

    first: NDArray[np.int64]
    trip: NDArray[np.int32]
    board: NDArray[np.int32]
    alight: NDArray[np.int32]
    walk: NDArray[np.float64]
    last_walk: NDArray[np.float64]
    arrive: NDArray[np.float64]


def journeys(
    timetable: Timetable,
    access: Walks,
    egress: Walks,
    origin: ArrayLike,
    destination: ArrayLike,
    depart: ArrayLike,
    vehicles: int = VEHICLES,
    limit: float = DAY,
    threads: int = 1,
) -> Journeys:
    """Return the journey that arrives first, with the fewest vehicles among those, for many pairs of points.

    Pairs with the same origin and departure share one search: rounding departures, for example to the quarter of an hour,
    makes many journeys cheap.

    Args:
        timetable: what runs.
        access: walks from each origin to stops.
        egress: walks from stops to each destination.
        origin: (journeys,) rows of access.
        destination: (journeys,) rows of egress.
        depart: (journeys,) seconds since midnight.
        vehicles: of a journey, at most.
        limit: longest journey in seconds.
        threads: working side by side; results do not depend on it.
    """
    origin, destination = np.asarray(origin, np.int32), np.asarray(destination, np.int32)
    departs = np.asarray(depart, float)
    order = np.lexsort((departs, origin))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(origin[order]) != 0) | (np.diff(departs[order]) != 0)
    group = np.append(np.flatnonzero(new), len(order))
    lines = lines_of(timetable)
    legs = np.zeros(len(order), np.int32)
    trip, board, alight = (np.zeros((len(order), vehicles), np.int32) for _ in range(3))
    walk = np.zeros((len(order), vehicles))
    last_walk, arrive = np.zeros(len(order)), np.full(len(order), np.inf)
    what = (order, group, origin, destination, departs)

    results = (legs, trip, board, alight, walk, last_walk, arrive)

    def work(low: int, high: int) -> None:
        pairs(lines, *_fixed_all(access), *_fixed_all(egress), *what, vehicles, limit, low, high, *results)

    _in_threads(work, len(group) - 1, threads)
    used = np.arange(vehicles) < legs[:, None]
    first = np.concatenate([[0], np.cumsum(legs, dtype=np.int64)])
    return Journeys(first, trip[used], board[used], alight[used], walk[used], last_walk, arrive)


class Parts(NamedTuple):
    """What journeys consist of, a row a journey; nan where there is none.

    ``seconds`` from departure to arrival are ``walk`` (and changes at a stop), ``ride`` in vehicles and ``wait``;
    ``transfers`` is the number of vehicles less one, ``only_bus`` whether all of them are buses.
    """

    seconds: NDArray[np.float64]
    walk: NDArray[np.float64]
    ride: NDArray[np.float64]
    wait: NDArray[np.float64]
    transfers: NDArray[np.float64]
    only_bus: NDArray[np.bool_]


def parts_of(timetable: Timetable, found: Journeys, depart: ArrayLike) -> Parts:
    """Return what journeys consist of.

    Args:
        timetable: by which they were planned.
        found: the journeys.
        depart: (journeys,) seconds since midnight for which they were planned.
    """
    pattern = timetable.trip_pattern[found.trip]
    row = timetable.trip_time_first[found.trip] - timetable.first[pattern]
    riding = timetable.arrival[row + found.alight] - timetable.departure[row + found.board]
    bus = np.isin(timetable.route_type[timetable.pattern_route[pattern]], [int(kind) for kind in ON_STREETS])
    legs = np.diff(found.first)
    journey = np.repeat(np.arange(len(legs)), legs)
    none = np.where(legs > 0, 0.0, np.nan)
    seconds = np.where(legs > 0, found.arrive - np.asarray(depart, float), np.nan)
    walk = np.bincount(journey, found.walk, len(legs)) + found.last_walk + none
    ride = np.bincount(journey, riding, len(legs)) + none
    only_bus = (np.bincount(journey, ~bus, len(legs)) == 0) & (legs > 0)
    transfers = (legs - 1.0 + none).astype(np.float64)
    return Parts(seconds, walk, ride.astype(np.float64), seconds - walk - ride, transfers, only_bus)


def _fixed(column: NDArray[Any]) -> NDArray[Any]:
    view = np.ascontiguousarray(column).view()
    view.flags.writeable = False  # kernels see one type of array whatever it came from
    return view


def _fixed_all(walks: Walks) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    first, stop, seconds = walks
    return (
        _fixed(np.asarray(first, np.int32)),
        _fixed(np.asarray(stop, np.int32)),
        _fixed(np.asarray(seconds, np.float64)),
    )


def _departures(depart: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    departs = np.atleast_1d(np.asarray(depart, float))
    if not np.isfinite(departs).all():
        raise TransitError("departures must be finite numbers of seconds since midnight")
    return departs, np.argsort(-departs, kind="stable")


def _in_threads(work: Any, count: int, threads: int) -> None:
    """Call ``work(low, high)`` on ranges that cover 0 … count − 1."""
    bounds = np.linspace(0, count, min(max(threads, 1), max(count, 1)) + 1).astype(int)
    if len(bounds) == 2:
        work(0, count)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(bounds) - 1) as pool:
        list(pool.map(work, bounds[:-1].tolist(), bounds[1:].tolist()))
