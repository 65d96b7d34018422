"""Trees of cheapest ways equal those of scipy and of a search over links in plain Python."""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from street_graphs import costs_by_links, network, networks, random_network

from citytwin.environment.network.graph import make_graph
from citytwin.environment.network.hierarchy import make_hierarchy
from citytwin.environment.network.network import NetworkError, Turns
from citytwin.environment.network.tntp import read_network
from citytwin.environment.network.trees import MANY, NO_ARC, costs_from, next_arcs, tree_costs, trees
from citytwin.environment.roads import Access


def scipy_costs(streets, cost):
    """Costs between all nodes: (origins, destinations)."""
    cheapest = {}
    for a, b, c in zip(streets.start.tolist(), streets.end.tolist(), cost.tolist(), strict=True):
        cheapest[a, b] = min(c, cheapest.get((a, b), np.inf))
    rows, columns = zip(*cheapest, strict=True)
    matrix = csr_matrix((list(cheapest.values()), (rows, columns)), shape=(streets.nodes, streets.nodes))
    return dijkstra(matrix)


def walk(graph, cost, choice, origin, destination):
    """Follow next arcs; return links and cost, summed from the end as trees do."""
    state, links, weights = graph.depart[origin], [], []
    while graph.node[state] != destination:
        assert choice[state] != NO_ARC
        arc = graph.first[state] + choice[state]
        assert arc < graph.first[state + 1]
        links.append(int(graph.arc_link[arc]))
        weights.append(cost[graph.arc_link[arc]] + graph.arc_penalty[arc])
        state = graph.arc_head[arc]
        assert len(links) <= graph.states, "goes in circles"
    total = 0.0
    for weight in reversed(weights):
        total = weight + total
    return links, total


class TestAgainstScipy:
    @pytest.mark.parametrize(("nodes", "links"), [(30, 60), (300, 1000), (300, 320)])
    def test_costs_of_random_networks(self, nodes, links):
        streets, cost = random_network(nodes, links, nodes + links)
        graph = make_graph(streets, Access.CAR)
        expected = scipy_costs(streets, cost)
        ends = np.arange(nodes)
        np.testing.assert_allclose(tree_costs(graph, cost, ends), expected.T, rtol=1e-6)
        np.testing.assert_allclose(costs_from(graph, cost, ends), expected, rtol=1e-6)

    def test_one_hierarchy_serves_all_costs(self):
        streets, cost = random_network(300, 1000, 8)
        graph = make_graph(streets, Access.CAR)
        hierarchy = make_hierarchy(graph)
        for costs in (cost, cost[::-1], np.where(cost < 40, np.inf, cost)):
            found = tree_costs(graph, costs, np.arange(300), 1, hierarchy)
            np.testing.assert_allclose(found, scipy_costs(streets, costs).T, rtol=1e-6)

    def test_a_limit_leaves_out_what_costs_more(self):
        streets, cost = random_network(200, 700, 5)
        graph = make_graph(streets, Access.CAR)
        expected = scipy_costs(streets, cost)
        limit = float(np.median(expected[np.isfinite(expected)]))
        expected[expected > limit] = np.inf
        np.testing.assert_allclose(costs_from(graph, cost, np.arange(200), limit), expected, rtol=1e-6)


