"""What the README and the guide show is true: examples run, scenarios are valid, commands exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from citytwin import Scenario

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TRAFFIC = (ROOT / "docs" / "traffic.md").read_text(encoding="utf-8")
RESPONSE = (ROOT / "docs" / "response.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "epidemics.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.S | re.M)


def test_scenario_of_the_readme_is_valid(tmp_path):
    scenario, _, _ = blocks("toml")
    (tmp_path / "kampen.osm.pbf").write_bytes(b"")
    (tmp_path / "scenario.toml").write_text(scenario, encoding="utf-8")
    loaded = Scenario.load(tmp_path / "scenario.toml")
    assert len(loaded.points()) == 6
    assert loaded.name == "school closure in Kampen"


def test_traffic_of_the_readme_and_its_guide_is_valid(tmp_path):
    head = 'name = "streets"\n[city]\nsynthetic = { people = 2_000 }\n'
    _, streets, _ = blocks("toml")
    file = re.search(r"^file = .*$", streets, re.M).group()
    drawn = streets.replace(file, 'changes = [{ change = "speed", links = [0], kmh = 20 }]')
    assert len(Scenario.from_text(head + drawn).points()) == 2
    section, alone = blocks("toml", TRAFFIC)
    settings = Scenario.from_text(head + section, folder=tmp_path).processes["traffic"]
    assert settings.reroute == 600
    assert settings.matrices[0].file == str(tmp_path / "od.csv")
    assert settings.trip_tables == (str(tmp_path / "extra-trips.csv"),)
    scenario = Scenario.from_text('name = "streets"\n' + alone, folder=tmp_path)
    assert scenario.city.sumo.file == str(tmp_path / "bologna.net.xml")
    assert scenario.processes["traffic"].sumo_routes[1] == str(tmp_path / "bologna.rou.xml")


def test_response_of_the_readme_and_its_guide_is_valid(tmp_path):
    head = 'name = "response"\n[city]\nsynthetic = { people = 2_000 }\n'
    assert len(Scenario.from_text(head + blocks("toml")[2]).points()) == 6
    section, shifts, _, kinds, events, *_ = blocks("toml", RESPONSE)
    assert Scenario.from_text(head + section).processes["response"].fleet["ambulance"].crews == 12
    dispatch = Scenario.from_text(head + "[response]\n" + shifts).processes["response"].dispatch
    assert [table.on_duty for table in dispatch.move("ambulance").compliance] == [0, 6]
    settings = Scenario.from_text(head + kinds + events, folder=tmp_path).processes["response"]
    assert settings.kinds["drowning"].units["fire"].number == 2
    assert settings.events[0].file == str(tmp_path / "2019_accidents.csv")


def test_dispatchers_of_the_guide_run(tmp_path, import_path):
    examples = [block for block in blocks("python", RESPONSE) if "Dispatcher" in block]
    assert len(examples) == 2  # the second goes on from the first
    wounded = """
from citytwin.agents.response.triage import casualty_of
about = {"kind": "crash", "called": 0.0, "number": 0, "casualties": 2}
found = [Hurried().triage(casualty_of(Triage.YELLOW, 0.5, chance=chance, **about)).name for chance in (0.1, 0.3)]
print(*found)
"""
    (tmp_path / "example.py").write_text("\n".join([*examples, wounded]), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "example.py"], cwd=tmp_path, env=import_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "of 10 units are under way or at work at midnight" in done.stdout
    assert done.stdout.endswith("RED YELLOW\n")


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


def test_scenario_and_disease_of_the_guide_are_valid(tmp_path):
    epidemic, disease, output = blocks("toml", GUIDE)
    (tmp_path / "mine.toml").write_text(disease, encoding="utf-8")
    head = 'name = "guide"\n[city]\nsynthetic = { people = 2_000 }\n'
    scenario = Scenario.from_text(head + epidemic.replace('"covid"  ', '"mine.toml"') + output, folder=tmp_path)
    settings = scenario.processes["epidemic"]
    assert settings.disease.state_names[3:] == ("exposed", "ill")
    assert [strain.name for strain in settings.strains] == ["first", "second"]
    assert scenario.hospitals is not None


def test_policies_of_the_guide_are_valid():
    table = GUIDE.split("What a policy may do")[1].split("Kinds of places")[0]
    rows = re.findall(r"^\| `([a-z_]+)` \| `(.+?)`(?: or `.+?`)? \|", table, re.M)
    assert {"close", "test", "vaccinate", "cordon"} <= {name for name, _ in rows}
    for name, value in rows:
        more = ["whom = { zones = [0] }"] if name == "cordon" else []
        more += ["test = { random = 0.1 }"] if name in ("isolate", "trace") else []
        more += ["isolate = {}"] if name == "trace" else []
        more += ["trace = { app = 0.1 }"] if name == "test" else []
        policy = "\n".join(["[[policy]]", 'name = "of the guide"', f"{name} = {value}", *more])
        text = (
            'name = "guide"\n[city]\nsynthetic = { people = 2_000 }\n'
            '[epidemic]\ndisease = "covid"\nroutes = { contact = 0.5, air = 0.5 }\n'
            "imports = [{ per_day = 1 }]\n"
        )
        (settings,) = Scenario.from_text(text + policy).policies
        assert name in settings.effects


def test_own_policy_and_citizen_of_the_guide_run(tmp_path, import_path):
    (example,) = blocks("python", GUIDE)
    small = '.with_parameters({"city.synthetic": {"people": 3000}, "clock.days": 70})'
    load = 'ct.Scenario.load("outbreak-control")'
    assert load in example
    (tmp_path / "example.py").write_text(example.replace(load, load + small), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "example.py"], cwd=tmp_path, env=import_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\[0\.\d+\]\n", done.stdout)
