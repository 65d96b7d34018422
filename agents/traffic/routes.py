"""Routes: the links that each vehicle takes, kept in one pool of links from which the flow reads."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...environment.network.graph import Graph
from ...environment.network.hierarchy import Hierarchy, make_hierarchy
from ...environment.network.search import Priced, price, priced_paths
from .departures import push
from .kernels import stop_waiting
from .layout import PATH_AT
from .moving import Moving

if TYPE_CHECKING:
    from .events import Events
    from .flow import Flow


class Router:
    """Finds the quickest routes of a graph again and again.

    Args:
        graph: the graph.
        threads: threads for searching; the routes do not depend on it.
    """

    not_saved = ("_latest",)

    def __init__(self, graph: Graph, threads: int = 1):
        self.graph, self.threads = graph, threads
        self._latest: tuple[NDArray[np.float64], Priced] | None = None

    @cached_property
    def _hierarchy(self) -> Hierarchy:
        return make_hierarchy(self.graph)

    def routes(
        self, cost: NDArray[np.float64], origin: NDArray[np.int32], destination: NDArray[np.int32]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return first (n + 1,) and links of the quickest routes of pairs of nodes, see :func:`~.search.paths`."""
        if not len(origin):
            return np.zeros(1, np.int64), np.zeros(0, np.int32)
        if self._latest is None or not np.array_equal(self._latest[0], cost):
            self._latest = cost.copy(), price(self.graph, cost, self._hierarchy)
        return priced_paths(self._latest[1], origin, destination, self.threads)


