"""Points that people set out from, and opportunities that they may reach: read from a table, or taken from a city."""

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..grid import CELL, CityGrid
from ..groups import groups_of
from ..places import Role, SiteKind

if TYPE_CHECKING:
    from ..city import City

LARGEST_FILE = 256 * 2**20
"""Bytes of a table of points; a larger one is refused."""
MOST_POINTS = 2_000_000
PEOPLE = ("population", "people", "residents")
"""Names, in any case, of the column that counts the people at a point."""
_WHERE = {"lon": ("lon", "longitude"), "lat": ("lat", "latitude")}

SITES = {
    "schools": (SiteKind.PRIMARY, SiteKind.SECONDARY),
    "kindergartens": (SiteKind.KINDERGARTEN,),
    "care": (SiteKind.HOSPITAL,),
    "shops": (SiteKind.SHOP,),
    "leisure": (SiteKind.LEISURE,),
}
"""Opportunities of a city that are counted by site; jobs are counted by people who work there."""


class AccessError(ValueError):
    """Points, streets or settings that access cannot be worked out for; the message names file, line, and the remedy."""


@dataclass(frozen=True)
class Origins:
    """Where people set out.

    Attributes:
        name: of each point.
        x, y: float64 (points,) metres in the CRS of the streets.
        people: float64 (points,).
        groupings: by name (``"zone"``, ``"age"``), names of the groups and people by point and group, (points, groups).
        cells: cell of :attr:`grid` of each point, (points,); None without a grid.
        grid: the grid that the points are summed up in.
        of_person: point at which each resident of a city lives, (people,); None for points of a table.
    """

    name: list[str]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    people: NDArray[np.float64]
    groupings: dict[str, tuple[list[str], NDArray[np.float64]]] = field(default_factory=dict)
    cells: NDArray[np.int64] | None = None
    grid: CityGrid | None = None
    of_person: NDArray[np.intp] | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Opportunities:
    """What people may reach.

    Attributes:
        kinds: names, for example ``("jobs", "schools")``.
        x, y: float64 (points,) metres in the CRS of the streets.
        count: float64 (points, kinds), from 0.
    """

    kinds: tuple[str, ...]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    count: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.count.shape != (len(self.x), len(self.kinds)):
            raise AccessError(
                f"opportunities: counts of shape {self.count.shape} for {len(self.x)} points and {len(self.kinds)} kinds"
            )
        if not np.all(np.isfinite(self.count) & (self.count >= 0)):
            raise AccessError("opportunities: counts must be numbers, not below 0")


def read_points(path: str | Path, crs: str) -> tuple[Origins | None, Opportunities | None]:
    """Read points with what there is at each: a CSV with ``id``, ``lon``, ``lat`` (degrees) and columns of counts.

    A column named as one of :data:`PEOPLE` counts people, every other column of numbers an opportunity; columns of words
    are left aside. An empty count is 0.

    Args:
        path: the file, UTF-8, with a line of column names.
        crs: projected CRS of the streets.

    Returns:
        The people (None if no column counts them) and the opportunities (None if there is no such column).

    Raises:
        AccessError: if the file cannot be read, a column is missing, or a value is no number, negative or no coordinate;
            the message names the line.
    """
    path = Path(path)
    head, rows, lines = _read_csv(path)
    named = {name.strip().lower(): position for position, name in enumerate(head)}
    if len(named) < len(head):
        raise AccessError(f"{path}, line 1: a column stands there twice: {', '.join(head)}")
    at: dict[str, int] = {}
    for what, allowed in {"id": ("id",), **_WHERE}.items():
        found = [named[name] for name in allowed if name in named]
        if not found:
            raise AccessError(
                f"{path}, line 1: no column '{what}'; wanted are id, lon, lat (degrees) and columns of counts, "
                f"there are: {', '.join(head)}"
            )
        at[what] = found[0]
    lon, lat = (_numbers(path, rows, lines, at[what], what) for what in ("lon", "lat"))
    for what, values, most in (("lon", lon, 180.0), ("lat", lat, 90.0)):
        wrong = np.flatnonzero(np.abs(values) > most)
        if len(wrong):
            raise AccessError(
                f"{path}, line {lines[wrong[0]]}: {what} is {values[wrong[0]]:g}, degrees go from −{most:g} to {most:g}"
            )
    x, y = _project(lon, lat, crs)
    wrong = np.flatnonzero(~(np.isfinite(x) & np.isfinite(y)))
    if len(wrong):
        row = int(wrong[0])
        raise AccessError(
            f"{path}, line {lines[row]}: lon {lon[row]:g}, lat {lat[row]:g} is far outside the city ({crs}); "
            "are the columns swapped?"
        )
    names = [row[at["id"]] for row in rows]
    people, kinds, counts = None, [], []
    for position, name in enumerate(head):
        if position in at.values() or not any(_is_number(row[position]) for row in rows):
            continue
        values = _numbers(path, rows, lines, position, name, empty=0.0)
        wrong = np.flatnonzero(values < 0)
        if len(wrong):
            raise AccessError(f"{path}, line {lines[wrong[0]]}: {name} is {values[wrong[0]]:g}; counts are 0 or more")
        if name.strip().lower() in PEOPLE and people is None:
            people = values
        else:
            kinds.append(name.strip())
            counts.append(values)
    if people is None and not kinds:
        raise AccessError(
            f"{path}, line 1: only id and coordinates; add a column of counts, for example population or jobs"
        )
    origins = None if people is None else Origins(names, x, y, people)
    return origins, Opportunities(tuple(kinds), x, y, np.stack(counts, 1)) if kinds else None


