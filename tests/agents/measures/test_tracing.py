"""Contact tracing: the replay of past days against where people really were, shares, delays, capacity and app."""

import numpy as np
import pytest
from epidemic_cities import random_city
from hypothesis import given, settings
from hypothesis import strategies as st
from outbreak import Outbreak
from pydantic import ValidationError

from citytwin.agents.epidemic.rates import crowding
from citytwin.agents.measures.tracing import SETTINGS, TracingSettings
from citytwin.agents.presence import AWAY, GUEST, HOME, ISOLATED
from citytwin.agents.rules import rule
from citytwin.environment.randomness import key, uniform

SEED = 11
EVERYWHERE = dict.fromkeys(SETTINGS, 1.0)
PEOPLE = 50


class Diary:
    """Where everybody was in every slot, written down on the day itself."""

    def __init__(self, model):
        self.model, self.days = model, {}

    def write(self):
        presence, day = self.model.presence, self.model.day
        self.days[day] = np.array(
            [[presence.place_of(person, day, slot) for slot in range(96)] for person in range(self.model.people)]
        )
        gone = np.flatnonzero(presence.status == AWAY)
        self.days[day][gone] = -1 - gone[:, None]  # each in a place of their own

    def contacts(self, case, days, slots):
        """Yield (other, column) for everybody who was in one place with the case for long enough on one of some days."""
        city = self.model.city
        for day in days:
            where = self.days[day]
            crowds = crowding(city, self.model.presence.day_type(day))
            for other in range(self.model.people):
                for place in set(where[case]) & set(where[other]) if other != case else ():
                    together = np.count_nonzero((where[case] == place) & (where[other] == place))
                    pair = min(case, other) * self.model.people + max(case, other)
                    chance = 1.0 if place < city.homes else crowds[place - city.homes]
                    met = uniform(key(SEED, "tracing meeting"), pair, day) < chance
                    if together >= slots and met:
                        housemates = city.people.household[case] == city.people.household[other] == place
                        yield other, HOME if housemates else GUEST if place < city.homes else city.places.kind[place]


