"""The posterior by population Monte Carlo against posteriors that are known exactly.

Distribution functions are compared by their greatest difference. For a sample worth n independent draws the Kolmogorov
law gives 1.95 / sqrt(n) at a chance of one in a thousand; n is Kish's 1 / Σ w².
"""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from citytwin.runners.calibrate.priors import normal_draws, points_of, value_at
from citytwin.runners.calibrate.settings import Prior
from citytwin.runners.calibrate.smc import TooFewError, _moved, normal_density, posterior

KOLMOGOROV = 1.95


def prior(low, high, **more):
    return Prior.model_validate({"from": low, "to": high, **more})


def sample(priors, distance, *, particles=400, runs=6000, seed=1, **more):
    """Let the population run on a function of the parameters and a generator; return values by name and the posterior."""
    rng = np.random.default_rng(seed)
    going = posterior(seed, len(priors), particles, runs, **more)
    normals = next(going)
    while True:
        points = points_of(priors, normals)
        try:
            normals = going.send(np.array([distance(point, rng) for point in points]))
        except StopIteration as stop:
            found = stop.value
            points = points_of(priors, found.normals)
            return {name: np.array([point[name] for point in points]) for name in priors}, found


def gap(values, weight, cdf):
    """Return the greatest difference of a weighted sample's distribution function from a true one, and its limit."""
    order = np.argsort(values)
    reached, true = np.cumsum(weight[order]), cdf(values[order])
    apart = max(np.abs(reached - true).max(), np.abs(reached - weight[order] - true).max())
    return apart, KOLMOGOROV * np.sqrt((weight**2).sum())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_normal_mean_at_the_tolerance_reached(seed):
    """Of N(θ, s²) one value is seen: θ given a draw within the tolerance has a law in closed form."""
    s, seen = 0.5, 1.2
    values, found = sample(
        {"theta": prior(-5, 5)}, lambda p, rng: abs(rng.normal(p["theta"], s) - seen), seed=seed, runs=6000
    )
    reach = found.generations[-1].tolerance
    grid = np.linspace(-5, 5, 20_001)
    density = stats.norm.cdf((seen + reach - grid) / s) - stats.norm.cdf((seen - reach - grid) / s)
    cdf = np.cumsum(density) / density.sum()
    apart, limit = gap(values["theta"], found.weight, lambda at: np.interp(at, grid, cdf))
    assert reach < s / 2  # so the tolerance adds less than a tenth to the variance: reach² / 3 against s²
    assert apart < limit


def test_poisson_rate_has_its_gamma_posterior():
    """Counts sum to a number that is met exactly, so the posterior under a uniform prior is Gamma(sum + 1, n)."""
    n, total = 5, 40
    values, found = sample(
        {"rate": prior(0, 30)}, lambda p, rng: abs(rng.poisson(n * p["rate"]) - total), tolerance=0.5, runs=20_000
    )
    assert found.stopped == "the tolerance of 0.5 is reached"
    apart, limit = gap(values["rate"], found.weight, stats.gamma(total + 1, scale=1 / n).cdf)
    assert apart < limit


def test_log_prior_gives_another_gamma_posterior():
    """A prior uniform in the logarithm has density 1 / rate: the posterior is Gamma(sum, n)."""
    n, total = 1, 4
    values, found = sample(
        {"rate": prior(0.01, 100, log=True)},
        lambda p, rng: abs(rng.poisson(n * p["rate"]) - total),
        tolerance=0.5,
        runs=20_000,
    )
    apart, limit = gap(values["rate"], found.weight, stats.gamma(total, scale=1 / n).cdf)
    assert apart < limit
    other, _ = gap(values["rate"], found.weight, stats.gamma(total + 1, scale=1 / n).cdf)
    assert other > limit  # the posterior of the uniform prior is told from it


def test_whole_numbers():
    """N is 0 … 20 with equal chance, N / 2 the mean of a Poisson count of 4: the posterior by enumeration."""
    values, found = sample(
        {"n": prior(0, 20, whole=True)}, lambda p, rng: abs(rng.poisson(p["n"] / 2) - 4), tolerance=0.5, runs=20_000
    )
    chance = stats.poisson.pmf(4, np.arange(21) / 2)
    share = np.bincount(values["n"].astype(int), found.weight, minlength=21)
    apart = np.abs(np.cumsum(share) - np.cumsum(chance) / chance.sum()).max()
    assert apart < KOLMOGOROV * np.sqrt((found.weight**2).sum())


