"""Sweeps: many runs in worker processes, each run committed by itself, nothing lost and nothing doubled.

A sweep is planned first: what is wanted is written down, ``sweep.json`` and ``tasks.jsonl``. Then it is worked on
(:mod:`runners.engine.part`), here and now or by anybody who sees the directory.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from .engine import manifest as manifests
from .engine.limits import Limits
from .engine.outcome import SweepDrained, SweepError, SweepInterrupted, SweepOutcome
from .engine.part import (
    check_program,
    cores,
    explained,
    opening_of,
    stop_message,
    unsuccessful,
    work_on,
)
from .engine.supervisor import Progress
from .storage.bulk import uncollected
from .storage.store import MANIFEST, RUN_ID, TASKS, read_tasks
from .storage.tables import ID_COLUMNS

if TYPE_CHECKING:
    from .executors.pools import MadeExecutor
    from .points.tasks import TaskMaker
    from .results import Results
    from .scenarios.own_classes import Classes
    from .scenarios.scenario import Scenario

__all__ = [
    "SweepDrained",
    "SweepError",
    "SweepInterrupted",
    "SweepOutcome",
    "cores",
    "extend",
    "plan_runs",
    "plan_sweep",
    "run_sweep",
    "sweep",
]

Resume = bool | Literal["anyway"]

_LOCK = ".lock"
_LEFTOVER = re.compile(
    rf"{re.escape(_LOCK)}|{re.escape(TASKS)}|cities|\.({re.escape(TASKS)}|{re.escape(MANIFEST)})\..*tmp"
)
"""Names of what a sweep that was cut off while its directory was made may have left."""

_COLUMNS = frozenset(ID_COLUMNS)
_NUMBERS = ID_COLUMNS[1:]
_LARGEST_SEED = 2**63 - 1


def sweep(
    scenario: "Scenario | str | Path",
    *,
    out: str | Path,
    workers: int | Callable[[], int] | None = None,
    executor: "MadeExecutor | None" = None,
    resume: Resume = False,
    only_failed: bool = False,
    extend: bool = False,
    limits: Limits = Limits(),  # noqa: B008 - it is frozen
    progress: Progress | None = None,
    told: Callable[[str], None] | None = None,
    **classes: "Unpack[Classes]",
) -> "Results":
    """Run all points and replicates of a scenario and return the results.

    Args:
        scenario: a scenario or the path of its file.
        out: results directory to make, or to go on with.
        workers: worker processes; one a core if None. Of an executor: how many runs it makes side by side, or a function
            that says how many it does at the moment.
        executor: any ``concurrent.futures`` executor whose processes see ``out``, to make the runs there instead; or a
            function that makes one, called again where it breaks; see :mod:`runners.executors.pools`.
        resume: go on with the sweep in ``out``; ``"anyway"`` also with another version of the program.
        only_failed: make only those runs of the sweep in ``out`` that were tried and failed, with the seeds they had.
        extend: go on with the sweep in ``out`` as a part of this one, which differs in its section ``[sweep]`` alone.
        limits: time and memory of a run, and the wall time of this process.
        progress: called with (done, failed, total, seconds left).
        told: called with what is about to be built before the first run.
        **classes: ``citizen_class``, ``vehicle_class`` and ``dispatcher_class`` of the models. Workers import them: each
            stands in a module, or at the top of a script that does its work under ``if __name__ == "__main__":``.

    Raises:
        ScenarioError: if the scenario is wrong; nothing has been made then.
        TypeError, ValueError: if a class is none of its kind, cannot be imported by workers or has nothing to do.
        SweepError: if the sweep cannot begin or go on.
        SweepInterrupted: after Ctrl-C; what is done stands.
        SweepDrained: if the wall time, SIGTERM or SIGUSR1 ended it before all runs were settled; what is done stands.
    """
    from .executors.pools import check_place, work_through
    from .points.growing import grow
    from .results import Results

    check_place(executor, workers, limits)
    resume = resume or only_failed or extend
    maker, _ = _planned(scenario, Path(out), resume, extend, told, classes)

    def work(runs: list[str] | None) -> SweepOutcome:
        check = bool(resume) and runs is None
        if executor is None:
            assert not callable(workers)
            return work_on(out, runs, workers=workers, limits=limits, progress=progress, check=check)
        if check:
            work_on(out, [], check=True)  # makes none, but finds those whose results are damaged
        return work_through(out, executor, runs, slots=workers or 1, limits=limits, progress=progress)

    if only_failed:
        with explained(Path(out)):
            runs = unsuccessful(out)
        outcome = work(runs)
    elif maker.settings.grows:
        outcome = grow(Path(out), maker, work)
    else:
        outcome = work(None)
    if outcome.stopped:
        raise SweepDrained(stop_message(outcome), outcome)
    return Results(out)


def plan_sweep(
    scenario: "Scenario | str | Path",
    out: str | Path,
    *,
    resume: Resume = False,
    extend: bool = False,
    told: Callable[[str], None] | None = None,
    **classes: "Unpack[Classes]",
) -> list[dict[str, Any]]:
    """Write down what a sweep is, and make none of its runs.

    A sweep that grows begins with the runs that it makes whatever comes out.

    Args:
        scenario: a scenario or the path of its file.
        out: results directory to make, or with ``resume`` one that is planned: then only see that it is the same.
        resume: whether ``out`` holds the sweep; ``"anyway"``: go on with it though the program is another.
        extend: whether ``out`` holds a part of the sweep, to which the other runs are appended.
        told: called with what is about to be built.
        **classes: as for :func:`sweep`.

    Returns:
        The runs in order.

    Raises:
        ScenarioError: if the scenario is wrong; nothing has been made then.
        SweepError: if the directory cannot be made, or holds another sweep.
    """
    return _planned(scenario, Path(out), resume or extend, extend, told, classes)[1]


def _planned(
    scenario: "Scenario | str | Path",
    out: Path,
    resume: Resume,
    larger: bool,
    told: Callable[[str], None] | None,
    classes: "Classes",
) -> tuple["TaskMaker", list[dict[str, Any]]]:
    """Write down what a sweep is, or see that the directory holds it or a part of it; return what makes its tasks, and
    those that are written down.
    """
    from .points.growing import continued, first_batch
    from .preparation import EXECUTE, prepared_sweep
    from .scenarios.cities import CITIES

    check_directory(out, resume=bool(resume))
    tried = bool(resume) and not larger
    maker, context = prepared_sweep(scenario, out / CITIES, told=told, tried=tried, classes=classes)
    shared = plain(context, "context")
    if not resume:
        most = len(maker.points) * maker.settings.first_replicates
        with uncollected():
            tasks = maker.tasks(first_batch(maker))
        _begin(out, tasks, EXECUTE, shared, default_block(most))
        return maker, tasks
    with explained(out), uncollected():
        tasks = continued(out, maker, EXECUTE, shared, extend=larger)
    if larger:
        tasks = extend(out, tasks[manifests.read_manifest(out)["runs"] :], context)
    else:
        _go_on(out, tasks, EXECUTE, shared, anyway=resume == "anyway")
    return maker, tasks


def run_sweep(
    tasks: Sequence[Mapping[str, Any]],
    execute: str,
    context: Mapping[str, Any],
    out: str | Path,
    *,
    workers: int | None = None,
    resume: Resume = False,
    only_failed: bool = False,
    limits: Limits = Limits(),  # noqa: B008 - it is frozen
    progress: Progress | None = None,
    block: int | None = None,
) -> SweepOutcome:
    """Make every run once, whatever happens to the processes, and gather the results.

    Args:
        tasks: the runs in order, JSON-able: ``run_id`` (a name for a file), ``point``, ``replicate``, ``seed``,
            ``parameters`` (name → value), and whatever ``execute`` needs. ``city`` is the path of a bundle.
        execute: import path of ``execute(task, context) -> {table: {column: array}}``, ``"package.module:function"``.
            It may be paused, see :mod:`runners.engine.pause`.
        context: what all runs share, JSON-able; ``scenario`` is its text; ``warm``, if any, the import path of a
            function of the context that compiles the kernels: called in one worker before the first run.
        out: results directory.
        workers: worker processes; one a core if None.
        resume: go on with the sweep in ``out``: whatever is not in the results is run, also what failed before and what
            lay in a damaged shard. A sweep of other runs, cities or another program is refused; ``"anyway"`` accepts
            another program. Of a sweep that is finished nothing is written.
        only_failed: go on with the sweep in ``out``, but make only the runs that were tried and failed.
        limits: time and memory of a run, and the wall time of this process.
        progress: called with (done, failed, total, seconds left).
        block: runs a shard; by the number of runs if None.

    Returns:
        What the sweep came to; runs that failed are named there. If the wall time, SIGTERM or SIGUSR1 ended it before
        all runs were settled, ``stopped`` says so.

    Raises:
        SweepError: if the sweep cannot begin or go on; what was done stands.
        SweepInterrupted: after Ctrl-C (runs in hand are finished first; a second one stops at once).
    """
    if workers is not None and workers < 1:
        raise SweepError(f"workers: {workers}; at least 1 is needed")
    resume = resume or only_failed
    plan_runs(tasks, execute, context, out, resume=resume, block=block)
    return _worked(Path(out), resume, only_failed, workers, limits, progress)


def _worked(
    out: Path, resume: Resume, only_failed: bool, workers: int | None, limits: Limits, progress: Progress | None
) -> SweepOutcome:
    with explained(out):
        runs = unsuccessful(out) if only_failed else None
    return work_on(out, runs, workers=workers, limits=limits, progress=progress, check=bool(resume) and not only_failed)


def plan_runs(
    tasks: Sequence[Mapping[str, Any]],
    execute: str,
    context: Mapping[str, Any],
    out: str | Path,
    *,
    resume: Resume = False,
    block: int | None = None,
) -> list[dict[str, Any]]:
    """Write down what a sweep is, or see that the directory holds it; arguments as for :func:`run_sweep`.

    Returns:
        The runs in order, as they are written down.

    Raises:
        SweepError: if it cannot be; nothing is left behind then.
    """
    out = Path(out)
    runs: list[dict[str, Any]] = plain(list(tasks), "tasks")
    shared: dict[str, Any] = plain(dict(context), "context")
    check_directory(out, resume=bool(resume))
    if resume:
        _go_on(out, runs, execute, shared, anyway=resume == "anyway")
    else:
        _check_tasks(runs)
        _begin(out, runs, execute, shared, block or default_block(len(runs)))
    return runs


def extend(
    directory: str | Path, tasks: Sequence[Mapping[str, Any]], context: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Append runs to a sweep; what is done stays done, and its runs keep their names.

    Whoever calls this sees to it that the runs there are those that the larger sweep would have.

    Args:
        directory: results directory of a sweep that is planned, begun or finished.
        tasks: further runs, as for :func:`run_sweep`.
        context: what all runs share from now on, where that names the larger sweep; what it was if None.

    Returns:
        All runs in order, as they are written down.

    Raises:
        SweepError: if the directory holds no sweep, another program made it, or a run of that name is there.
    """
    directory = Path(directory)
    with explained(directory), lock(directory):
        old = manifests.read_manifest(directory)
        check_program(directory, old)
        known = read_tasks(directory)[: old["runs"]]  # a crash may have left what is appended now
        runs = _check_tasks([*known, *plain(list(tasks), "tasks")])
        shared = opening_of(old, known)["context"] if context is None else plain(dict(context), "context")
        manifests.write_tasks(directory, runs)
        described = manifests.describe(runs, old["execute"], shared, old["block"])
        manifests.write_manifest(directory, described | {"started": old["started"], "git": old["git"]})
    return runs


