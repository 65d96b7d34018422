"""Cover by free units: how many could come to a demand point, and which stations are to be held."""

from numba import njit

from ...environment.network.labels import NEVER
from .board import DUTY, HOME, HOMEWARD, LEFT, NODE, NORMAL, RETURNING, SERVES, STATE
from .driving import ahead
from .units import is_free, send_home
from .waiting import service_row


@njit(cache=True, nogil=True, inline="always")
def move_rule(rules, trait, u):
    """Return the rule by which a free unit moves: that of the first service that it belongs to; home if of none."""
    serves = trait[u, SERVES]
    return rules.move[service_row(serves)] if serves else HOMEWARD


@njit(cache=True, nogil=True)
def count_cover(rules, state, service):
    """Count by how many free units of a service each demand point is covered, from the stations they belong to."""
    unit, cover = state.unit, state.cover
    cover[:] = 0
    for u in range(len(unit)):
        if state.trait[u, SERVES] & service and is_free(unit, u):
            home = unit[u, HOME]
            for k in range(rules.point_first[home], rules.point_first[home + 1]):
                cover[rules.point[k]] += 1


@njit(cache=True, nogil=True)
def comply(roads, rules, state, row, now):
    """Move free units of a service until the stations that its compliance table names are held, the nearest first."""
    unit, unit_time, trait, lacking = state.unit, state.unit_time, state.trait, state.lacking
    service = 1 << row
    free = on_duty = 0
    lacking[:] = 0
    for u in range(len(unit)):
        if trait[u, SERVES] & service:
            on_duty += unit[u, DUTY]
            if is_free(unit, u):
                free += 1
                lacking[unit[u, HOME]] -= 1
    first, rows = rules.table_rows[row, on_duty]
    for station in range(len(lacking)):
        lacking[station] += rules.table[first + min(free, rows - 1), station]
    while True:
        near, mover, goal, from_node, leave = NEVER, -1, -1, -1, now
        for u in range(len(unit)):
            if not trait[u, SERVES] & service or not is_free(unit, u) or lacking[unit[u, HOME]] >= 0:
                continue
            node, rest = unit[u, NODE], 0.0
            if unit[u, STATE] == RETURNING:
                if now <= unit_time[u, LEFT]:
                    rest = 1000.0 * (unit_time[u, LEFT] - now)
                else:
                    node, rest = ahead(roads, unit, u, -1, 1000.0 * (now - unit_time[u, LEFT]), state.known[1])
            for station in range(len(lacking)):
                away = roads.to_place[trait[u, NORMAL], node, station]
                if lacking[station] > 0 and away < NEVER and away + rest < near:
                    near, mover, goal, from_node, leave = away + rest, u, station, node, now + 0.001 * rest
        if mover < 0:
            return
        lacking[unit[mover, HOME]] += 1
        lacking[goal] -= 1
        send_home(roads.to_place, state, mover, from_node, leave, goal, now)
