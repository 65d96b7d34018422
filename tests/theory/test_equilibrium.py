"""User equilibrium of static assignment against closed forms and the best-known flows of public networks.

**Condition** (Wardrop 1952, first principle): all paths in use between two zones cost the same, none costs less. For costs
t(x) = t0 (1 + B (x/c)^P) it is the minimum of Z = Σ t0 (x + B c/(P + 1) (x/c)^(P + 1)) (Beckmann, McGuire & Winsten 1956).

**Best-known flows**: github.com/bstabler/TransportationNetworks, with average excess costs of 4e-15 (Sioux Falls), 1e-15
(Anaheim) and 2e-14 (Barcelona). A feasible flow cannot have a lower objective, except by rounding of the last digits:
figures here have 12 digits, so an objective may lie 1e-12 of itself below. At a gap of 1e-6 it must lie within 1e-6 above,
and flows within 5 trips. Where paths differ in links of constant cost alone, flows are not unique: 10 links of Barcelona.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from citytwin.agents.assignment import Demand, Streets, assign
from citytwin.environment.network.tntp import read_network, read_trips

ROUNDING = 1e-12
BEST = {  # objective, total time, sum of flows, greatest flow/capacity, flows of the first three links of the file
    "SiouxFalls": (4_231_335.287107, 7_480_225.345, 877_603.102, 2.557, (4_494.6576, 8_119.0799, 4_519.0799)),
    "Anaheim": (1_286_032.171096, 1_419_913.851, 1_837_105.632, 1.979, (7_074.9, 9_662.5, 7_669.0)),
    "Barcelona": (1_265_654.922032, 1_365_715.684, 3_000_410.422, None, (1_151.995, 1_094.114, 0.0)),
}


def streets(nodes, links, *, closed=(), fixed=None):
    """Links given as (start, end, free time, B, capacity, power)."""
    rows = [link for n, link in enumerate(links) if n not in closed]
    start, end, free, b, capacity, power = np.array(rows, float).T
    return Streets(
        nodes=nodes,
        through=np.ones(nodes, bool),
        start=start.astype(np.int32),
        end=end.astype(np.int32),
        capacity=capacity,
        free_time=free,
        b=b,
        power=power,
        fixed=np.zeros(len(rows)) if fixed is None else np.array(fixed, float),
        link=np.arange(len(rows)),
    )


def trips(*cells):
    origin, destination, number = np.array(cells, float).T
    return Demand(origin.astype(np.int32), destination.astype(np.int32), number)


@pytest.fixture(scope="module")
def public(survey):
    """Return a public network, its demand and its best-known flows and costs by link."""

    def load(name):
        folder = survey / "tntp_networks" / name
        net = read_network(folder / f"{name}_net.tntp")
        best = np.loadtxt(folder / f"{name}_flow.tntp", skiprows=1)
        assert np.array_equal(best[:, :2], np.column_stack([net.start, net.end]) + 1)
        return net, read_trips(folder / f"{name}_trips.tntp", net.zones), best[:, 2], best[:, 3]

    return load


@pytest.mark.parametrize("method", ["paths", "links"])
@pytest.mark.parametrize("name", BEST)
def test_public_networks(validity, public, name, method):
    net, cells, best_flow, best_cost = public(name)
    objective, total_time, flows, greatest, first = BEST[name]
    found = assign(Streets.of_tntp(net), Demand.of_tntp(cells), gap=1e-6, method=method)
    assert found.converged
    assert found.relative_gap <= 1e-6
    by = "paths" if method == "paths" else "bi-conjugate Frank–Wolfe"
    over = found.objective / objective - 1
    source = "best-known flows of TransportationNetworks"
    validity(
        "equilibrium", f"{name}, {by}: objective over the best known", over, within=(-ROUNDING, 1e-6), source=source
    )
    imbalance = found.max_node_imbalance
    validity(
        "equilibrium", f"{name}, {by}: largest imbalance of a node", imbalance, within=(0, 1e-6), source="conservation"
    )
    assert found.average_excess_cost == pytest.approx(found.relative_gap * found.total_cost / found.trips)
    if method == "links":  # its flows are as near as the gap makes them
        assert found.total_time == pytest.approx(total_time, rel=1e-4)
        return
    assert found.total_time == pytest.approx(total_time, rel=1e-6)
    assert found.flow.sum() == pytest.approx(flows, rel=1e-6)
    assert found.flow[:3] == pytest.approx(first, abs=5)
    if greatest is not None:
        assert (found.flow / net.capacity).max() == pytest.approx(greatest, abs=5e-4)
    rising = (net.b > 0) & (net.power > 0)
    assert np.abs(found.flow - best_flow)[rising].max() <= 5
    assert found.cost == pytest.approx(best_cost, abs=1e-4)
    unlike = np.abs(found.flow - best_flow) > 5
    assert unlike.sum() == (10 if name == "Barcelona" else 0)


@pytest.mark.parametrize("name", BEST)
def test_the_best_known_flows_are_met_to_their_last_digits(public, name):
    net, cells, best_flow, best_cost = public(name)
    road = Streets.of_tntp(net)
    found = assign(road, Demand.of_tntp(cells), gap=1e-12)
    assert found.relative_gap <= 1e-12
    assert found.objective == pytest.approx(BEST[name][0], rel=ROUNDING)
    assert found.objective == pytest.approx(road.objective(best_flow), rel=1e-13)
    assert found.total_time == pytest.approx(BEST[name][1], abs=1e-3)
    assert found.cost == pytest.approx(best_cost, abs=1e-8)
    rising = (net.b > 0) & (net.power > 0)
    assert found.flow[rising] == pytest.approx(best_flow[rising], abs=1e-2)
    if name == "SiouxFalls":
        assert float(found.flow @ net.free_time) == pytest.approx(3_419_112.773, abs=1e-3)


@pytest.mark.parametrize("name", BEST)
def test_conservation(public, name):
    net, cells, _, _ = public(name)
    demand = Demand.of_tntp(cells)
    found = assign(Streets.of_tntp(net), demand)
    paths = found.paths
    # node by node, from the files alone
    balance = np.zeros(net.nodes)
    np.add.at(balance, net.start, found.flow)
    np.subtract.at(balance, net.end, found.flow)
    np.subtract.at(balance, cells.origin, cells.trips)
    np.add.at(balance, cells.destination, cells.trips)
    assert np.abs(balance).max() <= 1e-6
    # pair by pair, and origin by origin
    carried = np.bincount(paths.cell, paths.flow, len(cells.trips))
    assert carried == pytest.approx(cells.trips, rel=1e-9)
    leaving = np.bincount(cells.origin[paths.cell], paths.flow, net.zones)
    assert leaving == pytest.approx(np.bincount(cells.origin, cells.trips, net.zones), rel=1e-9)
    # paths lead from origin to destination without passing zones, and add up to the flows of links
    length = np.diff(paths.first)
    begins, ends = paths.link[paths.first[:-1]], paths.link[paths.first[1:] - 1]
    assert np.array_equal(net.start[begins], cells.origin[paths.cell])
    assert np.array_equal(net.end[ends], cells.destination[paths.cell])
    inner = np.ones(len(paths.link), bool)
    inner[paths.first[1:] - 1] = False
    joints = net.end[paths.link[inner]]
    following = np.flatnonzero(inner) + 1
    assert np.array_equal(joints, net.start[paths.link[following]])
    assert net.through[joints].all()
    by_link = np.bincount(paths.link, np.repeat(paths.flow, length), net.links)
    assert by_link == pytest.approx(found.flow, abs=1e-8)


@pytest.mark.parametrize("method", ["paths", "links"])
@pytest.mark.parametrize("name", BEST)
def test_the_gap_is_what_scipy_finds(public, name, method):
    """The gap from shortest paths of another program, which are barred from zones by giving each a twin to end in."""
    net, cells, _, _ = public(name)
    found = assign(Streets.of_tntp(net), Demand.of_tntp(cells), gap=1e-4, method=method)
    cost = net.free_time * (1 + net.b * (found.flow / net.capacity) ** net.power)
    barred = ~net.through
    end = np.where(barred[net.end], net.nodes + net.end, net.end)
    order = np.lexsort((-cost, end, net.start))  # of parallel links the last, cheapest one stays
    graph = {(s, e): c for s, e, c in zip(net.start[order], end[order], cost[order], strict=True)}
    ends = np.array(list(graph))
    matrix = csr_matrix((list(graph.values()), (ends[:, 0], ends[:, 1])), shape=(2 * net.nodes, 2 * net.nodes))
    costs = dijkstra(matrix, indices=np.arange(net.zones))
    target = np.where(barred[cells.destination], net.nodes + cells.destination, cells.destination)
    least = math.fsum(cells.trips * costs[cells.origin, target])
    assert found.relative_gap == pytest.approx(1 - least / math.fsum(cost * found.flow), abs=1e-10)
    assert found.total_cost == pytest.approx(math.fsum(cost * found.flow), rel=1e-12)


# ---------------------------------------------------------------------- closed forms

# Braess (1968): 0 → 2 costs 10 f, 0 → 3 and 2 → 1 cost 50 + f, 2 → 3 costs 10 + f, 3 → 1 costs 10 f.
TINY = 1e-8
BRAESS = [
    (0, 2, TINY, 10 / TINY, 1, 1),
    (0, 3, 50, 0.02, 1, 1),
    (2, 1, 50, 0.02, 1, 1),
    (2, 3, 10, 0.1, 1, 1),
    (3, 1, TINY, 10 / TINY, 1, 1),
]


@pytest.mark.parametrize("method", ["paths", "links"])
def test_braess(validity, method):
    found = assign(streets(4, BRAESS), trips((0, 1, 6)), gap=1e-12, method=method)
    assert found.flow == pytest.approx([4, 2, 2, 2, 4], abs=1e-6)
    assert found.cost == pytest.approx([40, 52, 52, 12, 40], abs=1e-6)
    source = "Braess 1968, as in TransportationNetworks"
    validity("equilibrium", f"Braess, {method}: total time with the bridge", found.total_time, 552, 1e-6, source=source)
    without = assign(streets(4, BRAESS, closed=[3]), trips((0, 1, 6)), gap=1e-12, method=method)
    assert without.flow == pytest.approx([3, 3, 3, 3], abs=1e-6)
    validity("equilibrium", f"Braess, {method}: total time without", without.total_time, 498, 1e-6, source=source)
    assert without.total_time / without.trips == pytest.approx(83, abs=1e-6)


def test_paths_of_braess(survey):
    folder = survey / "tntp_networks" / "Braess-Example"
    road = Streets.of_tntp(read_network(folder / "Braess_net.tntp"))
    found = assign(road, Demand.of_tntp(read_trips(folder / "Braess_trips.tntp")), gap=1e-12)
    paths = found.paths
    names = ["-".join(road.link_name(link).split(" → ")[1] for link in part) for part in _parts(paths)]
    assert dict(zip(names, paths.flow, strict=True)) == pytest.approx({"3-2": 2, "4-2": 2, "3-4-2": 2}, abs=1e-6)
    for part in _parts(paths):
        assert found.cost[part].sum() == pytest.approx(92, abs=1e-6)


def _parts(paths):
    return [paths.link[low:high] for low, high in zip(paths.first[:-1], paths.first[1:], strict=True)]


@pytest.mark.parametrize("method", ["paths", "links"])
@pytest.mark.parametrize("power", [0.5, 1, 2, 4, 16.83, 100])
def test_two_roads(power, method):
    """A road of constant time 2 beside one of 1 + (x/c)^P: in equilibrium x = c, whatever P, if demand exceeds c."""
    road = streets(2, [(0, 1, 2, 0, 1, 4), (0, 1, 1, 1, 30, power)])
    found = assign(road, trips((0, 1, 100)), gap=1e-10, method=method)
    assert found.flow == pytest.approx([70, 30], abs=1e-5)
    assert found.time == pytest.approx([2, 2], abs=1e-6)
    # Z = 2 · 70 + 30 + 30 / (P + 1)
    assert found.objective == pytest.approx(170 + 30 / (power + 1), rel=1e-9)


@pytest.mark.parametrize("method", ["paths", "links"])
def test_demand_far_above_capacity_of_steep_curves(method):
    """All trips on one road would be 1e5 times its capacity to the power 200: a cost beyond doubles on the way."""
    road = streets(2, [(0, 1, 1, 1, 1, 200), (0, 1, 1, 1, 2, 200), (0, 1, 1000, 0, 1, 200)])
    found = assign(road, trips((0, 1, 1e5)), gap=1e-9, method=method)
    at = 999 ** (1 / 200)  # 1 + x^200 = 1000
    assert found.flow == pytest.approx([at, 2 * at, 1e5 - 3 * at], rel=1e-6)
    assert found.objective == pytest.approx(1000 * (1e5 - 3 * at) + 3 * (at + at**201 / 201), rel=1e-9)


def test_a_toll_of_the_marginal_cost_gives_the_least_total_time():
    """Pigou's roads, 1 and x for one trip: all use x, at a cost of 1; with a toll of x dt/dx = 1/2 half of them do."""
    links = [(0, 1, 1, 0, 1, 1), (0, 1, TINY, 1 / TINY, 1, 1)]
    free = assign(streets(2, links), trips((0, 1, 1)), gap=1e-10)
    assert free.total_time == pytest.approx(1, abs=1e-6)
    tolled = assign(streets(2, links, fixed=[0, 0.5]), trips((0, 1, 1)), gap=1e-10)
    assert tolled.flow == pytest.approx([0.5, 0.5], abs=1e-6)
    assert tolled.total_time == pytest.approx(0.75, abs=1e-6)
    assert tolled.total_cost == pytest.approx(1, abs=1e-6)
    assert tolled.objective == pytest.approx(0.5 + 0.125 + 0.25, abs=1e-6)


