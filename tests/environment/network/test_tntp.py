"""Reading TNTP files: what is in them, and what is said of those that are wrong."""

import os
from pathlib import Path

import numpy as np
import pytest

from citytwin.environment.network import tntp
from citytwin.environment.network.network import NetworkError
from citytwin.environment.network.tntp import read_network, read_trips

NETWORK = """\
<NUMBER OF ZONES> 2
<NUMBER OF NODES> 4
<FIRST THRU NODE> 3
<NUMBER OF LINKS> 3
<ORIGINAL HEADER>~ init term capacity length time b power speed toll type ;
<END OF METADATA>

~ \tinit\tterm\tcapacity\tlength\ttime\tb\tpower\tspeed\ttoll\ttype\t;
\t1\t3\t9000\t5280\t1.5\t0.15\t4\t4842\t7\t1\t;
\t3\t4\t1800\t2640\t0\t0\t0\t0\t0\t9\t;
4 2 1E3 1.5e2 2 .15 4.734 0 0 1;
"""
TRIPS = """\
<NUMBER OF ZONES> 2
<TOTAL OD FLOW> 13.5
<END OF METADATA>


Origin \t1
    1 :      1.0;     2 :     12.5;
origin 2
  1 : 0.0 ;
"""


@pytest.fixture
def file(tmp_path):
    """Write a text into a file and return its path."""

    def write(text, name="x_net.tntp"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_network(file):
    net = read_network(file(NETWORK))
    assert (net.zones, net.nodes, net.links) == (2, 4, 3)
    assert net.through.tolist() == [False, False, True, True]
    assert net.start.tolist() == [0, 2, 3]
    assert net.end.tolist() == [2, 3, 1]
    assert net.capacity.tolist() == [9000, 1800, 1000]
    assert net.length.tolist() == [5280, 2640, 150]
    assert net.free_time.tolist() == [1.5, 0, 2]
    assert net.b.tolist() == [0.15, 0, 0.15]
    assert net.power.tolist() == [4, 0, 4.734]
    assert net.speed.tolist() == [4842, 0, 0]
    assert net.toll.tolist() == [7, 0, 0]
    assert net.kind.tolist() == [1, 9, 1]
    assert net.line.tolist() == [9, 10, 11]


def test_trips(file):
    trips = read_trips(file(TRIPS), 2)
    assert trips.origin.tolist() == [0, 0]
    assert trips.destination.tolist() == [0, 1]
    assert trips.trips.tolist() == [1.0, 12.5]
    assert trips.line.tolist() == [7, 7]
    assert trips.stated == 13.5


def test_trips_without_a_total(file):
    text = TRIPS.replace("<TOTAL OD FLOW> 13.5\n", "")
    assert read_trips(file(text)).stated is None


def test_a_file_without_trips(file):
    trips = read_trips(file("<NUMBER OF ZONES> 2\n<END OF METADATA>\n"))
    assert len(trips.trips) == len(trips.origin) == 0


def test_network_for_vehicles_that_move(file):
    net = read_network(file(NETWORK)).network(metre=0.3048)
    assert net.length == pytest.approx([5280 * 0.3048, 100, 150 * 0.3048])  # the second takes no time: a connector
    assert net.speed == pytest.approx([5280 * 0.3048 / 90, 20, 5])  # the third would be driven at 0.4 m/s
    assert net.capacity == pytest.approx([2.5, 0.5, 1000 / 3600])
    assert net.lanes.tolist() == [5, 1, 1]
    assert net.through.tolist() == [False, False, True, True]
    assert net.toll.tolist() == [7, 0, 0]
    assert net.report["connectors without a time"] == 1
    assert net.report["speeds moved into 5 to 35 m/s"] == 1
    assert net.report["links lengthened to 30 m"] == 0


def replaced(text, old, new):
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("<NUMBER OF ZONES> 2\n", "", None, "the metadata lacks <NUMBER OF ZONES>"),
        ("<NUMBER OF NODES> 4\n", "", None, "the metadata lacks <NUMBER OF NODES>"),
        ("<NUMBER OF LINKS> 3\n", "", None, "the metadata lacks <NUMBER OF LINKS>"),
        ("<FIRST THRU NODE> 3\n", "", None, "the metadata lacks <FIRST THRU NODE>; write 1 if"),
        ("<END OF METADATA>\n", "", 8, "stands where metadata is expected"),
        ("ZONES> 2", "ZONES> two", 1, "<NUMBER OF ZONES> is 'two', must be a whole number"),
        ("ZONES> 2", "ZONES> 0", 1, "<NUMBER OF ZONES> is '0'"),
        ("ZONES> 2", "ZONES> 1.5", 1, "<NUMBER OF ZONES> is '1.5'"),
        ("ZONES> 2", "ZONES> nan", 1, "<NUMBER OF ZONES> is 'nan'"),
        ("ZONES> 2", "ZONES> 1e99", 1, "<NUMBER OF ZONES> is '1e99'"),
        ("ZONES> 2", "ZONES> 5", 1, "more than the 4 nodes"),
        ("THRU NODE> 3", "THRU NODE> 6", 3, "<FIRST THRU NODE> is 6, must be 1 … 5"),
        ("LINKS> 3", "LINKS> 4", 4, "<NUMBER OF LINKS> is 4, but the file has 3 links"),
        ("LINKS> 3", "LINKS> 2", 4, "<NUMBER OF LINKS> is 2, but the file has 3 links"),
        ("\t3\t4\t1800", "\t3\t5\t1800", 10, "link 3 → 5: end is node 5, the network has nodes 1 … 4"),
        ("\t3\t4\t1800", "\t0\t4\t1800", 10, "link 0 → 4: start is node 0"),
        ("\t3\t4\t1800", "\t3\t4.5\t1800", 10, "link 3 → 4.5: end is node 4.5"),
        ("\t3\t4\t1800", "\t3\t4\t0", 10, "link 3 → 4: capacity is 0, must be above 0"),
        ("\t3\t4\t1800", "\t3\t4\t-1", 10, "link 3 → 4: capacity is -1, must be above 0"),
        ("\t3\t4\t1800", "\t3\t4\tmany", 10, "link 3 → 4: capacity is 'many', must be a number"),
        ("\t3\t4\t1800", "\t3\t4\tinf", 10, "link 3 → 4: capacity is 'inf', must be a number"),
        ("1800\t2640", "1800\t-5", 10, "link 3 → 4: length is -5, must not be below 0"),
        ("2640\t0\t0\t0", "2640\t-1\t0\t0", 10, "link 3 → 4: free_time is -1, must not be below 0"),
        ("2640\t0\t0\t0", "2640\t0\t-1\t0", 10, "link 3 → 4: b is -1, must not be below 0"),
        ("2640\t0\t0\t0", "2640\t0\t0\t-1", 10, "link 3 → 4: power is -1, must not be below 0"),
        ("0\t9\t;", "0\tnine\t;", 10, "link 3 → 4: kind is 'nine'"),
        ("0\t9\t;", "0\t;", 10, "a link has 9 values, must have 10: start, end, capacity"),
    ],
)
def test_wrong_networks(file, old, new, line, message):
    path = file(replaced(NETWORK, old, new))
    with pytest.raises(NetworkError) as error:
        read_network(path)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{path}:{line}: " if line else f"{path}: ")


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("<NUMBER OF ZONES> 2\n", "", None, "the metadata lacks <NUMBER OF ZONES>"),
        ("<END OF METADATA>\n", "", 5, "'Origin \t1' stands where metadata is expected"),
        ("FLOW> 13.5", "FLOW> all", 2, "<TOTAL OD FLOW> is 'all', must be a number"),
        ("FLOW> 13.5", "FLOW> 14.5", 2, "<TOTAL OD FLOW> is 14.5, but the trips add up to 13.5: is the file complete?"),
        ("Origin \t1", "Origin", 6, "origin is '', must be a zone of 1 … 2"),
        ("Origin \t1", "Origin 3", 6, "origin is '3', must be a zone of 1 … 2"),
        ("Origin \t1", "~", 7, "stands before any 'Origin' line"),
        ("2 :     12.5", "3 : 12.5", 7, "destination is '3', must be a zone of 1 … 2"),
        ("2 :     12.5", "2 12.5", 7, "'2 12.5' is not 'destination : trips'"),
        ("2 :     12.5", "2 : -12.5", 7, "trips 1 → 2: '-12.5' must be a number from 0 on"),
        ("2 :     12.5", "2 : nan", 7, "trips 1 → 2: 'nan' must be a number from 0 on"),
        ("2 :     12.5", "2 : x", 7, "trips 1 → 2: 'x' must be a number from 0 on"),
        ("2 :     12.5", "2 : 6; 2 : 6.5", 7, "trips 1 → 2 are stated again; line 7 states them too"),
    ],
)
def test_wrong_trips(file, old, new, line, message):
    path = file(replaced(TRIPS, old, new), "x_trips.tntp")
    with pytest.raises(NetworkError) as error:
        read_trips(path, 2)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{path}:{line}: " if line else f"{path}: ")


