"""Compare the points of a sweep with a baseline, pairing runs of one seed.

Every point has the same seeds and every draw is a hash of the seed, so two runs of one seed differ by their policies
alone. The mean of the paired differences therefore varies much less than the difference of two means; a point compared
with itself differs by exactly 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isnan, log10, sqrt
from typing import TYPE_CHECKING

import numpy as np

from .tables import ID_COLUMNS, StoreError

if TYPE_CHECKING:
    import pandas as pd

    from .results import Results

LEVEL = 0.90
"""Probability with which an interval is meant to hold the expected difference."""


@dataclass(frozen=True)
class Measure:
    """A figure of the summary by which points are compared.

    Attributes:
        column: column of the summary.
        label: what tables call it.
        unit: unit of ``scale`` times the column.
        scale: factor from the column to the unit.
        decimals: digits shown after the point.
        change: unit of a difference.
        if_any: whether it is left out where it is 0 in all runs.
    """

    column: str
    label: str
    unit: str
    scale: float = 1.0
    decimals: int = 0
    change: str = ""
    if_any: bool = False


PEAKS = ("peak_infectious", "peak_day")
"""Measures that are bounds where :func:`still_rising`."""


def _of_service(service: str, label: str) -> tuple[Measure, ...]:
    """Return the measures of an emergency service."""
    return (
        Measure(f"{service}_calls", f"calls for {label}", "calls", if_any=True),
        Measure(f"{service}_response_median_minutes", f"{label}, median response", "min", 1.0, 2, if_any=True),
        Measure(f"{service}_response_p90_minutes", f"{label}, 90 % reached within", "min", 1.0, 2, if_any=True),
        Measure(f"{service}_in_time_share", f"{label} in time", "%", 100.0, 1, "percentage points", if_any=True),
        Measure(f"{service}_busy", f"{label} busy", "% of duty", 100.0, 1, "percentage points", if_any=True),
    )


MEASURES = (
    Measure("attack_rate", "attack rate", "%", 100.0, 1, "percentage points"),
    Measure("infections", "infections", "people"),
    Measure("peak_infectious", "peak", "infectious people"),
    Measure("peak_day", "peak day", "day", 1.0, 1, "days"),
    Measure("deaths", "deaths", "people", if_any=True),
    Measure("peak_hospital_patients", "peak in hospital", "patients", if_any=True),
    Measure("lost_school_days", "school lost", "person-days", if_any=True),
    Measure("lost_work_days", "work lost", "person-days", if_any=True),
    Measure("tests", "tests", "tests", if_any=True),
    Measure("doses", "doses", "doses", if_any=True),
    Measure("trips", "travel", "trips", if_any=True),
    Measure("share_car", "trips by car", "%", 100.0, 1, "percentage points", if_any=True),
    Measure("share_passenger", "as passenger", "%", 100.0, 1, "percentage points", if_any=True),
    Measure("share_transit", "by public transport", "%", 100.0, 1, "percentage points", if_any=True),
    Measure("share_bicycle", "by bicycle", "%", 100.0, 1, "percentage points", if_any=True),
    Measure("share_walk", "on foot", "%", 100.0, 1, "percentage points", if_any=True),
    Measure("minutes_by_car", "time of a trip by car", "min", 1.0, 2, if_any=True),
    Measure("vehicle_km", "driven", "vehicle-km", if_any=True),
    Measure("vehicle_hours", "time driven", "vehicle-hours", if_any=True),
    Measure("delay_hours", "delay", "vehicle-hours", 1.0, 1, if_any=True),
    Measure("bus_delay_minutes", "buses late by", "min", 1.0, 2, if_any=True),
    Measure("left_behind", "full vehicles seen to leave", "times", if_any=True),
    Measure("parking_minutes", "search for a place to park", "min", 1.0, 2, if_any=True),
    Measure("without_place", "found no place to park", "trips", if_any=True),
    Measure("co2_t", "CO2", "t", 1.0, 2, if_any=True),
    Measure("nox_kg", "nitrogen oxides", "kg", 1.0, 1, if_any=True),
    Measure("pm10_kg", "PM10", "kg", 1.0, 2, if_any=True),
    Measure("pm25_kg", "PM2.5", "kg", 1.0, 2, if_any=True),
    Measure("nox_exposure", "NOx of traffic breathed", "ug/m3", 1.0, 3, if_any=True),
    Measure("pm25_exposure", "PM2.5 of traffic breathed", "ug/m3", 1.0, 4, if_any=True),
    Measure("gini_nox", "inequality of NOx breathed", "Gini", 1.0, 3, if_any=True),
    Measure("noise_above_55", "people above 55 dB Lden", "%", 100.0, 1, "percentage points", if_any=True),
    Measure("noise_above_65", "people above 65 dB Lden", "%", 100.0, 1, "percentage points", if_any=True),
    Measure("not_arrived", "not arrived", "trips", if_any=True),
    Measure("forced_moves", "forced moves", "vehicles", if_any=True),
    *_of_service("ambulance", "ambulances"),
    *_of_service("fire", "fire engines"),
    *_of_service("police", "police"),
    Measure("tasks_waiting", "units still waited for", "units", if_any=True),
    Measure("tasks_cancelled", "callers who gave up", "units", if_any=True),
    Measure("tasks_lost", "left to others", "units", if_any=True),
    Measure("brought_to_hospital", "brought to hospital", "patients", if_any=True),
    Measure("handover_minutes", "handover", "min", 1.0, 2, if_any=True),
    Measure("late_handovers", "handovers above 30 min", "times", if_any=True),
    Measure("diverted", "sent on to another hospital", "patients", if_any=True),
)
"""What is compared; columns that a summary lacks are left out."""


def measures_in(summary: "pd.DataFrame") -> list[Measure]:
    """Return the measures that a summary has."""
    there = (measure for measure in MEASURES if measure.column in summary.columns)
    return [measure for measure in there if not measure.if_any or bool((summary[measure.column] != 0).any())]


def figures_in(results: "Results") -> list[Measure]:
    """Return what is compared: the known measures or, of somebody's own model, all numbers that its summary has."""
    known = measures_in(results.summary)
    if known or results.is_of_city:
        return known
    numbers = results.summary.select_dtypes("number")
    own = [name for name in numbers if name not in (*ID_COLUMNS, *results.info["parameters"])]
    return [Measure(name, name, "", decimals=_decimals(numbers[name])) for name in own]


