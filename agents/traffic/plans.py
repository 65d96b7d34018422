"""Plans: the trips of a day, of residents and of others, and how people mean to make them."""

import datetime
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...environment.network.gates import gates_of
from ...environment.network.network import Network
from ...environment.network.skims import SPEEDS, Skims
from ...environment.roads import Access
from ...environment.transit.timetable import Timetable
from .cars import means_of
from .demand import Mode, Trips, car_nodes, day_trips, join, place_nodes
from .direct import connect, matrix_trips, read_trip_table
from .gates import freight_trips, through_trips
from .matrices import DemandError, read_matrix
from .modes import Choice, Offer, choose_modes
from .moving import Given, none_given
from .parking import Parking
from .riders import Riders, RiderState, Rides, ride
from .settings import TrafficSettings
from .sumo_trips import read_sumo_trips
from .transit import PublicTransport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...environment.city import City
    from ...environment.design.design import Design
    from ..presence import Presence

THOUGHTS = 8
"""Times that people think again about their modes before the first day where places to park are counted; assumed."""

_AROUND = {
    Mode.CAR: SPEEDS[Access.FOOT],
    Mode.BICYCLE: SPEEDS[Access.BICYCLE],
    Mode.WALK: SPEEDS[Access.FOOT],
}
"""Speed in m/s between two places at the same node, in a straight line; cars go at walking pace there (assumed)."""
_PASSES = 10
"""Times that riders are let ride at most, so that who comes late leaves late (assumed: nobody rides more often a day)."""
_ACCESS = ((Mode.CAR, Access.CAR), (Mode.BICYCLE, Access.BICYCLE), (Mode.WALK, Access.FOOT))


