"""Kerbs: sections of streets along which cars park, their places, and which of them lie near each other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..roads import Access, RoadRank
from .network import Network

REACH = 500.0
"""Metres that a driver walks from a parked car at most; who finds no place within has none (assumed)."""
DETOUR = 1.3
"""Metres of way by metre as the crow flies between kerbs; assumed, usual values for towns are 1.2 to 1.4."""
MOST_NEAR = 40
"""Kerbs that a driver looks along at most, the own one included; assumed."""


@dataclass(frozen=True)
class Kerbs:
    """Kerbs of a network, both directions of a street together, in the order of their first links.

    Those of which the places are known are counted; others have places enough.

    Attributes:
        of_link: int32 (links,) kerb of each link; −1 where no car may be or nobody may stop.
        link: int32 (kerbs,) first link of each.
        length: float64 (kerbs,) metres.
        places: int32 (kerbs,) places, −1 where unknown.
        x, y: float64 (kerbs,) middle of the straight line between the ends, metres.
    """

    of_link: NDArray[np.int32]
    link: NDArray[np.int32]
    length: NDArray[np.float64]
    places: NDArray[np.int32]
    x: NDArray[np.float64]
    y: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.link)

    @property
    def counted(self) -> NDArray[np.intp]:
        """Kerbs of which the places are known, rising."""
        return np.flatnonzero(self.places >= 0)


def kerbs_of(network: Network) -> Kerbs:
    """Return the kerbs of a network.

    Cars park where they may drive, motorways and trunk roads left out. Places are whole: shares of links are rounded so that
    together they keep their sum.
    """
    rows = np.flatnonzero(network.usable(Access.CAR) & (network.rank > RoadRank.TRUNK))
    low, high = np.minimum(network.start, network.end)[rows], np.maximum(network.start, network.end)[rows]
    millimetres = np.rint(network.length[rows] * 1000.0).astype(np.int64)
    keys = np.stack([low, high, network.way[rows], millimetres], 1)
    _, first, number = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    of_link = np.full(network.links, -1, np.int32)
    of_link[rows] = rank[number.ravel()]
    link = rows[first[order]].astype(np.int32)
    given = np.full(len(rows), np.nan) if network.parking is None else network.parking[rows]
    known = np.isfinite(given)
    places = np.full(len(link), -1, np.int32)
    if known.any():
        share = np.bincount(of_link[rows[known]], given[known], len(link))
        counted = np.bincount(of_link[rows[known]], minlength=len(link)) > 0
        # 1e-6: shares of a link that add up to a whole number do so in spite of rounding
        whole = np.floor(np.cumsum(share[counted]) + 0.5 + 1e-6)
        places[counted] = np.diff(whole, prepend=0.0)
    ends = np.stack([network.start[link], network.end[link]])
    return Kerbs(
        of_link, link, network.length[link], places, *(axis[ends].mean(axis=0) for axis in (network.x, network.y))
    )


def nearest_kerbs(network: Network, kerbs: Kerbs, node: ArrayLike, x: ArrayLike, y: ArrayLike) -> NDArray[np.int32]:
    """Return the kerb that points lie at: of those at their node the one whose straight line is nearest, −1 without any.

    Args:
        network: the network.
        kerbs: its kerbs.
        node: (n,) node of each point, −1 for none.
        x, y: (n,) metres.
    """
    node, x, y = np.asarray(node, np.int64), np.asarray(x, float), np.asarray(y, float)
    link = kerbs.link.astype(np.int64)
    end = np.concatenate([network.start[link], network.end[link]])
    order = np.argsort(end, kind="stable")
    first = np.searchsorted(end[order], np.arange(network.nodes + 1))
    at = np.where(node >= 0, node, 0)
    count = np.where(node >= 0, first[at + 1] - first[at], 0)
    point = np.repeat(np.arange(len(node)), count)
    entry = np.arange(len(point)) - np.repeat(np.cumsum(count) - count, count) + first[at[point]]
    kerb = order[entry] % max(len(link), 1)
    x0, y0 = network.x[network.start[link[kerb]]], network.y[network.start[link[kerb]]]
    dx, dy = network.x[network.end[link[kerb]]] - x0, network.y[network.end[link[kerb]]] - y0
    along = ((x[point] - x0) * dx + (y[point] - y0) * dy) / np.maximum(dx * dx + dy * dy, 1e-9)
    along = np.clip(along, 0.0, 1.0)
    apart = np.hypot(x[point] - x0 - along * dx, y[point] - y0 - along * dy)
    best = np.lexsort((kerb, apart, point))
    _, head = np.unique(point[best], return_index=True)
    found = np.full(len(node), -1, np.int32)
    found[point[best[head]]] = kerb[best[head]]
    return found


def neighbours(kerbs: Kerbs) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Return where drivers look for a place who find none at a counted kerb.

    Returns:
        first int64 (counted + 1,), kerb int32 and metres on foot float64: entries first[k] … first[k + 1] − 1 belong to the
        k-th counted kerb, the nearest first, itself at their head. They end within :data:`REACH`, or with a kerb whose
        places are unknown.
    """
    from scipy.spatial import cKDTree  # slow to import

    counted = kerbs.counted
    middle = np.stack([kerbs.x, kerbs.y], 1)
    most = min(MOST_NEAR, len(kerbs))
    near: list[NDArray[np.int32]] = []
    far: list[NDArray[np.float64]] = []
    if len(counted):
        apart, found = cKDTree(middle).query(middle[counted], k=np.arange(1, most + 1))
        for own, crow, some in zip(counted, apart, found, strict=True):
            order = np.lexsort((some, some != own, crow * (some != own)))  # itself before others on the same spot
            kerb, metres = some[order], crow[order] * DETOUR
            unknown = np.flatnonzero(kerbs.places[kerb] < 0)
            end = min(int(np.searchsorted(metres, REACH, side="right")), unknown[0] + 1 if len(unknown) else len(kerb))
            near.append(kerb[:end].astype(np.int32))
            far.append(metres[:end])
    sizes = np.array([len(part) for part in near], np.int64)
    first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return first, np.concatenate([*near, np.zeros(0, np.int32)]), np.concatenate([*far, np.zeros(0)])
