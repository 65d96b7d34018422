"""Kernels of contagion along visits, in fixed-point numbers.

Everybody has a *resistance*: a Sellke threshold, drawn once for each spell of being at risk. Each visit to a place with
infectious visitors takes its hazard off, which is multiplied by the person's susceptibility of the day. Who has none left
is infected. The law is that of a draw per contact (Sellke 1983, J. Appl. Probab. 20:390-394), but no random number is
drawn in the loop.

Infectiousness and hazards are integers, so sums depend neither on their order nor on how they are made: by place or by
person, pair by pair or from a cumulative curve, by one thread or by many.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...environment.randomness import uniform
from ...environment.schedules import SLOTS_PER_DAY
from ..presence import GUEST

SHEDDING_UNIT = 2.0**-20
"""Infectiousness is counted in this unit; 1 is that of the average infectious person."""
HAZARD_UNIT = 2.0**-40
"""Hazard and resistance are counted in this unit; a hazard of 1 infects with chance 1 − 1/e."""
MAX_HAZARD = 2.0**55
"""Most that one visit can take off, in units (a hazard of 32,768), so that no sum of a day can overflow."""
MAX_SHEDDING = 2.0**46
"""Most that one visit can shed, in units."""
CURVE_FROM = 24
"""Places with at least so many infectious visits get a cumulative curve instead of a test a pair."""
DRAWS = 128
"""Numbers that a draw of an infector may use up."""


class Sources(NamedTuple):
    """Where there is infectiousness of a strain today, by active place: compressed sparse rows of infectious visits.

    Attributes:
        slot: (places,) number of the active place, −1 where there is no infectiousness.
        place: (active,) the active places, in order of their first infectious visitor.
        rate: (active,) hazard units per unit of infectiousness and slot of overlap.
        first: (active + 1,) position of the first infectious visit of each active place.
        who: (visits,) infectious person.
        packed: (visits,) in one word, as they are read together: infectiousness of the person there, in units, above
            the first slot of the visit (8 bits) and the slot after its last (8 bits).
        summed: (visits + 1,) infectiousness summed over the visits before each visit.
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


@njit(cache=True, nogil=True)
def strengths(people, day, health, shed, since_infection, shedding, transmissibility, spared, purpose):
    """Return the infectiousness (n,) of infectious people today, 1 for the average person of a state with 1.

    Args:
        people: (n,) the infectious people.
        day: today.
        health: :class:`Health`.
        shed, since_infection: of the course.
        shedding: (quantiles,) infectiousness of a person by quantile, mean 1.
        transmissibility: (strains,) factor.
        spared: (people,) share by which the vaccine lowers infectiousness, or (0,).
        purpose: key of the draw of the quantile.
    """
    out = np.empty(people.size)
    for n in range(people.size):
        person = people[n]
        in_state = min(np.int64(day - health.since[person]), shed.shape[1] - 1)
        infected = min(np.int64(day - health.infected_on[person]), since_infection.size - 1)
        own = shedding[np.int64(uniform(purpose, person, np.int64(health.infections[person]) - 1) * shedding.size)]
        out[n] = shed[health.state[person], in_state] * since_infection[infected] * own
        out[n] *= transmissibility[health.strain[person]]
        if spared.size:
            out[n] *= 1.0 - spared[person]
    return out


