"""Submit the runs of a sweep to a batch system: kernels first, then a job array, then a job that finishes up."""

import os
import shlex
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engine.ledger import UNSUCCESSFUL, entries, now
from ..engine.limits import Limits
from ..engine.manifest import PACKAGE, read_manifest
from ..engine.part import explained, work_on
from ..engine.sessions import states
from ..points.growing import figures_of, maker_of, plan_next
from ..storage.store import read_tasks, runs_in_results
from ..trust import check_code
from . import parts as packing
from .growth import grows
from .job import INDEX, Job, Resources, SubmitError, cancel, check, job_name, script, submit
from .slurm import own_job, queued_tasks
from .submission import JOBS, SYSTEMS, Request, Submission, go_on_command, submissions

if TYPE_CHECKING:
    from ..points.tasks import TaskMaker

TASK_SECONDS = 1800.0
"""What a task should last: long enough for its start not to matter, short enough to find a gap in the queue."""

SPARE = 1.5
"""Wall time asked for, as a multiple of what the runs are expected to take (assumed)."""

START_SECONDS = 300.0
"""Wall time on top of it, for starting Python on a busy file system and loading kernels (assumed)."""

FILLED = 0.7
"""Share of a given wall time that a task is filled with (assumed)."""

WARM_SECONDS = 1800.0
"""Wall time asked for compiling the kernels; a minute or two is usual."""

SPARE_MEMORY = 1.25
"""Memory asked for, as a multiple of the greatest that a run took (assumed)."""

SUPERVISOR_MEMORY = 500 * 2**20
"""Memory of a task on top of its workers', bytes: its supervisor, and a shard being sealed (assumed)."""

SETTLED = frozenset(UNSUCCESSFUL) - {"lost"} | {"done"}
"""States of runs that the next round of a growing sweep need not wait for; one that was lost may be done next time."""

_PILOTS = 3
"""Runs made beforehand to learn what a run costs; they count like all others."""

_CARRIED = ("PYTHONPATH", "LD_LIBRARY_PATH", "NUMBA_CPU_NAME")
"""Variables that a job needs as they are here; PBS does not hand them on."""


def submit_runs(
    directory: Path,
    request: Request,
    *,
    runs: Sequence[str] | None = None,
    write_only: bool = False,
    trust_code: bool = False,
    told: Callable[[str], None] = lambda _: None,
) -> Submission:
    """Submit all runs that are not in the results yet; of a growing sweep those too that it wants next.

    The last job of a growing sweep plans and submits its next round (:mod:`.rounds`).

    Args:
        directory: results directory of a sweep that has been planned.
        request: what is asked of the batch system.
        runs: the runs of a further round, for which the kernels have been compiled; all that are missing if None.
        write_only: write the scripts, submit nothing.
        trust_code: run the code that the results name besides ours; never remembered, as the directory may be another's.
        told: called with what goes on.

    Raises:
        SubmitError: if nothing is missing, jobs of the same sweep are still there, or the batch system refuses: then none
            of the jobs is left in its queue, and what was asked for is kept for the next time.
        SweepError: if the results cannot be read or written, name code that is not ours and is not trusted, have no such
            figure as ``until`` asks for, or runs have to be made to learn their cost and cannot.
    """
    most = check_request(request)
    directory = directory.absolute()
    if not trust_code:
        check_code(directory)
    system = SYSTEMS[request.system]
    _refuse_twice(directory)
    maker = maker_of(directory) if runs is None and grows(directory) else None
    if maker is not None:
        _plan_further(directory, maker)
    tasks = _missing(directory, runs)
    by_point = _costs_by_point(directory, tasks, request, trust_code, told)
    if maker is not None:
        figures_of(directory, maker)  # so that a misspelt figure does not cost a whole round
        _plan_further(directory, maker)
    tasks = _missing(directory, runs)  # a pilot may have made some, or all
    cost = packing.costs(tasks, by_point)
    count = min(request.tasks or _tasks_for(request, sum(cost), len(tasks), most), len(tasks))
    packed = packing.pack([task["run_id"] for task in tasks], cost, count)
    cost_of = dict(zip((task["run_id"] for task in tasks), cost, strict=True))
    longest = max(_lasts([cost_of[run] for run in part], request.workers) for part in packed)
    seconds = request.seconds or longest * SPARE + START_SECONDS
    folder = directory / JOBS / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{socket.gethostname()}-{os.getpid()}"
    submission = Submission(folder, now(), request, len(tasks), len(packed), sum(cost) / len(cost), seconds)
    jobs = _jobs(directory, folder.name, request, len(packed), seconds, trust_code)
    if runs is not None:
        jobs.pop("warm", None)
    texts = {kind: script(job, system) for kind, job in jobs.items()}
    with explained(directory):
        folder.mkdir(parents=True)
        packing.write_parts(folder, packed)
        for kind, text in texts.items():
            (folder / f"{kind}.sh").write_text(text, encoding="utf-8")
        submission.write()
        if not write_only:
            told(f"submitting {len(packed)} tasks")
            _hand_over(directory, submission, list(jobs), trust_code)
    return submission


