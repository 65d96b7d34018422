"""Hospitals: beds, who comes where, and what happens when beds are short."""

import copy
import os
from math import hypot
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cities import tiny_city
from pydantic import ValidationError

from citytwin.agents.citizens import Citizen
from citytwin.agents.hospitals import ICU, WARD, Hospitals, HospitalSettings
from citytwin.agents.rows import RowModel
from citytwin.environment.city import City
from citytwin.environment.places import SiteKind
from citytwin.environment.randomness import key, uniform

PEOPLE = 600


def city_with(*hospitals: tuple[float, float, int]) -> City:
    """Return a town of 600 people with hospitals at these metres east and north, with so many beds, and no other."""
    town = tiny_city(300)
    x, y = town.info.bounds[:2]
    kind = town.sites.kind.copy()
    kind[kind == SiteKind.HOSPITAL] = SiteKind.WORK
    sites = {name: town.sites[name].copy() for name in town.sites} | {"kind": kind}
    for east, north, beds in hospitals:
        new = {"x": x + east, "y": y + north, "kind": SiteKind.HOSPITAL, "capacity": beds, "building": -1, "node": -1}
        sites = {name: np.append(sites[name], np.array(new.get(name, 0), sites[name].dtype)) for name in sites}
    tables = {name: getattr(town, name) for name in town.__dict__ if hasattr(getattr(town, name), "keys")}
    tables = {name: dict(table) for name, table in tables.items() if name != "_layers"}
    return City(town.info, tables | {"sites": sites}, town.schedules)


def hospitals_of(city: City, seed: int = 1, **settings: Any) -> Hospitals:
    model = RowModel()
    citizens = Citizen.of_city(model, city)
    return Hospitals(city, HospitalSettings(**settings), citizens.table, seed)


WEST_EAST = ((0.0, 500.0, 10), (1_000.0, 500.0, 30))
ALL_FREE = {"occupied": 0.0, "icu_per_1000": 20.0}  # 12 beds in intensive care: 3 in the west, 9 in the east


def everybody(hospitals: Hospitals, care: int = WARD) -> np.ndarray:
    people = np.arange(PEOPLE)
    return hospitals.admit(people, np.full(PEOPLE, care))


def counted(hospitals: Hospitals) -> np.ndarray:
    """Count the patients by hospital and bed from the columns of the people, (hospitals, 2)."""
    where = hospitals._table.columns["hospital"]
    return np.array(
        [[((where == h) & (hospitals.bed == care)).sum() for care in (WARD, ICU)] for h in range(len(hospitals.site))]
    )


def test_everybody_comes_to_the_nearest() -> None:
    city = city_with((0.0, 500.0, 1_000), (1_000.0, 500.0, 1_000))
    hospitals = hospitals_of(city, occupied=0.0)
    found = everybody(hospitals)
    east = city.places.x[city.people.household] - city.info.bounds[0]
    middle = np.abs(east - 500) < 1e-6
    assert np.array_equal(found[~middle], (east[~middle] > 500).astype(int))
    assert np.array_equal(hospitals._table.columns["hospital"], found)
    assert hospitals.series() == {
        "hospital_patients": PEOPLE, "icu_patients": 0, "admissions": PEOPLE, "turned_away": 0, "without_bed": 0,
    }  # fmt: skip


def test_a_full_hospital_sends_on_to_the_next() -> None:
    hospitals = hospitals_of(city_with(*WEST_EAST), **ALL_FREE)
    assert hospitals.beds.tolist() == [[10, 3], [30, 9]]
    city = hospitals._city
    west = np.flatnonzero(city.places.x[city.people.household] - city.info.bounds[0] < 400)[:25]
    found = hospitals.admit(west, np.full(25, WARD))
    assert np.bincount(found).tolist() == [10, 15]
    assert hospitals.turned_away.tolist() == [15, 0]
    assert len(hospitals.lacking) == 0
    assert hospitals.patients.tolist() == [[10, 0], [15, 0]]


def test_who_comes_first_comes_before_who_is_sent_on() -> None:
    hospitals = hospitals_of(city_with(*WEST_EAST), **ALL_FREE)
    found = everybody(hospitals)
    city = hospitals._city
    east = city.places.x[city.people.household] - city.info.bounds[0] > 500
    assert np.bincount(found[found >= 0]).tolist() == [10, 30]
    assert east[found == 1].all()  # no bed was left for anybody from the west
    assert len(hospitals.lacking) == PEOPLE - 40
    assert hospitals.turned_away.sum() == PEOPLE - 40
    assert np.array_equal(hospitals.patients, counted(hospitals))


