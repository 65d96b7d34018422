"""Indicators of access that are a walk along streets to the nearest of something: stops (SDG 11.2.1) and green space."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..polygons import read_polygons
from ..transit.timetable import RouteType, Timetable
from .points import AccessError, Origins
from .reach import nearest
from .times import WALK, WALK_SPEED, TravelTimes

if TYPE_CHECKING:
    from ..city import City

LOW_CAPACITY_METRES = 500.0
HIGH_CAPACITY_METRES = 1_000.0
"""Walks along the street network that count as convenient access: metadata of SDG indicator 11.2.1, September 2021, to
stops of low-capacity systems (bus, bus rapid transit) and of high-capacity ones (rail, metro, ferry)."""
HIGH_CAPACITY = (RouteType.METRO, RouteType.RAIL, RouteType.FERRY, RouteType.MONORAIL)
"""All else, trams among it, counts as of low capacity (assumed for what the metadata do not name)."""
GREEN_METRES = 300.0
"""Walk to green space, about 5 minutes: the distance that planning guidance in Europe asks for."""
GREEN_HECTARES = 0.5
"""Least size of a green space that counts: the lower end of what WHO Europe's review of urban green space names."""
ENTRANCE = 30.0
"""Metres between a junction and the edge of a green space from which the junction counts as an entrance; assumed."""


@dataclass(frozen=True)
class Near:
    """Who lives near enough to something.

    Attributes:
        within: bool (origins,).
        metres: float64 (origins,) walk to the nearest, infinite where it is beyond what counts.
        share: of the people.
    """

    within: NDArray[np.bool_]
    metres: NDArray[np.float64]
    share: float


def stop_share(times: TravelTimes, origins: Origins, timetable: Timetable) -> Near:
    """Return who has convenient access to public transport: SDG indicator 11.2.1.

    Args:
        times: of the streets.
        origins: where people live.
        timetable: stops at which something calls on the day.
    """
    kinds = timetable.stop_types
    rapid = np.isin(np.arange(kinds.shape[1]), [int(kind) for kind in HIGH_CAPACITY])
    low = np.asarray(kinds[:, ~rapid].any(axis=1), np.bool_)
    high = np.asarray(kinds[:, rapid].any(axis=1), np.bool_)
    return _near(times, origins, timetable.stop_x, timetable.stop_y, low, high)


def stop_share_of_city(times: TravelTimes, origins: Origins, city: "City") -> Near:
    """Return the same for the stops that a city has as sites, whose kind is not known: all count as of low capacity."""
    from ..places import SiteKind

    stops = np.asarray(city.sites.kind) == SiteKind.TRANSPORT_STOP
    if not stops.any():
        raise AccessError(f"{city.info.name}: has no stops of public transport; give a GTFS feed")
    x, y = city.sites.x[stops], city.sites.y[stops]
    return _near(times, origins, x, y, np.ones(len(x), bool), np.zeros(len(x), bool))


def _near(
    times: TravelTimes,
    origins: Origins,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    low: NDArray[np.bool_],
    high: NDArray[np.bool_],
) -> Near:
    best = np.full(len(origins), np.inf)
    for which, metres in ((low, LOW_CAPACITY_METRES), (high, HIGH_CAPACITY_METRES)):
        walk = nearest(times, WALK, origins, x[which], y[which], metres / WALK_SPEED) * WALK_SPEED
        best = np.minimum(best, walk)
    return _share(origins, best)


def green_share(times: TravelTimes, origins: Origins, path: str | Path, metres: float = GREEN_METRES) -> Near:
    """Return who lives near green space.

    A green space may be entered at every junction within :data:`ENTRANCE` of it or inside; those smaller than
    :data:`GREEN_HECTARES` do not count.

    Args:
        times: of the streets.
        origins: where people live.
        path: polygons of public green space, GeoJSON or GeoPackage.
        metres: longest walk along streets.

    Raises:
        PolygonError: if the file cannot be read, or holds no polygon.
        AccessError: if it holds no green space that counts and can be entered.
    """
    x, y = green_entrances(times, path)
    return _share(origins, nearest(times, WALK, origins, x, y, metres / WALK_SPEED) * WALK_SPEED)


def green_entrances(times: TravelTimes, path: str | Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return x and y of the junctions at which green space is entered; arguments and errors as of :func:`green_share`."""
    import shapely

    drawn = read_polygons(Path(path), times.network.crs, "areas of green space").geometry.make_valid()
    shapes = drawn[drawn.area >= GREEN_HECTARES * 10_000].to_numpy()
    nodes = times.at_nodes(WALK)
    tree = shapely.STRtree(shapely.points(nodes.x, nodes.y))
    rows = np.unique(tree.query(shapes, predicate="dwithin", distance=ENTRANCE)[1])
    if not len(rows):
        raise AccessError(f"{path}: no green space of {GREEN_HECTARES:g} ha or more lies along the streets of the city")
    return nodes.x[rows], nodes.y[rows]


def _share(origins: Origins, metres: NDArray[np.float64]) -> Near:
    within = np.isfinite(metres)
    people = origins.people.sum()
    return Near(within, metres, float(origins.people[within].sum() / people) if people else float("nan"))
