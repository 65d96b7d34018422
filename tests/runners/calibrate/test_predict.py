"""Distances, and the intervals in which observations are expected, against laws that are known."""

import numpy as np
import pytest
from scipy import stats

from citytwin.runners.calibrate import predict as module
from citytwin.runners.calibrate.distance import counted, distance
from citytwin.runners.calibrate.observed import Observed
from citytwin.runners.calibrate.settings import Observation

COUNTS = Observation(series="x")


def predict(runs, weight, data, observations, seed, scale=1.0):
    """Return the prediction of runs that all have one scale."""
    scales = {"x": np.full(len(weight), scale)}
    return module.predict(runs, scales, weight, data, observations, seed)


def observed(values, last=None):
    """Return observations of consecutive days."""
    days = np.arange(len(values))
    return Observed(days, {"x": np.array(values, float)}, days[-1] if last is None else last, "")


class TestDistance:
    @pytest.mark.parametrize("mean", [3, 10, 100, 3000])
    def test_transformed_counts_have_unit_variance(self, mean):
        counts = np.arange(stats.poisson.ppf(1e-12, mean), stats.poisson.ppf(1 - 1e-12, mean))
        chance = stats.poisson.pmf(counts, mean)
        roots = counted(counts)
        variance = chance @ roots**2 - (chance @ roots) ** 2
        assert variance == pytest.approx(1, abs=0.07 if mean < 5 else 0.01)

    def test_two_draws_of_one_law_are_the_root_of_two_apart(self):
        rng = np.random.default_rng(1)
        mean = np.linspace(5, 500, 4000)
        apart = distance({"x": rng.poisson(mean)}, observed(rng.poisson(mean)), {"x": COUNTS})
        assert apart == pytest.approx(np.sqrt(2), rel=0.03)

    @pytest.mark.parametrize("scale", [0.05, 20.0])
    def test_scatter_counts_in_whole_people_of_the_smaller_side(self, scale):
        """A city of a twentieth, or cases of which a twentieth is reported: the smaller side scatters, the other hardly."""
        rng = np.random.default_rng(1)
        large = np.linspace(4000, 40_000, 4000)
        small = rng.poisson(large / 20)
        sides = (small, large) if scale > 1 else (large, small)
        apart = distance({"x": sides[0]}, observed(sides[1]), {"x": Observation(series="x", scale=scale)})
        assert apart == pytest.approx(1, rel=0.03)

    def test_normal_errors_count_in_standard_deviations(self):
        given = Observation(series="x", error="normal", sd=2.0)
        assert distance({"x": np.array([1.0, 5.0])}, observed([3, 3]), {"x": given}) == pytest.approx(1)
        own = Observation(series="x", error="normal")
        assert distance({"x": np.zeros(2)}, observed([-3, 3]), {"x": own}) == pytest.approx(1)

    def test_only_fitted_days_with_figures_count(self):
        data = observed([4, np.nan, 4, 900], last=2)
        assert distance({"x": np.array([4, 99, 4, 0])}, data, {"x": COUNTS}) == 0

    def test_columns_weigh_alike(self):
        data = Observed(np.arange(3), {"a": np.array([0.0, 0, 0]), "b": np.array([0.0, np.nan, np.nan])}, 2, "")
        both = {name: Observation(series=name, error="normal", sd=1.0) for name in "ab"}
        assert distance({"a": np.zeros(3), "b": np.full(3, 2.0)}, data, both) == pytest.approx(np.sqrt(2))

    def test_no_figure_is_infinitely_far(self):
        assert distance({"x": np.array([np.nan, 1])}, observed([1, 1]), {"x": COUNTS}) == float("inf")


