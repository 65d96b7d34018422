"""Testing: who is tested, what the result is, when it is known, and how many tests there are."""

import numpy as np
import pytest
from epidemic_cities import Person, homes_only
from hypothesis import given, settings
from hypothesis import strategies as st
from outbreak import Outbreak
from pydantic import ValidationError

from citytwin.agents.measures import testing
from citytwin.environment.randomness import key, uniform

SEED = 5


def town(people=400, measures=None, **table):
    return Outbreak(homes_only(4, people // 4), measures or {"test": table}, seed=SEED)


def draw(purpose, person, day):
    return uniform(key(SEED, f"testing {purpose}"), person, day)


def who_is_tested(model):
    return np.flatnonzero(model.data["tested_on"] == model.day)


def positive(model):
    return np.flatnonzero(model.data["positive_on"] == model.day)


# ---------------------------------------------------------------------- the twin


class Twin:
    """Testing person by person."""

    def __init__(self, model, table):
        self.model, self.table, self.acted = model, table, 0
        self.tested, self.result, self.positive, self.waiting = {}, {}, {}, {}

    def everyday(self):
        for person in self.waiting.pop(self.model.day, []):
            self.positive[person] = self.model.day

    def act(self, followers):
        day, data, get = self.model.day, self.model.data, self.table.get
        wanting = []
        for person in range(self.model.people):
            if not followers[person] or data["health"][person] == 2:
                continue
            if self.result.get(person, -1) > day or self.tested.get(person) == day:
                continue
            if person in self.positive and day - self.positive[person] < get("retest_after", 90):
                continue
            ill = data["ill_since"][person] >= 0
            told = day > 0 and data["traced_on"][person] == day - 1
            if ill and draw("symptomatic", person, day) < get("symptomatic", 0):
                wanting.append((0, draw("order", person, day), person))
            elif told and draw("contacts", person, day) < get("contacts", 0):
                wanting.append((1, draw("order", person, day), person))
            elif draw("random", person, day) < get("random", 0):
                wanting.append((2, draw("order", person, day), person))
        most = get("capacity", len(wanting))
        for _, _, person in sorted(wanting)[:most]:
            self.tested[person] = day
            self.result[person] = day + get("delay", 0)
            if draw("result", person, day) < self.chance(person, day):
                self.waiting.setdefault(day + get("delay", 0), []).append(person)
        self.everyday()

    def chance(self, person, day):
        data, sensitivity = self.model.data, self.table.get("sensitivity", 1.0)
        since = day - data["infected_on"][person]
        if isinstance(sensitivity, list):
            found = sensitivity[since] if data["infected_on"][person] >= 0 and since < len(sensitivity) else 0.0
        else:
            found = sensitivity if data["infectious"][person] else 0.0
        return max(found, 1 - self.table.get("specificity", 1.0))


shares = st.sampled_from([0.0, 0.1, 0.5, 1.0])


@settings(max_examples=25)
@given(
    symptomatic=shares,
    random=shares,
    contacts=shares,
    sensitivity=st.one_of(st.floats(0, 1), st.lists(st.floats(0, 1), min_size=1, max_size=6)),
    specificity=st.sampled_from([1.0, 0.9]),
    delay=st.integers(0, 3),
    capacity=st.one_of(st.none(), st.integers(0, 20)),
    retest_after=st.integers(0, 5),
    luck=st.integers(0, 1000),
)
def test_testing_is_its_twin(luck, **table):
    table = {name: value for name, value in table.items() if value is not None}
    model = town(80, **table)
    twin, rng = Twin(model, table), np.random.default_rng(luck)
    for day in range(8):
        model.day = day
        model.fall_ill(rng.integers(0, 80, 6), infectious=rng.random(6) < 0.5)
        well = rng.integers(0, 80, 4)
        model.data["ill_since"][well], model.data["infectious"][well] = -1, 0
        model.data["health"][rng.integers(0, 80)] = 2
        model.data["traced_on"][rng.integers(0, 80, 5)] = day - 1
        followers = rng.random(80) < 0.8
        twin.everyday()
        twin.act(followers)
        model.morning(followers)
        for name, expected in (("tested_on", twin.tested), ("positive_on", twin.positive)):
            assert model.data[name].tolist() == [expected.get(person, -1) for person in range(80)]
        assert model.series() == {
            "tests": sum(when == day for when in twin.tested.values()),
            "positives": sum(when == day for when in twin.positive.values()),
        }


# ---------------------------------------------------------------------- expectations


def test_a_perfect_test_of_everybody_finds_just_the_infectious():
    model = town(random=1.0)
    model.fall_ill(np.arange(0, 400, 7))
    model.morning()
    assert len(who_is_tested(model)) == 400
    assert positive(model).tolist() == list(range(0, 400, 7))


@pytest.mark.parametrize("delay", [0, 1, 4])
def test_results_are_known_after_exactly_the_delay(delay):
    model = town(symptomatic=1.0, delay=delay)
    model.fall_ill([3, 9])
    for day in range(6):
        model.day = day
        model.morning()
        assert positive(model).tolist() == ([3, 9] if day == delay else [])
    assert model.data["tested_on"][[3, 9]].tolist() == [0, 0]


def test_nobody_is_tested_while_a_result_is_awaited_or_soon_after_a_positive_one():
    model = town(random=1.0, delay=2, retest_after=5)
    model.fall_ill([0])
    days = []
    for day in range(12):
        model.day = day
        model.morning()
        days.append((0 in who_is_tested(model), 1 in who_is_tested(model)))
    assert [day for day, (case, _) in enumerate(days) if case] == [0, 7]  # positive on day 2, and again from day 7 on
    assert [day for day, (_, well) in enumerate(days) if well] == [0, 2, 4, 6, 8, 10]


@pytest.mark.parametrize("curve", [0.3, [0.0, 0.2, 0.7, 0.4]])
def test_the_share_of_positive_results_is_the_sensitivity(curve):
    people = 20_000
    model = town(people, random=1.0, sensitivity=curve)
    model.fall_ill(np.arange(people))
    for day in range(4):
        model.day = day
        model.data["positive_on"][:] = -1
        model.morning()
        expected = curve[day] if isinstance(curve, list) else curve
        sd = np.sqrt(expected * (1 - expected) / people)
        assert abs(len(positive(model)) / people - expected) <= 4 * sd
    model.day = 4
    model.data["positive_on"][:] = -1
    model.data["infectious"][:] = 0
    model.morning()
    assert len(positive(model)) == 0  # the list has ended, and nobody is infectious


def test_false_positives_follow_the_specificity():
    people = 20_000
    model = town(people, random=1.0, specificity=0.98)
    model.morning()
    assert abs(len(positive(model)) / people - 0.02) <= 4 * np.sqrt(0.02 * 0.98 / people)


def test_capacity_is_kept_and_the_ill_come_first_then_contacts():
    model = town(symptomatic=1.0, contacts=1.0, random=1.0, capacity=30)
    ill, contacts = np.arange(10), np.arange(100, 115)
    model.day = 1
    model.fall_ill(ill, infectious=False)
    model.data["traced_on"][contacts] = 0
    model.morning()
    assert len(who_is_tested(model)) == 30
    assert set(ill) | set(contacts) < set(who_is_tested(model))
    model = town(symptomatic=1.0, random=1.0, capacity=4)
    model.fall_ill(ill, infectious=False)
    model.morning()
    assert len(who_is_tested(model)) == 4
    assert set(who_is_tested(model)) < set(ill)


def test_capacity_by_people_adds_up_to_its_rate():
    model = town(400, random=1.0, capacity={"per_1000": 1.0})  # 0.4 tests a day
    days = []
    for day in range(10):
        model.day = day
        model.morning()
        days.append(model.series()["tests"])
    assert sum(days) == 4
    assert max(days) == 1


def test_the_same_people_are_tested_in_another_policy_and_more_with_larger_shares():
    few, many = town(random=0.1), town(random=0.3, symptomatic=0.5, delay=2)
    few.morning()
    many.morning()
    assert 0 < len(who_is_tested(few)) < len(who_is_tested(many))
    assert set(who_is_tested(few)) < set(who_is_tested(many))
    other = Outbreak(homes_only(4, 100), {"test": {"random": 0.1}}, seed=SEED + 1)
    other.morning()
    assert set(who_is_tested(few)) != set(who_is_tested(other))


def test_shares_of_zero_test_nobody():
    model = town(symptomatic=0.0, random=0.0, contacts=0.0)
    model.fall_ill(np.arange(400))
    before = {name: values.copy() for name, values in model.data.items()}
    for day in range(3):
        model.day = day
        model.morning()
    assert all(np.array_equal(before[name], values) for name, values in model.data.items())


def test_two_policies_that_test_do_not_test_anybody_twice():
    model = town(measures=[{"test": {"random": 0.5}}, {"test": {"random": 1.0, "delay": 1}}])
    model.morning()
    assert model.series()["tests"] == 400


def test_indicators_count_the_results_of_seven_days():
    model = town(random=1.0, delay=1, retest_after=0)
    model.fall_ill(np.arange(20))
    values = []
    for day in range(10):
        model.day = day
        model.presence.begin_day(day)
        measure = model.measure("test")
        measure.everyday()
        values.append(measure.indicator_values())
        if day == 0:
            measure.act(np.ones(400, bool))
    per_100k = 20 / 400 * 100_000
    assert [value["reported"] for value in values] == [0] * 2 + [per_100k] * 7 + [0]
    assert [value["positivity"] for value in values] == [0] * 2 + [20 / 400] * 7 + [0]
    assert set(values[0]) == set(testing.Testing.indicators)


def test_a_class_that_decides_itself_is_asked_instead_of_the_draw():
    class Base(Person):
        def seeks_test(self):
            return False

    class Own(Base):
        def seeks_test(self):
            return self.row % 2 == 0

    model = Outbreak(homes_only(4, 10), {"test": {"symptomatic": 0.5}}, seed=SEED, person=Own)
    model.fall_ill([1, 2, 3, 4])
    model.morning()
    assert who_is_tested(model).tolist() == [2, 4]

    class Forgetful(Base):
        def seeks_test(self):
            pass

    model = Outbreak(homes_only(4, 10), {"test": {"symptomatic": 0.5}}, seed=SEED, person=Forgetful)
    model.morning()  # nobody is ill, so nobody is asked
    model.fall_ill([1])
    model.day = 1
    with pytest.raises(TypeError, match=r"Forgetful\.seeks_test returned None; it must return True"):
        model.morning()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"symptomatic": 1.5}, "less than or equal to 1"),
        ({"random": True}, "valid number"),
        ({"random": 0.1, "sensitivity": [0.2, 1.2]}, "1.2: write a chance from 0 to 1"),
        ({"random": 0.1, "sensitivity": "pcrr"}, "'pcrr' is no known test; allowed are: pcr, antigen"),
        ({"random": 0.1, "sensitivity": []}, "0 days; write 1 to 1000 values"),
        ({"random": 0.1, "specificity": -0.1}, "greater than or equal to 0"),
        ({"random": 0.1, "delay": -1}, "greater than or equal to 0"),
        ({"random": 0.1, "capacity": 0.005}, r"0.005: write a whole number a day, .* \(500\), or \{ per_1000 = 5 \}"),
        ({"random": 0.1, "capacity": float("inf")}, "inf: write a whole number a day, at most 1,000,000,000"),
        ({"random": 0.1, "capacity": float("nan")}, "nan: write a whole number a day"),
        ({"random": 0.1, "capacity": 2**70}, f"{2**70}: write a whole number a day"),
        ({"random": 0.1, "capacity": {"number": 2**70}}, "less than or equal to 1000000000"),
        ({"random": 0.1, "capacity": {"per_100": 1}}, "per_100"),
        ({"random": 0.1, "capacity": {}}, "write a whole number a day"),
        ({"sensitivity": 0.9}, "nobody would be tested"),
        ({"random": 0.1, "sensitive": 0.9}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_settings_are_refused(table, message):
    with pytest.raises(ValidationError, match=message):
        testing.TestingSettings.model_validate(table)


def test_the_curve_of_pcr_goes_through_the_published_points():
    curve = testing.TestingSettings.model_validate({"random": 0.1, "sensitivity": "pcr"}).sensitivity
    false_negative = {1: 1.0, 4: 0.67, 5: 0.38, 8: 0.20, 9: 0.21, 21: 0.66}  # Kucirka et al. 2020
    assert {day: pytest.approx(1 - curve[day]) for day in false_negative} == false_negative
    assert curve[0] == 0


def test_testing_without_an_epidemic_names_the_remedy():
    model = town(random=1.0)
    del model.citizens.table._store["health"]
    model.citizens.table._expose()
    with pytest.raises(ValueError, match=r"add the section \[epidemic\]"):
        model.morning()
