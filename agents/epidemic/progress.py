"""Kernels of the course of the disease: who is in which state, when they leave it, how susceptible they are."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...environment.randomness import uniform
from ..columns import Column
from .course import ENTERED, RECOVERED, SUSCEPTIBLE
from .kernels import HAZARD_UNIT

HAD_BEFORE = 0x80
"""Bit of ``strains_had`` that tells a second infection, or one of somebody immune since the start."""
MOST_INFECTIONS = 2**16 - 1
SPELL = 64
"""Numbers that the course of one infection may use up; a disease has fewer states."""


def columns() -> dict[str, Column]:
    """Return the columns that an epidemic adds to citizens; it alone writes them."""
    return {
        "health": Column("u1", SUSCEPTIBLE, doc="0 susceptible, 1 recovered, 2 dead, 3 … the states of the disease"),
        "next_health": Column("u1", SUSCEPTIBLE, doc="state that follows"),
        "health_since": Column("i4", -1, "day", "day on which the state was entered"),
        "health_until": Column("i4", -1, "day", "day of the next change of state, −1 if there is none"),
        "infected_on": Column("i4", -1, "day", "day of the latest infection, −1 if never infected"),
        "ill_since": Column("i4", -1, "day", "day on which symptoms began, −1 without symptoms now"),
        "infectious": Column("u1", 0, doc="1 if infectious now"),
        "strain": Column("u1", 0, doc="strain of the latest infection"),
        "strains_had": Column(
            "u1", 0, doc="bit s: has had strain s, or is immune since the start as if so; 7: second time"
        ),
        "infections": Column("u2", 0, doc="number of infections so far"),
        "resistance": Column("i8", 0, "2^-40", "hazard still to come until infection"),
        "susceptibility": Column("f4", 1.0, doc="factor on the hazard of the first strain: age, immunity, vaccine"),
    }


class Health(NamedTuple):
    """The columns of citizens that say how they are, see :func:`columns`; each (people,)."""

    state: NDArray[np.uint8]
    next: NDArray[np.uint8]
    since: NDArray[np.int32]
    until: NDArray[np.int32]
    infected_on: NDArray[np.int32]
    ill_since: NDArray[np.int32]
    infectious: NDArray[np.uint8]
    strain: NDArray[np.uint8]
    strains_had: NDArray[np.uint8]
    infections: NDArray[np.uint16]


@njit(cache=True, nogil=True)
def draw_resistance(purpose, people, infections, resistance):
    """Draw the resistance of people's next spell: −ln(u), at least one unit, as nobody is infected without contact."""
    for person in people:
        threshold = -np.log(uniform(purpose, person, infections[person])) / HAZARD_UNIT
        resistance[person] = max(np.int64(threshold + 0.5), 1)


@njit(cache=True, nogil=True)
def settle(people, day, health, age, course, severity, spared, spared_again, bed, exit_key, days_key):
    """Draw how it goes on with people who entered their state today: which transition they take, and when.

    A person infected on day t leaves the first state at the beginning of day t + 1 + L, later ones N days after they were
    entered, with L and N from the laws of the transitions.

    Args:
        people: (n,) who.
        day: today.
        health: :class:`Health`, changed in place.
        age: (people,) ages.
        course: the disease, :class:`~citytwin.agents.epidemic.course.Course`.
        severity: (strains,) factor on the chance of becoming severely ill.
        spared: (people,) protection of the vaccinated against becoming severely ill, or (0,).
        spared_again: the same protection of those who had the disease before.
        bed: (people,) care of the bed that each person has, 0 for none; or (0,) where beds have no limit.
        exit_key, days_key: keys of the draws.
    """
    first, to, chance, severe, without_bed = course.first, course.to, course.chance, course.severe, course.without_bed
    law_first, law, care = course.law_first, course.law, course.care
    state, following, until, infections = health.state, health.next, health.until, health.infections
    strain, had = health.strain, health.strains_had
    for person in people:
        s = np.int64(state[person])
        if first[s + 1] == first[s]:
            until[person] = -1
            continue
        when = (np.int64(infections[person]) - 1) * SPELL + s
        u = uniform(exit_key, person, when)
        lacking = bed.size > 0 and bed[person] < care[s]
        summed = 0.0
        way = first[s]
        while way < first[s + 1] - 1:
            p = chance[way, age[person]]
            if severe[way]:
                p *= severity[strain[person]]
                if spared.size:
                    p *= 1.0 - spared[person]
                if had[person] & HAD_BEFORE:
                    p *= 1.0 - spared_again
            if lacking:
                p *= without_bed[way]
            summed += p
            if u < summed:
                break
            way += 1
        u = uniform(days_key, person, when)
        days = 0
        while days < law_first[way + 1] - law_first[way] - 1 and u >= law[law_first[way] + days]:
            days += 1
        following[person] = to[way]
        until[person] = day + days + (1 if s == ENTERED else 0)


