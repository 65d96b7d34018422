"""Rank correlation of parameters and an indicator, for sweeps of any design.

The rank correlation (Spearman) tells how steadily an indicator rises or falls with a parameter; the partial one
does so with the other parameters held by a regression of the ranks (Marino et al. 2008, Journal of Theoretical Biology
254:178-196). Neither sees what rises and falls again.
"""

import numpy as np
from scipy.stats import rankdata

from .replicates import Floats, Integers

FLAT = 1e-9
"""Least eigenvalue of the correlation of the parameters' ranks at which their parts can be told apart."""


def rank_correlations(points: Floats, values: Floats, rows: Integers) -> Floats:
    """Return the rank correlation and the partial one of every parameter with an indicator.

    Args:
        points: (points, parameters).
        values: (drawn, 1, samples) outputs of the points drawn; every sample is estimated by itself.
        rows: (drawn, samples) numbers of the points drawn.

    Returns:
        (2 parameters, samples): the rank correlations, then the partial ones; not a number where the drawn points do not
        tell them, as of parameters that move together.
    """
    samples = [_correlations(points[rows[:, number]], values[:, 0, number]) for number in range(values.shape[2])]
    return np.stack(samples, 1)


def _correlations(points: Floats, values: Floats) -> Floats:
    ranks = rankdata(np.column_stack([points, values]), axis=0)
    ranks -= ranks.mean(0)
    length = np.sqrt((ranks**2).sum(0))
    parameters = points.shape[1]
    if (length == 0).any():
        length[length == 0] = np.nan
    correlation = (ranks / length).T @ (ranks / length)
    partial = np.full(parameters, np.nan)
    if np.isfinite(correlation).all() and np.linalg.eigvalsh(correlation[:-1, :-1])[0] > FLAT:
        if np.linalg.eigvalsh(correlation)[0] > FLAT:
            inverse = np.linalg.inv(correlation)
            partial = -inverse[:-1, -1] / np.sqrt(np.diag(inverse)[:-1] * inverse[-1, -1])
        else:  # the parameters' ranks give the indicator's without remainder
            weight = np.linalg.solve(correlation[:-1, :-1], correlation[:-1, -1])
            partial = np.where(np.abs(weight) > np.sqrt(FLAT), np.sign(weight), 0.0)
    return np.concatenate([correlation[:-1, -1], partial])
