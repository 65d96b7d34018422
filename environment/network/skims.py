"""Travel times and distances between all parts of a city, kept as tables for quick look-up."""

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ..roads import Access
from .graph import Graph, make_graph
from .hierarchy import Hierarchy, make_hierarchy
from .network import Network, NetworkError
from .trees import checked_nodes, in_ranges, trees

MOST_POINTS = 4096
"""Points that tables are made between by default: 67 MB a table."""

SPEEDS = {
    Access.FOOT: 4.5 / 3.6,  # m/s, the speed that UITP's guidance on the spacing of stops assumes
    Access.BICYCLE: 15 / 3.6,  # m/s, assumed
}
"""Speed of those whom traffic does not hold up, on all links that they may use, m/s; of cyclists where they have no lane."""

LANE_SPEED = 18 / 3.6
"""Speed of cyclists on a bicycle lane, m/s; assumed. Those tracked in Hamburg ride at medians of 15.0 to 21.7 km/h by what
is built for them (Schuhmacher, Wilkes, Kagerbauer & Vortisch 2025, Findings, doi 10.32866/001c.141204). A lane is worth more
than its speed: in Portland a kilometre without one beside 10,000 to 20,000 vehicles a day counts as 1.37 km of quiet street
(Broach, Dill & Gliebe 2012)."""

_NEAR, _FAR = 0.5, 2.0
"""Bounds on the ratio of two nodes' distance to that of their points; assumed, they hold off what close points would do."""


def own_seconds(network: Network, access: Access) -> NDArray[np.float64]:
    """Return the seconds that links take on foot or by bicycle, (links,): faster on bicycle lanes, nowhere slower.

    Args:
        network: the streets.
        access: ``FOOT`` or ``BICYCLE``.
    """
    lane = _lanes(network, access)
    return network.length / (SPEEDS[access] if lane is None else np.where(lane, LANE_SPEED, SPEEDS[access]))


def _lanes(network: Network, access: Access) -> NDArray[np.bool_] | None:
    """Return which links have a lane for those who go, (links,); None if none has."""
    lane = network.bike_lane if access == Access.BICYCLE else None
    return lane if lane is not None and lane.any() else None


