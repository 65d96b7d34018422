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

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

NOWHERE = 255
"""Choice in a table of routes that means: no way leads there."""

DESTINATION, PATH_AT, SIZE, FLAGS, CENTIMETRES, FREE_MILLISECONDS, FORCED, TABLE = range(8)
"""Columns of the table of vehicles."""
LOGGED = 1
"""Flag of a vehicle whose passages are written down."""
CLASS = 1
"""Bits right of those of the flags that hold the class of a vehicle; class 0 is not counted apart."""

MOVES, ARRIVED, FORCED_MOVES, UNREACHABLE, DEPARTED, EVENTS, WAITING, UNDER_WAY, LOG = range(9)
"""Entries of the counters."""

BUCKETS = 4096
PENDING = -1.0
"""Time of departure of a trip that waits for the same person's trip before."""
RETRY = 60.0  # s after which a vehicle tries again to enter a closed link (assumed)
_EPSILON = 1e-6  # s; times closer than this are the same time


class Streets(NamedTuple):
    """What does not change while vehicles move; one entry a link unless it says otherwise.

    Attributes:
        free: float64 free-flow seconds.
        headway: float64 seconds that a vehicle of size 1 keeps the exit of the link, 0 if nothing limits it.
        entry_headway: float64 seconds that it keeps the entrance.
        gap: float64 seconds that a gap takes from the end of the link to its beginning.
        places: int32 vehicles of size 1 that the link holds.
        slots: int64 (links + 1,) first slot of each link in the rings of vehicles; the stuck rule has those beyond
            ``places``.
        gaps: int64 (links + 1,) first entry of each link in the rings of gaps, ``places`` each.
        cost: float64 (2 links,) 1/weight at merges, of links and then of the queues of departures into them.
        centimetres, milliseconds: int32 length and free-flow time.
        end_state: int32 routing state at the end of each link.
        state_first, arc_link: int32 arcs of states, see :class:`~citytwin.environment.network.graph.Graph`.
        arc_penalty: float32 (arcs,) seconds; empty if no turn takes time.
        node: int32 (states,) node of each state.
        depart: int32 (nodes,) state in which a trip begins.
        signal_first: int32 (links + 1,) green windows of each link.
        cycle, green_start, green_end: float64 (windows,) seconds; the start is in seconds after midnight modulo the cycle.
    """

    free: NDArray[np.float64]
    headway: NDArray[np.float64]
    entry_headway: NDArray[np.float64]
    gap: NDArray[np.float64]
    places: NDArray[np.int32]
    slots: NDArray[np.int64]
    gaps: NDArray[np.int64]
    cost: NDArray[np.float64]
    centimetres: NDArray[np.int32]
    milliseconds: NDArray[np.int32]
    end_state: NDArray[np.int32]
    state_first: NDArray[np.int32]
    arc_link: NDArray[np.int32]
    arc_penalty: NDArray[np.float32]
    node: NDArray[np.int32]
    depart: NDArray[np.int32]
    signal_first: NDArray[np.int32]
    cycle: NDArray[np.float64]
    green_start: NDArray[np.float64]
    green_end: NDArray[np.float64]


