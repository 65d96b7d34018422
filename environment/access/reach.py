"""How much people reach: opportunities within some minutes, the way to the nearest, and the area that is reached."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .points import AccessError, Opportunities, Origins
from .times import ROUNDING, TRANSIT, WALK, WALK_SPEED, TravelTimes

if TYPE_CHECKING:
    from shapely import MultiPolygon, Polygon

MOST_MINUTES = 24 * 60
STREET = 50.0
"""Metres on both sides of a street that an isochrone covers; assumed, half a block."""


def reach(
    times: TravelTimes,
    mode: str,
    origins: Origins,
    opportunities: Opportunities,
    minutes: Sequence[float],
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float64]:
    """Return how many opportunities people reach (cumulative opportunities).

    Args:
        times: travel times on the streets.
        mode: one of :data:`.times.MODES`.
        origins: where people set out.
        opportunities: what they may reach.
        minutes: limits.
        progress: called with what is done and in all.

    Returns:
        float64 (origins, minutes, kinds): the sum over all opportunities that are not farther than each limit.

    Raises:
        AccessError: if a limit or the mode makes no sense, or a point is outside the city.
    """
    limits = checked_minutes(minutes) * 60.0
    begins = times.snap_all(mode, origins.name, origins.x, origins.y)
    ends = times.snap(mode, opportunities.x, opportunities.y)
    ascending, place = np.unique(limits, return_inverse=True)
    return times.reached(mode, begins, ends, opportunities.count, ascending, progress)[:, place]


def gravity(
    times: TravelTimes, mode: str, origins: Origins, opportunities: Opportunities, half: float, most: float = 120.0
) -> NDArray[np.float64]:
    """Return opportunities weighted with their nearness: each counts 2^(−minutes/half).

    Args:
        times, mode, origins, opportunities: as for :func:`reach`.
        half: minutes at which an opportunity counts half.
        most: minutes beyond which nothing counts.

    Returns:
        float64 (origins, kinds).
    """
    if not half > 0:
        raise AccessError(f"half is {half:g} minutes; it must be above 0")
    begins = times.snap_all(mode, origins.name, origins.x, origins.y)
    ends = times.snap(mode, opportunities.x, opportunities.y)
    out = np.zeros((len(origins), len(opportunities.kinds)))
    for rows, seconds in times.between(mode, begins, ends, float(checked_minutes([most])[0] * 60)):
        weight = np.where(seconds <= most * 60 + ROUNDING, np.exp2(-seconds.astype(float) / (60.0 * half)), 0.0)
        out[rows] = weight @ opportunities.count
    return out


def nearest(
    times: TravelTimes, mode: str, origins: Origins, x: ArrayLike, y: ArrayLike, limit: float
) -> NDArray[np.float64]:
    """Return the seconds from each origin to the nearest of some points, infinite beyond ``limit`` seconds."""
    begins = times.snap_all(mode, origins.name, origins.x, origins.y)
    ends = times.snap(mode, x, y)
    out = np.full(len(origins), np.inf)
    if len(ends):
        for rows, seconds in times.between(mode, begins, ends, limit):
            out[rows] = seconds.min(axis=1)
    out[out > limit + ROUNDING] = np.inf
    return out


def reached_nodes(times: TravelTimes, mode: str, x: float, y: float, minutes: float) -> NDArray[np.float32]:
    """Return the seconds from a point to every node, infinite where it takes longer than some minutes.

    Args:
        times: travel times on the streets.
        mode: one of :data:`.times.MODES`.
        x, y: the point, metres.
        minutes: the limit.
    """
    limit = float(checked_minutes([minutes])[0] * 60)
    begin = times.snap_all(mode, [f"({x:g}, {y:g})"], [x], [y])
    network = times.network
    nodes = times.at_nodes(mode)
    _, seconds = next(iter(times.between(mode, begin, nodes, limit)))
    out = np.full(network.nodes, np.inf, np.float32)
    out[nodes.node] = np.where(seconds[0] <= limit + ROUNDING, seconds[0], np.inf)
    return out


def isochrone(times: TravelTimes, mode: str, x: float, y: float, minutes: float) -> "Polygon | MultiPolygon":
    """Return the area that is reached from a point within some minutes.

    It is made of the streets that are reached, drawn straight from junction to junction and the last ones only as far as
    the time lasts, :data:`STREET` metres wide on both sides. By public transport one walks from where it has brought one.

    Args:
        times, mode, x, y, minutes: as for :func:`reached_nodes`.

    Returns:
        Polygon or MultiPolygon in the CRS of the network.
    """
    import shapely

    network = times.network
    seconds = reached_nodes(times, mode, x, y, minutes)
    on = WALK if mode == TRANSIT else mode
    usable = times.open_links(on)
    cost = times.link_seconds(on)
    links = np.flatnonzero(usable & np.isfinite(seconds[network.start]))
    left = minutes * 60.0 - seconds[network.start[links]]
    share = np.clip(left / cost[links], 0.0, 1.0)
    start = np.stack([network.x[network.start[links]], network.y[network.start[links]]], 1)
    end = np.stack([network.x[network.end[links]], network.y[network.end[links]]], 1)
    lines = shapely.linestrings(np.stack([start, start + share[:, None] * (end - start)], 1))
    begin = shapely.Point(x, y).buffer(min(STREET, minutes * 60.0 * WALK_SPEED))
    return shapely.union_all([begin, *shapely.buffer(lines, STREET, quad_segs=4)])


def checked_minutes(minutes: Sequence[float]) -> NDArray[np.float64]:
    """Return limits as numbers.

    Raises:
        AccessError: if there is none, or one is not above 0 or more than a day.
    """
    values = np.asarray(minutes, float)
    if values.ndim != 1 or not len(values) or not np.all((values > 0) & (values <= MOST_MINUTES)):
        raise AccessError(f"minutes {list(minutes)}: give numbers above 0, at most {MOST_MINUTES}")
    return values
