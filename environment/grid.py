"""The grid on which everything in a city lies: square cells in its projected CRS, with named layers of values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .places import PlaceKind

if TYPE_CHECKING:
    from .city import City

MAX_CELLS = 100_000_000
CELL = 100.0  # m, the cell of the common 100 m population grids

# Colours of a layer from its smallest positive value to its largest: yellow, orange, red, dark red.
_COLOURS = np.array([[255, 237, 160], [253, 141, 60], [227, 26, 28], [128, 0, 38]], float)
_OPACITY = 190


@dataclass(frozen=True)
class GridLayer:
    """Values by cell.

    Attributes:
        values: (rows, columns), the northernmost row first.
        unit: unit of the values.
        doc: meaning.
    """

    values: NDArray[Any]
    unit: str = ""
    doc: str = ""


class CityGrid(Mapping[str, NDArray[Any]]):
    """Square cells over a city, with layers by name: ``grid["people"]`` is an array (rows, columns).

    Cells are numbered row by row from the north-west corner.

    Args:
        bounds: (west, south, east, north) in metres, which the cells cover.
        crs: projected CRS, for example ``"EPSG:32631"``.
        cell: side of a cell in metres.

    Attributes:
        shape: (rows, columns).
        bounds: (west, south, east, north) of the cells, metres; the south-west corner is as given.
        crs, cell: as given.

    Raises:
        ValueError: if the bounds are empty, or the cells too many.
    """

    def __init__(self, bounds: tuple[float, float, float, float], crs: str, cell: float = CELL):
        west, south, east, north = (float(value) for value in bounds)
        if not (np.isfinite([west, south, east, north]).all() and west <= east and south <= north):
            raise ValueError(f"bounds {bounds}: west, south, east, north in metres wanted")
        if not cell > 0:
            raise ValueError(f"a cell of {cell} m is not possible; give its side in metres, for example {CELL:g}")
        # One cell more than divides evenly, so that points on the eastern and northern edge lie in a cell.
        columns, rows = int((east - west) // cell) + 1, int((north - south) // cell) + 1
        if rows * columns > MAX_CELLS:
            raise ValueError(f"{columns} x {rows} cells of {cell} m are more than {MAX_CELLS:,}; take larger cells")
        self.shape = (rows, columns)
        self.cell = float(cell)
        self.crs = crs
        self.bounds = (west, south, west + columns * self.cell, south + rows * self.cell)
        self.layers: dict[str, GridLayer] = {}

    @classmethod
    def of_city(cls, city: "City", cell: float = CELL) -> "CityGrid":
        """Cover a city, with layers ``people`` (residents by home) and ``jobs`` (people who work, by workplace)."""
        x, y = city.places.x, city.places.y
        west, south, east, north = city.info.bounds
        if len(x):
            west, south = min(west, float(x.min())), min(south, float(y.min()))
            east, north = max(east, float(x.max())), max(north, float(y.max()))
        grid = cls((west, south, east, north), city.info.crs, cell)
        activity = city.people.activity
        jobs = activity[(activity >= 0) & (city.places.kind[activity] == PlaceKind.WORK)]
        grid.add("people", grid.count_in(city, city.people.household), "people", "residents by home")
        grid.add("jobs", grid.count_in(city, jobs), "people", "people who work, by workplace")
        return grid

    # ------------------------------------------------------------------ layers

    def add(self, name: str, values: ArrayLike, unit: str = "", doc: str = "") -> NDArray[Any]:
        """Add a layer, or put new values in the place of one.

        Args:
            name: name of the layer.
            values: (rows, columns), kept and not copied; or one number for all cells.
            unit: unit of the values.
            doc: meaning.

        Raises:
            ValueError: if the shape is not that of the grid.
        """
        array = np.asarray(values)
        if array.ndim == 0:
            array = np.full(self.shape, array)
        if array.shape != self.shape:
            raise ValueError(f"layer '{name}': shape {array.shape}, the grid has {self.shape} (rows, columns)")
        self.layers[name] = GridLayer(array, unit, doc)
        return array

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self.layers:
            raise KeyError(f"no layer '{name}'; there are: {', '.join(self.layers) or 'none'}")
        return self.layers[name].values

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        """Return the number of layers."""
        return len(self.layers)

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"CityGrid({columns} x {rows} cells of {self.cell:g} m, {self.crs}: {', '.join(self.layers)})"

    def density(self, name: str) -> NDArray[np.float64]:
        """Return a layer of counts per km2, (rows, columns)."""
        return self[name] / (self.cell**2 / 1e6)

    # ------------------------------------------------------------------ cells

    def cell_of(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.int64]:
        """Return the number of the cell of each point, −1 outside the grid.

        Args:
            x, y: metres in the grid's CRS, (n,) or one number each.

        Returns:
            int64 of the same shape; ``grid["people"].flat[cell]`` is the value there.
        """
        west, _, _, north = self.bounds
        rows, columns = self.shape
        # A point on a border belongs to the cell east of it, and north of it.
        column = np.floor((np.asarray(x, float) - west) / self.cell)
        row = rows - 1 - np.floor((np.asarray(y, float) - (north - rows * self.cell)) / self.cell)
        inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        return np.where(inside, row * columns + column, -1).astype(np.int64)

    def centre_of(self, cell: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return x and y of the middle of cells, metres, in the shape of ``cell``."""
        row, column = np.divmod(np.asarray(cell), self.shape[1])
        return self.bounds[0] + (column + 0.5) * self.cell, self.bounds[3] - (row + 0.5) * self.cell

    def count(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.int64]:
        """Count points by cell; those outside the grid are left out.

        Args:
            x, y: (n,) metres.

        Returns:
            int64 (rows, columns).
        """
        cell = np.atleast_1d(self.cell_of(x, y))
        return np.bincount(cell[cell >= 0], minlength=self.shape[0] * self.shape[1]).reshape(self.shape)

    def count_in(self, city: "City", places: ArrayLike) -> NDArray[np.int64]:
        """Count people by cell, given the place where each one is.

        Args:
            city: the city, whose places lie on this grid.
            places: (n,) place of each person, for example ``city.people.household``.

        Returns:
            int64 (rows, columns).
        """
        visitors = np.bincount(np.asarray(places, np.int64), minlength=len(city.places))
        used = np.flatnonzero(visitors)
        cell = self.cell_of(city.places.x[used], city.places.y[used])
        counts = np.zeros(self.shape[0] * self.shape[1], np.int64)
        np.add.at(counts, cell[cell >= 0], visitors[used][cell >= 0])
        return counts.reshape(self.shape)


def picture(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Paint values as a picture: yellow for the smallest positive value to dark red for the largest, by their roots.

    Args:
        values: (rows, columns); cells that are not positive stay clear.

    Returns:
        uint8 (4, rows, columns): red, green, blue, opacity.
    """
    shown = np.nan_to_num(np.asarray(values, float), posinf=0.0)
    filled = shown > 0
    root = np.sqrt(np.where(filled, shown, 0.0))
    low, high = (root[filled].min(), root[filled].max()) if filled.any() else (0.0, 1.0)
    share = np.clip((root - low) / (high - low), 0.0, 1.0) if high > low else filled.astype(float)
    stops = np.linspace(0.0, 1.0, len(_COLOURS))
    bands = [np.interp(share, stops, _COLOURS[:, band]) for band in range(3)]
    return (np.stack([*bands, np.full(shown.shape, float(_OPACITY))]) * filled).astype(np.uint8)
