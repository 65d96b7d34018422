"""Work on a planned sweep: in parts, by several sessions at once, by other programs, and on sweeps that grow."""

import json
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest
import sweep_toys as toys
from made_stores import check_tables

from citytwin.runners.engine import manifest
from citytwin.runners.engine import sessions as sessions_module
from citytwin.runners.engine.ledger import entries
from citytwin.runners.engine.part import unsuccessful, work_on
from citytwin.runners.engine.sessions import sessions, states
from citytwin.runners.storage.store import read_tasks, runs_in_results
from citytwin.runners.sweep import SweepError, extend, plan_runs, run_sweep

pytestmark = pytest.mark.usefixtures("one_program")


def made(out):
    return Counter(entry.run_id for entry in entries(out) if entry.state == "done")


def test_a_planned_sweep_lists_its_runs_and_makes_none(tmp_path):
    tasks = toys.make_tasks()
    out = tmp_path / "out"
    assert plan_runs(tasks, toys.EXECUTE, toys.CONTEXT, out) == tasks
    assert {entry.state for entry in states(out).values()} == {"queued"}
    assert sorted(item.name for item in out.iterdir()) == [".lock", "sweep.json", "tasks.jsonl"]
    assert plan_runs(tasks, toys.EXECUTE, toys.CONTEXT, out, resume=True) == tasks


def test_parts_are_the_whole(tmp_path, undisturbed):
    tasks = toys.make_tasks()
    out = tmp_path / "out"
    plan_runs(tasks, toys.EXECUTE, toys.CONTEXT, out)
    names = [task["run_id"] for task in tasks]
    described = (out / "sweep.json").read_bytes()
    for part in (names[7:], names[:3], names[3:7]):  # not in their order, and not along the blocks
        outcome = work_on(out, part, workers=2)
        assert (outcome.total, outcome.done, outcome.stopped) == (len(part), len(part), "")
    assert toys.files(out) == undisturbed
    assert made(out) == dict.fromkeys(names, 1)
    assert not (out / "stage").exists()
    assert (out / "sweep.json").read_bytes() == described


def test_parts_at_once_are_the_whole(tmp_path, undisturbed):
    tasks = toys.make_tasks()
    out = tmp_path / "out"
    plan_runs(tasks, toys.EXECUTE, toys.CONTEXT, out)
    names = [task["run_id"] for task in tasks]
    outcomes = []
    threads = [
        threading.Thread(target=lambda part=part: outcomes.append(work_on(out, names[part::3], workers=1)))
        for part in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.done for outcome in outcomes] == [4, 4, 4]
    work_on(out)
    assert toys.files(out) == undisturbed
    assert made(out) == dict.fromkeys(names, 1)


def test_two_sweeps_of_one_directory_share_its_runs(tmp_path, marks, undisturbed):
    tasks = toys.make_tasks()
    out = tmp_path / "out"
    context = toys.CONTEXT | {"marks": str(marks), "pause": 0.5}
    first = toys.start_sweep(out, tasks, context, workers=1)
    toys.wait_for(lambda: list(marks.iterdir()))
    outcome = run_sweep(tasks, toys.EXECUTE, context, out, workers=1, resume=True)
    said, errors = first.communicate()
    assert (json.loads(said)["done"], errors) == (12, "")
    assert outcome.done == 12
    one, two = sessions(out)
    assert one.end["done"] > 0
    assert two.end["done"] > 0
    # Each looks at the other before it takes a run, but both may take one in the same moment.
    assert sum(toys.started(marks).values()) <= 12 + 3
    assert toys.files(out) == undisturbed


def test_runs_of_a_machine_that_fell_silent_are_taken_over(tmp_path, marks, monkeypatch, undisturbed):
    tasks = toys.make_tasks()
    out = tmp_path / "out"
    monkeypatch.setattr(sessions_module, "SILENT", 1.5)
    context = toys.CONTEXT | {"marks": str(marks)}
    plan_runs(tasks, toys.EXECUTE, context, out)
    about = {"place": "node07 another-boot", "pid": 1, "process": 5}
    (out / "ledger").mkdir()
    (out / "ledger" / "20260105T000000.000000-node07-1.jsonl").write_text(
        json.dumps({"session": about})
        + "\n"
        + json.dumps({"run_id": "r000-000", "state": "running", "attempt": 1})
        + "\n"
    )
    begun = time.time_ns()
    outcome = work_on(out, workers=2)
    assert outcome.done == 12
    (mark,) = marks.glob("r000-000-*")
    assert int(mark.name.split("-")[2]) - begun >= 1.5e9  # it was left to the other as long as that might live
    assert states(out)["r000-000"].attempt == 2
    assert toys.files(out) == undisturbed


def test_names_that_are_no_runs(tmp_path):
    plan_runs(toys.make_tasks(1, 2), toys.EXECUTE, toys.CONTEXT, tmp_path / "out")
    with pytest.raises(SweepError, match=r"has no run r7; tasks\.jsonl lists"):
        work_on(tmp_path / "out", ["r000-001", "r7"])
    assert work_on(tmp_path / "out", []).total == 0
    with pytest.raises(SweepError, match="not a results directory"):
        work_on(tmp_path)
    with pytest.raises(SweepError, match="at least 1"):
        work_on(tmp_path / "out", workers=0)


@pytest.mark.parametrize("name", ["checkpoints", "stage", "summary"])
def test_a_folder_that_is_a_link_is_refused(tmp_path, name):
    tasks = toys.make_tasks(1, 1)
    elsewhere = tmp_path / "elsewhere" / tasks[0]["run_id"]
    elsewhere.mkdir(parents=True)
    out = tmp_path / "out"
    plan_runs(tasks, toys.EXECUTE, toys.CONTEXT, out)
    (out / name).symlink_to(elsewhere.parent)
    with pytest.raises(SweepError, match=f"{name}: is a link"):
        work_on(out, workers=1)
    assert [item.name for item in elsewhere.parent.iterdir()] == [elsewhere.name]


