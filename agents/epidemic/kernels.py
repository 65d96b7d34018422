"""Kernels of the epidemic: contagion along visits in fixed-point numbers.

Everybody susceptible has a *resistance*: a Sellke threshold, drawn once, divided by their susceptibility. Each visit to a
place with infectious visitors takes its hazard off. Who has none left is infected. The law is that of a draw per contact
(Sellke 1983, J. Appl. Probab. 20:390-394), but no random number is drawn in the loop.

Infectiousness and hazards are integers, so sums depend neither on their order nor on how they are made: by place or by
person, pair by pair or from a cumulative curve, by one thread or by many.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...environment.randomness import uniform
from ...environment.schedules import SLOTS_PER_DAY
from ..presence import GUEST, HOME

SUSCEPTIBLE, EXPOSED, INFECTIOUS, RECOVERED = 0, 1, 2, 3

SHEDDING_UNIT = 2.0**-20
"""Infectiousness is counted in this unit; 1 is that of the average infectious person."""
HAZARD_UNIT = 2.0**-40
"""Hazard and resistance are counted in this unit; a hazard of 1 infects with chance 1 − 1/e."""
MAX_HAZARD = 2.0**55
"""Most that one visit can take off, in units (a hazard of 32,768), so that no sum of a day can overflow."""
MAX_RESISTANCE = 2**61
"""Resistance of the unsusceptible, in units."""
CURVE_FROM = 200
"""Places with more pairs of a visit and an infectious visit than this get a cumulative curve instead of a test a pair."""
DRAWS = 128
"""Numbers that a draw of an infector may use up."""


class Sources(NamedTuple):
    """Where there is infectiousness today, by active place: compressed sparse rows of infectious visits.

    Attributes:
        slot: (places,) number of the active place, −1 where there is no infectiousness.
        place: (active,) the active places, in order of their first infectious visitor.
        rate: (active,) hazard units per unit of infectiousness and slot of overlap.
        first: (active + 1,) position of the first infectious visit of each active place.
        who, start, end: (visits,) infectious person, slots of the visit.
        shed: (visits,) infectiousness of the person there, in units.
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
    start: NDArray[np.uint8]
    end: NDArray[np.uint8]
    shed: NDArray[np.int64]
    summed: NDArray[np.int64]
    curve: NDArray[np.int32]
    curves: NDArray[np.int64]
    work: int


@njit(cache=True, nogil=True)
def draw_days(cumulative, u):
    """Return the number of days at quantile u of a discrete law, given P(days <= n) for n = 0, 1, …"""
    days = 0
    while days < cumulative.size - 1 and u >= cumulative[days]:
        days += 1
    return days


@njit(cache=True, nogil=True)
def draw_resistance(purpose, susceptibility, age, spell):
    """Return the resistance (people,) of one susceptible spell: −ln(u) divided by the susceptibility of the age."""
    resistance = np.empty(age.size, np.int64)
    for person in range(age.size):
        sigma = susceptibility[age[person]]
        threshold = -np.log(uniform(purpose, person, spell)) / HAZARD_UNIT
        if sigma * MAX_RESISTANCE > threshold:
            # At least one unit, as nobody is infected without contact.
            resistance[person] = max(np.int64(threshold / sigma + 0.5), 1)
        else:
            resistance[person] = MAX_RESISTANCE
    return resistance


@njit(cache=True, nogil=True)
def expose(persons, day, health, change, latent, purpose):
    """Infect people on a day: they become infectious on the day after their latent days."""
    for person in persons:
        health[person] = EXPOSED
        change[person] = day + 1 + draw_days(latent, uniform(purpose, person, 0))


