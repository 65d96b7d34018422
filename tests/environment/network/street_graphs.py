"""Small networks for tests, and shortest paths in plain Python."""

import heapq

import numpy as np
from hypothesis import strategies as st

from citytwin.environment.network.network import Network, Turns
from citytwin.environment.network.trees import costs_from


def network(nodes, pairs, *, length=None, access=None, through=None, turns=None):
    """A network of links between pairs of nodes, one metre a second; its nodes stand in a row a metre apart."""
    ends = np.array(pairs, np.int32).reshape(-1, 2)
    links = len(ends)
    return Network(
        x=np.arange(nodes, dtype=float),
        y=np.zeros(nodes),
        start=ends[:, 0].copy(),
        end=ends[:, 1].copy(),
        length=np.ones(links) if length is None else np.asarray(length, float),
        speed=np.ones(links),
        lanes=np.ones(links),
        capacity=np.full(links, np.inf),
        access=np.full(links, 7, np.uint8) if access is None else access,
        rank=np.full(links, 3, np.uint8),
        way=np.arange(links),
        through=np.ones(nodes, bool) if through is None else through,
        turns=turns,
    )


def cheapest(graph, cost, origins, destinations):
    """What the cheapest way costs from each origin to the destination beside it."""
    begins, row = np.unique(origins, return_inverse=True)
    return costs_from(graph, cost, begins)[row, destinations]


@st.composite
def networks(draw, *, rules=True, most_nodes=9, most_links=30):
    """A random network, its costs with ties, links without cost and closed links, and its closed links."""
    nodes = draw(st.integers(2, most_nodes))
    node = st.integers(0, nodes - 1)
    pairs = draw(st.lists(st.tuples(node, node), min_size=1, max_size=most_links))
    links = len(pairs)
    cost = np.array(
        draw(st.lists(st.sampled_from([0.0, 1.0, 1.0, 2.0, 3.0, 7.5, np.inf]), min_size=links, max_size=links))
    )
    through = np.array(draw(st.lists(st.sampled_from([True, True, True, False]), min_size=nodes, max_size=nodes)))
    turns = None
    if rules:
        meeting = [(a, b) for a in range(links) for b in range(links) if pairs[a][1] == pairs[b][0]]
        if meeting:
            chosen = draw(st.lists(st.sampled_from(meeting), unique=True, max_size=12))
            penalty = draw(st.lists(st.sampled_from([1.0, 4.0, np.inf]), min_size=len(chosen), max_size=len(chosen)))
            joined = np.array(chosen, np.int32).reshape(-1, 2)
            turns = Turns(joined[:, 0].copy(), joined[:, 1].copy(), np.array(penalty, float))
    return network(nodes, pairs, through=through, turns=turns), cost


def random_network(nodes, links, seed):
    """A random network with costs that have no ties."""
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, nodes, (links, 2))
    return network(nodes, pairs), rng.uniform(0.5, 90.0, links)


def costs_by_links(streets, cost, origin):
    """Cost from a node to every node, searched over links and the turns between them, without graphs.

    Returns a list by node, infinite where there is no way.
    """
    penalty = {}
    if streets.turns is not None:
        rules = streets.turns
        penalty = dict(
            zip(zip(rules.from_link.tolist(), rules.to_link.tolist(), strict=True), rules.penalty, strict=True)
        )
    start, end = streets.start.tolist(), streets.end.tolist()
    leaving = [[link for link in range(streets.links) if start[link] == node] for node in range(streets.nodes)]
    result = [np.inf] * streets.nodes
    result[origin] = 0.0
    done = set()
    queue = [(cost[link], link) for link in leaving[origin]]
    heapq.heapify(queue)
    while queue:
        here, link = heapq.heappop(queue)
        if link in done or here == np.inf:
            continue
        done.add(link)
        result[end[link]] = min(result[end[link]], here)
        if not streets.through[end[link]]:
            continue
        for after in leaving[end[link]]:
            heapq.heappush(queue, (here + penalty.get((link, after), 0.0) + cost[after], after))
    return result
