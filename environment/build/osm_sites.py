"""Points of interest of an OpenStreetMap file: schools by level, shops, leisure, hospitals, stations, workplaces."""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ..places import BuildingUse, SiteKind
from .osm_buildings import Buildings
from .osm_read import Areas, OsmData

SHOP_AREA = 200.0  # m2, most that a shop or café on the ground floor of a dwelling house takes (assumed)
SAME_STOP = 15.0  # m within which a platform and a bus stop are one stop (assumed)
MAX_CAPACITY = 100_000

_AMENITY: dict[str, SiteKind] = {
    word: kind
    for words, kind in (
        ("kindergarten childcare preschool", SiteKind.KINDERGARTEN),
        ("university college", SiteKind.UNIVERSITY),
        ("marketplace pharmacy bank post_office fuel bureau_de_change", SiteKind.SHOP),
        (
            "restaurant cafe bar pub fast_food biergarten food_court ice_cream cinema theatre nightclub arts_centre "
            "library community_centre social_centre place_of_worship casino events_venue music_venue",
            SiteKind.LEISURE,
        ),
        ("hospital clinic", SiteKind.HOSPITAL),
        ("fire_station", SiteKind.FIRE_STATION),
        ("police", SiteKind.POLICE_STATION),
        (
            "townhall courthouse social_facility nursing_home doctors dentist veterinary studio public_building "
            "coworking_space prison driving_school language_school music_school embassy post_depot car_rental",
            SiteKind.WORK,
        ),
        ("bus_station ferry_terminal", SiteKind.TRANSPORT_STOP),
    )
    for word in words.split()
}
_LEISURE = frozenset(
    "sports_centre fitness_centre sports_hall stadium dance bowling_alley ice_rink amusement_arcade water_park "
    "adult_gaming_centre miniature_golf horse_riding escape_game".split()
)
_TOURISM: dict[str, SiteKind] = {
    "museum": SiteKind.LEISURE, "gallery": SiteKind.LEISURE, "zoo": SiteKind.LEISURE, "aquarium": SiteKind.LEISURE,
    "theme_park": SiteKind.LEISURE, "hotel": SiteKind.WORK, "hostel": SiteKind.WORK, "guest_house": SiteKind.WORK,
}  # fmt: skip
_NOTHING = frozenset({"no", "vacant", "disused", "abandoned"})
_SCHOOL_BUILDINGS = {
    "school": ("amenity=school", None),
    "kindergarten": ("amenity=kindergarten", SiteKind.KINDERGARTEN),
    "university": ("amenity=university", SiteKind.UNIVERSITY),
    "college": ("amenity=college", SiteKind.UNIVERSITY),
    "hospital": ("amenity=hospital", SiteKind.HOSPITAL),
    "fire_station": ("amenity=fire_station", SiteKind.FIRE_STATION),
}
"""Types of building that tell an institution of their own where no point of interest does."""

_PURPOSE: dict[SiteKind, BuildingUse] = {
    SiteKind.KINDERGARTEN: BuildingUse.SCHOOL,
    SiteKind.PRIMARY: BuildingUse.SCHOOL,
    SiteKind.SECONDARY: BuildingUse.SCHOOL,
    SiteKind.UNIVERSITY: BuildingUse.SCHOOL,
    SiteKind.SHOP: BuildingUse.SHOP,
    SiteKind.LEISURE: BuildingUse.LEISURE,
    SiteKind.HOSPITAL: BuildingUse.HOSPITAL,
}  # the others work


@dataclass
class Interests:
    """Points of interest, before they are tied to buildings.

    Attributes:
        value: the tag that tells each, such as ``"amenity=school"``.
        kind: its kind; schools of unknown level are PRIMARY here.
        tags: its tags.
        points: shapely points, inside the polygon for areas.
        shapes: polygon, None for nodes.
        origin: ``"node/…"``, ``"way/…"`` or ``"relation/…"``.
    """

    value: list[str]
    kind: list[SiteKind]
    tags: list[dict[str, str]]
    points: NDArray[np.object_]
    shapes: NDArray[np.object_]
    origin: list[str]

    def purposes(self) -> list[BuildingUse]:
        """Return what each point says about the use of the building around it."""
        return [_PURPOSE.get(kind, BuildingUse.WORK) for kind in self.kind]


