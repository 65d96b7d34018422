"""Kernels of siting are compiled ahead."""

import subprocess
import sys

CODE = """
from numba.core.registry import CPUDispatcher
from citytwin.agents.response.siting import search
from citytwin.agents.response.siting.coverage import lscp, malp, mclp, mexclp
from citytwin.agents.response.siting.nearest import p_centre, p_median
from citytwin.agents.response.siting.plan import SEARCH
from citytwin.agents.response.siting.warm import warm
import numpy as np

def compiled():
    return {name: len(value.signatures) for name, value in vars(search).items() if isinstance(value, CPUDispatcher)}

assert not any(compiled().values())
warm()
before = compiled()
assert {"place", "cover_by_swaps", "median_by_swaps"} <= set(before) and all(before.values()), before
random = np.random.default_rng(1)
seconds, calls = random.random((30, 9)) * 900, random.integers(1, 9, 30)
how = {"method": SEARCH}
mclp(calls, seconds, 480, 3, **how)
mexclp(calls, seconds, 480, 3, 0.4, **how)
malp(calls, seconds, 480, 4, 0.3, 0.9, **how)
lscp(seconds, 800, **how)
p_median(calls, seconds, 3, **how)
p_centre(seconds, 3, **how)
assert compiled() == before, (before, compiled())
"""


def test_warming_compiles_every_kernel_as_it_will_be_needed(import_path):
    done = subprocess.run([sys.executable, "-c", CODE], env=import_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
