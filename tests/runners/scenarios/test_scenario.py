"""Scenario files: what is read, what is refused and how it is said."""

import datetime
import json
import os
import pickle
import shlex
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from citytwin.runners.points.settings import MAX_RUNS
from citytwin.runners.scenarios.documents import MAX_BYTES, MAX_PROBLEMS, Where, shipped, wrap
from citytwin.runners.scenarios.scenario import Scenario, ScenarioError
from citytwin.runners.scenarios.sections import parse_duration

GOOD = """\
name = "small"
seed = 5

[city]
synthetic = { people = 2_000, seed = 3 }

[clock]
start = 2026-01-05
days = 40
step = "1 day"

[epidemic]
disease = "covid"
r0 = 2.5
initial_infections = 20

[[policy]]
name = "schools closed"
close = ["school"]
from = 10
until = 30
compliance = 0.9

[[policy]]
name = "work less"
from = 2026-01-10
[policy.reduce]
work = 0.4

[sweep]
replicates = 3
[sweep.parameters]
"policy.schools closed.compliance" = [0.0, 0.5]
"epidemic.r0" = [1.8, 2.5, 3.0]

[output]
tables = ["infections"]
by_zone = true
"""


def problems(text: str, folder: Path | str = ".") -> list[str]:
    """Return the lines of the error that a text gives."""
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_text(text, label="bad.toml", folder=folder)
    return str(caught.value).splitlines()


def changed(old: str, new: str, text: str = GOOD) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def line_of(fragment: str, text: str) -> int:
    [line] = [number for number, row in enumerate(text.splitlines(), 1) if fragment in row]
    return line


# ---------------------------------------------------------------------- what is read


def test_a_good_scenario() -> None:
    scenario = Scenario.from_text(GOOD)
    assert (scenario.name, scenario.seed) == ("small", 5)
    assert scenario.city.synthetic is not None
    assert (scenario.city.synthetic.people, scenario.city.synthetic.seed) == (2000, 3)
    assert (scenario.clock.start, scenario.clock.days, scenario.clock.step) == (datetime.date(2026, 1, 5), 40, 86_400)
    assert list(scenario.processes) == ["epidemic"]
    assert scenario.processes["epidemic"].initial_infections == 20  # type: ignore[attr-defined]
    assert [policy.name for policy in scenario.policies] == ["schools closed", "work less"]
    assert scenario.policies[1].reduce == {"work": 0.4}
    assert scenario.output.tables == ["infections"]
    assert scenario.output.by_zone


def test_defaults() -> None:
    scenario = Scenario.from_text('name = "x"\n[city]\nsynthetic.people = 1_500\n[epidemic]\ndisease = "covid"\n')
    assert scenario.seed == 1
    assert scenario.clock.days == 120
    assert scenario.points() == [{}]
    assert scenario.runs == 1
    assert scenario.policies == ()
    assert scenario.output.tables == []


def test_a_grid_takes_every_combination_the_last_parameter_fastest() -> None:
    scenario = Scenario.from_text(GOOD)
    compliance, r0 = "policy.schools closed.compliance", "epidemic.r0"
    assert scenario.points() == [
        {compliance: 0.0, r0: 1.8},
        {compliance: 0.0, r0: 2.5},
        {compliance: 0.0, r0: 3.0},
        {compliance: 0.5, r0: 1.8},
        {compliance: 0.5, r0: 2.5},
        {compliance: 0.5, r0: 3.0},
    ]
    assert scenario.runs == 18
    assert scenario.seeds() == [5, 6, 7]


def test_a_list_takes_values_together() -> None:
    text = changed("[sweep]", '[sweep]\ndesign = "list"', changed("[0.0, 0.5]", "[0.0, 0.5, 1.0]"))
    assert [list(point.values()) for point in Scenario.from_text(text).points()] == [[0.0, 1.8], [0.5, 2.5], [1.0, 3.0]]


