"""Equity: how unevenly travel times, access, exposure or anything else is spread over people."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class EquityError(ValueError):
    """Values or weights without a measure of inequality; the message says what is allowed."""


class Theil(NamedTuple):
    """Theil's index and its parts.

    Attributes:
        total: of all people.
        between: what remains if everybody had the mean of their group.
        within: the rest, which is the groups' own indices weighted with their shares of the total value.
        groups: (groups,) index of each group; nan without people or where the group has nothing.
    """

    total: float
    between: float
    within: float
    groups: NDArray[np.float64]


def gini(values: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the Gini coefficient: half the mean difference of two people, over the mean.

    Args:
        values: (n,) not negative, for example minutes of travel.
        weights: (n,) people that each value stands for, 1 by default.

    Returns:
        0 if all have the same, towards 1 if one has everything; nan if nobody has anything.

    Raises:
        EquityError: if a value or weight is negative or no number, or there are no people.
    """
    value, weight = _checked(values, weights)
    order = np.argsort(value, kind="stable")
    value, weight = value[order], weight[order]
    total, people = weight @ value, weight.sum()
    if total == 0:
        return float("nan")
    # The mean difference: each person stands in the middle of the people of the same row.
    rank = np.cumsum(weight) - weight / 2.0
    return float(2.0 * (weight * value) @ rank / (people * total) - 1.0)


def theil(values: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return Theil's index T: the mean of value/mean · ln(value/mean).

    Args:
        values, weights: as for :func:`gini`; a value of 0 adds 0.

    Returns:
        0 if all have the same, ln n if one of n people has everything; nan if nobody has anything.

    Raises:
        EquityError: as :func:`gini`.
    """
    value, weight = _checked(values, weights)
    mean = weight @ value / weight.sum()
    if mean == 0:
        return float("nan")
    share = value / mean
    return float(weight @ (share * np.log(np.where(share > 0, share, 1.0))) / weight.sum())


def theil_by_group(values: ArrayLike, group: ArrayLike, weights: ArrayLike | None = None) -> Theil:
    """Return Theil's index split into inequality between groups and within them.

    Args:
        values: (n,) as for :func:`gini`.
        group: (n,) group of each row, from 0.
        weights: (n,) as for :func:`gini`.

    Raises:
        EquityError: as :func:`gini`, or if a group is below 0 or the lengths differ.
    """
    value, weight = _checked(values, weights)
    row = _groups(group, len(value))
    people = np.bincount(row, weight)
    owned = np.bincount(row, weight * value)
    mean = np.divide(owned, people, out=np.zeros(len(people)), where=people > 0)
    share = np.divide(value, mean[row], out=np.zeros(len(value)), where=mean[row] > 0)
    parts = np.bincount(row, weight * share * np.log(np.where(share > 0, share, 1.0)))
    own = np.divide(parts, people, out=np.full(len(people), np.nan), where=owned > 0)
    total = theil(value, weight)
    if np.isnan(total):
        return Theil(total, total, total, own)
    within = float(np.nansum(owned * own) / owned.sum())
    return Theil(total, theil(mean[people > 0], people[people > 0]), within, own)


def group_means(
    values: ArrayLike, group: ArrayLike, groups: int, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return the mean of each group: sum of value times people over people.

    Args:
        values: (n,) numbers of any sign.
        group: (n,) group of each row, from 0.
        groups: number of groups.
        weights: (n,) people that each value stands for, 1 by default.

    Returns:
        float64 (groups,), nan for a group without people.

    Raises:
        EquityError: as :func:`gini` but for the sign of values, or if a row is in none of the groups.
    """
    value, weight = _checked(values, weights, signed=True)
    row = _groups(group, len(value), groups)
    people = np.bincount(row, weight, groups)
    return np.divide(np.bincount(row, weight * value, groups), people, out=np.full(groups, np.nan), where=people > 0)


def worst_off(
    values: ArrayLike, weights: ArrayLike | None = None, *, share: float = 0.1, most_is_worst: bool = True
) -> float:
    """Return the mean of the people who are worst off.

    Args:
        values: (n,) numbers of any sign.
        weights: (n,) people that each value stands for, 1 by default.
        share: of all people; the default is a tenth. The row on the border counts in part.
        most_is_worst: whether large values are bad, as travel time and noise; otherwise small ones, as jobs reached.

    Raises:
        EquityError: if values or weights are no numbers, a weight is negative, there are no people, or ``share`` is not
            above 0 and at most 1.
    """
    if not 0.0 < share <= 1.0:
        raise EquityError(f"share of the worst off is {share}; allowed is above 0, at most 1")
    value, weight = _checked(values, weights, signed=True)
    order = np.argsort(-value if most_is_worst else value, kind="stable")
    value, weight = value[order], weight[order]
    wanted = share * weight.sum()
    before = np.cumsum(weight) - weight
    part = np.clip(wanted - before, 0.0, weight)
    return float(part @ value / part.sum())


def _groups(group: ArrayLike, rows: int, groups: int | None = None) -> NDArray[np.int64]:
    row = np.asarray(group, np.int64).ravel()
    last = np.inf if groups is None else groups - 1
    if len(row) != rows or row.min() < 0 or row.max() > last:
        most = "on" if groups is None else f"to {groups - 1}"
        raise EquityError(
            f"groups: one from 0 {most} for each of the {rows} values; got {len(row)} from {row.min()} to {row.max()}"
        )
    return row


def _checked(
    values: ArrayLike, weights: ArrayLike | None, *, signed: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    value = np.asarray(values, float).ravel()
    weight = np.ones(len(value)) if weights is None else np.asarray(weights, float).ravel()
    if value.shape != weight.shape:
        raise EquityError(f"{len(value)} values, but {len(weight)} weights; each value needs one")
    for name, array, low in (("values", value, -np.inf if signed else 0.0), ("weights", weight, 0.0)):
        bad = np.flatnonzero(~(np.isfinite(array) & (array >= low)))
        if len(bad):
            wanted = "a number" if low < 0 else "a number, not below 0"
            raise EquityError(f"{name}: row {bad[0]} is {array[bad[0]]}, must be {wanted} ({len(bad)} rows in all)")
    if weight.sum() == 0:
        raise EquityError("there are no people: no values, or weights that are all 0")
    return value, weight
