"""Trips that begin: each at its time, or as soon as the same person's trip before has ended."""

import numpy as np
from numba import njit

from .layout import (
    AFTER,
    ARRIVED,
    BUCKETS,
    DEPARTED,
    DESTINATION,
    NOWHERE,
    PATH_AT,
    PENDING,
    UNREACHABLE,
    WAITING,
)

RETRY = 60.0  # s after which a vehicle tries again to enter a closed link (assumed)


@njit(inline="always")
def push(bucket, events, family, event, time, now, step):
    """Put an event into the calendar; one beyond its horizon lies in the last bucket and is put again from there."""
    place = max(np.int64(time / step), now)
    place = min(place, now + BUCKETS - 2) % BUCKETS
    events[event].time = time
    events[event].next = bucket[family, place]
    bucket[family, place] = event


@njit(inline="always")
def put_late(late, queue_next, arrive, trip, moment, now, step):
    """Let a trip depart at a moment, in the next bucket at the earliest; until then its time stands in ``arrive``."""
    place = (now + min(max(np.int64(moment / step) - now, 1), BUCKETS - 1)) % BUCKETS
    arrive[trip] = moment
    queue_next[trip] = late[place]
    late[place] = trip


@njit(inline="always")
def next_trip(trip, time, vehicles, origin, lasting, late, queue_next, depart, arrive, now, step):
    """Let the trip that the same person makes next depart, if it waits for the one that has ended at ``time``."""
    after = vehicles[trip, AFTER]
    if after >= 0 and depart[after] == PENDING:
        moment = time + (lasting[after] if origin[after] >= 0 else 0.0)
        put_late(late, queue_next, arrive, after, moment, now, step)


@njit(inline="always")
def join_queue(trip, link, time, arms, bucket, events, queue_next, now, step):
    """Put a vehicle at the end of the queue of departures into a link."""
    number = arms.size // 2 + link
    arm = arms[number]
    queue_next[trip] = -1
    if arm.queue_head < 0:
        arm.queue_head = trip
        push(bucket, events, 0, number, time, now, step)
    else:
        queue_next[arm.queue_tail] = trip
    arm.queue_tail = trip


@njit(cache=True, nogil=True, error_model="numpy")
def departures(streets, state, vehicles, tables, destination_node, path, origin, previous, duration, order, now, step):
    """Begin all trips of the bucket ``now``; arguments as those of :func:`.kernels.flow`."""
    arms, arc_link, depart_arc = streets.arms, streets.arc_link, streets.depart_arc
    bucket, events, late, queue_next = state.bucket, state.events, state.late, state.queue_next
    depart, arrive, counters = state.depart, state.arrive, state.counters
    lasting, planned = duration[0], duration[1]
    limit = (now + 1) * step
    trip = late[now % BUCKETS]
    late[now % BUCKETS] = -1
    while True:
        following = -1
        if trip >= 0:
            following = queue_next[trip]
            time = arrive[trip]
            arrive[trip] = np.nan
            if time >= limit:  # beyond the horizon when it was put here
                put_late(late, queue_next, arrive, trip, time, now, step)
                trip = following
                continue
        else:
            if order[0] >= order[1] or planned[order[0]] >= limit:
                break
            trip = order[0]
            order[0] += 1
            time = planned[trip]
            before = previous[trip]
            rest = lasting[trip] if origin[trip] >= 0 else 0.0
            if before >= 0 and not (depart[before] >= 0 and arrive[before] + rest <= time):
                if not depart[before] >= 0 or np.isnan(arrive[before]):
                    depart[trip] = PENDING  # goes as soon as the trip before has arrived
                else:
                    put_late(late, queue_next, arrive, trip, arrive[before] + rest, now, step)
                trip = -1
                continue
        depart[trip] = time
        counters[DEPARTED] += 1
        link = -1
        ends = time
        destination = vehicles[trip, DESTINATION]
        if origin[trip] < 0:  # does not use the streets
            ends = time + lasting[trip]
        elif vehicles[trip, PATH_AT] >= 0:
            link = path[vehicles[trip, PATH_AT]]
            if link >= 0:
                vehicles[trip, PATH_AT] += 1
        elif destination < 0:  # a closure leaves it no way at present: it asks again
            depart[trip] = np.nan
            counters[DEPARTED] -= 1
            put_late(late, queue_next, arrive, trip, time + RETRY, now, step)
            trip = following
            continue
        elif destination_node[destination] != origin[trip]:
            choice = tables[destination, depart_arc[origin[trip], 0]]
            if choice == NOWHERE:
                counters[UNREACHABLE] += 1
                trip = following
                continue
            link = arc_link[depart_arc[origin[trip], 1] + choice]
        if link < 0:  # has no link to drive
            arrive[trip] = ends
            counters[ARRIVED] += 1
            next_trip(trip, ends, vehicles, origin, lasting, late, queue_next, depart, arrive, now, step)
        else:
            join_queue(trip, link, time, arms, bucket, events, queue_next, now, step)
            counters[WAITING] += 1
        trip = following
