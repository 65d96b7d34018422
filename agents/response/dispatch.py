"""The dispatch centre: fleet, tasks and hospitals put together, moved on by the kernel."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...environment.network.labels import NEVER
from . import board
from .board import PRIORITIES, SERVICES, STATES, UNIT_COLUMNS, Doors, Roads, Rules, State
from .changes import open_doors, replan
from .doors import BAYS, BEDS, DIVERT, OFFERS
from .driving import positions
from .kernels import run
from .tasks import COLUMNS, Outcome, Tasks

FIRST_SERVICE = 9
"""Lowest number of a service (``responders.Service``); bits of services count from it."""
Tables = Sequence[tuple[int, NDArray[np.int32]]]
"""Compliance tables of a service: from how many units on duty each counts, rising, and the table itself, (rows, stations):
units wanted at each station by 0, 1, … free units; the last row holds for more."""


@dataclass(frozen=True)
class Fleet:
    """Units, one row each (units,).

    Attributes:
        station: place number of the own station.
        serves, aids: bits of services that the unit belongs to, and that it helps out.
        skills: bits of skills.
        lights, normal: modes of travel with and without lights.
        turnout_factor: factor on the time until it leaves the station.
        shifts: (changes, 3) second, unit, and 1 where a shift begins, 0 where it ends; sorted. A unit that does not occur
            is always on duty; others are off until their first shift begins, unless that is an end.
    """

    station: NDArray[np.int32]
    serves: NDArray[np.int32]
    aids: NDArray[np.int32]
    skills: NDArray[np.int32]
    lights: NDArray[np.int32]
    normal: NDArray[np.int32]
    turnout_factor: NDArray[np.float64]
    shifts: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))

    def __len__(self) -> int:
        return len(self.station)

    @classmethod
    def alike(cls, station: Sequence[int] | NDArray[np.integer], service: int = 10, *, normal: int = 0) -> "Fleet":
        """Return units of one service that are always on duty.

        Args:
            station: place number of each.
            service: their service.
            normal: mode without lights; with lights it is mode 0.
        """
        places = np.asarray(station, np.int32)
        same = np.zeros_like(places)
        serves = same + (1 << (int(service) - FIRST_SERVICE))
        return cls(places, serves, same, same, same, same + normal, np.ones(len(places)))


@dataclass(frozen=True)
class Departments:
    """Emergency departments of hospitals, one row each (hospitals,).

    Attributes:
        bays: where patients are taken over; −1 for as many as come.
        beds: beds behind them; −1 for as many as needed. Without limit of bays they do not matter.
        divert: units at the door from which on a full hospital is passed by, where that is the rule.
        offers: bits of specialties (positions in ``tasks.SPECIALTIES``).
        mean_stay: mean seconds in a bay.
    """

    bays: NDArray[np.int32]
    beds: NDArray[np.int32]
    divert: NDArray[np.int32]
    offers: NDArray[np.int32]
    mean_stay: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.bays)

    @classmethod
    def unlimited(cls, number: int) -> "Departments":
        """Return departments that take everybody at once."""
        none = np.full(number, -1, np.int32)
        return cls(none, none, np.zeros(number, np.int32), np.full(number, 255, np.int32), np.zeros(number))


def make_rules(
    *,
    stations: int,
    units: int,
    dispatch: int = board.NEAREST,
    queue: int = board.FIRST,
    hospital: int = board.NEAREST_HOSPITAL,
    move: int | Sequence[int] = board.HOMEWARD,
    hold_out: int = 0,
    hold_from: int = 1,
    loss: bool = False,
    scene_lights: int = PRIORITIES,
    hospital_lights: int = 0,
    aid_after: float = np.inf,
    busy: float = 0.3,
    busy_memory: float = 86_400.0,
    redispatch: Sequence[tuple[int, int]] = (),
    target: Sequence[float] = (),
    cover: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]] | None = None,
    compliance: Sequence[Tables] = ((),) * SERVICES,
    asks: Sequence[int] = (),
) -> Rules:
    """Return the rules of the kernel.

    Args:
        stations, units: how many there are.
        dispatch, queue, hospital: numbers of rules, see :mod:`.board`.
        move: likewise, one for all services or one for each.
        hold_out, hold_from: units kept back for tasks of priorities before ``hold_from``.
        loss: whether a task for which nobody is free is lost instead of waiting.
        scene_lights, hospital_lights: priorities below which lights are used on the way to the scene and to hospital.
        aid_after: seconds beyond which others help out.
        busy, busy_memory: busy share of each service at first, and seconds over which it is smoothed.
        redispatch: pairs of priorities, from which and to which a unit may be called away.
        target: seconds from ``ready`` by priority; the last one holds for those that follow.
        cover: first and point (CSR by station) and weights of demand points.
        compliance: tables of each service, see :data:`Tables`.
        asks: questions that Python decides.
    """
    whole = np.array([dispatch, queue, hospital, hold_out, hold_from, loss, scene_lights, hospital_lights], np.int32)
    allowed = np.zeros((PRIORITIES, PRIORITIES), bool)
    for source, goal in redispatch:
        allowed[source, goal] = True
    given = np.asarray(target if len(target) else [np.inf], float)
    seconds = np.concatenate([given, np.repeat(given[-1:], PRIORITIES)])[:PRIORITIES]
    asked = np.zeros(5, bool)
    asked[list(asks)] = True
    first, point, weight = cover or (np.zeros(stations + 1, np.int32), np.zeros(0, np.int32), np.zeros(0))
    real = np.array([aid_after, busy_memory, 0.0, 0.0])
    moves = np.array(np.broadcast_to(move, SERVICES), np.int32)
    tables = _compliance(stations, units, compliance)
    return Rules(whole, real, np.full(SERVICES, busy), allowed, asked, seconds, first, point, weight, moves, *tables)


def _compliance(stations: int, units: int, services: Sequence[Tables]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the rows of all tables, and first row and rows of the one that counts by service and units on duty.

    With fewer on duty than any table is for, the one for fewest counts; a service without has one that holds nothing.
    """
    rows = [np.zeros((1, stations), np.int32)]
    spans = np.tile(np.array([0, 1], np.int32), (SERVICES, units + 1, 1))
    end = 1
    for row, tables in enumerate(services):
        for number, (on_duty, table) in enumerate(tables):
            rows.append(np.asarray(table, np.int32))
            spans[row, on_duty if number else 0 :] = end, len(table)
            end += len(table)
    return np.concatenate(rows), spans


