"""A job for a batch system: what it runs, what it asks for, and the script that says both.

The batch systems differ in their directives, in how a script learns which element of an array it is, and in how it is
submitted; all of that is a :class:`System` (:mod:`.slurm`, :mod:`.pbs`, :mod:`.lsf`). What is the same stands here.
Nothing of a user reaches a shell unquoted: paths and arguments are quoted, and names that stand in directives, where
quoting differs from system to system, are checked.
"""

import math
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._,:@+-]{0,99}")
"""Names of partitions, queues, accounts and qualities of service."""

JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\[\]@-]{0,99}")

LONGEST_NAME = 15
"""Characters of the name of a job, as older PBS allow."""

SIGNAL_AHEAD = 60, 0.1
"""Seconds before its wall time at which a job is told to end, where the batch system can do so, and the share of the
wall time that they are at most. A task ends by itself before; this is for one whose wall time has been changed."""

_SUBMIT_PATIENCE = 120.0


class SubmitError(RuntimeError):
    """A job that cannot be submitted; the message says why and what to do."""


@dataclass(frozen=True)
class Resources:
    """What one task of a job asks for.

    Attributes:
        cores: processor cores.
        seconds: wall time, s.
        memory: bytes; the batch system's own default if None.
        queue: partition or queue; the default one if empty.
        account: account or project that pays; the default one if empty.
        extra: further directives, as they are to stand in the script.
    """

    cores: int
    seconds: float
    memory: int | None = None
    queue: str = ""
    account: str = ""
    extra: tuple[str, ...] = ()

    @property
    def minutes(self) -> int:
        """Wall time in whole minutes, rounded up."""
        return max(1, math.ceil(self.seconds / 60))

    @property
    def megabytes(self) -> int | None:
        """Memory in MiB, rounded up."""
        return None if self.memory is None else math.ceil(self.memory / 2**20)


@dataclass(frozen=True)
class Job:
    """One job, or an array of like ones.

    Attributes:
        name: what the batch system lists it under.
        command: words of the command; of an array :data:`INDEX` stands for the number of the task, from 0.
        resources: what each task asks for.
        tasks: number of tasks of an array; None: a single job.
        folder: working directory of the command.
        environment: variables to set.
        requeue: whether the batch system may start it again, as after the loss of a node.
    """

    name: str
    command: tuple[str, ...]
    resources: Resources
    tasks: int | None
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    requeue: bool = True


INDEX = "{index}"
"""Stands in a command for the number of the task, from 0."""


@dataclass(frozen=True)
class System:
    """A batch system.

    Attributes:
        name: ``slurm``, ``pbs`` or ``lsf``.
        title: what people call it.
        mark: what a directive begins with.
        directives: directives of a job.
        index: shell expression for the number of the task of an array, from 0.
        submit: words that submit the script ``file`` once jobs of the identifiers have ended, whatever they came to.
        from_input: whether the script is handed over on standard input.
        job_id: expression whose first group is the identifier in what the command prints.
        cancel: the program that cancels jobs.
        look: command that lists one's jobs.
        smallest_array: number of tasks below which an array is refused.
        largest_array: asks how many tasks an array may have; None if the batch system does not say.
    """

    name: str
    title: str
    mark: str
    directives: Callable[[Job], list[str]]
    index: str
    submit: Callable[[str, Sequence[str]], list[str]]
    job_id: re.Pattern[str]
    cancel: str
    look: str
    from_input: bool = False
    smallest_array: int = 1
    largest_array: Callable[[], int | None] = lambda: None


def script(job: Job, system: System) -> str:
    """Return the script of a job.

    The command replaces the shell, so that signals of the batch system reach it.

    Raises:
        SubmitError: if a name or directive cannot stand in a script; all that is wrong is said at once.
    """
    check(job.resources, system)
    array = job.tasks is not None and job.tasks >= system.smallest_array
    words = [(f'"{system.index}"' if array else "0") if word == INDEX else shlex.quote(word) for word in job.command]
    lines = [
        "#!/bin/bash",
        *(f"{system.mark} {directive}" for directive in system.directives(job)),
        *job.resources.extra,
        "set -eu",
        *(f"export {name}={shlex.quote(value)}" for name, value in sorted(job.environment.items())),
        f"cd {shlex.quote(str(job.folder))}",
        f"exec {' '.join(words)}",
    ]
    return "\n".join(lines) + "\n"


def check(resources: Resources, system: System) -> None:
    """Refuse names and directives that could not be meant, or would end up as something else.

    Raises:
        SubmitError: with all that is wrong.
    """
    wrong = [
        f"{what} {name!r}: must be 1 to 100 letters, digits and '._,:@+-', the first a letter or digit"
        for what, name in (("partition or queue", resources.queue), ("account", resources.account))
        if name and not NAME.fullmatch(name)
    ]
    wrong += [
        f"directive {line!r}: must be one line that begins with '{system.mark} ', as {system.title} reads it"
        for line in resources.extra
        if not line.startswith(f"{system.mark} ") or not line.isprintable()
    ]
    if wrong:
        raise SubmitError("\n".join(wrong))


def job_name(directory: Path) -> str:
    """Return a name for the jobs of a results directory that every batch system takes."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", directory.name).strip("-")
    return (name if name[:1].isalpha() else f"ct-{name}")[:LONGEST_NAME]


def submit(file: Path, system: System, after: Sequence[str] = ()) -> str:
    """Submit a script and return the identifier of its job. What it prints goes to the folder of the script.

    Args:
        file: the script.
        system: the batch system.
        after: identifiers of the jobs to wait for.

    Raises:
        SubmitError: if the batch system is not there or does not take it.
    """
    words = system.submit(file.name, after)
    if shutil.which(words[0]) is None:
        raise SubmitError(
            f"there is no {words[0]} here: submit on a machine of a cluster with {system.title}, "
            "or write the scripts only (--write-only)"
        )
    try:
        with file.open("rb") as content:
            done = subprocess.run(
                words,
                cwd=file.parent,
                stdin=content if system.from_input else subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_SUBMIT_PATIENCE,
                check=False,
            )
    except subprocess.TimeoutExpired:
        raise SubmitError(
            f"{words[0]} did not answer within {_SUBMIT_PATIENCE:.0f} s; it may have taken {file} all the same: "
            f"look ({system.look}), and cancel what is there ({system.cancel}) before you try again"
        ) from None
    except OSError as error:
        raise SubmitError(f"{words[0]} cannot be started ({error.strerror or error})") from None
    found = system.job_id.search(done.stdout)
    if done.returncode != 0 or found is None or not JOB_ID.fullmatch(found.group(1)):
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}")[:2000]
        raise SubmitError(f"{system.title} did not take {file}: {said}")
    return found.group(1)


def cancel(jobs: Sequence[str], system: System) -> str:
    """Cancel jobs.

    Returns:
        Why that was not possible; empty if it was.
    """
    try:
        done = subprocess.run(
            [system.cancel, *jobs], capture_output=True, text=True, timeout=_SUBMIT_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"


def clock(seconds: float) -> str:
    """Return a duration as batch systems write it, ``HH:MM:SS``, in whole minutes rounded up."""
    hours, minutes = divmod(max(1, math.ceil(seconds / 60)), 60)
    return f"{hours:02d}:{minutes:02d}:00"
