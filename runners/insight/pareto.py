"""Candidates weighed against each other: who keeps the constraints, whom nobody beats, where the best compromise lies.

The best of many candidates is partly the luckiest of them: judged by the seeds that it was chosen by it looks better than it
is (the winner's curse; Smith and Winkler 2006, Management Science 52:311-322). What is chosen is therefore judged again, by
seeds on which nothing was chosen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isnan
from typing import Any

import numpy as np

from ..compare import interval
from .replicates import Floats
from .settings import OptimiseSettings

Estimate = tuple[float, float, float]
"""A mean and the ends of its interval, not numbers with one replicate."""

CHOSEN = 15
"""Candidates of the front that are judged again; of more, so many spread evenly over it."""
BEST_CHOSEN = 10
"""Candidates that are judged again where there is one goal."""


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
        fresh: by number, the baseline (0) and the chosen candidates as judged by fresh seeds; empty if none is feasible.
    """

    settings: OptimiseSettings
    baseline: Judged
    candidates: tuple[Judged, ...]
    feasible: frozenset[int]
    front: tuple[int, ...]
    knee: int | None
    fresh: Mapping[int, Judged] = field(default_factory=dict)

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


def chosen(weighed: Weighed) -> list[int]:
    """Return the numbers of the candidates that are worth knowing: of the front or, with one goal, the best few."""
    if len(weighed.settings.goals) == 1:
        [name] = weighed.settings.goals
        sign = 1 if weighed.settings.goals[name] == "least" else -1
        feasible = [judged for judged in weighed.candidates if judged.number in weighed.feasible]
        best = sorted(feasible, key=lambda judged: sign * (judged.means or {})[name])
        return [judged.number for judged in best[:BEST_CHOSEN]]
    front = weighed.front
    if len(front) <= CHOSEN:
        return list(front)
    spread = {front[round(place * (len(front) - 1) / (CHOSEN - 1))] for place in range(CHOSEN)}
    return [number for number in front if number in spread or number == weighed.knee]


@dataclass(frozen=True)
class Verdict:
    """Whether a candidate is, by fresh seeds, what it was chosen for.

    Attributes:
        broken: indicators whose constraint the mean breaks.
        beaten: whether no goal is served better than by the scenario as written, in the mean; where :func:`baseline_stands`.
        sure: whether no interval of a constrained indicator reaches beyond its bound, and in some goal that of the
            difference to the scenario as written lies wholly on the better side.
    """

    broken: tuple[str, ...]
    beaten: bool
    sure: bool

    @property
    def holds(self) -> bool:
        """Whether the constraints are kept and something is gained."""
        return not self.broken and not self.beaten


def verdict(weighed: Weighed, number: int) -> Verdict | None:
    """Return whether a candidate holds by fresh seeds; None where it was not judged again, or a run failed."""
    settings, judged = weighed.settings, weighed.fresh.get(number)
    if judged is None or judged.means is None:
        return None
    means, baseline = judged.means, weighed.fresh[0]
    broken = tuple(name for name, bound in settings.bounds.items() if bound.excess(means[name]) > 0)
    gains = [_gain(settings, name, judged.difference(name, baseline)) for name in settings.goals]
    asked = baseline_stands(weighed)
    beaten = asked and all(middle <= 0 for middle, _ in gains)
    surely_better = not asked or any(worst > 0 for _, worst in gains)
    return Verdict(broken, beaten, surely_better and not unsure(settings, judged))


def baseline_stands(weighed: Weighed) -> bool:
    """Return whether a candidate must be better than the scenario as written, which keeps the constraints by fresh seeds."""
    means = weighed.fresh[0].means
    known = means is not None and not any(isnan(means[name]) for name in weighed.settings.indicators)
    return known and keeps(weighed.settings, means or {})


def _gain(settings: OptimiseSettings, goal: str, difference: Estimate) -> tuple[float, float]:
    """Return by how much a goal is served better than by the baseline, in the mean and at the worse end of the interval."""
    middle, low, high = difference
    return (-middle, -high) if settings.goals[goal] == "least" else (middle, low)


def unsure(settings: OptimiseSettings, judged: Judged) -> bool:
    """Return whether the interval of a constrained indicator reaches from one side of its bound to the other."""
    for name, bound in settings.bounds.items():
        _, low, high = judged.level(name)
        if not isnan(low) and (bound.excess(low) <= 0) != (bound.excess(high) <= 0):
            return True
    return False


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
