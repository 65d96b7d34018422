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
from .activities import SMALL_CHILD
from .households import ADULT_AGE

DAY_TYPES = ("Monday, Wednesday, Friday", "Tuesday, Thursday", "Saturday", "Sunday")
WEEK = (0, 1, 0, 1, 0, 2, 3)
_SATURDAY, _SUNDAY = 2, 3
_CHOICES = 5  # venues of each kind near home among which a resident chooses
_CELL = 150.0  # m; homes in one square share their list of near venues
_BLOCK = 12  # households of which one has guests on a day (assumed)
_GOING_OUT = 32  # slot from which people who do not learn or work go out (8:00)
_CARE_FROM, _CARE_UNTIL = 32, 58  # slots of the day in which a carer may work (8:00 to 14:30)
_CARER_OUT = 0.7  # how often a carer goes out or visits, relative to others (assumed)
_MOST_VISITS = 9
# Share of the pupils of each level who are there on a working day. Of the POLYMOD participants aged 0-2, 3-5, 6-10, 11-15
# and 16-18, 22, 54, 77, 84 and 66 % met somebody at school on a day from Monday to Friday (recomputed from the survey's
# tables): holidays, part-time care and illness included. By the enrolment of activities._ROLES that is 69 and 58, 78, 85
# and 77 % of the pupils.
_IN_KINDERGARTEN, _IN_PRIMARY, _IN_SECONDARY = 0.62, 0.78, 0.82

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
    cell, shops = near_venues(places, homes, _SHOP)
    _, venues = near_venues(places, homes, _LEISURE)
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


