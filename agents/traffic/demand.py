"""Trips of a day: who goes from where to where, and when they plan to leave.

A trip lies between two visits of a person that follow each other at different places. A schedule gives no time to moving
(see :mod:`~citytwin.environment.schedules`), so people leave within the quarter of an hour before the next visit begins.
"""

from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ...environment.design.before import access_before
from ...environment.network.kerbs import DETOUR
from ...environment.network.network import Network
from ...environment.network.skims import SPEEDS
from ...environment.randomness import key, uniform
from ...environment.roads import Access, largest_component
from ...environment.schedules import SLOT_MINUTES
from ..presence import own_factor
from ..vehicles import VehicleKind

if TYPE_CHECKING:
    from ...environment.city import City
    from ..presence import Presence

NO_MODE = 255
"""Mode of a trip for which none has been chosen yet."""

_SLOT_SECONDS = 60.0 * SLOT_MINUTES
_REDIRECTED = 2  # of Visits.altered


class Mode(IntEnum):
    """How a trip is made."""

    CAR = 0
    PASSENGER = 1
    TRANSIT = 2
    BICYCLE = 3
    WALK = 4


@dataclass(frozen=True)
class Trips:
    """Trips of one day, a row each, in order of planned departure.

    Attributes:
        person: int32 (trips,) who makes it; −1 for nobody of the city, as in through traffic and freight.
        purpose: uint8 (trips,) :class:`~citytwin.environment.places.PlaceKind` of where it goes.
        from_place, to_place: int32 (trips,) places; −1 where it begins or ends at no place.
        origin, destination: int32 (trips,) nodes of the network.
        depart: float64 (trips,) planned departure, seconds after midnight.
        mode: uint8 (trips,) :class:`Mode`, :data:`NO_MODE` before one is chosen.
        previous: int32 (trips,) row, above this one, of the trip that the person makes before; −1 for the first.
        kind: uint8 (trips,) :class:`~citytwin.agents.vehicles.VehicleKind`, of trips whose mode is ``CAR``.
    """

    person: NDArray[np.int32]
    purpose: NDArray[np.uint8]
    from_place: NDArray[np.int32]
    to_place: NDArray[np.int32]
    origin: NDArray[np.int32]
    destination: NDArray[np.int32]
    depart: NDArray[np.float64]
    mode: NDArray[np.uint8]
    previous: NDArray[np.int32]
    kind: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.person)

    def with_columns(self, **columns: Any) -> "Trips":
        """Return the trips with other columns in place of those named; departures must stay in order."""
        return replace(self, **columns)

    @classmethod
    def in_order(cls, **columns: ArrayLike) -> "Trips":
        """Make trips of columns in any order; ``previous`` numbers rows of that order.

        Columns that are not given hold −1, ``NO_MODE`` and ``CAR``.
        """
        depart = np.asarray(columns["depart"], np.float64)
        order = np.argsort(depart, kind="stable")
        made: dict[str, NDArray[Any]] = {}
        for column in fields(cls):
            dtype, default = _COLUMNS[column.name]
            given = columns.get(column.name)
            made[column.name] = (
                np.full(len(order), default, dtype) if given is None else np.asarray(given, dtype)[order]
            )
        row = np.empty(len(order) + 1, np.int32)
        row[order] = np.arange(len(order), dtype=np.int32)
        row[-1] = -1
        made["previous"] = row[made["previous"]]
        return cls(**made)


_COLUMNS: dict[str, tuple[Any, int]] = {
    "person": (np.int32, -1),
    "purpose": (np.uint8, 0),
    "from_place": (np.int32, -1),
    "to_place": (np.int32, -1),
    "origin": (np.int32, -1),
    "destination": (np.int32, -1),
    "depart": (np.float64, 0),
    "mode": (np.uint8, NO_MODE),
    "previous": (np.int32, -1),
    "kind": (np.uint8, VehicleKind.CAR),
}
"""Type and default of each column."""


def join(*parts: Trips) -> Trips:
    """Return the trips of all parts, in order of departure; those that leave at once in the order of the parts."""
    if not parts:
        return Trips.in_order(depart=())
    above = np.cumsum([0] + [len(part) for part in parts[:-1]])
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    columns["previous"] = np.concatenate(
        [np.where(part.previous < 0, -1, part.previous + n) for part, n in zip(parts, above, strict=True)]
    )
    return Trips.in_order(**columns)


