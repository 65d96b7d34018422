"""Stochastic user equilibrium of two routes against the probit model.

A driver takes a link that really takes t seconds for one of t + e, with e normal of mean 0 and variance b f, where f is its
free time (Sheffi & Powell 1982, Networks 12, 191-207; Sheffi 1985, Urban Transportation Networks, chapter 11.2). Of two
routes without a common link, the first is taken for the quicker one with chance

    P = Phi((t2 - t1) / sqrt(b (f1 + f2))),

and in equilibrium the times are those that these chances bring about: t1 = t1(P), t2 = t2(1 - P).

Each of PAIRS pairs of nodes has two routes of its own, whose links are misjudged apart, and DRIVERS drivers. After N rounds
of the method of successive averages each driver has the route of one of N + 1 misjudgements of the same chance, all equally
likely. So the mean share of all pairs has the standard deviation sqrt(P (1 - P) (1 / (PAIRS (N + 1)) + 1 / (PAIRS DRIVERS)))
where times do not depend on flows; four of these are accepted.
"""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import ndtr
from traffic_networks import network

from citytwin.agents.traffic.events import Events
from citytwin.agents.traffic.learning import Drivers, Knowledge, learn
from citytwin.agents.traffic.record import LinkRecord
from citytwin.agents.traffic.routes import Router
from citytwin.environment.network.graph import make_graph
from citytwin.environment.roads import Access

PAIRS, DRIVERS, ROUNDS = 300, 50, 30
FREE = 300.0, 330.0  # s on the two routes
PROBIT = "Sheffi & Powell 1982"
METRES = 20.0  # in a second of free time


def shares(slope, error, seed=1):
    """Return the mean share of the first routes, and the gaps, where a route takes ``slope`` s more if all are on it."""
    arcs = [(2 * pair, 2 * pair + 1) for pair in range(PAIRS) for _ in FREE]
    streets = network(arcs, METRES * np.tile(FREE, PAIRS), 1.0)

    def live(known):
        record = LinkRecord(streets)
        record.seconds[:] = streets.free_time + slope * np.bincount(known.link, minlength=2 * PAIRS) / DRIVERS
        return record

    origin = np.tile(2 * np.arange(PAIRS, dtype=np.int32), DRIVERS)
    drivers = Drivers(np.arange(len(origin)), origin, origin + 1, np.linspace(28_800.0, 28_900.0, len(origin)))
    known, gaps = learn(
        Knowledge(streets, learns=True),
        Router(make_graph(streets, Access.CAR)),
        drivers,
        Events(streets),
        live,
        times=ROUNDS,
        seed=seed,
        error=error,
    )
    return np.mean(known.link % 2 == 0), gaps


def in_equilibrium(slope, error):
    def excess(share):
        apart = FREE[1] + slope * (1 - share) - FREE[0] - slope * share
        return ndtr(apart / np.sqrt(error * sum(FREE))) - share

    return brentq(excess, 0.0, 1.0)


@pytest.mark.parametrize("error", [0.5, 2.0, 20.0])
def test_shares_are_those_of_probit(validity, error):
    chance = ndtr((FREE[1] - FREE[0]) / np.sqrt(error * sum(FREE)))
    assert 0.55 < chance < 0.98
    share, gaps = shares(0.0, error)
    deviation = np.sqrt(chance * (1 - chance) * (1 / (PAIRS * (ROUNDS + 1)) + 1 / (PAIRS * DRIVERS)))
    what = f"share of the quicker of two routes, variance {error:g} s a second"
    validity("routes", what, share, chance, 4 * deviation, source=PROBIT)
    assert len(gaps) == ROUNDS


@pytest.mark.parametrize("slope", [60.0, 200.0])
def test_shares_are_in_equilibrium_where_routes_fill(validity, slope):
    error = 2.0
    chance = in_equilibrium(slope, error)
    assert abs(chance - in_equilibrium(0.0, error)) > 0.05
    share, gaps = shares(slope, error)
    # flows average over rounds in which times were not yet those of the equilibrium
    what = f"share of the shorter of two routes that take up to {slope:g} s more where all take them"
    validity("routes", what, share, chance, 0.02, source=PROBIT)
    assert gaps[-1] < gaps[0] / 2


def test_without_misjudging_all_take_the_quicker_route():
    share, gaps = shares(0.0, 0.0)
    assert share == 1.0
    assert gaps == [0.0] * ROUNDS
