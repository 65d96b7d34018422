"""Days: what every resident does on each type of day, from role, household and the venues near home.

Shares and durations are assumed unless a source is named; they are meant to give the order of magnitude of European
time use and of POLYMOD's contacts by setting (Mossong et al. 2008, PLoS Med 5:e74).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..places import PlaceKind
from ..randomness import key, uniform
from ..schedules import SLOTS_PER_DAY, Schedule

DAY_TYPES = ("Monday, Wednesday, Friday", "Tuesday, Thursday", "Saturday", "Sunday")
WEEK = (0, 1, 0, 1, 0, 2, 3)
_SATURDAY, _SUNDAY = 2, 3
_CHOICES = 5  # venues of each kind near home among which a resident chooses
_CELL = 150.0  # m; homes in one square share their list of near venues
_MOST_VISITS = 9

# numba freezes these
_SHOP, _LEISURE, _HOSPITAL = int(PlaceKind.SHOP), int(PlaceKind.LEISURE), int(PlaceKind.HOSPITAL)
_KINDERGARTEN, _PRIMARY, _SECONDARY = int(PlaceKind.KINDERGARTEN), int(PlaceKind.PRIMARY), int(PlaceKind.SECONDARY)
_UNIVERSITY = int(PlaceKind.UNIVERSITY)


def make_schedules(first, people: dict, places: dict, venue_weight: NDArray, seed: int) -> list[Schedule]:
    """Make the schedules of all day types.

    Args:
        first: int32 (households + 1,).
        people: ``age, activity`` (place or −1) of each resident.
        places: ``kind, x, y`` of each place; the first ones are the homes.
        venue_weight: (places,) attraction of shops and leisure venues (floor area).
        seed: everything is drawn from it.
    """
    homes = len(first) - 1
    cell, shops = _near_venues(places, homes, _SHOP)
    _, venues = _near_venues(places, homes, _LEISURE)
    leisure = np.flatnonzero(places["kind"] == _LEISURE).astype(np.int32)
    steps = np.cumsum(venue_weight[leisure].astype(float))
    kind = places["kind"]
    schedules = []
    for day_type in range(len(DAY_TYPES)):
        visit_first, place, start, end = _plan_days(
            first, people["age"], people["activity"], kind, cell, shops, venues, leisure, steps,
            day_type, key(seed, f"day type {day_type}"), key(seed, "habits"),
        )  # fmt: skip
        schedules.append(Schedule.from_visits(visit_first, place, start, end, len(kind)))
    return schedules


def _near_venues(places: dict, homes: int, kind: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the square of each home, and for each square the places of a kind nearest to it, (squares, choices)."""
    x, y = places["x"][:homes], places["y"][:homes]
    column, row = ((x - x.min()) / _CELL).astype(np.int64), ((y - y.min()) / _CELL).astype(np.int64)
    _, where, cell = np.unique(column * (row.max() + 1) + row, return_index=True, return_inverse=True)
    venues = np.flatnonzero(places["kind"] == kind)
    if not len(venues):
        return cell.astype(np.int32), np.full((len(where), _CHOICES), -1, np.int32)
    tree = cKDTree(np.stack([places["x"][venues], places["y"][venues]], 1))
    number = min(_CHOICES, len(venues))
    nearest = tree.query(np.stack([x[where], y[where]], 1), k=number)[1].reshape(len(where), number)
    choices = venues[nearest[:, np.arange(_CHOICES) % number]]
    return cell.astype(np.int32), choices.astype(np.int32)


@njit(cache=True, nogil=True)
def _hours(kind, place, person, day_type, day_key, habit_key):
    """Return (start, end) slot of the day's learning or work, (0, 0) if there is none today."""
    weekday = day_type < _SATURDAY
    habit = uniform(habit_key, person, 0)
    today = uniform(day_key, person, 0)
    beat = uniform(habit_key, place, 1)  # common to all who share the room
    if kind == _KINDERGARTEN:
        return (32, 58) if weekday and today < 0.95 else (0, 0)
    if kind == _PRIMARY:
        return (32, 54) if weekday and today < 0.97 else (0, 0)
    if kind == _SECONDARY:
        return (32, 58) if weekday and today < 0.96 else (0, 0)
    if kind == _UNIVERSITY:
        begin = 34 + int(12 * beat)
        return (begin, begin + 16 + int(10 * habit)) if weekday and today < 0.75 else (0, 0)
    if kind == _SHOP:
        late = habit < 0.5
        open_today = today < 0.75 if weekday else (today < 0.6 if day_type == _SATURDAY else False)
        return ((46, 78) if late else (32, 62)) if open_today else (0, 0)
    if kind == _LEISURE:
        begin = 40 if habit < 0.4 else 56
        return (begin, begin + 32) if today < (0.7 if weekday else 0.6) else (0, 0)
    if kind == _HOSPITAL:
        begin = 26 if habit < 0.5 else 54
        return (begin, begin + 32) if today < (0.72 if weekday else 0.4) else (0, 0)
    if not weekday:
        return (0, 0) if today > 0.05 else (34, 58)
    begin = 28 + int(9 * beat) + int(3 * today)
    part_time = habit < 0.25
    if today > (0.75 if part_time else 0.94):
        return (0, 0)
    return begin, begin + (18 if part_time else 34)


