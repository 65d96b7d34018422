"""Vaccination: supply, order, uptake, doses, and protection as time goes by."""

import numpy as np
import pytest
from cities import tiny_city
from epidemic_cities import city_of, homes_only
from hypothesis import given, settings
from hypothesis import strategies as st
from outbreak import Outbreak
from pydantic import ValidationError

from citytwin.agents.measures.vaccination import PRODUCTS, Product, VaccinationSettings
from citytwin.agents.presence import CONFINED, QUARANTINED
from citytwin.environment.places import Role
from citytwin.environment.randomness import key, uniform

SEED = 8
EFFECTS = ("infection", "severe", "transmission")
ONE = {"infection": 0.6, "delay": 0}


def town(city=None, **table):
    return Outbreak(homes_only(4, 25) if city is None else city, {"vaccinate": table}, seed=SEED)


def ages(people=100):
    """Return a city of one-person homes where person p is p years old."""
    stay = np.zeros(people)
    days = [(np.arange(people + 1), np.arange(people), stay, stay + 96)]
    return city_of(np.arange(people + 1), [], days, age=np.arange(people))


def draw(purpose, person):
    return uniform(key(SEED, purpose), person, 0)


def days_of(model, days, followers=None):
    """Let days pass and return the doses given on each."""
    out = []
    for day in range(days):
        model.day = day
        model.morning(followers)
        out.append(model.series()["doses"])
    return out


# ---------------------------------------------------------------------- the twin


class Twin:
    """Vaccination person by person."""

    def __init__(self, model, table):
        self.model, self.table = model, table
        self.doses, self.dose_on, self.order, self.begins = {}, {}, [], {}

    def rank(self, person):
        age = self.model.city.people.age[person]
        groups = self.table.get("priority", [])
        fits = [number for number, group in enumerate(groups) if group["ages"][0] <= age <= group["ages"][1]]
        return (min(fits, default=len(groups)), draw("vaccination order", person))

    def act(self, able):
        day, product, left = self.model.day, self.table["product"], self.table["per_day"]
        chosen = []
        for dose in range(product["doses"], 0, -1):
            if dose > 1:
                ready = [p for p in self.order if self.doses[p] == dose - 1]
                ready = [p for p in ready if self.dose_on[p] + product["interval"] <= day]
            else:
                wanting = [p for p in range(self.model.people) if p not in self.doses]
                ready = sorted(
                    (p for p in wanting if draw("vaccination uptake", p) < self.table["uptake"]), key=self.rank
                )
            ready = [p for p in ready if able[p]][:left]
            left -= len(ready)
            chosen += [(dose, person) for person in ready]
        for dose, person in chosen:
            self.doses[person], self.dose_on[person] = dose, day
            self.begins.setdefault(person, []).append((day + product["delay"][dose - 1], dose))
            if dose > 1:
                self.order.remove(person)
            self.order.append(person)
        return len(chosen)

    def protection(self, person, effect):
        """Return today's protection: of the last dose that has begun to work, less what has waned."""
        begun = [(since, dose) for since, dose in self.begins.get(person, []) if since <= self.model.day]
        if not begun:
            return 0.0
        since, dose = max(begun, key=lambda start: start[1])
        product = self.table["product"]
        efficacy = product[effect][dose - 1] * 0.5 ** ((self.model.day - since) / product["half_life"])
        if effect == "infection" and product["kind"] == "all-or-nothing":
            return 1.0 if draw("vaccine takes", person) < np.float32(efficacy) else 0.0
        return efficacy


efficacies = st.lists(st.floats(0, 1), min_size=2, max_size=2)


