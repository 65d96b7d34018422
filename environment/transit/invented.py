"""Public transport for a city that has no feed: lines along its larger streets through the centre, and their timetable.

Residents are cut into sectors around the centre, as many as lines have ends. Every line joins two opposite sectors through
the centre, along larger streets that other lines do not use yet where the way is not much longer; larger cities have a ring
line, and trams on their first lines. Figures without a source are assumed: the network is meant to be plausible, not to be
any city's.
"""

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..network.network import Network
from ..network.of_city import network_of_city
from ..roads import Access, RoadRank, largest_component
from .timetable import RouteType, Timetable, TransitError, make_timetable

if TYPE_CHECKING:
    from ..city import City

STOP_SPACING = {RouteType.BUS: 400.0, RouteType.TRAM: 500.0}
"""Metres between stops: local services in most of Europe stop every 400 m (Walker 2010, humantransit.org, "Basics: the
spacing of stops and stations"); trams' is assumed."""
LINES = (4.0, 20_000.0, 0.8)
"""Lines of a town, its residents, and the power with which lines grow with residents (30 of 250,000); assumed."""
TRAM_PEOPLE = 200_000  # residents from which a city has trams, assumed
PEOPLE_PER_TRAM_LINE = 80_000.0  # residents, assumed
RING_PEOPLE = 100_000  # residents from which a city has a ring line, assumed
TOWN_PEOPLE = 50_000  # residents below which a town has the headways of a town, assumed

# Hours of the day from which a headway in minutes holds, in the order city buses, town buses, trams; the last line ends
# service. Assumed.
_HOURS = (5.0, 6.0, 9.0, 15.0, 19.0, 23.0)
_HEADWAYS = {
    "city": (30, 10, 15, 10, 30),
    "town": (60, 20, 30, 20, 60),
    "tram": (15, 6, 10, 6, 15),
}
_WEEKEND = {"city": (60, 30, 20, 20, 30), "town": (120, 60, 60, 60, 120), "tram": (30, 15, 10, 10, 15)}
_SLOWER = 1.5  # running time over that at the speed limit: signals, bends, other traffic; assumed
_STOP_SECONDS = (
    25.0  # braking, standing and starting at a stop; with _SLOWER some 20 km/h on streets of 50 km/h; assumed
)
_CROWDED = 0.35  # how much longer a street seems to a new line for each line that already uses it, assumed
_ENDS = (
    0.97,
    0.75,
)  # share of a sector's residents that live nearer to the centre than the end of a line, in turn; assumed
_RING = 0.5  # share of residents inside the ring line, assumed
_RING_CORNERS = 8


class _Streets(NamedTuple):
    """Streets that lines may use: links, and the nodes on which lines may end."""

    network: Network
    link: NDArray[np.int64]
    node: NDArray[np.int64]


def invented_timetable(city: "City", *, weekend: bool = False) -> Timetable:
    """Invent public transport for a city.

    Args:
        city: its streets and where its residents live.
        weekend: with the headways of a Saturday or Sunday.

    Raises:
        TransitError: if nobody lives in the city, or it has no streets that buses may use.
    """
    if not len(city.people):
        raise TransitError(f"{city.info.name}: nobody lives here for whom lines could be invented; give a GTFS feed")
    network = network_of_city(city)
    streets = _larger_streets(network)
    homes = slice(0, city.homes)
    x, y = np.asarray(city.places.x[homes], float), np.asarray(city.places.y[homes], float)
    residents = np.diff(city.households.first).astype(float)
    people = len(city.people)
    centre = (_median(x, residents), _median(y, residents))
    number, town, power = LINES
    lines = max(1, round(number * (people / town) ** power))
    ends = _line_ends(streets, x, y, residents, centre, 2 * lines)
    middle = _nearest(streets, *centre)
    use = np.zeros(network.links)
    trams = round(people / PEOPLE_PER_TRAM_LINE) if people >= TRAM_PEOPLE else 0
    routes: list[tuple[str, RouteType, list[NDArray[np.int64]]]] = []
    for line in range(lines):
        kind = RouteType.TRAM if line < trams else RouteType.BUS
        corners = [int(ends[line]), middle, int(ends[line + lines])]
        routes.append((str(line + 1), kind, [_way(streets, c, use) for c in (corners, corners[::-1])]))
    if people >= RING_PEOPLE:
        corners = _ring(streets, x, y, residents, centre)
        routes.append(("Ring", RouteType.BUS, [_way(streets, c, use) for c in (corners, corners[::-1])]))
    routes = [(name, kind, ways) for name, kind, ways in routes if all(len(way) for way in ways)]
    if not routes:
        raise TransitError(f"{city.info.name}: no two places are joined by streets that buses may use")
    return _timetable(city, network, routes, "town" if people < TOWN_PEOPLE else "city", weekend)


