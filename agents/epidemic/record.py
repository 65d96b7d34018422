"""The record of an epidemic: who was infected by whom, where and when, who died, and the figures of both."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...environment.city import City
from ...environment.places import PlaceKind
from . import figures

COUNTED_AS: dict[PlaceKind, str] = {
    PlaceKind.HOME: "home",
    PlaceKind.KINDERGARTEN: "school",
    PlaceKind.PRIMARY: "school",
    PlaceKind.SECONDARY: "school",
    PlaceKind.UNIVERSITY: "university",
    PlaceKind.WORK: "work",
    PlaceKind.SHOP: "shop",
    PlaceKind.LEISURE: "leisure",
    PlaceKind.HOSPITAL: "hospital",
}
"""Name in the results of infections in each kind of place; those of guests in other people's homes are ``guests``."""
NAMES = tuple(dict.fromkeys([*COUNTED_AS.values(), "guests"]))
_NAME_OF_KIND = np.array([NAMES.index(COUNTED_AS[kind]) for kind in PlaceKind])
EARLY_GENERATIONS = 3
"""Generations of infections whose secondary cases are compared with R0, as far as they are early."""
EARLY_SHARE = 0.01
"""Share of the people who may have been infected for an infection to be early; fewer susceptible people are left later."""
_NOBODY: NDArray[np.int32] = np.zeros(0, np.int32)


class Record:
    """Everything that has happened, day by day.

    Attributes:
        infections: number of infections on each day so far.
        total: number of infections so far.
        deaths: number of deaths on each day so far.
    """

    def __init__(self, city: City):
        self._city = city
        self.infections: list[int] = []
        self.total = 0
        self.deaths: list[int] = []
        self._rows: dict[str, list[NDArray[np.int32]]] = {"person": [], "infector": [], "place": [], "strain": []}
        self._by_name: list[NDArray[np.int64]] = []
        self._peak = {"peak_infectious": 0, "peak_day": 0, "peak_new_infections": 0, "duration": 0}

    def add(
        self,
        person: NDArray[np.int32],
        infector: NDArray[np.int32],
        place: NDArray[np.int32],
        strain: NDArray[np.int32],
        *,
        infectious: int,
    ) -> None:
        """Add the infections of a day.

        Args:
            person, infector, place, strain: (n,) each; −1 for infector and place where nobody in the city caused it.
            infectious: people infectious on the day.
        """
        day = len(self.infections)
        for name, rows in zip(self._rows, (person, infector, place, strain), strict=True):
            self._rows[name].append(rows)
        self.infections.append(len(person))
        self.total += len(person)
        caused = place >= 0
        name = _NAME_OF_KIND[self._city.places.kind[place[caused]]]
        abroad = (place[caused] < self._city.homes) & (place[caused] != self._city.people.household[person[caused]])
        name[abroad] = NAMES.index("guests")
        self._by_name.append(np.bincount(name, minlength=len(NAMES)))
        peak = self._peak
        if infectious > peak["peak_infectious"]:
            peak["peak_infectious"], peak["peak_day"] = infectious, day
        peak["peak_new_infections"] = max(peak["peak_new_infections"], len(person))

    def lasts(self) -> None:
        """Note that there were cases on the day just added."""
        self._peak["duration"] = len(self.infections)

    def since(self, day: int, name: str) -> NDArray[np.int32]:
        """Return a column of the infections from a day on."""
        return np.concatenate([_NOBODY, *self._rows[name][day:]])

    def series(self, day: int) -> dict[str, int]:
        """Return the number of infections from a day on, in all and by place; ``new_imported`` nobody here caused."""
        new, by_name = sum(self.infections[day:]), sum(self._by_name[day:], np.zeros(len(NAMES), np.int64))
        return {
            "new_infections": new,
            "cumulative_infections": self.total,
            "new_imported": new - int(by_name.sum()),
            **{f"new_{name}": int(number) for name, number in zip(NAMES, by_name, strict=True)},
        }

    def summary(self, complete: int, immune: NDArray[np.bool_] | None) -> dict[str, int | float]:
        """Return the figures of the run; days count from 0, and ``duration`` is the number of days with cases.

        ``reproduction_early`` is the mean number of secondary cases of those in generations 1 to 3 who were infected on
        days by which 1 % of the people had been; the first cases, who are drawn at random, are left out.
        ``household_attack_rate`` is that of housemates infected by the first case of the household itself: a disease that
        many bring home from elsewhere leaves it few.

        Args:
            complete: day before which people were infected who have caused all their cases; others are left out of these.
            immune: (people,) who was immune at the start.
        """
        table = {name: self.since(0, name) for name in ("person", "infector")} | {"day": self._day()}
        generation = self._generation()
        so_far = np.cumsum(self.infections)
        last = min(int(np.searchsorted(so_far, EARLY_SHARE * len(self._city.people), side="right")), complete)
        early = (generation >= 1) & (generation <= EARLY_GENERATIONS) & (table["day"] < last)
        caused = figures.secondary_cases(table)[early]
        by_name = sum(self._by_name, np.zeros(len(NAMES), np.int64))
        return {
            **self._peak,
            "reproduction_early": float(caused.mean()) if len(caused) else float("nan"),
            "generation_time": figures.generation_time(table).mean,
            "household_attack_rate": figures.household_attack(table, self._city, immune, complete).all,
            **{f"infections_{name}": int(number) for name, number in zip(NAMES, by_name, strict=True)},
        }

    def table(self) -> dict[str, NDArray[Any]]:
        """Return the infections in the order of their days.

        Columns: person, infector (−1 for imported), place and kind of place (−1 for imported), strain, day, generation.
        Imported infections are generation 0, those they cause generation 1.
        """
        rows = {name: self.since(0, name) for name in self._rows}
        kind = np.where(rows["place"] < 0, np.int8(-1), self._city.places.kind[rows["place"]].astype(np.int8))
        return {**rows, "kind": kind, "day": self._day(), "generation": self._generation()}

    def _day(self) -> NDArray[np.int32]:
        return np.repeat(np.arange(len(self.infections), dtype=np.int32), self.infections)

    def _generation(self) -> NDArray[np.int32]:
        of = np.zeros(len(self._city.people), np.int32)
        generations = [_NOBODY]
        for person, infector in zip(self._rows["person"], self._rows["infector"], strict=True):
            generations.append(np.where(infector < 0, 0, of[infector] + 1).astype(np.int32))
            of[person] = generations[-1]
        return np.concatenate(generations)

    def secondary_cases(self) -> dict[str, NDArray[Any]]:
        """Return how many of the infections caused 0, 1, 2, … others by the end of the run."""
        infections = np.bincount(figures.secondary_cases(self.table()))
        return {"secondary_cases": np.arange(len(infections), dtype=np.int32), "infections": infections}

    def reproduction(self) -> dict[str, NDArray[Any]]:
        """Return for each day the number of people infected, and the mean number of cases that they caused in the end.

        That is R(t); it is too low for those infected late in the run.
        """
        days = len(self.infections)
        return {
            "day": np.arange(days, dtype=np.int32),
            "infections": np.array(self.infections, np.int64),
            "reproduction": figures.effective_reproduction(self.table(), days),
        }
