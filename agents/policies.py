"""What a scenario file says of policies: ``[[policy]]`` and its conditions.

Without Mesa, so that a scenario can be checked quickly; :mod:`~citytwin.agents.authorities` puts policies into force.
"""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from .presence import VISIT_GROUPS

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_TRIGGER = re.compile(
    r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(>=|<=|>|<)\s*([-+]?[0-9][0-9_]*\.?[0-9]*(?:[eE][-+]?[0-9]+)?)\s*"
)


@dataclass(frozen=True)
class Trigger:
    """A condition on one indicator, for example ``incidence > 50``."""

    indicator: str
    comparison: str
    value: float

    @classmethod
    def parse(cls, text: str) -> "Trigger":
        """Read ``"<indicator> <comparison> <number>"``.

        Raises:
            ValueError: if the text is no such condition.
        """
        match = _TRIGGER.fullmatch(text)
        if match is None:
            raise ValueError(
                f"'{text}' is not a condition; write an indicator, one of {' '.join(_COMPARE)}, and a number, "
                'as in "incidence > 50"'
            )
        return cls(match[1], match[2], float(match[3].replace("_", "")))

    def __str__(self) -> str:
        return f"{self.indicator} {self.comparison} {self.value:,g}"

    def holds(self, indicators: dict[str, float]) -> bool:
        """Return whether the condition holds for these values of the indicators.

        Raises:
            ValueError: if nothing in the model measures the indicator.
        """
        if self.indicator not in indicators:
            raise ValueError(f"no indicator '{self.indicator}'; there are: {', '.join(indicators) or 'none'}")
        return _COMPARE[self.comparison](indicators[self.indicator], self.value)


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


class PolicySettings(BaseModel):
    """One ``[[policy]]`` of a scenario file.

    Attributes:
        name: what the policy is called in parameters and results.
        close: groups of places where nobody who follows the policy goes; they are at home instead.
        reduce: by group of places the share by which contacts there fall if everybody follows.
        from_: ``from`` in the file: day or date of the first morning in force.
        when: condition that brings the policy into force, looked at each morning.
        until: day or date of the first morning no longer in force, or condition that ends it. A policy started by
            ``when`` and ended by a condition comes back when ``when`` holds again; without ``until`` it is in force
            while ``when`` holds.
        compliance: share of the people who follow, 0 to 1; the same people in every policy.
    """

    model_config = ConfigDict(
        extra="forbid", strict=True, populate_by_name=True, frozen=True, arbitrary_types_allowed=True
    )

    name: str = Field(min_length=1)
    close: tuple[str, ...] = Field(default=(), strict=False)  # a file has lists only
    reduce: dict[str, float] = Field(default_factory=dict)
    from_: int | date | None = Field(default=None, alias="from")
    when: Trigger | None = None
    until: int | date | Trigger | None = None
    compliance: float = Field(default=1.0, ge=0.0, le=1.0)

    @field_validator("close", mode="before")
    @classmethod
    def _check_close(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(f'write a list, as in ["{value}"]')
        if isinstance(value, Sequence):
            for name in value:
                check_group(name)
        return value

    @field_validator("reduce", mode="before")
    @classmethod
    def _check_reduce(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for name, share in value.items():
                check_group(name)
                if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
                    raise ValueError(f"{name} = {share!r}: write the share by which contacts fall, 0 to 1")
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
    def _check_whole(self) -> "PolicySettings":
        if not self.close and not self.reduce:
            raise ValueError("the policy does nothing; give 'close', 'reduce' or both")
        if self.from_ is not None and self.when is not None:
            raise ValueError("give either 'from' or 'when', not both")
        days = isinstance(self.from_, int) and isinstance(self.until, int) and self.until <= self.from_
        dates = isinstance(self.from_, date) and isinstance(self.until, date) and self.until <= self.from_
        if days or dates:
            raise ValueError(f"'until' ({self.until}) must be after 'from' ({self.from_})")
        return self

    @property
    def indicators(self) -> set[str]:
        """Names of the indicators that the policy looks at."""
        return {moment.indicator for moment in (self.when, self.until) if isinstance(moment, Trigger)}


def check_group(name: Any) -> None:
    """Make sure that a policy may name these places.

    Raises:
        ValueError: if they are none of :data:`~citytwin.agents.presence.VISIT_GROUPS`.
    """
    if not isinstance(name, str) or name not in VISIT_GROUPS:
        raise ValueError(f"'{name}' is no group of places; allowed are: {', '.join(VISIT_GROUPS)}")
