"""SUMO's networks, signal programs, bus stops and routes."""

import gzip
import itertools

import numpy as np
import pytest
from sumo_files import CONNECTIONS, EDGES, JUNCTIONS, LOCATION, PROGRAM, connection, edge, net, program

from citytwin.environment.network.network import NetworkError
from citytwin.environment.network.sumo import read_sumo
from citytwin.environment.network.sumo_routes import read_routes, read_stops
from citytwin.environment.roads import Access, RoadRank


def link(network, name):
    return {value: key for key, value in network.names.items()}[name]


def test_streets_lanes_and_access(tmp_path):
    network = read_sumo(net(folder=tmp_path))
    a, b = link(network, "a"), link(network, "b")
    assert network.links == 4
    assert network.nodes == 4
    assert network.lanes[[a, b]].tolist() == [2, 1]  # the bus lane is no lane for cars
    everyone = Access.CAR | Access.BUS | Access.BICYCLE | Access.FOOT
    assert network.access.tolist() == [everyone] * 4
    assert network.rank.tolist() == [RoadRank.SECONDARY] * 4
    assert network.report["lanes"] == 6
    assert network.report["lanes for buses alone"] == 1


def test_coordinates_are_those_of_the_projection(tmp_path):
    network = read_sumo(net(folder=tmp_path))
    middle = network.end[link(network, "a")]
    assert network.crs == "EPSG:32632"
    assert (network.x[middle], network.y[middle]) == (683195.58, 4928877.56)


@pytest.mark.parametrize("location", ["", LOCATION.replace("+proj=utm +zone=32 +ellps=WGS84 +units=m", "!")])
def test_without_a_projection_the_coordinates_are_kept_as_they_are(tmp_path, location):
    network = read_sumo(net(location, *EDGES, PROGRAM, *JUNCTIONS, *CONNECTIONS, folder=tmp_path))
    assert network.crs == ""
    assert network.x.min() == -100


@pytest.mark.parametrize(
    ("attributes", "access"),
    [
        ('allow="bus"', Access.BUS),
        ('allow="bus bicycle taxi"', Access.BUS | Access.BICYCLE),
        ('allow="all"', Access.CAR | Access.BUS | Access.BICYCLE | Access.FOOT),
        ('disallow="passenger"', Access.BUS | Access.BICYCLE | Access.FOOT),
        ('disallow="pedestrian tram rail"', Access.CAR | Access.BUS | Access.BICYCLE),
        ('disallow="all"', Access(0)),
        ('allow="rail"', Access(0)),
    ],
)
def test_who_may_use_a_lane(tmp_path, attributes, access):
    parts = [LOCATION, edge("a", "W", "M", attributes), *JUNCTIONS]
    assert read_sumo(net(*parts, folder=tmp_path)).access.tolist() == [access]


def test_turns_without_a_connection_are_forbidden_and_so_is_turning_back(tmp_path):
    network = read_sumo(net(folder=tmp_path))
    turns = {
        (network.names[int(a)], network.names[int(b)])
        for a, b in zip(network.turns.from_link, network.turns.to_link, strict=True)
    }
    # a may turn back into d in the file, but can also go on; d ends at W, where a begins
    assert turns == {("a", "d"), ("b", "d"), ("d", "a")}
    assert np.isinf(network.turns.penalty).all()


def test_turning_back_is_allowed_where_there_is_no_other_way(tmp_path):
    parts = [LOCATION, *EDGES, PROGRAM, *JUNCTIONS, *CONNECTIONS, connection("d", "a", direction="t")]
    network = read_sumo(net(*parts, folder=tmp_path))
    pairs = set(zip(network.turns.from_link.tolist(), network.turns.to_link.tolist(), strict=True))
    assert (link(network, "d"), link(network, "a")) not in pairs


def test_green_windows_follow_the_phases(tmp_path):
    network = read_sumo(net(folder=tmp_path))
    signals = network.signals
    rows = {network.names[int(one)]: n for n, one in enumerate(signals.link)}
    assert sorted(rows) == ["a", "b"]
    a, b = rows["a"], rows["b"]
    assert set(signals.cycle) == {60.0}
    assert (signals.green_start[a], signals.green_end[a]) == (0.0, 35.0)
    assert (signals.green_start[b], signals.green_end[b]) == (40.0, 60.0)
    # both lanes of a are open for 30 s, one for 5 s; of b the one for cars
    assert signals.flow[a] * 3600 == pytest.approx(1800 * (2 * 30 + 1 * 5) / 35)
    assert signals.flow[b] * 3600 == pytest.approx(1800)
    assert network.capacity[signals.link].tolist() == signals.flow.tolist()
    assert network.capacity[link(network, "c")] * 3600 == pytest.approx(1800)


