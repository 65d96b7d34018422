"""Which parameters of a sweep move an indicator: Sobol indices, elementary effects or rank correlation, by its design."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite, log
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compare import LEVEL
from ..points.settings import Range as SweptRange
from ..points.settings import SweepSettings
from ..storage.tables import StoreError
from .ranks import rank_correlations
from .replicates import (
    RESAMPLES,
    Estimate,
    Floats,
    Integers,
    Luck,
    Outputs,
    estimated,
    luck,
    normal_interval,
    outputs_of,
    resampled,
    whole_blocks,
)
from .screening import elementary_effects, morris_indices, morris_trajectories
from .variance import DesignError, saltelli_blocks, sobol_indices

if TYPE_CHECKING:
    from ..results import Results

SOBOL, MORRIS, RANKS = "sobol", "morris", "ranks"
BLOCKS = {SOBOL: "blocks", MORRIS: "trajectories", RANKS: "points"}
"""What is used as a whole or not at all, by method."""
MEASURES = {SOBOL: ("first_order", "total"), MORRIS: ("mu", "mu_star", "sigma"), RANKS: ("rank", "partial_rank")}
"""What is estimated for every parameter, by method."""
SECOND = "second_order"
"""What is estimated for every pair of parameters by Sobol's method, where the design serves it."""
FEWEST = {SOBOL: 2, MORRIS: 2, RANKS: 4}
"""Blocks, trajectories or points without which nothing can be said."""
RANKED_AT_MOST = 20_000_000
"""Ranks taken for the intervals of one indicator: about 10 s (assumed). Of more points there are fewer resamples."""
FEWEST_RESAMPLES = 100


