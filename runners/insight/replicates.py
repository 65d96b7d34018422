"""Replicates of points: what an indicator came to in every run, how much of it is luck, and resampling of both.

Luck is what differs between runs of one point. Where all points have the same seeds, a seed that is unlucky everywhere
moves all points together: that part of luck does not disturb a comparison of points, and is told apart from the part that
does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ...environment.randomness import key
from ..compare import LEVEL, check_indicator
from ..storage.tables import StoreError

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RESAMPLES = 1000
"""Resamples from which an interval is taken: its ends are then known to about 3 % of its width."""
AT_ONCE = 4_000_000
"""Numbers that are resampled at once; 32 MB."""


@dataclass(frozen=True, eq=False)
class Outputs:
    """An indicator in every run.

    Attributes:
        indicator: column of the summary.
        values: (points, replicates); not a number where a run is missing or came to nothing.
        common: whether a replicate has the same seed at every point.
    """

    indicator: str
    values: Floats
    common: bool


@dataclass(frozen=True)
class Luck:
    """How much of the variance is luck; None where there are no replicates to tell.

    Attributes:
        single: share of the variance of single runs.
        means: share of the variance of the means of points, which is what an analysis of points divides up.
    """

    single: float | None
    means: float | None


def outputs_of(summary: "pd.DataFrame", points: int, indicator: str) -> Outputs:
    """Return what an indicator came to in every run.

    Args:
        summary: a row a run, with ``point``, ``replicate`` and ``seed``.
        points: number of points of the sweep, those without a run included.
        indicator: column of the summary.

    Raises:
        StoreError: if the summary has no such figure, or none that varies.
    """
    check_indicator(summary, indicator)
    replicates = np.unique(summary["replicate"].to_numpy())
    values = np.full((points, len(replicates)), np.nan)
    found = summary[indicator].to_numpy(float)
    values[summary["point"].to_numpy(), np.searchsorted(replicates, summary["replicate"].to_numpy())] = found
    values[~np.isfinite(values)] = np.nan
    there = values[~np.isnan(values)]
    if not len(there):
        raise StoreError(f"{indicator}: no run has a figure; choose another indicator")
    if np.ptp(there) == 0:
        raise StoreError(
            f"{indicator}: is {there[0]:g} in all {len(there):,} runs, so nothing moves it; choose another indicator"
        )
    return Outputs(indicator, values, bool(summary.groupby("replicate")["seed"].nunique().max() == 1))


def luck(outputs: Outputs) -> Luck:
    """Return how much of the variance is luck.

    With seeds that all points share: two-way analysis of variance by point and seed without repetition (Searle 1971,
    "Linear Models", section 9.4), over the points that have all replicates. Otherwise one-way, by point.
    """
    values = outputs.values
    counts = (~np.isnan(values)).sum(1)
    if outputs.common:
        whole = values[counts == values.shape[1]]
        if values.shape[1] < 2 or len(whole) < 2:
            return Luck(None, None)
        points, seeds = whole.shape
        of_points, of_seeds = whole.mean(1), whole.mean(0)
        rest = whole - of_points[:, None] - of_seeds + whole.mean()
        disturbing = float((rest**2).sum()) / ((points - 1) * (seeds - 1))
        between = float(of_points.var(ddof=1))
        shared = max(0.0, float(of_seeds.var(ddof=1)) - disturbing / points)
        in_means = disturbing / seeds
    else:
        repeated = values[counts >= 2]
        if len(repeated) < 2:
            return Luck(None, None)
        counts = counts[counts >= 2]
        means = np.nanmean(repeated, 1)
        disturbing = float(np.nansum((repeated - means[:, None]) ** 2) / (counts - 1).sum())
        between, shared = float(means.var(ddof=1)), 0.0
        in_means = disturbing * float((1 / counts).mean())
    of_parameters = max(0.0, between - in_means)
    total = of_parameters + shared + disturbing
    return Luck((shared + disturbing) / total if total else 0.0, min(1.0, in_means / between) if between else 0.0)


# ---------------------------------------------------------------------- blocks


def whole_blocks(outputs: Outputs, members: Integers) -> tuple[Integers, Floats]:
    """Return the blocks of points that can be used, and their outputs.

    A block is used if all its points have runs. With common seeds only those replicates of a block count that all its
    points have, so that a seed that failed at one of them does not shift it against the others.

    Args:
        outputs: of all points.
        members: (blocks, members) numbers of points.

    Returns:
        Numbers of the blocks (used,), and values (used, members, replicates), where replicates that are missing have
        the mean of those that are there.
    """
    values = outputs.values[members]
    there: NDArray[np.bool_] = ~np.isnan(values)
    if outputs.common:
        there &= np.all(there, axis=1, keepdims=True)
    used = np.flatnonzero(np.all(np.any(there, axis=2), axis=1))
    values, there = values[used], there[used]
    means = np.where(there, values, 0.0).sum(2, keepdims=True) / there.sum(2, keepdims=True)
    return used, np.where(there, values, means)


Estimate = Callable[[Floats, Integers], Floats]
"""From values (blocks, members, samples) and the numbers (blocks, samples) of their blocks to estimates (n, samples)."""


def resampled(estimate: Estimate, values: Floats, *, common: bool, seed: str, resamples: int = RESAMPLES) -> Floats:
    """Return what an estimate comes to on resamples of the blocks, and of the seeds where they are common.

    With seeds of their own the luck of the points is resampled along with the blocks. A seed that all points share is not:
    there the seeds are drawn anew as well (Owen 2007, "The pigeonhole bootstrap").

    Args:
        estimate: what is estimated.
        values: (blocks, members, replicates).
        common: whether a replicate has the same seed at every point.
        seed: a text that the draws follow from.
        resamples: number of them.

    Returns:
        Estimates (n, resamples).
    """
    generator = np.random.default_rng(int(key(0, f"sensitivity {seed}")))
    blocks, members, replicates = values.shape
    parts = []
    step = max(1, AT_ONCE // (blocks * members))
    for first in range(0, resamples, step):
        samples = min(step, resamples - first)
        rows = generator.integers(blocks, size=(blocks, samples))
        if common and replicates > 1:
            drawn = generator.integers(replicates, size=(replicates, samples))
            weight = (drawn[None] == np.arange(replicates)[:, None, None]).mean(1)
            means = values @ weight
        else:
            means = np.broadcast_to(values.mean(2, keepdims=True), (blocks, members, samples))
        parts.append(estimate(np.take_along_axis(means, rows[:, None, :], 0), rows))
    return np.concatenate(parts, 1)


def estimated(estimate: Estimate, values: Floats) -> Floats:
    """Return the estimates (n,) from all blocks and replicates."""
    rows = np.arange(len(values))[:, None]
    return estimate(values.mean(2, keepdims=True), rows)[:, 0]


def normal_interval(middle: Floats, samples: Floats, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Return the ends of intervals (n,): estimates ± a normal quantile times the spread of samples (n, resamples)."""
    half = float(ndtri((1 + level) / 2)) * samples.std(1, ddof=1)
    return middle - half, middle + half
