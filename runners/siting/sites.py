"""Sites where stations may stand: those there are, institutions, street corners all over the city, or points of a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...agents.response.settings import MOST_STATIONS, MOST_UNITS
from ...agents.response.siting.plan import SitingError, named
from ...environment.places import SiteKind

if TYPE_CHECKING:
    import pandas

    from .demand import Demand
    from .question import Question

STATIONS, INSTITUTIONS, GRID = "stations", "sites", "grid"
GRID_SITES = 120
"""Street corners that ``grid`` offers, about; assumed."""
NEAR = 1_000.0
"""Metres around the city, and from the nearest street for emergency vehicles, within which a site may lie; assumed."""
TABLES, LAYERS = (".csv",), (".geojson", ".gpkg")
_KINDS = (
    SiteKind.AMBULANCE_STATION,
    SiteKind.FIRE_STATION,
    SiteKind.POLICE_STATION,
    SiteKind.HOSPITAL,
)


@dataclass(frozen=True)
class Sites:
    """Sites, one row each; today's stations come first.

    Attributes:
        name: what they are called.
        site: int64 institution of the city, −1 for none.
        x, y: float64 m in the CRS of the city.
        node: int32 node of the streets.
        most: int64 units that fit.
        today: number of today's stations.
    """

    name: tuple[str, ...]
    site: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    node: NDArray[np.int32]
    most: NDArray[np.int64]
    today: int

    def __len__(self) -> int:
        return len(self.name)

    def station(self, row: int) -> dict[str, Any]:
        """Return a site as a station of a scenario."""
        told: dict[str, Any] = {"name": self.name[row]}
        if self.site[row] >= 0:
            return told | {"site": int(self.site[row])}
        return told | {"x": float(self.x[row]), "y": float(self.y[row])}


@dataclass(frozen=True)
class Points:
    """Points that are offered, (points,) each: name, m in a CRS, institution (−1 for none), and units that fit."""

    name: list[str]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    site: NDArray[np.int64]
    most: NDArray[np.int64]

    @classmethod
    def of(
        cls, name: list[str], x: ArrayLike, y: ArrayLike, site: ArrayLike = -1, most: ArrayLike = MOST_UNITS
    ) -> "Points":
        rows = len(name)
        numbers = [np.broadcast_to(np.asarray(values, np.int64), rows) for values in (site, most)]
        return cls(name, np.asarray(x, float), np.asarray(y, float), *numbers)

    def rows(self, chosen: NDArray[np.bool_]) -> "Points":
        """Return some of the points."""
        names = [name for name, keep in zip(self.name, chosen, strict=True) if keep]
        return Points(names, self.x[chosen], self.y[chosen], self.site[chosen], self.most[chosen])


def sites_of(question: "Question", demand: "Demand", candidates: str) -> tuple[Sites, list[str]]:
    """Return the sites, and what a reader must know of them.

    Today's stations are always among them; further ones that lie at the same street corner as another are left out.

    Args:
        question: city and today's stations.
        demand: where calls come from.
        candidates: ``stations``, ``sites``, ``grid``, or the name of a file.

    Raises:
        SitingError: if there are none, or too many.
    """
    offered, notes = _offered(question, demand, candidates)
    scene = question.scenes.at_points(offered.x, offered.y)
    x, y = (axis[scene.node] for axis in (question.network.x, question.network.y))
    near = np.hypot(x - offered.x, y - offered.y) <= NEAR
    if not near.all():
        notes.append(f"{np.count_nonzero(~near):,} sites more than {NEAR:,.0f} m from any street in use were left out.")
    offered, node = offered.rows(near), scene.node[near]
    today = question.today
    if today is not None:
        there = today.stations
        known = Points.of(list(there.name), there.x, there.y, there.site)
        offered = Points(
            known.name + offered.name,
            *(np.concatenate([getattr(known, name), getattr(offered, name)]) for name in ("x", "y", "site", "most")),
        )
        node = np.concatenate([there.node, node])
    kept = np.zeros(len(node), bool)
    kept[np.unique(node, return_index=True)[1]] = True
    kept[: 0 if today is None else len(today.stations)] = True
    offered, node = offered.rows(kept), node[kept]
    if not len(node):
        raise SitingError(_nothing(question, candidates))
    if len(node) > MOST_STATIONS:
        raise SitingError(f"--candidates {candidates}: {len(node):,} sites; at most {MOST_STATIONS:,} are compared")
    sites = Sites(
        tuple(_unlike([name[:40] for name in offered.name])),
        offered.site,
        offered.x,
        offered.y,
        node.astype(np.int32),
        offered.most,
        0 if today is None else len(today.stations),
    )
    return sites, notes


def _nothing(question: "Question", candidates: str) -> str:
    if candidates == STATIONS:
        return (
            f"--candidates stations: the city has no {question.service} station; write sites, grid or a file "
            f"({', '.join((*TABLES, *LAYERS))})"
        )
    return f"--candidates {candidates}: none of the sites lies in the city and near its streets"


def _offered(question: "Question", demand: "Demand", candidates: str) -> tuple[Points, list[str]]:
    city = question.city
    if candidates == STATIONS:
        return Points.of([], [], []), []
    if candidates == INSTITUTIONS:
        rows = np.flatnonzero(np.isin(city.sites.kind, _KINDS))
        layer = city.layer("sites")
        known = [None] * len(city.sites.kind) if layer is None or "name" not in layer else list(layer["name"])
        kinds = [SiteKind(int(city.sites.kind[row])).name.lower().replace("_", " ") for row in rows]
        names = [
            str(known[row]) if isinstance(known[row], str) and known[row] else f"{kind} {row}"
            for row, kind in zip(rows, kinds, strict=True)
        ]
        return Points.of(names, city.sites.x[rows], city.sites.y[rows], rows), []
    if candidates == GRID:
        return _corners(question, demand), []
    if Path(candidates).suffix.lower() not in (*TABLES, *LAYERS):
        raise SitingError(
            f"--candidates {candidates}: allowed are stations, sites, grid, or a file ({', '.join((*TABLES, *LAYERS))})"
        )
    points = read_sites(Path(candidates), city.info.crs)
    west, south, east, north = city.info.bounds
    return within(points, (west - NEAR, south - NEAR, east + NEAR, north + NEAR), candidates)


def within(points: Points, bounds: tuple[float, float, float, float], where: str) -> tuple[Points, list[str]]:
    """Return the points inside a box (west, south, east, north; m), and a note of how many are not.

    Raises:
        SitingError: if none is.
    """
    west, south, east, north = bounds
    inside = (points.x >= west) & (points.x <= east) & (points.y >= south) & (points.y <= north)
    if not inside.any():
        raise SitingError(
            f"{where}: none of its {len(inside):,} points lies in the city, which reaches from ({west:.0f}, {south:.0f}) to "
            f"({east:.0f}, {north:.0f}) m; are longitude and latitude swapped?"
        )
    if inside.all():
        return points, []
    return points.rows(inside), [
        f"{where}: {np.count_nonzero(~inside):,} of {len(inside):,} points lie outside the city."
    ]


def _corners(question: "Question", demand: "Demand") -> Points:
    """Return street corners spread over where calls come from, each that of most calls in its square."""
    side = demand.side
    while True:
        square = np.unique(np.floor(np.column_stack([demand.x, demand.y]) / side), axis=0, return_inverse=True)[
            1
        ].ravel()
        if square.max() < GRID_SITES:
            break
        side *= 1.2
    order = np.lexsort((-demand.calls, square))
    first = order[np.unique(square[order], return_index=True)[1]]
    node = demand.node[first]
    return Points.of(_corner_names(question, node), question.network.x[node], question.network.y[node])


def _corner_names(question: "Question", node: NDArray[np.int32]) -> list[str]:
    """Return the name of a street at each node; "corner" and its number where none has one."""
    layer = question.city.layer("roads")
    links = question.city.links
    names: dict[int, str] = {}
    if layer is not None and "name" in layer and len(layer) == len(links.start):
        wanted = np.flatnonzero(np.isin(links.start, node))
        for start, name in zip(links.start[wanted].tolist(), layer["name"].iloc[wanted], strict=True):
            if isinstance(name, str) and name:
                names.setdefault(start, name)
    return [names.get(at, f"corner {at}") for at in node.tolist()]


def _unlike(names: list[str]) -> list[str]:
    """Return names of which none is that of another."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return out


