"""Which links a change means: drawn along them, around them, beside them, or named."""

from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Geometry

from ..roads import Access
from .changes import Change, suggestion
from .specs import COMPASS
from .streets import JOIN, Streets

if TYPE_CHECKING:
    from collections.abc import Iterable

_SAMPLES = (0.1, 0.3, 0.5, 0.7, 0.9)  # places along a link at which it is compared with a line that is drawn
_SLACK = 3.0  # m by which a street may be farther from the line than the nearest one: drawn between two carriageways
_SAME_PLACE = 0.5  # m, streets that are nearer to a point by less are as near, assumed
_STEP = 5.0  # m between the places at which a drawn line asks for the nearest street
_ALIKE = 0.7  # share of its length by which a link must lead along the line, so that streets that cross it do not count
_ACROSS = 0.17  # cosine (80 degrees) below which a link does not lead where a heading says, assumed
_MOTOR = Access.CAR | Access.BUS
_ALL_USERS = ("bicycles", "all")


def pick(streets: Streets, change: Change, where: Geometry | None) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the links that a change means, and which of them lead the way it is drawn or headed.

    Args:
        streets: the streets.
        change: the change.
        where: its geometry in the CRS of the city.

    Raises:
        ValueError: if it means none, or something that is not there; every message is one line.
    """
    twins = streets.twins()
    allowed = _eligible(streets, change, twins)
    if change.links:
        beyond = [link for link in change.links if not 0 <= link < streets.links]
        if beyond:
            raise ValueError(f"links: there is no link {beyond[0]}; allowed: 0 to {streets.links - 1}")
        listed = np.unique(np.array(change.links, np.int64))
        both = change.kind == "one_way" or change.values.get("direction") == "both"
        links = np.unique(np.concatenate([listed, twins[listed][twins[listed] >= 0]])) if both else listed
        return links, np.isin(links, listed)
    chosen = np.ones(streets.links, bool)
    problems = []
    if change.streets:
        problems += _unknown("street", change.streets, streets.names.tolist())
        chosen &= np.isin(streets.names.astype(str), [_spelt(name, streets) for name in change.streets])
    if change.ways:
        problems += _unknown("way", change.ways, streets.way.tolist())
        chosen &= np.isin(streets.way, np.array(change.ways, np.int64))
    if problems:
        raise ValueError("\n".join(problems))
    along = np.ones(streets.links, bool)
    if where is not None:
        drawn, along = _DRAWN[change.shape](streets, where, chosen & allowed, twins)
        chosen &= drawn
    links = np.flatnonzero(chosen & allowed)
    if not len(links):
        raise ValueError(_none_found(streets, where, chosen))
    heading = change.values.get("heading")
    directed = change.kind == "one_way" or change.values.get("direction") == "along"
    if heading is not None:
        lead = _headed(streets, COMPASS.index(heading))
        across = links[np.abs(lead[links]) < _ACROSS]
        if directed and len(across):
            raise ValueError(
                f"heading: {streets.name_of(int(across[0]))} leads neither {heading} nor back; draw a line"
            )
        along = lead > 0
    if change.kind != "one_way" and directed:
        links = links[along[links]]
    return links, along[links]


def _headed(streets: Streets, point: int) -> NDArray[np.float64]:
    """Return the cosine between each link, from end to end, and a point of the compass; 0 for loops."""
    angle = np.deg2rad(45.0 * point)
    east, north = streets.x[streets.end] - streets.x[streets.start], streets.y[streets.end] - streets.y[streets.start]
    return (east * np.sin(angle) + north * np.cos(angle)) / np.maximum(np.hypot(east, north), 1e-9)


def entries(streets: Streets, area: Geometry) -> NDArray[np.int64]:
    """Return the links by which cars enter an area: they begin outside and end inside."""
    inside = shapely.contains_xy(area, streets.x, streets.y)
    cars = (streets.access & Access.CAR) > 0
    return np.flatnonzero(cars & ~inside[streets.start] & inside[streets.end])


def _eligible(streets: Streets, change: Change, twins: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which links a change can be about: those of streets with motor traffic, unless it is about others."""
    if change.values.get("to") in _ALL_USERS:
        return streets.access > 0
    motor = (streets.access & _MOTOR) > 0
    return motor | ((twins >= 0) & motor[twins])


def _spelt(name: str, streets: Streets) -> str:
    """Return the name of a street as the city spells it."""
    return next((known for known in streets.names if known.casefold() == name.casefold()), name)


def _unknown(what: str, wanted: "Iterable[str | int]", known: list[str] | list[int]) -> list[str]:
    if what == "way":
        missing = sorted(set(wanted) - set(known))
        return [f"way: no street of the city has the identifier {way}" for way in missing]
    names = {str(name).casefold(): str(name) for name in known if name}
    if not names:
        return ["street: the streets of this city have no names; draw it, or give way or links"]
    return [
        f"street: there is no street '{name}'{suggestion(str(name), names.values())}"
        for name in wanted
        if str(name).casefold() not in names
    ]


def _none_found(streets: Streets, where: Geometry | None, chosen: NDArray[np.bool_]) -> str:
    if where is None:
        return "none of these streets has motor traffic; it can be neither widened nor closed to it"
    if not chosen.any() or not streets.links:
        nearest = float(shapely.distance(streets.lines, where).min()) if streets.links else np.inf
        far = f"; the nearest street is {nearest:,.0f} m away" if nearest > JOIN else ""
        return f"no link lies within {JOIN:g} m of what is drawn, or along it{far}"
    return "what is drawn lies along streets without motor traffic only"


