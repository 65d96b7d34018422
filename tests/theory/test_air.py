"""Air of a room against Wells and Riley.

Who breathes p cubic metres an hour for t hours in a well-mixed room of V cubic metres with λ air changes an hour, where
infectious people shed q quanta an hour in all, is infected with chance P = 1 − exp(−q p t / (V λ)) (Riley, Murphy & Riley
1978, Am. J. Epidemiol. 107:421-432). People of one class are together for five hours a day. The first cases are infectious
on one day and those that they infect only later, so P is the share of the others who are infected on that day. Tolerance: 4
standard errors of a binomial share.
"""

import numpy as np
import pytest
from epidemic_cities import Town, city_of, disease_of

from citytwin.agents.epidemic.rates import BREATHING, quanta_per_hour
from citytwin.agents.policies import PolicySettings
from citytwin.environment.places import PlaceKind

PUPILS = 3000
FIRST = 20
HOURS = 5
ROOM = 3000 * 2.0 * 3.0  # m3: 2 m2 a pupil, 3 m high
AIR_CHANGES = 2.0  # an hour
INFECTIOUS_ON = 5  # infected on day 0, latent for 4 days


def a_class():
    """Return a city of people who live alone and are in one class from 8 to 13 o'clock."""
    home = np.arange(PUPILS)
    place = np.column_stack([home, np.full(PUPILS, PUPILS), home])
    edges = np.array([0, 32, 32 + 4 * HOURS, 96])
    day = (np.arange(PUPILS + 1) * 3, place.ravel(), np.tile(edges[:-1], PUPILS), np.tile(edges[1:], PUPILS))
    return city_of(np.arange(PUPILS + 1), [PlaceKind.PRIMARY], [day])


def infected_in_class(transmission, seed, policies=(), air=0.5):
    disease = disease_of(4, 1, routes={"contact": 0.0, "air": air})
    town = Town(
        a_class(), disease, transmission=transmission, seed=seed, initial_infections=FIRST, policies=list(policies)
    )
    town.days(INFECTIOUS_ON + 1)
    table = town.epidemic.tables()["infections"]
    assert set(table["day"].tolist()) <= {0, INFECTIOUS_ON}
    return np.count_nonzero(table["day"] == INFECTIOUS_ON), town.epidemic.settings.disease.routes


def ventilated(factor):
    return PolicySettings.model_validate({"name": "windows open", "from": 0, "ventilate": {"school": factor}})


@pytest.mark.parametrize("transmission", [20.0, 80.0])
@pytest.mark.parametrize("factor", [1.0, 2.0, 4.0])
def test_share_infected_in_a_room(validity, transmission, factor):
    number = 0
    for seed in range(3):
        infected, routes = infected_in_class(transmission, seed, [ventilated(factor)] if factor > 1 else [])
        number += infected
    quanta = FIRST * quanta_per_hour(transmission, routes)
    expected = 1 - np.exp(-quanta * BREATHING * HOURS / (ROOM * AIR_CHANGES * factor))
    assert 0.02 < expected < 0.98
    trials = 3 * (PUPILS - FIRST)
    accepted = 4 * np.sqrt(expected * (1 - expected) / trials)
    what = (
        f"share infected in a room of {ROOM:,.0f} m3, {quanta:.3g} quanta an hour, {AIR_CHANGES * factor:g} air changes"
    )
    validity("air", what, number / trials, expected, accepted, source="Riley, Murphy & Riley 1978")


def test_twice_the_air_changes_are_half_the_quanta():
    """The same people are infected, as thresholds are those of the seed and the dose is the same to the bit."""
    assert infected_in_class(40.0, 1, [ventilated(2.0)])[0] == infected_in_class(20.0, 1)[0]
