"""Travel times between points of a city on foot, by bicycle, by car and by public transport."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..network.graph import Graph, make_graph
from ..network.network import Network
from ..network.skims import SPEEDS, own_seconds
from ..network.trees import costs_from, in_ranges
from ..roads import Access
from ..transit.raptor import ACCESS_METRES, Walks, travel_times
from ..transit.timetable import Timetable
from .kernels import count_reached
from .points import AccessError

WALK, BICYCLE, CAR, TRANSIT = "walk", "bicycle", "car", "transit"
MODES = (WALK, BICYCLE, CAR, TRANSIT)
"""How one may travel; by public transport one may also walk all the way."""
_ACCESS = {WALK: Access.FOOT, BICYCLE: Access.BICYCLE, CAR: Access.CAR}
WALK_SPEED = SPEEDS[Access.FOOT]
"""m/s, also between a point and the street."""
FAR = 1_000.0
"""Metres to the nearest street from which on a point is cut off: nothing is reached from it, and nobody reaches it. Islands
and the border of an extract have such points; assumed."""
MOST_CUT_OFF = 0.1
"""Share of points that may be cut off before all of them are refused as those of another place; assumed."""
OUTSIDE = 10_000.0
"""Metres to the nearest street from which on a point counts as outside the city, its coordinates being wrong; assumed."""
ROUNDING = 1e-3
"""Seconds by which a time may pass a limit, so that sums of rounded numbers do not decide."""
_BATCH = 1 << 24
"""Travel times held at once."""


@dataclass(frozen=True)
class Service:
    """Public transport as it is used for access.

    Attributes:
        timetable: what runs, with walks between stops.
        depart: first departure, seconds since midnight.
        window: seconds over which departures are spread; those at its end do not belong to it.
        step: seconds from one departure to the next. The time of a journey is the median: half of the departures take no
            longer.
        metres: longest walk to the first stop and from the last, along streets.
    """

    timetable: Timetable
    depart: float = 8 * 3600.0
    window: float = 3600.0
    step: float = 300.0
    metres: float = ACCESS_METRES

    def __post_init__(self) -> None:
        if not (self.window > 0 and self.step > 0 and self.metres > 0):
            raise AccessError("public transport: window, step and metres must be above 0")

    @property
    def departures(self) -> NDArray[np.float64]:
        """Departures in seconds since midnight."""
        return self.depart + np.arange(0.0, self.window, self.step)


@dataclass(frozen=True)
class Snapped:
    """Points on the street network.

    Attributes:
        x, y: float64 (points,) metres.
        node: int32 (points,) nearest node that belongs to the part of the network where all can go; −1 if it is farther
            than allowed, so that the point is cut off.
        seconds: float64 (points,) walk to it as the crow flies.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    node: NDArray[np.int32]
    seconds: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.node)


class _Part(NamedTuple):
    """Times of a batch of origins.

    Attributes:
        rows: intp (n,) origins.
        node: intp (n,) row of ``seconds`` of each.
        seconds: float32 (nodes, ends) from node to node.
    """

    rows: NDArray[np.intp]
    node: NDArray[np.intp]
    seconds: NDArray[np.float32]


