"""Work on a sweep that is planned: all of it or a part, alone or beside others, here or on any machine that sees it.

This is all that a front end calls: ``citytwin sweep`` for all runs, a task of a job array for its part, a task of an
executor inside the remote process. No lock is needed between them: every run and every shard is put in place by one
rename and follows from what is in it, so work that is done twice gives the same bytes.
"""

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from ..storage.stage import MANIFEST, STAGE, read_staged, read_tasks, staged_runs
from ..storage.store import DAMAGED, Store, runs_in_results
from ..storage.tables import TABLE_NAME, StoreError, parameter_types
from . import manifest as manifests
from .child import UnusableError
from .ledger import UNSUCCESSFUL, Ledger, attempts_made
from .limits import Limits
from .manifest import Manifest
from .outcome import SweepError, SweepInterrupted, SweepOutcome, outcome_of
from .pause import CHECKPOINTS
from .sessions import Others, identity, lives_here, living, sessions, states
from .supervisor import Progress, Supervisor

Found = TypeVar("Found")

_READ_ONLY = "cities"
"""The folder of a results directory from which nothing is ever removed."""


def work_on(
    directory: str | Path,
    runs: Iterable[str] | None = None,
    *,
    workers: int | None = None,
    limits: Limits = Limits(),  # noqa: B008 - it is frozen
    progress: Progress | None = None,
    check: bool = False,
) -> SweepOutcome:
    """Make runs of a sweep that is planned, whatever happens to the processes.

    Any number of sessions may work in one directory. Those that make all runs mind each other; parts should not overlap,
    or runs are made more than once, to no harm but the time.

    Args:
        directory: results directory.
        runs: names of the runs to make; all if None. Those that are in the results are not made again.
        workers: worker processes; one a core if None.
        limits: time and memory of a run, and the wall time of this process.
        progress: called with (done, failed, total, seconds left).
        check: whether all shards are read first, and the runs of damaged ones made again.

    Returns:
        What the runs came to. If the wall time, SIGTERM or SIGUSR1 ended it before all were settled, ``stopped`` says so.

    Raises:
        SweepError: if it cannot begin or go on; what was done stands.
        SweepInterrupted: after Ctrl-C (runs in hand are finished first; a second one stops at once).
    """
    directory = Path(directory)
    workers = cores() if workers is None else workers
    if workers < 1:
        raise SweepError(f"workers: {workers}; at least 1 is needed")
    with explained(directory):
        tasks = read_tasks(directory)
        chosen = tasks if runs is None else _chosen(directory, tasks, runs)
        manifest = manifests.read_manifest(directory)
        check_program(directory, manifest)
        work = _Work(directory, manifest, tasks, workers, limits, progress)
        with explained(directory, manifest["execute"], begun=True):
            return work.on(chosen, whole=runs is None, check=check)


def unsuccessful(directory: str | Path) -> list[str]:
    """Return the runs that were tried and are not in the results, in run order.

    Raises:
        StoreError: if the directory is no sweep.
    """
    return [run for run, entry in states(directory).items() if entry.state in UNSUCCESSFUL]


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _chosen(directory: Path, tasks: list[dict[str, Any]], runs: Iterable[str]) -> list[dict[str, Any]]:
    wanted = dict.fromkeys(runs)
    chosen = [task for task in tasks if task["run_id"] in wanted]
    if len(chosen) < len(wanted):
        unknown = list(wanted.keys() - {task["run_id"] for task in chosen})
        raise SweepError(f"{directory}: has no run {', '.join(sorted(unknown)[:5])}; tasks.jsonl lists those there are")
    return chosen


def check_program(directory: Path, manifest: Manifest) -> None:
    """Refuse to work on a sweep with another program than that it was planned with, or last accepted for it.

    Raises:
        SweepError: if this is another.
    """
    if lines := manifests.layout_differences(manifest) or manifests.program_differences(manifest):
        shown = "\n  ".join(lines)
        raise SweepError(
            f"{directory}: was made by another program than that of {manifests.machine()['host']}:\n  {shown}\n"
            "Work on it with that one, begin a new sweep under another name, or accept a mixture from Python, by "
            "ct.sweep(…, resume='anyway')."
        )


