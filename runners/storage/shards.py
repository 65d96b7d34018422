"""Parquet shards of a table: their names, how they come to stand, what is written in them and how they are read.

``part-0000100-0000199.parquet`` holds the runs 100 to 199 of the order of runs and nothing else, so equal names mean
equal bytes, whoever wrote them. A shard of a longer stretch supersedes those within it. Where it replaces some, it
first stands under a hidden name, then they are removed, then it gets its own: whoever lists ``*.parquet`` meets no run
twice, and readers that know the hidden name (:func:`shards_of`) miss none.
"""

import contextlib
import errno
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from .atomic import put_in_place, sync_directory, temporary, written
from .tables import StoreError, conform, join_schemas, without_nulls

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 32_768
"""Rows of a Parquet row group: who asks for a point reads whole groups, and groups of 131,072 are but 1 % smaller."""

_ZSTD_LEVEL = 3
"""Level from which on more processor time saves next to nothing; readers take the same time at each."""

COPY = "incomplete"
"""Beginning of the names of copies, for plain tools, of the runs there are of a stretch that lacks some."""

_NAME = re.compile(r"(?P<hidden>\.)?part-(?P<first>\d{7,})-(?P<last>\d{7,})\.parquet(?(hidden)\.new)")
_COPY_NAME = re.compile(rf"{COPY}-(?P<first>\d{{7,}})-[0-9a-f]+\.parquet")
_REMEDY = "resume the sweep (--resume) to make its runs again, or restore it"
_LISTINGS = 20


@dataclass(frozen=True)
class Shard:
    """A shard of a table.

    Attributes:
        path: its file.
        first, last: the stretch of the order of runs that it covers, both included.
    """

    path: Path
    first: int
    last: int

    @property
    def hidden(self) -> bool:
        """Whether it is whole but has yet to replace others."""
        return self.path.name.startswith(".")

    def covers(self, first: int, last: int) -> bool:
        """Return whether all of a stretch is in it."""
        return self.first <= first and last <= self.last


def shard_path(directory: Path, table: str, first: int, last: int) -> Path:
    """Return where the shard of a stretch of runs stands."""
    return directory / table / f"part-{first:07d}-{last:07d}.parquet"


def _hidden(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _listed(folder: Path) -> list[Shard]:
    """Return all shards of a folder, those within others too."""
    return _named(folder, _names(folder))


def _names(folder: Path) -> set[str]:
    try:
        return set(filter(_NAME.fullmatch, os.listdir(folder)))  # noqa: PTH208 - there may be very many
    except FileNotFoundError:
        return set()


def _named(folder: Path, names: Iterable[str]) -> list[Shard]:
    found = [match for match in map(_NAME.fullmatch, names) if match]
    return [Shard(folder / match[0], int(match["first"]), int(match["last"])) for match in found]


def shards_of(directory: Path, table: str, without: Collection[Shard] = ()) -> list[Shard]:
    """Return the shards of a table in run order, each run in one of them; those that others supersede are left out.

    Args:
        directory: results directory.
        table: name of the table.
        without: shards that count as not there.
    """
    folder = directory / table
    # A listing is no snapshot: while a shard replaces others it may miss both. Two equal ones in a row do not.
    before = _names(folder)
    for _ in range(_LISTINGS):
        names = _names(folder)
        if names == before:
            break
        before = names
    return _outermost(shard for shard in _named(folder, names) if shard not in without)


def _outermost(shards: Iterable[Shard]) -> list[Shard]:
    kept: list[Shard] = []
    for shard in sorted(shards, key=lambda shard: (shard.first, -shard.last, shard.hidden)):
        if not kept or not kept[-1].covers(shard.first, shard.last):
            kept.append(shard)
    return kept


# ---------------------------------------------------------------------- writing


def place(path: Path, first: int, last: int, sources: Collection[Shard]) -> None:
    """Let the shard that :func:`.atomic.written` left come to stand in the place of those within it.

    Args:
        path: the shard.
        first, last: the stretch of the order of runs that it covers.
        sources: the shards of which it was made.

    Raises:
        FileNotFoundError: if there is one within it of which it was not made: a listing on a network may be half a minute
            old. It is to be made again.
        OSError: if the disk does not take it; what stood there still does.
    """
    folder = path.parent
    listed = _listed(folder)
    inside = [shard for shard in listed if first <= shard.first and shard.last <= last]
    if any(other.covers(first, last) for other in listed):
        temporary(path).unlink(missing_ok=True)  # somebody else was quicker
    elif not all(any(source.covers(shard.first, shard.last) for source in sources) for shard in inside):
        temporary(path).unlink(missing_ok=True)
        raise FileNotFoundError(errno.ENOENT, "changes too fast to be gathered", str(folder))
    elif _within(folder, first, last):
        put_in_place(path, _hidden(path))
        reveal(path, first, last)
    else:
        put_in_place(path)
    remove_superseded(folder)  # also this one, if a longer one came to stand meanwhile


def _within(folder: Path, first: int, last: int) -> list[Path]:
    """Return the shards that one of a stretch supersedes, and the copies of what there was of the stretch before."""
    inside = [
        shard.path
        for shard in _listed(folder)
        if first <= shard.first and shard.last <= last and (shard.first, shard.last) != (first, last)
    ]
    return inside + copies_within(folder, first, last)


def reveal(path: Path, first: int, last: int) -> None:
    """Give a hidden shard its name after those that it replaces are removed; any number of processes may do so."""
    for file in _within(path.parent, first, last):
        file.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):  # somebody else was quicker
        _hidden(path).replace(path)
    sync_directory(path.parent)


