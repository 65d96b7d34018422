"""Where units are on their way, and how long it is."""

import numpy as np
from numba import njit

from ...environment.network.labels import NEVER, between
from ...environment.network.trees import NO_ARC
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
    first, head, weight = roads.first, roads.head, roads.weight
    here, left = node, elapsed
    if place >= 0:
        next_arc = roads.next_arc
        while left > 0 and next_arc[mode, here, place] < NO_ARC:
            arc = first[here] + next_arc[mode, here, place]
            step = weight[mode, arc]
            if left < step:
                return head[arc], step - left
            left -= step
            here = head[arc]
        return here, 0.0
    rest = drive(roads, mode, here, goal)
    while left > 0 and 0 < rest < NEVER:
        arc, after = first[here], NEVER
        for candidate in range(first[here], first[here + 1]):
            cost = weight[mode, candidate]
            if cost <= rest:
                arc, after = candidate, drive(roads, mode, head[candidate], goal)
                if cost + after == rest:
                    break
        step = weight[mode, arc]
        if left < step:
            return head[arc], step - left
        left -= step
        here, rest = head[arc], after
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


@njit(cache=True, nogil=True)
def next_arcs(first, head, weight, to_place):
    """Return the arc from every node to every place, (nodes, places), counted from the first of the node.

    Of several that are on a quickest way it is the first; :data:`NO_ARC` at the place itself and where no way leads.
    """
    nodes, places = to_place.shape
    arcs = np.full((nodes, places), NO_ARC, np.uint8)
    for node in range(nodes):
        for arc in range(first[node + 1] - 1, first[node] - 1, -1):
            cost, there = weight[arc], head[arc]
            for place in range(places):
                rest = to_place[node, place]
                if 0 < rest < NEVER and cost + to_place[there, place] == rest:
                    arcs[node, place] = arc - first[node]
    return arcs
