"""Buses on the streets: their paths, and the times that come back from the streets."""

import os
from pathlib import Path

import numpy as np
import pytest

from citytwin.agents.traffic.buses import LEAST_DWELL, bus_runs, call_times
from citytwin.agents.traffic.demand import Trips
from citytwin.agents.traffic.events import Events
from citytwin.agents.traffic.flow import Flow
from citytwin.agents.traffic.moving import moving
from citytwin.agents.traffic.record import classes_of
from citytwin.agents.traffic.routes import BusRoutes, Router, Routes
from citytwin.environment.design.timed import StreetEvents
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
    """Let buses drive at a multiple of the free time and stand as long as they must; return departures and arrivals."""
    depart, arrive = np.full((2, len(buses)), np.nan)
    for n in range(len(buses)):
        before = buses.previous[n]
        ready = -np.inf if before < 0 else arrive[before] + (buses.seconds[n] if buses.route[n] >= 0 else 0.0)
        if np.isnan(ready) or (done is not None and buses.call[n] >= done):
            continue
        depart[n] = max(buses.depart[n], ready)
        _, way = buses.routes([n]) if buses.route[n] >= 0 else (None, [])
        arrive[n] = depart[n] + (factor * network.free_time[way].sum() if buses.route[n] >= 0 else buses.seconds[n])
    return depart, arrive


def actual(table, buses, depart, arrive, until=86_400.0):
    """Return the timetable as buses came."""
    return table.with_times(*call_times(table, buses, depart, arrive, until))


def test_a_bus_takes_the_shortest_way_over_all_its_stops(grid):
    buses = bus_runs(line(ACROSS), grid, make_graph(grid, Access.BUS))
    assert len(buses) == 9
    assert len(buses.route_first) == 4  # trips of a pattern share their ways
    assert (np.diff(buses.depart) >= 0).all()
    rows = np.flatnonzero(buses.trip == 1)
    assert buses.call[rows].tolist() == [0, 1, 2]
    assert buses.depart[rows].tolist() == [4_200.0, 4_260.0, 4_320.0]
    assert buses.previous[rows].tolist() == [-1, *rows[:-1]]
    first, links = buses.routes(rows)
    assert first.tolist() == [0, 2, 4, 7]
    assert (grid.end[links[:-1]] == grid.start[links[1:]]).all()
    # 400 m to the right, 400 m up, 600 m to the right: on a grid no way is shorter
    assert grid.length[links].sum() == 1_400.0
    corners = np.append(buses.origin[rows], buses.destination[rows[-1]])
    assert np.stack([grid.x, grid.y], 1)[corners].tolist() == [[0, 0], [400, 0], [400, 400], [1_000, 400]]
    assert np.append(grid.start[links], grid.end[links[-1]])[first].tolist() == corners.tolist()


def test_on_empty_streets_buses_keep_to_their_timetable(grid):
    table = line(ACROSS, hop=90.0)
    buses = bus_runs(table, grid, make_graph(grid, Access.BUS))
    came = actual(table, buses, *drive(grid, buses))
    assert np.array_equal(came.departure, table.departure)
    length = 4
    come = came.arrival.reshape(-1, length) - table.departure.reshape(-1, length)[:, [0]]
    assert come[0].tolist() == [0, 40, 130, 240]  # they come early and wait; the last hop takes 60 s


def test_jams_delay_buses_and_slack_makes_up_for_it(grid):
    table = line(ACROSS, hop=100.0)
    buses = bus_runs(table, grid, make_graph(grid, Access.BUS))
    came = actual(table, buses, *drive(grid, buses, factor=3.0))
    begin = table.departure.reshape(-1, 4)[:, [0]]
    # 40 s at a third of the speed: 120 s, 15 s at the stop; planned are 100 s for each
    assert (came.arrival.reshape(-1, 4) - begin)[1].tolist() == [0, 120, 255, 450]
    assert (came.departure.reshape(-1, 4) - begin)[1].tolist() == [0, 135, 270, 450]
    assert LEAST_DWELL == 15.0


