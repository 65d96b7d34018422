"""What the fitted runs say of every day, with the scatter of the observations around them, and how often that is right.

The intervals are of the particles' own runs: those that came near the data on the fitted days. A particle run anew with
another seed would have an epidemic of another day and size, and forget what is known of this one. To each run comes the
scatter of the observations around it, estimated on the fitted days: counts scatter by the negative binomial law with
the mean of the run, others by the normal law. That includes what the model misses, so that intervals are honest where the
model is rough.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import gammaln, ndtri, xlogy
from scipy.stats import nbinom

from ...environment.randomness import key, uniforms
from .observed import Observed
from .settings import Observation

Floats = NDArray[np.float64]

DRAWS = 2000
"""Draws of which the intervals are taken."""
LEVELS = (0.5, 0.9)
"""Parts of the draws that the intervals hold."""
TAILS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Ends of those intervals, and the median."""
LEAST_MEAN = 0.5
"""People or events: least mean of counts, as some may be observed where a run has none."""
_DISPERSIONS = (1e-2, 1e6)


@dataclass(frozen=True)
class Prediction:
    """What is expected to be observed in one column.

    Attributes:
        scatter: dispersion k of the negative binomial law (variance m + m²/k), or standard deviation of the normal law.
        quantiles: (5, days): 5, 25, 50, 75 and 95 % of the draws.
        covered: share of the observed days within each interval by part of the days (``fitted``, ``held_out``) and
            level, with the number of days.
    """

    scatter: float
    quantiles: Floats
    covered: dict[str, dict[str, float]]


def predict(
    figures: Mapping[str, Floats],
    scales: Mapping[str, Floats],
    weight: Floats,
    observed: Observed,
    observations: Mapping[str, Observation],
    seed: int,
) -> dict[str, Prediction]:
    """Return the prediction by column.

    Args:
        figures: by column the figure of the series of each run, (runs, days).
        scales: by column the factor on it, (runs,).
        weight: (runs,) summing to 1.
        observed: the data.
        observations: what each column is compared with.
        seed: every draw depends on it.
    """
    draws = np.arange(DRAWS)
    # Evenly spread over the weights, so that particles stand in proportion to them as nearly as can be.
    at = (draws + uniforms(key(seed, "calibrate resampling"), np.zeros(1, np.int64), 0)[0]) / DRAWS
    chosen = np.minimum(np.searchsorted(np.cumsum(weight), at), len(weight) - 1)
    predictions = {}
    for name, observation in observations.items():
        scale = np.asarray(scales[name], float)[:, None]
        # Counts scatter in whole people on the smaller side, of the city or of the data; see distance().
        unit = np.maximum(1.0, scale) if observation.error == "counts" else np.ones_like(scale)
        means = np.asarray(figures[name], float) * scale / unit
        values = observed.values[name]
        used = observed.fitted & ~np.isnan(values)
        scatter = _scatter(observation, means[:, observed.days[used]], values[used] / unit, weight)
        purpose = key(seed, f"calibrate scatter {name}")
        levels = np.stack([uniforms(purpose, draws, day) for day in range(means.shape[1])], 1)
        drawn = _drawn(observation, means[chosen], scatter, levels) * unit[chosen]
        quantiles = np.quantile(drawn, TAILS, axis=0, method="inverted_cdf")
        predictions[name] = Prediction(scatter, quantiles, _covered(quantiles, observed, values))
    return predictions


def _scatter(observation: Observation, expected: Floats, values: Floats, weight: Floats) -> float:
    """Return the dispersion or standard deviation under which the fitted observations are likeliest."""
    if observation.error == "normal":
        return float(np.sqrt(weight @ ((values - expected) ** 2).mean(1)))
    mean = np.maximum(expected, LEAST_MEAN)

    def surprise(log_k: float) -> float:
        k = np.exp(log_k)
        chance = gammaln(values + k) - gammaln(k) + k * np.log(k / (k + mean)) + xlogy(values, mean / (k + mean))
        return -float(weight @ chance.sum(1))

    best = minimize_scalar(surprise, bounds=np.log(_DISPERSIONS), method="bounded")
    return float(np.exp(best.x))


def _drawn(observation: Observation, expected: Floats, scatter: float, levels: Floats) -> Floats:
    """Return one draw of each expected value, at the level of its law that is given."""
    if observation.error == "normal":
        return expected + scatter * ndtri(levels)
    mean = np.maximum(expected, LEAST_MEAN)
    return np.asarray(nbinom.ppf(levels, scatter, scatter / (scatter + mean)), float)


def _covered(quantiles: Floats, observed: Observed, values: Floats) -> dict[str, dict[str, float]]:
    covered = {}
    for part, days in (("fitted", observed.fitted), ("held_out", ~observed.fitted)):
        there = days & ~np.isnan(values)
        if not there.any():
            continue
        at = quantiles[:, observed.days[there]]
        shares: dict[str, float] = {"days": int(there.sum())}
        for number, level in enumerate(LEVELS):
            low, high = at[1 - number], at[3 + number]
            shares[f"{level:.0%}"] = float(((low <= values[there]) & (values[there] <= high)).mean())
        covered[part] = shares
    return covered
