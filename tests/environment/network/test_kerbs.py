"""Kerbs: both directions together, places that keep their sum, the nearest ones of points and of each other."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from streets import straight_streets

from citytwin.environment.network.kerbs import DETOUR, MOST_NEAR, REACH, kerbs_of, nearest_kerbs, neighbours
from citytwin.environment.roads import Access, RoadRank


def row_of_streets(count, places, spacing=100.0):
    """Streets of two directions one after the other, with places of both (nan for unknown)."""
    ends = np.arange(count)
    way = np.tile(ends, 2)
    streets = straight_streets(
        np.arange(count + 1) * spacing, np.zeros(count + 1), np.r_[ends, ends + 1], np.r_[ends + 1, ends], way
    )
    halves = np.tile(np.array(places, float) / 2, 2)
    return streets.with_columns(parking=halves, rank=np.full(2 * count, RoadRank.RESIDENTIAL, np.uint8))


def test_both_directions_are_one_kerb():
    streets = row_of_streets(3, [5, np.nan, 8])
    kerbs = kerbs_of(streets)
    assert kerbs.of_link.tolist() == [0, 1, 2, 0, 1, 2]
    assert kerbs.link.tolist() == [0, 1, 2]
    assert kerbs.places.tolist() == [5, -1, 8]
    assert kerbs.x.tolist() == [50, 150, 250]
    assert kerbs.counted.tolist() == [0, 2]


def test_nobody_parks_where_no_car_may_be_or_on_large_roads():
    streets = row_of_streets(3, [5, 6, 8])
    access, rank = streets.access.copy(), streets.rank.copy()
    access[[0, 3]] = Access.FOOT
    access[1] = Access.BICYCLE  # one direction is left
    rank[[2, 5]] = RoadRank.TRUNK
    kerbs = kerbs_of(streets.with_columns(access=access, rank=rank))
    assert kerbs.of_link.tolist() == [-1, -1, -1, -1, 0, -1]
    assert kerbs.places.tolist() == [3]


@given(places=st.lists(st.floats(0, 30), min_size=1, max_size=30))
@settings(deadline=None, max_examples=50)
def test_whole_places_keep_their_sum(places):
    kerbs = kerbs_of(row_of_streets(len(places), places))
    assert abs(kerbs.places.sum() - sum(places)) <= 0.5 + 1e-4
    assert (np.abs(kerbs.places - np.array(places)) <= 1.0 + 1e-4).all()


def test_points_lie_at_the_nearest_kerb_of_their_node():
    streets = row_of_streets(3, [5, 6, 8])
    kerbs = kerbs_of(streets)
    x, y = np.array([90.0, 110.0, 290.0, 10.0]), np.array([20.0, -20.0, 5.0, 0.0])
    assert nearest_kerbs(streets, kerbs, [1, 1, 3, -1], x, y).tolist() == [0, 1, 2, -1]
    none = streets.with_columns(access=np.full(6, Access.FOOT, np.uint8))
    assert nearest_kerbs(none, kerbs_of(none), [1, 1], x[:2], y[:2]).tolist() == [-1, -1]


def test_neighbours_end_where_there_is_room_or_out_of_reach():
    first, kerb, metres = neighbours(kerbs_of(row_of_streets(6, [0, 0, 0, np.nan, 0, 0])))
    parts = [kerb[a:b].tolist() for a, b in itertools.pairwise(first)]
    assert parts == [[0, 1, 2, 3], [1, 0, 2, 3], [2, 1, 3], [4, 3], [5, 4, 3]]
    assert metres[:4].tolist() == [0, 100 * DETOUR, 200 * DETOUR, 300 * DETOUR]
    first, kerb, metres = neighbours(kerbs_of(row_of_streets(100, np.zeros(100))))
    assert metres.max() <= REACH
    assert np.diff(first)[50] == 1 + 2 * int(REACH / 100 / DETOUR)
    first, kerb, _ = neighbours(kerbs_of(row_of_streets(100, np.zeros(100), spacing=1.0)))
    assert (np.diff(first) == MOST_NEAR).all()
    assert (kerb[first[:-1]] == np.arange(100)).all()