def test_a_point_is_a_scenario_with_its_parameters() -> None:
    scenario = Scenario.from_text(GOOD)
    point = scenario.at_point(scenario.points()[5])
    assert point.policies[0].compliance == 0.5
    assert point.processes["epidemic"].r0 == 3.0  # type: ignore[attr-defined]
    assert point.points() == [{}]
    assert scenario.policies[0].compliance == 0.9  # the original is as it was


def test_parameters_reach_into_tables_and_take_dates() -> None:
    scenario = Scenario.from_text(GOOD).with_parameters(
        {"policy.work less.reduce.work": 0.1, "policy.work less.from": 12, "clock.start": "2026-01-04", "seed": 9}
    )
    assert scenario.policies[1].reduce == {"work": 0.1}
    assert scenario.policies[1].from_ == 12
    assert scenario.clock.start == datetime.date(2026, 1, 4)
    assert scenario.seed == 9


def test_parameters_may_be_numbers_of_numpy() -> None:
    import numpy as np

    values = {"epidemic.r0": np.float32(2.25), "clock.days": np.int64(35)}
    scenario = Scenario.from_text(GOOD).with_parameters(values)
    assert (scenario.processes["epidemic"].r0, scenario.clock.days) == (2.25, 35)  # type: ignore[attr-defined]
    assert type(scenario.to_dict()["clock"]["days"]) is int


def test_policies_with_dots_in_their_names_are_found_by_the_longest_name() -> None:
    policy = '[[policy]]\nname = "{}"\nclose = ["work"]\n'
    head = 'name = "x"\n[city]\nsynthetic.people = 1_500\n[epidemic]\ndisease = "covid"\n'
    text = head + policy.format("a") + policy.format("a.b")
    scenario = Scenario.from_text(text).with_parameters({"policy.a.b.compliance": 0.25})
    assert [p.compliance for p in scenario.policies] == [1.0, 0.25]


def test_another_city_takes_the_place_of_the_one_there_was(tmp_path: Path) -> None:
    scenario = Scenario.from_text(GOOD).with_parameters({"city.bundle": str(tmp_path / "a.city")})
    assert scenario.city.synthetic is None
    assert scenario.city.bundle == str(tmp_path / "a.city")


def test_paths_start_at_the_scenario_file(tmp_path: Path) -> None:
    text = """\
name = "x"
[city]
bundle = "towns/a.city"
[epidemic]
disease = "covid"
[sweep.parameters]
"city.bundle" = ["towns/a.city", "../b.city"]
"""
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "s.toml").write_text(text)
    scenario = Scenario.load(tmp_path / "inner" / "s.toml")
    first, second = str(tmp_path / "inner/towns/a.city"), str(tmp_path / "b.city")
    assert scenario.city.bundle == first
    assert [point["city.bundle"] for point in scenario.points()] == [first, second]


def test_a_disease_may_be_a_file_beside_the_scenario(tmp_path: Path) -> None:
    import citytwin.agents.epidemic as package

    covid = (Path(package.__file__).parent / "diseases" / "covid.toml").read_text(encoding="utf-8")
    (tmp_path / "mine.toml").write_text(covid, encoding="utf-8")
    (tmp_path / "s.toml").write_text(changed('"covid"', '"mine.toml"'))
    again = Scenario.from_dict(Scenario.load(tmp_path / "s.toml").to_dict())
    assert again.processes == Scenario.from_text(GOOD).processes
    (tmp_path / "s.toml").write_text(changed('"covid"', '"covit"'))
    with pytest.raises(ScenarioError, match=r"s\.toml:13: epidemic\.disease: 'covit' is neither a shipped disease"):
        Scenario.load(tmp_path / "s.toml")


def test_a_scenario_survives_json_and_pickle() -> None:
    scenario = Scenario.from_text(GOOD)
    again = Scenario.from_dict(json.loads(json.dumps(scenario.to_dict())))
    assert again == scenario
    assert again.points() == scenario.points()
    assert again.policies == scenario.policies
    assert pickle.loads(pickle.dumps(scenario)) == scenario
    assert hash(again) == hash(scenario)
    assert again != scenario.with_parameters({"seed": 6})


