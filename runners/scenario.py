"""The scenario: a validated file that says what happens in which city, under which policies, and what is swept."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from ..agents.hospitals import HospitalSettings
from ..agents.policies import PolicySettings
from .calibrate.settings import CalibrateSettings
from .cities import absent, missing_files, redrawn
from .documents import (
    CITY_KINDS,
    KeyPath,
    Node,
    Problem,
    ScenarioError,
    Where,
    absolute,
    dotted_key,
    extended,
    find,
    json_ready,
    leaves,
    parse_text,
    read_file,
    resolve_key,
    suggestion,
    wrap,
)
from .insight.settings import OptimiseSettings
from .points.checks import sweep_problems, with_table
from .points.layout import Layout, first_of, kinds_of, layout, representatives
from .points.settings import SweepSettings
from .policy_checks import clock_problems, contradictions, measure_problems, trigger_problems, zone_problems
from .problems import problems_of
from .processes import process_class, sections
from .sections import (
    CitySettings,
    ClockSettings,
    DesignedCity,
    DesignSettings,
    OutputSettings,
)
from .stage import MANIFEST
from .street_designs import SECTION as DESIGN
from .street_designs import built_designs, content_of, design_problems, designed

if TYPE_CHECKING:
    from ..environment.city import City
    from ..environment.design import Design

__all__ = ["Scenario", "ScenarioError"]

OPTIONAL: dict[str, type[BaseModel]] = {
    "hospitals": HospitalSettings,
    "calibrate": CalibrateSettings,
    "optimise": OptimiseSettings,
}
"""Sections beside processes that a scenario may have or not; each is a field of Scenario, None where it is not written."""
BASE_KEYS = ("name", "seed", "extends", "city", DESIGN, "clock", *OPTIONAL, "policy", "sweep", "output")
SERIES_TABLES = ("summary", "series")
CELL_TABLE, HOSPITAL_TABLE = "cells", "hospital_series"

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class Scenario:
    """A validated scenario.

    Make one with :meth:`load` or :meth:`from_text`, not by hand.

    Attributes:
        name: its name.
        seed: seed of the first replicate; replicate r has ``seed + r`` at every point.
        city: where it plays, with the street designs that are built there.
        clock: when it plays.
        processes: settings of each process by section, in the order in which they advance.
        policies: rules the authority follows, in the order of the file.
        sweep: how many runs, and what changes between them.
        output: tables wanted beside summary and series.
        document: the merged document, with the place of every value.
        hospitals: how many beds there are; None if whoever needs a bed has one.
        calibrate: what is fitted to which observations; None if nothing is.
        optimise: which goals are sought by which parameters; None if none is.
        designs: street designs in the order of the file, those that are not built included.
        files: contents by path of files that are taken as they were once read, whatever lies there now.
    """

    name: str
    seed: int
    city: CitySettings
    clock: ClockSettings
    processes: dict[str, BaseModel]
    policies: tuple[PolicySettings, ...]
    sweep: SweepSettings
    output: OutputSettings
    document: Node
    hospitals: HospitalSettings | None = None
    calibrate: CalibrateSettings | None = None
    optimise: OptimiseSettings | None = None
    designs: tuple[DesignSettings, ...] = ()
    files: Mapping[str, Any] = field(default_factory=dict)

    # ------------------------------------------------------------------ making

    @classmethod
    def load(cls, path: str | Path) -> "Scenario":
        """Read a scenario file, a shipped scenario by its bare name (``"quickstart"``), or that of results.

        Args:
            path: file or name; of ``sweep.json`` in results the scenario that was run, its files as they were then.

        Raises:
            ScenarioError: with every problem of the file, each with line, key and what is allowed.
        """
        file = find(path)
        if file.name == MANIFEST:
            return cls._of_results(file)
        label = str(path) if Path(path).exists() else file.name
        return cls._from_document(extended(read_file(file, label), file))

    @classmethod
    def _of_results(cls, file: Path) -> "Scenario":
        from .manifest import ManifestError, read_manifest

        try:
            info = read_manifest(file.parent)
        except ManifestError as error:
            raise ScenarioError([Problem(Where(str(file)), "", str(error))]) from None
        scenario, context = info.get("scenario"), info.get("context")
        if not isinstance(scenario, dict) or not isinstance(context, dict):
            raise ScenarioError([Problem(Where(str(file)), "scenario", "holds no scenario that can be run again")])
        return cls.from_dict(scenario, context.get("files"))

    @classmethod
    def from_text(cls, text: str, *, label: str = "scenario", folder: str | Path = ".") -> "Scenario":
        """Read a scenario from TOML text.

        Args:
            text: the TOML.
            label: what error messages call it.
            folder: where its relative paths start.

        Raises:
            ScenarioError: as :meth:`load`.
        """
        return cls._from_document(extended(parse_text(text, label, Path(folder).resolve()), None))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], files: Mapping[str, Any] | None = None) -> "Scenario":
        """Make a scenario from what :meth:`to_dict` returned.

        Args:
            data: the document.
            files: what :func:`files_of` returned; these files are not read again.

        Raises:
            ScenarioError: as :meth:`load`.
        """
        return cls._from_document(wrap(dict(data), Where("scenario"), Path.cwd()), files or {})

    @classmethod
    def _from_document(cls, document: Node, files: Mapping[str, Any] | None = None) -> "Scenario":
        files = files or {}
        document, unreadable = with_table(document)
        document = _absolute_paths(document)
        scenario, problems = _read(document, files)
        sweep = _readable_sweep(document, problems) if scenario is None else scenario.sweep
        problems += unreadable
        if sweep is not None and not unreadable:
            unswept = document.without("sweep")

            def problems_at(parameters: Mapping[str, Any], where: Mapping[str, Where]) -> list[Problem]:
                changed, wrong = _set(unswept, parameters, where)
                return [*wrong, *_read(changed, files)[1]]

            seed = _seed(document, [])
            problems += sweep_problems(document, sweep, seed, problems_at)
        if problems or scenario is None:
            raise ScenarioError(problems)
        return scenario

    def to_dict(self) -> dict[str, Any]:
        """Return the merged document as JSON can hold it: dates as ISO text, paths absolute."""
        data = json_ready(self.document.plain)
        assert isinstance(data, dict)
        return data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scenario) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True))

    def built_designs(self) -> list["Design"]:
        """Return the street designs that are built, in the order in which they are applied."""
        return built_designs(self.city)

    def check_city(self, city: "City") -> None:
        """Make sure that the scenario fits a city: its number of people and its zones.

        Raises:
            ScenarioError: if it does not.
        """
        problems = _people_problems(self.document, self.processes, len(city.people))
        problems += _at_policies(self.document, zone_problems(self.policies, city, self.clock))
        if problems:
            raise ScenarioError(problems)

    def check_files(self) -> None:
        """Make sure, without building anything, that the files of city and processes are there, at every point of the sweep.

        Raises:
            ScenarioError: if one is missing, with the line that names it.
        """
        problems: dict[Problem, None] = {}
        for variant in self.variants.values():
            missing = {("city", *path): message for path, message in missing_files(variant.city).items()}
            for section in variant.processes:
                for keys in process_class(section).path_keys:
                    for whole in _entries(variant.document, (section,), keys):
                        file = variant.document.nearest(whole).value
                        if not Path(file).is_file():
                            missing[whole] = absent(file)
            problems |= dict.fromkeys(_past_problems(variant))
            for whole, message in missing.items():
                where = variant.document.nearest(whole).where
                problems[Problem(where, dotted_key(variant.document, whole), message)] = None
        if problems:
            raise ScenarioError(list(problems))

    def check_bundles(self) -> "list[tuple[Scenario, City | None]]":
        """Make sure that the scenario fits its city where that is a bundle, so that it need not be built, at every point.

        Returns:
            The scenario at every point and its city; None where that has yet to be built.

        Raises:
            ScenarioError: if it does not, or a bundle cannot be used.
        """
        from ..environment.city import City, CityError
        from ..environment.design import DesignError

        cities: dict[str, City] = {}
        found: list[tuple[Scenario, City | None]] = []
        problems = []
        for variant in self.variants.values():
            path = variant.city.bundle
            if path is None:
                found.append((variant, None))
                continue
            try:
                if path not in cities:
                    cities[path] = City.load(path)
                city = cities[path]
                if isinstance(variant.city, DesignedCity):
                    city = redrawn(city, variant.city)
                found.append((variant, city))
                variant.check_city(city)
            except ScenarioError as error:
                problems += error.problems
            except DesignError as error:
                where = variant.document.nearest((DESIGN,)).where
                problems += [Problem(where, DESIGN, line) for line in error.problems]
            except CityError as error:
                key = ("city", "bundle")
                problems.append(Problem(variant.document.nearest(key).where, ".".join(key), str(error)))
        if problems:
            raise ScenarioError(problems)
        return found

    # ------------------------------------------------------------------ varying

    def with_parameters(self, parameters: Mapping[str, Any], *, label: str = "parameters") -> "Scenario":
        """Return the scenario with other values.

        Args:
            parameters: value by dotted key, as ``{"epidemic.r0": 2.5, "policy.schools closed.compliance": 0.5}``.
            label: what error messages call the origin of the values.

        Raises:
            ScenarioError: if a key does not exist or a value is not allowed.
        """
        where = {name: Where(label) for name in parameters}
        document, problems = _set(self.document, parameters, where)
        if problems:
            raise ScenarioError(problems)
        return self._from_document(document, self.files)

    def points(self) -> list[dict[str, Any]]:
        """Return the parameters of every point of the sweep; one point without parameters if nothing is swept."""
        return list(self.layout.points)

    @cached_property
    def layout(self) -> Layout:
        """The points of the sweep as a table."""
        return layout(self.sweep, self.seed)

    @property
    def runs(self) -> int:
        """Number of runs of the sweep that are made whatever comes out: points times replicates."""
        return len(self.layout) * self.sweep.first_replicates

    def seeds(self) -> list[int]:
        """Return the seed of every replicate, the same at every point; none if each run has a seed of its own."""
        if self.sweep.seeds != "common":
            return []
        return [self.seed + replicate for replicate in range(self.sweep.first_replicates)]

    def kinds(self, *also: str) -> list[tuple[str, ...]]:
        """Return of every point what decides its city and files: equal where these are equal.

        Args:
            also: dotted keys that tell points apart as well.
        """
        ways: list[tuple[str, ...]] = [("city",), (DESIGN,), *(tuple(key.split(".")) for key in also)]
        for section in self.processes:
            process = process_class(section)
            ways += [(section, name) for name in process.file_keys]
            ways += [(section, *keys) for keys in process.path_keys]
        return kinds_of(self.layout, ways)

    @cached_property
    def variants(self) -> dict[int, "Scenario"]:
        """By number of the point, the scenario at points that stand for all, at all while they are few.

        Every city and every file of the sweep is that of one of them.
        """
        chosen = {*representatives(self.layout.columns), *first_of(self.kinds()).values()}
        return {number: self.at_point(self.layout.points[number]) for number in sorted(chosen)}

    def at_point(self, parameters: Mapping[str, Any]) -> "Scenario":
        """Return the scenario of one point: its parameters set, nothing swept."""
        return self._from_document(_point_document(self.document, parameters), self.files)


def _past_problems(scenario: Scenario) -> list[Problem]:
    """Return why a scenario cannot go on from the saved past that it names."""
    if scenario.clock.from_ is None:
        return []
    from .checkpoints.branch import problems_of

    return problems_of(scenario)


# ---------------------------------------------------------------------- reading a document


def _read(document: Node, files: Mapping[str, Any]) -> tuple[Scenario | None, list[Problem]]:
    """Validate all but the sweep's values; return the scenario if every section is valid."""
    not_finite = [
        Problem(node.where, dotted_key(document, path), f"must be a finite number (given {node.value})")
        for path, node in leaves(document)
        if isinstance(node.value, float) and not isfinite(node.value)
    ]
    problems = _unknown_sections(document)
    name = _name(document, problems)
    seed = _seed(document, problems)
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
            opened = _with_contents(document, section, files)
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
    optional |= {"designs": drawn, "files": files}
    return Scenario(name, seed, city, clock, processes, stated, sweep, output, document, **optional), []


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


