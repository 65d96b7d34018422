"""Kernels behind R0: whom people meet in a week, and whom the cases of a chain of infections can still infect."""

import numpy as np
from numba import njit

from ...environment.randomness import uniform
from ...environment.schedules import SLOTS_PER_DAY
from .kernels import longer


@njit(cache=True, nogil=True)
def meet(index, visits, rate, sigma, most, purpose):
    """List whom each index person meets on a scheduled day, with the hazard for them.

    In places with more than ``most`` visits one visit in every k is looked at, starting from a random one.

    Args:
        index: (n,) index persons.
        visits: the day; exceptions are left out of account.
        rate: (places,) hazard of a pair per day of overlap.
        sigma: (people,) susceptibility.
        most: bound on the visits looked at in one place, about.
        purpose: key of the draw of the first visit looked at.

    Returns:
        first (n + 1,) position of each index person's entries; person met, hazard of the day, and k of each entry.
    """
    visit_first, visit_place, visit_start, visit_end = visits.first, visits.place, visits.start, visits.end
    visitor, visitor_start, visitor_end = visits.visitor, visits.visitor_start, visits.visitor_end
    place_first = visits.place_first
    first = np.zeros(index.size + 1, np.int64)
    met = np.empty(1024, np.int32)
    hazard = np.empty(1024)
    stride = np.empty(1024, np.int32)
    n = 0
    for i in range(index.size):
        person = index[i]
        for v in range(visit_first[person], visit_first[person + 1]):
            q = visit_place[v]
            low, high = np.int64(place_first[q]), np.int64(place_first[q + 1])
            step = max((high - low + most - 1) // most, 1)
            low += np.int64(uniform(purpose, person, v) * step)
            for u in range(low, high, step):
                start = max(np.int64(visit_start[v]), np.int64(visitor_start[u]))
                end = min(np.int64(visit_end[v]), np.int64(visitor_end[u]))
                amount = rate[q] * (end - start) / SLOTS_PER_DAY * sigma[visitor[u]]
                if amount > 0.0 and visitor[u] != person:
                    if n == met.size:
                        met, hazard, stride = longer(met), longer(hazard), longer(stride)
                    met[n] = visitor[u]
                    hazard[n] = amount
                    stride[n] = step
                    n += 1
        first[i + 1] = n
    return first, met[:n].copy(), hazard[:n].copy(), stride[:n].copy()


@njit(cache=True, nogil=True)
def relate(days, index, first, met, hazard, stride, lineage, people):
    """List whom each index person can infect, each once, with the hazards from the index person and its ancestors.

    Ancestors are its infector, the infector of that, and so on; they are left out themselves. People met in a place where
    only one visit in k is looked at stand for k others, whom no ancestor is taken to have met.

    Args:
        days: (types,) share of each day type.
        index: (generations, n) index persons of this generation and of those before it, the last one first.
        first: (generations, types, n + 1) position of each person's entries among those of all generations and types.
        met, hazard, stride: (entries,) from :func:`meet`.
        lineage: (generations, n) position of each index person, of its infector, … in their generation.
        people: number of people.

    Returns:
        position of the index person; person; hazards (entries, generations) per day of infectiousness from the index
        person, its infector, …; number of people that the entry stands for.
    """
    depth, n = lineage.shape
    total = np.zeros(people)
    size = 0
    for t in range(days.size):
        size += first[0, t, n] - first[0, t, 0]
    owner = np.empty(size, np.int32)
    person = np.empty(size, np.int32)
    hazards = np.zeros((size, depth))
    weight = np.ones(size)
    count = 0
    for i in range(n):
        begin = count
        for t in range(days.size):
            for m in range(first[0, t, i], first[0, t, i + 1]):
                other = met[m]
                known = False
                for back in range(1, depth):
                    known = known or other == index[back, lineage[back, i]]
                if known:
                    continue
                amount = days[t] * hazard[m]
                if stride[m] > 1:
                    hazards[count, 0] = amount
                    weight[count] = stride[m]
                elif total[other] > 0.0:
                    total[other] += amount
                    continue
                else:
                    total[other] = amount
                owner[count] = i
                person[count] = other
                count += 1
        for m in range(begin, count):
            if weight[m] == 1.0:
                hazards[m, 0] = total[person[m]]
                total[person[m]] = 0.0
        for back in range(1, depth):
            ancestor = lineage[back, i]
            for t in range(days.size):
                for m in range(first[back, t, ancestor], first[back, t, ancestor + 1]):
                    if stride[m] == 1:
                        total[met[m]] += days[t] * hazard[m]
            for m in range(begin, count):
                if weight[m] == 1.0:
                    hazards[m, back] = total[person[m]]
            for t in range(days.size):
                for m in range(first[back, t, ancestor], first[back, t, ancestor + 1]):
                    total[met[m]] = 0.0
    return owner[:count], person[:count], hazards[:count], weight[:count]
