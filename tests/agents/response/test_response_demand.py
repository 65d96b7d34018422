"""Calls at points with weights."""

import numpy as np
import pytest

from citytwin.agents.response.demand import DAY, MOST_CALLS, poisson_tasks, scene_points
from citytwin.agents.response.kinds import kinds_of
from citytwin.agents.response.scenes import CallError

KINDS = {name: kinds_of()[name] for name in ("illness", "disturbance")}
POINTS = scene_points([5, 6, 9], access=[1.0, 2.0, 3.0], x=[10.0, 20.0, 30.0], y=0.0, zone=[0, 0, 1])


def test_calls_have_their_points_and_kinds_by_weight():
    tasks = poisson_tasks(60, 30, POINTS, [1, 0, 3], KINDS, seed=2, shares=[1, 4])
    count = len(tasks)
    assert count == pytest.approx(60 * 24 * 30, abs=4 * np.sqrt(60 * 24 * 30))
    assert (tasks.node == 9).mean() == pytest.approx(0.75, abs=4 * np.sqrt(0.75 * 0.25 / count))
    assert set(tasks.node) == {5, 9}
    assert np.array_equal(tasks.access, np.where(tasks.node == 9, 3.0, 1.0))
    assert np.array_equal(tasks.zone, np.where(tasks.node == 9, 1, 0))
    assert (tasks.kind == 1).mean() == pytest.approx(0.8, abs=4 * np.sqrt(0.8 * 0.2 / count))
    assert np.array_equal(np.sort(tasks.called), tasks.called[np.argsort(tasks.incident)])


def test_rates_by_hour_hold_by_hour():
    rate = np.zeros(24)
    rate[[3, 20]] = 200, 100
    tasks = poisson_tasks(rate, 40, POINTS, [1, 1, 1], KINDS, seed=2)
    hour = np.bincount((tasks.called % DAY // 3600).astype(int), minlength=24)
    assert set(np.flatnonzero(hour)) == {3, 20}
    assert hour[[3, 20]] == pytest.approx([8000, 4000], abs=4 * np.sqrt(8000))
    week = np.zeros(168)
    week[30] = 500
    tasks = poisson_tasks(week, 7.5, POINTS, [1, 1, 1], KINDS, seed=2)
    assert (tasks.called // 3600 == 30).all()
    assert len(poisson_tasks(week, 1, POINTS, [1, 1, 1], KINDS, seed=2)) == 0


def test_a_longer_period_begins_with_the_calls_of_the_shorter():
    short, long = (poisson_tasks(20, days, POINTS, [1, 2, 3], KINDS, seed=5) for days in (3, 10))
    first = long.called < 3 * DAY
    assert first.sum() == len(short)
    assert np.array_equal(long.scene[first], short.scene)
    assert np.array_equal(long.called[first], short.called)
    assert (short.called < 3 * DAY).all()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"per_hour": [1, 2]}, "one rate, 24 or 168 are wanted, not 2"),
        ({"per_hour": -1}, "per_hour: all must be numbers of 0 or more"),
        ({"per_hour": np.nan}, "per_hour: all must be"),
        ({"days": np.inf}, "days: all must be"),
        ({"weights": [1, 2]}, "weights: 2 values for 3"),
        ({"weights": [0, 0, 0]}, "weights: one must be above 0"),
        ({"shares": [1]}, "shares: 1 values for 2"),
        ({"per_hour": MOST_CALLS}, "take fewer days"),
    ],
)
def test_what_makes_no_sense_is_refused(keys, message):
    given = {"per_hour": 1, "days": 10, "weights": [1, 1, 1], "shares": [1, 1]} | keys
    with pytest.raises(CallError, match=message):
        poisson_tasks(given.pop("per_hour"), given.pop("days"), POINTS, given.pop("weights"), KINDS, seed=1, **given)
