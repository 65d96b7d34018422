"""Sessions: which of them live, whatever clocks say, and what that makes of runs in their hands."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest
import sweep_toys as toys
from made_stores import make_store, put

from citytwin.runners.engine import ledger as ledger_module
from citytwin.runners.engine import sessions as sessions_module
from citytwin.runners.engine.ledger import Ledger, to_json
from citytwin.runners.engine.sessions import Others, identity, living, sessions, states
from citytwin.runners.status import status
from citytwin.runners.storage.living import process_mark

ELSEWHERE = {"place": "node07 another-boot", "pid": 1, "process": 5}
LONG_AGO = 946_684_800


@pytest.fixture
def out(tmp_path):
    return make_store(tmp_path / "out", toys.make_tasks(1, 4)).directory


def journal(out, about, *lines, name="20260105T000000.000000-node07-1", old=False):
    """Write the journal of a session that is somewhere else, maybe one that was last written long ago."""
    path = out / "ledger" / f"{name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(to_json(line) + b"\n" for line in ({"session": about}, *lines)))
    if old:
        os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def running(run, attempt=1):
    return {"run_id": run, "state": "running", "attempt": attempt}


def test_a_session_tells_what_it_is_and_how_it_ended(out):
    with Ledger(out, identity() | {"workers": 3}) as ledger:
        ledger.write("r000-000", "running", attempt=1)
        (session,) = sessions(out)
        assert (session.name, session.about["workers"], session.end) == (ledger.name, 3, {})
        assert living([session]) == {ledger.name}
        ledger.end("finished", done=1)
    (session,) = sessions(out)
    assert session.facts["how"] == "finished"
    assert session.facts["done"] == 1
    assert session.facts["started"] <= session.facts["ended"]
    assert living([session]) == set()


def test_a_session_that_ends_with_an_error_says_so(out):
    with pytest.raises(ZeroDivisionError), Ledger(out, identity()):
        raise ZeroDivisionError
    assert sessions(out)[0].end["how"] == "ZeroDivisionError"


def test_a_session_of_this_machine_lives_while_its_process_does(out):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        about = identity() | {"pid": process.pid, "process": process_mark(process.pid)}
        # However old its last sign of life, and whatever the clock says.
        journal(out, about, running("r000-001"), old=True)
        assert states(out)["r000-001"].state == "running"
        # A process that began at another time is another, though the number is the same.
        journal(out, about | {"process": about["process"] - 1}, running("r000-001"))
        assert states(out)["r000-001"].state == "lost"
        journal(out, about, running("r000-001"))
    finally:
        process.kill()
        process.wait()
    found = states(out)["r000-001"]
    assert (found.state, found.attempt, found.error) == ("lost", 1, "")
    assert found.told == "lost: its supervisor ended or fell silent with it in hand"


def test_a_session_elsewhere_lives_while_its_journal_grows(out, monkeypatch):
    monkeypatch.setattr(sessions_module, "BEAT", 0.2)
    path = journal(out, ELSEWHERE, running("r000-001"), old=True)
    assert living(sessions(out)) == set()
    assert living(sessions(out), wait=False) == {path.stem}
    grow = f"import time; time.sleep(0.1); open({str(path)!r}, 'ab').write({ledger_module.BEAT_LINE!r})"
    process = subprocess.Popen([sys.executable, "-c", grow])
    found = sessions(out)
    monkeypatch.setattr(sessions_module, "BEAT", 20.0)
    os.utime(path, (LONG_AGO, LONG_AGO))
    assert living(found) == {path.stem}
    process.wait()
    assert states(out, {path.stem})["r000-001"].state == "running"


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_clocks_that_jump_make_no_session_die(out, monkeypatch, jump):
    with Ledger(out, ELSEWHERE) as ledger:
        ledger.write("r000-002", "running", attempt=1)
        monkeypatch.setattr(ledger_module, "BEAT", 0.05)
        real = time.time
        with Ledger(out, ELSEWHERE) as beating:
            monkeypatch.setattr(time, "time", lambda: real() + jump)
            assert beating.name in living(sessions(out))


def test_the_heart_beats_only_while_nothing_else_is_written(out, monkeypatch):
    monkeypatch.setattr(ledger_module, "BEAT", 0.05)
    with Ledger(out, identity()) as ledger:
        toys.wait_for(lambda: ledger.path.read_bytes().count(ledger_module.BEAT_LINE) >= 2)
    size = ledger.path.stat().st_size
    time.sleep(0.2)
    assert ledger.path.stat().st_size == size


def test_who_was_found_silent_is_not_waited_for_again(out):
    path = journal(out, ELSEWHERE, old=True)
    with Ledger(out, identity()) as ledger:
        ledger.end("finished", silent=[path.stem])
    begun = time.monotonic()
    assert living(sessions(out)) == set()
    assert time.monotonic() - begun < 5
    assert sessions(out)[0].end["how"] == "silent"


def test_a_session_may_have_much_to_tell(out):
    names = [f"20260105T000000.000000-node{number:04d}-1" for number in range(2000)]
    with Ledger(out, identity() | {"redone": names}) as ledger:
        assert living(sessions(out)) == {ledger.name}
        ledger.write("r000-000", "running")
        ledger.end("finished", silent=names)
    (session,) = sessions(out)
    assert session.about["redone"] == session.end["silent"] == names


def test_two_machines_of_one_name_are_not_mixed_up(out):
    about = identity()
    there = about | {"place": about["place"].replace(about["place"].split()[1], "another-boot"), "pid": 2**22 - 3}
    path = journal(out, there)  # a process number that means nothing here
    assert living(sessions(out), wait=False) == {path.stem}
    journal(out, about | {"pid": 2**22 - 3})
    assert living(sessions(out), wait=False) == set()


# ---------------------------------------------------------------------- states


def test_of_several_sessions_the_latest_attempt_counts(out):
    journal(out, ELSEWHERE, running("r000-000"), {"ended": "then"}, name="1")
    failed = {"run_id": "r000-000", "state": "failed", "attempt": 2, "error": "ValueError"}
    journal(out, ELSEWHERE, running("r000-000", 2), failed, {"ended": "then"}, name="2")
    journal(out, ELSEWHERE, running("r000-001", 1), {"ended": "then"}, name="3")
    found = states(out)
    assert [entry.state for entry in found.values()] == ["failed", "lost", "queued", "queued"]
    assert found["r000-000"].error == "ValueError"
    # One that lives has taken it up.
    with Ledger(out, identity()) as ledger:
        ledger.write("r000-000", "running", attempt=3)
        ledger.write("r000-001", "running", attempt=2)
        assert [entry.state for entry in states(out).values()] == ["running", "running", "queued", "queued"]


def test_done_is_decided_by_the_commit_alone(out):
    tasks = toys.make_tasks(1, 4)
    with Ledger(out, identity()) as ledger:
        ledger.write("r000-000", "done", attempt=1, seconds=2.5)
        ledger.write("r000-001", "done", attempt=1)
        ledger.write("r000-002", "running", attempt=1)
        ledger.end("finished")
    put(out, tasks[0])
    put(out, tasks[2])
    found = states(out)
    assert [entry.state for entry in found.values()] == ["done", "queued", "done", "queued"]
    assert found["r000-000"].seconds == 2.5


def test_status(out):
    tasks = toys.make_tasks(1, 4)
    with Ledger(out, identity() | {"workers": 1}) as ledger:
        for number, task in enumerate(tasks[:3]):
            ledger.write(task["run_id"], "running", attempt=1)
            if number < 2:
                put(out, task)
                ledger.write(task["run_id"], "done", attempt=1, cpu=1800.0)
        found = status(out)
        assert (found.total, found.counts["done"], found.counts["running"], found.counts["queued"]) == (4, 2, 1, 1)
        assert found.cpu_hours == 1.0
        assert [session.name for session in found.alive] == [ledger.name]
        assert found.per_hour > 0
        assert found.hours_left == pytest.approx(2 / found.per_hour)
        ledger.write("r000-002", "timed_out", attempt=1, error="time limit", message="ran longer than 1 s")
    found = status(out)
    assert (found.alive, found.per_hour, found.hours_left) == ([], None, None)
    assert list(found.failures) == ["r000-002"]
    facts = json.loads(json.dumps(found.facts))
    assert facts["states"]["timed_out"] == 1
    assert facts["failures"]["r000-002"]["message"] == "ran longer than 1 s"
    assert facts["sessions"][0]["workers"] == 1


# ---------------------------------------------------------------------- others


def test_others_tell_what_they_do(out):
    journal(out, ELSEWHERE, running("r000-000"), {"run_id": "r000-001", "state": "failed", "attempt": 1}, name="1")
    others = Others(out)
    assert others.in_hand() == {"r000-000"}
    assert others.look(now=True) == {}  # what was settled before is known already
    with Ledger(out, identity()) as own, Ledger(out, identity()) as other:
        others.own = own.name
        own.write("r000-002", "running", attempt=1)
        other.write("r000-003", "running", attempt=1)
        assert others.look(now=True) == {}
        assert others.in_hand() == {"r000-000", "r000-003"}
        assert others.look() == {}  # not due
        other.write("r000-003", "done", attempt=1)
        assert {run: said["state"] for run, said in others.look(now=True).items()} == {"r000-003": "done"}
        other.write("r000-001", "running", attempt=2)
        other.end("SIGTERM")
        others.look(now=True)
        assert others.in_hand() == {"r000-000"}


def test_others_that_fall_silent_hold_nothing(out, monkeypatch):
    path = journal(out, ELSEWHERE, running("r000-000"))
    others = Others(out)
    monkeypatch.setattr(sessions_module, "SILENT", 0.05)
    time.sleep(0.1)
    with path.open("ab") as file:
        file.write(ledger_module.BEAT_LINE)
    others.look(now=True)
    assert others.in_hand() == {"r000-000"}
    time.sleep(0.1)
    others.look(now=True)
    assert others.in_hand() == set()


def test_a_line_that_is_being_written_is_read_when_it_is_whole(out):
    path = journal(out, ELSEWHERE)
    others = Others(out)
    line = to_json(running("r000-003")) + b"\n"
    for piece in (line[:9], line[9:]):
        assert others.in_hand() == set()
        with path.open("ab") as file:
            file.write(piece)
        others.look(now=True)
    assert others.in_hand() == {"r000-003"}
    assert socket.gethostname() not in path.name
