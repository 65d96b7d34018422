"""What the tags of an OpenStreetMap street mean: rank, who may use it, direction, speed, lanes.

Meanings follow the OpenStreetMap wiki (pages "Key:highway", "OSM tags for routing/Access restrictions", "Key:oneway",
"Key:maxspeed", "Key:lanes"). What the wiki leaves open is marked *assumed*.
"""

import re

from ...roads import Access, RoadRank

Tags = dict[str, str]

CAR, BICYCLE, FOOT, BUS = Access.CAR, Access.BICYCLE, Access.FOOT, Access.BUS
MOTOR = CAR | BUS
ALL = MOTOR | BICYCLE | FOOT

RANKS: dict[str, tuple[RoadRank, Access]] = {
    "motorway": (RoadRank.MOTORWAY, MOTOR),
    "motorway_link": (RoadRank.MOTORWAY, MOTOR),
    "trunk": (RoadRank.TRUNK, MOTOR),  # walking and cycling only where tagged (assumed: national rules differ)
    "trunk_link": (RoadRank.TRUNK, MOTOR),
    "primary": (RoadRank.PRIMARY, ALL),
    "primary_link": (RoadRank.PRIMARY, ALL),
    "secondary": (RoadRank.SECONDARY, ALL),
    "secondary_link": (RoadRank.SECONDARY, ALL),
    "tertiary": (RoadRank.TERTIARY, ALL),
    "tertiary_link": (RoadRank.TERTIARY, ALL),
    "unclassified": (RoadRank.UNCLASSIFIED, ALL),
    "road": (RoadRank.UNCLASSIFIED, ALL),
    "residential": (RoadRank.RESIDENTIAL, ALL),
    "living_street": (RoadRank.LIVING_STREET, ALL),
    "service": (RoadRank.SERVICE, ALL),
    "busway": (RoadRank.SERVICE, BUS),
    "bus_guideway": (RoadRank.SERVICE, BUS),
    "track": (RoadRank.TRACK, BICYCLE | FOOT),  # cars only where tagged (assumed: field and forest tracks)
    "cycleway": (RoadRank.CYCLEWAY, BICYCLE | FOOT),  # walking allowed unless tagged otherwise (assumed)
    "path": (RoadRank.PATH, BICYCLE | FOOT),
    "pedestrian": (RoadRank.PATH, FOOT),
    "footway": (RoadRank.PATH, FOOT),
    "steps": (RoadRank.PATH, FOOT),
    "bridleway": (RoadRank.PATH, FOOT),
}
"""Value of ``highway``: rank and who may use it where nothing else is tagged. Other values are no streets in use."""

_CLOSED = frozenset(
    {
        "no", "private", "agricultural", "forestry", "agricultural;forestry", "delivery", "emergency", "military",
        "permit", "use_sidepath", "dismount", "official_use", "restricted",
    }
)  # fmt: skip
_OPEN = frozenset({"yes", "designated", "permissive", "destination", "customers", "official", "public"})

# from the general key to the particular one: the particular one has the last word
_ACCESS_KEYS: tuple[tuple[str, Access, Access], ...] = (  # key, what "no" closes, what "yes" opens
    ("access", ALL, Access(0)),  # access=yes on a footway does not make it a street
    ("vehicle", MOTOR | BICYCLE, Access(0)),
    ("motor_vehicle", MOTOR, MOTOR),
    ("motorcar", CAR, CAR),
    ("psv", BUS, BUS),
    ("bus", BUS, BUS),
    ("bicycle", BICYCLE, BICYCLE),
    ("foot", FOOT, FOOT),
)


def access(tags: Tags) -> Access:
    """Return who may use a street at all, in any direction."""
    allowed = RANKS[tags["highway"]][1]
    if tags.get("motorroad") == "yes":
        allowed &= ~(BICYCLE | FOOT)
    for key, closes, opens in _ACCESS_KEYS:
        value = tags.get(key)
        if value is None:
            continue
        if value in _CLOSED:
            allowed &= ~closes
        elif value in _OPEN:
            allowed |= opens
    return allowed


