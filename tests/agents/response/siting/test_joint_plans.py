"""Stations and hospitals together: against all pairs of plans of small cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import all_plans, town

from citytwin.agents.response.siting.joint import stations_and_hospitals
from citytwin.agents.response.siting.plan import SitingError


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 2), st.integers(1, 2), st.booleans())
def test_the_best_of_all_pairs_of_plans(seed, stations, hospitals, stays):
    weights, to_scene = town(seed, 10, 4)
    _, to_hospital = town(seed + 1, 10, 3)
    least = np.eye(4, dtype=int)[3] * stays

    def covered(base, door):
        ways = to_scene[:, base > 0].min(1) + to_hospital[:, door > 0].min(1)
        return weights[ways <= 600.0].sum()

    best = max(covered(a, b) for a in all_plans(4, stations, least) for b in all_plans(3, hospitals))
    base, door = stations_and_hospitals(weights, to_scene, to_hospital, 600.0, stations, hospitals, least=least)
    assert base.objective == door.objective == best == covered(base.units, door.units)
    assert base.gap < 1e-6
    assert (base.units.sum(), door.units.sum()) == (stations, hospitals)
    assert (base.units >= least).all()


def test_nothing_within_the_standard_and_what_is_refused():
    weights, to_scene = town(1, 5, 3)
    base, door = stations_and_hospitals(weights, to_scene, to_scene, 0.0, 2, 1)
    assert base.objective == door.objective == 0
    assert base.units.sum() == 2
    with pytest.raises(SitingError, match="4 units for 3 sites"):
        stations_and_hospitals(weights, to_scene, to_scene, 600.0, 4, 1)
    with pytest.raises(SitingError, match="one for each of the 4 points"):
        stations_and_hospitals(weights, to_scene, to_scene[:4], 600.0, 2, 1)
    with pytest.raises(SitingError, match="standard"):
        stations_and_hospitals(weights, to_scene, to_scene, np.nan, 2, 1)
