"""Files that a scenario names: results keep what was in them, and a sweep is not continued with anything else."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from sweep_toys import files
from typer.testing import CliRunner

from citytwin.runners.calibrate.fit import calibrate
from citytwin.runners.cli import app
from citytwin.runners.engine import manifest
from citytwin.runners.preparation import sweep_tasks
from citytwin.runners.results import Results
from citytwin.runners.run import execute_run, run
from citytwin.runners.scenarios.scenario import Scenario, ScenarioError
from citytwin.runners.sweep import SweepError, sweep

COLD = """\
name = "cold"
r0 = 2.0
latent = { law = "constant", days = 1 }
infectious = { law = "exponential", mean = 4.0 }
"""
SCENARIO = """\
name = "room"
seed = 5
[city]
one_place = { people = 200, age = 20 }
[clock]
days = 12
[epidemic]
disease = "cold.toml"
transmission = 0.01
initial_infections = 5
"""
SWEPT = SCENARIO + "[sweep]\nreplicates = 2\n"
FITTED = (
    SCENARIO
    + """\
[calibrate]
runs = 30
particles = 10
[calibrate.parameters]
"epidemic.transmission" = { from = 0.001, to = 0.05 }
[calibrate.observations]
ill = { series = "infectious" }
"""
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a disease file."""
    (tmp_path / "cold.toml").write_text(COLD)
    return tmp_path


def change(place: Path) -> None:
    """Let everybody be infectious for longer."""
    (place / "cold.toml").write_text(COLD.replace("4.0", "9.0"))


def test_a_finished_sweep_is_not_resumed_with_another_disease(place: Path) -> None:
    scenario = Scenario.from_text(SWEPT, folder=place)
    sweep(scenario, out=place / "out", workers=1)
    change(place)
    with pytest.raises(SweepError, match=r"cold\.toml: is not what it was:(.|\n)*-.*4\.0(.|\n)*\+.*9\.0"):
        sweep(scenario, out=place / "out", workers=1, resume=True)
    (place / "cold.toml").write_text("# a remark decides nothing\n" + COLD)
    assert len(sweep(scenario, out=place / "out", workers=1, resume=True).summary) == 2


def test_a_disease_that_is_swept_is_compared_as_well(place: Path) -> None:
    (place / "flu.toml").write_text(COLD.replace('"cold"', '"flu"'))
    text = SWEPT + '[sweep.parameters]\n"epidemic.disease" = ["flu.toml", "cold.toml", "influenza"]\n'
    scenario = Scenario.from_text(text, folder=place)
    results = sweep(scenario, out=place / "out", workers=1)
    assert set(results.info["context"]["files"]) == {str(place / "flu.toml"), str(place / "cold.toml")}
    (place / "flu.toml").unlink()
    assert Results(place / "out").scenario.points() == scenario.points()
    (place / "flu.toml").write_text(COLD)
    with pytest.raises(SweepError, match=r'flu\.toml: is not what it was:\s+-.*"flu"'):
        sweep(scenario, out=place / "out", workers=1, resume=True)


def test_the_command_says_what_has_changed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    (place / "s.toml").write_text(SWEPT)
    assert CliRunner().invoke(app, ["sweep", "s.toml", "--out", "out", "--workers", "1"]).exit_code == 0
    change(place)
    answer = CliRunner().invoke(app, ["sweep", "s.toml", "--out", "out", "--workers", "1", "--resume"])
    assert isinstance(answer.exception, SweepError)
    assert "cold.toml: is not what it was" in str(answer.exception)


def test_runs_are_made_with_the_file_as_it_was_at_the_start(place: Path) -> None:
    """Also where it is changed while a sweep is at work, or is gone."""
    tasks, _, context = sweep_tasks(Scenario.from_text(SWEPT, folder=place), place / "cities")
    context = json.loads(json.dumps(context))
    before = execute_run(tasks[0], context)["series"]["infectious"]
    change(place)
    assert (execute_run(tasks[0], context)["series"]["infectious"] == before).all()
    (place / "cold.toml").unlink()
    assert (execute_run(tasks[0], context)["series"]["infectious"] == before).all()


def test_results_can_be_reproduced_when_the_file_is_changed_or_gone(place: Path) -> None:
    first = run(Scenario.from_text(SCENARIO, folder=place), place / "out")
    change(place)
    again = run(Results(place / "out").scenario, place / "again")
    pd.testing.assert_frame_equal(again.series, first.series)
    (place / "cold.toml").unlink()
    last = run(Results(place / "again").scenario)
    pd.testing.assert_frame_equal(last.series, first.series)
    with pytest.raises(ScenarioError, match="neither a shipped disease"):
        Scenario.from_text(SCENARIO, folder=place)


def test_a_calibration_is_not_resumed_with_another_disease(place: Path) -> None:
    scenario = Scenario.from_text(FITTED, folder=place)
    (place / "ill.csv").write_text("day,ill\n1,5\n5,20\n9,60\n")
    calibrate(scenario, place / "ill.csv", out=place / "fit", workers=1)
    before = files(place / "fit")
    shutil.copy(place / "cold.toml", place / "kept.toml")
    change(place)
    with pytest.raises(SweepError, match=r"cold\.toml: is not what it was:(.|\n)*-.*4\.0(.|\n)*\+.*9\.0"):
        calibrate(scenario, place / "ill.csv", out=place / "fit", workers=1, resume=True)
    shutil.copy(place / "kept.toml", place / "cold.toml")
    calibrate(scenario, place / "ill.csv", out=place / "fit", workers=1, resume=True)
    assert files(place / "fit") == before


def test_shipped_diseases_are_part_of_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agents").mkdir()
    monkeypatch.setattr(manifest, "ROOT", tmp_path)
    codes = []
    for text in ("r0 = 2", "r0 = 3"):
        (tmp_path / "agents" / "measles.toml").write_text(text)
        codes.append(manifest.program.__wrapped__()["code"])
    assert codes[0] != codes[1]
