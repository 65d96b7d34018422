"""Census tables by zone: read and checked here, met by whole households in :mod:`census_fit`."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas
import shapely
from numpy.typing import NDArray

from .. import toml
from ..schema import CityError, Source
from .fabric import Fabric
from .osm.read import first_at, utm_zone
from .osm.zones import zone_of

MAX_BYTES = 200_000_000
MAX_AGE = 120
_COLUMNS = ("zones", "table", "zones_key", "table_key", "name", "inhabitants", "ages", "households", "source")
_EXAMPLES = {"zones": "zones.geojson", "table": "census.csv", "ages": '{ "0-15" = "A", "16+" = "B" }'}
_EXAMPLES |= {"households": '{ "1" = "A", "2+" = "B" }'}
_SHOWN = 20  # problems listed in one message


@dataclass
class ZoneTable:
    """What a census says by zone.

    Attributes:
        zones: ``name``, ``key`` and ``geometry`` in a projected CRS in metres; row numbers are zone numbers.
        inhabitants: int64 (zones,).
        age_from: int64 (classes,) first year of each age class, rising from 0; the last class is open.
        ages: int64 (zones, classes) inhabitants by age class, which add up to ``inhabitants``.
        sizes: int64 (columns,) persons in the households of each column, 1, 2 …
        open_class: whether the last column means "that many or more".
        households: int64 (zones, columns).
        sources: files read.
        report: figures of what was found inconsistent and adjusted.
    """

    zones: geopandas.GeoDataFrame
    inhabitants: NDArray[np.int64]
    age_from: NDArray[np.int64]
    ages: NDArray[np.int64]
    sizes: NDArray[np.int64]
    open_class: bool
    households: NDArray[np.int64]
    sources: list[Source] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def crs(self) -> str:
        """Projected CRS of the zones."""
        return str(self.zones.crs)


def read_zone_table(
    columns: Mapping[str, Any] | str | Path, *, zones: str | Path | None = None, table: str | Path | None = None
) -> ZoneTable:
    """Read zones and their census table.

    Args:
        columns: which files there are and which column means what, as a mapping or a TOML file::

            zones = "barris.geojson"        # files, from the TOML file's folder on; or given as arguments
            table = "population.csv"
            zones_key = "BARRI"             # column of the zones file that names a zone …
            table_key = "Codi_Barri"        # … and of the table ("01" and 1 are the same)
            name = "NOM"                    # column of the zones file, optional
            inhabitants = "Hab"
            source = { name = "Barcelona", licence = "CC BY 4.0", attribution = "Ajuntament de Barcelona" }  # optional
            [ages]                          # classes follow each other from 0, the last is open
            "0-15" = "Hab_00_15_Age"
            "16+" = "Hab_16_nn_Age"
            [households]                    # by size from 1 on, the last may be open
            "1" = "Dom_01_Pers"
            "2+" = "Dom_02_nn_Pers"
        zones: GeoJSON or GeoPackage with one polygon a zone.
        table: CSV with one row a zone, separated by comma, semicolon or tab; whole numbers.

    Returns:
        The table. Ages that do not add up to the inhabitants of a zone are scaled to them; households that hold more
        people than the zone has inhabitants are scaled down, all sizes alike. Both are told in ``report``.

    Raises:
        CityError: naming every problem found, each with file, column and zone.
    """
    wanted, where = _mapping(columns)
    folder = Path() if isinstance(columns, Mapping) else Path(columns).parent
    paths = []
    for word, given in (("zones", zones), ("table", table)):
        if given is None and word not in wanted:
            raise CityError(f"{where}: '{word}' must name a file, such as {word} = \"{_EXAMPLES[word]}\"")
        paths.append(Path(given) if given is not None else folder / wanted[word])
    zones_path, csv_path = paths
    frame, cells = _read_zones(zones_path), _read_csv(csv_path)
    in_table = [wanted["table_key"], wanted["inhabitants"], *wanted["ages"].values(), *wanted["households"].values()]
    in_zones = [wanted["zones_key"], *([wanted["name"]] if "name" in wanted else [])]
    problems: list[str] = []
    for path, names, there in ((zones_path, in_zones, frame.columns), (csv_path, in_table, cells.columns)):
        some = ", ".join(str(c) for c in there[:12]) + (" …" if len(there) > 12 else "")
        lost = [name for name in names if name not in there]
        problems += [f"{path}: no column '{name}' (asked for by {where}); there are: {some}" for name in lost]
    age_from = _age_classes(list(wanted["ages"]), where, problems)
    sizes, open_class = _size_classes(list(wanted["households"]), where, problems)
    _refuse(problems)

    order = _match(frame[wanted["zones_key"]], cells[wanted["table_key"]], (zones_path, csv_path))
    keys = [_key(k) for k in cells[wanted["table_key"]]]
    inhabitants = _numbers(cells, wanted["inhabitants"], keys, csv_path, problems)
    ages = np.column_stack([_numbers(cells, c, keys, csv_path, problems) for c in wanted["ages"].values()])
    homes = np.column_stack([_numbers(cells, c, keys, csv_path, problems) for c in wanted["households"].values()])
    _refuse(problems)

    inhabitants, ages, homes = inhabitants[order], ages[order], homes[order]
    if not inhabitants.any() or not ages.any():
        raise CityError(f"{csv_path}: column '{wanted['inhabitants']}' or all ages are 0: nobody lives there")
    zone_keys = [_key(k) for k in frame[wanted["zones_key"]]]
    names = [str(n) for n in frame[wanted["name"]]] if "name" in wanted else zone_keys
    report: dict[str, Any] = {}
    ages = _fit_ages(ages, inhabitants, names, report)
    homes = _fit_sizes(homes, sizes, inhabitants, names, report)
    told = wanted.get("source", {})
    sources = [
        Source(
            str(told.get("name", path.stem)),
            str(told.get("licence", "not stated")),
            str(told.get("attribution", "")),
            path.name,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in paths
    ]
    named = geopandas.GeoDataFrame({"name": names, "key": zone_keys}, geometry=frame.geometry.array, crs=frame.crs)
    return ZoneTable(named, inhabitants, age_from, ages, sizes, open_class, homes, sources, report)


def lay_zones(fabric: Fabric, table: ZoneTable) -> Fabric:
    """Return the fabric with the zones of a census table in place of its own.

    Buildings outside every zone lose their dwellings: the table does not count who lives there.
    """
    zones = table.zones.to_crs(fabric.crs)
    buildings, sites = (
        part | {"zone": zone_of(zones, part["x"], part["y"])} for part in (fabric.buildings, fabric.sites)
    )
    tree = shapely.STRtree(np.asarray(zones.geometry.array))
    inside = first_at(tree, shapely.points(buildings["x"], buildings["y"])) >= 0
    buildings["dwellings"] = np.where(inside, buildings["dwellings"], 0).astype(np.int32)
    made = {"zones": len(zones), "made of": "census", "buildings outside": int((~inside).sum())}
    report = fabric.report | {"zones": made}
    return replace(
        fabric,
        zones=zones[["name", "geometry"]],
        buildings=buildings,
        sites=sites,
        sources=[*fabric.sources, *table.sources],
        report=report,
        people=int(table.inhabitants.sum()),
    )


# ---------------------------------------------------------------------- reading


def _refuse(problems: list[str]) -> None:
    if problems:
        more = f"\n… and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise CityError("\n".join(problems[:_SHOWN]) + more)


def _mapping(columns: Mapping[str, Any] | str | Path) -> tuple[dict[str, Any], str]:
    """Return the mapping of columns, checked for shape, and what to call it in messages."""
    where = "the column mapping"
    if not isinstance(columns, Mapping):
        where = str(columns)
        try:
            columns = toml.parse(Path(columns).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CityError(f"{where}: not a readable TOML file ({error})") from None
    problems = [f"{where}: unknown key '{k}'; allowed: {', '.join(_COLUMNS)}" for k in columns if k not in _COLUMNS]
    problems += [
        f"{where}: '{name}' must name a column, such as {name} = \"Code\""
        for name in ("zones_key", "table_key", "inhabitants")
        if not isinstance(columns.get(name), str)
    ]
    for name in ("ages", "households"):
        value = columns.get(name)
        if not isinstance(value, Mapping) or not value or not all(isinstance(v, str) for v in value.values()):
            remedy = f"such as {name} = {_EXAMPLES[name]}"
            problems.append(f"{where}: '{name}' must give a column for each class, {remedy}")
    for name, kind, word in (("name", str, "a column"), ("zones", str, "a file"), ("table", str, "a file")):
        if name in columns and not isinstance(columns[name], kind):
            problems.append(f"{where}: '{name}' must name {word}")
    if not isinstance(columns.get("source", {}), Mapping):
        problems.append(f"{where}: 'source' must be a table with name, licence and attribution")
    _refuse(problems)
    return dict(columns), where


def _age_classes(labels: list[str], where: str, problems: list[str]) -> NDArray[np.int64]:
    """Return the first year of every class; they must follow each other from 0, the last one open."""
    first, expected = [], 0
    for position, label in enumerate(labels):
        found = re.fullmatch(r"\s*(\d{1,3})\s*(?:-\s*(\d{1,3})|(\+))\s*", label)
        last = position == len(labels) - 1
        if not found or int(found[1]) != expected or bool(found[3]) != last or expected > MAX_AGE:
            shape = f'"{expected}+"' if last else f'"{expected}-…"'
            problems.append(
                f"{where}: ages: class '{label}' must be {shape}: classes follow each other from 0, the last is open"
            )
            return np.zeros(1, np.int64)
        first.append(expected)
        expected = int(found[2] or MAX_AGE) + 1
        if expected <= first[-1]:
            problems.append(f"{where}: ages: class '{label}' ends before it begins")
    return np.array(first, np.int64)


def _size_classes(labels: list[str], where: str, problems: list[str]) -> tuple[NDArray[np.int64], bool]:
    """Return the size of every class (1, 2 …) and whether the last is open."""
    for position, label in enumerate(labels):
        last = position == len(labels) - 1
        if label.strip() != f"{position + 1}" and not (last and label.strip() == f"{position + 1}+"):
            problems.append(
                f"{where}: households: class '{label}' must be \"{position + 1}\": sizes follow each other from 1, "
                'only the last may be open, such as "9+"'
            )
            break
    return np.arange(1, len(labels) + 1), labels[-1].strip().endswith("+")


def _check_file(path: Path, suffixes: tuple[str, ...]) -> None:
    if not path.is_file():
        raise CityError(f"{path}: there is no such file")
    if not path.name.lower().endswith(suffixes):
        raise CityError(f"{path}: must be a file of the kind {', '.join(suffixes)}")
    if path.stat().st_size > MAX_BYTES:
        raise CityError(f"{path}: {path.stat().st_size / 1e6:,.0f} MB, at most {MAX_BYTES / 1e6:,.0f} MB are read")


def _read_zones(path: Path) -> geopandas.GeoDataFrame:
    """Return the polygons in the UTM zone of their middle."""
    _check_file(path, (".geojson", ".json", ".gpkg"))
    try:
        zones = geopandas.read_file(path)
    except Exception as error:  # the reader's errors share no base class
        raise CityError(f"{path}: not a readable GeoJSON or GeoPackage ({str(error).splitlines()[0]})") from None
    if not len(zones) or "geometry" not in zones:
        raise CityError(f"{path}: holds no zones")
    if zones.crs is None:
        raise CityError(f"{path}: has no coordinate reference system; write it with one (GeoJSON: EPSG:4326)")
    kinds = zones.geometry.geom_type.to_numpy()
    bad = [str(i + 1) for i, kind in enumerate(kinds) if kind not in ("Polygon", "MultiPolygon")]
    if bad:
        raise CityError(f"{path}: feature {', '.join(bad[:10])}: must be a polygon, is {kinds[int(bad[0]) - 1]}")
    west, south, east, north = zones.to_crs("EPSG:4326").total_bounds
    zones = zones.to_crs(utm_zone((west + east) / 2, (south + north) / 2))
    zones.geometry = shapely.make_valid(np.asarray(zones.geometry.array))
    return zones


def _read_csv(path: Path) -> pandas.DataFrame:
    """Return all cells as text."""
    _check_file(path, (".csv", ".tsv", ".txt"))
    try:
        with path.open(encoding="utf-8-sig") as file:
            head = file.readline()
        separator = max(",;\t", key=head.count)
        return pandas.read_csv(path, sep=separator, dtype=str, encoding="utf-8-sig", keep_default_na=False)
    except (UnicodeDecodeError, ValueError, pandas.errors.ParserError) as error:
        raise CityError(f"{path}: not a readable table in UTF-8 ({str(error).splitlines()[0]})") from None


def _key(value: object) -> str:
    """Return a zone's key as text; "01", 1 and 1.0 are the same."""
    text = str(value).strip()
    return str(int(float(text))) if re.fullmatch(r"\d{1,15}(\.0*)?", text) else text


