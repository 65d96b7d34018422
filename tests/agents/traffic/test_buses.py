"""Buses on the streets: their paths, and the times that come back from the streets."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from citytwin.agents.traffic.buses import LEAST_DWELL, actual_times, bus_vehicles
from citytwin.agents.traffic.flow import Flow
from citytwin.agents.traffic.kernels import PATH_AT
from citytwin.environment.network.graph import make_graph
from citytwin.environment.network.network import Network
from citytwin.environment.roads import Access, RoadRank
from citytwin.environment.transit.gtfs import read_gtfs
from citytwin.environment.transit.timetable import RouteType, make_timetable

SIDE, BLOCK = 6, 200.0  # crossings along a side; metres between them
POA = Path(os.environ.get("CITYTWIN_DATA", "")) / "porto_alegre_access"


@pytest.fixture
def grid():
    """Streets of 36 km/h in a square, both ways."""
    node = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    pairs = np.concatenate(
        [
            np.stack([node[:-1].ravel(), node[1:].ravel()], 1),
            np.stack([node[:, :-1].ravel(), node[:, 1:].ravel()], 1),
        ]
    )
    start, end = (np.concatenate([pairs[:, a], pairs[:, 1 - a]]).astype(np.int32) for a in (0, 1))
    links = len(start)
    return Network(
        x=BLOCK * (np.arange(SIDE * SIDE) // SIDE),
        y=BLOCK * (np.arange(SIDE * SIDE) % SIDE),
        start=start,
        end=end,
        length=np.full(links, BLOCK),
        speed=np.full(links, 10.0),
        lanes=np.ones(links),
        capacity=np.full(links, 0.5),
        access=np.full(links, Access.CAR | Access.BUS, np.uint8),
        rank=np.full(links, RoadRank.TERTIARY, np.uint8),
        way=np.arange(links),
        through=np.ones(SIDE * SIDE, bool),
        crs="EPSG:32631",
    )


def line(places, headway=600.0, hop=60.0, number=3, kind=RouteType.BUS, begin=3_600.0):
    """A timetable of one line that calls at places (x, y) every ``hop`` seconds."""
    x, y = np.array(places, float).T
    calls = np.tile(np.arange(len(x)), number)
    times = begin + headway * np.repeat(np.arange(number), len(x)) + hop * calls
    return make_timetable(
        crs="EPSG:32631",
        stops={"x": x, "y": y, "id": [str(n) for n in range(len(x))], "name": [str(n) for n in range(len(x))]},
        routes={"id": ["r"], "name": ["R"], "type": [kind]},
        trips={
            "id": [f"t{n}" for n in range(number)],
            "route": np.zeros(number, int),
            "first": len(x) * np.arange(number + 1),
        },
        calls={"stop": calls, "arrival": times, "departure": times},
    )


ACROSS = [(5.0, 8.0), (395.0, -6.0), (410.0, 390.0), (1_004.0, 407.0)]


def drive(network, buses, factor=1.0, done=None):
    """Let vehicles drive at a multiple of the free time and stand where they should; return passages and arrivals."""
    vehicle, entered, arrive = [], [], np.full(len(buses), np.nan)
    for n in range(len(buses)):
        rows = np.arange(buses.path_first[buses.path[n]], buses.path_first[buses.path[n] + 1])
        now = float(buses.depart[n])
        for place, row in enumerate(rows):
            if done is not None and place >= done:
                break
            vehicle.append(n)
            entered.append(now)
            now += factor * network.free_time[buses.link[row]] + buses.dwell[row]
        else:
            arrive[n] = now
    return np.array(vehicle), np.array(entered), arrive


def test_a_bus_takes_the_shortest_way_over_all_its_stops(grid):
    buses = bus_vehicles(line(ACROSS), grid, make_graph(grid, Access.BUS))
    assert len(buses) == 3
    assert buses.depart.tolist() == [3_600.0, 4_200.0, 4_800.0]
    assert len(buses.path_first) == 2  # trips of a pattern share their path
    links = buses.link
    assert (grid.end[links[:-1]] == grid.start[links[1:]]).all()
    # 400 m to the right, 400 m up, 600 m to the right: on a grid no way is shorter
    assert grid.length[links].sum() == 1_400.0
    assert buses.served.tolist() == [0, 2, 4, 7]
    corners = np.append(grid.start[links], grid.end[links[-1]])[buses.served]
    assert np.stack([grid.x, grid.y], 1)[corners].tolist() == [[0, 0], [400, 0], [400, 400], [1_000, 400]]
    assert (buses.origin == corners[0]).all()
    assert (buses.destination == corners[-1]).all()
    # planned 60 s a hop, of which 40 s are driving; nobody stands where the line ends
    assert buses.dwell.tolist() == [0, 20, 0, 20, 0, 0, 0]


def test_on_empty_streets_buses_keep_to_their_timetable(grid):
    table = line(ACROSS, hop=90.0)
    buses = bus_vehicles(table, grid, make_graph(grid, Access.BUS))
    vehicle, entered, arrive = drive(grid, buses)
    actual = actual_times(table, buses, vehicle, entered, arrive, 86_400.0)
    assert np.array_equal(actual.departure[:-1], table.departure[:-1])
    length = 4
    come = actual.arrival.reshape(-1, length) - table.departure.reshape(-1, length)[:, [0]]
    assert come[0].tolist() == [0, 40, 130, 240]  # they come early and wait; the last hop takes 60 s


def test_jams_delay_buses_and_slack_makes_up_for_it(grid):
    table = line(ACROSS, hop=100.0)
    buses = bus_vehicles(table, grid, make_graph(grid, Access.BUS))
    actual = actual_times(table, buses, *drive(grid, buses, factor=3.0), 86_400.0)
    begin = table.departure.reshape(-1, 4)[:, [0]]
    # 40 s at a third of the speed: 120 s, 15 s at the stop; planned are 100 s for each
    assert (actual.arrival.reshape(-1, 4) - begin)[1].tolist() == [0, 120, 255, 450]
    assert (actual.departure.reshape(-1, 4) - begin)[1, :3].tolist() == [0, 135, 270]
    assert LEAST_DWELL == 15.0


def test_what_a_bus_has_not_driven_it_drives_later(grid):
    table = line(ACROSS, hop=100.0)
    buses = bus_vehicles(table, grid, make_graph(grid, Access.BUS))
    actual = actual_times(table, buses, *drive(grid, buses, done=3), until=20_000.0)
    for trip in range(3):
        arrival, _ = actual.times(trip)
        assert arrival[1] < 6_000.0
        assert (arrival[2:] >= 20_000.0).all()


def test_a_bus_off_the_streets_keeps_its_delay(grid):
    away = [*ACROSS, (5_000.0, 400.0), (6_000.0, 400.0)]
    table = line(away, hop=100.0)
    buses = bus_vehicles(table, grid, make_graph(grid, Access.BUS))
    assert buses.report == {"stretches between stops": 15, "stretches driven on the streets": 9}
    assert buses.served.tolist() == [0, 2, 4, 7]
    actual = actual_times(table, buses, *drive(grid, buses, factor=3.0), 86_400.0)
    late = actual.arrival.reshape(-1, 6) - table.arrival.reshape(-1, 6)
    # 450 s instead of 300 where the streets end; then planned times, and 15 s at every stop
    assert late[0, 3:].tolist() == [150, 165, 180]


def test_a_late_bus_may_be_overtaken(grid):
    table = line(ACROSS, headway=120.0, number=2)
    buses = bus_vehicles(table, grid, make_graph(grid, Access.BUS))
    vehicle, entered, arrive = drive(grid, buses)
    entered = entered + np.where((vehicle == 0) & (entered > 3_600.0), 1_000.0, 0.0)
    actual = actual_times(table, buses, vehicle, entered, arrive + np.array([1_000.0, 0.0]), 86_400.0)
    assert actual.patterns == 2
    assert actual.pattern_variant.tolist() == [0, 0]
    ends = {name: actual.times(row)[0][-1] for row, name in enumerate(actual.trip_id)}
    assert ends["t0"] > ends["t1"]


def test_the_flow_gives_the_times_back(grid):
    table = line(ACROSS, hop=90.0)
    graph = make_graph(grid, Access.BUS)
    buses = bus_vehicles(table, grid, graph)
    buses = replace(buses, dwell=np.zeros(len(buses.link)))  # nobody stands
    path, dwell, at = buses.pool()
    assert path[at].tolist() == [buses.link[0]] * 3
    assert (path == -1).sum() == 1
    assert len(dwell) == len(path)
    flow = Flow(
        grid, graph, depart=buses.depart, origin=buses.origin, destination=np.full(3, -1, np.int32),
        destination_node=np.zeros(1, np.int32), logged=np.ones(3, bool),
    )  # fmt: skip
    flow.path = path
    flow.vehicles[:, PATH_AT] = at
    parts = flow.advance(10_000.0)
    vehicle, link, entered = (np.concatenate([part[column] for part in parts]) for column in range(3))
    for n in range(3):
        assert link[vehicle == n].tolist() == buses.link.tolist()
    actual = actual_times(table, buses, vehicle, entered, flow.arrive, 10_000.0)
    expected = actual_times(table, buses, *drive(grid, buses), 10_000.0)
    assert actual.arrival == pytest.approx(expected.arrival, abs=1e-2)


def test_trams_and_closed_streets_are_not_driven(grid):
    graph = make_graph(grid, Access.BUS)
    assert len(bus_vehicles(line(ACROSS, kind=RouteType.TRAM), grid, graph)) == 0
    no_bus = grid.with_columns(access=np.full(grid.links, Access.CAR, np.uint8))
    assert len(bus_vehicles(line(ACROSS), no_bus, make_graph(no_bus, Access.BUS))) == 0


def test_the_stop_belongs_to_the_carriageway_of_its_direction():
    """Two one-way carriageways 20 m apart: a line eastwards uses the one eastwards though stops lie nearer the other."""
    count = 6
    x = np.tile(300.0 * np.arange(count), 2)
    y = np.repeat([0.0, 20.0], count)
    south, north = np.arange(count), np.arange(count) + count
    start = np.concatenate([south[:-1], north[1:], [south[-1], north[0]]]).astype(np.int32)
    end = np.concatenate([south[1:], north[:-1], [north[-1], south[0]]]).astype(np.int32)
    links = len(start)
    ways = Network(
        x=x, y=y, start=start, end=end, length=np.maximum(np.hypot(x[start] - x[end], y[start] - y[end]), 1.0),
        speed=np.full(links, 10.0), lanes=np.ones(links), capacity=np.full(links, 0.5),
        access=np.full(links, Access.BUS, np.uint8), rank=np.full(links, RoadRank.PRIMARY, np.uint8),
        way=np.arange(links), through=np.ones(2 * count, bool), crs="EPSG:32631",
    )  # fmt: skip
    graph = make_graph(ways, Access.BUS)
    eastwards = bus_vehicles(line([(300.0, 14.0), (600.0, 14.0), (900.0, 14.0)]), ways, graph)
    assert ways.y[eastwards.origin].tolist() == [0.0] * 3
    assert ways.length[eastwards.link].sum() == 600.0
    westwards = bus_vehicles(line([(900.0, 6.0), (600.0, 6.0), (300.0, 6.0)]), ways, graph)
    assert ways.y[westwards.origin].tolist() == [20.0] * 3
    assert ways.length[westwards.link].sum() == 600.0


@pytest.mark.skipif(not POA.is_dir(), reason="CITYTWIN_DATA names no folder with porto_alegre_access")
def test_lines_of_porto_alegre_lie_on_its_streets():
    pytest.importorskip("osmium")
    from citytwin.environment.builders.osm import read_osm

    fabric = read_osm(POA / "poa_osm.pbf")
    links = fabric.links
    count = len(links["start"])
    network = Network(
        x=fabric.nodes["x"], y=fabric.nodes["y"], start=links["start"], end=links["end"],
        length=links["length"].astype(float), speed=links["speed"].astype(float), lanes=np.ones(count),
        capacity=np.full(count, 0.5), access=links["access"], rank=links["rank"], way=links["way"],
        through=np.ones(len(fabric.nodes["x"]), bool), crs=fabric.crs,
    )  # fmt: skip
    table = read_gtfs(POA / "poa_eptc.zip", "2019-05-14", fabric.crs)
    buses = bus_vehicles(table, network, make_graph(network, Access.BUS))
    # the streets end where the lines go on: 61 % of the stops lie within them
    assert buses.report["stretches driven on the streets"] > 0.68 * buses.report["stretches between stops"]
    assert (network.access[buses.link] & Access.BUS).all()
    straight = driven = 0.0
    for n in np.unique(buses.path, return_index=True)[1]:
        rows = slice(buses.path_first[buses.path[n]], buses.path_first[buses.path[n] + 1])
        path = buses.link[rows]
        assert (network.end[path[:-1]] == network.start[path[1:]]).all()
        assert network.start[path[0]] == buses.origin[n]
        assert network.end[path[-1]] == buses.destination[n]
        pattern = table.trip_pattern[buses.trip[n]]
        calls = int(np.diff(buses.call_first)[buses.path[n]])
        at = table.first[pattern] + buses.first_call[n] + np.arange(calls)
        x, y = table.stop_x[table.stop[at]], table.stop_y[table.stop[at]]
        straight += np.hypot(np.diff(x), np.diff(y)).sum()
        driven += network.length[path].sum()
    assert 1.0 < driven / straight < 1.35
