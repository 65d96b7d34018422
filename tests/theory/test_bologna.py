"""Bologna, the morning peak of the iTETRIS project as SUMO holds it: what is read is what the files count.

267 streets with 411 lanes and 34.6 km, 13 signal programs, 56 bus stops, 11,000 cars that depart in one hour and 176
buses: counts of the published scenario (DLR-TS/sumo-scenarios, bologna/joined).
"""

import os
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from citytwin.agents.traffic.flow import Flow
from citytwin.agents.traffic.routes import Router, Routes
from citytwin.environment.network.graph import make_graph
from citytwin.environment.network.search import paths
from citytwin.environment.network.sumo import read_sumo
from citytwin.environment.network.sumo_routes import read_routes, read_stops
from citytwin.environment.roads import Access

DATA = os.environ.get("CITYTWIN_DATA")
pytestmark = pytest.mark.skipif(
    DATA is None, reason="CITYTWIN_DATA is unset; tests/DATA.md says where the sets are from"
)
FOLDER = Path(DATA or ".") / "bologna_mobility" / "joined"


@pytest.fixture(scope="module")
def network():
    return read_sumo(FOLDER / "joined_buslanes.net.xml", [FOLDER / "joined_tls.add.xml"])


@pytest.fixture(scope="module")
def routes(network):
    files = [FOLDER / "joined.rou.xml", FOLDER / "joined_busses.rou.xml"]
    return read_routes(files, network, [FOLDER / "joined_vtypes.add.xml"])


def test_streets_lanes_and_kilometres(network):
    assert network.links == network.report["edges"] == 267
    assert network.report["lanes"] == 411
    assert round(network.length.sum() / 1000, 1) == round(network.report["km"], 1) == 34.6
    assert network.report["signal programs"] == 13


def test_the_network_lies_in_bologna(network):
    pyproj = pytest.importorskip("pyproj")
    lon, lat = pyproj.Transformer.from_crs(network.crs, "EPSG:4326", always_xy=True).transform(network.x, network.y)
    assert network.crs == "EPSG:32632"
    assert np.all((lon > 11.30) & (lon < 11.36))  # the stadium and the streets to the west gate of the old town
    assert np.all((lat > 44.48) & (lat < 44.52))
    # streets are at least as long as the straight line between the stop lines of their junctions
    straight = np.hypot(
        network.x[network.end] - network.x[network.start], network.y[network.end] - network.y[network.start]
    )
    assert np.median(network.length / straight) == pytest.approx(1.0, abs=0.15)


def test_every_signal_keeps_the_cycle_of_its_program(network):
    """Cycles and green shares, worked out from the files by another way: second by second, connection by connection."""
    net = ET.parse(FOLDER / "joined_buslanes.net.xml").getroot()
    programs = {p.get("id"): list(p) for p in ET.parse(FOLDER / "joined_tls.add.xml").getroot()}
    states = {
        light: [phase.get("state") for phase in phases for _ in range(int(phase.get("duration")))]
        for light, phases in programs.items()
    }
    lanes = {e.get("id"): [lane.get("allow") for lane in e.findall("lane")] for e in net.findall("edge")}
    green = {}
    for c in net.findall("connection"):
        edge, light = c.get("from"), c.get("tl")
        closed_to_cars = lanes[edge][int(c.get("fromLane"))] == "bus" and set(lanes[edge]) != {"bus"}
        if edge.startswith(":") or closed_to_cars:
            continue
        # a lane without a light may leave at any time
        lit = True if light is None else np.array([s[int(c.get("linkIndex"))] in "gG" for s in states[light]])
        green[edge] = green.get(edge, False) | lit
    of = {name: row for row, name in network.names.items()}
    signals = network.signals
    for edge, lit in green.items():
        rows = signals.link == of[edge]
        if np.all(lit):
            assert not rows.any()
            continue
        assert set(signals.cycle[rows]) == {len(lit)}
        assert (signals.green_end[rows] - signals.green_start[rows]).sum() == lit.sum()
        second = np.arange(len(lit)) + 0.5
        inside = (second >= signals.green_start[rows][:, None]) & (second < signals.green_end[rows][:, None])
        assert np.array_equal(inside.any(0), lit)
    assert {network.names[int(link)] for link in signals.link} == {e for e, lit in green.items() if not np.all(lit)}
    assert np.all(signals.flow <= network.lanes[signals.link] * 0.5 + 1e-12)


def test_cars_and_buses(routes):
    kinds = np.array(routes.vehicle_class)
    assert len(routes.ids) == 11_176
    assert (kinds == "bus").sum() == 176
    cars = routes.depart[kinds != "bus"]
    assert len(cars) == 11_000
    assert (cars.min(), cars.max()) == (0, 3598)
    assert np.all(np.diff(routes.depart) >= 0)
    assert len(set(routes.ids)) == 11_176