def test_without_diversion_a_full_hospital_is_the_end() -> None:
    hospitals = hospitals_of(city_with(*WEST_EAST), divert=False, **ALL_FREE)
    city = hospitals._city
    west = np.flatnonzero(city.places.x[city.people.household] - city.info.bounds[0] < 400)[:25]
    found = hospitals.admit(west, np.full(25, WARD))
    assert (found == 0).sum() == 10
    assert (found == -1).sum() == len(hospitals.lacking) == hospitals.turned_away[0] == 15


def test_beds_are_not_given_by_number() -> None:
    hospitals = hospitals_of(city_with((500.0, 500.0, 100)), occupied=0.0)
    first = np.flatnonzero(everybody(hospitals) == 0)
    other = np.flatnonzero(everybody(hospitals_of(city_with((500.0, 500.0, 100)), seed=2, occupied=0.0)) == 0)
    assert len(first) == len(other) == 100
    assert 200 < first.mean() < 400  # of numbers 0 to 599
    assert not np.array_equal(first, other)
    again = hospitals_of(city_with((500.0, 500.0, 100)), occupied=0.0)
    shuffled = np.random.default_rng(1).permutation(PEOPLE)
    found = again.admit(shuffled, np.full(PEOPLE, WARD))
    assert np.array_equal(np.sort(shuffled[found == 0]), first)


def test_the_critically_ill_leave_their_bed_on_the_ward() -> None:
    hospitals = hospitals_of(city_with(*WEST_EAST), **ALL_FREE)
    city = hospitals._city
    west = np.flatnonzero(city.places.x[city.people.household] - city.info.bounds[0] < 400)[:10]
    hospitals.admit(west, np.full(10, WARD))
    hospitals.begin_day()
    found = hospitals.admit(west[:5], np.full(5, ICU))
    assert np.bincount(found).tolist() == [3, 2]  # three beds at home, then the next
    assert hospitals.patients.tolist() == [[5, 3], [0, 2]]
    assert np.array_equal(hospitals.patients, counted(hospitals))
    assert hospitals.admitted == 0  # they were in hospital before
    assert hospitals.turned_away.tolist() == [2, 0]


def test_without_a_bed_in_intensive_care_they_stay_on_the_ward() -> None:
    hospitals = hospitals_of(city_with((500.0, 500.0, 100)), occupied=0.0, icu_per_1000=5.0)  # 3 beds
    hospitals.admit(np.arange(10), np.full(10, WARD))
    found = hospitals.admit(np.arange(5), np.full(5, ICU))
    assert sorted(found) == [-1, -1, 0, 0, 0]
    assert hospitals.patients.tolist() == [[7, 3]]
    assert (hospitals._table.columns["hospital"][:10] == 0).all()
    assert hospitals.indicator_values() == {
        "hospital_occupancy": 0.07,
        "icu_occupancy": 5 / 3,  # three lie there, two more should
        "hospitalised": pytest.approx(10 / 600 * 1e5),
    }


def test_without_a_bed_in_intensive_care_a_ward_is_better_than_nothing() -> None:
    hospitals = hospitals_of(city_with((500.0, 500.0, 4)), occupied=0.0, icu_per_1000=5.0)
    assert sorted(hospitals.admit(np.arange(9), np.full(9, ICU))) == [-1] * 6 + [0] * 3
    assert hospitals.patients.tolist() == [[4, 3]]
    assert hospitals.turned_away.tolist() == [6]
    assert len(hospitals.lacking) == 6


def test_occupancy_counts_who_needs_a_bed_by_what_they_asked_for_last() -> None:
    hospitals = hospitals_of(city_with((500.0, 500.0, 4)), occupied=0.0, icu_per_1000=0.8)  # 0.48 beds are none
    hospitals.admit(np.arange(7), [WARD] * 7)
    assert hospitals.indicator_values()["hospital_occupancy"] == 7 / 4
    hospitals.admit(hospitals.lacking[:1], [ICU])
    values = hospitals.indicator_values()
    assert (values["hospital_occupancy"], values["icu_occupancy"]) == (6 / 4, 1.0)
    assert np.array_equal(hospitals.lacked, [ICU, WARD, WARD])
    assert hospitals.turned_away.tolist() == [3]


def test_who_leaves_intensive_care_waits_there_for_the_ward() -> None:
    hospitals = hospitals_of(city_with((500.0, 500.0, 4)), occupied=0.0, icu_per_1000=5.0)
    assert (hospitals.admit([0, 1, 2], [ICU] * 3) == 0).all()
    hospitals.admit([3, 4, 5, 6], [WARD] * 4)
    assert (hospitals.admit([0, 1], [WARD] * 2) == 0).all()  # have more than they need
    assert hospitals.patients.tolist() == [[4, 3]]
    assert hospitals.turned_away.tolist() == [0]
    hospitals.discharge([3, 599])
    hospitals.admit([0, 1], [WARD] * 2)
    assert hospitals.patients.tolist() == [[4, 2]]
    assert np.array_equal(hospitals.patients, counted(hospitals))


