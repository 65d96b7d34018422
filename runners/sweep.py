"""Sweeps: many runs in worker processes, each run committed by itself, nothing lost and nothing doubled.

The supervisor is the process that called :func:`run_sweep`. It keeps one child process a slot (:mod:`runners.worker`),
gives each one run at a time and starts it anew when it dies; a death is charged to the run in hand alone. It seals
blocks of runs as they are completed (:mod:`runners.store`) and keeps the ledger (:mod:`runners.ledger`).
"""

import contextlib
import errno
import fcntl
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from . import manifest as manifests
from .ledger import Ledger, entries, now, states
from .manifest import Manifest
from .store import MANIFEST, RUN_ID, STAGE, TASKS, Store, read_tasks, runs_in_results
from .supervisor import Progress, Supervisor, UnusableError
from .tables import ID_COLUMNS, StoreError, parameter_types

if TYPE_CHECKING:
    from .own_classes import Classes
    from .results import Results
    from .scenario import Scenario

Resume = bool | Literal["anyway"]

_LOCK = ".lock"
_LEFTOVERS = {_LOCK, TASKS}
"""What a sweep that was cut off while its directory was made may have left."""

_LARGEST_SEED = 2**63 - 1


class SweepError(RuntimeError):
    """A sweep that cannot begin or go on; the message says why, what stands, and what to do."""


class SweepInterrupted(KeyboardInterrupt):
    """A sweep stopped by Ctrl-C or SIGTERM; the message says what is done and how to resume.

    Attributes:
        outcome: what is done so far.
    """

    def __init__(self, message: str, outcome: "SweepOutcome"):
        super().__init__(message)
        self.outcome = outcome


@dataclass(frozen=True)
class Failure:
    """A run that is not in the results.

    Attributes:
        run_id: run.
        point: number of its point.
        replicate: number of its replicate.
        seed: its seed.
        parameters: values of the swept parameters.
        state: ``failed`` (raised) or ``killed`` (its process died).
        attempts: attempts made so far.
        error: class of the exception, or name of the signal.
        message: what it said.
        trace: file with the traceback, relative to the results directory; empty if there is none.
    """

    run_id: str
    point: int
    replicate: int
    seed: int
    parameters: dict[str, Any]
    state: str
    attempts: int
    error: str
    message: str
    trace: str

    def __str__(self) -> str:
        values = ", ".join(f"{name} = {value}" for name, value in self.parameters.items())
        where = f"{self.run_id} (seed {self.seed}{', ' + values if values else ''})"
        return f"{where}: {self.state}: {self.error}{': ' + self.message if self.message else ''}"


@dataclass(frozen=True)
class SweepOutcome:
    """What a sweep came to, over all its sessions.

    Attributes:
        directory: results directory.
        total: runs asked for.
        done: runs in the results.
        failed: runs that raised.
        killed: runs whose process died, twice in a row.
        failures: the failed and killed runs, in run order.
    """

    directory: Path
    total: int
    done: int
    failed: int = 0
    killed: int = 0
    failures: list[Failure] = field(default_factory=list)


def sweep(
    scenario: "Scenario | str | Path",
    *,
    out: str | Path,
    workers: int | None = None,
    resume: Resume = False,
    progress: Progress | None = None,
    told: Callable[[str], None] | None = None,
    **classes: "Unpack[Classes]",
) -> "Results":
    """Run all points and replicates of a scenario and return the results.

    Args:
        scenario: a scenario or the path of its file.
        out: results directory to make, or to go on with.
        workers: worker processes; one a core if None.
        resume: go on with the sweep in ``out``; ``"anyway"`` also with another version of the program.
        progress: called with (done, failed, total, seconds left).
        told: called with what is about to be built before the first run.
        **classes: ``citizen_class``, ``vehicle_class`` and ``dispatcher_class`` of the models. Workers import them: each
            stands in a module, or at the top of a script that does its work under ``if __name__ == "__main__":``.

    Raises:
        ScenarioError: if the scenario is wrong; nothing has been made then.
        TypeError, ValueError: if a class is none of its kind, cannot be imported by workers or has nothing to do.
        SweepError: if the sweep cannot begin or go on.
        SweepInterrupted: after Ctrl-C; what is done stands.
    """
    from .cities import CITIES
    from .results import Results
    from .run import sweep_tasks

    check_directory(Path(out), resume=bool(resume))
    folder = Path(out) / CITIES
    tasks, execute, context = sweep_tasks(scenario, folder, told=told, tried=bool(resume), classes=classes)
    run_sweep(tasks, execute, context, out, workers=workers, resume=resume, progress=progress)
    return Results(out)


