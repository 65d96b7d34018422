"""Where the results of a sweep lie: staged run by run, then sealed into Parquet shards.

::

    stage/<run_id>.arrow                          all tables of one run, Arrow IPC streams one after another
    summary/part-0000000-0000099.parquet …        sealed shards, one directory a table (:mod:`runners.storage.shards`)
    summary/incomplete-0000100-1f….parquet        a copy, for plain tools, of the staged runs of an incomplete block

A run is committed by one rename: it is in the results wholly or not at all. A block is a fixed stretch of the order of
runs; when all its runs are committed it is sealed, and only when its shards stand on the disk are the staged files
removed. Later the shards of many blocks are joined (:mod:`runners.storage.compaction`). A reader takes the shards and the
staged runs that are in no shard, which is right at every moment and after every crash. The bytes of a shard follow from the
runs in it alone: not from the workers, their order or an interruption. So any number of processes may seal and join at
the same time, without a lock: they write the same bytes under the same names.

The runs of a block that lacks some, because they failed, stay staged, and are copied to where plain tools read them.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

from .atomic import put_in_place, remove_temporary, write_atomic
from .compaction import BLOCKS, Compaction
from .shards import (
    OpenShard,
    Shard,
    blamed,
    copies_within,
    copy_path,
    place,
    remove_superseded,
    shard_path,
    shards_of,
    write_shard,
)
from .stage import (
    ERRORS,
    LEDGER,
    LOGS,
    MANIFEST,
    RUN_ID,
    STAGE,
    TASKS,
    check_runs,
    commit,
    read_staged,
    read_tasks,
    staged_runs,
)
from .tables import RESERVED, SUMMARY, TABLE_NAME, StoreError, conform, join_schemas, without_nulls

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "ERRORS",
    "LEDGER",
    "LOGS",
    "MANIFEST",
    "RUN_ID",
    "STAGE",
    "TASKS",
    "Store",
    "blamed",
    "commit",
    "read_table",
    "read_tasks",
    "run_pieces",
    "runs_in_results",
    "staged_runs",
    "table_names",
    "write_atomic",
]

SCHEMA_VERSION = 2
"""Version of the layout of the results directory."""

DAMAGED = ".damaged"
"""End of the names of shards that were damaged and have been made again."""

_TRIES = 20
_PAUSE = 0.01
"""Seconds, times the number of the try, before what changed while it was read is read again."""
_COMPACT_EVERY = 16
"""Blocks sealed by a process after which it looks for shards to be joined."""

# ---------------------------------------------------------------------- sealing


class Store:
    """The results of one sweep, as those who work on it write them.

    Args:
        directory: results directory.
        runs: all runs of the sweep, in order; a sweep grows at the end.
        block: runs a shard.
        footer: what every shard's footer says (keys get the prefix ``citytwin.``); must not vary between sessions.
    """

    def __init__(self, directory: Path, runs: Sequence[str], block: int, footer: Mapping[str, str]):
        self.directory = directory
        self.runs = list(runs)
        self.block = block
        self.footer = {**footer, "schema_version": str(SCHEMA_VERSION)}
        self._compaction = Compaction(directory, self.runs, block, self.footer)
        self._since_compacted = 0

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-len(self.runs) // self.block)

    def _stretch(self, number: int) -> tuple[int, int]:
        """Return the first and the last run of a block."""
        return number * self.block, min((number + 1) * self.block, len(self.runs)) - 1

    def runs_of(self, number: int) -> list[str]:
        """Return the runs of a block, in order."""
        return self.runs[number * self.block : (number + 1) * self.block]

    def sealed(self, number: int) -> list[str]:
        """Return the runs of a block that are in shards, in order."""
        return self._sealed(*self._stretch(number))

    def _sealed(self, first: int, last: int) -> list[str]:
        runs: list[str] = []
        for shard in shards_of(self.directory, SUMMARY):
            runs += self.runs[max(first, shard.first) : min(last, shard.last) + 1]
        return runs

    def committed(self) -> set[str]:
        """Return all runs that need not be made again."""
        # Staged runs are listed first: one that is sealed after that is in a shard listed after it.
        staged = staged_runs(self.directory).intersection(self.runs)
        return staged.union(self._sealed(0, len(self.runs) - 1))

    def damaged(self) -> list[tuple[str, Shard]]:
        """Return the shards that cannot be read, each after its table; every one is read for that.

        Raises:
            OSError: if it is the disk that cannot be read.
        """
        found: list[tuple[str, Shard]] = []
        for table in _sealed_tables(self.directory):
            read: set[Shard] = set()
            while unread := [shard for shard in self._standing(table, found) if shard not in read]:
                read.update(unread)
                found += [(table, shard) for shard in unread if self._is_damaged(shard)]
        return found

    def _is_damaged(self, shard: Shard) -> bool:
        try:
            with shard.path.open("rb") as source:
                opened = OpenShard(shard, self.runs, source)
                known = set(opened.runs)
                for piece in opened.pieces():
                    with blamed(shard.path):
                        check_runs(piece, known)
        except FileNotFoundError:
            return False  # another has replaced it meanwhile
        except StoreError as error:
            if isinstance(error.__context__, OSError) and error.__context__.errno is not None:
                raise error.__context__ from None  # of the disk, not of the file
            return True
        return False

    def _standing(self, table: str, damaged: Iterable[tuple[str, Shard]]) -> list[Shard]:
        """Return the shards of a table that count where some are damaged: what those supersede counts again."""
        return shards_of(self.directory, table, {shard for where, shard in damaged if where == table})

    def _numbers(self, shard: Shard) -> range:
        """Return the numbers of the runs of a shard; its name may say more runs than there are."""
        return range(shard.first, min(shard.last + 1, len(self.runs)))

    def set_aside(self) -> list[str]:
        """Take what damaged shards hold out of the results, in all tables, so that the runs are made again.

        The damaged files are kept under a name that nothing reads.

        Returns:
            The runs that have to be made again.
        """
        damaged = self.damaged()
        lost: set[int] = set()
        for table, shard in damaged:
            kept = (self._numbers(other) for other in self._standing(table, damaged))
            lost.update(set(self._numbers(shard)).difference(*kept))
        # The summary goes first: runs that it lacks count as not made, and their shards are written anew.
        for table in sorted(_sealed_tables(self.directory), key=lambda table: table != SUMMARY) if damaged else ():
            for where, shard in damaged:
                if where == table:
                    shard.path.replace(shard.path.with_name(f"{shard.path.name}{DAMAGED}"))
            for shard in shards_of(self.directory, table):
                if not lost.isdisjoint(self._numbers(shard)):
                    self._keep_rest(table, shard, lost)
                    shard.path.unlink(missing_ok=True)
        staged = staged_runs(self.directory)
        return [self.runs[number] for number in sorted(lost) if self.runs[number] not in staged]

    def _keep_rest(self, table: str, shard: Shard, lost: Set[int]) -> None:
        """Write the blocks of a shard that are not lost to shards of their own."""
        for first in range(shard.first, shard.last + 1, self.block):
            last = min(first + self.block - 1, shard.last)
            if not lost.isdisjoint(range(first, last + 1)):
                continue
            path = shard_path(self.directory, table, first, last)
            with shard.path.open("rb") as source:
                opened = OpenShard(shard, self.runs, source)
                runs = self.runs[first : last + 1]
                pieces = (_only(piece, set(runs)) for piece in opened.pieces())
                sizes = json.loads(opened.footer.get(f"citytwin.{BLOCKS}".encode(), b"{}"))
                told = {"runs": runs, BLOCKS: {str(first): sizes.get(str(first), 0)}}
                write_shard(path, [opened.schema], pieces, self.footer | told)
            put_in_place(path)

    def seal(self, number: int) -> None:
        """Gather the committed runs of a block into shards; remove the staged files if the block is complete.

        Raises:
            OSError: if the disk does not take the shards; all runs are still in the results.
            StoreError: if a staged run is damaged.
        """
        for attempt in range(_TRIES):
            try:
                self._seal(*self._stretch(number))
                break
            except FileNotFoundError:  # another process has sealed the block and removed the staged runs
                if attempt == _TRIES - 1:
                    raise
                time.sleep(_PAUSE * attempt)
        self._since_compacted += 1
        if self._since_compacted >= _COMPACT_EVERY:
            self.compact()

    def _seal(self, first: int, last: int) -> None:
        runs = self.runs[first : last + 1]
        sealed = set(self._sealed(first, last))
        staged = staged_runs(self.directory).intersection(runs)
        new = [run for run in runs if run in staged and run not in sealed]
        if len(sealed) + len(new) < len(runs):
            if new:
                self._copy(first, last, new)
            return
        if new:
            self._write(first, last, new)
        self._unstage(staged)

    def _unstage(self, runs: Iterable[str]) -> None:
        for run in runs:
            with contextlib.suppress(FileNotFoundError):  # another process was quicker
                os.unlink(f"{self.directory}/{STAGE}/{run}.arrow")  # noqa: PTH108 - a Path would cost more than it

    def _write(self, first: int, last: int, staged: list[str]) -> None:
        """Write the shards of a complete block from staged runs and, where the sweep has grown, from its older shard.

        The summary comes last: what it lists is in all tables.
        """
        index = {run: number for number, run in enumerate(self.runs[first : last + 1], first)}
        tables = {run: read_staged(self.directory, run) for run in staged}
        names = dict.fromkeys(name for run in staged for name in tables[run])
        names |= dict.fromkeys(_sealed_tables(self.directory)) if len(staged) < len(index) else {}
        for name in sorted(names, key=lambda name: name == SUMMARY):
            path = shard_path(self.directory, name, first, last)
            path.parent.mkdir(exist_ok=True)
            standing = shards_of(self.directory, name)
            if any(shard.covers(first, last) for shard in standing):
                continue
            older = [shard for shard in standing if first <= shard.first and shard.last <= last]
            covered = {run for shard in older for run in self.runs[shard.first : shard.last + 1]}
            sources: list[tuple[int, pa.Schema, Iterator[pa.Table]]] = [
                (index[run], tables[run][name].schema, iter([tables[run][name]]))
                for run in staged
                if name in tables[run] and run not in covered
            ]
            with contextlib.ExitStack() as files:
                for shard in older:
                    opened = OpenShard(shard, self.runs, files.enter_context(shard.path.open("rb")))
                    sources.append((shard.first, opened.schema, opened.pieces()))
                if not sources:
                    continue
                sources.sort(key=lambda source: source[0])
                pieces = (piece for _, _, pieces in sources for piece in pieces)
                footer = self.footer | {"runs": list(index)}
                write_shard(path, [schema for _, schema, _ in sources], pieces, footer)
            place(path, first, last)

    def _copy(self, first: int, last: int, staged: list[str]) -> None:
        """Copy the staged runs of an incomplete block to where plain tools read them."""
        digest = hashlib.blake2b("\n".join(staged).encode(), digest_size=8).hexdigest()
        number = self.runs.index(staged[0], first)
        tables = {run: read_staged(self.directory, run) for run in staged}
        names = dict.fromkeys(name for run in staged for name in tables[run])
        for name in sorted(names, key=lambda name: name == SUMMARY):
            path = copy_path(self.directory, name, number, digest)
            path.parent.mkdir(exist_ok=True)
            if path.exists():
                continue
            pieces = [tables[run][name] for run in staged if name in tables[run]]
            write_shard(path, [piece.schema for piece in pieces], pieces, self.footer | {"runs": staged})
            for copy in copies_within(path.parent, first, last):
                copy.unlink(missing_ok=True)
            put_in_place(path)
            remove_superseded(path.parent)  # also this copy, if the block was sealed meanwhile

    def compact(self, *, final: bool = False) -> None:
        """Join shards of complete blocks to larger ones; see :mod:`.compaction`.

        Args:
            final: whether no more blocks are awaited, so that what is small is joined too.

        Raises:
            OSError: if the disk does not take a shard; all runs are still in the results.
        """
        self._since_compacted = 0
        for table in _sealed_tables(self.directory):
            self._compaction.compact(table, final=final)

    def finish(self) -> None:
        """Seal all blocks as far as they go, join their shards, and remove what is no longer needed.

        Raises:
            OSError: if the disk does not take it; all runs are still in the results.
            StoreError: if a staged run is damaged.
        """
        complete = set(self._sealed(0, len(self.runs) - 1))
        for number in range(self.blocks):
            if not complete.issuperset(self.runs_of(number)):
                self.seal(number)
        self._unstage(staged_runs(self.directory) & complete)
        self.compact(final=True)
        self.clean()
        for folder in (STAGE, LOGS):
            with contextlib.suppress(OSError):  # runs of incomplete blocks lie there, or what runs printed
                (self.directory / folder).rmdir()

    def clean(self) -> None:
        """Remove or end what a crash left half-done."""
        for folder in (self.directory, *(path for path in self.directory.iterdir() if path.is_dir())):
            remove_temporary(folder)
        for table in _sealed_tables(self.directory):
            remove_superseded(self.directory / table)


def _only(piece: "pa.Table", runs: Set[str]) -> "pa.Table":
    """Return the rows of some runs."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return piece.filter(pc.is_in(piece.column("run_id"), pa.array(sorted(runs), pa.string())))