def _match(zones: pandas.Series, table: pandas.Series, paths: tuple[Path, Path]) -> NDArray[np.intp]:
    """Return the row of the table for every zone, from the key columns of both files."""
    problems: list[str] = []
    for column, others, path, other in ((zones, table, *paths), (table, zones, *paths[::-1])):
        known, seen = {_key(k) for k in others}, set()
        for row, key in enumerate(_key(k) for k in column):
            at = f"{path}: column '{column.name}', row {row + 1}: zone '{key}'"
            if key in seen:
                problems.append(f"{at} stands twice")
            elif key not in known:
                problems.append(f"{at} is not in {other}")
            seen.add(key)
    _refuse(problems)
    row_of = {_key(key): row for row, key in enumerate(table)}
    return np.array([row_of[_key(key)] for key in zones], np.intp)


def _numbers(
    table: pandas.DataFrame, column: str, keys: list[str], path: Path, problems: list[str]
) -> NDArray[np.int64]:
    """Return a column of counts; everything that is none is a problem."""
    values = np.zeros(len(table), np.int64)
    for row, text in enumerate(table[column]):
        found = re.fullmatch(r"\s*(-?\d{1,12})(?:\.(\d+))?\s*", str(text))
        at = f"{path}: column '{column}', zone '{keys[row]}'"
        if found is None:
            problems.append(f"{at}: '{str(text)[:40]}' is not a number")
        elif int(found[1]) < 0:
            problems.append(f"{at}: {text} is negative")
        elif int(found[2] or 0):
            problems.append(f"{at}: {text} is not a whole number of persons or households")
        else:
            values[row] = int(found[1])
    return values


