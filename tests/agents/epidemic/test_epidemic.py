"""The epidemic as a process: timers, accounts, records, copies, threads."""

import copy
import pickle

import numpy as np
import pytest
from epidemic_cities import DAY, Town, disease_of, homes_only, one_place, random_city
from pydantic import ValidationError

from citytwin.agents.epidemic import kernels, sources
from citytwin.agents.epidemic.epidemic import Epidemic
from citytwin.agents.epidemic.record import COUNTED_AS, NAMES
from citytwin.agents.epidemic.settings import EpidemicSettings
from citytwin.agents.policies import PolicySettings
from citytwin.environment.city import City
from citytwin.environment.places import PLACE_GROUPS, PlaceKind

GAMMA = disease_of(
    {"law": "gamma", "mean": 3, "sd": 1}, {"law": "gamma", "mean": 5, "sd": 2}, infectiousness={"dispersion": 1}
)
HEALTH = ("susceptible", "exposed", "infectious", "recovered")
SHEDDING = GAMMA.state_names.index("infectious")


@pytest.fixture
def town():
    """A town of 600 people after 15 days of an epidemic that has infected a good part of it."""
    town = Town(random_city(2, people=600, places=60), GAMMA, transmission=0.6, initial_infections=6)
    town.days(15)
    return town


@pytest.mark.parametrize(("latent", "infectious"), [(0, 1), (2, 3), (4, 8)])
def test_people_are_infectious_on_exactly_their_days(latent, infectious):
    town = Town(homes_only(1, 20), disease_of(latent, infectious), transmission=0.0, initial_infections=7)
    rows = town.days(latent + infectious + 3)
    for day, row in enumerate(rows):
        begun, ended = day >= latent + 1, day >= latent + infectious + 1
        assert [row[name] for name in HEALTH] == [
            13,
            0 if begun else 7,
            7 if begun and not ended else 0,
            7 if ended else 0,
        ]
    assert town.epidemic.summary()["duration"] == latent + infectious + 1


def test_accounts_add_up(town):
    names = ["new_imported", *(f"new_{name}" for name in NAMES)]
    total = 0
    for day, row in enumerate(town.rows):
        assert sum(row[name] for name in HEALTH) == 600
        assert sum(row[name] for name in names) == row["new_infections"]
        assert row["new_imported"] == (6 if day == 0 else 0)
        total += row["new_infections"]
        assert row["cumulative_infections"] == total == 600 - row["susceptible"]
    assert total > 100
    health = town.citizens.table.columns["health"]
    states = ("susceptible", "recovered", "dead", "exposed", "infectious")
    assert town.epidemic.settings.disease.state_names == states
    for state, name in enumerate(states):
        assert np.count_nonzero(health == state) == town.rows[-1].get(name, 0) == town.epidemic.count[state]


def test_summary_agrees_with_series(town):
    summary, rows = town.epidemic.summary(), town.rows
    infectious = [row["infectious"] for row in rows]
    assert summary["infections"] == rows[-1]["cumulative_infections"]
    assert summary["attack_rate"] == summary["infections"] / 600
    assert summary["peak_infectious"] == max(infectious)
    assert summary["peak_day"] == infectious.index(max(infectious))
    assert summary["peak_new_infections"] == max(row["new_infections"] for row in rows)
    assert summary["duration"] == 15
    assert summary["transmission"] == 0.6
    assert np.isnan(summary["r0"])
    for name in NAMES:
        assert summary[f"infections_{name}"] == sum(row[f"new_{name}"] for row in rows)


def test_series_by_zone_add_up_to_the_city():
    town = Town(random_city(2, people=600, places=60), GAMMA, transmission=0.6, initial_infections=6)
    home_zone = town.city.places.zone[town.city.people.household]
    seen = np.zeros(600, bool)
    for _ in range(12):
        town.step()
        zones = town.epidemic.zone_series()
        health = town.citizens.table.columns["health"]
        new = (health != 0) & ~seen
        seen |= new
        assert np.array_equal(zones["new_infections"], np.bincount(home_zone[new], minlength=3))
        assert np.array_equal(zones["infectious"], np.bincount(home_zone[health == SHEDDING], minlength=3))


