"""States and arcs hold turn rules, closures and access."""

import numpy as np
import pytest
from street_graphs import network

from citytwin.environment.network.graph import MOST_ARCS, make_graph, reverse
from citytwin.environment.network.network import NetworkError, Turns
from citytwin.environment.roads import Access

CROSS = [(0, 1), (1, 2), (1, 3), (3, 1), (2, 1)]
"""Links into and out of node 1 from nodes 0, 2 and 3."""


def turns(*rows):
    begin, end, penalty = zip(*rows, strict=True)
    return Turns(np.array(begin, np.int32), np.array(end, np.int32), np.array(penalty, float))


def arcs(graph, state):
    """Link, node arrived at and penalty of each arc of a state."""
    rows = slice(graph.first[state], graph.first[state + 1])
    return list(
        zip(
            graph.arc_link[rows].tolist(),
            graph.node[graph.arc_head[rows]].tolist(),
            graph.arc_penalty[rows].tolist(),
            strict=True,
        )
    )


class TestStates:
    def test_without_turn_rules_states_are_nodes(self):
        graph = make_graph(network(4, CROSS), Access.CAR)
        assert graph.states == graph.nodes == 4
        assert graph.node.tolist() == graph.depart.tolist() == [0, 1, 2, 3]
        assert graph.end_state.tolist() == [1, 2, 3, 1, 1]
        assert arcs(graph, 1) == [(1, 2, 0), (2, 3, 0)]
        assert arcs(graph, 0) == [(0, 1, 0)]

    def test_a_node_with_turn_rules_has_a_state_for_each_incoming_link(self):
        graph = make_graph(network(4, CROSS, turns=turns((0, 2, np.inf), (3, 1, 20.0))), Access.CAR)
        assert graph.states == 7
        assert graph.node[4:].tolist() == [1, 1, 1]
        assert graph.end_state.tolist() == [4, 2, 3, 5, 6]
        assert arcs(graph, graph.depart[1]) == [(1, 2, 0), (2, 3, 0)]
        assert arcs(graph, 4) == [(1, 2, 0)]
        assert arcs(graph, 5) == [(1, 2, 20), (2, 3, 0)]
        assert arcs(graph, 6) == [(1, 2, 0), (2, 3, 0)]

    def test_rules_without_effect_split_nothing(self):
        streets = network(4, CROSS, turns=turns((0, 2, 0.0)))
        assert make_graph(streets, Access.CAR).states == 4
        streets = network(4, CROSS, turns=turns((0, 2, np.inf)))
        assert make_graph(streets, Access.CAR, np.arange(5) == 0).states == 4
        assert make_graph(streets, Access.FOOT).states == 4
        assert make_graph(streets, Access.CAR).states == 7

    def test_states_of_zones_are_not_passed(self):
        through = np.array([True, False, True, True])
        graph = make_graph(network(4, CROSS, through=through, turns=turns((0, 2, np.inf))), Access.CAR)
        assert graph.through.tolist() == [True, False, True, True, False, False, False]


class TestLinks:
    def test_links_of_others_and_closed_links_are_left_out(self):
        access = np.array([1, 2, 3, 4, 1], np.uint8)
        streets = network(4, CROSS, access=access)
        assert sorted(make_graph(streets, Access.CAR).arc_link) == [0, 2, 4]
        assert sorted(make_graph(streets, Access.CAR | Access.FOOT).arc_link) == [0, 2, 3, 4]
        graph = make_graph(streets, Access.CAR, np.arange(5) == 2)
        assert sorted(graph.arc_link) == [0, 4]
        assert graph.end_state.tolist() == [1, -1, -1, -1, 1]

    def test_no_links_at_all(self):
        graph = make_graph(network(3, []), Access.CAR)
        assert graph.first.tolist() == [0, 0, 0, 0]

    def test_arrays_cannot_be_written_to(self):
        graph = make_graph(network(4, CROSS), Access.CAR)
        assert not any(column.flags.writeable for column in (*graph, *reverse(graph)))


class TestReverse:
    def test_each_arc_stands_at_its_head(self):
        graph = make_graph(network(4, CROSS, turns=turns((0, 2, np.inf), (3, 1, 20.0))), Access.CAR)
        back = reverse(graph)
        tail = np.repeat(np.arange(graph.states), np.diff(graph.first))
        found = []
        for state in range(graph.states):
            for row in range(back.first[state], back.first[state + 1]):
                arc = back.arc[row]
                assert graph.arc_head[arc] == state
                assert tail[arc] == back.tail[row]
                assert graph.first[back.tail[row]] + back.place[row] == arc
                found.append(arc)
        assert sorted(found) == list(range(len(tail)))


class TestErrors:
    def test_turns_must_join_links_that_meet(self):
        with pytest.raises(NetworkError, match=r"turn 1: link 1 ends at node 2 but link 0 begins at node 0"):
            make_graph(network(4, CROSS, turns=turns((0, 2, 1.0), (1, 0, 1.0))), Access.CAR)

    def test_turns_must_name_links(self):
        with pytest.raises(NetworkError, match=r"turn 0: to_link is 5, there are links 0 … 4"):
            make_graph(network(4, CROSS, turns=turns((0, 5, 1.0))), Access.CAR)

    @pytest.mark.parametrize("penalty", [-1.0, np.nan])
    def test_penalties_are_not_negative(self, penalty):
        with pytest.raises(NetworkError, match=r"turn 0: penalty is"):
            make_graph(network(4, CROSS, turns=turns((0, 2, penalty))), Access.CAR)

    def test_closed_has_a_value_for_each_link(self):
        with pytest.raises(NetworkError, match=r"closed: has \(2,\) values"):
            make_graph(network(4, CROSS), Access.CAR, np.zeros(2, bool))

    def test_the_choice_at_a_state_fits_into_a_byte(self):
        star = [(0, 1 + k) for k in range(MOST_ARCS + 1)]
        assert make_graph(network(300, star[:-1]), Access.CAR).first[1] == MOST_ARCS
        with pytest.raises(NetworkError, match="node 0: 256 links leave it, at most 255 may"):
            make_graph(network(300, star), Access.CAR)
