"""TOML documents that remember where everything stood: read, extend, merge, and set values by dotted path."""

import datetime
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

from ...environment.toml import TOO_LONG, too_long
from .toml_lines import key_lines

MAX_BYTES = 1_000_000
MAX_EXTENDS = 20
MAX_PROBLEMS = 20
MAX_DEPTH = 50
"""Tables and arrays in one another; no scenario needs a tenth of it, and Python's own limit lies beyond."""
CITY_KINDS = ("synthetic", "osm", "census", "one_place", "sumo", "lines", "bundle")

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a file.

    Attributes:
        label: the file as its author knows it, or an option of the command line.
        line: line from 1, or None where there are no lines.
    """

    label: str
    line: int | None = None

    def __str__(self) -> str:
        return self.label if self.line is None else f"{self.label}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a scenario: where, which key, and what to do about it."""

    where: Where
    key: str
    message: str

    def __str__(self) -> str:
        # One line each, whatever a file is made of.
        return visible(": ".join(part for part in (str(self.where), self.key, self.message) if part))


def visible(text: str) -> str:
    """Return a text without control characters for a terminal to obey; they are shown as escapes."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


class ScenarioError(ValueError):
    """A scenario that cannot be used; the message has one line for every problem, with file, line and key.

    Attributes:
        problems: all of them, also those beyond what the message shows.
    """

    def __init__(self, problems: list[Problem]):
        self.problems = sorted(dict.fromkeys(problems), key=lambda p: (p.where.label, p.where.line or 0))
        shown = [str(problem) for problem in self.problems[:MAX_PROBLEMS]]
        if len(self.problems) > MAX_PROBLEMS:
            shown.append(f"… and {len(self.problems) - MAX_PROBLEMS} more")
        super().__init__("\n".join(shown))

    def __reduce__(self) -> tuple[type, tuple[list[Problem]]]:
        return type(self), (self.problems,)


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a document and where it was written.

    Attributes:
        value: dict of nodes, list of nodes, or a plain value.
        where: its place.
        folder: folder to which a relative path in this value refers.
    """

    value: Any
    where: Where
    folder: Path

    @property
    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {name: node.plain for name, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain for node in self.value]
        return self.value

    def get(self, name: str) -> "Node | None":
        """Return an entry of a table, or None."""
        return self.value.get(name) if isinstance(self.value, dict) else None

    def at(self, path: KeyPath) -> "Node | None":
        """Return the node at a path, or None."""
        node = self
        for step in path:
            inner = node.value
            if not (step in inner if isinstance(inner, dict) else _in_list(inner, step)):
                return None
            node = inner[step]
        return node

    def nearest(self, path: KeyPath) -> "Node":
        """Return the node at a path, or the last one on the way to it that was written."""
        for length in range(len(path), 0, -1):
            node = self.at(path[:length])
            if node is not None:
                return node
        return self

    def replaced(self, path: KeyPath, new: "Node") -> "Node":
        """Return a copy with another node at a path; missing tables on the way are made.

        Raises:
            KeyError: if something on the way is no table; the argument is that path.
        """
        if not path:
            return new
        head, rest = path[0], path[1:]
        if isinstance(self.value, list) and isinstance(head, int):
            items = list(self.value)
            items[head] = items[head].replaced(rest, new)
            return Node(items, self.where, self.folder)
        if not isinstance(self.value, dict):
            raise KeyError(head)
        inner = self.value.get(head, Node({}, new.where, new.folder))
        return Node(self.value | {str(head): inner.replaced(rest, new)}, self.where, self.folder)

    def without(self, name: str) -> "Node":
        """Return a copy of a table without one of its keys."""
        return Node({key: node for key, node in self.value.items() if key != name}, self.where, self.folder)


def _in_list(value: Any, step: str | int) -> bool:
    return isinstance(value, list) and isinstance(step, int) and step < len(value)


