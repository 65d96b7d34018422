"""The section ``[epidemic]`` of a scenario file."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ...environment.places import PLACE_GROUPS, PlaceKind
from .disease import Disease

DEFAULT_WEIGHTS: dict[PlaceKind, float] = {
    PlaceKind.HOME: 1.0,
    PlaceKind.KINDERGARTEN: 1.5,
    PlaceKind.PRIMARY: 1.5,
    PlaceKind.SECONDARY: 1.5,
    PlaceKind.UNIVERSITY: 1.5,
    PlaceKind.WORK: 3.0,
    PlaceKind.SHOP: 4.0,
    PlaceKind.LEISURE: 4.0,
    PlaceKind.HOSPITAL: 3.0,
}
"""Rate of transmission per hour together, relative to home, by kind of place.

Assumed. The weights of Covasim's layers per contact and day (home 3, school and work 0.6, community 0.3) with its 2, 20, 16
and 20 contacts a day give the layers 6 : 12 : 9.6 : 6 per participant. Divided by the hours together in an invented city of
50,000 people (per participant and day 36 h at home, 88 h in class, 42 h in teams and 5.4 h with effective contacts in
venues) that is 1 : 0.8 : 1.4 : 6.7. Those weights put 48 % of the infections into venues; the ones above bring the shares
nearer to the third each for homes, schools with work, and other places that Ferguson et al. 2006 (Nature 442:448-452) built
on: with COVID-19 at R0 2.5, 27 % of the infections happen at home, 39 % in schools, universities and at work, 34 %
elsewhere, and the first case of a household infects 24 % of the susceptible housemates.
"""


class EpidemicSettings(BaseModel):
    """How an epidemic starts and spreads.

    Attributes:
        disease: a shipped name, a file, or the disease itself as a table.
        r0: secondary cases of a typical early case on the visits of the city; the transmission rate follows from it.
        transmission: rate per day of overlap at home between an average infectious and a fully susceptible person;
            in place of ``r0``.
        initial_infections: people infected on day 0, drawn at random.
        weights: rate in other kinds of places relative to ``transmission``, by group of places; instead of the
            default ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    disease: Disease
    r0: float | None = Field(default=None, gt=0, le=100)
    transmission: float | None = Field(default=None, ge=0, le=1000)
    initial_infections: int = Field(default=10, ge=0)
    weights: dict[str, float] = Field(default_factory=dict)

    @field_validator("disease", mode="before")
    @classmethod
    def _load_disease(cls, value: Any) -> Any:
        return Disease.load(value) if isinstance(value, str) else value

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
    def _check_rate(self) -> "EpidemicSettings":
        if self.r0 is not None and self.transmission is not None:
            raise ValueError("give either 'r0' or 'transmission', not both")
        return self

    def weight_by_kind(self) -> dict[PlaceKind, float]:
        """Return the weight of every kind of places."""
        weights = dict(DEFAULT_WEIGHTS)
        for name, weight in self.weights.items():
            weights |= dict.fromkeys(PLACE_GROUPS[name], float(weight))
        return weights
