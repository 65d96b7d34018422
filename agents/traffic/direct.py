"""Demand that is given instead of lived: matrices of trips between zones, and tables of single trips.

The trips of a matrix (:mod:`.matrices`) become single vehicles and people: each cell is rounded up or down by a draw so
that all cells together keep the total of the file, to less than one trip.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...environment.network.network import Network
from ...environment.randomness import key, uniform, uniforms
from ...environment.roads import Access
from ..vehicles import VehicleKind
from .demand import Mode, Trips
from .matrices import (
    DAY,
    MODE_NAMES,
    MOST_ROWS,
    SHOWN,
    DemandError,
    Matrix,
    Problems,
    csv_rows,
    header_of,
    number_in,
    open_text,
    time_in,
)

if TYPE_CHECKING:
    import geopandas

FARTHEST = 1_000.0
"""Metres that a point may lie off the nearest street (assumed)."""
MOST_TRIPS = 100_000_000
"""Trips that a matrix may have; each becomes a row."""
_MOST_NODES = 2**31
_PER_CELL = 1 << 24  # trips of a cell that have draws of their own


@dataclass(frozen=True)
class Connectors:
    """Nodes at which the trips of each zone begin and end, each as often as the others.

    Attributes:
        zones: names of the zones.
        first: int64 (zones + 1,) position of each zone's first node.
        node: int32 (…,) nodes.
    """

    zones: tuple[str, ...]
    first: NDArray[np.int64]
    node: NDArray[np.int32]


# ---------------------------------------------------------------------- zones and nodes


def connect(zones: "geopandas.GeoDataFrame", network: Network, name: str) -> Connectors:
    """Find the nodes of zones: all inside an area, or the one nearest to a point, that cars reach and leave.

    Args:
        zones: areas or points, in any CRS.
        network: the network.
        name: column with the names that matrices use.

    Raises:
        DemandError: if zones hold no node, lie off the network or share a name; all at once.
    """
    import shapely

    if name not in zones.columns:
        raise DemandError(f"zones: no column '{name}'; there are: {', '.join(map(str, zones.columns))}")
    if not network.crs or zones.crs is None:
        raise DemandError("zones and network need coordinates and a CRS; name the nodes of zones in a table instead")
    geometry = zones.geometry.to_crs(network.crs).to_numpy()
    rows = np.flatnonzero(network.main_part(Access.CAR))
    points = shapely.points(network.x[rows], network.y[rows])
    tree = shapely.STRtree(points)
    names = [str(value) for value in zones[name]]
    problems = Problems("zones")
    nodes: list[NDArray[np.int32]] = []
    for at, shape in zip(names, geometry, strict=True):
        if shape is None or shape.is_empty:
            problems.add("", f"zone '{at}' has no geometry")
            continue
        if shape.geom_type == "Point":
            found = tree.nearest([shape])
            far = float(shapely.distance(points[found[0]], shape))
            if not far <= FARTHEST:
                problems.add(
                    "", f"zone '{at}' at ({shape.x:.0f}, {shape.y:.0f}) lies {far:,.0f} m off the nearest street, at most "
                    f"{FARTHEST:,.0f} m are allowed: outside the city, or in another CRS?"
                )  # fmt: skip
        else:
            found = np.sort(tree.query(shape, predicate="intersects"))
            if not found.size:
                problems.add(
                    "", f"zone '{at}' has no street: no node that cars reach lies in it; enlarge it or leave it out"
                )
        nodes.append(rows[found].astype(np.int32))
    for at in sorted({at for at in names if names.count(at) > 1}):
        problems.add("", f"{names.count(at)} zones are called '{at}'")
    problems.refuse()
    first = np.concatenate([[0], np.cumsum([len(found) for found in nodes])]).astype(np.int64)
    return Connectors(tuple(names), first, np.concatenate(nodes))


# ---------------------------------------------------------------------- trips of matrices


def round_to_total(values: NDArray[np.float64], seed: int, purpose: str) -> NDArray[np.int64]:
    """Round values up or down by draws, so that they keep their sum.

    Systematic sampling (Madow 1949, Annals of Mathematical Statistics 20:333) of the remainders in an order that is drawn:
    every value is rounded up with a chance equal to its remainder, and the sum is that of the values, rounded down or up.

    Args:
        values: float64 (n,) from 0.
        seed: seed of the draws.
        purpose: name of the draws.
    """
    whole = np.floor(values)
    rest = values - whole
    order = np.argsort(uniforms(key(seed, f"{purpose}, order"), np.arange(len(values)), 0), kind="stable")
    # 1e-9: sums of tenths that should be whole are whole
    steps = np.floor(np.cumsum(rest[order]) + uniform(key(seed, purpose), 0, 0) + 1e-9)
    up = np.empty(len(values))
    up[order] = np.diff(steps, prepend=0.0)
    return (whole + up).astype(np.int64)


def check_zones(matrix: Matrix, connectors: Connectors) -> dict[str, int]:
    """Return the position of each zone among the connectors.

    Raises:
        DemandError: if the matrix has trips of zones that have no nodes.
    """
    number = {name: n for n, name in enumerate(connectors.zones)}
    used = np.zeros(len(matrix.zones), bool)
    some = matrix.trips > 0
    used[matrix.origin[some]] = used[matrix.destination[some]] = True
    unknown = [name for name, count in zip(matrix.zones, used, strict=True) if count and name not in number]
    if unknown:
        shown = ", ".join(f"'{name}'" for name in unknown[:SHOWN])
        raise DemandError(
            f"{matrix.source or 'matrix'}: {len(unknown)} zones have trips but no nodes in the network: {shown}"
            f"{' …' if len(unknown) > SHOWN else ''}; connect them, or take their cells out"
        )
    return number


def matrix_trips(
    matrix: Matrix,
    connectors: Connectors,
    seed: int,
    *,
    factor: float = 1.0,
    profile: ArrayLike | None = None,
    kind: VehicleKind = VehicleKind.CAR,
) -> Trips:
    """Make single trips of a matrix.

    Trips within a zone are kept; those that begin and end at one node have no way to go.

    Args:
        matrix: trips between zones.
        connectors: nodes of the zones; further zones are no harm.
        seed: seed of the draws.
        factor: number by which all trips are multiplied.
        profile: (parts,) weights of equal parts of the period; trips depart within a part evenly. By default in the
            whole period evenly.
        kind: what drives, for trips by car.

    Raises:
        DemandError: if the matrix has trips of zones that have no nodes, or weights are none.
    """
    number = check_zones(matrix, connectors)
    total = float((matrix.trips * factor).sum())
    if total > MOST_TRIPS or (matrix.trips * factor).max(initial=0.0) >= _PER_CELL:
        raise DemandError(
            f"{matrix.source or 'matrix'}: {total:,.0f} trips in all; at most {MOST_TRIPS:,}, and {_PER_CELL:,} in a cell"
        )
    count = round_to_total(matrix.trips * factor, seed, "rounding of a matrix")
    cell = np.repeat(np.arange(len(count)), count)
    who = cell * _PER_CELL + np.arange(len(cell)) - np.repeat(np.cumsum(count) - count, count)
    zone = np.array([number.get(name, 0) for name in matrix.zones], np.int64)
    ends = []
    for purpose, at in (("origin of a trip", matrix.origin), ("destination of a trip", matrix.destination)):
        first = connectors.first[zone[at[cell]]]
        size = connectors.first[zone[at[cell]] + 1] - first
        ends.append(connectors.node[first + (uniforms(key(seed, purpose), who, 0) * size).astype(np.int64)])
    return Trips.in_order(
        origin=ends[0],
        destination=ends[1],
        depart=departures(uniforms(key(seed, "departure of a trip"), who, 0), matrix.begin, matrix.end, profile),
        mode=matrix.mode[cell],
        kind=np.full(len(cell), kind),
    )


def departures(
    draws: NDArray[np.float64], begin: float, end: float, profile: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return departures in seconds after midnight for draws in 0 … 1, spread as a profile says.

    Args:
        draws: float64 (n,).
        begin, end: seconds after midnight.
        profile: (parts,) weights of equal parts of the period; evenly if there is none.

    Raises:
        DemandError: if weights are negative, not finite or all 0.
    """
    weights = np.atleast_1d(np.asarray(1.0 if profile is None else profile, float))
    if not np.all(np.isfinite(weights)) or (weights < 0).any() or weights.sum() <= 0:
        raise DemandError("profile: weights must be numbers from 0 on, not all 0")
    steps = np.concatenate([[0.0], np.cumsum(weights)]) / weights.sum()
    return np.interp(draws, steps, np.linspace(begin, end, len(steps)))


