"""``citytwin calibrate`` as users meet it."""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from calibrate_toys import fitted_files
from typer.testing import CliRunner

from citytwin.runners.calibrate.fit import calibrate
from citytwin.runners.cli import app
from citytwin.runners.run import run
from citytwin.runners.scenarios.documents import ScenarioError
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.sweep import SweepError

SCENARIO = """\
name = "barracks"
seed = 5
[city]
one_place = { people = 300, age = 20 }
[clock]
start = 2020-02-24
days = 14
[epidemic]
transmission = 0.003
initial_infections = 5
[epidemic.disease]
name = "cold"
r0 = 2
latent = { law = "constant", days = 0 }
infectious = { law = "exponential", mean = 2.5 }
[calibrate]
runs = 300
particles = 40
until = 2020-03-04
[calibrate.parameters]
"epidemic.transmission" = { from = 0.0005, to = 0.05, log = true }
"epidemic.initial_infections" = { from = 1, to = 20, whole = true }
[calibrate.observations]
ill = { series = "infectious" }
"""
TRUE = {"epidemic.transmission": 0.003, "epidemic.initial_infections": 5}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a scenario, and what one run of it with known parameters gave as observations."""
    folder = tmp_path_factory.mktemp("barracks")
    (folder / "s.toml").write_text(SCENARIO)
    series = run(Scenario.from_text(SCENARIO).with_parameters(TRUE), seed=99).series
    columns = {"date": series["date"].dt.date, "ill": series["infectious"]}
    pd.DataFrame(columns).to_csv(folder / "ill.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def fitted(place, import_path):
    """What the command answered, with ``--json``, and its directory."""
    words = ["calibrate", "s.toml", "--data", "ill.csv", "--out", "fit", "--workers", "2", "--json"]
    answer = subprocess.run(
        [sys.executable, "-m", "citytwin", *words],
        cwd=place,
        env=import_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    return json.loads(answer.stdout), place / "fit"


def test_parameters_that_made_the_data_are_found(fitted):
    """The rate lies within its 90 % interval, which is far narrower than the prior (63-fold)."""
    found = fitted[0]["parameters"]["epidemic.transmission"]
    assert found["5%"] < TRUE["epidemic.transmission"] < found["95%"]
    assert found["95%"] / found["5%"] < 63 ** (1 / 3)
    assert found["5%"] < found["25%"] < found["50%"] < found["75%"] < found["95%"]


def test_what_is_written(fitted):
    facts, out = fitted
    assert json.loads((out / "fit.json").read_text()) == {
        name: value for name, value in facts.items() if name != "directory"
    }
    posterior = pd.read_parquet(out / "posterior.parquet")
    assert len(posterior) == 40
    assert posterior["weight"].sum() == pytest.approx(1)
    assert posterior["epidemic.transmission"].between(0.0005, 0.05).all()
    assert posterior["epidemic.initial_infections"].dtype.kind == "i"
    predictive = pd.read_parquet(out / "predictive.parquet")
    assert len(predictive) == 14
    assert predictive["held_out"].sum() == 4
    assert (np.diff(predictive[["5%", "25%", "50%", "75%", "95%"]]) >= 0).all()
    for name in ("predictive.png", "parameters.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    covered = facts["observations"]["ill"]["covered"]
    assert covered["fitted"]["days"] == 10
    assert covered["held_out"]["days"] == 4


def test_the_best_run_can_be_run_again(fitted):
    """``best.toml`` gives the run nearest to the data, to the bit."""
    facts, out = fitted
    chosen = tomllib.loads((out / "best.toml").read_text())
    assert chosen["seed"] == facts["best"]["seed"]
    again = run(out / "best.toml").series["infectious"].to_numpy()
    whole = pd.concat([pd.read_parquet(file) for file in sorted((out / "series").glob("*.parquet"))])
    first = whole[whole["run_id"] == facts["best"]["run_id"]]["infectious"].to_numpy()
    assert np.array_equal(again, first)


def test_another_number_of_workers_and_python_give_the_same_bytes(place, fitted, tmp_path):
    calibrate(Scenario.load(place / "s.toml"), place / "ill.csv", out=tmp_path / "fit", workers=1)
    one, two = fitted_files(tmp_path / "fit"), fitted_files(fitted[1])
    # where its city lies stands in the list of runs, and the scenario's own city has the same bytes
    one.pop("tasks.jsonl"), two.pop("tasks.jsonl")
    assert one == two


def test_it_may_be_moved(place, fitted, tmp_path):
    """Where a directory lies, and the city in it, is no part of what is fitted."""
    shutil.copytree(fitted[1], tmp_path / "moved")
    fit = calibrate(Scenario.load(place / "s.toml"), place / "ill.csv", out=tmp_path / "moved", resume=True)
    assert fit.facts | {"directory": fitted[0]["directory"]} == fitted[0]


@pytest.mark.usefixtures("fitted")
def test_text_for_people(place, monkeypatch):
    monkeypatch.chdir(place)
    answer = CliRunner().invoke(app, ["calibrate", "s.toml", "--data", "ill.csv", "--out", "fit", "--resume"])
    assert answer.exit_code == 0
    lines = answer.stdout.splitlines()
    assert lines[0].split() == ["parameter", "median", "90", "%", "interval", "nearest", "run"]
    assert any(line.startswith("transmission ") for line in lines)
    assert any(line.startswith("ill, held out ") for line in lines)
    assert "300 runs; all runs are made" in answer.stdout
    assert f"Picture: {Path('fit', 'predictive.png')}" in answer.stdout


def test_check_says_what_is_fitted(place, monkeypatch):
    monkeypatch.chdir(place)
    said = CliRunner().invoke(app, ["check", "s.toml"]).stdout
    assert "  city      one place, 300 people\n" in said
    assert "  calibrate transmission: 0.0005 to 0.05, log\n" in said
    assert "            initial_infections: 1 to 20\n" in said
    assert "  to        ill: infectious\n" in said


def test_inherited_parameters_are_replaced_together(tmp_path):
    (tmp_path / "base.toml").write_text(SCENARIO)
    text = 'extends = "base.toml"\nname = "other"\n[calibrate.parameters]\n"epidemic.r0" = { from = 1, to = 2 }\n'
    other = Scenario.from_text(text, folder=tmp_path)
    assert list(other.calibrate.parameters) == ["epidemic.r0"]
    assert list(other.calibrate.observations) == ["ill"]


def test_optuna_on_a_scenario(place, tmp_path):
    text = SCENARIO.replace("[calibrate]", '[calibrate]\nmethod = "optuna"\nreplicates = 2').replace(
        "particles = 30", ""
    )
    fit = calibrate(Scenario.from_text(text), place / "ill.csv", out=tmp_path / "fit", workers=2)
    assert fit.facts["optuna"]["points"] == 150
    assert fit.facts["optuna"]["parameters"]["epidemic.transmission"] == pytest.approx(0.003, rel=0.6)
    assert not (tmp_path / "fit" / "posterior.parquet").exists()


BAD = {
    "no section": (SCENARIO.partition("[calibrate]")[0], "section [calibrate] is missing"),
    "unknown figure": (
        SCENARIO.replace('"infectious"', '"infectios"'),
        "calibrate.observations.ill.series: no figure 'infectios' in the series; there are: ",
    ),
    "unknown parameter": (
        SCENARIO.replace('"epidemic.transmission" =', '"epidemic.transmision" ='),
        "did you mean 'transmission'?",
    ),
    "no such section": (SCENARIO.replace('"epidemic.transmission" =', '"traffic.speed" ='), "no section 'traffic'"),
    "no such policy": (SCENARIO.replace('"epidemic.transmission" =', '"policy.x.compliance" ='), "no such policy"),
    "the city": (SCENARIO.replace('"epidemic.transmission" =', '"city.one_place.people" ='), "cannot be fitted"),
    "beyond what is allowed": (SCENARIO.replace("to = 0.05", "to = 5000"), "at 5000: must be at most 1000"),
    "not whole": (SCENARIO.replace(", whole = true", ""), "epidemic.initial_infections: at "),
    "more than live there": (SCENARIO.replace("to = 20", "to = 400"), "more than the city has people"),
    "two for one": (
        SCENARIO.replace('"epidemic.transmission" =', '"epidemic.r0" =').replace("to = 0.05", "to = 3"),
        "not both",
    ),
    "dates before": (
        SCENARIO.replace("start = 2020-02-24", "start = 2020-03-01"),
        "ill.csv:2: date: outside the clock",
    ),
    "another column": (SCENARIO.replace("ill = {", "sick = {"), "ill.csv:1: sick: no such column of figures"),
}


@pytest.mark.parametrize("text, message", BAD.values(), ids=BAD)
def test_bad_requests_end_before_any_run(place, tmp_path, text, message):
    (tmp_path / "s.toml").write_text(text)
    out = tmp_path / "fit"
    with pytest.raises(ScenarioError) as caught:
        calibrate(tmp_path / "s.toml", place / "ill.csv", out=out)
    assert message in str(caught.value)
    assert not (out / "sweep.json").exists()


def test_unreachable_r0_is_told_with_its_line(place, tmp_path):
    text = SCENARIO.replace("transmission = 0.003\n", "r0 = 2\n").replace(
        '"epidemic.transmission" = { from = 0.0005, to = 0.05, log = true }', '"epidemic.r0" = { from = 1, to = 100 }'
    )
    text = text.replace("people = 300", "people = 20").replace("to = 20", "to = 10")
    data = place / "few.csv"
    data.write_text("day,ill\n1,2\n2,3\n3,5\n4,4\n", encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"scenario:21: epidemic\.r0: at its upper end: r0 = 100 cannot be reached"):
        calibrate(Scenario.from_text(text), data, out=tmp_path / "fit")


def test_optuna_that_is_missing_is_told(place, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    text = SCENARIO.replace("[calibrate]", '[calibrate]\nmethod = "optuna"').replace("particles = 40", "")
    with pytest.raises(SweepError, match=r'pip install "citytwin\[calibrate\]"'):
        calibrate(Scenario.from_text(text), place / "ill.csv", out=tmp_path / "fit")
    assert not (tmp_path / "fit").exists()


def test_mistakes_on_the_command_line(place, monkeypatch):
    monkeypatch.chdir(place)
    answer = CliRunner().invoke(app, ["calibrate", "s.toml", "--data", "none.csv", "--out", "new"])
    assert isinstance(answer.exception, ScenarioError)
    assert not (place / "new").exists()
    answer = CliRunner().invoke(app, ["calibrate", "s.toml"])
    assert answer.exit_code == 2
    assert "--data" in CliRunner().invoke(app, ["calibrate", "--help"]).stdout