def test_every_route_can_be_driven(network, routes):
    """No vehicle takes a turn that is forbidden, and cars that keep to the rules use no bus street."""
    forbidden = set(zip(network.turns.from_link.tolist(), network.turns.to_link.tolist(), strict=True))
    last = np.zeros(len(routes.link), bool)
    last[routes.first[1:] - 1] = True
    taken = set(zip(routes.link[:-1][~last[:-1]].tolist(), routes.link[1:][~last[:-1]].tolist(), strict=True))
    assert not taken & forbidden
    vehicle = np.repeat(np.arange(len(routes.ids)), np.diff(routes.first))
    access = network.access[routes.link]
    kinds = np.array(routes.vehicle_class)[vehicle]
    assert set(kinds) == {"passenger", "bus", "ignoring"}
    assert np.all((access[kinds == "passenger"] & Access.CAR) > 0)
    assert np.all((access[kinds == "bus"] & Access.BUS) > 0)


def test_bus_stops_are_on_the_way_of_their_buses(network, routes):
    stops = read_stops(FOLDER / "joined_bus_stops.add.xml", network)
    assert len(stops.ids) == 56
    link_of = dict(zip(stops.ids, stops.link.tolist(), strict=True))
    assert len(routes.stop) > 176
    for vehicle in range(len(routes.ids)):
        way = routes.link[routes.first[vehicle] : routes.first[vehicle + 1]].tolist()
        halts = routes.stop[routes.stop_first[vehicle] : routes.stop_first[vehicle + 1]]
        assert all(link_of[halt] in way for halt in halts)
    assert set(routes.stop_seconds) == {20.0}


def test_no_car_knows_a_quicker_way_than_the_cheapest(network, routes):
    """Turns as read leave a way for everybody, and none of the scenario's own routes is quicker than the search's."""
    cars = np.flatnonzero(np.array(routes.vehicle_class) == "passenger")
    origin = network.start[routes.link[routes.first[cars]]]
    destination = network.end[routes.link[routes.first[cars + 1] - 1]]
    first, found = paths(make_graph(network, Access.CAR), network.free_time, origin, destination)
    seconds = np.r_[0.0, np.cumsum(network.free_time[found])]
    cheapest = seconds[first[1:]] - seconds[first[:-1]]
    whole = np.r_[0.0, np.cumsum(network.free_time[routes.link])]
    own = whole[routes.first[cars + 1]] - whole[routes.first[cars]]
    assert np.array_equal(np.diff(first) == 0, origin == destination)  # who comes back to where it began needs no way
    assert np.all(cheapest <= own + 1e-6)
    assert cheapest.sum() > 0.9 * own.sum()  # routes of an equilibrium are not far from the cheapest


@pytest.mark.parametrize("stuck", [0.0, 300.0])
def test_the_morning_peak_flows_as_in_sumo(validity, network, routes, stuck):
    """All 11,000 cars on their own routes: SUMO 1.28 takes 333 s a trip with single vehicles and 460 s with queues.

    The same files, ``--end 7200``, signals as in ``joined_tls.add.xml``; both programs finish all cars.
    """
    cars = np.flatnonzero(np.array(routes.vehicle_class) != "bus")
    first, link = _ways(routes, cars)
    graph = make_graph(network, Access.CAR | Access.BUS)
    flow = Flow(
        network,
        graph,
        depart=routes.depart[cars],
        origin=network.start[link[first[:-1]]],
        destination=np.full(len(cars), -1, np.int32),
        destination_node=np.zeros(0, np.int32),
        stuck=stuck,
    )
    Routes(flow, Router(graph), network.end[link[first[1:] - 1]]).take(np.arange(len(cars)), first, link)
    flow.advance(1800)
    assert flow.balance()["on links"] > 500
    flow.advance(7200)
    assert flow.balance()["arrived"] == 11_000
    mean = (flow.arrive - flow.depart).mean()
    rule = "no stuck rule" if stuck == 0 else f"stuck rule of {stuck:g} s"
    source = "SUMO 1.28 on the same files: 333 s with single vehicles, 460 s with queues"
    validity("Bologna", f"mean seconds of a trip, {rule}", mean, within=(0.9 * 333, 460), source=source)
    driven = np.bincount(link, minlength=network.links)
    assert np.array_equal(flow.left, driven)  # every car has passed each link of its route


def _ways(routes, rows):
    """Return the links of some vehicles, ragged."""
    size = np.diff(routes.first)[rows]
    first = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    at = np.arange(first[-1]) - np.repeat(first[:-1], size) + np.repeat(routes.first[rows], size)
    return first, routes.link[at].astype(np.int32)
