"""Noise of road traffic at streets and facades, by the German guidelines RLS-19.

Emission: sound power of each metre of street from flow and speed (RLS-19, section 3.3, tables 3 and 4a). Propagation: each
street is cut into pieces of a quarter of their distance (the guidelines want half or less), and the sound of each is
weakened by divergence, here its exact integral over the piece, by air and by ground (section 3.5). Left out: gradients,
junctions, screening by buildings and reflections. So levels are those of a front facade with a free view of the street;
behind the first row of houses they are too high.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ..network.network import Network
from . import AirError

HOURS = 24
SOURCE_HEIGHT = 0.5  # m above the street, RLS-19 section 3.1
RECEIVER_HEIGHT = 4.0  # m, where strategic noise maps are drawn, Directive 2002/49/EC Annex I
NEAREST = 5.0  # m from the lane, as facades stand no closer; links have no width. Assumed
REACH = 500.0  # m beyond which streets are not heard; at 500 m a street is 30 dB below its level at 5 m. Assumed
QUIET = -99.0  # dB, where no sound arrives


class _Group(NamedTuple):
    """A group of vehicles: ``base + 10 lg(1 + (v / scale)^power)`` dB at v km/h, and the surface's part in it."""

    base: float
    scale: float
    power: float
    slowest: float
    fastest: float
    surface_slow: float
    surface_fast: float


# RLS-19 table 3; the numbers as read in MATSim's contribution "noise" (RLS19VehicleType). Last two: asphalt concrete up to
# AC 11 to 60 km/h and above, table 4a, as read in Aconiq (rls19/road/tables.go).
LIGHT = _Group(88.0, 20.0, 3.06, 30.0, 130.0, -2.7, -1.9)
"""Cars and vans."""
HEAVY = _Group(100.3, 40.0, 4.33, 30.0, 90.0, -1.9, -2.1)
"""Trucks without a trailer, above 3.5 t, and buses."""
TRAILER = _Group(105.4, 50.0, 4.88, 30.0, 90.0, -1.9, -2.1)
"""Trucks with a trailer or semi-trailer."""


def vehicle_power(speed: ArrayLike, group: _Group = LIGHT, *, asphalt: bool = True) -> NDArray[np.float64]:
    """Return the sound power level of one vehicle, dB(A).

    Args:
        speed: (n,) m/s; below 30 km/h the level at 30 holds, as the guidelines say nothing slower.
        group: LIGHT, HEAVY or TRAILER.
        asphalt: on asphalt concrete; otherwise on the reference surface, mastic asphalt.
    """
    kmh = np.clip(np.asarray(speed, float) * 3.6, group.slowest, group.fastest)
    level = group.base + 10.0 * np.log10(1.0 + (kmh / group.scale) ** group.power)
    return level + np.where(kmh <= 60.0, group.surface_slow, group.surface_fast) if asphalt else level


def street_power(
    light: ArrayLike, speed: ArrayLike, heavy: ArrayLike = 0.0, trailer: ArrayLike = 0.0, *, asphalt: bool = True
) -> NDArray[np.float64]:
    """Return the sound power level of a metre of street, dB(A) (RLS-19, equation 4).

    Args:
        light, heavy, trailer: vehicles an hour, of shapes that go together, for example (links, 24).
        speed: m/s, of such a shape; it may be nan where nothing drives.
        asphalt: as for :func:`vehicle_power`.

    Returns:
        float64; −∞ where nothing drives.
    """
    speed = np.asarray(speed, float)
    power = np.zeros(np.broadcast_shapes(*(np.shape(a) for a in (light, speed, heavy, trailer))))
    for flow, group in ((light, LIGHT), (heavy, HEAVY), (trailer, TRAILER)):
        count = np.broadcast_to(np.asarray(flow, float), power.shape)
        if not (np.isfinite(count) & (count >= 0)).all():
            raise AirError(f"flow: vehicles an hour must be numbers, not below 0; smallest is {count.min()}")
        if not count.any():
            continue
        if not (np.broadcast_to(speed, power.shape)[count > 0] >= 0).all():
            raise AirError("speed: must be a number, not below 0, wherever something drives")
        # A vehicle is on a metre for 1/v; what drives is never slower than the level's own lowest speed.
        kmh = np.clip(speed * 3.6, group.slowest, group.fastest)
        each = 10.0 ** (0.1 * vehicle_power(speed, group, asphalt=asphalt)) / kmh / 1000.0
        power += np.where(count > 0, count * each, 0.0)
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10(power)


