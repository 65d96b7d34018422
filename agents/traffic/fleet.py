"""Vehicles as agents: the cars of households, and what else drives on a day, with where each of them is.

The flow moves rows of numbers; here they are joined with :class:`~citytwin.agents.vehicles.Vehicle` rows. Where vehicles are
under way is noted at every moment at which the flow stops to look at the streets, so that any of those can be shown later.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...environment.network.lanes import street_of
from ...environment.network.network import JAM_SPACING
from ..vehicles import Vehicle, VehicleKind, VehicleState
from .demand import Mode, Trips
from .layout import SIZE

if TYPE_CHECKING:
    from ..rows import RowModel
    from .cars import Means
    from .flow import Flow
    from .moving import Moving


class Moment(NamedTuple):
    """Where vehicles under way are.

    Attributes:
        second: seconds after midnight.
        row: int32 (n,) rows of the flow, those that wait to enter their first link included.
        link: int32 (n,) link of the streets on which each is, or which it waits to enter.
        position: float32 (n,) metres driven on it.
        speed: float32 (n,) m/s; 0 in a queue.
    """

    second: float
    row: NDArray[np.int32]
    link: NDArray[np.int32]
    position: NDArray[np.float32]
    speed: NDArray[np.float32]


class Fleet:
    """The vehicles of a model and those of a day among them.

    The first rows of the table are the cars of households, for good; their owners are the first of the household who may
    drive. The rows after them are lent to whatever else drives on a day, a row a vehicle: buses (one a trip of the
    timetable), trucks on their tours, others that come with through traffic or from files. Those not needed are out of
    service.

    A bus at a stop is parked at the end of the link by which it came, with those in it who came with it, and nowhere where
    it does not use the streets.
    A resident who sets out by car takes the first car of the household that is at home by the plans of the day. Should it
    in fact not be back yet, it is shown on the trip begun last.

    Args:
        model: the model, whose ``vehicle_class`` the vehicles have.
        household: int32 (people,) household of each resident, which is also the place number of their home.
        means: cars and licences.

    Attributes:
        cars: number of household cars.
        vehicle: int32 (rows,) vehicle of each row of the flow of the latest day, −1 for none.
        asks: whether drivers are asked if they reconsider their route.
    """

    # Of the latest day alone, which cannot be looked at after a restart.
    not_saved = (
        "vehicle",
        "_moments",
        "_to_place",
        "_last_link",
        "_goes_on",
        "_people",
        "_depart",
        "_arrive",
        "_length",
    )

    def __init__(self, model: "RowModel", cls: type[Vehicle], household: NDArray[np.int32], means: "Means"):
        cars = means.cars.astype(np.int64)
        self.first = np.concatenate([[0], np.cumsum(cars)])
        self.cars = int(self.first[-1])
        self._household = household
        home = np.repeat(np.arange(len(cars)), cars)
        drivers = np.flatnonzero(means.licence)
        drivers = drivers[np.argsort(household[drivers], kind="stable")]
        of_home = np.searchsorted(household[drivers], home) + np.arange(self.cars) - self.first[home]
        owner = drivers[of_home] if self.cars else np.zeros(0, np.int64)
        self.table = model.table(cls)
        self._begin = len(self.table)
        cls.create_agents(model, self.cars, kind=VehicleKind.CAR, owner=owner, place=home)
        self._cls = cls
        self.asks = cls.overrides("looks_again")
        self.vehicle = np.zeros(0, np.int32)
        self._moments: list[Moment] = []
        self._morning = np.asarray(home, np.int32)

    # ------------------------------------------------------------------ days

    def begin_day(self, trips: Trips, rows: "Moving", driver: NDArray[np.int32]) -> None:
        """Give the rows of a flow their vehicles.

        Args:
            trips: trips of the day.
            rows: what moves.
            driver: int32 (trips,) trip by car on which a passenger rides along, −1 for others.
        """
        self._moments = []
        size = len(rows.depart)
        by_car = trips.mode == Mode.CAR
        own = np.flatnonzero(by_car & (trips.person >= 0))
        vehicle = np.full(size, -1, np.int32)
        vehicle[rows.trip[own]] = cars_of(self.first, trips.person[own], trips.to_place[own], self._household)
        others = np.sort(np.concatenate([rows.run, rows.trip[by_car & (trips.person < 0)]]))
        root = _roots(others, rows.previous)
        leaders, number = np.unique(root, return_inverse=True)
        vehicle[others] = self.cars + number
        self._lend(len(leaders), rows.kind[leaders])
        self.vehicle = vehicle
        self._to_place = np.full(size, -1, np.int32)
        self._to_place[rows.trip] = trips.to_place
        self._last_link = np.full(size, -1, np.int32)
        if rows.runs is not None:
            on = np.flatnonzero(rows.runs.route >= 0)
            first, link = rows.runs.routes(on)
            on, end = on[np.diff(first) > 0], first[1:][np.diff(first) > 0]
            self._last_link[rows.run[on]] = link[end - 1]
        self._goes_on = np.zeros(size, np.bool_)
        self._goes_on[rows.previous[rows.previous >= 0]] = True
        self._people = np.ones(size, np.uint8)
        lifts = np.bincount(rows.trip[driver[driver >= 0]], minlength=size)
        self._people += np.minimum(lifts, 9).astype(np.uint8)
        # where cars stand when the day begins
        self._morning = self._cell("place")[: self.cars].copy()

    def _lend(self, number: int, kind: NDArray[np.uint8]) -> None:
        lacking = self._begin + self.cars + number - len(self.table)
        if lacking > 0:
            self._cls.create_agents(self.table.model, lacking, state=VehicleState.OUT_OF_SERVICE)
        self._cell("kind")[self.cars : self.cars + number] = kind

    def note(self, now: float, flow: "Flow") -> None:
        """Keep where vehicles are at a moment of the day."""
        self._moments.append(under_way(flow, now))

    def board(self, rows: "Moving", riders: NDArray[np.integer]) -> None:
        """Say how many riders there are in buses on each run, (runs,)."""
        self._people[rows.run] = np.minimum(riders + 1, 255)  # and who drives

    def end_day(self, flow: "Flow") -> None:
        """Show where vehicles are when the day has ended."""
        self._depart, self._arrive, self._length = flow.depart, flow.arrive, flow.network.length
        self._last_link = street_of(flow.network, self._last_link)
        self.show(np.inf)

    # ------------------------------------------------------------------ looking

    def show(self, second: float) -> float:
        """Put vehicles where they were at a moment of the latest day.

        Args:
            second: seconds after midnight.

        Returns:
            The moment shown: the last one noted that is not later, or the first.

        Raises:
            ValueError: if no day has been simulated.
        """
        if not self._moments:
            raise ValueError("no day of traffic has been simulated yet; step the model first")
        seconds = np.array([moment.second for moment in self._moments])
        moment = self._moments[max(int(np.searchsorted(seconds, second, side="right")) - 1, 0)]
        begun = np.flatnonzero((self.vehicle >= 0) & (self._depart < moment.second))
        begun = begun[np.argsort(self._depart[begun], kind="stable")]
        latest = np.full(len(self.table) - self._begin, -1, np.int64)
        latest[self.vehicle[begun]] = begun  # the last one holds
        state, place, link = self._cell("state"), self._cell("place"), self._cell("link")
        for name in ("position_m", "speed", "occupants"):
            self._cell(name)[:] = 0
        link[:] = -1
        state[: self.cars] = VehicleState.PARKED
        state[self.cars :] = VehicleState.OUT_OF_SERVICE
        place[: self.cars] = self._morning
        place[self.cars :] = -1
        there = np.flatnonzero(latest >= 0)
        there = there[self._arrive[latest[there]] < moment.second]
        row = latest[there]
        stands = (there < self.cars) | self._goes_on[row]  # all others have left the city or ended their work
        there, row = there[stands], row[stands]
        state[there], place[there], link[there] = VehicleState.PARKED, self._to_place[row], self._last_link[row]
        waits = link[there] >= 0
        at_stop = there[waits]
        self._cell("position_m")[at_stop] = self._length[link[at_stop]]
        self._cell("occupants")[at_stop] = self._people[row[waits]]
        self._put(moment, latest)
        return moment.second

    def reconsidering(self, now: float, flow: "Flow", row: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of some rows of the flow under way whose drivers look for another route when they are asked.

        Their vehicles are where they are at the moment when they are asked; others are shown as they were.

        Raises:
            TypeError: if a driver answers neither True nor False.
        """
        row = row[self.vehicle[row] >= 0]
        moment = under_way(flow, now)
        latest = np.full(len(self.table) - self._begin, -1, np.int64)
        latest[self.vehicle[row]] = row
        self._put(moment, latest)
        views = self.table.views((self._begin + self.vehicle[row]).tolist())
        return row[np.array([_says(vehicle) for vehicle in views], np.bool_)]

    def _put(self, moment: Moment, latest: NDArray[np.int64]) -> None:
        """Write the columns of vehicles under way, if it is their latest trip."""
        vehicle = self.vehicle[moment.row]
        mine = vehicle >= 0
        mine[mine] = latest[vehicle[mine]] == moment.row[mine]
        vehicle, speed = vehicle[mine], moment.speed[mine]
        self._cell("link")[vehicle] = moment.link[mine]
        self._cell("position_m")[vehicle] = moment.position[mine]
        self._cell("speed")[vehicle] = speed
        self._cell("place")[vehicle] = -1
        self._cell("occupants")[vehicle] = self._people[moment.row[mine]]
        self._cell("state")[vehicle] = np.where(speed > 0, VehicleState.DRIVING, VehicleState.QUEUEING)

    def _cell(self, name: str) -> NDArray[Any]:
        return self.table.columns[name][self._begin :]