def _sealed_tables(directory: Path) -> list[str]:
    """Return the tables that have a directory."""
    names = (path.name for path in directory.iterdir() if path.is_dir())
    return sorted(name for name in names if TABLE_NAME.fullmatch(name) and name not in RESERVED)


# ---------------------------------------------------------------------- reading


def table_names(directory: str | Path) -> list[str]:
    """Return the names of the tables in a results directory, sealed or staged."""
    directory = Path(directory)
    names = {table for table in _sealed_tables(directory) if shards_of(directory, table)}
    for run in staged_runs(directory):
        with contextlib.suppress(FileNotFoundError):  # sealed meanwhile
            names.update(read_staged(directory, run))
    return sorted(names)


def runs_in_results(directory: str | Path, runs: Collection[str] | None = None) -> set[str]:
    """Return the runs whose results can be read, sealed or staged.

    Args:
        directory: results directory.
        runs: all runs in order, where they have been read.

    Raises:
        StoreError: if the directory is no sweep.
    """
    directory = Path(directory)
    if runs is None:
        runs = [task["run_id"] for task in read_tasks(directory)]
    return Store(directory, list(runs), 1, {}).committed()


def read_table(
    directory: str | Path,
    name: str,
    runs: Set[str] | None = None,
    *,
    columns: Sequence[str] | None = None,
    points: Set[int] | None = None,
) -> "pa.Table":
    """Read one table of a sweep, finished or not, its rows in run order.

    Of the shards no more is read than the columns that are wanted, and of those no more than the row groups that may
    hold wanted points.

    Args:
        directory: results directory.
        name: table: ``summary``, ``series``, …
        runs: those that are wanted; all of them if None.
        columns: those that are wanted, in this order; all of them if None.
        points: numbers of the points that are wanted; all of them if None.

    Raises:
        StoreError: if the directory is no sweep, has no such table (yet) or column, or is damaged.
    """
    import pyarrow as pa

    directory = Path(directory)
    tasks = read_tasks(directory)
    wanted = None
    if runs is not None or points is not None:
        wanted = {
            task["run_id"]: task["point"]
            for task in tasks
            if (runs is None or task["run_id"] in runs) and (points is None or task["point"] in points)
        }
    ids = [task["run_id"] for task in tasks]
    for attempt in range(_TRIES):
        try:
            pieces = list(_pieces(directory, name, ids, wanted, columns))
            break
        except FileNotFoundError:  # sealed or joined between listing and opening: it is in another shard now
            time.sleep(_PAUSE * attempt)
    else:
        raise StoreError(f"{directory}: changes too fast to be read; try again")
    if not pieces:
        known = ", ".join(table_names(directory)) or "none yet"
        raise StoreError(f"{directory}: no table '{name}'; there are: {known}")
    schema = join_schemas([piece.schema for piece in pieces])
    if columns is not None:
        if not set(columns) <= set(schema.names):
            check_columns(name, columns, _columns(directory, name, ids))
        schema = pa.schema([schema.field(column) for column in columns])
    schema = without_nulls(schema)
    return pa.concat_tables([conform(piece, schema) for piece in pieces])


