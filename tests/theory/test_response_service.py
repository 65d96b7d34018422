"""What emergency response does by its definitions: cycles written out by hand, and what is conserved."""

import numpy as np
import pytest
from response_places import centre, line, network

from citytwin.agents.response.dispatch import Departments
from citytwin.agents.response.kernels import IDLE, RETURNING
from citytwin.agents.response.tasks import Tasks

MINUTE = 60.0


def cycle(every, calls):
    """Return a unit's calls: call taken in 1 min, 5 min drive, 10 at the scene, 5 to hospital, 10 handover, 5 back."""
    made, _ = centre(line(2), [5 * MINUTE] * 2, [0], [0], hospitals=[0])
    called = every * MINUTE * np.arange(calls)
    made.add(
        Tasks.of(called=called, ready=called + MINUTE, node=1, scene=10 * MINUTE, transport=True, handover=10 * MINUTE)
    )
    made.run(called[-1] + 1e5)
    return made, (made.table()["arrived"] - called) / MINUTE


class TestCycle:
    def test_calls_every_hour(self):
        made, response = cycle(60, 4)
        np.testing.assert_allclose(response, 6.0, rtol=1e-12)
        table = made.table()
        np.testing.assert_allclose(table["free"] - table["sent"], 30 * MINUTE, rtol=1e-12)
        spent = made.spent()[0]
        assert spent.sum() - spent[IDLE] - spent[RETURNING] == pytest.approx(4 * 30 * MINUTE)
        assert spent[RETURNING] == 0  # the hospital is at the station

    def test_calls_every_twenty_minutes_wait_ten_longer_each(self):
        """The unit is busy for 30 min and goes on from the hospital, so call n (from 1) waits 10 (n - 1) min."""
        _, response = cycle(20, 6)
        np.testing.assert_allclose(response, 6 + 10 * np.arange(6), rtol=1e-12)

    def test_the_way_back_counts_as_free(self):
        """As above with the hospital at the scene: 5 min to the scene, 5 min back, from where the next call may take it."""
        made, _ = centre(line(2), [5 * MINUTE] * 2, [0], [0])
        made.add(Tasks.of(ready=[0.0, 17 * MINUTE], node=[1, 0], scene=10 * MINUTE))
        made.run(1e5)
        table = made.table()
        assert table["sent"].tolist() == [0.0, 17 * MINUTE]
        assert table["arrived"].tolist() == [5 * MINUTE, 20 * MINUTE]  # freed after 15 min, 3 min of the way are left
        assert made.spent()[0, RETURNING] == 2 * MINUTE


def town(seed, calls=400, *, side=6, load=3.5):
    """Return streets, their seconds, stations and tasks of a small town."""
    rng = np.random.default_rng(seed)
    x, y = np.divmod(np.arange(side * side), side)
    right, up = np.flatnonzero(x < side - 1), np.flatnonzero(y < side - 1)
    start, end = np.r_[right, up], np.r_[right + side, up + 1]
    streets = network(x, y, np.r_[start, end], np.r_[end, start])
    ready = np.cumsum(rng.exponential(1800 / load, calls))
    tasks = Tasks.of(
        ready=ready,
        node=rng.integers(0, side * side, calls),
        scene=rng.exponential(900, calls),
        turnout=60.0,
        priority=rng.integers(0, 3, calls),
        transport=rng.random(calls) < 0.7,
        handover=rng.exponential(600, calls),
        stay=rng.exponential(2400, calls),
        bed=rng.exponential(3000, calls) * (rng.random(calls) < 0.3),
    )
    return streets, rng.uniform(20, 90, len(streets.start)), rng.integers(0, side * side, 3), tasks


def run(seed, **rules):
    streets, seconds, stations, tasks = town(seed)
    departments = Departments(
        np.array([2, 3], np.int32), np.array([1, 2], np.int32), np.array([0, 1], np.int32),
        np.array([255, 255], np.int32), np.array([2400.0, 2400.0]),
    )  # fmt: skip
    made, _ = centre(
        streets, seconds, stations, [0, 0, 1, 1, 2, 2], hospitals=[0, 35], departments=departments, **rules
    )
    made.add(tasks)
    return made, tasks


