"""The scenario of the nearest run as a file that can be run again."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .settings import of_model

if TYPE_CHECKING:
    from ..scenarios.scenario import Scenario


def best_toml(scenario: "Scenario", best: Mapping[str, Any]) -> str:
    """Return the scenario with the parameters and the seed of the best run, as TOML.

    Args:
        scenario: what was fitted.
        best: ``parameters``, ``seed`` and ``distance`` of a run.
    """
    chosen = scenario.at_point({}).with_parameters(of_model(best["parameters"])).to_dict()
    chosen["seed"] = best["seed"]
    chosen.pop("calibrate", None)
    chosen.pop("optimise", None)
    head = [f"# The run nearest to the data; distance {best['distance']:.4g}.", ""]
    tables = {name: value for name, value in chosen.items() if isinstance(value, dict)}
    lists = {
        name: value
        for name, value in chosen.items()
        if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value)
    }
    for name, value in chosen.items():
        if name not in tables and name not in lists:
            head.append(f"{_key(name)} = {_text(value)}")
    for name, table in tables.items():
        head += ["", f"[{_key(name)}]", *_lines(table)]
    for name, entries in lists.items():
        for entry in entries:
            head += ["", f"[[{_key(name)}]]", *_lines(entry)]
    return "\n".join(head) + "\n"


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(name)} = {_text(value)}" for name, value in table.items() if value is not None]


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else _quoted(name)


def _quoted(text: str) -> str:
    """Return a TOML string; JSON's are such but for one sign that TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(name)} = {_text(entry)}" for name, entry in value.items() if entry is not None)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, str):
        return _quoted(value)
    return json.dumps(value)  # numbers and truth values are written alike
