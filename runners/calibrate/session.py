"""A calibration at work: its batches are run by the supervisor of sweeps, in one results directory.

The directory is that of a sweep whose list of runs grows: a batch is written down before it begins, and the next one
follows from what is committed. A calibration that is resumed asks for its batches again from the first; runs that
are in the results are not made again, so it goes on as if it had never stopped. Runs that failed have failed for good once
the next batch has begun, as that depends on it; of the last batch they are tried again.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...environment.randomness import key
from .. import manifest as manifests
from ..ledger import UNSUCCESSFUL, Ledger, attempts_made
from ..manifest import Manifest, essence
from ..outcome import SweepError, SweepInterrupted, SweepOutcome
from ..part import about_session, cores, explained, opening_of
from ..sessions import states
from ..store import Store, read_table, read_tasks, staged_runs
from ..supervisor import Progress, Supervisor
from ..sweep import Resume, check_directory, default_block, lock, plain
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


@dataclass(frozen=True)
class Outcome:
    """What a calibration came to, over all its sessions.

    Attributes:
        found: best point and posterior.
        tasks: all runs, in order.
        failed: what to say of each run that is not in the results.
    """

    found: Found
    tasks: list[dict[str, Any]]
    failed: dict[str, str]


def calibrate_runs(
    plan: Plan, out: str | Path, *, workers: int | None = None, resume: Resume = False, progress: Progress | None = None
) -> Outcome:
    """Make all runs of a calibration, whatever happens to the processes.

    Args:
        plan: what is to be done.
        out: results directory.
        workers: worker processes; one a core if None. The results do not depend on them.
        resume: go on with the calibration in ``out``; of one that is finished no run is made.
        progress: called with (done, failed, most, seconds left).

    Raises:
        SweepError: if it cannot begin or go on; what was done stands.
        SweepInterrupted: after Ctrl-C or SIGTERM.
    """
    out = Path(out)
    check_directory(out, resume=bool(resume))
    with explained(out, plan.execute):
        out.mkdir(parents=True, exist_ok=True)
        with lock(out):
            return _Session(plan, out, cores() if workers is None else workers, resume, progress).run()


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


class _Session:
    """One time that a calibration is worked on."""

    def __init__(self, plan: Plan, out: Path, workers: int, resume: Resume, progress: Progress | None):
        if workers < 1:
            raise SweepError(f"workers: {workers}; at least 1 is needed")
        self.plan, self.out, self.workers, self.progress = plan, out, workers, progress
        self.context: dict[str, Any] = plain(plan.context, "context")
        self.most = most_runs(plan.settings)
        self.tasks: list[dict[str, Any]] = []
        self.number = 0
        self.proposals = proposals(plan.settings, plan.seed)
        self.batch = next(self.proposals)
        self.current = self._tasks_of(self.batch)
        self.primed = False
        self.found: Found | None = None
        if resume:
            self.manifest, self.recorded = self._opened(anyway=resume == "anyway")
        else:
            check_directory(out, resume=False)  # again, now that nobody else can begin here
            self.manifest, self.recorded = self._described(), list(self.current)
            manifests.write_tasks(out, self.current)
            manifests.write_manifest(out, self.manifest)
        self.finished = bool(self.manifest.get("finished"))
        runs = [task["run_id"] for task in self.recorded] if self.finished else [run_id(n) for n in range(self.most)]
        self.store = self._store(runs)

    # ------------------------------------------------------------------ what it is

    def _tasks_of(self, batch: Batch) -> list[dict[str, Any]]:
        begun = len(self.tasks)
        first = self.tasks[-1]["point"] + 1 if self.tasks else 0
        city = {} if self.plan.city is None else {"city": self.plan.city}
        tasks = []
        for number in range(batch.runs):
            point, replicate = divmod(number, batch.replicates)
            run = begun + number
            # All points of a search meet the same luck, so that they differ by their parameters alone; particles do not.
            seed = self.plan.seed + replicate if batch.stage == "optuna" else run_seed(self.plan.seed, run)
            tasks.append(
                {
                    "run_id": run_id(run),
                    "point": first + point,
                    "replicate": replicate,
                    "seed": seed,
                    "parameters": batch.points[point],
                    "stage": batch.stage,
                    "batch": self.number,
                    **city,
                }
            )
        self.tasks += tasks
        return tasks

    def _described(self) -> Manifest:
        return manifests.describe(self.current, self.plan.execute, self.context, default_block(self.most))

    def _opened(self, *, anyway: bool) -> tuple[Manifest, list[dict[str, Any]]]:
        """Return manifest and runs of the calibration in the directory; another than this is refused."""
        old, wanted = manifests.read_manifest(self.out), self._described()
        recorded = read_tasks(self.out)
        first = recorded[: len(self.current)]
        wanted |= {"block": old["block"]}
        old_as_begun = old | {"tasks": manifests.describe(first, "", {}, 1)["tasks"]}
        if lines := manifests.differences(old_as_begun, wanted, first, self.current):
            shown = "\n  ".join(lines)
            raise SweepError(
                f"{self.out}: holds another calibration:\n  {shown}\n"
                "Resume it with what it was begun with, or begin a new one under another name."
            )
        if (lines := manifests.program_differences(old, wanted)) and not anyway:
            shown = "\n  ".join(lines)
            raise SweepError(
                f"{self.out}: was made by another program:\n  {shown}\n"
                "Resume it with that one, or begin a new calibration under another name."
            )
        return old, recorded

    def _store(self, runs: list[str]) -> Store:
        footer = {name: json.dumps(self.manifest[name]) for name in ("scenario", "versions")}
        return Store(self.out, runs, self.manifest["block"], footer)

    # ------------------------------------------------------------------ running

    def run(self) -> Outcome:
        self.store.clean()
        redone = self.store.set_aside()
        self.committed = self.store.committed()
        self.given_up = self._given_up()
        attempts = attempts_made(self.out)
        if not self.finished or redone:
            self._write(finished=False)
        with Ledger(self.out, about_session(self.workers, self.most, redone)) as ledger:
            supervisor = Supervisor(
                opening_of(self.manifest, self.current),
                workers=self.workers,
                store=self.store,
                ledger=ledger,
                attempts=attempts,
                progress=self.progress,
            )
            done = self.committed | self.given_up
            stopped = supervisor.run([], done, self._more, self.most)
            ledger.end(stopped or "finished", **supervisor.settled)
        if stopped or self.found is None:
            self._write(finished=False)
            count = len(self.store.committed())
            stopped = stopped or "a signal"
            raise SweepInterrupted(
                f"Stopped by {stopped}: {count} runs of at most {self.most} are in {self.out}; "
                "go on with --resume (resume=True).",
                SweepOutcome(self.out, self.most, count, stopped=stopped),
            )
        self._store([task["run_id"] for task in self.tasks]).finish()
        if not self.manifest.get("finished"):
            self._write(finished=True)
        failed = {run: entry.told for run, entry in states(self.out).items() if entry.state != "done"}
        return Outcome(self.found, self.tasks, failed)

    def _given_up(self) -> set[str]:
        """Return the runs that failed for good: a batch that began after theirs, or the result, depends on that."""
        last = self.recorded[-1]["batch"]
        found = states(self.out)
        return {
            task["run_id"]
            for task in self.recorded
            if (self.finished or task["batch"] < last) and found[task["run_id"]].state in UNSUCCESSFUL
        }

    def _more(self) -> list[dict[str, Any]]:
        """Return the runs of the next batch that are still to be made; none when the calibration has come to its end."""
        while True:
            if self.primed and not self._advance():
                return []
            self.primed = True
            settled = self.committed | self.given_up
            missing = [task for task in self.current if task["run_id"] not in settled]
            if missing:
                return missing

    def _advance(self) -> bool:
        """Send what the current batch came to, and take the next one; return whether there is one."""
        distances = self._distances()
        try:
            self.batch = self.proposals.send(distances)
        except StopIteration as stop:
            self.found = stop.value
            return False
        except TooFewError as error:
            raise SweepError(f"{self.out}: {error}; see {self.out}/errors for what went wrong") from None
        self.number += 1
        self.current = self._tasks_of(self.batch)
        known = self.recorded[len(self.tasks) - len(self.current) : len(self.tasks)]
        if known and [essence(task) for task in known] != plain([essence(task) for task in self.current], "runs"):
            raise SweepError(
                f"{self.out}: its runs are not those that follow from its results; begin a new calibration"
            )
        if not known:
            self.recorded = list(self.tasks)
            manifests.write_tasks(self.out, self.tasks)
        return True

    def _distances(self) -> list[float]:
        runs = [task["run_id"] for task in self.current]
        done = self._committed_of(runs)
        self.committed |= done
        here = [run for run in runs if run in done]
        if not here:
            raise SweepError(
                f"{self.out}: all {len(runs)} runs of a batch failed; see {self.out}/errors for what went wrong"
            )
        found = figures(self.out, here, self.plan)
        points = {task["run_id"]: task["parameters"] for task in self.current}
        apart = {
            run: distance(
                {name: rows[number] for name, rows in found.items()},
                self.plan.observed,
                self.plan.settings.at(points[run]),
            )
            for number, run in enumerate(here)
        }
        return [apart.get(run, float("inf")) for run in runs]

    def _committed_of(self, runs: list[str]) -> set[str]:
        """Return which of some runs are in the results."""
        staged = staged_runs(self.out)  # listed first: what is sealed meanwhile is found in a shard
        blocks = {int(run[1:]) // self.store.block for run in runs}
        return (staged | {run for block in blocks for run in self.store.sealed(block)}).intersection(runs)

    # ------------------------------------------------------------------ the record

    def _write(self, *, finished: bool) -> None:
        """Write down what the calibration is, with the runs it has come to."""
        described = manifests.describe(self.tasks, self.plan.execute, self.context, 1)
        grown = {name: described[name] for name in ("runs", "points", "replicates", "tasks", "versions")}
        self.manifest |= grown | {"finished": finished}
        manifests.write_manifest(self.out, self.manifest)


def run_id(run: int) -> str:
    """Return the name of a run."""
    return f"r{run:06d}"


def run_seed(seed: int, run: int) -> int:
    """Return the seed of a run that shares its luck with no other."""
    return int(key(seed, f"calibrate run {run}")) >> 2
