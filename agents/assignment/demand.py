"""Demand of static assignment: trips between nodes, by origin in the order that the loops use."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...environment.network.tntp import LARGEST_BYTES, TntpTrips
from .streets import AssignmentError

COLUMNS = ("origin", "destination", "trips")
_SHOWN = 20  # problems listed in one message


class Pairs(NamedTuple):
    """Demand by origin.

    Attributes:
        origin: int32 (origins,) nodes, rising.
        first_pair: int64 (origins + 1,) pairs of origin o are first_pair[o] … first_pair[o + 1] − 1.
        destination: int32 (pairs,) nodes, rising within an origin.
        trips: float64 (pairs,), above 0.
    """

    origin: NDArray[np.int32]
    first_pair: NDArray[np.int64]
    destination: NDArray[np.int32]
    trips: NDArray[np.float64]


@dataclass(frozen=True)
class Demand:
    """Trips between nodes.

    Attributes:
        origin, destination: int32 (cells,) nodes.
        trips: float64 (cells,), not below 0.
        path: file that states them, None if there is none.
        line: int32 (cells,) line of the file.
    """

    origin: NDArray[np.int32]
    destination: NDArray[np.int32]
    trips: NDArray[np.float64]
    path: Path | None = None
    line: NDArray[np.int32] | None = None

    @classmethod
    def of_tntp(cls, trips: TntpTrips) -> "Demand":
        """Return the trips of a TNTP file."""
        return cls(trips.origin, trips.destination, trips.trips, trips.path, trips.line)

    @classmethod
    def of_csv(cls, path: str | Path, nodes: int, first_name: int = 0) -> "Demand":
        """Read trips from a table with the columns origin, destination and trips.

        Args:
            path: a CSV file.
            nodes: number of nodes that may be named.
            first_name: number that the first node has in the file.

        Raises:
            AssignmentError: if the file cannot be read or rows are wrong; up to 20 at once, each with its line.
        """
        path = Path(path)
        cells: dict[tuple[int, int], tuple[float, int]] = {}
        problems: list[str] = []
        try:
            if path.stat().st_size > LARGEST_BYTES:
                raise AssignmentError(f"{path}: has more than {LARGEST_BYTES:,} bytes")
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = csv.DictReader(file)
                lacking = [name for name in COLUMNS if name not in (rows.fieldnames or [])]
                if lacking:
                    raise AssignmentError(f"{path}:1: lacks the column {lacking[0]}; must have {', '.join(COLUMNS)}")
                for row in rows:
                    message = _add(row, nodes, first_name, rows.line_num, cells)
                    if message:
                        problems.append(f"{path}:{rows.line_num}: {message}")
        except OSError as error:
            raise AssignmentError(f"{path}: cannot be read ({error.strerror or error})") from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise AssignmentError(f"{path}: is not a CSV file in UTF-8 ({error})") from None
        if problems:
            more = [f"… and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
            raise AssignmentError("\n".join(problems[:_SHOWN] + more))
        if not cells:
            raise AssignmentError(f"{path}: holds no trips; write a row for each origin and destination")
        pairs = np.array(list(cells), np.int32).reshape(-1, 2)
        values = list(cells.values())
        trips, lines = np.array([v for v, _ in values], float), np.array([n for _, n in values], np.int32)
        return cls(pairs[:, 0].copy(), pairs[:, 1].copy(), trips, path, lines)

    @property
    def intrazonal(self) -> float:
        """Sum of the trips that end where they begin, which are not assigned."""
        return float(self.trips[self.origin == self.destination].sum())

    def at(self, cell: int) -> str:
        """Return file and line of a cell, for the beginning of a message; empty without a file."""
        if self.path is None:
            return ""
        return f"{self.path}: " if self.line is None else f"{self.path}:{self.line[cell]}: "

    def pairs(self) -> tuple[Pairs, NDArray[np.int64]]:
        """Return the trips to be assigned by origin, and the cell of each pair."""
        cell = np.flatnonzero((self.trips > 0) & (self.origin != self.destination))
        cell = cell[np.lexsort((self.destination[cell], self.origin[cell]))]
        origin, count = np.unique(self.origin[cell], return_counts=True)
        first = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        destination, trips = self.destination[cell].astype(np.int32), self.trips[cell].astype(float)
        return Pairs(origin.astype(np.int32), first, destination, trips), cell


def _add(
    row: dict[str, str], nodes: int, first_name: int, line: int, cells: dict[tuple[int, int], tuple[float, int]]
) -> str:
    """Add a row to the cells; return what is wrong with it."""
    ends = []
    for name in ("origin", "destination"):
        text = (row[name] or "").strip()
        node = int(text) - first_name if text.isascii() and text.isdigit() and len(text) < 12 else -1
        if not 0 <= node < nodes:
            return f"{name} is '{text}', must be a node of {first_name} … {nodes - 1 + first_name}"
        ends.append(node)
    try:
        trips = float(row["trips"] or "")
    except ValueError:
        trips = -1.0
    if not (math.isfinite(trips) and trips >= 0):
        return f"trips is '{row['trips']}', must be a number from 0 on"
    key = (ends[0], ends[1])
    if key in cells:
        return f"states the trips {row['origin']} → {row['destination']} again; line {cells[key][1]} states them too"
    cells[key] = (trips, line)
    return ""
