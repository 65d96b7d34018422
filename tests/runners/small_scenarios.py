"""Texts of small scenarios."""

TINY = """\
name = "tiny town"
seed = 3
[city]
synthetic = { people = 1_000, seed = 2 }
[clock]
start = 2026-01-05
days = 25
[epidemic]
disease = "covid"
r0 = 5.0
initial_infections = 15
[[policy]]
name = "schools closed"
close = ["school"]
from = 8
until = 20
[[policy]]
name = "work less"
reduce = { work = 0.6 }
when = "incidence > 4000"
until = "incidence < 100"
"""

SWEPT = (
    TINY
    + """\
[sweep]
replicates = 3
[sweep.parameters]
"policy.schools closed.compliance" = [0.0, 0.9]
"policy.work less.compliance" = [0.0, 0.8]
[output]
tables = ["infections"]
by_zone = true
"""
)