def test_several_windows_a_cycle_and_an_offset(tmp_path):
    phases = program("M", (10, "GGrr"), (20, "rrGG"), (10, "GGrr"), (5, "rrrr"), offset=-7)
    network = read_sumo(net(LOCATION, *EDGES, phases, *JUNCTIONS, *CONNECTIONS, folder=tmp_path))
    signals = network.signals
    of_a = signals.link == link(network, "a")
    assert signals.green_start[of_a].tolist() == [0.0, 30.0]
    assert signals.green_end[of_a].tolist() == [10.0, 40.0]
    assert set(signals.offset) == {-7.0}


def test_programs_of_an_additional_file_replace_those_of_the_network(tmp_path):
    other = tmp_path / "tls.add.xml"
    other.write_text(f"<additional>{program('M', (45, 'GGrr'), (45, 'rrGG'), offset=3)}</additional>")
    signals = read_sumo(net(folder=tmp_path), [other]).signals
    assert set(signals.cycle) == {90.0}
    assert set(signals.offset) == {3.0}


def test_links_that_are_always_green_have_no_signal(tmp_path):
    phases = program("M", (30, "GGrr"), (30, "GGGG"))
    network = read_sumo(net(LOCATION, *EDGES, phases, *JUNCTIONS, *CONNECTIONS, folder=tmp_path))
    assert {network.names[int(one)] for one in network.signals.link} == {"b"}


def test_packed_files_are_read(tmp_path):
    plain = net(folder=tmp_path)
    packed = tmp_path / "town.net.xml.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    one, other = read_sumo(plain), read_sumo(packed)
    assert one.names == other.names
    assert one.length.tolist() == other.length.tolist()


ROUTES = """<routes>
  <vType id="bus" vClass="bus"/>
  <vTypeDistribution id="private"><vType id="small" vClass="passenger"/><vType id="large"/></vTypeDistribution>
  <route id="through" edges="a c"/>
  <vehicle id="late" depart="90.5" type="private"><route edges="b c "/></vehicle>
  <vehicle id="early" depart="2" route="through"/>
  <vehicle id="line" depart="2" type="bus"><route edges="a c"/><stop busStop="school" duration="20"/></vehicle>
</routes>"""


def test_routes_in_order_of_departure(tmp_path):
    network = read_sumo(net(folder=tmp_path))
    path = tmp_path / "town.rou.xml"
    path.write_text(ROUTES)
    routes = read_routes([path], network)
    assert routes.ids == ["early", "line", "late"]
    assert routes.depart.tolist() == [2, 2, 90.5]
    assert routes.vehicle_class == ["passenger", "bus", "passenger"]
    names = [network.names[int(one)] for one in routes.link]
    ways = ["".join(names[a:b]) for a, b in itertools.pairwise(routes.first)]
    assert ways == ["ac", "ac", "bc"]
    assert routes.stop_first.tolist() == [0, 0, 1, 1]
    assert routes.stop == ["school"]
    assert routes.stop_seconds.tolist() == [20]


def test_bus_stops_by_link_and_metre(tmp_path):
    network = read_sumo(net(folder=tmp_path))
    path = tmp_path / "stops.add.xml"
    path.write_text('<add><busStop id="school" lane="a_1" startPos="20" endPos="-60"/></add>')
    stops = read_stops(path, network)
    assert stops.ids == ["school"]
    assert stops.link.tolist() == [link(network, "a")]
    assert (stops.start[0], stops.end[0]) == (20.0, 40.0)


