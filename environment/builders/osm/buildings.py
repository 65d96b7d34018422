"""Buildings of an OpenStreetMap file: outline, use, storeys, floor area, dwellings."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ...places import BuildingUse
from .interests import Interests
from .read import Areas, OsmData, first_at, whole_number

LEVEL_HEIGHT = 3.0  # m, one floor approximated to 3 metres
DWELLING_AREA = 90.0  # m2 gross floor area of a flat (assumed)
SHED_AREA = 25.0  # m2 footprint under which an untyped building without address is an outbuilding (assumed)
LOW = 2.0  # storeys up to which a shop with the only address of an untyped building fills it (assumed)
ON_WALL = 0.5  # m from a wall within which a point is on it
MAX_LEVELS = 120.0
MAX_FLATS = 2000

_HOUSES = (
    "house detached semidetached_house semi terrace terraced bungalow cabin static_caravan houseboat farm villa hut "
    "trailer"
)
_FLATS = "apartments residential dormitory flats"
_WORK = (
    "industrial commercial office warehouse factory manufacture works government civic public hotel train_station "
    "fire_station"
)
_SHOP = "retail supermarket shop kiosk mall"
_SCHOOL = "school kindergarten university college"
_LEISURE = (
    "church chapel mosque synagogue temple cathedral religious monastery shrine sports_hall sports_centre stadium "
    "pavilion museum theatre cinema grandstand riding_hall"
)
_OTHER = (
    "garage garages shed roof carport storage_tank tank silo tech_cab service utility transformer_tower construction "
    "ruins collapsed parking barn stable cowshed sty greenhouse farm_auxiliary bunker toilets bridge hangar boathouse "
    "transportation water_tower digester container gatehouse guardhouse allotment_house outbuilding entrance tower "
    "kiln bicycle_shed"
)
TYPES: dict[str, BuildingUse] = {
    word: use
    for words, use in (
        (_HOUSES, BuildingUse.RESIDENTIAL),
        (_FLATS, BuildingUse.RESIDENTIAL),
        (_WORK, BuildingUse.WORK),
        (_SHOP, BuildingUse.SHOP),
        (_SCHOOL, BuildingUse.SCHOOL),
        ("hospital clinic", BuildingUse.HOSPITAL),
        (_LEISURE, BuildingUse.LEISURE),
        (_OTHER, BuildingUse.OTHER),
    )
    for word in words.split()
}
"""Use that a value of ``building`` tells; other values ("yes") tell nothing."""
HOUSES = frozenset(_HOUSES.split())
FLATS = frozenset(_FLATS.split())
NOT_STANDING = frozenset({"no", "proposed", "demolished", "razed", "planned", "abandoned:building"})

_BY_LANDUSE: dict[str, BuildingUse] = {
    "industrial": BuildingUse.WORK,
    "commercial": BuildingUse.WORK,
    "port": BuildingUse.WORK,
    "quarry": BuildingUse.WORK,
    "retail": BuildingUse.SHOP,
    "education": BuildingUse.SCHOOL,
    "religious": BuildingUse.LEISURE,
    "recreation_ground": BuildingUse.LEISURE,
    "allotments": BuildingUse.OTHER,
    "railway": BuildingUse.OTHER,
    "military": BuildingUse.OTHER,
    "farmland": BuildingUse.OTHER,
    "meadow": BuildingUse.OTHER,
    "forest": BuildingUse.OTHER,
    "cemetery": BuildingUse.OTHER,
    "plant_nursery": BuildingUse.OTHER,
    "greenhouse_horticulture": BuildingUse.OTHER,
    "construction": BuildingUse.OTHER,
}

_LEVELS_BY_TYPE = {
    "bungalow": 1.0, "static_caravan": 1.0, "houseboat": 1.0, "cabin": 1.0, "apartments": 4.0, "dormitory": 4.0,
}  # fmt: skip
_LEVELS_BY_USE = {
    BuildingUse.RESIDENTIAL: 2.0,
    BuildingUse.WORK: 2.0,
    BuildingUse.SHOP: 1.0,
    BuildingUse.SCHOOL: 2.0,
    BuildingUse.HOSPITAL: 3.0,
    BuildingUse.LEISURE: 1.0,
    BuildingUse.MIXED: 3.0,
    BuildingUse.OTHER: 1.0,
}
"""Storeys where nothing is tagged (assumed)."""
MEDIAN_FROM = 20  # tagged buildings of a use, from which their median replaces the assumption


@dataclass
class Buildings:
    """Buildings of a file, one row each.

    Attributes:
        areas: outline, tags and origin.
        kind: value of ``building`` (of ``building:part`` where a part stands alone).
        columns: ``x, y, use, levels, floor_area, dwellings`` as in the bundle; x, y lie inside the outline.
        footprint: ground area, m2.
        addresses: number of addresses at the building.
    """

    areas: Areas
    kind: list[str]
    columns: dict[str, NDArray[Any]]
    footprint: NDArray[np.float64]
    addresses: NDArray[np.int64]


def build_buildings(data: OsmData, areas: Areas, interests: Interests) -> Buildings:
    """Make the buildings of a file.

    Args:
        data: content of the file; its counts are added to.
        areas: all polygons of the file.
        interests: points of interest, which tell the use of buildings whose type tells none.
    """
    rows = _select(areas)
    own = areas.select(rows)
    kind = [t["building"] if "building" in t else t["building:part"] for t in own.tags]
    footprint = shapely.area(own.shapes)
    middle = shapely.point_on_surface(own.shapes)
    tree = shapely.STRtree(own.shapes)

    addresses = _addresses(data, own, tree)
    flats = np.array([whole_number(t.get("building:flats"), MAX_FLATS) for t in own.tags], float)
    data.counts["addresses"] = int(addresses.sum())
    use = _uses(kind, _landuse(areas, middle), footprint, addresses)
    data.counts["buildings without a telling type"] = sum(k not in TYPES for k in kind)
    tagged = np.array([tagged_levels(t) or 0.0 for t in own.tags])
    only = (addresses > 0) & (tagged <= LOW)
    use = _with_points(use, kind, np.where(only, addresses, 0), _points_of(own, interests), interests.purposes())
    levels = _levels(tagged, kind, use)
    floor_area = footprint * levels
    data.counts["buildings with tagged storeys"] = int((tagged > 0).sum())
    dwellings, per_flat = _dwellings(kind, use, floor_area, addresses, flats)
    data.counts["one address a flat"] = int(per_flat)
    columns = {
        "x": shapely.get_x(middle),
        "y": shapely.get_y(middle),
        "use": use,
        "levels": levels.astype(np.float32),
        "floor_area": floor_area.astype(np.float32),
        "dwellings": dwellings.astype(np.int32),
    }
    return Buildings(own, kind, columns, footprint, addresses)


def _select(areas: Areas) -> NDArray[np.intp]:
    """Return the rows that are buildings; parts of buildings count only where they lie in no building."""
    whole = np.array([t.get("building", "no") not in NOT_STANDING for t in areas.tags], bool)
    part = ~whole & np.array([t.get("building:part", "no") != "no" for t in areas.tags], bool)
    part_rows = np.flatnonzero(part)
    if len(part_rows):
        tree = shapely.STRtree(areas.shapes[whole])
        inside = tree.query(shapely.point_on_surface(areas.shapes[part_rows]), predicate="within")[0]
        part[part_rows[inside]] = False
    return np.flatnonzero(whole | part)


def _addresses(data: OsmData, own: Areas, tree: shapely.STRtree) -> NDArray[np.int64]:
    """Count addresses: on the outline itself, or on nodes within or on it."""
    count = np.array([number_of_addresses(t) for t in own.tags], np.int64)
    at = [i for i, t in enumerate(data.node_tags) if "addr:housenumber" in t]
    if at:
        number = np.array([number_of_addresses(data.node_tags[i]) for i in at], np.int64)
        building = building_at(tree, shapely.points(data.node_x[at], data.node_y[at]))
        lost = building < 0
        inside = np.bincount(building[~lost], weights=number[~lost], minlength=len(count)).astype(np.int64)
        count = np.maximum(count, inside)
        data.counts["address nodes outside buildings"] = int(lost.sum())
    return count


def building_at(tree: shapely.STRtree, points: NDArray[np.object_]) -> NDArray[np.int64]:
    """Return the row of the building around each point or with the point on its wall, −1 where there is none."""
    around = first_at(tree, points)
    return np.where(around >= 0, around, first_at(tree, points, distance=ON_WALL))


def number_of_addresses(tags: dict[str, str]) -> int:
    """Return how many addresses ``addr:housenumber`` names: "12;14" two, "12-16" one."""
    text = tags.get("addr:housenumber", "")
    return sum(1 for part in re.split(r"[;,]", text) if part.strip())


def _uses(
    kind: list[str], land: list[str], footprint: NDArray[np.float64], addresses: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Tell the use from the type of building, else from the land it stands on, its addresses and its size."""
    use = np.array([TYPES.get(k, -1) for k in kind], np.int64)
    # where most homes of a file carry an address, a building without one is no home
    addressed = (addresses > 0).sum() >= 0.25 * len(use)
    for row in np.flatnonzero(use < 0):
        told = _BY_LANDUSE.get(land[row])
        if told is not None and told != BuildingUse.OTHER and footprint[row] >= SHED_AREA:
            use[row] = told
        elif addresses[row] > 0:
            use[row] = BuildingUse.RESIDENTIAL
        elif told is not None or addressed or footprint[row] < SHED_AREA:
            use[row] = BuildingUse.OTHER
        else:
            use[row] = BuildingUse.RESIDENTIAL
    return use.astype(np.uint8)


