"""Reader of the ambulance services of JEMSS: streets, stations, hospitals, calls and rules from the folder of a city.

    service = read_jemss("auckland", "EPSG:2193")
    centre = service.centre([*range(14), 6, 3], redispatch=service.redispatch["redispatch_low_to_high"])
    centre.add(service.tasks(days=250, seed=1))
    centre.run(250 * 86_400)
    centre.table()

What JEMSS does otherwise: calls lie anywhere in a cell of its raster, here in the middle; stations and hospitals have a way
off the roads to their node, here they stand at it (in Auckland at most 264 m).

S. Ridler, A. Mason, A. Raith (2022), A simulation and optimisation package for emergency medical services, European Journal
of Operational Research 298 (3); https://github.com/uoa-ems-research/JEMSS.jl.
"""

import ast
import dataclasses
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ...environment.network.jemss import DAY, JemssRoads, Sections, numbers, read_roads, read_sections
from ...environment.network.network import NetworkError
from ...environment.roads import Access
from .board import Roads
from .demand import poisson_tasks, raster_points
from .dispatch import Centre, Departments, Fleet, make_rules
from .kinds import KindSettings
from .scenes import CallError, Scene
from .tasks import Tasks
from .travel import Travel

_PRIORITIES = ("highPriority", "medPriority", "lowPriority")
_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


@dataclass(frozen=True)
class JemssService:
    """An ambulance service.

    Attributes:
        roads: streets, seconds with lights and without.
        stations, hospitals: their names.
        place: (stations + hospitals,) node of each.
        aside: (stations + hospitals,) m between each and its node.
        points, weights: where calls come from, and how often in proportion, (points,).
        speed: m/s off the roads, with lights and without.
        per_day: calls a day.
        kind: what a call is like; its priorities have the shares of JEMSS's high, medium and low.
        lights: how many of the priorities lights are used for.
        targets: seconds from the call within which somebody is to be there, by priority.
        redispatch: by name of the file, pairs of priorities from which and to which a unit may be called away.
    """

    roads: JemssRoads
    stations: tuple[str, ...]
    hospitals: tuple[str, ...]
    place: NDArray[np.int32]
    aside: NDArray[np.float64]
    points: Scene
    weights: NDArray[np.float64]
    speed: tuple[float, float]
    per_day: float
    kind: KindSettings
    lights: int
    targets: tuple[float, ...]
    redispatch: dict[str, tuple[tuple[int, int], ...]]

    @cached_property
    def travel(self) -> Travel:
        """The graph of the streets."""
        return Travel(self.roads.network, self.place)

    @cached_property
    def free_roads(self) -> Roads:
        """Travel at the times of the file."""
        return self.travel.roads(self.roads.seconds)

    def tasks(self, days: float, *, seed: int, per_day: float | None = None) -> Tasks:
        """Return the calls of a number of days, all draws from the seed; ``per_day`` in place of those of the file."""
        rate = (self.per_day if per_day is None else per_day) / 24
        tasks = poisson_tasks(rate, days, self.points, self.weights, {"call": self.kind}, seed=seed)
        slower = np.where(tasks.priority < self.lights, 1.0, self.speed[0] / self.speed[1])
        return dataclasses.replace(tasks, access=(tasks.access * slower).astype(np.float32))

    def centre(self, station: Sequence[int], *, redispatch: Sequence[tuple[int, int]] = ()) -> Centre:
        """Return a dispatch centre as JEMSS has it: the nearest unit comes, the most urgent call is first, then the oldest.

        Args:
            station: station number of each unit.
            redispatch: as in :attr:`redispatch`.
        """
        rules = make_rules(
            stations=len(self.stations), units=len(station), scene_lights=self.lights, redispatch=redispatch,
            target=self.targets,
        )  # fmt: skip
        fleet = Fleet.alike(np.asarray(station), normal=1)
        return Centre(self.free_roads, fleet, Departments.unlimited(len(self.hospitals)), rules)


