"""The graph that routes are searched in: states and arcs, so that turn rules hold exactly.

A state is what a driver's next choice depends on. At most nodes this is the node alone. Where turns are forbidden or cost
time it is the link that one came by, so such a node has a state for each incoming link and one in which trips begin.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..roads import Access
from .network import Network, NetworkError, Turns

MOST_ARCS = 255
"""Arcs that a state may have: choices among them are kept in a byte, whose last value says that there is no way."""


class Graph(NamedTuple):
    """States and arcs as arrays; none of them may be written to.

    State ``n`` below the number of nodes is the one in which a trip from node ``n`` begins; it is the only one of a node
    without turn rules. The states of incoming links follow.

    Attributes:
        first: int32 (states + 1,) arcs of state ``s`` are rows ``first[s]`` … ``first[s + 1] - 1``, by rising link.
        arc_link: int32 (arcs,) link that is driven.
        arc_head: int32 (arcs,) state in which one then is.
        arc_penalty: float32 (arcs,) seconds that the turn onto the link takes, on top of the link.
        node: int32 (states,) node of each state.
        depart: int32 (nodes,) state in which a trip from a node begins.
        through: bool (states,) whether a trip may pass; where False it may only begin or end.
        end_state: int32 (links,) state at the end of a link, -1 if the link is not in the graph.
    """

    first: NDArray[np.int32]
    arc_link: NDArray[np.int32]
    arc_head: NDArray[np.int32]
    arc_penalty: NDArray[np.float32]
    node: NDArray[np.int32]
    depart: NDArray[np.int32]
    through: NDArray[np.bool_]
    end_state: NDArray[np.int32]

    @property
    def states(self) -> int:
        """Number of states."""
        return len(self.node)

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.depart)


class Reverse(NamedTuple):
    """The arcs of a graph by the state that they lead to; none of the arrays may be written to.

    Attributes:
        first: int32 (states + 1,) arcs into state ``s`` are rows ``first[s]`` … ``first[s + 1] - 1``.
        tail: int32 (arcs,) state that an arc leads from.
        arc: int32 (arcs,) row of the arc in the graph.
        place: uint8 (arcs,) place of the arc among those of its tail.
    """

    first: NDArray[np.int32]
    tail: NDArray[np.int32]
    arc: NDArray[np.int32]
    place: NDArray[np.uint8]


def make_graph(network: Network, access: Access, closed: NDArray[np.bool_] | None = None) -> Graph:
    """Return the graph of the links that somebody may use.

    Turn rules bind all but those on foot.

    Args:
        network: the streets.
        access: who goes; links that any of these may use are in the graph.
        closed: (links,) links left out.

    Raises:
        NetworkError: if turns name links that are not there, do not meet or have a negative penalty; if more links leave
            a node than :data:`MOST_ARCS`.
    """
    usable = network.usable(access)
    if closed is not None:
        if np.shape(closed) != usable.shape:
            raise NetworkError(
                f"closed: has {np.shape(closed)} values, must have one for each of {network.links} links"
            )
        usable &= ~np.asarray(closed, bool)
    links = np.flatnonzero(usable).astype(np.int32)
    start, end = network.start, network.end

    # the links that leave each node
    leaving = links[np.argsort(start[links], kind="stable")]
    out_first = _first(start[leaving], network.nodes)
    most = int(np.diff(out_first).argmax()) if network.nodes else 0
    if network.nodes and out_first[most + 1] - out_first[most] > MOST_ARCS:
        raise NetworkError(
            f"node {most}: {out_first[most + 1] - out_first[most]} links leave it, at most {MOST_ARCS} may; "
            "divide it into several nodes"
        )

    # a state for each link into a node whose turns matter
    rules = _rules(network, usable) if access != Access.FOOT else None
    split = np.zeros(network.nodes, bool)
    if rules is not None:
        split[end[rules.from_link]] = True
    arriving = links[split[end[links]]]
    end_state = np.full(network.links, -1, np.int32)
    end_state[links] = end[links]
    end_state[arriving] = network.nodes + np.arange(len(arriving), dtype=np.int32)
    node = np.concatenate([np.arange(network.nodes, dtype=np.int32), end[arriving].astype(np.int32)])

    # every state has the arcs of its node
    count = np.diff(out_first)[node]
    tail = np.repeat(np.arange(len(node)), count)
    row = np.arange(len(tail)) - np.repeat(np.cumsum(count) - count, count) + out_first[node[tail]]
    arc_link = leaving[row]
    penalty = np.zeros(len(tail))
    if rules is not None:
        turned = np.flatnonzero(tail >= network.nodes)
        turn = arriving[tail[turned] - network.nodes].astype(np.int64) * network.links + arc_link[turned]
        ruled = rules.from_link.astype(np.int64) * network.links + rules.to_link
        order = np.argsort(ruled)
        at = np.minimum(np.searchsorted(ruled, turn, sorter=order), len(ruled) - 1)
        found = ruled[order[at]] == turn
        penalty[turned[found]] = rules.penalty[order[at[found]]]
    kept = np.isfinite(penalty)
    tail, arc_link, penalty = tail[kept], arc_link[kept], penalty[kept]
    return Graph(
        *(
            _read_only(column)
            for column in (
                _first(tail, len(node)),
                arc_link,
                end_state[arc_link],
                penalty.astype(np.float32),
                node,
                np.arange(network.nodes, dtype=np.int32),
                np.asarray(network.through, bool)[node],
                end_state,
            )
        )
    )


def reverse(graph: Graph) -> Reverse:
    """Return the arcs by the state that they lead to, those of a state in the order of the graph."""
    order = np.argsort(graph.arc_head, kind="stable").astype(np.int32)
    count = np.diff(graph.first)
    tail = np.repeat(np.arange(graph.states, dtype=np.int32), count)
    place = (np.arange(len(tail)) - graph.first[tail]).astype(np.uint8)
    columns = (_first(graph.arc_head[order], graph.states), tail[order], order, place[order])
    return Reverse(*(_read_only(column) for column in columns))


def _first(group: NDArray[np.integer], groups: int) -> NDArray[np.int32]:
    """Return the first row of each group, and the end of the last, if rows are sorted by group."""
    return np.concatenate([[0], np.cumsum(np.bincount(group, minlength=groups))]).astype(np.int32)


def _read_only(column: NDArray) -> NDArray:
    column = np.ascontiguousarray(column).view()
    column.flags.writeable = False
    return column


def _rules(network: Network, usable: NDArray[np.bool_]) -> Turns | None:
    """Return the turns between usable links that change anything, None if there are none."""
    turns = network.turns
    if turns is None or not len(turns.from_link):
        return None
    for name, column in (("from_link", turns.from_link), ("to_link", turns.to_link)):
        if column.min() < 0 or column.max() >= network.links:
            wrong = int(np.flatnonzero((column < 0) | (column >= network.links))[0])
            raise NetworkError(f"turn {wrong}: {name} is {column[wrong]}, there are links 0 … {network.links - 1}")
    apart = np.flatnonzero(network.end[turns.from_link] != network.start[turns.to_link])
    if len(apart):
        row = int(apart[0])
        raise NetworkError(
            f"turn {row}: link {turns.from_link[row]} ends at node {network.end[turns.from_link[row]]} but "
            f"link {turns.to_link[row]} begins at node {network.start[turns.to_link[row]]}; they must meet"
        )
    below = np.flatnonzero(~(turns.penalty >= 0))
    if len(below):
        row = int(below[0])
        raise NetworkError(
            f"turn {row}: penalty is {turns.penalty[row]:g} seconds, must be 0 or more (infinite: forbidden)"
        )
    kept = (turns.penalty > 0) & usable[turns.from_link] & usable[turns.to_link]
    if not kept.any():
        return None
    return Turns(turns.from_link[kept], turns.to_link[kept], turns.penalty[kept])
