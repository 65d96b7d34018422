"""Units that nobody has to wait for on the road are servers of a queue.

Symbols: c units, S mean service time (s), a offered load (calls per S). Erlang's loss formula B_0 = 1,
B_k = a B_(k-1) / (k + a B_(k-1)) holds for any law of service; his waiting formula is C = c B / (c - a (1 - B)), the mean
wait is C S / (c - a) and P(W > S) = C exp(-(c - a)) (A. K. Erlang 1917; R. B. Cooper 1981, Introduction to Queueing Theory,
ch. 3).

Simulated figures may be off by four standard errors, found from 40 batches of the run.
"""

from itertools import pairwise

import numpy as np
import pytest
from response_places import at_one_place, batches

from citytwin.agents.response.kernels import AT_SCENE
from citytwin.agents.response.tasks import Tasks

S = 1000.0
CALLS = 400_000


def erlang_b(units, load):
    blocked = 1.0
    for k in range(1, units + 1):
        blocked = load * blocked / (k + load * blocked)
    return blocked


def erlang_c(units, load):
    blocked = erlang_b(units, load)
    return units * blocked / (units - load * (1 - blocked))


def service(law, rng, calls):
    """Return service times of mean S: exponential, constant, or lognormal with a coefficient of variation of 1.5."""
    if law == "exponential":
        return rng.exponential(S, calls)
    if law == "constant":
        return np.full(calls, S)
    spread = np.log(1 + 1.5**2)
    return rng.lognormal(np.log(S) - spread / 2, np.sqrt(spread), calls)


def run(units, load, law, *, calls=CALLS, seed=1, loss=False, priority=0):
    """Return the centre after all calls have been served."""
    rng = np.random.default_rng(seed)
    ready = np.cumsum(rng.exponential(S / load, calls))
    centre = at_one_place(units, loss=loss)
    centre.add(Tasks.of(ready=ready, node=0, scene=service(law, rng, calls), priority=priority))
    centre.run(np.nextafter(ready[-1], np.inf))
    return centre


def assert_close(found, expected, error):
    assert error < 0.1 * expected, "the run is too short to tell"
    assert abs(found - expected) < 4 * error


@pytest.mark.parametrize("law", ["exponential", "constant", "lognormal"])
@pytest.mark.parametrize(("units", "load"), [(1, 0.5), (5, 3.0), (10, 7.0), (20, 14.0)])
def test_losses_do_not_depend_on_the_law_of_service(units, load, law):
    centre = run(units, load, law, loss=True)
    lost = np.isnan(centre.table()["sent"])
    assert lost.sum() == centre.balance()["lost"]
    mean, error = batches(lost)
    assert_close(mean, erlang_b(units, load), error)


@pytest.mark.parametrize(("units", "load"), [(1, 0.5), (5, 3.0), (10, 7.0)])
def test_use_of_units_is_the_load_that_is_not_lost(units, load):
    centre = run(units, load, "exponential", loss=True)
    table, spent = centre.table(), centre.spent()
    busy = spent[:, AT_SCENE].sum() / (units * centre.now)
    assert busy == pytest.approx(load * (1 - erlang_b(units, load)) / units, rel=0.01)
    done = table["done"] < centre.now
    running = ~done & np.isfinite(table["began"])
    exact = table["scene"][done].sum(dtype=float) + (centre.now - table["began"][running]).sum()
    assert spent[:, AT_SCENE].sum() == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(("units", "load"), [(1, 0.5), (5, 3.0), (10, 7.0), (10, 8.0)])
def test_waits_with_exponential_service(units, load):
    wait = waits(run(units, load, "exponential", calls=1_000_000))
    chance = erlang_c(units, load)
    for values, expected in (
        (wait > 0, chance),
        (wait / S, chance / (units - load)),
        (wait > S, chance * np.exp(load - units)),
    ):
        mean, error = batches(values)
        assert_close(mean, expected, error)


def waits(centre):
    table = centre.table()
    return (table["sent"] - table["ready"])[np.isfinite(table["sent"])]


