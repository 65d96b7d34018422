"""Classes of a user's own in runs and sweeps: found in workers, refused where they cannot be, kept in the results."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from installed import RULES, install

import citytwin as ct
from citytwin.agents.extensions import EntryPointError, extensions
from citytwin.agents.response.decisions import Dispatcher, dispatcher_named
from citytwin.runners.engine.part import work_on
from citytwin.runners.results import Results
from citytwin.runners.scenarios.own_classes import for_workers, imported, records_of
from citytwin.runners.storage.store import runs_in_results
from citytwin.runners.sweep import SweepError, plan_sweep, sweep

TOWN = """
name = "town"
seed = 4
[city]
synthetic = { people = 1_000, seed = 2 }
[clock]
days = 2
[response]
calls = 30
services = ["ambulance"]
departments.bays_per_100_000 = 0
[response.fleet.ambulance]
units = 3
[response.dispatch]
class = "rules"
[output]
tables = ["incidents"]
"""
NAMES = {"last": "Last", "failing": "Failing", "leaving": "Leaving", "nothing": "NOTHING"}
SCRIPT = (
    RULES
    + f"""
TEXT = '''{TOWN}'''
if __name__ == "__main__":
    results = ct.sweep(ct.Scenario.from_text(TEXT), out="results", workers=1, dispatcher_class=Last)
    print(results.failures, len(results.summary), results.info["context"]["own"]["dispatcher_class"]["class"])
