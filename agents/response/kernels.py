"""The kernel of emergency response: units, calls and hospitals as events in continuous time.

A unit has one thing that happens to it next, a hospital with somebody at its door too; the earliest of these, of the tasks
that become ready and of the shifts that begin or end is the next event. Of one moment units come first, then hospitals,
shifts, tasks; of these the lower number. So nothing depends on how the work is divided.

Nobody decides inside an event. What an event leaves to decide lies on a stack, and is decided one after the other: who is
sent to a task (:mod:`.sending`), what a free unit does (:mod:`.freed`). Where Python is to decide, the kernel returns with
the question and is called again with the answer.
"""

import numpy as np
from numba import njit

from .board import (
    AFTER,
    ARRIVED_AT,
    AT_DOOR,
    AT_NODE,
    AT_SCENE,
    BAY_AT,
    BEGAN_AT,
    BUSY_MEMORY,
    BUSY_SINCE,
    CANCELLED,
    CHANGED,
    CHOOSE_HOSPITAL,
    CLEAR,
    CLEARING,
    CLOCK,
    COMPLIANCE,
    COVERAGE,
    DISPATCH_RULE,
    DIVERTED,
    DONE_AT,
    DOOR_AT,
    DUTY,
    FIXED,
    FREE_AT,
    GOAL,
    HANDOVER,
    HANDOVER_TIME,
    HOSPITAL,
    HOSPITAL_LIGHTS,
    HOSPITAL_RULE,
    IDLE,
    IN_SERVICE,
    LIGHTS,
    MAXIMAL_COVER,
    MODE,
    NEXT,
    NEXT_DUTY,
    NEXT_TASK,
    NODE,
    NORMAL,
    OFF,
    OUTCOME,
    PATIENCE,
    PLACE,
    PRIORITIES,
    PRIORITY,
    RETURNING,
    SCENE,
    SENT,
    SERVES,
    SERVICES,
    SPECIALTY,
    STACKED,
    STATE,
    TASK,
    TO_COME,
    TO_HOSPITAL,
    TRANSPORT,
    TRANSPORTED,
    TREATED,
    UNIT,
    WAITING,
    WITHOUT_HOSPITAL,
)
from .cover import comply
from .doors import DOOR, catch_up, choose_hospital, door_next, first_at_door, has_room, into_bay, join_door
from .freed import decide_unit
from .questions import ASKED, answer_to
from .sending import decide_task
from .units import become, depart, end_duty, first_due, is_free, release, set_due
from .waiting import take_from_queue


# without numba's count of who holds which array: none is made here, and counting costs more than the work
@njit(cache=True, nogil=True, _nrt=False)  # type: ignore[call-overload]
def run(roads, rules, state, until):
    """Make all events before ``until`` (s), and return whether that is done; if not, a question waits for an answer."""
    unit, tree, duty, ready, order = state.unit, state.tree, state.duty, state.ready, state.order
    counter, stack, real = state.counter, state.stack, rules.real
    reckons = rules.whole[DISPATCH_RULE] == COVERAGE
    for row in range(SERVICES):
        reckons = reckons or rules.move[row] == MAXIMAL_COVER
    now = real[CLOCK]
    there = -1
    while True:
        if counter[STACKED] > 0:
            if stack[counter[STACKED] - 1] >= 0:
                there = decide_task(roads, rules, state, now)
            else:
                there = decide_unit(roads, rules, state, now)
            if there == ASKED:
                real[CLOCK] = now
                return False
            continue
        due, shift = now, np.inf
        if there < 0:
            due = tree[1]
            shift = duty[counter[NEXT_DUTY], 0] if counter[NEXT_DUTY] < len(duty) else np.inf
            if counter[CHANGED] > 0 and shift > now:  # all who come and go at this moment have
                counter[CHANGED] = 0
                for row in range(SERVICES):
                    if rules.move[row] == COMPLIANCE:
                        comply(roads, rules, state, row, now)
                due = tree[1]
            comes = ready[order[counter[NEXT_TASK]]] if counter[NEXT_TASK] < len(order) else np.inf
            then = min(due, shift, comes)
            if not then < until:
                break
            if reckons:
                _smooth_busy(rules, state, then)
            now = then
        if due <= now:
            u = first_due(tree) if there < 0 else there
            there = -1
            if u >= len(unit):
                _open_door(state, u - len(unit), now)
            elif not _move_on(roads, rules, state, u, now):
                real[CLOCK] = now
                return False
        elif shift <= now:
            _change_shift(roads, state, now)
        else:
            task = order[counter[NEXT_TASK]]
            counter[NEXT_TASK] += 1
            state.kept[task, OUTCOME] = WAITING
            stack[counter[STACKED]] = task
            counter[STACKED] += 1
    _catch_up_all(state, until)
    _give_up(state, until)
    real[CLOCK] = now
    return True


