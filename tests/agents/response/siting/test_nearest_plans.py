"""Plans by travel to the nearest site: against all plans of small cases, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import all_plans, town

from citytwin.agents.response.siting import nearest
from citytwin.agents.response.siting.nearest import p_centre, p_median
from citytwin.agents.response.siting.plan import EXACT, SEARCH, SitingError

LINE = np.abs(np.arange(6.0)[:, None] - np.arange(6.0))
ONES = np.ones(6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.booleans(), st.booleans(), st.booleans())
def test_exact_median_is_the_best_of_all_plans(seed, units, stays, barred, cut):
    weights, seconds = town(seed, 12, 7)
    weights[seed % 12] = 0.0
    if cut:
        seconds = np.where(seconds > 900.0, np.inf, np.round(seconds, -2))
    least = np.eye(7, dtype=int)[0] * stays
    most = 1 - np.eye(7, dtype=int)[6] * barred
    demand = weights > 0

    def travel(plan):
        return weights[demand] @ seconds[demand][:, plan > 0].min(1)

    best = min(travel(plan) for plan in all_plans(7, units, least, most))
    for method in (EXACT, SEARCH):
        if np.isinf(best):
            with pytest.raises(SitingError, match="reach"):
                p_median(weights, seconds, units, least=least, most=most, method=method)
            continue
        plan = p_median(weights, seconds, units, least=least, most=most, method=method)
        assert plan.objective == pytest.approx(travel(plan.units), rel=1e-12)
        assert plan.units.sum() == units
        assert ((plan.units >= least) & (plan.units <= most)).all()
        if method == EXACT:
            assert plan.objective == pytest.approx(best, rel=1e-9)
            assert plan.bound == pytest.approx(best, rel=1e-6)
        else:
            assert plan.objective >= best * (1 - 1e-12)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_exact_centre_is_the_best_of_all_plans(seed, units):
    _, seconds = town(seed, 12, 6)
    best = min(seconds[:, plan > 0].min(1).max() for plan in all_plans(6, units))
    plan = p_centre(seconds, units, method=EXACT)
    assert plan.objective == plan.bound == best == seconds[:, plan.units > 0].min(1).max()
    assert plan.units.sum() == units
    searched = p_centre(seconds, units, method=SEARCH)
    assert searched.objective >= best
    assert searched.units.sum() == units


def test_the_search_comes_near_the_optimum_of_a_town():
    weights, seconds = town(7, 100, 80)
    for units in (3, 10, 25):
        best, found = p_median(weights, seconds, units, method=EXACT), p_median(weights, seconds, units, method=SEARCH)
        assert best.gap < 1e-6
        assert best.objective <= found.objective <= 1.01 * best.bound
    best, found = p_centre(seconds, 8, method=EXACT), p_centre(seconds, 8, method=SEARCH)
    assert best.bound <= found.objective <= 1.1 * best.bound


def test_no_single_swap_improves_what_the_search_returns():
    weights, seconds = town(11, 60, 15)
    plan = p_median(weights, seconds, 4, method=SEARCH)
    for out in plan.sites:
        for into in np.flatnonzero(plan.units == 0):
            other = plan.units.copy()
            other[[out, into]] = 0, 1
            assert weights @ seconds[:, other > 0].min(1) >= plan.objective * (1 - 1e-9)


def test_a_current_plan_is_added_to_and_better_starts_never_hurt():
    weights, seconds = town(13, 80, 20)
    alone = p_median(weights, seconds, 5, method=SEARCH)
    helped = p_median(weights, seconds, 5, current=p_median(weights, seconds, 5, method=EXACT).units, method=SEARCH)
    assert helped.objective <= alone.objective
    assert p_median(ONES, LINE, 2, current=[0, 0, 1, 0, 0, 0], method=SEARCH).objective == 4


def test_small_cases_are_proven_and_large_ones_searched():
    weights, seconds = town(1, 30, 10)
    assert p_median(weights, seconds, 3).method == EXACT
    more = np.tile(seconds, (nearest.EXACT_PAIRS // seconds.size + 1, 1))
    plan = p_median(np.ones(len(more)), more, 3)
    assert plan.method == SEARCH
    assert np.isnan(plan.bound)
    assert np.isnan(plan.gap)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: p_median(ONES, LINE, 0), "at least 1"),
        (lambda: p_median(ONES, LINE, 2, most=2), "open or closed"),
        (lambda: p_median(ONES, np.where(LINE > 2, np.inf, LINE), 1), "there is no way to reach all points"),
        (lambda: p_median(ONES, np.where(LINE > 2, np.inf, LINE), 1, method=SEARCH), "the search found no way"),
        (lambda: p_median(ONES, np.where(np.arange(6)[:, None] == 4, np.inf, LINE), 3), "no site reaches points 4"),
        (lambda: p_centre(np.where(LINE > 1, np.inf, LINE), 1), "there is no way to reach all points"),
        (lambda: p_centre(np.where(LINE > 1, np.inf, LINE), 1, method=SEARCH), "the search found no way"),
        (lambda: p_centre(np.full((2, 2), np.inf), 1), "no site reaches points 0, 1"),
    ],
)
def test_what_is_refused(ask, message):
    with pytest.raises(SitingError, match=message):
        ask()
