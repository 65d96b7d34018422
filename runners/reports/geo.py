"""Results on the map: infections and deaths by zone and by cell, as GeoDataFrames and GeoParquet files.

Figures are means over the runs of one point of a sweep, added up over the whole run. The unit of a column stands in its
name; a column without one counts people.
"""

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..records import ZONE_TABLE
from ..scenarios.cities import CITIES
from ..scenarios.sections import CELL_TABLE
from ..storage import store
from ..storage.tables import StoreError
from .files import check_target
from .labels import headline, point_label, short_names

if TYPE_CHECKING:
    import geopandas
    import pandas as pd
    import pyarrow as pa

    from ...environment.city import City
    from ..results import Results

LAYERS = (".parquet",)
ABOUT = b"citytwin.map"
"""Key in the metadata of a GeoParquet file that says what it shows, as JSON."""
M2_PER_KM2 = 1e6
RESIDENTS = 100
"""Residents of the cell of the median resident from which cells are drawn as they are (assumed)."""
_MOST_JOINED = 16


@dataclass(frozen=True)
class Shown:
    """A figure of the map.

    Attributes:
        column: column of the layers.
        label: what a legend calls it, with its unit.
    """

    column: str
    label: str


SHOWN = {
    "infections": Shown("infections_per_km2", "infections per km²"),
    "attack": Shown("infections_per_100", "infections per 100 residents"),
    "deaths": Shown("deaths_per_km2", "deaths per km²"),
}


def write_maps(results: "Results", folder: Path, point: int, shown: Shown) -> list[Path]:
    """Write what is known of a point by zone and by cell: ``zones.parquet``, ``cells.parquet``, and a PNG of each.

    Args:
        results: the results.
        folder: where the files go.
        point: point of the sweep.
        shown: figure in the pictures, one of :data:`SHOWN`.

    Returns:
        The files.

    Raises:
        StoreError: if there is no such point, nothing to map, or a file cannot be written.
        CityError: if the city is no longer where it was.
    """
    from .maps import save_layer

    city = city_of(results, point)
    layers = {"zones": zone_layer(results, city, point), "cells": cell_layer(results, city, point)}
    facts = about(results, city, point)
    written = []
    for name, layer in layers.items():
        if layer is not None and shown.column in layer:
            written.append(write_layer(layer, folder / f"{name}.parquet", facts))
            drawn = layer if name == "zones" else coarser(layer)
            written.append(save_layer(city, drawn, shown, folder / f"{name}.png", facts))
    if not written:
        raise StoreError(
            f"{results.directory}: holds no {shown.label} by zone or cell; write by_zone = true or "
            'tables = ["cells"] under [output] and run again'
        )
    return written


def has_areas(results: "Results") -> bool:
    """Return whether results hold infections by zone or cell."""
    kept = {ZONE_TABLE, CELL_TABLE} & set(results.tables)
    return any({"new_infections", "infections"} & set(results.table(name).columns) for name in kept)


def city_of(results: "Results", point: int) -> "City":
    """Return the city of a point.

    Raises:
        StoreError: if there is no such point, no run of it, or the results are in memory.
        CityError: if the city is no longer where it was.
    """
    from ...environment.city import City

    if results.directory is None:
        raise StoreError("the results are in memory; run with out=… to map them")
    if not 0 <= point < len(results.points):
        raise StoreError(f"point {point}: there are points 0 to {len(results.points) - 1}")
    if not (results.summary["point"] == point).any():
        raise StoreError(f"point {point}: no run of it is in the results yet")
    task = next(task for task in store.read_tasks(results.directory) if task["point"] == point)
    path = Path(task["city"])
    moved = results.directory / CITIES / path.name  # the results may lie elsewhere by now
    return City.load(moved if not path.exists() and moved.exists() else path)


def zone_layer(results: "Results", city: "City", point: int) -> "geopandas.GeoDataFrame | None":
    """Return a row a zone: number, name, residents, infections, deaths and their rates; None if they were not kept."""
    layer = city.layer("zones")
    if ZONE_TABLE not in results.tables or layer is None or not len(layer):
        return None
    kept = results.table(ZONE_TABLE)
    kept = kept[kept["point"] == point].rename(columns={"new_infections": "infections", "new_deaths": "deaths"})
    names = [name for name in ("infections", "deaths") if name in kept.columns]
    means = kept.groupby(["run_id", "zone"])[names].sum().groupby("zone").mean()
    zones = np.arange(len(layer))
    residents = np.bincount(city.places.zone[city.people.household], minlength=len(zones))
    columns = {"zone": zones, "name": layer["name"] if "name" in layer else zones.astype(str), "residents": residents}
    figures = {name: means[name].reindex(zones, fill_value=0.0).to_numpy() for name in names}
    return _with_rates(columns | figures, layer.geometry.to_numpy(), np.asarray(city.zones.area), city.info.crs)


