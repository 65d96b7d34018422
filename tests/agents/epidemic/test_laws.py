"""Laws of periods: distribution functions, whole days, bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy.stats import gamma, lognorm, weibull_min

from citytwin.agents.epidemic.laws import MAX_DAYS, Period, whole_days

LAWS = [
    {"law": "exponential", "mean": 4.5},
    {"law": "exponential", "mean": 1.0},
    {"law": "gamma", "mean": 4.5, "sd": 1.5},
    {"law": "gamma", "mean": 1.5, "sd": 0.5},
    {"law": "lognormal", "mean": 8.0, "sd": 2.0},
    {"law": "lognormal", "mean": 10.7, "sd": 4.8},
    {"law": "weibull", "mean": 6.0, "sd": 3.0},
    {"law": "weibull", "mean": 6.0, "sd": 7.0},
]


def law_of(**keys):
    return TypeAdapter(Period).validate_python(keys)


def moments(cumulative):
    chance = np.diff(cumulative, prepend=0.0)
    days = np.arange(len(chance))
    mean = chance @ days
    return mean, np.sqrt(chance @ (days - mean) ** 2)


@pytest.mark.parametrize("keys", LAWS, ids=str)
def test_whole_days_keep_the_mean_of_the_law(keys):
    law = law_of(**keys)
    mean, sd = moments(whole_days(law))
    assert mean == pytest.approx(keys["mean"], rel=1e-6)
    # Rounding at random adds the variance of a fraction of a day, at most 1/4.
    assert keys.get("sd", keys["mean"]) - 0.1 < sd < np.sqrt(keys.get("sd", keys["mean"]) ** 2 + 0.25)
    mean, _ = moments(whole_days(law, less=0.5))
    assert mean + 0.5 == pytest.approx(keys["mean"], rel=1e-6)


@settings(max_examples=60)
@given(
    st.sampled_from(["gamma", "lognormal", "weibull", "exponential"]),
    st.floats(0.51, 60),
    st.floats(0.05, 1.5),
    st.sampled_from([0.0, 0.5]),
)
def test_tables_are_distribution_functions_that_keep_the_mean(name, mean, variation, less):
    keys = {"law": name, "mean": mean} | ({} if name == "exponential" else {"sd": variation * mean})
    try:
        cumulative = whole_days(law_of(**keys), less=less)
    except ValueError as error:
        assert f"may last more than {MAX_DAYS} days" in str(error)
        return
    assert cumulative[0] >= 0
    assert np.all(np.diff(cumulative) >= 0)
    assert cumulative[-1] == 1
    # What a table leaves out are periods of a chance of 1e-9 in total.
    assert moments(cumulative)[0] == pytest.approx(mean - less, abs=1e-5)


def shape_of_weibull(mean, sd):
    """Return the shape of a Weibull law by search."""
    shapes = np.linspace(0.3, 5, 100_001)
    mean_of, variance_of = weibull_min.stats(shapes, moments="mv")
    return shapes[np.argmin(np.abs(variance_of / mean_of**2 - (sd / mean) ** 2))]


def test_laws_are_those_of_scipy_by_mean_and_sd_of_the_variable():
    days = np.array([0.5, 2.0, 5.0, 9.0])
    spread = np.sqrt(np.log1p((2 / 6) ** 2))
    shape = shape_of_weibull(6.0, 2.0)
    expected = {
        "gamma": gamma(9, scale=6 / 9),
        "lognormal": lognorm(spread, scale=6 * np.exp(-(spread**2) / 2)),
        "weibull": weibull_min(shape, scale=6 / weibull_min(shape).mean()),
    }
    for name, law in expected.items():
        assert law.mean() == pytest.approx(6.0, rel=1e-4)
        assert law.std() == pytest.approx(2.0, rel=1e-3)
        assert law_of(law=name, mean=6.0, sd=2.0).cdf(days) == pytest.approx(law.cdf(days), abs=1e-4)


@pytest.mark.parametrize(
    ("keys", "chance"),
    [
        ({"law": "constant", "days": 4}, {4: 1.0}),
        ({"law": "constant", "days": 0}, {0: 1.0}),
        ({"law": "constant", "days": 4.25}, {4: 0.75, 5: 0.25}),
        ({"law": "constant", "days": MAX_DAYS}, {MAX_DAYS: 1.0}),
        ({"law": "empirical", "probability": [0.0, 0.25, 0.5, 0.25]}, {1: 0.25, 2: 0.5, 3: 0.25}),
    ],
    ids=str,
)
def test_laws_of_whole_days_are_taken_as_they_are(keys, chance):
    found = np.diff(whole_days(law_of(**keys), less=0.5), prepend=0.0)
    assert {day: pytest.approx(p) for day, p in enumerate(found) if p > 0} == chance


def test_long_periods_are_allowed_up_to_the_bound():
    assert moments(whole_days(law_of(law="exponential", mean=90.0)))[0] == pytest.approx(90, rel=1e-6)
    with pytest.raises(ValueError, match="may last more than 2000 days; choose a smaller mean or sd"):
        whole_days(law_of(law="exponential", mean=100.0))
    with pytest.raises(ValueError, match=r"mean must be above 0\.5 days, as infections happen at midday"):
        whole_days(law_of(law="gamma", mean=0.4, sd=0.1), less=0.5)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"law": "constant", "days": 2001}, "less than or equal to 2000"),
        ({"law": "gamma", "mean": 5.0, "sd": 0.01}, "sd must lie between mean / 100 and mean"),
        ({"law": "weibull", "mean": 5.0, "sd": 51.0}, "sd must lie between mean / 100 and mean"),
        ({"law": "empirical", "probability": [0.5, 0.4]}, "must sum to 1, sums to 0.9"),
        ({"law": "empirical", "probability": [1.5, -0.5]}, "less than or equal to 1"),
        ({"law": "normal", "mean": 5.0, "sd": 1.0}, "'constant', 'empirical', 'exponential', 'gamma'"),
    ],
    ids=str,
)
def test_wrong_laws_are_refused(keys, message):
    with pytest.raises(ValidationError, match=message):
        law_of(**keys)
