"""Epidemic: days of a disease in a city: its course in everybody who has it, first and imported cases, contagion."""

from collections.abc import Callable
from datetime import date
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...environment import quantiles
from ...environment.randomness import key, uniform, uniforms
from ..emergencies import Emergencies, Emergency
from ..presence import AWAY, BEDRIDDEN, Presence
from ..process import Process
from . import progress
from .contagion import Contagion, Exposed
from .course import DEAD, ENTERED, RECOVERED, SUSCEPTIBLE, infectiousness_by_day
from .progress import Health
from .rates import quanta_per_hour
from .record import Record
from .settings import EpidemicSettings, Imports
from .standing import INDICATORS, Standing
from .strains import best_of
from .transmission import calibrated

SECONDS_PER_DAY = 86_400
AGE_GROUPS = 9
"""Groups of ten years, the last one 80 and over."""
CALL_SEVERITY = (0.0, 0.8, 1.0)
"""How severe the emergency is of who needs no bed, one of a ward, or one of intensive care (assumed)."""

_NOBODY: NDArray[np.int32] = np.zeros(0, np.int32)


class Epidemic(Process):
    """An epidemic among the people of a city.

    Args:
        model: the model; ``presence``, ``seed_number``, ``citizens`` and ``date`` are used, and if there are any
            ``hospitals`` (their beds) and ``authority`` (its ``border``). Citizens get :func:`.progress.columns`.
        settings: the section ``[epidemic]``.

    Attributes:
        r0: secondary cases of a typical early case that was asked for, not a number where a transmission was.
        transmission: rate per day of overlap at home between an average infectious and a fully susceptible person.
        cases: int32 (n,) the people who have the disease now, in rising order.
        infectious: int32 (n,) those of them who are infectious.
        count: int64 (states,) number of people by state, in the order of the disease's ``state_names``.
        record: what has happened so far.
        contagion: who infects whom.

    Raises:
        ValueError: if more people are to be infected than there are.
        TransmissionError: if no rate of transmission gives the wanted R0.
    """

    section: ClassVar[str] = "epidemic"
    Settings: ClassVar[type[EpidemicSettings]] = EpidemicSettings
    indicators: ClassVar[dict[str, str]] = INDICATORS
    file_keys: ClassVar[tuple[str, ...]] = ("disease",)
    table_names: ClassVar[tuple[str, ...]] = ("infections", "reproduction", "secondary_cases")

    @classmethod
    def misfits(cls, settings: EpidemicSettings, people: int) -> dict[str, str]:
        """Return what is wrong if nobody can be infected, or more people are to be at the start than there are."""
        if not people:
            return {"disease": "nobody lives in this city; an epidemic needs one with residents"}
        given = sum(settings.first_infections())
        if given <= people:
            return {}
        return {"initial_infections": f"more than the city has people (given {given:,}, people {people:,})"}

    @classmethod
    def clock_misfits(
        cls, settings: EpidemicSettings, days: int, day: Callable[[date], int]
    ) -> dict[tuple[str | int, ...], str]:
        """Return what is wrong with the days and dates of imported infections."""
        found: dict[tuple[str | int, ...], str] = {}
        for number, entry in enumerate(settings.imports):
            start, end = (day(at) if isinstance(at, date) else at for at in (entry.from_, entry.until))
            assert start is not None
            if not 0 <= start < days:
                found["imports", number, "from"] = f"outside the clock of {days} days (given {entry.from_})"
            elif end is not None and end <= start:
                found["imports", number, "until"] = f"must be after 'from', {entry.from_} (given {entry.until})"
        return found

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

        self._course = disease.course()
        self._age = np.array(city.people.age)
        self._base = disease.susceptibility.by_age()
        strains = settings.strains
        self._severity = np.array([strain.severity for strain in strains])
        cross = settings.cross_immunity()
        self._held = np.array([best_of(by_strain) for by_strain in cross.T])
        immunity = disease.immunity
        self._half_life = np.inf if immunity.half_life is None else immunity.half_life
        lasting = immunity.protection == 1 and np.isinf(self._half_life) and bool((cross == 1).all())
        self._at_risk = SUSCEPTIBLE if lasting else RECOVERED
        purposes = ("threshold", "exit", "days", "first case", "immune at start", "import", "imported", "call")
        self._keys = {purpose: key(model.seed_number, f"epidemic {purpose}") for purpose in purposes}
        self.contagion = Contagion(
            self.presence,
            settings,
            self._course,
            transmission=self.transmission,
            at_risk=self._at_risk,
            seed=model.seed_number,
        )

        self._table = model.citizens.table
        for name, column in progress.columns().items():
            self._table.attach(name, column)
        self._other_strains = np.ones((len(strains) - 1, self.people), np.float32)
        health = self._health()
        everybody = np.arange(self.people, dtype=np.int32)
        self.count = np.zeros(len(disease.state_names), np.int64)
        self._immune = self._immunise(health)
        self.count[:2] = np.bincount(health.state, minlength=2)[:2]
        if sum(settings.first_infections()) > self.count[SUSCEPTIBLE]:
            left = int(self.count[SUSCEPTIBLE])
            raise ValueError(
                f"initial_infections: only {left:,} people are not immune at the start; give fewer of either"
            )
        progress.draw_resistance(
            self._keys["threshold"], everybody, health.infections, self._table.columns["resistance"]
        )
        self._set_susceptibility(0)

        self.cases = self.infectious = self._without_bed = _NOBODY
        self._woken = -1
        self.record = Record(city)
        self._step_started = 0

    def after_branch(self) -> None:
        """Draw anew how much it takes to infect those who can be, under the seed of the run.

        What they have withstood so far does not matter: the law of the resistance has no memory.
        """
        health = self._health()
        at_risk = np.flatnonzero(health.state <= self._at_risk).astype(np.int32)
        progress.draw_resistance(self._keys["threshold"], at_risk, health.infections, self._table.columns["resistance"])

    # ------------------------------------------------------------------ people

    def _health(self) -> Health:
        data = self._table.columns
        named = {"state": "health", "next": "next_health", "since": "health_since", "until": "health_until"}
        return Health(**{name: data[named.get(name, name)][: self.people] for name in Health._fields})

    def _column(self, name: str) -> NDArray[Any]:
        """Return a column of citizens that another part of the model may have attached, empty if none has."""
        if name in self._table.columns:
            return self._table.columns[name][: self.people]
        return np.zeros(0, np.uint8 if name == "bed" else np.float32)

    def _susceptibility(self, strain: int) -> NDArray[np.float32]:
        if strain == 0:
            return self._table.columns["susceptibility"][: self.people]  # type: ignore[no-any-return]
        return self._other_strains[strain - 1]

    def _exposed(self, health: Health) -> Exposed:
        return Exposed(
            health,
            int(self.count[: self._at_risk + 1].sum()),
            [self._susceptibility(strain) for strain in range(len(self.settings.strains))],
            self._table.columns["resistance"],
            self._column("vaccine_transmission"),
        )

    def _set_susceptibility(self, day: int) -> None:
        immunity = self.settings.disease.immunity
        for number, strain in enumerate(self.settings.strains):
            progress.protect(
                day,
                self._health(),
                self._base,
                self._age,
                immunity.protection * self._held[number],
                self._half_life,
                self._column("vaccine_infection"),
                strain.escape,
                self._susceptibility(number),
            )

    def _immunise(self, health: Health) -> NDArray[np.bool_] | None:
        """Draw who is immune at the start (people,), by person or by household; a larger share contains a smaller."""
        immune = self.settings.immune_at_start
        if immune is None:
            return None
        household = self.presence.city.people.household
        who = np.asarray(household) if immune.by_household else np.arange(self.people)
        drawn = uniforms(self._keys["immune at start"], who, 0) < immune.by_age()[self._age]
        health.state[drawn] = RECOVERED
        health.since[drawn] = 0
        health.strains_had[drawn] = 1
        return drawn

    # ------------------------------------------------------------------ overnight

    def wake(self, start: float) -> None:
        """Make the transitions due on the day under way at ``start``: who falls ill, needs a bed, recovers, dies."""
        self._wake(int(start // SECONDS_PER_DAY))

    def _wake(self, day: int) -> None:
        if day <= self._woken:
            return
        self._woken = day
        dead = int(self.count[DEAD])
        health, due = self._health(), self.cases
        while len(due):
            due, left = progress.move(due, day, health, self._course, self.count)
            if len(due):
                self._start_spells(due, health)
            if self._course.care.any():
                self._care(due, left, health)
            if self.count[DEAD] > dead:
                self.presence.put(due[health.state[due] == DEAD], AWAY)
            self._settle(due, day, health)
        self.record.deaths.append(int(self.count[DEAD]) - dead)
        self.cases, self.infectious = progress.gather(self.cases, health.state, health.infectious)

    def _start_spells(self, moved: NDArray[np.int32], health: Health) -> None:
        """Draw new thresholds for those who recovered and may be infected again."""
        if self._at_risk == RECOVERED:
            recovered = moved[health.state[moved] == RECOVERED]
            progress.draw_resistance(
                self._keys["threshold"], recovered, health.infections, self._table.columns["resistance"]
            )

    def _care(self, moved: NDArray[np.int32], left: NDArray[np.uint8], health: Health) -> None:
        """Take people in and out of hospital; who finds no bed stays at home and asks again the next day."""
        hospitals, care = getattr(self.model, "hospitals", None), self._course.care
        now = health.state[moved]
        emergencies = getattr(self.model, "emergencies", None)
        if emergencies is not None and emergencies.wanted:
            self._call(emergencies, moved[(care[left] == 0) & (care[now] > 0)], health)
        leaving = moved[(care[left] > 0) & (care[now] == 0)]
        if hospitals is not None:
            hospitals.discharge(leaving)
        for status in (AWAY, BEDRIDDEN):
            self.presence.release(leaving, status)
        asking = moved[care[now] > 0]
        if hospitals is None:
            self.presence.put(asking, AWAY)
            return
        again = self._without_bed
        again = again[(health.state[again] >= ENTERED) & (care[health.state[again]] > 0) & ~np.isin(again, moved)]
        asking = np.concatenate([again, asking])
        if len(asking):
            wanted = care[health.state[asking]]
            hospitals.admit(asking, wanted)
            bed = self._column("bed")[asking]
            self.presence.put(asking[bed > 0], AWAY)
            self.presence.put(asking[bed == 0], BEDRIDDEN)
            asking = asking[bed != wanted]
        self._without_bed = asking

    def _call(self, emergencies: Emergencies, people: NDArray[np.int32], health: Health) -> None:
        """Post the people who need a hospital from today on, each at a moment of the day."""
        day = self._woken
        moments = uniforms(self._keys["call"], people, day)
        levels = self._course.care[health.state[people]]
        for person, moment, level in zip(people.tolist(), moments.tolist(), levels.tolist(), strict=True):
            second = (day + moment) * SECONDS_PER_DAY
            emergencies.post(Emergency(second, "illness", "epidemic", person, severity=CALL_SEVERITY[level]))

    def _settle(self, people: NDArray[np.int32], day: int, health: Health) -> None:
        progress.settle(
            people,
            day,
            health,
            self._age,
            self._course,
            self._severity,
            self._column("vaccine_severe"),
            self.settings.disease.immunity.severe,
            self._column("bed"),
            self._keys["exit"],
            self._keys["days"],
        )

    # ------------------------------------------------------------------ moving on

    def advance(self, start: float, end: float) -> None:  # noqa: ARG002
        """Make the days that begin before ``end`` and have not been made; a day is made whole at its beginning."""
        self._step_started = len(self.record.infections)
        while (day := len(self.record.infections)) * SECONDS_PER_DAY < end:
            self._wake(day)
            self._make_day(day)

    def _make_day(self, day: int) -> None:
        health = self._health()
        if self._at_risk == RECOVERED or "vaccine_infection" in self._table.columns:
            self._set_susceptibility(day)
        infections = []
        for strain in range(len(self.settings.strains)):
            people = self._first_cases(strain) if day == 0 else _NOBODY
            progress.infect(people, day, strain, health, self._course, self.count)
            imported = self._imported(strain, day)
            progress.infect(imported, day, strain, health, self._course, self.count)
            people = np.concatenate([people, imported])
            nowhere = np.full(len(people), -1, np.int32)
            infections.append((people, nowhere, nowhere, np.full(len(people), strain, np.int32)))
        new, infector, place, strain_of = self.contagion.infect(
            day, self.model.date, self.infectious, self._exposed(health)
        )
        for strain in range(len(self.settings.strains)):
            progress.infect(new[strain_of == strain], day, strain, health, self._course, self.count)
        infections.append((new, infector, place, strain_of))
        rows = [np.concatenate(column) for column in zip(*infections, strict=True)]
        everybody = rows[0]
        self.record.add(*rows, infectious=len(self.infectious))
        self._settle(everybody, day, health)
        # Kept in the order of people, so that walks through their visits are walks through memory; merging is quick.
        self.cases = np.sort(np.concatenate([self.cases, everybody]), kind="stable")
        if len(self.cases):
            self.record.lasts()

    def _first_cases(self, strain: int) -> NDArray[np.int32]:
        """Draw the people infected on day 0; of two scenarios with one seed the larger number contains the smaller."""
        state = self._health().state
        wanted = self.settings.first_infections()[strain]
        chosen = _NOBODY
        attempts = 0
        while len(chosen) < wanted:
            more = np.arange(attempts, attempts + 2 * wanted)
            attempts += len(more)
            drawn = (uniforms(self._keys["first case"], more, strain) * self.people).astype(np.int32)
            chosen = np.concatenate([chosen, drawn[state[drawn] == SUSCEPTIBLE]])
            chosen = chosen[np.sort(np.unique(chosen, return_index=True)[1])]  # each once, in the order of the draws
        return np.sort(chosen[:wanted])

    def _imported(self, strain: int, day: int) -> NDArray[np.int32]:
        """Draw who brings an infection home today; those who are immune do not."""
        strains, entries = self.settings.strains, self.settings.imports
        state, susceptibility = self._health().state, self._susceptibility(strain)
        found: dict[int, None] = {}
        for number, entry in enumerate(entries):
            if (entry.strain or strains[0].name) != strains[strain].name or not self._open(entry, day):
                continue
            mean = entry.per_day * (1.0 - getattr(self.model.authority, "border", 0.0))
            purpose, when = self._keys["imported"], day * len(entries) + number
            for n in range(quantiles.poisson(mean, uniform(self._keys["import"], day, number))):
                person = int(uniform(purpose, when, 2 * n) * self.people)
                immune = 1 - susceptibility[person] / max(self._base[self._age[person]], 1e-9)
                if state[person] <= self._at_risk and uniform(purpose, when, 2 * n + 1) >= immune:
                    found[person] = None
        return np.sort(np.fromiter(found, np.int32, len(found)))

    def _open(self, entry: Imports, day: int) -> bool:
        def reached(moment: int | date) -> bool:
            return bool(day >= moment) if isinstance(moment, int) else bool(self.model.date >= moment)

        return reached(entry.from_) and not (entry.until is not None and reached(entry.until))

    # ------------------------------------------------------------------ figures

    @property
    def infections(self) -> int:
        """Number of infections so far."""
        return self.record.total

    def indicator_values(self) -> dict[str, float]:
        """Return the indicators as they stand now."""
        return self._standing().indicators()

    def series(self) -> dict[str, int | float]:
        """Return the figures of the step, see :meth:`.Standing.series`."""
        return self._standing().series()

    def zone_series(self) -> dict[str, NDArray[Any]]:
        """Return figures of the step by zone of residence, each (zones,)."""
        city = self.presence.city
        return self._standing().grouped(city.places.zone[city.people.household], len(city.zones))

    def age_series(self) -> dict[str, NDArray[Any]]:
        """Return figures of the step by age group of ten years, each (9,)."""
        return self._standing().grouped(np.minimum(self._age // 10, AGE_GROUPS - 1), AGE_GROUPS)

    def _standing(self) -> Standing:
        return Standing(
            self._course,
            self._health(),
            self.count,
            self.cases,
            self.infectious,
            self.record,
            self._step_started,
            [strain.name for strain in self.settings.strains],
        )

    def summary(self) -> dict[str, int | float]:
        """Return the figures of the run, see :meth:`Record.summary`."""
        return {
            "r0": self.r0,
            "transmission": self.transmission,
            **self._quanta(),
            "infections": self.infections,
            "attack_rate": self.infections / self.people,
            **({"deaths": int(self.count[DEAD])} if self._standing().deadly else {}),
            **self.record.summary(self._complete(), self._immune),
        }

    def _complete(self) -> int:
        """Return the day from which on infections have not yet caused 99 % of their cases."""
        by_day = np.cumsum(infectiousness_by_day(self._course, self._age))
        lasting = int(np.searchsorted(by_day, 0.99 * by_day[-1])) + 1
        return max(len(self.record.infections) - lasting, 0)

    def _quanta(self) -> dict[str, float]:
        """Return the quanta that an average infectious person sheds an hour, where the disease spreads by air."""
        routes = self.settings.disease.routes
        return {"quanta_per_hour": quanta_per_hour(self.transmission, routes)} if routes.air > 0 else {}

    def tables(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return ``infections``, ``reproduction`` and ``secondary_cases``, see :class:`Record`."""
        return {
            "infections": self.record.table(),
            "reproduction": self.record.reproduction(),
            "secondary_cases": self.record.secondary_cases(),
        }
