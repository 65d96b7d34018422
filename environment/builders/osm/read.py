"""Reading an OpenStreetMap file into arrays: tagged nodes, ways with positions, relations, and polygons of them."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from ...schema import CityError

SUFFIXES = (".osm.pbf", ".pbf", ".osm", ".osm.gz", ".osm.bz2", ".xml")
MAX_BYTES = 500_000_000
"""Largest file read; a metropolis with its surroundings is about 100 MB as .osm.pbf."""

LARGEST = 300_000.0  # m from west to east or south to north that nine tenths of the points may span

NODE_KEYS = (
    "addr:housenumber", "amenity", "craft", "emergency", "healthcare", "highway", "leisure", "office", "place",
    "public_transport", "railway", "shop", "tourism",
)  # fmt: skip
AREA_KEYS = (
    "amenity", "boundary", "building", "building:part", "craft", "emergency", "healthcare", "landuse", "leisure",
    "office", "place", "public_transport", "railway", "shop", "tourism",
)  # fmt: skip
SMALLEST = 0.1  # m2 of a polygon that is kept; corners are known to a centimetre
FARTHEST = 84.0  # degrees north or south where UTM ends; a node the file does not hold comes as 214.7 degrees
_TO_DEGREES = 1e-7


@dataclass
class Ways:
    """Ways of a file in compressed sparse rows.

    Attributes:
        ids: (n,) identifiers.
        tags: n dictionaries.
        first: (n + 1,) position of each way's first point.
        ref: (points,) node identifier of each point.
        x, y: (points,) metres in the projected CRS, NaN where the file lacks the node.
    """

    ids: NDArray[np.int64]
    tags: list[dict[str, str]]
    first: NDArray[np.int64]
    ref: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]


@dataclass
class Areas:
    """Polygons with tags: closed ways and multipolygon or boundary relations.

    Attributes:
        shapes: (n,) shapely Polygon or MultiPolygon, valid and not empty.
        tags: n dictionaries.
        origin: n strings such as ``"way/17"`` or ``"relation/4"``.
    """

    shapes: NDArray[np.object_]
    tags: list[dict[str, str]]
    origin: list[str]

    def select(self, rows: NDArray[np.intp]) -> "Areas":
        """Return the areas of the given rows."""
        return Areas(self.shapes[rows], [self.tags[i] for i in rows], [self.origin[i] for i in rows])


@dataclass
class OsmData:
    """Content of a file.

    Attributes:
        crs: projected CRS, ``"EPSG:326xx"`` or ``"EPSG:327xx"``.
        sha256: checksum of the file.
        node_tags: tags of the nodes that carry one of :data:`NODE_KEYS`.
        node_x, node_y: their positions in metres.
        node_ids: their identifiers.
        ways: all ways.
        relations: (identifier, tags, members as (type, identifier, role)).
        counts: what was read and what was mended.
    """

    crs: str
    sha256: str
    node_ids: NDArray[np.int64]
    node_tags: list[dict[str, str]]
    node_x: NDArray[np.float64]
    node_y: NDArray[np.float64]
    ways: Ways
    relations: list[tuple[int, dict[str, str], list[tuple[str, int, str]]]]
    counts: Counter[str] = field(default_factory=Counter)


def read_data(path: Path) -> OsmData:
    """Read a file and project it to the UTM zone of its centre.

    Raises:
        CityError: if the file is missing, of another kind, damaged, too large or empty, or osmium is not installed.
    """
    _check_file(path)
    try:
        raw = _parse(path)
    except ImportError:
        raise CityError('reading OpenStreetMap needs the package osmium; run: pip install "citytwin[osm]"') from None
    lon, lat = _degrees(raw.lon), _degrees(raw.lat)
    known = (np.abs(lon) <= 180.0) & (np.abs(lat) <= FARTHEST)
    if not len(known):
        raise CityError(f"{path}: holds no streets and no buildings; check the extract's area")
    if not known.any():
        raise CityError(
            f"{path}: none of the nodes that its ways refer to comes before them; "
            f"write a sorted, complete file: osmium sort {path} -o sorted.osm.pbf"
        )
    crs = utm_zone(float(np.median(lon[known])), float(np.median(lat[known])))
    project = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    x, y = project.transform(np.where(known, lon, np.nan), np.where(known, lat, np.nan))
    known = np.isfinite(x) & np.isfinite(y)
    for axis in (x, y):
        low, high = np.percentile(axis[known], [5, 95])
        if high - low > LARGEST:
            raise CityError(
                f"{path}: reaches over {(high - low) / 1000:,.0f} km, a city at most over {LARGEST / 1000:,.0f} km; "
                f"cut it out: osmium extract --bbox WEST,SOUTH,EAST,NORTH {path} -o city.osm.pbf"
            )
    far = known & (np.hypot(x - np.median(x[known]), y - np.median(y[known])) > LARGEST)  # misplaced nodes
    known &= ~far
    x[~known] = y[~known] = np.nan
    node_x, node_y = project.transform(_degrees(raw.node_lon), _degrees(raw.node_lat))
    placed = np.flatnonzero(np.isfinite(node_x) & np.isfinite(node_y))
    ways = Ways(np.array(raw.way_ids), raw.way_tags, np.array(raw.way_first), np.array(raw.ref), x, y)
    counts = Counter(
        {
            "ways read": len(raw.way_ids),
            "relations read": len(raw.relations),
            "points read": len(known),
            "points missing": int((~known).sum()),
            "points too far away": int(far.sum()),
            "ways cut at the edge": len(np.unique(np.searchsorted(ways.first, np.flatnonzero(~known), side="right"))),
        }
    )
    return OsmData(
        crs=crs,
        sha256=_checksum(path),
        node_ids=np.array(raw.node_ids)[placed],
        node_tags=[raw.node_tags[i] for i in placed],
        node_x=node_x[placed],
        node_y=node_y[placed],
        ways=ways,
        relations=raw.relations,
        counts=counts,
    )


@dataclass
class _Raw:
    """What a file holds, as it comes; coordinates in units of 1e-7 degrees."""

    node_ids: array = field(default_factory=lambda: array("q"))
    node_lon: array = field(default_factory=lambda: array("i"))
    node_lat: array = field(default_factory=lambda: array("i"))
    node_tags: list[dict[str, str]] = field(default_factory=list)
    way_ids: array = field(default_factory=lambda: array("q"))
    way_first: array = field(default_factory=lambda: array("q", [0]))
    way_tags: list[dict[str, str]] = field(default_factory=list)
    ref: array = field(default_factory=lambda: array("q"))
    lon: array = field(default_factory=lambda: array("i"))
    lat: array = field(default_factory=lambda: array("i"))
    relations: list[tuple[int, dict[str, str], list[tuple[str, int, str]]]] = field(default_factory=list)


def _parse(path: Path) -> _Raw:
    """Read tagged nodes, all ways with the positions of their nodes, all relations."""
    import osmium

    raw = _Raw()
    add_ref, add_lon, add_lat = raw.ref.append, raw.lon.append, raw.lat.append
    telling = osmium.filter.KeyFilter(*NODE_KEYS)
    telling.enable_for(osmium.osm.NODE)
    try:
        for item in osmium.FileProcessor(str(path)).with_locations().with_filter(telling):
            if isinstance(item, osmium.osm.Node):
                raw.node_ids.append(item.id)
                raw.node_tags.append(dict(item.tags))
                raw.node_lon.append(item.location.x)
                raw.node_lat.append(item.location.y)
            elif isinstance(item, osmium.osm.Way):
                raw.way_ids.append(item.id)
                raw.way_tags.append(dict(item.tags))
                for point in item.nodes:
                    add_ref(point.ref)
                    add_lon(point.x)
                    add_lat(point.y)
                raw.way_first.append(len(raw.ref))
            elif isinstance(item, osmium.osm.Relation):
                raw.relations.append((item.id, dict(item.tags), [(m.type, m.ref, m.role) for m in item.members]))
    except (RuntimeError, ValueError, OverflowError, MemoryError, osmium.InvalidLocationError) as error:
        raise CityError(f"{path}: not a whole OpenStreetMap file ({error}); download or extract it again") from None
    return raw


def whole_number(text: str | None, most: int) -> int | None:
    """Return a tag's value as a whole number 0 … most, or None if it is absent, too large or something else."""
    if text is None or not text.isdecimal() or len(text) > 9 or int(text) > most:
        return None
    return int(text)


