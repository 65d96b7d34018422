"""What the benchmarks of traffic measure is what they say: the same trips for all, ways that hang together."""

import importlib
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"

NET = """<NUMBER OF ZONES> 2
<NUMBER OF NODES> 3
<FIRST THRU NODE> 1
<NUMBER OF LINKS> 4
<END OF METADATA>
1 3 5400 0.5 0 0.15 4 0 0 1 ;
3 1 5400 0.5 0 0.15 4 0 0 1 ;
3 2 1800 2 3 0.15 4 0 0 1 ;
2 3 1800 2 3 0.15 4 0 0 1 ;
"""
TRIPS = """<NUMBER OF ZONES> 2
<END OF METADATA>
Origin 1
1 : 50.0; 2 : 100.5;
Origin 2
1 : 40.7;
"""


@pytest.fixture
def benchmark_module(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "SiouxFalls"
    folder.mkdir()
    (folder / "SiouxFalls_net.tntp").write_text(NET, encoding="utf-8")
    (folder / "SiouxFalls_trips.tntp").write_text(TRIPS, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_trips_within_zones_are_dropped_and_the_sum_is_kept(benchmark_module, data, seed):
    cars = benchmark_module("traffic_jobs").cars_of(data, "siouxfalls", 1.0, seed)
    assert len(cars.depart) in (141, 142)  # 141.2, rounded by luck
    assert (cars.origin != cars.destination).all()
    assert np.count_nonzero(cars.origin == 0) in (100, 101)
    assert (np.diff(cars.depart) >= 0).all()
    assert 0 <= cars.depart[0] <= cars.depart[-1] < 3600
    assert cars.network.length[0] == 100  # a connector
    assert cars.network.lanes.tolist() == [3, 3, 1, 1]


def test_every_trip_of_ours_ends_and_passes_all_its_links(benchmark_module, data):
    figures = benchmark_module("traffic_jobs").citytwin_cars(data, "siouxfalls", 1.0, 1)
    assert figures["done"] == figures["cars"]
    # from 1 to 2 by links 1 and 3, back by 4 and 2
    assert figures["moves"] == 2 * figures["cars"]
    # connectors take 5 s, links of 1,667 m and 3 min take these at 9.26 m/s
    assert 185 <= figures["seconds"] < 200


def test_ways_of_the_grid_hang_together(benchmark_module):
    growth = benchmark_module("traffic_growth")
    network, side = growth.grid(200)
    origin, pool = growth.ways(side, 50, np.random.default_rng(1))
    ways = pool.reshape(50, -1)
    assert (ways[:, -1] == -1).all()
    assert (network.start[ways[:, 0]] == origin).all()
    assert (network.end[ways[:, :-2]] == network.start[ways[:, 1:-1]]).all()


def test_growth_counts_all_passages(benchmark_module):
    figures = benchmark_module("traffic_growth").move(100, 300, 1)
    assert figures["moves"] == 300 * benchmark_module("traffic_growth").HOPS
    assert figures["named"] < figures["lines"]


def test_imbalance_is_the_most_that_a_node_lacks(benchmark_module, data):
    file_of, imbalance = benchmark_module("traffic_jobs").file_of, benchmark_module("traffic_static").imbalance
    tntp = importlib.import_module("citytwin.environment.network.tntp")
    net = tntp.read_network(file_of(data, "siouxfalls", "net"))
    trips = tntp.read_trips(file_of(data, "siouxfalls", "trips"))
    whole = np.array([100.5, 40.7, 100.5, 40.7])
    assert imbalance(net, trips, whole) == pytest.approx(0, abs=1e-12)
    assert imbalance(net, trips, whole - [0, 0, 2.5, 0]) == pytest.approx(2.5)
