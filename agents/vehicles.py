"""Vehicles: whatever drives on the links of a city."""

from enum import IntEnum
from typing import TYPE_CHECKING

from ..environment.positions import link_point, place_point
from .rows import Column, RowAgent

if TYPE_CHECKING:
    from shapely import Point


class VehicleKind(IntEnum):
    """What drives."""

    CAR = 0
    BICYCLE = 1
    BUS = 2
    TRUCK = 3
    AMBULANCE = 4
    FIRE_ENGINE = 5
    POLICE_CAR = 6


class VehicleState(IntEnum):
    """What it does now."""

    PARKED = 0
    DRIVING = 1
    QUEUEING = 2
    OUT_OF_SERVICE = 3


class Vehicle(RowAgent):
    """A vehicle, either on a link or parked at a place.

    A class of one's own adds columns and overrides the hook; a hook that no class overrides costs nothing::

        class Stubborn(Vehicle):
            def looks_again(self):
                return self.speed == 0
    """

    kind = Column("u1", VehicleKind.CAR, doc="VehicleKind")
    owner = Column("i4", -1, doc="number of the person it belongs to, −1 for none")
    state = Column("u1", VehicleState.PARKED, doc="VehicleState")
    place = Column("i4", -1, doc="place where it is parked, −1 on the road")
    link = Column("i4", -1, doc="link it is on, −1 while parked at a place")
    position_m = Column("f4", unit="m", doc="distance driven on the link")
    speed = Column("f4", unit="m/s", doc="speed now")
    occupants = Column("u1", doc="people inside, the driver included")

    def looks_again(self) -> bool:
        """Say whether the driver looks whether another way has become quicker, and takes it.

        Asked of all residents, truckers and those who drive through, while they are on a link, each time that the state of
        the streets is looked at (``traffic.reroute``), and only of classes that override it: the answer takes the place
        of the chance ``traffic.rerouting``. Link, position, speed and state are those of the moment.
        """
        return True

    @property
    def geometry(self) -> "Point | None":
        """Point where the vehicle is, in the city's CRS; None while it is nowhere."""
        if self.link >= 0:
            return link_point(self.model.city, self.link, self.position_m)
        return place_point(self.model.city, self.place) if self.place >= 0 else None