class Skims:
    """Travel time and distance on foot, by bicycle and by car.

    Tables are made when they are first asked for. In networks of more nodes than ``most_points``, nodes share the table
    row of a point close by; what the table says is then scaled by the distance of the nodes to that of the points as the
    crow flies.

    Args:
        network: the streets.
        seconds: (links,) time that links take by car, free-flow time if None; infinite where a link is closed.
        most_points: nodes up to which each node has its own row; the number of points beyond.
        threads: threads for making tables; their values do not depend on it.

    Attributes:
        point: int32 (nodes,) point of each node, -1 where no street leads to one.
        centre: int32 (points,) node at which each point is.
    """

    not_saved = ("_graphs", "_tables")  # made when they are asked for

    def __init__(
        self, network: Network, seconds: ArrayLike | None = None, *, most_points: int = MOST_POINTS, threads: int = 1
    ):
        self.network = network
        self._seconds = network.free_time if seconds is None else np.asarray(seconds, float)
        self._threads = threads
        self._graphs: dict[Access, tuple[Graph, Hierarchy]] = {}
        self._tables: dict[Access, _Tables] = {}
        if network.nodes <= most_points:
            self.centre = self.point = np.arange(network.nodes, dtype=np.int32)
        else:
            self.centre, self.point = self._points(most_points)

    def with_seconds(self, seconds: ArrayLike) -> "Skims":
        """Return skims for other travel times of cars, (links,); all that does not depend on them is shared."""
        other = object.__new__(Skims)
        other.__dict__.update(self.__dict__)
        other._seconds = np.asarray(seconds, float)
        other._tables = {access: tables for access, tables in self._tables.items() if access in SPEEDS}
        return other

    def between(
        self, access: Access, origins: ArrayLike, destinations: ArrayLike
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return seconds and metres of the quickest way from each origin to the destination beside it.

        Args:
            access: who goes; ``FOOT`` and ``BICYCLE`` as :func:`own_seconds` says, all others at the times of cars.
            origins, destinations: (n,) nodes.

        Returns:
            seconds, metres: float32 (n,), 0 where both nodes are one, infinite where there is no way.

        Raises:
            NetworkError: if a node is not in the network, or there are more origins than destinations or fewer.
        """
        graph, _ = self._graph(access)
        begins, ends = checked_nodes(graph, origins, "origins"), checked_nodes(graph, destinations, "destinations")
        if len(begins) != len(ends):
            raise NetworkError(f"there are {len(begins)} origins and {len(ends)} destinations; they must form pairs")
        if access not in self._tables:
            self._tables[access] = self._make(access)
        tables = self._tables[access]
        a, b = self.point[begins], self.point[ends]
        metres = tables.metres[b, a]
        speed = self._one_speed(access)
        seconds = metres / np.float32(speed) if speed else tables.seconds[b, a]
        if len(self.centre) < self.network.nodes:
            crow, between = self._crow(begins, ends), self._crow(self.centre[a], self.centre[b])
            scale = np.clip(crow / np.maximum(between, 1e-6), _NEAR, _FAR).astype(np.float32)
            together = (a == b) & np.isfinite(metres)
            walked = (crow * tables.detour).astype(np.float32)
            seconds = np.where(together, walked / np.float32(tables.speed), seconds * scale)
            metres = np.where(together, walked, metres * scale)
            nowhere = (a < 0) | (b < 0)
            seconds[nowhere], metres[nowhere] = np.inf, np.inf
            seconds[begins == ends], metres[begins == ends] = 0.0, 0.0
        return seconds, metres

    def _crow(self, a: NDArray[np.int32], b: NDArray[np.int32]) -> NDArray[np.float64]:
        x, y = self.network.x, self.network.y
        return np.hypot(x[a] - x[b], y[a] - y[b])

    def _graph(self, access: Access) -> tuple[Graph, Hierarchy]:
        if access not in self._graphs:
            graph = make_graph(self.network, access)
            self._graphs[access] = graph, make_hierarchy(graph)
        return self._graphs[access]

    def _points(self, number: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return nodes spread over the network as points, and the point that each node is closest to along streets."""
        from scipy.sparse import csr_matrix  # slow to import
        from scipy.sparse.csgraph import dijkstra

        network = self.network
        if not (np.ptp(network.x) or np.ptp(network.y)):
            raise NetworkError(
                f"the {network.nodes} nodes of the network have no coordinates to tell those that are close; "
                f"give most_points={network.nodes} for a row of each node"
            )
        # where all can go, if there is such a place
        anyone = network.main_part(Access.CAR) & network.through
        both = anyone & network.main_part(Access.FOOT)
        candidates = np.flatnonzero(both if both.any() else anyone if anyone.any() else np.ones(network.nodes, bool))
        # neighbours in the order of a hierarchy are neighbours in the streets
        candidates = candidates[np.argsort(self._graph(Access.CAR)[1].rank[candidates])]
        number = min(number, len(candidates))
        centre = np.sort(candidates[(np.arange(number) * len(candidates)) // number]).astype(np.int32)
        ends = np.sort(np.column_stack([network.start, network.end]), axis=1)
        order = np.lexsort((network.length, ends[:, 1], ends[:, 0]))
        kept = order[
            np.r_[True, (np.diff(ends[order], axis=0) != 0).any(axis=1)]
        ]  # the shortest of those between two nodes
        streets = csr_matrix((network.length[kept], tuple(ends[kept].T)), shape=(network.nodes, network.nodes))
        _, _, source = dijkstra(streets, directed=False, indices=centre, min_only=True, return_predecessors=True)
        found = source >= 0
        point = np.full(network.nodes, -1, np.int32)
        point[found] = np.searchsorted(centre, source[found])
        return centre, point

    def _one_speed(self, access: Access) -> float | None:
        """Return the speed of those who have the same everywhere, None for others."""
        return SPEEDS.get(access) if _lanes(self.network, access) is None else None

    def _make(self, access: Access) -> "_Tables":
        graph, hierarchy = self._graph(access)
        speed = self._one_speed(access)
        cost = own_seconds(self.network, access) if access in SPEEDS else self._seconds
        points = len(self.centre)
        metres = np.empty((points, points), np.float32)
        seconds = np.empty((0 if speed else points, points), np.float32)
        rows = max(256, (1 << 22) // max(graph.states, 1))  # parts of 16 MB, whose memory is used again
        for begin in range(0, points, rows):
            part = slice(begin, begin + rows)
            choice, costs = trees(graph, cost, self.centre[part], self._threads, hierarchy)
            if access not in SPEEDS:
                seconds[part] = costs[:, self.centre]
            elif not speed:  # without what turns take, as where one speed holds
                _along_all(graph, choice, cost, self.centre, part, seconds, self._threads)
            _along_all(graph, choice, self.network.length, self.centre, part, metres, self._threads)
        tables = _Tables(seconds, metres)
        if points < self.network.nodes:
            tables.measure(self, speed)
        return tables


class _Tables:
    """Seconds, by destination and origin, and metres; what a short way is like.

    Attributes:
        seconds: float32 (points, points), or (0, points) where speed is the same everywhere.
        metres: float32 (points, points).
        detour: metres of way by metre as the crow flies between points next to each other, the median.
        speed: m/s between these, the median.
    """

    def __init__(self, seconds: NDArray[np.float32], metres: NDArray[np.float32]):
        self.seconds, self.metres = seconds, metres
        self.detour, self.speed = 1.0, 1.0

    def measure(self, skims: Skims, speed: float | None) -> None:
        """Work out detour and speed of short ways."""
        row = np.arange(len(self.metres))
        nearest = np.empty(len(row), np.intp)
        for point in row:
            others = self.metres[point].copy()
            others[point] = np.inf
            nearest[point] = others.argmin()
        metres = self.metres[row, nearest].astype(float)
        crow = skims._crow(skims.centre[row], skims.centre[nearest])
        good = np.isfinite(metres) & (metres > 0) & (crow > 0)
        if good.any():
            self.detour = float(np.median(metres[good] / crow[good]))
        if speed:
            self.speed = speed
        elif good.any():
            self.speed = float(np.median(metres[good] / np.maximum(self.seconds[row, nearest][good], 1e-6)))


def _along_all(
    graph: Graph,
    choice: NDArray[np.uint8],
    length: NDArray[np.float64],
    centre: NDArray[np.int32],
    part: slice,
    metres: NDArray[np.float32],
    threads: int,
) -> None:
    ends, out = centre[part], metres[part]

    def work(begin: int, stop: int) -> None:
        rows = slice(begin, stop)
        _along(
            graph.first, graph.arc_link, graph.arc_head, graph.node, choice[rows], length, ends[rows], centre, out[rows]
        )

    in_ranges(work, len(ends), threads)


@njit(cache=True, nogil=True)
def _along(first, arc_link, arc_head, node, choice, length, ends, origins, metres):
    """Fill rows of ``metres``, one a destination: length of the way from each origin by next arcs, infinite without one."""
    states = len(node)
    known = np.empty(states)
    way = np.empty(states, np.int32)
    for row in range(len(ends)):
        known[:] = -1.0
        for column in range(len(origins)):
            state = origins[column]
            size = 0
            # follow the arcs to where the rest is known, and come back
            while known[state] < 0:
                if node[state] == ends[row]:
                    known[state] = 0.0
                elif choice[row, state] == 255:
                    known[state] = np.inf
                else:
                    way[size] = state
                    size += 1
                    state = arc_head[first[state] + choice[row, state]]
            total = known[state]
            for k in range(size - 1, -1, -1):
                state = way[k]
                total += length[arc_link[first[state] + choice[row, state]]]
                known[state] = total
            metres[row, column] = total