class Routes:
    """Routes of the vehicles of a flow.

    Args:
        flow: the flow, whose trips have no rows in tables.
        router: finds cheapest routes.
        destination: int32 (trips,) node to which each trip goes.
        mine: bool (trips,) vehicles whose routes these are; all by default. Others of the flow keep theirs.

    Attributes:
        without: int64 (…,) rows of trips for which there is no route at present; they set out when they have one.
    """

    def __init__(
        self, flow: "Flow", router: Router, destination: NDArray[np.int32], mine: NDArray[np.bool_] | None = None
    ):
        self.flow, self.router = flow, router
        self.destination = destination
        self._mine = mine
        self.without = np.zeros(0, np.int64)

    def send(self, trips: NDArray[np.int64], cost: NDArray[np.float64]) -> None:
        """Give trips that have not begun the cheapest route.

        Args:
            trips: (n,) rows.
            cost: float64 (links,) seconds; infinite where closed.
        """
        first, link = self.router.routes(cost, self.flow.origin[trips], self.destination[trips])
        self.take(trips, first, link)

    def under_way(self) -> NDArray[np.int64]:
        """Return the rows of its vehicles that are on links."""
        row = self._own()
        row = row[self.flow.state.depart[row] >= 0]
        return row[~self._queued()[row]]

    def avoid(self, cost: NDArray[np.float64], closed: NDArray[np.bool_]) -> None:
        """Send all whose routes lead through closed links another route, if there is one.

        Args:
            cost: float64 (links,) seconds; infinite where closed.
            closed: bool (links,).
        """
        flow = self.flow
        row = self._own()
        at = flow.vehicles[row, PATH_AT]
        departed = flow.state.depart[row] >= 0
        queued = self._queued()[row]
        # of those who have not set out the first link counts as well
        begin = np.where(departed & ~queued, at, at - departed)
        cut = _touched(flow.path, begin.astype(np.int64), closed)
        # whoever stands in line for a street that stays open drives into it, and turns off later
        afresh = cut & (~departed | (queued & closed[flow.path[at - 1]]))
        self._anew(row[afresh], cost)
        self.again(row[cut & ~afresh], cost)

    def _anew(self, row: NDArray[np.int64], cost: NDArray[np.float64]) -> None:
        """Give those who have not entered their first link another route, if there is one."""
        flow = self.flow
        first, link = self.router.routes(cost, flow.origin[row], self.destination[row])
        row, first, link = _only(row, np.diff(first) > 0, first, link)
        if not len(row):
            return
        waits = self._queued()[row]
        flow.vehicles[row, PATH_AT] = 0
        self.take(row, first, link)
        flow.vehicles[row[waits], PATH_AT] += 1
        self._ask_again()

    def again(self, row: NDArray[np.int64], cost: NDArray[np.float64]) -> None:
        """Let some of those under way take the route that is quickest from the end of the link they are on.

        Args:
            row: (n,) rows of :meth:`under_way`.
            cost: float64 (links,) seconds; infinite where closed.
        """
        flow = self.flow
        at = flow.vehicles[row, PATH_AT]
        goes_on = flow.path[at] >= 0
        row, on = row[goes_on], flow.path[at[goes_on] - 1]
        if not len(row):
            return
        first, link = self.router.routes(cost, self.router.graph.end_state[on], self.destination[row])
        there = np.diff(first) > 0
        row, first, link = _only(row, there, first, link)
        if not len(row):
            return
        # the route now begins with the link on which the vehicle is
        whole = np.insert(link, first[:-1], on[there])
        flow.vehicles[row, PATH_AT] = 0
        self.take(row, first + np.arange(len(first)), whole)
        flow.vehicles[row, PATH_AT] += 1
        self._ask_again()

    def _ask_again(self) -> None:
        """Let vehicles that wait for a link that is not on their route any more wait for the one that is."""
        flow, state = self.flow, self.flow.state
        streets = flow.streets
        _ask_again(
            streets.links, streets.arms, state.bucket, state.events, flow.vehicles, flow.path, flow.bucket, flow.step
        )

    def slower(
        self, row: NDArray[np.int64], seconds: NDArray[np.float64], expected: NDArray[np.float64], by: float
    ) -> NDArray[np.int64]:
        """Return those of some rows whose routes ahead take longer than expected.

        Args:
            row: (n,) rows of :meth:`under_way`.
            seconds: float64 (links,) as things stand.
            expected: float64 (links,) as they were expected.
            by: seconds by which a route must take longer.
        """
        flow = self.flow
        begin = flow.vehicles[row, PATH_AT].astype(np.int64)
        return row[_rest(flow.path, begin, seconds - expected) > by]

    def _queued(self) -> NDArray[np.bool_]:
        """Return which trips wait to enter their first link, (trips,)."""
        waiting = np.zeros(len(self.flow.origin), np.bool_)
        waiting[_queued(self.flow.streets.arms["queue_head"], self.flow.state.queue_next)] = True
        return waiting

    def take(self, trips: NDArray[np.int64], first: NDArray[np.int64], link: NDArray[np.int32]) -> None:
        """Give trips that have not begun routes that are known.

        Args:
            trips: (n,) rows.
            first: int64 (n + 1,) begin of the route of each in ``link``; an empty route is none, unless the trip ends
                where it begins.
            link: int32 links.
        """
        flow = self.flow
        none = (np.diff(first) == 0) & (flow.origin[trips] != self.destination[trips])
        self.without = np.concatenate([np.setdiff1d(self.without, trips), trips[none]])
        kept = self._kept()
        begins, pool = _pooled(flow.path, flow.vehicles[kept, PATH_AT].astype(np.int64), first, link)
        flow.vehicles[kept, PATH_AT] = begins[: len(kept)] + 1  # the link before the next one is kept, too
        flow.vehicles[trips, PATH_AT] = np.where(none, -1, begins[len(kept) :])
        flow.path = pool

    def _own(self) -> NDArray[np.int64]:
        """Return the rows of those of its vehicles that still need their routes."""
        row = self._kept()
        return row if self._mine is None else row[self._mine[row]]

    def _kept(self) -> NDArray[np.int64]:
        """Return the rows of all vehicles that still need their routes."""
        flow = self.flow
        row = np.flatnonzero(flow.vehicles[:, PATH_AT] > 0)
        return row[~(np.isfinite(flow.state.arrive[row]) & (flow.state.depart[row] >= 0))]


