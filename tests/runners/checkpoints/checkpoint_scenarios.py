"""Scenarios and helpers that the tests of saved states share."""

import numpy as np

EPIDEMIC = """\
name = "all measures"
seed = 5
[city]
synthetic = { people = 1_000, seed = 2 }
[clock]
start = 2026-01-05
days = 30
[epidemic]
disease = "covid"
r0 = 5.0
initial_infections = 15
imports = [{ per_day = 0.5 }]
[[epidemic.strain]]
name = "first"
[[epidemic.strain]]
name = "second"
transmissibility = 1.4
escape = 0.3
initial_infections = 5
[[policy]]
name = "schools closed"
close = ["school"]
from = 8
until = 20
compliance = 0.8
fatigue = 0.3
[[policy]]
name = "by turns"
rotate = { work = 2 }
limit = { shop = 0.5 }
from = 12
[[policy]]
name = "tests"
test = { symptomatic = 0.5, contacts = 0.5, random = 0.02, delay = 1 }
isolate = { household = true, dropout = 0.05 }
trace = { share = { home = 1.0, school = 0.5, work = 0.5, venue = 0.1 }, app = 0.2, delay = { work = 1 } }
from = 3
[[policy]]
name = "vaccine"
vaccinate = { product = "mrna", per_day = 25, uptake = 0.8, priority = [{ ages = [65, 120] }] }
from = 4
[[policy]]
name = "lockdown"
level = 3
when = "hospital_occupancy > 0.5"
until = "hospital_occupancy < 0.2"
[hospitals]
[output]
tables = ["infections", "reproduction", "secondary_cases", "hospital_series", "cells"]
by_zone = true
by_age = true
"""

STREETS = """
[traffic]
gates = {}
learning = 1
sample = 0.1
[response]
calls = 20
[response.fleet.ambulance]
units = 3
[response.departments]
bays_per_100_000 = 100
choice = "divert"
[response.dispatch]
move_up = "maximal cover"
unit = "coverage"
queue = "closest"
"""

EVERYTHING = EPIDEMIC.replace("[hospitals]", f"{STREETS}[hospitals]").replace(
    '"cells"]', '"cells", "trips", "links", "trajectories", "incidents", "units", "departments"]'
)


def assert_same_tables(one, other):
    """Make sure that two runs left the same tables, byte for byte."""
    assert one.keys() == other.keys()
    for name in one:
        assert list(one[name]) == list(other[name]), name
        for column, values in one[name].items():
            assert values.dtype == other[name][column].dtype, (name, column)
            assert np.asarray(values).tobytes() == np.asarray(other[name][column]).tobytes(), (name, column)
