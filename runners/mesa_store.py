"""A store for the scenarios of Mesa 4 that writes Parquet: ``run_scenarios(scenarios, config, store=ParquetStore(out))``.

Mesa 4 hands each worker a writer, and tells the store what became of each run; its own store keeps all outputs in
memory. This one commits each run by itself, from the worker, and gathers runs in shards as they are completed, so that
the results are those of any sweep of ours: :class:`.results.Results`, DuckDB, polars and R read them, while it runs too.
The protocol is that of ``mesa.experimental.scenarios.store`` (Mesa main of August 2026); nothing of Mesa is imported
unless it is there.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .engine import manifest as manifests
from .engine.ledger import Ledger
from .engine.part import about_session
from .storage.stage import MANIFEST, commit, read_tasks
from .storage.store import Store, read_table, table_names
from .storage.tables import ID_COLUMNS, SUMMARY, StoreError, parameter_types, to_tables
from .sweep import default_block

if TYPE_CHECKING:
    import pandas as pd

    from .results import Results

EXECUTE = "mesa.experimental.scenarios:run_scenarios"
PENDING, SUCCEEDED, FAILED, ABORTED = "PENDING", "SUCCEEDED", "FAILED", "ABORTED"


class RunId(NamedTuple):
    """A run of Mesa: number of its scenario, and of its replication."""

    scenario_id: int
    replication_id: int


@dataclass
class RunRecord:
    """What is known of a run.

    Attributes:
        scenario: its scenario.
        status: ``PENDING``, ``SUCCEEDED``, ``FAILED`` or ``ABORTED``.
        output: always None here; the store reads it from the disk, by ``retrieve_output``.
        failure: what happened, as Mesa said.
    """

    scenario: Any
    status: str = PENDING
    output: "dict[str, pd.DataFrame] | None" = None
    failure: Any = None


class ParquetReference(NamedTuple):
    """What a worker sends back of a run: its name, and where its output lies."""

    run_id: Any
    payload: str


@dataclass(frozen=True)
class ParquetWriter:
    """What a worker has of the store: it commits runs.

    Attributes:
        directory: results directory.
    """

    directory: Path

    def to_reference(self, run_id: Any, outcome: "Mapping[str, pd.DataFrame]") -> ParquetReference:
        """Commit a run.

        Raises:
            StoreError: if a table or column cannot be stored.
            OSError: if the disk does not take it.
        """
        tasks, types = _planned(self.directory, _time_of(self.directory))
        task = tasks[name_of(run_id)]
        outputs = {table_name(name): _columns(frame) for name, frame in outcome.items()}
        if len(outputs) < len(outcome):
            raise StoreError(f"outcomes {', '.join(outcome)}: some have the same name as a table; rename them")
        commit(self.directory, task["run_id"], to_tables(task, outputs, types))
        return ParquetReference(run_id, task["run_id"])


class ParquetStore:
    """Results of ``run_scenarios`` in a directory.

    Args:
        directory: results directory to make.

    Raises:
        StoreError: if the directory holds results already.
    """

    def __init__(self, directory: str | Path):
        self.directory = Path(directory).absolute()
        if self.directory.exists() and any(self.directory.iterdir()):
            raise StoreError(f"{self.directory}: exists already and is not empty; choose another name")
        self._runs: dict[RunId, RunRecord] = {}
        self._store: Store | None = None
        self._ledger: Ledger | None = None
        self._block_of: dict[RunId, int] = {}
        self._open: Counter[int] = Counter()

    # ------------------------------------------------------------------ before the runs

    def writer(self) -> ParquetWriter:
        """Return what a worker needs to commit runs; it can be pickled."""
        return ParquetWriter(self.directory)

    def write_scenarios(self, scenarios: Iterable[Any]) -> None:
        """Write down all runs, before the first is made."""
        points: dict[str, int] = {}
        tasks = []
        for scenario in scenarios:
            key = RunId(scenario.scenario_id, scenario.replication_id)
            if key in self._runs:
                raise StoreError(f"scenario {key.scenario_id}, replication {key.replication_id}: stands twice")
            self._runs[key] = RunRecord(scenario)
            parameters = {str(name): _plain(value) for name, value in dict(scenario).items()}
            tasks.append(
                {
                    "run_id": name_of(key),
                    "point": points.setdefault(json.dumps(parameters, sort_keys=True), len(points)),
                    "replicate": max(key.replication_id, 0),
                    "seed": int(scenario.seed_sequence.generate_state(1)[0]),
                    "parameters": parameters,
                }
            )
        if not tasks:
            raise StoreError("no scenarios: there is nothing to run")
        self.directory.mkdir(parents=True, exist_ok=True)
        block = default_block(len(tasks))
        described = manifests.describe(tasks, EXECUTE, {"name": type(scenario).__name__}, block)
        manifests.write_tasks(self.directory, tasks)
        manifests.write_manifest(self.directory, described)
        footer = {"scenario": "", "versions": json.dumps(described["versions"])}
        self._store = Store(self.directory, [name_of(key) for key in self._runs], block, footer)
        self._block_of = {key: number // block for number, key in enumerate(self._runs)}
        self._open = Counter(self._block_of.values())
        self._ledger = Ledger(self.directory, about_session(0, len(tasks), []))

    def read_scenarios(self) -> list[Any]:
        """Return the scenarios."""
        return [record.scenario for record in self._runs.values()]

    # ------------------------------------------------------------------ what became of the runs

    def mark_succeeded(self, ref: Any) -> None:
        """Record that a run is committed; a block of runs that is complete is sealed."""
        self._settle(ref.run_id, SUCCEEDED, None)
        assert self._store is not None
        block = self._block_of[_key(ref.run_id)]
        self._open[block] -= 1
        if not self._open[block]:
            self._store.seal(block)

    def mark_failed(self, run_id: Any, failure: Any) -> None:
        """Record that a run raised."""
        self._settle(run_id, FAILED, failure)

    def mark_aborted(self, run_id: Any, failure: Any) -> None:
        """Record that a run was not finished because the executor broke."""
        self._settle(run_id, ABORTED, failure)

    def _settle(self, run_id: Any, status: str, failure: Any) -> None:
        record = self._record(run_id)
        record.status, record.failure = status, failure
        state = {SUCCEEDED: "done", FAILED: "failed", ABORTED: "killed"}[status]
        details = {} if failure is None else {"error": str(failure.exception_type), "message": str(failure.message)}
        assert self._ledger is not None
        self._ledger.write(name_of(run_id), state, attempt=1, **details)  # type: ignore[arg-type]

    def _record(self, run_id: Any) -> RunRecord:
        try:
            return self._runs[_key(run_id)]
        except KeyError:
            raise StoreError(f"{run_id}: no such run; write_scenarios names those there are") from None

    # ------------------------------------------------------------------ reading

    def retrieve_output(self, run_id: Any) -> "dict[str, pd.DataFrame]":
        """Return the tables of a run.

        Raises:
            StoreError: if it is not in the results.
        """
        record = self._record(run_id)
        if record.status != SUCCEEDED:
            raise StoreError(f"{name_of(run_id)}: {record.status.lower()}, so there is no output")
        found = {}
        for name in table_names(self.directory):
            if name != SUMMARY:
                table = read_table(self.directory, name, {name_of(run_id)}).drop_columns(list(ID_COLUMNS))
                found[name] = table.to_pandas()
        return found

    def status(self) -> "pd.DataFrame":
        """Return a row a run with its status, by scenario and replication."""
        import pandas as pd

        index = pd.MultiIndex.from_tuples(list(self._runs), names=RunId._fields)
        return pd.DataFrame({"status": [record.status for record in self._runs.values()]}, index=index)

    def check_status(self, run_id: Any) -> Any:
        """Return the status of a run, as Mesa has it if it is there."""
        return _as_mesa(self._record(run_id).status)

    def _with(self, status: str) -> dict[Any, RunRecord]:
        return {_run_id(key): record for key, record in self._runs.items() if record.status == status}

    def succeeded(self) -> dict[Any, RunRecord]:
        """Return the runs that are in the results."""
        return self._with(SUCCEEDED)

    def failed(self) -> dict[Any, RunRecord]:
        """Return the runs that raised."""
        return self._with(FAILED)

    def pending(self) -> dict[Any, RunRecord]:
        """Return the runs that are still awaited."""
        return self._with(PENDING)

    def aborted(self) -> dict[Any, RunRecord]:
        """Return the runs that were given up because the executor broke."""
        return self._with(ABORTED)

    def results(self) -> "Results":
        """Join the shards, close the journal and return the results.

        Raises:
            StoreError: if nothing was run.
        """
        from .results import Results

        if self._store is None or self._ledger is None:
            raise StoreError("nothing was run; hand this store to run_scenarios first")
        self._store.finish()
        self._ledger.end("finished")
        self._ledger.close()
        self._store = None
        return Results(self.directory)


def name_of(run_id: Any) -> str:
    """Return our name of a run of Mesa; a scenario that is not replicated has replication −1 there."""
    replication = "r0000" if run_id.replication_id < 0 else f"r{run_id.replication_id:04d}"
    return f"s{run_id.scenario_id:04d}-{replication}"


def table_name(outcome: str) -> str:
    """Return the table of an outcome: small letters, digits and ``_``."""
    return re.sub(r"[^a-z0-9]+", "_", outcome.lower()).strip("_")


def _columns(frame: "pd.DataFrame") -> dict[str, Any]:
    """Return the columns of a frame, with its index if that says more than the number of the row."""
    if frame.index.nlevels > 1 or frame.index.name is not None:
        frame = frame.reset_index()
    return {str(name): frame[name].to_numpy() for name in frame.columns}


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def _time_of(directory: Path) -> int:
    """Return when the runs of a directory were written down: a worker may meet another sweep in the same place."""
    try:
        return (directory / MANIFEST).stat().st_mtime_ns
    except FileNotFoundError:
        raise StoreError(f"{directory}: no runs were written down; call write_scenarios first") from None


@lru_cache(maxsize=4)
def _planned(directory: Path, time: int) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:  # noqa: ARG001
    """Return the runs by name and the types of the parameters' columns; read once in a worker."""
    tasks = read_tasks(directory)
    return {task["run_id"]: task for task in tasks}, parameter_types(tasks)


def _key(run_id: Any) -> RunId:
    return RunId(run_id.scenario_id, run_id.replication_id)


def _run_id(key: RunId) -> Any:
    """Return a run's name as Mesa has it, if Mesa is there."""
    try:
        from mesa.experimental.scenarios.store import RunId as Theirs
    except ImportError:
        return key
    return Theirs(*key)


def _as_mesa(status: str) -> Any:
    try:
        from mesa.experimental.scenarios.store import Status
    except ImportError:
        return status
    return Status[status]
