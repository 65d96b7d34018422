"""Policies of a scenario file: what is read, and what is refused with line, key and remedy."""

import sys
from pathlib import Path

import pytest
from cities import tiny_city

from citytwin.runners.reports.labels import policy_text
from citytwin.runners.scenarios.scenario import Scenario, ScenarioError

HEAD = """\
name = "x"
[city]
synthetic.people = 1_500
[clock]
start = 2026-01-05
days = 60
[epidemic]
disease = "covid"
initial_infections = 5
"""
FIRST = HEAD.count("\n") + 1
"""Line of the first policy."""


def lines(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_text(text, label="bad.toml")
    return str(caught.value).splitlines()


def policies(*bodies: str) -> str:
    return HEAD + "".join(f'[[policy]]\nname = "p{number}"\n{body}\n' for number, body in enumerate(bodies, 1))


EVERY_KEY = """\
close = ["university"]
reduce = { work = 0.4 }
limit = { shop = 0.25 }
rotate = { school = 2 }
masks = { places = ["venue", "guests"], source = 0.5, wearer = 0.3 }
ventilate = { school = 2.0 }
cordon = "each"
level = 1
work_from_home = 0.6
border = 0.9
test = { symptomatic = 0.2, delay = 1 }
isolate = { days = 7 }
trace = { share = { home = 1.0 } }
whom = { ages = [0, 64], zones = [0, "Centre"], roles = ["worker", "secondary"], share = 0.5 }
where = { zones = [1] }
from = 10
until = "reported < 5"
compliance = 0.9
fatigue = 0.1
"""


def with_every_key() -> str:
    """Return a scenario whose one policy has all keys, with an epidemic in which all of them do something."""
    more = "initial_infections = 5\nroutes = { contact = 0.5, air = 0.5 }\nimports = [{ per_day = 0.1 }]\n"
    return policies(EVERY_KEY).replace("initial_infections = 5\n", more)


def test_all_keys_of_a_policy() -> None:
    [policy] = Scenario.from_text(with_every_key()).policies
    assert (policy.limit, policy.rotate, policy.ventilate) == ({"shop": 0.25}, {"school": 2}, {"school": 2.0})
    assert (policy.cordon, policy.level, policy.work_from_home, policy.border) == ("each", 1, 0.6, 0.9)
    assert policy.masks is not None
    assert (policy.masks.places, policy.masks.source, policy.masks.wearer) == (("venue", "guests"), 0.5, 0.3)
    assert policy.test is not None
    assert policy.isolate is not None
    assert policy.trace is not None
    assert (policy.test.delay, policy.isolate.days, policy.vaccinate) == (1, 7, None)
    assert (policy.whom.ages, policy.whom.zones, policy.whom.share) == ((0, 64), (0, "Centre"), 0.5)
    assert policy.whom.roles == ("worker", "secondary")
    assert policy.where is not None
    assert policy.where.zones == (1,)
    assert policy.fatigue == 0.1
    assert Scenario.from_dict(Scenario.from_text(with_every_key()).to_dict()).policies == (policy,)


@pytest.mark.parametrize(
    ("body", "key", "said"),
    [
        ('close = ["schol"]', "close", "'schol' is no group of places; allowed are: "),
        ('close = ["schol"]', "close", "did you mean 'school'?"),
        ("limit = { shop = 1.5 }", "limit", "shop = 1.5: write the chance with which a person goes there, 0 to 1"),
        ("limit = { bars = 0.5 }", "limit", "'bars' is no group of places"),
        ("rotate = { school = 1 }", "rotate", "school = 1: write the number of cohorts, 2 to 12"),
        ("rotate = { school = 2.5 }", "rotate", "write the number of cohorts"),
        ("ventilate = { school = -2 }", "ventilate", "write the factor on air changes, 0.01 to 100 (2 doubles them)"),
        ("ventilate = { guests = 2 }", "ventilate", "dwellings cannot be ventilated by a policy"),
        ("masks = { source = 0.5, wearer = 0.5 }", "masks.places", "is missing"),
        ('masks = { places = ["shops"], source = 0.5, wearer = 0.5 }', "masks.places", "did you mean 'shop'?"),
        ('masks = { places = ["shop"], source = 1.5, wearer = 0.5 }', "masks.source", "at most 1 (given 1.5)"),
        ("level = 5", "level", "must be at most 4 (given 5)"),
        ("level = 1.5", "level", "whole number"),
        ("work_from_home = 2", "work_from_home", "at most 1"),
        ("border = -1", "border", "at least 0"),
        ('cordon = "all"', "cordon", "each"),
        ("cordon = true", "cordon", "which zones? write whom = { zones = […] }"),
        ("cordon = true\nclose = ['shop']\nwhom.zones = [1]", "cordon", "stands alone"),
        ('close = ["shop"]\nwhom = { ages = [17, 0] }', "whom.ages", "the youngest stands first"),
        ('close = ["shop"]\nwhom = { ages = 17 }', "whom.ages", "as in [0, 17]"),
        ('close = ["shop"]\nwhom = { roles = ["workr"] }', "whom.roles", "did you mean 'worker'?"),
        ('close = ["shop"]\nwhom = { roles = [["worker"]] }', "whom.roles", "'['worker']' is no role"),
        ('close = ["shop"]\nwhom = { roles = [{ a = 1 }] }', "whom.roles", "is no role; allowed are: "),
        ('close = ["shop"]\nwhom = { roles = 1.5 }', "whom.roles", "write a list, as in [1.5]"),
        ('close = ["shop"]\nwhom = { zones = { a = 1 } }', "whom.zones", "write a list"),
        ("close = 1.5", "close", "write a list, as in [1.5]"),
        ('close = ["shop"]\nwhom = { zones = 3 }', "whom.zones", "write a list, as in [3]"),
        (
            'close = ["shop"]\nwhom = { zones = [-1] }',
            "whom.zones",
            "-1: write the number of a zone, from 0, or its name",
        ),
        ('close = ["shop"]\nwhom = { share = 1.1 }', "whom.share", "at most 1"),
        ('close = ["shop"]\nwhom = { age = [0, 1] }', "whom.age", "did you mean 'ages'?"),
        ('close = ["shop"]\nwhere = {}', "where.zones", "is missing"),
        ("border = 0.5\nwhere = { zones = [1] }", "where", "nothing in this policy is about places"),
        ("border = 0.5\nwhom = { ages = [1, 5] }", "whom", "nothing in this policy is about residents"),
        (
            "compliance = 0.5",
            "compliance",
            "the policy does nothing; give one or more of: close, reduce, limit, rotate,",
        ),
        ('close = ["shop"]\nfatigue = 2', "fatigue", "at most 1"),
        ('close = ["venue"]\nlimit = { shop = 0.5 }', "limit", "shop: under 'close' of this policy already"),
        ('close = ["education"]\nrotate = { school = 2 }', "rotate", "school: under 'close' of this policy already"),
        ("test = { symptomatic = 2 }", "test.symptomatic", "1"),
        ("isolate = { day = 7 }", "isolate.day", "did you mean 'days'?"),
        ("isolate = { days = 7 }", "isolate", "does nothing without 'test' in this or another policy; add one"),
        ("trace.share.home = 1.0", "trace", "does nothing without 'test'"),
        ("test = { random = 0.1, contacts = 0.5 }", "test.contacts", "nobody is told of contacts without 'trace'"),
        ("border = 0.5", "border", "no infections come from outside; add imports to [epidemic], as in imports = ["),
        (
            'close = ["shop"]\nuntil = 0',
            "until",
            "no day is left, as it is the first morning no longer in force (given 0)",
        ),
        ('close = ["shop"]\nuntil = 2026-01-05', "until", "no day is left"),
        (
            'test = { random = 0.1 }\nwhen = "reported > 5"',
            "when",
            "'reported' stays 0 as long as nobody is tested, and no policy tests before; start the tests on a day",
        ),
        ('close = ["shop"]\nwhen = "ill > 0.1"\nuntil = "ill > 0.05"', "until", "would never be in force"),
        ('close = ["shop"]\nwhen = "positivity > 0.1"', "when", "indicator 'positivity' needs a policy with 'test'"),
        ('close = ["shop"]\nwhen = "icu_occupancy > 0.8"', "when", "'icu_occupancy' needs the section [hospitals]"),
        ('close = ["shop"]\nwhen = "icu_ocupancy > 0.8"', "when", "did you mean 'icu_occupancy'?"),
    ],
)
def test_wrong_policies_are_refused_with_line_key_and_remedy(body: str, key: str, said: str) -> None:
    found = [
        line for line in lines(policies(body)) if f": policy.p1.{key}: " in line or line.split(": ")[1] == "policy.p1"
    ]
    assert found, lines(policies(body))
    number = int(found[0].split(":")[1])
    assert FIRST <= number <= FIRST + 2 + body.count("\n")
    if f": policy.p1.{key}: " in found[0] and "missing" not in said:
        assert key.partition(".")[0] in policies(body).splitlines()[number - 1]
    assert said in found[0]


def test_measures_need_an_epidemic(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "own_process.py").write_text(
        "from pydantic import BaseModel\n"
        "from citytwin.agents.process import Process\n"
        "class Quiet(Process):\n"
        "    section = 'quiet'\n"
        "    class Settings(BaseModel):\n"
        "        pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    from citytwin.runners.scenarios import processes

    monkeypatch.setitem(processes._BUILT_IN, "quiet", "own_process:Quiet")
    text = policies("test = { random = 0.1 }").replace(
        '[epidemic]\ndisease = "covid"\ninitial_infections = 5', "[quiet]"
    )
    [line] = lines(text)
    assert ": policy.p1.test: needs people who can fall ill; add the section [epidemic]" in line
    sys.modules.pop("own_process")


def test_indicators_of_hospitals_and_of_tests_can_be_asked_for() -> None:
    body = 'close = ["shop"]\nwhen = "icu_occupancy > 0.8"\nuntil = "positivity < 0.02"'
    text = policies(body, "test = { symptomatic = 0.5 }") + "[hospitals]\nicu_per_1000 = 0.1\n"
    scenario = Scenario.from_text(text)
    assert scenario.hospitals is not None
    assert scenario.hospitals.icu_per_1000 == 0.1
    assert Scenario.from_text(policies('close = ["shop"]')).hospitals is None
    [line] = lines(text.replace("icu_per_1000 = 0.1", "icu_per_100 = 0.1"))
    assert ": hospitals.icu_per_100: unknown key" in line


def test_a_test_in_another_policy_is_enough_for_isolation() -> None:
    assert len(Scenario.from_text(policies("isolate = {}", "test = { random = 0.1 }\nfrom = 20")).policies) == 2
    assert len(Scenario.from_text(policies('isolate = { at = "onset" }')).policies) == 1


CLOSED, LIMITED, ROTATED = 'close = ["venue"]', "limit = { shop = 0.5 }", "rotate = { school = 2 }"


@pytest.mark.parametrize(
    ("one", "other", "key", "against"),
    [
        (CLOSED, LIMITED, "limit", "close"),
        (LIMITED, CLOSED, "close", "limit"),
        ('close = ["education"]', ROTATED, "rotate", "close"),
        (ROTATED, "rotate = { primary = 3 }", "rotate", "rotate"),
        ("level = 2", "level = 3", "level", "level"),
        (CLOSED + "\nfrom = 10\nuntil = 20", LIMITED + "\nfrom = 2026-01-24", "limit", "close"),  # day 19
        (CLOSED + "\nwhom.ages = [0, 17]", LIMITED + "\nwhom.ages = [17, 99]", "limit", "close"),
        (CLOSED + "\nwhom.zones = [1, 2]", LIMITED + "\nwhom.zones = [2, 3]", "limit", "close"),
        (CLOSED + "\nwhere.zones = [1]", LIMITED + '\nwhom.roles = ["worker"]', "limit", "close"),
        (CLOSED + '\nuntil = "incidence < 1"', LIMITED + "\nfrom = 30", "limit", "close"),
        ("level = 3", "limit = { secondary = 0.5 }", "limit", "level"),
        ("level = 3", "rotate = { education = 2 }", "rotate", "level"),
        (CLOSED, "level = 2", "level", "close"),
        ("level = 2", CLOSED, "close", "level"),
        (CLOSED + '\nwhen = "ill > 0.1"', LIMITED + '\nwhen = "ill > 0.1"', "limit", "close"),
    ],
)
def test_contradictions_of_two_policies_are_refused(one: str, other: str, key: str, against: str) -> None:
    text = policies(one, other)
    [line] = lines(text)
    number = next(
        n for n, row in enumerate(text.splitlines(), 1) if row.startswith(key) and n > FIRST + 1 + one.count("\n") + 1
    )
    assert line.startswith(f"bad.toml:{number}: policy.p2.{key}: contradicts '{against}' of the policy 'p1'")
    assert "change 'from' and 'until', 'whom' or 'where', or take it out" in line


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (CLOSED + "\nuntil = 20", LIMITED + "\nfrom = 20"),
        (CLOSED + "\nwhom.ages = [0, 17]", LIMITED + "\nwhom.ages = [18, 99]"),
        (CLOSED + "\nwhom.zones = [1]", LIMITED + "\nwhom.zones = [2]"),
        (CLOSED + "\nwhere.zones = [1]", LIMITED + "\nwhere.zones = [2]"),
        (CLOSED + '\nwhom.roles = ["worker"]', LIMITED + '\nwhom.roles = ["retired"]'),
        (CLOSED + '\nwhen = "incidence > 5"', LIMITED),
        (CLOSED + '\nwhen = "incidence > 5"', LIMITED + '\nwhen = "incidence > 6"'),
        ("level = 3", "limit = { primary = 0.5 }"),
        ("test = { random = 0.1 }", 'test = { random = 0.2 }\nwhen = "reported > 5"'),
        ('test = { random = 0.1 }\nwhen = "reported < 5"', CLOSED),
        ('test = { random = 0.1 }\nwhen = "ill > 0.01"', "trace.share.home = 1.0"),
        ("test = { random = 0.1, contacts = 0.5 }", "trace.share.home = 1.0"),
        ('close = ["work"]', LIMITED),
        (CLOSED, CLOSED),
        (LIMITED, "limit = { shop = 0.2 }"),
        (ROTATED, "rotate = { primary = 2 }"),
        ("level = 0", "level = 3"),
        ("level = 2\nuntil = 30", "level = 3\nfrom = 30"),
        (CLOSED, "reduce = { shop = 0.2 }"),
    ],
)
def test_policies_that_go_together(one: str, other: str) -> None:
    assert len(Scenario.from_text(policies(one, other)).policies) == 2


