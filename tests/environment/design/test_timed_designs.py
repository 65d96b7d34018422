"""Changes that hold for some hours, weekdays or dates."""

import datetime

import numpy as np
import pytest
from grids import cars, design, grid_city, link

from citytwin.environment.design import DesignError
from citytwin.environment.design.design import events_of
from citytwin.environment.design.when import When, read_when
from citytwin.environment.roads import Access

MONDAY, SATURDAY = datetime.date(2026, 1, 5), datetime.date(2026, 1, 10)
HOUR = 3600


@pytest.fixture(scope="module")
def city():
    return grid_city()


def rows(events, row: int) -> list[tuple[float, bool, float]]:
    """Return second, whether cars may drive, and km/h of each event of a link."""
    at = np.flatnonzero(events.link == row)
    return [(float(events.second[i]), bool(events.access[i] & Access.CAR), round(events.speed[i] * 3.6, 3)) for i in at]


def test_a_school_street_closes_and_opens_again(city) -> None:
    made = design({"change": "close", "street": "Row 5", "hours": "07:30-09:00, 14:00-15:30", "weekdays": "Mon-Fri"})
    after = made.apply(city)
    assert (after.links.access == city.links.access).all()  # the city at rest is open
    row = link(city, (4, 5), (5, 5))
    wanted = [(7.5 * HOUR, False, 50.0), (9 * HOUR, True, 50.0), (14 * HOUR, False, 50.0), (15.5 * HOUR, True, 50.0)]
    events = made.events(after, MONDAY)
    assert rows(events, row) == wanted
    assert len(events.second) == 4 * 20
    assert (np.diff(events.second) >= 0).all()
    assert not made.events(after, SATURDAY)
    assert made.timed and not design({"change": "close", "street": "Row 5"}).timed


def test_what_holds_over_night_reaches_into_the_next_day(city) -> None:
    made = design({"change": "speed", "kmh": 30, "links": 4, "hours": "22:00-06:00", "weekdays": "Sun"})
    sunday = MONDAY - datetime.timedelta(days=1)
    assert rows(made.events(city, sunday), 4) == [(22 * HOUR, True, 30.0)]
    assert rows(made.events(city, MONDAY), 4) == [(0.0, True, 30.0), (6 * HOUR, True, 50.0)]


def test_the_night_after_a_day_is_that_of_the_next_date(city) -> None:
    over = design({"change": "close", "links": 4, "hours": "23:00-01:00", "weekdays": "Mon"})
    found = events_of([over], city, MONDAY, 30 * HOUR)
    assert rows(found, 4) == [(23 * HOUR, False, 50.0), (25 * HOUR, True, 50.0)]
    nightly = design({"change": "close", "links": 4, "hours": "00:30-02:00"})
    found = events_of([nightly], city, MONDAY, 30 * HOUR)
    assert [second / HOUR for second, _, _ in rows(found, 4)] == [0.5, 2, 24.5, 26]
    last = design({"change": "close", "links": 4, "until": "2026-01-05"})
    assert rows(events_of([last], city, MONDAY, 30 * HOUR), 4) == [(0.0, False, 50.0), (24 * HOUR, True, 50.0)]
    assert rows(events_of([last], city, datetime.date.max, 30 * HOUR), 4) == []


def test_dates_without_hours_hold_all_day(city) -> None:
    made = design({"change": "close", "links": 4, "from": "2026-01-05", "until": "2026-01-06"})
    days = [MONDAY + datetime.timedelta(days=n) for n in (-1, 0, 1, 2)]
    assert [rows(made.events(city, day), 4) for day in days] == [[], [(0.0, False, 50.0)], [(0.0, False, 50.0)], []]


def test_several_changes_of_one_link_overlap(city) -> None:
    made = design(
        {"change": "speed", "kmh": 20, "links": 4, "hours": "08:00-10:00"},
        {"change": "close", "links": 4, "hours": "09:00-11:00"},
    )
    assert rows(made.events(made.apply(city), MONDAY), 4) == [
        (8 * HOUR, True, 20.0),
        (9 * HOUR, False, 20.0),
        (10 * HOUR, False, 50.0),
        (11 * HOUR, True, 50.0),
    ]


def test_a_timed_change_lies_over_a_permanent_one(city) -> None:
    made = design(
        {"change": "speed", "kmh": 40, "links": 4}, {"change": "speed", "kmh": 10, "links": 4, "hours": "08:00-09:00"}
    )
    after = made.apply(city)
    assert rows(made.events(after, MONDAY), 4) == [(8 * HOUR, True, 10.0), (9 * HOUR, True, 40.0)]
    assert cars(after, 4)


def test_a_bus_lane_of_some_hours_takes_its_lane_then() -> None:
    city = grid_city(lanes=2.0)
    made = design({"change": "bus_lane", "links": 4, "hours": "06:00-20:00"})
    events = made.events(made.apply(city), MONDAY)
    assert events.lanes.tolist() == [1.0, 2.0]
    assert events.bus_lane.tolist() == [True, False]
    with pytest.raises(DesignError, match="has no lane to give"):
        made.apply(grid_city())


def test_contradictions_count_only_at_the_same_time(city) -> None:
    early = {"change": "speed", "kmh": 20, "links": 4, "hours": "08:00-10:00"}
    late = early | {"kmh": 30, "hours": "10:00-12:00"}
    design(early, late).apply(city)
    with pytest.raises(
        DesignError, match=r"feature 1 \(speed\) and feature 2 \(speed\) contradict each other on link 4"
    ):
        design(early, late | {"hours": "09:00-12:00"}).apply(city)
    with pytest.raises(DesignError, match="contradict"):
        design(early | {"weekdays": "Sun"}, late | {"hours": "23:00-09:00", "weekdays": "Sat"}).apply(city)
    design(early | {"weekdays": "Mon-Fri"}, early | {"kmh": 30, "weekdays": "weekend"}).apply(city)
    design(early | {"until": "2026-03-01"}, early | {"kmh": 30, "from": "2026-03-02"}).apply(city)
    with pytest.raises(DesignError, match="contradict"):
        design(early | {"until": "2026-03-02"}, early | {"kmh": 30, "from": "2026-03-02"}).apply(city)


@pytest.mark.parametrize(
    ("given", "days"),
    [
        ({}, range(7)),
        ({"weekdays": "Mon-Fri"}, range(5)),
        ({"weekdays": "Sat, Sunday"}, (5, 6)),
        ({"weekdays": "fri-mon"}, (4, 5, 6, 0)),
        ({"weekdays": ["weekdays", "Sat"]}, range(6)),
    ],
)
def test_days_of_the_week(given, days) -> None:
    assert read_when(given).weekdays == frozenset(days)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"hours": "7:30"}, "hours: must be as in"),
        ({"hours": "07:30-25:00"}, "from 00:00 to 24:00"),
        ({"hours": "08:00-08:00"}, "no time at all"),
        ({"hours": 7}, "hours: must be as in"),
        ({"weekdays": "Someday"}, "weekdays: must be as in"),
        ({"weekdays": 3}, "weekdays: must be as in"),
        ({"from": "tomorrow"}, "from: must be a date"),
        ({"from": "2026-02-01", "until": "2026-01-01"}, "lies before"),
    ],
)
def test_times_that_are_none(given, told) -> None:
    with pytest.raises(ValueError, match=told):
        read_when(given)


def test_spells_of_a_day_that_is_both_evening_and_morning() -> None:
    when = When(hours=((22 * HOUR, 6 * HOUR),))
    assert when.spells(MONDAY) == [(0, 6 * HOUR), (22 * HOUR, 24 * HOUR)]
