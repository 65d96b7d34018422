"""A bus on its own lane does not wait in the queue of cars.

Deterministic queueing (Newell 1982): where q0 vehicles a second come to a street that lets Q < q0 out for a time T, whoever
comes at t waits (q0/Q − 1) t. A bus that comes then waits as long among the cars, and not at all on a lane of its own.
"""

import numpy as np
import pytest
from traffic_networks import network

from citytwin.agents.traffic.flow import Flow
from citytwin.agents.traffic.routes import Router, Routes
from citytwin.environment.network.graph import make_graph
from citytwin.environment.network.lanes import lane_events, street_of, with_bus_lanes
from citytwin.environment.network.network import Signals, Turns
from citytwin.environment.network.search import paths
from citytwin.environment.roads import Access

INFLOW, CAPACITY, LAST = 0.6, 0.4, 1_000.0  # cars/s, cars/s, s
BUS_AT = 800.0  # s
FREE = 1_500.0 / 20.0  # s
QUEUE = "deterministic queue (Newell 1982)"
ARCS = [(0, 1), (1, 2)]


def corridor(bus_lane=(False, False), capacity=(CAPACITY, 1.0), **more):
    streets = network(ARCS, [1_000.0, 500.0], list(capacity), **more)
    access = np.full(2, Access.CAR | Access.BUS, np.uint8)
    return streets.with_columns(access=access, bus_lane=np.array(bus_lane))


def run(streets):
    """Return seconds that the bus and the car that leaves just after it take, and the flow."""
    streets = with_bus_lanes(streets)
    cars = np.arange(0.0, LAST, 1.0 / INFLOW)
    depart = np.sort(np.append(cars, BUS_AT - 0.01))
    bus = depart == BUS_AT - 0.01
    nodes = np.full(len(depart), 2, np.int32)
    flow = Flow(
        streets,
        make_graph(streets, Access.CAR | Access.BUS),
        depart=depart,
        origin=np.zeros(len(depart), np.int32),
        destination=np.full(len(depart), -1, np.int32),
        destination_node=np.zeros(0, np.int32),
    )
    for access, mine in ((Access.CAR, ~bus), (Access.BUS, bus)):
        routes = Routes(flow, Router(make_graph(streets, access)), nodes, mine)
        routes.send(np.flatnonzero(mine), streets.free_time)
    flow.advance(4_000.0)
    assert flow.balance()["arrived"] == len(depart)
    at = int(np.flatnonzero(bus)[0])
    return flow.arrive[at] - depart[at], flow.arrive[at + 1] - depart[at + 1], flow


def test_without_a_lane_the_bus_waits_as_long_as_the_cars(validity):
    bus, car, _ = run(corridor())
    waits = FREE + (INFLOW / CAPACITY - 1.0) * BUS_AT
    validity("lanes", "a bus among queueing cars, s", bus, waits, 0.01 * waits, source=QUEUE)
    assert car == pytest.approx(bus, abs=5.0)


def test_on_its_lane_the_bus_passes_the_queue_at_free_speed(validity):
    bus, car, _ = run(corridor((True, False)))
    assert bus == pytest.approx(FREE, abs=1.5)  # it joins the cars on the next street, a headway of which is 1 s
    assert car == pytest.approx(FREE + (INFLOW / CAPACITY - 1.0) * BUS_AT, rel=0.01)
    bus, _, _ = run(corridor((True, True)))
    # never among cars: exact to the resolution of times that are kept
    validity("lanes", "a bus on its lane beside the queue, s", bus, FREE, 0.05, source=QUEUE)


def test_cars_lose_nothing_by_a_lane_that_takes_none_of_theirs():
    whole, shared = run(corridor((True, True)))[2], run(corridor())[2]
    assert np.nansum(whole.arrive - whole.planned[1]) < np.nansum(shared.arrive - shared.planned[1])


