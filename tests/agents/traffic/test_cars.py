"""Cars and licences: shares are those asked for, and a car has somebody to drive it."""

import numpy as np
import pytest
from pydantic import ValidationError

from citytwin.agents.traffic.cars import LICENCE_AGES, OwnershipSettings, means_of
from citytwin.environment.city import City


@pytest.fixture(scope="module")
def town():
    return City.synthetic(30_000, seed=5)


def test_shares_are_those_of_the_settings(town):
    settings = OwnershipSettings()
    means = means_of(town, seed=1)
    size = np.minimum(np.diff(town.households.first), 4)
    for number, wanted in enumerate((settings.no_car, settings.two_cars, settings.three_cars)):
        for s in range(4):
            cars = means.cars[size == s + 1]
            got = np.mean(cars == 0) if number == 0 else np.mean(cars > number)
            # three drivers are too few in households of 3 for as many third cars as asked for only by chance
            assert abs(got - wanted[s]) < 4 * np.sqrt(0.25 / len(cars)) + 0.01, (number, s)
    group = np.searchsorted(LICENCE_AGES, town.people.age, side="right") - 1
    for g, wanted in enumerate(settings.licence):
        with_licence = means.licence[group == g]
        assert abs(with_licence.mean() - wanted) < 4 * np.sqrt(0.25 / len(with_licence))
    assert abs(means.bicycle.mean() - settings.bicycle) < 0.02
    assert abs(means.season_ticket.mean() - settings.season_ticket) < 0.02


def test_published_totals_come_out(town):
    """Germany 2008: 23 % of households without, 22 % with several cars; 80 % of those aged 18 to 84 may drive."""
    means = means_of(town, seed=1)
    assert abs(np.mean(means.cars == 0) - 0.23) < 0.03
    assert abs(np.mean(means.cars >= 2) - 0.22) < 0.02
    adult = (town.people.age >= 18) & (town.people.age < 85)
    assert abs(means.licence[adult].mean() - 0.80) < 0.05


def test_no_more_cars_than_drivers(town):
    means = means_of(town, seed=1)
    drivers = np.bincount(town.people.household[means.licence], minlength=town.homes)
    assert np.all(means.cars <= drivers)
    assert not means.licence[town.people.age < 18].any()


def test_the_same_for_a_seed_and_not_for_another(town):
    one, again, other = means_of(town, seed=1), means_of(town, seed=1), means_of(town, seed=2)
    np.testing.assert_array_equal(one.cars, again.cars)
    np.testing.assert_array_equal(one.licence, again.licence)
    assert not np.array_equal(one.cars, other.cars)


def test_fewer_cars_are_taken_from_those_who_had_some(town):
    many = means_of(town, seed=1)
    few = means_of(town, seed=1, settings=OwnershipSettings(no_car=(0.8, 0.5, 0.4, 0.3)))
    assert np.all((few.cars > 0) <= (many.cars > 0))
    assert (few.cars == 0).sum() > (many.cars == 0).sum()


def test_settings_refuse_what_is_no_share():
    with pytest.raises(ValidationError, match="bicycle"):
        OwnershipSettings(bicycle=1.2)
    with pytest.raises(ValidationError, match="bikes"):
        OwnershipSettings(bikes=0.5)