@pytest.mark.parametrize(
    ("text", "seconds"), [("1 day", 86_400), ("15 min", 900), ("1.5 h", 5_400), ("10s", 10), ("2 weeks", 1_209_600)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


# ---------------------------------------------------------------------- extending


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)


def test_extends_lays_tables_over_each_other(tmp_path: Path) -> None:
    child = """\
extends = "base.toml"
name = "child"
[city]
bundle = "here.city"
[epidemic]
r0 = 3.5
[[policy]]
name = "work less"
compliance = 0.3
[[policy]]
name = "shops closed"
close = ["shop"]
[sweep.parameters]
"epidemic.r0" = [1.5]
"""
    write(tmp_path, base=GOOD, child=child)
    scenario = Scenario.load(tmp_path / "child.toml")
    assert scenario.name == "child"
    assert (scenario.city.synthetic, scenario.city.bundle) == (None, str(tmp_path / "here.city"))
    assert scenario.clock.days == 40
    epidemic = scenario.processes["epidemic"]
    assert (epidemic.r0, epidemic.initial_infections) == (3.5, 20)  # type: ignore[attr-defined]
    assert [(p.name, p.compliance) for p in scenario.policies] == [
        ("schools closed", 0.9),
        ("work less", 0.3),
        ("shops closed", 1.0),
    ]
    assert scenario.points() == [{"epidemic.r0": 1.5}]
    assert scenario.sweep.replicates == 3


def test_errors_are_shown_in_the_file_where_they_stand(tmp_path: Path) -> None:
    write(tmp_path, base=changed("r0 = 2.5", "r0 = -1"), child='extends = "base.toml"\n[clock]\ndays = 0\n')
    with pytest.raises(ScenarioError) as caught:
        Scenario.load(tmp_path / "child.toml")
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{tmp_path}/base.toml:14: epidemic.r0: ")
    assert lines[1].startswith(f"{tmp_path}/child.toml:3: clock.days: ")


def test_a_shipped_scenario_can_be_extended_from_anywhere(tmp_path: Path) -> None:
    write(tmp_path, mine='extends = "quickstart"\nname = "mine"\n')
    mine = Scenario.load(tmp_path / "mine.toml")
    assert mine.name == "mine"
    assert mine.points() == Scenario.load("quickstart").points()


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"a": 'extends = "a.toml"'}, "leads in a circle: a.toml -> a.toml"),
        ({"a": 'extends = "b.toml"', "b": 'extends = "a.toml"'}, "leads in a circle: a.toml -> b.toml -> a.toml"),
        ({"a": 'extends = "nowhere.toml"'}, "no file 'nowhere.toml'"),
        ({"a": 'extends = "../outside.toml"'}, "outside the scenario's own folder"),
        ({"a": 'extends = "/etc/hostname"'}, "outside the scenario's own folder"),
        ({"a": "extends = 3"}, "must be the name of a file"),
        ({"a": 'extends = "quickstar"'}, "did you mean 'quickstart'?"),
    ],
)
def test_extends_that_is_refused(tmp_path: Path, texts: dict[str, str], said: str) -> None:
    (tmp_path / "outside.toml").write_text(GOOD)
    inner = tmp_path / "inner"
    inner.mkdir()
    write(inner, **texts)
    with pytest.raises(ScenarioError) as caught:
        Scenario.load(inner / "a.toml")
    [line] = str(caught.value).splitlines()
    assert ":1: extends: " in line
    assert said in line


# ---------------------------------------------------------------------- what is refused

