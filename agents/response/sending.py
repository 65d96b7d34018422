"""Who is sent to a task: decided for the task on top of the stack."""

import numpy as np
from numba import njit

from ...environment.network.labels import NEVER
from .board import (
    ACCESS,
    AID_AFTER,
    AIDS,
    AT_NODE,
    CANCELLED,
    CHOOSE_UNIT,
    COMPLIANCE,
    COVERAGE,
    DISPATCH_RULE,
    DRIVEN,
    DUTY,
    GOAL,
    HOLD_FROM,
    HOLD_OUT,
    HOME,
    IDLE,
    LEFT,
    LEFT_AT,
    LIGHTS,
    LOSS,
    LOST,
    MODE,
    NEAREST,
    NODE,
    NORMAL,
    OUTCOME,
    PASSED,
    PATIENCE,
    PLACE,
    PRIORITY,
    QUEUED,
    RESENT,
    RETURNING,
    SCENE_LIGHTS,
    SENT,
    SENT_AT,
    SERVES,
    SERVICE,
    SKILL,
    SKILLS,
    STACKED,
    STATE,
    TASK,
    TURNOUT,
    UNIT,
    UNREACHED,
    WAITING,
)
from .cover import comply, count_cover, move_rule
from .driving import ahead, drive_there, forget, learn, least_drive
from .questions import ASKED, answer_to
from .units import assign, is_free, kept_back, release, scene_mode, set_due
from .waiting import put_in_queue, service_row


@njit(cache=True, nogil=True, inline="always")
def decide_task(roads, rules, state, now):
    """Send somebody to the task on top of the stack, or let it wait, be lost or given up.

    Returns:
        the unit that is at the scene at once, :data:`ASKED` if Python must answer first, otherwise −1.
    """
    counter, kept, chance, whole = state.counter, state.kept, state.chance, rules.whole
    task = state.stack[counter[STACKED] - 1]
    if now - state.ready[task] > state.given[task, PATIENCE]:
        counter[STACKED] -= 1
        kept[task, OUTCOME] = CANCELLED
        release(state, task, now)
        return -1
    able, near, aider = _find(roads, rules, state, task, now)
    if rules.asks[CHOOSE_UNIT]:
        u = answer_to(state.ask, CHOOSE_UNIT, task, -1)
        if u == ASKED:
            return ASKED
    else:
        u = near
        if near >= 0 and whole[DISPATCH_RULE] == COVERAGE:
            u = _least_missed(rules, state, task, near)
        if aider >= 0 and (
            near < 0 or (chance[near] - state.ready[task] > rules.real[AID_AFTER] and chance[aider] < chance[near])
        ):
            u = aider
    counter[STACKED] -= 1
    if u < 0:
        if whole[LOSS]:
            kept[task, OUTCOME] = LOST
            release(state, task, now)
        else:
            kept[task, UNREACHED] |= able and near < 0 and aider < 0
            _let_wait(state, task, now)
        return -1
    if state.unit[u, STATE] == SENT:
        _call_away(state, u)
    trait = state.trait
    mode = scene_mode(rules, trait, u, state.fixed[task, PRIORITY])
    complies = move_rule(rules, trait, u) == COMPLIANCE
    there = assign(state, u, task, mode, state.from_node[u], state.leaving[u], state.way[u], now, not complies)
    if complies:
        comply(roads, rules, state, service_row(trait[u, SERVES]), now)
    return there


@njit(cache=True, nogil=True, inline="always")
def _find(roads, rules, state, task, now):
    """Work out when each unit could be at the scene of a task, into ``state.chance`` and what stands beside it there.

    Returns:
        whether units are free that could do it; the first own unit to be there, −1 for none; the first that helps out.
    """
    unit, trait, chance, leaving, way = state.unit, state.trait, state.chance, state.leaving, state.way
    fixed, given, whole = state.fixed, state.given, rules.whole
    service, priority, node = fixed[task, SERVICE], fixed[task, PRIORITY], fixed[task, AT_NODE]
    lights = priority < whole[SCENE_LIGHTS]
    able, near, aider, under_way = False, -1, -1, 0
    holding = whole[HOLD_OUT] > 0 and priority >= whole[HOLD_FROM]
    for u in range(len(unit)):
        chance[u] = np.inf
        mine = trait[u, SERVES] & service != 0
        if not (mine or trait[u, AIDS] & service) or unit[u, DUTY] == 0:
            continue
        doing = unit[u, STATE]
        if doing in (IDLE, RETURNING):
            if holding and kept_back(unit, trait, whole, u, priority):
                continue
        elif doing != SENT or not rules.redispatch[fixed[unit[u, TASK], PRIORITY], priority]:
            continue
        if fixed[task, SKILL] & ~trait[u, SKILLS]:
            continue
        able = True
        mode = trait[u, LIGHTS] if lights else trait[u, NORMAL]
        if doing != IDLE:
            state.moving[under_way] = u
            under_way += 1
            continue
        state.from_node[u], leaving[u] = unit[u, NODE], now + given[task, TURNOUT] * state.factor[u]
        way[u] = roads.from_place[mode, node, unit[u, PLACE]]
        if way[u] >= NEVER:
            continue
        chance[u] = leaving[u] + 0.001 * way[u] + given[task, ACCESS]
        if mine:
            if near < 0 or chance[u] < chance[near]:
                near = u
        elif aider < 0 or chance[u] < chance[aider]:
            aider = u
    if under_way > 0:  # last, since where they are takes long to find: most cannot be the nearest
        near, aider = _find_moving(roads, rules, state, task, near, aider, under_way, now)
    return able, near, aider


