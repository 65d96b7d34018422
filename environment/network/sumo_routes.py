"""Vehicles with routes, and bus stops, from files of SUMO (``.rou.xml``, ``.add.xml``)."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .network import Network, NetworkError
from .sumo import Element, elements

_ROOTS = ("routes", "additional", "add")
_UNREAD = {
    "flow": "single vehicles are read; make them with SUMO's duarouter",
    "interval": "single vehicles are read; make them with SUMO's duarouter",
    "trip": "routes are read; make them with SUMO's duarouter",
    "person": "vehicles are read; remove the persons",
    "routeDistribution": "one route a vehicle is read; make them with SUMO's duarouter",
}
DEFAULT_TYPE = "DEFAULT_VEHTYPE"  # SUMO's name of the type of a vehicle that names none
DEFAULT_CLASS = "passenger"  # SUMO's class of a type that names none


@dataclass(frozen=True)
class Stops:
    """Bus stops.

    Attributes:
        ids: names in SUMO.
        link: int32 (stops,).
        start, end: float64 (stops,) metres from the begin of the link.
    """

    ids: list[str]
    link: NDArray[np.int32]
    start: NDArray[np.float64]
    end: NDArray[np.float64]


@dataclass(frozen=True)
class Routes:
    """Vehicles that drive given routes, in order of departure.

    Attributes:
        ids: names of the vehicles in SUMO.
        depart: float64 (vehicles,) seconds, rising.
        type: names of the types, by vehicle.
        vehicle_class: SUMO's classes (``passenger``, ``bus`` …), by vehicle.
        first: int64 (vehicles + 1,) position of each vehicle's first link.
        link: int32 (first[-1],) links that are driven, one vehicle after the other.
        stop_first: int64 (vehicles + 1,) position of each vehicle's first halt.
        stop: (halts,) names of the bus stops where they halt.
        stop_seconds: float64 (halts,) duration of each halt.
    """

    ids: list[str]
    depart: NDArray[np.float64]
    type: list[str]
    vehicle_class: list[str]
    first: NDArray[np.int64]
    link: NDArray[np.int32]
    stop_first: NDArray[np.int64]
    stop: list[str]
    stop_seconds: NDArray[np.float64]


def links_of_edges(network: Network) -> dict[str, list[int]]:
    """Return the links of each edge in the order in which they are driven: one, or more where a design has cut the edge.

    Raises:
        NetworkError: if no link is an edge.
    """
    if network.edges is None:
        raise NetworkError("the streets are no edges of SUMO; make the city of its network: citytwin city sumo …")
    parts: dict[str, list[int]] = {}
    for row, edge in enumerate(network.edges.tolist()):
        if edge:
            parts.setdefault(edge, []).append(row)
    for edge, rows in parts.items():
        if len(rows) > 1:
            following = {int(network.start[row]): row for row in rows}
            ends = {int(network.end[row]) for row in rows}
            at = next((row for row in rows if int(network.start[row]) not in ends), rows[0])
            chain = [at]
            while len(chain) < len(rows):
                chain.append(following[int(network.end[chain[-1]])])
            parts[edge] = chain
    return parts


def read_stops(path: str | Path, network: Network) -> Stops:
    """Read bus stops on the streets of a network that :func:`.sumo.read_sumo` made.

    Raises:
        NetworkError: if the file cannot be read, or a stop lies on a lane that the network lacks, or beyond its ends.
    """
    link_of = {edge: links[0] for edge, links in links_of_edges(network).items()}
    ids, rows, spans = [], [], []
    for element in elements(path, _ROOTS):
        if element.name != "busStop" or not element.begins:
            continue
        edge = element.text("lane").rpartition("_")[0]
        if edge not in link_of:
            raise NetworkError(
                f"{element.where}: bus stop '{element.text('id')}' is on edge '{edge}', which is not there"
            )
        length = float(network.length[link_of[edge]])
        # negative positions count from the end of the lane
        span = [
            at + length if at < 0 else at for at in (element.number("startPos", 0.0), element.number("endPos", length))
        ]
        if not 0 <= span[0] < span[1] <= length + 0.1:  # m that SUMO's rounding may be beyond the end
            raise NetworkError(
                f"{element.where}: bus stop '{element.text('id')}' reaches from {span[0]:g} to {span[1]:g} m, "
                f"edge '{edge}' is {length:g} m long"
            )
        ids.append(element.text("id"))
        rows.append(link_of[edge])
        spans.append(span)
    table = np.array(spans, float).reshape(-1, 2)
    return Stops(ids, np.array(rows, np.int32), table[:, 0].copy(), table[:, 1].copy())


@dataclass
class _Vehicle:
    id: str
    depart: float
    type: str
    route: str
    where: str
    links: list[int]
    stops: list[tuple[str, float]]


def read_routes(paths: Iterable[str | Path], network: Network, types: Iterable[str | Path] = ()) -> Routes:
    """Read vehicles with their routes through a network that :func:`.sumo.read_sumo` made, or that of a city made of it.

    Args:
        paths: ``.rou.xml`` files; vehicles that depart together keep the order in which they are read. Types may be
            described in any of them.
        network: where they drive.
        types: files with ``vType`` and ``vTypeDistribution``, if not in the route files themselves.

    Raises:
        NetworkError: naming file, line, vehicle and edge, if a file cannot be read, holds flows or trips without
            routes, or a route uses an edge that is not there, or two that do not follow each other.
    """
    link_of = links_of_edges(network)
    kinds = _Types()
    vehicles: list[_Vehicle] = []
    for path in types:
        for element in elements(path, _ROOTS):
            kinds.see(element)
    for path in paths:
        named: dict[str, list[int]] = {}
        vehicle: _Vehicle | None = None
        for element in elements(path, _ROOTS):
            kinds.see(element)
            _check_read(element)
            name = element.name
            if not element.begins:
                if name == "vehicle" and vehicle is not None:
                    _close(vehicle, named)
                    vehicle = None
            elif name == "vehicle":
                vehicle = _Vehicle(
                    element.text("id"),
                    element.number("depart"),
                    element.attributes.get("type", DEFAULT_TYPE),
                    element.attributes.get("route", ""),
                    element.where,
                    [],
                    [],
                )
                vehicles.append(vehicle)
            elif name == "route":
                links = _route(element, vehicle, network, link_of)
                if vehicle is None:
                    named[element.text("id")] = links
                else:
                    vehicle.links = links
            elif name == "stop" and vehicle is not None and "busStop" in element.attributes:
                vehicle.stops.append((element.text("busStop"), element.number("duration", 0.0)))
    vehicles.sort(key=lambda one: one.depart)  # stable
    classes = [kinds.vehicle_class(one) for one in vehicles]
    halts = [stop for one in vehicles for stop in one.stops]
    return Routes(
        ids=[one.id for one in vehicles],
        depart=np.array([one.depart for one in vehicles], float),
        type=[one.type for one in vehicles],
        vehicle_class=classes,
        first=np.cumsum([0, *(len(one.links) for one in vehicles)], dtype=np.int64),
        link=np.array([link for one in vehicles for link in one.links], np.int32),
        stop_first=np.cumsum([0, *(len(one.stops) for one in vehicles)], dtype=np.int64),
        stop=[name for name, _ in halts],
        stop_seconds=np.array([seconds for _, seconds in halts], float),
    )


def check_routes(path: str | Path) -> None:
    """Read a route file without a network to compare it with.

    Raises:
        NetworkError: naming file and line, if it cannot be read, or holds flows or trips without routes.
    """
    for element in elements(path, _ROOTS):
        _check_read(element)


def _check_read(element: Element) -> None:
    if element.begins and element.name in _UNREAD:
        raise NetworkError(f"{element.where}: <{element.name}> is not read: {_UNREAD[element.name]}")


class _Types:
    """Classes of the vehicle types and distributions of types that were seen."""

    def __init__(self) -> None:
        self._classes = {DEFAULT_TYPE: DEFAULT_CLASS}
        self._open = ""  # distribution that is being read

    def see(self, element: Element) -> None:
        """Learn from an element."""
        if element.name == "vTypeDistribution":
            self._open = element.text("id") if element.begins else ""
        elif element.name == "vType" and element.begins:
            kind = element.attributes.get("vClass", DEFAULT_CLASS)
            self._classes[element.text("id")] = kind
            if self._open:
                known = self._classes.setdefault(self._open, kind)
                if known != kind:
                    raise NetworkError(
                        f"{element.where}: distribution '{self._open}' mixes classes '{known}' and '{kind}'; "
                        "make one for each class"
                    )

    def vehicle_class(self, vehicle: _Vehicle) -> str:
        """Return the class of a vehicle."""
        if vehicle.type not in self._classes:
            raise NetworkError(
                f"{vehicle.where}: vehicle '{vehicle.id}' is of type '{vehicle.type}', which no file describes; "
                f"there are: {', '.join(self._classes)}"
            )
        return self._classes[vehicle.type]


def _route(element: Element, vehicle: _Vehicle | None, network: Network, link_of: dict[str, list[int]]) -> list[int]:
    """Return the links of a route, each beginning where the one before ends."""
    owner = f"vehicle '{vehicle.id}'" if vehicle else f"route '{element.text('id')}'"
    names = element.text("edges").split()
    for name in names:
        if name not in link_of:
            raise NetworkError(f"{element.where}: {owner} drives on edge '{name}', which the network does not hold")
    if not names:
        raise NetworkError(f"{element.where}: {owner} has a route without edges")
    for one, other in pairwise(names):
        if network.end[link_of[one][-1]] != network.start[link_of[other][0]]:
            raise NetworkError(f"{element.where}: {owner} drives from edge '{one}' to '{other}', which do not meet")
    return [link for name in names for link in link_of[name]]


def _close(vehicle: _Vehicle, named: dict[str, list[int]]) -> None:
    """Give a vehicle the route that it names, if it has none of its own."""
    if not vehicle.links:
        if vehicle.route not in named:
            why = f"names route '{vehicle.route}', which does not stand before it" if vehicle.route else "has no route"
            raise NetworkError(f"{vehicle.where}: vehicle '{vehicle.id}' {why}")
        vehicle.links = named[vehicle.route]
