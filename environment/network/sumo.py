"""Networks of SUMO (``.net.xml``): streets, lanes, turns and signal programs.

Element and attribute names are those of SUMO's own documentation ("Networks/SUMO Road Networks", "Simulation/Traffic
Lights", "Vehicle Type Parameter Defining"). Routes and bus stops: see :mod:`.sumo_routes`.
"""

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from ..roads import Access, RoadRank
from .network import Network, NetworkError, Signals, Turns
from .signals import SATURATION_FLOW

MAX_BYTES = 2_000_000_000
"""Largest file read, unpacked; the net of a metropolis is about 1 GB."""

_CHUNK = 1 << 20
_ACCESS = {"passenger": Access.CAR, "bus": Access.BUS, "bicycle": Access.BICYCLE, "pedestrian": Access.FOOT}
_EVERYBODY = Access.CAR | Access.BUS | Access.BICYCLE | Access.FOOT
_INSIDE = frozenset({"internal", "crossing", "walkingarea", "connector"})  # edges that are no streets
_GO = frozenset("gGoO")  # states of a signal at which one may drive; o and O: the signal is off


@dataclass
class Element:
    """An XML element as it begins or ends.

    Attributes:
        name: of the element.
        attributes: by name.
        line: in the file, from 1.
        begins: whether it begins here; else it ends.
        where: file and line, for messages.
    """

    name: str
    attributes: dict[str, str]
    line: int
    begins: bool
    path: Path

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self.path}:{self.line}"

    def text(self, key: str) -> str:
        """Return an attribute that must be there."""
        try:
            return self.attributes[key]
        except KeyError:
            raise NetworkError(f"{self.where}: <{self.name}> without '{key}'; is this the file SUMO wrote?") from None

    def number(self, key: str, default: float | None = None) -> float:
        """Return an attribute that must be a finite number."""
        text = self.text(key) if default is None else self.attributes.get(key, str(default))
        try:
            value = float(text)
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            raise NetworkError(f"{self.where}: {key}='{text}' of <{self.name}> must be a number")
        return value

    def whole(self, key: str) -> int:
        """Return an attribute that must be a whole number from 0 on."""
        value = self.number(key)
        if value < 0 or value != int(value):
            raise NetworkError(
                f"{self.where}: {key}='{self.text(key)}' of <{self.name}> must be a whole number from 0 on"
            )
        return int(value)


def elements(path: str | Path, root: Iterable[str]) -> Iterator[Element]:
    """Yield the elements of an XML file as they begin and end, without holding the file in memory.

    Args:
        path: ``.xml`` or ``.xml.gz``.
        root: names that the outermost element may have.

    Raises:
        NetworkError: if the file is missing, too large, not XML, has a document type (entities) or another root.
    """
    path = Path(path)
    if not path.is_file():
        raise NetworkError(f"{path}: there is no such file")
    found: list[Element] = []
    parser = expat.ParserCreate()

    def begin(name: str, attributes: dict[str, str]) -> None:
        found.append(Element(name, attributes, parser.CurrentLineNumber, True, path))

    def end(name: str) -> None:
        found.append(Element(name, {}, parser.CurrentLineNumber, False, path))

    def refuse(*_: object) -> None:
        raise NetworkError(f"{path}: has a document type, which is not read; remove the <!DOCTYPE …> line")

    parser.StartElementHandler, parser.EndElementHandler, parser.StartDoctypeDeclHandler = begin, end, refuse
    allowed, outermost, size = tuple(root), "", 0
    try:
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
            while True:
                chunk = file.read(_CHUNK)
                size += len(chunk)
                if size > MAX_BYTES:
                    raise NetworkError(
                        f"{path}: more than {MAX_BYTES / 1e9:g} GB; cut out the area with netconvert first"
                    )
                parser.Parse(chunk, not chunk)
                if found and not outermost:
                    outermost = found[0].name
                    if outermost not in allowed:
                        raise NetworkError(f"{path}: begins with <{outermost}>, expected <{'> or <'.join(allowed)}>")
                yield from found
                found.clear()
                if not chunk:
                    return
    except (expat.ExpatError, EOFError, OSError, zlib.error) as error:
        raise NetworkError(f"{path}: not a whole XML file ({error}); copy or make it again") from None


@dataclass
class _Edge:
    id: str
    start: str
    end: str
    kind: str
    where: str
    name: str = ""
    shape: str = ""
    length: float = 0.0
    speed: float = 0.0
    lanes: list[Access] = field(default_factory=list)

    @property
    def driven(self) -> list[int]:
        """Lanes that count: those for cars, all where there are none."""
        return [n for n, access in enumerate(self.lanes) if access & Access.CAR] or list(range(len(self.lanes)))


