"""What the calibrations of the tests run: draws of a Poisson law, and helpers around them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from citytwin.runners.calibrate.observed import Observed
from citytwin.runners.calibrate.session import Plan
from citytwin.runners.calibrate.settings import CalibrateSettings

HERE = Path(__file__).resolve().parent
EXECUTE = "calibrate_toys:execute"
DAYS = 10
FITTED = 6

SETTINGS = {
    "method": "abc",
    "runs": 240,
    "particles": 40,
    "parameters": {"toy.rate": {"from": 1, "to": 30}},
    "observations": {"seen": {"series": "count"}},
}


def execute(task, context):
    """Return Poisson counts of 10 days with the rate of the task; it misbehaves where the context says so, by run.

    ``context``: ``raises``, ``dies``: lists of runs that do; ``marks``: folder for a file a start.
    """
    run = task["run_id"]
    if "marks" in context:
        Path(context["marks"], f"{run}-{os.getpid()}").touch()
    if run in context.get("dies", ()):
        os.kill(os.getpid(), signal.SIGKILL)
    if run in context.get("raises", ()):
        raise ValueError(f"no luck in {run}")
    counts = np.random.default_rng(task["seed"]).poisson(task["parameters"]["toy.rate"], DAYS)
    return {"summary": {"total": int(counts.sum())}, "series": {"day": np.arange(DAYS), "count": counts}}


def make_plan(context=None, **changes):
    """Return a plan that fits the rate to ten counts of a Poisson law of mean 8, the last four held out."""
    settings = CalibrateSettings.model_validate(SETTINGS | changes)
    values = np.random.default_rng(5).poisson(8.0, DAYS).astype(float)
    observed = Observed(np.arange(DAYS), {"seen": values}, FITTED - 1, "digest")
    return Plan(settings, observed, 7, EXECUTE, {"scenario": "toy"} | (context or {}))


def fitted_files(directory):
    """Return what a calibration wrote: path relative to the directory → bytes, but for what tells of its sessions."""
    kept = [*directory.glob("*/*.parquet"), *directory.glob("*.parquet"), *directory.glob("*.png")]
    kept += [directory / "fit.json", directory / "tasks.jsonl"]
    return {str(file.relative_to(directory)): file.read_bytes() for file in sorted(kept)}


def start_calibration(out, *, context=None, **options):
    """Start a calibration in a process of its own, as a user's script would, and return the process."""
    code = (
        "import json, sys\n"
        f"sys.path[:0] = {[str(HERE.parent.parent), str(HERE)]!r}\n"
        "import conftest\n"
        "from calibrate_toys import make_plan\n"
        "from citytwin.runners.calibrate.fit import write_fit\n"
        "from citytwin.runners.calibrate.session import calibrate_runs\n"
        "from citytwin.runners.sweep import SweepError, SweepInterrupted\n"
        "given = json.load(sys.stdin)\n"
        "plan = make_plan(given['context'])\n"
        "try:\n"
        "    outcome = calibrate_runs(plan, given['out'], **given['options'])\n"
        "except (SweepError, SweepInterrupted) as error:\n"
        "    sys.exit(f'{type(error).__name__}: {error}')\n"
        "from pathlib import Path\n"
        "write_fit(plan, outcome, Path(given['out']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdin.write(json.dumps({"out": str(out), "context": context or {}, "options": options}))
    process.stdin.close()
    process.stdin = None
    return process