@settings(max_examples=25)
@given(
    product=st.fixed_dictionaries(
        dict.fromkeys(EFFECTS, efficacies)
        | {
            "doses": st.just(2),
            "interval": st.integers(0, 4),
            "delay": st.lists(st.integers(0, 3), min_size=2, max_size=2),
            "half_life": st.sampled_from([3.0, 50.0]),
            "kind": st.sampled_from(["leaky", "all-or-nothing"]),
        }
    ),
    per_day=st.integers(0, 30),
    uptake=st.sampled_from([0.0, 0.7, 1.0]),
    priority=st.lists(
        st.tuples(st.integers(0, 99), st.integers(0, 99)).map(lambda ends: {"ages": sorted(ends)}), max_size=3
    ),
    luck=st.integers(0, 1000),
)
def test_vaccination_is_its_twin(luck, **table):
    model = town(ages(), **table)
    twin, rng = Twin(model, table), np.random.default_rng(luck)
    for day in range(10):
        model.day = day
        model.presence.begin_day(day)
        model.data["ill_since"][rng.integers(0, 100, 3)] = day
        model.data["ill_since"][rng.integers(0, 100, 5)] = -1
        model.data["health"][rng.integers(0, 100)] = 2
        model.presence.release(rng.integers(0, 100, 5))
        model.presence.put(rng.integers(0, 100, 3), QUARANTINED)
        model.presence.confine(rng.integers(0, 100, 3))
        followers = rng.random(100) < 0.9
        able = followers & (model.data["ill_since"] < 0) & (model.data["health"] != 2)
        able &= model.presence.status <= CONFINED
        given_today = twin.act(able)
        model.morning(followers)
        assert model.series() == {"doses": given_today}
        assert model.data["doses"].tolist() == [twin.doses.get(p, 0) for p in range(100)]
        assert model.data["dose_on"].tolist() == [twin.dose_on.get(p, -1) for p in range(100)]
        for effect in EFFECTS:
            expected = [twin.protection(person, effect) for person in range(100)]
            # columns are single precision
            np.testing.assert_allclose(model.data[f"vaccine_{effect}"], expected, rtol=1e-6, atol=1e-30)


# ---------------------------------------------------------------------- expectations


def test_supply_is_never_exceeded_and_later_doses_come_first():
    model = town(product={"doses": 2, "interval": 3, "infection": [0.3, 0.6], "delay": 0}, per_day=10)
    second = []
    for day in range(12):
        before = (model.data["doses"] == 2).sum()
        model.day = day
        model.morning()
        assert model.series()["doses"] == 10
        second.append((model.data["doses"] == 2).sum() - before)
    assert second == [0, 0, 0, 10, 10, 10, 0, 0, 0, 10, 10, 10]


def test_supply_by_people_adds_up_to_its_rate():
    model = town(product=ONE, per_day={"per_1000": 5})  # half a dose a day
    assert sum(days_of(model, 20)) == 10


def test_groups_are_served_in_their_order_and_the_rest_comes_last():
    model = town(ages(), product=ONE, per_day=5, priority=[{"ages": [80, 120]}, {"ages": [20, 29]}])
    days_of(model, 4)
    assert set(np.flatnonzero(model.data["doses"])) == set(range(80, 100))
    days_of_second_group = model.data["dose_on"].copy()
    for day in (4, 5):
        model.day = day
        model.morning()
    assert set(np.flatnonzero(model.data["doses"] > (days_of_second_group >= 0))) == set(range(20, 30))
    for day in range(6, 20):
        model.day = day
        model.morning()
    assert np.all(model.data["doses"] == 1)


def test_roles_make_groups():
    city = tiny_city(30)
    model = town(city, product=ONE, per_day=1000, priority=[{"roles": ["worker"], "ages": [35, 120]}])
    wanted = (city.people.role == Role.WORKER) & (city.people.age >= 35)
    model = town(city, product=ONE, per_day=int(wanted.sum()), priority=[{"roles": ["worker"], "ages": [35, 120]}])
    model.morning()
    assert np.array_equal(model.data["doses"] == 1, wanted)


def test_uptake_is_one_draw_a_person_and_larger_uptakes_contain_smaller():
    done = []
    for uptake in (0.0, 0.4, 0.8, 1.0):
        model = town(homes_only(4, 500), product=ONE, per_day=5000, uptake=uptake)
        model.morning()
        done.append(set(np.flatnonzero(model.data["doses"])))
        assert abs(len(done[-1]) - 2000 * uptake) <= 4 * np.sqrt(2000 * uptake * (1 - uptake))
    assert done[0] < done[1] < done[2] < done[3]


def test_nobody_is_vaccinated_without_supply_or_uptake_or_followers():
    for table, followers in (({"per_day": 0}, None), ({"uptake": 0.0}, None), ({}, np.zeros(100, bool))):
        model = town(**{"product": ONE, "per_day": 10} | table)
        before = {name: values.copy() for name, values in model.data.items()}
        days_of(model, 3, followers=followers)
        assert all(np.array_equal(before[name], values) for name, values in model.data.items())


