"""Files that processes read, and cities in which they run, looked at before any run, so that all mistakes are told."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .documents import Problem, ScenarioError, dotted_key, steps_of
from .processes import process_class
from .scenario import Scenario

if TYPE_CHECKING:
    from ...environment.city import City


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


def check_in_cities(points: "Iterable[tuple[Scenario, City | None]]") -> None:
    """Ask the processes of scenarios whether they could run in their cities, each setting of them once in a city.

    A sweep does not ask: there it costs the runs of the points where it is so, and no others.

    Args:
        points: as of :func:`check_contents`.

    Raises:
        ScenarioError: with all that is wrong, each with the nearest line of the scenario.
    """
    problems: dict[Problem, None] = {}
    seen = set()
    for variant, city in points:
        for section, settings in variant.processes.items():
            case = (section, settings.model_dump_json(), id(city))
            if city is None or case in seen:
                continue
            seen.add(case)
            for message in process_class(section).city_problems(settings, city):
                key, _, rest = message.partition(": ")
                if not key.startswith(f"{section}."):
                    key, rest = section, message
                problems |= {Problem(variant.document.nearest(steps_of(key)).where, key, rest): None}
    if problems:
        raise ScenarioError(list(problems))
