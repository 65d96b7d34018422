"""Imports between the files of the package: down the floors only, and never in a circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import citytwin

ROOT = Path(citytwin.__file__).parent
FLOORS = ("environment", "agents", "runners")


def imported(file):
    """Return the files of the package that a file names, those for type checkers and inside functions among them."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for name in (alias.name for alias in node.names):
                places = (folder / f"{name}.py", folder / name / "__init__.py", folder.with_suffix(".py"))
                found.add(next((place for place in places if place.is_file()), folder / "__init__.py"))
    return found - {file}


def files_of(floor):
    return sorted((ROOT / floor).rglob("*.py"))


@pytest.mark.parametrize("floor", FLOORS)
def test_files_import_from_their_own_floor_and_those_below(floor):
    allowed = FLOORS[: FLOORS.index(floor) + 1]
    files = files_of(floor)
    assert len(files) > 50
    upwards = [
        f"{file.relative_to(ROOT)} -> {other.relative_to(ROOT)}"
        for file in files
        for other in imported(file)
        if other.relative_to(ROOT).parts[0] not in (*allowed, "__init__.py")
    ]
    assert upwards == []


@pytest.mark.parametrize("floor", ["environment", "agents"])
def test_files_of_a_floor_import_each_other_in_no_circle(floor):
    arrows = {file: imported(file) for file in files_of(floor)}
    assert sum(map(len, arrows.values())) > 100
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(str(file.relative_to(ROOT)) for file in error.args[1]))
