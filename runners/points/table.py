"""Points of a sweep from a CSV file: a column a parameter, a line a point, every misfit told with line and column.

A cell is read as a value of TOML (``2.5``, ``true``, ``["school"]``, ``2026-03-01``); what is none is a text.
"""

import contextlib
import csv
import gc
import io
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

from ...environment.toml import parse
from ..scenarios.documents import Node, Problem, ScenarioError, Where, json_ready, visible, wrap
from .settings import MAX_POINTS

MAX_BYTES = 64_000_000
MAX_COLUMNS = 200
MAX_CELL = 10_000
_NUMERIC = frozenset("0123456789+-.eE_")


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the collector from walking a million new objects again and again, none of which is garbage."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@_uncollected()
def read_points(path: Path, label: str) -> dict[str, Node]:
    """Return by parameter a list of its values, a node each with the line on which it stands.

    Args:
        path: the file.
        label: what messages call it.

    Raises:
        ScenarioError: with all that is wrong, by line and column.
    """
    reader = csv.reader(io.StringIO(_text(path, label), newline=""), strict=True)
    lines: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                lines.append((reader.line_num, list(map(str.strip, cells))))
            if len(lines) > MAX_POINTS + 1:
                message = f"more than {MAX_POINTS:,} points"
                raise ScenarioError([Problem(Where(label, reader.line_num), "", message)])
    except csv.Error as error:
        raise ScenarioError([Problem(Where(label, reader.line_num), "", f"not valid CSV: {error}")]) from None
    if not lines:
        raise ScenarioError(
            [Problem(Where(label), "", "is empty; write a line of dotted keys and a line for each point")]
        )
    (head, names), points = lines[0], lines[1:]
    problems = _header_problems(names, Where(label, head))
    if not points:
        message = "holds no points; write a line of values under the line of keys for each point"
        problems.append(Problem(Where(label), "", message))
    if problems:
        raise ScenarioError(problems)
    folder = path.parent
    columns, problems = _columns(names, points, label, folder)
    if problems:
        raise ScenarioError(problems)
    return {name: Node(values, Where(label, head), folder) for name, values in columns.items()}


def _columns(
    names: list[str], points: list[tuple[int, list[str]]], label: str, folder: Path
) -> tuple[dict[str, list[Node]], list[Problem]]:
    """Return the values of each key, and what is wrong with others."""
    columns: dict[str, list[Node]] = {name: [] for name in names}
    problems = []
    for line, cells in points:
        where = Where(label, line)
        if len(cells) != len(names):
            problems.append(Problem(where, "", f"has {len(cells)} cells; the line of keys has {len(names)}"))
            continue
        for number, (name, cell) in enumerate(zip(names, cells, strict=True), start=1):
            value = _value(cell)
            if isinstance(value, _Wrong):
                problems.append(Problem(where, f"column {number} ({visible(name)})", value.message))
            else:
                plain = isinstance(value, int | float | str)
                columns[name].append(Node(value, where, folder) if plain else wrap(value, where, folder))
    return columns, problems


def _text(path: Path, label: str) -> str:
    try:
        if path.exists() and not path.is_file():
            raise ScenarioError([Problem(Where(label), "", "is not a file")])
        size = path.stat().st_size
        if size > MAX_BYTES:
            message = f"{size:,} bytes; a file of points has at most {MAX_BYTES:,}"
            raise ScenarioError([Problem(Where(label), "", message)])
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        message = f"cannot be read ({error.strerror or error}); a path in a scenario starts at the scenario's folder"
        raise ScenarioError([Problem(Where(label), "", message)]) from None
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text (byte {error.start:,}); save it as CSV in UTF-8"
        raise ScenarioError([Problem(Where(label), "", message)]) from None


def _header_problems(names: list[str], where: Where) -> list[Problem]:
    if len(names) > MAX_COLUMNS:
        return [Problem(where, "", f"{len(names)} columns; allowed: {MAX_COLUMNS}")]
    if len(names) == 1 and any(sign in names[0] for sign in ";\t"):
        return [Problem(where, "", f"cells must be separated by commas; the line reads: {visible(names[0])[:100]}")]
    problems = []
    for number, name in enumerate(names, start=1):
        if not name:
            problems.append(Problem(where, f"column {number}", "has no key; write one, as epidemic.r0"))
        elif names.index(name) < number - 1:
            first = names.index(name) + 1
            problems.append(
                Problem(where, f"column {number} ({visible(name)})", f"column {first} has this key already")
            )
    return problems


class _Wrong:
    def __init__(self, message: str):
        self.message = message


def _value(cell: str) -> Any:
    """Return the value in a cell, or what is wrong with it."""
    if not cell:
        return _Wrong('is empty; every point needs a value of each key (a text without signs is written "")')
    if len(cell) > MAX_CELL:
        return _Wrong(f"has {len(cell):,} characters; allowed: {MAX_CELL:,}")
    if _NUMERIC.issuperset(cell) and (number := _number(cell)) is not None:
        return number
    if "\n" in cell or "#" in cell:  # no value of one line, or one with a comment
        return cell
    try:
        read = parse(f"value = {cell}")
    except ValueError:
        return cell
    value = json_ready(read["value"]) if list(read) == ["value"] else cell
    if isinstance(value, float) and not isfinite(value):
        return _Wrong(f"must be a finite number (given {cell})")
    return value


def _number(cell: str) -> int | float | None:
    """Return a number as Python reads it where TOML would read the same; most cells are numbers, and this is fast."""
    try:
        if cell.isdecimal() and (cell == "0" or cell[0] != "0") and len(cell) <= 18:
            return int(cell)
        whole, point, rest = cell.partition(".")
        if point and whole.isdecimal() and rest.isdecimal() and (whole == "0" or whole[0] != "0"):
            return float(cell)
    except ValueError:
        return None
    return None
