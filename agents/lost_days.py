"""Days of school and work that people lose: the cost of staying at home, whoever or whatever keeps them there."""

from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..environment.places import Role
from .epidemic.course import DEAD
from .presence import AWAY, fixed

if TYPE_CHECKING:
    from ..environment.city import City
    from .presence import Presence

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
    who died lose none, nor do those whom a policy lets work from home, unless they are in hospital.

    Args:
        city: the city.
    """

    not_saved = ("_due", "_columns", "_column_of_activity")  # made again where they are missing

    def __init__(self, city: "City"):
        self._city = city
        self._due: dict[int, NDArray[np.uint8]] = {}
        self._nothing = np.zeros(len(city.people), np.uint8)
        self._columns = np.zeros(0, np.uint16)
        self._column_of_activity = np.zeros(len(city.people), np.uint16)

    def count(
        self,
        presence: "Presence",
        health: NDArray[np.uint8] | None = None,
        home_office: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int64]:
        """Return the person-days lost on ``presence.day``, in the order of :data:`SORTS`.

        Args:
            presence: who is where, with the exceptions of the day.
            health: (people,) column of citizens, if there is an epidemic.
            home_office: (people,) who works from home today.
        """
        visits = presence.visits(presence.day)
        if not (visits.altered == 2).any():
            return np.zeros(len(SORTS), np.int64)
        if home_office is not None:
            home_office = home_office & (presence.status != AWAY)
        return _count_lost(
            self._due_on(presence.day_type(presence.day)),
            self._columns_of_activities(visits.column),
            visits.group,
            visits.take,
            fixed(self._nothing if health is None else health),
            fixed(self._nothing if home_office is None else home_office.view(np.uint8)),
        )

    def _columns_of_activities(self, column: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """Return the column of each person's activity, anything where they have none.

        It is kept until scopes change, since the kernel is much quicker when it need not look up places far apart.
        """
        if not np.array_equal(column, self._columns):
            self._columns = column.copy()
            self._column_of_activity = column[self._city.people.activity]
        return self._column_of_activity

    def _due_on(self, day_type: int) -> NDArray[np.uint8]:
        """Return for each person what they are due at on such days: 0 nothing, else 1 + position in :data:`SORTS`."""
        if day_type not in self._due:
            city, schedule = self._city, self._city.schedules[day_type]
            self._due[day_type] = _due(
                fixed(schedule.first),
                fixed(schedule.place),
                fixed(city.people.activity),
                _SORT_OF_ROLE[city.people.role],
            )
        return self._due[day_type]


@njit(cache=True, nogil=True)
def _count_lost(due, column, group, take, health, home_office):
    school, university, work = 0, 0, 0
    for person in range(due.size):
        # Without a branch: who is kept from where cannot be foreseen, and a wrong guess costs more than the whole sum.
        lost = (take[group[person], column[person]] < 0) & (health[person] != DEAD)
        sort = due[person]
        school += lost & (sort == 1)
        university += lost & (sort == 2)
        work += lost & (sort == 3) & (home_office[person] == 0)
    return np.array([school, university, work])


@njit(cache=True, nogil=True)
def _due(first, place, activity, sort):
    due = np.zeros(activity.size, np.uint8)
    for person in range(activity.size):
        for v in range(first[person], first[person + 1]):
            if place[v] == activity[person]:
                due[person] = sort[person]
    return due
