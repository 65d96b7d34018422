"""Records: what a run leaves behind, gathered step by step: series, further tables, and the summary at its end."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..agents.epidemic.course import DEAD
from ..agents.lost_days import SORTS
from ..environment.grid import CityGrid
from .scenarios.sections import CELL_TABLE, HOSPITAL_TABLE

if TYPE_CHECKING:
    from ..agents.process import Process
    from .model import CityModel

Outputs = dict[str, dict[str, NDArray[Any]]]
ZONE_TABLE, AGE_TABLE = "zone_series", "age_series"
AGES_FROM = np.arange(0, 90, 10, dtype=np.int32)
"""First age of each group of :meth:`~citytwin.agents.process.Process.age_series`; the last is 80 and over."""
LOST = tuple(f"lost_{sort}_days" for sort in SORTS)
_LASTING = ("isolated", "quarantined")
"""Figures of measures that say how many people there are of a day; their sum is in person-days."""
_HOSPITAL_SUMS = ("admissions", "turned_away")
_HOSPITAL_PEAKS = ("hospital_patients", "icu_patients")


class Records:
    """Gathers the figures of a model.

    Args:
        model: the model, all parts of which are there.

    Attributes:
        series: a row a step made so far.
    """

    def __init__(self, model: "CityModel"):
        self.series: list[dict[str, Any]] = []
        self._model = model
        self._rows: dict[str, list[dict[str, NDArray[Any]]]] = {}

    def figures(self) -> dict[str, int | float]:
        """Return the figures of the step just made, always the same names in the same order."""
        model = self._model
        figures: dict[str, int | float] = dict(model.authority.series())
        for process in model.processes:
            _join(figures, process.series(), process)
        if model.hospitals is not None:
            figures |= model.hospitals.series()
        return figures | dict(zip(LOST, model.lost_days.tolist(), strict=True))

    def note(self) -> None:
        """Keep the figures of the step just made."""
        model, output = self._model, self._model.scenario.output
        when = {"day": model.day, "date": np.datetime64(model.date, "D")}
        self.series.append(when | self.figures())
        tables: dict[str, dict[str, NDArray[Any]]] = {}
        if output.by_zone:
            tables[ZONE_TABLE] = {"zone": np.arange(len(model.city.zones), dtype=np.int32)}
        if output.by_age:
            tables[AGE_TABLE] = {"age_from": AGES_FROM}
        for process in model.processes:
            for name, table in tables.items():
                _join(table, process.zone_series() if name == ZONE_TABLE else process.age_series(), process)
        if model.hospitals is not None and HOSPITAL_TABLE in output.tables:
            tables[HOSPITAL_TABLE] = model.hospitals.table()
        for name, table in tables.items():
            rows = len(next(iter(table.values())))
            same = {"day": np.full(rows, when["day"], np.int32), "date": np.full(rows, when["date"])}
            self._rows.setdefault(name, []).append(same | table)

    def match(self) -> None:
        """Let the rows so far have the figures of those to come: 0 for what there was none of, as of later policies."""
        names = self.figures()
        for number, row in enumerate(self.series):
            when = {"day": row["day"], "date": row["date"]}
            self.series[number] = when | {name: row.get(name, type(value)(0)) for name, value in names.items()}

    def tables(self) -> Outputs:
        """Return the tables of the run so far; see :meth:`CityModel.outputs`."""
        model = self._model
        wanted = model.scenario.output.tables
        tables: Outputs = {
            "summary": {name: np.array([value]) for name, value in self._summary().items()},
            "series": _columns(self.series),
        }
        for name, parts in self._rows.items():
            tables[name] = {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}
        if CELL_TABLE in wanted:
            tables[CELL_TABLE] = self._cells()
        for process in model.processes:
            if wanted:
                tables |= {name: table for name, table in process.tables().items() if name in wanted}
        return tables

    def _summary(self) -> dict[str, Any]:
        model = self._model
        summary: dict[str, Any] = {"people": len(model.city.people), "days": model.day}
        for process in model.processes:
            _join(summary, process.summary(), process)
        if model.hospitals is not None:
            summary |= {f"peak_{name}": self._most(name) for name in _HOSPITAL_PEAKS}
            summary |= {name: self._sum(name) for name in _HOSPITAL_SUMS}
        summary |= {name: self._sum(name) for name in LOST}
        for measure in model.authority.measures:
            for name in measure.series():
                summary[f"{name}_days" if name in _LASTING else name] = self._sum(name)
        for policy in model.authority.policies:
            summary[f"days_in_force.{policy.name}"] = self._sum(f"policy.{policy.name}")
        return summary

    def _sum(self, name: str) -> int:
        return sum(row[name] for row in self.series)

    def _most(self, name: str) -> int:
        return max((row[name] for row in self.series), default=0)

    def _cells(self) -> dict[str, NDArray[Any]]:
        """Return a row a grid cell where people live: its middle and side in metres, residents, infections, deaths."""
        model = self._model
        city, data = model.city, model.citizens.table.columns
        grid = CityGrid.of_city(city)
        homes = city.people.household
        cell = grid.cell_of(city.places.x[homes], city.places.y[homes])
        counts = {"residents": np.ones(len(homes))}
        if "infections" in data:
            counts["infections"] = data["infections"][: len(homes)]
            counts["deaths"] = data["health"][: len(homes)] == DEAD
        summed = {name: np.bincount(cell, values).astype(np.int64) for name, values in counts.items()}
        cells = np.flatnonzero(summed["residents"])
        x, y = grid.centre_of(cells)
        side = np.full(len(cells), grid.cell)
        return {"x": x, "y": y, "side": side} | {name: values[cells] for name, values in summed.items()}


def _columns(rows: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]} if rows else {}


def _join(figures: dict[str, Any], more: Mapping[str, Any], process: "Process") -> None:
    """Add the figures of a process to those of others."""
    for name, value in more.items():
        if name in figures:
            raise ValueError(f"process '{process.section}': there is a figure '{name}' already; it needs another name")
        figures[name] = value
