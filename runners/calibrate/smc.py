"""The posterior by approximate Bayesian computation: a population of particles nears the data generation by generation.

Adaptive population Monte Carlo (Lenormand, Jabot & Deffuant 2013, "Adaptive approximate Bayesian computation for complex
models", Comput. Stat. 28:2777-2796), of the family of Toni et al. 2009 (J. R. Soc. Interface 6:187-202): the first
generation is drawn from the prior; the nearest particles are kept and the distance of the farthest of them is the
tolerance; each further generation moves particles drawn by weight with a Gaussian kernel of twice their weighted
covariance (Beaumont et al. 2009, Biometrika 96:983-990), and of the kept and the new ones the nearest are kept again. The
weight of a particle is the density of the prior over that of the law it was drawn from, so the kept ones are a weighted
sample from the posterior at the tolerance. No run is repeated until one is accepted: every generation has a number of runs
that is known before it begins, whatever they come to, and runs side by side.

Everything happens in standard normal coordinates (:mod:`.priors`).
"""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...environment.randomness import key, uniforms
from .priors import normal_draws

KEPT = 0.5
"""Share of particles that are kept: between the fewest runs and the closest approach (Lenormand et al. 2013, 4.2)."""
LEAST = 0.25
"""Share of the wanted particles below which there is no population; some runs may fail, as where R0 cannot be reached."""
RIDGE = 1e-9
"""Variance added to the kernel in every direction, so that particles all alike do not stop it."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Generation:
    """What one generation came to.

    Attributes:
        runs: runs made in it.
        tolerance: largest distance among the kept particles.
        acceptance: share of its runs that came nearer than the tolerance before it; not a number for the first.
        effective: number of equally weighted particles that tell as much, 1 / Σ w² (Kish).
    """

    runs: int
    tolerance: float
    acceptance: float
    effective: float


@dataclass(frozen=True)
class Posterior:
    """A weighted sample from the posterior.

    Attributes:
        number: (n,) position of each particle in the order of all runs.
        normals: (n, parameters) standard normal coordinates.
        distance: (n,) from the data.
        weight: (n,) summing to 1.
        generations: how it came to be.
        stopped: why no further generation was made.
    """

    number: NDArray[np.int64]
    normals: Floats
    distance: Floats
    weight: Floats
    generations: tuple[Generation, ...]
    stopped: str


class TooFewError(RuntimeError):
    """So many runs failed that no population is left."""


def posterior(
    seed: int,
    parameters: int,
    particles: int,
    runs: int,
    *,
    tolerance: float | None = None,
    least_acceptance: float = 0.0,
) -> Generator[Floats, Floats, Posterior]:
    """Propose particles, be sent their distances, and return the posterior.

    Args:
        seed: every draw is a function of it, of the number of the run and of the parameter.
        parameters: number of them.
        particles: number of them that are kept.
        runs: most that may be made.
        tolerance: distance that is near enough to stop.
        least_acceptance: share of a generation nearer than the tolerance before it, below which to stop.

    Yields:
        Coordinates (n, parameters) of the runs to be made; send their distances (n,), infinite where a run failed.

    Raises:
        TooFewError: if so many runs failed that few particles are left.
    """
    first = min(round(particles / KEPT), runs)
    normals = normal_draws(seed, "calibrate prior", np.arange(first), parameters)
    distance: Floats = np.asarray((yield normals), float)
    number: NDArray[np.int64] = np.arange(first)
    weight: Floats = np.ones(first)
    made, acceptance = first, float("nan")
    generations: list[Generation] = []
    while True:
        finite = int(np.isfinite(distance).sum())
        if finite < LEAST * particles:
            raise TooFewError(f"{finite} of {made} runs came to anything; {LEAST * particles:.0f} are needed")
        nearest = np.sort(np.lexsort((number, distance))[: min(particles, finite)])
        number, normals, distance, weight = number[nearest], normals[nearest], distance[nearest], weight[nearest]
        share = weight / weight.sum()
        reached = float(distance.max())
        last = made - sum(generation.runs for generation in generations)
        generations.append(Generation(last, reached, acceptance, float(1 / (share**2).sum())))
        stopped = _reason(reached, tolerance, acceptance, least_acceptance, runs - made)
        if stopped:
            return Posterior(number, normals, distance, share, tuple(generations), stopped)
        new = np.arange(made, min(made + round(particles / KEPT) - particles, runs))
        made += len(new)
        moved, density = _moved(seed, new, normals, share)
        came = np.asarray((yield moved), float)
        acceptance = float((came < reached).mean())
        number, normals = np.concatenate([number, new]), np.concatenate([normals, moved])
        distance = np.concatenate([distance, came])
        weight = np.concatenate([weight, normal_density(moved) / density])


def _reason(reached: float, tolerance: float | None, acceptance: float, least: float, left: int) -> str:
    if tolerance is not None and reached <= tolerance:
        return f"the tolerance of {tolerance:g} is reached"
    if acceptance < least:
        return f"only {acceptance:.1%} of the last generation came nearer"
    return "" if left > 0 else "all runs are made"


def _moved(seed: int, runs: NDArray[np.int64], normals: Floats, share: Floats) -> tuple[Floats, Floats]:
    """Return new coordinates (n, parameters) near old ones, and the density (n,) of the law they were drawn from."""
    parameters = normals.shape[1]
    mean = share @ normals
    spread = (normals - mean).T * share @ (normals - mean)
    covariance = 2 * spread + RIDGE * np.eye(parameters)
    factor = np.linalg.cholesky(covariance)
    chosen = np.searchsorted(np.cumsum(share), uniforms(key(seed, "calibrate ancestor"), runs, 0))
    ancestors = normals[np.minimum(chosen, len(share) - 1)]
    moved = ancestors + normal_draws(seed, "calibrate kernel", runs, parameters) @ factor.T
    height = (2 * np.pi) ** (-parameters / 2) / np.prod(np.diag(factor))
    density = np.empty(len(moved))
    for row, here in enumerate(moved):  # all at once would need the square of the particles in memory
        apart = np.linalg.solve(factor, (here - normals).T)
        density[row] = height * np.exp(-(apart**2).sum(0) / 2) @ share
    return moved, density


def normal_density(normals: Floats) -> Floats:
    """Return the density (n,) of the standard normal law at coordinates (n, parameters)."""
    return np.exp(-(normals**2).sum(1) / 2) / (2 * np.pi) ** (normals.shape[1] / 2)
