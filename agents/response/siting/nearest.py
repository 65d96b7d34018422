"""Plans of short ways to the nearest site: p-median and p-centre."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from . import exact
from .plan import AUTO, EXACT, SEARCH, Plan, SitingError, Task, named, task
from .rows import cover_of, grouped, once
from .search import search_full_cover, search_median

EXACT_PAIRS = 10_000
"""Pairs of point and site up to which ways are shortened exactly unless asked otherwise; assumed."""


def p_median(
    weights: ArrayLike,
    seconds: ArrayLike,
    units: int,
    *,
    least: ArrayLike = 0,
    most: ArrayLike = 1,
    current: ArrayLike | None = None,
    method: str = AUTO,
) -> Plan:
    """Open sites so that the weighted travel to the nearest one is short: the p-median (Hakimi 1964).

    Args:
        weights: (points,) demand.
        seconds: (points, sites) travel from site to point, infinite where there is no way.
        units: sites to open.
        least, most: 0 or 1, one for all or (sites,): 1 for sites that must, 0 for sites that may not be open.
        current: (sites,) plan that a search starts from too; further sites are opened.
        method: "exact" (branch and bound), "greedy and swap", or "auto": exact up to :data:`EXACT_PAIRS` pairs.

    Returns:
        plan; its objective is the sum of demand times seconds.

    Raises:
        SitingError: naming what is wrong, points with demand that no site reaches, or if no plan reached them all.
    """
    asked = _open_or_closed(task(weights, seconds, units, least=least, most=most, current=current, method=method))
    _must_reach(asked, asked.weights > 0)
    demand = asked.weights > 0

    def travel(plan: NDArray[np.int64]) -> float:
        return float(asked.weights[demand] @ asked.seconds[demand][:, plan > 0].min(1))

    found = search_median(asked)
    proof = exact.shortest_ways(asked) if asked.exact(EXACT_PAIRS) else None
    plan = exact.chosen("p-median", found, proof, travel, minimise=True)
    if not np.isfinite(plan.objective):
        raise _unreached(asked, proof is not None and not proof.feasible)
    return plan


def p_centre(
    seconds: ArrayLike,
    units: int,
    *,
    least: ArrayLike = 0,
    most: ArrayLike = 1,
    current: ArrayLike | None = None,
    method: str = AUTO,
) -> Plan:
    """Open sites so that the farthest point is near: the p-centre (Hakimi 1964), by set covers of fewer and fewer seconds.

    Args:
        seconds, units, least, most, current, method: as for :func:`p_median`; all points count.

    Returns:
        plan; its objective is the longest travel to the nearest site.

    Raises:
        SitingError: naming what is wrong, points that no site reaches, or if no plan reached them all.
    """
    asked = _open_or_closed(task(None, seconds, units, least=least, most=most, current=current, method=method))
    _must_reach(asked, np.ones(len(asked.weights), bool))
    allowed = asked.seconds[:, asked.most > 0]
    lengths = np.unique(allowed[(allowed >= allowed.min(1).max()) & np.isfinite(allowed)])
    refused = -1

    def longest(plan: NDArray[np.int64]) -> float:
        return float(asked.seconds[:, plan > 0].min(1).max())

    def search(at: int) -> NDArray[np.int64] | None:
        weight, within = grouped(asked.weights, asked.seconds <= lengths[at])
        return search_full_cover(asked, cover_of((weight, within, once(asked.units))))

    def prove(at: int) -> NDArray[np.int64] | None:
        nonlocal refused
        _, within = grouped(asked.weights, asked.seconds <= lengths[at])
        proof = exact.fewest(asked, sparse.csr_array(within.astype(float)))
        if proof.units is not None and proof.units.sum() <= asked.units:
            return _filled(asked, proof.units)
        if not proof.feasible or proof.bound > asked.units + 1e-6:
            refused = max(refused, at)
        return None

    def shorter(attempt: Callable[[int], NDArray[np.int64] | None], plan: NDArray[np.int64]) -> NDArray[np.int64]:
        low, high = 0, int(np.searchsorted(lengths, longest(plan)))
        while low < high:
            middle = (low + high) // 2
            better = attempt(middle)
            if better is None:
                low = middle + 1
            else:
                plan, high = better, int(np.searchsorted(lengths, longest(better)))
        return plan

    proving = asked.exact(EXACT_PAIRS)
    plan = search(len(lengths) - 1)
    if plan is None and proving:
        plan = prove(len(lengths) - 1)
    if plan is None:
        raise _unreached(asked, refused >= 0)
    plan = shorter(search, plan)
    if not proving:
        return Plan("p-centre", SEARCH, plan, longest(plan))
    plan = shorter(prove, plan)
    return Plan("p-centre", EXACT, plan, longest(plan), float(lengths[refused + 1]))


def _open_or_closed(asked: Task) -> Task:
    """Return the task if each site is open or closed and one is asked for."""
    if asked.most.max() > 1:
        raise SitingError("most: 0 or 1, since a site is open or closed")
    if asked.units == 0:
        raise SitingError("units: at least 1, since every point goes to a site")
    return asked


def _must_reach(asked: Task, points: NDArray[np.bool_]) -> None:
    """Refuse points that no site reaches."""
    cut_off = np.flatnonzero(points & ~np.isfinite(asked.seconds[:, asked.most > 0]).any(1))
    if len(cut_off):
        raise SitingError(f"no site reaches points {named(cut_off)}; leave them out or add sites")


def _unreached(asked: Task, proven: bool) -> SitingError:
    how = "there is" if proven else "the search found"
    return SitingError(f"{how} no way to reach all points with units = {asked.units}; ask for more")


def _filled(asked: Task, units: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a plan with the lowest free sites opened until there are as many as asked for."""
    out = units.copy()
    out[np.flatnonzero(out < asked.most)[: asked.units - out.sum()]] = 1
    return out