def suggestion(word: str, allowed: list[str] | tuple[str, ...]) -> str:
    """Return " (did you mean 'beta'?)" if an allowed word is close, else nothing."""
    close = get_close_matches(word, allowed, n=1, cutoff=0.6)
    return f" (did you mean '{close[0]}'?)" if close else ""


def wrap(value: Any, where: Where, folder: Path) -> Node:
    """Make a node of a plain value, all of it at one place; numpy's numbers become Python's."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        value = {str(name): wrap(inner, where, folder) for name, inner in value.items()}
    elif isinstance(value, list | tuple):
        value = [wrap(inner, where, folder) for inner in value]
    return Node(value, where, folder)


# ---------------------------------------------------------------------- reading


def parse_text(text: str, label: str, folder: Path) -> Node:
    """Read a TOML text.

    Raises:
        ScenarioError: if it is no TOML, with the line and what stands there.
    """
    try:
        data = tomllib.loads(text)
        lines = key_lines(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError([_syntax_problem(text, label, str(error))]) from None
    except RecursionError:
        raise ScenarioError([_too_deep(Where(label, _deep_line(text)), "")]) from None
    except ValueError:  # Python's own limit of digits
        raise ScenarioError([Problem(Where(label, _long_line(text)), "", TOO_LONG)]) from None
    deep = next((path for path in lines if len(path) > MAX_DEPTH), None)
    if deep is not None:
        raise ScenarioError([_too_deep(Where(label, lines[deep]), ".".join(map(str, deep[:3])) + "…")])

    def build(value: Any, path: KeyPath) -> Node:
        if isinstance(value, dict):
            inner: Any = {name: build(entry, (*path, name)) for name, entry in value.items()}
        elif isinstance(value, list):
            inner = [build(entry, (*path, number)) for number, entry in enumerate(value)]
        else:
            inner = value
            if too_long(value):
                problems.append(Problem(Where(label, lines.get(path, 1)), ".".join(map(str, path)), TOO_LONG))
        return Node(inner, Where(label, lines.get(path, 1)), folder)

    problems: list[Problem] = []
    document = build(data, ())
    if problems:
        raise ScenarioError(problems)
    return document


def _too_deep(where: Where, key: str) -> Problem:
    return Problem(where, key, f"tables or arrays are nested too deeply; allowed: {MAX_DEPTH} in one another")


def _deep_line(text: str) -> int:
    """Return the line on which more brackets are open than may be; brackets in strings are taken for such too."""
    opened = 0
    for number, row in enumerate(text.splitlines(), start=1):
        for sign in row:
            opened += (sign in "[{") - (sign in "]}")
            if opened > MAX_DEPTH:
                return number
    return 1


def _long_line(text: str) -> int:
    """Return the line with the longest run of digits."""
    rows = text.splitlines()
    return 1 + max(range(len(rows)), key=lambda number: max(map(len, re.findall(r"[\d_]+", rows[number])), default=0))


def _syntax_problem(text: str, label: str, message: str) -> Problem:
    found = re.search(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)", message)
    rows = text.splitlines() or [""]
    line = int(found.group(1)) if found and found.group(1) else len(rows)
    reason = message[: found.start()] if found else message
    shown = rows[min(line, len(rows)) - 1].strip()[:100] or "(empty)"
    at_end = " at the end of the file" if not (found and found.group(1)) else ""
    return Problem(Where(label, line), "", f"not valid TOML{at_end}: {reason}; the line reads: {shown}")


def read_file(path: Path, label: str) -> Node:
    """Read a TOML file.

    Raises:
        ScenarioError: if it cannot be read, is too large, is not text or not TOML.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise ScenarioError([Problem(Where(label), "", "is not a file")])
        if size > MAX_BYTES:
            raise ScenarioError([Problem(Where(label), "", f"{size:,} bytes; a scenario has at most {MAX_BYTES:,}")])
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ScenarioError([Problem(Where(label), "", f"cannot be read ({error.strerror or error})")]) from None
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text (byte {error.start:,}); save it as UTF-8"
        raise ScenarioError([Problem(Where(label), "", message)]) from None
    return parse_text(text, label, path.parent.resolve())