def _seed(document: Node, problems: list[Problem]) -> int:
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


_PATHS: tuple[KeyPath, ...] = (
    ("city", "bundle"),
    ("city", "osm", "file"),
    ("city", "osm", "census"),
    ("city", "census", "file"),
    ("city", "sumo", "file"),
    ("city", "lines", "file"),
    ("clock", "from"),
)


def _absolute_paths(document: Node) -> Node:
    """Make the paths in a scenario independent of the folder it is read from."""
    paths = list(_PATHS)
    drawn = document.get(DESIGN)
    if drawn is not None and isinstance(drawn.value, list):
        paths += [(DESIGN, number, "file") for number in range(len(drawn.value))]
    for path in _entries(document, ("city",), ("sumo", "additional", "*")):
        document = document.replaced(path, _absolute_name(document.at(path)))
    for section in sections():
        if document.get(section) is not None:
            paths += [(section, name) for name in process_class(section).file_keys]
            for keys in process_class(section).path_keys:
                for path in _entries(document, (section,), keys):
                    document = document.replaced(path, _absolute_name(document.at(path)))
    for path in paths:
        node = document.at(path)
        if node is not None and isinstance(node.value, str):
            document = document.replaced(path, _made_absolute(node, path))
        axis_path = ("sweep", "parameters", dotted_key(document, path))
        axis = document.at(axis_path)
        if axis is not None and isinstance(axis.value, list):
            values = [_made_absolute(value, path) for value in axis.value]
            document = document.replaced(axis_path, Node(values, axis.where, axis.folder))
    return document


