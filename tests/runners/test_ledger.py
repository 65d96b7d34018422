"""The ledger: what it keeps, and what it makes of torn lines."""

import json
import os

import pytest
import sweep_toys as toys
from test_store import make_store, put

from citytwin.runners.ledger import Entry, Ledger, entries, record_error, states
from citytwin.runners.tables import StoreError


def test_lines_come_back(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.write("a", "started", attempt=1, pid=12)
        ledger.write(
            "a", "failed", attempt=1, pid=12, seconds=1.5, error="ValueError", message="ä\nb", trace="errors/a-1.json"
        )
    first, second = entries(tmp_path)
    assert (first.run_id, first.state, first.attempt, first.pid) == ("a", "started", 1, 12)
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
        two.write("b", "started")
        one.write("a", "started")
    assert sorted(file.name for file in (tmp_path / "ledger").iterdir()) == ["0001.jsonl", "0002.jsonl"]
    assert [entry.run_id for entry in entries(tmp_path)] == ["a", "b"]


def test_lines_are_there_at_once(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.write("a", "started")
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
    ],
)
def test_torn_and_foreign_lines_are_passed_over(tmp_path, line):
    with Ledger(tmp_path) as ledger:
        ledger.write("a", "started")
    with (tmp_path / "ledger" / "0001.jsonl").open("ab") as file:
        file.write(line + b"\n" + json.dumps({"run_id": "c", "state": "done", "of a later version": 1}).encode())
    with Ledger(tmp_path) as ledger:
        ledger.write("d", "done")
    assert [(entry.run_id, entry.state) for entry in entries(tmp_path)] == [
        ("a", "started"),
        ("c", "done"),
        ("d", "done"),
    ]


def test_states(tmp_path):
    tasks = toys.make_tasks(1, 6)
    names = [task["run_id"] for task in tasks]
    results = make_store(tmp_path / "out", tasks)
    with Ledger(results.directory) as ledger:
        for name in names[1:]:
            ledger.write(name, "started", attempt=1)
        ledger.write(names[1], "done", attempt=1)
        ledger.write(names[2], "failed", attempt=1, error="ValueError")
        ledger.write(names[3], "killed", attempt=1, error="SIGKILL")
    with Ledger(results.directory) as ledger:
        ledger.write(names[2], "started", attempt=2)
        ledger.write(names[2], "done", attempt=2)
        ledger.write("a run of another sweep", "done")
    # The last run was committed, but its sweep died before it could say so.
    put(results.directory, tasks[5])
    found = states(results.directory)
    assert list(found) == names
    assert [entry.state for entry in found.values()] == ["queued", "done", "done", "killed", "started", "done"]
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