def test_levels_and_inner_keys_can_be_swept() -> None:
    sweep = '[sweep.parameters]\n"policy.p1.level" = [0, 1, 2, 3]\n"policy.p2.masks.source" = [0.0, 0.5]\n'
    text = policies("level = 0", 'masks = { places = ["shop"], source = 0.1, wearer = 0.1 }') + sweep
    scenario = Scenario.from_text(text)
    assert len(scenario.points()) == 8
    point = scenario.at_point(scenario.points()[-1])
    assert point.policies[0].level == 3
    assert point.policies[1].masks is not None
    assert point.policies[1].masks.source == 0.5
    wrong = lines(text.replace("[0, 1, 2, 3]", "[0, 7]"))
    assert any(": policy.p1.level: must be at most 4 (given 7)" in line for line in wrong)


def test_a_contradiction_at_one_point_of_a_sweep_is_found() -> None:
    sweep = '[sweep.parameters]\n"policy.p2.from" = [30, 10]\n'
    text = policies(CLOSED + "\nuntil = 20", LIMITED + "\nfrom = 40") + sweep
    [line] = lines(text)
    assert ": policy.p2.limit: contradicts 'close' of the policy 'p1'" in line


def test_any_number_of_policies_can_be_in_force_at_once() -> None:
    assert len(Scenario.from_text(policies(*['close = ["shop"]'] * 40)).policies) == 40


