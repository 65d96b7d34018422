"""Expected calls by place: where units will be needed, on average over the hours and days of a week."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...agents.presence import Presence
from ...agents.response.calls import Calls
from ...agents.response.events import read_events
from ...agents.response.kinds import SERVICES
from ...agents.response.siting.plan import SitingError
from ...agents.response.tasks import Tasks

if TYPE_CHECKING:
    from .question import Question

MOST_CELLS = 2_000
"""Cells that calls are summed up in, at most."""
CELL = 100.0
"""Least side of a cell, m."""
CALLS = 50_000
"""Calls drawn from rates, which the expected number by place is taken from; assumed."""
DAYS = 7


@dataclass(frozen=True)
class Demand:
    """Expected calls by cell, (cells,) each.

    Attributes:
        calls: float64 a day.
        x, y: float64 m, middle of the cell; ``side`` is its side in m.
        node: int32 node of the streets from which most of its calls are reached.
        access: float64 seconds from there to the scene on foot, mean.
        delay: seconds from a call until the unit leaves the station: call taking and turnout, mean.
    """

    calls: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    node: NDArray[np.int32]
    access: NDArray[np.float64]
    side: float
    delay: float

    def __len__(self) -> int:
        return len(self.calls)


def expected_calls(question: "Question", seed: int) -> Demand:
    """Return the expected calls of a service, from many more than happen, drawn over a week, and from files of events.

    Args:
        question: city, kinds and rates.
        seed: of the draws; that of no run, so that plans are not made for the very calls that judge them.

    Raises:
        SitingError: if nobody calls.
    """
    tasks, weight = _drawn(question, seed)
    mine = tasks.service == SERVICES[question.service]
    _, first = np.unique(np.where(mine, tasks.incident, -1), return_index=True)
    rows = first[mine[first]]
    if not len(rows):
        why = "no kind of incident that asks for it has a rate; see response.kinds"
        if not len(question.city.people.age):
            why = "nobody lives in the city; a scenario with response.events may say where calls come from"
        raise SitingError(f"nobody calls the service {question.service}: {why}")
    calls = weight[rows]
    delay = tasks.ready[rows] - tasks.called[rows] + tasks.turnout[rows]
    x, y = tasks.x[rows], tasks.y[rows]
    side = CELL
    while len(np.unique(_cells(x, y, side), axis=0)) > MOST_CELLS:
        side *= 1.2
    spots, cell = np.unique(_cells(x, y, side), axis=0, return_inverse=True)
    cell = cell.ravel()
    total = np.bincount(cell, calls).astype(float)
    middle = ((spots + 0.5) * side).astype(float)
    return Demand(
        total,
        middle[:, 0],
        middle[:, 1],
        _usual(cell, tasks.node[rows], calls),
        np.bincount(cell, calls * tasks.access[rows]).astype(float) / total,
        side,
        float(np.average(delay, weights=calls)),
    )


def _drawn(question: "Question", seed: int) -> tuple[Tasks, NDArray[np.float64]]:
    """Return tasks, and for how many calls a day each stands."""
    settings, clock = question.settings, question.scenario.clock
    presence = Presence(question.city, seed, first_weekday=clock.start.weekday())

    def calls(factor: float) -> Calls:
        return Calls(
            question.city, presence, settings.kinds, settings.service_times, seed, scenes=question.scenes, factor=factor
        )

    usual = calls(settings.calls)
    week = sum(sum(usual.expected(day).values()) for day in range(DAYS))
    more = max(CALLS / week, 1.0) if week > 0 else 1.0
    many = calls(settings.calls * more)
    parts, weights = [], []
    for day in range(DAYS):
        presence.begin_day(day)
        parts.append(many.of_day(day, clock.date(day)))
        weights.append(1 / (more * DAYS))
    for number, told in enumerate(settings.events):
        events = read_events(told, question.city, list(settings.kinds), clock.start, clock.days)
        for day in range(clock.days):
            parts.append(usual.of_events(events, day, file=number))
            weights.append(1 / clock.days)
    sizes = [len(part) for part in parts]
    tasks = Tasks.together(parts)
    order = np.argsort(np.concatenate([part.ready for part in parts]), kind="stable")
    return tasks, np.repeat(weights, sizes)[order]


def _cells(x: NDArray[np.float64], y: NDArray[np.float64], side: float) -> NDArray[np.int64]:
    return np.floor(np.column_stack([x, y]) / side).astype(np.int64)


def _usual(cell: NDArray[np.int64], node: NDArray[np.int32], weight: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the node of most weight of each cell, the lowest of equals."""
    pairs, pair = np.unique(np.column_stack([cell, node]), axis=0, return_inverse=True)
    total = np.bincount(pair.ravel(), weight)
    best = np.lexsort((pairs[:, 1], -total, pairs[:, 0]))
    _, first = np.unique(pairs[best, 0], return_index=True)
    return pairs[best[first], 1].astype(np.int32)
