"""How people go: a multinomial logit over the ways in which each round from home to home can be made.

A car or bicycle that leaves home comes back, so both are taken for a whole round (home to home) or not at all; on the
other rounds people choose again for every trip whether they ride along, take public transport or walk. The utility of a
way to make a round is the sum of those of its trips, and every way has its own draw from a Gumbel distribution. That is how
eqasim (github.com/eqasim-org/eqasim-java) lets people choose among chains that leave no vehicle behind.

Two steps give the chances of that logit over all chains exactly: first car, bicycle or neither, where "neither" counts with
the sum over its trips of log Σ exp(utility), then, given neither, each trip's mode by itself.

Draws belong to person, purpose and mode: the same people reconsider when streets change, and somebody changes only to
what has become better.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from ...environment.places import Role
from ...environment.randomness import bits, key, uniform
from ..presence import fixed
from .demand import NO_MODE, Mode, Trips

if TYPE_CHECKING:
    from ...environment.city import City
    from .cars import Means

ALONE_AGE = 10
"""Years from which children choose for themselves and cycle alone; younger ones go along where they can (assumed)."""

_MODES = len(Mode)
_CAR, _PASSENGER, _TRANSIT, _BICYCLE, _WALK = (int(mode) for mode in Mode)  # numba freezes these
_WORKING_DRIVER, _DRIVER, _NO_DRIVER, _CHILD = range(4)  # who of a household chooses first
_BUSY = (
    3 * 96
)  # rounds by car that a household can make in a day: three cars, a round lasts a quarter of an hour at least
_SLOT_SECONDS = 900.0
_NEVER = 1e18  # s, when a car comes back that does not


Coefficient = Annotated[float, Field(ge=-100, le=100)]
"""Of a utility; beyond, whatever it weighs decides alone."""


class ModeSettings(BaseModel):
    """Utilities of the modes, in units of the logit; prices in euros.

    The defaults are those of eqasim's model of Bavaria (eqasim-org/eqasim-java, ``BavariaModeParameters`` and
    ``BavariaCostParameters``): estimated in the Île-de-France, constants shifted for Bavaria.

    Attributes:
        car, passenger, transit, bicycle, walk: constants.
        car_minute, passenger_minute, bicycle_minute, walk_minute: of a minute under way.
        transit_minute, transit_wait_minute: of a minute in vehicles, and waiting.
        access_minute: of a minute on foot to a stop or parked car and from it.
        transfer: of a change of lines.
        only_bus: of a journey by bus alone.
        passenger_licence, transit_licence: of having a licence, on riding along and on public transport.
        euro: of a euro, on a trip whose ends lie ``distance_reference_m`` apart.
        euro_distance: power of distance, relative to that, with which a euro weighs.
        distance_reference_m: metres.
        car_access_minutes, car_parking_minutes: minutes on foot and of search that a trip by car takes besides; those of
            eqasim's model of Switzerland.
        car_euro_km: euros a kilometre by car.
        fare: euros a ride without a season ticket; the order of a single ticket in German cities (assumed).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    car: Coefficient = 0.4
    passenger: Coefficient = -1.4
    transit: Coefficient = 0.0
    bicycle: Coefficient = -0.5
    walk: Coefficient = 1.8
    car_minute: Coefficient = -0.042431
    passenger_minute: Coefficient = -0.069976
    bicycle_minute: Coefficient = -0.093485
    walk_minute: Coefficient = -0.162285
    transit_minute: Coefficient = -0.025501
    transit_wait_minute: Coefficient = -0.021801
    access_minute: Coefficient = -0.031239
    transfer: Coefficient = -0.417658
    only_bus: Coefficient = -1.416309
    passenger_licence: Coefficient = -0.835542
    transit_licence: Coefficient = -0.531426
    euro: Coefficient = -0.310998
    euro_distance: Coefficient = -0.257501
    distance_reference_m: float = Field(default=4_400.0, gt=0, le=1_000_000)
    car_access_minutes: float = Field(default=4.0, ge=0, le=1_440)
    car_parking_minutes: float = Field(default=4.0, ge=0, le=1_440)
    car_euro_km: float = Field(default=0.2, ge=0, le=100)
    fare: float = Field(default=3.0, ge=0, le=1_000)

    @property
    def seconds_per_euro(self) -> float:
        """Seconds by car that count as much as a euro on a trip of the reference distance; 0 if money or time does not."""
        return 60.0 * self.euro / self.car_minute if self.car_minute < 0 and self.euro < 0 else 0.0


