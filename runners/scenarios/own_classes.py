"""Classes of a user's own in runs and sweeps: how workers find them, and what results keep of them.

A class that a program gives is known to workers by module and name, which they import; a script that runs as
``__main__`` is imported from its file. Classes that a scenario names by an entry point are found by that name. Of both
kinds results keep name and checksum of the code, so that a sweep is not gone on with by another.
"""

import ast
import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache, reduce
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from ..engine.manifest import PACKAGE
from .documents import suggestion
from .processes import process_class
from .scenario import Scenario

if TYPE_CHECKING:
    from ...agents.citizens import Citizen
    from ...agents.response.decisions import Dispatcher
    from ...agents.vehicles import Vehicle

KINDS = ("citizen_class", "vehicle_class", "dispatcher_class")
"""Arguments that take a class of one's own."""
SCRIPT = "citytwin_script"
"""Name under which workers import the file that is the ``__main__`` of the program."""

Record = dict[str, str]
"""Of a class: ``class`` (``module:name``), ``code`` (checksum of its file), and ``file``, if it is that of a script."""


class Classes(TypedDict, total=False):
    """Classes of a model's agents, each derived from that of citytwin; those left out are citytwin's own."""

    citizen_class: "type[Citizen]"
    vehicle_class: "type[Vehicle]"
    dispatcher_class: "type[Dispatcher]"


def _base(kind: str) -> type:
    """Return the class of citytwin from which one of a kind is derived."""
    # Imported late: the agents bring Mesa, half a second that a sweep without such classes need not spend.
    from ...agents.citizens import Citizen
    from ...agents.response.decisions import Dispatcher
    from ...agents.vehicles import Vehicle

    return {"citizen_class": Citizen, "vehicle_class": Vehicle, "dispatcher_class": Dispatcher}[kind]


def check_classes(classes: Mapping[str, Any]) -> None:
    """Refuse what is no class of its kind, and kinds that there are not.

    Raises:
        TypeError: naming the argument and what is allowed.
    """
    for kind, given in classes.items():
        if kind not in KINDS:
            raise TypeError(f"no such argument '{kind}'; classes are {', '.join(KINDS)}{suggestion(kind, KINDS)}")
        base = _base(kind)
        if not (isinstance(given, type) and issubclass(given, base)):
            raise TypeError(f"{kind}: {base.__name__} or a class derived from it is wanted, not {given!r}")


def check_dispatcher(classes: Mapping[str, Any], scenario: Scenario) -> None:
    """Refuse a dispatcher where there is nothing for it to decide, or the scenario names another.

    Raises:
        ValueError: naming the remedy.
    """
    given = classes.get("dispatcher_class")
    if given is None:
        return
    from ...agents.response.decisions import Dispatcher, chosen
    from ...agents.response.settings import ResponseSettings

    if given is Dispatcher:
        return
    settings = scenario.processes.get("response")
    if not isinstance(settings, ResponseSettings):
        raise ValueError(
            f"dispatcher_class: {given.__name__} would decide nothing, as the scenario has no section [response]; add it"
        )
    chosen(settings.dispatch.class_, given)


# ---------------------------------------------------------------------- what is kept


def records_of(classes: Mapping[str, Any], scenarios: Iterable[Scenario]) -> dict[str, Record]:
    """Return what results keep of classes that are given, and of those that scenarios name by entry points.

    Args:
        classes: by argument.
        scenarios: the scenario at every point.
    """
    found = {kind: given for kind, given in classes.items() if given is not _base(kind)}
    for scenario in scenarios:
        for section, settings in scenario.processes.items():
            process = process_class(section)
            found[section] = process
            for key, named in process.named_classes(settings).items():
                found[f"{section}.{key}"] = named
    return {
        name: {"class": f"{one.__module__}:{one.__qualname__}", "code": _code(one)}
        for name, one in found.items()
        if one.__module__.partition(".")[0] != PACKAGE
    }


def _code(one: type) -> str:
    """Return a checksum of the file in which a class is written, empty if there is none."""
    file = getattr(sys.modules.get(one.__module__), "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16] if file and Path(file).is_file() else ""


def for_workers(classes: Mapping[str, Any], records: Mapping[str, Record]) -> dict[str, Record]:
    """Return the records with what workers need to import the classes that are given.

    Raises:
        TypeError: if they could not be imported, with the remedy.
    """
    return {
        name: record | _import_of(name, classes[name]) if name in classes else record
        for name, record in records.items()
    }


def _import_of(kind: str, given: type) -> Record:
    """Return where a worker finds a class."""
    name, module = given.__qualname__, given.__module__
    called = f"{kind}: {name}"
    remedy = "worker processes import it, so it must stand in a module of its own or at the top of a script"
    if "<locals>" in name:
        raise TypeError(f"{called} is made inside a function; {remedy}")
    if _found(sys.modules.get(module), name) is not given:
        raise TypeError(f"{called} is not what the module {module} has under that name; {remedy}")
    if module != "__main__":
        return {}
    main = sys.modules["__main__"]
    if main.__spec__ is not None:  # python -m module
        return {"class": f"{main.__spec__.name}:{name}"}
    file = getattr(main, "__file__", None)
    if file is None or not Path(file).is_file():
        raise TypeError(f"{called} lives in an interactive session; {remedy}: write it into a file and import it")
    if not _guarded(Path(file)):
        raise TypeError(
            f"{called} stands in {file}, which workers import to find it; write what the script does under "
            '`if __name__ == "__main__":`, so that only its definitions are made again'
        )
    return {"class": f"{SCRIPT}:{name}", "file": str(Path(file).resolve())}


def _found(module: Any, name: str) -> Any:
    return reduce(lambda inside, part: getattr(inside, part, None), name.split("."), module)


def _guarded(file: Path) -> bool:
    """Return whether a script asks whether it is the main program."""
    tops = ast.parse(file.read_bytes()).body
    names = [
        node.id for top in tops if isinstance(top, ast.If) for node in ast.walk(top.test) if isinstance(node, ast.Name)
    ]
    return "__name__" in names


# ---------------------------------------------------------------------- in a worker


def imported(records: Mapping[str, Record]) -> Classes:
    """Return the classes that were given, imported.

    Args:
        records: as :func:`for_workers` returned them.

    Raises:
        ImportError: naming the class that cannot be.
    """
    return _imported(json.dumps(records, sort_keys=True)).copy()


@lru_cache(maxsize=1)
def _imported(text: str) -> Classes:
    found = {kind: _class(kind, record) for kind, record in json.loads(text).items() if kind in KINDS}
    check_classes(found)
    return found  # type: ignore[return-value]  # checked


def _class(kind: str, record: Record) -> Any:
    module, _, name = record["class"].partition(":")
    try:
        found = _found(_script(record["file"]) if "file" in record else import_module(module), name)
    except Exception as error:  # whatever a foreign module raises
        raise ImportError(
            f"{kind}: {record.get('file', module)} cannot be imported in a worker: {type(error).__name__}: {error}"
        ) from error
    if found is None:
        raise ImportError(f"{kind}: {record.get('file', module)} has no {name} when a worker imports it")
    if record["code"] and isinstance(found, type) and _code(found) != record["code"]:
        raise ImportError(
            f"{kind}: {record.get('file', module)} is not what it was when the sweep was begun; put it back or begin anew"
        )
    return found


def _script(file: str) -> Any:
    """Return the module that a script is when it is imported."""
    spec = importlib.util.spec_from_file_location(SCRIPT, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[SCRIPT] = module  # as dataclasses look for the module of a class
    spec.loader.exec_module(module)
    return module
