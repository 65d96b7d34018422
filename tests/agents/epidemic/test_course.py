"""Courses of diseases as arrays, their figures, and those of the shipped diseases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citytwin.agents.epidemic import course as module
from citytwin.agents.epidemic.course import DEAD, ENTERED, RECOVERED, SYMPTOMS
from citytwin.agents.epidemic.disease import Disease
from citytwin.environment.randomness import key, uniform

ALL_AGES = np.arange(256)


def constant(days):
    return {"law": "constant", "days": days}


def disease_of(*states, **keys):
    return Disease.model_validate({"name": "test", "r0": 2.0, "state": list(states)} | keys)


def state(name, *transitions, **keys):
    ways = [
        {"to": to, "after": after} | ({} if chance is None else {"chance": chance}) for to, chance, after in transitions
    ]
    return {"name": name, "transition": ways} | keys


BRANCHING = disease_of(
    state("exposed", ("mild", {"from_age": [0, 20], "value": [0.2, 0.7]}, constant(2)), ("silent", None, constant(3))),
    state("silent", ("recovered", None, {"law": "gamma", "mean": 5.0, "sd": 2.0}), infectiousness=0.5),
    state(
        "mild",
        ("recovered", 0.9, {"law": "gamma", "mean": 6.0, "sd": 2.0}),
        ("severe", None, {"law": "exponential", "mean": 0.7}),
        infectiousness=[2.0, 1.0, 0.25],
        symptoms="mild",
    ),
    state(
        "severe",
        ("dead", {"from_age": [0, 60], "value": [0.1, 0.3], "of": [0.5, 0.6]}, constant(4)),
        ("recovered", None, constant(6.5)),
        symptoms="severe",
        without_bed=3.0,
    ),
    infectiousness={"since_infection": [0.0, 1.0, 2.0, 3.0, 1.0]},
)


def test_arrays_of_a_disease():
    arrays = BRANCHING.course()
    assert BRANCHING.state_names == ("susceptible", "recovered", "dead", "exposed", "silent", "mild", "severe")
    assert arrays.first.tolist() == [0, 0, 0, 0, 2, 3, 5, 7]
    # From mild the way to severe comes first, though it is last in the file.
    assert arrays.to.tolist() == [5, 4, 1, 6, 1, 2, 1]
    assert arrays.chance[:, 10] == pytest.approx([0.2, 0.8, 1.0, 0.1, 0.9, 0.2, 0.8])
    assert arrays.chance[:, 60] == pytest.approx([0.7, 0.3, 1.0, 0.1, 0.9, 0.5, 0.5])
    assert arrays.severe.tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert arrays.without_bed.tolist() == [1, 1, 1, 1, 1, 3, 1]
    assert arrays.symptoms.tolist() == [0, 0, 0, 0, 0, 1, 2]
    assert arrays.care.tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert arrays.shed[4:].tolist() == [[0.5, 0.5, 0.5], [2.0, 1.0, 0.25], [0, 0, 0]]
    assert arrays.since_infection.tolist() == [0, 1, 2, 3, 1]
    constants = [arrays.law[a:b].tolist() for a, b in zip(arrays.law_first, arrays.law_first[1:], strict=False)]
    assert (constants[0], constants[5]) == ([0, 0, 1, 1], [0, 0, 0, 0, 1, 1])
    kinds = {name: array.dtype.name for name, array in arrays._asdict().items()}
    assert kinds == {
        "first": "int32",
        "to": "uint8",
        "chance": "float64",
        "severe": "uint8",
        "without_bed": "float64",
        "law_first": "int32",
        "law": "float64",
        "shed": "float64",
        "since_infection": "float64",
        "symptoms": "uint8",
        "care": "uint8",
    }


def test_two_periods_are_two_states():
    periods = {"latent": {"law": "gamma", "mean": 4.0, "sd": 1.0}, "infectious": constant(8)}
    disease = Disease.model_validate({"name": "test", "r0": 2.0} | periods)
    arrays = disease.course()
    assert disease.state_names == ("susceptible", "recovered", "dead", "exposed", "infectious")
    assert (arrays.first.tolist(), arrays.to.tolist()) == ([0, 0, 0, 0, 1, 2], [4, 1])
    assert arrays.shed.ravel().tolist() == [0, 0, 0, 0, 1]
    assert not arrays.symptoms.any() and not arrays.care.any() and not arrays.severe.any()
    assert mean_days(arrays, 0) == pytest.approx(3.5, rel=1e-6)
    assert mean_days(arrays, 1) == 8


def mean_days(arrays, row):
    law = arrays.law[arrays.law_first[row] : arrays.law_first[row + 1]]
    return float((1 - law).sum())


# ------------------------------------------------------------------- any disease


@st.composite
def bands(draw, largest):
    """Draw a chance: a number, or a table by age."""
    starts = [0, *sorted(draw(st.sets(st.integers(1, 120), max_size=3)))]
    values = [draw(st.floats(0, largest)) for _ in starts]
    return draw(st.sampled_from([values[0], {"from_age": starts, "value": values}]))


PERIODS = st.one_of(
    st.builds(lambda d: {"law": "constant", "days": d}, st.floats(1, 30)),
    st.builds(lambda m: {"law": "exponential", "mean": m}, st.floats(0.6, 20)),
    st.builds(
        lambda name, m, cv: {"law": name, "mean": m, "sd": m * cv},
        st.sampled_from(["gamma", "lognormal", "weibull"]),
        st.floats(0.6, 20),
        st.floats(0.1, 0.9),
    ),
)


@st.composite
def diseases(draw):
    """Draw a disease whose states lead to later ones, each reached from an earlier one, the last one infectious."""
    number = draw(st.integers(1, 5))
    names = [f"state_{n}" for n in range(number)]
    targets = [set() for _ in names]
    for n in range(1, number):
        targets[draw(st.integers(0, n - 1))].add(names[n])
    states = []
    for n, name in enumerate(names):
        others = draw(st.sets(st.sampled_from([*names[n + 1 :], "recovered", "dead"]), min_size=not targets[n]))
        ways = draw(st.permutations(sorted(targets[n] | others)))
        given = [(to, draw(bands(1 / len(ways))), draw(PERIODS)) for to in ways[:-1]]
        strength = draw(st.floats(0.1, 3)) if n == number - 1 else draw(st.sampled_from([0.0, 0.5]))
        symptoms = draw(st.sampled_from(SYMPTOMS[: 2 if n == 0 else 4]))
        last = (ways[-1], None, draw(PERIODS))
        states.append(state(name, *given, last, infectiousness=strength, symptoms=symptoms))
    return states


@settings(max_examples=60)
@given(diseases())
def test_any_disease_compiles_to_chances_and_laws_that_are_those_of_the_file(states):
    disease = disease_of(*states)
    arrays, names = disease.course(), disease.state_names
    expected = np.zeros(256)
    reached = module.reached(arrays)
    for number, given_state in enumerate(states, ENTERED):
        rows = range(arrays.first[number], arrays.first[number + 1])
        assert sum(arrays.chance[row] for row in rows) == pytest.approx(np.ones(256))
        by_target = {names[arrays.to[row]]: row for row in rows}
        assert set(by_target) == {way["to"] for way in given_state["transition"]}
        stay = np.zeros(256)
        for way in given_state["transition"]:
            row, law = by_target[way["to"]], way["after"]
            if "chance" in way:
                table = (
                    way["chance"] if isinstance(way["chance"], dict) else {"from_age": [0], "value": [way["chance"]]}
                )
                for age in (0, 17, 90, 255):
                    value = [v for start, v in zip(table["from_age"], table["value"], strict=True) if start <= age][-1]
                    assert arrays.chance[row, age] == value
            halved = number == ENTERED and not given_state["infectiousness"] and law["law"] != "constant"
            mean = law.get("mean", law.get("days")) - 0.5 * halved
            assert mean_days(arrays, row) == pytest.approx(mean, abs=1e-5)
            stay += arrays.chance[row] * mean
        expected += reached[number] * stay * given_state["infectiousness"]
        worse = [arrays.to[row] == DEAD or arrays.symptoms[arrays.to[row]] > arrays.symptoms[number] for row in rows]
        assert worse == sorted(worse, reverse=True)
    assert reached[RECOVERED] + reached[DEAD] == pytest.approx(np.ones(256))
    for age in (5, 70):
        assert module.infectiousness_by_day(arrays, np.array([age])).sum() == pytest.approx(expected[age], rel=1e-4)


# ------------------------------------------------------------------- figures


def simulated(disease, age, number, seed):
    """Return the total infectiousness of courses: the readable twin of the kernel."""
    arrays = disease.course()
    way, stay = key(seed, "course transition"), key(seed, "course days")
    totals = []
    for case in range(number):
        current, day, total = ENTERED, 0, 0.0
        while current not in (RECOVERED, DEAD):
            rows = range(arrays.first[current], arrays.first[current + 1])
            u, taken = uniform(way, case, current), rows[-1]
            for row in rows[:-1]:
                if u < arrays.chance[row, age]:
                    taken = row
                    break
                u -= arrays.chance[row, age]
            law = arrays.law[arrays.law_first[taken] : arrays.law_first[taken + 1]]
            days = int(np.searchsorted(law, uniform(stay, case, current), side="right")) + (current == ENTERED)
            for k in range(days):
                if day + k:
                    factor = arrays.since_infection[min(day + k, len(arrays.since_infection) - 1)]
                    total += arrays.shed[current, min(k, arrays.shed.shape[1] - 1)] * factor
            day += days
            current = arrays.to[taken]
        totals.append(total)
    return totals


def test_simulated_courses_are_those_of_the_twin_and_have_the_expected_mean():
    number = 40_000
    totals = module.total_infectiousness(BRANCHING.course(), np.array([70]), 3, number)
    assert totals[:500].tolist() == simulated(BRANCHING, 70, 500, 3)
    expected = module.infectiousness_by_day(BRANCHING.course(), np.array([70])).sum()
    assert abs(totals.mean() - expected) < 4 * totals.std() / np.sqrt(number)
    assert module.total_infectiousness(BRANCHING.course(), np.array([70]), 4, 500).tolist() != totals[:500].tolist()


def test_simulated_courses_take_the_ages_evenly():
    disease = disease_of(
        state(
            "exposed",
            ("ill", {"from_age": [0, 50], "value": [0.0, 1.0]}, constant(1)),
            ("recovered", None, constant(1)),
        ),
        state("ill", ("recovered", None, constant(3)), infectiousness=1.0),
    )
    ages = np.array([20, 60, 70, 30], np.uint8)
    assert module.total_infectiousness(disease.course(), ages, 1, 4).tolist() == [0, 3, 3, 0]
    assert module.total_infectiousness(disease.course(), ages, 1, 8).tolist() == [0, 0, 3, 3, 3, 3, 0, 0]
    assert module.total_infectiousness(disease.course(), ages, 1, 2).tolist() == [0, 3]


def test_infectiousness_of_constant_periods_is_even_over_the_infectious_days():
    periods = {"latent": constant(4), "infectious": constant(8)}
    disease = Disease.model_validate({"name": "test", "r0": 2.0} | periods)
    by_day = module.infectiousness_by_day(disease.course(), ALL_AGES)
    # Infected on day t, infectious on days t + 4 + 1 … t + 4 + 8.
    assert by_day == pytest.approx([0.0] * 5 + [1.0] * 8)


def test_first_state_sheds_from_the_day_after_infection_on():
    disease = disease_of(
        state("infectious", ("recovered", None, {"law": "gamma", "mean": 3.0, "sd": 1.0}), infectiousness=1.0)
    )
    by_day = module.infectiousness_by_day(disease.course(), ALL_AGES)
    # Whole days of shedding have the mean of the law, so nothing is taken off for the half day of infection.
    assert by_day[0] == 0
    assert by_day.sum() == pytest.approx(3.0, rel=1e-6)
    profile = disease_of(
        state("infected", ("recovered", None, constant(4)), infectiousness=[9.0, 1.0, 0.5]),
        infectiousness={"since_infection": [9.0, 1.0, 3.0]},
    )
    assert module.infectiousness_by_day(profile.course(), ALL_AGES).tolist() == [0, 1.0, 1.5, 1.5, 1.5]


def test_days_of_entering_a_state():
    found = module.entered(BRANCHING.course(), 70)
    assert found[ENTERED].tolist() == [1.0]
    assert found[5] == pytest.approx([0, 0, 0, 0.7, 0])  # 2 whole days after the day of infection
    for number, by_day in enumerate(found):
        assert by_day.sum() == pytest.approx(module.reached(BRANCHING.course())[number, 70])


# ------------------------------------------------------------------- shipped diseases

SHIPPED = ["covid", "influenza", "influenza-1918", "measles"]
# Covasim 3.1.7, get_prognoses: shares of all infections by age.
COVID_AGES = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
COVID = {
    "mild": [0.50, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.90],
    "severe": [0.0005, 0.00165, 0.0072, 0.0208, 0.0343, 0.0765, 0.1328, 0.20655, 0.2457, 0.2457],
    "critical": [0.00003, 0.00008, 0.00036, 0.00104, 0.00216, 0.00933, 0.03639, 0.08923, 0.1742, 0.1742],
    "dead": [0.00002, 0.00002, 0.0001, 0.00032, 0.00098, 0.00265, 0.00766, 0.02439, 0.08292, 0.1619],
}


def mean_entry(disease, name, age=40):
    """Return the mean time in days from infection, at midday, to the beginning of the day on which a state is entered."""
    by_day = module.entered(disease.course(), age)[disease.state_names.index(name)]
    return by_day @ np.arange(len(by_day)) / by_day.sum() - 0.5


def mean_generation(disease):
    """Return the mean time in days from infection to infection, if contacts do not change."""
    by_day = module.infectiousness_by_day(disease.course(), np.arange(90))
    return by_day @ np.arange(len(by_day)) / by_day.sum()


@pytest.mark.parametrize("name", COVID)
def test_severity_of_covid_by_age_is_that_of_the_table(name):
    covid = Disease.load("covid")
    found = module.reached(covid.course())[covid.state_names.index(name)]
    for offset in (0, 9):
        assert found[np.array(COVID_AGES) + offset] == pytest.approx(COVID[name], rel=1e-9)
    assert found[120] == pytest.approx(COVID[name][-1])


def test_periods_of_covid():
    covid = Disease.load("covid")
    assert mean_entry(covid, "presymptomatic") == pytest.approx(4.5, abs=1e-5)
    assert mean_entry(covid, "mild") == pytest.approx(5.6, abs=1e-5)  # incubation
    assert mean_entry(covid, "severe") == pytest.approx(5.6 + 6.6, abs=1e-5)
    assert mean_entry(covid, "dead") == pytest.approx(5.6 + 6.6 + 1.5 + 10.7, abs=1e-4)


@pytest.mark.parametrize(("who", "before"), [("asymptomatic", 0.0), ("mild", 1.1)])
def test_infectiousness_of_covid_is_the_viral_load_of_its_source(who, before):
    """Draw infectious times T, share the days out at 2/1.3 before 0.3 T, at most 4 days, and 1/1.3 after."""
    random = np.random.default_rng(1)

    def drawn(mean, sd):
        spread = np.sqrt(np.log1p((sd / mean) ** 2))
        return np.round(random.lognormal(np.log(mean) - spread**2 / 2, spread, 100_000))

    time = drawn(8.0, 2.0) + (drawn(1.1, 0.9) if before else 0.0)
    day = np.arange(40)[:, None]
    load = np.where(day < np.minimum(0.3 * time, 4), 2.0, 1.0) / 1.3 * (day < time)
    covid = Disease.load("covid")
    arrays, names = covid.course(), covid.state_names
    path = ["presymptomatic", "mild"] if before else ["asymptomatic"]
    total = 0.0
    for name in path:
        number = names.index(name)
        row = arrays.first[number + 1] - 1  # the way of those who do not get worse comes last
        law = arrays.law[arrays.law_first[row] : arrays.law_first[row + 1]]
        days = np.minimum(np.arange(len(law)), arrays.shed.shape[1] - 1)
        total += (1 - law) @ arrays.shed[number, days]
    assert who == path[-1]
    assert total == pytest.approx(load.sum() / time.size, rel=0.03)


def test_generation_times():
    # Seasonal influenza 3.2 days (95 % interval 2.9 to 3.6), PMC11370535; wanted 2.6 to 3.6.
    assert 2.9 < mean_generation(Disease.load("influenza")) < 3.6
    assert 2.6 < mean_generation(Disease.load("influenza-1918")) < 3.6
    # Latent 10 days, then even over 8 days, the first of them half a day after the end of the latent period.
    assert mean_generation(Disease.load("measles")) == pytest.approx(10 + 0.5 + 3.5, abs=0.05)


def test_influenza():
    influenza = Disease.load("influenza")
    assert mean_entry(influenza, "mild") == pytest.approx(1.9, abs=1e-5)
    reached = dict(zip(influenza.state_names, module.reached(influenza.course()), strict=True))
    assert reached["mild"] == pytest.approx(0.669)
    # United States 2018/19: the ill of ages 0-4, 5-17, 18-49, 50-64 and 65+; in all 490,600 in hospital and 34,200 dead.
    ill = np.array([3.633, 7.663, 11.913, 9.238, 3.073]) * 1e6
    at = [2, 10, 30, 60, 80]
    assert ill @ (reached["severe"] / reached["mild"])[at] == pytest.approx(490_600, rel=0.01)
    assert ill @ (reached["dead"] / reached["mild"])[at] == pytest.approx(34_200, rel=0.01)
    # 1 to 8 % of the infectiousness of the symptomatic comes before onset, Lau et al. 2010.
    arrays, names = influenza.course(), influenza.state_names
    before = 0.4 * arrays.shed[names.index("presymptomatic"), 0]
    row = arrays.first[names.index("mild") + 1] - 1
    law = arrays.law[arrays.law_first[row] : arrays.law_first[row + 1]]
    after = (1 - law) @ arrays.shed[names.index("mild"), np.minimum(np.arange(len(law)), arrays.shed.shape[1] - 1)]
    assert 0.01 < before / (before + after) < 0.08


def test_pandemic_influenza_kills_as_many_of_the_ill_as_in_1918():
    pandemic = Disease.load("influenza-1918")
    reached = dict(zip(pandemic.state_names, module.reached(pandemic.course()), strict=True))
    fatality = (reached["dead"] / reached["mild"])[[2, 10, 17, 30, 50, 70]]
    assert fatality @ [0.11, 0.20, 0.09, 0.33, 0.19, 0.08] == pytest.approx(0.025, abs=0.001)


def test_measles():
    measles = Disease.load("measles")
    assert (measles.routes.contact, measles.routes.air) == (0.0, 1.0)
    assert mean_entry(measles, "prodrome") == pytest.approx(10.0, abs=1e-5)
    assert mean_entry(measles, "rash") == pytest.approx(14.0, abs=1e-5)
    arrays = measles.course()
    totals = module.total_infectiousness(arrays, np.array([8]), 1, 20_000)
    assert np.median(totals) == 8
    assert totals.mean() == pytest.approx(8.0, rel=0.005)
    # Isolation at the rash spares half of the infectiousness.
    by_day = module.infectiousness_by_day(arrays, np.array([8]))
    assert arrays.shed[measles.state_names.index("prodrome"), 0] * 4 == pytest.approx(by_day.sum() / 2, rel=0.005)


def test_shipped_diseases_say_how_they_spread():
    r0 = {name: Disease.load(name).r0 for name in SHIPPED}
    assert r0 == {"covid": 2.5, "influenza": 1.3, "influenza-1918": 1.8, "measles": 15.0}
    for name in SHIPPED:
        disease = Disease.load(name)
        assert disease.name == name
        assert {"severe", "critical"} <= set(disease.state_names)
        assert disease.course().care.max() == 2
