"""The network: links, nodes, turns and signals as everything that moves uses them."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..roads import Access, RoadRank, largest_component

JAM_SPACING = 7.5
"""Length of street in metres that a standing car takes, with the gap to the next (MATSim's and SUMO's figure)."""

SATURATION = {
    # Vehicles an hour and lane that may leave a link: the defaults of MATSim's reader of OpenStreetMap for MOTORWAY to
    # LIVING_STREET and of its JOSM plugin for service roads, which count what crossings and signals take away.
    RoadRank.MOTORWAY: 2000.0,
    RoadRank.TRUNK: 2000.0,
    RoadRank.PRIMARY: 1500.0,
    RoadRank.SECONDARY: 1000.0,
    RoadRank.TERTIARY: 600.0,
    RoadRank.UNCLASSIFIED: 600.0,
    RoadRank.RESIDENTIAL: 600.0,
    RoadRank.LIVING_STREET: 300.0,
    RoadRank.SERVICE: 300.0,
    RoadRank.TRACK: 300.0,
    RoadRank.CYCLEWAY: 300.0,  # where a car may use it at all; assumed
    RoadRank.PATH: 300.0,  # as for CYCLEWAY
}


class NetworkError(ValueError):
    """A network that cannot be read or used; the message names file or object, and the remedy."""


@dataclass(frozen=True)
class Turns:
    """Passages from one link to another that cost extra time or are forbidden.

    Attributes:
        from_link, to_link: int32 (turns,), ``end[from_link] == start[to_link]``; each pair once.
        penalty: float64 (turns,) seconds on top; infinite where the turn is forbidden.
    """

    from_link: NDArray[np.int32]
    to_link: NDArray[np.int32]
    penalty: NDArray[np.float64]


@dataclass(frozen=True)
class Signals:
    """Fixed-time signals: when vehicles may leave a link.

    Attributes:
        link: int32 (signals,) link whose end the signal stands at; a link may have several green windows.
        cycle: float64 (signals,) seconds.
        offset: float64 (signals,) seconds after midnight at which a cycle begins.
        green_start, green_end: float64 (signals,) seconds after the begin of the cycle, 0 <= start < end <= cycle.
        flow: float64 (signals,) saturation flow in vehicles/s during green, all lanes together.
    """

    link: NDArray[np.int32]
    cycle: NDArray[np.float64]
    offset: NDArray[np.float64]
    green_start: NDArray[np.float64]
    green_end: NDArray[np.float64]
    flow: NDArray[np.float64]


@dataclass(frozen=True)
class Network:
    """A directed network of streets.

    Attributes:
        x, y: float64 (nodes,) metres in ``crs``; (0, 0) throughout where a source has no coordinates.
        start, end: int32 (links,) nodes.
        length: float64 (links,) metres.
        speed: float64 (links,) free speed, m/s.
        lanes: float64 (links,).
        capacity: float64 (links,) vehicles/s that may leave the link, all lanes together; infinite where nothing limits.
        access: uint8 (links,) :class:`~citytwin.environment.roads.Access` bits.
        rank: uint8 (links,) :class:`~citytwin.environment.roads.RoadRank`.
        way: int64 (links,) identifier of the street.
        through: bool (nodes,) whether trips may pass the node; False for zones where trips only begin and end.
        crs: projected CRS, empty if coordinates mean nothing.
        names: names of streets by ``way``.
        edges: (links,) what files of routes call the links, "" for those that these do not know; None where there are none.
        toll: float64 (links,) money to be paid for a passage by car.
        bus_lane, bike_lane: bool (links,) whether the link has such a lane; None where none has.
        parking: float64 (links,) places to park at the kerb, nan where unknown; None where nothing is known.
        street: int32 (links,) link of the streets to which each link belongs, of a network with lanes of their own (see
            :func:`.lanes.with_bus_lanes`); None where every link is its own street.
        turns, signals: None if there are none.
        shapes: (links,) shapely LineStrings from start to end; None where all are straight.
        report: what was repaired or assumed while reading, by name.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    start: NDArray[np.int32]
    end: NDArray[np.int32]
    length: NDArray[np.float64]
    speed: NDArray[np.float64]
    lanes: NDArray[np.float64]
    capacity: NDArray[np.float64]
    access: NDArray[np.uint8]
    rank: NDArray[np.uint8]
    way: NDArray[np.int64]
    through: NDArray[np.bool_]
    crs: str = ""
    names: dict[int, str] = field(default_factory=dict)
    edges: NDArray[Any] | None = None
    toll: NDArray[np.float64] | None = None
    bus_lane: NDArray[np.bool_] | None = None
    bike_lane: NDArray[np.bool_] | None = None
    parking: NDArray[np.float64] | None = None
    street: NDArray[np.int32] | None = None
    turns: Turns | None = None
    signals: Signals | None = None
    shapes: NDArray[Any] | None = None
    report: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check()

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.x)

    @property
    def links(self) -> int:
        """Number of links."""
        return len(self.start)

    @property
    def free_time(self) -> NDArray[np.float64]:
        """Seconds that a link takes at free speed, (links,)."""
        return self.length / self.speed

    def with_columns(self, **columns: Any) -> "Network":
        """Return the network with other columns in place of those named."""
        return replace(self, **columns)

    def usable(self, access: Access) -> NDArray[np.bool_]:
        """Return which links somebody may use, (links,)."""
        return (self.access & access) > 0

    def main_part(self, access: Access) -> NDArray[np.bool_]:
        """Return which nodes belong to the largest part in which every node reaches every other, (nodes,)."""
        rows = self.usable(access)
        return largest_component(self.start[rows], self.end[rows], self.nodes)

    # ------------------------------------------------------------------ checks

    def _check(self) -> None:
        for name in ("length", "speed", "lanes", "capacity"):
            values = getattr(self, name)
            wrong = np.flatnonzero(~(values > 0))
            if len(wrong):
                row = int(wrong[0])
                raise NetworkError(
                    f"link {row} ({self.start[row]} → {self.end[row]}): {name} is {values[row]:g}, "
                    f"must be above 0 ({len(wrong)} links in all)"
                )
        for name in ("start", "end"):
            values = getattr(self, name)
            if len(values) and (values.min() < 0 or values.max() >= self.nodes):
                raise NetworkError(f"links: {name} names node {values.max()}, there are 0 … {self.nodes - 1}")
