"""citytwin assign: what it prints and writes, and that a user's mistake costs nothing but its message."""

import json
import sys

import pandas
import pyarrow.parquet
import pytest

from citytwin.environment.city import City
from citytwin.runners import cli

# Braess' network: 1 → 3 costs 10 f, 1 → 4 and 3 → 2 cost 50 + f, 3 → 4 costs 10 + f, 4 → 2 costs 10 f.
NETWORK = """\
<NUMBER OF ZONES> 2
<NUMBER OF NODES> 4
<FIRST THRU NODE> 1
<NUMBER OF LINKS> 5
<END OF METADATA>
~ start end capacity length time b power speed toll type
1 3 1 100 0.00000001 1000000000 1 0 0 1 ;
1 4 1 100 50 0.02 1 0 0 1 ;
3 2 1 100 50 0.02 1 0 0 1 ;
3 4 1 100 10 0.1 1 0 0 1 ;
4 2 1 100 0.00000001 1000000000 1 0 0 1 ;
"""
TRIPS = "<NUMBER OF ZONES> 2\n<TOTAL OD FLOW> 7\n<END OF METADATA>\nOrigin 1\n1 : 1.0; 2 : 6.0;\n"
FACTS = {
    "network",
    "trips_file",
    "method",
    "nodes",
    "links",
    "trips",
    "intrazonal_trips",
    "objective",
    "relative_gap",
    "average_excess_cost",
    "iterations",
    "converged",
    "total_time",
    "total_cost",
    "max_node_imbalance",
    "cpu_seconds",
}


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Call the command in a folder with a network and trips; return exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x_net.tntp").write_text(NETWORK)
    (tmp_path / "x_trips.tntp").write_text(TRIPS)

    def called(*words, network="x_net.tntp", trips="x_trips.tntp"):
        line = ["citytwin", "assign", "--network", network, "--trips", trips, *words]
        monkeypatch.setattr(sys, "argv", [str(word) for word in line])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        assert "Traceback (most" not in captured.err + captured.out
        return int(end.value.code or 0), captured.out, captured.err

    return called


@pytest.mark.parametrize("method", ["paths", "links"])
def test_json(call, method):
    code, out, err = call("--gap", "1e-9", "--json", "--method", method)
    facts = json.loads(out)
    assert (code, err) == (0, "")
    assert set(facts) == FACTS
    assert facts["total_time"] == pytest.approx(552, abs=1e-4)
    assert facts["objective"] == pytest.approx(386, abs=1e-6)
    assert facts["relative_gap"] <= 1e-9
    assert facts["max_node_imbalance"] <= 1e-9
    assert (facts["trips"], facts["intrazonal_trips"]) == (6.0, 1.0)
    assert (facts["nodes"], facts["links"], facts["method"]) == (4, 5, method)
    assert facts["converged"] is True
    assert facts["cpu_seconds"] >= 0


def test_text(call):
    code, out, err = call()
    assert (code, err) == (0, "")
    assert "x_net.tntp: 4 nodes, 5 links" in out
    assert "mean time of a trip" in out
    assert "92.0000" in out


@pytest.mark.parametrize("name", ["flows.parquet", "flows.csv"])
def test_flows_by_link(call, tmp_path, name):
    for _ in range(2):  # the second replaces the first
        code, out, _ = call("--gap", "1e-9", "--out", name)
        assert code == 0
        assert f"Flows by link: {name}" in out
    table = pandas.read_parquet(tmp_path / name) if name.endswith("parquet") else pandas.read_csv(tmp_path / name)
    assert table["link"].tolist() == [1, 2, 3, 4, 5]
    assert table["start"].tolist() == [1, 1, 3, 3, 4]
    assert table["end"].tolist() == [3, 4, 2, 4, 2]
    assert table["flow"].tolist() == pytest.approx([4, 2, 2, 2, 4], abs=1e-4)
    assert table["cost"].tolist() == pytest.approx([40, 52, 52, 12, 40], abs=1e-3)
    assert table["flow_to_capacity"].tolist() == table["flow"].tolist()
    if name.endswith("parquet"):
        origin = json.loads(pyarrow.parquet.read_schema(tmp_path / name).metadata[b"citytwin.assignment"])
        assert origin["objective"] == pytest.approx(386, abs=1e-6)


