"""Events: what changes on the streets while vehicles are under way."""

from collections.abc import Iterator
from dataclasses import dataclass
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

_BUS = LARGE[VehicleKind.BUS]
_CLOSED_TO_BUSES = np.uint8(1 << _BUS)
_CLOSED_TO_OTHERS = np.uint8(255 - _CLOSED_TO_BUSES)


@dataclass(frozen=True)
class Conditions:
    """What holds on the streets from one change to the next.

    Attributes:
        closed: bool (links,) cars and trucks may not enter.
        closed_to_buses: bool (links,) buses may not enter.
        toll: float64 (links,) euros for a passage; buses pay none.
        free: float64 (links,) seconds at the speed that is allowed.
        seconds_per_euro: time that drivers would spend to save a euro.
    """

    closed: NDArray[np.bool_]
    closed_to_buses: NDArray[np.bool_]
    toll: NDArray[np.float64]
    free: NDArray[np.float64]
    seconds_per_euro: float

    def price(self, seconds: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return what drivers go by where links take some seconds, (links,): at the speed allowed at least, tolls as time.

        Links that are closed to cars are infinite.
        """
        price = np.maximum(seconds, self.free) + self.seconds_per_euro * self.toll
        return np.where(self.closed, np.inf, price)

    def price_for_buses(self, seconds: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the same for buses, which pay no toll and have closures of their own."""
        return np.where(self.closed_to_buses, np.inf, np.maximum(seconds, self.free))


class Events:
    """Changes of links during one day and the night after it.

    Args:
        network: the streets as they are without the events.
        changes: what designs change; None for nothing.
        seconds_per_euro: time that drivers would spend to save a euro of toll.

    Attributes:
        now: what holds after the latest :meth:`advance`.
        closing, closing_to_buses: whether that closed links that were open.
        paid: euros that have been paid so far, see :meth:`collect`.
    """

    def __init__(self, network: Network, changes: StreetEvents | None = None, seconds_per_euro: float = 0.0):
        self.network = network
        self._changes = changes
        self._second = np.zeros(0) if changes is None else changes.second
        nothing = np.zeros(network.links, np.bool_)
        toll = np.zeros(network.links) if network.toll is None else network.toll.astype(float)
        self._at_rest = Conditions(nothing, nothing, toll, network.free_time, seconds_per_euro)
        self.now = self._at_rest
        self.closing = self.closing_to_buses = False
        self.paid = 0.0
        self._made = 0
        self._counted = np.zeros(network.links, np.int64)

    @property
    def any(self) -> bool:
        """Whether something changes, or has to be paid for all day."""
        return len(self._second) > 0 or bool(self._at_rest.toll.any())

    def next_second(self, now: float) -> float:
        """Return when the next change comes after ``now``, in seconds after midnight; infinite if none does."""
        later = self._second[self._second > now]
        return float(later[0]) if len(later) else float("inf")

    def at(self, second: float) -> Conditions:
        """Return what holds at a moment, in seconds after midnight."""
        until = int(np.searchsorted(self._second, second, side="right"))
        if not until:
            return self._at_rest
        assert self._changes is not None
        link, access = self._changes.link[:until], self._changes.access[:until]
        rest = self._at_rest
        closed, closed_to_buses = rest.closed.copy(), rest.closed_to_buses.copy()
        toll, free = rest.toll.copy(), rest.free.copy()
        # of several changes of a link the last one stays
        closed[link], closed_to_buses[link] = (access & Access.CAR) == 0, (access & Access.BUS) == 0
        toll[link] = self._changes.toll[:until]
        free[link] = self.network.length[link] / self._changes.speed[:until]
        return Conditions(closed, closed_to_buses, toll, free, rest.seconds_per_euro)

    def spells(self) -> Iterator[tuple[float, Conditions]]:
        """Return from which second on what holds, from midnight on, in order."""
        for second in sorted({0.0, *self._second.tolist()}):
            yield second, self.at(second)

    def advance(self, now: float, flow: "Flow") -> bool:
        """Make the changes up to ``now`` that have not been made; return whether there were any."""
        self.closing = self.closing_to_buses = False
        until = int(np.searchsorted(self._second, now, side="right"))
        if until == self._made:
            return False
        assert self._changes is not None
        self.collect(flow)
        rows = slice(self._made, until)
        lanes = np.maximum(self._changes.lanes[rows], 1e-3)
        flow.change(self._changes.link[rows], self._changes.speed[rows], lanes)
        before, self.now, self._made = self.now, self.at(now), until
        self.closing = bool((self.now.closed & ~before.closed).any())
        self.closing_to_buses = bool((self.now.closed_to_buses & ~before.closed_to_buses).any())
        flow.close(self.now.closed * _CLOSED_TO_OTHERS | self.now.closed_to_buses * _CLOSED_TO_BUSES)
        return True

    def collect(self, flow: "Flow", *, cleared: bool = False) -> None:
        """Take the tolls of the passages since the last time; buses pay none.

        Args:
            flow: the vehicles.
            cleared: whether the counts of the flow will be cleared next.
        """
        left_of = flow.state.left_of
        left = flow.left - (left_of[_BUS - 1] if len(left_of) >= _BUS else 0)
        if self.now.toll.any():
            self.paid += float(((left - self._counted) * self.now.toll).sum())
        self._counted = np.zeros_like(left) if cleared else left
