"""What is refused in the section ``[sweep]``, with file, line, key and remedy; and how little is looked at for that."""

import pytest

from citytwin.runners.points.layout import MOST_TRIED
from citytwin.runners.points.settings import MAX_POINTS
from citytwin.runners.scenarios import scenario as scenarios
from citytwin.runners.scenarios.scenario import Scenario, ScenarioError

HEAD = """\
name = "x"
[city]
synthetic.people = 1_500
[epidemic]
disease = "covid"
[[policy]]
name = "shut"
close = ["work"]
from = 5
until = 40
[sweep]
"""
FIRST = HEAD.count("\n") + 1
R0 = '"epidemic.r0" = { from = 1.5, to = 3 }\n'


def problems(sweep):
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_text(HEAD + sweep, label="bad.toml")
    return str(caught.value).splitlines()


def at(line, key):
    return f"bad.toml:{FIRST + line}: {key}: "


def parameters(*lines):
    return "[sweep.parameters]\n" + "".join(lines)


CASES = {
    "points of a grid": (
        'points = 3\n"parameters".x = [1]\n',
        0,
        "sweep.points",
        'design = "random" or "lhs" or "sobol"',
    ),
    "no points": (
        'design = "sobol"\n' + parameters(R0),
        0,
        "sweep.design",
        "needs a number of points; write points = 64",
    ),
    "no base": ('design = "saltelli"\n' + parameters(R0), 0, "sweep.design", "write base = 64"),
    "zero points": ('design = "lhs"\npoints = 0\n' + parameters(R0), 1, "sweep.points", "at least 1"),
    "nothing to sample": ('design = "lhs"\npoints = 4\n', 0, "sweep.design", "has nothing to sample; write ranges"),
    "only lists": (
        'design = "lhs"\npoints = 4\n' + parameters('"epidemic.r0" = [2.0]\n'),
        0,
        "sweep.design",
        "has no range to sample",
    ),
    "odd sobol": (
        'design = "sobol"\npoints = 100\n' + parameters(R0),
        1,
        "sweep.points",
        "(given 100); next: 64 or 128",
    ),
    "odd saltelli": ('design = "saltelli"\nbase = 12\n' + parameters(R0), 1, "sweep.base", "next: 8 or 16"),
    "odd levels": (
        'design = "morris"\ntrajectories = 4\nlevels = 5\n' + parameters(R0),
        2,
        "sweep.levels",
        "must be even",
    ),
    "morris with a list": (
        'design = "morris"\ntrajectories = 4\n' + parameters(R0, '"policy.shut.from" = [5, 6]\n'),
        4,
        "policy.shut.from",
        "morris varies ranges alone, not a list; write { from = …, to = … }, or choose lhs or sobol",
    ),
    "saltelli with steps": (
        'design = "saltelli"\nbase = 4\n' + parameters('"epidemic.r0" = { from = 1.5, to = 3, steps = 3 }\n'),
        3,
        "epidemic.r0",
        "not a range with steps",
    ),
    "a range in a grid": (parameters(R0), 1, "epidemic.r0", "a range is no value of a grid; add steps = 5"),
    "a range in a list": ('design = "list"\n' + parameters(R0), 2, "epidemic.r0", "a range is no value of a list"),
    "from above to": (
        'design = "lhs"\npoints = 4\n' + parameters('"epidemic.r0" = { from = 3, to = 1.5 }\n'),
        3,
        "sweep.parameters.epidemic.r0.to",
        "must be greater than 'from' (given from = 3, to = 1.5)",
    ),
    "no upper bound": (
        'design = "lhs"\npoints = 4\n' + parameters('"epidemic.r0" = { from = 3, tu = 4 }\n'),
        3,
        "sweep.parameters.epidemic.r0.to",
        "is missing",
    ),
    "a scale": (
        'design = "lhs"\npoints = 4\n' + parameters('"epidemic.r0" = { from = 3, to = 4, scale = "lgo" }\n'),
        3,
        "sweep.parameters.epidemic.r0.scale",
        "allowed: linear or log (did you mean 'log'?)",
    ),
    "an unknown parameter": (
        'design = "lhs"\npoints = 4\n' + parameters('"epidemik.r0" = { from = 1.5, to = 3 }\n'),
        3,
        "epidemik.r0",
        "did you mean 'epidemic'?",
    ),
    "a bound that is not allowed": (
        'design = "lhs"\npoints = 4\n' + parameters('"policy.shut.compliance" = { from = 0.5, to = 9 }\n'),
        3,
        "policy.shut.compliance",
        "must be at most 1",
    ),
    "a list with the same value twice": (
        'design = "lhs"\npoints = 4\n' + parameters(R0, '"policy.shut.from" = [5, 5]\n'),
        4,
        "policy.shut.from",
        "has the same value twice",
    ),
    "too many points": (
        f'design = "random"\npoints = {MAX_POINTS}\n' + parameters(R0, '"policy.shut.from" = [5, 6]\n'),
        -1,
        "sweep",
        "allowed: 200,000 points and 1,000,000 runs",
    ),
    "replicates and until": (
        'replicates = 3\nuntil = { indicator = "deaths", half_width = 2 }\n',
        0,
        "sweep.replicates",
        "depends on 'until'; leave it out",
    ),
    "a difference of nothing": (
        'until = { indicator = "deaths", half_width = 2, of = "difference" }\n',
        0,
        "sweep.until.of",
        "there is no second point",
    ),
    "a difference of strangers": (
        'seeds = "independent"\nuntil = { indicator = "deaths", half_width = 2, of = "difference" }\n'
        + parameters('"epidemic.r0" = [1.5, 3]\n'),
        1,
        "sweep.until.of",
        "two runs of one seed",
    ),
    "at most below at least": (
        'until = { indicator = "deaths", half_width = 2, at_most = 3 }\n',
        0,
        "sweep.until.at_most",
        "must be at least 'at_least'",
    ),
    "no width": (
        'until = { indicator = "deaths", half_width = 0 }\n',
        0,
        "sweep.until.half_width",
        "must be more than 0",
    ),
    "a budget": ('budget = "20 h"\n', 0, "sweep.budget", 'must be as "500 runs" or "20 CPU h"'),
}


