"""The kernel of the hypercube: chances of states by sweeps over all of them."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def settle(up, rate, sweeps, settled):
    """Return the chances of states, to a factor, and the relative change of the last sweep.

    Each sweep sets every state to what flows into it over its rate of leaving (Gauss-Seidel). Then states with the same
    number of busy units are scaled together, so that as much flows up from k busy units as flows down from k + 1.

    Args:
        up: float64 (2^units, units) rate at which each unit is sent in each state.
        rate: float64 (units,) services a second.
        sweeps: most of them.
        settled: relative change of states at which to stop.
    """
    count, units = up.shape
    level = np.zeros(count, np.int64)
    out = np.zeros(count)
    for state in range(count):
        for unit in range(units):
            out[state] += up[state, unit]
            if state >> unit & 1:
                level[state] += 1
                out[state] += rate[unit]
    chance = np.ones(count)
    before = np.empty(count)
    rising, falling, scale = np.empty(units + 1), np.empty(units + 1), np.empty(units + 1)
    change = np.inf
    for _ in range(sweeps):
        before[:] = chance
        for state in range(count):
            flow = 0.0
            for unit in range(units):
                other = state ^ (1 << unit)
                if state >> unit & 1:
                    flow += chance[other] * up[other, unit]
                else:
                    flow += chance[other] * rate[unit]
            chance[state] = flow / out[state]
        rising[:] = 0.0
        falling[:] = 0.0
        for state in range(count):
            for unit in range(units):
                rising[level[state]] += chance[state] * up[state, unit]
                if state >> unit & 1:
                    falling[level[state]] += chance[state] * rate[unit]
        scale[0] = 1.0 / chance[0]
        for number in range(units):
            scale[number + 1] = scale[number] * rising[number] / falling[number + 1]
        change = 0.0
        for state in range(count):
            chance[state] *= scale[level[state]]
            change = max(change, abs(chance[state] - before[state]) / chance[state])
        if change <= settled:
            break
    return chance, change