@dataclass(frozen=True)
class Offer:
    """What each trip would take by each mode; columns of (trips, 5) in the order of :class:`~.demand.Mode`.

    Attributes:
        seconds: float (trips, 5) seconds under way, walks and waits of public transport included; infinite where the
            trip cannot be made so.
        metres: float (trips, 5) metres; only those by car count.
        euros: float (trips, 5) tolls, fees and fares on top of those of the settings; None for none.
        walk_seconds, wait_seconds: float (trips,) of ``seconds`` by public transport those on foot, and waiting; None
            if unknown, all are then in vehicles.
        transfers: (trips,) changes of lines; None for none.
        only_bus: bool (trips,) whether public transport is by bus alone; None if some of it is by rail everywhere.
    """

    seconds: NDArray[np.floating]
    metres: NDArray[np.floating]
    euros: NDArray[np.floating] | None = None
    walk_seconds: NDArray[np.floating] | None = None
    wait_seconds: NDArray[np.floating] | None = None
    transfers: NDArray[Any] | None = None
    only_bus: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Choice:
    """Modes that have been chosen.

    Attributes:
        mode: uint8 (trips,) :class:`~.demand.Mode`.
        ride: int32 (trips,) row of the trip by car of the same household on which a passenger rides along; −1 for
            others. A passenger without one rides with somebody from elsewhere who goes that way; no vehicle is added
            for them.
        no_way: trips that can be made in no way at all; they are on foot.
    """

    mode: NDArray[np.uint8]
    ride: NDArray[np.int32]
    no_way: int


def utilities(
    trips: Trips, city: "City", offer: Offer, means: "Means", settings: ModeSettings | None = None
) -> NDArray[np.float64]:
    """Return the utility of each trip by each mode, (trips, 5); minus infinity where it cannot be made so.

    By car that is only said of the way: whether there is a licence and a car at hand is found in choosing.

    Raises:
        ValueError: if the columns of the offer do not fit the trips, or hold what is no time.
    """
    s = settings or ModeSettings()
    _check(offer, len(trips))
    minutes = np.where(np.isfinite(offer.seconds), offer.seconds, 0.0) / 60.0
    person = np.maximum(trips.person, 0)
    licence = means.licence[person]
    places = city.places
    apart = np.hypot(
        places.x[trips.from_place] - places.x[trips.to_place], places.y[trips.from_place] - places.y[trips.to_place]
    )
    euro = s.euro * (np.maximum(apart, 1.0) / s.distance_reference_m) ** s.euro_distance
    walked, waited = _minutes(offer.walk_seconds), _minutes(offer.wait_seconds)
    metres = np.where(np.isfinite(offer.metres[:, _CAR]), offer.metres[:, _CAR], 0.0)

    utility = np.empty((len(trips), _MODES))
    utility[:, _CAR] = s.car + s.car_minute * (minutes[:, _CAR] + s.car_parking_minutes)
    utility[:, _CAR] += s.access_minute * s.car_access_minutes + euro * s.car_euro_km * metres / 1000.0
    utility[:, _PASSENGER] = s.passenger + s.passenger_minute * minutes[:, _PASSENGER] + s.passenger_licence * licence
    utility[:, _TRANSIT] = s.transit + s.transit_minute * (minutes[:, _TRANSIT] - walked - waited)
    utility[:, _TRANSIT] += s.access_minute * walked + s.transit_wait_minute * waited + s.transit_licence * licence
    utility[:, _TRANSIT] += euro * np.where(means.season_ticket[person], 0.0, s.fare)
    if offer.transfers is not None:
        utility[:, _TRANSIT] += s.transfer * offer.transfers
    if offer.only_bus is not None:
        utility[:, _TRANSIT] += s.only_bus * offer.only_bus
    utility[:, _BICYCLE] = s.bicycle + s.bicycle_minute * minutes[:, _BICYCLE]
    utility[:, _WALK] = s.walk + s.walk_minute * minutes[:, _WALK]
    if offer.euros is not None:
        utility += euro[:, None] * offer.euros
    utility[~np.isfinite(offer.seconds)] = -np.inf
    household = city.people.household[person]
    utility[means.cars[household] == 0, _PASSENGER] = -np.inf  # as in eqasim
    utility[~means.bicycle[person] | (city.people.age[person] < ALONE_AGE), _BICYCLE] = -np.inf
    return utility


