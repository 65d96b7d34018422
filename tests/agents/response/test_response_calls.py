"""Calls of the people of a city: whose, when, where; and what a policy leaves as it is."""

from datetime import date

import numpy as np
import pytest
from cities import HOURS, tiny_city
from hypothesis import given, settings
from hypothesis import strategies as st

from citytwin.agents.emergencies import Emergency
from citytwin.agents.presence import AWAY, Presence, rule
from citytwin.agents.response.calls import DAY, RATES, YEAR, Calls
from citytwin.agents.response.events import Events
from citytwin.agents.response.kinds import kinds_of, shipped
from citytwin.agents.response.scenes import CallError, Scenes
from citytwin.agents.response.tasks import COLUMNS
from citytwin.environment.places import PlaceKind, Role

MONDAY = date(2026, 1, 5)
ONLY = ("illness", "traffic accident", "disturbance")


@pytest.fixture(scope="module")
def city():
    return tiny_city(600)


@pytest.fixture(scope="module")
def scenes(city):
    return Scenes(city)


def calls_in(city, scenes, kinds=None, presence=None, **more):
    presence = presence or Presence(city, 1)
    return Calls(city, presence, kinds_of(kinds), shipped().services, 1, scenes=scenes, **more)


def quiet(**loud):
    """Return kinds of which only some happen."""
    return {name: {"rate": 0} for name in kinds_of()} | loud


def column_by_column(tasks):
    return {name: getattr(tasks, name) for name in COLUMNS}


def test_the_same_day_has_the_same_calls(city, scenes):
    first, again = (calls_in(city, scenes, factor=100).of_day(3, MONDAY) for _ in range(2))
    assert len(first) > 20
    for name, column in column_by_column(first).items():
        np.testing.assert_array_equal(column, getattr(again, name), err_msg=name)
    other = calls_in(city, scenes, factor=100).of_day(4, MONDAY)
    assert len(other) != len(first) or not np.array_equal(other.called - DAY, first.called)
    assert (first.called >= 3 * DAY).all()
    assert (first.called < 4 * DAY).all()


def test_people_are_where_they_are_and_not_where_they_live(city, scenes):
    at_work = HOURS[Role.WORKER]
    kinds = quiet(illness={"rate": 80000, "hours": [0.0] * 10 + [1.0] + [0.0] * 13})
    presence = Presence(city, 1)
    tasks = calls_in(city, scenes, kinds, presence).of_day(0, MONDAY)
    assert len(tasks) > 50
    assert ((tasks.called >= 10 * 3600) & (tasks.called < 11 * 3600)).all()
    slots = (tasks.called // 900).astype(int)
    assert at_work[0] <= slots.min() <= slots.max() < at_work[1]
    where = np.array([presence.place_of(person, 0, slot) for person, slot in zip(tasks.person, slots, strict=True)])
    assert np.array_equal(tasks.x, city.places.x[where])
    assert np.array_equal(tasks.zone, city.places.zone[where])
    workers = city.people.role[tasks.person] == Role.WORKER
    assert workers.any()
    assert (city.places.kind[where[workers]] == PlaceKind.WORK).all()


def test_closing_schools_moves_calls_of_pupils_and_leaves_all_others(city, scenes):
    kinds = {name: {"zones": {"North East": 3.0}} for name in ONLY}
    plain, closed = Presence(city, 1), Presence(city, 1)
    closed.apply([rule(close=["school"])])
    before = calls_in(city, scenes, kinds, plain, factor=300).of_day(0, MONDAY)
    after = calls_in(city, scenes, kinds, closed, factor=300).of_day(0, MONDAY)
    pupils = {Role.PRIMARY, Role.SECONDARY, Role.KINDERGARTEN}

    def of_others(tasks):
        patient = np.full(tasks.incident.max() + 1, -1)
        known = tasks.person >= 0
        patient[tasks.incident[known]] = tasks.person[known]
        asks = patient[tasks.incident]  # −1 for incidents of police and fire alone
        rows = np.flatnonzero((asks >= 0) & ~np.isin(city.people.role[asks], list(pupils)))
        return {
            name: column[rows] for name, column in column_by_column(tasks).items() if name not in ("incident", "after")
        }

    ours, theirs = of_others(before), of_others(after)
    assert len(ours["ready"]) > 100
    for name, column in ours.items():
        np.testing.assert_array_equal(column, theirs[name], err_msg=name)
    assert not np.array_equal(before.x, after.x)  # pupils who call do so at home


def test_who_is_away_does_not_call(city, scenes):
    presence = Presence(city, 1)
    everybody = calls_in(city, scenes, quiet(illness={"rate": 80000}), presence)
    before = everybody.of_day(0, MONDAY)
    gone = np.unique(before.person)[::2]
    presence.put(gone, AWAY)
    after = everybody.of_day(0, MONDAY)
    assert len(gone) > 20
    kept = ~np.isin(before.person, gone)
    for name in COLUMNS.keys() - {"incident", "after"}:
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name)[kept], err_msg=name)


