"""Invented cities: a plausible European city of any size, or invented streets and buildings inside given zones.

Streets are the lines of a lattice that is bent to a disc, finer towards the centre; every fourth line, every twelfth
and the two axes rank higher each, a ring road closes the inner city, main roads and every eighth line bridge a river.
Residents thin out from the centre exponentially (Clark 1951, "Urban population densities"), differently in every
neighbourhood. Figures without a source are assumed: the city is meant to be plausible, not to be anywhere. The
streets are made here, buildings and sites in :mod:`.built_up`.
"""

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import cKDTree

from ..randomness import key, uniforms
from ..roads import Access, RoadRank
from ..schema import CityError
from .blocks import Blocks, normals, spread
from .built_up import building_layer, place_dwellings, place_sites
from .fabric import Fabric
from .order import morton_order

SMALLEST, LARGEST = 1_000, 10_000_000  # people
CRS = "EPSG:3035"  # ETRS89 / LAEA Europe
ORIGIN = (4_321_000.0, 3_210_000.0)  # m, false origin of that CRS (10° E, 52° N): nominal, the city is nowhere
CENTRE_DENSITY = 6_000.0  # people/km2 in the centre of a city of 50,000; grows with its people's fourth root (assumed)
PEOPLE_PER_BLOCK = 80.0  # residents, mean of a block between streets, assumed
ZONE_PEOPLE = 6_000.0  # residents, mean of a neighbourhood, assumed

# Speed [km/h] and lanes a direction by rank: usual limits in European towns, lanes assumed
_RANKS = {
    RoadRank.TRUNK: (80.0, 2.0),
    RoadRank.PRIMARY: (50.0, 2.0),
    RoadRank.SECONDARY: (50.0, 1.0),
    RoadRank.TERTIARY: (50.0, 1.0),
    RoadRank.RESIDENTIAL: (30.0, 1.0),
}
_REMOVED = 0.18  # share of residential segments left out, so that not every corner is a crossing (assumed)
_ONE_WAY = 0.12  # share of residential segments that cars may use one way only, assumed


