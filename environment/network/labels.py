"""Hub labels: how long it takes from any node to any other, found by comparing two short sorted lists.

Each node has a list of later states of the hierarchy that it reaches (its hubs) with what that costs, and another of those
that reach it. On a cheapest way between two nodes the latest state is in the first list of one and the second of the
other, so the least sum over common hubs is the cost. The lists are the search spaces of the hierarchy, without hubs that
are reached more cheaply over others.

I. Abraham, D. Delling, A. Goldberg, R. Werneck (2011), A Hub-Based Labeling Algorithm for Shortest Paths in Road Networks;
pruned from the top down as in their 2012 paper on hierarchical hub labelings.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from .graph import Graph
from .hierarchy import Hierarchy, customize, make_hierarchy
from .network import NetworkError
from .trees import checked_cost

NEVER = 2**30
"""Milliseconds that stand for: there is no way."""


class Labels(NamedTuple):
    """Hubs of nodes; costs are whole milliseconds, so that sums are exact in any order.

    Attributes:
        weight: int32 (arcs,) milliseconds of the arcs, at least 1; :data:`NEVER` where closed.
        out_first: int32 (nodes + 1,) hubs that node ``n`` reaches are rows ``out_first[n]`` … ``out_first[n + 1] - 1``.
        out_hub, out_cost: int32 rank of the hub, rising, and milliseconds.
        in_first, in_hub, in_cost: the same for hubs that reach the node.
    """

    weight: NDArray[np.int32]
    out_first: NDArray[np.int32]
    out_hub: NDArray[np.int32]
    out_cost: NDArray[np.int32]
    in_first: NDArray[np.int32]
    in_hub: NDArray[np.int32]
    in_cost: NDArray[np.int32]


def make_labels(graph: Graph, seconds: ArrayLike, hierarchy: Hierarchy | None = None) -> Labels:
    """Return the labels of a graph's nodes at one set of costs.

    Args:
        graph: a graph without turn rules, all of whose nodes may be passed.
        seconds: (links,) seconds that links take; infinite where closed. Each is rounded to a millisecond.
        hierarchy: of the graph, for those who call often; what :func:`cost_between` says does not depend on it.

    Raises:
        NetworkError: if a cost is negative, not a number or above 10 days, or the graph has turn rules or nodes that may
            not be passed.
    """
    cost = checked_cost(graph, seconds)
    if graph.states > graph.nodes or not np.all(graph.through):
        raise NetworkError("labels: the graph has turn rules or nodes that nobody may pass; make it without")
    longest = cost[np.isfinite(cost)].max(initial=0.0)
    if longest > 864_000:
        raise NetworkError(f"link {int(np.argmax(cost == longest))}: takes {longest:g} s; at most 864,000 s (10 days)")
    weight = np.where(np.isfinite(cost), np.maximum(np.round(1000.0 * cost), 1.0), np.inf)[graph.arc_link]
    order = make_hierarchy(graph) if hierarchy is None else hierarchy
    short = customize(order, weight, thorough=True)
    sides = _label(
        order.rank,
        order.parent,
        short.up_first,
        short.up_head,
        short.up_cost,
        short.down_first,
        short.down_head,
        short.down_cost,
    )
    whole = np.where(np.isfinite(weight), weight, NEVER).astype(np.int32)
    for column in (whole, *sides):
        column.flags.writeable = False
    return Labels(whole, *sides)


def cost_between(labels: Labels, origins: ArrayLike, destinations: ArrayLike) -> NDArray[np.float64]:
    """Return seconds from each origin to the destination beside it, (n,); infinite where there is no way.

    Args:
        labels: labels.
        origins, destinations: (n,) nodes.
    """
    begins, ends = np.ascontiguousarray(origins, np.int32), np.ascontiguousarray(destinations, np.int32)
    found = _pairs(*labels[1:], begins, ends)
    return np.where(found < NEVER, found / 1000.0, np.inf)


def cost_tables(labels: Labels, places: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return milliseconds from every node to some places, and from these to every node.

    Args:
        labels: labels.
        places: (places,) nodes.

    Returns:
        int32 (nodes, places), twice; :data:`NEVER` where there is no way.
    """
    nodes = np.ascontiguousarray(places, np.int32)
    states = len(labels.out_first) - 1
    there = _table(
        labels.out_first, labels.out_hub, labels.out_cost, labels.in_first, labels.in_hub, labels.in_cost, nodes
    )
    back = _table(
        labels.in_first, labels.in_hub, labels.in_cost, labels.out_first, labels.out_hub, labels.out_cost, nodes
    )
    assert there.shape == (states, len(nodes))
    return there, back


@njit(cache=True, nogil=True)
def between(out_first, out_hub, out_cost, in_first, in_hub, in_cost, a, b):
    """Return milliseconds from node ``a`` to node ``b``."""
    i, i_end = out_first[a], out_first[a + 1]
    j, j_end = in_first[b], in_first[b + 1]
    least = NEVER
    while i < i_end and j < j_end:
        here, there = out_hub[i], in_hub[j]
        if here == there:
            least = min(least, out_cost[i] + in_cost[j])
            i += 1
            j += 1
        elif here < there:
            i += 1
        else:
            j += 1
    return least


