"""Ways between pairs of nodes are ways, obey all rules and cost what trees say."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from street_graphs import network, networks, random_network

from citytwin.environment.network.graph import make_graph
from citytwin.environment.network.hierarchy import make_hierarchy
from citytwin.environment.network.network import NetworkError, Turns
from citytwin.environment.network.search import paths
from citytwin.environment.network.trees import MANY, costs_from
from citytwin.environment.roads import Access


def all_pairs(nodes):
    origins, destinations = np.divmod(np.arange(nodes * nodes), nodes)
    return origins, destinations


def check_ways(streets, cost, first, link, pairs, costs):
    """Each way joins its pair, obeys the rules of the network and costs what it should."""
    penalty = {}
    if streets.turns is not None:
        rules = zip(streets.turns.from_link, streets.turns.to_link, streets.turns.penalty, strict=True)
        penalty = {(int(a), int(b)): float(c) for a, b, c in rules}
    for row, (origin, destination) in enumerate(zip(*pairs, strict=True)):
        way = link[first[row] : first[row + 1]].tolist()
        if origin == destination or np.isinf(costs[row]):
            assert way == []
            continue
        assert streets.start[way[0]] == origin
        assert streets.end[way[-1]] == destination
        assert np.array_equal(streets.end[way[:-1]], streets.start[way[1:]])
        assert streets.through[streets.end[way[:-1]]].all()
        total = cost[way].sum() + sum(penalty.get(turn, 0.0) for turn in pairwise(way))
        assert total == pytest.approx(costs[row], rel=1e-6, abs=1e-8)


class TestWays:
    @settings(max_examples=200)
    @given(networks(most_nodes=12, most_links=45))
    def test_ways_are_those_of_trees(self, case):
        streets, cost = case
        graph = make_graph(streets, Access.CAR)
        pairs = all_pairs(streets.nodes)
        expected = costs_from(graph, cost, np.arange(streets.nodes)).ravel()
        first, link = paths(graph, cost, *pairs)
        check_ways(streets, cost, first, link, pairs, expected)

    def test_ways_in_a_large_network(self):
        streets, cost = random_network(2000, 5000, 4)
        graph = make_graph(streets, Access.CAR)
        pairs = np.random.default_rng(1).integers(0, 2000, (2, 300))
        expected = costs_from(graph, cost, pairs[0])[np.arange(300), pairs[1]]
        first, link = paths(graph, cost, *pairs)
        assert np.isfinite(expected).any() and np.isinf(expected).any()
        check_ways(streets, cost, first, link, pairs, expected)

    def test_a_long_line_is_unpacked(self):
        nodes = 3000
        line = network(nodes, [(k, k + 1) for k in range(nodes - 1)])
        graph = make_graph(line, Access.CAR)
        first, link = paths(graph, line.free_time, [0, 5, 9], [nodes - 1, 5, 3])
        assert first.tolist() == [0, nodes - 1, nodes - 1, nodes - 1]
        assert np.array_equal(link, np.arange(nodes - 1))

    def test_a_forbidden_turn_is_gone_around(self):
        pairs = [(0, 1), (1, 2), (1, 3), (3, 1)]
        rule = Turns(np.array([0], np.int32), np.array([1], np.int32), np.array([np.inf]))
        graph = make_graph(network(4, pairs, turns=rule), Access.CAR)
        assert paths(graph, np.ones(4), [0], [2])[1].tolist() == [0, 2, 3, 1]

    def test_a_link_between_zones_is_a_way(self):
        through = np.array([False, False, True])
        graph = make_graph(network(3, [(0, 1), (0, 2), (2, 1)], through=through), Access.CAR)
        assert paths(graph, [1.0, 3.0, 3.0], [0], [1])[1].tolist() == [0]
        assert paths(graph, [9.0, 3.0, 3.0], [0], [1])[1].tolist() == [1, 2]


class TestSameness:
    def test_any_number_of_threads_and_a_kept_hierarchy_give_the_same_bytes(self):
        streets, cost = random_network(400, 1300, 11)
        graph = make_graph(streets, Access.CAR)
        hierarchy = make_hierarchy(graph)
        pairs = np.random.default_rng(2).integers(0, 400, (2, 1001))
        one = paths(graph, np.round(cost / 30), *pairs)
        for threads in (1, 2, 4, 7):
            many = paths(graph, np.round(cost / 30), *pairs, threads=threads, hierarchy=hierarchy)
            assert one[0].tobytes() == many[0].tobytes()
            assert one[1].tobytes() == many[1].tobytes()

    def test_a_way_does_not_depend_on_the_other_pairs(self):
        streets, cost = random_network(100, 400, 12)
        graph = make_graph(streets, Access.CAR)
        pairs = np.random.default_rng(3).integers(0, 100, (2, 50))
        first, link = paths(graph, np.round(cost / 30), *pairs)
        many = paths(graph, np.round(cost / 30), *np.tile(pairs, MANY // 50 + 1))
        assert np.array_equal(many[0][:51], first)
        assert np.array_equal(many[1][: first[-1]], link)
        for row in range(50):
            alone = paths(graph, np.round(cost / 30), pairs[0, row : row + 1], pairs[1, row : row + 1])[1]
            assert np.array_equal(alone, link[first[row] : first[row + 1]])


class TestInput:
    def test_no_pairs(self):
        graph = make_graph(network(3, [(0, 1)]), Access.CAR)
        first, link = paths(graph, [1.0], [], [])
        assert (first.tolist(), link.tolist()) == ([0], [])

    def test_nodes_form_pairs(self):
        graph = make_graph(network(3, [(0, 1)]), Access.CAR)
        with pytest.raises(NetworkError, match="2 origins and 1 destinations"):
            paths(graph, [1.0], [0, 1], [1])
        with pytest.raises(NetworkError, match="destinations: 7 is not a node"):
            paths(graph, [1.0], [0], [7])
