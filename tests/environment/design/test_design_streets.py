"""What changes of streets do to the links of a city, and which links they find."""

import geopandas
import numpy as np
import pytest
import shapely
from cities import CRS
from grids import EVERYONE, STEP, at, box, cars, design, grid_city, link, node

from citytwin.environment.city import City
from citytwin.environment.design import Design
from citytwin.environment.design.streets import street_columns
from citytwin.environment.network.of_city import network_of_city
from citytwin.environment.roads import Access


@pytest.fixture(scope="module")
def city() -> City:
    return grid_city()


def touched(city: City, change: dict) -> set[int]:
    (entry,) = design(change).check(city)
    return set(entry["links"])


def street(city: City, name: str) -> set[int]:
    return set(np.flatnonzero(city.layer("roads")["name"] == name).tolist())


def test_a_line_beside_a_street_finds_it_and_not_those_it_crosses(city: City) -> None:
    line = [at(0.02, 5.08), at(9.97, 4.94)]
    assert touched(city, {"change": "speed", "kmh": 30, "line": line}) == street(city, "Row 5")


def test_a_line_round_a_corner(city: City) -> None:
    line = [at(2, 5.05), at(5.05, 5.05), at(5.05, 8)]
    rows = [((c, 5), (c + 1, 5)) for c in (2, 3, 4)] + [((5, r), (5, r + 1)) for r in (5, 6, 7)]
    wanted = {link(city, a, b) for a, b in rows} | {link(city, b, a) for a, b in rows}
    assert touched(city, {"change": "close", "line": line}) == wanted


def test_a_short_line_means_the_whole_link(city: City) -> None:
    line = [at(4.4, 3.03), at(4.6, 3.03)]
    wanted = {link(city, (4, 3), (5, 3)), link(city, (5, 3), (4, 3))}
    assert touched(city, {"change": "close", "line": line}) == wanted


@pytest.mark.parametrize("turned", [False, True])
def test_one_way_follows_the_line(city: City, turned: bool) -> None:
    line = [at(3, 4.06), at(6, 4.06)]
    after = design({"change": "one_way", "line": line[::-1] if turned else line}).apply(city)
    east, west = ([link(city, (c + d, 4), (c + 1 - d, 4)) for c in (3, 4, 5)] for d in (0, 1))
    assert [cars(after, row) for row in east] == [not turned] * 3
    assert [cars(after, row) for row in west] == [turned] * 3
    assert (after.links.access[west + east] & Access.BICYCLE > 0).all()
    assert not (after.links.access[west if not turned else east] & Access.BUS).any()


def test_one_way_is_turned_round() -> None:
    city = grid_city(one_way=(((node(3, 4), node(4, 4))),))
    forth, back = link(city, (3, 4), (4, 4)), link(city, (4, 4), (3, 4))
    assert cars(city, forth) and not cars(city, back)
    after = design({"change": "one_way", "line": [at(4, 4), at(3, 4)]}).apply(city)
    assert cars(after, back) and not cars(after, forth)


def test_a_heading_stands_for_a_line(city: City) -> None:
    after = design({"change": "one_way", "street": "Column 3", "heading": "north"}).apply(city)
    assert all(cars(after, link(city, (3, r), (3, r + 1))) for r in range(10))
    assert not any(cars(after, link(city, (3, r + 1), (3, r))) for r in range(10))


def test_one_direction_of_a_street(city: City) -> None:
    line = [at(0, 5.05), at(10, 5.05)]
    after = design({"change": "lanes", "lanes": 3, "direction": "along", "line": line}).apply(city)
    assert {after.links.lanes[link(city, (c, 5), (c + 1, 5))] for c in range(10)} == {3.0}
    assert after.links.lanes.sum() == len(city.links) + 2 * 10


def test_an_area_takes_the_links_whose_middle_lies_inside(city: City) -> None:
    found = touched(city, {"change": "speed", "kmh": 20, "area": box(1.4, 1.4, 3.6, 3.6)})
    ends = [(city.links.start[row], city.links.end[row]) for row in found]
    inside = {node(c, r) for c in (2, 3) for r in (2, 3)}
    assert {frozenset(map(int, pair)) for pair in ends} == {
        *(frozenset((node(c, r), node(c + 1, r))) for c in (1, 2, 3) for r in (2, 3)),
        *(frozenset((node(c, r), node(c, r + 1))) for c in (2, 3) for r in (1, 2, 3)),
    }
    assert all(set(map(int, pair)) & inside for pair in ends)


