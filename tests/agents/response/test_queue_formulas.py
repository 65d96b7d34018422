"""Formulas of queues: what they hold at their ends, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citytwin.agents.response import queues
from citytwin.agents.response.queues import QueueError


@given(st.floats(0.1, 40.0), st.floats(0.5, 0.999), st.floats(0.0, 3000.0))
def test_the_units_needed_are_enough_and_one_less_is_not(load, share, seconds):
    units = queues.units_needed(load, 1800.0, seconds, share)
    assert queues.wait_exceeds(load, units, 1800.0, seconds) <= 1 - share
    assert units - 1 <= load or queues.wait_exceeds(load, units - 1, 1800.0, seconds) > 1 - share


@given(st.floats(0.01, 0.99), st.integers(1, 60), st.floats(0.0, 4.0))
def test_waits_grow_with_load_and_variation_and_fall_with_units(used, units, variation):
    load = used * units
    wait = queues.mean_wait(load, units, 60.0, variation)
    assert wait <= queues.mean_wait(load, units, 60.0, variation + 0.5)
    assert queues.mean_wait(load, units + 1, 60.0, variation) < wait
    assert queues.erlang_b(load, units) <= queues.erlang_c(load, units)
    assert queues.mean_wait(load * 0.9, units, 60.0, variation) <= wait


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=4), st.integers(1, 6))
def test_priorities_leave_the_mean_wait_as_it_is(loads, units):
    total = sum(loads)
    if not 0.01 < total < 0.99 * units:
        return
    waits = queues.priority_waits(loads, units, 30.0)
    assert np.dot(waits, loads) / total == pytest.approx(queues.mean_wait(total, units, 30.0))
    assert (np.diff(waits) >= 0).all()


def test_without_load_nobody_waits():
    assert queues.erlang_b(0.0, 0) == 1.0
    assert queues.erlang_b(0.0, 3) == queues.erlang_c(0.0, 3) == queues.mean_wait(0.0, 3, 60.0, 0.5) == 0.0
    assert queues.utilisation(0.0, 3) == 0.0
    assert queues.units_needed(0.0, 60.0, 0.0, 0.99) == 1


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: queues.erlang_b(-1.0, 2), "load: erlang from 0"),
        (lambda: queues.erlang_b(1.0, 2.5), "whole number from 0; got 2.5"),
        (lambda: queues.erlang_c(3.0, 3), "3 units cannot serve a load of 3 erlang"),
        (lambda: queues.erlang_c(float("nan"), 3), "load"),
        (lambda: queues.mean_wait(1.0, 2, 0.0), "service: seconds above 0"),
        (lambda: queues.mean_wait(1.0, 2, 60.0, -0.1), "variation: from 0"),
        (lambda: queues.wait_exceeds(1.0, 2, 60.0, -1.0), "seconds: from 0"),
        (lambda: queues.utilisation(1.0, 0, waiting=False), "at least 1"),
        (lambda: queues.units_needed(1.0, 60.0, 60.0, 1.0), "share: from 0 to below 1"),
        (lambda: queues.units_needed(2e6, 60.0, 60.0, 0.9), "load: below 1,000,000"),
        (lambda: queues.priority_waits([0.5, -0.1], 2, 60.0), "loads"),
    ],
)
def test_what_is_refused(ask, message):
    with pytest.raises(QueueError, match=message):
        ask()
