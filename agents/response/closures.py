"""Streets that emergency vehicles cannot enter for a part of the day."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...environment.network.network import Network
from ...environment.roads import Access

if TYPE_CHECKING:
    from ...environment.design.timed import StreetEvents


class Closures:
    """Which links emergency vehicles cannot enter during a day.

    Args:
        network: the streets.
        events: what changes; None for nothing.

    Attributes:
        moments: seconds after midnight at which something changes.
    """

    def __init__(self, network: Network, events: "StreetEvents | None"):
        self._links, self._events = network.links, events
        self.moments = np.zeros(0) if events is None else np.unique(events.second)

    def closed(self, second: float) -> NDArray[np.bool_] | None:
        """Return which links (links,) are closed at a moment; None if nothing changes all day."""
        if self._events is None:
            return None
        closed = np.zeros(self._links, bool)
        for row in range(int(np.searchsorted(self._events.second, second, side="right"))):
            closed[self._events.link[row]] = not self._events.access[row] & (Access.CAR | Access.BUS)
        return closed