def _landuse(areas: Areas, middle: NDArray[np.object_]) -> list[str]:
    """Return the land use at each point, of the smallest polygon around it; "" where there is none."""
    rows = [i for i, t in enumerate(areas.tags) if "landuse" in t]
    words = [""] * len(middle)
    if rows and len(middle):
        shapes = areas.shapes[rows]
        point, polygon = shapely.STRtree(shapes).query(middle, predicate="within")
        order = np.argsort(-shapely.area(shapes)[polygon], kind="stable")  # the smallest comes last and stays
        for i in order:
            words[point[i]] = areas.tags[rows[polygon[i]]]["landuse"]
    return words


def _points_of(own: Areas, interests: Interests) -> list[tuple[int, int, bool]]:
    """Return (building, point of interest, whether the building stands on its ground), by area the largest first."""
    found: list[tuple[int, int, bool]] = []
    outlines = interests.outlines()
    if len(outlines):
        outlines = outlines[np.argsort(-shapely.area(interests.shapes[outlines]), kind="stable")]
        middle = shapely.point_on_surface(own.shapes)
        outline, row = shapely.STRtree(middle).query(interests.shapes[outlines], predicate="contains")
        found += [(int(r), int(outlines[o]), True) for o, r in zip(outline, row, strict=True)]
    row = building_at(shapely.STRtree(own.shapes), interests.points)
    return found + [(int(row[i]), int(i), False) for i in np.flatnonzero(row >= 0)]


