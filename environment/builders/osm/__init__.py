"""A real town from OpenStreetMap: streets, buildings, points of interest and zones, as a :class:`fabric.Fabric`."""

from pathlib import Path
from typing import Any

import geopandas
import numpy as np

from ...places import BuildingUse, SiteKind
from ...schema import CityError, Source
from ..fabric import Fabric
from .buildings import Buildings, build_buildings
from .interests import find_interests
from .read import read_areas, read_data
from .roads import build_network
from .sites import build_sites
from .zones import build_zones, name_of_city, stated_people, zone_of

LICENCE = "ODbL 1.0"
ATTRIBUTION = "© OpenStreetMap contributors"


def read_osm(path: str | Path, *, name: str | None = None) -> Fabric:
    """Read a town from an OpenStreetMap file.

    Args:
        path: .osm.pbf, .osm, .osm.gz or .osm.bz2, of one town or city.
        name: name of the city; by default that of its largest place, else the file's.

    Returns:
        The fabric in the UTM zone of the file's centre. ``report`` says what was counted, mended and left out;
        ``people`` is the number of residents that the file states, 0 if it states none that can be believed.

    Raises:
        CityError: if the file is missing, damaged, foreign, or without streets or buildings, or osmium is missing.
    """
    path = Path(path)
    data = read_data(path)
    areas = read_areas(data)
    network = build_network(data)
    if not len(network.nodes["x"]):
        raise CityError(f"{path}: holds no streets; extract the area again with all objects, not buildings alone")
    interests = find_interests(data, areas)
    indoors = np.flatnonzero([kind != SiteKind.TRANSPORT_STOP for kind in interests.kind])
    buildings = build_buildings(data, areas, interests.select(indoors))
    if not len(buildings.kind):
        raise CityError(f"{path}: holds no buildings; extract the area again with all objects, not streets alone")
    sites = build_sites(interests, buildings, data.counts)
    zones = build_zones(data, areas, buildings)
    sites["zone"] = zone_of(zones.table, sites["x"], sites["y"])
    people, origin = stated_people(data, areas, buildings)
    columns = buildings.columns
    columns["zone"] = zone_of(zones.table, columns["x"], columns["y"])
    layer = geopandas.GeoDataFrame(
        {
            "name": [t.get("name", "") for t in buildings.areas.tags],
            "type": buildings.kind,
            "use": columns["use"],
            "levels": columns["levels"],
            "dwellings": columns["dwellings"],
            "origin": buildings.areas.origin,
        },
        geometry=buildings.areas.shapes,
        crs=data.crs,
    )
    return Fabric(
        name=name or name_of_city(data) or path.name.split(".")[0],
        crs=data.crs,
        zones=zones.table,
        buildings=columns,
        sites=sites,
        nodes=network.nodes,
        links=network.links,
        turns=network.turns,
        layers={"buildings": layer, "roads": network.layer},
        sources=[Source("OpenStreetMap", LICENCE, ATTRIBUTION, path.name, data.sha256)],
        report={
            "streets": network.report,
            "buildings": _count_buildings(buildings),
            "sites": {kind.name.lower(): int((sites["kind"] == kind).sum()) for kind in SiteKind},
            "zones": zones.report,
            "people": origin,
            "read": {key: int(value) for key, value in sorted(data.counts.items())},
        },
        people=people,
    )


def _count_buildings(buildings: Buildings) -> dict[str, Any]:
    columns = buildings.columns
    names = {use.name.lower(): int((columns["use"] == use).sum()) for use in BuildingUse}
    return {
        "buildings": len(buildings.kind),
        "by use": names,
        "footprint km2": round(float(buildings.footprint.sum()) / 1e6, 6),
        "dwellings": int(columns["dwellings"].sum()),
        "floor area of homes km2": round(float(columns["floor_area"][columns["dwellings"] > 0].sum()) / 1e6, 6),
        "addresses": int(np.sum(buildings.addresses)),
    }