class TravelTimes:
    """Travel times on a network.

    On foot and by bicycle people take what :func:`~citytwin.environment.network.skims.own_seconds` says on every link that
    they may use, whatever is known of its sidewalks; by car the times of links. Points are reached from the nearest
    junction by walking straight.

    Args:
        network: the streets.
        seconds: (links,) time that links take by car; at free speed if None.
        closed: (links,) links that nobody may use.
        service: public transport, None if it is not asked for.
        threads: threads; results do not depend on it.
    """

    def __init__(
        self,
        network: Network,
        *,
        seconds: ArrayLike | None = None,
        closed: NDArray[np.bool_] | None = None,
        service: Service | None = None,
        threads: int = 1,
    ):
        self.network = network
        self.service = service
        self.threads = threads
        self._closed = closed
        self._seconds = network.free_time if seconds is None else np.asarray(seconds, float)
        self._graphs: dict[str, Graph] = {}
        self._trees: dict[str, tuple[Any, NDArray[np.intp]]] = {}

    def snap(self, mode: str, x: ArrayLike, y: ArrayLike, most: float = FAR) -> Snapped:
        """Return points on the streets of a mode; those farther than ``most`` metres have node −1.

        Raises:
            AccessError: if nobody can use any street that way.
        """
        from scipy.spatial import cKDTree

        on = WALK if mode == TRANSIT else mode
        if on not in self._trees:
            # closures do not move points, or opening a street could make somebody's way longer
            rows = np.flatnonzero(self.network.main_part(_access(on)) & self.network.through)
            if not len(rows):
                raise AccessError(f"the network has no street for {on}; choose another mode or another network")
            self._trees[on] = cKDTree(np.stack([self.network.x[rows], self.network.y[rows]], 1)), rows
        tree, rows = self._trees[on]
        x, y = np.asarray(x, float), np.asarray(y, float)
        metres, nearest = tree.query(np.stack([x, y], 1)) if len(x) else (np.zeros(0), np.zeros(0, np.intp))
        node = np.where(metres <= most, rows[nearest], -1).astype(np.int32)
        return Snapped(x, y, node, metres / WALK_SPEED)

    def snap_all(self, mode: str, name: list[str], x: ArrayLike, y: ArrayLike) -> Snapped:
        """Return points on the streets of a mode.

        Args:
            mode: one of :data:`MODES`.
            name: of each point, for messages.
            x, y: metres.

        Raises:
            AccessError: if a point is farther than :data:`OUTSIDE` from any street, or too many are cut off; one is named.
        """
        snapped = self.snap(mode, x, y)
        metres = snapped.seconds * WALK_SPEED
        lost = np.flatnonzero(metres > OUTSIDE)
        if not len(lost) and (metres > FAR).sum() > MOST_CUT_OFF * len(metres):
            lost = np.flatnonzero(metres > FAR)
        if len(lost):
            row = int(lost[0])
            raise AccessError(
                f"point {name[row]}: is {metres[row] / 1000:,.1f} km from the nearest street ({mode}), so outside the "
                f"city, as are {len(lost)} of {len(metres)} points; leave them out, or take a larger extract of the streets"
            )
        return snapped

    def between(
        self,
        mode: str,
        origins: Snapped,
        targets: Snapped,
        limit: float,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """Yield the travel times from all origins to all targets, a batch of origins at a time.

        Args:
            mode: one of :data:`MODES`.
            origins, targets: from :meth:`snap`; targets with node −1 are not reached.
            limit: seconds; longer ways may come out infinite.
            progress: called with nodes done and in all.

        Yields:
            rows of origins that are not cut off, and float32 (rows, targets) seconds, infinite where there is no way within
            the limit.

        Raises:
            AccessError: if the mode is not known, or public transport is asked for without a timetable.
        """
        ends, of_target = np.unique(targets.node, return_inverse=True)
        for part in self._parts(mode, origins, ends, limit, len(targets), progress):
            whole = part.seconds[part.node[:, None], of_target[None, :]]
            whole += (origins.seconds[part.rows, None] + targets.seconds[None, :]).astype(np.float32)
            self._walk_straight(whole, part.rows, origins, targets)
            yield part.rows, whole

    def reached(
        self,
        mode: str,
        origins: Snapped,
        targets: Snapped,
        count: NDArray[np.float64],
        limits: NDArray[np.float64],
        progress: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.float64]:
        """Return what is counted at the targets that are not farther than limits.

        Args:
            mode, origins, targets, progress: as for :meth:`between`.
            count: (targets, kinds).
            limits: (limits,) seconds, ascending.

        Returns:
            float64 (origins, limits, kinds).

        Raises:
            AccessError: as :meth:`between`.
        """
        out = np.zeros((len(origins), len(limits), count.shape[1]))
        ends, of_target = np.unique(targets.node, return_inverse=True)
        if not len(ends):
            return out
        order = np.argsort(of_target, kind="stable")
        first = np.searchsorted(of_target[order], np.arange(len(ends) + 1))
        walk = targets.seconds[order]
        begin, target = (np.stack([points.x, points.y, points.seconds], 1) for points in (origins, targets))
        own = np.searchsorted(ends, origins.node)
        own[(own == len(ends)) | (np.append(ends, -1)[own] != origins.node)] = -1
        span = np.stack([np.minimum.reduceat(walk, first[:-1]), np.maximum.reduceat(walk, first[:-1])], 1)
        counted = np.ascontiguousarray(count[order], float)
        of_ends = own, first, target[order], span, counted, np.add.reduceat(counted, first[:-1], axis=0)
        allowed = np.stack([limits + ROUNDING, np.full(len(limits), WALK_SPEED)], 1)

        def add(part: _Part, low: int, high: int) -> None:
            count_reached(part.rows[low:high], part.node[low:high], part.seconds, begin, *of_ends, allowed, out)

        for part in self._parts(mode, origins, ends, float(limits.max()), 0, progress):
            in_ranges(partial(add, part), len(part.rows), self.threads)
        return np.cumsum(out, axis=1)

    def _parts(
        self,
        mode: str,
        origins: Snapped,
        ends: NDArray[np.int32],
        limit: float,
        wide: int,
        progress: Callable[[int, int], None] | None,
    ) -> Iterator["_Part"]:
        """Yield times from the nodes of origins to nodes, a batch of origins at a time.

        Args:
            mode, origins, limit, progress: as for :meth:`between`.
            ends: nodes, ascending; −1 is not reached.
            wide: times that are wanted of each origin on top of those of its node.
        """
        nodes, of_origin = np.unique(origins.node, return_inverse=True)
        cut_off = int(len(nodes) > 0 and nodes[0] < 0)
        most = int(np.bincount(of_origin).max()) if len(of_origin) else 1
        departures = len(self._service().departures) if mode == TRANSIT else 1
        size = max(1, _BATCH // max(self.network.nodes, wide * most, len(ends) * departures, 1))
        order = np.argsort(of_origin, kind="stable")
        first = np.searchsorted(of_origin[order], np.arange(len(nodes) + 1))
        walks = self._walks_from_stops(ends) if mode == TRANSIT else None
        for low in range(cut_off, len(nodes), size):
            high = min(low + size, len(nodes))
            seconds = self._by_node(mode, nodes[low:high], ends, limit, walks)
            seconds[:, ends < 0] = np.inf
            rows = order[first[low] : first[high]]
            yield _Part(rows, of_origin[rows] - low, seconds)
            if progress is not None:
                progress(high, len(nodes))

    def _by_node(
        self, mode: str, nodes: NDArray[np.int32], ends: NDArray[np.int32], limit: float, walks: Walks | None
    ) -> NDArray[np.float32]:
        on = WALK if mode == TRANSIT else mode
        by_street = costs_from(self._graph(on), self.link_seconds(on), nodes, limit + 1.0, self.threads)[:, ends]
        if walks is None:
            return by_street
        service = self._service()
        found = travel_times(
            service.timetable, self._walks_to_stops(nodes), walks, service.departures, limit=limit + 1.0,
            threads=self.threads,
        )  # fmt: skip
        np.minimum(found, by_street, out=found)
        middle = (len(found) - 1) // 2
        return np.partition(found, middle, axis=0)[middle]

    @staticmethod
    def _walk_straight(whole: NDArray[np.float32], rows: NDArray[np.intp], origins: Snapped, targets: Snapped) -> None:
        """Let nobody walk to a junction and back who is nearer to the target, where both belong to one junction."""
        by_node: dict[int, list[int]] = {}
        for column, node in enumerate(targets.node.tolist()):
            by_node.setdefault(node, []).append(column)
        for place, row in enumerate(rows.tolist()):
            near = by_node.get(int(origins.node[row]))
            if near is None or origins.node[row] < 0:
                continue
            crow = np.hypot(targets.x[near] - origins.x[row], targets.y[near] - origins.y[row]) / WALK_SPEED
            whole[place, near] = np.minimum(whole[place, near], crow)

    def at_nodes(self, mode: str) -> Snapped:
        """Return the nodes that points may belong to, as points."""
        self.snap(mode, [], [])
        _, rows = self._trees[WALK if mode == TRANSIT else mode]
        return Snapped(self.network.x[rows], self.network.y[rows], rows.astype(np.int32), np.zeros(len(rows)))

    def open_links(self, mode: str) -> NDArray[np.bool_]:
        """Return which links may be used, (links,)."""
        usable = self.network.usable(_access(mode))
        return usable if self._closed is None else usable & ~self._closed

    def link_seconds(self, mode: str) -> NDArray[np.float64]:
        """Return the seconds that each link takes, (links,)."""
        return self._seconds if mode == CAR else own_seconds(self.network, _access(mode))

    def _graph(self, mode: str) -> Graph:
        if mode not in self._graphs:
            self._graphs[mode] = make_graph(self.network, _access(mode), self._closed)
        return self._graphs[mode]

    def _service(self) -> Service:
        if self.service is None:
            raise AccessError("public transport is asked for, but there is no timetable; give a GTFS feed")
        return self.service

    def _stops(self) -> Snapped:
        timetable = self._service().timetable
        return self.snap(WALK, timetable.stop_x, timetable.stop_y, self._service().metres)

    def _walks_to_stops(self, nodes: NDArray[np.int32]) -> Walks:
        stops = self._stops()
        point, stop, seconds = self._short_walks(nodes, stops.node)
        return _walks(len(nodes), point, stop, seconds + stops.seconds[stop], self._service().metres)

    def _walks_from_stops(self, ends: NDArray[np.int32]) -> Walks:
        stops = self._stops()
        stop, point, seconds = self._short_walks(stops.node, ends)
        return _walks(len(ends), point, stop, seconds + stops.seconds[stop], self._service().metres)

    def _short_walks(
        self, begins: NDArray[np.int32], ends: NDArray[np.int32]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
        """Return rows of begins and ends, and seconds, of all walks between nodes that are short enough for a rider."""
        rows, columns = np.flatnonzero(begins >= 0), np.flatnonzero(ends >= 0)
        nodes, of_row = np.unique(begins[rows], return_inverse=True)
        order = np.argsort(of_row, kind="stable")
        first = np.searchsorted(of_row[order], np.arange(len(nodes) + 1))
        size = max(1, _BATCH // max(self.network.nodes, 1))
        graph, cost, most = self._graph(WALK), self.link_seconds(WALK), self._service().metres / WALK_SPEED
        parts = []
        for low in range(0, len(nodes), size):
            high = min(low + size, len(nodes))
            found = costs_from(graph, cost, nodes[low:high], most, self.threads)[:, ends[columns]]
            members = order[first[low] : first[high]]
            near, column = np.nonzero(np.isfinite(found))
            # every row of a node has the walks of that node
            count = np.bincount(near, minlength=high - low)
            begin = np.concatenate([[0], np.cumsum(count)])
            node = of_row[members] - low
            walk = np.repeat(begin[node] - np.cumsum(count[node]) + count[node], count[node]) + np.arange(
                count[node].sum()
            )
            seconds = found[near[walk], column[walk]].astype(float)
            parts.append((rows[np.repeat(members, count[node])], columns[column[walk]], seconds))
        if not parts:
            return np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0)
        a, b, c = (np.concatenate(column) for column in zip(*parts, strict=True))
        return a, b, c


def _walks(points: int, point: NDArray, stop: NDArray, seconds: NDArray[np.float64], metres: float) -> Walks:
    """Return walks by point, without those that are longer than allowed."""
    kept = seconds <= metres / WALK_SPEED + ROUNDING
    point, stop, seconds = point[kept], stop[kept], seconds[kept]
    order = np.lexsort((stop, point))
    first = np.concatenate([[0], np.cumsum(np.bincount(point, minlength=points))])
    return Walks(first.astype(np.int32), stop[order].astype(np.int32), seconds[order])


def _access(mode: str) -> Access:
    if mode not in _ACCESS:
        raise AccessError(f"mode '{mode}': unknown; there are {', '.join(MODES)}")
    return _ACCESS[mode]
