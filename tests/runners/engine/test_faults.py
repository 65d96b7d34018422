"""Sweeps that are disturbed: killed workers and sweeps, signals, full disks. Nothing is lost, nothing is doubled."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest
import sweep_toys as toys
from made_stores import check_tables

from citytwin.runners.engine.ledger import entries
from citytwin.runners.engine.part import work_on
from citytwin.runners.engine.sessions import sessions, states
from citytwin.runners.storage.store import read_table, runs_in_results
from citytwin.runners.sweep import SweepError, plan_runs, run_sweep

pytestmark = pytest.mark.usefixtures("one_program")


def same_tables(out, tasks):
    """Compare with what the runs yield; for sweeps whose context, hence footer, differs from the undisturbed one."""
    check_tables(out, tasks)
    counts = Counter(read_table(out, "summary")["run_id"].to_pylist())
    assert counts == {task["run_id"]: 1 for task in tasks}


# ---------------------------------------------------------------------- workers that die


def test_worker_killed_in_the_middle_of_a_run(tmp_path, marks, undisturbed):
    tasks = toys.make_tasks()
    context = toys.CONTEXT | {"marks": str(marks), "dies_once": ["r000-002", "r001-001", "r002-003"]}
    outcome = run_sweep(tasks, toys.EXECUTE, context, tmp_path / "out", workers=2)
    assert (outcome.done, outcome.failures) == (12, [])
    assert toys.files(outcome.directory) == undisturbed
    twice = {"r000-002", "r001-001", "r002-003"}
    assert toys.started(marks) == {task["run_id"]: 2 if task["run_id"] in twice else 1 for task in tasks}
    found = states(outcome.directory)
    assert {run for run, entry in found.items() if entry.attempt == 2} == twice
    deaths = [entry for entry in entries(outcome.directory) if entry.state == "killed"]
    assert {entry.run_id for entry in deaths} == twice
    assert {entry.error for entry in deaths} == {"SIGKILL"}


def test_worker_killed_from_outside(tmp_path, marks, undisturbed):
    tasks = toys.make_tasks()
    context = toys.CONTEXT | {"marks": str(marks), "pause": 0.2}
    process = toys.start_sweep(tmp_path / "out", tasks, context, workers=2)
    toys.wait_for(lambda: len(list(marks.iterdir())) >= 3)
    latest = max(marks.iterdir(), key=lambda mark: int(mark.name.split("-")[2]))
    os.kill(int(latest.name.rsplit("-", 1)[1]), signal.SIGKILL)
    said, errors = process.communicate()
    assert (json.loads(said)["done"], errors) == (12, "")
    assert toys.files(tmp_path / "out") == undisturbed
    assert sum(toys.started(marks).values()) == 13


def test_poison_run_harms_no_other(tmp_path, marks):
    tasks = toys.make_tasks()
    bad = {"r000-003": "SIGKILL", "r001-000": "exit code 7"}
    context = toys.CONTEXT | {"marks": str(marks), "dies": ["r000-003"], "exits": ["r001-000"]}
    outcome = run_sweep(tasks, toys.EXECUTE, context, tmp_path / "out", workers=2)
    assert (outcome.done, outcome.failed, outcome.killed) == (10, 0, 2)
    assert {failure.run_id: failure.error for failure in outcome.failures} == bad
    assert all(failure.attempts == 2 and failure.state == "killed" for failure in outcome.failures)
    assert toys.started(marks) == {task["run_id"]: 2 if task["run_id"] in bad else 1 for task in tasks}
    same_tables(outcome.directory, [task for task in tasks if task["run_id"] not in bad])
    traces = [json.loads((outcome.directory / failure.trace).read_text()) for failure in outcome.failures]
    assert traces[0]["message"] == "killed from outside, often because memory ran out"
    assert traces[1]["output"] == "about to leave\n"


def test_workers_that_die_before_any_run_end_the_sweep(tmp_path):
    (tmp_path / "deadly_toy.py").write_text("import os\nprint('no good')\nos.abort()\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        with pytest.raises(SweepError, match=r"workers die before they can make a run \(SIGABRT\): no good"):
            run_sweep(toys.make_tasks(), "deadly_toy:execute", toys.CONTEXT, tmp_path / "out", workers=2)


def test_workers_import_nothing_from_where_the_sweep_is_started(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise RuntimeError('brought along')\n")
    monkeypatch.chdir(tmp_path)
    assert run_sweep(toys.make_tasks(1, 2), toys.EXECUTE, toys.CONTEXT, tmp_path / "out", workers=1).done == 2


# ---------------------------------------------------------------------- sweeps that die


def workers_of(out):
    """Return the processes of the workers that the ledger knows."""
    return {entry.pid for entry in entries(out) if entry.pid}


@pytest.mark.parametrize("with_workers", [False, True])
def test_sweep_killed(tmp_path, marks, undisturbed, with_workers):
    tasks = toys.make_tasks()
    context = toys.CONTEXT | {"marks": str(marks), "pause": 0.1}
    out = tmp_path / "out"
    process = toys.start_sweep(out, tasks, context, workers=2)
    toys.wait_for(lambda: len(list(marks.iterdir())) >= 6)
    process.kill()
    workers = workers_of(out)
    if with_workers:
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
    process.communicate()
    toys.wait_for(lambda: not any(toys.is_alive(pid) for pid in workers))
    done = runs_in_results(out)
    assert 1 <= len(done) < 12
    check_tables(out, [task for task in tasks if task["run_id"] in done])
    outcome = run_sweep(tasks, toys.EXECUTE, context, out, workers=2, resume=True)
    assert outcome.done == 12
    assert toys.files(out) == undisturbed
    starts = toys.started(marks)
    assert all(starts[run] == 1 for run in done)
    assert sum(starts.values()) <= 12 + 2  # only the runs in hand were begun again


def test_sweep_killed_at_many_moments(tmp_path, undisturbed):
    tasks = toys.make_tasks()
    generator = np.random.default_rng(2026)
    out = tmp_path / "out"
    context = toys.CONTEXT | {"pause": 0.01}
    kills = 0
    for attempt in range(12):
        process = toys.start_sweep(out, tasks, context, workers=2, resume=(out / "sweep.json").exists())
        try:
            process.wait(0.25 + 0.5 * generator.random())
        except subprocess.TimeoutExpired:
            kills += 1
        process.kill()
        process.communicate()
        if (out / "sweep.json").exists() and len(runs_in_results(out)) == 12 and attempt > 6:
            break
        if out.exists():
            toys.wait_for(lambda: not any(toys.is_alive(pid) for pid in workers_of(out)))
    assert kills >= 1
    resume = (out / "sweep.json").exists()
    assert run_sweep(tasks, toys.EXECUTE, context, out, workers=2, resume=resume).done == 12
    assert toys.files(out) == undisturbed


@pytest.mark.parametrize("line", [b'{"run_id": "r000-0', b"\x00" * 50, b"[1, 2]\n"])
def test_corrupt_ledger_does_not_hinder_resumption(tmp_path, undisturbed, line):
    tasks = toys.make_tasks()
    out = tmp_path / "out"
    bad = toys.CONTEXT | {"raises": ["r001-001"], "luck": str(tmp_path / "luck")}
    run_sweep(tasks, toys.EXECUTE, bad, out, workers=1)
    (ledger,) = (out / "ledger").iterdir()
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(lines[:3]) + line + b"".join(lines[4:]) + line)
    (tmp_path / "luck").touch()
    outcome = run_sweep(tasks, toys.EXECUTE, bad, out, workers=1, resume=True)
    assert outcome.done == 12
    assert toys.files(out) == undisturbed
    assert {entry.state for entry in states(out).values()} == {"done"}


@pytest.mark.parametrize("damage", ["empty", "cut", "zeroed"])
def test_staged_run_that_a_loss_of_power_cut_short_is_made_again(tmp_path, marks, undisturbed, damage):
    tasks = toys.make_tasks()
    out = tmp_path / "out"
    context = toys.CONTEXT | {"marks": str(marks)}
    plan_runs(tasks, toys.EXECUTE, context, out)
    work_on(out, ["r000-000", "r000-001", "r000-002"], workers=1)
    staged = out / "stage" / "r000-001.arrow"
    content = staged.read_bytes()
    staged.write_bytes({"empty": b"", "cut": content[:900], "zeroed": bytes(len(content))}[damage])
    assert work_on(out, workers=1).done == 12
    assert toys.files(out) == undisturbed
    assert toys.started(marks) == {task["run_id"]: 1 + (task["run_id"] == "r000-001") for task in tasks}
    assert sessions(out)[-1].about["redone"] == ["r000-001"]


# ---------------------------------------------------------------------- signals


def test_ctrl_c_lets_runs_in_hand_finish(tmp_path, marks, undisturbed):
    tasks = toys.make_tasks()
    context = toys.CONTEXT | {"marks": str(marks), "pause": 0.3}
    out = tmp_path / "out"
    process = toys.start_sweep(out, tasks, context, workers=2)
    toys.wait_for(lambda: len(list(marks.iterdir())) >= 4)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    begun = toys.started(marks)
    assert "Stopping when 2 runs in hand are done" in errors
    assert f"SweepInterrupted: Stopped by SIGINT: {len(begun)} of 12 runs are in {out}; go on with --resume" in errors
    assert process.returncode == 1
    assert runs_in_results(out) == set(begun)
    assert not any(toys.is_alive(pid) for pid in workers_of(out))
    assert sessions(out)[0].end["how"] == "SIGINT"
    # What is done can be read by any tool already.
    assert sum(path.startswith("summary/") for path in toys.files(out)) >= 1
    assert run_sweep(tasks, toys.EXECUTE, context, out, workers=2, resume=True).done == 12
    assert set(toys.started(marks).values()) == {1}
    assert toys.files(out) == undisturbed


def test_ctrl_c_when_the_last_runs_are_in_hand_is_no_interruption(tmp_path, marks):
    context = toys.CONTEXT | {"marks": str(marks), "pause": 0.5}
    process = toys.start_sweep(tmp_path / "out", toys.make_tasks(1, 2), context, workers=2)
    toys.wait_for(lambda: len(list(marks.iterdir())) == 2)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate()
    assert process.returncode == 0
    assert json.loads(said)["done"] == 2
    assert sessions(tmp_path / "out")[0].end["how"] == "finished"


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]])
def test_second_ctrl_c_and_sigterm_drop_runs_in_hand(tmp_path, marks, signals):
    tasks = toys.make_tasks(1, 3)
    context = toys.CONTEXT | {"marks": str(marks), "pause": 600}
    process = toys.start_sweep(tmp_path / "out", tasks, context, workers=2)
    toys.wait_for(lambda: len(list(marks.iterdir())) == 2)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.1)  # two signals of one kind at once are one signal
    _, errors = process.communicate(timeout=60)
    assert f"Stopped by {signals[-1].name}: 0 of 3 runs" in errors
    assert [entry.state for entry in states(tmp_path / "out").values()] == ["queued"] * 3
    assert not any(toys.is_alive(pid) for pid in workers_of(tmp_path / "out"))


def test_handlers_of_the_caller_are_put_back(tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run_sweep(toys.make_tasks(1, 1), toys.EXECUTE, toys.CONTEXT, tmp_path / "out", workers=1)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


# ---------------------------------------------------------------------- disks


@contextmanager
def small_disk(folder, size):
    """Mount a file system of the given size in bytes; skip where that is not allowed."""
    with toys.small_disk(folder, size) as mount:
        if mount is None:
            pytest.skip("cannot mount a small file system here; needs root")
        yield mount


READ_ONLY = 1


@pytest.mark.parametrize("pages", [0, 1, 2, 3, 4, 6, 8, 10, 12, 13])
def test_full_disk(tmp_path, undisturbed, pages):
    tasks = toys.make_tasks()
    with small_disk(tmp_path / "disk", 4096 * 64):
        out = tmp_path / "disk" / "out"
        ballast = tmp_path / "disk" / "ballast"
        ballast.write_bytes(b"x" * 4096 * (63 - pages))
        with pytest.raises(SweepError, match=r"cannot be written \(No space left on device\); .*") as caught:
            run_sweep(tasks, toys.EXECUTE, toys.CONTEXT, out, workers=2)
        if "nothing was begun" in str(caught.value):
            assert not out.exists()
        else:
            done = runs_in_results(out)
            assert f"{len(done)} of 12 runs are in the results and stay there" in str(caught.value)
            if done:
                check_tables(out, [task for task in tasks if task["run_id"] in done])
            assert not any(toys.is_alive(pid) for pid in workers_of(out))
        ballast.unlink()
        outcome = run_sweep(tasks, toys.EXECUTE, toys.CONTEXT, out, workers=2, resume=out.exists())
        assert outcome.done == 12
        assert toys.files(out) == undisturbed
        assert not list(out.glob("**/.*.tmp"))


def test_directory_that_cannot_be_written(tmp_path):
    tasks = toys.make_tasks(1, 2)
    with small_disk(tmp_path / "disk", 4096 * 64) as remount:
        bad = toys.CONTEXT | {"raises": ["r000-001"], "luck": str(tmp_path / "luck")}
        out = tmp_path / "disk" / "out"
        run_sweep(tasks, toys.EXECUTE, bad, out, workers=1)
        (tmp_path / "luck").touch()
        before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
        assert remount(READ_ONLY, "") == 0
        with pytest.raises(SweepError, match=r"cannot be written \(Read-only file system\); 1 of 2 runs"):
            run_sweep(tasks, toys.EXECUTE, bad, out, workers=1, resume=True)
        with pytest.raises(SweepError, match=r"cannot be written \(Read-only file system\); nothing was begun"):
            run_sweep(tasks, toys.EXECUTE, bad, tmp_path / "disk" / "other", workers=1)
        assert {file: file.read_bytes() for file in out.rglob("*") if file.is_file()} == before


def test_directory_that_is_gone(tmp_path, marks):
    out = tmp_path / "out"
    process = toys.start_sweep(out, toys.make_tasks(), toys.CONTEXT | {"marks": str(marks), "pause": 0.2}, workers=2)
    toys.wait_for(lambda: len(list(marks.iterdir())) >= 2)
    out.rename(tmp_path / "elsewhere")
    _, errors = process.communicate(timeout=60)
    assert "SweepError" in errors
    assert "cannot be written (No such file or directory); sweep.json is not to be seen any more" in errors
    assert not any(toys.is_alive(pid) for pid in workers_of(tmp_path / "elsewhere"))
