"""A hand-made town that calls often, asked where its ambulances should stand."""

import pytest
from cities import tiny_city

from citytwin.runners.siting.question import read_question

OFTEN = """
name = "often"
seed = 3
[city]
bundle = "{bundle}"
[clock]
start = 2026-01-05
days = 2
[response]
services = ["ambulance"]
calls = 400
targets = ["3 min", "4 min"]
[response.fleet.ambulance]
stations = [{{ name = "Corner", x = 430900, y = 4580100, units = 2 }}]
"""


@pytest.fixture(scope="package")
def town_folder(tmp_path_factory):
    """A folder with the town as a bundle and a scenario in it."""
    folder = tmp_path_factory.mktemp("sited")
    tiny_city(300).save(folder / "town.city")
    (folder / "often.toml").write_text(OFTEN.format(bundle=folder / "town.city"), encoding="utf-8")
    return folder


@pytest.fixture(scope="package")
def question(town_folder):
    """What the scenario asks, for runs of two days."""
    return read_question(str(town_folder / "often.toml"), "ambulance", town_folder, days=2)
