"""Files that a scenario names: their paths, wherever it is read from, and their contents."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .documents import KeyPath, Node, absolute, dotted_key, json_ready, read_file, wrap
from .processes import process_class, sections
from .street_designs import SECTION as DESIGN
from .street_designs import content_of

if TYPE_CHECKING:
    from .scenario import Scenario

_PATHS: tuple[KeyPath, ...] = (
    ("city", "bundle"),
    ("city", "osm", "file"),
    ("city", "osm", "census"),
    ("city", "census", "file"),
    ("city", "sumo", "file"),
    ("city", "lines", "file"),
    ("clock", "from"),
)


def absolute_paths(document: Node) -> Node:
    """Make the paths in a scenario independent of the folder it is read from."""
    paths = list(_PATHS)
    drawn = document.get(DESIGN)
    if drawn is not None and isinstance(drawn.value, list):
        paths += [(DESIGN, number, "file") for number in range(len(drawn.value))]
    for path in entries(document, ("city",), ("sumo", "additional", "*")):
        document = document.replaced(path, _absolute_name(document.at(path)))
    for section in sections():
        if document.get(section) is not None:
            paths += [(section, name) for name in process_class(section).file_keys]
            for keys in process_class(section).path_keys:
                for path in entries(document, (section,), keys):
                    document = document.replaced(path, _absolute_name(document.at(path)))
    for path in paths:
        node = document.at(path)
        if node is not None and isinstance(node.value, str):
            document = document.replaced(path, _made_absolute(node, path))
        axis_path = ("sweep", "parameters", dotted_key(document, path))
        axis = document.at(axis_path)
        if axis is not None and isinstance(axis.value, list):
            values = [_made_absolute(value, path) for value in axis.value]
            document = document.replaced(axis_path, Node(values, axis.where, axis.folder))
    return document


def entries(document: Node, path: KeyPath, keys: tuple[str, ...]) -> list[KeyPath]:
    """Return the paths of all texts that keys lead to, ``"*"`` standing for every entry of a list."""
    if not keys:
        node = document.at(path)
        return [path] if node is not None and isinstance(node.value, str) else []
    if keys[0] != "*":
        return entries(document, (*path, keys[0]), keys[1:])
    node = document.at(path)
    if node is None or not isinstance(node.value, list):
        return []
    return [found for number in range(len(node.value)) for found in entries(document, (*path, number), keys[1:])]


def _absolute_name(node: Node | None) -> Node:
    assert node is not None
    return Node(str(absolute(node.folder, node.value)), node.where, node.folder)


def _made_absolute(node: Node, path: KeyPath) -> Node:
    value = node.value
    # Some keys take a shipped name or a file; a file has a suffix or a folder.
    if not isinstance(value, str) or not (path in _PATHS or path[0] == DESIGN or _names_file(value)):
        return node
    return Node(str(absolute(node.folder, value)), node.where, node.folder)


def _names_file(value: str) -> bool:
    return value.endswith(".toml") or "/" in value


def with_contents(document: Node, section: str, files: Mapping[str, Any]) -> Node:
    """Put the contents of files in the place of their names."""
    for name in process_class(section).file_keys:
        node = document.at((section, name))
        if node is not None and isinstance(node.value, str) and node.value in files:
            document = document.replaced((section, name), wrap(files[node.value], node.where, node.folder))
    return document


def files_of(scenarios: Iterable["Scenario"]) -> dict[str, Any]:
    """Return by path the content, JSON-able, of every file that the processes and designs of scenarios are made of.

    Raises:
        ScenarioError: if one cannot be read or is not TOML.
    """
    files: dict[str, Any] = {}
    for scenario in scenarios:
        for design in scenario.designs:
            if design.file is not None and design.file not in files:
                files[design.file] = content_of(design, scenario.files)
        for section in scenario.processes:
            for name in process_class(section).file_keys:
                node = scenario.document.at((section, name))
                if node is None or not isinstance(node.value, str) or not _names_file(node.value):
                    continue
                path = node.value
                if path not in files:
                    kept = scenario.files.get(path)
                    files[path] = json_ready(read_file(Path(path), path).plain) if kept is None else kept
    return files
