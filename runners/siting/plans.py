"""Plans: where units stand today, and where each of several objectives of siting would have them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...agents.response.siting.coverage import mclp, mexclp
from ...agents.response.siting.evaluate import evaluate
from ...agents.response.siting.nearest import p_centre, p_median
from ...agents.response.siting.plan import SitingError
from ...agents.response.travel import Travel
from ...environment.network.labels import NEVER, cost_tables, make_labels

if TYPE_CHECKING:
    from .demand import Demand
    from .question import Question
    from .sites import Sites

COVERAGE, EXPECTED, MEDIAN, CENTRE = "coverage", "expected", "median", "centre"
METHODS = (COVERAGE, EXPECTED, MEDIAN, CENTRE)
"""Objectives: MCLP, MEXCLP, p-median and p-centre of :mod:`....agents.response.siting`."""
TODAY = "as today"
MOST_BUSY = 0.95
"""Busy share at most that plans are made with, where calls are more than the units can serve; assumed."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """A plan and the objectives that it comes from.

    Attributes:
        units: int64 (sites,) units at each site.
        methods: objectives that lead to it, :data:`TODAY` for the stations that there are.
    """

    units: NDArray[np.int64]
    methods: tuple[str, ...]

    @property
    def size(self) -> int:
        """Units in all."""
        return int(self.units.sum())

    @property
    def stations(self) -> int:
        """Stations with a unit."""
        return int(np.count_nonzero(self.units))


@dataclass(frozen=True)
class Wanted:
    """What plans are to be like.

    Attributes:
        sizes: numbers of units.
        methods: of :data:`METHODS`.
        stations: stations at most; None for as many as units.
        keep: whether each of today's stations keeps a unit.
        standard: seconds from the call.
    """

    sizes: Sequence[int]
    methods: Sequence[str]
    stations: int | None
    keep: bool
    standard: float


@dataclass(frozen=True)
class Ground:
    """What plans are made from.

    Attributes:
        calls: (cells,) expected calls a day.
        seconds: (cells, sites) from the call to the arrival of a unit that is free at the site; infinite without a way.
        most: (sites,) units that fit.
        today: number of today's stations, the first of the sites.
    """

    calls: NDArray[np.float64]
    seconds: NDArray[np.float64]
    most: NDArray[np.int64]
    today: int

    @property
    def reached(self) -> NDArray[np.bool_]:
        """Cells that some site reaches, (cells,)."""
        return np.asarray(np.isfinite(self.seconds).any(1))


def ground_of(question: "Question", demand: "Demand", sites: "Sites") -> Ground:
    """Return expected times of arrival with lights, on streets as the day has them on average."""
    network = question.network
    fleet = question.settings.fleet.get(question.fleet)
    lights, share = (1.3, 0.4) if fleet is None else (fleet.lights, fleet.delay_with_lights)
    free = network.free_time
    seen = question.streets.seconds(0.0, 86_400.0)
    delay = np.zeros(len(free)) if seen is None else np.maximum(seen[: len(free)] - free, 0.0)
    graph = Travel(network, sites.node).graph
    _, back = cost_tables(make_labels(graph, free / lights + share * delay), sites.node)
    drive = back[demand.node].astype(float)
    seconds = np.where(drive < NEVER, drive / 1000.0, np.inf) + demand.access[:, None] + demand.delay
    return Ground(demand.calls, seconds, sites.most, sites.today)


def check(wanted: Wanted, ground: Ground, working: int) -> None:
    """Refuse what no plan can be like.

    Args:
        wanted: what plans are to be like.
        ground: the sites.
        working: units that work in shifts, which every plan has.

    Raises:
        SitingError: naming option and remedy.
    """
    most, least = int(ground.most.sum()), max(working, ground.today if wanted.keep else 0, 1)
    if wanted.keep and not ground.today:
        raise SitingError("--keep: the city has no station of this service that could stay")
    if wanted.stations is not None and not 1 <= wanted.stations <= len(ground.most):
        raise SitingError(
            f"--stations {wanted.stations}: there are {len(ground.most)} sites; give a number from 1 to that"
        )
    if wanted.stations is not None and wanted.keep and wanted.stations < ground.today:
        raise SitingError(
            f"--stations {wanted.stations}: {ground.today} stations stay by --keep; give at least so many"
        )
    for size in wanted.sizes:
        if size > most:
            raise SitingError(f"--units {size}: the sites hold {most} units; ask for fewer, or for more sites")
        if size < least:
            why = (
                "one at each station that stays"
                if wanted.keep and least == ground.today
                else "those that work in shifts"
            )
            raise SitingError(f"--units {size}: at least {least} are needed, {why}; ask for more")


def propose(ground: Ground, wanted: Wanted, size: int, busy: float) -> list[Proposal]:
    """Return a plan of each method, those that are equal as one.

    Args:
        ground: calls, times and sites.
        wanted: what plans are to be like.
        size: units.
        busy: share of their time that units are busy, which spreads them or puts several at one place.
    """
    ways = {COVERAGE: _coverage, MEDIAN: _median, CENTRE: _centre, EXPECTED: _expected}
    found: dict[bytes, Proposal] = {}
    for method in wanted.methods:
        units = ways[method](ground, wanted, size, min(busy, MOST_BUSY))
        before = found.get(units.tobytes())
        found[units.tobytes()] = Proposal(units, (*(before.methods if before else ()), method))
    return list(found.values())


def _limits(ground: Ground, wanted: Wanted, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return which sites stay open, which may be open (0 or 1 each), and how many are opened."""
    kept = np.zeros(len(ground.most), np.int64)
    kept[: ground.today if wanted.keep else 0] = 1
    open_ = np.minimum(np.maximum(ground.most, kept), 1)
    opened = min(size, int(open_.sum()), len(ground.most) if wanted.stations is None else wanted.stations)
    return kept, open_, opened


