"""Networks and demand in the text format of the Transportation Networks for Research collection (TNTP).

The format is that of github.com/bstabler/TransportationNetworks: metadata ``<KEY> value`` up to ``<END OF METADATA>``,
comments from ``~`` on, one link a line. Nodes are numbered from 1 in files and from 0 here; zones are the first of them.
Units of length, time and capacity differ between networks and are stated nowhere but in the files' comments.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..roads import Access, RoadRank
from .network import Network, NetworkError

LARGEST_BYTES = 500_000_000
"""Most bytes a file may have; the largest of the collection has about 60 million."""
LARGEST_NUMBER = 5_000_000
"""Most zones, nodes or links that metadata may announce."""
TOTAL_TOLERANCE = 1e-3
"""Relative difference up to which trips may miss the total in their metadata: published totals are rounded."""
_SHOWN = 20  # problems listed in one message
_END = "END OF METADATA"
_COLUMNS = ("start", "end", "capacity", "length", "free_time", "b", "power", "speed", "toll", "kind")
_NUMBERS = ("capacity", "length", "free_time", "b", "power", "speed", "toll")


@dataclass(frozen=True)
class TntpNetwork:
    """A network as its file states it, in the file's own units.

    Attributes:
        path: the file.
        zones: number of zones, the nodes 0 … zones − 1.
        nodes: number of nodes.
        through: bool (nodes,) whether trips may pass the node; False below the first through node.
        start, end: int32 (links,) nodes, from 0.
        capacity: float64 (links,) flow at which the congestion term is ``b``.
        length: float64 (links,).
        free_time: float64 (links,) time without traffic.
        b, power: float64 (links,) parameters of ``free_time (1 + b (flow / capacity)^power)``.
        speed: float64 (links,) speed limit, often 0 for unknown.
        toll: float64 (links,).
        kind: int32 (links,) type of link, with a meaning of its own in each network.
        line: int32 (links,) line of the file.
    """

    path: Path
    zones: int
    nodes: int
    through: NDArray[np.bool_]
    start: NDArray[np.int32]
    end: NDArray[np.int32]
    capacity: NDArray[np.float64]
    length: NDArray[np.float64]
    free_time: NDArray[np.float64]
    b: NDArray[np.float64]
    power: NDArray[np.float64]
    speed: NDArray[np.float64]
    toll: NDArray[np.float64]
    kind: NDArray[np.int32]
    line: NDArray[np.int32]

    @property
    def links(self) -> int:
        """Number of links."""
        return len(self.start)

    def network(self, *, metre: float, second: float = 60.0, hour: float = 3600.0) -> Network:
        """Return the network for vehicles that move.

        Links without a time (connectors) become 100 m at 20 m/s, all others at least 30 m long with speeds of 5 to
        35 m/s, and a lane carries 1,800 vehicles/h (all assumed); what was changed is counted in the report.

        Args:
            metre: metres in the file's unit of length.
            second: seconds in the file's unit of time.
            hour: seconds to which the capacities refer.
        """
        connector = self.free_time <= 0
        length = np.where(connector, 100.0, np.maximum(self.length * metre, 30.0))
        stated = length / np.where(connector, 5.0, self.free_time * second)
        speed = np.clip(stated, 5.0, 35.0)
        capacity = self.capacity / hour
        zero = np.zeros(self.nodes)
        return Network(
            x=zero,
            y=zero.copy(),
            start=self.start,
            end=self.end,
            length=length,
            speed=speed,
            lanes=np.maximum(1.0, np.round(capacity * 2.0)),
            capacity=capacity,
            access=np.full(self.links, int(Access.CAR | Access.BUS), np.uint8),
            rank=np.full(self.links, int(RoadRank.UNCLASSIFIED), np.uint8),
            way=np.arange(self.links, dtype=np.int64),
            through=self.through,
            toll=self.toll,
            report={
                "source": self.path.name,
                "connectors without a time": int(connector.sum()),
                "links lengthened to 30 m": int((~connector & (self.length * metre < 30.0)).sum()),
                "speeds moved into 5 to 35 m/s": int((~connector & (stated != speed)).sum()),
            },
        )


@dataclass(frozen=True)
class TntpTrips:
    """Trips between zones as their file states them; cells with 0 are left out.

    Attributes:
        path: the file.
        zones: number of zones.
        origin, destination: int32 (cells,) zones, from 0.
        trips: float64 (cells,), above 0.
        line: int32 (cells,) line of the file.
        stated: total in the metadata, None without one.
    """

    path: Path
    zones: int
    origin: NDArray[np.int32]
    destination: NDArray[np.int32]
    trips: NDArray[np.float64]
    line: NDArray[np.int32]
    stated: float | None


class _Problems:
    """What is wrong with a file, told at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: list[str] = []
        self.count = 0

    def add(self, line: int, message: str) -> None:
        self.count += 1
        if self.count <= _SHOWN:
            where = f"{self.path}:{line}" if line else str(self.path)
            self.found.append(f"{where}: {message}")

    def refuse(self) -> None:
        if self.count:
            more = [f"… and {self.count - _SHOWN} more"] if self.count > _SHOWN else []
            raise NetworkError("\n".join(self.found + more))


