"""Runs that the tests of executors make, and sweeps of them that are planned but not begun."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import sweep_toys

EXECUTE = "cluster_toys:execute"
HERE = Path(__file__).resolve().parent
PATHS = (str(HERE.parent), str(HERE))
"""Where a process of its own finds these runs."""


def execute(task, context):
    """Make a run as those of the sweeps, after it has killed those whom it is told to.

    ``context``: what :func:`sweep_toys.execute` knows, and ``kills``: run → how often it kills the process that gave its
    worker the run, that is the supervisor of its part.
    """
    run = task["run_id"]
    times = context.get("kills", {}).get(run, 0)
    if times and len(list(Path(context["marks"]).glob(f"{run}-*"))) < times:
        (Path(context["marks"]) / f"{run}-{time.time_ns()}").touch()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return sweep_toys.execute(task, context)


def execute_long(task, context):
    """Count days, each with a pause; save the day reached when asked to stop, and go on from it without any pause."""
    from citytwin.runners.engine import pause

    folder = pause.folder()
    day = 0
    if folder is not None and (folder / "day").exists():
        day = int((folder / "day").read_text())
        Path(context["marks"], f"{task['run_id']}-from-{day}").touch()
    gone_on = day > 0
    while day < context["days"]:
        if pause.asked() and folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "day").write_text(str(day))
            raise pause.Paused
        time.sleep(0.0 if gone_on else context["pause"])
        day += 1
    return {"summary": {"days": day}, "series": {"day": np.arange(day, dtype=np.int32)}}
