"""Kernels of siting against their twin in plain Python, on random cases with many equal values."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import siting_twin as twin
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from citytwin.agents.response.siting import kernels
from citytwin.agents.response.siting.rows import cover_of

TOLERANCE = 1e-9


@st.composite
def covers(draw):
    """A cover of two kinds of rows, units that stand, that must and that may stand, and units in all."""
    sites, total = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    parts = []
    for _ in range(2):
        rows = draw(st.integers(1, 6))
        steps = draw(arrays.arrays(float, total + 1, elements=st.sampled_from([0.0, 0.1, 0.3, 1.0])))
        parts.append(
            (
                draw(arrays.arrays(float, rows, elements=st.sampled_from([1.0, 2.0, 3.5]))),
                draw(arrays.arrays(bool, (rows, sites))),
                np.concatenate([[0.0], np.cumsum(steps)]),
            )
        )
    least = draw(arrays.arrays(np.int64, sites, elements=st.integers(0, 1)))
    most = least + draw(arrays.arrays(np.int64, sites, elements=st.integers(0, 2)))
    total = min(total, int(most.sum()))
    least[np.cumsum(least) > total] = 0
    return cover_of(*parts), least, most, total


def place(cover, units):
    count, gain = np.zeros(len(cover.weight), np.int64), np.zeros(len(units))
    kernels.place(cover, units, count, gain)
    return count, gain


@settings(max_examples=150, deadline=None)
@given(covers(), st.booleans())
def test_cover_as_in_plain_python(case, useful):
    cover, least, most, total = case
    units = least.copy()
    count, gain = place(cover, units)
    kernels.cover_greedily(cover, units, most, total, useful, count, gain, TOLERANCE)
    ours = twin.Placed(cover, list(least))
    ours.greedily(most, total, useful, TOLERANCE)
    assert list(units) == ours.units
    kernels.cover_by_swaps(cover, units, least, most, count, gain, TOLERANCE)
    ours.by_swaps(least, most, TOLERANCE)
    assert list(units) == ours.units
    assert np.array_equal(count, ours.count)
    assert np.array_equal(gain, ours.gain)
    assert kernels.worth_of(cover, count) == ours.value()
    assert (units >= least).all()
    assert (units <= most).all()
    assert useful or units.sum() == total


@settings(max_examples=100, deadline=None)
@given(covers())
def test_gains_are_those_of_the_plan_made_anew(case):
    cover, least, most, total = case
    units = least.copy()
    count, gain = place(cover, units)
    kernels.cover_greedily(cover, units, most, total, False, count, gain, TOLERANCE)
    kernels.cover_by_swaps(cover, units, least, most, count, gain, TOLERANCE)
    fresh_count, fresh_gain = place(cover, units)
    assert np.array_equal(count, fresh_count)
    assert gain == pytest.approx(fresh_gain, abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_median_as_in_plain_python(data):
    sites, points = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 7))
    cost = data.draw(arrays.arrays(float, (sites, points), elements=st.sampled_from([0.0, 1.0, 2.0, 2.5, 4.0])))
    most = data.draw(arrays.arrays(np.int64, sites, elements=st.integers(0, 1)))
    least = most * data.draw(arrays.arrays(np.int64, sites, elements=st.integers(0, 1)))
    total = data.draw(st.integers(int(least.sum()), int(most.sum())))
    farthest = cost.max(0)
    units, ours = least.copy(), list(least)
    kernels.median_greedily(cost, units, most, total, farthest, TOLERANCE)
    twin.median_greedily(cost, ours, most, total, farthest, TOLERANCE)
    assert list(units) == ours
    value = kernels.median_by_swaps(cost, units, least, most, farthest, TOLERANCE)
    near = twin.median_by_swaps(cost, ours, least, most, farthest, TOLERANCE)
    assert list(units) == ours
    assert value == np.sum(near)
    assert units.sum() == total


def test_the_same_in_many_threads():
    random = np.random.default_rng(3)
    within = random.random((300, 40)) < 0.1
    cover = cover_of((random.random(300), within, np.minimum(np.arange(12.0), 1.0)))
    least, most = np.zeros(40, np.int64), np.ones(40, np.int64)

    def plan(_):
        units = least.copy()
        count, gain = place(cover, units)
        kernels.cover_greedily(cover, units, most, 10, False, count, gain, TOLERANCE)
        kernels.cover_by_swaps(cover, units, least, most, count, gain, TOLERANCE)
        return units, gain

    alone = plan(0)
    for threads in (2, 4):
        with ThreadPoolExecutor(threads) as pool:
            for units, gain in pool.map(plan, range(8)):
                assert np.array_equal(units, alone[0])
                assert np.array_equal(gain, alone[1])
    assert alone[0].sum() == 10
