"""The metadata of results: that it is what RO-Crate asks for, and that a run follows from what it names alone."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import sweep_toys as toys

from citytwin.runners.reports.crate import CRATE, write_crate
from citytwin.runners.results import Results
from citytwin.runners.run import run
from citytwin.runners.scenarios.scenario import Scenario, ScenarioError
from citytwin.runners.storage.store import read_table
from citytwin.runners.storage.tables import StoreError


@pytest.fixture
def described(swept: Path, tmp_path: Path) -> Path:
    """A copy of the results of a sweep, with its metadata."""
    out = tmp_path / "results"
    shutil.copytree(swept, out)
    write_crate(Results(out))
    return out


def graph(directory: Path) -> dict[str, dict]:
    entities = json.loads((directory / CRATE).read_text(encoding="utf-8"))["@graph"]
    found = {entity["@id"]: entity for entity in entities}
    assert len(found) == len(entities)
    return found


def references(value) -> list[str]:
    """Return all that a property refers to."""
    if isinstance(value, list):
        return [name for item in value for name in references(item)]
    return [value["@id"]] if isinstance(value, dict) else []


def test_the_graph_has_what_the_specification_asks_for(described: Path) -> None:
    content = json.loads((described / CRATE).read_text(encoding="utf-8"))
    assert content["@context"] == "https://w3id.org/ro/crate/1.1/context"
    entities = graph(described)
    head, root = entities[CRATE], entities["./"]
    assert (head["@type"], head["about"]) == ("CreativeWork", {"@id": "./"})
    assert head["conformsTo"]["@id"].startswith("https://w3id.org/ro/crate/1.1")
    assert root["@type"] == "Dataset"
    assert {"name", "description", "datePublished", "license", "hasPart"} <= root.keys()
    for entity in entities.values():
        assert {"@id", "@type"} <= entity.keys()
        for key, value in entity.items():
            for name in references(value):
                assert name in entities or name.startswith(("http://schema.org/", "https://w3id.org/ro/")), (key, name)


def test_the_action_follows_the_profile_of_process_runs(described: Path) -> None:
    entities = graph(described)
    action = entities["#sweep"]
    assert action["@type"] == "CreateAction"
    assert entities["./"]["mentions"] == [{"@id": "#sweep"}]
    assert entities["./"]["conformsTo"]["@id"] == "https://w3id.org/ro/wfrun/process/0.5"
    program = entities[action["instrument"]["@id"]]
    assert program["@type"] == "SoftwareApplication"
    versions = Results(described).info["versions"]
    assert versions["code"] in program["description"]
    required = [entities[name] for name in references(program["softwareRequirements"])]
    needs = {entity["name"]: entity["softwareVersion"] for entity in required}
    assert needs == {name: text for name, text in versions.items() if name not in ("code", "citytwin")}
    assert action["actionStatus"]["@id"].endswith("CompletedActionStatus")
    swept = [entities[name] for name in references(action["object"]) if entities[name]["@type"] == "PropertyValue"]
    assert [entry["name"] for entry in swept] == Results(described).info["parameters"]


def test_files_are_listed_with_size_and_checksum(described: Path) -> None:
    entities = graph(described)
    listed = set(references(entities["./"]["hasPart"]))
    assert {"sweep.json", "tasks.jsonl"} | set(toys.files(described)) == listed
    for name in listed:
        content = (described / name).read_bytes()
        assert entities[name]["contentSize"] == str(len(content))
        assert entities[name]["sha256"] == hashlib.sha256(content).hexdigest()


def test_the_results_follow_from_what_the_crate_names(described: Path, call, tmp_path: Path) -> None:
    entities = graph(described)
    action = entities["#sweep"]
    there = tmp_path / "elsewhere"
    there.mkdir()
    for name in references(action["object"]):
        if entities[name]["@type"] == "File":
            shutil.copy(described / name, there / name)
    wanted = {name: entities[name]["sha256"] for name in references(action["result"])}
    shutil.rmtree(described)
    program, *words = action["description"].split()
    assert program == "citytwin"
    arguments = [str(there / word) if word in ("sweep.json", "again") else word for word in words]
    assert call(*arguments, "--workers", 1).code == 0
    made = {name: hashlib.sha256(content).hexdigest() for name, content in toys.files(there / "again").items()}
    assert made == wanted


def test_a_single_run_is_repeated_by_its_own_command(tiny: Scenario, tmp_path: Path) -> None:
    results = run(tiny, out=tmp_path / "one", seed=5)
    write_crate(results)
    command = graph(tmp_path / "one")["#sweep"]["description"].split()
    assert command[:5] == ["citytwin", "run", "sweep.json", "--seed", "5"]
    again = run(tmp_path / "one" / "sweep.json", out=tmp_path / "again", seed=5)
    assert again.directory is not None
    assert toys.files(again.directory) == toys.files(tmp_path / "one")


def test_a_sweep_that_lacks_runs_says_so(described: Path) -> None:
    lines = (described / "tasks.jsonl").read_text().splitlines()
    extra = json.loads(lines[-1]) | {"run_id": "p0009-r0000", "point": 9}
    (described / "tasks.jsonl").write_text("\n".join([*lines, json.dumps(extra)]) + "\n")
    info = json.loads((described / "sweep.json").read_text())
    (described / "sweep.json").write_text(json.dumps(info | {"runs": 13}))
    write_crate(Results(described))
    action = graph(described)["#sweep"]
    assert action["actionStatus"]["@id"].endswith("FailedActionStatus")
    assert action["name"].startswith("12 of 13 runs")
    assert len(read_table(described, "summary")) == 12


def test_what_cannot_be_described_or_repeated(tiny: Scenario, described: Path) -> None:
    with pytest.raises(StoreError, match="in memory"):
        write_crate(run(tiny))
    info = json.loads((described / "sweep.json").read_text())
    (described / "sweep.json").write_text(json.dumps(info | {"scenario": None}))
    with pytest.raises(ScenarioError, match="holds no scenario that can be run again"):
        Scenario.load(described / "sweep.json")
    (described / "sweep.json").write_text("[")
    with pytest.raises(ScenarioError, match="not a readable description of a sweep"):
        Scenario.load(described / "sweep.json")
