"""Kernel of access: what each origin reaches within limits, by way of the junctions between."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def count_reached(rows, node, seconds, origin, own, first, target, span, count, total, limits, out):
    """Add what each of some origins reaches to ``out``, each target at the smallest limit within which it is.

    All targets of a junction are counted at once where the nearest and the farthest of them fall under the same limit.

    Args:
        rows: intp (n,) origins.
        node: intp (n,) row of ``seconds`` of each.
        seconds: float32 (nodes, ends) from junction to junction.
        origin: float64 (origins, 3) x, y, and seconds to the junction.
        own: intp (origins,) end at which the origin's own junction is, −1 if none is there.
        first: int64 (ends + 1,) targets by end.
        target: float64 (targets, 3) x, y, and seconds from the junction.
        span: float64 (ends, 2) fewest and most of these seconds.
        count: float64 (targets, kinds).
        total: float64 (ends, kinds) of the targets of each end.
        limits: float64 (limits, 2) seconds, ascending; and the metres that are walked in a second, the same in each row.
        out: float64 (origins, limits, kinds).
    """
    kinds = count.shape[1]
    last = len(limits) - 1
    for number in range(len(rows)):
        row = rows[number]
        walk = origin[row, 2]
        for end in range(len(first) - 1):
            way = seconds[node[number], end]
            if not np.float32(way + np.float32(walk + span[end, 0])) <= limits[last, 0] and end != own[row]:
                continue
            if end != own[row]:
                low = _limit(np.float32(way + np.float32(walk + span[end, 0])), limits)
                if low == _limit(np.float32(way + np.float32(walk + span[end, 1])), limits):
                    for kind in range(kinds):
                        out[row, low, kind] += total[end, kind]
                    continue
            for place in range(first[end], first[end + 1]):
                taken = np.float32(way + np.float32(walk + target[place, 2]))
                if end == own[row]:  # nobody walks to the junction and back who is nearer to the target
                    aside = (
                        np.hypot(target[place, 0] - origin[row, 0], target[place, 1] - origin[row, 1]) / limits[0, 1]
                    )
                    taken = np.float32(min(np.float64(taken), aside))
                low = _limit(taken, limits)
                if low <= last:
                    for kind in range(kinds):
                        out[row, low, kind] += count[place, kind]


@njit(cache=True, nogil=True, inline="always")
def _limit(taken, limits):
    """Return the first limit within which a time is, the number of limits if it is beyond all."""
    low = 0
    while low < len(limits) and not np.float64(taken) <= limits[low, 0]:
        low += 1
    return low
