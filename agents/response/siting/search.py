"""Greedy choice and swaps from several starts."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ....environment.randomness import key, uniform
from .kernels import (
    Cover,
    cover_by_swaps,
    cover_greedily,
    median_by_swaps,
    median_greedily,
    place,
    worth_of,
)
from .plan import Task

STARTS = 8
"""Searches after the greedy one, each from the best plan so far with some units moved by chance; assumed."""
MOVED = (1 / 3, 2 / 3, 1.0)
"""Shares of units that such starts move in turn; assumed."""
ROUNDS = 200
"""Rounds in which a search for full cover raises the weight of what stays uncovered; assumed."""
EQUAL = 1e-10
"""Values are equal if they differ by less than this share of the largest that is possible."""

Improve = Callable[[NDArray[np.int64]], float]


def best_of_starts(task: Task, improve: Improve, starts: int = STARTS) -> NDArray[np.int64]:
    """Return the plan of the highest value that was found.

    Args:
        task: what is asked.
        improve: fills up a plan (sites,) and improves it in place; returns its value.
        starts: searches after the first.
    """
    begin = [task.least] if task.current is None else [task.least, task.current]
    best, value = task.least, -np.inf
    for plan in begin:
        units = plan.copy()
        found = improve(units)
        if found > value:
            best, value = units, found
    for start in range(starts):
        units = _shaken(task, best, start)
        found = improve(units)
        if found > value:
            best, value = units, found
    return best


def _shaken(task: Task, units: NDArray[np.int64], start: int) -> NDArray[np.int64]:
    """Return a plan with some units that may move put to sites drawn at random."""
    out = units.copy()
    out_key, in_key = key(start, "siting: unit moved"), key(start, "siting: site drawn")
    for number in range(max(1, round(MOVED[start % len(MOVED)] * task.units))):
        movable = np.repeat(np.arange(len(out)), out - task.least)
        room = np.flatnonzero(out < task.most)
        if not (len(movable) and len(room)):
            break
        out[movable[int(uniform(out_key, number, 0) * len(movable))]] -= 1
        out[room[int(uniform(in_key, number, 0) * len(room))]] += 1
    return out


def search_cover(task: Task, cover: Cover, *, useful: bool = False, starts: int = STARTS) -> NDArray[np.int64]:
    """Return units (sites,) of a plan of high worth.

    Args:
        task: what is asked.
        cover: rows, sites and the worth of covers.
        useful: stop at units that gain nothing.
        starts: searches after the greedy one.
    """
    tolerance = EQUAL * float(cover.weight @ np.abs(cover.worth).max(1)[cover.kind])

    def improve(units: NDArray[np.int64]) -> float:
        count, gain = np.zeros(len(cover.weight), np.int64), np.zeros(len(units))
        place(cover, units, count, gain)
        cover_greedily(cover, units, task.most, task.units, useful, count, gain, tolerance)
        cover_by_swaps(cover, units, task.least, task.most, count, gain, tolerance)
        return worth_of(cover, count)

    return best_of_starts(task, improve, starts)


def search_full_cover(task: Task, cover: Cover) -> NDArray[np.int64] | None:
    """Return units (sites,) that cover every row, or None if none were found.

    Rows that stay uncovered weigh more from round to round, until swaps find a way to cover them too.

    Args:
        task: what is asked.
        cover: rows and sites, with the worth of first covers.
    """
    units = (task.least if task.current is None else task.current).copy()
    weighted = cover._replace(weight=np.ones(len(cover.weight)))
    for _ in range(ROUNDS):
        count, gain = np.zeros(len(cover.weight), np.int64), np.zeros(len(units))
        place(weighted, units, count, gain)
        # weights are whole numbers: half of one tells values apart
        cover_greedily(weighted, units, task.most, task.units, False, count, gain, 0.5)
        cover_by_swaps(weighted, units, task.least, task.most, count, gain, 0.5)
        if count.all():
            return units
        weighted.weight[count == 0] += 1.0
    return None


def search_median(task: Task, *, starts: int = STARTS) -> NDArray[np.int64]:
    """Return sites (sites,) open (1) or not of a plan with short weighted ways."""
    rows = np.flatnonzero(task.weights > 0)
    seconds = task.seconds[rows]
    ways = np.isfinite(seconds)
    longest = float(seconds.max(1, where=ways, initial=0.0) @ task.weights[rows])
    # One point without a way costs more than all ways together, so that plans that reach all points win.
    cost = np.where(ways.T, seconds.T * task.weights[rows], 1.0 + longest)
    farthest = cost.max(0)
    tolerance = EQUAL * longest

    def improve(units: NDArray[np.int64]) -> float:
        median_greedily(cost, units, task.most, task.units, farthest, tolerance)
        return -float(median_by_swaps(cost, units, task.least, task.most, farthest, tolerance))

    return best_of_starts(task, improve, starts)
