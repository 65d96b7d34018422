"""Rates by hour of the week from times of events."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citytwin.agents.response.kinds import kinds_of
from citytwin.agents.response.rates import fit_rates
from citytwin.agents.response.scenes import CallError

FIRST = date(2025, 1, 1)


@given(st.lists(st.integers(0, 40 * 24 - 1), max_size=200), st.integers(1, 40), st.integers(0, 6))
def test_every_event_of_the_period_counts_in_its_hour_of_the_week(hours, days, later):
    first = FIRST + timedelta(days=later)
    moments = [np.datetime64(FIRST, "s") + np.timedelta64(3600 * hour + 7, "s") for hour in hours]
    table = fit_rates(np.array(moments, "datetime64[s]"), first, first + timedelta(days=days - 1))
    count, observed = np.zeros((7, 24)), np.zeros((7, 24))
    for moment in (one.item() for one in moments):
        if first <= moment.date() < first + timedelta(days=days):
            count[moment.weekday(), moment.hour] += 1
    for day in range(days):
        observed[(first + timedelta(days=day)).weekday()] += 1
    assert np.array_equal(table.count, count)
    assert np.array_equal(table.hours, observed)
    assert table.rate[observed > 0] == pytest.approx((count / np.maximum(observed, 1))[observed > 0])


def test_rates_of_people_are_by_people_present():
    monday = date(2025, 1, 6)
    times = np.array(["2025-01-06T10:30", "2025-01-13T10:10", "2025-01-13T10:50"], "datetime64[s]")
    present = np.full((7, 24), 1000.0)
    present[0, 10] = 3000.0
    table = fit_rates(times, monday, monday + timedelta(days=13), people=present)
    assert table.rate[0, 10] == pytest.approx(3 / (2 * 3000))
    assert table.dispersion[0, 10] == pytest.approx(0.5 / 1.5)  # counts 1 and 2
    assert np.isnan(table.dispersion[0, 11])


def test_factors_are_what_kinds_take():
    times = np.array(["2025-01-06T10:30", "2025-01-07T10:10", "2025-01-07T11:50"], "datetime64[s]")
    hours, weekdays = fit_rates(times, date(2025, 1, 6), date(2025, 1, 12)).factors()
    kind = kinds_of({"illness": {"hours": hours, "weekdays": weekdays}})["illness"]
    assert kind.factors()[0][[10, 11, 12]] == pytest.approx([16, 8, 0])
    assert kind.factors()[1] == pytest.approx([7 / 3, 14 / 3, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("times", "last", "people", "message"),
    [
        (["NaT"], FIRST, None, "entry 0 is no time"),
        ([], FIRST - timedelta(days=1), None, "is before the first"),
        ([], FIRST, -1.0, "numbers of 0 or more"),
    ],
)
def test_what_makes_no_sense_is_refused(times, last, people, message):
    with pytest.raises(CallError, match=message):
        fit_rates(np.array(times, "datetime64[s]"), FIRST, last, people=people)


def test_no_event_has_no_factors():
    with pytest.raises(CallError, match="no event was counted"):
        fit_rates(np.zeros(0, "datetime64[s]"), FIRST, FIRST).factors()