def default_block(runs: int) -> int:
    """Return the number of runs a shard: a tenth of the runs, at least 4 and at most 100."""
    return min(100, max(4, -(-runs // 10)))


# ---------------------------------------------------------------------- before it begins


def plain(value: Any, name: str) -> Any:
    """Return the value as JSON gives it back, so that a sweep and its resumption see the same."""
    try:
        with uncollected():
            return json.loads(json.dumps(value))
    except (TypeError, ValueError) as error:
        raise SweepError(f"{name}: cannot be written as JSON ({error})") from None


def _check_tasks(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not tasks:
        raise SweepError("no runs: a sweep needs at least one point and one replicate")
    seen: set[str] = set()
    for task in tasks:
        run = task.get("run_id")
        if not isinstance(run, str) or not RUN_ID.fullmatch(run):
            raise SweepError(f"run_id {run!r}: must be 1 to 100 letters, digits and '._-', the first a letter or digit")
        if run in seen:
            raise SweepError(f"run_id {run!r}: stands twice; every run needs a name of its own")
        seen.add(run)
        for name in _NUMBERS:
            value = task.get(name)
            if not isinstance(value, int) or not 0 <= value <= _LARGEST_SEED:
                raise SweepError(f"run {run}: {name} is {value!r}; must be an integer from 0 to 2^63 - 1")
        if clash := _COLUMNS.intersection(task.get("parameters", ())):
            raise SweepError(f"run {run}: parameter '{min(clash)}' has the name of a column of every table; rename it")
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
    elif out.exists() and not (out.is_dir() and all(_LEFTOVER.fullmatch(item.name) for item in out.iterdir())):
        raise SweepError(f"{out}: exists and is no sweep; choose another name or remove it first")


def _begin(out: Path, tasks: list[dict[str, Any]], execute: str, context: Mapping[str, Any], block: int) -> None:
    """Make the directory a sweep: ``sweep.json`` comes last. If the disk does not take it, nothing is left."""
    with explained(out):
        made = not out.exists()
        out.mkdir(parents=True, exist_ok=True)
        with lock(out):
            check_directory(out, resume=False)  # now that nobody else can begin here
            wanted = manifests.describe(tasks, execute, context, block)
            try:
                manifests.write_tasks(out, tasks)
                manifests.write_first_manifest(out, wanted)
            except FileExistsError:  # by another machine, in this very moment
                raise SweepError(f"{out}: another sweep has just begun here; choose another name") from None
            except OSError:
                with contextlib.suppress(OSError):
                    for name in (_LOCK, TASKS):
                        (out / name).unlink(missing_ok=True)
                    if made:
                        out.rmdir()
                raise


def _go_on(out: Path, tasks: list[dict[str, Any]], execute: str, context: Mapping[str, Any], *, anyway: bool) -> None:
    """Refuse to go on with another sweep than the one in the directory, or with another program."""
    with explained(out), lock(out):
        old, known = manifests.read_manifest(out), read_tasks(out)
        same = known == tasks
        if not same:
            _check_tasks(tasks)
        wanted = manifests.describe(tasks, execute, context, 1)
        begun = known[: old.get("runs")]  # a crash may have left what was about to be appended
        if lines := manifests.differences(old, wanted, begun, tasks):
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
        if not same:  # the cities have moved
            manifests.write_tasks(out, tasks)
        # Workers import classes from where they are now, not from where the directory says that they were.
        shared = old["context"] | ({"own": wanted["context"]["own"]} if "own" in wanted["context"] else {})
        if lines or not same or shared != old["context"]:
            news = {"context": shared, "cities": wanted["cities"], "versions": wanted["versions"]}
            manifests.write_manifest(out, old | news)


@contextlib.contextmanager
def lock(out: Path) -> Iterator[None]:
    """Keep others of this machine out while a sweep is planned; the lock goes with the process, however it ends."""
    try:
        handle = os.open(out / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)  # a link may lead to anything
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES):
            raise
        # Nobody can work here, and of a finished sweep nothing is written; any other meets the same error soon.
        yield
        return
    with os.fdopen(handle):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SweepError(f"{out}: another sweep is being planned here; wait for it or stop it") from None
        except OSError as error:
            # File systems without locks: there the user must take care.
            if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK):
                raise
        yield
