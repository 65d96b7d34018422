"""Designs of experiments: where samples lie in the unit cube, each a pure function of its size and a seed.

All but the Latin hypercube can be extended: with the same seed, the first samples of a larger design are those of the
smaller one.
"""

import numpy as np
from numpy.typing import NDArray

from ...environment.randomness import key, uniforms
from .settings import SweepSettings

Floats = NDArray[np.float64]
PURPOSE = "sweep design"


def samples(settings: SweepSettings, ranges: int, seed: int) -> Floats:
    """Return where the samples of a design lie, (samples, ranges), each coordinate from 0 to 1.

    Args:
        settings: the section ``[sweep]``, with a design that samples ranges and its size.
        ranges: number of ranges, at least 1.
        seed: of the scenario.
    """
    if settings.design == "random":
        return random(settings.points or 0, ranges, seed)
    if settings.design == "lhs":
        return latin_hypercube(settings.points or 0, ranges, seed)
    if settings.design == "sobol":
        return sobol(settings.points or 0, ranges, seed)
    if settings.design == "saltelli":
        return saltelli(settings.base or 0, ranges, seed, second_order=settings.second_order)
    return morris(settings.trajectories or 0, ranges, seed, levels=settings.levels)


def size(settings: SweepSettings, ranges: int) -> int:
    """Return the number of samples of a design, without making them."""
    if settings.design == "saltelli":
        return (settings.base or 0) * ((2 * ranges if settings.second_order else ranges) + 2)
    if settings.design == "morris":
        return (settings.trajectories or 0) * (ranges + 1)
    return settings.points or 0


def random(count: int, ranges: int, seed: int) -> Floats:
    """Return independent uniform samples (count, ranges)."""
    return _uniform(seed, f"{PURPOSE}: random", count, ranges)


def latin_hypercube(count: int, ranges: int, seed: int) -> Floats:
    """Return a Latin hypercube (count, ranges): each of ``count`` equal slices of every coordinate has one sample.

    McKay, Beckman & Conover 1979, Technometrics 21(2), section 2.
    """
    order = np.argsort(_uniform(seed, f"{PURPOSE}: order", count, ranges), axis=0, kind="stable")
    slices = np.argsort(order, axis=0, kind="stable")
    return (slices + _uniform(seed, f"{PURPOSE}: within", count, ranges)) / count


def sobol(count: int, ranges: int, seed: int) -> Floats:
    """Return the first points (count, ranges) of a scrambled Sobol sequence; ``count`` is a power of two.

    Sobol' 1967 with the directions of Joe & Kuo 2008, scrambled by Matousek's linear matrices and a digital shift (scipy).
    """
    from scipy.stats import qmc

    drawn = int(key(seed, f"{PURPOSE}: sobol") >> np.uint64(1))
    return np.asarray(qmc.Sobol(ranges, scramble=True, seed=drawn).random(count), float)


def saltelli(base: int, ranges: int, seed: int, *, second_order: bool = False) -> Floats:
    """Return the points from which Sobol's indices are estimated, (base x (ranges + 2), ranges).

    Of each of ``base`` samples: a point of matrix A; A with one coordinate of B, for each coordinate; with
    ``second_order`` also B with one coordinate of A, for each; and the point of B. A and B are halves of one Sobol
    sequence. Saltelli 2002, Computer Physics Communications 145, in the order of SALib.
    """
    both = sobol(base, 2 * ranges, seed)
    a, b = both[:, None, :ranges], both[:, None, ranges:]
    own = np.eye(ranges, dtype=bool)
    parts = [a, np.where(own, b, a)]
    if second_order:
        parts.append(np.where(own, a, b))
    return np.concatenate([*parts, b], axis=1).reshape(-1, ranges)


def morris(trajectories: int, ranges: int, seed: int, *, levels: int) -> Floats:
    """Return trajectories from which elementary effects are worked out, (trajectories x (ranges + 1), ranges).

    A trajectory begins at a random point of a grid of ``levels`` (even) values, from 0 to 1, and moves every coordinate
    once, in random order, by levels / (2 (levels − 1)) up or down. Morris 1991, Technometrics 33(2), section 3.
    """
    step = levels / (2 * (levels - 1))
    low = np.floor(_uniform(seed, f"{PURPOSE}: start", trajectories, ranges) * (levels // 2)) / (levels - 1)
    rises = _uniform(seed, f"{PURPOSE}: direction", trajectories, ranges) < 0.5
    order = np.argsort(_uniform(seed, f"{PURPOSE}: order", trajectories, ranges), axis=1, kind="stable")
    turn = np.argsort(order, axis=1, kind="stable")  # when a coordinate is moved
    moved = np.arange(ranges + 1)[None, :, None] > turn[:, None, :]
    return np.where(moved == rises[:, None, :], low[:, None, :] + step, low[:, None, :]).reshape(-1, ranges)


def _uniform(seed: int, purpose: str, count: int, ranges: int) -> Floats:
    """Return uniform numbers (count, ranges), each a function of seed, purpose, row and column alone."""
    purpose_key, rows = key(seed, purpose), np.arange(count)
    return np.stack([uniforms(purpose_key, rows, column) for column in range(ranges)], axis=1)
