"""Fleets: which units there are, where their stations are, and when they are on duty."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...environment.builders.households import quota
from ...environment.places import SiteKind
from ...environment.randomness import key, uniforms
from .dispatch import FIRST_SERVICE, Fleet
from .kinds import SERVICES, ServiceName
from .scenes import CallError, Scenes
from .settings import FleetSettings, StationSettings, most_at_once

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...environment.city import City

DAY = 86_400.0
PEOPLE_PER_UNIT: dict[ServiceName, int] = {"ambulance": 25_000, "fire": 20_000, "police": 12_500}
"""Residents for whom there is one unit on duty where a scenario does not say (assumed)."""
CREW: dict[ServiceName, int] = {"ambulance": 2, "fire": 4, "police": 2}
"""People in a unit; four in an engine by NFPA 1710, the others assumed."""
FARTHEST = 3600.0
"""Seconds on foot from the nearest street beyond which a station or hospital lies off the streets (assumed)."""
NORMAL = 0
"""Mode of travel without lights."""


class FleetError(CallError):
    """Fleets that cannot be; the message names what is wrong and the remedy."""


@dataclass(frozen=True)
class Stations:
    """Stations, one row each.

    Attributes:
        name: what they are called.
        site: int32 institution of the city, −1 for none.
        x, y: float64 m in the city's CRS.
        node: int32 node of the streets.
        zone: int32 zone of the city, −1 outside.
    """

    name: tuple[str, ...]
    site: NDArray[np.int32]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    node: NDArray[np.int32]
    zone: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.name)


class Fleets:
    """All units of a city.

    Args:
        city: the city.
        settings: fleets by name, in the order in which units are numbered.
        services: services that take part; None for those that have stations or a fleet.
        scenes: finds nodes.
        seed: seed of the run.

    Attributes:
        stations: where units stand.
        names: names of the fleets.
        of: int32 (units,) fleet of each unit.
        service: uint8 (units,) ``responders.Service``.
        neighbour: bool (units,) whether it belongs to the next town's.
        station: int32 (units,).
        crew: int32 (units,) people.
        services: names of the services that there are.
        skills: names of skills, a bit each.
        hours: int32 (units, 2) when the shift of each begins and ends, seconds after midnight; 0 and a day for all day.
        driving: for each mode of travel the speed over that of others on empty streets, and the share of their delay.

    Raises:
        FleetError: if a station is not there or off the streets, or there are too many skills.
    """

    def __init__(
        self,
        city: "City",
        settings: "Mapping[str, FleetSettings]",
        services: tuple[ServiceName, ...] | None,
        scenes: Scenes,
        seed: int,
    ):
        self._city, self._scenes = city, scenes
        self.fleets = _with_defaults(city, settings, services)
        if not self.fleets:
            raise FleetError(
                "nobody can come: the city has no ambulance, fire or police station; say where units stand, for example "
                '[response.fleet.ambulance] stations = [{ name = "North", longitude = 5.9, latitude = 52.5, units = 2 }]'
            )
        self.names = tuple(self.fleets)
        found = [self._stations(name, fleet) for name, fleet in self.fleets.items()]
        self.stations = _joined_stations(found)
        self.skills = tuple(sorted({skill for fleet in self.fleets.values() for skill in fleet.skills}))
        if len(self.skills) > 8:
            raise FleetError(f"there are {len(self.skills)} skills in all ({', '.join(self.skills)}); at most 8 may be")
        self.driving: list[tuple[float, float]] = [(1.0, 1.0)]
        self._numbers(found)
        self._key = key(seed, "crew stays away")
        self._on = np.ones(len(self.station), bool)

    # ------------------------------------------------------------------ making

    def _stations(self, name: str, fleet: FleetSettings) -> tuple[Stations, NDArray[np.int64]]:
        """Return the stations of a fleet and the units that are asked for there, −1 where they are shared out."""
        service = service_of(name, fleet)
        kind = SiteKind(SERVICES[service])
        sites = np.flatnonzero(self._city.sites.kind == kind)
        known = _site_names(self._city)
        if fleet.stations is None:
            names = [known.get(int(site), f"{service} {number + 1}") for number, site in enumerate(sites)]
            return self._at(names, sites, self._city.sites.x[sites], self._city.sites.y[sites], name), np.full(
                len(sites), -1
            )
        rows = [self._place(name, number, station, known, sites) for number, station in enumerate(fleet.stations)]
        names = [
            station.name or known.get(row[0], f"{name} {n + 1}")
            for n, (station, row) in enumerate(zip(fleet.stations, rows, strict=True))
        ]
        units = np.array([-1 if station.units is None else station.units for station in fleet.stations])
        site, x, y = (np.array(column) for column in zip(*rows, strict=True))
        return self._at(names, site, x, y, name), units

    def _place(
        self, fleet: str, number: int, station: StationSettings, known: dict[int, str], sites: NDArray[np.int64]
    ) -> tuple[int, float, float]:
        """Return site (−1 for none), x and y of a station."""
        where = f"response.fleet.{fleet}.stations[{number}]"
        table = self._city.sites
        if station.x is not None and station.y is not None:
            return -1, station.x, station.y
        if station.longitude is not None and station.latitude is not None:
            from pyproj import Transformer

            change = Transformer.from_crs("EPSG:4326", self._city.info.crs, always_xy=True)
            x, y = change.transform(station.longitude, station.latitude)
            return -1, float(x), float(y)
        site = station.site
        if site is None:
            site = next((row for row in sites.tolist() if known.get(row) == station.name), None)
            if site is None:
                there = ", ".join(repr(known.get(int(row), f"site {row}")) for row in sites[:20]) or "none"
                raise FleetError(f"{where}: the city has no such station '{station.name}'; there are: {there}")
        if not 0 <= site < len(table):
            raise FleetError(f"{where}: there is no site {site}; the city has 0 … {len(table) - 1}")
        return int(site), float(table.x[site]), float(table.y[site])

    def _at(self, names: list[str], site: ArrayLike, x: ArrayLike, y: ArrayLike, fleet: str) -> Stations:
        x, y = np.asarray(x, float), np.asarray(y, float)
        west, south, east, north = self._city.info.bounds
        margin = max(east - west, north - south, 5_000.0)
        for number, name in enumerate(names):
            inside = west - margin <= x[number] <= east + margin and south - margin <= y[number] <= north + margin
            if not inside:
                raise FleetError(
                    f"response.fleet.{fleet}: station '{name}' at ({x[number]:.0f}, {y[number]:.0f}) m lies far off the "
                    f"city, which reaches from ({west:.0f}, {south:.0f}) to ({east:.0f}, {north:.0f}) in "
                    f"{self._city.info.crs}"
                )
        scene = self._scenes.at_points(x, y)
        for number, name in enumerate(names):
            if scene.access[number] > FARTHEST:
                raise FleetError(
                    f"response.fleet.{fleet}: station '{name}' lies off the streets, an hour's walk from the nearest"
                )
        return Stations(tuple(names), np.asarray(site, np.int32), x, y, scene.node, scene.zone)

    def _numbers(self, found: list[tuple[Stations, NDArray[np.int64]]]) -> None:
        """Number the units."""
        home = self._city.people.household
        places = self._city.places
        columns: dict[str, list[NDArray[np.int64]]] = {name: [] for name in ("of", "station", "shift")}
        first = 0
        for number, ((name, fleet), (stations, asked)) in enumerate(zip(self.fleets.items(), found, strict=True)):
            service = service_of(name, fleet)
            working = sum(shift.units for shift in fleet.shifts)
            total = fleet.units
            if total is None and (asked >= 0).all():
                total = int(asked.sum()) - working
            if total is None:
                total = max(round(len(self._city.people) / PEOPLE_PER_UNIT[service]), len(stations)) - working
            given = np.maximum(asked, 0)
            left = max(total, 0) + working - int(given.sum())
            if left < 0 or (left > 0 and not (asked < 0).any()):
                raise FleetError(
                    f"response.fleet.{name}: {max(total, 0) + working} units, but its stations hold {int(given.sum())}; "
                    "let both agree, or leave one out"
                )
            if left:
                near = (
                    np.argmin(
                        np.hypot(places.x[home][:, None] - stations.x, places.y[home][:, None] - stations.y), axis=1
                    )
                    if len(home)
                    else np.zeros(0, np.int64)
                )
                weight = np.where(asked < 0, np.bincount(near, minlength=len(stations)) + 1, 0)
                given = given + _at_least_one(weight, left)
            most = max(total, 0) + most_at_once(fleet.shifts)
            if fleet.crews is not None and most > fleet.crews:
                raise FleetError(
                    f"response.fleet.{name}.crews: {most} units are on duty at once, but there are {fleet.crews} crews; "
                    "raise crews, or say how many units there are"
                )
            columns["station"].append(first + np.repeat(np.arange(len(stations)), given))
            units = int(given.sum())
            columns["of"].append(np.full(units, number))
            shift = np.full(units, -1)
            # shifts are spread over the stations
            turn = np.argsort((np.arange(units) * 0.6180339887498949) % 1.0, kind="stable")[:working]
            shift[turn] = np.repeat(np.arange(len(fleet.shifts)), [s.units for s in fleet.shifts])[: len(turn)]
            columns["shift"].append(shift)
            first += len(stations)
        self.of = np.concatenate(columns["of"]).astype(np.int32)
        same, self.stations = _once(self.stations)
        self.station = same[np.concatenate(columns["station"])].astype(np.int32)
        self._shift = np.concatenate(columns["shift"])
        settings = list(self.fleets.items())
        self.service = np.array([SERVICES[service_of(*settings[fleet])] for fleet in self.of], np.uint8)
        self.neighbour = np.array([fleet.neighbour for _, fleet in settings])[self.of]
        self.crew = np.array([settings[f][1].crew or CREW[service_of(*settings[f])] for f in self.of], np.int32)
        self.hours = np.tile(np.array([0, int(DAY)], np.int32), (len(self.of), 1))
        for unit in np.flatnonzero(self._shift >= 0):
            works = settings[self.of[unit]][1].shifts[self._shift[unit]]
            self.hours[unit] = works.start, works.end
        there = {service_of(name, fleet) for name, fleet in self.fleets.items()}
        self.services: tuple[ServiceName, ...] = tuple(name for name in SERVICES if name in there)

    def of_service(self, service: ServiceName) -> NDArray[np.bool_]:
        """Return which units are the city's own of a service."""
        return (self.service == SERVICES[service]) & ~self.neighbour

    def most_on_duty(self, service: ServiceName) -> int:
        """Return how many of the city's own units of a service are on duty at once at most, all crews there."""
        mine = [
            (number, fleet)
            for number, (name, fleet) in enumerate(self.fleets.items())
            if service_of(name, fleet) == service and not fleet.neighbour
        ]
        always = np.isin(self.of, [number for number, _ in mine]) & (self._shift < 0)
        return int(always.sum()) + most_at_once(tuple(shift for _, fleet in mine for shift in fleet.shifts))

    def skills_of(self, service: ServiceName) -> list[set[str]]:
        """Return the skills that the crews of each fleet of a service have, and of those that help it."""
        return [
            set(fleet.skills)
            for number, (name, fleet) in enumerate(self.fleets.items())
            if (service_of(name, fleet) == service or service in fleet.helps) and np.any(self.of == number)
        ]

    def fleet(self) -> Fleet:
        """Return the units as the kernel takes them."""
        settings = list(self.fleets.values())
        bit = 1 << (self.service.astype(np.int32) - FIRST_SERVICE)
        helps = np.array([sum(1 << (SERVICES[s] - FIRST_SERVICE) for s in fleet.helps) for fleet in settings], np.int32)
        skills = np.array(
            [sum(1 << self.skills.index(skill) for skill in fleet.skills) for fleet in settings], np.int32
        )
        lights = []
        for fleet in settings:
            driving = (fleet.lights, fleet.delay_with_lights)
            if driving not in self.driving:
                self.driving.append(driving)
            lights.append(self.driving.index(driving))
        return Fleet(
            station=self.station,
            serves=np.where(self.neighbour, 0, bit).astype(np.int32),
            aids=helps[self.of] | np.where(self.neighbour, bit, 0).astype(np.int32),
            skills=skills[self.of],
            lights=np.array(lights, np.int32)[self.of],
            normal=np.full(len(self.of), NORMAL, np.int32),
            turnout_factor=np.array([fleet.turnout_factor for fleet in settings])[self.of],
        )

    # ------------------------------------------------------------------ days

    def duty(self, day: int, weekday: int, absent: "Mapping[int, float]") -> NDArray[np.float64]:
        """Return whose duty begins or ends on a day, (changes, 3): second, unit, 1 or 0; sorted.

        Args:
            day: day of the run.
            weekday: 0 for Monday.
            absent: share of the crews of a service who stay away, by its number; a neighbour's as many (assumed: the
                epidemic does not end at the city's border).
        """
        start = day * DAY
        settings = list(self.fleets.values())
        away = np.zeros(len(self.of), bool)
        luck = uniforms(self._key, np.arange(len(self.of)), day)
        for service, share in absent.items():
            rows = np.flatnonzero(self.service == service)
            order = rows[np.argsort(luck[rows], kind="stable")]
            away[order[: round(share * len(rows))]] = True
        changes: list[tuple[float, int, int]] = []
        for unit in range(len(self.of)):
            if away[unit]:
                spans = []
            elif self._shift[unit] < 0:
                spans = [(0.0, DAY)]
            else:
                shift = settings[self.of[unit]].shifts[self._shift[unit]]
                spans = _spans(shift.start, shift.end, weekday in shift.weekdays, (weekday - 1) % 7 in shift.weekdays)
            on = bool(self._on[unit])
            for begin, end in spans:
                if begin > 0 and on:
                    changes.append((start, unit, 0))
                    on = False
                if not on:
                    changes.append((start + begin, unit, 1))
                    on = True
                if end < DAY:
                    changes.append((start + end, unit, 0))
                    on = False
            if not spans and on:
                changes.append((start, unit, 0))
                on = False
            self._on[unit] = on
        return np.array(sorted(changes, key=lambda change: change[0]), float).reshape(-1, 3)


