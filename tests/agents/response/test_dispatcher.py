"""Dispatchers of one's own: each decision is theirs, and wrong answers are told by name."""

import pytest
from response_towns import model

from citytwin.agents.emergencies import Emergency
from citytwin.agents.response.decisions import Dispatcher
from citytwin.agents.response.triage import Triage

TOWN = """
calls = 0
services = ["ambulance"]
departments.bays_per_100_000 = 0
[response.fleet.ambulance]
units = 4
stations = [{ name = "South", x = 430_000, y = 4_580_000 }, { name = "North", x = 430_000, y = 4_581_000 }]
"""


def run(dispatcher, *, calls=6, kind="chest pain", more=TOWN):
    """Return the tasks of a town of some calls a minute apart, and who decided."""
    town = model(more, days=1, dispatcher_class=dispatcher)
    for number in range(calls):
        town.emergencies.post(Emergency(3600.0 + 60 * number, kind, "somebody", place=number))
    town.run()
    process = town.processes[0]
    return process.centre.table(), process.dispatcher


def test_without_methods_of_its_own_a_dispatcher_is_not_asked():
    class Silent(Dispatcher):
        def answer(self, _centre):
            raise AssertionError

    assert Silent.asks() == []
    run(Silent)


def test_a_dispatcher_knows_its_model():
    _, dispatcher = run(Dispatcher)
    assert len(dispatcher.model.responders) == 4


def test_choosing_the_nearest_by_hand_is_what_the_rules_do():
    class ByHand(Dispatcher):
        def choose_unit(self, task, units):
            return super().choose_unit(task, units)

        def choose_hospital(self, task, hospitals):
            return super().choose_hospital(task, hospitals)

        def choose_station(self, unit, stations):
            return super().choose_station(unit, stations)

    rules, _ = run(Dispatcher)
    own, _ = run(ByHand)
    for column in ("unit", "arrived", "at", "free", "outcome"):
        assert own[column].tolist() == pytest.approx(rules[column].tolist(), nan_ok=True)


def test_a_unit_may_be_kept_back():
    class Careful(Dispatcher):
        def choose_unit(self, _task, units):
            return units[-1].number if len(units) > 2 else None

    found, _ = run(Careful)
    assert found["unit"][0] in (2, 3)  # of the other station, as the last of all
    assert found["queued"].any()


def test_units_of_the_service_come_before_those_who_help_out():
    seen = []

    class ByHand(Dispatcher):
        def choose_unit(self, task, units):
            seen.append([(unit.own, unit.seconds) for unit in units])
            return super().choose_unit(task, units)

    far = TOWN.replace('{ name = "South", x = 430_000, y = 4_580_000 }, ', "").replace("units = 4", "units = 1")
    near = f"""{far}
[response.fleet.neighbour]
service = "ambulance"
neighbour = true
units = 1
stations = [{{ name = "South", x = 430_000, y = 4_580_000 }}]
"""
    own, _ = run(ByHand, calls=2, more=near)
    rules, _ = run(Dispatcher, calls=2, more=near)
    assert own["unit"].tolist() == rules["unit"].tolist() == [0, 1]
    (first, second), (alone,) = seen[:2]
    assert first[0] and not second[0] and not alone[0]
    assert second[1] < first[1]  # and yet it is only asked when the other one is away


def test_options_say_what_there_is_to_know():
    seen = []

    class Curious(Dispatcher):
        def choose_unit(self, task, units):
            seen.append((task.priority, task.waited, units))
            return units[0].number if units else None

    run(Curious, calls=1)
    priority, waited, units = seen[0]
    assert priority in (0, 1) and waited == 0
    assert [unit.seconds for unit in units] == sorted(unit.seconds for unit in units)
    assert {unit.station for unit in units} == {0, 1} and not any(unit.under_way for unit in units)


def test_a_patient_may_be_treated_at_the_scene():
    class Home(Dispatcher):
        def choose_hospital(self, _task, hospitals):
            assert hospitals[0].number == 0 and hospitals[0].offers

    found, _ = run(Home)
    assert found["transport"].any() and (found["at"] < 0).all()


def test_a_free_unit_takes_the_task_that_it_is_told():
    class LastFirst(Dispatcher):
        def choose_task(self, _unit, tasks):
            return tasks[-1].number

    found, _ = run(LastFirst, calls=8)
    rules, _ = run(Dispatcher, calls=8)
    assert found["sent"].tolist() != rules["sent"].tolist()


def test_a_free_unit_goes_where_it_is_told():
    class Northern(Dispatcher):
        def choose_station(self, _unit, _stations):
            return 1

    _, dispatcher = run(Northern, calls=8)
    assert {(unit.x, unit.y) for unit in dispatcher.model.responders} == {(430_000.0, 4_581_000.0)}


