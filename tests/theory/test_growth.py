"""Growth of an epidemic in one place while nearly everybody is susceptible.

**By the day.** With latent and infectious periods of L and D whole days, a person infected on day t infects on days
t + L + 1 … t + L + D, and the growth rate r solves

    (R0 / D) Σ_{k = 1 … D} exp(−r (L + k)) = 1.

**Gamma laws.** With means T_E, T_I and shapes k, m (Wallinga & Lipsitch 2007, Proc. R. Soc. B 274:599-604, after Wearing,
Rohani & Keeling 2005, PLoS Med. 2:e174)

    R0 = r T_I / {(1 + r T_E/k)^(−k) · [1 − (1 + r T_I/m)^(−m)]}.

r is the slope of the logarithm of the daily infections while 0.1 to 2 % of a million people have been infected. It must
lie within 2 % of the daily formula and within 3 % of the one for gamma laws, which is of continuous time.
"""

import numpy as np
import pytest
from epidemic_cities import Town, disease_of, one_place
from scipy.optimize import brentq

PEOPLE = 1_000_000
GAMMA_SOURCE = "Wallinga & Lipsitch 2007"


def daily_growth(r0, latent, infectious):
    """Return r of the daily formula."""
    k = np.arange(1, infectious + 1)
    return brentq(lambda r: r0 / infectious * np.exp(-r * (latent + k)).sum() - 1, 1e-6, 2)


def gamma_growth(r0, latent, k, infectious, m):
    """Return r of the formula for gamma laws."""

    def surplus(r):
        ended = 1 - (1 + r * infectious / m) ** -m
        return r * infectious / ((1 + r * latent / k) ** -k * ended) - r0

    return brentq(surplus, 1e-6, 2)


def measured(disease, r0, seeds):
    """Return the mean slope of log daily infections of some runs."""
    city = one_place(PEOPLE)
    slopes = []
    for seed in seeds:
        town = Town(
            city,
            disease,
            seed=seed,
            transmission=r0 / disease.infectious.mean / (PEOPLE - 1),
            weights={"work": 1.0},
            initial_infections=100,
        )
        while town.epidemic.infections < 0.02 * PEOPLE:
            town.step()
        rows = [row for row in town.rows if row["cumulative_infections"] > 0.001 * PEOPLE][:-1]
        days = np.arange(len(rows))
        slopes.append(np.polyfit(days, np.log([row["new_infections"] for row in rows]), 1)[0])
    return np.mean(slopes)


@pytest.mark.parametrize(("r0", "published"), [(1.5, 0.0484), (2.0, 0.0837), (2.5, 0.1116), (3.0, 0.1348)])
def test_the_daily_formula_gives_the_published_table(r0, published):
    assert daily_growth(r0, 4, 8) == pytest.approx(published, abs=6e-5)


@pytest.mark.parametrize(("r0", "published"), [(1.5, 0.0476), (2.0, 0.0829), (2.5, 0.1112), (3.0, 0.1351)])
def test_the_gamma_formula_gives_the_published_table(r0, published):
    assert gamma_growth(r0, 4.5, 9, 8, 16) == pytest.approx(published, abs=6e-5)


@pytest.mark.parametrize(("r0", "latent", "infectious"), [(2.5, 4, 8), (2.0, 4, 8), (2.5, 2, 4)])
def test_growth_by_the_day(validity, r0, latent, infectious):
    expected = daily_growth(r0, latent, infectious)
    found = measured(disease_of(latent, infectious), r0, [1, 2])
    what = f"growth per day, R0 {r0}, latent {latent} d, infectious {infectious} d"
    validity("V4", what, found, expected, 0.02 * expected, source="formula by the day")


@pytest.mark.parametrize("r0", [2.0, 2.5])
def test_growth_with_gamma_laws(validity, r0):
    disease = disease_of({"law": "gamma", "mean": 4.5, "sd": 1.5}, {"law": "gamma", "mean": 8, "sd": 2})
    expected = gamma_growth(r0, 4.5, 9, 8, 16)
    what = f"growth per day, R0 {r0}, gamma laws of 4.5 and 8 d"
    validity("V4", what, measured(disease, r0, [1, 2]), expected, 0.03 * expected, source=GAMMA_SOURCE)


def test_growth_with_exponential_laws(validity):
    # (1 + T_E r) (1 + T_I r) = R0
    disease = disease_of({"law": "exponential", "mean": 4.5}, {"law": "exponential", "mean": 8})
    expected = gamma_growth(2.5, 4.5, 1, 8, 1)
    what = "growth per day, R0 2.5, exponential laws of 4.5 and 8 d"
    validity("V4", what, measured(disease, 2.5, [1, 2]), expected, 0.03 * expected, source=GAMMA_SOURCE)