def service_of(name: str, fleet: FleetSettings) -> ServiceName:
    """Return the service of a fleet, which is its name where it does not say."""
    return fleet.service or name  # type: ignore[return-value]  # settings have made sure


def _with_defaults(
    city: "City", settings: "Mapping[str, FleetSettings]", services: tuple[ServiceName, ...] | None
) -> dict[str, FleetSettings]:
    """Return the fleets of a scenario, and those of other services that take part."""
    fleets = dict(settings)
    told = {service_of(name, fleet) for name, fleet in fleets.items() if not fleet.neighbour}
    for service, number in SERVICES.items():
        stands = np.any(city.sites.kind == SiteKind(number))
        if service in told or not (stands if services is None else service in services):
            continue
        if not stands:
            raise FleetError(
                f"response.services: the city has no {service} station; say where its units stand, for example "
                f'[response.fleet.{service}] stations = [{{ name = "North", x = …, y = …, units = 2 }}]'
            )
        fleets[service] = FleetSettings()
    for name, fleet in fleets.items():
        if fleet.stations is None and not np.any(city.sites.kind == SiteKind(SERVICES[service_of(name, fleet)])):
            raise FleetError(
                f"response.fleet.{name}: the city has no {service_of(name, fleet)} station; say where its units stand: "
                'stations = [{ name = "North", x = …, y = … }]'
            )
    return fleets