# (what stands in the good file, what stands there instead, the fragment on whose line the error is, its key, its words)
WRONG = [
    ('name = "small"', 'name = ""', 'name = ""', "name", "must be a text of 1 to 100 characters"),
    ('name = "small"', 'name = "a\\u001b[31m"', "u001b", "name", r"no control characters (given 'a\x1b[31m')"),
    ('name = "work less"', 'name = "a\\u0007b"', "u0007", "policy.name", r"no control characters (given 'a\x07b')"),
    ("people = 2_000", 'people = 2_000, name = "a\\rb"', "people =", "city.synthetic.name", "no control characters"),
    ("seed = 3", f"seed = {2**62}", "people =", "city.synthetic.seed", "must be less than"),
    ("start = 2026-01-05", "start = 0001-01-01", "0001", "clock.start", "from 1900-01-01 to 2200-01-01 (given 0001-01"),
    ("start = 2026-01-05", "start = 9999-01-01", "9999", "clock.start", "from 1900-01-01 to 2200-01-01 (given 9999-01"),
    ("seed = 5", "seed = -5", "seed = -5", "seed", "given -5"),
    ("seed = 5", "sed = 5", "sed = 5", "sed", "did you mean 'seed'?"),
    ("[epidemic]", "[epidmic]", "[epidmic]", "epidmic", "did you mean 'epidemic'?"),
    ("people = 2_000", "people = 50", "people = 50", "city.synthetic.people", "must be at least 1000 (given 50)"),
    ("people = 2_000", "people = 2.5", "people = 2.5", "city.synthetic.people", "must be a whole number (given 2.5)"),
    ("people = 2_000", "peple = 2_000", "peple", "city.synthetic.peple", "did you mean 'people'?"),
    ("people = 2_000", "peple = 2_000", "peple", "city.synthetic.people", "is missing"),
    (
        "[clock]",
        'bundle = "a.city"\n[clock]',
        "[city]",
        "city",
        "needs exactly one of synthetic, osm, census, one_place, sumo, lines, bundle",
    ),
    (
        "synthetic = {",
        'osm = { file = "a.osm", people = 9, census = "b.toml" } #',
        "osm =",
        "city.osm.people",
        "not both",
    ),
    (
        "people = 2_000",
        'people = 2_000, country = "XX"',
        "country",
        "city.synthetic.country",
        "allowed: DE, FR, IT, ES or CH",
    ),
    (
        "synthetic = {",
        'osm = { file = "a.osm", country = "FR", census = "b.toml" } #',
        "osm =",
        "city.osm.country",
        "not both",
    ),
    ("synthetic = {", "# synthetic = {", "[city]", "city", "given none"),
    ("days = 40", "days = 0", "days = 0", "clock.days", "must be at least 1 (given 0)"),
    ("days = 40", "days = true", "days = true", "clock.days", "must be a whole number (given true)"),
    ("start = 2026-01-05", 'start = "soon"', "soon", "clock.start", "must be a date such as 2026-01-05"),
    ('step = "1 day"', 'step = "1 dy"', "1 dy", "clock.step", "units: s, min, h, day"),
    ('step = "1 day"', 'step = "2 days"', "2 days", "clock.step", 'allowed: "1 day"'),
    ("r0 = 2.5", "r0 = -2.5", "r0 = -2.5", "epidemic.r0", "must be more than 0 (given -2.5)"),
    ("r0 = 2.5", "r0 = inf", "r0 = inf", "epidemic.r0", "must be a finite number (given inf)"),
    ("r0 = 2.5", "r00 = 2.5", "r00", "epidemic.r00", "did you mean 'r0'?"),
    ("infections = 20", "infections = 2001", "= 2001", "epidemic.initial_infections", "more than the city has people"),
    ('close = ["school"]', 'close = ["scool"]', "scool", "policy.schools closed.close", "did you mean 'school'?"),
    ('close = ["school"]', 'close = "school"', 'close = "school"', "policy.schools closed.close", 'as in ["school"]'),
    ("compliance = 0.9", "compliance = 9", "compliance = 9", "policy.schools closed.compliance", "at most 1 (given 9)"),
    ("compliance = 0.9", "complience = 1", "complience", "policy.schools closed.complience", "'compliance'?"),
    ("from = 10", "from = 35", "until = 30", "policy.schools closed.until", "must be after"),
    (
        "from = 10\nuntil = 30",
        "from = 40",
        "from = 40",
        "policy.schools closed.from",
        "the clock runs from 2026-01-05 for 40 days",
    ),
    ("until = 30", "until = 2026-01-09", "until = 2026", "policy.schools closed.until", "must be after 'from' (10)"),
    ("from = 2026-01-10", "from = 2025-12-31", "2025-12-31", "policy.work less.from", "outside the clock"),
    ("until = 30", 'when = "incidence > 5"', "from = 10", "policy.schools closed.from", "not both"),
    ("from = 10", 'when = "incidense > 5"', "incidense", "policy.schools closed.when", "did you mean 'incidence'?"),
    ("from = 10", 'when = "often"', "often", "policy.schools closed.when", "is not a condition"),
    ("until = 30", 'until = "incidense < 5"', "incidense", "policy.schools closed.until", "no indicator 'incidense'"),
    ("work = 0.4", "work = 1.4", "[policy.reduce]", "policy.work less.reduce", "0 to 1"),
    ("work = 0.4", "wrk = 0.4", "[policy.reduce]", "policy.work less.reduce", "did you mean 'work'?"),
    (
        'name = "work less"',
        'name = "schools closed"',
        None,
        "policy.name",
        "there is a policy 'schools closed' already",
    ),
    ("replicates = 3", "replicates = 0", "replicates = 0", "sweep.replicates", "at least 1"),
    ("replicates = 3", 'design = "sobol"', "sobol", "sweep.design", "needs a number of points; write points = 64"),
    ("replicates = 3", 'design = "gird"', "gird", "sweep.design", "did you mean 'grid'?"),
    ("replicates = 3", 'design = "list"', "[sweep.parameters]", "sweep.parameters", "equally many values"),
    ("replicates = 3", f"replicates = {MAX_RUNS}", "[sweep]", "sweep", "runs; allowed"),
    ('"epidemic.r0" =', '"epidemic.r1" =', '"epidemic.r1"', "epidemic.r1", "unknown key"),
    ('"epidemic.r0" =', '"epidemik.r0" =', '"epidemik.r0"', "epidemik.r0", "did you mean 'epidemic'?"),
    ('"epidemic.r0" =', '"epidemic.r0.x" =', '"epidemic.r0.x"', "epidemic.r0.x", "does not lie in a table"),
    ('"epidemic.r0" =', '"policy.shops closed.from" =', "shops", "policy.shops closed.from", "no such policy"),
    ('"epidemic.r0" =', '"seed" =', '"seed"', "seed", "cannot be swept"),
    ('"epidemic.r0" =', '"output.by_zone" =', '"output.by_zone"', "output.by_zone", "cannot be swept"),
    ("[1.8, 2.5, 3.0]", "[1.8, 0, 3.0]", "[1.8, 0", "epidemic.r0", "must be more than 0 (given 0)"),
    ("[1.8, 2.5, 3.0]", "[1.8, 1.8]", "[1.8, 1.8]", "epidemic.r0", "the same value twice"),
    ("[1.8, 2.5, 3.0]", "[]", '"epidemic.r0" = []', "epidemic.r0", "has no values"),
    ("[1.8, 2.5, 3.0]", "2.5", '"epidemic.r0" = 2.5', "sweep.parameters.epidemic.r0", "must be a list"),
    ("compliance = 0.9", "", '"policy.schools closed.compliance" = [0.0, 0.5]', None, None),
    ('tables = ["infections"]', 'tables = ["infection"]', '["infection"]', "output.tables", "'infections'?"),
    ("by_zone = true", "by_zone = 1", "by_zone = 1", "output.by_zone", "must be true or false (given 1)"),
    ('name = "small"', 'name = "small"\nextends = ["a"]', "extends", "extends", "the name of a file (given ['a'])"),
    ("seed = 5", f"seed = 5\n{'a.' * 3000}b = 1", "a.a.a", "a.a.a…", "nested too deeply; allowed: 50"),
    ('[[policy]]\nname = "work', '[[polcy]]\nname = "work', "[[polcy]]", "polcy", "did you mean 'policy'?"),
]