class TestAgainstSearchOverLinks:
    @settings(max_examples=200)
    @given(networks())
    def test_costs_and_ways(self, case):
        streets, cost = case
        graph = make_graph(streets, Access.CAR)
        nodes = np.arange(streets.nodes)
        expected = np.array([costs_by_links(streets, cost, origin) for origin in nodes])
        choice, costs = trees(graph, cost, nodes)
        np.testing.assert_allclose(costs[:, : streets.nodes], expected.T, rtol=1e-6, atol=1e-8)
        np.testing.assert_array_equal(costs_from(graph, cost, nodes), expected)
        assert np.array_equal(choice == NO_ARC, np.isinf(costs))
        forbidden = set()
        if streets.turns is not None:
            rules = zip(streets.turns.from_link, streets.turns.to_link, streets.turns.penalty, strict=True)
            forbidden = {(a, b) for a, b, penalty in rules if penalty == np.inf}
        for destination in nodes:
            for origin in np.flatnonzero(np.isfinite(expected[:, destination])):
                links, total = walk(graph, cost, choice[destination], origin, destination)
                assert total == pytest.approx(expected[origin, destination])
                assert np.isfinite(cost[links]).all()
                assert streets.through[streets.end[links[:-1]]].all()
                assert not forbidden & set(pairwise(links))

    @settings(max_examples=100)
    @given(networks())
    def test_the_smallest_arc_of_equal_ways_is_taken(self, case):
        streets, cost = case
        cost = np.maximum(cost, 1.0)
        graph = make_graph(streets, Access.CAR)
        nodes = np.arange(streets.nodes)
        choice, costs = trees(graph, cost, nodes)
        for destination in nodes:
            for state in range(graph.states):
                if graph.node[state] == destination:
                    assert choice[destination, state] == 0
                    continue
                ways = []
                for arc in range(graph.first[state], graph.first[state + 1]):
                    head = graph.arc_head[arc]
                    passed = graph.through[head] or graph.node[head] == destination
                    total = cost[graph.arc_link[arc]] + graph.arc_penalty[arc] + costs[destination, head]
                    ways.append(total if passed else np.inf)
                best = int(np.argmin(ways)) if ways and min(ways) < np.inf else NO_ARC
                assert choice[destination, state] == best

    @settings(max_examples=300)
    @given(networks(most_nodes=14, most_links=50))
    def test_a_hierarchy_gives_the_same_bytes(self, case):
        streets, cost = case
        graph = make_graph(streets, Access.CAR)
        nodes = np.arange(streets.nodes)
        one = trees(graph, cost, nodes)
        hierarchy = make_hierarchy(graph)
        for times in (1, MANY // streets.nodes + 1):
            many = trees(graph, cost, np.tile(nodes, times), hierarchy=hierarchy)
            assert np.array_equal(np.tile(one[1], (times, 1)), many[1])
            assert np.array_equal(np.tile(one[0], (times, 1)), many[0])

    @settings(max_examples=50)
    @given(networks())
    def test_closing_links_equals_infinite_cost(self, case):
        streets, cost = case
        nodes = np.arange(streets.nodes)
        shut = make_graph(streets, Access.CAR, np.isinf(cost))
        graph = make_graph(streets, Access.CAR)
        expected = costs_from(graph, cost, nodes)
        assert np.array_equal(costs_from(shut, np.where(np.isinf(cost), 0, cost), nodes), expected)


@pytest.mark.skipif("CITYTWIN_DATA" not in os.environ, reason="CITYTWIN_DATA is unset; see tests/DATA.md")
def test_barcelona_has_zones_that_nobody_passes():
    file = Path(os.environ["CITYTWIN_DATA"]) / "tntp_networks" / "Barcelona" / "Barcelona_net.tntp"
    streets = read_network(file).network(metre=1.0)
    assert not streets.through.all()
    graph = make_graph(streets, Access.CAR)
    choice, costs = trees(graph, streets.free_time, np.arange(streets.nodes))
    alone = [trees(graph, streets.free_time, [destination]) for destination in range(0, streets.nodes, 7)]
    assert np.array_equal(np.concatenate([one for one, _ in alone]), choice[::7])
    assert np.array_equal(np.concatenate([one for _, one in alone]), costs[::7])
    for origin in (0, 57, 300, 1000):
        expected = costs_by_links(streets, streets.free_time, origin)
        np.testing.assert_allclose(costs[:, origin], expected, rtol=1e-6)


class TestRules:
    def test_a_symmetric_network_has_symmetric_costs(self):
        streets, cost = random_network(60, 150, 3)
        both = network(
            60, [*zip(streets.start, streets.end, strict=True), *zip(streets.end, streets.start, strict=True)]
        )
        graph = make_graph(both, Access.CAR)
        costs = costs_from(graph, np.tile(np.round(cost), 2), np.arange(60))
        assert np.array_equal(costs, costs.T)

    def test_a_forbidden_turn_makes_a_way_around(self):
        # 0 → 1 → 2 is forbidden at 1; around by 3 it costs 2 more and comes to 1 on another link
        pairs = [(0, 1), (1, 2), (1, 3), (3, 1)]
        rule = Turns(np.array([0], np.int32), np.array([1], np.int32), np.array([np.inf]))
        graph = make_graph(network(4, pairs, turns=rule), Access.CAR)
        choice, costs = trees(graph, np.ones(4), [2])
        assert costs[0, 0] == 4
        assert walk(graph, np.ones(4), choice[0], 0, 2)[0] == [0, 2, 3, 1]
        assert walk(graph, np.ones(4), choice[0], 1, 2)[0] == [1]

    def test_zones_are_not_passed_but_begin_and_end_trips(self):
        pairs = [(0, 1), (1, 2), (0, 3), (3, 2)]
        through = np.array([True, False, True, True])
        graph = make_graph(network(4, pairs, through=through), Access.CAR)
        cost = np.array([1.0, 1.0, 5.0, 5.0])
        assert costs_from(graph, cost, [0, 1]).tolist() == [[0, 1, 10, 5], [np.inf, 0, 1, np.inf]]


class TestThreads:
    def test_any_number_gives_the_same_bytes(self):
        streets, cost = random_network(400, 1300, 11)
        graph = make_graph(streets, Access.CAR)
        ends = np.random.default_rng(0).integers(0, 400, 101)
        one = trees(graph, cost, ends)
        few = [trees(graph, cost, ends[k : k + 30]) for k in range(0, 101, 30)]
        assert one[0].tobytes() == b"".join(part[0].tobytes() for part in few)
        ways = costs_from(graph, cost, ends)
        for threads in (2, 4, 7):
            many = trees(graph, cost, ends, threads)
            assert one[0].tobytes() == many[0].tobytes()
            assert one[1].tobytes() == many[1].tobytes()
            assert costs_from(graph, cost, ends, threads=threads).tobytes() == ways.tobytes()

    def test_no_destinations(self):
        graph = make_graph(network(3, [(0, 1)]), Access.CAR)
        assert next_arcs(graph, [1.0], [], 4).shape == (0, 3)


class TestErrors:
    def test_costs_are_not_negative(self):
        graph = make_graph(network(3, [(0, 1), (1, 2)]), Access.CAR)
        with pytest.raises(NetworkError, match="link 1: cost is -1, must be 0 or more"):
            next_arcs(graph, [1.0, -1.0], [0])
        with pytest.raises(NetworkError, match="link 0: cost is nan"):
            costs_from(graph, [np.nan, 1.0], [0])
        with pytest.raises(NetworkError, match="one value for each of 2 links"):
            next_arcs(graph, [1.0], [0])

    def test_destinations_are_nodes(self):
        graph = make_graph(network(3, [(0, 1), (1, 2)]), Access.CAR)
        with pytest.raises(NetworkError, match="destinations: 3 is not a node, there are 0 … 2"):
            next_arcs(graph, np.ones(2), [0, 3])
        with pytest.raises(NetworkError, match="origins: must be a list of node numbers"):
            costs_from(graph, np.ones(2), [0.5])
