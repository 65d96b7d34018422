"""Kinds of incidents: how often they happen and to whom, which services they ask for, and how long these are busy.

Those of ``kinds.toml`` are shipped, with their sources. What a scenario says of one takes the place of what stands there,
key by key, and for ``units`` service by service; a new name makes a new kind::

    [response.kinds."cardiac arrest"]
    rate = 1.1
    units.ambulance.number = 3

    [response.kinds.drowning]
    rate = 0.02
    units = { ambulance = 1, fire = 2 }
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, TypeAdapter, field_validator, model_validator

from ...environment import toml
from ..parts import Bands, Number, Part, Share, Whole
from ..responders import Service
from .laws import AnyLaw, Constant, Exponential, Law
from .tasks import SPECIALTIES

MOST_KINDS = 200
LAST_PRIORITY = 7
ServiceName = Literal["ambulance", "fire", "police"]
SERVICES: dict[ServiceName, Service] = {
    "ambulance": Service.AMBULANCE,
    "fire": Service.FIRE,
    "police": Service.POLICE,
}
_SHARES = Field(min_length=1, max_length=LAST_PRIORITY + 1)
_Factor = Annotated[Number, Field(ge=0, le=1000)]
_TWENTY_MINUTES = Constant.model_validate({"time": "20 min"})
"""At the scene, for kinds of one's own that do not say (assumed)."""
_NO_TIME = Constant.model_validate({"time": "0 s"})


class ServiceSettings(Part):
    """What holds for all kinds of incidents that say nothing else.

    Attributes:
        turnout: from being sent to leaving the station.
        clear: from the end of the work until the unit is free again.
    """

    turnout: AnyLaw
    clear: AnyLaw


class Rhythm(Part):
    """How often something happens by the time of day and the weekday, in proportion.

    Attributes:
        hours: for each hour from 0 to 23 o'clock.
        weekdays: from Monday to Sunday.
    """

    hours: Annotated[tuple[_Factor, ...], Field(min_length=24, max_length=24)] = (1.0,) * 24
    weekdays: Annotated[tuple[_Factor, ...], Field(min_length=7, max_length=7)] = (1.0,) * 7

    @field_validator("hours", "weekdays")
    @classmethod
    def _check_some(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not any(value):
            raise ValueError("all are 0; raise one, or set rate = 0")
        return value


class Rate(Bands):
    """Calls per 1,000 people present and year, by age; in a file a number may stand for the table.

    Attributes:
        from_age: first age of each band, rising from 0.
        value: rate of each band.
    """

    value: tuple[Annotated[Number, Field(ge=0, le=1e5)], ...]

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return {"value": (value,)} if isinstance(value, int | float) and not isinstance(value, bool) else value

    def by_age(self) -> NDArray[np.float64]:
        """Return the rate (256,) at each age in years."""
        return self._spread(self.value)


class UnitSettings(Part):
    """What a kind of incident asks of one service; in a file a number may stand for the table.

    Attributes:
        number: units asked.
        scene: time at the scene.
        turnout, clear: as in :class:`ServiceSettings`, where they differ for this kind.
        after: service whose work must be done before that of this one begins, as for people under rubble.
        skills: what each of these crews must be able to do, see ``skills`` of a fleet.
    """

    number: Annotated[Whole, Field(ge=1, le=50)] = 1
    scene: AnyLaw = _TWENTY_MINUTES
    turnout: AnyLaw | None = None
    clear: AnyLaw | None = None
    after: ServiceName | None = None
    skills: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=50)], ...], Field(max_length=8)] = ()


