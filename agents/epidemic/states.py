"""States of infected people, as a disease file tells them: what each is like, and the ways out of it."""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from ..parts import Bands, Number, Part
from .laws import Period

MAX_STATES = 60
MAX_PROFILE = 400
"""Days that a list of infectiousness may have."""


class Chance(Bands):
    """Chance of a transition by age; in a file a number may stand for the table.

    Attributes:
        from_age: first age of each band, rising from 0.
        value: chance of each band.
        of: the chance is ``value / of``: with both as shares of all infections, ``value`` of the ``of`` who come into the
            state leave it by this transition.
    """

    value: tuple[Annotated[Number, Field(ge=0, le=1)], ...]
    of: tuple[Annotated[Number, Field(gt=0, le=1)], ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return {"value": (value,)} if isinstance(value, int | float) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _check_ratio(self) -> "Chance":
        for age, value, of in zip(self.from_age, self.value, self.of or (), strict=False):
            if value > of:
                raise ValueError(f"from age {age} on the chance {value:g} / {of:g} is above 1")
        return self

    def by_age(self) -> NDArray[np.float64]:
        """Return the chance (256,) of each age in years."""
        return self._spread(np.array(self.value) / np.array(self.of or 1.0))


class Transition(Part):
    """A way out of a state.

    Attributes:
        to: a state of the file, "recovered" or "dead".
        chance: of this way; the last transition of a state has none and takes the rest.
        after: days in the state before this transition.
    """

    to: str
    chance: Chance | None = None
    after: Period


class State(Part):
    """A state of infected people.

    Attributes:
        name: of letters, digits and underscores.
        infectiousness: by day since the state was entered, the last value holding on; a number for all days. In the
            first state of a file the first value is that of the day of infection, on which nobody infects.
        symptoms: none, mild, severe (needs a bed of a ward) or critical (needs one of intensive care).
        without_bed: factor on the chance of transitions to worse where a needed bed is not found.
        transition: the ways out, at least one.
    """

    name: str = Field(pattern="^[a-z][a-z0-9_]*$", max_length=40)
    infectiousness: tuple[Annotated[Number, Field(ge=0, le=1000)], ...] = Field(
        default=(0.0,), min_length=1, max_length=MAX_PROFILE
    )
    symptoms: Literal["none", "mild", "severe", "critical"] = "none"
    without_bed: Number = Field(default=1.0, ge=1, le=100)
    transition: tuple[Transition, ...] = Field(max_length=MAX_STATES)

    @field_validator("infectiousness", mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int | float) and not isinstance(value, bool) else value
