"""The road network: what a link is, and figures of a network."""

from collections.abc import Mapping
from enum import IntEnum, IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray


class RoadRank(IntEnum):
    """Place of a street in the hierarchy (names of the OpenStreetMap ``highway`` key, links with their parent)."""

    MOTORWAY = 0
    TRUNK = 1
    PRIMARY = 2
    SECONDARY = 3
    TERTIARY = 4
    UNCLASSIFIED = 5
    RESIDENTIAL = 6
    LIVING_STREET = 7
    SERVICE = 8
    TRACK = 9
    CYCLEWAY = 10
    PATH = 11


class Access(IntFlag):
    """Who may use a link, in its direction."""

    CAR = 1
    BICYCLE = 2
    FOOT = 4
    BUS = 8


def largest_component(
    start: NDArray[np.integer], end: NDArray[np.integer], nodes: int, *, strong: bool = True
) -> NDArray[np.bool_]:
    """Return which nodes belong to the largest connected part of a network.

    Args:
        start, end: (links,) nodes of each link; give only the links that one may use.
        nodes: number of nodes.
        strong: every node of the part reaches every other along the links' directions; otherwise directions are
            ignored.

    Returns:
        bool (nodes,). Without links, nobody belongs to it.
    """
    from scipy.sparse import csr_matrix  # slow to import, and not all that names a road needs it
    from scipy.sparse.csgraph import connected_components

    inside = np.zeros(nodes, bool)
    if not len(start):
        return inside
    graph = csr_matrix((np.ones(len(start)), (start, end)), shape=(nodes, nodes))
    _, label = connected_components(graph, directed=True, connection="strong" if strong else "weak")
    used = np.unique(np.concatenate([start, end]))
    inside[used] = label[used] == np.bincount(label[used]).argmax()
    return inside


def street_length(links: Mapping[str, NDArray[Any]], which: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """Return the length in metres that each link adds to the length of streets: two directions count once.

    Args:
        links: columns ``start, end, length, way`` of the links.
        which: links to count, all by default; the others add 0.

    Returns:
        float64 (links,). The two directions of a street are told by their ends, their way and their length.
    """
    count = len(links["start"])
    rows = np.arange(count) if which is None else np.flatnonzero(which)
    low = np.minimum(links["start"], links["end"])[rows]
    high = np.maximum(links["start"], links["end"])[rows]
    twins = np.lexsort((links["length"][rows], links["way"][rows], high, low))
    rows, low, high = rows[twins], low[twins], high[twins]
    same = np.zeros(len(rows), bool)
    if len(rows) > 1:
        same[1:] = (low[1:] == low[:-1]) & (high[1:] == high[:-1])
        for column in ("way", "length"):
            same[1:] &= links[column][rows[1:]] == links[column][rows[:-1]]
    group_first = np.maximum.accumulate(np.where(same, 0, np.arange(len(rows))))
    second = (np.arange(len(rows)) - group_first) % 2 == 1  # the other direction of the link just before
    added = np.zeros(count)
    added[rows] = np.where(second, 0.0, links["length"][rows])
    return added


def length_by_rank(links: Mapping[str, NDArray[Any]], which: NDArray[np.bool_] | None = None) -> dict[str, float]:
    """Return the length of streets in metres by name of rank; ranks without streets are left out.

    Args:
        links: columns ``start, end, length, way, rank`` of the links.
        which: links to count, all by default.
    """
    total = np.bincount(links["rank"], weights=street_length(links, which), minlength=len(RoadRank))
    return {rank.name.lower(): float(total[rank]) for rank in RoadRank if total[rank] > 0}