@njit(cache=True, nogil=True)
def activate(infectious, strength, visits, slot, contact, air, unit):
    """Gather the visits of the infectious by place.

    Args:
        infectious: (n,) the infectious people.
        strength: (n,) their infectiousness.
        visits: the day, :class:`~citytwin.agents.presence.Visits`.
        slot: (places,) −1 everywhere; set for active places, to be cleared by :func:`deactivate`.
        contact: (places,) relative hazard by contact, see ``rates.place_rates``.
        air: (places,) relative hazard by the air of the room, or (0,).
        unit: hazard units per unit of infectiousness and slot of overlap where the relative hazard is 1.

    Returns:
        :class:`Sources`.
    """
    visit_first, visit_place, visit_start, visit_end = visits.first, visits.place, visits.start, visits.end
    household, column, group, give = visits.household, visits.column, visits.group, visits.give
    place_first, homes, altered = visits.place_first, visits.members.size - 1, visits.altered
    most = 0
    for person in infectious:
        most += visit_first[person + 1] - visit_first[person]
    # One walk in the order of people writes the visits as a list, which is then brought into the order of places.
    of = np.empty(most, np.int32)
    by = np.empty(most, np.int32)
    word = np.empty(most, np.int64)
    place = np.empty(most, np.int32)
    count = np.zeros(most, np.int32)
    n = active = work = 0
    for i in range(infectious.size):
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
            if q == last_place and word[n - 1] & 255 == visit_start[v]:
                word[n - 1] += np.int64(visit_end[v]) - np.int64(visit_start[v])
                continue
            shed = np.int64(min(strength[i] * own / SHEDDING_UNIT + 0.5, MAX_SHEDDING))
            if shed == 0:
                last_place = -1
                continue
            last_place = q
            if slot[q] < 0:
                slot[q] = active
                place[active] = q
                active += 1
                work += place_first[q + 1] - place_first[q]
            of[n] = slot[q]
            by[n] = person
            word[n] = shed << 16 | np.int64(visit_start[v]) << 8 | np.int64(visit_end[v])
            count[slot[q]] += 1
            n += 1
    first = np.empty(active + 1, np.int32)
    first[0] = 0
    for s in range(active):
        first[s + 1] = first[s] + count[s]
    who = np.empty(n, np.int32)
    packed = np.empty(n, np.int64)
    cursor = first.copy()
    for m in range(n):
        position = cursor[of[m]]
        cursor[of[m]] += 1
        who[position] = by[m]
        packed[position] = word[m]
    summed = np.empty(n + 1, np.int64)
    summed[0] = 0
    for m in range(n):
        summed[m + 1] = summed[m] + (packed[m] >> 16)
    rate = np.empty(active)
    curve = np.empty(active, np.int32)
    rows = 0
    for s in range(active):
        q = place[s]
        rate[s] = contact[q]
        if air.size:
            rate[s] += air[q] / visits.air[column[q]]
        rate[s] *= unit
        curve[s] = -1
        if first[s + 1] - first[s] >= CURVE_FROM:
            curve[s] = rows
            rows += 1
    curves = np.zeros((rows, SLOTS_PER_DAY + 1), np.int64)
    for s in range(active):
        row = curve[s]
        if row >= 0:
            for m in range(first[s], first[s + 1]):
                curves[row, packed[m] >> 8 & 255] += packed[m] >> 16
                curves[row, packed[m] & 255] -= packed[m] >> 16
            level = total = 0
            for t in range(SLOTS_PER_DAY + 1):
                level, total = level + curves[row, t], total + level
                curves[row, t] = total
    return Sources(slot, place[:active].copy(), rate, first, who, packed, summed, curve, curves, work)


@njit(cache=True, nogil=True)
def deactivate(sources):
    """Forget the active places."""
    for q in sources.place:
        sources.slot[q] = -1


@njit(cache=True, nogil=True)
def _longer(values):
    out = np.empty(2 * values.size, values.dtype)
    for n in range(values.size):
        out[n] = values[n]
    return out


