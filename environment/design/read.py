"""Read designs from GeoPackage, GeoJSON and TOML files, which anybody may have written."""

import json
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import shapely

from ..toml import parse
from .changes import Change, DesignError, read_change

MOST_BYTES = 50_000_000
MOST_CHANGES = 5_000
MOST_POINTS = 200_000
"""Corners of all geometries together; an outline of a country has fewer."""
WGS84 = "EPSG:4326"
SUFFIXES = (".gpkg", ".geojson", ".json", ".toml")
_TOP = ("name", "crs", "change")


def read_content(path: Path, shown: str = "") -> dict[str, Any]:
    """Return what a file says, as JSON can hold it: ``name``, ``crs`` and ``changes``, these not yet checked.

    Args:
        path: the file.
        shown: what messages call it.

    Raises:
        DesignError: if it cannot be read.
    """
    shown = shown or path.name
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DesignError([f"{shown}: a design is a file {', '.join(SUFFIXES)}"])
    try:
        if not path.is_file():
            raise DesignError([f"{shown}: {'is not a file' if path.exists() else 'no such file'}"])
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise DesignError([f"{shown}: {size:,} bytes; a design has at most {MOST_BYTES:,}"])
        if suffix == ".gpkg":
            content = _geopackage(path, shown)
        else:
            try:
                text = path.read_text(encoding="utf-8-sig")
            except UnicodeDecodeError as error:
                raise DesignError([f"{shown}: is not UTF-8 text (byte {error.start:,}); save it as UTF-8"]) from None
            content = _toml(text, shown) if suffix == ".toml" else _geojson(text, shown)
    except OSError as error:
        raise DesignError([f"{shown}: cannot be read ({error.strerror or error})"]) from None
    content.setdefault("name", path.stem)
    return content


def parse_changes(raw: Any, label: str) -> tuple[Change, ...]:
    """Read the changes of a design.

    Args:
        raw: a list of tables; where is said by ``geometry`` (as GeoJSON has it), by ``line``, ``area`` or ``point``
            (lists of coordinates), or by ``street``, ``way`` or ``links``.
        label: what messages call the design.

    Raises:
        DesignError: with every problem.
    """
    if not isinstance(raw, list) or not all(isinstance(item, Mapping) for item in raw):
        raise DesignError([f"{label}: the changes must be a list of tables"])
    if len(raw) > MOST_CHANGES:
        raise DesignError([f"{label}: {len(raw):,} changes; allowed: {MOST_CHANGES:,}"])
    problems: list[str] = []
    changes = []
    points = 0
    for number, item in enumerate(raw, start=1):
        try:
            shaped = _shaped(item)
            if shaped.get("geometry") is not None:
                points += int(shapely.get_num_coordinates(shaped["geometry"]))
            changes.append(read_change(number, shaped, label))
        except DesignError as error:
            problems += error.problems
        except ValueError as error:
            problems.append(f"{label}: feature {number}: {error}")
    if points > MOST_POINTS:
        problems.append(f"{label}: {points:,} corners in all geometries; allowed: {MOST_POINTS:,}")
    if problems:
        raise DesignError(problems)
    return tuple(changes)


# ---------------------------------------------------------------------- formats


def _toml(text: str, shown: str) -> dict[str, Any]:
    try:
        data = parse(text)
    except ValueError as error:
        raise DesignError([f"{shown}: not valid TOML: {error}"]) from None
    wrong = [name for name in data if name not in _TOP]
    if wrong:
        raise DesignError([f"{shown}: {name}: unknown key; allowed: name, crs, [[change]]" for name in wrong])
    content: dict[str, Any] = {"changes": _plain(data.get("change", []))}
    return content | {name: data[name] for name in ("name", "crs") if name in data}