def near_venues(places: dict, homes: int, kind: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the square of each home, and for each square the places of a kind nearest to it, (squares, choices).

    Args:
        places: ``kind, x, y`` of each place; the first ones are the homes.
        homes: their number.
        kind: :class:`places.PlaceKind` of the venues; −1 stands where there are none.
    """
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
    """Return (start, end) slot of the day's learning or work, (0, 0) if there is none today.

    Schools are open all day (8:00 to 15:00, kindergartens to 15:30), as in most of Europe.
    """
    weekday = day_type < _SATURDAY
    habit = uniform(habit_key, person, 0)
    today = uniform(day_key, person, 0)
    beat = uniform(habit_key, place, 1)  # common to all who share the room
    if kind == _KINDERGARTEN:
        return (32, 62) if weekday and today < _IN_KINDERGARTEN else (0, 0)
    if kind == _PRIMARY:
        return (32, 60) if weekday and today < _IN_PRIMARY else (0, 0)
    if kind == _SECONDARY:
        return (32, 60) if weekday and today < _IN_SECONDARY else (0, 0)
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
        return 0.0, 0.06 if weekday else 0.25, 0.03 if weekday else 0.10
    shop = 0.32 if weekday else (0.45 if day_type == _SATURDAY else 0.08)
    guest = 0.11 if weekday else 0.30
    if age < 18:
        return 0.3 * shop, 0.38 if weekday else 0.58, 0.7 * guest
    if age < 65:
        return 1.3 * shop if at_home else shop, 0.48 if weekday else 0.62, guest
    if age < 80:
        return 1.3 * shop, 0.52 if weekday else 0.55, guest
    return 0.6 * shop, 0.35 if weekday else 0.42, guest


@njit(cache=True, nogil=True)
def _carer(home, first, age, activity, kind, day_type, day_key, habit_key):
    """Return (adult who looks after the small children today, whether one of these is at home all day); (−1, False).

    It is one of the first two adults, rather one who neither learns nor works today.
    """
    small, child_home, adults, free = False, False, 0, -1
    for person in range(first[home], first[home + 1]):
        if age[person] >= SMALL_CHILD and (age[person] < ADULT_AGE or adults == 2):
            continue
        room = activity[person]
        busy = room >= 0 and _hours(kind[room], room, person, day_type, day_key, habit_key)[1] > 0
        if age[person] < SMALL_CHILD:
            small = True
            child_home |= not busy
        else:
            adults += 1
            if not busy:
                free = person
    if not small or not adults:
        return -1, False
    if free >= 0:
        return free, child_home
    return first[home] + int(adults * uniform(day_key, first[home], 10)), child_home


@njit(cache=True, nogil=True)
def _host(home, homes, person, day_key):
    """Return the household that a resident visits today, −1 for none.

    It is near in number, hence near by. Of the households of a block one has all the guests of the day.
    """
    reach = 1 + int(np.exp(6.5 * uniform(day_key, person, 6)))
    near = home + reach if uniform(day_key, person, 7) < 0.5 else home - reach
    if near < 0 or near >= homes:
        near = 2 * home - near
    if near < 0 or near >= homes:
        return -1
    block = near // _BLOCK
    host = block * _BLOCK + int(_BLOCK * uniform(day_key, block, 11))
    return host if host < homes and host != home else -1


@njit(cache=True, nogil=True)
def _plan_days(first, age, activity, kind, cell, shops, venues, leisure, leisure_steps, day_type, day_key, habit_key):
    """Write one day of every resident: (first, place, start, end) of all visits in person order.

    A day is at most: home, learning or work, shop, home, an outing or a visit, home. A small child is never left alone:
    one adult of the household, the carer, is at work only while the child is at its kindergarten, and takes it along.
    Older children may come along with the carer, or else the first adult of their household.
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
    lead_place = np.empty(2, np.int32)  # shop and outing of the adult whom children accompany
    lead_start = np.empty(2, np.int64)
    lead_end = np.empty(2, np.int64)
    v = 0
    for home in range(homes):
        carer, child_home = -1, False
        if age[first[home + 1] - 1] < ADULT_AGE:
            carer, child_home = _carer(home, first, age, activity, kind, day_type, day_key, habit_key)
        lead = carer if carer >= 0 else first[home]
        lead_place[:] = -1
        for person in range(first[home], first[home + 1]):
            visit_first[person] = v
            if v + _MOST_VISITS > place.size:
                more = place.size // 2 + _MOST_VISITS
                place = np.concatenate((place, np.empty(more, np.int32)))
                start = np.concatenate((start, np.empty(more, np.uint8)))
                end = np.concatenate((end, np.empty(more, np.uint8)))
            segments = 0
            free = _GOING_OUT
            if activity[person] >= 0 and not (person == carer and child_home):
                begin, finish = _hours(kind[activity[person]], activity[person], person, day_type, day_key, habit_key)
                if person == carer:
                    begin, finish = max(begin, _CARE_FROM), min(finish, _CARE_UNTIL)
                if finish > begin:
                    seg_place[0], seg_start[0], seg_end[0] = activity[person], begin, min(finish, 94)
                    segments, free = 1, seg_end[0]
            small = age[person] < SMALL_CHILD and carer >= 0
            shop, out, guest = _chances(age[person], segments == 0, day_type)
            if person == carer:
                out, guest = _CARER_OUT * out, _CARER_OUT * guest
            u = uniform(day_key, person, 1)
            if u < shop and shops[cell[home], 0] >= 0 and free < 78:
                pick = int(_CHOICES * uniform(day_key, person, 2) ** 1.5)
                begin = free if segments else 34 + int((24 if person == carer else 36) * u / shop)
                seg_place[segments], seg_start[segments] = shops[cell[home], pick], begin
                seg_end[segments] = begin + 2 + int(3 * uniform(day_key, person, 3))
                free = seg_end[segments]
                if person == lead:
                    lead_place[0], lead_start[0], lead_end[0] = seg_place[segments], begin, free
                segments += 1
            u = uniform(day_key, person, 4)
            along = age[person] < 10 and lead_place[1] >= 0 and uniform(day_key, person, 5) < 0.6
            if small or (along and lead_start[1] >= free):
                for s in range(0 if small else 1, 2):
                    if lead_place[s] >= 0 and lead_start[s] >= free:
                        seg_place[segments], seg_start[segments] = lead_place[s], lead_start[s]
                        seg_end[segments] = free = lead_end[s]
                        segments += 1
            elif u < out + guest:
                where, opens = -1, 0
                if u >= out:
                    where = _host(home, homes, person, day_key)
                    opens = 56 + int(16 * uniform(day_key, max(where, 0), 12))
                elif leisure.size:
                    if uniform(day_key, person, 6) < 0.65:
                        where = venues[cell[home], int(_CHOICES * uniform(day_key, person, 7) ** 1.5)]
                    else:
                        tick = uniform(day_key, person, 7) * leisure_steps[-1]
                        where = leisure[min(np.searchsorted(leisure_steps, tick), leisure.size - 1)]
                    # every venue has its hour of the day: a training, a show, a bar that opens
                    opens = (62 if day_type < _SATURDAY else 50) + int(14 * uniform(day_key, where, 12))
                if where >= 0:
                    begin = max(opens + int(3 * uniform(day_key, person, 8)), free + 1)
                    if person == carer:
                        begin = max(begin, _CARE_UNTIL + 4)
                    finish = min(begin + 5 + int(8 * uniform(day_key, person, 9)), SLOTS_PER_DAY - 1)
                    if finish > begin:
                        seg_place[segments], seg_start[segments], seg_end[segments] = where, begin, finish
                        segments += 1
                        if person == lead:
                            lead_place[1], lead_start[1], lead_end[1] = where, begin, finish
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
    return visit_first, place[:v], start[:v], end[:v]  # what lies beyond was never touched and takes no memory