@njit(cache=True, nogil=True)
def progress(day, cases, health, change, infectious_days, purpose):
    """Make the transitions that are due at the start of a day.

    A person infected on day t is infectious on days t + L + 1 … t + L + D: exactly D days.

    Args:
        day: today.
        cases: (n,) the people who are exposed or infectious.
        health, change: (people,) state and day of the next transition, changed in place.
        infectious_days: cumulative law of D.
        purpose: key of the draw of D.

    Returns:
        Who is still exposed or infectious, who of them is infectious, in the order of ``cases``; number of people who
        became infectious and who recovered.
    """
    kept = np.empty(cases.size, np.int32)
    infectious = np.empty(cases.size, np.int32)
    n_kept = n_infectious = began = ended = 0
    for person in cases:
        if health[person] == EXPOSED and change[person] == day:
            health[person] = INFECTIOUS
            change[person] = day + draw_days(infectious_days, uniform(purpose, person, 0))
            began += 1
        if health[person] == INFECTIOUS:
            if change[person] == day:
                health[person] = RECOVERED
                ended += 1
                continue
            infectious[n_infectious] = person
            n_infectious += 1
        kept[n_kept] = person
        n_kept += 1
    return kept[:n_kept].copy(), infectious[:n_infectious].copy(), began, ended


