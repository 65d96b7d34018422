"""Days of school and work lost: counted by the kernel, and again by asking where everybody really is."""

import numpy as np
import pytest
from cities import tiny_city

from citytwin.agents.epidemic.course import DEAD
from citytwin.agents.lost_days import SORTS, LostDays
from citytwin.agents.presence import AWAY, ISOLATED, QUARANTINED, Presence, rule
from citytwin.environment.city import City
from citytwin.environment.places import PlaceKind, Role
from citytwin.environment.schedules import Schedule

MONDAY, SATURDAY = 0, 5
SORT = {Role.KINDERGARTEN: 0, Role.PRIMARY: 0, Role.SECONDARY: 0, Role.STUDENT: 1, Role.WORKER: 2}


def asked(presence: Presence, day: int, dead: set[int] = frozenset(), home_office: set[int] = frozenset()) -> list[int]:
    """Count the days lost by asking where each person is in the middle of each visit to their activity."""
    city = presence.city
    lost = [0] * len(SORTS)
    for person in range(len(city.people)):
        role, activity = Role(city.people.role[person]), int(city.people.activity[person])
        visits = city.schedules[presence.day_type(day)].visits_of(person)
        due = [(start, end) for place, start, end in visits if place == activity]
        if role not in SORT or not due or person in dead:
            continue
        if not any(presence.place_of(person, day, (start + end) // 2) == activity for start, end in due):
            lost[SORT[role]] += not (role == Role.WORKER and person in home_office)
    return lost


@pytest.fixture
def town() -> City:
    """A town of 600 people of whom some are students at the university, taught by nobody."""
    made = tiny_city(300)
    role, activity = made.people.role.copy(), made.people.activity.copy()
    students = np.flatnonzero(role == Role.WORKER)[::7]
    role[students] = Role.STUDENT
    tables = {name: dict(getattr(made, name)) for name in ("households", "places", "sites", "buildings", "zones")}
    tables |= {name: dict(getattr(made, name)) for name in ("nodes", "links")}
    people = dict(made.people) | {"role": role, "activity": activity}
    return City(made.info, tables | {"people": people}, made.schedules)


def morning(city: City) -> Presence:
    presence = Presence(city, 1)
    presence.begin_day(MONDAY)
    return presence


def counted(presence: Presence, day: int, **known: np.ndarray) -> list[int]:
    presence.begin_day(day)
    return LostDays(presence.city).count(presence, **known).tolist()


def test_an_ordinary_day_loses_nothing(town: City) -> None:
    presence = morning(town)
    assert counted(presence, MONDAY) == asked(presence, MONDAY) == [0, 0, 0]
    presence.apply([rule(reduce={"work": 0.5})])  # fewer contacts are no closure
    assert counted(presence, MONDAY) == [0, 0, 0]


def test_closed_schools_lose_every_pupil_a_day(town: City) -> None:
    presence = morning(town)
    presence.apply([rule(close=["school"])])
    pupils = np.isin(town.people.role, [Role.KINDERGARTEN, Role.PRIMARY, Role.SECONDARY]).sum()
    assert counted(presence, MONDAY) == asked(presence, MONDAY) == [pupils, 0, 0]
    assert counted(presence, SATURDAY) == [0, 0, 0]  # there is no school


def test_whatever_keeps_people_at_home(town: City) -> None:
    rng = np.random.default_rng(3)
    people = len(town.people)
    presence = morning(town)
    presence.apply([rule(rng.random(people) < 0.4, close=["school"]), rule(rng.random(people) < 0.3, close=["work"])])
    for status in (AWAY, ISOLATED, QUARANTINED):
        presence.put(rng.choice(people, 40, replace=False), status)
    presence.confine(rng.choice(people, 40, replace=False))
    expected = asked(presence, MONDAY)
    assert min(expected) > 5
    assert counted(presence, MONDAY) == expected
    presence.release(np.arange(people))
    assert sum(counted(presence, MONDAY)) < sum(expected)
    assert counted(presence, MONDAY) == asked(presence, MONDAY)


def test_zones_and_ways_elsewhere(town: City) -> None:
    presence = morning(town)
    there = town.places.zone == town.places.zone[town.people.activity[town.people.role == Role.PRIMARY][0]]
    presence.apply([rule(None, there, close=["education", "work"])])
    schedule = town.schedules[presence.day_type(MONDAY)]
    shopping = np.flatnonzero(town.places.kind[schedule.place] == PlaceKind.SHOP)
    leisure = int(np.flatnonzero(town.places.kind == PlaceKind.LEISURE)[0])
    presence.redirect(shopping, np.full(len(shopping), leisure))
    expected = asked(presence, MONDAY)
    assert 0 < sum(expected) < (town.people.activity >= 0).sum()
    assert counted(presence, MONDAY) == expected


def test_the_dead_and_those_who_work_from_home_lose_none(town: City) -> None:
    presence = morning(town)
    presence.apply([rule(close=["school", "work"])])
    health = np.zeros(len(town.people), np.uint8)
    health[::5] = DEAD
    home_office = np.arange(len(town.people)) % 3 == 0
    expected = asked(presence, MONDAY, set(range(0, len(health), 5)), set(np.flatnonzero(home_office)))
    assert counted(presence, MONDAY, health=health, home_office=home_office) == expected
    assert sum(expected) < sum(asked(presence, MONDAY))


def test_two_visits_to_work_are_one_day(town: City) -> None:
    """A day with an errand in the middle of work counts once."""
    monday = town.schedules[0]
    worker = int(np.flatnonzero(town.people.role == Role.WORKER)[0])
    first, place, start, end = (list(column) for column in (monday.first, monday.place, monday.start, monday.end))
    visit = next(v for v in range(first[worker], first[worker + 1]) if place[v] == town.people.activity[worker])
    middle = (int(start[visit]) + int(end[visit])) // 2
    shop = int(np.flatnonzero(town.places.kind == PlaceKind.SHOP)[0])
    place[visit : visit + 1] = [place[visit], shop, place[visit]]
    start[visit : visit + 1], end[visit : visit + 1] = (
        [start[visit], middle, middle + 2],
        [middle, middle + 2, end[visit]],
    )
    first = [at + 2 * (person > worker) for person, at in enumerate(first)]
    columns = (
        np.array(c, t.dtype)
        for c, t in zip((first, place, start, end), (monday.first, monday.place, monday.start, monday.end), strict=True)
    )
    day = Schedule.from_visits(*columns, len(town.places))
    tables = {name: dict(getattr(town, name)) for name in ("people", "households", "places", "sites", "buildings")}
    tables |= {name: dict(getattr(town, name)) for name in ("zones", "nodes", "links")}
    changed = City(town.info, tables, [day, *town.schedules[1:]])
    presence = morning(changed)
    presence.put([worker], ISOLATED)
    assert counted(presence, MONDAY) == asked(presence, MONDAY) == [0, 0, 1]
