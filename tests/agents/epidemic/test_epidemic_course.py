"""What happens to the infected and the immune: severity, beds, strains, waning, imports, seasons, vaccines."""

from datetime import date

import numpy as np
import pytest
from epidemic_cities import Town, disease_of, homes_only, one_place
from pydantic import ValidationError

from citytwin.agents.columns import Column
from citytwin.agents.emergencies import Emergencies
from citytwin.agents.epidemic.course import DEAD, RECOVERED
from citytwin.agents.epidemic.disease import Disease
from citytwin.agents.epidemic.settings import EpidemicSettings, ImmuneAtStart, Seasonality
from citytwin.agents.hospitals import Hospitals, HospitalSettings
from citytwin.agents.policies import PolicySettings
from citytwin.agents.presence import AWAY, BEDRIDDEN, FREE


def after(days):
    return {"law": "constant", "days": days}


def deadly(**more):
    """Return a disease of exposed 2 days, ill 3, severe 4 (half of the ill), dead (half of the severe) or recovered."""
    return Disease.model_validate(
        {
            "name": "deadly",
            "r0": 2.0,
            "state": [
                {"name": "exposed", "transition": [{"to": "ill", "after": after(2)}]},
                {
                    "name": "ill",
                    "infectiousness": 1.0,
                    "symptoms": "mild",
                    "transition": [
                        {"to": "severe", "chance": 0.5, "after": after(3)},
                        {"to": "recovered", "after": after(5)},
                    ],
                },
                {
                    "name": "severe",
                    "infectiousness": 0.5,
                    "symptoms": "severe",
                    "without_bed": 2.0,
                    "transition": [
                        {"to": "dead", "chance": 0.5, "after": after(4)},
                        {"to": "recovered", "after": after(6)},
                    ],
                },
            ],
            **more,
        }
    )


def with_beds(people, beds, infected):
    """Return a town with so many ward beds in one hospital outside."""
    town = Town(homes_only(1, people), deadly(), transmission=0.0, initial_infections=infected)
    settings = HospitalSettings(beds_per_1000=beds / people * 1000, icu_per_1000=0, occupied=0)
    town.hospitals = Hospitals(town.city, settings, town.citizens.table, 1)
    return town


def test_a_course_takes_its_days_and_its_branches():
    people = 4000
    town = Town(homes_only(1, people), deadly(), transmission=0.0, initial_infections=people)
    rows = town.days(13)
    column = town.citizens.table.columns
    # Infected on day 0: ill on day 3, severe on day 6 or recovered on day 8; dead on day 10 or recovered on day 12.
    assert [row["ill"] for row in rows[:4]] == [0, 0, 0, people]
    severe = rows[6]["severe"]
    assert rows[5]["severe"] == 0
    assert rows[7]["recovered"] == 0
    assert rows[8]["recovered"] == people - severe
    dead = rows[10]["new_deaths"]
    assert rows[10]["dead"] == dead == town.epidemic.summary()["deaths"] == np.count_nonzero(column["health"] == DEAD)
    assert rows[12]["recovered"] == people - dead
    assert abs(severe - people / 2) < 4 * np.sqrt(people / 4)
    assert abs(dead - severe / 2) < 4 * np.sqrt(severe / 4)
    assert np.all(town.presence.status[column["health"] == DEAD] == AWAY)
    assert np.all(town.presence.status[column["health"] == RECOVERED] == FREE)
    assert np.all(column["ill_since"] == -1)


def test_without_beds_more_die_and_those_who_find_one_are_away():
    people = 4000
    enough, none = (with_beds(people, beds, people) for beds in (people, 0))
    for town, status in ((enough, AWAY), (none, BEDRIDDEN)):
        town.days(7)
        severe = town.citizens.table.columns["health"] == 5
        assert np.all(town.presence.status[severe] == status)
        town.days(6)
    with_bed, without = (town.epidemic.summary()["deaths"] for town in (enough, none))
    assert without == none.rows[6]["severe"]  # a chance of one half, doubled
    # Those who die with a bed die without one too: the draws are the same.
    died = [town.citizens.table.columns["health"] == DEAD for town in (enough, none)]
    assert np.all(died[1][died[0]])
    assert with_bed < 0.6 * without
    assert enough.hospitals.patients.sum() == 0


def test_who_found_no_bed_gets_one_that_is_left():
    town = with_beds(300, 5, 100)
    town.days(7)
    assert np.count_nonzero(town.hospitals.bed) == 5
    town.hospitals.limit += 3
    town.days(1)
    assert np.count_nonzero(town.hospitals.bed) == 8


