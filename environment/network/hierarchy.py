"""Customizable contraction hierarchies: shortest paths by way of an order of the states that does not depend on costs.

States are taken out one after the other, of fewest neighbours first, and the neighbours of each are joined by shortcuts.
Which shortcuts there are depends on the graph alone; what they cost is worked out anew for each set of costs, in
milliseconds. A cheapest way then goes up in that order and down again, so that a tree is one pass over the states from the
last to the first, made for several destinations at once.

J. Dibbelt, B. Strasser, D. Wagner (2016), Customizable Contraction Hierarchies, ACM Journal of Experimental Algorithmics 21;
the pass is that of D. Delling, A. Goldberg, A. Nowatzyk, R. Werneck (2011), PHAST. The order is the minimum degree rule of
sparse elimination (A. George, J. Liu 1989).
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .graph import Graph

LANES = 8
"""Destinations that a pass serves; their labels of a state fill a line of the processor's cache."""


class Hierarchy(NamedTuple):
    """Order and shortcuts of a graph. Slots are the rows of ``head``: pairs of a state and a later one.

    Attributes:
        rank: int32 (states,) place of each state in the order.
        first: int32 (states + 1,) slots of the state of rank ``r`` are ``first[r]`` … ``first[r + 1] - 1``.
        head: int32 (slots,) rank of the later state, rising within a state.
        parent: int32 (states,) rank of the first later neighbour of the state of rank ``r``, -1 if it has none: the
            elimination tree. Whatever can be reached upwards from a state is above it in this tree.
        arc_slot: int32 (arcs,) slot of each arc of the graph, -1 where an arc cannot be inside of a way.
        arc_up: bool (arcs,) whether the arc leads from the earlier state to the later.
    """

    rank: NDArray[np.int32]
    first: NDArray[np.int32]
    head: NDArray[np.int32]
    parent: NDArray[np.int32]
    arc_slot: NDArray[np.int32]
    arc_up: NDArray[np.bool_]


class Shortcuts(NamedTuple):
    """What the slots of a hierarchy cost under one set of costs, without those that no cheapest way needs.

    Attributes:
        up_by, down_by: int32 (slots,) rank of the state that a shortcut to the later state, or from it, goes by, or
            ``-1 - arc`` for an arc of the graph.
        up_first: int32 (states + 1,) shortcuts from the state of rank ``r`` to later ones are rows ``up_first[r]`` …
            ``up_first[r + 1] - 1`` of the next three.
        up_head: int32 rank of the later state.
        up_cost: float64 what it costs.
        up_slot: int32 its slot.
        down_first, down_head, down_cost, down_slot: the same for shortcuts from later states to that of rank ``r``.
    """

    up_by: NDArray[np.int32]
    down_by: NDArray[np.int32]
    up_first: NDArray[np.int32]
    up_head: NDArray[np.int32]
    up_cost: NDArray[np.float64]
    up_slot: NDArray[np.int32]
    down_first: NDArray[np.int32]
    down_head: NDArray[np.int32]
    down_cost: NDArray[np.float64]
    down_slot: NDArray[np.int32]


def make_hierarchy(graph: Graph) -> Hierarchy:
    """Return order and shortcuts of a graph; they hold for all costs."""
    tail = np.repeat(np.arange(graph.states, dtype=np.int32), np.diff(graph.first))
    head = graph.arc_head
    # a state that may not be passed is no part of ways but their end
    inside = (tail != head) & graph.through[tail] & graph.through[head]
    pairs = np.unique(
        np.concatenate(
            [
                tail[inside].astype(np.int64) * graph.states + head[inside],
                head[inside].astype(np.int64) * graph.states + tail[inside],
            ]
        )
    )
    near = (pairs % max(graph.states, 1)).astype(np.int32)
    first = np.searchsorted(pairs, np.arange(graph.states + 1, dtype=np.int64) * graph.states).astype(np.int64)
    order, up_first, up = _eliminate(first, near)

    # number the states so that those below a state stand next to each other, which is as good an order
    step = np.empty(graph.states, np.int32)
    step[order] = np.arange(graph.states, dtype=np.int32)
    rank = _numbered(up_first, up, order, step)
    count = np.zeros(graph.states + 1, np.int64)
    count[rank[order] + 1] = np.diff(up_first)
    slots = np.cumsum(count)
    low = np.repeat(rank[order], np.diff(up_first)).astype(np.int64)
    pair = np.sort(low * graph.states + rank[up])
    slot_head = (pair % max(graph.states, 1)).astype(np.int32)

    a, b = rank[tail].astype(np.int64), rank[head].astype(np.int64)
    arc_slot = np.full(len(tail), -1, np.int32)
    arc_slot[inside] = np.searchsorted(pair, (np.minimum(a, b) * graph.states + np.maximum(a, b))[inside])
    parent = np.full(graph.states, -1, np.int32)
    joined = np.diff(slots) > 0
    parent[joined] = slot_head[slots[:-1][joined]]
    columns = (rank, slots.astype(np.int32), slot_head, parent, arc_slot, a < b)
    for column in columns:
        column.flags.writeable = False
    return Hierarchy(*columns)