@dataclass(frozen=True)
class Range:
    """Where a sampled parameter lies.

    Attributes:
        low: lower end.
        high: upper end.
        log: whether it is sampled in its logarithm.
    """

    low: float
    high: float
    log: bool = False

    def position(self, values: Floats) -> Floats:
        """Return where values lie between the ends, 0 to 1."""
        if self.log:
            return (np.log(values) - log(self.low)) / (log(self.high) - log(self.low))
        return (values - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Index:
    """One estimate with its interval.

    Attributes:
        measure: what is estimated, of :data:`MEASURES`, or :data:`SECOND`.
        parameter: of which parameter.
        other: the second one of a pair, or None.
        estimate, low, high: not a number where it cannot be told.
    """

    measure: str
    parameter: str
    other: str | None
    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Finding:
    """What moves an indicator.

    Attributes:
        indicator: column of the summary.
        method: ``sobol``, ``morris`` or ``ranks``.
        indices: the estimates.
        used: blocks, trajectories or points that were used.
        dropped: those that were left out because a run of theirs is missing.
        still: trajectories that were left out because rounding made a step 0.
        luck: how much of the variance is luck.
    """

    indicator: str
    method: str
    indices: tuple[Index, ...]
    used: int
    dropped: int
    still: int
    luck: Luck

    def of(self, measure: str, parameter: str, other: str | None = None) -> Index:
        """Return an estimate."""
        return next(i for i in self.indices if (i.measure, i.parameter, i.other) == (measure, parameter, other))


@dataclass(frozen=True)
class Sensitivity:
    """What moves the indicators of a sweep.

    Attributes:
        design: design of the sweep.
        parameters: the parameters told apart.
        left_out: swept parameters whose values are no numbers, which ranks say nothing of.
        points, runs: their numbers in the sweep.
        missing: runs that are not in the results.
        failed: those of them that failed.
        replicates: runs of a point.
        findings: one an indicator.
    """

    design: str
    parameters: tuple[str, ...]
    left_out: tuple[str, ...]
    points: int
    runs: int
    missing: int
    failed: int
    replicates: int
    findings: tuple[Finding, ...]

    def facts(self) -> dict[str, Any]:
        """Return all of it, JSON-able; None stands for what cannot be told."""
        data: dict[str, Any] = asdict(self) | {"level": LEVEL}
        for finding in data["findings"]:
            for index in finding["indices"]:
                index |= {name: _number(index[name]) for name in ("estimate", "low", "high")}
        return data


def _number(value: float) -> float | None:
    return float(value) if isfinite(value) else None


# ---------------------------------------------------------------------- of arrays


def analyse(design: str, points: Mapping[str, Floats], ranges: Mapping[str, Range], outputs: Outputs) -> Finding:
    """Return what moves an indicator.

    Args:
        design: name of the design; ``saltelli`` and ``morris`` are analysed by their own methods, all others by ranks.
        points: values (points,) of every parameter in the order of the sweep.
        ranges: of every parameter; needed for ``morris`` alone.
        outputs: the indicator at the points.

    Raises:
        DesignError: if the points are not those of the design.
        StoreError: if too little of it is in the results.
    """
    names = list(points)
    values = np.column_stack(list(points.values())).astype(float)
    if design == "saltelli":
        part = _of_saltelli(values, outputs)
    elif design == "morris":
        part = _of_morris(np.column_stack([ranges[name].position(points[name]) for name in names]), outputs)
    else:
        part = _of_any(values, outputs)
    middle = estimated(part.estimate, part.values)
    resamples = RESAMPLES
    if part.method == RANKS:
        resamples = max(FEWEST_RESAMPLES, min(RESAMPLES, RANKED_AT_MOST // (values.size + len(values))))
    samples = resampled(part.estimate, part.values, common=outputs.common, seed=outputs.indicator, resamples=resamples)
    low, high = _percentiles(samples) if part.method == RANKS else normal_interval(middle, samples)
    if part.method == MORRIS:
        low[len(names) :] = np.maximum(low[len(names) :], 0)  # sizes and spreads are never negative
    about: list[tuple[str, str, str | None]]
    about = [(measure, name, None) for measure in MEASURES[part.method] for name in names]
    if len(middle) > len(about):
        about += [(SECOND, *pair) for pair in itertools.combinations(names, 2)]
    indices = tuple(Index(*what, *map(float, row)) for what, *row in zip(about, middle, low, high, strict=True))
    used = len(part.values)
    return Finding(outputs.indicator, part.method, indices, used, part.there - used, part.still, luck(outputs))


@dataclass(frozen=True, eq=False)
class _Part:
    """The part of a sweep that can be used, and what is estimated from it.

    Attributes:
        method: one of :data:`MEASURES`.
        values: (blocks, members, replicates).
        estimate: from values to estimates.
        there: blocks that there would be if no run were missing.
        still: trajectories in which a parameter does not move, which are not among these.
    """

    method: str
    values: Floats
    estimate: Estimate
    there: int
    still: int = 0


def _of_saltelli(points: Floats, outputs: Outputs) -> _Part:
    _check_salib()
    members, pairs = saltelli_blocks(points)
    used, values = whole_blocks(outputs, members)
    _check_enough(SOBOL, outputs, used, len(members))
    parameters = points.shape[1]
    return _Part(SOBOL, values, lambda drawn, _: sobol_indices(drawn, parameters, pairs=pairs), len(members))


def _of_morris(positions: Floats, outputs: Outputs) -> _Part:
    members, after, steps = morris_trajectories(positions)
    moving = (steps != 0).all(1)
    members, after, steps = members[moving], after[moving], steps[moving]
    used, values = whole_blocks(outputs, members)
    _check_enough(MORRIS, outputs, used, len(members))
    effects = elementary_effects(values, after[used], steps[used])
    return _Part(MORRIS, effects, lambda drawn, _: morris_indices(drawn), len(members), int((~moving).sum()))


def _of_any(points: Floats, outputs: Outputs) -> _Part:
    used, values = whole_blocks(outputs, np.arange(len(points))[:, None])
    _check_enough(RANKS, outputs, used, len(points))
    there = points[used]
    return _Part(RANKS, values, lambda drawn, rows: rank_correlations(there, drawn, rows), len(points))


def _check_salib() -> None:
    try:
        import SALib  # noqa: F401
    except ImportError:
        raise StoreError('SALib is not installed; Sobol indices need it: pip install "citytwin[calibrate]"') from None


def _check_enough(method: str, outputs: Outputs, used: Integers, there: int) -> None:
    if len(used) < FEWEST[method]:
        raise StoreError(
            f"{outputs.indicator}: {len(used)} of {there} {BLOCKS[method]} have all their runs; at least "
            f"{FEWEST[method]} are needed; resume the sweep, or sample more points"
        )
    if np.ptp(np.nanmean(outputs.values[~np.isnan(outputs.values).all(1)], 1)) == 0:
        raise StoreError(f"{outputs.indicator}: comes to the same at all points, so nothing moves it")


def _percentiles(samples: Floats) -> tuple[Floats, Floats]:
    """Return the ends of intervals (n,), percentiles of samples (n, resamples); not numbers where half of these are none."""
    ends = np.full((2, len(samples)), np.nan)
    for number, row in enumerate(samples):
        known = row[np.isfinite(row)]
        if 2 * len(known) > len(row):
            ends[:, number] = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return ends[0], ends[1]


# ---------------------------------------------------------------------- of a sweep


def sensitivity(results: "Results", indicators: Sequence[str]) -> Sensitivity:
    """Return which parameters of a sweep move the indicators.

    Args:
        results: of a sweep.
        indicators: columns of its summary.

    Raises:
        StoreError: if there is nothing to tell: no run, nothing swept, no such indicator, one that never changes.
    """
    if "summary" not in results.tables or not len(results.summary):
        raise StoreError("no run is in the results yet")
    axes = _axes(results)
    findings = []
    for indicator in dict.fromkeys(indicators):
        outputs = outputs_of(results.summary, len(results.points), indicator)
        try:
            findings.append(analyse(axes.design, axes.values, axes.ranges, outputs))
        except DesignError as error:
            raise StoreError(f"{results.directory or 'results'}: {error}") from None
    runs = results.info["runs"]
    return Sensitivity(
        axes.design,
        tuple(axes.values),
        axes.left_out,
        len(results.points),
        runs,
        runs - len(results.summary),
        len(results.failures),
        len(results.info["replicates"]),
        tuple(findings),
    )


@dataclass(frozen=True, eq=False)
class _Axes:
    """Parameters of a sweep, with their values at every point."""

    design: str
    values: dict[str, Floats]
    ranges: dict[str, Range]
    left_out: tuple[str, ...]


def _axes(results: "Results") -> _Axes:
    sweep = results.scenario.sweep if results.is_of_city else SweepSettings(design="list")
    ranges = {
        name: Range(axis.from_, axis.to, axis.scale == "log")
        for name, axis in sweep.parameters.items()
        if isinstance(axis, SweptRange)
    }
    values: dict[str, Floats] = {}
    points = results.points
    for name in results.info["parameters"]:
        column = [point.get(name) for point in points]
        if all(isinstance(value, int | float) for value in column) and (name in ranges or len(set(column)) > 1):
            values[name] = np.array(column, float)
    if not values:
        raise StoreError(
            "no parameter with numbers varies between the points, so there is nothing to tell apart; sweep one, as with "
            'design = "saltelli" (Sobol indices), "morris" (elementary effects) or "lhs" (rank correlation)'
        )
    return _Axes(sweep.design, values, ranges, tuple(name for name in results.info["parameters"] if name not in values))
