"""The section ``[response]``: what it refuses, each with the key that is wrong and what is allowed."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from response_towns import scenario

from citytwin.agents.response.settings import (
    DepartmentSettings,
    DispatchSettings,
    FleetSettings,
    ResponseSettings,
    ShiftSettings,
    most_at_once,
)
from citytwin.runners.scenarios.documents import ScenarioError
from citytwin.runners.scenarios.scenario import Scenario

DAY_SHIFT = '{ from = "07:00", until = "19:00", units = 3 }'


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("calls = -1", "response.calls", "must be at least 0"),
        ("colour = 1", "response.colour", "unknown key"),
        ('services = ["coastguard"]', "response.services[0]", "allowed: ambulance, fire or police"),
        ("targets = []", "response.targets", "at least 1"),
        ("targets = [-5]", "response.targets[0]", "a number and a unit"),
        ('travel = "10 min"', "response.travel", 'at least "15 min"'),
        ("[response.fleet.boats]\nunits = 1", "response", "fleet.boats.service is missing; allowed: ambulance, fire"),
        ('services = ["fire"]\n[response.fleet.ambulance]', "response", "'ambulance' is not among services"),
        (
            f"[response.fleet.fire]\nunits = 2\ncrews = 4\nshifts = [{DAY_SHIFT}]",
            "response.fleet.fire",
            "5 are on duty",
        ),
        ("[response.fleet.fire]\nunits = -1", "response.fleet.fire.units", "must be at least 0"),
        ("[response.fleet.fire]\nstations = [{}]", "response.fleet.fire.stations[0]", "where is it?"),
        ("[response.fleet.fire]\nstations = [{ x = 1.0 }]", "response.fleet.fire.stations[0]", "give one of: site; x"),
        (
            "[response.fleet.fire]\nstations = [{ site = 1, x = 1.0, y = 2.0 }]",
            "response.fleet.fire.stations[0]",
            "one of",
        ),
        ("[response.fleet.fire]\nstations = [{ longitude = 200.0, latitude = 5.0 }]", "response.fleet.fire", "180"),
        (
            '[response.fleet.fire]\nshifts = [{ from = "7", until = "9", units = 1 }]',
            "response.fleet.fire",
            "time of day",
        ),
        (
            '[response.fleet.fire]\nshifts = [{ from = "24:30", until = "09:00", units = 1 }]',
            "response.fleet",
            "time of day",
        ),
        ("[response.dispatch]\nredispatch = [[0, 2]]", "response.dispatch", "is not more urgent; 0 goes first"),
        ('[response.dispatch]\nmove_up = "compliance"', "response.dispatch", "belong together"),
        ('[response.dispatch]\ncompliance = [["A"]]', "response.dispatch", "belong together"),
        (
            '[response.dispatch]\nmove_up = "compliance"\ncompliance = [["A", "B"]]',
            "response.dispatch",
            "row 1 holds 2",
        ),
        (
            '[response.dispatch.services.fire]\nmove_up = "compliance"',
            "response.dispatch.services.fire",
            "belong together",
        ),
        (
            '[response.dispatch]\nmove_up = "compliance"\n'
            'compliance = [{ hold = [["A"]] }, { on_duty = 4, hold = [["A"]] }, { on_duty = 4, hold = [["B"]] }]',
            "response.dispatch",
            "on_duty must rise from table to table; is [0, 4, 4]",
        ),
        (
            '[response.dispatch]\nmove_up = "compliance"\ncompliance = [{ on_duty = 2, hold = [] }]',
            "response.dispatch.compliance[0].hold",
            "at least 1",
        ),
        (
            'services = ["ambulance"]\n[response.dispatch.services.fire]\nmove_up = "home"',
            "response.dispatch.services.fire",
            "'fire' is not among services",
        ),
        ("[response.dispatch.services.boat]", "response.dispatch.services", "allowed: ambulance, fire or police"),
        ('[response.dispatch]\nunit = "random"', "response.dispatch.unit", "allowed: nearest or coverage"),
        (
            "[response.departments]\nbays_per_100_000 = -1",
            "response.departments.bays_per_100_000",
            "must be at least 0",
        ),
        ('[response.departments]\nspecialties = { A = ["magic"] }', "response.departments.specialties", "trauma"),
        ('[response.kinds.illness]\ncall_taking = "-5 s"', "response.kinds.illness.call_taking", "a number and a unit"),
        (
            "[response.kinds.illness]\nunits.ambulance.scene.mean = -5",
            "response.kinds.illness",
            "law is missing; allowed",
        ),
        ('[response.kinds.illness]\nunits.ambulance.skills = [""]', "response.kinds.illness", "at least 1"),
        (
            '[[response.events]]\nfile = "a.csv"\ntime = "t"\nx = "x"\ny = "y"\nkind = "flu"',
            "response",
            "'flu' is no kind",
        ),
    ],
)
def test_what_is_wrong_is_named(text, key, message):
    with pytest.raises(ScenarioError) as wrong:
        scenario(text)
    told = [(problem.key, problem.message) for problem in wrong.value.problems]
    assert any(where.startswith(key) and message in what for where, what in told), told


def test_defaults_are_a_whole_section():
    settings = ResponseSettings.model_validate({})
    assert settings.kinds["illness"].units["ambulance"].skills == ()
    assert {"ambulance", "fire", "police"} == set(settings.service_times)


@given(
    st.lists(
        st.tuples(st.integers(0, 95), st.integers(0, 96), st.integers(1, 5), st.sets(st.integers(0, 6), min_size=1)),
        max_size=4,
    )
)
def test_most_at_once_is_the_most_of_all_quarters_of_a_week(told):
    def clock(quarter):
        return f"{quarter // 4}:{quarter % 4 * 15:02d}"

    shifts = tuple(
        ShiftSettings.model_validate(
            {"from": clock(start), "until": clock(end), "units": units, "weekdays": tuple(sorted(days))}
        )
        for start, end, units, days in told
    )
    working = [0] * (7 * 96)
    for start, end, units, days in told:
        for day in days:
            for quarter in range(day * 96 + start, day * 96 + (end if start < end else 96 + end)):
                working[quarter % len(working)] += units
    assert most_at_once(shifts) == max(working)


def test_the_guide_has_every_key_and_its_section_is_valid():
    guide = (Path(__file__).parents[3] / "docs" / "response.md").read_text(encoding="utf-8")
    section = guide.partition("```toml\n")[2].partition("```")[0]
    told = scenario(section.partition("[response]\n")[2]).processes["response"]
    assert [table.hold for table in told.dispatch.compliance] == [(("North",), ("North", "Mill"))]
    assert told.dispatch.move("ambulance") is told.dispatch
    assert told.dispatch.move("fire").move_up == "home"
    for part in (ResponseSettings, FleetSettings, DispatchSettings, DepartmentSettings):
        written = set(re.findall(r"^(\w+) =", section, re.MULTILINE))
        missing = (
            {field.alias or name for name, field in part.model_fields.items()}
            - written
            - {"kinds", "service_times", "events", "fleet", "dispatch"}
        )
        assert missing - {"departments", "service"} == set(), part


def test_a_station_is_somewhere():
    with pytest.raises(ValidationError, match="where is it"):
        ResponseSettings.model_validate({"fleet": {"ambulance": {"stations": [{"units": 2}]}}})


HEAD = 'name = "town"\n[city]\nsynthetic = { people = 1_000 }\n[clock]\ndays = 2\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[response]\ntravel = "1 min"', ":7: response.travel: must be at least \"15 min\" (given '1 min')"),
        ('[response]\ntargets = ["30 h"]', "must be at most \"24 h\" (given '30 h')"),
        ("[response]\ncalls = -1", ":7: response.calls: must be at least 0 (given -1)"),
        (
            '[response]\n[[response.events]]\nfile = "a.csv"\ntime = "t"\nkind = "illness"\n'
            '[[response.events]]\nfile = "b.csv"\ntime = "t"\nkind = "ilness"',
            ":14: response.events[1].kind: 'ilness' is no kind of incident; there are: ",
        ),
        (
            '[response]\n[[response.events]]\nfile = "a.csv"\ntime = "t"\nkind_column = "k"\nkinds = { EMS = "sick" }',
            ":11: response.events[0].kinds: 'sick' is no kind of incident; there are: ",
        ),
        (
            '[response.fleet.ambulance]\nunits = 3\n[sweep.parameters]\n"response.fleet.ambulance.crews" = [5, 1]',
            ":7: response.fleet.ambulance.units: 3 are on duty at once, but there are 1 crews; raise crews or lower units; "
            "at the swept response.fleet.ambulance.crews = 1 (scenario:9)",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_and_in_the_units_of_the_file(text, message):
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_text(HEAD + text)
    assert message in str(caught.value)
