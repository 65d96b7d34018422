"""Presence: who is where on a day, which is the schedule with the exceptions of the day.

Exceptions are kept by groups of people instead of by visit. Everybody belongs to one group; ``effect[group, column]`` is
the factor on a member's own share of contacts in places of a kind. A factor of 0 means that members do not go there and
are at home instead: the visit is redirected to the home for the same slots, so contacts at home rise. Two people who
meet have the product of their factors.

Columns of ``effect`` are the kinds of places, and one more, :data:`GUEST`, for visits to other people's homes.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ..environment.places import PLACE_GROUPS, PlaceKind
from ..environment.randomness import key, uniforms
from ..environment.schedules import SLOTS_PER_DAY

if TYPE_CHECKING:
    from ..environment.city import City

HOME = int(PlaceKind.HOME)
GUEST = len(PlaceKind)
COLUMNS = len(PlaceKind) + 1
MAX_POLICIES = 16

VISIT_GROUPS: dict[str, tuple[int, ...]] = {
    **{name: tuple(int(kind) for kind in kinds) for name, kinds in PLACE_GROUPS.items() if name != "home"},
    "guests": (GUEST,),
}
"""Names that a policy may use, each with the columns of ``effect`` it stands for; ``guests`` are visits to other homes."""


class Visits(NamedTuple):
    """One day as kernels read it: the schedule in both orders, homes, kinds of places, groups and their effects.

    Attributes:
        first, place, start, end: visits in person order, see :class:`~citytwin.environment.schedules.Schedule`.
        place_first, visitor, visitor_start, visitor_end: the same visits in place order.
        household: (people,) home of each person, which is also the place number of that home.
        members: (homes + 1,) first person of each home.
        kind: (places,) kind of each place.
        group: (people,) group of each person today.
        effect: (groups, COLUMNS) factor on a member's own share of contacts, 0 to 1; never 0 at HOME.
        altered: (groups,) 0: no factor differs from 1; 1: some do; 2: some are 0, visits are redirected home.
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
    group: NDArray[np.uint16]
    effect: NDArray[np.float64]
    altered: NDArray[np.uint8]


