"""Runs of a sweep: which seed a run has, what it is called, and how a sweep that is there goes on with more of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import to_json

from ...environment.randomness import key
from .layout import same_text
from .settings import SweepSettings

Run = tuple[int, int]
"""Position of a point in its design, and number of a replicate, both from 0."""
Task = dict[str, Any]


class ExtensionError(ValueError):
    """A sweep that is not contained in the one that is to continue it; the message says what is missing."""


def seed_of(settings: SweepSettings, seed: int, parameters: Mapping[str, Any], replicate: int) -> int:
    """Return the seed of a run: a function of the scenario's seed, of the replicate, and where seeds are independent of the
    values of the point, so that it stays whatever other points there are.
    """
    if settings.seeds == "common":
        return seed + replicate
    return int(key(seed, f"sweep replicate {replicate} at {same_text(parameters)}")) >> 2


@dataclass(frozen=True)
class TaskMaker:
    """Makes the tasks of runs.

    Attributes:
        settings: the section ``[sweep]``.
        seed: of the scenario.
        points: parameters of every point of the design.
        cities: bundle of the city of every point.
        numbers: number that every point has in the results; its position in the design if None.
    """

    settings: SweepSettings
    seed: int
    points: Sequence[dict[str, Any]]
    cities: Sequence[str]
    numbers: Sequence[int] | None = None

    def first_runs(self) -> list[Run]:
        """Return the runs that are made whatever comes out, the replicates of a point side by side."""
        replicates = range(self.settings.first_replicates)
        return [(position, replicate) for position in range(len(self.points)) for replicate in replicates]

    def tasks(self, runs: Iterable[Run]) -> list[Task]:
        """Return the tasks of runs, as :func:`.sweep.run_sweep` takes them."""
        return [self._task(position, replicate) for position, replicate in runs]

    def _task(self, position: int, replicate: int) -> Task:
        parameters, number = self.points[position], self.number(position)
        return {
            "run_id": f"p{number:04d}-r{replicate:04d}",
            "point": number,
            "replicate": replicate,
            "seed": seed_of(self.settings, self.seed, parameters, replicate),
            "parameters": parameters,
            "city": self.cities[position],
        }

    def number(self, position: int) -> int:
        """Return the number that a point of the design has in the results."""
        return position if self.numbers is None else self.numbers[position]

    def continuing(self, old: Sequence[Mapping[str, Any]]) -> "TaskMaker":
        """Return a maker that gives the points of a sweep that is there the numbers they have, and others the next ones.

        Args:
            old: the tasks of that sweep.

        Raises:
            ExtensionError: if one of them is no run of this sweep.
        """
        known = {task["point"]: task["parameters"] for task in old}
        following = max(known, default=-1) + 1
        lost: set[int] = set()
        # Mostly they are the first points, in the same order; to see that takes a tenth of the time of looking each up.
        if to_json(list(known.values())) == to_json(self.points[: len(known)]):
            numbers = [*known, *range(following, following + len(self.points) - len(known))]
        else:
            numbers, lost = self._numbered(known, following)
        for task in old:
            self._check(task, lost)
        return replace(self, numbers=numbers)

    def _numbered(self, known: Mapping[int, Mapping[str, Any]], following: int) -> tuple[list[int], set[int]]:
        """Return the number of every point by what points there are, and the numbers of those that the design lacks."""
        there: dict[str, list[int]] = {}
        for number, parameters in known.items():
            there.setdefault(same_text(parameters), []).append(number)
        numbers = []
        for parameters in self.points:
            left = there.get(same_text(parameters))
            if left:
                numbers.append(left.pop(0))
            else:
                numbers.append(following)
                following += 1
        return numbers, {number for left in there.values() for number in left}

    def _check(self, task: Mapping[str, Any], lost: set[int]) -> None:
        most = self.settings.most_replicates
        seed = seed_of(self.settings, self.seed, task["parameters"], task["replicate"])
        if task["point"] not in lost and task["replicate"] < most and task["seed"] == seed:
            return
        values = ", ".join(f"{name} = {value}" for name, value in task["parameters"].items()) or "no parameters"
        about = f"{task['run_id']} ({values}, replicate {task['replicate']}, seed {task['seed']})"
        if task["point"] in lost:
            remedy = "; a Latin hypercube of another size has other points (sobol and random keep theirs)"
            hint = remedy if self.settings.design == "lhs" else ""
            raise ExtensionError(f"no point of the design has the values of {about}{hint}")
        if task["replicate"] >= most:
            raise ExtensionError(f"{about}: the design has {most} replicates of each point, fewer than there are")
        raise ExtensionError(f"{about}: has seed {seed} in the design; 'seed' and 'seeds' must stay as they were")


def extended(old: Sequence[Mapping[str, Any]], maker: TaskMaker, runs: Iterable[Run] | None = None) -> list[Task]:
    """Return the tasks of a sweep that is there, as they are, and after them those of further runs.

    Args:
        old: the tasks there are.
        maker: of the sweep that continues it.
        runs: positions in its design and replicates of the runs that are wanted; its first runs if None.

    Raises:
        ExtensionError: if one of the old tasks is no run of that sweep.
    """
    continued = maker.continuing(old)
    known = {(task["point"], task["replicate"]) for task in old}
    wanted = continued.first_runs() if runs is None else runs
    numbers = [continued.number(position) for position in range(len(continued.points))]
    further = [(position, replicate) for position, replicate in wanted if (numbers[position], replicate) not in known]
    city = dict(zip(numbers, continued.cities, strict=True))
    return [
        *({**task, "city": city[task["point"]]} for task in old),  # bundles may lie elsewhere by now
        *continued.tasks(further),
    ]