def twin(diary, table, cases):
    """Return who is told after how many days."""
    model, get = diary.model, table.get
    today, told = model.day, {}
    lot = sorted(cases, key=lambda case: uniform(key(SEED, "tracing order"), case, today))
    interviewed = set(lot[: get("capacity", len(lot))])

    def app(person):
        return uniform(key(SEED, "tracing app"), person, 0) < get("app", 0)

    share = {column: value for name, value in get("share", {}).items() for column in SETTINGS[name]}
    delay = {column: value for name, value in get("delay", {}).items() for column in SETTINGS[name]}
    for case in cases:
        past = range(max(today - get("days_back", 7), 0), today)
        for other, column in diary.contacts(case, past, -(-get("minimum_minutes", 15) // 15)):
            u = uniform(key(SEED, "tracing pair"), case * model.people + other, today)
            if case in interviewed and u < share.get(column, 0):
                told[other] = min(told.get(other, 99), delay.get(column, 0))
            if app(case) and app(other):
                told[other] = 0
    return told


def disturb(model, rng):
    """Change who is where from now on: rules, and statuses of some people."""
    people, places = model.people, len(model.city.places)
    rules = [
        rule(rng.random(people) < 0.5, close=["work"], reduce={"leisure": 0.3}),
        rule(rng.random(people) < 0.3, rng.random(places) < 0.5, close=["guests", "venue", "education"]),
    ]
    model.presence.apply(rules[: int(rng.integers(0, 3))])
    model.presence.release(rng.integers(0, people, 5))
    model.presence.put(rng.integers(0, people, 2), ISOLATED)
    model.presence.put(rng.integers(0, people, 2), AWAY)
    model.presence.confine(rng.integers(0, people, 3))
    away_from_home = np.flatnonzero(model.city.schedules[model.presence.day_type(model.day)].place >= model.city.homes)
    moved = rng.choice(away_from_home, 4, replace=False)
    model.presence.redirect(moved, rng.integers(model.city.homes, places, 4))


names = st.sampled_from(sorted(SETTINGS))


@settings(max_examples=20)
@given(
    share=st.dictionaries(names, st.sampled_from([0.0, 0.4, 1.0])),
    delay=st.dictionaries(names, st.integers(0, 3)),
    days_back=st.integers(1, 4),
    minimum_minutes=st.sampled_from([1, 15, 40, 300]),
    capacity=st.one_of(st.none(), st.integers(0, 4)),
    app=st.sampled_from([0.0, 0.5]),
    luck=st.integers(0, 1000),
)
def test_tracing_finds_who_was_really_there(luck, **table):
    table = {name: value for name, value in table.items() if value is not None}
    model = Outbreak(random_city(luck, people=PEOPLE), {"trace": table}, seed=SEED)
    diary, rng, due = Diary(model), np.random.default_rng(luck), {}
    for day in range(6):
        model.day = day
        model.presence.begin_day(day)
        cases = np.unique(rng.integers(0, PEOPLE, 3))
        model.data["positive_on"][cases] = day
        followers = rng.random(PEOPLE) < 0.8
        for person, after in twin(diary, table, cases[followers[cases]]).items():
            due.setdefault(day + after, set()).add(person)
        model.morning(followers)
        assert set(np.flatnonzero(model.data["traced_on"] == day)) == due.get(day, set())
        assert model.series() == {"traced": len(due.get(day, set()))}
        disturb(model, rng)
        diary.write()


# ---------------------------------------------------------------------- expectations


def traced(days=5, luck=2, cases=(10, 20, 30), seed=SEED, **table):
    """Return who is told on each day after days without measures, when cases become known on the last of them."""
    model = Outbreak(random_city(luck, people=PEOPLE), {"trace": table}, seed=seed)
    told = []
    for day in range(days + 5):
        model.day = day
        if day == days:
            model.data["positive_on"][list(cases)] = day
        model.morning()
        told.append(set(np.flatnonzero(model.data["traced_on"] == day).tolist()))
    return told[days:]


def test_contacts_are_told_after_exactly_the_delay():
    at_once = traced(share=EVERYWHERE)
    assert at_once[0]
    assert not any(at_once[1:])
    later = traced(share=EVERYWHERE, delay=3)
    assert later[3] == at_once[0]
    assert not any(later[:3])


def test_larger_shares_find_the_same_people_and_more():
    few, some, everybody = (traced(share=dict.fromkeys(SETTINGS, share))[0] for share in (0.2, 0.5, 1.0))
    assert few < some < everybody


def test_the_share_of_contacts_found_is_the_share_asked_for():
    everybody = some = 0
    for seed in range(60):
        everybody += len(traced(days=1, cases=[7], seed=seed, share=EVERYWHERE)[0])
        some += len(traced(days=1, cases=[7], seed=seed, share=dict.fromkeys(SETTINGS, 0.3))[0])
    assert everybody > 300
    assert abs(some / everybody - 0.3) < 4 * np.sqrt(0.3 * 0.7 / everybody)


def test_nothing_is_traced_with_shares_of_zero():
    assert not any(traced(share=dict.fromkeys(SETTINGS, 0.0), app=0.0))


def test_a_longer_look_back_finds_more_and_days_before_the_start_do_not_count():
    assert traced(days=7, share=EVERYWHERE, days_back=1)[0] < traced(days=7, share=EVERYWHERE, days_back=5)[0]
    assert not traced(days=0, share=EVERYWHERE)[0]


def test_only_so_many_cases_are_asked_a_day():
    alone = [traced(cases=[case], share=EVERYWHERE)[0] for case in (10, 20, 30)]
    one = traced(share=EVERYWHERE, capacity=1)[0]
    assert one in alone
    assert not traced(share=EVERYWHERE, capacity=0)[0]


def test_the_app_tells_at_once_whom_only_both_have_it():
    everybody = traced(share=EVERYWHERE)[0]
    with_app = {p for p in range(PEOPLE) if uniform(key(SEED, "tracing app"), p, 0) < 0.6}
    found = traced(app=0.6)
    each = [traced(cases=[case], share=EVERYWHERE)[0] for case in (10, 20, 30) if case in with_app]
    assert found[0] == set().union(*each) & with_app
    assert found[0] < everybody
    assert traced(app=0.6, capacity=0)[0] == found[0]


def test_the_dead_are_not_told():
    model = Outbreak(random_city(2, people=PEOPLE), {"trace": {"share": EVERYWHERE}}, seed=SEED)
    model.day = 3
    model.data["health"][:] = 2
    model.data["positive_on"][10] = 3
    model.morning()
    assert model.series() == {"traced": 0}


@pytest.mark.parametrize("role", ["case", "contact"])
def test_days_in_hospital_have_no_contacts(role):
    def told(away):
        model = Outbreak(random_city(2, people=PEOPLE), {"trace": {"share": EVERYWHERE, "days_back": 2}}, seed=SEED)
        for day in range(4):
            model.day = day
            if day == 3:
                model.data["positive_on"][case] = day
            model.presence.begin_day(day)
            model.presence.put(away, AWAY)
            model.morning()
        return set(np.flatnonzero(model.data["traced_on"] == 3).tolist())

    household = random_city(2, people=PEOPLE).people.household
    case = int(np.flatnonzero(np.bincount(household)[household] > 2)[0])
    mates = set(np.flatnonzero(household == household[case]).tolist()) - {case}
    everybody = told([])
    assert mates & everybody
    if role == "case":
        assert told([case]) == set()
    else:
        assert told(sorted(mates)) == everybody - mates


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"share": {"home": 1.1}}, "less than or equal to 1"),
        ({"share": {"pub": 0.5}}, "'pub' is no setting of contacts; allowed are: home, kindergarten"),
        ({"share": {"home": 1.0}, "delay": {"homes": 1}}, "'homes' is no setting"),
        ({"share": {"home": 1.0}, "delay": -1}, "greater than or equal to 0"),
        ({"share": {"home": 1.0}, "delay": {"work": 100}}, "work = 100: write at most 60 days"),
        ({"share": {"home": 1.0}, "delay": 100}, "delay = 100: write at most 60 days"),
        ({"share": {"home": 1.0}, "days_back": 0}, "greater than or equal to 1"),
        ({"app": 1.5}, "less than or equal to 1"),
        ({"share": {"home": 1.0}, "capacity": 0.1}, "write a whole number a day"),
        ({"days_back": 5}, "nobody would be traced"),
        ({"share": 0.5}, "valid dictionary"),
    ],
)
def test_wrong_settings_are_refused(table, message):
    with pytest.raises(ValidationError, match=message):
        TracingSettings.model_validate(table)
