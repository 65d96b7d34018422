"""A city made by hand, small enough to know everybody in it."""

import geopandas
import numpy as np
import shapely

from citytwin.environment.city import City, CityInfo
from citytwin.environment.places import BuildingUse, PlaceKind, Role, SiteKind
from citytwin.environment.roads import Access, RoadRank
from citytwin.environment.schedules import Schedule

CRS = "EPSG:32631"
WEST, SOUTH, SIDE = 430_000.0, 4_580_000.0, 1_000.0

FAMILIES = (
    ((40, 0), (42, 1), (8, 0), (14, 1)),
    ((70, 1),),
    ((30, 0), (31, 1)),
    ((68, 0), (72, 1)),
    ((25, 1),),
    ((35, 0), (4, 1)),
)
"""(age, sex) of the members of six households, repeated to any number."""

SITES = (
    (SiteKind.KINDERGARTEN, 30, 250, 250),
    (SiteKind.PRIMARY, 60, 750, 250),
    (SiteKind.SECONDARY, 90, 750, 750),
    (SiteKind.WORK, 200, 500, 500),
    (SiteKind.SHOP, 5, 300, 600),
    (SiteKind.LEISURE, 8, 600, 300),
    (SiteKind.HOSPITAL, 12, 900, 900),
    (SiteKind.FIRE_STATION, 2, 100, 900),
    (SiteKind.AMBULANCE_STATION, 3, 900, 100),
    (SiteKind.POLICE_STATION, 4, 100, 100),
)
"""(kind, capacity, metres east, metres north of the south-west corner) of the sites; all but stations have one room."""

ROOMS = tuple(kind for kind, *_ in SITES if kind <= SiteKind.HOSPITAL)
ACTIVITY = {Role.KINDERGARTEN: 1, Role.PRIMARY: 2, Role.SECONDARY: 3, Role.WORKER: 5}
HOURS = {Role.KINDERGARTEN: (34, 60), Role.PRIMARY: (32, 56), Role.SECONDARY: (32, 60), Role.WORKER: (36, 68)}
"""Slots of a working day in class or team."""
SHOPPING = (40, 44)
OUTING = (44, 56)


