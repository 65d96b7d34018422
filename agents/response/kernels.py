"""The kernel of emergency response: units, calls and hospitals as events in continuous time.

A unit has one thing that happens to it next, a hospital with somebody at its door too; the earliest of these, of the tasks
that become ready and of the shifts that begin or end is the next event. Of one moment units come first, then hospitals,
shifts, tasks; of these the lower number. So nothing depends on how the work is divided.

Nobody decides inside an event. What an event leaves to decide lies on a stack, and is decided one after the other: who is
sent to a task, what a free unit does. Where Python is to decide, the kernel returns with the question and is called again
with the answer.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...environment.network.labels import NEVER
from ...environment.network.labels import between as _between
from .doors import (
    BAYS,
    DIVERT,
    DOOR,
    OFFERS,
    USED,
    admit_boarders,
    catch_up,
    door_next,
    first_at_door,
    has_room,
    into_bay,
    join_door,
)

OFF, IDLE, SENT, AT_SCENE, TO_HOSPITAL, AT_DOOR, HANDOVER, CLEARING, RETURNING = range(9)
"""States of units. ``SENT`` is from being sent to arriving, turnout included; ``IDLE`` is at a station."""
STATES = 9

STATE, TASK, PLACE, NODE, GOAL, STATION, HOME, DUTY, MODE = range(9)
"""Columns of units: state; task or −1; place where it stands or −1; node where it stands or that it left; place that it
drives to or −1 for a scene; own station; station it now belongs to; whether on duty; mode in which it drives."""
UNIT_COLUMNS = 9
SERVES, AIDS, SKILLS, LIGHTS, NORMAL = range(5)
"""What a unit is: bits of the services it belongs to and that it helps out; bits of skills; modes with and without
lights."""
LEFT, SINCE = range(2)
"""Seconds: when a unit left NODE, since when it is in its state."""

SENT_AT, LEFT_AT, ARRIVED_AT, BEGAN_AT, DONE_AT, DOOR_AT, BAY_AT, FREE_AT = range(8)
"""Time stamps of tasks: unit sent, under way, arrived, work begun and done, at the hospital, handover begun, unit free."""
UNIT, HOSPITAL, OUTCOME, DIVERTED, RESENT, NEXT, QUEUED, UNREACHED = range(8)
"""What is kept of tasks: unit and hospital or −1; outcome; whether a nearer hospital was passed; how often the unit was
called away; next in a queue; whether nobody was sent at once; whether units were free but none could get there."""
TO_COME, WAITING, IN_SERVICE, TREATED, TRANSPORTED, CANCELLED, LOST, WITHOUT_HOSPITAL = range(8)

TURNOUT, SCENE, HANDOVER_TIME, CLEAR, STAY, BED, ACCESS, PATIENCE = range(8)
"""Seconds given for each task."""
AT_NODE, SERVICE, PRIORITY, SKILL, TRANSPORT, SPECIALTY, FIXED, AFTER = range(8)
"""Numbers given for each task; SERVICE is the bit of it."""
PRIORITIES = 8

NOBODY, CHOOSE_UNIT, CHOOSE_HOSPITAL, CHOOSE_TASK, CHOOSE_STATION = range(5)
"""Questions."""
QUESTION, ABOUT_TASK, ABOUT_UNIT, ANSWERED, ANSWER = range(5)

NEAREST, COVERAGE = 0, 1
FIRST, CLOSEST = 0, 1
NEAREST_HOSPITAL, DIVERTING, LEAST_TIME = 0, 1, 2
HOMEWARD, MAXIMAL_COVER, COMPLIANCE = 0, 1, 2
DISPATCH_RULE, QUEUE_RULE, HOSPITAL_RULE, MOVE_RULE, HOLD_OUT, HOLD_FROM, LOSS, SCENE_LIGHTS, HOSPITAL_LIGHTS = range(9)
"""Numbers of the rules: which rules; units kept back for priorities before ``HOLD_FROM``; whether nothing waits; priorities
below which lights are used to the scene and to the hospital."""
AID_AFTER, BUSY, BUSY_MEMORY, BUSY_SINCE, CLOCK = range(5)
"""Seconds from when a task is ready beyond which others help out if they are sooner there; busy share of the units on duty,
over how many seconds it is smoothed, when it was last worked out; second of the last event or change."""

NEXT_TASK, NEXT_DUTY, STACKED = range(3)
"""Counters."""


class Roads(NamedTuple):
    """How long it takes, by mode; see :mod:`...environment.network.labels`.

    Attributes:
        first, head: int32 arcs of nodes.
        weight: int32 (modes, arcs) ms.
        out_first, out_hub, out_cost, in_first, in_hub, in_cost: labels, those of the modes one after the other;
            the firsts are (modes, nodes + 1).
        to_place, from_place: int32 (modes, nodes, places) ms; places are the stations and then the hospitals.
        place_node: int32 (places,).
    """

    first: NDArray[np.int32]
    head: NDArray[np.int32]
    weight: NDArray[np.int32]
    out_first: NDArray[np.int32]
    out_hub: NDArray[np.int32]
    out_cost: NDArray[np.int32]
    in_first: NDArray[np.int32]
    in_hub: NDArray[np.int32]
    in_cost: NDArray[np.int32]
    to_place: NDArray[np.int32]
    from_place: NDArray[np.int32]
    place_node: NDArray[np.int32]


class Rules(NamedTuple):
    """How is decided.

    Attributes:
        whole, real: int32 and float64, the numbers above.
        redispatch: bool (8, 8) whether a unit under way to a task of the first priority may be called to one of the second.
        asks: bool (5,) which questions are put to Python.
        target: float64 (8,) seconds within which a task is to be reached from its call, by priority.
        point_first, point: int32 demand points that each station covers.
        demand: float64 (points,) their weights.
        table: int32 (units + 1, stations) stations to hold by so many free units.
    """

    whole: NDArray[np.int32]
    real: NDArray[np.float64]
    redispatch: NDArray[np.bool_]
    asks: NDArray[np.bool_]
    target: NDArray[np.float64]
    point_first: NDArray[np.int32]
    point: NDArray[np.int32]
    demand: NDArray[np.float64]
    table: NDArray[np.int32]


class State(NamedTuple):
    """What changes.

    Attributes:
        unit: int32 (units, 9), unit_time: float64 (units, 2), see above; trait: int32 (units, 5), factor: float64
            (units,) on turnout.
        spent: float64 (units, 9) seconds in each state.
        tree: float64 (2 m,) times of the next events of units and hospitals, of which ``m`` is at least as many; each
            entry is the least of its two below.
        stamp: float64 (tasks, 8), kept: int32 (tasks, 8), given: float32 (tasks, 8), fixed: int32 (tasks, 8).
        ready: float64 (tasks,), order: int32 (tasks to come,) in which they become ready.
        queue: int32 (3, 8) first task that waits, by service and priority.
        wait: int32 (tasks,) unit that waits at a scene for this task to be done, −1 for none.
        duty: float64 (changes, 3) when a unit (second column) begins or ends (1 or 0) its shift.
        hospital: int32 (hospitals, 8), see :mod:`.doors`; mean_stay: float64 (hospitals,) seconds.
        heap_first: int64 (2, hospitals + 1); heap_time, heap_task: bays and beds in use.
        door: int32 (hospitals, 9) first task at the door by priority, then the first of those who wait for a bed.
        counter: int64; stack: int32; ask: int32 (5,).
        chance: float64 (units,), from_node: int32 (units,), leaving: float64 (units,): when each could be at the scene (not
            at all: infinite), from which node, leaving when.
    """

    unit: NDArray[np.int32]
    unit_time: NDArray[np.float64]
    trait: NDArray[np.int32]
    factor: NDArray[np.float64]
    spent: NDArray[np.float64]
    tree: NDArray[np.float64]
    stamp: NDArray[np.float64]
    kept: NDArray[np.int32]
    given: NDArray[np.float32]
    fixed: NDArray[np.int32]
    ready: NDArray[np.float64]
    order: NDArray[np.int32]
    queue: NDArray[np.int32]
    wait: NDArray[np.int32]
    duty: NDArray[np.float64]
    hospital: NDArray[np.int32]
    mean_stay: NDArray[np.float64]
    heap_first: NDArray[np.int64]
    heap_time: NDArray[np.float64]
    heap_task: NDArray[np.int32]
    door: NDArray[np.int32]
    counter: NDArray[np.int64]
    stack: NDArray[np.int32]
    ask: NDArray[np.int32]
    chance: NDArray[np.float64]
    from_node: NDArray[np.int32]
    leaving: NDArray[np.float64]


@njit(cache=True, nogil=True)
def _set_due(tree, leaf, time):
    """Say when the next event of a unit or hospital is."""
    at = len(tree) // 2 + leaf
    tree[at] = time
    at >>= 1
    while at > 0:
        least = min(tree[2 * at], tree[2 * at + 1])
        if tree[at] == least:
            break
        tree[at] = least
        at >>= 1


@njit(cache=True, nogil=True)
def _first_due(tree):
    """Return the unit or hospital of the next event."""
    at = 1
    half = len(tree) // 2
    while at < half:
        at *= 2
        if tree[at] > tree[at // 2]:
            at += 1
    return at - half


@njit(cache=True, nogil=True)
def _become(unit, unit_time, spent, u, state, now):
    """Put a unit into a state, and count the time in the one before."""
    spent[u, unit[u, STATE]] += now - unit_time[u, SINCE]
    unit_time[u, SINCE] = now
    unit[u, STATE] = state


@njit(cache=True, nogil=True)
def ahead(
    first,
    head,
    weight,
    out_first,
    out_hub,
    out_cost,
    in_first,
    in_hub,
    in_cost,
    to_place,
    mode,
    node,
    place,
    goal,
    elapsed,
):
    """Return the next node on the way from ``node`` to a place (or to the node ``goal`` if that is −1), and ms to it.

    Args:
        elapsed: ms since it left ``node``.
    """
    here, left = node, elapsed
    if place >= 0:
        rest = to_place[mode, here, place]
    else:
        rest = _between(out_first[mode], out_hub, out_cost, in_first[mode], in_hub, in_cost, here, goal)
    while left > 0 and 0 < rest < NEVER:
        next_node, step, after = -1, 0, 0
        for arc in range(first[here], first[here + 1]):
            cost = weight[mode, arc]
            if cost > rest:
                continue
            if place >= 0:
                after = to_place[mode, head[arc], place]
            else:
                after = _between(out_first[mode], out_hub, out_cost, in_first[mode], in_hub, in_cost, head[arc], goal)
            if cost + after == rest:
                next_node, step = head[arc], cost
                break
        if next_node < 0:
            break
        if left < step:
            return next_node, step - left
        left -= step
        here, rest = next_node, after
    return here, 0.0


@njit(cache=True, nogil=True)
def _put_in_queue(queue, kept, fixed, ready, task):
    """Let a task wait behind those of its service and priority that were ready before it."""
    kept[task, OUTCOME] = WAITING
    kept[task, UNIT] = -1
    row, column = _service(fixed[task, SERVICE]), fixed[task, PRIORITY]
    before, after = -1, queue[row, column]
    while after >= 0 and (ready[after] < ready[task] or (ready[after] == ready[task] and after < task)):
        before, after = after, kept[after, NEXT]
    kept[task, NEXT] = after
    if before < 0:
        queue[row, column] = task
    else:
        kept[before, NEXT] = task


@njit(cache=True, nogil=True)
def _take_from_queue(queue, kept, fixed, task):
    row, column = _service(fixed[task, SERVICE]), fixed[task, PRIORITY]
    if queue[row, column] == task:
        queue[row, column] = kept[task, NEXT]
        return
    before = queue[row, column]
    while kept[before, NEXT] != task:
        before = kept[before, NEXT]
    kept[before, NEXT] = kept[task, NEXT]


@njit(cache=True, nogil=True)
def _service(bit):
    row = 0
    while bit > 1:
        bit >>= 1
        row += 1
    return row


@njit(cache=True, nogil=True)
def _free(unit, u):
    return unit[u, DUTY] == 1 and (unit[u, STATE] == IDLE or unit[u, STATE] == RETURNING)


@njit(cache=True, nogil=True)
def _release(unit, tree, stamp, given, wait, task, now):
    """Let the units begin that wait at a scene for the work of a task, which is done or will not be."""
    other = wait[task]
    while other >= 0:
        following = unit[other, GOAL]
        unit[other, GOAL] = -1
        stamp[unit[other, TASK], BEGAN_AT] = now
        _set_due(tree, other, now + given[unit[other, TASK], SCENE])
        other = following
    wait[task] = -1


@njit(cache=True, nogil=True)
def _kept_back(unit, trait, whole, u, priority):
    """Return whether a free unit is kept for more urgent tasks: it and the free ones that share a service are too few."""
    if whole[HOLD_OUT] == 0 or priority < whole[HOLD_FROM]:
        return False
    free = 0
    for other in range(len(unit)):
        free += trait[other, SERVES] & trait[u, SERVES] != 0 and (other == u or _free(unit, other))
    return free <= whole[HOLD_OUT]


@njit(cache=True, nogil=True)
def _cover(unit, trait, service, point_first, point, cover):
    """Count by how many free units of a service each demand point is covered, from the stations they belong to."""
    cover[:] = 0
    for u in range(len(unit)):
        if trait[u, SERVES] & service and _free(unit, u):
            home = unit[u, HOME]
            for k in range(point_first[home], point_first[home + 1]):
                cover[point[k]] += 1


@njit(cache=True, nogil=True)
def run(roads, rules, state, until):
    """Make all events before ``until`` (s), and return whether that is done; if not, a question waits for an answer."""
    first, head, weight = roads.first, roads.head, roads.weight
    out_first, out_hub, out_cost = roads.out_first, roads.out_hub, roads.out_cost
    in_first, in_hub, in_cost = roads.in_first, roads.in_hub, roads.in_cost
    to_place, from_place, place_node = roads.to_place, roads.from_place, roads.place_node
    whole, real, redispatch, asks, target = rules.whole, rules.real, rules.redispatch, rules.asks, rules.target
    point_first, point, demand, table = rules.point_first, rules.point, rules.demand, rules.table
    unit, unit_time, trait, factor, spent, tree = (
        state.unit, state.unit_time, state.trait, state.factor, state.spent, state.tree,
    )  # fmt: skip
    stamp, kept, given, fixed, ready, order = (
        state.stamp, state.kept, state.given, state.fixed, state.ready, state.order,
    )  # fmt: skip
    queue, wait, duty, door = state.queue, state.wait, state.duty, state.door
    hospital, mean_stay, heap_first = state.hospital, state.mean_stay, state.heap_first
    heap_time, heap_task = state.heap_time, state.heap_task
    counter, stack, ask = state.counter, state.stack, state.ask
    chance, from_node, leaving = state.chance, state.from_node, state.leaving
    units = len(unit)
    stations = len(point_first) - 1
    redispatching = np.any(redispatch)
    cover = np.zeros(len(demand), np.int32)
    now = real[CLOCK]
    while True:
        # ---------------------------------------------------------------- who is sent
        if counter[STACKED] > 0 and stack[counter[STACKED] - 1] >= 0:
            task = stack[counter[STACKED] - 1]
            if now - ready[task] > given[task, PATIENCE]:
                counter[STACKED] -= 1
                kept[task, OUTCOME] = CANCELLED
                _release(unit, tree, stamp, given, wait, task, now)
                continue
            service, priority, node = fixed[task, SERVICE], fixed[task, PRIORITY], fixed[task, AT_NODE]
            lights = priority < whole[SCENE_LIGHTS]
            able, near, aider = False, -1, -1
            for u in range(units):
                chance[u] = np.inf
                mine = trait[u, SERVES] & service != 0
                if not (mine or trait[u, AIDS] & service) or unit[u, DUTY] == 0:
                    continue
                doing = unit[u, STATE]
                if doing in (IDLE, RETURNING):
                    if _kept_back(unit, trait, whole, u, priority):
                        continue
                elif not (redispatching and doing == SENT and redispatch[fixed[unit[u, TASK], PRIORITY], priority]):
                    continue
                if fixed[task, SKILL] & ~trait[u, SKILLS]:
                    continue
                able = True
                mode = trait[u, LIGHTS] if lights else trait[u, NORMAL]
                if doing == IDLE:
                    from_node[u] = unit[u, NODE]
                    leaving[u] = now + given[task, TURNOUT] * factor[u]
                    away = from_place[mode, node, unit[u, PLACE]]
                else:
                    if now <= unit_time[u, LEFT]:
                        from_node[u], leaving[u] = unit[u, NODE], unit_time[u, LEFT]
                    else:
                        goal = -1 if doing == RETURNING else fixed[unit[u, TASK], AT_NODE]
                        from_node[u], rest = ahead(
                            first, head, weight, out_first, out_hub, out_cost, in_first, in_hub, in_cost, to_place,
                            unit[u, MODE], unit[u, NODE], unit[u, GOAL], goal, 1000.0 * (now - unit_time[u, LEFT]),
                        )  # fmt: skip
                        leaving[u] = now + 0.001 * rest
                    away = _between(
                        out_first[mode], out_hub, out_cost, in_first[mode], in_hub, in_cost, from_node[u], node
                    )
                if away >= NEVER:
                    continue
                chance[u] = leaving[u] + 0.001 * away + given[task, ACCESS]
                if mine:
                    if near < 0 or chance[u] < chance[near]:
                        near = u
                elif aider < 0 or chance[u] < chance[aider]:
                    aider = u
            if asks[CHOOSE_UNIT]:
                if ask[ANSWERED] == 0:
                    ask[QUESTION], ask[ABOUT_TASK], ask[ABOUT_UNIT] = CHOOSE_UNIT, task, -1
                    real[CLOCK] = now
                    return False
                chosen = ask[ANSWER]
                ask[QUESTION], ask[ANSWERED] = NOBODY, 0
            else:
                chosen = near
                if near >= 0 and whole[DISPATCH_RULE] == COVERAGE:
                    # of those in time, the one whose leaving uncovers least; nobody in time: the nearest
                    latest = ready[task] + target[priority]
                    if chance[near] <= latest:
                        _cover(unit, trait, service, point_first, point, cover)
                        least = np.inf
                        for u in range(units):
                            if chance[u] == np.inf or chance[u] > latest or not trait[u, SERVES] & service:
                                continue
                            lost = 0.0
                            if _free(unit, u):
                                home = unit[u, HOME]
                                for k in range(point_first[home], point_first[home + 1]):
                                    lost += demand[point[k]] * real[BUSY] ** (cover[point[k]] - 1)
                            if lost < least or (lost == least and chance[u] < chance[chosen]):
                                least, chosen = lost, u
                if aider >= 0 and (
                    near < 0 or (chance[near] - ready[task] > real[AID_AFTER] and chance[aider] < chance[near])
                ):
                    chosen = aider
            if chosen < 0:
                counter[STACKED] -= 1
                if whole[LOSS]:
                    kept[task, OUTCOME] = LOST
                    _release(unit, tree, stamp, given, wait, task, now)
                    continue
                if able and near < 0 and aider < 0:
                    kept[task, UNREACHED] = 1
                kept[task, QUEUED] = 1
                _put_in_queue(queue, kept, fixed, ready, task)
                other = wait[task]
                while other >= 0:  # who waits for its work does so until its patience ends
                    _set_due(tree, other, max(now, ready[task] + given[task, PATIENCE]))
                    other = unit[other, GOAL]
                continue
            counter[STACKED] -= 1
            u = chosen
            if unit[u, STATE] == SENT:  # called away
                other = unit[u, TASK]
                kept[other, RESENT] += 1
                stamp[other, SENT_AT] = stamp[other, LEFT_AT] = np.nan
                kept[other, OUTCOME], kept[other, UNIT] = WAITING, -1
                stack[counter[STACKED]] = other
                counter[STACKED] += 1
            if unit[u, STATE] != SENT:
                _become(unit, unit_time, spent, u, SENT, now)
            unit[u, TASK], unit[u, PLACE], unit[u, GOAL], unit[u, NODE] = task, -1, -1, from_node[u]
            unit[u, MODE] = trait[u, LIGHTS] if lights else trait[u, NORMAL]
            unit_time[u, LEFT] = leaving[u]
            kept[task, UNIT], kept[task, OUTCOME] = u, IN_SERVICE
            stamp[task, SENT_AT], stamp[task, LEFT_AT] = now, leaving[u]
            _set_due(tree, u, chance[u])
            if whole[MOVE_RULE] == COMPLIANCE:
                _comply(
                    unit, unit_time, trait, spent, tree, table, stations, now, first, head, weight, out_first, out_hub,
                    out_cost, in_first, in_hub, in_cost, to_place, service,
                )  # fmt: skip
            continue
        # ---------------------------------------------------------------- what a free unit does
        if counter[STACKED] > 0:
            u = -1 - stack[counter[STACKED] - 1]
            chosen, nearest = -1, np.inf
            here, leave = unit[u, NODE], now
            if unit[u, STATE] == RETURNING:  # its shift begins on the way
                if now <= unit_time[u, LEFT]:
                    leave = unit_time[u, LEFT]
                else:
                    here, rest = ahead(
                        first, head, weight, out_first, out_hub, out_cost, in_first, in_hub, in_cost, to_place,
                        unit[u, MODE], here, unit[u, GOAL], -1, 1000.0 * (now - unit_time[u, LEFT]),
                    )  # fmt: skip
                    leave = now + 0.001 * rest
            if unit[u, DUTY] == 1:
                for priority in range(PRIORITIES):
                    if _kept_back(unit, trait, whole, u, priority):
                        break
                    mode = trait[u, LIGHTS] if priority < whole[SCENE_LIGHTS] else trait[u, NORMAL]
                    for row in range(len(queue)):
                        if not (trait[u, SERVES] | trait[u, AIDS]) >> row & 1:
                            continue
                        task = queue[row, priority]
                        while task >= 0:
                            following = kept[task, NEXT]
                            waited = now - ready[task]
                            if waited > given[task, PATIENCE]:
                                _take_from_queue(queue, kept, fixed, task)
                                kept[task, OUTCOME] = CANCELLED
                            elif not fixed[task, SKILL] & ~trait[u, SKILLS]:
                                away = _between(
                                    out_first[mode], out_hub, out_cost, in_first[mode], in_hub, in_cost, here,
                                    fixed[task, AT_NODE],
                                )  # fmt: skip
                                if away < NEVER:
                                    key = ready[task] if whole[QUEUE_RULE] == FIRST else float(away)
                                    if key < nearest:
                                        chosen, nearest = task, key
                                    if whole[QUEUE_RULE] == FIRST:
                                        break
                                else:
                                    kept[task, UNREACHED] = 1
                            task = following
                    if chosen >= 0:
                        break
            if chosen >= 0 and asks[CHOOSE_TASK]:
                if ask[ANSWERED] == 0:
                    ask[QUESTION], ask[ABOUT_TASK], ask[ABOUT_UNIT] = CHOOSE_TASK, chosen, u
                    real[CLOCK] = now
                    return False
                chosen = ask[ANSWER]
                ask[QUESTION], ask[ANSWERED] = NOBODY, 0
            if chosen >= 0:
                counter[STACKED] -= 1
                task = chosen
                _take_from_queue(queue, kept, fixed, task)
                lights = fixed[task, PRIORITY] < whole[SCENE_LIGHTS]
                mode = trait[u, LIGHTS] if lights else trait[u, NORMAL]
                away = _between(
                    out_first[mode], out_hub, out_cost, in_first[mode], in_hub, in_cost, here, fixed[task, AT_NODE]
                )
                if unit[u, STATE] == IDLE:
                    leave = now + given[task, TURNOUT] * factor[u]
                _become(unit, unit_time, spent, u, SENT, now)
                unit[u, TASK], unit[u, PLACE], unit[u, GOAL], unit[u, NODE], unit[u, MODE] = task, -1, -1, here, mode
                unit_time[u, LEFT] = leave
                kept[task, UNIT], kept[task, OUTCOME] = u, IN_SERVICE
                stamp[task, SENT_AT], stamp[task, LEFT_AT] = now, leave
                _set_due(tree, u, leave + 0.001 * away + given[task, ACCESS])
                continue
            # nothing waits for it: to a station
            if _free(unit, u):
                counter[STACKED] -= 1
                continue
            home = unit[u, STATION]
            if unit[u, DUTY] == 1:
                if asks[CHOOSE_STATION]:
                    if ask[ANSWERED] == 0:
                        ask[QUESTION], ask[ABOUT_TASK], ask[ABOUT_UNIT] = CHOOSE_STATION, -1, u
                        real[CLOCK] = now
                        return False
                    home = ask[ANSWER]
                    ask[QUESTION], ask[ANSWERED] = NOBODY, 0
                elif whole[MOVE_RULE] == MAXIMAL_COVER:
                    _cover(unit, trait, trait[u, SERVES], point_first, point, cover)
                    most = -1.0
                    for station in range(stations):
                        if to_place[trait[u, NORMAL], here, station] >= NEVER:
                            continue
                        gain = 0.0
                        for k in range(point_first[station], point_first[station + 1]):
                            gain += demand[point[k]] * (1.0 - real[BUSY]) * real[BUSY] ** cover[point[k]]
                        if gain > most:
                            most, home = gain, station
            counter[STACKED] -= 1
            _send_home(unit, unit_time, trait, spent, tree, to_place, u, here, now, home, now)
            if whole[MOVE_RULE] == COMPLIANCE and unit[u, DUTY] == 1:
                _comply(
                    unit, unit_time, trait, spent, tree, table, stations, now, first, head, weight, out_first, out_hub,
                    out_cost, in_first, in_hub, in_cost, to_place, trait[u, SERVES],
                )  # fmt: skip
            continue
        # ---------------------------------------------------------------- the next event
        due = tree[1]
        shift = duty[counter[NEXT_DUTY], 0] if counter[NEXT_DUTY] < len(duty) else np.inf
        comes = ready[order[counter[NEXT_TASK]]] if counter[NEXT_TASK] < len(order) else np.inf
        then = min(due, shift, comes)
        if not then < until:
            break
        if whole[MOVE_RULE] == MAXIMAL_COVER or whole[DISPATCH_RULE] == COVERAGE:
            on_duty, busy = 0, 0
            for u in range(units):
                on_duty += unit[u, DUTY]
                busy += unit[u, DUTY] == 1 and not _free(unit, u)
            if on_duty > 0:
                real[BUSY] += (busy / on_duty - real[BUSY]) * -np.expm1((real[BUSY_SINCE] - then) / real[BUSY_MEMORY])
            real[BUSY_SINCE] = then
        now = then
        if due <= now:
            u = _first_due(tree)
            if u >= units:
                place = u - units
                catch_up(hospital, heap_first, heap_time, heap_task, door, kept, given, place, now)
                while hospital[place, DOOR] > 0 and has_room(hospital, place):
                    task = first_at_door(hospital, door, kept, place)
                    into_bay(hospital, heap_first, heap_time, heap_task, given, place, task, now)
                    stamp[task, BAY_AT] = now
                    other = kept[task, UNIT]
                    _become(unit, unit_time, spent, other, HANDOVER, now)
                    _set_due(tree, other, now + given[task, HANDOVER_TIME])
                _set_due(tree, u, door_next(hospital, heap_first, heap_time, place, now))
                continue
            task = unit[u, TASK]
            doing = unit[u, STATE]
            if doing == SENT:
                stamp[task, ARRIVED_AT] = now
                unit[u, NODE] = fixed[task, AT_NODE]
                _become(unit, unit_time, spent, u, AT_SCENE, now)
                before = fixed[task, AFTER]
                if before >= 0 and TO_COME <= kept[before, OUTCOME] <= IN_SERVICE and not stamp[before, DONE_AT] <= now:
                    unit[u, GOAL] = wait[before]  # units that wait for one task hang one on the other
                    wait[before] = u
                    ends = ready[before] + given[before, PATIENCE]
                    _set_due(tree, u, max(now, ends) if kept[before, OUTCOME] == WAITING else np.inf)
                else:
                    stamp[task, BEGAN_AT] = now
                    _set_due(tree, u, now + given[task, SCENE])
            elif doing == AT_SCENE and not stamp[task, BEGAN_AT] <= now:
                before = fixed[task, AFTER]
                if kept[before, OUTCOME] == IN_SERVICE and not stamp[before, DONE_AT] <= now:
                    _set_due(tree, u, np.inf)  # somebody has been sent meanwhile
                    continue
                if kept[before, OUTCOME] == WAITING:
                    _take_from_queue(queue, kept, fixed, before)
                    kept[before, OUTCOME] = CANCELLED
                _release(unit, tree, stamp, given, wait, before, now)
            elif doing == AT_SCENE:
                goal = -1
                lights = fixed[task, PRIORITY] < whole[HOSPITAL_LIGHTS]
                mode = trait[u, LIGHTS] if lights else trait[u, NORMAL]
                here = fixed[task, AT_NODE]
                diverted = False
                if fixed[task, TRANSPORT]:
                    if asks[CHOOSE_HOSPITAL]:
                        if ask[ANSWERED] == 0:
                            ask[QUESTION], ask[ABOUT_TASK], ask[ABOUT_UNIT] = CHOOSE_HOSPITAL, task, u
                            for place in range(len(hospital)):
                                catch_up(hospital, heap_first, heap_time, heap_task, door, kept, given, place, now)
                            real[CLOCK] = now
                            return False
                        goal = ask[ANSWER]
                        ask[QUESTION], ask[ANSWERED] = NOBODY, 0
                    else:
                        goal, diverted = _hospital(
                            hospital, mean_stay, heap_first, heap_time, heap_task, door, kept, given, to_place, stations,
                            mode, here, fixed[task, SPECIALTY], fixed[task, FIXED], whole[HOSPITAL_RULE], now,
                        )  # fmt: skip
                stamp[task, DONE_AT] = now
                _release(unit, tree, stamp, given, wait, task, now)
                if goal >= 0:
                    kept[task, HOSPITAL], kept[task, DIVERTED] = goal, diverted
                    _become(unit, unit_time, spent, u, TO_HOSPITAL, now)
                    unit[u, GOAL], unit[u, MODE] = stations + goal, mode
                    unit_time[u, LEFT] = now
                    _set_due(tree, u, now + 0.001 * to_place[mode, here, stations + goal])
                else:
                    kept[task, OUTCOME] = WITHOUT_HOSPITAL if fixed[task, TRANSPORT] else TREATED
                    _become(unit, unit_time, spent, u, CLEARING, now)
                    _set_due(tree, u, now + given[task, CLEAR])
            elif doing == TO_HOSPITAL:
                place = kept[task, HOSPITAL]
                stamp[task, DOOR_AT] = now
                unit[u, PLACE] = stations + place
                unit[u, NODE], unit[u, GOAL] = place_node[stations + place], -1
                catch_up(hospital, heap_first, heap_time, heap_task, door, kept, given, place, now)
                if has_room(hospital, place) and hospital[place, DOOR] == 0:
                    into_bay(hospital, heap_first, heap_time, heap_task, given, place, task, now)
                    stamp[task, BAY_AT] = now
                    _become(unit, unit_time, spent, u, HANDOVER, now)
                    _set_due(tree, u, now + given[task, HANDOVER_TIME])
                else:
                    join_door(hospital, door, kept, place, task, fixed[task, PRIORITY])
                    _become(unit, unit_time, spent, u, AT_DOOR, now)
                    _set_due(tree, u, np.inf)
                    _set_due(tree, units + place, door_next(hospital, heap_first, heap_time, place, now))
            elif doing == HANDOVER:
                kept[task, OUTCOME] = TRANSPORTED
                _become(unit, unit_time, spent, u, CLEARING, now)
                _set_due(tree, u, now + given[task, CLEAR])
            elif doing == CLEARING:
                stamp[task, FREE_AT] = now
                unit[u, TASK] = -1
                _set_due(tree, u, np.inf)
                stack[counter[STACKED]] = -1 - u
                counter[STACKED] += 1
            else:  # back at a station
                unit[u, PLACE] = unit[u, GOAL]
                unit[u, NODE], unit[u, GOAL] = place_node[unit[u, PLACE]], -1
                if unit[u, DUTY] == 0 and unit[u, PLACE] != unit[u, STATION]:
                    _send_home(
                        unit, unit_time, trait, spent, tree, to_place, u, unit[u, NODE], now,
                        unit[u, STATION], now,
                    )  # fmt: skip
                else:
                    _become(unit, unit_time, spent, u, IDLE if unit[u, DUTY] else OFF, now)
                    _set_due(tree, u, np.inf)
        elif shift <= now:
            u, begins = int(duty[counter[NEXT_DUTY], 1]), duty[counter[NEXT_DUTY], 2] > 0
            counter[NEXT_DUTY] += 1
            unit[u, DUTY] = begins
            if begins and (unit[u, STATE] == OFF or unit[u, STATE] == RETURNING):
                if unit[u, STATE] == OFF:
                    _become(unit, unit_time, spent, u, IDLE, now)
                stack[counter[STACKED]] = -1 - u
                counter[STACKED] += 1
            elif not begins and unit[u, STATE] == IDLE:
                if unit[u, PLACE] == unit[u, STATION]:
                    _become(unit, unit_time, spent, u, OFF, now)
                else:
                    _send_home(
                        unit, unit_time, trait, spent, tree, to_place, u, unit[u, NODE], now,
                        unit[u, STATION], now,
                    )  # fmt: skip
        else:
            task = order[counter[NEXT_TASK]]
            counter[NEXT_TASK] += 1
            kept[task, OUTCOME] = WAITING
            stack[counter[STACKED]] = task
            counter[STACKED] += 1
    for place in range(len(hospital)):
        catch_up(hospital, heap_first, heap_time, heap_task, door, kept, given, place, until)
    # whose patience has ended meanwhile
    for row in range(len(queue)):
        for priority in range(PRIORITIES):
            task = queue[row, priority]
            while task >= 0:
                following = kept[task, NEXT]
                if until - ready[task] > given[task, PATIENCE]:
                    _take_from_queue(queue, kept, fixed, task)
                    kept[task, OUTCOME] = CANCELLED
                task = following
    real[CLOCK] = now
    return True


@njit(cache=True, nogil=True)
def _send_home(unit, unit_time, trait, spent, tree, to_place, u, node, leave, station, now):
    """Let a unit drive from a node to a station."""
    mode = trait[u, NORMAL]
    away = to_place[mode, node, station]
    unit[u, HOME], unit[u, PLACE], unit[u, GOAL], unit[u, NODE], unit[u, MODE] = station, -1, station, node, mode
    unit_time[u, LEFT] = leave
    if away == 0 and leave <= now:
        unit[u, PLACE], unit[u, GOAL] = station, -1
        _become(unit, unit_time, spent, u, IDLE if unit[u, DUTY] else OFF, now)
        _set_due(tree, u, np.inf)
        return
    if unit[u, STATE] != RETURNING:
        _become(unit, unit_time, spent, u, RETURNING, now)
    _set_due(tree, u, leave + 0.001 * away if away < NEVER else np.inf)


@njit(cache=True, nogil=True)
def _hospital(
    hospital, mean_stay, heap_first, heap_time, heap_task, door, kept, given, to_place, stations, mode, node, specialty,
    wanted, rule, now,
):  # fmt: skip
    """Return the hospital for a patient at a node, −1 if none can be reached, and whether a nearer one was passed."""
    if wanted >= 0:
        return (wanted if to_place[mode, node, stations + wanted] < NEVER else -1), False
    nearest, near, best, least = -1, NEVER, -1, np.inf
    for offering in range(2):  # if none offers what is needed, any will do
        for place in range(len(hospital)):
            away = to_place[mode, node, stations + place]
            if away >= NEVER or (offering == 0 and specialty > 0 and not hospital[place, OFFERS] >> specialty & 1):
                continue
            if away < near:
                nearest, near = place, away
            bays = hospital[place, BAYS]
            key = 0.001 * away
            if bays >= 0 and rule > 0:
                catch_up(hospital, heap_first, heap_time, heap_task, door, kept, given, place, now)
                if hospital[place, USED] >= bays:
                    if rule == LEAST_TIME:
                        key += (hospital[place, DOOR] + 1) * mean_stay[place] / max(bays, 1)
                    elif hospital[place, DOOR] >= hospital[place, DIVERT]:
                        continue
            if key < least:
                best, least = place, key
        if nearest >= 0:
            break
    if rule == 0 or best < 0:
        best = nearest
    return best, best != nearest


@njit(cache=True, nogil=True)
def _comply(
    unit, unit_time, trait, spent, tree, table, stations, now, first, head, weight, out_first, out_hub, out_cost, in_first,
    in_hub, in_cost, to_place, service,
):  # fmt: skip
    """Move free units until the stations that a compliance table names are held, the nearest first."""
    lacking = np.zeros(stations, np.int64)
    free = 0
    for u in range(len(unit)):
        if trait[u, SERVES] & service and _free(unit, u):
            free += 1
            lacking[unit[u, HOME]] -= 1
    lacking += table[min(free, len(table) - 1)]
    while True:
        near, mover, goal, from_node, leave = NEVER, -1, -1, -1, now
        for u in range(len(unit)):
            if not trait[u, SERVES] & service or not _free(unit, u) or lacking[unit[u, HOME]] >= 0:
                continue
            node, rest = unit[u, NODE], 0.0
            if unit[u, STATE] == RETURNING:
                if now <= unit_time[u, LEFT]:
                    rest = 1000.0 * (unit_time[u, LEFT] - now)
                else:
                    node, rest = ahead(
                        first, head, weight, out_first, out_hub, out_cost, in_first, in_hub, in_cost, to_place,
                        unit[u, MODE], node, unit[u, GOAL], -1, 1000.0 * (now - unit_time[u, LEFT]),
                    )  # fmt: skip
            for station in range(stations):
                away = to_place[trait[u, NORMAL], node, station]
                if lacking[station] > 0 and away < NEVER and away + rest < near:
                    near, mover, goal, from_node, leave = away + rest, u, station, node, now + 0.001 * rest
        if mover < 0:
            return
        lacking[unit[mover, HOME]] += 1
        lacking[goal] -= 1
        _send_home(unit, unit_time, trait, spent, tree, to_place, mover, from_node, leave, goal, now)


@njit(cache=True, nogil=True)
def replan(old, new, state, stations, rule, now):
    """Let everybody under way go on from the next node by what is quickest now, and look anew at whoever waits.

    A unit on a link drives it to its end. One that cannot get to its scene any more is free again, and another one is
    sought; one that cannot get to its hospital goes to another; one that has no way at all stays where it is.

    Args:
        old, new: travel until now and from now on.
        rule: how hospitals are chosen.
    """
    unit, unit_time, trait, tree, kept, fixed = (
        state.unit, state.unit_time, state.trait, state.tree, state.kept, state.fixed,
    )  # fmt: skip
    counter, stack, queue = state.counter, state.stack, state.queue
    hospitals, ready = state.hospital, state.ready
    for u in range(len(unit)):
        doing = unit[u, STATE]
        if doing not in (SENT, TO_HOSPITAL, RETURNING):
            continue
        task = unit[u, TASK]
        goal = -1 if doing != SENT else fixed[task, AT_NODE]
        if now > unit_time[u, LEFT]:
            node, rest = ahead(
                old.first, old.head, old.weight, old.out_first, old.out_hub, old.out_cost, old.in_first, old.in_hub,
                old.in_cost, old.to_place, unit[u, MODE], unit[u, NODE], unit[u, GOAL], goal,
                1000.0 * (now - unit_time[u, LEFT]),
            )  # fmt: skip
            unit[u, NODE], unit_time[u, LEFT] = node, now + 0.001 * rest
            if doing == SENT and node == goal and rest == 0.0:
                continue  # on foot from the street
        node, leave = unit[u, NODE], unit_time[u, LEFT]
        if doing == SENT:
            away = _between(
                new.out_first[unit[u, MODE]], new.out_hub, new.out_cost, new.in_first[unit[u, MODE]], new.in_hub,
                new.in_cost, node, goal,
            )  # fmt: skip
            if away >= NEVER:
                kept[task, RESENT] += 1
                kept[task, UNREACHED] = 1
                state.stamp[task, SENT_AT] = state.stamp[task, LEFT_AT] = np.nan
                _put_in_queue(queue, kept, fixed, ready, task)
                unit[u, TASK] = -1
                _send_home(
                    unit, unit_time, trait, state.spent, tree, new.to_place, u, node, leave,
                    unit[u, HOME], now,
                )  # fmt: skip
            else:
                _set_due(tree, u, leave + 0.001 * away + state.given[task, ACCESS])
            continue
        away = new.to_place[unit[u, MODE], node, unit[u, GOAL]]
        if doing == TO_HOSPITAL and away >= NEVER:
            place, _ = _hospital(
                hospitals, state.mean_stay, state.heap_first, state.heap_time, state.heap_task, state.door, kept,
                state.given, new.to_place, stations, unit[u, MODE], node, fixed[task, SPECIALTY], -1, rule, now,
            )  # fmt: skip
            if place >= 0:
                kept[task, HOSPITAL], kept[task, DIVERTED] = place, True
                unit[u, GOAL] = stations + place
                away = new.to_place[unit[u, MODE], node, unit[u, GOAL]]
        _set_due(tree, u, leave + 0.001 * away if away < NEVER else np.inf)
    begin = counter[STACKED]
    for priority in range(PRIORITIES):
        while True:
            task = -1
            for row in range(len(queue)):
                head = queue[row, priority]
                if head >= 0 and (task < 0 or (ready[head], head) < (ready[task], task)):
                    task = head
            if task < 0:
                break
            _take_from_queue(queue, kept, fixed, task)
            stack[counter[STACKED]] = task
            counter[STACKED] += 1
    stack[begin : counter[STACKED]] = stack[begin : counter[STACKED]][::-1].copy()  # whoever goes first is on top


@njit(cache=True, nogil=True)
def open_doors(state, now):
    """Look at all hospitals after bays or beds have changed."""
    units = len(state.unit)
    for place in range(len(state.hospital)):
        catch_up(
            state.hospital, state.heap_first, state.heap_time, state.heap_task, state.door, state.kept, state.given, place,
            now,
        )  # fmt: skip
        admit_boarders(
            state.hospital, state.heap_first, state.heap_time, state.heap_task, state.door, state.kept, state.given, place,
            now,
        )  # fmt: skip
        next_look = door_next(state.hospital, state.heap_first, state.heap_time, place, now)
        _set_due(state.tree, units + place, next_look)


@njit(cache=True, nogil=True)
def positions(roads, state, now):
    """Return the node at which each unit is, or that it comes to next."""
    unit, left = state.unit, state.unit_time
    nodes = np.empty(len(unit), np.int32)
    for u in range(len(unit)):
        nodes[u] = unit[u, NODE]
        doing = unit[u, STATE]
        if (doing in (SENT, TO_HOSPITAL, RETURNING)) and now > left[u, LEFT]:
            goal = state.fixed[unit[u, TASK], AT_NODE] if doing == SENT else -1
            nodes[u] = ahead(
                roads.first, roads.head, roads.weight, roads.out_first, roads.out_hub, roads.out_cost, roads.in_first,
                roads.in_hub, roads.in_cost, roads.to_place, unit[u, MODE], unit[u, NODE], unit[u, GOAL], goal,
                1000.0 * (now - left[u, LEFT]),
            )[0]  # fmt: skip
    return nodes
