"""The section ``[epidemic]`` of a scenario file."""

import re
from datetime import date
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, field_validator, model_validator

from ...environment.places import PLACE_GROUPS, PlaceKind
from ..parts import Number, Share, Whole
from .disease import Disease, Routes

DEFAULT_WEIGHTS: dict[PlaceKind, float] = {
    PlaceKind.HOME: 1.0,
    PlaceKind.KINDERGARTEN: 1.25,
    PlaceKind.PRIMARY: 1.25,
    PlaceKind.SECONDARY: 1.25,
    PlaceKind.UNIVERSITY: 1.25,
    PlaceKind.WORK: 5.0,
    PlaceKind.SHOP: 8.0,
    PlaceKind.LEISURE: 8.0,
    PlaceKind.HOSPITAL: 5.0,
}
"""Rate of transmission per hour together, relative to home, by kind of place.

Fitted by hand to published figures on an invented city of 50,000 people; many hours at home are of sleep or in other rooms,
so an hour counts less there than elsewhere.

* Home against all others: of the housemates of the first case of COVID-19, that case infects 16.6 % (14.0 to 19.3; Madewell
  et al. 2020, JAMA Netw. Open 3:e2031756), 21.1 % (17.4 to 24.8; Thompson et al. 2021, doi:10.1093/cid/ciab100), or, where
  tests that miss infections are corrected for, 24 % (20 to 28; Curmei et al. 2021, doi:10.1093/ije/dyab108). Here it is 20 %
  at R0 2.5, and with influenza at R0 1.3 10 %.
* Schools and work against shops and venues: equal parts of the infections, as in the thirds for homes, schools with work
  and the community that Ferguson et al. 2006 (Nature 442:448-452) built on. Here 40 and 41 % with COVID-19.
* Schools against work: a fifth of the infections of influenza happen in schools (assumed); with more of them, a rate that
  gives R0 1.3 infects too few housemates.

19 % of the infections happen at home, not a third, for which a case would have to infect twice as many housemates. Curmei
et al. find 0.28 to 0.34 infections of housemates a case, which is 11 to 14 % of an R0 of 2.5.
"""


def _date(value: Any) -> Any:
    """Turn a date as JSON has it into one; a time of day is none, nor is a number as text."""
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"'{value}': write a day (20) or a date (2026-03-01)") from None