class State(NamedTuple):
    """What changes. An arm is a link (0 … links − 1) or the queue of departures into a link (links … 2 links − 1).

    Attributes:
        slot_vehicle, slot_exit: rings of vehicles: int32 who, float32 when it has driven the link.
        gap_time: float64 rings of gaps: when the place becomes free.
        head, vehicles: int32 (links,) first slot and number of vehicles.
        entered_units, left_units: int64 (links,) sizes of all that entered and left.
        next_exit, next_entry: float64 (links,) when exit and entrance are free again.
        queue_head, queue_tail: int32 (links,) queue of departures, −1 if empty; linked by ``queue_next`` (vehicles,).
        target: int32 (arms,) link that the arm waits for, −1 if it does not wait.
        ready: float64 (arms,) since when its head is ready.
        arc: int32 (arms,) arc that the head wants to take, −1 for paths.
        wait_next: int32 (arms,) next arm that waits for the same link; ``wait_head`` (links,) the first.
        share: float64 (arms,) virtual time; ``shared`` int32 (arms,) link where it counts; ``current`` float64 (links,).
        bucket: int32 (2, BUCKETS) first event of each bucket: readiness of arms and stuck timers, then grants of links.
        event_next, event_time: int32, float64 (5 links,): arms, then links (grants), then arms (timers).
        granted: bool (links,) whether a grant is in the calendar; ``timed`` bool (arms,) whether a timer is.
        late: int32 (BUCKETS,) first vehicle that departs late in each bucket, linked by ``queue_next``.
        depart, arrive: float64 (vehicles,) seconds; nan where it has not happened.
        closed: uint8 (links,) bit c is set where vehicles of class c may not enter, see CLASS.
        entered, left, spent: int64, int64, float64 (links,) vehicles and their seconds since the caller cleared them.
        left_of: int64 (classes, links) those of ``left`` that belong to the first class, the second ….
        counters: int64, see MOVES ….
        log_vehicle, log_link, log_time: passages written down (int32, int32, float64).
    """

    slot_vehicle: NDArray[np.int32]
    slot_exit: NDArray[np.float32]
    gap_time: NDArray[np.float64]
    head: NDArray[np.int32]
    vehicles: NDArray[np.int32]
    entered_units: NDArray[np.int64]
    left_units: NDArray[np.int64]
    next_exit: NDArray[np.float64]
    next_entry: NDArray[np.float64]
    queue_head: NDArray[np.int32]
    queue_tail: NDArray[np.int32]
    queue_next: NDArray[np.int32]
    target: NDArray[np.int32]
    ready: NDArray[np.float64]
    arc: NDArray[np.int32]
    wait_next: NDArray[np.int32]
    wait_head: NDArray[np.int32]
    share: NDArray[np.float64]
    shared: NDArray[np.int32]
    current: NDArray[np.float64]
    bucket: NDArray[np.int32]
    event_next: NDArray[np.int32]
    event_time: NDArray[np.float64]
    granted: NDArray[np.bool_]
    timed: NDArray[np.bool_]
    late: NDArray[np.int32]
    depart: NDArray[np.float64]
    arrive: NDArray[np.float64]
    closed: NDArray[np.uint8]
    entered: NDArray[np.int64]
    left: NDArray[np.int64]
    spent: NDArray[np.float64]
    left_of: NDArray[np.int64]
    counters: NDArray[np.int64]
    log_vehicle: NDArray[np.int32]
    log_link: NDArray[np.int32]
    log_time: NDArray[np.float64]


@njit(inline="always")
def _push(bucket, event_next, event_time, family, event, time, now, step):
    """Put an event into the calendar; one beyond its horizon lies in the last bucket and is put again from there."""
    event_time[event] = time
    place = max(np.int64(time / step), now)
    place = min(place, now + BUCKETS - 2) % BUCKETS
    event_next[event] = bucket[family, place]
    bucket[family, place] = event


@njit(inline="always")
def _later(time, now, step):
    """Return the bucket in which somebody departs late, the next one at the earliest."""
    return (now + min(max(np.int64(time / step) - now, 1), BUCKETS - 1)) % BUCKETS


@njit(inline="always")
def _green(time, first, last, cycle, green_start, green_end):
    """Return the first moment from ``time`` on at which one of the windows first … last − 1 is green."""
    best = np.inf
    for window in range(first, last):
        phase = time % cycle[window]
        if phase < green_start[window]:
            moment = time + green_start[window] - phase
        elif phase < green_end[window]:
            moment = time
        else:
            moment = time + cycle[window] - phase + green_start[window]
        best = min(best, moment)
    return best


