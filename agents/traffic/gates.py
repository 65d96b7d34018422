"""Traffic that no resident makes: vehicles that cross the city from gate to gate, and trucks that bring goods."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from ...environment.network.network import Network
from ...environment.places import PlaceKind, Role, SiteKind
from ...environment.randomness import key, uniforms
from ...environment.roads import Access, RoadRank
from ..vehicles import VehicleKind
from .demand import Mode, Trips, join
from .direct import departures, round_to_total
from .matrices import DAY, DemandError

if TYPE_CHECKING:
    from ...environment.city import City

EDGE = 0.1
"""Share of a city's radius within which an end of a large street is a gate (assumed)."""

_SITES = {kind.name.lower(): kind for kind in SiteKind}
# Departures by hour from 0 to 23 o'clock, in proportion: the peaks of a working day; freight mostly before noon (assumed)
THROUGH_HOURS = (8, 5, 4, 4, 7, 18, 42, 68, 66, 54, 51, 53, 54, 55, 59, 68, 76, 76, 62, 48, 37, 29, 23, 14)
FREIGHT_HOURS = (0, 0, 0, 0, 1, 4, 8, 10, 11, 11, 11, 10, 9, 9, 8, 6, 4, 2, 1, 0, 0, 0, 0, 0)


class GateSettings(BaseModel):
    """Through traffic and freight; all figures are assumed unless counts are at hand.

    Attributes:
        through: vehicles a day that cross the city, per resident.
        through_trucks: share of trucks among them.
        deliveries: visits by a truck a working day per person who works at a site, by its kind: so many that trucks are
            some 5 to 10 % of the vehicles in an invented city.
        from_gates: share of deliveries that come from outside the city; others come from its firms.
        stop_minutes: minutes from leaving for a delivery to leaving for the way back.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    through: float = Field(default=0.05, ge=0, le=10)
    through_trucks: float = Field(default=0.1, ge=0, le=1)
    deliveries: dict[str, float] = Field(
        default={"work": 0.04, "shop": 0.12, "leisure": 0.06, "hospital": 0.03, "primary": 0.01, "secondary": 0.01}
    )
    from_gates: float = Field(default=0.5, ge=0, le=1)
    stop_minutes: float = Field(default=40.0, gt=0, le=600)

    @field_validator("deliveries")
    @classmethod
    def _check_deliveries(cls, value: dict[str, float]) -> dict[str, float]:
        for name, rate in value.items():
            if name not in _SITES:
                raise ValueError(f"'{name}' is no kind of site; there are: {', '.join(_SITES)}")
            if not 0 <= rate <= 100:
                raise ValueError(f"{name} is {rate:g}, must be from 0 to 100")
        return value

    def rates(self) -> NDArray[np.float64]:
        """Return deliveries a day and person by :class:`~citytwin.environment.places.SiteKind`."""
        rate = np.zeros(max(SiteKind) + 1)
        for name, value in self.deliveries.items():
            rate[_SITES[name]] = value
        return rate


@dataclass(frozen=True)
class Gates:
    """Where large streets leave the city.

    Attributes:
        node: int32 (gates,) nodes.
        into: float64 (gates,) vehicles/s that the streets into the city carry; 0 where one cannot enter.
        out: float64 (gates,) vehicles/s that the streets out of it carry; 0 where one cannot leave.
    """

    node: NDArray[np.int32]
    into: NDArray[np.float64]
    out: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.node)


def find_gates(network: Network) -> Gates:
    """Find the nodes at the edge of a network where large streets end.

    A gate is an end of the network of primary and secondary streets and larger ones, near the edge of the city, from
    which the main part of the streets can be reached, or which can be reached from there. Where these give no way through,
    tertiary streets count too, then all.
    """
    import shapely
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import breadth_first_order

    car = network.usable(Access.CAR)
    main = np.flatnonzero(network.main_part(Access.CAR))
    if not main.size:
        return Gates(np.zeros(0, np.int32), np.zeros(0), np.zeros(0))
    shape = (network.nodes, network.nodes)
    streets = csr_matrix((np.ones(car.sum(), np.int8), (network.start[car], network.end[car])), shape=shape)
    leaves, enters = np.zeros(network.nodes, bool), np.zeros(network.nodes, bool)
    leaves[breadth_first_order(streets, main[0], return_predecessors=False)] = True
    enters[breadth_first_order(streets.T.tocsr(), main[0], return_predecessors=False)] = True
    joined = leaves | enters
    hull = shapely.MultiPoint(np.stack([network.x[joined], network.y[joined]], 1)).convex_hull
    near = EDGE * np.sqrt(hull.area / np.pi)
    found = Gates(np.zeros(0, np.int32), np.zeros(0), np.zeros(0))
    for smallest in (RoadRank.SECONDARY, RoadRank.TERTIARY, max(RoadRank)):
        large = car & (network.rank <= smallest)
        pairs = np.unique(np.sort(np.stack([network.start[large], network.end[large]], 1)), axis=0)
        ends = np.flatnonzero(np.bincount(pairs.ravel(), minlength=network.nodes) == 1)
        away = shapely.distance(hull.boundary, shapely.points(network.x[ends], network.y[ends]))
        ends = ends[(away <= near) & joined[ends]]
        flow = [
            np.bincount(at[large], weights=network.capacity[large], minlength=network.nodes)[ends]
            for at in (network.start, network.end)
        ]
        found = Gates(ends.astype(np.int32), np.where(enters[ends], flow[0], 0.0), np.where(leaves[ends], flow[1], 0.0))
        if _attraction(network, found).any():
            return found
    return found


def _attraction(network: Network, gates: Gates) -> NDArray[np.float64]:
    """Return how much each pair of gates attracts through traffic, (gates, gates): product of flows, 0 for near pairs."""
    x, y = network.x[gates.node], network.y[gates.node]
    apart = np.hypot(x[:, None] - x, y[:, None] - y)
    if not apart.size:
        return apart
    # who crosses a corner only does not come through the city: half of the largest distance (assumed)
    return gates.into[:, None] * gates.out * ((apart > 0) & (apart >= 0.5 * apart.max()))


def through_trips(
    network: Network, gates: Gates, vehicles: float, seed: int, day: int, settings: GateSettings | None = None
) -> Trips:
    """Return vehicles that cross the city from gate to gate, as many as asked for, rounded down or up by a draw.

    Args:
        network: the network.
        gates: its gates.
        vehicles: number a day.
        seed: seed of the draws.
        day: day of the run; each has its own draws.
        settings: the share of trucks.

    Raises:
        DemandError: if vehicles are asked for, but no two gates are joined.
    """
    settings = settings or GateSettings()
    attraction = _attraction(network, gates)
    if vehicles > 0 and not attraction.any():
        raise DemandError(
            f"through traffic: the network has {len(gates)} gates and no way from one to another; large streets must end "
            "at its edge. Set through = 0, or give a matrix of trips"
        )
    weight = attraction.ravel() / attraction.sum() if attraction.any() else attraction.ravel()
    count = round_to_total(weight * vehicles, seed, f"through traffic of day {day}")
    pair = np.repeat(np.arange(len(count)), count)
    trucks = round_to_total(np.full(len(pair), settings.through_trucks), seed, f"trucks among it on day {day}")
    draws = uniforms(key(seed, "departure of through traffic"), np.arange(len(pair)), day)
    return Trips.in_order(
        origin=gates.node[pair // len(gates)] if len(pair) else np.zeros(0, np.int32),
        destination=gates.node[pair % len(gates)] if len(pair) else np.zeros(0, np.int32),
        depart=departures(draws, 0.0, DAY, THROUGH_HOURS),
        mode=np.full(len(pair), Mode.CAR),
        kind=np.where(trucks > 0, VehicleKind.TRUCK, VehicleKind.CAR),
    )


def freight_trips(
    city: "City", nodes: NDArray[np.int32], gates: Gates, seed: int, day: int, settings: GateSettings | None = None
) -> Trips:
    """Return the trucks that bring goods to sites and go back: two trips a delivery.

    All deliveries together are the people who work at each site times the rate of its kind, rounded down or up by a draw.
    A truck comes from a gate or from a firm, drawn by the streets' flow and by the firms' staff.

    Args:
        city: the city.
        nodes: (places,) node of each place, see :func:`~.demand.place_nodes`.
        gates: gates of its network; without any, all goods come from firms.
        seed: seed of the draws.
        day: day of the run; each has its own draws.
        settings: rates and shares.
    """
    settings = settings or GateSettings()
    people, places, sites = city.people, city.places, city.sites
    room = people.activity[(people.role == Role.WORKER) & (people.activity >= 0)]
    room = room[places.site[room] >= 0]
    staff = np.bincount(places.site[room], minlength=len(sites))
    node = np.full(len(sites), -1, np.int32)
    rooms = np.flatnonzero(places.site >= 0)
    node[places.site[rooms]] = nodes[rooms]
    count = round_to_total(staff * settings.rates()[sites.kind] * (node >= 0), seed, f"freight of day {day}")
    site = np.repeat(np.arange(len(sites)), count)
    truck = np.arange(len(site))
    firm = np.where((sites.kind == SiteKind.WORK) & (node >= 0), staff, 0).astype(float)
    inward = gates.into * (gates.out > 0)
    where, luck = (uniforms(key(seed, f"{what} of freight"), truck, day) for what in ("side", "origin"))
    outside = where < settings.from_gates if firm.any() else np.ones(len(site), bool)
    if not inward.any():
        outside[:] = False
    if not (inward.any() or firm.any()):
        return join()
    start = np.empty(len(site), np.int32)
    start[outside] = gates.node[_drawn(inward, luck[outside])]
    start[~outside] = node[_drawn(firm, luck[~outside])]
    there = departures(uniforms(key(seed, "departure of freight"), truck, day), 0.0, DAY, FREIGHT_HOURS)
    back = np.minimum(there + 60.0 * settings.stop_minutes, DAY - 1.0)
    return Trips.in_order(
        purpose=np.concatenate([sites.kind[site], np.full(len(site), PlaceKind.WORK)]),
        origin=np.concatenate([start, node[site]]),
        destination=np.concatenate([node[site], start]),
        depart=np.concatenate([there, back]),
        mode=np.full(2 * len(site), Mode.CAR),
        previous=np.concatenate([np.full(len(site), -1), truck]),
        kind=np.full(2 * len(site), VehicleKind.TRUCK),
    )


def _drawn(weight: NDArray[np.float64], draws: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return a row for each draw, by weight."""
    if not draws.size:
        return np.zeros(0, np.int64)
    steps = np.cumsum(weight)
    return np.searchsorted(steps, draws * steps[-1], side="right").astype(np.int64)
