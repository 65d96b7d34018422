"""Accessibility: what people reach from where they live, by mode and time, and who is left out."""

from .indicators import Near, green_share, stop_share
from .points import AccessError, Opportunities, Origins, opportunities_of, read_points, residents_of
from .reach import gravity, isochrone, nearest, reach, reached_nodes
from .summary import Access
from .times import BICYCLE, CAR, MODES, TRANSIT, WALK, Service, TravelTimes

__all__ = [
    "BICYCLE",
    "CAR",
    "MODES",
    "TRANSIT",
    "WALK",
    "Access",
    "AccessError",
    "Near",
    "Opportunities",
    "Origins",
    "Service",
    "TravelTimes",
    "gravity",
    "green_share",
    "isochrone",
    "nearest",
    "opportunities_of",
    "reach",
    "reached_nodes",
    "read_points",
    "residents_of",
    "stop_share",
]
