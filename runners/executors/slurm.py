"""Slurm: job arrays by ``sbatch``, and what a job asks of it by ``squeue`` and ``scontrol`` alone (no accounting needed)."""

import os
import re
import subprocess
from collections.abc import Sequence

from .job import SIGNAL_AHEAD, Job, System, clock

_PATIENCE = 20.0
_LARGEST_ARRAY = re.compile(r"^MaxArraySize\s*=\s*(\d+)", re.MULTILINE)
_TIME_LEFT = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)")


def _directives(job: Job) -> list[str]:
    wants = job.resources
    ahead, share = SIGNAL_AHEAD
    lines = [
        f"--job-name={job.name}",
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={wants.cores}",
        f"--time={clock(wants.seconds)}",
        f"--signal=B:USR1@{round(min(ahead, share * wants.seconds))}",
        "--requeue" if job.requeue else "--no-requeue",
        "--open-mode=append",
    ]
    if job.tasks is None:
        lines.append(f"--output={job.name}-%j.log")
    else:
        lines += [f"--array=0-{job.tasks - 1}", "--output=%a.log"]
    if wants.megabytes is not None:
        lines.append(f"--mem={wants.megabytes}M")
    if wants.queue:
        lines.append(f"--partition={wants.queue}")
    if wants.account:
        lines.append(f"--account={wants.account}")
    return lines


def _submit(file: str, after: Sequence[str]) -> list[str]:
    waiting = [f"--dependency=afterany:{':'.join(after)}"] if after else []
    return ["sbatch", "--parsable", *waiting, file]


def largest_array() -> int | None:
    """Return how many tasks an array may have; None if Slurm does not say."""
    found = _LARGEST_ARRAY.search(_ask("scontrol", "show", "config") or "")
    return max(1, int(found.group(1))) if found else None


def _ask(*words: str) -> str | None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


SLURM = System(
    name="slurm",
    title="Slurm",
    mark="#SBATCH",
    directives=_directives,
    index="$SLURM_ARRAY_TASK_ID",
    submit=_submit,
    job_id=re.compile(r"^(\d+)", re.MULTILINE),
    cancel="scancel",
    look="squeue --me",
    largest_array=largest_array,
)


def own_job() -> str | None:
    """Return the identifier of the job that this process is in, ``ARRAY_TASK`` within an array; None outside."""
    if "SLURM_ARRAY_JOB_ID" in os.environ and "SLURM_ARRAY_TASK_ID" in os.environ:
        return f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID")


def seconds_left() -> float | None:
    """Return the seconds until the wall time of the job that this process is in; None if Slurm does not say."""
    job = own_job()
    answer = _ask("squeue", "--noheader", f"--jobs={job}", "--format=%L") if job else None
    return None if answer is None else parse_time_left(answer)


def parse_time_left(text: str) -> float | None:
    """Return the seconds of Slurm's ``[days-][hours:]minutes:seconds``; None for ``UNLIMITED`` and the like."""
    match = _TIME_LEFT.fullmatch(text.strip())
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def requeue() -> str:
    """Put the job that this process is in back into the queue; Slurm ends it at once.

    Returns:
        Why that was not possible; empty if it was.
    """
    job = own_job()
    if job is None:
        return "this is no job of Slurm"
    try:
        done = subprocess.run(
            ["scontrol", "requeue", job], capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"


def queued_tasks(jobs: Sequence[str]) -> dict[str, int] | None:
    """Return how many tasks of jobs are in each state (``PENDING``, ``RUNNING`` …); None if Slurm does not say.

    Jobs that have ended are in no state: Slurm forgets them after some minutes.
    """
    counts: dict[str, int] = {}
    if not jobs:
        return counts
    answer = _ask("squeue", "--noheader", "--array", f"--jobs={','.join(jobs)}", "--format=%T")
    if answer is None:
        # A list of which all jobs are forgotten is an error to squeue; whether it answers at all tells the two apart.
        return counts if _ask("squeue", "--noheader", "--me") is not None else None
    for state in answer.split():
        counts[state] = counts.get(state, 0) + 1
    return counts