@pytest.mark.parametrize(
    ("zones", "said"),
    [
        ('[0, "North West"]', None),
        ("[4]", "the city has no zone 4; allowed are numbers 0 to 3"),
        ('["North"]', "'North' is no zone of the city; allowed are: South West, South East, North West, North East"),
    ],
)
@pytest.mark.parametrize("key", ["whom", "where"])
def test_zones_are_looked_up_in_the_city(zones: str, said: str | None, key: str) -> None:
    text = policies('close = ["shop"]', f'close = ["shop"]\n{key} = {{ zones = {zones} }}')
    scenario = Scenario.from_text(text, label="bad.toml")
    if said is None:
        scenario.check_city(tiny_city())
        return
    with pytest.raises(ScenarioError) as caught:
        scenario.check_city(tiny_city())
    number = len(text.splitlines())
    assert str(caught.value).startswith(f"bad.toml:{number}: policy.p2.{key}.zones: ")
    assert said in str(caught.value)


def test_zones_by_name_and_number_are_compared_once_the_city_is_known() -> None:
    text = policies(CLOSED + '\nwhom.zones = ["North West"]', LIMITED + "\nwhom.zones = [2]")
    scenario = Scenario.from_text(text, label="bad.toml")
    with pytest.raises(ScenarioError, match=r"policy\.p2\.limit: contradicts 'close' of the policy 'p1'"):
        scenario.check_city(tiny_city())
    Scenario.from_text(text.replace("[2]", "[1]")).check_city(tiny_city())