def classify(tags: dict[str, str]) -> tuple[str, SiteKind] | None:
    """Return the telling tag and the kind of site, or None where the tags tell no site."""
    amenity = tags.get("amenity", "")
    if amenity == "school":
        return "amenity=school", SiteKind.PRIMARY
    if amenity in _AMENITY:
        return f"amenity={amenity}", _AMENITY[amenity]
    if tags.get("emergency") == "ambulance_station":
        return "emergency=ambulance_station", SiteKind.AMBULANCE_STATION
    if tags.get("healthcare") in ("hospital", "clinic"):
        return f"amenity={tags['healthcare']}", SiteKind.HOSPITAL
    if tags.get("shop", "no") not in _NOTHING:
        return f"shop={tags['shop']}", SiteKind.SHOP
    if tags.get("leisure") in _LEISURE:
        return f"leisure={tags['leisure']}", SiteKind.LEISURE
    if tags.get("tourism") in _TOURISM:
        return f"tourism={tags['tourism']}", _TOURISM[tags["tourism"]]
    for key in ("office", "craft"):
        if tags.get(key, "no") not in _NOTHING:
            return f"{key}={tags[key]}", SiteKind.WORK
    if tags.get("healthcare", "no") not in _NOTHING:
        return f"healthcare={tags['healthcare']}", SiteKind.WORK
    if (
        tags.get("highway") == "bus_stop"
        or tags.get("public_transport") in ("platform", "station")
        or tags.get("railway") in ("station", "halt", "tram_stop")
    ):
        return "stop", SiteKind.TRANSPORT_STOP
    return None


def find_interests(data: OsmData, areas: Areas) -> Interests:
    """Return every point of interest once: a node or polygon inside a polygon of the same tag is the same thing."""
    value, kind, tags, origin = [], [], [], []
    rows, nodes = [], []
    for row, t in enumerate(areas.tags):
        if (found := classify(t)) is not None:
            rows.append(row)
            value.append(found[0])
            kind.append(found[1])
            tags.append(t)
            origin.append(areas.origin[row])
    for row, t in enumerate(data.node_tags):
        if (found := classify(t)) is not None:
            nodes.append(row)
            value.append(found[0])
            kind.append(found[1])
            tags.append(t)
            origin.append(f"node/{data.node_ids[row]}")
    points = np.concatenate(
        [shapely.point_on_surface(areas.shapes[rows]), shapely.points(data.node_x[nodes], data.node_y[nodes])]
    )
    shapes = np.full(len(points), None, dtype=object)
    shapes[: len(rows)] = areas.shapes[rows]
    keep = _once(value, kind, tags, points, shapes, data.counts)
    return Interests(
        [value[i] for i in keep],
        [kind[i] for i in keep],
        [tags[i] for i in keep],
        points[keep],
        shapes[keep],
        [origin[i] for i in keep],
    )


