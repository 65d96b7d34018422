"""How evenly something is spread over people, before and after a change."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...environment.equity import gini, theil, theil_by_group, worst_off

Sides = dict[str, tuple[float, float]]
"""Figures by name: before, and after."""


def evenness(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    groups: Mapping[str, NDArray[np.int64]],
    *,
    most_is_worst: bool = True,
) -> Sides:
    """Return how evenly values are spread over people.

    Args:
        before, after: (people,) not negative.
        groups: (people,) group of each person, from 0, by what they are grouped by; Theil's index is split between and
            within them.
        most_is_worst: whether large values are bad.

    Returns:
        ``gini``; ``theil``, and for each grouping ``theil_between_…`` and ``theil_within_…``; ``worst_tenth`` (mean of the
        tenth of the people who are worst off); each before and after. And ``worst_change``: 0, and the mean change of the
        tenth of the people to whom the worst happens. Nothing without people.
    """
    if not len(before):
        return {}
    sides = before, after

    def both(measure: Any) -> tuple[float, float]:
        return float(measure(sides[0])), float(measure(sides[1]))

    found: Sides = {"gini": both(gini), "theil": both(theil)}
    for by, group in groups.items():
        first, second = (theil_by_group(values, group) for values in sides)
        found[f"theil_between_{by}"] = first.between, second.between
        found[f"theil_within_{by}"] = first.within, second.within
    found["worst_tenth"] = both(lambda values: worst_off(values, most_is_worst=most_is_worst))
    return found | {"worst_change": (0.0, worst_off(after - before, most_is_worst=most_is_worst))}