def _plain(value: Any) -> Any:
    """Return a value of TOML as JSON can hold it."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _geojson(text: str, shown: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DesignError([f"{shown}: not valid JSON: {error}"]) from None
    features = data.get("features") if isinstance(data, dict) and data.get("type") == "FeatureCollection" else None
    if not isinstance(features, list) or not all(isinstance(feature, dict) for feature in features):
        raise DesignError([f"{shown}: must be a FeatureCollection of GeoJSON"])
    changes = []
    for feature in features:
        properties = feature.get("properties") or {}
        if not isinstance(properties, dict):
            raise DesignError([f"{shown}: the properties of a feature must be a table"])
        changes.append({**properties, "geometry": feature.get("geometry")})
    content: dict[str, Any] = {"changes": changes, "crs": WGS84}
    stated = data.get("crs")
    if isinstance(stated, dict):  # of the older standard; editors still write it for other systems
        inner = stated.get("properties")
        name = inner.get("name") if isinstance(inner, dict) else None
        if isinstance(name, str):
            content["crs"] = name
    return content


def _geopackage(path: Path, shown: str) -> dict[str, Any]:
    from pyogrio.errors import DataLayerError, DataSourceError

    with path.open("rb") as stream:
        if stream.read(16) != b"SQLite format 3\0":
            raise DesignError([f"{shown}: is not a GeoPackage"])
    changes: list[dict[str, Any]] = []
    systems: dict[str, None] = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # what is odd about a file and can be read all the same
            _read_layers(path, shown, changes, systems)
    except (DataSourceError, DataLayerError) as error:
        raise DesignError([f"{shown}: cannot be read as a GeoPackage ({error})"]) from None
    if len(systems) > 1:
        raise DesignError([f"{shown}: its layers have several coordinate systems, {', '.join(systems)}; use one"])
    return {"changes": changes, "crs": next(iter(systems), WGS84)}


def _read_layers(path: Path, shown: str, changes: list[dict[str, Any]], systems: dict[str, None]) -> None:
    """Append what the layers of a GeoPackage hold to the changes, and their coordinate systems to those."""
    import pyogrio

    layers = [str(name) for name in pyogrio.list_layers(path)[:, 0]]
    with_changes = [name for name in layers if "change" in pyogrio.read_info(path, layer=name)["fields"]]
    if not with_changes:
        told = ", ".join(f"'{name}'" for name in layers) or "none"
        raise DesignError([f"{shown}: no layer has a column 'change'; layers: {told}"])
    for name in with_changes:
        about = pyogrio.read_info(path, layer=name, force_feature_count=True)
        if about["features"] > MOST_CHANGES:
            raise DesignError([f"{shown}: layer '{name}': {about['features']:,} changes; allowed: {MOST_CHANGES:,}"])
        if not about["features"]:
            continue
        table = pyogrio.read_dataframe(path, layer=name)
        geometry = None
        if "geometry" in table.columns and hasattr(table, "crs"):
            if table.crs is None:
                raise DesignError([f"{shown}: layer '{name}' has no coordinate system; set it in your editor"])
            systems[table.crs.to_string()] = None
            geometry = table.geometry
        for row in range(len(table)):
            values = {column: _scalar(table[column].iloc[row]) for column in table.columns if column != "geometry"}
            shape = None if geometry is None else geometry.iloc[row]
            values["geometry"] = None if shape is None or shape.is_empty else shapely.geometry.mapping(shape)
            changes.append(values)


def _scalar(value: Any) -> Any:
    """Return a value of a table as JSON can hold it; None where there is none."""
    import pandas as pd

    if pd.isna(value):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()[:10]
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return value.item() if hasattr(value, "item") else value


# ---------------------------------------------------------------------- geometry


def _shaped(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return a change whose geometry is shapely's.

    Raises:
        ValueError: if it has several or a broken one.
    """
    given = [name for name in ("geometry", "line", "area", "point") if item.get(name) is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)}: give one of them")
    result = {name: value for name, value in item.items() if name not in ("geometry", "line", "area", "point")}
    if given:
        result["geometry"] = _geometry(given[0], item[given[0]])
    return result


def _geometry(name: str, value: Any) -> shapely.Geometry:
    kinds = {"line": "LineString", "area": "Polygon", "point": "Point"}
    if name in kinds:
        value = {"type": kinds[name], "coordinates": [value] if name == "area" else value}
    if not isinstance(value, Mapping) or not isinstance(value.get("type"), str):
        raise ValueError(f"{name}: is not a geometry of GeoJSON")
    kind = value["type"]
    depth = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}
    if kind not in depth:
        raise ValueError(f"{name}: '{kind[:30]}' is not drawn here; allowed: {', '.join(depth)}")
    numbers = _checked(value.get("coordinates"), depth[kind], name)
    try:
        shape = shapely.geometry.shape({"type": kind, "coordinates": numbers})
    except (ValueError, TypeError, IndexError, shapely.errors.GEOSException) as error:
        raise ValueError(f"{name}: is not a {kind} ({error})") from None
    shape = shapely.force_2d(shape)
    if shape.is_empty:
        raise ValueError(f"{name}: is empty; draw it, or delete the feature")
    if "Polygon" in kind and (not shape.is_valid or shape.area == 0):
        raise ValueError(f"{name}: {shapely.is_valid_reason(shape)}; its outline must enclose an area without crossing")
    if "Line" in kind and shape.length == 0:
        raise ValueError(f"{name}: has no length")
    parts = shapely.get_parts(shape)
    if len(parts) == 1:
        return parts[0]
    if kind == "MultiPoint":
        raise ValueError(f"{name}: has {len(parts)} points; make a feature of each")
    return shape


def _checked(value: Any, depth: int, name: str) -> Any:
    """Return coordinates as lists of pairs of finite numbers."""
    if depth:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{name}: coordinates are not nested as they must be")
        return [_checked(inner, depth - 1, name) for inner in value]
    numeric = isinstance(value, list | tuple) and 2 <= len(value) <= 4
    if not numeric or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in value):
        raise ValueError(f"{name}: a position must be two numbers, as [5.91, 52.55]")
    if not all(math.isfinite(v) and abs(v) < 1e9 for v in value):
        raise ValueError(f"{name}: a coordinate is not finite or far too large")
    return [float(v) for v in value[:2]]
