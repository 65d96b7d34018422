"""What the workers of the tests' sweeps run: small functions that import numpy alone."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np

ROWS = 5


def execute(task, context):
    """Make a small run that follows from the task alone, misbehaving where ``context`` says so, by run.

    ``context``: ``pause`` seconds a run; ``raises``, ``dies``, ``exits``, ``full``: lists of runs; ``dies_once`` and
    ``raises_while``: lists of runs, and ``marks``: folder where they leave a mark; ``counts``: folder of one file a start.
    """
    run = task["run_id"]
    if "counts" in context:
        Path(context["counts"], f"{run}-{time.time_ns()}-{os.getpid()}").touch()
    time.sleep(context.get("pause", 0.0))
    if run in context.get("dies", ()):
        os.kill(os.getpid(), signal.SIGKILL)
    if run in context.get("dies_once", ()) and not Path(context["marks"], run).exists():
        Path(context["marks"], run).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if run in context.get("exits", ()):
        print("about to leave", flush=True)
        os._exit(7)
    if run in context.get("raises", ()):
        raise ValueError(f"no luck in {run}")
    if run in context.get("raises_while", ()) and Path(context["marks"]).exists():
        raise ValueError("not yet")
    return outputs(task)


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
    """Leave a mark that this was called, and by whom."""
    Path(context["marks"], f"warm-{os.getpid()}").write_text(json.dumps(context))


def make_tasks(points=3, replicates=4, **extra):
    """Return the tasks of a grid, points outside, with one swept parameter."""
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
