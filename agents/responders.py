"""Responders: crews of the fire, ambulance and police services."""

from enum import IntEnum
from typing import TYPE_CHECKING

from ..environment.places import SiteKind
from ..environment.positions import link_point, site_point
from .rows import Column, RowAgent

if TYPE_CHECKING:
    from shapely import Point

DAY = 86_400  # s


class Service(IntEnum):
    """Emergency services, numbered as the sites that house them (``places.SiteKind``)."""

    FIRE = SiteKind.FIRE_STATION
    AMBULANCE = SiteKind.AMBULANCE_STATION
    POLICE = SiteKind.POLICE_STATION


class ResponderState(IntEnum):
    """What a crew does now."""

    AT_STATION = 0
    EN_ROUTE = 1
    ON_SCENE = 2
    TRANSPORTING = 3
    AT_HOSPITAL = 4
    RETURNING = 5
    OUT_OF_SERVICE = 6


class Responder(RowAgent):
    """A crew with its vehicle, stationed at a site; at its station unless it is on a link."""

    service = Column("u1", Service.AMBULANCE, doc="Service")
    station = Column("i4", -1, doc="site where the crew is stationed, −1 for none")
    vehicle = Column("i4", -1, doc="row of its Vehicle, −1 on foot")
    state = Column("u1", ResponderState.AT_STATION, doc="ResponderState")
    crew = Column("u1", 2, doc="people in the crew")
    shift_start = Column("i4", 0, unit="s", doc="start of the daily shift since midnight")
    shift_end = Column("i4", DAY, unit="s", doc="end of the daily shift since midnight; before the start: next morning")
    link = Column("i4", -1, doc="link the crew is on, −1 off the road")
    position_m = Column("f4", unit="m", doc="distance driven on the link")

    @property
    def geometry(self) -> "Point | None":
        """Point where the crew is, in the city's CRS; None while it is nowhere."""
        if self.link >= 0:
            return link_point(self.model.city, self.link, self.position_m)
        return site_point(self.model.city, self.station) if self.station >= 0 else None

    def on_shift(self, time_of_day: float) -> bool:
        """Say whether the crew works at a time of day (s since midnight); shifts may pass midnight."""
        start, end = self.shift_start, self.shift_end
        if start <= end:
            return start <= time_of_day < end
        return time_of_day >= start or time_of_day < end
