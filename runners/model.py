"""The city model: a Mesa model in which a scenario happens in a city."""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import mesa
import numpy as np
from numpy.typing import NDArray

from ..agents.authorities import Authority
from ..agents.citizens import Citizen
from ..agents.decisions import Decisions
from ..agents.emergencies import Emergencies
from ..agents.hospitals import Hospitals
from ..agents.lost_days import SORTS, LostDays
from ..agents.presence import Presence
from ..agents.process import Process
from ..agents.responders import Responder
from ..agents.response.decisions import Dispatcher
from ..agents.restrictions import home_workers
from ..agents.rows import RowModel, RowSet
from ..agents.streets_today import StreetsToday
from ..agents.vehicles import Vehicle
from ..environment.city import City
from .records import Outputs, Records
from .scenarios.cities import build_city
from .scenarios.own_classes import check_classes, check_dispatcher
from .scenarios.processes import process_class
from .scenarios.scenario import Scenario
from .storage.tables import StoreError

if TYPE_CHECKING:
    from mesa_geo import GeoSpace


@contextmanager
def _not_exiting() -> Iterator[None]:
    """Make a failure of a SystemExit of a class of one's own, which would end the program without a word."""
    try:
        yield
    except SystemExit as left:
        error = RuntimeError(f"SystemExit({left.code!r}) was raised, but a run ends by itself; raise another exception")
        for note in getattr(left, "__notes__", []):
            error.add_note(note)
        raise error.with_traceback(left.__traceback__) from None


