"""Emergency response on the command line: what goes wrong is told in a line, and what came out is shown."""

import json
import sys

import geopandas
import pytest

from citytwin.runners import cli
from citytwin.runners.commands import results as result_commands

TOWN = """
name = "town"
seed = 4
[city]
synthetic = { people = 3_000, seed = 2 }
[clock]
start = 2026-01-05
days = 6
[response]
calls = 8
departments.bays_per_100_000 = 0
"""
SWEPT = (
    TOWN
    + """
[sweep]
replicates = 2
[sweep.parameters]
"response.fleet.ambulance.units" = [1, 2]
[output]
tables = ["incidents"]
by_zone = true
"""
)
EVENTS = """
[[response.events]]
file = "events.csv"
time = "when"
x = "east"
y = "north"
kind = "illness"
zone_column = "zone"
"""


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Call the command line in an empty folder, with a scenario there."""
    monkeypatch.chdir(tmp_path)

    def called(*words, scenario=TOWN):
        (tmp_path / "town.toml").write_text(scenario)
        monkeypatch.setattr(sys, "argv", ["citytwin", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        assert "Traceback (most" not in captured.err + captured.out
        return int(end.value.code or 0), captured.out, captured.err

    return called


# ---------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            '[response.fleet.ambulance]\nstations = [{ name = "Off", x = 0.0, y = 0.0 }]',
            "'Off' at (0, 0) m lies far off",
        ),
        ('[response.fleet.ambulance]\nstations = [{ name = "Nowhere" }]', "no such station 'Nowhere'"),
        ("[response.fleet.ambulance]\ncrews = 0", "but there are 0 crews"),
        ("[response.fleet.ambulance]\nunits = 3\ncrews = 2", "3 are on duty at once, but there are 2 crews"),
        ('[response.kinds.illness]\nzones = { "Atlantis" = 2.0 }', "the city has no zone 'Atlantis'"),
        ('[response.kinds.illness]\nunits.ambulance.skills = ["surgery"]', "no ambulance crew has surgery"),
        ('[response.kinds.illness]\ncall_taking = "-5 s"', "call_taking"),
        ("[response.fleet.ambulance]\nstations = [{ site = -1 }]", "stations[0].site: must be at least 0 (given -1)"),
        ("[response.kinds.x]\nrate = 1\nunits = { boat = 1 }", "no such choice (given 'boat'); allowed: ambulance"),
        ('departments.specialties = { "St. X" = ["stroke"] }', "the city has no hospital 'St. X'"),
        (
            "[response.fleet.ambulance]\nunits = 5\n[response.fleet.fire]\nunits = 2\n[response.dispatch]\nhold_out = 2",
            "hold_out: 2 units are kept back for priority 0, but the service fire has 2, so that nobody would come",
        ),
        (
            "[response.fleet.ambulance]\nunits = 2\n[response.fleet.fire]\nunits = 2\n"
            '[response.fleet.own]\nservice = "police"\nunits = 1\n[response.fleet.next]\nservice = "police"\nunits = 9\n'
            "neighbour = true\n[response.dispatch]\nhold_out = 1",
            "the service police has 1,",
        ),
        ('[response.dispatch]\nmove_up = "compliance"\ncompliance = [["X"]]', "there is no station 'X'"),
        (
            "[response.fleet.ambulance]\nunits = 2\nshifts = [{ from = '07:00', until = '15:00', units = 1 }, "
            "{ from = '15:00', until = '23:00', units = 1 }]\n[response.dispatch.services.ambulance]\n"
            'move_up = "compliance"\ncompliance = [{ hold = [[0]] }, { on_duty = 4, hold = [[0]] }]',
            "compliance[1].on_duty: the table is for 4 units on duty, but the service ambulance never has more than 3",
        ),
    ],
)
def test_a_mistake_costs_a_line_and_no_run(call, tmp_path, more, message):
    code, out, err = call("run", "town.toml", "--out", "results", scenario=TOWN + more)
    assert code == 2 and message in err and not out
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2026-13-45 10:00,0,0", "2026-13-45"),
        (",0,0", "when"),
        ("2026-01-05 10:00,0,0", "city"),
        ("2026-01-05 10:00,here,0", "here"),
    ],
)
def test_events_that_are_none_are_told_before_the_run(call, tmp_path, row, message):
    (tmp_path / "events.csv").write_text(f"when,east,north\n{row}\n")
    text = TOWN + EVENTS.replace('zone_column = "zone"\n', "")
    code, out, err = call("run", "town.toml", "--out", "results", scenario=text)
    assert code == 2 and "events.csv" in err and message in err and not out
    assert not (tmp_path / "results").exists()


def test_in_a_sweep_the_other_runs_go_on(call):
    text = SWEPT.replace("fleet.ambulance.units", "fleet.ambulance.crews").replace("[1, 2]", "[0, 5]")
    code, out, err = call("sweep", "town.toml", "--out", "results", "--workers", 1, scenario=text)
    assert code == 1
    assert "2 of 4 runs failed" in err and "0 crews" in err
    assert "no run" in out and "baseline" in out


def test_a_value_that_is_not_allowed_stops_the_whole_sweep(call, tmp_path):
    text = SWEPT.replace("[1, 2]", "[1, -1]")
    code, out, err = call("sweep", "town.toml", "--out", "results", "--workers", 1, scenario=text)
    assert code == 2 and not out and "response.fleet.ambulance.units: must be at least 0 (given -1)" in err
    assert not (tmp_path / "results").exists()


# ---------------------------------------------------------------------- what is shown


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Results of a sweep, on disk."""
    from citytwin.runners.scenarios.scenario import Scenario
    from citytwin.runners.sweep import sweep

    folder = tmp_path_factory.mktemp("swept") / "results"
    sweep(Scenario.from_text(SWEPT), out=folder, workers=1)
    return folder


