"""Buildings, points of interest, zones and residents read from OpenStreetMap; files that cannot be read; real towns."""

import gzip
import hashlib
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely
from osm_town import Town

from citytwin.environment.builders.osm import read_osm
from citytwin.environment.builders.osm.buildings import number_of_addresses, tagged_levels
from citytwin.environment.builders.osm.read import utm_zone
from citytwin.environment.builders.osm.sites import school_levels
from citytwin.environment.city import SCHEMA, CityError
from citytwin.environment.places import BuildingUse, SiteKind

pytest.importorskip("osmium")

HOUSE = {"building": "house"}


@pytest.fixture
def town():
    """A town with one street, to which tests add what they are about."""
    made = Town()
    made.street((-20, -20), (300, -20))
    return made


def read(town, folder):
    return read_osm(town.save(folder))


def sites_of(fabric, kind):
    return [
        (fabric.sites["name"][i], int(fabric.sites["building"][i]), float(fabric.sites["floor_area"][i]))
        for i in np.flatnonzero(fabric.sites["kind"] == kind)
    ]


# ---------------------------------------------------------------------- shape of the result


def test_fabric_follows_the_schema(town, tmp_path):
    town.box(0, 0, 10, 10, HOUSE)
    town.node(5, 5, {"shop": "bakery", "name": "Bäcker"})
    path = town.save(tmp_path, "smallville.osm")
    fabric = read_osm(path)
    for table in ("buildings", "sites", "nodes", "links"):
        columns = getattr(fabric, table)
        rows = len(next(iter(columns.values())))
        for name, spec in SCHEMA[table].items():
            given = spec.fill is None or name in columns
            if name != "node" and given:  # the nearest node is found when people move in
                assert np.asarray(columns[name]).dtype == np.dtype(spec.dtype), (table, name)
                assert len(columns[name]) == rows
    assert fabric.crs == "EPSG:32631"
    assert fabric.name == "smallville"
    assert read_osm(path, name="Otherville").name == "Otherville"
    (source,) = fabric.sources
    assert source.licence == "ODbL 1.0"
    assert source.attribution == "© OpenStreetMap contributors"
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert fabric.layers["buildings"].crs == fabric.layers["roads"].crs == fabric.crs


def test_gzip_and_plain_text_give_the_same(town, tmp_path):
    town.box(0, 0, 10, 10, HOUSE)
    plain = read(town, tmp_path)
    packed = tmp_path / "town.osm.gz"
    packed.write_bytes(gzip.compress(town.xml().encode()))
    again = read_osm(packed)
    assert np.array_equal(plain.links["length"], again.links["length"])
    assert plain.report == again.report


@pytest.mark.parametrize(
    ("lon", "lat", "code"), [(5.9, 52.5, 32631), (7.4, 43.7, 32632), (174.8, -36.9, 32760), (-0.1, 51.5, 32630)]
)
def test_utm_zone(lon, lat, code):
    assert utm_zone(lon, lat) == f"EPSG:{code}"


# ---------------------------------------------------------------------- buildings


def test_areas_and_floors(town, tmp_path):
    town.box(0, 0, 10, 12, {"building": "house", "building:levels": "3"})
    town.box(50, 0, 10, 10, {"building": "apartments", "height": "15 m"})
    town.box(100, 0, 10, 10, {"building": "industrial"})
    buildings = read(town, tmp_path).buildings
    assert buildings["levels"].tolist() == [3.0, 5.0, 2.0]
    assert buildings["floor_area"] == pytest.approx([3 * 120, 5 * 100, 2 * 100], rel=2e-3)
    assert buildings["use"].tolist() == [BuildingUse.RESIDENTIAL, BuildingUse.RESIDENTIAL, BuildingUse.WORK]


@pytest.mark.parametrize(
    ("tags", "levels"),
    [
        ({"building:levels": "4"}, 4),
        ({"building:levels": "2.5"}, 2.5),
        ({"building:levels": "2;3"}, 3),
        ({"building:levels": "0"}, 1),
        ({"height": "9"}, 3),
        ({"height": "10,4"}, 3),
        ({"height": "30'"}, 3),
        ({"height": "21 m", "min_height": "6"}, 5),
        ({"building:levels": "9" * 400}, 120),
        ({"building:levels": "several"}, None),
        ({}, None),
    ],
)
def test_levels_from_tags(tags, levels):
    assert tagged_levels(tags) == levels


