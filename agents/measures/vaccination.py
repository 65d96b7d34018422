"""Vaccination: who gets a dose when, and how well it protects as time goes by."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from ...environment.places import Role
from ...environment.randomness import key, uniforms
from ..presence import CONFINED
from . import kernels
from .base import MAX_DAYS, Amount, Days, Measure, MeasureSettings, Share

_EFFECTS = ("infection", "severe", "transmission")

PRODUCTS: dict[str, dict[str, Any]] = {
    # BNT162b2 against the first strains of SARS-CoV-2. Infection: 36.8 % in the third week after the first dose
    # (Chemaitelly et al. 2021, NEJM 385:e83), 80–88 % after the second (Prunas et al. 2021, medRxiv 2021.07.13.21260393).
    # Severe disease: 67.7 % and 95.4 % of all (Chemaitelly et al., medRxiv 2021.08.25.21262584), which is
    # 1 − 0.323 / 0.632 = 0.49 and 1 − 0.046 / 0.16 = 0.71 of the infected. Transmission by the infected: 40–50 % (Harris et
    # al. 2021, NEJM 385:759) and 41–79 % (Prunas et al.). Interval 21 days (Haas et al. 2021, Lancet 397:1819), which count
    # from day 7 after the second dose; the first begins to work after 2 weeks (Chemaitelly et al.). Half-life: 77.5 % in
    # month 1 and 20 % in months 5 to 7, 165 days later (Chemaitelly et al.), is one half in 165 / log2(77.5 / 20) = 84 days;
    # protection against severe disease held for six months there.
    "mrna": {
        "doses": 2,
        "interval": 21,
        "infection": (0.368, 0.84),
        "severe": (0.49, 0.71),
        "transmission": (0.45, 0.60),
        "delay": (14, 7),
        "half_life": {"infection": 84.0, "transmission": 84.0},  # of transmission: assumed like infection
    },
    # Inactivated vaccine against seasonal influenza: 59 % in adults of 18–65 (Osterholm et al. 2012, Lancet Infect Dis
    # 12:36-44). Two weeks until effect, no effect in the infected and no waning within a season: assumed.
    "influenza": {"doses": 1, "infection": (0.59,), "delay": 14},
    # Measles vaccine: 93 % after one dose, 97 % after two, as US Centers for Disease Control give them. All or nothing, as
    # failures are people who did not respond (assumed); interval 28 days, two weeks until effect: assumed.
    "mmr": {"doses": 2, "interval": 28, "infection": (0.93, 0.97), "delay": 14, "kind": "all-or-nothing"},
}
"""Products by name, written as in a scenario file."""


class HalfLife(MeasureSettings):
    """Days in which protection falls to one half; without a number it stays."""

    infection: float | None = Field(default=None, gt=0)
    severe: float | None = Field(default=None, gt=0)
    transmission: float | None = Field(default=None, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return dict.fromkeys(_EFFECTS, value) if number else value


class Product(MeasureSettings):
    """A vaccine. Lists have a value for each dose, and one number stands for all doses if there is only one.

    Attributes:
        doses: doses of a full course, boosters included.
        interval: least days between doses, one number or doses − 1 of them.
        infection: efficacy against infection after each dose, 0 to 1.
        severe: efficacy against severe disease in those who are infected all the same. Trials report the efficacy V
            against severe disease of all; this is 1 − (1 − V) / (1 − infection).
        transmission: share by which those who are infected all the same infect less.
        kind: "leaky": everybody's risk of infection falls by the efficacy; "all-or-nothing": so large a share of the
            vaccinated is safe from infection, the others not at all. The two differ in the size of an epidemic.
        delay: days from a dose until it protects, one number or one a dose; until then the dose before protects on.
        half_life: days in which protection falls to one half, a number or a table by ``infection``, ``severe`` and
            ``transmission``; none by default.
    """

    doses: int = Field(default=1, ge=1, le=10)
    interval: tuple[Days, ...] = Field(default=(), strict=False)
    infection: tuple[Share, ...] = Field(default=(), strict=False)
    severe: tuple[Share, ...] = Field(default=(), strict=False)
    transmission: tuple[Share, ...] = Field(default=(), strict=False)
    kind: Literal["leaky", "all-or-nothing"] = "leaky"
    delay: tuple[Days, ...] = Field(default=(14,), strict=False)  # assumed
    half_life: HalfLife = HalfLife()

    @field_validator("interval", "delay", *_EFFECTS, mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int | float) else value

    @model_validator(mode="after")
    def _check_whole(self) -> "Product":
        if not self.model_fields_set & set(_EFFECTS):
            raise ValueError("the vaccine does nothing; give 'infection', 'severe' or 'transmission'")
        for name in _EFFECTS:
            given = getattr(self, name)
            if given and len(given) != self.doses:
                raise ValueError(f"{name}: {len(given)} values for {self.doses} doses; write one for each dose")
        for name, wanted in (("interval", self.doses - 1), ("delay", self.doses)):
            given = getattr(self, name)
            if len(given) != wanted and (len(given) != 1 or not wanted):
                raise ValueError(f"{name}: {len(given)} values; write {wanted} for {self.doses} doses, or one for all")
        return self

    def days(self, name: Literal["interval", "delay"], dose: int) -> int:
        """Return the delay of a dose, or the days that must lie before it; doses count from 1."""
        values: tuple[int, ...] = getattr(self, name)
        return values[0] if len(values) == 1 else values[dose - (2 if name == "interval" else 1)]

    def efficacy(self, days: int) -> NDArray[np.float32]:
        """Return the protection (3, doses + 1, days) against infection, severe disease and transmission by day."""
        out = np.zeros((len(_EFFECTS), self.doses + 1, days), np.float32)
        for row, name in enumerate(_EFFECTS):
            half_life = getattr(self.half_life, name)
            left = np.ones(days) if half_life is None else 0.5 ** (np.arange(days) / half_life)
            out[row, 1:] = np.outer(getattr(self, name) or np.zeros(self.doses), left)
        return out


class PriorityGroup(MeasureSettings):
    """People who come before others: those of these ages and roles.

    Attributes:
        ages: lowest and highest age, both belong to the group.
        roles: what people do on a working day, names of :class:`~citytwin.environment.places.Role` in small letters.
    """

    ages: tuple[int, int] | None = Field(default=None, strict=False)
    roles: tuple[str, ...] | None = Field(default=None, strict=False)

    @field_validator("ages", mode="after")
    @classmethod
    def _check_ages(cls, ages: tuple[int, int] | None) -> tuple[int, int] | None:
        if ages is not None and not 0 <= ages[0] <= ages[1]:
            raise ValueError(f"{list(ages)}: write the lowest and the highest age, as in [65, 120]")
        return ages

    @field_validator("roles", mode="after")
    @classmethod
    def _check_roles(cls, roles: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in roles or ():
            if name not in _ROLES:
                raise ValueError(f"'{name}' is no role; allowed are: {', '.join(_ROLES)}")
        return roles

    @model_validator(mode="after")
    def _check_whole(self) -> "PriorityGroup":
        if self.ages is None and not self.roles:
            raise ValueError("the group is empty; give 'ages', 'roles' or both")
        return self

    def members(self, age: NDArray[np.uint8], role: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return who belongs to the group (people,)."""
        inside = np.ones(len(age), bool)
        if self.ages is not None:
            inside &= (age >= self.ages[0]) & (age <= self.ages[1])
        if self.roles:
            inside &= np.isin(role, [_ROLES[name] for name in self.roles])
        return inside


