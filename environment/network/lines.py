"""Networks of drawn lines: any file of streets as LineStrings, ends joined where they lie close together."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..roads import Access, RoadRank, largest_component
from .network import SATURATION, Network, NetworkError

if TYPE_CHECKING:
    import geopandas

MAX_BYTES = 1_000_000_000
"""Largest file read; the street lines of a country are about that."""

DIRECTIONS = ("along", "against", "both")
KMH = 1.0 / 3.6  # m/s in one km/h
_SEPARATORS = (";", ",", "\t", "|")
_EVERYBODY = Access.CAR | Access.BICYCLE | Access.FOOT | Access.BUS


def read_lines(path: str | Path, *, geometry: str = "", crs: str = "EPSG:4326") -> "geopandas.GeoDataFrame":
    """Read lines with their attributes.

    Args:
        path: a CSV with a column of GeoJSON or WKT, or whatever geopandas reads (GeoPackage, GeoJSON, GeoParquet …).
        geometry: that column of a CSV; without it the first one that holds lines.
        crs: of the coordinates in a CSV.

    Raises:
        NetworkError: if the file is missing, too large or damaged, or a row holds no geometry.
    """
    import geopandas

    path = Path(path)
    if not path.is_file():
        raise NetworkError(f"{path}: there is no such file")
    if path.stat().st_size > MAX_BYTES:
        raise NetworkError(f"{path}: more than {MAX_BYTES / 1e9:g} GB; cut out the area first")
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        return _read_csv(path, geometry, crs)
    try:
        return geopandas.read_parquet(path) if path.suffix == ".parquet" else geopandas.read_file(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise NetworkError(f"{path}: cannot be read ({error})") from None


def _read_csv(path: Path, geometry: str, crs: str) -> "geopandas.GeoDataFrame":
    import geopandas
    import pandas as pd
    import shapely

    try:
        with path.open(encoding="utf-8-sig") as file:
            head = file.readline()
        table = pd.read_csv(path, sep=max(_SEPARATORS, key=head.count), encoding="utf-8-sig", low_memory=False)
    except (OSError, ValueError) as error:  # UnicodeDecodeError and pandas' errors are ValueErrors
        raise NetworkError(f"{path}: not a CSV in UTF-8 ({error})") from None
    if geometry and geometry not in table:
        raise NetworkError(f"{path}: there is no column '{geometry}'; there are: {', '.join(map(str, table.columns))}")
    holding = [
        name
        for name in ([geometry] if geometry else table.columns)
        if len(first := table[name].dropna().head(1).astype(str))
        and (first.iloc[0].lstrip().startswith("{") or "LINESTRING" in first.iloc[0].upper())
    ]
    if not holding:
        raise NetworkError(f"{path}: no column holds lines as GeoJSON or WKT; name it with geometry='…'")
    texts = table[holding[0]]
    shapes = np.full(len(texts), None, object)
    for row, text in enumerate(texts):
        try:
            shapes[row] = shapely.from_geojson(text) if str(text).lstrip().startswith("{") else shapely.from_wkt(text)
        except (shapely.errors.GEOSException, TypeError):
            raise NetworkError(f"{path}: row {row + 1}: '{holding[0]}' holds no line: {str(text)[:60]}") from None
    return geopandas.GeoDataFrame(table.drop(columns=holding[0]), geometry=shapes, crs=crs)


def network_of_lines(
    lines: "geopandas.GeoDataFrame",
    *,
    direction: str = "both",
    meaning: Mapping[Any, str] | None = None,
    speed: str | float = 50.0,
    lanes: str | float = 1.0,
    rank: str | RoadRank = RoadRank.UNCLASSIFIED,
    snap: float = 1.0,
    aside: str | float = 0.0,
    street: str | None = None,
) -> Network:
    """Make a network of lines, one link a line and direction.

    Ends within ``snap`` of each other become one node; lines meet at their ends only. Lines shorter than that, and
    lines drawn twice, are left out. ``report`` counts all repairs and says how much hangs together. ``way`` is the row
    of ``lines``, so ``lines[column].to_numpy()[network.way]`` brings any attribute to the links.

    Args:
        lines: LineStrings (or MultiLineStrings of one piece) with a CRS; other than in metres, it is projected to UTM.
        direction: ``"along"`` the line as drawn, ``"against"`` it, ``"both"``, or the name of a column.
        meaning: which of these words each value of that column stands for, by the value or as it is written; missing values
            are found under None or "".
        speed: km/h, or the name of a column.
        lanes: of one direction, or the name of a column.
        rank: :class:`~citytwin.environment.roads.RoadRank`, or the name of a column of its numbers.
        snap: m.
        aside: m that the lines lie to the right of the middle of their street, or the name of a column; ends are
            joined as if they lay in the middle.
        street: column with the names of streets.

    Raises:
        NetworkError: naming row and column, if a line is none, has no CRS, or a value is missing or not above 0.
    """
    import shapely

    if not len(lines):
        raise NetworkError("there are no lines")
    if lines.crs is None:
        raise NetworkError("the lines have no CRS; say which with GeoDataFrame.set_crs")
    if not snap > 0:
        raise NetworkError(f"snap is {snap:g} m, must be above 0")
    shapes = _single_lines(lines)
    projected = lines.set_geometry(shapes)
    if not lines.crs.is_projected or lines.crs.axis_info[0].unit_name != "metre":
        projected = projected.to_crs(_utm(lines))
    shapes = projected.geometry.to_numpy()
    if not np.isfinite(shapely.bounds(shapes)).all():
        row = int(np.flatnonzero(~np.isfinite(shapely.bounds(shapes)).all(1))[0])
        raise NetworkError(f"line {row + 1}: coordinates outside what {projected.crs.to_string()} covers")
    ends = _ends(shapes, _column(lines, aside, "aside", least=None))
    node, x, y, moved = _join(ends, snap)
    begin, finish = node[: len(lines)], node[len(lines) :]
    length = shapely.length(shapes)

    empty = (length < snap) & (begin == finish)
    way = _words(lines, direction, meaning)
    rows = np.repeat(np.arange(len(lines)), 2)
    against = np.tile([False, True], len(lines))
    wanted = np.where(against, way[rows] != "along", way[rows] != "against") & ~empty[rows]
    rows, against = rows[wanted], against[wanted]
    start, end = np.where(against, finish[rows], begin[rows]), np.where(against, begin[rows], finish[rows])
    drawn = shapes[rows]
    drawn[against] = shapely.reverse(drawn[against])
    twice = _duplicates(start, end, drawn, snap)
    rows, start, end = rows[~twice], start[~twice], end[~twice]
    if not len(rows):
        raise NetworkError(f"no line is longer than {snap:g} m; is the CRS right?")

    used, renumbered = np.unique(np.concatenate([start, end]), return_inverse=True)
    start, end = (part.astype(np.int32) for part in np.split(renumbered, 2))
    given = _column(lines, rank, "rank", least=None)
    unknown = np.flatnonzero(~np.isin(given, list(RoadRank)))
    if len(unknown):
        row = int(unknown[0])
        raise NetworkError(f"line {row + 1}: rank is {given[row]:g}, allowed are whole numbers of 0 … {max(RoadRank)}")
    ranks = given.astype(int)
    count = _column(lines, lanes, "lanes")[rows]
    per_lane = np.array([SATURATION[RoadRank(one)] for one in range(max(RoadRank) + 1)]) / 3600.0
    report = {
        "lines": len(lines),
        "lines without length left out": int(empty.sum()),
        "links drawn twice left out": int(twice.sum()),
        "ends moved to their node": int((moved > 1e-3).sum()),  # m; less is rounding
        "farthest move m": round(float(moved.max()), 3),
        "lines that end where they begin": int((start == end).sum()),
        "ends on the way of other lines, not joined": _touching(shapes, ends, snap),
        "km": round(float(length[rows].sum()) / 1000, 3),
    }
    for word, strong in (("strongly", True), ("weakly", False)):
        inside = largest_component(start, end, len(used), strong=strong)
        both = inside[start] & inside[end]
        report[f"links {word} connected"] = int(both.sum())
        report[f"share of km {word} connected"] = round(float(length[rows][both].sum() / length[rows].sum()), 4)
    return Network(
        shapes=drawn[~twice],
        x=x[used],
        y=y[used],
        start=start,
        end=end,
        length=length[rows],
        speed=_column(lines, speed, "speed")[rows] * KMH,
        lanes=count,
        capacity=count * per_lane[ranks[rows]],
        access=np.full(len(rows), _EVERYBODY, np.uint8),
        rank=ranks[rows].astype(np.uint8),
        way=rows.astype(np.int64),
        through=np.ones(len(used), bool),
        crs=projected.crs.to_string(),
        names=_names(lines, street),
        report=report,
    )


def _utm(lines: "geopandas.GeoDataFrame") -> Any:
    """Return the CRS of the UTM zone in which the lines lie."""
    try:
        return lines.estimate_utm_crs()
    except (RuntimeError, ValueError):
        west, south, east, north = lines.total_bounds
        raise NetworkError(
            f"the lines reach from {west:g}, {south:g} to {east:g}, {north:g}, outside what {lines.crs.to_string()} covers; "
            "are they in another CRS?"
        ) from None


def _single_lines(lines: "geopandas.GeoDataFrame") -> NDArray[np.object_]:
    """Return the lines as LineStrings; those of several pieces are joined where they meet."""
    import shapely

    shapes = lines.geometry.to_numpy().copy()
    several = shapely.get_type_id(shapes) == shapely.GeometryType.MULTILINESTRING
    shapes[several] = shapely.line_merge(shapes[several])
    single = (shapely.get_type_id(shapes) == shapely.GeometryType.LINESTRING) & ~shapely.is_empty(shapes)
    if not single.all():
        row = int(np.flatnonzero(~single)[0])
        what = "missing" if shapes[row] is None else "empty" if shapes[row].is_empty else shapes[row].geom_type
        raise NetworkError(f"line {row + 1} is {what}, not one LineString ({(~single).sum()} lines in all)")
    return shapes


def _ends(shapes: NDArray[np.object_], aside: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the positions of all begins, then of all ends, (2 lines, 2), moved left to the middle of the street."""
    import shapely

    middle = shapes.copy()
    for row in np.flatnonzero(aside):
        moved = shapely.offset_curve(shapes[row], aside[row], join_style="mitre", mitre_limit=2.0)
        if moved.geom_type == "LineString" and not moved.is_empty:  # else the line is too tightly wound to be moved
            middle[row] = moved
    first, last = shapely.get_point(middle, 0), shapely.get_point(middle, -1)
    return np.concatenate([shapely.get_coordinates(first), shapely.get_coordinates(last)])