def test_two_parameters_that_depend_on_each_other():
    """Only the sum of two is seen: it has its posterior, and each has that of a uniform square cut along the diagonal."""
    values, found = sample(
        {"a": prior(0, 1), "b": prior(0, 1)}, lambda p, _: abs(p["a"] + p["b"] - 1), particles=800, tolerance=0.02
    )
    reach = found.generations[-1].tolerance
    total = values["a"] + values["b"]
    apart, limit = gap(total, found.weight, stats.uniform(1 - reach, 2 * reach).cdf)
    assert apart < limit + reach / 2  # the square's corners take up to that from the uniform law
    apart, limit = gap(values["a"], found.weight, stats.uniform(0, 1).cdf)
    assert apart < limit + reach / 2
    assert np.corrcoef(values["a"], values["b"])[0, 1] < -0.99


def test_density_of_the_kernel_is_that_of_the_mixture():
    rng = np.random.default_rng(3)
    old = rng.normal(size=(30, 3)) @ rng.normal(size=(3, 3))
    share = rng.random(30)
    share /= share.sum()
    new, density = _moved(1, np.arange(50), old, share)
    covariance = 2 * np.cov(old.T, aweights=share, ddof=0)
    expected = sum(w * stats.multivariate_normal(at, covariance).pdf(new) for at, w in zip(old, share, strict=True))
    assert np.allclose(density, expected, rtol=1e-5)  # the ridge is 1e-9
    assert np.allclose(normal_density(new), stats.multivariate_normal(np.zeros(3)).pdf(new))


def test_moved_particles_have_the_law_of_the_mixture():
    """Twice the weighted covariance and the covariance of the particles themselves add up."""
    rng = np.random.default_rng(3)
    old, share = rng.normal(size=(40, 2)), rng.random(40)
    share /= share.sum()
    new, _ = _moved(1, np.arange(40_000), old, share)
    covariance = np.cov(old.T, aweights=share, ddof=0)
    assert np.allclose(np.cov(new.T), 3 * covariance, atol=0.1)
    assert np.allclose(new.mean(0), share @ old, atol=0.05)


def test_draws_depend_on_run_and_parameter_alone():
    draws = normal_draws(1, "calibrate prior", np.arange(5000), 2)
    assert np.array_equal(normal_draws(1, "calibrate prior", np.array([17]), 2), draws[17:18])
    assert not np.array_equal(normal_draws(2, "calibrate prior", np.arange(5000), 2), draws)
    for column in draws.T:
        assert stats.kstest(column, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(draws.T)[0, 1]) < 0.05


def test_bounds_of_priors_are_kept():
    for made in (prior(2, 3), prior(1, 10, log=True)):
        assert value_at(made, 0.0) == pytest.approx(made.from_)
        assert value_at(made, 1.0) == pytest.approx(made.to)
        assert made.from_ <= value_at(made, 1e-17) <= value_at(made, 1 - 1e-16) <= made.to
    whole = [value_at(prior(3, 6, whole=True), share) for share in np.linspace(0, 1, 4001)]
    assert all(isinstance(value, int) for value in whole)
    assert np.bincount(whole, minlength=8)[3:7] == pytest.approx([1000] * 4, abs=1)
    assert value_at(prior(1, 100, log=True), 0.5) == pytest.approx(10)


class TestStopping:
    def test_budget(self):
        _, found = sample({"x": prior(0, 1)}, lambda p, _: p["x"], particles=50, runs=333)
        assert found.stopped == "all runs are made"
        assert [generation.runs for generation in found.generations] == [100, 50, 50, 50, 50, 33]
        assert len(found.weight) == 50
        assert found.weight.sum() == pytest.approx(1)

    def test_acceptance(self):
        """Noise that no parameter can lessen: new particles come no nearer."""
        _, found = sample(
            {"x": prior(0, 1)}, lambda _, rng: rng.random(), particles=100, runs=100_000, least_acceptance=0.05
        )
        assert "came nearer" in found.stopped
        assert found.generations[-1].acceptance < 0.05
        assert all(generation.acceptance >= 0.05 for generation in found.generations[1:-1])

    def test_tolerance_falls(self):
        _, found = sample({"x": prior(0, 1)}, lambda p, rng: abs(rng.normal(p["x"], 0.1) - 0.5), runs=2000)
        reached = [generation.tolerance for generation in found.generations]
        assert all(later < earlier for earlier, later in pairwise(reached))
        assert found.distance.max() == reached[-1]


class TestFailedRuns:
    def test_they_are_never_kept(self):
        def distance(point, _):
            return float("inf") if point["x"] > 0.5 else abs(point["x"] - 0.5)

        values, found = sample({"x": prior(0, 1)}, distance, particles=50, runs=1000)
        assert np.isfinite(found.distance).all()
        assert (values["x"] <= 0.5).all()

    def test_too_many_of_them_stop_it(self):
        with pytest.raises(TooFewError, match=r"\d+ of 100 runs came to anything; 12 are needed"):
            sample({"x": prior(0, 1)}, lambda p, _: float("inf") if p["x"] > 0.02 else 0.0, particles=50, runs=1000)
