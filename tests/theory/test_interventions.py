"""What policies must do exactly, by the seed (cases V15 a to e on the page of validity).

With Sellke thresholds and draws that depend on the person alone, runs with one seed differ by the policy only. So a policy
without effect changes no bit, one that starts on day d none before d; where only homes are open, nobody outside the
households of the first cases is infected; and full isolation at onset is the same as a disease that stops there.
"""

import numpy as np
import pytest
from epidemic_cities import Town, disease_of, random_city

from citytwin.agents.epidemic.disease import Disease
from citytwin.agents.policies import PolicySettings
from citytwin.agents.presence import VISIT_GROUPS

DAYS = 25
ALL_BUT_HOME = sorted(VISIT_GROUPS)


def run(policies=(), seed=1, people=600, days=DAYS):
    town = Town(
        random_city(11, people=people, places=60),
        disease_of(2, {"law": "gamma", "mean": 5, "sd": 2}, infectiousness={"dispersion": 1.0}),
        policies=[PolicySettings.model_validate({"name": str(n)} | policy) for n, policy in enumerate(policies)],
        seed=seed,
        transmission=0.6,
        initial_infections=8,
    )
    town.days(days)
    return town


SOURCE = "exact by the seed"


def differences(one, other):
    """Return the number of entries of two arrays that differ, all of them if their shapes do."""
    return np.count_nonzero(one != other) if one.shape == other.shape else max(one.size, other.size)


def infections(town, before=DAYS):
    """Return all that is known of the infections before a day, as one array."""
    table = town.epidemic.tables()["infections"]
    return np.array([column[table["day"] < before] for column in table.values()], np.int64)


def resistance(town):
    return town.citizens.table.columns["resistance"]


PLACEBO = {"infection": 0.0, "severe": 0.0, "transmission": 0.0}
WITHOUT_EFFECT = [
    {"close": ALL_BUT_HOME, "compliance": 0.0},
    {"reduce": {"work": 0.0, "guests": 0.0}},
    {"limit": {"work": 1.0, "guests": 1.0}},
    {"masks": {"places": ["work", "venue", "guests"], "source": 0.0, "wearer": 0.0}, "compliance": 0.5},
    {"ventilate": {"work": 1.0, "school": 1.0}, "compliance": 0.5},
    {"ventilate": {"work": 5.0}},  # the disease goes by contact alone
    {"cordon": True, "whom": {"zones": [0, 1, 2]}},  # all of the city
    {"cordon": "each", "whom": {"share": 0.0}},
    {"level": 0},
    {"level": 4, "whom": {"ages": [100, 120]}},
    {"work_from_home": 0.0},
    {"border": 0.9},  # nobody comes from outside
    {"test": {"random": 0.3, "symptomatic": 0.5}},  # nobody heeds the results
    {"test": {"random": 0.3}, "trace": {"share": {"home": 1.0}}},
    {"isolate": {"at": "onset", "household": True}},  # the disease has no symptoms
    {"vaccinate": {"product": PLACEBO, "per_day": 50}},
    {"close": ALL_BUT_HOME, "from": DAYS},
    {"close": ALL_BUT_HOME, "when": "attack > 1"},
]


@pytest.mark.parametrize("policy", WITHOUT_EFFECT, ids=[str(policy)[:60] for policy in WITHOUT_EFFECT])
def test_a_policy_without_effect_changes_no_bit(validity, policy):
    plain, other = run(), run([policy])
    assert infections(plain).shape[1] > 100
    changed = differences(infections(plain), infections(other)) + differences(resistance(plain), resistance(other))
    validity("V15", f"entries changed by a policy without effect: {policy}", changed, 0, source=SOURCE)


WITH_EFFECT = [
    {"close": ["work", "venue"], "reduce": {"guests": 0.7}, "compliance": 0.9},
    {"limit": {"work": 0.3, "venue": 0.5}, "fatigue": 0.3},
    {"rotate": {"education": 2, "venue": 3}},
    {"masks": {"places": ["work", "venue", "education"], "source": 0.6, "wearer": 0.3}},
    {"cordon": "each"},
    {"cordon": True, "whom": {"zones": [1]}},
    {"level": 2},
    {"level": 4, "where": {"zones": [0]}},
    {"test": {"random": 0.2}, "isolate": {"household": True}},
    {"test": {"random": 0.2}, "trace": {"share": {"home": 0.9, "work": 0.5}}, "isolate": {}},
    {"vaccinate": {"product": {"infection": 0.9, "transmission": 0.5, "delay": 0}, "per_day": 40}},
]


@pytest.mark.parametrize("start", [3, 12])
@pytest.mark.parametrize("policy", WITH_EFFECT, ids=[str(policy)[:60] for policy in WITH_EFFECT])
def test_a_policy_leaves_the_days_before_it_as_they_were(validity, policy, start):
    plain, other = run(), run([policy | {"from": start}])
    changed = differences(infections(plain, before=start), infections(other, before=start))
    validity("V15", f"entries changed before day {start} by a policy from then on: {policy}", changed, 0, source=SOURCE)
    assert not np.array_equal(infections(plain), infections(other))


def test_a_policy_that_ends_with_the_day_before_it_began_to_matter_changes_no_bit():
    # Nobody is infectious on the first two days: latent periods are two days long.
    plain, other = run(), run([{"close": ALL_BUT_HOME, "until": 2}])
    assert np.array_equal(infections(plain), infections(other))


def test_nobody_leaves_the_seeded_households_if_only_homes_are_open(validity):
    town = run([{"close": ALL_BUT_HOME}])
    table = town.epidemic.tables()["infections"]
    household = town.city.people.household
    seeded = set(household[table["person"][table["infector"] < 0]].tolist())
    assert len(table["person"]) > 8
    outside = len(set(household[table["person"]].tolist()) - seeded)
    validity("V15", "households infected beyond those of first cases, only homes open", outside, 0, source=SOURCE)
    later = table["infector"] >= 0
    assert np.array_equal(table["place"][later], household[table["person"][later]])


def ill_disease(infectious_when_ill):
    """Return a disease that is passed on for two days before symptoms, and then as strongly as given."""

    def after(name, to, **law):
        return {"name": name, "transition": [{"to": to, "after": law}]}

    states = [
        after("exposed", "early", law="constant", days=2),
        after("early", "ill", law="constant", days=2) | {"infectiousness": 1.0},
        after("ill", "recovered", law="gamma", mean=6, sd=2)
        | {"infectiousness": infectious_when_ill, "symptoms": "mild"},
    ]
    return Disease.model_validate({"name": "test", "r0": 2.0, "state": states})


def test_full_isolation_at_onset_is_a_disease_that_ends_there(validity):
    def course(infectious_when_ill, policies):
        town = Town(
            random_city(11, people=600, places=60),
            ill_disease(infectious_when_ill),
            policies=[PolicySettings.model_validate({"name": "isolation"} | policy) for policy in policies],
            transmission=1.2,
            initial_infections=20,
        )
        town.days(30)
        return infections(town, before=30)

    isolated = course(1.0, [{"isolate": {"at": "onset", "days": 60, "home": 0.0}}])
    assert isolated.shape[1] > 100
    changed = differences(isolated, course(0.0, []))
    what = "entries in which isolation at onset differs from a disease not passed on after onset"
    validity("V15", what, changed, 0, source=SOURCE)
    assert isolated.shape[1] < course(1.0, []).shape[1]
