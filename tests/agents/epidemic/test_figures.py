"""Figures of infections and contacts: against trees and cities small enough to count, and plain Python."""

import numpy as np
import pandas as pd
import pytest
from epidemic_cities import city_of, homes_only, random_city

from citytwin.agents.epidemic.figures import (
    contact_matrix,
    effective_reproduction,
    generation_time,
    household_attack,
    infecting_rows,
    offspring,
    secondary_cases,
    serial_interval,
)
from citytwin.agents.epidemic.rates import crowding
from citytwin.environment.places import PlaceKind

TREE = pd.DataFrame(
    [  # person, infector, day; 7 is infected twice and infects one person each time
        (3, -1, 0),
        (7, -1, 0),
        (1, 3, 2),
        (4, 3, 4),
        (5, 7, 4),
        (2, 1, 7),
        (7, 4, 9),
        (6, 7, 12),
    ],
    columns=["person", "infector", "day"],
)
EMPTY = TREE[:0]


def test_infections_are_traced_to_the_latest_infection_of_the_infector():
    assert infecting_rows(TREE).tolist() == [-1, -1, 0, 0, 1, 2, 3, 6]
    assert secondary_cases(TREE).tolist() == [2, 1, 1, 1, 0, 0, 1, 0]


def test_the_order_of_rows_does_not_matter():
    mixed = np.random.default_rng(1).permutation(len(TREE))
    assert secondary_cases(TREE.iloc[mixed]).tolist() == secondary_cases(TREE)[mixed].tolist()


def test_an_infector_who_is_not_in_the_table_is_nobody():
    late = TREE[TREE["day"] >= 4].reset_index(drop=True)
    assert infecting_rows(late).tolist() == [-1, -1, -1, 0, 3]


def test_reproduction_by_day_of_infection():
    found = effective_reproduction(TREE, 11)
    assert found[[0, 2, 4, 7, 9]].tolist() == [1.5, 1.0, 0.5, 0.0, 1.0]
    assert np.isnan(found[[1, 3, 5, 6, 8, 10]]).all()
    assert np.isnan(effective_reproduction(EMPTY, 3)).all()


def test_generation_time_and_serial_interval():
    days = [2, 4, 4, 5, 5, 3]
    assert generation_time(TREE) == pytest.approx((np.mean(days), np.std(days), 6))
    ill = [3, 1, -1, 8, 9, 10, 12, -1]  # of the pairs: 8 - 3, 9 - 1, 12 - 8
    assert serial_interval(TREE, ill) == pytest.approx((np.mean([5, 8, 4]), np.std([5, 8, 4]), 3))
    assert np.isnan(generation_time(EMPTY).mean)
    assert generation_time(EMPTY).number == 0


def test_offspring_of_early_cases():
    found = offspring(TREE, until=5)  # 2 1 1 1 0: a fifth of the cases is one
    assert found == (1.0, 0.4, np.inf, 0.4, 5)
    assert offspring(TREE).mean == pytest.approx(6 / 8)
    assert offspring(EMPTY).number == 0


@pytest.mark.parametrize("dispersion", [0.3, 2.0])
def test_dispersion_is_that_of_the_negative_binomial_law_drawn_from(dispersion):
    """Standard error of the estimate: 3 % and 4 % with 20,000 cases (from 200 repetitions)."""
    rng = np.random.default_rng(5)
    number = rng.poisson(rng.gamma(dispersion, 2.0 / dispersion, 20_000))
    people = len(number) + number.sum()
    table = {
        "person": np.arange(people),
        "infector": np.concatenate([np.full(len(number), -1), np.repeat(np.arange(len(number)), number)]),
        "day": np.concatenate([np.zeros(len(number), int), np.ones(number.sum(), int)]),
    }
    found = offspring(table, until=1)
    assert (found.number, found.mean, found.variance) == pytest.approx((20_000, number.mean(), number.var()))
    assert found.dispersion == pytest.approx(dispersion, rel=0.15)
    top = np.sort(number)[-4000:].sum() / number.sum()
    assert found.top_fifth == pytest.approx(top)