def test_untagged_storeys_take_the_median_of_like_buildings(town, tmp_path):
    for i in range(20):
        town.box(15 * i, 0, 10, 10, {"building": "apartments", "building:levels": 5 if i < 12 else 9})
    town.box(0, 50, 10, 10, {"building": "residential"})
    town.box(50, 50, 10, 10, {"building": "office"})
    assert read(town, tmp_path).buildings["levels"][-2:].tolist() == [5.0, 2.0]


def test_multipolygon_with_a_courtyard(town, tmp_path):
    outer = town.box(0, 0, 40, 30)
    inner = town.box(10, 10, 20, 10)
    town.relation([(outer, "outer"), (inner, "inner")], {"type": "multipolygon", "building": "office"})
    fabric = read(town, tmp_path)
    assert fabric.report["buildings"]["footprint km2"] * 1e6 == pytest.approx(1200 - 200, rel=2e-3)
    assert len(fabric.buildings["x"]) == 1
    spot = shapely.Point(fabric.buildings["x"][0], fabric.buildings["y"][0])
    assert fabric.layers["buildings"].geometry[0].contains(spot)


def test_multipolygon_of_open_ways_is_chained_in_any_direction(town, tmp_path):
    a, b, c, d = town.nodes((0, 0), (20, 0), (20, 20), (0, 20))
    members = [town.way([a, b, c]), town.way([a, d]), town.way([c, d])]
    town.relation([(way, "outer") for way in members], {"type": "multipolygon", "building": "yes"})
    assert read(town, tmp_path).report["buildings"]["footprint km2"] * 1e6 == pytest.approx(400, rel=2e-3)


def test_old_style_multipolygon_with_tags_on_the_outline(town, tmp_path):
    outer = town.box(0, 0, 40, 30, {"building": "office"})
    inner = town.box(10, 10, 20, 10)
    town.relation([(outer, "outer"), (inner, "inner")], {"type": "multipolygon"})
    fabric = read(town, tmp_path)
    assert len(fabric.buildings["x"]) == 1
    assert fabric.report["buildings"]["footprint km2"] * 1e6 == pytest.approx(1000, rel=2e-3)


def test_outline_tagged_like_its_relation_is_one_building(town, tmp_path):
    outer = town.box(0, 0, 40, 30, HOUSE)
    town.relation([(outer, "outer")], {"type": "multipolygon"} | HOUSE)
    assert len(read(town, tmp_path).buildings["x"]) == 1


def test_building_parts_count_only_outside_buildings(town, tmp_path):
    town.box(0, 0, 40, 30, {"building": "apartments"})
    town.box(5, 5, 10, 10, {"building:part": "yes", "building:levels": "12"})
    town.box(100, 0, 10, 10, {"building:part": "residential"})
    buildings = read(town, tmp_path).buildings
    assert buildings["floor_area"] == pytest.approx([4 * 1200, 2 * 100], rel=2e-3)


def test_crossed_outline_is_mended(town, tmp_path):
    corners = town.nodes((0, 0), (20, 20), (20, 0), (0, 20))
    town.way([*corners, corners[0]], HOUSE)
    fabric = read(town, tmp_path)
    assert fabric.report["read"]["polygons mended"] == 1
    assert fabric.report["buildings"]["footprint km2"] * 1e6 == pytest.approx(2 * 100, rel=2e-3)
    assert fabric.layers["buildings"].is_valid.all()


