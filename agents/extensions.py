"""Classes that other packages add by entry points, each by its name in a group.

A scenario file names them by that name alone: no file can make the program import code that nobody installed.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

_Class = TypeVar("_Class")


class EntryPointError(ValueError):
    """An installed class that cannot be used; the message names its entry point."""


@cache
def extensions(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name, in the order of their names."""
    found = {point.name: point for point in entry_points(group=group)}
    return {name: found[name] for name in sorted(found)}


def load_extension(group: str, name: str, base: type[_Class]) -> type[_Class]:
    """Import the class that an entry point names.

    Args:
        group: group of entry points.
        name: one of :func:`extensions`.
        base: what the class must derive from.

    Raises:
        KeyError: if there is no such entry point.
        EntryPointError: if it cannot be imported, or is something else.
    """
    point = extensions(group)[name]
    called = f"entry point '{name}' of group '{group}' ({point.value})"
    try:
        found = point.load()
    except (Exception, SystemExit) as error:  # whatever a foreign module raises
        message = f"{called} cannot be imported: {type(error).__name__}: {error}"
        raise EntryPointError(f"{message}; mend the package that adds it, or take it away") from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise EntryPointError(f"{called} is no subclass of {base.__name__} but {found!r}")
    return found
