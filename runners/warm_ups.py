"""Warm-ups: small scenarios that compile the kernels of a process into numba's cache."""

from collections.abc import Iterable, Sequence

from ..environment.city import City
from .model import CityModel
from .scenario import Scenario

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