def choose_modes(
    trips: Trips,
    city: "City",
    offer: Offer,
    means: "Means",
    seed: int,
    *,
    settings: ModeSettings | None = None,
    threads: int = 1,
) -> Choice:
    """Choose how people of the city make their trips.

    Members of a household choose one after the other, those first who drive to work, and share its cars: a car is at hand
    if it is at home all the time from the begin of a round to its end. Children under 10 go as the member of their
    household goes who makes the same trip in the same quarter of an hour.

    Args:
        trips: the trips; those of nobody keep their mode.
        city: the city.
        offer: what each trip would take by each mode.
        means: what people have to move with.
        seed: seed of the run.
        settings: utilities.
        threads: number of threads; the choice is the same for any.

    Raises:
        ValueError: if the offer does not fit the trips.
    """
    utility = utilities(trips, city, offer, means, settings)
    return choose(trips, city, utility, offer.seconds[:, _CAR], means, seed, threads=threads)


def choose(
    trips: Trips,
    city: "City",
    utility: NDArray[np.float64],
    car_seconds: NDArray[np.floating],
    means: "Means",
    seed: int,
    *,
    threads: int = 1,
) -> Choice:
    """Choose modes by given utilities, see :func:`choose_modes`.

    Args:
        trips: the trips.
        city: the city.
        utility: (trips, 5); minus infinity where a trip cannot be made so.
        car_seconds: (trips,) seconds by car, after which a car is back at home.
        means: licences and cars; what they allow besides must be in ``utility``.
        seed: seed of the run.
        threads: number of threads.
    """
    people = city.people
    order = np.argsort(trips.person, kind="stable").astype(np.int32)
    first = np.searchsorted(trips.person[order], np.arange(len(people) + 1)).astype(np.int32)
    turn = np.select(
        [people.age < ALONE_AGE, ~means.licence, people.role == Role.WORKER],
        [_CHILD, _NO_DRIVER, _WORKING_DRIVER],
        _DRIVER,
    ).astype(np.uint8)
    mode = trips.mode.copy()
    mode[trips.person >= 0] = NO_MODE
    ride = np.full(len(trips), -1, np.int32)
    round_key, trip_key = key(seed, "mode of a round"), key(seed, "mode of a trip")
    turn_key = key(seed, "turn for the car")

    def work(homes: tuple[int, int]) -> int:
        home, end = homes
        return int(
            _choose(
                home,
                end,
                fixed(city.households.first),
                fixed(first),
                fixed(order),
                fixed(turn),
                fixed(means.cars),
                fixed(trips.from_place),
                fixed(trips.to_place),
                fixed(trips.purpose),
                fixed(trips.depart),
                fixed(np.ascontiguousarray(car_seconds, np.float64)),
                fixed(np.ascontiguousarray(utility, np.float64)),
                round_key,
                trip_key,
                turn_key,
                mode,
                ride,
            )
        )

    with ThreadPoolExecutor(threads) as pool:
        no_way = sum(pool.map(work, _parts(city.homes, threads)))
    return Choice(mode, ride, no_way)


def _parts(rows: int, threads: int) -> Iterator[tuple[int, int]]:
    return pairwise(np.linspace(0, rows, threads + 1).astype(int).tolist())


def _minutes(seconds: NDArray[np.floating] | None) -> NDArray[np.float64] | float:
    return 0.0 if seconds is None else np.where(np.isfinite(seconds), seconds, 0.0) / 60.0


def _check(offer: Offer, trips: int) -> None:
    shapes = {"seconds": (trips, _MODES), "metres": (trips, _MODES), "euros": (trips, _MODES)}
    for name, column in vars(offer).items():
        expected = shapes.get(name, (trips,))
        if column is not None and column.shape != expected:
            raise ValueError(f"offer: {name} has the shape {column.shape}, {trips} trips need {expected}")
    if np.isnan(offer.seconds).any() or (offer.seconds < 0).any():
        row, mode = np.argwhere(~(offer.seconds >= 0))[0]
        raise ValueError(
            f"offer: trip {row} takes {offer.seconds[row, mode]:g} s by {Mode(mode).name.lower()}; write seconds from 0 "
            "on, infinite where there is no way"
        )


@njit(cache=True, nogil=True, inline="always")
def _gumbel(purpose_key, who, when):
    return -np.log(-np.log(uniform(purpose_key, who, when)))


@njit(cache=True, nogil=True, inline="always")
def _round_utilities(order, t, last, utility):
    """Return the utility of making a whole round by car, by bicycle, and by neither."""
    by_car, by_bicycle, by_neither = 0.0, 0.0, 0.0
    for k in range(t, last + 1):
        row = order[k]
        by_car += utility[row, _CAR]
        by_bicycle += utility[row, _BICYCLE]
        best = max(utility[row, _PASSENGER], utility[row, _TRANSIT], utility[row, _WALK])
        if best == -np.inf:
            by_neither = -np.inf
        else:
            by_neither += best + np.log(
                np.exp(utility[row, _PASSENGER] - best)
                + np.exp(utility[row, _TRANSIT] - best)
                + np.exp(utility[row, _WALK] - best)
            )
    return by_car, by_bicycle, by_neither


