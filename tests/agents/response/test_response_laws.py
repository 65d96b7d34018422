"""Laws of times by quantile."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from citytwin.agents.response.laws import AnyLaw

MIDS = (np.arange(200_000) + 0.5) / 200_000


def law_of(keys):
    return TypeAdapter(AnyLaw).validate_python(keys)


@given(
    st.sampled_from(["exponential", "weibull", "gamma", "lognormal", "lognormal by mean"]),
    st.integers(1, 300),
    st.floats(0.3, 3),
    st.floats(0.001, 0.999),
    st.integers(0, 100),
)
def test_quantiles_are_those_of_the_law_and_the_shift(name, minutes, shape, u, shift):
    time, seconds = f"{minutes} min", 60.0 * minutes
    keys, law = {
        "exponential": ({"mean": time}, stats.expon(scale=seconds)),
        "weibull": ({"shape": shape, "scale": time}, stats.weibull_min(shape, scale=seconds)),
        "gamma": ({"shape": shape, "scale": time}, stats.gamma(shape, scale=seconds)),
        "lognormal": ({"median": time, "sigma": shape}, stats.lognorm(shape, scale=seconds)),
        "lognormal by mean": ({"mean": time, "sd": time}, None),
    }[name]
    ours = law_of({"law": name.split()[0], "shift": f"{shift} s"} | keys)
    if law is None:  # mean = sd: the variance of the logarithm is ln 2
        law = stats.lognorm(np.sqrt(np.log(2)), scale=seconds / np.sqrt(2))
    assert ours.of([u])[0] == pytest.approx(shift + law.ppf(u), rel=1e-9)
    assert ours.mean == pytest.approx(shift + law.mean(), rel=1e-9)
    assert np.all(np.diff(ours.of([u / 2, u, (1 + u) / 2])) > 0)


def test_a_time_alone_is_a_constant():
    law = law_of("90 s")
    assert law.mean == 90
    assert law.of([[0.1, 0.9]]).tolist() == [[90, 90]]
    assert law_of({"law": "constant", "time": "1 min", "shift": "30 s"}).of([0.5]).tolist() == [90]


@pytest.mark.parametrize(
    ("keys", "mean", "median"),
    [  # minutes, of the city models of JEMSS and of AmbModelOpen
        ({"law": "weibull", "shape": 2.5, "scale": "34.3 min"}, 30.43, None),
        ({"law": "weibull", "shape": 1.5, "scale": "18 min"}, 16.25, None),
        ({"law": "lognormal", "median": "25 min", "sigma": 0.707205, "shift": "25 min"}, 57.1, 50.0),
    ],
)
def test_published_laws_have_their_published_means(keys, mean, median):
    law = law_of(keys)
    assert law.mean / 60 == pytest.approx(mean, abs=0.01)
    assert law.of(MIDS).mean() == pytest.approx(law.mean, rel=1e-4)
    if median is not None:
        assert law.of([0.5])[0] / 60 == pytest.approx(median, abs=1e-9)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("90", "must be a number and a unit"),
        ({"law": "exponential"}, "Field required"),
        ({"law": "exponential", "mean": "0 s"}, "greater than 0"),
        ({"law": "exponential", "mean": "2000 h"}, "less than or equal"),
        ({"law": "exponential", "mean": 12}, "must be a number and a unit"),
        ({"law": "exponential", "mean": "5 min", "sd": "5 min"}, "Extra inputs"),
        ({"law": "lognormal", "median": "5 min"}, "either median and sigma, or mean and sd"),
        ({"law": "lognormal", "median": "5 min", "sigma": 1, "mean": "5 min"}, "either median and sigma"),
        ({"law": "weibull", "shape": 0, "scale": "5 min"}, "greater than or equal"),
        ({"law": "uniform", "mean": "5 min"}, "'constant', 'exponential', 'lognormal', 'weibull', 'gamma'"),
    ],
)
def test_laws_that_are_none_are_refused(keys, message):
    with pytest.raises(ValidationError, match=message):
        law_of(keys)