# ---------------------------------------------------------------------- tables of trips


def read_trip_table(path: str | Path, network: Network) -> Trips:
    """Read single trips from a CSV or Parquet file.

    Columns: ``depart`` (seconds after midnight, or ``7:30`` or ``07:30:15``); ``origin`` and ``destination`` (nodes of the
    network) or ``from_x, from_y, to_x, to_y`` (metres in the network's CRS, taken to the nearest node); where wanted
    ``mode`` (car where there is none) and ``kind`` (car, truck … of a vehicle).

    Raises:
        DemandError: if a column is missing or a row is wrong; all problems at once, each with its line.
    """
    return _trips(Path(path), network)


def check_trip_table(path: str | Path) -> None:
    """Read single trips as :func:`read_trip_table` does, without a network to compare their ends with.

    Raises:
        DemandError: if a column is missing or a row is wrong; all problems at once, each with its line.
    """
    _trips(Path(path), None)


def _trips(path: Path, network: Network | None) -> Trips:
    """Return the trips of a table; they begin and end nowhere if there is no network."""
    open_text(path).close()
    table = _table(path)
    problems = Problems(str(path))
    nodes = ("origin", "destination")
    points = ("from_x", "from_y", "to_x", "to_y")
    by_node = all(name in table for name in nodes)
    if "depart" not in table or not (by_node or all(name in table for name in points)):
        raise DemandError(
            f"{path}: needs the columns depart, and origin, destination or {', '.join(points)}; has: {', '.join(table)}"
        )
    depart = np.array([_departure(text, line, problems) for line, text in enumerate(table["depart"], 2)])
    if by_node:
        count = None if network is None else network.nodes
        ends = [_nodes(table[name], name, count, problems) for name in nodes]
    else:
        x, y, to_x, to_y = (_numbers(table[name], name, problems) for name in points)
        problems.refuse()
        if network is None:
            ends = [np.zeros(len(depart), np.int32)] * 2
        else:
            ends = [_nearest(network, x, y, "from", problems), _nearest(network, to_x, to_y, "to", problems)]
    kinds = {kind.name.lower(): int(kind) for kind in VehicleKind}
    mode = _coded(table.get("mode"), MODE_NAMES, int(Mode.CAR), len(depart), "mode", problems)
    kind = _coded(table.get("kind"), kinds, int(VehicleKind.CAR), len(depart), "kind", problems)
    problems.refuse()
    return Trips.in_order(origin=ends[0], destination=ends[1], depart=depart, mode=mode, kind=kind)


