"""Sections of a scenario file that every scenario has: city, clock, output. Processes bring their own."""

import datetime
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

SECONDS = {"s": 1, "min": 60, "h": 3600, "day": 86_400, "days": 86_400, "week": 604_800, "weeks": 604_800}
"""Units of a duration, in seconds."""
Country = Literal["DE", "FR", "IT", "ES", "CH"]
"""Countries whose ages residents may have, those of ``environment.builders.households.COUNTRIES``."""
MAX_DAYS = 36_525
FIRST_START, LAST_START = datetime.date(1900, 1, 1), datetime.date(2200, 1, 1)
"""Dates on which a clock may start (assumed); a calendar of other centuries trips up what draws it."""

SERIES_TABLES = ("summary", "series")
"""Tables of results that are always written."""
CELL_TABLE, HOSPITAL_TABLE = "cells", "hospital_series"
"""Tables of the model itself that are written if ``output.tables`` names them."""

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def parse_duration(value: Any) -> float:
    """Return the seconds of a duration such as ``"1 day"``, ``"15 min"`` or ``"1.5 h"``.

    Raises:
        ValueError: if it is none.
    """
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or match.group(2) not in SECONDS:
        raise ValueError(f'must be a number and a unit, as in "1 day"; units: {", ".join(SECONDS)}')
    return float(match.group(1)) * SECONDS[match.group(2)]


def printable(name: str) -> str:
    """Return a name as it is.

    Raises:
        ValueError: if it holds control characters, which a terminal would obey.
    """
    if not name.isprintable():
        raise ValueError(f"must have no control characters (given {name!r})")
    return name


Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(printable)]
Duration = Annotated[float, BeforeValidator(parse_duration)]


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, and no text or truth value is taken for a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SyntheticCity(Section):
    """An invented city of any size."""

    people: int = Field(ge=1_000, le=10_000_000)
    seed: int = Field(default=1, ge=0, lt=2**62)
    name: Name | None = None
    country: Country = "DE"


class OsmCity(Section):
    """A real town from an OpenStreetMap extract."""

    file: str = Field(min_length=1)
    people: int | None = Field(default=None, ge=1, le=50_000_000)
    seed: int = Field(default=1, ge=0, lt=2**62)
    census: str | None = Field(default=None, min_length=1)
    name: Name | None = None
    country: Country | None = None

    @model_validator(mode="after")
    def _counted_once(self) -> "OsmCity":
        if self.people is not None and self.census is not None:
            raise ValueError("people: the census counts them; give 'people' or 'census', not both")
        if self.country is not None and self.census is not None:
            raise ValueError("country: the census has ages of its own; give 'country' or 'census', not both")
        return self


class CensusCity(Section):
    """Zones and their inhabitants from a census, streets and buildings invented."""

    file: str = Field(min_length=1)
    seed: int = Field(default=1, ge=0, lt=2**62)
    name: Name | None = None


class OnePlaceCity(Section):
    """Everybody in one room all day: a boarding school, a ship, a barracks."""

    people: int = Field(ge=2, le=1_000_000)
    age: int = Field(default=40, ge=0, le=120)
    name: Name | None = None


class SumoCity(Section):
    """A network of SUMO, where nobody lives."""

    file: str = Field(min_length=1)
    additional: list[str] = Field(default_factory=list)
    name: Name | None = None
    crs: str | None = Field(default=None, min_length=1)


class LinesCity(Section):
    """Lines of streets, where nobody lives; keys as of ``environment.network.lines.network_of_lines``."""

    file: str = Field(min_length=1)
    geometry: str = ""
    crs: str = Field(default="EPSG:4326", min_length=1)
    direction: str = "both"
    meaning: dict[str, Literal["along", "against", "both"]] | None = None
    speed: str | float = 50.0
    lanes: str | float = 1.0
    rank: str | int = Field(default=5)
    snap: float = Field(default=1.0, gt=0)
    aside: str | float = 0.0
    street: str | None = Field(default=None, min_length=1)
    name: Name | None = None