def customize(hierarchy: Hierarchy, weight: NDArray[np.float64], *, thorough: bool = False) -> Shortcuts:
    """Return what shortcuts cost.

    Args:
        hierarchy: order and shortcuts.
        weight: float64 (arcs,) costs of the graph's arcs whose sums are exact (:func:`~.trees.exact_weights`).
        thorough: take the time to find all shortcuts that cost more than some way over later states, and leave them out;
            about half are. Searches are faster then, what they find is the same.
    """
    slots = len(hierarchy.head)
    up, down = np.full(slots, np.inf), np.full(slots, np.inf)
    up_by, down_by = np.zeros(slots, np.int32), np.zeros(slots, np.int32)
    first, head = hierarchy.first, hierarchy.head
    _customize(first, head, hierarchy.arc_slot, hierarchy.arc_up, weight, up, down, up_by, down_by)
    least_up, least_down = up, down
    if thorough:
        least_up, least_down = up.copy(), down.copy()
        _perfect(first, head, least_up, least_down)
    parts = []
    for cost, least in ((up, least_up), (down, least_down)):
        slot = np.flatnonzero((cost == least) & (cost < np.inf)).astype(np.int32)
        parts += [np.searchsorted(slot, first).astype(np.int32), head[slot], cost[slot], slot]
    return Shortcuts(up_by, down_by, *parts)


@njit(cache=True, nogil=True)
def _eliminate(first, near):
    """Take states out by fewest neighbours; return the order and the neighbours that each then has."""
    states = len(first) - 1
    store = np.empty(4 * len(near) + 16 * states + 16, np.int32)
    begin = np.empty(states, np.int64)
    size = np.empty(states, np.int64)
    room = np.empty(states, np.int64)
    used = 0
    for state in range(states):
        begin[state] = used
        size[state] = first[state + 1] - first[state]
        room[state] = size[state] + 2
        for k in range(size[state]):
            store[used + k] = near[first[state] + k]
        used += room[state]
    # states by number of neighbours, in doubly linked lists
    top = np.full(states + 1, -1, np.int32)
    after = np.full(states, -1, np.int32)
    before = np.full(states, -1, np.int32)
    for state in range(states - 1, -1, -1):
        degree = size[state]
        after[state] = top[degree]
        if top[degree] >= 0:
            before[top[degree]] = state
        top[degree] = state
    mark = np.full(states, -1, np.int32)
    order = np.empty(states, np.int32)
    up_first = np.zeros(states + 1, np.int64)
    up = np.empty(2 * len(near) + 16, np.int32)
    least = 0
    for step in range(states):
        while top[least] < 0:
            least += 1
        out = top[least]
        order[step] = out
        top[least] = after[out]
        if after[out] >= 0:
            before[after[out]] = -1
        degree = size[out]
        base = up_first[step]
        if base + degree > len(up):
            wider = np.empty(2 * len(up) + degree, np.int32)
            wider[:base] = up[:base]
            up = wider
        for k in range(degree):
            up[base + k] = store[begin[out] + k]
        up_first[step + 1] = base + degree
        for k in range(degree):
            state = up[base + k]
            old = size[state]
            left = 0
            for j in range(old):
                other = store[begin[state] + j]
                mark[other] = state
                if other != out:
                    store[begin[state] + left] = other
                    left += 1
            mark[state] = state
            missing = 0
            for j in range(degree):
                if mark[up[base + j]] != state:
                    missing += 1
            if left + missing > room[state]:
                room[state] = 2 * (left + missing)
                if used + room[state] > len(store):
                    longer = np.empty(2 * len(store) + room[state], np.int32)
                    longer[:used] = store[:used]
                    store = longer
                for j in range(left):
                    store[used + j] = store[begin[state] + j]
                begin[state] = used
                used += room[state]
            for j in range(degree):
                other = up[base + j]
                if mark[other] != state:
                    store[begin[state] + left] = other
                    left += 1
            mark[state] = -1
            mark[out] = -1
            for j in range(left):
                mark[store[begin[state] + j]] = -1
            if left != old:
                if before[state] >= 0:
                    after[before[state]] = after[state]
                else:
                    top[old] = after[state]
                if after[state] >= 0:
                    before[after[state]] = before[state]
                before[state] = -1
                after[state] = top[left]
                if top[left] >= 0:
                    before[top[left]] = state
                top[left] = state
                size[state] = left
                least = min(least, left)
    return order, up_first, up[: up_first[states]]


