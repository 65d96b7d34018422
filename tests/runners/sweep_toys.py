"""What the sweeps of the tests run: small functions that import little, and helpers around them."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from citytwin.runners.engine import pause

HERE = Path(__file__).resolve().parent
EXECUTE = "sweep_toys:execute"
PROGRAM = {"python": "3", "citytwin": "0", "code": "the same all along"}
CONTEXT = {"scenario": "name = 'toy'"}
ROWS = 5


def execute(task, context):
    """Make a small run that follows from the task alone; it misbehaves where the context says so, by run.

    ``context``: ``pause`` seconds a run; ``raises``, ``dies``, ``exits``: lists of runs that do (``raises`` until the
    file ``luck`` exists); ``dies_once``: runs that die at their first start; ``marks``: folder for a file a start;
    ``lasts``: seconds by run; ``takes``: bytes by run, until ``luck``; ``steps``: so many steps of ``pause`` seconds each
    a run, in between it can be paused.
    """
    run = task["run_id"]
    first = True
    if "marks" in context:
        marks = Path(context["marks"])
        first = not list(marks.glob(f"{run}-*"))
        (marks / f"{run}-{time.time_ns()}-{os.getpid()}").touch()
    if run in context.get("dies", ()) or (first and run in context.get("dies_once", ())):
        os.kill(os.getpid(), signal.SIGKILL)
    if run in context.get("exits", ()):
        print("about to leave", flush=True)
        os._exit(7)
    if run in context.get("raises", ()) and not Path(context.get("luck", "/nowhere")).exists():
        raise ValueError(f"no luck in {run}")
    if not Path(context.get("luck", "/nowhere")).exists():
        time.sleep(context.get("lasts", {}).get(run, 0.0))
        if run in context.get("takes", {}):
            held = np.ones(context["takes"][run], np.uint8)
            time.sleep(60)
            del held
    for step in range(_reached(), context.get("steps", 1)):
        time.sleep(context.get("pause", 0.0))
        if "steps" in context and pause.asked():
            pause.folder().mkdir(parents=True, exist_ok=True)
            (pause.folder() / "steps").write_text(str(step + 1))
            raise pause.Paused
    return outputs(task)


def _reached():
    """Return the steps that an earlier attempt at the run in hand has come to."""
    kept = pause.folder() / "steps" if pause.folder() is not None else Path("/nowhere")
    return int(kept.read_text()) if kept.exists() else 0


def outputs(task):
    """Return tables that follow from the task alone, of several types; some runs lack a table or a column."""
    seed = task["seed"]
    generator = np.random.default_rng([seed, task["point"]])
    tables = {
        "summary": {"total": int(generator.integers(1000)), "rate": float(generator.random()), "label": f"run {seed}"},
        "series": {
            "day": np.arange(ROWS, dtype=np.int16),
            "infected": generator.integers(0, 100, ROWS),
            "share": generator.random(ROWS, dtype=np.float32),
        },
    }
    if task["point"]:
        tables["series"]["closed"] = generator.random(ROWS) < 0.5
    if task["replicate"] == 0:
        tables["infections"] = {"person": generator.integers(0, 9, seed % 4).astype(np.uint32)}
    return tables


def warm(context):
    """Leave a mark that this was called."""
    Path(context["marks"], f"warm-{os.getpid()}").touch()


def make_tasks(points=3, replicates=4, **extra):
    """Return the tasks of a grid with one swept parameter, replicate after replicate and point after point."""
    return [
        {
            "run_id": f"r{point:03d}-{replicate:03d}",
            "point": point,
            "replicate": replicate,
            "seed": 100 + replicate,
            "parameters": {"epidemic.r0": 1.5 + point},
            **extra,
        }
        for point in range(points)
        for replicate in range(replicates)
    ]


def files(directory):
    """Return the results of a sweep: path relative to the directory → bytes of every Parquet file."""
    return {str(file.relative_to(directory)): file.read_bytes() for file in sorted(directory.glob("*/*.parquet"))}


def started(marks):
    """Count the starts of every run by the marks that the runs left."""
    return Counter(mark.name.rsplit("-", 2)[0] for mark in marks.iterdir())


def start_sweep(out, tasks, context, **options):
    """Start a sweep in a process of its own, as a user's script would, and return the process."""
    return _start("run_sweep", {"tasks": tasks, "execute": EXECUTE, "context": context, "out": str(out)} | options)


def start_work(out, **options):
    """Start a session that works on a planned sweep, in a process of its own, and return the process."""
    return _start("work_on", {"directory": str(out)} | options)


def _start(function, given):
    code = (
        "import json, sys\n"
        f"sys.path[:0] = {[str(HERE.parent), str(HERE)]!r}\n"
        "import conftest\n"
        "from citytwin.runners.engine import manifest\n"
        f"manifest.program = lambda: {PROGRAM}\n"
        "from citytwin.runners.engine.part import stop_message, work_on\n"
        "from citytwin.runners.sweep import SweepError, SweepInterrupted, run_sweep\n"
        "given = json.load(sys.stdin)\n"
        "try:\n"
        f"    outcome = {function}(**given)\n"
        "except (SweepError, SweepInterrupted) as error:\n"
        "    sys.exit(f'{type(error).__name__}: {error}')\n"
        "if outcome.stopped:\n"
        "    sys.exit(stop_message(outcome))\n"
        "print(json.dumps({name: getattr(outcome, name) for name in ('total', 'done', 'failed', 'killed')}))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdin.write(json.dumps(given))
    process.stdin.close()
    process.stdin = None
    return process


@contextmanager
def small_disk(folder, size):
    """Mount a file system of the given size in bytes on a new folder, or yield None where that is not allowed.

    Yields:
        ``mount(flags, options)``, which mounts it anew.
    """
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, f"size={size}".encode()):
        yield None
        return
    try:
        yield lambda flags, options: libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 32 | flags, options.encode())
    finally:
        libc.umount2(os.fsencode(folder), 2)


def wait_for(condition, *, patience=60.0):
    """Wait until a condition holds."""
    limit = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.005)


def is_alive(pid):
    """Say whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