def loss(distance: ArrayLike, height: float = RECEIVER_HEIGHT) -> NDArray[np.float64]:
    """Return by how many dB the sound of a point of the street is weakened on its way over flat, free ground.

    Args:
        distance: (n,) m from source to receiver.
        height: m of the receiver above the ground.

    Returns:
        Divergence 20 lg s + 10 lg 2π, air s/200, and ground max(4.8 − hm/s (34 + 600/s), 0) with hm the mean height of
        the way (RLS-19, section 3.5).
    """
    s = np.asarray(distance, float)
    middle = (SOURCE_HEIGHT + height) / 2.0
    ground = np.maximum(4.8 - middle / s * (34.0 + 600.0 / s), 0.0)
    return 20.0 * np.log10(s) + 10.0 * np.log10(2.0 * np.pi) + s / 200.0 + ground


def levels(
    x: ArrayLike,
    y: ArrayLike,
    network: Network,
    power: NDArray[np.float64],
    *,
    height: float = RECEIVER_HEIGHT,
    reach: float = REACH,
) -> NDArray[np.float64]:
    """Return the levels that streets cause at points.

    Args:
        x, y: (n,) m in the network's CRS, for example of :func:`facades`.
        network: links, straight lines between their nodes.
        power: (links, hours) dB(A) for each metre, of :func:`street_power`.
        height: m of the points above the ground.
        reach: m from which streets are heard.

    Returns:
        float64 (n, hours) dB(A); −99 where nothing is heard. Points nearer than 5 m to a link are taken as 5 m away.

    Raises:
        AirError: if the network has no coordinates or the shapes do not fit.
    """
    if not network.crs:
        raise AirError("the network has no coordinates, so nobody knows how far its streets are")
    if power.ndim != 2 or len(power) != network.links:
        raise AirError(f"power has shape {power.shape}, must be ({network.links} links, hours)")
    px, py = (np.ascontiguousarray(np.atleast_1d(a), float) for a in (x, y))
    x0, y0, x1, y1 = (column[ends] for ends in (network.start, network.end) for column in (network.x, network.y))
    loud = np.flatnonzero((power > -np.inf).any(axis=1))
    energy = np.zeros((len(px), power.shape[1]))
    if len(loud) and len(px):
        first, link, origin, shape = _buckets(x0[loud], y0[loud], x1[loud], y1[loud], reach)
        _add_levels(
            px,
            py,
            np.column_stack([x0, y0, x1, y1])[loud],
            10.0 ** (0.1 * power[loud]),
            first,
            link,
            np.array([*origin, reach, height]),
            np.array(shape),
            energy,
        )
    return 10.0 * np.log10(np.maximum(energy, 10.0 ** (0.1 * QUIET)))