@njit(cache=True, nogil=True)
def flow(
    streets, state, vehicles, tables, destination_node, path, origin, follow, duration, order, begin, end, step, stuck
):
    """Move all vehicles from ``begin`` to ``end`` and return the bucket reached.

    Args:
        streets, state: as declared above; the state is changed in place.
        vehicles: int32 (vehicles, 8), columns DESTINATION … TABLE.
        tables: uint8 (tables, destinations, states) arc to take, counted from the first of the state.
        destination_node: int32 (destinations,).
        path: int32, links of the paths of vehicles that have one, each closed by −1.
        origin: int32 (vehicles,) node; −1 for a vehicle that does not use the streets but arrives after ``duration``.
        follow: int32 (2, vehicles) trip that the same person makes next, and the one before; −1 if there is none.
        duration: float64 (2, vehicles) seconds of trips that do not use the streets, of others the least between the arrival
            of the trip before and their departure; and when each trip is planned to begin, in rising order.
        order: int64 (2,) the next trip to depart, and the number of trips.
        begin, end: buckets, begin included and end not.
        step: seconds of a bucket.
        stuck: seconds after which a waiting vehicle is forced on; 0 for never.

    Returns:
        The bucket that comes next: ``end``, or an earlier one if the log is nearly full and has to be emptied.
    """
    links = streets.free.size
    free, headway, entry_headway, gap, places = (
        streets.free,
        streets.headway,
        streets.entry_headway,
        streets.gap,
        streets.places,
    )
    slots, gaps, cost = streets.slots, streets.gaps, streets.cost
    centimetres, milliseconds, end_state = streets.centimetres, streets.milliseconds, streets.end_state
    state_first, arc_link, arc_penalty = streets.state_first, streets.arc_link, streets.arc_penalty
    node, depart_state, signal_first = streets.node, streets.depart, streets.signal_first
    cycle, green_start, green_end = streets.cycle, streets.green_start, streets.green_end
    slot_vehicle, slot_exit, gap_time = state.slot_vehicle, state.slot_exit, state.gap_time
    head, count, entered_units, left_units = state.head, state.vehicles, state.entered_units, state.left_units
    next_exit, next_entry = state.next_exit, state.next_entry
    queue_head, queue_tail, queue_next = state.queue_head, state.queue_tail, state.queue_next
    target, ready, arc, wait_next, wait_head = state.target, state.ready, state.arc, state.wait_next, state.wait_head
    share, shared, current = state.share, state.shared, state.current
    bucket, event_next, event_time = state.bucket, state.event_next, state.event_time
    granted, timed, late = state.granted, state.timed, state.late
    depart, arrive, closed = state.depart, state.arrive, state.closed
    entered, left, spent, counters = state.entered, state.left, state.spent, state.counters
    left_of = state.left_of
    log_vehicle, log_link, log_time = state.log_vehicle, state.log_link, state.log_time

    planned = duration[1]
    lasting = duration[0]
    grants = 2 * links
    timers = 3 * links
    for now in range(begin, end):
        if log_time.size - counters[LOG] < log_time.size // 2:
            return now
        limit = (now + 1) * step
        # ------------------------------------------------------------ departures
        trip = late[now % BUCKETS]
        late[now % BUCKETS] = -1
        while True:
            following = -1
            if trip >= 0:
                following = queue_next[trip]
                time = arrive[trip]  # where a late departure waits, its time stands here
                arrive[trip] = np.nan
                if time >= limit:  # beyond the horizon when it was put here
                    place = _later(time, now, step)
                    arrive[trip] = time
                    queue_next[trip] = late[place]
                    late[place] = trip
                    trip = following
                    continue
            else:
                if order[0] >= order[1] or planned[order[0]] >= limit:
                    break
                trip = order[0]
                order[0] += 1
                time = planned[trip]
                before = follow[1, trip]
                rest = lasting[trip] if origin[trip] >= 0 else 0.0
                if before >= 0 and not (depart[before] >= 0 and arrive[before] + rest <= time):
                    if not depart[before] >= 0 or np.isnan(arrive[before]):
                        depart[trip] = PENDING  # goes as soon as the trip before has arrived
                    else:
                        moment = arrive[before] + rest
                        place = _later(moment, now, step)
                        arrive[trip] = moment
                        queue_next[trip] = late[place]
                        late[place] = trip
                    trip = -1
                    continue
            depart[trip] = time
            counters[DEPARTED] += 1
            if origin[trip] < 0:
                arrive[trip] = time + lasting[trip]
                counters[ARRIVED] += 1
                after = follow[0, trip]
                if after >= 0 and depart[after] == PENDING:
                    moment = arrive[trip] + (lasting[after] if origin[after] >= 0 else 0.0)
                    place = _later(moment, now, step)
                    arrive[after] = moment
                    queue_next[after] = late[place]
                    late[place] = after
                trip = following
                continue
            destination = vehicles[trip, DESTINATION]
            link = -1
            if vehicles[trip, PATH_AT] >= 0:
                link = path[vehicles[trip, PATH_AT]]
                if link >= 0:
                    vehicles[trip, PATH_AT] += 1
            elif destination >= 0 and destination_node[destination] != origin[trip]:
                at = depart_state[origin[trip]]
                choice = tables[vehicles[trip, TABLE], destination, at]
                if choice == NOWHERE:
                    counters[UNREACHABLE] += 1
                    trip = following
                    continue
                link = arc_link[state_first[at] + choice]
            elif destination < 0:  # a closure leaves it no way at present: it asks again
                depart[trip] = np.nan
                counters[DEPARTED] -= 1
                place = _later(time + RETRY, now, step)
                arrive[trip] = time + RETRY
                queue_next[trip] = late[place]
                late[place] = trip
                trip = following
                continue
            if link < 0:  # begins and ends at one node
                arrive[trip] = time
                counters[ARRIVED] += 1
                after = follow[0, trip]
                if after >= 0 and depart[after] == PENDING:
                    moment = time + (lasting[after] if origin[after] >= 0 else 0.0)
                    place = _later(moment, now, step)
                    arrive[after] = moment
                    queue_next[after] = late[place]
                    late[place] = after
                trip = following
                continue
            queue_next[trip] = -1
            if queue_head[link] < 0:
                queue_head[link] = trip
                _push(bucket, event_next, event_time, 0, links + link, time, now, step)
            else:
                queue_next[queue_tail[link]] = trip
            queue_tail[link] = trip
            counters[WAITING] += 1
            trip = following

        # ------------------------------------------------------------ events of this bucket
        place = now % BUCKETS
        while True:
            family = 0 if bucket[0, place] >= 0 else 1
            event = bucket[family, place]
            if event < 0:
                break
            bucket[family, place] = event_next[event]
            time = event_time[event]
            if time >= limit:
                _push(bucket, event_next, event_time, family, event, time, now + 1, step)
                continue
            counters[EVENTS] += 1
            arm = -1
            into = -1
            taken = -1
            if event < grants:
                # the head of an arm is ready
                arm = event
                size = 1
                if arm < links:
                    vehicle = slot_vehicle[slots[arm] + head[arm]]
                    size = vehicles[vehicle, SIZE]
                    at = end_state[arm]
                    if vehicles[vehicle, PATH_AT] >= 0:
                        into = path[vehicles[vehicle, PATH_AT]]
                    elif destination_node[vehicles[vehicle, DESTINATION]] != node[at]:
                        choice = tables[vehicles[vehicle, TABLE], vehicles[vehicle, DESTINATION], at]
                        if choice == NOWHERE:  # a closure has cut it off: it waits for another table
                            _push(bucket, event_next, event_time, 0, arm, time + RETRY, now, step)
                            continue
                        taken = state_first[at] + choice
                        into = arc_link[taken]
                else:
                    into = arm - links
                    vehicle = queue_head[into]
                    size = vehicles[vehicle, SIZE]
                if into >= 0:
                    of = vehicles[vehicle, FLAGS] >> CLASS
                    other = into
                    if arm >= links and vehicles[vehicle, PATH_AT] >= 0:  # it may have another way by now
                        other = path[vehicles[vehicle, PATH_AT] - 1]
                    if other != into or closed[into] >> of & 1:
                        if arm >= links and vehicles[vehicle, PATH_AT] < 0:
                            at = depart_state[origin[vehicle]]
                            choice = tables[vehicles[vehicle, TABLE], vehicles[vehicle, DESTINATION], at]
                            if choice != NOWHERE:
                                other = arc_link[state_first[at] + choice]
                        if other == into or closed[other] >> of & 1:
                            _push(bucket, event_next, event_time, 0, arm, time + RETRY, now, step)
                            continue
                        queue_head[into] = queue_next[vehicle]
                        if queue_head[into] >= 0:
                            _push(bucket, event_next, event_time, 0, arm, time, now, step)
                        queue_next[vehicle] = -1
                        if queue_head[other] < 0:
                            queue_head[other] = vehicle
                            _push(bucket, event_next, event_time, 0, links + other, time, now, step)
                        else:
                            queue_next[queue_tail[other]] = vehicle
                        queue_tail[other] = vehicle
                        continue
                    blocked = (
                        entered_units[into] - left_units[into] + size > places[into]
                        and entered_units[into] > left_units[into]
                    )
                    free_at = next_entry[into]
                    if not blocked:
                        last = entered_units[into] + size - 1
                        free_at = max(free_at, gap_time[gaps[into] + last % places[into]])
                    if blocked or free_at > time + _EPSILON or wait_head[into] >= 0:
                        target[arm] = into
                        ready[arm] = time
                        arc[arm] = taken
                        wait_next[arm] = wait_head[into]
                        wait_head[into] = arm
                        if shared[arm] != into:
                            shared[arm] = into
                            share[arm] = current[into]
                        else:
                            share[arm] = max(share[arm], current[into])
                        if not blocked and not granted[into]:
                            granted[into] = True
                            _push(bucket, event_next, event_time, 1, grants + into, max(free_at, time), now, step)
                        if stuck > 0 and arm < links and not timed[arm]:  # departures are not forced, they wait
                            timed[arm] = True
                            _push(bucket, event_next, event_time, 0, timers + arm, time + stuck, now, step)
                        continue
            elif event < timers:
                # a link may take one of the arms that wait for it
                into = event - grants
                granted[into] = False
                if closed[into]:  # those who may enter all the same do so when they are asked again
                    arm = wait_head[into]
                    wait_head[into] = -1
                    while arm >= 0:
                        target[arm] = -1
                        _push(bucket, event_next, event_time, 0, arm, time, now, step)
                        arm = wait_next[arm]
                    continue
                while True:
                    arm = -1
                    soonest = np.inf
                    waiting = wait_head[into]
                    while waiting >= 0:
                        if ready[waiting] <= time + _EPSILON:
                            if (
                                arm < 0
                                or soonest > -np.inf
                                or share[waiting] < share[arm]
                                or (share[waiting] == share[arm] and waiting < arm)
                            ):
                                arm = waiting
                                soonest = -np.inf
                        elif soonest > -np.inf and (
                            ready[waiting] < soonest or (ready[waiting] == soonest and waiting < arm)
                        ):
                            arm = waiting
                            soonest = ready[waiting]
                        waiting = wait_next[waiting]
                    if arm < 0:
                        break
                    moment = max(time, ready[arm])
                    if arm < links and signal_first[arm + 1] > signal_first[arm]:
                        green = _green(moment, signal_first[arm], signal_first[arm + 1], cycle, green_start, green_end)
                        if green > moment + _EPSILON:  # its green has ended while it waited
                            if wait_head[into] == arm:
                                wait_head[into] = wait_next[arm]
                            else:
                                waiting = wait_head[into]
                                while wait_next[waiting] != arm:
                                    waiting = wait_next[waiting]
                                wait_next[waiting] = wait_next[arm]
                            target[arm] = -1
                            _push(bucket, event_next, event_time, 0, arm, green, now, step)
                            continue
                    break
                if arm < 0:
                    continue
                vehicle = slot_vehicle[slots[arm] + head[arm]] if arm < links else queue_head[into]
                size = vehicles[vehicle, SIZE]
                if (
                    entered_units[into] - left_units[into] + size > places[into]
                    and entered_units[into] > left_units[into]
                ):
                    continue  # it is asked again when somebody leaves
                last = entered_units[into] + size - 1
                free_at = max(next_entry[into], gap_time[gaps[into] + last % places[into]])
                if free_at > moment + _EPSILON:
                    granted[into] = True
                    _push(bucket, event_next, event_time, 1, event, free_at, now, step)
                    continue
                time = moment
                taken = arc[arm]
                current[into] = share[arm]
                share[arm] += size * cost[arm]
            else:
                # a stuck timer
                arm = event - timers
                timed[arm] = False
                into = target[arm]
                if into < 0:
                    continue
                vehicle = slot_vehicle[slots[arm] + head[arm]] if arm < links else queue_head[into]
                size = vehicles[vehicle, SIZE]
                overfull = count[into] >= slots[into + 1] - slots[into]
                if ready[arm] + stuck > time + _EPSILON or overfull or closed[into]:
                    timed[arm] = True
                    again = ready[arm] + stuck if ready[arm] + stuck > time + _EPSILON else time + stuck
                    _push(bucket, event_next, event_time, 0, event, again, now, step)
                    continue
                taken = arc[arm]
                vehicles[vehicle, FORCED] += 1
                counters[FORCED_MOVES] += 1

            # -------------------------------------------------------- the move
            if target[arm] >= 0:
                if wait_head[into] == arm:
                    wait_head[into] = wait_next[arm]
                else:
                    waiting = wait_head[into]
                    while wait_next[waiting] != arm:
                        waiting = wait_next[waiting]
                    wait_next[waiting] = wait_next[arm]
                target[arm] = -1
            if arm < links:
                vehicle = slot_vehicle[slots[arm] + head[arm]]
                size = vehicles[vehicle, SIZE]
                spent[arm] += time - slot_exit[slots[arm] + head[arm]] + free[arm]
                left[arm] += 1
                of = vehicles[vehicle, FLAGS] >> CLASS
                if of > 0:
                    left_of[of - 1, arm] += 1
                head[arm] += 1
                if head[arm] == slots[arm + 1] - slots[arm]:
                    head[arm] = 0
                count[arm] -= 1
                for unit in range(left_units[arm], left_units[arm] + size):
                    gap_time[gaps[arm] + unit % places[arm]] = time + gap[arm]
                left_units[arm] += size
                next_exit[arm] = time + size * headway[arm]
                if count[arm] > 0:
                    moment = max(np.float64(slot_exit[slots[arm] + head[arm]]), next_exit[arm])
                    if signal_first[arm + 1] > signal_first[arm]:
                        moment = _green(moment, signal_first[arm], signal_first[arm + 1], cycle, green_start, green_end)
                    _push(bucket, event_next, event_time, 0, arm, moment, now, step)
                if wait_head[arm] >= 0 and not granted[arm]:
                    granted[arm] = True
                    free_at = max(next_entry[arm], gap_time[gaps[arm] + entered_units[arm] % places[arm]])
                    _push(bucket, event_next, event_time, 1, grants + arm, max(free_at, time), now, step)
                counters[MOVES] += 1
            else:
                vehicle = queue_head[into]
                size = vehicles[vehicle, SIZE]
                queue_head[into] = queue_next[vehicle]
                if queue_head[into] >= 0:
                    _push(bucket, event_next, event_time, 0, arm, time, now, step)
                counters[WAITING] -= 1
                counters[UNDER_WAY] += 1
            if into < 0:
                # it has arrived
                arrive[vehicle] = time
                counters[ARRIVED] += 1
                counters[UNDER_WAY] -= 1
                after = follow[0, vehicle]
                if after >= 0 and depart[after] == PENDING:
                    moment = time + (lasting[after] if origin[after] >= 0 else 0.0)
                    next_place = _later(moment, now, step)
                    arrive[after] = moment
                    queue_next[after] = late[next_place]
                    late[next_place] = after
            else:
                if arm < links and vehicles[vehicle, PATH_AT] >= 0:
                    vehicles[vehicle, PATH_AT] += 1
                vehicles[vehicle, CENTIMETRES] += centimetres[into]
                vehicles[vehicle, FREE_MILLISECONDS] += milliseconds[into]
                entered[into] += 1
                tail = head[into] + count[into]
                if tail >= slots[into + 1] - slots[into]:
                    tail -= slots[into + 1] - slots[into]
                done = time + free[into]
                if arc_penalty.size > 0 and arm < links:
                    if taken < 0:
                        at = end_state[arm]
                        taken = state_first[at]
                        while arc_link[taken] != into:
                            taken += 1
                    done += arc_penalty[taken]
                slot_vehicle[slots[into] + tail] = vehicle
                slot_exit[slots[into] + tail] = done
                count[into] += 1
                entered_units[into] += size
                next_entry[into] = max(time, next_entry[into]) + size * entry_headway[into]
                if count[into] == 1:
                    moment = max(np.float64(slot_exit[slots[into] + tail]), next_exit[into])
                    if signal_first[into + 1] > signal_first[into]:
                        moment = _green(
                            moment, signal_first[into], signal_first[into + 1], cycle, green_start, green_end
                        )
                    _push(bucket, event_next, event_time, 0, into, moment, now, step)
                if wait_head[into] >= 0 and not granted[into] and entered_units[into] - left_units[into] < places[into]:
                    granted[into] = True
                    free_at = max(next_entry[into], gap_time[gaps[into] + entered_units[into] % places[into]])
                    _push(bucket, event_next, event_time, 1, grants + into, max(free_at, time), now, step)
                if vehicles[vehicle, FLAGS] & LOGGED and counters[LOG] < log_time.size:
                    log_vehicle[counters[LOG]] = vehicle
                    log_link[counters[LOG]] = into
                    log_time[counters[LOG]] = time
                    counters[LOG] += 1
    return end