@contextlib.contextmanager
def explained(directory: Path, execute: str = "its runs", *, begun: bool = False) -> Iterator[None]:
    """Turn errors below a sweep into those that a user of one meets.

    Args:
        directory: results directory.
        execute: the function that makes a run.
        begun: whether the directory is known to hold a sweep; if it does no more, it has vanished.
    """
    try:
        yield
    except (StoreError, manifests.ManifestError) as error:
        raise SweepError(str(error)) from None
    except UnusableError as error:
        raise SweepError(f"{execute} cannot be run: {error}") from None
    except OSError as error:
        raise SweepError(_unwritable(directory, error, begun)) from None


def _unwritable(directory: Path, error: OSError, begun: bool) -> str:
    reason = error.strerror or str(error)
    stands = "nothing was begun"
    if begun:
        stands = f"{MANIFEST} is not to be seen any more; if a file system is gone, resume once it is back (--resume)"
    with contextlib.suppress(OSError, StoreError):
        if (directory / MANIFEST).is_file():
            done, total = len(runs_in_results(directory)), len(read_tasks(directory))
            here = f"{done} of {total} runs are in the results and stay there"
            stands = f"{here}; put it right and resume the sweep (--resume)"
    return f"{directory}: cannot be written ({reason}); {stands}"


class _Work:
    """One session of a sweep, from its start or resumption to its end or interruption."""

    def __init__(
        self,
        directory: Path,
        manifest: Manifest,
        tasks: list[dict[str, Any]],
        workers: int,
        limits: Limits,
        progress: Progress | None,
    ):
        self.directory, self.manifest, self.tasks = directory, manifest, tasks
        self.workers, self.limits, self.progress = workers, limits, progress
        self.store = store_of(directory, manifest, [task["run_id"] for task in tasks])

    def on(self, chosen: list[dict[str, Any]], *, whole: bool, check: bool) -> SweepOutcome:
        """Make what is missing of some runs; ``whole``: they are all runs, and other sessions may make them, too."""
        others = Others(self.directory) if whole else None  # first, so that no run is missed that they commit meanwhile
        alone = not living(sessions(self.directory), wait=False)
        if alone:
            self.store.clean()
        names = [task["run_id"] for task in chosen]
        redone = waited_for(
            lambda: [*(self.store.set_aside() if check else []), *set_aside_staged(self.directory, names)]
        )
        done = self.store.committed()
        stopped = ""
        if not done.issuperset(names):
            stopped = self._work(chosen, done.intersection(names), others, redone)
        elif alone:
            self._finish(done)
        outcome = self._outcome(chosen, stopped)
        if stopped == "SIGINT":
            raise SweepInterrupted(stop_message(outcome), outcome)
        return outcome

    def _outcome(self, chosen: list[dict[str, Any]], stopped: str) -> SweepOutcome:
        if self.store.committed().issuperset(task["run_id"] for task in chosen):  # no need to read all journals
            return SweepOutcome(self.directory, len(chosen), len(chosen), stopped=stopped)
        alive = living(sessions(self.directory), wait=False)
        return outcome_of(self.directory, chosen, states(self.directory, alive, self.store.runs), stopped)

    def _work(self, chosen: list[dict[str, Any]], done: set[str], others: Others | None, redone: list[str]) -> str:
        about = about_session(self.workers, len(chosen), redone)
        attempts = attempts_made(self.directory)
        with Ledger(self.directory, about) as ledger:
            if others is not None:
                others.own = ledger.name
            supervisor = Supervisor(
                opening_of(self.manifest, self.tasks),
                workers=self.workers,
                store=self.store,
                ledger=ledger,
                attempts=attempts,
                progress=self.progress,
                limits=self.limits,
                others=others,
            )
            stopped = supervisor.run(chosen, done)
            beside = [session for session in sessions(self.directory) if session.name != ledger.name]
            doubted = [session for session in beside if others is None or not others.gone(session.name)]
            alive = living(doubted, wait=others is not None and not stopped)
            if not alive:
                self._finish(self.store.committed())
            silent = [
                session.name
                for session in beside
                if not session.end and lives_here(session) is None and session.name not in alive
            ]
            ledger.end(stopped or "finished", **supervisor.settled, **({"silent": silent} if silent else {}))
        return stopped

    def _finish(self, done: set[str]) -> None:
        """Seal what there is, for tools that read nothing else, and remove what nobody needs."""
        waited_for(self.store.finish)
        remove_checkpoints(self.directory, done)


