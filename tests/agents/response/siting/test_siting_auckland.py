"""Ambulances of Auckland: its 14 stations, its streets with lights, its residents in cells of 500 m, 8 minutes less 50 s."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from citytwin.agents.response.siting.coverage import mexclp
from citytwin.agents.response.siting.evaluate import evaluate
from citytwin.agents.response.siting.plan import EXACT, SEARCH
from citytwin.environment.network.jemss import numbers, read_roads, read_sections

CRS = "EPSG:2193"
STATIONS, UNITS, CANDIDATES = 14, 16, 86
STANDARD = 480.0 - 50.0
BUSY = 0.3


@pytest.fixture(scope="module")
def auckland():
    """Residents (points,) and seconds (points, sites) from the stations and further candidates, drawn by residents."""
    if "CITYTWIN_DATA" not in os.environ:
        pytest.skip("CITYTWIN_DATA is unset; tests/DATA.md says what it holds")
    import rasterio
    from pyproj import Transformer

    folder = Path(os.environ["CITYTWIN_DATA"]) / "auckland_ems"
    roads = read_roads(folder / "roads" / "nodes.csv.gz", folder / "roads" / "arcs.csv.gz", CRS)
    network = roads.network
    to_metres = Transformer.from_crs("EPSG:4326", CRS, always_xy=True).transform
    table = folder / "stations" / "1" / "stations_1.csv"
    sections = read_sections(table)
    stations = to_metres(numbers(sections, "stations", "x", table), numbers(sections, "stations", "y", table))
    with rasterio.open(folder / "population" / "auckland_urban_pop_density_40m.tif") as raster:
        density = raster.read(1)
        row, column = np.nonzero(density > 0)
        x, y = to_metres(*(np.array(axis) for axis in raster.xy(row, column)))
    _, cell = np.unique(np.stack([x // 500, y // 500], 1), axis=0, return_inverse=True)
    people = np.bincount(cell.ravel(), density[row, column])
    middle = [np.bincount(cell.ravel(), axis * density[row, column]) / people for axis in (x, y)]
    tree = cKDTree(np.stack([network.x, network.y], 1))
    points, bases = (tree.query(np.stack(axes, 1))[1] for axes in (middle, stations))
    more = np.random.default_rng(0).choice(len(points), CANDIDATES, replace=False, p=people / people.sum())
    graph = csr_array((roads.seconds[0], (network.start, network.end)), shape=(len(network.x), len(network.x)))
    return people, dijkstra(graph, indices=np.concatenate([bases, points[more]]))[:, points].T


def test_plans_for_auckland(auckland):
    people, seconds = auckland
    sites = STATIONS + CANDIDATES
    a_station = (np.arange(sites) < STATIONS).astype(int)
    today = a_station.copy()
    today[:2] += 1
    now = evaluate(people, seconds, today, STANDARD, busy=BUSY)
    assert 0.8 < now.covered < 1.0  # a town with an ambulance service
    share = {}
    for name, limits in {
        "same stations": {"most": a_station * 5},
        "stations that stay": {"least": a_station},
        "any site": {},
    }.items():
        best = mexclp(people, seconds, STANDARD, UNITS, BUSY, method=EXACT, **limits)
        found = mexclp(people, seconds, STANDARD, UNITS, BUSY, method=SEARCH, **limits)
        assert best.gap < 1e-6
        assert 0.99 * best.objective <= found.objective <= best.objective * (1 + 1e-9)
        share[name] = evaluate(people, seconds, best.units, STANDARD, busy=BUSY).expected
        assert share[name] == pytest.approx(best.objective / people.sum())
    assert now.expected < share["same stations"] < share["any site"]
    assert now.expected < share["stations that stay"] < share["any site"]
    more = [mexclp(people, seconds, STANDARD, units, BUSY, method=SEARCH).objective for units in (8, 12, 16, 20)]
    assert (np.diff(more) > 0).all()
    assert (np.diff(more, 2) < 0).all()  # each further unit adds less
