"""Traffic of two points: vehicle-km, through traffic inside an area, displaced traffic around it, and rat runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...environment.network.network import Network
from ...environment.network.of_city import network_of_city
from ...environment.roads import Access, RoadRank
from ..reports.geo import city_of
from .areas import Area, Outline, make_area
from .reading import LINKS, TRIPS, Rows, batches, link_days, rows_of, run_pairs

if TYPE_CHECKING:
    import pandas as pd

    from ...environment.city import City
    from ..results import Results

CITY = "city"
"""What the whole city is called among places."""
EMITTED = ("co2", "nox", "pm10")
"""Emissions that are compared, of the pollutants of ``agents.traffic.emissions``."""
BY_KIND = ("left_car", "left_bus", "left_truck")
"""Columns of passages by kind of vehicle."""
IN_AREAS = ("vehicle_km", "delay_hours", "nox_g")
"""Figures of :func:`volumes` that are shown of the parts of an area."""
RAT_RUNS = 10
"""Streets named at most."""
NOTICED = 1.0
"""Vehicles a day by which through traffic on a street has to rise to be named (assumed)."""
MINOR = RoadRank.UNCLASSIFIED
"""Streets of this rank and below are not meant for through traffic."""


def network_of(results: "Results", point: int) -> Network:
    """Return the streets of a point as its links table numbers them."""
    return network_of_city(city_of(results, point))


def lines_of(city: "City", network: Network) -> NDArray[Any]:
    """Return the course of each link, straight where the city does not know it."""
    import shapely

    layer = city.layer("roads")
    if layer is not None and len(layer) == network.links:
        return layer.geometry.to_numpy()
    ends = [np.stack([network.x[node], network.y[node]], 1) for node in (network.start, network.end)]
    return shapely.linestrings(np.stack(ends, 1))


@dataclass(frozen=True)
class RatRun:
    """A minor street that takes more through traffic.

    Attributes:
        street: its name.
        before, after: vehicles a day.
    """

    street: str
    before: float
    after: float

    @property
    def rise(self) -> float:
        """Vehicles a day more than before."""
        return self.after - self.before


@dataclass(frozen=True)
class Side:
    """One run, as far as its streets go.

    Attributes:
        network: its streets.
        links: from :func:`.reading.link_days`.
        emitted: grams a day of each of :data:`EMITTED`, (links,).
        days: number of days.
        origin, destination: int64 (car trips that arrived,) nodes.
    """

    network: Network
    links: Rows
    emitted: Rows
    days: int
    origin: NDArray[np.int64]
    destination: NDArray[np.int64]

    @property
    def driven(self) -> NDArray[np.float64]:
        """Vehicles a day but buses, which have their line to follow, that left each link."""
        return self.links["left"] - self.links["left_bus"]


def read_side(results: "Results", run: str, network: Network) -> Side:
    """Read what is asked of a run."""
    from ...agents.traffic.demand import Mode

    links, days = link_days(results, run, network.links)
    origin = destination = np.empty(0, np.int64)
    if TRIPS in results.tables:
        trips = rows_of(results, TRIPS, run, ("mode", "origin", "destination", "arrive"))
        rows = (trips["mode"] == Mode.CAR) & np.isfinite(trips["arrive"])
        origin, destination = trips["origin"][rows].astype(np.int64), trips["destination"][rows].astype(np.int64)
    return Side(network, links, emissions_of(results, run, network), days, origin, destination)


def emissions_of(results: "Results", run: str, network: Network) -> Rows:
    """Return what vehicles leave on each link on an average day of a run, with the mean fleet: grams by :data:`EMITTED`."""
    from ...agents.traffic.emissions import POLLUTANTS, link_grams

    grams = np.zeros((len(POLLUTANTS), network.links))
    days: set[int] = set()
    for rows in batches(results, LINKS, run, ("day", "quarter", "link", "left", *BY_KIND, "speed")):
        days.update(np.unique(rows["day"]).tolist())
        gone = {name: values[rows["left"] > 0] for name, values in rows.items()}
        grams += link_grams(gone, network).sum(axis=2)
    return {name: grams[POLLUTANTS.index(name)] / max(len(days), 1) for name in EMITTED}


def volumes(side: Side, which: NDArray[np.bool_] | None = None) -> dict[str, float]:
    """Return vehicle-km, vehicle-hours, hours of delay and emissions a day on some links, all by default."""
    rows = np.ones(side.network.links, bool) if which is None else which
    left, seconds = side.links["left"][rows], side.links["seconds"][rows]
    free = left * side.network.free_time[rows]
    return {
        "vehicle_km": float((left * side.network.length[rows]).sum() / 1000),
        "vehicle_hours": float(seconds.sum() / 3600),
        "delay_hours": float(np.maximum(seconds - free, 0.0).sum() / 3600),
        "co2_kg": float(side.emitted["co2"][rows].sum() / 1000),
        "nox_g": float(side.emitted["nox"][rows].sum()),
        "pm10_g": float(side.emitted["pm10"][rows].sum()),
    }


def through_traffic(side: Side, area: Area) -> float:
    """Return the vehicles a day, buses aside, that pass through an area without beginning or ending there.

    Those that drive in are counted at the links which lead from a gate to a junction inside, and at the streets inside
    which lead from gate to gate; the car trips that end inside are taken off, if they come from elsewhere or from a part of
    the area that cars can only leave for another part by the streets around. A trip that passes twice counts twice.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    network = side.network
    start, end = area.nodes[network.start], area.nodes[network.end]
    passed = (end & ~start) | (area.inside & ~start & ~end)
    within = start & end & network.usable(Access.CAR)
    links = (np.ones(int(within.sum()), np.int8), (network.start[within], network.end[within]))
    _, part = connected_components(csr_matrix(links, shape=(network.nodes, network.nodes)), directed=False)
    ending = area.nodes[side.destination]
    ending &= ~area.nodes[side.origin] | (part[side.origin] != part[side.destination])
    return max(float(side.driven[passed].sum() - ending.sum() / side.days), 0.0)