def _hand_over(directory: Path, submission: Submission, kinds: Sequence[str], trust_code: bool) -> None:
    """Submit the jobs one after the other; if one is not taken, cancel those before it, which nobody would follow."""
    system, jobs = SYSTEMS[submission.request.system], submission.jobs
    for kind in kinds:
        try:
            jobs[kind] = submit(submission.folder / f"{kind}.sh", system, list(jobs.values())[-1:])
        except SubmitError as error:
            lines = [str(error)]
            if taken := list(jobs.values()):
                refused = cancel(taken, system)
                what = f"cannot be cancelled ({refused}); do so by hand" if refused else "was cancelled"
                lines.append(f"What had been submitted before ({system.cancel} {' '.join(taken)}) {what}.")
                if not refused:
                    jobs.clear()
                    submission.write()
            again = go_on_command(directory, submission.request, trust_code)
            lines.append(
                f"The sweep stands planned in {directory}, runs to make: {submission.runs:,}; go on with: {again}"
            )
            raise SubmitError("\n".join(lines)) from None
        submission.write()


def check_request(request: Request) -> int:
    """Refuse what cannot stand in a script and arrays that are too large, before anything else is done.

    Returns:
        How many tasks there may be at most.

    Raises:
        SubmitError: with what is wrong.
    """
    system = SYSTEMS[request.system]
    check(_resources(request, 0.0, None), system)
    most = system.largest_array() or packing.MOST_TASKS
    if request.tasks is not None and request.tasks > most:
        raise SubmitError(f"--tasks {request.tasks}: this {system.title} takes arrays of at most {most} tasks")
    return min(most, packing.MOST_TASKS)


def commands(submission: Submission) -> list[str]:
    """Return the commands by which a person submits scripts that were only written, in order."""
    system = SYSTEMS[submission.request.system]
    lines = [f"cd {shlex.quote(str(submission.folder))}"]
    before: list[str] = []
    for kind in ("warm", "array", "finish"):
        if (submission.folder / f"{kind}.sh").is_file():
            words = shlex.join(system.submit(f"{kind}.sh", before))
            lines.append(f"{words} < {kind}.sh" if system.from_input else words)
            before = [f"JOB_OF_{kind.upper()}"]
    return lines


def _plan_further(directory: Path, maker: "TaskMaker") -> None:
    """Write down the next runs of a growing sweep, if all that are written down have been tried and some are done."""
    found = {entry.state for entry in states(directory).values()}
    if "done" in found and found <= SETTLED:
        plan_next(directory, maker)


def _missing(directory: Path, runs: Sequence[str] | None) -> list[dict[str, Any]]:
    done = runs_in_results(directory)
    wanted = None if runs is None else set(runs)
    tasks = [
        task
        for task in read_tasks(directory)
        if task["run_id"] not in done and (wanted is None or task["run_id"] in wanted)
    ]
    if not tasks:
        raise SubmitError(f"{directory}: nothing is left to submit, all {len(done)} runs are in the results")
    return tasks


def _refuse_twice(directory: Path) -> None:
    """Refuse to submit what is in the queue already: it would do no harm, but cost twice."""
    own = own_job()  # the last job of a round submits the next one
    for submission in submissions(directory):
        jobs = [job for job in submission.jobs.values() if job != own]
        left = (queued_tasks(jobs) or {}) if submission.request.system == "slurm" else {}
        left.pop("COMPLETING", None)  # such a task makes no more runs
        if left:
            states = ", ".join(f"{count} {state.lower()}" for state, count in left.items())
            raise SubmitError(
                f"{directory}: jobs of {submission.folder.name} are still there ({states}); wait for them, or "
                f"cancel them first: scancel {' '.join(jobs)}"
            )


