"""The section ``[sweep]`` of a scenario file: how many runs, and what changes between them."""

import re
from math import exp, isfinite, log
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from ..scenarios.sections import Section

MAX_POINTS = 200_000
MAX_RUNS = 1_000_000
"""Largest sweep; its list of runs takes about half a gigabyte."""
MAX_RANGES = 100
"""Most ranges sampled together; no affordable number of runs tells the effects of more apart (assumed)."""

Design = Literal["grid", "list", "random", "lhs", "sobol", "saltelli", "morris"]
SIZES = {"random": "points", "lhs": "points", "sobol": "points", "saltelli": "base", "morris": "trajectories"}
"""By design that samples ranges, the key that says how many."""
ONLY: dict[str, tuple[Design, ...]] = {
    "points": ("random", "lhs", "sobol"),
    "base": ("saltelli",),
    "second_order": ("saltelli",),
    "trajectories": ("morris",),
    "levels": ("morris",),
    "file": ("list",),
}
"""By key of the section, the designs that know it."""
DEFAULT_LEVELS = 4
"""Levels of a Morris design: Campolongo, Cariboni & Saltelli 2007 recommend 4."""

_BUDGET = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(runs|CPU\s+(?:min|h|days?))\s*")
_CPU_SECONDS = {"min": 60.0, "h": 3600.0, "day": 86_400.0, "days": 86_400.0}


class Budget(NamedTuple):
    """What a sweep may use: so many runs, or so much processor time [s]; the other is None."""

    runs: int | None
    cpu: float | None


def parse_budget(text: str) -> Budget:
    """Return the budget that a text such as ``"500 runs"`` or ``"20 CPU h"`` means.

    Raises:
        ValueError: if it means none.
    """
    found = _BUDGET.fullmatch(text)
    if found is None:
        raise ValueError('must be as "500 runs" or "20 CPU h"; units: runs, CPU min, CPU h, CPU days')
    amount, unit = float(found.group(1)), found.group(2)
    if not 0 < amount <= 1e9:
        raise ValueError("must be more than 0 and at most 10^9")
    if unit != "runs":
        return Budget(None, amount * _CPU_SECONDS[unit.split()[1]])
    if not amount.is_integer():
        raise ValueError("must be a whole number of runs")
    return Budget(int(amount), None)


def _budget_text(text: str) -> str:
    parse_budget(text)
    return text


class Range(Section):
    """Values between two bounds, both included.

    Attributes:
        from_: lower bound (``from`` in the file).
        to: upper bound.
        scale: ``log`` spreads values evenly in their logarithm.
        integer: whole numbers only.
        steps: number of evenly spread values that stand for the range, which then is like a list of them.
    """

    from_: float = Field(alias="from")
    to: float
    scale: Literal["linear", "log"] = "linear"
    integer: bool = False
    steps: int | None = Field(default=None, ge=2, le=MAX_POINTS)

    @model_validator(mode="after")
    def _check_bounds(self) -> "Range":
        low, high = self.from_, self.to
        if not (isfinite(low) and isfinite(high) and low < high):
            raise ValueError(f"to: must be greater than 'from' (given from = {low:g}, to = {high:g})")
        if not isfinite(high - low):
            raise ValueError(f"to: lies too far from 'from' (given from = {low:g}, to = {high:g})")
        if self.scale == "log" and low <= 0:
            raise ValueError(f'from: must be above 0 where scale = "log" (given {low:g})')
        if self.integer and not (low.is_integer() and high.is_integer() and max(abs(low), abs(high)) < 2**53):
            raise ValueError(f"from: both bounds must be whole numbers (given {low:g} and {high:g})")
        if self.integer and self.steps is not None and len(set(self.values())) < self.steps:
            raise ValueError(f"steps: {self.steps} whole numbers spread over {low:g} to {high:g} are not all different")
        return self

    def at(self, share: float) -> float | int:
        """Return the value below which a share of the range lies; shares go from 0 to 1, both included."""
        value: float | int = self.spread([share])[0]
        return value

    def spread(self, shares: ArrayLike) -> list[Any]:
        """Return the values below which shares ``(n,)`` of the range lie, as :meth:`at`."""
        low, high = self.from_, self.to
        if self.integer:  # every whole number stands for as much of the range
            low, high = (low - 0.5, high + 0.5)
        parts = np.asarray(shares, float)
        if self.scale == "log":
            # The library's exp, as numpy's differs from processor to processor in the last bit.
            exponents = log(low) + parts * (log(high) - log(low))
            values = np.array([exp(exponent) for exponent in exponents.tolist()])
        else:
            values = low + parts * (high - low)
        if self.integer:
            return np.clip(np.floor(values + 0.5), self.from_, self.to).astype(np.int64).tolist()
        return np.clip(values, low, high).tolist()

    def values(self) -> list[Any]:
        """Return the values that stand for a range with ``steps``: from bound to bound."""
        steps = self.steps or 2
        ends = Range.model_construct(from_=self.from_, to=self.to, scale=self.scale, integer=False)
        spread = ends.spread(np.arange(steps) / (steps - 1))
        return [round(value) for value in spread] if self.integer else spread


