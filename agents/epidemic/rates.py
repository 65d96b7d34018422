"""Rates of transmission by place: contact, and the air of rooms.

The hazard of a pair in a place q is ``transmission · (contact[q] + air[q] / ventilation) · overlap in days``, where
``transmission`` is the rate in a home and ventilation the factor by which policies change the air changes.

* Contact: ``contact[q] = routes.contact · weight of the kind · crowding``.
* Air, after Wells and Riley (Riley, Murphy & Riley 1978, Am. J. Epidemiol. 107:421-432): a room with an infectious person
  who sheds q quanta an hour holds q / (V λ) quanta a cubic metre, in a well-mixed steady state with air changes as the only
  removal; who breathes p cubic metres of it an hour takes up q p / (V λ) quanta an hour, and escapes t hours with chance
  exp(−q p t / (V λ)). So ``air[q] = routes.air · (V λ of the reference home) / (V λ of the place)``, and twice the air
  changes halve the dose. A steady state is reached within 1/λ hours, half an hour in a class; shorter visits are overrated.

``routes.contact`` and ``routes.air`` are thus the strengths of the routes in the reference home. Weights and crowding are
of contacts; the air is shared by all who are in the room.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol
from weakref import WeakKeyDictionary

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...environment.city import City
from ...environment.places import PlaceKind
from ...environment.schedules import SLOTS_PER_DAY
from ..presence import fixed

SATURATING = (PlaceKind.SHOP, PlaceKind.LEISURE, PlaceKind.HOSPITAL)
"""Kinds where people have a number of contacts that hardly grows with the number of visitors; elsewhere all meet."""

BREATHING = 0.5
"""Air breathed by one person, m3/h; resting 0.49, standing 0.54: Adams 1993, as in Buonanno et al. 2020."""
HOURS_PER_DAY = 24


class Routes(Protocol):
    """Strengths of the two routes of transmission in the reference home."""

    @property
    def contact(self) -> float:
        """Strength of contact."""

    @property
    def air(self) -> float:
        """Strength of the air of the room."""


class Room(NamedTuple):
    """Rooms of one kind.

    Attributes:
        floor: m2 a person at the busiest time of the week.
        smallest: m2 at least.
        height: m.
        air_changes: volumes of outdoor air an hour.
    """

    floor: float
    smallest: float
    height: float
    air_changes: float


# Floor a person: ASHRAE Standard 62-1989, table 2 (50 people per 100 m2 of a classroom, 7 of an office, 70 of a dining
# room, 10 of a patient room); shops assumed. Smallest rooms and heights are assumed.
# Air changes: classrooms 2.0 (Batterman et al. 2017, Indoor Air 27:880-890, mean of 37 schools in lessons), shops,
# restaurants and offices 1.6 (Bennett et al. 2012, Indoor Air 22:309-320, mean of 37 buildings), patient rooms 6 (ASHRAE
# Standard 170).
_CLASS = Room(floor=2.0, smallest=30.0, height=3.0, air_changes=2.0)
ROOMS: dict[PlaceKind, Room] = {
    PlaceKind.KINDERGARTEN: _CLASS,
    PlaceKind.PRIMARY: _CLASS,
    PlaceKind.SECONDARY: _CLASS,
    PlaceKind.UNIVERSITY: _CLASS,
    PlaceKind.WORK: Room(floor=14.0, smallest=14.0, height=2.7, air_changes=1.6),
    PlaceKind.SHOP: Room(floor=7.0, smallest=50.0, height=3.5, air_changes=1.6),
    PlaceKind.LEISURE: Room(floor=1.4, smallest=50.0, height=3.0, air_changes=1.6),
    PlaceKind.HOSPITAL: Room(floor=10.0, smallest=20.0, height=2.7, air_changes=6.0),
}
"""Rooms that are no homes, by kind."""

REFERENCE_FLOOR = 90.0
"""Floor of the reference home, and of homes whose building is unknown, m2; assumed, the German mean dwelling has 92 m2."""
HOME_HEIGHT = 2.5
"""Height of rooms of homes, m; assumed."""
HOME_AIR_CHANGES = 0.5
"""Air changes of homes an hour; standard in many European countries (Dimitroulopoulou 2012, Build. Environ. 47:109-125)."""
USEFUL = 0.8
"""Useful share of the gross floor area of a building, the rest being walls and stairs; assumed."""
LEAST_HOME_FLOOR = 15.0
"""Floor of a home a member at least, m2; the mean of Romania, the lowest of 14 countries (Eurostat)."""
REFERENCE_FLOW = REFERENCE_FLOOR * HOME_HEIGHT * HOME_AIR_CHANGES
"""Outdoor air of the reference home, m3/h."""


def place_rates(
    city: City, day_type: int, weights: Mapping[PlaceKind, float], routes: Routes
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the hazards of a pair per day of overlap on a day type, relative to the rate of transmission.

    Args:
        city: the city.
        day_type: number of the schedule, of which crowding depends.
        weights: weight of contacts in every kind of place.
        routes: strengths of the routes.

    Returns:
        ``contact`` (places,), and ``air`` (places,), which is empty where the disease does not spread through the air.
    """
    contact = routes.contact * np.array([weights[kind] for kind in PlaceKind])[city.places.kind]
    contact[city.homes :] *= crowding(city, day_type)
    air = routes.air * REFERENCE_FLOW / outdoor_air(city) if routes.air > 0 else np.zeros(0)
    return contact, air