@njit(cache=True, nogil=True)
def _smooth_busy(rules, state, then):
    """Let the busy share of each service's units on duty follow what it has been until ``then``."""
    unit, real = state.unit, rules.real
    weight = -np.expm1((real[BUSY_SINCE] - then) / real[BUSY_MEMORY])
    for row in range(SERVICES):
        on_duty, busy = 0, 0
        for u in range(len(unit)):
            if state.trait[u, SERVES] >> row & 1 and unit[u, DUTY] == 1:
                on_duty += 1
                busy += not is_free(unit, u)
        if on_duty > 0:
            rules.busy[row] += (busy / on_duty - rules.busy[row]) * weight
    real[BUSY_SINCE] = then


@njit(cache=True, nogil=True, inline="always")
def _move_on(roads, rules, state, u, now):
    """Let happen to a unit what happens next, and return whether it has; if not, Python must answer first."""
    unit, kept = state.unit, state.kept
    task, doing = unit[u, TASK], unit[u, STATE]
    over = False
    if doing == SENT:
        _arrive(state, u, task, now)
    elif doing == AT_SCENE and not state.stamp[task, BEGAN_AT] <= now:
        _wait_no_longer(state, u, state.fixed[task, AFTER], now)
    elif doing == AT_SCENE:
        hospital, diverted = -1, False
        lights = state.fixed[task, PRIORITY] < rules.whole[HOSPITAL_LIGHTS]
        mode = state.trait[u, LIGHTS] if lights else state.trait[u, NORMAL]
        if state.fixed[task, TRANSPORT]:
            if rules.asks[CHOOSE_HOSPITAL] and state.fixed[task, FIXED] < 0:
                hospital = answer_to(state.ask, CHOOSE_HOSPITAL, task, u)
                if hospital == ASKED:
                    _catch_up_all(state, now)
                    return False
            else:
                hospital, diverted = _choose_hospital(roads, rules, state, task, mode, now)
        state.stamp[task, DONE_AT] = now
        if state.wait[task] >= 0:
            release(state, task, now)
        if hospital >= 0:
            kept[task, HOSPITAL], kept[task, DIVERTED] = hospital, diverted
            _bring(roads, state, u, task, mode, now)
        else:
            kept[task, OUTCOME] = WITHOUT_HOSPITAL if state.fixed[task, TRANSPORT] else TREATED
            over = True
    elif doing == TO_HOSPITAL:
        _reach_hospital(roads, state, u, task, now)
    elif doing == HANDOVER:
        kept[task, OUTCOME] = TRANSPORTED
        over = True
    elif doing == RETURNING:
        unit[u, PLACE] = unit[u, GOAL]
        unit[u, NODE], unit[u, GOAL] = roads.place_node[unit[u, PLACE]], -1
        if unit[u, DUTY] == 1:
            become(unit, state.unit_time, state.spent, u, IDLE, now)
            set_due(state.tree, u, np.inf)
        else:
            end_duty(roads.to_place, state, u, now)
    if over:
        become(unit, state.unit_time, state.spent, u, CLEARING, now)
        if state.given[task, CLEAR] > 0:
            set_due(state.tree, u, now + state.given[task, CLEAR])
            return True
    if over or doing == CLEARING:
        state.stamp[task, FREE_AT] = now
        unit[u, TASK] = -1
        state.stack[state.counter[STACKED]] = -1 - u  # when it is due next is said when it has been decided
        state.counter[STACKED] += 1
    return True


@njit(cache=True, nogil=True, inline="always")
def _arrive(state, u, task, now):
    """Let a unit arrive at a scene, and begin there or wait for the work of another."""
    unit, kept, stamp = state.unit, state.kept, state.stamp
    stamp[task, ARRIVED_AT] = now
    unit[u, NODE] = state.fixed[task, AT_NODE]
    become(unit, state.unit_time, state.spent, u, AT_SCENE, now)
    before = state.fixed[task, AFTER]
    if before >= 0 and TO_COME <= kept[before, OUTCOME] <= IN_SERVICE and not stamp[before, DONE_AT] <= now:
        unit[u, GOAL] = state.wait[before]  # units that wait for one task hang one on the other
        state.wait[before] = u
        ends = state.ready[before] + state.given[before, PATIENCE]
        due = max(now, ends) if kept[before, OUTCOME] == WAITING else np.inf
    else:
        stamp[task, BEGAN_AT] = now
        due = now + state.given[task, SCENE]
    set_due(state.tree, u, due)


@njit(cache=True, nogil=True)
def _wait_no_longer(state, u, before, now):
    """Let a unit at a scene begin without the task that was to be done before, unless somebody has been sent to it."""
    kept = state.kept
    if kept[before, OUTCOME] == IN_SERVICE and not state.stamp[before, DONE_AT] <= now:
        set_due(state.tree, u, np.inf)
        return
    if kept[before, OUTCOME] == WAITING:
        take_from_queue(state, before)
        kept[before, OUTCOME] = CANCELLED
    release(state, before, now)


