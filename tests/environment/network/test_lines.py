"""Networks of drawn lines: joined ends, repairs that are counted, and a real city's sections with observed speeds."""

import csv
import os
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

from citytwin.environment.network.lines import network_of_lines, read_lines
from citytwin.environment.network.network import NetworkError
from citytwin.environment.roads import Access, RoadRank

DATA = os.environ.get("CITYTWIN_DATA")
CRS = "EPSG:32630"


def drawn(*lines, crs=CRS, **columns):
    return geopandas.GeoDataFrame(columns, geometry=[shapely.LineString(line) for line in lines], crs=crs)


def ends(network):
    """Directed pairs of node positions in whole metres."""
    x, y = np.rint(network.x).astype(int), np.rint(network.y).astype(int)
    return sorted(
        ((int(x[a]), int(y[a])), (int(x[b]), int(y[b]))) for a, b in zip(network.start, network.end, strict=True)
    )


CORNER = [(0, 0), (100, 0)], [(100, 0), (100, 50), (150, 50)]


def test_a_line_is_a_link_a_direction():
    network = network_of_lines(drawn(*CORNER), speed=36.0, lanes=2, rank=RoadRank.PRIMARY)
    assert network.nodes == 3
    assert ends(network) == sorted(
        [((0, 0), (100, 0)), ((100, 0), (0, 0)), ((100, 0), (150, 50)), ((150, 50), (100, 0))]
    )
    assert network.length.tolist() == [100, 100, 100, 100]
    assert network.speed.tolist() == [10.0] * 4
    assert network.capacity * 3600 == pytest.approx(2 * 1500)
    assert network.way.tolist() == [0, 0, 1, 1]
    assert network.crs == CRS
    assert network.usable(Access.CAR).all()


def test_direction_by_word_and_by_column():
    lines = drawn(*CORNER, sens=["oui", None])
    assert ends(network_of_lines(lines, direction="along")) == [((0, 0), (100, 0)), ((100, 0), (150, 50))]
    assert ends(network_of_lines(lines, direction="against")) == [((100, 0), (0, 0)), ((150, 50), (100, 0))]
    mixed = network_of_lines(lines, direction="sens", meaning={"oui": "against", None: "both"})
    assert ends(mixed) == [((100, 0), (0, 0)), ((100, 0), (150, 50)), ((150, 50), (100, 0))]


def test_attributes_come_by_row():
    lines = drawn(*CORNER, limit=[30, "50"], number=[1, 2.0], order=[6, 2])
    network = network_of_lines(lines, speed="limit", lanes="number", rank="order")
    assert network.speed * 3.6 == pytest.approx([30, 30, 50, 50])
    assert network.lanes.tolist() == [1, 1, 2, 2]
    assert network.rank.tolist() == [6, 6, 2, 2]
    assert lines["limit"].to_numpy()[network.way].tolist() == [30, 30, "50", "50"]


def test_ends_that_nearly_meet_are_joined_and_counted():
    lines = drawn([(0, 0), (100, 0)], [(100.6, 0), (200, 0)])
    near = network_of_lines(lines, direction="along", snap=1.0)
    assert near.nodes == 3
    assert near.report["ends moved to their node"] == 2
    assert near.report["farthest move m"] == pytest.approx(0.3)
    assert near.report["links weakly connected"] == 2
    apart = network_of_lines(lines, direction="along", snap=0.5)
    assert apart.nodes == 4
    assert apart.report["ends moved to their node"] == 0
    assert apart.report["links weakly connected"] == 1
    assert apart.report["share of km weakly connected"] == pytest.approx(100 / 199.4, abs=1e-4)


def test_lines_without_length_are_left_out_and_loops_are_kept():
    lines = drawn([(0, 0), (100, 0)], [(100, 0), (100, 0.2)], [(100, 0), (100, 0)], [(100, 0), (120, 20), (100, 0)])
    network = network_of_lines(lines, direction="along")
    assert network.report["lines without length left out"] == 2
    assert network.report["lines that end where they begin"] == 1
    assert sorted(network.way.tolist()) == [0, 3]


def test_lines_drawn_twice_are_left_out_but_not_other_ways_between_the_same_ends():
    lines = drawn([(0, 0), (100, 0)], [(100, 0.1), (0, 0.1)], [(0, 0), (50, 40), (100, 0)])
    network = network_of_lines(lines)
    assert network.report["links drawn twice left out"] == 2
    assert network.way.tolist() == [0, 0, 2, 2]


