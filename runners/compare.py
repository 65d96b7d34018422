"""Compare the points of a sweep with a baseline, pairing runs of one seed.

Every point has the same seeds and every draw is a hash of the seed, so two runs of one seed differ by their policies
alone. The mean of the paired differences therefore varies much less than the difference of two means; a point compared
with itself differs by exactly 0. Points that share no seed are compared by their means all the same, luck and all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, inf, log10
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .scenarios.documents import suggestion
from .storage.tables import ID_COLUMNS, StoreError

if TYPE_CHECKING:
    import pandas as pd

    from .results import Results

Floats = NDArray[np.float64]

LEVEL = 0.90
"""Probability with which an interval is meant to hold the expected difference."""

NAMED_POINTS = 20
"""Points that a message names one by one."""


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
    return measures_named(results.summary, own)


def measure_of(indicator: str, largest: float) -> Measure:
    """Return how a figure is written: as comparisons know it, or with three digits where they do not.

    Args:
        indicator: column of the summary.
        largest: largest figure to be shown.
    """
    known = next((measure for measure in MEASURES if measure.column == indicator), None)
    if known is not None:
        return known
    return Measure(indicator, indicator, "", decimals=decimals_of(largest))


def decimals_of(largest: float) -> int:
    """Return after how many decimals a figure of this size has three digits."""
    return min(max(0, 2 - floor(log10(largest))), 9) if 0 < largest < inf else 0


def check_indicator(summary: "pd.DataFrame", indicator: str) -> None:
    """Make sure that the summary has a figure of this name.

    Raises:
        StoreError: if it has none; figures like it are named.
    """
    figures = [name for name in summary.columns if name not in ID_COLUMNS and summary[name].dtype.kind in "iufb"]
    if indicator not in figures:
        near = suggestion(indicator, figures)
        raise StoreError(f"'{indicator}' is no figure of the summary{near}; there are: {', '.join(figures)}")


def measures_named(summary: "pd.DataFrame", names: Sequence[str]) -> list[Measure]:
    """Return the measures of these columns of a summary, each once.

    Raises:
        StoreError: if one is no figure of the summary.
    """
    for name in names:
        check_indicator(summary, name)
    return [measure_of(name, float(summary[name].abs().max())) for name in dict.fromkeys(names)]


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
    n − 1 degrees of freedom times their standard error (Student 1908), for n pairs of runs of one seed. Without a pair it
    is the difference of the means with Welch's interval, see :func:`welch_half`.

    Args:
        summary: a row a run, with ``point``, ``seed`` and the columns of the measures; runs may be missing.
        baseline: the point with which all are compared.
        level: probability of the interval.
        measures: what is compared; the measures that the summary has if None.

    Returns:
        A row a point and measure: ``point``, ``measure`` (column of the summary), ``runs`` (at the point), ``mean``
        (over them), ``pairs`` (seeds that both points have), ``difference`` (mean over the pairs; without one, 0 pairs,
        that of the means), ``low`` and ``high`` (the interval; missing with one pair, or without one and with a single
        run at either point). All in units of the summary.

    Raises:
        StoreError: if the baseline has no run.
    """
    import pandas as pd

    points, row = np.unique(summary["point"].to_numpy(), return_inverse=True)
    runs = np.bincount(row, minlength=len(points))
    if baseline not in points:
        there = ", ".join(map(str, points)) if len(points) <= NAMED_POINTS else f"{points[0]} … {points[-1]}"
        raise StoreError(
            f"baseline {baseline}: no run of this point is in the results; points with runs: {there or 'none'}"
        )
    seed = summary["seed"].to_numpy()
    base = np.flatnonzero(summary["point"].to_numpy() == baseline)
    base = base[np.argsort(seed[base], kind="stable")]
    column = np.minimum(np.searchsorted(seed[base], seed), len(base) - 1)
    paired = seed[base][column] == seed
    frames = []
    position = int(np.searchsorted(points, baseline))
    for measure in measures_in(summary) if measures is None else measures:
        values = summary[measure.column].to_numpy(float)
        known = ~np.isnan(values)
        sums = np.bincount(row[known], values[known], len(points)).astype(float)
        counts = np.bincount(row[known], minlength=len(points))
        pairs = np.full((len(points), len(base)), np.nan)
        pairs[row[paired], column[paired]] = values[paired] - values[base][column[paired]]
        number = (~np.isnan(pairs)).sum(1)
        mean = _ratio(sums, counts)
        squares = np.bincount(row[known], (values - mean[row])[known] ** 2, len(points)).astype(float)
        half = welch_half(_ratio(squares, counts - 1), counts, position, level)
        low, high = intervals(pairs, level)
        alone, apart = number == 0, mean - mean[position]
        found = {
            "pairs": number,
            "difference": np.where(alone, apart, _ratio(np.nansum(pairs, 1), number)),
            "low": np.where(alone, apart - half, low),
            "high": np.where(alone, apart + half, high),
        }
        about = {"point": points, "measure": measure.column, "runs": runs, "mean": mean}
        frames.append(pd.DataFrame(about | found))
    if not frames:
        return pd.DataFrame(columns=["point", "measure", "runs", "mean", "pairs", "difference", "low", "high"])
    return pd.concat(frames).sort_values("point", kind="stable", ignore_index=True)


def _ratio(sums: Floats, counts: NDArray[np.int64]) -> Floats:
    """Return means, not numbers where there is nothing to take one of."""
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def welch_half(variance: Floats, number: NDArray[np.int64], other: int, level: float = LEVEL) -> Floats:
    """Return half the width of the interval of the difference between the mean of each sample and that of another one.

    Student's t with degrees of freedom by Welch 1947 (Biometrika 34:28-35) and Satterthwaite 1946 (Biometrics Bulletin
    2:110-114), for independent samples whose variances need not be equal.

    Args:
        variance: (samples,) of the values of each sample; not a number with fewer than two.
        number: (samples,) of values.
        other: position of the sample with which the others are compared.
        level: probability of the interval.

    Returns:
        (samples,); not a number where either sample has fewer than two values.
    """
    from scipy.stats import t

    squared = variance / np.maximum(number, 1)  # of the standard error of each mean
    freedom = np.maximum(number - 1, 1)
    both = squared + squared[other]
    share = squared / np.where(both == 0, 1.0, both)
    effective = 1 / (share**2 / freedom + (1 - share) ** 2 / freedom[other])
    return t.ppf((1 + level) / 2, effective) * np.sqrt(both)


def intervals(values: Floats, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Return the ends (rows,) of the t intervals of the means of the rows of values (rows, n), missing ones left out.

    Of a row with fewer than two values they are missing.
    """
    from scipy.stats import t

    known = ~np.isnan(values)
    number = known.sum(1)
    mean = _ratio(np.where(known, values, 0.0).sum(1), number)
    apart = np.where(known, values - mean[:, None], 0.0)
    freedom = np.maximum(number - 1, 1)
    half = t.ppf((1 + level) / 2, freedom) * np.sqrt((apart**2).sum(1) / freedom / np.maximum(number, 1))
    half[number < 2] = np.nan
    return mean - half, mean + half


def interval(values: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Return the t interval of the mean of values (n,); two missing values if n < 2."""
    low, high = intervals(np.asarray(values, float)[None], level)
    return float(low[0]), float(high[0])
