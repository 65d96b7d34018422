"""Cities of streets alone, of networks of SUMO and of lines."""

import geopandas
import numpy as np
import pytest
import shapely
from sumo_files import CONNECTIONS, EDGES, JUNCTIONS, LOCATION, PROGRAM, edge, net

from citytwin.environment.city import City, CityError
from citytwin.environment.design import Design
from citytwin.environment.network.of_city import network_of_city
from citytwin.environment.network.sumo import read_sumo
from citytwin.environment.network.sumo_routes import links_of_edges
from citytwin.environment.roads import Access

WEST, NORTH = 683195.58, 4928877.56  # of the junction in the middle of the files
COLUMNS = ("x", "y", "start", "end", "length", "speed", "lanes", "capacity", "access", "rank")


def test_what_the_network_holds_comes_back_from_the_bundle(tmp_path):
    file = net(folder=tmp_path)
    read = read_sumo(file)
    City.from_sumo(file, name="Crossing").save(tmp_path / "crossing.city")
    city = City.load(tmp_path / "crossing.city")
    again = network_of_city(city)
    for name in COLUMNS:
        np.testing.assert_allclose(getattr(again, name), getattr(read, name), rtol=1e-6)
    for name in ("from_link", "to_link", "penalty"):
        assert np.array_equal(getattr(again.turns, name), getattr(read.turns, name))
    for name in ("link", "cycle", "offset", "green_start", "green_end", "flow"):
        np.testing.assert_allclose(getattr(again.signals, name), getattr(read.signals, name), rtol=1e-6)
    assert again.way.tolist() == [0, 1, 2, 0]  # d leads back along a
    assert again.names == {0: "a", 1: "b", 2: "c"}
    assert again.edges.tolist() == read.edges.tolist() == ["a", "b", "c", "d"]
    assert (city.info.name, city.info.crs) == ("Crossing", "EPSG:32632")
    [source] = city.info.sources
    assert (source.name, len(source.sha256)) == ("town.net.xml", 64)


def test_nobody_lives_there(tmp_path):
    city = City.from_sumo(net(folder=tmp_path))
    assert city.info.name == "town"
    filled = {table: rows for table, rows in city.counts().items() if rows}
    assert filled == {"zones": 1, "nodes": 4, "links": 4, "turns": 3, "signals": 2}
    [ground] = city.layer("zones").geometry
    assert shapely.covers(ground, shapely.union_all(city.layer("roads").geometry))
    assert ground.bounds == pytest.approx(city.info.bounds)


def test_streets_have_the_names_and_shapes_of_the_file(tmp_path):
    bent = edge("a", "W", "M").replace('id="a"', 'id="a" name="Bent Street" shape="-100,0 -50,40,3 0,0"', 1)
    parts = [LOCATION, bent, edge("c", "M", "E"), *JUNCTIONS]
    roads = City.from_sumo(net(*parts, folder=tmp_path)).layer("roads")
    assert roads["name"].tolist() == ["Bent Street", "c"]
    assert roads["edge"].tolist() == ["a", "c"]
    corners = shapely.get_coordinates(roads.geometry.iloc[0]) - (WEST, NORTH)
    np.testing.assert_allclose(corners, [(-100, 0), (-50, 40), (0, 0)], atol=1e-6)
    assert roads.geometry.iloc[1].length == pytest.approx(100)


def test_a_shape_that_is_none_is_named(tmp_path):
    wrong = edge("a", "W", "M").replace('id="a"', 'id="a" shape="0,0 east"', 1)
    with pytest.raises(CityError, match=r"town.net.xml:\d+: shape='0,0 east' of edge 'a' must be points"):
        City.from_sumo(net(LOCATION, wrong, *JUNCTIONS, folder=tmp_path))


@pytest.mark.parametrize(
    ("crs", "message"),
    [
        (None, "town: the file does not say where its coordinates lie; name their CRS"),
        ("EPSG:4326", "'EPSG:4326' is not in metres"),
        ("Bologna", "'Bologna' is no coordinate system"),
    ],
)
def test_coordinates_that_lie_nowhere_are_refused(tmp_path, crs, message):
    nowhere = LOCATION.replace("+proj=utm +zone=32 +ellps=WGS84 +units=m", "!")
    file = net(nowhere, *EDGES, PROGRAM, *JUNCTIONS, *CONNECTIONS, folder=tmp_path)
    with pytest.raises(CityError, match=message):
        City.from_sumo(file, crs=crs)


def test_the_crs_may_be_given(tmp_path):
    nowhere = LOCATION.replace("+proj=utm +zone=32 +ellps=WGS84 +units=m", "!")
    file = net(nowhere, *EDGES, PROGRAM, *JUNCTIONS, *CONNECTIONS, folder=tmp_path)
    city = City.from_sumo(file, crs="EPSG:25832")
    assert city.info.crs == "EPSG:25832"
    assert city.nodes.x.max() == pytest.approx(WEST + 100)