@njit(cache=True, nogil=True, inline="always")
def own_factor(kind, household, group, effect, person, place):
    """Return the person's factor at a scheduled place today; 0 if they are at home instead.

    Takes columns of :class:`Visits` one by one: handing the tuple on in a loop would count references for all of them.
    """
    column = GUEST if kind[place] == HOME and household[person] != place else kind[place]
    return effect[group[person], column]


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
        group: uint16 (people,) group of each person today.
        effect: float64 (groups, COLUMNS) factors by group, see :class:`Visits`.
    """

    def __init__(self, city: "City", seed: int, threads: int = 1, *, first_weekday: int = 0):
        self.city = city
        self.threads = threads
        self.first_weekday = first_weekday
        people = len(city.people)
        self.compliance = uniforms(key(seed, "compliance"), np.arange(people), 0).astype(np.float32)
        self.group = np.zeros(people, np.uint16)
        self.effect = np.ones((1, COLUMNS))
        self._groups = 1
        self._confined: NDArray[np.int64] = np.zeros(0, np.int64)
        self._views: dict[int, Visits] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_views": {}}

    # ------------------------------------------------------------------ exceptions

    def apply(self, policies: Sequence[tuple[NDArray[np.float64], float]]) -> None:
        """Put exactly these policies in force from now on; confinements of today end.

        Args:
            policies: for each policy its factors (COLUMNS,), see :func:`factors`, and its compliance 0 to 1.

        Raises:
            ValueError: if more than :data:`MAX_POLICIES` are given.
        """
        if len(policies) > MAX_POLICIES:
            raise ValueError(
                f"{len(policies)} policies are in force at once, at most {MAX_POLICIES} can be; "
                "merge policies of the same dates into one"
            )
        mask = np.zeros(len(self.group), np.uint16)
        for number, (_, compliance) in enumerate(policies):
            # A draw may round up to 1 in 32 bits, so full compliance is not left to the comparison.
            follows = self.compliance < compliance if compliance < 1 else np.ones(len(mask), bool)
            mask |= follows.astype(np.uint16) << np.uint16(number)
        occurring = np.flatnonzero(np.bincount(mask, minlength=1))
        number_of = np.zeros(occurring[-1] + 1 if occurring.size else 1, np.uint16)
        number_of[occurring] = np.arange(occurring.size)
        self.group[:] = number_of[mask]
        self.effect = np.ones((max(occurring.size, 1), COLUMNS))
        for row, members in enumerate(occurring):
            for number, (factor, _) in enumerate(policies):
                if members >> number & 1:
                    self.effect[row] *= factor
        self._groups = len(self.effect)
        self._confined = np.zeros(0, np.int64)
        self._views.clear()

    def confine(self, rows: ArrayLike) -> None:
        """Keep people at home for today: they make no visit outside their home until :meth:`begin_day`.

        Args:
            rows: numbers of the people (n,).
        """
        told: NDArray[np.int64] = np.unique(np.asarray(rows, np.int64))
        new = told[self.group[told] < self._groups]
        if not new.size:
            return
        if len(self.effect) == self._groups:
            confined = np.zeros_like(self.effect)
            confined[:, HOME] = self.effect[:, HOME]
            self.effect = np.concatenate([self.effect, confined])
        self.group[new] += np.uint16(self._groups)
        self._confined = np.concatenate([self._confined, new])
        self._views.clear()

    def begin_day(self) -> None:
        """End the confinements of the day before."""
        if self._confined.size:
            self.group[self._confined] -= np.uint16(self._groups)
            self.effect = self.effect[: self._groups].copy()
            self._confined = np.zeros(0, np.int64)
            self._views.clear()

    # ------------------------------------------------------------------ questions

    def day_type(self, day: int) -> int:
        """Return the number of the schedule that holds on a day."""
        return self.city.info.week[(self.first_weekday + day) % 7]

    def visits(self, day: int) -> Visits:
        """Return a day as kernels read it. It stays valid until groups change."""
        number = self.day_type(day)
        if number not in self._views:
            city, schedule = self.city, self.city.schedules[number]
            altered = (self.effect != 1).any(axis=1).astype(np.uint8) + (self.effect == 0).any(axis=1)
            self._views[number] = Visits(
                first=fixed(schedule.first),
                place=fixed(schedule.place),
                start=fixed(schedule.start),
                end=fixed(schedule.end),
                place_first=fixed(schedule.place_first),
                visitor=fixed(schedule.visitor),
                visitor_start=fixed(schedule.visitor_start),
                visitor_end=fixed(schedule.visitor_end),
                household=fixed(city.people.household),
                members=fixed(city.households.first),
                kind=fixed(city.places.kind),
                group=self.group,
                effect=self.effect,
                altered=altered.astype(np.uint8),
            )
        return self._views[number]

    def place_of(self, person: int, day: int, slot: int) -> int:
        """Return the place where a person is in a slot (0 to 95) of a day."""
        if not 0 <= slot < SLOTS_PER_DAY:
            raise ValueError(f"slot {slot} is not in 0 … {SLOTS_PER_DAY - 1}")
        visits = self.visits(day)
        rows = slice(visits.first[person], visits.first[person + 1])
        visit = visits.first[person] + int(np.searchsorted(visits.end[rows], slot, side="right"))
        place = int(visits.place[visit])
        return (
            place
            if own_factor(visits.kind, visits.household, visits.group, visits.effect, person, place) > 0
            else int(visits.household[person])
        )


def factors(close: Sequence[str] = (), reduce: dict[str, float] | None = None) -> NDArray[np.float64]:
    """Return one person's factors (COLUMNS,) under a policy.

    Args:
        close: names of :data:`VISIT_GROUPS` where nobody who follows the policy goes.
        reduce: by name the share, 0 to 1, by which contacts fall where everybody follows. Both sides of a contact
            bring the square root of what remains, so that the pair has all of it.
    """
    factor = np.ones(COLUMNS)
    for name in close:
        factor[list(VISIT_GROUPS[name])] = 0.0
    for name, share in (reduce or {}).items():
        factor[list(VISIT_GROUPS[name])] *= np.sqrt(1.0 - share)
    return factor


def fixed(column: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view, so that kernels see one array type whether a city is in memory or memory-mapped."""
    view = np.asarray(column).view()
    view.flags.writeable = False
    return view