@pytest.mark.parametrize("delay", [0, 1, 14])
def test_protection_begins_after_exactly_the_delay(delay):
    model = town(product={"infection": 0.6, "severe": 0.5, "transmission": 0.4, "delay": delay}, per_day=1000)
    for day in range(delay + 3):
        model.day = day
        model.morning()
        expected = (0.6, 0.5, 0.4) if day >= delay else (0, 0, 0)
        for effect, value in zip(EFFECTS, expected, strict=True):
            assert np.all(model.data[f"vaccine_{effect}"] == np.float32(value))


def test_protection_falls_to_one_half_in_the_half_life():
    product = {"infection": 0.8, "severe": 0.8, "delay": 0, "half_life": {"infection": 30}}
    model = town(product=product, per_day=1000)
    for day in range(61):
        model.day = day
        model.morning()
        if day in (0, 30, 60):
            assert np.allclose(model.data["vaccine_infection"], 0.8 * 0.5 ** (day / 30), rtol=1e-6)
            assert np.all(model.data["vaccine_severe"] == np.float32(0.8))


def test_leaky_protects_everybody_in_part_and_all_or_nothing_a_part_wholly():
    people = 4000
    for kind in ("leaky", "all-or-nothing"):
        model = town(homes_only(4, people // 4), product=ONE | {"kind": kind}, per_day=people)
        model.morning()
        protection = model.data["vaccine_infection"]
        if kind == "leaky":
            assert np.all(protection == np.float32(0.6))
        else:
            assert set(np.unique(protection)) == {0, 1}
            assert abs(protection.mean() - 0.6) < 4 * np.sqrt(0.6 * 0.4 / people)


def test_one_number_of_interval_or_delay_stands_for_all_doses():
    product = Product.model_validate({"doses": 3, "interval": [21, 180], "delay": 7, "infection": [0.1, 0.2, 0.3]})
    assert [product.days("interval", dose) for dose in (2, 3)] == [21, 180]
    assert [product.days("delay", dose) for dose in (1, 2, 3)] == [7, 7, 7]
    product = Product.model_validate({"doses": 3, "interval": 28, "delay": [14, 7, 0], "infection": [0.1, 0.2, 0.3]})
    assert [product.days("interval", dose) for dose in (2, 3)] == [28, 28]
    assert [product.days("delay", dose) for dose in (1, 2, 3)] == [14, 7, 0]


@pytest.mark.parametrize("name", PRODUCTS)
def test_shipped_products_protect_more_with_each_dose(name):
    product = VaccinationSettings.model_validate({"product": name, "per_day": 1}).product
    assert list(product.infection) == sorted(product.infection)
    assert product.infection[0] > 0


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"product": "sputnik"}, "'sputnik' is no known vaccine; allowed are: mrna, influenza, mmr"),
        ({"product": {"infection": 1.4}}, "less than or equal to 1"),
        ({"product": {"doses": 2, "interval": 21, "infection": 0.9}}, "infection: 1 values for 2 doses"),
        ({"product": {"doses": 2, "infection": [0.5, 0.9]}}, "interval: 0 values; write 1 for 2 doses"),
        ({"product": {"doses": 1, "infection": 0.9, "interval": 21}}, "interval: 1 values; write 0 for 1 doses"),
        ({"product": {"doses": 1}}, "the vaccine does nothing"),
        ({"product": {"infection": 0.9, "kind": "strong"}}, "'leaky' or 'all-or-nothing'"),
        ({"product": {"infection": 0.9, "half_life": 0}}, "greater than 0"),
        ({"product": {"infection": 0.9, "half_life": {"deaths": 3}}}, "Extra inputs"),
        ({"product": {"infection": 0.9, "delay": -3}}, "greater than or equal to 0"),
        ({"per_day": 0.005}, r"0.005: write a whole number a day, .* \(500\), or \{ per_1000 = 5 \}"),
        ({"uptake": 2.0}, "less than or equal to 1"),
        ({"priority": [{"ages": [80, 60]}]}, "write the lowest and the highest age"),
        ({"priority": [{"roles": ["nurse"]}]}, "'nurse' is no role; allowed are: at_home, kindergarten"),
        ({"priority": [{}]}, "the group is empty"),
    ],
)
def test_wrong_settings_are_refused(table, message):
    with pytest.raises(ValidationError, match=message):
        VaccinationSettings.model_validate({"product": ONE, "per_day": 10} | table)
