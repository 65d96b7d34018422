"""Replicates until an interval is narrow enough, and what a budget allows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from citytwin.runners.points.adaptive import PILOT_RUNS, affordable, further, precision
from citytwin.runners.points.settings import Until, parse_budget


def until(half_width=1.0, **keys):
    return Until.model_validate({"indicator": "x", "half_width": half_width} | keys)


def numbered(values):
    return dict(enumerate(map(float, values)))


def played(wanted, draw, points):
    """Play a sweep: make what is asked for until nothing is; return the replicates of each point, and the batches."""
    made, figures, batches = [0] * points, [{} for _ in range(points)], []
    while runs := further(wanted, made, figures):
        batches.append(runs)
        for position, replicate in runs:
            assert replicate == made[position]  # one after the other, none left out
            made[position] += 1
            value = draw(position, replicate)
            if value is not None:
                figures[position][replicate] = value
        assert len(batches) < 100
    return made, figures, batches


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20), st.floats(0.6, 0.99))
@settings(deadline=None)
def test_the_interval_is_students(values, level):
    found = precision(until(level=level), [numbered(values)], 0)
    low, high = stats.t.interval(level, len(values) - 1, np.mean(values), max(stats.sem(values), 1e-300))
    assert found.half_width == pytest.approx((high - low) / 2, rel=1e-6, abs=1e-9)
    assert found.values == len(values)


def test_a_difference_is_that_of_pairs():
    base, other = [10, 20, 30, 40], [11.0, 21.5, 31.0, 41.5]
    found = precision(until(of="difference"), [numbered(base), numbered(other)], 1)
    assert found.half_width == pytest.approx(stats.t.ppf(0.975, 3) * np.std([1, 1.5, 1, 1.5], ddof=1) / 2)
    assert precision(until(of="difference"), [numbered(base), numbered(other)], 0).half_width == 0
    assert precision(until(), [numbered(base), numbered(other)], 1).half_width > 10
    one_failed = {0: 11.0, 2: 31.0, 3: 41.0}
    assert precision(until(of="difference"), [numbered(base), one_failed], 1).values == 3


def test_every_point_gets_what_its_own_variance_asks_for():
    draws = np.random.default_rng(3).normal(size=(3, 200))
    spreads = [0.0, 1.0, 4.0]
    made, figures, _ = played(until(0.5, at_most=400), lambda p, r: spreads[p] * draws[p, r % 200], 3)
    assert made[0] == 4
    assert made[0] < made[1] < made[2] <= 400
    for position in range(3):
        assert precision(until(0.5), figures, position).narrow
    # (t s / h)²: 18 and 249 for these deviations, with what chance adds
    assert 8 <= made[1] <= 40
    assert 150 <= made[2] <= 400


def test_paired_differences_need_far_fewer_replicates_and_point_0_has_all():
    luck = np.random.default_rng(5).normal(0, 10, 500)
    own = np.random.default_rng(6).normal(0, 0.5, (3, 500))

    def draw(position, replicate):
        return luck[replicate] + position + own[position, replicate]

    means, _, _ = played(until(0.5, at_most=500), draw, 3)
    pairs, figures, _ = played(until(0.5, at_most=500, of="difference"), draw, 3)
    assert min(means) == 500
    assert max(pairs) <= 30
    assert pairs[0] == max(pairs)
    assert all(set(figures[position]) <= set(figures[0]) for position in (1, 2))


def test_replicates_are_bounded_and_at_most_doubled():
    made, _, batches = played(until(1e-9, at_least=3, at_most=20), lambda _, r: (-1.0) ** r, 2)
    assert made == [20, 20]
    assert [len(batch) for batch in batches] == [6, 6, 12, 16]
    assert batches[0] == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]


def test_failed_runs_are_no_values_and_end_all_the_same():
    made, _, _ = played(until(0.5, at_most=10), lambda p, _: None if p else 1.0, 2)
    assert made == [4, 10]
    assert precision(until(), [{}], 0).narrow is False
    assert precision(until(), [numbered([1.0, float("nan"), 1.0])], 0).values == 2


def test_decisions_are_a_function_of_what_there_is():
    figures = [numbered([1, 2, 5, 9]), numbered([1, 1, 1, 1])]
    runs = further(until(0.5), [4, 4], figures)
    assert runs == further(until(0.5), [4, 4], figures) == [(0, replicate) for replicate in range(4, 8)]
    assert further(until(100), [4, 4], figures) == []


# ---------------------------------------------------------------------- budgets


def test_a_budget_of_runs_is_kept_to_the_run():
    wanted = [(position, replicate) for replicate in range(4) for position in range(3)]
    budget = parse_budget("7 runs")
    assert affordable(budget, wanted, 0, 0.0) == wanted[:7]
    assert affordable(budget, wanted[7:], 7, 99.0) == []
    assert affordable(parse_budget("100 runs"), wanted, 0, 0.0) == wanted


@given(st.floats(10, 1e5), st.lists(st.floats(0.5, 2.0), min_size=1, max_size=30))
@settings(deadline=None)
def test_a_budget_of_time_is_overspent_by_little(seconds, costs):
    budget = parse_budget(f"{seconds / 60:.9f} CPU min")
    wanted = [(0, replicate) for replicate in range(2000)]
    made, spent = 0, 0.0
    for _ in range(200):
        runs = affordable(budget, wanted[made:], made, spent)
        if not runs:
            break
        spent += sum(costs[(made + number) % len(costs)] for number in range(len(runs)))
        made += len(runs)
    else:
        pytest.fail("does not end")
    assert spent <= max(budget.cpu * 1.5, 2 * PILOT_RUNS) + 2
    assert made == 2000 or spent > budget.cpu - 2
    assert affordable(budget, wanted, 0, 0.0) == wanted[:PILOT_RUNS]
    assert affordable(budget, wanted, 5, budget.cpu) == []
