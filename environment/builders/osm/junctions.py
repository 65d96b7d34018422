"""What OpenStreetMap says of junctions: where traffic signals stand, and which turns are forbidden.

Meanings follow the OpenStreetMap wiki (pages "Tag:highway=traffic_signals", "Key:traffic_signals:direction",
"Relation:restriction").
"""

import heapq
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...roads import Access
from .read import OsmData

REACH = 25.0
"""Metres along a street from a signal to the junction it belongs to (SUMO's netconvert, tls.guess-signals.dist)."""

_NO_JUNCTION = frozenset({"emergency", "blinker", "blink_mode", "ramp_meter"})  # values of the key traffic_signals
_CARS = frozenset({"motorcar", "motor_vehicle", "vehicle"})
_MOTOR = Access.CAR | Access.BUS
_DIRECTION = {"forward": True, "backward": False}


def find_signals(
    data: OsmData,
    refs: NDArray[np.int64],
    metres: NDArray[np.float64],
    forward: NDArray[np.bool_],
    backward: NDArray[np.bool_],
    nodes: NDArray[np.int64],
) -> tuple[NDArray[np.uint8], dict[str, int]]:
    """Return which nodes of a network are junctions with traffic signals, and figures.

    A junction is a point where three or more streets for cars meet, driveways and car parks not counted. A signal tagged
    on an approach belongs to the next junction within :data:`REACH`, in the direction it faces if that is tagged. One
    that is farther from any junction (a crossing for people on foot) is left out and counted.

    Args:
        data: the file.
        refs: (points,) nodes along the streets, one street after the other.
        metres: (points,) from each point to the next.
        forward, backward: (points,) whether cars may go from each point to the next, and back.
        nodes: (n,) identifiers of the nodes of the network, rising.

    Returns:
        1 or 0 for each of ``nodes``.
    """
    at = np.flatnonzero(forward | backward)
    point, code = np.unique(np.concatenate([refs[at], refs[at + 1]]), return_inverse=True)
    one, other = code[: len(at)], code[len(at) :]
    pairs = np.unique(np.minimum(one, other) * np.int64(len(point)) + np.maximum(one, other))
    arms = np.bincount(np.concatenate([pairs // max(len(point), 1), pairs % max(len(point), 1)]), minlength=len(point))
    junction = arms >= 3

    on, back = forward[at], backward[at]
    tail = np.concatenate([one[on], other[back]])
    head = np.concatenate([other[on], one[back]])
    length = np.concatenate([metres[at][on], metres[at][back]])
    along = np.repeat([True, False], [int(on.sum()), int(back.sum())])
    order = np.argsort(tail, kind="stable")
    head, length, along = head[order], length[order], along[order]
    first = np.searchsorted(tail[order], np.arange(len(point) + 1))

    def next_junction(start: int, facing: bool | None) -> int:
        """Return the nearest junction that cars reach from a point within REACH, −1 if there is none."""
        seen, queue = set(), [(0.0, start)]
        while queue:
            far, here = heapq.heappop(queue)
            if junction[here]:
                return here
            if here in seen:
                continue
            seen.add(here)
            for step in range(first[here], first[here + 1]):
                if here == start and facing is not None and along[step] != facing:
                    continue
                if far + length[step] <= REACH:
                    heapq.heappush(queue, (far + float(length[step]), int(head[step])))
        return -1

    signal = np.zeros(len(nodes), np.uint8)
    counts = Counter({"traffic signals": 0, "traffic signals away from junctions": 0})
    for ref, tags in zip(data.node_ids.tolist(), data.node_tags, strict=True):
        if tags.get("highway") != "traffic_signals" or tags.get("traffic_signals") in _NO_JUNCTION:
            continue
        counts["traffic signals"] += 1
        start = int(np.searchsorted(point, ref))
        known = start < len(point) and point[start] == ref
        found = next_junction(start, _DIRECTION.get(tags.get("traffic_signals:direction", ""))) if known else -1
        if found < 0:
            counts["traffic signals away from junctions"] += 1
        else:
            signal[np.searchsorted(nodes, point[found])] = 1
    return signal, dict(counts) | {"junctions with signals": int(signal.sum())}


def read_turns(
    data: OsmData, links: Mapping[str, NDArray[Any]], nodes: NDArray[np.int64]
) -> tuple[dict[str, NDArray[Any]], dict[str, int]]:
    """Return the turns that restrictions forbid to cars, as columns of the table ``turns``, and figures.

    Read are restrictions of all hours at one node. ``no_*`` forbids a turn, ``only_*`` all others from the same link,
    turning back included. Those that lead over a street, hold at some hours or for some vehicles alone are counted as
    not read. Exceptions for buses are not kept: what is forbidden to cars is forbidden to buses.

    Args:
        data: the file.
        links: columns ``start, end, way, access``.
        nodes: (n,) identifiers of the nodes of the network, rising.
    """
    motor = np.flatnonzero((links["access"] & _MOTOR) > 0)
    into, out_of = (motor[np.argsort(links[side][motor], kind="stable")] for side in ("end", "start"))
    end, start = links["end"][into], links["start"][out_of]
    counts = Counter({"turn restrictions read": 0, "turn restrictions not read": 0})
    forbidden: set[tuple[int, int]] = set()
    for _, tags, members in data.relations:
        if not tags.get("type", "").startswith("restriction"):
            continue
        why = _unread(tags, members)
        pairs: list[tuple[int, int]] | None = None
        if not why:
            via = next(ref for _, ref, role in members if role == "via")
            node = int(np.searchsorted(nodes, via))
            if node < len(nodes) and nodes[node] == via:
                entries = into[np.searchsorted(end, node) : np.searchsorted(end, node, side="right")]
                exits = out_of[np.searchsorted(start, node) : np.searchsorted(start, node, side="right")]
                pairs = _pairs(tags["restriction"], members, links, entries, exits)
            why = "streets missing, closed to cars or not ending there" if pairs is None else ""
        counts[f"turn restrictions not read: {why}" if why else "turn restrictions read"] += 1
        counts["turn restrictions not read"] += bool(why)
        forbidden.update(pairs or ())
    table = np.array(sorted(forbidden), np.int32).reshape(-1, 2)
    turns = {
        "from_link": table[:, 0].copy(),
        "to_link": table[:, 1].copy(),
        "penalty": np.full(len(table), np.inf, np.float32),
    }
    return turns, dict(counts) | {"forbidden turns": len(table)}


def _unread(tags: Mapping[str, str], members: list[tuple[str, int, str]]) -> str:
    """Return why a restriction is not read, empty if it is."""
    value = tags.get("restriction", "")
    if not value.startswith(("no_", "only_")) or value.endswith("_on_red"):
        return "for some hours or vehicles alone"
    if _CARS & {part.strip() for part in tags.get("except", "").split(";")}:
        return "not for cars"
    via = [kind for kind, _, role in members if role == "via"]
    if via != ["n"]:
        return "over a street" if via else "no junction named"
    return ""


def _pairs(
    value: str,
    members: list[tuple[str, int, str]],
    links: Mapping[str, NDArray[Any]],
    entries: NDArray[np.int64],
    exits: NDArray[np.int64],
) -> list[tuple[int, int]] | None:
    """Return the pairs of links that a restriction at a junction forbids; None if it is not clear which it means."""
    ways = {role: {ref for kind, ref, part in members if kind == "w" and part == role} for role in ("from", "to")}
    come = [link for link in entries.tolist() if int(links["way"][link]) in ways["from"]]
    go = [link for link in exits.tolist() if int(links["way"][link]) in ways["to"]]
    if not come or not go:
        return None
    if value == "no_u_turn" and ways["from"] == ways["to"]:  # clear even where the street goes on beyond the junction
        return [(a, b) for a in come for b in go if links["start"][a] == links["end"][b]]
    if len(come) > len(ways["from"]) or len(go) > len(ways["to"]):
        return None
    if value.startswith("only_"):
        return [(a, b) for a in come for b in exits.tolist() if b not in go]
    return [(a, b) for a in come for b in go]
