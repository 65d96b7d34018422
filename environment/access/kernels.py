"""Kernel of access: what each origin reaches within limits, by way of the junctions between."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def count_reached(rows, node, seconds, origin, own, first, target, span, count, total, limits, out):
    """Add what each of some origins reaches to ``out``, each target at the smallest limit within which it is.

    All targets of a junction are counted at once, for all origins of a junction or for one, where the shortest and the
    longest way between them fall under the same limit.

    Args:
        rows: intp (n,) origins.
        node: intp (n,) row of ``seconds`` of each; equal ones follow each other.
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
    shared = np.zeros((len(limits), kinds))
    begin = 0
    while begin < len(rows):
        stop = begin
        near, far = np.inf, 0.0
        while stop < len(rows) and node[stop] == node[begin]:
            near, far = min(near, origin[rows[stop], 2]), max(far, origin[rows[stop], 2])
            stop += 1
        shared[:] = 0.0
        for end in range(len(first) - 1):
            way = seconds[node[begin], end]
            if end != own[rows[begin]]:
                low = _limit(way, near + span[end, 0], limits)
                if low == _limit(way, far + span[end, 1], limits):
                    if low <= last:
                        for kind in range(kinds):
                            shared[low, kind] += total[end, kind]
                    continue
            for number in range(begin, stop):
                row = rows[number]
                walk = origin[row, 2]
                if end != own[row]:
                    low = _limit(way, walk + span[end, 0], limits)
                    if low == _limit(way, walk + span[end, 1], limits):
                        if low <= last:
                            for kind in range(kinds):
                                out[row, low, kind] += total[end, kind]
                        continue
                for place in range(first[end], first[end + 1]):
                    low = _limit(way, walk + target[place, 2], limits)
                    if end == own[row]:  # nobody walks to the junction and back who is nearer to the target
                        aside = np.hypot(target[place, 0] - origin[row, 0], target[place, 1] - origin[row, 1])
                        low = min(low, _limit(np.float32(0.0), aside / limits[0, 1], limits))
                    if low <= last:
                        for kind in range(kinds):
                            out[row, low, kind] += count[place, kind]
        for number in range(begin, stop):
            for low in range(len(limits)):
                for kind in range(kinds):
                    out[rows[number], low, kind] += shared[low, kind]
        begin = stop


@njit(cache=True, nogil=True, inline="always")
def _limit(way, walks, limits):
    """Return the first limit within which a way and the walks at its ends are, the number of limits if beyond all."""
    taken = np.float64(np.float32(way + np.float32(walks)))
    low = 0
    while low < len(limits) and not taken <= limits[low, 0]:
        low += 1
    return low
