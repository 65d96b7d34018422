"""Traffic that no resident makes: vehicles that cross the city from gate to gate, and trucks that bring goods."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from ...environment.network.gates import Gates, attraction_of
from ...environment.network.network import Network
from ...environment.places import PlaceKind, Role, SiteKind
from ...environment.randomness import key, uniforms
from ..vehicles import VehicleKind
from .demand import Mode, Trips, join
from .direct import departures, round_to_total
from .matrices import DAY, DemandError

if TYPE_CHECKING:
    from ...environment.city import City

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
    attraction = attraction_of(network, gates)
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
