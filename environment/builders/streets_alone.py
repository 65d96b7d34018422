"""A city of streets alone: a network from a file, in which nobody lives and what moves is given by files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray

from ..network.network import Network, NetworkError
from ..roads import RoadRank
from ..schedules import Schedule
from ..schema import SCHEMA, CityError, CityInfo, CityParts, Source

MARGIN = 100.0  # m of ground around the streets that belongs to the city, assumed


def city_of_network(network: Network, name: str, sources: list[Source]) -> CityParts:
    """Make a city of a network: its streets, turns and signals, in one zone without buildings and people.

    Args:
        network: the streets.
        name: name of the city.
        sources: files that the network is from.

    Raises:
        CityError: if the network has no coordinates, or some in degrees.
    """
    crs = _checked(network.crs, name)
    way = _streets(network)
    layer = network_layer(network, crs).assign(way=way)
    west, south, east, north = (float(edge) for edge in layer.total_bounds + np.repeat([-MARGIN, MARGIN], 2))
    ground = shapely.box(west, south, east, north)
    turns, signals = network.turns, network.signals
    tables: dict[str, dict[str, Any]] = {
        table: {column: np.zeros(spec.extra, spec.dtype) for column, spec in specs.items()}
        for table, specs in SCHEMA.items()
    }
    tables["zones"] = {"area": np.array([ground.area]), "x": np.array([ground.centroid.x])} | {
        "y": np.array([ground.centroid.y])
    }
    tables["nodes"] = {"x": network.x, "y": network.y}
    tables["links"] = {name: getattr(network, name) for name in SCHEMA["links"]} | {
        "way": way,
        "capacity": 3600.0 * network.capacity / network.lanes,
    }
    if turns is not None:
        tables["turns"] = {name: getattr(turns, name) for name in SCHEMA["turns"]}
    if signals is not None:
        tables["signals"] = {name: getattr(signals, name) for name in SCHEMA["signals"]} | {
            "flow": 3600.0 * signals.flow / network.lanes[signals.link]
        }
    for table, specs in SCHEMA.items():
        tables[table] = {
            column: np.ascontiguousarray(values, specs[column].dtype) for column, values in tables[table].items()
        }
    nobody = np.zeros(1, np.int32), np.zeros(0, np.int32), np.zeros(0, np.uint8), np.zeros(0, np.uint8)
    layers = {"zones": geopandas.GeoDataFrame({"name": [name]}, geometry=[ground], crs=crs), "roads": layer}
    info = CityInfo(
        name, crs, (west, south, east, north), 0, (0,) * 7, ("every day",), sources, {"streets": network.report}
    )
    return CityParts(info, tables, [Schedule.from_visits(*nobody, 0)], layers)


def _streets(network: Network) -> NDArray[np.int64]:
    """Return the street of each link: two links alone that lead from one junction to another and back are one street."""
    low, high = np.minimum(network.start, network.end), np.maximum(network.start, network.end)
    _, group, size = np.unique(np.stack([low, high], 1), axis=0, return_inverse=True, return_counts=True)
    group = group.reshape(-1)
    two = np.flatnonzero((size[group] == 2) & (low < high))
    pair = two[np.argsort(group[two], kind="stable")].reshape(-1, 2)
    pair = pair[network.start[pair[:, 0]] == network.end[pair[:, 1]]]
    way = network.way.copy()
    way[pair[:, 1]] = way[pair[:, 0]]
    return way


def network_layer(network: Network, crs: str) -> geopandas.GeoDataFrame:
    """Return the layer ``roads`` of a network."""
    shapes = network.shapes
    if shapes is None:
        ends = np.stack([network.start, network.end], 1)
        shapes = shapely.linestrings(np.stack([network.x[ends], network.y[ends]], -1))
    words = np.array([RoadRank(rank).name.lower().replace("_", " ") for rank in range(max(RoadRank) + 1)])
    columns: dict[str, Any] = {
        "name": [network.names.get(way, "") for way in network.way.tolist()],
        "rank": words[network.rank],
        "way": network.way,
    }
    if network.edges is not None:
        columns["edge"] = network.edges
    return geopandas.GeoDataFrame(columns, geometry=shapes, crs=crs)


def read_as_city(path: Path, name: str | None, read: Callable[[], Network]) -> CityParts:
    """Make a city of what ``read`` finds in a file; its name is that of the file where none is given.

    Raises:
        CityError: if that is not possible.
    """
    try:
        network = read()
    except NetworkError as error:
        message = str(error)
        raise CityError(message if str(path) in message else f"{path}: {message}") from None
    return city_of_network(network, name or path.name.split(".")[0], [_source(path)])


def _source(path: Path) -> Source:
    import hashlib

    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Source(path.name, "not stated", "", path.name, sha256)


def _checked(crs: str, name: str) -> str:
    """Return a CRS that is projected in metres."""
    import pyproj

    if not crs:
        raise CityError(f"{name}: the file does not say where its coordinates lie; name their CRS, as in EPSG:32632")
    try:
        system = pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError:
        raise CityError(f"{name}: crs '{crs[:60]}' is no coordinate system; write one such as EPSG:32632") from None
    if not system.is_projected or system.axis_info[0].unit_name != "metre":
        raise CityError(f"{name}: crs '{crs[:60]}' is not in metres; write a projected one such as EPSG:32632")
    return crs
