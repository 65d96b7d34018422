"""Riders of public transport: who gets into which vehicle, with room for so many, and when everybody arrives.

A rider keeps to the lines of a planned journey, not to its vehicles: at each stop the first vehicle of the variant (the same
line with the same stops) that has room takes them on, in the order in which they came to the stop. Whom a full vehicle
leaves behind waits on and is counted.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ...environment.transit.raptor import Journeys
from ...environment.transit.timetable import Timetable
from ..presence import fixed


class RiderState(IntEnum):
    """How a rider's journey stands."""

    ARRIVED = 0
    UNDER_WAY = 1  # in a vehicle or walking
    LEFT_OVER = 2  # at a stop, where no further vehicle with room came
    NO_JOURNEY = 3  # none was planned


@dataclass(frozen=True)
class Riders:
    """Planned journeys by lines.

    Attributes:
        first: int64 (riders + 1,) legs of rider n are rows first[n] … first[n + 1] − 1; none without a journey.
        variant: int32 (legs,) variant of the timetable.
        board, alight: int32 (legs,) calls of the variant, counted from 0, where the rider gets on and off.
        walk: float64 (legs,) seconds of the walk before the leg.
        last_walk: float64 (riders,) seconds from the last stop to the destination.
        depart: float64 (riders,) seconds since midnight.
    """

    first: NDArray[np.int64]
    variant: NDArray[np.int32]
    board: NDArray[np.int32]
    alight: NDArray[np.int32]
    walk: NDArray[np.float64]
    last_walk: NDArray[np.float64]
    depart: NDArray[np.float64]


@dataclass(frozen=True)
class Rides:
    """What became of riders.

    Attributes:
        state: uint8 (riders,) :class:`RiderState`.
        arrive: float64 (riders,) seconds since midnight, nan where the rider has not left the last vehicle.
        left_behind: int32 (riders,) full vehicles that the rider saw leave.
        trip: int32 (legs,) trip of the timetable that was taken, −1 if none was.
        boarded, alighted: float64 (legs,) seconds since midnight, nan where it has not happened.
        load: int32 (times,) riders in each vehicle when it leaves each stop, in the order of ``timetable.departure``.
        refused: int32 (times,) riders whom it leaves behind there.
    """

    state: NDArray[np.uint8]
    arrive: NDArray[np.float64]
    left_behind: NDArray[np.int32]
    trip: NDArray[np.int32]
    boarded: NDArray[np.float64]
    alighted: NDArray[np.float64]
    load: NDArray[np.int32]
    refused: NDArray[np.int32]

    def balance(self) -> dict[str, int]:
        """Return where all riders are: ``riders`` is the sum of the others but the last, ``left behind`` counts refusals.

        Raises:
            RuntimeError: if it is not, which would be an error of the program.
        """
        counts = np.bincount(self.state, minlength=len(RiderState))
        found = {"riders": len(self.state)} | {
            state.name.lower().replace("_", " "): int(counts[state]) for state in RiderState
        }
        inside = int(np.count_nonzero(np.isfinite(self.boarded) & np.isnan(self.alighted)))
        if counts.sum() != len(self.state) or self.left_behind.sum() != self.refused.sum() or inside > counts[1]:
            raise RuntimeError(f"riders were lost: {found}, {inside} in vehicles, {self.refused.sum()} refused")
        return found | {"left behind": int(self.refused.sum())}


def riders_of(timetable: Timetable, journeys: Journeys, depart: ArrayLike) -> Riders:
    """Return journeys by lines, so that they hold for the same timetable at other times.

    Args:
        timetable: by which the journeys were planned.
        journeys: see :func:`~citytwin.environment.transit.raptor.journeys`.
        depart: (journeys,) seconds since midnight at which riders really leave.
    """
    pattern = timetable.trip_pattern[journeys.trip]
    return Riders(
        journeys.first,
        timetable.pattern_variant[pattern],
        (journeys.board - timetable.first[pattern]).astype(np.int32),
        (journeys.alight - timetable.first[pattern]).astype(np.int32),
        journeys.walk,
        journeys.last_walk,
        np.asarray(depart, float),
    )