@njit(cache=True, nogil=True)
def _numbered(up_first, up, order, step):
    """Return ranks in which each state comes after all that are below it in the elimination tree, depth first."""
    states = len(order)
    parent = np.full(states, -1, np.int32)
    for low in range(states):
        for k in range(up_first[low], up_first[low + 1]):
            other = step[up[k]]
            if parent[low] < 0 or other < parent[low]:
                parent[low] = other
    # from the last step down: a state's subtree takes the ranks right below it
    below = np.ones(states, np.int32)
    for low in range(states):
        if parent[low] >= 0:
            below[parent[low]] += below[low]
    rank = np.empty(states, np.int32)
    free = np.empty(states, np.int32)
    next_root = states - 1
    for low in range(states - 1, -1, -1):
        if parent[low] < 0:
            place = next_root
            next_root -= below[low]
        else:
            place = free[parent[low]]
            free[parent[low]] -= below[low]
        rank[order[low]] = place
        free[low] = place - 1
    return rank


@njit(cache=True, nogil=True)
def _customize(first, head, arc_slot, arc_up, weight, up, down, up_by, down_by):
    """Give slots the cost of their arcs, then of all ways over states before both ends."""
    for arc in range(len(arc_slot)):
        slot = arc_slot[arc]
        if slot < 0:
            continue
        if arc_up[arc]:
            if weight[arc] < up[slot]:
                up[slot] = weight[arc]
                up_by[slot] = -1 - arc
        elif weight[arc] < down[slot]:
            down[slot] = weight[arc]
            down_by[slot] = -1 - arc
    for low in range(len(first) - 1):
        for k in range(first[low], first[low + 1]):
            middle = head[k]
            there = down[k]
            back = up[k]
            slot = first[middle]
            for j in range(k + 1, first[low + 1]):
                high = head[j]
                while head[slot] < high:
                    slot += 1
                if there + up[j] < up[slot]:
                    up[slot] = there + up[j]
                    up_by[slot] = low
                if down[j] + back < down[slot]:
                    down[slot] = down[j] + back
                    down_by[slot] = low


@njit(cache=True, nogil=True)
def _perfect(first, head, up, down):
    """Lower costs of slots to those of the cheapest ways over any states, from the last state to the first."""
    for low in range(len(first) - 2, -1, -1):
        for k in range(first[low], first[low + 1]):
            middle = head[k]
            slot = first[middle]
            for j in range(k + 1, first[low + 1]):
                high = head[j]
                while head[slot] < high:
                    slot += 1
                up[j] = min(up[j], up[k] + up[slot])
                up[k] = min(up[k], up[j] + down[slot])
                down[j] = min(down[j], down[slot] + down[k])
                down[k] = min(down[k], up[slot] + down[j])


