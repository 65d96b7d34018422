"""Zones of an OpenStreetMap file, and the number of residents that it states."""

import re
from dataclasses import dataclass
from typing import Any

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .buildings import Buildings
from .read import Areas, OsmData, first_at, whole_number

COVERED = 0.8  # share of buildings inside, from which boundaries of a level make the zones
MARGIN = 50.0  # m that the hull of the buildings is widened by
MOST_PEOPLE = 99_999_999
FEWEST = 20  # buildings that make a place a zone of its own (assumed)
QUARTERS = ("suburb", "neighbourhood", "quarter", "borough")
SETTLEMENTS = ("city", "town", "village", "hamlet")
# bounds of belief for a stated number of residents (assumed): people share a dwelling, and a floor
MOST_PER_DWELLING, LEAST_PER_DWELLING, LEAST_FLOOR = 8.0, 0.5, 10.0  # persons, persons, m2 gross floor per person


@dataclass
class Zones:
    """Zones and how they were found.

    Attributes:
        table: ``name`` and ``geometry``.
        report: figures.
    """

    table: geopandas.GeoDataFrame
    report: dict[str, Any]


def build_zones(data: OsmData, areas: Areas, buildings: Buildings) -> Zones:
    """Make zones: boundaries of the finest level that covers most buildings, else cells around named places.

    Administrative boundaries count where at least two of a level hold 80 % of the buildings; buildings outside them
    belong to a zone "surroundings". Else every place node within the hull of the buildings gets the ground that is
    nearer to it than to any other; places with less than 20 buildings are left out, one after the other from the
    smallest. Without two places, there is one zone.
    """
    points = shapely.points(buildings.columns["x"], buildings.columns["y"])
    hull = shapely.buffer(shapely.convex_hull(shapely.multipoints(points)), MARGIN)
    for level in (11, 10, 9, 8):
        rows = [
            i
            for i, t in enumerate(areas.tags)
            if t.get("boundary") == "administrative" and t.get("admin_level") == str(level)
        ]
        if len(rows) < 2:
            continue
        inside, number = shapely.STRtree(areas.shapes[rows]).query(points, predicate="within")
        used = np.unique(number)
        share = len(np.unique(inside)) / len(points)
        if share >= COVERED and len(used) >= 2:
            names = _distinct([areas.tags[rows[i]].get("name", "unnamed") for i in used])
            shapes = list(shapely.intersection(areas.shapes[np.array(rows)[used]], hull))
            if share < 1.0:
                names.append("surroundings")
                shapes.append(shapely.difference(hull, shapely.union_all(shapes)))
            report = {"zones": len(names), "made of": f"boundaries of admin_level {level}"}
            report["buildings inside"] = round(share, 4)
            return Zones(geopandas.GeoDataFrame({"name": names}, geometry=shapes, crs=data.crs), report)
    names, x, y = _places(data, hull)
    while len(names) >= 2:
        nearest = cKDTree(np.column_stack([x, y])).query(
            np.column_stack([buildings.columns["x"], buildings.columns["y"]])
        )[1]
        holds = np.bincount(nearest, minlength=len(names))
        smallest = int(holds.argmin())
        if holds[smallest] >= FEWEST:
            report = {"zones": len(names), "made of": "cells around places (Voronoi)", "buildings inside": 1.0}
            table = geopandas.GeoDataFrame({"name": _distinct(names)}, geometry=_cells(x, y, hull), crs=data.crs)
            return Zones(table, report)
        names, x, y = [*names[:smallest], *names[smallest + 1 :]], np.delete(x, smallest), np.delete(y, smallest)
    table = geopandas.GeoDataFrame({"name": ["all"]}, geometry=[hull], crs=data.crs)
    return Zones(table, {"zones": 1, "made of": "hull of the buildings", "buildings inside": 1.0})


def zone_of(table: geopandas.GeoDataFrame, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the zone around each point, the nearest one where none is around it."""
    tree = shapely.STRtree(np.asarray(table.geometry.array))
    points = shapely.points(x, y)
    zone = first_at(tree, points)
    lost = np.flatnonzero(zone < 0)
    if len(lost):
        zone[lost] = tree.nearest(points[lost])
    return zone.astype(np.int32)


def _places(data: OsmData, hull: shapely.Geometry) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Return named places inside the hull, each spot once."""
    rows = [i for i, t in enumerate(data.node_tags) if t.get("place") in (*QUARTERS, *SETTLEMENTS) and t.get("name")]
    shapely.prepare(hull)
    rows = [i for i in rows if shapely.contains_xy(hull, data.node_x[i], data.node_y[i])]
    quarters = [i for i in rows if data.node_tags[i]["place"] in QUARTERS]
    if len(quarters) >= 3:  # the node of a whole city says nothing where its quarters are named
        rows = [i for i in rows if data.node_tags[i]["place"] != "city"]
    spots: dict[tuple[float, float], int] = {}
    for i in rows:
        spots.setdefault((round(data.node_x[i], 1), round(data.node_y[i], 1)), i)
    rows = list(spots.values())
    return [data.node_tags[i]["name"] for i in rows], data.node_x[rows], data.node_y[rows]


def _distinct(names: list[str]) -> list[str]:
    """Return names with a number after every repeated one."""
    seen: dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
    count: dict[str, int] = {}
    result = []
    for name in names:
        count[name] = count.get(name, 0) + 1
        result.append(f"{name} ({count[name]})" if seen[name] > 1 else name)
    return result


def _cells(x: NDArray[np.float64], y: NDArray[np.float64], hull: shapely.Geometry) -> NDArray[np.object_]:
    """Return the part of the hull that is nearest to each point."""
    points = shapely.points(x, y)
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(points), extend_to=hull))
    cell, point = shapely.STRtree(points).query(cells, predicate="intersects")
    ordered = np.empty(len(points), dtype=object)
    ordered[point] = cells[cell]
    return shapely.intersection(ordered, hull)