@njit(cache=True, nogil=True)
def activate(infectious, visits, slot, kind_rate, crowding, shedding, purpose):
    """Gather the visits of the infectious by place.

    Args:
        infectious: (n,) the infectious people.
        visits: the day, :class:`~citytwin.agents.presence.Visits`.
        slot: (places,) −1 everywhere; set for active places, to be cleared by :func:`deactivate`.
        kind_rate: (kinds,) hazard units per unit of infectiousness and slot of overlap in a small place of the kind.
        crowding: (places − homes,) factor by the size of the place, see ``transmission.crowding``.
        shedding: (quantiles,) infectiousness of a person by quantile, mean 1.
        purpose: key of the draw of the infectiousness.

    Returns:
        :class:`Sources`.
    """
    visit_first, visit_place, visit_start, visit_end = visits.first, visits.place, visits.start, visits.end
    household, kind, group, effect = visits.household, visits.kind, visits.group, visits.effect
    place_first, homes, altered = visits.place_first, visits.members.size - 1, visits.altered
    most = 0
    for person in infectious:
        most += visit_first[person + 1] - visit_first[person]
    # One walk in the order of people writes the visits as a list, which is then brought into the order of places.
    of = np.empty(most, np.int32)
    by = np.empty(most, np.int32)
    begin = np.empty(most, np.uint8)
    until = np.empty(most, np.uint8)
    units = np.empty(most, np.int64)
    place = np.empty(most, np.int32)
    count = np.zeros(most, np.int32)
    n = active = work = 0
    for person in infectious:
        strength = shedding[np.int64(uniform(purpose, person, 0) * shedding.size)]
        plain = altered[group[person]] == 0
        last_place = -1
        for v in range(visit_first[person], visit_first[person + 1]):
            q = visit_place[v]
            own = 1.0
            if not plain:
                abroad = q < homes and household[person] != q
                own = effect[group[person], GUEST if abroad else np.int64(kind[q])]
                if own == 0.0:
                    q = household[person]
                    own = effect[group[person], HOME]
            if q == last_place and until[n - 1] == visit_start[v]:
                until[n - 1] = visit_end[v]
                continue
            last_place = q
            if slot[q] < 0:
                slot[q] = active
                place[active] = q
                active += 1
                work += place_first[q + 1] - place_first[q]
            of[n] = slot[q]
            by[n] = person
            begin[n] = visit_start[v]
            until[n] = visit_end[v]
            units[n] = np.int64(strength * own / SHEDDING_UNIT + 0.5)
            count[slot[q]] += 1
            n += 1
    first = np.empty(active + 1, np.int32)
    first[0] = 0
    for s in range(active):
        first[s + 1] = first[s] + count[s]
    who = np.empty(n, np.int32)
    start = np.empty(n, np.uint8)
    end = np.empty(n, np.uint8)
    shed = np.empty(n, np.int64)
    cursor = first.copy()
    for m in range(n):
        position = cursor[of[m]]
        cursor[of[m]] += 1
        who[position] = by[m]
        start[position] = begin[m]
        end[position] = until[m]
        shed[position] = units[m]
    summed = np.empty(n + 1, np.int64)
    summed[0] = 0
    for m in range(n):
        summed[m + 1] = summed[m] + shed[m]
    rate = np.empty(active)
    curve = np.empty(active, np.int32)
    rows = 0
    for s in range(active):
        q = place[s]
        rate[s] = kind_rate[kind[q]]
        if q >= homes:
            rate[s] *= crowding[q - homes]
        curve[s] = -1
        if np.int64(first[s + 1] - first[s]) * (place_first[q + 1] - place_first[q]) > CURVE_FROM:
            curve[s] = rows
            rows += 1
    curves = np.zeros((rows, SLOTS_PER_DAY + 1), np.int64)
    for s in range(active):
        row = curve[s]
        if row >= 0:
            for m in range(first[s], first[s + 1]):
                curves[row, start[m]] += shed[m]
                curves[row, end[m]] -= shed[m]
            level = total = 0
            for t in range(SLOTS_PER_DAY + 1):
                level, total = level + curves[row, t], total + level
                curves[row, t] = total
    return Sources(slot, place[:active].copy(), rate, first, who, start, end, shed, summed, curve, curves, work)


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
def push(sources, visits, health, resistance):
    """Take the hazards of today off, walking through the visitors of every active place.

    Returns:
        The people whose resistance ended, in no order to rely on.
    """
    first, begin, until, shed = sources.first, sources.start, sources.end, sources.shed
    curve, curves, rate = sources.curve, sources.curves, sources.rate
    visitor, visitor_start, visitor_end = visits.visitor, visits.visitor_start, visits.visitor_end
    visit_first, visit_place, visit_start, visit_end = visits.first, visits.place, visits.start, visits.end
    household, kind, group, effect = visits.household, visits.kind, visits.group, visits.effect
    place_first, members, altered = visits.place_first, visits.members, visits.altered
    homes = members.size - 1
    plain = altered.max() == 0
    struck = np.empty(64, np.int32)
    n = 0
    for s in range(sources.place.size):
        q = sources.place[s]
        column = np.int64(kind[q])
        for v in range(place_first[q], place_first[q + 1]):
            person = visitor[v]
            if health[person] != SUSCEPTIBLE:
                continue
            own = 1.0
            if not plain:
                own = effect[group[person], GUEST if q < homes and household[person] != q else column]
                if own == 0.0:
                    continue
            start, end = visitor_start[v], visitor_end[v]
            row = curve[s]
            if row >= 0:
                exposure = curves[row, end] - curves[row, start]
            else:
                exposure = 0
                for m in range(first[s], first[s + 1]):
                    overlap = min(np.int64(until[m]), np.int64(end)) - max(np.int64(begin[m]), np.int64(start))
                    exposure += max(overlap, 0) * shed[m]
            if exposure == 0:
                continue
            hazard = np.int64(min(rate[s] * own * exposure, MAX_HAZARD) + 0.5)
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
            if health[person] != SUSCEPTIBLE or altered[group[person]] < 2:
                continue
            for v in range(visit_first[person], visit_first[person + 1]):
                other = visit_place[v]
                abroad = other < homes and other != q
                if effect[group[person], GUEST if abroad else np.int64(kind[other])] > 0.0:
                    continue
                start, end = visit_start[v], visit_end[v]
                row = curve[s]
                if row >= 0:
                    exposure = curves[row, end] - curves[row, start]
                else:
                    exposure = 0
                    for m in range(first[s], first[s + 1]):
                        overlap = min(np.int64(until[m]), np.int64(end)) - max(np.int64(begin[m]), np.int64(start))
                        exposure += max(overlap, 0) * shed[m]
                hazard = np.int64(min(rate[s] * effect[group[person], HOME] * exposure, MAX_HAZARD) + 0.5)
                before = resistance[person]
                resistance[person] = before - hazard
                if before > 0 and before <= hazard:
                    if n == struck.size:
                        struck = _longer(struck)
                    struck[n] = person
                    n += 1
    return struck[:n].copy()


