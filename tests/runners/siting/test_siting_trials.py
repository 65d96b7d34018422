"""Trials: figures of a run recomputed from its table, the same calls for every plan, differences by pairs."""

import numpy as np
import pandas
import pytest

from citytwin.agents.response.response import Response
from citytwin.environment.equity import gini
from citytwin.runners.compare import interval
from citytwin.runners.model import CityModel
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.siting.demand import expected_calls
from citytwin.runners.siting.plans import Proposal, ground_of
from citytwin.runners.siting.question import read_question
from citytwin.runners.siting.sites import sites_of
from citytwin.runners.siting.trials import Judged, Outcome, Trials, outcome_of


@pytest.fixture(scope="module")
def sites(question):
    return sites_of(question, expected_calls(question, 50), "grid")[0]


def plan(sites, *rows):
    units = np.zeros(len(sites), np.int64)
    for row in rows:
        units[row] += 1
    return Proposal(units, ("median",))


@pytest.fixture(scope="module")
def response(question, sites):
    """A run in which one unit has more calls than it can serve."""
    model = CityModel(Scenario.from_dict(question.of_plan(sites, plan(sites, 0).units)), question.city, 5)
    model.run()
    return next(process for process in model.processes if isinstance(process, Response))


def test_figures_are_those_of_the_table(response):
    end = 2 * 86_400.0
    outcome = outcome_of(response, "ambulance", 10, end)
    table = pandas.DataFrame(response.centre.table())
    table = table[table["service"] == 10]
    calls = table.groupby("incident").agg(
        called=("called", "first"), arrived=("arrived", "min"), priority=("priority", "first"), zone=("zone", "first")
    )
    target = np.where(calls["priority"] == 0, 180.0, 240.0)
    known = calls["called"] + target <= end
    calls, target = calls[known], target[known]
    seconds = (calls["arrived"] - calls["called"]).to_numpy()
    in_time = np.nan_to_num(seconds, nan=np.inf) <= target
    assert outcome.figures["calls"] == len(calls)
    assert outcome.figures["unreached"] == np.isnan(seconds).sum() > 0
    assert outcome.figures["in_time"] == in_time.mean()
    assert outcome.figures["mean"] == pytest.approx(np.nanmean(seconds))
    assert outcome.figures["median"] == np.sort(np.nan_to_num(seconds, nan=np.inf))[(len(seconds) + 1) // 2 - 1]
    assert outcome.priority_calls[:3].tolist() == [int((calls["priority"] == p).sum()) for p in range(3)]
    assert outcome.zone_in_time.sum() == in_time.sum()
    assert outcome.zone_calls.tolist() == [int((calls["zone"] == zone).sum()) for zone in range(4)]
    assert 0.9 < outcome.figures["busy"] <= 1.0


def test_all_plans_have_the_same_calls_and_pairs_narrow_the_difference(question, sites):
    plans = [plan(sites, 0, 0, 0, 0), plan(sites, 0, 0, 1, 1), plan(sites, 1, 1, 2, 2)]
    with Trials(question, sites, range(6)) as trials:
        today, mixed, other = trials.judge(plans)
        assert trials.judge(plans[:1])[0].runs is today.runs  # what is known is not run again
    for judged in (mixed, other):
        assert [run.figures["calls"] for run in judged.runs] == [run.figures["calls"] for run in today.runs]
        assert np.array_equal(judged.total("zone_calls"), today.total("zone_calls"))
        assert np.array_equal(judged.total("priority_calls"), today.total("priority_calls"))
    assert today.difference("in_time", today) == (0.0, 0.0, 0.0)
    mean, low, high = mixed.difference("mean", today)
    pairs = mixed.values("mean") - today.values("mean")
    assert (mean, (low, high)) == (pairs.mean(), interval(pairs))
    independent = mixed.values("mean").var(ddof=1) + today.values("mean").var(ddof=1)
    assert pairs.var(ddof=1) < 0.5 * independent


def test_zones_and_their_equity(question, sites):
    with Trials(question, sites, range(3)) as trials:
        (judged,) = trials.judge([plan(sites, 0, 0, 0)])
    calls, in_time = judged.total("zone_calls"), judged.total("zone_in_time")
    share, zone = judged.worst_zone()
    assert share == (in_time / calls).min()
    assert zone == np.argmin(in_time / calls)
    means = judged.total("zone_seconds") / judged.total("zone_reached")
    assert judged.gini() == gini(means, judged.total("zone_reached"))


def test_no_intervals_of_one_run_or_of_never(question, sites):
    with Trials(question, sites, [1]) as trials:
        (judged,) = trials.judge([plan(sites, 0)])
    assert np.isnan(judged.interval("in_time")).all()
    assert np.isfinite(judged.mean("in_time"))


TRAFFIC = """
name = "slow"
[city]
synthetic = { people = 1_000, seed = 2 }
[traffic]
[response]
services = ["fire"]
"""


def test_streets_are_as_slow_as_traffic_makes_them(tmp_path):
    (tmp_path / "slow.toml").write_text(TRAFFIC)
    slow = read_question(str(tmp_path / "slow.toml"), "fire", tmp_path, days=1)
    (tmp_path / "free.toml").write_text(TRAFFIC.replace("[traffic]", ""))
    free = read_question(str(tmp_path / "free.toml"), "fire", tmp_path, days=1)
    assert (slow.streets.day, free.streets.day) == (0, -1)
    demand = expected_calls(free, 9)
    sites = sites_of(free, demand, "sites")[0]
    with_traffic, without = ground_of(slow, demand, sites).seconds, ground_of(free, demand, sites).seconds
    assert (with_traffic >= without - 1e-3).all()
    assert with_traffic.sum() > without.sum()
    seen = slow.streets.seconds(0.0, 86_400.0)
    assert seen is not None
    with Trials(slow, sites, [1]) as trials:
        (judged,) = trials.judge([plan(sites, 0)])
    assert judged.runs[0].figures["calls"] >= 0


def judged_of(*runs):
    """Return a plan whose runs have calls that are answered after so many seconds."""
    none = np.zeros(1, np.int64)
    outcomes = []
    for seconds in runs:
        ordered = np.sort(np.array(seconds, float))
        figures = {"p90": ordered[int(np.ceil(0.9 * len(ordered))) - 1], "median": ordered[(len(ordered) + 1) // 2 - 1]}
        outcomes.append(Outcome(figures, ordered[::-1], none, none, none, none, none, none.astype(float)))
    return Judged(Proposal(np.ones(1, np.int64), ("median",)), tuple(outcomes))


def test_nine_of_ten_are_those_of_the_calls_of_all_runs():
    short, long = list(range(1, 11)), list(range(101, 191))
    judged = judged_of(short, long)
    assert judged.mean("p90") == sorted(short + long)[89] == 180  # the runs' own are 9 and 181
    assert judged.mean("median") == sorted(short + long)[49]
    low, high = judged.interval("p90")
    own = interval(np.array([9.0, 181.0]))
    assert (low + high) / 2 == pytest.approx(180) and high - low == pytest.approx(own[1] - own[0])
    later = judged_of([one + 7 for one in short], [one + 7 for one in long])
    assert later.difference("p90", judged) == (7.0, 7.0, 7.0)


def test_a_run_in_which_too_many_wait_for_ever_leaves_the_others_their_percentile():
    judged = judged_of([5.0] * 95, [np.inf] * 5)
    assert judged.mean("p90") == 5.0
    assert np.isnan(judged.interval("p90")).all()
