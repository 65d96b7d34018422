"""Points of interest of an OpenStreetMap file: what each is, told once."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ...places import BuildingUse, SiteKind
from .read import Areas, OsmData

SAME_STOP = 15.0  # m within which a platform and a bus stop are one stop (assumed)

_AMENITY: dict[str, SiteKind] = {
    word: kind
    for words, kind in (
        ("kindergarten childcare preschool", SiteKind.KINDERGARTEN),
        ("school", SiteKind.PRIMARY),  # its level is told later
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
_LEISURE = (
    "sports_centre fitness_centre sports_hall stadium dance bowling_alley ice_rink amusement_arcade water_park "
    "adult_gaming_centre miniature_golf horse_riding escape_game"
)
_TOURISM: dict[str, SiteKind] = {
    "museum": SiteKind.LEISURE, "gallery": SiteKind.LEISURE, "zoo": SiteKind.LEISURE, "aquarium": SiteKind.LEISURE,
    "theme_park": SiteKind.LEISURE, "hotel": SiteKind.WORK, "hostel": SiteKind.WORK, "guest_house": SiteKind.WORK,
}  # fmt: skip
_STATIONS: dict[str, SiteKind] = {"ambulance_station": SiteKind.AMBULANCE_STATION}
_HEALTH: dict[str, SiteKind] = {"hospital": SiteKind.HOSPITAL, "clinic": SiteKind.HOSPITAL}
_TELLING: tuple[tuple[str, dict[str, SiteKind] | SiteKind], ...] = (  # in order; a kind stands for any value
    ("amenity", _AMENITY),
    ("emergency", _STATIONS),
    ("healthcare", _HEALTH),
    ("shop", SiteKind.SHOP),
    ("leisure", dict.fromkeys(_LEISURE.split(), SiteKind.LEISURE)),
    ("tourism", _TOURISM),
    ("office", SiteKind.WORK),
    ("craft", SiteKind.WORK),
    ("healthcare", SiteKind.WORK),
)
_STOPS: tuple[tuple[str, frozenset[str]], ...] = (
    ("highway", frozenset({"bus_stop"})),
    ("public_transport", frozenset({"platform", "station"})),
    ("railway", frozenset({"station", "halt", "tram_stop"})),
)
_NOTHING = frozenset({"no", "vacant", "disused", "abandoned"})

_PURPOSE: dict[SiteKind, BuildingUse] = {
    SiteKind.KINDERGARTEN: BuildingUse.SCHOOL,
    SiteKind.PRIMARY: BuildingUse.SCHOOL,
    SiteKind.SECONDARY: BuildingUse.SCHOOL,
    SiteKind.UNIVERSITY: BuildingUse.SCHOOL,
    SiteKind.SHOP: BuildingUse.SHOP,
    SiteKind.LEISURE: BuildingUse.LEISURE,
    SiteKind.HOSPITAL: BuildingUse.HOSPITAL,
}  # in the others people work


@dataclass
class Interests:
    """Points of interest, before they are tied to buildings.

    Attributes:
        value: the tag that tells each, such as ``"amenity=school"``.
        kind: its kind; schools are PRIMARY here, whatever their level.
        tags: its tags.
        points: (n,) shapely points, inside the polygon for areas.
        shapes: (n,) polygon, None for nodes.
        origin: ``"node/…"``, ``"way/…"`` or ``"relation/…"``.
    """

    value: list[str]
    kind: list[SiteKind]
    tags: list[dict[str, str]]
    points: NDArray[np.object_]
    shapes: NDArray[np.object_]
    origin: list[str]

    def __len__(self) -> int:
        return len(self.value)

    def select(self, rows: NDArray[np.intp]) -> "Interests":
        """Return those of the given rows."""
        return Interests(
            [self.value[i] for i in rows],
            [self.kind[i] for i in rows],
            [self.tags[i] for i in rows],
            self.points[rows],
            self.shapes[rows],
            [self.origin[i] for i in rows],
        )

    def outlines(self) -> NDArray[np.intp]:
        """Return the rows that are polygons."""
        return np.flatnonzero(~shapely.is_missing(self.shapes))

    def purposes(self) -> list[BuildingUse]:
        """Return what each says about the use of the building around it."""
        return [_PURPOSE.get(kind, BuildingUse.WORK) for kind in self.kind]


def classify(tags: dict[str, str]) -> tuple[str, SiteKind] | None:
    """Return the telling tag and the kind of site, or None where the tags tell no site."""
    for key, kinds in _TELLING:
        value = tags.get(key, "no")
        if value in _NOTHING:
            continue
        kind = kinds if isinstance(kinds, SiteKind) else kinds.get(value)
        if kind is not None:
            return f"{key}={value}", kind
    if any(tags.get(key) in values for key, values in _STOPS):
        return "stop", SiteKind.TRANSPORT_STOP
    return None


def find_interests(data: OsmData, areas: Areas) -> Interests:
    """Return every point of interest once: a node or polygon inside a polygon of the same tag is the same thing."""
    of_area = [classify(t) for t in areas.tags]
    of_node = [classify(t) for t in data.node_tags]
    rows = [i for i, found in enumerate(of_area) if found]
    nodes = [i for i, found in enumerate(of_node) if found]
    found = [f for f in of_area if f] + [f for f in of_node if f]
    shapes = np.full(len(found), None, dtype=object)
    shapes[: len(rows)] = areas.shapes[rows]
    points = [shapely.point_on_surface(areas.shapes[rows]), shapely.points(data.node_x[nodes], data.node_y[nodes])]
    interests = Interests(
        value=[value for value, _ in found],
        kind=[kind for _, kind in found],
        tags=[areas.tags[i] for i in rows] + [data.node_tags[i] for i in nodes],
        points=np.concatenate(points),
        shapes=shapes,
        origin=[areas.origin[i] for i in rows] + [f"node/{data.node_ids[i]}" for i in nodes],
    )
    return _once(interests, data.counts)


def _once(interests: Interests, counts: Counter[str]) -> Interests:
    """Drop what is told twice; the larger polygon that remains takes over tags that it lacks."""
    keep = np.ones(len(interests), bool)
    outlines = interests.outlines()
    if len(outlines):
        area = np.where(shapely.is_missing(interests.shapes), 0.0, shapely.area(interests.shapes))
        inner, outer = shapely.STRtree(interests.shapes[outlines]).query(interests.points, predicate="intersects")
        outer = outlines[outer]
        rank = np.empty(len(keep), np.intp)  # by size, the smallest first; of equal ones the later row first
        rank[np.lexsort((-np.arange(len(keep)), area))] = np.arange(len(keep))
        order = np.lexsort((rank[outer], rank[inner]))
        for i, o in zip(inner[order].tolist(), outer[order].tolist(), strict=True):
            if keep[i] and keep[o] and rank[i] < rank[o] and interests.value[i] == interests.value[o]:
                keep[i] = False
                interests.tags[o] = interests.tags[i] | interests.tags[o]
    stops = np.flatnonzero(keep & np.array([kind == SiteKind.TRANSPORT_STOP for kind in interests.kind], bool))
    if len(stops):
        points = interests.points[stops]
        near = cKDTree(np.column_stack([shapely.get_x(points), shapely.get_y(points)])).query_pairs(SAME_STOP)
        for a, b in sorted(near):
            one, other = stops[a], stops[b]
            if keep[one] and keep[other] and interests.tags[one].get("name") == interests.tags[other].get("name"):
                keep[other] = False
    counts["points of interest told twice"] = int((~keep).sum())
    return interests.select(np.flatnonzero(keep))
