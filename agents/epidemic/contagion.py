"""Contagion: who is infected on a day, by whom and where, from the visits of the day."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import pairwise
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...environment.randomness import key
from ...environment.schedules import SLOTS_PER_DAY
from ..presence import Presence, Visits
from . import kernels, sources
from .course import Course
from .kernels import HAZARD_UNIT
from .progress import Health
from .rates import place_rates
from .settings import EpidemicSettings
from .sources import SHEDDING_UNIT, Sources
from .strains import strains_of

PULL_COST = 0.6
"""Time of a visit walked in the order of people, relative to one walked in the order of places."""
LEAST_SHARED = 1000
"""People or places that are worth sharing out among threads."""

Infections = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]
"""Person, infector, place and strain of each infection, each (n,)."""

_NOBODY: NDArray[np.int32] = np.zeros(0, np.int32)


class Exposed(NamedTuple):
    """The people who are exposed on a day.

    Attributes:
        health: how everybody is.
        at_risk: number of people who can be infected.
        susceptibility: by strain (people,) factor on the hazard.
        resistance: (people,) hazard still to come until infection; changed in place.
        spared: (people,) protection that the vaccine gives to those whom somebody meets, or (0,).
    """

    health: Health
    at_risk: int
    susceptibility: Sequence[NDArray[np.float32]]
    resistance: NDArray[np.int64]
    spared: NDArray[np.float32]


class Contagion:
    """The spread of a disease where infectious people are.

    Args:
        presence: who is where.
        settings: the section ``[epidemic]``.
        course: the disease.
        transmission: rate per day of overlap at home between an average infectious and a fully susceptible person.
        at_risk: highest state of health in which people can be infected.
        seed: of the run.

    Attributes:
        direction: how contagion walks through the visits, by active place ("push"), by susceptible person ("pull") or
            by whichever is less work; the results are the same to the bit.
        scale: infectiousness, which is relative, that counts as 1.
        slots: by strain (places,) number of the active place during a day, −1 elsewhere and at other times.
    """

    not_saved: ClassVar[tuple[str, ...]] = ("_pool",)

    def __init__(
        self,
        presence: Presence,
        settings: EpidemicSettings,
        course: Course,
        *,
        transmission: float,
        at_risk: int,
        seed: int,
    ):
        city, disease, strains = presence.city, settings.disease, settings.strains
        self.presence, self.transmission = presence, transmission
        self.direction: Literal["auto", "push", "pull"] = "auto"
        self._course, self._at_risk, self._seasonality = course, at_risk, settings.seasonality
        weights = settings.weight_by_kind()
        self._rates = [place_rates(city, number, weights, disease.routes) for number in range(len(city.schedules))]
        self._shedding = disease.infectiousness.quantiles()
        self._transmissibility = np.array([strain.transmissibility for strain in strains])
        # Whole units of infectiousness are counted, so its peak is brought near to 1.
        peak = course.shed.max() * course.since_infection.max() * max(self._transmissibility.max(), 1e-9)
        self.scale = 2.0 ** np.floor(np.log2(peak))
        self._shedding_key, self._strain_key = key(seed, "epidemic shedding"), key(seed, "epidemic strain")
        self._infector_keys = [key(seed, f"epidemic infector {n}") for n in range(len(strains))]
        self.slots = [np.full(len(city.places), -1, np.int32) for _ in strains]
        self._pool: ThreadPoolExecutor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_pool": None}

    def infect(self, day: int, today: date, infectious: NDArray[np.int32], exposed: Exposed) -> Infections:
        """Find who is infected by others on a day.

        Args:
            day: the day of the clock.
            today: its date.
            infectious: (n,) people who are infectious, in rising order.
            exposed: the people; what they withstand today is taken off their resistance.

        Returns:
            The people infected, in rising order, by whom, where and with which strain.
        """
        if not len(infectious):
            return (_NOBODY,) * 4
        health = exposed.health
        visits = self.presence.visits(day)
        contact, air = self._rates[self.presence.day_type(day)]
        unit = self.transmission * self.scale * SHEDDING_UNIT / HAZARD_UNIT / SLOTS_PER_DAY
        if self._seasonality is not None:
            unit *= self._seasonality.factor(today)
        by_strain: dict[int, Sources] = {}
        struck = []
        for strain, slot in enumerate(self.slots):
            people = infectious
            if len(self.slots) > 1:
                people = people[health.strain[people] == strain]
            if not len(people):
                continue
            strength = self._strengths(people, day, exposed)
            by_strain[strain] = sources.activate(people, strength, visits, slot, contact, air, unit, self.in_parts)
            struck.append(self._struck(by_strain[strain], visits, strain, exposed))
        new = struck[0] if len(struck) == 1 else np.sort(np.concatenate(struck))
        found = {strain: self._infectors(new, day, strain, here, visits, exposed) for strain, here in by_strain.items()}
        for here in by_strain.values():
            sources.deactivate(here)
        if len(found) == 1:
            [(strain, (infector, place, _))] = found.items()
            return new, infector, place, np.full(len(new), strain, np.int32)
        return new, *strains_of(new, day, found, self._strain_key)

    def _strengths(self, people: NDArray[np.int32], day: int, exposed: Exposed) -> NDArray[np.float64]:
        course = self._course

        def part(low: int, high: int) -> Any:
            return sources.strengths(
                people,
                low,
                high,
                day,
                exposed.health,
                course.shed,
                course.since_infection,
                self._shedding,
                self._transmissibility / self.scale,
                exposed.spared,
                self._shedding_key,
            )

        return np.concatenate(self.in_parts(part, len(people)))

    def _struck(self, here: Sources, visits: Visits, strain: int, exposed: Exposed) -> NDArray[np.int32]:
        """Take today's hazards off and return who is infected, in rising order."""
        people = len(exposed.health.state)
        pull_work = PULL_COST * len(visits.place) * exposed.at_risk / people
        pushes = self.direction == "push" or (self.direction == "auto" and here.work <= pull_work)
        kernel = kernels.push if pushes else kernels.pull

        def part(low: int, high: int) -> Any:
            return kernel(
                here,
                visits,
                exposed.health.state,
                self._at_risk,
                exposed.susceptibility[strain],
                exposed.resistance,
                low,
                high,
            )

        struck = np.concatenate(self.in_parts(part, people))
        return np.sort(struck) if pushes else struck

    def _infectors(
        self, new: NDArray[np.int32], day: int, strain: int, here: Sources, visits: Visits, exposed: Exposed
    ) -> tuple[NDArray[Any], ...]:
        susceptibility, purpose = exposed.susceptibility[strain], self._infector_keys[strain]

        def part(low: int, high: int) -> Any:
            return kernels.find_infectors(new, low, high, day, here, visits, susceptibility, purpose)

        return tuple(np.concatenate(column) for column in zip(*self.in_parts(part, len(new)), strict=True))

    def in_parts(self, work: Callable[[int, int], Any], size: int) -> list[Any]:
        """Return the results of ``work(low, high)`` over as many ranges as there are threads, in their order."""
        threads = self.presence.threads if size >= LEAST_SHARED else 1
        if threads == 1:
            return [work(0, size)]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(threads)
        edges = [size * part // threads for part in range(threads + 1)]
        parts = [self._pool.submit(work, low, high) for low, high in pairwise(edges)]
        return [part.result() for part in parts]