def test_at_its_end_the_lane_shares_with_the_cars():
    # the next street is the narrow one: bus and cars take turns where they join it, so the bus waits for few cars
    bus, car, _ = run(corridor((True, False), capacity=(1.0, CAPACITY)))
    assert bus >= FREE
    full = FREE + (INFLOW / CAPACITY - 1.0) * BUS_AT
    assert bus < car
    assert car == pytest.approx(full, rel=0.05)


def test_without_lanes_the_network_is_the_same_object():
    plain = corridor()
    assert with_bus_lanes(plain) is plain
    assert with_bus_lanes(plain.with_columns(bus_lane=None)).street is None
    own = corridor((True, True)).with_columns(access=np.full(2, Access.BUS, np.uint8))
    assert with_bus_lanes(own) is own  # buses have that street for themselves
    assert np.array_equal(street_of(plain, np.array([1, -1, 0])), [1, -1, 0])


def test_lanes_follow_the_streets_with_their_signals_and_turns():
    streets = corridor((True, True), lanes=2.0).with_columns(
        toll=np.array([1.0, 2.0]),
        turns=Turns(np.array([0], np.int32), np.array([1], np.int32), np.array([7.0])),
        signals=Signals(
            np.array([0], np.int32),
            np.array([60.0]),
            np.array([5.0]),
            np.array([0.0]),
            np.array([30.0]),
            np.array([1.0]),
        ),
    )
    whole = with_bus_lanes(streets)
    assert whole.links == 4 and whole.street.tolist() == [0, 1, 0, 1]
    for name in ("start", "end", "length", "speed", "rank", "way"):
        assert np.array_equal(getattr(whole, name)[:2], getattr(streets, name))
        assert np.array_equal(getattr(whole, name)[2:], getattr(streets, name))
    assert whole.lanes.tolist() == [2, 2, 1, 1]
    assert whole.capacity[2:] == pytest.approx(streets.capacity / 2)
    assert whole.toll.tolist() == [1, 2, 0, 0]
    assert whole.access.tolist() == [Access.CAR] * 2 + [Access.BUS] * 2
    pairs = set(zip(whole.turns.from_link.tolist(), whole.turns.to_link.tolist(), strict=True))
    assert pairs == {(0, 1), (2, 1), (0, 3), (2, 3)}
    assert whole.signals.link.tolist() == [0, 2] and whole.signals.flow.tolist() == [1.0, 0.5]
    graph = make_graph(whole, Access.BUS)
    _, link = paths(graph, whole.free_time, np.array([0], np.int32), np.array([2], np.int32), 1)
    assert link.tolist() == [2, 3]
    assert street_of(whole, link).tolist() == [0, 1]


def test_what_shuts_buses_out_for_hours_shuts_the_lane():
    from citytwin.environment.design.timed import StreetEvents

    whole = with_bus_lanes(corridor((True, False)))
    motor, cars = Access.BICYCLE | Access.FOOT, Access.BUS | Access.FOOT
    changes = StreetEvents(
        second=np.array([100.0, 200.0, 300.0]),
        link=np.array([0, 0, 1], np.int32),
        access=np.array([motor, cars, motor], np.uint8),
        speed=np.array([5.0, 6.0, 7.0]),
        lanes=np.array([1.0, 2.0, 1.0]),
        bus_lane=np.array([True, True, False]),
        bike_lane=np.zeros(3, bool),
        toll=np.array([1.0, 1.0, 1.0]),
    )
    found = lane_events(whole, changes)
    assert found.second.tolist() == [100, 100, 200, 200, 300]
    assert found.link.tolist() == [0, 2, 0, 2, 1]
    assert [bool(bits & Access.BUS) for bits in found.access] == [False, False, True, True, False]
    assert found.toll.tolist() == [1, 0, 1, 0, 1]
    assert found.speed.tolist() == [5, 5, 6, 6, 7]
    assert lane_events(corridor(), changes) is changes