def _says(vehicle: Vehicle) -> bool:
    said = vehicle.looks_again()
    if not isinstance(said, bool | np.bool_):
        raise TypeError(
            f"{type(vehicle).__name__}.looks_again returned {said!r}; it must return True (looks for another route) or "
            "False (keeps to the route)"
        )
    return bool(said)


def under_way(flow: "Flow", now: float) -> Moment:
    """Return where the vehicles of a flow are.

    Whoever has not reached the end of the link drives at its free speed up to the queue; vehicles of a queue stand one
    behind the other at jam spacing, side by side on several lanes.
    """
    streets, network = flow.streets, flow.network
    row, link, position, speed = _under_way(
        streets.links, streets.arms["queue_head"][network.links :], streets.places, flow.state.queue_next, flow.vehicles,
        network.length, JAM_SPACING / network.lanes, now,
    )  # fmt: skip
    return Moment(now, row, street_of(flow.network, link), position, speed)


@njit(cache=True, nogil=True)
def _under_way(links, queue_head, places, queue_next, vehicles, length, spacing, now):
    """Return (row, link, position, speed) of all vehicles on links and in queues of departures."""
    size = 0
    for link in range(links.size):
        size += links[link].vehicles
        vehicle = queue_head[link]
        while vehicle >= 0:
            size += 1
            vehicle = queue_next[vehicle]
    row, on = np.empty(size, np.int32), np.empty(size, np.int32)
    position, speed = np.zeros(size, np.float32), np.zeros(size, np.float32)
    n = 0
    for link in range(links.size):
        most = length[link]
        free, ring, place = links[link].free, links[link].ring, links[link].head
        for _ in range(links[link].vehicles):
            stand = places[links[link].place_first + place]
            remaining = stand.exit - now
            at = length[link] * min(1.0 - remaining / free, 1.0)
            row[n], on[n] = stand.vehicle, link
            position[n] = max(min(at, most), 0.0)
            if remaining > 0 and at < most:
                speed[n] = length[link] / free
            most = min(most, max(at, 0.0)) - spacing[link] * vehicles[stand.vehicle, SIZE]
            most = max(most, 0.0)
            place = (place + vehicles[stand.vehicle, SIZE]) % ring
            n += 1
        vehicle = queue_head[link]
        while vehicle >= 0:
            row[n], on[n] = vehicle, link
            n += 1
            vehicle = queue_next[vehicle]
    return row, on, position, speed


@njit(cache=True, nogil=True)
def cars_of(first, person, to_place, household):
    """Return the car of each trip by car in order of departure, −1 where all cars of the household are away.

    Args:
        first: int64 (households + 1,) first car of each household.
        person, to_place: (trips,) who drives where.
        household: int32 (people,).
    """
    car_of = np.full(household.size, -1, np.int32)
    away = np.zeros(first[-1], np.bool_)
    out = np.empty(person.size, np.int32)
    for trip in range(person.size):
        who = person[trip]
        home = household[who]
        if car_of[who] < 0:
            for car in range(first[home], first[home + 1]):
                if not away[car]:
                    car_of[who] = car
                    away[car] = True
                    break
        car = car_of[who]
        out[trip] = car
        if to_place[trip] == home and car >= 0:
            away[car] = False
            car_of[who] = -1
    return out


@njit(cache=True, nogil=True)
def _roots(rows, previous):
    """Return the first row of the chain of trips of each of some rows."""
    root = np.arange(previous.size)
    for row in rows:
        if previous[row] >= 0:
            root[row] = root[previous[row]]
    return root[rows]