class TestConservation:
    @pytest.mark.parametrize("rule", [0, 1, 2], ids=["nearest", "diverting", "least time"])
    def test_calls_and_patients_are_conserved_at_all_times(self, rule):
        made, tasks = run(4, hospital=rule, redispatch=[(2, 0), (2, 1), (1, 0)])
        full = waited = 0
        for time in np.linspace(0, tasks.ready[-1] + 40_000, 500):
            made.run(time)
            balance, table = made.balance(), made.table()
            assert sum(balance.values()) == len(tasks)
            assert balance["to_come"] == (tasks.ready >= time).sum()
            assert balance["in_service"] == (np.isfinite(table["sent"]) & ~(table["outcome"] > 2)).sum()
            bays, used, beds, beds_used, door = made.state.doors.hospital[:, :5].T
            assert np.all(used <= bays) and np.all(beds_used <= beds)
            for hospital in range(2):
                here = table["at"] == hospital
                came, admitted = np.isfinite(table["at_hospital"][here]).sum(), np.isfinite(table["bay"][here]).sum()
                assert came == admitted + door[hospital]
            full += (used == bays).any()
            waited += door.sum()
        assert full > 50 and waited > 50
        assert balance["treated"] + balance["transported"] == len(tasks), "every call ends in exactly one outcome"
        assert table["diverted"].any() == (rule > 0)

    def test_no_unit_is_in_two_places(self):
        made, tasks = run(5, redispatch=[(2, 0), (1, 0)])
        made.run(tasks.ready[-1] + 1e6)
        table = made.table()
        assert table["called_away"].sum() > 5
        for unit in range(6):
            rows = np.flatnonzero(table["unit"] == unit)
            rows = rows[np.argsort(table["sent"][rows])]
            assert np.all(table["sent"][rows[1:]] >= table["free"][rows[:-1]])
        steps = ["called", "ready", "sent", "left", "arrived", "began", "done", "at_hospital", "bay", "free"]
        stamps = np.stack([table[name] for name in steps])[:, table["transport"]]
        assert np.all(np.diff(stamps, axis=0) >= 0)
        np.testing.assert_allclose(made.spent().sum(1), made.now, rtol=1e-12)


class TestCommonLuck:
    def test_re_dispatch_changes_nothing_where_all_are_alike(self):
        streets, seconds, stations, tasks = town(6)
        tables = []
        for pairs in ([], [(2, 0), (2, 1), (1, 0)]):
            made, _ = centre(streets, seconds, stations, [0, 0, 1, 2], redispatch=pairs)
            made.add(Tasks.of(ready=tasks.ready, node=tasks.node, scene=tasks.scene, priority=1))
            made.run(1e9)
            tables.append(made.table())
        assert all(np.array_equal(tables[0][name], tables[1][name], equal_nan=True) for name in tables[0])
        assert tables[0]["queued"].any()

    def test_what_chance_says_of_a_call_is_the_same_under_two_policies(self):
        tables = []
        for rules in ({"hospital": 0}, {"hospital": 1, "redispatch": [(2, 0)]}):
            made, tasks = run(7, **rules)
            made.run(tasks.ready[-1] + 1e6)
            tables.append(made.table())
        one, other = tables
        for name in ("called", "ready", "node", "priority", "turnout", "scene", "transport", "handover", "stay", "bed"):
            assert np.array_equal(one[name], other[name]), name
        assert not np.array_equal(one["arrived"], other["arrived"])
        np.testing.assert_allclose(one["done"] - one["began"], other["done"] - other["began"], atol=1e-6)
        # until the first call that the policies treat differently nothing differs
        first = np.flatnonzero((one["at"] != other["at"]) | (one["sent"] != other["sent"]))[0]
        before = (one["free"] <= one["ready"][first]) & (other["free"] <= one["ready"][first])
        assert before.any()
        assert np.array_equal(one["free"][before], other["free"][before])


def test_a_call_behind_a_closed_bridge_is_reported_waits_and_is_served_when_it_opens():
    """A street of 6 points with a unit at point 0; link 2 - 3 is the bridge, 60 s a link."""
    streets = line(6)
    seconds = np.full(10, 60.0)
    closed = seconds.copy()
    closed[[2, 7]] = np.inf
    made, travel = centre(streets, seconds, [0], [0, 0])
    made.add(Tasks.of(ready=[0.0, 200.0, 300.0], node=[5, 5, 2], scene=100.0))
    made.run(90.0)
    made.change_roads(travel.roads([closed]))  # the first unit is on its second link, before the bridge
    made.run(1000.0)
    table = made.table()
    assert table["unreachable"].tolist() == [True, True, False]
    assert made.balance()["waiting"] == 2
    assert table["called_away"].tolist() == [1, 0, 0]
    assert table["arrived"][2] == pytest.approx(300.0 + 2 * 60)
    made.change_roads(travel.roads([seconds]))
    made.run(5000.0)
    table = made.table()
    assert made.balance()["treated"] == 3
    assert table["sent"][:2].tolist() == [1000.0, 1000.0]
    assert table["arrived"][:2].tolist() == [1300.0, 1300.0]


def test_a_bridge_that_closes_under_a_unit_lets_it_across():
    made, travel = centre(line(6), np.full(10, 60.0), [0], [0])
    made.add(Tasks.of(ready=0.0, node=5, scene=100.0))
    made.run(150.0)
    closed = np.full(10, 60.0)
    closed[[2, 7]] = np.inf
    made.change_roads(travel.roads([closed]))
    made.run(5000.0)
    assert made.table()["arrived"].tolist() == [300.0]
