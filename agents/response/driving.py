"""Where units are on their way, and how long it is."""

import numpy as np
from numba import njit

from ...environment.network.labels import NEVER, between
from .board import AT_NODE, GOAL, LEFT, MODE, NODE, RETURNING, SENT, STATE, TASK, TO_HOSPITAL


@njit(cache=True, nogil=True)
def drive(roads, mode, origin, destination):
    """Return milliseconds from one node to another."""
    return between(
        roads.out_first[mode], roads.out_hub, roads.out_cost, roads.in_first[mode], roads.in_hub, roads.in_cost, origin,
        destination,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def ahead(roads, mode, node, place, goal, elapsed):
    """Return the next node on the way from ``node`` to a place (or to the node ``goal`` if that is −1), and ms to it.

    Args:
        elapsed: ms since it left ``node``.
    """
    first, head, weight, to_place = roads.first, roads.head, roads.weight, roads.to_place
    here, left = node, elapsed
    rest = to_place[mode, here, place] if place >= 0 else drive(roads, mode, here, goal)
    while left > 0 and 0 < rest < NEVER:
        next_node, step, after = -1, 0, 0
        for arc in range(first[here], first[here + 1]):
            cost = weight[mode, arc]
            if cost > rest:
                continue
            after = to_place[mode, head[arc], place] if place >= 0 else drive(roads, mode, head[arc], goal)
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
                roads,
                unit[u, MODE],
                unit[u, NODE],
                unit[u, GOAL],
                goal,
                1000.0 * (now - left[u, LEFT]),
            )[0]
    return nodes