@njit(cache=True, nogil=True)
def _chances(age, at_home, day_type):
    """Return the chance of shopping, of going out and of visiting another household today."""
    weekday = day_type < _SATURDAY
    if age < 10:
        return 0.0, 0.06 if weekday else 0.12, 0.06 if weekday else 0.1
    shop = 0.30 if weekday else (0.50 if day_type == _SATURDAY else 0.04)
    guest = 0.07 if weekday else 0.18
    if age < 18:
        return 0.3 * shop, 0.30 if weekday else 0.40, 1.3 * guest
    if age < 30:
        return shop, 0.30 if weekday else 0.55, 1.3 * guest
    if age < 65:
        return 1.3 * shop if at_home else shop, 0.20 if weekday else 0.42, guest
    if age < 80:
        return 1.3 * shop, 0.22 if weekday else 0.28, guest
    return 0.6 * shop, 0.10 if weekday else 0.14, 0.7 * guest


@njit(cache=True, nogil=True)
def _plan_days(first, age, activity, kind, cell, shops, venues, leisure, leisure_steps, day_type, day_key, habit_key):
    """Write one day of every resident: (first, place, start, end) of all visits in person order.

    A day is at most: home, learning or work, shop, home, an evening out or as a guest, home. Small children may come
    along with the first adult of their household. Guests choose a household near their own number, hence near by.
    """
    people = age.size
    homes = first.size - 1
    visit_first = np.empty(people + 1, np.int32)
    place = np.empty(people * 4 + _MOST_VISITS, np.int32)
    start = np.empty(place.size, np.uint8)
    end = np.empty(place.size, np.uint8)
    seg_place = np.empty(4, np.int32)
    seg_start = np.empty(4, np.int64)
    seg_end = np.empty(4, np.int64)
    v = 0
    for home in range(homes):
        lead_place, lead_start, lead_end = -1, 0, 0
        for person in range(first[home], first[home + 1]):
            visit_first[person] = v
            if v + _MOST_VISITS > place.size:
                more = place.size // 2 + _MOST_VISITS
                place = np.concatenate((place, np.empty(more, np.int32)))
                start = np.concatenate((start, np.empty(more, np.uint8)))
                end = np.concatenate((end, np.empty(more, np.uint8)))
            segments = 0
            free = 32  # slot from which the person may go out
            if activity[person] >= 0:
                begin, finish = _hours(kind[activity[person]], activity[person], person, day_type, day_key, habit_key)
                if finish > 0:
                    seg_place[0], seg_start[0], seg_end[0] = activity[person], begin, min(finish, 94)
                    segments, free = 1, seg_end[0]
            shop, out, guest = _chances(age[person], segments == 0, day_type)
            u = uniform(day_key, person, 1)
            if u < shop and shops[cell[home], 0] >= 0 and free < 78:
                u /= shop
                pick = int(_CHOICES * uniform(day_key, person, 2) ** 1.5)
                begin = free if segments else 34 + int(36 * u)
                seg_place[segments], seg_start[segments] = shops[cell[home], pick], begin
                seg_end[segments] = begin + 2 + int(3 * uniform(day_key, person, 3))
                free = seg_end[segments]
                segments += 1
            u = uniform(day_key, person, 4)
            child = age[person] < 10
            if child and lead_place >= 0 and lead_start >= free and uniform(day_key, person, 5) < 0.6:
                seg_place[segments], seg_start[segments], seg_end[segments] = lead_place, lead_start, lead_end
                segments += 1
            elif u < out + guest:
                where = -1
                if u >= out:
                    reach = np.exp(6.5 * uniform(day_key, person, 6))
                    step = 1 + int(reach)
                    where = home + step if uniform(day_key, person, 7) < 0.5 else home - step
                    if where < 0 or where >= homes:
                        where = 2 * home - where
                    if where < 0 or where >= homes or where == home:
                        where = -1
                elif leisure.size:
                    if uniform(day_key, person, 6) < 0.65:
                        where = venues[cell[home], int(_CHOICES * uniform(day_key, person, 7) ** 1.5)]
                    else:
                        tick = uniform(day_key, person, 7) * leisure_steps[-1]
                        where = leisure[min(np.searchsorted(leisure_steps, tick), leisure.size - 1)]
                if where >= 0:
                    early = day_type >= _SATURDAY or age[person] >= 65 or age[person] < 18
                    begin = (52 if early else 68) + int(18 * uniform(day_key, person, 8))
                    begin = max(begin, free + 1)
                    finish = min(begin + 5 + int(8 * uniform(day_key, person, 9)), SLOTS_PER_DAY - 1)
                    if finish > begin:
                        seg_place[segments], seg_start[segments], seg_end[segments] = where, begin, finish
                        segments += 1
                        if person == first[home]:
                            lead_place, lead_start, lead_end = where, begin, finish
            now = 0
            for s in range(segments):
                if seg_start[s] > now:
                    place[v], start[v], end[v] = home, now, seg_start[s]
                    v += 1
                place[v], start[v], end[v] = seg_place[s], seg_start[s], seg_end[s]
                v += 1
                now = seg_end[s]
            place[v], start[v], end[v] = home, now, SLOTS_PER_DAY
            v += 1
    visit_first[people] = v
    return visit_first, place[:v].copy(), start[:v].copy(), end[:v].copy()