def first_at(tree: shapely.STRtree, points: NDArray[np.object_], *, distance: float | None = None) -> NDArray[np.int64]:
    """Return for each point the first shape of the tree that it lies in (or within a distance of), −1 for none."""
    found = np.full(len(points), -1, np.int64)
    point, row = tree.query(points, predicate="intersects" if distance is None else "dwithin", distance=distance)
    order = np.lexsort((-row, point))  # the last assignment stays, which is the first shape
    found[point[order]] = row[order]
    return found


def utm_zone(lon: float, lat: float) -> str:
    """Return the EPSG code of the regular 6-degree UTM zone of a position in degrees."""
    zone = int((lon + 180.0) // 6.0) % 60 + 1
    return f"EPSG:{(32600 if lat >= 0 else 32700) + zone}"


def _degrees(values: array) -> NDArray[np.float64]:
    return np.array(values, np.int32).astype(np.float64) * _TO_DEGREES


def _check_file(path: Path) -> None:
    if not path.name.lower().endswith(SUFFIXES):
        raise CityError(f"{path}: not an OpenStreetMap file by its name; allowed: {', '.join(SUFFIXES)}")
    if not path.exists():
        raise CityError(f"{path}: there is no such file")
    if not path.is_file():
        raise CityError(f"{path}: not a file")
    size = path.stat().st_size
    if size == 0:
        raise CityError(f"{path}: the file is empty; download or extract it again")
    if size > MAX_BYTES:
        raise CityError(
            f"{path}: {size / 1e6:,.0f} MB, at most {MAX_BYTES / 1e6:,.0f} MB are read; cut out the city first: "
            f"osmium extract --bbox WEST,SOUTH,EAST,NORTH {path} -o city.osm.pbf"
        )


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---------------------------------------------------------------------- polygons


def read_areas(data: OsmData) -> Areas:
    """Make the polygons of all closed ways and multipolygon relations that carry one of :data:`AREA_KEYS`.

    Self-intersecting polygons are mended; what does not close is left out. Both are counted in ``data.counts``.
    """
    ways = data.ways
    row_of = {int(number): row for row, number in enumerate(ways.ids)}
    shapes, tags, origin = [], [], []
    replaced: set[int] = set()
    holes: dict[int, list[Any]] = {}
    for number, relation_tags, members in data.relations:
        if relation_tags.get("type") not in ("multipolygon", "boundary"):
            continue
        rows = [(row_of[ref], role) for kind, ref, role in members if kind == "w" and ref in row_of]
        if not _is_area(relation_tags):
            # old style: the tags stand on the outer way, the relation only tells the holes
            outer = [row for row, role in rows if role != "inner" and _is_area(ways.tags[row])]
            if len(outer) == 1:
                holes[outer[0]] = list(_rings(ways, [row for row, role in rows if role == "inner"]))
            continue
        lost = len([m for m in members if m[0] == "w"]) > len(rows)
        outer_rows = [row for row, role in rows if role != "inner"]
        rings = list(_rings(ways, outer_rows))
        closed = sum(len(ring[1]) for ring in rings)
        if not rings or lost or closed < len(outer_rows):
            data.counts["relations that do not close"] += 1
            if not rings or "boundary" in relation_tags:
                continue  # a boundary with a gap would be another territory
        inner = [shapely.Polygon(ring) for ring, _ in _rings(ways, [row for row, role in rows if role == "inner"])]
        shape = shapely.union_all(shapely.make_valid([shapely.Polygon(ring) for ring, _ in rings]))
        if inner:
            shape = shapely.difference(shape, shapely.union_all(shapely.make_valid(inner)))
        shapes.append(shape)
        tags.append(relation_tags)
        origin.append(f"relation/{number}")
        for key in ("building", "boundary"):  # an outline tagged once more is the same thing
            if key in relation_tags:
                replaced.update(row for row in outer_rows if key in ways.tags[row])

    wanted = [row for row, t in enumerate(ways.tags) if _is_area(t) and row not in replaced]
    rows_kept, rings_made = _closed_ways(data, np.array(wanted, np.int64))
    for row, ring in zip(rows_kept, rings_made, strict=True):
        if row in holes:
            inner = [shapely.Polygon(hole) for hole, _ in holes[row]]
            ring = shapely.difference(shapely.make_valid(ring), shapely.union_all(shapely.make_valid(inner)))  # noqa: PLW2901
        shapes.append(ring)
        tags.append(ways.tags[row])
        origin.append(f"way/{ways.ids[row]}")
    mended, keep = _mend(np.array(shapes, dtype=object), data.counts)
    return Areas(mended[keep], [tags[i] for i in keep], [origin[i] for i in keep])


def _is_area(tags: dict[str, str]) -> bool:
    if not tags or tags.get("area") == "no":
        return False
    if "highway" in tags and tags.get("area") != "yes" and "building" not in tags:
        return False
    return any(key in tags for key in AREA_KEYS)


def _closed_ways(data: OsmData, rows: NDArray[np.int64]) -> tuple[list[int], NDArray[np.object_]]:
    """Return the rows of the ways that close, and their polygons; points the file lacks are left out."""
    ways = data.ways
    size = np.diff(ways.first)[rows]
    rows, size = rows[size > 0], size[size > 0]
    begin = ways.first[rows]
    closed = (ways.ref[begin] == ways.ref[begin + size - 1]) & (size >= 4)
    must = np.array(["building" in ways.tags[row] for row in rows], bool)
    data.counts["buildings that do not close"] += int((must & ~closed).sum())
    rows, size, begin = rows[closed], size[closed], begin[closed]
    points, owner = _ranges(begin, size)
    known = np.isfinite(ways.x[points])
    points, owner = points[known], owner[known]
    # a ring needs its own first point again at the end and three corners
    left = np.bincount(owner, minlength=len(rows))
    ends = np.isfinite(ways.x[begin])
    good = (left >= 4) & ends
    data.counts["polygons too cut to keep"] += int((~good).sum())
    chosen = good[owner]
    number = np.cumsum(good) - 1
    rings = shapely.linearrings(
        np.column_stack([ways.x[points[chosen]], ways.y[points[chosen]]]), indices=number[owner[chosen]]
    )
    return rows[good].tolist(), shapely.polygons(rings)


def _ranges(begin: NDArray[np.int64], size: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all positions begin[i] … begin[i] + size[i] − 1 one after the other, and the i of each."""
    owner = np.repeat(np.arange(len(size)), size)
    start = np.cumsum(size) - size
    return np.arange(int(size.sum())) - start[owner] + begin[owner], owner


def _rings(ways: Ways, rows: list[int]) -> Iterator[tuple[NDArray[np.float64], list[int]]]:
    """Chain ways by their end nodes into closed rings; yield each ring's points (k, 2) and the rows it is made of."""
    pieces = {}
    for row in rows:
        part = slice(ways.first[row], ways.first[row + 1])
        known = np.isfinite(ways.x[part])
        if known.all() and len(known) > 1:
            pieces[row] = (ways.ref[part], np.column_stack([ways.x[part], ways.y[part]]))
    ends: dict[int, list[int]] = {}
    for row, (ref, _) in pieces.items():
        for node in {int(ref[0]), int(ref[-1])}:
            ends.setdefault(node, []).append(row)
    unused = dict.fromkeys(pieces)
    while unused:
        row = next(iter(unused))
        del unused[row]
        ref, points = pieces[row]
        chain, used, start, tip = [points], [row], int(ref[0]), int(ref[-1])
        while tip != start:
            following = next((r for r in ends[tip] if r in unused), None)
            if following is None:
                break
            del unused[following]
            used.append(following)
            ref, points = pieces[following]
            if int(ref[0]) != tip:
                ref, points = ref[::-1], points[::-1]
            chain.append(points[1:])
            tip = int(ref[-1])
        ring = np.concatenate(chain)
        if tip == start and len(ring) >= 4:
            yield ring, used


def _mend(shapes: NDArray[np.object_], counts: Counter[str]) -> tuple[NDArray[np.object_], NDArray[np.intp]]:
    """Make every polygon valid, keep only its areas; return shapes and the rows worth keeping."""
    bad = np.flatnonzero(~shapely.is_valid(shapes))
    counts["polygons mended"] += len(bad)
    for row in bad:
        fixed = shapely.make_valid(shapes[row])
        parts = [p for p in shapely.get_parts(fixed) if shapely.get_dimensions(p) == 2]
        shapes[row] = shapely.union_all(parts) if parts else shapely.Polygon()
    keep = np.flatnonzero(shapely.area(shapes) >= SMALLEST)
    counts["polygons without area"] += len(shapes) - len(keep)
    return shapes, keep