@pytest.mark.parametrize(("units", "load"), [(1, 0.5), (5, 3.0), (10, 7.0)])
def test_waits_with_constant_service(units, load):
    """C. D. Crommelin 1932: the number present S later is max(number - c, 0) + calls of S, which fixes its distribution."""
    size = 200
    calls = np.exp(-load) * np.cumprod(np.r_[1.0, load / np.arange(1, size)])
    share = np.full(size, 1 / size)
    for _ in range(2000):
        left = np.r_[share[: units + 1].sum(), share[units + 1 :]]
        share = np.convolve(left, calls)[:size]
        share /= share.sum()
    expected = (share * np.maximum(np.arange(size) - units, 0)).sum() / load
    if (units, load) == (1, 0.5):
        assert expected == pytest.approx(0.5, rel=1e-9)
    mean, error = batches(waits(run(units, load, "constant")) / S)
    assert_close(mean, expected, error)


def test_waits_with_any_service_and_one_unit():
    """F. Pollaczek 1930, A. Y. Khinchine 1932: mean wait = a S (1 + CV^2) / (2 (1 - a))."""
    mean, error = batches(waits(run(1, 0.5, "lognormal", calls=1_000_000)) / S)
    assert_close(mean, 0.5 * (1 + 1.5**2) / (2 * 0.5), error)


def test_two_priorities_with_one_unit():
    """A. Cobham 1954: W1 = R / (1 - a1), W2 = R / ((1 - a1)(1 - a)), R = a S for exponential service."""
    rng = np.random.default_rng(8)
    priority = rng.random(1_000_000) > 0.2 / 0.5
    centre = run(1, 0.5, "exponential", calls=len(priority), priority=priority.astype(np.uint8))
    table = centre.table()
    sent = np.isfinite(table["sent"])
    wait = ((table["sent"] - table["ready"]) / S)[sent]
    for level, expected in ((0, 0.625), (1, 1.25)):
        mean, error = batches(wait[table["priority"][sent] == level])
        assert_close(mean, expected, error)


def test_number_waiting_is_rate_times_wait_on_a_closed_run():
    """J. D. C. Little 1961; on a run that ends empty the area under the number waiting is the sum of the waits, exactly."""
    rng = np.random.default_rng(3)
    ready = np.cumsum(rng.exponential(S / 2.8, 2000))
    tasks = Tasks.of(ready=ready, node=0, scene=rng.exponential(S, 2000))
    centre = at_one_place(3)
    centre.add(tasks)
    centre.run(ready[-1] + 100 * S)
    table = centre.table()
    assert centre.balance()["treated"] == len(ready)
    moments = np.unique(np.r_[table["ready"], table["sent"]])
    seen = at_one_place(3)
    seen.add(tasks)
    area = 0.0
    for begin, end in pairwise(moments):
        seen.run(np.nextafter(begin, np.inf))
        area += seen.balance()["waiting"] * (end - begin)
    assert area == pytest.approx((table["sent"] - table["ready"]).sum(), rel=1e-9)


def test_nobody_waits_while_a_unit_is_free_and_no_unit_works_twice_at_once():
    centre = run(5, 4.5, "lognormal", calls=50_000)
    table = centre.table()
    sent = np.isfinite(table["sent"])
    free = np.where(np.isfinite(table["free"]), table["free"], np.inf)
    for unit in range(5):
        rows = np.flatnonzero(table["unit"] == unit)
        rows = rows[np.argsort(table["sent"][rows])]
        assert np.all(table["sent"][rows[1:]] >= free[rows[:-1]])
    late = sent & (table["sent"] > table["ready"])
    begins, ends = np.sort(table["sent"][sent]), np.sort(free[sent])
    busy = np.searchsorted(begins, table["ready"][late], "right") - np.searchsorted(ends, table["ready"][late], "right")
    assert late.sum() > 10_000
    assert np.all(busy == 5), "whoever waits found all units busy"
    assert np.isin(table["sent"][late], ends).all(), "and is served at the moment at which one becomes free"