def _costs_by_point(
    directory: Path, tasks: list[dict[str, Any]], request: Request, trust_code: bool, told: Callable[[str], None]
) -> dict[int | None, float]:
    if request.seconds_per_run is not None:
        return {None: request.seconds_per_run}
    points = {task["run_id"]: task["point"] for task in read_tasks(directory)}
    if not (found := packing.measured(list(entries(directory)), points)):
        told("making a few runs to see how long they take")
        step = max(1, (len(tasks) - 1) // (_PILOTS - 1))
        pilots = [task["run_id"] for task in tasks[::step]][:_PILOTS]
        work_on(directory, pilots, workers=1, limits=Limits(request.time_limit, request.memory_per_run))
        found = packing.measured(list(entries(directory)), points)
    if not found:
        raise SubmitError(
            f"{directory}: {len(pilots)} runs were made to see how long they take, and all failed; "
            f"see citytwin status {shlex.quote(str(directory))}, or say how long they take: "
            f"{go_on_command(directory, request, trust_code)} --{request.system} --time-per-run TIME"
        )
    return found


def _tasks_for(request: Request, cost: float, runs: int, most: int) -> int:
    seconds = request.task_seconds or TASK_SECONDS
    if request.seconds is not None:
        seconds = min(seconds, request.seconds * FILLED)
    return packing.how_many(cost, runs, seconds, request.workers, most)


def _lasts(costs: list[float], workers: int) -> float:
    """Return how long runs take side by side: no run is shared out, so at worst the longest one comes last."""
    return sum(costs) / workers + (max(costs) if workers > 1 else 0.0)


def _resources(request: Request, seconds: float, memory: int | None) -> Resources:
    return Resources(
        cores=request.workers,
        seconds=seconds,
        memory=memory,
        queue=request.queue,
        account=request.account,
        extra=request.extra,
    )


def _memory(directory: Path, request: Request) -> int | None:
    """Return what a run takes, bytes: as said, else as measured, with something to spare; None if nobody knows."""
    if request.memory_per_run is not None:
        return request.memory_per_run
    greatest = max((entry.rss for entry in entries(directory)), default=0)
    return round(greatest * SPARE_MEMORY) if greatest else None


def _jobs(directory: Path, name: str, request: Request, tasks: int, seconds: float, trust_code: bool) -> dict[str, Job]:
    """Return the jobs by kind, in the order of their work."""
    memory = _memory(directory, request)
    whole = None if memory is None else memory * request.workers + SUPERVISOR_MEMORY
    single = None if memory is None else memory + SUPERVISOR_MEMORY
    shared = {  # numba unpickles what is in its cache, so that it must not be one that came with the results
        "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", str(directory / JOBS / name / "kernels")),
        **{name: os.environ[name] for name in _CARRIED if name in os.environ},
    }
    trusting = ("--trust-code",) if trust_code else ()
    program = (sys.executable, "-m", PACKAGE, "work", str(directory), *trusting)
    title = job_name(directory)
    limits: tuple[str, ...] = ("--walltime", f"{round(seconds)} s")
    if request.time_limit is not None:
        limits += ("--time-limit", f"{round(request.time_limit)} s")
    if request.memory_per_run is not None:
        limits += ("--memory-limit", f"{request.memory_per_run} B")
    part = ("--submission", name, "--part", INDEX, "--workers", str(request.workers), *limits)

    def job(command: tuple[str, ...], tasks: int | None, resources: Resources, **further: str) -> Job:
        return Job(title, (*program, *command), resources, tasks, Path.cwd(), shared | further)

    one = replace(request, workers=1)
    jobs = {}
    if read_manifest(directory)["context"].get("warm"):
        jobs["warm"] = job(("--warm",), None, _resources(one, WARM_SECONDS, single))
    requeue = ("--requeue",) if request.system == "slurm" else ()
    jobs["array"] = job((*part, *requeue), tasks, _resources(request, seconds, whole))
    if grows(directory):  # its last job submits, too, for which the batch system has to be found
        path = {"PATH": os.environ.get("PATH", os.defpath)}
        jobs["finish"] = job(("--finish", "--submission", name), None, _resources(one, WARM_SECONDS, single), **path)
    else:
        jobs["finish"] = job(("--finish",), None, _resources(one, WARM_SECONDS, single))
    return jobs