@pytest.mark.parametrize(("old", "new", "fragment", "key", "said"), WRONG, ids=[f"{w[3]}: {w[1]}"[:60] for w in WRONG])
def test_every_mistake_is_shown_with_its_line_and_key(old, new, fragment, key, said) -> None:
    text = changed(old, new)
    if key is None:  # a parameter that is not written, yet has a default, may be swept
        assert Scenario.from_text(text).runs == 18
        return
    lines = [line for line in problems(text) if line.split(": ")[1] == key]
    assert lines, problems(text)
    number = line_of(fragment, text) if fragment is not None else 25
    assert lines[0].startswith(f"bad.toml:{number}: {key}: "), lines
    assert said in lines[0]


def test_all_mistakes_at_once_in_the_order_of_the_file() -> None:
    text = GOOD
    for old, new in [
        ("seed = 5", "sed = 5"),
        ("people = 2_000", "people = 2"),
        ("days = 40", "days = -1"),
        ("r0 = 2.5", "r0 = nan"),
        ("compliance = 0.9", "compliance = 2"),
        ("work = 0.4", "work = 4"),
        ("replicates = 3", "replicates = 0"),
        ('["infections"]', '["trips"]'),
    ]:
        text = changed(old, new, text)
    found = problems(text)
    keys = [line.split(": ")[1] for line in found]
    assert keys == [
        "sed",
        "city.synthetic.people",
        "clock.days",
        "epidemic.r0",
        "policy.schools closed.compliance",
        "policy.work less.reduce",
        "sweep.replicates",
        "output.tables",
    ]