def test_zones_of_factor_0_have_no_calls(city, scenes):
    kinds = quiet(illness={"rate": 80000, "zones": {"South West": 0.0, "North East": 2.0}})
    tasks = calls_in(city, scenes, kinds).of_day(0, MONDAY)
    zone = np.bincount(tasks.zone, minlength=4)
    assert zone[0] == 0
    assert (zone[1:] > 0).all()


def test_expected_numbers_are_rates_times_people(city, scenes):
    calls = calls_in(city, scenes, quiet(illness={"rate": 36.525}, disturbance={"rate": 73.05}))
    people = len(city.people)
    assert calls.expected(0)["illness"] == pytest.approx(
        36.525 * people / 1000 / YEAR * 0.98 / np.mean([0.98] * 6 + [1.12])
    )
    assert sum(calls.expected(day)["disturbance"] for day in range(7)) == pytest.approx(
        73.05 * people / 1000 / YEAR * 7
    )
    assert calls.expected(0)["transfer"] == 0


def test_a_longer_list_of_kinds_leaves_the_calls_of_the_others(city, scenes):
    few = calls_in(city, scenes, factor=100).of_day(2, MONDAY)
    more = calls_in(city, scenes, {"drowning": {"rate": 500, "units": {"ambulance": 1}}}, factor=100).of_day(2, MONDAY)
    kept = more.kind < len(kinds_of())
    assert (~kept).any()
    for name in COLUMNS.keys() - {"incident", "after"}:
        np.testing.assert_array_equal(getattr(more, name)[kept], getattr(few, name), err_msg=name)


def test_zones_that_the_city_has_not_are_named(city, scenes):
    with pytest.raises(
        CallError, match=r"response.kinds.illness.zones: the city has no zone 'Centre'; there are: South West"
    ):
        calls_in(city, scenes, {"illness": {"zones": {"Centre": 2}}})


@pytest.fixture(scope="module")
def calls(city, scenes):
    return calls_in(city, scenes, causes=("epidemic", "flood"))