class BusRoutes:
    """Routes of the buses of a flow: those of their lines, unless a street on them is closed.

    Args:
        flow: the flow.
        router: finds routes that buses may take.
        rows: what the rows of the flow are.
    """

    def __init__(self, flow: "Flow", router: Router, rows: Moving):
        self._rows = rows
        self._runs = np.flatnonzero(rows.runs.route >= 0) if rows.runs is not None else np.zeros(0, np.int64)
        self._routes = Routes(flow, router, rows.destination, rows.bus)
        self._sent = 0

    def send(self, until: float, seconds: NDArray[np.float64], events: "Events") -> None:
        """Give buses that begin a run before ``until`` their routes; around closed streets if there is a route.

        Args:
            until: seconds after midnight.
            seconds: float64 (links,) that links take.
            events: what is closed to buses.
        """
        rows = self._rows
        if rows.runs is None:
            return
        begin = self._sent
        self._sent = int(np.searchsorted(rows.runs.depart[self._runs], until))
        runs = self._runs[begin : self._sent]
        if len(runs):
            self._routes.take(rows.run[runs].astype(np.int64), *rows.runs.routes(runs))
        closed = events.now.closed_to_buses
        if events.closing_to_buses or (len(runs) and closed.any()):
            self._routes.avoid(events.now.price_for_buses(seconds), closed)


@njit(cache=True, nogil=True)
def _pooled(path, at, first, link):
    """Return (begin of each route, all routes one after the other, each closed by −1).

    Args:
        path: int32, the routes so far.
        at: int64 (k,) next link of each route to be kept; the one before it is kept, too.
        first, link: further routes.
    """
    kept, new = at.size, first.size - 1
    begins = np.empty(kept + new, np.int64)
    size = 1
    for k in range(kept):
        begins[k] = size
        i = at[k] - 1
        size += 2
        while path[i + 1] >= 0:
            i += 1
            size += 1
    for n in range(new):
        begins[kept + n] = size
        size += first[n + 1] - first[n] + 1
    pool = np.empty(size, np.int32)
    pool[0] = -1
    for k in range(kept):
        to = begins[k]
        i = at[k] - 1
        pool[to] = path[i]
        while path[i + 1] >= 0:
            i += 1
            to += 1
            pool[to] = path[i]
        pool[to + 1] = -1
    for n in range(new):
        to = begins[kept + n]
        for i in range(first[n], first[n + 1]):
            pool[to] = link[i]
            to += 1
        pool[to] = -1
    return begins, pool


@njit(cache=True, nogil=True)
def _queued(queue_head, queue_next):
    """Return the vehicles in all queues."""
    size = 0
    for head in queue_head:
        vehicle = head
        while vehicle >= 0:
            size += 1
            vehicle = queue_next[vehicle]
    out = np.empty(size, np.int32)
    size = 0
    for head in queue_head:
        vehicle = head
        while vehicle >= 0:
            out[size] = vehicle
            size += 1
            vehicle = queue_next[vehicle]
    return out


@njit(cache=True, nogil=True)
def _ask_again(links, arms, bucket, events, vehicles, path, now, step):
    """Take heads of arms that wait for a link they do not want any more from its list, and ask them again."""
    for number in range(arms.size):
        into = arms[number].target
        if into < 0:
            continue
        at = vehicles[arms[number].vehicle, PATH_AT]
        if at >= 0 and path[at if number < links.size else at - 1] != into:
            stop_waiting(arms, links[into], number)
            push(bucket, events, 0, number, now * step, now, step)


@njit(cache=True, nogil=True)
def _rest(path, begin, value):
    """Return the sum of values of links over routes from ``begin`` on."""
    out = np.zeros(begin.size)
    for k in range(begin.size):
        i = begin[k]
        while path[i] >= 0:
            out[k] += value[path[i]]
            i += 1
    return out


@njit(cache=True, nogil=True)
def _touched(path, begin, closed):
    """Return which routes lead through closed links from ``begin`` on."""
    out = np.zeros(begin.size, np.bool_)
    for k in range(begin.size):
        i = begin[k]
        while path[i] >= 0:
            if closed[path[i]]:
                out[k] = True
                break
            i += 1
    return out


def _only(
    row: NDArray[np.int64], there: NDArray[np.bool_], first: NDArray[np.int64], link: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """Return rows and routes without the empty routes."""
    begins = first[:-1][there]
    return row[there], np.append(begins, len(link)).astype(np.int64), link
