"""Sweeps that nothing disturbs: what they write, what they refuse, what a resumption adds."""

import contextlib
import errno
import json
import socket
import subprocess
import threading
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
import sweep_toys as toys
from made_stores import check_tables

from citytwin.runners import sweep as sweep_module
from citytwin.runners.engine import manifest
from citytwin.runners.engine.ledger import entries
from citytwin.runners.engine.part import work_on
from citytwin.runners.engine.sessions import sessions, states
from citytwin.runners.storage.store import read_table
from citytwin.runners.storage.tables import StoreError
from citytwin.runners.sweep import SweepError, default_block, lock, plan_runs, run_sweep

CONTEXT = {"scenario": 'name = "toy"\nr0 = 2\n'}


def snapshot(directory):
    """Return everything in a directory: path → bytes and time of the last change."""
    found = [file for file in directory.rglob("*") if file.is_file() and file.name != ".lock"]
    return {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in found}


def test_results_are_what_the_runs_yield(tmp_path):
    tasks = toys.make_tasks()
    seen = []
    outcome = run_sweep(
        tasks, toys.EXECUTE, CONTEXT, tmp_path / "out", workers=2, progress=lambda *told: seen.append(told)
    )
    assert (outcome.total, outcome.done, outcome.failed, outcome.killed, outcome.failures) == (12, 12, 0, 0, [])
    check_tables(outcome.directory, tasks)
    assert [told[0] for told in seen] == list(range(13))
    assert {told[1:3] for told in seen} == {(0, 12)}
    assert seen[0][3] is None
    assert seen[-1][3] == 0
    assert sorted(item.name for item in outcome.directory.iterdir()) == [
        ".lock", "infections", "ledger", "series", "summary", "sweep.json", "tasks.jsonl",
    ]  # fmt: skip
    found = states(outcome.directory)
    assert [(run, entry.state, entry.attempt) for run, entry in found.items()] == [
        (t["run_id"], "done", 1) for t in tasks
    ]
    assert all(entry.pid and entry.rss and entry.host == socket.gethostname() for entry in found.values())


def test_bytes_do_not_depend_on_workers_or_order_of_completion(tmp_path):
    tasks = toys.make_tasks()
    for workers in (1, 2, 3):
        run_sweep(tasks, toys.EXECUTE, CONTEXT, tmp_path / str(workers), workers=workers)
    one = toys.files(tmp_path / "1")
    assert len(one) == 6  # three tables; of three blocks two are joined
    assert toys.files(tmp_path / "2") == one
    assert toys.files(tmp_path / "3") == one