# ---------------------------------------------------------------------- bad files


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([edge("a", "W", "M")], "edge 'a' names junction 'W'"),
        ([edge("a", "W", "M"), edge("a", "W", "M"), *JUNCTIONS], "edge 'a' stands there twice"),
        ([edge("a", "W", "M", length=0), *JUNCTIONS], "lane of edge 'a' must have a speed and a length above 0"),
        ([edge("a", "W", "M", speed="fast"), *JUNCTIONS], "speed='fast' of <lane> must be a number"),
        ([edge("a", "W", "M", speed="nan"), *JUNCTIONS], "must be a number"),
        (['<edge id="a" from="W" to="M"/>', *JUNCTIONS], "edge 'a' has no lane"),
        (['<edge id="a" to="M"/>'], "<edge> without 'from'"),
        ([edge("a", "W", "M"), *JUNCTIONS, connection("a", "z")], "connection names edge 'z'"),
        ([*EDGES, *JUNCTIONS, connection("a", "b")], "edges 'a' and 'b', which do not meet"),
        ([*EDGES, *JUNCTIONS, connection("a", "c", 5)], "edge 'a' has no lane 5"),
        ([*EDGES, *JUNCTIONS, connection("a", "c", 0, "X", 0)], "signal 'X' has no program"),
        ([*EDGES, *JUNCTIONS, connection("a", "c", 0, "X", -1)], "linkIndex='-1' .* whole number"),
        ([*EDGES, *JUNCTIONS, *CONNECTIONS, program("M", (30, "GGG"))], "connection 3, but a phase only has 3 states"),
        ([*EDGES, *JUNCTIONS, *CONNECTIONS, program("M", (0, "GGGG"))], "last 0 s together"),
        ([*EDGES, *JUNCTIONS, *CONNECTIONS, program("M", (-5, "GGGG"))], "must not last -5 s"),
        ([LOCATION.replace("netOffset", "offset"), *EDGES, PROGRAM, *JUNCTIONS, *CONNECTIONS], "needs netOffset"),
        (["<edge"], "not a whole XML file"),
        ([""], "holds no streets"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, parts, message):
    with pytest.raises(NetworkError, match=message):
        read_sumo(net(*parts, folder=tmp_path))


def test_files_of_another_kind_are_refused(tmp_path):
    other = tmp_path / "x.xml"
    other.write_text("<osm/>")
    with pytest.raises(NetworkError, match=r"begins with <osm>, expected <net>"):
        read_sumo(other)
    with pytest.raises(NetworkError, match="no such file"):
        read_sumo(tmp_path / "absent.net.xml")
    (tmp_path / "x.xml.gz").write_bytes(gzip.compress(b"<net>" + b" " * 5000)[:-20])
    with pytest.raises(NetworkError, match="not a whole XML file"):
        read_sumo(tmp_path / "x.xml.gz")


def test_entities_are_never_expanded(tmp_path):
    bomb = tmp_path / "bomb.net.xml"
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(12))
    bomb.write_text(f'<?xml version="1.0"?><!DOCTYPE net [{laughs}]><net><edge id="&l11;"/></net>')
    with pytest.raises(NetworkError, match="document type"):
        read_sumo(bomb)


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (
            '<vehicle id="v" depart="0"><route edges="a z"/></vehicle>',
            r"town\.rou\.xml:2: vehicle 'v' drives on edge 'z'",
        ),
        ('<vehicle id="v" depart="0"><route edges="a b"/></vehicle>', "vehicle 'v' drives from edge 'a' to 'b'"),
        ('<vehicle id="v" depart="0"><route edges=" "/></vehicle>', "vehicle 'v' has a route without edges"),
        ('<vehicle id="v" depart="0"/>', "vehicle 'v' has no route"),
        ('<vehicle id="v" depart="0" route="r"/>', "vehicle 'v' names route 'r'"),
        ('<vehicle id="v" depart="triggered"><route edges="a"/></vehicle>', "depart='triggered' .* must be a number"),
        ('<vehicle id="v" depart="0" type="tank"><route edges="a"/></vehicle>', "vehicle 'v' is of type 'tank'"),
        ('<vehicle depart="0"/>', "<vehicle> without 'id'"),
        ('<flow id="f" begin="0" end="9"/>', "<flow> is not read"),
        ('<trip id="t" depart="0" from="a" to="c"/>', "<trip> is not read"),
        (
            '<vTypeDistribution id="d"><vType id="one"/><vType id="two" vClass="bus"/></vTypeDistribution>',
            "distribution 'd' mixes classes",
        ),
    ],
)
def test_routes_that_cannot_be_driven_are_named(tmp_path, inner, message):
    path = tmp_path / "town.rou.xml"
    path.write_text(f"<routes>\n{inner}\n</routes>")
    with pytest.raises(NetworkError, match=message):
        read_routes([path], read_sumo(net(folder=tmp_path)))


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ('<busStop id="s" lane="z_0"/>', "bus stop 's' is on edge 'z'"),
        ('<busStop id="s" lane="a_0" startPos="10" endPos="900"/>', "bus stop 's' reaches from 10 to 900 m"),
    ],
)
def test_bus_stops_elsewhere_are_named(tmp_path, inner, message):
    path = tmp_path / "stops.add.xml"
    path.write_text(f"<additional>{inner}</additional>")
    with pytest.raises(NetworkError, match=message):
        read_stops(path, read_sumo(net(folder=tmp_path)))
