"""Results: the tables of a run or a sweep as DataFrames, with what is needed to know where they came from."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .engine.manifest import ManifestError, read_manifest
from .engine.sessions import sessions
from .storage import store
from .storage.tables import StoreError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from .scenarios.scenario import Scenario


class Results:
    """The results of a run or a sweep.

    A sweep that is still running can be opened too; what is committed by then is seen.

    Args:
        directory: results directory.

    Attributes:
        directory: results directory, or None if the results are in memory.
        info: what was run, with what versions (``sweep.json``), and its ``sessions``: when, on which machines.

    Raises:
        StoreError: if the directory holds no results.
    """

    def __init__(self, directory: str | Path):
        self.directory: Path | None = Path(directory)
        try:
            self.info: dict[str, Any] = read_manifest(self.directory)
            self.info["sessions"] = [session.facts for session in sessions(self.directory)]
        except ManifestError as error:
            raise StoreError(str(error)) from None
        self._memory: Mapping[str, pa.Table] = {}

    @classmethod
    def in_memory(cls, tables: "Mapping[str, pa.Table]", info: dict[str, Any]) -> "Results":
        """Hold tables that lie in no directory.

        Args:
            tables: Arrow tables by name, each with the columns run_id, point, replicate, seed.
            info: what ``sweep.json`` would say.
        """
        results = object.__new__(cls)
        results.directory, results.info, results._memory = None, info, tables
        return results

    def __repr__(self) -> str:
        where = "in memory" if self.directory is None else f"'{self.directory}'"
        return f"Results({where}: {len(self.summary)} of {self.info['runs']} runs; {', '.join(self.tables)})"

    @property
    def tables(self) -> list[str]:
        """Names of the tables there are."""
        return sorted(self._memory) if self.directory is None else store.table_names(self.directory)

    def table(
        self, name: str, *, columns: Sequence[str] | None = None, points: Iterable[int] | None = None
    ) -> "pd.DataFrame":
        """Return a table with a row for each of its rows in every run, in the order of the runs.

        Of a large table only what is asked for is read.

        Args:
            name: table: ``summary``, ``series``, …
            columns: those that are wanted, in this order; all of them if None.
            points: numbers of the points that are wanted; all of them if None.

        Raises:
            StoreError: if there is no such table or column.
        """
        wanted = None if points is None else set(points)
        if self.directory is not None:
            table = store.read_table(self.directory, name, columns=columns, points=wanted)
            return table.to_pandas(date_as_object=False)
        if name not in self._memory:
            raise StoreError(f"no table '{name}'; there are: {', '.join(self.tables)}")
        frame = self._memory[name].to_pandas(date_as_object=False)
        store.check_columns(name, () if columns is None else columns, frame.columns)
        rows = slice(None) if wanted is None else frame["point"].isin(wanted)
        return frame.loc[rows, slice(None) if columns is None else list(columns)]

    @cached_property
    def summary(self) -> "pd.DataFrame":
        """A row a run: what it came to, with the values of the swept parameters."""
        return self.table("summary")

    @cached_property
    def series(self) -> "pd.DataFrame":
        """A row a run and step."""
        return self.table("series")

    @cached_property
    def scenario(self) -> "Scenario":
        """The scenario that was run, its files as they were then."""
        from .scenarios.scenario import Scenario

        return Scenario.from_dict(self.info["scenario"], self.info["context"].get("files"))

    @property
    def is_of_city(self) -> bool:
        """Whether a scenario of citytwin was run, not somebody's own model."""
        return isinstance(self.info.get("scenario"), dict)

    @property
    def name(self) -> str:
        """What was run, in few words."""
        return self.scenario.name if self.is_of_city else str(self.info.get("context", {}).get("name", "Sweep"))

    @property
    def points(self) -> list[dict[str, Any]]:
        """The swept parameters of every point, in order."""
        return [dict(entry["parameters"]) for entry in self.info["points"]]

    @property
    def failures(self) -> dict[str, str]:
        """Runs that are not in the results though they were tried, each with what happened."""
        if self.directory is None:
            return {}
        from .engine.ledger import UNSUCCESSFUL
        from .engine.sessions import living, sessions, states

        alive = living(sessions(self.directory), wait=False)
        return {run: entry.told for run, entry in states(self.directory, alive).items() if entry.state in UNSUCCESSFUL}

    def compare(self, baseline: int = 0) -> "pd.DataFrame":
        """Return how each point differs from a baseline point; see :func:`compare.compare`."""
        from .compare import compare

        return compare(self.summary, baseline)

    def report(self, path: str | Path) -> Path:
        """Write a report that stands alone: picture, tables, what was run; see :func:`report.write_report`."""
        from .reports.report import write_report

        return write_report(self, Path(path))
