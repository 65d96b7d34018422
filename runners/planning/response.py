"""How soon help came: response times of the table ``incidents`` by service, priority and zone, of two points paired by seed.

A response time is from the call to the first unit of a service at the scene. A call counts once for each service that it
asks; one to whom nobody came has no time, and is not in time.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..compare import LEVEL, interval
from ..reports.geo import city_of
from ..storage.tables import StoreError
from .reading import rows_of, run_pairs, runs_of, with_pairs

if TYPE_CHECKING:
    import pandas as pd

    from ..results import Results

INCIDENTS = "incidents"
SERVICES = {10: "ambulances", 9: "fire engines", 11: "police"}
"""What tables call the services, by ``responders.Service``."""
FEW = 5
"""Calls of a zone and run from which its mean response time is told (assumed); that of fewer is chance."""
EVERY = "all calls"
_COLUMNS = ("incident", "service", "priority", "zone", "called", "arrived")
FIGURES = ("median", "late", "in_time")
"""Median and 90th percentile of the response time in minutes, and share of the calls reached in time."""


@dataclass(frozen=True)
class Responses:
    """Calls of a run, a row a call and service that it asks (n,).

    Attributes:
        service: ``responders.Service``.
        priority: that of the unit which was first there, or first asked if nobody came.
        zone: zone of the scene, −1 outside.
        hour: hour of the day of the call, 0 to 23.
        minutes: response time; not a number where nobody has come.
        in_time: whether somebody came within the target of the priority.
    """

    service: NDArray[np.int64]
    priority: NDArray[np.int64]
    zone: NDArray[np.int64]
    hour: NDArray[np.int64]
    minutes: NDArray[np.float64]
    in_time: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.minutes)

    def figures(self, rows: NDArray[np.bool_]) -> dict[str, float]:
        """Return ``calls`` and the figures of :data:`FIGURES` of some calls."""
        minutes = self.minutes[rows & np.isfinite(self.minutes)]
        median, late = np.percentile(minutes, (50, 90)) if len(minutes) else (np.nan, np.nan)
        in_time = float(self.in_time[rows].mean()) if rows.any() else float("nan")
        return {"calls": float(rows.sum()), "median": float(median), "late": float(late), "in_time": in_time}


def responses_of(results: "Results", point: int, run: str) -> Responses:
    """Return the calls of a run of a point."""
    rows = rows_of(results, INCIDENTS, run, _COLUMNS)
    settings = results.scenario.at_point(results.points[point]).processes["response"]
    targets = np.array(settings.targets)  # type: ignore[attr-defined]
    asked = rows["incident"].astype(np.int64) * 16 + rows["service"].astype(np.int64)
    came = np.nan_to_num(rows["arrived"].astype(float), nan=np.inf)
    order = np.lexsort((np.arange(len(asked)), came, asked))
    first = order[np.flatnonzero(np.diff(asked[order], prepend=-1))]
    priority, called = rows["priority"][first].astype(np.int64), rows["called"][first].astype(float)
    seconds = rows["arrived"][first].astype(float) - called
    return Responses(
        service=rows["service"][first].astype(np.int64),
        priority=priority,
        zone=rows["zone"][first].astype(np.int64),
        hour=(called // 3600).astype(np.int64) % 24,
        minutes=seconds / 60.0,
        in_time=np.nan_to_num(seconds, nan=np.inf) <= targets[np.minimum(priority, len(targets) - 1)],
    )


def has_responses(results: "Results") -> bool:
    """Return whether results hold what became of every call."""
    return INCIDENTS in results.tables and "response" in results.scenario.processes


Paired = list[tuple[Responses | None, Responses]]
"""Runs of one seed at the baseline, None if there is nothing to compare with, and at a point."""


@dataclass(frozen=True)
class Answered:
    """How soon help came at a point, against a baseline; ``before`` is missing for the baseline itself.

    Attributes:
        point: the point.
        priorities: a row a service and priority: ``service``, ``group``, ``calls``, and for each of :data:`FIGURES` the
            mean over the runs ``after``, ``before``, and their ``change`` with its interval ``low``, ``high``.
        zones: a row a service and zone with enough calls, likewise with ``mean``, its mean response in minutes.
        evenness: a row a service and measure: ``gini`` of the zones' mean response, each zone as often as it has calls;
            ``worst_zone``, the longest of them; ``worst_tenth``, mean of the tenth of the calls that waited longest.
    """

    point: int
    priorities: "pd.DataFrame"
    zones: "pd.DataFrame"
    evenness: "pd.DataFrame"


def answered(results: "Results", baseline: int = 0, points: Collection[int] | None = None) -> Iterator[Answered]:
    """Yield the baseline, or if there are others every point against it that has runs of its seeds.

    Args:
        results: the results.
        baseline: point with which the others are compared.
        points: those that are wanted; all if None.

    Raises:
        StoreError: if there is no run of the baseline, or a table cannot be read.
    """
    if not has_responses(results):
        return
    names = _zone_names(results, baseline)
    base = {run: responses_of(results, baseline, run) for run in runs_of(results, baseline).values()}
    alone = set(results.summary["point"].tolist()) == {baseline}
    for point in [baseline] if alone else with_pairs(results, baseline):
        if points is not None and point not in points:
            continue
        if point == baseline:
            pairs: Paired = [(None, run) for run in base.values()]
        else:
            pairs = [
                (base[first], responses_of(results, point, second))
                for _, first, second in run_pairs(results, point, baseline)
            ]
        yield Answered(point, _by_priority(pairs), _by_zone(pairs, names), _evenness(pairs))


def _by_priority(pairs: Paired) -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for service, name in SERVICES.items():
        there = [run.priority[run.service == service] for _, run in pairs]
        for priority in [-1, *np.unique(np.concatenate(there)).tolist()]:
            sides = [
                tuple(None if run is None else run.figures(_chosen(run, service, priority)) for run in pair)
                for pair in pairs
            ]
            if any(after["calls"] for _, after in sides if after):
                group = EVERY if priority < 0 else f"priority {priority}"
                rows.append({"service": name, "group": group} | _means(sides, ("calls", *FIGURES)))
    return pd.DataFrame(rows)


def _chosen(run: Responses, service: int, priority: int) -> NDArray[np.bool_]:
    mine = run.service == service
    return mine if priority < 0 else mine & (run.priority == priority)


def _means(sides: list[Any], figures: tuple[str, ...]) -> dict[str, float]:
    """Return the mean of each figure on both sides, and of what changed, with its interval."""
    row: dict[str, float] = {}
    for name in figures:
        after = np.array([second[name] for _, second in sides])
        before = np.array([np.nan if first is None else first[name] for first, _ in sides])
        change = (after - before)[np.isfinite(after - before)]
        low, high = interval(change, LEVEL)
        for column, values in (("", after), ("_before", before), ("_change", change)):
            known = values[np.isfinite(values)]
            row[name + column] = float(known.mean()) if len(known) else float("nan")
        row |= {f"{name}_low": low, f"{name}_high": high}
    return row


def zone_means(run: Responses, service: int, zones: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the mean response in minutes of each zone, and how many calls it is of."""
    known = (run.service == service) & (run.zone >= 0) & np.isfinite(run.minutes)
    calls = np.bincount(run.zone[known], minlength=zones)
    total = np.bincount(run.zone[known], run.minutes[known], minlength=zones)
    return np.divide(total, calls, out=np.full(zones, np.nan), where=calls > 0), calls