def directions(tags: Tags) -> tuple[Access, Access]:
    """Return who may use a street along its way and against it.

    One-way holds for vehicles; people walk both ways. ``oneway=reversible`` is open along the way only (assumed:
    the hours are not in the data).
    """
    allowed = access(tags)
    oneway = tags.get("oneway", "")
    implied = tags.get("junction") in ("roundabout", "circular") or tags["highway"] == "motorway"
    if oneway in ("-1", "reverse"):
        forward, backward = allowed & FOOT, allowed
    elif oneway in ("yes", "true", "1", "reversible") or (implied and oneway != "no"):
        forward, backward = allowed, allowed & FOOT
    else:
        return allowed, allowed
    contraflow = Access(0)
    cycling = [tags.get(key, "") for key in ("cycleway", "cycleway:left", "cycleway:right", "cycleway:both")]
    if (
        tags.get("oneway:bicycle") == "no"
        or any(value.startswith("opposite") or value == "contraflow" for value in cycling)
        or "-1" in (tags.get("cycleway:left:oneway"), tags.get("cycleway:right:oneway"))
    ):
        contraflow |= BICYCLE
    if (
        "no" in (tags.get("oneway:bus"), tags.get("oneway:psv"))
        or tags.get("busway") == "opposite_lane"
        or "opposite_lane" in (tags.get("busway:left"), tags.get("busway:right"))
    ):
        contraflow |= BUS
    return forward | (allowed & contraflow), backward | (allowed & contraflow)


# ---------------------------------------------------------------------- speed

KMH = 1.0 / 3.6  # m/s in one km/h
MPH = 0.44704  # m/s in one mile per hour
KNOT = 1.852 / 3.6  # m/s in one knot
WALK = 7.0  # km/h, maxspeed=walk (upper end of what German courts call walking speed; 4 to 7)
NO_LIMIT = 130.0  # km/h, maxspeed=none (the advisory speed of German motorways)

DEFAULT_SPEED: dict[str, float] = {
    "motorway": 120.0, "motorway_link": 60.0, "trunk": 80.0, "trunk_link": 60.0,
    "primary": 50.0, "primary_link": 50.0, "secondary": 50.0, "secondary_link": 50.0,
    "tertiary": 50.0, "tertiary_link": 50.0, "unclassified": 50.0, "road": 50.0,
    "residential": 30.0, "living_street": 15.0, "service": 15.0, "busway": 50.0, "bus_guideway": 50.0,
    "track": 20.0, "cycleway": 20.0, "path": 15.0, "pedestrian": 7.0, "footway": 5.0, "steps": 3.0, "bridleway": 5.0,
}  # fmt: skip
"""km/h where nothing is tagged (assumed: a European town, 50 the general limit, 30 in housing areas)."""

# km/h by country and kind of road: rural, motorway; the urban limit is 50 but for the exceptions below.
# Source: national traffic codes as listed on the OpenStreetMap wiki page "Default speed limits".
_NATIONAL: dict[str, tuple[float, float]] = {
    "AT": (100, 130), "BE": (90, 120), "CH": (80, 120), "CZ": (90, 130), "DE": (100, NO_LIMIT), "DK": (80, 130),
    "ES": (90, 120), "FI": (80, 120), "FR": (80, 130), "HU": (90, 130), "IE": (80, 120), "IT": (90, 130),
    "LU": (90, 130), "NL": (80, 100), "NO": (80, 110), "PL": (90, 140), "PT": (90, 120), "RO": (90, 130),
    "SE": (70, 110), "SI": (90, 130), "SK": (90, 130), "UK": (60 * 1.609344, 70 * 1.609344),
    "GB": (60 * 1.609344, 70 * 1.609344),
}  # fmt: skip
_URBAN: dict[str, float] = {"UK": 30 * 1.609344, "GB": 30 * 1.609344}
_LIVING: dict[str, float] = {"NL": 15.0, "DE": WALK, "AT": 5.0, "FR": 20.0, "BE": 20.0, "CH": 20.0, "ES": 20.0}
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*(mph|km/h|kmh|kph|knots)?$")
_IMPLICIT = re.compile(r"([A-Za-z]{2})[^:]*:(.+)$")