def test_household_attack_counts_those_infected_by_the_first_case():
    # Homes of 3 (0-2), 3 (3-5), 2 (6, 7), 4 (8-11), 1 (12); children are 1, 4, 9.
    age = np.full(13, 40)
    age[[1, 4, 9]] = 8
    first = np.array([0, 3, 6, 8, 12, 13])
    day = (np.arange(14), np.repeat(np.arange(5), np.diff(first)), np.zeros(13), np.full(13, 96))
    city = city_of(first, [], [day], age=age)
    table = pd.DataFrame(
        [
            (0, -1, 0),
            (1, 0, 3),  # a child, by the first case
            (2, 1, 6),  # a second generation does not count
            (4, -1, 2),  # a child is the first case
            (3, 4, 5),
            (5, -1, 7),  # from outside
            (6, -1, 1),
            (7, -1, 1),  # two first cases
            (8, 3, 8),  # infects nobody
            (12, 3, 9),  # lives alone
        ],
        columns=["person", "infector", "day"],
    )
    found = household_attack(table, city)
    # Susceptible housemates: 1 2 | 3 5 | 9 10 11; infected by the first case: 1, 3; children 1 and 9.
    assert found.households == 3
    assert (found.all, found.children, found.adults) == pytest.approx((2 / 7, 1 / 2, 1 / 5))
    assert found.by_size[[3, 4]] == pytest.approx([2 / 4, 0])
    assert np.isnan(found.by_size[[0, 1, 2]]).all()
    immune = np.zeros(13, bool)
    immune[[2, 9]] = True
    assert household_attack(table, city, immune).all == pytest.approx(2 / 5)
    early = household_attack(table, city, until=2)  # the first case on day 0 alone, who infects 1 of 1 and 2
    assert (early.all, early.households) == (0.5, 1)
    assert np.isnan(household_attack(table[:0], city).all)


# ---------------------------------------------------------------------- contacts


def contacts_twin(city, bands, minimum, kinds):
    """Return the matrix by going through all pairs of people slot by slot."""
    people, slots = len(city.people), range(96)
    band = np.searchsorted(bands, city.people.age, side="right") - 1
    total = np.zeros((len(bands), len(bands)))
    for number in city.info.week:
        factor = np.concatenate([np.ones(city.homes), crowding(city, number)])
        where = np.zeros((people, 96), int)
        for person in range(people):
            for place, start, end in city.schedules[number].visits_of(person):
                where[person, start:end] = place
        for a in range(people):
            for b in range(people):
                shared = [where[a, t] for t in slots if where[a, t] == where[b, t]]
                shared = [place for place in shared if city.places.kind[place] in kinds]
                if a != b and len(shared) >= minimum:
                    total[band[a], band[b]] += max(factor[place] for place in shared) / 7
    return total / np.bincount(band, minlength=len(bands))[:, None]


@pytest.mark.parametrize("minimum", [1, 4])
@pytest.mark.parametrize("kinds", [tuple(PlaceKind), (PlaceKind.HOME, PlaceKind.SHOP)])
def test_contacts_are_those_of_plain_python(minimum, kinds):
    city, bands = random_city(4, people=30), [0, 18, 50]
    found = contact_matrix(city, bands, minimum=minimum, kinds=kinds)
    assert found == pytest.approx(contacts_twin(city, bands, minimum, kinds))
    assert found.sum() > 0


def test_contacts_are_reciprocal():
    city = random_city(7, people=300)
    bands = [0, 5, 18, 40, 65]
    people = np.histogram(city.people.age, [*bands, 256])[0]
    number = people[:, None] * contact_matrix(city, bands)
    assert number == pytest.approx(number.T, rel=1e-14)


def test_housemates_are_contacts():
    matrix = contact_matrix(homes_only(4, 10), [0, 30, 60])  # everybody is 40
    assert matrix[1].tolist() == [0.0, 3.0, 0.0]
    assert np.isnan(matrix[[0, 2]]).all()


@pytest.mark.parametrize("bands", [[], [5, 10], [0, 10, 10]])
def test_bands_that_leave_ages_out_are_refused(bands):
    with pytest.raises(ValueError, match="give the first age of each band, rising from 0"):
        contact_matrix(homes_only(2, 2), bands)
