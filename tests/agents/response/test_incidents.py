"""Tasks of incidents: what belongs to whom, and shares that come true."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citytwin.agents.responders import Service
from citytwin.agents.response.incidents import Incidents, draws, tasks_of
from citytwin.agents.response.kinds import kinds_of, shipped
from citytwin.agents.response.tasks import COLUMNS, SPECIALTIES
from citytwin.environment.randomness import key, uniform

KINDS = kinds_of({"quake": {"units": {"ambulance": {"after": "fire"}, "fire": 2}, "call_taking": "60 s"}})
NAMES = list(KINDS)


def asked(incidents, kinds=KINDS, seed=1):
    return tasks_of(incidents, kinds, shipped().services, seed, source="test", causes=("other", "test"))


def of_kind(name, count, **columns):
    return Incidents.of(np.arange(count) * 100.0, kind=NAMES.index(name), who=np.arange(count), node=3, **columns)


def test_draws_are_those_of_randomness():
    who, when, purpose = np.array([3, 7, 1 << 40]), np.array([0, 5, 2]), key(4, "test")
    assert draws(purpose, who, when).tolist() == [uniform(purpose, w, d) for w, d in zip(who, when, strict=True)]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 10_000)), min_size=1, max_size=12), st.data())
def test_tasks_of_an_incident_do_not_depend_on_other_incidents(given_incidents, data):
    kind = np.array([NAMES.index(name) for name, _ in given_incidents])
    called = np.array([second for _, second in given_incidents], float)
    who = np.arange(len(kind)) + 5
    everything = asked(Incidents.of(called, kind=kind, who=who, person=who, node=1))
    kept = data.draw(st.lists(st.booleans(), min_size=len(kind), max_size=len(kind)).map(np.array))
    fewer = asked(Incidents.of(called[kept], kind=kind[kept], who=who[kept], person=who[kept], node=1))
    order = np.argsort(called, kind="stable")
    number = np.full(len(kind), -1)
    number[np.flatnonzero(kept[order])] = np.arange(kept.sum())  # of an incident among the fewer
    same = kept[order][everything.incident]
    assert same.sum() == len(fewer)
    rows = np.lexsort((fewer.turnout, fewer.service, fewer.incident))
    others = np.flatnonzero(same)
    others = others[np.lexsort((everything.turnout[others], everything.service[others], everything.incident[others]))]
    for name in COLUMNS.keys() - {"incident", "after"}:
        np.testing.assert_array_equal(getattr(fewer, name)[rows], getattr(everything, name)[others], err_msg=name)
    np.testing.assert_array_equal(fewer.incident[rows], number[everything.incident[others]])


@settings(max_examples=40)
@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=20), st.integers(0, 5))
def test_every_incident_has_its_units_and_waits_for_work_of_its_own(names, seed):
    incidents = Incidents.of(np.arange(len(names)) * 50.0, kind=[NAMES.index(name) for name in names], node=0)
    incidents = Incidents(
        **{f.name: getattr(incidents, f.name) for f in fields(incidents)} | {"who": np.arange(len(names))}
    )
    tasks = asked(incidents, seed=seed)
    assert (np.diff(tasks.ready) >= 0).all()
    assert (tasks.cause == 1).all()
    for incident, name in enumerate(names):
        rows = np.flatnonzero(tasks.incident == incident)
        assert (tasks.kind[rows] == NAMES.index(name)).all()
        assert (tasks.called[rows] == 50.0 * incident).all()
        assert len(set(tasks.ready[rows])) == 1
        for service, unit in KINDS[name].units.items():
            mine = rows[tasks.service[rows] == Service[service.upper()]]
            exact = service != "ambulance" or KINDS[name].casualties is None
            assert len(mine) == unit.number if exact else len(mine) >= unit.number
            if unit.after is None:
                assert (tasks.after[mine] == -1).all()
            else:
                first = tasks.after[mine]
                assert (tasks.service[first] == Service[unit.after.upper()]).all()
                assert (tasks.incident[first] == incident).all()
    assert not tasks.transport[tasks.service != Service.AMBULANCE].any()
    assert (tasks.stay[~tasks.transport] == 0).all()


def test_shares_and_means_come_true():
    count = 20_000
    tasks = asked(of_kind("illness", count))
    kind = KINDS["illness"]
    spread = 4 * np.sqrt(0.25 / count)
    assert np.bincount(tasks.priority) / count == pytest.approx(kind.priority, abs=spread)
    assert tasks.transport.mean() == pytest.approx(kind.transported, abs=spread)
    assert tasks.scene.mean() == pytest.approx(720, rel=4 / np.sqrt(count))
    assert tasks.stay[tasks.transport].mean() == pytest.approx(6.5 * 3600, rel=4 / np.sqrt(count))
    assert (tasks.ready - tasks.called).mean() == pytest.approx(kind.call_taking.mean, rel=4 / np.sqrt(count))
    assert (tasks.patience == np.inf).all()
    # attributes are drawn independently of each other
    together = np.corrcoef([tasks.scene, tasks.turnout, tasks.transport, tasks.priority, tasks.ready - tasks.called])
    assert np.abs(together - np.eye(5)).max() < 4 / np.sqrt(count)


def test_the_first_ambulance_has_the_patient():
    tasks = asked(of_kind("cardiac arrest", 500, person=np.arange(500)))
    first = tasks.person >= 0
    assert first.sum() == 500
    assert len(tasks) == 1000
    assert not tasks.transport[~first].any()
    assert 0.3 < tasks.transport[first].mean() < 0.5
    assert (tasks.specialty[first] == SPECIALTIES.index("cardiac")).all()


def test_severity_stands_in_place_of_the_draws():
    severe = asked(of_kind("illness", 200, severity=0.8))
    assert severe.transport.all()
    assert (severe.priority == 0).all()
    slight = asked(of_kind("illness", 200, severity=0.1))
    assert not slight.transport.any()
    assert (slight.priority == 2).all()
    drawn = asked(of_kind("illness", 200))
    assert (drawn.scene == severe.scene).all()


def test_given_priorities_and_numbers_of_units_hold():
    tasks = asked(of_kind("fire alarm", 3, priority=[2, -1, 0], units=[1, 0, 4]))
    assert np.bincount(tasks.incident).tolist() == [1, 2, 4]
    assert [tasks.priority[tasks.incident == n].tolist() for n in range(3)] == [[2], [1, 1], [0, 0, 0, 0]]


def test_ambulances_for_many_casualties_come_by_triage_class():
    kinds = kinds_of(
        {
            "crash": {
                "units": {"ambulance": 2},
                "casualties": {"mean": 10, "law": "constant", "green": 0.5, "yellow": 0.2, "red": 0.2, "black": 0.1},
                "specialty": "trauma",
            }
        }
    )
    count = 400
    incidents = Incidents.of(np.arange(count, dtype=float), kind=len(kinds) - 1, who=np.arange(count), node=0, person=9)
    tasks = asked(incidents, kinds)
    by_class = [np.bincount(tasks.incident[tasks.transport & (tasks.priority == c)], minlength=count) for c in range(3)]
    assert by_class[0].mean() == pytest.approx(2, abs=0.3)
    assert by_class[1].mean() == pytest.approx(2, abs=0.3)
    # of 5 who are slightly hurt two go together; of an odd number one is alone: E[ceil(n / 2)] = (5 + 1/2) / 2
    assert by_class[2].mean() == pytest.approx(2.75, abs=0.3)
    assert (tasks.specialty[tasks.transport & (tasks.priority == 0)] == SPECIALTIES.index("trauma")).all()
    assert (tasks.specialty[tasks.priority > 0] == 0).all()
    for incident in range(count):
        priority = tasks.priority[tasks.incident == incident]
        assert (np.diff(priority.astype(int)) >= 0).all()  # red first
        assert len(priority) >= 2
    assert (np.bincount(tasks.incident[tasks.person == 9], minlength=count) == 1).all()


@pytest.mark.parametrize(("law", "variance"), [("poisson", 12.0), ("geometric", 12.0 * 13.0), ("constant", 0.0)])
def test_numbers_of_casualties_have_their_law(law, variance):
    kinds = kinds_of(
        {"crash": {"units": {"ambulance": 1}, "casualties": {"mean": 12, "law": law, "red": 1.0}, "call_taking": "0 s"}}
    )
    count = 3000
    incidents = Incidents.of(np.arange(count, dtype=float), kind=len(kinds) - 1, who=np.arange(count), node=0)
    tasks = asked(incidents, kinds)
    hurt = np.bincount(tasks.incident[tasks.transport], minlength=count)
    assert hurt.mean() == pytest.approx(12, abs=4 * np.sqrt(variance / count) + 1e-9)
    assert hurt.var() == pytest.approx(variance, rel=0.25)


def test_patience_is_that_of_the_incident():
    kinds = kinds_of({"fire alarm": {"patience": {"law": "exponential", "mean": "10 min"}}})
    tasks = asked(of_kind("fire alarm", 2000), kinds)
    by_incident = tasks.patience[np.argsort(tasks.incident, kind="stable")].reshape(-1, 2)
    assert np.array_equal(by_incident[:, 0], by_incident[:, 1])
    assert tasks.patience.mean() == pytest.approx(600, rel=0.1)


def test_no_incident_no_task():
    assert len(asked(of_kind("illness", 0))) == 0


def test_unknown_columns_are_named():
    with pytest.raises(TypeError, match="no column 'colour'; there are: called, kind"):
        Incidents.of([1.0], colour=3)
