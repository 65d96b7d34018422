"""How long units travel: streets under their present state, for each way of driving."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...environment.network.graph import Graph, make_graph
from ...environment.network.hierarchy import Hierarchy, make_hierarchy
from ...environment.network.labels import Labels, cost_tables, make_labels
from ...environment.network.network import Network
from ...environment.roads import Access
from .board import Roads
from .driving import jumps, next_arcs


class Travel:
    """The graph that emergency vehicles drive on, which travel tables are made of whenever times change.

    Emergency vehicles use whatever cars or buses may use, so bus lanes and filters too. They turn where they want and do
    not stop at signals; what signals and queues cost them is part of the seconds that are given for links.

    Args:
        network: the streets.
        places: (places,) nodes of the stations and then of the hospitals.

    Attributes:
        known: where the same streets come again and again, as in many runs with the traffic of one day: labels by the
            seconds that they were made of, which travel on the same network may share. None where they do not.
    """

    not_saved = ("known", "_made")

    known: dict[bytes, Labels] | None = None

    def __init__(self, network: Network, places: ArrayLike):
        self.graph: Graph = make_graph(network.with_columns(turns=None), Access.CAR | Access.BUS)
        self.places = np.ascontiguousarray(places, np.int32)
        self._hierarchy: Hierarchy = make_hierarchy(self.graph)
        self._made: dict[bytes, Roads] = {}

    def roads(self, seconds: Sequence[ArrayLike]) -> Roads:
        """Return the tables of travel.

        Args:
            seconds: for each mode (links,) seconds that links take; infinite where closed.

        Raises:
            NetworkError: as :func:`~citytwin.environment.network.labels.make_labels`.
        """
        if self.known is None:
            return self._tables([make_labels(self.graph, cost, self._hierarchy) for cost in seconds])
        keys = [blake2b(np.ascontiguousarray(cost, float).tobytes()).digest() for cost in seconds]
        whole = b"".join(keys)
        if whole not in self._made:
            for key, cost in zip(keys, seconds, strict=True):
                if key not in self.known:
                    self.known[key] = make_labels(self.graph, cost, self._hierarchy)
            self._made[whole] = self._tables([self.known[key] for key in keys])
        return self._made[whole]

    def _tables(self, made: list[Labels]) -> Roads:
        tables = [cost_tables(labels, self.places) for labels in made]
        out_first, out_hub, out_cost = _joined(made, 1)
        in_first, in_hub, in_cost = _joined(made, 4)
        first, head = self.graph.first, self.graph.arc_head
        arcs = [next_arcs(first, head, labels.weight, there) for labels, (there, _) in zip(made, tables, strict=True)]
        return Roads(
            first,
            head,
            np.stack([labels.weight for labels in made]),
            out_first,
            out_hub,
            out_cost,
            in_first,
            in_hub,
            in_cost,
            np.stack([there for there, _ in tables]),
            np.stack([back for _, back in tables]),
            np.stack(arcs),
            np.stack([jumps(first, head, onward) for onward in arcs]),
            self.places,
        )


def _joined(made: Sequence[tuple[NDArray[np.int32], ...]], column: int) -> tuple[NDArray[np.int32], ...]:
    """Return labels of several modes one after the other, and where those of each mode and node begin."""
    sizes = np.cumsum([0, *(len(labels[column + 1]) for labels in made)])
    firsts = [labels[column] + offset for labels, offset in zip(made, sizes, strict=False)]
    return (
        np.stack(firsts).astype(np.int32),
        np.concatenate([labels[column + 1] for labels in made]),
        np.concatenate([labels[column + 2] for labels in made]),
    )