def _kind(value: Any) -> str:
    return "range" if isinstance(value, dict | Range) else "values"


Axis = Annotated[Annotated[list[Any], Tag("values")] | Annotated[Range, Tag("range")], Discriminator(_kind)]
"""What a swept parameter takes: values, or a range."""


class Until(Section):
    """How many replicates there are: as many as a figure needs to be known well enough.

    Attributes:
        indicator: column of the summary.
        half_width: half the width that its interval may have, in the column's unit.
        level: probability of the interval.
        at_least: replicates that every point has.
        at_most: replicates that no point has more of.
        of: ``mean`` of each point, or its paired ``difference`` to point 0.
    """

    indicator: str = Field(min_length=1, max_length=200)
    half_width: float = Field(gt=0, allow_inf_nan=False)
    level: float = Field(default=0.95, ge=0.5, le=0.9999)
    at_least: int = Field(default=4, ge=2, le=MAX_RUNS)
    at_most: int = Field(default=64, ge=2, le=MAX_RUNS)
    of: Literal["mean", "difference"] = "mean"

    @model_validator(mode="after")
    def _in_order(self) -> "Until":
        if self.at_most < self.at_least:
            raise ValueError(f"at_most: must be at least 'at_least' (given {self.at_most} and {self.at_least})")
        return self


class SweepSettings(Section):
    """How many runs, and what changes between them.

    Attributes:
        design: how the points lie. ``grid``: every combination of the values, the last parameter changing fastest;
            ``list``: the first value of every parameter, then the second, and so on; ``random``, ``lhs`` (Latin
            hypercube) and ``sobol`` (scrambled Sobol sequence): so many points in the ranges, each with every
            combination of the lists; ``saltelli`` and ``morris``: the points from which Sobol's and Morris's indices
            are worked out.
        points: samples of ``random``, ``lhs`` and ``sobol``.
        base: base samples of ``saltelli``, which has ``base`` x (parameters + 2) points.
        second_order: whether ``saltelli`` serves indices of pairs, too: ``base`` x (2 x parameters + 2) points.
        trajectories: trajectories of ``morris``, each of parameters + 1 points.
        levels: values of each parameter in ``morris``.
        file: CSV file with the points of a ``list``; its header has the dotted keys.
        replicates: runs of each point.
        seeds: ``common`` to all points, or ``independent``.
        until: how many replicates there are where that depends on what comes out.
        budget: what the sweep may use, as ``"500 runs"`` or ``"20 CPU h"``.
        parameters: values or range by dotted key.
    """

    design: Design = "grid"
    points: int | None = Field(default=None, ge=1, le=MAX_POINTS)
    base: int | None = Field(default=None, ge=2, le=MAX_POINTS)
    second_order: bool = False
    trajectories: int | None = Field(default=None, ge=2, le=MAX_POINTS)
    levels: int = Field(default=DEFAULT_LEVELS, ge=2, le=100)
    file: str | None = Field(default=None, min_length=1)
    replicates: int = Field(default=1, ge=1, le=MAX_RUNS)
    seeds: Literal["common", "independent"] = "common"
    until: Until | None = None
    budget: Annotated[str, AfterValidator(_budget_text)] | None = None
    parameters: dict[str, Axis] = Field(default_factory=dict)

    @property
    def first_replicates(self) -> int:
        """Replicates of each point that are wanted whatever comes out."""
        return self.replicates if self.until is None else self.until.at_least

    @property
    def most_replicates(self) -> int:
        """Replicates of each point that there may be."""
        return self.replicates if self.until is None else self.until.at_most

    @property
    def allowance(self) -> Budget | None:
        """The budget; None if there is none."""
        return None if self.budget is None else parse_budget(self.budget)

    @property
    def grows(self) -> bool:
        """Whether what is run depends on what came out or what it cost, so that the list of runs grows."""
        return self.until is not None or self.budget is not None