def test_streets_by_name_way_and_number(city: City) -> None:
    assert touched(city, {"change": "close", "street": "row 7"}) == street(city, "Row 7")
    some = touched(city, {"change": "close", "street": ["Row 7", "Column 2"], "area": box(0.6, 6.4, 2.4, 7.4)})
    ends = (((1, 7), (2, 7)), ((2, 6), (2, 7)))
    assert some == {link(city, *pair[::way]) for pair in ends for way in (1, -1)}
    way = int(city.links.way[17])
    assert touched(city, {"change": "close", "way": way}) == set(np.flatnonzero(city.links.way == way).tolist())
    assert touched(city, {"change": "close", "links": [5, 17]}) == {5, 17}
    assert len(touched(city, {"change": "close", "links": "5", "direction": "both"})) == 2


@pytest.mark.parametrize(
    ("to", "left"),
    [
        ("cars", Access.BICYCLE | Access.FOOT | Access.BUS),
        ("motor", Access.BICYCLE | Access.FOOT),
        ("bicycles", Access.CAR | Access.FOOT | Access.BUS),
        ("all", 0),
    ],
)
def test_who_is_kept_out(city: City, to: str, left: int) -> None:
    after = design({"change": "close", "street": "Row 2", "to": to}).apply(city)
    rows = sorted(street(city, "Row 2"))
    assert set(after.links.access[rows].tolist()) == {int(left)}
    assert (np.delete(after.links.access, rows) == EVERYONE).all()


def test_a_filter_stops_cars_at_one_place(city: City) -> None:
    after = design({"change": "filter", "point": at(4.5, 6.1)}).apply(city)
    changed = np.flatnonzero(after.links.access != city.links.access)
    assert set(changed.tolist()) == {link(city, (4, 6), (5, 6)), link(city, (5, 6), (4, 6))}
    assert set(after.links.access[changed].tolist()) == {int(Access.BICYCLE | Access.FOOT | Access.BUS)}


def test_a_bus_lane_takes_a_lane_and_a_bicycle_lane_does_not() -> None:
    city = grid_city(lanes=2.0)
    after = design({"change": "bus_lane", "street": "Row 2"}, {"change": "bike_lane", "street": "Row 3"}).apply(city)
    rows, others = sorted(street(city, "Row 2")), sorted(street(city, "Row 3"))
    assert (after.links.lanes[rows] == 1).all() and (after.links.lanes[others] == 2).all()
    columns = street_columns(after)
    assert set(np.flatnonzero(columns["bus_lane"]).tolist()) == set(rows)
    assert set(np.flatnonzero(columns["bike_lane"]).tolist()) == set(others)
    whole, less = network_of_city(city), network_of_city(after)
    assert (less.capacity[rows] == whole.capacity[rows] / 2).all()


def test_lanes_are_set_before_one_is_taken(city: City) -> None:
    changes = {"change": "bus_lane", "street": "Row 2"}, {"change": "lanes", "lanes": 3, "street": "Row 2"}
    after = design(*changes).apply(city)
    assert set(after.links.lanes[sorted(street(city, "Row 2"))].tolist()) == {2.0}


def test_a_toll_of_a_street_is_paid_by_length(city: City) -> None:
    after = design({"change": "toll", "amount": 5.0, "street": "Row 2"}).apply(city)
    toll = street_columns(after)["toll"]
    east = [link(city, (c, 2), (c + 1, 2)) for c in range(10)]
    assert toll[east].sum() == pytest.approx(5.0)
    assert np.array_equal(network_of_city(after).toll, toll)
    assert network_of_city(city).toll is None
    assert toll.sum() == pytest.approx(10.0)


def test_a_toll_of_an_area_is_paid_on_entering_it(city: City) -> None:
    after = design({"change": "toll", "amount": 4.0, "area": box(3.5, 3.5, 6.5, 6.5)}).apply(city)
    toll = street_columns(after)["toll"]
    assert set(toll[toll > 0].tolist()) == {4.0}
    assert (toll > 0).sum() == 12  # three streets on each of four sides
    inside = {node(c, r) for c in (4, 5, 6) for r in (4, 5, 6)}
    for row in np.flatnonzero(toll):
        assert int(city.links.end[row]) in inside and int(city.links.start[row]) not in inside


def test_places_to_park_are_shared_out(city: City) -> None:
    after = design({"change": "parking", "places": 60, "street": "Row 2"}).apply(city)
    parking = street_columns(after)["parking"]
    assert parking[sorted(street(city, "Row 2"))].tolist() == pytest.approx([3.0] * 20)
    assert np.isnan(parking).sum() == len(city.links) - 20


