"""Rates of calls by weekday and hour, estimated from the times of real events, and how well a Poisson process fits them."""

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from .scenes import CallError

_HOURS = 24
_WEEKDAYS = 7
_MONDAY = np.datetime64("1970-01-05", "D")


@dataclass(frozen=True)
class RateTable:
    """Events by hour of the week; rows are weekdays from Monday, columns hours from 0 to 23 o'clock, all (7, 24).

    Attributes:
        count: int64 events.
        hours: float64 hours that were observed.
        exposure: float64 what the rates refer to, summed over these hours: the hours alone, or person-hours.
        dispersion: float64 variance of the counts of single hours over their mean; 1 for a Poisson process, not a number
            where nothing happened or fewer than two hours were observed.
        degrees: int64 degrees of freedom of each.
    """

    count: NDArray[np.int64]
    hours: NDArray[np.float64]
    exposure: NDArray[np.float64]
    dispersion: NDArray[np.float64]
    degrees: NDArray[np.int64]

    @property
    def rate(self) -> NDArray[np.float64]:
        """Events an hour, or a person and hour if people were given, (7, 24)."""
        return np.divide(self.count, self.exposure, out=np.zeros(self.count.shape), where=self.exposure > 0)

    @property
    def index_of_dispersion(self) -> float:
        """Variance over mean of the counts of single hours, on average; 1 for a Poisson process."""
        used = np.isfinite(self.dispersion)
        return float(np.average(self.dispersion[used], weights=self.degrees[used])) if used.any() else float("nan")

    def dispersion_test(self) -> tuple[float, int, float]:
        """Return chi-square, degrees of freedom and the chance of a larger one, if the calls are a Poisson process.

        It is the sum over the hours of the week of (n − 1) times the index of dispersion, where n hours were observed
        (Fisher's test of dispersion). Rates that change with the season make it large, too.
        """
        used = np.isfinite(self.dispersion)
        statistic = float((self.dispersion[used] * self.degrees[used]).sum())
        degrees = int(self.degrees[used].sum())
        return statistic, degrees, float(chi2.sf(statistic, degrees)) if degrees else 1.0

    def factors(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return factors by hour (24) and by weekday (7), each with mean 1, as kinds of incidents take them."""
        rate = self.rate
        if not rate.any():
            raise CallError("no event was counted, so there are no factors")
        hours, weekdays = rate.mean(axis=0), rate.mean(axis=1)
        return tuple((hours / hours.mean()).tolist()), tuple((weekdays / weekdays.mean()).tolist())

    def per_hour(self) -> NDArray[np.float64]:
        """Return the rate of each hour of a week from Monday, (168,), as :func:`~.demand.poisson_tasks` takes it."""
        return self.rate.ravel()

    def rhythm_test(self, other: "RateTable") -> tuple[float, int, float]:
        """Return chi-square, degrees of freedom and chance of a larger one, if another table has the same rhythm by hour.

        It is the test of homogeneity of the two tables' events by hour of the day, whatever the totals.
        """
        table = np.stack([self.count.sum(axis=0), other.count.sum(axis=0)]).astype(float)
        table = table[:, table.sum(axis=0) > 0]
        expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
        degrees = table.shape[1] - 1
        statistic = float(((table - expected) ** 2 / expected).sum())
        return statistic, degrees, float(chi2.sf(statistic, degrees)) if degrees else 1.0


def fit_rates(times: ArrayLike, first: date, last: date, *, people: ArrayLike | None = None) -> RateTable:
    """Estimate rates by hour of the week.

    Args:
        times: moments of the events, datetime64 (events,); those outside the period do not count.
        first, last: first and last day that was observed.
        people: mean number of people present in each hour of the week (7, 24), or one number for all; then rates are
            per person and hour.

    Raises:
        CallError: if a time is none, the period is empty, or the people have another shape or are negative.
    """
    moment = np.asarray(times, "datetime64[s]")
    if np.isnat(moment).any():
        raise CallError(f"times: entry {int(np.argmax(np.isnat(moment)))} is no time")
    start, days = np.datetime64(first, "D"), (last - first).days + 1
    if days < 1:
        raise CallError(f"the last day, {last}, is before the first, {first}")
    hour = (moment - start).astype("timedelta64[h]").astype(np.int64)
    hour = hour[(moment >= start) & (hour < days * _HOURS)]
    by_day = np.bincount(hour, minlength=days * _HOURS).reshape(days, _HOURS)
    weekday = ((start - _MONDAY).astype(np.int64) + np.arange(days)) % _WEEKDAYS
    present = np.ones((_WEEKDAYS, _HOURS)) if people is None else np.broadcast_to(people, (_WEEKDAYS, _HOURS))
    if not (np.isfinite(present).all() and (present >= 0).all()):
        raise CallError("people: all must be numbers of 0 or more")
    observed = np.bincount(weekday, minlength=_WEEKDAYS)
    count = np.stack([by_day[weekday == number].sum(axis=0) for number in range(_WEEKDAYS)])
    dispersion = np.full((_WEEKDAYS, _HOURS), np.nan)
    for number in np.flatnonzero(observed >= 2):
        counts = by_day[weekday == number]
        mean = counts.mean(axis=0)
        np.divide(counts.var(axis=0, ddof=1), mean, out=dispersion[number], where=mean > 0)
    hours = np.repeat(observed[:, None].astype(float), _HOURS, axis=1)
    degrees = np.repeat(np.maximum(observed - 1, 0)[:, None], _HOURS, axis=1)
    return RateTable(count.astype(np.int64), hours, hours * present, dispersion, degrees.astype(np.int64))
