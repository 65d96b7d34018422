"""Streets read from OpenStreetMap: splits, directions, access, speed, lanes."""

import numpy as np
import pytest
from osm_town import LAT_PER_M, LON_PER_M, Town
from pyproj import Geod

from citytwin.environment import roads
from citytwin.environment.builders.osm import read_osm
from citytwin.environment.builders.osm import tags as osm_tags
from citytwin.environment.roads import Access, RoadRank

pytest.importorskip("osmium")

CAR, BICYCLE, FOOT, BUS = Access.CAR, Access.BICYCLE, Access.FOOT, Access.BUS
ALL = CAR | BICYCLE | FOOT | BUS


@pytest.fixture
def town():
    """A town with one house, to which tests add streets."""
    made = Town()
    made.box(200, 200, 10, 10, {"building": "house"})
    return made


def links_of(town, folder):
    fabric = read_osm(town.save(folder))
    assert len(fabric.layers["roads"]) == len(fabric.links["start"])
    return fabric


def metres(*points):
    """Length of a line in metres along the ellipsoid, not on the map."""
    lon = [5.9 + x * LON_PER_M for x, _ in points]
    lat = [52.55 + y * LAT_PER_M for _, y in points]
    return Geod(ellps="WGS84").line_length(lon, lat)


def test_ways_split_where_they_share_a_node_and_nowhere_else(town, tmp_path):
    a, b, c, d = town.nodes((0, 0), (100, 0), (200, 0), (300, 0))
    town.way([a, b, c, d], {"highway": "residential", "name": "Long Street"})
    (e,) = town.nodes((200, 80))
    town.way([c, e], {"highway": "tertiary"})
    town.street((0, -50), (300, 50))  # crosses over without a shared node: a bridge
    fabric = links_of(town, tmp_path)
    links = fabric.links
    assert len(links["start"]) == 2 * 4
    assert len(fabric.nodes["x"]) == 4 + 2
    expected = sorted(
        [metres((0, 0), (100, 0), (200, 0)), metres((200, 0), (300, 0)), metres((200, 0), (200, 80)),
         metres((0, -50), (300, 50))] * 2
    )  # fmt: skip
    assert np.sort(links["length"]) == pytest.approx(expected, rel=5e-4)
    assert set(fabric.layers["roads"]["name"]) == {"Long Street", ""}
    assert fabric.layers["roads"].length.to_numpy() == pytest.approx(links["length"], rel=1e-5)


def test_both_directions_have_mirrored_geometry(town, tmp_path):
    town.street((0, 0), (50, 20), (100, 0))
    fabric = links_of(town, tmp_path)
    x = fabric.nodes["x"]
    for row, line in enumerate(fabric.layers["roads"].geometry):
        assert line.coords[0][0] == pytest.approx(x[fabric.links["start"][row]])
        assert line.coords[-1][0] == pytest.approx(x[fabric.links["end"][row]])


def direction_bits(town, folder, tags):
    """Access along and against a street from west to east."""
    town.street((0, 0), (100, 0), tags=tags)
    fabric = links_of(town, folder)
    found = {True: Access(0), False: Access(0)}
    for start, end, bits in zip(fabric.links["start"], fabric.links["end"], fabric.links["access"], strict=True):
        found[bool(fabric.nodes["x"][end] > fabric.nodes["x"][start])] |= Access(int(bits))
    return found[True], found[False]


@pytest.mark.parametrize(
    ("tags", "along", "against"),
    [
        ({}, ALL, ALL),
        ({"oneway": "yes"}, ALL, FOOT),
        ({"oneway": "1"}, ALL, FOOT),
        ({"oneway": "-1"}, FOOT, ALL),
        ({"oneway": "reversible"}, ALL, FOOT),
        ({"oneway": "no"}, ALL, ALL),
        ({"junction": "roundabout"}, ALL, FOOT),
        ({"junction": "roundabout", "oneway": "no"}, ALL, ALL),
        ({"highway": "motorway"}, CAR | BUS, Access(0)),
        ({"highway": "motorway_link"}, CAR | BUS, CAR | BUS),
        ({"oneway": "yes", "oneway:bicycle": "no"}, ALL, FOOT | BICYCLE),
        ({"oneway": "yes", "cycleway": "opposite_lane"}, ALL, FOOT | BICYCLE),
        ({"oneway": "yes", "cycleway:left": "opposite"}, ALL, FOOT | BICYCLE),
        ({"oneway": "yes", "oneway:bus": "no"}, ALL, FOOT | BUS),
        ({"access": "no", "bus": "yes"}, BUS, BUS),
        ({"access": "private", "foot": "yes"}, FOOT, FOOT),
        ({"access": "yes", "highway": "footway"}, FOOT, FOOT),
        ({"motor_vehicle": "no"}, BICYCLE | FOOT, BICYCLE | FOOT),
        ({"motor_vehicle": "destination"}, ALL, ALL),
        ({"vehicle": "no", "bicycle": "yes"}, BICYCLE | FOOT, BICYCLE | FOOT),
        ({"motor_vehicle": "no", "psv": "yes"}, BICYCLE | FOOT | BUS, BICYCLE | FOOT | BUS),
        ({"bicycle": "use_sidepath"}, CAR | FOOT | BUS, CAR | FOOT | BUS),
        ({"highway": "primary", "motorroad": "yes"}, CAR | BUS, CAR | BUS),
        ({"highway": "pedestrian"}, FOOT, FOOT),
        ({"highway": "pedestrian", "bicycle": "yes"}, FOOT | BICYCLE, FOOT | BICYCLE),
        ({"highway": "cycleway"}, FOOT | BICYCLE, FOOT | BICYCLE),
        ({"highway": "cycleway", "oneway": "yes", "foot": "no"}, BICYCLE, Access(0)),
        ({"highway": "track"}, FOOT | BICYCLE, FOOT | BICYCLE),
        ({"highway": "track", "motor_vehicle": "yes"}, ALL, ALL),
        ({"highway": "steps"}, FOOT, FOOT),
    ],
)
def test_who_may_go_in_which_direction(town, tmp_path, tags, along, against):
    assert direction_bits(town, tmp_path, tags) == (along, against)


