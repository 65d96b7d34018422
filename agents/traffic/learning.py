"""Learning: what drivers expect of the streets, and how they come to know a day by living through it again and again.

Routes are those of an equilibrium that is approached by the method of successive averages: the n-th time, one driver in
n + 1 takes the route that was best the time before, so that all times weigh alike in the end. Best is what is quickest,
tolls counted as time (deterministic user equilibrium), or what is taken for it where links are misjudged (stochastic user
equilibrium, probit): each time they are misjudged afresh, by the same draws in every policy, which with this averaging is
the algorithm of Sheffi & Powell (1982, Networks 12, 191-207; Sheffi 1985, Urban Transportation Networks, chapter 12).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...environment.network.network import Network
from ...environment.randomness import key, uniforms
from .events import Conditions, Events
from .record import QUARTER, QUARTERS, LinkRecord
from .routes import Router

PERIODS = (0.0, 7 * 3600.0, 10 * 3600.0, 16 * 3600.0, 19 * 3600.0)
"""Seconds after midnight at which parts of a day begin for which people know one time on each link when they choose how to
go: the peaks, what lies between, and the night, which is one; assumed."""

WORTH = 1.0
"""Seconds that another route must save before a driver takes it (assumed)."""

DISAPPOINTED = 60.0
"""Seconds by which the rest of a route must take longer than expected before a driver looks for another one (assumed)."""

_LEAST = 1e-3  # s, what a link is taken to take at least by those who misjudge it


class Knowledge:
    """What drivers know of the streets.

    Args:
        network: the streets.
        learns: whether drivers come to know the day by quarters of an hour; if not, each day begins with empty streets.

    Attributes:
        free: float64 (links,) seconds of empty links.
        expected: float64 (96, links) seconds that drivers expect, by quarter of an hour.
    """

    def __init__(self, network: Network, learns: bool):
        self.learns = learns
        self.free = network.free_time
        self.expected = np.broadcast_to(network.free_time, (QUARTERS, network.links)).copy()
        self.begin_day()

    def begin_day(self) -> None:
        """Forget what was seen on another day, but for what is expected."""
        self._seen = self.expected[0].copy()
        self._surprise = np.zeros(len(self.free))

    def seconds(self, quarter: int) -> NDArray[np.float64]:
        """Return what drivers take links to take in a quarter of an hour, (links,).

        Without learning, half of that was known and half was seen in each quarter, as in the reference for the dynamic
        user optimum. Who has learned expects what a quarter brings, and adds by how much the quarters before differed from
        what was expected of them, the last one by half, the one before by a quarter ….
        """
        if not self.learns:
            return self._seen
        return np.maximum(self.expected[quarter] + self._surprise, self.free)  # type: ignore[no-any-return]

    def see(self, quarter: int, seconds: NDArray[np.floating]) -> None:
        """Take note of the seconds that links took in a quarter of an hour, (links,)."""
        if self.learns:
            self._surprise = 0.5 * (self._surprise + seconds - self.expected[quarter])
        else:
            self._seen = np.maximum(0.5 * self._seen + 0.5 * seconds, self.free)

    def meet(self, links: LinkRecord) -> None:
        """Expect what a day was like."""
        self.expected[:] = np.maximum(links.seconds, self.free)

    def remember(self, links: LinkRecord) -> None:
        """Expect half of what was expected, half of what a day was like; without learning nothing is kept of it."""
        if self.learns:
            self.expected += 0.5 * (np.maximum(links.seconds, self.free) - self.expected)

    def in_period(self, second: float) -> NDArray[np.float64]:
        """Return what is expected of links in the part of the day that a second belongs to, (links,): its quarters' mean."""
        periods = np.searchsorted(PERIODS, QUARTER * np.arange(QUARTERS), side="right") % (len(PERIODS) - 1)
        period = np.searchsorted(PERIODS, second, side="right") % (len(PERIODS) - 1)
        return self.expected[periods == period].mean(axis=0)  # type: ignore[no-any-return]


class Drivers(NamedTuple):
    """Trips by car, in order of planned departure.

    Attributes:
        who: int64 (trips,) numbers to which their luck belongs.
        origin, destination: int32 (trips,) nodes.
        depart: float64 (trips,) seconds after midnight.
    """

    who: NDArray[np.int64]
    origin: NDArray[np.int32]
    destination: NDArray[np.int32]
    depart: NDArray[np.float64]


