"""Sites, buildings, rooms and visits of a city while a design changes them. Residents and homes keep their numbers."""

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..builders.activities import (
    CLASS_QUANTILES,
    CLASS_SIZES,
    FLOOR_AREA_PER_JOB,
    LEVEL_SIZE,
    STUDY_GROUP,
    TEAM_SIZES,
)
from ..builders.days import near_venues
from ..places import BuildingUse, PlaceKind, Role, SiteKind
from ..randomness import key, uniforms
from ..schedules import Schedule

if TYPE_CHECKING:
    import geopandas

    from ..city import City

CLASS = float(np.interp(0.5, CLASS_QUANTILES, CLASS_SIZES))  # pupils, the median class of the builder
TEAM = sum(TEAM_SIZES) // 2  # people, the mean team of the builder
HOMES_A_BUILDING = 12  # dwellings of one new building, assumed
DWELLING_AREA = 80.0  # m2 of gross floor area, assumed
LEVELS = 4.0  # storeys of a new building, assumed
_ROLES = {
    SiteKind.KINDERGARTEN: Role.KINDERGARTEN,
    SiteKind.PRIMARY: Role.PRIMARY,
    SiteKind.SECONDARY: Role.SECONDARY,
    SiteKind.UNIVERSITY: Role.STUDENT,
}
_HOUSING = (BuildingUse.RESIDENTIAL, BuildingUse.MIXED)