def test_trips_of_another_network(file):
    path = file(TRIPS)
    with pytest.raises(NetworkError, match="is 2, but the network has 24 zones"):
        read_trips(path, 24)


def test_problems_are_told_at_once_up_to_twenty(file):
    path = file(NETWORK.replace("LINKS> 3", "LINKS> 33") + "1 3 0 1 1 1 1 1 1 1;\n" * 30)
    with pytest.raises(NetworkError) as error:
        read_network(path)
    lines = str(error.value).splitlines()
    assert len(lines) == 21
    assert lines[19].startswith(f"{path}:31: link 1 → 3: capacity is 0")
    assert lines[20] == "… and 10 more"


@pytest.mark.parametrize("read", [read_network, read_trips])
def test_files_that_are_none(tmp_path, read, monkeypatch):
    with pytest.raises(NetworkError, match="cannot be read"):
        read(tmp_path / "none.tntp")
    with pytest.raises(NetworkError, match="cannot be read"):
        read(tmp_path)
    empty = tmp_path / "empty.tntp"
    empty.write_bytes(b"")
    with pytest.raises(NetworkError, match="has no line <END OF METADATA>; is it a TNTP file"):
        read(empty)
    empty.write_bytes(b"\xff\xfe\x00\x01PAR1" * 10)
    with pytest.raises(NetworkError, match="stands where metadata is expected"):
        read(empty)
    monkeypatch.setattr(tntp, "LARGEST_BYTES", 10)
    with pytest.raises(NetworkError, match="has 80 bytes, at most 10 are read"):
        read(empty)


@pytest.mark.skipif("CITYTWIN_DATA" not in os.environ, reason="CITYTWIN_DATA is unset; see tests/DATA.md")
@pytest.mark.parametrize(
    ("name", "zones", "nodes", "links", "trips"),
    [
        ("SiouxFalls", 24, 24, 76, 360_600.0),
        ("Anaheim", 38, 416, 914, 104_694.4),
        ("Barcelona", 110, 1_020, 2_522, 184_679.561),
    ],
)
def test_public_files(name, zones, nodes, links, trips):
    folder = Path(os.environ["CITYTWIN_DATA"]) / "tntp_networks" / name
    net = read_network(folder / f"{name}_net.tntp")
    cells = read_trips(folder / f"{name}_trips.tntp", net.zones)
    assert (net.zones, net.nodes, net.links) == (zones, nodes, links)
    assert cells.trips.sum() == pytest.approx(trips, rel=1e-12)
    assert not net.through[: net.zones].any() or name == "SiouxFalls"
    assert int((net.power == 0).sum()) == (565 if name == "Barcelona" else 0)
    assert np.all(net.line[1:] > net.line[:-1])