@njit(cache=True, nogil=True)
def push(sources, visits, state, at_risk, susceptibility, resistance):
    """Take the hazards of today off, walking through the visitors of every active place.

    Args:
        sources: where there is infectiousness.
        visits: the day.
        state: (people,) states; those up to ``at_risk`` can be infected.
        at_risk: SUSCEPTIBLE, or RECOVERED where immunity is not perfect.
        susceptibility: (people,) factor on the hazard.
        resistance: (people,) changed in place.

    Returns:
        The people whose resistance ended, in no order to rely on.
    """
    first, packed = sources.first, sources.packed
    curve, curves, rate = sources.curve, sources.curves, sources.rate
    visitor, visitor_start, visitor_end = visits.visitor, visits.visitor_start, visits.visitor_end
    visit_first, visit_place, visit_start, visit_end = visits.first, visits.place, visits.start, visits.end
    household, column, group, take = visits.household, visits.column, visits.group, visits.take
    place_first, members, altered = visits.place_first, visits.members, visits.altered
    homes = members.size - 1
    plain = altered.max() == 0
    struck = np.empty(64, np.int32)
    n = 0
    for s in range(sources.place.size):
        q = sources.place[s]
        of_place = np.int64(column[q])
        for v in range(place_first[q], place_first[q + 1]):
            person = visitor[v]
            if state[person] > at_risk:
                continue
            own = 1.0
            if not plain:
                own = take[group[person], of_place + (GUEST if q < homes and household[person] != q else 0)]
                if own < 0.0:
                    continue
            start, end = visitor_start[v], visitor_end[v]
            row = curve[s]
            if row >= 0:
                exposure = curves[row, end] - curves[row, start]
            else:
                exposure = 0
                for m in range(first[s], first[s + 1]):
                    overlap = min(packed[m] & 255, np.int64(end)) - max(packed[m] >> 8 & 255, np.int64(start))
                    exposure += max(overlap, 0) * (packed[m] >> 16)
            if exposure == 0:
                continue
            hazard = np.int64(min(rate[s] * (own * susceptibility[person]) * exposure, MAX_HAZARD) + 0.5)
            before = resistance[person]
            resistance[person] = before - hazard
            if before > 0 and before <= hazard:
                if n == struck.size:
                    struck = _longer(struck)
                struck[n] = person
                n += 1
        if plain or q >= homes:
            continue
        # Members who would be elsewhere today and are at home instead.
        for person in range(members[q], members[q + 1]):
            if state[person] > at_risk or altered[group[person]] < 2:
                continue
            for v in range(visit_first[person], visit_first[person + 1]):
                other = visit_place[v]
                abroad = other < homes and other != q
                if take[group[person], np.int64(column[other]) + (GUEST if abroad else 0)] >= 0.0:
                    continue
                start, end = visit_start[v], visit_end[v]
                row = curve[s]
                if row >= 0:
                    exposure = curves[row, end] - curves[row, start]
                else:
                    exposure = 0
                    for m in range(first[s], first[s + 1]):
                        overlap = min(packed[m] & 255, np.int64(end)) - max(packed[m] >> 8 & 255, np.int64(start))
                        exposure += max(overlap, 0) * (packed[m] >> 16)
                own = take[group[person], of_place] * susceptibility[person]
                hazard = np.int64(min(rate[s] * own * exposure, MAX_HAZARD) + 0.5)
                before = resistance[person]
                resistance[person] = before - hazard
                if before > 0 and before <= hazard:
                    if n == struck.size:
                        struck = _longer(struck)
                    struck[n] = person
                    n += 1
    return struck[:n].copy()


@njit(cache=True, nogil=True)
def pull(sources, visits, state, at_risk, susceptibility, resistance, low, high):
    """Take the hazards of today off as :func:`push` does, walking through the visits of the people low … high − 1.

    Returns:
        The people whose resistance ended, in rising order.
    """
    first, packed = sources.first, sources.packed
    curve, curves, rate, slot = sources.curve, sources.curves, sources.rate, sources.slot
    visit_first, visit_place, visit_start, visit_end = visits.first, visits.place, visits.start, visits.end
    household, column, group, take = visits.household, visits.column, visits.group, visits.take
    altered = visits.altered
    homes = visits.members.size - 1
    struck = np.empty(64, np.int32)
    n = 0
    for person in range(low, high):
        if state[person] > at_risk:
            continue
        plain = altered[group[person]] == 0
        total = np.int64(0)
        for v in range(visit_first[person], visit_first[person + 1]):
            q = visit_place[v]
            own = 1.0
            if not plain:
                abroad = q < homes and household[person] != q
                own = take[group[person], np.int64(column[q]) + (GUEST if abroad else 0)]
                if own < 0.0:
                    q = household[person]
                    own = take[group[person], column[q]]
            s = slot[q]
            if s < 0:
                continue
            start, end = visit_start[v], visit_end[v]
            row = curve[s]
            if row >= 0:
                exposure = curves[row, end] - curves[row, start]
            else:
                exposure = 0
                for m in range(first[s], first[s + 1]):
                    overlap = min(packed[m] & 255, np.int64(end)) - max(packed[m] >> 8 & 255, np.int64(start))
                    exposure += max(overlap, 0) * (packed[m] >> 16)
            if exposure > 0:
                total += np.int64(min(rate[s] * (own * susceptibility[person]) * exposure, MAX_HAZARD) + 0.5)
        if total > 0:
            before = resistance[person]
            resistance[person] = before - total
            if before > 0 and before <= total:
                if n == struck.size:
                    struck = _longer(struck)
                struck[n] = person
                n += 1
    return struck[:n].copy()


