"""Cheapest ways between many pairs of nodes."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from .graph import Graph, Reverse, reverse
from .hierarchy import Hierarchy, Shortcuts, customize, make_hierarchy
from .network import NetworkError
from .trees import MANY, checked_cost, checked_nodes, exact_weights, in_ranges, states_by_node

_ALONE = -1
"""In place of a slot: the way begins or ends at this state."""
_STEP = -2
"""In place of a slot, less the arc: the way begins or ends with this arc."""


class Priced(NamedTuple):
    """A graph under one set of costs, made ready for searches; see :func:`price`."""

    graph: Graph
    hierarchy: Hierarchy
    weight: NDArray[np.float64]
    shortcuts: Shortcuts
    back: Reverse
    by_node: NDArray[np.int32]
    member: NDArray[np.int32]


def price(graph: Graph, cost: ArrayLike, hierarchy: Hierarchy | None = None, *, thorough: bool = True) -> Priced:
    """Return a graph made ready for searches at one set of costs, for those who search more than once.

    Args:
        graph: the graph.
        cost: (links,) as for :func:`~.trees.next_arcs`.
        hierarchy: of the graph, for those who call often; the result does not depend on it.
        thorough: take some more time now so that searches are faster; the result does not depend on it.

    Raises:
        NetworkError: if a cost is negative or not a number.
    """
    weight = exact_weights(graph, checked_cost(graph, cost))
    order = make_hierarchy(graph) if hierarchy is None else hierarchy
    shortcuts = customize(order, weight, thorough=thorough)
    return Priced(graph, order, weight, shortcuts, reverse(graph), *states_by_node(graph))


def priced_paths(
    priced: Priced, origins: ArrayLike, destinations: ArrayLike, threads: int = 1
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return what :func:`paths` returns, in a graph that has been made ready."""
    return _ways(priced, *_pairs(priced.graph, origins, destinations), threads)


