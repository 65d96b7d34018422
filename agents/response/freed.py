"""What a free unit does: decided for the unit on top of the stack."""

import numpy as np
from numba import njit

from ...environment.network.labels import NEVER
from .board import (
    AIDS,
    AT_NODE,
    CANCELLED,
    CHOOSE_STATION,
    CHOOSE_TASK,
    COMPLIANCE,
    DUTY,
    FIRST,
    HOLD_OUT,
    IDLE,
    LEFT,
    MAXIMAL_COVER,
    NEXT,
    NODE,
    NORMAL,
    OUTCOME,
    PATIENCE,
    PRIORITIES,
    PRIORITY,
    QUEUE_RULE,
    RETURNING,
    SERVES,
    SERVICES,
    SKILL,
    SKILLS,
    STACKED,
    STATE,
    STATION,
    TURNOUT,
    UNREACHED,
    WAIT,
)
from .cover import comply, count_cover, move_rule
from .driving import ahead, drive
from .questions import ASKED, answer_to
from .units import assign, is_free, kept_back, scene_mode, send_home
from .waiting import service_row, take_from_queue


@njit(cache=True, nogil=True, inline="always")
def decide_unit(roads, rules, state, now):
    """Let the unit on top of the stack take a task that waits, or go to a station.

    Returns:
        the unit if it is at the scene of its task at once, :data:`ASKED` if Python must answer first, otherwise −1.
    """
    unit, unit_time, trait, counter = state.unit, state.unit_time, state.trait, state.counter
    u = -1 - state.stack[counter[STACKED] - 1]
    here, leave = unit[u, NODE], now
    if unit[u, STATE] == RETURNING:  # its shift begins on the way
        if now <= unit_time[u, LEFT]:
            leave = unit_time[u, LEFT]
        else:
            here, rest = ahead(roads, unit, u, -1, 1000.0 * (now - unit_time[u, LEFT]), state.known[1])
            leave = now + 0.001 * rest
    task, away = -1, NEVER
    if unit[u, DUTY] == 1 and counter[WAIT] > 0:
        task, away = _first_waiting(roads, rules, state, u, here, now)
        if task >= 0 and rules.asks[CHOOSE_TASK]:
            task = answer_to(state.ask, CHOOSE_TASK, task, u)
            if task == ASKED:
                return ASKED
            away = drive(
                roads, scene_mode(rules, trait, u, state.fixed[task, PRIORITY]), here, state.fixed[task, AT_NODE]
            )
    if task >= 0:
        counter[STACKED] -= 1
        take_from_queue(state, task)
        if unit[u, STATE] == IDLE:
            leave = now + state.given[task, TURNOUT] * state.factor[u]
        mode = scene_mode(rules, trait, u, state.fixed[task, PRIORITY])
        return assign(state, u, task, mode, here, leave, away, now, True)
    if is_free(unit, u):
        counter[STACKED] -= 1
        return -1
    station = unit[u, STATION]
    if unit[u, DUTY] == 1:
        if rules.asks[CHOOSE_STATION]:
            station = answer_to(state.ask, CHOOSE_STATION, -1, u)
            if station == ASKED:
                return ASKED
        elif move_rule(rules, trait, u) == MAXIMAL_COVER:
            station = _most_cover(roads, rules, state, u, here)
    counter[STACKED] -= 1
    send_home(roads.to_place, state, u, here, now, station, now)
    if unit[u, DUTY] == 1 and move_rule(rules, trait, u) == COMPLIANCE:
        comply(roads, rules, state, service_row(trait[u, SERVES]), now)
    return -1


@njit(cache=True, nogil=True, inline="always")
def _first_waiting(roads, rules, state, u, here, now):
    """Return the task that a unit at a node takes of those that wait, and the ms to it; −1 if none."""
    trait, kept, fixed, ready = state.trait, state.kept, state.fixed, state.ready
    chosen, nearest, reach = -1, np.inf, NEVER
    first_come = rules.whole[QUEUE_RULE] == FIRST
    for priority in range(PRIORITIES):
        if rules.whole[HOLD_OUT] > 0 and kept_back(state.unit, trait, rules.whole, u, priority):
            break
        mode = scene_mode(rules, trait, u, priority)
        for row in range(SERVICES):
            if not (trait[u, SERVES] | trait[u, AIDS]) >> row & 1:
                continue
            task = state.queue[row, priority]
            while task >= 0:
                following = kept[task, NEXT]
                if now - ready[task] > state.given[task, PATIENCE]:
                    take_from_queue(state, task)
                    kept[task, OUTCOME] = CANCELLED
                elif not fixed[task, SKILL] & ~trait[u, SKILLS]:
                    away = drive(roads, mode, here, fixed[task, AT_NODE])
                    if away < NEVER:
                        key = ready[task] if first_come else float(away)
                        if key < nearest:
                            chosen, nearest, reach = task, key, away
                        if first_come:
                            break
                    else:
                        kept[task, UNREACHED] = 1
                task = following
        if chosen >= 0:
            break
    return chosen, reach


@njit(cache=True, nogil=True, inline="always")
def _most_cover(roads, rules, state, u, here):
    """Return the station at which a free unit adds most to the expected cover (Jagtenberg et al. 2015)."""
    trait, busy = state.trait, rules.busy[service_row(state.trait[u, SERVES])]
    count_cover(rules, state, trait[u, SERVES])
    most, best = -1.0, state.unit[u, STATION]
    for station in range(len(rules.point_first) - 1):
        if roads.to_place[trait[u, NORMAL], here, station] >= NEVER:
            continue
        gain = 0.0
        for k in range(rules.point_first[station], rules.point_first[station + 1]):
            point = rules.point[k]
            gain += rules.demand[point] * (1.0 - busy) * busy ** state.cover[point]
        if gain > most:
            most, best = gain, station
    return best
