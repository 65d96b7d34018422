"""Influenza in a boarding school, January 1978 (case V9 on the page of validity).

763 boys, of whom 512 fell ill within a fortnight; boys in bed by day from 22 January on in the data (British Medical
Journal, 4 March 1978, p. 587). A model of susceptible, infectious and recovered boys with rates beta and gamma, fitted to
the boys in bed by least squares, has beta = 1.788 a day, gamma = 0.456 a day and 2.09 infectious boys on 22 January.

With these rates boys who all meet in one place, three of them in bed at first as in the data, must give 290 ± 40 in bed
at the peak, five or six days after 22 January, and a mean curve that is at most 25 boys off (root mean square). A case
infects within hours here, so a step of the model stands for 3 hours; with steps of a whole day the peak comes three days
late.
"""

import numpy as np
import pandas
import pytest
from epidemic_cities import Town, disease_of, one_place
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

BOYS = 763
BETA, GAMMA, FIRST = 1.788, 0.456, 2.09
STEPS = 8  # a day
RUNS = 60
SOURCE = "British Medical Journal 1978"


@pytest.fixture(scope="module")
def in_bed(survey):
    """Boys in bed on 14 days."""
    return pandas.read_csv(survey / "outbreaks" / "influenza_england_1978_school.csv")["in_bed"].to_numpy(float)


def curve(beta, gamma, first):
    """Return the infectious boys on 14 days of the differential equations."""

    def rates(_, now):
        new = beta * now[0] * now[1] / BOYS
        return -new, new - gamma * now[1]

    return solve_ivp(rates, (0, 13), (BOYS - first, first), t_eval=np.arange(14), rtol=1e-8).y[1]


def test_the_rates_are_those_that_fit_best(in_bed):
    fit = least_squares(lambda x: curve(*x) - in_bed, (1.5, 0.4, 3.0))
    assert fit.x == pytest.approx((BETA, GAMMA, FIRST), abs=0.006)
    assert np.sqrt(np.mean(fit.fun**2)) == pytest.approx(16.0, abs=0.05)


def test_boys_who_all_meet(in_bed, validity):
    city = one_place(BOYS)
    disease = disease_of(0, {"law": "exponential", "mean": STEPS / GAMMA})
    curves = []
    for seed in range(RUNS):
        town = Town(
            city,
            disease,
            seed=seed,
            transmission=BETA / STEPS / (BOYS - 1),
            weights={"work": 1.0},
            initial_infections=int(in_bed[0]),
        )
        rows = town.days(13 * STEPS + 2)
        curves.append([row["infectious"] for row in rows[1::STEPS]])
    large = np.array([found for found in curves if max(found) > 50], float)  # others die out at once
    assert len(large) > 0.9 * RUNS
    mean = large.mean(axis=0)
    validity("V9", f"boys in bed at the peak, mean curve of {RUNS} runs", mean.max(), 290, 40, source=SOURCE)
    validity("V9", "day of that peak, 0 being 22 January", mean.argmax(), within=(5, 6), source=SOURCE)
    off = np.sqrt(np.mean((mean - in_bed) ** 2))
    validity("V9", "error of the mean curve, boys (root mean square)", off, within=(0, 25), source=SOURCE)
