"""What happens to units: when next, in which state, back to a station."""

import numpy as np
from numba import njit

from ...environment.network.labels import NEVER
from .board import (
    ACCESS,
    BEGAN_AT,
    DRIVEN,
    DUTY,
    GOAL,
    HOLD_FROM,
    HOLD_OUT,
    HOME,
    IDLE,
    IN_SERVICE,
    LEFT,
    LEFT_AT,
    LIGHTS,
    MODE,
    NODE,
    NORMAL,
    OFF,
    OUTCOME,
    PASSED,
    PLACE,
    REST,
    RETURNING,
    SCENE,
    SCENE_LIGHTS,
    SENT,
    SENT_AT,
    SERVES,
    SINCE,
    STACKED,
    STATE,
    STATION,
    TASK,
    UNIT,
)


@njit(cache=True, nogil=True, inline="always")
def set_due(tree, leaf, time):
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


@njit(cache=True, nogil=True, inline="always")
def first_due(tree):
    """Return the unit or hospital of the next event."""
    at = 1
    half = len(tree) // 2
    while at < half:
        at *= 2
        if tree[at] > tree[at // 2]:
            at += 1
    return at - half


@njit(cache=True, nogil=True, inline="always")
def become(unit, unit_time, spent, u, state, now):
    """Put a unit into a state, and count the time in the one before."""
    spent[u, unit[u, STATE]] += now - unit_time[u, SINCE]
    unit_time[u, SINCE] = now
    unit[u, STATE] = state


@njit(cache=True, nogil=True, inline="always")
def is_free(unit, u):
    return unit[u, DUTY] == 1 and (unit[u, STATE] == IDLE or unit[u, STATE] == RETURNING)


@njit(cache=True, nogil=True)
def kept_back(unit, trait, whole, u, priority):
    """Return whether a free unit is kept for more urgent tasks: it and the free ones that share a service are too few.

    A neighbour, which belongs to no service of the city, never is: it would come to nothing else.
    """
    if whole[HOLD_OUT] == 0 or priority < whole[HOLD_FROM] or trait[u, SERVES] == 0:
        return False
    free = 0
    for other in range(len(unit)):
        free += trait[other, SERVES] & trait[u, SERVES] != 0 and (other == u or is_free(unit, other))
    return free <= whole[HOLD_OUT]


@njit(cache=True, nogil=True, inline="always")
def scene_mode(rules, trait, u, priority):
    """Return the mode in which a unit drives to a task of a priority."""
    return trait[u, LIGHTS] if priority < rules.whole[SCENE_LIGHTS] else trait[u, NORMAL]


@njit(cache=True, nogil=True, inline="always")
def depart(unit, unit_time, u, node, leave, away):
    """Let a unit leave a node at a second, ``away`` ms from its goal."""
    unit[u, NODE] = unit[u, PASSED] = node
    unit[u, DRIVEN], unit[u, REST] = 0, away
    unit_time[u, LEFT] = leave


@njit(cache=True, nogil=True, inline="always")
def assign(state, u, task, mode, node, leave, away, now, may_be_there):
    """Send a unit to a task, in a mode, from a node that it leaves at a second, ``away`` ms from the scene.

    Args:
        may_be_there: whether nothing else happens before the next event.

    Returns:
        the unit if it is at the scene at once and need not be looked for, otherwise −1.
    """
    unit, kept, stamp = state.unit, state.kept, state.stamp
    if unit[u, STATE] != SENT:
        become(unit, state.unit_time, state.spent, u, SENT, now)
    unit[u, TASK], unit[u, PLACE], unit[u, GOAL], unit[u, MODE] = task, -1, -1, mode
    depart(unit, state.unit_time, u, node, leave, away)
    kept[task, UNIT], kept[task, OUTCOME] = u, IN_SERVICE
    stamp[task, SENT_AT], stamp[task, LEFT_AT] = now, leave
    due = leave + 0.001 * away + state.given[task, ACCESS]
    if may_be_there and due <= now and state.counter[STACKED] == 0:
        return u
    set_due(state.tree, u, due)
    return -1


@njit(cache=True, nogil=True, inline="always")
def send_home(to_place, state, u, node, leave, station, now):
    """Let a unit drive from a node to a station."""
    unit = state.unit
    mode = state.trait[u, NORMAL]
    away = to_place[mode, node, station]
    unit[u, HOME], unit[u, PLACE], unit[u, GOAL], unit[u, MODE] = station, -1, station, mode
    depart(unit, state.unit_time, u, node, leave, away)
    due = np.inf
    if away == 0 and leave <= now:
        unit[u, PLACE], unit[u, GOAL] = station, -1
        become(unit, state.unit_time, state.spent, u, IDLE if unit[u, DUTY] else OFF, now)
    else:
        if unit[u, STATE] != RETURNING:
            become(unit, state.unit_time, state.spent, u, RETURNING, now)
        if away < NEVER:
            due = leave + 0.001 * away
    set_due(state.tree, u, due)


@njit(cache=True, nogil=True)
def end_duty(to_place, state, u, now):
    """Let a unit that is off duty go from the station where it is to its own, where it is put away."""
    send_home(to_place, state, u, state.unit[u, NODE], now, state.unit[u, STATION], now)


@njit(cache=True, nogil=True, inline="always")
def release(state, task, now):
    """Let the units begin that wait at a scene for the work of a task, which is done or will not be."""
    unit = state.unit
    other = state.wait[task]
    while other >= 0:
        following = unit[other, GOAL]
        unit[other, GOAL] = -1
        state.stamp[unit[other, TASK], BEGAN_AT] = now
        set_due(state.tree, other, now + state.given[unit[other, TASK], SCENE])
        other = following
    state.wait[task] = -1