@pytest.mark.parametrize("tags", [{"access": "no"}, {"highway": "construction"}, {"highway": "proposed"}])
def test_streets_that_nobody_may_use_are_left_out(town, tmp_path, tags):
    town.street((0, 0), (100, 0), tags=tags)
    town.street((0, 50), (100, 50))
    assert len(links_of(town, tmp_path).links["start"]) == 2


@pytest.mark.parametrize(
    ("highway", "rank"),
    [
        ("motorway_link", RoadRank.MOTORWAY),
        ("trunk_link", RoadRank.TRUNK),
        ("primary_link", RoadRank.PRIMARY),
        ("secondary_link", RoadRank.SECONDARY),
        ("tertiary_link", RoadRank.TERTIARY),
        ("road", RoadRank.UNCLASSIFIED),
        ("living_street", RoadRank.LIVING_STREET),
        ("pedestrian", RoadRank.PATH),
    ],
)
def test_slip_roads_have_the_rank_of_their_road(town, tmp_path, highway, rank):
    town.street((0, 0), (100, 0), tags={"highway": highway})
    assert set(links_of(town, tmp_path).links["rank"]) == {rank}


def test_roundabout_is_a_ring_of_one_way_links(town, tmp_path):
    ring = town.nodes((0, 0), (20, 0), (20, 20), (0, 20))
    town.way([*ring, ring[0]], {"highway": "primary", "junction": "roundabout"})
    for corner, (x, y) in zip(ring, [(-50, -50), (70, -50), (70, 70), (-50, 70)], strict=True):
        town.way([town.node(x, y), corner], {"highway": "primary"})
    fabric = links_of(town, tmp_path)
    cars = (fabric.links["access"] & CAR) > 0
    start, end = fabric.links["start"][cars], fabric.links["end"][cars]
    assert cars.sum() == 4 + 2 * 4
    assert roads.largest_component(start, end, 8).all()
    # whoever enters at one corner leaves the ring in one sense only
    degree_out = np.bincount(start, minlength=8)
    assert sorted(degree_out) == [1, 1, 1, 1, 2, 2, 2, 2]


def test_loops_and_parallel_links_are_kept(town, tmp_path):
    a, b = town.nodes((0, 0), (100, 0))
    town.way([a, b], {"highway": "residential"})
    town.way([a, town.node(50, 30), b], {"highway": "residential"})
    loop = town.nodes((130, 10), (130, -10))
    town.way([b, *loop, b], {"highway": "residential"})
    links = links_of(town, tmp_path).links
    assert len(links["start"]) == 6
    assert (links["start"] == links["end"]).sum() == 2
    whole = metres((0, 0), (100, 0)) + metres((0, 0), (50, 30), (100, 0))
    whole += metres((100, 0), (130, 10), (130, -10), (100, 0))
    assert roads.street_length(links).sum() == pytest.approx(whole, rel=5e-4)


def test_a_way_ends_where_a_node_is_missing(town, tmp_path):
    a, b, c, d = town.nodes((0, 0), (100, 0), (200, 0), (300, 0))
    town.way([a, b, 999_999, c, d], {"highway": "residential"})
    town.way([999_998, a], {"highway": "residential"})  # one node left: no street
    fabric = links_of(town, tmp_path)
    assert len(fabric.links["start"]) == 4
    assert np.sort(fabric.links["length"]) == pytest.approx([metres((0, 0), (100, 0))] * 4, rel=5e-4)
    assert fabric.report["read"]["points missing"] == 2
    assert fabric.report["read"]["ways cut at the edge"] == 2


