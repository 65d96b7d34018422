"""Cover by free units: how many could come to a demand point, and which stations are to be held."""

import numpy as np
from numba import njit

from ...environment.network.labels import NEVER
from .board import HOME, LEFT, NODE, NORMAL, RETURNING, SERVES, STATE
from .driving import ahead
from .units import is_free, send_home


@njit(cache=True, nogil=True)
def count_cover(unit, trait, service, point_first, point, cover):
    """Count by how many free units of a service each demand point is covered, from the stations they belong to."""
    cover[:] = 0
    for u in range(len(unit)):
        if trait[u, SERVES] & service and is_free(unit, u):
            home = unit[u, HOME]
            for k in range(point_first[home], point_first[home + 1]):
                cover[point[k]] += 1


@njit(cache=True, nogil=True)
def comply(roads, unit, unit_time, trait, spent, tree, table, known, now, service):
    """Move free units until the stations that a compliance table names are held, the nearest first."""
    to_place = roads.to_place
    stations = table.shape[1]
    lacking = np.zeros(stations, np.int64)
    free = 0
    for u in range(len(unit)):
        if trait[u, SERVES] & service and is_free(unit, u):
            free += 1
            lacking[unit[u, HOME]] -= 1
    lacking += table[min(free, len(table) - 1)]
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
                    node, rest = ahead(roads, unit, u, -1, 1000.0 * (now - unit_time[u, LEFT]), known)
            for station in range(stations):
                away = to_place[trait[u, NORMAL], node, station]
                if lacking[station] > 0 and away < NEVER and away + rest < near:
                    near, mover, goal, from_node, leave = away + rest, u, station, node, now + 0.001 * rest
        if mover < 0:
            return
        lacking[unit[mover, HOME]] += 1
        lacking[goal] -= 1
        send_home(unit, unit_time, trait, spent, tree, to_place, mover, from_node, leave, goal, now)
