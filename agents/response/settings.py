"""The section ``[response]`` of a scenario file."""

import itertools
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, field_validator, model_validator

from ..parts import Number, Part, Seconds, Share, Whole
from .decisions import RULES, dispatcher_named
from .events import EventSettings
from .kinds import Kinds, ServiceName, Services
from .laws import Time
from .tasks import SPECIALTIES

DAY = 86_400
MOST_UNITS = 2_000
MOST_STATIONS = 2_000
_CLOCK = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")

DispatchRule = Literal["nearest", "coverage"]
QueueRule = Literal["first", "closest"]
HospitalRule = Literal["nearest", "divert", "least time"]
MoveRule = Literal["home", "maximal cover", "compliance"]


def _time_of_day(value: Any) -> Any:
    """Return the seconds after midnight of a text such as ``"07:30"``."""
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    seconds = 3600 * int(match.group(1)) + 60 * int(match.group(2)) if match else DAY + 1
    if seconds > DAY:
        raise ValueError(f'must be a time of day, as in "07:30" (given {value!r})')
    return seconds


TimeOfDay = Annotated[int, BeforeValidator(_time_of_day)]
Name = Annotated[str, Field(min_length=1, max_length=50)]


class StationSettings(Part):
    """A station: an institution of the city by its number or name, or a point.

    Attributes:
        name: what results call it; if nothing else is given, the name of a station of the city.
        site: number of the site in the city.
        x, y: metres in the city's CRS.
        longitude, latitude: degrees (WGS 84), in their place.
        units: units that stand there; without, they are shared out.
    """

    name: Name | None = None
    site: Annotated[Whole, Field(ge=0)] | None = None
    x: Number | None = None
    y: Number | None = None
    longitude: Annotated[Number, Field(ge=-180, le=180)] | None = None
    latitude: Annotated[Number, Field(ge=-90, le=90)] | None = None
    units: Annotated[Whole, Field(ge=0, le=MOST_UNITS)] | None = None

    @model_validator(mode="after")
    def _check_where(self) -> "StationSettings":
        metres, degrees = (self.x, self.y), (self.longitude, self.latitude)
        given = sum((self.site is not None, metres != (None, None), degrees != (None, None)))
        if given > 1 or (None in metres and metres != (None, None)) or (None in degrees and degrees != (None, None)):
            raise ValueError("give one of: site; x and y; longitude and latitude; or a name alone")
        if given == 0 and self.name is None:
            raise ValueError("where is it? give a name, site, x and y, or longitude and latitude")
        return self


class ShiftSettings(Part):
    """When units of a fleet work, beyond those that always do.

    Attributes:
        start, end: times of day, as ``"07:00"``; an end that is not after the start is on the next day, so that a shift from
            06:00 until 06:00 lasts 24 hours.
        units: how many work then.
        weekdays: 0 Monday … 6 Sunday.
    """

    start: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="until")
    units: Annotated[Whole, Field(ge=1, le=MOST_UNITS)]
    weekdays: Annotated[tuple[Annotated[Whole, Field(ge=0, le=6)], ...], Field(min_length=1)] = (0, 1, 2, 3, 4, 5, 6)


class FleetSettings(Part):
    """Units that are alike.

    Attributes:
        service: the service that they belong to; needed unless the fleet is called after one.
        units: units that are always on duty; without, as many as the people of the city need, see :mod:`.fleet`.
        shifts: units that work for part of the day.
        stations: where they stand; without, at the stations of their service in the city.
        crew: people in each.
        crews: crews that there are; there must be enough for all units on duty at once.
        skills: what crews can do, for kinds of incidents that ask for it.
        helps: other services whose calls they answer, without being asked first.
        neighbour: whether they belong to a neighbouring service and only help out.
        lights: speed with lights and siren over that of other traffic on empty streets.
        delay_with_lights: share of what queues and signals cost others that they lose with lights.
        turnout_factor: factor on the time until they leave the station.
    """

    service: ServiceName | None = None
    units: Annotated[Whole, Field(ge=0, le=MOST_UNITS)] | None = None
    shifts: Annotated[tuple[ShiftSettings, ...], Field(max_length=50)] = ()
    stations: Annotated[tuple[StationSettings, ...], Field(min_length=1, max_length=MOST_STATIONS)] | None = None
    crew: Annotated[Whole, Field(ge=1, le=50)] | None = None
    crews: Annotated[Whole, Field(ge=0, le=100_000)] | None = None
    skills: Annotated[tuple[Name, ...], Field(max_length=8)] = ()
    helps: tuple[ServiceName, ...] = ()
    neighbour: StrictBool = False
    lights: Annotated[Number, Field(ge=0.2, le=5)] = 1.3
    # JEMSS: 1.42 in Auckland, 1.45 in Edmonton, 1.34 in Manhattan, 1.1 in Utrecht
    delay_with_lights: Share = 0.4  # assumed
    turnout_factor: Annotated[Number, Field(ge=0, le=100)] = 1.0

    @model_validator(mode="after")
    def _check_crews(self) -> "FleetSettings":
        if self.crews is not None and self.units is not None:
            most = self.units + most_at_once(self.shifts)
            if most > self.crews:
                raise ValueError(
                    f"units: {most} are on duty at once, but there are {self.crews} crews; raise crews or lower units"
                )
        return self


