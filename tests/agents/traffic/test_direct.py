"""Demand that is given: matrices keep their totals, zones their nodes, and wrong input is named."""

import os
from itertools import pairwise
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from cities import CRS, SOUTH, WEST, tiny_city

from citytwin.agents.traffic.demand import Mode
from citytwin.agents.traffic.direct import (
    Connectors,
    connect,
    departures,
    matrix_trips,
    read_trip_table,
    round_to_total,
)
from citytwin.agents.traffic.matrices import DAY, DemandError, Matrix, read_csv, read_matrix, read_visum
from citytwin.agents.vehicles import VehicleKind
from citytwin.environment.network.network import Network
from citytwin.environment.network.of_city import network_of_city


def folder(name):
    """Return a folder of real data, or skip."""
    root = os.environ.get("CITYTWIN_DATA")
    if not root or not (Path(root) / name).is_dir():
        pytest.skip(f"needs {name} under CITYTWIN_DATA; see tests/DATA.md")
    return Path(root) / name


@pytest.fixture(scope="module")
def network():
    """Nine nodes in a square of 1 km, 500 m apart."""
    return network_of_city(tiny_city())


@pytest.fixture
def csv_file(tmp_path):
    def write(text, name="od.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


class TestCsv:
    def test_cells_as_written(self, csv_file):
        matrix = read_matrix(csv_file("origin,destination,trips\nA,B,2.5\nB,C,0\n\nA,A,4\n"))
        assert matrix.zones == ("A", "B", "C")
        assert matrix.origin.tolist() == [0, 1, 0] and matrix.destination.tolist() == [1, 2, 0]
        assert matrix.trips.tolist() == [2.5, 0, 4] and matrix.total == 6.5
        assert np.all(matrix.mode == Mode.CAR) and (matrix.begin, matrix.end) == (0, DAY)

    def test_a_column_of_modes(self, csv_file):
        matrix = read_csv(csv_file("origin,destination,trips,mode\n1,2,3,Walk\n1,2,5,transit\n"))
        assert matrix.mode.tolist() == [Mode.WALK, Mode.TRANSIT]

    def test_a_column_for_each_mode(self, csv_file):
        path = csv_file("from,to,all,bus,foot\n1,2,9,4,5\n2,1,2,2,0\n")
        matrix = read_csv(path, origin="from", destination="to", modes={"bus": "transit", "foot": "walk"})
        assert matrix.trips.tolist() == [4, 5, 2, 0]
        assert matrix.mode.tolist() == [Mode.TRANSIT, Mode.WALK] * 2

    def test_all_that_is_wrong_with_its_line(self, csv_file):
        path = csv_file(
            "origin,destination,trips,mode\nA,B,-1,car\nA,B,x,car\nA,B\n,B,1,car\nA,B,1,boat\nA,B,inf,car\n"
        )
        with pytest.raises(DemandError) as error:
            read_csv(path)
        lines = str(error.value).splitlines()
        for line, text in zip(
            lines,
            (
                ":2: A → B: trips is -1, must be 0 or more",
                ":3: A → B: trips is 'x', must be a number",
                ":4: has 2 values, the first line names 4 columns",
                ":5: names no origin",
                ":6: mode 'boat' is none of car, passenger",
                ":7: A → B: trips is 'inf', must be a number",
            ),
            strict=True,
        ):
            assert line.startswith(str(path)) and text in line

    def test_long_lists_of_problems_are_cut(self, csv_file):
        with pytest.raises(DemandError, match="and 10 more"):
            read_csv(csv_file("origin,destination,trips\n" + "A,B,-1\n" * 30))

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("from,to,n\n1,2,3\n", "no column 'origin'; there are: from, to, n"),
            ("", "there are: none"),
            ('origin,destination,trips\n"A,B,3\n', "od.csv:2"),
        ],
    )
    def test_files_that_are_none(self, csv_file, text, message):
        with pytest.raises(DemandError, match=message):
            read_csv(csv_file(text))

    def test_no_file(self, tmp_path):
        with pytest.raises(DemandError, match="cannot be read"):
            read_matrix(tmp_path / "none.csv")

    @pytest.mark.parametrize("header", ["origin,destination,trips,trips", "origin,origin,destination,trips"])
    def test_a_column_that_is_there_twice(self, csv_file, header):
        twice = header.split(",")[-1] if header.endswith("trips,trips") else "origin"
        with pytest.raises(DemandError, match=rf"od\.csv:1: column '{twice}' is there more than once"):
            read_csv(csv_file(f"{header}\n1,2,3,4\n"))

    def test_more_cells_than_are_read(self, csv_file, monkeypatch):
        monkeypatch.setattr("citytwin.agents.traffic.matrices.MOST_ROWS", 2)
        text = "origin,destination,trips\n1,2,3\n2,1,4\n"
        assert read_matrix(csv_file(text)).total == 7
        with pytest.raises(DemandError, match=r"od\.csv:4: more than 2 rows; leave out those without trips"):
            read_matrix(csv_file(text + "3,1,1\n"))
        visum = TestVisum.TEXT
        assert len(read_matrix(csv_file(visum, "od.txt")).trips) == 2
        with pytest.raises(DemandError, match=r"od\.txt:9: more than 2 cells"):
            read_matrix(csv_file(visum + "1 1 1\n", "od.txt"))

    def test_a_file_larger_than_is_read(self, csv_file, monkeypatch):
        monkeypatch.setattr("citytwin.agents.traffic.matrices.MAX_BYTES", 10)
        with pytest.raises(DemandError, match="has 29 bytes, at most 10 are read"):
            read_matrix(csv_file("origin,destination,trips\n1,2\n"))

    def test_unknown_mode_of_a_column(self, csv_file):
        with pytest.raises(DemandError, match="'boat' is none of"):
            read_csv(csv_file("origin,destination,ferry\n1,2,3\n"), modes={"ferry": "boat"})


