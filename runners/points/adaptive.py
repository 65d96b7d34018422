"""Which runs a sweep needs next: replicates until an interval is narrow enough, and what a budget still allows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, sqrt

import numpy as np

from .settings import Budget, Until
from .tasks import Run

PILOT_RUNS = 8
"""Runs by whose cost the first share of a budget in processor time is measured (assumed)."""
_GROWTH = 2
"""Replicates are at most doubled at a time: the variance of a few runs is a rough guess (assumed)."""


@dataclass(frozen=True)
class Precision:
    """How well a figure is known at a point.

    Attributes:
        values: runs, or pairs of runs of one seed, that it is known from.
        half_width: half the width of its interval; infinite with fewer than two values.
        narrow: whether that is narrow enough.
    """

    values: int
    half_width: float
    narrow: bool


def precision(until: Until, figures: Sequence[Mapping[int, float]], position: int) -> Precision:
    """Return how well the figure of a point is known.

    The interval is that of Student's t distribution (Student 1908): of the mean over the replicates, or of the mean of the
    differences to the same replicates of point 0, whose own difference is 0 without any doubt.

    Args:
        until: what is asked for.
        figures: by point of the design, the figure by replicate; replicates that failed are missing.
        position: the point.
    """
    own = figures[position]
    if until.of == "difference":
        pairs = own.keys() & figures[0].keys()
        values = np.array([own[replicate] - figures[0][replicate] for replicate in sorted(pairs)])
    else:
        values = np.array([own[replicate] for replicate in sorted(own)])
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return Precision(len(values), float("inf"), False)
    half = _quantile(until.level, len(values)) * float(values.std(ddof=1)) / sqrt(len(values))
    return Precision(len(values), half, half <= until.half_width)


def further(until: Until, made: Sequence[int], figures: Sequence[Mapping[int, float]]) -> list[Run]:
    """Return the runs that are needed next, in order of replicates; none when every point is known well enough.

    A point gets as many replicates as its variance so far asks for, at most twice as many as it has, and never more than
    ``at_most``. Where differences are wanted, point 0 has every replicate that another has.

    Args:
        until: what is asked for.
        made: replicates made of each point of the design, those that failed included.
        figures: as for :func:`precision`.
    """
    wanted = [_wanted(until, count, figures, position) for position, count in enumerate(made)]
    if until.of == "difference":
        wanted[0] = max(wanted)
    runs = [
        (position, replicate)
        for position, count in enumerate(made)
        for replicate in range(count, max(wanted[position], until.at_least))
    ]
    return sorted(runs, key=lambda run: (run[1], run[0]))


def _wanted(until: Until, made: int, figures: Sequence[Mapping[int, float]], position: int) -> int:
    """Return how many replicates a point should have next."""
    known = precision(until, figures, position)
    if known.narrow or made >= until.at_most:
        return made
    most = min(until.at_most, _GROWTH * made)
    if known.values < 2:
        return most
    deviation = known.half_width * sqrt(known.values) / _quantile(until.level, known.values)
    for replicates in range(made + 1, most):
        if _quantile(until.level, replicates) * deviation <= until.half_width * sqrt(replicates):
            return replicates
    return most


@lru_cache(maxsize=4096)
def _quantile(level: float, values: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(values - 1, (1 + level) / 2))


def affordable(budget: Budget, wanted: Sequence[Run], made: int, spent: float) -> list[Run]:
    """Return the first of the wanted runs that a budget allows next; none when it is spent.

    Of a budget in processor time half of what is left is given out at a time, by the mean cost of the runs so far, so that
    runs that cost more than others overspend little.

    Args:
        budget: what may be used in all.
        wanted: runs in the order in which they are wanted.
        made: runs made so far, those that failed included.
        spent: processor time they took [s].
    """
    if budget.runs is not None:
        return list(wanted[: max(budget.runs - made, 0)])
    assert budget.cpu is not None
    left = budget.cpu - spent
    if left <= 0:
        return []
    if not made:
        return list(wanted[:PILOT_RUNS])
    cost = spent / made
    if cost <= 0:
        return list(wanted)
    if left < cost:
        return []
    return list(wanted[: max(1, ceil(left / cost / 2))])
