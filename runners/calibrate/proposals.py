"""What is run next: the batches of a calibration, one after another, each a function of what came of those before it."""

from collections.abc import Generator
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np

from .point import Best, best_point
from .priors import Point, points_of
from .settings import CalibrateSettings
from .smc import Posterior, posterior

CHECK_RUNS = 100
"""Runs of the best point, with seeds of their own, that show how far its epidemics scatter."""


@dataclass(frozen=True)
class Batch:
    """Points that are run side by side.

    Attributes:
        stage: ``optuna``, ``abc`` or ``check``.
        points: their parameters.
        replicates: runs of each.
    """

    stage: str
    points: list[Point]
    replicates: int = 1

    @property
    def runs(self) -> int:
        """Number of runs."""
        return len(self.points) * self.replicates


@dataclass(frozen=True)
class Found:
    """What a calibration came to.

    Attributes:
        best: the best point of ``optuna``.
        posterior: the sample of ``abc``.
        posterior_from: position of its first run in the order of all.
        check_from: position of the first run that checks the best point, −1 if there are none.
    """

    best: Best | None
    posterior: Posterior | None
    posterior_from: int = 0
    check_from: int = -1


def most_runs(settings: CalibrateSettings) -> int:
    """Return the number of runs that may be made at most."""
    return settings.runs + (CHECK_RUNS if settings.method == "optuna" else 0)


def proposals(settings: CalibrateSettings, seed: int) -> Generator[Batch, list[float], Found]:
    """Propose batch after batch, be sent the distance of every run of each, and return what was found.

    Args:
        settings: method, budget and priors.
        seed: everything that is drawn depends on it.

    Yields:
        Batches; send the distances of the runs, replicates of a point side by side, infinite where a run failed.

    Raises:
        TooFewError: if too many runs failed.
    """
    best = sample = None
    begun = 0
    if settings.point_runs:
        search = best_point(seed, settings.parameters, settings.point_runs // settings.replicates)
        points = next(search)
        while best is None:
            distances = yield Batch("optuna", points, settings.replicates)
            begun += len(distances)
            try:
                points = search.send(_of_points(distances, settings.replicates))
            except StopIteration as stop:
                best = stop.value
    posterior_from = begun
    if settings.posterior_runs:
        particles = posterior(
            seed,
            len(settings.parameters),
            settings.posterior_particles,
            settings.posterior_runs,
            tolerance=settings.tolerance,
            least_acceptance=settings.least_acceptance,
        )
        normals = next(particles)
        while sample is None:
            distances = yield Batch("abc", points_of(settings.parameters, normals))
            begun += len(distances)
            try:
                normals = particles.send(np.array(distances))
            except StopIteration as stop:
                sample = stop.value
    if best is not None and sample is None:
        yield Batch("check", [best.point], CHECK_RUNS)
        return Found(best, None, check_from=begun)
    return Found(best, sample, posterior_from)


def _of_points(distances: list[float], replicates: int) -> list[float]:
    """Return the root of the mean squared distance of the runs of each point; infinite if one of them failed."""
    squares = np.array(distances).reshape(-1, replicates) ** 2
    return [sqrt(mean) if isfinite(mean) else float("inf") for mean in squares.mean(1).tolist()]