def _entries(document: Node, path: KeyPath, keys: tuple[str, ...]) -> list[KeyPath]:
    """Return the paths of all texts that keys lead to, ``"*"`` standing for every entry of a list."""
    if not keys:
        node = document.at(path)
        return [path] if node is not None and isinstance(node.value, str) else []
    if keys[0] != "*":
        return _entries(document, (*path, keys[0]), keys[1:])
    node = document.at(path)
    if node is None or not isinstance(node.value, list):
        return []
    return [found for number in range(len(node.value)) for found in _entries(document, (*path, number), keys[1:])]


def _absolute_name(node: Node | None) -> Node:
    assert node is not None
    return Node(str(absolute(node.folder, node.value)), node.where, node.folder)


def _made_absolute(node: Node, path: KeyPath) -> Node:
    value = node.value
    # Some keys take a shipped name or a file; a file has a suffix or a folder.
    if not isinstance(value, str) or not (path in _PATHS or path[0] == DESIGN or _names_file(value)):
        return node
    return Node(str(absolute(node.folder, value)), node.where, node.folder)


def _names_file(value: str) -> bool:
    return value.endswith(".toml") or "/" in value


def files_of(scenarios: Iterable[Scenario]) -> dict[str, Any]:
    """Return by path the content, JSON-able, of every file that the processes and designs of scenarios are made of.

    Raises:
        ScenarioError: if one cannot be read or is not TOML.
    """
    files: dict[str, Any] = {}
    for scenario in scenarios:
        for design in scenario.designs:
            if design.file is not None and design.file not in files:
                files[design.file] = content_of(design, scenario.files)
        for section in scenario.processes:
            for name in process_class(section).file_keys:
                node = scenario.document.at((section, name))
                if node is None or not isinstance(node.value, str) or not _names_file(node.value):
                    continue
                path = node.value
                if path not in files:
                    kept = scenario.files.get(path)
                    files[path] = json_ready(read_file(Path(path), path).plain) if kept is None else kept
    return files