def test_immunity_wanes_and_reinfections_are_counted():
    disease = disease_of(1, 4, immunity={"protection": 1.0, "half_life": 20})
    town = Town(one_place(500), disease, transmission=0.002, initial_infections=10)
    town.days(150)
    column = town.citizens.table.columns
    assert town.epidemic.infections > 600
    assert column["infections"].max() >= 2
    assert column["infections"].sum() == town.epidemic.infections
    assert town.rows[-1]["susceptible"] == np.count_nonzero(column["infections"] == 0)
    lasting = Town(one_place(500), disease_of(1, 4), transmission=0.002, initial_infections=10)
    lasting.days(150)
    assert lasting.citizens.table.columns["infections"].max() == 1
    # Until the first recovery nothing tells the two apart.
    assert town.rows[:5] == lasting.rows[:5]


def test_susceptibility_after_recovery_is_that_of_the_half_life():
    disease = disease_of(1, 2, immunity={"protection": 0.8, "half_life": 10})
    town = Town(homes_only(1, 5), disease, transmission=0.0, initial_infections=5)
    town.days(40)
    column = town.citizens.table.columns
    since = column["health_since"]
    assert np.all(since == 4)
    assert column["susceptibility"] == pytest.approx(1 - 0.8 * 0.5 ** ((39 - 4) / 10), rel=1e-6)


def strains(protects, **more):
    return [
        {"name": "old"},
        {"name": "new", "initial_infections": 10, "protects": {"old": protects}} | more,
    ]


def run_strains(given, days=80, transmission=0.00072):
    town = Town(one_place(1000), disease_of(1, 4), transmission=transmission, initial_infections=10, strain=given)
    town.days(days)
    return town


def test_strains_that_protect_against_each_other_share_the_people():
    town = run_strains([{"name": "old"}, {"name": "new", "initial_infections": 10}])
    by_strain = [sum(row[f"new_infections.{name}"] for row in town.rows) for name in ("old", "new")]
    assert sum(by_strain) == town.epidemic.infections <= 1000
    assert min(by_strain) > 200
    table = town.epidemic.tables()["infections"]
    strain_of = np.full(1000, -1)
    strain_of[table["person"]] = table["strain"]
    caused = table["infector"] >= 0
    assert np.array_equal(strain_of[table["infector"][caused]], table["strain"][caused])


def test_a_more_transmissible_strain_takes_over_and_a_foreign_one_infects_again():
    faster = run_strains(strains(1.0, transmissibility=1.5))
    by_strain = [sum(row[f"new_infections.{name}"] for row in faster.rows) for name in ("old", "new")]
    assert by_strain[1] > 2 * by_strain[0]
    assert faster.epidemic.infections <= 1000
    foreign = run_strains([{"name": "old", "protects": {"new": 0.0}}, *strains(0.0)[1:]])
    assert foreign.epidemic.infections > 1300
    table = foreign.epidemic.tables()["infections"]
    pairs = set(zip(table["person"].tolist(), table["strain"].tolist(), strict=True))
    assert len(pairs) == len(table["person"])  # nobody has the same strain twice


def test_imports_are_poisson_draws_that_the_border_thins():
    def imported(border, **keys):
        policies = [PolicySettings.model_validate({"name": "border", "border": border})] if border else []
        city = homes_only(1, 5000)
        town = Town(city, disease_of(1, 2), transmission=0.0, initial_infections=0, policies=policies, **keys)
        return np.array([row["new_imported"] for row in town.days(60)])

    every = {"imports": [{"per_day": 4.0, "from": 10, "until": 50}]}
    free, half, shut = (imported(border, **every) for border in (0.0, 0.5, 1.0))
    assert free[:10].sum() == free[50:].sum() == shut.sum() == 0
    assert abs(free.sum() - 160) < 4 * np.sqrt(160)
    assert abs(half.sum() - 80) < 4 * np.sqrt(80)
    assert np.all(half <= free)
    dated = imported(0.0, imports=[{"per_day": 4.0, "from": date(2026, 1, 15), "until": date(2026, 2, 24)}])
    assert np.array_equal(dated, free)


def test_the_season_changes_the_transmission_and_a_flat_one_changes_no_bit():
    flat = Seasonality(amplitude=0.0)
    assert flat.factor(date(2026, 7, 1)) == 1
    wave = Seasonality(amplitude=0.3, peak="01-15")
    assert wave.factor(date(2026, 1, 15)) == pytest.approx(1.3)
    assert wave.factor(date(2026, 7, 16)) == pytest.approx(0.7, abs=1e-3)
    infections = {}
    for name, keys in {
        "none": {},
        "flat": {"seasonality": flat},
        "low": {"seasonality": {"amplitude": 0.5, "peak": "07-15"}},
    }.items():
        town = Town(one_place(500), disease_of(1, 4), transmission=0.00024, initial_infections=10, **keys)
        town.days(60)
        infections[name] = town.epidemic.tables()["infections"]
    assert all(np.array_equal(infections["none"][name], infections["flat"][name]) for name in infections["none"])
    assert len(infections["low"]["person"]) < 0.5 * len(infections["none"]["person"])


