"""How the points of a sweep follow from its section: every design, its ranges and lists, becomes a table of values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..storage.bulk import uncollected
from .designs import random, samples, size
from .settings import SIZES, Range, SweepSettings

_ENCODER = json.JSONEncoder(sort_keys=True)


@dataclass(frozen=True)
class Layout:
    """The points of a sweep.

    Attributes:
        columns: by dotted key, the value at each point.
        sampled: samples that the design drew; 0 where it draws none.
        merged: samples left out because an earlier one has the same values.
    """

    columns: dict[str, list[Any]]
    sampled: int = 0
    merged: int = 0

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 1

    @cached_property
    def points(self) -> list[dict[str, Any]]:
        """The parameters of every point; one point without parameters if nothing is swept."""
        if not self.columns:
            return [{}]
        names = list(self.columns)
        with uncollected():
            return [dict(zip(names, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]

    @cached_property
    def representatives(self) -> list[int]:
        """The points that are checked for all, see :func:`representatives`."""
        return representatives(self.columns)


def layout(settings: SweepSettings, seed: int) -> Layout:
    """Return the points of a valid section, a pure function of both arguments.

    ``random``, ``lhs`` and ``sobol`` sample the ranges; each sample meets every combination of the lists, so that these are
    compared at the same samples. Samples that whole numbers make equal are one point, but for ``saltelli`` and
    ``morris``, whose indices need each in its place.

    Args:
        settings: the section ``[sweep]``.
        seed: of the scenario.
    """
    parameters = settings.parameters
    if not parameters:
        return Layout({})
    if settings.design == "list":
        return Layout({name: _values(axis) for name, axis in parameters.items()})
    ranges = {name: axis for name, axis in parameters.items() if is_sampled(axis)}
    lists = {name: _values(axis) for name, axis in parameters.items() if name not in ranges}
    if not ranges:
        return Layout(_crossed({}, lists, list(parameters)))
    drawn = sampled_columns(settings, ranges, seed)
    count = kept = len(next(iter(drawn.values())))
    if settings.design in ("random", "lhs", "sobol"):
        rows = dict.fromkeys(zip(*drawn.values(), strict=True))
        kept = len(rows)
        if kept < count:
            drawn = dict(zip(drawn, map(list, zip(*rows, strict=True)), strict=True))
    return Layout(_crossed(drawn, lists, list(parameters)), count, count - kept)


def is_sampled(axis: list[Any] | Range) -> bool:
    """Return whether a parameter is a range of which a design takes samples."""
    return isinstance(axis, Range) and axis.steps is None


def sampled_columns(settings: SweepSettings, ranges: Mapping[str, Any], seed: int) -> dict[str, list[Any]]:
    """Return the values of ranges at every sample of a design."""
    shares = samples(settings, len(ranges), seed)
    return {name: axis.spread(shares[:, number]) for number, (name, axis) in enumerate(ranges.items())}


def count_points(settings: SweepSettings) -> int:
    """Return how many points a design would have, without making them; samples that turn out equal count."""
    lengths = [axis_length(axis) for axis in settings.parameters.values() if not is_sampled(axis)]
    if settings.design == "list":
        return max(lengths, default=1)
    ranges = len(settings.parameters) - len(lengths)
    return prod(lengths) * (size(settings, ranges) if ranges and settings.design in SIZES else 1)


def axis_length(axis: list[Any] | Range) -> int:
    """Return the number of values that a list, or a range with ``steps``, has."""
    return len(axis) if isinstance(axis, list) else axis.steps or 0


def _values(axis: list[Any] | Range) -> list[Any]:
    return axis if isinstance(axis, list) else axis.values()


def _crossed(
    drawn: Mapping[str, list[Any]], lists: Mapping[str, list[Any]], order: Sequence[str]
) -> dict[str, list[Any]]:
    """Return the columns of every sample with every combination of the lists, the last list changing fastest."""
    combinations = list(product(*lists.values()))
    count = len(next(iter(drawn.values()))) if drawn else 1
    each = len(combinations)
    columns = {name: [value for value in values for _ in range(each)] for name, values in drawn.items()}
    for number, name in enumerate(lists):
        columns[name] = [row[number] for row in combinations] * count
    return {name: columns[name] for name in order}


# ---------------------------------------------------------------------- points that are alike


def kinds_of(points: Layout, ways: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return of every point the values of the parameters that lie on some ways, as texts.

    Args:
        points: the points.
        ways: ways to keys, ``"*"`` standing for any step; what lies above or below such a key is on its way, too.
    """
    columns = [
        list(map(same_text, values))
        for name, values in points.columns.items()
        if any(_meet(tuple(name.split(".")), way) for way in ways)
    ]
    return list(zip(*columns, strict=True)) if columns else [()] * len(points)


def _meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return all("*" in (a, b) or a == b for a, b in zip(one, other, strict=False))


def first_of(kinds: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    """Return the first point of each kind."""
    return {kind: number for number, kind in reversed(list(enumerate(kinds)))}


# ---------------------------------------------------------------------- points that stand for all

MOST_TRIED = 256
"""Points up to which a sweep is checked whole; a check takes milliseconds (assumed)."""
_SPREAD = 32
"""Values of one parameter that are tried where there are more, and points tried that lie anywhere (assumed)."""
_CORNERS = 64
"""Corners tried: all of up to 6 parameters; of more, so many that every pair meets at all its ends (assumed)."""


def representatives(columns: Mapping[str, Sequence[Any]]) -> list[int]:
    """Return the points that are checked for all: every point while they are few.

    Of more, for each parameter a point with every value, or with values spread from the least to the greatest where there
    are many; the points nearest to the corners, where parameters are at their ends together; and points spread over the
    whole list. A combination that is wrong all the same fails when it is run.

    Args:
        columns: by parameter, the value at each point.
    """
    count = len(next(iter(columns.values()))) if columns else 1
    if count <= MOST_TRIED:
        return list(range(count))
    chosen = {int(number) for number in np.linspace(0, count - 1, _SPREAD)}
    heights = np.empty((count, len(columns)))
    for column, values in enumerate(columns.values()):
        codes = _codes(values)
        first = np.unique(codes, return_index=True)[1]
        spread = np.linspace(0, len(first) - 1, min(_SPREAD, len(first))).astype(int)
        chosen.update(first[spread].tolist())
        heights[:, column] = codes / max(len(first) - 1, 1)
    if len(columns) <= 6:
        signs = np.array(list(product((-1.0, 1.0), repeat=len(columns))))
    else:
        signs = np.where(random(_CORNERS, len(columns), 0) < 0.5, -1.0, 1.0)
    chosen.update(int((heights @ sign).argmax()) for sign in signs)
    return sorted(chosen)


def _codes(values: Sequence[Any]) -> NDArray[np.int64]:
    """Return numbers from 0 for the distinct values, in their order if they are numbers, else as they come."""
    if all(type(value) in (int, float) for value in values):
        return np.unique(np.asarray(values, float), return_inverse=True)[1].astype(np.int64)
    known: dict[str, int] = {}
    return np.array([known.setdefault(same_text(value), len(known)) for value in values])


def same_text(value: Any) -> str:
    """Return a text that is the same for equal values and for no others; 1, 1.0 and true are three values."""
    return _ENCODER.encode(value)
