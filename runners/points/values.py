"""Values of a point, put into the document of a scenario."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..scenarios.documents import CITY_KINDS, Node, Problem, ScenarioError, Where, resolve_key, wrap


def point_document(document: Node, parameters: Mapping[str, Any]) -> Node:
    """Return the document of one point: its parameters set, nothing swept.

    Raises:
        ScenarioError: if a key does not exist.
    """
    axes = document.nearest(("sweep", "parameters"))
    nodes = {name: axes.get(name) for name in parameters}
    where = {name: Where(name) if node is None else _written(node, parameters[name]) for name, node in nodes.items()}
    changed, problems = with_values(document, parameters, where)
    if problems:
        raise ScenarioError(problems)
    return changed.without("sweep")


def _written(axis: Node, value: Any) -> Where:
    """Return where a value of a parameter was written."""
    values = axis.value if isinstance(axis.value, list) else []
    return next((node.where for node in values if node.plain == value), axis.where)


def with_values(
    document: Node, parameters: Mapping[str, Any], where: Mapping[str, Where]
) -> tuple[Node, list[Problem]]:
    """Set values in a document, unchecked.

    Args:
        document: the document.
        parameters: value by dotted key.
        where: where each value comes from, by the same keys.

    Returns:
        The document with the values, and what is wrong with keys that do not exist.
    """
    problems = []
    for name, value in parameters.items():
        try:
            path = resolve_key(document, name)
            if len(path) == 2 and path[0] == "city" and path[1] in CITY_KINDS:
                for kind in CITY_KINDS:  # another city takes the place of the one there was
                    document = document.replaced(("city",), document.nearest(("city",)).without(kind))
            new = wrap(value, where[name], Path.cwd())
            document = document.replaced(path, new)
        except LookupError as error:
            message = str(error.args[0]) if type(error) is LookupError else f"'{error.args[0]}' does not lie in a table"
            problems.append(Problem(where[name], name, message))
    return document, problems
