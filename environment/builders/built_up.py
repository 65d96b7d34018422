"""Buildings and sites of an invented city: dwellings along the streets, schools, shops, venues, stations and firms."""

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..places import BuildingUse, SiteKind
from ..randomness import key, uniforms
from .activities import FLOOR_AREA_PER_JOB, RESIDENTS_PER_VENUE
from .blocks import Blocks, normals, spread
from .households import SIZE_SHARES, quota

PEOPLE_PER_DWELLING = float(np.dot(SIZE_SHARES, range(1, 8)) / sum(SIZE_SHARES))  # mean household, 2.28 people
FLOOR_AREA_PER_DWELLING = 90.0  # m2, near the EU mean of 96 m2 (Eurostat 2012)
PARETO_FIRMS = 1.06  # tail exponent of firm sizes: Axtell 2001, Science 293:1818
STAFF_PER_FIRM = 9.0  # people, mean of all addresses where people work, assumed
JOBS_PER_PERSON = 0.45  # jobs outside schools by resident, assumed
LARGEST_FIRM = 0.02  # staff of a firm at most, share of the residents, assumed
FIRMS_IN = {
    "local": 0.35,
    "central": 0.45,
    "estates": 0.20,
}  # share of firms among homes, near the centre, in estates; assumed
PEOPLE_PER_ESTATE = 60_000  # residents for one industrial estate, assumed
HOUSES_BELOW = 3_500.0  # residents/km2 of a block up to which it has one-family houses, assumed
DENSITY_PER_FLAT = 900.0  # residents/km2 of a block for one more dwelling in its buildings, assumed
MOST_FLATS = 24.0  # dwellings of a residential building at most, assumed
OWN_BUILDING_FROM = 1_500.0  # m2, floor area from which a firm has a building of its own, assumed

# Sites, all figures assumed: residents for one of them; share of these spread like the residents, the rest lie towards
# the centre; median floor area in m2
_SITES = {
    SiteKind.KINDERGARTEN: (2_400, 1.0, 700.0),
    SiteKind.PRIMARY: (4_500, 1.0, 2_500.0),
    SiteKind.SECONDARY: (9_000, 0.8, 7_000.0),
    SiteKind.UNIVERSITY: (90_000, 0.3, 40_000.0),
    SiteKind.SHOP: (RESIDENTS_PER_VENUE[SiteKind.SHOP], 0.6, 250.0),
    SiteKind.LEISURE: (RESIDENTS_PER_VENUE[SiteKind.LEISURE], 0.4, 200.0),
    SiteKind.HOSPITAL: (80_000, 0.4, 30_000.0),
    SiteKind.FIRE_STATION: (40_000, 1.0, 800.0),
    SiteKind.AMBULANCE_STATION: (40_000, 1.0, 400.0),
    SiteKind.POLICE_STATION: (60_000, 0.6, 1_000.0),
    SiteKind.TRANSPORT_STOP: (700, 0.9, 0.0),
}
_OWN_BUILDING = {
    SiteKind.KINDERGARTEN: BuildingUse.SCHOOL,
    SiteKind.PRIMARY: BuildingUse.SCHOOL,
    SiteKind.SECONDARY: BuildingUse.SCHOOL,
    SiteKind.UNIVERSITY: BuildingUse.SCHOOL,
    SiteKind.HOSPITAL: BuildingUse.HOSPITAL,
    SiteKind.FIRE_STATION: BuildingUse.OTHER,
    SiteKind.AMBULANCE_STATION: BuildingUse.OTHER,
    SiteKind.POLICE_STATION: BuildingUse.OTHER,
}
_BEDS_PER_PERSON = 0.0053  # hospital beds, EU 2019 (Eurostat)


