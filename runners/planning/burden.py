"""What traffic lays on a city, on the map: concentrations by cell, and noise by building where people live.

Both are means over the runs of a point and their days; levels are averaged as energy. They are what the traffic of the
model adds, without other sources.
"""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..reports.geo import Shown, about, city_of, write_layer
from ..reports.maps import save_layer
from .reading import need

if TYPE_CHECKING:
    import geopandas
    import pandas as pd

    from ...environment.city import City
    from ..results import Results

BURDEN_TABLES = ("air", "noise")
"""Tables that are written, by the names of their files."""
_DRAWN = Shown("nox", "NOx from traffic, µg/m³")


def write_burden(results: "Results", folder: Path, point: int, name: str) -> list[Path]:
    """Write ``air.parquet`` of a point and a PNG, or ``noise.parquet``, whose buildings are too small for a PNG.

    Args:
        results: the results, in whose tables it is.
        folder: where the files go.
        point: point of the sweep.
        name: one of :data:`BURDEN_TABLES`.

    Returns:
        The files.

    Raises:
        StoreError: if the table was not kept, there is no such point, or a file cannot be written.
        CityError: if the city is no longer where it was.
    """
    need(results, name)
    city = city_of(results, point)
    layer = air_layer(results, city, point) if name == "air" else noise_layer(results, city, point)
    facts = about(results, city, point) | {
        "figures": "means over the runs and days, of the traffic of the model alone; nox, pm25: µg/m³; lden: dB(A)"
    }
    written = [write_layer(layer, folder / f"{name}.parquet", facts)]
    if name == "air":
        written.append(save_layer(city, layer, _DRAWN, folder / f"{name}.png", facts))
    return written


def air_means(results: "Results", point: int, runs: Collection[str] | None = None) -> "pd.DataFrame":
    """Return a row a cell with residents: its middle and side in metres, and NOx and PM2.5 in µg/m³.

    Args:
        results: results with a table ``air``.
        point: the point.
        runs: those of its runs that count; all if None.
    """
    columns = {"side": "first", "residents": "first", "nox": "mean", "pm25": "mean"}
    return _kept(results, "air", point, runs).groupby(["y", "x"], sort=True).agg(columns).reset_index()


def noise_means(results: "Results", point: int, runs: Collection[str] | None = None) -> "pd.DataFrame":
    """Return a row a building where people live, or a spot outside one: residents and Lden in dB(A).

    Args:
        results: results with a table ``noise``.
        point, runs: as for :func:`air_means`.
    """
    kept = _kept(results, "noise", point, runs)
    kept = kept.assign(energy=10.0 ** (0.1 * kept["lden"].to_numpy(float)))
    columns = {"residents": "first", "energy": "mean"}
    homes = kept.groupby(["building", "x", "y"], sort=True).agg(columns).reset_index()
    homes["lden"] = 10.0 * np.log10(homes.pop("energy"))
    return homes


def _kept(results: "Results", table: str, point: int, runs: Collection[str] | None) -> "pd.DataFrame":
    kept = results.table(table)
    return kept[kept["point"] == point] if runs is None else kept[kept["run_id"].isin(list(runs))]


def air_layer(results: "Results", city: "City", point: int) -> "geopandas.GeoDataFrame":
    """Return a row a cell: its middle and side in metres, residents, and NOx and PM2.5 in µg/m³."""
    import geopandas
    import shapely

    cells = air_means(results, point)
    x, y, half = (cells[name].to_numpy(float) for name in ("x", "y", "side"))
    half = half / 2
    shapes = shapely.box(x - half, y - half, x + half, y + half)
    return geopandas.GeoDataFrame(cells, geometry=shapes, crs=city.info.crs)


def noise_layer(results: "Results", city: "City", point: int) -> "geopandas.GeoDataFrame":
    """Return a row a building where people live: residents and Lden in dB(A); points where outlines are not known."""
    import geopandas
    import shapely

    homes = noise_means(results, point)
    shapes = shapely.points(homes["x"].to_numpy(float), homes["y"].to_numpy(float))
    outlines = city.layer("buildings")
    if outlines is not None:
        row = homes["building"].to_numpy()
        shapes = np.where(row >= 0, outlines.geometry.to_numpy()[row], shapes)
    return geopandas.GeoDataFrame(homes, geometry=shapes, crs=city.info.crs)
