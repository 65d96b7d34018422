"""Comparing points: pairs of one seed, intervals, and runs that are missing."""

import math
import statistics
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from citytwin.runners.compare import compare, interval, measures_in, welch_half
from citytwin.runners.results import Results
from citytwin.runners.scenarios.scenario import Scenario, ScenarioError
from citytwin.runners.storage.tables import StoreError
from citytwin.runners.sweep import sweep

# Two-sided 90 % quantiles of Student's t for 1 to 5 degrees of freedom, from the printed table (Fisher & Yates).
STUDENT_90 = {1: 6.314, 2: 2.920, 3: 2.353, 4: 2.132, 5: 2.015}


def summary(points: dict[int, dict[int, float]]) -> pd.DataFrame:
    """Return a summary with an attack rate a point and seed."""
    rows = [
        {"point": point, "seed": seed, "attack_rate": value}
        for point, runs in points.items()
        for seed, value in runs.items()
    ]
    return pd.DataFrame(rows)


def row(frame: pd.DataFrame, point: int, measure: str = "attack_rate") -> pd.Series:
    [found] = [r for _, r in frame.iterrows() if r["point"] == point and r["measure"] == measure]
    return found


def test_pairs_by_hand() -> None:
    found = row(compare(summary({0: {1: 0.5, 2: 0.4, 3: 0.6}, 1: {3: 0.3, 1: 0.3, 2: 0.1}})), 1)
    differences = [-0.2, -0.3, -0.3]
    assert found["difference"] == pytest.approx(statistics.mean(differences))
    half = STUDENT_90[2] * statistics.stdev(differences) / math.sqrt(3)
    assert found["low"] == pytest.approx(statistics.mean(differences) - half, rel=1e-3)
    assert found["high"] == pytest.approx(statistics.mean(differences) + half, rel=1e-3)
    assert found["mean"] == pytest.approx(0.7 / 3)
    assert (found["runs"], found["pairs"]) == (3, 3)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_interval_against_the_printed_table(n: int) -> None:
    values = np.arange(n, dtype=float)
    low, high = interval(values)
    half = STUDENT_90[n - 1] * statistics.stdev(values.tolist()) / math.sqrt(n)
    assert (high - low) / 2 == pytest.approx(half, rel=1e-3)
    assert (high + low) / 2 == pytest.approx(values.mean())


def test_the_interval_holds_the_mean_as_often_as_it_says() -> None:
    """Of 4,000 samples of 4 normal numbers 90 % hold the mean; 1.5 points are three standard errors."""
    generator = np.random.default_rng(1)
    held = [low <= 3.0 <= high for low, high in (interval(generator.normal(3.0, 2.0, 4)) for _ in range(4_000))]
    assert abs(np.mean(held) - 0.9) < 0.015


@given(st.dictionaries(st.integers(0, 99), st.floats(0, 1), min_size=1, max_size=8), st.data())
def test_a_point_equal_to_the_baseline_differs_by_exactly_zero(runs: dict[int, float], data: st.DataObject) -> None:
    kept = data.draw(st.sets(st.sampled_from(sorted(runs)), min_size=1))
    found = row(compare(summary({0: runs, 1: {seed: runs[seed] for seed in kept}})), 1)
    assert found["difference"] == 0.0
    assert found["pairs"] == len(kept)
    assert (found["low"], found["high"]) == (0.0, 0.0) or len(kept) == 1


def test_runs_that_are_missing_leave_the_pairs_there_are() -> None:
    frame = compare(summary({0: {1: 0.5, 2: 0.4, 3: 0.9}, 1: {2: 0.1, 3: 0.4, 4: 0.0}, 2: {9: 0.5}, 4: {1: 0.25}}))
    assert (row(frame, 1)["runs"], row(frame, 1)["pairs"]) == (3, 2)
    assert row(frame, 1)["difference"] == pytest.approx((-0.3 - 0.5) / 2)
    assert row(frame, 2)["pairs"] == 0
    assert row(frame, 2)["difference"] == pytest.approx(0.5 - 0.6)  # unpaired, of the means
    assert math.isnan(row(frame, 2)["low"])  # of one run
    assert row(frame, 4)["difference"] == -0.25
    assert math.isnan(row(frame, 4)["low"])
    assert sorted(frame["point"].unique()) == [0, 1, 2, 4]


def test_a_value_that_is_missing_makes_no_pair() -> None:
    frame = compare(summary({0: {1: 0.5, 2: float("nan")}, 1: {1: 0.25, 2: 0.1}}))
    assert (row(frame, 1)["pairs"], row(frame, 1)["difference"]) == (1, -0.25)


FEW = st.lists(st.floats(-1, 1).map(lambda value: round(value, 6)), min_size=2, max_size=8)


