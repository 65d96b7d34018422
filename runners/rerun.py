"""Make one run of a sweep again, and find out whether it comes to the same, bit for bit."""

import json
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .engine import manifest as manifests
from .engine.limits import Limits
from .engine.outcome import SweepError
from .engine.part import opening_of, work_on
from .engine.supervisor import START_TRACE
from .engine.worker import load
from .reports.labels import counted
from .storage.store import TASKS, read_table, read_tasks, runs_in_results, table_names
from .storage.tables import conform

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Rerun:
    """What a run came to when it was made again.

    Attributes:
        run_id: run.
        failure: why it failed; "" if it did not.
        traceback: where it failed, or the last that its process said; "" if there is none.
        tables: tables of the run, stored or new.
        stored: whether the run is in the results, so that there is something to compare with.
        differences: for every table that is not equal bit for bit, where it differs first.
        program: how this program differs from the one that the sweep was planned with.
        out: results directory with the run alone, if it was to be kept.
    """

    run_id: str
    failure: str
    traceback: str
    tables: list[str]
    stored: bool
    differences: dict[str, str]
    program: list[str]
    out: Path | None

    @property
    def same(self) -> bool:
        """Whether it came to the same, bit for bit."""
        return self.stored and not self.failure and not self.differences


def rerun(directory: str | Path, run_id: str, out: str | Path | None = None, *, limits: Limits = Limits()) -> Rerun:  # noqa: B008
    """Make a run of a sweep again, with the same seed and parameters, in a worker like the first time.

    Args:
        directory: results directory; nothing is changed there.
        run_id: run.
        out: results directory to make for it; none is kept if None.
        limits: time and memory it may take.

    Raises:
        SweepError: if there is no such run, ``out`` exists, or it cannot be made.
        StoreError: if the directory is no sweep.
    """
    directory = Path(directory)
    _task(directory, run_id)
    planned = manifests.read_manifest(directory)
    if out is not None and Path(out).exists():
        raise SweepError(f"{out}: exists; choose another name for what is made again")
    with ExitStack() as stack:
        target = Path(out) if out is not None else Path(stack.enter_context(tempfile.TemporaryDirectory())) / "rerun"
        target.mkdir(parents=True)
        shutil.copyfile(directory / TASKS, target / TASKS)
        manifests.write_manifest(target, planned | {"versions": manifests.program()})
        try:
            outcome = work_on(target, [run_id], workers=1, limits=limits)
        except SweepError as error:
            start = target / START_TRACE
            if out is not None or not start.is_file():
                raise
            said = str(error).partition(" (traceback in ")[0]  # that file goes with the folder
            raise SweepError(f"{said}\n{start.read_text()}") from None
        failure = str(outcome.failures[0]) if outcome.failures else ""
        trace = _traceback(target / outcome.failures[0].trace) if failure and outcome.failures[0].trace else ""
        program = manifests.program_differences(planned)
        stored = run_id in runs_in_results(directory)
        both = (directory, target) if outcome.done else (directory,)
        names = sorted({name for place in both for name in table_names(place)})
        differences = {}
        if stored and outcome.done:
            for name in names:
                if where := _difference(_rows(directory, name, run_id), _rows(target, name, run_id)):
                    differences[name] = where
        return Rerun(run_id, failure, trace, names, stored, differences, program, None if out is None else target)


def debug(directory: str | Path, run_id: str) -> None:
    """Make a run of a sweep again in this process, and enter the debugger where it raises. Nothing is kept.

    Raises:
        SweepError: if there is no such run.
        StoreError: if the directory is no sweep.
    """
    import pdb
    import sys
    import traceback

    directory = Path(directory)
    task = _task(directory, run_id)
    opening = opening_of(manifests.read_manifest(directory), read_tasks(directory))
    execute = load(opening["execute"])
    try:
        execute(task, opening["context"])
    except Exception:  # whatever a run raises
        traceback.print_exc()
        pdb.post_mortem(sys.exc_info()[2])


def _traceback(file: Path) -> str:
    """Return what an error of a run was recorded with."""
    recorded = json.loads(file.read_bytes())
    return str(recorded.get("traceback") or recorded.get("output") or "").rstrip()


def _task(directory: Path, run_id: str) -> dict[str, Any]:
    for task in read_tasks(directory):
        if task["run_id"] == run_id:
            return task
    raise SweepError(f"{directory}: has no run '{run_id}'; {TASKS} lists those there are")


def _rows(directory: Path, name: str, run_id: str) -> "pa.Table | None":
    import pyarrow.compute as pc

    if name not in table_names(directory):
        return None
    table = read_table(directory, name, {run_id})
    return table.filter(pc.equal(table.column("run_id"), run_id))


def _difference(old: "pa.Table | None", new: "pa.Table | None") -> str:
    """Return where two tables of a run differ first, bit for bit; "" if they do not.

    What is stored may have wider types, and columns of other runs in which this one has nothing.
    """
    if old is None:
        return f"no table then, {counted(len(new), 'row')} now" if new is not None and len(new) else ""
    if new is None:
        return f"{counted(len(old), 'row')} then, no table now" if len(old) else ""
    if unknown := [name for name in new.column_names if name not in old.column_names]:
        return f"column {unknown[0]} is new"
    if len(old) != len(new):
        return f"{counted(len(old), 'row')} then, {len(new):,} now"
    new = conform(new, old.schema)
    for name in old.column_names:
        one, other = (_bits(table.column(name)) for table in (old, new))
        if not one.equals(other):
            row = next(row for row in range(len(old)) if one[row] != other[row])
            then, now = (table.column(name)[row].as_py() for table in (old, new))
            return f"column {name}, row {row}: {then} then, {now} now"
    return ""


def _bits(column: "pa.ChunkedArray") -> "pa.Array":
    """Return a column as it can be compared: numbers with a fraction as the integers of their bits, as nan is not nan."""
    import pyarrow as pa

    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if pa.types.is_floating(array.type):
        return array.view({16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[array.type.bit_width])
    return array
