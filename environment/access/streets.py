"""The streets of an OpenStreetMap extract alone, for places of which only points with counts are known."""

from pathlib import Path

import numpy as np

from ..network.network import SATURATION, Network
from ..roads import RoadRank
from .points import AccessError


def read_streets(path: str | Path) -> tuple[Network, str]:
    """Read the streets of an OpenStreetMap extract, which need not hold buildings.

    Turn rules are not read: they hold up nobody on foot, and cars by little.

    Args:
        path: .osm.pbf, .osm, .osm.gz or .osm.bz2.

    Returns:
        The network, in the UTM zone of the file's centre, and the attribution that maps of it must show.

    Raises:
        CityError: if the file is missing, damaged or foreign, or osmium is missing.
        AccessError: if it holds no streets.
    """
    from ..builders.osm import ATTRIBUTION
    from ..builders.osm.read import read_data
    from ..builders.osm.roads import build_network

    data = read_data(Path(path))
    streets = build_network(data)
    nodes, links = streets.nodes, streets.links
    if not len(links["start"]):
        raise AccessError(f"{path}: holds no streets; extract the area again with all objects")
    lanes = np.maximum(links["lanes"].astype(float), 1.0)
    per_lane = np.array([SATURATION[rank] for rank in RoadRank]) / 3600.0
    return Network(
        x=np.asarray(nodes["x"], float),
        y=np.asarray(nodes["y"], float),
        start=links["start"],
        end=links["end"],
        length=links["length"].astype(float),
        speed=links["speed"].astype(float),
        lanes=lanes,
        capacity=lanes * per_lane[links["rank"]],
        access=links["access"],
        rank=links["rank"],
        way=links["way"],
        through=np.ones(len(nodes["x"]), bool),
        crs=data.crs,
    ), ATTRIBUTION
