"""Points of a city: where a place, a site or a spot on a link lies, in metres of the city's CRS."""

from typing import TYPE_CHECKING

from shapely import Point

if TYPE_CHECKING:
    from .city import City, Columns


def place_point(city: "City", place: int) -> Point:
    """Return where a place (a home, a class, a team, a venue) lies."""
    return _point(city.places, place)


def site_point(city: "City", site: int) -> Point:
    """Return where a site (a school, a firm, a station) lies."""
    return _point(city.sites, site)


def link_point(city: "City", link: int, position: float) -> Point:
    """Return the spot on a link, drawn as a straight line between its nodes.

    Args:
        city: the city.
        link: number of the link.
        position: metres driven on the link; less than 0 or more than its length gives its ends.
    """
    start, end = int(city.links.start[link]), int(city.links.end[link])
    length = float(city.links.length[link])
    share = min(max(position / length, 0.0), 1.0) if length > 0 else 0.0
    x, y = city.nodes.x, city.nodes.y
    return Point(float(x[start] + share * (x[end] - x[start])), float(y[start] + share * (y[end] - y[start])))


def _point(table: "Columns", row: int) -> Point:
    return Point(float(table.x[row]), float(table.y[row]))
