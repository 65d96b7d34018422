"""Figures of emergency response against the tasks that they are of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from response_towns import model

from citytwin.agents.emergencies import Emergency
from citytwin.agents.response.record import LATE_HANDOVER, STATE_NAMES, first_reached

BUSY = "calls = 100\n[response.fleet.ambulance]\nunits = 2\n"


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.booleans()), max_size=30))
def test_the_first_to_arrive_counts(rows):
    group = np.array([g for g, _, _ in rows], np.int64)
    arrived = np.array([float(a) if there else np.nan for _, a, there in rows])
    called = np.full(len(rows), -1.0)
    found, seconds = first_reached(called, arrived, group)
    expected = {}
    for row, (g, a, there) in enumerate(rows):
        if there and (g not in expected or a < arrived[expected[g]]):
            expected[g] = row
    assert found.tolist() == sorted(expected.values())
    np.testing.assert_array_equal(seconds, arrived[found] + 1)


@pytest.fixture(scope="module")
def town():
    made = model(BUSY, days=4)
    made.run()
    return made


def test_days_add_up_to_the_run(town):
    outputs = town.outputs()
    series, summary = outputs["series"], {name: value[0] for name, value in outputs["summary"].items()}
    for service in ("ambulance", "fire", "police"):
        for figure in ("calls", "reached"):
            assert series[f"{service}_{figure}"].sum() == summary[f"{service}_{figure}"]
        in_time = summary[f"{service}_in_time_share"] * summary[f"{service}_calls"]
        assert series[f"{service}_in_time"].sum() == pytest.approx(in_time)
        assert summary[f"{service}_calls"] > 0
    assert series["brought_to_hospital"].sum() == summary["brought_to_hospital"]
    assert series["tasks_unreachable"][-1] == summary["tasks_unreachable"]


def test_zones_add_up_to_the_city(town):
    outputs = town.outputs()
    zones, series = outputs["zone_series"], outputs["series"]
    for figure in ("ambulance_calls", "police_reached", "fire_in_time"):
        by_day = [zones[figure][zones["day"] == day].sum() for day in range(4)]
        assert by_day == series[figure].tolist()
    minutes = np.nan_to_num(zones["ambulance_response_minutes"]) * zones["ambulance_reached"]
    total = series["ambulance_response_minutes"] * series["ambulance_reached"]
    assert minutes.sum() == pytest.approx(total.sum())


def test_figures_are_those_of_the_incidents(town):
    outputs = town.outputs()
    found, summary = outputs["incidents"], {name: value[0] for name, value in outputs["summary"].items()}
    ambulances = found["service"] == 10
    times = {}
    for incident, called, arrived in zip(
        found["incident"][ambulances], found["called"][ambulances], found["arrived"][ambulances], strict=True
    ):
        if np.isfinite(arrived):
            times[incident] = min(times.get(incident, np.inf), arrived - called)
    minutes = np.array(list(times.values())) / 60
    assert summary["ambulance_response_minutes"] == pytest.approx(minutes.mean())
    assert summary["ambulance_response_median_minutes"] == pytest.approx(np.median(minutes))
    assert summary["ambulance_response_p90_minutes"] == pytest.approx(np.percentile(minutes, 90))
    waits = [
        sent - ready
        for sent, ready, service in zip(found["sent"], found["ready"], found["service"], strict=True)
        if service == 10 and np.isfinite(sent)
    ]
    assert summary["ambulance_wait_minutes"] == pytest.approx(sum(waits) / len(waits) / 60) and max(waits) > 600
    handover = (found["bay"] - found["at_hospital"] + found["handover"])[np.isfinite(found["bay"])]
    assert summary["handover_minutes"] == pytest.approx(handover.mean() / 60)
    assert summary["late_handovers"] == (handover > LATE_HANDOVER).sum()


def test_units_are_in_one_state_at_any_time(town):
    units = town.outputs()["units"]
    seconds = np.sum([units[f"{name}_seconds"] for name in STATE_NAMES], axis=0)
    np.testing.assert_allclose(seconds, 86_400.0)
    assert len(units["unit"]) == 4 * len(town.responders)
    ended = np.isfinite(town.processes[0].centre.table()["free"])
    assert units["tasks"].sum() == ended.sum()


def test_units_of_neighbours_are_not_the_city_s():
    made = model(
        BUSY.replace("units = 2", "units = 1")
        + """
