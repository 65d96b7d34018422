"""Conditions on indicators, by which policies begin and end."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

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

    @property
    def rising(self) -> bool:
        """Whether the condition holds above its value."""
        return self.comparison in (">", ">=")

    def covers(self, other: "Trigger") -> bool:
        """Return whether the condition holds whenever another one does."""
        if self.indicator != other.indicator or self.rising != other.rising:
            return False
        if self.value == other.value:
            return "=" in self.comparison or "=" not in other.comparison
        return (self.value < other.value) == self.rising

    def holds(self, indicators: dict[str, float]) -> bool:
        """Return whether the condition holds for these values of the indicators.

        Raises:
            ValueError: if nothing in the model measures the indicator.
        """
        if self.indicator not in indicators:
            raise ValueError(f"no indicator '{self.indicator}'; there are: {', '.join(indicators) or 'none'}")
        return _COMPARE[self.comparison](indicators[self.indicator], self.value)


def check_hysteresis(when: Trigger, until: Trigger) -> None:
    """Refuse conditions under which a policy never begins, or does not begin where ``when`` says."""
    if until.covers(when):
        raise ValueError(
            f"'until' ({until}) holds whenever 'when' ({when}) does, so that the policy would never be in force; "
            f'it ends the other way round, as in "{until.indicator} {"<" if when.rising else ">"} {when.value:g}"'
        )
    if until.indicator == when.indicator and until.rising != when.rising:
        apart = when.value >= until.value if when.rising else when.value <= until.value
        if not apart:
            raise ValueError(
                f"'until' ({until}) and 'when' ({when}) both hold between their values; the value of 'until' must be "
                f"{'at most' if when.rising else 'at least'} {when.value:g}"
            )
