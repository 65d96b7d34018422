"""Candidates weighed against each other: who keeps the constraints, whom nobody beats, where the best compromise lies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..compare import interval
from .replicates import Floats
from .settings import OptimiseSettings

Estimate = tuple[float, float, float]
"""A mean and the ends of its interval, not numbers with one replicate."""


@dataclass(frozen=True, eq=False)
class Judged:
    """A candidate and what its runs came to.

    Attributes:
        number: position among the distinct candidates; that of the baseline is 0.
        parameters: value by dotted key.
        figures: by indicator (replicates,), in the order of the seeds; None where a run failed or came to no figure.
    """

    number: int
    parameters: Mapping[str, Any]
    figures: Mapping[str, Floats] | None

    @cached_property
    def means(self) -> dict[str, float] | None:
        """The mean of every indicator; None where a run failed."""
        if self.figures is None:
            return None
        return {name: float(values.mean()) for name, values in self.figures.items()}

    def level(self, indicator: str) -> Estimate:
        """Return the mean of an indicator and its t interval."""
        return _estimate(self._values(indicator))

    def difference(self, indicator: str, baseline: "Judged") -> Estimate:
        """Return the mean of the differences to the baseline, runs of one seed paired, and its t interval."""
        return _estimate(self._values(indicator) - baseline._values(indicator))

    def _values(self, indicator: str) -> Floats:
        return np.array([np.nan]) if self.figures is None else self.figures[indicator]


def _estimate(values: Floats) -> Estimate:
    return float(values.mean()), *interval(values)


@dataclass(frozen=True, eq=False)
class Weighed:
    """All candidates, weighed.

    Attributes:
        settings: goals and constraints.
        baseline: the scenario as it is written.
        candidates: the distinct ones in the order in which they were proposed.
        feasible: numbers of those that keep all constraints in the mean.
        front: numbers of those that no other feasible one beats, from the best to the worst in the first goal; of several
            that are equal in all goals the first one.
        knee: number of the best compromise on the front: the one nearest to the best of all goals, each in units of
            what it ranges over on the front; None if the front has fewer than three.
    """

    settings: OptimiseSettings
    baseline: Judged
    candidates: tuple[Judged, ...]
    feasible: frozenset[int]
    front: tuple[int, ...]
    knee: int | None

    def of(self, number: int) -> Judged:
        """Return a candidate, or the baseline (0)."""
        return self.candidates[number - 1] if number else self.baseline


def weigh(settings: OptimiseSettings, baseline: Judged, candidates: Sequence[Judged]) -> Weighed:
    """Weigh candidates, numbered from 1, against each other."""
    keeping = [judged for judged in candidates if judged.means is not None and keeps(settings, judged.means)]
    costs = np.array([_costs(settings, judged.means or {}) for judged in keeping]).reshape(-1, len(settings.goals))
    best = undominated(costs)
    front = costs[best]
    return Weighed(
        settings,
        baseline,
        tuple(candidates),
        frozenset(judged.number for judged in keeping),
        tuple(keeping[row].number for row in best),
        keeping[best[knee(front)]].number if len(front) >= 3 else None,
    )


def keeps(settings: OptimiseSettings, means: Mapping[str, float]) -> bool:
    """Return whether means keep all constraints."""
    return all(bound.excess(means[name]) <= 0 for name, bound in settings.bounds.items())


def _costs(settings: OptimiseSettings, means: Mapping[str, float]) -> list[float]:
    return [means[name] if goal == "least" else -means[name] for name, goal in settings.goals.items()]


def undominated(costs: Floats) -> list[int]:
    """Return the rows (n, goals) that no other is at most as costly as in all goals and cheaper in one.

    Of equal rows the first is taken; they come in the order of the goals.
    """
    kept: list[int] = []
    for row in np.lexsort((np.arange(len(costs)), *costs.T[::-1])).tolist():  # nobody is beaten by a later one
        if not (costs[kept] <= costs[row]).all(1).any():
            kept.append(row)
    return kept


def knee(front: Floats) -> int:
    """Return the row of a front (n, goals) that is nearest to the least of all goals, each in units of its range there."""
    span = np.ptp(front, axis=0)
    scaled = (front - front.min(0)) / np.where(span > 0, span, 1.0)
    return int(np.argmin((scaled**2).sum(1)))
