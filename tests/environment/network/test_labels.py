"""Hub labels say what Dijkstra's algorithm says, to the millisecond."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from street_graphs import network, networks, random_network

from citytwin.environment.network.graph import make_graph
from citytwin.environment.network.labels import NEVER, cost_between, cost_tables, make_labels
from citytwin.environment.network.network import NetworkError, Turns
from citytwin.environment.roads import Access


def milliseconds(seconds):
    """Return ms of each link: rounded, at least 1; None where closed."""
    return [None if np.isinf(cost) else max(round(1000 * float(cost)), 1) for cost in seconds]


def distances(streets, weight, origin):
    """Return ms from a node to every node by Dijkstra's algorithm; NEVER where there is no way."""
    leaving = [[] for _ in range(streets.nodes)]
    for start, end, cost in zip(streets.start.tolist(), streets.end.tolist(), weight, strict=True):
        if cost is not None:
            leaving[start].append((end, cost))
    found = [NEVER] * streets.nodes
    found[origin] = 0
    heap = [(0, origin)]
    while heap:
        here, node = heapq.heappop(heap)
        if here > found[node]:
            continue
        for head, cost in leaving[node]:
            if here + cost < found[head]:
                found[head] = here + cost
                heapq.heappush(heap, (here + cost, head))
    return found


def expected(streets, seconds):
    weight = milliseconds(seconds)
    return np.array([distances(streets, weight, node) for node in range(streets.nodes)])


def check(streets, seconds):
    labels = make_labels(make_graph(streets, Access.CAR), seconds)
    wanted = expected(streets, seconds)
    origins, destinations = np.divmod(np.arange(streets.nodes**2), streets.nodes)
    found = cost_between(labels, origins, destinations).reshape(wanted.shape)
    assert np.array_equal(found, np.where(wanted < NEVER, wanted / 1000.0, np.inf))
    places = np.arange(streets.nodes)[::-2]
    there, back = cost_tables(labels, places)
    assert np.array_equal(there, wanted[:, places])
    assert np.array_equal(back, wanted[places].T)
    return labels, wanted


@st.composite
def streets_with_costs(draw):
    """A network all of whose nodes may be passed, with ties, closed links, nodes without links and one-way links."""
    streets, cost = draw(networks(rules=False, most_nodes=12, most_links=40))
    fraction = draw(st.sampled_from([0.0, 0.0004, 0.0006, 0.1234567]))
    return streets.with_columns(through=np.ones(streets.nodes, bool)), cost + fraction


class TestLabels:
    @settings(max_examples=200)
    @given(streets_with_costs())
    def test_labels_say_what_dijkstra_says(self, case):
        check(*case)

    @pytest.mark.parametrize("seed", range(3))
    def test_larger_random_networks(self, seed):
        streets, cost = random_network(120, 300, seed)
        cost[seed::7] = np.inf
        _, wanted = check(streets, cost)
        assert (wanted == NEVER).any() and (wanted < NEVER).mean() > 0.2

    def test_a_grid_both_ways_with_many_ties(self):
        side = 12
        node = np.arange(side * side).reshape(side, side)
        pairs = np.concatenate(
            [
                np.stack([node[:, :-1].ravel(), node[:, 1:].ravel()], 1),
                np.stack([node[:-1].ravel(), node[1:].ravel()], 1),
            ]
        )
        streets = network(side * side, np.concatenate([pairs, pairs[:, ::-1]]))
        labels, wanted = check(streets, streets.free_time)
        assert wanted.max() == 1000 * 2 * (side - 1)
        assert labels.out_first[-1] < side**4 // 4, "hubs of a grid are far fewer than its pairs of nodes"

    def test_hubs_rise_and_every_node_is_its_own(self):
        streets, cost = random_network(60, 200, 9)
        labels = make_labels(make_graph(streets, Access.CAR), cost)
        for first, hub, price in (
            (labels.out_first, labels.out_hub, labels.out_cost),
            (labels.in_first, labels.in_hub, labels.in_cost),
        ):
            for node in range(60):
                mine = slice(first[node], first[node + 1])
                assert np.all(np.diff(hub[mine]) > 0)
                assert (price[mine] == 0).sum() == 1

    def test_links_for_others_are_not_used(self):
        streets = network(3, [(0, 1), (1, 2), (0, 2)], access=np.array([1, 1, 4], np.uint8))
        labels = make_labels(make_graph(streets, Access(1)), np.ones(3))
        assert cost_between(labels, [0], [2]).tolist() == [2.0]

    def test_columns_cannot_be_written_to(self):
        streets, cost = random_network(10, 30, 2)
        labels = make_labels(make_graph(streets, Access.CAR), cost)
        assert not any(column.flags.writeable for column in labels)


class TestErrors:
    def test_turn_rules_and_nodes_that_nobody_may_pass_are_refused(self):
        turns = Turns(np.array([0], np.int32), np.array([1], np.int32), np.array([5.0]))
        with pytest.raises(NetworkError, match="turn rules"):
            make_labels(make_graph(network(3, [(0, 1), (1, 2)], turns=turns), Access.CAR), np.ones(2))
        shut = network(3, [(0, 1), (1, 2)], through=np.array([True, False, True]))
        with pytest.raises(NetworkError, match="nobody may pass"):
            make_labels(make_graph(shut, Access.CAR), np.ones(2))

    @pytest.mark.parametrize(
        ("cost", "message"),
        [
            ([1.0, -1.0], "link 1: cost is -1"),
            ([np.nan, 1.0], "link 0: cost is nan"),
            ([1.0, 900_000.0], "link 1: takes 900000 s; at most 864,000 s"),
            ([1.0], "must have one value for each of 2 links"),
        ],
    )
    def test_wrong_costs_are_refused(self, cost, message):
        graph = make_graph(network(3, [(0, 1), (1, 2)]), Access.CAR)
        with pytest.raises(NetworkError, match=message):
            make_labels(graph, cost)
