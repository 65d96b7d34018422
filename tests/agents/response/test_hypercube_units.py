"""The hypercube against a dense solution of the whole chain, its kernel against plain Python, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citytwin.agents.response.hypercube import HypercubeError, approximate, nearest_first, solve
from citytwin.agents.response.hypercube_kernels import settle


def settle_twin(up, rate, sweeps, settled):
    """Sweeps in plain Python, one state after the other."""
    count, units = up.shape
    busy = [[state >> unit & 1 for unit in range(units)] for state in range(count)]
    chance, change = [1.0] * count, float("inf")
    for _ in range(sweeps):
        before = list(chance)
        for state in range(count):
            flow, out = 0.0, 0.0
            for unit in range(units):
                other = state ^ (1 << unit)
                out += up[state, unit]
                if busy[state][unit]:
                    out += rate[unit]
                    flow += chance[other] * up[other, unit]
                else:
                    flow += chance[other] * rate[unit]
            chance[state] = flow / out
        rising, falling = [0.0] * (units + 1), [0.0] * (units + 1)
        for state in range(count):
            for unit in range(units):
                rising[sum(busy[state])] += chance[state] * up[state, unit]
                if busy[state][unit]:
                    falling[sum(busy[state])] += chance[state] * rate[unit]
        scale = [1.0 / chance[0]]
        for number in range(units):
            scale.append(scale[-1] * rising[number] / falling[number + 1])
        chance = [value * scale[sum(busy[state])] for state, value in enumerate(chance)]
        change = max(abs(now - was) / now for now, was in zip(chance, before, strict=True))
        if change <= settled:
            break
    return chance, change


def dense(rates, order, service, places):
    """Chances of (busy units, calls waiting up to some places) by linear algebra on the whole chain."""
    units = order.shape[1]
    full = (1 << units) - 1
    flow = np.zeros((full + 1 + places, full + 1 + places))
    for state in range(full):
        for rate, ways in zip(rates, order, strict=True):
            unit = next(unit for unit in ways if not state >> unit & 1)
            flow[state, state | 1 << unit] += rate
    for state in range(full + 1):
        for unit in range(units):
            if state >> unit & 1:
                flow[state, state ^ 1 << unit] += 1 / service[unit]
    for waiting in range(places):
        flow[full + waiting, full + waiting + 1] += rates.sum()
        flow[full + waiting + 1, full + waiting] += (1 / service).sum()
    flow -= np.diag(flow.sum(1))
    equations = np.vstack([flow.T[1:], np.ones(len(flow))])
    return np.linalg.solve(equations, np.append(np.zeros(len(flow) - 1), 1.0))


def case(seed, units, points):
    random = np.random.default_rng(seed)
    rates = random.random(points)
    order = np.argsort(random.random((points, units)), axis=1)
    service = 0.5 + random.random(units)
    return rates * 0.6 * (1 / service).sum() / rates.sum(), order, service


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.booleans())
def test_exact_as_by_linear_algebra(seed, units, waiting):
    rates, order, service = case(seed, units, 6)
    found = solve(rates, order, service, waiting=waiting)
    places = 60 if waiting else 0  # the rest of the queue has less than 0.6^60 = 5e-14
    chance = dense(rates, order, service, places)
    full = (1 << units) - 1
    assert found.states == pytest.approx(chance[: full + 1], abs=1e-10)
    tail = chance[full + 1 :].sum()
    busy = np.array([[state >> unit & 1 for unit in range(units)] for state in range(full + 1)])
    assert found.workloads == pytest.approx(chance[: full + 1] @ busy + tail, abs=1e-10)
    assert found.missed == pytest.approx(chance[full] + tail, abs=1e-10)
    assert found.mean_wait * rates.sum() == pytest.approx(chance[full + 1 :] @ np.arange(1, places + 1), abs=1e-9)
    # what units do is what they are sent to: served calls times service, and waiting calls, for all of them together
    assert found.sent.sum() + found.missed == pytest.approx(1.0, abs=1e-12)
    assert found.sent.sum(1) == pytest.approx(rates / rates.sum() * (1 - found.missed), abs=1e-12)
    if not waiting:
        assert found.workloads == pytest.approx(rates.sum() * found.sent.sum(0) * service, abs=1e-10)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([1, 3, 200]))
def test_the_kernel_as_in_plain_python(seed, units, sweeps):
    random = np.random.default_rng(seed)
    up, rate = random.random((1 << units, units)), 0.2 + random.random(units)
    for unit in range(units):
        up[(np.arange(1 << units) >> unit & 1) == 1, unit] = 0.0
    chance, change = settle(up, rate, sweeps, 1e-13)
    ours, our_change = settle_twin(up, rate, sweeps, 1e-13)
    assert np.array_equal(chance, ours)
    assert change == our_change


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 7), st.booleans())
def test_the_approximation_holds_what_is_known_and_is_near_the_rest(seed, units, waiting):
    rates, order, _ = case(seed, units, 30)
    rates *= 0.5 * units / rates.sum()
    near, exact = approximate(rates, order, 1.0, waiting=waiting), solve(rates, order, 1.0, waiting=waiting)
    assert near.missed == pytest.approx(exact.missed, abs=1e-10)
    assert near.mean_wait == pytest.approx(exact.mean_wait, abs=1e-10)
    assert near.workloads.mean() == pytest.approx(exact.workloads.mean(), abs=1e-10)
    assert near.sent.sum(1) == pytest.approx(exact.sent.sum(1), abs=1e-10)
    assert near.workloads == pytest.approx(exact.workloads, rel=0.1)
    assert near.states is None


def test_units_alike_share_the_work():
    order = np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1]])
    for found in (solve([1, 1, 1], order, 0.4, waiting=True), approximate([1, 1, 1], order, 0.4, waiting=True)):
        assert found.workloads == pytest.approx([0.4, 0.4, 0.4], abs=1e-9)
        assert found.dispatches == pytest.approx([1 / 3] * 3, abs=1e-9)


def test_the_nearest_unit_comes_first_and_the_lower_of_two():
    assert nearest_first([[5, 1, 5, 0], [2, 2, 2, 2]]).tolist() == [[3, 1, 0, 2], [0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: solve([1.0, -1.0], [[0], [0]], 1.0, waiting=False), "rates: calls a second from 0"),
        (lambda: solve([0.0], [[0]], 1.0, waiting=False), "not all 0"),
        (lambda: solve([1.0], [[0], [0]], 1.0, waiting=False), "for each of the 1 points"),
        (lambda: solve([1.0, 1.0], [[0, 1], [1, 1]], 1.0, waiting=False), r"not so at points \[1\]"),
        (lambda: solve([1.0], [[0, 1]], [1.0, 0.0], waiting=False), "seconds above 0"),
        (lambda: solve([2.0], [[0, 1]], 1.0, waiting=True), "would wait for ever"),
        (lambda: solve([2.0], [range(17)], 1.0, waiting=True), r"17 units have 2\^17 states"),
        (lambda: approximate([1.0], [[0, 1]], [1.0, 1.0], waiting=True), "one mean for all units"),
    ],
)
def test_what_is_refused(ask, message):
    with pytest.raises(HypercubeError, match=message):
        ask()