# ---------------------------------------------------------------------- where lines run


def _larger_streets(network: Network) -> _Streets:
    """Return the streets of a rank on which lines run; all that buses may use where those join too little."""
    for lowest in (RoadRank.TERTIARY, RoadRank.UNCLASSIFIED, RoadRank.RESIDENTIAL, RoadRank.PATH):
        link = np.flatnonzero(
            network.usable(Access.BUS) & (network.rank <= lowest) & (network.rank > RoadRank.MOTORWAY)
        )
        inside = largest_component(network.start[link], network.end[link], network.nodes)
        link = link[inside[network.start[link]] & inside[network.end[link]]]
        reach = np.ptp(network.x[inside]) * np.ptp(network.y[inside]) if inside.any() else 0.0
        if reach >= 0.25 * np.ptp(network.x) * np.ptp(network.y):
            return _Streets(network, link, np.flatnonzero(inside))
    raise TransitError("no streets that buses may use join the city; check the access of its links")


def _line_ends(streets: _Streets, x, y, residents, centre: tuple[float, float], count: int) -> NDArray[np.int64]:
    """Return the nodes where lines end, one a sector, anticlockwise: those of opposite sectors are count / 2 apart."""
    angle = np.arctan2(y - centre[1], x - centre[0])
    order = np.lexsort((np.arange(len(angle)), angle))
    share = np.cumsum(residents[order]) / residents.sum()
    sector = np.empty(len(angle), np.int64)
    sector[order] = np.minimum((share * count).astype(np.int64), count - 1)
    distance = np.hypot(x - centre[0], y - centre[1])
    ends = np.zeros(count, np.int64)
    for n in range(count):
        rows = np.flatnonzero(sector == n)
        if not len(rows):
            rows = np.arange(len(x))
        rows = rows[np.argsort(distance[rows], kind="stable")]
        # lines of two kinds alternate, so that the space between long ones is served as well; both ends of a line are alike
        reach = _ENDS[n % (count // 2) % 2]
        home = rows[min(np.searchsorted(np.cumsum(residents[rows]), reach * residents[rows].sum()), len(rows) - 1)]
        ends[n] = _nearest(streets, float(x[home]), float(y[home]))
    return ends


def _ring(streets: _Streets, x, y, residents, centre: tuple[float, float]) -> list[int]:
    """Return the nodes around the centre that the ring line joins; the first is the last as well."""
    distance = np.hypot(x - centre[0], y - centre[1])
    radius = _quantile(distance, residents, _RING)
    turns = 2 * np.pi * np.arange(_RING_CORNERS + 1) / _RING_CORNERS
    return [
        _nearest(streets, centre[0] + radius * float(np.cos(t)), centre[1] + radius * float(np.sin(t))) for t in turns
    ]


def _way(streets: _Streets, corners: list[int], use: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the links of the way over some nodes; empty if there is none. Streets used count as longer from then on."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import dijkstra

    network, link = streets.network, streets.link
    cost = network.free_time[link] * (1.0 + _CROWDED * use[link])
    order = np.lexsort((link, cost, network.end[link], network.start[link]))
    rows = link[order]
    pair = network.start[rows].astype(np.int64) * network.nodes + network.end[rows]
    pair, best = np.unique(pair, return_index=True)  # of parallel streets the quickest
    rows, cost = rows[best], cost[order][best]
    ends = (network.start[rows].astype(np.int32), network.end[rows].astype(np.int32))
    graph = coo_array((cost, ends), shape=(network.nodes, network.nodes)).tocsr()
    way: list[int] = []
    for a, b in pairwise(corners):
        _, before = dijkstra(graph, indices=a, return_predecessors=True)
        part, node = [], b
        while node != a:
            if before[node] < 0:
                return np.zeros(0, np.int64)
            part.append(int(rows[np.searchsorted(pair, int(before[node]) * network.nodes + node)]))
            node = int(before[node])
        way += part[::-1]
    taken = np.unique(np.array(way, np.int64))
    use[taken] += 1.0
    return np.array(way, np.int64)


# ---------------------------------------------------------------------- stops and times


def _timetable(
    city: "City",
    network: Network,
    routes: list[tuple[str, RouteType, list[NDArray[np.int64]]]],
    size: str,
    weekend: bool,
) -> Timetable:
    """Place stops along the ways of lines and let vehicles run at their headways."""
    first, trip_route, trip_id = [0], [], []
    stop_node: list[int] = []
    times: list[float] = []
    for route, (name, kind, ways) in enumerate(routes):
        headways = (_WEEKEND if weekend else _HEADWAYS)["tram" if kind == RouteType.TRAM else size]
        for direction, way in enumerate(ways):
            nodes, seconds = _stops(network, way, STOP_SPACING[kind])
            if len(nodes) < 2:
                continue
            # lines that meet leave the ends at different times: the golden section spreads them evenly
            shift = (0.618 * (2 * route + direction)) % 1.0
            for number, leave in enumerate(_departures(headways, shift)):
                trip_id.append(f"{name}-{'AB'[direction]}-{number + 1}")
                trip_route.append(route)
                stop_node += nodes
                times += (leave + seconds).tolist()
                first.append(len(stop_node))
    used, stop = np.unique(np.array(stop_node, np.int64), return_inverse=True)
    return make_timetable(
        crs=city.info.crs,
        stops={
            "x": network.x[used],
            "y": network.y[used],
            "id": [str(n) for n in used],
            "name": [f"Stop {n + 1}" for n in range(len(used))],
        },
        routes={
            "id": [name for name, _, _ in routes],
            "name": [name for name, _, _ in routes],
            "type": [kind for _, kind, _ in routes],
        },
        trips={"id": trip_id, "route": trip_route, "first": first},
        calls={"stop": stop, "arrival": times, "departure": times},
        report={"invented": True},
    )


def _stops(network: Network, way: NDArray[np.int64], spacing: float) -> tuple[list[int], NDArray[np.float64]]:
    """Return the nodes at which a line stops and the seconds after departure at which it leaves them."""
    along = np.concatenate([[0.0], np.cumsum(network.length[way])])
    driven = np.concatenate([[0.0], np.cumsum(network.free_time[way])])
    node = np.concatenate([network.start[way[:1]], network.end[way]])
    count = max(round(float(along[-1]) / spacing), 1)
    wanted = along[-1] * np.arange(count + 1) / count
    after = np.clip(np.searchsorted(along, wanted), 1, len(along) - 1)
    nearest = np.where(wanted - along[after - 1] <= along[after] - wanted, after - 1, after)
    places = np.unique(nearest)  # where streets are long two may fall together
    legs = np.diff(driven[places]) * _SLOWER + _STOP_SECONDS
    return node[places].tolist(), np.concatenate([[0.0], np.cumsum(np.round(legs))])


def _departures(headways: tuple[int, ...], shift: float) -> list[float]:
    """Return departures in seconds since midnight, at a share of the headway after the hours at which it changes."""
    leave = []
    for begin, end, minutes in zip(_HOURS[:-1], _HOURS[1:], headways, strict=True):
        step = 60.0 * minutes
        leave += np.arange(3600.0 * begin + np.floor(shift * step / 60.0) * 60.0, 3600.0 * end, step).tolist()
    return leave


def _nearest(streets: _Streets, x: float, y: float) -> int:
    distance = np.hypot(streets.network.x[streets.node] - x, streets.network.y[streets.node] - y)
    return int(streets.node[distance.argmin()])


def _median(values: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    return _quantile(values, weight, 0.5)


def _quantile(values: NDArray[np.float64], weight: NDArray[np.float64], share: float) -> float:
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weight[order])
    return float(values[order[min(np.searchsorted(total, share * total[-1]), len(order) - 1)]])
