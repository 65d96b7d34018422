"""One city of 200,000: an epidemic that fills its hospitals, and a district that all streets but one are closed to.

**Wave**: while patients of an epidemic lie in the beds, others board in the bays of emergency departments, ambulances wait
at the door, and calls wait for ambulances (the chain of ambulance offload delay: Cooney et al. 2013, Prehospital Emergency
Care 17). Handover and response are longer than without the epidemic, in the same city with the same calls; fire engines,
which need no hospital, come as ever.

**Closed streets**: of two runs with the same calls and enough ambulances, the one with closed streets answers later in the
district that was cut off; in districts that do not border on it almost every call is reached at the same second, the others
being those whose nearest unit was away longer.
"""

import numpy as np
import pytest
import shapely
from scipy import sparse
from scipy.sparse import csgraph

from citytwin.environment.city import City
from citytwin.environment.roads import Access
from citytwin.runners.model import CityModel
from citytwin.runners.scenarios.scenario import Scenario

PEOPLE = 200_000

CLOCK = """
name = "city"
seed = 1
[city]
synthetic = { people = 200_000, seed = 1 }
[clock]
start = 2026-03-02
days = DAYS
[output]
tables = ["incidents"]
"""
SERVICES = """
[response]
services = ["ambulance", "fire"]
[response.fleet.ambulance]
units = 8
[hospitals]
[epidemic]
disease = "covid"
r0 = 1.4
initial_infections = INFECTED
"""
MANY = """
[response]
services = ["ambulance"]
[response.fleet.ambulance]
units = 24
"""


@pytest.fixture(scope="module")
def city():
    return City.synthetic(PEOPLE, seed=1)


def outcome(city, text, days, **words):
    for name, value in words.items():
        text = text.replace(name, str(value))
    return CityModel(Scenario.from_text(CLOCK.replace("DAYS", str(days)) + text), city).run()


@pytest.mark.full
def test_a_wave_that_fills_hospitals(city, validity):
    calm, wave = (outcome(city, SERVICES, 150, INFECTED=infected) for infected in (0, 40))
    before, after = ({name: float(column[0]) for name, column in run["summary"].items()} for run in (calm, wave))
    source = "Cooney et al. 2013, direction"
    assert wave["series"]["without_bed"].max() > 0 == calm["series"]["without_bed"].max()
    ratio = after["handover_minutes"] / before["handover_minutes"]
    validity("bridge", "handover in a wave by handover without it", ratio, within=(2.0, None), source=source)
    ratio = after["ambulance_response_p90_minutes"] / before["ambulance_response_p90_minutes"]
    validity("bridge", "nine in ten ambulances there within, wave by calm", ratio, within=(1.5, None), source=source)
    lost = before["ambulance_in_time_share"] - after["ambulance_in_time_share"]
    validity("bridge", "share of ambulances in time lost to the wave", lost, within=(0.2, 1.0), source=source)
    ratio = after["fire_response_median_minutes"] / before["fire_response_median_minutes"]
    validity(
        "bridge", "median response of fire engines, wave by calm", ratio, 1.0, 0.02, source="they need no hospital"
    )


def cut_off(city):
    """Return the most populous zone without an ambulance station, and all links across its border but one street's."""
    zones, sites = city.layer("zones"), city.layer("sites")
    residents = np.bincount(np.asarray(city.places.zone)[np.asarray(city.people.household)], minlength=len(zones))
    served = np.asarray(city.sites.zone)[(sites["kind"] == "ambulance station").to_numpy()]
    zone = int(np.argmax(np.where(np.isin(np.arange(len(zones)), served), 0, residents)))
    inside = shapely.contains_xy(zones.geometry.iloc[zone], city.nodes.x, city.nodes.y)
    start, end = np.asarray(city.links.start), np.asarray(city.links.end)
    drivable = (np.asarray(city.links.access) & Access.CAR) > 0
    within = np.flatnonzero(inside[start] & inside[end] & drivable)
    graph = sparse.coo_matrix((np.ones(len(within)), (start[within], end[within])), (len(inside),) * 2)
    part = csgraph.connected_components(graph, directed=True, connection="strong")[1]
    main = np.bincount(part[inside]).argmax()  # nearly all of the zone; the rest hangs on streets of its neighbours
    across = np.flatnonzero((inside[start] != inside[end]) & drivable)
    pairs = set(zip(start[across], end[across], strict=True))
    kept = next(pair for pair in sorted(pairs) if pair[::-1] in pairs and part[pair[0]] == main)
    return zone, [int(link) for link in across if {start[link], end[link]} != set(kept)]


@pytest.mark.full
def test_a_district_that_all_streets_but_one_are_closed_to(city, validity):
    zone, links = cut_off(city)
    assert len(links) > 10
    change = f'{{ change = "close", to = "all", hours = "00:00-24:00", links = {links} }}'
    closed = f'[[design]]\nname = "closed"\nchanges = [{change}]\n'
    before, after = (outcome(city, text, 28)["incidents"] for text in (MANY, MANY + closed))
    for column in ("called", "ready", "person", "node", "turnout", "scene", "transport"):
        np.testing.assert_array_equal(before[column], after[column])
    reached = np.isfinite(before["arrived"]) & np.isfinite(after["arrived"])
    later = (after["arrived"] - before["arrived"])[reached]
    here = before["zone"][reached] == zone
    zones = city.layer("zones").geometry
    beside = np.flatnonzero(zones.distance(zones.iloc[zone]) < 50.0)  # its streets are part of their ways
    far = ~np.isin(before["zone"][reached], beside)
    assert here.sum() > 50 and far.sum() > 500
    source = "calls of both runs are the same"
    share = (later[here] > 0).mean()
    validity("bridge", "calls of a district cut off, reached later", share, within=(0.95, 1.0), source=source)
    same = (later[far] == 0).mean()
    validity("bridge", "calls of districts apart, reached the same second", same, within=(0.95, 1.0), source=source)
    response = (before["arrived"] - before["called"])[reached]
    longer = later[here].mean() / response[here].mean()
    validity("bridge", "response in a district cut off, longer by", longer, within=(0.1, None), source=source)