def test_json_stays_json_beside_a_file(call):
    code, out, err = call("--json", "--out", "flows.csv")
    assert code == 0
    assert json.loads(out)["converged"]
    assert "Flows by link: flows.csv" in err


def test_weights(call):
    """Each link costs 1 more: 27/13 trips take each outer path and 24/13 the bridge, all at a cost of 52 + 537/13."""
    _, out, _ = call("--length-weight", "0.01", "--gap", "1e-9", "--json")
    facts = json.loads(out)
    assert facts["total_cost"] == pytest.approx(6 * (52 + 537 / 13), rel=1e-6)
    assert facts["total_time"] == pytest.approx(facts["total_cost"] - 2 * 54 / 13 - 3 * 24 / 13, rel=1e-6)


def test_a_gap_that_is_not_reached(call):
    code, out, err = call("--iterations", "1", "--json")
    assert code == 1
    assert json.loads(out)["converged"] is False
    assert "after 1 rounds, not 1e-06" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gap", "0"], "gap is 0, must be between 0 and 1"),
        (["--method", "magic"], "method is 'magic', must be one of paths, links"),
        (["--iterations", "0"], "iterations is 0"),
        (["--out", "flows.txt"], "flows.txt: the name must end with .parquet or .csv"),
        (["--out", "no/flows.csv"], "the folder no does not exist"),
        (["--out", "x.csv"], "x.csv: exists and was not made by citytwin"),
        (["--toll-weight", "nan"], "the cost of toll and length is nan"),
        (["--length-weight", "-1"], "link 1 → 3: the cost of toll and length is -100"),
    ],
)
def test_wrong_requests(call, tmp_path, words, message):
    (tmp_path / "x.csv").write_text("mine\n")
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert (tmp_path / "x.csv").read_text() == "mine\n"


def test_wrong_files(call, tmp_path):
    (tmp_path / "bad_net.tntp").write_text(NETWORK.replace("1 4 1 100", "1 4 0 100"))
    code, out, err = call("--json", network="bad_net.tntp")
    assert (code, out) == (2, "")
    assert err == "bad_net.tntp:8: link 1 → 4: capacity is 0, must be above 0\n"
    assert call(network="none.tntp")[2].startswith("none.tntp: cannot be read")
    assert call(trips="x_net.tntp")[0] == 2
    (tmp_path / "od.csv").write_text("origin,destination,trips\n1,2,1\n1,3,2\n")
    (tmp_path / "lost_net.tntp").write_text(
        NETWORK.replace("ZONES> 2", "ZONES> 3").replace("LINKS> 5", "LINKS> 2").partition("1 4")[0]
        + "4 2 1 1 1 0 0 0 0 1;"
    )
    code, _, err = call(network="lost_net.tntp", trips="od.csv")
    assert code == 2
    assert "od.csv:2: 1 trips 1 → 2 have no path" in err


def test_a_city(call, tmp_path):
    city = City.synthetic(1_000, seed=3)
    city.save(tmp_path / "toy.city")
    ends = int(city.links.start[0]), int(city.links.end[5])
    (tmp_path / "od.csv").write_text(f"origin,destination,trips\n{ends[0]},{ends[1]},40\n")
    code, out, err = call("--json", "--out", "flows.csv", network="toy.city", trips="od.csv")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["nodes"] == len(city.nodes)
    assert facts["trips"] == 40
    table = pandas.read_csv(tmp_path / "flows.csv")
    assert facts["links"] == len(table) <= len(city.links)
    assert table["start"].tolist() == [int(city.links.start[link]) for link in table["link"]]
    left = table.loc[table["start"] == ends[0], "flow"].sum() - table.loc[table["end"] == ends[0], "flow"].sum()
    assert left == pytest.approx(40)
    code, _, err = call(network="toy.city", trips="x_trips.tntp")
    assert code == 2
    assert "come as a .csv" in err
