"""The course of a disease as arrays that kernels take.

States are numbers: :data:`SUSCEPTIBLE`, :data:`RECOVERED`, :data:`DEAD`, then those of the file in its order, from
:data:`ENTERED`, the one that an infection leads to. Whoever enters a state on a day goes to another one after a whole
number of days, which may be none: then the state is passed through on the same morning.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...environment.randomness import key, uniform
from ..parts import AGES
from .laws import whole_days
from .states import State

SUSCEPTIBLE, RECOVERED, DEAD, ENTERED = 0, 1, 2, 3
RESERVED = ("susceptible", "recovered", "dead")
"""Names of the states that every disease has, by number."""
SYMPTOMS = ("none", "mild", "severe", "critical")
"""Levels of symptoms; severe needs a bed of a ward, critical one of intensive care."""
SEVERE = SYMPTOMS.index("severe")
_DEAD_LEVEL = len(SYMPTOMS)


class Course(NamedTuple):
    """A disease in arrays, by state (states,) or by transition (transitions,).

    Attributes:
        first: int32 (states + 1,) transitions of state s are rows first[s] … first[s + 1] − 1.
        to: uint8 (transitions,) state entered.
        chance: float64 (transitions, 256) by age, not cumulative; the last transition of a state takes the rest. Those
            to worse states come first, so that a factor on their chance changes the rest.
        severe: uint8 (transitions,) 1 where it leads from below severe into severe, critical or dead.
        without_bed: float64 (transitions,) factor on the chance for people who need a bed and have none.
        law_first: int32 (transitions + 1,) rows of ``law``.
        law: float64, cumulative chances P(N <= n), n = 0, 1, … of the whole days N before the transition. In the state
            that an infection leads to, N does not count the day of infection: the change is on day t + 1 + N. In all
            others it is on day t + N after entering on day t.
        shed: float64 (states, K) infectiousness by day since the state was entered; the last column holds on.
        since_infection: float64 (M,) factor by day since infection; the last holds on.
        symptoms: uint8 (states,) position in :data:`SYMPTOMS`.
        care: uint8 (states,) 0 no bed needed, 1 a ward, 2 intensive care.
    """

    first: NDArray[np.int32]
    to: NDArray[np.uint8]
    chance: NDArray[np.float64]
    severe: NDArray[np.uint8]
    without_bed: NDArray[np.float64]
    law_first: NDArray[np.int32]
    law: NDArray[np.float64]
    shed: NDArray[np.float64]
    since_infection: NDArray[np.float64]
    symptoms: NDArray[np.uint8]
    care: NDArray[np.uint8]


def less_of(number: int, state: State) -> float:
    """Return the days that do not count of periods in a state.

    Infections happen at midday on average, so half a day of the first state is over before its first whole day. Where
    people shed in the first state, whole days of shedding matter, and nothing is taken off.
    """
    return 0.5 if number == ENTERED and not any(state.infectiousness) else 0.0


def level(name: str, states: Sequence[State]) -> int:
    """Return how bad it is to be there: the level of symptoms of a state, more for dead, 0 for recovered."""
    if name == "dead":
        return _DEAD_LEVEL
    return next((SYMPTOMS.index(state.symptoms) for state in states if state.name == name), 0)


def compiled(states: Sequence[State], since_infection: Sequence[float] | None = None) -> Course:
    """Return the arrays of a disease.

    Args:
        states: of its file; an infection leads to the first.
        since_infection: factor on infectiousness by day since infection, 1 without.
    """
    names = [*RESERVED, *(state.name for state in states)]
    first = [0] * (ENTERED + 1)
    to, chance, severe, without_bed, laws = [], [], [], [], []
    shed = np.zeros((len(names), max(len(state.infectiousness) for state in states)))
    symptoms = np.zeros(len(names), np.uint8)
    for number, state in enumerate(states, ENTERED):
        here = symptoms[number] = SYMPTOMS.index(state.symptoms)
        shed[number] = state.infectiousness[-1]
        shed[number, : len(state.infectiousness)] = state.infectiousness
        chances = [transition.chance.by_age() for transition in state.transition if transition.chance is not None]
        rest = np.maximum(1 - np.sum([np.zeros(AGES), *chances], axis=0), 0.0)
        rows = sorted(
            zip(state.transition, [*chances, rest], strict=True), key=lambda row: level(row[0].to, states) <= here
        )
        for transition, by_age in rows:
            there = level(transition.to, states)
            to.append(names.index(transition.to))
            chance.append(by_age)
            severe.append(here < SEVERE <= there)
            without_bed.append(state.without_bed if there > here else 1.0)
            laws.append(whole_days(transition.after, less=less_of(number, state)))
        first.append(len(to))
    return Course(
        first=np.array(first, np.int32),
        to=np.array(to, np.uint8),
        chance=np.array(chance),
        severe=np.array(severe, np.uint8),
        without_bed=np.array(without_bed),
        law_first=np.cumsum([0, *map(len, laws)]).astype(np.int32),
        law=np.concatenate(laws),
        shed=shed,
        since_infection=np.array(since_infection or (1.0,)),
        symptoms=symptoms,
        care=np.maximum(symptoms.astype(np.int8) - (SEVERE - 1), 0).astype(np.uint8),
    )


def reached(course: Course) -> NDArray[np.float64]:
    """Return the chance (states, 256) that an infected person of an age ever comes into a state.

    Beds, vaccines and immunity, which change chances, are left out of account.
    """
    chance = np.zeros((len(course.first) - 1, AGES))
    chance[ENTERED] = 1.0
    for state in _forwards(course):
        for row in range(course.first[state], course.first[state + 1]):
            chance[course.to[row]] += chance[state] * course.chance[row]
    return chance


def entered(course: Course, age: int) -> list[NDArray[np.float64]]:
    """Return for each state the chances that a person of an age enters it on day 0, 1, … since infection.

    They sum to :func:`reached`. The state that an infection leads to is entered on day 0.
    """
    chances = [np.zeros(0) for _ in course.first[:-1]]
    chances[ENTERED] = np.ones(1)
    for state in _forwards(course):
        for row in range(course.first[state], course.first[state + 1]):
            days = np.diff(_law(course, row), prepend=0.0)
            arrival = np.convolve(chances[state], days) * course.chance[row, age]
            if state == ENTERED:
                arrival = np.concatenate([[0.0], arrival])
            to = int(course.to[row])
            chances[to] = _add(chances[to], arrival)
    return chances


def infectiousness_by_day(course: Course, ages: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the expected infectiousness on day 0, 1, … since infection, mean over infected people of these ages (n,)."""
    people = np.bincount(ages, minlength=AGES) / len(ages)
    met = np.flatnonzero(people)
    _, example, alike = np.unique(course.chance[:, met], axis=1, return_index=True, return_inverse=True)
    mean = np.zeros(0)
    for age, weight in zip(met[example], np.bincount(alike.ravel(), people[met]), strict=True):
        mean = _add(mean, weight * _shedding(course, age))
    day = np.minimum(np.arange(len(mean)), len(course.since_infection) - 1)
    return np.trim_zeros(mean * course.since_infection[day], "b")


