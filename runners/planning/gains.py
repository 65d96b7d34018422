"""Who gains and who loses between two points: travel time of the same people by zone of home, age, cars and mode."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..compare import LEVEL, interval
from ..tables import StoreError
from .reading import TRIP_COLUMNS, TRIPS, Pairs, Rows, paired_trips, rows_of, runs_of

if TYPE_CHECKING:
    import pandas as pd

    from ...environment.city import City
    from ..results import Results

NOTABLE = 60.0
"""Seconds a day by which somebody's travel time has to change to count as better or worse off."""
AGE_GROUPS = {"0–17": 0, "18–29": 18, "30–64": 30, "65+": 65}
"""First age of each group."""
CAR_GROUPS = ("no car", "one car", "two cars or more")
ALL = "all"


@dataclass(frozen=True)
class Grouping:
    """A way to part people, or their trips.

    Attributes:
        by: what it goes by.
        names: name of each group.
        group: int64 (pairs,) group of each pair of trips, −1 for none.
        alone: int64 (m,) group of each trip without a partner; None if only pairs can be parted so.
    """

    by: str
    names: list[str]
    group: NDArray[np.int64]
    alone: NDArray[np.int64] | None


def groupings(city: "City", pairs: Pairs, cars: NDArray[np.integer] | None = None) -> Iterator[Grouping]:
    """Yield the groupings of a pair of runs: everybody, mode, age, cars of the household if known, and zone of home.

    Args:
        city: the city.
        pairs: the pairs.
        cars: (households,) cars of each household.
    """
    from ...agents.traffic.demand import Mode

    def by_person(by: str, names: list[str], group: NDArray[Any]) -> Grouping:
        whole = np.asarray(group, np.int64)
        return Grouping(by, names, whole[pairs.person], whole[pairs.alone])

    people = city.people
    yield by_person(ALL, ["everybody"], np.zeros(len(people)))
    modes = [mode.name.lower() for mode in Mode]
    yield Grouping("mode", modes, np.where(pairs.mode_before < len(modes), pairs.mode_before, -1), None)
    age = np.searchsorted(list(AGE_GROUPS.values()), people.age, side="right") - 1
    yield by_person("age", list(AGE_GROUPS), age)
    if cars is not None:
        yield by_person("cars", list(CAR_GROUPS), np.minimum(cars, len(CAR_GROUPS) - 1)[people.household])
    layer = city.layer("zones")
    names = [str(name) for name in layer["name"]] if layer is not None and "name" in layer else []
    names = names or [f"zone {number}" for number in range(len(city.zones))]
    yield by_person("zone", names, city.places.zone[people.household])


def changes(pairs: Pairs, grouping: Grouping) -> Rows:
    """Return by group how the travel time of its people changed.

    A person's time of a day is the sum over those of their trips that belong to the group and ended in both runs. Who
    no longer arrives on some trip is worse off, who now arrives where they did not is better off, unless both happen.

    Returns:
        Columns (groups,): ``people``; ``before`` and ``change`` (mean minutes a person and day); ``better`` and
        ``worse`` (shares of the people); ``stranded`` (trips a day that no longer arrive, less those that now do);
        ``unpaired`` (trips a day that only one of the runs has; missing if they cannot be parted so).
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
        "unpaired": np.full(count, np.nan)
        if grouping.alone is None
        else np.bincount(grouping.alone[grouping.alone >= 0], minlength=count) / pairs.days,
    }


def day_minutes(pairs: Pairs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the minutes a day that each person travels in one run and in the other, on trips that end in both."""
    both = np.isfinite(pairs.before) & np.isfinite(pairs.after)
    people, place = np.unique(pairs.person[both], return_inverse=True)
    first, second = (
        np.bincount(place, seconds[both], len(people)) / pairs.days / 60.0 for seconds in (pairs.before, pairs.after)
    )
    return first, second


def evenness(pairs: Pairs) -> dict[str, tuple[float, float]]:
    """Return how evenly travel times of a day are spread over people, in one run and in the other.

    Returns:
        ``gini``, ``theil``, and ``worst_tenth`` (mean minutes of the tenth of the people who travel longest), each in one
        run and in the other; and ``worst_change``: 0, and the mean change in minutes of the tenth who lose most.
    """
    from ...environment.equity import gini, theil, worst_off

    sides = day_minutes(pairs)
    if not len(sides[0]):
        return {}
    found = {
        name: (measure(sides[0]), measure(sides[1]))
        for name, measure in (("gini", gini), ("theil", theil), ("worst_tenth", worst_off))
    }
    return found | {"worst_change": (0.0, worst_off(sides[1] - sides[0]))}


def gains(results: "Results", point: int, baseline: int = 0) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Return who gains and who loses at a point, against a baseline, runs of one seed and trips of one person paired.

    Args:
        results: results with a table ``trips``.
        point: the point.
        baseline: the point with which it is compared.

    Returns:
        A row a group: ``by`` (all, mode, age, cars or zone), ``group``, ``pairs`` (of runs), the columns of
        :func:`changes` as means over the pairs of runs, and ``low`` and ``high`` (interval of ``change``). And a row a
        measure of :func:`evenness`: ``measure``, ``before``, ``after`` (means over the pairs of runs).

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
    even: dict[str, list[tuple[float, float]]] = {}
    for seed, first, second in run_pairs(results, point, baseline):
        pairs = paired_trips(
            rows_of(results, TRIPS, first, TRIP_COLUMNS), rows_of(results, TRIPS, second, TRIP_COLUMNS)
        )
        for grouping in groupings(city, pairs, _cars(results, city, baseline, seed)):
            columns = changes(pairs, grouping)
            for number, name in enumerate(grouping.names):
                row = {key: float(values[number]) for key, values in columns.items()}
                if row["people"]:
                    found.setdefault((grouping.by, number, name), []).append(row)
        for measure, values in evenness(pairs).items():
            even.setdefault(measure, []).append(values)
    rows = []
    for (by, _, name), parts in found.items():
        low, high = interval(np.array([part["change"] for part in parts]), LEVEL)
        means = {key: float(np.mean([part[key] for part in parts])) for key in parts[0]}
        rows.append({"by": by, "group": name, "pairs": len(parts)} | means | {"low": low, "high": high})
    order = {by: number for number, by in enumerate((ALL, "mode", "age", "cars", "zone"))}
    spread = [
        {"measure": measure} | dict(zip(("before", "after"), np.mean(values, axis=0).tolist(), strict=True))
        for measure, values in even.items()
    ]
    return pd.DataFrame(sorted(rows, key=lambda row: order[str(row["by"])])), pd.DataFrame(spread)


def _cars(results: "Results", city: "City", point: int, seed: int) -> NDArray[np.integer] | None:
    """Return the cars of each household, as traffic draws them for a seed; None without traffic."""
    from ...agents.traffic.cars import means_of
    from ...agents.traffic.settings import TrafficSettings

    settings = results.scenario.at_point(results.points[point]).processes.get("traffic")
    return means_of(city, seed, settings.ownership).cars if isinstance(settings, TrafficSettings) else None


def run_pairs(results: "Results", point: int, baseline: int) -> list[tuple[int, str, str]]:
    """Return each seed of which baseline and point both have a run, with the run of the baseline and that of the point.

    Raises:
        StoreError: if there is none.
    """
    base, runs = runs_of(results, baseline), runs_of(results, point)
    pairs = [(seed, base[seed], run) for seed, run in runs.items() if seed in base]
    if not pairs:
        raise StoreError(f"points {baseline} and {point}: no seed of which both are in the results yet")
    return pairs