def ride(timetable: Timetable, riders: Riders, until: float = np.inf) -> Rides:
    """Let riders make their journeys with the vehicles of a timetable.

    Vehicles that come and go at the same second meet: arrivals come before departures. Only where a vehicle needs no time
    at all from a stop to the next do its riders miss others that leave in that very second.

    Args:
        timetable: planned or actual, with the variants by which the journeys were planned.
        riders: see :func:`riders_of`.
        until: seconds since midnight at which it is looked who is where.
    """
    lengths = np.diff(timetable.first)
    variants = int(timetable.pattern_variant.max()) + 1 if timetable.patterns else 0
    variant_length = np.zeros(variants, np.int64)
    variant_length[timetable.pattern_variant] = lengths
    queue_first = np.concatenate([[0], np.cumsum(variant_length)])
    row_first = timetable.trip_time_first
    row_trip = np.repeat(np.arange(timetable.trips, dtype=np.int32), np.diff(row_first))
    place = np.arange(len(row_trip)) - row_first[row_trip]
    row_pattern = timetable.trip_pattern[row_trip]
    row_queue = queue_first[timetable.pattern_variant[row_pattern]] + place
    row_open = timetable.board[timetable.first[row_pattern] + place] & (place < lengths[row_pattern] - 1)
    queue = (queue_first[riders.variant] + riders.board).astype(np.int64)
    began = np.flatnonzero(np.diff(riders.first) > 0)
    first_leg = riders.first[began]
    ready = np.full(len(riders.depart), np.nan)
    ready[began] = riders.depart[began] + riders.walk[first_leg]
    waiting = began[np.lexsort((began, ready[began], queue[first_leg]))]
    waiting_first = np.searchsorted(queue[riders.first[waiting]], np.arange(queue_first[-1] + 1))
    order = _events(timetable, place)
    done = Rides(
        np.where(np.diff(riders.first) > 0, RiderState.LEFT_OVER, RiderState.NO_JOURNEY).astype(np.uint8),
        np.full(len(ready), np.nan),
        np.zeros(len(ready), np.int32),
        np.full(len(queue), -1, np.int32),
        np.full(len(queue), np.nan),
        np.full(len(queue), np.nan),
        np.zeros(len(row_trip), np.int32),
        np.zeros(len(row_trip), np.int32),
    )
    runs = _Runs(
        *(fixed(a) for a in (timetable.arrival, timetable.departure)),
        *(fixed(a) for a in (row_first, row_trip, row_queue, row_open, timetable.capacity)),
    )
    plans = _Plans(
        *(fixed(a) for a in (riders.first, queue, riders.alight - riders.board, riders.walk, riders.last_walk))
    )
    _ride(
        runs, plans, fixed(order), fixed(waiting), fixed(waiting_first), ready, float(until),
        done.state, done.arrive, done.left_behind, done.trip, done.boarded, done.alighted, done.load, done.refused,
    )  # fmt: skip
    return done