def place_nodes(city: "City") -> NDArray[np.int32]:
    """Return the node at which trips to and from each place begin and end, (places,).

    It is the node of the building or site if cars, cyclists and walkers can all go from it to most of the city,
    otherwise the nearest such node; before street designs closed anything, so that nobody moves with a closure (see
    :func:`car_nodes`). Without streets, all are −1.
    """
    places, links, open_to = city.places, city.links, access_before(city)
    node = np.full(len(places), -1, np.int32)
    if not len(links):
        return node
    for table, column in ((city.buildings, places.building), (city.sites, places.site)):
        rows = np.flatnonzero(column >= 0)
        node[rows] = table.node[column[rows]]
    good = np.ones(len(city.nodes), bool)
    for access in (Access.CAR, Access.BICYCLE, Access.FOOT):
        usable = (open_to & access) > 0
        part = good & largest_component(links.start[usable], links.end[usable], len(city.nodes))
        if part.any():  # a map of streets for cars alone says nothing about walkers
            good = part
    lost = np.flatnonzero((node < 0) | ~good[node])
    if len(lost):
        from scipy.spatial import cKDTree  # slow to import

        chosen = np.flatnonzero(good)
        tree = cKDTree(np.stack([city.nodes.x[chosen], city.nodes.y[chosen]], 1))
        node[lost] = chosen[tree.query(np.stack([places.x[lost], places.y[lost]], 1))[1]]
    return node


def car_nodes(network: Network) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return for each node where who lives there gets into a car, and seconds on foot to it, both (nodes,).

    That is the node itself, or where cars cannot go from it to most of the city, the nearest one where they can.
    """
    node = np.arange(network.nodes, dtype=np.int32)
    walk = np.zeros(network.nodes)
    part = network.main_part(Access.CAR)
    far = np.flatnonzero(~part)
    if len(far) and part.any():
        from scipy.spatial import cKDTree  # slow to import

        chosen = np.flatnonzero(part)
        tree = cKDTree(np.stack([network.x[chosen], network.y[chosen]], 1))
        away, nearest = tree.query(np.stack([network.x[far], network.y[far]], 1))
        node[far], walk[far] = chosen[nearest], away * DETOUR / SPEEDS[Access.FOOT]
    return node, walk


def day_trips(city: "City", presence: "Presence", day: int, seed: int, nodes: NDArray[np.int32] | None = None) -> Trips:
    """Return the trips that the residents make on a day, their modes not chosen yet.

    Whoever is kept at home makes none, nor does who is away. A person leaves for a visit that begins at a quarter of an
    hour at the same second in every policy and on every day.

    Args:
        city: the city.
        presence: who is where, with the exceptions of the day.
        day: day of the run.
        seed: seed of the run, of which departures depend.
        nodes: (places,) node of each place, by default :func:`place_nodes`.
    """
    visits = presence.visits(day)
    node = place_nodes(city) if nodes is None else nodes
    person, from_place, to_place, depart, previous = _trips(
        visits.first,
        visits.place,
        visits.start,
        visits.kind,
        visits.column,
        visits.household,
        visits.group,
        visits.take,
        visits.altered,
        key(seed, "departure"),
    )
    return Trips.in_order(
        person=person,
        purpose=city.places.kind[to_place],
        from_place=from_place,
        to_place=to_place,
        origin=node[from_place],
        destination=node[to_place],
        depart=depart,
        previous=previous,
    )


@njit(cache=True, nogil=True)
def _trips(first, place, start, kind, column, household, group, take, altered, departure):
    """Return (person, from_place, to_place, depart, previous) of all trips in person order."""
    people = first.size - 1
    most = place.size - people
    person_of = np.empty(most, np.int32)
    from_place = np.empty(most, np.int32)
    to_place = np.empty(most, np.int32)
    depart = np.empty(most)
    previous = np.empty(most, np.int32)
    trips = 0
    for person in range(people):
        kept = altered[group[person]] == _REDIRECTED
        here = -1
        before = -1
        for v in range(first[person], first[person + 1]):
            there = place[v]
            if kept and own_factor(kind, column, household, group, take, person, there) < 0:
                there = household[person]
            if here >= 0 and there != here:
                slot = np.int64(start[v])
                person_of[trips] = person
                from_place[trips] = here
                to_place[trips] = there
                depart[trips] = (slot - uniform(departure, person, slot)) * _SLOT_SECONDS
                previous[trips] = before
                before = trips
                trips += 1
            here = there
    return person_of[:trips], from_place[:trips], to_place[:trips], depart[:trips], previous[:trips]
