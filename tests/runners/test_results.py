"""Results as DataFrames, from a directory or from memory."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from citytwin.runners.results import Results
from citytwin.runners.run import run
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.storage.tables import StoreError

IDS = ["run_id", "point", "replicate", "seed"]


def test_tables_of_a_sweep(swept: Path) -> None:
    results = Results(swept)
    assert results.tables == ["infections", "series", "summary", "zone_series"]
    assert len(results.summary) == 12
    assert len(results.series) == 12 * 25
    for name in results.tables:
        assert list(results.table(name).columns[:4]) == IDS
    assert list(results.summary.columns[4:6]) == ["policy.schools closed.compliance", "policy.work less.compliance"]
    assert len(results.table("infections")) == results.summary["infections"].sum()
    assert results.series["date"].dtype.kind == "M"


def test_plain_parquet_says_the_same(swept: Path) -> None:
    plain = pd.concat([pq.read_table(file).to_pandas() for file in sorted((swept / "summary").glob("*.parquet"))])
    pd.testing.assert_frame_equal(plain.reset_index(drop=True), Results(swept).summary)


def test_what_was_run(swept: Path) -> None:
    results = Results(swept)
    assert results.scenario.name == "tiny town"
    assert results.points == results.scenario.points()
    assert results.failures == {}
    assert {"numba", "mesa", "python"} <= set(results.info["versions"])
    assert repr(results) == f"Results('{swept}': 12 of 12 runs; infections, series, summary, zone_series)"


def test_failures_are_named(swept: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "ledger").mkdir(parents=True)
    for name in ("sweep.json", "tasks.jsonl"):
        (out / name).write_bytes((swept / name).read_bytes())
    lines = [
        {"run_id": "p0001-r0000", "state": "failed", "error": "ValueError", "message": "no such street"},
        {"run_id": "p0002-r0001", "state": "killed", "error": "SIGKILL"},
        {"run_id": "p0002-r0002", "state": "started"},
    ]
    (out / "ledger" / "0001.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert Results(out).failures == {
        "p0001-r0000": "failed: ValueError: no such street",
        "p0002-r0001": "killed: SIGKILL",
    }


def test_in_memory(tiny: Scenario) -> None:
    results = run(tiny)
    assert results.directory is None
    assert results.failures == {}
    assert repr(results) == "Results(in memory: 1 of 1 runs; series, summary)"
    with pytest.raises(StoreError, match="no table 'trips'; there are: series, summary"):
        results.table("trips")


def test_what_is_no_results_directory(tmp_path: Path, swept: Path) -> None:
    with pytest.raises(StoreError, match="not a results directory"):
        Results(tmp_path)
    (tmp_path / "sweep.json").write_text("[")
    with pytest.raises(StoreError, match=r"sweep\.json"):
        Results(tmp_path)
    with pytest.raises(StoreError, match="no table 'trips'"):
        Results(swept).table("trips")
