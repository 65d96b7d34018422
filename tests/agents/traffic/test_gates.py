"""Through traffic and freight: exact numbers, from gate to gate, trucks that go back."""

import os
from pathlib import Path

import numpy as np
import pytest
from cities import tiny_city
from pydantic import ValidationError

from citytwin.agents.traffic.demand import Mode, place_nodes
from citytwin.agents.traffic.gates import GateSettings, freight_trips, through_trips
from citytwin.agents.traffic.matrices import DemandError
from citytwin.agents.vehicles import VehicleKind
from citytwin.environment.city import City
from citytwin.environment.design.design import Design
from citytwin.environment.network.gates import Gates, find_gates, gates_of
from citytwin.environment.network.network import Network
from citytwin.environment.network.of_city import network_of_city
from citytwin.environment.places import Role, SiteKind
from citytwin.environment.roads import RoadRank

NO_GATES = Gates(np.zeros(0, np.int32), np.zeros(0), np.zeros(0))


@pytest.fixture(scope="module")
def town():
    return City.synthetic(20_000, seed=2)


@pytest.fixture(scope="module")
def network(town):
    return network_of_city(town)


def cross(one_way=False):
    """Two large streets of two links each that cross in the middle, and a small dead end there."""
    x = np.array([0.0, 1000, 500, 500, 500, 550])
    y = np.array([500.0, 500, 0, 1000, 500, 550])
    pairs = [(0, 4), (4, 1), (2, 4), (4, 3), (4, 5), (5, 4)]
    if not one_way:
        pairs += [(4, 0), (1, 4), (4, 2), (3, 4)]
    else:
        pairs += [(1, 0)]  # so that the east-west street is a ring, the other is through traffic alone
    links = len(pairs)
    rank = np.array([RoadRank.RESIDENTIAL if 5 in pair else RoadRank.PRIMARY for pair in pairs], np.uint8)
    start, end = np.array(pairs, np.int32).T
    return Network(
        x=x, y=y, start=start.copy(), end=end.copy(), length=np.full(links, 500.0), speed=np.full(links, 14.0),
        lanes=np.ones(links), capacity=np.where(start + end == 4, 0.5, 0.25), access=np.full(links, 7, np.uint8),
        rank=rank, way=np.arange(links), through=np.ones(6, bool), crs="EPSG:3035",
    )  # fmt: skip


def test_gates_are_the_ends_of_large_streets():
    gates = find_gates(cross())
    assert gates.node.tolist() == [0, 1, 2, 3]
    assert gates.into.tolist() == [0.5, 0.25, 0.25, 0.25] and gates.out.tolist() == [0.5, 0.25, 0.25, 0.25]


def test_a_street_cut_one_way_is_a_gate_in_that_direction():
    gates = find_gates(cross(one_way=True))
    at = dict(zip(gates.node.tolist(), zip(gates.into.tolist(), gates.out.tolist(), strict=True), strict=True))
    assert at[2] == (0.25, 0) and at[3] == (0, 0.25)


def test_gates_of_an_invented_city(network):
    gates = find_gates(network)
    assert len(gates) >= 4 and np.all(gates.into > 0) and np.all(gates.out > 0)
    centre = np.array([network.x.mean(), network.y.mean()])
    far = np.hypot(network.x - centre[0], network.y - centre[1])
    assert np.all(far[gates.node] > 0.8 * far.max())


def test_gates_of_kampen():
    root = os.environ.get("CITYTWIN_DATA")
    if not root or not (Path(root) / "kampen_flood_city").is_dir():
        pytest.skip("needs kampen_flood_city under CITYTWIN_DATA; see tests/DATA.md")
    pytest.importorskip("osmium")
    network = network_of_city(City.from_osm(Path(root) / "kampen_flood_city/kampen.osm.pbf", people=1_000))
    gates = find_gates(network)
    assert np.sum(gates.into > 0) >= 3 and np.sum(gates.out > 0) >= 3
    trips = through_trips(network, gates, 1_000, seed=1, day=0)
    assert len(trips) == 1_000


