"""The beginnings of results: the list of the runs of a sweep, and each run staged by one rename until it is sealed."""

import os
import re
from collections.abc import Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .atomic import put_in_place, written
from .bulk import parsed, uncollected
from .shards import blamed
from .tables import RESERVED, SUMMARY, TABLE_NAME, StoreError

if TYPE_CHECKING:
    import pyarrow as pa

STAGE = "stage"
ERRORS = "errors"
LEDGER = "ledger"
LOGS = "logs"
MANIFEST = "sweep.json"
TASKS = "tasks.jsonl"

_STAGED = ".arrow"

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def read_tasks(directory: Path) -> list[dict[str, Any]]:
    """Return the tasks of a sweep in run order.

    Raises:
        StoreError: if the directory is no sweep, or its list of tasks is damaged.
    """
    if not (directory / MANIFEST).is_file():
        raise StoreError(f"{directory}: not a results directory (no {MANIFEST})")
    file = directory / TASKS
    try:
        with uncollected():
            tasks: list[dict[str, Any]] = parsed(b"[" + b",".join(file.read_bytes().splitlines()) + b"]")
        for task in tasks:
            if not RUN_ID.fullmatch(task["run_id"]):  # files and folders are written and removed by that name
                raise ValueError(f"run_id {task['run_id']!r} is no name of a run")
            if type(task.get("parameters")) is not dict:
                raise ValueError(f"{task['run_id']}: has no parameters")
        return tasks
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{file}: cannot be read ({error}); restore it or start the sweep anew") from None


def commit(directory: Path, run_id: str, tables: "Mapping[str, pa.Table]", *, durable: bool = True) -> None:
    """Put a run into the results, wholly or not at all; doing it twice does no harm.

    Args:
        directory: results directory.
        run_id: run.
        tables: its tables.
        durable: whether to wait until it would outlive a loss of power.

    Raises:
        OSError: if the disk does not take it; nothing of the run is left then.
    """
    path = directory / STAGE / f"{run_id}{_STAGED}"
    try:
        _write_staged(path, tables, durable)
    except FileNotFoundError:  # a session that ended just now has removed the folder, which was empty
        _write_staged(path, tables, durable)
    put_in_place(path, durable=durable)


def _write_staged(path: Path, tables: "Mapping[str, pa.Table]", durable: bool) -> None:
    """Write the file of a run, in full, beside its place."""
    import pyarrow as pa

    path.parent.mkdir(exist_ok=True)
    with written(path, durable=durable) as sink:
        # The summary comes last: a file that has it is whole.
        for name, table in sorted(tables.items(), key=lambda item: item[0] == SUMMARY):
            schema = table.schema.with_metadata({"citytwin.table": name})
            with pa.ipc.new_stream(sink, schema) as stream:
                stream.write_table(table.replace_schema_metadata(schema.metadata))


def staged_runs(directory: Path) -> set[str]:
    """Return the runs that lie staged."""
    try:
        names = os.listdir(directory / STAGE)  # noqa: PTH208 - there may be very many
    except FileNotFoundError:
        return set()
    return {name.removesuffix(_STAGED) for name in names if name.endswith(_STAGED)}


def read_staged(directory: Path, run_id: str, wanted: str | None = None) -> "dict[str, pa.Table]":
    """Return the tables of a staged run, or just one, mapped from the file rather than read."""
    import pyarrow as pa

    file = f"{directory}/{STAGE}/{run_id}{_STAGED}"  # a Path would cost more than the reading
    tables: dict[str, pa.Table] = {}
    name = ""
    with pa.memory_map(file) as source, blamed(file, "remove it and resume the sweep"):
        while source.tell() < source.size():
            stream = pa.ipc.open_stream(source)
            name = stream.schema.metadata[b"citytwin.table"].decode()
            table = stream.read_all().replace_schema_metadata(None)
            if not TABLE_NAME.fullmatch(name) or name in RESERVED:  # its shards go into a folder of that name
                raise ValueError(f"'{name}' is no name of a table")
            if wanted in (None, name):
                table.validate(full=True)  # a damaged offset would lead out of the memory
                check_runs(table, {run_id})
                tables[name] = table
        if name != SUMMARY:
            raise ValueError("cut short")
    return tables


def check_runs(table: "pa.Table", known: Set[str]) -> None:
    """Refuse rows of runs that are not known.

    Raises:
        ValueError: if there are such rows.
    """
    if not known >= set(table.column("run_id").unique().to_pylist()):
        raise ValueError("holds runs of another sweep")
