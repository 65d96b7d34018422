"""Authorities: policies by day, date and condition, and classes of one's own."""

from datetime import date

import numpy as np
import pytest
from epidemic_cities import Town, disease_of, random_city
from pydantic import ValidationError

from citytwin.agents.authorities import Authority, Policy
from citytwin.agents.policies import PolicySettings
from citytwin.agents.triggers import Trigger
from citytwin.environment.places import PlaceKind


def policy(**keys):
    """Return the settings of a policy that closes workplaces, as a scenario file would give them."""
    return PolicySettings.model_validate({"name": "test", "close": ["work"]} | keys)


class Gauge:
    """A process whose only indicator follows a list, a value a day."""

    def __init__(self, model, values):
        self.model, self.values = model, values

    def indicator_values(self):
        return {"level": self.values[self.model.day]}

    def wake(self, start):
        pass

    def advance(self, start, end):
        pass


def in_force(settings, days=10, levels=None):
    """Return the days on which a policy is in force in a town that starts on Monday, 5 January 2026."""
    town = Town(random_city(1), disease_of(), policies=[settings], transmission=0.0)
    if levels is not None:
        town.processes.append(Gauge(town, levels))
        days = len(levels)
    return [row_day for row_day, row in enumerate(town.days(days)) if row[f"policy.{settings.name}"]]


@pytest.mark.parametrize(
    ("keys", "days"),
    [
        ({}, range(10)),
        ({"from": 3}, range(3, 10)),
        ({"from": 3, "until": 5}, [3, 4]),
        ({"until": 2}, [0, 1]),
        ({"from": date(2026, 1, 8)}, range(3, 10)),
        ({"from": "2026-01-08", "until": "2026-01-10"}, [3, 4]),
        ({"from": 3, "until": date(2026, 1, 10)}, [3, 4]),
        ({"from": 40}, []),
    ],
)
def test_policies_by_day_and_date(keys, days):
    assert in_force(policy(**keys)) == list(days)


@pytest.mark.parametrize(
    ("keys", "days"),
    [
        # Levels are 0 1 2 3 4 5 4 3 2 1 0 0 4 4 0, and each is looked at in the morning of its day.
        ({"when": "level > 3"}, [4, 5, 6, 12, 13]),
        ({"when": "level >= 3"}, [3, 4, 5, 6, 7, 12, 13]),
        ({"when": "level > 3", "until": "level < 2"}, [4, 5, 6, 7, 8, 12, 13]),
        ({"when": "level > 3", "until": 6}, [4, 5]),
        ({"from": 2, "until": "level < 2"}, [2, 3, 4, 5, 6, 7, 8]),
        ({"when": "level > 1", "until": "level > 3"}, [2, 3, 7, 8, 9, 10, 11]),  # does not begin while its end holds
        ({"when": "level >= 3", "until": "level <= 3"}, [4, 5, 6, 12, 13]),
    ],
)
def test_policies_by_condition(keys, days):
    levels = [0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0, 0, 4, 4, 0]
    assert in_force(policy(**keys), levels=levels) == days


def test_an_epidemic_offers_its_indicators():
    town = Town(random_city(1), disease_of(1, 3), transmission=0.0, initial_infections=6, policies=[
        policy(name="a", when="prevalence > 0.05"),
        policy(name="b", when="incidence > 9_000"),
        policy(name="c", when="attack >= 0.1"),
    ])  # fmt: skip
    rows = town.days(10)
    # Six of 60 people are infected on day 0 and infectious from the morning of day 2 to that of day 5, when they are
    # recovered; days 1 to 7 look back on a week with them.
    assert [day for day, row in enumerate(rows) if row["policy.a"]] == [2, 3, 4]
    assert [day for day, row in enumerate(rows) if row["policy.b"]] == [1, 2, 3, 4, 5, 6, 7]
    assert [day for day, row in enumerate(rows) if row["policy.c"]] == list(range(1, 10))
    assert [row["policies_in_force"] for row in rows] == [0, 2, 3, 3, 3, 2, 2, 2, 1, 1]


def test_an_unknown_indicator_is_named_with_those_there_are():
    town = Town(random_city(1), disease_of(), policies=[policy(when="beds > 3")], transmission=0.0)
    with pytest.raises(ValueError, match="no indicator 'beds'; there are: incidence, prevalence, attack"):
        town.step()


@pytest.mark.parametrize(
    ("text", "trigger"),
    [
        ("incidence > 50", Trigger("incidence", ">", 50)),
        (" attack<=1e-3 ", Trigger("attack", "<=", 0.001)),
        ("a_b >= 1_000.5", Trigger("a_b", ">=", 1000.5)),
        ("x < -2", Trigger("x", "<", -2)),
    ],
)
def test_conditions_are_read(text, trigger):
    assert Trigger.parse(text) == trigger