def parse_speed(text: str) -> float | None:
    """Return a ``maxspeed`` value in m/s, or None where it says nothing usable ("signals", "variable").

    Several values ("80;50") mean the lowest. "NL:urban" and the like stand for the country's limit of that kind.
    """
    speeds = [speed for part in text.split(";") if (speed := _one_speed(part.strip())) is not None]
    return min(speeds) if speeds else None


def _one_speed(text: str) -> float | None:
    low = text.lower()
    if number := _NUMBER.match(low):
        value = float(number[1])
        return value * {"mph": MPH, "knots": KNOT}.get(number[2] or "", KMH) if 0 < value <= 300 else None
    if low in ("walk", "walking_pace"):
        return WALK * KMH
    if low == "none":
        return NO_LIMIT * KMH
    implicit = _IMPLICIT.match(text)
    if implicit is None:
        return None
    country, kind = implicit[1].upper(), implicit[2].lower()
    rural, motorway = _NATIONAL.get(country, (90.0, 120.0))
    zone = re.search(r"zone:?(\d+)|^(\d+)$", kind)
    if zone:
        value = float(zone[1] or zone[2])
        return value * (MPH if country in ("UK", "GB") else KMH) if value > 0 else None
    named = {
        "urban": _URBAN.get(country, 50.0),
        "nsl_restricted": _URBAN.get(country, 50.0),
        "rural": rural,
        "nsl_single": rural,
        "trunk": motorway if country in ("UK", "GB") else rural,
        "nsl_dual": motorway,
        "motorway": motorway,
        "living_street": _LIVING.get(country, 20.0),
        "walk": WALK,
        "bicycle_road": 30.0,
        "bicycle_street": 30.0,
    }
    return named[kind] * KMH if kind in named else None


def speed(tags: Tags, forward: bool) -> tuple[float, bool]:
    """Return the limit in m/s of one direction, and whether it was tagged."""
    side = "forward" if forward else "backward"
    for key in (f"maxspeed:{side}", "maxspeed", "maxspeed:type", "source:maxspeed", "zone:maxspeed"):
        if key in tags and (value := parse_speed(tags[key])) is not None:
            return value, True
    return DEFAULT_SPEED[tags["highway"]] * KMH, False


# ---------------------------------------------------------------------- lanes

_TWO_LANES = frozenset({"motorway", "trunk"})  # lanes of one direction of a dual carriageway (assumed)


def lanes(tags: Tags, forward: Access, backward: Access) -> tuple[float, float, bool]:
    """Return the lanes for motor traffic along and against a way, and whether they were tagged.

    A single lane that both directions share counts as one for each; an odd number is halved.
    """
    along, against = bool(forward & MOTOR), bool(backward & MOTOR)
    total = _count(tags.get("lanes"))
    known = total is not None
    if along != against:
        side = _count(tags.get("lanes:forward" if along else "lanes:backward"))
        number = side or total or (2.0 if tags["highway"] in _TWO_LANES else 1.0)
        return (number, 0.0, known or side is not None) if along else (0.0, number, known or side is not None)
    if not along:
        return 0.0, 0.0, True
    one, other = _count(tags.get("lanes:forward")), _count(tags.get("lanes:backward"))
    if total is not None:
        shared = _count(tags.get("lanes:both_ways")) or 0.0
        if one is None and other is not None:
            one = total - shared - other
        if other is None and one is not None:
            other = total - shared - one
    if one is not None or other is not None:
        return max(one or 1.0, 1.0), max(other or 1.0, 1.0), True
    half = max((total or 2.0) / 2.0, 1.0)
    return half, half, known


def _count(text: str | None) -> float | None:
    """Return a number of lanes (1 … 16), or None if it is absent or unusable."""
    if text is None:
        return None
    try:
        value = float(text.split(";")[0])
    except ValueError:
        return None
    return value if 1 <= value <= 16 else None