def _by_zone(pairs: Paired, names: list[str]) -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for service, label in SERVICES.items():
        found = [[None if run is None else zone_means(run, service, len(names)) for run in pair] for pair in pairs]
        for zone, name in enumerate(names):
            sides = [
                tuple(None if side is None else {"mean": side[0][zone], "calls": float(side[1][zone])} for side in pair)
                for pair in found
            ]
            if np.mean([after["calls"] for _, after in sides if after]) >= FEW:
                rows.append({"service": label, "zone": name} | _means(sides, ("calls", "mean")))
    return pd.DataFrame(rows)


def _evenness(pairs: Paired) -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for service, label in SERVICES.items():
        sides = [tuple(None if run is None else _spread(run, service) for run in pair) for pair in pairs]
        if all(after for _, after in sides):
            row = _means(sides, ("gini", "worst_zone", "worst_tenth"))
            for measure in ("gini", "worst_zone", "worst_tenth"):
                parts = ("", "_before", "_change", "_low", "_high")
                rows.append({"service": label, "measure": measure} | {f"value{p}": row[measure + p] for p in parts})
    return pd.DataFrame(rows)


def _spread(run: Responses, service: int) -> dict[str, float] | None:
    from ...environment.equity import gini, worst_off

    minutes = run.minutes[(run.service == service) & np.isfinite(run.minutes)]
    mean, calls = zone_means(run, service, int(run.zone.max(initial=0)) + 1)
    told = calls >= FEW
    if not told.any():
        return None
    return {
        "gini": gini(mean[told], calls[told]),
        "worst_zone": float(mean[told].max()),
        "worst_tenth": worst_off(minutes),
    }


def _zone_names(results: "Results", point: int) -> list[str]:
    from ...environment.schema import CityError

    try:
        layer = city_of(results, point).layer("zones")
    except (StoreError, CityError):  # results in memory, or a city that is gone: numbers will do
        layer = None
    if layer is not None and "name" in layer:
        return [str(name) for name in layer["name"]]
    most = max(
        int(rows_of(results, INCIDENTS, run, ("zone",))["zone"].max(initial=0))
        for run in runs_of(results, point).values()
    )
    return [f"zone {number}" for number in range(most + 1 if layer is None else len(layer))]