def _once(
    value: list[str],
    kind: list[SiteKind],
    tags: list[dict[str, str]],
    points: NDArray[np.object_],
    shapes: NDArray[np.object_],
    counts: Counter[str],
) -> NDArray[np.intp]:
    """Return the rows that remain; what is told twice hands its tags to the larger polygon."""
    keep = np.ones(len(points), bool)
    outlines = np.flatnonzero(shapes != None)  # noqa: E711  (elementwise)
    if len(outlines):
        inner, outer = shapely.STRtree(shapes[outlines]).query(points, predicate="intersects")
        outer = outlines[outer]
        area = np.where(shapes != None, shapely.area(shapes), 0.0)  # noqa: E711
        # the largest outline wins: ties by row
        for i, o in sorted(zip(inner.tolist(), outer.tolist(), strict=True), key=lambda pair: (area[pair[0]], -pair[0])):
            larger = area[o] > area[i] or (area[o] == area[i] and o < i)
            if i != o and keep[i] and keep[o] and larger and value[i] == value[o]:
                keep[i] = False
                tags[o] = tags[i] | tags[o]
                counts["points of interest told twice"] += 1
    stops = np.flatnonzero(keep & np.array([k == SiteKind.TRANSPORT_STOP for k in kind], bool))
    if len(stops) > 1:
        x, y = shapely.get_x(points[stops]), shapely.get_y(points[stops])
        from scipy.spatial import cKDTree

        for a, b in sorted(cKDTree(np.column_stack([x, y])).query_pairs(SAME_STOP)):
            same_name = tags[stops[a]].get("name") == tags[stops[b]].get("name")
            if keep[stops[a]] and keep[stops[b]] and same_name:
                keep[stops[b]] = False
                counts["points of interest told twice"] += 1
    return np.flatnonzero(keep)


# ---------------------------------------------------------------------- schools

_PRIMARY_NAME = re.compile(
    r"basisschool|\bprimary|\belementary|grundschule|volksschule|ecole (primaire|elementaire|maternelle)|\bprimaria"
    r"|elementare|ala-?aste|podstawowa|\b(obs|cbs|rbs|kbs|pcbs|rkbs|gbs|ceip)\b|kindcentrum|school met de bijbel"
    r"|\binfants?\b|junior school|barneskole|folkeskole"
)
_SECONDARY_NAME = re.compile(
    r"\bcollege\b|lyceum|\blycee|\bliceo|\bliceu|gymnasi|gimnazi|high school|\bsecondary|realschule|hauptschule"
    r"|mittelschule|oberschule|gesamtschule|sekundar|scholengemeenschap|\b(vmbo|havo|vwo|mavo|mbo|roc|ies)\b|lukio"
    r"|ylaaste|ylaaste|istituto|scuola media|technikum|instituto|berufs|ungdomsskole|videregaende|\bsecundaria"
)
_LEVEL_WORDS: dict[str, SiteKind] = {
    "preschool": SiteKind.KINDERGARTEN, "kindergarten": SiteKind.KINDERGARTEN, "nursery": SiteKind.KINDERGARTEN,
    "primary": SiteKind.PRIMARY, "elementary": SiteKind.PRIMARY, "infant": SiteKind.PRIMARY,
    "junior": SiteKind.PRIMARY, "elementaire": SiteKind.PRIMARY, "primaire": SiteKind.PRIMARY,
    "maternelle": SiteKind.KINDERGARTEN, "secondary": SiteKind.SECONDARY, "middle": SiteKind.SECONDARY,
    "high": SiteKind.SECONDARY, "high_school": SiteKind.SECONDARY, "college": SiteKind.SECONDARY,
    "lycee": SiteKind.SECONDARY, "gymnasium": SiteKind.SECONDARY, "upper_secondary": SiteKind.SECONDARY,
    "lower_secondary": SiteKind.SECONDARY, "vocational": SiteKind.SECONDARY,
}  # fmt: skip
_ISCED = (SiteKind.KINDERGARTEN, SiteKind.PRIMARY, SiteKind.SECONDARY, SiteKind.SECONDARY, SiteKind.UNIVERSITY)


