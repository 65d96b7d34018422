"""Parameters as functions of standard normal numbers, so that the prior of any of them is the same.

A coordinate z ~ N(0, 1) has u = Φ(z) uniform in (0, 1), and the parameter is the quantile u of its prior. A kernel that
moves z without bounds can therefore never leave the bounds of the parameter, and the density of the prior at z is that of
the normal law: no kernel has to be cut off and no weight corrected for it. Whole numbers are steps of u.
"""

from collections.abc import Mapping
from math import exp, floor, log
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ...environment.randomness import key, uniforms
from .settings import Prior

Point = dict[str, Any]
"""Value by dotted key."""


def value_at(prior: Prior, share: float) -> float | int:
    """Return the quantile of a prior: ``share`` of it lies below."""
    low, high = prior.from_, prior.to
    if prior.whole:
        low, high = low - 0.5, high + 0.5
    value = exp(log(low) + share * (log(high) - log(low))) if prior.log else low + share * (high - low)
    value = min(max(value, low), high)
    return min(max(floor(value + 0.5), int(prior.from_)), int(prior.to)) if prior.whole else value


def points_of(priors: Mapping[str, Prior], normals: NDArray[np.float64]) -> list[Point]:
    """Return the parameters (n) that belong to standard normal coordinates (n, parameters)."""
    shares = ndtr(normals)
    return [
        {name: value_at(prior, float(share)) for (name, prior), share in zip(priors.items(), row, strict=True)}
        for row in shares
    ]


def normal_draws(seed: int, purpose: str, runs: NDArray[np.int64], parameters: int) -> NDArray[np.float64]:
    """Return standard normal numbers (n, parameters), each a function of seed, purpose, run and parameter alone."""
    purpose_key = key(seed, purpose)
    return ndtri(np.stack([uniforms(purpose_key, runs, number) for number in range(parameters)], 1))
