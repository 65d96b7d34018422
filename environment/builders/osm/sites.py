"""Sites of an OpenStreetMap file: points of interest tied to buildings, schools by level, and workplaces."""

import re
import unicodedata
from collections import Counter
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ...places import BuildingUse, SiteKind
from .buildings import Buildings, building_at
from .interests import Interests
from .read import whole_number

SHOP_AREA = 200.0  # m2, most that a point of interest on the ground floor of a dwelling house takes (assumed)
LONE_AREA = 200.0  # m2 footprint from which a building typed as a school or hospital is one by itself (assumed)
MAX_CAPACITY = 100_000

_EDUCATION = ("amenity=school", "amenity=kindergarten", "amenity=university", "amenity=college")
_LONE: dict[str, tuple[str, SiteKind]] = {
    "school": ("amenity=school", SiteKind.PRIMARY),
    "kindergarten": ("amenity=kindergarten", SiteKind.KINDERGARTEN),
    "university": ("amenity=university", SiteKind.UNIVERSITY),
    "college": ("amenity=college", SiteKind.UNIVERSITY),
    "hospital": ("amenity=hospital", SiteKind.HOSPITAL),
    "fire_station": ("amenity=fire_station", SiteKind.FIRE_STATION),
}
"""Types of building that tell an institution where no point of interest does."""

# ---------------------------------------------------------------------- schools

_PRIMARY_NAME = re.compile(
    r"basisschool|\bprimary|\belementary|grundschule|volksschule|ecole (primaire|elementaire|maternelle)|\bprimaria"
    r"|elementare|ala-?aste|podstawowa|\b(obs|cbs|rbs|kbs|pcbs|rkbs|gbs|ceip)\b|kindcentrum|school met de bijbel"
    r"|\binfants?\b|junior school|barneskole|folkeskole"
)
_SECONDARY_NAME = re.compile(
    r"\bcollege\b|lyceum|\blycee|\bliceo|\bliceu|gymnasi|gimnazi|high school|\bsecondary|realschule|hauptschule"
    r"|mittelschule|oberschule|gesamtschule|sekundar|scholengemeenschap|\b(vmbo|havo|vwo|mavo|mbo|roc|ies)\b|lukio"
    r"|ylaaste|istituto|scuola media|technikum|instituto|berufs|ungdomsskole|videregaende|\bsecundaria"
)
_LEVEL_WORDS: dict[str, SiteKind] = {
    word: kind
    for words, kind in (
        ("preschool kindergarten nursery maternelle", SiteKind.KINDERGARTEN),
        ("primary elementary infant junior elementaire primaire", SiteKind.PRIMARY),
        (
            "secondary middle high high_school college lycee gymnasium upper_secondary lower_secondary vocational",
            SiteKind.SECONDARY,
        ),
    )
    for word in words.split()
}
_ISCED = (SiteKind.KINDERGARTEN, SiteKind.PRIMARY, SiteKind.SECONDARY, SiteKind.SECONDARY, SiteKind.UNIVERSITY)