def read_jemss(folder: str | Path, crs: str) -> JemssService:
    """Read the service of a city.

    Args:
        folder: folder in which, at any depth, are the tables of ``nodes``, ``arcs``, ``stations``, ``hospitals``,
            ``travel``, ``priorities`` and ``redispatch_…``, ``gen_config.xml`` (the first of several) and a GeoTIFF of
            densities.
        crs: projected CRS in metres.

    Raises:
        NetworkError, CallError: if a file is missing, cannot be read, or says what is not understood here.
    """
    from pyproj import Transformer
    from scipy.spatial import cKDTree

    top = Path(folder)
    roads = read_roads(_file(top, "nodes.csv*"), _file(top, "arcs.csv*"), crs)
    if len(roads.seconds) != 2:
        raise NetworkError(f"{top}: {len(roads.seconds)} modes of travel; one with lights and one without are wanted")
    network = roads.network
    reached = np.flatnonzero(network.main_part(Access.CAR) & roads.off_road)
    if not len(reached):
        raise NetworkError(f"{top}: at no node may one leave the roads (offRoadAccess); there must be some")
    tree = cKDTree(np.column_stack([network.x[reached], network.y[reached]]))
    change = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    place: list[NDArray[np.int32]] = []
    aside: list[NDArray[np.float64]] = []
    names: list[tuple[str, ...]] = []
    for section in ("stations", "hospitals"):
        path = _file(top, f"{section}*.csv")
        table = read_sections(path)
        x, y = change.transform(numbers(table, section, "x", path), numbers(table, section, "y", path))
        away, nearest = tree.query(np.column_stack([x, y]))
        place.append(reached[nearest].astype(np.int32))
        aside.append(away)
        columns = table[section]
        names.append(tuple(columns.get("NAME", columns.get("name", columns["x"]))))
    speed, lights = _modes(_file(top, "travel*.csv"))
    points, weights = raster_points(_file(top, "*.tif"), network, nodes=reached, speed=speed[0])
    per_day, kind = _calls(_file(top, "gen_config.xml"))
    path = _file(top, "priorities*.csv")
    targets = numbers(read_sections(path), "priorities", "targetResponseTime", path) * DAY
    redispatch = {file.stem: _pairs(read_sections(file), file) for file in sorted(top.rglob("redispatch*.csv"))}
    return JemssService(
        roads, names[0], names[1], np.concatenate(place), np.concatenate(aside), points, weights, speed, per_day, kind,
        lights, tuple(targets.tolist()), redispatch,
    )  # fmt: skip


def _file(folder: Path, pattern: str) -> Path:
    found = sorted(folder.rglob(pattern))
    if not found:
        raise NetworkError(f"{folder}: no file '{pattern}' in it or below; the folder of a city of JEMSS is wanted")
    return found[0]


def _words(table: Sections, section: str, column: str, path: Path) -> list[str]:
    """Return a column of words."""
    if column not in table.get(section, {}):
        raise NetworkError(f"{path}: no column '{column}' in a section '{section}'; a table of JEMSS has it")
    return table[section][column]


def _modes(path: Path) -> tuple[tuple[float, float], int]:
    """Return speeds off the roads (m/s) with lights and without, and how many priorities lights are used for."""
    table = read_sections(path)
    off_road = numbers(table, "travelModes", "offRoadSpeed", path) * 1000 / DAY
    index = numbers(table, "travelSets", "travelModeIndex", path)
    mode = dict(zip(_words(table, "travelSets", "priority", path), index.tolist(), strict=True))
    used = [mode.get(priority) for priority in _PRIORITIES]
    lights = used.count(1)
    if len(off_road) != 2 or used != [1] * lights + [2] * (len(used) - lights):
        raise NetworkError(
            f"{path}: priorities {', '.join(_PRIORITIES)} travel in modes {used} of {len(off_road)}; mode 1 for the most "
            "urgent and mode 2 for the others is what can be read"
        )
    return (float(off_road[0]), float(off_road[1])), lights


