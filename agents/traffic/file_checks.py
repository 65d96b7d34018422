"""Files that the section ``[traffic]`` names, opened before any run: what is wrong with each, by the key that names it."""

import contextlib
import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...environment.network.lanes import with_bus_lanes
from ...environment.network.network import Network, NetworkError
from ...environment.network.of_city import network_of_city
from ...environment.network.sumo_routes import check_routes
from ...environment.transit.gtfs import check_day, read_gtfs
from ...environment.transit.timetable import TransitError
from .direct import check_trip_table, check_zones, connect, read_trip_table
from .matrices import DemandError, read_matrix
from .plans import read_zones
from .settings import MatrixSettings, TrafficSettings
from .sumo_trips import read_sumo_trips

if TYPE_CHECKING:
    from ...environment.city import City

Key = tuple[str | int, ...]


def file_problems(settings: TrafficSettings, start: datetime.date, days: int, city: "City | None") -> dict[Key, str]:
    """Return what is wrong with the files of a section, by the way to the key below it.

    Args:
        settings: the section.
        start: date of the first day.
        days: length of the run.
        city: the city; None if it has yet to be built: then files are read, but not compared with its streets and zones.
    """
    found: dict[Key, str] = {}
    network = None if city is None or not len(city.links) else with_bus_lanes(network_of_city(city))
    for number, matrix in enumerate(settings.matrices):
        with _noted(found, "matrices", number, "file"):
            _check_matrix(matrix, city, network)
    for number, file in enumerate(settings.trip_tables):
        with _noted(found, "trip_tables", number):
            if network is None:
                check_trip_table(file)
            else:
                read_trip_table(file, network)
    for number, file in enumerate(settings.sumo_routes):
        with _noted(found, "sumo_routes", number):
            check_routes(file)
    if settings.sumo_routes and network is not None and not any(key[0] == "sumo_routes" for key in found):
        with _noted(found, "sumo_routes"):
            read_sumo_trips(settings.sumo_routes, network)
    crs, bounds = (None, None) if city is None else (city.info.crs, city.info.bounds)
    for number, feed in enumerate(settings.transit if isinstance(settings.transit, tuple) else ()):
        with _noted(found, "transit", number):
            read_gtfs(feed, start, crs, bounds)
            check_day(feed, start + datetime.timedelta(days=days - 1))
    return found


@contextlib.contextmanager
def _noted(found: dict[Key, str], *key: str | int) -> Iterator[None]:
    """Note under a key what is wrong with a file that is read."""
    try:
        yield
    except (DemandError, NetworkError, TransitError) as error:
        found[key] = str(error)


def _check_matrix(matrix: MatrixSettings, city: "City | None", network: Network | None) -> None:
    """Read a matrix; with a city, find its zones there, too.

    Raises:
        DemandError: if anything is wrong.
    """
    read = read_matrix(matrix.file)
    zones = None if matrix.zones is None else read_zones(matrix.zones)
    if city is None or network is None:
        return
    if zones is None:
        zones = city.layer("zones")
    if zones is not None:
        check_zones(read, connect(zones, network, matrix.zone_name))
