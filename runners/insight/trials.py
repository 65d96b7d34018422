"""The runs of a search for the best policy: the scenario as written, then candidates, all with the same seeds."""

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..proposing import Task, all_failed, run_id
from ..storage.store import read_table
from .pareto import Judged
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
        return (self.settings.trials + 1) * self.settings.replicates

    def batches(self, out: Path) -> Generator[list[Task], set[str], tuple[Judged, ...]]:
        """Propose the runs of every batch; return the baseline and all candidates, judged."""
        search = candidates(self.settings, self.seed)
        asked = next(search)
        judged: list[Judged] = []
        known: dict[str, Judged] = {}
        while True:
            fresh = {_key(one): one for one in asked if _key(one) not in known}
            points = [*([] if judged else [self.baseline]), *fresh.values()]
            if points:
                tasks = self._tasks_of(points, len(judged))
                done = yield tasks
                if not done and not judged:
                    raise all_failed(out, len(tasks))
                new = self._judged(out, points, len(judged), done)
                judged += new
                known.update(zip(fresh, new[len(points) - len(fresh) :], strict=True))
            try:
                asked = search.send([known[_key(one)].means for one in asked])
            except StopIteration:
                return tuple(judged)

    def _tasks_of(self, points: Sequence[Candidate], before: int) -> list[Task]:
        """Return the runs of points that follow so many others."""
        each = self.settings.replicates
        city = {} if self.city is None else {"city": self.city}
        return [
            {
                "run_id": run_id((before + number) * each + replicate),
                "point": before + number,
                "replicate": replicate,
                "seed": self.seed + replicate,
                "parameters": point,
                **city,
            }
            for number, point in enumerate(points)
            for replicate in range(each)
        ]

    def _judged(self, out: Path, points: Sequence[Candidate], before: int, done: set[str]) -> list[Judged]:
        each = self.settings.replicates
        runs = [
            run_id((before + number) * each + replicate) for number in range(len(points)) for replicate in range(each)
        ]
        figures = _figures(out, runs, self.settings.indicators, done)
        found = []
        for number, point in enumerate(points):
            of_point = {name: values[number * each : (number + 1) * each] for name, values in figures.items()}
            # The scenario as written may leave a parameter open that is looked at; all else about it is known.
            whole = not before + number or not any(np.isnan(values).any() for values in of_point.values())
            failed = not done.issuperset(runs[number * each : (number + 1) * each])
            found.append(Judged(before + number, point, of_point if whole and not failed else None))
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
