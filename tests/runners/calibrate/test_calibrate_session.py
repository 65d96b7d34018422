"""Calibrations on a toy: killed and resumed, with any number of workers, with runs that fail: always the same."""

import dataclasses
import json
import os
import signal
import sys
import time
from pathlib import Path

import calibrate_toys
import numpy as np
import pandas as pd
import pytest
from calibrate_toys import FITTED, fitted_files, make_plan, start_calibration
from scipy import stats
from sweep_toys import wait_for

from citytwin.runners.calibrate.fit import write_fit
from citytwin.runners.calibrate.session import calibrate_runs, run_seed
from citytwin.runners.calibrate.text import fit_text
from citytwin.runners.results import Results
from citytwin.runners.storage.store import read_tasks
from citytwin.runners.sweep import SweepError, SweepInterrupted


def fit(plan, out, **options):
    """Calibrate and write down what was found."""
    return write_fit(plan, calibrate_runs(plan, out, **options), out)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A calibration by one worker, never interrupted."""
    out = tmp_path_factory.mktemp("calibration") / "fit"
    fit(make_plan(), out, workers=1)
    return out


def test_two_workers_give_the_same_bytes(unbroken, tmp_path):
    fit(make_plan(), tmp_path / "fit", workers=2)
    assert fitted_files(tmp_path / "fit") == fitted_files(unbroken)


@pytest.mark.parametrize("runs", [5, 150])
def test_killed_and_resumed_gives_the_same_bytes(unbroken, tmp_path, runs):
    """The supervisor is killed without warning, in the first generation and in a later one."""
    out, marks = tmp_path / "fit", tmp_path / "marks"
    marks.mkdir()
    # The mark of a start is no part of what is fitted, but of the context, which must not change on resume.
    context = {"marks": str(marks)}
    process = start_calibration(out, context=context, workers=2)
    wait_for(lambda: len(list(marks.iterdir())) >= runs)
    process.kill()
    process.communicate()
    assert not (out / "fit.json").exists()
    time.sleep(0.2)  # its workers end when they see that it is gone
    again = start_calibration(out, context=context, workers=1, resume=True)
    said = again.communicate()[1]
    assert again.returncode == 0, said
    started = [path.name.partition("-")[0] for path in marks.iterdir()]
    assert len(started) <= 240 + 4  # none was made anew but those in hand
    found, wanted = fitted_files(out), fitted_files(unbroken)
    assert found.keys() == wanted.keys()
    assert found == wanted


def test_interrupted_by_hand_and_resumed(unbroken, tmp_path):
    out, marks = tmp_path / "fit", tmp_path / "marks"
    marks.mkdir()
    process = start_calibration(out, context={"marks": str(marks)}, workers=2)
    wait_for(lambda: len(list(marks.iterdir())) >= 60)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode == 1
    assert "go on with --resume" in said
    fit(make_plan({"marks": str(marks)}), out, workers=2, resume=True)
    assert fitted_files(out) == fitted_files(unbroken)


def test_half_done_and_moved_it_goes_on(tmp_path):
    """Where a directory lies, and the city in it, is no part of what is fitted."""

    def plan(place):
        return dataclasses.replace(make_plan(), city=str(place / "cities" / "toy.city"))

    def stop(done, *_):
        if done == 150:  # in a later generation
            os.kill(os.getpid(), signal.SIGINT)

    for place in (tmp_path / "whole", tmp_path / "half"):
        (place / "cities" / "toy.city").mkdir(parents=True)
        (place / "cities" / "toy.city" / "city.json").write_text("{}")
    wanted = fit(plan(tmp_path / "whole"), tmp_path / "whole", workers=1).facts
    with pytest.raises(SweepInterrupted):
        fit(plan(tmp_path / "half"), tmp_path / "half", workers=1, progress=stop)
    assert max(task["batch"] for task in read_tasks(tmp_path / "half")) >= 1
    (tmp_path / "half").rename(tmp_path / "moved")
    assert fit(plan(tmp_path / "moved"), tmp_path / "moved", workers=1, resume=True).facts == wanted


def test_a_finished_one_is_not_run_again(unbroken):
    before = fitted_files(unbroken)
    sweep = (unbroken / "sweep.json").read_bytes()
    fit(make_plan(), unbroken, workers=1, resume=True)
    assert fitted_files(unbroken) == before
    assert (unbroken / "sweep.json").read_bytes() == sweep


def test_posterior_is_that_of_the_counts(unbroken):
    """The particles' mean lies within the exact posterior of a Poisson rate, Gamma(sum + 1, n) of the fitted days."""
    facts = json.loads((unbroken / "fit.json").read_text())
    counts = make_plan().observed.values["seen"][:FITTED]
    exact = stats.gamma(counts.sum() + 1, scale=1 / len(counts))
    found = facts["parameters"]["toy.rate"]
    assert exact.ppf(0.05) < found["50%"] < exact.ppf(0.95)
    assert exact.std() * 0.7 < found["sd"] < exact.std() * 2.5  # a tolerance above 0 widens it
    assert facts["data"] == {"days": 10, "fitted": 6, "last": 5}
    assert facts["observations"]["seen"]["covered"]["held_out"]["days"] == 4


