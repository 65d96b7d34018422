"""Routes that change on the way: whatever is chosen, vehicles drive from link to link that adjoin."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from traffic_networks import network

from citytwin.agents.traffic.flow import Flow
from citytwin.agents.traffic.routes import Router, Routes
from citytwin.environment.network.graph import make_graph
from citytwin.environment.roads import Access

SIDE, END = 5, 40_000.0


def grid():
    """Streets of a square, both ways, that soon are full."""
    node = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    arcs = [
        *zip(node[:-1].ravel(), node[1:].ravel(), strict=True),
        *zip(node[:, :-1].ravel(), node[:, 1:].ravel(), strict=True),
    ]
    return network(arcs + [(b, a) for a, b in arcs], 100.0, 0.2, speed=10.0)


def day(seed, trips=300):
    """Return streets, router, flow and routes of trips that begin within 200 s, and their destinations."""
    streets = grid()
    rng = np.random.default_rng(seed)
    origin, destination = rng.integers(0, SIDE * SIDE, (2, trips)).astype(np.int32)
    destination = np.where(origin == destination, (destination + 1) % (SIDE * SIDE), destination).astype(np.int32)
    graph = make_graph(streets, Access.CAR)
    flow = Flow(
        streets, graph, depart=np.sort(rng.uniform(0, 200, trips)), origin=origin,
        destination=np.full(trips, -1, np.int32), destination_node=np.zeros(0, np.int32), logged=np.ones(trips, bool),
        stuck=60.0,
    )  # fmt: skip
    routes = Routes(flow, Router(graph), destination)
    routes.send(np.arange(trips), streets.free_time)
    return streets, flow, routes, rng


def check(streets, flow, routes, passages):
    """Assert that all have come from origin to destination by links that adjoin."""
    vehicle, link, _ = (np.concatenate(column) for column in zip(*passages, strict=True))
    order = np.argsort(vehicle, kind="stable")
    vehicle, link = vehicle[order], link[order]
    first = np.append(True, vehicle[1:] != vehicle[:-1])
    last = np.append(first[1:], True)
    assert np.array_equal(streets.start[link[~first]], streets.end[link[np.flatnonzero(~first) - 1]])
    assert np.array_equal(streets.start[link[first]], flow.origin[vehicle[first]])
    assert np.array_equal(streets.end[link[last]], routes.destination[vehicle[last]])
    assert flow.balance()["arrived"] == len(flow.origin) == first.sum()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1 << 20))
def test_routes_that_change_again_and_again_lead_from_street_to_street(seed):
    streets, flow, routes, rng = day(seed)
    passages = []
    for second in range(0, 1500, 10):
        routes.again(routes.under_way(), streets.free_time * rng.uniform(0.2, 5.0, streets.links))
        passages += flow.advance(float(second))
    passages += flow.advance(END)
    check(streets, flow, routes, passages)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1 << 20))
@example(255)  # who stands in line for a street that was closed and opens again has another route by then
def test_closures_turn_everybody_off_who_has_another_route(seed):
    streets, flow, routes, rng = day(seed)
    passages = []
    for second in range(0, 1500, 30):
        closed = rng.uniform(size=streets.links) < 0.1
        flow.close(closed)
        price = np.where(closed, np.inf, streets.free_time)
        if len(routes.without):
            routes.send(routes.without, price)
        routes.avoid(price, closed)
        found = flow.advance(float(second + 30))
        assert not np.isin(
            np.concatenate([np.zeros(0, np.int32), *(link for _, link, _ in found)]), np.flatnonzero(closed)
        ).any()
        passages += found
    flow.close(np.zeros(streets.links, bool))
    if len(routes.without):
        routes.send(routes.without, streets.free_time)
    passages += flow.advance(END)
    check(streets, flow, routes, passages)


def test_who_looks_is_whose_rest_takes_longer_than_expected():
    streets = network([(0, 1), (1, 2), (0, 2)], 1000.0, 1.0)  # 50 s each
    graph = make_graph(streets, Access.CAR)
    flow = Flow(
        streets, graph, depart=np.array([0.0, 1.0]), origin=np.zeros(2, np.int32), destination=np.full(2, -1, np.int32),
        destination_node=np.zeros(0, np.int32),
    )  # fmt: skip
    routes = Routes(flow, Router(graph), np.array([2, 1], np.int32))
    routes.take(np.arange(2), np.array([0, 2, 3]), np.array([0, 1, 0], np.int32))
    flow.advance(10.0)
    assert routes.under_way().tolist() == [0, 1]
    expected, seen = streets.free_time, np.array([500.0, 120.0, 50.0])

    def slower(by):
        return routes.slower(routes.under_way(), seen, expected, by).tolist()

    # both are on the first link, and only one still has to drive the second, which takes 70 s more
    assert slower(69.0) == [0]
    assert slower(70.0) == []
    assert slower(-1.0) == [0, 1]


@pytest.mark.parametrize("to", [0, 1])
def test_links_are_closed_by_class(to):
    streets = network([(0, 1), (1, 2)], 1000.0, 1.0)
    graph = make_graph(streets, Access.CAR)
    flow = Flow(
        streets, graph, depart=np.arange(4.0), origin=np.zeros(4, np.int32), destination=np.full(4, -1, np.int32),
        destination_node=np.zeros(0, np.int32), classes=np.array([0, 1, 0, 1], np.uint8),
    )  # fmt: skip
    Routes(flow, Router(graph), np.full(4, 2, np.int32)).take(np.arange(4), np.arange(0, 9, 2), np.tile([0, 1], 4))
    flow.close(np.array([0, 1 << to], np.uint8))
    flow.advance(500.0)
    # one that may not go on keeps those behind it
    assert np.isfinite(flow.arrive).tolist() == ([False] * 4 if to == 0 else [True, False, False, False])
    flow.close(np.zeros(2, np.uint8))
    flow.advance(1000.0)
    assert np.isfinite(flow.arrive).all()