def school_levels(tags: dict[str, str]) -> list[SiteKind]:
    """Return the levels that a school teaches, in order; empty where neither tags nor name tell.

    Asked in turn: ``isced:level`` (0 kindergarten, 1 primary, 2 and 3 secondary, from 4 on university), ``school:level``
    and ``school``, ages, words in the name of ten European languages.
    """
    levels: set[SiteKind] = set()
    for low, high in re.findall(r"(\d)(?:\s*-\s*(\d))?", tags.get("isced:level", "")):
        for level in range(int(low), int(high or low) + 1):
            levels.add(_ISCED[min(level, 4)])
    if not levels:
        for key in ("school:level", "school", "school:type", "school:FR"):
            words = re.split(r"[;,/ ]+", _plain(tags.get(key, "")))
            levels |= {_LEVEL_WORDS[word] for word in words if word in _LEVEL_WORDS}
    if not levels:
        youngest, oldest = tags.get("min_age", ""), tags.get("max_age", "")
        if youngest.isdecimal() and int(youngest) >= 10:
            levels.add(SiteKind.SECONDARY)
        elif oldest.isdecimal() and int(oldest) <= 13:
            levels.add(SiteKind.PRIMARY)
    if not levels:
        name = _plain(" ".join(tags.get(key, "") for key in ("name", "official_name", "name:en")))
        if _PRIMARY_NAME.search(name):
            levels.add(SiteKind.PRIMARY)
        if _SECONDARY_NAME.search(name):
            levels.add(SiteKind.SECONDARY)
    return sorted(levels)


def _plain(text: str) -> str:
    """Return lower case without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))


# ---------------------------------------------------------------------- sites


def build_sites(interests: Interests, buildings: Buildings, counts: Counter[str]) -> dict[str, Any]:
    """Make the sites of a city: columns of its table ``sites`` without ``zone``, and ``floor_area``, ``name``.

    A school that teaches several levels becomes a site for each, on the same floor. A school of unknown level is taken
    as primary, but the largest of them as secondary where the file would otherwise have none (assumed). Buildings where
    people work and no point of interest says so become WORK sites, as do retail buildings.
    """
    columns = buildings.columns
    points, shapes = interests.points, interests.shapes
    tree = shapely.STRtree(buildings.areas.shapes)
    home = _containing(tree, interests, buildings)
    floor = _floors(tree, interests, buildings, home)
    name = [t.get("name", "") for t in interests.tags]
    capacity = [_capacity(t) for t in interests.tags]
    x, y = shapely.get_x(points), shapely.get_y(points)

    rows, kinds, share = [], [], []
    untold = []
    for i, (value, kind) in enumerate(zip(interests.value, interests.kind, strict=True)):
        levels = school_levels(interests.tags[i]) if value == "amenity=school" else [kind]
        if not levels:
            untold.append(i)
            continue
        for level in levels:
            rows.append(i)
            kinds.append(level)
            share.append(1.0 / len(levels))
    counts["schools of unknown level"] = len(untold)
    grown = SiteKind.SECONDARY not in kinds and len(untold) > 1
    largest = max(untold, key=lambda i: (floor[i], shapely.area(shapes[i]) if shapes[i] is not None else 0.0)) if grown else -1
    for i in untold:
        rows.append(i)
        kinds.append(SiteKind.SECONDARY if i == largest else SiteKind.PRIMARY)
        share.append(1.0)

    taken = {int(home[i]) for i in range(len(home)) if interests.kind[i] not in (SiteKind.SHOP, SiteKind.LEISURE)}
    work = np.array(
        [
            row
            for row in np.flatnonzero(np.isin(columns["use"], (BuildingUse.WORK, BuildingUse.SHOP)))
            if int(row) not in taken
        ],
        np.int64,
    )
    lone, lone_kind = _lone_institutions(interests, buildings, home)
    work = np.setdiff1d(work, lone)
    every = np.array(rows, np.int64)
    part = np.array(share)
    counts["workplaces in buildings without a point of interest"] = len(work)
    extra = np.concatenate([lone, work]).astype(np.int64)
    sites: dict[str, Any] = {
        "x": np.concatenate([x[every], columns["x"][extra]]),
        "y": np.concatenate([y[every], columns["y"][extra]]),
        "kind": np.concatenate([kinds, lone_kind, np.full(len(work), SiteKind.WORK)]).astype(np.uint8),
        "building": np.concatenate([home[every], extra]).astype(np.int32),
        "capacity": np.concatenate(
            [np.round(np.array(capacity, float)[every] * part), np.zeros(len(extra))]
        ).astype(np.int32),
        "floor_area": np.concatenate([floor[every] * part, columns["floor_area"][extra]]).astype(np.float32),
        "name": [name[i] for i in every] + [buildings.areas.tags[i].get("name", "") for i in extra],
    }
    return sites


def _containing(tree: shapely.STRtree, interests: Interests, buildings: Buildings) -> NDArray[np.int64]:
    """Return each point's building: the one around it, for an area itself or the largest inside; else −1."""
    home = np.full(len(interests.points), -1, np.int64)
    point, building = tree.query(interests.points, predicate="intersects")
    home[point[::-1]] = building[::-1]
    by_origin = {text: row for row, text in enumerate(buildings.areas.origin)}
    for i in np.flatnonzero(interests.shapes != None):  # noqa: E711
        if interests.origin[i] in by_origin:
            home[i] = by_origin[interests.origin[i]]
            continue
        inside = tree.query(interests.shapes[i], predicate="contains")
        if len(inside):
            home[i] = inside[np.argmax(buildings.columns["floor_area"][inside])]
    return home


