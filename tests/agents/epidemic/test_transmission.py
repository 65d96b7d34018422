"""R0: against plain Python, closed forms and the secondary cases of simulated outbreaks."""

from itertools import pairwise

import numpy as np
import pytest
from epidemic_cities import Town, city_of, disease_of, homes_only, one_place, random_city

from citytwin.agents.epidemic import transmission as module
from citytwin.agents.epidemic.course import DEAD
from citytwin.agents.epidemic.disease import Disease
from citytwin.agents.epidemic.figures import secondary_cases
from citytwin.agents.epidemic.meetings import meet, relate
from citytwin.agents.epidemic.rates import REFERENCE_FLOW, ROOMS
from citytwin.agents.epidemic.settings import DEFAULT_WEIGHTS, EpidemicSettings
from citytwin.agents.epidemic.transmission import (
    Reproduction,
    TransmissionError,
    calibrated,
    law_of_infectiousness,
)
from citytwin.agents.presence import Presence
from citytwin.environment.city import City
from citytwin.environment.places import PlaceKind
from citytwin.environment.randomness import uniform

EQUAL = dict.fromkeys(PlaceKind, 1.0)


# ---------------------------------------------------------------------- kernels and plain Python


def meet_twin(index, schedule, rate, sigma, most, purpose):
    """Return a list of (person met, hazard, stride) for each index person."""
    out = []
    for person in index:
        entries = []
        for v in range(schedule.first[person], schedule.first[person + 1]):
            place = schedule.place[v]
            low, high = schedule.place_first[place], schedule.place_first[place + 1]
            stride = max(-((low - high) // most), 1)
            offset = int(uniform(purpose, person, v) * stride)
            for u in range(low + offset, high, stride):
                overlap = min(int(schedule.end[v]), int(schedule.visitor_end[u])) - max(
                    int(schedule.start[v]), int(schedule.visitor_start[u])
                )
                other = schedule.visitor[u]
                if overlap > 0 and other != person and sigma[other] > 0:
                    entries.append((other, rate[place] * overlap / 96 * sigma[other], stride))
        out.append(entries)
    return out


def listed(first, *columns):
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    return [rows[a:b] for a, b in pairwise(first)]


@pytest.mark.parametrize("most", [1000, 3])
def test_meetings_are_those_of_plain_python(most):
    city = random_city(4)
    presence = Presence(city, 1)
    rng = np.random.default_rng(1)
    rate, sigma = rng.random(len(city.places)), rng.choice([0.0, 0.5, 1.0], 60)
    index, purpose = np.arange(0, 60, 3, dtype=np.int32), np.uint64(9)
    found = meet(index, presence.visits(5), rate, sigma, most, purpose)
    assert listed(*found) == meet_twin(index, city.schedules[1], rate, sigma, most, purpose)
    assert (found[3] > 1).any() == (most == 3)


def relate_twin(days, index, lists, lineage):
    """Return for each index person a dictionary from person to hazards, and a list of entries with a stride."""
    out = []
    for i in range(lineage.shape[1]):
        hazards, many = {}, []
        ancestors = [index[back][lineage[back, i]] for back in range(1, len(lineage))]
        for back in range(len(lineage)):
            for share, lists_of_type in zip(days, lists[back], strict=True):
                for other, hazard, stride in lists_of_type[lineage[back, i]]:
                    if back == 0 and other in ancestors:
                        continue
                    if stride == 1:
                        if back == 0:
                            hazards.setdefault(other, [0.0] * len(lineage))
                        if other in hazards:
                            hazards[other][back] += share * hazard
                    elif back == 0:
                        many.append((other, share * hazard, stride))
        out.append((hazards, many))
    return out


def test_related_people_are_those_of_plain_python():
    city = random_city(4)
    presence = Presence(city, 1)
    rng = np.random.default_rng(1)
    rate = rng.random(len(city.places))
    index = [rng.integers(0, 60, 12).astype(np.int32) for _ in range(3)]
    lineage = np.stack([np.arange(12), rng.integers(0, 12, 12), rng.integers(0, 12, 12)])
    types = [(presence.visits(0), np.uint64(0)), (presence.visits(5), np.uint64(1))]
    found = [[meet(cases, visits, rate, np.ones(60), 4, purpose) for visits, purpose in types] for cases in index]
    parts = [part for lists in found for part in lists]
    offsets = np.cumsum([0, *(len(part[1]) for part in parts[:-1])])
    first = np.stack([part[0] + offset for part, offset in zip(parts, offsets, strict=True)]).reshape(3, 2, 13)
    days = np.array([5 / 7, 2 / 7])
    owner, person, hazards, weight = relate(
        days, np.stack(index), first, *(np.concatenate([part[c] for part in parts]) for c in (1, 2, 3)), lineage, 60
    )
    expected = relate_twin(days, index, [[listed(*part) for part in lists] for lists in found], lineage)
    for i, (one_by_one, many) in enumerate(expected):
        mine = owner == i
        single = mine & (weight == 1)
        assert set(person[single].tolist()) == set(one_by_one)
        assert np.count_nonzero(single) == len(one_by_one)
        for entry in np.flatnonzero(single):
            assert hazards[entry] == pytest.approx(one_by_one[person[entry]], rel=1e-12)
        rest = np.flatnonzero(mine & (weight > 1))
        assert list(zip(person[rest].tolist(), hazards[rest, 0].tolist(), weight[rest].tolist(), strict=True)) == many
        assert not hazards[rest, 1:].any()


# ---------------------------------------------------------------------- courses

LAWS = [
    {"law": "constant", "days": 8},
    {"law": "constant", "days": 4.5},
    {"law": "exponential", "mean": 3},
    {"law": "gamma", "mean": 6, "sd": 2},
    {"law": "lognormal", "mean": 8, "sd": 2},
]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("dispersion", [None, 0.45])
def test_a_disease_of_two_periods_infects_with_the_law_of_its_infectious_days(law, dispersion):
    disease = disease_of(4, law, infectiousness={"dispersion": dispersion})
    total, share = law_of_infectiousness(disease, np.array([40], np.uint8), np.ones(1), 1)
    chance, escape = module._pair_functions(disease, total, share)
    # The same by the formulas, for one hazard at a time: E[exp(-h D X)], with X a gamma variable or 1
    by_days = np.diff(disease.infectious_days(), prepend=0.0)
    days = np.arange(len(by_days))
    for hazard in (1e-6, 0.01, 0.3, 5.0):
        if dispersion is None:
            spared, biased = np.exp(-hazard * days), np.exp(-hazard * days)
        else:
            spared = (1 + hazard * days / dispersion) ** -dispersion
            biased = (1 + hazard * days / dispersion) ** (-dispersion - 1)
        octave = np.array([np.log2(hazard)])
        assert chance(octave)[0] == pytest.approx(1 - by_days @ spared, rel=1e-3)
        assert escape(octave)[0] == pytest.approx(by_days * days @ biased / (by_days @ days), abs=1e-3)


def state(name, infectiousness, *ways):
    transitions = [dict(zip(("to", "after", "chance"), way, strict=False)) for way in ways]
    return {"name": name, "infectiousness": infectiousness, "transition": transitions}


def days(number):
    return {"law": "constant", "days": number}


def branching(**more):
    """Return a disease where of the children 20 %, of the adults 70 %, fall ill and shed 3, 2, 1, 1, 1; others 0.5 a day."""
    ill = {"from_age": (0, 18), "value": (0.2, 0.7)}
    states = (
        state("exposed", 0.0, ("ill", days(2), ill), ("carrier", days(2))),
        state("ill", [3.0, 2.0, 1.0], ("recovered", days(5))),
        state("carrier", 0.5, ("recovered", days(6))),
    )
    return Disease.model_validate({"name": "test", "r0": 2.0, "state": states, **more})


def test_a_disease_that_branches_has_the_mean_of_the_people_who_are_infected():
    # Of 100 children of susceptibility 0.5 and 50 adults of 1, cases are half children: 45 % ill with 8, others with 3.
    age = np.repeat([8, 40], [100, 50]).astype(np.uint8)
    total, share = law_of_infectiousness(branching(), age, np.where(age < 18, 0.5, 1.0), 1)
    assert share.sum() == pytest.approx(1)
    assert total @ share == pytest.approx(0.45 * 8 + 0.55 * 3, rel=0.02)
    # Courses are grouped after sorting, so one group at most is mixed; all are scaled for the exact mean.
    least, most = total[0], total[-1]
    assert most / least == pytest.approx(8 / 3)
    assert np.count_nonzero((total == least) | (total == most)) >= len(total) - 1


def test_people_in_hospital_infect_nobody():
    severe = state("severe", 2.0, ("recovered", days(10))) | {"symptoms": "severe"}
    ill = state("ill", 1.0, ("severe", days(3), 0.25), ("recovered", days(3)))
    states = (state("exposed", 0.0, ("ill", days(2))), ill, severe)
    disease = Disease.model_validate({"name": "test", "r0": 2.0, "state": states})
    total, share = law_of_infectiousness(disease, np.array([40], np.uint8), np.ones(1), 1)
    assert total @ share == pytest.approx(3.0)


def test_a_disease_that_is_infectious_at_no_age_of_the_city_is_refused():
    disease = branching()
    carriers = disease.model_dump()
    carriers["state"][2]["infectiousness"] = (0.0,)
    carriers["state"][0]["transition"][0]["chance"]["value"] = (0.2, 0.0)  # and no adult falls ill
    city = one_place(100)
    with pytest.raises(TransmissionError, match="nobody of the ages of this city becomes infectious with 'test'"):
        Reproduction(Presence(city, 1), Disease.model_validate(carriers), EQUAL)


@pytest.mark.parametrize("profile", [1.0, [9.0, 2.0, 1.0, 0.5]])
def test_a_single_way_is_exact_and_agrees_with_simulated_courses(profile):
    law = {"law": "gamma", "mean": 4, "sd": 1.5}
    early = {"name": "test", "r0": 2.0, "state": (state("shedding", profile, ("recovered", law)),)}
    late = {"name": "test", "r0": 2.0, "state": (
        state("exposed", 0.0, ("shedding", days(2))),
        state("shedding", profile, ("recovered", law)),
    )}  # fmt: skip
    for content in (early, late):
        disease = Disease.model_validate(content)
        total, share = law_of_infectiousness(disease, np.array([40], np.uint8), np.ones(1), 1)
        simulated = module.courses.total_infectiousness(disease.course(), np.full(20_000, 40, np.uint8), 1, 20_000)
        assert total @ share == pytest.approx(simulated.mean(), rel=0.02)
        second = total**2 @ share
        assert np.sqrt(second - (total @ share) ** 2) == pytest.approx(simulated.std(), rel=0.03)


# ---------------------------------------------------------------------- R0


@pytest.mark.parametrize("people", [60, 300, 5000, 100_000])
@pytest.mark.parametrize("dispersion", [None, 0.45])
def test_r0_in_one_place_is_rate_times_days_times_people(people, dispersion):
    disease = disease_of(4, {"law": "gamma", "mean": 6, "sd": 2}, infectiousness={"dispersion": dispersion})
    rate = Reproduction(Presence(one_place(people), 1), disease, EQUAL).transmission(1.5)
    # Of some hundred people, those infected in the last generations are more than a few.
    assert rate * 6 * (people - 1) == pytest.approx(1.5, rel=0.08 if people < 1000 else 0.02)


def test_r0_of_a_disease_that_branches_is_rate_times_mean_infectiousness_times_people():
    # Adults of 40 only: 70 % shed 8 in all, 30 % shed 3.
    rate = Reproduction(Presence(one_place(20_000), 1), branching(), EQUAL).transmission(2)
    assert rate * (0.7 * 8 + 0.3 * 3) * 19_999 == pytest.approx(2, rel=0.02)


def test_r0_by_the_air_of_one_room():
    disease = disease_of(4, 8, routes={"contact": 0.0, "air": 1.0})
    rate = Reproduction(Presence(one_place(20_000, PlaceKind.PRIMARY), 1), disease, EQUAL).transmission(2)
    room = ROOMS[PlaceKind.PRIMARY]
    outdoor_air = 20_000 * room.floor * room.height * room.air_changes
    assert rate * REFERENCE_FLOW / outdoor_air * 8 * 19_999 == pytest.approx(2, rel=0.02)


def test_r0_is_the_dominant_eigenvalue_of_the_next_generation_of_two_groups():
    """Children are together in a class for 8 hours; then everybody is in one place for 6; adults are half as susceptible.

    With b the rate and D the infectious days a case of group i infects K[i, j] = b D n[j] s[j] (hours together) / 24 people
    of group j, in places so large that those who are infected share few contacts. R0 is the dominant eigenvalue of K
    (Diekmann, Heesterbeek & Metz 1990, J. Math. Biol. 28:365-382), not the mean over random first cases.
    """
    n = np.array([3000, 9000])
    people, child = n.sum(), np.arange(n.sum()) < n[0]
    home = np.arange(people)
    place = np.column_stack([home, np.where(child, people, home), np.full(people, people + 1)])
    day = (np.arange(people + 1) * 3, place.ravel(), np.tile([0, 40, 72], people), np.tile([40, 72, 96], people))
    city = city_of(np.arange(people + 1), [PlaceKind.PRIMARY, PlaceKind.WORK], [day], age=np.where(child, 8, 40))
    sigma = np.array([1.0, 0.5])
    disease = disease_of(4, 8, susceptibility={"from_age": (0, 18), "factor": tuple(sigma)})
    rate = Reproduction(Presence(city, 1), disease, EQUAL).transmission(2)
    together = np.array([[8 + 6, 6], [6, 6]]) / 24
    next_generation = rate * 8 * together * n * sigma
    assert np.linalg.eigvals(next_generation).real.max() == pytest.approx(2, rel=0.03)
    random_case = n / people @ next_generation.sum(axis=1)
    assert random_case < 1.9  # far enough to tell them apart


def test_r0_and_transmission_are_inverse_to_each_other():
    city = City.synthetic(people=5000, seed=1)
    reproduction = Reproduction(Presence(city, 1), Disease.load("covid"), DEFAULT_WEIGHTS)
    for r0 in (1.2, 2.5, 6.0):
        # Chains are drawn anew for the rate that was found.
        assert reproduction.r0(reproduction.transmission(r0)) == pytest.approx(r0, rel=0.06)


@pytest.mark.parametrize(("name", "r0"), [("covid", 2.5), ("plain", 2.0)])
def test_early_cases_infect_r0_people(name, r0):
    """Cases of generations 2 and 3 of outbreaks in a city infect r0 people each, within 12 %.

    The mean of some 4,000 cases has a standard error of 3 %, and the outbreak has used up some of the susceptible people.
    """
    city = City.synthetic(people=60_000, seed=1)
    disease = Disease.load("covid") if name == "covid" else disease_of(4, 8)
    care = disease.course().care
    secondary = cases = 0
    for seed in range(4):
        town = Town(city, disease, r0=r0, seed=seed, initial_infections=40)
        town.days(60)
        table = town.epidemic.tables()["infections"]
        early = (table["generation"] == 2) | (table["generation"] == 3)
        now = town.citizens.table.columns["health"][table["person"][early]]
        # Those in a bed infect nobody any more.
        assert np.mean((now <= DEAD) | (care[now] > 0)) > 0.99
        secondary += secondary_cases(table)[early].sum()
        cases += np.count_nonzero(early)
    assert cases > 1500
    assert secondary / cases == pytest.approx(r0, rel=0.12)


def test_rates_do_not_depend_on_the_seed_of_the_run_and_are_remembered(monkeypatch):
    city = random_city(3, people=200)
    rates = {Town(city, disease_of(), r0=1.1, seed=seed).epidemic.transmission for seed in (1, 2)}
    assert len(rates) == 1

    def fail(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(module, "Reproduction", fail)
    weights = EpidemicSettings(disease=disease_of()).weight_by_kind()
    assert calibrated(Presence(city, 5), disease_of(), weights, 1.1) in rates
    with pytest.raises(AssertionError, match="computed again"):
        calibrated(Presence(city, 5), disease_of(), weights, 1.2)


def test_an_r0_out_of_reach_is_refused():
    with pytest.raises(TransmissionError, match=r"r0 = 5 cannot be reached: a typical case infects .* people at most"):
        Reproduction(Presence(homes_only(3, 50), 1), disease_of(), EQUAL).transmission(5)


@pytest.mark.parametrize(
    ("city", "susceptibility"),
    [(homes_only(1, 20), {}), (homes_only(4, 20), {"from_age": (0, 120), "factor": (0.0, 1.0)})],
)
def test_a_city_without_contagion_is_refused(city, susceptibility):
    disease = disease_of(susceptibility=susceptibility)
    with pytest.raises(TransmissionError, match="people do not meet anybody susceptible"):
        Reproduction(Presence(city, 1), disease, EQUAL).transmission(2)
