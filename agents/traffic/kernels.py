"""The kernel of traffic flow: single vehicles on links with storage, backward gaps, merges, signals and spillback.

The model is Newell's simplified kinematic wave (Newell 1993; Yperman 2007's link transmission) for single vehicles in
continuous time. A vehicle may pass from link i to link j at the earliest time at which

1. it heads i and has driven it: its entry plus the free-flow time (plus the penalty of the turn into i, plus dwell);
2. the link lets it go: the headway 1/capacity after the one before, in green if there is a signal;
3. j has taken the one before: the entry headway 1/(flow that the fundamental diagram allows);
4. there is room on j: the vehicle N places ahead has left j, and its gap has travelled back along j (length/wave speed).

Whoever cannot pass waits at the head of its own link and blocks all behind (first in, first out). Arms that wait for the
same link share what it receives by their weights: the arm with the least virtual time goes, and pays 1/weight for it.

Events lie in a calendar of buckets of ``step`` seconds. They carry their exact times, so that the step decides only in which
order events of the same bucket are taken, not how long anything lasts.
"""

import numpy as np
from numba import njit

from .departures import RETRY, departures, join_queue, next_trip, push
from .layout import (
    ARRIVED,
    BUCKETS,
    CENTIMETRES,
    CLASS,
    DESTINATION,
    EVENTS,
    FLAGS,
    FORCED,
    FORCED_MOVES,
    FREE_MILLISECONDS,
    LOG,
    LOGGED,
    MOVES,
    NOWHERE,
    PATH_AT,
    SIZE,
    UNDER_WAY,
    WAITING,
)
from .prefetch import prefetch

_EPSILON = 1e-6  # s; times closer than this are the same time


@njit(inline="always")
def _wrapped(place, ring):
    """Return a place of a ring, given one that may be beyond its end."""
    while place >= ring:
        place -= ring
    return place


@njit(inline="always")
def _full(link, size):
    """Return whether a vehicle finds no room on a link; one that is larger than the link has it alone."""
    return link.units + size > link.places and link.units > 0


@njit(inline="always")
def _free_at(link, places, size):
    """Return when the entrance is free and the gap has come that a vehicle of a size fills, on a link with room for it."""
    place = link.head + link.units + min(size, link.places) - 1 + link.ring - link.places
    return max(link.next_entry, places[link.place_first + _wrapped(place, link.ring)].free_at)


@njit(inline="always")
def _in_green(link, time, windows):
    """Return the first moment from ``time`` on at which the exit of a link has green."""
    best = time if link.windows == 0 else np.inf
    for number in range(link.window_first, link.window_first + link.windows):
        window = windows[number]
        phase = time % window.cycle
        if phase < window.start:
            moment = time + window.start - phase
        elif phase < window.end:
            moment = time
        else:
            moment = time + window.cycle - phase + window.start
        best = min(best, moment)
    return best


@njit(inline="always")
def stop_waiting(arms, link, number):
    """Take an arm from the list of those that wait for a link."""
    arms[number].target = -1
    if link.waiting == number:
        link.waiting = arms[number].wait_next
    else:
        before = link.waiting
        while arms[before].wait_next != number:
            before = arms[before].wait_next
        arms[before].wait_next = arms[number].wait_next


