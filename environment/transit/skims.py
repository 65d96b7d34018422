"""What journeys by public transport take between parts of a city, hour by hour, for those who choose a mode."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .raptor import Parts, journeys, parts_of, walks_to_stops
from .timetable import Timetable

HOURS = 24
LONGEST = 3 * 3_600.0
"""Seconds of a journey at most: who would take longer has no journey; assumed."""
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class TransitSkims:
    """Journeys between cells of a square grid, by hour of departure.

    Attributes:
        west, south, size: corner and side of the cells, metres.
        cell: int32 (rows, columns) number of each cell, −1 where it holds none of the points that the skims were made for.
        seconds, walk, wait: float32 (24, cells, cells) of a journey in all, on foot, and waiting; infinite without one.
        transfers: uint8 (24, cells, cells).
        only_bus: bool (24, cells, cells) whether all vehicles of the journey are buses.
    """

    west: float
    south: float
    size: float
    cell: NDArray[np.int32]
    seconds: NDArray[np.float32]
    walk: NDArray[np.float32]
    wait: NDArray[np.float32]
    transfers: NDArray[np.uint8]
    only_bus: NDArray[np.bool_]

    def between(
        self, from_x: ArrayLike, from_y: ArrayLike, to_x: ArrayLike, to_y: ArrayLike, depart: ArrayLike
    ) -> Parts:
        """Return what journeys take; infinite where there is none.

        Args:
            from_x, from_y, to_x, to_y: (n,) metres; outside the cells there is no journey.
            depart: (n,) seconds since midnight; later hours are those of the day.
        """
        start, end = self.cells_of(from_x, from_y), self.cells_of(to_x, to_y)
        where = ((np.asarray(depart, float) // 3_600.0).astype(np.int64) % HOURS, start, end)
        known = (start >= 0) & (end >= 0)
        seconds, walk, wait = (
            np.where(known, column[where], np.inf).astype(float) for column in (self.seconds, self.walk, self.wait)
        )
        some = np.isfinite(seconds)
        riding = np.full(len(seconds), np.inf)
        riding[some] = seconds[some] - walk[some] - wait[some]
        return Parts(seconds, walk, riding, wait, self.transfers[where].astype(float), self.only_bus[where] & known)

    def cells_of(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.int32]:
        """Return the cell of each point, −1 outside."""
        column = np.floor((np.asarray(x, float) - self.west) / self.size).astype(np.int64)
        row = np.floor((np.asarray(y, float) - self.south) / self.size).astype(np.int64)
        inside = (row >= 0) & (row < self.cell.shape[0]) & (column >= 0) & (column < self.cell.shape[1])
        return np.where(inside, self.cell[np.where(inside, row, 0), np.where(inside, column, 0)], -1).astype(np.int32)


def transit_skims(timetable: Timetable, x: ArrayLike, y: ArrayLike, cells: int = 300, threads: int = 1) -> TransitSkims:
    """Search journeys between cells of a city for every hour of the day.

    Journeys begin and end at the mean of the points in a cell. Within an hour every cell has a moment of its own at which
    it is left, spread evenly, so that waiting is neither always short nor always long.

    Args:
        timetable: what runs, with walks between stops.
        x, y: (points,) metres, where journeys begin and end, for example all places; as often as they matter.
        cells: at most.
        threads: working side by side; results do not depend on it.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    west, south, size = float(x.min()), float(y.min()), 50.0
    while True:
        column, row = ((x - west) / size).astype(np.int64), ((y - south) / size).astype(np.int64)
        width = int(column.max()) + 1
        used, number = np.unique(row * width + column, return_inverse=True)
        if len(used) <= cells:
            break
        size *= 1.05
    cell = np.full((int(row.max()) + 1, width), -1, np.int32)
    cell.ravel()[used] = np.arange(len(used))
    count = np.bincount(number)
    walks = walks_to_stops(timetable, np.bincount(number, x) / count, np.bincount(number, y) / count)
    shape = (HOURS, len(used), len(used))
    found = TransitSkims(
        west=west,
        south=south,
        size=size,
        cell=cell,
        seconds=np.full(shape, np.inf, np.float32),
        walk=np.full(shape, np.inf, np.float32),
        wait=np.full(shape, np.inf, np.float32),
        transfers=np.zeros(shape, np.uint8),
        only_bus=np.zeros(shape, bool),
    )
    start, end = (index.ravel() for index in np.indices(shape[1:]))
    moment = 3_600.0 * (_GOLDEN * np.arange(len(used)) % 1.0)
    for hour in range(HOURS):
        depart = np.floor(3_600.0 * hour + moment[start])
        trips = journeys(timetable, walks, walks, start, end, depart, limit=LONGEST, threads=threads)
        parts = parts_of(timetable, trips, depart)
        some = np.isfinite(parts.seconds)
        for target, values in ((found.seconds, parts.seconds), (found.walk, parts.walk), (found.wait, parts.wait)):
            target[hour].ravel()[some] = values[some]
        found.transfers[hour].ravel()[some] = parts.transfers[some]
        found.only_bus[hour] = parts.only_bus.reshape(shape[1:])
    return found
