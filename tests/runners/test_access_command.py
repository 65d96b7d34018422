"""citytwin access: what it prints, writes and draws, and that a user's mistake costs nothing but its message."""

import json
import os
import sys
from pathlib import Path

import geopandas
import numpy as np
import pandas
import pyproj
import pytest
from cities import CRS, SIDE, SOUTH, WEST

from citytwin.environment.access import TravelTimes, opportunities_of, reach, residents_of
from citytwin.environment.city import City
from citytwin.environment.network.of_city import network_of_city
from citytwin.runners import cli

DATA = Path(os.environ.get("CITYTWIN_DATA", "")) / "porto_alegre_access"
real = pytest.mark.skipif(not DATA.is_dir(), reason="CITYTWIN_DATA names no folder with porto_alegre_access")


@pytest.fixture
def call(monkeypatch, capsys, tmp_path, town):
    """Call the command in a folder with a city; return exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    town.save(tmp_path / "town.city")

    def called(*words, city="town.city"):
        monkeypatch.setattr(sys, "argv", [str(word) for word in ("citytwin", "access", city, *words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        assert "Traceback (most" not in captured.err + captured.out
        return int(end.value.code or 0), captured.out, captured.err

    return called


def points(path, head="id,lon,lat,population,clinics", inside=True):
    """Write two points into the corners of the town, or far from it."""
    x, y = np.array([WEST, WEST + SIDE]), np.array([SOUTH, SOUTH + SIDE]) + (0.0 if inside else 90_000.0)
    lon, lat = pyproj.Transformer.from_crs(CRS, "EPSG:4326", always_xy=True).transform(x, y)
    rows = [f"p{n},{lon[n]:.7f},{lat[n]:.7f},{10 + n},{n}" for n in range(2)]
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def test_json_and_table_say_the_same(call, town, tmp_path):
    code, out, err = call("--mode", "walk,bike", "--minutes", "10,20", "--json", "--out", tmp_path / "access.parquet")
    facts = json.loads(out)
    assert code == 0
    assert "access.parquet" in err
    assert facts["people"] == len(town.people)
    assert len(facts["everybody"]) == 2 * 2 * 6
    people, offers = residents_of(town), opportunities_of(town)
    found = reach(TravelTimes(network_of_city(town)), "bicycle", people, offers, [10])
    row = next(r for r in facts["everybody"] if (r["mode"], r["minutes"], r["kind"]) == ("bicycle", 10, "schools"))
    assert row["mean"] == pytest.approx(people.people @ found[:, 0, 1] / len(town.people))
    assert row["share_any"] == pytest.approx(people.people @ (found[:, 0, 1] > 0) / len(town.people))
    table = pandas.read_parquet(tmp_path / "access.parquet")
    assert set(table["by"]) == {"all", "zone", "age", "cell"}
    assert table[(table["by"] == "all") & (table["kind"] == "jobs")]["people"].tolist() == [len(town.people)] * 4
    zones = {row["group"] for row in facts["groups"] if row["by"] == "zone"}
    assert zones == set(town.layer("zones")["name"])


def test_the_table_fits_the_terminal(call, tmp_path):
    City.synthetic(1_000, seed=2).save(tmp_path / "invented.city")
    code, out, err = call("--mode", "walk,bike,car,transit", "--minutes", "5,10,15", city="invented.city")
    assert (code, err) == (0, "")
    assert max(len(line) for line in out.splitlines()) <= 100
    assert "jobs reached, by zone" in out
    assert "Centre" in out
    assert "Public transport is invented" in out


def test_package_and_picture(call, tmp_path):
    words = ("--mode", "walk", "--minutes", "10", "--out", "a.gpkg", "--picture", "a.png", "--show", "care")
    code, _, err = call(*words)
    assert (code, err) == (0, "")
    zones, cells = (geopandas.read_file(tmp_path / "a.gpkg", layer=name) for name in ("zones", "cells"))
    assert len(zones) == 4
    assert zones["people"].sum() == cells["people"].sum()
    assert zones.crs == cells.crs == CRS
    assert {"jobs_walk_10", "schools_walk_10"} <= set(zones.columns) & set(cells.columns)
    assert (zones["people"] * zones["jobs_walk_10"]).sum() == pytest.approx(
        (cells["people"] * cells["jobs_walk_10"]).sum()
    )
    picture = (tmp_path / "a.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000
    assert call(*words)[0] == 0  # what citytwin wrote may be replaced
    (tmp_path / "a.gpkg").write_text("mine")
    code, _, err = call(*words)
    assert code == 2
    assert "not made by citytwin" in err
    assert (tmp_path / "a.gpkg").read_text() == "mine"


def test_points_take_the_place_of_residents(call, tmp_path):
    points(tmp_path / "p.csv")
    code, out, _ = call("--points", "p.csv", "--mode", "bike", "--minutes", "1,60", "--json")
    rows = {row["minutes"]: row for row in json.loads(out)["everybody"]}
    assert code == 0
    # the only clinic stands at p1, where 11 of 21 people live
    assert rows[1]["share_any"] == pytest.approx(11 / 21)
    assert rows[60]["share_any"] == 1.0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--mode", "horse"), "walk, bike, car, transit"),
        (("--minutes", "soon"), "write numbers with commas"),
        (("--minutes", "-5"), "above 0"),
        (("--from", "25:00"), "time of day"),
        (("--points", "none.csv"), "none.csv: cannot be read"),
        (("--points", "bad.csv"), "bad.csv, line 1: no column 'lon'"),
        (("--points", "far.csv"), "outside the city"),
        (("--show", "gold"), "there are jobs, schools"),
        (("--mode", "transit", "--gtfs", "none.zip"), "needs --date"),
        (("--mode", "transit", "--gtfs", "none.zip", "--date", "2019-05-14"), "none.zip: there is no such file"),
        (("--green", "none.geojson"), "none.geojson: cannot be read"),
        (("--cell", "0"), "side of the cells"),
        (("--out", "a.csv"), "must end with .parquet or .gpkg"),
    ],
)
def test_mistakes_are_named(call, tmp_path, words, said):
    points(tmp_path / "bad.csv", head="id,x,lat,population,clinics")
    points(tmp_path / "far.csv", inside=False)
    code, _, err = call(*words)
    assert code == 2
    assert said in " ".join(err.replace("│", " ").split())


@real
def test_porto_alegre(call):
    feeds = ("--gtfs", DATA / "poa_eptc.zip", "--gtfs", DATA / "poa_trensurb.zip")
    words = ("--points", DATA / "poa_hexgrid.csv", *feeds, "--mode", "walk,transit", "--minutes", "30")
    code, out, _ = call(*words, "--date", "2019-05-14", "--json", city=DATA / "poa_osm.pbf")
    facts = json.loads(out)
    assert code == 0
    assert facts["people"] == 812_935
    assert len(facts["notes"]) == 2
    assert "hardly anything runs then" in facts["notes"][0]  # the feed is an excerpt of midday
    assert "958 people are more than 1 km from any street" in facts["notes"][1]
    assert facts["near"]["sdg_11_2_1"] == pytest.approx(0.8986, abs=1e-4)
    code, _, err = call(*words, "--date", "2020-05-14", city=DATA / "poa_osm.pbf")
    assert code == 2
    assert "2019" in err  # until when the feeds are valid
    code, _, err = call("--mode", "walk", city=DATA / "poa_osm.pbf")
    assert code == 2
    assert "--points with a column population" in err