def test_outlines_that_do_not_close_or_are_cut_are_counted(town, tmp_path):
    town.box(0, 0, 10, 10, HOUSE)
    town.way(town.nodes((50, 0), (60, 0), (60, 10), (50, 10)), HOUSE)
    a, b = town.nodes((100, 0), (110, 0))
    town.way([a, b, 999_999, 999_998, a], HOUSE)
    flat = town.nodes((150, 0), (160, 0), (170, 0))
    town.way([*flat, flat[0]], HOUSE)
    fabric = read(town, tmp_path)
    assert len(fabric.buildings["x"]) == 1
    assert fabric.report["read"]["buildings that do not close"] == 1
    assert fabric.report["read"]["polygons too cut to keep"] == 1
    assert fabric.report["read"]["polygons without area"] == 1


def test_a_misplaced_node_is_taken_as_missing(town, tmp_path):
    many_houses(town, 200, 0)
    corners = town.nodes((50, 0), (60, 0), (60, 10), (55, 12), (50, 10), (5_000_000, 0))
    town.way([*corners, corners[0]], HOUSE)
    fabric = read(town, tmp_path)
    assert fabric.report["read"]["points too far away"] == 1
    assert fabric.report["buildings"]["footprint km2"] * 1e6 == pytest.approx(25 * 100 + 110, rel=2e-3)


def test_land_tells_the_use_of_untyped_buildings(town, tmp_path):
    for i, land in enumerate(("residential", "industrial", "retail", "farmland")):
        town.box(100 * i, 0, 80, 80, {"landuse": land})
        town.box(100 * i + 10, 10, 20, 20, {"building": "yes"})
        town.box(100 * i + 50, 50, 4, 4, {"building": "yes"})  # 16 m2
    town.box(10, 200, 20, 20, {"building": "yes"})
    use = read(town, tmp_path).buildings["use"]
    residential, work, shop, other = (
        BuildingUse.RESIDENTIAL, BuildingUse.WORK, BuildingUse.SHOP, BuildingUse.OTHER
    )  # fmt: skip
    assert use.tolist() == [residential, other, work, other, shop, other, other, other, residential]


def test_where_homes_have_addresses_a_building_without_one_is_an_outbuilding(town, tmp_path):
    town.box(0, 0, 10, 10, {"building": "yes", "addr:housenumber": "1"})
    town.box(0, 50, 10, 10, {"building": "yes"})
    use = read(town, tmp_path).buildings["use"]
    assert use.tolist() == [BuildingUse.RESIDENTIAL, BuildingUse.OTHER]


def test_points_of_interest_make_homes_mixed_and_tell_untyped_buildings(town, tmp_path):
    town.box(0, 0, 10, 10, {"building": "apartments"})
    town.node(5, 5, {"amenity": "cafe"})
    town.box(50, 0, 10, 10, {"building": "yes", "addr:housenumber": "2"})
    town.node(55, 5, {"shop": "bakery"})  # the shop has the only address
    town.box(100, 0, 10, 10, {"building": "yes", "addr:housenumber": "3;5"})
    town.node(105, 5, {"shop": "bakery"})
    town.box(150, 0, 10, 10, {"building": "yes", "amenity": "school", "addr:housenumber": "4"})
    town.box(200, 0, 90, 90, {"amenity": "hospital"})
    town.box(210, 10, 20, 20, {"building": "yes"})
    use = read(town, tmp_path).buildings["use"]
    assert use.tolist() == [
        BuildingUse.MIXED, BuildingUse.SHOP, BuildingUse.MIXED, BuildingUse.SCHOOL, BuildingUse.HOSPITAL,
    ]  # fmt: skip


# ---------------------------------------------------------------------- dwellings


def test_dwellings_by_tag_type_and_area(town, tmp_path):
    town.box(0, 0, 10, 10, HOUSE)
    town.box(50, 0, 30, 15, {"building": "apartments", "building:levels": "4"})  # 1,800 m2 = 20 flats
    town.box(100, 0, 30, 15, {"building": "apartments", "building:flats": "33"})
    town.box(150, 0, 30, 15, {"building": "apartments", "building:flats": "9" * 1000})
    town.box(200, 0, 30, 15, {"building": "office"})
    assert read(town, tmp_path).buildings["dwellings"].tolist() == [1, 20, 33, 20, 0]


