"""Who gains and who loses between two points: travel time of the same people by zone of home, age, cars and mode."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..compare import LEVEL, interval
from ..tables import StoreError
from .reading import TRIP_COLUMNS, TRIPS, Pairs, Rows, columns_of, paired_trips, rows_of, runs_of

if TYPE_CHECKING:
    import pandas as pd

    from ...environment.city import City
    from ..results import Results

NOTABLE = 60.0
"""Seconds a day by which somebody's travel time has to change to count as better or worse off."""
AGE_GROUPS = {"0–17": 0, "18–29": 18, "30–64": 30, "65+": 65}
"""First age of each group."""
CAR_COLUMN = "cars"
"""Column of the trips table with the cars of the person's household, where there is one."""
CAR_GROUPS = ("no car", "one car", "two cars or more")
ALL = "all"


@dataclass(frozen=True)
class Grouping:
    """A way to part people.

    Attributes:
        by: what it goes by.
        names: name of each group.
        group: int64 (pairs,) group of each pair of trips, −1 for none.
    """

    by: str
    names: list[str]
    group: NDArray[np.int64]


def groupings(city: "City", pairs: Pairs) -> Iterator[Grouping]:
    """Yield the groupings of a pair of runs: everybody, zone of home, age, cars of the household if known, and mode."""
    from ...agents.traffic.demand import Mode

    yield Grouping(ALL, ["everybody"], np.zeros(len(pairs.person), np.int64))
    layer = city.layer("zones")
    zones = len(city.zones)
    names = [str(name) for name in layer["name"]] if layer is not None and "name" in layer else []
    zone = city.places.zone[city.people.household[pairs.person]].astype(np.int64)
    yield Grouping("zone", names or [f"zone {number}" for number in range(zones)], zone)
    age = np.searchsorted(list(AGE_GROUPS.values()), city.people.age[pairs.person], side="right") - 1
    yield Grouping("age", list(AGE_GROUPS), age)
    if CAR_COLUMN in pairs.extra:
        yield Grouping("cars", list(CAR_GROUPS), np.clip(pairs.extra[CAR_COLUMN].astype(np.int64), 0, 2))
    modes = [mode.name.lower() for mode in Mode]
    yield Grouping("mode", modes, np.where(pairs.mode_before < len(modes), pairs.mode_before, -1))


def changes(pairs: Pairs, grouping: Grouping) -> Rows:
    """Return by group how the travel time of its people changed.

    A person's time of a day is the sum over those of their trips that belong to the group and ended in both runs. Who
    no longer arrives on some trip is worse off, who now arrives where they did not is better off, unless both happen.

    Returns:
        Columns (groups,): ``people``; ``before`` and ``change`` (mean minutes a person and day); ``better`` and
        ``worse`` (shares of the people); ``stranded`` (trips a day that no longer arrive, less those that now do).
    """
    count = len(grouping.names)
    rows = grouping.group >= 0
    person = pairs.person[rows]
    people = int(person.max()) + 1 if len(person) else 1
    member, place = np.unique(grouping.group[rows] * people + person, return_inverse=True)
    group = member // people
    before, after = pairs.before[rows], pairs.after[rows]
    both = np.isfinite(before) & np.isfinite(after)
    lost = np.isfinite(before) & ~np.isfinite(after)
    won = ~np.isfinite(before) & np.isfinite(after)

    def summed(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.bincount(place, values, len(member)) / pairs.days

    first, change = summed(np.where(both, before, 0.0)), summed(np.where(both, after - before, 0.0))
    missed, made = summed(lost) > 0, summed(won) > 0
    worse = np.where(missed != made, missed, change > NOTABLE)
    better = np.where(missed != made, made, change < -NOTABLE)
    members = np.bincount(group, minlength=count)
    several = np.where(members > 0, members, np.nan)

    def mean(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.bincount(group, values, count) / several

    return {
        "people": members,
        "before": mean(first) / 60.0,
        "change": mean(change) / 60.0,
        "better": mean(better),
        "worse": mean(worse),
        "stranded": np.bincount(group, summed(lost) - summed(won), count),
    }


def gains(results: "Results", point: int, baseline: int = 0) -> "pd.DataFrame":
    """Return who gains and who loses at a point, against a baseline, runs of one seed and trips of one person paired.

    Args:
        results: results with a table ``trips``.
        point: the point.
        baseline: the point with which it is compared.

    Returns:
        A row a group: ``by`` (all, zone, age, cars or mode), ``group``, ``pairs`` (of runs), the columns of
        :func:`changes` as means over the pairs of runs, and ``low`` and ``high`` (interval of ``change``).

    Raises:
        StoreError: if there is no such point, no pair of runs, or the points have other people.
    """
    import pandas as pd

    from ..geo import city_of

    city = city_of(results, baseline)
    other = city_of(results, point)
    if not np.array_equal(city.people.household, other.people.household):
        raise StoreError(f"points {baseline} and {point} have cities with other people; they cannot be compared")
    found: dict[tuple[str, int, str], list[dict[str, float]]] = {}
    for first, second in run_pairs(results, point, baseline):
        pairs = pairs_of(results, first, second)
        for grouping in groupings(city, pairs):
            columns = changes(pairs, grouping)
            for number, name in enumerate(grouping.names):
                row = {key: float(values[number]) for key, values in columns.items()}
                if row["people"]:
                    found.setdefault((grouping.by, number, name), []).append(row)
    rows = []
    for (by, _, name), parts in found.items():
        low, high = interval(np.array([part["change"] for part in parts]), LEVEL)
        means = {key: float(np.mean([part[key] for part in parts])) for key in parts[0]}
        rows.append({"by": by, "group": name, "pairs": len(parts)} | means | {"low": low, "high": high})
    order = {by: number for number, by in enumerate((ALL, "mode", "age", "cars", "zone"))}
    return pd.DataFrame(sorted(rows, key=lambda row: order[str(row["by"])]))


def run_pairs(results: "Results", point: int, baseline: int) -> list[tuple[str, str]]:
    """Return the runs of the baseline and of a point that have the same seed.

    Raises:
        StoreError: if there is none.
    """
    base, runs = runs_of(results, baseline), runs_of(results, point)
    pairs = [(base[seed], run) for seed, run in runs.items() if seed in base]
    if not pairs:
        raise StoreError(f"points {baseline} and {point}: no seed of which both are in the results yet")
    return pairs


def pairs_of(results: "Results", before: str, after: str) -> Pairs:
    """Return the trips of the same people in two runs."""
    extra = tuple({CAR_COLUMN} & columns_of(results, TRIPS))
    first, second = (rows_of(results, TRIPS, run, (*TRIP_COLUMNS, *extra)) for run in (before, after))
    return paired_trips(first, second, extra)
