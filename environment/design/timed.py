"""Changes that hold for some hours, weekdays or dates: what the flow has to switch, and when."""

import datetime
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .effects import Touched, changed
from .streets import Streets

if TYPE_CHECKING:
    from collections.abc import Iterable


DAY = 86_400
"""Seconds."""


class StreetEvents(NamedTuple):
    """Changes of links during one day, sorted by time, then link.

    Each row says what a link is from a second on, until the next row of the same link or the end of what was
    asked for; a link without a row is as the city has it. Closed to cars is ``access`` without the bit of cars.

    Attributes:
        second: float64 (n,) seconds since midnight; 0 where it holds from the night on.
        link: int32 (n,).
        access: uint8 (n,) :class:`~citytwin.environment.roads.Access` bits.
        speed: float64 (n,) m/s.
        lanes: float64 (n,) lanes of general traffic.
        bus_lane, bike_lane: bool (n,).
        toll: float64 (n,) money for a passage by car.
    """

    second: NDArray[np.float64]
    link: NDArray[np.int32]
    access: NDArray[np.uint8]
    speed: NDArray[np.float64]
    lanes: NDArray[np.float64]
    bus_lane: NDArray[np.bool_]
    bike_lane: NDArray[np.bool_]
    toll: NDArray[np.float64]

    def __bool__(self) -> bool:
        return len(self.second) > 0


_TYPES = {"access": np.uint8, "speed": float, "lanes": float, "bus_lane": bool, "bike_lane": bool, "toll": float}


def day_events(streets: Streets, touched: "Iterable[Touched]", date: datetime.date, until: float = DAY) -> StreetEvents:
    """Return what changes during a day.

    Args:
        streets: the streets as permanent changes left them.
        touched: timed changes with their effects.
        date: the day; hours that began the evening before reach into it.
        until: seconds since its midnight up to which changes are wanted, those of the next days among them.
    """
    touched = list(touched)
    spells = [
        (begin + number * DAY, end + number * DAY, one)
        for number in range(math.ceil(until / DAY))
        if date.toordinal() + number <= datetime.date.max.toordinal()
        for one in touched
        for begin, end in one.change.when.spells(date + datetime.timedelta(days=number))
    ]
    times = {time for begin, end, _ in spells for time in (begin, end)}
    instants = sorted({0} | {time for time in times if time < until})
    base = streets.columns()
    before = {name: np.asarray(base[name]).astype(kind) for name, kind in _TYPES.items()}
    rows: list[tuple[float, NDArray[np.int64], dict[str, NDArray]]] = []
    for instant in instants:
        holding = [one for begin, end, one in spells if begin <= instant < end]
        after = changed(base, [effect for one in holding for effect in one.effects])
        after = {name: after[name].astype(kind) for name, kind in _TYPES.items()}
        different = np.zeros(streets.links, bool)
        for name in _TYPES:
            different |= after[name] != before[name]
        links = np.flatnonzero(different)
        if len(links):
            rows.append((float(instant), links, {name: after[name][links] for name in _TYPES}))
        before = after
    return _joined(rows)


def _joined(rows: Sequence[tuple[float, NDArray[np.int64], dict[str, NDArray]]]) -> StreetEvents:
    def column(parts: list[NDArray], kind: type) -> NDArray:
        return np.concatenate([np.zeros(0, kind), *parts]).astype(kind)

    return StreetEvents(
        column([np.full(len(links), second) for second, links, _ in rows], float),
        column([links for _, links, _ in rows], np.int32),
        *(column([values[name] for _, _, values in rows], kind) for name, kind in _TYPES.items()),
    )
