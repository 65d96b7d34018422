"""Somebody's own Mesa model, swept by our runner."""

import numpy as np
import pytest
from mesa_toys import Forgetful, Lists, OldWalkers, Unseeded, Walkers

from citytwin.runners.engine.outcome import SweepError
from citytwin.runners.mesa_adapter import outputs_of, sweep_mesa
from citytwin.runners.reports.report_page import html_report
from citytwin.runners.storage.tables import StoreError

SWEPT = {"people": (3, np.int64(8)), "stride": [1.0, 1000.0], "ends": True}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A sweep of which half the runs fail."""
    out = tmp_path_factory.mktemp("mesa") / "walkers"
    return sweep_mesa(Walkers, SWEPT, steps=5, replicates=2, seed=7, out=out, workers=1)


def test_tables_hold_what_the_model_reports(results):
    assert results.points == [{"people": people, "stride": stride} for people in (3, 8) for stride in (1.0, 1000.0)]
    assert list(results.summary["run_id"]) == ["p0000-r0000", "p0000-r0001", "p0002-r0000", "p0002-r0001"]
    assert list(results.summary["seed"]) == [7, 8, 7, 8]
    for _, row in results.summary.iterrows():
        model = Walkers(people=row["people"], stride=row["stride"], ends=True, rng=int(row["seed"]))
        for _ in range(3):
            model.step()
        assert not model.running
        frame = model.datacollector.get_model_vars_dataframe()
        mine = results.series[results.series["run_id"] == row["run_id"]]
        assert mine["collection"].tolist() == [0, 1, 2, 3]
        for name in ("spread", "farthest", "word"):
            assert mine[name].tolist() == frame[name].tolist()
            assert row[name] == frame[name].iloc[-1]
        assert row["steps_made"] == 3


def test_failed_runs_are_named_and_the_others_kept(results):
    assert results.failures == {
        f"p000{point}-r000{replicate}": "failed: ValueError: too far" for point in (1, 3) for replicate in (0, 1)
    }


def test_a_finished_sweep_is_resumed_and_another_refused(results):
    options = {"replicates": 2, "seed": 7, "out": results.directory, "workers": 1, "resume": True}
    with pytest.raises(SweepError, match="context steps: 5 there, 6 here"):
        sweep_mesa(Walkers, SWEPT, steps=6, **options)
    with pytest.raises(SweepError, match="first run that differs"):
        sweep_mesa(Walkers, SWEPT | {"people": (3, 9)}, steps=5, **options)


def test_the_report_shows_a_model_of_ones_own(results):
    page = html_report(results)
    for said in ("<h1>Walkers</h1>", "4 points x 2 seeds", "4 of 8 runs are in the results; 4 failed", "swept: stride"):
        assert said in page
    assert "4 failed" in page
    assert page.count("data:image/png") == 2  # spread and farthest, for a screen and for a phone
    assert f"{results.summary['spread'][results.summary['point'] == 2].mean():.2f}" in page


def test_a_model_that_takes_seed_instead_of_rng(tmp_path):
    found = sweep_mesa(OldWalkers, {"people": 4}, steps=2, out=tmp_path / "out", workers=1)
    model = OldWalkers(people=4, seed=1)
    model.step()
    model.step()
    assert found.summary["spread"].tolist() == [model.datacollector.model_vars["spread"][-1]]


@pytest.mark.parametrize(
    ("model", "parameters", "words"),
    [
        (Unseeded, {}, "takes neither rng nor seed"),
        (Forgetful, {}, r"does not hand its seed on.*super\(\).__init__\(rng=rng\)"),
        (Walkers, {"poeple": [1, 2]}, r"parameter 'poeple': Walkers takes people, stride, ends.*did you mean 'people'"),
        (Walkers, {"people": []}, "parameter 'people': no values"),
        (Walkers, {"seed": [1, 2]}, "seeds are given by seed and replicates"),
        (Walkers, {"people": "three"}, r"Walkers\(people='three', rng=1\): TypeError"),
        (int, {}, "not a subclass of mesa.Model"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_is_made(tmp_path, model, parameters, words):
    with pytest.raises(SweepError, match=words):
        sweep_mesa(model, parameters, steps=2, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_that_workers_cannot_import(tmp_path):
    class Inside(Walkers):
        pass

    with pytest.raises(SweepError, match="put the class into a module of its own"):
        sweep_mesa(Inside, {}, steps=2, out=tmp_path / "out")
    with pytest.raises(SweepError, match="each must be at least 1"):
        sweep_mesa(Walkers, {}, steps=0, out=tmp_path / "out")


def test_what_is_no_number_is_named():
    model = Lists(rng=1)
    model.step()
    with pytest.raises(StoreError, match="model reporter 'all' gives list"):
        outputs_of(model, 1)
