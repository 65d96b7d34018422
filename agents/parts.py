"""Parts of settings that several processes share: strict numbers, times with units, bands of age."""

import re
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_validator

AGES = 256
"""Ages in completed years are 0 to 255."""
Number = Annotated[float, Strict()]
"""A number, whole or not; no text and no truth value."""
Whole = Annotated[int, Strict()]
Share = Annotated[Number, Field(ge=0, le=1)]

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def _seconds(value: Any) -> Any:
    """Return the seconds of a text such as ``"10 min"``."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or match.group(2) not in _UNITS:
        raise ValueError(f'must be a number and a unit, as in "10 min" (given {value!r}); units: {", ".join(_UNITS)}')
    return float(match.group(1)) * _UNITS[match.group(2)]


def duration_text(seconds: float) -> str:
    """Return seconds as they are written, in the largest unit of which they are a whole number: ``"15 min"``."""
    whole = [name for name, length in _UNITS.items() if seconds and seconds % length == 0]
    name = whole[-1] if whole else "s"
    return f"{seconds / _UNITS[name]:g} {name}"


Seconds = Annotated[float, BeforeValidator(_seconds)]
"""A time, in files a number and a unit, as ``"10 min"``."""


class Part(BaseModel):
    """A table of a file: unknown keys and numbers that are not finite are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Bands(Part):
    """Bands of age, of which ``from_age`` holds the first ages, rising from 0."""

    from_age: tuple[Annotated[Whole, Field(ge=0, lt=AGES)], ...] = (0,)

    @model_validator(mode="after")
    def _check_bands(self) -> "Bands":
        if self.from_age[:1] != (0,) or any(b <= a for a, b in zip(self.from_age, self.from_age[1:], strict=False)):
            raise ValueError(f"from_age must rise from 0, so that no age is left out; is {list(self.from_age)}")
        for name in type(self).model_fields:
            column = getattr(self, name)
            if column is not None and len(column) != len(self.from_age):
                raise ValueError(
                    f"from_age has {len(self.from_age)} entries, {name} {len(column)}; each band needs both"
                )
        return self

    def _spread(self, values: tuple[float, ...] | NDArray[np.float64]) -> NDArray[np.float64]:
        band = np.searchsorted(self.from_age, np.arange(AGES), side="right") - 1
        return np.array(values, np.float64)[band]