@pytest.mark.parametrize("text", ["", "incidence", "incidence > ", "> 5", "incidence = 5", "a > b", "a > 5 or b > 3"])
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(ValueError, match="is not a condition; write an indicator"):
        Trigger.parse(text)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"close": ["schol"]}, "'schol' is no group of places; allowed are: .*school.*guests"),
        ({"close": ["home"]}, "'home' is no group of places"),
        ({"close": "school"}, r'write a list, as in \["school"\]'),
        ({"reduce": {"work": 1.2}}, "work = 1.2: write the share by which contacts fall, 0 to 1"),
        ({"reduce": {"work": "much"}}, "work = 'much': write the share"),
        ({"reduce": {"home": 0.5}}, "'home' is no group of places"),
        ({"close": []}, "does nothing; give one or more of: close, reduce,"),
        ({"from": 3, "when": "incidence > 3"}, "either 'from' or 'when', not both"),
        ({"from": 5, "until": 5}, r"'until' \(5\) must be after 'from' \(5\)"),
        ({"from": date(2026, 2, 1), "until": date(2026, 1, 1)}, "must be after"),
        ({"when": "x > 10", "until": "x > 5"}, r"'until' \(x > 5\) holds whenever 'when' \(x > 10\) does.*\"x < 10\""),
        ({"when": "x > 10", "until": "x >= 10"}, "would never be in force"),
        ({"when": "x > 10", "until": "x > 10"}, "would never be in force"),
        ({"when": "x < 10", "until": "x < 20"}, 'the other way round, as in "x > 10"'),
        (
            {"when": "x > 10", "until": "x < 20"},
            "both hold between their values; the value of 'until' must be at most 10",
        ),
        ({"when": "x < 10", "until": "x > 5"}, "the value of 'until' must be at least 10"),
        ({"whom": {"ages": [121, 150]}}, r"\[121, 150\]: nobody is older than 120"),
        ({"level": 3, "limit": {"secondary": 0.5}}, "limit: secondary: under 'level' of this policy already"),
        ({"level": 3, "rotate": {"school": 2}}, "rotate: school: under 'level' of this policy already"),
        ({"level": 2, "close": ["venue"]}, "level: leisure: under 'close' of this policy already"),
        ({"from": -1}, "day -1 is before the start"),
        ({"from": True}, "write a day"),
        ({"from": 2.5}, "write a day"),
        ({"from": "soon"}, "'soon' is not a condition"),
        ({"from": "incidence > 3"}, "a condition belongs in 'when'"),
        ({"when": 3}, "a day or a date belongs in 'from'"),
        ({"compliance": 1.1}, "less than or equal to 1"),
        ({"name": ""}, "at least 1 character"),
        ({"complience": 0.4}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_policies_are_refused_with_the_remedy(keys, message):
    with pytest.raises(ValidationError, match=message):
        policy(**keys)


def test_two_policies_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two policies are called 'test'"):
        Town(random_city(1), disease_of(), policies=[policy(), policy(**{"from": 4})], transmission=0.0)


def test_a_policy_of_ones_own_decides_by_itself():
    class Weekends(Policy):
        def decide(self, model):
            return model.date.weekday() >= 5

    town = Town(random_city(1), disease_of(), transmission=0.0, policies=[Weekends("rest", close=["leisure"])])
    rows = town.days(14)
    assert [day for day, row in enumerate(rows) if row["policy.rest"]] == [5, 6, 12, 13]
    town.authority.add(Weekends("quiet", reduce={"venue": 0.5}, compliance=0.4))
    rows = town.days(7)
    assert [rows[day]["policies_in_force"] for day in range(14, 21)] == [0, 0, 0, 0, 0, 2, 2]
    visits = town.presence.visits(town.day)
    assert set(visits.take[visits.group, PlaceKind.SHOP]) == {1.0, np.sqrt(0.5)}
    with pytest.raises(ValueError, match="'bars' is no group of places"):
        Weekends("wrong", close=["bars"])


def test_a_policy_that_does_not_decide_says_so():
    town = Town(random_city(1), disease_of(), transmission=0.0, policies=[Policy("idle", close=["shop"])])
    with pytest.raises(NotImplementedError, match="'idle' does not say when it is in force"):
        town.step()


def test_the_authority_is_a_mesa_agent_that_decides_once_a_day():
    town = Town(random_city(1), disease_of(), policies=[policy(**{"from": 0, "until": 1})], transmission=0.0)
    assert list(town.agents_by_type[Authority]) == [town.authority]
    town.authority.step()
    town.presence.confine([5])
    group = town.presence.group.copy()
    town.authority.step()
    assert np.array_equal(town.presence.group, group)