"""
)


@pytest.fixture
def rules(tmp_path, monkeypatch):
    """A package with dispatchers, installed; its module."""
    folder = tmp_path / "site"
    folder.mkdir()
    install(folder, monkeypatch, NAMES)
    yield importlib.import_module("own_rules")
    extensions.cache_clear()


def sent(results):
    table = results.table("incidents")
    return table["unit"].tolist()


# ---------------------------------------------------------------------- one run


def test_a_class_decides_in_a_run_by_argument_or_by_name(rules):
    scenario = ct.Scenario.from_text(TOWN)
    usual = ct.run(scenario)
    given = ct.run(scenario, dispatcher_class=rules.Last)
    named = ct.run(scenario.with_parameters({"response.dispatch.class": "last"}))
    assert sent(given) == sent(named) != sent(usual)
    assert given.info["context"]["own"]["dispatcher_class"]["class"] == "own_rules:Last"
    assert named.info["context"]["own"]["response.dispatch.class last"]["class"] == "own_rules:Last"
    assert usual.info["context"]["own"] == {}


def test_a_class_made_anywhere_will_do_for_one_run():
    class Local(Dispatcher):
        def choose_unit(self, _task, units):
            return units[-1].number if units else None

    assert (
        "Local"
        in ct.run(ct.Scenario.from_text(TOWN), dispatcher_class=Local).info["context"]["own"]["dispatcher_class"][
            "class"
        ]
    )


def test_a_rule_that_raises_ends_the_run_with_day_and_place_and_keeps_nothing(rules, tmp_path, call):
    out = tmp_path / "results"
    with pytest.raises(KeyError, match="no such rule") as caught:
        ct.run(ct.Scenario.from_text(TOWN), out, dispatcher_class=rules.Failing)
    line = RULES.splitlines().index('        raise KeyError("no such rule")') + 1
    hook, day = caught.value.__notes__
    assert hook.startswith(f"in Failing.choose_unit (own_rules.py:{line}) at ") and day == "on day 0 (2026-01-05)"
    assert not out.exists()
    Path("town.toml").write_text(TOWN)
    told = call("run", "town.toml", "--out", "results", "--set", "response.dispatch.class=failing")
    assert told.code == 1 and "The run failed in Failing.choose_unit" in told.err and "on day 0" in told.err
    assert f'own_rules.py", line {line}' in told.err and "Nothing was kept." in told.err
    assert not out.exists()


# ---------------------------------------------------------------------- what is refused


def test_a_misspelt_method_is_refused_with_the_nearest():
    with pytest.raises(TypeError, match=r"Careless\.chose_unit overrides nothing; did you mean choose_unit\?"):

        class Careless(Dispatcher):
            def chose_unit(self, task, units):
                pass

    with pytest.raises(
        TypeError, match=r"pick overrides nothing\. A dispatcher decides by choose_unit, choose_hospital"
    ):

        class Careless2(Dispatcher):
            @staticmethod
            def pick():
                pass

    class Careful(Dispatcher):
        limit = 3

        def choose_unit(self, _task, units):
            return self._pick(units)

        def _pick(self, units):
            return units[0].number if units else None

    assert Careful.asks() == Careful().asks() != []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "no dispatcher of that name is installed (given 'absent'); allowed: rules, or one of the group"),
        ("nothing", "(own_rules:NOTHING) is no subclass of Dispatcher but 'no class'"),
        ("", "response.dispatch.class"),
        ("own_rules:Last", "no dispatcher of that name is installed"),
    ],
)
def test_files_name_what_is_installed_and_nothing_else(rules, call, name, message):  # noqa: ARG001
    Path("town.toml").write_text(TOWN.replace('"rules"', f'"{name}"'))
    told = call("check", "town.toml")
    assert told.code == 2 and message in told.err and "town.toml:15: response.dispatch.class" in told.err


def test_a_package_that_cannot_be_imported_is_named(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, {"broken": "Last"}, module="broken_rules", text="import no_such_module_at_all\n")
    with pytest.raises(EntryPointError, match=r"broken_rules:Last\) cannot be imported: ModuleNotFoundError"):
        dispatcher_named("broken")
    extensions.cache_clear()


def test_two_dispatchers_or_nothing_to_decide_are_refused(rules, tmp_path):
    both = ct.Scenario.from_text(TOWN.replace('"rules"', '"last"'))
    with pytest.raises(ValueError, match="the scenario names 'last'"):
        ct.run(both, dispatcher_class=rules.Failing)
    quiet = ct.Scenario.load("quickstart")
    with pytest.raises(ValueError, match=r"Last would decide nothing, as the scenario has no section \[response\]"):
        ct.run(quiet, dispatcher_class=rules.Last)
    for wrong in (lambda: None, ct.Citizen, rules.Last()):
        with pytest.raises(TypeError, match="dispatcher_class: Dispatcher or a class derived from it is wanted"):
            sweep(both, out=tmp_path / "results", dispatcher_class=wrong)
    with pytest.raises(TypeError, match=r"no such argument 'dispatcher_clas'.*did you mean 'dispatcher_class'"):
        sweep(both, out=tmp_path / "results", dispatcher_clas=rules.Last)
    assert not (tmp_path / "results").exists()


def test_what_workers_could_not_import_is_refused(rules, monkeypatch, tmp_path):
    class Local(Dispatcher):
        pass

    def told(given):
        classes = {"dispatcher_class": given}
        with pytest.raises(TypeError) as caught:
            for_workers(classes, records_of(classes, []))
        return str(caught.value)

    assert "Local is made inside a function; worker processes import it" in told(Local)
    hidden = type("Hidden", (Dispatcher,), {"__module__": "own_rules"})
    assert "Hidden is not what the module own_rules has under that name" in told(hidden)
    main = sys.modules["__main__"]
    mine = type("Mine", (Dispatcher,), {"__module__": "__main__", "__qualname__": "Mine"})
    monkeypatch.setattr(main, "Mine", mine, raising=False)
    monkeypatch.setattr(main, "__spec__", None)
    monkeypatch.delattr(main, "__file__", raising=False)
    assert "Mine lives in an interactive session" in told(mine)
    script = tmp_path / "script.py"
    script.write_text("import citytwin\ncitytwin.sweep('quickstart')\n")
    monkeypatch.setattr(main, "__file__", str(script), raising=False)
    assert 'write what the script does under `if __name__ == "__main__":`' in told(mine)
    with pytest.raises(ImportError, match=r"own_rules has no Gone when a worker imports it"):
        imported({"dispatcher_class": {"class": "own_rules:Gone", "code": ""}})
    with pytest.raises(ImportError, match=r"cannot be imported in a worker: ModuleNotFoundError"):
        imported({"dispatcher_class": {"class": "no_such_module:Gone", "code": ""}})
    assert rules.Last is imported({"dispatcher_class": {"class": "own_rules:Last", "code": ""}})["dispatcher_class"]


# ---------------------------------------------------------------------- sweeps


def test_dispatchers_are_swept_and_one_that_raises_costs_its_runs(rules, call):  # noqa: ARG001
    axis = '[sweep]\nreplicates = 1\n[sweep.parameters]\n"response.dispatch.class" = ["rules", "last", "failing"]\n'
    Path("town.toml").write_text(TOWN + axis)
    told = call("sweep", "town.toml", "--out", "results", "--workers", 1)
    assert told.code == 1 and "1 of 3 runs failed" in told.err
    assert "KeyError: 'no such rule', in Failing.choose_unit (own_rules.py:12) at" in told.err
    results = Results(Path("results"))
    incidents = results.table("incidents")
    units = [incidents[incidents["point"] == point]["unit"].tolist() for point in (0, 1)]
    assert len(units[0]) == len(units[1]) > 5 and units[0] != units[1]
    assert sorted(results.summary["point"]) == [0, 1]


def test_a_sweep_keeps_whose_rules_they_were_and_goes_on_with_no_others(rules, tmp_path):
    out = tmp_path / "results"
    scenario = ct.Scenario.from_text(TOWN)
    classes = {"dispatcher_class": rules.Last, "citizen_class": rules.Waiting}
    results = sweep(scenario, out=out, workers=1, **classes)
    assert sent(results) == sent(ct.run(scenario, dispatcher_class=rules.Last))
    own = results.info["context"]["own"]
    assert {kind: record["class"] for kind, record in own.items()} == {
        "dispatcher_class": "own_rules:Last",
        "citizen_class": "own_rules:Waiting",
    }
    assert sweep(scenario, out=out, workers=1, resume=True, **classes).failures == {}
    with pytest.raises(
        SweepError, match=r'class of dispatcher_class: "own_rules:Last" there, "own_rules:Failing" here'
    ):
        sweep(scenario, out=out, workers=1, resume=True, **(classes | {"dispatcher_class": rules.Failing}))
    with pytest.raises(SweepError, match='class of citizen_class: "own_rules:Waiting" there, null here'):
        sweep(scenario, out=out, workers=1, resume=True, dispatcher_class=rules.Last)
    Path(rules.__file__).write_text(RULES + "# changed\n")
    with pytest.raises(SweepError, match="code of citizen_class"):
        sweep(scenario, out=out, workers=1, resume=True, **classes)
    assert len(sweep(scenario, out=out, workers=1, resume="anyway", **classes).summary) == 1


def test_a_worker_takes_no_rules_that_were_changed_since(rules, tmp_path):
    out = tmp_path / "results"
    plan_sweep(ct.Scenario.from_text(TOWN), out, dispatcher_class=rules.Last)
    Path(rules.__file__).write_text(RULES + "# changed\n")
    with pytest.raises(SweepError, match=r"dispatcher_class: own_rules is not what it was when the sweep was begun"):
        work_on(out, workers=1)
    assert not runs_in_results(out)


def test_a_class_of_a_script_reaches_the_workers(tmp_path, import_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=import_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["{}", "1", "citytwin_script:Last"]


def test_a_rule_that_leaves_the_program_fails_like_any_other(rules, call, tmp_path):  # noqa: ARG001
    line = RULES.splitlines().index("        raise SystemExit(3)") + 1
    Path("town.toml").write_text(TOWN)
    told = call("run", "town.toml", "--out", "results", "--set", "response.dispatch.class=leaving")
    assert told.code == 1 and "The run failed in Leaving.choose_unit" in told.err and "on day 0" in told.err
    assert "SystemExit(3) was raised" in told.err and f'own_rules.py", line {line}' in told.err
    assert "Nothing was kept." in told.err and not (tmp_path / "results").exists()
    axis = '[sweep]\nreplicates = 1\n[sweep.parameters]\n"response.dispatch.class" = ["rules", "leaving"]\n'
    Path("town.toml").write_text(TOWN + axis)
    told = call("sweep", "town.toml", "--out", "results", "--workers", 1)
    assert told.code == 1 and "1 of 2 runs failed" in told.err
    assert f"in Leaving.choose_unit (own_rules.py:{line}) at" in told.err and "on day 0" in told.err


def test_check_claims_no_rule_that_a_class_decides(rules, call):  # noqa: ARG001
    text = TOWN.replace('"rules"', '"last"').replace("[output]", 'help_after = "9 min"\n[output]')
    Path("town.toml").write_text(text)
    told = call("check", "town.toml")
    assert told.code == 0 and "last decides; unit, help_after left to its choose_unit" in " ".join(told.out.split())
    assert "unit nearest" not in told.out and "free units home" in told.out and "hospitals divert" in told.out
    Path("town.toml").write_text(TOWN)
    assert "unit nearest" in call("check", "town.toml").out


def test_a_class_that_cannot_be_made_without_leaving_fails_too():
    class Gone(Dispatcher):
        def __init__(self, _model):
            raise SystemExit

    with pytest.raises(RuntimeError, match=r"SystemExit\(None\) was raised"):
        ct.run(ct.Scenario.from_text(TOWN), dispatcher_class=Gone)
