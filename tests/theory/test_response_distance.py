"""The square-root law: the mean way to the nearest free unit is k / sqrt(density).

With units placed by a Poisson process of density d, the chance that none is within a distance r is exp(-d A(r)), A the area
within r: pi r^2 along straight lines, 2 r^2 along streets at right angles. So k = 1/2 and sqrt(pi / 8), and nine in ten ways
are shorter than 0.856117 and 1.072983 / sqrt(d) (P. Kolesar, E. H. Blum 1973, Square root laws for fire engine response
distances). On a grid of streets whose crossings have a unit each with chance p, 2 k (k - 1) + 1 crossings are less than k
steps away, so the mean is the sum of (1 - p)^(2 k (k - 1) + 1), which is the law again as p goes to 0.

Calls are in the middle of the town, so that no edge is near. Ways of one placement depend on each other: standard errors are
those of the means of independent placements.
"""

import numpy as np
import pytest
from response_places import centre, network

from citytwin.agents.response.tasks import Tasks

LAW = {"straight": 0.5, "right angles": np.sqrt(np.pi / 8)}


def ways(streets, seconds, stations, calls):
    """Return how far the nearest unit is from each call, one unit a station, all of them free at each call."""
    made, _ = centre(streets, seconds, stations, np.arange(len(stations)))
    made.add(Tasks.of(ready=1e5 * np.arange(len(calls)), node=calls, scene=0.0))
    made.run(1e5 * len(calls))
    table = made.table()
    return table["arrived"] - table["left"]


def test_streets_at_right_angles(validity):
    side, chance, edge = 30, 1 / 9, 7
    rng = np.random.default_rng(5)
    x, y = np.divmod(np.arange(side * side), side)
    right, up = np.flatnonzero(x < side - 1), np.flatnonzero(y < side - 1)
    start, end = np.r_[right, up], np.r_[right + side, up + 1]
    streets = network(x, y, np.r_[start, end], np.r_[end, start])
    middle = np.flatnonzero((x >= edge) & (x < side - edge) & (y >= edge) & (y < side - edge))
    k = np.arange(1, 1000)
    steps = 2 * k * (k - 1) + 1
    assert ((1 - 1e-4) ** steps).sum() == pytest.approx(LAW["right angles"] / np.sqrt(1e-4), rel=1e-3)
    expected = ((1 - chance) ** steps).sum()
    means, every = [], []
    for _ in range(40):
        stations = np.flatnonzero(rng.random(side * side) < chance)
        found = ways(streets, np.ones(len(streets.start)), stations, middle)
        apart = abs(x[middle, None] - x[stations]) + abs(y[middle, None] - y[stations])
        assert np.array_equal(found.round(6), apart.min(1))
        means.append(found.mean())
        every.append((found >= np.arange(1, 6)[:, None]).mean(1))
    error = np.std(means, ddof=1) / np.sqrt(len(means))
    assert error < 0.02 * expected
    what = "mean way on a grid of streets, a ninth of the crossings with a unit, steps"
    validity("ways", what, np.mean(means), expected, 4 * error, source="Kolesar & Blum 1973, on a grid")
    error = np.std(every, axis=0, ddof=1) / np.sqrt(len(every))
    assert np.all(np.abs(np.mean(every, axis=0) - (1 - chance) ** steps[:5]) < 4 * error)


@pytest.mark.parametrize("measure", LAW)
def test_ways_across_country(measure, validity):
    """Calls and units anywhere; a way of its own leads from each call to the units that are not far."""
    rng = np.random.default_rng(11)
    calls, size, edge, reach = 40, 16.0, 3.0, 2.2
    means, every = [], []
    for _ in range(60):
        units = rng.poisson(size**2)
        spot = np.r_[rng.uniform(edge, size - edge, (calls, 2)), rng.uniform(0, size, (units, 2))]
        gap = np.abs(spot[:calls, None] - spot[None, calls:])
        far = np.hypot(gap[..., 0], gap[..., 1]) if measure == "straight" else gap.sum(-1)
        call, unit = np.nonzero(far < reach)
        streets = network(spot[:, 0], spot[:, 1], np.r_[unit + calls, call], np.r_[call, unit + calls])
        seconds = np.tile(1000 * far[call, unit], 2)
        found = ways(streets, seconds, calls + np.arange(units), np.arange(calls)) / 1000
        # a call without a unit within reach waits, which is rarer than one in a thousand
        every.append(np.nan_to_num(found, nan=reach))
        means.append(every[-1].mean())
    error = np.std(means, ddof=1) / np.sqrt(len(means))
    assert error < 0.02 * LAW[measure]
    what = f"mean way, one unit a square, {measure}"
    validity("ways", what, np.mean(means), LAW[measure], 4 * error, source="Kolesar & Blum 1973")
    ninth = {"straight": 0.856117, "right angles": 1.072983}[measure]
    shorter = np.array([(found < ninth).mean() for found in every])
    error = shorter.std(ddof=1) / np.sqrt(len(shorter))
    what = f"share of ways below the law's nine in ten, {measure}"
    validity("ways", what, shorter.mean(), 0.9, 4 * error, source="Kolesar & Blum 1973")
