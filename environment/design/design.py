"""A design: changes of a city's streets, institutions and homes, checked against the city and applied to it."""

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from shapely import Geometry

from ..city import City
from ..network.gates import REPORT as GATES
from ..network.gates import kept_gates
from .before import REPORT as LOST
from .before import lost_access
from .changes import Change, DesignError
from .effects import Touched, changed, contradictions, lane_problems, street_effects
from .read import WGS84, parse_changes, read_content
from .rooms import Rooms
from .streets import Streets
from .superblock import make_superblock
from .timed import DAY, StreetEvents, day_events

if TYPE_CHECKING:
    import pandas as pd

AROUND = 1_000.0  # m beyond the outermost streets and buildings that still count as the city, assumed
MOST_TOUCHED = 20_000_000
"""Links that the changes of a design touch, all together; each takes some bytes."""
ON_STREETS = ("close", "one_way", "lanes", "speed", "bus_lane", "bike_lane", "filter", "toll", "parking")
REPORT = "designs"
"""Key of ``city.info.report`` under which each design that was applied says what it changed."""

Report = list[dict[str, Any]]


@dataclass(frozen=True)
class Design:
    """Changes of a city.

    Make one with :func:`read_design` or :meth:`from_dict`.

    Attributes:
        name: its name.
        changes: the changes, in the order of the file.
        crs: coordinate system of their geometries.
        label: what messages call it.
        content: what it was made of, as JSON can hold it.
    """

    name: str
    changes: tuple[Change, ...]
    crs: str = WGS84
    label: str = "design"
    content: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], label: str = "") -> "Design":
        """Make a design from tables.

        Args:
            data: ``name``, ``crs`` (longitude and latitude if left out) and ``changes``, see :func:`read.parse_changes`.
            label: what messages call it; its name if left out.

        Raises:
            DesignError: with every problem.
        """
        name = data.get("name", "design")
        if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= 100:
            raise DesignError([f"{label or 'design'}: name: must be a text of 1 to 100 characters"])
        label = label or f"design '{name}'"
        crs = data.get("crs", WGS84)
        if not isinstance(crs, str):
            raise DesignError([f"{label}: crs: must be a text such as EPSG:28992"])
        _system(crs, label)
        changes = parse_changes(data.get("changes", []), label)
        return cls(name, changes, crs, label, {"name": name, "crs": crs, "changes": list(data.get("changes", []))})

    def to_dict(self) -> dict[str, Any]:
        """Return what :meth:`from_dict` takes, as JSON can hold it."""
        return dict(self.content)

    # ------------------------------------------------------------------ use

    def apply(self, city: City) -> City:
        """Return the city as it is with all permanent changes.

        Links, junctions, people, homes, places, sites and buildings that were there keep their numbers; new ones follow
        them. ``city.info.report["designs"]`` says what was changed.

        Raises:
            DesignError: if the design does not fit the city, with every problem.
        """
        return self._applied(city)[0]

    def check(self, city: City) -> Report:
        """Return what each change touches: ``feature``, ``change``, ``what``, ``links`` and ``when``.

        Raises:
            DesignError: if the design does not fit the city, with every problem.
        """
        return self._applied(city)[1]

    def events(self, city: City, date: datetime.date) -> StreetEvents:
        """Return what changes on the streets during a day by the changes that hold for some of the time.

        Args:
            city: the city to which the design, and any other, was applied.
            date: the day.

        Raises:
            DesignError: if the design does not fit the city.
        """
        return events_of([self], city, date)

    @property
    def timed(self) -> bool:
        """Whether any change holds for some of the time only."""
        return any(not change.when.always for change in self.changes)

    def transit(self, city: City) -> "dict[str, pd.DataFrame]":
        """Return the new stops and lines of public transport.

        Returns:
            ``stops`` with ``stop, name, x, y`` (m in the CRS of the city); ``lines`` with ``line, name, mode, headway,
            first, last`` (seconds), ``speed`` (m/s), ``capacity``, ``both`` (runs back as well); ``line_stops`` with
            ``line, order, stop, metres`` (along the line from its first stop).

        Raises:
            DesignError: if the design does not fit the city.
        """
        from .transit import new_transit

        problems: list[str] = []
        shapes = {change.number: self._shape(change, city, problems) for change in self.changes}
        if problems:
            raise DesignError(problems)
        return new_transit(self.changes, shapes)

    # ------------------------------------------------------------------ how

    def _applied(self, city: City) -> tuple[City, Report]:
        problems: list[str] = []
        streets = Streets(city)
        new_links: dict[int, list[int]] = {}
        for change, shape in self._placed(city, problems):
            if change.kind == "new_street":
                for part in shapely.get_parts(shape):
                    with _Collected(problems, self.label, change):
                        new_links.setdefault(change.number, []).extend(streets.add_street(part, change.values))
        permanent = self._on_streets(streets, city, problems, lambda change: change.when.always)
        timed = self._on_streets(streets, city, problems, lambda change: not change.when.always)
        told = [f"{self.label}: {text}" for text in contradictions(streets, [*permanent, *timed])]
        short = lane_problems(streets, permanent)
        for one in timed:  # each by itself on top of what always holds
            short += [
                (change, text) for change, text in lane_problems(streets, [*permanent, one]) if change == one.change
            ]
        told += [f"{self.label}: {change}: {text}" for change, text in short]
        problems += told
        rooms = Rooms(city, streets.x, streets.y)
        report: Report = []
        touched: dict[int, str] = {}
        if not problems:
            columns = changed(streets.columns(), [effect for one in permanent for effect in one.effects])
            for name, values in columns.items():
                setattr(streets, name, values)
        by_number = {one.change.number: one for one in [*permanent, *timed]}
        for change, shape in self._placed(city, []):
            links = np.zeros(0, np.int64)
            what = ""
            with _Collected(problems, self.label, change):
                if change.number in by_number:
                    links = by_number[change.number].links
                    what = streets.describe(links)
                elif change.number in new_links:
                    links = np.array(new_links[change.number], np.int64)
                    what = streets.describe(links)
                elif change.kind == "superblock" and not problems:
                    block = make_superblock(streets, shape, change.values["margin"], change.values["kmh"])
                    links = np.unique(np.concatenate([block.inside, block.opened]))
                    filters = len({frozenset((int(streets.start[r]), int(streets.end[r]))) for r in block.filtered})
                    what = (
                        f"{streets.describe(block.inside)}; {len(block.gates)} ways in, {filters} streets filtered, "
                        f"{len(block.opened)} links opened against one-way traffic"
                    )
                    if block.cut_off:
                        what += f"; {block.cut_off} junctions had no way in or out before either"
                else:
                    what = _in_rooms(rooms, change, shape, f"{self.name} {change.number}")
            entry = {"feature": change.number, "change": change.kind, "what": what, "links": links.tolist()}
            report.append(entry | {"when": _told(change)})
            for link in links.tolist():
                text = f"{change.kind}{'' if change.when.always else ' (' + _told(change) + ')'}"
                touched[link] = f"{touched[link]}, {text}" if link in touched else text
        if problems:
            raise DesignError(problems)
        return self._rebuilt(city, streets, rooms, report, touched), report

    def _rebuilt(self, city: City, streets: Streets, rooms: Rooms, report: Report, touched: dict[int, str]) -> City:
        west, south, east, north = city.info.bounds
        xs, ys = [streets.x, rooms.buildings["x"]], [streets.y, rooms.buildings["y"]]
        lows = [min((float(v.min()) for v in values if len(v)), default=np.inf) for values in (xs, ys)]
        highs = [max((float(v.max()) for v in values if len(v)), default=-np.inf) for values in (xs, ys)]
        done = {"name": self.name, "changes": [{k: v for k, v in entry.items() if k != "links"} for entry in report]}
        tables = {name: dict(getattr(city, name)) for name in ("people", "households", "zones")}
        tables["people"]["activity"] = rooms.activity
        tables |= {"places": rooms.places, "sites": rooms.sites, "buildings": rooms.buildings} | streets.tables()
        kept = {GATES: kept_gates(city), LOST: lost_access(city, tables["links"]["access"])}
        info = replace(
            city.info,
            bounds=(min(west, lows[0]), min(south, lows[1]), max(east, highs[0]), max(north, highs[1])),
            report=city.info.report | kept | {REPORT: [*city.info.report.get(REPORT, []), done]},
        )
        old = city.layer("roads")
        layers = {
            "zones": city.layer("zones"),
            "roads": streets.layer(old, city.info.crs, touched) if streets.links else old,
            "sites": rooms.site_layer(),
            "buildings": rooms.building_layer(),
        }
        return City(info, tables, rooms.schedules(), layers)

    def _placed(self, city: City, problems: list[str]) -> Iterator[tuple[Change, Any]]:
        """Yield the changes that lie in the city, with their geometries there."""
        for change in self.changes:
            shape = self._shape(change, city, problems)
            if change.geometry is None or shape is not None:
                yield change, shape

    def _on_streets(
        self, streets: Streets, city: City, problems: list[str], which: Callable[[Change], bool]
    ) -> list[Touched]:
        found: list[Touched] = []
        total = 0
        for change in self.changes:
            if change.kind in ON_STREETS and which(change):
                shape = self._shape(change, city, [])
                if change.geometry is None or shape is not None:
                    with _Collected(problems, self.label, change):
                        found.append(street_effects(streets, change, shape))
                        total += sum(len(effect.links) for effect in found[-1].effects)
                if total > MOST_TOUCHED:
                    raise DesignError(
                        [f"{self.label}: touches links more than {MOST_TOUCHED:,} times; make it smaller"]
                    )
        return found

    def _shape(self, change: Change, city: City, problems: list[str]) -> Geometry | None:
        """Return the geometry of a change in the CRS of the city; None if it has none, or lies elsewhere."""
        if change.geometry is None:
            return None
        system = _system(self.crs, self.label)
        where = f"{self.label}: {change}"
        west, south, east, north = change.geometry.bounds
        if system.is_geographic and (min(west, south) < -180 or max(east, north) > 180 or max(-south, north) > 90):
            problems.append(
                f"{where}: ({west:g}, {south:g}) is no longitude and latitude; the design is read as {self.crs}: "
                f"state the system of its coordinates (this city has {city.info.crs})"
            )
            return None
        shape = _transformed(change.geometry, self.crs, city.info.crs)
        bounds = shapely.box(*city.info.bounds)
        finite = bool(np.isfinite(shapely.get_coordinates(shape)).all())
        away = float(shapely.distance(shape, bounds)) if finite else np.inf
        if not away <= AROUND:
            far = f"{away / 1000:,.0f} km away from" if np.isfinite(away) else "nowhere near"
            problems.append(
                f"{where}: lies {far} the city '{city.info.name}'; the design is read as {self.crs}, this city has "
                f"{city.info.crs}: is that the system it was drawn in?"
            )
            return None
        return shape


