"""Emergency departments as the kernel sees them: bays, beds behind them, and who waits at the door.

A patient takes a bay when the handover begins and keeps it for the stay. Then those to be admitted need a bed; while there
is none they board, that is they keep the bay. Bays that boarders hold are missing at the door: crowding.
"""

import numpy as np
from numba import njit

from ...environment.network.labels import NEVER
from .board import BED, HANDOVER_TIME, LEAST_TIME, NEAREST_HOSPITAL, NEXT, STAY

BAYS, USED, BEDS, BEDS_USED, DOOR, BOARDERS, DIVERT, OFFERS = range(8)
"""Columns of hospitals: bays (−1: not limited) and those in use; beds (−1: not limited) and those in use; units at the
door; boarders; number of units at the door from which on a full hospital sends others away; bits of what is offered."""
_BOARDING = 8  # column of the first boarder


@njit(cache=True, nogil=True)
def _push(heap_time, heap_task, first, size, time, task):
    """Put into a heap of ``size`` entries that begins at ``first``."""
    hole = size
    while hole > 0:
        parent = (hole - 1) >> 1
        if heap_time[first + parent] <= time:
            break
        heap_time[first + hole] = heap_time[first + parent]
        heap_task[first + hole] = heap_task[first + parent]
        hole = parent
    heap_time[first + hole] = time
    heap_task[first + hole] = task


@njit(cache=True, nogil=True)
def _pop(heap_time, heap_task, first, size):
    """Take the least off a heap of ``size`` entries and return its task; the caller has the time."""
    task = heap_task[first]
    size -= 1
    time, sunk = heap_time[first + size], heap_task[first + size]
    hole = 0
    while True:
        child = 2 * hole + 1
        if child >= size:
            break
        if child + 1 < size and heap_time[first + child + 1] < heap_time[first + child]:
            child += 1
        if heap_time[first + child] >= time:
            break
        heap_time[first + hole] = heap_time[first + child]
        heap_task[first + hole] = heap_task[first + child]
        hole = child
    heap_time[first + hole] = time
    heap_task[first + hole] = sunk
    return task


@njit(cache=True, nogil=True)
def _join(doors, kept, place, number, task):
    """Put a task last in a line of a hospital: that of a priority at the door, or of those who board."""
    before, after = -1, doors.line[place, number]
    while after >= 0:
        before, after = after, kept[after, NEXT]
    kept[task, NEXT] = -1
    if before < 0:
        doors.line[place, number] = task
    else:
        kept[before, NEXT] = task


@njit(cache=True, nogil=True)
def catch_up(doors, kept, given, place, now):
    """Let stays in bays and beds of a hospital end that end until now, in their order."""
    hospital, heap_time, heap_task = doors.hospital, doors.heap_time, doors.heap_task
    bays, beds = doors.heap_first[0, place], doors.heap_first[1, place]
    while True:
        in_bays = hospital[place, USED] - hospital[place, BOARDERS]
        bay = heap_time[bays] if in_bays > 0 else np.inf
        bed = heap_time[beds] if hospital[place, BEDS_USED] > 0 else np.inf
        if min(bay, bed) > now or min(bay, bed) == np.inf:
            return
        if bed <= bay:
            _pop(heap_time, heap_task, beds, hospital[place, BEDS_USED])
            hospital[place, BEDS_USED] -= 1
            admit_boarders(doors, kept, given, place, bed)
            continue
        task = _pop(heap_time, heap_task, bays, in_bays)
        if given[task, BED] > 0 and hospital[place, BEDS] >= 0:
            _join(doors, kept, place, _BOARDING, task)
            hospital[place, BOARDERS] += 1
            admit_boarders(doors, kept, given, place, bay)
        else:
            hospital[place, USED] -= 1