[response.fleet.next]
service = "ambulance"
neighbour = true
units = 3
"""
    )
    made.run()
    outputs = made.outputs()
    units, summary = outputs["units"], outputs["summary"]
    own = units["fleet"] == 0
    idle = units["at_station_seconds"] + units["returning_seconds"]
    assert summary["ambulance_units"][0] == own[units["day"] == 0].sum() == 1
    assert summary["ambulance_busy"][0] == pytest.approx(1 - idle[own].sum() / (3 * 86_400))
    assert units["tasks"][~own].sum() > 0


def test_departments_receive_whom_units_bring(town):
    outputs = town.outputs()
    doors, series = outputs["departments"], outputs["series"]
    assert doors["arrived"].sum() == series["brought_to_hospital"].sum() > 0
    assert (doors["bays_used"] <= doors["bays"]).all()
    assert doors["late_handovers"].sum() == series["late_handovers"].sum()


def test_calls_without_patience_wait_for_ever_and_are_counted():
    """Ten call at the same place, one an hour; the only ambulance is with each for two hours."""
    kind = """
[response.fleet.ambulance]
units = 1
stations = [{ site = 0 }]
[response.service_times.ambulance]
turnout = "0 s"
clear = "0 s"
[response.kinds.illness]
call_taking = "60 s"
units.ambulance.scene = "2 h"
transported = 0
"""
    called = 10 * 3600.0
    figures = {}
    for patience in ("", 'patience = "3 h"\n'):
        town = model('calls = 0\nservices = ["ambulance"]\n' + kind + patience, days=1)
        for second in called + 3600.0 * np.arange(10):
            town.emergencies.post(Emergency(float(second), "illness", "somebody", place=0))
        town.run()
        outputs = town.outputs()
        figures[patience] = {name: value[0] for name, value in outputs["summary"].items()} | outputs["incidents"]
    for_ever, patient = figures.values()
    served = for_ever["sent"][np.isfinite(for_ever["sent"])]
    drive, access = for_ever["arrived"][0] - for_ever["sent"][0], float(for_ever["access"][0])
    # who is sent on is in the same street already
    expected = called + 60 + np.r_[0.0, drive + 7200.0 + (access + 7200.0) * np.arange(len(served) - 1)]
    np.testing.assert_allclose(served, expected, rtol=0, atol=1e-6)
    assert for_ever["tasks_waiting"] == 10 - len(served) > 0 and for_ever["tasks_cancelled"] == 0
    taken = called + 60 + 3600.0 * np.arange(len(served))
    assert for_ever["ambulance_wait_minutes"] == pytest.approx((expected - taken).mean() / 60)
    assert patient["tasks_waiting"] == 0 and patient["tasks_cancelled"] > 0
    assert patient["tasks_cancelled"] + np.isfinite(patient["sent"]).sum() == 10
    assert patient["ambulance_wait_minutes"] < for_ever["ambulance_wait_minutes"]


def test_a_day_without_calls_has_figures_all_the_same():
    quiet = model("calls = 0\n", days=1)
    quiet.run()
    outputs = quiet.outputs()
    assert outputs["series"]["ambulance_calls"].tolist() == [0]
    assert np.isnan(outputs["summary"]["ambulance_response_median_minutes"][0])
    assert np.isnan(outputs["summary"]["ambulance_wait_minutes"][0])
    assert outputs["incidents"]["called"].tolist() == []
    assert outputs["series"]["handover_minutes"].tolist() == [0.0]