class CasualtySettings(Part):
    """How many are hurt in one incident, and the triage class of each; see :class:`~.triage.Triage`.

    Attributes:
        mean: casualties on average.
        law: whether their number is always the (rounded) mean, a Poisson draw, or a geometric one, as that of buildings
            of which a few hold many.
        green, yellow, red, black: shares of the classes, together 1.
        green_per_unit, yellow_per_unit, red_per_unit: patients of a class that one ambulance takes (assumed: two who are
            slightly hurt, else one). For the dead none is sent.
    """

    mean: Annotated[Number, Field(gt=0, le=1000)]
    law: Literal["constant", "poisson", "geometric"] = "poisson"
    green: Share = 0.0
    yellow: Share = 0.0
    red: Share = 0.0
    black: Share = 0.0
    green_per_unit: Annotated[Whole, Field(ge=1, le=50)] = 2
    yellow_per_unit: Annotated[Whole, Field(ge=1, le=50)] = 1
    red_per_unit: Annotated[Whole, Field(ge=1, le=50)] = 1

    @model_validator(mode="after")
    def _check_shares(self) -> "CasualtySettings":
        total = self.green + self.yellow + self.red + self.black
        if abs(total - 1) > 1e-9:
            raise ValueError(f"green, yellow, red and black must add up to 1, they make {total:g}")
        return self


