"""The runs of a search for the best policy: the scenario as written, then candidates, all with the same seeds.

At the end the scenario as written and the candidates that are chosen are run with further seeds, on which nothing was
chosen.
"""

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from ..proposing import Task, all_failed, run_id
from ..storage.store import read_table
from .pareto import BEST_CHOSEN, CHOSEN, Judged, Weighed, chosen, weigh
from .replicates import Floats
from .search import Candidate, candidates
from .settings import OptimiseSettings


@dataclass(frozen=True)
class Search:
    """What is looked for, and how a run is made; a :class:`.proposing.Proposer`.

    A candidate that is proposed again is not run again. Of one of which a run failed, or has no figure for an indicator,
    nothing is known: the search is told that it failed.

    Attributes:
        settings: the section ``[optimise]``.
        baseline: what the scenario itself has for the parameters; what it leaves open is left out.
        seed: that of the first replicate; everything that is drawn depends on it.
        execute: import path of the function that makes a run.
        context: what all runs share, JSON-able.
        city: bundle of the city, or None where runs have none.
    """

    settings: OptimiseSettings
    baseline: Candidate
    seed: int
    execute: str
    context: dict[str, Any]
    city: str | None = None

    kind = "search"

    @property
    def most(self) -> int:
        """Number of runs that may be made at most."""
        settings = self.settings
        again = min(
            settings.trials, BEST_CHOSEN if len(settings.goals) == 1 else CHOSEN + 1
        )  # the knee may be one more
        return (settings.trials + 1) * settings.replicates + (again + 1) * settings.fresh

    def batches(self, out: Path) -> Generator[list[Task], set[str], Weighed]:
        """Propose the runs of every batch; return all candidates, weighed, the chosen ones judged again."""
        search = candidates(self.settings, self.seed)
        asked = next(search)
        judged: list[Judged] = []
        known: dict[str, Judged] = {}
        seeds = range(self.settings.replicates)
        while True:
            untried = {_key(one): one for one in asked if _key(one) not in known}
            points = dict(enumerate([*([] if judged else [self.baseline]), *untried.values()], len(judged)))
            if points:
                tasks = self._tasks_of(points, seeds, len(judged) * len(seeds))
                done = yield tasks
                if not done and not judged:
                    raise all_failed(out, len(tasks))
                new = self._judged(out, tasks, done)
                judged += new
                known.update(zip(untried, new[len(points) - len(untried) :], strict=True))
            try:
                asked = search.send([known[_key(one)].means for one in asked])
            except StopIteration:
                break
        weighed = weigh(self.settings, judged[0], judged[1:])
        if not (numbers := chosen(weighed)):
            return weighed
        further = range(len(seeds), len(seeds) + self.settings.fresh)
        points = {number: dict(weighed.of(number).parameters) for number in (0, *numbers)}
        tasks = self._tasks_of(points, further, len(judged) * len(seeds))
        done = yield tasks
        return replace(weighed, fresh={one.number: one for one in self._judged(out, tasks, done)})

    def _tasks_of(self, points: Mapping[int, Candidate], replicates: range, before: int) -> list[Task]:
        """Return the runs of points that follow so many others."""
        city = {} if self.city is None else {"city": self.city}
        pairs = [(point, replicate) for point in points for replicate in replicates]
        return [
            {
                "run_id": run_id(number),
                "point": point,
                "replicate": replicate,
                "seed": self.seed + replicate,
                "parameters": points[point],
                **city,
            }
            for number, (point, replicate) in enumerate(pairs, before)
        ]

    def _judged(self, out: Path, tasks: Sequence[Task], done: set[str]) -> list[Judged]:
        """Return what points came to in these runs, those of one point next to each other."""
        figures = _figures(out, [task["run_id"] for task in tasks], self.settings.indicators, done)
        found, first = [], 0
        for point, group in groupby(tasks, key=lambda task: task["point"]):
            runs = list(group)
            of_point = {name: values[first : first + len(runs)] for name, values in figures.items()}
            first += len(runs)
            # The scenario as written may leave a parameter open that is looked at; all else about it is known.
            whole = not point or not any(np.isnan(values).any() for values in of_point.values())
            there = done.issuperset(task["run_id"] for task in runs)
            found.append(Judged(point, runs[0]["parameters"], of_point if whole and there else None))
        return found


def _key(point: Candidate) -> str:
    return json.dumps(point, sort_keys=True)


def _figures(out: Path, runs: Sequence[str], indicators: Sequence[str], done: set[str]) -> dict[str, Floats]:
    """Return by indicator what the summary has, (runs,); not a number where it has nothing, or nothing finite."""
    found = {name: np.full(len(runs), np.nan) for name in indicators}
    if not done:
        return found
    table = read_table(out, "summary", done)
    position = {run: number for number, run in enumerate(runs)}
    rows = [position.get(run, -1) for run in table.column("run_id").to_pylist()]  # shards are read whole
    for name, values in found.items():
        for row, value in zip(rows, table.column(name).to_pylist(), strict=True):
            if row >= 0 and value is not None and np.isfinite(value):
                values[row] = value
    return found
