"""Small networks for tests of traffic."""

import numpy as np

from citytwin.agents.traffic.flow import Flow
from citytwin.environment.network.graph import make_graph
from citytwin.environment.network.network import Network
from citytwin.environment.network.trees import next_arcs
from citytwin.environment.roads import Access


def network(arcs, length, capacity, *, speed=20.0, lanes=1.0, **more):
    """Return a network of ``(start, end)`` arcs; numbers hold for all links."""
    start, end = np.array(arcs, np.int32).T
    links, nodes = len(arcs), int(max(start.max(), end.max())) + 1
    columns = {
        name: np.broadcast_to(np.asarray(value, float), links).copy()
        for name, value in {"length": length, "capacity": capacity, "speed": speed, "lanes": lanes}.items()
    }
    return Network(
        x=np.zeros(nodes),
        y=np.zeros(nodes),
        start=start,
        end=end,
        access=np.full(links, Access.CAR, np.uint8),
        rank=np.zeros(links, np.uint8),
        way=np.arange(links),
        through=np.ones(nodes, bool),
        **columns,
        **more,
    )


class Run:
    """A flow whose vehicles take the quickest way at free speed.

    Args:
        streets: the network.
        trips: (departure, origin, destination) of each.
        more: arguments of Flow.
    """

    def __init__(self, streets, trips, **more):
        self.network, self.graph = streets, make_graph(streets, Access.CAR)
        columns = np.array(sorted(trips), float).reshape(-1, 3)
        self.planned = columns[:, 0]
        ends, row = np.unique(columns[:, 2].astype(np.int32), return_inverse=True)
        self.tables = next_arcs(self.graph, streets.free_time, ends)
        arguments = {"jam_spacing": 5.0, "wave": 5.0} | more  # the diagram of the cases with known answers
        self.flow = Flow(
            streets,
            self.graph,
            depart=self.planned,
            origin=columns[:, 1].astype(np.int32),
            destination=row.astype(np.int32),
            destination_node=ends,
            logged=np.ones(len(columns), bool),
            **arguments,
        )
        self.passages = [np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0)]

    def until(self, seconds):
        """Move to a moment and keep the passages."""
        for part in self.flow.advance(seconds, self.tables):
            self.passages = [np.concatenate(pair) for pair in zip(self.passages, part, strict=True)]
        self.flow.balance()
        return self

    def entries(self, link):
        """Return when vehicles entered a link."""
        return self.passages[2][self.passages[1] == link]

    @property
    def seconds(self):
        """Travel time of each trip, from its planned departure."""
        return self.flow.arrive - self.planned
