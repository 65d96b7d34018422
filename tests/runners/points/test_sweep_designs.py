"""Designs of experiments against their definitions, the samplers of SALib, and integrals they must give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from citytwin.environment.randomness import key
from citytwin.runners.points.designs import latin_hypercube, morris, random, saltelli, samples, size, sobol
from citytwin.runners.points.settings import SweepSettings

SEEDS = st.integers(0, 2**62 - 1)
RANGES = st.integers(1, 6)


@given(SEEDS, RANGES, st.integers(1, 60))
@settings(deadline=None, max_examples=30)
def test_a_latin_hypercube_has_one_sample_in_each_slice_of_every_range(seed, ranges, count):
    found = latin_hypercube(count, ranges, seed)
    assert found.shape == (count, ranges)
    slices = np.sort(np.floor(found * count).astype(int), axis=0)
    assert np.array_equal(slices, np.tile(np.arange(count)[:, None], ranges))


def test_a_latin_hypercube_is_not_the_same_in_each_range_and_lies_anywhere_in_its_slices():
    found = latin_hypercube(500, 3, 1)
    correlation = np.corrcoef(found.T)
    assert np.abs(correlation[np.triu_indices(3, 1)]).max() < 0.15  # 3.3 standard errors of 1 / sqrt(500)
    within = found * 500 % 1
    assert kstest(within.ravel(), "uniform").pvalue > 1e-4


def test_random_samples_are_uniform_and_independent():
    found = random(4000, 3, 5)
    assert all(kstest(found[:, n], "uniform").pvalue > 1e-4 for n in range(3))
    assert np.abs(np.corrcoef(found.T)[np.triu_indices(3, 1)]).max() < 4 / np.sqrt(4000)


@given(SEEDS, RANGES, st.integers(1, 6))
@settings(deadline=None, max_examples=20)
def test_a_sobol_sequence_is_balanced_in_every_binary_slice(seed, ranges, power):
    """Every interval of length 2^-power holds one of the first 2^power points: a (0, power, 1)-net in each range."""
    found = sobol(2**power, ranges, seed)
    slices = np.sort(np.floor(found * 2**power).astype(int), axis=0)
    assert np.array_equal(slices, np.tile(np.arange(2**power)[:, None], ranges))


def test_sobol_points_integrate_better_than_random_ones():
    """Mean of the product of 1 + (x − 1/2) is 1; of 1,024 points Sobol's error is far below that of random ones."""

    def error(points):
        return abs(np.prod(points + 0.5, axis=1).mean() - 1)

    worst = max(error(sobol(1024, 4, seed)) for seed in range(10))
    usual = np.median([error(random(1024, 4, seed)) for seed in range(10)])
    assert worst < usual / 5


@pytest.mark.parametrize("second_order", [False, True])
@pytest.mark.parametrize("ranges", [1, 2, 5])
def test_saltelli_is_the_sample_of_salib(ranges, second_order):
    from SALib.sample.sobol import sample

    problem = {"num_vars": ranges, "names": [f"x{n}" for n in range(ranges)], "bounds": [[0, 1]] * ranges}
    drawn = int(key(9, "sweep design: sobol") >> np.uint64(1))
    expected = sample(problem, 16, calc_second_order=second_order, seed=drawn)
    assert np.array_equal(saltelli(16, ranges, 9, second_order=second_order), expected)


@given(SEEDS, RANGES, st.integers(1, 20), st.sampled_from([2, 4, 6, 10]))
@settings(deadline=None, max_examples=40)
def test_a_morris_trajectory_moves_each_range_once_by_one_step(seed, ranges, trajectories, levels):
    found = morris(trajectories, ranges, seed, levels=levels).reshape(trajectories, ranges + 1, ranges)
    on_grid = found * (levels - 1)
    assert np.allclose(on_grid, np.round(on_grid))
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-12
    moves = np.diff(found, axis=1)
    assert np.array_equal(np.count_nonzero(moves, axis=2), np.ones((trajectories, ranges)))
    assert np.array_equal(np.count_nonzero(moves, axis=1), np.ones((trajectories, ranges)))
    assert np.allclose(np.abs(moves).sum(axis=1), levels / (2 * (levels - 1)))


def test_morris_meets_all_levels_directions_and_orders_equally_often():
    found = morris(3000, 2, 4, levels=4).reshape(3000, 3, 2)
    moves = np.diff(found, axis=1)
    assert abs(np.mean(moves[moves != 0] > 0) - 0.5) < 0.03
    assert abs(np.mean(moves[:, 0, 0] != 0) - 0.5) < 0.03  # which is moved first
    share = np.bincount(np.round(found * 3).astype(int).ravel(), minlength=4) / found.size
    assert np.abs(share - 0.25).max() < 0.02


def test_salib_finds_the_coefficients_of_a_linear_function_in_a_morris_design():
    from SALib.analyze import morris as analysis

    points = morris(20, 3, 7, levels=4)
    problem = {"num_vars": 3, "names": ["a", "b", "c"], "bounds": [[0, 1]] * 3}
    found = analysis.analyze(problem, points, points @ [3.0, -2.0, 0.5], num_levels=4)
    assert np.allclose(found["mu"], [3, -2, 0.5])
    assert np.allclose(found["sigma"], 0, atol=1e-12)


@pytest.mark.parametrize("design", ["random", "sobol", "saltelli", "morris"])
def test_a_larger_design_begins_with_the_smaller_one(design):
    def made(count):
        given = {"random": "points", "sobol": "points", "saltelli": "base", "morris": "trajectories"}[design]
        return samples(SweepSettings.model_validate({"design": design, given: count}), 3, 11)

    small, large = made(16), made(64)
    assert np.array_equal(large[: len(small)], small)
    assert not np.array_equal(large[len(small) : 2 * len(small)], small)


@pytest.mark.parametrize("design", ["random", "lhs", "sobol", "saltelli", "morris"])
def test_designs_depend_on_settings_and_seed_alone(design):
    given = {"saltelli": "base", "morris": "trajectories"}.get(design, "points")
    settings = SweepSettings.model_validate({"design": design, given: 8})
    assert np.array_equal(samples(settings, 3, 1), samples(settings, 3, 1))
    assert not np.array_equal(samples(settings, 3, 1), samples(settings, 3, 2))
    assert len(samples(settings, 3, 1)) == size(settings, 3)


def test_second_order_of_saltelli_counts():
    settings = SweepSettings.model_validate({"design": "saltelli", "base": 8, "second_order": True})
    assert size(settings, 3) == len(samples(settings, 3, 1)) == 8 * 8
