"""Earliest arrivals by public transport, round by round (Delling, Pajor & Werneck 2015, "Round-based public transit
routing", Transportation Science 49:591-604).

Round k knows how early every stop is reached with at most k vehicles. Between two vehicles riders walk once at most, or
change at the stop; several departure times are searched from the latest to the earliest, and what a later departure found
bounds what an earlier one may still improve (the article's range queries).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from .timetable import DAY, WALK_DETOUR, WALK_SPEED, Timetable, TransitError

VEHICLES = 4
"""Vehicles of a journey at most, that is three changes; assumed."""
ACCESS_METRES = 1_000.0
"""Longest walk to the first stop and from the last, along streets: the reach of a railway station in SDG 11.2.1."""


class Lines(NamedTuple):
    """A timetable as kernels read it: columns of :class:`.timetable.Timetable`, and which patterns call at each stop."""

    first: NDArray[np.int32]
    stop: NDArray[np.int32]
    board: NDArray[np.bool_]
    alight: NDArray[np.bool_]
    trip_first: NDArray[np.int32]
    time_first: NDArray[np.int64]
    arrival: NDArray[np.float64]
    departure: NDArray[np.float64]
    change: NDArray[np.float64]
    walk_first: NDArray[np.int32]
    walk_stop: NDArray[np.int32]
    walk_seconds: NDArray[np.float64]
    call_first: NDArray[np.int32]
    call_pattern: NDArray[np.int32]
    call_place: NDArray[np.int32]


class Labels(NamedTuple):
    """What a search knows, by number of vehicles k and stop.

    ``ride``: arrival by vehicle; ``ready``: when the next vehicle may be boarded. ``trip, boarded, alighted``: trip of the
    vehicle (counted in all trips) and its calls (counted in all calls) by which ``ride`` came about in round k;
    ``walked_from``: stop where the last vehicle was left before ``ready``. Both hold where round k improved the stop.
    """

    ride: NDArray[np.float64]
    ready: NDArray[np.float64]
    trip: NDArray[np.int32]
    boarded: NDArray[np.int32]
    alighted: NDArray[np.int32]
    walked_from: NDArray[np.int32]


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
    near = cKDTree(stops).query_ball_point(points, metres / detour, return_sorted=True)
    first = np.concatenate([[0], np.cumsum([len(n) for n in near], dtype=np.int64)]).astype(np.int32)
    stop = np.concatenate([np.asarray(n, np.int32) for n in near]) if len(near) else np.zeros(0, np.int32)
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
        _all_stops(lines, *_fixed_all(access), departs, order, vehicles, limit, low, high, out)

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
        _all_points(lines, *_fixed_all(access), *_fixed_all(egress), departs, order, vehicles, limit, low, high, out)

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
        _pairs(lines, *_fixed_all(access), *_fixed_all(egress), *what, vehicles, limit, low, high, *results)

    _in_threads(work, len(group) - 1, threads)
    used = np.arange(vehicles) < legs[:, None]
    first = np.concatenate([[0], np.cumsum(legs, dtype=np.int64)])
    return Journeys(first, trip[used], board[used], alight[used], walk[used], last_walk, arrive)


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


# ---------------------------------------------------------------------- kernels


@njit(cache=True, nogil=True)
def _labels(vehicles, stops):
    return Labels(
        np.full((vehicles + 1, stops), np.inf),
        np.full((vehicles + 1, stops), np.inf),
        np.empty((vehicles + 1, stops), np.int32),  # read only where a label was written
        np.empty((vehicles + 1, stops), np.int32),
        np.empty((vehicles + 1, stops), np.int32),
        np.empty((vehicles + 1, stops), np.int32),
    )


@njit(cache=True, nogil=True)
def _search(lines, labels, access_stop, access_seconds, low, high, depart, latest):
    """Improve labels by leaving at ``depart`` over access rows low … high − 1; arrivals after ``latest`` are dropped."""
    first, stop, board, alight = lines.first, lines.stop, lines.board, lines.alight
    trip_first, time_first, arrival, departure = lines.trip_first, lines.time_first, lines.arrival, lines.departure
    change, walk_first, walk_stop, walk_seconds = lines.change, lines.walk_first, lines.walk_stop, lines.walk_seconds
    call_first, call_pattern, call_place = lines.call_first, lines.call_pattern, lines.call_place
    ride, ready, trips = labels.ride, labels.ready, labels.trip
    boarded, alighted, walked_from = labels.boarded, labels.alighted, labels.walked_from
    stops, rounds = ride.shape[1], ride.shape[0] - 1
    patterns = first.size - 1
    marked, marks = np.zeros(stops, np.bool_), np.empty(stops, np.int32)
    rode, rides = np.zeros(stops, np.bool_), np.empty(stops, np.int32)
    since, queue = np.full(patterns, -1, np.int32), np.empty(patterns, np.int32)
    n_marks = 0
    for n in range(low, high):
        s, t = access_stop[n], depart + access_seconds[n]
        if t < ready[0, s] and t <= latest:
            for k in range(rounds + 1):
                ready[k, s] = min(t, ready[k, s])
            if not marked[s]:
                marked[s] = True
                marks[n_marks] = s
                n_marks += 1
    for k in range(1, rounds + 1):
        n_queue = 0
        for m in range(n_marks):
            s = marks[m]
            marked[s] = False
            for c in range(call_first[s], call_first[s + 1]):
                p = call_pattern[c]
                if since[p] < 0:
                    queue[n_queue] = p
                    n_queue += 1
                    since[p] = call_place[c]
                elif call_place[c] < since[p]:
                    since[p] = call_place[c]
        n_marks = n_rides = 0
        for q in range(n_queue):
            p = queue[q]
            calls = first[p + 1] - first[p]
            base, start = first[p], since[p]
            since[p] = -1
            times = time_first[p]
            n_trips = trip_first[p + 1] - trip_first[p]
            trip, on = n_trips, -1  # trip that one sits in (n_trips: none), call where it was boarded
            for i in range(start, calls):
                s = stop[base + i]
                if trip < n_trips and alight[base + i]:
                    t = arrival[times + np.int64(trip) * calls + i]
                    if t > latest:
                        trip = n_trips
                    elif t < ride[k, s]:
                        for later in range(k, rounds + 1):
                            if t >= ride[later, s]:
                                break
                            ride[later, s] = t
                        trips[k, s] = trip_first[p] + trip
                        boarded[k, s] = base + on
                        alighted[k, s] = base + i
                        if not rode[s]:
                            rode[s] = True
                            rides[n_rides] = s
                            n_rides += 1
                t = ready[k - 1, s]
                if not board[base + i] or t > latest:
                    continue
                if trip < n_trips:
                    if trip == 0 or departure[times + np.int64(trip - 1) * calls + i] < t:
                        continue  # no earlier trip can be caught here
                    below, above = 0, trip - 1
                else:
                    below, above = 0, n_trips
                while below < above:  # first trip that leaves at t or later
                    middle = (below + above) >> 1
                    if departure[times + np.int64(middle) * calls + i] < t:
                        below = middle + 1
                    else:
                        above = middle
                if below < n_trips:
                    trip, on = below, i
        for r in range(n_rides):
            s = rides[r]
            rode[s] = False
            t = ride[k, s]
            u, at, next_walk = s, t + change[s], walk_first[s]
            while True:
                if at < ready[k, u] and at <= latest:
                    for later in range(k, rounds + 1):
                        if at >= ready[later, u]:
                            break
                        ready[later, u] = at
                    walked_from[k, u] = s
                    if not marked[u]:
                        marked[u] = True
                        marks[n_marks] = u
                        n_marks += 1
                if next_walk == walk_first[s + 1]:
                    break
                u, at = walk_stop[next_walk], t + walk_seconds[next_walk]
                next_walk += 1
        if n_marks == 0:
            break


@njit(cache=True, nogil=True)
def _all_stops(lines, access_first, access_stop, access_seconds, departs, order, vehicles, limit, low, high, out):
    """Fill ``out[origin, departure, stop]`` with the earliest arrival, by vehicle or on foot."""
    stops = lines.change.size
    for origin in range(low, high):
        labels = _labels(vehicles, stops)
        ride, ready = labels.ride, labels.ready
        for number in order:
            latest = departs[number] + limit
            start, end = access_first[origin], access_first[origin + 1]
            _search(lines, labels, access_stop, access_seconds, start, end, departs[number], latest)
            for s in range(stops):
                t = min(ride[vehicles, s], ready[vehicles, s])
                if t <= latest:
                    out[origin, number, s] = t


@njit(cache=True, nogil=True)
def _all_points(
    lines,
    access_first,
    access_stop,
    access_seconds,
    egress_first,
    egress_stop,
    egress_seconds,
    departs,
    order,
    vehicles,
    limit,
    low,
    high,
    out,
):
    """Fill ``out[departure, origin, destination]`` with the seconds of the quickest journey."""
    stops = lines.change.size
    for origin in range(low, high):
        labels = _labels(vehicles, stops)
        ride = labels.ride
        for number in order:
            depart = departs[number]
            latest = depart + limit
            start, end = access_first[origin], access_first[origin + 1]
            _search(lines, labels, access_stop, access_seconds, start, end, depart, latest)
            for destination in range(egress_first.size - 1):
                best = np.inf
                for n in range(egress_first[destination], egress_first[destination + 1]):
                    best = min(best, ride[vehicles, egress_stop[n]] + egress_seconds[n])
                if best <= latest:
                    out[number, origin, destination] = best - depart


@njit(cache=True, nogil=True)
def _pairs(
    lines,
    access_first,
    access_stop,
    access_seconds,
    egress_first,
    egress_stop,
    egress_seconds,
    order,
    group,
    origins,
    destinations,
    departs,
    vehicles,
    limit,
    low,
    high,
    legs,
    trip,
    board,
    alight,
    walk,
    last_walk,
    arrive,
):
    """Fill the legs of the journeys of groups low … high − 1, which share origin and departure."""
    stops = lines.change.size
    stop, change = lines.stop, lines.change
    walk_first, walk_stop, walk_seconds = lines.walk_first, lines.walk_stop, lines.walk_seconds
    for g in range(low, high):
        one = order[group[g]]
        origin, latest = origins[one], departs[one] + limit
        labels = _labels(vehicles, stops)
        start, end = access_first[origin], access_first[origin + 1]
        _search(lines, labels, access_stop, access_seconds, start, end, departs[one], latest)
        ride = labels.ride
        for row in range(group[g], group[g + 1]):
            j = order[row]
            best, k, s, last = np.inf, 0, -1, 0.0
            for n in range(egress_first[destinations[j]], egress_first[destinations[j] + 1]):
                u = egress_stop[n]
                t = ride[vehicles, u] + egress_seconds[n]
                if t > latest or t > best:
                    continue
                rounds = vehicles
                while rounds > 1 and ride[rounds - 1, u] == ride[rounds, u]:
                    rounds -= 1
                if t < best or rounds < k:
                    best, k, s, last = t, rounds, u, egress_seconds[n]
            if s < 0 or best == np.inf:
                continue
            arrive[j], last_walk[j] = best, last
            # backwards from the last stop: a ride found in round k begins where round k − 1 improved a stop
            legs[j] = k
            while k > 0:
                leg = k - 1
                trip[j, leg] = labels.trip[k, s]
                board[j, leg] = labels.boarded[k, s]
                alight[j, leg] = labels.alighted[k, s]
                u = stop[labels.boarded[k, s]]
                k -= 1
                if k == 0:
                    walk[j, leg] = labels.ready[0, u] - departs[one]
                    break
                s = labels.walked_from[k, u]
                if s == u:
                    walk[j, leg] = change[u]
                else:
                    for n in range(walk_first[s], walk_first[s + 1]):
                        if walk_stop[n] == u:
                            walk[j, leg] = walk_seconds[n]
