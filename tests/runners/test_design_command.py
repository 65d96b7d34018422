"""The command ``citytwin design``."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from citytwin.environment.city import City
from citytwin.environment.design import DesignError, read_design
from citytwin.runners.cli import app
from citytwin.runners.commands.common import is_mistake


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("designs")
    City.synthetic(1_000, seed=2).save(folder / "toy.city")
    (folder / "slow.toml").write_text('[[change]]\nchange = "speed"\nlinks = [0, 1]\nkmh = 10\nhours = "07:00-09:00"\n')
    return folder


def call(*words: object):
    return CliRunner().invoke(app, ["design", *map(str, words)])


def test_check_says_what_is_touched(folder: Path) -> None:
    told = call("check", folder / "slow.toml", "--city", folder / "toy.city")
    assert told.exit_code == 0
    assert "slow: 1 changes" in told.output and "2 links" in told.output and "07:00-09:00" in told.output
    read = json.loads(call("check", folder / "slow.toml", "--city", folder / "toy.city", "--json").output)
    assert read["changes"][0]["links"] == [0, 1]


def test_mistakes_end_in_a_message(folder: Path) -> None:
    (folder / "wrong.toml").write_text('[[change]]\nchange = "speed"\nlinks = [0, 1]\n')
    told = call("check", folder / "wrong.toml", "--city", folder / "toy.city")
    assert isinstance(told.exception, DesignError) and is_mistake(told.exception)


def test_template_and_build(folder: Path) -> None:
    made = call("template", folder / "toy.city", "--out", folder / "design.gpkg")
    assert made.exit_code == 0 and "changes_lines" in made.output
    assert read_design(folder / "design.gpkg").changes == ()
    built = call("build", folder / "slow.toml", "--city", folder / "toy.city", "--out", folder / "new.city")
    assert built.exit_code == 0
    assert City.load(folder / "new.city").info.report["designs"][0]["name"] == "slow"
    assert call("template", folder / "toy.city", "--out", folder / "design.gpkg").exit_code != 0