# ---------------------------------------------------------------------- drawn


def _by_point(
    streets: Streets, point: Geometry, allowed: NDArray[np.bool_], twins: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the nearest link and its other direction.

    Raises:
        ValueError: if the point lies on a crossing, where several streets are as near.
    """
    distance = np.where(allowed, shapely.distance(streets.lines, point), np.inf)
    drawn = np.zeros(streets.links, bool)
    if len(distance) and distance.min() <= JOIN:
        link = int(distance.argmin())
        alike = np.flatnonzero(distance <= distance[link] + _SAME_PLACE)
        arms = {min(int(row), int(twins[row])) if twins[row] >= 0 else int(row) for row in alike}
        if len(arms) > 2:
            raise ValueError(f"lies on a crossing of {len(arms)} streets; put it into the street that is meant")
        drawn[link] = True
        if twins[link] >= 0:
            drawn[twins[link]] = True
    return drawn, np.ones(streets.links, bool)


def _by_area(
    streets: Streets,
    area: Geometry,
    allowed: NDArray[np.bool_],  # noqa: ARG001
    twins: NDArray[np.int64],  # noqa: ARG001
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the links whose middle lies inside."""
    middle = shapely.line_interpolate_point(streets.lines, 0.5, normalized=True)
    shapely.prepare(area)
    return shapely.contains(area, middle), np.ones(streets.links, bool)


def _by_line(
    streets: Streets, line: Geometry, allowed: NDArray[np.bool_], twins: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the links along which a line is drawn: near it over half their length, and leading where it leads.

    Of streets side by side the nearest counts at every place, and any that is hardly farther. If all of the line lies
    within one link, that is meant, however long it is.
    """
    drawn, along = np.zeros(streets.links, bool), np.ones(streets.links, bool)
    for part in shapely.get_parts(line):
        near = np.flatnonzero(allowed & shapely.dwithin(streets.lines, part, JOIN))
        if not len(near):
            continue
        shapes = streets.lines[near]
        length = shapely.length(shapes)
        places = shapely.line_interpolate_point(shapes[:, None], np.array(_SAMPLES)[None, :], normalized=True)
        beside = (shapely.distance(places, part) <= JOIN).mean(1)
        first, last = (shapely.line_interpolate_point(shapes, at, normalized=True) for at in (0.0, 1.0))
        led = shapely.line_locate_point(part, last) - shapely.line_locate_point(part, first)
        steps = np.arange(0.5 * _STEP, part.length, _STEP) if part.length > _STEP else np.array([0.5 * part.length])
        asks = shapely.line_interpolate_point(part, steps)
        gap = shapely.distance(shapes[:, None], asks[None, :])
        # a link belongs to the line only where it leads the same way; one that crosses it is near, too
        direction = _lead(shapes, part, asks)
        parallel = np.abs(direction) >= _ALIKE
        gap = np.where(parallel, gap, np.inf)
        nearest = np.minimum(gap.min(0), JOIN)
        votes = (gap <= nearest[None, :] + _SLACK) & (gap <= JOIN)
        share = votes.sum(1) * (part.length / len(steps)) / np.maximum(length, 1e-9)
        wanted = (beside >= 0.5) & (np.abs(led) >= _ALIKE * beside * length) & (share >= 0.4)
        if not wanted.any():  # all of the line lies in one link
            votes_of = votes.mean(1)
            wanted = (np.arange(len(near)) == votes_of.argmax()) & (votes_of >= 0.8)
        drawn[near[wanted]] = True
        sign = np.where(wanted, np.where(np.abs(led) > 1e-6, led, (direction * votes).sum(1)), 0.0)
        along[near[wanted]] = sign[wanted] > 0
    both = np.flatnonzero(drawn)
    both = both[twins[both] >= 0]
    missing = both[~drawn[twins[both]]]
    drawn[twins[missing]] = allowed[twins[missing]]
    along[twins[missing]] = ~along[missing]
    return drawn, along


def _lead(shapes: NDArray[np.object_], part: Geometry, asks: NDArray[np.object_]) -> NDArray[np.float64]:
    """Return the cosine between each link and the line at each place, (links, places)."""

    def bearing(
        lines: NDArray[np.object_], at: NDArray[np.float64], length: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        ahead = shapely.line_interpolate_point(lines, np.minimum(at + 2.0, length))
        behind = shapely.line_interpolate_point(lines, np.maximum(at - 2.0, 0.0))
        return np.arctan2(shapely.get_y(ahead) - shapely.get_y(behind), shapely.get_x(ahead) - shapely.get_x(behind))

    where = shapely.line_locate_point(shapes[:, None], asks[None, :])
    of_links = bearing(np.broadcast_to(shapes[:, None], where.shape), where, shapely.length(shapes)[:, None])
    at = shapely.line_locate_point(part, asks)
    of_line = bearing(np.broadcast_to(np.array([part], object), at.shape), at, np.full(len(at), part.length))
    return np.cos(of_links - of_line[None, :])


_DRAWN = {"point": _by_point, "area": _by_area, "line": _by_line}
