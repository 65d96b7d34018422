"""Limits of runs and of a sweep: how they are read, and what becomes of runs that pass them."""

import os
import time

import pytest
import sweep_toys as toys
from made_stores import make_store

from citytwin.runners.engine import supervisor
from citytwin.runners.engine.ledger import Ledger, entries
from citytwin.runners.engine.limits import Limits, parse_size, process_start, size_text, time_text
from citytwin.runners.engine.memory import resident
from citytwin.runners.engine.sessions import states
from citytwin.runners.sweep import run_sweep


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4 GB", 4 * 10**9),
        ("4GiB", 4 << 30),
        ("1.5 MB", 1_500_000),
        (" 512 KiB ", 524_288),
        ("7 B", 7),
        ("2 tb", 2 * 10**12),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["4", "GB", "-1 GB", "4 gigabytes", "4 GB of it", "", "1e3 B"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="no amount of memory; write a number with a unit"):
        parse_size(text)


def test_limits_as_people_write_them():
    assert Limits.of_texts("10 min", "4 GB", "2 h") == Limits(seconds=600, memory=4 * 10**9, walltime=7200)
    assert Limits.of_texts() == Limits()
    for given, words in [
        ({"time_limit": "10"}, "time limit: must be a number and a unit"),
        ({"memory_limit": "much"}, "memory limit: 'much' is no amount"),
        ({"walltime": "2 fortnights"}, "wall time: must be a number and a unit"),
        ({"time_limit": "0 s"}, "seconds: 0.0; a limit must be greater than 0"),
    ]:
        with pytest.raises(ValueError, match=words):
            Limits.of_texts(**given)


def test_texts():
    assert [time_text(seconds) for seconds in (0.5, 59, 90, 7200)] == ["0.5 s", "59 s", "1.5 min", "2 h"]
    assert [size_text(size) for size in (12, 1500, 4.2e9, 3e13)] == ["12 B", "1.5 kB", "4.2 GB", "30 TB"]


class Slow:
    """A worker that has done its run at the moment at which it is ended for having taken too long."""

    ready, warming, looks, verdict = True, False, False, None
    attempt, pid, since, seconds = 1, 1, 0.0, 5.0

    def __init__(self, task):
        self.task = task
        self.taken = []

    def kill(self): ...

    def take(self, task, attempt):
        self.taken.append((task, attempt))


def test_a_worker_that_is_being_ended_takes_no_other_run(tmp_path):
    tasks = toys.make_tasks(1, 2)
    store = make_store(tmp_path / "out", tasks)
    with Ledger(store.directory) as ledger:
        engine = supervisor.Supervisor(
            {"context": {}},
            workers=1,
            store=store,
            ledger=ledger,
            attempts={},
            progress=None,
            limits=Limits(seconds=1),
        )
        child = Slow(tasks[0])
        engine.children.append(child)
        engine.sealing.expect(task["run_id"] for task in tasks)
        engine.todo.waiting.append(tasks[1])
        engine._check()
        assert child.verdict[0] == "timed_out"
        engine._report(child, {"is": "done"})
        engine._feed()
    assert child.taken == []
    assert (engine.settled["done"], engine.settled["timed_out"]) == (1, 0)


def test_the_wall_time_counts_from_the_start_of_the_process():
    assert Limits().deadline is None
    begun = process_start()
    assert 0 < time.monotonic() - begun < 24 * 3600
    assert process_start() == pytest.approx(begun, abs=0.1)
    assert Limits(walltime=100.0).deadline == pytest.approx(begun + 100.0, abs=0.1)


def test_memory_of_a_process_counts_its_children():
    alone = resident(os.getpid())
    assert alone > 10_000_000
    process = toys.start_sweep("/nowhere/at/all", [], toys.CONTEXT)
    try:
        toys.wait_for(lambda: resident(os.getpid()) > alone + 5_000_000 or process.poll() is not None)
    finally:
        process.communicate()
    assert resident(process.pid) == 0


