"""The agents are the same on Mesa 3.3 (Python 3.11) and Mesa 3.5 (Python 3.12 and later).

The suite runs on one Mesa; this runs the tests of agents on the other, where the variable CITYTWIN_PYTHON_MESA33 or
CITYTWIN_PYTHON_MESA35 names an interpreter that has it and what citytwin depends on.
"""

import os
import subprocess
from pathlib import Path

import pytest

from citytwin.agents.compat import HAS_EVENTS

ROOT = Path(__file__).resolve().parents[2]
OTHER, VARIABLE = ("3.3", "CITYTWIN_PYTHON_MESA33") if HAS_EVENTS else ("3.5", "CITYTWIN_PYTHON_MESA35")
HERE = Path(__file__).resolve().parent
TESTS = [*sorted(HERE.glob("test_*.py")), HERE / "epidemic" / "test_epidemic.py"]
"""All that makes a Mesa model; diseases, transmission and kernels know nothing of Mesa."""
RUNNERS = HERE.parent / "runners"
STATES = RUNNERS / "checkpoints" / "test_saved_states.py"
MORE = [
    str(RUNNERS / "test_mesa_adapter.py"),
    f"{STATES}::test_shipped_scenarios_go_on_to_the_bit[quickstart]",
    f"{STATES}::test_classes_columns_and_objects_of_ones_own_go_on",
]
"""Models of plain Mesa in sweeps; the clock of Mesa in saved states."""


def run(*command):
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    except OSError as error:
        pytest.fail(f"{VARIABLE}={command[0]} cannot be run: {error}", pytrace=False)


def test_agents_on_the_other_mesa():
    python = os.environ.get(VARIABLE)
    if not python:
        pytest.skip(f"{VARIABLE} names no interpreter with Mesa {OTHER}")
    version = run(python, "-c", "import mesa; print(mesa.__version__)")
    assert version.returncode == 0, f"{VARIABLE}={python} cannot import mesa:\n{version.stderr}"
    assert version.stdout.startswith(OTHER), f"{VARIABLE}={python} has Mesa {version.stdout}"
    files = [str(file) for file in TESTS if file != Path(__file__).resolve()]
    tests = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, *MORE)
    assert tests.returncode == 0, tests.stdout[-4000:] + tests.stderr[-2000:]
    assert " passed" in tests.stdout
    assert "skipped" not in tests.stdout, tests.stdout[-4000:]
