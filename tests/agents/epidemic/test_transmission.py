"""Rates by place and R0: against plain Python, closed forms and the secondary cases of simulated outbreaks."""

from itertools import pairwise

import numpy as np
import pytest
from epidemic_cities import Town, city_of, disease_of, homes_only, one_place, random_city

from citytwin.agents.epidemic import transmission as module
from citytwin.agents.epidemic.disease import Disease
from citytwin.agents.epidemic.meetings import meet, relate
from citytwin.agents.epidemic.settings import DEFAULT_WEIGHTS, EpidemicSettings
from citytwin.agents.epidemic.transmission import Reproduction, TransmissionError, calibrated, crowding
from citytwin.agents.presence import Presence
from citytwin.environment.city import City
from citytwin.environment.places import PlaceKind
from citytwin.environment.randomness import uniform

EQUAL = dict.fromkeys(PlaceKind, 1.0)


# ---------------------------------------------------------------------- kernels and plain Python


def meet_twin(index, city, schedule, kind_rate, crowds, sigma, most, purpose):
    """Return a list of (person met, hazard, stride) for each index person."""
    out = []
    for person in index:
        entries = []
        for v in range(schedule.first[person], schedule.first[person + 1]):
            place = schedule.place[v]
            rate = kind_rate[city.places.kind[place]] * (crowds[place - city.homes] if place >= city.homes else 1.0)
            low, high = schedule.place_first[place], schedule.place_first[place + 1]
            stride = max(-((low - high) // most), 1)
            offset = int(uniform(purpose, person, v) * stride)
            for u in range(low + offset, high, stride):
                overlap = min(int(schedule.end[v]), int(schedule.visitor_end[u])) - max(
                    int(schedule.start[v]), int(schedule.visitor_start[u])
                )
                other = schedule.visitor[u]
                if overlap > 0 and other != person and sigma[other] > 0:
                    entries.append((other, rate * overlap / 96 * sigma[other], stride))
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
    kind_rate, sigma = rng.random(9), rng.choice([0.0, 0.5, 1.0], 60)
    index, purpose = np.arange(0, 60, 3, dtype=np.int32), np.uint64(9)
    crowds = crowding(city, 1)
    found = meet(index, presence.visits(5), kind_rate, crowds, sigma, most, purpose)
    assert listed(*found) == meet_twin(index, city, city.schedules[1], kind_rate, crowds, sigma, most, purpose)
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
    crowds = [crowding(city, number) for number in range(2)]
    rng = np.random.default_rng(1)
    index = [rng.integers(0, 60, 12).astype(np.int32) for _ in range(3)]
    lineage = np.stack([np.arange(12), rng.integers(0, 12, 12), rng.integers(0, 12, 12)])
    types = [(presence.visits(0), crowds[0], np.uint64(0)), (presence.visits(5), crowds[1], np.uint64(1))]
    found = [
        [meet(cases, visits, np.ones(9), factor, np.ones(60), 4, purpose) for visits, factor, purpose in types]
        for cases in index
    ]
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


# ---------------------------------------------------------------------- rates


def test_crowding_follows_the_number_of_visitors():
    # One shop with 1,200 visitors, some of them twice a day, one with 3, one with none; a team of 1,203 meets entirely.
    people = 1203
    home = np.arange(people)
    shop = np.where(home < 1200, people, people + 1)
    place = np.column_stack([home, shop, home, np.full(people, people + 3), home, shop, home])
    edges = np.array([0, 10, 20, 30, 40, 50, 60, 96])
    day = (np.arange(people + 1) * 7, place.ravel(), np.tile(edges[:-1], people), np.tile(edges[1:], people))
    city = city_of(np.arange(people + 1), [PlaceKind.SHOP, PlaceKind.SHOP, PlaceKind.LEISURE, PlaceKind.WORK], [day])
    effective = 5 + 35 * (1 - np.exp(-1.2))
    assert crowding(city, 0) == pytest.approx([effective / 1199, 1.0, 1.0, 1.0])


# ---------------------------------------------------------------------- R0


@pytest.mark.parametrize("people", [60, 300, 5000, 100_000])
@pytest.mark.parametrize("dispersion", [None, 0.45])
def test_r0_in_one_place_is_rate_times_days_times_people(people, dispersion):
    disease = disease_of(4, {"law": "gamma", "mean": 6, "sd": 2}, infectiousness={"dispersion": dispersion})
    rate = Reproduction(Presence(one_place(people), 1), disease, EQUAL).transmission(1.5)
    # Of some hundred people, those infected in the last generations are more than a few.
    assert rate * 6 * (people - 1) == pytest.approx(1.5, rel=0.08 if people < 1000 else 0.02)


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
    secondary = cases = 0
    for seed in range(4):
        town = Town(city, disease, r0=r0, seed=seed, initial_infections=40)
        town.days(60)
        table = town.epidemic.tables()["infections"]
        infected = np.bincount(table["infector"][table["infector"] >= 0], minlength=60_000)
        early = table["person"][(table["generation"] == 2) | (table["generation"] == 3)]
        assert np.mean(town.citizens.table.columns["health"][early] == 3) > 0.99
        secondary += infected[early].sum()
        cases += len(early)
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
    [(homes_only(1, 20), {}), (homes_only(4, 20), {"from_age": (0,), "factor": (0.0,)})],
)
def test_a_city_without_contagion_is_refused(city, susceptibility):
    disease = disease_of(susceptibility=susceptibility)
    with pytest.raises(TransmissionError, match="people do not meet anybody susceptible"):
        Reproduction(Presence(city, 1), disease, EQUAL).transmission(2)