def test_addresses_are_flats_where_a_file_gives_every_flat_one(town, tmp_path):
    for x, flats in ((0, 18), (50, 12)):
        town.box(x, 0, 30, 15, {"building": "apartments", "building:levels": "4"})
        for i in range(flats):
            town.node(x + 1 + i, 7, {"addr:housenumber": f"{i}"})
    town.box(100, 0, 30, 8, {"building": "terrace"})
    for i in range(5):
        town.node(101 + 5 * i, 0, {"addr:housenumber": f"{i}"})  # on the wall
    town.node(250, 250, {"addr:housenumber": "99"})
    fabric = read(town, tmp_path)
    assert fabric.buildings["dwellings"].tolist() == [18, 12, 5]
    assert fabric.report["buildings"]["addresses"] == 35
    assert fabric.report["read"]["address nodes outside buildings"] == 1


def test_addresses_of_entrances_do_not_limit_the_flats(town, tmp_path):
    town.box(0, 0, 30, 15, {"building": "apartments", "building:levels": "4", "addr:housenumber": "7"})
    assert read(town, tmp_path).buildings["dwellings"].tolist() == [20]


@pytest.mark.parametrize(("text", "number"), [("12", 1), ("12;14", 2), ("1a, 1b,1c", 3), ("12-16", 1), ("", 0)])
def test_number_of_addresses(text, number):
    assert number_of_addresses({"addr:housenumber": text}) == number


# ---------------------------------------------------------------------- sites


@pytest.mark.parametrize(
    ("tags", "levels"),
    [
        ({"isced:level": "1"}, ["PRIMARY"]),
        ({"isced:level": "2;3"}, ["SECONDARY"]),
        ({"isced:level": "0-1"}, ["KINDERGARTEN", "PRIMARY"]),
        ({"isced:level": "1-3"}, ["PRIMARY", "SECONDARY"]),
        ({"school": "primary"}, ["PRIMARY"]),
        ({"school:FR": "lycée"}, ["SECONDARY"]),
        ({"school:level": "primary;secondary"}, ["PRIMARY", "SECONDARY"]),
        ({"min_age": "11"}, ["SECONDARY"]),
        ({"min_age": "4", "max_age": "12"}, ["PRIMARY"]),
        ({"name": "OBS Dirk van Dijk"}, ["PRIMARY"]),
        ({"name": "Almere College"}, ["SECONDARY"]),
        ({"name": "Lycée Albert-1er"}, ["SECONDARY"]),
        ({"name": "Kruununhaan yläasteen koulu"}, ["SECONDARY"]),
        ({"name": "Kaisaniemen ala-aste"}, ["PRIMARY"]),
        ({"name": "Städtische Grundschule Ost"}, ["PRIMARY"]),
        ({"name": "Grund- und Mittelschule"}, ["SECONDARY"]),
        ({"name": "Koningin Emmaschool"}, []),
        ({"isced:level": "1", "name": "Almere College"}, ["PRIMARY"]),
        ({}, []),
    ],
)
def test_school_levels(tags, levels):
    assert [kind.name for kind in school_levels(tags)] == levels


def test_schools_on_grounds_in_buildings_and_as_points(town, tmp_path):
    town.box(0, 0, 100, 100, {"amenity": "school", "name": "OBS Eik", "capacity": "300"})
    town.box(10, 10, 20, 20, {"building": "school", "building:levels": "2"})  # 800 m2
    town.box(50, 50, 20, 30, {"building": "school", "building:levels": "2"})  # 1,200 m2, the larger one
    town.node(20, 20, {"amenity": "school"})  # once more
    town.box(150, 0, 20, 20, {"building": "school", "name": "Gymnasium Zuid"})
    town.node(250, 250, {"amenity": "school", "isced:level": "1-3", "capacity": "500", "name": "Both"})
    fabric = read(town, tmp_path)
    primary, secondary = sites_of(fabric, SiteKind.PRIMARY), sites_of(fabric, SiteKind.SECONDARY)
    assert [(name, building) for name, building, _ in primary] == [("OBS Eik", 1), ("Both", -1)]
    assert primary[0][2] == pytest.approx(2000, rel=2e-3)
    assert [(name, building) for name, building, _ in secondary] == [("Both", -1), ("Gymnasium Zuid", 2)]
    capacity = dict(zip(fabric.sites["name"], fabric.sites["capacity"].tolist(), strict=True))
    assert capacity["OBS Eik"] == 300
    assert capacity["Both"] == 250
    assert fabric.report["read"]["points of interest told twice"] == 1


