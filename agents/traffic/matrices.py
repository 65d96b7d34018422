"""Matrices of trips between zones, read from CSV files and from lists of VISUM (``$O…``)."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .demand import Mode

DAY = 86_400.0
"""Seconds of a day."""
MAX_BYTES = 1_000_000_000
"""Largest file that is read."""
MOST_ROWS = 10_000_000
"""Cells of a matrix, and rows of a table of trips, that are read; each takes some 200 bytes of memory."""
MODE_NAMES = {mode.name.lower(): mode for mode in Mode}
FEWER = "leave out those without trips, or join zones"
SHOWN = 20
"""Problems listed in one message."""


class DemandError(ValueError):
    """Demand that cannot be read or used; the message names the file and line, or the zone, and the remedy."""


@dataclass(frozen=True)
class Matrix:
    """Trips between zones.

    Attributes:
        zones: names of the zones.
        origin, destination: int32 (cells,) positions in ``zones``.
        trips: float64 (cells,) from 0.
        mode: uint8 (cells,) :class:`~.demand.Mode`.
        begin, end: seconds after midnight between which the trips depart; the whole day if the file does not say.
        source: the file, for messages.
    """

    zones: tuple[str, ...]
    origin: NDArray[np.int32]
    destination: NDArray[np.int32]
    trips: NDArray[np.float64]
    mode: NDArray[np.uint8]
    begin: float = 0.0
    end: float = DAY
    source: str = ""

    @property
    def total(self) -> float:
        """All trips."""
        return float(self.trips.sum())


class Problems:
    """What is wrong with a source, told at once."""

    def __init__(self, source: str):
        self.source = source
        self.found: list[str] = []
        self.count = 0

    def add(self, where: str, message: str) -> None:
        """Note a problem at a line (or nowhere in particular, "")."""
        self.count += 1
        if self.count <= SHOWN:
            self.found.append(f"{self.source}:{where}: {message}" if where else f"{self.source}: {message}")

    def refuse(self) -> None:
        """Raise DemandError if any problem was noted."""
        if self.count:
            left = self.count - len(self.found)
            more = [f"… and {left} more"] if left else []
            raise DemandError("\n".join(self.found + more))


# ---------------------------------------------------------------------- reading matrices


def read_matrix(path: str | Path) -> Matrix:
    """Read a matrix from a file of VISUM (begins with ``$``) or a CSV file with ``origin, destination, trips[, mode]``.

    Raises:
        DemandError: if it is neither, or anything in it is wrong.
    """
    path = Path(path)
    with open_text(path) as file:
        begins = file.read(1)
    return read_visum(path) if begins == "$" else read_csv(path)


def read_csv(
    path: str | Path,
    *,
    origin: str = "origin",
    destination: str = "destination",
    trips: str = "trips",
    mode: str = "mode",
    modes: Mapping[str, str] | None = None,
) -> Matrix:
    """Read a matrix from a CSV file, a cell a line.

    Args:
        path: the file, in UTF-8, with names of columns in the first line.
        origin, destination: columns with the names of zones.
        trips: column with the number of trips.
        mode: column with the mode (car, passenger, transit, bicycle, walk); trips are by car where there is none.
        modes: modes of columns, instead of ``trips`` and ``mode``, for files with a column a mode, for example
            ``{"bus": "transit", "train": "transit", "foot": "walk"}``. Columns not named are left out.

    Raises:
        DemandError: if a column is missing or a line is wrong; all problems at once, each with its line.
    """
    path = Path(path)
    problems = Problems(str(path))
    wanted = _modes_of_columns(trips, modes)
    cells: list[tuple[str, str, float, int]] = []
    with open_text(path) as file:
        reader = csv.reader(file, strict=True)
        header = header_of(reader, path)
        lacking = [name for name in (origin, destination, *wanted) if name not in header]
        if lacking:
            raise DemandError(f"{path}:1: no column '{lacking[0]}'; there are: {', '.join(header) or 'none'}")
        at = {name: header.index(name) for name in (origin, destination, *wanted)}
        mode_at = header.index(mode) if modes is None and mode in header else -1
        for row in csv_rows(reader, path):
            if not any(map(str.strip, row)):
                continue
            line = str(reader.line_num)
            if len(row) != len(header):
                problems.add(line, f"has {len(row)} values, the first line names {len(header)} columns")
                continue
            start, end = row[at[origin]].strip(), row[at[destination]].strip()
            if not start or not end:
                problems.add(line, f"names no {'origin' if not start else 'destination'}")
                continue
            for column, how in wanted.items():
                told = how if mode_at < 0 else MODE_NAMES.get(row[mode_at].strip().lower(), -1)
                if told < 0:
                    problems.add(line, f"mode '{row[mode_at].strip()}' is none of {', '.join(MODE_NAMES)}")
                    continue
                number = _trips_of(row[at[column]], line, f"{start} → {end}", column, problems)
                cells.append((start, end, number, told))
    problems.refuse()
    return _matrix(cells, 0.0, DAY, str(path))


def read_visum(path: str | Path) -> Matrix:
    """Read a matrix that VISUM has written as a list (``$O``, ``$OR``, ``$ON`` …): a line a cell, zones as numbers.

    The file holds the times of the period as hours and minutes (``7.30`` is half past seven), a factor, by which all
    trips are multiplied, and the cells; lines that begin with ``*`` are comments.

    Raises:
        DemandError: if it is no such file or a line is wrong; all problems at once, each with its line.
    """
    path = Path(path)
    problems = Problems(str(path))
    with open_text(path) as file:
        lines = ((str(n), text.strip().rstrip("$").strip()) for n, text in enumerate(file, 1))
        kind = next(lines, ("1", ""))[1]
        if not kind.upper().startswith("$O"):
            raise DemandError(
                f"{path}:1: begins with '{kind[:20]}'; only lists of VISUM can be read, which begin with $O. Save the "
                "matrix as a list, or as CSV with origin, destination, trips"
            )
        content = ((n, text.split()) for n, text in lines if text and not text.startswith("*"))
        nothing: tuple[str, list[str]] = ("1", [])
        begin, end = _period(next(content, nothing), problems)
        line, words = next(content, nothing)
        scale = _trips_of(" ".join(words), line, "factor", "number", problems)
        cells: list[tuple[str, str, float, int]] = []
        for line, words in content:
            if len(words) != 3:
                problems.add(line, f"'{' '.join(words)[:40]}' is no cell; write origin, destination and trips")
                continue
            if len(cells) >= MOST_ROWS:
                raise DemandError(f"{path}:{line}: more than {MOST_ROWS:,} cells; {FEWER}")
            number = _trips_of(words[2], line, f"{words[0]} → {words[1]}", "trips", problems)
            cells.append((words[0], words[1], number * scale, int(Mode.CAR)))
    problems.refuse()
    return _matrix(cells, begin, end, str(path))


def _modes_of_columns(trips: str, modes: Mapping[str, str] | None) -> dict[str, int]:
    if modes is None:
        return {trips: int(Mode.CAR)}
    unknown = [name for name in modes.values() if name not in MODE_NAMES]
    if unknown:
        raise DemandError(f"mode '{unknown[0]}' is none of {', '.join(MODE_NAMES)}")
    return {column: int(MODE_NAMES[name]) for column, name in modes.items()}


def _matrix(cells: Sequence[tuple[str, str, float, int]], begin: float, end: float, source: str) -> Matrix:
    number: dict[str, int] = {}
    for start, stop, *_ in cells:
        number.setdefault(start, len(number))
        number.setdefault(stop, len(number))
    return Matrix(
        tuple(number),
        np.array([number[start] for start, *_ in cells], np.int32),
        np.array([number[stop] for _, stop, *_ in cells], np.int32),
        np.array([trips for *_, trips, _ in cells], np.float64),
        np.array([mode for *_, mode in cells], np.uint8),
        begin,
        end,
        source,
    )


def _trips_of(text: str, line: str, what: str, column: str, problems: Problems) -> float:
    """Return a number from 0 on, or 0 after noting what is wrong."""
    value = number_in(text)
    if value is None:
        problems.add(line, f"{what}: {column} is '{text.strip()[:30]}', must be a number")
    elif value < 0:
        problems.add(line, f"{what}: {column} is {value:g}, must be 0 or more")
    else:
        return value
    return 0.0


def number_in(text: str) -> float | None:
    """Return a finite number, None if the text is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _period(told: tuple[str, list[str]], problems: Problems) -> tuple[float, float]:
    line, words = told
    clock = [time_in(word) for word in words]
    if len(clock) != 2 or None in clock or not clock[0] < clock[1] <= DAY:  # type: ignore[operator]
        problems.add(line, f"'{' '.join(words)[:40]}' is no period; write two times as hours.minutes, as in 7.00 8.30")
        return 0.0, DAY
    return clock[0], clock[1]  # type: ignore[return-value]


