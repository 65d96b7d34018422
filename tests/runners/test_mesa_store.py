"""The store for Mesa 4: its protocol, driven as Mesa drives it, and what it leaves on the disk."""

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import pytest

from citytwin.runners.mesa_store import ParquetStore, table_name
from citytwin.runners.storage.tables import StoreError


@runtime_checkable
class StoreProtocol(Protocol):
    """The names that Mesa 4 asks of a store."""

    def writer(self) -> Any: ...
    def retrieve_output(self, run_id: Any) -> dict[str, pd.DataFrame]: ...
    def write_scenarios(self, scenarios: list[Any]) -> None: ...
    def read_scenarios(self) -> list[Any]: ...
    def mark_succeeded(self, ref: Any) -> None: ...
    def mark_failed(self, run_id: Any, failure: Any) -> None: ...
    def mark_aborted(self, run_id: Any, failure: Any) -> None: ...
    def status(self) -> pd.DataFrame: ...
    def check_status(self, run_id: Any) -> Any: ...
    def succeeded(self) -> dict[Any, Any]: ...
    def failed(self) -> dict[Any, Any]: ...
    def pending(self) -> dict[Any, Any]: ...
    def aborted(self) -> dict[Any, Any]: ...


class Key(NamedTuple):
    """A run, as Mesa names it."""

    scenario_id: int
    replication_id: int


@dataclass(frozen=True)
class Failure:
    """What Mesa says of a failed run."""

    exception_type: str
    message: str


@dataclass(frozen=True)
class Scenario:
    """A scenario as Mesa has it, as far as a store needs it."""

    scenario_id: int
    replication_id: int
    parameters: dict[str, Any]
    seed_sequence: np.random.SeedSequence = field(default_factory=lambda: np.random.SeedSequence(3))

    def __iter__(self):
        return iter(self.parameters.items())


def scenarios(points=3, replications=4):
    seeds = np.random.SeedSequence(5)
    return [
        Scenario(point, replication, {"density": 0.1 * point, "kind": "a"}, seed)
        for point in range(points)
        for replication, seed in enumerate(seeds.spawn(replications))
    ]


def outcome(key):
    generator = np.random.default_rng([key.scenario_id, key.replication_id])
    agents = pd.DataFrame({"wealth": generator.integers(9, size=6)})
    agents.index = pd.MultiIndex.from_product([range(2), range(3)], names=["time", "agent"])
    return {"model_data": pd.DataFrame({"time": [0, 1], "gini": generator.random(2)}), "Agent Data": agents}


def drive(store, given, fails=()):
    """Make runs as Mesa's runner does: the writer first, then the scenarios, then what became of each."""
    writer = pickle.loads(pickle.dumps(store.writer()))
    store.write_scenarios(given)

    def make(scenario):
        key = Key(scenario.scenario_id, scenario.replication_id)
        if key in fails:
            return key, None
        return key, writer.to_reference(key, outcome(key))

    with ThreadPoolExecutor(2) as pool:
        for key, reference in pool.map(make, given):
            if reference is None:
                store.mark_failed(key, Failure("ValueError", "too dense"))
            else:
                store.mark_succeeded(pickle.loads(pickle.dumps(reference)))


def test_it_has_the_names_of_the_protocol(tmp_path):
    assert isinstance(ParquetStore(tmp_path / "out"), StoreProtocol)


def test_runs_are_results_like_any_other(tmp_path):
    store = ParquetStore(tmp_path / "out")
    given = scenarios()
    drive(store, given, fails={Key(1, 2)})
    assert store.read_scenarios() == given
    assert len(store.succeeded()) == 11
    assert list(store.failed()) == [Key(1, 2)]
    assert not store.pending()
    assert not store.aborted()
    assert store.check_status(Key(1, 2)) == "FAILED"
    assert store.status().loc[(1, 2), "status"] == "FAILED"
    for key in (Key(0, 0), Key(2, 3)):
        found, wanted = store.retrieve_output(key), outcome(key)
        pd.testing.assert_frame_equal(found["model_data"], wanted["model_data"])
        pd.testing.assert_frame_equal(found["agent_data"], wanted["Agent Data"].reset_index())
    with pytest.raises(StoreError, match="s0001-r0002: failed, so there is no output"):
        store.retrieve_output(Key(1, 2))
    results = store.results()
    assert results.tables == ["agent_data", "model_data", "summary"]
    assert results.summary["density"].tolist() == pytest.approx([0.0] * 4 + [0.1] * 3 + [0.2] * 4)
    assert results.failures == {"s0001-r0002": "failed: ValueError: too dense"}
    assert len(results.table("model_data", columns=["gini"], points=[2])) == 8
    assert len(pd.read_parquet(tmp_path / "out" / "model_data")) == 22


def test_a_broken_pool_leaves_what_was_committed(tmp_path):
    store = ParquetStore(tmp_path / "out")
    given = scenarios(1, 3)
    store.write_scenarios(given)
    store.mark_succeeded(store.writer().to_reference(Key(0, 0), outcome(Key(0, 0))))
    for key in list(store.pending()):
        store.mark_aborted(key, Failure("BrokenProcessPool", "a worker died"))
    assert set(store.aborted()) == {Key(0, 1), Key(0, 2)}
    results = store.results()
    assert results.summary["run_id"].tolist() == ["s0000-r0000"]
    assert set(results.failures) == {"s0000-r0001", "s0000-r0002"}


def test_another_sweep_in_the_same_place(tmp_path):
    for points in (1, 2):
        store = ParquetStore(tmp_path / "out")
        drive(store, scenarios(points))
        assert len(store.results().summary) == 4 * points
        shutil.rmtree(tmp_path / "out")


def test_what_is_wrong_is_named(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match="exists already and is not empty"):
        ParquetStore(tmp_path)
    store = ParquetStore(tmp_path / "out")
    with pytest.raises(StoreError, match="nothing was run"):
        store.results()
    with pytest.raises(StoreError, match="no scenarios"):
        store.write_scenarios([])
    with pytest.raises(StoreError, match="no runs were written down"):
        store.writer().to_reference(Key(0, 0), {})
    with pytest.raises(StoreError, match="stands twice"):
        store.write_scenarios([*scenarios(1, 1), *scenarios(1, 1)])
    again = ParquetStore(tmp_path / "again")
    again.write_scenarios(scenarios(1, 1))
    same = {"A b": pd.DataFrame({"x": [1]}), "a_b": pd.DataFrame({"x": [1]})}
    with pytest.raises(StoreError, match="have the same name as a table"):
        again.writer().to_reference(Key(0, 0), same)
    with pytest.raises(StoreError, match="no such run"):
        again.check_status(Key(9, 9))
    assert table_name("Agent  Data (all)") == "agent_data_all"