def test_manifest(tmp_path):
    city = tmp_path / "toy.city"
    city.mkdir()
    (city / "city.json").write_text('{"name": "toy"}')
    (city / "people").mkdir()
    (city / "people" / "age.npy").write_bytes(b"\x01\x02\x03")
    tasks = toys.make_tasks(city=str(city))
    run_sweep(tasks, toys.EXECUTE, CONTEXT | {"threads": 1}, tmp_path / "out", workers=1)
    found = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert found["scenario"] == CONTEXT["scenario"]
    assert found["context"] == {"threads": 1}
    assert found["parameters"] == ["epidemic.r0"]
    assert found["points"] == [{"point": point, "parameters": {"epidemic.r0": 1.5 + point}} for point in range(3)]
    assert (found["runs"], found["replicates"], found["execute"]) == (12, [0, 1, 2, 3], toys.EXECUTE)
    whole = b'city.json\x0015\x00{"name": "toy"}people/age.npy\x003\x00\x01\x02\x03'
    digest = subprocess.run(["b2sum", "--length=256"], input=whole, capture_output=True, check=True).stdout
    assert found["cities"] == {str(city): digest.decode().split()[0]}
    assert set(found["versions"]) == {"python", "citytwin", "code", "mesa", "numpy", "numba", "pyarrow"}
    (session,) = (session.facts for session in sessions(tmp_path / "out"))
    assert session["machine"]["host"] == socket.gethostname()
    assert (session["done"], session["failed"], session["killed"], session["how"]) == (12, 0, 0, "finished")
    assert datetime.fromisoformat(found["started"]) <= datetime.fromisoformat(session["started"])
    assert datetime.fromisoformat(session["started"]) <= datetime.fromisoformat(session["ended"])
    lines = (tmp_path / "out" / "tasks.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == tasks


def test_runs_that_raise_are_named_and_made_up_for(tmp_path):
    tasks = toys.make_tasks()
    bad = ["r000-001", "r002-003"]
    context = CONTEXT | {"raises": bad, "luck": str(tmp_path / "luck")}
    run_sweep(tasks, toys.EXECUTE, context | {"raises": bad}, tmp_path / "out", workers=2)
    outcome = run_sweep(tasks, toys.EXECUTE, context, tmp_path / "out", workers=2, resume=True)
    assert (outcome.done, outcome.failed, outcome.killed) == (10, 2, 0)
    assert [failure.run_id for failure in outcome.failures] == bad
    first = outcome.failures[0]
    assert (first.state, first.error, first.message, first.attempts) == (
        "failed",
        "ValueError",
        "no luck in r000-001",
        2,
    )
    assert (first.point, first.replicate, first.seed, first.parameters) == (0, 1, 101, {"epidemic.r0": 1.5})
    assert "no luck in r000-001" in json.loads((outcome.directory / first.trace).read_text())["traceback"]
    assert str(first) == "r000-001 (seed 101, epidemic.r0 = 1.5): failed: ValueError: no luck in r000-001"
    check_tables(outcome.directory, [task for task in tasks if task["run_id"] not in bad])

    (tmp_path / "luck").touch()
    outcome = run_sweep(tasks, toys.EXECUTE, context, tmp_path / "out", workers=2, resume=True)
    assert (outcome.done, outcome.failures) == (12, [])
    assert [states(outcome.directory)[run].attempt for run in bad] == [3, 3]
    run_sweep(tasks, toys.EXECUTE, context, tmp_path / "undisturbed", workers=1)
    assert toys.files(outcome.directory) == toys.files(tmp_path / "undisturbed")
    assert not (outcome.directory / "stage").exists()


def test_finished_sweep_resumed_does_nothing(tmp_path):
    tasks = toys.make_tasks(1, 2)
    marks = tmp_path / "marks"
    marks.mkdir()
    context = CONTEXT | {"marks": str(marks)}
    first = run_sweep(tasks, toys.EXECUTE, context, tmp_path / "out", workers=1)
    before, started = snapshot(tmp_path / "out"), list(marks.iterdir())
    assert run_sweep(tasks, toys.EXECUTE, context, tmp_path / "out", workers=1, resume=True) == first
    assert snapshot(tmp_path / "out") == before
    assert list(marks.iterdir()) == started


def test_finished_sweep_is_resumed_where_nothing_can_be_written(tmp_path, monkeypatch):
    tasks = toys.make_tasks(1, 2)
    first = run_sweep(tasks, toys.EXECUTE, CONTEXT, tmp_path / "out", workers=1)
    before = snapshot(tmp_path / "out")

    opened = Path.open

    def read_only(path, mode="r", *rest, **options):
        if set(mode) & set("wax+"):
            raise OSError(errno.EROFS, "Read-only file system")
        return opened(path, mode, *rest, **options)

    monkeypatch.setattr(Path, "open", read_only)
    assert run_sweep(tasks, toys.EXECUTE, CONTEXT, tmp_path / "out", workers=1, resume=True) == first
    assert snapshot(tmp_path / "out") == before
    with pytest.raises(SweepError, match="Read-only file system"):
        run_sweep(tasks, toys.EXECUTE, CONTEXT, tmp_path / "other", workers=1)


@pytest.mark.parametrize("table", ["summary", "series"])
@pytest.mark.parametrize("damage", ["cut", "zeroed", "page"])
def test_damaged_shard_is_made_again_and_nothing_else(tmp_path, table, damage):
    tasks = toys.make_tasks(3, 4)
    out = tmp_path / "out"
    run_sweep(tasks, toys.EXECUTE, CONTEXT, out, workers=1, block=4)
    before = toys.files(out)
    shard = out / table / "part-0000000-0000007.parquet"
    content = bytearray(shard.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "zeroed":
        content[:] = bytes(len(content))
    else:
        content[4:60] = bytes(56)
    shard.write_bytes(content)
    with pytest.raises(StoreError, match=r"part-0000000-0000007\.parquet: damaged.*resume the sweep \(--resume\)"):
        read_table(out, table)
    outcome = run_sweep(tasks, toys.EXECUTE, CONTEXT, out, workers=1, resume=True)
    assert outcome.done == 12
    aside = shard.with_name("part-0000000-0000007.parquet.damaged")
    assert aside.read_bytes() == bytes(content)
    aside.unlink()
    assert toys.files(out) == before
    again = [task["run_id"] for task in tasks[:8]]
    assert sessions(out)[-1].about["redone"] == again
    made = Counter(entry.run_id for entry in entries(out) if entry.state == "done")
    assert made == {task["run_id"]: 1 + (task["run_id"] in again) for task in tasks}


def test_crash_while_a_damaged_shard_is_set_aside(tmp_path, monkeypatch):
    tasks = toys.make_tasks(2, 4)
    out = tmp_path / "out"
    run_sweep(tasks, toys.EXECUTE, CONTEXT, out, workers=1, block=4)
    before = toys.files(out)
    (out / "series" / "part-0000000-0000007.parquet").write_bytes(b"PAR1")

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            run_sweep(tasks, toys.EXECUTE, CONTEXT, out, workers=1, resume=True)
    run_sweep(tasks, toys.EXECUTE, CONTEXT, out, workers=1, resume=True)
    (out / "series" / "part-0000000-0000007.parquet.damaged").unlink()
    assert toys.files(out) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"context": {"scenario": 'name = "toy"\nr0 = 3\n'}}, r"scenario:\n +-r0 = 2\n +\+r0 = 3"),
        ({"context": CONTEXT | {"threads": 2}}, "context threads: null there, 2 here"),
        ({"execute": "sweep_toys:other"}, 'execute: "sweep_toys:execute" there, "sweep_toys:other" here'),
        ({"tasks": toys.make_tasks(2, 4)}, "runs: 12 there, 8 here"),
        ({"tasks": toys.make_tasks(4, 3)}, "first run that differs: r000-003 there, r001-000 here"),
        ({"tasks": [task | {"seed": 7} for task in toys.make_tasks()]}, "seed: 100 there, 7 here"),
        ({"tasks": [task | {"parameters": {"a": 1}} for task in toys.make_tasks()]}, r'"epidemic.r0": 1.5.*"a": 1'),
    ],
)
def test_resumption_of_another_sweep_is_refused(tmp_path, change, words):
    given = {"tasks": toys.make_tasks(), "execute": toys.EXECUTE, "context": CONTEXT}
    run_sweep(**given, out=tmp_path / "out", workers=1)
    before = snapshot(tmp_path / "out")
    with pytest.raises(SweepError, match=words):
        run_sweep(**given | change, out=tmp_path / "out", workers=1, resume=True)
    assert snapshot(tmp_path / "out") == before


