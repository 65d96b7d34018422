"""Networks of a few straight streets, by coordinates."""

import numpy as np

from citytwin.environment.network.network import Network


def straight_streets(x, y, start, end, way=None):
    """Return links between points in metres; a link between equal points is 1 m long."""
    links = len(start)
    x, y = np.array(x, float), np.array(y, float)
    start, end = np.array(start, np.int32), np.array(end, np.int32)
    return Network(
        x=x,
        y=y,
        start=start,
        end=end,
        length=np.maximum(np.hypot(x[end] - x[start], y[end] - y[start]), 1.0),
        speed=np.full(links, 14.0),
        lanes=np.ones(links),
        capacity=np.ones(links),
        access=np.ones(links, np.uint8),
        rank=np.zeros(links, np.uint8),
        way=np.arange(links) if way is None else np.array(way),
        through=np.ones(len(x), bool),
        crs="EPSG:32631",
    )
