"""citytwin site: what it prints and writes, and that a user's mistake costs nothing but its message."""

import json
import sys

import geopandas
import numpy as np
import pandas
import pytest
from cities import tiny_city
from epidemic_cities import homes_only
from installed import install
from sumo_files import net

from citytwin.agents.extensions import extensions
from citytwin.environment.city import City
from citytwin.environment.places import SiteKind
from citytwin.runners import cli
from citytwin.runners.scenarios.scenario import Scenario

QUICK = ("--replicates", "2", "--days", "2")


@pytest.fixture
def call(monkeypatch, capsys, town_folder, tmp_path):
    """Call the command in an empty folder; return exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def called(*words, where=town_folder / "often.toml"):
        monkeypatch.setattr(sys, "argv", [str(word) for word in ("citytwin", "site", where, *words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        assert "Traceback (most" not in captured.err + captured.out
        return int(end.value.code or 0), captured.out, captured.err

    return called


def test_table_says_what_the_facts_say(call):
    code, table, err = call(*QUICK, "--units", "1-3")
    assert (code, err) == (0, "")
    lines = table.splitlines()
    assert max(len(line) for line in lines) <= 100
    facts = json.loads(call(*QUICK, "--units", "1-3", "--json")[1])
    assert facts["standard_seconds"] == [180, 240]
    assert {plan["units"] for plan in facts["plans"]} == {1, 2, 3}
    rows = [line.split() for line in lines[5:] if line[:3].strip().isdigit() and "%" in line]
    assert len(rows) == len(facts["plans"])
    for row, plan in zip(rows, facts["plans"], strict=True):
        assert int(row[0]) == plan["plan"]
        assert f"{100 * plan['in_time']['mean']:.1f}" in row
        assert plan["in_time"]["low"] <= plan["in_time"]["mean"] <= plan["in_time"]["high"]
        assert sum(station["units"] for station in plan["stands"]) == plan["units"]
        assert len(plan["stands"]) == plan["stations"]


def test_plans_are_ranked_and_compared_with_today(call):
    facts = json.loads(call(*QUICK, "--units", "2", "--by", "mean", "--json")[1])
    means = [plan["mean"]["mean"] for plan in facts["plans"]]
    assert means == sorted(means)
    today = facts["plans"][facts["compared_with"] - 1]
    assert today["methods"][0] == "as today"
    assert today["stands"] == [
        {"name": "Corner", "units": 2, **{k: today["stands"][0][k] for k in ("longitude", "latitude")}, "today": True}
    ]
    assert today["mean_difference"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    best = facts["plans"][0]
    assert best["mean_difference"]["mean"] == pytest.approx(best["mean"]["mean"] - today["mean"]["mean"])
    assert {plan["calls"]["mean"] for plan in facts["plans"]} == {today["calls"]["mean"]}  # the same calls for all


def test_files(call, tmp_path, town_folder):
    code, _, err = call(*QUICK, "--units", "2", "--out", "plans", "--json")
    assert (code, err) == (0, "Plans, cover and maps: plans\n")
    table = pandas.read_parquet(tmp_path / "plans" / "plans.parquet")
    facts = json.loads(call(*QUICK, "--units", "2", "--json")[1])
    assert table["in_time"].tolist() == [plan["in_time"]["mean"] for plan in facts["plans"]]
    assert table["in_time_low"].tolist() == [plan["in_time"]["low"] for plan in facts["plans"]]
    cover = geopandas.read_parquet(tmp_path / "plans" / "cover.parquet")
    assert cover.crs == City.load(town_folder / "town.city").info.crs
    assert cover["calls_per_day"].sum() == pytest.approx(facts["calls_per_day"])
    for plan in facts["plans"]:
        number = plan["plan"]
        late = cover[f"seconds_plan_{number}"] > 180
        share = cover["calls_per_day"][~late].sum() / cover["calls_per_day"].sum()
        assert share == pytest.approx(plan["covered"])
        stations = geopandas.read_file(tmp_path / "plans" / f"plan_{number}.geojson")
        assert stations.crs == "EPSG:4326"
        assert stations["units"].tolist() == [station["units"] for station in plan["stands"]]
    for name in ("map.png", "today.png"):
        picture = (tmp_path / "plans" / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 10_000
    code, _, err = call(*QUICK, "--out", "plans")  # results are never overwritten
    assert code == 2
    assert "exists already" in err


def test_a_plan_is_a_part_of_a_scenario_and_a_file_of_candidates(call, tmp_path, town_folder):
    assert call(*QUICK, "--units", "3", "--method", "median", "--out", "plans")[0] == 0
    facts = json.loads(call(*QUICK, "--units", "3", "--method", "median", "--json")[1])
    (tmp_path / "again.toml").write_text(
        f'name = "again"\n[city]\nbundle = "{town_folder / "town.city"}"\n'
        + (tmp_path / "plans" / "plan_1.toml").read_text()
    )
    fleet = Scenario.load(tmp_path / "again.toml").processes["response"].fleet["ambulance"]
    assert [station.units for station in fleet.stations] == [s["units"] for s in facts["plans"][0]["stands"]]
    again = ("--candidates", "plans/plan_1.geojson", "--units", "3", "--json")
    told = json.loads(call(*QUICK, *again)[1])
    assert told["sites"] <= 1 + facts["plans"][0]["stations"]


def test_workers_change_nothing(call, import_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", import_path["PYTHONPATH"])
    words = (*QUICK, "--units", "2", "--method", "median", "--json")
    assert call(*words)[1] == call(*words, "--workers", "2")[1]


def test_a_city_without_a_scenario(call, town_folder):
    facts = json.loads(
        call(
            "--replicates",
            "2",
            "--days",
            "365",  # fires are rare in a town of 600
            "--service",
            "fire",
            "--standard",
            "10 min",
            "--candidates",
            "sites",
            "--json",
            where=town_folder / "town.city",
        )[1]
    )
    assert facts["service"] == "fire"
    assert facts["standard_seconds"] == [600]
    assert facts["plans"][0]["stands"][0]["name"] == "Fire station 1"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--service", "rescue"), "--service rescue: there are ambulance, fire, police"),
        (("--units", "many"), "as in 12, 8,10,12 or 8-14"),
        (("--units", "9-3"), "as in 12"),
        (("--units", "1-90"), "at most 50 are compared at once"),
        (("--standard", "8"), "must be a number and a unit, as in \"10 min\" (given '8')"),
        (("--standard", "0 min"), "must be above 0"),
        (("--method", "luck"), "--method luck: there are coverage, expected, median, centre"),
        (("--by", "beauty"), "--by beauty: there are in_time, median"),
        (("--candidates", "moon"), "allowed are stations, sites, grid, or a file (.csv, .geojson, .gpkg)"),
        (("--candidates", "none.csv"), "none.csv: there is no such file"),
        (("--candidates", "far.csv"), "far.csv: none of its 2 points lies in the city"),
        (("--candidates", "words.csv"), "words.csv, line 3: lat is 'north'; degrees from −90 to 90"),
        (("--candidates", "bare.csv"), "bare.csv, line 1: no column whose name ends with longitude"),
        (("--candidates", "broken.geojson"), "broken.geojson: cannot be read"),
        (("--stations", "500"), "--stations 500: there are"),
        (("--units", "1", "--stations", "0"), "--stations 0: there are"),
    ],
)
def test_mistakes_are_named(call, tmp_path, words, said):
    (tmp_path / "far.csv").write_text("name,lon,lat\na,20.0,10.0\nb,20.1,10.1\n")
    (tmp_path / "words.csv").write_text("name,lon,lat\na,2.16,41.37\nb,2.16,north\n")
    (tmp_path / "bare.csv").write_text("name,x,y\na,1,2\n")
    (tmp_path / "broken.geojson").write_text("{")
    code, out, err = call(*words, "--out", "plans")
    assert (code, out) == (2, "")
    assert said in " ".join(err.replace("│", " ").split())
    assert not (tmp_path / "plans").exists()  # nothing half-written


def test_more_units_than_fit(call, tmp_path, town_folder):
    city = City.load(town_folder / "town.city")
    plots = geopandas.GeoDataFrame(
        {"name": ["Yard", "Field"], "most": [1, 1]},
        geometry=geopandas.points_from_xy(city.places.x[[0, 299]], city.places.y[[0, 299]]),
        crs=city.info.crs,
    )
    plots.to_file(tmp_path / "plots.gpkg")
    facts = json.loads(call(*QUICK, "--candidates", "plots.gpkg", "--units", "4", "--stations", "3", "--json")[1])
    for plan in facts["plans"]:
        units = {station["name"]: station["units"] for station in plan["stands"]}
        assert set(units) <= {"Yard", "Field", "Corner"}
        assert units.get("Yard", 0) <= 1
        assert units.get("Field", 0) <= 1
    code, _, err = call("--candidates", "stations", "--keep", "--units", "2", "--stations", "2")
    assert code == 2
    assert "--stations 2: there are 1 sites" in err


def test_a_city_without_streets(call, tmp_path):
    homes_only(3, 4).save(tmp_path / "homes.city")
    code, _, err = call(*QUICK, "--out", "plans", where="homes.city")
    assert code == 2
    assert "has no streets on which emergency vehicles can go round" in err
    assert not (tmp_path / "plans").exists()


def test_a_city_without_a_station_of_the_service(call, tmp_path):
    city = tiny_city(300)
    kind = np.asarray(city.sites.kind)
    kind[kind == SiteKind.POLICE_STATION] = SiteKind.FIRE_STATION
    city.save(tmp_path / "unguarded.city")
    words = (*QUICK, "--service", "police", "--units", "2", "--method", "median")
    facts = json.loads(call(*words, "--out", "plans", "--json", where="unguarded.city")[1])
    assert facts["compared_with"] == 1
    assert facts["notes"] == ["The city has no police station: plans are compared with plan 1."]
    assert [plan["methods"] for plan in facts["plans"]] == [["median"]]
    assert not (tmp_path / "plans" / "today.png").exists()
    for option in ("--keep", "--candidates=stations"):
        code, _, err = call(*words, option, where="unguarded.city")
        assert code == 2
        assert "the city has no" in err


def test_a_city_where_nobody_lives(call, tmp_path):
    net(folder=tmp_path)
    (tmp_path / "crossing.toml").write_text('name = "crossing"\n[city]\nsumo = { file = "town.net.xml" }\n[response]\n')
    code, _, err = call(*QUICK, "--out", "plans", where="crossing.toml")
    assert code == 2
    assert "nobody calls the service ambulance: nobody lives in the city" in err
    assert not (tmp_path / "plans").exists()


def test_stations_off_the_streets_are_named(call, tmp_path, town_folder):
    text = (town_folder / "often.toml").read_text().replace("x = 430900", "x = 436900")
    (tmp_path / "off.toml").write_text(text)
    code, _, err = call(*QUICK, where="off.toml")
    assert code == 2
    assert "station 'Corner'" in err


def test_several_fleets_of_a_service_and_tables_of_stations_are_refused(call, tmp_path, town_folder):
    text = (town_folder / "often.toml").read_text()
    (tmp_path / "two.toml").write_text(text + '[response.fleet.night]\nservice = "ambulance"\nunits = 1\n')
    code, _, err = call(*QUICK, where="two.toml")
    assert code == 2
    assert "ambulance, night all belong to the service ambulance" in err
    table = '[response.dispatch]\nmove_up = "compliance"\ncompliance = [["Corner"]]\n'
    (tmp_path / "table.toml").write_text(text + table)
    code, _, err = call(*QUICK, where="table.toml")
    assert code == 2
    assert "compliance table names stations" in err
    own = '[response.dispatch.services.ambulance]\nmove_up = "compliance"\ncompliance = [["Corner"]]\n'
    (tmp_path / "own.toml").write_text(text + own)
    code, _, err = call(*QUICK, where="own.toml")
    assert code == 2
    assert "compliance table names stations" in err


def test_rules_of_services_that_do_not_matter_are_left_aside(call, tmp_path, town_folder):
    text = (town_folder / "often.toml").read_text().replace('services = ["ambulance"]\n', "")
    rule = '[response.dispatch.services.fire]\nmove_up = "compliance"\ncompliance = [["A fire station"]]\n'
    (tmp_path / "plain.toml").write_text(text)
    (tmp_path / "fire.toml").write_text(text + rule)
    plain = call(*QUICK, "--units", "2", "--json", where="plain.toml")
    assert plain[0] == 0
    assert call(*QUICK, "--units", "2", "--json", where="fire.toml") == plain


def test_the_difference_is_that_of_pairs(call):
    facts = json.loads(call("--replicates", "3", "--days", "2", "--units", "2", "--json")[1])
    widths = [(p["in_time_difference"]["high"] - p["in_time_difference"]["low"]) for p in facts["plans"]]
    assert np.isfinite(widths).all()


def test_nothing_to_judge_plans_by_is_told(call, town_folder, tmp_path):
    rare = (town_folder / "often.toml").read_text().replace("calls = 400", "calls = 1e-6")
    (tmp_path / "rare.toml").write_text(rare)
    code, out, err = call(*QUICK, where="rare.toml")
    assert code == 2 and not out
    assert "nobody calls the service ambulance in 2 runs of 2 days" in err and "raise --days or --replicates" in err


def test_a_dispatcher_of_ones_own_sends_the_units_of_plans(call, town_folder, tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    install(tmp_path / "site", monkeypatch, {"last": "Last", "failing": "Failing"})
    text = (town_folder / "often.toml").read_text()

    def asked(name, *words):
        (tmp_path / "own.toml").write_text(text + f'[response.dispatch]\nclass = "{name}"\n')
        return call(*QUICK, "--units", "2", *words, where="own.toml")

    usual, own = (json.loads(asked(name, "--json")[1])["plans"] for name in ("rules", "last"))
    assert {plan["mean"]["mean"] for plan in usual}.isdisjoint(plan["mean"]["mean"] for plan in own)
    for workers in (1, 2):
        code, out, err = asked("failing", "--workers", workers, "--out", "plans")
        assert code == 1 and not out
        assert "The run failed in Failing.choose_unit (own_rules.py:" in err and "on day 0 (2026-01-05)" in err
        assert not (tmp_path / "plans").exists()
    extensions.cache_clear()
