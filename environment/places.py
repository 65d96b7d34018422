"""Kinds of places and sites, and the roles of residents: the words that schedules, policies and results share."""

from enum import IntEnum


class PlaceKind(IntEnum):
    """What a room is used for. A place is one room where people meet: a dwelling, a class, a team, a venue."""

    HOME = 0
    KINDERGARTEN = 1
    PRIMARY = 2
    SECONDARY = 3
    UNIVERSITY = 4
    WORK = 5
    SHOP = 6
    LEISURE = 7
    HOSPITAL = 8


class SiteKind(IntEnum):
    """What an institution is. A site holds one or more places (a school its classes, a firm its teams).

    The first values are those of :class:`PlaceKind`; stations house responders and have no visitors of their own.
    """

    KINDERGARTEN = 1
    PRIMARY = 2
    SECONDARY = 3
    UNIVERSITY = 4
    WORK = 5
    SHOP = 6
    LEISURE = 7
    HOSPITAL = 8
    FIRE_STATION = 9
    AMBULANCE_STATION = 10
    POLICE_STATION = 11
    TRANSPORT_STOP = 12


class Role(IntEnum):
    """What a resident does on a working day."""

    AT_HOME = 0
    KINDERGARTEN = 1
    PRIMARY = 2
    SECONDARY = 3
    STUDENT = 4
    WORKER = 5
    RETIRED = 6


class BuildingUse(IntEnum):
    """Main use of a building."""

    RESIDENTIAL = 0
    WORK = 1
    SHOP = 2
    SCHOOL = 3
    HOSPITAL = 4
    LEISURE = 5
    MIXED = 6
    OTHER = 7


PLACE_GROUPS: dict[str, tuple[PlaceKind, ...]] = {
    **{kind.name.lower(): (kind,) for kind in PlaceKind},
    "school": (PlaceKind.KINDERGARTEN, PlaceKind.PRIMARY, PlaceKind.SECONDARY),
    "education": (PlaceKind.KINDERGARTEN, PlaceKind.PRIMARY, PlaceKind.SECONDARY, PlaceKind.UNIVERSITY),
    "venue": (PlaceKind.SHOP, PlaceKind.LEISURE),
}
"""Names that a scenario may use for kinds of places, each with the kinds it stands for."""
