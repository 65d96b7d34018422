"""Quantiles of laws of counts, so that one uniform draw gives a count."""

import numpy as np
from scipy.special import pdtr


def poisson(mean: float, u: float) -> int:
    """Return the number at quantile u of a Poisson law; it grows with the mean."""
    low, high = -1, int(mean + 20 * np.sqrt(mean) + 50)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if pdtr(middle, mean) > u else (middle, high)
    return high
