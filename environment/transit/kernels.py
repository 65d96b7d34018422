"""Kernels of the search for earliest arrivals, see :mod:`.raptor`."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray


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
def _search(
    lines, labels, access_stop, access_seconds, low, high, depart, latest, egress_stop, egress_seconds, near, far
):
    """Improve labels by leaving at ``depart`` over access rows low … high − 1; arrivals after ``latest`` are dropped.

    So is, from round to round, what comes too late to improve the arrival over egress rows near … far − 1.
    """
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
        for n in range(near, far):
            latest = min(latest, ride[k, egress_stop[n]] + egress_seconds[n])


@njit(cache=True, nogil=True)
def all_stops(lines, access_first, access_stop, access_seconds, departs, order, vehicles, limit, low, high, out):
    """Fill ``out[origin, departure, stop]`` with the earliest arrival, by vehicle or on foot."""
    stops = lines.change.size
    for origin in range(low, high):
        labels = _labels(vehicles, stops)
        ride, ready = labels.ride, labels.ready
        for number in order:
            latest = departs[number] + limit
            start, end = access_first[origin], access_first[origin + 1]
            _search(
                lines, labels, access_stop, access_seconds, start, end, departs[number], latest,
                access_stop, access_seconds, 0, 0,
            )  # fmt: skip
            for s in range(stops):
                t = min(ride[vehicles, s], ready[vehicles, s])
                if t <= latest:
                    out[origin, number, s] = t


@njit(cache=True, nogil=True)
def all_points(
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
            _search(
                lines,
                labels,
                access_stop,
                access_seconds,
                start,
                end,
                depart,
                latest,
                egress_stop,
                egress_seconds,
                0,
                0,
            )
            for destination in range(egress_first.size - 1):
                best = np.inf
                for n in range(egress_first[destination], egress_first[destination + 1]):
                    best = min(best, ride[vehicles, egress_stop[n]] + egress_seconds[n])
                if best <= latest:
                    out[number, origin, destination] = best - depart


@njit(cache=True, nogil=True)
def pairs(
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
        near = far = 0
        if group[g + 1] == group[g] + 1:  # a search for one destination ends sooner
            near, far = egress_first[destinations[one]], egress_first[destinations[one] + 1]
        _search(
            lines, labels, access_stop, access_seconds, start, end, departs[one], latest,
            egress_stop, egress_seconds, near, far,
        )  # fmt: skip
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
