"""Measures with each other and with an epidemic: the order of a morning, and what they do to contagion."""

import pickle

import numpy as np
import pytest
from epidemic_cities import Person, Town, disease_of, random_city
from outbreak import Outbreak

from citytwin.agents.columns import Column
from citytwin.agents.measures import MEASURES
from citytwin.agents.policies import PolicySettings
from citytwin.agents.presence import ISOLATED, QUARANTINED

EVERYTHING = {
    "test": {"symptomatic": 0.5, "random": 0.05, "contacts": 1.0, "delay": 1, "sensitivity": [0.2, 0.6, 0.9, 0.9, 0.5]},
    "trace": {"share": {"home": 1.0, "work": 0.5, "venue": 0.3, "guests": 0.2}, "delay": {"work": 1, "venue": 2}},
    "isolate": {"household": True, "dropout": 0.05, "days": 5, "quarantine_days": 4},
    "vaccinate": {"product": "mrna", "per_day": {"per_1000": 20}, "uptake": 0.8, "priority": [{"ages": [60, 120]}]},
}
ILL = {
    "name": "test",
    "r0": 2.5,
    "state": [
        {"name": "exposed", "transition": [{"to": "early", "after": {"law": "constant", "days": 2}}]},
        {
            "name": "early",
            "infectiousness": 1.0,
            "transition": [{"to": "ill", "after": {"law": "constant", "days": 2}}],
        },
        {
            "name": "ill",
            "infectiousness": 1.0,
            "symptoms": "mild",
            "transition": [{"to": "recovered", "after": {"law": "constant", "days": 6}}],
        },
    ],
}


def policy(**keys):
    return PolicySettings.model_validate({"name": "measures", **keys})


def outbreak(*policies, seed=1, city=None, disease=ILL, threads=1):
    """Let an epidemic run for 25 days and return the model."""
    city = random_city(5, people=300, places=20) if city is None else city
    town = Town(city, disease, policies=policies, seed=seed, threads=threads, transmission=0.3, initial_infections=10)
    town.days(25)
    return town


def infections(town):
    return {name: values.tolist() for name, values in town.epidemic.tables()["infections"].items()}


def test_what_is_tested_with_a_result_at_once_is_traced_and_isolated_on_the_same_morning():
    model = Outbreak(
        random_city(2, people=50),
        [{"isolate": {}}, {"trace": {"share": {"home": 1.0, "guests": 1.0}}}, {"test": {"symptomatic": 1.0}}],
    )
    model.morning()
    model.day = 1
    household = model.city.people.household
    case = int(np.flatnonzero(np.bincount(household)[household] > 1)[0])
    model.fall_ill([case])
    model.morning()
    assert model.presence.status[case] == ISOLATED
    contacts = np.flatnonzero(model.data["traced_on"] == 1)
    assert contacts.size > 0
    assert np.all(model.presence.status[contacts] == QUARANTINED)


def test_contacts_are_tested_on_the_day_after_they_were_told():
    model = Outbreak(
        random_city(2, people=50),
        {"trace": {"share": {"home": 1.0}}, "test": {"symptomatic": 1.0, "contacts": 1.0}},
    )
    model.morning()
    model.day = 1
    model.fall_ill(np.arange(0, 50, 5))
    model.morning()
    told = np.flatnonzero(model.data["traced_on"] == 1)
    told = told[model.data["tested_on"][told] == -1]
    assert told.size > 0
    model.day = 2
    model.morning()
    assert np.all(model.data["tested_on"][told] == 2)


def test_who_is_told_on_two_mornings_is_tested_on_the_day_after_each():
    model = Outbreak(
        random_city(2, people=50),
        {"trace": {"share": {"home": 1.0}, "delay": 1}, "test": {"contacts": 1.0}},
    )
    household = model.city.people.household
    case, contact, *_ = np.flatnonzero(household == np.argmax(np.bincount(household) >= 2))
    tested = []
    for day in range(6):
        model.day = day
        if day in (1, 2):
            model.data["positive_on"][case] = day  # told on days 2 and 3
        model.morning()
        tested.append(model.data["tested_on"][contact] == day)
    assert model.data["traced_on"][contact] == 3
    assert tested == [False, False, False, True, True, False]


def test_a_column_of_a_measure_in_the_class_of_the_citizens_is_refused_by_name():
    class Own(Person):
        doses = Column("i4", 0, doc="of coffee")

    with pytest.raises(ValueError, match=r"Own\.doses: vaccination keeps a column of this name \(doses of vaccine had"):
        Outbreak(random_city(2, people=50), {"vaccinate": {"product": "mrna", "per_day": 5}}, person=Own)


