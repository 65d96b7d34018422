"""The kernel of emergency response: units, calls and hospitals as events in continuous time.

A unit has one thing that happens to it next, a hospital with somebody at its door too; the earliest of these, of the tasks
that become ready and of the shifts that begin or end is the next event. Of one moment units come first, then hospitals,
shifts, tasks; of these the lower number. So nothing depends on how the work is divided.

Nobody decides inside an event. What an event leaves to decide lies on a stack, and is decided one after the other: who is
sent to a task, what a free unit does. Where Python is to decide, the kernel returns with the question and is called again
with the answer.
"""

import numpy as np
from numba import njit

from ...environment.network.labels import NEVER
from .board import (
    ABOUT_TASK,
    ABOUT_UNIT,
    ACCESS,
    AFTER,
    AID_AFTER,
    AIDS,
    ANSWER,
    ANSWERED,
    ARRIVED_AT,
    AT_DOOR,
    AT_NODE,
    AT_SCENE,
    BAY_AT,
    BEGAN_AT,
    BUSY,
    BUSY_MEMORY,
    BUSY_SINCE,
    CANCELLED,
    CHOOSE_HOSPITAL,
    CHOOSE_STATION,
    CHOOSE_TASK,
    CHOOSE_UNIT,
    CLEAR,
    CLEARING,
    CLOCK,
    COMPLIANCE,
    COVERAGE,
    DISPATCH_RULE,
    DIVERTED,
    DONE_AT,
    DOOR_AT,
    DRIVEN,
    DUTY,
    FIRST,
    FIXED,
    FREE_AT,
    GOAL,
    HANDOVER,
    HANDOVER_TIME,
    HOLD_FROM,
    HOLD_OUT,
    HOME,
    HOSPITAL,
    HOSPITAL_LIGHTS,
    HOSPITAL_RULE,
    IDLE,
    IN_SERVICE,
    LEFT,
    LEFT_AT,
    LIGHTS,
    LOSS,
    LOST,
    MAXIMAL_COVER,
    MODE,
    MOVE_RULE,
    NEAREST,
    NEXT,
    NEXT_DUTY,
    NEXT_TASK,
    NOBODY,
    NODE,
    NORMAL,
    OFF,
    OUTCOME,
    PASSED,
    PATIENCE,
    PLACE,
    PRIORITIES,
    PRIORITY,
    QUESTION,
    QUEUE_RULE,
    QUEUED,
    RESENT,
    RETURNING,
    SCENE,
    SCENE_LIGHTS,
    SENT,
    SENT_AT,
    SERVES,
    SERVICE,
    SKILL,
    SKILLS,
    SPECIALTY,
    STACKED,
    STATE,
    STATION,
    TASK,
    TO_COME,
    TO_HOSPITAL,
    TRANSPORT,
    TRANSPORTED,
    TREATED,
    TURNOUT,
    UNIT,
    UNREACHED,
    WAIT,
    WAITING,
    WITHOUT_HOSPITAL,
)
from .cover import comply, count_cover
from .doors import DOOR, catch_up, choose_hospital, door_next, first_at_door, has_room, into_bay, join_door
from .driving import ahead, drive, drive_there, forget, learn, least_drive
from .units import become, depart, first_due, is_free, kept_back, release, send_home, set_due
from .waiting import put_in_queue, take_from_queue


