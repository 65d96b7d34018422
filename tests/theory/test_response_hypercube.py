"""Three units on a line: Larson's hypercube, whose chain of eight states can be solved exactly.

Calls come at x = 0 … 9 at rates .10 .20 .15 .10 .25 .15 .10 .15 .20 .10 in units of the rate of service; units stand at
x = 1, 4, 8; the nearest free one goes, the lower number where two are as near; driving is no part of the service
(R. C. Larson 1974, A hypercube queuing model for facility location and redistricting in urban emergency services). The chain
is solved here, which for calls that are lost, and for calls that wait, gives the figures simulated.

The fast form allows four standard errors from batches of the run, the full form 1 % as well.
"""

import numpy as np
import pytest
from response_places import batches, centre, line

from citytwin.agents.response.kernels import IDLE, RETURNING
from citytwin.agents.response.tasks import Tasks

RATES = np.array([0.10, 0.20, 0.15, 0.10, 0.25, 0.15, 0.10, 0.15, 0.20, 0.10])
UNITS = np.array([1, 4, 8])
S = 1e6
"""Mean service time in seconds; a step of the line takes one."""


def chain(waiting):
    """Return workloads, share of calls not served at once, share of dispatches and mean travel of those served at once."""
    away = np.abs(np.arange(10)[:, None] - UNITS)
    states, rate = 8, np.zeros((8, 8))
    sends = np.zeros((8, 10), int)
    for state in range(states):
        free = [u for u in range(3) if not state >> u & 1]
        for atom in range(10):
            if free:
                sends[state, atom] = min(free, key=lambda u: (away[atom, u], u))
                rate[state, state | 1 << sends[state, atom]] += RATES[atom]
        for u in range(3):
            if state >> u & 1:
                rate[state, state & ~(1 << u)] += 1.0
    balance = np.vstack([(rate - np.diag(rate.sum(1))).T, np.ones(states)])
    share = np.linalg.lstsq(balance, np.r_[np.zeros(states), 1.0], rcond=None)[0]
    load = RATES.sum()
    if (
        waiting
    ):  # the queue behind "all busy" is geometric with ratio load / 3, and leaves the other states' shares alike
        queue = share[7] * (load / 3) / (1 - load / 3)
        share = share / (1 + queue)
        behind = queue / (1 + queue)
    else:
        behind = 0.0
    work = np.array([share[[s for s in range(8) if s >> u & 1]].sum() for u in range(3)]) + behind
    weight = share[:7, None] * RATES
    sent = np.array([weight[sends[:7] == u].sum() for u in range(3)])
    travel = (weight * np.take_along_axis(np.tile(away, (7, 1, 1)), sends[:7, :, None], 2)[..., 0]).sum() / weight.sum()
    return work, share[7] + behind, sent / sent.sum(), travel


def simulate(calls, loss, seed):
    """Return of one run the busy shares of units, and by call: unit, whether it was not served at once, drive and wait."""
    rng = np.random.default_rng(seed)
    ready = np.cumsum(rng.exponential(S / RATES.sum(), calls))
    node = rng.choice(10, p=RATES / RATES.sum(), size=calls)
    made, _ = centre(line(10), np.ones(18), UNITS, [0, 1, 2], loss=loss)
    made.add(Tasks.of(ready=ready, node=node, scene=rng.exponential(S, calls)))
    made.run(np.nextafter(ready[-1], np.inf))
    table, spent = made.table(), made.spent()
    late = np.isnan(table["sent"]) if loss else table["queued"]
    busy = 1 - (spent[:, IDLE] + spent[:, RETURNING]) / spent.sum(1)
    return busy, table["unit"], late, table["arrived"] - table["left"], (table["sent"] - ready) / S


def check(validity, runs, calls, loss, *, within=None):
    busy, unit, late, drive, wait = zip(*(simulate(calls, loss, 13 + run) for run in range(runs)), strict=True)
    unit, late, drive, wait = (np.concatenate(column) for column in (unit, late, drive, wait))
    work, share_late, sent, travel = chain(not loss)
    at_once = ~late & np.isfinite(drive)
    found = [
        ("calls that no unit serves at once", *batches(late), share_late),
        ("mean way, steps", *batches(drive[at_once]), travel),
        *((f"share of unit {u}", *batches(unit[at_once] == u), sent[u]) for u in range(3)),
    ]
    if not loss:
        found.append(("mean wait, services", *batches(wait[np.isfinite(wait)]), share_late / (3 - RATES.sum())))
    how = f"{'lost' if loss else 'waiting'} calls, simulated {runs * calls:,}"
    for what, mean, error, expected in found:
        assert error < 0.02 * expected
        accepted = 4 * error if within is None else min(4 * error, within * expected)
        validity("hypercube", f"{what}, {how}", mean, expected, accepted, source="Larson 1974, chain solved")
    np.testing.assert_allclose(np.mean(busy, axis=0), work, rtol=within or 0.02)


def test_the_chain_gives_the_known_figures():
    """Erlang's formulas for three servers and a load of 1.5, and workloads that add up to the load served."""
    work, lost, sent, travel = chain(waiting=False)
    assert lost == pytest.approx(0.13432836, abs=1e-8)
    assert work.sum() == pytest.approx(1.5 * (1 - lost), abs=1e-9)
    assert sent.sum() == pytest.approx(1, abs=1e-12)
    assert travel == pytest.approx(1.80252633, abs=1e-8)
    work, wait, _, same = chain(waiting=True)
    assert wait == pytest.approx(0.23684211, abs=1e-8)
    assert work.sum() == pytest.approx(1.5, abs=1e-9)
    assert same == pytest.approx(travel, abs=1e-12)


@pytest.mark.parametrize("loss", [True, False], ids=["lost", "waiting"])
def test_line_of_three_units(validity, loss):
    check(validity, 1, 500_000, loss)


@pytest.mark.full
@pytest.mark.parametrize("loss", [True, False], ids=["lost", "waiting"])
def test_line_of_three_units_to_a_hundredth(validity, loss):
    check(validity, 10, 1_000_000, loss, within=0.01)
