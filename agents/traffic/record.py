"""What a day of traffic leaves behind: passages of links by quarter of an hour, trips, trajectories of a sample."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..vehicles import VehicleKind
from .layout import CENTIMETRES, FORCED, FREE_MILLISECONDS

if TYPE_CHECKING:
    from ...environment.network.network import Network
    from .demand import Trips
    from .flow import Flow

QUARTERS = 96
QUARTER = 900.0  # s
LARGE = {VehicleKind.BUS: 1, VehicleKind.TRUCK: 2, VehicleKind.FIRE_ENGINE: 2}
"""Class by which vehicles are counted apart; all others count as cars, fire engines as trucks."""
COLUMNS = ("left_bus", "left_truck")
"""Columns of the classes in the table."""


def classes_of(kind: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the class of vehicles by their kind, 0 for those that count as cars."""
    by_kind = np.zeros(256, np.uint8)
    for large, number in LARGE.items():
        by_kind[large] = number
    return by_kind[kind]


class LinkRecord:
    """Passages by quarter of an hour and link of one day.

    Args:
        network: the streets.

    Attributes:
        entered, left: int32 (96, links) vehicles; those after midnight belong to the last quarter.
        seconds: float32 (96, links) mean of those that left in the quarter; the free time of the link where none did and
            none stood there, the queue's time where none left.
        left_of: int32 (2, 96, links) of those that left the buses, and the trucks.
        vehicles: int32 (96, links) on the link at the end of the quarter.
    """

    def __init__(self, network: "Network"):
        self.network = network
        shape = (QUARTERS, network.links)
        self.entered, self.left, self.vehicles = (np.zeros(shape, np.int32) for _ in range(3))
        self.left_of = np.zeros((len(COLUMNS), *shape), np.int32)
        self.seconds = np.broadcast_to(network.free_time.astype(np.float32), shape).copy()

    def note(self, quarter: int, flow: "Flow") -> None:
        """Keep what has passed since the flow was cleared, and clear it."""
        quarter = min(quarter, QUARTERS - 1)
        left = self.left[quarter] + flow.left
        spent = self.seconds[quarter] * self.left[quarter] + flow.spent
        self.entered[quarter] += flow.entered
        self.seconds[quarter] = np.where(left > 0, spent / np.maximum(left, 1), standing_seconds(self.network, flow))
        self.left[quarter] = left
        left_of = flow.state.left_of
        self.left_of[: len(left_of), quarter] += left_of.astype(np.int32)
        self.vehicles[quarter] = flow.on_links
        flow.clear()

    def table(self, day: int) -> dict[str, NDArray[Any]]:
        """Return the rows of links and quarters on which there was anybody.

        ``left_car``, ``left_bus`` and ``left_truck`` add up to ``left``.
        """
        quarter, link = np.nonzero((self.entered > 0) | (self.left > 0) | (self.vehicles > 0))
        seconds = self.seconds[quarter, link]
        large = {name: left[quarter, link] for name, left in zip(COLUMNS, self.left_of, strict=True)}
        return {
            "day": np.full(len(link), day, np.int32),
            "quarter": quarter.astype(np.int16),
            "link": link.astype(np.int32),
            "entered": self.entered[quarter, link],
            "left": self.left[quarter, link],
            "left_car": self.left[quarter, link] - sum(large.values()),
            **large,
            "travel_seconds": seconds,
            "speed": (self.network.length[link] / np.maximum(seconds, 1e-3)).astype(np.float32),
            "vehicles": self.vehicles[quarter, link],
        }


def standing_seconds(network: "Network", flow: "Flow") -> NDArray[np.float64]:
    """Return what a link takes from which nobody has left: free time if it is empty, otherwise its queue at capacity."""
    on = flow.on_links
    queued = on / np.where(np.isfinite(network.capacity), network.capacity, np.inf)
    return np.maximum(network.free_time, queued)


def trip_table(
    day: int,
    trips: "Trips",
    flow: "Flow",
    row: NDArray[np.integer],
    metres: NDArray[np.floating],
    driver: NDArray[np.int32],
) -> dict[str, NDArray[Any]]:
    """Return a row a trip.

    Passengers leave and arrive with their driver.

    Args:
        day: day of the run.
        trips: the trips.
        flow: their vehicles, moved to the end of the day.
        row: (trips,) row of each in the flow.
        metres: (trips,) metres of trips that do not use the streets as vehicles.
        driver: (trips,) trip by car on which a passenger rides along, −1 for others.
    """
    driven = flow.origin[row] >= 0
    free = flow.vehicles[row, FREE_MILLISECONDS] / 1000.0
    arrive, planned = flow.arrive[row], flow.planned[0, row]
    taken = arrive - trips.depart
    table = {
        "day": np.full(len(trips), day, np.int32),
        "person": trips.person,
        "purpose": trips.purpose,
        "mode": trips.mode,
        "kind": trips.kind,
        "from_place": trips.from_place,
        "to_place": trips.to_place,
        "origin": trips.origin,
        "destination": trips.destination,
        "depart": trips.depart.copy(),
        "arrive": arrive,
        "distance_m": np.where(driven, flow.vehicles[row, CENTIMETRES] / 100.0, metres).astype(np.float32),
        "free_seconds": np.where(driven, free, planned).astype(np.float32),
        "delay_seconds": np.where(driven, taken - free, taken - planned).astype(np.float32),
        "forced": flow.vehicles[row, FORCED],
    }
    passenger = np.flatnonzero(driver >= 0)
    for name in ("depart", "arrive", "distance_m", "free_seconds", "delay_seconds"):
        table[name][passenger] = table[name][driver[passenger]]
    return table