def test_discharge_empties_beds() -> None:
    hospitals = hospitals_of(city_with(*WEST_EAST), **ALL_FREE)
    found = everybody(hospitals)
    hospitals.discharge(np.arange(PEOPLE))
    assert not hospitals.patients.any()
    assert (hospitals._table.columns["hospital"] == -1).all()
    hospitals.begin_day()
    assert np.array_equal(everybody(hospitals), found)


def test_random_days_keep_every_count() -> None:
    """Whatever is asked, patients agree with the people's columns and never exceed the beds."""
    hospitals = hospitals_of(city_with((100, 100, 15), (500, 500, 20), (900, 900, 25)), occupied=0.3, icu_per_1000=15.0)
    rng = np.random.default_rng(5)
    for _ in range(60):
        hospitals.begin_day()
        hospitals.discharge(rng.choice(PEOPLE, 60, replace=False))
        people = rng.choice(PEOPLE, 40, replace=False)
        care = rng.integers(1, 3, 40)
        before = hospitals.bed[people].copy()
        found = hospitals.admit(people, care)
        assert np.array_equal(hospitals.patients, counted(hospitals))
        assert (hospitals.patients <= hospitals.limit).all()
        assert (hospitals.bed[people[found >= 0]] >= care[found >= 0]).all()
        lacking = found < 0
        assert (hospitals.bed[people[lacking]] < care[lacking]).all()
        assert (hospitals.bed[people[lacking]] >= before[lacking]).all()  # some came at least onto a ward
        for kind in (WARD, ICU):  # nobody new goes without while a bed is free
            if (hospitals.limit - hospitals.patients)[:, kind - 1].any():
                assert (found[care == kind] >= 0).all()


def test_who_waits_is_turned_away_once() -> None:
    hospitals = hospitals_of(city_with((500.0, 500.0, 4)), occupied=0.0)
    for turned_away in (2, 0):
        for _ in range(2):  # asking twice on one day is asking once
            hospitals.admit(np.arange(6), np.full(6, WARD))
        assert hospitals.turned_away.tolist() == [turned_away]
        assert hospitals.series()["without_bed"] == 2
        hospitals.begin_day()
    hospitals.discharge(np.arange(6))
    hospitals.begin_day()
    hospitals.admit(np.arange(6), np.full(6, WARD))
    assert hospitals.turned_away.tolist() == [2]  # nobody waited any more


# ---------------------------------------------------------------------- numbers of beds


def test_beds_that_the_source_gives_are_kept() -> None:
    hospitals = hospitals_of(city_with((0, 0, 12), (900, 900, 30)), occupied=0.5)
    assert hospitals.beds[:, 0].tolist() == [12, 30]
    assert hospitals.limit[:, 0].sum() == 21


def test_hospitals_of_unknown_size_share_what_is_missing() -> None:
    beds = hospitals_of(city_with((0, 0, 2), (900, 900, 0), (500, 0, 0)), beds_per_1000=20.0, icu_per_1000=0.0).beds
    assert beds[:, 0].tolist() == [2, 5, 5]  # 20 per 1,000 of 600 people are 12; nobody works there
    assert not beds[:, 1].any()


def test_a_number_per_1000_people_goes_before_what_the_source_gives() -> None:
    beds = hospitals_of(city_with((0, 0, 100), (900, 900, 300)), beds_per_1000=20.0).beds
    assert beds[:, 0].tolist() == [3, 9]


def test_few_beds_are_rounded_once() -> None:
    hospitals = hospitals_of(city_with((500.0, 500.0, 7)), icu_per_1000=3.8, occupied=0.75)
    assert hospitals.beds.tolist() == [[7, 2]]  # 2.28 in intensive care
    assert hospitals.limit.tolist() == [[2, 1]]  # 1.75 and 0.57


def test_a_city_without_hospital_uses_one_outside() -> None:
    hospitals = hospitals_of(city_with(), beds_per_1000=10.0, icu_per_1000=5.0, occupied=0.5)
    assert hospitals.site.tolist() == [-1]
    assert hospitals.limit.tolist() == [[3, 2]]
    assert (everybody(hospitals) == 0).sum() == 3
    assert hospitals.table()["turned_away"].tolist() == [PEOPLE - 3]