@njit(cache=True, nogil=True)
def admit_boarders(doors, kept, given, place, now):
    """Give free beds to those who board, first come first served."""
    hospital, line = doors.hospital, doors.line
    unlimited = hospital[place, BEDS] < 0
    while hospital[place, BOARDERS] > 0 and (unlimited or hospital[place, BEDS_USED] < hospital[place, BEDS]):
        task = line[place, _BOARDING]
        line[place, _BOARDING] = kept[task, NEXT]
        hospital[place, BOARDERS] -= 1
        hospital[place, USED] -= 1
        if unlimited:
            continue
        time = now + given[task, BED]
        _push(doors.heap_time, doors.heap_task, doors.heap_first[1, place], hospital[place, BEDS_USED], time, task)
        hospital[place, BEDS_USED] += 1


@njit(cache=True, nogil=True)
def into_bay(doors, given, place, task, now):
    """Give a patient a bay; where they are not limited nobody counts them."""
    hospital = doors.hospital
    if hospital[place, BAYS] < 0:
        return
    time = now + max(given[task, STAY], given[task, HANDOVER_TIME])
    in_bays = hospital[place, USED] - hospital[place, BOARDERS]
    _push(doors.heap_time, doors.heap_task, doors.heap_first[0, place], in_bays, time, task)
    hospital[place, USED] += 1


@njit(cache=True, nogil=True)
def has_room(hospital, place):
    """Return whether a bay is free."""
    return hospital[place, BAYS] < 0 or hospital[place, USED] < hospital[place, BAYS]


@njit(cache=True, nogil=True)
def join_door(doors, kept, place, task, priority):
    """Let a unit wait at the door behind those with the same priority."""
    _join(doors, kept, place, priority, task)
    doors.hospital[place, DOOR] += 1


@njit(cache=True, nogil=True)
def first_at_door(doors, kept, place):
    """Take the task off the door whose turn it is."""
    priority = 0
    while doors.line[place, priority] < 0:
        priority += 1
    task = doors.line[place, priority]
    doors.line[place, priority] = kept[task, NEXT]
    doors.hospital[place, DOOR] -= 1
    return task


@njit(cache=True, nogil=True)
def door_next(doors, place, now):
    """Return when a hospital must be looked at again, if somebody is at the door: now or when the next stay ends."""
    hospital = doors.hospital
    if hospital[place, DOOR] == 0:
        return np.inf
    if has_room(hospital, place):
        return now
    in_bays = hospital[place, USED] - hospital[place, BOARDERS]
    bay = doors.heap_time[doors.heap_first[0, place]] if in_bays > 0 else np.inf
    boarded = hospital[place, BOARDERS] > 0 and hospital[place, BEDS_USED] > 0
    bed = doors.heap_time[doors.heap_first[1, place]] if boarded else np.inf
    return min(bay, bed)


@njit(cache=True, nogil=True)
def choose_hospital(doors, kept, given, to_place, mode, node, specialty, wanted, rule, now):
    """Return the hospital for a patient at a node, −1 if none can be reached, and whether a nearer one was passed."""
    hospital = doors.hospital
    stations = to_place.shape[2] - len(hospital)
    if wanted >= 0:
        return (wanted if to_place[mode, node, stations + wanted] < NEVER else -1), False
    nearest, near, best, least = -1, NEVER, -1, np.inf
    for offering in range(2):  # if none offers what is needed, any will do
        for place in range(len(hospital)):
            away = to_place[mode, node, stations + place]
            if away >= NEVER or (offering == 0 and specialty > 0 and not hospital[place, OFFERS] >> specialty & 1):
                continue
            if away < near:
                nearest, near = place, away
            bays = hospital[place, BAYS]
            key = 0.001 * away
            if bays >= 0 and rule != NEAREST_HOSPITAL:
                catch_up(doors, kept, given, place, now)
                if hospital[place, USED] >= bays:
                    if rule == LEAST_TIME:
                        key += (hospital[place, DOOR] + 1) * doors.mean_stay[place] / max(bays, 1)
                    elif hospital[place, DOOR] >= hospital[place, DIVERT]:
                        continue
            if key < least:
                best, least = place, key
        if nearest >= 0:
            break
    if rule == NEAREST_HOSPITAL or best < 0:
        best = nearest
    return best, best != nearest
