"""Presence: who is where on a day, which is the schedule with the exceptions of the day.

Exceptions are kept by groups of people instead of by visit. Everybody belongs to one group, and places of a kind and scope
to one column; ``give[group, column]`` and ``take[group, column]`` are the factors on what a member gives off and takes in
there. Where they are below 0 members do not go but are at home instead: the visit is redirected to the home for the same
slots, so contacts at home rise. Two people who meet have the product of what one gives and the other takes.

Policies make groups and scopes by :mod:`rules`. On top of them a person has a status of their own, as isolated, which
keeps them at home whatever the policies are.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ..environment.randomness import key, uniforms
from ..environment.schedules import SLOTS_PER_DAY, Schedule
from .rules import ABSENT, COLUMNS, GUEST, HOME, VISIT_GROUPS, Rule, Tables, rule, same_rules, tables_of

if TYPE_CHECKING:
    from ..environment.city import City

__all__ = [
    "AWAY",
    "BEDRIDDEN",
    "COLUMNS",
    "CONFINED",
    "FREE",
    "GUEST",
    "HOME",
    "ISOLATED",
    "QUARANTINED",
    "VISIT_GROUPS",
]
__all__ += ["Presence", "Visits", "below", "fixed", "own_factor", "rule"]

FREE, CONFINED, ISOLATED, QUARANTINED, AWAY, BEDRIDDEN = range(6)
"""Status of a person: under policies only; at home today; isolated; quarantined; gone (in hospital or dead); at home, too
ill to leave it."""
_STATUSES = 6
_STRONGEST = np.array(
    [
        next((status for status in (AWAY, ISOLATED, BEDRIDDEN, QUARANTINED, CONFINED) if held >> status & 1), FREE)
        for held in range(1 << _STATUSES)
    ],
    np.uint8,
)
"""Of each set of statuses (bit s for status s) the one that counts."""


class Visits(NamedTuple):
    """One day as kernels read it: the schedule in both orders, homes, kinds of places, groups and their factors.

    All arrays are read-only and of the same types on every day.

    Attributes:
        first, place, start, end: visits in person order, see :class:`~citytwin.environment.schedules.Schedule`.
        place_first, visitor, visitor_start, visitor_end: the same visits in place order.
        household: (people,) home of each person, which is also the place number of that home.
        members: (homes + 1,) first person of each home.
        kind: (places,) kind of each place.
        column: (places,) column of each place: its kind plus COLUMNS times its scope. A guest's visit to a home is in
            column ``column[home] + GUEST``.
        group: (people,) group of each person today.
        give: (groups, columns) factor on what a member gives off there; below 0 where members do not go.
        take: (groups, columns) factor on what a member takes in there; below 0 where members do not go: they are at home
            instead, and there the factor of the home's column holds.
        altered: (groups,) 0: no factor differs from 1, or nobody is in the group; 1: some do; 2: some are below 0, visits
            are redirected home.
        air: (columns,) factor on the air changes of places.
    """

    first: NDArray[np.int32]
    place: NDArray[np.int32]
    start: NDArray[np.uint8]
    end: NDArray[np.uint8]
    place_first: NDArray[np.int32]
    visitor: NDArray[np.int32]
    visitor_start: NDArray[np.uint8]
    visitor_end: NDArray[np.uint8]
    household: NDArray[np.int32]
    members: NDArray[np.int32]
    kind: NDArray[np.uint8]
    column: NDArray[np.uint16]
    group: NDArray[np.uint16]
    give: NDArray[np.float64]
    take: NDArray[np.float64]
    altered: NDArray[np.uint8]
    air: NDArray[np.float64]


class _Exceptions(NamedTuple):
    """What differs from the schedule on a day: the last columns of :class:`Visits`, and visits that go elsewhere."""

    column: NDArray[np.uint16]
    group: NDArray[np.uint16]
    give: NDArray[np.float64]
    take: NDArray[np.float64]
    altered: NDArray[np.uint8]
    air: NDArray[np.float64]
    moved: Schedule | None


@njit(cache=True, nogil=True, inline="always")
def own_factor(kind, column, household, group, factor, person, place):
    """Return the person's factor (of ``give`` or ``take``) at a scheduled place today; below 0 if they are at home instead.

    Takes columns of :class:`Visits` one by one: handing the tuple on in a loop would count references for all of them.
    """
    at = np.int64(column[place])
    if kind[place] == HOME and household[person] != place:
        at += GUEST
    return factor[group[person], at]


class Presence:
    """What really happens in a city day by day.

    Args:
        city: the city.
        seed: seed of the run, of which the compliance draws depend.
        threads: number of threads that kernels may use.
        first_weekday: weekday of day 0, 0 for Monday.

    Attributes:
        compliance: float32 (people,) one uniform draw per person, the same in every policy: a person follows a policy
            when their draw is below its compliance.
        day: the day that has begun, 0 at first.
        status: uint8 (people,) status of each person, changed by :meth:`put` and :meth:`release`.
        home_factor: float64 (statuses,) factor on contacts at home of people with each status; measures set it.
        group: uint16 (people,) group of each person today.
    """

    def __init__(self, city: "City", seed: int, threads: int = 1, *, first_weekday: int = 0):
        self.city = city
        self.seed = seed
        self.threads = threads
        self.first_weekday = first_weekday
        self.day = 0
        people = len(city.people)
        self._draws: dict[str, NDArray[np.float32]] = {}
        self.compliance = self.draws("compliance")
        self.status = np.zeros(people, np.uint8)
        self.home_factor = np.ones(_STATUSES)
        self.home_factor[AWAY] = 0.0
        self.group = np.zeros(people, np.uint16)
        self._begun = False
        self._statuses_of = np.zeros(people, np.uint8)  # bit s for status s
        self._holders = np.bincount(self.status, minlength=_STATUSES)
        self._confined: NDArray[np.int64] = np.zeros(0, np.int64)
        self._moved: Schedule | None = None
        self._memory = 0
        self._past: dict[int, _Exceptions] = {}
        self._views: dict[int, Visits] = {}
        self._rules: tuple[Rule, ...] = ()
        self._set_tables(tables_of((), people, city.places.kind))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_views": {}}

    # ------------------------------------------------------------------ policies

    def draws(self, purpose: str) -> NDArray[np.float32]:
        """Return one uniform draw for each person (people,), always the same for one purpose; see :func:`below`."""
        if purpose not in self._draws:
            self._draws[purpose] = uniforms(key(self.seed, purpose), np.arange(len(self.city.people)), 0).astype(
                np.float32
            )
        return self._draws[purpose]

    def apply(self, rules: Sequence[Rule]) -> None:
        """Put exactly these rules in force from now on; if they say what the last ones said, nothing is done.

        Raises:
            ValueError: if they are about homes, or part people and places into too many groups.
        """
        if same_rules(rules, self._rules):
            return
        self._set_tables(tables_of(rules, len(self.group), self.city.places.kind))
        self._rules = tuple(rules)

    def _set_tables(self, tables: Tables) -> None:
        self._tables = tables
        self._groups = len(tables.give)
        self.group[:] = tables.group
        held = np.flatnonzero(self.status)
        self.group[held] = self._groups - 1 + self.status[held].astype(np.int64)
        by_group = np.where((tables.take < 0).any(axis=1), 2, ((tables.take != 1) | (tables.give != 1)).any(axis=1))
        self._altered = np.concatenate([by_group, np.zeros(_STATUSES - 1)]).astype(np.uint8)
        self._add_statuses()
        self._count_holders()

    def _add_statuses(self) -> None:
        """Add the group of each status below those of the policies."""
        self._home_factor = self.home_factor.copy()
        at_home = np.full((_STATUSES - 1, self._tables.take.shape[1]), ABSENT)
        at_home[:, HOME::COLUMNS] = self.home_factor[1:, None]
        self._give = np.concatenate([self._tables.give, at_home])
        self._take = np.concatenate([self._tables.take, at_home])
        self._views.clear()

    def _count_holders(self) -> None:
        self._altered[self._groups :] = np.where(self._holders[1:] > 0, 2, 0)

    # ------------------------------------------------------------------ people

    def put(self, rows: ArrayLike, status: int) -> None:
        """Give people a status until :meth:`release`; of several, AWAY counts before ISOLATED, BEDRIDDEN,
        QUARANTINED, CONFINED.

        Args:
            rows: numbers of the people (n,).
            status: CONFINED, ISOLATED, QUARANTINED, AWAY or BEDRIDDEN.
        """
        told: NDArray[np.int64] = np.unique(np.asarray(rows, np.int64))
        self._statuses_of[told] |= np.uint8(1 << status)
        self._settle(told)

    def release(self, rows: ArrayLike, status: int | None = None) -> None:
        """End a status of people; those who have another keep that.

        Args:
            rows: numbers of the people (n,).
            status: the status that ends; None for all.
        """
        told: NDArray[np.int64] = np.unique(np.asarray(rows, np.int64))
        self._statuses_of[told] &= np.uint8(0 if status is None else 0xFF ^ (1 << status))
        self._settle(told)

    def _settle(self, rows: NDArray[np.int64]) -> None:
        status = _STRONGEST[self._statuses_of[rows]]
        changed = status != self.status[rows]
        rows, status = rows[changed], status[changed]
        if not rows.size:
            return
        self._holders += np.bincount(status, minlength=_STATUSES)
        self._holders -= np.bincount(self.status[rows], minlength=_STATUSES)
        self.status[rows] = status
        self.group[rows] = np.where(
            status == FREE, self._tables.group[rows], self._groups - 1 + status.astype(np.int64)
        )
        self._count_holders()

    def confine(self, rows: ArrayLike) -> None:
        """Keep people at home for today: they make no visit outside their home until :meth:`begin_day`.

        Args:
            rows: numbers of the people (n,).
        """
        told = np.asarray(rows, np.int64)
        self.put(told, CONFINED)
        self._confined = np.concatenate([self._confined, told])

    def redirect(self, visits: ArrayLike, places: ArrayLike) -> None:
        """Let visits of today go to other places, until :meth:`begin_day`.

        Args:
            visits: positions of the visits in the schedule of ``day``, in person order (n,).
            places: where they go (n,).

        Raises:
            ValueError: if there is no such visit or place, or if either is at a home.
        """
        which, to = np.asarray(visits, np.int64), np.asarray(places, np.int64)
        if not which.size:
            return
        city = self.city
        schedule = self._moved or city.schedules[self.day_type(self.day)]
        if which.min() < 0 or which.max() >= schedule.visits:
            raise ValueError(f"day {self.day} has visits 0 … {schedule.visits - 1}, not {which.min()} … {which.max()}")
        wrong = to[(to < city.homes) | (to >= len(city.places))]
        if wrong.size:
            raise ValueError(
                f"place {wrong[0]} cannot be chosen; allowed are places that are no homes, "
                f"{city.homes} … {len(city.places) - 1}"
            )
        if np.any(schedule.place[which] < city.homes):
            at_home = which[schedule.place[which] < city.homes][0]
            raise ValueError(f"visit {at_home} is at a home; only visits to other places can go elsewhere")
        place = schedule.place.copy()
        place[which] = to
        self._moved = Schedule.from_visits(
            fixed(schedule.first), fixed(place), fixed(schedule.start), fixed(schedule.end), len(city.places)
        )
        self._views.clear()

    # ------------------------------------------------------------------ days

    def begin_day(self, day: int | None = None) -> None:
        """Begin a day: confinements and other ways of the day before end. Asked again on one day, nothing is done.

        With :meth:`remember`, what was until now is kept as the day before; so call it before anything changes overnight.

        Args:
            day: the day that begins, the next one by default.
        """
        day = self.day + 1 if day is None else day
        if self._begun and day == self.day:
            return
        if self._memory:
            if self._begun:
                today = self._exceptions(self.day)
                self._past[self.day] = today._replace(group=self.group.copy(), altered=self._altered.copy())
            self._past = {past: kept for past, kept in self._past.items() if day - self._memory <= past < day}
        self.day, self._begun = day, True
        if self._confined.size:
            self.release(self._confined, CONFINED)
            self._confined = np.zeros(0, np.int64)
        if self._moved is not None:
            self._moved = None
            self._views.clear()

    def remember(self, days: int) -> None:
        """Keep what happened on the last days, so that :meth:`visits` is exact for them; the largest number asked counts."""
        self._memory = max(self._memory, days)

    def _exceptions(self, day: int) -> _Exceptions:
        if day in self._past:
            return self._past[day]
        tables, moved = self._tables, self._moved if day == self.day else None
        return _Exceptions(tables.column, self.group, self._give, self._take, self._altered, tables.air, moved)

    # ------------------------------------------------------------------ questions

    def day_type(self, day: int) -> int:
        """Return the number of the schedule that holds on a day."""
        return self.city.info.week[(self.first_weekday + day) % 7]

    def visits(self, day: int) -> Visits:
        """Return a day as kernels read it.

        Exceptions are those of today, for today and days to come; days that are remembered are as they were. The view
        of today follows what changes, until rules change or another day begins.
        """
        if not np.array_equal(self._home_factor, self.home_factor):
            self._add_statuses()
        moved = day == self.day and self._moved is not None
        kept = -1 if moved else self.day_type(day)
        if day in self._past:
            return self._view(day)
        if kept not in self._views:
            self._views[kept] = self._view(day)
        return self._views[kept]

    def _view(self, day: int) -> Visits:
        city = self.city
        exceptions = self._exceptions(day)
        schedule = exceptions.moved or city.schedules[self.day_type(day)]
        columns: tuple[NDArray[Any], ...] = (
            schedule.first,
            schedule.place,
            schedule.start,
            schedule.end,
            schedule.place_first,
            schedule.visitor,
            schedule.visitor_start,
            schedule.visitor_end,
            city.people.household,
            city.households.first,
            city.places.kind,
            *exceptions[:-1],
        )
        return Visits(*map(fixed, columns))

    def place_of(self, person: int, day: int, slot: int) -> int:
        """Return the place where a person is in a slot (0 to 95) of a day; who is AWAY counts as at home."""
        if not 0 <= slot < SLOTS_PER_DAY:
            raise ValueError(f"slot {slot} is not in 0 … {SLOTS_PER_DAY - 1}")
        visits = self.visits(day)
        rows = slice(visits.first[person], visits.first[person + 1])
        visit = visits.first[person] + int(np.searchsorted(visits.end[rows], slot, side="right"))
        place = int(visits.place[visit])
        factor = own_factor(visits.kind, visits.column, visits.household, visits.group, visits.take, person, place)
        return place if factor >= 0 else int(visits.household[person])

    def places_of(self, people: ArrayLike, day: int, slots: ArrayLike) -> NDArray[np.int32]:
        """Return the places where people (n,) are, each in a slot (n,) of a day, (n,); see :meth:`place_of`."""
        who, when = np.asarray(people, np.int64), np.asarray(slots, np.int64)
        if when.size and not (when.min() >= 0 and when.max() < SLOTS_PER_DAY):
            raise ValueError(f"slots {when.min()} … {when.max()} are not all in 0 … {SLOTS_PER_DAY - 1}")
        visits = self.visits(day)
        rows = (visits.first, visits.place, visits.end, visits.household, visits.kind, visits.column)
        return _places_of(*rows, visits.group, visits.take, who, when)  # type: ignore[no-any-return]

    def places_at(self, day: int, slot: int) -> NDArray[np.int32]:
        """Return the place where each person is in a slot (0 to 95) of a day (people,); see :meth:`place_of`."""
        visits = self.visits(day)
        # Visits of a person fill the day without gap, so just one of each person is under way.
        place = visits.place[(visits.start <= slot) & (slot < visits.end)]
        column = visits.column[place].astype(np.intp)
        column[(visits.kind[place] == HOME) & (place != visits.household)] += GUEST
        return np.where(visits.take[visits.group, column] >= 0, place, visits.household)


@njit(cache=True, nogil=True)
def _places_of(first, place, end, household, kind, column, group, take, people, slots):
    """Return the place where each of some people (n,) is in their slot (n,)."""
    out = np.empty(people.size, np.int32)
    for i in range(people.size):
        person = people[i]
        visit = first[person]
        while end[visit] <= slots[i]:
            visit += 1
        there = place[visit]
        if own_factor(kind, column, household, group, take, person, there) < 0:
            there = household[person]
        out[i] = there
    return out


def below(draws: NDArray[np.float32], share: float) -> NDArray[np.bool_]:
    """Return which draws are below a share; all are below 1, although a draw may round up to it in 32 bits."""
    return draws < share if share < 1 else np.ones(len(draws), bool)


def fixed(column: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view, so that kernels see one array type whether a city is in memory or memory-mapped."""
    view = np.asarray(column).view()
    view.flags.writeable = False
    return view
