"""The choice of modes against the multinomial logit.

Of alternatives with utilities V_i and independent standard Gumbel draws, i is the best with chance
P_i = exp(V_i) / Σ_j exp(V_j) (McFadden 1974, "Conditional logit analysis of qualitative choice behavior", section 1). The
alternatives are the chains of modes of a round from home to home: all trips by car, all by bicycle, or each trip on its
own by one of the other modes; V of a chain is the sum over its trips.

The expected shares are found here by listing all chains. Shares of n people differ from them by sampling alone, with
standard deviation sqrt(P (1 − P) / n); four of these are accepted.
"""

from itertools import product

import numpy as np
import pytest
from cities import tiny_city

from citytwin.agents.traffic.cars import Means
from citytwin.agents.traffic.demand import Mode, Trips
from citytwin.agents.traffic.modes import choose
from citytwin.environment.places import PlaceKind, Role

HOUSEHOLDS = 12_000
OTHERS = (Mode.PASSENGER, Mode.TRANSIT, Mode.WALK)
UTILITY = {  # of each trip of the round home, work, shop, home
    PlaceKind.WORK: (0.9, -0.8, 0.3, 0.1, -1.1),
    PlaceKind.SHOP: (0.0, -1.5, 0.2, 0.3, 0.8),
    PlaceKind.HOME: (0.4, -0.3, 0.5, -0.2, 0.0),
}


@pytest.fixture(scope="module")
def city():
    return tiny_city(HOUSEHOLDS)


@pytest.fixture(scope="module")
def workers(city):
    return np.flatnonzero(city.people.role == Role.WORKER)


def rounds(city, people, aims):
    """Return trips of one round of each of these people, by way of places of these kinds."""
    home = city.people.household[people]
    place = {kind: int(np.flatnonzero(city.places.kind == kind)[0]) for kind in aims[:-1]}
    count, steps = len(people), len(aims)
    to = np.stack([np.full(count, place[kind]) if kind in place else home for kind in aims], 1)
    start = np.concatenate([home[:, None], to[:, :-1]], 1)
    row = np.arange(count * steps).reshape(count, steps)
    previous = np.where(np.arange(steps) > 0, row - 1, -1)
    depart = 28_800.0 + 7_200.0 * np.arange(steps) + np.zeros((count, 1))
    return Trips.in_order(
        person=np.repeat(people, steps),
        purpose=np.tile([int(kind) for kind in aims], count),
        from_place=start.ravel(),
        to_place=to.ravel(),
        depart=depart.ravel(),
        previous=previous.ravel(),
    )


def means_for_all(city):
    people = len(city.people)
    adults = np.add.reduceat(city.people.age >= 18, city.households.first[:-1])
    everybody = np.ones(people, bool)
    return Means(adults.astype(np.uint8), everybody, everybody, everybody)


def chains(trips, vehicles=(Mode.CAR, Mode.BICYCLE)):
    """Return each chain of modes that a round of so many trips allows."""
    return [(mode,) * trips for mode in vehicles] + list(product(OTHERS, repeat=trips))


def simulated(city, people, aims, shift=0.0, seed=1, means=None):
    """Return the chain that each of these people chooses, as rows of modes."""
    trips = rounds(city, people, aims)
    utility = np.array([UTILITY[PlaceKind(p)] for p in trips.purpose]) + shift
    mode = choose(trips, city, utility, np.zeros(len(trips)), means or means_for_all(city), seed).mode
    order = np.lexsort((trips.depart, trips.person))
    return mode[order].reshape(len(people), len(aims))


def expected(aims, allowed):
    """Return the logit's chance of each chain, by listing all."""
    weight = np.array([np.exp(sum(UTILITY[kind][m] for kind, m in zip(aims, chain, strict=True))) for chain in allowed])
    return weight / weight.sum()


@pytest.mark.parametrize("aims", [(PlaceKind.WORK, PlaceKind.HOME), (PlaceKind.WORK, PlaceKind.SHOP, PlaceKind.HOME)])
def test_shares_of_chains_are_those_of_the_logit(city, workers, aims):
    got = simulated(city, workers, aims)
    allowed = chains(len(aims))
    chance = expected(aims, allowed)
    assert abs(chance.sum() - 1) < 1e-12
    for chain, wanted in zip(allowed, chance, strict=True):
        share = np.mean(np.all(got == chain, axis=1))
        assert abs(share - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / len(workers)), chain
    known = np.any([np.all(got == chain, axis=1) for chain in allowed], axis=0)
    assert known.all()  # shares sum to 1: no other chain occurs


def test_without_cars_and_bicycles_each_trip_is_a_logit_of_its_own(city, workers):
    aims = (PlaceKind.WORK, PlaceKind.HOME)
    trips = rounds(city, workers, aims)
    utility = np.array([UTILITY[PlaceKind(p)] for p in trips.purpose])
    utility[:, Mode.BICYCLE] = -np.inf
    none = Means(np.zeros(HOUSEHOLDS, np.uint8), *[np.ones(len(city.people), bool)] * 3)
    mode = choose(trips, city, utility, np.zeros(len(trips)), none, 1).mode
    for aim in aims:
        rows = trips.purpose == aim
        weight = np.exp([UTILITY[aim][m] for m in OTHERS])
        for m, wanted in zip(OTHERS, weight / weight.sum(), strict=True):
            assert abs(np.mean(mode[rows] == m) - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / rows.sum())


def test_a_constant_on_all_utilities_changes_nothing(city, workers):
    """Only differences count: with 3 more for every mode of every trip everybody chooses as before."""
    aims = (PlaceKind.WORK, PlaceKind.SHOP, PlaceKind.HOME)
    np.testing.assert_array_equal(simulated(city, workers, aims), simulated(city, workers, aims, shift=3.0))


def test_one_car_of_a_household_goes_to_one_of_two_drivers(city, workers):
    """Two workers who leave and return at the same times share one car: of these pairs at most one drives, and the chance
    that somebody does is 1 − (1 − p)², where p is the chance with a car each."""
    aims = (PlaceKind.WORK, PlaceKind.HOME)
    household = city.people.household[workers]
    pairs = np.flatnonzero(np.bincount(household, minlength=HOUSEHOLDS) == 2)
    people = workers[np.isin(household, pairs)]
    one = Means(np.ones(HOUSEHOLDS, np.uint8), *[np.ones(len(city.people), bool)] * 3)
    driving = np.all(simulated(city, people, aims, means=one) == Mode.CAR, axis=1).reshape(-1, 2)
    assert not np.any(driving.all(axis=1))
    p = expected(aims, chains(2))[0]
    wanted = 1 - (1 - p) ** 2
    assert abs(driving.any(axis=1).mean() - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / len(pairs))
