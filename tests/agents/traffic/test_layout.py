"""Records of streets lie on whole lines of the cache, and rings of places hold whoever is on a link."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from traffic_networks import Run, network

from citytwin.agents.traffic.layout import ARM, EVENT, LINE, LINK, PLACE, SIZE, aligned
from citytwin.agents.traffic.prefetch import prefetch


@pytest.mark.parametrize("record", [LINK, ARM, PLACE, EVENT])
def test_no_record_of_up_to_a_line_lies_on_two(record):
    assert record.itemsize % LINE == 0 or LINE % record.itemsize == 0
    array = aligned(7, record)
    assert array.ctypes.data % LINE == 0
    assert len(array) == 7
    assert array.tobytes() == bytes(7 * record.itemsize)


def test_fetching_ahead_changes_nothing():
    @njit
    def fetch(array):
        for row in range(len(array)):
            prefetch(array, row)

    array = np.arange(12).reshape(4, 3)
    fetch(array)
    assert np.array_equal(array.ravel(), np.arange(12))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), stuck=st.sampled_from([0.0, 20.0]))
def test_rings_hold_exactly_those_on_the_link(seed, stuck):
    rng = np.random.Generator(np.random.PCG64(seed))
    arcs = [(0, 1), (1, 2), (2, 3), (3, 0), (1, 0), (2, 1), (3, 2), (0, 3)]
    streets = network(arcs, rng.uniform(4, 40, len(arcs)), 0.3, speed=10.0)  # 1 to 8 places each
    trips = [(t, *rng.integers(0, 4, 2)) for t in rng.uniform(0, 200, 300)]
    size = rng.integers(1, 4, len(trips)).astype(np.int32)
    run = Run(streets, trips, stuck=stuck, size=size)
    for seconds in range(10, 600, 10):
        flow = run.until(seconds).flow
        found = []
        for link in flow.streets.links:
            place, units = int(link["head"]), 0
            for _ in range(link["vehicles"]):
                vehicle = int(flow.streets.places["vehicle"][link["place_first"] + place])
                found.append(vehicle)
                units += int(flow.vehicles[vehicle, SIZE])
                place = (place + int(flow.vehicles[vehicle, SIZE])) % int(link["ring"])
            assert units == link["units"]
            assert units <= link["ring"] or link["vehicles"] == 1  # who is larger than the link has it alone
        assert len(set(found)) == len(found)
        assert not np.isfinite(flow.arrive[found]).any()
        assert np.isfinite(flow.depart[found]).all()