def _events(timetable: Timetable, place: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return arrivals (2 × row) and departures (2 × row + 1) in order of time.

    At the same time arrivals come first, then departures, then arrivals that took no time since their departure, and so on.
    """
    arrival, departure = timetable.arrival, timetable.departure
    rows = np.arange(len(arrival))
    hop = np.zeros(len(arrival), bool)
    hop[1:] = (arrival[1:] == departure[:-1]) & (place[1:] > 0)
    through = hop & (departure == arrival)
    run = rows - np.maximum.accumulate(np.where(through, 0, rows + 1)) + 1  # hops without time up to here
    before = np.concatenate([[0], run[:-1]])
    depth = np.stack([np.where(hop, before + 1, 0), run], 1).ravel() * 2 + np.tile([0, 1], len(rows))
    events = np.arange(2 * len(rows))
    return np.lexsort((events, depth, np.stack([arrival, departure], 1).ravel()))


class _Runs(NamedTuple):
    """Vehicles: times by row (a trip at a call), and by trip where its rows begin and how many riders fit in."""

    arrival: NDArray[Any]
    departure: NDArray[Any]
    first: NDArray[Any]
    trip: NDArray[Any]
    queue: NDArray[Any]
    open: NDArray[Any]
    capacity: NDArray[Any]


class _Plans(NamedTuple):
    """Legs of riders: queue where each is begun, calls until it ends, walk before it."""

    first: NDArray[Any]
    queue: NDArray[Any]
    calls: NDArray[Any]
    walk: NDArray[Any]
    last_walk: NDArray[Any]


@njit(cache=True, nogil=True)
def _ride(
    runs,
    plans,
    order,
    waiting,
    waiting_first,
    ready,
    until,
    state,
    arrive,
    left_behind,
    taken,
    boarded,
    alighted,
    load,
    refused,
):
    """Take arrivals and departures one by one. Who changes joins a list by queue that is kept in order of coming."""
    arrival, departure, row_first, row_trip = runs.arrival, runs.departure, runs.first, runs.trip
    row_queue, row_open, capacity = runs.queue, runs.open, runs.capacity
    first, queue, calls, walk, last_walk = plans.first, plans.queue, plans.calls, plans.walk, plans.last_walk
    queues = waiting_first.size - 1
    at = waiting_first[:-1].copy()  # first of those who begin at a queue that still waits
    changed_head, changed_tail = np.full(queues, -1, np.int64), np.full(queues, -1, np.int64)
    leaving = np.full(arrival.size, -1, np.int64)  # first of those in the vehicle who get off at a row
    following = np.full(state.size, -1, np.int64)
    leg = first[:-1].copy()
    inside = np.zeros(row_first.size - 1, np.int32)
    for event in order:
        row = event >> 1
        now = arrival[row] if event & 1 == 0 else departure[row]
        if not now <= until:
            break
        trip = row_trip[row]
        if event & 1 == 0:
            rider = leaving[row]
            while rider >= 0:
                then = following[rider]
                done = leg[rider]
                inside[trip] -= 1
                alighted[done] = now
                leg[rider] = done + 1
                if done + 1 == first[rider + 1]:
                    arrive[rider] = now + last_walk[rider]
                    state[rider] = 0 if arrive[rider] <= until else 1
                else:
                    state[rider] = 2
                    comes = now + walk[done + 1]
                    ready[rider] = comes
                    q = queue[done + 1]
                    following[rider] = -1
                    tail = changed_tail[q]
                    if tail < 0:
                        changed_head[q] = changed_tail[q] = rider
                    elif ready[tail] < comes or (ready[tail] == comes and tail < rider):
                        following[tail] = rider
                        changed_tail[q] = rider
                    else:
                        before, other = np.int64(-1), changed_head[q]
                        while ready[other] < comes or (ready[other] == comes and other < rider):
                            before, other = other, following[other]
                        following[rider] = other
                        if before < 0:
                            changed_head[q] = rider
                        else:
                            following[before] = rider
                rider = then
            continue
        if row_open[row]:
            q = row_queue[row]
            end = waiting_first[q + 1]
            while True:
                rider = waiting[at[q]] if at[q] < end and ready[waiting[at[q]]] <= now else np.int64(-1)
                other = changed_head[q]
                if (
                    other >= 0
                    and ready[other] <= now
                    and (rider < 0 or ready[other] < ready[rider] or (ready[other] == ready[rider] and other < rider))
                ):
                    rider = other
                if rider < 0 or inside[trip] >= capacity[trip]:
                    break
                if rider == other:
                    changed_head[q] = following[rider]
                    if following[rider] < 0:
                        changed_tail[q] = -1
                else:
                    at[q] += 1
                inside[trip] += 1
                state[rider] = 1
                taken[leg[rider]] = trip
                boarded[leg[rider]] = now
                off = row + calls[leg[rider]]
                following[rider] = leaving[off]
                leaving[off] = rider
            if rider >= 0:  # the vehicle is full
                n = at[q]
                while n < end and ready[waiting[n]] <= now:
                    left_behind[waiting[n]] += 1
                    refused[row] += 1
                    n += 1
                other = changed_head[q]
                while other >= 0 and ready[other] <= now:
                    left_behind[other] += 1
                    refused[row] += 1
                    other = following[other]
        load[row] = inside[trip]
    for rider in range(state.size):
        if state[rider] == 2 and ready[rider] > until:
            state[rider] = 1
