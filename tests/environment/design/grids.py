"""A square kilometre of streets at right angles, each with a name, under the hand-made city."""

import geopandas
import numpy as np
import shapely
from cities import CRS, SIDE, SOUTH, WEST, tiny_city

from citytwin.environment.city import City
from citytwin.environment.design import Design
from citytwin.environment.roads import Access, RoadRank
from citytwin.environment.schema import SCHEMA

LINES = 11
STEP = SIDE / (LINES - 1)
EVERYONE = int(Access.CAR | Access.BICYCLE | Access.FOOT | Access.BUS)


def at(column: float, row: float) -> list[float]:
    """Return the coordinates of a crossing, or of a place between crossings."""
    return [WEST + STEP * column, SOUTH + STEP * row]


def node(column: int, row: int) -> int:
    """Return the number of a crossing."""
    return row * LINES + column


def grid_city(one_way: tuple[tuple[int, int], ...] = (), lanes: float = 1.0) -> City:
    """Return a city whose streets are "Row 0" … "Row 10" (west to east) and "Column 0" … "Column 10" (south to north).

    Args:
        one_way: pairs of crossings that cars may drive in that direction only.
        lanes: of each direction.
    """
    base = tiny_city(300)
    pairs, names = [], []
    for row in range(LINES):
        for column in range(LINES):
            if column + 1 < LINES:
                pairs.append((node(column, row), node(column + 1, row)))
                names.append(f"Row {row}")
            if row + 1 < LINES:
                pairs.append((node(column, row), node(column, row + 1)))
                names.append(f"Column {column}")
    ends = np.array([pair for a, b in pairs for pair in ((a, b), (b, a))], np.int32)
    count = len(ends)
    place = np.arange(LINES * LINES)
    nodes = {"x": WEST + STEP * (place % LINES), "y": SOUTH + STEP * (place // LINES)}
    access = np.full(count, EVERYONE, np.uint8)
    for a, b in one_way:
        access[(ends[:, 0] == b) & (ends[:, 1] == a)] &= np.uint8(255 - Access.CAR)
    links = {
        "start": ends[:, 0].copy(),
        "end": ends[:, 1].copy(),
        "length": np.full(count, STEP, np.float32),
        "speed": np.full(count, 50 / 3.6, np.float32),
        "lanes": np.full(count, lanes, np.float32),
        "rank": np.full(count, RoadRank.RESIDENTIAL, np.uint8),
        "access": access,
        "way": np.repeat(np.arange(len(pairs)), 2).astype(np.int64),
    }
    xy = np.stack([nodes["x"], nodes["y"]], 1)
    roads = geopandas.GeoDataFrame(
        {"name": np.repeat(names, 2), "rank": links["rank"], "way": links["way"]},
        geometry=shapely.linestrings(xy[ends]),
        crs=CRS,
    )
    tables = {table: dict(getattr(base, table)) for table in SCHEMA}
    layers = {name: base.layer(name) for name in ("zones", "sites", "buildings")}
    tables |= {"nodes": nodes, "links": links}
    return City(base.info, tables, base.schedules, layers | {"roads": roads})


def link(city: City, start: tuple[int, int], end: tuple[int, int]) -> int:
    """Return the link between two neighbouring crossings."""
    rows = np.flatnonzero((city.links.start == node(*start)) & (city.links.end == node(*end)))
    assert len(rows) == 1
    return int(rows[0])


def design(*changes: dict, **top: object) -> Design:
    """Return a design in the coordinates of the city."""
    return Design.from_dict({"name": "test", "crs": CRS, "changes": list(changes), **top})


def cars(city: City, row: int) -> bool:
    """Return whether cars may use a link."""
    return bool(city.links.access[row] & Access.CAR)


def box(west: float, south: float, east: float, north: float) -> list[list[float]]:
    """Return the outline of a rectangle in steps of the grid."""
    return [at(west, south), at(east, south), at(east, north), at(west, north), at(west, south)]