def read_network(path: str | Path) -> TntpNetwork:
    """Read a ``_net.tntp`` file.

    Raises:
        NetworkError: if the file cannot be read or anything in it is wrong; up to 20 problems at once, each with its
            line.
    """
    path = Path(path)
    problems = _Problems(path)
    lines = _lines(path)
    facts = _metadata(lines, problems)
    zones = _count(facts, "NUMBER OF ZONES", problems)
    nodes = _count(facts, "NUMBER OF NODES", problems)
    links = _count(facts, "NUMBER OF LINKS", problems)
    first = _count(facts, "FIRST THRU NODE", problems)
    problems.refuse()
    if zones > nodes:
        problems.add(facts["NUMBER OF ZONES"][0], f"<NUMBER OF ZONES> is {zones}, more than the {nodes} nodes")
    if first > nodes + 1:
        message = f"<FIRST THRU NODE> is {first}, must be 1 … {nodes + 1} (one more than the nodes: none)"
        problems.add(facts["FIRST THRU NODE"][0], message)
    rows: list[list[float]] = []
    at: list[int] = []
    for number, text in lines:
        row = _link(text, nodes, number, problems)
        if row is not None:
            rows.append(row)
            at.append(number)
    if not problems.count and len(rows) != links:
        message = f"<NUMBER OF LINKS> is {links}, but the file has {len(rows)} links; correct one of the two"
        problems.add(facts["NUMBER OF LINKS"][0], message)
    problems.refuse()
    table = dict(zip(_COLUMNS, np.array(rows, float).reshape(-1, len(_COLUMNS)).T, strict=True))
    return TntpNetwork(
        path=path,
        zones=zones,
        nodes=nodes,
        through=np.arange(nodes) >= first - 1,
        start=table["start"].astype(np.int32) - 1,
        end=table["end"].astype(np.int32) - 1,
        kind=table["kind"].astype(np.int32),
        line=np.array(at, np.int32),
        **{name: np.ascontiguousarray(table[name]) for name in _NUMBERS},
    )


def read_trips(path: str | Path, zones: int | None = None) -> TntpTrips:
    """Read a ``_trips.tntp`` file.

    Args:
        path: the file.
        zones: number of zones of the network; the file must state the same. None: what the file states.

    Raises:
        NetworkError: if the file cannot be read or anything in it is wrong; up to 20 problems at once, each with its
            line.
    """
    path = Path(path)
    problems = _Problems(path)
    lines = _lines(path)
    facts = _metadata(lines, problems)
    count = _count(facts, "NUMBER OF ZONES", problems)
    stated = _number(facts["TOTAL OD FLOW"][1]) if "TOTAL OD FLOW" in facts else None
    if "TOTAL OD FLOW" in facts and (stated is None or stated < 0):
        line, text = facts["TOTAL OD FLOW"]
        problems.add(line, f"<TOTAL OD FLOW> is '{text}', must be a number from 0 on")
    problems.refuse()
    if zones is not None and count != zones:
        message = f"<NUMBER OF ZONES> is {count}, but the network has {zones} zones"
        problems.add(facts["NUMBER OF ZONES"][0], message)
    origin = 0
    cells: dict[tuple[int, int], tuple[float, int]] = {}
    for number, text in lines:
        words = text.split(maxsplit=1)
        if words[0].lower() == "origin":
            origin = _zone(words[1] if len(words) > 1 else "", "origin", count, number, problems)
            continue
        if origin == 0:
            problems.add(number, f"'{text[:40]}' stands before any 'Origin' line")
            origin = -1
        for part in filter(None, map(str.strip, text.split(";"))):
            _cell(part, origin, count, number, cells, problems)
    trips = np.array([value for value, _ in cells.values()], float)
    total = float(trips.sum())
    if not problems.count and stated is not None and abs(total - stated) > TOTAL_TOLERANCE * max(stated, total):
        message = f"<TOTAL OD FLOW> is {stated:g}, but the trips add up to {total:g}: is the file complete?"
        problems.add(facts["TOTAL OD FLOW"][0], f"{message} (without the line, nothing is compared)")
    problems.refuse()
    pairs = np.array(list(cells), np.int32).reshape(-1, 2) - 1
    line_of = np.array([line for _, line in cells.values()], np.int32)
    some = trips > 0
    return TntpTrips(
        path=path,
        zones=count,
        origin=np.ascontiguousarray(pairs[some, 0]),
        destination=np.ascontiguousarray(pairs[some, 1]),
        trips=trips[some],
        line=line_of[some],
        stated=stated,
    )


