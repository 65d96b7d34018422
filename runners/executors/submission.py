"""What has been submitted for a results directory: ``jobs/<name>/`` holds scripts, parts, logs and ``job.json``."""

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..storage.store import write_atomic
from .job import System
from .lsf import LSF
from .pbs import PBS
from .slurm import SLURM, queued_tasks

JOBS = "jobs"
"""Folder of a results directory with a folder for every submission."""

ABOUT = "job.json"

SYSTEMS: Mapping[str, System] = {system.name: system for system in (SLURM, PBS, LSF)}


@dataclass(frozen=True)
class Request:
    """What is asked of a batch system; a submission that follows asks for the same unless told otherwise.

    Attributes:
        system: ``slurm``, ``pbs`` or ``lsf``.
        workers: runs that a task makes side by side, each on a core.
        tasks: number of tasks; by ``task_seconds`` if None.
        task_seconds: what a task should last, s.
        seconds: wall time of a task, s; by what its runs are expected to take if None.
        seconds_per_run: what a run takes, s; measured if None.
        memory_per_run: bytes; as measured if None.
        time_limit: seconds after which a run is given up, or None.
        queue: partition or queue.
        account: account or project.
        extra: further directives.
    """

    system: str
    workers: int = 1
    tasks: int | None = None
    task_seconds: float | None = None
    seconds: float | None = None
    seconds_per_run: float | None = None
    memory_per_run: int | None = None
    time_limit: float | None = None
    queue: str = ""
    account: str = ""
    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what a damaged file may say, or one of somebody else: it goes into scripts."""
        whole = (self.workers, self.tasks, self.memory_per_run)
        amounts = (*whole, self.task_seconds, self.seconds, self.seconds_per_run, self.time_limit)
        if (
            self.system not in SYSTEMS
            or self.workers is None
            or not all(number is None or type(number) is int for number in whole)
            or not all(
                amount is None or (isinstance(amount, int | float) and 0 <= amount < math.inf) for amount in amounts
            )
            or not all(isinstance(text, str) for text in (self.queue, self.account, *self.extra))
        ):
            raise ValueError(f"no request to a batch system: {self!r}")


@dataclass(frozen=True)
class Submission:
    """Jobs that have been submitted, or whose scripts have been written.

    Attributes:
        folder: ``jobs/<name>`` with the scripts.
        time: when, ISO 8601 in UTC.
        request: what was asked for.
        runs: number of runs.
        tasks: number of tasks they are packed into.
        seconds_per_run: what a run was expected to take, s, on average.
        wall_seconds: wall time asked for a task, s.
        jobs: identifiers by kind (``warm``, ``array``, ``finish``), in the order of their work; none if only written, or
            if the batch system refused.
    """

    folder: Path
    time: str
    request: Request
    runs: int
    tasks: int
    seconds_per_run: float
    wall_seconds: float
    jobs: dict[str, str] = field(default_factory=dict)

    def write(self) -> None:
        """Write ``job.json``.

        Raises:
            OSError: if the disk does not take it.
        """
        content = asdict(self)
        del content["folder"]
        write_atomic(self.folder / ABOUT, json.dumps(content, indent=2).encode() + b"\n")


def submissions(directory: Path) -> list[Submission]:
    """Return what has been submitted for a results directory, oldest first; what cannot be read is left out."""
    found = []
    for file in sorted((directory / JOBS).glob(f"*/{ABOUT}")):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            asked: dict[str, Any] = content.pop("request")
            request = Request(**asked | {"extra": tuple(asked["extra"])})
            found.append(Submission(folder=file.parent, request=request, **content))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            continue
    return found


def go_on_command(directory: Path, request: Request, trust_code: bool) -> str:
    """Return the command that submits what is missing once more, with the settings of last time."""
    words = ["citytwin", "submit", str(directory), "--resume"]
    if trust_code:
        words.append("--trust-code")
    else:
        words += [word for line in request.extra for word in ("--extra", line)]
    return shlex.join(words)


def tasks_in_queue(directory: Path) -> dict[str, int] | None:
    """Return how many tasks of all submissions are in the queue of Slurm, by state; None if Slurm does not say."""
    jobs = [job for each in submissions(directory) if each.request.system == "slurm" for job in each.jobs.values()]
    return queued_tasks(jobs)