def place_dwellings(blocks: Blocks, people: int, seed: int) -> tuple[dict[str, NDArray], NDArray[np.int64]]:
    """Place residential buildings along the sides of every block: houses where thin, blocks of flats where dense."""
    total = max(1, round(people / PEOPLE_PER_DWELLING))
    dwellings = quota(blocks.people, total)
    density = 1e6 * blocks.people / np.maximum(blocks.area, 1.0)
    flats = np.where(density < HOUSES_BELOW, 1.0, np.clip(density / DENSITY_PER_FLAT, 2.0, MOST_FLATS))
    number = np.ceil(dwellings / flats).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(number)])
    block = np.repeat(np.arange(len(number)), number)
    rank = np.arange(first[-1]) - first[block]
    inside = dwellings[block] * (rank + 1) // number[block] - dwellings[block] * rank // number[block]
    luck = uniforms(key(seed, "building position"), np.arange(len(block)), 0)
    place = (rank + 0.15 + 0.7 * luck) / number[block] * 4.0
    side, t = np.minimum(place.astype(int), 3), place % 1.0
    depth = 0.12 + 0.1 * uniforms(key(seed, "building position"), np.arange(len(block)), 1)
    s = np.choose(side, [t, 1 - depth, 1 - t, depth])
    r = np.choose(side, [depth, t, 1 - depth, 1 - t])
    x, y = _inside(blocks, block, s, r)
    levels = np.where(inside <= 1, 2.0, np.clip(np.ceil(inside / 3.0), 2.0, 8.0))
    return {
        "x": x,
        "y": y,
        "use": np.full(len(block), BuildingUse.RESIDENTIAL, np.uint8),
        "levels": levels.astype(np.float32),
        "floor_area": (np.maximum(inside, 1) * FLOOR_AREA_PER_DWELLING * (0.7 + 0.6 * luck)).astype(np.float32),
        "dwellings": inside.astype(np.int32),
        "zone": blocks.zone[block],
    }, first


