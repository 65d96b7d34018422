"""The command line as users meet it, in processes of its own: killed and resumed, or on other threads, it gives the same.

Every test compares Parquet files byte for byte.
"""

import os
import random
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
from sweep_toys import files, wait_for

from citytwin.environment.city import City
from citytwin.runners.engine.ledger import entries
from citytwin.runners.engine.sessions import states

SCENARIO = """\
name = "kill me"
seed = 3
[city]
bundle = "small.city"
[clock]
days = 40
[epidemic]
disease = "covid"
r0 = 3.0
[[policy]]
name = "schools closed"
close = ["school"]
from = 8
[[policy]]
name = "work less"
reduce = { work = 0.6 }
when = "incidence > 2000"
[sweep]
replicates = 6
[sweep.parameters]
"policy.schools closed.compliance" = [0.0, 0.9]
[output]
tables = ["infections"]
by_zone = true
"""
RUNS = 12


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scenario of 12 runs and its city of 2,000 people."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "s.toml").write_text(SCENARIO)
    City.synthetic(2_000, seed=2).save(folder / "small.city")
    return folder


def begin(place: Path, variables: dict[str, str], *words: str) -> "subprocess.Popen[str]":
    """Start ``citytwin …`` as the leader of a process group."""
    return subprocess.Popen(
        [sys.executable, "-m", "citytwin", *words],
        cwd=place,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: "subprocess.Popen[str]") -> None:
    """Wait for the end and make sure that all went well."""
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, ""), out + err


def in_hand(out: Path) -> list[int]:
    """Return the processes of the runs that have begun and not ended."""
    return [entry.pid for entry in states(out).values() if entry.state == "running"]


def done(out: Path) -> int:
    return sum(entry.state == "done" for entry in states(out).values())


@pytest.fixture(scope="module")
def undisturbed(place: Path, import_path: dict[str, str]) -> dict[str, bytes]:
    """The files of the sweep that one worker made in one go."""
    finish(begin(place, import_path, "sweep", "s.toml", "--out", "undisturbed", "--workers", "1"))
    return files(place / "undisturbed")


def test_two_workers_give_what_one_gives(place, import_path, undisturbed) -> None:
    finish(begin(place, import_path, "sweep", "s.toml", "--out", "two", "--workers", "2"))
    assert {name.partition("/")[0] for name in undisturbed} == {"summary", "series", "zone_series", "infections"}
    assert files(place / "two") == undisturbed


def test_a_sweep_killed_twice_and_resumed_is_the_undisturbed_one(place, import_path, undisturbed) -> None:
    out = place / "killed"
    words = ["sweep", "s.toml", "--out", "killed", "--workers", "2"]

    # First a worker dies in the middle of a run, then supervisor and workers at once, at any moment.
    process = begin(place, import_path, *words)
    wait_for(lambda: process.poll() is not None or ((out / "ledger").is_dir() and in_hand(out)))
    worker = in_hand(out)[-1]
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: any(entry.state == "killed" and entry.pid == worker for entry in entries(out)))
    first = kill_group(process)
    assert done(out) < RUNS, f"too late to disturb anything, after {first:.3f} s"

    # Then all of them again while it is resumed.
    begun = sum(entry.state == "running" for entry in entries(out))
    process = begin(place, import_path, *words, "--resume")
    wait_for(lambda: process.poll() is not None or sum(e.state == "running" for e in entries(out)) > begun)
    second = kill_group(process)

    finish(begin(place, import_path, *words, "--resume"))
    assert done(out) == RUNS
    assert files(out) == undisturbed, f"killed after {first:.3f} s and {second:.3f} s"


def kill_group(process: "subprocess.Popen[str]") -> float:
    """Kill a process and all that it started at a random moment of the next half second; return that moment."""
    moment = random.uniform(0.0, 0.5)
    time.sleep(moment)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    return moment


def test_a_run_on_two_threads_is_the_run_on_one(place, import_path) -> None:
    for threads in ("1", "2"):
        finish(begin(place, import_path, "run", "s.toml", "--out", f"threads-{threads}", "--threads", threads))
    one = files(place / "threads-1")
    assert len(one) == 4
    assert files(place / "threads-2") == one


@pytest.mark.parametrize(
    ("declared", "message"),
    [(True, "changed: holds another sweep:\n  cities: not the bundles they were ("), (False, "age.npy: is damaged")],
)
def test_a_city_that_has_changed_by_one_byte_is_not_resumed(place, import_path, declared, message) -> None:
    out = f"changed-{declared}"
    message = message.replace("changed:", f"{out}:")
    finish(begin(place, import_path, "sweep", "s.toml", "--out", out, "--workers", "2"))
    before = files(place / out)
    column, head = place / "small.city" / "people" / "age.npy", place / "small.city" / "city.json"
    kept, told = column.read_bytes(), head.read_text(encoding="utf-8")
    try:
        column.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        if declared:  # another city in the place of the first, not a damaged one
            sums = [f"{zlib.crc32(data):08x}" for data in (kept, column.read_bytes())]
            head.write_text(told.replace(*sums), encoding="utf-8")
        process = begin(place, import_path, "sweep", "s.toml", "--out", out, "--resume")
        said = process.communicate(timeout=300)
    finally:
        column.write_bytes(kept)
        head.write_text(told, encoding="utf-8")
    assert process.returncode == 2
    assert said[0] == ""
    assert message in said[1]
    assert str(place / "small.city") in said[1]
    assert "Traceback" not in said[1]
    assert files(place / out) == before