@given(FEW, FEW)
def test_without_common_seeds_the_interval_is_that_of_scipy(base: list[float], other: list[float]) -> None:
    found = row(compare(summary({0: dict(enumerate(base)), 1: dict(enumerate(other, 100))}), level=0.9), 1)
    assert found["pairs"] == 0
    assert found["difference"] == pytest.approx(np.mean(other) - np.mean(base), abs=1e-12)
    if len({*base}) > 1 and len({*other}) > 1:
        low, high = ttest_ind(other, base, equal_var=False).confidence_interval(0.9)
        assert (found["low"], found["high"]) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))
    else:  # all the luck is in one of them
        low, high = interval(np.array(other) - base[0] if len({*base}) == 1 else other[0] - np.array(base))
        assert (found["low"], found["high"]) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


def test_the_unpaired_interval_holds_the_difference_as_often_as_it_says() -> None:
    """Of 3,000 pairs of samples of 4 and 7 runs with unlike variances; 2 points are more than three standard errors."""
    generator = np.random.default_rng(2)
    samples = [generator.normal(0, 1, (3000, 4)), generator.normal(0.5, 3, (3000, 7))]
    variance, number = np.stack([s.var(1, ddof=1) for s in samples]), np.array([4, 7])
    half = np.array([welch_half(pair, number, 0)[1] for pair in variance.T])
    held = np.abs(samples[1].mean(1) - samples[0].mean(1) - 0.5) <= half
    assert abs(held.mean() - 0.9) < 0.02


def test_common_luck_makes_pairs_narrower() -> None:
    """The same runs with the seeds of the baseline, and with seeds of their own."""
    luck = np.random.default_rng(3).normal(0, 0.1, 6)
    both = [
        summary({0: dict(enumerate(luck)), 1: dict(enumerate(luck + 0.01 * luck**2 + 0.2, first))}) for first in (0, 50)
    ]
    paired, alone = (row(compare(table), 1) for table in both)
    assert (paired["pairs"], alone["pairs"]) == (6, 0)
    assert paired["difference"] == pytest.approx(alone["difference"])
    assert alone["high"] - alone["low"] > 20 * (paired["high"] - paired["low"])


def test_another_baseline_turns_the_sign() -> None:
    table = summary({0: {1: 0.5, 2: 0.4}, 1: {1: 0.3, 2: 0.3}})
    there, back = row(compare(table), 1), row(compare(table, 1), 0)
    assert there["difference"] == pytest.approx(-back["difference"])
    assert there["low"] == pytest.approx(-back["high"])


def test_a_baseline_without_runs_is_refused() -> None:
    with pytest.raises(StoreError, match="baseline 3: no run of this point is in the results; points with runs: 0, 1"):
        compare(summary({0: {1: 0.5}, 1: {1: 0.5}}), 3)


def test_a_sweep(swept: Path) -> None:
    results = Results(swept)
    frame = results.compare()
    assert len(frame) == 4 * len(measures_in(results.summary))
    assert (frame["pairs"] == 3).all()
    base = frame[frame["point"] == 0]
    assert (base[["difference", "low", "high"]] == 0.0).all(axis=None)
    means = results.summary.groupby("point")["infections"].mean()
    for point in range(4):
        assert row(frame, point, "infections")["difference"] == pytest.approx(means[point] - means[0])


def test_what_never_happened_is_not_compared(swept: Path) -> None:
    summary = Results(swept).summary
    assert "lost_school_days" in [measure.column for measure in measures_in(summary)]
    nobody = summary.assign(lost_school_days=0, attack_rate=0.0)
    columns = [measure.column for measure in measures_in(nobody)]
    assert "lost_school_days" not in columns
    assert "attack_rate" in columns


TWICE = """\
name = "twice"
[city]
one_place = { people = 200 }
[clock]
days = 12
[epidemic]
disease = "influenza"
transmission = 0.01
[[policy]]
name = "less"
close = ["shop"]
compliance = 0.5
[sweep]
design = "list"
replicates = 2
[sweep.parameters]
"""


def test_points_that_are_equal_but_written_differently_differ_by_exactly_zero(tmp_path: Path) -> None:
    text = TWICE + '"epidemic.r0" = [2, 2.0]\n"policy.less.compliance" = [1.0, 1]\n'
    text = text.replace("transmission = 0.01\n", "r0 = 3\n")
    frame = sweep(Scenario.from_text(text), out=tmp_path / "out", workers=1).compare()
    assert sorted(frame["point"].unique()) == [0, 1]
    assert (frame[frame["measure"] == "infections"]["mean"] > 0).all()
    assert (frame[["difference", "low", "high"]] == 0.0).all(axis=None)


def test_the_same_number_twice_is_one_point_too_many() -> None:
    with pytest.raises(ScenarioError, match="stand there twice"):
        Scenario.from_text(TWICE + '"policy.less.compliance" = [0.5, 0.50]\n')
