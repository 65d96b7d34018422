"""Buses among the traffic of a day: streets delay them, and they delay their riders."""

import numpy as np
import pytest

import citytwin as ct
from citytwin.agents.traffic.demand import Mode
from citytwin.runners.scenarios.scenario import Scenario

DAY = """
name = "buses"
[city]
synthetic = {people = 6000, seed = 1}
[clock]
start = 2026-03-02
days = 1
[traffic]
MORE
[output]
tables = ["trips"]
"""


def day(more="", capacity=1.0):
    """Return the process of traffic after a day on streets of a multiple of their capacity."""
    model = ct.CityModel(Scenario.from_text(DAY.replace("MORE", more)), seed=3)
    (traffic,) = model.processes
    traffic.network = traffic.network.with_columns(capacity=traffic.network.capacity * capacity)
    model.step()
    return traffic


@pytest.fixture(scope="module")
def quiet():
    return day()


@pytest.fixture(scope="module")
def jammed():
    return day(capacity=0.03)


def rides(traffic):
    """Return the trips by public transport."""
    table = traffic.tables()["trips"]
    chosen = table["mode"] == Mode.TRANSIT
    return {name: table[name][chosen] for name in ("person", "depart", "arrive", "delay_seconds")}


def lateness(traffic):
    """Return seconds by which every bus comes later to the end of each run, by run."""
    planned, runs = traffic.plans.transport.timetable, traffic.moving.runs
    come = traffic.flow.arrive[traffic.moving.run]
    return come - planned.arrival[planned.trip_time_first[runs.trip] + runs.call + 1]


def test_on_quiet_streets_buses_are_on_time(quiet):
    late = lateness(quiet)
    assert len(late) > 1_000
    assert late.max() < 60.0
    assert 0 <= quiet.series()["bus_delay_minutes"] < 0.1


def test_jams_make_buses_late_and_their_riders(quiet, jammed):
    late = lateness(jammed)
    assert jammed.series()["bus_delay_minutes"] == pytest.approx(np.maximum(late, 0.0).mean() / 60.0)
    assert jammed.series()["bus_delay_minutes"] > 1.0 > 10 * quiet.series()["bus_delay_minutes"]
    before, after = rides(quiet), rides(jammed)
    # the choice was made before anybody knew of the jam
    assert np.array_equal(before["person"], after["person"])
    both = np.isfinite(before["arrive"]) & np.isfinite(after["arrive"])
    assert (after["arrive"] - before["arrive"])[both].mean() > 30.0


def test_buses_that_keep_to_the_timetable_are_not_on_the_streets():
    traffic = day("buses = false", capacity=0.03)
    assert len(traffic.moving.run) == 0
    assert traffic.series()["bus_delay_minutes"] == 0
    planned = traffic.plans.transport.timetable
    assert np.array_equal(traffic.timetable.arrival, planned.arrival)


def test_riders_of_vehicles_on_time_have_no_delay():
    traffic = day("buses = false")
    assert traffic.series()["left_behind"] == 0
    trips, table = traffic.trips, traffic.tables()["trips"]
    row = np.flatnonzero(trips.mode == Mode.TRANSIT)
    begun = traffic.flow.depart[traffic.moving.trip[row]]
    on_time = row[begun == trips.depart[row]]
    assert len(on_time) > 100
    assert table["delay_seconds"][on_time] == pytest.approx(0.0, abs=1e-3)


def test_delay_is_what_riders_come_later_than_the_timetable_has_it(jammed):
    """The journey of each is planned by itself, with room, for the departure in the table."""
    trips, table, transport = jammed.trips, jammed.tables()["trips"], jammed.plans.transport
    row = np.flatnonzero(trips.mode == Mode.TRANSIT)[::7]
    assert len(row) > 20
    for n in row.tolist():
        _, [planned] = transport.plan(
            *(column[n : n + 1] for column in (trips.origin, trips.destination, trips.depart))
        )
        if np.isfinite(planned):
            assert table["free_seconds"][n] == pytest.approx(planned - trips.depart[n], abs=0.01)
            late = max(table["arrive"][n] - planned, 0.0)  # a vehicle may be early, its riders are on time then
            assert table["delay_seconds"][n] == pytest.approx(late, abs=0.01)
    assert rides(jammed)["delay_seconds"].mean() > 30.0


@pytest.mark.parametrize("capacity", [1.0, 0.03])
def test_nobody_begins_a_trip_before_the_one_before_has_ended(quiet, jammed, capacity):
    traffic = quiet if capacity == 1.0 else jammed
    trips, row = traffic.trips, traffic.moving.trip
    depart, arrive = traffic.flow.depart[row], traffic.flow.arrive[row]
    after = np.flatnonzero((trips.previous >= 0) & (trips.mode != Mode.CAR) & (traffic.plans.driver < 0))
    before = trips.previous[after]
    assert len(after) > 1_000
    assert (depart[after] == np.maximum(trips.depart[after], arrive[before])).all()
    late = after[(trips.mode[before] == Mode.TRANSIT) & (arrive[before] > trips.depart[after])]
    assert (depart[late] > trips.depart[late]).all()
    if capacity < 1:
        assert len(late) > 5


def test_every_run_is_made_once_and_in_order(jammed):
    rows, flow = jammed.moving, jammed.flow
    assert len(flow.origin) == len(jammed.trips) + len(rows.runs)
    balance = flow.balance()
    assert balance["arrived"] == balance["departed"] == len(flow.origin)
    runs = rows.runs
    depart, arrive = flow.depart[rows.run], flow.arrive[rows.run]
    after = np.flatnonzero(runs.previous >= 0)
    assert (runs.trip[runs.previous[after]] == runs.trip[after]).all()
    on = after[runs.route[after] >= 0]
    assert (depart[on] - arrive[runs.previous[on]] >= 15.0 - 1e-9).all()
    assert (depart >= runs.depart).all()
    # the distance driven is that of the way
    first, link = runs.routes(np.flatnonzero(runs.route >= 0))
    metres = np.add.reduceat(np.append(jammed.network.length[link], 0.0), first[:-1]) * (np.diff(first) > 0)
    driven = flow.vehicles[rows.run[runs.route >= 0], 4] / 100.0
    assert driven == pytest.approx(metres, abs=0.1)


def test_trips_are_told_apart_from_buses(quiet):
    table = quiet.tables()["trips"]
    assert len(table["depart"]) == len(quiet.trips)
    assert np.array_equal(table["origin"], quiet.trips.origin)
    walks = table["mode"] == Mode.WALK
    assert (table["delay_seconds"][walks] >= -1e-3).all()
    assert np.array_equal(quiet.moving.depart[quiet.moving.trip], quiet.trips.depart)
    assert np.array_equal(quiet.moving.depart[quiet.moving.run], quiet.moving.runs.depart)
    assert quiet.moving.bus.sum() == len(quiet.moving.run)