def test_resumption_with_another_program_needs_consent(tmp_path, monkeypatch):
    tasks = toys.make_tasks(1, 4)
    context = CONTEXT | {"raises": ["r000-002"], "luck": str(tmp_path / "luck")}
    run_sweep(tasks, toys.EXECUTE, context, tmp_path / "out", workers=1)
    (tmp_path / "luck").touch()
    other = manifest.program() | {"numpy": "0.1"}
    monkeypatch.setattr(manifest, "program", lambda: other)
    with pytest.raises(SweepError, match=r'version of numpy: ".*" there, "0.1" here'):
        run_sweep(tasks, toys.EXECUTE, context, tmp_path / "out", workers=1, resume=True)
    assert run_sweep(tasks, toys.EXECUTE, context, tmp_path / "out", workers=1, resume="anyway").done == 4
    found = [session.about["versions"]["numpy"] == "0.1" for session in sessions(tmp_path / "out")]
    assert found == [False, True]


def test_city_may_move_but_not_change(tmp_path):
    old, new = tmp_path / "old.city", tmp_path / "new.city"
    old.mkdir()
    (old / "city.json").write_text('{"seed": 1}')
    (old / "age.npy").write_bytes(bytes(3_000_000))
    run_sweep(toys.make_tasks(1, 2, city=str(old)), toys.EXECUTE, CONTEXT, tmp_path / "out", workers=1)
    old.rename(new)
    tasks = toys.make_tasks(1, 2, city=str(new))
    assert run_sweep(tasks, toys.EXECUTE, CONTEXT, tmp_path / "out", workers=1, resume=True).done == 2
    for name, changed in [("city.json", b'{"seed": 2}'), ("age.npy", bytes(2_500_000) + b"\1" + bytes(499_999))]:
        kept = (new / name).read_bytes()
        assert len(changed) == len(kept)
        (new / name).write_bytes(changed)
        with pytest.raises(SweepError, match=rf"cities: not the bundles they were \({new}\)"):
            run_sweep(tasks, toys.EXECUTE, CONTEXT, tmp_path / "out", workers=1, resume=True)
        (new / name).write_bytes(kept)
    assert run_sweep(tasks, toys.EXECUTE, CONTEXT, tmp_path / "out", workers=1, resume=True).done == 2