def test_infections_are_recorded_with_infector_place_and_generation(town):
    table = town.epidemic.tables()["infections"]
    city, presence = town.city, town.presence
    assert list(table) == ["person", "infector", "place", "strain", "kind", "day", "generation"]
    assert len(np.unique(table["person"])) == len(table["person"]) == town.epidemic.infections
    row_of = {int(person): row for row, person in enumerate(table["person"])}
    for row in range(len(table["person"])):
        person, infector, place, strain, kind, day, generation = (int(table[name][row]) for name in table)
        assert strain == 0
        if infector < 0:
            assert (place, kind, day, generation) == (-1, -1, 0, 0)
            continue
        assert kind == city.places.kind[place]
        assert generation == table["generation"][row_of[infector]] + 1
        assert table["day"][row_of[infector]] < day
        schedule = city.schedules[presence.day_type(day)]
        mine = [(start, end) for q, start, end in schedule.visits_of(person) if q == place]
        theirs = [(start, end) for q, start, end in schedule.visits_of(infector) if q == place]
        assert any(min(b, d) > max(a, c) for a, b in mine for c, d in theirs)
    assert np.all(np.diff(table["day"]) >= 0)


def test_the_first_cases_of_a_smaller_number_are_among_those_of_a_larger():
    city = random_city(2)
    few, many, all_ = (
        set(Town(city, GAMMA, transmission=0.1, initial_infections=n).epidemic._first_cases(0).tolist())
        for n in (5, 30, 60)
    )
    assert (len(few), len(many), len(all_)) == (5, 30, 60)
    assert few < many < all_
    assert few != set(
        Town(city, GAMMA, transmission=0.1, initial_infections=5, seed=2).epidemic._first_cases(0).tolist()
    )


def test_more_first_cases_than_people_are_refused():
    with pytest.raises(ValueError, match=r"initial_infections: more than the city has people \(given 61, people 60\)"):
        Town(random_city(2), GAMMA, transmission=0.1, initial_infections=61)


def test_the_same_luck_whatever_the_transmission():
    # Thresholds and periods belong to the person, so people infected in both runs have the same periods.
    slow, fast = (Town(random_city(2, people=600, places=60), GAMMA, transmission=rate) for rate in (0.3, 0.5))
    days = []
    for town in (slow, fast):
        town.finish()
        table = town.epidemic.tables()["infections"]
        day = np.full(600, -1)
        day[table["person"]] = table["day"]
        recovered = town.citizens.table.columns["health_since"]
        days.append((day, recovered - day))
    both = (days[0][0] >= 0) & (days[1][0] >= 0)
    assert np.count_nonzero(both) > 50
    assert not np.array_equal(days[0][0][both], days[1][0][both])
    assert np.array_equal(days[0][1][both], days[1][1][both])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda town: pickle.loads(pickle.dumps(town))])
def test_a_copy_made_on_the_way_goes_on_like_the_original(duplicate):
    town = Town(random_city(2, people=600, places=60), GAMMA, transmission=0.6, threads=2, policies=POLICIES)
    town.epidemic.contagion.direction = "pull"
    town.days(8)
    twin = duplicate(town)
    assert twin.epidemic.presence is twin.presence
    assert twin.days(8) == town.days(8)
    assert np.array_equal(twin.citizens.table.columns["resistance"], town.citizens.table.columns["resistance"])
    for name, column in twin.epidemic.tables()["infections"].items():
        assert np.array_equal(column, town.epidemic.tables()["infections"][name])


POLICIES = [
    PolicySettings.model_validate({"name": "a", "close": ["school"], "when": "incidence > 500", "compliance": 0.8}),
    PolicySettings.model_validate({"name": "b", "reduce": {"work": 0.5, "venue": 0.3}, "from": 10, "until": 40}),
]


@pytest.fixture(scope="module")
def invented():
    return City.synthetic(people=10_000, seed=1)


def test_bits_do_not_depend_on_threads_or_on_where_the_city_lies(invented, tmp_path):
    invented.save(tmp_path / "town.city")
    mapped = City.load(tmp_path / "town.city")
    tables, compiled = [], []
    for city, threads in [(invented, 1), (invented, 2), (mapped, 1), (invented, 4)]:
        town = Town(city, "covid", r0=3.0, threads=threads, policies=POLICIES, initial_infections=20)
        if threads == 4:
            town.epidemic.contagion.direction = "pull"
        town.days(80)
        tables.append(town.epidemic.tables()["infections"])
        compiled.append(
            [len(kernel.signatures) for kernel in (kernels.push, kernels.pull, sources._walk, sources._fill)]
        )
    assert len(tables[0]["person"]) > 1000
    for table in tables[1:]:
        for name, column in table.items():
            assert np.array_equal(column, tables[0][name])
    assert compiled[2] == compiled[1]  # a memory-mapped city has the same types, so nothing was compiled again