def run_sweep(
    tasks: Sequence[Mapping[str, Any]],
    execute: str,
    context: Mapping[str, Any],
    out: str | Path,
    *,
    workers: int | None = None,
    resume: Resume = False,
    progress: Progress | None = None,
    block: int | None = None,
) -> SweepOutcome:
    """Make every run once, whatever happens to the processes, and gather the results.

    Args:
        tasks: the runs in order, JSON-able: ``run_id`` (a name for a file), ``point``, ``replicate``, ``seed``,
            ``parameters`` (name → value), and whatever ``execute`` needs. ``city`` is the path of a bundle.
        execute: import path of ``execute(task, context) -> {table: {column: array}}``, ``"package.module:function"``.
        context: what all runs share, JSON-able; ``scenario`` is its text; ``warm``, if any, the import path of a
            function of the context that compiles the kernels: called in one worker before the first run.
        out: results directory.
        workers: worker processes; one a core if None.
        resume: go on with the sweep in ``out``: whatever is not in the results is run, also what failed before and what
            lay in a damaged shard. A sweep of other runs, cities or another program is refused; ``"anyway"`` accepts
            another program. Of a sweep that is finished nothing is written.
        progress: called with (done, failed, total, seconds left).
        block: runs a shard; by the number of runs if None.

    Returns:
        What the sweep came to; runs that failed are named there.

    Raises:
        SweepError: if the sweep cannot begin or go on; what was done stands.
        SweepInterrupted: after Ctrl-C (runs in hand are finished first; a second one stops at once) or SIGTERM.
    """
    out = Path(out)
    runs = _check_tasks(plain(list(tasks), "tasks"))
    shared: dict[str, Any] = plain(dict(context), "context")
    workers = cores() if workers is None else workers
    if workers < 1:
        raise SweepError(f"workers: {workers}; at least 1 is needed")
    wanted = manifests.describe(runs, execute, shared, block or default_block(len(runs)))
    check_directory(out, resume=bool(resume))
    try:
        made = not out.exists()
        out.mkdir(parents=True, exist_ok=True)
        with lock(out):
            if resume:
                _check_same(out, wanted, runs, anyway=resume == "anyway")
            else:
                _begin(out, wanted, runs, made=made)
            return _Session(out, runs, shared, workers, progress).run()
    except (StoreError, manifests.ManifestError) as error:
        raise SweepError(str(error)) from None
    except UnusableError as error:
        raise SweepError(f"{execute} cannot be run: {error}") from None
    except OSError as error:
        raise SweepError(unwritable(out, error, len(runs))) from None