@njit(cache=True, nogil=True, inline="always")
def _choose_hospital(roads, rules, state, task, mode, now):
    """Return the hospital for the patient of a task, −1 if none can be reached, and whether a nearer one was passed."""
    return choose_hospital(
        state.doors, state.kept, state.given, roads.to_place, mode, state.fixed[task, AT_NODE],
        state.fixed[task, SPECIALTY], state.fixed[task, FIXED], rules.whole[HOSPITAL_RULE], now,
    )  # fmt: skip


@njit(cache=True, nogil=True, inline="always")
def _bring(roads, state, u, task, mode, now):
    """Let a unit leave the scene with a patient for the hospital that has been chosen."""
    unit, here = state.unit, state.fixed[task, AT_NODE]
    place = roads.place_node.shape[0] - len(state.doors.hospital) + state.kept[task, HOSPITAL]
    become(unit, state.unit_time, state.spent, u, TO_HOSPITAL, now)
    unit[u, GOAL], unit[u, MODE] = place, mode
    away = roads.to_place[mode, here, place]
    depart(unit, state.unit_time, u, here, now, away)
    set_due(state.tree, u, now + 0.001 * away)


@njit(cache=True, nogil=True, inline="always")
def _reach_hospital(roads, state, u, task, now):
    """Let a unit arrive at a hospital, and hand its patient over or wait at the door."""
    unit, doors, number = state.unit, state.doors, state.kept[task, HOSPITAL]
    state.stamp[task, DOOR_AT] = now
    unit[u, PLACE] = unit[u, GOAL]
    unit[u, NODE], unit[u, GOAL] = roads.place_node[unit[u, PLACE]], -1
    catch_up(doors, state.kept, state.given, number, now)
    if has_room(doors.hospital, number) and doors.hospital[number, DOOR] == 0:
        _hand_over(state, number, task, now)
    else:
        join_door(doors, state.kept, number, task, state.fixed[task, PRIORITY])
        become(unit, state.unit_time, state.spent, u, AT_DOOR, now)
        set_due(state.tree, u, np.inf)
        set_due(state.tree, len(unit) + number, door_next(doors, number, now))


@njit(cache=True, nogil=True, inline="always")
def _hand_over(state, number, task, now):
    """Let the unit of a task begin its handover in a bay that is free."""
    into_bay(state.doors, state.given, number, task, now)
    state.stamp[task, BAY_AT] = now
    u = state.kept[task, UNIT]
    become(state.unit, state.unit_time, state.spent, u, HANDOVER, now)
    set_due(state.tree, u, now + state.given[task, HANDOVER_TIME])


@njit(cache=True, nogil=True)
def _open_door(state, number, now):
    """Let in those who wait at the door of a hospital, as far as there is room."""
    doors = state.doors
    catch_up(doors, state.kept, state.given, number, now)
    while doors.hospital[number, DOOR] > 0 and has_room(doors.hospital, number):
        _hand_over(state, number, first_at_door(doors, state.kept, number), now)
    set_due(state.tree, len(state.unit) + number, door_next(doors, number, now))


@njit(cache=True, nogil=True)
def _catch_up_all(state, now):
    """Let stays in all hospitals end that end until now."""
    for number in range(len(state.doors.hospital)):
        catch_up(state.doors, state.kept, state.given, number, now)


@njit(cache=True, nogil=True)
def _change_shift(roads, state, now):
    """Let a unit begin or end its duty."""
    unit, counter = state.unit, state.counter
    u, begins = int(state.duty[counter[NEXT_DUTY], 1]), state.duty[counter[NEXT_DUTY], 2] > 0
    counter[NEXT_DUTY] += 1
    counter[CHANGED] += 1
    unit[u, DUTY] = begins
    if begins and (unit[u, STATE] == OFF or unit[u, STATE] == RETURNING):
        if unit[u, STATE] == OFF:
            become(unit, state.unit_time, state.spent, u, IDLE, now)
        state.stack[counter[STACKED]] = -1 - u
        counter[STACKED] += 1
    elif not begins and unit[u, STATE] == IDLE:
        end_duty(roads.to_place, state, u, now)


@njit(cache=True, nogil=True)
def _give_up(state, now):
    """Cancel the tasks in queues whose patience has ended."""
    for row in range(SERVICES):
        for priority in range(PRIORITIES):
            task = state.queue[row, priority]
            while task >= 0:
                following = state.kept[task, NEXT]
                if now - state.ready[task] > state.given[task, PATIENCE]:
                    take_from_queue(state, task)
                    state.kept[task, OUTCOME] = CANCELLED
                task = following