def test_unknown_schools_are_primary_but_the_largest_where_no_secondary_is_known(town, tmp_path):
    for i, size in enumerate((20, 40, 30)):
        town.box(60 * i, 0, size, size, {"building": "school", "amenity": "school", "name": f"School {i}"})
    fabric = read(town, tmp_path)
    assert [name for name, *_ in sites_of(fabric, SiteKind.PRIMARY)] == ["School 0", "School 2"]
    assert [name for name, *_ in sites_of(fabric, SiteKind.SECONDARY)] == ["School 1"]
    assert fabric.report["read"]["schools of unknown level"] == 3


@pytest.mark.parametrize(
    ("tags", "kind"),
    [
        ({"amenity": "kindergarten"}, SiteKind.KINDERGARTEN),
        ({"amenity": "university"}, SiteKind.UNIVERSITY),
        ({"amenity": "college"}, SiteKind.UNIVERSITY),
        ({"shop": "supermarket"}, SiteKind.SHOP),
        ({"amenity": "marketplace"}, SiteKind.SHOP),
        ({"amenity": "restaurant"}, SiteKind.LEISURE),
        ({"amenity": "place_of_worship"}, SiteKind.LEISURE),
        ({"leisure": "sports_centre"}, SiteKind.LEISURE),
        ({"tourism": "museum"}, SiteKind.LEISURE),
        ({"amenity": "hospital"}, SiteKind.HOSPITAL),
        ({"healthcare": "clinic"}, SiteKind.HOSPITAL),
        ({"amenity": "fire_station"}, SiteKind.FIRE_STATION),
        ({"emergency": "ambulance_station"}, SiteKind.AMBULANCE_STATION),
        ({"amenity": "police"}, SiteKind.POLICE_STATION),
        ({"highway": "bus_stop"}, SiteKind.TRANSPORT_STOP),
        ({"railway": "station"}, SiteKind.TRANSPORT_STOP),
        ({"office": "company"}, SiteKind.WORK),
        ({"amenity": "doctors"}, SiteKind.WORK),
        ({"craft": "carpenter"}, SiteKind.WORK),
    ],
)
def test_kinds_of_points(town, tmp_path, tags, kind):
    town.box(0, 0, 10, 10, HOUSE)
    town.node(100, 100, tags | {"name": "here"})
    assert sites_of(read(town, tmp_path), kind) == [("here", -1, 0.0)]


@pytest.mark.parametrize("tags", [{"shop": "vacant"}, {"shop": "no"}, {"amenity": "bench"}, {"leisure": "pitch"}])
def test_points_that_are_no_sites(town, tmp_path, tags):
    town.box(0, 0, 10, 10, HOUSE)
    town.node(100, 100, tags)
    assert len(read(town, tmp_path).sites["x"]) == 0


def test_workplaces_are_buildings_where_no_point_says_so(town, tmp_path):
    town.box(0, 0, 10, 10, HOUSE)
    town.box(20, 0, 30, 20, {"building": "industrial", "name": "Works", "building:levels": "1"})
    town.box(60, 0, 30, 20, {"building": "retail", "building:levels": "1"})
    town.node(70, 5, {"shop": "shoes", "name": "Shoes"})
    town.box(100, 0, 30, 20, {"building": "office", "building:levels": "4"})
    town.node(105, 5, {"office": "lawyer", "name": "Lawyer"})
    town.node(110, 5, {"office": "notary", "name": "Notary"})
    town.box(140, 0, 30, 20, {"building": "fire_station"})
    fabric = read(town, tmp_path)
    work = {name: (building, area) for name, building, area in sites_of(fabric, SiteKind.WORK)}
    assert set(work) == {"Works", "", "Lawyer", "Notary"}
    assert work["Works"] == (1, pytest.approx(600, rel=2e-3))
    assert work[""] == (2, pytest.approx(600, rel=2e-3))
    assert work["Lawyer"] == work["Notary"] == (3, pytest.approx(1200, rel=2e-3))
    assert [building for _, building, _ in sites_of(fabric, SiteKind.FIRE_STATION)] == [4]