def shipped() -> dict[str, Path]:
    """Return the example scenarios that come with the package, by bare name."""
    folder = Path(str(resources.files(f"{__package__.partition('.')[0]}.configs")))
    return {file.stem: file for file in sorted(folder.glob("*.toml"))}


def find(name: str | Path) -> Path:
    """Return the file of a scenario: a path, or the bare name of a shipped one.

    Raises:
        ScenarioError: if there is neither.
    """
    path = Path(name)
    if path.exists() or path.is_symlink():  # a link that leads nowhere is told by what reads it
        return path
    examples = shipped()
    if str(name) in examples:
        return examples[str(name)]
    message = f"no such file, and no shipped scenario of this name; shipped: {', '.join(examples)}"
    raise ScenarioError([Problem(Where(str(name)), "", message + suggestion(str(name), list(examples)))])


# ---------------------------------------------------------------------- extending


def extended(document: Node, own_file: Path | None) -> Node:
    """Return a document with all that it extends merged under it.

    Args:
        document: the document as written.
        own_file: its file, or None if it is a bare text.

    Raises:
        ScenarioError: if ``extends`` names no usable file, leaves the allowed folders, or leads back to itself.
    """
    home = document.folder
    seen = [own_file.resolve()] if own_file is not None else []
    chain = [document]
    while (entry := chain[-1].get("extends")) is not None:
        target = _extends_target(entry, home)
        if target in seen or len(seen) > MAX_EXTENDS:
            names = " -> ".join(file.name for file in [*seen, target])
            raise ScenarioError([Problem(entry.where, "extends", f"leads in a circle: {names}")])
        seen.append(target)
        chain.append(read_file(target, _label(target, entry)))
    merged = chain.pop().value
    root = Node(merged, document.where, document.folder)
    while chain:
        root = merge(root, chain.pop())
    return root.without("extends")


def _extends_target(entry: Node, home: Path) -> Path:
    if not isinstance(entry.value, str):
        raise ScenarioError([Problem(entry.where, "extends", f"must be the name of a file (given {entry.plain!r})")])
    examples = shipped()
    target = absolute(entry.folder, entry.value)
    if not target.exists() and entry.value in examples:
        return examples[entry.value].resolve()
    allowed = [home, *{file.parent.resolve() for file in examples.values()}]
    if not any(target.is_relative_to(folder) for folder in allowed):
        allowed_text = f"a file under {home}, or one of {', '.join(examples)}"
        message = f"'{entry.value}' lies outside the scenario's own folder; allowed: {allowed_text}"
        raise ScenarioError([Problem(entry.where, "extends", message)])
    if not target.is_file():
        message = f"no file '{entry.value}' in {entry.folder}; shipped scenarios: {', '.join(examples)}"
        raise ScenarioError([Problem(entry.where, "extends", message + suggestion(entry.value, list(examples)))])
    return target


def absolute(folder: Path, name: str) -> Path:
    """Return the path that a name means in a folder, links followed; one that leads nowhere is no error here."""
    # Path.expanduser and Path.resolve raise where a user is unknown, links lead in a circle or a character is NUL.
    return Path(os.path.realpath(folder / os.path.expanduser(name.replace("\0", "\ufffd"))))  # noqa: PTH111


def _label(target: Path, entry: Node) -> str:
    """Name an extended file as the author of the extending one would."""
    own = Path(entry.where.label)
    candidate = own.parent / str(entry.value)
    return str(candidate) if candidate.resolve() == target else target.name


NAMED = ("policy", "design")
"""Tables with two brackets, each entry of which has a name of its own and is found by it."""
_WHOLE: tuple[KeyPath, ...] = (
    ("sweep", "parameters"),
    ("calibrate", "parameters"),
    ("calibrate", "observations"),
    ("optimise", "parameters"),
    ("optimise", "goals"),
    ("optimise", "constraints"),
)


