"""Demand that files give to a scenario: what is wrong with it is said, and who cannot get there is counted."""

import geopandas
import numpy as np
import pytest
import shapely
from cities import CRS, SIDE, SOUTH, WEST, tiny_city
from pydantic import ValidationError

from citytwin.agents.traffic.demand import Mode
from citytwin.agents.traffic.matrices import DemandError
from citytwin.agents.traffic.settings import TrafficSettings
from citytwin.environment.city import City
from citytwin.environment.roads import Access
from citytwin.runners.model import CityModel
from citytwin.runners.scenarios.scenario import Scenario

TEXT = """
name = "given"
[city]
bundle = "tiny.city"
[clock]
days = 1
[traffic]
residents = false
transit = "none"
{traffic}
[output]
tables = ["trips"]
"""
MATRIX = 'matrices = [{ file = "od.csv", zones = "zones.gpkg" }]'


@pytest.fixture
def folder(tmp_path):
    tiny_city().save(tmp_path / "tiny.city")
    (tmp_path / "od.csv").write_text("origin,destination,trips\nA,B,3\nB,A,2.5\n")
    return tmp_path


def outputs_of(folder, traffic):
    return CityModel(Scenario.from_text(TEXT.format(traffic=traffic), folder=folder)).run()


def zones(folder, crs=CRS, **shapes):
    frame = geopandas.GeoDataFrame({"name": list(shapes)}, geometry=list(shapes.values()), crs=crs)
    frame.to_file(folder / "zones.gpkg")


def corner(east, north):
    return shapely.Point(WEST + east, SOUTH + north)


def test_trips_between_zones_of_a_file(folder):
    zones(folder, A=corner(0, 0), B=corner(SIDE, SIDE))
    summary = outputs_of(folder, MATRIX)["summary"]
    assert summary["trips"][0] in (5, 6)
    assert summary["not_arrived"][0] == 0


def test_zones_outside_the_city_are_named(folder):
    zones(folder, A=corner(0, 0), B=corner(SIDE + 5_000, SIDE))
    with pytest.raises(DemandError, match=r"zone 'B' at .* lies 5,000 m off the nearest street"):
        outputs_of(folder, MATRIX)


def test_cells_to_zones_that_the_file_lacks_are_named(folder):
    zones(folder, A=corner(0, 0))
    with pytest.raises(DemandError, match=r"od.csv: 1 zones have trips but no nodes in the network: 'B'"):
        outputs_of(folder, MATRIX)


def test_a_file_that_holds_no_zones(folder):
    (folder / "zones.gpkg").write_text("nonsense")
    with pytest.raises(DemandError, match=r"zones.gpkg: cannot be read as zones"):
        outputs_of(folder, MATRIX)
    (folder / "zones.csv").write_text("name,x\nA,1\n")
    with pytest.raises(DemandError, match=r"zones.csv: zones need shapes and a CRS"):
        outputs_of(folder, MATRIX.replace("gpkg", "csv"))


def test_zones_without_a_crs(folder):
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        zones(folder, crs=None, A=corner(0, 0), B=corner(SIDE, SIDE))
    with pytest.raises(DemandError, match=r"zones.gpkg: zones need shapes and a CRS"):
        outputs_of(folder, MATRIX)


def test_who_is_cut_off_is_counted(folder):
    """A street apart from all others: trips onto it have no way, and are not lost from the count."""
    city = City.load(folder / "tiny.city")
    apart = np.array([0.0, 100.0]) + WEST
    nodes = len(city.nodes)
    tables = {name: dict(getattr(city, name)) for name in city.counts() if hasattr(city, name)}
    tables["nodes"] = {
        "x": np.append(city.nodes.x, apart),
        "y": np.append(city.nodes.y, [SOUTH - 300.0] * 2),
        "signal": np.append(city.nodes.signal, np.zeros(2, np.uint8)),
    }
    tables["links"] = {name: np.append(values, values[:1]) for name, values in city.links.items()}
    tables["links"]["start"][-1], tables["links"]["end"][-1] = nodes, nodes + 1
    City(city.info, tables, city.schedules).save(folder / "tiny.city", overwrite=True)
    (folder / "trips.csv").write_text(
        f"depart,origin,destination\n7:00,0,{nodes}\n7:00,0,8\n7:00,{nodes},{nodes + 1}\n"
    )
    outputs = outputs_of(folder, 'trip_tables = ["trips.csv"]')
    assert np.isfinite(outputs["trips"]["arrive"]).tolist() == [False, True, True]
    assert outputs["summary"]["trips"].tolist() == [3]
    assert outputs["summary"]["not_arrived"].tolist() == [1]