def test_run_that_takes_too_long_is_ended_once_and_no_other(tmp_path):
    tasks = toys.make_tasks(1, 4)
    marks = tmp_path / "marks"
    marks.mkdir()
    context = toys.CONTEXT | {"lasts": {"r000-001": 600}, "marks": str(marks), "luck": str(tmp_path / "luck")}
    out = tmp_path / "out"
    outcome = run_sweep(tasks, toys.EXECUTE, context, out, workers=2, limits=Limits(seconds=1.0))
    assert (outcome.done, outcome.timed_out, outcome.stopped) == (3, 1, "")
    (failure,) = outcome.failures
    assert str(failure) == "r000-001 (seed 101, epidemic.r0 = 1.5): timed_out: time limit: ran longer than 1 s"
    assert failure.attempts == 1
    (entry,) = (entry for entry in entries(out) if entry.state == "timed_out")
    assert 1.0 <= entry.seconds < 60
    assert len(list(marks.iterdir())) == 4
    # With luck, and no limit, it is made up for, and nothing else is made.
    (tmp_path / "luck").touch()
    assert run_sweep(tasks, toys.EXECUTE, context, out, workers=2, only_failed=True).done == 1
    assert {entry.state for entry in states(out).values()} == {"done"}
    assert len(list(marks.iterdir())) == 5


def test_run_that_takes_too_much_memory_is_ended_once_and_no_other(tmp_path):
    tasks = toys.make_tasks(1, 4)
    context = toys.CONTEXT | {"takes": {"r000-002": 600_000_000}}
    limits = Limits(memory=500_000_000)
    outcome = run_sweep(tasks, toys.EXECUTE, context, tmp_path / "out", workers=2, limits=limits)
    assert (outcome.done, outcome.out_of_memory) == (3, 1)
    (failure,) = outcome.failures
    assert (failure.run_id, failure.error, failure.attempts) == ("r000-002", "memory limit", 1)
    assert failure.message.endswith("more than 500 MB")
    (entry,) = (entry for entry in entries(tmp_path / "out") if entry.state == "out_of_memory")
    assert entry.rss > 500_000_000


def test_memory_that_python_does_not_get_is_told_apart_from_other_errors(tmp_path):
    context = toys.CONTEXT | {"takes": {"r000-000": 1 << 60}}
    outcome = run_sweep(toys.make_tasks(1, 2), toys.EXECUTE, context, tmp_path / "out", workers=1)
    (failure,) = outcome.failures
    assert (failure.state, failure.attempts) == ("out_of_memory", 1)
    assert "Unable to allocate" in failure.message


def test_worker_that_the_system_ended_for_want_of_memory(tmp_path, monkeypatch):
    counted = iter([3, 4])
    monkeypatch.setattr(supervisor, "out_of_memory_kills", lambda: next(counted))
    context = toys.CONTEXT | {"dies": ["r000-001"]}
    outcome = run_sweep(toys.make_tasks(1, 3), toys.EXECUTE, context, tmp_path / "out", workers=1)
    (failure,) = outcome.failures
    assert (failure.state, failure.error, failure.attempts) == ("out_of_memory", "SIGKILL", 1)
    assert failure.message == "ended by the system, as there was no memory left"


# ---------------------------------------------------------------------- wall time


def test_no_run_is_begun_that_would_not_be_done(tmp_path, monkeypatch):
    monkeypatch.setattr(Limits, "deadline", property(lambda limits: begun + limits.walltime))
    begun = time.monotonic()
    tasks = toys.make_tasks(1, 40)
    context = toys.CONTEXT | {"pause": 1.0}
    outcome = run_sweep(tasks, toys.EXECUTE, context, tmp_path / "out", workers=2, limits=Limits(walltime=10.0))
    assert time.monotonic() - begun < 10.0
    assert outcome.stopped == "wall time"
    assert 1 <= outcome.done < 40
    assert outcome.left == 40 - outcome.done
    # None was begun in vain.
    assert {entry.state for entry in entries(tmp_path / "out")} == {"running", "done"}
    assert {entry.state for entry in states(tmp_path / "out").values()} == {"done", "queued"}


def test_run_in_hand_that_is_not_done_in_time_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(Limits, "deadline", property(lambda limits: begun + limits.walltime))
    begun = time.monotonic()
    context = toys.CONTEXT | {"pause": 600.0}
    outcome = run_sweep(
        toys.make_tasks(1, 2), toys.EXECUTE, context, tmp_path / "out", workers=1, limits=Limits(walltime=6.0)
    )
    assert time.monotonic() - begun < 60
    assert (outcome.done, outcome.stopped, outcome.failures) == (0, "wall time", [])
    assert [entry.state for entry in states(tmp_path / "out").values()] == ["queued", "queued"]