def _table(path: Path) -> dict[str, list[str]]:
    """Return the columns of a table as text."""
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        try:
            rows = pyarrow.parquet.read_metadata(path).num_rows
            if rows > MOST_ROWS:
                raise DemandError(f"{path}: {rows:,} rows, at most {MOST_ROWS:,} are read; divide the file")
            read = pyarrow.parquet.read_table(path)
        except (pyarrow.ArrowException, OSError) as error:
            raise DemandError(f"{path}: cannot be read as Parquet ({error})") from None
        return {name: ["" if v is None else str(v) for v in read[name].to_pylist()] for name in read.column_names}
    with open_text(path) as file:
        reader = csv.reader(file, strict=True)
        header = header_of(reader, path)
        columns: dict[str, list[str]] = {name: [] for name in header}
        for row in csv_rows(reader, path):
            if len(row) != len(header):
                raise DemandError(
                    f"{path}:{reader.line_num}: has {len(row)} values, the first line names {len(header)} columns"
                )
            for name, text in zip(header, row, strict=True):
                columns[name].append(text.strip())
    return columns


def _departure(text: str, line: int, problems: Problems) -> float:
    value = time_in(text, ":") if ":" in text else number_in(text)
    if value is None or not 0 <= value < DAY:
        problems.add(str(line), f"depart is '{text[:30]}'; write seconds from 0 to {DAY:.0f}, or a time as 7:30")
        return 0.0
    return value


def _nodes(texts: list[str], name: str, count: int | None, problems: Problems) -> NDArray[np.int32]:
    """Return numbers of nodes, of which there are ``count``, or nobody knows how many."""
    found = np.zeros(len(texts), np.int32)
    there = "nodes have numbers from 0 on" if count is None else f"the network has nodes 0 … {count - 1}"
    for row, text in enumerate(texts):
        value = number_in(text)
        if value is None or value != int(value) or not 0 <= value < (count or _MOST_NODES):
            problems.add(str(row + 2), f"{name} is '{text[:30]}', {there}")
        else:
            found[row] = int(value)
    return found


def _numbers(texts: list[str], name: str, problems: Problems) -> NDArray[np.float64]:
    values = [number_in(text) for text in texts]
    for row, value in enumerate(values):
        if value is None:
            problems.add(str(row + 2), f"{name} is '{texts[row][:30]}', must be a number")
    return np.array([0.0 if value is None else value for value in values])


def _nearest(
    network: Network, x: NDArray[np.float64], y: NDArray[np.float64], name: str, problems: Problems
) -> NDArray[np.int32]:
    from scipy.spatial import cKDTree

    rows = np.flatnonzero(network.main_part(Access.CAR))
    far, found = cKDTree(np.stack([network.x[rows], network.y[rows]], 1)).query(np.stack([x, y], 1))
    for row in np.flatnonzero(far > FARTHEST):
        problems.add(
            str(row + 2), f"{name} ({x[row]:.0f}, {y[row]:.0f}) lies {far[row]:,.0f} m off the nearest street, at most "
            f"{FARTHEST:,.0f} m are allowed: outside the city, or in another CRS?"
        )  # fmt: skip
    return rows[found].astype(np.int32)


def _coded(
    texts: list[str] | None, codes: Mapping[str, int], default: int, rows: int, name: str, problems: Problems
) -> NDArray[np.uint8]:
    if texts is None:
        return np.full(rows, default, np.uint8)
    for row, text in enumerate(texts):
        if text.lower() not in codes:
            problems.add(str(row + 2), f"{name} '{text[:30]}' is none of {', '.join(codes)}")
    return np.array([codes.get(text.lower(), default) for text in texts], np.uint8)
