"""Warm-ups: small scenarios that compile the kernels of a process into numba's cache."""

import contextlib
import hashlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numba
from llvmlite.binding import get_host_cpu_name

from ..environment.city import City
from .engine.manifest import FLOORS, ROOT
from .model import CityModel
from .scenarios.scenario import Scenario

_NUMBA: Any = numba.config  # its names are made when it is imported

WARM_UPS = {
    "epidemic": """
name = "warm-up"
[city]
synthetic.people = 1_000
[clock]
days = 14
[epidemic]
disease = "covid"
r0 = 6
initial_infections = 20
[[policy]]
name = "schools closed"
close = ["school"]
when = "incidence > 100"
compliance = 0.5
[[policy]]
name = "fewer contacts"
reduce = { work = 0.5, guests = 0.5 }
from = 5
[[policy]]
name = "tests"
test = { symptomatic = 0.5, contacts = 0.5, random = 0.01 }
isolate = { household = true }
trace = { share = { home = 1.0, school = 0.5, work = 0.5, venue = 0.1 }, app = 0.2 }
[[policy]]
name = "vaccine"
vaccinate = { product = "mrna", per_day = 20 }
[hospitals]
[output]
tables = ["infections", "reproduction", "hospital_series", "cells"]
by_zone = true
by_age = true
""",
    "traffic": """
name = "warm-up"
[city]
synthetic.people = 1_000
[clock]
days = 1
[traffic]
gates = {}
learning = 1
sample = 0.1
[output]
tables = ["trips", "links", "trajectories"]
""",
    "response": """
name = "warm-up"
[city]
synthetic.people = 1_000
[clock]
days = 2
[hospitals]
[response]
calls = 100
[response.fleet.ambulance]
units = 3
[response.departments]
bays_per_100_000 = 100
choice = "divert"
[response.dispatch]
move_up = "maximal cover"
unit = "coverage"
queue = "closest"
[output]
tables = ["incidents", "units", "departments"]
by_zone = true
""",
}
"""By process, a small scenario that needs all of its kernels."""


def warm_up(sections: Iterable[str], threads: Sequence[int]) -> None:
    """Run a small city under all that some processes can do.

    Args:
        sections: processes, keys of :data:`WARM_UPS`.
        threads: numbers of threads of its models.
    """
    for section in sections:
        scenario = Scenario.from_text(WARM_UPS[section])
        for count in threads:
            CityModel(scenario, City.synthetic(1_000), threads=count).run()


def warm_up_once(sections: Iterable[str]) -> None:
    """Warm up for one thread, unless the cache of compiled kernels says that this has been done.

    A stamp beside the kernels names a process, this code as it lies on the disk, numba and the processor, which are what
    numba goes by when it looks for a kernel.

    Args:
        sections: as for :func:`warm_up`.
    """
    folder = Path(_NUMBA.CACHE_DIR or Path(__file__).parent / "__pycache__")
    mark = _mark()
    for section in sections:
        stamp = folder / f"{section}-{mark}.nbwarm"
        if not stamp.is_file():
            warm_up([section], threads=(1,))
            with contextlib.suppress(OSError):  # kernels lie elsewhere, or nowhere: the next worker warms up, too
                folder.mkdir(parents=True, exist_ok=True)
                stamp.touch()


def _mark() -> str:
    """Return a checksum of what decides whether compiled kernels are still good, as numba does: time and size of files."""
    files = [file for floor in FLOORS for file in sorted((ROOT / floor).rglob("*.py"))]
    seen = [(file.relative_to(ROOT).as_posix(), file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    processor = _NUMBA.CPU_NAME or get_host_cpu_name(), _NUMBA.CPU_FEATURES
    about = repr((sys.version, numba.__version__, processor, seen))
    return hashlib.sha256(about.encode()).hexdigest()[:16]