class Rooms:
    """What a design may change of a city beside its streets.

    Attributes:
        sites, buildings, places: columns of these tables.
        activity: int32 (people,) place of each person.
        report: what was done, in words.
    """

    def __init__(self, city: "City", node_x: NDArray[np.float64], node_y: NDArray[np.float64]):
        self.city = city
        self.sites = {name: np.array(values) for name, values in city.sites.items()}
        self.buildings = {name: np.array(values) for name, values in city.buildings.items()}
        self.places = {name: np.array(values) for name, values in city.places.items()}
        self.activity = np.array(city.people.activity)
        self._visits = [np.array(schedule.place) for schedule in city.schedules]
        self._person = [np.repeat(np.arange(len(city.people)), np.diff(s.first)) for s in city.schedules]
        self._nodes = cKDTree(np.stack([node_x, node_y], 1)) if len(node_x) else None
        self._new_sites: list[tuple[str, str]] = []
        self._new_buildings = 0

    # ------------------------------------------------------------------ institutions

    def facility(self, values: dict[str, Any], point: shapely.Point) -> str:
        """Add an institution, its rooms, and those who learn, work and go there; return what was done."""
        kind = SiteKind[{"clinic": "hospital"}.get(values["kind"], values["kind"]).upper()]
        name = values["name"] or f"new {values['kind'].replace('_', ' ')}"
        jobs = values["jobs"]
        if kind in _ROLES:
            pupils = self._pupils(kind, values["places"], point)
            site = self._site(kind, point, name, values["places"])
            rooms = self._classes(kind, site, pupils)
            staff = self._staff(len(rooms) if jobs is None else jobs, point)
            self._move(staff, rooms[np.arange(len(staff)) % len(rooms)])
            return f"{len(pupils)} pupils and {len(staff)} teachers move to {name}"
        if jobs is None:
            jobs = round(values["floor_area"] / FLOOR_AREA_PER_JOB.get(kind, np.inf))
        site = self._site(kind, point, name, values["places"] or jobs)
        if kind > SiteKind.HOSPITAL:
            return f"{name} stands there"
        before = None
        if kind in (SiteKind.SHOP, SiteKind.LEISURE):
            before = near_venues(self.places, self.city.homes, int(kind))
        first = self._places(np.array([int(kind)]), site)
        staff = self._staff(jobs, point)
        self._team_up(staff, int(first[0]), kind, site)
        if before is None:
            return f"{_people(len(staff))} in {name}"
        return f"{_people(len(staff))} in {name}, visits that move there: {self._visitors(before, int(kind), int(first[0]))}"

    def _site(self, kind: SiteKind, point: shapely.Point, name: str, capacity: int | None) -> int:
        """Append a site and return its number; it stands in the nearest building within 50 m, if there is one."""
        building = -1
        if len(self.buildings["x"]):
            tree = cKDTree(np.stack([self.buildings["x"], self.buildings["y"]], 1))
            distance, near = tree.query([point.x, point.y])
            building = int(near) if distance <= 50.0 else -1
        row = {
            "kind": kind,
            "building": building,
            "zone": self.zone_of(point),
            "node": self._node(point),
            "capacity": capacity or 0,
            "x": point.x,
            "y": point.y,
        }
        self._append(self.sites, row)
        self._new_sites.append((name, kind.name.lower().replace("_", " ")))
        return len(self.sites["x"]) - 1

    def stop(self, name: str, point: shapely.Point) -> str:
        """Add a stop of public transport to the sites."""
        self._site(SiteKind.TRANSPORT_STOP, point, name, 0)
        return f"stop {name}"

    def _pupils(self, kind: SiteKind, places: int, point: shapely.Point) -> NDArray[np.int64]:
        """Return the pupils who change school: those to whom the new one is nearer than theirs, the nearest first."""
        who = np.flatnonzero((np.asarray(self.city.people.role) == _ROLES[kind]) & (self.activity >= 0))
        home = np.asarray(self.city.people.household)[who]
        x, y = self.places["x"], self.places["y"]
        new = np.hypot(x[home] - point.x, y[home] - point.y)
        school = self.activity[who]
        old = np.hypot(x[home] - x[school], y[home] - y[school])
        nearer = new < old
        order = np.lexsort((who[nearer], new[nearer]))
        return np.sort(who[nearer][order][:places])

    def _classes(self, kind: SiteKind, site: int, pupils: NDArray[np.int64]) -> NDArray[np.int32]:
        """Put pupils into classes by age, and return the rooms; a school without pupils has one."""
        size = STUDY_GROUP if kind == SiteKind.UNIVERSITY else LEVEL_SIZE[kind] * CLASS
        number = max(1, round(len(pupils) / size))
        rooms = self._places(np.full(number, int(kind)), site)
        by_age = pupils[np.lexsort((pupils, np.asarray(self.city.people.age)[pupils]))]
        self._move(by_age, rooms[np.arange(len(by_age)) * number // max(len(by_age), 1)])
        return rooms

    def _staff(self, jobs: int, point: shapely.Point) -> NDArray[np.int64]:
        """Return the workers who change to new jobs: of those in offices and the like, who live nearest."""
        workers = np.flatnonzero((np.asarray(self.city.people.role) == Role.WORKER) & (self.activity >= 0))
        workers = workers[self.places["kind"][self.activity[workers]] == PlaceKind.WORK]
        home = np.asarray(self.city.people.household)[workers]
        distance = np.hypot(self.places["x"][home] - point.x, self.places["y"][home] - point.y)
        return np.sort(workers[np.lexsort((workers, distance))][:jobs])

    def _team_up(self, staff: NDArray[np.int64], first: int, kind: SiteKind, site: int) -> None:
        """Give staff rooms: one team is with the visitors, others are behind the scenes."""
        teams = max(1, round(len(staff) / TEAM))
        further = kind if kind == SiteKind.HOSPITAL else PlaceKind.WORK
        rooms = np.concatenate([[first], self._places(np.full(teams - 1, int(further)), site)])
        self._move(staff, rooms[np.arange(len(staff)) * teams // max(len(staff), 1)])

    def _move(self, people: NDArray[np.int64], rooms: NDArray[Any]) -> None:
        """Send people elsewhere to learn or work, at the hours at which they did."""
        old = self.activity.copy()
        moved = np.zeros(len(old), bool)
        moved[people] = True
        self.activity[people] = rooms
        for visits, person in zip(self._visits, self._person, strict=True):
            at = moved[person] & (visits == old[person])
            visits[at] = self.activity[person[at]]

    def _visitors(self, before: tuple[NDArray[np.int32], NDArray[np.int32]], kind: int, new: int) -> int:
        """Move visits to a new venue, and return how many.

        Residents choose among the few venues nearest to home, each as likely as the others. Where the new one belongs to
        them, it takes the visits to the one that does not any more; where there were too few to choose among, every
        so-many-th visit.
        """
        homes = self.city.homes
        cell, near = before
        _, after = near_venues(self.places, homes, kind)
        gains = (after == new).any(1)
        household = np.asarray(self.city.people.household)
        known = len(np.unique(near[near >= 0]))
        share = 1.0 if known >= near.shape[1] else 1.0 / (known + 1)
        draw = key(self.city.info.seed, "visits to a new venue")
        total = 0
        for number, (visits, person) in enumerate(zip(self._visits, self._person, strict=True)):
            square = cell[household[person]]
            lost = np.zeros(len(visits), bool)
            for column in range(near.shape[1]):
                old = near[square, column]
                lost |= (visits == old) & ((after[square] != old[:, None]).all(1) | (share < 1.0))
            at = lost & gains[square] & (visits != self.activity[person])
            # whoever goes together, goes together still: the draw is the household's
            at[at] = uniforms(draw, household[person[at]].astype(np.int64), number) < share
            visits[at] = new
            total += int(at.sum())
        return total

    # ------------------------------------------------------------------ homes

    def dwellings(self, number: int, area: shapely.Geometry, seed_word: str) -> str:
        """Add dwellings in new buildings, and move households of the rest of the city in; return what was done.

        Who moves is drawn by chance. They keep their numbers, jobs and schools, and do their shopping near by.

        Raises:
            ValueError: if that is more than half of the households elsewhere.
        """
        homes = np.arange(self.city.homes)
        outside = homes[~shapely.contains_xy(area, self.places["x"][homes], self.places["y"][homes])]
        if number > len(outside) // 2:
            raise ValueError(
                f"dwellings: {number:,}, but only {len(outside):,} households live elsewhere; at most half of them move"
            )
        luck = uniforms(key(self.city.info.seed, f"movers: {seed_word}"), outside.astype(np.int64), 0)
        movers = np.sort(outside[np.argsort(luck, kind="stable")[:number]])
        count = -(-number // HOMES_A_BUILDING)
        points = _spread(area, count, key(self.city.info.seed, f"new buildings: {seed_word}"))
        share = np.bincount(np.arange(number) % count, minlength=count)
        first = len(self.buildings["x"])
        for point, dwellings in zip(points, share.tolist(), strict=True):
            row = {
                "use": BuildingUse.RESIDENTIAL,
                "levels": LEVELS,
                "floor_area": DWELLING_AREA * dwellings,
                "dwellings": dwellings,
                "zone": self.zone_of(point),
                "node": self._node(point),
                "x": point.x,
                "y": point.y,
            }
            self._append(self.buildings, row)
        self._new_buildings += count
        self._rehouse(movers, first + np.arange(number) % count)
        people = int(np.isin(np.asarray(self.city.people.household), movers).sum())
        return f"{number} dwellings in {count} buildings; {number} households ({people} people) move in from elsewhere"

    def land_use(self, values: dict[str, Any], area: shapely.Geometry, seed_word: str) -> str:
        """Change the use of buildings; return what was done. Households of homes that go move to the nearest housing."""
        inside = shapely.contains_xy(area, self.buildings["x"], self.buildings["y"])
        use = BuildingUse[values["use"].upper()]
        self.buildings["use"][inside] = use
        told = [f"{int(inside.sum())} buildings"]
        if use not in _HOUSING:
            homes = np.arange(self.city.homes)
            building = self.places["building"][homes]
            leaving = homes[(building >= 0) & inside[building]]
            self.buildings["dwellings"][inside] = 0
            housing = np.flatnonzero(self.buildings["dwellings"] > 0)
            if len(leaving) and not len(housing):
                raise ValueError("no dwellings are left in the city for those who must leave")
            if len(leaving):
                tree = cKDTree(np.stack([self.buildings["x"][housing], self.buildings["y"][housing]], 1))
                near = tree.query(np.stack([self.places["x"][leaving], self.places["y"][leaving]], 1))[1]
                self._rehouse(leaving, housing[near])
                told.append(f"{len(leaving)} households leave for the nearest housing")
        if values["dwellings"]:
            told.append(self.dwellings(values["dwellings"], area, seed_word))
        if values["jobs"]:
            point = area.representative_point()
            staff = self._staff(values["jobs"], point)
            site = self._site(SiteKind.WORK, point, "new workplaces", values["jobs"])
            self._team_up(staff, int(self._places(np.array([int(PlaceKind.WORK)]), site)[0]), SiteKind.WORK, site)
            told.append(f"{_people(len(staff))} there")
        return ", ".join(told)

    def _rehouse(self, homes: NDArray[np.int64], building: NDArray[np.int64]) -> None:
        """Move households to other buildings; what they visited near the old home they visit near the new one."""
        kinds = (int(PlaceKind.SHOP), int(PlaceKind.LEISURE))
        before = [near_venues(self.places, self.city.homes, kind) for kind in kinds]
        self.places["building"][homes] = building
        for column in ("x", "y", "zone"):
            self.places[column][homes] = self.buildings[column][building]
        moved = np.zeros(self.city.homes, bool)
        moved[homes] = True
        household = np.asarray(self.city.people.household)
        for kind, (old_cell, old) in zip(kinds, before, strict=True):
            cell, near = near_venues(self.places, self.city.homes, kind)
            for visits, person in zip(self._visits, self._person, strict=True):
                rows = np.flatnonzero(moved[household[person]] & (visits != self.activity[person]))
                home = household[person[rows]]
                done = np.zeros(len(rows), bool)
                for rank in range(old.shape[1]):
                    at = ~done & (visits[rows] == old[old_cell[home], rank]) & (near[cell[home], rank] >= 0)
                    visits[rows[at]] = near[cell[home[at]], rank]
                    done |= at

    # ------------------------------------------------------------------ rows

    def zone_of(self, point: shapely.Point) -> int:
        """Return the zone that a point lies in, or the nearest."""
        zones = self.city.layer("zones")
        if zones is not None and len(zones) == len(self.city.zones):
            return int(shapely.distance(zones.geometry.to_numpy(), point).argmin())
        return int(np.hypot(self.city.zones.x - point.x, self.city.zones.y - point.y).argmin())

    def _node(self, point: shapely.Point) -> int:
        return -1 if self._nodes is None else int(self._nodes.query([point.x, point.y])[1])

    def _places(self, kinds: NDArray[Any], site: int) -> NDArray[np.int32]:
        """Append rooms of a site and return their numbers."""
        first = len(self.places["x"])
        for kind in kinds.tolist():
            row = {name: self.sites[name][site] for name in ("building", "zone", "x", "y")}
            self._append(self.places, row | {"kind": kind, "site": site})
        return np.arange(first, first + len(kinds), dtype=np.int32)

    @staticmethod
    def _append(table: dict[str, NDArray[Any]], row: dict[str, Any]) -> None:
        for name, values in table.items():
            table[name] = np.append(values, np.asarray(row[name], values.dtype))

    # ------------------------------------------------------------------ back to a city

    def schedules(self) -> list[Schedule]:
        """Return the schedules with the visits as they are now; those that did not change stay the same."""
        count = len(self.places["x"])
        grown = count > len(self.city.places)
        return [
            Schedule.from_visits(old.first, visits, old.start, old.end, count)
            if grown or not np.array_equal(old.place, visits)
            else old
            for old, visits in zip(self.city.schedules, self._visits, strict=True)
        ]

    def site_layer(self) -> "geopandas.GeoDataFrame | None":
        """Return the layer ``sites`` with the new ones."""
        count = len(self._new_sites)
        first = len(self.sites["x"]) - count
        columns = {
            "name": [name for name, _ in self._new_sites],
            "kind": [kind for _, kind in self._new_sites],
            "capacity": self.sites["capacity"][first:],
        }
        shapes = shapely.points(self.sites["x"][first:], self.sites["y"][first:])
        return _extended(self.city.layer("sites"), columns, shapes)

    def building_layer(self) -> "geopandas.GeoDataFrame | None":
        """Return the layer ``buildings`` with the new ones, drawn as squares, and uses as they are now."""
        first = len(self.buildings["x"]) - self._new_buildings
        x, y = self.buildings["x"][first:], self.buildings["y"][first:]
        half = 0.5 * np.sqrt(self.buildings["floor_area"][first:] / self.buildings["levels"][first:])
        columns = {name: self.buildings[name][first:] for name in ("use", "levels", "dwellings")}
        old = self.city.layer("buildings")
        if old is None:
            return None
        now = {name: self.buildings[name][: len(old)] for name in ("use", "dwellings") if name in old.columns}
        layer = old.assign(**now) if len(old) == first else old
        return _extended(layer, columns, shapely.box(x - half, y - half, x + half, y + half))


def _extended(layer: "geopandas.GeoDataFrame | None", columns: dict[str, Any], shapes: Any) -> Any:
    """Return a layer with rows more; columns that these do not have are left empty."""
    import geopandas
    import pandas as pd

    if layer is None or not len(shapes):
        return layer
    kept = {name: values for name, values in columns.items() if name in layer.columns}
    for name in layer.columns:
        if name not in kept and name != "geometry":
            kept[name] = [""] * len(shapes) if layer[name].dtype.kind not in "iufb" else [0] * len(shapes)
    new = geopandas.GeoDataFrame(kept, geometry=shapes, crs=layer.crs)[list(layer.columns)]
    return pd.concat([layer, new.astype(layer.drop(columns="geometry").dtypes.to_dict())], ignore_index=True)


def _spread(area: shapely.Geometry, count: int, draw: Any) -> list[shapely.Point]:
    """Return points inside an area, drawn by chance: the same for the same key."""
    west, south, east, north = area.bounds
    points: list[shapely.Point] = []
    tries = 0
    while len(points) < count and tries < 200:
        rows = np.arange(tries * count, (tries + 1) * count)
        x = west + (east - west) * uniforms(draw, rows, 0)
        y = south + (north - south) * uniforms(draw, rows, 1)
        inside = shapely.contains_xy(area, x, y)
        points += shapely.points(x[inside], y[inside]).tolist()
        tries += 1
    return points[:count] if len(points) >= count else [area.representative_point()] * count


def _people(count: int) -> str:
    return "1 person works" if count == 1 else f"{count} people work"
