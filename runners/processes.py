"""The processes that a scenario can name: those of the package, and those of others by entry point.

A package adds a process with::

    [project.entry-points."citytwin.processes"]
    noise = "my_package.noise:Noise"

where ``noise`` is the section of the scenario file and ``Noise`` a subclass of :class:`agents.process.Process`.
"""

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from ..agents.process import Process

ENTRY_POINTS = "citytwin.processes"

_BUILT_IN = {
    "epidemic": "..agents.epidemic.epidemic:Epidemic",
    "traffic": "..agents.traffic.traffic:Traffic",
    "response": "..agents.response.response:Response",
}
"""In the order in which the processes of one step advance; those of other packages follow by name."""


@cache
def _others() -> dict[str, EntryPoint]:
    found = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    return {name: found[name] for name in sorted(found) if name not in _BUILT_IN}


def sections() -> list[str]:
    """Return the scenario sections of all processes, in the order in which they advance."""
    return [*_BUILT_IN, *_others()]


def process_class(section: str) -> type[Process]:
    """Return the class of the process that a section configures.

    Raises:
        KeyError: if no process has this section.
        TypeError: if an entry point names something that is no process.
    """
    if section in _BUILT_IN:
        module, _, name = _BUILT_IN[section].partition(":")
        found = getattr(import_module(module, __package__), name)
    else:
        found = _others()[section].load()
    if not (isinstance(found, type) and issubclass(found, Process)):
        raise TypeError(f"entry point '{section}' of group '{ENTRY_POINTS}' is no subclass of Process but {found!r}")
    return found