def test_ends_in_the_middle_of_a_line_are_counted_not_joined():
    lines = drawn([(0, 0), (100, 0)], [(50, 0), (50, 60)])
    report = network_of_lines(lines).report
    assert report["ends on the way of other lines, not joined"] == 1
    assert report["links weakly connected"] == 2


def test_lines_beside_the_middle_of_their_street_meet_there():
    """Two directions drawn 6 m right of the middle of a street, and a third street in its middle."""
    lines = drawn([(0, -6), (100, -6)], [(100, 6), (0, 6)], [(100, 0), (200, 0)], off=[6, 6, 0])
    network = network_of_lines(lines, direction="along", aside="off")
    assert ends(network) == [((0, 0), (100, 0)), ((100, 0), (0, 0)), ((100, 0), (200, 0))]
    assert network_of_lines(lines, direction="along").nodes == 6


def test_degrees_are_projected():
    lines = drawn([(-1.70, 48.10), (-1.70, 48.11)], crs="EPSG:4326")
    network = network_of_lines(lines, direction="along")
    assert network.crs == CRS
    assert network.length[0] == pytest.approx(
        0.01 * 111_200, rel=1e-3
    )  # m of a hundredth of a degree of latitude there


def test_pieces_that_meet_are_one_line():
    shape = shapely.MultiLineString([[(0, 0), (50, 0)], [(50, 0), (100, 0)]])
    network = network_of_lines(geopandas.GeoDataFrame(geometry=[shape], crs=CRS), direction="along")
    assert network.length.tolist() == [100]


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        (drawn(), {}, "there are no lines"),
        (drawn(*CORNER, crs=None), {}, "no CRS"),
        (drawn(*CORNER), {"snap": 0}, "snap is 0 m"),
        (drawn(*CORNER), {"speed": "limit"}, "speed: there is no column 'limit'"),
        (
            drawn(*CORNER, limit=[50, 0]),
            {"speed": "limit"},
            r"line 2: speed is .*0.*, must be a number above 0 \(1 lines",
        ),
        (drawn(*CORNER, limit=[50, None]), {"speed": "limit"}, "line 2: speed is .*nan"),
        (drawn(*CORNER, limit=["fast", 50]), {"speed": "limit"}, "line 1: speed is 'fast'"),
        (drawn(*CORNER), {"lanes": -1.0}, "line 1: lanes is -1.0"),
        (drawn(*CORNER, order=[6, 99]), {"rank": "order"}, "line 2: rank is 99, allowed are whole numbers of 0 … 11"),
        (drawn(*CORNER), {"direction": "east"}, "direction 'east' is neither along, against, both nor a column"),
        (drawn(*CORNER, d=[1, 2]), {"direction": "d", "meaning": {1: "along"}}, "line 2: column 'd' holds 2"),
        (drawn([(0, 0), (0, 0)]), {}, "no line is longer than 1 m"),
        (drawn([(0, 0), (1e40, 5)], crs="EPSG:4326"), {}, "outside what EPSG:4326 covers"),
        (geopandas.GeoDataFrame(geometry=[shapely.Point(0, 0)], crs=CRS), {}, "line 1 is Point, not one LineString"),
        (geopandas.GeoDataFrame(geometry=[None], crs=CRS), {}, "line 1 is missing"),
        (geopandas.GeoDataFrame(geometry=[shapely.LineString()], crs=CRS), {}, "line 1 is empty"),
    ],
)
def test_what_cannot_be_used_is_named(lines, options, message):
    with pytest.raises(NetworkError, match=message):
        network_of_lines(lines, **options)


# ---------------------------------------------------------------------- files

GEOJSON = '{"type": "LineString", "coordinates": [[-1.70, 48.10], [-1.69, 48.10]]}'
WKT = "LINESTRING (-1.70 48.10, -1.69 48.10)"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("text", [GEOJSON, WKT])
def test_tables_with_a_column_of_lines(tmp_path, separator, text):
    path = tmp_path / "streets.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=separator).writerows([["name", "shape"], ["Rue d'Été", text]])
    lines = read_lines(path)
    assert lines["name"].tolist() == ["Rue d'Été"]
    assert list(lines.geometry[0].coords) == [(-1.70, 48.10), (-1.69, 48.10)]
    assert lines.crs == "EPSG:4326"


