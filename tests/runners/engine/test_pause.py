"""Runs that are paused and go on: none of their steps is made twice, and the results are those of unbroken runs."""

import os
import signal
import time

import pytest
import sweep_toys as toys
from made_stores import check_tables

from citytwin.runners.engine import pause
from citytwin.runners.engine.ledger import entries
from citytwin.runners.engine.limits import Limits
from citytwin.runners.engine.sessions import sessions, states
from citytwin.runners.sweep import run_sweep

pytestmark = pytest.mark.usefixtures("one_program")


def test_outside_a_worker_nobody_asks():
    assert not pause.asked()
    assert pause.folder() is None


def test_a_new_run_is_not_asked(tmp_path):
    pause.begin(tmp_path)
    assert not pause.ask()  # it has not looked yet
    assert pause.asked()
    assert pause.looks()
    assert pause.ask()
    pause.begin(None)
    assert not pause.looks()
    assert not pause.asked()
    pause.begin(None)


@pytest.mark.parametrize("to_all", [False, True], ids=["to the supervisor", "to all processes, as batch systems do"])
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_signal_pauses_runs_in_hand_which_then_go_on(tmp_path, number, to_all):
    tasks = toys.make_tasks(1, 2)
    marks = tmp_path / "marks"
    marks.mkdir()
    context = toys.CONTEXT | {"steps": 20, "pause": 0.1, "marks": str(marks)}
    out = tmp_path / "out"
    process = toys.start_sweep(out, tasks, context, workers=2)
    toys.wait_for(lambda: len(list(marks.iterdir())) == 2)
    time.sleep(0.3)
    for mark in marks.iterdir() if to_all else ():
        os.kill(int(mark.name.rpartition("-")[2]), number)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert f"Stopped by {number.name}: 0 of 2 runs" in errors
    assert [entry.state for entry in states(out).values()] == ["queued", "queued"]
    reached = {kept.parent.name: int(kept.read_text()) for kept in out.glob("checkpoints/*/steps")}
    assert set(reached) == {"r000-000", "r000-001"}
    assert all(0 < steps < 20 for steps in reached.values())
    outcome = run_sweep(tasks, toys.EXECUTE, context, out, workers=2, resume=True)
    assert outcome.done == 2
    for entry in entries(out):
        if entry.state == "done":
            assert entry.seconds < (20 - reached[entry.run_id]) * 0.1 + 1.0
    assert not (out / "checkpoints").exists()
    check_tables(out, tasks)


def test_wall_time_pauses_a_run_that_is_longer_than_it(tmp_path, monkeypatch):
    tasks = toys.make_tasks(1, 1)
    out = tmp_path / "out"
    context = toys.CONTEXT | {"steps": 60, "pause": 0.1}
    sessions_needed = 0
    while True:
        begun = time.monotonic()
        monkeypatch.setattr(Limits, "deadline", property(lambda limits, begun=begun: begun + limits.walltime))
        outcome = run_sweep(
            tasks, toys.EXECUTE, context, out, workers=1, limits=Limits(walltime=5.0), resume=out.exists()
        )
        sessions_needed += 1
        if outcome.done:
            break
        assert outcome.stopped == "wall time"
        assert sessions_needed < 20
    assert sessions_needed >= 2
    assert [session.end["how"] for session in sessions(out)] == ["wall time"] * (sessions_needed - 1) + ["finished"]
    check_tables(out, tasks)


def pauses_by_itself(*_):
    """Pause though nobody asked."""
    raise pause.Paused("why not")


def test_run_that_pauses_though_nobody_asked_has_failed(tmp_path):
    outcome = run_sweep(toys.make_tasks(1, 1), "test_pause:pauses_by_itself", toys.CONTEXT, tmp_path / "out", workers=1)
    (failure,) = outcome.failures
    assert (failure.state, failure.error) == ("failed", "Paused")


def test_sigusr1_finishes_runs_that_cannot_be_paused(tmp_path):
    tasks = toys.make_tasks(1, 3)
    marks = tmp_path / "marks"
    marks.mkdir()
    context = toys.CONTEXT | {"pause": 1.0, "marks": str(marks)}
    process = toys.start_sweep(tmp_path / "out", tasks, context, workers=1)
    toys.wait_for(lambda: list(marks.iterdir()))
    process.send_signal(signal.SIGUSR1)
    _, errors = process.communicate(timeout=60)
    assert "Stopped by SIGUSR1: 1 of 3 runs" in errors
    assert [entry.state for entry in states(tmp_path / "out").values()] == ["done", "queued", "queued"]