def invent(people: int, seed: int, name: str | None = None) -> Fabric:
    """Invent the fabric of a city.

    Args:
        people: residents that the fabric is to house, 1,000 to 10,000,000.
        seed: everything is drawn from it.
        name: name of the city.

    Raises:
        CityError: if ``people`` is outside its range.
    """
    if not SMALLEST <= people <= LARGEST:
        raise CityError(f"an invented city has {SMALLEST:,} to {LARGEST:,} people, not {people:,}")
    density = CENTRE_DENSITY * (people / 50_000) ** 0.25
    scale = 1_000.0 * np.sqrt(people / (2 * np.pi * density))
    radius = 3.2 * scale
    side = max(8, round(np.sqrt(people / PEOPLE_PER_BLOCK)))
    line = np.arange(side + 1)
    x, y = _disc(line, radius, seed)
    corner = np.arange((side + 1) ** 2).reshape(side + 1, side + 1)
    corners = np.stack([corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]], -1).reshape(-1, 4)
    start = np.concatenate([corner[:-1, :].ravel(), corner[:, :-1].ravel()])
    end = np.concatenate([corner[1:, :].ravel(), corner[:, 1:].ravel()])
    along, across = np.meshgrid(line, line, indexing="ij")
    # segments of lines of constant j (moving in i), then of constant i (moving in j)
    line_of = np.concatenate([across[:-1, :].ravel(), along[:, :-1].ravel()])
    other = np.concatenate([along[:-1, :].ravel(), across[:, :-1].ravel()])
    rank = _rank_by_line(np.abs(line_of - side // 2))
    ring = round(0.3 * side)
    on_ring = (np.abs(line_of - side // 2) == ring) & (other >= side // 2 - ring) & (other < side // 2 + ring)
    rank[on_ring & (side >= 20)] = RoadRank.TRUNK
    dry = y - (0.30 * radius + 0.12 * radius * np.sin(2.6 * x / radius)) > 0
    crosses = dry[start] != dry[end]
    bridge = crosses & ((np.abs(line_of - side // 2) % 8 == 0) | (rank <= RoadRank.SECONDARY))

    zones = max(4, round(people / ZONE_PEOPLE))
    start, end, rank = _kept_segments(start, end, rank, crosses & ~bridge, seed)
    blocks = Blocks(
        x + ORIGIN[0],
        y + ORIGIN[1],
        corners,
        np.zeros(len(corners)),
        np.zeros(len(corners), np.int32),
        start,
        end,
        rank,
        ORIGIN,
        0.6 * scale,
    )
    distance = np.hypot(blocks.x - ORIGIN[0], blocks.y - ORIGIN[1])
    weight = blocks.area * np.exp(-distance / scale)
    centres = _neighbourhood_centres(blocks, weight, zones, seed)
    blocks.zone = cKDTree(centres).query(np.stack([blocks.x, blocks.y], 1))[1].astype(np.int32)
    character = np.exp(0.35 * normals(zones, seed, "density of neighbourhoods"))
    blocks.people = weight * character[blocks.zone]
    blocks.people *= people / blocks.people.sum()
    zone_table = _zone_table(centres, radius)
    return _build(blocks, zone_table, CRS, seed, name or f"invented city of {people:,}", people)


def invent_in_zones(zones: geopandas.GeoDataFrame, inhabitants: NDArray[np.int64], seed: int, name: str) -> Fabric:
    """Invent streets and buildings inside given zones, for places whose census is at hand but no map.

    Args:
        zones: ``name`` and ``geometry`` in a projected CRS in metres.
        inhabitants: residents of each zone.
        seed: everything is drawn from it.
        name: name of the city.

    Raises:
        CityError: if the CRS is not projected or there are no inhabitants.
    """
    if zones.crs is None or not zones.crs.is_projected:
        raise CityError(f"{name}: zones need a projected CRS in metres; convert them with GeoDataFrame.to_crs")
    people = int(np.sum(inhabitants))
    if people <= 0:
        raise CityError(f"{name}: the zones have no inhabitants")
    areas = zones.area.to_numpy()
    lived_in = float(areas[np.asarray(inhabitants) > 0].sum())
    spacing = float(np.clip(np.sqrt(lived_in / (people / PEOPLE_PER_BLOCK)), 30.0, 400.0))
    west, south, east, north = zones.total_bounds
    columns, rows = int((east - west) / spacing) + 2, int((north - south) / spacing) + 2
    along, across = np.meshgrid(np.arange(columns + 1), np.arange(rows + 1), indexing="ij")
    jitter = 0.12 * spacing * np.stack([normals(along.size, seed, "jitter x"), normals(along.size, seed, "jitter y")])
    x = west + spacing * (along.ravel() - 0.5) + jitter[0]
    y = south + spacing * (across.ravel() - 0.5) + jitter[1]
    corner = np.arange(along.size).reshape(along.shape)
    corners = np.stack([corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]], -1).reshape(-1, 4)
    middle = shapely.points(x[corners].mean(1), y[corners].mean(1))
    tree = shapely.STRtree(zones.geometry.to_numpy())
    block, zone = tree.query(middle, predicate="within")
    block, first = np.unique(block, return_index=True)
    zone = zone[first]
    missing = np.setdiff1d(np.arange(len(zones)), zone)
    if len(missing):  # zones smaller than a block take the block nearest to their inside
        inside = zones.geometry.iloc[missing].representative_point()
        centres = np.stack([x[corners].mean(1), y[corners].mean(1)], 1)
        nearest = cKDTree(centres).query(np.stack([inside.x, inside.y], 1))[1]
        keep = ~np.isin(block, nearest)
        block, zone = np.concatenate([block[keep], nearest]), np.concatenate([zone[keep], missing])
    corners = corners[block]
    start = np.concatenate([corner[:-1, :].ravel(), corner[:, :-1].ravel()])
    end = np.concatenate([corner[1:, :].ravel(), corner[:, 1:].ravel()])
    line_of = np.concatenate([across[:-1, :].ravel(), along[:, :-1].ravel()])
    used = np.zeros(along.size, bool)
    used[corners] = True
    kept = used[start] & used[end]
    renumber = np.cumsum(used) - 1
    corners = renumber[corners]
    start, end, line_of = renumber[start[kept]], renumber[end[kept]], line_of[kept]
    weight = np.asarray(inhabitants, float) / np.maximum(np.bincount(zone, minlength=len(zones)), 1)
    rank = _rank_by_line(line_of % 24)
    start, end, rank = _kept_segments(start, end, rank, np.zeros(len(start), bool), seed)
    blocks = Blocks(
        x[used],
        y[used],
        corners,
        weight[zone],
        zone.astype(np.int32),
        start,
        end,
        rank,
        _weighted_centre(x[used][corners].mean(1), y[used][corners].mean(1), weight[zone]),
        0.15 * np.sqrt(lived_in),
    )
    table = zones[["name", "geometry"]].reset_index(drop=True)
    return _build(blocks, table, zones.crs.to_string(), seed, name, people)


def _disc(line: NDArray[np.int64], radius: float, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bend a square lattice to a disc (elliptical grid mapping), finer in the middle, gently warped, turned, jittered."""
    unit = 2.0 * line / line[-1] - 1.0
    u, v = (a.ravel() for a in np.meshgrid(unit, unit, indexing="ij"))
    x, y = u * np.sqrt(1 - v * v / 2), v * np.sqrt(1 - u * u / 2)
    stretch = np.maximum(np.hypot(x, y), 1e-9) ** 0.3
    x, y = x * stretch, y * stretch
    phase = 2 * np.pi * uniforms(key(seed, "street warp"), np.arange(4), 0)
    bend = 0.03
    x, y = x + bend * np.sin(3.1 * y + phase[0]), y + bend * np.sin(2.7 * x + phase[1])
    jitter = 0.16 / line[-1]
    x = x + jitter * normals(len(x), seed, "jitter x")
    y = y + jitter * normals(len(y), seed, "jitter y")
    cos, sin = np.cos(phase[2]), np.sin(phase[2])
    return radius * (cos * x - sin * y), radius * (sin * x + cos * y)


def _rank_by_line(steps_from_axis: NDArray[np.int64]) -> NDArray[np.uint8]:
    rank = np.full(len(steps_from_axis), RoadRank.RESIDENTIAL, np.uint8)
    rank[steps_from_axis % 4 == 0] = RoadRank.TERTIARY
    rank[steps_from_axis % 12 == 0] = RoadRank.SECONDARY
    rank[steps_from_axis == 0] = RoadRank.PRIMARY
    return rank


def _kept_segments(start, end, rank, barred, seed):
    """Leave out segments across the river and a share of the residential ones, without cutting anything off."""
    luck = uniforms(key(seed, "street segments"), np.arange(len(start)), 0)
    nodes = int(max(start.max(), end.max())) + 1
    cost = 1.0 + luck + (rank == RoadRank.RESIDENTIAL) + 1_000.0 * barred
    ends = (start.astype(np.int32), end.astype(np.int32))  # older scipy takes no wider ones here
    tree = minimum_spanning_tree(coo_array((cost, ends), shape=(nodes, nodes))).tocoo()
    # the tree is told from its cells: a pair of neighbouring corners has one segment
    in_tree = np.isin(start.astype(np.int64) * nodes + end, tree.row.astype(np.int64) * nodes + tree.col)
    removed = barred | ((rank == RoadRank.RESIDENTIAL) & (luck < _REMOVED))
    keep = in_tree | ~removed
    return start[keep], end[keep], rank[keep]


def _links(blocks: Blocks, seed: int) -> dict[str, NDArray]:
    """Make two directed links a segment; where cars go one way, the way back is for bicycles and feet."""
    way = np.arange(len(blocks.start), dtype=np.int64)
    length = np.hypot(
        blocks.node_x[blocks.end] - blocks.node_x[blocks.start], blocks.node_y[blocks.end] - blocks.node_y[blocks.start]
    )
    luck = uniforms(key(seed, "one-way streets"), way, 0)
    one_way = (blocks.rank == RoadRank.RESIDENTIAL) & (luck < _ONE_WAY)
    turned = one_way & (luck < _ONE_WAY / 2)
    everyone = np.full(len(way), Access.CAR | Access.BICYCLE | Access.FOOT | Access.BUS, np.uint8)
    everyone[blocks.rank == RoadRank.TRUNK] = Access.CAR | Access.BUS
    back = everyone.copy()
    back[one_way] = Access.BICYCLE | Access.FOOT
    speed, lanes = np.zeros(256), np.zeros(256)
    for rank, (kmh, number) in _RANKS.items():
        speed[rank], lanes[rank] = kmh / 3.6, number
    start, end = np.where(turned, blocks.end, blocks.start), np.where(turned, blocks.start, blocks.end)

    def both(forward, backward):
        return np.stack([forward, backward], 1).ravel()

    return {
        "start": both(start, end).astype(np.int32),
        "end": both(end, start).astype(np.int32),
        "length": both(length, length).astype(np.float32),
        "speed": both(speed[blocks.rank], speed[blocks.rank]).astype(np.float32),
        "lanes": both(lanes[blocks.rank], lanes[blocks.rank]).astype(np.float32),
        "rank": both(blocks.rank, blocks.rank),
        "access": both(everyone, back),
        "way": both(way, way),
    }


def _signals(blocks: Blocks) -> NDArray[np.uint8]:
    """Return which corners have traffic signals: those where a tertiary or larger street meets a secondary or larger."""
    arms = {}
    for rank in (RoadRank.TERTIARY, RoadRank.SECONDARY):
        large = blocks.rank <= rank
        ends = np.concatenate([blocks.start[large], blocks.end[large]])
        arms[rank] = np.bincount(ends, minlength=len(blocks.node_x))
    return ((arms[RoadRank.TERTIARY] >= 3) & (arms[RoadRank.SECONDARY] >= 1)).astype(np.uint8)


def _build(blocks: Blocks, zones: geopandas.GeoDataFrame, crs: str, seed: int, name: str, people: int) -> Fabric:
    order = morton_order(blocks.x, blocks.y)
    for column in ("corners", "people", "zone", "x", "y", "area"):
        setattr(blocks, column, getattr(blocks, column)[order])
    buildings, block_first = place_dwellings(blocks, people, seed)
    sites = place_sites(blocks, buildings, block_first, people, seed)
    nodes: dict[str, NDArray] = {"x": blocks.node_x, "y": blocks.node_y, "signal": _signals(blocks)}
    links = _links(blocks, seed)
    return Fabric(
        name=name,
        crs=crs,
        zones=zones.set_crs(crs) if zones.crs is None else zones,
        buildings=buildings,
        sites=sites,
        nodes=nodes,
        links=links,
        layers={"buildings": lambda: building_layer(buildings, crs), "roads": lambda: road_layer(nodes, links, crs)},
        people=people,
    )


def _weighted_centre(x, y, weight) -> tuple[float, float]:
    return float(np.average(x, weights=weight)), float(np.average(y, weights=weight))


def _neighbourhood_centres(blocks: Blocks, weight, zones: int, seed: int) -> NDArray[np.float64]:
    """Return centres of compact neighbourhoods of like numbers of residents (Lloyd's algorithm on the blocks)."""
    points = np.stack([blocks.x, blocks.y], 1)
    centres = points[spread(weight, zones, seed, "neighbourhoods")]
    for _ in range(8):
        zone = cKDTree(centres).query(points)[1]
        total = np.bincount(zone, weight, zones)
        moved = np.stack([np.bincount(zone, weight * points[:, axis], zones) for axis in (0, 1)], 1)
        centres = np.where(total[:, None] > 0, moved / np.maximum(total, 1e-9)[:, None], centres)
    return centres


def _zone_table(centres: NDArray[np.float64], radius: float) -> geopandas.GeoDataFrame:
    """Cut the disc into the neighbourhoods nearest to each centre, named by direction from the middle."""
    disc = shapely.Point(ORIGIN).buffer(1.06 * radius)
    cells = shapely.voronoi_polygons(shapely.MultiPoint(centres), extend_to=disc, ordered=True)
    polygons = shapely.intersection(shapely.get_parts(cells), disc)
    offset = centres - np.array(ORIGIN)
    compass = ("East", "North-East", "North", "North-West", "West", "South-West", "South", "South-East")
    sector = np.rint(np.arctan2(offset[:, 1], offset[:, 0]) / (np.pi / 4)).astype(int) % 8
    inner = int(np.argmin(np.hypot(*offset.T)))
    seen: dict[str, int] = {}
    names = []
    for number, direction in enumerate(sector):
        label = "Centre" if number == inner else compass[direction]
        seen[label] = seen.get(label, 0) + 1
        names.append(label if label == "Centre" else f"{label} {seen[label]}")
    return geopandas.GeoDataFrame({"name": names}, geometry=polygons, crs=CRS)


def road_layer(nodes: dict[str, NDArray], links: dict[str, NDArray], crs: str) -> geopandas.GeoDataFrame:
    """Draw every link as a straight line between its nodes."""
    ends = np.stack([links["start"], links["end"]], 1)
    lines = shapely.linestrings(np.stack([nodes["x"][ends], nodes["y"][ends]], -1))
    names = [RoadRank(r).name.lower().replace("_", " ") for r in range(max(RoadRank) + 1)]
    columns = {"rank": np.array(names)[links["rank"]], "way": links["way"]}
    return geopandas.GeoDataFrame(columns, geometry=lines, crs=crs)