def _join(ends: NDArray[np.float64], snap: float) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the node of each end, the nodes' positions in the middle of their ends, and how far each end is from it."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    close = cKDTree(ends).query_pairs(snap, output_type="ndarray").astype(np.int32)
    graph = coo_array((np.ones(len(close)), (close[:, 0], close[:, 1])), shape=(len(ends), len(ends)))
    nodes, node = connected_components(graph, directed=False)
    size = np.bincount(node, minlength=nodes)
    x, y = (np.bincount(node, weights=ends[:, axis], minlength=nodes) / size for axis in (0, 1))
    return node, x, y, np.hypot(ends[:, 0] - x[node], ends[:, 1] - y[node])


def _duplicates(
    start: NDArray[np.intp], end: NDArray[np.intp], drawn: NDArray[np.object_], snap: float
) -> NDArray[np.bool_]:
    """Return which links run within ``snap`` of an earlier one between the same nodes in the same direction."""
    import shapely

    twice = np.zeros(len(start), bool)
    first: dict[tuple[int, int], list[int]] = {}
    for row, ends in enumerate(zip(start.tolist(), end.tolist(), strict=True)):
        others = first.setdefault(ends, [])
        if any(shapely.hausdorff_distance(drawn[row], drawn[other]) <= snap for other in others):
            twice[row] = True
        else:
            others.append(row)
    return twice


