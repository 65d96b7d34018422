"""Epidemic: susceptible, exposed, infectious, recovered; contagion where infectious people are."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ...environment.places import PlaceKind
from ...environment.randomness import key, uniform
from ...environment.schedules import SLOTS_PER_DAY
from ..columns import Column
from ..presence import Presence, Visits
from ..process import Process
from . import kernels
from .kernels import EXPOSED, HAZARD_UNIT, INFECTIOUS, RECOVERED, SHEDDING_UNIT, SUSCEPTIBLE, Sources
from .settings import EpidemicSettings
from .transmission import calibrated, crowding

SECONDS_PER_DAY = 86_400
INCIDENCE_DAYS = 7
INCIDENCE_PEOPLE = 100_000
PULL_COST = 0.6
"""Time of a visit walked in the order of people, relative to one walked in the order of places."""

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
"""Name in the results of infections in each kind of place."""
_NAMES = tuple(dict.fromkeys(COUNTED_AS.values()))
_NAME_OF_KIND = np.array([_NAMES.index(COUNTED_AS[kind]) for kind in PlaceKind])


def columns() -> dict[str, Column]:
    """Return the columns that an epidemic adds to citizens; it alone writes them."""
    return {
        "health": Column("u1", SUSCEPTIBLE, doc="0 susceptible, 1 exposed, 2 infectious, 3 recovered"),
        "health_until": Column("i4", -1, "day", "day of the next change of health; of the recovered, of the last one"),
        "resistance": Column("i8", 0, "2^-40", "hazard still to come until infection, divided by susceptibility"),
    }


class Epidemic(Process):
    """An epidemic among the people of a city.

    Args:
        model: the model; ``presence``, ``seed_number`` and ``citizens`` are used, and citizens get :func:`columns`.
        settings: the section ``[epidemic]``.

    Attributes:
        r0: secondary cases of a typical early case that was asked for, not a number where a transmission was.
        transmission: rate per day of overlap at home between an average infectious and a fully susceptible person.
        cases: int32 (n,) the people who are exposed or infectious, in rising order.
        infectious: int32 (n,) those of them who are infectious.
        count: int64 (4,) number of people by health.
        direction: how contagion walks through the visits, by active place ("push"), by susceptible person ("pull") or
            by whichever is less work; the results are the same to the bit.

    Raises:
        ValueError: if more people are to be infected than there are.
        TransmissionError: if no rate of transmission gives the wanted R0.
    """

    section: ClassVar[str] = "epidemic"
    Settings: ClassVar[type[EpidemicSettings]] = EpidemicSettings
    indicators: ClassVar[dict[str, str]] = {
        "incidence": f"new infections in the last {INCIDENCE_DAYS} days per {INCIDENCE_PEOPLE:,} people",
        "prevalence": "share of the people who are infectious",
        "attack": "share of the people infected so far",
    }
    file_keys: ClassVar[tuple[str, ...]] = ("disease",)
    table_names: ClassVar[tuple[str, ...]] = ("infections",)

    @classmethod
    def misfits(cls, settings: EpidemicSettings, people: int) -> dict[str, str]:
        """Return what is wrong if more people are to be infected at the start than there are."""
        given = settings.initial_infections
        if given <= people:
            return {}
        return {"initial_infections": f"more than the city has people (given {given:,}, people {people:,})"}

    def __init__(self, model: Any, settings: EpidemicSettings):
        super().__init__(model, settings)
        self.presence: Presence = model.presence
        city, disease = self.presence.city, settings.disease
        self.people = len(city.people)
        for name, message in self.misfits(settings, self.people).items():
            raise ValueError(f"{name}: {message}")
        weights = settings.weight_by_kind()
        if settings.transmission is None:
            self.r0 = disease.r0 if settings.r0 is None else settings.r0
            self.transmission = calibrated(self.presence, disease, weights, self.r0)
        else:
            self.r0 = float("nan")
            self.transmission = settings.transmission
        self.direction: Literal["auto", "push", "pull"] = "auto"

        self._kind_rate = np.array([weights[kind] for kind in PlaceKind]) * (
            self.transmission * SHEDDING_UNIT / HAZARD_UNIT / SLOTS_PER_DAY
        )
        self._crowding = [crowding(city, number) for number in range(len(city.schedules))]
        self._shedding = disease.infectiousness.quantiles()
        self._latent = disease.latent_days()
        self._infectious_days = disease.infectious_days()
        self._keys = {
            purpose: key(model.seed_number, f"epidemic {purpose}")
            for purpose in ("threshold", "latent", "infectious", "shedding", "infector", "first case")
        }
        self._slot = np.full(len(city.places), -1, np.int32)
        self._pool: ThreadPoolExecutor | None = None

        self._table = model.citizens.table
        for name, column in columns().items():
            self._table.attach(name, column)
        self._table.columns["resistance"][: self.people] = kernels.draw_resistance(
            self._keys["threshold"], disease.susceptibility.by_age(), np.array(city.people.age), 0
        )

        self.cases = np.zeros(0, np.int32)
        self.infectious = np.zeros(0, np.int32)
        self.count = np.array([self.people, 0, 0, 0])
        self._days_done = 0
        # Infections in the order of their day; a day's first row is in _day_rows.
        self._log: dict[str, list[NDArray[np.int32]]] = {"person": [], "infector": [], "place": []}
        self._new_by_day: list[int] = []
        self._by_name = np.zeros(len(_NAMES), np.int64)
        self._step_started = (0, self._by_name)
        self._peak = {"peak_infectious": 0, "peak_day": 0, "peak_new_infections": 0, "duration": 0}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_pool": None}

    # ------------------------------------------------------------------ moving on

    def advance(self, start: float, end: float) -> None:  # noqa: ARG002
        """Make the days that begin before ``end`` and have not been made; a day is made whole at its beginning."""
        self._step_started = (self._days_done, self._by_name.copy())
        while self._days_done * SECONDS_PER_DAY < end:
            self._make_day(self._days_done)
            self._days_done += 1

    def _make_day(self, day: int) -> None:
        data = self._table.columns
        health, until = data["health"], data["health_until"]
        self.cases, self.infectious, began, ended = kernels.progress(
            day, self.cases, health, until, self._infectious_days, self._keys["infectious"]
        )
        self.count += (0, -began, began - ended, ended)
        first = self._first_cases() if day == 0 else np.zeros(0, np.int32)
        new, infector, place = self._contagion(day)
        none = np.full(len(first), -1, np.int32)
        new, infector, place = (np.concatenate(pair) for pair in ((first, new), (none, infector), (none, place)))
        kernels.expose(new, day, health, until, self._latent, self._keys["latent"])
        self.count += (-len(new), len(new), 0, 0)
        # Kept in the order of people, so that walks through their visits are walks through memory; merging is quick.
        self.cases = np.sort(np.concatenate([self.cases, new]), kind="stable")
        for name, rows in (("person", new), ("infector", infector), ("place", place)):
            self._log[name].append(rows)
        self._new_by_day.append(len(new))
        kinds = self.presence.city.places.kind[place[len(first) :]]
        self._by_name = self._by_name + np.bincount(_NAME_OF_KIND[kinds], minlength=len(_NAMES))
        peak = self._peak
        if self.count[INFECTIOUS] > peak["peak_infectious"]:
            peak["peak_infectious"], peak["peak_day"] = int(self.count[INFECTIOUS]), day
        peak["peak_new_infections"] = max(peak["peak_new_infections"], len(new))
        if len(self.cases):
            peak["duration"] = day + 1

    def _first_cases(self) -> NDArray[np.int32]:
        """Draw the people infected on day 0; of two scenarios with one seed the larger number contains the smaller."""
        chosen: dict[int, None] = {}
        attempt = 0
        while len(chosen) < self.settings.initial_infections:
            chosen[int(uniform(self._keys["first case"], attempt, 0) * self.people)] = None
            attempt += 1
        return np.sort(np.fromiter(chosen, np.int32, len(chosen)))

    def _contagion(self, day: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        """Return the people infected by others on a day, in rising order, by whom and where."""
        if not len(self.infectious):
            return (np.zeros(0, np.int32),) * 3
        visits = self.presence.visits(day)
        crowds = self._crowding[self.presence.day_type(day)]
        sources = kernels.activate(
            self.infectious, visits, self._slot, self._kind_rate, crowds, self._shedding, self._keys["shedding"]
        )
        new = self._struck(sources, visits)
        infector, place = kernels.find_infectors(new, day, sources, visits, self._keys["infector"])
        kernels.deactivate(sources)
        return new, infector, place

    def _struck(self, sources: Sources, visits: Visits) -> NDArray[np.int32]:
        """Take today's hazards off and return who is infected, in rising order."""
        data = self._table.columns
        health, resistance = data["health"], data["resistance"]
        threads = self.presence.threads
        pull_work = PULL_COST * len(visits.place) * self.count[SUSCEPTIBLE] / self.people / threads
        if self.direction == "push" or (self.direction == "auto" and sources.work <= pull_work):
            return np.sort(kernels.push(sources, visits, health, resistance))
        if threads == 1:
            return kernels.pull(sources, visits, health, resistance, 0, self.people)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(threads)
        edges = [self.people * part // threads for part in range(threads + 1)]
        parts = [
            self._pool.submit(kernels.pull, sources, visits, health, resistance, low, high)
            for low, high in pairwise(edges)
        ]
        return np.concatenate([part.result() for part in parts])

    # ------------------------------------------------------------------ figures

    @property
    def infections(self) -> int:
        """Number of infections so far."""
        return sum(self._new_by_day)

    def indicator_values(self) -> dict[str, float]:
        """Return incidence, prevalence and attack as they stand now."""
        return {
            "incidence": sum(self._new_by_day[-INCIDENCE_DAYS:]) * INCIDENCE_PEOPLE / self.people,
            "prevalence": float(self.count[INFECTIOUS] / self.people),
            "attack": self.infections / self.people,
        }

    def series(self) -> dict[str, int | float]:
        """Return the number of people by health at the end of the step, and the infections of the step by place.

        ``new_imported`` are the infections on day 0 that nobody in the city caused.
        """
        first_day, before = self._step_started
        new = sum(self._new_by_day[first_day:])
        by_name = self._by_name - before
        return {
            "susceptible": int(self.count[SUSCEPTIBLE]),
            "exposed": int(self.count[EXPOSED]),
            "infectious": int(self.count[INFECTIOUS]),
            "recovered": int(self.count[RECOVERED]),
            "new_infections": new,
            "cumulative_infections": self.infections,
            "new_imported": new - int(by_name.sum()),
            **{f"new_{name}": int(number) for name, number in zip(_NAMES, by_name, strict=True)},
        }

    def zone_series(self) -> dict[str, NDArray[Any]]:
        """Return the infections of the step and the infectious people by zone of residence, each (zones,)."""
        city = self.presence.city
        new = np.concatenate([np.zeros(0, np.int32), *self._log["person"][self._step_started[0] :]])

        def by_zone(people: NDArray[np.int32]) -> NDArray[Any]:
            return np.bincount(city.places.zone[city.people.household[people]], minlength=len(city.zones))

        return {"new_infections": by_zone(new), "infectious": by_zone(self.infectious)}

    def summary(self) -> dict[str, int | float]:
        """Return the figures of the run; days count from 0, and ``duration`` is the number of days with cases."""
        return {
            "r0": self.r0,
            "transmission": self.transmission,
            "infections": self.infections,
            "attack_rate": self.infections / self.people,
            **self._peak,
            **{f"infections_{name}": int(number) for name, number in zip(_NAMES, self._by_name, strict=True)},
        }

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return ``infections``: person, infector (−1 for imported), place and kind (−1 for imported), day, generation.

        Imported infections are generation 0, those they cause generation 1.
        """
        day = np.repeat(np.arange(len(self._new_by_day), dtype=np.int32), self._new_by_day)
        rows = {name: np.concatenate([np.zeros(0, np.int32), *parts]) for name, parts in self._log.items()}
        generation_of = np.zeros(self.people, np.int32)
        generations = []
        for person, infector in zip(self._log["person"], self._log["infector"], strict=True):
            generations.append(np.where(infector < 0, 0, generation_of[infector] + 1).astype(np.int32))
            generation_of[person] = generations[-1]
        kind = np.where(rows["place"] < 0, np.int8(-1), self.presence.city.places.kind[rows["place"]].astype(np.int8))
        generation = np.concatenate([np.zeros(0, np.int32), *generations])
        return {"infections": {**rows, "kind": kind, "day": day, "generation": generation}}
