"""Populate: a fabric and households become the parts of a City."""

from dataclasses import replace

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..places import PlaceKind, SiteKind
from ..randomness import key, uniforms
from ..schema import CityError, CityInfo, CityParts
from .activities import (
    FLOOR_AREA_PER_JOB,
    RESIDENTS_PER_VENUE,
    assign_activities,
    expected_workers,
    jobs_by_floor_area,
)
from .days import DAY_TYPES, WEEK, make_schedules
from .fabric import Fabric
from .households import AGE_SHARES, COUNTRIES, Households, ages_by_year, quota, sample_households
from .incomes import GINI, GINI_EUROPE, draw_incomes
from .order import morton_order

MOST_IN_A_DWELLING = 20  # people, on average; more is a slip of the keyboard (assumed)
OFFICE_JOBS = 8.0  # mean of the offices that no map names, assumed
SMALL_VENUE = 150.0  # m2, mean floor area of the shops and venues that no map names, assumed
LARGEST_DRAW = 1_500.0  # m2, floor area beyond which a shop or venue draws no more visitors into one room, assumed
INCOMES_FROM = "EU-SILC 2010, Eurostat"
AGES_FROM = "UN World Population Prospects"
SIZES_FROM = "EU-28 2017, Eurostat labour force survey"
_SMALL_SITES = {
    SiteKind.SHOP: ("shops", "Shop"),
    SiteKind.LEISURE: ("venues", "Venue"),
    SiteKind.WORK: ("offices", "Office"),
}


def populate(
    fabric: Fabric,
    *,
    people: int | None = None,
    seed: int = 1,
    country: str = "DE",
    households: Households | None = None,
    household_zone: NDArray[np.int32] | None = None,
) -> CityParts:
    """House people in a fabric, give them schools, jobs and days, and return the parts of the City.

    Args:
        fabric: streets, buildings, sites and zones.
        people: number of residents; default what the fabric's source states.
        seed: everything is drawn from it.
        country: one of :data:`households.COUNTRIES`, whose ages the residents have where households are sampled.
        households: who lives together, if known (from a census fit); else sampled to published tables.
        household_zone: (households,) zone in which each of them lives.

    Raises:
        CityError: if the number of people is unknown, nobody can live there, or the country's ages are unknown.
    """
    if country not in COUNTRIES:
        allowed = ", ".join(f"{code} ({name})" for code, name in COUNTRIES.items())
        raise CityError(f"country '{country}': no table of ages is known for it; allowed: {allowed}")
    people = len(households.age) if households is not None else people or fabric.people
    if not people:
        raise CityError(f"{fabric.name}: the source states no population; give the number of people")
    if not (fabric.buildings["dwellings"] > 0).any():
        raise CityError(f"{fabric.name}: no dwellings, so nobody can live there; is this the whole town?")
    most = MOST_IN_A_DWELLING * int(fabric.buildings["dwellings"].sum())
    if people > most:
        raise CityError(f"{fabric.name}: {people:,} people do not fit in; its dwellings hold at most {most:,}")
    gini = GINI[country] if households is None else GINI_EUROPE
    if households is None:
        households = sample_households(people, seed, ages=ages_by_year(AGE_SHARES[country]))
        used = {"ages": f"{COUNTRIES[country]}, {AGES_FROM}", "household sizes": SIZES_FROM}
        fabric = replace(fabric, report=fabric.report | used)
    fabric = _fill_in(fabric, households.age, seed)
    buildings, sites, layers = _in_space_order(fabric)
    first, persons, places, report = _settle(households, household_zone, fabric, buildings, sites, seed)
    del households  # the days need the room
    schedules = make_schedules(first, persons, places, _attraction(places["site"], sites), seed)

    centroids = fabric.zones.geometry.representative_point()
    zones = {
        "area": fabric.zones.area.to_numpy(float),
        "x": centroids.x.to_numpy(float),
        "y": centroids.y.to_numpy(float),
    }
    income = draw_incomes(places["zone"][: len(first) - 1], np.diff(first), zones["x"], zones["y"], seed, gini)
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
        report=fabric.report | report | {"incomes": f"lognormal, Gini {gini:g}, {INCOMES_FROM}"},
    )
    tables = {
        "people": persons,
        "households": {"first": first, "income": income},
        "places": places,
        "sites": sites,
        "buildings": buildings,
        "zones": zones,
        "nodes": fabric.nodes,
        "links": fabric.links,
        "turns": fabric.turns,
    }
    layers |= {"zones": fabric.zones[["name", "geometry"]], "sites": lambda: _site_layer(sites, fabric.crs)}
    return CityParts(info, tables, schedules, layers)