@njit(cache=True, nogil=True)
def pull(sources, visits, health, resistance, low, high):
    """Take the hazards of today off, walking through the visits of the susceptible people low … high − 1.

    Returns:
        The people whose resistance ended, in rising order.
    """
    first, begin, until, shed = sources.first, sources.start, sources.end, sources.shed
    curve, curves, rate, slot = sources.curve, sources.curves, sources.rate, sources.slot
    visit_first, visit_place, visit_start, visit_end = visits.first, visits.place, visits.start, visits.end
    household, kind, group, effect = visits.household, visits.kind, visits.group, visits.effect
    altered = visits.altered
    homes = visits.members.size - 1
    struck = np.empty(64, np.int32)
    n = 0
    for person in range(low, high):
        if health[person] != SUSCEPTIBLE:
            continue
        plain = altered[group[person]] == 0
        total = np.int64(0)
        for v in range(visit_first[person], visit_first[person + 1]):
            q = visit_place[v]
            own = 1.0
            if not plain:
                abroad = q < homes and household[person] != q
                own = effect[group[person], GUEST if abroad else np.int64(kind[q])]
                if own == 0.0:
                    q = household[person]
                    own = effect[group[person], HOME]
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
                    overlap = min(np.int64(until[m]), np.int64(end)) - max(np.int64(begin[m]), np.int64(start))
                    exposure += max(overlap, 0) * shed[m]
            total += np.int64(min(rate[s] * own * exposure, MAX_HAZARD) + 0.5)
        if total > 0:
            before = resistance[person]
            resistance[person] = before - total
            if before <= total:
                if n == struck.size:
                    struck = _longer(struck)
                struck[n] = person
                n += 1
    return struck[:n].copy()


@njit(cache=True, nogil=True)
def find_infectors(persons, day, sources, visits, purpose):
    """Return who infected each person of today and where, drawn in proportion to their hazards.

    First the visit is drawn. Within it the infectious visitor is found by going through all of them; where there are many
    (a curve), visitors are first drawn by infectiousness and kept with chance overlap over length of the visit.

    Args:
        persons: (n,) people infected today.
        day: today.
        sources, visits: of today.
        purpose: key of the draws.

    Returns:
        infector (n,) and place (n,).
    """
    first, begin, until, shed, who = sources.first, sources.start, sources.end, sources.shed, sources.who
    curve, curves, rate, slot, summed_shed = sources.curve, sources.curves, sources.rate, sources.slot, sources.summed
    visit_first, visit_place, visit_start, visit_end = visits.first, visits.place, visits.start, visits.end
    household, kind, group, effect = visits.household, visits.kind, visits.group, visits.effect
    homes = visits.members.size - 1
    infector = np.empty(persons.size, np.int32)
    where = np.empty(persons.size, np.int32)
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
            own = effect[group[person], GUEST if abroad else np.int64(kind[q])]
            if own == 0.0:
                q = household[person]
                own = effect[group[person], HOME]
            s = slot[q]
            exposure = np.int64(0)
            if s >= 0:
                start, end = np.int64(visit_start[v]), np.int64(visit_end[v])
                row = curve[s]
                if row >= 0:
                    exposure = curves[row, end] - curves[row, start]
                else:
                    for m in range(first[s], first[s + 1]):
                        overlap = min(np.int64(until[m]), end) - max(np.int64(begin[m]), start)
                        exposure += max(overlap, 0) * shed[m]
            i = v - visits_from
            places[i] = q
            exposures[i] = exposure
            hazards[i] = np.int64(min(rate[s] * own * exposure, MAX_HAZARD) + 0.5) if exposure > 0 else 0
            total += hazards[i]
        target = uniform(purpose, person, day * DRAWS) * total
        i = 0
        summed = hazards[0]
        while summed <= target:
            i += 1
            summed += hazards[i]
        s = slot[places[i]]
        start, end = np.int64(visit_start[visits_from + i]), np.int64(visit_end[visits_from + i])
        where[n] = places[i]
        infector[n] = -1
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
                overlap = min(np.int64(until[m]), end) - max(np.int64(begin[m]), start)
                if overlap > uniform(purpose, person, day * DRAWS + attempt + 1) * (end - start):
                    infector[n] = who[m]
                    break
        if infector[n] < 0:
            left = (target - (summed - hazards[i])) / hazards[i] * exposures[i]
            for m in range(first[s], first[s + 1]):
                overlap = min(np.int64(until[m]), end) - max(np.int64(begin[m]), start)
                if overlap > 0 and shed[m] > 0:
                    infector[n] = who[m]
                    left -= overlap * shed[m]
                    if left < 0:
                        break
    return infector, where
