"""The kinds of changes that a design may hold, and their parameters with units and bounds."""

import math
from dataclasses import dataclass, field
from typing import Any

COMPASS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")
RANKS = ("primary", "secondary", "tertiary", "unclassified", "residential", "living_street", "service")
"""Ranks that a new street may have."""
SCHOOLS = ("kindergarten", "primary", "secondary", "university")
FACILITIES = (
    *SCHOOLS, "work", "shop", "leisure", "clinic", "hospital", "fire_station", "ambulance_station", "police_station",
)  # fmt: skip
MOST_TEXT = 500
"""Characters of a text in a design."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a change.

    Attributes:
        kind: ``number``, ``whole``, ``flag``, ``text``, ``choice`` or ``users``.
        doc: meaning and unit.
        low, high: bounds of a number.
        choices: what a choice may be.
        required: whether it must be given.
        default: value where it is not.
    """

    kind: str
    doc: str
    low: float = 0.0
    high: float = math.inf
    choices: tuple[str, ...] = ()
    required: bool = False
    default: Any = None

    @property
    def allowed(self) -> str:
        """What the parameter may be, for people to read."""
        if self.kind in ("number", "whole"):
            return f"a {'whole ' if self.kind == 'whole' else ''}number from {self.low:g} to {self.high:g}"
        if self.kind == "choice":
            return ", ".join(self.choices)
        return {"flag": "true or false", "text": f"a text of 1 to {MOST_TEXT} characters"}[self.kind]


@dataclass(frozen=True)
class Spec:
    """What a kind of change needs.

    Attributes:
        doc: what it does.
        shapes: geometries that say where: ``line``, ``area``, ``point``.
        parameters: by name.
        by_name: whether streets may be named (``street``, ``way``, ``links``) instead of drawn.
        timed: whether it may hold for some dates, weekdays or hours only.
    """

    doc: str
    shapes: tuple[str, ...]
    parameters: dict[str, Parameter] = field(default_factory=dict)
    by_name: bool = False
    timed: bool = False


_STREETS = ("line", "area", "point")
_DIRECTION = Parameter(
    "choice",
    "both directions of the street, or only that in which the line is drawn (or the heading leads)",
    choices=("both", "along"),
)
_HEADING = Parameter("choice", "direction that is meant where no line is drawn", choices=COMPASS)
_ALONG = {"direction": _DIRECTION, "heading": _HEADING}
_KMH = Parameter("number", "speed limit, km/h", low=3, high=150, required=True)
_FLOOR = Parameter("number", "floor area, m2", low=10, high=500_000, default=300.0)  # a small shop or practice, assumed