@dataclass
class _Link:
    """A connection from a lane of one edge into another, ``index`` in the states of signal ``light``."""

    start: str
    end: str
    lane: int
    direction: str
    light: str
    index: int
    where: str


@dataclass
class _Program:
    offset: float
    kind: str
    where: str
    seconds: list[float] = field(default_factory=list)
    states: list[str] = field(default_factory=list)


def read_sumo(path: str | Path, additional: Iterable[str | Path] = (), crs: str | None = None) -> Network:
    """Read a network of SUMO.

    One link an edge; ``way`` is its number, ``edges`` its identifier in SUMO, ``names`` the name of the street if the file
    holds one, else the identifier. Lanes are those for cars, where there
    are any, so a bus lane beside others is not part of the capacity, 1,800 vehicles/h a lane. A turn is forbidden if
    no lanes connect the two edges; turning back is, unless there is no other way on. A link with a signal is green when
    any of its connections is; its flow is that of the lanes open then, on average over the green. Programs run as
    written, actuated ones with their normal durations.

    Args:
        path: the ``.net.xml`` (or ``.net.xml.gz``).
        additional: files with signal programs that replace those of the network.
        crs: projected CRS of the coordinates less SUMO's ``netOffset``; without it the UTM zone that the file states.

    Raises:
        NetworkError: if a file cannot be read, or elements of it do not fit each other; names file, line and object.
    """
    path = Path(path)
    edges, junctions, connections, programs, location = _read_net(path)
    if not edges:
        raise NetworkError(f"{path}: holds no streets")
    for file in additional:
        for number, program in _programs(elements(file, ("additional", "add", "tlLogics"))).items():
            if number not in programs:
                raise NetworkError(f"{program.where}: there is no signal '{number}' in {path}")
            programs[number] = program
    crs, east, north = _coordinates(location, crs)
    used = sorted({node for edge in edges.values() for node in (edge.start, edge.end)})
    missing = [(edge, node) for edge in edges.values() for node in (edge.start, edge.end) if node not in junctions]
    if missing:
        edge, node = missing[0]
        raise NetworkError(f"{edge.where}: edge '{edge.id}' names junction '{node}', which the file does not hold")
    node_of = {name: row for row, name in enumerate(used)}
    link_of = {name: row for row, name in enumerate(edges)}
    start = np.array([node_of[edge.start] for edge in edges.values()], np.int32)
    end = np.array([node_of[edge.end] for edge in edges.values()], np.int32)
    lanes = np.array([len(edge.driven) for edge in edges.values()], float)
    length = np.array([edge.length for edge in edges.values()])
    every = [access for edge in edges.values() for access in edge.lanes]
    report = Counter(
        {
            "edges": len(edges),
            "lanes": len(every),
            "lanes for buses alone": sum(access == Access.BUS for access in every),
            "km": round(float(length.sum()) / 1000, 3),
        }
    )
    turns = _turns(connections, link_of, start, end, report)
    capacity = lanes * SATURATION_FLOW
    signals = _signals(programs, connections, edges, link_of, path, report)
    if signals is not None:
        capacity[signals.link] = signals.flow
    return Network(
        x=np.array([junctions[name][0] for name in used]) + east,
        y=np.array([junctions[name][1] for name in used]) + north,
        start=start,
        end=end,
        length=length,
        speed=np.array([edge.speed for edge in edges.values()]),
        lanes=lanes,
        capacity=capacity,
        access=np.array([_union(edge.lanes) for edge in edges.values()], np.uint8),
        rank=np.array([_rank(edge.kind) for edge in edges.values()], np.uint8),
        way=np.arange(len(edges), dtype=np.int64),
        through=np.ones(len(used), bool),
        crs=crs,
        names={row: edge.name or edge.id for row, edge in enumerate(edges.values())},
        edges=np.array(list(edges), object),
        shapes=_shapes(edges.values(), junctions, east, north),
        turns=turns,
        signals=signals,
        report=dict(report),
    )


