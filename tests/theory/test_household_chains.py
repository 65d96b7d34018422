"""Chains of infection in isolated households (Reed-Frost).

Households of one introduced case and n susceptible people, a fixed infectious period of D days, hazard β a day between any
two: over its period a case infects a given susceptible housemate with chance p = 1 − exp(−β D), independently of others.
The number of further cases is then that of a Reed-Frost chain (Abbey 1952, Hum. Biol. 24:201-233; Bailey 1975, "The
mathematical theory of infectious diseases", ch. 14): each generation of c cases leaves each of s susceptible people with
chance (1 − p)^c. Chi-square with a 1 % bound, 100,000 households.
"""

from math import comb, log

import numpy as np
import pytest
from epidemic_cities import Town, disease_of, homes_only
from scipy.stats import chisquare

HOUSEHOLDS = 100_000


def further_cases(p, susceptible, cases=1):
    """Return the chance of 0 … susceptible further cases."""
    if susceptible == 0:
        return np.ones(1)
    escape = (1 - p) ** cases
    chance = np.zeros(susceptible + 1)
    for new in range(susceptible + 1):
        infected = comb(susceptible, new) * (1 - escape) ** new * escape ** (susceptible - new)
        if new == 0:
            chance[0] += infected
        else:
            chance[new : susceptible + 1] += infected * further_cases(p, susceptible - new, new)
    return chance


@pytest.mark.parametrize(
    ("p", "susceptible", "published"),
    [
        (0.166, 2, [0.6956, 0.2309, 0.0735]),
        (0.166, 3, [0.5801, 0.2409, 0.1279, 0.0510]),
        (0.3, 4, [0.2401, 0.1412, 0.1525, 0.2100, 0.2563]),
        (0.5, 4, [0.0625, 0.0312, 0.0469, 0.1484, 0.7109]),
    ],
)
def test_the_chains_give_the_published_table(p, susceptible, published):
    assert further_cases(p, susceptible) == pytest.approx(published, abs=6e-5)


@pytest.mark.parametrize(
    ("p", "susceptible", "latent", "infectious"), [(0.166, 3, 4, 8), (0.3, 4, 4, 8), (0.3, 4, 0, 1), (0.5, 4, 1, 3)]
)
def test_households_have_reed_frost_chains(validity, p, susceptible, latent, infectious):
    size = susceptible + 1
    town = Town(homes_only(size, HOUSEHOLDS), disease_of(latent, infectious), transmission=-log(1 - p) / infectious)
    introduced = np.arange(HOUSEHOLDS, dtype=np.int32) * size
    town.epidemic._first_cases = lambda *_: introduced
    town.finish()
    ever = (town.citizens.table.columns["health"] != 0).reshape(HOUSEHOLDS, size).sum(axis=1)
    count = np.bincount(ever - 1, minlength=size)
    what = (
        f"chi-square p of the further cases in {HOUSEHOLDS:,} households, chance {p}, {susceptible} susceptible, "
        f"latent {latent} d, infectious {infectious} d"
    )
    found = chisquare(count, HOUSEHOLDS * further_cases(p, susceptible)).pvalue
    validity("V6", what, found, within=(0.01, None), source="Bailey 1975, ch. 14")
    infections = town.epidemic.tables()["infections"]
    infected = infections["infector"] >= 0
    assert np.all(infections["person"][infected] // size == infections["infector"][infected] // size)