def test_who_is_immune_at_the_start_is_never_infected_and_larger_shares_contain_smaller():
    immune = {}
    for share in (0.3, 0.6):
        town = Town(one_place(2000), disease_of(1, 4), transmission=0.01, initial_infections=5, immune_at_start=share)
        immune[share] = town.citizens.table.columns["health"] == RECOVERED
        assert abs(immune[share].sum() - 2000 * share) < 4 * np.sqrt(2000 * share * (1 - share))
        town.days(40)
        assert not np.any(town.citizens.table.columns["infections"][immune[share]])
        assert town.epidemic.infections == np.count_nonzero(~immune[share])
    assert np.all(immune[0.6][immune[0.3]])
    household = {"share": (0.5,), "by_household": True}
    town = Town(homes_only(4, 500), disease_of(1, 4), transmission=0.0, initial_infections=0, immune_at_start=household)
    by_home = (town.citizens.table.columns["health"] == RECOVERED).reshape(500, 4)
    assert np.all(by_home.all(axis=1) | ~by_home.any(axis=1))
    assert 150 < by_home.all(axis=1).sum() < 350
    assert ImmuneAtStart(from_age=(0, 10), share=(0.0, 1.0)).by_age()[[9, 10]].tolist() == [0.0, 1.0]


def test_a_vaccine_protects_against_infection_severity_and_passing_on():
    def vaccinated(**protection):
        town = Town(one_place(600), deadly(), transmission=0.002, initial_infections=300)
        for name in ("infection", "severe", "transmission"):
            town.citizens.table.attach(f"vaccine_{name}", Column("f4", protection.get(name, 0.0)))
        town.days(25)
        return town.epidemic

    plain = Town(one_place(600), deadly(), transmission=0.002, initial_infections=300)
    plain.days(25)
    assert (
        vaccinated().tables()["infections"]["person"].tolist()
        == plain.epidemic.tables()["infections"]["person"].tolist()
    )
    assert (
        vaccinated(infection=1.0).infections
        == vaccinated(transmission=1.0).infections
        == 300
        < plain.epidemic.infections
    )
    half = vaccinated(infection=0.9).infections
    assert 300 < half < plain.epidemic.infections
    assert plain.epidemic.summary()["deaths"] > 0
    assert vaccinated(severe=1.0).summary()["deaths"] == 0


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"strain": [{"name": "a"}, {"name": "a"}]}, "each needs a name of its own"),
        ({"strain": [{"name": "a", "protects": {"b": 1}}]}, "'b' is no other strain; there are: none"),
        ({"strain": [{"name": "a", "escape": 1.5}]}, "less than or equal to 1"),
        ({"imports": [{"per_day": 1, "strain": "b"}]}, "no strain 'b'; there are: wild type"),
        ({"imports": [{"per_day": 1, "from": 9, "until": 9}]}, r"'until' \(9\) must be after 'from' \(9\)"),
        ({"imports": [{"per_day": 0}]}, "greater than 0"),
        ({"seasonality": {"amplitude": 1.2}}, "less than or equal to 1"),
        ({"seasonality": {"amplitude": 0.2, "peak": "13-01"}}, "is no month and day"),
        ({"immune_at_start": 1.2}, "write the share of the people, 0 to 1"),
        ({"immune_at_start": {"from_age": [0, 5], "share": [0.1]}}, "each band needs both"),
        ({"immune_at_start": {"from_age": [1], "share": [0.1]}}, "from_age must rise from 0"),
    ],
)
def test_wrong_settings_of_strains_imports_and_immunity_are_refused(keys, message):
    with pytest.raises(ValidationError, match=message):
        EpidemicSettings.model_validate({"disease": "covid"} | keys)


def test_first_cases_of_all_strains_count_against_the_people():
    with pytest.raises(ValueError, match=r"more than the city has people \(given 12, people 10\)"):
        Town(
            homes_only(1, 10),
            disease_of(),
            initial_infections=6,
            strain=[{"name": "old"}, {"name": "new", "initial_infections": 6}],
            transmission=0.1,
        )


