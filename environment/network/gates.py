"""Gates: where large streets lead out of the city."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..roads import Access, RoadRank
from .network import Network
from .of_city import network_of_city

if TYPE_CHECKING:
    from ..city import City

EDGE = 0.1
"""Share of a city's radius within which an end of a large street is a gate (assumed)."""
REPORT = "gates"
"""Key of ``city.info.report`` under which a city that was redrawn keeps the gates that it had before."""


@dataclass(frozen=True)
class Gates:
    """Where large streets leave the city.

    Attributes:
        node: int32 (gates,) nodes.
        into: float64 (gates,) vehicles/s that the streets into the city carry; 0 where one cannot enter.
        out: float64 (gates,) vehicles/s that the streets out of it carry; 0 where one cannot leave.
    """

    node: NDArray[np.int32]
    into: NDArray[np.float64]
    out: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.node)


def find_gates(network: Network) -> Gates:
    """Find the nodes at the edge of a network where large streets end.

    A gate is an end of the network of primary and secondary streets and larger ones, near the edge of the city, from
    which the main part of the streets can be reached, or which can be reached from there. Where these give no way through,
    tertiary streets count too, then all.
    """
    import shapely
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import breadth_first_order

    car = network.usable(Access.CAR)
    main = np.flatnonzero(network.main_part(Access.CAR))
    if not main.size:
        return Gates(np.zeros(0, np.int32), np.zeros(0), np.zeros(0))
    shape = (network.nodes, network.nodes)
    streets = csr_matrix((np.ones(car.sum(), np.int8), (network.start[car], network.end[car])), shape=shape)
    leaves, enters = np.zeros(network.nodes, bool), np.zeros(network.nodes, bool)
    leaves[breadth_first_order(streets, main[0], return_predecessors=False)] = True
    enters[breadth_first_order(streets.T.tocsr(), main[0], return_predecessors=False)] = True
    joined = leaves | enters
    hull = shapely.MultiPoint(np.stack([network.x[joined], network.y[joined]], 1)).convex_hull
    near = EDGE * np.sqrt(hull.area / np.pi)
    found = Gates(np.zeros(0, np.int32), np.zeros(0), np.zeros(0))
    for smallest in (RoadRank.SECONDARY, RoadRank.TERTIARY, max(RoadRank)):
        large = car & (network.rank <= smallest)
        pairs = np.unique(np.sort(np.stack([network.start[large], network.end[large]], 1)), axis=0)
        ends = np.flatnonzero(np.bincount(pairs.ravel(), minlength=network.nodes) == 1)
        away = shapely.distance(hull.boundary, shapely.points(network.x[ends], network.y[ends]))
        ends = ends[(away <= near) & joined[ends]]
        flow = [
            np.bincount(at[large], weights=network.capacity[large], minlength=network.nodes)[ends]
            for at in (network.start, network.end)
        ]
        found = Gates(ends.astype(np.int32), np.where(enters[ends], flow[0], 0.0), np.where(leaves[ends], flow[1], 0.0))
        if attraction_of(network, found).any():
            return found
    return found


def attraction_of(network: Network, gates: Gates) -> NDArray[np.float64]:
    """Return how much each pair of gates attracts through traffic, (gates, gates): product of flows, 0 for near pairs."""
    x, y = network.x[gates.node], network.y[gates.node]
    apart = np.hypot(x[:, None] - x, y[:, None] - y)
    if not apart.size:
        return apart
    # who crosses a corner only does not come through the city: half of the largest distance (assumed)
    return gates.into[:, None] * gates.out * ((apart > 0) & (apart >= 0.5 * apart.max()))


def gates_of(city: "City", network: Network) -> Gates:
    """Return the gates of a city; of one that designs have changed those that it had before.

    What comes from outside is then the same whatever is built.

    Args:
        city: the city.
        network: its streets, or these with further links.
    """
    kept = city.info.report.get(REPORT)
    if kept is None:
        return find_gates(network)
    return Gates(np.array(kept["node"], np.int32), np.array(kept["into"], float), np.array(kept["out"], float))


def kept_gates(city: "City") -> dict[str, Any]:
    """Return the gates of a city as its report keeps them, as JSON can hold them."""
    gates = gates_of(city, network_of_city(city))
    return {"node": gates.node.tolist(), "into": gates.into.tolist(), "out": gates.out.tolist()}