@pytest.mark.parametrize(
    ("key", "value"),
    [("car", 1e6), ("walk_minute", -1e3), ("distance_reference_m", 0), ("fare", 1e9), ("car_euro_km", -1)],
)
def test_coefficients_that_cannot_be_meant(key, value):
    with pytest.raises(ValidationError, match=key):
        TrafficSettings(modes={key: value})


@pytest.mark.parametrize("value", [-100, 100])
def test_the_largest_coefficients_still_choose(folder, value):
    text = TEXT.format(traffic=f"modes = {{ car = {value}, walk_minute = {-abs(value)} }}")
    model = CityModel(Scenario.from_text(text.replace("residents = false", ""), folder=folder))
    summary = model.run()["summary"]
    modes = [summary[f"trips_{mode}"][0] for mode in ("car", "passenger", "transit", "bicycle", "walk")]
    assert sum(modes) == summary["trips"][0] > 0


CLOSED = 400.0
"""Half the side of the square in the middle of a town that is closed to cars, m."""


@pytest.fixture(scope="module")
def closed_to_cars():
    """A day in a town, and in the same town with its middle closed to cars."""
    town = City.synthetic(2_000)
    x, y = np.median(town.nodes.x), np.median(town.nodes.y)
    corners = [(-CLOSED, -CLOSED), (CLOSED, -CLOSED), (CLOSED, CLOSED), (-CLOSED, CLOSED)]
    ring = geopandas.GeoSeries([shapely.Polygon([(x + a, y + b) for a, b in corners])], crs=town.info.crs).to_crs(4326)
    area = [[float(a), float(b)] for a, b in ring.iloc[0].exterior.coords[:-1]]
    text = """
        name = "closed"
        [city]
        synthetic = { people = 2_000 }
        [clock]
        days = 1
        [traffic]
        [[design]]
        name = "feet first"
        built = true
    """
    text += f'changes = [{{ change = "close", area = {area} }}]\n[output]\ntables = ["trips"]\n'
    scenario = Scenario.from_text(text)
    found = []
    for built in (False, True):
        model = CityModel(scenario.with_parameters({"design.feet first.built": built}))
        model.step()
        found.append((model.processes[0], model.outputs()["trips"]))
    return found


def test_who_walks_past_closed_streets_walks_as_before(closed_to_cars):
    (before, was), (after, now) = closed_to_cars
    assert np.array_equal(before.plans.node, after.plans.node)
    on_foot = (was["mode"] == Mode.WALK) & (now["mode"] == Mode.WALK)
    assert on_foot.sum() > 1_000
    assert np.array_equal(was["free_seconds"][on_foot], now["free_seconds"][on_foot])
    assert not before.plans.walked.any()


def test_drivers_walk_to_where_cars_can_go(closed_to_cars):
    (_, was), (after, now) = closed_to_cars
    part = after.network.main_part(Access.CAR)
    driven = now["mode"] == Mode.CAR
    assert part[now["origin"][driven]].all()
    assert part[now["destination"][driven]].all()
    walked = after.plans.walked
    assert (walked[driven] > 0).sum() > 100
    assert not walked[~driven].any()
    assert now["delay_seconds"][driven].min() > -0.1  # the walk is no delay
    assert (now["arrive"] - now["depart"])[walked > 0].min() > walked[walked > 0].min()
    assert driven.sum() < (was["mode"] == Mode.CAR).sum()
