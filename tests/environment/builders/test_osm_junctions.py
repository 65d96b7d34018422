"""Signals and forbidden turns read from OpenStreetMap."""

import os
from pathlib import Path

import numpy as np
import pytest
from osm_town import Town

from citytwin.environment.builders.osm import read_osm
from citytwin.environment.builders.osm.junctions import REACH
from citytwin.environment.city import City
from citytwin.environment.network.of_city import network_of_city

pytest.importorskip("osmium")

DATA = os.environ.get("CITYTWIN_DATA")
SIGNAL = {"highway": "traffic_signals"}
ROAD = {"highway": "secondary"}


@pytest.fixture
def town():
    """A town with one house, to which tests add streets."""
    made = Town()
    made.box(200, 200, 10, 10, {"building": "house"})
    return made


def crossing(town, tags=None, arms="ENWS", road=None):
    """Streets of 100 m that meet at (0, 0); returns the node there and the way of each arm, drawn from the middle out."""
    middle = town.node(0, 0, tags)
    tip = {"E": (100, 0), "N": (0, 100), "W": (-100, 0), "S": (0, -100)}
    return middle, {arm: town.way([middle, town.node(*tip[arm])], ROAD | (road or {})) for arm in arms}


def signals_at(fabric):
    rows = np.flatnonzero(fabric.nodes["signal"])
    middle = fabric.nodes["x"].mean(), fabric.nodes["y"].mean()
    return [(round(fabric.nodes["x"][r] - middle[0]), round(fabric.nodes["y"][r] - middle[1])) for r in rows]


def arms_of(fabric):
    """Compass letter of each link's far end, and whether it leads to the middle, for a crossing at the middle."""
    x, y = fabric.nodes["x"] - fabric.nodes["x"].mean(), fabric.nodes["y"] - fabric.nodes["y"].mean()
    letters = []
    for start, end in zip(fabric.links["start"], fabric.links["end"], strict=True):
        far = start if np.hypot(x[start], y[start]) > 60 else end
        angle = np.degrees(np.arctan2(y[far], x[far]))
        letters.append("ENWS"[round(angle / 90) % 4])
    return letters


def forbidden(fabric):
    """Pairs such as "WN": from the arm in the west into the arm in the north."""
    letters = arms_of(fabric)
    turns = fabric.turns
    assert np.all(np.isinf(turns["penalty"]))
    for a, b in zip(turns["from_link"], turns["to_link"], strict=True):
        assert fabric.links["end"][a] == fabric.links["start"][b]
    return {letters[a] + letters[b] for a, b in zip(turns["from_link"], turns["to_link"], strict=True)}


# ---------------------------------------------------------------------- signals


def test_a_signal_on_the_junction(town, tmp_path):
    crossing(town, SIGNAL)
    fabric = read_osm(town.save(tmp_path))
    assert signals_at(fabric) == [(0, 0)]
    assert fabric.report["streets"]["junctions with signals"] == 1


@pytest.mark.parametrize(("metres", "found"), [(REACH - 2, True), (REACH + 2, False)])
def test_a_signal_on_an_approach_belongs_to_the_junction_ahead(town, tmp_path, metres, found):
    middle, _ = crossing(town, arms="NS")
    town.way([town.node(-100, 0), town.node(-metres, 0, SIGNAL), middle], ROAD | {"oneway": "yes"})
    fabric = read_osm(town.save(tmp_path))
    assert fabric.nodes["signal"].sum() == found
    assert fabric.report["streets"]["traffic signals away from junctions"] == (not found)


@pytest.mark.parametrize(("faces", "expected"), [("forward", 100), ("backward", 60), (None, 60)])
def test_the_direction_a_signal_faces_decides_between_two_junctions(town, tmp_path, faces, expected):
    """Junctions at 60 and 100 m, the signal at 78 m: nearer to the first, but it may face the second."""
    tags = SIGNAL | ({"traffic_signals:direction": faces} if faces else {})
    near, far = town.nodes((60, 0), (100, 0))
    town.way([town.node(0, 0), near, town.node(78, 0, tags), far, town.node(160, 0)], ROAD)
    for junction, x in ((near, 60), (far, 100)):
        town.way([junction, town.node(x, 90)], ROAD)
    fabric = read_osm(town.save(tmp_path))
    (row,) = np.flatnonzero(fabric.nodes["signal"])
    assert fabric.nodes["x"][row] - fabric.nodes["x"].min() == pytest.approx(expected, abs=0.5)