class TestVisum:
    TEXT = "$OR;D2\n* From-Time  To-Time\n7.30 8.00\n* Factor\n2.00\n* cells\n 1 2 10.5\n 2 1 1\n"

    def test_times_factor_and_cells(self, csv_file):
        matrix = read_matrix(csv_file(self.TEXT, "od.txt"))
        assert (matrix.begin, matrix.end) == (7.5 * 3600, 8 * 3600)
        assert matrix.zones == ("1", "2") and matrix.trips.tolist() == [21, 2]

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("$OR;D2", "$VR;D2", r":1: begins with '\$VR;D2'; only lists"),
            ("7.30 8.00", "8.30 8.00", ":3: '8.30 8.00' is no period"),
            ("7.30 8.00", "7.75 8.00", ":3: '7.75 8.00' is no period"),
            ("2.00", "two", ":5: factor: number is 'two'"),
            ("2 1 1", "2 1", ":8: '2 1' is no cell"),
            ("2 1 1", "2 1 -4", ":8: 2 → 1: trips is -4"),
        ],
    )
    def test_what_is_wrong_with_its_line(self, csv_file, old, new, message):
        with pytest.raises(DemandError, match=message):
            read_visum(csv_file(self.TEXT.replace(old, new), "od.txt"))


class TestRounding:
    def test_every_total_is_kept(self):
        rng = np.random.default_rng(1)
        for seed in range(40):
            values = rng.exponential(0.6, rng.integers(1, 200))
            got = round_to_total(values, seed, "test")
            assert got.sum() in (np.floor(values.sum()), np.ceil(values.sum()))
            assert np.all((got == np.floor(values)) | (got == np.ceil(values)))

    def test_whole_numbers_and_whole_totals(self):
        whole = np.arange(20.0)
        np.testing.assert_array_equal(round_to_total(whole, 1, "test"), whole)
        for seed in range(20):
            assert round_to_total(np.full(1000, 0.1), seed, "test").sum() == 100

    def test_a_remainder_is_the_chance_of_one_more(self):
        values = np.array([0.1, 0.25, 0.5, 0.15, 0.7])
        mean = np.mean([round_to_total(values, seed, "test") for seed in range(4_000)], axis=0)
        assert np.all(np.abs(mean - values) < 4 * np.sqrt(values * (1 - values) / 4_000))