class TestPrediction:
    def test_negative_binomial_scatter_is_found_and_covers(self):
        """The mean is known and the scatter is not: intervals hold their share of days to come."""
        rng = np.random.default_rng(2)
        k, days = 5.0, 1600
        mean = 40 + 30 * np.sin(np.arange(days) / 50)
        values = rng.negative_binomial(k, k / (k + mean))
        found = predict(
            {"x": np.array([mean, mean])}, np.array([0.3, 0.7]), observed(values, last=799), {"x": COUNTS}, 1
        )
        assert found["x"].scatter == pytest.approx(k, rel=0.15)
        held = found["x"].covered["held_out"]
        assert held["days"] == 800
        assert held["90%"] == pytest.approx(0.9, abs=0.04)
        assert held["50%"] == pytest.approx(0.5, abs=0.06)

    def test_intervals_are_quantiles_of_the_law(self):
        mean = np.array([2.0, 50.0, 800.0])
        values = stats.nbinom.rvs(3, 3 / 803, size=300, random_state=4)
        runs = {"x": np.concatenate([np.full(300, 800.0), mean])[None]}
        found = predict(runs, np.ones(1), observed(values), {"x": COUNTS}, 1)["x"]
        k = found.scatter
        for day, m in enumerate(mean, start=300):
            for row, tail in enumerate((0.05, 0.25, 0.5, 0.75, 0.95)):
                # of 2,000 draws the share below has a standard error of at most 0.011
                law = stats.nbinom(k, k / (k + m))
                at = found.quantiles[row, day]
                assert law.cdf(at - 1) - 0.04 <= tail <= law.cdf(at) + 0.04

    def test_normal_scatter(self):
        rng = np.random.default_rng(2)
        mean = np.linspace(-5, 5, 2000)
        normal = Observation(series="x", error="normal")
        found = predict({"x": mean[None]}, np.ones(1), observed(rng.normal(mean, 0.3), last=999), {"x": normal}, 1)["x"]
        assert found.scatter == pytest.approx(0.3, rel=0.07)
        assert found.covered["held_out"]["90%"] == pytest.approx(0.9, abs=0.03)

    def test_particles_count_by_weight(self):
        """Exact counts, one particle at 100 and one at 400: with a weight of 0.3 the upper one holds the upper quartile."""
        runs = {"x": np.array([np.full(50, 100.0), np.full(50, 400.0)])}
        normal = Observation(series="x", error="normal")
        data = observed(np.full(50, 100.0))
        found = predict(runs, np.array([0.7, 0.3]), data, {"x": normal}, 1)["x"]
        none = predict({"x": runs["x"][:1]}, np.ones(1), data, {"x": normal}, 1)["x"]
        assert none.scatter == 0
        assert (none.quantiles == 100).all()
        assert found.scatter == pytest.approx(np.sqrt(0.3 * 300**2))

    def test_nothing_expected_may_still_be_seen(self):
        runs = {"x": np.zeros((1, 10))}
        found = predict(runs, np.ones(1), observed([0, 1, 0, 0, 1, 0, 0, 0, 1, 0]), {"x": COUNTS}, 1)["x"]
        assert found.quantiles[-1].max() >= 1
        assert found.covered["fitted"]["90%"] == 1

    def test_a_city_for_many_cities_scatters_in_its_own_people(self):
        """Data of 50 times the people: the city's Poisson counts times 50 are covered, and no wider law is made up."""
        rng = np.random.default_rng(3)
        mean = np.linspace(0.1, 200, 1000)
        values = 50 * rng.poisson(mean)
        counts = Observation(series="x", scale=50.0)
        found = predict({"x": mean[None]}, np.ones(1), observed(values, last=499), {"x": counts}, 1, scale=50.0)["x"]
        assert found.scatter > 100  # near a Poisson law
        assert found.covered["held_out"]["90%"] == pytest.approx(0.9, abs=0.04)
        assert found.quantiles[2, -1] == pytest.approx(50 * 200, rel=0.02)

    def test_normal_figures_are_scaled(self):
        normal = Observation(series="x", error="normal", scale=10.0)
        found = predict(
            {"x": np.full((1, 4), 5.0)}, np.ones(1), observed([50, 50, 50, 50]), {"x": normal}, 1, scale=10.0
        )
        assert (found["x"].quantiles == 50).all()

    def test_drawn_alike_every_time(self):
        runs, data = {"x": np.full((3, 20), 9.0)}, observed(np.arange(20))
        first, again = (predict(runs, np.full(3, 1 / 3), data, {"x": COUNTS}, 5)["x"].quantiles for _ in range(2))
        assert np.array_equal(first, again)
