"""What a dispatcher decides, for those who want to decide otherwise than the rules of a scenario can say.

A class of one's own overrides a method; those that no class overrides cost nothing::

    class Careful(ct.Dispatcher):
        def choose_unit(self, task, units):
            return units[0].number if task.priority == 0 or len(units) > 3 else None

    ct.sweep(scenario, out="results", dispatcher_class=Careful)

So that scenario files can name it, a package adds it under a name::

    [project.entry-points."citytwin.dispatchers"]
    careful = "my_package.rules:Careful"
"""

import difflib
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple, NoReturn

import numpy as np

from ...environment.network.labels import NEVER, between
from ..extensions import EntryPointError, extensions, load_extension
from . import board
from .board import CHOOSE_HOSPITAL, CHOOSE_STATION, CHOOSE_TASK, CHOOSE_UNIT
from .dispatch import Centre
from .doors import BAYS, BEDS, BEDS_USED, DOOR, OFFERS, USED
from .readonly import RETURNS, read_only
from .tasks import COLUMNS
from .triage import Casualty, Rule, Triage
from .units import kept_back

ENTRY_POINTS = "citytwin.dispatchers"
RULES = "rules"
"""Name of no class: what a scenario's rules decide."""
HOOKS = {
    "choose_unit": CHOOSE_UNIT,
    "choose_hospital": CHOOSE_HOSPITAL,
    "choose_task": CHOOSE_TASK,
    "choose_station": CHOOSE_STATION,
}
"""Methods that the kernel asks, and the number of the question."""
DAY = 86_400