def check_columns(table: str, wanted: Iterable[str], there: Iterable[str]) -> None:
    """Refuse columns that a table lacks.

    Raises:
        StoreError: if there are such columns; the message names those that there are.
    """
    known = list(there)
    lacking = [column for column in wanted if column not in known]
    if lacking:
        raise StoreError(f"table '{table}' has no column {', '.join(lacking)}; there are: {', '.join(known)}")


def _columns(directory: Path, name: str, ids: Sequence[str]) -> list[str]:
    return join_schemas([piece.schema for piece in _pieces(directory, name, ids, {}, None)]).names


def _pieces(
    directory: Path, name: str, ids: Sequence[str], wanted: Mapping[str, int] | None, columns: Sequence[str] | None
) -> "Iterator[pa.Table]":
    """Yield the wanted rows of a table in run order; of every shard at least a piece without rows.

    Args:
        directory: results directory.
        name: table.
        ids: all runs in order.
        wanted: the wanted runs, each with its point; all if None.
        columns: those that are wanted, as far as they are there; all if None.
    """
    # Staged runs are listed first: one that is sealed after that is in a shard listed after it.
    order = {run: number for number, run in enumerate(ids)}
    staged = sorted((order[run] for run in staged_runs(directory) if run in order), reverse=True)
    for shard in [*shards_of(directory, name), None]:
        while staged and (shard is None or staged[-1] < shard.first):
            yield from _staged_rows(directory, name, ids[staged.pop()], wanted, columns)
        if shard is None:
            return
        while staged and staged[-1] <= shard.last:
            staged.pop()
        with shard.path.open("rb") as source:
            yield from _shard_rows(OpenShard(shard, ids, source), wanted, columns)


