"""What policies must do exactly, by the seed (cases V15 a, c, d and e of the project's list of validations).

With Sellke thresholds and draws that depend on the person alone, runs with one seed differ by the policy only. So a policy
without effect changes no bit, one that starts on day d none before d; and where only homes are open, nobody outside the
households of the first cases is infected.
"""

import numpy as np
import pytest
from epidemic_cities import Town, disease_of, random_city

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


def infections(town, before=DAYS):
    """Return all that is known of the infections before a day, as one array."""
    table = town.epidemic.tables()["infections"]
    return np.array([column[table["day"] < before] for column in table.values()], np.int64)


def resistance(town):
    return town.citizens.table.columns["resistance"]


@pytest.mark.parametrize(
    "policy",
    [
        {"close": ALL_BUT_HOME, "compliance": 0.0},
        {"reduce": {"work": 0.0, "guests": 0.0}},
        {"close": ALL_BUT_HOME, "from": DAYS},
        {"close": ALL_BUT_HOME, "when": "attack > 1"},
    ],
)
def test_a_policy_without_effect_changes_no_bit(policy):
    plain, other = run(), run([policy])
    assert infections(plain).shape[1] > 100
    assert np.array_equal(infections(plain), infections(other))
    assert np.array_equal(resistance(plain), resistance(other))


@pytest.mark.parametrize("start", [3, 12])
def test_a_policy_leaves_the_days_before_it_as_they_were(start):
    plain = run()
    other = run([{"close": ["work", "venue"], "reduce": {"guests": 0.7}, "from": start, "compliance": 0.9}])
    assert np.array_equal(infections(plain, before=start), infections(other, before=start))
    assert not np.array_equal(infections(plain), infections(other))


def test_nobody_leaves_the_seeded_households_if_only_homes_are_open():
    town = run([{"close": ALL_BUT_HOME}])
    table = town.epidemic.tables()["infections"]
    household = town.city.people.household
    seeded = set(household[table["person"][table["infector"] < 0]].tolist())
    assert len(table["person"]) > 8
    assert set(household[table["person"]].tolist()) <= seeded
    later = table["infector"] >= 0
    assert np.array_equal(table["place"][later], household[table["person"][later]])


def test_more_compliance_means_fewer_infections_on_average():
    seeds = range(20)
    attack = [
        np.mean(
            [run([{"close": ["work", "venue", "guests"], "compliance": c}], seed).epidemic.infections for seed in seeds]
        )
        for c in (0.0, 0.4, 0.8, 1.0)
    ]
    assert attack == sorted(attack, reverse=True)
    assert attack[-1] < 0.7 * attack[0]


def test_a_policy_only_spares_people_within_one_generation():
    # With fixed sources a smaller hazard can delay or prevent an infection, never cause one.
    def first_generation(policies):
        town = Town(
            random_city(11, people=600, places=60),
            disease_of(0, {"law": "constant", "days": 1}),
            policies=[PolicySettings.model_validate({"name": "p"} | policy) for policy in policies],
            transmission=3.0,
            initial_infections=100,
        )
        town.days(2)
        return set(np.flatnonzero(town.citizens.table.columns["infected_on"] == 1).tolist())

    plain = first_generation([])
    fewer = first_generation([{"reduce": {"work": 0.5, "venue": 0.5, "guests": 0.8}, "compliance": 0.7}])
    assert fewer < plain