def tiny_city(households: int = 6, name: str = "Tiny") -> City:
    """Return a city of 1 km2 with four zones, one school of each level, one team, shop, venue and hospital.

    On working days pupils are in class and adults under 65 at work, at :data:`HOURS`; the retired are in the shop at
    :data:`SHOPPING`. At weekends people with an even number are in the leisure venue at :data:`OUTING`. Otherwise
    everybody is at home.

    Args:
        households: number of households, which are those of :data:`FAMILIES` over and over.
        name: name of the city.
    """
    families = [FAMILIES[h % len(FAMILIES)] for h in range(households)]
    first = np.concatenate([[0], np.cumsum([len(f) for f in families])]).astype(np.int32)
    members = np.array([member for family in families for member in family], np.uint8).reshape(-1, 2)
    age = members[:, 0].copy()
    role = np.select(
        [age < 6, age < 12, age < 18, age < 65],
        [Role.KINDERGARTEN, Role.PRIMARY, Role.SECONDARY, Role.WORKER],
        Role.RETIRED,
    ).astype(np.uint8)
    room = {int(kind): households + position for position, kind in enumerate(ROOMS)}
    activity = np.array([room.get(ACTIVITY.get(Role(r), -1), -1) for r in role], np.int32)
    household = np.repeat(np.arange(households), np.diff(first)).astype(np.int32)
    people = {"age": age, "sex": members[:, 1].copy(), "role": role, "household": household, "activity": activity}

    columns = max(1, int(np.ceil(np.sqrt(households))))
    step = SIDE / columns
    home = np.arange(households)
    home_x = WEST + step * (home % columns + 0.5)
    home_y = SOUTH + step * (home // columns + 0.5)
    kind, capacity, east, north = (np.array(values) for values in zip(*SITES, strict=True))
    site_x, site_y = WEST + east, SOUTH + north
    rooms = len(ROOMS)
    places = {
        "kind": np.concatenate([np.full(households, PlaceKind.HOME), kind[:rooms]]).astype(np.uint8),
        "site": np.concatenate([np.full(households, -1), np.arange(rooms)]).astype(np.int32),
        "building": np.concatenate([home, np.full(rooms, -1)]).astype(np.int32),
        "zone": _zone(np.concatenate([home_x, site_x[:rooms]]), np.concatenate([home_y, site_y[:rooms]])),
        "x": np.concatenate([home_x, site_x[:rooms]]),
        "y": np.concatenate([home_y, site_y[:rooms]]),
    }
    sites = {
        "kind": kind.astype(np.uint8),
        "building": np.full(len(SITES), -1, np.int32),
        "zone": _zone(site_x, site_y),
        "node": _node(site_x, site_y),
        "capacity": capacity.astype(np.int32),
        "x": site_x.astype(float),
        "y": site_y.astype(float),
    }
    buildings = {
        "use": np.full(households, BuildingUse.RESIDENTIAL, np.uint8),
        "levels": np.full(households, 2.0, np.float32),
        "floor_area": np.full(households, 160.0, np.float32),
        "dwellings": np.ones(households, np.int32),
        "zone": _zone(home_x, home_y),
        "node": _node(home_x, home_y),
        "x": home_x,
        "y": home_y,
    }
    half = SIDE / 2
    corners = [(WEST + half * i, SOUTH + half * j) for j in range(2) for i in range(2)]
    squares = [shapely.box(x, y, x + half, y + half) for x, y in corners]
    zones = {
        "area": np.full(4, half * half),
        "x": np.array([x + half / 2 for x, _ in corners]),
        "y": np.array([y + half / 2 for _, y in corners]),
    }
    nodes = {
        "x": WEST + half * np.tile(np.arange(3.0), 3),
        "y": SOUTH + half * np.repeat(np.arange(3.0), 3),
    }
    pairs = [(n, n + 1) for n in range(9) if n % 3 < 2] + [(n, n + 3) for n in range(6)]
    ends = np.array(pairs + [(b, a) for a, b in pairs], np.int32)
    count = len(ends)
    links = {
        "start": ends[:, 0].copy(),
        "end": ends[:, 1].copy(),
        "length": np.full(count, half, np.float32),
        "speed": np.full(count, 50 / 3.6, np.float32),
        "lanes": np.ones(count, np.float32),
        "rank": np.full(count, RoadRank.RESIDENTIAL, np.uint8),
        "access": np.full(count, Access.CAR | Access.BICYCLE | Access.FOOT, np.uint8),
        "way": (np.arange(count) % len(pairs)).astype(np.int64),
    }
    working, weekend = [], []
    for person in range(len(age)):
        at_home = int(household[person])
        if activity[person] >= 0:
            working.append(_day(at_home, int(activity[person]), *HOURS[Role(role[person])]))
        else:
            working.append(_day(at_home, room[SiteKind.SHOP], *SHOPPING))
        weekend.append(_day(at_home, room[SiteKind.LEISURE], *OUTING) if person % 2 == 0 else [(at_home, 0, 96)])
    labels = [SiteKind(k).name.lower().replace("_", " ") for k in kind.tolist()]
    layers = {
        "zones": geopandas.GeoDataFrame(
            {"name": ["South West", "South East", "North West", "North East"]}, geometry=squares, crs=CRS
        ),
        "sites": geopandas.GeoDataFrame(
            {"name": [f"{label.capitalize()} 1" for label in labels], "kind": labels, "capacity": sites["capacity"]},
            geometry=geopandas.points_from_xy(sites["x"], sites["y"]),
            crs=CRS,
        ),
    }
    info = CityInfo(
        name=name,
        crs=CRS,
        bounds=(WEST, SOUTH, WEST + SIDE, SOUTH + SIDE),
        seed=0,
        week=(0, 0, 0, 0, 0, 1, 1),
        day_types=("working day", "weekend"),
    )
    tables = {
        "people": people,
        "households": {"first": first},
        "places": places,
        "sites": sites,
        "buildings": buildings,
        "zones": zones,
        "nodes": nodes,
        "links": links,
    }
    return City(info, tables, [_schedule(days, len(places["kind"])) for days in (working, weekend)], layers)


def _zone(x, y):
    return ((x >= WEST + SIDE / 2) + 2 * (y >= SOUTH + SIDE / 2)).astype(np.int32)


def _node(x, y):
    return (np.rint((x - WEST) / 500) + 3 * np.rint((y - SOUTH) / 500)).astype(np.int32)


def _day(home, place, start, end):
    return [(home, 0, start), (place, start, end), (home, end, 96)]


def _schedule(days, places):
    visits = np.array([visit for day in days for visit in day], np.int64).reshape(-1, 3)
    first = np.concatenate([[0], np.cumsum([len(day) for day in days])]).astype(np.int32)
    return Schedule.from_visits(
        first, visits[:, 0].astype(np.int32), visits[:, 1].astype(np.uint8), visits[:, 2].astype(np.uint8), places
    )