class TestZones:
    def squares(self, **names):
        boxes = [
            shapely.box(WEST - 10, SOUTH - 10, WEST + 510, SOUTH + 510),
            shapely.box(WEST + 990, SOUTH + 990, WEST + 1010, SOUTH + 1010),
        ]
        return geopandas.GeoDataFrame({"key": ["a", "b"]} | names, geometry=boxes, crs=CRS)

    def test_nodes_in_areas(self, network):
        for zones in (self.squares(), self.squares().to_crs("EPSG:4326")):
            found = connect(zones, network, "key")
            assert found.zones == ("a", "b") and found.first.tolist() == [0, 4, 5]
            assert found.node.tolist() == [0, 1, 3, 4, 8]

    def test_nodes_at_points(self, network):
        points = geopandas.GeoDataFrame({"key": [7]}, geometry=[shapely.Point(WEST + 600, SOUTH + 300)], crs=CRS)
        found = connect(points, network, "key")
        assert found.zones == ("7",) and found.node.tolist() == [4]

    def test_what_is_wrong_with_zones(self, network):
        shapes = [
            shapely.box(WEST + 100, SOUTH + 100, WEST + 200, SOUTH + 200),
            shapely.Point(WEST - 9_000, SOUTH),
            shapely.Point(WEST, SOUTH),
            shapely.Point(WEST, SOUTH),
            None,
        ]
        zones = geopandas.GeoDataFrame({"key": ["in", "off", "twice", "twice", "empty"]}, geometry=shapes, crs=CRS)
        with pytest.raises(DemandError) as error:
            connect(zones, network, "key")
        text = str(error.value)
        assert "zone 'in' has no street" in text
        assert "zone 'off'" in text and "lies 9,000 m off the nearest street" in text
        assert "2 zones are called 'twice'" in text and "zone 'empty' has no geometry" in text
        with pytest.raises(DemandError, match="no column 'name'; there are: key"):
            connect(zones, network, "name")


def connectors(nodes):
    """Connectors of zones by name, with one node or a list of them each."""
    each = [np.atleast_1d(found) for found in nodes.values()]
    first = np.concatenate([[0], np.cumsum([len(found) for found in each])])
    return Connectors(tuple(nodes), first, np.concatenate(each).astype(np.int32))