@njit(cache=True, nogil=True, inline="always")
def _find_moving(roads, rules, state, task, near, aider, under_way, now):
    """Work out when units under way could be at the scene of a task; return as :func:`_find` does."""
    unit, unit_time, trait, chance, leaving, way = (
        state.unit,
        state.unit_time,
        state.trait,
        state.chance,
        state.leaving,
        state.way,
    )
    fixed, given = state.fixed, state.given
    service, node = fixed[task, SERVICE], fixed[task, AT_NODE]
    lights = fixed[task, PRIORITY] < rules.whole[SCENE_LIGHTS]
    away_from_scene, known_mode = state.known[0], -1
    # with lights nobody is slower, so that nobody who is passed over could be nearest; rules that ask for all need all
    pruning = not rules.asks[CHOOSE_UNIT] and rules.whole[DISPATCH_RULE] == NEAREST
    for number in range(under_way):
        u = state.moving[number]
        mine = trait[u, SERVES] & service != 0
        mode = trait[u, LIGHTS] if lights else trait[u, NORMAL]
        if mine and near >= 0 and pruning and (lights or unit[u, MODE] == mode):
            # it cannot be there before it could be from where it was last
            spare = 1000.0 * (chance[near] + 0.001 - given[task, ACCESS] - unit_time[u, LEFT]) - unit[u, DRIVEN]
            if least_drive(roads, mode, unit[u, PASSED], node) > spare:
                continue
        if now <= unit_time[u, LEFT]:
            state.from_node[u], leaving[u] = unit[u, NODE], unit_time[u, LEFT]
        else:
            goal = -1 if unit[u, STATE] == RETURNING else fixed[unit[u, TASK], AT_NODE]
            elapsed = 1000.0 * (now - unit_time[u, LEFT])
            state.from_node[u], rest = ahead(roads, unit, u, goal, elapsed, state.known[1])
            leaving[u] = now + 0.001 * rest
        if mode != known_mode:
            if known_mode >= 0:
                forget(roads, known_mode, node, away_from_scene)
            learn(roads, mode, node, away_from_scene)
            known_mode = mode
        way[u] = drive_there(roads, mode, state.from_node[u], away_from_scene)
        if way[u] >= NEVER:
            continue
        chance[u] = leaving[u] + 0.001 * way[u] + given[task, ACCESS]
        if mine:
            if near < 0 or chance[u] < chance[near] or (chance[u] == chance[near] and u < near):
                near = u
        elif aider < 0 or chance[u] < chance[aider] or (chance[u] == chance[aider] and u < aider):
            aider = u
    if known_mode >= 0:
        forget(roads, known_mode, node, away_from_scene)
    return near, aider


@njit(cache=True, nogil=True, inline="always")
def _least_missed(rules, state, task, near):
    """Return of the units in time the one whose leaving uncovers least; if nobody is in time, the nearest."""
    unit, trait, chance, cover = state.unit, state.trait, state.chance, state.cover
    service = state.fixed[task, SERVICE]
    busy = rules.busy[service_row(service)]
    latest = state.ready[task] + rules.target[state.fixed[task, PRIORITY]]
    chosen = near
    if chance[near] > latest:
        return chosen
    count_cover(rules, state, service)
    least = np.inf
    for u in range(len(unit)):
        if chance[u] == np.inf or chance[u] > latest or not trait[u, SERVES] & service:
            continue
        lost = 0.0
        if is_free(unit, u):
            home = unit[u, HOME]
            for k in range(rules.point_first[home], rules.point_first[home + 1]):
                point = rules.point[k]
                lost += rules.demand[point] * busy ** (cover[point] - 1)
        if lost < least or (lost == least and chance[u] < chance[chosen]):
            least, chosen = lost, u
    return chosen


@njit(cache=True, nogil=True, inline="always")
def _let_wait(state, task, now):
    """Let a task wait for a unit, and who waits for its work do so until its patience ends."""
    state.kept[task, QUEUED] = 1
    put_in_queue(state, task)
    other = state.wait[task]
    while other >= 0:
        set_due(state.tree, other, max(now, state.ready[task] + state.given[task, PATIENCE]))
        other = state.unit[other, GOAL]


@njit(cache=True, nogil=True, inline="always")
def _call_away(state, u):
    """Call a unit away from its task, for which somebody is sought anew."""
    task = state.unit[u, TASK]
    state.kept[task, RESENT] += 1
    state.stamp[task, SENT_AT] = state.stamp[task, LEFT_AT] = np.nan
    state.kept[task, OUTCOME], state.kept[task, UNIT] = WAITING, -1
    state.stack[state.counter[STACKED]] = task
    state.counter[STACKED] += 1
