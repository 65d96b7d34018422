"""Looking for a place to park, against what is known of it.

1. Where f of N evenly spaced places of a kerb of length L are free, any f of them with equal chance, the first free one lies
   at L / (f + 1) on average: the negative hypergeometric distribution has (N + 1) / (f + 1) draws to the first success, and
   places stand L / (N + 1) apart.
2. Where cars come by chance (Poisson) and stay for times of any distribution, the share that finds all N places taken is
   Erlang's loss formula B(N, a) with a the cars that would stand there if there were room (Erlang 1917; its insensitivity to
   the distribution: Sevastyanov 1957).
"""

import itertools
from math import comb

import numpy as np
import pytest

from citytwin.agents.traffic import parking
from citytwin.agents.traffic.parking import SEARCH_SPEED


def alone(length, places):
    """Arguments of a search along one kerb, with no other near."""
    first, near, metres = np.array([0, 1]), np.zeros(1, np.int32), np.zeros(1)
    return np.array([places], np.int32), first, near, metres, np.array([length])


@pytest.mark.parametrize(("places", "free"), [(1, 1), (8, 1), (8, 3), (12, 12), (15, 4)])
def test_the_first_free_place_of_a_kerb(validity, places, free):
    length = 120.0
    spots = (np.arange(places) + 1) * length / (places + 1)
    every = [min(chosen) for chosen in itertools.combinations(range(places), free)]
    assert len(every) == comb(places, free)
    expected = spots[every].mean()
    assert expected == pytest.approx(length / (free + 1))
    capacity, *rest = alone(length, places)
    found, seconds = parking._look(0, np.array([places - free], np.int32), capacity, *rest)
    assert found == 0
    what = f"metres to the first of {free} free places of {places} along 120 m"
    validity("lanes", what, seconds * SEARCH_SPEED, expected, 1e-6, source="negative hypergeometric distribution")


def erlang_b(places, load):
    loss = 1.0
    for number in range(1, places + 1):
        loss = load * loss / (number + load * loss)
    return loss


@pytest.mark.parametrize("stays", ["exponential", "fixed"])
@pytest.mark.parametrize(("places", "load"), [(10, 8.0), (4, 6.0)])
def test_the_share_without_a_place_is_that_of_erlang(validity, places, load, stays):
    cars, stay = 60_000, 1.0  # the day is as long as it takes: seconds after its end are of the last quarter
    rng = np.random.default_rng(7)
    comes = np.cumsum(rng.exponential(stay / load, cars))
    goes = comes + (rng.exponential(stay, cars) if stays == "exponential" else stay)
    time = np.concatenate([comes, goes])
    order = np.argsort(time, kind="stable")
    car = np.tile(np.arange(cars, dtype=np.int32), 2)
    coming = np.repeat([True, False], cars)
    trip = np.where(coming, car, -1).astype(np.int64)
    own = np.where(coming, 0, -1).astype(np.int32)
    capacity, first, near, metres, length = alone(50.0, places)
    seconds, outcome = np.zeros(cars), np.zeros(cars, np.uint8)
    taken, over = np.zeros((96, 1), np.int32), np.zeros((96, 1), np.int32)
    parking._park(
        time[order], coming[order], car[order], own[order], trip[order], first, near, metres, length, capacity, cars,
        seconds, outcome, taken, over, np.zeros((96, 1)),
    )  # fmt: skip
    expected = erlang_b(places, load)
    # batches of 1,000 arrivals last hundreds of stays, so their means are nearly independent
    batches = (outcome == 2).reshape(-1, 1_000).mean(axis=1)
    error = 4 * batches.std() / np.sqrt(len(batches))
    what = f"share of cars without a place, {places} places, load {load:g}, {stays} stays"
    validity("lanes", what, batches.mean(), expected, error, source="Erlang 1917, loss formula")
    assert expected == pytest.approx({10: 0.1217, 4: 0.4696}[places], abs=5e-4)  # as tabulated
    assert taken.max() <= places
    assert taken[-1] == 0 and over[-1] == 0