# ---------------------------------------------------------------------- what is refused


def test_existing_sweep_is_not_begun_again(tmp_path):
    tasks = toys.make_tasks(1, 1)
    run_sweep(tasks, toys.EXECUTE, CONTEXT, tmp_path / "out", workers=1)
    with pytest.raises(SweepError, match="holds a sweep already; go on with it"):
        run_sweep(tasks, toys.EXECUTE, CONTEXT, tmp_path / "out", workers=1)


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("kind", ["directory", "file", "nothing"])
def test_directory_that_is_no_sweep(tmp_path, kind, resume):
    out = tmp_path / "out"
    if kind == "directory":
        out.mkdir()
        (out / "thesis.tex").write_text("years of work")
    elif kind == "file":
        out.write_text("years of work")
    elif not resume:
        return
    before = snapshot(tmp_path)
    with pytest.raises(SweepError, match="nothing to resume" if resume else "is no sweep; choose another name"):
        run_sweep(toys.make_tasks(1, 1), toys.EXECUTE, CONTEXT, out, workers=1, resume=resume)
    assert snapshot(tmp_path) == before


def test_begun_in_an_empty_directory_and_after_a_crash_at_its_beginning(tmp_path):
    tasks = toys.make_tasks(1, 1)
    (tmp_path / "tasks.jsonl").write_text('{"run_id": "of a sweep that never')
    (tmp_path / ".lock").touch()
    (tmp_path / ".sweep.json.some_host-12-34.tmp").write_text("{")
    assert run_sweep(tasks, toys.EXECUTE, CONTEXT, tmp_path, workers=1).done == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"run_id": "../../etc/passwd"}, "run_id '../../etc/passwd': must be"),
        ({"run_id": ""}, "run_id ''"),
        ({"run_id": 7}, "run_id 7"),
        ({"run_id": "r000-000"}, "'r000-000': stands twice"),
        ({"seed": 2**63}, "seed is 9223372036854775808; must be an integer from 0"),
        ({"seed": -1}, "seed is -1"),
        ({"point": None}, "point is None"),
        ({"parameters": {"seed": 1}}, "parameter 'seed' has the name of a column"),
        ({"parameters": {"a": {1, 2}}}, "tasks: cannot be written as JSON"),
    ],
)
def test_wrong_tasks(tmp_path, change, words):
    tasks = toys.make_tasks(1, 2)
    tasks[1] |= change
    with pytest.raises(SweepError, match=words):
        run_sweep(tasks, toys.EXECUTE, CONTEXT, tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()


def test_nothing_to_do_and_nobody_to_do_it(tmp_path):
    with pytest.raises(SweepError, match="no runs"):
        run_sweep([], toys.EXECUTE, CONTEXT, tmp_path / "out", workers=1)
    with pytest.raises(SweepError, match="at least 1 is needed"):
        run_sweep(toys.make_tasks(), toys.EXECUTE, CONTEXT, tmp_path / "out", workers=0)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("execute", ["no_such_module:execute", "sweep_toys:nothing"])
def test_workers_that_cannot_work_end_the_sweep(tmp_path, execute):
    with pytest.raises(SweepError, match=f"{execute} cannot be run: .*traceback in .*start.txt"):
        run_sweep(toys.make_tasks(), execute, CONTEXT, tmp_path / "out", workers=2)
    assert "Traceback" in (tmp_path / "out" / "errors" / "start.txt").read_text()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"block": 4}', pytest.param("[" * 100_000, id="deep")])
