"""All plans of a small case, one by one: what siting must not fall short of."""

from itertools import product

import numpy as np


def all_plans(sites, units, least=0, most=1):
    """Return every (sites,) array of units with the sum asked for and each between ``least`` and ``most``."""
    low, high = np.broadcast_to(least, sites), np.broadcast_to(most, sites)
    ways = product(*(range(a, b + 1) for a, b in zip(low, high, strict=True)))
    return [np.array(way) for way in ways if sum(way) == units]


def town(seed, points, sites):
    """Return weights (points,) and seconds (points, sites) of points and sites drawn in a square of 1,000 s."""
    random = np.random.default_rng(seed)
    at, of = random.random((points, 2)), random.random((sites, 2))
    return random.integers(1, 20, points).astype(float), 1000.0 * np.hypot(*(at[:, None] - of[None]).T).T