@pytest.mark.parametrize(
    ("body", "key", "said"),
    [
        ("test = { symptomatic = 0.5 }", "test.symptomatic", "has no symptoms, so that nobody is tested for them"),
        ('isolate = { at = "onset" }', "isolate.at", "has no symptoms, so that nobody is isolated at onset"),
        ("test = { random = 0.5, symptomatic = 0.0 }", None, None),
        ('test = { random = 0.5 }\nisolate = { at = "both" }', None, None),
    ],
)
def test_what_waits_for_symptoms_that_a_disease_has_not_is_refused(
    body: str, key: str | None, said: str | None
) -> None:
    two_days = '{ law = "constant", days = 2 }'
    disease = f'{{ name = "mute", r0 = 2.0, latent = {two_days}, infectious = {two_days} }}'
    text = policies(body).replace('disease = "covid"', f"disease = {disease}")
    if key is None or said is None:
        Scenario.from_text(text)
    else:
        [line] = lines(text)
        assert f": policy.p1.{key}: 'mute' {said}" in line


def test_too_many_groups_are_told_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from citytwin.agents import rules
    from citytwin.runners import cli

    file = tmp_path / "many.toml"
    file.write_text(policies("reduce = { work = 0.1 }\nwhom.share = 0.5", "reduce = { work = 0.2 }\nwhom.share = 0.5"))
    monkeypatch.setattr(rules, "MAX_GROUPS", 3)
    monkeypatch.setattr(sys, "argv", ["citytwin", "run", str(file), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == cli.WRONG_REQUEST
    said = capsys.readouterr().err.splitlines()
    assert "part the people into 4 groups, at most 3 can be; use fewer policies" in said[-1]
    assert not any("Traceback" in line or ".py" in line for line in said)


def test_a_policy_in_one_line() -> None:
    [policy] = Scenario.from_text(with_every_key()).policies
    assert policy_text(policy) == (
        "closes university; fewer contacts: work by 40%; visits limited: shop to 25%; "
        "week by week in turn: school in 2 cohorts; air changes: school x 2; "
        "masks in venue, guests (hold back 50% at the source, 30% at the wearer); everybody stays in their zone; "
        "lockdown level 1; 60% of workers at home; 90% fewer infections from outside; tests; traces contacts; isolates; "
        "ages 0 to 64; roles worker, secondary; residents of zone 0, Centre; 50% of these; places in zone 1; "
        "from day 10; until reported < 5; compliance 0.9; falling by 10% in 30 days in force"
    )
