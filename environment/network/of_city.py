"""The streets of a city as a network."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..city import City
from ..roads import RoadRank
from .network import SATURATION, Network, Signals, Turns
from .signals import with_signals


def network_of_city(city: City) -> Network:
    """Return the streets of a city with its turns and signals.

    Capacities are those of the city, and follow from rank and lanes (:data:`~.network.SATURATION`) where it states none.
    So are the programs of its signals; where only is known at which junctions these stand, links get default programs and
    their saturation flows, see :func:`.signals.with_signals`.
    """
    links, turns, programs = city.links, city.turns, city.signals
    per_lane = np.array([SATURATION[rank] for rank in RoadRank]) / 3600.0
    lanes = np.maximum(links.lanes.astype(float), 1.0)
    layer = city.layer("roads")
    names: dict[int, str] = {}

    def designed(column: str, kind: type) -> NDArray[Any] | None:
        """Return what designs have put on the streets."""
        return np.asarray(layer[column], kind) if layer is not None and column in layer.columns else None

    if layer is not None and "name" in layer.columns:
        named = layer[["way", "name"]].drop_duplicates("way")
        names = {int(way): str(name) for way, name in zip(named["way"], named["name"], strict=True) if name}
    network = Network(
        x=np.asarray(city.nodes.x, float),
        y=np.asarray(city.nodes.y, float),
        start=np.asarray(links.start),
        end=np.asarray(links.end),
        length=links.length.astype(float),
        speed=links.speed.astype(float),
        lanes=lanes,
        capacity=lanes * np.where(links.capacity > 0, links.capacity.astype(float) / 3600.0, per_lane[links.rank]),
        access=np.asarray(links.access),
        rank=np.asarray(links.rank),
        way=np.asarray(links.way),
        through=np.ones(len(city.nodes), bool),
        crs=city.info.crs,
        names=names,
        edges=np.asarray(layer["edge"], object) if layer is not None and "edge" in layer.columns else None,
        toll=designed("toll", float),
        bus_lane=designed("bus_lane", bool),
        bike_lane=designed("bike_lane", bool),
        parking=designed("parking", float),
        turns=Turns(np.asarray(turns.from_link), np.asarray(turns.to_link), turns.penalty.astype(float))
        if len(turns)
        else None,
    )
    if len(programs):
        link = np.asarray(programs.link)
        times = {name: programs[name].astype(float) for name in ("cycle", "offset", "green_start", "green_end")}
        flow = lanes[link] * programs.flow.astype(float) / 3600.0
        return network.with_columns(signals=Signals(link=link, flow=flow, **times))
    signal = np.asarray(city.nodes.signal) > 0
    return with_signals(network, signal, city.info.seed) if signal.any() else network