# ---------------------------------------------------------------------- lines


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that say something, with their numbers from 1 on."""
    try:
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise NetworkError(f"{path}: has {size:,} bytes, at most {LARGEST_BYTES:,} are read")
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            for number, line in enumerate(file, 1):
                text = line.partition("~")[0].strip()
                if text:
                    yield number, text
    except OSError as error:
        raise NetworkError(f"{path}: cannot be read ({error.strerror or error})") from None


def _metadata(lines: Iterator[tuple[int, str]], problems: _Problems) -> dict[str, tuple[int, str]]:
    """Return line and value by key, and leave what follows in ``lines``."""
    facts: dict[str, tuple[int, str]] = {}
    for number, text in lines:
        key, closed, value = text.removeprefix("<").partition(">")
        if not text.startswith("<") or not closed:
            problems.add(number, f"'{text[:40]}' stands where metadata is expected: <KEY> value, then <{_END}>")
            problems.refuse()
        key = key.strip().upper()
        if key == _END:
            return facts
        facts[key] = (number, value.strip())
    problems.add(0, f"has no line <{_END}>; is it a TNTP file?")
    problems.refuse()
    return facts


def _count(facts: dict[str, tuple[int, str]], key: str, problems: _Problems) -> int:
    if key not in facts:
        remedy = "; write 1 if trips may pass all nodes" if key == "FIRST THRU NODE" else ""
        problems.add(0, f"the metadata lacks <{key}>{remedy}")
        return 0
    line, text = facts[key]
    value = _number(text)
    if value is None or value != int(value) or not 1 <= value <= LARGEST_NUMBER:
        problems.add(line, f"<{key}> is '{text}', must be a whole number of 1 … {LARGEST_NUMBER:,}")
        return 0
    return int(value)


def _number(text: str) -> float | None:
    """Return a finite number, or None if the text is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _link(text: str, nodes: int, line: int, problems: _Problems) -> list[float] | None:
    """Return the values of a link in the order of ``_COLUMNS``, None if one of them is wrong."""
    words = text.rstrip(";").split()
    if len(words) < len(_COLUMNS):
        names = ", ".join(_COLUMNS)
        problems.add(line, f"a link has {len(words)} values, must have {len(_COLUMNS)}: {names}")
        return None
    known = problems.count
    link = f"link {words[0]} → {words[1]}"
    row: list[float] = []
    for name, word in zip(_COLUMNS, words, strict=False):
        value = _number(word)
        if value is None:
            problems.add(line, f"{link}: {name} is '{word}', must be a number")
            continue
        row.append(value)
        if name in ("start", "end") and not (value == int(value) and 1 <= value <= nodes):
            problems.add(line, f"{link}: {name} is node {word}, the network has nodes 1 … {nodes}")
        elif name == "capacity" and value <= 0:
            problems.add(line, f"{link}: capacity is {word}, must be above 0")
        elif name in ("length", "free_time", "b", "power") and value < 0:
            problems.add(line, f"{link}: {name} is {word}, must not be below 0")
        elif name == "kind" and (value != int(value) or abs(value) >= 2**31):
            problems.add(line, f"{link}: type is {word}, must be a whole number")
    return row if problems.count == known else None


def _zone(text: str, what: str, zones: int, line: int, problems: _Problems) -> int:
    """Return a zone, −1 if there is none of that number."""
    value = _number(text)
    if value is None or value != int(value) or not 1 <= value <= zones:
        problems.add(line, f"{what} is '{text.strip()}', must be a zone of 1 … {zones}")
        return -1
    return int(value)


def _cell(
    part: str, origin: int, zones: int, line: int, cells: dict[tuple[int, int], tuple[float, int]], problems: _Problems
) -> None:
    """Read ``destination : trips`` into the cells."""
    name, colon, text = part.partition(":")
    if not colon:
        problems.add(line, f"'{part[:40]}' is not 'destination : trips'")
        return
    destination = _zone(name, "destination", zones, line, problems)
    value = _number(text)
    if value is None or value < 0:
        problems.add(line, f"trips {origin} → {destination}: '{text.strip()}' must be a number from 0 on")
    elif (origin, destination) in cells:
        before = cells[origin, destination][1]
        problems.add(line, f"trips {origin} → {destination} are stated again; line {before} states them too")
    elif origin > 0 and destination > 0:
        cells[origin, destination] = (value, line)
