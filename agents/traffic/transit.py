"""Public transport of a city: what journeys it offers, and what becomes of those who take it."""

import datetime
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...environment.network.graph import Graph
from ...environment.network.network import Network
from ...environment.transit.added import with_lines
from ...environment.transit.gtfs import read_gtfs
from ...environment.transit.invented import invented_timetable
from ...environment.transit.raptor import Parts, journeys, walks_to_stops
from ...environment.transit.skims import TransitSkims, transit_skims
from ...environment.transit.timetable import Timetable
from .buses import Buses, bus_runs
from .riders import Riders, ride, riders_of

if TYPE_CHECKING:
    from ...environment.city import City
    from ...environment.design.design import Design

LEAST_METRES = 600.0
"""Metres as the crow flies below which nobody looks for a line (assumed: the walks to and from stops are as long)."""
CELLS = 300
"""Parts of a city between which journeys are looked up before modes are chosen (assumed: as exact as the choice needs)."""
QUARTER = 900.0


class PublicTransport:
    """Lines of a city, and the journeys that they offer between its nodes.

    Args:
        city: the city.
        network: its streets.
        feeds: paths of GTFS feeds; without any, lines are invented.
        designs: street designs whose new lines run as well.
        threads: threads for searching; journeys do not depend on it.

    Attributes:
        timetable: what runs on the day.
    """

    not_saved = ("timetable", "_walks", "_invented", "_between", "_runs", "_with_lines")  # made again when a day begins

    timetable: Timetable

    def __init__(
        self,
        city: "City",
        network: Network,
        feeds: Sequence[str] = (),
        designs: "Sequence[Design]" = (),
        threads: int = 1,
    ):
        self.city, self.network, self.feeds, self.threads = city, network, tuple(feeds), threads
        self._added = [design.transit(city) for design in designs if any(c.kind == "new_line" for c in design.changes)]
        self._invented: dict[bool, Timetable] = {}
        self._between: tuple[Timetable, TransitSkims] | None = None
        self._runs: tuple[Timetable, Buses] | None = None
        self._with_lines: tuple[Timetable, Timetable] | None = None

    def begin_day(self, date: datetime.date) -> None:
        """Take the timetable of a day.

        Raises:
            TransitError: if a feed cannot be read, or does not hold on that day.
        """
        if self.feeds:
            timetable = read_gtfs(list(self.feeds), date, crs=self.city.info.crs, within=self.city.info.bounds)
        else:
            weekend = date.weekday() >= 5
            if weekend not in self._invented:
                self._invented[weekend] = invented_timetable(self.city, weekend=weekend)
            timetable = self._invented[weekend]
        if self._added:
            if self._with_lines is None or self._with_lines[0] is not timetable:
                whole = timetable
                for tables in self._added:
                    whole = with_lines(whole, **tables)
                self._with_lines = timetable, whole.with_walks()
            timetable = self._with_lines[1]
        self.timetable = timetable
        self._walks = walks_to_stops(timetable, self.network.x, self.network.y)

    def bus_runs(self, graph: Graph) -> Buses:
        """Return what buses drive on the day.

        Args:
            graph: the streets as buses may use them.
        """
        if self._runs is None or self._runs[0] is not self.timetable:
            self._runs = self.timetable, bus_runs(self.timetable, self.network, graph, self.threads)
        return self._runs[1]

    def offer(
        self, origin: NDArray[np.int32], destination: NDArray[np.int32], depart: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], Parts]:
        """Return what journeys between the surroundings of nodes take in the hour in which trips leave.

        Args:
            origin, destination: int32 (trips,) nodes.
            depart: float64 (trips,) seconds after midnight.

        Returns:
            rows of the trips for which a journey was looked for, and the parts of their journeys.
        """
        x, y = self.network.x, self.network.y
        far = np.hypot(x[origin] - x[destination], y[origin] - y[destination]) >= LEAST_METRES
        row = np.flatnonzero(far)
        skims = self._skims()
        return row, skims.between(x[origin[row]], y[origin[row]], x[destination[row]], y[destination[row]], depart[row])

    def _skims(self) -> TransitSkims:
        """Return what journeys by the day's timetable take between parts of the city."""
        if self._between is None or self._between[0] is not self.timetable:
            places = self.city.places
            self._between = (
                self.timetable,
                transit_skims(self.timetable, places.x, places.y, cells=CELLS, threads=self.threads),
            )
        return self._between[1]

    def plan(
        self, origin: NDArray[np.int32], destination: NDArray[np.int32], depart: NDArray[np.float64]
    ) -> tuple[Riders, NDArray[np.float64]]:
        """Plan journeys by the timetable.

        They are looked up from the quarter of an hour on in which riders leave, who then take the next vehicles of these
        lines.

        Args:
            origin, destination: int32 (riders,) nodes.
            depart: float64 (riders,) when they mean to leave, seconds after midnight.

        Returns:
            journeys by lines, and when they end, seconds after midnight, if vehicles keep to the timetable and have room;
            nan where there is none.
        """
        leave = np.floor(depart / QUARTER) * QUARTER
        timetable = self.timetable
        found = journeys(timetable, self._walks, self._walks, origin, destination, leave, threads=self.threads)
        riders = riders_of(timetable, found, depart)
        roomy = replace(timetable, capacity=np.full_like(timetable.capacity, len(depart)))
        return riders, ride(roomy, riders).arrive
