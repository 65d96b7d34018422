"""Rules: what rule(…) takes, what a policy of one's own may say, and how many groups there can be."""

import numpy as np
import pytest
from epidemic_cities import random_city
from test_policies import Days

from citytwin.agents import rules
from citytwin.agents.authorities import Policy
from citytwin.agents.rules import COLUMNS, GroupsError, Rule, rule, tables_of

PEOPLE = 50


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"reduce": {"work": 1.5}}, "reduce: work = 1.5: write the share by which contacts fall, 0 to 1"),
        ({"reduce": {"work": float("nan")}}, "reduce: work = nan: write"),
        ({"reduce": {"bars": 0.5}}, "'bars' is no group of places; allowed are: "),
        ({"close": ["home"]}, "'home' is no group of places"),
        ({"close": "work"}, r"close: write a list of names, as in \['work'\]"),
        ({"masks": (["shop"], 1.2, 0.5)}, "masks: source = 1.2: write the share that is held back, 0 to 1"),
        ({"masks": (["shop"], 0.2, -0.5)}, "masks: wearer = -0.5: write the share"),
        ({"ventilate": {"work": 0}}, r"ventilate: work = 0: write the factor on air changes, above 0"),
        ({"ventilate": {"work": float("inf")}}, "ventilate: work = inf: write"),
    ],
)
def test_rules_out_of_bounds_are_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        rule(**keys)


ONES = np.ones(COLUMNS)


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        (lambda: None, TypeError, r"rules\(model\) returned None; it must return a list of rules"),
        (lambda: rule(close=["work"]), TypeError, r"returned None in its list; it must be a rule"),
        (lambda: ["close"], TypeError, "returned 'close' in its list; it must be a rule"),
        (
            lambda: [rule(np.ones(7, bool))],
            ValueError,
            r"people of a rule must be .* 50 truth values.*given shape \(7,\)",
        ),
        (
            lambda: [rule(None, np.ones(7, bool))],
            ValueError,
            "places of a rule must be .* truth values, one for each of the places",
        ),
        (lambda: [rule([True] * PEOPLE)], ValueError, r"people of a rule must be a numpy array .*given list"),
        (lambda: [rule(np.full(PEOPLE, 0.5))], ValueError, "given float64"),
        (lambda: [rule(np.full(PEOPLE, -1))], ValueError, "given numbers below 0"),
        (lambda: [Rule(None, None, ONES * np.nan, ONES, ONES)], ValueError, "give of a rule must be .* finite factors"),
        (lambda: [Rule(None, None, ONES, ONES[:3], ONES)], ValueError, r"take of a rule must be .*given \(3,\)"),
        (lambda: [Rule(np.full(PEOPLE, 4), None, np.ones((2, 1, COLUMNS)), ONES, ONES)], ValueError, "give of a rule"),
    ],
)
def test_what_a_policy_of_ones_own_says_must_be_rules(said, error, message):
    class Own(Policy):
        def decide(self, model):  # noqa: ARG002
            return True

        def rules(self, model):  # noqa: ARG002
            return said()

    model = Days(random_city(4, people=PEOPLE))
    model.authority.add(Own("mine"))
    with pytest.raises(error, match=f"policy 'mine': .*{message}"):
        model.morning(0)


@pytest.mark.parametrize("said", [[True] * PEOPLE, None, np.ones(PEOPLE), np.ones(3, bool)])
def test_followers_are_an_array_of_truth_values(said):
    class Own(Policy):
        def decide(self, model):  # noqa: ARG002
            return True

        def followers(self, model):  # noqa: ARG002
            return said

    model = Days(random_city(4, people=PEOPLE))
    model.authority.add(Own("mine", close=["work"]))
    with pytest.raises(
        TypeError, match=r"policy 'mine': followers\(model\) must return a numpy array of 50 truth values"
    ):
        model.morning(0)


@pytest.mark.parametrize("said", [None, "no", 1, np.array([True])])
def test_a_policy_decides_yes_or_no(said):
    class Own(Policy):
        def decide(self, model):  # noqa: ARG002
            return said

    model = Days(random_city(4, people=PEOPLE))
    model.authority.add(Own("mine", close=["work"]))
    with pytest.raises(TypeError, match=r"policy 'mine': decide\(model\) returned .*; it must return True"):
        model.morning(0)


def test_more_groups_than_can_be_numbered_are_told(monkeypatch):
    people = 1 << 17
    bits = [rule((np.arange(people) >> n & 1).astype(bool), reduce={"work": 0.01 * (n + 1)}) for n in range(17)]
    with pytest.raises(GroupsError, match=r"part the people into .* groups, at most 65,527 can be; use fewer policies"):
        tables_of(bits, people, np.zeros(3, np.uint8))
    monkeypatch.setattr(rules, "MAX_CELLS", 100)
    with pytest.raises(GroupsError, match="too many to keep; use larger zones or fewer policies at once"):
        tables_of(bits[:8], people, np.zeros(3, np.uint8))