# ---------------------------------------------------------------------- residents


def stated_people(data: OsmData, areas: Areas, buildings: Buildings) -> tuple[int, dict[str, Any]]:
    """Return the number of residents that the file states, and where it states it.

    In this order: the finest municipal boundary (admin_level 7 … 9, or any that closes) around most buildings; a
    municipality cut by the edge of the file that bears the name of its largest place; the sum of its settlements if
    most homes stand near one that states a number. Never two of them together, and never a number that the homes
    cannot hold (629,725 for the centre of Helsinki).

    Returns:
        people (0 if nothing can be believed) and a report: ``people``, ``from``, ``also stated``.
    """
    stated = _closed_boundaries(areas, buildings) + _cut_boundaries(data, areas) + _settlements(data, buildings)
    dwellings = float(buildings.columns["dwellings"].sum())
    floor = float(buildings.columns["floor_area"][buildings.columns["dwellings"] > 0].sum())
    most = min(dwellings * MOST_PER_DWELLING, floor / LEAST_FLOOR)
    report: dict[str, Any] = {"people": 0, "from": "not stated; give people = …", "also stated": [], "not believed": []}
    for people, text in stated:
        if not dwellings * LEAST_PER_DWELLING <= people <= most:
            report["not believed"].append(f"{people:,}: {text}; the homes hold {dwellings:,.0f} dwellings")
        elif report["people"]:
            report["also stated"].append(f"{people:,}: {text}")
        else:
            report["people"], report["from"] = people, text
    return report["people"], report


def name_of_city(data: OsmData) -> str | None:
    """Return the name of the largest settlement among the place nodes, or None."""
    best = _largest_place(data)
    return data.node_tags[best].get("name") if best is not None else None


def _population(tags: dict[str, str]) -> int:
    """Return the ``population`` tag, 0 if absent or unusable; "54 319" and "54,319" are read."""
    return whole_number(re.sub(r"[\s,.']", "", tags.get("population", "")), MOST_PEOPLE) or 0


def _largest_place(data: OsmData) -> int | None:
    rows = [i for i, t in enumerate(data.node_tags) if t.get("place") in SETTLEMENTS and t.get("name")]
    if not rows:
        return None
    return max(rows, key=lambda i: (-SETTLEMENTS.index(data.node_tags[i]["place"]), _population(data.node_tags[i]), -i))


def _closed_boundaries(areas: Areas, buildings: Buildings) -> list[tuple[int, str]]:
    """Return statements of boundaries around more than half of the buildings, the finest first."""
    rows = [i for i, t in enumerate(areas.tags) if t.get("boundary") == "administrative" and _population(t)]
    points = shapely.points(buildings.columns["x"], buildings.columns["y"])
    found = []
    for i in rows:
        share = float(shapely.contains(areas.shapes[i], points).mean())
        level = areas.tags[i].get("admin_level", "")
        if share > 0.5 and level.isdecimal():
            found.append((-int(level), _population(areas.tags[i]), _describe(areas.tags[i], areas.origin[i]), share))
    return [(people, f"{text}, around {share:.0%} of the buildings") for _, people, text, share in sorted(found)]


def _cut_boundaries(data: OsmData, areas: Areas) -> list[tuple[int, str]]:
    """Return the statement of a municipality that does not close in the file and is named like its largest place."""
    closed = set(areas.origin)
    name = name_of_city(data)
    found = []
    for number, tags, _ in data.relations:
        municipal = tags.get("boundary") == "administrative" and tags.get("admin_level") in ("7", "8", "9")
        if municipal and _population(tags) and f"relation/{number}" not in closed and name and tags.get("name") == name:
            text = _describe(tags, f"relation/{number}")
            found.append((-int(tags["admin_level"]), _population(tags), f"{text}, whose boundary the file cuts"))
    return [(people, text) for _, people, text in sorted(found)]


def _settlements(data: OsmData, buildings: Buildings) -> list[tuple[int, str]]:
    """Return the sum over settlements (else over quarters) if most dwellings stand nearest to one with a number."""
    for group in (SETTLEMENTS, QUARTERS):
        places = [i for i, t in enumerate(data.node_tags) if t.get("place") in group]
        named = [i for i in places if _population(data.node_tags[i])]
        if not named:
            continue
        # hamlets are counted with the village whose number holds them
        centres = [i for i in places if data.node_tags[i]["place"] != "hamlet" or i in named]
        tree = shapely.STRtree(shapely.points(data.node_x[centres], data.node_y[centres]))
        nearest = tree.nearest(shapely.points(buildings.columns["x"], buildings.columns["y"]))
        told = np.array([i in named for i in centres])[nearest]
        dwellings = buildings.columns["dwellings"]
        share = float(dwellings[told].sum()) / max(float(dwellings.sum()), 1.0)
        if share > 0.5:
            total = sum(_population(data.node_tags[i]) for i in named)
            words = ", ".join(data.node_tags[i].get("name", "?") for i in named)
            return [(total, f"sum of {len(named)} places ({words}), nearest to {share:.0%} of the dwellings")]
    return []


def _describe(tags: dict[str, str], origin: str) -> str:
    date = f", {tags['population:date']}" if "population:date" in tags else ""
    return f"{origin} {tags.get('name', '?')} (admin_level {tags.get('admin_level')}{date})"