def test_weight_of_length(public):
    """Lengths of Sioux Falls equal its free times, so a weight of 1 gives t0 (2 + B r^4) = 2 t0 (1 + B/2 r^4)."""
    net, cells, _, _ = public("SiouxFalls")
    assert np.array_equal(net.length, net.free_time)
    demand = Demand.of_tntp(cells)
    weighted = assign(Streets.of_tntp(net, length_weight=1.0), demand, gap=1e-10)
    doubled = assign(Streets.of_tntp(replace(net, free_time=2 * net.free_time, b=net.b / 2)), demand, gap=1e-10)
    assert weighted.flow == pytest.approx(doubled.flow, abs=0.1)
    assert weighted.objective == pytest.approx(doubled.objective, rel=1e-11)
    assert weighted.cost == pytest.approx(weighted.time + net.length, rel=1e-12)
    assert weighted.total_cost == pytest.approx(doubled.total_time, rel=1e-8)
    assert weighted.total_time < weighted.total_cost


def test_weight_of_toll(public):
    """A toll of twice the length at a weight of 1/2 does what a length weight of 1 does."""
    net, cells, _, _ = public("SiouxFalls")
    demand = Demand.of_tntp(cells)
    tolled = assign(Streets.of_tntp(replace(net, toll=2 * net.length), toll_weight=0.5), demand, gap=1e-9)
    weighted = assign(Streets.of_tntp(net, length_weight=1.0), demand, gap=1e-9)
    assert np.array_equal(tolled.flow, weighted.flow)
