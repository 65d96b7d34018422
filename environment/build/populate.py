"""Populate: a fabric and households become a City."""

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..city import City, CityError, CityInfo
from ..places import PlaceKind, SiteKind
from ..randomness import key, uniforms
from .activities import FLOOR_AREA_PER_JOB, assign_activities, expected_workers, jobs_by_floor_area
from .days import DAY_TYPES, WEEK, make_schedules
from .fabric import Fabric
from .households import Households, quota, sample_households
from .order import morton_order

OFFICE_JOBS = 8.0  # mean, assumed


def populate(
    fabric: Fabric,
    *,
    people: int | None = None,
    seed: int = 1,
    households: Households | None = None,
    household_zone: NDArray[np.int32] | None = None,
) -> City:
    """House people in a fabric, give them schools, jobs and days, and return the City.

    Args:
        fabric: streets, buildings, sites and zones.
        people: number of residents; default what the fabric's source states.
        seed: everything is drawn from it.
        households: who lives together, if known (from a census fit); else sampled to published tables.
        household_zone: (households,) zone in which each of them lives.

    Raises:
        CityError: if the number of people is unknown, or nobody can live there.
    """
    people = len(households.age) if households is not None else people or fabric.people
    if not people:
        raise CityError(f"{fabric.name}: the source states no population; give the number of people")
    if not (fabric.buildings["dwellings"] > 0).any():
        raise CityError(f"{fabric.name}: no dwellings, so nobody can live there; is this the whole town?")
    if households is None:
        households = sample_households(people, seed)
    _add_offices(fabric, households.age, seed)
    buildings, sites = _in_space_order(fabric)
    home_building, order = _move_in(households, household_zone, buildings, fabric, seed)
    first, age, sex, household = _regroup(households.first, households.age, households.sex, order)

    home_x, home_y = buildings["x"][home_building], buildings["y"][home_building]
    acts = assign_activities(age, home_x[household], home_y[household], sites, seed)
    homes = len(first) - 1
    room_site = acts.room_site
    site = np.concatenate([np.full(homes, -1, np.int32), room_site])
    kind = np.concatenate([np.full(homes, PlaceKind.HOME, np.uint8), acts.room_kind])
    places = {
        "kind": kind,
        "site": site,
        "building": np.concatenate([home_building, sites["building"][room_site]]).astype(np.int32),
        "zone": np.concatenate([buildings["zone"][home_building], sites["zone"][room_site]]).astype(np.int32),
        "x": np.concatenate([home_x, sites["x"][room_site]]),
        "y": np.concatenate([home_y, sites["y"][room_site]]),
    }
    activity = np.where(acts.room >= 0, acts.room + homes, -1).astype(np.int32)
    persons = {"age": age, "sex": sex, "role": acts.role, "household": household, "activity": activity}
    weight = np.zeros(len(kind))
    weight[homes:] = np.maximum(np.asarray(sites["floor_area"], float)[room_site], 1.0)
    schedules = make_schedules(first, persons, places, weight, seed)

    centroids = fabric.zones.geometry.representative_point()
    west, south = min(fabric.nodes["x"].min(), buildings["x"].min()), min(fabric.nodes["y"].min(), buildings["y"].min())
    east, north = max(fabric.nodes["x"].max(), buildings["x"].max()), max(fabric.nodes["y"].max(), buildings["y"].max())
    info = CityInfo(
        name=fabric.name,
        crs=fabric.crs,
        bounds=(float(west), float(south), float(east), float(north)),
        seed=seed,
        week=WEEK,
        day_types=DAY_TYPES,
        sources=list(fabric.sources),
        report=fabric.report | acts.report,
    )
    tables = {
        "people": persons,
        "households": {"first": first},
        "places": places,
        "sites": sites,
        "buildings": buildings,
        "zones": {
            "area": fabric.zones.area.to_numpy(float),
            "x": centroids.x.to_numpy(float),
            "y": centroids.y.to_numpy(float),
        },
        "nodes": fabric.nodes,
        "links": fabric.links,
    }
    zones = fabric.zones[["name", "geometry"]]
    layers = dict(fabric.layers) | {"zones": zones, "sites": lambda: _site_layer(sites, fabric.crs)}
    return City(info, tables, schedules, layers)


def _add_offices(fabric: Fabric, age: NDArray[np.uint8], seed: int) -> None:
    """Put small offices into buildings with dwellings where a map knows of fewer jobs than there are workers.

    Maps name shops and factories, but few of the firms above them. Offices have 1 to 16 jobs, mean near 8 (assumed).
    """
    missing = expected_workers(age) - jobs_by_floor_area(fabric.sites).sum()
    if missing < 1:
        return
    buildings = fabric.buildings
    number = int(np.ceil(missing / OFFICE_JOBS))
    housing = np.flatnonzero(buildings["dwellings"] > 0)
    steps = np.cumsum(buildings["floor_area"][housing].astype(float) + 1.0)
    office = np.arange(number)
    draw = key(seed, "offices")
    building = housing[np.minimum(np.searchsorted(steps, uniforms(draw, office, 0) * steps[-1]), len(housing) - 1)]
    more = {
        "x": buildings["x"][building],
        "y": buildings["y"][building],
        "kind": np.full(number, SiteKind.WORK, np.uint8),
        "building": building.astype(np.int32),
        "capacity": np.zeros(number, np.int32),
        "zone": buildings["zone"][building],
        "floor_area": FLOOR_AREA_PER_JOB[SiteKind.WORK] * 2 * OFFICE_JOBS * uniforms(draw, office, 1),
        "name": [f"Office {n + 1}" for n in office],
    }
    fabric.sites = {
        column: np.concatenate([np.asarray(values), np.asarray(more[column])])
        for column, values in fabric.sites.items()
        if column in more
    }
    fabric.report = fabric.report | {"offices assumed in buildings with dwellings": number}


