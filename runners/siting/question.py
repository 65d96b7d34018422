"""What ``citytwin site`` is asked: the city, the rules that plans are judged by, and the fleet to be placed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from ...agents.parts import Seconds
from ...agents.response.fleet import PEOPLE_PER_UNIT, Fleets, service_of
from ...agents.response.kinds import SERVICES, ServiceName
from ...agents.response.scenes import Scenes
from ...agents.response.settings import MOST_UNITS, FleetSettings, ResponseSettings
from ...agents.response.siting.plan import SitingError
from ...agents.streets_today import StreetsToday
from ...environment.city import City
from ...environment.network.network import Network
from ...environment.network.of_city import network_of_city
from ...environment.places import SiteKind
from ..model import CityModel
from ..scenarios.cities import prepare_cities
from ..scenarios.scenario import Scenario
from ..scenarios.scenario_files import files_of
from ..scenarios.street_designs import SECTION as DESIGN

if TYPE_CHECKING:
    from .sites import Sites

_UNITS = re.compile(r"(\d+)(?:\s*-\s*(\d+))?")
MOST_SIZES = 50
"""Fleet sizes compared at once."""


@dataclass(frozen=True)
class Question:
    """What is asked, checked.

    Attributes:
        city: the city, and ``bundle`` the folder where it lies.
        scenario: what plans are judged by: the section [response] alone, with the fleets that matter to the service.
        base: the scenario as it was told, which holds the files that ``scenario`` is made of.
        service: the service, and ``fleet`` the name of its fleet that is placed.
        streets: what traffic makes of the streets; nothing where the scenario has none.
        network, scenes: the streets, and the nodes of them that emergency vehicles reach.
        today: stations and units as they are; None if there are none.
    """

    city: City
    bundle: Path
    scenario: Scenario
    base: Scenario
    service: ServiceName
    fleet: str
    streets: StreetsToday
    network: Network
    scenes: Scenes
    today: Fleets | None

    @property
    def settings(self) -> ResponseSettings:
        """The section [response] that plans are judged by."""
        settings = self.scenario.processes["response"]
        assert isinstance(settings, ResponseSettings)
        return settings

    @property
    def working(self) -> int:
        """Units of the fleet that work in shifts; a plan has at least so many."""
        fleet = self.settings.fleet.get(self.fleet)
        return 0 if fleet is None else sum(shift.units for shift in fleet.shifts)

    @property
    def units_today(self) -> int:
        """Units that there are, or that the people of the city need where there are none."""
        if self.today is None:
            return max(round(len(self.city.people) / PEOPLE_PER_UNIT[self.service]), 1)
        return len(self.today.station)

    def stands_today(self, units: int) -> NDArray[np.int64]:
        """Return how many of so many units stand at each of today's stations, (stations,).

        As today if their number is; else they are shared out by the people who live nearest to each station.

        Raises:
            SitingError: if there are no stations today.
        """
        if self.today is None:
            raise SitingError(f"the city has no {self.service} station")
        today = self.today
        if units != self.units_today:
            fleet = self.settings.fleet.get(self.fleet, FleetSettings())
            stations = fleet.stations and tuple(s.model_copy(update={"units": None}) for s in fleet.stations)
            changed = fleet.model_copy(update={"units": units - self.working, "stations": stations})
            today = Fleets(self.city, {self.fleet: changed}, (self.service,), self.scenes, self.scenario.seed)
        return np.bincount(today.station, minlength=len(today.stations))

    def of_plan(self, sites: "Sites", units: NDArray[np.int64]) -> dict[str, Any]:
        """Return the scenario in which the fleet stands as a plan says, as :meth:`Scenario.from_dict` takes it.

        Args:
            sites: the sites.
            units: (sites,) units at each.
        """
        rows = [sites.station(row) | {"units": int(units[row])} for row in np.flatnonzero(units).tolist()]
        data = self.scenario.to_dict()
        response = data["response"]
        stands = {"units": int(units.sum()) - self.working, "stations": rows}
        fleets = response["fleet"] | {self.fleet: response["fleet"].get(self.fleet, {}) | stands}
        return data | {"response": response | {"fleet": fleets}}


def units_of(text: str) -> list[int]:
    """Return the fleet sizes of a text such as ``8,10,12`` or ``8-14``, rising.

    Raises:
        SitingError: if it is none, or names more than :data:`MOST_SIZES` sizes.
    """
    sizes: set[int] = set()
    for part in text.split(","):
        match = _UNITS.fullmatch(part.strip())
        low = int(match[1]) if match else 0
        high = int(match[2] or low) if match else 0
        if not 1 <= low <= high <= MOST_UNITS:
            raise SitingError(
                f"--units {text}: write how many units there are to be, from 1 to {MOST_UNITS:,}, as in 12, 8,10,12 or 8-14"
            )
        sizes |= set(range(low, high + 1))
    if len(sizes) > MOST_SIZES:
        raise SitingError(
            f"--units {text}: these are {len(sizes)} fleet sizes; at most {MOST_SIZES} are compared at once"
        )
    return sorted(sizes)


def read_question(where: str, service: str, folder: Path, *, standard: str | None = None, days: int = 14) -> Question:
    """Read city and scenario.

    Args:
        where: a city bundle, or a scenario as ``citytwin run`` takes it.
        service: ambulance, fire or police.
        folder: where a city goes that has to be built first.
        standard: time from the call within which every call is to be reached, as ``"8 min"``; without, the scenario's
            targets by priority.
        days: days of each simulation.

    Raises:
        SitingError, ScenarioError, CityError, CallError: naming what is wrong.
    """
    if service not in SERVICES:
        raise SitingError(f"--service {service}: there are {', '.join(SERVICES)}")
    kind = cast(ServiceName, service)
    targets = {} if standard is None else {"targets": [_standard(standard)]}
    base = _base(where, service)
    settings = base.processes.get("response", ResponseSettings())
    assert isinstance(settings, ResponseSettings)
    data, files = base.to_dict(), files_of([base])
    kept = {name: data[name] for name in ("name", "seed", "city", DESIGN) if name in data}
    clock, response = data.get("clock", {}), data.get("response", {})
    fleet, fleets, services = _fleets(settings, response.get("fleet", {}), kind)
    if any(settings.dispatch.move(name).move_up == "compliance" for name in services):
        raise SitingError(
            "response.dispatch.move_up: a compliance table names stations that plans may give up; "
            'write "home" or "maximal cover" to compare plans'
        )
    parts = {"fleet": fleets, "services": services, "dispatch": _dispatch(response.get("dispatch", {}), services)}
    judged = {"clock": clock | {"days": days}, "response": response | parts | targets}
    scenario = Scenario.from_dict(kept | judged, files)
    bundle = prepare_cities([base.city], folder)[0]
    city = City.load(bundle)
    network = network_of_city(city)
    scenes = Scenes(city, network)
    streets = StreetsToday()
    if "traffic" in base.processes:
        one_day = {"clock": clock | {"days": 1}, "traffic": data["traffic"]}
        model = CityModel(Scenario.from_dict(kept | one_day, files), city, base.seed)
        model.run()
        streets = model.streets_today
    own = {name: told for name, told in settings.fleet.items() if name == fleet}
    today = None
    if np.any(city.sites.kind == SiteKind(SERVICES[kind])) or any(told.stations is not None for told in own.values()):
        today = Fleets(city, own, (kind,), scenes, scenario.seed)
    return Question(city, bundle, scenario, base, kind, fleet, streets, network, scenes, today)


def _base(where: str, service: str) -> Scenario:
    """Return the scenario, or for a city one in which the service works by the rules that are shipped."""
    if not Path(where).is_dir():
        base = Scenario.load(where).at_point({})
        base.check_files()
        return base
    name = City.load(where).info.name[:50]
    bundle = {"bundle": str(Path(where).resolve())}
    return Scenario.from_dict({"name": name, "city": bundle, "response": {"services": [service]}})


def _standard(text: str) -> str:
    try:
        seconds = TypeAdapter(Seconds).validate_python(text)
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise SitingError(f"--standard: {message}") from None
    if not 0 < seconds <= 86_400:
        raise SitingError(f"--standard {text}: must be above 0, at most 24 h")
    return text


def _dispatch(told: Mapping[str, Any], services: list[ServiceName]) -> dict[str, Any]:
    """Return the rules of dispatch without those of services that do not matter."""
    rules = {name: rule for name, rule in told.get("services", {}).items() if name in services}
    return {**told, "services": rules}


def _fleets(
    settings: ResponseSettings, told: Mapping[str, Any], service: ServiceName
) -> tuple[str, dict[str, Any], list[ServiceName]]:
    """Return the fleet to place, the fleets that matter to its calls, and their services."""
    own = [n for n, f in settings.fleet.items() if service_of(n, f) == service and not f.neighbour]
    if len(own) > 1:
        raise SitingError(
            f"response.fleet: {', '.join(own)} all belong to the service {service}; plans are for one fleet, so join "
            "them or mark the others as neighbours"
        )
    matter = {
        name: told[name]
        for name, fleet in settings.fleet.items()
        if service_of(name, fleet) == service or service in fleet.helps
    }
    services: set[ServiceName] = {service, *(service_of(name, settings.fleet[name]) for name in matter)}
    return own[0] if own else service, matter, sorted(services)
