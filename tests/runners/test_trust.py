"""Results of others: nothing that came with them runs unless it is asked for."""

import json
import shutil

import pytest

from citytwin.runners.executors.submission import submissions
from citytwin.runners.reports.crate import command_of
from citytwin.runners.results import Results
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.storage.stage import read_tasks
from citytwin.runners.storage.tables import StoreError
from citytwin.runners.sweep import plan_sweep, sweep
from citytwin.runners.trust import check_code

SCENARIO = """\
name = "received"
[city]
synthetic = { people = 1_000, seed = 2 }
[clock]
start = 2026-01-05
days = 2
[epidemic]
disease = "covid"
initial_infections = 5
"""

EVIL = """\
from pathlib import Path
Path(__file__).with_name("it-ran").touch()
def run(task, context):
    return {"summary": {"x": 1}}
"""


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """A sweep of one run that is planned, and a file with the scenario."""
    folder = tmp_path_factory.mktemp("planned")
    (folder / "town.toml").write_text(SCENARIO)
    plan_sweep(Scenario.load(folder / "town.toml"), folder / "results")
    return folder


@pytest.fixture
def received(planned, tmp_path, monkeypatch):
    """Return a function that changes ``sweep.json`` of results that came with a module of their own."""
    out = tmp_path / "results"
    shutil.copytree(planned / "results", out)
    shutil.copyfile(planned / "town.toml", tmp_path / "town.toml")
    (out / "evil.py").write_text(EVIL)
    monkeypatch.syspath_prepend(out)  # as if a person had changed into the folder

    def changed(**changes):
        file = out / "sweep.json"
        content = json.loads(file.read_text())
        context = content["context"] | changes.pop("context", {})
        file.write_text(json.dumps(content | {"context": context} | changes))
        return out

    return changed


FOREIGN = [
    ({"execute": "evil:run"}, "function that makes a run: evil:run"),
    ({"context": {"warm": "evil:run"}}, "function that warms up: evil:run"),
    ({"context": {"warm": ["evil:run"]}}, "function that warms up: ['evil:run']"),
    ({"context": {"own": {"citizen_class": {"class": "evil:run", "code": ""}}}}, "citizen_class: evil:run"),
    ({"execute": "citytwin.runners.mesa_adapter:execute_run", "context": {"model": "evil:run"}}, "model: evil:run"),
    # Functions of our own that are made for something else could be made to import anything.
    (
        {"context": {"warm": "citytwin.runners.scenarios.own_classes:imported"}},
        "citytwin.runners.scenarios.own_classes:imported",
    ),
]


@pytest.mark.parametrize(("changes", "named"), FOREIGN, ids=["execute", "warm", "list", "own", "mesa", "ours misused"])
def test_no_command_runs_what_results_brought_along(call, received, changes, named):
    out = received(**changes)
    for words in (
        ("work", out),
        ("work", out, "--warm"),
        ("work", out, "--part", "0", "--of", "1"),
        ("rerun", out, "p0000-r0000"),
        ("rerun", out, "p0000-r0000", "--debug"),
        ("submit", out, "--resume", "--slurm", "--write-only"),
    ):
        answer = call(*words)
        assert answer.code == 2 and named in answer.err and "--trust-code" in answer.err, words
    assert call("status", out).code == 0
    assert "no run is in the results yet" in call("report", out).err
    answer = call("sweep", "town.toml", "--out", out, "--resume")
    assert answer.code == 2 and "holds another sweep" in answer.err
    assert not (out / "it-ran").exists()


def test_a_file_of_a_class_is_named_with_the_class(call, received, tmp_path):
    record = {"class": "citytwin_script:Quiet", "code": "", "file": str(tmp_path / "results" / "evil.py")}
    out = received(context={"own": {"citizen_class": record}})
    answer = call("work", out)
    assert answer.code == 2 and f"citizen_class: citytwin_script:Quiet in {out}/evil.py" in answer.err
    assert not (out / "it-ran").exists()


def test_it_runs_once_it_is_trusted(call, received):
    out = received(execute="evil:run")
    answer = call("work", out, "--trust-code", "--workers", "1")
    assert answer.code == 0, answer.err
    assert (out / "it-ran").exists() and Results(out).summary["x"].tolist() == [1]


def test_what_citytwin_plans_needs_no_trust(planned):
    check_code(planned / "results")


def test_what_was_made_with_own_classes_is_not_repeated_without_them(call, received):
    out = received(context={"own": {"citizen_class": {"class": "evil:run", "code": ""}}})
    for words in (("sweep", out / "sweep.json", "--out", "again"), ("run", out / "sweep.json")):
        answer = call(*words)
        assert answer.code == 2 and "classes of one's own (citizen_class: evil:run)" in answer.err
    assert not (out / "it-ran").exists()
    assert command_of(Results(out)) == "", "neither does the report say so"


def test_trust_goes_into_the_scripts_and_is_not_remembered(call, received):
    out = received(execute="evil:run")
    words = ("submit", out, "--resume", "--slurm", "--time-per-run", "1 s", "--write-only")
    assert call(*words, "--trust-code").code == 0
    [submission] = submissions(out)
    assert f"work {out} --trust-code --submission" in (submission.folder / "array.sh").read_text()
    assert call(*words).code == 2


def test_directives_of_last_time_are_taken_over_only_if_said_again(call, received):
    out = received()
    words = ("submit", out, "--resume", "--write-only")
    line = "#SBATCH --constraint=skylake"
    assert call(*words, "--slurm", "--time-per-run", "1 s", "--extra", line).code == 0
    answer = call(*words)
    assert answer.code == 2 and f"--extra '{line}'" in answer.err and "--trust-code" in answer.err
    for further in (("--extra", line), ("--trust-code",)):
        assert call(*words, *further).code == 0
        assert line in (submissions(out)[-1].folder / "array.sh").read_text()


@pytest.mark.parametrize("name", ["../../precious", "", "a/b", "..", ".x"])
def test_a_run_cannot_be_named_like_a_file_elsewhere(received, tmp_path, name):
    out = received()
    (tmp_path / "precious").mkdir()
    task = read_tasks(out)[0] | {"run_id": name}
    (out / "tasks.jsonl").write_text(json.dumps(task) + "\n")
    with pytest.raises(StoreError, match=r"tasks\.jsonl: cannot be read .* is no name of a run"):
        read_tasks(out)


def test_resumed_by_its_script_a_class_comes_from_where_it_is_now(tmp_path, monkeypatch):
    module = tmp_path / "moved_rules.py"
    module.write_text("import citytwin as ct\nclass Quiet(ct.Citizen):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import moved_rules

    scenario, out = Scenario.from_text(SCENARIO), tmp_path / "results"
    plan_sweep(scenario, out, citizen_class=moved_rules.Quiet)
    file = out / "sweep.json"
    content = json.loads(file.read_text())
    content["context"]["own"]["citizen_class"]["file"] = str(tmp_path / "elsewhere.py")
    file.write_text(json.dumps(content))
    assert len(sweep(scenario, out=out, workers=1, resume=True, citizen_class=moved_rules.Quiet).summary) == 1
    assert "file" not in json.loads(file.read_text())["context"]["own"]["citizen_class"]
