"""The city model: a Mesa model in which a scenario happens in a city."""

import datetime
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mesa
import numpy as np
from numpy.typing import NDArray

from ..agents.authorities import Authority
from ..agents.citizens import Citizen
from ..agents.hospitals import Hospitals
from ..agents.presence import Presence
from ..agents.process import Process
from ..agents.rows import RowModel, RowSet
from ..environment.city import City
from .cities import build_city
from .processes import process_class
from .scenario import Scenario

if TYPE_CHECKING:
    from mesa_geo import GeoSpace

Outputs = dict[str, dict[str, NDArray[Any]]]
ZONE_TABLE = "zone_series"


class CityModel(RowModel):
    """A scenario happening in a city: citizens, an authority, and the processes that move the city forward.

    Every draw depends on the seed alone, so one scenario, city and seed give the same run on any number of threads.

    Args:
        scenario: a Scenario, the path of its file, or the name of a shipped one.
        city: where it happens; without it the scenario's city is built or loaded.
        seed: seed of the run; without it ``rng`` if that is a whole number, else the scenario's seed.
        threads: threads that kernels may use.
        citizen_class: class of the citizens, Citizen or one derived from it.
        rng: as for ``mesa.Model``; use ``seed``.

    Attributes:
        scenario: the scenario.
        city: the city at rest.
        seed_number: the seed of every draw.
        citizens: all citizens, row for row the people of the city.
        day: day about to be simulated, 0 before the first step; during a step the day being simulated.
        time_of_day: seconds since midnight at which ``citizen.place`` and ``citizen.geometry`` look; yours to set.
        presence: who is where on the day.
        authority: the agent that decides which policies are in force.
        hospitals: beds and who lies in them; None if the scenario does not limit beds.
        processes: in the order in which they advance.
        datacollector: Mesa's collector with the figures of every step; one of your own in its place is yours to fill.

    Raises:
        ScenarioError: if the scenario is wrong.
        CityError: if the city cannot be built or loaded.
        TypeError: if scenario, city or class of citizens is none.
        ValueError: if scenario and city do not fit each other.
    """

    running: bool

    def __init__(
        self,
        scenario: Scenario | str | Path,
        city: City | None = None,
        seed: int | None = None,
        *,
        threads: int = 1,
        citizen_class: type[Citizen] = Citizen,
        rng: Any = None,
    ):
        _check_kinds(scenario, city, citizen_class)
        if not isinstance(scenario, Scenario):
            scenario = Scenario.load(scenario)
        super().__init__(rng=_seed(seed, rng, scenario.seed))
        self.scenario = scenario
        self.city = build_city(scenario.city) if city is None else city
        scenario.check_people(len(self.city.people))
        self.threads = threads
        self.day = 0
        self.time_of_day = 0.0
        self.presence = Presence(self.city, self.seed_number, threads, first_weekday=scenario.clock.start.weekday())
        self.citizens: RowSet = citizen_class.of_city(self, self.city, compliance=self.presence.compliance)
        self.hospitals: Hospitals | None = None
        if scenario.hospitals is not None:
            self.hospitals = Hospitals(self.city, scenario.hospitals, self.citizens.table, self.seed_number)
        self.authority = Authority(self, scenario.policies)
        self.processes: list[Process] = []
        for section, settings in scenario.processes.items():
            self.processes.append(process_class(section)(self, settings))
        self._space: GeoSpace | None = None
        self._series: list[dict[str, Any]] = []
        self._zones: list[dict[str, NDArray[Any]]] = []
        names = self._figures()
        self._collector = mesa.DataCollector(model_reporters={name: partial(_latest, name) for name in names})
        self.datacollector = self._collector

    # ------------------------------------------------------------------ time

    @property
    def date(self) -> datetime.date:
        """Date of ``day``."""
        return self.scenario.clock.date(self.day)

    def step(self) -> None:
        """Simulate one step of the clock.

        The processes wake, which makes what changed overnight; authority and citizens decide; then the processes
        advance. Each time they come in their order.

        Raises:
            RuntimeError: if the clock has ended.
        """
        clock = self.scenario.clock
        if not self.running:
            raise RuntimeError(f"the clock has ended after {clock.days} days; a longer run needs a larger clock.days")
        start = self.day * clock.step
        if self.hospitals is not None:
            self.hospitals.begin_day()
        for process in self.processes:
            process.wake(start)
        self.authority.step()
        if self.citizens.table.cls.overrides("goes_out"):
            self.presence.confine([citizen.row for citizen in self.citizens if not _goes_out(citizen)])
        for process in self.processes:
            process.advance(start, start + clock.step)
        self._series.append({"day": self.day, "date": np.datetime64(self.date, "D")} | self._figures())
        if self.scenario.output.by_zone:
            self._zones.append(self._zone_figures())
        if self.datacollector is self._collector:  # a derived model that has set its own fills it itself
            self._collector.collect(self)
        self.day += 1
        self.running = self.day < clock.days

    def run(self) -> Outputs:
        """Step to the end of the clock and return what :meth:`outputs` then holds."""
        while self.running:
            self.step()
        return self.outputs()

    # ------------------------------------------------------------------ results

    def _figures(self) -> dict[str, int | float]:
        figures: dict[str, int | float] = dict(self.authority.series())
        for process in self.processes:
            _join(figures, process.series(), process)
        return figures

    def _zone_figures(self) -> dict[str, NDArray[Any]]:
        zones = len(self.city.zones)
        figures: dict[str, NDArray[Any]] = {
            "day": np.full(zones, self.day, np.int32),
            "date": np.full(zones, np.datetime64(self.date, "D")),
            "zone": np.arange(zones, dtype=np.int32),
        }
        for process in self.processes:
            _join(figures, process.zone_series(), process)
        return figures

    def outputs(self) -> Outputs:
        """Return the tables of the run so far: table name to column name to array, of one length within a table.

        ``summary`` has one row, ``series`` a row a step, ``zone_series`` a row a step and zone if the scenario asks for
        it, and there are the further tables of processes that it asks for.
        """
        summary: dict[str, Any] = {"people": len(self.city.people), "days": self.day}
        for process in self.processes:
            _join(summary, process.summary(), process)
        for policy in self.authority.policies:
            name = f"policy.{policy.name}"
            summary[f"days_in_force.{policy.name}"] = sum(row[name] for row in self._series)
        tables: Outputs = {
            "summary": {name: np.array([value]) for name, value in summary.items()},
            "series": {name: np.array([row[name] for row in self._series]) for name in self._series[0]}
            if self._series
            else {},
        }
        if self._zones:
            tables[ZONE_TABLE] = {name: np.concatenate([row[name] for row in self._zones]) for name in self._zones[0]}
        wanted = self.scenario.output.tables
        for process in self.processes:
            if wanted:
                tables |= {name: table for name, table in process.tables().items() if name in wanted}
        return tables

    # ------------------------------------------------------------------ space

    @property
    def space(self) -> "GeoSpace":
        """The city as a mesa-geo GeoSpace: its grid as a layer, zones, stations, schools and hospitals as agents."""
        if self._space is None:
            from ..agents.space import make_space

            self._space = make_space(self)
        return self._space