@njit(cache=True, nogil=True, error_model="numpy")
def flow(
    streets, state, vehicles, tables, destination_node, path, origin, previous, duration, order, begin, end, step, stuck
):
    """Move all vehicles from ``begin`` to ``end`` and return the bucket reached.

    Args:
        streets, state: as declared in :mod:`.layout`; both are changed in place.
        vehicles: int32 (vehicles, 8), columns DESTINATION … AFTER.
        tables: uint8 (destinations, states) arc to take, counted from the first of the state.
        destination_node: int32 (destinations,).
        path: int32, links of the paths of vehicles that have one, each closed by −1.
        origin: int32 (vehicles,) node; −1 for a vehicle that does not use the streets but arrives after ``duration``.
        previous: int32 (vehicles,) trip that the same person makes before; −1 if there is none.
        duration: float64 (2, vehicles) seconds of trips that do not use the streets, of others the least between the arrival
            of the trip before and their departure; and when each trip is planned to begin, in rising order.
        order: int64 (2,) the next trip to depart, and the number of trips.
        begin, end: buckets, begin included and end not.
        step: seconds of a bucket.
        stuck: seconds after which a waiting vehicle is forced on; 0 for never.

    Returns:
        The bucket that comes next: ``end``, or an earlier one if the log is nearly full and has to be emptied.
    """
    links, arms, places, windows = streets.links, streets.arms, streets.places, streets.windows
    arc_link, arc_penalty, depart_arc = streets.arc_link, streets.arc_penalty, streets.depart_arc
    bucket, events, late, queue_next = state.bucket, state.events, state.late, state.queue_next
    depart, arrive, left_of, counters = state.depart, state.arrive, state.left_of, state.counters
    log_vehicle, log_link, log_time = state.log_vehicle, state.log_link, state.log_time
    lasting = duration[0]
    queues = links.size  # arms from here on are queues of departures
    grants = 2 * links.size
    timers = 3 * links.size
    for now in range(begin, end):
        if log_time.size - counters[LOG] < log_time.size // 2:
            return now
        # the rows of those whose turn comes in this bucket are fetched from memory all at once, not one after the other
        event = bucket[0, now % BUCKETS]
        while event >= 0:
            if event < queues:
                leaving = links[event]
                prefetch(vehicles, places[leaving.place_first + leaving.head].vehicle)
            elif event < grants:
                prefetch(vehicles, arms[event].queue_head)
            event = events[event].next
        departures(
            streets, state, vehicles, tables, destination_node, path, origin, previous, duration, order, now, step
        )
        limit = (now + 1) * step
        place = now % BUCKETS
        while True:
            family = 0 if bucket[0, place] >= 0 else 1
            event = bucket[family, place]
            if event < 0:
                break
            bucket[family, place] = events[event].next
            time = events[event].time
            if time >= limit:
                push(bucket, events, family, event, time, now + 1, step)
                continue
            counters[EVENTS] += 1
            if event < grants:  # the head of an arm is ready
                number = event
                into = -1
                taken = -1
                if number < queues:
                    leaving = links[number]
                    vehicle = places[leaving.place_first + leaving.head].vehicle
                    size = vehicles[vehicle, SIZE]
                    if vehicles[vehicle, PATH_AT] >= 0:
                        into = path[vehicles[vehicle, PATH_AT]]
                    elif destination_node[vehicles[vehicle, DESTINATION]] != leaving.end_node:
                        choice = tables[vehicles[vehicle, DESTINATION], leaving.end_state]
                        if choice == NOWHERE:  # a closure has cut it off: it waits for another table
                            push(bucket, events, 0, number, time + RETRY, now, step)
                            continue
                        taken = leaving.arc_first + choice
                        into = arc_link[taken]
                else:
                    into = number - queues
                    vehicle = arms[number].queue_head
                    size = vehicles[vehicle, SIZE]
                if into >= 0:
                    entering = links[into]
                    of = vehicles[vehicle, FLAGS] >> CLASS
                    other = into
                    if number >= queues and vehicles[vehicle, PATH_AT] >= 0:  # it may have another way by now
                        other = path[vehicles[vehicle, PATH_AT] - 1]
                    if other != into or entering.closed >> of & 1:
                        if number >= queues and vehicles[vehicle, PATH_AT] < 0:
                            choice = tables[vehicles[vehicle, DESTINATION], depart_arc[origin[vehicle], 0]]
                            if choice != NOWHERE:
                                other = arc_link[depart_arc[origin[vehicle], 1] + choice]
                        if other == into or links[other].closed >> of & 1:
                            push(bucket, events, 0, number, time + RETRY, now, step)
                            continue
                        arms[number].queue_head = queue_next[vehicle]
                        if arms[number].queue_head >= 0:
                            push(bucket, events, 0, number, time, now, step)
                        join_queue(vehicle, other, time, arms, bucket, events, queue_next, now, step)
                        continue
                    full = _full(entering, size)
                    free_at = entering.next_entry if full else _free_at(entering, places, size)
                    if full or free_at > time + _EPSILON or entering.waiting >= 0:
                        arm = arms[number]
                        arm.ready, arm.arc = time, taken
                        arm.vehicle, arm.size = vehicle, size
                        arm.target, arm.wait_next, entering.waiting = into, entering.waiting, number
                        if arm.shared != into:
                            arm.shared = into
                            arm.share = entering.current
                        else:
                            arm.share = max(arm.share, entering.current)
                        if not full and not entering.granted:
                            entering.granted = True
                            push(bucket, events, 1, grants + into, max(free_at, time), now, step)
                        if stuck > 0 and number < queues and not arm.timed:  # departures are not forced, they wait
                            arm.timed = True
                            push(bucket, events, 0, timers + number, time + stuck, now, step)
                        continue
            elif event < timers:  # a link may take one of the arms that wait for it
                into = event - grants
                entering = links[into]
                entering.granted = False
                if entering.closed:  # those who may enter all the same do so when they are asked again
                    number = entering.waiting
                    entering.waiting = -1
                    while number >= 0:
                        arms[number].target = -1
                        push(bucket, events, 0, number, time, now, step)
                        number = arms[number].wait_next
                    continue
                number = -1
                moment = time
                while entering.waiting >= 0:
                    # of those that are ready the one with the least virtual time, otherwise the first to become ready
                    number = -1
                    is_ready = False
                    least = np.inf
                    waiting = entering.waiting
                    while waiting >= 0:
                        arm = arms[waiting]
                        ready = arm.ready <= time + _EPSILON
                        value = arm.share if ready else arm.ready
                        if (ready and not is_ready) or (
                            ready == is_ready and (value < least or (value == least and waiting < number))
                        ):
                            number, is_ready, least = waiting, ready, value
                        waiting = arm.wait_next
                    moment = max(time, arms[number].ready)
                    green = _in_green(links[number], moment, windows) if number < queues else moment
                    if green <= moment + _EPSILON:
                        break
                    stop_waiting(arms, entering, number)  # its green has ended while it waited
                    push(bucket, events, 0, number, green, now, step)
                    number = -1
                if number < 0:
                    continue
                arm = arms[number]
                vehicle, size = arm.vehicle, arm.size
                if _full(entering, size):
                    continue  # it is asked again when somebody leaves
                free_at = _free_at(entering, places, size)
                if free_at > moment + _EPSILON:
                    entering.granted = True
                    push(bucket, events, 1, event, free_at, now, step)
                    continue
                time = moment
                taken = arm.arc
                entering.current = arm.share
                arm.share += size * arm.cost
                stop_waiting(arms, entering, number)
            else:  # a stuck timer
                number = event - timers
                arm = arms[number]
                arm.timed = False
                into = arm.target
                if into < 0:
                    continue
                entering = links[into]
                vehicle, size = arm.vehicle, arm.size
                early = arm.ready + stuck > time + _EPSILON
                if early or entering.units + size > entering.ring or entering.closed:
                    arm.timed = True
                    again = arm.ready + stuck if early else time + stuck
                    push(bucket, events, 0, event, again, now, step)
                    continue
                taken = arm.arc
                vehicles[vehicle, FORCED] += 1
                counters[FORCED_MOVES] += 1
                stop_waiting(arms, entering, number)

            # -------------------------------------------------------- the move
            if number < queues:
                leaving = links[number]
                leaving.spent += time - places[leaving.place_first + leaving.head].exit + leaving.free
                leaving.left += 1
                of = vehicles[vehicle, FLAGS] >> CLASS
                if of > 0:
                    left_of[of - 1, number] += 1
                for _ in range(size):
                    places[leaving.place_first + leaving.head].free_at = time + leaving.gap
                    leaving.head = _wrapped(leaving.head + 1, leaving.ring)
                leaving.units -= size
                leaving.vehicles -= 1
                leaving.next_exit = time + size * leaving.headway
                if leaving.vehicles > 0:
                    behind = places[leaving.place_first + leaving.head]
                    prefetch(vehicles, behind.vehicle)
                    prefetch(vehicles, places[leaving.place_first + _wrapped(leaving.head + 1, leaving.ring)].vehicle)
                    moment = _in_green(leaving, max(np.float64(behind.exit), leaving.next_exit), windows)
                    push(bucket, events, 0, number, moment, now, step)
                if leaving.waiting >= 0 and not leaving.granted:
                    leaving.granted = True
                    moment = max(_free_at(leaving, places, 1), time)
                    push(bucket, events, 1, grants + number, moment, now, step)
                counters[MOVES] += 1
            else:
                arm = arms[number]
                arm.queue_head = queue_next[vehicle]
                if arm.queue_head >= 0:
                    push(bucket, events, 0, number, time, now, step)
                counters[WAITING] -= 1
                counters[UNDER_WAY] += 1
            if into < 0:  # it has arrived
                arrive[vehicle] = time
                counters[ARRIVED] += 1
                counters[UNDER_WAY] -= 1
                next_trip(vehicle, time, vehicles, origin, lasting, late, queue_next, depart, arrive, now, step)
                continue
            if number < queues and vehicles[vehicle, PATH_AT] >= 0:
                vehicles[vehicle, PATH_AT] += 1
            entering = links[into]
            vehicles[vehicle, CENTIMETRES] += entering.centimetres
            vehicles[vehicle, FREE_MILLISECONDS] += np.int64(np.rint(entering.free * 1000.0))
            done = time + entering.free
            if arc_penalty.size > 0 and number < queues:
                if taken < 0:
                    taken = links[number].arc_first
                    while arc_link[taken] != into:
                        taken += 1
                done += arc_penalty[taken]
            tail = places[entering.place_first + _wrapped(entering.head + entering.units, entering.ring)]
            tail.vehicle, tail.exit = vehicle, done
            entering.entered += 1
            entering.vehicles += 1
            entering.units += size
            prefetch(places, entering.place_first + _wrapped(entering.head + entering.units, entering.ring))
            entering.next_entry = max(time, entering.next_entry) + size * entering.entry_headway
            if entering.vehicles == 1:
                moment = _in_green(entering, max(np.float64(tail.exit), entering.next_exit), windows)
                push(bucket, events, 0, into, moment, now, step)
            if entering.waiting >= 0 and not entering.granted and entering.units < entering.places:
                entering.granted = True
                push(bucket, events, 1, grants + into, max(_free_at(entering, places, 1), time), now, step)
            if vehicles[vehicle, FLAGS] & LOGGED and counters[LOG] < log_time.size:
                log_vehicle[counters[LOG]] = vehicle
                log_link[counters[LOG]] = into
                log_time[counters[LOG]] = time
                counters[LOG] += 1
    return end
