"""One run made again: the same bit for bit, or where it differs."""

import json
import math
import shutil

import numpy as np
import pytest
import sweep_toys

from citytwin.runners import rerun as again
from citytwin.runners.commands.rerun import rerun_text
from citytwin.runners.engine.outcome import SweepError
from citytwin.runners.storage.store import runs_in_results
from citytwin.runners.sweep import run_sweep

EXECUTE = "test_rerun:execute"


def execute(task, context):
    """Make a run of the toys with numbers that are none in it; of a later age if the file says so."""
    from pathlib import Path

    outputs = sweep_toys.execute(task, context)
    outputs["series"]["share"][0] = np.nan
    outputs["summary"]["none"] = math.nan
    outputs["events"] = {"number": np.arange(2)}
    if (Path(context["place"]) / "changed").exists():
        outputs["series"]["infected"][3] += 1
        outputs["summary"]["rate"] = -0.0
    if (Path(context["place"]) / "fewer").exists():
        del outputs["events"]
        outputs["series"] = {name: values[:2] for name, values in outputs["series"].items()}
    return outputs


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep of which one run raised, and the folder whose files change its runs."""
    place = tmp_path_factory.mktemp("rerun")
    tasks = sweep_toys.make_tasks(3, 2)
    for task in tasks:
        task["parameters"]["mixed"] = task["point"] or 0.5  # integers and a float: a float column
    run_sweep(tasks, EXECUTE, {"place": str(place), "raises": ["r001-001"]}, place / "results", workers=1, block=2)
    return place


@pytest.fixture
def changed(swept):
    """Let runs come to something else from now on, until the test is over."""
    made = []

    def change(name):
        made.append(swept / name)
        made[-1].touch()

    yield change
    for file in made:
        file.unlink()


@pytest.mark.parametrize("run", ["r000-000", "r001-000", "r002-001"])
def test_a_run_that_is_made_again_is_the_same_bit_for_bit(swept, tmp_path, run):
    found = again.rerun(swept / "results", run, tmp_path / "again")
    assert found.same and not found.differences and not found.program
    assert {"summary", "series"} <= set(found.tables)
    assert runs_in_results(tmp_path / "again") == {run}
    assert runs_in_results(swept / "results") == {f"r{p:03d}-{r:03d}" for p in range(3) for r in range(2)} - {
        "r001-001"
    }


def test_nothing_is_kept_unless_asked_for(swept, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert again.rerun(swept / "results", "r000-000").same
    assert list(tmp_path.iterdir()) == []


def test_where_a_run_differs_is_told_by_table_column_and_row(swept, changed):
    changed("changed")
    found = again.rerun(swept / "results", "r000-000")
    assert not found.same
    assert set(found.differences) == {"summary", "series"}
    assert found.differences["series"].startswith("column infected, row 3: ")
    assert found.differences["summary"].endswith("-0.0 now")


def test_other_numbers_of_rows_and_missing_tables_are_differences(swept, changed):
    changed("fewer")
    found = again.rerun(swept / "results", "r001-000")
    assert found.differences["series"] == "5 rows then, 2 now"
    assert found.differences["events"] == "2 rows then, no table now"


def test_a_run_that_fails_again_says_why(swept):
    found = again.rerun(swept / "results", "r001-001")
    assert not found.same and not found.stored
    assert "ValueError: no luck in r001-001" in found.failure
    assert found.traceback.startswith("Traceback") and found.traceback.endswith("ValueError: no luck in r001-001")
    assert rerun_text(found).startswith(f"{found.failure}\n{found.traceback}")


def test_a_run_that_cannot_be_begun_says_why_in_full(swept, tmp_path):
    """Its function is no more: the file that the message would name goes with the temporary folder."""
    results = tmp_path / "results"
    shutil.copytree(swept / "results", results)
    text = (results / "sweep.json").read_text()
    (results / "sweep.json").write_text(text.replace(EXECUTE, "test_rerun:renamed"))
    with pytest.raises(SweepError, match=r"test_rerun:renamed cannot be run: ") as caught:
        again.rerun(results, "r000-000")
    assert "Traceback (most recent call last)" in str(caught.value)
    assert "traceback in" not in str(caught.value)


def test_another_program_is_told(swept):
    content = json.loads((swept / "results" / "sweep.json").read_text())
    before = json.dumps(content)
    content["versions"]["numba"] = "0.1"
    (swept / "results" / "sweep.json").write_text(json.dumps(content))
    try:
        found = again.rerun(swept / "results", "r000-000")
    finally:
        (swept / "results" / "sweep.json").write_text(before)
    assert found.same and any("numba" in line and "0.1" in line for line in found.program)


def test_runs_and_places_that_cannot_be_meant(swept, tmp_path):
    with pytest.raises(SweepError, match=r"has no run 'x'; tasks\.jsonl lists"):
        again.rerun(swept / "results", "x")
    with pytest.raises(SweepError, match="exists; choose another"):
        again.rerun(swept / "results", "r000-000", tmp_path)


def test_the_debugger_is_entered_where_a_run_raises(swept, monkeypatch, capsys):
    entered = []
    monkeypatch.setattr("pdb.post_mortem", entered.append)
    again.debug(swept / "results", "r001-001")
    again.debug(swept / "results", "r000-000")
    assert len(entered) == 1
    assert "no luck in r001-001" in capsys.readouterr().err
