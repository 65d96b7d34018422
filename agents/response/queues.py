"""Formulas of queues: how many units it takes, and how long calls wait, before anything is simulated.

Load is in erlang: calls a second times the mean seconds that a call keeps a unit.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


class QueueError(ValueError):
    """A load, a number of units or a time without an answer; the message says what is allowed."""


MOST_UNITS = 1_000_000
"""Units up to which :func:`units_needed` looks."""


def erlang_b(load: float, units: int) -> float:
    """Return the share of calls lost if none may wait (Erlang 1917), for any law of service times.

    Args:
        load: erlang, from 0.
        units: from 0.

    Raises:
        QueueError: if an argument is out of range.
    """
    _check(load, units)
    lost = 1.0
    for number in range(1, units + 1):
        lost = load * lost / (number + load * lost)
    return lost


def erlang_c(load: float, units: int) -> float:
    """Return the share of calls that wait if all may, for exponential service times (Erlang 1917).

    Args:
        load, units: as for :func:`erlang_b`; the load must be below the units.

    Raises:
        QueueError: if an argument is out of range.
    """
    _check_stable(load, units)
    lost = erlang_b(load, units)
    return units * lost / (units - load * (1 - lost))


def mean_wait(load: float, units: int, service: float, variation: float = 1.0) -> float:
    """Return the mean wait of all calls, those that do not wait included.

    Exact for exponential service times (``variation`` 1) and for one unit. Between constant and exponential service times
    the mean of both waits, weighted with the variation. With constant ones by Cosmetatos 1975, but at most
    units/(units + 1) of the wait with exponential ones, its limit at low load (Burman & Smith 1983). For a variation above
    1, the mean of both waits' reciprocals, weighted so that one unit is exact (Kimura 1986).

    Args:
        load, units: as for :func:`erlang_c`.
        service: mean seconds of service.
        variation: squared coefficient of variation of service times, from 0.

    Returns:
        seconds.

    Raises:
        QueueError: if an argument is out of range.
    """
    if not variation >= 0:
        raise QueueError(f"variation: from 0; got {variation}")
    wait = erlang_c(load, units) * _service(service) / (units - load)
    if load == 0:
        return wait
    used = load / units
    cosmetatos = (1 + (1 - used) * (units - 1) * (math.sqrt(4 + 5 * units) - 2) / (16 * used * units)) / 2
    constant = min(cosmetatos, units / (units + 1))
    if variation > 1:
        return wait * (1 + variation) / (2 * variation + (1 - variation) / constant)
    return wait * (variation + (1 - variation) * constant)


def mean_queue(load: float, units: int, variation: float = 1.0) -> float:
    """Return the mean number of calls that wait: Little's law on :func:`mean_wait`."""
    return load * mean_wait(load, units, 1.0, variation)


def wait_exceeds(load: float, units: int, service: float, seconds: float) -> float:
    """Return the share of calls that wait longer than some seconds, for exponential service times, served in order.

    Args:
        load, units, service: as for :func:`mean_wait`.
        seconds: from 0.

    Raises:
        QueueError: if an argument is out of range.
    """
    if not seconds >= 0:
        raise QueueError(f"seconds: from 0; got {seconds}")
    return erlang_c(load, units) * math.exp(-(units - load) * seconds / _service(service))


def utilisation(load: float, units: int, *, waiting: bool = True) -> float:
    """Return the share of time that a unit is busy, in the mean of units.

    Args:
        load: as for :func:`erlang_c`, or as for :func:`erlang_b` if calls may not wait.
        units: at least 1.
        waiting: whether calls wait; otherwise they are lost.

    Raises:
        QueueError: if an argument is out of range.
    """
    if waiting:
        _check_stable(load, units)
        return load / units
    lost = erlang_b(load, units)
    if units == 0:
        raise QueueError("units: at least 1 to be used; got 0")
    return load * (1 - lost) / units


def units_needed(load: float, service: float, seconds: float, share: float) -> int:
    """Return the fewest units with which a share of calls waits no longer than some seconds.

    Args:
        load, service, seconds: as for :func:`wait_exceeds`.
        share: from 0 to below 1, for example 0.95.

    Raises:
        QueueError: if an argument is out of range.
    """
    if not 0 <= share < 1:
        raise QueueError(f"share: from 0 to below 1; got {share}")
    _check(load, 0)
    if load >= MOST_UNITS:
        raise QueueError(f"load: below {MOST_UNITS:,} erlang; got {load}")
    units = math.floor(load) + 1
    while wait_exceeds(load, units, service, seconds) > 1 - share:
        units += 1
    return units


def priority_waits(loads: ArrayLike, units: int, service: float) -> NDArray[np.float64]:
    """Return the mean wait of calls by priority, served by priority and then in order, no service being broken off.

    Cobham 1954: exact for exponential service times of one mean.

    Args:
        loads: (priorities,) erlang of each, the most urgent first; their sum below the units.
        units: at least 1.
        service: mean seconds of service.

    Returns:
        float64 (priorities,) seconds.

    Raises:
        QueueError: if an argument is out of range.
    """
    each = np.atleast_1d(np.asarray(loads, float))
    if each.ndim != 1 or not (each >= 0).all():
        raise QueueError(f"loads: one erlang from 0 for each priority; got {loads!r}")
    used = np.concatenate([[0.0], np.cumsum(each)]) / max(units, 1)
    next_free = erlang_c(float(each.sum()), units) * _service(service) / units
    return next_free / ((1 - used[:-1]) * (1 - used[1:]))


def _check(load: float, units: int) -> None:
    if not 0 <= load < math.inf:
        raise QueueError(f"load: erlang from 0; got {load}")
    if not isinstance(units, int | np.integer) or units < 0:
        raise QueueError(f"units: a whole number from 0; got {units!r}")


def _check_stable(load: float, units: int) -> None:
    _check(load, units)
    if load >= units:
        raise QueueError(
            f"{units} units cannot serve a load of {load:g} erlang: calls would wait for ever; it takes more"
        )


def _service(service: float) -> float:
    if not 0 < service < math.inf:
        raise QueueError(f"service: seconds above 0; got {service}")
    return service
