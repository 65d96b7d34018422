"""What access comes to: by all people, zone, age group and place, with its inequality; as a table and as map layers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..equity import gini, worst_off
from .points import Origins

if TYPE_CHECKING:
    import geopandas
    import pandas

ALL = "all"
WORST = 0.1
"""Share of people whose mean is given as that of the worst off."""


@dataclass(frozen=True)
class Access:
    """Access of people to opportunities.

    Attributes:
        origins: where people set out.
        kinds: names of the opportunities.
        minutes: limits.
        reached: by mode, float64 (origins, minutes, kinds) from :func:`.reach.reach`.
    """

    origins: Origins
    kinds: tuple[str, ...]
    minutes: tuple[float, ...]
    reached: Mapping[str, NDArray[np.float64]]

    def table(self) -> "pandas.DataFrame":
        """Return a row for each group, mode, limit and kind of opportunity.

        Columns:
            by, group: ``all``; each other grouping of the origins; ``cell`` or ``point`` with x and y in metres.
            people: in the group.
            mean: opportunities that a person reaches on average; missing without people.
            share_any: share of the people who reach at least one.
            gini, worst_tenth: Gini coefficient over the people, and the mean of the tenth who reach least; for ``all``.
        """
        import pandas

        parts = []
        for by, names, people in self._groups():
            total = people.sum(axis=0)
            for mode, reached in self.reached.items():
                for number, limit in enumerate(self.minutes):
                    for column, kind in enumerate(self.kinds):
                        rows = _rows(people, total, reached[:, number, column], fair=by == ALL)
                        heads = {"by": by, "group": names, "mode": mode, "minutes": limit, "kind": kind}
                        parts.append(pandas.DataFrame(heads | {"people": total} | rows))
        parts.append(self._places())
        return pandas.concat([part for part in parts if len(part)], ignore_index=True)

    def layer(self) -> "geopandas.GeoDataFrame":
        """Return cells (squares, means over their people) or points, a column for each mode, limit and kind."""
        import geopandas
        import shapely

        x, y, people, means = self._by_place()
        grid = self.origins.grid
        shapes = shapely.points(x, y) if grid is None else shapely.box(*_square(x, y, grid.cell / 2))
        columns = {"id": self._place_names(), "people": people} | {
            column_name(kind, mode, limit): means[mode][:, number, column]
            for mode in self.reached
            for number, limit in enumerate(self.minutes)
            for column, kind in enumerate(self.kinds)
        }
        return geopandas.GeoDataFrame(columns, geometry=shapes)

    def zone_columns(self) -> dict[str, Any]:
        """Return by zone: people, and mean of the people for each mode, limit and kind; empty without zones."""
        if "zone" not in self.origins.groupings:
            return {}
        names, people = self.origins.groupings["zone"]
        total = people.sum(axis=0)
        columns: dict[str, Any] = {"name": names, "people": total}
        for mode, reached in self.reached.items():
            for number, limit in enumerate(self.minutes):
                for column, kind in enumerate(self.kinds):
                    columns[column_name(kind, mode, limit)] = _mean(people.T @ reached[:, number, column], total)
        return columns

    def _groups(self) -> Iterator[tuple[str, list[str], NDArray[np.float64]]]:
        yield ALL, ["everybody"], self.origins.people[:, None]
        for by, (names, people) in self.origins.groupings.items():
            yield by, names, people

    def _place_names(self) -> list[str]:
        cells = self.origins.cells
        return self.origins.name if cells is None else [str(cell) for cell in np.unique(cells).tolist()]

    def _by_place(self) -> tuple[Any, Any, NDArray[np.float64], dict[str, NDArray[np.float64]]]:
        """Return coordinates, people, and by mode the means of the people of each cell, or the figures of each point."""
        origins, grid, cells = self.origins, self.origins.grid, self.origins.cells
        if grid is None or cells is None:
            return origins.x, origins.y, origins.people, dict(self.reached)
        used, row = np.unique(cells, return_inverse=True)
        people = np.bincount(row, origins.people).astype(np.float64)
        west, _, _, north = grid.bounds
        x = west + (used % grid.shape[1] + 0.5) * grid.cell
        y = north - (used // grid.shape[1] + 0.5) * grid.cell
        means = {}
        for mode, reached in self.reached.items():
            flat = reached.reshape(len(origins), -1)
            each = [np.bincount(row, origins.people * values, len(used)) for values in flat.T]
            sums = np.stack(each, 1).astype(np.float64)
            means[mode] = _mean(sums, people[:, None]).reshape(len(used), *reached.shape[1:])
        return x, y, people, means

    def _places(self) -> "pandas.DataFrame":
        import pandas

        x, y, people, means = self._by_place()
        by = "point" if self.origins.grid is None else "cell"
        parts = []
        for mode in self.reached:
            for number, limit in enumerate(self.minutes):
                for column, kind in enumerate(self.kinds):
                    heads = {"by": by, "group": self._place_names(), "mode": mode, "minutes": limit, "kind": kind}
                    found = {"people": people, "mean": means[mode][:, number, column], "x": x, "y": y}
                    parts.append(pandas.DataFrame(heads | found))
        return pandas.concat(parts, ignore_index=True)


def column_name(kind: str, mode: str, minutes: float) -> str:
    """Return the name of a layer's column."""
    return f"{kind}_{mode}_{minutes:g}"


def _rows(
    people: NDArray[np.float64], total: NDArray[np.float64], values: NDArray[np.float64], *, fair: bool
) -> dict[str, NDArray[np.float64]]:
    some = (values > 0).astype(float)
    rows = {"mean": _mean(people.T @ values, total), "share_any": _mean(people.T @ some, total)}
    if fair and total[0] > 0:
        rows["gini"] = np.array([gini(values, people[:, 0])])
        rows["worst_tenth"] = np.array([worst_off(values, people[:, 0], share=WORST, most_is_worst=False)])
    return rows


def _mean(sums: NDArray[np.float64], people: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(sums, people, out=np.full(np.shape(sums), np.nan), where=people > 0)


def _square(x: NDArray[np.float64], y: NDArray[np.float64], half: float) -> tuple[NDArray[np.float64], ...]:
    return x - half, y - half, x + half, y + half
