"""What moves on a day: the trips of people and others, and the runs of buses among them, as the flow takes them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..vehicles import VehicleKind
from .buses import Buses
from .demand import Mode, Trips

SIZES = {VehicleKind.BUS: 2, VehicleKind.TRUCK: 2}
"""Cars whose room a vehicle takes: passenger car equivalents of trucks and buses on level streets (HCM 2010, exhibit 11-10:
1.5 for level terrain, taken as whole cars)."""


class Given(NamedTuple):
    """Routes of some rows, in order of departure.

    Attributes:
        row: int64 (n,) rows.
        first: int64 (n + 1,) begin of the route of each in ``link``.
        link: int32 links.
    """

    row: NDArray[np.int64]
    first: NDArray[np.int64]
    link: NDArray[np.int32]


def none_given() -> Given:
    """Return the routes of nobody."""
    return Given(np.zeros(0, np.int64), np.zeros(1, np.int64), np.zeros(0, np.int32))


@dataclass(frozen=True)
class Moving:
    """Rows of a flow, in order of planned departure.

    Attributes:
        trip: int32 (trips,) row of each trip.
        run: int32 (runs,) row of each run of a bus.
        cars: int64 rows of trips that vehicles make on the streets and choose their route, buses left out; between two
            places at one node there is no street.
        car_trip: int64 trip of each of these.
        given: routes of those that keep to them.
        runs: the runs of buses, None without.
        bus: bool (rows,) which rows are runs of buses.
        depart: float64 (rows,) seconds after midnight, as planned.
        origin: int32 (rows,) node; −1 for what does not use the streets.
        destination: int32 (rows,) node.
        previous: int32 (rows,) row of the same person's or vehicle's trip before, −1 if there is none.
        seconds: float64 (rows,) as :class:`~.flow.Flow` takes ``duration``.
        size: int32 (rows,) cars whose room each takes.
        kind: uint8 (rows,) :class:`~citytwin.agents.vehicles.VehicleKind` of what uses the streets.
    """

    trip: NDArray[np.int32]
    run: NDArray[np.int32]
    cars: NDArray[np.int64]
    car_trip: NDArray[np.int64]
    given: Given
    runs: Buses | None
    bus: NDArray[np.bool_]
    depart: NDArray[np.float64]
    origin: NDArray[np.int32]
    destination: NDArray[np.int32]
    previous: NDArray[np.int32]
    seconds: NDArray[np.float64]
    size: NDArray[np.int32]
    kind: NDArray[np.uint8]


def moving(
    trips: Trips,
    seconds: NDArray[np.float64],
    runs: Buses | None = None,
    streets: bool = True,
    given: Given | None = None,
) -> Moving:
    """Put trips and runs of buses in one order.

    Args:
        trips: the trips, with their modes.
        seconds: float64 (trips,) time of those that do not use the streets as vehicles.
        runs: of buses, which go after trips that leave at the same second.
        streets: False for a day on which nobody uses the streets as a vehicle.
        given: routes that some trips keep to; these may end where they begin.
    """
    kept = given if given is not None and streets else none_given()
    chooses = (trips.mode == Mode.CAR) & (trips.origin != trips.destination) & streets
    on = chooses.copy()
    on[kept.row], chooses[kept.row] = True, False
    car_trip = np.flatnonzero(chooses)
    size = np.ones(len(trips), np.int32)
    for kind, cars in SIZES.items():
        size[trips.kind == kind] = cars
    columns: dict[str, NDArray[Any]] = {
        "depart": trips.depart,
        "origin": np.where(on, trips.origin, -1).astype(np.int32),
        "destination": trips.destination,
        "seconds": np.where(on, 0.0, seconds),
        "size": size,
        "kind": trips.kind,
    }
    if runs is None:
        row = np.arange(len(trips), dtype=np.int32)
        none = np.zeros(0, np.int32)
        bus = np.zeros(len(trips), np.bool_)
        return Moving(row, none, car_trip, car_trip, kept, None, bus, previous=trips.previous, **columns)
    of_runs = {name: getattr(runs, name) for name in ("depart", "origin", "destination", "seconds")}
    of_runs["size"] = np.full(len(runs), SIZES[VehicleKind.BUS], np.int32)
    of_runs["kind"] = np.full(len(runs), VehicleKind.BUS, np.uint8)
    order = np.argsort(np.concatenate([trips.depart, runs.depart]), kind="stable")
    row = np.empty(len(order), np.int32)
    row[order] = np.arange(len(order), dtype=np.int32)
    trip, run = row[: len(trips)], row[len(trips) :]
    previous = np.concatenate([_of(trip, trips.previous), _of(run, runs.previous)])
    return Moving(
        trip,
        run,
        trip[car_trip].astype(np.int64),
        car_trip,
        kept._replace(row=trip[kept.row].astype(np.int64)),
        runs,
        order >= len(trips),
        previous=previous[order],
        **{name: np.concatenate([columns[name], of_runs[name]])[order] for name in columns},
    )


def _of(row: NDArray[np.int32], previous: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the rows of trips before, given numbers of trips."""
    return np.append(row, np.int32(-1))[previous]
