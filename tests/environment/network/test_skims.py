"""Tables of times and distances equal searches; in large networks they come close to them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from street_graphs import cheapest, network, random_network

from citytwin.environment.network.graph import make_graph
from citytwin.environment.network.network import Network, NetworkError
from citytwin.environment.network.search import paths
from citytwin.environment.network.skims import LANE_SPEED, SPEEDS, Skims, own_seconds
from citytwin.environment.network.trees import costs_from
from citytwin.environment.roads import Access


def all_pairs(nodes):
    return np.divmod(np.arange(nodes * nodes), nodes)


def grid(side, seed=0):
    """Two-way streets in a square, a fifth of them missing, with bent streets of three speeds."""
    rng = np.random.default_rng(seed)
    number = np.arange(side * side).reshape(side, side)
    a = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])
    b = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])
    kept = rng.random(len(a)) < 0.8
    start, end = np.concatenate([a[kept], b[kept]]), np.concatenate([b[kept], a[kept]])
    x, y = (100.0 * k.ravel() + rng.uniform(-20, 20, side * side) for k in np.divmod(number, side)[::-1])
    links = len(start)
    return Network(
        x=x,
        y=y,
        start=start.astype(np.int32),
        end=end.astype(np.int32),
        length=np.hypot(x[start] - x[end], y[start] - y[end]) * rng.uniform(1, 1.2, links),
        speed=rng.choice([8.0, 14.0, 20.0], links),
        lanes=np.ones(links),
        capacity=np.ones(links),
        access=np.full(links, 7, np.uint8),
        rank=np.full(links, 3, np.uint8),
        way=np.arange(links),
        through=np.ones(side * side, bool),
    )


@pytest.fixture(scope="module")
def streets():
    return grid(30)


class TestEachNodeARow:
    def test_cars_take_the_quickest_way(self):
        streets, cost = random_network(60, 150, 3)
        streets = streets.with_columns(length=np.random.default_rng(0).uniform(10, 500, 150))
        pairs = all_pairs(60)
        seconds, metres = Skims(streets, cost).between(Access.CAR, *pairs)
        graph = make_graph(streets, Access.CAR)
        expected = costs_from(graph, cost, np.arange(60)).ravel()
        np.testing.assert_allclose(seconds, expected, rtol=1e-6, atol=1e-8)
        first, link = paths(graph, cost, *pairs)
        for row in range(3600):
            if np.isinf(expected[row]):
                assert np.isinf(metres[row])
            else:
                assert metres[row] == pytest.approx(streets.length[link[first[row] : first[row + 1]]].sum())

    def test_walkers_and_cyclists_take_the_shortest_way_at_their_speed(self):
        streets = grid(8).with_columns(
            access=np.random.default_rng(1).integers(1, 8, len(grid(8).start)).astype(np.uint8)
        )
        pairs = all_pairs(64)
        skims = Skims(streets)
        for access, speed in SPEEDS.items():
            seconds, metres = skims.between(access, *pairs)
            expected = cheapest(make_graph(streets, access), streets.length, *pairs)
            np.testing.assert_allclose(metres, expected, rtol=1e-6, atol=1e-4)
            np.testing.assert_allclose(seconds, expected / speed, rtol=1e-5, atol=1e-4)

    def test_other_times_of_cars_leave_walkers_alone(self):
        streets = network(3, [(0, 1), (0, 2), (2, 1)])
        skims = Skims(streets)
        walk = skims.between(Access.FOOT, [0], [1])
        assert skims.between(Access.CAR, [0], [1]) == ([1.0], [1.0])
        full = skims.with_seconds([9.0, 1.0, 1.0])
        assert full.between(Access.CAR, [0], [1]) == ([2.0], [2.0])
        assert full.between(Access.FOOT, [0], [1]) == walk
        assert skims.with_seconds([np.inf, 5.0, np.inf]).between(Access.CAR, [0], [1]) == ([np.inf], [np.inf])
        assert skims.between(Access.CAR, [0], [1]) == ([1.0], [1.0])


class TestBicycleLanes:
    def test_cyclists_take_the_way_that_is_quickest_with_its_lanes(self):
        # 170 m in the street, or 200 m round the corner
        streets = network(3, [(0, 1), (0, 2), (2, 1)], length=[170.0, 100.0, 100.0])
        without = Skims(streets).between(Access.BICYCLE, [0], [1])
        assert without == (pytest.approx([170 / SPEEDS[Access.BICYCLE]]), [170.0])
        streets = streets.with_columns(bike_lane=np.array([False, True, True]))
        seconds, metres = Skims(streets).between(Access.BICYCLE, [0], [1])
        assert seconds == pytest.approx([200 / LANE_SPEED])
        assert metres == [200.0]
        assert Skims(streets).between(Access.FOOT, [0], [1])[1] == [170.0]

    @given(lanes=st.lists(st.booleans(), min_size=224, max_size=224))
    @settings(deadline=None, max_examples=20)
    def test_no_lane_makes_a_way_longer(self, lanes):
        streets = grid(8)
        streets = streets.with_columns(bike_lane=np.array(lanes[: streets.links]))
        pairs = all_pairs(64)
        before, _ = Skims(streets.with_columns(bike_lane=None)).between(Access.BICYCLE, *pairs)
        after, _ = Skims(streets).between(Access.BICYCLE, *pairs)
        assert (after <= before * (1 + 1e-6)).all()
        assert (own_seconds(streets, Access.FOOT) == streets.length / SPEEDS[Access.FOOT]).all()

    def test_where_points_stand_for_nodes_it_is_quicker_too(self, streets):
        nodes = np.flatnonzero(streets.main_part(Access.CAR))
        pairs = np.random.default_rng(5).choice(nodes, (2, 4000))
        before, _ = Skims(streets, most_points=200).between(Access.BICYCLE, *pairs)
        after, _ = Skims(streets.with_columns(bike_lane=np.ones(streets.links, bool)), most_points=200).between(
            Access.BICYCLE, *pairs
        )
        some = np.isfinite(before)
        np.testing.assert_allclose(after[some], before[some] * SPEEDS[Access.BICYCLE] / LANE_SPEED, rtol=1e-4)


class TestSharedRows:
    def test_every_node_has_a_point_close_by(self, streets):
        skims = Skims(streets, most_points=200)
        inside = streets.main_part(Access.CAR)
        assert len(skims.centre) == 200
        assert (skims.point[inside] >= 0).all()
        assert np.array_equal(skims.point[skims.centre], np.arange(200))
        centre = skims.centre[skims.point[inside]]
        apart = np.hypot(streets.x[inside] - streets.x[centre], streets.y[inside] - streets.y[centre])
        # a point for 4.5 blocks of 100 m: a disk of that area has a radius of 120 m
        assert apart.mean() < 120

    @pytest.mark.parametrize("access", [Access.CAR, Access.FOOT])
    def test_values_come_close_to_searches(self, streets, access):
        nodes = np.flatnonzero(streets.main_part(Access.CAR))
        pairs = np.random.default_rng(5).choice(nodes, (2, 4000))
        cost = streets.free_time if access == Access.CAR else streets.length / SPEEDS[access]
        expected = cheapest(make_graph(streets, access), cost, *pairs)
        seconds, metres = Skims(streets, most_points=200).between(access, *pairs)
        far = expected > 30
        error = seconds[far] / expected[far] - 1
        assert abs(np.median(error)) < 0.01
        assert np.median(np.abs(error)) < 0.06
        if access == Access.FOOT:
            np.testing.assert_allclose(metres, seconds * SPEEDS[access], rtol=1e-5)

    def test_the_same_node_is_no_way_and_a_lonely_one_is_out_of_reach(self, streets):
        lonely = streets.with_columns(
            x=np.append(streets.x, 1e5), y=np.append(streets.y, 0.0), through=np.append(streets.through, True)
        )
        skims = Skims(lonely, most_points=100)
        seconds, metres = skims.between(Access.FOOT, [5, 900, 5, 900], [5, 5, 900, 900])
        assert seconds.tolist() == metres.tolist() == [0.0, np.inf, np.inf, 0.0]

    def test_without_coordinates_the_remedy_is_named(self, streets):
        bare = streets.with_columns(x=np.zeros(900), y=np.zeros(900))
        with pytest.raises(NetworkError, match="give most_points=900"):
            Skims(bare, most_points=100)
        assert len(Skims(bare, most_points=900).centre) == 900


def test_any_number_of_threads_gives_the_same_bytes():
    streets = grid(20)
    pairs = all_pairs(400)
    for points in (400, 90):
        one = Skims(streets, most_points=points).between(Access.CAR, *pairs)
        many = Skims(streets, most_points=points, threads=3).between(Access.CAR, *pairs)
        assert [column.tobytes() for column in one] == [column.tobytes() for column in many]


def test_nodes_form_pairs():
    with pytest.raises(NetworkError, match="2 origins and 1 destinations"):
        Skims(network(3, [(0, 1)])).between(Access.CAR, [0, 1], [1])
    with pytest.raises(NetworkError, match="origins: 3 is not a node"):
        Skims(network(3, [(0, 1)])).between(Access.CAR, [3], [1])