def _in_space_order(fabric: Fabric) -> tuple[dict, dict]:
    """Number buildings and sites along a space-filling curve, and find the road node of each."""
    order = morton_order(fabric.buildings["x"], fabric.buildings["y"])
    buildings = {name: np.asarray(values)[order] for name, values in fabric.buildings.items()}
    place_of = np.empty(len(order), np.int32)
    place_of[order] = np.arange(len(order))
    fabric.layers["buildings"] = _reordered(fabric.layers.get("buildings"), order)
    site_order = morton_order(np.asarray(fabric.sites["x"]), np.asarray(fabric.sites["y"]))
    sites = {name: np.asarray(values)[site_order] for name, values in fabric.sites.items()}
    inside = sites["building"] >= 0
    sites["building"] = np.where(inside, place_of[sites["building"]], -1).astype(np.int32)
    for table in (buildings, sites):
        table["node"] = np.full(len(table["x"]), -1, np.int32)
        if len(fabric.nodes["x"]) and len(table["x"]):
            tree = cKDTree(np.stack([fabric.nodes["x"], fabric.nodes["y"]], 1))
            table["node"] = tree.query(np.stack([table["x"], table["y"]], 1))[1].astype(np.int32)
    return buildings, sites


def _reordered(layer, order):
    """Bring the building layer into the order of the building table, when it is asked for."""
    if layer is None:
        return None
    return lambda: (layer() if callable(layer) else layer).iloc[order].reset_index(drop=True)


def _move_in(households, household_zone, buildings, fabric, seed) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Share households out over dwellings: (building of each home in space order, household that moves in there).

    Every building gets its share by dwellings, exact by zone where the zone of households is known. Within a zone
    larger households tend to larger dwellings.
    """
    number = len(households)
    dwellings = buildings["dwellings"].astype(float)
    if household_zone is None:
        household_zone, building_zone = np.zeros(number, np.int32), np.zeros(len(dwellings), np.int32)
    else:
        building_zone = buildings["zone"]
    slots = []
    for zone, wanted in enumerate(np.bincount(household_zone, minlength=int(building_zone.max()) + 1)):
        if not wanted:
            continue
        here = np.flatnonzero(building_zone == zone)
        weight = dwellings[here]
        if not weight.sum():
            name = fabric.zones["name"].iloc[zone]
            if not len(here):
                raise CityError(f"{fabric.name}: zone '{name}' has {wanted} households but no building")
            weight = buildings["floor_area"][here].astype(float) + 1.0
        slots.append(np.repeat(here, quota(weight, int(wanted))))
    building = np.concatenate(slots)
    zone_of = building_zone[building]
    room = buildings["floor_area"][building] / np.maximum(np.bincount(building, minlength=len(dwellings))[building], 1)
    room = room * (0.6 + 0.8 * uniforms(key(seed, "roominess"), np.arange(number), 0))
    wish = households.sizes * (0.6 + 0.8 * uniforms(key(seed, "wish for room"), np.arange(number), 0))
    order = np.empty(number, np.int64)
    order[np.lexsort((room, zone_of))] = np.lexsort((wish, household_zone))
    in_space = np.argsort(building, kind="stable")
    return building[in_space].astype(np.int32), order[in_space]


@njit(cache=True, nogil=True)
def _regroup(first, age, sex, order):
    """Renumber households in a new order, people with them; return first, age, sex, household of each person."""
    new_first = np.zeros(order.size + 1, np.int32)
    new_age = np.empty(age.size, np.uint8)
    new_sex = np.empty(age.size, np.uint8)
    household = np.empty(age.size, np.int32)
    person = 0
    for h in range(order.size):
        for old in range(first[order[h]], first[order[h] + 1]):
            new_age[person], new_sex[person], household[person] = age[old], sex[old], h
            person += 1
        new_first[h + 1] = person
    return new_first, new_age, new_sex, household


def _site_layer(sites: dict, crs: str):
    import geopandas

    labels = {int(k): k.name.lower().replace("_", " ") for k in SiteKind}
    columns = {
        "name": [str(name) for name in sites.get("name", [""] * len(sites["x"]))],
        "kind": [labels[k] for k in sites["kind"].tolist()],
        "capacity": sites["capacity"],
    }
    return geopandas.GeoDataFrame(columns, geometry=geopandas.points_from_xy(sites["x"], sites["y"]), crs=crs)
