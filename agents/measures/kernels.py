"""Kernels of the measures: one pass over people or visits each. The twins in plain Python are in the tests."""

import numpy as np
from numba import njit

from ...environment.randomness import uniform
from ...environment.schedules import SLOTS_PER_DAY
from ..presence import AWAY, GUEST, HOME, ISOLATED, QUARANTINED

DEAD = 2
"""Number of the state of the dead in the column ``health``."""

SYMPTOMATIC, CONTACT, RANDOM, NO_REASON, EXCLUDED = range(5)
"""Why a person is tested, in the order in which tests are given; no reason; may not be tested today."""

NOT_TOLD = 255
"""Stands for a person who is not told of a contact where a number of days would."""


@njit(cache=True, nogil=True)
def seek_test(day, followers, health, ill_since, dates, retest_after, chances, keys):
    """Return why each person is tested today.

    Args:
        day: today.
        followers: bool (people,) who may be tested.
        health, ill_since: columns of the epidemic (people,).
        dates: five columns (people,) of days: latest test, its result, latest positive result, told of a contact, and
            told the time before, as contacts of today have been told already.
        retest_after: days after a positive result without a test.
        chances: of the symptomatic, of contacts told yesterday, of everybody.
        keys: of the draws in the same order.

    Returns:
        uint8 (people,): SYMPTOMATIC, CONTACT, RANDOM, NO_REASON or EXCLUDED.
    """
    tested_on, result_on, positive_on, traced_on, traced_before = dates
    symptomatic, contacts, random = chances
    reason = np.empty(health.size, np.uint8)
    for person in range(health.size):
        if (
            not followers[person]
            or health[person] == DEAD
            or tested_on[person] == day
            or result_on[person] > day
            or (positive_on[person] >= 0 and day - positive_on[person] < retest_after)
        ):
            reason[person] = EXCLUDED
            continue
        reason[person] = NO_REASON
        told = traced_before[person] if traced_on[person] == day else traced_on[person]
        if ill_since[person] >= 0 and symptomatic > 0.0 and uniform(keys[0], person, day) < symptomatic:
            reason[person] = SYMPTOMATIC
        elif contacts > 0.0 and told == day - 1 >= 0 and uniform(keys[1], person, day) < contacts:
            reason[person] = CONTACT
        elif random > 0.0 and uniform(keys[2], person, day) < random:
            reason[person] = RANDOM
    return reason


@njit(cache=True, nogil=True)
def wanted_status(day, isolated_until, quarantined_until, status):
    """Return whose status has to change by the days of their isolation and quarantine.

    Others may keep people at home for reasons of their own; so only those are freed whose days end today.

    Args:
        day: today.
        isolated_until, quarantined_until: (people,) first day without, or a day gone by.
        status: uint8 (people,) as presence has it.

    Returns:
        Those whose isolation and whose quarantine ends, those to isolate and those to quarantine, each in rising order.
    """
    rows = np.empty((4, status.size), np.int32)
    count = np.zeros(4, np.int64)
    for person in range(status.size):
        isolated, quarantined = isolated_until[person] - day, quarantined_until[person] - day
        if isolated < 0 and quarantined < 0:
            continue
        now = status[person]
        if isolated == 0:
            rows[0, count[0]] = person
            count[0] += 1
        if quarantined == 0:
            rows[1, count[1]] = person
            count[1] += 1
        if isolated > 0:
            if now not in (ISOLATED, AWAY):
                rows[2, count[2]] = person
                count[2] += 1
        elif quarantined > 0 and now not in (QUARANTINED, AWAY):
            rows[3, count[3]] = person
            count[3] += 1
    return (
        rows[0, : count[0]].copy(),
        rows[1, : count[1]].copy(),
        rows[2, : count[2]].copy(),
        rows[3, : count[3]].copy(),
    )


