"""Which executor a sweep of the command line goes through: this machine, Dask, or Slurm."""

import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..engine.ledger import UNSUCCESSFUL
from ..engine.limits import Limits
from ..engine.outcome import SweepDrained, SweepError, SweepInterrupted, outcome_of
from ..engine.part import cores
from ..engine.sessions import sessions, states
from ..engine.supervisor import Progress
from ..results import Results
from ..storage.store import read_tasks, runs_in_results
from ..sweep import Resume, plan_sweep, sweep
from .dask_pool import JOB_QUEUES, dask_pool
from .growth import growth_of
from .job import SubmitError
from .pools import MadeExecutor
from .submission import Request, submissions, tasks_in_queue
from .submit import submit_runs

if TYPE_CHECKING:
    from ..scenarios.scenario import Scenario

EXECUTORS = ("local", "dask", "slurm")

_LOOK_SECONDS = 3.0
"""Seconds between two looks at jobs."""


def check_choice(executor: str, scheduler: str | None) -> None:
    """Refuse an executor that there is not.

    Raises:
        SweepError: with those that there are.
    """
    if executor not in EXECUTORS:
        raise SweepError(f"executor '{executor}': there is none; allowed: {', '.join(EXECUTORS)}")
    if scheduler is not None and (executor != "dask" or not (scheduler in JOB_QUEUES or "://" in scheduler)):
        queues = ", ".join(JOB_QUEUES)
        raise SweepError(f"scheduler '{scheduler}': must be an address as in tcp://host:8786, or {queues}, and of dask")


def make_runs(
    scenario: "Scenario",
    out: Path,
    executor: str,
    scheduler: str | None,
    *,
    workers: int | None,
    resume: Resume,
    only_failed: bool = False,
    extend: bool = False,
    limits: Limits = Limits(),  # noqa: B008 - it is frozen
    progress: Progress,
    told: Callable[[str], None],
) -> Results:
    """Make the runs of a sweep where it was asked for and return the results.

    Args:
        scenario: the scenario.
        out: results directory to make, or to go on with.
        executor: one of :data:`EXECUTORS`.
        scheduler: of Dask; see :func:`.dask_pool.dask_pool`.
        workers: worker processes, Dask workers or jobs; of Slurm, workers a task.
        resume, only_failed, extend, limits, progress, told: as for :func:`.sweep.sweep`.

    Raises:
        SweepError: if it cannot begin or go on.
        SweepInterrupted: after Ctrl-C; what is done stands.
        SweepDrained: if it ended before all runs were settled; what is done stands.
    """
    if executor == "slurm":
        return _submitted(scenario, out, workers or 1, resume or extend, only_failed, extend, limits, progress, told)

    def made(workers: int | Callable[[], int] | None, pool: MadeExecutor | None = None) -> Results:
        return sweep(
            scenario,
            out=out,
            workers=workers,
            executor=pool,
            resume=resume,
            only_failed=only_failed,
            extend=extend,
            limits=limits,
            progress=progress,
            told=told,
        )

    if executor == "dask":
        with dask_pool(scheduler, workers or cores()) as (pool, slots):
            return made(slots, pool)
    return made(workers)


def _submitted(
    scenario: "Scenario",
    out: Path,
    workers: int,
    resume: Resume,
    only_failed: bool,
    extend: bool,
    limits: Limits,
    progress: Progress,
    told: Callable[[str], None],
) -> Results:
    """Plan a sweep, submit it to Slurm, and wait until its jobs are over."""
    if only_failed:
        raise SweepError(f"with --executor slurm go on by --resume, or by citytwin submit {out} --resume")
    plan_sweep(scenario, out, resume=resume, extend=extend, told=told)
    request = Request(
        "slurm", workers=workers, seconds=limits.walltime, time_limit=limits.seconds, memory_per_run=limits.memory
    )
    try:
        submit_runs(out, request, told=told)
    except SubmitError:
        if len(runs_in_results(out)) < len(read_tasks(out)):
            raise
        # It was over before, or with the few runs that were made to see how long they take.
    else:
        _wait(out, progress)
    return Results(out)


def _wait(out: Path, progress: Progress) -> None:
    """Wait until no task of any submission is left in the queue.

    Raises:
        SweepError: if it is a growing sweep whose next round could not be planned or submitted.
        SweepDrained: if runs are left that were not tried, or not to the end.
        SweepInterrupted: after Ctrl-C.
    """
    begun, before = time.monotonic(), len(runs_in_results(out))
    try:
        while True:
            left = tasks_in_queue(out)
            over = left is not None and not left  # a Slurm that does not answer for once has not ended the jobs
            total, done = len(read_tasks(out)), len(runs_in_results(out))
            failed = sum(entry.state in UNSUCCESSFUL for entry in states(out).values()) if over else 0
            seconds = time.monotonic() - begun
            progress(done, failed, total, (total - done) * seconds / (done - before) if done > before else None)
            if over:
                break
            time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        jobs = " ".join(job for each in submissions(out) for job in each.jobs.values())
        outcome = outcome_of(out, read_tasks(out), states(out))
        raise SweepInterrupted(
            f"Its jobs go on: citytwin status {shlex.quote(str(out))} tells how far they are; scancel {jobs} ends them.",
            outcome,
        ) from None
    growth = growth_of(out, left, sessions(out))
    if growth is not None and growth.state == "stopped":
        raise SweepError(f"{out}: {growth.message}")
    outcome = outcome_of(out, read_tasks(out), states(out))
    if outcome.left:
        logs = submissions(out)[-1].folder
        raise SweepDrained(
            f"The jobs of {out} are over, but {outcome.left:,} of {outcome.total:,} runs are left; their logs are in "
            f"{logs}; go on with citytwin submit {shlex.quote(str(out))} --resume",
            outcome,
        )
