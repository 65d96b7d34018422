"""Siting against cases with known answers: covers by hand, bounds of greedy choice, medians on a line, the square-root law.

**Covers** (four points of demand 2, 2, 1, 1; sites that cover {1, 2}, {2, 3}, {1, 4}): most covered by 0, 1, 2, 3 units is
0, 4, 6, 6 (the test of JEMSS.jl). With two units that are busy a share q and may share a site: 4.8 at q = .2, 3.0 at .5,
2.04 at .7, the last with both at the first site.

**Greedy cover** has at least 1 − 1/e of the best (Nemhauser, Wolsey & Fisher 1978); a proven best plan is HiGHS's.

**Median of points 0 … 4 on a line**: 6 with one site at 2; 3 with two.

**Square-root law** (Kolesar & Blum 1973): units spread by chance at density ρ; distance to the nearest has mean k/√ρ, k
being 1/2 as the crow flies and √(π/8) along a grid; 90 % lie within .856117/√ρ and 1.072983/√ρ. Compared with 100,000 points
among units on a square whose borders meet, so that there is no border; accepted: 1 %.
"""

import math
from itertools import combinations

import numpy as np
import pytest

from citytwin.agents.response.siting import kernels
from citytwin.agents.response.siting.coverage import mclp, mexclp
from citytwin.agents.response.siting.density import distance_within, mean_distance
from citytwin.agents.response.siting.nearest import p_median
from citytwin.agents.response.siting.plan import EXACT, SEARCH
from citytwin.agents.response.siting.rows import cover_of, grouped, once

DEMAND = [2, 2, 1, 1]
COVERS = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 0], [0, 0, 1]], bool)
SECONDS = np.where(COVERS, 0.0, 100.0)
METHODS = (EXACT, SEARCH)


@pytest.mark.parametrize("method", METHODS)
def test_covers_by_hand(validity, method):
    for units, best in enumerate((0, 4, 6, 6)):
        plan = mclp(DEMAND, SECONDS, 1.0, units, method=method)
        validity(
            "siting", f"demand covered by {units} units, {method}", plan.objective, best, source="JEMSS.jl, its test"
        )
    assert mclp(DEMAND, SECONDS, 1.0, 1, method=method).sites.tolist() == [0]
    assert mclp(DEMAND, SECONDS, 1.0, 2, method=method).sites.tolist() == [1, 2]
    for busy, best, units in ((0.2, 4.8, [0, 1, 1]), (0.5, 3.0, None), (0.7, 2.04, [2, 0, 0])):
        plan = mexclp(DEMAND, SECONDS, 1.0, 2, busy, method=method)
        what = f"expected cover by 2 units busy {busy:.0%} of the time, {method}"
        validity("siting", what, plan.objective, best, 1e-9, source="by hand; Daskin 1983")
        assert units is None or plan.units.tolist() == units


@pytest.mark.parametrize("method", METHODS)
def test_medians_on_a_line(validity, method):
    line = np.abs(np.arange(5.0)[:, None] - np.arange(5.0))
    for units, best in ((1, 6), (2, 3)):
        plan = p_median(np.ones(5), line, units, method=method)
        validity(
            "siting", f"ways of 5 points on a line to {units} sites, {method}", plan.objective, best, source="by hand"
        )
    assert p_median(np.ones(5), line, 1, method=method).sites.tolist() == [2]


def test_greedy_cover_has_its_bound(validity):
    worst = 1.0
    for seed in range(20):
        random = np.random.default_rng(seed)
        weights, seconds = random.random(60), random.random((60, 25))
        best = mclp(weights, seconds, 0.12, 6, method=EXACT)
        assert best.gap < 1e-6
        weight, within = grouped(weights, seconds <= 0.12)
        cover, units = cover_of((weight, within, once(6))), np.zeros(25, np.int64)
        count, gain = np.zeros(len(weight), np.int64), np.zeros(25)
        kernels.place(cover, units, count, gain)
        kernels.cover_greedily(cover, units, np.ones(25, np.int64), 6, False, count, gain, 1e-9)
        worst = min(worst, kernels.worth_of(cover, count) / best.objective)
    validity(
        "siting", "greedy cover, least share of the best in 20 towns", worst, within=(1 - 1 / math.e, 1.0),
        source="Nemhauser, Wolsey & Fisher 1978",
    )  # fmt: skip


def test_searched_medians_beside_proven_ones(validity):
    worst = 0.0
    for seed in range(4):
        random = np.random.default_rng(seed)
        at = random.random((60, 2))
        seconds = np.hypot(*(at[:, None] - at[None]).T)
        for units in (6, 12):
            best = p_median(np.ones(60), seconds, units, method=EXACT)
            assert best.gap < 1e-6
            worst = max(worst, p_median(np.ones(60), seconds, units, method=SEARCH).objective / best.bound - 1)
    validity(
        "siting", "ways of searched medians above the proven least, most of 8 plans", worst, within=(-1e-6, 0.01),
        source="HiGHS, optimum proven",
    )  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_medians_and_covers_beside_every_plan_there_is(validity, method):
    """Every choice of sites tried, one after another: ten towns of 14 points, 1 to 5 of 12 sites."""
    medians, covers = [], []
    for seed in range(10):
        random = np.random.default_rng(100 + seed)
        weights, seconds = random.integers(1, 20, 14).astype(float), random.random((14, 12))
        for units in range(1, 6):
            plans = [list(plan) for plan in combinations(range(12), units)]
            shortest = min((weights * seconds[:, plan].min(1)).sum() for plan in plans)
            widest = max(weights[(seconds[:, plan] <= 0.1).any(1)].sum() for plan in plans)
            medians.append(p_median(weights, seconds, units, method=method).objective / shortest)
            covers.append(mclp(weights, seconds, 0.1, units, method=method).objective / widest)
    source = "all plans tried"
    validity(
        "siting", f"ways of 50 plans, most by the least possible, {method}", max(medians), 1.0, 1e-9, source=source
    )
    validity(
        "siting", f"cover of 50 plans, least by the most possible, {method}", min(covers), 1.0, 1e-9, source=source
    )


def test_square_root_law(validity):
    density, side = 4.0, 50.0
    random = np.random.default_rng(1)
    units = random.random((random.poisson(density * side**2), 2)) * side
    points = random.random((100_000, 2)) * side
    from scipy.spatial import cKDTree

    tree = cKDTree(units, boxsize=side)
    for metric, along, mean, ninetieth in ((2, False, 0.5, 0.856117), (1, True, 0.626657, 1.072983)):
        name = "along a grid" if along else "as the crow flies"
        found = tree.query(points, p=metric)[0]
        source = "Kolesar & Blum 1973"
        ours = (mean_distance(1.0, along_streets=along), distance_within(1.0, 0.9, along_streets=along))
        validity("siting", f"mean distance, one unit a square, {name}", ours[0], mean, 1e-6, source=source)
        validity("siting", f"distance of 90 %, one unit a square, {name}", ours[1], ninetieth, 1e-6, source=source)
        share = found.mean() / mean_distance(density, along_streets=along)
        validity(
            "siting", f"mean distance of 100,000 points, share of the law, {name}", share, 1.0, 0.01, source=source
        )
        share = np.quantile(found, 0.9) / distance_within(density, 0.9, along_streets=along)
        validity(
            "siting", f"distance of 90 % of 100,000 points, share of the law, {name}", share, 1.0, 0.01, source=source
        )