# ---------------------------------------------------------------------- files


def read_sites(path: Path, crs: str) -> Points:
    """Read points: GeoJSON, GeoPackage, or a CSV with columns whose names end with longitude and latitude (or lon and lat).

    A column ``name``, or one that ends so, names them; a column ``most`` holds the units that fit.

    Args:
        path: the file.
        crs: projected CRS of the city.

    Raises:
        SitingError: if it cannot be read, a column is missing or a value is none; the message names the line or row.
    """
    if not path.is_file():
        raise SitingError(f"{path}: there is no such file")
    table, x, y = _of_csv(path, crs) if path.suffix.lower() in TABLES else _of_layer(path, crs)
    if not len(table):
        raise SitingError(f"{path}: holds no points")
    lost = np.flatnonzero(~(np.isfinite(x) & np.isfinite(y)))
    if len(lost):
        raise SitingError(
            f"{path}: rows {named(lost + 1)} cannot be placed in {crs}; are longitude and latitude swapped?"
        )
    column = next((name for name in table if str(name).lower().endswith("name")), None)
    names = [f"point {row + 1}" for row in range(len(table))]
    if column is not None:
        names = [
            str(name).strip() if isinstance(name, str) and name.strip() else other
            for name, other in zip(table[column], names, strict=True)
        ]
    return Points.of(names, x, y, -1, _most(path, table))


