"""Streets of an OpenStreetMap file as a directed graph."""

from dataclasses import dataclass
from typing import Any

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray

from ... import roads
from . import tags as street_tags
from .junctions import find_signals, read_turns
from .read import OsmData

MIN_LENGTH = 0.1
"""Length in metres of a link between two nodes on the same spot: no link has length 0."""


@dataclass
class Network:
    """Streets as nodes and directed links.

    Attributes:
        nodes, links, turns: columns of these tables of a city.
        layer: one row a link, in the same order: ``name, rank, way, geometry``.
        report: figures of the network.
    """

    nodes: dict[str, NDArray[Any]]
    links: dict[str, NDArray[Any]]
    turns: dict[str, NDArray[Any]]
    layer: geopandas.GeoDataFrame
    report: dict[str, Any]


def build_network(data: OsmData) -> Network:
    """Split the streets at the nodes they share, and make a link for each direction that somebody may use.

    A way that leaves the extract (a node is missing) ends there. Parallel links and loops are kept. Barriers are not
    read; signals and forbidden turns: see :mod:`.junctions`.
    """
    ways = data.ways
    streets = [
        row
        for row, tags in enumerate(ways.tags)
        if tags.get("highway") in street_tags.RANKS and tags.get("area") != "yes"
    ]
    directed = [street_tags.directions(ways.tags[row]) for row in streets]
    usable = [i for i, (forward, backward) in enumerate(directed) if forward or backward]
    closed_streets = len(streets) - len(usable)
    rows = np.array([streets[i] for i in usable], np.int64)
    directed = [directed[i] for i in usable]

    way, refs, x, y, piece = _points(data, rows)
    first, last = _split(refs, piece)
    node_ref, node_of = np.unique(np.concatenate([refs[first], refs[last]]), return_inverse=True)
    start, end = node_of[: len(first)], node_of[len(first) :]
    at = np.empty(len(node_ref), np.int64)
    at[start], at[end] = first, last
    step = np.hypot(np.diff(x, append=x[-1:]), np.diff(y, append=y[-1:]))
    along = np.concatenate([[0.0], np.cumsum(step)])
    length = along[last] - along[first]
    lines = _lines(x, y, first, last)

    owner = way[first]
    forward = np.array([int(f) for f, _ in directed], np.uint8)
    backward = np.array([int(b) for _, b in directed], np.uint8)
    tags = [ways.tags[row] for row in rows]
    speeds = [(street_tags.speed(t, True), street_tags.speed(t, False)) for t in tags]
    lane_counts = [street_tags.lanes(t, f, b) for t, (f, b) in zip(tags, directed, strict=True)]
    attributes = np.array(
        [(s[0][0], s[1][0], n[0], n[1]) for s, n in zip(speeds, lane_counts, strict=True)], np.float32
    ).reshape(-1, 4)
    rank = np.array([int(street_tags.RANKS[t["highway"]][0]) for t in tags], np.uint8)

    goes_on = np.append(piece[1:] == piece[:-1], False)[: len(piece)] & (rank[way] <= roads.RoadRank.LIVING_STREET)
    signal, signals = find_signals(
        data,
        refs,
        step,
        goes_on & ((forward[way] & street_tags.CAR) > 0),
        goes_on & ((backward[way] & street_tags.CAR) > 0),
        node_ref,
    )
    nodes = {"x": x[at], "y": y[at], "signal": signal}

    # both directions of a street stand side by side
    segment = np.repeat(np.arange(len(first)), 2)
    against = np.tile([False, True], len(first))
    bits = np.where(against, backward[owner[segment]], forward[owner[segment]])
    segment, against, bits = segment[bits > 0], against[bits > 0], bits[bits > 0]
    of_way = owner[segment]
    links = {
        "start": np.where(against, end[segment], start[segment]).astype(np.int32),
        "end": np.where(against, start[segment], end[segment]).astype(np.int32),
        "length": np.maximum(length[segment], MIN_LENGTH).astype(np.float32),
        "speed": np.where(against, attributes[of_way, 1], attributes[of_way, 0]),
        "lanes": np.where(against, attributes[of_way, 3], attributes[of_way, 2]),
        "rank": rank[of_way],
        "access": bits.astype(np.uint8),
        "way": ways.ids[rows[of_way]],
    }
    geometry = lines[segment]
    geometry[against] = shapely.reverse(geometry[against])
    layer = geopandas.GeoDataFrame(
        {
            "name": np.array([t.get("name", "") for t in tags], dtype=object)[of_way],
            "rank": links["rank"],
            "way": links["way"],
        },
        geometry=geometry,
        crs=data.crs,
    )
    turns, restrictions = read_turns(data, links, node_ref)
    report = _report(links, len(node_ref)) | signals | restrictions
    drivable_way = np.array([bool((f | b) & street_tags.CAR) for f, b in directed], bool)
    report |= {
        "streets closed to everybody": closed_streets,
        "reversible streets taken as one-way": sum(t.get("oneway") == "reversible" for t in tags),
        "drivable ways": int(drivable_way.sum()),
        "drivable ways with tagged speed": sum(s[0][1] for s, d in zip(speeds, drivable_way, strict=True) if d),
        "drivable ways with tagged lanes": sum(n[2] for n, d in zip(lane_counts, drivable_way, strict=True) if d),
    }
    return Network(nodes, links, turns, layer, report)


