"""Static assignment: loops against plain Python, networks with turns and signals, and demand that cannot be assigned."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citytwin.agents.assignment import AssignmentError, Demand, Streets, assign, kernels, streets_of
from citytwin.agents.assignment.frank_wolfe import _point
from citytwin.agents.assignment.gradient_projection import PathFlows
from citytwin.environment.network.network import Network, Signals, Turns


def street_map(nodes, links, *, through=None, **columns):
    """Streets between pairs of nodes; a column that is not given is 1 for all links, B 0.15 and power 4."""
    start, end = np.array(links, np.int32).reshape(-1, 2).T.copy()
    count = len(start)
    values = {"capacity": 1.0, "free_time": 1.0, "b": 0.15, "power": 4.0, "fixed": 0.0} | columns
    return Streets(
        nodes=nodes,
        through=np.ones(nodes, bool) if through is None else np.array(through),
        start=start,
        end=end,
        link=np.arange(count),
        **{name: np.broadcast_to(np.array(value, float), count).copy() for name, value in values.items()},
    )


def demand(*cells):
    origin, destination, trips = np.array(cells, float).reshape(-1, 3).T
    return Demand(origin.astype(np.int32), destination.astype(np.int32), trips)


@st.composite
def random_streets(draw):
    """Streets with a ring, so that all nodes reach each other, and trips among them."""
    nodes = draw(st.integers(3, 8))
    node = st.integers(0, nodes - 1)
    chords = draw(st.lists(st.tuples(node, node).filter(lambda ends: ends[0] != ends[1]), max_size=20))
    links = [(n, (n + 1) % nodes) for n in range(nodes)] + chords
    count = len(links)
    number = st.floats(0.5, 20)

    def column(values):
        return draw(st.lists(values, min_size=count, max_size=count))

    streets = street_map(
        nodes,
        links,
        capacity=column(number),
        free_time=column(number),
        b=column(st.sampled_from([0.0, 0.15, 1.0])),
        power=column(st.sampled_from([0.0, 0.5, 1.0, 2.5, 4.0])),
        fixed=column(st.sampled_from([0.0, 0.0, 3.0])),
    )
    pairs = draw(st.lists(st.tuples(node, node), min_size=1, max_size=10, unique=True))
    return streets, demand(*[(o, d, draw(st.floats(0, 30))) for o, d in pairs])


# ---------------------------------------------------------------------- loops and their twins


def cheapest(streets, cost, origin):
    """Costs from a node, by repeated relaxation."""
    least = [np.inf] * streets.nodes
    least[origin] = 0.0
    for _ in range(streets.nodes):
        for a in range(streets.links):
            s, e = streets.start[a], streets.end[a]
            if s == origin or streets.through[s]:
                least[e] = min(least[e], least[s] + cost[a])
    return least


@settings(max_examples=60)
@given(random_streets(), st.data())
def test_trees(case, data):
    streets, _ = case
    through = np.array(data.draw(st.lists(st.booleans(), min_size=streets.nodes, max_size=streets.nodes)))
    streets = street_map(streets.nodes, np.column_stack([streets.start, streets.end]), through=through)
    graph, link = streets.graph()
    cost = np.array(data.draw(st.lists(st.sampled_from([0.0, 1, 2, 5.5]), min_size=len(link), max_size=len(link))))
    n = streets.nodes
    distance, room = np.empty(n), [np.empty(n, kind) for kind in (np.int32, np.int32, np.int32, float, np.int32)]
    for origin in range(n):
        settled = kernels.grow_tree(graph, cost[link], origin, n + 1, distance, *room, np.zeros(n, bool))
        assert distance.tolist() == cheapest(streets, cost, origin)
        entry, order = room[0], room[1]
        assert settled == np.isfinite(distance).sum()
        assert np.all(np.diff(distance[order[:settled]]) >= 0)
        for node in order[1:settled]:
            a = entry[node]
            assert distance[node] == distance[graph.tail[a]] + cost[link[a]]


def shift(paths, streets, flow):
    """Plain form of ``kernels.shift_flows``: changes path flows (a list of [pair, links, flow]) and link flows."""

    def cost(a):
        return streets.times(flow)[a] + streets.fixed[a]

    def slope(a):
        if streets.b[a] == 0 or streets.power[a] == 0:
            return 0.0
        if flow[a] == 0 and streets.power[a] < 1:
            return np.inf
        ratio, power = flow[a] / streets.capacity[a], streets.power[a]
        return streets.free_time[a] * streets.b[a] * power * ratio ** (power - 1) / streets.capacity[a]

    for pair in sorted({path[0] for path in paths}):
        mine = [path for path in paths if path[0] == pair]
        costs = [sum(cost(a) for a in path[1]) for path in mine]
        best = mine[int(np.argmin(costs))]
        for path in mine:
            if path is best:
                continue
            out, into = [a for a in path[1] if a not in best[1]], [a for a in best[1] if a not in path[1]]
            difference = sum(map(cost, out)) - sum(map(cost, into))
            steep = sum(map(slope, out)) + sum(map(slope, into))
            giver, taker = path, best
            if difference < 0:
                giver, taker, out, into = best, path, into, out
            size = giver[2] if steep == 0 or np.isinf(steep) else min(giver[2], abs(difference) / steep)
            before = flow.copy()
            after = 0.0
            for _ in range(kernels.TRIALS):
                flow[:] = before
                flow[out] = np.maximum(flow[out] - size, 0)
                flow[into] += size
                after = sum(map(cost, out)) - sum(map(cost, into))
                if after >= 0 or -after <= kernels.ACCEPTED * abs(difference):
                    break
                size *= max(0.1, abs(difference) / (abs(difference) - after))
            giver[2] -= size
            taker[2] += size


def as_arrays(paths, pairs):
    """Paths of the plain form as the kernels have them; arcs are links in the order of ``Streets.graph``."""
    lengths = [len(path[1]) for path in paths]
    count = np.bincount([path[0] for path in paths], minlength=pairs)
    return PathFlows(
        np.concatenate([[0], np.cumsum(count)]),
        np.concatenate([[0], np.cumsum(lengths)]),
        np.array([path[2] for path in paths], float),
        np.array([a for path in paths for a in path[1]], np.int32),
    )


def test_shifts_and_their_twin():
    """Two pairs on a grid of three by three nodes, with four paths each, some of constant cost, some steep."""
    right = [(n, n + 1) for n in range(9) if n % 3 < 2]
    down = [(n, n + 3) for n in range(6)]
    links = right + down
    power = np.array([4, 1, 0, 2.5, 4, 0.5, 4, 4, 1, 0, 6, 4], float)
    streets = street_map(9, links, free_time=np.arange(1, 13) / 3, capacity=4.0, power=power, b=0.7)
    link = streets.graph()[1]
    arc_of = np.argsort(link)
    row = {ends: n for n, ends in enumerate(links)}
    routes = [(0, 1, 2, 5, 8), (0, 1, 4, 5, 8), (0, 3, 4, 5, 8), (0, 3, 6, 7, 8), (0, 1, 4, 7, 8)]
    plain = [[0, [row[ends] for ends in pairwise(r)], 6.0 * (n == 0)] for n, r in enumerate(routes)]
    plain += [[1, [row[ends] for ends in pairwise(r)], 2.0] for r in [(1, 2, 5, 8), (1, 4, 5, 8)]]
    arrays = as_arrays([[pair, arc_of[part], trips] for pair, part, trips in plain], 2)
    curves = streets.curves(link)
    flow, cost, slope = np.zeros(12), np.empty(12), np.empty(12)
    kernels.add_flows(arrays, 0, 2, flow)
    kernels.set_costs(*curves, flow, cost, slope)
    by_link = flow[arc_of]
    objectives = [streets.objective(by_link)]
    for _ in range(6):
        kernels.shift_flows(arrays, curves, flow, cost, slope, 0.0)
        shift(plain, streets, by_link)
        assert arrays.flow == pytest.approx([path[2] for path in plain], abs=1e-9)
        assert flow[arc_of] == pytest.approx(by_link, abs=1e-9)
        assert cost[arc_of] == pytest.approx(streets.times(by_link), abs=1e-9)
        objectives.append(streets.objective(by_link))
    assert np.all(np.diff(objectives) < 1e-12)
    assert objectives[-1] < objectives[0] - 1
    assert arrays.flow[:5].sum() == pytest.approx(6)


@pytest.mark.parametrize("known", [1, 2])
def test_directions_of_frank_wolfe_are_conjugate(known):
    """A direction is conjugate to the one or two before, wherever no weight had to be kept from leaving 0 … 1."""
    conjugate = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        slope, step = rng.uniform(0.1, 2, 6), rng.uniform(0.1, 0.9)
        nearest, flow, older = rng.uniform(0, 9, (3, 6))
        first = older - flow
        second = rng.uniform(-5, 5, 6)
        second -= (second @ (slope * first)) / (first @ (slope * first)) * first
        newer, flow = flow + second, flow + step * second
        points, before = [newer, older][:known], [second, first][:known]
        point = _point(flow, nearest, points, step, slope)
        weights = np.linalg.lstsq(np.column_stack([nearest, *points]), point, rcond=None)[0]
        assert weights.sum() == pytest.approx(1)
        assert weights.min() > -1e-9
        if weights.min() > 1e-4:
            conjugate += 1
            for direction in before:
                assert (point - flow) @ (slope * direction) == pytest.approx(0, abs=1e-9)
    assert conjugate >= 10


@settings(max_examples=40)
@given(random_streets())
def test_both_methods_find_what_no_trip_can_better(case):
    streets, trips = case
    found = assign(streets, trips, gap=1e-7, iterations=3000)
    other = assign(streets, trips, gap=1e-4, iterations=3000, method="links")
    assert found.converged
    some = (trips.trips > 0) & (trips.origin != trips.destination)
    carried = np.bincount(found.paths.cell, found.paths.flow, len(trips.trips))
    assert carried[some] == pytest.approx(trips.trips[some], rel=1e-9)
    least = sum(
        t * cheapest(streets, found.cost, o)[d]
        for o, d, t in zip(trips.origin, trips.destination, trips.trips, strict=True)
        if o != d
    )
    rounding = 1e-12 * found.total_cost + 1e-12
    assert found.total_cost - least == pytest.approx(found.average_excess_cost * found.trips, rel=1e-9, abs=rounding)
    assert found.total_cost - least <= 1e-7 * found.total_cost + rounding
    assert found.max_node_imbalance <= 1e-9
    assert found.trips + found.intrazonal == pytest.approx(trips.trips.sum(), rel=1e-12)
    # Beckmann's objective of any flow lies above that of the equilibrium by no more than its excess cost
    low = found.objective - found.average_excess_cost * found.trips
    assert other.objective >= low - 1e-9 * max(low, 1)
    assert other.objective - other.average_excess_cost * other.trips <= found.objective + 1e-9 * max(low, 1)


def test_order_of_links_and_cells_does_not_matter():
    rng = np.random.default_rng(1)
    links = np.array([(a, b) for a in range(6) for b in range(6) if a != b and (a + b) % 3])
    values = {"free_time": rng.uniform(1, 5, len(links)), "capacity": rng.uniform(1, 5, len(links))}
    cells = np.array([(a, b, 3.0 + a) for a in range(6) for b in range(6) if a != b])
    found = assign(street_map(6, links, **values), demand(*cells), gap=1e-11)
    order, other = rng.permutation(len(links)), rng.permutation(len(cells))
    streets = street_map(6, links[order], **{name: column[order] for name, column in values.items()})
    again = assign(streets, demand(*cells[other]), gap=1e-11)
    assert again.flow == pytest.approx(found.flow[order], abs=1e-3)
    assert again.objective == pytest.approx(found.objective, rel=1e-10)


def test_room_for_paths_is_made_on_the_way():
    """A corridor of many links with many pairs: paths take far more room than is there at first."""
    nodes = 400
    links = [(n, n + 1) for n in range(nodes - 1)]
    cells = [(0, d, 1.0) for d in range(1, nodes)] + [(1, d, 1.0) for d in range(2, nodes)]
    found = assign(street_map(nodes, links, b=0.0), demand(*cells))
    assert len(found.paths.link) == sum(d - o for o, d, _ in cells)
    assert found.flow.tolist() == [nodes - 1.0] + [2.0 * (nodes - 1 - n) for n in range(1, nodes - 1)]


# ---------------------------------------------------------------------- demand


def test_trips_inside_a_zone_are_counted_and_not_assigned():
    found = assign(street_map(2, [(0, 1)]), demand((0, 0, 5), (0, 1, 2), (1, 1, 4)))
    assert (found.trips, found.intrazonal) == (2.0, 9.0)
    assert found.flow.tolist() == [2.0]
    assert found.max_node_imbalance == 0.0


@pytest.mark.parametrize("method", ["paths", "links"])
@pytest.mark.parametrize("cells", [[], [(0, 0, 5)], [(1, 0, 0)]])
def test_nothing_to_assign(cells, method):
    found = assign(street_map(2, [(0, 1)]), demand(*cells), method=method)
    assert found.converged
    assert found.flow.tolist() == [0.0]
    assert (found.objective, found.total_time, found.relative_gap, found.trips) == (0, 0, 0, 0)


def test_zones_are_not_passed():
    """0 → 1 → 2 is the short way, but 1 is a zone; the long way is by 3."""
    links = [(0, 1), (1, 2), (0, 3), (3, 2)]
    streets = street_map(4, links, free_time=[1, 1, 9, 9], through=[False, False, False, True])
    found = assign(streets, demand((0, 2, 1), (0, 1, 1), (1, 2, 1)))
    assert found.flow.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([(0, 4, 1)], "destination is node 4, the network has nodes 0 … 3"),
        ([(-1, 1, 1)], "origin is node -1, the network has nodes 0 … 3"),
        ([(3, 1, 2), (3, 2, 2)], "4 trips have the origin 3, but no link leaves it"),
        ([(1, 3, 2)], "2 trips have the destination 3, but no link reaches it"),
        ([(2, 1, 5)], "5 trips 2 → 1 have no path"),
        ([(0, 1, -1)], "trips is -1, must be a number from 0 on"),
        ([(0, 1, np.nan)], "trips is nan, must be a number from 0 on"),
    ],
)
@pytest.mark.parametrize("method", ["paths", "links"])
def test_demand_that_cannot_be_assigned(cells, message, method):
    """Node 3 has no links, and zone 0 cannot be passed on the way from 2 to 1."""
    streets = street_map(4, [(0, 1), (1, 2), (2, 0)], through=[False, True, True, True])
    with pytest.raises(AssignmentError, match=message):
        assign(streets, demand(*cells), method=method)


def test_all_pairs_without_a_path_are_named(tmp_path):
    """Two islands, 0 ↔ 1 and 2 ↔ 3; the file names no trips between 0 and 2, but four other pairs across."""
    path = tmp_path / "od.csv"
    path.write_text("origin,destination,trips\n0,1,1\n0,3,1\n1,2,2\n1,3,3\n3,0,4\n", encoding="utf-8")
    streets = street_map(4, [(0, 1), (1, 0), (2, 3), (3, 2)])
    with pytest.raises(AssignmentError) as error:
        assign(streets, Demand.of_csv(path, 4))
    lines = str(error.value).splitlines()
    assert lines[:-1] == [
        f"{path}:3: 1 trips 0 → 3 have no path",
        f"{path}:4: 2 trips 1 → 2 have no path",
        f"{path}:5: 3 trips 1 → 3 have no path",
        f"{path}:6: 4 trips 3 → 0 have no path",
    ]
    assert lines[-1].startswith("Add the links that are missing")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gap": 0.0}, "gap is 0, must be between 0 and 1"),
        ({"gap": float("nan")}, "gap is nan"),
        ({"iterations": 0}, "iterations is 0"),
        ({"method": "origin"}, "method is 'origin', must be one of paths, links"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(AssignmentError, match=message):
        assign(street_map(2, [(0, 1)]), demand((0, 1, 1)), **arguments)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("capacity", 0.0, "link 0 → 1: capacity is 0, must be above 0"),
        ("free_time", -1.0, "link 0 → 1: free_time is -1, must be a finite number from 0 on"),
        ("b", np.nan, "link 0 → 1: b is nan"),
        ("power", np.inf, "link 0 → 1: power is inf"),
        ("fixed", -2.0, "link 0 → 1: the cost of toll and length is -2"),
    ],
)
def test_wrong_streets(column, value, message):
    with pytest.raises(AssignmentError, match=message):
        street_map(2, [(1, 0), (0, 1)], **{column: [1.0, value]})


@pytest.mark.parametrize("method", ["paths", "links"])
def test_progress_is_told_round_by_round(method):
    told = []
    streets = street_map(2, [(0, 1), (0, 1)], capacity=[1, 2])
    found = assign(streets, demand((0, 1, 3)), method=method, progress=lambda *step: told.append(step))
    assert told == list(enumerate(found.gaps, 1))
    assert len(told) == found.iterations > 1


def test_a_gap_out_of_reach_ends_and_says_so():
    found = assign(street_map(2, [(0, 1), (0, 1)], capacity=[1, 2]), demand((0, 1, 3)), gap=1e-6, iterations=1)
    assert not found.converged
    assert found.iterations == len(found.gaps) == 1
    stuck = assign(street_map(2, [(0, 1), (0, 1)], capacity=[1, 3]), demand((0, 1, 3.3)), gap=1e-300)
    assert stuck.relative_gap < 1e-14
    assert stuck.iterations < 100


# ---------------------------------------------------------------------- tables


def test_demand_from_a_table(tmp_path):
    path = tmp_path / "od.csv"
    path.write_text("destination,origin,trips,note\n2,1,3.5,x\n1,2,0,\n", encoding="utf-8")
    read = Demand.of_csv(path, 3, first_name=1)
    assert read.origin.tolist() == [0, 1]
    assert read.destination.tolist() == [1, 0]
    assert read.trips.tolist() == [3.5, 0.0]
    assert read.at(1) == f"{path}:3: "


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("origin,to,trips\n", 1, "lacks the column destination"),
        ("", 1, "lacks the column origin"),
        ("origin,destination,trips\n1,9,1\n", 2, "destination is '9', must be a node of 1 … 3"),
        ("origin,destination,trips\n0,1,1\n", 2, "origin is '0', must be a node of 1 … 3"),
        ("origin,destination,trips\n1,2,1\nx,2,1\n", 3, "origin is 'x'"),
        ("origin,destination,trips\n1,2,-1\n", 2, "trips is '-1', must be a number from 0 on"),
        ("origin,destination,trips\n1,2,inf\n", 2, "trips is 'inf'"),
        ("origin,destination,trips\n1,2\n", 2, "trips is 'None'"),
        ("origin,destination,trips\n1,2,1\n1,2,2\n", 3, "states the trips 1 → 2 again; line 2 states them too"),
    ],
)
def test_wrong_tables(tmp_path, text, line, message):
    path = tmp_path / "od.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AssignmentError) as error:
        Demand.of_csv(path, 3, first_name=1)
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert message in str(error.value)


def test_tables_that_are_none(tmp_path):
    with pytest.raises(AssignmentError, match="cannot be read"):
        Demand.of_csv(tmp_path / "none.csv", 3)
    path = tmp_path / "od.csv"
    path.write_bytes(b"\xff\xfe,\x00")
    with pytest.raises(AssignmentError, match="is not a CSV file in UTF-8"):
        Demand.of_csv(path, 3)


# ---------------------------------------------------------------------- networks on which vehicles move


def network(nodes, links, *, speed=10.0, capacity=1.0, **columns):
    """A network of links of 100 m."""
    start, end = np.array(links, np.int32).T.copy()
    count = len(links)
    values = {
        "x": np.zeros(nodes),
        "y": np.zeros(nodes),
        "length": np.full(count, 100.0),
        "speed": np.full(count, speed),
        "lanes": np.ones(count),
        "capacity": np.full(count, capacity),
        "access": np.full(count, 15, np.uint8),
        "rank": np.full(count, 3, np.uint8),
        "way": np.arange(count),
        "through": np.ones(nodes, bool),
    }
    return Network(start=start, end=end, **(values | columns))


def test_streets_of_a_network():
    """Two links a second each way; the second is closed to cars, the third is unbounded."""
    net = network(3, [(0, 1), (1, 2), (0, 1)], access=np.array([1, 6, 15], np.uint8), capacity=0.5)
    net = net.with_columns(capacity=np.array([0.5, 0.5, np.inf]), toll=np.array([2.0, 0, 0]))
    streets = streets_of(net, toll_weight=30.0, length_weight=0.1, hours=2.0)
    assert streets.link.tolist() == [0, 2]
    assert streets.capacity[0] == 3600.0
    assert streets.free_time.tolist() == [10.0, 10.0]
    assert streets.fixed.tolist() == [70.0, 10.0]
    assert streets.times(np.array([3600.0, 1e9])) == pytest.approx([11.5, 10.0])


def test_red_time_takes_capacity():
    """A link with two green windows of 20 of 80 s at 1 vehicle/s lets 0.5 pass, one of 0.3 with all green still 0.3."""
    signals = Signals(
        link=np.array([0, 0, 1], np.int32),
        cycle=np.array([80.0, 80.0, 60.0]),
        offset=np.zeros(3),
        green_start=np.array([0.0, 40.0, 0.0]),
        green_end=np.array([20.0, 60.0, 60.0]),
        flow=np.ones(3),
    )
    net = network(4, [(0, 1), (1, 2), (2, 3)], signals=signals, capacity=1.0)
    net = net.with_columns(capacity=np.array([1.0, 0.3, 0.7]))
    assert streets_of(net).capacity == pytest.approx([1800.0, 1080.0, 2520.0])


def test_forbidden_and_slow_turns():
    """From 0 by 1 to 2 and 3; the turn to 2 is forbidden, that to 3 takes 5 s; the way round to 2 leads by 3."""
    links = [(0, 1), (1, 2), (1, 3), (3, 2), (4, 1)]
    turns = Turns(np.array([0, 0], np.int32), np.array([1, 2], np.int32), np.array([np.inf, 5.0]))
    streets = streets_of(network(5, links, turns=turns, capacity=1e6))
    assert streets.places == 5
    cells = demand((0, 2, 1), (0, 3, 1), (4, 2, 1), (1, 2, 1), (0, 1, 1))
    found = assign(streets, cells)
    own = streets.link >= 0
    assert found.flow[own].tolist() == [3.0, 2.0, 2.0, 1.0, 1.0]
    # 0 → 2: 35 s, 0 → 3: 25 s, 4 → 2: 20 s, 1 → 2 and 0 → 1: 10 s
    assert found.total_time == pytest.approx(100.0)
    assert found.max_node_imbalance == 0.0
    assert streets.names(streets.start)[own].tolist() == [0, 1, 1, 3, 4]
    assert streets.names(streets.end)[own].tolist() == [1, 2, 3, 2, 1]
    with pytest.raises(AssignmentError, match=r"destination is node 5, the network has nodes 0 … 4"):
        assign(streets, demand((0, 5, 1)))


def test_turns_do_not_change_a_network_in_which_none_is_taken():
    """A rule on a turn that leads nowhere anybody goes leaves all flows as they were."""
    links = [(0, 1), (1, 2), (0, 2), (2, 0), (1, 0)]
    plain = streets_of(network(3, links, capacity=0.01))
    rule = Turns(np.array([0], np.int32), np.array([4], np.int32), np.array([np.inf]))
    ruled = streets_of(network(3, links, capacity=0.01, turns=rule))
    cells = demand((0, 2, 100), (0, 1, 30), (1, 0, 20))
    one, two = assign(plain, cells, gap=1e-10), assign(ruled, cells, gap=1e-10)
    assert two.flow[ruled.link >= 0] == pytest.approx(one.flow, abs=1e-4)
    assert two.objective == pytest.approx(one.objective, rel=1e-9)


def test_a_table_without_trips_is_refused(tmp_path):
    path = tmp_path / "empty.csv"
    path.write_text("origin,destination,trips\n")
    with pytest.raises(AssignmentError, match=r"empty\.csv: holds no trips"):
        Demand.of_csv(path, 3)
