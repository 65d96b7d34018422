"""Final size of an epidemic in one place where everybody meets everybody all day.

**Mean.** The share z ever infected solves z = s0 (1 − exp(−R0 z)) + 1 − s0, where s0 is the share susceptible at the start,
for any law of the infectious period (Kermack & McKendrick 1927, Proc. R. Soc. A 115:700-721; Andersson & Britton 2000,
"Stochastic epidemic models and their statistical analysis", ch. 4). With s0 = 0.9995:

    R0   1.3     1.5     2       2.5     3
    z    0.4241  0.5834  0.7970  0.8927  0.9405

**Spread.** The variance over runs is (s z + c² R0² s² z) / (N (1 − R0 s)²), s = 1 − z and c the coefficient of variation of
the infectious period (ibid., theorem 4.2).

The mean of n runs may differ from z by four standard errors of that variance, or by 1/1000 where that is more, as the mean
itself is off by terms of order 1/N. 50 runs of 100,000 people, the usual form of this check, have standard errors of 0.0006
(R0 1.5) to 0.0002; the largest test here has as many people in fewer, larger runs. R0 = transmission · D · (N − 1).
"""

import math

import numpy as np
import pytest
from epidemic_cities import Town, disease_of, one_place
from scipy.optimize import brentq

SEEDED = 0.0005
SOURCE = "Andersson & Britton 2000, ch. 4"


def final_size(r0):
    """Return z of the head of this module."""
    s0 = 1 - SEEDED
    return brentq(lambda z: s0 * (1 - math.exp(-r0 * z)) + SEEDED - z, 0.05, 1)


def spread(r0, people, squared_variation=0.0):
    """Return the standard deviation of the final size over runs."""
    z = final_size(r0)
    s = 1 - z
    return math.sqrt((s * z + squared_variation * r0**2 * s**2 * z) / (people * (1 - r0 * s) ** 2))


def attacks(city, r0, disease, seeds):
    """Return the attack rate of one run for each seed."""
    people = len(city.people)
    transmission = r0 / disease.infectious.mean / (people - 1)
    out = []
    for seed in seeds:
        town = Town(
            city,
            disease,
            seed=seed,
            transmission=transmission,
            weights={"work": 1.0},
            initial_infections=round(SEEDED * people),
        )
        town.finish()
        out.append(town.epidemic.summary()["attack_rate"])
    return np.array(out)


@pytest.mark.parametrize(
    ("r0", "published"), [(1.3, 0.4241), (1.5, 0.5834), (2.0, 0.7970), (2.5, 0.8927), (3.0, 0.9405)]
)
def test_the_formula_gives_the_published_table(r0, published):
    assert final_size(r0) == pytest.approx(published, abs=6e-5)


@pytest.mark.parametrize(
    ("r0", "latent", "infectious"),
    [(1.5, 4, 8), (2.0, 4, 8), (2.5, 4, 8), (3.0, 4, 8), (2.5, 0, 1), (2.5, 2, 2), (2.0, 1, 5)],
)
def test_the_mean_final_size_does_not_depend_on_the_timers(validity, r0, latent, infectious):
    # A lost day of the infectious period would give R0 (D − 1) / D: at R0 2.5 and D 8 an attack of 0.842.
    people, runs = 60_000, 3
    mean = attacks(one_place(people), r0, disease_of(latent, infectious), range(runs)).mean()
    accepted = max(0.001, 4 * spread(r0, people) / math.sqrt(runs))
    what = f"share infected, R0 {r0}, latent {latent} d, infectious {infectious} d; {runs} runs of {people:,}"
    validity("V1", what, mean, final_size(r0), accepted, source=SOURCE)


LAWS = {
    "exponential": ({"law": "exponential", "mean": 8}, None),
    "gamma": ({"law": "gamma", "mean": 5, "sd": 2}, None),
    "lognormal": ({"law": "lognormal", "mean": 8, "sd": 2}, 0.45),
}


@pytest.mark.parametrize("law", LAWS)
def test_the_mean_final_size_does_not_depend_on_the_law_of_the_period(validity, law):
    period, dispersion = LAWS[law]
    disease = disease_of({"law": "gamma", "mean": 3, "sd": 1}, period, infectiousness={"dispersion": dispersion})
    # Infectiousness times days has the squared variation (1 + 1/k)(1 + c²) − 1; the exponential law has c = 1.
    of_days = (period.get("sd", period["mean"]) / period["mean"]) ** 2
    squared = (1 + (0 if dispersion is None else 1 / dispersion)) * (1 + of_days) - 1
    people, runs = 60_000, 3
    mean = attacks(one_place(people), 2.0, disease, range(runs)).mean()
    accepted = max(0.001, 4 * spread(2.0, people, squared) / math.sqrt(runs))
    what = f"share infected, R0 2, {law} infectious period; {runs} runs of {people:,}"
    validity("V1", what, mean, final_size(2.0), accepted, source=SOURCE)


@pytest.mark.parametrize("law", [{"law": "constant", "days": 8}, {"law": "exponential", "mean": 8}])
def test_large_outbreaks_vary_as_they_should(validity, law):
    # The ratio of a standard deviation of 200 runs to the true one has a standard error of 0.05.
    people = 10_000
    disease = disease_of(4, law)
    chance = np.diff(disease.infectious_days(), prepend=0.0)
    days = np.arange(len(chance))
    squared = (chance @ days**2) / (chance @ days) ** 2 - 1
    rates = attacks(one_place(people), 2.5, disease, range(200))
    large = rates[rates > 0.5]
    assert len(large) > 190
    ratio = large.std(ddof=1) / spread(2.5, people, squared)
    what = f"standard deviation over 200 runs of {people:,} by the formula's, R0 2.5, {law['law']} infectious period"
    validity("V2", what, ratio, within=(0.85, 1.2), source="Andersson & Britton 2000, theorem 4.2")


@pytest.mark.full
@pytest.mark.parametrize("r0", [1.5, 2.0, 2.5, 3.0])
def test_the_mean_of_five_million_people(validity, r0):
    # As many people as in 50 runs of 100,000, so the same standard error.
    mean = attacks(one_place(1_000_000), r0, disease_of(4, 8), range(5)).mean()
    what = f"share infected, R0 {r0}, latent 4 d, infectious 8 d; 5 runs of 1,000,000"
    validity("V1", what, mean, final_size(r0), 0.002 if r0 < 2 else 0.001, source=SOURCE)