def _site_names(city: "City") -> dict[int, str]:
    layer = city.layer("sites")
    if layer is None or "name" not in layer.columns:
        return {}
    return {number: str(name) for number, name in enumerate(layer["name"]) if isinstance(name, str) and name}


def _joined_stations(found: list[tuple[Stations, NDArray[np.int64]]]) -> Stations:
    stations = [part for part, _ in found]
    return Stations(
        tuple(name for part in stations for name in part.name),
        *(np.concatenate([getattr(part, name) for part in stations]) for name in ("site", "x", "y", "node", "zone")),
    )


def _once(stations: Stations) -> tuple[NDArray[np.int32], Stations]:
    """Return the row that each station then has, and each once that several fleets have in one place."""
    row: dict[tuple[float, float], int] = {}
    same = np.array([row.setdefault(at, len(row)) for at in zip(stations.x.tolist(), stations.y.tolist(), strict=True)])
    _, kept = np.unique(same, return_index=True)
    columns = (getattr(stations, name)[kept] for name in ("site", "x", "y", "node", "zone"))
    return same.astype(np.int32), Stations(tuple(stations.name[number] for number in kept), *columns)


def _at_least_one(weight: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Share out a number by weights, so that nobody with a weight goes away empty if there are enough."""
    open_ = weight > 0
    if total < open_.sum():
        return quota(weight, total)
    return open_.astype(np.int64) + quota(weight, total - int(open_.sum()))


def _spans(start: int, end: int, today: bool, yesterday: bool) -> list[tuple[float, float]]:
    """Return when a shift works on a day, in seconds after midnight."""
    if start < end:
        return [(float(start), float(end))] if today else []
    spans = [(0.0, float(end))] if yesterday and end > 0 else []
    if today:
        spans.append((float(start), DAY))
    if len(spans) == 2 and spans[0][1] >= spans[1][0]:
        return [(0.0, DAY)]
    return spans