Moment = Annotated[Whole | Annotated[date, Strict()], BeforeValidator(_date)]
"""Day of the run, or a date."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)


class Strain(_Part):
    """One of several strains of the disease that spread at once.

    Attributes:
        name: what it is called in results.
        transmissibility: factor on the transmission; R0 is that of a strain with 1.
        severity: factor on the chances of becoming severely ill.
        escape: share of the protection against infection by vaccines that does not hold against it.
        protects: share of the immunity it leaves that holds against other strains, by name; 1 where not given.
        initial_infections: people infected with it on day 0.
    """

    name: str = Field(min_length=1, max_length=50, pattern=r"^[\w .+-]+$")
    transmissibility: Number = Field(default=1.0, ge=0, le=100)
    severity: Number = Field(default=1.0, ge=0, le=100)
    escape: Share = 0.0
    protects: dict[str, Share] = Field(default_factory=dict)
    initial_infections: Whole = Field(default=0, ge=0)


class Imports(_Part):
    """Infections that residents bring home from elsewhere.

    Attributes:
        per_day: mean number a day; the number of a day is a Poisson draw.
        from_: ``from`` in the file: first day or date.
        until: first day or date without.
        strain: name of the strain, by default the first.
    """

    per_day: Number = Field(gt=0, le=1000)
    from_: Moment = Field(default=0, alias="from")
    until: Moment | None = None
    strain: str | None = None

    @model_validator(mode="after")
    def _check_order(self) -> "Imports":
        if isinstance(self.from_, int) and self.from_ < 0:
            raise ValueError(f"from: day {self.from_} is before the start; the first day is 0")
        # Days with dates cannot be compared without the clock.
        if type(self.until) is type(self.from_) and self.until <= self.from_:  # type: ignore[operator]
            raise ValueError(f"'until' ({self.until}) must be after 'from' ({self.from_})")
        return self


class Seasonality(_Part):
    """Transmission that changes over the year as 1 + amplitude · cos(2π (day of the year − peak) / 365.25).

    Attributes:
        amplitude: 0 … 1.
        peak: month and day of most transmission, as "01-15".
    """

    amplitude: Share
    peak: str = "01-15"

    @field_validator("peak")
    @classmethod
    def _check_peak(cls, value: str) -> str:
        try:
            if not re.fullmatch(r"\d\d-\d\d", value):
                raise ValueError
            date.fromisoformat(f"2024-{value}")
        except ValueError:
            raise ValueError(f"'{value}' is no month and day; write it as \"01-15\"") from None
        return value

    def factor(self, today: date) -> float:
        """Return the factor on the transmission on a date."""
        peak = date.fromisoformat(f"2024-{self.peak}").timetuple().tm_yday
        angle = 2 * np.pi * (today.timetuple().tm_yday - peak) / 365.25
        return float(1 + self.amplitude * np.cos(angle))


class ImmuneAtStart(_Part):
    """Who is immune on day 0, as after an infection with the first strain.

    Attributes:
        from_age: first age of each band, rising from 0.
        share: share of the people of each band who are immune.
        by_household: whether one draw decides for a whole household, so that the susceptible live together.
    """

    from_age: tuple[Annotated[Whole, Field(ge=0, le=255)], ...] = (0,)
    share: tuple[Share, ...]
    by_household: Annotated[bool, Strict()] = False

    @model_validator(mode="after")
    def _check_bands(self) -> "ImmuneAtStart":
        if len(self.from_age) != len(self.share):
            raise ValueError(
                f"from_age has {len(self.from_age)} entries, share {len(self.share)}; each band needs both"
            )
        if self.from_age[:1] != (0,) or any(b <= a for a, b in zip(self.from_age, self.from_age[1:], strict=False)):
            raise ValueError(f"from_age must rise from 0 (given {list(self.from_age)})")
        return self

    def by_age(self) -> NDArray[np.float64]:
        """Return the share (256,) of each age in years."""
        return np.array(self.share)[np.searchsorted(self.from_age, np.arange(256), side="right") - 1]


class EpidemicSettings(BaseModel):
    """How an epidemic starts and spreads.

    Attributes:
        disease: a shipped name, a file, or the disease itself as a table.
        r0: secondary cases of a typical early case among people of whom nobody is immune, on the visits of the city;
            the transmission rate follows from it.
        transmission: rate per day of overlap at home between an average infectious and a fully susceptible person;
            in place of ``r0``.
        initial_infections: people infected on day 0 with the first strain, drawn at random.
        weights: rate in other kinds of places relative to ``transmission``, by group of places; instead of the
            default ones.
        routes: strengths of the routes of transmission, in place of those of the disease.
        strain: strains that spread at once; one without a name if none is given.
        imports: infections from elsewhere.
        seasonality: change of the transmission over the year.
        immune_at_start: share of the people who are immune on day 0, one number or by age.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    disease: Disease
    r0: Number | None = Field(default=None, gt=0, le=100)
    transmission: Number | None = Field(default=None, ge=0, le=1000)
    initial_infections: Whole = Field(default=10, ge=0)
    weights: dict[str, Number] = Field(default_factory=dict)
    routes: Routes | None = None
    strain: tuple[Strain, ...] = Field(default=(), max_length=7)
    imports: tuple[Imports, ...] = Field(default=(), max_length=50)
    seasonality: Seasonality | None = None
    immune_at_start: ImmuneAtStart | None = None

    @field_validator("disease", mode="before")
    @classmethod
    def _load_disease(cls, value: Any) -> Any:
        return Disease.load(value) if isinstance(value, str) else value

    @field_validator("immune_at_start", mode="before")
    @classmethod
    def _one_share(cls, value: Any) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool):
            if not 0 <= value <= 1:
                raise ValueError(f"{value}: write the share of the people, 0 to 1, or a table with from_age and share")
            return {"share": (value,)}
        return value

    @field_validator("weights", mode="before")
    @classmethod
    def _check_weights(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for name, weight in value.items():
                if name not in PLACE_GROUPS:
                    raise ValueError(f"'{name}' is no group of places; allowed are: {', '.join(PLACE_GROUPS)}")
                if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1000:
                    raise ValueError(f"{name} = {weight!r}: write a number from 0 to 1000")
        return value

    @model_validator(mode="after")
    def _check_whole(self) -> "EpidemicSettings":
        if self.routes is not None and self.routes != self.disease.routes:
            object.__setattr__(self, "disease", self.disease.model_copy(update={"routes": self.routes}))
        if self.r0 is not None and self.transmission is not None:
            raise ValueError("give either 'r0' or 'transmission', not both")
        if self.transmission is None and not any(self.weight_by_kind().values()):
            raise ValueError("weights: all are 0, so that nobody infects anybody and no r0 is reached; raise one")
        names = [strain.name for strain in self.strains]
        if len(set(names)) < len(names):
            raise ValueError(f"strain: each needs a name of its own (given {', '.join(names)})")
        for strain in self.strains:
            for other in strain.protects:
                if other not in names or other == strain.name:
                    others = [name for name in names if name != strain.name]
                    raise ValueError(
                        f"strain.{strain.name}.protects: '{other}' is no other strain; "
                        f"there are: {', '.join(others) or 'none'}"
                    )
        for entry in self.imports:
            if entry.strain is not None and entry.strain not in names:
                raise ValueError(f"imports: no strain '{entry.strain}'; there are: {', '.join(names)}")
        return self

    @property
    def strains(self) -> tuple[Strain, ...]:
        """The strains, of which there is always one."""
        return self.strain or (Strain(name="wild type"),)

    def first_infections(self) -> list[int]:
        """Return the number of people infected on day 0 with each strain."""
        numbers = [strain.initial_infections for strain in self.strains]
        numbers[0] += self.initial_infections
        return numbers

    def cross_immunity(self) -> NDArray[np.float64]:
        """Return the share (strains, strains) of the immunity from a strain that holds against another."""
        names = [strain.name for strain in self.strains]
        return np.array([[strain.protects.get(name, 1.0) for name in names] for strain in self.strains])

    def weight_by_kind(self) -> dict[PlaceKind, float]:
        """Return the weight of every kind of places."""
        weights = dict(DEFAULT_WEIGHTS)
        for name, weight in self.weights.items():
            weights |= dict.fromkeys(PLACE_GROUPS[name], float(weight))
        return weights