def test_as_many_vehicles_as_asked_for(network):
    gates = find_gates(network)
    for vehicles in (0, 1, 999, 5_000.5):
        trips = through_trips(network, gates, vehicles, seed=1, day=0)
        assert len(trips) in (int(vehicles), int(np.ceil(vehicles)))
    assert np.all(np.isin(trips.origin, gates.node)) and np.all(np.isin(trips.destination, gates.node))
    assert np.all(trips.origin != trips.destination)
    assert np.sum(trips.kind == VehicleKind.TRUCK) in (500, 501)
    assert np.all(trips.mode == Mode.CAR) and np.all(trips.person == -1)
    assert np.all((trips.depart >= 0) & (trips.depart < 86_400))
    hour = np.bincount((trips.depart // 3600).astype(int), minlength=24)
    assert hour[7] > 3 * hour[3] and hour[17] > 3 * hour[3]


def test_vehicles_are_shared_out_by_flow():
    network = cross()
    trips = through_trips(network, find_gates(network), 10_000, seed=1, day=0)
    # pairs across the corner are as far apart as half of the largest distance; weights 2 : 1 : 1 : 1
    count = np.zeros((4, 4))
    np.add.at(count, (trips.origin, trips.destination), 1)
    weight = np.outer([2, 1, 1, 1], [2, 1, 1, 1]) * (1 - np.eye(4))
    np.testing.assert_allclose(count, 10_000 * weight / weight.sum(), atol=1)


def test_days_differ_and_seeds_repeat(network):
    gates = find_gates(network)
    one, again, other = (through_trips(network, gates, 300, seed=1, day=day) for day in (0, 0, 1))
    np.testing.assert_array_equal(one.depart, again.depart)
    assert not np.array_equal(one.depart, other.depart)


def test_no_gates_no_through_traffic():
    network = network_of_city(tiny_city())
    assert len(through_trips(network, NO_GATES, 0, seed=1, day=0)) == 0
    with pytest.raises(DemandError, match="has 0 gates and no way from one to another"):
        through_trips(network, NO_GATES, 5, seed=1, day=0)


def test_deliveries_follow_the_staff(town, network):
    settings = GateSettings(deliveries={"work": 0.2, "shop": 0.5})
    trips = freight_trips(town, place_nodes(town), find_gates(network), seed=1, day=0, settings=settings)
    people, places = town.people, town.places
    room = people.activity[(people.role == Role.WORKER) & (people.activity >= 0)]
    kind = town.sites.kind[places.site[room][places.site[room] >= 0]]
    wanted = 0.2 * np.sum(kind == SiteKind.WORK) + 0.5 * np.sum(kind == SiteKind.SHOP)
    assert abs(len(trips) / 2 - wanted) < 1
    assert np.all(trips.kind == VehicleKind.TRUCK)


def test_trucks_go_back_where_they_came_from(town, network):
    gates = find_gates(network)
    trips = freight_trips(town, place_nodes(town), gates, seed=1, day=0)
    back = np.flatnonzero(trips.previous >= 0)
    there = trips.previous[back]
    assert 2 * len(back) == len(trips) and np.all(there < back)
    np.testing.assert_array_equal(trips.origin[there], trips.destination[back])
    np.testing.assert_array_equal(trips.destination[there], trips.origin[back])
    np.testing.assert_allclose(trips.depart[back] - trips.depart[there], 2_400, atol=1e-6)
    outside = np.isin(trips.origin[there], gates.node).mean()
    assert abs(outside - 0.5) < 4 * np.sqrt(0.25 / len(there)) + 0.02  # some firms are at gates


def test_without_gates_all_goods_come_from_firms(town):
    trips = freight_trips(town, place_nodes(town), NO_GATES, seed=1, day=0)
    assert len(trips) > 100
    firms = place_nodes(town)[np.isin(town.places.site, np.flatnonzero(town.sites.kind == SiteKind.WORK))]
    assert np.all(np.isin(trips.origin[trips.previous < 0], firms))


def test_settings_refuse_what_is_wrong():
    with pytest.raises(ValidationError, match="through"):
        GateSettings(through=-1)
    with pytest.raises(ValidationError, match="'office' is no kind of site; there are: kindergarten"):
        GateSettings(deliveries={"office": 1.0})
    with pytest.raises(ValidationError, match="shop is -1"):
        GateSettings(deliveries={"shop": -1.0})


def test_designs_change_nothing_of_what_comes_from_outside(town, network):
    gates = find_gates(network)
    at_gate = np.flatnonzero((network.start == gates.node[0]) | (network.end == gates.node[0]))
    lanes = {"change": "lanes", "lanes": 4, "links": np.flatnonzero(network.start == gates.node[1]).tolist()}
    closed = {"change": "close", "links": at_gate.tolist()}
    redrawn = Design.from_dict({"changes": [lanes, closed]}).apply(town)
    again = Design.from_dict({"changes": [{"change": "speed", "kmh": 20, "links": [0]}]}).apply(redrawn)
    for city in (redrawn, again):
        streets = network_of_city(city)
        assert gates.node[0] not in find_gates(streets).node
        kept = gates_of(city, streets)
        before, after = (through_trips(streets, found, 500, seed=1, day=0) for found in (gates, kept))
        for column in ("origin", "destination", "depart", "kind"):
            np.testing.assert_array_equal(getattr(before, column), getattr(after, column))
