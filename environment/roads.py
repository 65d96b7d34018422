"""The road network: what a link is, and figures of a network."""

from enum import IntEnum, IntFlag


class RoadRank(IntEnum):
    """Place of a street in the hierarchy (names of the OpenStreetMap ``highway`` key, links with their parent)."""

    MOTORWAY = 0
    TRUNK = 1
    PRIMARY = 2
    SECONDARY = 3
    TERTIARY = 4
    UNCLASSIFIED = 5
    RESIDENTIAL = 6
    LIVING_STREET = 7
    SERVICE = 8
    TRACK = 9
    CYCLEWAY = 10
    PATH = 11


class Access(IntFlag):
    """Who may use a link, in its direction."""

    CAR = 1
    BICYCLE = 2
    FOOT = 4
    BUS = 8
