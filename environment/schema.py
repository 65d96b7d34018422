"""The schema of a city: what it is made of, every table and column declared once, and the checks that it passes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .places import BuildingUse, PlaceKind, Role, SiteKind
from .roads import RoadRank
from .schedules import SLOTS_PER_DAY, Schedule

SCHEMA_VERSION = 3
OLDEST_VERSION = 2
"""The oldest layout that is still read; see :attr:`ColumnSpec.since`."""


class CityError(ValueError):
    """A city that cannot be built, read or used; the message names the file or object, and the remedy."""


@dataclass
class Source:
    """Where data of a city came from: kept in the bundle and printed wherever maps of it are shown."""

    name: str
    licence: str
    attribution: str
    file: str = ""
    sha256: str = ""


@dataclass
class CityInfo:
    """What ``city.json`` says.

    Attributes:
        name: name of the city.
        crs: projected CRS in metres, for example ``"EPSG:32631"``.
        bounds: (west, south, east, north) in metres of that CRS.
        seed: seed of everything drawn while building.
        week: day type of Monday … Sunday, positions in ``day_types``.
        day_types: name of each day type, in the order of the schedules.
        sources: origin, licence and checksum of every file used.
        report: figures of the build (repairs, fit errors), by name.
        schema_version: version of the bundle's layout.
    """

    name: str
    crs: str
    bounds: tuple[float, float, float, float]
    seed: int
    week: tuple[int, ...]
    day_types: tuple[str, ...]
    sources: list[Source] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION


class CityParts(NamedTuple):
    """What a City is made of: builders hand it over, and a bundle holds it.

    Attributes:
        info: what the city is.
        tables: columns by table, see :data:`SCHEMA`.
        schedules: one a day type, in the order of ``info.day_types``.
        layers: GeoDataFrames by name, see :data:`LAYERS`, or functions that make them when asked; of a bundle none, since
            they are read when asked.
    """

    info: CityInfo
    tables: Mapping[str, Mapping[str, NDArray[Any]]]
    schedules: list[Schedule]
    layers: Mapping[str, Any]


@dataclass(frozen=True)
class ColumnSpec:
    """One column of the bundle.

    Attributes:
        dtype: numpy dtype.
        doc: meaning and unit.
        refers: table whose rows the values number; −1 is allowed where ``optional``.
        optional: whether −1 ("none") may stand in a referring column.
        extra: entries beyond the number of rows (1 for a column of positions).
        values: enumeration to which the values belong.
        fill: value of all rows where whoever makes a city leaves the column out; None if it must be given. A bundle
            holds every column.
        since: version of the layout from which on a bundle holds the column; in an older one all rows have ``fill``.
    """

    dtype: str
    doc: str
    refers: str = ""
    optional: bool = False
    extra: int = 0
    values: type[IntEnum] | None = None
    fill: float | None = None
    since: int = OLDEST_VERSION


_XY = {"x": ColumnSpec("f8", "easting, m"), "y": ColumnSpec("f8", "northing, m")}

SCHEMA: dict[str, dict[str, ColumnSpec]] = {
    "people": {
        "age": ColumnSpec("u1", "age in completed years"),
        "sex": ColumnSpec("u1", "0 female, 1 male"),
        "role": ColumnSpec("u1", "what the person does on a working day", values=Role),
        "household": ColumnSpec("i4", "household, which is also the place number of the home", "households"),
        "activity": ColumnSpec("i4", "place (class, team, venue) where the person learns or works", "places", True),
    },
    "households": {
        "first": ColumnSpec("i4", "first person of the household; people are numbered household by household", extra=1),
        "income": ColumnSpec(
            "f4",
            "equivalised disposable income over the median of the residents; nan if unknown",
            fill=np.nan,
            since=3,
        ),
    },
    "places": {
        "kind": ColumnSpec("u1", "what the room is used for", values=PlaceKind),
        "site": ColumnSpec("i4", "site the room belongs to, −1 for homes", "sites", True),
        "building": ColumnSpec("i4", "building, −1 if unknown", "buildings", True),
        "zone": ColumnSpec("i4", "zone", "zones"),
        **_XY,
    },
    "sites": {
        "kind": ColumnSpec("u1", "what the institution is", values=SiteKind),
        "building": ColumnSpec("i4", "building, −1 if none", "buildings", True),
        "zone": ColumnSpec("i4", "zone", "zones"),
        "node": ColumnSpec("i4", "nearest node of the road network, −1 if there is none", "nodes", True),
        "capacity": ColumnSpec("i4", "pupils, staff, beds or vehicles by kind; 0 if unknown"),
        **_XY,
    },
    "buildings": {
        "use": ColumnSpec("u1", "main use", values=BuildingUse),
        "levels": ColumnSpec("f4", "storeys above ground"),
        "floor_area": ColumnSpec("f4", "gross floor area over all storeys, m2"),
        "dwellings": ColumnSpec("i4", "number of dwellings"),
        "zone": ColumnSpec("i4", "zone", "zones"),
        "node": ColumnSpec("i4", "nearest node of the road network, −1 if there is none", "nodes", True),
        **_XY,
    },
    "zones": {
        "area": ColumnSpec("f8", "area, m2"),
        **_XY,
    },
    "nodes": {
        **_XY,
        "signal": ColumnSpec("u1", "1 if the junction has traffic signals, else 0", fill=0),
    },
    "links": {
        "start": ColumnSpec("i4", "node where the link begins", "nodes"),
        "end": ColumnSpec("i4", "node where the link ends", "nodes"),
        "length": ColumnSpec("f4", "length, m"),
        "speed": ColumnSpec("f4", "speed limit, m/s"),
        "lanes": ColumnSpec("f4", "lanes in this direction"),
        "rank": ColumnSpec("u1", "place in the hierarchy, motorway to path", values=RoadRank),
        "access": ColumnSpec("u1", "roads.Access bits: car, bicycle, foot, bus"),
        "way": ColumnSpec("i8", "identifier of the street in its source"),
        "capacity": ColumnSpec(
            "f4", "vehicles/h that may leave each lane; 0: as many as the rank stands for", fill=0, since=3
        ),
    },
    "turns": {
        "from_link": ColumnSpec("i4", "link one comes from", "links", fill=0),
        "to_link": ColumnSpec("i4", "link one turns into, where the other ends", "links", fill=0),
        "penalty": ColumnSpec(
            "f4", "seconds that the turn costs on top; infinite: forbidden to cars and buses", fill=0
        ),
    },
    "signals": {
        "link": ColumnSpec(
            "i4", "link whose end the signal stands at, once for each green window", "links", fill=0, since=3
        ),
        "cycle": ColumnSpec("f4", "seconds", fill=0, since=3),
        "offset": ColumnSpec("f4", "seconds after midnight at which a cycle begins", fill=0, since=3),
        "green_start": ColumnSpec("f4", "seconds after the begin of the cycle", fill=0, since=3),
        "green_end": ColumnSpec("f4", "seconds after the begin of the cycle", fill=0, since=3),
        "flow": ColumnSpec("f4", "vehicles/h that leave each lane of the link during green", fill=0, since=3),
    },
}
"""Every table and column of a bundle. Tables that number others: see ``refers``."""

SCHEDULE_COLUMNS: dict[str, str] = {
    "first": "i4",
    "place": "i4",
    "start": "u1",
    "end": "u1",
    "place_first": "i4",
    "visitor": "i4",
    "visitor_start": "u1",
    "visitor_end": "u1",
}
LAYERS = ("zones", "buildings", "roads", "sites")


def check_column(values: NDArray[Any], spec: ColumnSpec, rows: int, where: str) -> None:
    """Raise CityError unless a column has the type, length and values of its declaration."""
    if values.dtype != np.dtype(spec.dtype) or values.ndim != 1:
        raise CityError(f"{where}: must be one column of {spec.dtype}, is {values.ndim}-d {values.dtype}")
    if len(values) != rows + spec.extra:
        raise CityError(f"{where}: {len(values)} entries, expected {rows + spec.extra}")
    if spec.values is not None:
        check_range(values, min(spec.values), max(spec.values) + 1, where)


def check_range(values: NDArray[Any], low: int, high: int, where: str) -> None:
    """Raise CityError unless all values are low … high − 1."""
    if values.size and (values.min() < low or values.max() >= high):
        held = f"{values.min()} … {values.max()}"
        raise CityError(f"{where}: holds {held}, allowed is {low} … {high - 1}; build the city again")


def check_incomes(values: NDArray[np.floating], where: str) -> None:
    """Raise CityError unless all incomes are above 0 and finite, or none is known."""
    if not np.isnan(values).all() and not np.all((values > 0) & np.isfinite(values)):
        raise CityError(f"{where}: incomes must be numbers above 0, or all unknown (nan); build the city again")


def check_pointer(values: NDArray[Any], total: int, where: str) -> None:
    """Raise CityError unless positions rise from 0 to the total."""
    if values[0] != 0 or values[-1] != total or np.any(values[1:] < values[:-1]):
        raise CityError(f"{where}: must rise from 0 to {total}; build the city again")


def check_turns(links: Mapping[str, NDArray[Any]], turns: Mapping[str, NDArray[Any]], where: str) -> None:
    """Raise CityError unless every turn leads from a link into one that begins where it ends, each pair once.

    Args:
        links, turns: columns of these tables.
        where: name of the first column of the turns in messages.
    """
    start, end = turns["from_link"], turns["to_link"]
    apart = np.flatnonzero(links["end"][start] != links["start"][end])
    if len(apart):
        row = int(apart[0])
        raise CityError(f"{where}: turn {row} joins links that do not meet, {start[row]} and {end[row]}")
    pairs = start.astype(np.int64) * len(links["start"]) + end
    if len(np.unique(pairs)) < len(pairs):
        raise CityError(f"{where}: a turn stands there twice; build the city again")
    if np.any(~(turns["penalty"] >= 0)):
        raise CityError(f"{where}: a penalty is negative or no number; build the city again")


def check_signals(signals: Mapping[str, NDArray[Any]], where: str) -> None:
    """Raise CityError unless every green window lies in its cycle, and lets somebody leave.

    Args:
        signals: columns of the table.
        where: name of the table in messages.
    """
    start, end, cycle = signals["green_start"], signals["green_end"], signals["cycle"]
    fits = (start >= 0) & (start < end) & (end <= cycle) & np.isfinite(signals["offset"]) & (signals["flow"] > 0)
    if not fits.all():
        row = int(np.flatnonzero(~fits)[0])
        raise CityError(
            f"{where}: row {row} is green from {start[row]:g} to {end[row]:g} of {cycle[row]:g} s for "
            f"{signals['flow'][row]:g} vehicles/h; build the city again"
        )


def check_schedule(schedule: Schedule, people: int, places: int, where: Callable[[str], str]) -> None:
    """Raise CityError unless the visits are those of whole days, in both orders.

    Args:
        schedule: what is checked.
        people, places: of the city.
        where: gives the name of a column in messages.
    """
    for name, dtype in SCHEDULE_COLUMNS.items():
        rows = {"first": people + 1, "place_first": places + 1}.get(name, schedule.visits)
        check_column(getattr(schedule, name), ColumnSpec(dtype, ""), rows, where(name))
    check_pointer(schedule.first, schedule.visits, where("first"))
    check_pointer(schedule.place_first, schedule.visits, where("place_first"))
    check_range(schedule.place, 0, places, where("place"))
    check_range(schedule.visitor, 0, people, where("visitor"))
    for begin, end in (("start", "end"), ("visitor_start", "visitor_end")):
        check_range(getattr(schedule, end), 1, SLOTS_PER_DAY + 1, where(end))
        if np.any(getattr(schedule, begin) >= getattr(schedule, end)):
            raise CityError(f"{where(begin)}: a visit ends before it begins; build the city again")
    # each visit begins where the one before ended, at 0 on a new person's first
    begins = np.zeros(schedule.visits, np.uint8)
    begins[1:] = schedule.end[:-1]
    heads = schedule.first[:-1]
    if np.any(np.diff(schedule.first) == 0) or np.any(schedule.end[schedule.first[1:] - 1] != SLOTS_PER_DAY):
        raise CityError(f"{where('end')}: a day does not last {SLOTS_PER_DAY} slots; build the city again")
    begins[heads] = 0
    if not np.array_equal(begins, schedule.start):
        raise CityError(f"{where('start')}: the visits of a day leave gaps or overlap; build the city again")
