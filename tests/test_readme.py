"""What the README shows is true: its example runs, its scenario is valid, its commands exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from citytwin import Scenario

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.S | re.M)


def test_scenario_of_the_readme_is_valid(tmp_path):
    (scenario,) = blocks("toml")
    (tmp_path / "kampen.osm.pbf").write_bytes(b"")
    (tmp_path / "scenario.toml").write_text(scenario, encoding="utf-8")
    loaded = Scenario.load(tmp_path / "scenario.toml")
    assert len(loaded.points()) == 6
    assert loaded.name == "school closure in Kampen"


def test_python_example_runs(tmp_path, import_path):
    (example,) = blocks("python")
    (tmp_path / "example.py").write_text(example, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "example.py"], cwd=tmp_path, env=import_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "of them infected so far" in done.stdout
    assert (tmp_path / "results" / "mine" / "summary").is_dir()


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"citytwin ((?:city )?[a-z]+)(?= )", "\n".join(blocks("bash")))))
)
def test_commands_exist(command, import_path):
    done = subprocess.run(
        [sys.executable, "-m", "citytwin", *command.split(), "--help"],
        env=import_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