class Plans:
    """Makes the trips of each day.

    Args:
        city: the city.
        network: its streets.
        presence: who is where.
        settings: the section of the scenario.
        seed: seed of the run.
        threads: threads; plans do not depend on it.
        designs: street designs that are built, whose lines run.

    Attributes:
        transport: public transport, None without.
        parking: places in streets and what drivers expect of them; None where none are counted.
        driver: int32 (trips,) of the latest day: trip by car on which a passenger rides along, −1 for others.
        walked: float64 (trips,) of the latest day: seconds on foot to the car and from it, where cars cannot come near.
        given: routes of the trips of the latest day that keep to them.
        means: what people have to move with.
    """

    not_saved = ("driver", "walked", "given", "_riders", "_on_foot")  # of the latest day

    driver: NDArray[np.int32]
    walked: NDArray[np.float64]
    given: Given
    _riders: Riders
    _on_foot: NDArray[np.float32]

    def __init__(
        self,
        city: "City",
        network: Network,
        presence: "Presence",
        settings: TrafficSettings,
        seed: int,
        threads: int = 1,
        designs: "Sequence[Design]" = (),
    ):
        self.city, self.network, self.presence, self.settings = city, network, presence, settings
        self.seed, self.threads = seed, threads
        self.skims = Skims(network, threads=threads)
        self.node = place_nodes(city)
        self._car_node, self._to_car = car_nodes(network)
        self.means = means_of(city, seed, settings.ownership)
        counted = network.parking is not None and bool(np.isfinite(network.parking).any())
        self.parking = (
            Parking(city, network, self._car_node[self.node], self.means, settings.private_parking, seed)
            if counted
            else None
        )
        self.gates = gates_of(city, network)
        feeds = settings.transit if isinstance(settings.transit, tuple) else ()
        nobody = settings.transit == "invented" and not len(city.people)  # for whom no lines are invented
        self.transport = (
            None if settings.transit == "none" or nobody else PublicTransport(city, network, feeds, designs, threads)
        )
        self._given = self._read_given()
        self._given_routes = none_given()
        if settings.sumo_routes:
            trips, self._given_routes = read_sumo_trips(settings.sumo_routes, network)
            self._given.insert(0, trips)

    def _choose(self, own: Trips, offer: Offer, day: int) -> Choice:
        """Choose modes by an offer, with the time that parking is expected to take.

        Before the first day everybody thinks again some times, by what the cars of the others would leave of the places
        (method of successive averages); later days go by what was met.
        """

        def choose(offer: Offer) -> Choice:
            settings = self.settings.modes
            return choose_modes(own, self.city, offer, self.means, self.seed, settings=settings, threads=self.threads)

        if self.parking is None:
            return choose(offer)
        arrive = own.depart + offer.seconds[:, Mode.CAR]

        def searching() -> Offer:
            assert self.parking is not None
            seconds = offer.seconds.copy()
            seconds[:, Mode.CAR] += self.parking.seconds(own, arrive)
            return replace(offer, seconds=seconds)

        for number in range(THOUGHTS if day == 0 else 0):
            trips = own.with_columns(mode=choose(searching()).mode)
            self.parking.suppose(self.parking.live(trips, own.depart, arrive).outlook, 1.0 / (number + 1))
        return choose(searching())

    def _read_given(self) -> list[Trips]:
        """Read the demand that files give."""
        given = []
        for number, matrix in enumerate(self.settings.matrices):
            zones = self.city.layer("zones") if matrix.zones is None else read_zones(matrix.zones)
            if zones is None:
                raise DemandError(f"{matrix.file}: the city has no zones; name a file of them with 'zones'")
            trips = matrix_trips(
                read_matrix(matrix.file),
                connect(zones, self.network, matrix.zone_name),
                self.seed + number,
                factor=matrix.factor,
                profile=matrix.profile,
            )
            given.append(trips)
        given.extend(read_trip_table(file, self.network) for file in self.settings.trip_tables)
        return given

    def of_day(
        self, day: int, date: datetime.date, prices: "Sequence[tuple[float, NDArray[np.float64]]] | None"
    ) -> tuple[Trips, NDArray[np.float64], NDArray[np.float64]]:
        """Return the trips of a day with their modes, and metres and seconds of each by its mode.

        Seconds are those of the offer; vehicles take what the streets allow, and riders what the vehicles do.

        Args:
            day: day of the run.
            date: its date.
            prices: from which second on what drivers go by in choosing modes, in order from 0 on: float64 (links,) seconds
                that they expect, tolls counted as time, infinite where closed to cars; None: empty streets.
        """
        if self.transport is not None:
            self.transport.begin_day(date)
        own = day_trips(self.city, self.presence, day, self.seed, self.node) if self.settings.residents else _no_trips()
        offer = self._offer(own, prices)
        choice = self._choose(own, offer, day)
        row = np.arange(len(own))
        mode = choice.mode.astype(np.intp)
        seconds, metres = offer.seconds[row, mode].astype(float), offer.metres[row, mode].astype(float)
        trips = self._in_cars(own.with_columns(mode=choice.mode))
        drives = (trips.mode == Mode.CAR) & (trips.origin != trips.destination)
        self.walked = np.where(drives, self._walk(own), 0.0)
        self.driver = choice.ride
        self.given = self._given_routes
        others = [*self._given, *self._others(day)]
        metres[~np.isfinite(metres)] = 0.0
        seconds[~np.isfinite(seconds)] = 0.0
        if not others:
            self._plan_rides(trips, seconds)
            return trips, metres, seconds
        joined = join(trips, *others)
        order = np.argsort(np.concatenate([part.depart for part in (trips, *others)]), kind="stable")  # as of join
        placed = np.empty(len(order) + 1, np.int32)
        placed[order], placed[-1] = np.arange(len(order), dtype=np.int32), -1
        self.driver = np.full(len(order), -1, np.int32)
        self.driver[placed[: len(trips)]] = placed[choice.ride]
        self.given = self.given._replace(row=placed[len(trips) + self.given.row].astype(np.int64))
        metres, seconds, self.walked = (
            np.concatenate([column, np.zeros(len(order) - len(column))])[order]
            for column in (metres, seconds, self.walked)
        )
        self._plan_rides(joined, seconds)
        return joined, metres, seconds

    def _in_cars(self, trips: Trips) -> Trips:
        """Return trips of which those by car begin and end where cars can go."""
        ends = [
            np.where(trips.mode == Mode.CAR, self._car_node[end], end).astype(np.int32)
            for end in (trips.origin, trips.destination)
        ]
        return trips.with_columns(origin=ends[0], destination=ends[1])

    def _walk(self, trips: Trips) -> NDArray[np.float64]:
        """Return seconds on foot to a car and from it, (trips,)."""
        return self._to_car[trips.origin] + self._to_car[trips.destination]

    def _others(self, day: int) -> list[Trips]:
        """Return through traffic and freight."""
        settings = self.settings.gates
        if settings is None:
            return []
        vehicles = settings.through * len(self.city.people)
        return [
            through_trips(self.network, self.gates, vehicles, self.seed, day, settings),
            freight_trips(self.city, self._car_node[self.node], self.gates, self.seed, day, settings),
        ]

    def _offer(self, trips: Trips, prices: "Sequence[tuple[float, NDArray[np.float64]]] | None") -> Offer:
        """Return what trips take by each mode."""
        seconds = np.full((len(trips), len(Mode)), np.inf)
        metres = np.full((len(trips), len(Mode)), np.inf)
        for mode, access in _ACCESS:
            if mode == Mode.CAR:
                seconds[:, mode], metres[:, mode] = self._by_car(trips, prices)
                seconds[:, mode] += self._walk(trips)
            else:
                seconds[:, mode], metres[:, mode] = self.skims.between(access, trips.origin, trips.destination)
        self._go_around(trips, seconds, metres)
        seconds[:, Mode.PASSENGER], metres[:, Mode.PASSENGER] = seconds[:, Mode.CAR], metres[:, Mode.CAR]
        if self.transport is None:
            return Offer(seconds, metres)
        row, parts = self.transport.offer(trips.origin, trips.destination, trips.depart)
        columns: dict[str, NDArray[Any]] = {}
        for name in ("walk", "wait", "transfers"):
            columns[name] = np.zeros(len(trips))
            columns[name][row] = np.nan_to_num(getattr(parts, name), posinf=0.0)
        only_bus = np.zeros(len(trips), bool)
        only_bus[row] = parts.only_bus
        seconds[row, Mode.TRANSIT] = np.where(np.isfinite(parts.seconds), parts.seconds, np.inf)
        metres[row, Mode.TRANSIT] = metres[row, Mode.CAR]
        return Offer(
            seconds,
            metres,
            walk_seconds=columns["walk"],
            wait_seconds=columns["wait"],
            transfers=columns["transfers"],
            only_bus=only_bus,
        )

    def _by_car(
        self, trips: Trips, prices: "Sequence[tuple[float, NDArray[np.float64]]] | None"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return seconds and metres by car, each by what holds when the trip begins."""
        origin, destination = self._car_node[trips.origin], self._car_node[trips.destination]
        if prices is None:
            of_skims = self.skims.between(Access.CAR, origin, destination)
            return of_skims[0].astype(float), of_skims[1].astype(float)
        seconds, metres = np.empty(len(trips)), np.empty(len(trips))
        spell = np.searchsorted([begin for begin, _ in prices], trips.depart, side="right") - 1
        todo = list(range(len(prices)))
        while todo:
            price = prices[todo[0]][1]
            same = [n for n in todo if np.array_equal(prices[n][1], price)]
            todo = [n for n in todo if n not in same]
            row = np.flatnonzero(np.isin(spell, same))
            if len(row):
                skims = self.skims.with_seconds(price)
                seconds[row], metres[row] = skims.between(Access.CAR, origin[row], destination[row])
        return seconds, metres

    def _go_around(self, trips: Trips, seconds: NDArray[np.float64], metres: NDArray[np.float64]) -> None:
        """Write seconds and metres (trips, modes) of trips whose places share a node, between which there is no link."""
        row = np.flatnonzero(trips.origin == trips.destination)
        x, y = self.city.places.x, self.city.places.y
        from_place, to_place = trips.from_place[row], trips.to_place[row]
        straight = np.hypot(x[from_place] - x[to_place], y[from_place] - y[to_place])
        for mode, speed in _AROUND.items():
            may = np.isfinite(seconds[row, mode])
            seconds[row[may], mode], metres[row[may], mode] = straight[may] / speed, straight[may]

    def _plan_rides(self, trips: Trips, seconds: NDArray[np.float64]) -> None:
        """Plan journeys by public transport, and write the seconds (trips,) that they take by the timetable.

        Who finds none walks all the way.
        """
        if self.transport is None:
            return
        row = np.flatnonzero(trips.mode == Mode.TRANSIT)
        origin, destination, depart = trips.origin[row], trips.destination[row], trips.depart[row]
        self._riders, arrive = self.transport.plan(origin, destination, depart)
        self._on_foot, _ = self.skims.between(Access.FOOT, origin, destination)
        planned = np.where(np.isfinite(arrive), arrive - depart, self._on_foot)
        seconds[row] = np.where(np.isfinite(planned), planned, seconds[row])

    def follow(
        self,
        trips: Trips,
        seconds: NDArray[np.float64],
        depart: NDArray[np.float64],
        arrive: NDArray[np.float64],
        actual: Timetable | None,
    ) -> Rides | None:
        """Let people ride in vehicles as they came, and do next what they do without a car when they have arrived.

        Whoever comes late begins the next trip on foot, by bicycle, as a passenger or rider when the one before has ended.
        Cars have moved already: who drives after a ride that was late drives as planned. Passengers arrive with their
        driver, and whoever finds no vehicle with room walks all the way.

        Args:
            trips: the trips of the latest day.
            seconds: float64 (trips,) that trips take which do not use the streets.
            depart, arrive: float64 (trips,) seconds after midnight as cars moved, nan where it has not happened; those of
                all others are written.
            actual: the timetable of the day with the times at which vehicles came; None without public transport.

        Returns:
            what became of riders; None without public transport.
        """
        mode = trips.mode
        along = np.flatnonzero(self.driver >= 0)
        depart[along], arrive[along] = depart[self.driver[along]], arrive[self.driver[along]]
        waits = (mode != Mode.CAR) & (self.driver < 0)
        row = np.flatnonzero(mode == Mode.TRANSIT) if actual is not None else np.zeros(0, np.intp)
        lasts = seconds.copy()
        rides = None
        for _ in range(_PASSES):
            before = depart[row].copy()
            _in_turn(trips.previous, trips.depart, lasts, waits, depart, arrive)
            if actual is None or (rides is not None and np.array_equal(before, depart[row], equal_nan=True)):
                break
            leave = np.where(np.isfinite(depart[row]), depart[row], np.inf)
            rides = ride(actual, replace(self._riders, depart=leave))
            lasts[row] = np.where(rides.state == RiderState.ARRIVED, rides.arrive - leave, self._on_foot)
        else:
            _in_turn(trips.previous, trips.depart, lasts, waits, depart, arrive)
        return rides


@njit(cache=True, nogil=True)
def _in_turn(previous, planned, seconds, waits, depart, arrive):
    """Write departure and arrival of trips that begin when the one before has ended, in order of planned departure."""
    for trip in range(previous.size):
        if waits[trip]:
            before = previous[trip]
            depart[trip] = planned[trip] if before < 0 else max(planned[trip], arrive[before])
            if before >= 0 and np.isnan(arrive[before]):
                depart[trip] = np.nan
            arrive[trip] = depart[trip] + seconds[trip]


def read_zones(path: str) -> Any:
    """Read the areas or points of zones that a matrix is about, as a GeoDataFrame.

    Raises:
        DemandError: if the file cannot be read, or has no shapes or CRS.
    """
    import geopandas

    try:
        zones = geopandas.read_file(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise DemandError(f"{path}: cannot be read as zones ({error})") from None
    if not isinstance(zones, geopandas.GeoDataFrame) or zones.crs is None:
        raise DemandError(f"{path}: zones need shapes and a CRS; save them as GeoPackage or GeoJSON")
    return zones


def _no_trips() -> Trips:
    return Trips.in_order(depart=np.zeros(0))
