"""Joining the shards of complete blocks to larger ones, so that a large sweep has few files.

Which shards are joined follows from their sizes alone: blocks are the leaves of a binary tree, and the largest whole
subtrees of complete blocks whose shards together have at most :data:`LARGEST` bytes become one shard each. So the files
in the end do not depend on the order in which the blocks were completed, nor on who joined them when.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .shards import OpenShard, Shard, is_text, place, shard_path, shards_of, write_shard
from .tables import SUMMARY, join_schemas

if TYPE_CHECKING:
    import pyarrow as pa

LARGEST = 100_000_000
"""Bytes that the shards of the blocks of a joined shard have together at most."""

BLOCKS = "block_bytes"
"""Key of the footer with the bytes that the shard of each block had, by its first run."""

_TRIES = 20


class _About(NamedTuple):
    """What is to be known of a shard: bytes that the shard of each of its blocks had, by first run, and its columns."""

    blocks: dict[str, int]
    schema: "pa.Schema"


class Compaction:
    """Joins the shards of a sweep.

    Args:
        directory: results directory.
        runs: all runs of the sweep, in order.
        block: runs of a block.
        footer: what every shard's footer says.
    """

    def __init__(self, directory: Path, runs: Sequence[str], block: int, footer: Mapping[str, Any]):
        self.directory = directory
        self.runs = runs
        self.block = block
        self.footer = dict(footer)
        self._known: dict[Shard, _About] = {}

    def compact(self, table: str, *, final: bool) -> None:
        """Join shards of a table.

        Args:
            table: name of the table.
            final: whether no more blocks are awaited. If they are, only those are joined that will not be joined again.

        Raises:
            OSError: if the disk does not take a shard; all runs are still in the results.
            StoreError: if a shard is damaged.
        """
        for _ in range(_TRIES):
            with contextlib.suppress(FileNotFoundError):  # another process has joined them
                for first, last in self._planned(table, final=final):
                    self._join(table, first, last)
                return

    def _planned(self, table: str, *, final: bool) -> list[tuple[int, int]]:
        """Return the stretches of runs of which the shards are to be joined."""
        block, full = self.block, len(self.runs) // self.block  # a shorter block at the end may grow
        leaves = [shard for shard in shards_of(self.directory, table) if shard.last < full * block]
        complete = self._complete_blocks(full) if len(leaves) > 1 else []

        def visit(low: int, high: int, inside: list[Shard], *, settled: bool) -> Iterator[tuple[int, int]]:
            if len(inside) < 2:
                return
            light = sum(map(self._weight, inside)) <= LARGEST
            if light and not settled:
                return  # they may yet become part of a larger shard
            middle = (low + high) // 2
            halves = (
                [shard for shard in inside if shard.first < middle * block],
                [shard for shard in inside if shard.first >= middle * block],
            )
            whole = high <= full and all(complete[low:high])
            if light and all(halves) and whole and not _makes_text([self._about(shard).schema for shard in inside]):
                yield low * block, high * block - 1
                return
            yield from visit(low, middle, halves[0], settled=final or not light)
            yield from visit(middle, high, halves[1], settled=final or not light)

        return list(visit(0, 1 << full.bit_length(), leaves, settled=final))

    def _complete_blocks(self, full: int) -> list[bool]:
        """Return of each full block whether all its runs are sealed."""
        complete = [False] * full
        for shard in shards_of(self.directory, SUMMARY):
            for number in range(shard.first // self.block, min((shard.last + 1) // self.block, full)):
                complete[number] = True
        return complete

    def _about(self, shard: Shard) -> _About:
        if shard not in self._known:
            with shard.path.open("rb") as source:
                opened = OpenShard(shard, self.runs, source)
            told = opened.footer.get(f"citytwin.{BLOCKS}".encode())
            blocks = {str(shard.first): shard.path.stat().st_size} if told is None else json.loads(told)
            self._known[shard] = _About(blocks, opened.schema)
        return self._known[shard]

    def _weight(self, shard: Shard) -> int:
        return sum(self._about(shard).blocks.values())

    def _join(self, table: str, first: int, last: int) -> None:
        sources = [s for s in shards_of(self.directory, table) if first <= s.first and s.last <= last]
        if len(sources) < 2:
            return
        path = shard_path(self.directory, table, first, last)
        with contextlib.ExitStack() as files:
            opened = [OpenShard(shard, self.runs, files.enter_context(shard.path.open("rb"))) for shard in sources]
            blocks = {start: size for shard in sources for start, size in self._about(shard).blocks.items()}
            told = self.footer | {"runs": self.runs[first : last + 1], BLOCKS: blocks}
            write_shard(
                path, [shard.schema for shard in opened], (piece for shard in opened for piece in shard.pieces()), told
            )
        place(path, first, last, sources)


def _makes_text(schemas: "Sequence[pa.Schema]") -> bool:
    """Return whether a column would become text by the join; how its numbers are written then depends on their path."""
    import pyarrow as pa

    joined = join_schemas(schemas)
    return any(
        is_text(joined.field(field.name).type) and not is_text(field.type) and not pa.types.is_null(field.type)
        for schema in schemas
        for field in schema
    )