def test_damaged_manifest(tmp_path, content):
    tasks = toys.make_tasks(1, 1)
    run_sweep(tasks, toys.EXECUTE, CONTEXT, tmp_path / "out", workers=1)
    (tmp_path / "out" / "sweep.json").write_text(content)
    with pytest.raises(SweepError, match=r"sweep\.json|layout of the results"):
        run_sweep(tasks, toys.EXECUTE, CONTEXT, tmp_path / "out", workers=1, resume=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("execute", None),
        ("context", []),
        ("block", 0),
        ("block", "4"),
        ("cities", None),
        ("versions", 3),
        ("scenario", 1),
    ],
)
def test_manifest_that_lacks_what_is_needed(tmp_path, key, value):
    tasks = toys.make_tasks(1, 1)
    out = tmp_path / "out"
    plan_runs(tasks, toys.EXECUTE, CONTEXT, out)
    manifest = json.loads((out / "sweep.json").read_text())
    (out / "sweep.json").write_text(json.dumps(manifest | {key: value}))
    with pytest.raises(SweepError, match=rf"sweep\.json: not a readable description of a sweep \('{key}' is"):
        work_on(out, workers=1)


@pytest.mark.parametrize("line", ["[" * 100_000, '{"run_id": "a", "parameters": 3}'], ids=["deep", "parameters"])
def test_damaged_list_of_tasks(tmp_path, line):
    out = tmp_path / "out"
    plan_runs(toys.make_tasks(1, 1), toys.EXECUTE, CONTEXT, out)
    (out / "tasks.jsonl").write_text(line + "\n")
    with pytest.raises(SweepError, match=r"tasks\.jsonl: cannot be read \(.*restore it or start the sweep anew"):
        work_on(out, workers=1)


def test_a_lock_that_leads_elsewhere_is_not_opened(tmp_path):
    tasks = toys.make_tasks(1, 1)
    out, precious = tmp_path / "out", tmp_path / "precious"
    plan_runs(tasks, toys.EXECUTE, CONTEXT, out)
    precious.write_text("kept")
    (out / ".lock").unlink()
    (out / ".lock").symlink_to(precious)
    with pytest.raises(SweepError, match="cannot be written"):
        run_sweep(tasks, toys.EXECUTE, CONTEXT, out, workers=1, resume=True)
    assert precious.read_text() == "kept"


def test_another_sweep_that_is_being_planned_in_the_directory_keeps_this_one_out(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with lock(out), pytest.raises(SweepError, match="another sweep is being planned here"):
        run_sweep(toys.make_tasks(1, 1), toys.EXECUTE, CONTEXT, out, workers=1)


def test_of_two_sweeps_that_begin_in_one_directory_without_locks_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_module, "lock", lambda _: contextlib.nullcontext())
    written = manifest.write_tasks

    def overtaken(out, tasks):
        written(out, tasks)
        monkeypatch.setattr(manifest, "write_tasks", written)
        plan_runs(toys.make_tasks(1, 1), toys.EXECUTE, CONTEXT, out)

    monkeypatch.setattr(manifest, "write_tasks", overtaken)
    with pytest.raises(SweepError, match="another sweep has just begun here"):
        plan_runs(toys.make_tasks(1, 1), toys.EXECUTE, CONTEXT, tmp_path / "out")
    assert work_on(tmp_path / "out", workers=1).done == 1