def quanta_per_hour(transmission: float, routes: Routes) -> float:
    """Return the quanta that an average infectious person sheds an hour at a rate of transmission per day at home."""
    return transmission * routes.air * REFERENCE_FLOW / (BREATHING * HOURS_PER_DAY)


def crowding(city: City, day_type: int) -> NDArray[np.float64]:
    """Return the factor (places − homes,) on the contacts of a pair by the number N of visitors of the place that day.

    In saturating kinds it is min(1, c/(N − 1)) with c = 5 + 35 (1 − exp(−N/1000)) effective contacts (EpiSimdemics and
    Loimos, "MinMaxAlpha"), in others 1. N is that of the schedule, so contacts fall when visitors stay away.
    """
    schedule, homes = city.schedules[day_type], city.homes
    first = np.asarray(schedule.place_first[homes:], np.int64)
    visitor = np.asarray(schedule.visitor[first[0] :])
    new = np.ones(len(visitor) + 1, bool)  # one more entry, so that empty places at the end have a position
    new[1:-1] = visitor[1:] != visitor[:-1]
    new[first - first[0]] = True
    before = np.zeros(len(new), np.int32)
    np.cumsum(new[:-1], out=before[1:])
    visitors = np.diff(before[first - first[0]])
    effective = 5 + 35 * (1 - np.exp(-visitors / 1000))
    factor = np.minimum(1.0, effective / np.maximum(visitors - 1, 1))
    return np.where(np.isin(city.places.kind[homes:], SATURATING), factor, 1.0)


# ---------------------------------------------------------------------- rooms

_outdoor_air: WeakKeyDictionary[City, NDArray[np.float64]] = WeakKeyDictionary()


def outdoor_air(city: City) -> NDArray[np.float64]:
    """Return the outdoor air (places,) that every room gets in m3/h, volume times air changes; remembered with the city."""
    if city not in _outdoor_air:
        changes = np.array([HOME_AIR_CHANGES, *(ROOMS[kind].air_changes for kind in PlaceKind if kind in ROOMS)])
        _outdoor_air[city] = volumes(city) * changes[city.places.kind]
    return _outdoor_air[city]


def volumes(city: City) -> NDArray[np.float64]:
    """Return the volume (places,) of every room in m3.

    Homes have an equal share of the useful floor of their building each. Other rooms have the floor that their kind gives
    to the people of the busiest time of the week.
    """
    homes, kind = city.homes, city.places.kind[city.homes :]
    busiest = np.zeros(len(city.places), np.int64)
    for number in sorted(set(city.info.week)):
        schedule = city.schedules[number]
        _busiest(
            fixed(schedule.place_first), fixed(schedule.visitor_start), fixed(schedule.visitor_end), homes, busiest
        )
    table = np.array([ROOMS.get(k, (0.0, 0.0, 0.0, 0.0)) for k in PlaceKind])[kind]
    rooms = np.maximum(table[:, 0] * busiest[homes:], table[:, 1]) * table[:, 2]
    return np.concatenate([_home_floor(city) * HOME_HEIGHT, rooms])


def _home_floor(city: City) -> NDArray[np.float64]:
    building = np.asarray(city.places.building[: city.homes])
    known = np.flatnonzero(building >= 0)
    sharing = np.bincount(building[known], minlength=len(city.buildings))
    floor = np.full(city.homes, REFERENCE_FLOOR)
    area = np.asarray(city.buildings.floor_area, np.float64)[building[known]]
    floor[known] = np.where(area > 0, USEFUL * area / sharing[building[known]], REFERENCE_FLOOR)
    return np.maximum(floor, LEAST_HOME_FLOOR * np.diff(city.households.first))


@njit(cache=True, nogil=True)
def _busiest(place_first, visitor_start, visitor_end, homes, busiest):
    """Raise the number of people (places,) in each place but homes to that of the busiest slot of a day."""
    change = np.zeros(SLOTS_PER_DAY + 1, np.int64)
    for q in range(homes, place_first.size - 1):
        change[:] = 0
        for v in range(place_first[q], place_first[q + 1]):
            change[visitor_start[v]] += 1
            change[visitor_end[v]] -= 1
        there = 0
        for t in range(SLOTS_PER_DAY):
            there += change[t]
            busiest[q] = max(busiest[q], there)