def test_a_process_that_ends_waits_for_what_its_threads_have_to_write(tmp_path, import_path):
    out, finished = tmp_path / "out", tmp_path / "finished"
    plan_runs(toys.make_tasks(1, 1), toys.EXECUTE, toys.CONTEXT, out)
    script = f"""
import pathlib, sys, threading, time
sys.path[:0] = {[str(toys.HERE.parent), str(toys.HERE)]!r}
import conftest
from citytwin.runners.engine import manifest, part
manifest.program = lambda: {toys.PROGRAM}
begun = threading.Event()
def finish(_):
    begun.set()
    time.sleep(0.5)
    pathlib.Path({str(finished)!r}).touch()
part.Store.finish = finish
threading.Thread(target=part.work_on, args=({str(out)!r}, []), daemon=True).start()
begun.wait(60)
"""
    done = subprocess.run([sys.executable, "-c", script], env=import_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert finished.exists()


def test_workers_of_another_version_are_refused_by_name(tmp_path, monkeypatch):
    out = tmp_path / "out"
    plan_runs(toys.make_tasks(1, 2), toys.EXECUTE, toys.CONTEXT, out)
    monkeypatch.setattr(manifest, "program", lambda: toys.PROGRAM | {"citytwin": "0.2"})
    with pytest.raises(
        SweepError, match=r'another program than that of .*:\n +version of citytwin: "0" there, "0.2" here'
    ):
        work_on(out)
    assert not (out / "ledger").exists()


def test_only_what_failed_is_made_again_with_the_seeds_it_had(tmp_path, marks):
    tasks = toys.make_tasks()
    out = tmp_path / "out"
    context = toys.CONTEXT | {
        "marks": str(marks), "raises": ["r000-001"], "dies": ["r001-002"], "luck": str(tmp_path / "luck"),
    }  # fmt: skip
    plan_runs(tasks, toys.EXECUTE, context, out)
    work_on(out, [task["run_id"] for task in tasks[:8]], workers=2)
    assert unsuccessful(out) == ["r000-001", "r001-002"]
    (tmp_path / "luck").touch()
    before = toys.started(marks)
    outcome = run_sweep(tasks, toys.EXECUTE, context, out, workers=1, only_failed=True)
    assert (outcome.total, outcome.done, outcome.killed) == (2, 1, 1)
    assert toys.started(marks) - before == {"r000-001": 1, "r001-002": 2}
    assert len(runs_in_results(out)) == 7  # nothing else was made
    with pytest.raises(SweepError, match="nothing to resume"):
        run_sweep(tasks, toys.EXECUTE, context, tmp_path / "other", only_failed=True)


# ---------------------------------------------------------------------- growth


@pytest.mark.parametrize("begun", [0, 5, 6])
def test_a_sweep_grows_and_what_is_done_is_kept(tmp_path, marks, begun):
    tasks = toys.make_tasks(5, 2)
    out = tmp_path / "out"
    context = toys.CONTEXT | {"marks": str(marks)}
    plan_runs(tasks[:6], toys.EXECUTE, context, out)
    work_on(out, [task["run_id"] for task in tasks[:begun]], workers=1)
    larger = context | {"scenario": "name = 'larger'"}
    assert extend(out, tasks[6:], larger) == tasks
    assert read_tasks(out) == tasks
    described = manifest.read_manifest(out)
    assert (described["runs"], len(described["points"]), described["scenario"]) == (10, 5, "name = 'larger'")
    outcome = run_sweep(tasks, toys.EXECUTE, larger, out, workers=2, resume=True)
    assert outcome.done == 10
    assert set(toys.started(marks).values()) == {1}
    check_tables(out, tasks)
    with pytest.raises(SweepError, match="holds another sweep"):
        run_sweep(tasks[:6], toys.EXECUTE, context, out, resume=True)


def test_growth_that_was_cut_off_is_made_up_for(tmp_path, monkeypatch):
    tasks = toys.make_tasks(3, 2)
    out = tmp_path / "out"
    plan_runs(tasks[:4], toys.EXECUTE, toys.CONTEXT, out)

    def cut_off(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "write_manifest", cut_off)
        with pytest.raises(KeyboardInterrupt):
            extend(out, tasks[4:])
    # Either go on with the smaller one, or grow it again.
    assert plan_runs(tasks[:4], toys.EXECUTE, toys.CONTEXT, out, resume=True) == tasks[:4]
    assert extend(out, tasks[4:]) == tasks
    assert work_on(out, workers=1).done == 6


def test_what_cannot_be_appended(tmp_path):
    out = tmp_path / "out"
    tasks = toys.make_tasks(1, 2)
    plan_runs(tasks, toys.EXECUTE, toys.CONTEXT, out)
    before = (out / "tasks.jsonl").read_bytes()
    with pytest.raises(SweepError, match="'r000-001': stands twice"):
        extend(out, tasks[1:])
    with pytest.raises(SweepError, match="not a results directory"):
        extend(tmp_path, tasks)
    assert (out / "tasks.jsonl").read_bytes() == before


def test_importing_what_a_part_needs_is_quick(import_path):
    """A task of a job array must not wait for what only models or pictures need."""
    slow = ("mesa", "pandas", "numba", "pydantic")
    code = f"import sys, citytwin.runners.engine.part; print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=import_path, check=True)
    assert done.stdout == "[]\n"