def test_check_says_what_would_run(call):
    code, out, _ = call("check", "town.toml", scenario=SWEPT)
    assert code == 0 and "processes response" in out and "units: 1, 2" in out
    assert (
        "response  ambulance, fire, police as the city has them; unit nearest; free units home; hospitals divert" in out
    )
    code, out, _ = call("check", "ambulances")
    assert code == 0 and "response  ambulance 8 and 2 by shift; unit nearest; free units home" in out


def test_compare_tells_how_soon_help_came(call, swept):
    code, out, _ = call("compare", swept)
    assert code == 0
    plain = " ".join(out.split())
    for words in (
        "Emergency response: Point 1 against point 0: units 2",
        "Time from the call to the first unit at the scene",
        "priority 0",
        "Zones that lose most",
        "Gini of the zones’ mean response",
    ):
        assert words in plain
    code, out, _ = call("compare", swept, "--json")
    facts = json.loads(out)
    row = next(row for row in facts[1]["response"] if row["service"] == "ambulances" and row["group"] == "all calls")
    told = facts[1]["measures"]["ambulance_response_median_minutes"]
    assert row["median_change"] == pytest.approx(told["difference"])
    assert row["median_before"] == pytest.approx(facts[0]["measures"]["ambulance_response_median_minutes"]["mean"])
    share = facts[1]["measures"]["ambulance_in_time_share"]
    assert row["in_time_change"] == pytest.approx(share["difference"])
    assert row["late_change"] < 0  # a second ambulance


def test_a_report_has_times_and_maps(call, swept, tmp_path):
    code, _, _ = call("report", swept, "--out", "report.html")
    assert code == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h2>Emergency response</h2>" in page
    assert 'alt="Response times, and their median by hour"' in page and 'alt="Mean response by zone"' in page


def test_a_report_of_a_baseline_that_reaches_nobody_has_no_map(call, tmp_path):
    nobody = (
        SWEPT.replace("[1, 2]", "[0, 1]").replace("days = 6", "days = 2") + "\n[response.fleet.ambulance]\nunits = 1"
    )
    nobody = nobody.replace("[response]\n", '[response]\nservices = ["ambulance"]\n')
    assert call("sweep", "town.toml", "--out", "none", scenario=nobody)[0] == 0
    assert call("report", "none", "--out", "report.html")[0] == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h2>Emergency response</h2>" in page and 'alt="Mean response by zone"' not in page
    assert call("report", "none", "--baseline", 1, "--out", "other.html")[0] == 0
    assert 'alt="Mean response by zone"' in (tmp_path / "other.html").read_text(encoding="utf-8")


def test_maps_of_response_by_zone(call, swept, tmp_path):
    code, out, _ = call("map", swept, "--point", 1, "--what", "response", "--out", "maps")
    assert code == 0 and out.count("Map:") == 4
    layer = geopandas.read_parquet(tmp_path / "maps" / "response.parquet")
    from citytwin.runners.results import Results

    summary = Results(swept).summary
    calls = summary[summary["point"] == 1]["ambulance_calls"].mean()
    assert layer["ambulance_calls"].sum() == pytest.approx(calls)
    total = (layer["ambulance_response_minutes"] * layer["ambulance_reached"]).sum() / layer["ambulance_reached"].sum()
    assert 1 < total < 60 and layer["ambulance_in_time"].between(0, 1).all()


def test_maps_that_were_not_kept_say_so(call):
    assert call("run", "town.toml", "--out", "plain")[0] == 0
    code, _, err = call("map", "plain", "--what", "response")
    assert code == 2 and "write by_zone = true under [output]" in err


def test_without_incidents_there_is_the_summary_alone(call):
    assert call("run", "town.toml", "--out", "plain")[0] == 0
    code, out, _ = call("compare", "plain")
    assert code == 0 and "ambulances" in out and "Emergency response" not in out
    assert result_commands.compare.__doc__ is not None and "incidents" in result_commands.compare.__doc__
