"""A calibration at work: its batches are proposed from the results of those before (:mod:`runners.proposing`)."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...environment.randomness import key
from ..engine.outcome import SweepError
from ..engine.supervisor import Progress
from ..proposing import Proposed, Task, all_failed, run_id, run_proposed
from ..storage.store import read_table
from ..sweep import Resume
from .distance import distance
from .observed import Observed
from .proposals import Batch, Found, most_runs, proposals
from .settings import CalibrateSettings
from .smc import TooFewError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """What is fitted to what, and how a run is made.

    Attributes:
        settings: the section ``[calibrate]``.
        observed: the data.
        seed: everything that is drawn depends on it.
        execute: import path of the function that makes a run; its ``series`` has a row a day.
        context: what all runs share, JSON-able.
        city: bundle of the city, or None where runs have none.
    """

    settings: CalibrateSettings
    observed: Observed
    seed: int
    execute: str
    context: dict[str, Any]
    city: str | None = None

    kind = "calibration"

    @property
    def most(self) -> int:
        """Number of runs that may be made at most."""
        return most_runs(self.settings)

    def batches(self, out: Path) -> Generator[list[Task], set[str], Found]:
        """Propose the runs of every batch and return what was found; see :meth:`.proposing.Proposer.batches`."""
        proposed = proposals(self.settings, self.seed)
        batch = next(proposed)
        runs = points = 0
        while True:
            tasks = self._tasks_of(batch, runs, points)
            runs, points = runs + batch.runs, points + len(batch.points)
            done = yield tasks
            if not done:
                raise all_failed(out, len(tasks))
            try:
                batch = proposed.send(self._distances(out, tasks, done))
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            except TooFewError as error:
                raise SweepError(f"{out}: {error}; see {out}/errors for what went wrong") from None

    def _tasks_of(self, batch: Batch, runs: int, points: int) -> list[Task]:
        """Return the runs of a batch that follows so many runs and points."""
        city = {} if self.city is None else {"city": self.city}
        tasks = []
        for number in range(batch.runs):
            point, replicate = divmod(number, batch.replicates)
            run = runs + number
            # All points of a search meet the same luck, so that they differ by their parameters alone; particles do not.
            seed = self.seed + replicate if batch.stage == "optuna" else run_seed(self.seed, run)
            about = {"run_id": run_id(run), "point": points + point, "replicate": replicate, "seed": seed}
            tasks.append(about | {"parameters": batch.points[point], "stage": batch.stage, **city})
        return tasks

    def _distances(self, out: Path, tasks: list[Task], done: set[str]) -> list[float]:
        """Return the distance of every run of a batch from the data; infinite where it failed."""
        here = [task for task in tasks if task["run_id"] in done]
        found = figures(out, [task["run_id"] for task in here], self)
        apart = {
            task["run_id"]: distance(
                {name: rows[number] for name, rows in found.items()},
                self.observed,
                self.settings.at(task["parameters"]),
            )
            for number, task in enumerate(here)
        }
        return [apart.get(task["run_id"], float("inf")) for task in tasks]


Outcome = Proposed[Found]
"""What a calibration came to, over all its sessions."""


def calibrate_runs(
    plan: Plan, out: str | Path, *, workers: int | None = None, resume: Resume = False, progress: Progress | None = None
) -> Outcome:
    """Make all runs of a calibration, whatever happens to the processes; see :func:`.proposing.run_proposed`.

    Raises:
        SweepError: if it cannot begin or go on; what was done stands.
        SweepInterrupted: after Ctrl-C or SIGTERM.
    """
    return run_proposed(plan, out, workers=workers, resume=resume, progress=progress)


def figures(directory: Path, runs: list[str], plan: Plan) -> dict[str, Floats]:
    """Return by observed column the figure of the series it is compared with, (runs, days), as the run had it."""
    table = read_table(directory, "series", set(runs))
    position = {run: number for number, run in enumerate(runs)}
    rows = np.array([position.get(run, -1) for run in table.column("run_id").to_pylist()])
    wanted = np.flatnonzero(rows >= 0)  # shards are read whole
    order = wanted[np.argsort(rows[wanted], kind="stable")]
    columns = {name: observation.series for name, observation in plan.settings.observations.items()}
    return {
        name: np.asarray(table.column(series), float)[order].reshape(len(runs), -1) for name, series in columns.items()
    }


def run_seed(seed: int, run: int) -> int:
    """Return the seed of a run that shares its luck with no other."""
    return int(key(seed, f"calibrate run {run}")) >> 2
