"""Who is where when, at rest: visits of a day type in person order and in place order.

A visit is (person, place, start, end) in slots of 15 minutes: 96 slots a day, ``start < end <= 96``. Every person's
visits of a day follow each other without gap and fill the 96 slots; a night at home is split at midnight. Moving takes
no time here: the trip between two visits belongs to the end of the first one.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

SLOTS_PER_DAY = 96
SLOT_MINUTES = 15


@dataclass(frozen=True)
class Schedule:
    """All visits of one day type, in both orders (compressed sparse rows).

    Attributes:
        first: (people + 1,) position of each person's first visit; the last entry is the number of visits.
        place: (visits,) place of each visit, in person order and there in order of time.
        start, end: (visits,) slots of the visit.
        place_first: (places + 1,) position of each place's first visitor.
        visitor: (visits,) person of each visit, in place order and there in person order, then time.
        visitor_start, visitor_end: (visits,) slots of the visit, in place order.
    """

    first: NDArray[np.int32]
    place: NDArray[np.int32]
    start: NDArray[np.uint8]
    end: NDArray[np.uint8]
    place_first: NDArray[np.int32]
    visitor: NDArray[np.int32]
    visitor_start: NDArray[np.uint8]
    visitor_end: NDArray[np.uint8]

    @classmethod
    def from_visits(cls, first, place, start, end, places: int) -> "Schedule":
        """Make a schedule from visits in person order.

        Args:
            first: int32 (people + 1,) as in the class.
            place: int32 (visits,).
            start: uint8 (visits,).
            end: uint8 (visits,).
            places: number of places of the city.
        """
        return cls(first, place, start, end, *_transpose(first, place, start, end, places))

    @property
    def visits(self) -> int:
        """Number of visits of the day."""
        return len(self.place)

    def visits_of(self, person: int) -> list[tuple[int, int, int]]:
        """Return (place, start, end) of each visit of one person."""
        rows = slice(self.first[person], self.first[person + 1])
        return list(zip(self.place[rows].tolist(), self.start[rows].tolist(), self.end[rows].tolist(), strict=True))


@njit(cache=True, nogil=True)
def _transpose(first, place, start, end, places):
    """Bring visits into place order by counting, keeping person order within a place."""
    visits = place.size
    place_first = np.zeros(places + 1, np.int32)
    for v in range(visits):
        place_first[place[v] + 1] += 1
    for q in range(places):
        place_first[q + 1] += place_first[q]
    cursor = place_first[:-1].copy()
    visitor = np.empty(visits, np.int32)
    visitor_start = np.empty(visits, np.uint8)
    visitor_end = np.empty(visits, np.uint8)
    for person in range(first.size - 1):
        for v in range(first[person], first[person + 1]):
            position = cursor[place[v]]
            cursor[place[v]] += 1
            visitor[position] = person
            visitor_start[position] = start[v]
            visitor_end[position] = end[v]
    return place_first, visitor, visitor_start, visitor_end