@njit(cache=True, nogil=True)
def find_infectors(persons, day, sources, visits, susceptibility, purpose):
    """Return who infected each person of today and where, drawn in proportion to their hazards.

    First the visit is drawn. Within it the infectious visitor is found by going through all of them; where there are many
    (a curve), visitors are first drawn by infectiousness and kept with chance overlap over length of the visit.

    Args:
        persons: (n,) people infected today.
        day: today.
        sources, visits: of today.
        susceptibility: (people,) as for :func:`push`.
        purpose: key of the draws.

    Returns:
        infector (n,), place (n,), and the hazard (n,) of the day from these sources; −1, −1 and 0 where there was none.
    """
    first, packed, who = sources.first, sources.packed, sources.who
    curve, curves, rate, slot, summed_shed = sources.curve, sources.curves, sources.rate, sources.slot, sources.summed
    visit_first, visit_place, visit_start, visit_end = visits.first, visits.place, visits.start, visits.end
    household, column, group, take = visits.household, visits.column, visits.group, visits.take
    homes = visits.members.size - 1
    infector = np.empty(persons.size, np.int32)
    where = np.empty(persons.size, np.int32)
    totals = np.zeros(persons.size, np.int64)
    hazards = np.empty(SLOTS_PER_DAY, np.int64)
    exposures = np.empty(SLOTS_PER_DAY, np.int64)
    places = np.empty(SLOTS_PER_DAY, np.int32)
    for n in range(persons.size):
        person = persons[n]
        total = np.int64(0)
        visits_from = visit_first[person]
        for v in range(visits_from, visit_first[person + 1]):
            q = visit_place[v]
            abroad = q < homes and household[person] != q
            own = take[group[person], np.int64(column[q]) + (GUEST if abroad else 0)]
            if own < 0.0:
                q = household[person]
                own = take[group[person], column[q]]
            s = slot[q]
            exposure = np.int64(0)
            if s >= 0:
                start, end = np.int64(visit_start[v]), np.int64(visit_end[v])
                row = curve[s]
                if row >= 0:
                    exposure = curves[row, end] - curves[row, start]
                else:
                    for m in range(first[s], first[s + 1]):
                        overlap = min(packed[m] & 255, end) - max(packed[m] >> 8 & 255, start)
                        exposure += max(overlap, 0) * (packed[m] >> 16)
            i = v - visits_from
            places[i] = q
            exposures[i] = exposure
            hazards[i] = 0
            if exposure > 0:
                hazards[i] = np.int64(min(rate[s] * (own * susceptibility[person]) * exposure, MAX_HAZARD) + 0.5)
            total += hazards[i]
        infector[n] = where[n] = -1
        totals[n] = total
        if total == 0:
            continue
        target = uniform(purpose, person, day * DRAWS) * total
        i = 0
        summed = hazards[0]
        while summed <= target:
            i += 1
            summed += hazards[i]
        s = slot[places[i]]
        start, end = np.int64(visit_start[visits_from + i]), np.int64(visit_end[visits_from + i])
        where[n] = places[i]
        if curve[s] >= 0:
            before = summed_shed[first[s]]
            shed_here = summed_shed[first[s + 1]] - before
            for attempt in range(1, DRAWS - 1, 2):
                aim = uniform(purpose, person, day * DRAWS + attempt) * shed_here
                m, above = first[s], first[s + 1]
                while above - m > 1:
                    middle = (m + above) // 2
                    if summed_shed[middle] - before <= aim:
                        m = middle
                    else:
                        above = middle
                overlap = min(packed[m] & 255, end) - max(packed[m] >> 8 & 255, start)
                if overlap > uniform(purpose, person, day * DRAWS + attempt + 1) * (end - start):
                    infector[n] = who[m]
                    break
        if infector[n] < 0:
            left = (target - (summed - hazards[i])) / hazards[i] * exposures[i]
            for m in range(first[s], first[s + 1]):
                overlap = min(packed[m] & 255, end) - max(packed[m] >> 8 & 255, start)
                if overlap > 0:
                    infector[n] = who[m]
                    left -= overlap * (packed[m] >> 16)
                    if left < 0:
                        break
    return infector, where, totals