def _read_net(
    path: Path,
) -> tuple[dict[str, _Edge], dict[str, tuple[float, float]], list[_Link], dict[str, _Program], dict[str, str]]:
    """Return edges, junctions with their positions, connections, signal programs and what <location> says."""
    edges: dict[str, _Edge] = {}
    junctions: dict[str, tuple[float, float]] = {}
    connections: list[_Link] = []
    location: dict[str, str] = {}
    edge: _Edge | None = None
    kept = []
    for element in elements(path, ("net",)):
        name, attributes = element.name, element.attributes
        if name in ("tlLogic", "phase"):
            kept.append(element)
        elif not element.begins:
            if name == "edge" and edge is not None:
                if not edge.lanes:
                    raise NetworkError(f"{edge.where}: edge '{edge.id}' has no lane")
                edge = None
        elif name == "edge" and attributes.get("function", "normal") not in _INSIDE:
            edge = _Edge(
                element.text("id"),
                element.text("from"),
                element.text("to"),
                attributes.get("type", ""),
                element.where,
                attributes.get("name", ""),
                attributes.get("shape", ""),
            )
            if edge.id in edges:
                raise NetworkError(f"{element.where}: edge '{edge.id}' stands there twice")
            edges[edge.id] = edge
        elif name == "lane" and edge is not None:
            _add_lane(edge, element)
        elif name == "junction" and attributes.get("type") != "internal":
            junctions[element.text("id")] = element.number("x"), element.number("y")
        elif name == "connection" and not element.text("from").startswith(":"):
            light = attributes.get("tl", "")
            connections.append(
                _Link(
                    element.text("from"),
                    element.text("to"),
                    element.whole("fromLane"),
                    attributes.get("dir", ""),
                    light,
                    element.whole("linkIndex") if light else -1,
                    element.where,
                )
            )
        elif name == "location":
            location = attributes
    for link in connections:
        for number in (link.start, link.end):
            if number not in edges and not number.startswith(":"):
                raise NetworkError(f"{link.where}: a connection names edge '{number}', which the file does not hold")
        if link.end in edges and edges[link.start].end != edges[link.end].start:
            raise NetworkError(
                f"{link.where}: a connection joins edges '{link.start}' and '{link.end}', which do not meet"
            )
        if link.lane >= len(edges[link.start].lanes):
            raise NetworkError(f"{link.where}: edge '{link.start}' has no lane {link.lane}")
    return edges, junctions, connections, _programs(kept), location


def _add_lane(edge: _Edge, element: Element) -> None:
    speed, length = element.number("speed"), element.number("length")
    if not (speed > 0 and length > 0):
        raise NetworkError(f"{element.where}: a lane of edge '{edge.id}' must have a speed and a length above 0")
    edge.speed, edge.length = max(edge.speed, speed), max(edge.length, length)
    allow, disallow = element.attributes.get("allow"), element.attributes.get("disallow")
    if allow is not None:
        access = _EVERYBODY if "all" in allow.split() else _union(_ACCESS.get(one, Access(0)) for one in allow.split())
    elif disallow is not None:
        barred = disallow.split()
        access = Access(0) if "all" in barred else _EVERYBODY & ~_union(_ACCESS.get(one, Access(0)) for one in barred)
    else:
        access = _EVERYBODY
    edge.lanes.append(access)


def _union(every: Iterable[Access]) -> Access:
    access = Access(0)
    for one in every:
        access |= one
    return access


def _rank(kind: str) -> RoadRank:
    """Return the rank that an edge type such as ``highway.primary_link`` stands for; UNCLASSIFIED if none (assumed)."""
    name = kind.split("|", maxsplit=1)[0].removeprefix("highway.").removesuffix("_link").upper()
    return RoadRank[name] if name in RoadRank.__members__ else RoadRank.UNCLASSIFIED


def _coordinates(location: dict[str, str], crs: str | None) -> tuple[str, float, float]:
    """Return the CRS, and what to add to the coordinates of the file to be in it; "" if it is not said."""
    if crs is None:
        projection = location.get("projParameter", "!")
        zone = re.search(r"\+proj=utm\b.*?\+zone=(\d{1,2})\b", projection)
        if not zone or not 1 <= int(zone[1]) <= 60 or "+ellps=WGS84" not in projection:
            return "", 0.0, 0.0
        crs = f"EPSG:{(32700 if '+south' in projection else 32600) + int(zone[1])}"
    try:
        east, north = (float(value) for value in location["netOffset"].split(","))
    except (KeyError, ValueError):
        raise NetworkError("the <location> of the network needs netOffset='east,north'") from None
    return crs, -east, -north


def _shapes(
    edges: Iterable[_Edge], junctions: dict[str, tuple[float, float]], east: float, north: float
) -> NDArray[np.object_]:
    """Return the lines of edges as drawn, straight ones between their junctions."""
    import shapely

    lines = []
    for edge in edges:
        points = [point.split(",") for point in edge.shape.split()]
        try:
            corners = [(float(point[0]), float(point[1])) for point in points]
        except (ValueError, IndexError):
            raise NetworkError(
                f"{edge.where}: shape='{edge.shape[:40]}' of edge '{edge.id}' must be points as in '0,0 10,5'"
            ) from None
        if len(corners) < 2:
            corners = [junctions[edge.start], junctions[edge.end]]
        lines.append(shapely.LineString(np.array(corners) + np.array([east, north])))
    return np.array(lines, object)