def most_at_once(shifts: tuple[ShiftSettings, ...]) -> int:
    """Return how many units of some shifts work at the same time at most."""
    most = 0
    for weekday in range(7):
        for shift in shifts:  # the number only rises where a shift begins
            most = max(most, sum(other.units for other in shifts if _works(other, weekday, shift.start)))
    return most


def _works(shift: ShiftSettings, weekday: int, second: int) -> bool:
    if shift.start < shift.end:
        return weekday in shift.weekdays and shift.start <= second < shift.end
    return (weekday in shift.weekdays and second >= shift.start) or (
        (weekday - 1) % 7 in shift.weekdays and second < shift.end
    )


Station = Annotated[Whole, Field(ge=0)] | Name
"""A station by its number or name."""


class ComplianceSettings(Part):
    """A compliance table.

    Attributes:
        on_duty: units on duty from which on it counts, until the next table does.
        hold: for 1, 2, … free units the stations to hold, each as often as units are wanted.
    """

    on_duty: Annotated[Whole, Field(ge=0, le=MOST_UNITS)] = 0
    hold: Annotated[tuple[tuple[Station, ...], ...], Field(min_length=1, max_length=MOST_UNITS)]

    @model_validator(mode="after")
    def _check_rows(self) -> "ComplianceSettings":
        for number, row in enumerate(self.hold, 1):
            if len(row) > number:
                raise ValueError(f"row {number} holds {len(row)} stations with {number} free units")
        return self


def _tables(value: Any) -> Any:
    """Return the tables of a list of rows, which stands for one table that always counts."""
    rows = isinstance(value, list | tuple) and value and not any(isinstance(row, dict) for row in value)
    return [{"hold": value}] if rows else value


class MoveSettings(Part):
    """Where free units go.

    Attributes:
        move_up: home, where one adds most to the expected cover ("maximal cover", DMEXCLP of Jagtenberg et al. 2015), or
            to the stations of a compliance table.
        compliance: the table, in a file a list of rows; or several by the units on duty, rising. With fewer on duty than
            any is for, the first counts.
    """

    move_up: MoveRule = "home"
    compliance: Annotated[tuple[ComplianceSettings, ...], BeforeValidator(_tables), Field(max_length=50)] = ()

    @model_validator(mode="after")
    def _check_tables(self) -> "MoveSettings":
        if (self.move_up == "compliance") != bool(self.compliance):
            raise ValueError('compliance: the table and move_up = "compliance" belong together')
        steps = [table.on_duty for table in self.compliance]
        if any(after <= before for before, after in itertools.pairwise(steps)):
            raise ValueError(f"compliance: on_duty must rise from table to table; is {steps}")
        return self


class DispatchSettings(MoveSettings):
    """Who is sent, and what free units do.

    Attributes:
        class_: ``class`` in the file: name of an installed dispatcher that decides in the place of the rules, see
            :mod:`.decisions`; "rules" for none.
        unit: "nearest" by expected arrival, or "coverage": of those who are in time, the one whose leaving leaves most
            demand covered.
        queue: which task a free unit takes of those with the first priority: the one that is ready for longest, or the
            closest.
        services: where free units go by service, where that is not the rule for all.
        hold_out: units of each service kept back for priority 0; fewer than it has. Neighbours are not kept back.
        redispatch: pairs of priorities, from which to which a unit under way may be called away.
        help_after: expected response time beyond which neighbours and other services help out if they are sooner there.
        queueing: False where a call for which nobody is free goes to another service and is lost.
        busy: busy share of each service at first, for the rules that reckon with it; then it is taken from the run.
        lights_from: priorities from this on drive to the scene without lights.
        hospital_lights_from: priorities from this on drive to hospital without.
        cover_within: drive within which a station covers a place, for the rules that ask.
    """

    class_: Name = Field(default=RULES, alias="class")
    unit: DispatchRule = "nearest"
    queue: QueueRule = "first"
    services: dict[ServiceName, MoveSettings] = Field(default_factory=dict)
    hold_out: Annotated[Whole, Field(ge=0, le=MOST_UNITS)] = 0
    redispatch: Annotated[
        tuple[tuple[Annotated[Whole, Field(ge=0, le=7)], Annotated[Whole, Field(ge=0, le=7)]], ...],
        Field(max_length=64),
    ] = ((2, 0), (2, 1), (1, 0))
    help_after: Time | None = None
    queueing: StrictBool = True
    busy: Annotated[Number, Field(ge=0, lt=1)] = 0.4
    lights_from: Annotated[Whole, Field(ge=0, le=8)] = 2
    hospital_lights_from: Annotated[Whole, Field(ge=0, le=8)] = 1
    cover_within: Annotated[Seconds, Field(gt=0, le=DAY)] = 390.0
    # 8 min from the call, less 50 s of call taking and some 40 s of turnout

    @field_validator("class_")
    @classmethod
    def _check_class(cls, value: str) -> str:
        if value != RULES:
            dispatcher_named(value)
        return value

    @model_validator(mode="after")
    def _check(self) -> "DispatchSettings":
        for source, goal in self.redispatch:
            if goal >= source:
                raise ValueError(
                    f"redispatch: from priority {source} to {goal} leads to a task that is not more urgent; 0 goes first"
                )
        return self

    def move(self, service: ServiceName) -> MoveSettings:
        """Return where free units of a service go."""
        return self.services.get(service, self)


