"""Where there is infectiousness today: the visits of infectious people, brought into the order of places.

Every step is made by parts, of people or of places, that do not depend on each other; so threads may share them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...environment.randomness import uniform
from ...environment.schedules import SLOTS_PER_DAY
from ..presence import GUEST, Visits

SHEDDING_UNIT = 2.0**-20
"""Infectiousness is counted in this unit; 1 is that of the average infectious person."""
MAX_SHEDDING = 2.0**46
"""Most that one visit can shed, in units."""
CURVE_FROM = 24
"""Places with at least so many infectious visits get a cumulative curve instead of a test a pair."""

InParts = Callable[[Callable[[int, int], Any], int], list[Any]]
"""``in_parts(work, size)`` returns the results of ``work(low, high)`` over ranges that make 0 … size − 1, in their order."""


class Sources(NamedTuple):
    """Where there is infectiousness of a strain today, by active place: compressed sparse rows of infectious visits.

    Attributes:
        slot: (places,) number of the active place, −1 where there is no infectiousness.
        place: (active,) the active places.
        rate: (active,) hazard units per unit of infectiousness and slot of overlap.
        first: (active + 1,) position of the first infectious visit of each active place.
        who: (visits,) infectious person.
        packed: (visits,) in one word, as they are read together: infectiousness of the person there, in units, above
            the first slot of the visit (8 bits) and the slot after its last (8 bits).
        summed: (visits,) in places with a curve the infectiousness of the place's visits up to and with each one.
        curve: (active,) row in ``curves``, −1 where pairs are tested.
        curves: (rows, 97) infectiousness summed over the slots before each slot.
        work: number of visits that a walk through all active places makes.
    """

    slot: NDArray[np.int32]
    place: NDArray[np.int32]
    rate: NDArray[np.float64]
    first: NDArray[np.int32]
    who: NDArray[np.int32]
    packed: NDArray[np.int64]
    summed: NDArray[np.int64]
    curve: NDArray[np.int32]
    curves: NDArray[np.int64]
    work: int


def activate(
    infectious: NDArray[np.int32],
    strength: NDArray[np.float64],
    visits: Visits,
    slot: NDArray[np.int32],
    contact: NDArray[np.float64],
    air: NDArray[np.float64],
    unit: float,
    in_parts: InParts,
) -> Sources:
    """Gather the visits of the infectious by place.

    Args:
        infectious: (n,) the infectious people.
        strength: (n,) their infectiousness, see :func:`strengths`.
        visits: the day.
        slot: (places,) −1 everywhere; set for active places, to be cleared by :func:`deactivate`.
        contact: (places,) relative hazard by contact, see ``rates.place_rates``.
        air: (places,) relative hazard by the air of the room, or (0,).
        unit: hazard units per unit of infectiousness and slot of overlap where the relative hazard is 1.
        in_parts: makes the parts of the work, with threads or without.
    """
    lists = in_parts(lambda low, high: _walk(infectious, strength, visits, low, high), len(infectious))
    where, who, packed = (np.concatenate(parts) for parts in zip(*lists, strict=True))
    numbered = in_parts(lambda low, high: (low, *_number(where, visits.place_first, slot, low, high)), len(slot))
    place = np.concatenate([places for _, places, *_ in numbered])
    first = np.zeros(len(place) + 1, np.int32)
    np.cumsum(np.concatenate([count for _, _, count, *_ in numbered]), out=first[1:])
    rate, curve = np.empty(len(place)), np.empty(len(place), np.int32)
    summed = np.empty(len(where), np.int64)
    curves = np.zeros((sum(rows for *_, rows, _ in numbered), SLOTS_PER_DAY + 1), np.int64)
    sources = Sources(
        slot, place, rate, first, np.empty_like(who), np.empty_like(packed), summed, curve, curves,
        sum(work for *_, work in numbered),
    )  # fmt: skip
    begins, slots, rows = {}, 0, 0
    for low, places, _, curved, _ in numbered:
        begins[low] = slots, slots + len(places), rows
        slots, rows = slots + len(places), rows + curved
    in_parts(
        lambda low, high: _fill(
            where, who, packed, sources, contact, air, visits.air, visits.column, unit, low, high, *begins[low]
        ),
        len(slot),
    )
    return sources


@njit(cache=True, nogil=True)
def _walk(infectious, strength, visits, low, high):
    """Return place, person and packed word of each visit of the infectious people low … high − 1, in their order."""
    visit_first, visit_place, visit_start, visit_end = visits.first, visits.place, visits.start, visits.end
    household, column, group, give = visits.household, visits.column, visits.group, visits.give
    homes, altered = visits.members.size - 1, visits.altered
    most = 0
    for i in range(low, high):
        most += visit_first[infectious[i] + 1] - visit_first[infectious[i]]
    where = np.empty(most, np.int32)
    who = np.empty(most, np.int32)
    packed = np.empty(most, np.int64)
    n = 0
    for i in range(low, high):
        person = infectious[i]
        plain = altered[group[person]] == 0
        last_place = -1
        for v in range(visit_first[person], visit_first[person + 1]):
            q = visit_place[v]
            own = 1.0
            if not plain:
                abroad = q < homes and household[person] != q
                own = give[group[person], np.int64(column[q]) + (GUEST if abroad else 0)]
                if own < 0.0:
                    q = household[person]
                    own = give[group[person], column[q]]
            if q == last_place and packed[n - 1] & 255 == visit_start[v]:
                packed[n - 1] += np.int64(visit_end[v]) - np.int64(visit_start[v])
                continue
            shed = np.int64(min(strength[i] * own / SHEDDING_UNIT + 0.5, MAX_SHEDDING))
            if shed == 0:
                last_place = -1
                continue
            last_place = q
            where[n] = q
            who[n] = person
            packed[n] = shed << 16 | np.int64(visit_start[v]) << 8 | np.int64(visit_end[v])
            n += 1
    return where[:n], who[:n], packed[:n]


@njit(cache=True, nogil=True)
def _number(where, place_first, slot, low, high):
    """Number the active ones of the places low … high − 1 from 0 in the order in which they appear.

    Returns:
        The active places, their infectious visits, how many of them get a curve, and the visits of all of them.
    """
    place = np.empty(min(where.size, high - low), np.int32)
    count = np.empty(place.size, np.int32)
    active = work = rows = 0
    for q in where:
        if low <= q < high:
            if slot[q] < 0:
                slot[q] = active
                place[active] = q
                count[active] = 0
                active += 1
                work += place_first[q + 1] - place_first[q]
            count[slot[q]] += 1
            if count[slot[q]] == CURVE_FROM:
                rows += 1
    return place[:active].copy(), count[:active].copy(), rows, work


@njit(cache=True, nogil=True)
def _fill(where, who, packed, sources, contact, air, changes, column, unit, low, high, begin, end, rows):
    """Write what belongs to the places low … high − 1, which have the slots begin … end − 1 and curves from ``rows`` on."""
    slot, place, rate, first, curve = sources.slot, sources.place, sources.rate, sources.first, sources.curve
    their_who, their_packed, summed, curves = sources.who, sources.packed, sources.summed, sources.curves
    cursor = np.empty(end - begin, np.int32)
    for s in range(begin, end):
        slot[place[s]] = s
        cursor[s - begin] = first[s]
    for m in range(where.size):
        if low <= where[m] < high:
            s = slot[where[m]] - begin
            their_who[cursor[s]] = who[m]
            their_packed[cursor[s]] = packed[m]
            cursor[s] += 1
    for s in range(begin, end):
        q = place[s]
        rate[s] = contact[q]
        if air.size:
            rate[s] += air[q] / changes[column[q]]
        rate[s] *= unit
        curve[s] = -1
        if first[s + 1] - first[s] < CURVE_FROM:
            continue
        curve[s] = rows
        before = np.int64(0)
        for m in range(first[s], first[s + 1]):
            shed = their_packed[m] >> 16
            before += shed
            summed[m] = before
            curves[rows, their_packed[m] >> 8 & 255] += shed
            curves[rows, their_packed[m] & 255] -= shed
        level = total = 0
        for t in range(SLOTS_PER_DAY + 1):
            level, total = level + curves[rows, t], total + level
            curves[rows, t] = total
        rows += 1


@njit(cache=True, nogil=True)
def strengths(people, low, high, day, health, shed, since_infection, shedding, transmissibility, spared, purpose):
    """Return the infectiousness of the infectious people low … high − 1, 1 for the average person of a state with 1.

    Args:
        people: (n,) the infectious people.
        low, high: which of them.
        day: today.
        health: :class:`Health`.
        shed, since_infection: of the course.
        shedding: (quantiles,) infectiousness of a person by quantile, mean 1.
        transmissibility: (strains,) factor.
        spared: (people,) share by which the vaccine lowers infectiousness, or (0,).
        purpose: key of the draw of the quantile.
    """
    out = np.empty(high - low)
    for n in range(high - low):
        person = people[low + n]
        in_state = min(np.int64(day - health.since[person]), shed.shape[1] - 1)
        infected = min(np.int64(day - health.infected_on[person]), since_infection.size - 1)
        own = shedding[np.int64(uniform(purpose, person, np.int64(health.infections[person]) - 1) * shedding.size)]
        out[n] = shed[health.state[person], in_state] * since_infection[infected] * own
        out[n] *= transmissibility[health.strain[person]]
        if spared.size:
            out[n] *= 1.0 - spared[person]
    return out


@njit(cache=True, nogil=True)
def deactivate(sources):
    """Forget the active places."""
    for q in sources.place:
        sources.slot[q] = -1
