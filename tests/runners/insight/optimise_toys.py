"""What the searches of the tests run: problems whose best compromises are known, with luck that all candidates share."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from citytwin.runners.insight.optimise import write_optimum
from citytwin.runners.insight.settings import OptimiseSettings
from citytwin.runners.insight.trials import Search
from citytwin.runners.proposing import run_proposed

HERE = Path(__file__).resolve().parent
EXECUTE = "optimise_toys:execute"
SETTINGS = {
    "goals": {"cost": "least", "harm": "least"},
    "constraints": {"inside": "<= 25", "outside": ">= 7.7"},
    "trials": 60,
    "replicates": 2,
    "parameters": {"toy.x": {"from": 0, "to": 5}, "toy.y": {"from": 0, "to": 3}},
}


def execute(task, context):
    """Return Binh and Korn's two goals and two constraints, or Zitzler's, shifted by a luck that follows from the seed.

    ``context``: ``problem``: ``binh`` or ``zdt1``; ``raises_above``: x above which a run raises; ``raises``, ``dies``: lists
    of runs that do; ``marks``: folder for a file a start; ``tighter_from``: seed from which on ``inside`` is larger by 8.
    """
    run = task["run_id"]
    if "marks" in context:
        Path(context["marks"], f"{run}-{os.getpid()}").touch()
    if run in context.get("dies", ()):
        os.kill(os.getpid(), signal.SIGKILL)
    x, y = task["parameters"]["toy.x"], task["parameters"]["toy.y"]
    if run in context.get("raises", ()) or x > context.get("raises_above", np.inf):
        raise ValueError(f"no luck in {run}")
    luck = context.get("luck", 0.5) * np.random.default_rng(task["seed"]).normal()
    if context.get("problem", "binh") == "binh":
        figures = {name: value + luck * (name in ("cost", "harm")) for name, value in binh(x, y).items()}
        return {
            "summary": figures
            | {"inside": figures["inside"] + 8 * (task["seed"] >= context.get("tighter_from", np.inf))}
        }
    growth = 1 + 9 * y
    return {"summary": {"cost": x + luck, "harm": growth * (1 - np.sqrt(x / growth)) + luck}}


def binh(x, y):
    """Return Binh and Korn's problem (1997): minimise both goals, (x-5)² + y² <= 25, (x-8)² + (y+3)² >= 7.7."""
    return {
        "cost": 4 * x**2 + 4 * y**2,
        "harm": (x - 5) ** 2 + (y - 5) ** 2,
        "inside": (x - 5) ** 2 + y**2,
        "outside": (x - 8) ** 2 + (y + 3) ** 2,
    }


def make_search(context=None, **changes):
    """Return a search whose scenario as written is x = 2, y = 0."""
    settings = OptimiseSettings.model_validate(SETTINGS | changes)
    return Search(settings, {"toy.x": 2.0, "toy.y": 0.0}, 7, EXECUTE, {"scenario": "toy"} | (context or {}))


def optimum(search, out, **options):
    """Search and write down what was found."""
    return write_optimum(run_proposed(search, out, **options), out)


def found_files(directory):
    """Return what a search wrote: path relative to the directory → bytes, but for what tells of its sessions."""
    kept = [*directory.glob("*/*.parquet"), *directory.glob("*.parquet"), *directory.glob("*.png")]
    kept += [directory / "optimise.json", directory / "tasks.jsonl"]
    return {str(file.relative_to(directory)): file.read_bytes() for file in sorted(kept)}


def start_search(out, *, context=None, changes=None, **options):
    """Start a search in a process of its own, as a user's script would, and return the process."""
    code = (
        "import json, sys\n"
        f"sys.path[:0] = {[str(HERE.parent.parent), str(HERE)]!r}\n"
        "import conftest\n"
        "from pathlib import Path\n"
        "from optimise_toys import make_search, optimum\n"
        "from citytwin.runners.sweep import SweepError, SweepInterrupted\n"
        "given = json.load(sys.stdin)\n"
        "try:\n"
        "    optimum(make_search(given['context'], **given['changes']), Path(given['out']), **given['options'])\n"
        "except (SweepError, SweepInterrupted) as error:\n"
        "    sys.exit(f'{type(error).__name__}: {error}')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    given = {"out": str(out), "context": context or {}, "changes": changes or {}, "options": options}
    process.stdin.write(json.dumps(given))
    process.stdin.close()
    process.stdin = None
    return process
