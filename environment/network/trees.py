"""Trees of cheapest ways: from every state to a destination, and from an origin to every node."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from .graph import Graph, reverse
from .hierarchy import LANES, Hierarchy, customize, make_hierarchy, passes
from .network import NetworkError

MANY = 1000
"""Destinations, and pairs of nodes, from which on a thorough customization of a hierarchy pays."""

NO_ARC = 255
"""In tables of next arcs: the destination cannot be reached."""


FEW = 48
"""Destinations below which a tree each is faster than a hierarchy that must be made first."""


def next_arcs(
    graph: Graph, cost: ArrayLike, destinations: ArrayLike, threads: int = 1, hierarchy: Hierarchy | None = None
) -> NDArray[np.uint8]:
    """Return which way to go from every state to each destination at the lowest cost.

    Among ways of equal cost, those that begin with the lower arc are taken. Costs are rounded as by
    :func:`exact_weights`, so that equal means equal.

    Args:
        graph: the graph.
        cost: (links,) seconds or any other cost from 0; infinite where a link is closed.
        destinations: (d,) nodes.
        threads: how many rows are made at once; the result does not depend on it.
        hierarchy: of the graph (:func:`~.hierarchy.make_hierarchy`), for those who call often; made on the way if it pays.
            The result does not depend on it.

    Returns:
        uint8 (d, states), place of the next arc among those of the state; 0 at the destination itself; :data:`NO_ARC`
        where there is no way.

    Raises:
        NetworkError: if a cost is negative or not a number, or a destination is not a node.
    """
    return _tables(graph, cost, destinations, threads, hierarchy, (True, False))[0]


def tree_costs(
    graph: Graph, cost: ArrayLike, destinations: ArrayLike, threads: int = 1, hierarchy: Hierarchy | None = None
) -> NDArray[np.float32]:
    """Return what the cheapest way costs from every state to each destination.

    The first :attr:`Graph.nodes` columns are the costs of trips that begin at the nodes. Arguments and errors as of
    :func:`next_arcs`.

    Returns:
        float32 (d, states), infinite where there is no way.
    """
    return _tables(graph, cost, destinations, threads, hierarchy, (False, True))[1]


def trees(
    graph: Graph, cost: ArrayLike, destinations: ArrayLike, threads: int = 1, hierarchy: Hierarchy | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return both :func:`next_arcs` and :func:`tree_costs`."""
    return _tables(graph, cost, destinations, threads, hierarchy, (True, True))


