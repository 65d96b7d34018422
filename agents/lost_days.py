"""Days of school and work that people lose: the cost of staying at home, whoever or whatever keeps them there."""

from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..environment.places import Role
from .epidemic.course import DEAD
from .presence import fixed

if TYPE_CHECKING:
    from ..environment.city import City
    from .presence import Visits

SORTS = ("school", "university", "work")
"""What a day can be lost of: for pupils from kindergarten on, for students, and for people who work."""

_SORT_OF_ROLE = np.zeros(max(Role) + 1, np.uint8)
_SORT_OF_ROLE[[Role.KINDERGARTEN, Role.PRIMARY, Role.SECONDARY]] = 1
_SORT_OF_ROLE[Role.STUDENT] = 2
_SORT_OF_ROLE[Role.WORKER] = 3


class LostDays:
    """Counts person-days of school, university and work that are lost.

    A person loses a day on which their schedule has them at their class, study group or workplace (``activity``), and
    they do not go there: it is closed to them, they are confined, isolated, in quarantine or in hospital. A day counts
    as one however long the visit would be. It counts by what the person does, so a teacher loses a day of work. Those
    who died lose none, nor do those who work from home.

    Args:
        city: the city.
    """

    def __init__(self, city: "City"):
        self._city = city
        self._due: dict[int, NDArray[np.uint8]] = {}
        self._nothing = np.zeros(len(city.people), np.uint8)

    def count(
        self,
        visits: "Visits",
        day_type: int,
        health: NDArray[np.uint8] | None = None,
        at_work_home: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int64]:
        """Return the person-days lost today, in the order of :data:`SORTS`.

        Args:
            visits: today, exceptions included.
            day_type: number of the schedule that holds today.
            health: (people,) column of citizens, if there is an epidemic.
            at_work_home: (people,) who work from home today.
        """
        kept = visits.altered == 2
        if not kept.any():
            return np.zeros(len(SORTS), np.int64)
        return _count_lost(
            self._due_on(day_type),
            fixed(self._city.people.activity),
            kept,
            visits.group,
            visits.take,
            visits.column,
            fixed(self._nothing if health is None else health),
            fixed(self._nothing if at_work_home is None else at_work_home.view(np.uint8)),
        )

    def _due_on(self, day_type: int) -> NDArray[np.uint8]:
        """Return for each person what they are due at on such days: 0 nothing, else 1 + position in :data:`SORTS`."""
        if day_type not in self._due:
            city = self._city
            schedule = city.schedules[day_type]
            person = np.repeat(np.arange(len(city.people), dtype=np.int32), np.diff(schedule.first))
            due = np.zeros(len(city.people), np.uint8)
            there = person[schedule.place == city.people.activity[person]]
            due[there] = _SORT_OF_ROLE[city.people.role[there]]
            self._due[day_type] = due
        return self._due[day_type]


@njit(cache=True, nogil=True)
def _count_lost(due, activity, kept, group, take, column, health, at_work_home):
    lost = np.zeros(3, np.int64)
    for person in range(due.size):
        if due[person] == 0 or not kept[group[person]] or health[person] == DEAD:
            continue
        if take[group[person], column[activity[person]]] < 0:
            sort = np.int64(due[person]) - 1
            if sort < 2 or not at_work_home[person]:
                lost[sort] += 1
    return lost