def read_design(path: str | Path) -> Design:
    """Read a design.

    Args:
        path: a GeoPackage (``.gpkg``: every layer with a column ``change``), a GeoJSON file (``.geojson``, ``.json``:
            each feature has a property ``change``) or a TOML file (``[[change]]`` tables).

    Raises:
        DesignError: with every problem of the file.
    """
    path = Path(path)
    return Design.from_dict(read_content(path), label=path.name)


def events_of(designs: "Sequence[Design]", city: City, date: datetime.date, until: float = DAY) -> StreetEvents:
    """Return what changes on the streets during a day by what designs change for some of the time, later ones over earlier.

    Args:
        designs: the designs.
        city: the city to which all of them were applied.
        date: the day.
        until: seconds since its midnight up to which changes are wanted, those of the next days among them.

    Raises:
        DesignError: if a design does not fit the city.
    """
    streets = Streets(city)
    problems: list[str] = []
    touched = [
        found
        for design in designs
        for found in design._on_streets(streets, city, problems, lambda change: not change.when.always)
    ]
    if problems:
        raise DesignError(problems)
    return day_events(streets, touched, date, until)


class _Collected:
    """Keep what is wrong with one change, and go on with the next."""

    def __init__(self, problems: list[str], label: str, change: Change):
        self.problems = problems
        self.head = f"{label}: {change}"

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, trace: Any) -> bool:
        if not isinstance(error, ValueError):
            return False
        self.problems += [f"{self.head}: {line}" for line in str(error).splitlines()]
        return True