def place_sites(blocks: Blocks, buildings: dict, block_first: NDArray[np.int64], people: int, seed: int) -> dict:
    """Place schools, shops, venues, hospitals, stations and workplaces; large ones get buildings of their own."""
    central = blocks.people * np.exp(-np.hypot(blocks.x - blocks.centre[0], blocks.y - blocks.centre[1]) / blocks.core)
    block, kind, area = [], [], []
    for site_kind, (residents, even, floor) in _SITES.items():
        number = max(1, round(people / residents))
        evenly = round(even * number)
        label = f"sites, {site_kind.name.lower()}"
        chosen = np.concatenate(
            [
                spread(blocks.people, evenly, seed, label),
                spread(central, number - evenly, seed, label + ", central"),
            ]
        )
        block.append(chosen)
        kind.append(np.full(number, site_kind, np.uint8))
        served = people / (residents * number)  # below 1 where a small town has one of a kind
        area.append(floor * served * np.exp(0.6 * normals(number, seed, label + ", size")))
    firms = max(3, round(JOBS_PER_PERSON * people / STAFF_PER_FIRM))
    distance = np.hypot(blocks.x - blocks.centre[0], blocks.y - blocks.centre[1])
    estate = spread(
        blocks.area * (distance > 0.5 * distance.max()), max(2, people // PEOPLE_PER_ESTATE), seed, "estates"
    )
    to_estate = cKDTree(np.stack([blocks.x[estate], blocks.y[estate]], 1)).query(np.stack([blocks.x, blocks.y], 1))[0]
    industrial = blocks.area * (to_estate < 0.08 * distance.max())
    parts = quota(np.array(list(FIRMS_IN.values())), firms)
    where = dict(zip(FIRMS_IN, (blocks.people, central, industrial), strict=True))
    block += [
        spread(weight, int(part), seed, f"firms, {label}")
        for (label, weight), part in zip(where.items(), parts, strict=True)
    ]
    kind.append(np.full(firms, SiteKind.WORK, np.uint8))
    # staff by a Pareto law, so that few firms employ many; floor area stands for staff
    luck = uniforms(key(seed, "firm size"), np.arange(firms), 0)
    staff = np.minimum((1.0 - luck) ** (-1.0 / PARETO_FIRMS), LARGEST_FIRM * people)
    staff *= max(1.0, 0.5 * people / staff.sum())  # a small city may have drawn too few jobs
    area.append(FLOOR_AREA_PER_JOB[SiteKind.WORK] * np.maximum(staff, 1.0))
    blocks_of, kinds, areas = np.concatenate(block), np.concatenate(kind), np.concatenate(area)

    draw = key(seed, "site position")
    site = np.arange(len(blocks_of))
    s, r = 0.3 + 0.4 * uniforms(draw, site, 0), 0.3 + 0.4 * uniforms(draw, site, 1)
    x, y = _inside(blocks, blocks_of, s, r)
    own = np.isin(kinds, [int(k) for k in _OWN_BUILDING]) | ((kinds == SiteKind.WORK) & (areas > OWN_BUILDING_FROM))
    neighbours = np.diff(block_first)[blocks_of]
    own |= (neighbours == 0) & (kinds != SiteKind.TRANSPORT_STOP)
    building = np.full(len(kinds), -1, np.int32)
    shared = ~own & (kinds != SiteKind.TRANSPORT_STOP)
    pick = (uniforms(draw, site, 2) * neighbours).astype(np.int64)
    building[shared] = (block_first[blocks_of] + pick)[shared]
    x[shared], y[shared] = buildings["x"][building[shared]], buildings["y"][building[shared]]
    buildings["use"][np.unique(building[shared])] = BuildingUse.MIXED
    building[own] = len(buildings["x"]) + np.arange(own.sum())
    uses = np.full(256, BuildingUse.WORK, np.uint8)
    for site_kind, use in _OWN_BUILDING.items():
        uses[site_kind] = use
    uses[SiteKind.SHOP], uses[SiteKind.LEISURE] = BuildingUse.SHOP, BuildingUse.LEISURE
    extra = {
        "x": x[own],
        "y": y[own],
        "use": uses[kinds[own]],
        "levels": np.clip(np.ceil(areas[own] / 2_500.0), 1, 10).astype(np.float32),
        "floor_area": areas[own].astype(np.float32),
        "dwellings": np.zeros(own.sum(), np.int32),
        "zone": blocks.zone[blocks_of[own]],
    }
    for column, values in extra.items():
        buildings[column] = np.concatenate([buildings[column], values])
    capacity = np.zeros(len(kinds), np.int32)
    hospitals = np.flatnonzero(kinds == SiteKind.HOSPITAL)
    capacity[hospitals] = quota(areas[hospitals], max(len(hospitals) * 20, round(_BEDS_PER_PERSON * people)))
    return {
        "x": x,
        "y": y,
        "kind": kinds,
        "building": building,
        "capacity": capacity,
        "zone": blocks.zone[blocks_of],
        "floor_area": areas,
        "name": _site_names(kinds),
    }


def _inside(blocks: Blocks, block, s, r):
    """Return the point at (s, r) in [0, 1]² of each block, bilinear between its corners."""
    x, y = blocks.node_x[blocks.corners[block]], blocks.node_y[blocks.corners[block]]
    weights = np.stack([(1 - s) * (1 - r), s * (1 - r), s * r, (1 - s) * r], 1)
    return (x * weights).sum(1), (y * weights).sum(1)


def _site_names(kinds: NDArray[np.uint8]) -> list[str]:
    labels = {int(k): k.name.replace("_", " ").capitalize() for k in SiteKind}
    seen: dict[int, int] = {}
    names = []
    for kind in kinds.tolist():
        seen[kind] = seen.get(kind, 0) + 1
        names.append(f"{labels[kind]} {seen[kind]}")
    return names


def building_layer(buildings: dict[str, NDArray], crs: str) -> geopandas.GeoDataFrame:
    """Draw every building as a square of its floor area a level."""
    half = 0.5 * np.sqrt(buildings["floor_area"] / np.maximum(buildings["levels"], 1.0))
    x, y = buildings["x"], buildings["y"]
    return geopandas.GeoDataFrame(
        {"use": buildings["use"], "levels": buildings["levels"]},
        geometry=shapely.box(x - half, y - half, x + half, y + half),
        crs=crs,
    )