def total_infectiousness(course: Course, ages: NDArray[np.integer], seed: int, number: int) -> NDArray[np.float64]:
    """Return the infectiousness (number,) of simulated courses, summed over the days, without dispersion.

    Args:
        course: of the disease.
        ages: (n,) of infected people; course c is that of an age at position c · n // number, so that with number = n
            each is simulated once.
        seed: of the draws.
        number: of courses.
    """
    chosen = np.asarray(ages)[np.arange(number) * len(ages) // number].astype(np.uint8)
    return _simulate(course, chosen, key(seed, "course transition"), key(seed, "course days"))


@njit(cache=True, nogil=True)
def _simulate(course, ages, way_key, stay_key):
    """Return the summed infectiousness of a course for each age."""
    first, to, chance, law_first, law = course.first, course.to, course.chance, course.law_first, course.law
    shed, since_infection = course.shed, course.since_infection
    total = np.zeros(ages.size)
    for case in range(ages.size):
        state, day = np.int64(ENTERED), 0
        while state >= ENTERED:
            u = uniform(way_key, case, state)
            row = first[state]
            while row < first[state + 1] - 1 and u >= chance[row, ages[case]]:
                u -= chance[row, ages[case]]
                row += 1
            u = uniform(stay_key, case, state)
            n = law_first[row]
            while n < law_first[row + 1] - 1 and u >= law[n]:
                n += 1
            days = n - law_first[row]
            if state == ENTERED:
                days += 1
            for k in range(days):
                if day + k > 0:
                    factor = since_infection[min(day + k, since_infection.size - 1)]
                    total[case] += shed[state, min(k, shed.shape[1] - 1)] * factor
            day += days
            state = np.int64(to[row])
    return total


def _shedding(course: Course, age: int) -> NDArray[np.float64]:
    """Return the expected shedding on each day since infection, without the factor of that day."""
    total = np.zeros(0)
    for state, arrival in enumerate(entered(course, age)):
        rows = range(course.first[state], course.first[state + 1])
        stays = np.zeros(0)
        for row in rows:
            stays = _add(stays, course.chance[row, age] * (1 - _law(course, row)))
        if state == ENTERED:
            stays = np.concatenate([[0.0], stays])
        if len(arrival) and len(stays):
            profile = course.shed[state, np.minimum(np.arange(len(stays)), course.shed.shape[1] - 1)]
            total = _add(total, np.convolve(arrival, stays * profile))
    return total


def _forwards(course: Course) -> list[int]:
    """Return the states that end, each before those it leads to."""
    order: list[int] = []

    def visit(state: int) -> None:
        if state < ENTERED or state in order:
            return
        for row in range(course.first[state], course.first[state + 1]):
            visit(int(course.to[row]))
        order.append(state)

    visit(ENTERED)
    return order[::-1]


def _law(course: Course, row: int) -> NDArray[np.float64]:
    return course.law[course.law_first[row] : course.law_first[row + 1]]


def _add(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of two arrays, the shorter one filled up with zeros."""
    out = np.zeros(max(len(a), len(b)))
    out[: len(a)] += a
    out[: len(b)] += b
    return out
