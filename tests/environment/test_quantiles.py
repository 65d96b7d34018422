"""Counts by quantile."""

from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson as law

from citytwin.environment import quantiles


@given(st.floats(1e-6, 5000), st.floats(1e-9, 1 - 1e-9))
def test_poisson_quantiles_are_those_of_the_law(mean, u):
    count = quantiles.poisson(mean, u)
    assert law.cdf(count, mean) > u
    assert count == 0 or law.cdf(count - 1, mean) <= u