@pytest.mark.parametrize(
    ("hook", "said", "error", "message"),
    [
        ("choose_unit", 17, ValueError, r"Wrong\.choose_unit returned 17; the options were: "),
        ("choose_unit", "first", TypeError, r"Wrong\.choose_unit returned 'first'; .*number of an option or None"),
        ("choose_unit", True, TypeError, r"Wrong\.choose_unit returned True"),
        ("choose_hospital", 4, ValueError, r"Wrong\.choose_hospital returned 4; the options were: 0"),
        ("choose_station", None, TypeError, r"Wrong\.choose_station returned None; it must return the number of an"),
        ("choose_task", None, TypeError, r"Wrong\.choose_task returned None"),
    ],
)
def test_wrong_answers_are_named(hook, said, error, message):
    wrong = type("Wrong", (Dispatcher,), {hook: lambda *_: said})
    with pytest.raises(error, match=message):
        run(wrong, calls=8)


def test_what_a_dispatcher_raises_names_itself():
    class Broken(Dispatcher):
        def choose_unit(self, task, _units):
            return task.colour

    with pytest.raises(AttributeError, match="a task has no column 'colour'; there are: called, "):
        run(Broken)


def test_a_dispatcher_must_be_one():
    with pytest.raises(TypeError, match="dispatcher_class: Dispatcher or a class derived from it is wanted"):
        model(TOWN, dispatcher_class=int)


# ---------------------------------------------------------------------- triage

CRASH = (
    TOWN
    + """
[response.kinds.crash]
units = { ambulance = 1 }
casualties = { mean = 6, law = "poisson", green = 0.4, yellow = 0.2, red = 0.3, black = 0.1 }
"""
)


def crash(dispatcher):
    return run(dispatcher, calls=8, kind="crash", more=CRASH)[0]


def test_start_by_hand_is_what_is_done_without_asking():
    seen = []

    class ByHand(Dispatcher):
        def triage(self, casualty):
            seen.append(casualty)
            return super().triage(casualty)

    rules, own = crash(Dispatcher), crash(ByHand)
    for column, values in rules.items():
        assert own[column].tolist() == pytest.approx(values.tolist(), nan_ok=True), column
    assert Dispatcher().triage_rule() is None and ByHand.asks() == []  # START is not asked, and no kernel is
    assert {casualty.start() for casualty in seen} == set(Triage)
    assert {(casualty.kind, casualty.called) for casualty in seen} <= {("crash", 3600.0 + 60 * n) for n in range(8)}
    assert all(casualty.number < casualty.casualties for casualty in seen)
    assert len({casualty.chance for casualty in seen}) == len(seen)


def test_an_own_rule_sorts_casualties():
    seen = []

    class Careful(Dispatcher):
        """Takes everybody who does not walk and can be saved for red."""

        def triage(self, casualty):
            said = casualty.start()
            seen.append((casualty.called, said))
            return Triage.RED if said is Triage.YELLOW else said

    own = crash(Careful)
    for called in {called for called, _ in seen}:
        classes = [said for second, said in seen if second == called]
        mine = (own["called"] == called) & own["transport"]
        assert (own["priority"][mine] == 0).sum() == sum(said in (Triage.RED, Triage.YELLOW) for said in classes)
        assert (own["priority"][mine] == 1).sum() == 0
        assert (own["priority"][mine] == 2).sum() == -(-classes.count(Triage.GREEN) // 2)
    assert (crash(Dispatcher)["priority"] == 1).any()


@pytest.mark.parametrize("said", [None, 3, "red"])
def test_a_class_that_is_none_is_named(said):
    wrong = type("Wrong", (Dispatcher,), {"triage": lambda *_: said})
    with pytest.raises(TypeError, match=r"Wrong\.triage returned .*; it must return one of: Triage\.GREEN") as caught:
        crash(wrong)
    assert caught.value.__notes__[0] == "in Wrong.triage at 01:00"


def test_a_misspelt_triage_is_refused():
    with pytest.raises(TypeError, match=r"overrides nothing; did you mean triage\?"):
        type("Wrong", (Dispatcher,), {"triages": lambda *_: Triage.RED})


# ---------------------------------------------------------------------- what is shown is read-only


@pytest.mark.parametrize(
    ("hook", "shown", "column"),
    [
        ("choose_unit", lambda task, _: task, "priority"),
        ("choose_unit", lambda task, _: task, "waited"),
        ("choose_unit", lambda _, units: units[0], "seconds"),
        ("choose_hospital", lambda _, hospitals: hospitals[0], "free_bays"),
        ("choose_station", lambda _, stations: stations[0], "free"),
        ("triage", lambda casualty: casualty, "walks"),
    ],
)
def test_assigning_to_what_is_shown_says_what_to_return_instead(hook, shown, column):
    def assigns(_self, *told):
        setattr(shown(*told), column, 0)

    wrong = type("Wrong", (Dispatcher,), {hook: assigns})
    with pytest.raises(
        AttributeError, match=rf"\.{column} is read-only \(assigned 0\).*choose_unit the number of a unit"
    ):
        crash(wrong)
