"""How much memory processes hold."""

import os
import resource
import subprocess
import sys

import sweep_toys as toys

from citytwin.runners.engine.ledger import entries
from citytwin.runners.engine.memory import peak, resident
from citytwin.runners.sweep import run_sweep

LARGE = 600 * 2**20


def test_peak_is_what_the_process_held_once():
    code = (
        "from citytwin.runners.engine.memory import peak, resident\nimport os\n"
        f"held = b'x' * {LARGE}\ndel held\nprint(peak(), resident(os.getpid()))"
    )
    path = os.pathsep.join(path for path in sys.path if path)
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": path}
    )
    most, now = map(int, told.stdout.split())
    assert LARGE < most < 2 * LARGE
    assert now < LARGE


def test_a_worker_counts_its_own_memory_and_not_that_of_a_large_supervisor(tmp_path):
    held = bytearray(b"x") * LARGE
    assert peak() > LARGE and resident(os.getpid()) > LARGE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > LARGE
    run_sweep(toys.make_tasks(1, 1), toys.EXECUTE, toys.CONTEXT, tmp_path / "out", workers=1)
    del held
    [entry] = (entry for entry in entries(tmp_path / "out") if entry.state == "done")
    assert 0 < entry.rss < LARGE / 2