@njit(cache=True, nogil=True)
def infect(people, day, strain, health, course, count):
    """Let people enter the first state of the disease; :func:`settle` says how it goes on."""
    shedding = course.shed[ENTERED].max() > 0
    for person in people:
        count[health.state[person]] -= 1
        count[ENTERED] += 1
        health.state[person] = ENTERED
        health.since[person] = day
        health.infected_on[person] = day
        health.infectious[person] = shedding
        # Symptoms in the first state are noticed on the next morning, as everything that happens overnight.
        health.ill_since[person] = day + 1 if course.symptoms[ENTERED] else -1
        health.strain[person] = strain
        if health.strains_had[person]:
            health.strains_had[person] |= np.uint8(HAD_BEFORE)
        health.strains_had[person] |= np.uint8(1 << strain)
        health.infections[person] = min(np.int64(health.infections[person]) + 1, MOST_INFECTIONS)


@njit(cache=True, nogil=True)
def move(people, day, health, course, count):
    """Make the transitions that are due at the start of a day.

    Args:
        people: (n,) people who may be due.
        day: today.
        health: :class:`Health`, changed in place; where somebody went is to be settled.
        course: the disease.
        count: (states,) number of people by state, changed in place.

    Returns:
        (moved,) who was due, in the order of ``people``; (moved,) the state they left.
    """
    state, following, since, until = health.state, health.next, health.since, health.until
    ill_since, infectious = health.ill_since, health.infectious
    symptoms = course.symptoms
    shedding = np.zeros(symptoms.size, np.uint8)
    for s in range(symptoms.size):
        shedding[s] = course.shed[s].max() > 0
    moved = np.empty(people.size, np.int32)
    left = np.empty(people.size, np.uint8)
    n = 0
    for person in people:
        if until[person] != day:
            continue
        before, now = state[person], following[person]
        moved[n] = person
        left[n] = before
        n += 1
        count[before] -= 1
        count[now] += 1
        state[person] = now
        since[person] = day
        infectious[person] = shedding[now]
        if symptoms[now] == 0:
            ill_since[person] = -1
        elif symptoms[before] == 0:
            ill_since[person] = day
    return moved[:n].copy(), left[:n].copy()


@njit(cache=True, nogil=True)
def gather(cases, state, infectious):
    """Return those of the cases who still are cases, and those of them who are infectious, in their order."""
    kept = np.empty(cases.size, np.int32)
    shedders = np.empty(cases.size, np.int32)
    n_kept = n_shedders = 0
    for person in cases:
        if state[person] >= ENTERED:
            kept[n_kept] = person
            n_kept += 1
            if infectious[person]:
                shedders[n_shedders] = person
                n_shedders += 1
    return kept[:n_kept].copy(), shedders[:n_shedders].copy()


@njit(cache=True, nogil=True)
def protect(day, health, base, age, held, half_life, vaccinated, escape, susceptibility):
    """Set everybody's susceptibility to a strain: by age, times what immunity and vaccine leave.

    Args:
        day: today.
        health: :class:`Health`.
        base: (256,) susceptibility by age.
        age: (people,) ages.
        held: (256,) share of infections with the strain that immunity averts just after recovery, by the strains had.
        half_life: days in which immunity halves; infinite where it stays. The last recovery refreshes all of it.
        vaccinated: (people,) share of infections that the vaccine averts today, or (0,).
        escape: share of that which this strain escapes.
        susceptibility: (people,) float32, set in place.
    """
    for person in range(susceptibility.size):
        value = base[age[person]]
        if health.state[person] == RECOVERED:
            immune = held[health.strains_had[person]]
            if half_life < np.inf:
                immune *= 2.0 ** (-(day - health.since[person]) / half_life)
            value *= 1.0 - immune
        if vaccinated.size:
            value *= 1.0 - vaccinated[person] * (1.0 - escape)
        susceptibility[person] = value