def _tables(
    graph: Graph,
    cost: ArrayLike,
    destinations: ArrayLike,
    threads: int,
    hierarchy: Hierarchy | None,
    wanted: tuple[bool, bool],
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return next arcs and costs, without rows where they are not wanted."""
    weight = exact_weights(graph, checked_cost(graph, cost))
    ends = checked_nodes(graph, destinations, "destinations")
    back = reverse(graph)
    by_node, member = states_by_node(graph)
    choice = np.empty((len(ends) * wanted[0], graph.states), np.uint8)
    costs = np.empty((len(ends) * wanted[1], graph.states), np.float32)
    if not len(ends):
        return choice, costs
    if hierarchy is None and len(ends) < FEW:
        into = weight[back.arc]

        def single(begin: int, stop: int) -> None:
            _trees(graph, back, into, by_node, member, ends[begin:stop], choice[begin:stop], costs[begin:stop])

        in_ranges(single, len(ends), threads)
        return choice, costs
    order = make_hierarchy(graph) if hierarchy is None else hierarchy
    shortcuts = customize(order, weight, thorough=len(ends) >= MANY)
    # neighbours together; the last one fills up the last batch
    rows = np.argsort(order.rank[ends], kind="stable")
    rows = np.concatenate([rows, np.repeat(rows[-1:], -len(rows) % LANES)])
    sorted_ends = ends[rows]

    def together(begin: int, stop: int) -> None:
        part = slice(begin * LANES, stop * LANES)
        passes(order, shortcuts, graph, back, weight, by_node, member, sorted_ends[part], rows[part], choice, costs)

    in_ranges(together, len(rows) // LANES, threads)
    return choice, costs


def exact_weights(graph: Graph, cost: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cost of each arc with its turn, rounded so that sums over ways are exact.

    Weights are multiples of a power of two, about 2⁻³² of the median, and at least one of it. Sums up to a million times
    the median are then exact whatever their order, so the same ways tie in every method.

    Args:
        graph: the graph.
        cost: (links,) checked costs.

    Returns:
        float64 (arcs,), infinite where closed.
    """
    weight = cost[graph.arc_link] + graph.arc_penalty
    usual = weight[(weight > 0) & np.isfinite(weight)]
    unit = 2.0 ** (np.floor(np.log2(np.median(usual))) - 32 if len(usual) else -32)
    return np.maximum(np.round(weight / unit), 1.0) * unit


def costs_from(
    graph: Graph, cost: ArrayLike, origins: ArrayLike, limit: float = np.inf, threads: int = 1
) -> NDArray[np.float32]:
    """Return what the cheapest way costs from each origin to every node.

    Args:
        graph: the graph.
        cost: (links,) as for :func:`next_arcs`.
        origins: (o,) nodes.
        limit: ways that cost more are not searched for.
        threads: how many rows are made at once; the result does not depend on it.

    Returns:
        float32 (o, nodes), infinite where there is no way within the limit.

    Raises:
        NetworkError: as by :func:`next_arcs`.
    """
    cost = checked_cost(graph, cost)
    begins = checked_nodes(graph, origins, "origins")
    weight = cost[graph.arc_link] + graph.arc_penalty
    costs = np.full((len(begins), graph.nodes), np.inf, np.float32)

    def rows(begin: int, stop: int) -> None:
        _costs_from(
            graph.first, graph.arc_head, weight, graph.through, graph.node, begins[begin:stop], float(limit),
            costs[begin:stop],
        )  # fmt: skip

    in_ranges(rows, len(begins), threads)
    return costs


def checked_cost(graph: Graph, cost: ArrayLike) -> NDArray[np.float64]:
    """Return costs of links as kernels take them.

    Raises:
        NetworkError: if there is not one for each link, or one is negative or not a number.
    """
    costs = np.ascontiguousarray(cost, np.float64)
    links = len(graph.end_state)
    if costs.shape != (links,):
        raise NetworkError(f"cost: has shape {costs.shape}, must have one value for each of {links} links")
    wrong = np.flatnonzero(~(costs >= 0))
    if len(wrong):
        raise NetworkError(
            f"link {wrong[0]}: cost is {costs[wrong[0]]:g}, must be 0 or more (infinite: closed); {len(wrong)} links in all"
        )
    return costs


def checked_nodes(graph: Graph, nodes: ArrayLike, name: str, *, states: bool = False) -> NDArray[np.int32]:
    """Return nodes as kernels take them, or states if those are allowed, too.

    Raises:
        NetworkError: if one is not a node of the graph.
    """
    values = np.asarray(nodes)
    if values.ndim != 1 or (len(values) and not np.issubdtype(values.dtype, np.integer)):
        raise NetworkError(f"{name}: must be a list of node numbers, got {values.dtype} of shape {values.shape}")
    known = graph.states if states else graph.nodes
    if len(values) and (values.min() < 0 or values.max() >= known):
        wrong = values[(values < 0) | (values >= known)][0]
        raise NetworkError(f"{name}: {wrong} is not a {'state' if states else 'node'}, there are 0 … {known - 1}")
    return np.ascontiguousarray(values, np.int32)


def in_ranges(work: Callable[[int, int], object], rows: int, threads: int) -> None:
    """Call ``work(begin, stop)`` for ranges that cover all rows, on as many threads."""
    if rows == 0:
        return
    parts = min(max(int(threads), 1), rows)
    cuts = [rows * part // parts for part in range(parts + 1)]
    if parts == 1:
        work(0, rows)
        return
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(work, cuts[:-1], cuts[1:]))


def states_by_node(graph: Graph) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the states in the order of their nodes and the first of each node."""
    member = np.argsort(graph.node, kind="stable").astype(np.int32)
    count = np.bincount(graph.node, minlength=graph.nodes)
    return np.concatenate([[0], np.cumsum(count)]).astype(np.int32), member


@njit(cache=True, nogil=True)
def _taken_off(heap_cost, heap_state, size):
    """Take the top off a heap of so many entries: the last one sinks from there; return how many are left."""
    size -= 1
    sinking = heap_cost[size]
    sunk = heap_state[size]
    hole = 0
    while True:
        child = 2 * hole + 1
        if child >= size:
            break
        if child + 1 < size and heap_cost[child + 1] < heap_cost[child]:
            child += 1
        if heap_cost[child] >= sinking:
            break
        heap_cost[hole] = heap_cost[child]
        heap_state[hole] = heap_state[child]
        hole = child
    heap_cost[hole] = sinking
    heap_state[hole] = sunk
    return size


@njit(cache=True, nogil=True)
def _put_on(heap_cost, heap_state, size, cost, state):
    """Put an entry on a heap of so many: it rises from the end; return how many there are now."""
    hole = size
    while hole > 0:
        parent = (hole - 1) >> 1
        if heap_cost[parent] <= cost:
            break
        heap_cost[hole] = heap_cost[parent]
        heap_state[hole] = heap_state[parent]
        hole = parent
    heap_cost[hole] = cost
    heap_state[hole] = state
    return size + 1


@njit(cache=True, nogil=True)
def _trees(graph, back, weight, by_node, member, ends, choice, costs):
    """Fill rows of ``choice`` and ``costs``, one a destination, by Dijkstra's method; ``weight`` is by rows of ``back``."""
    first, tail, place = back.first, back.tail, back.place
    through, node = graph.through, graph.node
    states = len(node)
    best = np.empty(states)
    place_of = np.empty(states, np.uint8)
    heap_cost = np.empty(len(tail) + states + 1)
    heap_state = np.empty(len(tail) + states + 1, np.int32)
    for row in range(len(ends)):
        best[:] = np.inf
        place_of[:] = NO_ARC
        size = 0
        goal = ends[row]
        for k in range(by_node[goal], by_node[goal + 1]):
            state = member[k]
            best[state] = 0.0
            place_of[state] = 0
            heap_cost[size] = 0.0  # equal costs are a heap in any order
            heap_state[size] = state
            size += 1
        while size > 0:
            here = heap_cost[0]
            state = heap_state[0]
            size = _taken_off(heap_cost, heap_state, size)
            if here > best[state]:
                continue  # a cheaper way to it was found after this entry
            if node[state] != goal and not through[state]:
                continue
            for k in range(first[state], first[state + 1]):
                other = tail[k]
                there = here + weight[k]
                if there < best[other]:
                    best[other] = there
                    place_of[other] = place[k]
                    size = _put_on(heap_cost, heap_state, size, there, other)
                elif there == best[other] and here < there < np.inf and place[k] < place_of[other]:
                    place_of[other] = place[k]
        if len(choice):
            choice[row] = place_of
        if len(costs):
            costs[row] = best


@njit(cache=True, nogil=True)
def _costs_from(first, head, weight, through, node, begins, limit, costs):
    """Fill rows of ``costs``, one an origin, by Dijkstra's method; a node counts from its first state that is reached."""
    states = len(first) - 1
    best = np.full(states, np.inf)
    heap_cost = np.empty(len(head) + 1)
    heap_state = np.empty(len(head) + 1, np.int32)
    touched = np.empty(states, np.int32)
    for row in range(len(begins)):
        origin = begins[row]
        best[origin] = 0.0
        touched[0] = origin
        seen = 1
        heap_cost[0] = 0.0
        heap_state[0] = origin
        size = 1
        while size > 0:
            here = heap_cost[0]
            state = heap_state[0]
            size = _taken_off(heap_cost, heap_state, size)
            if here > best[state]:
                continue
            costs[row, node[state]] = min(costs[row, node[state]], here)
            if state != origin and not through[state]:
                continue
            for k in range(first[state], first[state + 1]):
                other = head[k]
                there = here + weight[k]
                if there < best[other] and there <= limit:
                    if best[other] == np.inf:
                        touched[seen] = other
                        seen += 1
                    best[other] = there
                    size = _put_on(heap_cost, heap_state, size, there, other)
        for k in range(seen):
            best[touched[k]] = np.inf
