"""Emergency response in one city with epidemic and traffic: what one does to the other, and what stays as it is."""

import numpy as np
import pytest

from citytwin.environment.city import City
from citytwin.runners.model import CityModel
from citytwin.runners.run import run
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.sweep import sweep

TOWN = """
name = "town"
seed = 4
[city]
synthetic = { people = 6_000, seed = 2 }
[clock]
start = 2026-01-05
days = 8
[output]
tables = ["incidents", "units", "departments"]
by_zone = true
"""
COMMON = ("called", "ready", "incident", "kind", "cause", "service", "priority", "person", "node", "access", "x", "y",
    "zone", "turnout", "scene", "transport", "handover", "clear", "stay", "bed", "patience", "specialty")  # fmt: skip
"""Columns that chance decides, and no policy."""


@pytest.fixture(scope="module")
def city():
    return City.synthetic(6_000, seed=2)


def tables(text, city, **more):
    model = CityModel(Scenario.from_text(TOWN + text), city, **more)
    return model.run()


# ---------------------------------------------------------------------- the epidemic

WAVE = """
[hospitals]
[response]
[epidemic]
disease = "covid"
r0 = 2.5
initial_infections = INFECTED
"""


def test_a_wave_that_fills_hospitals_lengthens_handover_and_response():
    city = City.synthetic(20_000, seed=2)
    text = TOWN.replace("days = 8", "days = 55") + WAVE
    calm, wave = (
        CityModel(Scenario.from_text(text.replace("INFECTED", infected)), city).run() for infected in ("0", "60")
    )
    series = wave["series"]
    assert series["without_bed"].max() > 0
    before, after = calm["summary"], wave["summary"]
    assert after["handover_minutes"][0] > 1.5 * before["handover_minutes"][0]
    assert after["ambulance_response_p90_minutes"][0] > 1.5 * before["ambulance_response_p90_minutes"][0]
    assert after["ambulance_in_time_share"][0] < before["ambulance_in_time_share"][0] - 0.05
    # while there are beds for all, both are as they were
    full = int(np.argmax(series["without_bed"] > 0))
    early = slice(0, full // 2)
    np.testing.assert_allclose(
        series["handover_minutes"][early].mean(), calm["series"]["handover_minutes"][early].mean(), rtol=0.35
    )
    # fire and police have the same calls, less those of people who lie in hospital, at the same times
    assert after["fire_response_median_minutes"][0] == pytest.approx(
        before["fire_response_median_minutes"][0], rel=0.05
    )


def test_severe_cases_call_and_are_brought_to_their_beds():
    city = City.synthetic(20_000, seed=2)
    text = TOWN.replace("days = 8", "days = 25") + WAVE.replace("INFECTED", "200")
    model = CityModel(Scenario.from_text(text), city)
    found = model.run()["incidents"]
    severe = (found["cause"] == "epidemic") & (found["service"] == 10)
    assert severe.sum() > 10
    assert (found["person"][severe] >= 0).all() and (found["bed"][severe] == 0).all()
    asked = found["hospital"][severe]
    came = np.isfinite(found["bay"][severe]) & (asked >= 0)
    assert came.sum() > 5
    np.testing.assert_array_equal(found["at"][severe][came], asked[came])


# ---------------------------------------------------------------------- traffic


def test_queues_on_the_streets_slow_down_who_drives_there(city):
    response = '[response]\ncalls = 20\nservices = ["police"]\n[response.fleet.police]\nunits = 20\n'
    plain = TOWN.replace("days = 8", "days = 1")
    traffic = "[traffic]\nlearning = 0\ngates = {}\n"
    empty = CityModel(Scenario.from_text(plain + response), city).run()["incidents"]
    full = CityModel(Scenario.from_text(plain + response + traffic), city).run()["incidents"]
    for column in COMMON:
        np.testing.assert_array_equal(empty[column], full[column])
    same = (
        (empty["unit"] == full["unit"])
        & (empty["sent"] == full["sent"])
        & ~empty["queued"]
        & np.isfinite(full["arrived"])
    )
    drive = full["arrived"][same] - empty["arrived"][same]
    assert same.sum() > 10 and (drive > -1e-6).all() and (drive > 0.1).any()


# ---------------------------------------------------------------------- common luck

POLICIES = (
    "",
    "[response.fleet.ambulance]\nunits = 3\n",
    '[response.dispatch]\nunit = "coverage"\nmove_up = "maximal cover"\nqueue = "closest"\nredispatch = []\n',
    '[response.departments]\nchoice = "least time"\nbays_per_100_000 = 40\n[response.dispatch]\nhold_out = 1\n'
    + "".join(f"[response.fleet.{service}]\nunits = 2\n" for service in ("ambulance", "fire", "police")),
)


@pytest.fixture(scope="module")
def policies(city):
    """The incidents of one seed under several policies."""
    return [tables("[response]\ncalls = 12\n" + policy, city)["incidents"] for policy in POLICIES]


def test_policies_are_compared_call_by_call_on_the_same_calls(policies):
    for other in policies[1:]:
        for column in COMMON:
            np.testing.assert_array_equal(policies[0][column], other[column], err_msg=column)
        assert not np.array_equal(policies[0]["arrived"], other["arrived"], equal_nan=True)


def test_one_more_ambulance_is_worth_something(policies):
    def waited(found):
        mine = (found["service"] == 10) & np.isfinite(policies[0]["arrived"]) & np.isfinite(policies[1]["arrived"])
        return (found["arrived"] - found["called"])[mine].mean()

    assert waited(policies[1]) < waited(policies[0])


@pytest.mark.parametrize("threads", [2, 4])
def test_threads_change_nothing(city, threads):
    text = '[response]\ncalls = 12\n[hospitals]\n[epidemic]\ndisease = "covid"\nr0 = 4\ninitial_infections = 300\n'
    one, several = tables(text, city), tables(text, city, threads=threads)
    assert one.keys() == several.keys()
    for name, table in one.items():
        for column, values in table.items():
            np.testing.assert_array_equal(values, several[name][column], err_msg=f"{name}.{column}")


SWEPT = (
    TOWN
    + """
[response]
calls = 12
[sweep]
replicates = 2
[sweep.parameters]
"response.fleet.ambulance.units" = [1, 3]
"""
)


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.glob("*/part-*.parquet"))}


