"""Isolation and quarantine: when they begin and end, for whom, and who drops out."""

import numpy as np
import pytest
from epidemic_cities import homes_only, random_city
from hypothesis import given, settings
from hypothesis import strategies as st
from outbreak import Outbreak
from pydantic import ValidationError

from citytwin.agents.measures.isolation import IsolationSettings
from citytwin.agents.presence import AWAY, FREE, HOME, ISOLATED, QUARANTINED
from citytwin.environment.randomness import key, uniform

SEED = 3


def town(people=40, **table):
    return Outbreak(homes_only(4, people // 4), {"isolate": table}, seed=SEED)


def status_by_day(model, days, before=None):
    """Let days pass and return the status of everybody, (days, people)."""
    out = []
    for day in range(days):
        model.day = day
        if before is not None:
            before(day)
        model.morning()
        out.append(model.presence.status.copy())
    return np.array(out)


def on_day(when, act):
    return lambda day: act() if day == when else None


# ---------------------------------------------------------------------- the twin


class Twin:
    """Isolation person by person: what each one is doing, and until when."""

    def __init__(self, model, table):
        self.model, self.table = model, table
        self.isolated, self.quarantined, self.away = {}, {}, set()

    def __call__(self, followers):
        """Make a morning and return everybody's status."""
        day, data, get = self.model.day, self.model.data, self.table.get
        household = self.model.city.people.household
        for until in (self.isolated, self.quarantined):
            for person in [p for p, end in until.items() if end <= day]:
                del until[person]
        for person in {*self.isolated, *self.quarantined}:
            gives_up = uniform(key(SEED, "isolation dropout"), person, day) < get("dropout", 0)
            if followers[person] and gives_up:
                self.isolated.pop(person, None)
                self.quarantined.pop(person, None)
        cases = []
        for person in range(self.model.people):
            result = data["positive_on"][person] == day and get("at", "result") in ("result", "both")
            onset = data["ill_since"][person] == day and get("at", "result") in ("onset", "both")
            if followers[person] and (result or onset) and data["health"][person] != 2:
                cases.append(person)
        for person in cases:
            self.isolated.setdefault(person, day + get("days", 10))
            self.quarantined.pop(person, None)
        for person in range(self.model.people):
            mate = get("household", False) and any(household[person] == household[case] for case in cases)
            told = get("contacts", True) and data["traced_on"][person] == day
            if followers[person] and (mate or told) and person not in self.isolated:
                end = day + get("quarantine_days", 14)
                self.quarantined[person] = max(self.quarantined.get(person, 0), end)
        return [self.status(person) for person in range(self.model.people)]

    def status(self, person):
        if person in self.away:
            return AWAY
        if person in self.isolated:
            return ISOLATED
        return QUARANTINED if person in self.quarantined else FREE


@settings(max_examples=25)
@given(
    at=st.sampled_from(["result", "onset", "both"]),
    days=st.integers(1, 5),
    household=st.booleans(),
    contacts=st.booleans(),
    quarantine_days=st.integers(1, 5),
    dropout=st.sampled_from([0.0, 0.3, 1.0]),
    luck=st.integers(0, 1000),
)
def test_isolation_is_its_twin(luck, **table):
    model = Outbreak(random_city(luck, people=40), {"isolate": table}, seed=SEED)
    twin, rng = Twin(model, table), np.random.default_rng(luck)
    for day in range(12):
        model.day = day
        model.presence.begin_day(day)
        model.data["positive_on"][rng.integers(0, 40, 2)] = day
        model.data["ill_since"][rng.integers(0, 40, 2)] = day
        model.data["traced_on"][rng.integers(0, 40, 3)] = day
        back = {person for person in twin.away if rng.random() < 0.4}
        gone = set(rng.integers(0, 40, 1).tolist()) - twin.away
        twin.away = twin.away - back | gone
        model.presence.release(sorted(back))
        model.presence.put(sorted(gone), AWAY)
        followers = rng.random(40) < 0.8
        expected = twin(followers)
        model.morning(followers)
        assert model.presence.status.tolist() == expected
        assert model.series() == {"isolated": expected.count(ISOLATED), "quarantined": expected.count(QUARANTINED)}


# ---------------------------------------------------------------------- expectations


@pytest.mark.parametrize("days", [1, 3, 10])
def test_isolation_begins_with_the_result_and_lasts_its_days(days):
    model = town(days=days)

    def result():
        model.data["positive_on"][5] = 2

    status = status_by_day(model, 15, on_day(2, result))
    assert np.flatnonzero(status[:, 5] == ISOLATED).tolist() == list(range(2, 2 + days))
    assert np.all(np.delete(status, 5, axis=1) == FREE)


def test_isolation_at_onset_begins_on_the_day_of_symptoms_and_cuts_contacts_at_home_to_nothing():
    model = town(at="onset", days=100, home=0.0)
    status = status_by_day(model, 6, on_day(3, lambda: model.fall_ill([7])))
    assert np.flatnonzero(status[:, 7] == ISOLATED).tolist() == [3, 4, 5]
    visits = model.presence.visits(5)
    at_home = [visits.column[visits.household[person]] + HOME for person in (6, 7)]
    assert [visits.give[visits.group[person], column] for person, column in zip((6, 7), at_home, strict=True)] == [1, 0]


def test_the_isolated_are_at_home_all_day_with_fewer_contacts_there():
    model = Outbreak(random_city(4), {"isolate": {"home": 0.3, "quarantine_home": 0.6, "household": True}}, seed=SEED)
    case = int(np.flatnonzero(np.bincount(model.city.people.household)[model.city.people.household] > 1)[0])
    model.data["positive_on"][case] = 0
    model.morning()
    home = model.city.people.household[case]
    mates = np.setdiff1d(np.flatnonzero(model.city.people.household == home), case)
    assert model.presence.status[case] == ISOLATED
    assert np.all(model.presence.status[mates] == QUARANTINED)
    visits = model.presence.visits(0)
    for person, factor in ((case, 0.3), (mates[0], 0.6)):
        assert {model.presence.place_of(person, 0, slot) for slot in range(96)} == {home}
        assert visits.give[visits.group[person], visits.column[home]] == factor
        assert visits.take[visits.group[person], visits.column[home]] == factor


def test_only_who_follows_isolates_and_more_compliance_isolates_more():
    isolated = []
    for compliance in (0.0, 0.3, 0.7, 1.0):
        model = town(400, household=True)
        model.data["positive_on"][::5] = 0
        model.morning(model.presence.compliance < compliance)
        isolated.append(set(np.flatnonzero(model.presence.status == ISOLATED)))
        assert isolated[-1] == {p for p in range(0, 400, 5) if model.presence.compliance[p] < compliance}
        quarantined = np.flatnonzero(model.presence.status == QUARANTINED)
        assert np.all(model.presence.compliance[quarantined] < compliance)
    assert isolated[0] < isolated[1] < isolated[2] < isolated[3]


def test_dropouts_leave_with_their_chance_each_day():
    people, chance = 4000, 0.2
    model = town(people, days=100, dropout=chance)
    model.data["positive_on"][:] = 0
    status = status_by_day(model, 4)
    left = (status == ISOLATED).sum(axis=1)
    assert left[0] == people  # who begins today does not drop out today
    for day in range(1, 4):
        expected = people * (1 - chance) ** day
        assert abs(left[day] - expected) < 4 * np.sqrt(expected * (1 - (1 - chance) ** day))


def test_who_comes_back_from_hospital_stays_isolated_until_the_end():
    model = town(days=6)
    model.data["positive_on"][1] = 0

    def before(day):
        if day == 1:
            model.presence.put([1], AWAY)
        if day == 3:
            model.presence.release([1])

    assert status_by_day(model, 8, before)[:, 1].tolist() == [2, 4, 4, 2, 2, 2, 0, 0]


def test_people_kept_at_home_by_others_are_not_released():
    model = town()
    model.presence.put([4], ISOLATED)
    assert np.all(status_by_day(model, 5)[:, 4] == ISOLATED)


def test_two_policies_of_isolation_count_nobody_twice():
    model = Outbreak(homes_only(4, 10), [{"isolate": {}}, {"isolate": {"at": "both"}}], seed=SEED)
    model.data["positive_on"][:3] = 0
    model.morning()
    assert model.series() == {"isolated": 3, "quarantined": 0}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"at": "birth"}, "'result', 'onset' or 'both'"),
        ({"days": 0}, "greater than or equal to 1"),
        ({"days": 5000}, "less than or equal to 3650"),
        ({"home": 1.2}, "less than or equal to 1"),
        ({"dropout": -0.1}, "greater than or equal to 0"),
        ({"household": 1}, "valid boolean"),
        ({"quarantine": 4}, "Extra inputs"),
    ],
)
def test_wrong_settings_are_refused(table, message):
    with pytest.raises(ValidationError, match=message):
        IsolationSettings.model_validate(table)


def test_isolation_by_result_needs_tests():
    assert IsolationSettings.model_validate({}).needs == ("test",)
    assert IsolationSettings.model_validate({"at": "onset"}).needs == ()
