"""Larson's hypercube: how busy each unit is, and who is sent where, where the nearest free unit is sent (Larson 1974, 1975).

Every unit is free or busy, so that n units have 2^n states. Calls are a Poisson process at each point; a call takes the
first free unit in the order of its point; services are exponential and do not depend on who serves whom.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .hypercube_kernels import settle
from .queues import erlang_b, erlang_c

MOST_UNITS = 16
"""Units of the exact solution, which has 2^units states."""
ROUNDS = 10_000
"""Rounds at most, of both solutions."""
SETTLED = 1e-13
"""Relative change of states, and change of workloads of the approximation, at which they have settled."""


class HypercubeError(ValueError):
    """A question to the hypercube that has no meaning; the message says what is allowed."""


@dataclass(frozen=True)
class Hypercube:
    """The steady state of units that answer calls.

    Attributes:
        workloads: float64 (units,) share of time that each unit is busy.
        sent: float64 (points, units) share of all calls that come from a point and are answered at once by a unit.
        missed: share of calls that find all units busy: they are lost or wait.
        mean_wait: mean seconds that calls wait, of all calls; 0 if they are lost.
        states: float64 (2^units,) chance of each state while no call waits, bit n of its number being 1 while unit n is
            busy; None of the approximation.
    """

    workloads: NDArray[np.float64]
    sent: NDArray[np.float64]
    missed: float
    mean_wait: float
    states: NDArray[np.float64] | None = None

    @property
    def dispatches(self) -> NDArray[np.float64]:
        """Share (units,) that each unit has of the calls answered at once."""
        return self.sent.sum(0) / self.sent.sum()

    def mean_travel(self, seconds: ArrayLike) -> float:
        """Return the mean travel to calls answered at once.

        Args:
            seconds: (points, units) travel from each unit's station to each point.
        """
        return float((self.sent * np.asarray(seconds, float)).sum() / self.sent.sum())


def nearest_first(seconds: ArrayLike) -> NDArray[np.intp]:
    """Return the units (points, units) in order of travel to each point; the lower unit first if travel is the same.

    Args:
        seconds: (points, units) travel from each unit's station to each point.
    """
    return np.argsort(np.asarray(seconds, float), axis=1, kind="stable")


def solve(rates: ArrayLike, order: ArrayLike, service: ArrayLike, *, waiting: bool) -> Hypercube:
    """Return the steady state, exact to about twelve digits.

    Args:
        rates: (points,) calls a second.
        order: (points, units) units in the order in which they are sent, for example of :func:`nearest_first`.
        service: mean seconds of service, one for all or (units,).
        waiting: whether calls that find all units busy wait, in order of arrival; otherwise they are lost, or answered by
            others.

    Raises:
        HypercubeError: naming what is wrong; if there are more than :data:`MOST_UNITS` units.
    """
    calls, ways, time = _checked(rates, order, service, waiting)
    points, units = ways.shape
    if units > MOST_UNITS:
        raise HypercubeError(
            f"{units} units have 2^{units} states; at most {MOST_UNITS} are allowed: use approximate()"
        )
    total = calls.sum()
    preferences, group = np.unique(ways, axis=0, return_inverse=True)
    group = group.reshape(points)
    calls_of = np.bincount(group, calls, len(preferences))
    states = np.arange(1 << units)
    up = np.zeros((len(states), units))
    for preference, rate in zip(preferences, calls_of, strict=True):
        untaken = np.ones(len(states), bool)
        for unit in preference:
            takes = untaken & ((states >> unit) & 1 == 0)
            up[takes, unit] += rate
            untaken &= ~takes
    chance, change = settle(up, 1.0 / time, ROUNDS, SETTLED)
    if change > SETTLED:
        raise HypercubeError(f"the chances of states did not settle in {ROUNDS} rounds: use approximate()")
    # calls that wait do so while all units are busy: their number is geometric beyond the last state
    used = total / (1.0 / time).sum()
    tail = chance[-1] * used / (1 - used) if waiting else 0.0
    chance /= chance.sum() + tail
    tail = chance[-1] * used / (1 - used) if waiting else 0.0
    busy = (states[:, None] >> np.arange(units)) & 1
    free = np.zeros((len(preferences), units))
    for number, preference in enumerate(preferences):
        untaken = np.ones(len(states), bool)
        for unit in preference:
            takes = untaken & (busy[:, unit] == 0)
            free[number, unit] = chance[takes].sum()
            untaken &= ~takes
    return Hypercube(
        workloads=chance @ busy + tail,
        sent=calls[:, None] / total * free[group],
        missed=float(chance[-1] + tail),
        mean_wait=float(tail / (1 - used) / total) if waiting else 0.0,
        states=chance,
    )


def approximate(rates: ArrayLike, order: ArrayLike, service: float, *, waiting: bool) -> Hypercube:
    """Return the steady state nearly, for any number of units (Larson 1975).

    Units are taken as busy independently, but for a factor that corrects the chance that the first k units of an order are
    busy and the next is free for their number being limited. Workloads came within 1 to 2 % of the exact ones in
    Larson's cases.

    Args:
        rates, order, waiting: as for :func:`solve`.
        service: mean seconds of service.

    Raises:
        HypercubeError: naming what is wrong.
    """
    calls, ways, time = _checked(rates, order, service, waiting)
    if np.ndim(service):
        raise HypercubeError("service: one mean for all units; solve() takes one a unit")
    points, units = ways.shape
    total = calls.sum()
    load = float(total * time[0])
    missed = erlang_c(load, units) if waiting else erlang_b(load, units)
    mean_load = load / units if waiting else load * (1 - missed) / units
    correction = _corrections(load, units, missed, waiting)
    workloads = np.full(units, mean_load)
    waited = load * missed / units if waiting else 0.0
    for _ in range(ROUNDS):
        passed = _all_busy_before(workloads[ways]) * correction
        offered = np.bincount(ways.ravel(), (calls[:, None] * time[0] * passed).ravel(), units)
        new = (offered + waited) / (1 + offered)
        new *= mean_load / new.mean()
        change = np.abs(new - workloads).max()
        workloads = new
        if change < SETTLED:
            break
    sent = np.zeros((points, units))
    np.put_along_axis(sent, ways, _all_busy_before(workloads[ways]) * correction * (1 - workloads[ways]), 1)
    sent *= (1 - missed) * (calls / total)[:, None] / sent.sum(1, keepdims=True)
    wait = missed * float(time[0]) / (units - load) if waiting else 0.0
    return Hypercube(workloads, sent, missed, wait)


def _all_busy_before(busy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the product of the columns before each."""
    return np.cumprod(np.concatenate([np.ones((len(busy), 1)), busy[:, :-1]], 1), 1)