class TestEmergencies:
    def test_a_person_is_called_for_where_they_are(self, city, calls):
        worker = int(np.flatnonzero(city.people.role == Role.WORKER)[0])
        posted = [
            Emergency(10.5 * 3600.0, "illness", "epidemic", worker, severity=1.0),
            Emergency(3 * 3600.0, "illness", "epidemic", worker, severity=1.0),
        ]
        tasks = calls.of_emergencies(posted)
        assert tasks.person.tolist() == [worker, worker]
        home, work = city.people.household[worker], city.people.activity[worker]
        assert tasks.x.tolist() == city.places.x[[home, work]].tolist()
        assert tasks.transport.all()
        assert [calls.causes[cause] for cause in tasks.cause] == ["epidemic", "epidemic"]

    def test_who_is_away_is_called_for_at_home(self, city, scenes):
        presence = Presence(city, 1)
        calls = calls_in(city, scenes, presence=presence, causes=("epidemic",))
        worker = int(np.flatnonzero(city.people.role == Role.WORKER)[0])
        presence.put([worker], AWAY)
        tasks = calls.of_emergencies([Emergency(10.5 * 3600.0, "illness", "epidemic", worker)])
        assert tasks.x.tolist() == [city.places.x[city.people.household[worker]]]

    def test_places_and_points_are_taken_as_told(self, city, calls):
        x, y = float(city.places.x[3]) + 5, float(city.places.y[3])
        tasks = calls.of_emergencies(
            [
                Emergency(50.0, "flooded house", "flood", place=7),
                Emergency(60.0, "flooded house", "flood", x=x, y=y),
                Emergency(70.0, "flooded house", "flood", place=7),
            ]
        )
        assert tasks.x.tolist() == [city.places.x[7], x, city.places.x[7]]
        assert (tasks.person == -1).all()
        assert tasks.scene[0] != tasks.scene[2]  # two at one place are two

    @settings(max_examples=20)
    @given(st.lists(st.integers(0, 100), min_size=1, max_size=10, unique=True), st.data())
    def test_draws_belong_to_the_person(self, calls, people, data):
        posted = [Emergency(100.0 * person, "illness", "epidemic", person) for person in people]
        tasks = calls.of_emergencies(posted)
        chosen = data.draw(st.sampled_from(people))
        alone = calls.of_emergencies([emergency for emergency in posted if emergency.person == chosen])
        row = int(np.flatnonzero(tasks.person == chosen)[0])
        for name in COLUMNS.keys() - {"incident"}:
            np.testing.assert_array_equal(getattr(alone, name), getattr(tasks, name)[[row]], err_msg=name)

    @pytest.mark.parametrize(
        ("emergency", "message"),
        [
            (Emergency(1.0, "plague", "epidemic", 3), "of the kind 'plague'; there are: illness, chest pain"),
            (Emergency(1.0, "flooded house", "flood"), "has neither place nor point nor person"),
        ],
    )
    def test_what_cannot_be_answered_is_named(self, calls, emergency, message):
        with pytest.raises(CallError, match=message):
            calls.of_emergencies([emergency])

    def test_causes_are_numbered_as_they_come(self, city, scenes):
        calls = calls_in(city, scenes, causes=("epidemic",))
        tasks = calls.of_emergencies([Emergency(1.0, "illness", "heat", 3), Emergency(2.0, "illness", "epidemic", 3)])
        assert calls.causes == ("rates", "events", "epidemic", "heat")
        assert [calls.causes[cause] for cause in tasks.cause] == ["heat", "epidemic"]
        assert tasks.scene[0] != tasks.scene[1]

    def test_nothing_posted_no_task(self, calls):
        assert len(calls.of_emergencies([])) == 0


def test_events_happen_on_their_day_and_again_where_they_repeat(city, scenes):
    calls = calls_in(city, scenes)
    kind = list(calls.kinds).index("disturbance")
    events = Events(
        second=np.array([100.0, 90_000.0]),
        kind=np.array([kind, kind], np.uint8),
        priority=np.array([2, -1], np.int16),
        units=np.array([0, 3], np.int16),
        x=city.places.x[[1, 2]],
        y=city.places.y[[1, 2]],
        row=np.array([4, 9]),
        round_days=2,
        spread=3600.0,
    )
    days = [calls.of_events(events, day) for day in range(4)]
    assert [len(tasks) for tasks in days] == [1, 3, 1, 3]
    assert [tasks.priority[0] for tasks in days[::2]] == [2, 2]
    for day, tasks in enumerate(days):
        assert (tasks.called // DAY == day).all()
        assert [calls.causes[cause] for cause in tasks.cause] == ["events"] * len(tasks)
    assert 100 <= days[0].called[0] < 3700
    assert days[0].called[0] != days[2].called[0] - 2 * DAY  # another draw within the hour
    assert len(calls.of_events(events, 0, file=1)) == 1
    assert calls.of_events(events, 0, file=1).called[0] != days[0].called[0]
    assert RATES in calls.causes
