"""Formulas of queues against tables, and against chains solved by linear algebra.

**Erlang B** (loss), **Erlang C** (waiting) for c units and a erlang; mean wait of M/M/c and M/D/c in mean services; mean
queue; P(W > S). The table was worked out from the recursions; M/D/c is Cosmetatos 1975, which a simulation apart from this
code confirms within 1.5 % (.04189 for c = 10, a = 7; .00956 for c = 20, a = 14). Tolerance: the digits printed.

**Insensitivity**: Erlang B holds for services of any law with the mean. Here, of two exponential phases (an Erlang-2 law),
by the balance of the chain of units in each phase.

**Priorities** (Cobham 1954), one unit: W1 = R/(1 − ρ1), W2 = R/((1 − ρ1)(1 − ρ)), R = ρ for a mean service of 1.
"""

from itertools import product

import numpy as np
import pytest

from citytwin.agents.response import queues

SOURCE = "Erlang 1917; recursion to 10 digits"
TABLE = [  # c, a, Erlang B, Erlang C, wait M/M/c, mean queue, P(W > S), wait M/D/c
    (1, 0.5, 0.33333333, 0.50000000, 1.00000000, 0.50000000, 0.30326533, 0.5),
    (5, 3, 0.11005435, 0.23615160, 0.11807580, 0.35422741, 0.03195964, 0.06569967),
    (10, 7, 0.07874088, 0.22173122, 0.07391041, 0.51737284, 0.01103935, 0.04172007),
    (10, 8, 0.12166106, 0.40918015, 0.20459008, 1.63672060, 0.05537651, 0.10998894),
    (20, 14, 0.03003548, 0.09356124, 0.01559354, 0.21830957, 0.00023192, 0.00942326),
    (50, 40, 0.01869067, 0.08695255, 0.00869525, 0.34781020, 3.95e-06, 0.00527548),
]
HALF = 5.1e-9


@pytest.mark.parametrize("row", TABLE, ids=[f"{row[0]} units, {row[1]} erlang" for row in TABLE])
def test_tables_of_erlang(validity, row):
    units, load, lost, waits, wait, queue, longer, constant = row
    where = f"{units} units, {load} erlang"
    validity("queues", f"calls lost, {where}", queues.erlang_b(load, units), lost, HALF, source=SOURCE)
    validity("queues", f"calls that wait, {where}", queues.erlang_c(load, units), waits, HALF, source=SOURCE)
    validity("queues", f"mean wait, services, {where}", queues.mean_wait(load, units, 1.0), wait, HALF, source=SOURCE)
    validity("queues", f"calls waiting, {where}", queues.mean_queue(load, units), queue, HALF, source=SOURCE)
    validity(
        "queues", f"calls that wait longer than a service, {where}", queues.wait_exceeds(load, units, 1.0, 1.0), longer,
        HALF, source=SOURCE,
    )  # fmt: skip
    validity(
        "queues", f"mean wait, constant services, {where}", queues.mean_wait(load, units, 1.0, 0.0), constant, HALF,
        source="Cosmetatos 1975",
    )  # fmt: skip
    assert queues.utilisation(load, units, waiting=False) == pytest.approx(load * (1 - lost) / units, abs=1e-8)
    assert queues.utilisation(load, units) == load / units


def test_constant_services_as_simulated(validity):
    for units, load, simulated in ((10, 7, 0.04189), (20, 14, 0.00956)):
        validity(
            "queues", f"mean wait of constant services, share of the simulated, {units} units, {load} erlang",
            queues.mean_wait(load, units, 1.0, 0.0) / simulated, 1.0, 0.015, source="simulated apart",
        )  # fmt: skip


def test_one_unit_waits_by_pollaczek_and_khinchine(validity):
    for variation in (0.0, 0.3, 1.0, 2.5):
        exact = 0.8 * (1 + variation) / 2 / (1 - 0.8)
        validity(
            "queues", f"mean wait, services, one unit, 0.8 erlang, squared variation {variation}",
            queues.mean_wait(0.8, 1, 1.0, variation), exact, 1e-12, source="Pollaczek 1930, Khinchine 1932",
        )  # fmt: skip


def test_loss_does_not_depend_on_the_law_of_services(validity):
    units, load = 4, 2.5
    states = [state for state in product(range(units + 1), repeat=2) if sum(state) <= units]  # units in each phase
    number = {state: row for row, state in enumerate(states)}
    flow = np.zeros((len(states), len(states)))
    for first, second in states:
        here = number[first, second]
        if first + second < units:
            flow[here, number[first + 1, second]] += load
        if first:
            flow[here, number[first - 1, second + 1]] += 2.0 * first
        if second:
            flow[here, number[first, second - 1]] += 2.0 * second
    flow -= np.diag(flow.sum(1))
    equations = np.vstack([flow.T, np.ones(len(states))])
    chance = np.linalg.lstsq(equations, np.append(np.zeros(len(states)), 1.0), rcond=None)[0]
    lost = sum(chance[number[state]] for state in states if sum(state) == units)
    validity(
        "queues", "calls lost, 4 units, 2.5 erlang, services of two phases", queues.erlang_b(load, units), lost, 1e-10,
        source="balance of the chain",
    )  # fmt: skip


def test_priorities(validity):
    urgent, other = queues.priority_waits([0.2, 0.3], 1, 1.0)
    validity("queues", "mean wait, services, urgent of two priorities", urgent, 0.625, 1e-12, source="Cobham 1954")
    validity("queues", "mean wait, services, other of two priorities", other, 1.25, 1e-12, source="Cobham 1954")
