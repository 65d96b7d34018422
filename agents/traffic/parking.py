"""Parking: drivers look for a free place where they arrive, and walk from it.

Places belong to kerbs (:mod:`~citytwin.environment.network.kerbs`). Where their number is known every car that stands there
is counted; where it is not, there are enough, and nothing is looked for. Who arrives drives along the kerb of the
destination, and then along the nearest ones, until there is a free place. In a kerb of length L with f free places, anywhere
among its evenly spaced places with equal chance, the first of them comes after L / (f + 1) metres on average (negative
hypergeometric distribution). A full kerb is driven along to its end.

Time for search and walk comes on top of the time of a trip. Who looks for a place is not on the streets meanwhile, which
neglects the traffic that searching makes.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...environment.network.kerbs import kerbs_of, nearest_kerbs, neighbours
from ...environment.network.skims import SPEEDS
from ...environment.randomness import key, uniforms
from ...environment.roads import Access
from .demand import Mode, Trips
from .fleet import cars_of
from .record import QUARTER, QUARTERS

if TYPE_CHECKING:
    from ...environment.city import City
    from ...environment.network.network import Network
    from .cars import Means

SEARCH_SPEED = 12.0 / 3.6
"""Speed in m/s at which drivers look for a place; assumed."""
_WALK_SPEED = SPEEDS[Access.FOOT]
_NONE, _FOUND, _WITHOUT = range(3)  # outcomes: not looked for, found, found none


@dataclass(frozen=True)
class Parked:
    """What parking took on a day.

    Attributes:
        seconds: float64 (trips,) search and walk; 0 for trips that need no place.
        outcome: uint8 (trips,) 0: needed none that is counted, 1: found one, 2: found none within reach.
        taken: int32 (96, counted kerbs) cars in places at the end of each quarter of an hour.
        over: int32 (96, counted kerbs) cars that stand there without a place.
        outlook: float64 (96, counted kerbs) seconds that search and walk then take of who arrives there.
    """

    seconds: NDArray[np.float64]
    outcome: NDArray[np.uint8]
    taken: NDArray[np.int32]
    over: NDArray[np.int32]
    outlook: NDArray[np.float64]


class Parking:
    """The kerbs of a city and what drivers expect of them.

    Cars of a share of households stand on private ground at home; all others need a place at the kerb. Who drives in from
    elsewhere or makes trips of a file needs none.

    Args:
        city: the city.
        network: its streets.
        node: int32 (places,) node of each place.
        means: cars of households.
        private: share of households whose cars have places of their own at home.
        seed: seed of the run.

    Attributes:
        kerbs: all kerbs.
        counted: those whose places are known.
        expected: float64 (96, counted) seconds that drivers expect search and walk to take, by quarter of arrival.
    """

    def __init__(
        self, city: "City", network: "Network", node: NDArray[np.int32], means: "Means", private: float, seed: int
    ):
        self.kerbs = kerbs_of(network)
        self.counted = self.kerbs.counted
        self._near = neighbours(self.kerbs)
        number = np.full(len(self.kerbs) + 1, -1, np.int32)
        number[self.counted] = np.arange(len(self.counted), dtype=np.int32)
        # at home, one of a household's own
        place = nearest_kerbs(network, self.kerbs, node, city.places.x, city.places.y)
        self._own = number[place]
        homes = np.arange(city.homes)
        self._own[homes[uniforms(key(seed, "place of a car at home"), homes, 0) < private]] = -1
        self._household = city.people.household
        self._first = np.concatenate([[0], np.cumsum(means.cars.astype(np.int64))])
        self._home = np.repeat(homes, means.cars)
        self._number = number[:-1]
        nobody = Trips.in_order(depart=np.zeros(0))
        self.expected = self.live(nobody, np.zeros(0), np.zeros(0)).outlook

    def seconds(self, trips: Trips, arrive: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the seconds that search and walk are expected to take of trips by car, (trips,).

        Args:
            trips: trips of residents.
            arrive: float64 (trips,) when they would arrive by car, seconds after midnight; infinite without a way.
        """
        own = self._own[trips.to_place]
        quarter = np.minimum(np.where(np.isfinite(arrive), arrive, 0.0) // QUARTER, QUARTERS - 1).astype(np.intp)
        found = np.zeros(len(trips))
        there = own >= 0
        found[there] = self.expected[quarter[there], own[there]]
        return found

    def suppose(self, outlook: NDArray[np.float64], weight: float) -> None:
        """Let drivers come to expect what was met, (96, counted), with a weight from 0 to 1."""
        self.expected += weight * (outlook - self.expected)

    def live(self, trips: Trips, depart: NDArray[np.float64], arrive: NDArray[np.float64]) -> Parked:
        """Let the cars of residents come and go for a day, in the order of their times.

        A car is at home when the day begins. It leaves its place when the next trip with it begins.

        Args:
            trips: trips of the day with their modes, in order of planned departure.
            depart, arrive: float64 (trips,) seconds after midnight of trips by car; nan where it has not happened.
        """
        row = np.flatnonzero((trips.mode == Mode.CAR) & (trips.person >= 0))
        car = cars_of(self._first, trips.person[row], trips.to_place[row], self._household)
        row, car = row[car >= 0], car[car >= 0]
        cars = np.arange(len(self._home), dtype=np.int32)
        # in the night, every car comes home
        time = np.concatenate([np.full(len(cars), -1.0), depart[row], arrive[row]])
        comes = np.repeat([True, False, True], [len(cars), len(row), len(row)])
        own = np.concatenate([self._own[self._home], np.full(len(row), -1, np.int32), self._own[trips.to_place[row]]])
        who = np.concatenate([cars, car, car])
        trip = np.concatenate([np.full(len(cars), -1, np.int64), row, row])
        order = np.lexsort((trip, comes, time))
        order = order[np.isfinite(time[order])]
        first, near, metres = self._near
        seconds, outcome = np.zeros(len(trips)), np.zeros(len(trips), np.uint8)
        taken, over = (np.zeros((QUARTERS, len(self.counted)), np.int32) for _ in range(2))
        outlook = np.zeros((QUARTERS, len(self.counted)))
        _park(
            time[order], comes[order], who[order].astype(np.int32), own[order].astype(np.int32), trip[order],
            first, self._number[near], metres, self.kerbs.length[near],
            self.kerbs.places[self.counted], len(cars), seconds, outcome, taken, over, outlook,
        )  # fmt: skip
        return Parked(seconds, outcome, taken, over, outlook)

    def table(self, day: int, parked: Parked) -> dict[str, NDArray[Any]]:
        """Return a row for each counted kerb and quarter of an hour: places, cars in them and without one at its end."""
        quarter, kerb = (index.ravel() for index in np.indices(parked.taken.shape))
        return {
            "day": np.full(len(kerb), day, np.int32),
            "quarter": quarter.astype(np.int16),
            "link": self.kerbs.link[self.counted[kerb]],
            "places": self.kerbs.places[self.counted[kerb]],
            "parked": parked.taken.ravel(),
            "without_place": parked.over.ravel(),
            "search_seconds": parked.outlook.ravel().astype(np.float32),
        }


NO_PARKING = {
    name: np.zeros(0, kind)
    for name, kind in (
        ("day", np.int32), ("quarter", np.int16), ("link", np.int32), ("places", np.int32), ("parked", np.int32),
        ("without_place", np.int32), ("search_seconds", np.float32),
    )
}  # fmt: skip
"""The table of a city of which no places are known."""


def figures_of(parked: Parked | None) -> dict[str, int | float]:
    """Return figures of a day: hours of search and walk, their mean in minutes, and how many found no place."""
    if parked is None:
        return {"parking_hours": 0.0, "parking_minutes": 0.0, "without_place": 0}
    looked = parked.outcome != _NONE
    return {
        "parking_hours": float(parked.seconds.sum() / 3600.0),
        "parking_minutes": float(parked.seconds[looked].mean() / 60.0) if looked.any() else 0.0,
        "without_place": int(np.count_nonzero(parked.outcome == _WITHOUT)),
    }


@njit(inline="always")
def _look(own, taken, places, first, near, metres, length):
    """Return the kerb where a place is found, −1 where they are not counted, −2 without one; and seconds."""
    driven, found, walked = 0.0, -2, 0.0
    for k in range(first[own], first[own + 1]):
        kerb = near[k]
        if kerb < 0:
            found, walked = -1, metres[k]
            break
        free = places[kerb] - taken[kerb]
        if free > 0:
            driven += length[k] / (free + 1)
            found, walked = kerb, metres[k]
            break
        driven += length[k]
    return found, driven / SEARCH_SPEED + walked / _WALK_SPEED


@njit(cache=True, nogil=True)
def _park(
    time, comes, who, own, trip, first, near, metres, length, places, cars, seconds, outcome, taken, over, outlook
):
    """Park cars in the order of their coming and going; fill ``seconds``, ``outcome`` and the counts by quarter.

    Args:
        time, comes, who, own, trip: (events,) when, whether a car comes (or goes), which car, counted kerb of the
            destination (−1 for none), trip (−1 in the night).
        first, near, metres, length: neighbours of counted kerbs: counted kerb (−1 for any other), metres on foot, metres of
            kerb.
        places: int32 (counted,).
        cars: number of cars.
        seconds, outcome, taken, over, outlook: as of Parked, zeros.
    """
    quarters, counted = taken.shape
    stands = np.full(cars, -1, np.int64)  # counted kerb; those beyond stand there without a place
    inside, beyond = np.zeros(counted, np.int32), np.zeros(counted, np.int32)
    event = 0
    for quarter in range(quarters):
        last = quarter == quarters - 1
        while event < time.size and (last or time[event] < (quarter + 1) * QUARTER):
            car, kerb = who[event], stands[who[event]]
            if kerb >= counted:
                beyond[kerb - counted] -= 1
            elif kerb >= 0:
                inside[kerb] -= 1
            stands[car] = -1
            here = own[event]
            if comes[event] and here >= 0:
                found, took = _look(here, inside, places, first, near, metres, length)
                if found == -2:
                    stands[car] = counted + here
                    beyond[here] += 1
                elif found >= 0:
                    stands[car] = found
                    inside[found] += 1
                if trip[event] >= 0:
                    seconds[trip[event]] = took
                    outcome[trip[event]] = _WITHOUT if found == -2 else _FOUND
            event += 1
        taken[quarter], over[quarter] = inside, beyond
        for kerb in range(counted):
            _, outlook[quarter, kerb] = _look(kerb, inside, places, first, near, metres, length)
