"""Candidates that are tried next, proposed by Optuna: NSGA-II (Deb et al. 2002) or TPE (Bergstra et al. 2011), constrained.

Candidates are asked for in batches, and what they came to is told in the order in which they were asked for. So the
proposals are a function of the seed and of the figures alone, not of the number of workers or of an interruption.
"""

import warnings
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .settings import OptimiseSettings

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

Candidate = dict[str, Any]
"""Value by dotted key."""
Figures = Mapping[str, float]
"""Mean over the replicates by column of the summary."""

BATCH = 8
"""Candidates that TPE proposes at a time, so that workers have something to do and their number does not matter."""
_EXCESS = "excess"


def candidates(
    settings: OptimiseSettings, seed: int, trials: int | None = None
) -> Generator[list[Candidate], Sequence[Figures | None], None]:
    """Propose candidates, be told what they came to, and propose better ones.

    Args:
        settings: goals, constraints, ranges, method.
        seed: the proposals follow from it and the figures alone.
        trials: number of candidates; that of the settings if None.

    Yields:
        Candidates to be tried; send the figures of each, None where a run of it failed.
    """
    import optuna
    from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
    from optuna.trial import TrialState

    space: dict[str, BaseDistribution] = {
        name: IntDistribution(int(choice.from_), int(choice.to), log=choice.scale == "log")
        if choice.integer
        else FloatDistribution(choice.from_, choice.to, log=choice.scale == "log")
        for name, choice in settings.parameters.items()
    }
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions: list[Any] = ["minimize" if goal == "least" else "maximize" for goal in settings.goals.values()]
    study = optuna.create_study(directions=directions, sampler=_sampler(settings, seed % 2**32))
    batch = settings.generation if settings.searched_by == "nsga2" else BATCH
    left = settings.trials if trials is None else trials
    while left > 0:
        asked = [study.ask(space) for _ in range(min(batch, left))]
        left -= len(asked)
        told = yield [dict(trial.params) for trial in asked]
        for trial, figures in zip(asked, told, strict=True):
            if figures is None:
                study.tell(trial, state=TrialState.FAIL)
                continue
            trial.set_user_attr(_EXCESS, [bound.excess(figures[name]) for name, bound in settings.bounds.items()])
            study.tell(trial, [figures[name] for name in settings.goals])


def _sampler(settings: OptimiseSettings, seed: int) -> "BaseSampler":
    import optuna

    held = (lambda trial: trial.user_attrs[_EXCESS]) if settings.constraints else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that these options may change in another version
        if settings.searched_by == "tpe":
            return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True, constraints_func=held)
        return optuna.samplers.NSGAIISampler(
            population_size=settings.generation,
            seed=seed,
            constraints_func=held,
        )
