"""Kernels of siting: greedy choice and single swaps, for coverage and for travel to the nearest site.

Values that differ by less than a tolerance are equal, and among equals the lower site is taken.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray


class Cover(NamedTuple):
    """Which rows of demand are covered from which sites.

    Attributes:
        weight: float64 (rows,) demand.
        kind: int64 (rows,) line of ``worth`` that counts for the row.
        worth: float64 (kinds, units + 2) value per weight of being covered by 0, 1, 2, … units, the last entry of no use.
        site_first, site_row: int64 (sites + 1,), int32 rows of each site.
        row_first, row_site: int64 (rows + 1,), int32 sites of each row.
    """

    weight: NDArray[np.float64]
    kind: NDArray[np.int64]
    worth: NDArray[np.float64]
    site_first: NDArray[np.int64]
    site_row: NDArray[np.int32]
    row_first: NDArray[np.int64]
    row_site: NDArray[np.int32]


@njit(cache=True, nogil=True)
def move(cover, site, by, count, gain):
    """Add (by 1) or take away (by −1) a unit at a site: counts of its rows, and what one more unit gains at every site."""
    worth = cover.worth
    for at in range(cover.site_first[site], cover.site_first[site + 1]):
        row = cover.site_row[at]
        kind, before = cover.kind[row], count[row]
        after = before + by
        count[row] = after
        change = (worth[kind, after + 1] - worth[kind, after]) - (worth[kind, before + 1] - worth[kind, before])
        if change != 0.0:
            change *= cover.weight[row]
            for other in range(cover.row_first[row], cover.row_first[row + 1]):
                gain[cover.row_site[other]] += change


@njit(cache=True, nogil=True)
def place(cover, units, count, gain):
    """Set counts (rows,) and gains (sites,) to those of a plan; both must be 0."""
    for site in range(units.size):
        for at in range(cover.site_first[site], cover.site_first[site + 1]):
            row = cover.site_row[at]
            gain[site] += cover.weight[row] * (cover.worth[cover.kind[row], 1] - cover.worth[cover.kind[row], 0])
    for site in range(units.size):
        for _ in range(units[site]):
            move(cover, site, 1, count, gain)


@njit(cache=True, nogil=True)
def best_site(units, most, gain, tolerance):
    """Return the site with room where a unit gains most, −1 if there is no room."""
    best = -1
    for site in range(units.size):
        if units[site] < most[site] and (best < 0 or gain[site] > gain[best] + tolerance):
            best = site
    return best


@njit(cache=True, nogil=True)
def cover_greedily(cover, units, most, total, useful, count, gain, tolerance):
    """Add units one by one where they gain most, until there are ``total`` or, if ``useful``, none gains anything."""
    placed = units.sum()
    while placed < total:
        site = best_site(units, most, gain, tolerance)
        if site < 0 or (useful and gain[site] <= tolerance):
            return
        units[site] += 1
        placed += 1
        move(cover, site, 1, count, gain)


@njit(cache=True, nogil=True)
def cover_by_swaps(cover, units, least, most, count, gain, tolerance):
    """Move single units, each to where it gains most, until no move gains anything."""
    kept = np.empty_like(gain)
    unchanged, site = 0, 0
    while unchanged < units.size:
        moved = False
        if units[site] > least[site]:
            kept[:] = gain
            move(cover, site, -1, count, gain)
            units[site] -= 1
            # without the unit, the gain of its own site is what it was worth there
            best = best_site(units, most, gain, tolerance)
            if gain[best] > gain[site] + tolerance:
                units[best] += 1
                move(cover, best, 1, count, gain)
                moved = True
            else:
                units[site] += 1
                gain[:] = kept
                for at in range(cover.site_first[site], cover.site_first[site + 1]):
                    count[cover.site_row[at]] += 1
        unchanged = 0 if moved else unchanged + 1
        site = (site + 1) % units.size


@njit(cache=True, nogil=True)
def worth_of(cover, count):
    """Return the value of counts (rows,)."""
    value = 0.0
    for row in range(count.size):
        value += cover.weight[row] * cover.worth[cover.kind[row], count[row]]
    return value


@njit(cache=True, nogil=True)
def two_nearest(cost, units, point, first, second):
    """Set the nearest and the second nearest open site of a point, −1 where there is none."""
    first[point] = second[point] = -1
    for site in range(units.size):
        if units[site] > 0:
            if first[point] < 0 or cost[site, point] < cost[first[point], point]:
                first[point], second[point] = site, first[point]
            elif second[point] < 0 or cost[site, point] < cost[second[point], point]:
                second[point] = site


@njit(cache=True, nogil=True)
def median_greedily(cost, units, most, total, farthest, tolerance):
    """Open sites one by one where they shorten the ways most, until there are ``total``.

    Args:
        cost: float64 (sites, points) weighted cost.
        units, most: int64 (sites,) open (1) or not; may be.
        total: sites to be open.
        farthest: float64 (points,) cost of a point while no site is open, at least its largest cost.
        tolerance: costs that are equal.
    """
    sites, points = cost.shape
    near = farthest.copy()
    for site in range(sites):
        if units[site] > 0:
            for point in range(points):
                near[point] = min(near[point], cost[site, point])
    # What a site gains never grows as others open: an old gain is a bound, and only the best bounds are renewed.
    gain = np.full(sites, np.inf)
    fresh = np.full(sites, -1)
    opened = units.sum()
    while opened < total:
        site = best_site(units, most, gain, tolerance)
        if site < 0:
            return
        if fresh[site] < opened:
            gain[site] = 0.0
            for point in range(points):
                if cost[site, point] < near[point]:
                    gain[site] += near[point] - cost[site, point]
            fresh[site] = opened
            continue
        units[site] = 1
        opened += 1
        for point in range(points):
            near[point] = min(near[point], cost[site, point])


@njit(cache=True, nogil=True)
def median_by_swaps(cost, units, least, most, farthest, tolerance):
    """Close one site for another until no such swap shortens the ways; return the total cost (Whitaker 1983).

    Arguments as of :func:`median_greedily`; ``least`` is 1 for sites that stay open.
    """
    sites, points = cost.shape
    first, second = np.full(points, -1), np.full(points, -1)
    near, next_near = farthest.copy(), farthest.copy()
    for point in range(points):
        two_nearest(cost, units, point, first, second)
        if first[point] >= 0:
            near[point] = cost[first[point], point]
        if second[point] >= 0:
            next_near[point] = cost[second[point], point]
    loss = np.empty(sites)
    unchanged, site = 0, 0
    while unchanged < sites:
        moved = False
        if units[site] == 0 and most[site] > 0:
            # loss: what closing each open site costs while this one is open; gain: what opening it alone saves
            gain = 0.0
            loss[:] = 0.0
            for point in range(points):
                here = cost[site, point]
                if here < near[point]:
                    gain += near[point] - here
                elif first[point] >= 0:
                    loss[first[point]] += min(here, next_near[point]) - near[point]
            close = -1
            for other in range(sites):
                if units[other] > least[other] and (close < 0 or loss[other] < loss[close] - tolerance):
                    close = other
            if close >= 0 and gain - loss[close] > tolerance:
                moved = True
                units[close], units[site] = 0, 1
                for point in range(points):
                    if close in (first[point], second[point]):
                        two_nearest(cost, units, point, first, second)
                    elif first[point] < 0 or cost[site, point] < near[point]:
                        first[point], second[point] = site, first[point]
                    elif second[point] < 0 or cost[site, point] < next_near[point]:
                        second[point] = site
                    near[point] = farthest[point] if first[point] < 0 else cost[first[point], point]
                    next_near[point] = farthest[point] if second[point] < 0 else cost[second[point], point]
        unchanged = 0 if moved else unchanged + 1
        site = (site + 1) % sites
    return near.sum()