# ---------------------------------------------------------------------- how it is called


def test_warm_up_is_made_once_before_the_first_run(tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    context = CONTEXT | {"marks": str(marks), "warm": "sweep_toys:warm"}
    run_sweep(toys.make_tasks(1, 6), toys.EXECUTE, context, tmp_path / "out", workers=3)
    warmed = [mark for mark in marks.iterdir() if mark.name.startswith("warm-")]
    started = [mark for mark in marks.iterdir() if mark.name.startswith("r")]
    assert len(warmed) == 1
    assert len(started) == 6
    assert warmed[0].stat().st_mtime_ns <= min(int(mark.name.split("-")[2]) for mark in started)


def test_script_without_a_main_guard(tmp_path):
    process = toys.start_sweep(tmp_path / "out", toys.make_tasks(), CONTEXT, workers=2)
    said, errors = process.communicate()
    assert (json.loads(said), errors) == ({"total": 12, "done": 12, "failed": 0, "killed": 0}, "")


def test_called_from_a_thread(tmp_path):
    outcomes = []
    thread = threading.Thread(
        target=lambda: outcomes.append(
            run_sweep(toys.make_tasks(1, 3), toys.EXECUTE, CONTEXT, tmp_path / "out", workers=2)
        )
    )
    thread.start()
    thread.join()
    assert outcomes[0].done == 3


def test_error_in_the_progress_callback_ends_the_workers(tmp_path):
    def broken(done, *_):
        if done == 2:
            raise RuntimeError("the bar is broken")

    tasks = toys.make_tasks()
    with pytest.raises(RuntimeError, match="the bar is broken"):
        run_sweep(tasks, toys.EXECUTE, CONTEXT, tmp_path / "out", workers=2, progress=broken)
    pids = {entry.pid for entry in entries(tmp_path / "out")}
    assert not any(toys.is_alive(pid) for pid in pids)
    assert run_sweep(tasks, toys.EXECUTE, CONTEXT, tmp_path / "out", workers=2, resume=True).done == 12


def test_results_can_be_read_while_it_runs(tmp_path):
    tasks = toys.make_tasks()
    rows = []

    def read(done, *_):
        if done:
            rows.append((done, len(read_table(tmp_path / "out", "summary"))))

    run_sweep(tasks, toys.EXECUTE, CONTEXT, tmp_path / "out", workers=2, progress=read)
    assert len(rows) == 12
    assert all(done <= found <= 12 for done, found in rows)


def test_parameters_of_mixed_types(tmp_path):
    tasks = toys.make_tasks(3, 1)
    for task, value in zip(tasks, (2, 2.5, "high"), strict=True):
        task["parameters"] = {"a": value, "b": [value]}
    run_sweep(tasks, toys.EXECUTE, CONTEXT, tmp_path / "out", workers=1, block=1)
    summary = read_table(tmp_path / "out", "summary")
    assert summary["a"].to_pylist() == ["2", "2.5", "high"]
    assert summary["b"].to_pylist() == ["[2]", "[2.5]", '["high"]']


def test_default_block():
    assert [default_block(runs) for runs in (1, 24, 40, 41, 400, 1000, 10**6)] == [4, 4, 4, 5, 40, 100, 100]


def test_code_checksum_follows_the_code(tmp_path, monkeypatch):
    for floor in ("environment", "agents", "runners"):
        (tmp_path / floor).mkdir()
        (tmp_path / floor / "a.py").write_text("x = 1\n")
    monkeypatch.setattr(manifest, "ROOT", tmp_path)
    sums = []
    for text in ("x = 1\n", "x = 2\n", "x = 1\n"):
        (tmp_path / "agents" / "a.py").write_text(text)
        manifest.program.cache_clear()
        sums.append(manifest.program()["code"])
    manifest.program.cache_clear()
    assert sums[0] != sums[1]
    assert sums[0] == sums[2]


def test_git_state_needs_a_clone(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "ROOT", tmp_path)
    assert manifest.git_state() is None
    (tmp_path / ".git").mkdir()
    assert manifest.git_state() is None  # no repository after all