def _decimals(values: "pd.Series") -> int:
    """Return the digits after the point with which three digits of the largest value are shown."""
    largest = float(values.abs().max())
    return 0 if largest == 0 or isnan(largest) else min(max(2 - floor(log10(largest)), 0), 12)


def still_rising(summary: "pd.DataFrame") -> dict[int, int]:
    """Return by point the number of runs with most infectious people on their last day; points without one are left out.

    Of those the peak lies beyond the end of the clock: it is at least as large and as late as the summary has it.
    """
    if not {"peak_day", "peak_infectious", "days"} <= set(summary.columns):
        return {}
    cut = summary[(summary["peak_day"] == summary["days"] - 1) & (summary["peak_infectious"] > 0)]
    return {int(point): len(rows) for point, rows in cut.groupby("point", sort=True)}


def compare(
    summary: "pd.DataFrame", baseline: int = 0, *, level: float = LEVEL, measures: Sequence[Measure] | None = None
) -> "pd.DataFrame":
    """Return how each point differs from the baseline point.

    The interval is the mean of the paired differences plus or minus the quantile of Student's t distribution with
    n − 1 degrees of freedom times their standard error (Student 1908), for n pairs of runs of one seed.

    Args:
        summary: a row a run, with ``point``, ``seed`` and the columns of :data:`MEASURES`; runs may be missing.
        baseline: the point with which all are compared.
        level: probability of the interval.
        measures: what is compared; those of :data:`MEASURES` that the summary has if None.

    Returns:
        A row a point and measure: ``point``, ``measure`` (column of the summary), ``runs`` (at the point), ``mean``
        (over them), ``pairs`` (seeds that both points have), ``difference`` (mean over the pairs; missing without
        one), ``low`` and ``high`` (the interval; missing with fewer than two pairs). All in units of the summary.

    Raises:
        StoreError: if the baseline has no run.
    """
    import pandas as pd

    by_point = {int(point): rows.set_index("seed") for point, rows in summary.groupby("point", sort=True)}
    if baseline not in by_point:
        there = ", ".join(str(point) for point in by_point) or "none"
        raise StoreError(f"baseline {baseline}: no run of this point is in the results; points with runs: {there}")
    base = by_point[baseline]
    rows = []
    for point, runs in by_point.items():
        seeds = runs.index.intersection(base.index)
        for measure in measures_in(summary) if measures is None else measures:
            pairs = (runs.loc[seeds, measure.column] - base.loc[seeds, measure.column]).dropna().to_numpy(float)
            low, high = interval(pairs, level)
            rows.append(
                {
                    "point": point,
                    "measure": measure.column,
                    "runs": len(runs),
                    "mean": float(runs[measure.column].mean()),
                    "pairs": len(pairs),
                    "difference": float(pairs.mean()) if len(pairs) else float("nan"),
                    "low": low,
                    "high": high,
                }
            )
    return pd.DataFrame(rows)


def interval(values: "np.ndarray", level: float = LEVEL) -> tuple[float, float]:
    """Return the t interval of the mean of values (n,); two missing values if n < 2."""
    from scipy.stats import t

    if len(values) < 2:
        return float("nan"), float("nan")
    mean = float(values.mean())
    half = float(t.ppf((1 + level) / 2, len(values) - 1)) * float(values.std(ddof=1)) / sqrt(len(values))
    return mean - half, mean + half