class Answers(Protocol):
    """Whoever decides what the rules leave to Python: a :class:`~.decisions.Dispatcher`."""

    def answer(self, centre: "Centre") -> None:
        """Answer the question that waits in ``centre.state.ask``."""


class Centre:
    """Moves a fleet from task to task.

    Args:
        roads: travel at the beginning.
        fleet: the units.
        departments: the hospitals, whose places follow those of the stations.
        rules: of :func:`make_rules`.
        start: second at which it begins; units are at their stations then.
        dispatcher: decides what the rules leave to Python.

    Attributes:
        roads, rules, state: what the kernel works on.
        now: second reached.
        tasks: all tasks so far, row for row the results.
    """

    not_saved = ("roads",)  # follow from the seconds that links take

    def __init__(
        self,
        roads: Roads,
        fleet: Fleet,
        departments: Departments,
        rules: Rules,
        start: float = 0.0,
        dispatcher: "Answers | None" = None,
    ):
        self.roads, self.rules, self.fleet, self.departments = roads, rules, fleet, departments
        self.now = start
        self.stations = len(roads.place_node) - len(departments)
        self.dispatcher = dispatcher
        self.tasks: Tasks | None = None
        rules.real[[board.BUSY_SINCE, board.CLOCK]] = start
        self.state = self._state(start)

    def _state(self, start: float) -> State:
        fleet, places = self.fleet, self.roads.place_node
        units, hospitals = len(fleet), len(self.departments)
        unit = np.full((units, UNIT_COLUMNS), -1, np.int32)
        unit[:, board.STATE] = board.IDLE
        unit[:, board.PLACE] = unit[:, board.STATION] = unit[:, board.HOME] = fleet.station
        unit[:, board.NODE] = places[fleet.station]
        unit[:, board.DUTY] = 1
        changing, first = np.unique(fleet.shifts[:, 1].astype(int), return_index=True)
        unit[changing, board.DUTY] = 1 - fleet.shifts[first, 2].astype(int)
        unit[unit[:, board.DUTY] == 0, board.STATE] = board.OFF
        unit[:, board.MODE] = fleet.normal
        leaves = 2
        while leaves < units + hospitals:
            leaves *= 2
        given = self.departments
        hospital = np.zeros((hospitals, 8), np.int32)
        for column, values in ((BAYS, given.bays), (BEDS, given.beds), (DIVERT, given.divert), (OFFERS, given.offers)):
            hospital[:, column] = values
        doors = Doors(
            hospital=hospital,
            mean_stay=np.asarray(given.mean_stay, float),
            heap_first=np.zeros((2, hospitals + 1), np.int64),
            heap_time=np.zeros(0),
            heap_task=np.zeros(0, np.int32),
            line=np.full((hospitals, PRIORITIES + 1), -1, np.int32),
        )
        trait = np.stack([fleet.serves, fleet.aids, fleet.skills, fleet.lights, fleet.normal], axis=1)
        counter = np.zeros(5, np.int64)
        counter[board.CHANGED] = 1
        return State(
            unit=unit,
            unit_time=np.full((units, 2), start),
            trait=trait.astype(np.int32),
            factor=np.asarray(fleet.turnout_factor, float),
            spent=np.zeros((units, STATES)),
            tree=np.full(2 * leaves, np.inf),
            stamp=np.zeros((0, 8)),
            kept=np.zeros((0, 8), np.int32),
            given=np.zeros((0, 8), np.float32),
            fixed=np.zeros((0, 8), np.int32),
            ready=np.zeros(0),
            order=np.zeros(0, np.int32),
            queue=np.full((SERVICES, PRIORITIES), -1, np.int32),
            last=np.full((SERVICES, PRIORITIES), -1, np.int32),
            wait=np.zeros(0, np.int32),
            duty=np.asarray(fleet.shifts, float).reshape(-1, 3),
            doors=_with_heaps(doors),
            counter=counter,
            stack=np.zeros(units + 16, np.int32),
            ask=np.zeros(5, np.int32),
            chance=np.full(units, np.inf),
            from_node=np.zeros(units, np.int32),
            leaving=np.zeros(units),
            way=np.zeros(units, np.int32),
            known=np.full((2, len(self.roads.first) - 1), NEVER, np.int32),
            moving=np.zeros(units, np.int32),
            cover=np.zeros(len(self.rules.demand), np.int32),
            lacking=np.zeros(self.stations, np.int32),
        )

    # ------------------------------------------------------------------ what comes

    def add(self, tasks: Tasks) -> None:
        """Add tasks that become ready from now on.

        Raises:
            ValueError: if one was ready before, or its service or priority is none.
        """
        if not len(tasks):
            return
        early = np.flatnonzero(tasks.ready < self.now)
        if len(early):
            raise ValueError(
                f"task {early[0]}: ready at {tasks.ready[early[0]]:g} s, the clock stands at {self.now:g} s"
            )
        bit = tasks.service.astype(np.int64) - FIRST_SERVICE
        if bit.min() < 0 or bit.max() > 2 or tasks.priority.max() >= PRIORITIES:
            raise ValueError(
                f"tasks: services are {FIRST_SERVICE} … {FIRST_SERVICE + 2} and priorities 0 … {PRIORITIES - 1}; there is "
                f"service {tasks.service.max()} and priority {tasks.priority.max()}"
            )
        before = 0 if self.tasks is None else len(self.tasks)
        rows = len(tasks)
        self.tasks = tasks if self.tasks is None else _appended(self.tasks, tasks)
        floats = ("turnout", "scene", "handover", "clear", "stay", "bed", "access", "patience")
        wholes = (
            tasks.node, 1 << bit, tasks.priority, tasks.skill, tasks.transport, tasks.specialty, tasks.hospital,
            np.where(tasks.after >= 0, tasks.after + before, -1),
        )  # fmt: skip
        kept = np.zeros((rows, 8), np.int32)
        kept[:, [board.UNIT, board.HOSPITAL, board.NEXT]] = -1
        state = self.state
        ready = np.concatenate([state.ready, tasks.ready])
        to_come = np.concatenate(
            [state.order[state.counter[board.NEXT_TASK] :], np.arange(before, before + rows, dtype=np.int32)]
        )
        state.counter[board.NEXT_TASK] = 0
        stack = np.zeros(len(state.unit) + before + rows + 16, np.int32)
        stack[: len(state.stack)] = state.stack
        self.state = state._replace(
            stamp=np.concatenate([state.stamp, np.full((rows, 8), np.nan)]),
            kept=np.concatenate([state.kept, kept]),
            given=np.concatenate([state.given, np.stack([getattr(tasks, name) for name in floats], axis=1)]),
            fixed=np.concatenate([state.fixed, np.stack(wholes, axis=1).astype(np.int32)]),
            ready=ready,
            order=to_come[np.argsort(ready[to_come], kind="stable")],
            wait=np.concatenate([state.wait, np.full(rows, -1, np.int32)]),
            stack=stack,
        )

    def change_roads(self, roads: Roads) -> None:
        """Let travel be another one from now on; who is under way goes on from the next node."""
        replan(self.roads, roads, self.state, self.stations, int(self.rules.whole[board.HOSPITAL_RULE]), self.now)
        self.rules.real[board.CLOCK] = self.now
        self.roads = roads

    def change_duty(self, changes: NDArray[np.float64]) -> None:
        """Let units begin and end their duty at other times than were known.

        Args:
            changes: (changes, 3) second, unit, and 1 or 0; sorted, none before now.
        """
        self.state = self.state._replace(duty=np.asarray(changes, float).reshape(-1, 3))
        self.state.counter[board.NEXT_DUTY] = 0

    def change_hospitals(
        self, bays: NDArray[np.integer] | None = None, beds: NDArray[np.integer] | None = None
    ) -> None:
        """Let hospitals have other bays and beds from now on; who has one keeps it."""
        open_doors(self.state, self.now)  # what has ended until now has ended under the old ones
        for column, values in ((BAYS, bays), (BEDS, beds)):
            if values is not None:
                self.state.doors.hospital[:, column] = values
        self.state = self.state._replace(doors=_with_heaps(self.state.doors))
        open_doors(self.state, self.now)

    # ------------------------------------------------------------------ moving on

    def run(self, until: float) -> None:
        """Make everything that happens before a moment.

        Raises:
            TypeError, ValueError: if a dispatcher decides what is not possible.
        """
        while not run(self.roads, self.rules, self.state, float(until)):
            assert self.dispatcher is not None
            self.dispatcher.answer(self)
        self.now = float(until)

    # ------------------------------------------------------------------ results

    def balance(self) -> dict[str, int]:
        """Return how many tasks stand or ended in which way; their sum is the number of tasks."""
        counts = np.bincount(self.state.kept[:, board.OUTCOME], minlength=len(Outcome))
        return {outcome.name.lower(): int(counts[outcome]) for outcome in Outcome}

    def table(self) -> dict[str, NDArray[Any]]:
        """Return what became of the tasks: a row a task, its columns, its stamps (s, nan: not happened) and its outcome."""
        tasks, state = self.tasks, self.state
        if tasks is None:
            tasks = Tasks.of(ready=np.zeros(0), node=np.zeros(0), scene=np.zeros(0))
        columns = {name: getattr(tasks, name) for name in COLUMNS}
        names = ("sent", "left", "arrived", "began", "done", "at_hospital", "bay", "free")
        stamps = {name: state.stamp[:, column] for column, name in enumerate(names)}
        kept = {
            "unit": state.kept[:, board.UNIT],
            "at": state.kept[:, board.HOSPITAL],
            "outcome": state.kept[:, board.OUTCOME].astype(np.uint8),
            "diverted": state.kept[:, board.DIVERTED] > 0,
            "called_away": state.kept[:, board.RESENT],
            "queued": state.kept[:, board.QUEUED] > 0,
            "unreachable": state.kept[:, board.UNREACHED] > 0,
        }
        return columns | stamps | kept

    def positions(self) -> NDArray[np.int32]:
        """Return the node at which each unit is, or at which it arrives next, (units,)."""
        return positions(self.roads, self.state, self.now)

    def spent(self) -> NDArray[np.float64]:
        """Return seconds that units were in each state until now, (units, states)."""
        state = self.state
        spent = state.spent.copy()
        rows = np.arange(len(spent))
        spent[rows, state.unit[:, board.STATE]] += self.now - state.unit_time[:, board.SINCE]
        return spent


