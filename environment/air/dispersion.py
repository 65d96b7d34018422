"""Dispersion: concentrations near the ground from what each cell emits, and what people breathe of it.

A Gaussian plume with Briggs's urban spread (Gifford 1976) starts in every cell. At a distance downwind it fills, evenly in
effect, a layer of the depth at which its mass gives the plume's concentration at the ground, at most the mixing height.
The plume is laid on the grid piece by piece, each piece spread over cells by exact integrals, so that no mass is lost or
made. Concentrations are means of cells: at the kerb they are higher. Nothing reacts, settles or arrives from elsewhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import AirError

STABILITIES = ("A", "B", "C", "D", "E", "F")
"""Pasquill's classes, from very unstable to stable; D is neutral."""
HOUR = 3600.0
_NEAR = 2  # cells beside its own that a piece reaches: they hold 6.9 standard deviations, 5e-12 of it is beyond
_WIDTH = 4.0  # standard deviations beside the axis of a plume that are laid out; 6e-5 of the mass are drawn in


@dataclass(frozen=True)
class Weather:
    """Weather in which emissions spread.

    Attributes:
        speed: m/s; the default is a usual annual mean in cities of Europe (assumed).
        direction: degrees from north, clockwise, from which the wind blows; None for all directions alike.
        stability: Pasquill class; neutral is the most frequent in cities (assumed).
        mixing_height: m, top of the air that traffic's emissions reach (assumed).
        wake: m, vertical spread behind vehicles, with which a plume begins (assumed).
        reach: m to which a plume is followed; the formulas hold to 10 km.
    """

    speed: float = 3.0
    direction: float | None = None
    stability: str = "D"
    mixing_height: float = 800.0
    wake: float = 1.5
    reach: float = 5000.0

    def __post_init__(self) -> None:
        if self.stability not in STABILITIES:
            raise AirError(f"weather: stability '{self.stability}'; allowed are {', '.join(STABILITIES)}")
        for name in ("speed", "mixing_height", "wake", "reach"):
            value = getattr(self, name)
            if not (value > 0 and np.isfinite(value)):
                raise AirError(f"weather: {name} is {value}, must be above 0; calm air is about 0.5 m/s")
        if self.reach > 10_000:
            raise AirError(f"weather: reach is {self.reach} m; the spread of plumes is known to 10000 m")
        if self.direction is not None and not np.isfinite(self.direction):
            raise AirError(f"weather: direction is {self.direction}, must be degrees from north or left out")