def time_in(text: str, point: str = ".") -> float | None:
    """Return the seconds after midnight of a time as ``7.30``, None if it is none."""
    parts = text.split(point)
    if not 1 <= len(parts) <= 3 or not all(part.isascii() and part.isdigit() and len(part) <= 2 for part in parts):
        return None
    hours, minutes, seconds = ([int(part) for part in parts] + [0, 0])[:3]
    return 3600.0 * hours + 60.0 * minutes + seconds if minutes < 60 and seconds < 60 and hours <= 24 else None


def open_text(path: Path) -> Any:
    """Open a text file for reading; DemandError if it cannot be read or is too large."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DemandError(f"{path}: has {size:,} bytes, at most {MAX_BYTES:,} are read")
        return path.open(encoding="utf-8-sig", errors="replace", newline="")
    except OSError as error:
        raise DemandError(f"{path}: cannot be read ({error.strerror or error})") from None


def header_of(reader: Any, path: Path) -> list[str]:
    """Return the names of columns in the first row of a CSV reader; DemandError if one is there twice."""
    header = [name.strip() for name in next(csv_rows(reader, path), [])]
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise DemandError(f"{path}:1: column '{twice[0]}' is there more than once; name every column once")
    return header


def csv_rows(reader: Any, path: Path) -> Iterator[list[str]]:
    """Yield the rows of a CSV reader; DemandError where the file is no CSV, or has too many."""
    try:
        for number, row in enumerate(reader):
            if number >= MOST_ROWS:
                raise DemandError(f"{path}:{reader.line_num}: more than {MOST_ROWS:,} rows; {FEWER}")
            yield row
    except csv.Error as error:
        raise DemandError(f"{path}:{reader.line_num}: {error}") from None
