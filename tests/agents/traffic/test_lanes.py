"""Lanes that a design gives to bicycles and buses have their effect on a day of a town."""

import numpy as np
import pytest

from citytwin.agents.traffic.demand import Mode
from citytwin.environment.city import City
from citytwin.environment.roads import Access, RoadRank
from citytwin.runners.model import CityModel
from citytwin.runners.scenarios.scenario import Scenario

TOWN = City.synthetic(6_000, seed=1)
DRIVEN = (TOWN.links.access & Access.CAR) > 0
LARGE = np.flatnonzero(DRIVEN & (TOWN.links.rank <= RoadRank.SECONDARY)).tolist()


def day_of(change, capacity=None):
    """Return the model after a day with a change to the larger streets, on streets of a multiple of their capacity."""
    text = f"""
name = "lanes"
[city]
synthetic = {{ people = 6_000, seed = 1 }}
[clock]
start = 2026-03-02
days = 1
[traffic]
sample = 1.0
{
        ""
        if change is None
        else f'''[[design]]
name = "lanes"
changes = [{{ {change}, links = {LARGE} }}]'''
    }
[output]
tables = ["trips", "links", "trajectories", "emissions"]
"""
    model = CityModel(Scenario.from_text(text), seed=1)
    (traffic,) = model.processes
    if capacity is not None:
        traffic.network = traffic.network.with_columns(capacity=traffic.network.capacity * capacity)
    model.run()
    return traffic


@pytest.fixture(scope="module")
def before():
    return day_of(None)


def test_lanes_for_bicycles_bring_more_cyclists(before):
    after = day_of('change = "bike_lane"')
    assert after.network is after.streets and after.network.bike_lane[LARGE].all()
    old, new = before.trips, after.trips
    assert np.array_equal(old.person, new.person) and np.array_equal(old.depart, new.depart)
    gained = np.count_nonzero((new.mode == Mode.BICYCLE) & (old.mode != Mode.BICYCLE))
    lost = np.count_nonzero((new.mode != Mode.BICYCLE) & (old.mode == Mode.BICYCLE))
    # nobody turns away but for a car that somebody of the household has left at home
    assert gained > 10 * max(lost, 1)
    kept = (new.mode == Mode.BICYCLE) & (old.mode == Mode.BICYCLE)
    seconds = [t.tables()["trips"]["arrive"][kept] - t.tables()["trips"]["depart"][kept] for t in (before, after)]
    assert (seconds[1] <= seconds[0] + 1e-2).all()
    assert seconds[1].mean() < 0.97 * seconds[0].mean()


@pytest.fixture(scope="module")
def jams():
    """Return days of scarce capacity without and with bus lanes beside the general lanes."""
    return day_of(None, capacity=0.025), day_of('change = "bus_lane", takes_lane = false', capacity=0.025)


def test_buses_on_their_lanes_are_less_late(jams):
    without, with_lanes = jams
    assert without.series()["bus_delay_minutes"] > 1.0
    assert with_lanes.series()["bus_delay_minutes"] < 0.8 * without.series()["bus_delay_minutes"]


def test_what_runs_on_bus_lanes_is_told_of_the_street(jams):
    _, traffic = jams
    streets, links = traffic.streets.links, traffic.links
    assert traffic.network.links > streets == len(TOWN.links)
    tables = traffic.tables()
    for name in ("links", "trajectories", "emissions"):
        assert tables[name]["link"].min() >= 0 and tables[name]["link"].max() < streets
    table = tables["links"]
    once = table["quarter"].astype(np.int64) * streets + table["link"]
    assert len(np.unique(once)) == len(once)
    # every passage is counted once, cars and buses alike
    seen = np.bincount(tables["trajectories"]["link"], minlength=streets)
    buses = traffic.flow.vehicles[traffic.moving.run, 4].sum() / 100.0
    assert np.array_equal(links.left.sum(axis=0) - links.left_of[0].sum(axis=0), seen)
    driven = links.left_of[0].sum(axis=0) @ traffic.streets.length
    assert driven == pytest.approx(buses, rel=1e-4)
    assert links.left_of[0][:, LARGE].sum() > 100
    assert traffic.fleet.show(8.5 * 3600) == 8.5 * 3600
    assert traffic.fleet.table.columns["link"].max() < streets


def test_without_a_lane_the_network_is_that_of_the_city(before):
    assert before.network.street is None
    assert before.links.network is before.streets
