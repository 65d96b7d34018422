"""The scenario of the nearest run, written as TOML and read again."""

import tomllib

from citytwin.runners.calibrate.best import best_toml
from citytwin.runners.scenarios.scenario import Scenario

SCENARIO = """\
name = 'odd "names" \\ and none'
seed = 3
[city]
one_place = { people = 50, name = "Öde Straße ₤" }
[clock]
start = 2020-02-24
days = 10
[epidemic]
disease = "covid"
r0 = 2
weights = { work = 2.0, home = 0.5 }
[[policy]]
name = "schools, closed"
close = ["school"]
from = 2020-02-26
[[policy]]
name = "later"
reduce = { work = 0.5 }
when = "prevalence > 0.1"
compliance = 0.25
[sweep.parameters]
"epidemic.r0" = [1, 2]
[calibrate.parameters]
"epidemic.r0" = { from = 1, to = 4 }
"policy.later.compliance" = { from = 0, to = 1 }
[calibrate.observations]
ill = { series = "infectious" }
"""


def test_it_says_what_was_run():
    scenario = Scenario.from_text(SCENARIO)
    best = {"parameters": {"epidemic.r0": 1e-5, "policy.later.compliance": 1 / 3}, "seed": 2**61 + 1, "distance": 1.5}
    written = Scenario.from_text(best_toml(scenario, best))
    expected = scenario.at_point({}).with_parameters(best["parameters"]).to_dict() | {"seed": 2**61 + 1}
    del expected["calibrate"]
    assert written.to_dict() == expected


def test_signs_that_toml_wants_escaped():
    from citytwin.runners.calibrate import best

    for text in ("\x7f", '"', "\\", "\t", "\x00", "é😀", "a.b", ""):
        assert tomllib.loads(f"{best._key(text)} = {best._text([text, {text: True}])}") == {text: [text, {text: True}]}
