"""Vehicles of SUMO's route files in the traffic of a city: they keep to their routes as long as these can be driven."""

import numpy as np
import pytest
from sumo_files import JUNCTIONS, LOCATION, connection, edge, junction, net

import citytwin as ct
from citytwin.agents.traffic.matrices import DemandError
from citytwin.agents.traffic.sumo_trips import read_sumo_trips
from citytwin.agents.vehicles import VehicleKind
from citytwin.environment.city import City
from citytwin.environment.network.of_city import network_of_city
from citytwin.runners.scenarios.scenario import Scenario

# from W to E straight on (a, c), or by a long way over N (a, up, down); and round a block back to W (a, back)
STREETS = [
    edge("a", "W", "M"),
    edge("c", "M", "E", length=100),
    edge("lane", "M", "E", 'allow="bus"', length=100),
    edge("up", "M", "N", length=400),
    edge("down", "N", "E", length=400),
    edge("back", "M", "W"),
]
TURNS = [connection("a", name) for name in ("c", "lane", "up", "back")] + [connection("up", "down")]
ROUTES = """<routes>
<vType id="coach" vClass="coach"/>
<vType id="truck" vClass="truck"/>
<vehicle id="short" depart="60"><route edges="a c"/></vehicle>
<vehicle id="long" depart="60"><route edges="a up down"/></vehicle>
<vehicle id="round" depart="70"><route edges="a back"/></vehicle>
<vehicle id="bus" type="coach" depart="80"><route edges="a lane"/></vehicle>
<vehicle id="van" type="truck" depart="90"><route edges="a c"/></vehicle>
<vehicle id="wrong" depart="95"><route edges="a lane"/></vehicle>
</routes>"""
TEXT = """
name = "routes"
[city]
bundle = "town.city"
[clock]
start = 2026-03-02
days = {days}
[traffic]
residents = false
rerouting = 1.0
sumo_routes = ["types.add.xml", "town.rou.xml"]
{traffic}
[output]
tables = ["trips", "links", "trajectories"]
{more}
"""


@pytest.fixture
def folder(tmp_path):
    net(LOCATION, *STREETS, *JUNCTIONS, junction("N", 0, 300), *TURNS, folder=tmp_path)
    City.from_sumo(tmp_path / "town.net.xml").save(tmp_path / "town.city")
    (tmp_path / "town.rou.xml").write_text(ROUTES)
    (tmp_path / "types.add.xml").write_text('<additional><vType id="other" vClass="passenger"/></additional>')
    return tmp_path


def outputs_of(folder, traffic="sample = 1.0", more="", days=1):
    return ct.CityModel(Scenario.from_text(TEXT.format(traffic=traffic, more=more, days=days), folder=folder)).run()


def ways(outputs, names):
    """Names of the edges that each trip of the first day was seen on."""
    seen = outputs["trajectories"]
    first = seen["day"] == 0
    order = np.argsort(seen["entered"][first], kind="stable")
    found = {}
    for trip, link in zip(seen["trip"][first][order].tolist(), seen["link"][first][order].tolist(), strict=True):
        found.setdefault(trip, []).append(names[link])
    return [" ".join(found[trip]) for trip in sorted(found)]


@pytest.mark.parametrize("learning", [0, 2])
def test_vehicles_keep_to_their_routes_every_day(folder, learning):
    outputs = outputs_of(folder, f"sample = 1.0\nlearning = {learning}", days=2)
    names = network_of_city(City.load(folder / "town.city")).edges
    # who may not use the lane for buses takes the quickest way instead
    assert ways(outputs, names) == ["a c", "a up down", "a back", "a lane", "a c", "a c"]
    trips = outputs["trips"]
    assert trips["day"].tolist() == [0] * 6 + [1] * 6
    kinds = [VehicleKind.CAR] * 3 + [VehicleKind.BUS, VehicleKind.TRUCK, VehicleKind.CAR]
    assert trips["kind"].tolist() == kinds * 2
    assert trips["distance_m"].tolist() == pytest.approx([200, 900, 200, 200, 200, 200] * 2)
    assert np.isfinite(trips["arrive"]).all()
    assert set(trips["person"]) == {-1}
    assert trips["origin"][2] == trips["destination"][2]


def test_a_closed_street_sends_vehicles_another_way(folder):
    closed = '[[design]]\nname = "shut"\nchanges = [{ change = "close", links = [1] }]'
    names = network_of_city(City.load(folder / "town.city")).edges
    assert ways(outputs_of(folder, more=closed), names) == [
        "a up down", "a up down", "a back", "a lane", "a up down", "a up down",
    ]  # fmt: skip


def test_a_street_closed_for_hours_does_so_in_these(folder):
    closed = '[[design]]\nname = "shut"\nchanges = [{ change = "close", links = [1], hours = "00:00-01:00" }]\n'
    late = ROUTES.replace("</routes>", '<vehicle id="late" depart="4000"><route edges="a c"/></vehicle></routes>')
    (folder / "town.rou.xml").write_text(late)
    names = network_of_city(City.load(folder / "town.city")).edges
    assert ways(outputs_of(folder, more=closed), names)[0::6] == ["a up down", "a c"]


def test_a_cut_edge_is_driven_to_its_end(folder):
    new = "changes = [{ change = 'new_street', line = [[683145.58, 4928878.56], [683145.58, 4928957.56]] }]"
    design = f'[[design]]\nname = "new"\ncrs = "EPSG:32632"\n{new}'
    outputs = outputs_of(folder, more=design)
    assert outputs["trips"]["distance_m"].tolist() == pytest.approx([200, 900, 200, 200, 200, 200])


def test_matrices_and_routes_together_pair_with_their_ways(folder):
    """Trips that leave between the vehicles of a route file do not take their routes."""
    (folder / "trips.csv").write_text("depart,origin,destination\n" + "".join(f"{t},1,2\n" for t in (61, 75, 92)))
    outputs = outputs_of(folder, 'sample = 1.0\ntrip_tables = ["trips.csv"]')
    names = network_of_city(City.load(folder / "town.city")).edges
    found = ways(outputs, names)
    own = outputs["trips"]["origin"] == 1
    assert own.sum() == 3
    assert [way for way, mine in zip(found, own, strict=True) if not mine] == [
        "a c", "a up down", "a back", "a lane", "a c", "a c",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "depart", "message"),
    [
        ("tram", "60", "vehicle 'x' is of class 'tram'; those on streets are: passenger"),
        ("passenger", "90000", "vehicle 'x' departs at 90000 s, must be from 0 to 86,400"),
        ("passenger", "-5", "vehicle 'x' departs at -5 s"),
    ],
)
def test_vehicles_that_do_not_drive_here_are_named(folder, kind, depart, message):
    (folder / "x.rou.xml").write_text(
        f'<routes><vType id="t" vClass="{kind}"/><vehicle id="x" type="t" depart="{depart}"><route edges="a c"/>'
        "</vehicle></routes>"
    )
    with pytest.raises(DemandError, match=message):
        read_sumo_trips([folder / "x.rou.xml"], network_of_city(City.load(folder / "town.city")))