def test_many_imports_are_poisson_draws_too():
    town = Town(
        homes_only(1, 30_000), disease_of(1, 2), transmission=0.0, initial_infections=0, imports=[{"per_day": 1000}]
    )
    imported = np.array([row["new_imported"] for row in town.days(5)])
    # Some are drawn twice, and those infected already count once: at most 1 in 30 on the first day, 1 in 6 on the last.
    assert np.all(np.abs(imported[0] - 1000) < 4 * np.sqrt(1000) + 1000 / 30)
    assert np.all((imported > 750) & (imported < 1130))


def test_the_dead_are_gone_whatever_the_disease_has_besides():
    ill = {"name": "ill", "infectiousness": 1.0, "symptoms": "mild", "transition": [{"to": "dead", "after": after(2)}]}
    disease = Disease.model_validate(
        {"name": "d", "r0": 1, "state": [{"name": "e", "transition": [{"to": "ill", "after": after(1)}]}, ill]}
    )
    town = Town(homes_only(1, 20), disease, transmission=0.0, initial_infections=7)
    town.days(6)
    dead = town.citizens.table.columns["health"] == DEAD
    assert np.count_nonzero(dead) == 7
    assert np.all(town.presence.status[dead] == AWAY)


def test_symptoms_of_the_first_state_are_noticed_on_the_next_morning():
    ill = {"name": "ill", "infectiousness": 1.0, "symptoms": "mild"}
    ill["transition"] = [{"to": "recovered", "after": after(9)}]
    disease = Disease.model_validate({"name": "d", "r0": 1, "state": [ill]})
    isolate = PolicySettings.model_validate({"name": "i", "isolate": {"at": "onset", "home": 0.0}})
    town = Town(one_place(200), disease, transmission=0.01, initial_infections=5, policies=[isolate])
    rows = town.days(5)
    assert rows[1]["isolated"] == 5
    assert rows[-1]["cumulative_infections"] == 5


@pytest.mark.parametrize("scale", [1e-6, 400.0])
def test_infectiousness_is_relative(scale):
    def run(factor):
        ill = {"name": "ill", "infectiousness": [2.0 * factor, factor]}
        ill["transition"] = [{"to": "recovered", "after": after(5)}]
        first = {"name": "e", "transition": [{"to": "ill", "after": after(2)}]}
        disease = Disease.model_validate({"name": "d", "r0": 2, "state": [first, ill]})
        town = Town(one_place(500), disease, transmission=0.0004 / factor, initial_infections=5)
        town.days(60)
        return town.epidemic.infections

    assert run(1.0) > 200
    assert abs(run(scale) - run(1.0)) < 15  # rounding alone may tell them apart


def test_immunity_from_the_start_protects_against_severe_disease_as_another_does():
    disease = deadly(immunity={"protection": 0.0, "severe": 1.0})
    keys = {"transmission": 0.002, "initial_infections": 0, "imports": [{"per_day": 50}]}
    plain, immune = (Town(one_place(400), disease, immune_at_start=share, **keys) for share in (0.0, 1.0))
    assert max(row["severe"] for row in plain.days(25)) > 0
    assert max(row["severe"] for row in immune.days(25)) == 0
    assert immune.epidemic.infections > 300


def test_more_first_cases_than_susceptible_people_are_refused():
    with pytest.raises(ValueError, match=r"initial_infections: only \d+ people are not immune"):
        Town(homes_only(1, 200), disease_of(), transmission=0.1, initial_infections=150, immune_at_start=0.5)


@pytest.mark.parametrize("beds", [None, 5])
def test_who_newly_needs_a_hospital_is_posted_once_and_the_epidemic_is_the_same(beds):
    def run(emergencies):
        if beds is None:
            town = Town(homes_only(1, 500), deadly(), transmission=0.0, initial_infections=500)
        else:
            town = with_beds(500, beds, 500)
        if emergencies is not None:
            town.emergencies = emergencies
        return town, town.days(13)

    alone, without = run(None)
    board = Emergencies(wanted=True)
    town, rows = run(board)
    assert rows == without
    for name in ("health", "health_until", "resistance"):
        assert np.array_equal(town.citizens.table.columns[name], alone.citizens.table.columns[name])
    posted = board.take(np.inf)
    people = [emergency.person for emergency in posted]
    assert len(set(people)) == len(people) > 200
    # Severe on day 6, all of them, whether there is a bed or not; each at a moment of that day.
    assert {int(emergency.second // 86_400) for emergency in posted} == {6}
    assert np.std([emergency.second / 3600 for emergency in posted]) == pytest.approx(24 / np.sqrt(12), rel=0.15)
    assert {(emergency.kind, emergency.cause) for emergency in posted} == {("illness", "epidemic")}
    assert {emergency.severity for emergency in posted} == {0.8}
    unread, _ = run(Emergencies(wanted=False))
    assert unread.emergencies.take(np.inf) == []