class CityModel(RowModel):
    """A scenario happening in a city: citizens, an authority, and the processes that move the city forward.

    Every draw depends on the seed alone, so one scenario, city and seed give the same run on any number of threads.

    Args:
        scenario: a Scenario, the path of its file, or the name of a shipped one.
        city: where it happens; without it the scenario's city is built or loaded.
        seed: seed of the run; without it ``rng`` if that is a whole number, else the scenario's seed.
        threads: threads that kernels may use.
        citizen_class: class of the citizens, Citizen or one derived from it.
        vehicle_class: class of the vehicles, Vehicle or one derived from it; there are some where there is traffic.
        dispatcher_class: class of who sends emergency services, Dispatcher or one derived from it; Dispatcher itself lets
            the scenario say who decides.
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
        streets_today: what traffic made of the streets on the latest day.
        emergencies: what processes have noticed that somebody should come for.
        lost_days: int64 (3,) person-days of school, university and work lost on the latest day.
        datacollector: Mesa's collector with the figures of every step; one of your own in its place is yours to fill.

    Raises:
        ScenarioError: if the scenario is wrong.
        CityError: if the city cannot be built or loaded.
        TypeError: if scenario, city or class of citizens is none.
        ValueError: if scenario and city do not fit each other, or the class of dispatchers has nothing to decide.
    """

    not_saved = ("_space", "_in_step", "_first_day")

    running: bool

    def __init__(
        self,
        scenario: Scenario | str | Path,
        city: City | None = None,
        seed: int | None = None,
        *,
        threads: int = 1,
        citizen_class: type[Citizen] = Citizen,
        vehicle_class: type[Vehicle] = Vehicle,
        dispatcher_class: type[Dispatcher] = Dispatcher,
        rng: Any = None,
    ):
        own = {"citizen_class": citizen_class, "vehicle_class": vehicle_class, "dispatcher_class": dispatcher_class}
        _check_kinds(scenario, city)
        check_classes(own)
        if not isinstance(scenario, Scenario):
            scenario = Scenario.load(scenario)
        check_dispatcher(own, scenario)
        super().__init__(rng=_seed(seed, rng, scenario.seed))
        self.city = build_city(scenario.city) if city is None else city
        scenario.check_city(self.city)
        self.scenario = past = _past_of(scenario)
        self.threads = threads
        self.day = 0
        self.time_of_day = 0.0
        self.vehicle_class = vehicle_class
        self.dispatcher_class = dispatcher_class
        self.presence = Presence(self.city, self.seed_number, threads, first_weekday=scenario.clock.start.weekday())
        self.citizens: RowSet = citizen_class.of_city(self, self.city, compliance=self.presence.compliance)
        self.hospitals: Hospitals | None = None
        if scenario.hospitals is not None:
            self.hospitals = Hospitals(self.city, scenario.hospitals, self.citizens.table, self.seed_number)
        self.streets_today = StreetsToday()
        self.emergencies = Emergencies(wanted="response" in scenario.processes)
        self._decisions = Decisions(self.citizens.table, self.presence)
        self._lost_days = LostDays(self.city)
        self.lost_days: NDArray[np.int64] = np.zeros(len(SORTS), np.int64)
        self.authority = Authority(self, past.policies)
        self.processes: list[Process] = []
        with _not_exiting():
            for section, settings in scenario.processes.items():
                self.processes.append(process_class(section)(self, settings))
        self._space: GeoSpace | None = None
        self._records = Records(self)
        self._collector = self.datacollector = _collector(self._records)
        self._in_step = False
        if past is not scenario:
            self._follow(scenario)
        self._first_day = self.day

    @property
    def vehicles(self) -> RowSet:
        """All vehicles of the class ``vehicle_class``: none without a process of traffic.

        Where there is, each is where it was when the latest day ended, or at the moment last looked at.
        """
        return self.table(self.vehicle_class).agents

    @property
    def responders(self) -> RowSet:
        """All units of emergency services, where the latest day left them: none without a process of response."""
        return self.table(Responder).agents

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
            Exception: whatever a class of one's own raises, with a note of the day.
        """
        days = self.scenario.clock.days
        if not self.running:
            raise RuntimeError(f"the clock has ended after {days} days; a longer run needs a larger clock.days")
        self._in_step = True  # and stays so if the step fails
        try:
            with _not_exiting():
                self._make_step()
        except Exception as error:
            error.add_note(f"on day {self.day} ({self.date})")
            raise
        self.day += 1
        self.running = self.day < days
        self._in_step = False

    def _make_step(self) -> None:
        clock = self.scenario.clock
        start = self.day * clock.step
        self.presence.begin_day(self.day)
        if self.hospitals is not None:
            self.hospitals.begin_day()
        for process in self.processes:
            process.wake(start)
        self.authority.step()
        self._decisions.ask(self.day)
        self.lost_days = self._lost_days.count(
            self.presence, self.citizens.table.columns.get("health"), self._at_work()
        )
        for process in self.processes:
            process.advance(start, start + clock.step)
        self._records.note()
        if self.datacollector is self._collector:  # a derived model that has set its own fills it itself
            self._collector.collect(self)

    def _at_work(self) -> NDArray[np.bool_] | None:
        """Return who works from home today by a policy, (people,); None if nobody is told to."""
        told = [
            home_workers(policy.settings, self.presence, policy.followers(self))
            for policy in self.authority.policies
            if policy.in_force and policy.settings.effects & {"work_from_home", "level"}
        ]
        return np.logical_or.reduce(told) if told else None

    def run(self) -> Outputs:
        """Step to the end of the clock and return what :meth:`outputs` then holds."""
        while self.running:
            self.step()
        return self.outputs()

    # ------------------------------------------------------------------ saving

    def save(self, path: str | Path) -> None:
        """Save the model as it stands between two steps, to go on from there with :meth:`from_state`.

        All attributes of processes, policies, agents and of the model itself are saved; a class names those that are
        made again when they are wanted in ``not_saved``, see :class:`~citytwin.agents.process.Process`.

        Args:
            path: directory to make; it is there whole or not at all.

        Raises:
            SaveError: if something of the model cannot be saved; the message names it.
            RuntimeError: in the midst of a step, or after one that failed.
            StoreError: if there is something already, or the disk does not take it.
        """
        from .checkpoints.state import save

        self._check_between_steps()
        try:
            save(self, Path(path))
        except OSError as error:
            raise StoreError(f"{path}: cannot be written ({error.strerror or error}); nothing was kept") from None

    @classmethod
    def from_state(cls, path: str | Path, city: City | None = None, **options: Any) -> Self:
        """Make a model that goes on, to the bit, where a saved one stood.

        Args:
            path: what :meth:`save` made.
            city: the city; without it that of the scenario is built or loaded.
            **options: as for the class, ``threads`` and the classes of agents among them; classes and whatever was added
                to the model by hand must be as they were. See :meth:`restore` for a model with policies of one's own.

        Raises:
            StateError: if the state is damaged, or of another city or program.
        """
        from .checkpoints.files import read_head
        from .checkpoints.state import scenario_of

        head = read_head(path)
        model = cls(scenario_of(head), city, head["seed"], **options)
        model.restore(path)
        return model

    def restore(self, path: str | Path) -> None:
        """Go on, to the bit, where a saved model stood; this one was made like that one and has not been stepped.

        Raises:
            StateError: if the state is damaged, of another city or program, or does not fit; the model is of no use then.
            RuntimeError: if the model has been stepped.
        """
        from .checkpoints.state import restore

        if self.day != self._first_day or self._in_step:
            raise RuntimeError(f"the model stands on day {self.day}; a saved state goes into a model just made")
        restore(self, path)

    def _check_between_steps(self) -> None:
        if self._in_step:
            raise RuntimeError("a model is saved between two steps; this one is in the midst of one, or one failed")

    def _follow(self, scenario: Scenario) -> None:
        """Go on from a past that was saved, under a scenario of one's own."""
        from .checkpoints.branch import follow

        follow(self, scenario)
        self._records.match()
        self._collector = self.datacollector = _collector(self._records)

    # ------------------------------------------------------------------ results

    def outputs(self) -> Outputs:
        """Return the tables of the run so far: table name to column name to array, of one length within a table.

        ``summary`` has one row and ``series`` a row a step. Where the scenario asks for them there are ``zone_series``
        and ``age_series`` (a row a step and zone or age group), ``hospital_series`` (a row a step and hospital),
        ``cells`` (a row a grid cell where people live), and the further tables of processes.
        """
        return self._records.tables()

    # ------------------------------------------------------------------ space

    @property
    def space(self) -> "GeoSpace":
        """The city as a mesa-geo GeoSpace: its grid as a layer, zones, stations, schools and hospitals as agents."""
        if self._space is None:
            from ..agents.space import make_space

            self._space = make_space(self)
        return self._space