def test_mistakes_of_a_sweep_are_shown_beside_all_others() -> None:
    text = changed("[clock]", "[tablez]\n[clock]")
    text = changed(
        '"epidemic.r0" = [1.8, 2.5, 3.0]', '"epidemic.r0" = [1.8, 0, 3.0]\n"policy.shops.from" = [1, 2]', text
    )
    assert [line.split(": ")[1] for line in problems(text)] == ["tablez", "epidemic.r0", "policy.shops.from"]
    text = changed("replicates = 3", "replicates = 0", text)
    keys = [line.split(": ")[1] for line in problems(text)]
    assert keys == ["tablez", "sweep.replicates", "epidemic.r0", "policy.shops.from"]


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        ("[1.8, 2.5, 3.0]", '[]\n"policy.shops.from" = [1]', ["epidemic.r0", "policy.shops.from"]),
        ("[1.8, 2.5, 3.0]", '[1.8, 1.8, -1]\n"seed" = [1]', ["epidemic.r0", "epidemic.r0", "seed"]),
        ("replicates = 3", 'design = "list"\nx = 1', ["sweep.x", "sweep.parameters"]),
        ("replicates = 3", f"replicates = {MAX_RUNS}", ["sweep"]),
    ],
)
def test_one_mistake_of_a_sweep_hides_no_other(old: str, new: str, keys: list[str]) -> None:
    assert [line.split(": ")[1] for line in problems(changed(old, new))] == keys


def test_mistakes_fit_one_screen() -> None:
    text = GOOD + "".join(f"key{number} = 1\n" for number in range(100))
    found = problems(text)
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1] == "… and 80 more"


def test_combinations_are_checked_before_anything_runs() -> None:
    text = changed('"epidemic.r0" = [1.8, 2.5, 3.0]', '"policy.schools closed.until" = [20, 8]')
    [line] = problems(text)
    assert line.startswith(f"bad.toml:{line_of('[20, 8]', text)}: policy.schools closed.until: ")
    assert "must be after" in line


