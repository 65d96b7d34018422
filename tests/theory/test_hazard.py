"""The chance of infection is that of hazard = rate times time together.

A person who spends a time T with an infectious one at a rate of r per day is infected with chance 1 − exp(−r T), however T
is split over places and visits. Pairs of one infectious and one susceptible person meet by a plan; a plan is tried 100,000
times, and the share infected may be four standard errors off.
"""

import math

import numpy as np
import pytest
from epidemic_cities import Town, city_of, disease_of

from citytwin.environment.places import PlaceKind

TRIALS = 100_000
RATE = 3.0  # per day

QUARTER, HOUR = 1, 4  # slots
PLANS = {
    # (place, slots of the infectious person, slots of the other)
    "a quarter of an hour": [(0, (40, 41), (40, 41))],
    "an hour": [(0, (40, 44), (40, 44))],
    "an hour of longer visits": [(0, (30, 44), (40, 60))],
    "an hour within a visit": [(0, (10, 90), (40, 44))],
    "an hour in four parts": [(p, (40 + 4 * p, 41 + 4 * p), (40 + 4 * p, 41 + 4 * p)) for p in range(4)],
    "eight hours": [(0, (20, 52), (20, 52))],
    "eight hours in two places": [(0, (20, 40), (20, 40)), (1, (50, 62), (50, 62))],
    "two visits of an hour": [(0, (20, 24), (20, 24)), (0, (60, 64), (60, 64))],
    "a visit of two hours": [(0, (20, 28), (20, 28))],
    "one after the other": [(0, (20, 40), (40, 60))],
    "in two places": [(0, (20, 40), (90, 91)), (1, (90, 91), (20, 40))],
}


def together(plan):
    """Return the days of a plan that both spend in one place."""
    return sum(max(min(a[1], b[1]) - max(a[0], b[0]), 0) for _, a, b in plan) / 96


def pairs(plan):
    """Return a city of couples living apart who meet by a plan, each couple in places of its own."""
    places = 1 + max(place for place, *_ in plan)
    homes = 2 * TRIALS
    columns = {"place": [], "start": [], "end": []}
    visits_of = []
    for side in (0, 1):
        visits, now = [], 0
        for place, start, end in sorted(((p, *times[side]) for p, *times in plan), key=lambda visit: visit[1]):
            visits += [(-1, now, start), (place, start, end)]
            now = end
        visits_of.append([*visits, (-1, now, 96)])
    both = np.array([*visits_of[0], *visits_of[1]])
    person = np.repeat([0, 1], [len(visits_of[0]), len(visits_of[1])])
    couple = np.arange(TRIALS)[:, None]
    columns["place"] = np.where(both[:, 0] < 0, 2 * couple + person, homes + places * couple + both[:, 0])
    columns["start"] = np.tile(both[:, 1], (TRIALS, 1))
    columns["end"] = np.tile(both[:, 2], (TRIALS, 1))
    ends = np.array([len(visits_of[0]), len(both)]) + len(both) * couple
    first = np.concatenate([[0], ends.ravel()])
    day = (first, *(columns[name].ravel() for name in ("place", "start", "end")))
    return city_of(np.arange(homes + 1), np.full(places * TRIALS, PlaceKind.WORK), [day])


@pytest.mark.parametrize("plan", PLANS)
def test_chance_of_infection(validity, plan):
    time = together(PLANS[plan])
    town = Town(pairs(PLANS[plan]), disease_of(0, 1), transmission=RATE, weights={"work": 1.0})
    town.epidemic._first_cases = lambda *_: np.arange(0, 2 * TRIALS, 2, dtype=np.int32)
    rows = town.days(2)
    infected = rows[1]["new_infections"]
    chance = 1 - math.exp(-RATE * time)
    accepted = 4 * math.sqrt(chance * (1 - chance) / TRIALS)
    what = f"share infected of {TRIALS:,} pairs: {plan}"
    validity("V7", what, infected / TRIALS, chance, accepted, source="1 − exp(−rate · time)")


def test_two_visits_take_off_what_one_of_their_length_does(validity):
    left = []
    for plan in ("two visits of an hour", "a visit of two hours"):
        town = Town(pairs(PLANS[plan]), disease_of(0, 1), transmission=RATE, weights={"work": 1.0})
        town.epidemic._first_cases = lambda *_: np.arange(0, 2 * TRIALS, 2, dtype=np.int32)
        town.days(2)
        left.append(town.citizens.table.columns["resistance"])
    # Each visit is rounded to a unit of 2^-40.
    what = "most that two visits of an hour differ from one of two hours, in units of 2^-40"
    validity("V7", what, np.abs(left[0] - left[1]).max(), within=(0, 2), source="rounding of each visit")