def _check_kinds(scenario: Any, city: Any) -> None:
    """Refuse arguments of another kind, by name.

    Raises:
        TypeError: naming the argument and what is allowed.
    """
    if not isinstance(scenario, Scenario | str | Path):
        raise TypeError(f"scenario: a Scenario, a path or the name of a shipped one is wanted, not {scenario!r}")
    if city is not None and not isinstance(city, City):
        raise TypeError(f"city: a City is wanted, as City.load(path) returns, not {city!r}")


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


def _past_of(scenario: Scenario) -> Scenario:
    """Return the scenario that a run begins with: another one where it goes on from a saved past."""
    if scenario.clock.from_ is None:
        return scenario
    from .checkpoints.branch import past_of

    return past_of(scenario)


def _collector(records: Records) -> mesa.DataCollector:
    """Return Mesa's collector of the figures of every step, with those of the steps so far."""
    names = records.figures()
    collector = mesa.DataCollector(model_reporters={name: partial(_latest, name) for name in names})
    for row in records.series:
        for name in names:
            collector.model_vars[name].append(row[name])
    return collector


def _latest(name: str, model: CityModel) -> int | float:
    """Return a figure of the latest step (a named function, so that models can be pickled)."""
    return model._records.series[-1][name]  # type: ignore[no-any-return]