def _check_kinds(scenario: Any, city: Any, citizen_class: Any) -> None:
    """Refuse arguments of another kind, by name.

    Raises:
        TypeError: naming the argument and what is allowed.
    """
    if not isinstance(scenario, Scenario | str | Path):
        raise TypeError(f"scenario: a Scenario, a path or the name of a shipped one is wanted, not {scenario!r}")
    if city is not None and not isinstance(city, City):
        raise TypeError(f"city: a City is wanted, as City.load(path) returns, not {city!r}")
    if not (isinstance(citizen_class, type) and issubclass(citizen_class, Citizen)):
        raise TypeError(f"citizen_class: Citizen or a class derived from it is wanted, not {citizen_class!r}")


def _goes_out(citizen: Any) -> bool:
    """Return what a citizen decides.

    Raises:
        TypeError: if that is neither True nor False; a forgotten ``return`` would keep everybody at home.
    """
    decided = citizen.goes_out()
    if not isinstance(decided, bool | np.bool_):
        name = f"{type(citizen).__name__}.goes_out"
        raise TypeError(f"{name} returned {decided!r}; it must return True (goes out) or False (stays at home)")
    return bool(decided)


def _seed(seed: Any, rng: Any, default: int) -> int:
    """Return the seed of a run.

    Raises:
        ValueError: if what was given is no whole number from 0 to 2^63 − 1, which is as far as results hold seeds.
    """
    given = rng if seed is None else seed
    if given is None:
        return default
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or not 0 <= given < 2**63:
        wanted = "a whole number from 0 to 2^63 − 1 is wanted"
        raise ValueError(f"seed: {wanted}, not {given!r}; every draw depends on it alone")
    return int(given)


def _join(figures: dict[str, Any], more: Mapping[str, Any], process: Process) -> None:
    """Add the figures of a process to those of others."""
    for name, value in more.items():
        if name in figures:
            raise ValueError(f"process '{process.section}': there is a figure '{name}' already; it needs another name")
        figures[name] = value


def _latest(name: str, model: CityModel) -> int | float:
    """Return a figure of the latest step (a named function, so that models can be pickled)."""
    return model._series[-1][name]  # type: ignore[no-any-return]