def school_levels(tags: dict[str, str]) -> list[SiteKind]:
    """Return the levels that a school teaches, in order; empty where neither tags nor name tell.

    Asked in turn: ``isced:level`` (0 kindergarten, 1 primary, 2 and 3 secondary, from 4 on university),
    ``school:level`` and ``school``, ``min_age`` and ``max_age``, words in the name in several European languages.
    """
    levels: set[SiteKind] = set()
    for low, high in re.findall(r"(\d)(?:\s*-\s*(\d))?", tags.get("isced:level", "")):
        levels.update(_ISCED[min(level, 4)] for level in range(int(low), int(high or low) + 1))
    if not levels:
        for key in ("school:level", "school", "school:type", "school:FR"):
            words = re.split(r"[;,/ ]+", _plain(tags.get(key, "")))
            levels |= {_LEVEL_WORDS[word] for word in words if word in _LEVEL_WORDS}
    if not levels and (whole_number(tags.get("min_age"), 99) or 0) >= 10:
        levels.add(SiteKind.SECONDARY)
    if not levels and whole_number(tags.get("max_age"), 13):
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

    A school that teaches several levels becomes a site for each, sharing its floor and places. A school of unknown
    level is taken as primary, but the largest of them as secondary where there would otherwise be none (assumed).
    Buildings where people work and no point of interest says so become WORK sites; so do retail buildings.
    """
    columns = buildings.columns
    home = _containing(interests, buildings)
    floor = _floors(interests, buildings, home)
    lone, lone_kind = _lone_institutions(interests, buildings, home)
    rows, kinds, share = _levels(interests, floor, counts)

    # a shop does not fill the offices above it, any other point of interest is what a building is used for
    visited = (SiteKind.SHOP, SiteKind.LEISURE, SiteKind.TRANSPORT_STOP)
    taken = {int(b) for b, kind in zip(home, interests.kind, strict=True) if kind not in visited}
    work = np.flatnonzero(np.isin(columns["use"], (BuildingUse.WORK, BuildingUse.SHOP)))
    work = np.array([b for b in work if b not in taken and b not in lone], np.int64)
    counts["workplaces in buildings without a point of interest"] = len(work)

    extra = np.concatenate([lone, work]).astype(np.int64)
    capacity = np.array([_capacity(t) for t in interests.tags], float)[rows] * share
    x, y = shapely.get_x(interests.points), shapely.get_y(interests.points)
    return {
        "x": np.concatenate([x[rows], columns["x"][extra]]),
        "y": np.concatenate([y[rows], columns["y"][extra]]),
        "kind": np.concatenate([kinds, lone_kind, np.full(len(work), SiteKind.WORK)]).astype(np.uint8),
        "building": np.concatenate([home[rows], extra]).astype(np.int32),
        "capacity": np.concatenate([np.round(capacity), np.zeros(len(extra))]).astype(np.int32),
        "floor_area": np.concatenate([floor[rows] * share, columns["floor_area"][extra]]).astype(np.float32),
        "name": [interests.tags[i].get("name", "") for i in rows]
        + [buildings.areas.tags[b].get("name", "") for b in extra],
    }


def _levels(
    interests: Interests, floor: NDArray[np.float64], counts: Counter[str]
) -> tuple[NDArray[np.int64], list[SiteKind], NDArray[np.float64]]:
    """Return a row for every point of interest and level taught: the point, the kind, its share of the floor."""
    levels = [
        school_levels(tags) if value == "amenity=school" else [kind]
        for value, kind, tags in zip(interests.value, interests.kind, interests.tags, strict=True)
    ]
    untold = [i for i, found in enumerate(levels) if not found]
    counts["schools of unknown level"] = len(untold)
    for i in untold:
        levels[i] = [SiteKind.PRIMARY]
    if len(untold) > 1 and not any(SiteKind.SECONDARY in found for found in levels):
        levels[max(untold, key=lambda i: floor[i])] = [SiteKind.SECONDARY]
    rows = np.repeat(np.arange(len(levels)), [len(found) for found in levels])
    share = np.repeat([1.0 / len(found) for found in levels], [len(found) for found in levels])
    return rows, [kind for found in levels for kind in found], share


def _containing(interests: Interests, buildings: Buildings) -> NDArray[np.int64]:
    """Return each point's building: the one around it, for an area itself or the largest inside; else −1."""
    tree = shapely.STRtree(buildings.areas.shapes)
    home = building_at(tree, interests.points)
    by_origin = {text: row for row, text in enumerate(buildings.areas.origin)}
    for i in interests.outlines():
        if interests.origin[i] in by_origin:
            home[i] = by_origin[interests.origin[i]]
            continue
        inside = tree.query(interests.shapes[i], predicate="contains")
        if len(inside):
            home[i] = np.sort(inside)[np.argmax(buildings.columns["floor_area"][np.sort(inside)])]
    return home


def _floors(interests: Interests, buildings: Buildings, home: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return gross floor area of each point of interest, 0 where it stands in no building.

    Points in one building share it; in a dwelling house they share the ground floor. An area has the floors of all
    buildings inside it where nobody lives.
    """
    floor_area = buildings.columns["floor_area"].astype(np.float64)
    lived = np.isin(buildings.columns["use"], (BuildingUse.RESIDENTIAL, BuildingUse.MIXED))
    sharing = np.bincount(home[home >= 0], minlength=len(floor_area))
    per_point = np.where(lived, np.minimum(buildings.footprint, SHOP_AREA), floor_area) / np.maximum(sharing, 1)
    floor = np.where(home >= 0, per_point[home], 0.0)
    own = set(buildings.areas.origin)
    tree = shapely.STRtree(buildings.areas.shapes)
    for i in interests.outlines():
        if interests.origin[i] not in own:
            inside = tree.query(interests.shapes[i], predicate="contains")
            inside = inside[~lived[inside]]
            if len(inside):
                floor[i] = floor_area[np.sort(inside)].sum()
    floor[[kind == SiteKind.TRANSPORT_STOP for kind in interests.kind]] = 0.0
    return floor


def _lone_institutions(
    interests: Interests, buildings: Buildings, home: NDArray[np.int64]
) -> tuple[NDArray[np.int64], list[SiteKind]]:
    """Return buildings whose type alone tells a school, hospital or station: none of that sort in or around them."""
    rows, kinds = [], []
    outlines = interests.outlines()
    tree = shapely.STRtree(interests.shapes[outlines])
    for row, type_ in enumerate(buildings.kind):
        if type_ not in _LONE or buildings.footprint[row] < LONE_AREA:
            continue
        value, kind = _LONE[type_]
        middle = shapely.Point(buildings.columns["x"][row], buildings.columns["y"][row])
        near = [*outlines[tree.query(middle, predicate="within")], *np.flatnonzero(home == row)]
        alike = _EDUCATION if value in _EDUCATION else (value,)
        if not any(interests.value[i] in alike for i in near):
            rows.append(row)
            kinds.append((school_levels(buildings.areas.tags[row]) or [kind])[0] if type_ == "school" else kind)
    return np.array(rows, np.int64), kinds


def _capacity(tags: dict[str, str]) -> int:
    """Return pupils, beds or seats from tags, 0 if unknown."""
    for key in ("capacity:pupils", "capacity:students", "beds", "capacity:beds", "capacity:persons", "capacity"):
        if number := whole_number(tags.get(key), MAX_CAPACITY):
            return number
    return 0