class Known(NamedTuple):
    """Routes: those of trip n are ``link[first[n] : first[n + 1]]``; int64 (trips + 1,) and int32."""

    first: NDArray[np.int64]
    link: NDArray[np.int32]

    def part(self, begin: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return the routes of trips begin … end − 1."""
        first = self.first[begin : end + 1]
        return first - first[0], self.link[first[0] : first[-1]]


def learn(
    knowledge: Knowledge,
    router: Router,
    drivers: Drivers,
    events: Events,
    live: Callable[[Known], LinkRecord],
    *,
    times: int,
    seed: int,
    error: float = 0.0,
) -> tuple[Known, list[float]]:
    """Live through a day again and again, so that drivers come to know when which street is full.

    Each looks for a route by the seconds, tolls and closures of the quarter of an hour, and between two changes of the
    streets, in which the trip begins.

    Args:
        knowledge: what drivers expect; it is what they met the last time afterwards.
        router: finds routes.
        drivers: who drives.
        events: what changes on the streets that day.
        live: lives through the day on given routes.
        times: how often.
        seed: seed of the run.
        error: seconds; variance of the time that a driver takes a link for, by second of its free time. 0 for none.

    Returns:
        routes, and the gap after each time: the share of time that would be saved if everybody took the quickest route by
        what was met. With errors, which make many take another one, it is the share of passages of links that differ from
        those that would be made if everybody chose afresh, averaged over the latter half of the times.
    """
    luck, misjudged = key(seed, "another way"), key(seed, "misjudged link")
    links = np.arange(len(knowledge.free))
    spread = np.sqrt(error * knowledge.free)

    def best(number: int) -> Known:
        wrong = spread * _normal(uniforms(misjudged, links, number)) if error else None
        return _best(router, drivers, _prices(knowledge.expected, drivers.depart, events), wrong)

    def seconds(known: Known) -> NDArray[np.float64]:
        return _seconds(_prices(knowledge.expected, drivers.depart, events), known)

    known = best(0)
    gaps: list[float] = []
    chosen: list[NDArray[np.int64]] = []
    for number in range(1, times + 1):
        knowledge.meet(live(known))
        new = best(number)
        changes = uniforms(luck, drivers.who, number) < 1.0 / (number + 1)
        if error:
            chosen.append(np.bincount(new.link, minlength=len(links)))
            afresh = np.mean(chosen[len(chosen) // 2 :], axis=0)
            differs = np.abs(np.bincount(known.link, minlength=len(links)) - afresh).sum()
            gaps.append(float(0.5 * differs / max(len(known.link), 1)))
        else:
            taken, least = seconds(known), seconds(new)
            gaps.append(float(1.0 - least.sum() / max(taken.sum(), 1e-9)))
            changes &= least < taken - WORTH
        known = _mixed(changes, known, new)
    return known, gaps


def _prices(
    expected: NDArray[np.float64], depart: NDArray[np.float64], events: Events
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Return which trips begin between two changes of what drivers go by, and what that is, (links,)."""
    spells: dict[float, Conditions] = dict(events.spells())
    seconds = sorted({*spells, *(QUARTER * np.arange(QUARTERS)).tolist()})
    ends = [*np.searchsorted(depart, seconds[1:]).tolist(), len(depart)]
    conditions, begin = spells[0.0], 0
    for second, end in zip(seconds, ends, strict=True):
        conditions = spells.get(second, conditions)
        if end > begin:
            yield slice(begin, end), conditions.price(expected[min(int(second // QUARTER), QUARTERS - 1)])
        begin = end


def _best(
    router: Router,
    drivers: Drivers,
    prices: Iterator[tuple[slice, NDArray[np.float64]]],
    wrong: NDArray[np.float64] | None,
) -> Known:
    """Return the cheapest routes, or those taken for it where links are misjudged by some seconds, (links,)."""
    firsts, links = [np.zeros(1, np.int64)], [np.zeros(0, np.int32)]
    for rows, price in prices:
        cost = price if wrong is None else np.maximum(price + wrong, _LEAST)
        first, link = router.routes(cost, drivers.origin[rows], drivers.destination[rows])
        firsts.append(first[1:] + firsts[-1][-1])
        links.append(link)
    return Known(np.concatenate(firsts), np.concatenate(links))


def _seconds(prices: Iterator[tuple[slice, NDArray[np.float64]]], known: Known) -> NDArray[np.float64]:
    """Return the prices of routes, (trips,)."""
    costs = [np.zeros(0)]
    for rows, price in prices:
        first, link = known.part(rows.start, rows.stop)
        total = np.concatenate([[0.0], np.cumsum(price[link])])
        costs.append(total[first[1:]] - total[first[:-1]])
    return np.concatenate(costs)


def _mixed(changes: NDArray[np.bool_], known: Known, new: Known) -> Known:
    """Return routes of which those that change are the new ones."""
    size = np.where(changes, np.diff(new.first), np.diff(known.first))
    begins = np.where(changes, new.first[:-1] + len(known.link), known.first[:-1])
    out = np.concatenate([[0], np.cumsum(size)])
    within = np.arange(out[-1]) - np.repeat(out[:-1], size)
    return Known(out, np.concatenate([known.link, new.link])[np.repeat(begins, size) + within])


def _normal(uniform: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import ndtri  # slow to import

    return ndtri(uniform)  # type: ignore[no-any-return]