def _touching(shapes: NDArray[np.object_], ends: NDArray[np.float64], snap: float) -> int:
    """Return how many ends lie on another line farther than ``snap`` from both its ends."""
    import shapely

    point, line = shapely.STRtree(shapes).query(shapely.points(ends), predicate="dwithin", distance=snap)
    far = np.ones(len(point), bool)
    for side in (ends[: len(shapes)], ends[len(shapes) :]):
        far &= np.hypot(*(ends[point] - side[line]).T) > snap
    return len(np.unique(point[far & (line != point % len(shapes))]))


def _words(lines: "geopandas.GeoDataFrame", direction: str, meaning: Mapping[Any, str] | None) -> NDArray[np.str_]:
    """Return the direction of each line in words."""
    import pandas as pd

    if meaning is None and direction in DIRECTIONS:
        return np.full(len(lines), direction)
    if direction not in lines:
        raise NetworkError(f"direction '{direction}' is neither {', '.join(DIRECTIONS)} nor a column of the lines")
    meaning = meaning or {word: word for word in DIRECTIONS}
    written = {
        "" if key is None else f"{key:g}" if isinstance(key, float) else str(key): meaning[key] for key in meaning
    }
    values = [None if pd.isna(value) else value for value in lines[direction]]
    words = [
        written.get("" if value is None else f"{value:g}" if isinstance(value, float) else str(value))
        for value in values
    ]
    unknown = [row for row, word in enumerate(words) if word not in DIRECTIONS]
    if unknown:
        known = ", ".join(f"{value!r}" for value in meaning)
        raise NetworkError(
            f"line {unknown[0] + 1}: column '{direction}' holds {values[unknown[0]]!r}; 'meaning' must say for each value "
            f"whether it is {', '.join(DIRECTIONS)}, and knows {known}"
        )
    return np.array(words)


