"""The hypercube of three units against its table, and the approximation against the exact solution.

Ten points at x = 0 … 9 with calls at .10 .20 .15 .10 .25 .15 .10 .15 .20 .10 (1.5 together); units at x = 1, 4, 8 with mean
services of 1; the nearest free unit is sent, of two the lower; travel is |Δx| and no part of service. Lost or waiting calls
follow Erlang B and C with 3 units and 1.5 erlang. The table was solved apart from this code and simulated with 2e7 calls.
Larson 1974 (exact), 1975 (approximate: workloads within 1 to 2 % in his cases).
"""

import numpy as np
import pytest

from citytwin.agents.response import queues
from citytwin.agents.response.hypercube import approximate, nearest_first, solve

RATES = [0.10, 0.20, 0.15, 0.10, 0.25, 0.15, 0.10, 0.15, 0.20, 0.10]
SECONDS = np.abs(np.arange(10.0)[:, None] - np.array([1.0, 4.0, 8.0]))
SHARES = (0.31974166, 0.36535106, 0.31490728)
TRAVEL = 1.80252633
TABLE = {
    False: {
        "missed": 0.13432836,
        "wait": 0.0,
        "workloads": (0.41518693, 0.47441108, 0.40890945),
        "states": (0.23880597, 0.11094893, 0.13810466, 0.10323099, 0.10915537, 0.06667865, 0.09874707, 0.13432836),
    },
    True: {
        "missed": 0.23684211,
        "wait": 0.15789474,
        "workloads": (0.48444111, 0.53665187, 0.47890702),
        "states": (0.21052632, 0.09781024, 0.12175016, 0.09100627, 0.09622907, 0.05878250, 0.08705334, 0.11842105),
    },
}
SOURCE = "Larson 1974; chain of 8 states"


@pytest.mark.parametrize("waiting", [False, True], ids=["calls lost", "calls wait"])
def test_three_units(validity, waiting, request):
    found, table = solve(RATES, nearest_first(SECONDS), 1.0, waiting=waiting), TABLE[waiting]
    name = request.node.callspec.id
    validity("hypercube", f"{name}: share of calls", found.missed, table["missed"], 1e-7, source=SOURCE)
    validity("hypercube", f"{name}: mean wait, services", found.mean_wait, table["wait"], 1e-7, source=SOURCE)
    validity("hypercube", f"{name}: mean travel", found.mean_travel(SECONDS), TRAVEL, 1e-7, source=SOURCE)
    for unit in range(3):
        what = f"{name}: workload of unit {unit + 1}"
        validity("hypercube", what, found.workloads[unit], table["workloads"][unit], 1e-7, source=SOURCE)
        what = f"{name}: dispatches of unit {unit + 1}"
        validity("hypercube", what, found.dispatches[unit], SHARES[unit], 1e-7, source=SOURCE)
    for state in range(8):
        what = f"{name}: state {state:03b}"
        validity("hypercube", what, found.states[state], table["states"][state], 1e-7, source=SOURCE)
    queued = 1.0 - found.states.sum()
    assert queued == pytest.approx(found.missed - found.states[-1] if waiting else 0.0, abs=1e-12)
    assert found.workloads.sum() == pytest.approx(1.5 if waiting else 1.5 * (1 - found.missed), abs=1e-10)


@pytest.mark.parametrize("waiting", [False, True], ids=["calls lost", "calls wait"])
def test_the_approximation_of_three_units(validity, waiting, request):
    order = nearest_first(SECONDS)
    found, exact = approximate(RATES, order, 1.0, waiting=waiting), solve(RATES, order, 1.0, waiting=waiting)
    name = request.node.callspec.id
    worst = np.abs(found.workloads / exact.workloads - 1).max()
    validity("hypercube", f"{name}: worst workload of the approximation", worst, 0.0, 0.02, source="Larson 1975")
    travel = found.mean_travel(SECONDS) / exact.mean_travel(SECONDS)
    validity(
        "hypercube", f"{name}: travel of the approximation, share of exact", travel, 1.0, 0.02, source="Larson 1975"
    )


def test_many_units_miss_what_erlang_says(validity):
    random = np.random.default_rng(4)
    rates, order = random.random(60), np.argsort(random.random((60, 9)), axis=1)
    load = 5.0
    rates *= load / rates.sum()
    for waiting, formula in ((False, queues.erlang_b), (True, queues.erlang_c)):
        validity(
            "hypercube", f"9 units, calls {'wait' if waiting else 'lost'}: share of calls",
            solve(rates, order, 1.0, waiting=waiting).missed, formula(load, 9), 1e-10, source="Erlang 1917",
        )  # fmt: skip