def test_what_a_bus_has_not_driven_it_drives_later(grid):
    table = line(ACROSS, hop=100.0)
    buses = bus_runs(table, grid, make_graph(grid, Access.BUS))
    depart, arrive = drive(grid, buses, done=2)
    came = actual(table, buses, depart, np.where(buses.call == 1, np.nan, arrive), until=20_000.0)
    for trip in range(3):
        arrival, departure = came.times(trip)
        assert departure[1] < 6_000.0
        assert arrival[2:].tolist() == [20_000.0, 20_115.0]
    nowhere = np.full(len(buses), np.nan)
    assert (actual(table, buses, nowhere, nowhere, until=20_000.0).departure >= 20_000.0).all()


def test_a_bus_off_the_streets_keeps_its_delay(grid):
    away = [*ACROSS, (5_000.0, 400.0), (6_000.0, 400.0), (1_004.0, 407.0), (410.0, 390.0)]
    table = line(away, hop=100.0)
    buses = bus_runs(table, grid, make_graph(grid, Access.BUS))
    assert buses.report == {"stretches between stops": 21, "stretches driven on the streets": 12}
    assert (buses.route[buses.trip == 0] >= 0).tolist() == [True] * 3 + [False] * 3 + [True]
    assert (buses.origin[buses.route < 0] == -1).all()
    came = actual(table, buses, *drive(grid, buses, factor=3.0))
    late = came.arrival.reshape(-1, 8) - table.arrival.reshape(-1, 8)
    # 450 s instead of 300 where the streets end, then planned times; 15 s at the stop where streets begin again, 180 s to
    # the next instead of 100
    assert late[0, 3:].tolist() == [150, 150, 150, 150, 245]


def test_what_ran_yesterday_is_where_it_should_be(grid):
    table = line(ACROSS, begin=-90.0, number=2)
    buses = bus_runs(table, grid, make_graph(grid, Access.BUS))
    assert buses.call[buses.trip == 0].tolist() == [2]
    came = actual(table, buses, *drive(grid, buses))
    assert came.times(0)[0][:3].tolist() == [-90.0, -30.0, 30.0]


def test_a_late_bus_may_be_overtaken(grid):
    table = line(ACROSS, headway=120.0, number=2)
    buses = bus_runs(table, grid, make_graph(grid, Access.BUS))
    depart, arrive = drive(grid, buses)
    late = 1_000.0 * (buses.trip == 0)
    came = actual(table, buses, depart + late * (buses.call > 0), arrive + late)
    assert came.patterns == 2
    assert came.pattern_variant.tolist() == [0, 0]
    ends = {name: came.times(row)[0][-1] for row, name in enumerate(came.trip_id)}
    assert ends["t0"] > ends["t1"]


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_the_flow_gives_the_times_back(grid, factor):
    table = line(ACROSS, hop=90.0)
    graph = make_graph(grid, Access.BUS)
    buses = bus_runs(table, grid, graph)
    slow = grid.with_columns(speed=grid.speed / factor)
    flow = Flow(
        slow, graph, depart=buses.depart, origin=buses.origin, destination=np.full(9, -1, np.int32),
        destination_node=np.zeros(1, np.int32), previous=buses.previous, duration=buses.seconds,
    )  # fmt: skip
    Routes(flow, Router(graph), buses.destination).take(np.arange(9), *buses.routes(np.arange(9)))
    flow.advance(10_000.0)
    came = actual(table, buses, flow.depart, flow.arrive)
    expected = actual(table, buses, *drive(grid, buses, factor))
    assert came.arrival == pytest.approx(expected.arrival, abs=1e-2)
    assert came.departure == pytest.approx(expected.departure, abs=1e-2)


def test_who_drives_behind_a_bus_passes_it_at_the_stop(grid):
    """A car that enters the street right behind a bus that stands at a stop for long loses less than a second a link."""
    graph = make_graph(grid, Access.BUS | Access.CAR)
    buses = bus_runs(line(ACROSS[:3], hop=600.0, number=1), grid, graph)
    _, way = buses.routes(np.arange(2))
    flow = Flow(
        grid, graph, depart=np.array([3_600.0, 3_601.0, 4_200.0]), origin=buses.origin[[0, 0, 1]],
        destination=np.full(3, -1, np.int32), destination_node=np.zeros(1, np.int32),
        previous=np.array([-1, -1, 0], np.int32), duration=np.array([0.0, 0.0, 15.0]), size=np.array([2, 1, 2], np.int32),
    )  # fmt: skip
    Routes(flow, Router(graph), buses.destination[[0, 1, 1]]).take(
        np.arange(3), np.array([0, 2, 6, 8]), np.concatenate([way[:2], way, way[2:]]).astype(np.int32)
    )
    flow.advance(10_000.0)
    assert flow.arrive[1] - 3_601.0 < 80.0 + 2 * 2 / 0.5
    assert flow.depart[2] == 4_200.0