def _names(lines: "geopandas.GeoDataFrame", street: str | None) -> dict[int, str]:
    """Return the names of streets by line."""
    import pandas as pd

    if street is None:
        return {}
    if street not in lines:
        raise NetworkError(f"street: there is no column '{street}'; there are: {', '.join(map(str, lines.columns))}")
    return {row: str(name) for row, name in enumerate(lines[street]) if not pd.isna(name)}


def _column(
    lines: "geopandas.GeoDataFrame", given: str | float, what: str, least: float | None = 0.0
) -> NDArray[np.float64]:
    """Return numbers for all lines; each must be finite, and above ``least`` if that is given."""
    import pandas as pd

    if not isinstance(given, str):
        values = np.full(len(lines), float(given))
    elif given in lines:
        values = pd.to_numeric(lines[given], errors="coerce").to_numpy(float)
    else:
        raise NetworkError(f"{what}: there is no column '{given}'; there are: {', '.join(map(str, lines.columns))}")
    wrong = np.flatnonzero(~np.isfinite(values) if least is None else ~(np.isfinite(values) & (values > least)))
    if len(wrong):
        row = int(wrong[0])
        held = lines[given].iloc[row] if isinstance(given, str) else given
        need = "a number" if least is None else f"a number above {least:g}"
        raise NetworkError(f"line {row + 1}: {what} is {held!r}, must be {need} ({len(wrong)} lines in all)")
    return values
