"""What all measures share: settings, amounts a day, columns and figures."""

import math
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..columns import Column

MAX_DAYS = 3650
"""Longest period that a setting may name, in days."""
MAX_AMOUNT = 1_000_000_000
"""Largest number a day that a setting may name."""

COLUMNS: dict[str, tuple[str, float, str, str]] = {
    "tested_on": ("i4", -1, "day", "day of the latest test, −1 for never"),
    "result_on": ("i4", -1, "day", "day on which the result of the latest test is known, −1 for never"),
    "positive_on": ("i4", -1, "day", "day on which the latest positive result became known, −1 for never"),
    "traced_on": ("i4", -1, "day", "day on which the person was last told of a contact with a case, −1 for never"),
    "traced_before": ("i4", -1, "day", "day on which the person was told of a contact the time before, −1 for never"),
    "isolated_until": ("i4", -1, "day", "first day after isolation, −1 for never isolated"),
    "quarantined_until": ("i4", -1, "day", "first day after quarantine, −1 for never quarantined"),
    "doses": ("u1", 0, "", "doses of vaccine had"),
    "dose_on": ("i4", -1, "day", "day of the latest dose, −1 for none"),
    "vaccine_infection": ("f4", 0, "", "protection against infection by vaccine today, 0 to 1"),
    "vaccine_severe": ("f4", 0, "", "protection against severe disease, if infected, by vaccine today, 0 to 1"),
    "vaccine_transmission": ("f4", 0, "", "share by which an infected person infects less today by vaccine, 0 to 1"),
}
"""Columns that measures add to citizens: type, default, unit and meaning. Measures alone write them."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Days = Annotated[int, Field(ge=0, le=MAX_DAYS)]


class MeasureSettings(BaseModel):
    """Base of the tables ``test``, ``trace``, ``isolate`` and ``vaccinate`` of a policy.

    Attributes:
        needs: keys of measures without which this one would do nothing; one must be in some policy of the scenario.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @property
    def needs(self) -> tuple[str, ...]:
        """Keys of measures that some policy of the scenario must have for this one to do anything."""
        return ()


class Amount(MeasureSettings):
    """How many of something there are a day: ``500``, or ``{ per_1000 = 5 }`` for 5 per 1,000 people."""

    number: int | None = Field(default=None, ge=0, le=MAX_AMOUNT)
    per_1000: float | None = Field(default=None, ge=0, le=1000)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, dict | Amount):
            return value
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value != int(value) or not 0 <= value <= MAX_AMOUNT:
            raise ValueError(
                f"{value!r}: write a whole number a day, at most {MAX_AMOUNT:,} (500), or {{ per_1000 = 5 }} for a number "
                "per 1,000 people"
            )
        return {"number": int(value)}

    @model_validator(mode="after")
    def _check(self) -> "Amount":
        if (self.number is None) == (self.per_1000 is None):
            raise ValueError("write a whole number a day (500), or { per_1000 = 5 } for a number per 1,000 people")
        return self

    def on(self, day: int, people: int) -> int:
        """Return the amount of a day, counted from 0; parts of one add up over the days."""
        if self.number is not None:
            return self.number
        assert self.per_1000 is not None
        daily = self.per_1000 * people / 1000

        def until(days: int) -> int:
            return math.floor(daily * days + 1e-9)  # 0.1 a day ten times is one, whatever the binary digits say

        return until(day + 1) - until(day)


class Measure:
    """One measure of one policy. The defaults do nothing.

    Each morning all measures have their :meth:`everyday`, and then those of policies in force :meth:`act`, in the order
    of :data:`~citytwin.agents.measures.MEASURES`, within that in the order of the policies: what is tested today with a
    result at once is traced and isolated today.

    Attributes:
        Settings: what the policy's table may say.
        indicators: figures that policies may ask for, each with its meaning and unit.

    Args:
        model: the model; ``citizens``, ``presence``, ``city``, ``day`` and ``seed_number`` are used.
        policy: the policy to which the measure belongs.
        settings: an instance of ``Settings``.
    """

    Settings: ClassVar[type[MeasureSettings]] = MeasureSettings
    indicators: ClassVar[dict[str, str]] = {}

    def __init__(self, model: Any, policy: Any, settings: Any):
        self.model = model
        self.policy = policy
        self.settings = settings
        self.table = model.citizens.table
        self.people = len(self.table)

    def everyday(self) -> None:
        """Do what happens each morning, whether the policy is in force or not: results, releases, waning."""

    def act(self, followers: NDArray[np.bool_]) -> None:
        """Do what happens on mornings on which the policy is in force.

        Args:
            followers: (people,) who is meant and follows the policy today.
        """

    def series(self) -> dict[str, int]:
        """Return the figures of the day; figures of one name are summed over measures."""
        return {}

    def indicator_values(self) -> dict[str, float]:
        """Return the indicators as they stand now; they are the same for all measures of a kind."""
        return {}

    # ------------------------------------------------------------------ columns

    def attach(self, *names: str) -> bool:
        """Give citizens those of :data:`COLUMNS` that they have not, and return whether any was new.

        Raises:
            ValueError: if the class of the citizens has another column or attribute of one of these names.
        """
        new = False
        for name in names:
            column = Column(*COLUMNS[name])
            if name not in self.table.specs:
                self.table.attach(name, column)
                new = True
            elif repr(self.table.specs[name]) != repr(column):
                raise ValueError(
                    f"{self.table.cls.__name__}.{name}: {type(self).__name__.lower()} keeps a column of this name "
                    f"({column.doc}); give yours another name"
                )
        return new

    def column(self, name: str) -> NDArray[Any]:
        """Return a column of the citizens.

        Raises:
            ValueError: if there is none, which means that there is no epidemic.
        """
        try:
            return self.table.columns[name][: self.people]  # type: ignore[no-any-return]
        except KeyError:
            raise ValueError(
                f"{type(self).__name__.lower()} needs people who can fall ill (there is no column '{name}'); "
                "add the section [epidemic]"
            ) from None
