"""Who gains and who loses between two points: travel time of the same people by zone, age, income, cars and mode."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...environment.groups import groups_of
from ..compare import LEVEL, interval
from ..storage.tables import StoreError
from .evenness import Sides, evenness
from .reading import TRIP_COLUMNS, TRIPS, Pairs, Rows, paired_trips, rows_of, run_pairs

if TYPE_CHECKING:
    import pandas as pd

    from ...environment.city import City
    from ..results import Results

NOTABLE = 60.0
"""Seconds a day by which somebody's travel time has to change to count as better or worse off."""
CAR_GROUPS = ("no car", "one car", "two cars or more")
ALL = "all"
ORDER = (ALL, "mode", "age", "income", "cars", "zone")
"""Groupings in the order in which they are shown."""
CROSSED = ("age", "income", "zone")
"""Groupings that are parted by mode, too."""


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
    """Yield the groupings of a pair of runs: everybody, mode, age, income and cars of the household if known, zone of home.

    Args:
        city: the city.
        pairs: the pairs.
        cars: (households,) cars of each household.
    """

    def by_person(by: str, names: list[str], group: NDArray[Any]) -> Grouping:
        whole = np.asarray(group, np.int64)
        return Grouping(by, names, whole[pairs.person], whole[pairs.alone])

    yield by_person(ALL, ["everybody"], np.zeros(len(city.people)))
    modes = mode_names()
    yield Grouping("mode", modes, np.where(pairs.mode_before < len(modes), pairs.mode_before, -1), None)
    groups = groups_of(city)
    zones = groups.pop("zone")
    for by, (names, of) in groups.items():
        yield by_person(by, names, of)
    if cars is not None:
        yield by_person("cars", list(CAR_GROUPS), np.minimum(cars, len(CAR_GROUPS) - 1)[city.people.household])
    yield by_person("zone", *zones)


def mode_names() -> list[str]:
    """Return the names of the modes by number."""
    from ...agents.traffic.demand import Mode

    return [mode.name.lower() for mode in Mode]


def crossed(grouping: Grouping, pairs: Pairs) -> Grouping:
    """Return the trips of a grouping parted by the mode before, too: all modes of a group one after the other."""
    modes = mode_names()
    known = (grouping.group >= 0) & (pairs.mode_before < len(modes))
    names = [name for name in grouping.names for _ in modes]
    return Grouping(grouping.by, names, np.where(known, grouping.group * len(modes) + pairs.mode_before, -1), None)


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


def day_minutes(pairs: Pairs) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return who travels on trips that end in both runs, and the minutes a day of each in one run and in the other."""
    both = np.isfinite(pairs.before) & np.isfinite(pairs.after)
    people, place = np.unique(pairs.person[both], return_inverse=True)
    first, second = (
        np.bincount(place, seconds[both], len(people)) / pairs.days / 60.0 for seconds in (pairs.before, pairs.after)
    )
    return people, first, second


class Gains(NamedTuple):
    """Who gains and who loses.

    Attributes:
        travel: a row a group: ``by`` (all, mode, age, income, cars or zone), ``group``, ``pairs`` (of runs), the columns of
            :func:`changes` as means over the pairs of runs, and ``low`` and ``high`` (interval of ``change``).
        cross: the same by group of :data:`CROSSED` and ``mode``, without trips that only one run has.
        even: how evenly minutes of travel are spread over those who travel, means over the pairs of runs.
    """

    travel: "pd.DataFrame"
    cross: "pd.DataFrame"
    even: Sides


def gains(results: "Results", point: int, baseline: int = 0) -> Gains:
    """Return who gains and who loses at a point, against a baseline, runs of one seed and trips of one person paired.

    Args:
        results: results with a table ``trips``.
        point: the point.
        baseline: the point with which it is compared.

    Raises:
        StoreError: if there is no such point, no pair of runs, or the points have other people.
    """
    import pandas as pd

    from ..reports.geo import city_of

    city = city_of(results, baseline)
    other = city_of(results, point)
    if not np.array_equal(city.people.household, other.people.household):
        raise StoreError(f"points {baseline} and {point} have cities with other people; they cannot be compared")
    whole, cross = _Table(), _Table()
    even: dict[str, list[tuple[float, float]]] = {}
    parts = groups_of(city)
    modes = mode_names()
    for seed, first, second in run_pairs(results, point, baseline):
        pairs = paired_trips(
            rows_of(results, TRIPS, first, TRIP_COLUMNS), rows_of(results, TRIPS, second, TRIP_COLUMNS)
        )
        for grouping in groupings(city, pairs, _cars(results, city, baseline, seed)):
            whole.add([{"by": grouping.by, "group": name} for name in grouping.names], changes(pairs, grouping))
            if grouping.by in CROSSED:
                by_mode = crossed(grouping, pairs)
                heads = [
                    {"by": by_mode.by, "group": name, "mode": modes[number % len(modes)]}
                    for number, name in enumerate(by_mode.names)
                ]
                cross.add(heads, changes(pairs, by_mode))
        who, before, after = day_minutes(pairs)
        for measure, values in evenness(before, after, {by: of[who] for by, (_, of) in parts.items()}).items():
            even.setdefault(measure, []).append(values)
    means = {measure: tuple(np.mean(values, axis=0).tolist()) for measure, values in even.items()}
    return Gains(
        pd.DataFrame(whole.rows()), pd.DataFrame(cross.rows()).drop(columns="unpaired", errors="ignore"), means
    )


class _Table:
    """Rows by group, one for each pair of runs in which the group has people."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, int], tuple[dict[str, str], list[dict[str, float]]]] = {}

    def add(self, heads: list[dict[str, str]], columns: Rows) -> None:
        """Add what :func:`changes` found for a grouping.

        Args:
            heads: what is said of each group.
            columns: (groups,) by name.
        """
        at = ORDER.index(heads[0]["by"])
        for number, head in enumerate(heads):
            row = {name: float(values[number]) for name, values in columns.items()}
            if row["people"]:
                self._found.setdefault((at, number), (head, []))[1].append(row)

    def rows(self) -> list[dict[str, Any]]:
        """Return the means over the pairs of runs, and the interval of the change, in the order of groupings and groups."""
        rows: list[dict[str, Any]] = []
        for _, (head, parts) in sorted(self._found.items(), key=lambda entry: entry[0]):
            low, high = interval(np.array([part["change"] for part in parts]), LEVEL)
            means = {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}
            rows.append(head | {"pairs": len(parts)} | means | {"low": low, "high": high})
        return rows


def _cars(results: "Results", city: "City", point: int, seed: int) -> NDArray[np.integer] | None:
    """Return the cars of each household, as traffic draws them for a seed; None without traffic."""
    from ...agents.traffic.cars import means_of
    from ...agents.traffic.settings import TrafficSettings

    settings = results.scenario.at_point(results.points[point]).processes.get("traffic")
    return means_of(city, seed, settings.ownership).cars if isinstance(settings, TrafficSettings) else None