def remove_superseded(folder: Path) -> None:
    """End what a crash left half-done in a folder of shards: a replacement, or a shard that came too late.

    No shard is removed but for one that says itself that it holds the same runs, whatever its name is.
    """
    listed = _listed(folder)
    kept = _outermost(listed)
    for longer in kept:
        inside = [shard for shard in listed if shard is not longer and longer.covers(shard.first, shard.last)]
        if not (inside or longer.hidden) or not _holds(longer, inside):
            continue
        if longer.hidden:
            reveal(folder / longer.path.name.removeprefix(".").removesuffix(".new"), longer.first, longer.last)
        for shard in inside:
            shard.path.unlink(missing_ok=True)
    for copy, number in _copies(folder):
        if any(shard.covers(number, number) for shard in kept):
            copy.unlink(missing_ok=True)


def _holds(shard: Shard, others: Iterable[Shard]) -> bool:
    """Return whether a shard holds as many runs as its name says, and among them those of others within it."""
    runs = _runs_said(shard)
    if runs is None or len(runs) != shard.last - shard.first + 1:
        return False
    within = (
        (_runs_said(other), runs[other.first - shard.first :][: other.last - other.first + 1]) for other in others
    )
    return all(said is None or said == held for said, held in within)


def _runs_said(shard: Shard) -> list[str] | None:
    """Return the runs that the footer of a shard names, None if it cannot be read."""
    import pyarrow.parquet as pq

    try:
        with blamed(shard.path):
            said = json.loads(pq.read_metadata(shard.path).metadata[b"citytwin.runs"])
    except StoreError:
        return None
    return said if isinstance(said, list) else None


def copy_path(directory: Path, table: str, first: int, digest: str) -> Path:
    """Return where the copy of some runs stands, of which one is the first."""
    return directory / table / f"{COPY}-{first:07d}-{digest}.parquet"


def copies_within(folder: Path, first: int, last: int) -> list[Path]:
    """Return the copies of staged runs that begin with a run of a stretch."""
    return [copy for copy, number in _copies(folder) if first <= number <= last]


def _copies(folder: Path) -> list[tuple[Path, int]]:
    """Return the copies of incomplete stretches, each with its first run."""
    found = ((file, _COPY_NAME.fullmatch(file.name)) for file in folder.glob(f"{COPY}-*.parquet"))
    return [(file, int(match["first"])) for file, match in found if match]