def _points(data: OsmData, rows: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
    """Return the points of the streets one after the other: position of the way in ``rows``, node, x, y, piece.

    A piece is a stretch of a way without a missing node; pieces of one point are left out.
    """
    ways = data.ways
    size = np.diff(ways.first)[rows]
    way = np.repeat(np.arange(len(rows)), size)
    offset = np.cumsum(size) - size
    at = np.arange(int(size.sum())) - offset[way] + ways.first[rows][way]
    refs, x, y = ways.ref[at], ways.x[at], ways.y[at]
    known = np.isfinite(x)
    new_piece = np.ones(len(way), bool)
    new_piece[1:] = (way[1:] != way[:-1]) | ~known[:-1]
    piece = np.cumsum(new_piece)
    again = np.zeros(len(way), bool)  # the same node twice running is one point
    again[1:] = (refs[1:] == refs[:-1]) & ~new_piece[1:]
    keep = known & ~again
    keep &= np.bincount(piece[keep], minlength=int(new_piece.sum()) + 1)[piece] > 1
    return way[keep], refs[keep], x[keep], y[keep], piece[keep]


def _split(refs: NDArray[np.int64], piece: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the positions of the first and last point of every stretch between two junctions or ends."""
    if not len(refs):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    _, code, uses = np.unique(refs, return_inverse=True, return_counts=True)
    opens = np.ones(len(refs), bool)
    opens[1:] = piece[1:] != piece[:-1]
    closes = np.roll(opens, -1)
    cut = (uses[code] > 1) | opens | closes
    first = np.flatnonzero(cut & ~closes)
    last = np.flatnonzero(cut & ~opens)
    return first, last


def _lines(
    x: NDArray[np.float64], y: NDArray[np.float64], first: NDArray[np.intp], last: NDArray[np.intp]
) -> NDArray[np.object_]:
    size = last - first + 1
    owner = np.repeat(np.arange(len(size)), size)
    at = np.arange(int(size.sum())) - (np.cumsum(size) - size)[owner] + first[owner]
    return shapely.linestrings(np.column_stack([x[at], y[at]]), indices=owner)


def _report(links: dict[str, NDArray[Any]], nodes: int) -> dict[str, Any]:
    """Return lengths, and how much of the drivable network hangs together."""
    drivable = (links["access"] & roads.Access.CAR) > 0
    start, end = links["start"][drivable], links["end"][drivable]
    metres = roads.street_length(links, drivable)
    used = np.unique(np.concatenate([start, end]))
    report: dict[str, Any] = {
        "street km": round(float(roads.street_length(links).sum()) / 1000, 3),
        "drivable km": round(float(metres.sum()) / 1000, 3),
        "km by rank": {name: round(value / 1000, 3) for name, value in roads.length_by_rank(links).items()},
        "links": len(links["start"]),
        "nodes": nodes,
        "drivable nodes": len(used),
    }
    for word, strong in (("strongly", True), ("weakly", False)):
        inside = roads.largest_component(start, end, nodes, strong=strong)
        both = inside[links["start"]] & inside[links["end"]]
        whole = max(float(metres.sum()), 1e-9)
        report[f"share of drivable nodes {word} connected"] = round(float(inside.sum()) / max(len(used), 1), 4)
        report[f"share of drivable km {word} connected"] = round(float(metres[both].sum()) / whole, 4)
    return report