SPECS: dict[str, Spec] = {
    "close": Spec(
        "close streets",
        _STREETS,
        {
            "to": Parameter(
                "choice", "who is kept out", choices=("cars", "motor", "bicycles", "all"), default="cars"
            ),
            **_ALONG,
        },
        by_name=True,
        timed=True,
    ),
    "one_way": Spec(
        "let cars drive one way only: as the line is drawn, or as the heading leads",
        ("line", "area", "point"),
        {
            "heading": _HEADING,
            "buses": Parameter("flag", "whether buses, too, may drive one way only", default=True),
            "bicycles": Parameter("flag", "whether bicycles, too, may ride one way only", default=False),
        },
        by_name=True,
        timed=True,
    ),
    "lanes": Spec(
        "another number of lanes",
        _STREETS,
        {"lanes": Parameter("whole", "lanes in each direction", low=1, high=8, required=True), **_ALONG},
        by_name=True,
        timed=True,
    ),
    "speed": Spec("another speed limit", _STREETS, {"kmh": _KMH, **_ALONG}, by_name=True, timed=True),
    "bus_lane": Spec(
        "a lane for buses",
        _STREETS,
        {
            "takes_lane": Parameter("flag", "whether it takes a lane from other traffic", default=True),
            **_ALONG,
        },
        by_name=True,
        timed=True,
    ),
    "bike_lane": Spec(
        "a lane for bicycles",
        _STREETS,
        {
            "takes_lane": Parameter("flag", "whether it takes a lane from other traffic", default=False),
            **_ALONG,
        },
        by_name=True,
        timed=True,
    ),
    "filter": Spec(
        "a modal filter: cars cannot pass, others can",
        ("point",),
        {"buses": Parameter("flag", "whether buses may pass", default=True)},
        timed=True,
    ),
    "superblock": Spec(
        "an area whose inside cars reach from its edge but do not cross",
        ("area",),
        {
            "kmh": Parameter("number", "speed limit inside, km/h; as before if left out", low=3, high=50),
            "margin": Parameter(
                "number", "streets within so many metres of the outline belong to its edge", high=200, default=15.0
            ),
        },
    ),
    "toll": Spec(
        "money to be paid by cars: for an area on entering it, for streets by length driven",
        _STREETS,
        {
            "amount": Parameter(
                "number", "money for entering the area, or for driving the whole of the streets", high=1_000,
                required=True,
            ),
            **_ALONG,
        },
        by_name=True,
        timed=True,
    ),
    "parking": Spec(
        "places to park at the kerb, all that the streets have then",
        _STREETS,
        {"places": Parameter("whole", "places, shared out by length", high=100_000, required=True)},
        by_name=True,
    ),
    "new_street": Spec(
        "a street that was not there",
        ("line",),
        {
            "name": Parameter("text", "name of the street", default=""),
            "rank": Parameter("choice", "place in the hierarchy", choices=RANKS, default="residential"),
            "kmh": Parameter("number", "speed limit, km/h", low=3, high=150, default=30.0),
            "lanes": Parameter("whole", "lanes in each direction", low=1, high=8, default=1),
            "one_way": Parameter("flag", "whether cars drive only as the line is drawn", default=False),
            "users": Parameter(
                "choice", "who may use it", choices=("all", "no cars", "bicycles and feet"), default="all"
            ),
        },
    ),
    "new_stop": Spec(
        "a stop of public transport",
        ("point",),
        {"name": Parameter("text", "name of the stop", required=True)},
    ),
    "new_line": Spec(
        "a line of public transport that stops at every corner of the line drawn, or every so many metres",
        ("line",),
        {
            "name": Parameter("text", "name of the line", required=True),
            "mode": Parameter("choice", "vehicle", choices=("bus", "tram", "metro", "rail", "ferry"), default="bus"),
            "headway": Parameter("number", "minutes from one vehicle to the next", low=1, high=240, default=10.0),
            "first": Parameter("text", "departure of the first vehicle, as in 05:30", default="05:30"),
            "last": Parameter("text", "departure of the last vehicle", default="23:30"),
            "kmh": Parameter("number", "speed between stops, km/h", low=5, high=300, default=25.0),
            "capacity": Parameter("whole", "passengers a vehicle", low=1, high=3_000, default=70),
            "spacing": Parameter("number", "metres between stops", low=100, high=50_000),
            "both": Parameter("flag", "whether it runs back as well", default=True),
        },
    ),
    "facility": Spec(
        "an institution that was not there",
        ("point",),
        {
            "kind": Parameter("choice", "what it is", choices=FACILITIES, required=True),
            "name": Parameter("text", "name", default=""),
            "places": Parameter("whole", "pupils, beds or vehicles; a school needs it", low=1, high=20_000),
            "floor_area": _FLOOR,
            "jobs": Parameter("whole", "people who work there; left out, by floor area or classes", high=20_000),
        },
    ),
    "density": Spec(
        "new dwellings, into which households of the rest of the city move",
        ("area",),
        {"dwellings": Parameter("whole", "dwellings", low=1, high=100_000, required=True)},
    ),
    "land_use": Spec(
        "another use of the buildings of an area",
        ("area",),
        {
            "use": Parameter(
                "choice", "main use of the buildings",
                choices=("residential", "work", "shop", "school", "hospital", "leisure", "mixed", "other"),
                required=True,
            ),
            "dwellings": Parameter("whole", "dwellings that are added", low=1, high=100_000),
            "jobs": Parameter("whole", "jobs that move in from the rest of the city", low=1, high=100_000),
        },
    ),
}  # fmt: skip
"""Every kind of change."""

WHERE = ("street", "way", "links", "line", "area", "point", "geometry")
WHEN = ("from", "until", "hours", "weekdays")
FREE = ("note", "fid", "id")
"""Columns without a meaning here, that editors and their users put in."""