@njit(cache=True, nogil=True)
def _pairs(out_first, out_hub, out_cost, in_first, in_hub, in_cost, begins, ends):
    found = np.empty(len(begins), np.int64)
    for row in range(len(begins)):
        found[row] = between(out_first, out_hub, out_cost, in_first, in_hub, in_cost, begins[row], ends[row])
    return found


@njit(cache=True, nogil=True)
def _table(first, hub, cost, other_first, other_hub, other_cost, places):
    """Return the least sums of the labels of all nodes and the other labels of some places, (nodes, places)."""
    nodes = len(first) - 1
    table = np.full((nodes, len(places)), NEVER, np.int32)
    row = np.full(nodes, -1, np.int32)  # of the hubs that places have
    rows = 0
    for place in places:
        for k in range(other_first[place], other_first[place + 1]):
            if row[other_hub[k]] < 0:
                row[other_hub[k]] = rows
                rows += 1
    known = np.full((rows, len(places)), NEVER, np.int32)
    for column in range(len(places)):
        place = places[column]
        for k in range(other_first[place], other_first[place + 1]):
            known[row[other_hub[k]], column] = other_cost[k]
    for node in range(nodes):
        for k in range(first[node], first[node + 1]):
            at = row[hub[k]]
            if at >= 0:
                for column in range(len(places)):
                    table[node, column] = min(table[node, column], cost[k] + known[at, column])
    return table


@njit(cache=True, nogil=True)
def _label(rank, parent, up_first, up_head, up_cost, down_first, down_head, down_cost):
    """Return both labels of all nodes, made from the last rank to the first."""
    states = len(rank)
    size = max(64 * states, 1024)
    ends = np.zeros((2, states), np.int64)  # labels of ranks lie one after the other, last rank first
    begins = np.zeros((2, states), np.int64)
    hubs = np.empty((2, size), np.int32)
    costs = np.empty((2, size), np.int32)
    used = np.zeros(2, np.int64)
    least = np.full(states, NEVER, np.int64)
    known = np.empty(states, np.int32)
    for low in range(states - 1, -1, -1):
        for side in range(2):
            if used[side] + states > hubs.shape[1]:
                wider = hubs.shape[1] + max(hubs.shape[1] // 2, states)
                longer = np.empty((2, wider), np.int32)
                longer[:, : hubs.shape[1]] = hubs
                hubs = longer
                longer = np.empty((2, wider), np.int32)
                longer[:, : costs.shape[1]] = costs
                costs = longer
            first, head, cost = (up_first, up_head, up_cost) if side == 0 else (down_first, down_head, down_cost)
            least[low] = 0
            for k in range(first[low], first[low + 1]):
                step = np.int64(cost[k])
                for j in range(begins[side, head[k]], ends[side, head[k]]):
                    hub = hubs[side, j]
                    least[hub] = min(least[hub], step + costs[side, j])
            count, hub = 0, low  # all that is reached upwards is above in the elimination tree, by rising rank
            while hub >= 0:
                if least[hub] < NEVER:
                    known[count] = hub
                    count += 1
                hub = parent[hub]
            begin = used[side]
            at = begin
            other = 1 - side
            for k in range(count):
                hub = known[k]
                cheapest = least[hub]
                kept = cheapest < NEVER
                if hub != low:
                    # reached as cheaply over a hub in between or above?
                    for j in range(begins[other, hub], ends[other, hub]):
                        middle = hubs[other, j]
                        if middle != hub and least[middle] + costs[other, j] <= cheapest:
                            kept = False
                            break
                if kept:
                    hubs[side, at] = hub
                    costs[side, at] = cheapest
                    at += 1
            for k in range(count):
                least[known[k]] = NEVER
            begins[side, low] = begin
            ends[side, low] = at
            used[side] = at
    # by node
    firsts = np.zeros((2, states + 1), np.int32)
    for side in range(2):
        for node in range(states):
            firsts[side, node + 1] = firsts[side, node] + ends[side, rank[node]] - begins[side, rank[node]]
    out_hub, out_cost = np.empty(used[0], np.int32), np.empty(used[0], np.int32)
    in_hub, in_cost = np.empty(used[1], np.int32), np.empty(used[1], np.int32)
    for node in range(states):
        for side in range(2):
            begin, at = begins[side, rank[node]], firsts[side, node]
            for k in range(ends[side, rank[node]] - begin):
                if side == 0:
                    out_hub[at + k], out_cost[at + k] = hubs[side, begin + k], costs[side, begin + k]
                else:
                    in_hub[at + k], in_cost[at + k] = hubs[side, begin + k], costs[side, begin + k]
    return firsts[0].copy(), out_hub, out_cost, firsts[1].copy(), in_hub, in_cost