def _with_points(
    use: NDArray[np.uint8],
    kind: list[str],
    addresses: NDArray[np.int64],
    points: list[tuple[int, int, bool]],
    purposes: list[BuildingUse],
) -> NDArray[np.uint8]:
    """Let points of interest tell the use of buildings whose type tells none, and make homes with one mixed.

    An untyped building becomes what stands in it if it stands on the ground of an institution, if a school or
    hospital is in it, or if it is low and all its addresses (0: not asked) are taken by points of interest; else it
    is a home as well.
    """
    told = use.copy()
    inside = np.bincount([r for r, _, ground in points if not ground], minlength=len(use))
    alone = (addresses > 0) & (addresses <= inside)
    for row, i, ground in points:
        typed = kind[row] in TYPES
        whole = ground or alone[row] or purposes[i] in (BuildingUse.SCHOOL, BuildingUse.HOSPITAL)
        if not typed and (whole or told[row] == BuildingUse.OTHER):
            told[row] = purposes[i]
        elif told[row] == BuildingUse.RESIDENTIAL and not ground:
            told[row] = BuildingUse.MIXED
    return told


# ---------------------------------------------------------------------- storeys and dwellings


def _levels(tagged: NDArray[np.float64], kind: list[str], use: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return storeys above ground: the tagged ones (0: none), else the median of like buildings, else by type."""
    guess = np.array([_LEVELS_BY_TYPE.get(k, 0.0) for k in kind])
    for value in BuildingUse:
        alike = use == value
        sample = tagged[alike & (tagged > 0)]
        number = float(np.median(sample)) if len(sample) >= MEDIAN_FROM else _LEVELS_BY_USE[value]
        guess[alike & (guess == 0)] = number
    return np.where(tagged > 0, tagged, guess)


def tagged_levels(tags: dict[str, str]) -> float | None:
    """Return storeys from ``building:levels``, else from ``height`` less ``min_height`` at 3 m each, else None."""
    levels = _number(tags.get("building:levels"))
    if levels is None:
        height = _number(tags.get("height", tags.get("building:height")))
        if height is None:
            return None
        levels = np.round((height - (_number(tags.get("min_height")) or 0.0)) / LEVEL_HEIGHT)
    return float(np.clip(levels, 1.0, MAX_LEVELS))


def _number(text: str | None) -> float | None:
    """Return the largest number in a value such as "3", "2.5 m", "2;3" or "30'", or None."""
    if text is None:
        return None
    parts: Iterable[re.Match[str]] = re.finditer(r"(\d+(?:[.,]\d+)?)\s*(ft|')?", text)
    numbers = [float(p[1].replace(",", ".")) * (0.3048 if p[2] else 1.0) for p in parts]
    return max(numbers) if numbers else None


def _dwellings(
    kind: list[str],
    use: NDArray[np.uint8],
    floor_area: NDArray[np.float64],
    addresses: NDArray[np.int64],
    flats: NDArray[np.float64],
) -> tuple[NDArray[np.int64], bool]:
    """Count dwellings: ``building:flats``, else addresses, else by type and floor area.

    In some countries every flat has its address, in others every entrance. Where the addresses in blocks of flats of
    this file are at least half as many as flats of :data:`DWELLING_AREA` would fit, they are taken as flats.
    """
    home = (use == BuildingUse.RESIDENTIAL) | (use == BuildingUse.MIXED)
    house = np.array([k in HOUSES for k in kind], bool)
    block = home & np.array([k in FLATS for k in kind], bool)
    by_area = np.maximum(np.round(floor_area / DWELLING_AREA), 1).astype(np.int64)
    known = block & (addresses > 0)
    per_flat = bool(known.any()) and addresses[known].sum() >= 0.5 * by_area[known].sum()
    # an untyped building is a house up to twice a usual house's floor area (assumed)
    small = house | (floor_area < 4 * DWELLING_AREA)
    guess = np.where(small, 1, by_area)
    if per_flat:
        guess = np.where(addresses > 0, addresses, guess)
    else:
        guess = np.where(small, np.maximum(guess, addresses), np.maximum(by_area, addresses))
    return np.where(home, np.where(np.isfinite(flats), flats, guess), 0).astype(np.int64), per_flat
