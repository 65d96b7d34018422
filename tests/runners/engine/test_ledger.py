"""The ledger: what it keeps, and what it makes of torn lines."""

import json
import os
import socket
from datetime import datetime

import pytest
import sweep_toys as toys
from made_stores import make_store, put

from citytwin.runners.engine import ledger as ledger_module
from citytwin.runners.engine.ledger import Entry, Ledger, entries, record_error
from citytwin.runners.engine.sessions import states
from citytwin.runners.storage.tables import StoreError


def test_lines_come_back(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.write("a", "running", attempt=1, pid=12)
        ledger.write(
            "a", "failed", attempt=1, pid=12, seconds=1.5, error="ValueError", message="ä\nb", trace="errors/a-1.json"
        )
    first, second = entries(tmp_path)
    assert (first.run_id, first.state, first.attempt, first.pid) == ("a", "running", 1, 12)
    assert (second.state, second.seconds, second.error, second.message) == ("failed", 1.5, "ValueError", "ä\nb")
    assert second.host
    assert first.time <= second.time


def test_text_that_is_no_unicode(tmp_path):
    odd = os.fsdecode(b"caf\xe9.toml")
    with Ledger(tmp_path) as ledger:
        ledger.write("a", "failed", message=odd)
    assert [entry.message for entry in entries(tmp_path)] == [odd]
    path = record_error(tmp_path, toys.make_tasks()[0], 1, {"message": odd})
    assert json.loads((tmp_path / path).read_text())["message"] == odd


def test_every_session_has_its_file(tmp_path):
    with Ledger(tmp_path) as one, Ledger(tmp_path) as two:
        two.write("b", "running")
        one.write("a", "running")
    assert sorted((tmp_path / "ledger").iterdir()) == [one.path, two.path]
    assert [entry.run_id for entry in entries(tmp_path)] == ["a", "b"]
    assert socket.gethostname() in one.name


def test_names_of_sessions_that_begin_at_once_differ(tmp_path, monkeypatch):
    class Stopped(datetime):
        @classmethod
        def now(cls, zone=None):
            return datetime(2026, 1, 5, tzinfo=zone)

    monkeypatch.setattr(ledger_module, "datetime", Stopped)
    with Ledger(tmp_path) as one, Ledger(tmp_path) as two, Ledger(tmp_path) as three:
        assert len({one.path, two.path, three.path}) == 3


def test_lines_are_there_at_once(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.write("a", "running")
        assert [entry.run_id for entry in entries(tmp_path)] == ["a"]


@pytest.mark.parametrize(
    "line",
    [
        b'{"run_id": "b", "state": "do',
        b"\x00\x00\x00\x00",
        b"\xff\xfe",
        b"",
        b"[]",
        b"3",
        b'{"run_id": "b", "state": "lost"}',
        b'{"state": "done"}',
        b'{"run_id": 7, "state": "done"}',
        b'{"run_id": "b", "state": "done", "attempt": "two"}',
        b'{"run_id": "b", "state": ["done"]}',
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_torn_and_foreign_lines_are_passed_over(tmp_path, line):
    with Ledger(tmp_path) as ledger:
        ledger.write("a", "running")
    with ledger.path.open("ab") as file:
        file.write(line + b"\n" + json.dumps({"run_id": "c", "state": "done", "of a later version": 1}).encode())
    with Ledger(tmp_path) as ledger:
        ledger.write("d", "done")
    assert [(entry.run_id, entry.state) for entry in entries(tmp_path)] == [
        ("a", "running"),
        ("c", "done"),
        ("d", "done"),
    ]


def test_states(tmp_path):
    tasks = toys.make_tasks(1, 6)
    names = [task["run_id"] for task in tasks]
    results = make_store(tmp_path / "out", tasks)
    with Ledger(results.directory) as ledger:
        for name in names[1:]:
            ledger.write(name, "running", attempt=1)
        ledger.write(names[1], "done", attempt=1)
        ledger.write(names[2], "failed", attempt=1, error="ValueError")
        ledger.write(names[3], "killed", attempt=1, error="SIGKILL")
        ledger.end("finished")
    with Ledger(results.directory) as ledger:
        ledger.write(names[2], "running", attempt=2)
        ledger.write(names[2], "done", attempt=2)
        ledger.write("a run of another sweep", "done")
        ledger.end("finished")
    for task in tasks[1:3]:
        put(results.directory, task)
    # The last run was committed, but its sweep died before it could say so.
    put(results.directory, tasks[5])
    found = states(results.directory)
    assert list(found) == names
    assert [entry.state for entry in found.values()] == ["queued", "done", "done", "killed", "lost", "done"]
    assert [entry.attempt for entry in found.values()] == [0, 1, 2, 1, 1, 1]
    assert found[names[0]] == Entry(names[0], "queued")
    assert found[names[3]].error == "SIGKILL"


def test_states_of_no_sweep(tmp_path):
    with pytest.raises(StoreError, match="not a results directory"):
        states(tmp_path)


def test_full_disk_is_reported(tmp_path, monkeypatch):
    with Ledger(tmp_path) as ledger:
        real = os.write
        calls = []

        def short(handle, content):
            calls.append(len(content))
            if len(calls) > 1:
                raise OSError(28, "No space left on device")
            return real(handle, content[:5])

        monkeypatch.setattr(os, "write", short)
        with pytest.raises(OSError, match="No space left"):
            ledger.write("a", "done")
        monkeypatch.undo()
    assert list(entries(tmp_path)) == []


def test_errors_are_files_by_run_and_attempt(tmp_path):
    task = toys.make_tasks()[0]
    path = record_error(tmp_path, task, 2, {"error": "ValueError", "traceback": "Traceback …"})
    assert path == "errors/r000-000-2.json"
    found = json.loads((tmp_path / path).read_text(encoding="utf-8"))
    assert (found["task"], found["attempt"], found["error"], found["traceback"]) == (
        task,
        2,
        "ValueError",
        "Traceback …",
    )
