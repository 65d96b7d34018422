"""Final size by age where ages meet as a contact matrix says (cases V5 and V14 on the page of validity).

With contacts C_ab a day of a person aged a with people aged b, and a rate q of transmission,

    z_a = 1 − exp(−q Σ_b C_ab z_b),    q = R0 / (dominant eigenvalue of C).

(Diekmann, Heesterbeek & Britton 2013, "Mathematical tools for understanding infectious disease dynamics", ch. 7 and 8.)
C is that of the United Kingdom in POLYMOD, made symmetric. As the sum of four runs of 300,000 people has standard errors
of 0.001 to 0.002 by age, the accepted error is 0.005.

**Influenza.** The pandemic of 1957 had an R0 of 1.8 in the United Kingdom (Vynnycky & Edmunds 2008, Epidemiol. Infect.
136:166-179). On this matrix 70 % are then infected if all ages are alike, and 51 % with the susceptibility of children in
influenza-1918.toml, as the epidemic of R0 1.8 is then one of children. In an invented city fewer still are infected:
an R0 of typical early cases holds less where housemates and classmates have infected each other.
"""

import numpy as np
import pytest
from epidemic_cities import Town, disease_of
from mixing import AGES, CONTACTS, SHARES, dominant, final_sizes, mixing_city, realised, symmetric

from citytwin.agents.epidemic import course as courses
from citytwin.agents.epidemic.disease import Disease, Susceptibility
from citytwin.environment.city import City

SEEDED = 0.0005
PUBLISHED = {
    1.5: (0.441, 0.704, 0.527, 0.543),
    2.0: (0.667, 0.886, 0.756, 0.767),
    2.5: (0.791, 0.950, 0.866, 0.872),
    3.0: (0.865, 0.977, 0.923, 0.926),
}
BANDS = ("0 to 4", "5 to 14", "15 up")
SOURCE = "fixed point, UK POLYMOD made symmetric"

AROUND = "around the final size at R0 1.8: 0.73 if all mix, 0.70 by ages of the United Kingdom"


def numbers(people):
    young = [round(share * people) for share in SHARES[:2]]
    return [*young, people - sum(young)]


def shares_infected(disease, r0, people, seeds):
    """Return the shares infected by class and of all, found and expected."""
    number = numbers(people)
    contacts = symmetric(number, CONTACTS)
    city, weights = mixing_city(number, contacts)
    susceptible = np.array(disease.susceptibility.by_age())[list(AGES)]
    per_case = susceptible[:, None] * realised(contacts, weights) * np.array(number)
    next_generation = per_case * r0 / dominant(per_case)
    per_course = courses.infectiousness_by_day(disease.course(), np.repeat(AGES, number)).sum()
    transmission = r0 / dominant(per_case) / per_course
    counts = np.zeros(3)
    for seed in seeds:
        initial = round(SEEDED * people)
        town = Town(city, disease, seed=seed, transmission=transmission, weights=weights, initial_infections=initial)
        town.finish()
        ages = city.people.age[town.epidemic.tables()["infections"]["person"]]
        counts += [np.count_nonzero(ages == age) for age in AGES]
    runs = len(seeds) * np.array(number)
    expected = final_sizes(next_generation, SEEDED)
    found = [*(counts / runs), counts.sum() / runs.sum()]
    return found, [*expected, expected @ np.array(number) / people]


@pytest.mark.parametrize("r0", PUBLISHED)
def test_the_formula_gives_the_published_table(r0):
    number = numbers(1_000_000)
    matrix = np.array(CONTACTS)
    z = final_sizes(matrix * r0 / dominant(matrix))
    assert [*z, z @ np.array(number) / 1e6] == pytest.approx(PUBLISHED[r0], abs=6e-4)
    z = final_sizes(symmetric(number, CONTACTS) * r0 / dominant(symmetric(number, CONTACTS)))
    assert [*z, z @ np.array(number) / 1e6] == pytest.approx(PUBLISHED[r0], abs=0.004)


def test_the_city_mixes_as_the_matrix():
    number = numbers(100_000)
    contacts = symmetric(number, CONTACTS)
    _, weights = mixing_city(number, contacts)
    made = realised(contacts, weights) * np.array(number)
    assert made / made[2, 2] == pytest.approx(contacts / contacts[2, 2], rel=3e-3)


def check(validity, r0, people, seeds):
    found, expected = shares_infected(disease_of(2, 4), r0, people, seeds)
    for band, ours, wanted in zip((*BANDS, "all"), found, expected, strict=True):
        what = f"share infected, ages {band}, R0 {r0}; {len(seeds)} runs of {people:,}"
        validity("V5", what, ours, wanted, 0.005, source=SOURCE)
    # The published values are those of the matrix as it stands, which is not quite symmetric.
    assert found == pytest.approx(PUBLISHED[r0], abs=0.008)


@pytest.mark.parametrize("r0", [1.5, 2.5])
def test_final_size_by_age(validity, r0):
    check(validity, r0, 300_000, range(4))


@pytest.mark.full
@pytest.mark.parametrize("r0", PUBLISHED)
def test_final_size_by_age_of_a_million(validity, r0):
    check(validity, r0, 1_000_000, range(4))


def test_influenza_of_a_pandemic_by_age(validity):
    pandemic = Disease.load("influenza-1918")
    alike = pandemic.model_copy(update={"susceptibility": Susceptibility()})
    what = "share infected at R0 1.8, influenza-1918.toml on the UK matrix"
    found, _ = shares_infected(alike, 1.8, 300_000, range(2))
    validity("V14", f"{what}, all ages alike", found[3], within=(0.65, 0.75), source=AROUND)
    found, expected = shares_infected(pandemic, 1.8, 300_000, range(2))
    for band, ours, wanted in zip((*BANDS, "all"), found, expected, strict=True):
        validity("V14", f"{what}, ages {band}", ours, wanted, 0.01, source=SOURCE)


@pytest.mark.xfail(strict=True, reason="households and classes hold an epidemic of this R0 below the range")
def test_influenza_of_a_pandemic_in_a_city(validity):
    town = Town(City.synthetic(50_000, seed=1), "influenza-1918", r0=1.8, initial_infections=50)
    town.finish()
    found = town.epidemic.summary()["attack_rate"]
    what = "share infected at R0 1.8, influenza-1918.toml in an invented city of 50,000"
    validity("V14", what, found, within=(0.65, 0.75), source=AROUND)
