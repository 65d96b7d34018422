"""Commands for clusters: submit a sweep to a batch system, and work on a part of it, as its jobs do."""

import json
import shlex
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import (
    DRAINED,
    SOME_FAILED,
    JsonOption,
    MemoryLimitOption,
    ResultsArgument,
    SetOption,
    TimeLimitOption,
    TrustOption,
    WalltimeOption,
    app,
    limits_of,
    load,
    refuse_swept,
)

if TYPE_CHECKING:
    from ..executors.submission import Request, Submission


@app.command()
def submit(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO|RESULTS", help="A scenario; with --resume a results directory.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Results directory to make; results/<name> if left out.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Submit what is missing of a sweep.")] = False,
    slurm: Annotated[bool, typer.Option("--slurm", help="Submit to Slurm.")] = False,
    pbs: Annotated[bool, typer.Option("--pbs", help="Submit to PBS.")] = False,
    lsf: Annotated[bool, typer.Option("--lsf", help="Submit to LSF.")] = False,
    workers: Annotated[
        int | None, typer.Option("--workers-per-task", min=1, max=1024, help="Runs a task makes side by side. [1]")
    ] = None,
    tasks: Annotated[
        int | None, typer.Option("--tasks", min=1, max=1000, help="Tasks; by --task-time if left out.")
    ] = None,
    task_time: Annotated[
        str | None, typer.Option("--task-time", metavar="TIME", help="What a task should last. [30 min]")
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", metavar="TIME", help="Wall time of a task; by its runs if left out.")
    ] = None,
    run_time: Annotated[
        str | None, typer.Option("--time-per-run", metavar="TIME", help="What a run takes; measured if left out.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option("--mem-per-run", metavar="SIZE", help="Memory of a run; as measured if left out.")
    ] = None,
    time_limit: TimeLimitOption = None,
    queue: Annotated[str | None, typer.Option("--partition", "--queue", help="Partition or queue.")] = None,
    account: Annotated[str | None, typer.Option("--account", help="Account or project that pays.")] = None,
    extra: Annotated[
        list[str], typer.Option("--extra", help="A further directive, as in '#SBATCH --constraint=skylake'.")
    ] = [],  # noqa: B006
    write_only: Annotated[bool, typer.Option("--write-only", help="Write the scripts and submit nothing.")] = False,
    changes: SetOption = [],  # noqa: B006
    trust_code: TrustOption = False,
    as_json: JsonOption = False,
) -> None:
    """Submit a sweep to a cluster as a job array, packed so that each task lasts about --task-time.

    Kernels are compiled first, then the array runs, then a last job seals the results; of a sweep with until or budget it
    submits the next round. Run it on a machine that shares its files with the cluster. citytwin status tells how it goes;
    --resume submits again what is missing.

    \b
    Examples:
        citytwin submit scenario.toml --out results/mine --slurm --partition short --account city
        citytwin submit scenario.toml --pbs --workers-per-task 16 --time "2 h" --write-only
        citytwin submit results/mine --resume
    """
    from ..executors.submit import submit_runs
    from ..progress import sign_of_life

    chosen = [name for name, wanted in (("slurm", slurm), ("pbs", pbs), ("lsf", lsf)) if wanted]
    given = {
        "system": chosen[0] if chosen else None,
        "workers": workers,
        "tasks": tasks,
        "task_seconds": _seconds(task_time, "--task-time"),
        "seconds": _seconds(time, "--time"),
        "seconds_per_run": _seconds(run_time, "--time-per-run"),
        "memory_per_run": _bytes(memory, "--mem-per-run"),
        "time_limit": _seconds(time_limit, "--time-limit"),
        "queue": queue,
        "account": account,
        "extra": tuple(extra) or None,
    }
    if len(chosen) > 1:
        raise typer.BadParameter("one of --slurm, --pbs and --lsf is needed, not several")
    with sign_of_life("checking scenario and cities") as say:
        if resume:
            if changes or out is not None:
                raise typer.BadParameter(
                    "--out and --set belong to a new sweep; with --resume name its results directory"
                )
            directory = Path(scenario)
            request = _request(directory, given, trust_code)
        else:
            request = _request(None, given, trust_code)
            directory = _plan(scenario, changes, out, request, say)
        submission = submit_runs(directory, request, write_only=write_only, trust_code=trust_code, told=say)
    _tell(directory, submission, write_only, as_json)


def _seconds(text: str | None, option: str) -> float | None:
    from ..scenarios.sections import parse_duration

    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _bytes(text: str | None, option: str) -> int | None:
    from ..engine.limits import parse_size

    try:
        return None if text is None else parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _request(directory: Path | None, given: dict[str, Any], trust_code: bool) -> "Request":
    """Return what is asked for: what was given, else what was asked for last time, else nothing special.

    Directives can make a batch system run anything, so that those of last time need consent.
    """
    from ..executors.job import SubmitError
    from ..executors.submission import Request, submissions

    before = submissions(directory) if directory is not None else []
    said = {name: value for name, value in given.items() if value is not None}
    if before:
        if (extra := before[-1].request.extra) and "extra" not in said and not trust_code:
            again = " ".join(f"--extra {shlex.quote(line)}" for line in extra)
            raise SubmitError(
                f"{directory}: last time it was submitted with {again}\nSay so again, or take it over by --trust-code."
            )
        # Tasks are counted anew from what is left, unless their number is given again.
        return replace(before[-1].request, **{"tasks": None} | said)
    if "system" not in said:
        raise typer.BadParameter("one of --slurm, --pbs and --lsf is needed")
    return Request(**said)


def _plan(scenario: str, changes: list[str], out: Path | None, request: "Request", say: Callable[[str], None]) -> Path:
    """Write the results directory of a scenario, once it is clear that the batch system could take its runs."""
    from ..executors.submit import check_request
    from ..scenarios.cities import slug
    from ..sweep import plan_sweep

    check_request(request)
    loaded = load(scenario, changes)
    refuse_swept(loaded, changes)
    directory = out or Path("results") / slug(loaded.name)
    plan_sweep(loaded, directory, told=say)
    return directory


def _tell(directory: Path, submission: "Submission", write_only: bool, as_json: bool) -> None:
    from ..executors.submit import commands

    if as_json:
        content = asdict(submission) | {"folder": str(submission.folder), "directory": str(directory)}
        typer.echo(json.dumps(content, indent=2))
        return
    runs, tasks = submission.runs, submission.tasks
    workers = submission.request.workers
    beside = f", {workers} at a time" if workers > 1 else ""
    typer.echo(
        f"{runs:,} runs of about {submission.seconds_per_run:.3g} s in {tasks:,} task{'s' if tasks > 1 else ''}"
        f"{beside}; wall time of a task: {submission.wall_seconds / 60:.0f} min."
    )
    if write_only:
        typer.echo("Written, not submitted. To submit:\n" + "\n".join(f"  {line}" for line in commands(submission)))
    else:
        typer.echo("Jobs: " + ", ".join(f"{kind} {job}" for kind, job in submission.jobs.items()))
    typer.echo(f"Scripts and logs: {submission.folder}\nHow it goes: citytwin status {shlex.quote(str(directory))}")


@app.command()
def work(
    directory: ResultsArgument,
    part: Annotated[
        int | None, typer.Option("--part", min=0, help="Number of the part, from 0; all runs if left out.")
    ] = None,
    parts: Annotated[
        int | None, typer.Option("--of", min=1, help="Number of parts into which all runs are dealt.")
    ] = None,
    submission: Annotated[
        str | None, typer.Option("--submission", help="Parts as citytwin submit packed them.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Runs made side by side; one a core if left out.")
    ] = None,
    walltime: WalltimeOption = None,
    time_limit: TimeLimitOption = None,
    memory_limit: MemoryLimitOption = None,
    requeue: Annotated[
        bool, typer.Option("--requeue", help="If the wall time comes first, let Slurm start the job again.")
    ] = False,
    warm: Annotated[bool, typer.Option("--warm", help="Compile the kernels the runs need; make none.")] = False,
    finish: Annotated[
        bool,
        typer.Option(
            "--finish",
            help="Seal what there is and show the status; make none. With --submission: a growing sweep's next round, too.",
        ),
    ] = False,
    trust_code: TrustOption = False,
) -> None:
    """Make a part of the runs of a sweep that is planned, as the tasks of a job array do.

    It ends before the wall time that Slurm or --walltime gives it: runs in hand are finished or keep what they have reached.
    SIGUSR1 and SIGTERM end it likewise. The exit code is 75 then if runs are left.

    \b
    Examples:
        citytwin work results/mine --part 3 --of 20 --workers 4 --walltime "2 h"
        citytwin work results/mine
    """
    from ..engine.part import work_on
    from ..executors import task
    from ..executors.rounds import close_round
    from ..progress import progress_bar
    from ..status import status
    from ..trust import check_code
    from .status import status_text

    dealt = parts is not None or (submission is not None and not finish)
    if (part is None) == dealt or (parts is not None and submission is not None):
        raise typer.BadParameter("--part needs one of --of and --submission, and each of these needs --part")
    limits = limits_of(time_limit, memory_limit, walltime)
    if not trust_code:
        check_code(directory)
    if warm:
        task.warm(directory)
        return
    if finish:
        work_on(directory, [])
        typer.echo(status_text(status(directory), {}))
        if submission is not None:
            growth = close_round(directory, submission, trust_code=trust_code)
            typer.echo(f"Growing sweep: {growth.message}")
        return
    runs = None if part is None else task.runs_of(directory, part, submission=submission, parts=parts)
    with progress_bar("runs") as move:
        outcome, refused = task.work_on_part(
            directory,
            runs,
            workers=workers,
            limits=limits,
            requeue=requeue,
            progress=lambda done, failed, total, left: move(
                done + failed, total, left, f"{failed} failed" if failed else ""
            ),
        )
    for failure in outcome.failures:
        typer.echo(str(failure), err=True)
    typer.echo(f"{outcome.done} of {outcome.total} runs are in the results, {len(outcome.failures)} failed.")
    if outcome.stopped:
        typer.echo(f"Stopped by {outcome.stopped}, {outcome.left} runs are left. {refused}".rstrip(), err=True)
        raise typer.Exit(DRAINED)
    if outcome.failures:
        raise typer.Exit(SOME_FAILED)
