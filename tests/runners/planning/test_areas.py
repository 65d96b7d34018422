"""Areas, through traffic and rat runs: against a grid drawn by hand, and against the ways of single trips."""

import itertools
from pathlib import Path

import geopandas
import networkx
import numpy as np
import pytest
import shapely

from citytwin.environment.network.network import Network
from citytwin.environment.polygons import PolygonError
from citytwin.environment.roads import Access, RoadRank
from citytwin.runners.planning.areas import Outline, make_area, read_shapes
from citytwin.runners.planning.reading import same_links
from citytwin.runners.planning.traffic import (
    EMITTED,
    Side,
    area_figures,
    compare_traffic,
    network_of,
    rat_runs,
    read_side,
    street_flow,
    through_traffic,
    volumes,
)

SPACING = 200.0
COLUMNS = 9


def grid_network(names: dict[int, str] | None = None) -> Network:
    """Streets 200 m apart, nine to each side, one way number a street, both directions."""
    node = np.arange(COLUMNS**2).reshape(COLUMNS, COLUMNS)
    along = np.concatenate([node[:, :-1].ravel(), node[:-1].ravel()])
    onward = np.concatenate([node[:, 1:].ravel(), node[1:].ravel()])
    way = np.concatenate([along[: along.size // 2] // COLUMNS, COLUMNS + along[along.size // 2 :] % COLUMNS])
    start, end = np.concatenate([along, onward]), np.concatenate([onward, along])
    count = len(start)
    return Network(
        x=SPACING * (node.ravel() % COLUMNS),
        y=SPACING * (node.ravel() // COLUMNS),
        start=start.astype(np.int32),
        end=end.astype(np.int32),
        length=np.full(count, SPACING),
        speed=np.full(count, 10.0),
        lanes=np.ones(count),
        capacity=np.full(count, 0.2),
        access=np.full(count, Access.CAR, np.uint8),
        rank=np.full(count, RoadRank.RESIDENTIAL, np.uint8),
        way=np.tile(way, 2).astype(np.int64),
        through=np.ones(COLUMNS**2, bool),
        names=names or {},
    )


def side_of(network: Network, ways: list[list[int]], lines: list[list[int]] | None = None) -> Side:
    """Return a day on which somebody drives from node to node along each of the ways, and buses along lines."""
    link = {(int(a), int(b)): row for row, (a, b) in enumerate(zip(network.start, network.end, strict=True))}
    left, buses = np.zeros(network.links), np.zeros(network.links)
    for count, driven in ((left, [*ways, *(lines or [])]), (buses, lines or [])):
        for way in driven:
            for a, b in itertools.pairwise(way):
                count[link[a, b]] += 1
    links = {"entered": left, "left": left, "left_bus": buses, "seconds": left * 25.0, "peak": left}
    emitted = dict.fromkeys(EMITTED, left * network.length / 1000 * 200)
    return Side(network, links, emitted, 1, *(np.array([way[at] for way in ways], np.int64) for at in (0, -1)))


def row_of(number: int, first: int = 0, last: int = COLUMNS - 1) -> list[int]:
    """Nodes of a street from west to east."""
    return list(range(number * COLUMNS + first, number * COLUMNS + last + 1))


def test_inside_perimeter_and_around_of_a_block_on_a_grid() -> None:
    network = grid_network()
    block = make_area(
        "block", Outline(shapely.box(590, 595, 1010, 1008)), network
    )  # drawn by hand around streets 3 to 5
    x, y = network.x / SPACING, network.y / SPACING
    middle_x, middle_y = ((axis[network.start] + axis[network.end]) / 2 for axis in (x, y))
    within = (middle_x >= 3) & (middle_x <= 5) & (middle_y >= 3) & (middle_y <= 5)
    border = within & (np.isin(middle_x, (3, 5)) | np.isin(middle_y, (3, 5)))
    assert np.array_equal(block.perimeter, border)
    assert block.perimeter.sum() == 2 * 8
    assert np.array_equal(block.inside, within & ~border)
    assert block.inside.sum() == 2 * 4
    assert np.flatnonzero(block.nodes).tolist() == [4 * COLUMNS + 4]
    east = np.maximum.reduce([590 - 200 * middle_x, 200 * middle_x - 1010, np.zeros(network.links)])
    north = np.maximum.reduce([595 - 200 * middle_y, 200 * middle_y - 1008, np.zeros(network.links)])
    assert np.array_equal(block.around, ~within & (np.hypot(east, north) <= 500))


def test_through_traffic_leaves_out_who_lives_there() -> None:
    network = grid_network()
    block = make_area("block", Outline(shapely.box(600, 600, 1000, 1000)), network)
    centre = 4 * COLUMNS + 4
    across, home, out = row_of(4), row_of(4, 0, 4), row_of(4, 4, 8)
    past = row_of(3)  # on the perimeter
    assert home[-1] == centre == out[0]
    assert through_traffic(side_of(network, [across] * 7 + [home] * 3 + [out] * 2 + [past] * 5), block) == 7
    figures = area_figures(side_of(network, [across] * 7 + [past] * 5), block)
    assert figures["inside_vehicle_km"] == pytest.approx(7 * 0.4)
    assert figures["perimeter_vehicle_km"] == pytest.approx(5 * 0.4)
    assert figures["inside_delay_hours"] == pytest.approx(7 * 2 * 5 / 3600)
    city = volumes(side_of(network, [across]))
    times = {"vehicle_km": 1.6, "vehicle_hours": 8 * 25 / 3600, "delay_hours": 8 * 5 / 3600}
    assert city == pytest.approx(times | {"co2_kg": 0.32, "nox_g": 320, "pm10_g": 320})


def test_buses_are_no_through_traffic_and_no_rat_run() -> None:
    network = grid_network()
    block = make_area("block", Outline(shapely.box(600, 600, 1000, 1000)), network)
    across = row_of(4)
    side = side_of(network, [across] * 2, lines=[across] * 30)
    assert through_traffic(side, block) == 2
    assert area_figures(side, block)["inside_vehicle_km"] == pytest.approx(32 * 0.4)
    assert rat_runs(street_flow(side_of(network, [])), street_flow(side_of(network, [], [across] * 30)), network) == []


def test_streets_that_become_rat_runs_are_named() -> None:
    network = grid_network({2: "Mill Lane", 3: "Mill Lane", 6: "High Street"})
    rank = network.rank.copy()
    rank[network.way == 6] = RoadRank.SECONDARY
    network = network.with_columns(rank=rank)
    before = side_of(network, [row_of(4)] * 9 + [row_of(2)])
    after = side_of(network, [row_of(2)] * 4 + [row_of(3)] * 3 + [row_of(6)] * 2 + [row_of(5)] * 2)
    flows = street_flow(before), street_flow(after)
    assert flows[0][4] == 9 - 9  # all of them begin and end at junctions of this street
    longer = [[4 * COLUMNS - COLUMNS, *row_of(4), 5 * COLUMNS + 8]] * 9
    assert street_flow(side_of(network, longer))[4] == 9
    around = [[way[0] + COLUMNS, *way, way[-1] + COLUMNS] for way in (row_of(2), row_of(3), row_of(6), row_of(5))]
    new = street_flow(
        side_of(network, [way for way, times in zip(around, (4, 3, 2, 2), strict=True) for _ in range(times)])
    )
    named = rat_runs(street_flow(side_of(network, [])), new, network)
    listed = [(run.street, run.rise) for run in named]
    assert listed[0] == ("Mill Lane", 4)
    assert ("unnamed street 5", 2) in listed
    assert all(street != "High Street" for street, _ in listed)


def test_through_traffic_is_that_of_the_single_trips(planned) -> None:
    network = network_of(planned.results, 0)
    area = make_area("Block", Outline(planned.area), network)
    cars = zip(network.start.tolist(), network.end.tolist(), network.usable(Access.CAR).tolist(), strict=True)
    parts = list(
        networkx.connected_components(
            networkx.Graph([(a, b) for a, b, usable in cars if usable and area.nodes[a] and area.nodes[b]])
        )
    )

    def joined(one: int, other: int) -> bool:
        return one == other or any(one in part and other in part for part in parts)

    passed = []
    for run, day in planned.days.items():
        expected = 0
        for trip, way in day.ways.items():
            row = int(np.flatnonzero(day.order == trip)[0])
            begins, ends = (area.nodes[day.trips[name][row]] for name in ("origin", "destination"))
            inside = [*area.nodes[network.start[way]].tolist(), bool(ends)]
            entries = sum(b and not a for a, b in itertools.pairwise(inside))
            across = sum(
                area.inside[link] and not a and not b
                for link, (a, b) in zip(way, itertools.pairwise(inside), strict=True)
            )
            # who ends inside has to come in, from elsewhere or from a part of the area that is cut off from this one
            apart = begins and ends and not joined(*(day.trips[name][row] for name in ("origin", "destination")))
            expected += entries + across - bool(ends and (not begins or apart))
        found = through_traffic(read_side(planned.results, run, network), area)
        assert found == expected
        passed.append(found)
    assert max(passed) > 0
    frame, runs = compare_traffic(planned.results, 1, 0, {"Block": Outline(planned.area)})
    block = frame[frame["place"] == "Block"].set_index("figure")
    assert block["after"]["through"] < block["before"]["through"]
    assert block["after"]["inside_vehicle_km"] < block["before"]["inside_vehicle_km"]
    assert runs["city"]


def test_links_are_found_again_in_a_network_that_grew() -> None:
    network = grid_network()
    order = np.random.default_rng(1).permutation(network.links)[:-5]
    columns = ("start", "end", "length", "speed", "lanes", "capacity", "access", "rank", "way")
    other = network.with_columns(**{name: getattr(network, name)[order] for name in columns})
    found = same_links(network, other)
    assert (found < 0).sum() == 5
    known = found >= 0
    assert np.array_equal(order[found[known]], np.flatnonzero(known))
    assert np.array_equal(same_links(network, network), np.arange(network.links))


def test_areas_of_a_file_come_in_the_crs_of_the_city(planned, tmp_path: Path) -> None:
    shapes = read_shapes(planned.file, planned.city.info.crs)
    assert list(shapes) == ["Block"]
    assert shapes["Block"].shape.symmetric_difference(planned.area).area < 1e-3 * planned.area.area
    geopandas.GeoDataFrame(geometry=[planned.area, planned.area.buffer(5)], crs=planned.city.info.crs).to_file(
        tmp_path / "two.gpkg"
    )
    assert list(read_shapes(tmp_path / "two.gpkg", planned.city.info.crs)) == ["area 0", "area 1"]


def test_what_is_no_area_is_refused(tmp_path: Path) -> None:
    lines = geopandas.GeoDataFrame(geometry=[shapely.LineString([(0, 0), (1, 1)])], crs="EPSG:4326")
    lines.to_file(tmp_path / "lines.geojson")
    bow = geopandas.GeoDataFrame(geometry=[shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])], crs="EPSG:4326")
    bow.to_file(tmp_path / "bow.geojson")
    (tmp_path / "torn.geojson").write_text('{"type": "FeatureCollection", "features": [')
    for name, said in (
        ("lines.geojson", "holds no polygon"),
        ("bow.geojson", "border of feature 0 crosses itself"),
        ("torn.geojson", "cannot be read"),
        ("none.geojson", "cannot be read"),
        ("area.txt", "areas are read from .geojson, .json, .gpkg"),
    ):
        with pytest.raises(PolygonError, match=said):
            read_shapes(tmp_path / name, "EPSG:32631")