class DepartmentSettings(Part):
    """Emergency departments of the hospitals.

    Attributes:
        choice: hospital for a patient: the "nearest", the next one where all bays are taken ("divert"), or the one where
            the drive and the expected wait take "least time".
        bays_per_100_000: bays per 100,000 people, shared out by beds; 0 for as many as are needed.
        divert_at: units at the door from which on a full hospital sends others away.
        beds: whether patients who are admitted need beds of ``[hospitals]``, and board in their bay while there is none.
        specialties: specialties of hospitals, by number or name; those not named here offer all.
        transfer_after: time after which a patient who lies where it is not offered what is needed is moved on.
        boarders: share of the bays that people take at most who need a bed of ``[hospitals]`` and found none anywhere.
        staff: whether bays close with staff who are absent.
    """

    choice: HospitalRule = "divert"
    bays_per_100_000: Annotated[Number, Field(ge=0, le=10_000)] = 19.0
    # 73 bays for 100 calls a day (AmbModelOpen, NHS England), of which 100,000 people have 26
    divert_at: Annotated[Whole, Field(ge=0, le=1000)] = 1
    beds: StrictBool = True
    specialties: dict[Name, tuple[Literal[SPECIALTIES[1:]], ...]] = Field(default_factory=dict)  # type: ignore[valid-type]
    transfer_after: Annotated[Seconds, Field(ge=0, le=7 * DAY)] = 7200.0  # assumed
    boarders: Share = 0.5  # assumed
    staff: StrictBool = True


class ResponseSettings(Part):
    """The section ``[response]``.

    Attributes:
        services: services that take part; without, those that have stations in the city or a fleet here.
        kinds: kinds of incidents, the shipped ones changed or added to.
        service_times: turnout and clearing by service, likewise.
        calls: factor on the rates of all kinds.
        events: files of real events, whose incidents come on top.
        fleet: fleets by name.
        dispatch: who is sent.
        departments: emergency departments.
        targets: times within which calls of priorities 0, 1, … are to be reached, from the call; the last one holds for
            those that follow.
        travel: how often travel times follow the traffic of the day.
        staff: whether crews stay away with those who are ill or quarantined.
    """

    services: Annotated[tuple[ServiceName, ...], Field(min_length=1)] | None = None
    kinds: Annotated[Kinds, Field(validate_default=True)] = Field(default_factory=dict)
    service_times: Annotated[Services, Field(validate_default=True)] = Field(default_factory=dict)
    calls: Annotated[Number, Field(ge=0, le=1000)] = 1.0
    events: Annotated[tuple[EventSettings, ...], Field(max_length=20)] = ()
    fleet: Annotated[dict[Name, FleetSettings], Field(max_length=50)] = Field(default_factory=dict)
    dispatch: DispatchSettings = Field(default_factory=DispatchSettings)
    departments: DepartmentSettings = Field(default_factory=DepartmentSettings)
    targets: Annotated[tuple[Annotated[Seconds, Field(gt=0, le=DAY)], ...], Field(min_length=1, max_length=8)] = (
        480.0,
        900.0,
        2400.0,
    )  # 8 min at once in Auckland (JEMSS), 15 and 40 min as the 90th percentiles of England's categories 1 and 2
    travel: Annotated[Seconds, Field(ge=900, le=DAY)] = 3600.0
    staff: StrictBool = True

    @model_validator(mode="after")
    def _check_events(self) -> "ResponseSettings":
        for number, file in enumerate(self.events):
            for key, kind in (("kind", file.kind), *(("kinds", kind) for kind in file.kinds.values())):
                if kind is not None and kind not in self.kinds:
                    raise ValueError(
                        f"events[{number}].{key}: '{kind}' is no kind of incident; there are: {', '.join(self.kinds)}"
                    )
        return self

    @model_validator(mode="after")
    def _check_fleet(self) -> "ResponseSettings":
        for name, fleet in self.fleet.items():
            service = fleet.service or name
            if service not in ("ambulance", "fire", "police"):
                raise ValueError(f"fleet.{name}.service is missing; allowed: ambulance, fire, police")
            if self.services is not None and service not in self.services:
                raise ValueError(f"fleet.{name}: its service '{service}' is not among services")
        return self

    @model_validator(mode="after")
    def _check_dispatch(self) -> "ResponseSettings":
        for service in self.dispatch.services:
            if self.services is not None and service not in self.services:
                raise ValueError(f"dispatch.services.{service}: '{service}' is not among services")
        return self