def test_all_runs_can_be_read_as_those_of_a_sweep(unbroken):
    results = Results(unbroken)
    assert len(results.summary) == 240 == results.info["runs"]
    assert results.summary["toy.rate"].between(1, 30).all()
    assert results.summary["seed"].is_unique
    assert results.info["finished"]
    assert not (unbroken / "stage").exists()


def test_a_scale_can_be_fitted(tmp_path):
    """With the rate known to be near 8, a scale of about one brings the counts; it is a parameter like others."""
    parameters = {
        "toy.rate": {"from": 7.9, "to": 8.1},
        "calibrate.observations.seen.scale": {"from": 0.2, "to": 5, "log": True},
    }
    found = fit(make_plan(parameters=parameters), tmp_path / "fit", workers=2).facts
    mean = make_plan().observed.values["seen"][:FITTED].mean()
    scale = found["parameters"]["calibrate.observations.seen.scale"]
    assert scale["5%"] < mean / 8 < scale["95%"]
    assert scale["95%"] - scale["5%"] < 1.5
    predictive = pd.read_parquet(tmp_path / "fit" / "predictive.parquet")
    assert predictive["50%"].mean() == pytest.approx(8 * scale["50%"], rel=0.2)


def test_a_prior_that_is_too_narrow_is_told(tmp_path):
    """Counts of a mean of 8 want more than a rate of 5; of one between 1 and 30 nothing is said."""
    plan = make_plan(parameters={"toy.rate": {"from": 1, "to": 5}})
    found = fit(plan, tmp_path / "narrow", workers=2).facts
    assert found["parameters"]["toy.rate"]["at_bound"] == "to"
    assert "rate: the posterior is piled up at 'to' of its prior; widen it" in fit_text(found, plan.settings)
    wide = make_plan()
    found = fit(wide, tmp_path / "wide", workers=2).facts
    assert found["parameters"]["toy.rate"]["at_bound"] is None
    assert "piled up" not in fit_text(found, wide.settings)


