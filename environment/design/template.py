"""A file to begin a design with: the streets of a city to look at, and empty layers of changes to draw into."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .changes import DesignError
from .specs import SPECS
from .streets import Streets, users_text

if TYPE_CHECKING:
    from ..city import City

LAYERS = {
    "changes_lines": ("LineString", "line"),
    "changes_areas": ("Polygon", "area"),
    "changes_points": ("Point", "point"),
}
"""Layers to draw into, each with its geometry and the shape that it stands for."""
_KINDS = {"number": "float64", "whole": "Int64", "flag": "boolean"}


def write_template(city: "City", path: str | Path) -> Path:
    """Write a GeoPackage with the streets of a city and empty layers of changes, to be edited in QGIS.

    Args:
        city: the city.
        path: file to make, ``….gpkg``.

    Raises:
        DesignError: if the name ends otherwise, the file exists, or it cannot be written.
    """
    import geopandas
    import pandas as pd
    import pyogrio
    from pyogrio.errors import DataSourceError

    path = Path(path)
    if path.suffix.lower() != ".gpkg":
        raise DesignError([f"{path}: the name must end with .gpkg"])
    if path.exists():
        raise DesignError([f"{path}: exists already; choose another name or remove it first"])
    if not path.parent.is_dir():
        raise DesignError([f"{path}: there is no folder {path.parent}"])
    streets = Streets(city)
    table = geopandas.GeoDataFrame(
        {
            "link": range(streets.links),
            "name": streets.names.astype(str),
            "way": streets.way,
            "users": users_text(streets.access).astype(str),
            "speed_kmh": (streets.speed * 3.6).round(1),
            "lanes": streets.lanes,
            "length_m": streets.length.round(1),
        },
        geometry=list(streets.lines),
        crs=city.info.crs,
    )
    try:
        pyogrio.write_dataframe(table, path, layer="streets", driver="GPKG")
        for layer, (kind, shape) in LAYERS.items():
            columns = {name: pd.Series([], dtype=dtype) for name, dtype in columns_of(shape).items()}
            empty = geopandas.GeoDataFrame(columns, geometry=geopandas.GeoSeries([], crs=city.info.crs))
            pyogrio.write_dataframe(empty, path, layer=layer, driver="GPKG", geometry_type=kind, append=False)
    except (DataSourceError, OSError) as error:
        raise DesignError([f"{path}: cannot be written ({error})"]) from None
    return path


def columns_of(shape: str) -> dict[str, Any]:
    """Return the columns of a layer of changes and their types: parameters of all that may be drawn in its shape."""
    columns: dict[str, Any] = {"change": "string"}
    for spec in SPECS.values():
        if shape in spec.shapes:
            for name, parameter in spec.parameters.items():
                columns.setdefault(name, _KINDS.get(parameter.kind, "string"))
    return columns | dict.fromkeys(("from", "until", "hours", "weekdays", "note"), "string")
