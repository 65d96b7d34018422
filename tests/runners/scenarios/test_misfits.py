"""Sections that are valid each, but do not fit the clock or the city, are refused before anything runs."""

import json
from pathlib import Path

import pytest
from cities import tiny_city
from typer.testing import CliRunner

from citytwin.runners.cli import app
from citytwin.runners.scenarios.scenario import Scenario, ScenarioError

SCENARIO = """\
name = "small"
[city]
synthetic = { people = 1_000 }
[clock]
start = 2026-01-05
days = 20
[epidemic]
disease = "covid"
"""


def with_imports(entry: str) -> str:
    return f"{SCENARIO}imports = [{{ per_day = 1 }},\n  {{ per_day = 1, {entry} }}]\n"


@pytest.mark.parametrize(
    ("entry", "key", "message"),
    [
        ("from = 20", "from", "outside the clock of 20 days (given 20)"),
        ("from = 100", "from", "outside the clock of 20 days (given 100)"),
        ("from = 2030-01-01", "from", "outside the clock of 20 days (given 2030-01-01)"),
        ("from = 2026-01-04", "from", "outside the clock of 20 days (given 2026-01-04)"),
        ("from = 2026-01-25", "from", "outside the clock of 20 days (given 2026-01-25)"),
        ("until = 2020-01-01", "until", "must be after 'from', 0 (given 2020-01-01)"),
        ("from = 2026-01-09, until = 4", "until", "must be after 'from', 2026-01-09 (given 4)"),
    ],
)
def test_imports_outside_the_clock(entry: str, key: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_text(with_imports(entry), label="s.toml")
    assert str(caught.value) == f"s.toml:10: epidemic.imports[1].{key}: {message}"


@pytest.mark.parametrize(
    "entry", ["from = 19", "from = 2026-01-24", "from = 2026-01-05, until = 1", "until = 2030-01-01"]
)
def test_imports_within_the_clock(entry: str) -> None:
    Scenario.from_text(with_imports(entry))


def test_a_swept_clock_must_hold_them_as_well() -> None:
    swept = with_imports("from = 15") + '[sweep.parameters]\n"clock.days" = [20, 10]\n'
    with pytest.raises(ScenarioError, match=r"epidemic\.imports\[1\]\.from: outside the clock of 10 days"):
        Scenario.from_text(swept)


# ---------------------------------------------------------------------- bundles


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small city, from which commands are called."""
    tiny_city(10).save(tmp_path / "tiny.city")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checked(place: Path, zones: str, more: str = "") -> tuple[int, list[dict[str, str]]]:
    policy = f'[[policy]]\nname = "closed"\nclose = ["shop"]\nwhom.zones = [{zones}]\n'
    text = SCENARIO.replace("synthetic = { people = 1_000 }", 'bundle = "tiny.city"') + policy + more
    (place / "s.toml").write_text(text)
    answer = CliRunner().invoke(app, ["check", "s.toml", "--json"])
    return answer.exit_code, json.loads(answer.stdout).get("problems", [])


def test_check_knows_the_zones_of_a_bundle(place: Path) -> None:
    assert len(tiny_city(10).zones) == 4
    assert checked(place, "3") == (0, [])
    code, problems = checked(place, "4")
    assert (code, [problem["key"] for problem in problems]) == (2, ["policy.closed.whom.zones"])
    assert problems[0]["where"] == "s.toml:12"
    assert "4" in problems[0]["message"]


def test_check_knows_them_at_every_point_of_a_sweep(place: Path) -> None:
    more = '[sweep.parameters]\n"policy.closed.whom.zones" = [[0], [4]]\n'
    code, problems = checked(place, "0", more)
    assert (code, len(problems)) == (2, 1)
    assert "4" in problems[0]["message"]


def test_check_tells_a_bundle_that_cannot_be_loaded(place: Path) -> None:
    (place / "tiny.city" / "city.json").write_text("{")
    code, problems = checked(place, "0")
    assert (code, [problem["key"] for problem in problems]) == (2, ["city.bundle"])
