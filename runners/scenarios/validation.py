"""Validate the document of a scenario: every section by itself, and what spans several of them."""

import json
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ...agents.hospitals import HospitalSettings
from ...agents.policies import PolicySettings
from ..calibrate.settings import CalibrateSettings
from ..insight.settings import OptimiseSettings
from ..points.settings import SweepSettings
from .documents import KeyPath, Node, Problem, dotted_key, json_ready, leaves, suggestion
from .policy_checks import clock_problems, contradictions, measure_problems, trigger_problems
from .problems import problems_of
from .processes import process_class, sections
from .scenario_files import with_contents
from .sections import (
    CELL_TABLE,
    HOSPITAL_TABLE,
    SERIES_TABLES,
    CitySettings,
    ClockSettings,
    DesignSettings,
    OutputSettings,
)
from .street_designs import SECTION as DESIGN
from .street_designs import design_problems, designed

OPTIONAL: dict[str, type[BaseModel]] = {
    "hospitals": HospitalSettings,
    "calibrate": CalibrateSettings,
    "optimise": OptimiseSettings,
}
"""Sections beside processes that a scenario may have or not; each is a field of Scenario, None where it is not written."""
BASE_KEYS = ("name", "seed", "extends", "city", DESIGN, "clock", *OPTIONAL, "policy", "sweep", "output")
_Model = TypeVar("_Model", bound=BaseModel)


