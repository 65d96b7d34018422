"""Events: what changes on the streets while vehicles are under way."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...environment.design.timed import StreetEvents
from ...environment.network.network import Network
from ...environment.roads import Access

if TYPE_CHECKING:
    from .flow import Flow


class Events:
    """Changes of links during one day.

    Args:
        network: the streets as they are without the events.
        parts: what designs change, later ones over earlier ones at the same second.
        seconds_per_euro: time that drivers would spend to save a euro of toll.

    Attributes:
        closed: bool (links,) who drives may not enter.
        closing: whether the latest changes have closed a link that was open.
        toll: float64 (links,) euros for a passage as things stand.
        paid: euros that have been paid so far, see :meth:`collect`.
    """

    def __init__(self, network: Network, parts: Sequence[StreetEvents] = (), seconds_per_euro: float = 0.0):
        self.network = network
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _USED} if parts else {}
        order = np.argsort(columns.get("second", np.zeros(0)), kind="stable")
        self._rows = {name: column[order] for name, column in columns.items()}
        self._seconds = self._rows.get("second", np.zeros(0))
        self._next = 0
        self.closed = np.zeros(network.links, np.bool_)
        self.closing = False
        self.toll = np.zeros(network.links) if network.toll is None else network.toll.astype(float)
        self.paid = 0.0
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

    def collect(self, flow: "Flow") -> None:
        """Take the tolls of the passages since the flow was cleared."""
        self.paid += float(flow.state.left @ self.toll)

    def priced(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what drivers go by: the seconds of links (links,), at today's speed at least, and the toll as time.

        Closed links are infinite.
        """
        price = seconds + self._seconds_per_euro * self.toll
        if not len(self._seconds):
            return price  # type: ignore[no-any-return]
        return np.where(self.closed, np.inf, np.maximum(seconds, self._free) + price - seconds)


_USED = ("second", "link", "access", "speed", "lanes", "toll")