def _buckets(
    x0: NDArray[np.float64], y0: NDArray[np.float64], x1: NDArray[np.float64], y1: NDArray[np.float64], reach: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[float, float], tuple[int, int]]:
    """Return links by square of side ``reach``: every link that may be within reach of a point of the square, ascending."""
    west, south = min(x0.min(), x1.min()) - reach, min(y0.min(), y1.min()) - reach
    columns = int((max(x0.max(), x1.max()) + reach - west) // reach) + 1
    rows = int((max(y0.max(), y1.max()) + reach - south) // reach) + 1
    left, right = (
        ((edge - west) // reach).astype(np.int64) for edge in (np.minimum(x0, x1) - reach, np.maximum(x0, x1) + reach)
    )
    low, high = (
        ((edge - south) // reach).astype(np.int64) for edge in (np.minimum(y0, y1) - reach, np.maximum(y0, y1) + reach)
    )
    wide, count = right - left + 1, (right - left + 1) * (high - low + 1)
    link = np.repeat(np.arange(len(x0)), count)
    number = np.arange(len(link)) - np.repeat(np.cumsum(count) - count, count)
    bucket = (low[link] + number // wide[link]) * columns + left[link] + number % wide[link]
    order = np.argsort(bucket, kind="stable")
    return np.searchsorted(bucket[order], np.arange(rows * columns + 1)), link[order], (west, south), (rows, columns)


@njit(cache=True, nogil=True)
def _add_levels(px, py, ends, power, first, members, settings, shape, energy):
    """Add to ``energy`` (points, hours) what arrives of ``power`` (links, hours) at each point."""
    west, south, reach, height = settings[0], settings[1], settings[2], settings[3]
    middle = (SOURCE_HEIGHT + height) / 2.0
    lift = (height - SOURCE_HEIGHT) ** 2
    for point in range(len(px)):
        column, row = np.int64((px[point] - west) // reach), np.int64((py[point] - south) // reach)
        if column < 0 or row < 0 or row >= shape[0] or column >= shape[1]:
            continue
        bucket = row * shape[1] + column
        for position in range(first[bucket], first[bucket + 1]):
            link = members[position]
            dx, dy = ends[link, 2] - ends[link, 0], ends[link, 3] - ends[link, 1]
            length = np.sqrt(dx * dx + dy * dy)
            if length == 0.0:
                continue
            ax, ay = ends[link, 0] - px[point], ends[link, 1] - py[point]
            begin = (ax * dx + ay * dy) / length  # along the link, from the foot of the perpendicular
            end = begin + length
            aside = abs(ax * dy - ay * dx) / length
            closest = np.sqrt(aside * aside + max(begin, -end, 0.0) ** 2)
            if closest > reach:
                continue
            if closest < NEAREST:
                aside = NEAREST
            height2 = aside * aside + lift
            flat = max(np.sqrt(height2), 1e-3)
            arriving = 0.0
            for side in range(
                2
            ):  # outwards from the nearest spot; each piece is a quarter as long as its near end is far
                gone, stop = (max(begin, 0.0), end) if side else (max(-end, 0.0), -begin)
                while gone < stop:
                    beyond = min(gone + np.sqrt(gone * gone + height2) / 4.0, stop)
                    s = np.sqrt(height2 + (gone + beyond) ** 2 / 4.0)
                    ground = max(4.8 - middle / s * (34.0 + 600.0 / s), 0.0)
                    seen = (np.arctan(beyond / flat) - np.arctan(gone / flat)) / flat  # integral of 1/s²
                    arriving += seen * 10.0 ** (-0.1 * (s / 200.0 + ground))
                    gone = beyond
            arriving /= 2.0 * np.pi
            for hour in range(power.shape[1]):
                energy[point, hour] += arriving * power[link, hour]


def facades(polygons: ArrayLike, network: Network) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the spot of each building's outline that is nearest to a street that cars use.

    Args:
        polygons: (n,) shapely geometries of buildings in the network's CRS.
        network: the links.

    Returns:
        x and y (n,) m.
    """
    import shapely

    from ..roads import Access

    rows = np.flatnonzero(network.usable(Access.CAR))
    if not len(rows):
        raise AirError("the network has no link that cars may use; nothing to hear")
    ends = np.stack([network.start[rows], network.end[rows]], axis=1)
    lines = shapely.linestrings(np.stack([network.x[ends], network.y[ends]], axis=-1))
    outline = shapely.boundary(np.asarray(polygons))
    street = lines[shapely.STRtree(lines).nearest(outline)]
    spot = shapely.get_point(shapely.shortest_line(outline, street), 0)
    return shapely.get_x(spot), shapely.get_y(spot)


# ------------------------------------------------------------------ indicators


def day_evening_night(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Lden from levels of the hours of a day: evenings weigh 5 dB more, nights 10.

    Args:
        level: (n, 24) dB(A), the first hour from midnight.

    Returns:
        float64 (n,) dB(A). Day 7–19, evening 19–23, night 23–7 (Directive 2002/49/EC, Annex I).
    """
    if level.shape[-1] != HOURS:
        raise AirError(f"levels have {level.shape[-1]} hours; a day has {HOURS}")
    extra = np.zeros(HOURS)
    extra[19:23], extra[23:], extra[:7] = 5.0, 10.0, 10.0
    return 10.0 * np.log10((10.0 ** (0.1 * (level + extra))).mean(axis=-1))


def share_above(level: ArrayLike, limit: float, people: ArrayLike | None = None) -> float:
    """Return the share of people whose level is above a limit.

    Args:
        level: (n,) dB(A), for example Lden at the homes.
        limit: dB(A), for example 55 or 65, at which the directive's maps begin or are dense.
        people: (n,) who live there, 1 each by default.
    """
    above = np.asarray(level, float) > limit
    weight = np.ones(above.shape) if people is None else np.asarray(people, float)
    total = weight.sum()
    return float((weight * above).sum() / total) if total > 0 else float("nan")