def _coverage(ground: Ground, wanted: Wanted, size: int, busy: float) -> NDArray[np.int64]:
    """Cover most calls within the standard, with no more stations than that takes; the others add expected cover."""
    kept, open_, opened = _limits(ground, wanted, size)
    plan = mclp(ground.calls, ground.seconds, wanted.standard, opened, least=kept, most=open_).units
    within = ground.seconds <= wanted.standard
    for site in np.flatnonzero(plan > kept)[::-1]:
        others = plan.copy()
        others[site] = 0
        if others.any() and np.array_equal(within @ others > 0, within @ plan > 0):
            plan = others
    return _filled(ground, wanted, size, busy, plan)


def _median(ground: Ground, wanted: Wanted, size: int, busy: float) -> NDArray[np.int64]:
    """Make the mean time to the nearest station short."""
    kept, open_, opened = _limits(ground, wanted, size)
    rows = ground.reached
    plan = p_median(ground.calls[rows], ground.seconds[rows], opened, least=kept, most=open_)
    return _filled(ground, wanted, size, busy, plan.units)


def _centre(ground: Ground, wanted: Wanted, size: int, busy: float) -> NDArray[np.int64]:
    """Make the longest time to the nearest station short."""
    kept, open_, opened = _limits(ground, wanted, size)
    plan = p_centre(ground.seconds[ground.reached], opened, least=kept, most=open_)
    return _filled(ground, wanted, size, busy, plan.units)


def _filled(ground: Ground, wanted: Wanted, size: int, busy: float, opened: NDArray[np.int64]) -> NDArray[np.int64]:
    """Put the units that are left where they add most expected cover: at open stations, or anywhere if more may open."""
    room = wanted.stations is None or np.count_nonzero(opened) < wanted.stations
    most = ground.most if room else np.where(opened > 0, ground.most, 0)
    return _expected(ground, wanted, size, busy, least=opened, most=most)


def _expected(
    ground: Ground,
    wanted: Wanted,
    size: int,
    busy: float,
    *,
    least: NDArray[np.int64] | None = None,
    most: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Cover most calls within the standard by units that are busy part of the time; close stations if there are too many.

    The station whose closing costs least goes first.
    """
    low = _limits(ground, wanted, size)[0] if least is None else least
    high = np.minimum(np.maximum(ground.most if most is None else most, low), size)

    def best(allowed: NDArray[np.int64]) -> NDArray[np.int64]:
        if allowed.sum() < size:
            raise SitingError(f"{size} units do not fit at {wanted.stations} stations; allow more stations")
        return mexclp(ground.calls, ground.seconds, wanted.standard, size, busy, least=low, most=allowed).units

    plan = best(high)
    while wanted.stations is not None and np.count_nonzero(plan) > wanted.stations:
        fewer = _with_one_less(plan, low, high, best, size)
        cover = [evaluate(ground.calls, ground.seconds, f, wanted.standard, busy=busy).expected for f in fewer]
        plan = fewer[int(np.argmax(cover))]
    return plan


def _with_one_less(
    plan: NDArray[np.int64],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    best: Callable[[NDArray[np.int64]], NDArray[np.int64]],
    size: int,
) -> list[NDArray[np.int64]]:
    """Return the best plans at the stations of a plan but one."""
    found = []
    for site in np.flatnonzero((plan > 0) & (low == 0)):
        allowed = np.where(plan > 0, high, 0)
        allowed[site] = 0
        if allowed.sum() >= size:
            found.append(best(allowed))
    if not found:
        raise SitingError(f"{size} units do not fit at so few stations; allow more with --stations")
    return found