def test_isolation_at_onset_ends_infectiousness_like_a_disease_that_ends_there():
    isolated = outbreak(policy(isolate={"at": "onset", "days": 30, "home": 0.0}))
    harmless = {**ILL, "state": [*ILL["state"][:2], {**ILL["state"][2], "infectiousness": 0.0}]}
    # Isolation also keeps the ill at home, but they can catch nothing any more: only what they give off counts.
    assert infections(isolated) == infections(outbreak(disease=harmless))
    assert len(infections(isolated)["day"]) > 20


@pytest.mark.parametrize(
    "keys",
    [
        {"test": {"symptomatic": 0.0, "random": 0.0}, "isolate": {}},
        {
            "test": {"symptomatic": 1.0},
            "trace": {"share": {"home": 1.0}},
        },
        {"test": {"random": 1.0, "sensitivity": 0.0}, "trace": {"app": 1.0}, "isolate": {"household": True}},
        {"vaccinate": {"product": {"infection": 0.0, "delay": 0}, "per_day": 100}},
        {"vaccinate": {"product": "mrna", "per_day": 100, "uptake": 0.0}},
        {**EVERYTHING, "compliance": 0.0},
        {**EVERYTHING, "from": 25},
    ],
)
def test_measures_without_effect_change_no_bit_of_an_epidemic(keys):
    assert infections(outbreak(policy(**keys))) == infections(outbreak())


def test_measures_leave_the_days_before_them_as_they_were():
    without, later = infections(outbreak()), infections(outbreak(policy(**EVERYTHING, **{"from": 8})))
    before = np.flatnonzero(np.array(without["day"]) < 8)
    assert before.size > 10
    assert {name: values[: before.size] for name, values in without.items()} == {
        name: values[: before.size] for name, values in later.items()
    }
    assert without != later


def test_a_perfect_vaccine_before_the_epidemic_leaves_only_the_first_cases():
    perfect = {"product": {"infection": 1.0, "delay": 0}, "per_day": 1000}
    assert outbreak(policy(vaccinate=perfect)).epidemic.infections == 10
    assert outbreak().epidemic.infections > 50


def test_threads_and_a_saved_model_give_the_same_epidemic():
    whole = outbreak(policy(**EVERYTHING))
    assert whole.rows == outbreak(policy(**EVERYTHING), threads=2).rows
    city = random_city(5, people=300, places=20)
    town = Town(city, ILL, policies=[policy(**EVERYTHING)], transmission=0.3, initial_infections=10)
    town.days(12)
    town = pickle.loads(pickle.dumps(town))
    town.days(13)
    assert town.rows == whole.rows
    assert infections(town) == infections(whole)


def test_every_figure_of_the_day_is_there_and_none_is_negative():
    town = outbreak(policy(**EVERYTHING))
    names = {"tests", "positives", "traced", "isolated", "quarantined", "doses"}
    assert names < set(town.rows[0])
    assert all(row[name] >= 0 for row in town.rows for name in names)
    assert all(sum(row[name] for row in town.rows) > 0 for name in names)
    assert all(row["doses"] <= 6 for row in town.rows)


def test_settings_survive_json():
    for name, table in EVERYTHING.items():
        settings = MEASURES[name].Settings.model_validate(table)
        assert type(settings).model_validate_json(settings.model_dump_json()) == settings
        assert type(settings).model_validate(settings.model_dump(mode="json")) == settings


def test_indicators_of_measures_can_be_asked_for():
    town = outbreak(policy(**EVERYTHING))
    offered = {name for kind in MEASURES.values() for name in kind.indicators}
    assert offered == {"reported", "positivity"}
    assert offered < set(town.authority.indicators)
    triggered = outbreak(
        policy(test={"symptomatic": 1.0}),
        PolicySettings.model_validate({"name": "closed", "close": ["work"], "when": "reported > 5000"}),
    )
    in_force = [row["policy.closed"] for row in triggered.rows]
    reported = np.array([row["positives"] for row in triggered.rows])
    week = [reported[max(day - 7, 0) : day].sum() for day in range(25)]
    assert in_force == [int(number * 100_000 / 300 > 5000) for number in week]
    assert 0 < sum(in_force) < 25


def test_short_diseases_without_symptoms_can_be_met_with_random_tests():
    town = outbreak(
        policy(test={"random": 1.0, "delay": 0}, isolate={"home": 0.0, "days": 30}), disease=disease_of(2, 4)
    )
    assert town.epidemic.infections == 10  # all are found on the day on which they become infectious
