"""Fabric: a city before its people. Importers and generators make one; populate() makes the parts of a City of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import geopandas
from numpy.typing import NDArray

from ..schema import Source


@dataclass
class Fabric:
    """Streets, buildings, sites and zones of a place, in metres of one projected CRS.

    Attributes:
        name: name of the city.
        crs: projected CRS, for example ``"EPSG:32631"``.
        zones: GeoDataFrame with ``name`` and ``geometry`` (polygons); row numbers are zone numbers. At least one zone.
        buildings: columns ``x, y, use, levels, floor_area, dwellings`` of :data:`city.SCHEMA`, and ``zone``.
        sites: columns ``x, y, kind, building, capacity, zone`` of :data:`city.SCHEMA`, and ``floor_area`` (m2, 0 if
            unknown), by which jobs and visitors are shared out where no capacity is known; ``name`` (list of str).
            A WORK site is one address where people work: populate() fills it with one or more firms.
        nodes, links, turns: columns of :data:`city.SCHEMA`; without turns, every turn is free.
        layers: GeoDataFrames of ``buildings`` and ``roads``, or functions that make them when asked.
        sources: files used.
        report: figures to keep with the city (repairs, counts).
        people: number of residents that the source itself states, 0 if it does not.
    """

    name: str
    crs: str
    zones: geopandas.GeoDataFrame
    buildings: dict[str, NDArray[Any]]
    sites: dict[str, Any]
    nodes: dict[str, NDArray[Any]]
    links: dict[str, NDArray[Any]]
    turns: dict[str, NDArray[Any]] = field(default_factory=dict)
    layers: dict[str, geopandas.GeoDataFrame | Callable[[], geopandas.GeoDataFrame]] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)
    people: int = 0
