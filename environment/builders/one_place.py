"""A city where everybody is in one place: a boarding school, a ship, a barracks; and the well-mixed models of textbooks.

Everybody spends every day and night in one room. For those whom a policy keeps away from it there is a chamber each, the
home of a household of one, in the same building.
"""

import geopandas
import numpy as np
import shapely

from ..places import BuildingUse, PlaceKind, Role, SiteKind
from ..roads import Access, RoadRank
from ..schedules import SLOTS_PER_DAY, Schedule
from ..schema import CityError, CityInfo, CityParts
from .built_up import building_layer
from .synthetic import CRS, ORIGIN, road_layer

FEWEST, MOST = 2, 1_000_000  # people
OLDEST = 120  # years
GROWN_UP = 18  # years: age from which the place is one of work, below it a school
LEAST_SIDE = 100.0  # m, of the square of ground, assumed
GROUND_PER_PERSON = 50.0  # m2, assumed
FLOOR_PER_PERSON = 15.0  # m2, dormitory and common rooms together, assumed
LEVELS = 3.0  # storeys, assumed
WALKING_SPEED = 30 / 3.6  # m/s, limit on the lane around the house, assumed


def one_place(people: int, age: int, name: str | None = None) -> CityParts:
    """Make a city of one room in which everybody spends the whole day.

    The room is a class of a school if its people are younger than :data:`GROWN_UP`, else a workplace; a policy that closes
    ``school`` or ``work`` sends everybody to a chamber.

    Args:
        people: number of people, 2 to 1,000,000.
        age: age of each, in completed years.
        name: name of the city.

    Raises:
        CityError: if ``people`` or ``age`` is outside its range.
    """
    if not FEWEST <= people <= MOST:
        raise CityError(f"one place holds {FEWEST} to {MOST:,} people, not {people:,}")
    if not 0 <= age <= OLDEST:
        raise CityError(f"an age is 0 to {OLDEST} years, not {age}")
    young = age < GROWN_UP
    kind = PlaceKind.SECONDARY if young else PlaceKind.WORK
    side = max(LEAST_SIDE, float(np.sqrt(people * GROUND_PER_PERSON)))
    x, y = ORIGIN
    west, south, east, north = x - side / 2, y - side / 2, x + side / 2, y + side / 2

    def whole(value, dtype, rows=1):
        return np.full(rows, value, dtype)

    corners_x, corners_y = np.array([west, east, east, west]), np.array([south, south, north, north])
    nodes = {"x": corners_x, "y": corners_y}
    start = np.array([0, 1, 1, 2, 2, 3, 3, 0], np.int32)
    end = np.array([1, 0, 2, 1, 3, 2, 0, 3], np.int32)
    links = {
        "start": start,
        "end": end,
        "length": whole(side, np.float32, 8),
        "speed": whole(WALKING_SPEED, np.float32, 8),
        "lanes": whole(1, np.float32, 8),
        "rank": whole(RoadRank.RESIDENTIAL, np.uint8, 8),
        "access": whole(Access.CAR | Access.BICYCLE | Access.FOOT, np.uint8, 8),
        "way": np.arange(8, dtype=np.int64) // 2,
    }
    where = {"zone": whole(0, np.int32), "node": whole(0, np.int32), "x": whole(x, float), "y": whole(y, float)}
    buildings = {
        "use": whole(BuildingUse.SCHOOL if young else BuildingUse.WORK, np.uint8),
        "levels": whole(LEVELS, np.float32),
        "floor_area": whole(people * FLOOR_PER_PERSON, np.float32),
        "dwellings": whole(people, np.int32),
        **where,
    }
    sites = {
        "kind": whole(SiteKind(kind), np.uint8),
        "building": whole(0, np.int32),
        "capacity": whole(people, np.int32),
        **where,
    }
    places = people + 1
    persons = np.arange(people, dtype=np.int32)
    tables = {
        "people": {
            "age": whole(age, np.uint8, people),
            "sex": (persons % 2).astype(np.uint8),
            "role": whole(Role.SECONDARY if young else Role.WORKER, np.uint8, people),
            "household": persons,
            "activity": whole(people, np.int32, people),
        },
        "households": {"first": np.arange(people + 1, dtype=np.int32)},
        "places": {
            "kind": np.append(whole(PlaceKind.HOME, np.uint8, people), np.uint8(kind)),
            "site": np.append(whole(-1, np.int32, people), np.int32(0)),
            "building": whole(0, np.int32, places),
            "zone": whole(0, np.int32, places),
            "x": whole(x, float, places),
            "y": whole(y, float, places),
        },
        "sites": sites,
        "buildings": buildings,
        "zones": {"area": whole(side**2, float), "x": whole(x, float), "y": whole(y, float)},
        "nodes": nodes,
        "links": links,
    }
    schedule = Schedule.from_visits(
        np.arange(people + 1, dtype=np.int32),
        whole(people, np.int32, people),
        whole(0, np.uint8, people),
        whole(SLOTS_PER_DAY, np.uint8, people),
        places,
    )
    title = name or f"one place of {people:,}"
    layers = {
        "zones": geopandas.GeoDataFrame({"name": [title]}, geometry=[shapely.box(west, south, east, north)], crs=CRS),
        "buildings": lambda: building_layer(buildings, CRS),
        "roads": lambda: road_layer(nodes, links, CRS),
        "sites": lambda: geopandas.GeoDataFrame(
            {"name": [title], "kind": [SiteKind(kind).name.lower()], "capacity": sites["capacity"]},
            geometry=[shapely.Point(x, y)],
            crs=CRS,
        ),
    }
    info = CityInfo(title, CRS, (west, south, east, north), 0, (0,) * 7, ("every day",))
    return CityParts(info, tables, [schedule], layers)