def _with_contents(document: Node, section: str, files: Mapping[str, Any]) -> Node:
    """Put the contents of files in the place of their names."""
    for name in process_class(section).file_keys:
        node = document.at((section, name))
        if node is not None and isinstance(node.value, str) and node.value in files:
            document = document.replaced((section, name), wrap(files[node.value], node.where, node.folder))
    return document


# ---------------------------------------------------------------------- what spans sections


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
        problems += _people_problems(document, processes, city.people)
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
    problems += _at_policies(document, found)
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


def _at_policies(document: Node, found: Iterable[tuple[int, KeyPath, str]]) -> list[Problem]:
    problems = []
    for number, key, message in found:
        path = ("policy", number, *key)
        problems.append(Problem(document.nearest(path).where, dotted_key(document, path), message))
    return problems


def _people_problems(document: Node, processes: Mapping[str, Any], people: int) -> list[Problem]:
    problems = []
    for section, settings in processes.items():
        misfits = {} if settings is None else process_class(section).misfits(settings, people)
        for name, message in misfits.items():
            problems.append(Problem(document.nearest((section, name)).where, f"{section}.{name}", message))
    return problems


# ---------------------------------------------------------------------- sweeping


def _point_document(document: Node, parameters: Mapping[str, Any]) -> Node:
    axes = document.nearest(("sweep", "parameters"))
    nodes = {name: axes.get(name) for name in parameters}
    where = {name: node.where if node is not None else Where(name) for name, node in nodes.items()}
    changed, problems = _set(document, parameters, where)
    if problems:
        raise ScenarioError(problems)
    return changed.without("sweep")


def _set(document: Node, parameters: Mapping[str, Any], where: Mapping[str, Where]) -> tuple[Node, list[Problem]]:
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


def _readable_sweep(document: Node, problems: Iterable[Problem]) -> SweepSettings | None:
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
