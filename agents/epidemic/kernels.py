"""Kernels of contagion along visits, in fixed-point numbers.

Everybody has a *resistance*: a Sellke threshold, drawn once for each spell of being at risk. Each visit to a place with
infectious visitors takes its hazard off, which is multiplied by the person's susceptibility of the day. Who has none left
is infected. The law is that of a draw per contact (Sellke 1983, J. Appl. Probab. 20:390-394), but no random number is
drawn in the loop.

Infectiousness and hazards are integers, so sums depend neither on their order nor on how they are made: by place or by
person, pair by pair or from a cumulative curve, by one thread or by many.
"""

import numpy as np
from numba import njit

from ...environment.randomness import uniform
from ...environment.schedules import SLOTS_PER_DAY
from ..presence import GUEST

HAZARD_UNIT = 2.0**-40
"""Hazard and resistance are counted in this unit; a hazard of 1 infects with chance 1 − 1/e."""
MAX_HAZARD = 2.0**55
"""Most that one visit can take off, in units (a hazard of 32,768), so that no sum of a day can overflow."""
DRAWS = 128
"""Numbers that a draw of an infector may use up."""


@njit(cache=True, nogil=True)
def longer(values):
    """Return the values at the beginning of an array of twice the length."""
    out = np.empty(2 * values.size, values.dtype)
    for n in range(values.size):
        out[n] = values[n]
    return out


@njit(cache=True, nogil=True)
def push(sources, visits, state, at_risk, susceptibility, resistance, low, high):
    """Take the hazards of today off, walking through the visitors of every active place.

    Args:
        sources: where there is infectiousness.
        visits: the day.
        state: (people,) states; those up to ``at_risk`` can be infected.
        at_risk: SUSCEPTIBLE, or RECOVERED where immunity is not perfect.
        susceptibility: (people,) factor on the hazard.
        resistance: (people,) changed in place.
        low, high: only the people low … high − 1 are looked at.

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
            person = visitor[v]  # visitors are in the order of people
            if person < low or state[person] > at_risk:
                continue
            if person >= high:
                break
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
                    struck = longer(struck)
                struck[n] = person
                n += 1
        if plain or q >= homes:
            continue
        # Members who would be elsewhere today and are at home instead.
        for person in range(max(np.int64(members[q]), low), min(np.int64(members[q + 1]), high)):
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
                        struck = longer(struck)
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
                    struck = longer(struck)
                struck[n] = person
                n += 1
    return struck[:n].copy()


@njit(cache=True, nogil=True)
def find_infectors(persons, low, high, day, sources, visits, susceptibility, purpose):
    """Return who infected the people low … high − 1 of today and where, drawn in proportion to their hazards.

    First the visit is drawn. Within it the infectious visitor is found by going through all of them; where there are many
    (a curve), visitors are first drawn by infectiousness and kept with chance overlap over length of the visit.

    Args:
        persons: people infected today.
        low, high: which of them, n in all.
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
    infector = np.empty(high - low, np.int32)
    where = np.empty(high - low, np.int32)
    totals = np.zeros(high - low, np.int64)
    hazards = np.empty(SLOTS_PER_DAY, np.int64)
    exposures = np.empty(SLOTS_PER_DAY, np.int64)
    places = np.empty(SLOTS_PER_DAY, np.int32)
    for n in range(high - low):
        person = persons[low + n]
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
            shed_here = summed_shed[first[s + 1] - 1]
            for attempt in range(1, DRAWS - 1, 2):
                aim = uniform(purpose, person, day * DRAWS + attempt) * shed_here
                m, above = first[s], first[s + 1] - 1
                while m < above:
                    middle = (m + above) // 2
                    if summed_shed[middle] <= aim:
                        m = middle + 1
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
