"""Proposals: each does what its objective says, within what is wanted."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citytwin.agents.response.siting.evaluate import evaluate
from citytwin.agents.response.siting.plan import SitingError
from citytwin.runners.siting.plans import METHODS, Ground, Wanted, check, propose

STANDARD = 300.0


def random_ground(seed, cells=12, sites=6, today=2, most=3):
    rng = np.random.default_rng(seed)
    points, places = rng.random((cells, 2)), rng.random((sites, 2))
    seconds = 800 * np.hypot(*(points[:, None] - places[None]).transpose(2, 0, 1))
    return Ground(rng.integers(1, 9, cells).astype(float), seconds, np.full(sites, most), today)


def wanted(methods=METHODS, *, size=3, stations=None, keep=False):
    return Wanted([size], methods, stations, keep, STANDARD)


def plans_of(ground, size):
    """All plans of so many units."""
    ranges = [range(int(most) + 1) for most in ground.most]
    return [np.array(units) for units in itertools.product(*ranges) if sum(units) == size]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), size=st.integers(2, 6), stations=st.none() | st.integers(2, 6), keep=st.booleans())
def test_plans_are_as_wanted(seed, size, stations, keep):
    ground = random_ground(seed)
    asked = wanted(size=size, stations=stations, keep=keep)
    check(asked, ground, 0)
    found = propose(ground, asked, size, 0.3)
    assert sorted(method for plan in found for method in plan.methods) == sorted(METHODS)
    for plan in found:
        assert plan.size == size
        assert (plan.units <= ground.most).all()
        assert stations is None or plan.stations <= stations
        assert not keep or (plan.units[: ground.today] > 0).all()
    assert len({plan.units.tobytes() for plan in found}) == len(found)


@pytest.mark.parametrize("seed", range(4))
def test_each_method_is_the_best_at_what_it_aims_at(seed):
    ground = random_ground(seed)
    best = {method: propose(ground, wanted((method,)), 3, 0.3)[0].units for method in METHODS}
    every = plans_of(ground, 3)

    def figures(units, busy=0.0):
        return evaluate(ground.calls, ground.seconds, units, STANDARD, busy=busy)

    assert figures(best["coverage"]).covered == pytest.approx(max(figures(units).covered for units in every))
    assert figures(best["expected"], 0.3).expected == pytest.approx(max(figures(u, 0.3).expected for u in every))
    assert figures(best["median"]).mean == pytest.approx(min(figures(units).mean for units in every))
    longest = [ground.seconds[:, units > 0].min(1).max() for units in every]
    assert ground.seconds[:, best["centre"] > 0].min(1).max() == pytest.approx(min(longest))


@pytest.mark.parametrize("seed", range(4))
def test_few_stations_hold_many_units(seed):
    ground = random_ground(seed, most=9)
    (plan,) = propose(ground, wanted(("expected",), size=5, stations=2), 5, 0.4)
    two = [units for units in plans_of(random_ground(seed, most=5), 5) if np.count_nonzero(units) <= 2]
    best = max(evaluate(ground.calls, ground.seconds, units, STANDARD, busy=0.4).expected for units in two)
    found = evaluate(ground.calls, ground.seconds, plan.units, STANDARD, busy=0.4).expected
    assert best * 0.9 <= found <= best + 1e-12  # closing one by one is no proof


def test_a_covered_city_needs_no_more_stations():
    """One site covers all: the other units stand there too, rather than at sites that add nothing."""
    ground = Ground(np.ones(3), np.array([[10.0, 20.0], [10.0, 900.0], [10.0, 900.0]]), np.array([9, 9]), 0)
    (plan,) = propose(ground, wanted(("coverage",)), 3, 0.5)
    assert plan.units.tolist() == [3, 0]


def test_places_out_of_reach_are_left_aside():
    ground = Ground(np.ones(3), np.array([[10.0, 20.0], [15.0, 5.0], [np.inf, np.inf]]), np.array([2, 2]), 0)
    assert ground.reached.tolist() == [True, True, False]
    found = propose(ground, wanted(size=1), 1, 0.2)
    assert {int(np.argmax(plan.units)) for plan in found if "centre" in plan.methods} == {0}


@pytest.mark.parametrize(
    ("asked", "working", "said"),
    [
        (wanted(size=19), 0, "--units 19: the sites hold 18 units"),
        (wanted(size=1, keep=True), 0, "at least 2 are needed, one at each station that stays"),
        (wanted(size=3), 4, "at least 4 are needed, those that work in shifts"),
        (wanted(stations=7), 0, "--stations 7: there are 6 sites"),
        (wanted(stations=1, keep=True), 0, "2 stations stay by --keep"),
    ],
)
def test_what_no_plan_can_be(asked, working, said):
    with pytest.raises(SitingError, match=said):
        check(asked, random_ground(1), working)


def test_nothing_to_keep():
    with pytest.raises(SitingError, match="no station of this service that could stay"):
        check(wanted(keep=True), random_ground(1, today=0), 0)


def test_too_few_places_for_the_units():
    with pytest.raises(SitingError, match="do not fit"):
        propose(random_ground(1, most=1), wanted(("expected",), size=4, stations=2), 4, 0.3)