class Task:
    """A task as a dispatcher sees it: every column of :data:`~.tasks.COLUMNS` is an attribute.

    Attributes:
        number: row of the task.
        waited: seconds since it was ready.
    """

    __slots__ = ("_columns", "number", "waited")

    def __init__(self, centre: Centre, number: int, now: float):
        set_first = partial(object.__setattr__, self)
        set_first("number", number)
        set_first("_columns", centre.tasks)
        set_first("waited", now - float(self.ready))

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        read_only(self, name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in COLUMNS:
            raise AttributeError(f"a task has no column '{name}'; there are: {', '.join(COLUMNS)}")
        return getattr(self._columns, name)[self.number].item()


class UnitOption(NamedTuple):
    """A unit that could be sent.

    Attributes:
        number: its row.
        seconds: until it is at the scene.
        station: number of the station that it belongs to now.
        under_way: whether it would be called away from another task.
        own: whether it belongs to the service that is asked; others, as a neighbour's, help out.
    """

    number: int
    seconds: float
    station: int
    under_way: bool
    own: bool

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        read_only(self, name, value)


class HospitalOption(NamedTuple):
    """A hospital that can be reached.

    Attributes:
        number: its row.
        seconds: drive.
        free_bays: bays that are free, infinite if they are not limited.
        at_door: units that wait there.
        free_beds: beds that are free, infinite if they are not limited.
        offers: whether it offers what the patient needs.
    """

    number: int
    seconds: float
    free_bays: float
    at_door: int
    free_beds: float
    offers: bool

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        read_only(self, name, value)


class StationOption(NamedTuple):
    """A station that can be reached.

    Attributes:
        number: its row.
        seconds: drive.
        free: free units that belong to it.
        own: whether it is the unit's own.
    """

    number: int
    seconds: float
    free: int
    own: bool

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        read_only(self, name, value)


class Dispatcher:
    """Decides by the nearest; override what is to be decided otherwise.

    Args:
        model: the model in which it works, None outside of one.
    """

    def __init__(self, model: Any = None):
        self.model = model

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse public methods that override nothing: they are misspelt, and nobody would ever call them."""
        super().__init_subclass__(**kwargs)
        for name, value in vars(cls).items():
            method = isinstance(value, FunctionType | classmethod | staticmethod) and not name.startswith("_")
            if method and not any(hasattr(base, name) for base in cls.__bases__):
                near = difflib.get_close_matches(name, RETURNS, 1)
                raise TypeError(
                    f"{cls.__name__}.{name} overrides nothing{f'; did you mean {near[0]}?' if near else '.'} A dispatcher "
                    f"decides by {', '.join(RETURNS)}; begin the names of methods of your own with an underscore"
                )

    # ------------------------------------------------------------------ yours to override

    def choose_unit(self, task: Task, units: list[UnitOption]) -> int | None:  # noqa: ARG002
        """Return the number of the unit that is sent, or None to let the task wait.

        Args:
            task: what is asked.
            units: who could go, those of the service before those who help out, of each the nearest first; may be empty.
        """
        return units[0].number if units else None

    def choose_hospital(self, task: Task, hospitals: list[HospitalOption]) -> int | None:  # noqa: ARG002
        """Return the number of the hospital for a patient, or None for treatment at the scene.

        Args:
            task: whose patient it is.
            hospitals: those that can be reached, the nearest first; may be empty.
        """
        offering = [hospital for hospital in hospitals if hospital.offers] or hospitals
        return offering[0].number if offering else None

    def choose_task(self, unit: int, tasks: list[Task]) -> int:  # noqa: ARG002
        """Return the number of the task that a free unit takes.

        Args:
            unit: the unit.
            tasks: what waits that it can do and reach, the most urgent first, then what has waited longest; never empty.
        """
        return tasks[0].number

    def choose_station(self, unit: int, stations: list[StationOption]) -> int:  # noqa: ARG002
        """Return the number of the station to which a free unit goes.

        Args:
            unit: the unit.
            stations: those that can be reached, the nearest first.
        """
        return next((station.number for station in stations if station.own), stations[0].number)

    def triage(self, casualty: Casualty) -> Triage:
        """Return the class of one of several casualties, on which the priority of their ambulance depends.

        Args:
            casualty: what is found, see :class:`~.triage.Casualty`; ``casualty.start()`` is the class by START.
        """
        return casualty.start()

    # ------------------------------------------------------------------ how the kernel asks

    @classmethod
    def decides(cls, method: str) -> bool:
        """Return whether the class has a method of its own."""
        return getattr(cls, method) is not getattr(Dispatcher, method)

    @classmethod
    def asks(cls) -> list[int]:
        """Return the questions that the class answers itself."""
        return [question for name, question in HOOKS.items() if cls.decides(name)]

    def triage_rule(self) -> Rule | None:
        """Return the rule that sorts casualties, None if the class has none of its own: START needs no asking."""
        return self._sorted if self.decides("triage") else None

    def _sorted(self, casualty: Casualty) -> Triage:
        with self._named("triage", casualty.called):
            said = self.triage(casualty)
            if not isinstance(said, Triage):
                allowed = ", ".join(f"Triage.{member}" for member in Triage.__members__)
                raise TypeError(f"{type(self).__name__}.triage returned {said!r}; it must return one of: {allowed}")
        return said

    @contextmanager
    def _named(self, hook: str, now: float) -> Iterator[None]:
        """Note which method it was, where in it and at what time, if the work inside raises."""
        try:
            yield
        except (Exception, SystemExit) as error:
            lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == hook]
            where = f" ({Path(lines[0].filename).name}:{lines[0].lineno})" if lines else ""
            minute = int(now % DAY // 60)
            error.add_note(f"in {type(self).__name__}.{hook}{where} at {minute // 60:02}:{minute % 60:02}")
            raise

    def answer(self, centre: Centre) -> None:
        """Answer the question that waits.

        Raises:
            TypeError: if a method returns something else than it must.
            ValueError: if it returns a number that is not among the options.
            Exception: whatever else a method raises, with a note that says which, where in it and at what time.
        """
        question, task, unit = (int(value) for value in centre.state.ask[:3])
        now = float(centre.rules.real[board.CLOCK])
        hook = next(name for name, asked in HOOKS.items() if asked == question)
        with self._named(hook, now):
            number = self._decided(centre, question, task, unit, now)
        centre.state.ask[board.ANSWER], centre.state.ask[board.ANSWERED] = number, 1

    def _decided(self, centre: Centre, question: int, task: int, unit: int, now: float) -> int:
        if question == CHOOSE_UNIT:
            units = _units(centre, task, now)
            said = self.choose_unit(Task(centre, task, now), units)
            number = self._checked("choose_unit", said, [option.number for option in units], none=True)
        elif question == CHOOSE_HOSPITAL:
            hospitals = _hospitals(centre, task)
            said = self.choose_hospital(Task(centre, task, now), hospitals)
            number = self._checked("choose_hospital", said, [option.number for option in hospitals], none=True)
        elif question == CHOOSE_TASK:
            tasks = _tasks(centre, unit, now)
            said = self.choose_task(unit, tasks)
            number = self._checked("choose_task", said, [option.number for option in tasks])
        else:
            stations = _stations(centre, unit)
            if not stations:
                return int(centre.state.unit[unit, board.STATION])
            said = self.choose_station(unit, stations)
            number = self._checked("choose_station", said, [option.number for option in stations])
        return number

    def _checked(self, hook: str, said: Any, allowed: list[int], *, none: bool = False) -> int:
        name = f"{type(self).__name__}.{hook}"
        if said is None and none:
            return -1
        if isinstance(said, bool) or not isinstance(said, int | np.integer):
            wanted = "the number of an option" + (" or None" if none else "")
            raise TypeError(f"{name} returned {said!r}; it must return {wanted}")
        if said not in allowed:
            raise ValueError(f"{name} returned {said}; the options were: {', '.join(map(str, allowed)) or 'none'}")
        return int(said)


def dispatcher_named(name: str) -> type[Dispatcher]:
    """Return the class of an entry point.

    Raises:
        EntryPointError: if there is none of that name, or it is no dispatcher.
    """
    names = list(extensions(ENTRY_POINTS))
    if name not in names:
        there = ", ".join(names) or "none; a package adds one by an entry point"
        raise EntryPointError(
            f"no dispatcher of that name is installed (given {name!r}); allowed: {RULES}, or one of the group "
            f"'{ENTRY_POINTS}': {there}"
        )
    return load_extension(ENTRY_POINTS, name, Dispatcher)


def chosen(name: str, given: type[Dispatcher]) -> type[Dispatcher]:
    """Return who decides: the class that a scenario names, or that a program gives.

    Args:
        name: name of an entry point, or :data:`RULES`.
        given: a class; Dispatcher itself for none.

    Raises:
        ValueError: if there are both.
        EntryPointError: as of :func:`dispatcher_named`.
    """
    if name == RULES:
        return given
    if given is not Dispatcher:
        raise ValueError(
            f"dispatcher_class: the scenario names '{name}' (response.dispatch.class), and {given.__name__} is given as "
            f'well; leave out one, or write class = "{RULES}"'
        )
    return dispatcher_named(name)


def _units(centre: Centre, task: int, now: float) -> list[UnitOption]:
    state = centre.state
    own = state.trait[:, board.SERVES] & state.fixed[task, board.SERVICE] != 0
    able = np.flatnonzero(np.isfinite(state.chance))
    order = able[np.lexsort((state.chance[able], ~own[able]))]
    return [
        UnitOption(
            int(unit),
            float(state.chance[unit]) - now,
            int(state.unit[unit, board.HOME]),
            bool(state.unit[unit, board.STATE] == board.SENT),
            bool(own[unit]),
        )
        for unit in order
    ]


def _hospitals(centre: Centre, task: int) -> list[HospitalOption]:
    state, roads, stations = centre.state, centre.roads, centre.stations
    unit = state.kept[task, board.UNIT]
    lights = state.fixed[task, board.PRIORITY] < centre.rules.whole[board.HOSPITAL_LIGHTS]
    mode = state.trait[unit, board.LIGHTS if lights else board.NORMAL]
    away = roads.to_place[mode, state.fixed[task, board.AT_NODE], stations:]
    specialty = int(state.fixed[task, board.SPECIALTY])
    options = []
    for place in np.argsort(away, kind="stable"):
        row = state.doors.hospital[place]
        if away[place] < NEVER:
            bays = float("inf") if row[BAYS] < 0 else float(row[BAYS] - row[USED])
            beds = float("inf") if row[BEDS] < 0 else float(row[BEDS] - row[BEDS_USED])
            offers = specialty == 0 or bool(row[OFFERS] >> specialty & 1)
            options.append(HospitalOption(int(place), away[place] / 1000.0, bays, int(row[DOOR]), beds, offers))
    return options


def _tasks(centre: Centre, unit: int, now: float) -> list[Task]:
    state, roads = centre.state, centre.roads
    trait = state.trait[unit]
    answers = int(trait[board.SERVES] | trait[board.AIDS])
    found = []
    for priority in range(board.PRIORITIES):
        if kept_back(state.unit, state.trait, centre.rules.whole, unit, priority):
            break
        lights = priority < centre.rules.whole[board.SCENE_LIGHTS]
        mode = int(trait[board.LIGHTS if lights else board.NORMAL])
        waiting = []
        for row in range(len(state.queue)):
            task = int(state.queue[row, priority]) if answers >> row & 1 else -1
            while task >= 0:
                able = not state.fixed[task, board.SKILL] & ~trait[board.SKILLS]
                able &= now - state.ready[task] <= state.given[task, board.PATIENCE]
                away = between(
                    roads.out_first[mode], roads.out_hub, roads.out_cost, roads.in_first[mode], roads.in_hub, roads.in_cost,
                    state.unit[unit, board.NODE], state.fixed[task, board.AT_NODE],
                )  # fmt: skip
                if able and away < NEVER:
                    waiting.append(task)
                task = int(state.kept[task, board.NEXT])
        found += sorted(waiting, key=lambda task: state.ready[task])
    return [Task(centre, task, now) for task in found]


def _stations(centre: Centre, unit: int) -> list[StationOption]:
    state, roads = centre.state, centre.roads
    mode = state.trait[unit, board.NORMAL]
    away = roads.to_place[mode, state.unit[unit, board.NODE], : centre.stations]
    mine = (state.trait[:, board.SERVES] & state.trait[unit, board.SERVES]) > 0
    free = mine & (state.unit[:, board.DUTY] == 1)
    free &= np.isin(state.unit[:, board.STATE], (board.IDLE, board.RETURNING))
    at = np.bincount(state.unit[free, board.HOME], minlength=centre.stations)
    own = state.unit[unit, board.STATION]
    return [
        StationOption(int(s), away[s] / 1000.0, int(at[s]), bool(s == own))
        for s in np.argsort(away, kind="stable")
        if away[s] < NEVER
    ]