def write_shard(
    path: Path, schemas: "Sequence[pa.Schema]", pieces: "Iterable[pa.Table]", footer: Mapping[str, Any]
) -> None:
    """Write rows under the temporary name of a shard, a row group at a time.

    The bytes follow from the rows and the footer alone, not from the pieces in which they come.

    Args:
        path: the shard.
        schemas: of all pieces.
        pieces: tables in run order.
        footer: what the footer says; keys get the prefix ``citytwin.``, values other than text become JSON.

    Raises:
        OSError: if the disk does not take it; nothing is left of it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    joined = join_schemas(schemas)
    valueless = [field.name for field in joined if pa.types.is_null(field.type)]
    keys = dict(footer) | ({"valueless": valueless} if valueless else {})
    metadata = {f"citytwin.{key}": text if isinstance(text, str) else json.dumps(text) for key, text in keys.items()}
    schema = without_nulls(joined, metadata)
    text = [field.name for field in schema if is_text(field.type)]
    with (
        written(path) as sink,
        pq.ParquetWriter(
            sink,
            schema,
            compression="zstd",
            compression_level=_ZSTD_LEVEL,
            use_dictionary=text,
            column_encoding={field.name: code for field in schema if (code := encoding(field.type))},
            write_page_checksum=True,
        ) as writer,
    ):
        for group in _grouped(conform(piece, schema) for piece in pieces):
            writer.write_table(group, row_group_size=ROW_GROUP)


def _grouped(pieces: "Iterable[pa.Table]") -> "Iterator[pa.Table]":
    """Yield the rows of tables in tables of :data:`ROW_GROUP` rows; the last may have fewer."""
    import pyarrow as pa

    waiting: list[pa.Table] = []
    count = 0
    for piece in pieces:
        waiting.append(piece)
        count += len(piece)
        if count < ROW_GROUP:
            continue
        whole = pa.concat_tables(waiting)
        full = count - count % ROW_GROUP
        for start in range(0, full, ROW_GROUP):
            yield whole.slice(start, ROW_GROUP).combine_chunks()
        waiting, count = [whole.slice(full)], count - full
    if count:
        yield pa.concat_tables(waiting).combine_chunks()


def encoding(kind: "pa.DataType") -> str | None:
    """Return how a column of a type is written to Parquet, None for text, which has a dictionary."""
    import pyarrow as pa

    if pa.types.is_integer(kind) or pa.types.is_temporal(kind):
        return "DELTA_BINARY_PACKED"
    return "BYTE_STREAM_SPLIT" if pa.types.is_floating(kind) else None


def is_text(kind: "pa.DataType") -> bool:
    """Return whether a column of a type holds text."""
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


# ---------------------------------------------------------------------- reading


@contextlib.contextmanager
def blamed(path: Path | str, remedy: str = _REMEDY) -> Iterator[None]:
    """Turn whatever a damaged or foreign file leads to into an error that names it."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        what = " ".join(str(error).split())  # on one line
        raise StoreError(f"{path}: damaged, or not of this sweep ({what}); {remedy}") from None


class OpenShard:
    """A shard that is open for reading, its footer checked against the runs that its name stands for.

    Args:
        shard: the shard.
        runs: all runs of the sweep, in order.
        source: its file, open; it stays readable when the shard is replaced meanwhile.

    Raises:
        StoreError: if it is damaged, or of another sweep.
    """

    def __init__(self, shard: Shard, runs: Sequence[str], source: BinaryIO):
        import pyarrow.parquet as pq

        self.path = shard.path
        self.runs = runs[shard.first : shard.last + 1]
        with blamed(self.path):
            self.file: pq.ParquetFile = pq.ParquetFile(source, page_checksum_verification=True)
            self.footer: dict[bytes, bytes] = self.file.metadata.metadata or {}
            if json.loads(self.footer[b"citytwin.runs"]) != list(self.runs):
                raise ValueError("holds other runs than its name says")

    @property
    def schema(self) -> "pa.Schema":
        """Columns and types; null where a column has no value."""
        import pyarrow as pa

        with blamed(self.path):
            valueless = json.loads(self.footer.get(b"citytwin.valueless", b"[]"))
            return pa.schema(
                [
                    pa.field(field.name, pa.null()) if field.name in valueless else pa.field(field.name, field.type)
                    for field in self.file.schema_arrow
                ]
            )

    def pieces(
        self, columns: Sequence[str] | None = None, points: tuple[int, int] | None = None, *, threads: bool = False
    ) -> "Iterator[pa.Table]":
        """Yield the row groups in order.

        Args:
            columns: those that are wanted and there; all if None.
            points: lowest and highest number of the points that are wanted; groups without any such are passed over.
            threads: whether columns are decoded by several threads.
        """
        schema = self.schema
        wanted = None if columns is None else [name for name in schema.names if name in set(columns)]
        if wanted is not None:
            import pyarrow as pa

            schema = pa.schema([schema.field(name) for name in wanted])
        for number in range(self.file.num_row_groups) if points is None else self._holding(points):
            with blamed(self.path):
                piece = self.file.read_row_group(number, columns=wanted, use_threads=threads)
                if wanted is not None:
                    piece = piece.select(wanted)  # a name with dots stands for all names that begin with it
                piece = conform(piece.replace_schema_metadata(None), schema)
            yield piece

    def _holding(self, points: tuple[int, int]) -> "Iterator[int]":
        """Yield the row groups that may hold points from a lowest to a highest number."""
        metadata = self.file.metadata
        position = self.file.schema_arrow.names.index("point")
        for number in range(metadata.num_row_groups):
            held = metadata.row_group(number).column(position).statistics
            if held is None or not held.has_min_max or (held.min <= points[1] and points[0] <= held.max):
                yield number
