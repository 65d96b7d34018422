"""Responders: crews of the fire, ambulance and police services."""

from enum import IntEnum

import numpy as np
from shapely import Point

from ..environment.places import SiteKind
from ..environment.positions import site_point
from .rows import Column, RowAgent

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
    CLEARING = 7


class Responder(RowAgent):
    """A crew with its vehicle."""

    service = Column("u1", Service.AMBULANCE, doc="Service")
    station = Column("i4", -1, doc="site where the crew is stationed, −1 for none")
    vehicle = Column("i4", -1, doc="row of its Vehicle, −1 on foot")
    state = Column("u1", ResponderState.AT_STATION, doc="ResponderState")
    crew = Column("u1", 2, doc="people in the crew")
    shift_start = Column("i4", 0, unit="s", doc="start of the daily shift since midnight")
    shift_end = Column("i4", DAY, unit="s", doc="end of the daily shift since midnight; before the start: next morning")
    task = Column("i4", -1, doc="row of the task that the crew does, −1 for none")
    x = Column(
        "f8", float("nan"), unit="m", doc="easting of where the crew is, or of the junction that it comes to next"
    )
    y = Column("f8", float("nan"), unit="m", doc="northing of it")

    @property
    def geometry(self) -> Point | None:
        """Point where the crew is, or the junction that it comes to next, in the city's CRS.

        A crew that has not been anywhere is at its station, or nowhere (None) if it has none.
        """
        if np.isfinite(self.x):
            return Point(self.x, self.y)
        return site_point(self.model.city, self.station) if self.station >= 0 else None

    def on_shift(self, time_of_day: float) -> bool:
        """Say whether the crew works at a time of day (s since midnight); shifts may pass midnight."""
        start, end = self.shift_start, self.shift_end
        if start <= end:
            return start <= time_of_day < end
        return time_of_day >= start or time_of_day < end