class TestMethods:
    def test_optuna_finds_the_rate(self, tmp_path):
        found = fit(make_plan(method="optuna", runs=400, particles=None), tmp_path / "fit", workers=2).facts
        mean = make_plan().observed.values["seen"][:FITTED].mean()
        assert found["optuna"]["points"] == 100
        # The distance is least where the mean of the roots agrees, near the mean; four replicates scatter.
        assert found["optuna"]["parameters"]["toy.rate"] == pytest.approx(mean, abs=2.5)
        assert found["parameters"] == {}
        assert found["runs"] == 500  # 100 more show the scatter of the best point
        tried = Results(tmp_path / "fit").summary[:400]
        assert sorted(tried["seed"].unique()) == [7, 8, 9, 10]  # the same luck at every point

    def test_both_share_the_budget(self, tmp_path):
        found = fit(make_plan(method="optuna+abc", runs=480), tmp_path / "fit", workers=2).facts
        assert found["optuna"]["points"] == 60
        assert sum(generation["runs"] for generation in found["generations"]) == 240
        assert found["runs"] == 480
        assert set(found["parameters"]) == {"toy.rate"}

    def test_optuna_with_any_number_of_workers(self, tmp_path):
        plan = make_plan(method="optuna", runs=80, particles=None)
        for workers in (1, 2):
            fit(plan, tmp_path / str(workers), workers=workers)
        assert fitted_files(tmp_path / "1") == fitted_files(tmp_path / "2")


class TestFailures:
    def test_runs_that_raise_are_named_and_left_out(self, tmp_path):
        bad = ["r000003", "r000100", "r000239"]
        found = fit(make_plan({"raises": bad}), tmp_path / "fit", workers=2)
        assert sorted(found.failed) == bad
        assert "no luck in r000003" in found.failed["r000003"]
        assert found.facts["failed"] == 3
        assert len(Results(tmp_path / "fit").summary) == 237

    def test_a_process_that_dies_takes_one_run_with_it(self, tmp_path):
        found = fit(make_plan({"dies": ["r000010"]}), tmp_path / "fit", workers=2)
        assert list(found.failed) == ["r000010"]
        assert "SIGKILL" in found.failed["r000010"]

    def test_with_failures_any_number_of_workers_gives_the_same(self, tmp_path):
        plan = make_plan({"raises": ["r000003", "r000100", "r000239"]})
        for workers in (1, 2):
            fit(plan, tmp_path / str(workers), workers=workers)
        assert fitted_files(tmp_path / "1") == fitted_files(tmp_path / "2")
        fit(plan, tmp_path / "2", workers=1, resume=True)
        assert fitted_files(tmp_path / "1") == fitted_files(tmp_path / "2")

    def test_all_failing_stops_it_with_the_reason(self, tmp_path):
        every = [f"r{number:06d}" for number in range(240)]
        with pytest.raises(SweepError, match=r"all 80 runs of a batch failed; see .*/errors"):
            calibrate_runs(make_plan({"raises": every}), tmp_path / "fit", workers=1)


class TestRefusals:
    def test_there_is_one_already(self, unbroken):
        with pytest.raises(SweepError, match="holds a sweep already"):
            calibrate_runs(make_plan(), unbroken)

    def test_nothing_to_resume(self, tmp_path):
        with pytest.raises(SweepError, match="nothing to resume"):
            calibrate_runs(make_plan(), tmp_path / "none", resume=True)
        assert not (tmp_path / "none").exists()

    def test_another_calibration(self, unbroken):
        with pytest.raises(SweepError, match=r"holds another calibration:(.|\n)*scenario"):
            calibrate_runs(make_plan({"scenario": "another"}), unbroken, resume=True)

    def test_other_proposals(self, unbroken):
        """A budget that changes the first generation shows in its runs."""
        with pytest.raises(SweepError, match="holds another calibration"):
            calibrate_runs(make_plan(particles=50), unbroken, resume=True)

    def test_no_workers(self, tmp_path):
        with pytest.raises(SweepError, match="workers: 0; at least 1"):
            calibrate_runs(make_plan(), tmp_path / "fit", workers=0)


def test_seeds_of_runs_are_apart():
    seeds = {run_seed(1, run) for run in range(10_000)}
    assert len(seeds) == 10_000
    assert all(0 <= seed < 2**62 for seed in seeds)


def test_the_toy_is_found_by_workers():
    assert str(Path(calibrate_toys.__file__).parent) in sys.path
    assert np.array_equal(
        calibrate_toys.execute({"run_id": "r", "seed": 1, "parameters": {"toy.rate": 2.0}}, {})["series"]["day"],
        np.arange(10),
    )
