"""Where the results of a sweep lie: staged run by run, then sealed into Parquet shards.

::

    stage/<run_id>.arrow            all tables of one run, Arrow IPC streams one after another
    summary/part-00000.parquet …    sealed shards, one directory a table, one shard a block of runs

A run is committed by one rename: it is in the results wholly or not at all. A block is a fixed stretch of the order of
runs; when all its runs are committed it is sealed, and only when its shards stand on the disk are the staged files
removed. A reader takes the shards and the staged runs that are in no shard, which is right at every moment and after
every crash. The bytes of a shard follow from the runs in it alone: not from the workers, their order or an
interruption.

A block that lacks a run because it failed is sealed as far as it goes, so that any tool reads the rest; its staged runs
stay, and the shard is written again from them when the run has been made up for.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from .tables import SUMMARY, StoreError, conform, join_schemas

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

SCHEMA_VERSION = 2
"""Version of the layout of the results directory."""

ROW_GROUP = 131_072
"""Rows of a Parquet row group."""

DAMAGED = ".damaged"
"""End of the names of shards that were damaged and have been made again."""

STAGE = "stage"
ERRORS = "errors"
LEDGER = "ledger"
LOGS = "logs"
MANIFEST = "sweep.json"
TASKS = "tasks.jsonl"

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_READ_TRIES = 20
_REMEDY = "resume the sweep (--resume) to make its runs again, or restore it"

# ---------------------------------------------------------------------- files


def sync_directory(directory: Path) -> None:
    """Make the renames in a directory last through a loss of power."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that it stands there whole or not at all.

    Raises:
        OSError: if the disk does not take it; whatever stood there before is still there.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with part.open("wb") as sink:
            sink.write(content)
            sink.flush()
            os.fsync(sink.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def read_tasks(directory: Path) -> list[dict[str, Any]]:
    """Return the tasks of a sweep in run order.

    Raises:
        StoreError: if the directory is no sweep, or its list of tasks is damaged.
    """
    if not (directory / MANIFEST).is_file():
        raise StoreError(f"{directory}: not a results directory (no {MANIFEST})")
    file = directory / TASKS
    try:
        with file.open(encoding="utf-8") as lines:
            tasks = [json.loads(line) for line in lines]
        if not all(isinstance(task, dict) and isinstance(task.get("run_id"), str) for task in tasks):
            raise ValueError("a line is no task")
        return tasks
    except (OSError, ValueError) as error:
        raise StoreError(f"{file}: cannot be read ({error}); restore it or start the sweep anew") from None


# ---------------------------------------------------------------------- commit of one run


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
    import pyarrow as pa

    stage = directory / STAGE
    stage.mkdir(exist_ok=True)
    part = stage / f".{run_id}.{os.getpid()}.tmp"
    try:
        with part.open("wb") as sink:
            # The summary comes last: a file that has it is whole.
            for name, table in sorted(tables.items(), key=lambda item: item[0] == SUMMARY):
                schema = table.schema.with_metadata({"citytwin.table": name})
                with pa.ipc.new_stream(sink, schema) as stream:
                    stream.write_table(table.replace_schema_metadata(schema.metadata))
            if durable:
                sink.flush()
                os.fsync(sink.fileno())
        part.replace(stage / f"{run_id}.arrow")
    except OSError:
        part.unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(stage)


def staged_runs(directory: Path) -> set[str]:
    """Return the runs that lie staged."""
    stage = directory / STAGE
    if not stage.is_dir():
        return set()
    return {file.stem for file in stage.iterdir() if file.suffix == ".arrow"}


def _read_staged(directory: Path, run_id: str) -> "dict[str, pa.Table]":
    """Return the tables of a staged run, mapped from the file rather than read."""
    import pyarrow as pa

    file = directory / STAGE / f"{run_id}.arrow"
    tables = {}
    with pa.memory_map(str(file)) as source, blamed(file, "remove it and resume the sweep"):
        while source.tell() < source.size():
            stream = pa.ipc.open_stream(source)
            name = stream.schema.metadata[b"citytwin.table"].decode()
            tables[name] = stream.read_all().replace_schema_metadata(None)
            tables[name].validate(full=True)  # a damaged offset would lead out of the memory
            _check_runs(tables[name], {run_id})
        if SUMMARY not in tables:
            raise ValueError("cut short")
    return tables


# ---------------------------------------------------------------------- sealing


class Store:
    """The results of one sweep, written by its supervisor.

    Args:
        directory: results directory.
        runs: all runs of the sweep, in order.
        block: runs a shard.
        footer: what every shard's footer says (keys get the prefix ``citytwin.``); must not vary between sessions.
    """

    def __init__(self, directory: Path, runs: Sequence[str], block: int, footer: Mapping[str, str]):
        self.directory = directory
        self.runs = list(runs)
        self.block = block
        self.footer = dict(footer)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-len(self.runs) // self.block)

    def runs_of(self, number: int) -> list[str]:
        """Return the runs of a block, in order."""
        return self.runs[number * self.block : (number + 1) * self.block]

    def sealed(self, number: int) -> list[str]:
        """Return the runs in a block's shards (none if it has none)."""
        return _shard_runs(_shard(self.directory, SUMMARY, number))

    def committed(self) -> set[str]:
        """Return all runs that need not be made again: those of complete blocks, and those that lie staged."""
        runs = staged_runs(self.directory).intersection(self.runs)
        for number in range(self.blocks):
            sealed = self.sealed(number)
            if sealed == self.runs_of(number):
                runs.update(sealed)
        return runs

    def damaged(self) -> dict[int, list[Path]]:
        """Return the shards that cannot be read, by block; every one is read for that.

        Raises:
            OSError: if it is the disk that cannot be read.
        """
        found: dict[int, list[Path]] = {}
        for path in self.directory.glob("*/part-*.parquet"):
            try:
                with path.open("rb") as source:
                    _read_shard(path, source, set(self.runs))
            except StoreError as error:
                if isinstance(error.__context__, OSError) and error.__context__.errno is not None:
                    raise error.__context__ from None  # of the disk, not of the file
                found.setdefault(int(path.stem.rpartition("-")[2]), []).append(path)
        return found

    def set_aside(self) -> list[str]:
        """Take blocks with damaged shards out of the results, so that their runs are made again.

        The damaged files are kept under a name that nothing reads.

        Returns:
            The runs that have to be made again.
        """
        lost: list[str] = []
        staged = staged_runs(self.directory)
        for number, paths in sorted(self.damaged().items()):
            # The summary goes first: without it a block counts as not sealed, and all its shards are written anew.
            summary = _shard(self.directory, SUMMARY, number)
            if summary not in paths:
                summary.unlink(missing_ok=True)
            for path in sorted(paths, key=lambda path: path != summary):
                path.replace(path.with_name(f"{path.name}{DAMAGED}"))
            lost += [run for run in self.runs_of(number) if run not in staged]
        return lost

    def seal(self, number: int) -> None:
        """Gather the committed runs of a block into shards; remove the staged files if the block is complete.

        The summary comes last: what it lists is in all tables.

        Raises:
            OSError: if the disk does not take the shards; all runs are still in the results.
            StoreError: if a staged run is damaged.
        """
        block = self.runs_of(number)
        sealed = self.sealed(number)
        if sealed != block:
            staged = staged_runs(self.directory)
            runs = [run for run in block if run in staged]
            if set(runs) > set(sealed):
                self._write(number, runs)
                sealed = runs
        if sealed == block:
            for run in staged_runs(self.directory).intersection(block):
                (self.directory / STAGE / f"{run}.arrow").unlink(missing_ok=True)

    def _write(self, number: int, runs: list[str]) -> None:
        tables = {run: _read_staged(self.directory, run) for run in runs}
        names = dict.fromkeys(name for run in runs for name in tables[run] if name != SUMMARY)
        for name in [*names, SUMMARY]:
            path = _shard(self.directory, name, number)
            path.parent.mkdir(exist_ok=True)
            self._write_shard(path, runs, [tables[run][name] for run in runs if name in tables[run]])
            sync_directory(path.parent)
        sync_directory(self.directory)

    def _write_shard(self, path: Path, runs: list[str], pieces: "list[pa.Table]") -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        keys = self.footer | {"schema_version": str(SCHEMA_VERSION), "runs": json.dumps(runs)}
        metadata = {f"citytwin.{key}": value for key, value in keys.items()}
        schema = join_schemas([piece.schema for piece in pieces])
        # A column without any value counts as float, so that it has a type like those of the other shards.
        kinds = [pa.float64() if pa.types.is_null(field.type) else field.type for field in schema]
        schema = pa.schema(list(zip(schema.names, kinds, strict=True)), metadata)
        text = [field.name for field in schema if field.type in (pa.string(), pa.large_string())]
        whole = pa.concat_tables([conform(piece, schema) for piece in pieces])
        part = path.with_name(f".{path.name}.tmp")
        try:
            with part.open("wb") as sink:
                with pq.ParquetWriter(
                    sink,
                    schema,
                    compression="zstd",
                    use_dictionary=text,
                    column_encoding={field.name: code for field in schema if (code := encoding(field.type))},
                ) as writer:
                    for start in range(0, len(whole), ROW_GROUP):
                        writer.write_table(whole.slice(start, ROW_GROUP).combine_chunks(), row_group_size=ROW_GROUP)
                sink.flush()
                os.fsync(sink.fileno())
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def clean(self) -> None:
        """Remove what a crash left half-written; for the one supervisor of a sweep, while no worker runs."""
        for file in [*self.directory.glob(".*.tmp"), *self.directory.glob("*/.*.tmp")]:
            file.unlink(missing_ok=True)


def _shard(directory: Path, table: str, number: int) -> Path:
    return directory / table / f"part-{number:05d}.parquet"


def _shard_paths(directory: Path, table: str) -> list[Path]:
    return sorted((directory / table).glob("part-*.parquet"))


def _shard_runs(path: Path) -> list[str]:
    try:
        with path.open("rb") as source:
            return _open_shard(path, source)[1]
    except FileNotFoundError:
        return []


def _open_shard(path: Path, source: BinaryIO) -> "tuple[pq.ParquetFile, list[str]]":
    """Return a shard and the runs that it covers."""
    import pyarrow.parquet as pq

    with blamed(path):
        shard = pq.ParquetFile(source)
        return shard, [str(run) for run in json.loads(shard.metadata.metadata[b"citytwin.runs"])]


def _read_shard(path: Path, source: BinaryIO, known: Set[str]) -> "tuple[pa.Table, list[str]]":
    """Return what a shard holds, and the runs that it covers."""
    shard, runs = _open_shard(path, source)
    with blamed(path):
        table = shard.read().replace_schema_metadata(None)
        _check_runs(table, known)
    return table, runs


def _check_runs(table: "pa.Table", known: Set[str]) -> None:
    if not known >= set(table.column("run_id").unique().to_pylist()):
        raise ValueError("holds runs of another sweep")


@contextlib.contextmanager
def blamed(path: Path, remedy: str = _REMEDY) -> Iterator[None]:
    """Turn whatever a damaged or foreign file leads to into an error that names it."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        what = " ".join(str(error).split())  # on one line
        raise StoreError(f"{path}: damaged, or not of this sweep ({what}); {remedy}") from None


def encoding(kind: "pa.DataType") -> str | None:
    """Return how a column of a type is written to Parquet, None for text, which has a dictionary."""
    import pyarrow as pa

    if pa.types.is_integer(kind) or pa.types.is_temporal(kind):
        return "DELTA_BINARY_PACKED"
    return "BYTE_STREAM_SPLIT" if pa.types.is_floating(kind) else None


# ---------------------------------------------------------------------- reading


def table_names(directory: str | Path) -> list[str]:
    """Return the names of the tables in a results directory, sealed or staged."""
    directory = Path(directory)
    names = {file.parent.name for file in directory.glob("*/part-*.parquet")}
    for run in staged_runs(directory):
        try:
            names.update(_read_staged(directory, run))
        except FileNotFoundError:
            continue  # sealed meanwhile; the next listing of shards has it
    return sorted(names)


def runs_in_results(directory: str | Path) -> set[str]:
    """Return the runs whose results can be read, sealed or staged."""
    directory = Path(directory)
    staged = staged_runs(directory)
    return staged.union(*(_shard_runs(path) for path in _shard_paths(directory, SUMMARY)))


def read_table(directory: str | Path, name: str, runs: Set[str] | None = None) -> "pa.Table":
    """Read one table of a sweep, finished or not, its rows in run order.

    Args:
        directory: results directory.
        name: table: ``summary``, ``series``, …
        runs: those that are wanted; all of them if None. Shards that hold others as well are read whole.

    Raises:
        StoreError: if the directory is no sweep, has no such table (yet), or is damaged.
    """
    directory = Path(directory)
    order = {task["run_id"]: number for number, task in enumerate(read_tasks(directory))}
    for _ in range(_READ_TRIES):
        try:
            pieces = list(_pieces(directory, name, order, order.keys() if runs is None else runs))
        except FileNotFoundError:
            continue  # a block was sealed between listing and opening: what was staged is now in a shard
        break
    else:
        raise StoreError(f"{directory}: changes too fast to be read; try again")
    if not pieces:
        known = ", ".join(table_names(directory)) or "none yet"
        raise StoreError(f"{directory}: no table '{name}'; there are: {known}")
    return _in_order(pieces, order)


def _pieces(directory: Path, name: str, order: Mapping[str, int], wanted: Set[str]) -> "Iterator[pa.Table]":
    """Yield the shards of a table that hold wanted runs, and the table of wanted staged runs that are in no shard."""
    # Staged runs are listed first: one that is sealed after that is in a shard read after it.
    staged = staged_runs(directory)
    for path in _shard_paths(directory, name):
        with path.open("rb") as source:
            if wanted.isdisjoint(_open_shard(path, source)[1]):
                continue
            source.seek(0)
            table, runs = _read_shard(path, source, order.keys())
        staged.difference_update(runs)
        yield table
    for run in sorted(staged & order.keys() & wanted, key=order.__getitem__):
        tables = _read_staged(directory, run)
        if name in tables:
            yield tables[name]


def _in_order(pieces: "list[pa.Table]", order: Mapping[str, int]) -> "pa.Table":
    import pyarrow as pa

    schema = join_schemas([piece.schema for piece in pieces])
    whole = pa.concat_tables([conform(piece, schema) for piece in pieces])
    ranks = []
    for chunk in whole.column("run_id").chunks:
        runs = chunk.dictionary_encode()
        rank = np.array([order[run] for run in runs.dictionary.to_pylist()], np.int64)
        ranks.append(rank[np.asarray(runs.indices)])
    keys = np.concatenate([np.empty(0, np.int64), *ranks])
    if np.any(keys[1:] < keys[:-1]):
        whole = whole.take(np.argsort(keys, kind="stable"))
    return whole
