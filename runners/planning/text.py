"""Who gains and who loses, in words for a terminal."""

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..reports.describe import WIDTH
from ..reports.labels import point_label, short_names
from ..reports.report import aligned
from .change import Change
from .grids import grids

if TYPE_CHECKING:
    from ..results import Results

LONGEST = 36
"""Characters of the name of a row."""


def planning_text(results: "Results", changes: Iterable[Change], baseline: int) -> str:
    """Return who gains and who loses at each point, for a terminal; nothing without changes.

    Args:
        results: the results.
        changes: from :func:`.change.compared`.
        baseline: point with which the others are compared.
    """
    lines: list[str] = []
    for change in changes:
        lines += ["", title_of(results, change.point, baseline)]
        for head, (heads, rows), note in grids(change):
            lines += ["", *textwrap.wrap(head, WIDTH), *table_lines(heads, rows), *textwrap.wrap(note, WIDTH)]
        for note in change.notes:
            lines += ["", *textwrap.wrap(note, WIDTH)]
    return "\n".join(lines[1:])


def title_of(results: "Results", point: int, baseline: int) -> str:
    """Return which points are compared, in one line."""
    names = short_names(results.info["parameters"])
    return f"Point {point} against point {baseline}: {point_label(results.points[point], names)}"


def table_lines(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Return a table whose first column is flush left, long names in it cut."""
    names = [row[0] if len(row[0]) <= LONGEST else row[0][: LONGEST - 1] + "…" for row in rows]
    width = max(map(len, names))
    return aligned(heads, [[name.ljust(width), *row[1:]] for name, row in zip(names, rows, strict=True)])
