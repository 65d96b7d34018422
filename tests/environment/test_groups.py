"""Groups of residents: every person is in one of each sort, and fifths by income are those of people in order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citytwin.environment.city import City
from citytwin.environment.groups import AGE_GROUPS, groups_of, income_fifths, zone_names


class Homes:
    """As much of a city as fifths need."""

    def __init__(self, sizes, incomes):
        class Households:
            first = np.concatenate([[0], np.cumsum(sizes)])
            income = np.asarray(incomes, np.float32)

        self.households = Households


@given(st.lists(st.tuples(st.integers(1, 6), st.floats(0.125, 8.0, width=32)), min_size=1, max_size=60))
def test_fifths_are_those_of_people_in_order_of_income(households):
    sizes, incomes = zip(*households, strict=True)
    fifth = income_fifths(Homes(sizes, incomes))
    below = 0
    for household in sorted(range(len(sizes)), key=lambda row: (np.float32(incomes[row]), row)):
        middle = (below + sizes[household] / 2) / sum(sizes)
        assert fifth[household] == int(5 * middle)
        below += sizes[household]


def test_groups_of_a_city():
    city = City.synthetic(3_000, seed=2)
    groups = groups_of(city)
    assert list(groups) == ["zone", "age", "income"]
    for names, of in groups.values():
        assert len(of) == len(city.people)
        assert 0 <= of.min() <= of.max() < len(names)
    first = list(AGE_GROUPS.values())
    assert all(first[group] <= age for group, age in zip(groups["age"].of, city.people.age, strict=True))
    counts = np.bincount(groups["income"].of)
    assert counts == pytest.approx(600, abs=8)  # a household is not split
    assert zone_names(city) == list(city.layer("zones")["name"])


def test_zones_of_one_name_are_told_apart():
    city = City.synthetic(1_500, seed=2)
    city.layer("zones")["name"] = ["Mill", *["Old town"] * 2, *map(str, range(len(city.zones)))][: len(city.zones)]
    assert zone_names(city)[:3] == ["Mill", "Old town (1)", "Old town (2)"][: len(city.zones)]
    assert len(set(zone_names(city))) == len(city.zones)


def test_a_city_without_incomes_has_no_groups_by_income():
    city = City.one_place(20)
    assert np.isnan(city.households.income).all()
    assert list(groups_of(city)) == ["zone", "age"]
