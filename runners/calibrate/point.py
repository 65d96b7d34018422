"""The best point with Optuna's tree-structured Parzen estimator (Bergstra et al. 2011)."""

import warnings
from collections.abc import Generator, Mapping
from dataclasses import dataclass

from .priors import Point
from .settings import Prior

BATCH = 8
"""Points asked for at a time, so that workers have something to do and their number does not matter."""


@dataclass(frozen=True)
class Best:
    """The point with the least distance.

    Attributes:
        number: position among the points tried.
        point: its parameters.
        distance: root of the mean squared distance of its runs.
        tried: points tried.
    """

    number: int
    point: Point
    distance: float
    tried: int


def best_point(seed: int, priors: Mapping[str, Prior], points: int) -> Generator[list[Point], list[float], Best]:
    """Propose points, be sent their distances, and return the best.

    Args:
        seed: the proposals follow from it and the distances alone.
        priors: bounds of each parameter.
        points: number of points to try.

    Yields:
        Points to be run; send their distances, infinite where a run failed.
    """
    import optuna
    from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
    from optuna.trial import TrialState

    space: dict[str, BaseDistribution] = {
        name: IntDistribution(int(prior.from_), int(prior.to), log=prior.log)
        if prior.whole
        else FloatDistribution(prior.from_, prior.to, log=prior.log)
        for name, prior in priors.items()
    }
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that these options may change in another version
        sampler = optuna.samplers.TPESampler(seed=seed % 2**32, multivariate=True, constant_liar=True)
    study = optuna.create_study(sampler=sampler)
    tried = 0
    while tried < points:
        trials = [study.ask(space) for _ in range(min(BATCH, points - tried))]
        tried += len(trials)
        distances = yield [dict(trial.params) for trial in trials]
        for trial, distance in zip(trials, distances, strict=True):
            failed = distance == float("inf")
            study.tell(trial, None if failed else distance, TrialState.FAIL if failed else TrialState.COMPLETE)
    return Best(study.best_trial.number, dict(study.best_params), float(study.best_value), tried)