def residents_of(city: "City", cell: float = CELL) -> Origins:
    """Return the homes of a city with their residents, by the groups of :func:`..groups.groups_of` and grid cell.

    Args:
        city: the city.
        cell: side of the cells, m.
    """
    homes = slice(0, city.homes)
    spot, row = np.unique(np.stack([city.places.x[homes], city.places.y[homes]]).T, axis=0, return_inverse=True)
    row = row.ravel()[city.people.household]
    x, y = (np.ascontiguousarray(spot[:, axis]) for axis in (0, 1))
    grid = CityGrid.of_city(city, cell)

    def by(group: NDArray[np.integer], groups: int) -> NDArray[np.float64]:
        return np.bincount(row * groups + group, minlength=len(x) * groups).reshape(len(x), groups).astype(float)

    west, _, _, north = grid.bounds
    columns = grid.shape[1]
    cells = ((north - y) // cell).astype(np.int64) * columns + ((x - west) // cell).astype(np.int64)
    return Origins(
        name=[str(number) for number in range(len(x))],
        x=x,
        y=y,
        people=np.bincount(row, minlength=len(x)).astype(float),
        groupings={name: (groups.names, by(groups.of, len(groups.names))) for name, groups in groups_of(city).items()},
        cells=cells,
        grid=grid,
        of_person=row,
    )


def opportunities_of(city: "City") -> Opportunities:
    """Return what a city offers: jobs by the people who work there, and the :data:`SITES`, one each."""
    activity = city.people.activity
    works = activity[(activity >= 0) & (np.asarray(city.people.role) == Role.WORKER)]
    place, jobs = np.unique(works, return_counts=True)
    kinds = ("jobs", *SITES)
    site_kind = np.asarray(city.sites.kind)
    member = np.stack([np.isin(site_kind, wanted) for wanted in SITES.values()], 1)
    rows = np.flatnonzero(member.any(axis=1))
    count = np.zeros((len(place) + len(rows), len(kinds)))
    count[: len(place), 0] = jobs
    count[len(place) :, 1:] = member[rows]
    x, y = (np.concatenate([city.places[axis][place], city.sites[axis][rows]]).astype(float) for axis in ("x", "y"))
    return Opportunities(kinds, x, y, count)


def _project(lon: NDArray[np.float64], lat: NDArray[np.float64], crs: str) -> tuple[Any, Any]:
    import pyproj

    return pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)


def _read_csv(path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Return column names, rows, and the line in which each row ends."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise AccessError(f"{path}: larger than {LARGEST_FILE // 2**20} MiB; keep the columns that are needed")
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            head = next(reader, [])
            rows, lines = [], []
            for row in reader:
                if not row:
                    continue
                if len(row) != len(head):
                    raise AccessError(f"{path}, line {reader.line_num}: {len(row)} values, the head has {len(head)}")
                rows.append(row)
                lines.append(reader.line_num)
                if len(rows) > MOST_POINTS:
                    raise AccessError(f"{path}: more than {MOST_POINTS:,} points")
    except OSError as error:
        raise AccessError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise AccessError(f"{path}: is no table of text ({error}); save it as CSV in UTF-8") from None
    if not rows:
        raise AccessError(f"{path}: holds no points; wanted are a line of column names and a line for each point")
    return head, rows, lines


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbers(
    path: Path, rows: list[list[str]], lines: list[int], position: int, name: str, empty: float = math.nan
) -> NDArray[np.float64]:
    values = np.empty(len(rows))
    for number, row in enumerate(rows):
        text = row[position].strip()
        value = float(text) if _is_number(text) else math.nan if text else empty
        if not math.isfinite(value):
            raise AccessError(f"{path}, line {lines[number]}: {name} is '{text[:40]}', must be a number")
        values[number] = value
    return values
