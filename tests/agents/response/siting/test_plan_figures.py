"""Figures of plans: cover, travel, what is left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import town

from citytwin.agents.response.siting.coverage import mclp, mexclp
from citytwin.agents.response.siting.density import distance_within, mean_distance
from citytwin.agents.response.siting.evaluate import evaluate
from citytwin.agents.response.siting.plan import SitingError

LINE = np.abs(np.arange(6.0)[:, None] - np.arange(6.0))


def test_figures_by_hand():
    figures = evaluate([1, 1, 1, 1, 1, 5], LINE, [0, 2, 0, 0, 1, 0], 1.0, busy=0.5)
    assert figures.covered == figures.reached == 1.0
    assert figures.expected == pytest.approx((3 * 0.75 + 7 * 0.5) / 10)
    assert figures.mean == pytest.approx((1 + 0 + 1 + 1 + 0 + 5) / 10)
    assert figures.percentiles.tolist() == [1, 1]
    assert not len(figures.uncovered)


def test_points_out_of_reach_are_named_and_make_the_mean_infinite():
    seconds = np.where(LINE > 2, np.inf, LINE)
    figures = evaluate([1, 1, 1, 0, 1, 0], seconds, [1, 0, 0, 0, 0, 0], 1.0, percentiles=(50, 75, 100))
    assert figures.uncovered.tolist() == [2, 4]
    assert (figures.covered, figures.reached) == (0.5, 0.75)
    assert np.isinf(figures.mean)
    assert figures.percentiles.tolist() == [1, 2, np.inf]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_percentiles_and_means_are_those_of_the_people_one_by_one(seed, units):
    weights, seconds = town(seed, 15, 6)
    plan = mclp(weights, seconds, 300.0, units).units
    figures = evaluate(weights, seconds, plan, 300.0, percentiles=(10, 50, 90, 100))
    people = np.repeat(seconds[:, plan > 0].min(1), weights.astype(int))
    assert figures.mean == pytest.approx(people.mean())
    assert figures.percentiles.tolist() == np.percentile(people, (10, 50, 90, 100), method="inverted_cdf").tolist()
    assert figures.covered == pytest.approx((people <= 300.0).mean())
    assert figures.expected == pytest.approx(figures.covered)


def test_what_plans_maximise_is_what_figures_say():
    weights, seconds = town(4, 50, 10)
    plan = mexclp(weights, seconds, 250.0, 6, 0.3)
    assert evaluate(weights, seconds, plan.units, 250.0, busy=0.3).expected == pytest.approx(
        plan.objective / weights.sum()
    )


def test_what_is_refused():
    with pytest.raises(SitingError, match="the plan has none"):
        evaluate(np.ones(6), LINE, np.zeros(6, int), 1.0)
    with pytest.raises(SitingError, match="whole numbers from 0"):
        evaluate(np.ones(6), LINE, np.full(6, 0.5), 1.0)
    with pytest.raises(SitingError, match="percentiles: above 0"):
        evaluate(np.ones(6), LINE, 1, 1.0, percentiles=(0,))
    with pytest.raises(SitingError, match=r"busy is -0\.1"):
        evaluate(np.ones(6), LINE, 1, 1.0, busy=-0.1)
    with pytest.raises(SitingError, match="density"):
        mean_distance(0.0)
    with pytest.raises(SitingError, match=r"share is 1\.0"):
        distance_within(1.0, 1.0)