def merge(base: Node, over: Node, path: KeyPath = ()) -> Node:
    """Lay one document over another: tables deeply, policies and designs by name, all else replaced.

    Swept, fitted and optimised parameters, observations and goals are replaced together, since one that is inherited could
    not be taken out again; and another city takes the place of the one there was.
    """
    if path in [(name,) for name in NAMED] and isinstance(base.value, list) and isinstance(over.value, list):
        return Node(_merge_named(base.value, over.value, path), over.where, over.folder)
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)) or path in _WHOLE:
        return over
    kept = dict(base.value)
    if path == ("city",) and any(kind in over.value for kind in CITY_KINDS):
        kept = {name: node for name, node in kept.items() if name not in CITY_KINDS or name in over.value}
    for name, node in over.value.items():
        kept[name] = merge(kept[name], node, (*path, name)) if name in kept else node
    return Node(kept, over.where, over.folder)


def _merge_named(base: list[Node], over: list[Node], path: KeyPath) -> list[Node]:
    result = list(base)
    names = [_name(node) for node in base]
    for node in over:
        name = _name(node)
        if name is not None and name in names:
            position = names.index(name)
            result[position] = merge(result[position], node, (*path, position))
        else:
            result.append(node)
    return result


def _name(node: Node) -> Any:
    entry = node.get("name")
    return entry.value if entry is not None and isinstance(entry.value, str) else None


# ---------------------------------------------------------------------- dotted paths


def resolve_key(document: Node, dotted: str) -> KeyPath:
    """Return the path that a dotted key means; ``policy.<name>.<key>`` finds the policy by its name, a design likewise.

    Raises:
        LookupError: if there is no such section, policy or design; the argument says what there is.
    """
    sections = [name for name in document.value if name != "extends"]
    head, _, rest = dotted.partition(".")
    if head in NAMED:
        entries = document.get(head)
        items = entries.value if entries is not None and isinstance(entries.value, list) else []
        names = {_name(node): number for number, node in enumerate(items) if _name(node)}
        for name in sorted(names, key=len, reverse=True):
            if rest.startswith(f"{name}."):
                return (head, names[name], *rest[len(name) + 1 :].split("."))
        known = ", ".join(f"'{name}'" for name in names) or "none"
        near = suggestion(rest.rpartition(".")[0], [str(name) for name in names])
        plural = {"policy": "policies", "design": "designs"}[head]
        raise LookupError(f"no such {head}; write {head}.<name>.<key>; {plural} of this scenario: {known}{near}")
    if head not in sections and head not in ("name", "seed", "clock", "output"):
        known = ", ".join(sections)
        raise LookupError(f"the scenario has no section '{head}'; it has: {known}{suggestion(head, sections)}")
    path = tuple(dotted.split("."))
    if len(path) > MAX_DEPTH:
        raise LookupError(f"lies too deep; allowed: {MAX_DEPTH} tables in one another")
    if not all(path):
        raise LookupError("is no key; write section.key, as in epidemic.r0")
    return path


def dotted_key(document: Node, path: KeyPath) -> str:
    """Return the dotted key of a path, policies and designs by their names."""
    if len(path) > 1 and path[0] in NAMED:
        name = _name(document.nearest(path[:2]))
        path = (path[0], path[1] if name is None else name, *path[2:])
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.lstrip(".")


def steps_of(key: str) -> KeyPath:
    """Return the path of a dotted key such as ``response.events[0].kind``."""
    return tuple(int(step[1:-1]) if step.startswith("[") else step for step in re.findall(r"\[\d+\]|[^.\[\]]+", key))


def json_ready(value: Any) -> Any:
    """Return a plain value with dates as ISO text, so that JSON can hold it."""
    if isinstance(value, dict):
        return {name: json_ready(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [json_ready(inner) for inner in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value


def leaves(node: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
    """Yield path and node of every value that is neither table nor array."""
    if not isinstance(node.value, dict | list):
        yield path, node
        return
    for step, inner in node.value.items() if isinstance(node.value, dict) else enumerate(node.value):
        if isinstance(inner.value, dict | list):
            yield from leaves(inner, (*path, step))
        else:
            yield (*path, step), inner