def _in_rooms(rooms: Rooms, change: Change, shape: Any, word: str) -> str:
    if change.kind == "facility":
        return rooms.facility(change.values, shape)
    if change.kind == "density":
        return rooms.dwellings(change.values["dwellings"], shape, word)
    if change.kind == "land_use":
        return rooms.land_use(change.values, shape, word)
    if change.kind == "new_stop":
        return rooms.stop(change.values["name"], shape)
    if change.kind == "new_line":
        return f"line {change.values['name']}, {shape.length / 1000:.2f} km"
    return ""


def _told(change: Change) -> str:
    """Return when a change holds, for people to read; empty if always."""
    when, parts = change.when, []
    if when.hours:
        parts.append(", ".join(f"{_clock(start)}-{_clock(end)}" for start, end in when.hours))
    if len(when.weekdays) < 7:
        words = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
        parts.append(" ".join(words[day] for day in sorted(when.weekdays)))
    parts += [f"from {when.first}"] if when.first else []
    parts += [f"until {when.last}"] if when.last else []
    return ", ".join(parts)


def _clock(second: int) -> str:
    return f"{second // 3600:02d}:{second % 3600 // 60:02d}"


@lru_cache(maxsize=16)
def _system(crs: str, label: str) -> Any:
    import pyproj

    try:
        return pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError:
        shown = str(crs)[:60]
        raise DesignError([f"{label}: crs: '{shown}' is no coordinate system; write one such as EPSG:28992"]) from None


def _transformed(geometry: Geometry, source: str, target: str) -> Geometry:
    change = _transformer(source, target).transform
    return shapely.transform(geometry, lambda xy: np.stack(change(xy[:, 0], xy[:, 1]), 1))


@lru_cache(maxsize=16)
def _transformer(source: str, target: str) -> Any:
    import pyproj

    return pyproj.Transformer.from_crs(source, target, always_xy=True)
