"""How good a plan is: cover, travel and what is left out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .plan import SitingError, checked_seconds, checked_share, checked_standard, checked_weights, whole


@dataclass(frozen=True)
class Figures:
    """Figures of a plan, all weighted with demand.

    Attributes:
        covered: share of demand with a unit within the standard.
        expected: share of demand with a free unit within the standard, each unit being busy by itself.
        reached: share of demand that some unit can reach at all.
        mean: mean seconds from the nearest unit; infinite if somebody cannot be reached.
        percentiles: float64 seconds that the shares asked for do not exceed.
        uncovered: int64 points with demand that no unit reaches within the standard, ascending.
    """

    covered: float
    expected: float
    reached: float
    mean: float
    percentiles: NDArray[np.float64]
    uncovered: NDArray[np.intp]


def evaluate(
    weights: ArrayLike,
    seconds: ArrayLike,
    units: ArrayLike,
    standard: ArrayLike,
    *,
    busy: float = 0.0,
    percentiles: ArrayLike = (50.0, 90.0),
) -> Figures:
    """Return the figures of a plan.

    Args:
        weights: (points,) demand.
        seconds: (points, sites) travel from site to point, infinite where there is no way.
        units: (sites,) units at each site, for example :attr:`~.plan.Plan.units`.
        standard: seconds that count as covered, one for all or (points,).
        busy: share of time that a unit is busy, from 0 to below 1.
        percentiles: of travel from the nearest unit, above 0 to 100.

    Raises:
        SitingError: naming what is wrong.
    """
    travel = checked_seconds(seconds)
    points, sites = travel.shape
    demand = checked_weights(weights, points)
    placed = whole("units", units, sites)
    if not placed.any():
        raise SitingError("units: the plan has none")
    within = travel <= checked_standard(standard, points)[:, None]
    share = checked_share("busy", busy, one=False)
    wanted = np.asarray(percentiles, float)
    if not ((wanted > 0) & (wanted <= 100)).all():
        raise SitingError(f"percentiles: above 0, at most 100; got {percentiles!r}")
    covers = within @ placed
    near = travel[:, placed > 0].min(1)
    total = demand.sum()
    with_demand = demand > 0
    return Figures(
        covered=float(demand[covers > 0].sum() / total),
        expected=float(demand @ (1 - share**covers) / total),
        reached=float(demand[np.isfinite(near)].sum() / total),
        mean=float(demand[with_demand] @ near[with_demand] / total),
        percentiles=weighted_percentiles(near[with_demand], demand[with_demand], wanted),
        uncovered=np.flatnonzero(with_demand & (covers == 0)),
    )


def weighted_percentiles(
    values: NDArray[np.float64], weights: NDArray[np.float64], percentiles: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the least values that at least so much of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    wanted = percentiles / 100 * reached[-1] * (1 - 1e-12)
    return values[order][np.minimum(np.searchsorted(reached, wanted), len(values) - 1)]
