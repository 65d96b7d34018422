"""Files that processes read, opened before any run, so that what is wrong in them is told with file and line at once."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .documents import Problem, ScenarioError, dotted_key
from .processes import process_class
from .scenario import Scenario

if TYPE_CHECKING:
    from ..environment.city import City


def check_contents(points: "Iterable[tuple[Scenario, City | None]]") -> None:
    """Open every file that the processes of scenarios name, each set of them once in a city.

    Args:
        points: the scenario at every point of its sweep with its city; None if that has yet to be built.

    Raises:
        ScenarioError: with all that is wrong, each with the line of the scenario that names the file, and the line there.
    """
    problems: dict[Problem, None] = {}
    seen = set()
    for variant, city in points:
        clock = variant.clock
        for section, settings in variant.processes.items():
            process = process_class(section)
            named = settings.model_dump_json(include={keys[0] for keys in process.path_keys})
            case = (section, named, clock.start, clock.days, id(city))
            if case in seen:
                continue
            seen.add(case)
            for inner, message in process.file_problems(settings, clock.start, clock.days, city).items():
                path = (section, *inner)
                where, key = variant.document.nearest(path).where, dotted_key(variant.document, path)
                problems |= {Problem(where, key, line): None for line in message.splitlines()}
    if problems:
        raise ScenarioError(list(problems))