# ---------------------------------------------------------------------- consistency


def round_to(values: NDArray[np.float64], total: int) -> NDArray[np.int64]:
    """Round to whole numbers that add up to a total: the largest remainders are rounded up."""
    low = np.floor(values).astype(np.int64)
    rest = np.argsort(-(values - low), kind="stable")[: total - int(low.sum())]
    low[rest] += 1
    return low


def _fit_ages(
    ages: NDArray[np.int64], inhabitants: NDArray[np.int64], names: list[str], report: dict[str, Any]
) -> NDArray[np.int64]:
    """Scale ages to the inhabitants where they do not add up; a zone without ages takes the city's."""
    fitted = ages.copy()
    off = np.flatnonzero(ages.sum(1) != inhabitants)
    whole = ages.sum(0)
    for zone in off:
        shares = ages[zone] if ages[zone].any() else whole
        fitted[zone] = round_to(shares / shares.sum() * inhabitants[zone], int(inhabitants[zone]))
    report["zones whose ages do not add up to the inhabitants"] = [
        f"{names[z]}: ages {ages[z].sum():,}, inhabitants {inhabitants[z]:,}: scaled" for z in off
    ]
    return fitted


def _fit_sizes(
    households: NDArray[np.int64],
    sizes: NDArray[np.int64],
    inhabitants: NDArray[np.int64],
    names: list[str],
    report: dict[str, Any],
) -> NDArray[np.int64]:
    """Scale households down where they hold more people than the zone has."""
    fitted = households.copy()
    least = households @ sizes
    off = np.flatnonzero(least > inhabitants)
    for zone in off:
        fitted[zone] = np.floor(households[zone] * (inhabitants[zone] / least[zone]))
    report["zones whose households hold more than the inhabitants"] = [
        f"{names[z]}: at least {least[z]:,} persons in households, inhabitants {inhabitants[z]:,}: scaled" for z in off
    ]
    report["persons in households of the table, at least"] = int((fitted @ sizes).sum())
    report["persons beyond"] = int(inhabitants.sum() - (fitted @ sizes).sum())
    report["inhabitants"] = int(inhabitants.sum())
    report["households"] = int(fitted.sum())
    return fitted
