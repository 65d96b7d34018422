"""Reader of the tables of JEMSS, a simulator of ambulance services: its road networks and its points.

Its tables are "sectioned" CSV: the name of a section in a line, the names of its columns, its rows, an empty line. Times
are in days. Roads are directed arcs with a time for each travel mode.

S. Ridler, A. Mason, A. Raith (2022), A simulation and optimisation package for emergency medical services, European Journal
of Operational Research 298 (3); https://github.com/uoa-ems-research/JEMSS.jl.
"""

import csv
import gzip
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..roads import Access, RoadRank
from .network import Network, NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = 86_400.0
MOST_BYTES = 1_000_000_000
"""Size up to which a table is read."""

Sections = dict[str, dict[str, list[str]]]


class JemssRoads(NamedTuple):
    """Roads of JEMSS.

    Attributes:
        network: the streets; their free speed is that of the last mode, without lights.
        seconds: for each travel mode (links,) seconds.
        off_road: bool (nodes,) whether one may leave the roads there.
    """

    network: Network
    seconds: list[NDArray[np.float64]]
    off_road: NDArray[np.bool_]


def read_sections(path: str | Path) -> Sections:
    """Read a table, which may be compressed with gzip.

    Returns:
        By section its columns, by name.

    Raises:
        NetworkError: if it cannot be read or is no such table.
    """
    file = Path(path)
    try:
        if file.stat().st_size > MOST_BYTES:
            raise NetworkError(f"{file}: larger than {MOST_BYTES:,} bytes")
        if file.suffix == ".gz":
            with gzip.open(file, "rt", encoding="utf-8") as lines:
                return _sections(csv.reader(lines), file)
        with file.open(encoding="utf-8") as lines:
            return _sections(csv.reader(lines), file)
    except (OSError, UnicodeDecodeError, EOFError, csv.Error) as error:
        raise NetworkError(f"{file}: cannot be read ({error})") from None


def _sections(rows: "Iterator[list[str]]", file: Path) -> Sections:
    found: Sections = {}
    state, name = "name", ""
    columns: list[list[str]] = []
    header: list[str] = []
    for number, row in enumerate(rows, 1):
        if not any(cell.strip() for cell in row):
            state = "name"
        elif state == "name":
            name, state = row[0].strip(), "header"
        elif state == "header":
            header = [cell.strip() for cell in row]
            columns = [[] for _ in header]
            found[name] = {title: column for title, column in zip(header, columns, strict=True) if title}
            state = "rows"
        else:
            if len(row) > len(columns) and any(cell.strip() for cell in row[len(columns) :]):
                raise NetworkError(
                    f"{file}, line {number}: {len(row)} cells, section '{name}' has {len(columns)} columns"
                )
            for column, cell in zip(columns, [*row, *[""] * len(columns)], strict=False):
                column.append(cell.strip())
    if not found:
        raise NetworkError(f"{file}: no section in it; a table of JEMSS begins with the name of one")
    return found


def numbers(sections: Sections, section: str, column: str, path: str | Path) -> NDArray[np.float64]:
    """Return a column of numbers.

    Raises:
        NetworkError: if there is no such section or column, or a cell is no finite number.
    """
    if section not in sections or column not in sections[section]:
        there = ", ".join(f"{name}: {', '.join(columns)}" for name, columns in sections.items())
        raise NetworkError(f"{path}: no column '{column}' in a section '{section}'; there are {there}")
    values = np.empty(len(sections[section][column]))
    for row, cell in enumerate(sections[section][column]):
        try:
            values[row] = float(cell)
        except ValueError:
            values[row] = np.nan
        if not np.isfinite(values[row]):
            raise NetworkError(f"{path}: {section}.{column}, row {row + 1} is '{cell}'; a number is wanted")
    return values


def read_roads(nodes: str | Path, arcs: str | Path, crs: str) -> JemssRoads:
    """Read a road network.

    Args:
        nodes, arcs: the tables.
        crs: projected CRS in metres for the coordinates, which the table holds in degrees.

    Raises:
        NetworkError: if a table cannot be read or does not fit the other.
    """
    from pyproj import Transformer

    points, lines = read_sections(nodes), read_sections(arcs)
    change = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    x, y = change.transform(numbers(points, "nodes", "x", nodes), numbers(points, "nodes", "y", nodes))
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
        raise NetworkError(f"{nodes}: coordinates must be degrees that {crs} can hold")
    start = numbers(lines, "arcs", "fromNode", arcs).astype(np.int64) - 1
    end = numbers(lines, "arcs", "toNode", arcs).astype(np.int64) - 1
    for name, column in (("fromNode", start), ("toNode", end)):
        wrong = np.flatnonzero((column < 0) | (column >= len(x)))
        if len(wrong):
            raise NetworkError(
                f"{arcs}: arc {wrong[0] + 1}: {name} {column[wrong[0]] + 1} is no node, 1 … {len(x)} are"
            )
    modes = sorted(name for name in lines["arcs"] if name.startswith("mode_"))
    seconds = [numbers(lines, "arcs", mode, arcs) * DAY for mode in modes]
    if not seconds:
        raise NetworkError(f"{arcs}: no column mode_1, mode_2, … with times")
    length = np.maximum(numbers(lines, "arcs", "distance", arcs) * 1000.0, 0.1)
    if lines.get("miscData", {}).get("arcForm", ["directed"])[0] == "undirected":
        start, end = np.concatenate([start, end]), np.concatenate([end, start])
        length, seconds = np.tile(length, 2), [np.tile(mode, 2) for mode in seconds]
    for mode, times in zip(modes, seconds, strict=True):
        wrong = np.flatnonzero(~(times > 0))
        if len(wrong):
            raise NetworkError(f"{arcs}: arc {wrong[0] + 1}: {mode} is {times[wrong[0]] / DAY:g} days; must be above 0")
    one = np.ones(len(start))
    network = Network(
        x=np.asarray(x, float),
        y=np.asarray(y, float),
        start=start.astype(np.int32),
        end=end.astype(np.int32),
        length=length,
        speed=length / seconds[-1],
        lanes=one,
        capacity=np.full(len(start), np.inf),
        access=np.full(len(start), int(Access.CAR), np.uint8),
        rank=np.full(len(start), int(RoadRank.UNCLASSIFIED), np.uint8),
        way=np.arange(len(start), dtype=np.int64),
        through=np.ones(len(x), bool),
        crs=crs,
    )
    off_road = numbers(points, "nodes", "offRoadAccess", nodes) > 0 if "offRoadAccess" in points["nodes"] else None
    return JemssRoads(network, seconds, np.ones(len(x), bool) if off_road is None else off_road)