def _turns(
    connections: list[_Link],
    link_of: dict[str, int],
    start: NDArray[np.int32],
    end: NDArray[np.int32],
    report: Counter[str],
) -> Turns | None:
    """Return the turns that are forbidden at junctions: not connected, or back where one came from."""
    joined = {(link_of[c.start], link_of[c.end]) for c in connections if c.end in link_of}
    back = {(link_of[c.start], link_of[c.end]) for c in connections if c.end in link_of and c.direction == "t"}
    on = Counter(a for a, _ in joined - back)
    banned = {(a, b) for a, b in back if on[a]}
    leaving: dict[int, list[int]] = {}
    for row, node in enumerate(start.tolist()):
        leaving.setdefault(node, []).append(row)
    pairs = [(a, b) for a, node in enumerate(end.tolist()) for b in leaving.get(node, ())]
    forbidden = [pair for pair in pairs if pair not in joined or pair in banned]
    report.update({"turns": len(joined), "turns back forbidden": len(banned), "forbidden turns": len(forbidden)})
    if not forbidden:
        return None
    table = np.array(forbidden, np.int32)
    return Turns(table[:, 0].copy(), table[:, 1].copy(), np.full(len(table), np.inf))


# ---------------------------------------------------------------------- signals


def _programs(found: Iterable[Element]) -> dict[str, _Program]:
    """Return the signal programs among elements by signal; of several for one signal the last."""
    programs: dict[str, _Program] = {}
    now: _Program | None = None
    for element in found:
        if element.name == "tlLogic" and element.begins:
            kind = element.attributes.get("type", "static")
            now = programs[element.text("id")] = _Program(element.number("offset", 0.0), kind, element.where)
        elif element.name == "phase" and element.begins and now is not None:
            seconds = element.number("duration")
            if seconds < 0:
                raise NetworkError(f"{element.where}: a phase must not last {seconds:g} s")
            now.seconds.append(seconds)
            now.states.append(element.text("state"))
    return programs


def _signals(
    programs: dict[str, _Program],
    connections: list[_Link],
    edges: dict[str, _Edge],
    link_of: dict[str, int],
    path: Path,
    report: Counter[str],
) -> Signals | None:
    """Return the green windows of every edge that leads to a signal."""
    leading: dict[tuple[str, str], list[_Link]] = {}
    unsignalled: dict[str, set[int]] = {}  # lanes that may leave an edge at any time
    for link in connections:
        if link.lane in edges[link.start].driven:
            if link.light:
                leading.setdefault((link.start, link.light), []).append(link)
            else:
                unsignalled.setdefault(link.start, set()).add(link.lane)
    rows: list[tuple[float, ...]] = []
    for (edge, light), links in leading.items():
        program = programs.get(light)
        if program is None:
            raise NetworkError(f"{links[0].where}: signal '{light}' has no program in {path}")
        cycle = sum(program.seconds)
        if not cycle > 0:
            raise NetworkError(f"{program.where}: the phases of signal '{light}' last 0 s together")
        short = [state for state in program.states if len(state) <= max(link.index for link in links)]
        if short:
            raise NetworkError(
                f"{program.where}: signal '{light}' has connection {max(link.index for link in links)}, "
                f"but a phase only has {len(short[0])} states"
            )
        # lanes open in each phase
        always = unsignalled.get(edge, set())
        open_ = [len(always.union(link.lane for link in links if state[link.index] in _GO)) for state in program.states]
        windows = _windows(program.seconds, [number > 0 for number in open_])
        green = sum(b - a for a, b in windows)
        if not windows:
            report["links that are never green, taken as free"] += 1
        elif green < cycle:
            lanes = sum(s * number for s, number in zip(program.seconds, open_, strict=True)) / green
            rows += [(link_of[edge], cycle, program.offset, a, b, lanes * SATURATION_FLOW) for a, b in windows]
    used = {light for _, light in leading}
    report["signal programs"] = len(used)
    report["actuated signals taken as fixed"] += sum(programs[light].kind != "static" for light in used)
    report["links with signals"] = len({row[0] for row in rows})
    if not rows:
        return None
    table = np.array(sorted(rows), float)
    return Signals(table[:, 0].astype(np.int32), *(table[:, column].copy() for column in range(1, 6)))


def _windows(seconds: list[float], go: list[bool]) -> list[tuple[float, float]]:
    """Return begin and end of each stretch of green in a cycle of phases."""
    windows: list[tuple[float, float]] = []
    at = 0.0
    for length, green in zip(seconds, go, strict=True):
        if green and length > 0:
            if windows and windows[-1][1] == at:
                windows[-1] = windows[-1][0], at + length
            else:
                windows.append((at, at + length))
        at += length
    return windows