def test_a_signal_behind_a_one_way_street_is_not_ahead(town, tmp_path):
    middle, _ = crossing(town, arms="NS")
    town.way([middle, town.node(15, 0, SIGNAL), town.node(100, 0)], ROAD | {"oneway": "yes"})
    assert read_osm(town.save(tmp_path)).nodes["signal"].sum() == 0


@pytest.mark.parametrize("side", ["service", "footway", "track"])
def test_where_only_a_driveway_or_a_path_joins_there_is_no_junction(town, tmp_path, side):
    middle, _ = crossing(town, SIGNAL, arms="NS")
    town.way([middle, town.node(80, 5)], {"highway": side})
    fabric = read_osm(town.save(tmp_path))
    assert fabric.nodes["signal"].sum() == 0
    assert fabric.report["streets"]["traffic signals"] == 1


def test_signals_of_fire_stations_are_not_counted(town, tmp_path):
    crossing(town, SIGNAL | {"traffic_signals": "emergency"})
    fabric = read_osm(town.save(tmp_path))
    assert fabric.nodes["signal"].sum() == 0
    assert fabric.report["streets"]["traffic signals"] == 0


# ---------------------------------------------------------------------- turns


def with_restriction(town, folder, value, come="W", go="N", **tags):
    middle, ways = crossing(town)
    town.relation(
        [*((ways[arm], "from") for arm in come), (middle, "via"), *((ways[arm], "to") for arm in go)],
        {"type": "restriction", "restriction": value} | tags,
        nodes=(middle,),
    )
    return read_osm(town.save(folder))


@pytest.mark.parametrize(
    ("value", "come", "go", "expected"),
    [
        ("no_left_turn", "W", "N", {"WN"}),
        ("no_straight_on", "W", "E", {"WE"}),
        ("no_u_turn", "W", "W", {"WW"}),
        ("only_straight_on", "W", "E", {"WN", "WS", "WW"}),
        ("only_right_turn", "S", "E", {"SN", "SW", "SS"}),
        ("no_entry", "WE", "N", {"WN", "EN"}),
        ("no_exit", "W", "NS", {"WN", "WS"}),
    ],
)
def test_what_a_restriction_forbids(town, tmp_path, value, come, go, expected):
    fabric = with_restriction(town, tmp_path, value, come, go)
    assert forbidden(fabric) == expected
    assert fabric.report["streets"]["turn restrictions read"] == 1
    assert fabric.report["streets"]["turn restrictions not read"] == 0
    assert fabric.report["streets"]["forbidden turns"] == len(expected)


def test_exceptions_for_others_keep_the_rule_for_cars(town, tmp_path):
    assert forbidden(with_restriction(town, tmp_path, "no_left_turn", **{"except": "bicycle;psv"})) == {"WN"}


@pytest.mark.parametrize(
    ("value", "tags", "why"),
    [
        ("no_left_turn", {"except": "psv; motorcar"}, "not for cars"),
        ("gibberish", {}, "for some hours or vehicles alone"),
        ("no_right_turn_on_red", {}, "for some hours or vehicles alone"),
        ("", {"restriction:conditional": "no_left_turn @ (07:00-09:00)"}, "for some hours or vehicles alone"),
        ("", {"restriction:hgv": "no_left_turn"}, "for some hours or vehicles alone"),
    ],
)
def test_restrictions_that_are_not_for_all_cars_at_all_hours_are_counted(town, tmp_path, value, tags, why):
    report = with_restriction(town, tmp_path, value, **tags).report["streets"]
    assert report["forbidden turns"] == 0
    assert report["turn restrictions not read"] == report[f"turn restrictions not read: {why}"] == 1


def test_restrictions_over_a_street_or_with_lost_members_are_counted(town, tmp_path):
    middle, ways = crossing(town)
    rule = {"type": "restriction", "restriction": "no_left_turn"}
    town.relation([(ways["W"], "from"), (ways["E"], "via"), (ways["N"], "to")], rule)
    town.relation([(ways["W"], "from"), (middle, "via"), (999_999, "to")], rule, nodes=(middle,))
    town.relation([(ways["W"], "from"), (888_888, "via"), (ways["N"], "to")], rule, nodes=(888_888,))
    town.relation([(ways["W"], "from"), (ways["N"], "to")], rule)
    report = read_osm(town.save(tmp_path)).report["streets"]
    assert report["turn restrictions read"] == report["forbidden turns"] == 0
    assert report["turn restrictions not read"] == 4
    assert report["turn restrictions not read: over a street"] == 1
    assert report["turn restrictions not read: no junction named"] == 1
    assert report["turn restrictions not read: streets missing, closed to cars or not ending there"] == 2