@njit(cache=True, nogil=True)
def replay(cases, interviewed, day, past, visits, crowding, share, delay, app, slots, tell, purpose, meeting):
    """Find the contacts of cases on one past day by replaying visits, and note after how many days they are told.

    A contact is somebody who was in the same place for at least ``slots`` quarters of an hour of the day together. In
    crowded shops and venues people meet only some of those present, as they infect only some: one draw for the pair and the
    day tells whether they did. Who gives off and takes in nothing even at home, as people in hospital and the dead, was
    with nobody. One draw for each case and contact decides whether the contact is found, whatever the number of meetings;
    so a larger share finds the same people and more.

    Args:
        cases: int64 (n,) persons.
        interviewed: bool (n,) who of them names contacts; the others have their app at most.
        day: day of the interview, on which the draws depend.
        past, visits: the past day, its :class:`~citytwin.agents.presence.Visits`.
        crowding: float64 (places − homes,) chance that two people present meet, see ``rates.crowding``.
        share: float64 (COLUMNS,) share of contacts who are found, by kind of the place, and of guests in homes.
        delay: uint8 (COLUMNS,) days until they are told.
        app: bool (people,) who has the app, or bool (0,) if there is none.
        slots: least time together.
        tell: uint8 (people,) fewest days until told, NOT_TOLD for nobody; written.
        purpose, meeting: keys of the draws of contacts found, and of pairs who meet.
    """
    visit_first, visit_place, visit_start, visit_end = visits.first, visits.place, visits.start, visits.end
    place_first, visitor, began, left = visits.place_first, visits.visitor, visits.visitor_start, visits.visitor_end
    household, members, kind = visits.household, visits.members, visits.kind
    column, group, give, take, altered = visits.column, visits.group, visits.give, visits.take, visits.altered
    homes, people = members.size - 1, household.size
    where = np.empty(SLOTS_PER_DAY, np.int64)
    start = np.empty(SLOTS_PER_DAY, np.int64)
    end = np.empty(SLOTS_PER_DAY, np.int64)
    for i in range(cases.size):
        case = cases[i]
        has_app = app.size > 0 and app[case]
        if not interviewed[i] and not has_app:
            continue
        home = household[case]
        redirected = altered[group[case]] == 2
        if redirected and give[group[case], column[home]] == 0.0 == take[group[case], column[home]]:
            continue
        n = 0
        for v in range(visit_first[case], visit_first[case + 1]):
            q = visit_place[v]
            if redirected and q != home and take[group[case], column[q] + (GUEST if q < homes else 0)] < 0.0:
                q = home
            where[n], start[n], end[n] = q, visit_start[v], visit_end[v]
            n += 1
        for j in range(n):
            q = where[j]
            seen = False
            for k in range(j):
                seen = seen or where[k] == q
            abroad = GUEST if q < homes else np.int64(kind[q])
            if seen or (not has_app and share[abroad] == 0.0 and (q != home or share[HOME] == 0.0)):
                continue
            if q < homes:
                # Members are there whenever they are nowhere else, which only their own days tell.
                setting = HOME if q == home else GUEST
                for other in range(members[q], members[q + 1]):
                    if other == case:
                        continue
                    sent_home = altered[group[other]] == 2
                    if sent_home and give[group[other], column[q]] == 0.0 == take[group[other], column[q]]:
                        continue
                    together = np.int64(0)
                    for v in range(visit_first[other], visit_first[other + 1]):
                        at = visit_place[v]
                        if at != q:
                            out = column[at] + (GUEST if at < homes else 0)
                            if not sent_home or take[group[other], out] >= 0.0:
                                continue
                        for k in range(j, n):
                            if where[k] == q:
                                shared = min(end[k], np.int64(visit_end[v])) - max(start[k], np.int64(visit_start[v]))
                                together += max(shared, 0)
                    if together >= slots:
                        told = np.int64(NOT_TOLD)
                        chance = share[setting] if interviewed[i] else 0.0
                        if chance > 0.0 and uniform(purpose, case * people + other, day) < chance:
                            told = np.int64(delay[setting])
                        if has_app and app[other]:
                            told = np.int64(0)
                        tell[other] = min(told, np.int64(tell[other]))
            v = place_first[q]
            while v < place_first[q + 1]:
                other = int(visitor[v])
                together = np.int64(0)
                while v < place_first[q + 1] and visitor[v] == other:
                    for k in range(j, n):
                        if where[k] == q:
                            shared = min(end[k], np.int64(left[v])) - max(start[k], np.int64(began[v]))
                            together += max(shared, 0)
                    v += 1
                if together < slots or other == case or household[other] == q:
                    continue
                if altered[group[other]] == 2 and take[group[other], column[q] + (GUEST if q < homes else 0)] < 0.0:
                    continue
                if q >= homes and crowding[q - homes] < 1.0:
                    low, high = min(np.int64(case), np.int64(other)), max(np.int64(case), np.int64(other))
                    if uniform(meeting, low * people + high, past) >= crowding[q - homes]:
                        continue
                told = np.int64(NOT_TOLD)
                chance = share[abroad] if interviewed[i] else 0.0
                if chance > 0.0 and uniform(purpose, case * people + other, day) < chance:
                    told = np.int64(delay[abroad])
                if has_app and app[other]:
                    told = np.int64(0)
                tell[other] = min(told, np.int64(tell[other]))


@njit(cache=True, nogil=True)
def next_in_line(queue, head, willing, doses, able, number):
    """Choose who gets a first dose.

    Args:
        queue: int32 (people,) everybody in the order of the plan.
        head: everybody before it has been served, or is not willing.
        willing: bool (people,).
        doses: uint8 (people,) doses had.
        able: bool (people,) who can come today.
        number: of doses there are.

    Returns:
        The people (n,), n <= number, in the order of the queue, and the new head.
    """
    chosen = np.empty(min(number, queue.size), np.int64)
    n = 0
    while head < queue.size and (doses[queue[head]] > 0 or not willing[queue[head]]):
        head += 1
    for place in range(head, queue.size):
        if n == number:
            break
        person = queue[place]
        if doses[person] == 0 and willing[person] and able[person]:
            chosen[n] = person
            n += 1
    return chosen[:n].copy(), head


@njit(cache=True, nogil=True)
def protect(day, level, since, efficacy, all_or_nothing, purpose, infection, severe, transmission):
    """Write the protection that vaccinated people have today.

    Args:
        day: today.
        level: uint8 (people,) number of the dose that protects, 0 for none.
        since: int32 (people,) day from which on it does.
        efficacy: float32 (3, doses + 1, days) protection against infection, severe disease and transmission by dose and
            day since it began; the last day holds on.
        all_or_nothing: whether efficacy against infection is the chance of full protection.
        purpose: key of the draw of that, one a person.
        infection, severe, transmission: float32 (people,), written.
    """
    last = efficacy.shape[2] - 1
    for person in range(level.size):
        dose = level[person]
        if dose == 0:
            continue
        age = min(day - since[person], last)
        against = efficacy[0, dose, age]
        if all_or_nothing:
            infection[person] = 1.0 if uniform(purpose, person, 0) < against else 0.0
        else:
            infection[person] = against
        severe[person] = efficacy[1, dose, age]
        transmission[person] = efficacy[2, dose, age]