def _corrections(load: float, units: int, missed: float, waiting: bool) -> NDArray[np.float64]:
    """Return (units,) the chance that k units drawn at random are busy and the next is free, over that of independence."""
    chance = np.ones(units + 1)
    for number in range(1, units + 1):
        chance[number] = chance[number - 1] * load / number
    # of fewer calls than units, whose chances have the same proportions with and without a queue
    chance = chance[:units] / chance[:units].sum() * (1 - missed)
    used = load / units if waiting else load * (1 - missed) / units
    busy = np.arange(units)
    drawn = np.ones(units)
    out = np.empty(units)
    for k in range(units):
        out[k] = (chance * drawn * (units - busy) / (units - k)).sum() / (used**k * (1 - used))
        drawn = drawn * np.maximum(busy - k, 0) / (units - k)
    return out


def _checked(
    rates: ArrayLike, order: ArrayLike, service: ArrayLike, waiting: bool
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
    calls, ways = np.asarray(rates, float), np.asarray(order)
    if calls.ndim != 1 or not (np.isfinite(calls) & (calls >= 0)).all() or not calls.any():
        raise HypercubeError("rates: calls a second from 0, one for each point, not all 0")
    if ways.ndim != 2 or len(ways) != len(calls) or ways.dtype.kind not in "iu":
        raise HypercubeError(f"order: units for each of the {len(calls)} points; got {ways.shape} of {ways.dtype}")
    units = ways.shape[1]
    wrong = np.flatnonzero((np.sort(ways, 1) != np.arange(units)).any(1))
    if len(wrong) or not units:
        raise HypercubeError(f"order: each of the {units} units once for every point; not so at points {wrong[:8]}")
    given = np.asarray(service, float)
    if given.shape not in ((), (units,)) or not (np.isfinite(given) & (given > 0)).all():
        raise HypercubeError(f"service: seconds above 0, one for all or one for each of the {units} units")
    time = np.broadcast_to(given, (units,))
    if waiting and calls.sum() >= (1.0 / time).sum():
        raise HypercubeError(
            f"{units} units cannot serve {calls.sum():g} calls a second: they would wait for ever; add units or let "
            "calls be lost (waiting=False)"
        )
    return calls, ways.astype(np.intp), time
