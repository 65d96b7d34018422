"""The processes that a scenario can name: those of the package, and those of others by entry point.

A package adds a process with::

    [project.entry-points."citytwin.processes"]
    noise = "my_package.noise:Noise"

where ``noise`` is the section of the scenario file and ``Noise`` a subclass of :class:`agents.process.Process`.
"""

from importlib import import_module
from importlib.metadata import EntryPoint

from ...agents.extensions import extensions, load_extension
from ...agents.process import Process

ENTRY_POINTS = "citytwin.processes"

_BUILT_IN = {
    "epidemic": "...agents.epidemic.epidemic:Epidemic",
    "traffic": "...agents.traffic.traffic:Traffic",
    "response": "...agents.response.response:Response",
}
"""In the order in which the processes of one step advance; those of other packages follow by name."""


def _others() -> dict[str, EntryPoint]:
    return {name: point for name, point in extensions(ENTRY_POINTS).items() if name not in _BUILT_IN}


def sections() -> list[str]:
    """Return the scenario sections of all processes, in the order in which they advance."""
    return [*_BUILT_IN, *_others()]


def process_class(section: str) -> type[Process]:
    """Return the class of the process that a section configures.

    Raises:
        KeyError: if no process has this section.
        EntryPointError: if an entry point names something that is no process.
    """
    if section not in _BUILT_IN:
        return load_extension(ENTRY_POINTS, section, Process)
    module, _, name = _BUILT_IN[section].partition(":")
    found: type[Process] = getattr(import_module(module, __package__), name)
    return found
