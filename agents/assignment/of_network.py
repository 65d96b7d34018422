"""Streets of static assignment from a network on which vehicles move."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...environment.network.network import Network, Turns
from ...environment.roads import Access
from .streets import Streets

BPR_B, BPR_POWER = 0.15, 4.0
"""Parameters of the volume-delay curve of the U.S. Bureau of Public Roads (Traffic Assignment Manual, 1964)."""


def streets_of(
    network: Network, *, toll_weight: float = 0.0, length_weight: float = 0.0, hours: float = 1.0
) -> Streets:
    """Return the streets that cars may use, with the curve of the Bureau of Public Roads; times in seconds.

    Links with signals have the capacity of their green time. A node with rules for turns becomes one node for each link
    that ends or begins there, with a passage of constant time for each turn that is allowed.

    Args:
        network: the network.
        toll_weight: seconds that a unit of toll is worth.
        length_weight: seconds that a metre is worth on top of the time it takes.
        hours: period in which the demand travels.
    """
    link = np.flatnonzero(network.usable(Access.CAR))
    capacity = _capacity(network)[link] * 3600.0 * hours
    bounded = np.isfinite(capacity)
    toll = network.toll[link] if network.toll is not None else np.zeros(len(link))
    columns: dict[str, Any] = {
        "start": network.start[link].astype(np.int32),
        "end": network.end[link].astype(np.int32),
        "capacity": np.where(bounded, capacity, 1.0),
        "free_time": network.free_time[link],
        "b": np.where(bounded, BPR_B, 0.0),
        "power": np.full(len(link), BPR_POWER),
        "fixed": toll_weight * toll + length_weight * network.length[link],
        "link": link,
    }
    through, within = network.through, np.zeros(0, np.int32)
    if network.turns is not None:
        through, within = _split(columns, network, network.turns)
    return Streets(nodes=len(through), through=through, within=within, **columns)


def _capacity(network: Network) -> NDArray[np.float64]:
    """Return vehicles/s that may leave each link, red time counted, (links,)."""
    signals = network.signals
    if signals is None:
        return network.capacity
    share = (signals.green_end - signals.green_start) / signals.cycle
    green = np.full(network.links, np.inf)
    at = np.unique(signals.link)
    green[at] = np.bincount(signals.link, signals.flow * share, network.links)[at]
    return np.minimum(network.capacity, green)


def _split(columns: dict[str, NDArray], network: Network, turns: Turns) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
    """Take nodes with rules for turns apart, in the columns too.

    Returns:
        Which nodes may be passed, and the node of the network in which each of the new ones lies.
    """
    link, start, end = columns["link"], columns["start"], columns["end"]
    ruled = np.zeros(network.nodes, bool)
    ruled[network.end[turns.from_link]] = True
    ruled &= network.through
    leaving, entering = np.flatnonzero(ruled[start]), np.flatnonzero(ruled[end])
    leaving = leaving[np.argsort(start[leaving], kind="stable")]
    within = np.concatenate([start[leaving], end[entering]]).astype(np.int32)
    # all turns at a node: each link that enters with each that leaves
    low, high = (np.searchsorted(start[leaving], end[entering], side) for side in ("left", "right"))
    count = high - low
    turn_in = np.repeat(np.arange(len(entering)), count)
    turn_out = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(low, count)
    rules = zip(turns.from_link.tolist(), turns.to_link.tolist(), strict=True)
    penalty = dict(zip(rules, turns.penalty.tolist(), strict=True))
    pairs = zip(link[entering[turn_in]].tolist(), link[leaving[turn_out]].tolist(), strict=True)
    seconds = np.array([penalty.get(pair, 0.0) for pair in pairs])
    allowed = np.isfinite(seconds)
    leave_node = network.nodes + np.arange(len(leaving))
    enter_node = network.nodes + len(leaving) + np.arange(len(entering))
    begin = np.concatenate([enter_node[turn_in[allowed]], start[leaving], enter_node])
    finish = np.concatenate([leave_node[turn_out[allowed]], leave_node, end[entering]])
    passages = len(begin)
    time = np.concatenate([seconds[allowed], np.zeros(len(leaving) + len(entering))])
    start[leaving], end[entering] = leave_node, enter_node
    more = {"start": begin, "end": finish, "capacity": np.ones(passages), "free_time": time}
    more |= {"b": np.zeros(passages), "power": np.ones(passages), "fixed": np.zeros(passages)}
    more["link"] = np.full(passages, -1)
    for name, values in more.items():
        columns[name] = np.concatenate([columns[name], values.astype(columns[name].dtype)])
    return np.concatenate([network.through & ~ruled, np.ones(len(within), bool)]), within
