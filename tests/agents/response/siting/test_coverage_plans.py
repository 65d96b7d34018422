"""Plans that cover demand: against all plans of small cases, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import all_plans, town

from citytwin.agents.response.siting.coverage import covers_for, double_standard, lscp, malp, mclp, mexclp
from citytwin.agents.response.siting.plan import EXACT, SEARCH, SitingError

LINE = np.abs(np.arange(6.0)[:, None] - np.arange(6.0))
ONES = np.ones(6)


def covered(weights, within, plan):
    return weights @ (within @ plan > 0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([150.0, 300.0, 500.0]), st.booleans())
def test_exact_cover_is_the_best_of_all_plans(seed, units, standard, stays):
    weights, seconds = town(seed, 12, 6)
    within, least = seconds <= standard, np.eye(6, dtype=int)[0] * stays
    best = max(covered(weights, within, plan) for plan in all_plans(6, units, least))
    plan = mclp(weights, seconds, standard, units, least=least, method=EXACT)
    assert plan.objective == best == covered(weights, within, plan.units)
    assert plan.gap < 1e-6
    assert plan.units.sum() == units
    assert (plan.units >= least).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([0.1, 0.5, 0.8]))
def test_exact_expected_cover_is_the_best_of_all_plans(seed, units, busy):
    weights, seconds = town(seed, 10, 5)
    within = seconds <= 350.0
    best = max(weights @ (1 - busy ** (within @ plan)) for plan in all_plans(5, units, 0, units))
    plan = mexclp(weights, seconds, 350.0, units, busy, method=EXACT)
    assert plan.objective == pytest.approx(best, rel=1e-9)
    assert plan.bound == pytest.approx(best, rel=1e-6)
    two_a_site = mexclp(weights, seconds, 350.0, units, busy, most=2, method=EXACT)
    assert two_a_site.units.max() <= 2
    assert two_a_site.objective <= plan.objective + 1e-9


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_exact_reliable_cover_is_the_best_of_all_plans(seed, units):
    weights, seconds = town(seed, 10, 5)
    within = seconds <= 400.0
    best = max(weights @ (within @ plan >= 2) for plan in all_plans(5, units, 0, 2))
    plan = malp(weights, seconds, 400.0, units, 0.3, 0.9, most=2, method=EXACT)
    assert covers_for(0.3, 0.9) == 2
    assert plan.objective == best == weights @ (within @ plan.units >= 2)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([200.0, 400.0, 700.0]))
def test_exact_set_cover_has_the_fewest_units(seed, standard):
    _, seconds = town(seed, 12, 6)
    reached = (seconds <= standard).any(1)
    if not reached.any():
        return
    within = (seconds <= standard)[reached]
    plan = lscp(seconds[reached], standard, method=EXACT)
    fewest = next(n for n in range(7) if any((within @ way > 0).all() for way in all_plans(6, n)))
    assert plan.objective == fewest == plan.units.sum()
    assert (within @ plan.units > 0).all()
    searched = lscp(seconds[reached], standard, method=SEARCH)
    assert (within @ searched.units > 0).all()
    assert searched.objective >= fewest


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.sampled_from([0.0, 0.6, 0.9]))
def test_exact_double_standard_is_the_best_of_all_plans(seed, units, share):
    weights, seconds = town(seed, 10, 5)
    near, far = seconds <= 350.0, seconds <= 800.0
    good = [
        weights @ (near @ plan > 1)
        for plan in all_plans(5, units, 0, 2)
        if (far @ plan > 0).all() and covered(weights, near, plan) >= share * weights.sum()
    ]
    ask = (weights, seconds, 350.0, 800.0, units, share)
    if not good:
        with pytest.raises(SitingError, match=r"within far|no site reaches"):
            double_standard(*ask, most=2, method=EXACT)
        return
    plan = double_standard(*ask, most=2, method=EXACT)
    assert plan.objective == max(good)
    try:
        searched = double_standard(*ask, most=2, method=SEARCH)
    except SitingError as error:
        assert "search found no plan" in str(error)
        return
    assert (far @ searched.units > 0).all()
    assert covered(weights, near, searched.units) >= (share - 1e-6) * weights.sum()
    assert searched.objective <= plan.objective


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.sampled_from([0.0, 0.4]))
def test_no_single_move_improves_what_the_search_returns(seed, units, busy):
    weights, seconds = town(seed, 40, 8)
    within = seconds <= 250.0
    plan = mexclp(weights, seconds, 250.0, units, busy, method=SEARCH)
    for out in plan.sites:
        for into in range(8):
            other = plan.units.copy()
            other[out] -= 1
            other[into] += 1
            assert weights @ (1 - busy ** (within @ other)) <= plan.objective * (1 + 1e-9) + 1e-9


def test_the_search_comes_near_the_optimum_of_a_town():
    weights, seconds = town(5, 400, 60)
    for ask, share in (
        (lambda method: mclp(weights, seconds, 180.0, 8, method=method), 0.99),
        (lambda method: mexclp(weights, seconds, 180.0, 12, 0.4, method=method), 0.99),
        (lambda method: malp(weights, seconds, 180.0, 12, 0.3, 0.9, method=method), 0.95),
    ):
        best, found = ask(EXACT), ask(SEARCH)
        assert found.objective <= best.objective + 1e-9
        assert found.objective >= share * best.bound, f"{found.problem}: {found.objective} of {best.bound}"


def test_without_busy_units_expected_cover_is_cover():
    weights, seconds = town(2, 60, 12)
    for method in (EXACT, SEARCH):
        one = mclp(weights, seconds, 300.0, 3, method=method)
        other = mexclp(weights, seconds, 300.0, 3, 0.0, most=1, method=method)
        assert np.array_equal(one.units, other.units)
        assert one.objective == other.objective


def test_standards_may_differ_by_point_and_ties_go_to_the_lower_site():
    plan = mclp(ONES, LINE, [0, 0, 0, 0, 0, 5], 1, method=SEARCH)
    assert plan.sites.tolist() == [0]
    assert plan.objective == 2
    assert mclp(ONES, LINE, 1.0, 2, method=SEARCH).sites.tolist() == [1, 4]


def test_sites_that_stay_that_are_no_candidates_and_the_current_plan():
    assert mclp(ONES, LINE, 1.0, 2, least=np.eye(6, dtype=int)[0]).sites.tolist() == [0, 3]
    assert mclp(ONES, LINE, 1.0, 2, most=[1, 0, 1, 1, 0, 1]).objective == 5
    current = mclp(ONES, LINE, 1.0, 2, current=[1, 0, 0, 0, 0, 0], method=SEARCH)
    assert current.objective == 6
    assert mexclp(ONES, LINE, 1.0, 3, 0.5, least=[0, 2, 0, 0, 0, 0]).units[1] >= 2


def test_units_that_nobody_needs_are_placed_all_the_same():
    for method in (EXACT, SEARCH):
        plan = mclp(ONES, LINE, 10.0, 4, method=method)
        assert plan.units.sum() == 4
        assert plan.objective == 6
        nothing = mclp(ONES, LINE + 5.0, 1.0, 2, method=method)
        assert nothing.units.sum() == 2
        assert nothing.objective == 0


def test_how_many_units_a_reliability_takes():
    assert [covers_for(0.5, share) for share in (0.4, 0.5, 0.51, 0.75, 0.9)] == [1, 1, 2, 2, 4]
    assert covers_for(0.0, 0.99) == covers_for(0.9, 0.0) == 1
    for busy in (0.1, 0.35, 0.8):
        for reliability in (0.5, 0.9, 0.99):
            covers = covers_for(busy, reliability)
            assert 1 - busy**covers >= reliability - 1e-9
            assert covers == 1 or 1 - busy ** (covers - 1) < reliability


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: mclp(ONES, LINE * np.nan, 1, 1), "got nan from site 0 to point 0"),
        (lambda: mclp(ONES, LINE - 1, 1, 1), "got -1.0 from site 0 to point 0"),
        (lambda: mclp(ONES, ONES, 1, 1), r"\(points, sites\)"),
        (lambda: mclp(ONES[:5], LINE, 1, 1), "one for each of the 6 points"),
        (lambda: mclp([1, 1, 1, -2, 1, 1], LINE, 1, 1), "got -2.0 at point 3"),
        (lambda: mclp(0 * ONES, LINE, 1, 1), "all are 0"),
        (lambda: mclp(ONES, LINE, -1, 1), "standard: seconds from 0"),
        (lambda: mclp(ONES, LINE, 1, 7), "7 units for 6 sites that may hold 6"),
        (lambda: mclp(ONES, LINE, 1, 1.5), "whole number from 0; got 1.5"),
        (lambda: mclp(ONES, LINE, 1, 1, least=1), "6 must stand by least"),
        (
            lambda: mclp(ONES, LINE, 1, 2, least=[0, 0, 1, 0, 0, 0], most=[1, 1, 0, 1, 1, 1]),
            "above most units at sites 2",
        ),
        (lambda: mclp(ONES, LINE, 1, 2, most=[1, 1, 1]), "one for each of the 6 sites"),
        (lambda: mclp(ONES, LINE, 1, 2, current=[2, 0, 0, 0, 0, 0]), "breaks least or most at sites 0"),
        (lambda: mclp(ONES, LINE, 1, 1, current=[1, 1, 0, 0, 0, 0]), "to see which to close"),
        (lambda: mclp(ONES, LINE, 1, 1, method="fast"), "allowed are auto, exact, greedy and swap"),
        (lambda: mexclp(ONES, LINE, 1, 1, 1.0), "busy is 1.0"),
        (lambda: malp(ONES, LINE, 1, 1, 0.5, 1.0), "reliability is 1.0"),
        (lambda: lscp(LINE, 1.0, most=[1, 0, 0, 0, 0, 1]), "no site covers points 2, 3 within the standard"),
        (lambda: double_standard(ONES, LINE, 1, 2, 2, 1.5), "share is 1.5"),
        (lambda: double_standard(ONES, LINE, 0, 1, 2, 0.5, most=[1, 0, 0, 0, 0, 1]), "reaches points 2, 3 within far"),
        (lambda: double_standard(ONES, LINE, 1, 1, 1, 0.5), "there is no plan with units = 1"),
        (lambda: double_standard(ONES, LINE, 1, 1, 1, 0.5, method=SEARCH), "the search found no plan"),
    ],
)
def test_what_is_refused(ask, message):
    with pytest.raises(SitingError, match=message):
        ask()
