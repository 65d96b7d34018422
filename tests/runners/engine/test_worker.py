"""A worker by itself, spoken to as its supervisor does."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import sweep_toys as toys

from citytwin.runners.engine.manifest import PACKAGE, ROOT
from citytwin.runners.engine.worker import BOOT, SINGLE_THREADED, load
from citytwin.runners.storage.store import read_table


class Dialogue:
    """A worker process and what is said to it."""

    def __init__(self, log):
        start = {"package": PACKAGE, "root": str(ROOT), "path": sys.path}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", BOOT, json.dumps(start)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=os.environ | SINGLE_THREADED,
                process_group=0,
            )

    def say(self, **command):
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, **command):
        self.say(**command)
        return json.loads(self.process.stdout.readline())

    def open(self, directory, execute, context=None):
        return self.ask(do="open", execute=execute, directory=str(directory), context=context or {}, types={})

    def run(self, task):
        return self.ask(do="run", task=task, attempt=1)


@pytest.fixture
def worker(tmp_path):
    dialogue = Dialogue(tmp_path / "log")
    yield dialogue
    dialogue.process.kill()
    dialogue.process.wait()
    dialogue.process.stdin.close()
    dialogue.process.stdout.close()


def make_results(tmp_path, tasks):
    out = tmp_path / "out"
    out.mkdir()
    (out / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
    (out / "sweep.json").write_text("{}")
    return out


def talkative(task, _):
    """Print, and read the standard input, as a model should not."""
    print("hello from", task["run_id"], flush=True)
    os.write(1, b"raw words\n")
    return {"summary": {"read": sys.stdin.read(), "threads": os.environ["NUMBA_NUM_THREADS"]}}


def leaves(*_):
    """Try to end the process as a script does."""
    sys.exit("enough")


def odd(*_):
    """Yield what cannot be stored."""
    return {"summary": {"a": np.zeros((2, 2))}}


def fails_to_warm(_):
    """Stand for a kernel that does not compile."""
    raise RuntimeError("cannot compile")


def leaves_another(_, context):
    """Fork a process that lives on, say which, and be killed."""
    other = os.fork()
    if not other:
        time.sleep(60)
        os._exit(0)
    Path(context["other"]).write_text(str(other))
    os.kill(os.getpid(), signal.SIGKILL)


def starts_another(_, context):
    """Start a program, say which, and wait for its end."""
    with subprocess.Popen(["sleep", "60"]) as other:
        Path(context["other"]).write_text(str(other.pid))


def ends_others(*_):
    """Yield how a process that is forked, and a program that is started, end when they are told to."""
    here, there = os.pipe()
    forked = os.fork()
    if not forked:
        os.write(there, b".")
        time.sleep(60)
        os._exit(0)
    os.read(here, 1)
    os.kill(forked, signal.SIGTERM)
    with subprocess.Popen(["sleep", "60"]) as started:
        started.terminate()
    return {"summary": {"forked": os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]), "started": started.returncode}}


def test_runs_and_ends(worker, tmp_path):
    tasks = toys.make_tasks(1, 2)
    out = make_results(tmp_path, tasks)
    assert worker.open(out, toys.EXECUTE) == {"is": "ready"}
    for task in tasks:
        report = worker.run(task)
        assert (report["is"], report["run_id"]) == ("done", task["run_id"])
        assert 0 <= report["cpu"] <= report["seconds"] + 0.1
        assert report["rss"] > 10_000_000
    assert read_table(out, "summary")["run_id"].to_pylist() == [task["run_id"] for task in tasks]
    worker.say(do="end")
    assert worker.process.wait(30) == 0


def test_what_a_run_prints_and_reads_does_not_meet_the_pipes(worker, tmp_path):
    tasks = toys.make_tasks(1, 1)
    out = make_results(tmp_path, tasks)
    worker.open(out, "test_worker:talkative")
    assert worker.run(tasks[0])["is"] == "done"
    assert read_table(out, "summary").select(["read", "threads"]).to_pylist() == [{"read": "", "threads": "1"}]
    assert (tmp_path / "log").read_text() == "hello from r000-000\nraw words\n"


@pytest.mark.parametrize(
    ("execute", "error", "message"),
    [
        ("test_worker:leaves", "SystemExit", "enough"),
        ("test_worker:odd", "StoreError", "table 'summary', column 'a': has 2 dimensions; a column has one"),
    ],
)
def test_run_that_raises_is_recorded(worker, tmp_path, execute, error, message):
    tasks = toys.make_tasks(1, 1)
    out = make_results(tmp_path, tasks)
    worker.open(out, execute)
    report = worker.run(tasks[0])
    assert (report["is"], report["error"], report["message"]) == ("failed", error, message)
    found = json.loads((out / report["trace"]).read_text())
    assert (found["error"], found["message"], found["task"]) == (error, message, tasks[0])
    assert "Traceback (most recent call last)" in found["traceback"]
    assert not (out / "stage").exists()
    assert worker.run(tasks[0])["is"] == "failed"  # it lives on


@pytest.mark.parametrize(
    ("execute", "words"),
    [
        ("no_such_module:execute", "No module named 'no_such_module'"),
        ("sweep_toys:no_such_function", "names no function"),
        ("sweep_toys", "write 'package.module:function'"),
        ("sweep_toys:ROWS", "names no function"),
    ],
)
def test_import_path_that_leads_nowhere(worker, tmp_path, execute, words):
    report = worker.open(tmp_path, execute)
    assert report["is"] == "unusable"
    assert words in report["message"]
    assert "Traceback" in report["traceback"]


def test_warm_up(worker, tmp_path):
    worker.open(tmp_path, toys.EXECUTE, {"marks": str(tmp_path)})
    assert worker.ask(do="warm", path="sweep_toys:warm") == {"is": "warm"}
    assert (tmp_path / f"warm-{worker.process.pid}").exists()
    report = worker.ask(do="warm", path="test_worker:fails_to_warm")
    assert (report["is"], report["message"]) == ("unusable", "RuntimeError: cannot compile")


def test_unwritable_directory_is_told_apart_from_a_failing_run(worker, tmp_path):
    tasks = toys.make_tasks(1, 1)
    out = make_results(tmp_path, tasks)
    (out / "stage").write_text("a file where a directory must be")
    worker.open(out, toys.EXECUTE)
    report = worker.run(tasks[0])
    assert (report["is"], report["message"]) == ("unwritable", "File exists")


def test_supervisor_gone_in_the_middle_of_a_run(worker, tmp_path):
    tasks = toys.make_tasks(1, 1)
    marks = tmp_path / "marks"
    marks.mkdir()
    out = make_results(tmp_path, tasks)
    worker.open(out, toys.EXECUTE, {"pause": 600, "marks": str(marks)})
    worker.say(do="run", task=tasks[0], attempt=1)
    toys.wait_for(lambda: list(marks.iterdir()))
    worker.process.stdin.close()
    assert worker.process.wait(30) == -signal.SIGKILL
    assert not (out / "stage").exists()


def begin_run(worker, tmp_path, execute):
    """Let a run begin that starts another process, and return that one."""
    tasks = toys.make_tasks(1, 1)
    said = tmp_path / "other"
    worker.open(make_results(tmp_path, tasks), execute, {"other": str(said)})
    worker.say(do="run", task=tasks[0], attempt=1)
    toys.wait_for(lambda: said.exists() and said.read_text())
    return int(said.read_text())


def test_what_a_run_started_ends_with_it_when_the_supervisor_is_gone(worker, tmp_path):
    other = begin_run(worker, tmp_path, "test_worker:starts_another")
    assert toys.is_alive(other)
    worker.process.stdin.close()
    assert worker.process.wait(30) == -signal.SIGKILL
    toys.wait_for(lambda: not toys.is_alive(other))


def test_death_is_seen_though_a_process_that_the_run_forked_lives_on(worker, tmp_path):
    other = begin_run(worker, tmp_path, "test_worker:leaves_another")
    assert worker.process.stdout.read() == b""  # its end, not that of the other
    assert toys.is_alive(other)
    os.kill(other, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1], ids=lambda number: number.name)
def test_signals_that_stop_a_sweep_are_for_the_supervisor(worker, tmp_path, number):
    tasks = toys.make_tasks(1, 1)
    marks = tmp_path / "marks"
    marks.mkdir()
    worker.open(make_results(tmp_path, tasks), toys.EXECUTE, {"pause": 0.5, "marks": str(marks)})
    worker.say(do="run", task=tasks[0], attempt=1)
    toys.wait_for(lambda: list(marks.iterdir()))
    worker.process.send_signal(number)
    assert json.loads(worker.process.stdout.readline())["is"] == "done"


def test_processes_of_a_run_end_when_they_are_told_to(worker, tmp_path):
    tasks = toys.make_tasks(1, 1)
    out = make_results(tmp_path, tasks)
    worker.open(out, "test_worker:ends_others")
    assert worker.run(tasks[0])["is"] == "done"
    found = read_table(out, "summary").select(["forked", "started"]).to_pylist()
    assert found == [{"forked": -signal.SIGTERM, "started": -signal.SIGTERM}]


def test_load():
    assert load("sweep_toys:execute") is toys.execute
