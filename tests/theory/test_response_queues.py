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
from scipy import sparse
from scipy.sparse.linalg import spsolve

from citytwin.agents.response import queues
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


@pytest.fixture
def close(validity):
    """Check the mean of simulated figures by call against what theory expects, to four standard errors."""

    def check(what, values, expected, source):
        mean, error = batches(values)
        assert error < 0.1 * expected, "the run is too short to tell"
        validity("waits", what, mean, expected, 4 * error, source=source)

    return check


@pytest.mark.parametrize("law", ["exponential", "constant", "lognormal"])
@pytest.mark.parametrize(("units", "load"), [(1, 0.5), (5, 3.0), (10, 7.0), (20, 14.0)])
def test_losses_do_not_depend_on_the_law_of_service(close, units, load, law):
    centre = run(units, load, law, loss=True)
    lost = np.isnan(centre.table()["sent"])
    assert lost.sum() == centre.balance()["lost"]
    close(f"calls lost, {units} units, {load:g} erlang, {law} services", lost, erlang_b(units, load), "Erlang 1917")


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
def test_waits_with_exponential_service(close, units, load):
    wait = waits(run(units, load, "exponential", calls=1_000_000))
    chance = erlang_c(units, load)
    for what, values, expected in (
        ("calls that wait", wait > 0, chance),
        ("mean wait, services", wait / S, chance / (units - load)),
        ("calls that wait longer than a service", wait > S, chance * np.exp(load - units)),
    ):
        close(f"{what}, {units} units, {load:g} erlang", values, expected, "Erlang 1917")


def waits(centre):
    table = centre.table()
    return (table["sent"] - table["ready"])[np.isfinite(table["sent"])]


@pytest.mark.parametrize(("units", "load"), [(1, 0.5), (5, 3.0), (10, 7.0)])
def test_waits_with_constant_service(close, units, load):
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
    what = f"mean wait, services, {units} units, {load:g} erlang, constant services"
    close(what, waits(run(units, load, "constant")) / S, expected, "Crommelin 1932")


def test_waits_with_any_service_and_one_unit(close):
    """F. Pollaczek 1930, A. Y. Khinchine 1932: mean wait = a S (1 + CV^2) / (2 (1 - a))."""
    wait = waits(run(1, 0.5, "lognormal", calls=1_000_000)) / S
    what = "mean wait, services, 1 unit, 0.5 erlang, lognormal services"
    close(what, wait, 0.5 * (1 + 1.5**2) / (2 * 0.5), "Pollaczek 1930, Khinchine 1932")


SHORT, FAST, SLOW = 0.8, 2.0, 1 / 3
"""Hyperexponential services of mean 1: a share of fast ones and their rate, the rate of the others; CV^2 = 3."""


def mean_wait_of_two_sorts(units, load, most=400):
    """Return the mean wait, in services, of the chain of calls present and of fast ones in service, up to ``most`` calls."""
    number, states = {}, []
    for present in range(most + 1):
        for fast in range(min(present, units) + 1):
            number[present, fast] = len(states)
            states.append((present, fast))
    entries = []

    def move(here, there, rate):
        if rate > 0:
            entries.append((number[there], number[here], rate))
            entries.append((number[here], number[here], -rate))

    for present, fast in states:
        slow = min(present, units) - fast
        if present < most:
            if present < units:
                move((present, fast), (present + 1, fast + 1), load * SHORT)
                move((present, fast), (present + 1, fast), load * (1 - SHORT))
            else:
                move((present, fast), (present + 1, fast), load)
        for leaving, rate in ((1, FAST * fast), (0, SLOW * slow)):
            if present > units:  # the next one in the queue takes the unit
                move((present, fast), (present - 1, fast - leaving + 1), rate * SHORT)
                move((present, fast), (present - 1, fast - leaving), rate * (1 - SHORT))
            else:
                move((present, fast), (present - 1, fast - leaving), rate)
    row, column, rate = map(np.array, zip(*entries, strict=True))
    flow = sparse.coo_matrix((rate, (row, column)), (len(states),) * 2).tolil()
    flow[0, :] = 1.0  # the chances add up to 1, in the place of one balance, which follows from the others
    chance = spsolve(flow.tocsc(), np.r_[1.0, np.zeros(len(states) - 1)])
    present = np.array([state[0] for state in states])
    assert chance[present == most].sum() < 1e-9, "the chain is cut off too early"
    return (chance * np.maximum(present - units, 0)).sum() / load


@pytest.mark.parametrize(("units", "load"), [(1, 0.5), (5, 3.0), (10, 7.0)])
def test_waits_with_services_of_two_sorts(close, validity, units, load):
    """M/H2/c by the balance of its chain: four of five calls take half the mean, the fifth three times the mean."""
    assert pytest.approx(1.0) == SHORT / FAST + (1 - SHORT) / SLOW
    variation = 2 * (SHORT / FAST**2 + (1 - SHORT) / SLOW**2) - 1
    exact = mean_wait_of_two_sorts(units, load)
    if units == 1:
        assert exact == pytest.approx(0.5 * (1 + variation) / (2 * 0.5), rel=1e-6)
    rng = np.random.default_rng(21)
    calls = 1_000_000
    ready = np.cumsum(rng.exponential(S / load, calls))
    scene = S * rng.exponential(1.0, calls) / np.where(rng.random(calls) < SHORT, FAST, SLOW)
    centre = at_one_place(units)
    centre.add(Tasks.of(ready=ready, node=0, scene=scene))
    centre.run(np.nextafter(ready[-1], np.inf))
    where = f"{units} units, {load:g} erlang, services of two sorts"
    close(f"mean wait, services, {where}", waits(centre) / S, exact, "balance of the chain")
    share = queues.mean_wait(load, units, 1.0, variation) / exact
    validity("queues", f"mean wait, share of the exact, {where}", share, 1.0, 0.05, source="Kimura 1986")


def test_two_priorities_with_one_unit(close):
    """A. Cobham 1954: W1 = R / (1 - a1), W2 = R / ((1 - a1)(1 - a)), R = a S for exponential service."""
    rng = np.random.default_rng(8)
    priority = rng.random(1_000_000) > 0.2 / 0.5
    centre = run(1, 0.5, "exponential", calls=len(priority), priority=priority.astype(np.uint8))
    table = centre.table()
    sent = np.isfinite(table["sent"])
    wait = ((table["sent"] - table["ready"]) / S)[sent]
    for level, expected in ((0, 0.625), (1, 1.25)):
        what = f"mean wait, services, 1 unit, 0.5 erlang, priority {level} of 2"
        close(what, wait[table["priority"][sent] == level], expected, "Cobham 1954")


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