def _floors(
    tree: shapely.STRtree, interests: Interests, buildings: Buildings, home: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return gross floor area of each point of interest, 0 where it stands in no building."""
    floor_area, use = buildings.columns["floor_area"].astype(np.float64), buildings.columns["use"]
    inside = home >= 0
    sharing = np.bincount(home[inside], minlength=len(floor_area))
    lived = np.isin(use, (BuildingUse.RESIDENTIAL, BuildingUse.MIXED))
    per_point = np.where(lived, np.minimum(buildings.footprint, SHOP_AREA), floor_area) / np.maximum(sharing, 1)
    floor = np.where(inside, per_point[home], 0.0)
    origins = set(buildings.areas.origin)
    for i in np.flatnonzero(interests.shapes != None):  # noqa: E711
        if interests.origin[i] in origins:
            continue
        within = tree.query(interests.shapes[i], predicate="contains")
        within = within[~lived[within]]
        if len(within):
            floor[i] = floor_area[within].sum()
    floor[[k == SiteKind.TRANSPORT_STOP for k in interests.kind]] = 0.0
    return floor


def _lone_institutions(
    interests: Interests, buildings: Buildings, home: NDArray[np.int64]
) -> tuple[NDArray[np.int64], list[SiteKind]]:
    """Return buildings whose type alone tells a school, hospital or station: none of that tag around them or inside."""
    rows, kinds = [], []
    wanted = [i for i, kind in enumerate(buildings.kind) if kind in _SCHOOL_BUILDINGS]
    outlines = np.flatnonzero(interests.shapes != None)  # noqa: E711
    tree = shapely.STRtree(interests.shapes[outlines])
    for row in wanted:
        value, kind = _SCHOOL_BUILDINGS[buildings.kind[row]]
        middle = shapely.Point(buildings.columns["x"][row], buildings.columns["y"][row])
        around = outlines[tree.query(middle, predicate="within")].tolist()
        near = [interests.value[i] for i in [*around, *np.flatnonzero(home == row).tolist()]]
        education = ("amenity=school", "amenity=kindergarten", "amenity=university", "amenity=college")
        told = [v for v in near if v == value or (v in education and value in education)]
        if not told:
            rows.append(row)
            levels = school_levels(buildings.areas.tags[row]) if kind is None else [kind]
            kinds.append(levels[0] if levels else SiteKind.PRIMARY)
    return np.array(rows, np.int64), kinds


def _capacity(tags: dict[str, str]) -> int:
    """Return pupils, beds or seats from tags, 0 if unknown."""
    for key in ("capacity:pupils", "capacity:students", "beds", "capacity:beds", "capacity:persons", "capacity"):
        text = tags.get(key, "")
        if text.isdecimal() and 0 < int(text) <= MAX_CAPACITY:
            return int(text)
    return 0