class CitySettings(Section):
    """Where the scenario plays: exactly one of these."""

    synthetic: SyntheticCity | None = None
    osm: OsmCity | None = None
    census: CensusCity | None = None
    one_place: OnePlaceCity | None = None
    sumo: SumoCity | None = None
    lines: LinesCity | None = None
    bundle: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _exactly_one(self) -> "CitySettings":
        kinds = list(CitySettings.model_fields)
        given = [name for name in kinds if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of {', '.join(kinds)} (given {' and '.join(given) or 'none'})")
        return self

    @property
    def people(self) -> int | None:
        """Number of people if it is known from here; None if the city's source decides it."""
        if self.sumo is not None or self.lines is not None:
            return 0
        source = self.synthetic or self.osm or self.one_place
        return None if source is None else source.people

    @property
    def files(self) -> dict[tuple[str | int, ...], str]:
        """Files the city is made of, by key; a bundle is a directory and not among them."""
        files: dict[tuple[str | int, ...], str | None] = {}
        if self.census is not None:
            files["census", "file"] = self.census.file
        if self.osm is not None:
            files["osm", "file"], files["osm", "census"] = self.osm.file, self.osm.census
        if self.lines is not None:
            files["lines", "file"] = self.lines.file
        if self.sumo is not None:
            files["sumo", "file"] = self.sumo.file
            files |= {("sumo", "additional", number): file for number, file in enumerate(self.sumo.additional)}
        return {path: file for path, file in files.items() if file is not None}


class DesignSettings(Section):
    """A street design: a file, or changes written here."""

    name: Name
    file: str | None = Field(default=None, min_length=1)
    changes: list[dict[str, Any]] | None = None
    crs: str | None = Field(default=None, min_length=1)
    built: bool = True

    @model_validator(mode="after")
    def _file_or_changes(self) -> "DesignSettings":
        if (self.file is None) == (self.changes is None):
            given = "both" if self.file is not None else "none"
            raise ValueError(f"needs either file or changes (given {given})")
        if self.crs is not None and self.file is not None:
            raise ValueError("crs: the file states its own; give 'crs' with 'changes' only")
        return self


class DesignedCity(CitySettings):
    """A city on which street designs are built.

    Attributes:
        designs: contents of the designs in the order in which they are applied, as ``Design.to_dict`` gives them.
    """

    designs: tuple[dict[str, Any], ...]

    @property
    def before(self) -> CitySettings:
        """The city without the designs."""
        return CitySettings(**{name: getattr(self, name) for name in CitySettings.model_fields})


class ClockSettings(Section):
    """When the scenario plays."""

    start: datetime.date = datetime.date(2026, 1, 5)
    from_: str | None = Field(default=None, alias="from", min_length=1)
    days: int = Field(default=120, ge=1, le=MAX_DAYS)
    step: Duration = float(SECONDS["day"])

    @model_validator(mode="after")
    def _whole_days(self) -> "ClockSettings":
        if self.step != SECONDS["day"]:
            raise ValueError('step: the processes of this version move by the day; allowed: "1 day"')
        if not FIRST_START <= self.start <= LAST_START:
            raise ValueError(f"start: must be from {FIRST_START} to {LAST_START} (given {self.start})")
        return self

    def date(self, day: int) -> datetime.date:
        """Return the date of a day of the run (0 is the first)."""
        return self.start + datetime.timedelta(days=day)

    def day(self, date: datetime.date) -> int:
        """Return the day of the run (0 is the first) that a date is."""
        return (date - self.start).days


class OutputSettings(Section):
    """What is written beside the summary and the series of each run."""

    tables: list[str] = Field(default_factory=list)
    by_zone: bool = False
    by_age: bool = False
    checkpoint_every: Duration | None = None

    @field_validator("checkpoint_every", mode="after")
    @classmethod
    def _whole_days(cls, every: float | None) -> float | None:
        if every is not None and (every < SECONDS["day"] or every % SECONDS["day"]):
            raise ValueError('must be whole days, as in "10 days"')
        return every

    @property
    def checkpoint_days(self) -> int | None:
        """Days after which the state of a run is saved again and again; None: only when it is asked to stop."""
        return None if self.checkpoint_every is None else int(self.checkpoint_every) // SECONDS["day"]