def test_trams_and_closed_streets_are_not_driven(grid):
    graph = make_graph(grid, Access.BUS)
    assert len(bus_runs(line(ACROSS, kind=RouteType.TRAM), grid, graph)) == 0
    no_bus = grid.with_columns(access=np.full(grid.links, Access.CAR, np.uint8))
    assert len(bus_runs(line(ACROSS), no_bus, make_graph(no_bus, Access.BUS))) == 0


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
    eastwards = bus_runs(line([(300.0, 14.0), (600.0, 14.0), (900.0, 14.0)]), ways, graph)
    assert ways.y[eastwards.origin].tolist() == [0.0] * 6
    assert ways.length[eastwards.link].sum() == 600.0
    westwards = bus_runs(line([(900.0, 6.0), (600.0, 6.0), (300.0, 6.0)]), ways, graph)
    assert ways.y[westwards.origin].tolist() == [20.0] * 6
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
    buses = bus_runs(table, network, make_graph(network, Access.BUS))
    # the streets end where the lines go on: 61 % of the stops lie within them
    assert buses.report["stretches driven on the streets"] > 0.68 * buses.report["stretches between stops"]
    assert (network.access[buses.link] & Access.BUS).all()
    on = np.flatnonzero(buses.route >= 0)
    first, path = buses.routes(on)
    some = np.diff(first) > 0
    assert (network.start[path[first[:-1][some]]] == buses.origin[on[some]]).all()
    assert (network.end[path[first[1:][some] - 1]] == buses.destination[on[some]]).all()
    inside = np.ones(len(path), bool)
    inside[first[:-1][some]] = False
    assert (network.start[path[inside]] == network.end[path[np.flatnonzero(inside) - 1]]).all()
    call = table.first[table.trip_pattern[buses.trip[on]]] + buses.call[on]
    x, y = table.stop_x[table.stop], table.stop_y[table.stop]
    straight = np.hypot(x[call + 1] - x[call], y[call + 1] - y[call]).sum()
    assert 1.0 < network.length[path].sum() / straight < 1.35


def changes(second, link, access, speed=10.0):
    """Changes of links at a second, all to the same; they carry one lane and cost nothing."""
    count = len(link)
    columns = [np.full(count, value) for value in (second, access, speed, 1.0, False, False, 0.0)]
    return StreetEvents(columns[0], np.asarray(link, np.int32), columns[1].astype(np.uint8), *columns[2:])


@pytest.mark.parametrize("to", [Access.CAR, Access.CAR | Access.BUS])
def test_buses_go_round_a_street_that_is_closed_to_them(grid, to):
    """A street of the first stretch is closed before the second bus begins: it takes a route as long beside it."""
    graph = make_graph(grid, Access.BUS)
    runs = bus_runs(line([(0.0, 0.0), (400.0, 400.0)], number=2), grid, graph)
    rows = moving(Trips.in_order(depart=()), np.zeros(0), runs)
    flow = Flow(
        grid, graph, depart=rows.depart, origin=rows.origin, destination=np.full(2, -1, np.int32),
        destination_node=np.zeros(1, np.int32), previous=rows.previous, duration=rows.seconds, logged=np.ones(2, bool),
        classes=classes_of(rows.kind),
    )  # fmt: skip
    _, route = runs.routes(np.array([0]))
    shut = route[1:2]
    lines = BusRoutes(flow, Router(graph), rows)
    events = Events(grid, changes(3_700.0, shut, int(Access.CAR | Access.BUS) & ~int(to)))
    lines.send(3_700.0, grid.free_time, events)
    flow.advance(3_700.0)
    assert events.advance(3_700.0, flow) and events.closing
    lines.send(10_000.0, grid.free_time, events)
    parts = flow.advance(10_000.0)
    second = np.concatenate([part[1][part[0] == 1] for part in parts])
    assert (shut[0] in second) == (to == Access.CAR)
    assert grid.length[second].sum() == 800.0
    assert (grid.start[second[0]], grid.end[second[-1]]) == (runs.origin[1], runs.destination[1])
    assert flow.balance()["arrived"] == 2