def test_a_missing_file_and_one_that_is_no_network_are_named(tmp_path):
    with pytest.raises(CityError, match=r"none.net.xml: there is no such file"):
        City.from_sumo(tmp_path / "none.net.xml")
    (tmp_path / "other.xml").write_text("<routes/>")
    with pytest.raises(CityError, match="begins with <routes>, expected <net>"):
        City.from_sumo(tmp_path / "other.xml")


@pytest.mark.parametrize(
    ("column", "value"), [("green_end", 1e6), ("green_start", -1.0), ("flow", 0.0), ("offset", np.nan)]
)
def test_signals_that_cannot_be_are_refused(tmp_path, column, value):
    city = City.from_sumo(net(folder=tmp_path))
    signals = dict(city.signals) | {column: np.full(len(city.signals), value, np.float32)}
    tables = {name: dict(getattr(city, name)) for name in city.counts() if hasattr(city, name)}
    with pytest.raises(CityError, match="signals: row 0 is green from"):
        City(city.info, tables | {"signals": signals}, city.schedules)


def lines_file(tmp_path):
    lines = geopandas.GeoDataFrame(
        {"oneway": [1.0, None], "vmax": [30, 50], "denomination": ["Quay", None]},
        geometry=[shapely.LineString([(0, 0), (80, 60), (100, 0)]), shapely.LineString([(100, 0), (200, 0)])],
        crs="EPSG:32630",
    )
    lines.to_file(tmp_path / "sections.gpkg")
    return tmp_path / "sections.gpkg"


def test_lines_with_attributes(tmp_path):
    meaning = {"1": "along", "": "both"}
    columns = {"direction": "oneway", "meaning": meaning, "speed": "vmax", "street": "denomination", "rank": 6}
    city = City.from_lines(lines_file(tmp_path), "Sections", **columns)
    assert city.info.crs == "EPSG:32630"
    assert (city.links.speed * 3.6).tolist() == pytest.approx([30, 50, 50])
    assert city.links.way.tolist() == [0, 1, 1]
    assert city.links.capacity.tolist() == pytest.approx([600.0] * 3)
    assert (city.links.access & Access.CAR).all()
    roads = city.layer("roads")
    assert roads["name"].tolist() == ["Quay", "", ""]
    assert "edge" not in roads
    assert roads.geometry.length.tolist() == pytest.approx(city.links.length.tolist())
    assert city.info.report["streets"]["lines"] == 2


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"street": "strasse"}, "street: there is no column 'strasse'; there are: oneway, vmax, denomination"),
        ({"rank": 44}, "line 1: rank is 44, allowed are whole numbers of 0 … 11"),
        ({"rank": 5.5}, "line 1: rank is 5.5, allowed are whole numbers of 0 … 11"),
        ({"direction": "oneway"}, "line 1: column 'oneway' holds 1.0; 'meaning' must say"),
    ],
)
def test_what_is_wrong_with_lines_is_named(tmp_path, columns, message):
    with pytest.raises(CityError, match=rf"sections.gpkg: {message}"):
        City.from_lines(lines_file(tmp_path), **columns)


def test_a_new_street_cuts_an_edge_and_its_signal_stays_at_the_end(tmp_path):
    city = City.from_sumo(net(folder=tmp_path))
    line = [[WEST - 50, NORTH + 1], [WEST - 50, NORTH + 80]]
    lanes = {"change": "lanes", "lanes": 1, "links": [0]}
    new = {"change": "new_street", "line": line, "kmh": 30}
    drawn = city
    for change in (lanes, new):
        drawn = Design.from_dict({"name": "d", "crs": "EPSG:32632", "changes": [change]}).apply(drawn)
    network = network_of_city(drawn)
    parts = links_of_edges(network)["a"]
    assert len(parts) == 2
    assert network.end[parts[0]] == network.start[parts[1]]
    assert network.length[parts].sum() == pytest.approx(100)
    assert set(network.signals.link) == {parts[1], links_of_edges(network)["b"][0]}
    assert drawn.links.capacity[parts].tolist() == [city.links.capacity[0]] * 2
    # half the lanes carry half of what they carried
    before = network_of_city(city)
    assert network.capacity[parts].tolist() == pytest.approx([before.capacity[0] / 2] * 2)
    assert network.signals.flow.min() == pytest.approx(before.signals.flow[before.signals.link == 0][0] / 2)
    assert network.edges[network.way < 0].tolist() == ["", ""]


def test_both_directions_of_a_street_are_closed_at_a_point(tmp_path):
    uneven = [edge("d", "M", "W", length=97.5) if 'id="d"' in one else one for one in EDGES]
    city = City.from_sumo(net(LOCATION, *uneven, PROGRAM, *JUNCTIONS, *CONNECTIONS, folder=tmp_path))
    filtered = {"change": "filter", "point": [WEST - 50, NORTH + 1]}
    design = Design.from_dict({"name": "d", "crs": "EPSG:32632", "changes": [filtered]})
    cars = (design.apply(city).links.access & Access.CAR) > 0
    assert cars.tolist() == [False, True, True, False]


def test_streets_that_are_no_edges_have_no_routes():
    city = City.synthetic(1_000, seed=1)
    with pytest.raises(ValueError, match="the streets are no edges of SUMO; make the city of its network"):
        links_of_edges(network_of_city(city))
