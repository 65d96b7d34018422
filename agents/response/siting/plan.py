"""Plans of stations and units, and the checks of what a plan is asked for with."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

AUTO, EXACT, SEARCH = "auto", "exact", "greedy and swap"
METHODS = (AUTO, EXACT, SEARCH)
"""How plans are looked for: by branch and bound (HiGHS), or greedily with swaps; ``auto`` is exact for small cases."""
NAMED = 8
"""Points or sites that an error names."""


class SitingError(ValueError):
    """A question about sites that has no meaning or no answer; the message says what is allowed."""


@dataclass(frozen=True)
class Plan:
    """Where units stand.

    Attributes:
        problem: what was asked, for example "MCLP".
        method: "exact" or "greedy and swap".
        units: int64 (sites,) units at each site.
        objective: value of the plan, in the terms of its problem.
        bound: proven bound of the best value, above for problems that maximise and below for those that minimise; nan
            if none was looked for. An exact plan that is proven best has its objective as bound, but for rounding.
    """

    problem: str
    method: str
    units: NDArray[np.int64]
    objective: float
    bound: float = float("nan")

    @property
    def sites(self) -> NDArray[np.int64]:
        """Sites with a unit, ascending; a site with several units stands there once."""
        return np.flatnonzero(self.units)

    @property
    def gap(self) -> float:
        """Distance of bound and objective as a share of the objective; nan without a bound."""
        distance = abs(self.bound - self.objective)
        return distance / abs(self.objective) if self.objective else distance


@dataclass(frozen=True)
class Task:
    """What a plan is asked for with, checked.

    Attributes:
        weights: float64 (points,) demand.
        seconds: float64 (points, sites) travel, infinite where there is no way.
        units: number of units to be placed.
        least, most: int64 (sites,) units that must and may stand at each site.
        current: int64 (sites,) plan to start from, or None.
        method: one of :data:`METHODS`.
    """

    weights: NDArray[np.float64]
    seconds: NDArray[np.float64]
    units: int
    least: NDArray[np.int64]
    most: NDArray[np.int64]
    current: NDArray[np.int64] | None
    method: str

    def exact(self, pairs: int) -> bool:
        """Say whether to prove the plan best: if asked for, or if there are at most so many pairs of point and site."""
        return self.method == EXACT or (self.method == AUTO and self.seconds.size <= pairs)


def named(rows: NDArray[np.intp]) -> str:
    """Return the first of some rows as text."""
    return ", ".join(str(row) for row in rows[:NAMED]) + (f" and {len(rows) - NAMED} more" if len(rows) > NAMED else "")


def task(
    weights: ArrayLike | None,
    seconds: ArrayLike,
    units: int | None,
    *,
    least: ArrayLike = 0,
    most: ArrayLike | None = 1,
    current: ArrayLike | None = None,
    method: str = AUTO,
) -> Task:
    """Return a checked task; ``weights`` None means 1 each, ``units`` None as many as there is room, ``most`` None no limit.

    Raises:
        SitingError: naming all that is wrong.
    """
    travel = checked_seconds(seconds)
    points, sites = travel.shape
    demand = np.ones(points) if weights is None else checked_weights(weights, points)
    if method not in METHODS:
        raise SitingError(f"method {method!r}; allowed are {', '.join(METHODS)}")
    if units is not None and (not isinstance(units, int | np.integer) or units < 0):
        raise SitingError(f"units: a whole number from 0; got {units!r}")
    low = whole("least", least, sites)
    high = np.full(sites, low.max(initial=0) + (units or 1)) if most is None else whole("most", most, sites)
    if len(rows := np.flatnonzero(low > high)):
        raise SitingError(f"least units are above most units at sites {named(rows)}")
    wanted = int(high.sum()) if units is None else int(units)
    if wanted > high.sum():
        raise SitingError(f"{wanted} units for {sites} sites that may hold {high.sum()}; ask for fewer or raise most")
    if wanted < low.sum():
        raise SitingError(f"{wanted} units, but {low.sum()} must stand by least; ask for more or lower least")
    now = None if current is None else whole("current", current, sites)
    if now is not None:
        if len(rows := np.flatnonzero((now < low) | (now > high))):
            raise SitingError(f"the current plan breaks least or most at sites {named(rows)}")
        if now.sum() > wanted:
            raise SitingError(
                f"the current plan has {now.sum()} units, more than the {wanted} asked for; "
                "to see which to close, leave current out and give its units as most"
            )
    return Task(demand, travel, wanted, low, high, now, method)


def checked_seconds(seconds: ArrayLike) -> NDArray[np.float64]:
    """Return travel times (points, sites) as float64; infinite is allowed."""
    travel = np.asarray(seconds, float)
    if travel.ndim != 2 or 0 in travel.shape:
        raise SitingError(f"seconds: an array (points, sites), both at least 1; got {travel.shape}")
    wrong = np.isnan(travel) | (travel < 0)
    if wrong.any():
        point, site = np.argwhere(wrong)[0]
        raise SitingError(
            f"seconds: from 0, infinite without a way; got {travel[point, site]} from site {site} to point {point} "
            f"({wrong.sum()} such values)"
        )
    return travel


def checked_weights(weights: ArrayLike, points: int) -> NDArray[np.float64]:
    """Return demand as float64 (points,), from 0 and not all 0."""
    demand = np.asarray(weights, float)
    if demand.shape != (points,):
        raise SitingError(f"weights: one for each of the {points} points; got {demand.shape}")
    if len(rows := np.flatnonzero(~np.isfinite(demand) | (demand < 0))):
        raise SitingError(
            f"weights: finite, from 0; got {demand[rows[0]]} at point {rows[0]} ({len(rows)} such values)"
        )
    if not demand.any():
        raise SitingError("weights: all are 0; at least one point must have demand")
    return demand


def checked_standard(standard: ArrayLike, points: int, name: str = "standard") -> NDArray[np.float64]:
    """Return standards as float64 (points,), one for all or one each."""
    limit = np.asarray(standard, float)
    if limit.shape not in ((), (points,)) or np.isnan(limit).any() or (limit < 0).any():
        raise SitingError(f"{name}: seconds from 0, one or one for each of the {points} points; got {standard!r}")
    return np.broadcast_to(limit, (points,))


def checked_share(name: str, share: float, *, one: bool) -> float:
    """Return a share from 0 to below 1, or to 1 if ``one``."""
    if not (0 <= share < 1 or (one and share == 1)):
        raise SitingError(f"{name} is {share}; allowed is from 0 {'to' if one else 'to below'} 1")
    return float(share)


def whole(name: str, numbers: ArrayLike, sites: int) -> NDArray[np.int64]:
    """Return whole numbers from 0 as int64 (sites,), one for all or one each."""
    given = np.asarray(numbers)
    if given.shape not in ((), (sites,)) or given.dtype.kind not in "iub" or (given < 0).any():
        raise SitingError(f"{name}: whole numbers from 0, one or one for each of the {sites} sites; got {numbers!r}")
    return np.array(np.broadcast_to(given, (sites,)), np.int64)
