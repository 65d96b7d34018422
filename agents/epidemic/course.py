"""The course of a disease as arrays that kernels take.

States are numbers: :data:`SUSCEPTIBLE`, :data:`RECOVERED`, :data:`DEAD`, then those of the file in its order, from
:data:`ENTERED`, the one that an infection leads to. Whoever enters a state on a day goes to another one after a whole
number of days, which may be none: then the state is passed through on the same morning.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .laws import whole_days

if TYPE_CHECKING:
    from .disease import Disease, State

SUSCEPTIBLE, RECOVERED, DEAD, ENTERED = 0, 1, 2, 3
AGES = 256
"""Ages that tables hold, 0 to 255 years."""
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


def less_of(number: int, state: "State") -> float:
    """Return the days that do not count of periods in a state.

    Infections happen at midday on average, so half a day of the first state is over before its first whole day. Where
    people shed in the first state, whole days of shedding matter, and nothing is taken off.
    """
    return 0.5 if number == ENTERED and not any(state.infectiousness) else 0.0


def level(name: str, states: "tuple[State, ...]") -> int:
    """Return how bad it is to be there: the level of symptoms of a state, more for dead, 0 for recovered."""
    if name == "dead":
        return _DEAD_LEVEL
    return next((SYMPTOMS.index(state.symptoms) for state in states if state.name == name), 0)


def compiled(disease: "Disease") -> Course:
    """Return the arrays of a disease."""
    states, names = disease.states, disease.state_names
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
        since_infection=np.array(disease.infectiousness.since_infection or (1.0,)),
        symptoms=symptoms,
        care=np.maximum(symptoms.astype(np.int8) - (SEVERE - 1), 0).astype(np.uint8),
    )