def default_block(runs: int) -> int:
    """Return the number of runs a shard: a tenth of the runs, at least 4 and at most 100."""
    return min(100, max(4, -(-runs // 10)))


# ---------------------------------------------------------------------- before it begins


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def plain(value: Any, name: str) -> Any:
    """Return the value as JSON gives it back, so that a sweep and its resumption see the same."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError) as error:
        raise SweepError(f"{name}: cannot be written as JSON ({error})") from None


def _check_tasks(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not tasks:
        raise SweepError("no runs: a sweep needs at least one point and one replicate")
    seen = set()
    for task in tasks:
        run = task.get("run_id")
        if not isinstance(run, str) or not RUN_ID.fullmatch(run):
            raise SweepError(f"run_id {run!r}: must be 1 to 100 letters, digits and '._-', the first a letter or digit")
        if run in seen:
            raise SweepError(f"run_id {run!r}: stands twice; every run needs a name of its own")
        seen.add(run)
        for name in ID_COLUMNS[1:]:
            value = task.get(name)
            if not isinstance(value, int) or not 0 <= value <= _LARGEST_SEED:
                raise SweepError(f"run {run}: {name} is {value!r}; must be an integer from 0 to 2^63 - 1")
        parameters = task.get("parameters", {})
        if clash := sorted(set(ID_COLUMNS) & set(parameters)):
            raise SweepError(f"run {run}: parameter '{clash[0]}' has the name of a column of every table; rename it")
    return tasks


def check_directory(out: Path, *, resume: bool) -> None:
    """Refuse a directory that cannot be meant, before anything is made."""
    if (out / MANIFEST).is_file():
        if not resume:
            raise SweepError(
                f"{out}: holds a sweep already; go on with it (--resume, resume=True) or choose another name"
            )
    elif resume:
        what = "is no sweep" if out.exists() else "does not exist"
        raise SweepError(f"{out}: {what}, so there is nothing to resume; leave out --resume (resume=True) to begin one")
    elif out.exists() and not (out.is_dir() and {item.name for item in out.iterdir()} <= {*_LEFTOVERS, "cities"}):
        raise SweepError(f"{out}: exists and is no sweep; choose another name or remove it first")


def _begin(out: Path, wanted: Manifest, tasks: list[dict[str, Any]], *, made: bool) -> None:
    """Make the directory a sweep: ``sweep.json`` comes last. If the disk does not take it, nothing is left."""
    check_directory(out, resume=False)  # again, now that nobody else can begin here
    try:
        manifests.write_tasks(out, tasks)
        manifests.write_manifest(out, wanted)
    except OSError:
        with contextlib.suppress(OSError):
            for name in _LEFTOVERS:
                (out / name).unlink(missing_ok=True)
            if made:
                out.rmdir()
        raise


def _check_same(out: Path, wanted: Manifest, tasks: list[dict[str, Any]], *, anyway: bool) -> None:
    """Refuse to go on with another sweep than the one in the directory, or with another program."""
    old = manifests.read_manifest(out)
    wanted["block"] = old["block"]
    lines = manifests.differences(old, wanted, read_tasks(out), tasks)
    if lines:
        shown = "\n  ".join(lines)
        raise SweepError(
            f"{out}: holds another sweep:\n  {shown}\n"
            "Resume it with what it was begun with, or begin a new one under another name."
        )
    lines = manifests.program_differences(old, wanted)
    if lines and not anyway:
        shown = "\n  ".join(lines)
        raise SweepError(
            f"{out}: was made by another program:\n  {shown}\n"
            "Resume it with that one, begin a new sweep under another name, or accept a mixture from Python, by "
            "ct.sweep(…, resume='anyway')."
        )


@contextlib.contextmanager
def lock(out: Path) -> Iterator[None]:
    """Keep a second supervisor out; the lock goes with the process, however it ends."""
    try:
        lock = (out / _LOCK).open("w")
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES):
            raise
        # Nobody can work here, and of a finished sweep nothing is written; any other meets the same error soon.
        yield
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SweepError(f"{out}: another sweep is running here; wait for it or stop it") from None
        except OSError as error:
            # File systems without locks: there the user must take care.
            if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK):
                raise
        yield


def unwritable(out: Path, error: OSError, total: int) -> str:
    done = 0
    with contextlib.suppress(OSError, StoreError):
        done = len(runs_in_results(out))
    begun = f"{done} of {total} runs are in the results and stay there; put it right and resume the sweep (--resume)"
    reason = error.strerror or str(error)
    return f"{out}: cannot be written ({reason}); {begun if (out / MANIFEST).is_file() else 'nothing was begun'}"


# ---------------------------------------------------------------------- one session


class _Session:
    """One time that a sweep is worked on, from its start or resumption to its end or interruption."""

    def __init__(
        self, out: Path, tasks: list[dict[str, Any]], context: dict[str, Any], workers: int, progress: Progress | None
    ):
        self.out = out
        self.tasks = tasks
        self.context = context
        self.workers = workers
        self.progress = progress
        self.manifest = manifests.read_manifest(out)
        self.manifest["versions"] = manifests.program()
        scenario = self.manifest["scenario"]
        footer = {
            "scenario": scenario if isinstance(scenario, str) else json.dumps(scenario),
            "versions": json.dumps(self.manifest["versions"]),
        }
        self.store = Store(out, [task["run_id"] for task in tasks], self.manifest["block"], footer)

    def run(self) -> SweepOutcome:
        self.store.clean()
        redone = self.store.set_aside()
        done = self.store.committed()
        stopped = self._work(done, redone) if len(done) < len(self.tasks) else None
        for number in range(self.store.blocks):
            self.store.seal(number)
        outcome = self._outcome()
        if self.manifest["ended"] is None or self.manifest["sessions"][-1]["ended"] is None:
            self._record(outcome, stopped)
        self._tidy()
        if stopped is not None:
            raise SweepInterrupted(
                f"Stopped by {stopped.name}: {outcome.done} of {outcome.total} runs are in {self.out}; "
                f"go on with --resume (resume=True).",
                outcome,
            )
        return outcome

    def _work(self, done: set[str], redone: list[str]) -> signal.Signals | None:
        attempts: dict[str, int] = {}
        for entry in entries(self.out):
            attempts[entry.run_id] = max(entry.attempt, attempts.get(entry.run_id, 0))
        about = {"started": now(), "ended": None, "workers": self.workers, "versions": self.manifest["versions"]}
        self.manifest["ended"] = None
        if redone:
            about["redone"] = redone
        self.manifest["sessions"].append(about | {"machine": manifests.machine()})
        manifests.write_manifest(self.out, self.manifest)
        opening = {
            "execute": self.manifest["execute"],
            "context": self.context,
            "types": parameter_types(self.tasks),
        }
        with Ledger(self.out) as ledger:
            supervisor = Supervisor(
                opening,
                workers=self.workers,
                store=self.store,
                ledger=ledger,
                attempts=attempts,
                progress=self.progress,
            )
            return supervisor.run(self.tasks, done)

    def _outcome(self) -> SweepOutcome:
        found = states(self.out)
        failures = []
        for task in self.tasks:
            entry = found[task["run_id"]]
            if entry.state in ("failed", "killed"):
                about = {name: task[name] for name in ID_COLUMNS} | {"parameters": task.get("parameters", {})}
                failures.append(
                    Failure(
                        **about,
                        state=entry.state,
                        attempts=entry.attempt,
                        error=entry.error,
                        message=entry.message,
                        trace=entry.trace,
                    )
                )
        count = Counter(entry.state for entry in found.values())
        return SweepOutcome(self.out, len(self.tasks), count["done"], count["failed"], count["killed"], failures)

    def _record(self, outcome: SweepOutcome, stopped: signal.Signals | None) -> None:
        ended = now()
        if self.manifest["sessions"]:
            counts = {"done": outcome.done, "failed": outcome.failed, "killed": outcome.killed}
            how = stopped.name if stopped else "finished"
            self.manifest["sessions"][-1] |= {"ended": ended, "how": how} | counts
        self.manifest["ended"] = None if stopped else ended
        manifests.write_manifest(self.out, self.manifest)

    def _tidy(self) -> None:
        self.store.clean()  # what workers that were killed in the middle of a commit left
        with contextlib.suppress(OSError):  # runs of incomplete blocks lie there
            (self.out / STAGE).rmdir()
