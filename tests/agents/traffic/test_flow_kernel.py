"""The kernel of flow does what its twin does."""

import flow_twin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traffic_networks import Run, network

from citytwin.agents.traffic.layout import PATH_AT


def grid(side, rng):
    """Return a grid of two-way streets of irregular length, so that no two events are at the same time."""
    arcs = [(i * side + j, i * side + j + 1) for i in range(side) for j in range(side - 1)]
    arcs += [(j * side + i, (j + 1) * side + i) for i in range(side) for j in range(side - 1)]
    arcs += [(b, a) for a, b in arcs]
    return network(
        arcs, rng.uniform(60, 200, len(arcs)), rng.uniform(0.15, 0.5, len(arcs)), speed=rng.uniform(8, 14, len(arcs))
    )


def ways(run):
    """Return the way that the tables give each trip."""
    graph, table = run.graph, run.tables
    found = []
    for origin, row in zip(run.flow.origin, run.flow.vehicles[:, 0], strict=True):
        state, way = graph.depart[origin], []
        while graph.node[state] != run.flow.destination_node[row]:
            arc = graph.first[state] + table[row, state]
            way.append(int(graph.arc_link[arc]))
            state = graph.arc_head[arc]
        found.append(way)
    return found


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), vehicles=st.integers(1, 400))
def test_vehicles_arrive_as_in_the_twin(seed, vehicles):
    rng = np.random.Generator(np.random.PCG64(seed))
    streets = grid(3, rng)
    trips = [(t, *rng.integers(0, 9, 2)) for t in rng.uniform(0, 300, vehicles)]
    # in steps so short that events of a bucket come in order of time
    run = Run(streets, trips, step=0.0001).until(1500)
    s = run.flow.streets
    links = s.links[["free", "headway", "entry_headway", "gap", "places"]].tolist()
    expected = flow_twin.flow(links, s.arms["cost"].tolist(), list(zip(run.planned, ways(run), strict=True)), 1500)
    expected = np.array([np.nan if time is None else time for time in expected])
    np.testing.assert_allclose(run.flow.arrive, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("step", [0.1, 1.0])
def test_longer_steps_change_little(step):
    rng = np.random.Generator(np.random.PCG64(1))
    streets = grid(4, rng)
    trips = [(t, *rng.integers(0, 16, 2)) for t in rng.uniform(0, 600, 700)]
    exact = Run(streets, trips, step=0.01, stuck=60.0).until(20_000)
    longer = Run(streets, trips, step=step, stuck=60.0).until(20_000)
    assert longer.seconds.sum() == pytest.approx(exact.seconds.sum(), rel=0.02)


def test_paths_are_followed_as_tables_are():
    rng = np.random.Generator(np.random.PCG64(2))
    streets = grid(4, rng)
    trips = [(t, *rng.integers(0, 16, 2)) for t in rng.uniform(0, 600, 800)]
    by_table = Run(streets, trips)
    by_path = Run(streets, trips)
    pool, at = [-1], []
    for way in ways(by_path):
        at.append(len(pool))
        pool += [*way, -1]
    by_path.flow.path = np.array(pool, np.int32)
    by_path.flow.vehicles[:, PATH_AT] = at
    np.testing.assert_array_equal(by_table.until(10_000).flow.arrive, by_path.until(10_000).flow.arrive)


def test_windows_change_nothing():
    rng = np.random.Generator(np.random.PCG64(4))
    streets = grid(4, rng)
    trips = [(t, *rng.integers(0, 16, 2)) for t in rng.uniform(0, 600, 800)]
    at_once = Run(streets, trips).until(9000)
    in_parts = Run(streets, trips)
    for seconds in range(1, 9001, 7):
        in_parts.until(seconds)
    np.testing.assert_array_equal(at_once.flow.arrive, in_parts.until(9000).flow.arrive)