def test_geopackages_are_read(tmp_path):
    drawn(*CORNER, name=["a", "b"]).to_file(tmp_path / "streets.gpkg")
    drawn(*CORNER, name=["a", "b"]).to_parquet(tmp_path / "streets.parquet")
    for file in ("streets.gpkg", "streets.parquet"):
        lines = read_lines(tmp_path / file)
        assert lines["name"].tolist() == ["a", "b"]
        assert network_of_lines(lines).nodes == 3


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b\n1,2\n", {}, "no column holds lines"),
        (f'a,b\n1,"{WKT}"\n', {"geometry": "shape"}, "there is no column 'shape'; there are: a, b"),
        (f'a,b\n1,"{WKT}"\n2,LINESTRING (oops)\n', {}, "row 2: 'b' holds no line: LINESTRING"),
        (f'a,b\n1,"{WKT}"\n2,\n', {}, "row 2: 'b' holds no line"),
        ('a,b\n1,"unclosed\n', {}, "not a CSV|no column holds lines"),
    ],
)
def test_damaged_tables_are_named(tmp_path, text, options, message):
    path = tmp_path / "streets.csv"
    path.write_text(text)
    with pytest.raises(NetworkError, match=message):
        read_lines(path, **options)


def test_damaged_and_missing_files_are_named(tmp_path):
    (tmp_path / "streets.gpkg").write_bytes(b"nothing of the kind")
    (tmp_path / "streets.parquet").write_bytes(b"PAR1 nothing of the kind")
    (tmp_path / "latin.csv").write_bytes("a;b\né;ü".encode("latin-1"))
    for file, message in (
        ("streets.gpkg", "cannot be read"),
        ("streets.parquet", "cannot be read"),
        ("latin.csv", "not a CSV in UTF-8"),
        ("absent.gpkg", "no such file"),
    ):
        with pytest.raises(NetworkError, match=message):
            read_lines(tmp_path / file)


# ---------------------------------------------------------------------- Rennes


@pytest.fixture(scope="module")
def rennes():
    """Sections of Rennes, each of one direction as drawn; those of two-way streets are drawn 6 m beside its middle."""
    if DATA is None:
        pytest.skip("CITYTWIN_DATA is unset; tests/DATA.md says where the sets are from")
    lines = read_lines(Path(DATA) / "rennes_traffic" / "etat_du_trafic_temps_reel_2025-11-04.csv")
    lines["off"] = np.where(lines["sens_circule"].isna(), 6.0, 0.0)
    return lines


def test_rennes_is_read_whole(rennes):
    network = network_of_lines(rennes, direction="along", speed="vitesse_maxi", aside="off")
    assert network.links == len(rennes) == 2_859
    assert network.report["lines without length left out"] == network.report["links drawn twice left out"] == 0
    assert network.crs == "EPSG:32630"
    assert network.speed * 3.6 == pytest.approx(rennes["vitesse_maxi"].to_numpy()[network.way])


def test_speeds_of_rennes_as_published(rennes):
    """One instant, 2025-11-04 17:24: speeds 2 to 117 km/h, mean 36.4, and the number of sections of each status."""
    network = network_of_lines(rennes, direction="along", speed="vitesse_maxi", aside="off")
    observed = rennes["averageVehicleSpeed"].to_numpy()[network.way]
    assert round(observed.mean(), 1) == 36.4
    assert (observed.min(), observed.max()) == (2, 117)
    status = rennes["trafficStatus"].to_numpy()[network.way]
    counts = {name: int((status == name).sum()) for name in ("heavy", "freeFlow", "congested", "unknown")}
    assert counts == {"heavy": 1135, "freeFlow": 941, "congested": 485, "unknown": 298}
    # lengths are right if they give the times that the publisher measured, on the whole and from section to section
    seconds = network.length / (observed / 3.6)
    published = rennes["travelTime"].to_numpy()[network.way]
    assert seconds.sum() / published.sum() == pytest.approx(1.0, abs=0.01)
    assert np.corrcoef(seconds, published)[0, 1] > 0.99


def test_how_much_of_rennes_hangs_together(rennes):
    """In the middle of their streets all sections meet within half a metre; as drawn only a tenth does."""
    middle = network_of_lines(rennes, direction="along", speed="vitesse_maxi", aside="off")
    assert middle.report["links weakly connected"] == 2_859
    assert middle.report["share of km weakly connected"] == 1.0
    assert 0.85 < middle.report["share of km strongly connected"] < 1.0  # the rest leads into or out of the area
    same = network_of_lines(rennes, direction="along", speed="vitesse_maxi", aside="off", snap=3.0)
    assert same.nodes == middle.nodes
    beside = network_of_lines(rennes, direction="along", speed="vitesse_maxi")
    assert beside.report["links weakly connected"] < 0.4 * 2_859
