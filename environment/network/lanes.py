"""Bus lanes as links of their own, so that a queue of cars is none of buses.

In the network on which vehicles move, a street with a bus lane has two links from its start to its end: one for the general
lanes, one for the bus lane. The links of bus lanes follow those of the streets, which keep their numbers, and
:attr:`~.network.Network.street` says which street each belongs to. Whoever may use bus lanes finds them in a graph made with
``Access.BUS``; at the end of the street both join whatever comes next, by their capacities.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..roads import Access
from .network import Network, Signals, Turns

if TYPE_CHECKING:
    from ..design.timed import StreetEvents


def with_bus_lanes(network: Network) -> Network:
    """Return the network with a link for each bus lane; the same network where there is none.

    Buses leave the general lanes of these streets to the others. A bus lane is one lane, with the speed, signals and turn
    rules of its street; nobody pays a toll on it. Streets without cars need none.
    """
    both = int(Access.CAR | Access.BUS)
    if network.bus_lane is None:
        return network
    street = np.flatnonzero(network.bus_lane & ((network.access & both) == both)).astype(np.int32)
    if not len(street):
        return network
    row = np.concatenate([np.arange(network.links, dtype=np.int32), street])
    lane = np.arange(len(row)) >= network.links
    access = network.access[row]
    access[lane] = Access.BUS
    access[street] &= np.uint8(255 - Access.BUS)
    lanes, capacity = network.lanes[row], network.capacity[row]
    capacity[lane] /= lanes[lane]
    lanes[lane] = 1.0
    by_link = {name: column for name, column in vars(network).items() if isinstance(column, np.ndarray)}
    columns = {name: column[row] for name, column in by_link.items() if name not in _BY_NODE}
    columns |= {"access": access, "lanes": lanes, "capacity": capacity, "street": row}
    if network.edges is not None:  # routes of files do not know them
        columns["edges"] = np.where(lane, "", network.edges[row])
    if network.toll is not None:
        columns["toll"] = np.where(lane, 0.0, network.toll[row])
    return network.with_columns(**columns, turns=_turns(network, street), signals=_signals(network, street))


def street_of(network: Network, link: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the links of the streets to which links belong, −1 for −1.

    Args:
        network: perhaps with links for bus lanes.
        link: (n,) links of it.
    """
    return link if network.street is None else np.append(network.street, np.int32(-1))[link]


def lane_events(network: Network, changes: "StreetEvents") -> "StreetEvents":
    """Return the changes of a day with those that follow for bus lanes: whoever lets no buses in closes the lane as well.

    Args:
        network: with links for bus lanes; without any, nothing follows.
        changes: of the streets.
    """
    if network.street is None:
        return changes
    streets = int(network.street.max()) + 1
    lane_of = _lane_of(streets, network.street[streets:])
    row = np.flatnonzero(lane_of[changes.link] >= 0)
    both = np.uint8(Access.CAR | Access.BUS)  # cars have no way onto it
    more = changes._replace(**{name: column[row] for name, column in changes._asdict().items()})
    more = more._replace(
        link=lane_of[more.link],
        access=np.where(more.access & Access.BUS, both, 0).astype(np.uint8),
        lanes=np.ones(len(row)),
        toll=np.zeros(len(row)),
    )
    order = np.argsort(np.concatenate([changes.second, more.second]), kind="stable")
    columns = zip(changes._fields, changes, more, strict=True)
    return changes._replace(**{name: np.concatenate([one, other])[order] for name, one, other in columns})


_BY_NODE = ("x", "y", "through")


def _lane_of(links: int, street: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the link of the bus lane of each street, −1 where there is none, (links,)."""
    lane = np.full(links, -1, np.int32)
    lane[street] = links + np.arange(len(street), dtype=np.int32)
    return lane


def _turns(network: Network, street: NDArray[np.int32]) -> Turns | None:
    """Return the turn rules, which hold between lanes as between their streets."""
    turns = network.turns
    if turns is None:
        return None
    lane_of = _lane_of(network.links, street)
    start, end = turns.from_link, turns.to_link
    kinds = ((start, end), (lane_of[start], end), (start, lane_of[end]), (lane_of[start], lane_of[end]))
    kept = [np.flatnonzero((one >= 0) & (other >= 0)) for one, other in kinds]
    return Turns(
        np.concatenate([one[rows] for (one, _), rows in zip(kinds, kept, strict=True)]).astype(np.int32),
        np.concatenate([other[rows] for (_, other), rows in zip(kinds, kept, strict=True)]).astype(np.int32),
        np.concatenate([turns.penalty[rows] for rows in kept]),
    )


def _signals(network: Network, street: NDArray[np.int32]) -> Signals | None:
    """Return the signals, at which bus lanes have the green of their streets."""
    signals = network.signals
    if signals is None:
        return None
    lane_of = _lane_of(network.links, street)
    row = np.flatnonzero(lane_of[signals.link] >= 0)

    def with_lanes(column: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([column, column[row]])

    return Signals(
        link=np.concatenate([signals.link, lane_of[signals.link[row]]]),
        cycle=with_lanes(signals.cycle),
        offset=with_lanes(signals.offset),
        green_start=with_lanes(signals.green_start),
        green_end=with_lanes(signals.green_end),
        flow=np.concatenate([signals.flow, signals.flow[row] / network.lanes[signals.link[row]]]),
    )
