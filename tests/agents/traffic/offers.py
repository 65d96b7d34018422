"""Offers made from distances as the crow flies, for tests of whoever needs any."""

import numpy as np

from citytwin.agents.traffic.modes import Offer

SPEEDS = np.array([25.0, 25.0, 14.0, 13.0, 4.7]) / 3.6
"""Metres a second of each mode."""
FIXED = np.array([60.0, 60.0, 600.0, 30.0, 0.0])
"""Seconds that a trip takes besides."""


def by_distance(trips, city):
    """Return what trips take at fixed speeds, on ways 1.3 times as long as the crow flies."""
    places = city.places
    metres = 50 + 1.3 * np.hypot(
        places.x[trips.from_place] - places.x[trips.to_place], places.y[trips.from_place] - places.y[trips.to_place]
    )
    return Offer(
        FIXED + metres[:, None] / SPEEDS,
        np.repeat(metres[:, None], 5, 1),
        walk_seconds=np.full(len(trips), 360.0),
        wait_seconds=np.full(len(trips), 240.0),
    )
