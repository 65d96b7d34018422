"""Polygons from files that a planner draws: areas, green space."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import geopandas

LARGEST_FILE = 256 * 2**20
"""Bytes of a file with polygons; a larger one is refused."""
SUFFIXES = (".geojson", ".json", ".gpkg")
_POLYGONS = ("Polygon", "MultiPolygon")


class PolygonError(ValueError):
    """A file without polygons that can be used; the message names the file, and the remedy."""


def read_polygons(path: Path, crs: str, what: str) -> "geopandas.GeoDataFrame":
    """Read the polygons of a GeoJSON or GeoPackage; other geometries in it are left aside.

    Args:
        path: the file.
        crs: CRS into which they are brought; empty if its coordinates mean nothing.
        what: what they are, in the plural, for messages: "areas".

    Returns:
        A row a polygon with its attributes, numbered as the features of the file; borders may cross themselves.

    Raises:
        PolygonError: if the file is none of these, too large, cannot be read, or holds no polygon.
    """
    import geopandas

    if path.suffix.lower() not in SUFFIXES:
        raise PolygonError(f"{path}: {what} are read from {', '.join(SUFFIXES)}")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise PolygonError(f"{path}: cannot be read ({error.strerror or error})") from None
    if size > LARGEST_FILE:
        raise PolygonError(f"{path}: larger than {LARGEST_FILE // 2**20} MiB; keep the {what} of the city alone")
    try:
        read = geopandas.read_file(path)
    except Exception as error:  # whatever the reader raises on a damaged file
        raise PolygonError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
    if not isinstance(read, geopandas.GeoDataFrame) or not read.geom_type.isin(_POLYGONS).any():
        raise PolygonError(f"{path}: holds no polygon; wanted are {what}")
    rows = read[read.geom_type.isin(_POLYGONS)]
    return rows.to_crs(crs) if rows.crs is not None and crs else rows
