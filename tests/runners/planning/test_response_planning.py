"""How soon help came, against a plain reading of the table of incidents."""

import numpy as np
import pytest

from citytwin.environment.equity import gini
from citytwin.runners.planning.response import EVERY, FEW, SERVICES, answered, has_responses, responses_of, zone_means
from citytwin.runners.planning.response_pictures import draw_times
from citytwin.runners.planning.response_text import response_facts, response_text
from citytwin.runners.reports.report import text_report
from citytwin.runners.run import run
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.sweep import sweep

TOWN = """
name = "town"
seed = 4
[city]
synthetic = { people = 4_000, seed = 2 }
[clock]
start = 2026-01-05
days = 6
[response]
calls = 12
targets = ["6 min", "9 min"]
departments.bays_per_100_000 = 0
[output]
tables = ["incidents"]
by_zone = true
[sweep]
replicates = 3
[sweep.parameters]
"response.fleet.ambulance.units" = [1, 2]
"""
TARGETS = (360.0, 540.0)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return sweep(Scenario.from_text(TOWN), out=tmp_path_factory.mktemp("planning") / "town", workers=1)


def plain_calls(results, point, service):
    """Return by run the calls of a service: priority, zone, hour, minutes or nan, in time; one row at a time."""
    frame = results.table("incidents")
    found = {}
    for run_id, rows in frame[(frame["point"] == point) & (frame["service"] == service)].groupby("run_id"):
        calls = {}
        for row in rows.to_dict("records"):
            seconds = row["arrived"] - row["called"]
            best = calls.get(row["incident"])
            if best is None or np.isnan(best[3]) or seconds / 60 < best[3]:
                if best is not None and np.isnan(seconds):
                    continue
                target = TARGETS[min(row["priority"], 1)]
                calls[row["incident"]] = (
                    row["priority"], row["zone"], int(row["called"] // 3600 % 24), seconds / 60, seconds <= target,
                )  # fmt: skip
        found[run_id] = list(calls.values())
    return found


def test_calls_are_those_of_a_plain_reading(results):
    assert has_responses(results)
    for point in (0, 1):
        for service in SERVICES:
            for run_id, calls in plain_calls(results, point, service).items():
                read = responses_of(results, point, run_id)
                mine = read.service == service
                columns = (read.priority, read.zone, read.hour, read.minutes, read.in_time)
                rows = sorted(zip(*(column[mine].tolist() for column in columns), strict=True), key=str)
                expected = sorted(calls, key=str)
                np.testing.assert_allclose(np.array(rows, float), np.array(expected, float))


def test_tables_are_means_over_pairs_of_runs(results):
    (one,) = answered(results, 0)
    table = one.priorities.set_index(["service", "group"])
    sides = [list(plain_calls(results, point, 10).values()) for point in (0, 1)]
    medians = [[np.nanmedian([call[3] for call in calls]) for calls in runs] for runs in sides]
    row = table.loc["ambulances", EVERY]
    assert row["median_before"] == pytest.approx(np.mean(medians[0]))
    assert row["median_change"] == pytest.approx(np.mean(np.subtract(medians[1], medians[0])))
    assert row["median_low"] <= row["median_change"] <= row["median_high"]
    urgent = [[np.mean([call[4] for call in calls if call[0] == 0]) for calls in runs] for runs in sides]
    assert table.loc["ambulances", "priority 0"]["in_time"] == pytest.approx(np.mean(urgent[1]))
    by_priority = one.priorities[one.priorities["service"] == "ambulances"].set_index("group")["calls"]
    assert by_priority.drop(EVERY).sum() == pytest.approx(by_priority[EVERY])


def test_points_without_common_seeds_are_left_out(results, monkeypatch):
    """Nothing can be paired, but the comparison of everything else stands."""
    own = results.summary.assign(seed=results.summary["seed"] + 100 * results.summary["point"])
    monkeypatch.setitem(results.__dict__, "summary", own)
    assert list(answered(results, 0)) == []
    assert "leave these points out" in text_report(results)


def test_zones_and_their_evenness(results):
    (one,) = answered(results, 0)
    run_id = next(iter(plain_calls(results, 1, 10)))
    read = responses_of(results, 1, run_id)
    mean, calls = zone_means(read, 10, 4)
    for zone in range(4):
        rows = (read.service == 10) & (read.zone == zone)
        if rows.any():
            assert mean[zone] == pytest.approx(np.nanmean(read.minutes[rows]))
    told = calls >= FEW
    assert 0 <= gini(mean[told], calls[told]) < 1
    shown = one.evenness.set_index(["service", "measure"])["value"]
    assert shown["ambulances", "worst_zone"] >= one.zones[one.zones["service"] == "ambulances"]["mean"].max() - 1e-9


def test_one_point_has_levels_and_no_changes():
    alone = run(Scenario.from_text(TOWN))
    text = response_text(alone)
    assert "Emergency response" in text and "Zones that are reached slowest" in text and "change" not in text
    facts = response_facts(alone)[0]["response"][0]
    assert facts["group"] == EVERY and facts["median_before"] is None and facts["median"] > 0


def test_without_the_table_there_is_nothing_to_tell():
    plain = run(Scenario.from_text(TOWN.replace('tables = ["incidents"]', "")))
    assert response_text(plain) == "" and response_facts(plain) == {}


def test_curves_end_where_nobody_came(results):
    figure = draw_times(results)
    axes = figure.axes
    assert len(axes) == 2 * len(SERVICES)
    for number, service in enumerate(SERVICES):
        lines = [line for line in axes[2 * number].get_lines() if len(line.get_xdata()) > 2]
        for point, line in enumerate(lines):
            calls = [call for calls in plain_calls(results, point, service).values() for call in calls]
            reached = np.sort([call[3] for call in calls if np.isfinite(call[3])])
            x, y = line.get_xdata(), line.get_ydata()
            assert y[-1] == pytest.approx(100 * (len(x) - 1) / len(calls))
            np.testing.assert_allclose(x[1:], reached[: len(x) - 1])


def test_a_picture_without_enough_calls_says_so():
    few = TOWN.replace("calls = 12", "calls = 0.4").partition("[sweep]")[0]
    figure = draw_times(run(Scenario.from_text(few)))
    for right in figure.axes[1::2]:
        drawn = any(np.isfinite(line.get_ydata()).any() for line in right.get_lines())
        assert [text.get_text() for text in right.texts] == (
            [] if drawn else ["fewer than 10 calls reached\nin every part of the day: no median"]
        )
    assert any(right.texts for right in figure.axes[1::2])
    assert not any(left.texts for left in figure.axes[::2] if len(left.get_lines()) > 1)


def test_a_picture_of_nobody_reached_says_so():
    never = TOWN.partition("[sweep]")[0] + "[response.fleet.ambulance]\nunits = 0\n"
    figure = draw_times(run(Scenario.from_text(never.replace("[output]", 'services = ["ambulance"]\n[output]'))))
    assert [text.get_text() for text in figure.axes[0].texts] == ["no call was reached"]
