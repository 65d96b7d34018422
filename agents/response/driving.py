"""Where units are on their way, and how long it is."""

import numpy as np
from numba import njit

from ...environment.network.labels import NEVER, between
from ...environment.network.trees import NO_ARC
from .board import (
    AT_NODE,
    DRIVEN,
    GOAL,
    LEFT,
    MODE,
    NODE,
    PASSED,
    REST,
    RETURNING,
    SENT,
    STATE,
    TASK,
    TO_HOSPITAL,
)


@njit(cache=True, nogil=True)
def drive(roads, mode, origin, destination):
    """Return milliseconds from one node to another."""
    return between(
        roads.out_first[mode], roads.out_hub, roads.out_cost, roads.in_first[mode], roads.in_hub, roads.in_cost, origin,
        destination,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def least_drive(roads, mode, origin, destination):
    """Return milliseconds from one node to another, or less: what the ways from and to places allow.

    A way cannot be shorter than the difference between what its two ends are away from a place.
    """
    least = 0
    for place in range(roads.to_place.shape[2]):
        least = max(
            least,
            roads.from_place[mode, destination, place] - roads.from_place[mode, origin, place],
            roads.to_place[mode, origin, place] - roads.to_place[mode, destination, place],
        )
    return least


@njit(cache=True, nogil=True)
def learn(roads, mode, destination, known):
    """Write down what hubs are away from a node, for :func:`drive_there` from many others to it."""
    for k in range(roads.in_first[mode, destination], roads.in_first[mode, destination + 1]):
        known[roads.in_hub[k]] = roads.in_cost[k]


@njit(cache=True, nogil=True)
def forget(roads, mode, destination, known):
    """Undo :func:`learn`."""
    for k in range(roads.in_first[mode, destination], roads.in_first[mode, destination + 1]):
        known[roads.in_hub[k]] = NEVER


@njit(cache=True, nogil=True)
def drive_there(roads, mode, origin, known):
    """Return milliseconds from a node to the one that is known."""
    least = NEVER
    for k in range(roads.out_first[mode, origin], roads.out_first[mode, origin + 1]):
        least = min(least, roads.out_cost[k] + known[roads.out_hub[k]])
    return least


@njit(cache=True, nogil=True)
def ahead(roads, unit, u, goal, elapsed, known):
    """Return the next node on the way of a unit to its place (or to the node ``goal`` if it has none), and ms to it.

    Args:
        elapsed: ms since it left; what it has passed is kept, so that it must not be less the next time.
        known: int32 (nodes,) all :data:`NEVER`, to work on.
    """
    mode, place = unit[u, MODE], unit[u, GOAL]
    here, driven, rest, before = unit[u, PASSED], unit[u, DRIVEN], unit[u, REST], -1
    left = elapsed - driven
    node, further = -1, 0.0
    if place < 0 and left > 0:
        learn(roads, mode, goal, known)
    while left > 0 and 0 < rest < NEVER:
        if place >= 0:
            landing = roads.jump[mode, place, here]
            leap = rest - roads.to_place[mode, landing, place]
            if leap <= left:
                left -= leap
                driven += leap
                rest -= leap
                here = landing
                continue
            arc = roads.first[here] + roads.next_arc[mode, place, here]
        else:
            arc = _arc_there(roads, mode, here, before, rest, known)
        step = roads.weight[mode, arc]
        if left < step:
            node, further = roads.head[arc], step - left
            break
        left -= step
        driven += step
        rest -= step
        before, here = here, roads.head[arc]
    if place < 0 and elapsed > unit[u, DRIVEN]:
        forget(roads, mode, goal, known)
    unit[u, PASSED], unit[u, DRIVEN], unit[u, REST] = here, driven, rest
    return here if node < 0 else node, further


@njit(cache=True, nogil=True)
def _arc_there(roads, mode, node, before, rest, known):
    """Return the first arc of a node that is on a quickest way, of ``rest`` ms, to the one that is known; never back."""
    likely = -1
    for arc in range(roads.first[node], roads.first[node + 1]):
        if roads.weight[mode, arc] > rest or roads.head[arc] == before:
            continue
        if likely >= 0 and roads.weight[mode, likely] + drive_there(roads, mode, roads.head[likely], known) == rest:
            return likely
        likely = arc
    return likely


@njit(cache=True, nogil=True)
def positions(roads, state, now):
    """Return the node at which each unit is, or that it comes to next."""
    unit, left = state.unit, state.unit_time
    nodes = unit[:, NODE].copy()
    for u in range(len(unit)):
        doing = unit[u, STATE]
        if (doing in (SENT, TO_HOSPITAL, RETURNING)) and now > left[u, LEFT]:
            goal = state.fixed[unit[u, TASK], AT_NODE] if doing == SENT else -1
            nodes[u] = ahead(roads, unit, u, goal, 1000.0 * (now - left[u, LEFT]), state.known[1])[0]
    return nodes


@njit(cache=True, nogil=True)
def next_arcs(first, head, weight, to_place):
    """Return the arc from every node to every place, (places, nodes), counted from the first of the node.

    Of several that are on a quickest way it is the first; :data:`NO_ARC` at the place itself and where no way leads.
    """
    nodes, places = to_place.shape
    arcs = np.full((places, nodes), NO_ARC, np.uint8)
    for node in range(nodes):
        for arc in range(first[node + 1] - 1, first[node] - 1, -1):
            cost, there = weight[arc], head[arc]
            for place in range(places):
                rest = to_place[node, place]
                if 0 < rest < NEVER and cost + to_place[there, place] == rest:
                    arcs[place, node] = arc - first[node]
    return arcs


@njit(cache=True, nogil=True)
def jumps(first, head, next_arc):
    """Return from every node a node further on the way to every place, (places, nodes); itself at the end of the way.

    From any node, wherever one wants to be on the way is found in some dozen steps, each to the next node or over a jump:
    E. W. Myers (1983), An applicative random-access stack, Information Processing Letters 17 (5).

    Args:
        first, head: arcs of nodes.
        next_arc: of :func:`next_arcs`.
    """
    places, nodes = next_arc.shape
    found = np.empty((places, nodes), np.int32)
    depth = np.empty(nodes, np.int32)
    way = np.empty(nodes, np.int32)
    for place in range(places):
        jump = found[place]
        jump[:] = -1
        for origin in range(nodes):
            count, node = 0, origin
            while jump[node] < 0:
                if next_arc[place, node] == NO_ARC:
                    jump[node], depth[node] = node, 0
                    break
                way[count] = node
                count += 1
                node = head[first[node] + next_arc[place, node]]
            for k in range(count - 1, -1, -1):
                here, over = way[k], jump[node]
                far = jump[over]
                jump[here] = far if depth[node] - depth[over] == depth[over] - depth[far] else node
                depth[here] = depth[node] + 1
                node = here
    return found
