"""The section ``[traffic]`` of a scenario file."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from ..parts import Seconds
from .cars import OwnershipSettings
from .gates import GateSettings
from .modes import ModeSettings

Share = Annotated[float, Field(ge=0, le=1)]


class MatrixSettings(BaseModel):
    """Trips between zones, read from a file.

    Attributes:
        file: CSV with columns origin, destination, trips and perhaps mode, begin and end, or a matrix of VISUM ($OR).
        zones: file of the zones' areas or points that GeoPandas reads; without it the zones of the city.
        zone_name: column of the zones that the matrix calls them by.
        factor: number by which all trips are multiplied.
        profile: weights of equal parts of the period in which trips depart; evenly without.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    file: str
    zones: str | None = None
    zone_name: str = "name"
    factor: Annotated[float, Field(gt=0, le=1000)] = 1.0
    profile: tuple[Annotated[float, Field(ge=0)], ...] | None = None


class AirSettings(BaseModel):
    """Weather in which emissions spread, the same all day; see :class:`~citytwin.environment.air.dispersion.Weather`.

    Attributes:
        wind: m/s.
        direction: degrees from north, clockwise, from which the wind blows; None for all directions alike.
        stability: Pasquill class, A very unstable to F stable.
        mixing_height: m, top of the air that emissions reach.
        cell: m, side of the cells in which concentrations are computed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    wind: Annotated[float, Field(ge=0.5, le=50)] = 3.0  # calm air is about 0.5 m/s; mean as of Weather
    direction: Annotated[float, Field(ge=0, le=360)] | None = None
    stability: Literal["A", "B", "C", "D", "E", "F"] = "D"
    mixing_height: Annotated[float, Field(ge=50, le=5000)] = 800.0
    cell: Annotated[float, Field(ge=25, le=1000)] = 100.0


class TrafficSettings(BaseModel):
    """How people move and vehicles flow.

    Attributes:
        reroute: how often the state of the streets is looked at: whoever departs then takes the route that is quickest by
            it.
        rerouting: share of drivers under way who look, too, and change their route if another has become quicker. With
            learning only those look whose route takes longer than they expected.
        learning: times that the first day is lived through before it counts. Each time drivers depart on what they met
            the time before, and ``1 / (n + 1)`` of them look for a better route in the n-th (method of successive averages).
        route_error: variance of the time that drivers take a link for in learning, by second of its free time (Sheffi &
            Powell 1982); "0 s" for none: each finds the quickest route.
        stuck: how long a vehicle stands blocked before it is forced into the next link, which is counted; "0 s" for never.
        sample: share of vehicles whose passages of links are kept in the table ``trajectories``.
        residents: False for a day on which only given trips are made.
        transit: lines of public transport: "invented", "none", or a list of GTFS feeds (zip archives).
        buses: False to let buses keep to their timetable whatever happens on the streets.
        gates: through traffic between the ends of large streets, and freight; None for neither.
        matrices: trips between zones from files, on top of the residents'.
        trip_tables: files of single trips, likewise.
        sumo_routes: files of SUMO with vehicles that keep to their routes, and with the types of these.
        streets: False for a model of people's trips without flow: cars then take the time of empty streets.
        emissions: whether grams of CO2, nitrogen oxides and particles are counted.
        air: weather in which emissions spread to where people are; None for no concentrations.
        noise: whether noise at homes is computed.
        private_parking: share of households whose cars stand on ground of their own at home, three in four (assumed); the
            others take places in the street where those are counted.
        modes: utilities of the modes.
        ownership: cars, licences, bicycles and season tickets.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    reroute: Annotated[Seconds, Field(ge=60, le=86_400)] = 600.0
    rerouting: Share = 0.3
    learning: Annotated[int, Field(ge=0, le=200)] = 0
    route_error: Annotated[Seconds, Field(ge=0, le=3600)] = 0.0
    stuck: Annotated[Seconds, Field(ge=0, le=86_400)] = 300.0
    sample: Share = 0.0
    residents: StrictBool = True
    transit: Literal["invented", "none"] | Annotated[tuple[str, ...], Field(min_length=1)] = "invented"
    buses: StrictBool = True
    gates: GateSettings | None = None
    matrices: tuple[MatrixSettings, ...] = ()
    trip_tables: tuple[str, ...] = ()
    sumo_routes: tuple[str, ...] = ()
    streets: StrictBool = True
    emissions: StrictBool = True
    air: AirSettings | None = None
    noise: StrictBool = False
    private_parking: Share = 0.75
    modes: ModeSettings = Field(default_factory=ModeSettings)
    ownership: OwnershipSettings = Field(default_factory=OwnershipSettings)

    @model_validator(mode="after")
    def _check_error(self) -> "TrafficSettings":
        if self.route_error and not self.learning:
            raise ValueError(
                "route_error is for learning; set learning = 10, or how often the day is to be lived through"
            )
        return self