def test_a_new_street_joins_a_junction_and_splits_a_street(city: City) -> None:
    change = {"change": "new_street", "name": "Shortcut", "kmh": 40, "line": [at(2.02, 2.03), at(5.5, 4.05)]}
    after = design(change).apply(city)
    count = len(city.links)
    # half of Row 4 between columns 5 and 6 in either direction, and the street itself in both
    assert len(after.links) == count + 4
    assert len(after.nodes) == len(city.nodes) + 1
    new = len(city.nodes)
    assert (after.nodes.x[new], after.nodes.y[new]) == pytest.approx(at(5.5, 4))
    east = link(city, (5, 4), (6, 4))
    assert (after.links.start[east], after.links.end[east]) == (node(5, 4), new)
    assert after.links.length[after.links.way == city.links.way[east]].tolist() == pytest.approx([STEP / 2] * 4)
    street = after.layer("roads")["name"] == "Shortcut"
    assert {int(after.links.start[row]) for row in np.flatnonzero(street)} == {node(2, 2), new}
    assert after.links.length[street].tolist() == pytest.approx([np.hypot(3.5, 2) * STEP] * 2)
    assert (after.links.speed[street] * 3.6).tolist() == pytest.approx([40, 40])
    assert set(network_of_city(after).names.values()) >= {"Shortcut"}
    # what was there keeps its number
    others = np.delete(np.arange(count), [east, link(city, (6, 4), (5, 4))])
    for name in ("start", "end", "length", "way"):
        assert (after.links[name][others] == city.links[name][others]).all()


def test_turns_follow_a_split() -> None:
    base = grid_city()
    turning = link(base, (5, 4), (6, 4)), link(base, (6, 4), (6, 5))
    tables = {name: dict(getattr(base, name)) for name in ("people", "households", "places", "sites", "buildings")}
    tables |= {name: dict(getattr(base, name)) for name in ("zones", "nodes", "links")}
    tables["turns"] = {
        "from_link": np.array([turning[0]], np.int32),
        "to_link": np.array([turning[1]], np.int32),
        "penalty": np.array([np.inf], np.float32),
    }
    city = City(base.info, tables, base.schedules, {"roads": base.layer("roads")})
    after = design({"change": "new_street", "line": [at(5.5, 4), at(5.5, 4.6)]}).apply(city)
    assert int(after.links.end[after.turns.from_link[0]]) == node(6, 4)
    assert int(after.turns.to_link[0]) == turning[1]


def test_a_lane_may_be_drawn_on_a_new_street(city: City) -> None:
    line = [at(2, 2), at(5, 4)]
    after = design({"change": "new_street", "line": line}, {"change": "bike_lane", "line": line}).apply(city)
    lanes = street_columns(after)["bike_lane"]
    assert set(np.flatnonzero(lanes).tolist()) == {len(city.links), len(city.links) + 1}


def test_maps_show_what_was_changed(city: City) -> None:
    after = design({"change": "speed", "kmh": 30, "street": "Row 5"}, {"change": "close", "street": "Row 6"}).apply(
        city
    )
    roads = after.layer("roads")
    assert isinstance(roads, geopandas.GeoDataFrame) and roads.crs == CRS
    assert set(roads["design"][roads["name"] == "Row 5"]) == {"speed"}
    assert set(roads["users"][roads["name"] == "Row 6"]) == {"bicycle, foot, bus"}
    assert set(roads["speed_kmh"][roads["name"] == "Row 5"]) == {30.0}
    assert city.layer("roads").columns.tolist() == ["name", "rank", "way", "geometry"]


def test_the_report_says_what_was_done(city: City) -> None:
    after = design({"change": "speed", "kmh": 30, "street": "Row 5"}).apply(city)
    (report,) = after.info.report["designs"]
    assert report["name"] == "test"
    assert report["changes"][0]["what"] == "20 links, 1.00 km: Row 5"


def test_a_redrawn_city_is_saved_and_redrawn_again(city: City, tmp_path) -> None:
    once = design({"change": "toll", "amount": 2.0, "street": "Row 5"}).apply(city)
    again = City.load(once.save(tmp_path / "a.city"))
    twice = design({"change": "speed", "kmh": 30, "street": "Row 5"}, name="second").apply(again)
    assert street_columns(twice)["toll"].sum() == pytest.approx(4.0)
    assert [entry["name"] for entry in twice.info.report["designs"]] == ["test", "second"]
    assert (np.load(tmp_path / "a.city" / "links" / "access.npy") == once.links.access).all()


def test_an_empty_design_changes_nothing(city: City) -> None:
    after = design().apply(city)
    for table in ("people", "places", "sites", "buildings", "nodes", "links"):
        for name, values in getattr(city, table).items():
            assert np.array_equal(values, getattr(after, table)[name]), (table, name)
    assert after.schedules == city.schedules


def test_longitude_and_latitude_are_understood(city: City) -> None:
    there = geopandas.GeoSeries([shapely.Point(at(4.5, 6.1))], crs=CRS).to_crs("EPSG:4326").iloc[0]
    made = Design.from_dict({"changes": [{"change": "filter", "point": [there.x, there.y]}]})
    same = design({"change": "filter", "point": at(4.5, 6.1)})
    assert (made.apply(city).links.access == same.apply(city).links.access).all()