@njit(cache=True, nogil=True)
def passes(hierarchy, shortcuts, graph, back, weight, by_node, member, ends, rows, choice, costs):
    """Fill rows of next arcs and costs, one a destination, eight at a time.

    It is quickest if destinations that follow each other lie close together.

    Args:
        hierarchy, shortcuts, graph, back: of :func:`make_hierarchy`, :func:`customize`, :func:`~.graph.make_graph` and
            :func:`~.graph.reverse`.
        weight: float64 (arcs,) exact weights.
        by_node, member: int32 (nodes + 1,) and (states,) states in the order of their nodes.
        ends: int32 (8 n,) destinations; one may occur several times.
        rows: int64 (8 n,) row of each in the tables.
        choice, costs: uint8 and float32 (d, states), written to; without rows where they are not wanted.
    """
    rank, parent = hierarchy.rank, hierarchy.parent
    up_first, up_head, up_cost = shortcuts.up_first, shortcuts.up_head, shortcuts.up_cost
    down_first, down_head, down_cost = shortcuts.down_first, shortcuts.down_head, shortcuts.down_cost
    arc_first, arc_head, node, through = graph.first, graph.arc_head, graph.node, graph.through
    into_first, into_tail, into_arc = back.first, back.tail, back.arc
    states = len(rank)
    to = np.empty(len(arc_head), np.int32)
    for arc in range(len(arc_head)):
        to[arc] = rank[arc_head[arc]] if through[arc_head[arc]] else -1
    label = np.empty((states, LANES))
    best = np.empty(LANES)
    above = np.zeros(states, np.bool_)
    table = choice if len(choice) else np.empty((1, states), np.uint8)
    least = costs if len(costs) else np.empty((1, states), np.float32)
    in_table = rows if len(choice) else np.zeros(len(rows), np.int64)
    in_least = rows if len(costs) else np.zeros(len(rows), np.int64)
    for batch in range(0, len(ends), LANES):
        label[:] = np.inf
        # where the ways end, and what is above that in the elimination tree
        lowest = states
        for lane in range(LANES):
            goal = ends[batch + lane]
            for k in range(by_node[goal], by_node[goal + 1]):
                state = member[k]
                sources = 1 if through[state] else into_first[state + 1] - into_first[state]
                for j in range(sources):
                    source = state
                    here = 0.0
                    if not through[state]:
                        source = into_tail[into_first[state] + j]
                        here = weight[into_arc[into_first[state] + j]]
                    if not through[source]:
                        continue
                    low = rank[source]
                    label[low, lane] = min(label[low, lane], here)
                    lowest = min(lowest, low)
                    while low >= 0 and not above[low]:
                        above[low] = True
                        low = parent[low]
        # up to these
        for low in range(lowest, states):
            if not above[low]:
                continue
            above[low] = False
            for lane in range(LANES):
                best[lane] = label[low, lane]
            for k in range(down_first[low], down_first[low + 1]):
                step = down_cost[k]
                high = down_head[k]
                for lane in range(LANES):
                    there = step + best[lane]
                    old = label[high, lane]
                    label[high, lane] = there if there < old else old
        # down to all states
        for low in range(states - 1, -1, -1):
            for lane in range(LANES):
                best[lane] = label[low, lane]
            for k in range(up_first[low], up_first[low + 1]):
                step = up_cost[k]
                high = up_head[k]
                for lane in range(LANES):
                    there = step + label[high, lane]
                    best[lane] = there if there < best[lane] else best[lane]
            for lane in range(LANES):
                label[low, lane] = best[lane]
        # the first of the arcs that a cheapest way begins with; scalars take a third of the time of an array by lane
        t0, t1, t2, t3 = in_table[batch], in_table[batch + 1], in_table[batch + 2], in_table[batch + 3]
        t4, t5, t6, t7 = in_table[batch + 4], in_table[batch + 5], in_table[batch + 6], in_table[batch + 7]
        l0, l1, l2, l3 = in_least[batch], in_least[batch + 1], in_least[batch + 2], in_least[batch + 3]
        l4, l5, l6, l7 = in_least[batch + 4], in_least[batch + 5], in_least[batch + 6], in_least[batch + 7]
        for state in range(states):
            p0 = p1 = p2 = p3 = p4 = p5 = p6 = p7 = 255
            c0 = c1 = c2 = c3 = c4 = c5 = c6 = c7 = np.inf
            for arc in range(arc_first[state], arc_first[state + 1]):
                other = to[arc]
                if other < 0:
                    continue
                step = weight[arc]
                place = arc - arc_first[state]
                there = step + label[other, 0]
                if there < c0:
                    c0, p0 = there, place
                there = step + label[other, 1]
                if there < c1:
                    c1, p1 = there, place
                there = step + label[other, 2]
                if there < c2:
                    c2, p2 = there, place
                there = step + label[other, 3]
                if there < c3:
                    c3, p3 = there, place
                there = step + label[other, 4]
                if there < c4:
                    c4, p4 = there, place
                there = step + label[other, 5]
                if there < c5:
                    c5, p5 = there, place
                there = step + label[other, 6]
                if there < c6:
                    c6, p6 = there, place
                there = step + label[other, 7]
                if there < c7:
                    c7, p7 = there, place
            table[t0, state], table[t1, state], table[t2, state], table[t3, state] = p0, p1, p2, p3
            table[t4, state], table[t5, state], table[t6, state], table[t7, state] = p4, p5, p6, p7
            least[l0, state], least[l1, state], least[l2, state], least[l3, state] = c0, c1, c2, c3
            least[l4, state], least[l5, state], least[l6, state], least[l7, state] = c4, c5, c6, c7
        for lane in range(LANES):
            goal = ends[batch + lane]
            for k in range(by_node[goal], by_node[goal + 1]):
                # the last step to a state that may not be passed
                state = member[k]
                if through[state]:
                    continue
                for j in range(into_first[state], into_first[state + 1]):
                    tail = into_tail[j]
                    cheapest = np.inf
                    for arc in range(arc_first[tail], arc_first[tail + 1]):
                        there = np.inf
                        if to[arc] >= 0:
                            there = weight[arc] + label[to[arc], lane]
                        elif node[arc_head[arc]] == goal:
                            there = weight[arc]
                        if there < cheapest:
                            cheapest = there
                            table[in_table[batch + lane], tail] = arc - arc_first[tail]
                    least[in_least[batch + lane], tail] = cheapest
            for k in range(by_node[goal], by_node[goal + 1]):
                table[in_table[batch + lane], member[k]] = 0
                least[in_least[batch + lane], member[k]] = 0.0