def test_repeated_nodes_and_nodes_on_one_spot(town, tmp_path):
    a, b, twin = town.nodes((0, 0), (50, 0), (50, 0))
    town.way([a, a, b, b, twin], {"highway": "residential"})
    town.way([b, town.node(50, 40)], {"highway": "residential"})
    links = links_of(town, tmp_path).links
    assert len(links["start"]) == 6
    assert links["length"].min() == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("text", "kmh"),
    [
        ("50", 50), ("50 km/h", 50), ("50kmh", 50), ("30 mph", 48.28032), ("30mph", 48.28032), ("10 knots", 18.52),
        ("walk", 7), ("none", 130), ("80;50", 50), ("NL:urban", 50), ("NL:rural", 80), ("DE:rural", 100),
        ("FR:motorway", 130), ("DE:motorway", 130), ("GB:nsl_single", 96.56064), ("GB:nsl_dual", 112.65408),
        ("DE:zone:30", 30), ("DE:zone30", 30), ("BE:30", 30), ("NL:living_street", 15), ("12.5", 12.5),
    ],
)  # fmt: skip
def test_speed_limits(text, kmh):
    assert osm_tags.parse_speed(text) * 3.6 == pytest.approx(kmh, rel=1e-6)


@pytest.mark.parametrize("text", ["signals", "variable", "", "-5", "0", "9999", "XX", "NL:", "9" * 5000, "nan", "1e3"])
def test_speed_limits_that_say_nothing(text):
    assert osm_tags.parse_speed(text) is None
    assert osm_tags.speed({"highway": "primary", "maxspeed": text}, True) == (pytest.approx(50 / 3.6), False)


def test_speed_by_direction_and_by_source_tag():
    tags = {"highway": "primary", "maxspeed:forward": "70", "maxspeed": "50"}
    assert osm_tags.speed(tags, True)[0] * 3.6 == pytest.approx(70)
    assert osm_tags.speed(tags, False)[0] * 3.6 == pytest.approx(50)
    told = {"highway": "primary", "source:maxspeed": "NL:rural"}
    assert osm_tags.speed(told, True) == (pytest.approx(80 / 3.6), True)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, (1, 1, False)),
        ({"lanes": "2"}, (1, 1, True)),
        ({"lanes": "4"}, (2, 2, True)),
        ({"lanes": "3"}, (1.5, 1.5, True)),
        ({"lanes": "1"}, (1, 1, True)),
        ({"lanes": "3", "lanes:forward": "2"}, (2, 1, True)),
        ({"lanes": "3", "lanes:backward": "2"}, (1, 2, True)),
        ({"lanes:forward": "2", "lanes:backward": "1"}, (2, 1, True)),
        ({"lanes": "3", "lanes:forward": "1", "lanes:both_ways": "1"}, (1, 1, True)),
        ({"lanes": "2", "oneway": "yes"}, (2, 0, True)),
        ({"lanes": "2", "oneway": "-1"}, (0, 2, True)),
        ({"oneway": "yes"}, (1, 0, False)),
        ({"highway": "motorway"}, (2, 0, False)),
        ({"lanes": "many"}, (1, 1, False)),
        ({"lanes": "400"}, (1, 1, False)),
        ({"highway": "footway"}, (0, 0, True)),
    ],
)
def test_lanes(tags, expected):
    tags = {"highway": "secondary"} | tags
    assert osm_tags.lanes(tags, *osm_tags.directions(tags)) == expected


def test_largest_component_by_direction():
    # a ring 0-1-2, a dead end 3 that can only be entered, and an island 4-5
    start, end = np.array([0, 1, 2, 2, 4, 5]), np.array([1, 2, 0, 3, 5, 4])
    assert roads.largest_component(start, end, 7).tolist() == [True, True, True, False, False, False, False]
    weak = roads.largest_component(start, end, 7, strong=False)
    assert weak.tolist() == [True, True, True, True, False, False, False]
    assert not roads.largest_component(start[:0], end[:0], 3).any()


def test_length_by_rank_counts_a_street_once():
    links = {
        "start": np.array([0, 1, 1, 2], np.int32),
        "end": np.array([1, 0, 2, 1], np.int32),
        "length": np.array([100.0, 100.0, 40.0, 40.0], np.float32),
        "way": np.array([7, 7, 8, 9], np.int64),  # ways 8 and 9: a dual carriageway, two streets
        "rank": np.array([6, 6, 2, 2], np.uint8),
    }
    assert roads.length_by_rank(links) == {"primary": 80.0, "residential": 100.0}
    assert roads.length_by_rank(links, np.array([True, False, True, False])) == {"primary": 40.0, "residential": 100.0}