def _settle(households, household_zone, fabric, buildings, sites, seed) -> tuple[NDArray[np.int32], dict, dict, dict]:
    """Move households in and give their people roles and rooms: (first person of each household, people, places, report).

    Places are the homes in space order, then the rooms.
    """
    home_building, order = _move_in(households, household_zone, buildings, fabric, seed)
    first, age, sex, household = _regroup(households.first, households.age, households.sex, order)
    home_x, home_y = buildings["x"][home_building], buildings["y"][home_building]
    acts = assign_activities(first, age, home_x[household], home_y[household], sites, seed)
    homes = len(first) - 1
    room_site = acts.room_site
    places = {
        "kind": np.concatenate([np.full(homes, PlaceKind.HOME, np.uint8), acts.room_kind]),
        "site": np.concatenate([np.full(homes, -1, np.int32), room_site]),
        "building": np.concatenate([home_building, sites["building"][room_site]]).astype(np.int32),
        "zone": np.concatenate([buildings["zone"][home_building], sites["zone"][room_site]]).astype(np.int32),
        "x": np.concatenate([home_x, sites["x"][room_site]]),
        "y": np.concatenate([home_y, sites["y"][room_site]]),
    }
    activity = np.where(acts.room >= 0, acts.room + np.int32(homes), np.int32(-1))
    persons = {"age": age, "sex": sex, "role": acts.role, "household": household, "activity": activity}
    return first, persons, places, acts.report


def _attraction(site: NDArray[np.int32], sites: dict) -> NDArray[np.float32]:
    """Return how much each place draws visitors, by the floor area of its site, (places,); homes draw none."""
    area = np.clip(np.asarray(sites["floor_area"], np.float32), 1.0, LARGEST_DRAW)
    return np.where(site >= 0, area[site], np.float32(0.0))


def _fill_in(fabric: Fabric, age: NDArray[np.uint8], seed: int) -> Fabric:
    """Return the fabric with the shops, venues and offices that its map does not know; the report says how many.

    Maps name few of the firms above the shops, and some few of the shops: without these the others would be crowded.
    """
    for kind, residents in RESIDENTS_PER_VENUE.items():
        known = int((np.asarray(fabric.sites["kind"]) == kind).sum())
        fabric = _with_small_sites(fabric, kind, round(len(age) / residents) - known, SMALL_VENUE, seed)
    missing = expected_workers(age) - jobs_by_floor_area(fabric.sites).sum()
    area = OFFICE_JOBS * FLOOR_AREA_PER_JOB[SiteKind.WORK]
    return _with_small_sites(fabric, SiteKind.WORK, int(np.ceil(missing / OFFICE_JOBS)), area, seed)


def _with_small_sites(fabric: Fabric, kind: SiteKind, number: int, area: float, seed: int) -> Fabric:
    """Return a fabric with a number of sites more in buildings with dwellings; their mean floor area is given in m2."""
    if number < 1:
        return fabric
    plural, name = _SMALL_SITES[kind]
    buildings = fabric.buildings
    housing = np.flatnonzero(buildings["dwellings"] > 0)
    steps = np.cumsum(buildings["floor_area"][housing].astype(float) + 1.0)
    new = np.arange(number)
    draw = key(seed, plural)
    building = housing[np.minimum(np.searchsorted(steps, uniforms(draw, new, 0) * steps[-1]), len(housing) - 1)]
    more = {
        "x": buildings["x"][building],
        "y": buildings["y"][building],
        "kind": np.full(number, kind, np.uint8),
        "building": building.astype(np.int32),
        "capacity": np.zeros(number, np.int32),
        "zone": buildings["zone"][building],
        "floor_area": 2 * area * uniforms(draw, new, 1),
        "name": [f"{name} {n + 1}" for n in new],
    }
    sites = {
        column: np.concatenate([np.asarray(values), np.asarray(more[column])])
        for column, values in fabric.sites.items()
        if column in more
    }
    return replace(
        fabric, sites=sites, report=fabric.report | {f"{plural} assumed in buildings with dwellings": number}
    )


def _in_space_order(fabric: Fabric) -> tuple[dict, dict, dict]:
    """Number buildings and sites along a space-filling curve, and find the road node of each; return them and layers."""
    order = morton_order(fabric.buildings["x"], fabric.buildings["y"])
    buildings = {name: np.asarray(values)[order] for name, values in fabric.buildings.items()}
    place_of = np.empty(len(order), np.int32)
    place_of[order] = np.arange(len(order))
    layers = dict(fabric.layers) | {"buildings": _reordered(fabric.layers.get("buildings"), order)}
    site_order = morton_order(np.asarray(fabric.sites["x"]), np.asarray(fabric.sites["y"]))
    sites = {name: np.asarray(values)[site_order] for name, values in fabric.sites.items()}
    inside = sites["building"] >= 0
    sites["building"] = np.where(inside, place_of[sites["building"]], -1).astype(np.int32)
    for table in (buildings, sites):
        table["node"] = np.full(len(table["x"]), -1, np.int32)
        if len(fabric.nodes["x"]) and len(table["x"]):
            tree = cKDTree(np.stack([fabric.nodes["x"], fabric.nodes["y"]], 1))
            table["node"] = tree.query(np.stack([table["x"], table["y"]], 1))[1].astype(np.int32)
    return buildings, sites, layers


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