_ROLES = {role.name.lower(): int(role) for role in Role}


class VaccinationSettings(MeasureSettings):
    """The table ``vaccinate`` of a policy.

    Attributes:
        product: one of :data:`PRODUCTS`, or a :class:`Product` as a table.
        per_day: doses a day at most; what is not used one day is not kept for the next.
        uptake: share of the people who want the vaccine, drawn once a person, the same in every policy.
        priority: groups in the order in which they are served; everybody else comes after them. Within a group a lot
            decides. Who waits for a further dose comes before people without one.
    """

    product: Product
    per_day: Amount
    uptake: Share = 1.0
    priority: tuple[PriorityGroup, ...] = Field(default=(), strict=False)

    @field_validator("product", mode="before")
    @classmethod
    def _load(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value not in PRODUCTS:
                raise ValueError(f"'{value}' is no known vaccine; allowed are: {', '.join(PRODUCTS)}, or a table")
            return PRODUCTS[value]
        return value


class Vaccination(Measure):
    """Doses by supply, priority and uptake. People who are ill, isolated, in quarantine or in hospital wait."""

    Settings = VaccinationSettings

    def __init__(self, model: Any, policy: Any, settings: VaccinationSettings):
        super().__init__(model, policy, settings)
        self.attach("doses", "dose_on", *(f"vaccine_{name}" for name in _EFFECTS))
        seed, everybody = model.seed_number, np.arange(self.people)
        self._takes = key(seed, "vaccine takes")
        uptake = settings.uptake
        self._willing = uniforms(key(seed, "vaccination uptake"), everybody, 0) < uptake
        people = model.city.people
        age, role = np.asarray(people.age), np.asarray(people.role)
        rank = np.full(self.people, len(settings.priority))
        for number, group in reversed(list(enumerate(settings.priority))):
            rank[group.members(age, role)] = number
        lot = uniforms(key(seed, "vaccination order"), everybody, 0)
        self._queue = np.lexsort((lot, rank)).astype(np.int32)
        self._head = 0
        doses = settings.product.doses
        nobody = np.zeros(0, np.int64)
        # By doses had: who waits for the next one, in the order of the last one; and by day whom it begins to protect.
        self._waiting: list[NDArray[np.int64]] = [nobody] * (doses + 1)
        self._begins: dict[int, list[tuple[int, NDArray[np.int64]]]] = {}
        self._level = np.zeros(self.people, np.uint8)
        self._since = np.zeros(self.people, np.int32)
        wanes = any(value is not None for value in settings.product.half_life.model_dump().values())
        self._wanes = wanes
        self._efficacy = settings.product.efficacy(MAX_DAYS if wanes else 1)
        self._days_acted = 0
        self._given = (-1, 0)

    def everyday(self) -> None:
        """Let doses take effect that do so today, and let protection wane."""
        self._protect()

    def act(self, followers: NDArray[np.bool_]) -> None:
        """Give the doses of today."""
        day, product = self.model.day, self.settings.product
        supply = self.settings.per_day.on(self._days_acted, self.people)
        self._days_acted += 1
        if not supply:
            return
        able = (
            followers
            & (self.column("health") != kernels.DEAD)
            & (self.column("ill_since") < 0)
            & (self.model.presence.status <= CONFINED)
        )
        doses, dose_on = self.column("doses"), self.column("dose_on")
        given: list[tuple[int, NDArray[np.int64]]] = []
        for had in range(product.doses - 1, 0, -1):
            waiting = self._waiting[had]
            due = np.searchsorted(dose_on[waiting], day - product.days("interval", had + 1), side="right")
            positions = np.flatnonzero(able[waiting[:due]])[:supply]
            given.append((had + 1, waiting[positions]))
            self._waiting[had] = np.delete(waiting, positions)
            supply -= len(positions)
        first, self._head = kernels.next_in_line(self._queue, self._head, self._willing, doses, able, supply)
        given.append((1, first))
        for dose, rows in given:
            doses[rows], dose_on[rows] = dose, day
            self._waiting[dose] = np.concatenate([self._waiting[dose], rows])
            self._begins.setdefault(day + product.days("delay", dose), []).append((dose, rows))
        self._given = (day, sum(len(rows) for _, rows in given))
        if day in self._begins:
            self._protect()

    def series(self) -> dict[str, int]:
        """Return the doses given today."""
        day, doses = self._given
        return {"doses": doses if day == self.model.day else 0}

    def _protect(self) -> None:
        """Write today's protection of everybody in whom it changes."""
        day = self.model.day
        begins = self._begins.pop(day, [])
        for dose, everybody in begins:
            rows = everybody[self._level[everybody] < dose]  # a later dose may have been quicker
            self._level[rows], self._since[rows] = dose, day
        if begins or (self._wanes and self._level.any()):
            kernels.protect(
                day,
                self._level,
                self._since,
                self._efficacy,
                self.settings.product.kind == "all-or-nothing",
                self._takes,
                *(self.column(f"vaccine_{name}") for name in _EFFECTS),
            )