@pytest.mark.parametrize("settings", [{"occupied": 1.0}, {"beds_per_1000": 0.0, "icu_per_1000": 0.0}])
def test_no_bed_at_all(settings: dict) -> None:
    hospitals = hospitals_of(city_with(*WEST_EAST), **settings)
    assert (everybody(hospitals) == -1).all()
    assert hospitals.turned_away.sum() == PEOPLE
    assert (hospitals.turned_away > 0).all()  # each at the door next to them
    assert len(hospitals.lacking) == PEOPLE
    assert hospitals.indicator_values() == {"hospital_occupancy": PEOPLE, "icu_occupancy": 0, "hospitalised": 0}
    hospitals.begin_day()
    everybody(hospitals)
    assert hospitals.turned_away.sum() == 0  # who waits is not turned away again
    assert hospitals.indicator_values()["hospital_occupancy"] == PEOPLE
    hospitals.begin_day()
    assert hospitals.indicator_values()["hospital_occupancy"] == 0


@pytest.mark.parametrize(
    "wrong", [{"occupied": 1.2}, {"occupied": -0.1}, {"icu_per_1000": -1.0}, {"beds": 3}, {"divert": "yes"}]
)
def test_settings_that_cannot_be(wrong: dict) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        HospitalSettings(**wrong)


def test_a_copy_has_its_own_beds() -> None:
    hospitals = hospitals_of(city_with(*WEST_EAST), **ALL_FREE)
    hospitals.admit([0, 1], [WARD, ICU])
    copied = copy.deepcopy(hospitals)
    copied.discharge([0, 1])
    assert hospitals.patients.sum() == 2
    assert copied._city is hospitals._city
    assert np.array_equal(copied.patients, counted(copied))
    assert np.array_equal(hospitals.patients, counted(hospitals))


# ---------------------------------------------------------------------- the reference


def sent(city: City, people: list[int], free: dict[int, int], seed: int) -> list[int]:
    """Return where people come who all need a bed on a ward and have none: word for word what ``admit`` says.

    Everybody goes to the nearest hospital with a free bed; where more come than there are beds, the lot decides, and the
    others go on together.
    """
    places, sites = city.places, city.sites
    rows = [row for row in range(len(sites)) if sites.kind[row] == SiteKind.HOSPITAL]
    lot = {person: uniform(key(seed, "turn for a bed"), person, 0) for person in people}
    found = dict.fromkeys(people, -1)
    seeking = sorted(people, key=lot.__getitem__)
    while seeking and any(free.values()):
        comers: dict[int, list[int]] = {}
        for person in seeking:
            home = city.people.household[person]
            away = {
                number: hypot(places.x[home] - sites.x[row], places.y[home] - sites.y[row])
                for number, row in enumerate(rows)
                if free[number]
            }
            comers.setdefault(min(away, key=away.__getitem__), []).append(person)
        for number, there in comers.items():
            for person in there[: free[number]]:
                found[person] = number
            free[number] -= min(free[number], len(there))
        seeking = [person for person in seeking if found[person] < 0]
    return [found[person] for person in people]


@pytest.mark.parametrize("seed", range(4))
def test_the_reference_sends_everybody_to_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spots = [(*rng.integers(0, 1_000, 2), int(beds)) for beds in rng.integers(1, 60, 6)]
    hospitals = hospitals_of(city_with(*spots), seed, occupied=0.0, icu_per_1000=0.0)
    people = rng.choice(PEOPLE, 300, replace=False).tolist()
    free = dict(enumerate(hospitals.limit[:, 0].tolist()))
    expected = sent(hospitals._city, people, free, seed)
    assert hospitals.admit(people, [WARD] * 300).tolist() == expected
    assert len(set(expected)) > 4


@pytest.mark.skipif("CITYTWIN_DATA" not in os.environ, reason="CITYTWIN_DATA is unset; see tests/DATA.md")
def test_the_hospitals_of_monaco() -> None:
    city = City.from_osm(Path(os.environ["CITYTWIN_DATA"]) / "small_osm" / "monaco.osm.gz", people=20_000)
    hospitals = hospitals_of(city, occupied=0.5)
    assert len(hospitals.site) > 1
    assert hospitals.beds[:, 0].sum() == 74  # 3.7 per 1,000; the map gives none
    people = list(range(0, 20_000, 333))
    free = dict(enumerate(hospitals.limit[:, 0].tolist()))
    assert hospitals.admit(people, [WARD] * len(people)).tolist() == sent(city, people, free, 1)
    assert hospitals.patients[:, 0].tolist() == hospitals.limit[:, 0].tolist()
