"""The scenario: a validated file that says what happens in which city, under which policies, and what is swept."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from ...agents.hospitals import HospitalSettings
from ...agents.policies import PolicySettings
from ..calibrate.settings import CalibrateSettings
from ..insight.settings import OptimiseSettings
from ..points.checks import Checked, checked_sweep, with_table
from ..points.layout import Layout, first_of, kinds_of
from ..points.settings import SweepSettings
from ..points.values import point_document, with_values
from ..storage.stage import MANIFEST
from .cities import absent, missing_files, redrawn
from .documents import (
    Node,
    Problem,
    ScenarioError,
    Where,
    dotted_key,
    extended,
    find,
    json_ready,
    parse_text,
    read_file,
    wrap,
)
from .policy_checks import zone_problems
from .processes import process_class
from .scenario_files import absolute_paths, entries
from .sections import CitySettings, ClockSettings, DesignedCity, DesignSettings, OutputSettings
from .street_designs import SECTION as DESIGN
from .street_designs import built_designs
from .validation import at_policies, people_problems, readable_sweep, seed_of, validated

if TYPE_CHECKING:
    from ...environment.city import City
    from ...environment.design import Design

__all__ = ["Scenario", "ScenarioError"]


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
        layout: points of the sweep as a table.
        tried: the scenario at points that were looked at when it was read, by number.
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
    layout: Layout = field(default_factory=lambda: Layout({}))
    tried: Mapping[int, "Scenario"] = field(default_factory=dict, repr=False)

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
        from ..engine.manifest import ManifestError, read_manifest

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
            files: what :func:`.scenario_files.files_of` returned; these files are not read again.

        Raises:
            ScenarioError: as :meth:`load`.
        """
        return cls._from_document(wrap(dict(data), Where("scenario"), Path.cwd()), files or {})

    @classmethod
    def _from_document(cls, document: Node, files: Mapping[str, Any] | None = None) -> "Scenario":
        files = files or {}
        document, unreadable = with_table(document)
        document = absolute_paths(document)
        fields, problems = validated(document, files)
        sweep = readable_sweep(document, problems) if fields is None else fields["sweep"]
        problems += unreadable
        checked: Checked[dict[str, Any] | None] = Checked(Layout({}), {}, [])
        if sweep is not None and not unreadable:
            unswept = document.without("sweep")

            def variant_at(
                parameters: Mapping[str, Any], where: Mapping[str, Where]
            ) -> tuple[dict[str, Any] | None, list[Problem]]:
                changed, wrong = with_values(unswept, parameters, where)
                found, problems = validated(absolute_paths(changed), files)
                return found, [*wrong, *problems]

            checked = checked_sweep(document, sweep, seed_of(document, []), variant_at)
            problems += checked.problems
        if problems or fields is None:
            raise ScenarioError(problems)
        tried = {number: cls(**found) for number, found in checked.variants.items() if found is not None}
        return cls(**fields, layout=checked.layout, tried=tried)

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
        problems = people_problems(self.document, self.processes, len(city.people))
        problems += at_policies(self.document, zone_problems(self.policies, city, self.clock))
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
                    for whole in entries(variant.document, (section,), keys):
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
        from ...environment.city import City, CityError
        from ...environment.design import DesignError

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
        document, problems = with_values(self.document, parameters, where)
        if problems:
            raise ScenarioError(problems)
        return self._from_document(document, self.files)

    def points(self) -> list[dict[str, Any]]:
        """Return the parameters of every point of the sweep; one point without parameters if nothing is swept."""
        return list(self.layout.points)

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
        chosen = {*self.layout.representatives, *first_of(self.kinds()).values()}
        return {
            number: self.tried.get(number) or self.at_point(self.layout.points[number]) for number in sorted(chosen)
        }

    def at_point(self, parameters: Mapping[str, Any]) -> "Scenario":
        """Return the scenario of one point: its parameters set, nothing swept."""
        return self._from_document(point_document(self.document, parameters), self.files)


def _past_problems(scenario: Scenario) -> list[Problem]:
    """Return why a scenario cannot go on from the saved past that it names."""
    if scenario.clock.from_ is None:
        return []
    from ..checkpoints.branch import problems_of

    return problems_of(scenario)