@pytest.mark.parametrize(("sweep", "line", "key", "said"), CASES.values(), ids=CASES)
def test_mistakes_are_shown_with_line_key_and_remedy(sweep, line, key, said):
    found = [shown for shown in problems(sweep) if shown.startswith(at(line, key))]
    assert found, problems(sweep)
    assert said in found[0]


@pytest.mark.parametrize("case", [name for name in CASES if name not in ("no upper bound", "points of a grid")])
def test_one_mistake_is_told_once(case):
    assert len(problems(CASES[case][0])) == 1


def test_mistakes_of_several_parameters_are_all_told():
    sweep = 'design = "sobol"\npoints = 6\n' + parameters(
        '"epidemic.r0" = { from = 3, to = 1 }\n',
        '"policy.shut.compliance" = { from = 0, to = 3 }\n',
        '"policy.shat.from" = [1]\n',
    )
    assert [line.split(": ")[1] for line in problems(sweep)] == [
        "sweep.points",
        "sweep.parameters.epidemic.r0.to",
        "policy.shut.compliance",
        "policy.shat.from",
    ]


def test_corners_of_many_points_are_looked_at():
    """No value is wrong by itself; 'until' must be after 'from', which the corner breaks."""
    axes = (
        '"policy.shut.from" = { from = 5, to = 39, integer = true, steps = 35 }\n',
        R0.replace("3 }", "3, steps = 50 }"),
    )
    whole = Scenario.from_text(HEAD + parameters(*axes))
    assert len(whole.points()) == 1750
    wrong = problems(parameters(*axes, '"policy.shut.until" = [30, 40]\n'))
    assert any("must be after" in line for line in wrong)


def test_of_very_many_points_few_are_looked_at(monkeypatch):
    looked = []
    read = scenarios.validated
    monkeypatch.setattr(scenarios, "validated", lambda *given: looked.append(1) or read(*given))
    axes = (R0, '"policy.shut.compliance" = { from = 0, to = 1 }\n', '"policy.shut.from" = [5, 6, 7, 8]\n')
    made = Scenario.from_text(HEAD + 'design = "random"\npoints = 25_000\n' + parameters(*axes))
    assert len(made.points()) == made.runs == 100_000
    assert len(made.variants) <= MOST_TRIED
    assert len(looked) <= 2 * MOST_TRIED


def test_every_city_is_that_of_a_point_that_stands_for_others():
    people = ", ".join(str(1_500 + number) for number in range(40))
    axes = (R0, f'"city.synthetic.people" = [{people}]\n')
    made = Scenario.from_text(HEAD + 'design = "random"\npoints = 500\n' + parameters(*axes))
    assert len(made.points()) == 20_000
    assert {variant.city.people for variant in made.variants.values()} == set(range(1_500, 1_540))
    assert len(set(made.kinds())) == 40


def test_the_scenario_at_a_point_is_the_one_that_was_looked_at():
    lines = ('"epidemic.disease" = ["covid", "measles"]\n', '"policy.shut.until" = [40, 50]\n')
    scenario = Scenario.from_text(HEAD + parameters(*lines))
    made = [scenario.at_point(point) for point in scenario.points()]
    assert list(scenario.variants) == [0, 1, 2, 3]
    for variant, expected in zip(scenario.variants.values(), made, strict=True):
        assert variant.document == expected.document
        assert (variant.processes, variant.policies) == (expected.processes, expected.policies)
        assert (variant.city, variant.clock, variant.sweep) == (expected.city, expected.clock, expected.sweep)


def test_values_of_a_sweep_are_looked_at_once(monkeypatch):
    seen = []
    real = scenarios.validated

    def counted(document, files):
        seen.append(document)
        return real(document, files)

    monkeypatch.setattr(scenarios, "validated", counted)
    scenario = Scenario.from_text(HEAD + parameters('"policy.shut.until" = [30, 40, 50]\n'))
    assert len(scenario.variants) == 3
    assert len(seen) == 5  # the file, the file without its sweep, and three points