def plume_spread(distance: ArrayLike, stability: str = "D") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Briggs's urban standard deviations of a plume, crosswind and vertical.

    Args:
        distance: (n,) m downwind; measured for 100 to 10,000 m.
        stability: Pasquill class.

    Returns:
        float64 (n,) m each. Source: Briggs in Gifford (1976), as table 19-6 of Fundamentals of Air Pollution, 3rd edition.
    """
    x = np.asarray(distance, float)
    across = {"A": 0.32, "B": 0.32, "C": 0.22, "D": 0.16, "E": 0.11, "F": 0.11}[stability]
    up, bend, power = {
        "A": (0.24, 0.001, 0.5),
        "B": (0.24, 0.001, 0.5),
        "C": (0.20, 0.0, 0.0),
        "D": (0.14, 0.0003, -0.5),
        "E": (0.08, 0.0015, -0.5),
        "F": (0.08, 0.0015, -0.5),
    }[stability]
    return across * x * (1.0 + 0.0004 * x) ** -0.5, up * x * (1.0 + bend * x) ** power


def plume_depth(distance: ArrayLike, weather: Weather) -> NDArray[np.float64]:
    """Return the depth in m of the layer whose even concentration is that of the plume at the ground.

    For a Gaussian plume from the ground, reflected there, it is √(π/2) of the vertical standard deviation.
    """
    _, vertical = plume_spread(distance, weather.stability)
    return np.minimum(np.sqrt(np.pi / 2.0) * np.hypot(vertical, weather.wake), weather.mixing_height)


def plume_kernel(weather: Weather, cell: float) -> NDArray[np.float64]:
    """Return the concentration around a cell that emits evenly and steadily.

    Kernels of several weathers of the same reach may be averaged with the share of time of each.

    Args:
        weather: wind, stability, depth.
        cell: side of a cell in m.

    Returns:
        float64 (2 k + 1, 2 k + 1) s/m³, northernmost row first: g/m³ per g/s emitted in the cell in the middle.
    """
    if not cell > 0:
        raise AirError(f"a cell of {cell} m is not possible")
    blob = cell / np.sqrt(
        12.0
    )  # standard deviation of an even source over a cell; also fine enough a spacing of pieces
    edges = [0.0]
    while edges[-1] < weather.reach:  # short pieces where the depth changes fast
        edges.append(min(edges[-1] + min(0.5 + 0.1 * edges[-1], blob), weather.reach))
    edge = np.array(edges)
    x, seconds = (edge[1:] + edge[:-1]) / 2.0, np.diff(edge) / weather.speed
    mass = seconds / plume_depth(x, weather)
    east, north, weight = _pieces(weather, x, mass, blob)
    half = (
        int(np.ceil((np.hypot(weather.reach, _WIDTH * plume_spread(weather.reach, weather.stability)[0])) / cell)) + 3
    )
    return _spread(east / cell, north / cell, weight, half)[::-1] / cell**2


def _pieces(
    weather: Weather, x: NDArray[np.float64], mass: NDArray[np.float64], blob: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return east, north (m) and mass of pieces no further apart than ``blob``, of the same sum as ``mass``."""
    if weather.direction is None:  # the mean over all directions of a plume is a plume over all directions
        count = np.ceil(2.0 * np.pi * x / blob).astype(np.int64) + 4
        row, number = _ragged(count)
        angle = 2.0 * np.pi * (number + 0.5) / count[row]
        return x[row] * np.sin(angle), x[row] * np.cos(angle), mass[row] / count[row]
    side, _ = plume_spread(x, weather.stability)
    count = 2 * np.ceil(_WIDTH * side / blob).astype(np.int64) + 1
    row, number = _ragged(count)
    width = np.maximum(side, 1e-9)[row]
    across = (number - count[row] // 2) * (2.0 * _WIDTH * side / count)[row]
    share = np.exp(-0.5 * (across / width) ** 2)
    share /= np.bincount(row, share)[row]
    towards = np.deg2rad(weather.direction + 180.0)
    east, north = np.sin(towards), np.cos(towards)
    return x[row] * east + across * north, x[row] * north - across * east, mass[row] * share


def _ragged(count: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return row and number within the row of all members of rows of so many."""
    row = np.repeat(np.arange(len(count)), count)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)


def _spread(
    east: NDArray[np.float64], north: NDArray[np.float64], weight: NDArray[np.float64], half: int
) -> NDArray[np.float64]:
    """Return what pieces leave in cells, (2 half + 1, 2 half + 1), southernmost row first; each is as wide as an even cell.

    Args:
        east, north: (n,) middles of the pieces, in cells from the middle of the middle cell.
        weight: (n,).
        half: cells on each side of the middle one; pieces lie further inside than :data:`_NEAR`.
    """
    from scipy.special import ndtr

    side = 2 * half + 1
    first_column, first_row = (np.rint(at).astype(np.int64) - _NEAR for at in (east, north))
    border = np.arange(2 * _NEAR + 2)[:, None] - 0.5
    in_column, in_row = (
        np.diff(ndtr((first + border - at) * np.sqrt(12.0)), axis=0)
        for first, at in ((first_column, east), (first_row, north))
    )
    corner = (first_row + half) * side + first_column + half
    total = np.zeros(side * side)
    for row, north_share in enumerate(in_row):
        for column, east_share in enumerate(in_column):
            total += np.bincount(corner + row * side + column, weight * north_share * east_share, side * side)
    return total.reshape(side, side)


def concentration(
    grams: NDArray[np.float64], kernel: NDArray[np.float64], seconds: float = HOUR
) -> NDArray[np.float64]:
    """Return mean concentrations near the ground.

    Args:
        grams: (…, rows, columns) emitted in each cell within ``seconds``.
        kernel: of :func:`plume_kernel`, for cells of this side.
        seconds: time in which they were emitted.

    Returns:
        float64 (…, rows, columns) µg/m³ that come from these cells.
    """
    from scipy.signal import fftconvolve

    rows, columns = grams.shape[-2:]
    half = kernel.shape[0] // 2
    down, right = min(half, rows - 1), min(half, columns - 1)  # further away there is nothing to add
    used = kernel[half - down : half + down + 1, half - right : half + right + 1]
    used = used.reshape((1,) * (grams.ndim - 2) + used.shape)
    spread = fftconvolve(grams * (1e6 / seconds), used, mode="same", axes=(-2, -1))
    return np.maximum(spread, 0.0)  # the transform leaves rounding below 0


# ------------------------------------------------------------------ exposure


def exposure(levels: NDArray[np.float64], where: Iterable[Any]) -> NDArray[np.float64]:
    """Return what each person is exposed to, as mean over the hours.

    Args:
        levels: (hours, rows, columns), for example µg/m³.
        where: (people,) cell of each person's home, or one such array for each hour for where people are then, as
            ``(cells[presence.places_at(day, 4 * hour + 2)] for hour in range(24))`` with
            ``cells = grid.cell_of(city.places.x, city.places.y)``. Cells are numbered as in the grid, −1 is outside.

    Returns:
        float64 (people,); time outside the grid counts as exposed to nothing.

    Raises:
        AirError: if there are not as many arrays of cells as hours.
    """
    flat = levels.reshape(len(levels), -1)
    if isinstance(where, np.ndarray) and where.ndim == 1:
        return _at(flat.mean(axis=0), where)
    try:
        here = [_at(level, np.asarray(cell)) for level, cell in zip(flat, where, strict=True)]
    except ValueError:
        raise AirError(f"where people are: give one array of cells for each of the {len(flat)} hours") from None
    return np.mean(here, axis=0)


def _at(level: NDArray[np.float64], cell: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.where(cell >= 0, level[cell], 0.0)