def waited_for(work: Callable[[], Found]) -> Found:
    """Do work by a thread that the interpreter waits for before it ends, as it does not for those of Dask.

    Arrow is C++: a thread that comes back from it while the interpreter ends takes the whole process down ("terminate
    called without an active exception").
    """
    if not threading.current_thread().daemon:
        return work()
    with ThreadPoolExecutor(1, "finish") as thread:
        return thread.submit(work).result()


def about_session(workers: int, runs: int, redone: list[str]) -> dict[str, Any]:
    """Return what a session says of itself at the head of its journal.

    Args:
        workers: greatest number of its worker processes.
        runs: runs that it is to see to.
        redone: those that are made again because a file with their results was damaged.
    """
    about = identity() | {"machine": manifests.machine(), "versions": manifests.program()}
    return about | {"workers": workers, "runs": runs} | ({"redone": redone} if redone else {})


def stop_message(outcome: SweepOutcome) -> str:
    """Return what to say of a sweep that stopped before all its runs were settled."""
    return (
        f"Stopped by {outcome.stopped}: {outcome.done} of {outcome.total} runs are in {outcome.directory}; "
        "go on with --resume (resume=True)."
    )


def set_aside_staged(directory: Path, runs: Iterable[str]) -> list[str]:
    """Take staged runs out of the results that are not whole, as a loss of power may leave them, and return them.

    The damaged files are kept under a name that nothing reads.
    """
    lost = []
    for run in sorted(staged_runs(directory).intersection(runs)):
        path = directory / STAGE / f"{run}.arrow"
        try:
            if path.stat().st_size == 0:
                raise StoreError(f"{path}: empty")
            read_staged(directory, run)
        except FileNotFoundError:  # sealed meanwhile
            continue
        except StoreError:
            path.replace(path.with_name(f"{path.name}{DAMAGED}"))
            lost.append(run)
    return lost


def store_of(directory: Path, manifest: Manifest, runs: list[str]) -> Store:
    """Return the store of a sweep that is to be worked on.

    Raises:
        StoreError: if a folder of it is a link: what lies behind may be anybody's, and files would be removed there.
    """
    for item in directory.iterdir():
        if item.is_symlink() and item.is_dir() and TABLE_NAME.fullmatch(item.name) and item.name != _READ_ONLY:
            raise StoreError(f"{item}: is a link; put the folder itself in its place, or remove it")
    scenario = manifest["scenario"]
    footer = {
        "scenario": scenario if isinstance(scenario, str) else json.dumps(scenario),
        "versions": json.dumps(manifest["versions"]),
    }
    return Store(directory, runs, manifest["block"], footer)


def opening_of(manifest: Manifest, tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a worker must know before its first run."""
    context = dict(manifest["context"])
    if manifest["scenario"] is not None:
        context["scenario"] = manifest["scenario"]
    return {"execute": manifest["execute"], "context": context, "types": parameter_types(tasks)}


def remove_checkpoints(directory: Path, done: Collection[str]) -> None:
    """Remove what runs kept to go on from that are in the results; a worker may have died before it could."""
    folder = directory / CHECKPOINTS
    with contextlib.suppress(OSError):
        for item in folder.iterdir():
            if item.name in done:
                shutil.rmtree(item, ignore_errors=True)
        folder.rmdir()