def test_infections_happen_in_every_kind_of_place(invented):
    town = Town(invented, "covid", initial_infections=50, r0=2.5)
    town.days(90)
    summary = town.epidemic.summary()
    share = {name: summary[f"infections_{name}"] / summary["infections"] for name in NAMES}
    assert 0.12 < share["home"] < 0.3
    assert 0.03 < share["school"] < 0.15
    assert 0.2 < share["work"] < 0.45
    assert 0.3 < share["shop"] + share["leisure"] < 0.55


def test_a_step_of_several_days_makes_them_all_and_a_short_one_makes_its_day_once():
    daily, weekly, hourly = (Town(one_place(300), disease_of(1, 4), transmission=0.003) for _ in range(3))
    daily.days(14)
    for week in range(2):
        weekly.epidemic.advance(week * 7 * DAY, (week + 1) * 7 * DAY)
        new = sum(row["new_infections"] for row in daily.rows[7 * week : 7 * week + 7])
        assert weekly.epidemic.series()["new_infections"] == new
    for hour in range(14 * 24):
        hourly.epidemic.advance(hour * 3600, (hour + 1) * 3600)
    assert daily.epidemic.summary() == pytest.approx(weekly.epidemic.summary(), nan_ok=True)
    assert daily.epidemic.summary() == pytest.approx(hourly.epidemic.summary(), nan_ok=True)


def test_citizens_show_their_health(town):
    sick = town.citizens.select(where=lambda c: c.health == SHEDDING)
    assert len(sick) == town.rows[-1]["infectious"] > 0
    assert all(person.health_until >= town.day for person in sick)


def test_every_kind_of_place_has_a_name_in_the_results():
    assert set(COUNTED_AS) == set(PlaceKind)
    assert (
        Epidemic.indicators.keys() == Town(random_city(1), GAMMA, transmission=0.1).epidemic.indicator_values().keys()
    )


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"disease": "ebola"}, "neither a shipped disease"),
        ({"r0": 0}, "greater than 0"),
        ({"transmission": -1}, "greater than or equal to 0"),
        ({"r0": 2, "transmission": 1}, "either 'r0' or 'transmission', not both"),
        ({"initial_infections": -1}, "greater than or equal to 0"),
        ({"weights": {"schol": 1}}, "'schol' is no group of places; allowed are: home"),
        ({"weights": {"school": -1}}, "school = -1: write a number from 0 to 1000"),
        ({"weights": {"school": True}}, "school = True: write a number"),
        ({"rO": 2}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_settings_are_refused_with_the_remedy(keys, message):
    with pytest.raises(ValidationError, match=message):
        EpidemicSettings.model_validate({"disease": "covid"} | keys)


def test_weights_go_by_groups_of_places_later_ones_last():
    weights = EpidemicSettings.model_validate(
        {"disease": "covid", "weights": {"education": 2.0, "primary": 3.0, "home": 0.5}}
    ).weight_by_kind()
    assert [weights[kind] for kind in PLACE_GROUPS["education"]] == [2.0, 3.0, 2.0, 2.0]
    assert weights[PlaceKind.HOME] == 0.5
    default = EpidemicSettings.model_validate({"disease": "covid"}).weight_by_kind()
    assert weights[PlaceKind.WORK] == default[PlaceKind.WORK]


def test_tables_of_reproduction_and_secondary_cases_agree_with_the_infections(town):
    tables = town.epidemic.tables()
    infections = tables["infections"]
    caused = np.array([np.count_nonzero(infections["infector"] == person) for person in infections["person"]])
    assert np.array_equal(tables["secondary_cases"]["infections"], np.bincount(caused))
    by_day = tables["reproduction"]
    assert np.array_equal(by_day["infections"], [row["new_infections"] for row in town.rows])
    for day, mean in zip(by_day["day"], by_day["reproduction"], strict=True):
        of_day = caused[infections["day"] == day]
        assert np.isnan(mean) if not len(of_day) else mean == pytest.approx(of_day.mean())


def test_early_reproduction_counts_early_infections_alone(invented):
    town = Town(invented, "covid", initial_infections=20, r0=2.5)
    town.days(110)
    table, people = town.epidemic.record.table(), len(invented.people)
    caused = {}
    for infector in table["infector"].tolist():
        caused[infector] = caused.get(infector, 0) + 1
    so_far = np.cumsum([row["new_infections"] for row in town.rows])
    early = [
        caused.get(person, 0)
        for person, day, generation in zip(table["person"], table["day"], table["generation"], strict=True)
        if 1 <= generation <= 3 and so_far[day] <= 0.01 * people
    ]
    assert len(early) > 20
    assert town.epidemic.summary()["reproduction_early"] == pytest.approx(np.mean(early))