@njit(cache=True, nogil=True, inline="always")
def _car_at_home(cars, busy, busy_car, busy_from, busy_until, start, end):
    """Return a car of the household that is at home from start to end, −1 if there is none."""
    found = -1
    for car in range(cars):
        free = True
        for b in range(busy):
            if busy_car[b] == car and busy_from[b] < end and start < busy_until[b]:
                free = False
        if free:
            found = car
            break
    return found


@njit(cache=True, nogil=True, inline="always")
def _company(begin, end, order, row, from_place, to_place, depart, mode):
    """Return the row of who makes the same trip and has chosen already, rather by car; −1 if there is nobody."""
    found = -1
    for k in range(begin, end):
        other = order[k]
        if (
            mode[other] != NO_MODE
            and from_place[other] == from_place[row]
            and to_place[other] == to_place[row]
            and depart[other] // _SLOT_SECONDS == depart[row] // _SLOT_SECONDS
            and (found < 0 or mode[other] == _CAR)
        ):
            found = other
    return found


@njit(cache=True, nogil=True, inline="always")
def _mode_without_vehicle(utility, row, trip_key, person, errand):
    """Return the mode of a trip on a round without car and bicycle; NO_MODE if there is none."""
    chosen, highest = NO_MODE, -np.inf
    for mode in (_PASSENGER, _TRANSIT, _WALK):
        value = utility[row, mode] + _gumbel(trip_key, person, errand * 8 + mode)
        if value > highest:
            chosen, highest = mode, value
    return chosen


@njit(cache=True, nogil=True)
def _choose(
    home, homes, members, first, order, turn, cars, from_place, to_place, purpose, depart, car_seconds, utility,
    round_key, trip_key, turn_key, mode, ride,
):  # fmt: skip
    """Write mode and ride of the trips of households ``home`` … ``homes`` − 1; return the trips without any way."""
    busy_car = np.empty(_BUSY, np.int64)  # rounds by car of the household
    busy_from = np.empty(_BUSY)
    busy_until = np.empty(_BUSY)
    no_way = 0
    for household in range(home, homes):
        begin, size = members[household], members[household + 1] - members[household]
        if first[begin] == first[begin + size]:
            continue
        begin_with = np.int64(bits(turn_key, household, 0) % np.uint64(size))
        busy = 0
        for case in range(4 * size):
            person = begin + (begin_with + case % size) % size
            if turn[person] != case // size:
                continue
            child = turn[person] == _CHILD
            t = first[person]
            while t < first[person + 1]:
                last = t
                while last + 1 < first[person + 1] and to_place[order[last]] != household:
                    last += 1
                aim = np.int64(purpose[order[t]])
                by_car, by_bicycle, by_neither = _round_utilities(order, t, last, utility)
                start = depart[order[t]]
                end = _NEVER
                if to_place[order[last]] == household:
                    end = depart[order[last]] + car_seconds[order[last]]
                car = -1
                if turn[person] <= _DRIVER:
                    car = _car_at_home(cars[household], busy, busy_car, busy_from, busy_until, start, end)
                if car < 0:
                    by_car = -np.inf
                by_car += _gumbel(round_key, person, aim * 4)
                by_bicycle += _gumbel(round_key, person, aim * 4 + 1)
                by_neither += _gumbel(round_key, person, aim * 4 + 2)
                whole = NO_MODE
                if by_car > by_bicycle and by_car > by_neither:
                    whole = _CAR
                    busy_car[busy], busy_from[busy], busy_until[busy] = car, start, end
                    busy += 1
                elif by_bicycle > by_neither:
                    whole = _BICYCLE
                for k in range(t, last + 1):
                    row = order[k]
                    chosen, company = whole, -1
                    if whole == NO_MODE:
                        if child:
                            company = _company(
                                first[begin], first[begin + size], order, row, from_place, to_place, depart, mode
                            )
                        if company >= 0:
                            chosen = _PASSENGER if mode[company] == _CAR else int(mode[company])
                        else:
                            errand = aim * 16 + np.int64(purpose[row])
                            chosen = _mode_without_vehicle(utility, row, trip_key, person, errand)
                            if chosen == _PASSENGER:
                                company = _company(
                                    first[begin], first[begin + size], order, row, from_place, to_place, depart, mode
                                )
                            if chosen == NO_MODE:
                                chosen = _WALK
                                no_way += 1
                    if chosen == _PASSENGER and company >= 0:
                        ride[row] = company if mode[company] == _CAR else ride[company]
                    mode[row] = chosen
                t = last + 1
    return no_way
