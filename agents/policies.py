"""What a scenario file says of policies: ``[[policy]]``, its conditions, and levels of lockdown.

Without Mesa, so that a scenario can be checked quickly; :mod:`~citytwin.agents.authorities` puts policies into force.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from ..environment.places import Role
from .measures import MEASURES
from .measures.isolation import IsolationSettings
from .measures.testing import TestingSettings
from .measures.tracing import TracingSettings
from .measures.vaccination import VaccinationSettings
from .rules import VISIT_GROUPS, check_group, columns_of
from .triggers import Trigger, check_hysteresis

if TYPE_CHECKING:
    from ..environment.city import City

FATIGUE_DAYS = 30
"""Days in force after which the share ``fatigue`` of the followers is lost."""

ROLES = {role.name.lower(): role for role in Role}
"""Names that ``whom.roles`` may use."""
MAX_AGE = 120
"""Nobody is older."""
MAX_COHORTS = 12
"""Most cohorts that may rotate (assumed)."""
_IN_PLACES = {"close", "reduce", "limit", "rotate", "masks", "ventilate", "level", "work_from_home"}
EFFECTS: tuple[str, ...] = (
    *("close", "reduce", "limit", "rotate", "masks", "ventilate", "cordon", "level", "work_from_home", "border"),
    *MEASURES,
)
"""Keys of a policy that do something."""

# The order of the steps is that of the Oxford COVID-19 Government Response Tracker (Hale et al. 2021, Nature Human Behaviour
# 5:529-538): recommended, required for some, required for all but the essential. Packages and shares are assumed.
_LEVELS: tuple[dict[str, Any], ...] = (
    {},
    {"reduce": {"venue": 0.2, "guests": 0.2}, "work_from_home": 0.2},
    {"close": ["university"], "limit": {"leisure": 0.5}, "reduce": {"shop": 0.3, "guests": 0.5}, "work_from_home": 0.4},
    {
        "close": ["secondary", "university", "leisure"],
        "limit": {"shop": 0.5, "guests": 0.25},
        "reduce": {"shop": 0.3, "work": 0.2},
        "work_from_home": 0.6,
    },
    {
        "close": ["education", "leisure", "guests"],
        "limit": {"shop": 0.25},
        "reduce": {"shop": 0.5, "work": 0.4},
        "work_from_home": 0.8,
    },
)


def _moment(value: Any) -> Any:
    """Turn what a scenario file says about a time into a day, a date or a trigger."""
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            return Trigger.parse(value)
    # TOML also knows times of day, and Python takes true for 1 and a time of day for a date.
    if isinstance(value, bool | datetime) or not isinstance(value, int | date | Trigger):
        raise ValueError(f'{value!r}: write a day (20), a date (2026-03-01) or a condition ("incidence < 10")')
    if isinstance(value, int) and value < 0:
        raise ValueError(f"day {value} is before the start; the first day is 0")
    return value


def _list(value: Any) -> Any:
    if value is None or isinstance(value, list | tuple | set | frozenset):
        return value
    example = json.dumps(value) if isinstance(value, str | int | float) else "…"
    raise ValueError(f"write a list, as in [{example}]")


def _places(value: Any) -> Any:
    for name in _list(value) or ():
        check_group(name)
    return value


def _by_place(value: Any) -> Any:
    for name in value if isinstance(value, dict) else ():
        check_group(name)
    return value


def _shares(value: Any, meaning: str) -> Any:
    for name, share in value.items() if isinstance(value, dict) else ():
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ValueError(f"{name} = {share!r}: write {meaning}, 0 to 1")
    return value


def _zones(value: Any) -> Any:
    for zone in _list(value) or ():
        if isinstance(zone, bool) or not isinstance(zone, int | str) or (isinstance(zone, int) and zone < 0):
            raise ValueError(f"{zone!r}: write the number of a zone, from 0, or its name")
    return value


Share = Annotated[float, Field(ge=0.0, le=1.0)]
# A file has lists only, hence no strictness about tuples.
Places = Annotated[tuple[str, ...], BeforeValidator(_places), Field(strict=False)]
Zones = Annotated[tuple[int | str, ...], BeforeValidator(_zones), Field(strict=False, min_length=1)]


class _Table(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        populate_by_name=True,
        frozen=True,
        arbitrary_types_allowed=True,
        allow_inf_nan=False,
    )


class Whom(_Table):
    """The table ``whom`` of a policy: people for whom it is; without a key, all.

    Attributes:
        ages: youngest and oldest age in completed years, both included.
        zones: numbers or names of zones of the home.
        roles: names of :class:`~citytwin.environment.places.Role`, in small letters.
        share: share of these people, drawn by person and policy.
    """

    ages: tuple[int, int] | None = Field(default=None, strict=False)
    zones: Zones | None = None
    roles: tuple[str, ...] | None = Field(default=None, strict=False, min_length=1)
    share: Share = 1.0

    @field_validator("ages", mode="before")
    @classmethod
    def _check_ages(cls, value: Any) -> Any:
        if value is None:
            return value
        numbers = list(value) if isinstance(value, list | tuple) else []
        if len(numbers) != 2 or any(isinstance(n, bool) or not isinstance(n, int) for n in numbers):
            raise ValueError(f"{value!r}: write the youngest and the oldest age, as in [0, 17]")
        if not 0 <= numbers[0] <= numbers[1]:
            raise ValueError(f"{value!r}: ages are from 0, and the youngest stands first")
        if numbers[0] > MAX_AGE:
            raise ValueError(f"{value!r}: nobody is older than {MAX_AGE}")
        return value

    @field_validator("roles", mode="before")
    @classmethod
    def _check_roles(cls, value: Any) -> Any:
        for role in _list(value) or ():
            if not isinstance(role, str) or role not in ROLES:
                raise ValueError(f"'{role}' is no role; allowed are: {', '.join(ROLES)}")
        return value


class Where(_Table):
    """The table ``where`` of a policy: places where it holds.

    Attributes:
        zones: numbers or names of zones of the places; for visits of guests, of the home they visit.
    """

    zones: Zones


class Masks(_Table):
    """The table ``masks`` of a policy.

    Attributes:
        places: names of :data:`~citytwin.agents.rules.VISIT_GROUPS` where people wear masks.
        source: share by which a wearer gives off less.
        wearer: share by which a wearer takes in less.
    """

    places: Places = Field(min_length=1)
    source: Share
    wearer: Share


class PolicySettings(_Table):
    """One ``[[policy]]`` of a scenario file: what, for whom, where, when, and how well it is followed.

    Names of places are those of :data:`~citytwin.agents.rules.VISIT_GROUPS`. Several policies in force multiply.

    Attributes:
        name: what the policy is called in parameters and results.
        close: places where nobody who follows the policy goes; they are at home instead.
        reduce: by name of places the share by which contacts there fall if everybody follows (distancing).
        limit: by name of places the chance with which a person goes there on a day, drawn by person and day (capacity);
            of two limits for one name the lower one holds.
        rotate: by name of places the number of cohorts of which one goes there each week, from Monday, in turn. A person is
            in the same cohort everywhere.
        masks: where people wear masks, and what these hold back.
        ventilate: by name of places the factor on their air changes. Compliance is here the share of the places that do
            so, by a draw a place.
        cordon: true: nobody goes into or out of ``whom.zones``; "each": everybody stays in the zone of their home.
        level: level of lockdown 0 to 4, a package of other keys, see :data:`LEVELS`.
        work_from_home: share of the workers who work at home, by a draw a person common to all policies.
        border: share by which infections brought in from outside fall if everybody follows.
        test, isolate, trace, vaccinate: see :mod:`~citytwin.agents.measures`.
        whom: people for whom the policy is.
        where: places where it holds.
        from_: ``from`` in the file: day or date of the first morning in force.
        when: condition that brings the policy into force, looked at each morning.
        until: day or date of the first morning no longer in force, or condition that ends it. A policy started by
            ``when`` and ended by a condition comes back when ``when`` holds again and the condition does not; without
            ``until`` it is in force while ``when`` holds.
        compliance: share of the people who follow, 0 to 1, by a draw a person common to all policies.
        fatigue: share of the followers who no longer follow after :data:`FATIGUE_DAYS` days in force, and again of those
            left after as many days more; between, they fall off day by day.
    """

    name: str = Field(min_length=1)
    close: Places = ()
    reduce: Annotated[dict[str, float], BeforeValidator(_by_place)] = Field(default_factory=dict)
    limit: Annotated[dict[str, float], BeforeValidator(_by_place)] = Field(default_factory=dict)
    rotate: Annotated[dict[str, int], BeforeValidator(_by_place)] = Field(default_factory=dict)
    masks: Masks | None = None
    ventilate: Annotated[dict[str, float], BeforeValidator(_by_place)] = Field(default_factory=dict)
    cordon: bool | Literal["each"] = False
    level: int | None = Field(default=None, ge=0, le=4)
    work_from_home: Share | None = None
    border: Share | None = None
    test: TestingSettings | None = None
    isolate: IsolationSettings | None = None
    trace: TracingSettings | None = None
    vaccinate: VaccinationSettings | None = None
    whom: Whom = Whom()
    where: Where | None = None
    from_: int | date | None = Field(default=None, alias="from")
    when: Trigger | None = None
    until: int | date | Trigger | None = None
    compliance: Share = 1.0
    fatigue: Share = 0.0

    @field_validator("reduce", mode="before")
    @classmethod
    def _check_reduce(cls, value: Any) -> Any:
        return _shares(value, "the share by which contacts fall")

    @field_validator("limit", mode="before")
    @classmethod
    def _check_limit(cls, value: Any) -> Any:
        return _shares(value, "the chance with which a person goes there")

    @field_validator("rotate", mode="before")
    @classmethod
    def _check_rotate(cls, value: Any) -> Any:
        for name, cohorts in value.items() if isinstance(value, dict) else ():
            if isinstance(cohorts, bool) or not isinstance(cohorts, int) or not 2 <= cohorts <= MAX_COHORTS:
                raise ValueError(f"{name} = {cohorts!r}: write the number of cohorts, 2 to {MAX_COHORTS}")
        return value

    @field_validator("ventilate", mode="before")
    @classmethod
    def _check_ventilate(cls, value: Any) -> Any:
        for name, factor in value.items() if isinstance(value, dict) else ():
            if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0.01 <= factor <= 100:
                raise ValueError(f"{name} = {factor!r}: write the factor on air changes, 0.01 to 100 (2 doubles them)")
            if name == "guests":
                raise ValueError("guests: dwellings cannot be ventilated by a policy; name kinds of rooms")
        return value

    @field_validator("from_", "when", "until", mode="before")
    @classmethod
    def _check_moment(cls, value: Any, info: ValidationInfo) -> Any:
        moment = _moment(value)
        if info.field_name == "from_" and isinstance(moment, Trigger):
            raise ValueError("a condition belongs in 'when'; 'from' is a day (20) or a date (2026-03-01)")
        if info.field_name == "when" and not isinstance(moment, Trigger):
            raise ValueError("a day or a date belongs in 'from'; 'when' is a condition (\"incidence > 50\")")
        return moment

    @model_validator(mode="after")
    def _check_whole(self, info: ValidationInfo) -> "PolicySettings":
        given = self.effects
        if not given and not (info.context or {}).get("may do nothing"):
            raise ValueError(f"the policy does nothing; give one or more of: {', '.join(EFFECTS)}")
        for one, other, shared in conflicts(self, self):
            raise ValueError(
                f"{other}: {', '.join(shared)}: under '{one}' of this policy already; take it out of one of them"
            )
        if self.cordon is True and self.whom.zones is None:
            raise ValueError('cordon: which zones? write whom = { zones = […] }, or cordon = "each" for every zone')
        if self.cordon is True and given != {"cordon"}:
            others = ", ".join(sorted(given - {"cordon"}))
            raise ValueError(
                f"cordon: stands alone, as it also binds people outside whom.zones; give {others} its own policy"
            )
        if self.where is not None and not given & _IN_PLACES:
            raise ValueError("where: nothing in this policy is about places; 'whom' names people")
        if self.whom != Whom() and given and given <= {"ventilate", "border"}:
            raise ValueError("whom: nothing in this policy is about residents; 'where' names places")
        if self.from_ is not None and self.when is not None:
            raise ValueError("give either 'from' or 'when', not both")
        days = isinstance(self.from_, int) and isinstance(self.until, int) and self.until <= self.from_
        dates = isinstance(self.from_, date) and isinstance(self.until, date) and self.until <= self.from_
        if days or dates:
            raise ValueError(f"'until' ({self.until}) must be after 'from' ({self.from_})")
        if self.when is not None and isinstance(self.until, Trigger):
            check_hysteresis(self.when, self.until)
        return self

    @property
    def effects(self) -> set[str]:
        """Keys of what the policy does."""
        values = {key: getattr(self, key) for key in EFFECTS}
        return {
            key for key, value in values.items() if value is not None and value is not False and value not in ((), {})
        }

    @property
    def indicators(self) -> set[str]:
        """Names of the indicators that the policy looks at."""
        return {moment.indicator for moment in (self.when, self.until) if isinstance(moment, Trigger)}


class _Part(NamedTuple):
    """What one key, or a level, says of visits: names of the keys to blame, and what they say."""

    keys: dict[str, str]
    close: Sequence[str]
    limit: Mapping[str, float]
    rotate: Mapping[str, int]


def _parts(settings: PolicySettings) -> list[_Part]:
    names = ("close", "limit", "rotate")
    parts = [_Part({name: name for name in names}, settings.close, settings.limit, settings.rotate)]
    if settings.level:
        package = _LEVELS[settings.level]
        parts.append(_Part(dict.fromkeys(names, "level"), package.get("close", ()), package.get("limit", {}), {}))
    return parts


def conflicts(one: PolicySettings, other: PolicySettings) -> list[tuple[str, str, set[str]]]:
    """Return what cannot hold together for the same people, places and days.

    These are places closed by one and limited or rotated by the other, places rotated in different numbers of cohorts, and
    two levels of lockdown. A level stands for its package.

    Returns:
        key of the one, key of the other, and names of the places that the other gives; none for levels.
    """
    found = []
    for ours, theirs in itertools.product(_parts(one), _parts(other)):
        if ours.keys == theirs.keys and "level" in ours.keys.values():
            continue  # two levels are told as such
        closed = set(columns_of(ours.close))
        for key, named in (("limit", theirs.limit), ("rotate", theirs.rotate)):
            shared = {name for name in named if closed & set(VISIT_GROUPS[name])}
            if shared:
                found.append((ours.keys["close"], theirs.keys[key], shared))
    cohorts = [(name, number) for name, number in one.rotate.items()]
    shared = {
        name
        for name, number in other.rotate.items()
        if any(set(VISIT_GROUPS[own]) & set(VISIT_GROUPS[name]) and number != others for own, others in cohorts)
    }
    if shared:
        found.append(("rotate", "rotate", shared))
    if one is not other and one.level and other.level:
        found.append(("level", "level", set()))
    return found


def meet(one: PolicySettings, other: PolicySettings) -> bool:
    """Return whether two policies are, as far as their settings tell, for some of the same people in the same places.

    Zones that one gives by name and the other by number are not compared.
    """
    ages = [whom.ages or (0, np.inf) for whom in (one.whom, other.whom)]
    pairs = [
        (one.whom.zones, other.whom.zones),
        (one.whom.roles, other.whom.roles),
        (one.where and one.where.zones, other.where and other.where.zones),
    ]
    return max(low for low, _ in ages) <= min(high for _, high in ages) and all(
        some is None or others is None or set(some) & set(others) for some, others in pairs
    )


def zone_mask(city: "City", zones: Sequence[int | str]) -> NDArray[np.bool_]:
    """Return which zones of a city are named (zones,).

    Raises:
        ValueError: if there is no such zone.
    """
    count = len(city.zones)
    named: list[str] = []
    if any(isinstance(zone, str) for zone in zones):
        layer = city.layer("zones")
        named = [] if layer is None or "name" not in layer else [str(name) for name in layer["name"]]
    mask = np.zeros(count, bool)
    for zone in zones:
        if isinstance(zone, str) and zone in named:
            mask[[number for number, name in enumerate(named) if name == zone]] = True
        elif isinstance(zone, int) and zone < count:
            mask[zone] = True
        elif isinstance(zone, str) and named:
            raise ValueError(f"'{zone}' is no zone of the city; allowed are: {', '.join(named)}")
        else:
            names = "" if named or not isinstance(zone, str) else "; its zones have no names"
            raise ValueError(f"the city has no zone {zone!r}; allowed are numbers 0 to {count - 1}{names}")
    return mask


def check_zones(settings: PolicySettings, city: "City") -> None:
    """Make sure that a city has the zones a policy names.

    Raises:
        ValueError: if it has not, naming the key.
    """
    for key, zones in (("whom", settings.whom.zones), ("where", settings.where and settings.where.zones)):
        try:
            zone_mask(city, zones or ())
        except ValueError as error:
            raise ValueError(f"{key}.zones: {error}") from None


LEVELS: tuple[PolicySettings, ...] = tuple(
    PolicySettings.model_validate({"name": f"level {number}"} | keys, context={"may do nothing": True})
    for number, keys in enumerate(_LEVELS)
)
"""What each level of lockdown stands for, as a policy of its own."""