def _staged_rows(
    directory: Path, name: str, run: str, wanted: Mapping[str, int] | None, columns: Sequence[str] | None
) -> "Iterator[pa.Table]":
    table = read_staged(directory, run, name).get(name)
    if table is not None:
        if columns is not None:
            table = table.select([column for column in table.column_names if column in set(columns)])
        yield table if wanted is None or run in wanted else table.slice(0, 0)


def _shard_rows(
    shard: OpenShard, wanted: Mapping[str, int] | None, columns: Sequence[str] | None
) -> "Iterator[pa.Table]":
    import pyarrow as pa

    schema = shard.schema
    kept = schema.names if columns is None else [name for name in schema.names if name in set(columns)]
    yield pa.schema([schema.field(name) for name in kept]).empty_table()
    if wanted is None:
        yield from shard.pieces(None if columns is None else kept, threads=True)
        return
    here = wanted.keys() & set(shard.runs)
    if not here:
        return
    whole = len(here) == len(shard.runs)
    points = {wanted[run] for run in here}
    span = min(points), max(points)
    for piece in shard.pieces(kept if whole else [*kept, "run_id"], span, threads=True):
        yield piece.select(kept) if whole else _only(piece, here).select(kept)


def run_pieces(directory: Path, name: str, run: str, columns: Sequence[str]) -> "Iterator[pa.Table]":
    """Yield the rows of one run, a row group at a time, so that a large table is never whole in memory.

    Raises:
        StoreError: if there is no such table (yet) or column, or a file is damaged.
    """
    tasks = read_tasks(directory)
    ids = [task["run_id"] for task in tasks]
    wanted = {task["run_id"]: task["point"] for task in tasks if task["run_id"] == run}
    number = next((number for number, other in enumerate(ids) if other == run), -1)
    for shard in shards_of(directory, name):
        if shard.covers(number, number):
            with contextlib.suppress(FileNotFoundError), shard.path.open("rb") as source:
                opened = OpenShard(shard, ids, source)
                check_columns(name, columns, opened.schema.names)
                yield from _shard_rows(opened, wanted, columns)
                return
    yield read_table(directory, name, {run}, columns=columns)