def paths(
    graph: Graph,
    cost: ArrayLike,
    origins: ArrayLike,
    destinations: ArrayLike,
    threads: int = 1,
    hierarchy: Hierarchy | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the links of a cheapest way from each origin to the destination beside it.

    Args:
        graph: the graph.
        cost: (links,) as for :func:`~.trees.next_arcs`.
        origins, destinations: (n,) nodes; an origin may also be a state, as ``graph.end_state`` is of who is on a link.
        threads: how many ranges of pairs are searched at once; the result does not depend on it.
        hierarchy: of the graph, for those who call often; the result does not depend on it.

    Returns:
        first: int64 (n + 1,) links of pair ``k`` are rows ``first[k]`` … ``first[k + 1] - 1``; none where there is no way,
            or where origin and destination are one.
        link: int32.

    Raises:
        NetworkError: if a cost is negative or not a number, a node is not in the graph, or there are more origins than
            destinations or fewer.
    """
    pairs = _pairs(graph, origins, destinations)
    return _ways(price(graph, cost, hierarchy, thorough=len(pairs[0]) >= MANY), *pairs, threads)


def _pairs(graph: Graph, origins: ArrayLike, destinations: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    begins = checked_nodes(graph, origins, "origins", states=True)
    ends = checked_nodes(graph, destinations, "destinations")
    if len(begins) != len(ends):
        raise NetworkError(f"there are {len(begins)} origins and {len(ends)} destinations; they must form pairs")
    return begins, ends


def _ways(
    priced: Priced, begins: NDArray[np.int32], ends: NDArray[np.int32], threads: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return ragged paths."""
    if not len(begins):
        return np.zeros(1, np.int64), np.zeros(0, np.int32)
    graph, order, weight, shortcuts, back, by_node, member = priced
    # pairs of one destination share half of the search
    rows = np.lexsort((begins, ends))
    length = np.zeros(len(rows), np.int64)
    parts: dict[int, NDArray[np.int32]] = {}

    def search(begin: int, stop: int) -> None:
        part = rows[begin:stop]
        parts[begin] = _search(order, shortcuts, graph, back, weight, by_node, member, begins, ends, part, length)

    in_ranges(search, len(rows), threads)
    first = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    link = np.empty(first[-1], np.int32)
    starts = sorted(parts)
    for begin, stop in zip(starts, [*starts[1:], len(rows)], strict=True):
        _in_order(rows[begin:stop], first, parts[begin], link)
    return first, link


@njit(cache=True, nogil=True)
def _in_order(rows, first, found, link):
    """Copy paths, one after the other in the order of ``rows``, to where they belong."""
    at = 0
    for row in rows:
        for k in range(first[row], first[row + 1]):
            link[k] = found[at]
            at += 1


@njit(cache=True, nogil=True)
def _climbed(parent, above, low, chain, size):
    """Append a state and those above it to a chain of so many as far as they are not ``above`` yet; return its size."""
    while low >= 0 and not above[low]:
        above[low] = True
        chain[size] = low
        size += 1
        low = parent[low]
    return size


@njit(cache=True, nogil=True)
def _search(hierarchy, shortcuts, graph, back, weight, by_node, member, begins, ends, rows, length):
    """Fill ``length`` of some pairs and return their links one after the other.

    From the origin and against the arcs from the destination it goes up in the hierarchy; the cheapest way is over the
    state where both together cost least. Links are then those of the shortcuts on the way.
    """
    first, head, rank = hierarchy.first, hierarchy.head, hierarchy.rank
    parent, up_by, down_by = hierarchy.parent, shortcuts.up_by, shortcuts.down_by
    up_first, up_head, up_cost, up_slot = shortcuts.up_first, shortcuts.up_head, shortcuts.up_cost, shortcuts.up_slot
    down_first, down_head, down_cost = shortcuts.down_first, shortcuts.down_head, shortcuts.down_cost
    down_slot = shortcuts.down_slot
    arc_first, arc_head, arc_link = graph.first, graph.arc_head, graph.arc_link
    node, through = graph.node, graph.through
    into_first, into_tail, into_arc = back.first, back.tail, back.arc
    states = len(rank)
    slot_low = np.empty(len(head), np.int32)
    for low in range(states):
        slot_low[first[low] : first[low + 1]] = low
    # costs from the origin and to the destination by rank, the slots they come by
    here = np.full(states, np.inf)
    there = np.full(states, np.inf)
    here_by = np.empty(states, np.int64)
    there_by = np.empty(states, np.int64)
    above = np.zeros(states, np.bool_)
    known = np.empty(states, np.int32)
    goals = np.empty(states, np.int32)
    stack = np.empty(2 * states + 2, np.int64)
    links = np.empty(64 * len(rows) + states, np.int32)
    used = 0
    last = -1
    goal_count = 0
    for row in rows:
        origin = begins[row]
        goal = ends[row]
        if origin == goal:
            continue
        if goal != last:
            for k in range(goal_count):
                there[goals[k]] = np.inf
            goal_count = 0
            chains = 0
            last = goal
            for k in range(by_node[goal], by_node[goal + 1]):
                state = member[k]
                if through[state]:
                    low = rank[state]
                    there[low] = 0.0
                    there_by[low] = _ALONE
                    chains += 1
                    goal_count = _climbed(parent, above, low, goals, goal_count)
                    continue
                for j in range(into_first[state], into_first[state + 1]):
                    if not through[into_tail[j]]:
                        continue
                    low = rank[into_tail[j]]
                    chains += 1
                    if weight[into_arc[j]] < there[low]:
                        there[low] = weight[into_arc[j]]
                        there_by[low] = _STEP - into_arc[j]
                    goal_count = _climbed(parent, above, low, goals, goal_count)
            if chains > 1:
                goals[:goal_count].sort()
            for k in range(goal_count):
                low = goals[k]
                above[low] = False
                step = there[low]
                if step == np.inf:
                    continue
                # as up again below: a function for both would cost a quarter of the whole search
                for j in range(down_first[low], down_first[low + 1]):
                    if step + down_cost[j] < there[down_head[j]]:
                        there[down_head[j]] = step + down_cost[j]
                        there_by[down_head[j]] = down_slot[j]
        least = np.inf
        middle = -1
        direct = -1
        sources = 0
        state = origin
        if through[state]:
            low = rank[state]
            here[low] = 0.0
            here_by[low] = _ALONE
            sources = _climbed(parent, above, low, known, 0)
        else:
            for arc in range(arc_first[state], arc_first[state + 1]):
                other = arc_head[arc]
                if not through[other]:
                    if node[other] == goal and weight[arc] < least:
                        least = weight[arc]
                        direct = arc
                    continue
                low = rank[other]
                if weight[arc] < here[low]:
                    here[low] = weight[arc]
                    here_by[low] = _STEP - arc
                sources = _climbed(parent, above, low, known, sources)
            if sources > 1:
                known[:sources].sort()
        for k in range(sources):
            low = known[k]
            above[low] = False
            step = here[low]
            if step + there[low] < least:
                least = step + there[low]
                middle = low
            if step >= least:
                continue
            for j in range(up_first[low], up_first[low + 1]):
                if step + up_cost[j] < here[up_head[j]]:
                    here[up_head[j]] = step + up_cost[j]
                    here_by[up_head[j]] = up_slot[j]
        for k in range(sources):
            here[known[k]] = np.inf
        if least == np.inf:
            continue
        if used + states > len(links):
            longer = np.empty(2 * len(links) + states, np.int32)
            longer[:used] = links[:used]
            links = longer
        begin = used
        if middle < 0:
            links[used] = arc_link[direct]
            used += 1
            length[row] = 1
            continue
        # what is to be gone, last first: slots upwards as 2 slot, downwards as 2 slot + 1, arcs as -1 - arc
        size = 0
        low = middle
        chain = 0
        while there_by[low] >= 0:
            known[chain] = low
            chain += 1
            low = slot_low[there_by[low]]
        if there_by[low] != _ALONE:
            stack[size] = there_by[low] - _STEP - 1
            size += 1
        for k in range(chain - 1, -1, -1):
            stack[size] = 2 * there_by[known[k]] + 1
            size += 1
        low = middle
        while here_by[low] >= 0:
            stack[size] = 2 * here_by[low]
            size += 1
            low = slot_low[here_by[low]]
        if here_by[low] != _ALONE:
            stack[size] = here_by[low] - _STEP - 1
            size += 1
        while size > 0:
            size -= 1
            item = stack[size]
            if item < 0:
                links[used] = arc_link[-1 - item]
                used += 1
                continue
            slot = item >> 1
            upwards = item & 1 == 0
            by = np.int64(up_by[slot] if upwards else down_by[slot])
            if by < 0:
                links[used] = arc_link[-1 - by]
                used += 1
                continue
            # the shortcut goes down to a state before both of its ends and up again, which is put on the stack first
            over = head[slot] if upwards else slot_low[slot]
            under = slot_low[slot] if upwards else head[slot]
            for side in range(2):
                target = over if side == 0 else under
                a = first[by]
                b = first[by + 1] - 1
                while a < b:
                    half = (a + b) >> 1
                    if head[half] < target:
                        a = half + 1
                    else:
                        b = half
                stack[size] = 2 * a + side
                size += 1
        length[row] = used - begin
    return links[:used]