def test_a_street_that_goes_on_beyond_the_junction_is_not_guessed_at(town, tmp_path):
    west, middle, east, north = town.nodes((-100, 0), (0, 0), (100, 0), (0, 100))
    long = town.way([west, middle, east], ROAD)
    side = town.way([middle, north], ROAD)
    town.relation(
        [(long, "from"), (middle, "via"), (side, "to")],
        {"type": "restriction", "restriction": "no_left_turn"},
        nodes=(middle,),
    )
    town.relation(
        [(long, "from"), (middle, "via"), (long, "to")],
        {"type": "restriction", "restriction": "no_u_turn"},
        nodes=(middle,),
    )
    fabric = read_osm(town.save(tmp_path))
    assert fabric.report["streets"]["turn restrictions not read"] == 1
    turns, links = fabric.turns, fabric.links
    assert len(turns["from_link"]) == 2
    assert np.array_equal(links["start"][turns["from_link"]], links["end"][turns["to_link"]])


def test_the_only_way_allowed_may_be_the_only_one_there(town, tmp_path):
    west, middle, east = town.nodes((-100, 0), (0, 0), (100, 0))
    come, go = (town.way(nodes, ROAD | {"oneway": "yes"}) for nodes in ([west, middle], [middle, east]))
    town.relation(
        [(come, "from"), (middle, "via"), (go, "to")],
        {"type": "restriction", "restriction": "only_straight_on"},
        nodes=(middle,),
    )
    report = read_osm(town.save(tmp_path)).report["streets"]
    assert (report["turn restrictions read"], report["forbidden turns"]) == (1, 0)


def test_one_turn_forbidden_twice_stands_there_once(town, tmp_path):
    middle, ways = crossing(town)
    for value in ("no_left_turn", "only_straight_on", "no_left_turn"):
        town.relation(
            [(ways["W"], "from"), (middle, "via"), (ways["E" if value == "only_straight_on" else "N"], "to")],
            {"type": "restriction", "restriction": value},
            nodes=(middle,),
        )
    fabric = read_osm(town.save(tmp_path))
    assert len(fabric.turns["from_link"]) == 3
    assert forbidden(fabric) == {"WN", "WS", "WW"}


def test_signals_and_turns_reach_the_network_of_the_city(town, tmp_path):
    middle, ways = crossing(town, SIGNAL)
    town.relation(
        [(ways["W"], "from"), (middle, "via"), (ways["N"], "to")],
        {"type": "restriction", "restriction": "no_left_turn"},
        nodes=(middle,),
    )
    city = City.from_osm(town.save(tmp_path), people=3)
    again = City.load(city.save(tmp_path / "town.city"))
    network = network_of_city(again)
    assert network.turns is not None
    assert network.signals is not None
    assert len(network.turns.from_link) == 1
    assert np.isinf(network.turns.penalty).all()
    junction = int(network.end[network.turns.from_link[0]])
    assert set(network.end[network.signals.link]) == {junction}
    assert len(network.signals.link) == 4


# ---------------------------------------------------------------------- real towns


@pytest.mark.skipif(DATA is None, reason="CITYTWIN_DATA is unset; tests/DATA.md says where the sets are from")
@pytest.mark.parametrize(
    ("file", "tagged", "restrictions", "over_streets"),
    [
        # nodes highway=traffic_signals but for those of fire stations and flashing ones; relations of the file
        ("kampen_flood_city/kampen.osm.pbf", 48, 59, 4),
        ("heidelberg_mobility/heidelberg_roads.osm.pbf", 532, 476, 0),
    ],
)
def test_signals_and_restrictions_of_real_towns(file, tagged, restrictions, over_streets):
    from citytwin.environment.builders.osm.read import read_data
    from citytwin.environment.builders.osm.roads import build_network

    network = build_network(read_data(Path(DATA) / file))
    report = network.report
    assert report["traffic signals"] == tagged
    assert report["turn restrictions read"] + report["turn restrictions not read"] == restrictions
    assert report.get("turn restrictions not read: over a street", 0) == over_streets
    assert report["turn restrictions read"] > 0.9 * restrictions
    # several poles a junction, some of them at crossings for people on foot
    assert 0.25 * tagged < report["junctions with signals"] < tagged
    pairs = network.links["end"][network.turns["from_link"]], network.links["start"][network.turns["to_link"]]
    assert np.array_equal(*pairs)