def _of_csv(path: Path, crs: str) -> "tuple[pandas.DataFrame, NDArray[np.float64], NDArray[np.float64]]":
    import pandas
    import pyproj

    try:
        table = pandas.read_csv(path, dtype=str, encoding="utf-8-sig", skip_blank_lines=False)
    except (OSError, ValueError) as error:
        raise SitingError(f"{path}: cannot be read as a table ({error}); save it as CSV in UTF-8") from None
    found = []
    for endings, limit in ((("longitude", "lon", "lng"), 180.0), (("latitude", "lat"), 90.0)):
        column = next((name for name in table if str(name).strip().lower().endswith(endings)), None)
        if column is None:
            there = ", ".join(str(name) for name in table)
            raise SitingError(f"{path}, line 1: no column whose name ends with {endings[0]}; there are: {there}")
        values = pandas.to_numeric(table[column].str.strip(), errors="coerce").to_numpy(float)
        wrong = np.flatnonzero(~(np.abs(values) <= limit))
        if len(wrong):
            raise SitingError(
                f"{path}, line {wrong[0] + 2}: {column} is '{table[column].iloc[wrong[0]]}'; degrees from −{limit:g} to "
                f"{limit:g} are wanted ({len(wrong)} such values)"
            )
        found.append(values)
    x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(*found)
    return table, np.asarray(x), np.asarray(y)


def _of_layer(path: Path, crs: str) -> "tuple[pandas.DataFrame, NDArray[np.float64], NDArray[np.float64]]":
    import geopandas
    import shapely

    try:
        layer = geopandas.read_file(path)
    except Exception as error:  # whatever the drivers raise
        raise SitingError(f"{path}: cannot be read ({error})") from None
    if not isinstance(layer, geopandas.GeoDataFrame) or layer.crs is None:
        raise SitingError(f"{path}: holds no points with a coordinate reference system")
    wrong = np.flatnonzero(~(shapely.get_type_id(layer.geometry.to_numpy()) == 0))
    if len(wrong):
        raise SitingError(f"{path}: rows {named(wrong + 1)} are no points; write points alone")
    placed = layer.geometry.to_crs(crs)
    return layer.drop(columns=layer.geometry.name), placed.x.to_numpy(), placed.y.to_numpy()


def _most(path: Path, table: "pandas.DataFrame") -> NDArray[np.int64]:
    import pandas

    if "most" not in table:
        return np.full(len(table), MOST_UNITS)
    values = pandas.to_numeric(table["most"], errors="coerce").to_numpy(float)
    wrong = np.flatnonzero(~((values >= 0) & (values <= MOST_UNITS) & (values == np.floor(values))))
    if len(wrong):
        raise SitingError(
            f"{path}, row {wrong[0] + 1}: most is '{table['most'].iloc[wrong[0]]}'; whole numbers from 0 to {MOST_UNITS:,} "
            "are wanted"
        )
    return values.astype(np.int64)
