"""What changes in the middle of a run: streets, bays and beds."""

import numpy as np
from numba import njit

from ...environment.network.labels import NEVER
from .board import (
    ACCESS,
    AT_NODE,
    DIVERTED,
    GOAL,
    HOME,
    HOSPITAL,
    LEFT,
    LEFT_AT,
    MODE,
    NODE,
    PRIORITIES,
    RESENT,
    RETURNING,
    SENT,
    SENT_AT,
    SPECIALTY,
    STACKED,
    STATE,
    TASK,
    TO_HOSPITAL,
    UNREACHED,
)
from .doors import admit_boarders, catch_up, choose_hospital, door_next
from .driving import ahead, drive
from .units import depart, send_home, set_due
from .waiting import put_in_queue, take_from_queue


@njit(cache=True, nogil=True)
def replan(old, new, state, stations, rule, now):
    """Let everybody under way go on from the next node by what is quickest now, and look anew at whoever waits.

    A unit on a link drives it to its end. One that cannot get to its scene any more is free again, and another one is
    sought; one that cannot get to its hospital goes to another; one that has no way at all stays where it is.

    Args:
        old, new: travel until now and from now on.
        rule: how hospitals are chosen.
    """
    unit, unit_time, tree, kept, fixed = state.unit, state.unit_time, state.tree, state.kept, state.fixed
    counter, stack, queue = state.counter, state.stack, state.queue
    ready = state.ready
    for u in range(len(unit)):
        doing = unit[u, STATE]
        if doing not in (SENT, TO_HOSPITAL, RETURNING):
            continue
        task = unit[u, TASK]
        goal = -1 if doing != SENT else fixed[task, AT_NODE]
        if now > unit_time[u, LEFT]:
            node, rest = ahead(old, unit, u, goal, 1000.0 * (now - unit_time[u, LEFT]), state.known[1])
            depart(unit, unit_time, u, node, now + 0.001 * rest, 0)
            if doing == SENT and node == goal and rest == 0.0:
                continue  # on foot from the street
        node, leave = unit[u, NODE], unit_time[u, LEFT]
        if doing == SENT:
            away = drive(new, unit[u, MODE], node, goal)
            if away >= NEVER:
                kept[task, RESENT] += 1
                kept[task, UNREACHED] = 1
                state.stamp[task, SENT_AT] = state.stamp[task, LEFT_AT] = np.nan
                put_in_queue(state, task)
                unit[u, TASK] = -1
                send_home(new.to_place, state, u, node, leave, unit[u, HOME], now)
            else:
                depart(unit, unit_time, u, node, leave, away)
                set_due(tree, u, leave + 0.001 * away + state.given[task, ACCESS])
            continue
        away = new.to_place[unit[u, MODE], node, unit[u, GOAL]]
        if doing == TO_HOSPITAL and away >= NEVER:
            place, _ = choose_hospital(
                state.doors, kept, state.given, new.to_place, unit[u, MODE], node, fixed[task, SPECIALTY], -1, rule, now
            )
            if place >= 0:
                kept[task, HOSPITAL], kept[task, DIVERTED] = place, True
                unit[u, GOAL] = stations + place
                away = new.to_place[unit[u, MODE], node, unit[u, GOAL]]
        depart(unit, unit_time, u, node, leave, away)
        set_due(tree, u, leave + 0.001 * away if away < NEVER else np.inf)
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
            take_from_queue(state, task)
            stack[counter[STACKED]] = task
            counter[STACKED] += 1
    stack[begin : counter[STACKED]] = stack[begin : counter[STACKED]][::-1].copy()  # whoever goes first is on top


@njit(cache=True, nogil=True)
def open_doors(state, now):
    """Look at all hospitals after bays or beds have changed."""
    doors, units = state.doors, len(state.unit)
    for place in range(len(doors.hospital)):
        catch_up(doors, state.kept, state.given, place, now)
        admit_boarders(doors, state.kept, state.given, place, now)
        set_due(state.tree, units + place, door_next(doors, place, now))
