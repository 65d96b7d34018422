"""The section ``[optimise]`` of a scenario file: what is wanted, what must hold, and what may be changed for it."""

import re
from math import isfinite, sqrt
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from ..points.settings import Range
from ..scenarios.sections import Name, Section

MOST_PARAMETERS = 50
"""Parameters varied at once; with more, no affordable number of trials finds its way (assumed)."""
MOST_GOALS = 4
"""Goals weighed against each other; of more, nearly every candidate is best in some way (assumed)."""
MOST_TRIALS = 100_000
FEWEST_TRIALS = 10
MOST_FRESH = 1000
FEWEST_IN_GENERATION = 8

_BOUND = re.compile(r"\s*(<=|>=)\s*([-+]?[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)\s*")


class Bound(NamedTuple):
    """What an indicator must not exceed, or not fall below."""

    sign: Literal["<=", ">="]
    value: float

    def excess(self, figure: float) -> float:
        """Return by how much a figure is on the wrong side, in units of the bound; 0 or less where it holds."""
        apart = figure - self.value if self.sign == "<=" else self.value - figure
        return apart / (abs(self.value) or 1.0)


def parse_bound(text: str) -> Bound:
    """Return the bound that a text such as ``"<= 500"`` means.

    Raises:
        ValueError: if it means none.
    """
    found = _BOUND.fullmatch(text)
    if found is None or not isfinite(value := float(found.group(2))):
        raise ValueError('must be "<= number" or ">= number", as in "<= 500"')
    return Bound("<=" if found.group(1) == "<=" else ">=", value)


def _bound_text(text: str) -> str:
    parse_bound(text)
    return text


class Choice(Range):
    """Where a parameter may lie; a range of which nothing but its bounds is fixed."""

    @model_validator(mode="after")
    def _no_steps(self) -> "Choice":
        if self.steps is not None:
            raise ValueError("steps: a parameter that is optimised may lie anywhere in its range; leave it out")
        return self


class OptimiseSettings(Section):
    """How the best policy is looked for.

    Attributes:
        goals: column of the summary → ``least`` or ``most``; of several the compromises are found that none beats in all.
        constraints: column of the summary → bound, ``"<= 500"``, that the mean over the replicates must keep.
        trials: candidates tried.
        method: ``nsga2`` for several goals, ``tpe`` for one; by their number if left out.
        population: candidates of a generation of ``nsga2``; by the number of trials if left out.
        replicates: runs (seeds) of each candidate, the same for all.
        fresh_replicates: further runs (seeds) of each chosen candidate and of the scenario as written, by which they are
            judged again; four times the replicates if left out.
        parameters: range by dotted key of the scenario.
    """

    goals: dict[Name, Literal["least", "most"]] = Field(min_length=1, max_length=MOST_GOALS)
    constraints: dict[Name, Annotated[str, AfterValidator(_bound_text)]] = Field(default_factory=dict, max_length=20)
    trials: int = Field(default=200, ge=FEWEST_TRIALS, le=MOST_TRIALS)
    method: Literal["nsga2", "tpe"] | None = None
    population: int | None = Field(default=None, ge=FEWEST_IN_GENERATION, le=1000)
    replicates: int = Field(default=4, ge=1, le=1000)
    fresh_replicates: int | None = Field(default=None, ge=2, le=MOST_FRESH)
    parameters: dict[Name, Choice] = Field(min_length=1, max_length=MOST_PARAMETERS)

    @model_validator(mode="after")
    def _consistent(self) -> "OptimiseSettings":
        for name, goal in self.goals.items():
            bound = self.bounds.get(name)
            if bound is not None and bound.sign == (">=" if goal == "least" else "<="):
                raise ValueError(
                    f"constraints: '{name}' is wanted {goal} by the goals and held {bound.sign} {bound.value:g} here, which "
                    "contradict each other; leave one out"
                )
        if self.population is not None and self.searched_by != "nsga2":
            raise ValueError('population: goes with method = "nsga2" alone')
        if self.generation > self.trials:
            raise ValueError(f"population: must be at most the trials (given {self.population} and {self.trials})")
        return self

    @property
    def bounds(self) -> dict[str, Bound]:
        """The constraints, read."""
        return {name: parse_bound(text) for name, text in self.constraints.items()}

    @property
    def indicators(self) -> list[str]:
        """Columns of the summary by which candidates are judged: the goals first, each once."""
        return list(dict.fromkeys([*self.goals, *self.constraints]))

    @property
    def fresh(self) -> int:
        """Seeds by which candidates are judged again: where left open so many that intervals are half as wide."""
        return self.fresh_replicates or min(4 * self.replicates, MOST_FRESH)

    @property
    def searched_by(self) -> str:
        """The method, chosen by the number of goals where the file leaves it open."""
        return self.method or ("nsga2" if len(self.goals) > 1 else "tpe")

    @property
    def generation(self) -> int:
        """Candidates of a generation, half as many as generations follow one another where the file leaves it open."""
        return self.population or max(FEWEST_IN_GENERATION, round(sqrt(self.trials / 2)))