def _pairs(table: Sections, path: Path) -> tuple[tuple[int, int], ...]:
    """Return the pairs of priorities that are allowed."""
    if not numbers(table, "miscData", "allowRedispatch", path).any():
        return ()
    sources, goals = (_words(table, "redispatchConditions", f"{end}CallPriority", path) for end in ("from", "to"))
    allowed = numbers(table, "redispatchConditions", "allowRedispatch", path) > 0
    found = []
    for source, goal, yes in zip(sources, goals, allowed, strict=True):
        if source not in _PRIORITIES or goal not in _PRIORITIES:
            raise NetworkError(f"{path}: priorities {source}, {goal}; there are {', '.join(_PRIORITIES)}")
        if yes:
            found.append((_PRIORITIES.index(source), _PRIORITIES.index(goal)))
    return tuple(found)


def _calls(path: Path) -> tuple[float, KindSettings]:
    """Return calls a day and what a call is like."""
    try:
        told = {element.tag: (element.text or "").strip() for element in ElementTree.parse(path).iter()}
    except ElementTree.ParseError as error:
        raise CallError(f"{path}: cannot be read as XML: {error}") from None
    names = ("interarrivalTime", "priority", "dispatchDelay", "onSceneDuration", "transport", "handoverDuration")
    missing = [name for name in names if name not in told]
    if missing:
        raise CallError(f"{path}: no {', '.join(missing)}; callDistributions must have {', '.join(names)}")
    laws = {name: _law(told[name], name, path) for name in names}
    between, shares, transport = laws["interarrivalTime"], laws["priority"], laws["transport"]
    if (between[0], shares[0], transport[0]) != ("Exponential", "Categorical", "Bernoulli"):
        raise CallError(
            f"{path}: interarrivalTime, priority and transport are {between[0]}, {shares[0]} and {transport[0]}; "
            "Exponential, Categorical and Bernoulli can be read"
        )
    kind = {
        "units": {"ambulance": {"turnout": "0 s", "clear": "0 s", "scene": _time(laws["onSceneDuration"], path)}},
        "priority": shares[1],
        "call_taking": _time(laws["dispatchDelay"], path),
        "transported": transport[1][0],
        "admitted": 0.0,
        "handover": _time(laws["handoverDuration"], path),
    }
    try:
        return 1 / between[1][0], KindSettings.model_validate(kind)
    except (ValidationError, ZeroDivisionError) as error:
        raise CallError(f"{path}: callDistributions do not make calls: {error}") from None


def _law(text: str, name: str, path: Path) -> tuple[str, list[float]]:
    """Return the name of a distribution and its parameters."""
    match = re.fullmatch(r"(\w+)\(\[?(.+?)\]?\)", text)
    try:
        assert match is not None
        return match.group(1), [
            _number(ast.parse(part.strip(), mode="eval").body) for part in match.group(2).split(",")
        ]
    except (AssertionError, SyntaxError, ValueError, ZeroDivisionError):
        raise CallError(f"{path}: {name} is '{text}'; a law such as Exponential(12/60/24) is wanted") from None


def _number(tree: ast.expr) -> float:
    """Return the value of a sum, difference, product or ratio of numbers."""
    if isinstance(tree, ast.Constant) and isinstance(tree.value, int | float):
        return float(tree.value)
    if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATORS:
        return float(_OPERATORS[type(tree.op)](_number(tree.left), _number(tree.right)))
    raise ValueError


def _time(law: tuple[str, list[float]], path: Path) -> dict[str, object]:
    """Return the law of a time, whose parameters are days."""
    name, given = law
    if name == "Exponential":
        return {"law": "exponential", "mean": _seconds(given[0])}
    if name == "Weibull":
        return {"law": "weibull", "shape": given[0], "scale": _seconds(given[1])}
    if name == "Normal" and given[1] == 0:
        return {"law": "constant", "time": _seconds(given[0])}
    raise CallError(f"{path}: {name}{tuple(given)} is not read; Exponential, Weibull and Normal(…, 0) are")


def _seconds(days: float) -> str:
    return f"{days * DAY:.6f} s"