def cell_layer(results: "Results", city: "City", point: int) -> "geopandas.GeoDataFrame | None":
    """Return a row a grid cell where people live: middle and side in metres, residents and the figures of a zone.

    None if the cells were not kept.
    """
    if CELL_TABLE not in results.tables:
        return None
    kept = results.table(CELL_TABLE)
    kept = kept[kept["point"] == point]
    names = [name for name in ("infections", "deaths") if name in kept.columns]
    columns = {"side": "first", "residents": "first"} | dict.fromkeys(names, "mean")
    return _squares(kept.groupby(["y", "x"], sort=True).agg(columns).reset_index(), city.info.crs)


def coarser(cells: "geopandas.GeoDataFrame") -> "geopandas.GeoDataFrame":
    """Return cells joined to squares in which half of the people live among at least :data:`RESIDENTS` residents.

    Rates of a handful of people are mostly chance, which a picture would show as if it were a pattern.
    """
    side = float(cells["side"].iloc[0])
    factor = 1
    joined = cells
    while _usual(joined) < RESIDENTS and factor < _MOST_JOINED:
        factor *= 2
        wide = side * factor
        x, y = (np.floor((cells[name]) / wide) * wide + wide / 2 for name in ("x", "y"))
        sums = cells[[name for name in ("residents", "infections", "deaths") if name in cells]].groupby([y, x]).sum()
        joined = _squares(sums.reset_index().assign(side=wide), cells.crs)
    return joined


def _usual(cells: "geopandas.GeoDataFrame") -> int:
    """Return the residents of the cell of the median resident."""
    residents = np.sort(cells["residents"].to_numpy())
    return int(residents[np.searchsorted(np.cumsum(residents), residents.sum() / 2)])


def _squares(cells: "pd.DataFrame", crs: Any) -> "geopandas.GeoDataFrame":
    """Make squares of rows with their middle and side in metres, and add rates."""
    import shapely

    x, y, side = (cells[name].to_numpy(float) for name in ("x", "y", "side"))
    shapes = shapely.box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)
    return _with_rates({name: cells[name].to_numpy() for name in cells}, shapes, side**2, crs)


def _with_rates(columns: dict[str, Any], shapes: Any, area: Any, crs: Any) -> "geopandas.GeoDataFrame":
    """Add to counts what a map shows: by area (m2), and by resident (missing where nobody lives)."""
    import geopandas

    residents = np.where(columns["residents"] > 0, columns["residents"], np.nan)
    rates = {"infections_per_100": columns["infections"] / residents * 100} if "infections" in columns else {}
    for name in ("infections", "deaths"):
        if name in columns:
            rates[f"{name}_per_km2"] = columns[name] / np.where(area > 0, area, np.nan) * M2_PER_KM2
    return geopandas.GeoDataFrame(columns | rates, geometry=shapes, crs=crs)


def about(results: "Results", city: "City", point: int) -> dict[str, Any]:
    """Return what a map of a point shows: scenario, point, runs, days, and where the city is from."""
    parameters = results.points[point]
    runs: pd.DataFrame = results.summary[results.summary["point"] == point]
    return {
        "scenario": results.scenario.name,
        "where": headline(results),
        "point": point,
        "parameters": point_label(parameters, short_names(results.info["parameters"])) if parameters else "",
        "runs": len(runs),
        "days": int(runs["days"].max()),
        "figures": "means over the runs, of the whole run; counts are people; _per_100: per 100 residents; x, y, side: m",
        "attribution": [source.attribution for source in city.info.sources if source.attribution],
    }


def write_layer(layer: "geopandas.GeoDataFrame", path: Path, facts: dict[str, Any]) -> Path:
    """Write a layer as GeoParquet, which QGIS and others open; its metadata say what it shows.

    Raises:
        StoreError: if another file stands there, or it cannot be written.
    """
    import pyarrow.parquet as pq

    plain = io.BytesIO()
    layer.to_parquet(plain)
    return write_table(pq.read_table(plain), path, facts)


def write_table(table: "pa.Table", path: Path, facts: dict[str, Any]) -> Path:
    """Write a table as Parquet; its metadata say what it shows.

    Raises:
        StoreError: if another file stands there, or it cannot be written.
    """
    import pyarrow.parquet as pq

    check_target(path, LAYERS)
    metadata = (table.schema.metadata or {}) | {ABOUT: json.dumps(facts, ensure_ascii=False).encode()}
    part = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.replace_schema_metadata(metadata), part, compression="zstd")
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise StoreError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path