def area_figures(side: Side, area: Area) -> dict[str, float]:
    """Return the figures of an area: through traffic, and :data:`IN_AREAS` inside, on its perimeter and around it."""
    figures = {"through": through_traffic(side, area)}
    for part in ("inside", "perimeter", "around"):
        found = volumes(side, getattr(area, part))
        figures |= {f"{part}_{name}": found[name] for name in IN_AREAS}
    return figures


def street_flow(side: Side) -> dict[int, float]:
    """Return by street (``way``) its through traffic.

    It is the vehicles a day, buses aside, both directions together, past the busiest of the street's links, less the car
    trips that begin or end at its junctions, which may have to be there; at least 0.
    """
    network = side.network
    ways, street = np.unique(network.way, return_inverse=True)
    low, high = np.minimum(network.start, network.end), np.maximum(network.start, network.end)
    _, first, section = np.unique(np.stack([street, low, high]), axis=1, return_index=True, return_inverse=True)
    flow = np.bincount(section.ravel(), side.driven, len(first))
    most = np.zeros(len(ways))
    np.maximum.at(most, street[first], flow)
    ends = np.bincount(np.concatenate([side.origin, side.destination]), minlength=network.nodes) / side.days
    at = np.unique(np.stack([np.tile(street, 2), np.concatenate([network.start, network.end])]), axis=1)
    local = np.bincount(at[0], ends[at[1]], len(ways))
    return dict(zip(ways.tolist(), np.maximum(most - local, 0.0).tolist(), strict=True))


def rat_runs(
    before: dict[int, float], after: dict[int, float], network: Network, area: Area | None = None
) -> list[RatRun]:
    """Return the minor streets whose through traffic rose most; of an area, those on its perimeter and around it.

    Streets of one name are one street, of which the part that rose most counts.

    Args:
        before, after: from :func:`street_flow`.
        network: streets of the later one.
        area: area on that network.

    Returns:
        At most :data:`RAT_RUNS` of them, the worst first.
    """
    minor = network.rank >= MINOR
    if area is not None:
        minor &= area.perimeter | area.around
    found: dict[str, RatRun] = {}
    for way in np.unique(network.way[minor]).tolist():
        name = network.names.get(way) or f"unnamed street {way}"
        run = RatRun(name, before.get(way, 0.0), after[way])
        if run.rise >= NOTICED and (name not in found or run.rise > found[name].rise):
            found[name] = run
    return sorted(found.values(), key=lambda run: (-run.rise, run.street))[:RAT_RUNS]


def compare_traffic(
    results: "Results", point: int, baseline: int, shapes: Mapping[str, Outline]
) -> "tuple[pd.DataFrame, dict[str, list[RatRun]]]":
    """Return how the traffic of a point differs from a baseline, runs of one seed paired.

    Args:
        results: results with a table ``links``.
        point, baseline: the points.
        shapes: areas by name.

    Returns:
        A row a place and figure: ``place`` (:data:`CITY` or the name of an area), ``figure`` (of :func:`area_figures`,
        for the city of :func:`volumes`), ``before``, ``after`` (means over the pairs of runs); and rat runs by place.
    """
    import pandas as pd

    networks = [network_of(results, number) for number in (baseline, point)]
    areas: list[list[Area]] = []
    for number, network in zip((baseline, point), networks, strict=True):
        lines = lines_of(city_of(results, number), network) if shapes else None
        areas.append([make_area(name, shape, network, lines) for name, shape in shapes.items()])
    rows: dict[tuple[str, str], list[tuple[float, float]]] = {}
    flows: tuple[list[dict[int, float]], list[dict[int, float]]] = ([], [])
    for _, *runs in run_pairs(results, point, baseline):
        old, new = (read_side(results, run, network) for run, network in zip(runs, networks, strict=True))
        pairs = [(CITY, volumes(old), volumes(new))]
        for before, after in zip(*areas, strict=True):
            pairs.append((before.name, area_figures(old, before), area_figures(new, after)))
        for place, first, second in pairs:
            for figure, value in first.items():
                rows.setdefault((place, figure), []).append((value, second[figure]))
        for side, flow in zip((old, new), flows, strict=True):
            flow.append(street_flow(side))
    first_flow, second_flow = ({way: float(np.mean([flow[way] for flow in part])) for way in part[0]} for part in flows)
    found = {CITY: rat_runs(first_flow, second_flow, networks[1])}
    found |= {area.name: rat_runs(first_flow, second_flow, networks[1], area) for area in areas[1]}
    listed = [
        {"place": place, "figure": figure}
        | dict(zip(("before", "after"), np.mean(values, axis=0).tolist(), strict=True))
        for (place, figure), values in rows.items()
    ]
    return pd.DataFrame(listed), found
