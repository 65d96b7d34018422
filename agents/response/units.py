"""What happens to units: when next, in which state, back to a station."""

import numpy as np
from numba import njit

from ...environment.network.labels import NEVER
from .board import (
    BEGAN_AT,
    DRIVEN,
    DUTY,
    GOAL,
    HOLD_FROM,
    HOLD_OUT,
    HOME,
    IDLE,
    LEFT,
    MODE,
    NODE,
    NORMAL,
    OFF,
    PASSED,
    PLACE,
    REST,
    RETURNING,
    SCENE,
    SERVES,
    SINCE,
    STATE,
    TASK,
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
    """Return whether a free unit is kept for more urgent tasks: it and the free ones that share a service are too few."""
    if whole[HOLD_OUT] == 0 or priority < whole[HOLD_FROM]:
        return False
    free = 0
    for other in range(len(unit)):
        free += trait[other, SERVES] & trait[u, SERVES] != 0 and (other == u or is_free(unit, other))
    return free <= whole[HOLD_OUT]


@njit(cache=True, nogil=True, inline="always")
def depart(unit, unit_time, u, node, leave, away):
    """Let a unit leave a node at a second, ``away`` ms from its goal."""
    unit[u, NODE] = unit[u, PASSED] = node
    unit[u, DRIVEN], unit[u, REST] = 0, away
    unit_time[u, LEFT] = leave


@njit(cache=True, nogil=True, inline="always")
def send_home(unit, unit_time, trait, spent, tree, to_place, u, node, leave, station, now):
    """Let a unit drive from a node to a station."""
    mode = trait[u, NORMAL]
    away = to_place[mode, node, station]
    unit[u, HOME], unit[u, PLACE], unit[u, GOAL], unit[u, MODE] = station, -1, station, mode
    depart(unit, unit_time, u, node, leave, away)
    if away == 0 and leave <= now:
        unit[u, PLACE], unit[u, GOAL] = station, -1
        become(unit, unit_time, spent, u, IDLE if unit[u, DUTY] else OFF, now)
        set_due(tree, u, np.inf)
        return
    if unit[u, STATE] != RETURNING:
        become(unit, unit_time, spent, u, RETURNING, now)
    set_due(tree, u, leave + 0.001 * away if away < NEVER else np.inf)


@njit(cache=True, nogil=True)
def release(unit, tree, stamp, given, wait, task, now):
    """Let the units begin that wait at a scene for the work of a task, which is done or will not be."""
    other = wait[task]
    while other >= 0:
        following = unit[other, GOAL]
        unit[other, GOAL] = -1
        stamp[unit[other, TASK], BEGAN_AT] = now
        set_due(tree, other, now + given[unit[other, TASK], SCENE])
        other = following
    wait[task] = -1
