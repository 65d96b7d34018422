"""What a task of a job array does: its part of the runs, until they are settled or its time is over."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..engine.limits import Limits, process_start
from ..engine.manifest import read_manifest
from ..engine.outcome import SweepOutcome
from ..engine.part import opening_of, work_on
from ..engine.pause import CHECKPOINTS
from ..engine.supervisor import Progress
from ..engine.worker import load
from ..storage.store import read_tasks, runs_in_results
from . import slurm
from .job import SubmitError
from .parts import read_part, stride
from .submission import ABOUT, JOBS


def runs_of(directory: Path, part: int, *, submission: str | None = None, parts: int | None = None) -> list[str]:
    """Return the runs of a part: of a submission, or of so many parts into which all runs are dealt.

    Raises:
        SubmitError: if there is no such part.
        StoreError: if the directory is no sweep.
    """
    if submission is not None:
        folder = directory / JOBS / submission
        if Path(submission).name != submission or not folder.is_dir():
            known = ", ".join(sorted(path.parent.name for path in (directory / JOBS).glob(f"*/{ABOUT}"))) or "none"
            raise SubmitError(f"{directory}: has no submission '{submission}'; there are: {known}")
        return read_part(folder, part)
    assert parts is not None
    if not 0 <= part < parts:
        raise SubmitError(f"part {part} of {parts}: parts are counted from 0 to {parts - 1}")
    return stride([task["run_id"] for task in read_tasks(directory)], part, parts)


def work_on_part(
    directory: Path,
    runs: Sequence[str] | None,
    *,
    workers: int | None,
    limits: Limits,
    requeue: bool = False,
    progress: Progress | None = None,
) -> tuple[SweepOutcome, str]:
    """Make runs within a job: until they are settled, or until just before its wall time.

    Args:
        directory: results directory.
        runs: the runs; all that are missing if None.
        workers: runs made side by side; one a core if None.
        limits: limits of a run; the wall time counts where the batch system does not say how much is left.
        requeue: if the time did not suffice, or SIGUSR1 came, let Slurm start the job again, provided that it came further.
        progress: called with (done, failed, total, seconds left).

    Returns:
        What the runs came to, and what to say of a job that should have been started again but is not; else "".

    Raises:
        SweepError: if the results cannot be read or written.
    """
    left = slurm.seconds_left()
    if left is not None:
        limits = replace(limits, walltime=left + time.monotonic() - process_start())
    before = _reached(directory, runs)
    outcome = work_on(directory, runs, workers=workers, limits=limits, progress=progress)
    if not (requeue and outcome.stopped) or outcome.stopped == "SIGTERM":  # that is how jobs are cancelled
        return outcome, ""
    if _reached(directory, runs) == before:
        return outcome, "The job is not started again, because it came no further."
    refused = slurm.requeue()
    return outcome, f"The job is not started again: {refused}" if refused else ""


def warm(directory: Path) -> None:
    """Compile the kernels that the runs of a sweep need, in this process.

    Raises:
        ManifestError: if the directory is no sweep.
    """
    manifest = read_manifest(directory)
    opening = opening_of(manifest, read_tasks(directory))
    if path := opening["context"].get("warm"):
        load(path)(opening["context"])


def _reached(directory: Path, runs: Sequence[str] | None) -> tuple[set[str], set[tuple[str, int]]]:
    """Return what can change when a task comes further: the runs in the results, and what runs keep to go on from."""
    done = runs_in_results(directory)
    if runs is not None:
        done &= set(runs)
    kept = (directory / CHECKPOINTS / run for run in runs) if runs is not None else (directory / CHECKPOINTS).glob("*")
    return done, {(str(file), file.stat().st_mtime_ns) for folder in kept for file in folder.glob("*")}
