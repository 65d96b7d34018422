"""Vehicles of SUMO's route files as trips that keep to their routes."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ...environment.network.network import Network
from ...environment.network.sumo_routes import read_routes
from ...environment.roads import Access
from ..vehicles import VehicleKind
from .demand import Mode, Trips
from .matrices import DAY, DemandError
from .moving import Given

_CARS = "passenger private taxi hov evehicle vip army authority emergency delivery motorcycle moped custom1 custom2 ignoring"
_LARGE = {"truck": VehicleKind.TRUCK, "trailer": VehicleKind.TRUCK, "bus": VehicleKind.BUS, "coach": VehicleKind.BUS}
KINDS = dict.fromkeys(_CARS.split(), VehicleKind.CAR) | _LARGE
"""What drives by SUMO's class of it; other classes do not drive on streets among cars."""
_BESIDE_CARS = ("bus", "coach", "ignoring")
"""Classes that may use streets for buses alone."""


def read_sumo_trips(paths: Iterable[str | Path], network: Network) -> tuple[Trips, Given]:
    """Return the vehicles of route files as trips, and the routes of those that can drive them.

    Whose route leads over a street that is closed to them, as by a design, finds one like everybody else. Halts at bus
    stops are not made.

    Args:
        paths: ``.rou.xml`` files, and others that describe types.
        network: streets of a city that was made of a network of SUMO.

    Raises:
        DemandError: if a vehicle does not drive on streets, or departs after the day.
        NetworkError: if a file cannot be read, or does not fit the network.
    """
    files = [str(path) for path in paths]
    routes = read_routes(files, network)
    label = ", ".join(files)
    for name, kind, depart in zip(routes.ids, routes.vehicle_class, routes.depart.tolist(), strict=True):
        if kind not in KINDS:
            raise DemandError(
                f"{label}: vehicle '{name}' is of class '{kind}'; those on streets are: {', '.join(KINDS)}"
            )
        if not 0 <= depart < DAY:
            raise DemandError(f"{label}: vehicle '{name}' departs at {depart:g} s, must be from 0 to {DAY:,.0f}")
    access = np.where(np.isin(routes.vehicle_class, _BESIDE_CARS), Access.CAR | Access.BUS, Access.CAR)
    size = np.diff(routes.first)
    closed = (network.access[routes.link] & np.repeat(access, size)) == 0
    closed_before = np.concatenate([[0], np.cumsum(closed)])
    row = np.flatnonzero(closed_before[routes.first[1:]] == closed_before[routes.first[:-1]])
    kept = np.isin(np.repeat(np.arange(len(size)), size), row)
    trips = Trips.in_order(
        depart=routes.depart,  # rising, so that rows stay
        origin=network.start[routes.link[routes.first[:-1]]],
        destination=network.end[routes.link[routes.first[1:] - 1]],
        mode=np.full(len(size), Mode.CAR),
        kind=[KINDS[kind] for kind in routes.vehicle_class],
    )
    return trips, Given(row, np.concatenate([[0], np.cumsum(size[row])]).astype(np.int64), routes.link[kept])