def rows_of(results):
    """Return all tables, sorted by run, as bytes."""
    found = {}
    for name in ("summary", "series", "zone_series", "incidents", "units", "departments"):
        frame = results.table(name)
        frame = frame.sort_values("run_id", kind="stable").reset_index(drop=True)
        found[name] = frame.to_json(orient="split", double_precision=15, date_format="iso")
    return found


def test_workers_and_interruptions_change_no_byte(tmp_path):
    scenario = Scenario.from_text(SWEPT)
    whole = sweep(scenario, out=tmp_path / "one", workers=1)
    two = sweep(scenario, out=tmp_path / "two", workers=2)
    assert rows_of(whole) == rows_of(two)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two") != {}

    seen = []

    def stop(done, *_):
        seen.append(done)
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(scenario, out=tmp_path / "cut", workers=1, progress=stop)
    resumed = sweep(scenario, out=tmp_path / "cut", workers=1, resume=True)
    assert rows_of(resumed) == rows_of(whole)
    assert files_of(tmp_path / "cut") == files_of(tmp_path / "one")


def test_a_scenario_compared_with_itself_differs_by_nothing(tmp_path):
    # the rules of a plain dispatch do not reckon with the busy share, so both points are one scenario
    text = SWEPT.replace('"response.fleet.ambulance.units" = [1, 3]', '"response.dispatch.busy" = [0.3, 0.4]')
    results = sweep(Scenario.from_text(text), out=tmp_path / "same", workers=1)
    frame = results.compare(0)
    assert "ambulance_response_p90_minutes" in set(frame["measure"])
    assert (frame[["difference", "low", "high"]].fillna(0.0) == 0).all(axis=None)
    from citytwin.runners.planning.response_text import response_facts

    facts = response_facts(results, 0)[1]
    for table in facts.values():
        changed = [value for row in table for name, value in row.items() if name.endswith("_change")]
        assert changed and set(changed) <= {0.0, None}


def test_a_run_in_memory_has_the_tables_of_one_on_disk(tmp_path):
    scenario = Scenario.from_text(SWEPT)
    assert rows_of(run(scenario)) == rows_of(run(scenario, tmp_path / "disk"))