def test_a_base_value_outside_every_combination_does_no_harm() -> None:
    text = changed(
        '"epidemic.r0" = [1.8, 2.5, 3.0]',
        '"policy.schools closed.from" = [32]\n"policy.schools closed.until" = [38, 39]',
    )
    assert Scenario.from_text(text).runs == 2 * 2 * 3


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('name = "x"\nseed = = 3\n', 2, "seed = = 3"),
        ('name = "x"\n[city\n', 2, "[city"),
        ('name = "x"\nname = "y"\n', 2, 'name = "y"'),
        ("start = 2026-13-05", 1, "start = 2026-13-05"),
        ('name = """x\n\n', 2, "at the end of the file"),
    ],
)
def test_what_is_no_toml_is_shown_with_its_line(text: str, line: int, said: str) -> None:
    [found] = problems(text)
    assert found.startswith(f"bad.toml:{line}: not valid TOML")
    assert said in found


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    def said(path: Path | str) -> str:
        with pytest.raises(ScenarioError) as caught:
            Scenario.load(path)
        [line] = str(caught.value).splitlines()
        return line

    assert "no such file, and no shipped scenario of this name; shipped: " in said(tmp_path / "none.toml")
    assert "did you mean 'quickstart'?" in said("quickstrat")
    assert "is not a file" in said(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00name")
    assert "is not UTF-8 text" in said(tmp_path / "binary.toml")
    (tmp_path / "large.toml").write_text("#" * (MAX_BYTES + 1))
    assert f"a scenario has at most {MAX_BYTES:,}" in said(tmp_path / "large.toml")
    (tmp_path / "deep.toml").write_text("x = " + "[" * 5000 + "]" * 5000)
    assert "deep.toml:1: tables or arrays are nested too deeply" in said(tmp_path / "deep.toml")
    (tmp_path / "deep.toml").write_text("y = [{}]\nx = [\n" + "[" * 5000 + "]" * 5001)
    assert "deep.toml:3: tables or arrays are nested too deeply" in said(tmp_path / "deep.toml")
    (tmp_path / "long.toml").write_text(f'name = "12"\nseed = {"1" * 5000}\n')
    assert "long.toml:2: a whole number is too long; it has at most 64 bits" in said(tmp_path / "long.toml")
    (tmp_path / "long.toml").write_text(f'name = "12"\n[a]\nb = [1,\n0x{"f" * 5000}]\n')
    assert "long.toml:4: a.b.1: a whole number is too long; it has at most 64 bits" in said(tmp_path / "long.toml")
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    assert "loop.toml: cannot be read (Too many levels of symbolic links)" in said(tmp_path / "loop.toml")
    (tmp_path / "gone.toml").symlink_to("nowhere.toml")
    assert "gone.toml: cannot be read (No such file or directory)" in said(tmp_path / "gone.toml")
    os.mkfifo(tmp_path / "pipe.toml")
    assert "is not a file" in said(tmp_path / "pipe.toml")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert Scenario.load(tmp_path / "s.toml") == Scenario.from_text(GOOD)


@pytest.mark.parametrize("given", ["3", '"a"', "[1]"])
def test_policies_that_are_no_tables(given: str) -> None:
    [line] = problems(f'name = "x"\npolicy = {given}\n[city]\nsynthetic.people = 1_000\n[epidemic]\ndisease = "covid"')
    assert line.startswith("bad.toml:2: policy")
    assert "is one table" not in line
    assert "table" in line


@pytest.mark.parametrize(
    ("city", "line", "key", "said"),
    [
        ('osm = { file = "no.osm" }', 3, "city.osm.file", "no.osm: no such file; a path in a scenario starts at"),
        ('osm.file = "~nobody-known/x"', 3, "city.osm.file", "no such file"),
        ('osm.file = "loop"', 3, "city.osm.file", "no such file"),
        ('osm.file = "folder"', 3, "city.osm.file", "is not a file"),
        ('osm.file = "a\\u0000b"', 3, "city.osm.file", "no such file"),
        (
            'bundle = "a b.city"',
            3,
            "city.bundle",
            "no such city bundle; make one, for example: citytwin city synthetic",
        ),
        ('bundle = "folder"', 3, "city.bundle", "not a city bundle (no city.json)"),
        ('bundle = "x"\n[sweep.parameters]\n"city.bundle" = ["y"]', 5, "city.bundle", "y: no such city bundle"),
    ],
)
def test_files_that_are_missing_are_named_with_their_line(tmp_path: Path, city: str, line: int, key: str, said: str):
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    file = tmp_path / "s.toml"
    file.write_text(f'name = "x"\n[city]\n{city}\n[epidemic]\ndisease = "covid"\n')
    with pytest.raises(ScenarioError) as caught:
        Scenario.load(file).check_files()
    [shown] = str(caught.value).splitlines()
    assert shown.startswith(f"{file}:{line}: {key}: {tmp_path}") or "nobody" in city
    assert said in shown
    if "make one" in said:
        assert shlex.split(shown.partition("--out ")[2]) == [str(tmp_path / "a b.city")]


def test_set_names_the_option_and_not_a_line() -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_text(GOOD).with_parameters({"epidemic.r0": -1, "clock.days": 0}, label="--set")
    assert sorted(str(caught.value).splitlines()) == [
        "--set: clock.days: must be at least 1 (given 0)",
        "--set: epidemic.r0: must be more than 0 (given -1)",
    ]


def test_a_list_may_repeat_a_value_but_no_point() -> None:
    listed = changed("replicates = 3", 'design = "list"', changed("[0.0, 0.5]", "[0.0, 0.5, 0.5]"))
    assert Scenario.from_text(listed).runs == 3
    [line] = problems(changed("[1.8, 2.5, 3.0]", "[1.8, 3.0, 3.0]", listed))
    assert line.startswith(f"bad.toml:{line_of('[sweep.parameters]', listed)}: sweep.parameters: the same values")


# ---------------------------------------------------------------------- examples


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_scenarios_load(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scenario = Scenario.load(name)
    assert scenario.name
    assert scenario.runs >= 1


def test_quickstart_is_three_by_two_points_and_four_seeds() -> None:
    scenario = Scenario.load("quickstart")
    assert scenario.city.synthetic is not None
    assert scenario.city.synthetic.people == 50_000
    assert scenario.clock.days == 150
    assert sorted(len(values) for values in scenario.sweep.parameters.values()) == [2, 3]
    assert scenario.runs == 24


# ---------------------------------------------------------------------- anything


def _mutated(document: dict, choices: st.DataObject) -> None:
    """Put something else somewhere into a document."""
    junk = st.one_of(
        st.none().map(lambda _: {}),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.text(max_size=8),
        st.lists(st.integers(-3, 3), max_size=3),
        st.dictionaries(st.text(max_size=4), st.integers(-3, 3), max_size=2),
        st.dates(),
    )
    node: object = document
    while True:
        keys = sorted(node) if isinstance(node, dict) else list(range(len(node)))  # type: ignore[arg-type]
        if not keys:
            return
        key = choices.draw(st.sampled_from(keys))
        inner = node[key]  # type: ignore[index]
        if isinstance(inner, dict | list) and inner and choices.draw(st.booleans()):
            node = inner
            continue
        what = choices.draw(st.sampled_from(["replace", "remove", "add"]))
        if what == "replace":
            node[key] = choices.draw(junk)  # type: ignore[index]
        elif what == "remove":
            del node[key]  # type: ignore[attr-defined]
        elif isinstance(node, dict):
            node[choices.draw(st.text(max_size=6))] = choices.draw(junk)
        return


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_a_file_holds_it_is_read_or_refused_with_reasons(choices: st.DataObject) -> None:
    document = tomllib.loads(GOOD)
    for _ in range(choices.draw(st.integers(1, 4))):
        if document:
            _mutated(document, choices)
    try:
        Scenario._from_document(wrap(document, Where("any.toml", 1), Path.cwd()))
    except ScenarioError as error:
        assert all(line.startswith(("any.toml:1: ", "… and ")) for line in str(error).splitlines())
