"""Events: what changes on the streets while vehicles are under way."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...environment.design.timed import StreetEvents
from ...environment.network.network import Network
from ...environment.roads import Access
from ..vehicles import VehicleKind
from .record import LARGE

if TYPE_CHECKING:
    from .flow import Flow


class Events:
    """Changes of links during one day.

    Args:
        network: the streets as they are without the events.
        changes: what designs change; None for nothing.
        seconds_per_euro: time that drivers would spend to save a euro of toll.

    Attributes:
        closed: bool (links,) who drives may not enter.
        closing: whether the latest changes have closed a link that was open.
        toll: float64 (links,) euros for a passage as things stand.
        paid: euros that have been paid so far, see :meth:`collect`.
    """

    def __init__(self, network: Network, changes: StreetEvents | None = None, seconds_per_euro: float = 0.0):
        self.network = network
        self._rows = {} if changes is None else {name: getattr(changes, name) for name in _USED}
        self._seconds = self._rows.get("second", np.zeros(0))
        self._next = 0
        self.closed = np.zeros(network.links, np.bool_)
        self.closing = False
        self.toll = np.zeros(network.links) if network.toll is None else network.toll.astype(float)
        self.paid = 0.0
        self._counted = np.zeros(network.links, np.int64)
        self._seconds_per_euro = seconds_per_euro
        self._free = network.free_time

    def next_second(self, now: float) -> float:
        """Return when the next change comes after ``now``, in seconds after midnight; infinite if none does."""
        later = self._seconds[self._seconds > now]
        return float(later[0]) if len(later) else float("inf")

    def due(self, now: float) -> bool:
        """Return whether there are changes up to ``now`` that have not been made."""
        self.closing = False
        self._until = int(np.searchsorted(self._seconds, now, side="right"))
        return self._until > self._next

    def apply(self, flow: "Flow") -> None:
        """Make the changes that are due."""
        for row in range(self._next, self._until):
            link = self._rows["link"][row : row + 1]
            shut = not self._rows["access"][row] & Access.CAR
            self.closing |= bool(shut and not self.closed[link[0]])
            self.closed[link] = shut
            speed = self._rows["speed"][row : row + 1]
            flow.change(link, speed, np.maximum(self._rows["lanes"][row : row + 1], 1e-3))
            self.toll[link] = self._rows["toll"][row]
            self._free[link] = self.network.length[link] / speed
        self._next = self._until
        flow.close(self.closed)

    def collect(self, flow: "Flow", *, cleared: bool = False) -> None:
        """Take the tolls of the passages since the last time; buses pay none.

        Args:
            flow: the vehicles.
            cleared: whether the counts of the flow will be cleared next.
        """
        left_of = flow.state.left_of
        left = flow.left - (left_of[_BUS] if len(left_of) > _BUS else 0)
        if self.toll.any():
            self.paid += float(((left - self._counted) * self.toll).sum())
        self._counted = np.zeros_like(left) if cleared else left

    def priced(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what drivers go by: the seconds of links (links,), at today's speed at least, and the toll as time.

        Closed links are infinite.
        """
        price = seconds + self._seconds_per_euro * self.toll
        if not len(self._seconds):
            return price  # type: ignore[no-any-return]
        return np.where(self.closed, np.inf, np.maximum(seconds, self._free) + price - seconds)


_BUS = LARGE[VehicleKind.BUS] - 1
_USED = ("second", "link", "access", "speed", "lanes", "toll")