def test_a_bar_in_a_block_of_flats_has_a_ground_floor_not_the_block(town, tmp_path):
    town.box(0, 0, 30, 40, {"building": "apartments", "building:levels": "9"})
    town.node(5, 5, {"amenity": "bar"})
    assert [area for *_, area in sites_of(read(town, tmp_path), SiteKind.LEISURE)] == [200.0]


def test_stops_of_one_name_close_together_are_one(town, tmp_path):
    town.box(0, 0, 10, 10, HOUSE)
    town.node(100, 0, {"highway": "bus_stop", "name": "Market"})
    town.node(104, 0, {"public_transport": "platform", "name": "Market"})
    town.node(140, 0, {"highway": "bus_stop", "name": "Market"})  # across the square
    town.node(108, 0, {"public_transport": "stop_position", "name": "Market"})
    assert len(sites_of(read(town, tmp_path), SiteKind.TRANSPORT_STOP)) == 2


# ---------------------------------------------------------------------- zones and residents


def many_houses(town, x, y, columns=5, rows=5):
    for i in range(columns):
        for j in range(rows):
            town.box(x + 20 * i, y + 20 * j, 10, 10, HOUSE)


def test_boundaries_make_zones(town, tmp_path):
    many_houses(town, 0, 0)
    many_houses(town, 200, 0)
    town.box(300, 20, 10, 10, HOUSE)  # outside both
    for name, x in (("West", -10), ("East", 190)):
        tags = {"boundary": "administrative", "admin_level": "10", "name": name}
        ring = town.box(x, -10, 110, 110, tags)  # the way may bear the tags too
        town.relation([(ring, "outer")], {"type": "boundary"} | tags)
    fabric = read(town, tmp_path)
    assert fabric.zones["name"].tolist() == ["West", "East", "surroundings"]
    assert np.array_equal(fabric.buildings["zone"][:25], np.zeros(25))
    assert np.bincount(fabric.buildings["zone"]).tolist() == [25, 25, 1]


def test_places_make_zones_where_boundaries_do_not(town, tmp_path):
    many_houses(town, 0, 0)
    many_houses(town, 200, 0)
    town.node(40, 40, {"place": "suburb", "name": "Old"})
    town.node(240, 40, {"place": "village", "name": "New"})
    town.node(140, 90, {"place": "hamlet", "name": "Nobody"})
    fabric = read(town, tmp_path)
    assert sorted(fabric.zones["name"]) == ["New", "Old"]
    points = shapely.points(fabric.buildings["x"], fabric.buildings["y"])
    shapes = fabric.zones.geometry.to_numpy()[fabric.buildings["zone"]]
    assert shapely.contains(shapes, points).all()
    assert fabric.zones.area.sum() == pytest.approx(fabric.zones.union_all().area)  # no overlap


def test_one_zone_where_nothing_is_named(town, tmp_path):
    town.box(0, 0, 10, 10, HOUSE)
    fabric = read(town, tmp_path)
    assert fabric.zones["name"].tolist() == ["all"]
    assert fabric.buildings["zone"].tolist() == [0]


def boundary(town, ring, people, **tags):
    usual = {"type": "boundary", "boundary": "administrative", "admin_level": "8", "name": "Town"}
    town.relation([(ring, "outer")], usual | {"population": people} | tags)


def test_residents_of_the_municipality_not_the_sum_with_its_villages(town, tmp_path):
    many_houses(town, 0, 0)
    boundary(town, town.box(-10, -10, 120, 120), "61")
    town.node(40, 40, {"place": "village", "name": "Town", "population": "40"})
    fabric = read(town, tmp_path)
    assert fabric.people == 61
    assert "admin_level 8" in fabric.report["people"]["from"]
    assert fabric.report["people"]["also stated"][0].startswith("40:")
    assert fabric.name == "Town"


