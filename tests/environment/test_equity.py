"""Measures of equity against known distributions and counting by pairs."""

import numpy as np
import pytest

from citytwin.environment.equity import EquityError, gini, group_means, theil, theil_by_group, worst_off

MIDDLES = (np.arange(200_000) + 0.5) / 200_000
"""Middles of so many equal slices of probability: quantiles at them are a distribution without chance."""


def test_equal():
    assert gini(np.full(7, 3.0)) == pytest.approx(0.0, abs=1e-12)
    assert theil(np.full(7, 3.0)) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (MIDDLES, 1 / 3),  # uniform from 0
        (-np.log1p(-MIDDLES), 1 / 2),  # exponential
        ((1 - MIDDLES) ** (-1 / 3), 1 / 5),  # Pareto with exponent 3: 1 / (2 · 3 − 1)
        (np.r_[np.zeros(3), 5.0], 3 / 4),  # one of n has all: (n − 1) / n
    ],
)
def test_gini(values, expected):
    assert gini(values) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (MIDDLES, np.log(2) - 1 / 2),  # uniform from 0
        (-np.log1p(-MIDDLES), 1 - np.euler_gamma),  # exponential
        (np.r_[np.zeros(9), 2.0], np.log(10)),  # one of ten has all
    ],
)
def test_theil(values, expected):
    assert theil(values) == pytest.approx(expected, abs=2e-4)


def test_gini_is_the_mean_difference():
    rng = np.random.default_rng(3)
    value, weight = rng.gamma(2.0, 3.0, 60), rng.integers(0, 5, 60).astype(float)
    pairs = np.abs(value[:, None] - value) * np.outer(weight, weight)
    mean = weight @ value / weight.sum()
    assert gini(value, weight) == pytest.approx(pairs.sum() / weight.sum() ** 2 / (2 * mean), rel=1e-12)


@pytest.mark.parametrize("measure", [gini, theil, worst_off])
def test_weights_are_people(measure):
    rng = np.random.default_rng(4)
    value, weight = rng.gamma(2.0, 3.0, 40), rng.integers(0, 6, 40)
    assert measure(value, weight) == pytest.approx(measure(np.repeat(value, weight)), rel=1e-12)
    assert measure(rng.permutation(np.repeat(value, 3))) == pytest.approx(measure(value), rel=1e-12)


@pytest.mark.parametrize("measure", [gini, theil])
def test_scale_does_not_matter(measure):
    value = np.random.default_rng(5).gamma(2.0, 3.0, 40)
    assert measure(60 * value) == pytest.approx(measure(value), rel=1e-12)


def test_theil_adds_up():
    rng = np.random.default_rng(6)
    group = rng.integers(0, 4, 500)
    value, weight = rng.gamma(2.0, 1.0 + group, 500), rng.uniform(0, 3, 500)
    parts = theil_by_group(value, group, weight)
    assert parts.between + parts.within == pytest.approx(parts.total, rel=1e-12)
    assert parts.groups[2] == pytest.approx(theil(value[group == 2], weight[group == 2]), rel=1e-12)
    assert parts.between > 0.02


def test_theil_extremes():
    same_in_group = theil_by_group([1, 1, 5, 5], [0, 0, 2, 2])
    assert same_in_group.within == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(same_in_group.groups[1])
    alike_groups = theil_by_group([1, 5, 1, 5], [0, 0, 1, 1])
    assert alike_groups.between == pytest.approx(0.0, abs=1e-12)
    assert alike_groups.within == pytest.approx(theil([1, 5]))


def test_group_means_are_sums_over_people():
    means = group_means([1.0, -3.0, 10.0], [0, 0, 2], 4, weights=[1, 3, 2])
    np.testing.assert_array_equal(means, [-2.0, np.nan, 10.0, np.nan])
    assert group_means([2.0, 4.0], [1, 1], 2).tolist()[1] == 3.0


def test_worst_off_counts_the_border_in_part():
    value = np.arange(1.0, 16.0)  # a tenth of 15 people: one and a half
    assert worst_off(value) == pytest.approx((15 + 0.5 * 14) / 1.5)
    assert worst_off(value, most_is_worst=False) == pytest.approx((1 + 0.5 * 2) / 1.5)
    assert worst_off(MIDDLES) == pytest.approx(0.95)
    assert worst_off(value, share=1.0) == pytest.approx(value.mean())
    assert worst_off([-3.0, 2.0], most_is_worst=False) == pytest.approx(-3.0)


def test_nothing_to_share():
    assert np.isnan(gini([0.0, 0.0]))
    assert np.isnan(theil_by_group([0.0, 0.0], [0, 1]).total)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gini([1.0, -2.0]), "values: row 1 is -2.0, must be a number, not below 0"),
        (lambda: theil([1.0, np.nan]), "row 1 is nan"),
        (lambda: gini([1.0, 2.0], [1.0]), "2 values, but 1 weights"),
        (lambda: gini([]), "there are no people"),
        (lambda: worst_off([1.0], share=0.0), "share of the worst off is 0.0"),
        (lambda: theil_by_group([1.0, 2.0], [0, -1]), "from 0 on"),
        (lambda: group_means([1.0, 2.0], [0, 3], 3), "one from 0 to 2 for each of the 2 values; got 2 from 0 to 3"),
    ],
)
def test_refused(call, words):
    with pytest.raises(EquityError, match=words):
        call()