@njit(cache=True, nogil=True)
def run(roads, rules, state, until):
    """Make all events before ``until`` (s), and return whether that is done; if not, a question waits for an answer."""
    to_place, from_place, place_node = roads.to_place, roads.from_place, roads.place_node
    whole, real, redispatch, asks, target = rules.whole, rules.real, rules.redispatch, rules.asks, rules.target
    point_first, point, demand, table = rules.point_first, rules.point, rules.demand, rules.table
    unit, unit_time, trait, factor, spent, tree = (
        state.unit,
        state.unit_time,
        state.trait,
        state.factor,
        state.spent,
        state.tree,
    )
    stamp, kept, given, fixed, ready, order = (
        state.stamp,
        state.kept,
        state.given,
        state.fixed,
        state.ready,
        state.order,
    )
    queue, wait, duty, door = state.queue, state.wait, state.duty, state.door
    hospital, mean_stay, heap_first = state.hospital, state.mean_stay, state.heap_first
    heap_time, heap_task = state.heap_time, state.heap_task
    counter, stack, ask = state.counter, state.stack, state.ask
    chance, from_node, leaving, way = state.chance, state.from_node, state.leaving, state.way
    away_from_scene, known = state.known[0], state.known[1]
    units = len(unit)
    stations = len(point_first) - 1
    redispatching = np.any(redispatch)
    # with lights nobody is slower, so that nobody who is passed over could be nearest; rules that ask for all need all
    pruning = not asks[CHOOSE_UNIT] and whole[DISPATCH_RULE] == NEAREST
    cover = np.zeros(len(demand), np.int32)
    moving = np.empty(units, np.int32)
    now = real[CLOCK]
    there = -1
    while True:
        # ---------------------------------------------------------------- who is sent
        if counter[STACKED] > 0 and stack[counter[STACKED] - 1] >= 0:
            task = stack[counter[STACKED] - 1]
            if now - ready[task] > given[task, PATIENCE]:
                counter[STACKED] -= 1
                kept[task, OUTCOME] = CANCELLED
                release(unit, tree, stamp, given, wait, task, now)
                continue
            service, priority, node = fixed[task, SERVICE], fixed[task, PRIORITY], fixed[task, AT_NODE]
            lights = priority < whole[SCENE_LIGHTS]
            able, near, aider, under_way = False, -1, -1, 0
            holding = whole[HOLD_OUT] > 0 and priority >= whole[HOLD_FROM]
            for u in range(units):
                chance[u] = np.inf
                mine = trait[u, SERVES] & service != 0
                if not (mine or trait[u, AIDS] & service) or unit[u, DUTY] == 0:
                    continue
                doing = unit[u, STATE]
                if doing in (IDLE, RETURNING):
                    if holding and kept_back(unit, trait, whole, u, priority):
                        continue
                elif not (redispatching and doing == SENT and redispatch[fixed[unit[u, TASK], PRIORITY], priority]):
                    continue
                if fixed[task, SKILL] & ~trait[u, SKILLS]:
                    continue
                able = True
                mode = trait[u, LIGHTS] if lights else trait[u, NORMAL]
                if doing != IDLE:
                    moving[under_way] = u
                    under_way += 1
                    continue
                from_node[u], leaving[u] = unit[u, NODE], now + given[task, TURNOUT] * factor[u]
                way[u] = from_place[mode, node, unit[u, PLACE]]
                if way[u] >= NEVER:
                    continue
                chance[u] = leaving[u] + 0.001 * way[u] + given[task, ACCESS]
                if mine:
                    if near < 0 or chance[u] < chance[near]:
                        near = u
                elif aider < 0 or chance[u] < chance[aider]:
                    aider = u
            known_mode = -1
            for number in range(under_way):  # last, since where they are takes long to find: most cannot be the nearest
                u = moving[number]
                mine = trait[u, SERVES] & service != 0
                mode = trait[u, LIGHTS] if lights else trait[u, NORMAL]
                if mine and near >= 0 and pruning and (lights or unit[u, MODE] == mode):
                    # it cannot be there before it could be from where it was last
                    spare = 1000.0 * (chance[near] + 0.001 - given[task, ACCESS] - unit_time[u, LEFT]) - unit[u, DRIVEN]
                    if least_drive(roads, mode, unit[u, PASSED], node) > spare:
                        continue
                if now <= unit_time[u, LEFT]:
                    from_node[u], leaving[u] = unit[u, NODE], unit_time[u, LEFT]
                else:
                    goal = -1 if unit[u, STATE] == RETURNING else fixed[unit[u, TASK], AT_NODE]
                    from_node[u], rest = ahead(roads, unit, u, goal, 1000.0 * (now - unit_time[u, LEFT]), known)
                    leaving[u] = now + 0.001 * rest
                if mode != known_mode:
                    if known_mode >= 0:
                        forget(roads, known_mode, node, away_from_scene)
                    learn(roads, mode, node, away_from_scene)
                    known_mode = mode
                way[u] = drive_there(roads, mode, from_node[u], away_from_scene)
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
                        count_cover(unit, trait, service, point_first, point, cover)
                        least = np.inf
                        for u in range(units):
                            if chance[u] == np.inf or chance[u] > latest or not trait[u, SERVES] & service:
                                continue
                            lost = 0.0
                            if is_free(unit, u):
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
                    if wait[task] >= 0:
                        release(unit, tree, stamp, given, wait, task, now)
                    continue
                if able and near < 0 and aider < 0:
                    kept[task, UNREACHED] = 1
                kept[task, QUEUED] = 1
                put_in_queue(queue, counter, kept, fixed, ready, task)
                other = wait[task]
                while other >= 0:  # who waits for its work does so until its patience ends
                    set_due(tree, other, max(now, ready[task] + given[task, PATIENCE]))
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
                become(unit, unit_time, spent, u, SENT, now)
            unit[u, TASK], unit[u, PLACE], unit[u, GOAL] = task, -1, -1
            unit[u, MODE] = trait[u, LIGHTS] if lights else trait[u, NORMAL]
            depart(unit, unit_time, u, from_node[u], leaving[u], way[u])
            kept[task, UNIT], kept[task, OUTCOME] = u, IN_SERVICE
            stamp[task, SENT_AT], stamp[task, LEFT_AT] = now, leaving[u]
            if chance[u] <= now and counter[STACKED] == 0 and whole[MOVE_RULE] != COMPLIANCE:
                there = u  # so near that it need not be looked at again
            else:
                set_due(tree, u, chance[u])
            if whole[MOVE_RULE] == COMPLIANCE:
                comply(
                    roads,
                    unit,
                    unit_time,
                    trait,
                    spent,
                    tree,
                    table,
                    known,
                    now,
                    service,
                )
            continue
        # ---------------------------------------------------------------- what a free unit does
        if counter[STACKED] > 0:
            u = -1 - stack[counter[STACKED] - 1]
            chosen, nearest, reach = -1, np.inf, NEVER
            here, leave = unit[u, NODE], now
            if unit[u, STATE] == RETURNING:  # its shift begins on the way
                if now <= unit_time[u, LEFT]:
                    leave = unit_time[u, LEFT]
                else:
                    here, rest = ahead(roads, unit, u, -1, 1000.0 * (now - unit_time[u, LEFT]), known)
                    leave = now + 0.001 * rest
            if unit[u, DUTY] == 1 and counter[WAIT] > 0:
                for priority in range(PRIORITIES):
                    if whole[HOLD_OUT] > 0 and kept_back(unit, trait, whole, u, priority):
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
                                take_from_queue(queue, counter, kept, fixed, task)
                                kept[task, OUTCOME] = CANCELLED
                            elif not fixed[task, SKILL] & ~trait[u, SKILLS]:
                                away = drive(
                                    roads,
                                    mode,
                                    here,
                                    fixed[task, AT_NODE],
                                )
                                if away < NEVER:
                                    key = ready[task] if whole[QUEUE_RULE] == FIRST else float(away)
                                    if key < nearest:
                                        chosen, nearest, reach = task, key, away
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
                reach = -1
            if chosen >= 0:
                counter[STACKED] -= 1
                task = chosen
                take_from_queue(queue, counter, kept, fixed, task)
                lights = fixed[task, PRIORITY] < whole[SCENE_LIGHTS]
                mode = trait[u, LIGHTS] if lights else trait[u, NORMAL]
                away = reach if reach >= 0 else drive(roads, mode, here, fixed[task, AT_NODE])
                if unit[u, STATE] == IDLE:
                    leave = now + given[task, TURNOUT] * factor[u]
                become(unit, unit_time, spent, u, SENT, now)
                unit[u, TASK], unit[u, PLACE], unit[u, GOAL], unit[u, MODE] = task, -1, -1, mode
                depart(unit, unit_time, u, here, leave, away)
                kept[task, UNIT], kept[task, OUTCOME] = u, IN_SERVICE
                stamp[task, SENT_AT], stamp[task, LEFT_AT] = now, leave
                set_due(tree, u, leave + 0.001 * away + given[task, ACCESS])
                continue
            # nothing waits for it: to a station
            if is_free(unit, u):
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
                    count_cover(unit, trait, trait[u, SERVES], point_first, point, cover)
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
            send_home(unit, unit_time, trait, spent, tree, to_place, u, here, now, home, now)
            if whole[MOVE_RULE] == COMPLIANCE and unit[u, DUTY] == 1:
                comply(
                    roads,
                    unit,
                    unit_time,
                    trait,
                    spent,
                    tree,
                    table,
                    known,
                    now,
                    trait[u, SERVES],
                )
            continue
        # ---------------------------------------------------------------- the next event
        due, shift = now, np.inf
        if there < 0:
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
                    busy += unit[u, DUTY] == 1 and not is_free(unit, u)
                if on_duty > 0:
                    real[BUSY] += (busy / on_duty - real[BUSY]) * -np.expm1(
                        (real[BUSY_SINCE] - then) / real[BUSY_MEMORY]
                    )
                real[BUSY_SINCE] = then
            now = then
        if due <= now:
            u = first_due(tree) if there < 0 else there
            there = -1
            if u >= units:
                place = u - units
                catch_up(hospital, heap_first, heap_time, heap_task, door, kept, given, place, now)
                while hospital[place, DOOR] > 0 and has_room(hospital, place):
                    task = first_at_door(hospital, door, kept, place)
                    into_bay(hospital, heap_first, heap_time, heap_task, given, place, task, now)
                    stamp[task, BAY_AT] = now
                    other = kept[task, UNIT]
                    become(unit, unit_time, spent, other, HANDOVER, now)
                    set_due(tree, other, now + given[task, HANDOVER_TIME])
                set_due(tree, u, door_next(hospital, heap_first, heap_time, place, now))
                continue
            task = unit[u, TASK]
            doing = unit[u, STATE]
            clears = free = False
            if doing == SENT:
                stamp[task, ARRIVED_AT] = now
                unit[u, NODE] = fixed[task, AT_NODE]
                become(unit, unit_time, spent, u, AT_SCENE, now)
                before = fixed[task, AFTER]
                if before >= 0 and TO_COME <= kept[before, OUTCOME] <= IN_SERVICE and not stamp[before, DONE_AT] <= now:
                    unit[u, GOAL] = wait[before]  # units that wait for one task hang one on the other
                    wait[before] = u
                    ends = ready[before] + given[before, PATIENCE]
                    set_due(tree, u, max(now, ends) if kept[before, OUTCOME] == WAITING else np.inf)
                else:
                    stamp[task, BEGAN_AT] = now
                    set_due(tree, u, now + given[task, SCENE])
            elif doing == AT_SCENE and not stamp[task, BEGAN_AT] <= now:
                before = fixed[task, AFTER]
                if kept[before, OUTCOME] == IN_SERVICE and not stamp[before, DONE_AT] <= now:
                    set_due(tree, u, np.inf)  # somebody has been sent meanwhile
                    continue
                if kept[before, OUTCOME] == WAITING:
                    take_from_queue(queue, counter, kept, fixed, before)
                    kept[before, OUTCOME] = CANCELLED
                release(unit, tree, stamp, given, wait, before, now)
            elif doing == AT_SCENE:
                goal = -1
                lights = fixed[task, PRIORITY] < whole[HOSPITAL_LIGHTS]
                mode = trait[u, LIGHTS] if lights else trait[u, NORMAL]
                here = fixed[task, AT_NODE]
                diverted = False
                if fixed[task, TRANSPORT]:
                    if asks[CHOOSE_HOSPITAL] and fixed[task, FIXED] < 0:
                        if ask[ANSWERED] == 0:
                            ask[QUESTION], ask[ABOUT_TASK], ask[ABOUT_UNIT] = CHOOSE_HOSPITAL, task, u
                            for place in range(len(hospital)):
                                catch_up(hospital, heap_first, heap_time, heap_task, door, kept, given, place, now)
                            real[CLOCK] = now
                            return False
                        goal = ask[ANSWER]
                        ask[QUESTION], ask[ANSWERED] = NOBODY, 0
                    else:
                        goal, diverted = choose_hospital(
                            hospital,
                            mean_stay,
                            heap_first,
                            heap_time,
                            heap_task,
                            door,
                            kept,
                            given,
                            to_place,
                            stations,
                            mode,
                            here,
                            fixed[task, SPECIALTY],
                            fixed[task, FIXED],
                            whole[HOSPITAL_RULE],
                            now,
                        )
                stamp[task, DONE_AT] = now
                if wait[task] >= 0:
                    release(unit, tree, stamp, given, wait, task, now)
                if goal >= 0:
                    kept[task, HOSPITAL], kept[task, DIVERTED] = goal, diverted
                    become(unit, unit_time, spent, u, TO_HOSPITAL, now)
                    unit[u, GOAL], unit[u, MODE] = stations + goal, mode
                    away = to_place[mode, here, stations + goal]
                    depart(unit, unit_time, u, here, now, away)
                    set_due(tree, u, now + 0.001 * away)
                else:
                    kept[task, OUTCOME] = WITHOUT_HOSPITAL if fixed[task, TRANSPORT] else TREATED
                    clears = True
            elif doing == TO_HOSPITAL:
                place = kept[task, HOSPITAL]
                stamp[task, DOOR_AT] = now
                unit[u, PLACE] = stations + place
                unit[u, NODE], unit[u, GOAL] = place_node[stations + place], -1
                catch_up(hospital, heap_first, heap_time, heap_task, door, kept, given, place, now)
                if has_room(hospital, place) and hospital[place, DOOR] == 0:
                    into_bay(hospital, heap_first, heap_time, heap_task, given, place, task, now)
                    stamp[task, BAY_AT] = now
                    become(unit, unit_time, spent, u, HANDOVER, now)
                    set_due(tree, u, now + given[task, HANDOVER_TIME])
                else:
                    join_door(hospital, door, kept, place, task, fixed[task, PRIORITY])
                    become(unit, unit_time, spent, u, AT_DOOR, now)
                    set_due(tree, u, np.inf)
                    set_due(tree, units + place, door_next(hospital, heap_first, heap_time, place, now))
            elif doing == HANDOVER:
                kept[task, OUTCOME] = TRANSPORTED
                clears = True
            elif doing == CLEARING:
                free = True
            else:  # back at a station
                unit[u, PLACE] = unit[u, GOAL]
                unit[u, NODE], unit[u, GOAL] = place_node[unit[u, PLACE]], -1
                if unit[u, DUTY] == 0 and unit[u, PLACE] != unit[u, STATION]:
                    send_home(
                        unit,
                        unit_time,
                        trait,
                        spent,
                        tree,
                        to_place,
                        u,
                        unit[u, NODE],
                        now,
                        unit[u, STATION],
                        now,
                    )
                else:
                    become(unit, unit_time, spent, u, IDLE if unit[u, DUTY] else OFF, now)
                    set_due(tree, u, np.inf)
            if clears:
                become(unit, unit_time, spent, u, CLEARING, now)
                free = given[task, CLEAR] == 0
                if not free:
                    set_due(tree, u, now + given[task, CLEAR])
            if free:
                stamp[task, FREE_AT] = now
                unit[u, TASK] = -1
                set_due(tree, u, np.inf)
                stack[counter[STACKED]] = -1 - u
                counter[STACKED] += 1
        elif shift <= now:
            u, begins = int(duty[counter[NEXT_DUTY], 1]), duty[counter[NEXT_DUTY], 2] > 0
            counter[NEXT_DUTY] += 1
            unit[u, DUTY] = begins
            if begins and (unit[u, STATE] == OFF or unit[u, STATE] == RETURNING):
                if unit[u, STATE] == OFF:
                    become(unit, unit_time, spent, u, IDLE, now)
                stack[counter[STACKED]] = -1 - u
                counter[STACKED] += 1
            elif not begins and unit[u, STATE] == IDLE:
                if unit[u, PLACE] == unit[u, STATION]:
                    become(unit, unit_time, spent, u, OFF, now)
                else:
                    send_home(
                        unit,
                        unit_time,
                        trait,
                        spent,
                        tree,
                        to_place,
                        u,
                        unit[u, NODE],
                        now,
                        unit[u, STATION],
                        now,
                    )
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
                    take_from_queue(queue, counter, kept, fixed, task)
                    kept[task, OUTCOME] = CANCELLED
                task = following
    real[CLOCK] = now
    return True