def test_residents_as_the_sum_of_settlements(town, tmp_path):
    many_houses(town, 0, 0)
    many_houses(town, 200, 0)
    town.node(40, 40, {"place": "town", "name": "A", "population": "1 00"})
    town.node(240, 40, {"place": "village", "name": "B", "population": "30"})
    town.node(20, 20, {"place": "suburb", "name": "part of A", "population": "60"})
    assert read(town, tmp_path).people == 130


def test_a_sum_that_leaves_most_homes_out_is_not_taken(town, tmp_path):
    many_houses(town, 0, 0)
    many_houses(town, 200, 0)
    many_houses(town, 400, 0)
    town.node(40, 40, {"place": "village", "name": "A", "population": "60"})
    town.node(240, 40, {"place": "village", "name": "B"})
    town.node(440, 40, {"place": "village", "name": "C"})
    assert read(town, tmp_path).people == 0


@pytest.mark.parametrize("people", ["629725", "3", "many", "9" * 1000])
def test_a_number_that_the_homes_cannot_hold_is_not_believed(town, tmp_path, people):
    many_houses(town, 0, 0)
    town.node(40, 40, {"place": "city", "name": "Helsinki", "population": people})
    fabric = read(town, tmp_path)
    assert fabric.people == 0
    assert "people = " in fabric.report["people"]["from"]


def test_a_cut_municipality_is_taken_by_its_name(town, tmp_path):
    many_houses(town, 0, 0)
    town.node(40, 40, {"place": "town", "name": "Town", "population": "40"})
    open_line = town.way(town.nodes((-10, -10), (-10, 200), (200, 200)))
    boundary(town, open_line, "58")
    boundary(town, open_line, "70", name="Neighbour")
    fabric = read(town, tmp_path)
    assert fabric.people == 58
    assert "cuts" in fabric.report["people"]["from"]


# ---------------------------------------------------------------------- files that cannot be read


def refusal(path):
    with pytest.raises(CityError) as caught:
        read_osm(path)
    text = str(caught.value)
    assert text.startswith(str(path)), text
    assert "\n" not in text
    return text


def write(path, content):
    path.write_bytes(content)
    return path


def test_missing_file_folder_and_foreign_name(tmp_path):
    assert "no such file" in refusal(tmp_path / "none.osm")
    (tmp_path / "folder.osm").mkdir()
    assert "not a file" in refusal(tmp_path / "folder.osm")
    text = refusal(write(tmp_path / "town.shp", b"x"))
    assert ".osm.pbf" in text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.osm", b""),
        ("empty.osm.pbf", b""),
        ("text.osm", b"hello"),
        ("page.osm", b"<html><body>404</body></html>"),
        ("noise.osm.pbf", bytes(range(256)) * 10),
        ("notgzip.osm.gz", b"<osm></osm>"),
        ("bad.osm", b'<osm version="0.6"><node id="1" lat="abc" lon="5"/></osm>'),
        ("entities.osm", b'<!DOCTYPE x [<!ENTITY a "aaaa">]><osm version="0.6">&a;</osm>'),
    ],
)
def test_damaged_and_foreign_files(tmp_path, name, content):
    assert "again" in refusal(write(tmp_path / name, content))


