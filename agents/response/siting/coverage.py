"""Plans that cover demand within a standard: MCLP, MEXCLP, MALP, set covering and the double standard."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from . import exact
from .plan import AUTO, Plan, SitingError, Task, checked_share, checked_standard, named, task
from .rows import cover_of, grouped, once
from .search import search_cover, search_full_cover

EXACT_PAIRS = 200_000
"""Pairs of point and site up to which coverage is solved exactly unless asked otherwise; assumed."""
EXACT_DOUBLE = 10_000
"""The same for the double standard, which takes longer to prove; assumed."""
_STARTS = 40
"""Searches for reliable cover after the greedy one: single moves often gain nothing where a second unit counts; assumed."""
_PARTIAL = 0.3
"""Worth of covers below the number that counts, as a share of full worth: it tells the search which way to go; assumed."""
_TRADES = (0.1, 1.0, 10.0, 100.0)
"""Worth of a first cover against a second that searches for the double standard try; assumed."""


def mclp(
    weights: ArrayLike,
    seconds: ArrayLike,
    standard: ArrayLike,
    units: int,
    *,
    least: ArrayLike = 0,
    most: ArrayLike = 1,
    current: ArrayLike | None = None,
    method: str = AUTO,
) -> Plan:
    """Cover as much demand as possible within a standard: maximal covering (Church & ReVelle 1974).

    Args:
        weights: (points,) demand, for example calls a day.
        seconds: (points, sites) travel from site to point, infinite where there is no way.
        standard: seconds that count as covered, one for all or (points,).
        units: units to place, all of them.
        least: units that must stand at each site, one for all or (sites,): 1 for stations that stay.
        most: units that may stand at each site, one for all or (sites,): 0 for sites that are no candidates.
        current: (sites,) units of a plan that a search starts from too; further units are added to it.
        method: "exact" (branch and bound), "greedy and swap", or "auto": exact up to :data:`EXACT_PAIRS` pairs.

    Returns:
        plan; its objective is the demand covered. Greedy choice alone has at least 1 − 1/e of the best.

    Raises:
        SitingError: naming what is wrong.
    """
    return _expected(
        "MCLP", task(weights, seconds, units, least=least, most=most, current=current, method=method), standard, 0.0
    )


def mexclp(
    weights: ArrayLike,
    seconds: ArrayLike,
    standard: ArrayLike,
    units: int,
    busy: float,
    *,
    least: ArrayLike = 0,
    most: ArrayLike | None = None,
    current: ArrayLike | None = None,
    method: str = AUTO,
) -> Plan:
    """Cover as much demand as can be expected while each unit is busy a share of the time (Daskin 1983).

    The k-th unit within the standard of a point is worth (1 − q) q^(k−1), q being the busy share.

    Args:
        busy: share of time that a unit is busy, from 0 to below 1.
        most: as for :func:`mclp`; None, the default, lets any number of units share a site.
        weights, seconds, standard, units, least, current, method: as for :func:`mclp`.

    Returns:
        plan; its objective is the demand covered on average.

    Raises:
        SitingError: naming what is wrong.
    """
    asked = task(weights, seconds, units, least=least, most=most, current=current, method=method)
    return _expected("MEXCLP", asked, standard, checked_share("busy", busy, one=False))


def malp(
    weights: ArrayLike,
    seconds: ArrayLike,
    standard: ArrayLike,
    units: int,
    busy: float,
    reliability: float,
    *,
    least: ArrayLike = 0,
    most: ArrayLike | None = None,
    current: ArrayLike | None = None,
    method: str = AUTO,
) -> Plan:
    """Cover as much demand as possible with a chance of at least ``reliability`` (MALP I, ReVelle & Hogan 1989).

    A point counts if it has b units within the standard, b being the least number with 1 − q^b ≥ reliability.

    Args:
        busy: share of time that a unit is busy, from 0 to below 1.
        reliability: chance that one of the units is free, from 0 to below 1.
        weights, seconds, standard, units, least, most, current, method: as for :func:`mexclp`.

    Returns:
        plan; its objective is the demand covered so.

    Raises:
        SitingError: naming what is wrong.
    """
    asked = task(weights, seconds, units, least=least, most=most, current=current, method=method)
    covers = covers_for(checked_share("busy", busy, one=False), checked_share("reliability", reliability, one=False))
    weight, within = _rows(asked, standard)
    steps = np.arange(asked.units + 2.0)
    worth = (steps >= covers) + _PARTIAL * np.minimum(steps, covers) / covers
    found = search_cover(asked, cover_of((weight, within, worth)), starts=_STARTS)
    proof = None
    if asked.exact(EXACT_PAIRS):
        proof = exact.most_reliable(asked, weight, sparse.csr_array(within.astype(float)), covers)
    return exact.chosen("MALP", found, proof, lambda units: float(weight @ (within @ units >= covers)))


def covers_for(busy: float, reliability: float) -> int:
    """Return how many units it takes so that one is free with a chance of ``reliability``, each being busy by itself."""
    if busy == 0 or reliability == 0:
        return 1
    return max(1, math.ceil(math.log(1 - reliability) / math.log(busy) - 1e-9))


def lscp(
    seconds: ArrayLike,
    standard: ArrayLike,
    *,
    least: ArrayLike = 0,
    most: ArrayLike = 1,
    method: str = AUTO,
) -> Plan:
    """Cover every point with the fewest units: location set covering (Toregas et al. 1971).

    Args:
        seconds, standard, least, most, method: as for :func:`mclp`. Leave points out that need no cover.

    Returns:
        plan; its objective is the number of units.

    Raises:
        SitingError: naming what is wrong, and the points that no site can cover.
    """
    asked = task(None, seconds, None, least=least, most=most, method=method)
    limit = checked_standard(standard, len(asked.weights))
    within = asked.seconds <= limit[:, None]
    reachable = within[:, asked.most > 0].any(1)
    if not reachable.all():
        raise SitingError(
            f"no site covers points {named(np.flatnonzero(~reachable))} within the standard; "
            "allow more seconds, add sites or leave these points out"
        )
    weight, within = grouped(asked.weights, within)
    cover = cover_of((weight, within, once(asked.units)))
    plan = search_cover(asked, cover, useful=True, starts=0)
    while plan.sum() > max(1, asked.least.sum()):
        fewer = search_full_cover(replace(asked, units=int(plan.sum()) - 1), cover)
        if fewer is None:
            break
        plan = fewer
    proof = exact.fewest(asked, sparse.csr_array(within.astype(float))) if asked.exact(EXACT_PAIRS) else None
    return exact.chosen("LSCP", plan, proof, lambda units: float(units.sum()), minimise=True)


def double_standard(
    weights: ArrayLike,
    seconds: ArrayLike,
    near: ArrayLike,
    far: ArrayLike,
    units: int,
    share: float,
    *,
    least: ArrayLike = 0,
    most: ArrayLike | None = None,
    current: ArrayLike | None = None,
    method: str = AUTO,
) -> Plan:
    """Cover as much demand as possible twice, all points from afar and a share from nearby (Gendreau et al. 1997).

    Args:
        near, far: the two standards, seconds, each one for all or (points,).
        share: of demand that must be covered once within ``near``, from 0 to 1.
        weights, seconds, units, least, most, current, method: as for :func:`mexclp`. Points without demand must be
            covered within ``far`` too.

    Returns:
        plan; its objective is the demand with two units within ``near``.

    Raises:
        SitingError: naming what is wrong, points that no site reaches within ``far``, or if no plan was found.
    """
    asked = task(weights, seconds, units, least=least, most=most, current=current, method=method)
    share = checked_share("share", share, one=True)
    points = len(asked.weights)
    close, wide = (
        asked.seconds <= checked_standard(limit, points, name)[:, None]
        for name, limit in (("near", near), ("far", far))
    )
    reachable = wide[:, asked.most > 0].any(1)
    if not reachable.all():
        raise SitingError(
            f"no site reaches points {named(np.flatnonzero(~reachable))} within far; allow more seconds or add sites"
        )
    wanted = (share - 1e-6) * asked.weights.sum()

    def value(plan: NDArray[np.int64]) -> float:
        count = close @ plan
        if not (wide @ plan > 0).all() or asked.weights @ (count > 0) < wanted:
            return -math.inf
        return float(asked.weights @ (count > 1))

    found, best = asked.least, -math.inf
    weight, near_rows = grouped(asked.weights, close)
    everyone, far_rows = grouped(np.ones(points), wide)
    steps = np.arange(asked.units + 2.0)
    for trade in _TRADES:
        worth = trade * np.minimum(steps, 1) + (steps > 1)
        all_far = 2.0 * worth.max() * weight.sum() * once(asked.units)
        plan = search_cover(asked, cover_of((weight, near_rows, worth), (everyone, far_rows, all_far)))
        if value(plan) > best:
            found, best = plan, value(plan)
    proof = None
    if asked.exact(EXACT_DOUBLE):
        once_near, once_far = sparse.csr_array(close.astype(float)), sparse.csr_array(wide.astype(float))
        proof = exact.double_cover(asked, once_near, once_far, share)
    if best == -math.inf and (proof is None or proof.units is None):
        how = "there is" if proof is not None and not proof.feasible else "the search found"
        raise SitingError(
            f"{how} no plan with units = {asked.units} that reaches all points within far and {share:.0%} of demand "
            "within near; ask for more units, a lower share or longer standards"
        )
    return exact.chosen("double standard", found, proof, value)


def _expected(problem: str, asked: Task, standard: ArrayLike, busy: float) -> Plan:
    """Return the plan of the highest expected cover."""
    weight, within = _rows(asked, standard)
    gains = (1 - busy) * busy ** np.arange(asked.units + 1.0)
    worth = np.concatenate([[0.0], np.cumsum(gains)])
    found = search_cover(asked, cover_of((weight, within, worth)))
    proof = None
    if asked.exact(EXACT_PAIRS):
        useful = gains[: asked.units][gains[: asked.units] > 1e-12]
        proof = exact.most_covered(asked, weight, sparse.csr_array(within.astype(float)), useful)
    return exact.chosen(problem, found, proof, lambda units: float(weight @ worth[within @ units]))


def _rows(asked: Task, standard: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the demand and the cover of rows that differ in cover."""
    limit = checked_standard(standard, len(asked.weights))
    return grouped(asked.weights, asked.seconds <= limit[:, None])