def _appended(tasks: Tasks, more: Tasks) -> Tasks:
    """Return tasks and others after them; incidents and ``after`` of the others are numbered on."""
    columns: dict[str, NDArray[Any]] = {}
    for name in COLUMNS:
        values = getattr(more, name)
        if name == "incident":
            values = (values + tasks.incident.max(initial=-1) + 1).astype(np.int32)
        elif name == "after":
            values = np.where(values >= 0, values + len(tasks), -1).astype(np.int32)
        columns[name] = np.concatenate([getattr(tasks, name), values])
    return Tasks(**columns)


def _with_heaps(doors: Doors) -> Doors:
    """Return the departments with room for as many patients as there are bays and beds."""
    hospitals = len(doors.hospital)
    room = np.maximum(doors.hospital[:, [BAYS, BEDS]].T, 0).astype(np.int64)
    room = np.maximum(room, np.diff(doors.heap_first, axis=1)) if hospitals else room
    ends = np.cumsum(room.ravel())
    first = np.zeros((2, hospitals + 1), np.int64)
    if hospitals:
        first[0, 1:], first[1, 0], first[1, 1:] = ends[:hospitals], ends[hospitals - 1], ends[hospitals:]
    size = int(ends[-1]) if len(ends) else 0
    time, task = np.full(size, np.inf), np.full(size, -1, np.int32)
    for kind in range(2):
        for place in range(hospitals):
            old = slice(doors.heap_first[kind, place], doors.heap_first[kind, place + 1])
            new = first[kind, place]
            time[new : new + old.stop - old.start] = doors.heap_time[old]
            task[new : new + old.stop - old.start] = doors.heap_task[old]
    return doors._replace(heap_first=first, heap_time=time, heap_task=task)