def validated(document: Node, files: Mapping[str, Any]) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Validate all but the sweep's values.

    Args:
        document: the document, its paths absolute.
        files: contents by path of files that are not read again.

    Returns:
        The fields of the :class:`.scenario.Scenario` by name, None if anything is wrong, and what is wrong.
    """
    not_finite = [
        Problem(node.where, dotted_key(document, path), f"must be a finite number (given {node.value})")
        for path, node in leaves(document)
        if isinstance(node.value, float) and not isfinite(node.value)
    ]
    problems = _unknown_sections(document)
    name = _name(document, problems)
    seed = seed_of(document, problems)
    city = _section(CitySettings, document, ("city",), problems, required=True)
    clock = _section(ClockSettings, document, ("clock",), problems)
    sweep = _section(SweepSettings, document, ("sweep",), problems)
    output = _section(OutputSettings, document, ("output",), problems)
    optional: dict[str, Any] = {
        name: None if document.get(name) is None else _section(model, document, (name,), problems)
        for name, model in OPTIONAL.items()
    }
    processes: dict[str, Any] = {}
    for section in sections():
        if document.get(section) is not None:
            opened = with_contents(document, section, files)
            processes[section] = _section(process_class(section).Settings, opened, (section,), problems)
    if not processes:
        message = f"nothing happens in it; add a section of a process: {', '.join(f'[{s}]' for s in sections())}"
        problems.append(Problem(document.where, "", message))
    policies = _named(PolicySettings, document, "policy", problems)
    designs = _named(DesignSettings, document, DESIGN, problems)
    problems += design_problems(document, designs, files)
    problems += _cross_check(document, city=city, clock=clock, processes=processes, policies=policies, output=output)
    told = {(problem.where, problem.key) for problem in not_finite}
    problems = not_finite + [problem for problem in problems if (problem.where, problem.key) not in told]
    if problems or city is None or clock is None or sweep is None or output is None:
        return None, problems
    stated = tuple(policy for policy in policies if policy)
    drawn = tuple(design for design in designs if design)
    city = designed(city, drawn, files)
    fields = {"name": name, "seed": seed, "city": city, "clock": clock, "processes": processes, "policies": stated}
    fields |= {"sweep": sweep, "output": output, "document": document, **optional, "designs": drawn, "files": files}
    return fields, []


def _unknown_sections(document: Node) -> list[Problem]:
    allowed = [*BASE_KEYS, *sections()]
    return [
        Problem(node.where, name, f"unknown key or section; allowed: {', '.join(allowed)}{suggestion(name, allowed)}")
        for name, node in document.value.items()
        if name not in allowed
    ]


def _name(document: Node, problems: list[Problem]) -> str:
    node = document.get("name")
    if node is None:
        problems.append(Problem(document.where, "name", 'is missing; write name = "…" at the top of the file'))
        return ""
    if not isinstance(node.value, str) or not node.value.strip() or len(node.value) > 100:
        problems.append(Problem(node.where, "name", f"must be a text of 1 to 100 characters (given {node.plain!r})"))
        return ""
    if not node.value.isprintable():
        problems.append(Problem(node.where, "name", f"must have no control characters (given {node.value!r})"))
    return node.value


def seed_of(document: Node, problems: list[Problem]) -> int:
    """Return the seed of the first replicate; 1 where none is written, or a wrong one, which is added to the problems."""
    node = document.get("seed")
    if node is None:
        return 1
    if not isinstance(node.value, int) or isinstance(node.value, bool) or not 0 <= node.value < 2**62:
        message = f"must be a whole number from 0 to 2^62 − 1 (given {node.plain!r})"
        problems.append(Problem(node.where, "seed", message))
        return 1
    return node.value


def _section(
    model: type[_Model], document: Node, path: KeyPath, problems: list[Problem], *, required: bool = False
) -> _Model | None:
    node = document.nearest(path)
    if node is document:
        if required:
            problems.append(Problem(document.where, str(path[0]), f"section [{path[0]}] is missing"))
            return None
        node = Node({}, document.where, document.folder)
    try:
        return model.model_validate_json(json.dumps(json_ready(node.plain)))
    except ValidationError as error:
        problems += problems_of(error, model, document, path)
        return None


def _named(model: type[_Model], document: Node, section: str, problems: list[Problem]) -> list[_Model | None]:
    """Validate tables that have names, every policy or every design; None stands for one that is wrong."""
    node = document.get(section)
    if node is None:
        return []
    if not isinstance(node.value, list):
        what = "is one table" if isinstance(node.value, dict) else f"must be tables (given {node.plain!r})"
        problems.append(Problem(node.where, section, f"{what}; write [[{section}]] with two brackets, one for each"))
        return []
    found = [_section(model, document, (section, number), problems) for number in range(len(node.value))]
    first: dict[str, Node] = {}
    for entry in node.value:
        name = entry.get("name")
        if name is None or not isinstance(name.value, str):
            continue
        if not name.value.isprintable():
            message = f"must have no control characters (given {name.value!r})"
            problems.append(Problem(name.where, f"{section}.name", message))
        if name.value in first:
            line = first[name.value].where.line
            message = f"there is a {section} '{name.value}' already (line {line}); names must differ"
            problems.append(Problem(name.where, f"{section}.name", message))
        first.setdefault(name.value, name)
    return found


def _cross_check(
    document: Node,
    *,
    city: CitySettings | None,
    clock: ClockSettings | None,
    processes: Mapping[str, Any],
    policies: Iterable[PolicySettings | None],
    output: OutputSettings | None,
) -> list[Problem]:
    """Find what is wrong between sections that are each valid; None stands for one that is not."""
    problems = []
    if city is not None and city.people is not None:
        problems += people_problems(document, processes, city.people)
    for section, settings in processes.items():
        if clock is not None and settings is not None:
            misfits = process_class(section).clock_misfits(settings, clock.days, clock.day)
            for inner, message in misfits.items():
                path = (section, *inner)
                problems.append(Problem(document.nearest(path).where, dotted_key(document, path), message))
    limited = document.get("hospitals") is not None
    stated = list(policies)
    indicators = {name for section in processes for name in process_class(section).indicators}
    found = [*trigger_problems(stated, indicators, hospitals=limited), *measure_problems(stated, processes)]
    if clock is not None:
        found += [*clock_problems(stated, clock), *contradictions(stated, clock)]
    problems += at_policies(document, found)
    if output is not None:
        tables = [table for section in processes for table in process_class(section).table_names]
        tables += [CELL_TABLE, HOSPITAL_TABLE] if limited else [CELL_TABLE]
        for number, table in enumerate(output.tables):
            if table not in tables:
                node = document.nearest(("output", "tables", number))
                always = " and ".join(SERIES_TABLES)
                allowed = f"allowed: {', '.join(tables) or 'none'} ({always} are always written)"
                message = f"no such table (given '{table}'); {allowed}{suggestion(table, tables)}"
                problems.append(Problem(node.where, "output.tables", message))
    return problems


def at_policies(document: Node, found: Iterable[tuple[int, KeyPath, str]]) -> list[Problem]:
    """Return problems of policies (number, key in it, message) with the place where each stands."""
    problems = []
    for number, key, message in found:
        path = ("policy", number, *key)
        problems.append(Problem(document.nearest(path).where, dotted_key(document, path), message))
    return problems


def people_problems(document: Node, processes: Mapping[str, Any], people: int) -> list[Problem]:
    """Return what in the settings of processes, None for one that is wrong, does not fit a number of people."""
    problems = []
    for section, settings in processes.items():
        misfits = {} if settings is None else process_class(section).misfits(settings, people)
        for name, message in misfits.items():
            problems.append(Problem(document.nearest((section, name)).where, f"{section}.{name}", message))
    return problems


def readable_sweep(document: Node, problems: Iterable[Problem]) -> SweepSettings | None:
    """Return the section ``[sweep]`` without the keys that are wrong, or None if it is no table."""
    section = document.get("sweep")
    if section is None or not isinstance(section.value, dict):
        return None
    for problem in problems:
        name, _, inner = problem.key.partition(".")
        key, _, name_in_it = inner.partition(".")
        if name != "sweep" or key not in section.value:
            continue
        if key == "parameters" and name_in_it:  # one of them
            axes = section.value[key]
            wrong = [axis for axis in axes.value if f"{name_in_it}.".startswith(f"{axis}.")]
            section = section.replaced((key,), axes.without(max(wrong, key=len))) if wrong else section
        else:
            section = section.without(key)
    return _section(SweepSettings, Node({"sweep": section}, document.where, document.folder), ("sweep",), [])
