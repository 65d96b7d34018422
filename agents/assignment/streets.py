"""Streets as static assignment sees them: links whose cost rises with their flow."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...environment.network.tntp import TntpNetwork
from .kernels import LARGEST_FACTOR


class AssignmentError(ValueError):
    """An assignment that cannot be made; the message names what was wrong, and the remedy."""


class Graph(NamedTuple):
    """Arcs by the node where they begin.

    Attributes:
        first: int32 (nodes + 1,) arcs of node v are first[v] … first[v + 1] − 1.
        head, tail: int32 (arcs,) nodes.
        through: bool (nodes,) whether paths may pass a node.
    """

    first: NDArray[np.int32]
    head: NDArray[np.int32]
    tail: NDArray[np.int32]
    through: NDArray[np.bool_]


class Curves(NamedTuple):
    """Cost of each arc: free · (1 + (flow · inverse)^power) + fixed, all float64 (arcs,); inverse is 0 for constants."""

    free: NDArray[np.float64]
    fixed: NDArray[np.float64]
    inverse: NDArray[np.float64]
    power: NDArray[np.float64]


@dataclass(frozen=True)
class Streets:
    """Links with costs that rise with flow: ``time = free_time (1 + b (flow / capacity)^power)``.

    Attributes:
        nodes: number of nodes.
        through: bool (nodes,) whether paths may pass a node.
        start, end: int32 (links,) nodes.
        capacity: float64 (links,) in the unit of demand.
        free_time: float64 (links,) in a unit of time.
        b, power: float64 (links,); constant time where one of them is 0.
        fixed: float64 (links,) cost on top of time, in units of time, for tolls and length; not below 0.
        link: int64 (links,) link of the network that each row is; −1 for passages within a node.
        first_name: number that the first node has in files and messages.
        within: int32 (…,) node of the network in which each of the last nodes lies that are none of the network's; demand
            cannot name them.
    """

    nodes: int
    through: NDArray[np.bool_]
    start: NDArray[np.int32]
    end: NDArray[np.int32]
    capacity: NDArray[np.float64]
    free_time: NDArray[np.float64]
    b: NDArray[np.float64]
    power: NDArray[np.float64]
    fixed: NDArray[np.float64]
    link: NDArray[np.int64]
    first_name: int = 0
    within: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))

    def __post_init__(self) -> None:
        for name, low in (("capacity", None), ("free_time", 0.0), ("b", 0.0), ("power", 0.0), ("fixed", 0.0)):
            values = getattr(self, name)
            fits = values > 0 if low is None else (values >= low) & np.isfinite(values)
            if not fits.all():
                row = int(np.flatnonzero(~fits)[0])
                allowed = "above 0" if low is None else "a finite number from 0 on"
                what = "the cost of toll and length" if name == "fixed" else name
                raise AssignmentError(
                    f"link {self.link_name(row)}: {what} is {values[row]:g}, must be {allowed} "
                    f"({int((~fits).sum())} links in all)"
                )

    @property
    def links(self) -> int:
        """Number of links."""
        return len(self.start)

    @property
    def places(self) -> int:
        """Number of nodes that demand can name."""
        return self.nodes - len(self.within)

    def names(self, nodes: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the numbers that nodes have in files and messages."""
        return np.concatenate([np.arange(self.places), self.within])[nodes] + self.first_name

    def link_name(self, row: int) -> str:
        """Return a link as messages name it."""
        return f"{self.names(self.start)[row]} → {self.names(self.end)[row]}"

    @classmethod
    def of_tntp(cls, net: TntpNetwork, *, toll_weight: float = 0.0, length_weight: float = 0.0) -> "Streets":
        """Return the streets of a TNTP network, in its units.

        Args:
            net: the network.
            toll_weight: time that a unit of toll is worth.
            length_weight: time that a unit of length is worth on top of the time it takes.
        """
        return cls(
            nodes=net.nodes,
            through=net.through,
            start=net.start,
            end=net.end,
            capacity=net.capacity,
            free_time=net.free_time,
            b=net.b,
            power=net.power,
            fixed=toll_weight * net.toll + length_weight * net.length,
            link=np.arange(net.links),
            first_name=1,
        )

    def times(self, flow: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the time of each link at a flow, without the fixed cost, (links,)."""
        free, inverse, power = self._scaled()
        return free * (1.0 + _congestion(flow, inverse, power))

    def objective(self, flow: NDArray[np.float64]) -> float:
        """Return the sum over links of the integral of cost from 0 to the flow, which an equilibrium makes least."""
        free, inverse, power = self._scaled()
        return math.fsum(flow * (free * (1.0 + _congestion(flow, inverse, power) / (power + 1.0)) + self.fixed))

    def _scaled(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return time = free (1 + (flow · inverse)^power) for all links, where no term overflows before time does."""
        constant = (self.b == 0) | (self.power == 0)
        free = np.where(self.power == 0, self.free_time * (1.0 + self.b), self.free_time)
        power = np.where(constant, 1.0, self.power)
        inverse = np.where(constant, 0.0, np.where(constant, 1.0, self.b) ** (1.0 / power) / self.capacity)
        return free, inverse, power

    def graph(self) -> tuple[Graph, NDArray[np.int64]]:
        """Return the arcs and the link of each arc."""
        link = np.argsort(self.start, kind="stable")
        first = np.zeros(self.nodes + 1, np.int32)
        first[1:] = np.cumsum(np.bincount(self.start, minlength=self.nodes))
        return Graph(first, self.end[link], self.start[link], np.ascontiguousarray(self.through)), link

    def curves(self, link: NDArray[np.int64]) -> Curves:
        """Return the cost curves of the arcs with these links."""
        free, inverse, power = self._scaled()
        columns = (free, self.fixed, inverse, power)
        return Curves(*(np.ascontiguousarray(column[link]) for column in columns))


def _congestion(
    flow: NDArray[np.float64], inverse: NDArray[np.float64], power: NDArray[np.float64]
) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        return np.minimum((flow * inverse) ** power, LARGEST_FACTOR)