class KindSettings(Part):
    """A kind of incident.

    Attributes:
        rate: calls per 1,000 people present and year, a number or by age; 0 for what only happens where another process
            or a file says so.
        rhythm: name of a shipped :class:`Rhythm`: "medical", "traffic", "fire" or "evening".
        hours, weekdays: factors on the rate, of one's own, in proportion.
        zones: factors on the rate by zone of the city; 1 for others.
        at: whether the scene is the "place" where the person is, or the "street" nearest to it.
        units: services asked, each a number of units or a table.
        priority: 0 goes first; or the shares of the priorities 0, 1, ….
        call_taking: from the call until a unit may be sent.
        transported: share of the patients who are brought to a hospital; of ambulances the first has the patient.
        handover: from a free bay to the patient handed over.
        stay: how long the patient keeps the bay.
        admitted: share of the patients brought who are then given a bed (assumed).
        bed: how long they keep it (assumed; mean length of stay in curative care of the EU 2019, Eurostat, about 7 days).
        specialty: what the patient needs of a hospital.
        patience: how long somebody waits for a unit to be sent before they give up; without, for ever.
        casualties: for incidents with many; without, there is one patient.
    """

    rate: Rate = Rate(value=(0.0,))
    rhythm: Literal["medical", "traffic", "fire", "evening"] | None = None
    hours: Annotated[tuple[_Factor, ...], Field(min_length=24, max_length=24)] | None = None
    weekdays: Annotated[tuple[_Factor, ...], Field(min_length=7, max_length=7)] | None = None
    zones: dict[str, _Factor] = Field(default_factory=dict)
    at: Literal["place", "street"] = "place"
    units: Annotated[dict[ServiceName, UnitSettings], Field(min_length=1)]
    priority: Annotated[Whole, Field(ge=0, le=LAST_PRIORITY)] | Annotated[tuple[Share, ...], _SHARES] = 0
    call_taking: AnyLaw = _NO_TIME
    transported: Share = 0.0
    handover: AnyLaw = _NO_TIME
    stay: AnyLaw = _NO_TIME
    admitted: Share = 0.4
    bed: AnyLaw = Exponential.model_validate({"law": "exponential", "mean": "168 h"})
    specialty: Literal["any", "trauma", "stroke", "cardiac", "children", "intensive care"] = "any"
    patience: AnyLaw | None = None
    casualties: CasualtySettings | None = None

    @field_validator("units", mode="before")
    @classmethod
    def _from_numbers(cls, value: Any) -> Any:
        return _unit_tables(value)

    @field_validator("hours", "weekdays")
    @classmethod
    def _check_some(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and not any(value):
            raise ValueError("all are 0; raise one, or set rate = 0")
        return value

    @field_validator("priority")
    @classmethod
    def _check_shares(cls, value: Any) -> Any:
        if isinstance(value, tuple) and abs(sum(value) - 1) > 1e-9:
            raise ValueError(f"the shares of priorities must add up to 1, they make {sum(value):g}")
        return value

    @model_validator(mode="after")
    def _check(self) -> "KindSettings":
        for name, unit in self.units.items():
            if unit.after is not None and (unit.after == name or unit.after not in self.units):
                others = [other for other in self.units if other != name]
                raise ValueError(
                    f"units.{name}.after is '{unit.after}', which is not asked here; other services are: "
                    f"{', '.join(others) or 'none'}"
                )
            follows = unit.after
            if follows is not None and self.units[follows].after is not None:
                raise ValueError(f"units.{name}.after: '{follows}' waits for another service itself; at most one wait")
        if "ambulance" not in self.units and (self.transported > 0 or self.casualties is not None):
            wrong = "transported" if self.transported > 0 else "casualties"
            raise ValueError(f"{wrong}: no ambulance is asked; add units.ambulance = 1")
        return self

    @property
    def priorities(self) -> NDArray[np.float64]:
        """Shares of the priorities 0, 1, …."""
        if isinstance(self.priority, tuple):
            return np.array(self.priority)
        return np.eye(self.priority + 1)[self.priority]

    def factors(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the factors on the rate by hour (24,) and by weekday (7,), each with mean 1."""
        rhythm = Rhythm() if self.rhythm is None else shipped().rhythms[self.rhythm]
        hours, weekdays = np.array(self.hours or rhythm.hours), np.array(self.weekdays or rhythm.weekdays)
        return hours / hours.mean(), weekdays / weekdays.mean()

    def law(self, service: ServiceName, name: Literal["turnout", "clear"], services: "Services") -> Law:
        """Return a law of a service's units here: the kind's own, or that of the service."""
        return getattr(self.units[service], name) or getattr(services[service], name)  # type: ignore[no-any-return]


def _unit_tables(value: Any) -> Any:
    """Return units with a table for each that is a number."""
    if not isinstance(value, dict):
        return value
    return {
        name: {"number": unit} if isinstance(unit, int) and not isinstance(unit, bool) else unit
        for name, unit in value.items()
    }


# ---------------------------------------------------------------------- those that are shipped


class _File(Part):
    services: dict[ServiceName, ServiceSettings]
    rhythms: dict[str, Rhythm]
    kinds: dict[str, KindSettings]


@cache
def _content() -> dict[str, Any]:
    return toml.parse((resources.files(__package__) / "kinds.toml").read_text(encoding="utf-8"))


@cache
def shipped() -> _File:
    """Return what ``kinds.toml`` holds: ``services``, ``rhythms`` and ``kinds``."""
    return _File.model_validate(_content())


def _complete_kinds(value: Any) -> Any:
    """Return the kinds of a scenario with what is shipped where they do not say."""
    if not isinstance(value, Mapping):
        return value
    kinds: dict[str, Any] = dict(_content()["kinds"])
    for name, given in value.items():
        told = given
        if isinstance(given, dict) and name in kinds:
            told = kinds[name] | given
            own = _unit_tables(given.get("units"))
            if isinstance(own, dict):
                units = dict(kinds[name]["units"])
                for service, unit in own.items():
                    units[service] = units.get(service, {}) | unit if isinstance(unit, dict) else unit
                told["units"] = units
        kinds[name] = told
    return kinds


def _complete_services(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    services: dict[str, Any] = dict(_content()["services"])
    for name, given in value.items():
        services[name] = services.get(name, {}) | given if isinstance(given, dict) else given
    return services


Kinds = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=50)], KindSettings],
    BeforeValidator(_complete_kinds),
    Field(max_length=MOST_KINDS),
]
"""All kinds of a scenario by name: its own and the shipped ones; numbered in this order."""
Services = Annotated[dict[ServiceName, ServiceSettings], BeforeValidator(_complete_services)]
"""Turnout and clearing of the three services."""


def kinds_of(given: Mapping[str, Any] | None = None) -> dict[str, KindSettings]:
    """Return the shipped kinds with those of a scenario: what stands in ``[response.kinds]``.

    Raises:
        ValueError: if anything is wrong with them.
    """
    return TypeAdapter(Kinds).validate_python(dict(given or {}))


def specialty_number(kind: KindSettings) -> int:
    """Return the position of a kind's specialty in :data:`~.tasks.SPECIALTIES`."""
    return SPECIALTIES.index(kind.specialty)