def test_truncated_files(town, tmp_path):
    many_houses(town, 0, 0)
    whole = town.xml().encode()
    assert "cut.osm" in refusal(write(tmp_path / "cut.osm", whole[: len(whole) // 2]))
    packed = gzip.compress(whole)
    assert "cut.osm.gz" in refusal(write(tmp_path / "cut.osm.gz", packed[: len(packed) // 2]))


def test_text_under_the_name_of_a_binary(town, tmp_path):
    town.box(0, 0, 10, 10, HOUSE)
    assert "town.osm.pbf" in refusal(write(tmp_path / "town.osm.pbf", town.xml().encode()))


def test_file_without_objects_without_buildings_without_streets(tmp_path):
    assert "no streets and no buildings" in refusal(write(tmp_path / "none.osm", b'<osm version="0.6"></osm>'))
    streets = Town()
    streets.street((0, 0), (100, 0))
    assert "no buildings" in refusal(streets.save(tmp_path, "streets.osm"))
    houses = Town()
    houses.box(0, 0, 10, 10, HOUSE)
    assert "no streets" in refusal(houses.save(tmp_path, "houses.osm"))


def test_file_without_its_nodes(tmp_path):
    ways = b'<osm version="0.6"><way id="5"><nd ref="1"/><nd ref="2"/><tag k="highway" v="primary"/></way></osm>'
    assert "osmium sort" in refusal(write(tmp_path / "ways.osm", ways))


def test_file_of_a_whole_country(tmp_path):
    wide = Town()
    for x in range(0, 800_000, 20_000):
        wide.street((x, 0), (x + 100, 0))
    assert "cut it out" in refusal(wide.save(tmp_path))


def test_without_osmium_the_remedy_is_named(town, tmp_path, monkeypatch):
    path = town.save(tmp_path)
    monkeypatch.setitem(sys.modules, "osmium", None)
    with pytest.raises(CityError, match=r'pip install "citytwin\[osm\]"'):
        read_osm(path)


# ---------------------------------------------------------------------- real towns


@pytest.fixture(scope="module")
def data():
    folder = os.environ.get("CITYTWIN_DATA")
    if not folder:
        pytest.skip("CITYTWIN_DATA is not set; tests/DATA.md says where the data sets come from")
    return Path(folder)


def test_kampen(data):
    """Figures of the data set's own description: 29,673 building ways, 25,914 addresses, 392 km for motor traffic."""
    fabric = read_osm(data / "kampen_flood_city" / "kampen.osm.pbf")
    read = fabric.report["read"]
    # 18 building relations besides, less outlines that the edge cut open (21) or that have no area (1)
    assert len(fabric.buildings["x"]) == 29_673 + 18 - 21 - 1
    assert read["buildings that do not close"] == 21
    assert fabric.report["buildings"]["addresses"] == pytest.approx(25_914, rel=0.005)
    assert fabric.report["buildings"]["footprint km2"] == pytest.approx(4.26, rel=0.02)
    assert fabric.people == 54_319
    streets = fabric.report["streets"]
    # the description counts streets closed to the public too: 19 km private or no access
    assert 0.94 * 392 < streets["drivable km"] < 392
    assert streets["share of drivable km weakly connected"] > 0.979
    assert 0.95 < streets["share of drivable km strongly connected"] <= streets["share of drivable km weakly connected"]
    persons_per_dwelling = fabric.people / fabric.report["buildings"]["dwellings"]
    assert 1.9 < persons_per_dwelling < 2.6
    assert fabric.report["sites"]["fire_station"] == 2
    assert fabric.report["sites"]["hospital"] == 1
    schools = sum(fabric.report["sites"][kind] for kind in ("primary", "secondary"))
    assert 22 <= schools <= 22 + 5  # those of amenity=school and school buildings without one around
    assert fabric.name == "Kampen"


def test_monaco(data):
    fabric = read_osm(data / "small_osm" / "monaco.osm.gz")
    assert len(fabric.buildings["x"]) == 962 + 4
    assert fabric.people == 35_881
    assert fabric.report["streets"]["drivable km"] == pytest.approx(61, abs=1)
    assert fabric.report["streets"]["share of drivable nodes weakly connected"] == pytest.approx(0.99, abs=0.005)


def test_helsinki_centre(data, tmp_path):
    path = data / "small_osm" / "helsinki_centre.osm.pbf"
    fabric = read_osm(path)
    assert 433 <= len(fabric.buildings["x"]) <= 433 + 33
    assert fabric.report["read"]["buildings with tagged storeys"] >= 150
    assert fabric.people == 0
    assert "629,725" in fabric.report["people"]["not believed"][0]
    assert fabric.report["streets"]["drivable km"] == pytest.approx(31, abs=3)
    assert fabric.report["read"]["points missing"] > 0
    cut = tmp_path / "cut.osm.pbf"
    shutil.copyfile(path, cut)
    with cut.open("r+b") as file:
        file.truncate(300_000)
    refusal(cut)
