"""Turn what pydantic found wrong into lines a scenario's author can act on."""

import re
import types
from collections.abc import Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ...agents.parts import duration_text
from .documents import KeyPath, Node, Problem, dotted_key, steps_of, suggestion

_TYPES = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "a text in quotes",
    "bool_type": "true or false",
    "list_type": "a list in [brackets]",
    "tuple_type": "a list in [brackets]",
    "set_type": "a list in [brackets]",
    "frozen_set_type": "a list in [brackets]",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "date_type": "a date such as 2026-01-05",
    "date_parsing": "a date such as 2026-01-05",
    "date_from_datetime_parsing": "a date such as 2026-01-05",
    "date_from_datetime_inexact": "a date without a time",
    "none_required": "nothing",
}
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_LENGTHS = {
    "too_short": ("at least", "min_length", "entries"),
    "too_long": ("at most", "max_length", "entries"),
    "string_too_short": ("at least", "min_length", "characters"),
    "string_too_long": ("at most", "max_length", "characters"),
}


def problems_of(error: ValidationError, model: type[BaseModel], document: Node, path: KeyPath) -> list[Problem]:
    """Return the problems of one section.

    Args:
        error: what pydantic raised.
        model: the model of the section.
        document: the whole document.
        path: where the section stands in it.
    """
    section = document.nearest(path)
    grouped: dict[KeyPath, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        if detail["type"] == "too_short" and len(detail["input"]) > detail["ctx"]["actual_length"]:
            continue  # its entries are wrong, which is told of each; pydantic counts them as missing as well
        grouped.setdefault(_written(detail, section), []).append(detail)
    problems = []
    for inner, details in grouped.items():
        for message in _messages(details, inner, model, section):
            refined, text = _refined(message, inner, model, section)
            whole = (*path, *refined)
            problems.append(Problem(document.nearest(whole).where, dotted_key(document, whole), text))
    return problems


def _written(detail: ErrorDetails, section: Node) -> KeyPath:
    """Cut from pydantic's location what is no key: the names of the members of a union."""
    loc: KeyPath = tuple(detail["loc"])
    node = section
    kept: list[str | int] = []
    for step in loc:
        following = node.nearest((step,))
        if following is not node:
            node = following
            kept.append(step)
    return (*kept, loc[-1]) if detail["type"] == "missing" else tuple(kept)


def _messages(details: list[ErrorDetails], path: KeyPath, model: type[BaseModel], section: Node) -> list[str]:
    """Return what to say of one value; the members of a union make one sentence."""
    types_wanted = [_TYPES[d["type"]] for d in details if d["type"] in _TYPES]
    others = [d for d in details if d["type"] not in _TYPES]
    given = _given(section.nearest(path).plain)
    if types_wanted and not others:
        return [f"must be {' or '.join(dict.fromkeys(types_wanted))} (given {given})"]
    return list(dict.fromkeys(_message(d, path, model, given) for d in others))


def _message(detail: ErrorDetails, path: KeyPath, model: type[BaseModel], given: str) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = keys_of(model_at(model, path[:-1]))
        return f"unknown key; allowed: {', '.join(allowed)}{suggestion(str(path[-1]), allowed)}"
    if kind == "missing":
        return "is missing"
    if kind in _BOUNDS:
        word, name = _BOUNDS[kind]
        bound = f"{context[name]:g}" if not given.startswith("'") else f'"{duration_text(context[name])}"'
        return f"must be {word} {bound} (given {given})"
    if kind in _LENGTHS:
        word, name, unit = _LENGTHS[kind]
        return f"must have {word} {context[name]} {unit} (given {given})"
    if kind in ("literal_error", "enum"):
        allowed = re.findall(r"'([^']*)'", str(context["expected"]))
        near = suggestion(str(detail["input"]), allowed)
        if detail["loc"][-1:] == ("[key]",):  # what is no choice is the key, not the value under it
            given = _given(detail["input"])
        return f"no such choice (given {given}); allowed: {context['expected'].replace(chr(39), '')}{near}"
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    choice = re.search(r"^'([^']+)' is no .*allowed are: (.+)$", message)
    if choice is not None:
        message += suggestion(choice.group(1), choice.group(2).split(", "))
    return message if given.startswith("{") or "given" in message else f"{message} (given {given})"


def _refined(message: str, path: KeyPath, model: type[BaseModel], section: Node) -> tuple[KeyPath, str]:
    """Find the key that the check of a whole table means: ``key: `` ahead, or the first written key it quotes."""
    inner = model_at(model, path)
    table = section.nearest(path)
    if inner is None or not isinstance(table.value, dict):
        return path, message
    ahead = re.match(r"([\w-]+(?:\[\d+\]|\.[\w-]+)*): ", message)
    if ahead is not None and (steps := steps_of(ahead.group(1)))[0] in keys_of(inner):
        return (*path, *steps), message[ahead.end() :]
    quoted = [name for name in re.findall(r"'([\w-]+)'", message) if name in keys_of(inner) and name in table.value]
    return (*path, *quoted[:1]), message


def _given(value: Any) -> str:
    text = repr(value) if isinstance(value, str | bool | Mapping | list) else str(value)
    text = {"True": "true", "False": "false"}.get(text, text)
    return text if len(text) <= 60 else text[:57] + "…"


def keys_of(model: type[BaseModel] | None) -> list[str]:
    """Return the keys a table may have, as its author writes them."""
    fields = {} if model is None else model.model_fields
    return [field.alias or name for name, field in fields.items()]


def model_at(model: type[BaseModel] | None, path: KeyPath) -> type[BaseModel] | None:
    """Return the model of the table at a path below a model, or None if it has no fixed keys."""
    steps = iter(path)
    for step in steps:
        if model is None:
            return None
        if isinstance(step, int):
            continue
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        annotation = fields[step].annotation if step in fields else None
        if get_origin(annotation) is dict:  # a table whose keys are the author's, with tables of one kind
            if next(steps, None) is None:
                return None
            annotation = get_args(annotation)[1]
        model = _model_in(annotation)
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, types.UnionType, list, tuple, Annotated):
        return next((found for found in map(_model_in, get_args(annotation)) if found is not None), None)
    return None