class TestTrips:
    MATRIX = Matrix(
        ("a", "b"),
        np.array([0, 1, 0], np.int32),
        np.array([1, 0, 0], np.int32),
        np.array([40.4, 9.3, 0.3]),
        np.array([Mode.CAR, Mode.WALK, Mode.CAR], np.uint8),
        7 * 3600.0,
        8 * 3600.0,
        "od.csv",
    )

    CONNECTORS = connectors({"b": 8, "a": [0, 1], "unused": 4})

    def test_totals_nodes_modes_and_times(self):
        trips = matrix_trips(self.MATRIX, self.CONNECTORS, seed=1)
        assert len(trips) == 50
        assert np.all(np.diff(trips.depart) >= 0)
        assert trips.depart.min() >= 7 * 3600 and trips.depart.max() < 8 * 3600
        there = trips.destination == 8
        assert set(trips.origin[there]) == {0, 1} and np.all(trips.mode[there] == Mode.CAR)
        walk = trips.mode == Mode.WALK
        assert walk.sum() in (9, 10) and np.all(trips.origin[walk] == 8)
        assert np.all(trips.person == -1) and np.all(trips.previous == -1)

    def test_factor_and_kind(self):
        trips = matrix_trips(self.MATRIX, self.CONNECTORS, seed=1, factor=10, kind=VehicleKind.TRUCK)
        assert len(trips) == 500 and np.all(trips.kind == VehicleKind.TRUCK)

    def test_a_larger_matrix_has_the_trips_of_the_smaller(self):
        """Draws belong to the cell: trips of one cell are the same whatever the others hold."""
        more = Matrix(**(vars(self.MATRIX) | {"trips": np.array([40.0, 30.0, 0.0])}))
        less = Matrix(**(vars(self.MATRIX) | {"trips": np.array([40.0, 0.0, 0.0])}))
        few, many = (matrix_trips(m, self.CONNECTORS, seed=1) for m in (less, more))
        assert set(few.depart) <= set(many.depart) and (len(few), len(many)) == (40, 70)

    def test_profile(self):
        trips = matrix_trips(self.MATRIX, self.CONNECTORS, seed=2, factor=200, profile=[1, 0, 3, 0])
        part = np.bincount(((trips.depart - 7 * 3600) // 900).astype(int), minlength=4)
        assert part[1] == part[3] == 0
        assert abs(part[2] / part.sum() - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 10_000)

    def test_departures_by_hand(self):
        got = departures(np.array([0.0, 0.125, 0.25, 0.5, 1.0]), 0, 40, [1, 3])
        np.testing.assert_allclose(got, [0, 10, 20, 80 / 3, 40])
        for wrong in ([0, 0], [1, -1], [np.nan]):
            with pytest.raises(DemandError, match="weights"):
                departures(np.array([0.5]), 0, 1, wrong)

    @pytest.mark.parametrize("trips", [[1e8, 1.0, 0.0], [2.0**24, 0.0, 0.0], [1e300, 1e300, 1e300]])
    def test_more_trips_than_there_can_be(self, trips):
        matrix = Matrix(**(vars(self.MATRIX) | {"trips": np.array(trips)}))
        with pytest.raises(
            DemandError, match=r"od\.csv: .* trips in all; at most 100,000,000, and 16,777,216 in a cell"
        ):
            matrix_trips(matrix, self.CONNECTORS, seed=1)

    def test_zones_without_nodes_are_named(self):
        with pytest.raises(DemandError, match=r"od\.csv: 1 zones have trips but no nodes in the network: 'b'"):
            matrix_trips(self.MATRIX, connectors({"a": 0}), seed=1)
        nothing = Matrix(**(vars(self.MATRIX) | {"trips": np.array([0.0, 0.0, 3.0])}))
        assert len(matrix_trips(nothing, connectors({"a": 0}), seed=1)) == 3


class TestTables:
    def test_by_node(self, csv_file, network):
        trips = read_trip_table(
            csv_file("depart,origin,destination,mode,kind\n7:30,0,8,car,truck\n60.5,3,3,walk,car\n"), network
        )
        assert trips.depart.tolist() == [60.5, 27_000.0]
        assert trips.origin.tolist() == [3, 0] and trips.destination.tolist() == [3, 8]
        assert trips.mode.tolist() == [Mode.WALK, Mode.CAR]
        assert trips.kind.tolist() == [VehicleKind.CAR, VehicleKind.TRUCK]

    def test_by_coordinates_and_from_parquet(self, tmp_path, csv_file, network):
        text = f"depart,from_x,from_y,to_x,to_y\n10,{WEST + 20},{SOUTH - 5},{WEST + 900},{SOUTH + 980}\n"
        trips = read_trip_table(csv_file(text), network)
        assert (trips.origin[0], trips.destination[0]) == (0, 8)
        import pandas

        pandas.DataFrame({"depart": [10.0], "origin": [0], "destination": [8]}).to_parquet(tmp_path / "trips.parquet")
        same = read_trip_table(tmp_path / "trips.parquet", network)
        assert (same.origin[0], same.destination[0], same.depart[0]) == (0, 8, 10.0)

    def test_what_is_wrong_with_its_line(self, csv_file, network):
        path = csv_file(
            "depart,origin,destination,mode\n90000,0,1,car\n7:61,0,1,car\n1,0,9,car\n1,0.5,1,car\n1,0,1,boat\n"
        )
        with pytest.raises(DemandError) as error:
            read_trip_table(path, network)
        text = str(error.value)
        for message in (
            ":2: depart is '90000'",
            ":3: depart is '7:61'",
            ":4: destination is '9', the network has nodes 0 … 8",
            ":5: origin is '0.5'",
            ":6: mode 'boat' is none of car",
        ):
            assert message in text

    def test_coordinates_outside_the_city(self, csv_file, network):
        path = csv_file(f"depart,from_x,from_y,to_x,to_y\n10,4.9,52.4,{WEST},{SOUTH}\n")
        with pytest.raises(DemandError, match=r"od.csv:2: from \(5, 52\) lies .* m off the nearest street"):
            read_trip_table(path, network)

    def test_columns_that_are_missing(self, csv_file, network):
        with pytest.raises(DemandError, match="needs the columns depart, and origin, destination or from_x"):
            read_trip_table(csv_file("depart,origin\n1,0\n"), network)

    def test_a_column_that_is_there_twice(self, csv_file, network):
        with pytest.raises(DemandError, match=r"od\.csv:1: column 'depart' is there more than once"):
            read_trip_table(csv_file("depart,origin,destination,depart\n1,0,1,2\n"), network)

    def test_more_rows_than_are_read(self, tmp_path, csv_file, network, monkeypatch):
        import pandas

        pandas.DataFrame({"depart": [1.0] * 3, "origin": 0, "destination": 8}).to_parquet(tmp_path / "trips.parquet")
        for module in ("matrices", "direct"):
            monkeypatch.setattr(f"citytwin.agents.traffic.{module}.MOST_ROWS", 2)
        with pytest.raises(DemandError, match=r"od\.csv:4: more than 2 rows"):
            read_trip_table(csv_file("depart,origin,destination\n1,0,8\n2,0,8\n3,0,8\n"), network)
        with pytest.raises(DemandError, match=r"trips\.parquet: 3 rows, at most 2 are read"):
            read_trip_table(tmp_path / "trips.parquet", network)

    def test_a_file_that_is_no_parquet(self, csv_file, network):
        with pytest.raises(DemandError, match="cannot be read as Parquet"):
            read_trip_table(csv_file("nonsense", "trips.parquet"), network)


class TestRealMatrices:
    def test_munich(self):
        matrix = read_matrix(folder("munich_od") / "MR_7.0_8.0.txt")
        assert matrix.total == 51_746 and len(matrix.trips) == 5_256
        assert len(set(zip(matrix.origin.tolist(), matrix.destination.tolist(), strict=True))) == 5_256
        assert (matrix.begin, matrix.end) == (7 * 3600, 8 * 3600)

    def test_all_hours_of_munich(self):
        for hour in range(5, 10):
            matrix = read_visum(folder("munich_od") / f"MR_{hour}.0_{hour + 1}.0.txt")
            assert (matrix.begin, matrix.end) == (hour * 3600, (hour + 1) * 3600)
            assert len(matrix.trips) == 5_256 and matrix.total > 0

    def test_munich_as_vehicles(self):
        matrix = read_matrix(folder("munich_od") / "MR_7.0_8.0.txt")
        anywhere = connectors({name: n % 9 for n, name in enumerate(matrix.zones)})
        trips = matrix_trips(matrix, anywhere, seed=1)
        assert len(trips) == 51_746
        assert len(matrix_trips(matrix, anywhere, seed=1, factor=0.1)) in (5_174, 5_175)
        back = {name: n for n, name in enumerate(anywhere.zones)}
        wanted = np.zeros((9, 9))
        ends = np.array([back[name] % 9 for name in matrix.zones])
        np.add.at(wanted, (ends[matrix.origin], ends[matrix.destination]), matrix.trips)
        got = np.zeros((9, 9))
        np.add.at(got, (trips.origin, trips.destination), 1)
        np.testing.assert_array_equal(got, wanted)

    def test_edinburgh(self):
        path = folder("edinburgh_od") / "od.csv"
        every = read_csv(path, origin="geo_code1", destination="geo_code2", trips="all")
        assert len(every.trips) == 49 and every.total == 6_555 and len(every.zones) == 7
        modes = {
            "train": "transit",
            "bus": "transit",
            "car_driver": "car",
            "car_passenger": "passenger",
            "bicycle": "bicycle",
            "foot": "walk",
        }
        by_mode = read_csv(path, origin="geo_code1", destination="geo_code2", modes=modes)
        assert by_mode.trips[by_mode.mode == Mode.WALK].sum() == 4_985
        assert by_mode.total <= 6_555

    def test_zones_of_edinburgh(self):
        zones = geopandas.read_file(folder("edinburgh_od") / "zones.geojson")
        matrix = read_csv(folder("edinburgh_od") / "od.csv", origin="geo_code1", destination="geo_code2", trips="all")
        network = streets_of(geopandas.read_file(folder("edinburgh_od") / "road_network.geojson"))
        connectors = connect(zones, network, "InterZone")
        assert set(matrix.zones) == set(connectors.zones)
        trips = matrix_trips(matrix, connectors, seed=1)
        assert len(trips) == 6_555
        area = zones.to_crs(network.crs).set_index("InterZone").geometry
        one = connectors.node[connectors.first[0] : connectors.first[1]]
        inside = shapely.intersects_xy(area[connectors.zones[0]], network.x[one], network.y[one])
        assert inside.all() and len(one) > 10


def streets_of(lines):
    """Return a network with both directions of each line, whose ends and points are nodes."""
    lines = lines.to_crs("EPSG:27700")
    number, pairs, length = {}, [], []
    for line in lines.geometry:
        ends = [number.setdefault((round(x, 1), round(y, 1)), len(number)) for x, y in line.coords]
        for (a, p), (b, q) in pairwise(zip(ends, line.coords, strict=True)):
            if a != b:
                pairs += [(a, b), (b, a)]
                length += [max(1.0, np.hypot(p[0] - q[0], p[1] - q[1]))] * 2
    xy, ends, links = np.array(list(number)), np.array(pairs, np.int32), len(pairs)
    return Network(
        x=xy[:, 0], y=xy[:, 1], start=ends[:, 0].copy(), end=ends[:, 1].copy(), length=np.array(length),
        speed=np.full(links, 8.0), lanes=np.ones(links), capacity=np.full(links, 0.3), access=np.full(links, 7, np.uint8),
        rank=np.full(links, 6, np.uint8), way=np.arange(links), through=np.ones(len(xy), bool), crs="EPSG:27700",
    )  # fmt: skip
