"""Real places: Kampen from its map to ranked plans, and how the fire stations of London cover the ground around them."""

import json
import os
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
from pyproj import Transformer
from scipy.spatial import cKDTree

from citytwin.agents.response.scenes import DETOUR
from citytwin.agents.response.siting.evaluate import evaluate
from citytwin.environment.city import City
from citytwin.runners import cli
from citytwin.runners.siting.sites import read_sites, within

DATA = Path(os.environ.get("CITYTWIN_DATA", ""))
KAMPEN = DATA / "kampen_flood_city" / "kampen.osm.pbf"
LONDON = DATA / "london_fire_stations" / "lfb-stations-jun2021.csv"
BOX = (-0.5103, 51.2868, 0.3340, 51.6919)
"""Greater London: west, south, east, north in degrees."""
SPEED = 25 / 3.6
"""m/s along streets (assumed)."""


@pytest.mark.skipif(not KAMPEN.is_file(), reason="CITYTWIN_DATA names no folder with kampen_flood_city")
def test_kampen(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    City.from_osm(KAMPEN).save(tmp_path / "kampen.city")

    def site(*words):
        monkeypatch.setattr(sys, "argv", ["citytwin", "site", "kampen.city", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert not end.value.code
        return capsys.readouterr().out

    words = ("--units", "2,3", "--method", "coverage,median", "--replicates", "2", "--days", "7")
    facts = json.loads(site(*words, "--json", "--out", "plans"))
    assert facts["people"] == 54_319
    assert 13 < facts["calls_per_day"] < 17  # 95 calls per 1,000 and year
    assert {plan["calls"]["mean"] for plan in facts["plans"]} == {facts["plans"][0]["calls"]["mean"]}
    today = next(plan for plan in facts["plans"] if plan["methods"][0] == "as today" and plan["units"] == 2)
    covering = [plan for plan in facts["plans"] if "coverage" in plan["methods"]]
    assert all(plan["covered"] > today["covered"] for plan in covering)  # two stations see more than one
    assert covering[-1]["covered"] >= covering[0]["covered"]
    cover = geopandas.read_parquet(tmp_path / "plans" / "cover.parquet")
    assert cover.crs == City.load(tmp_path / "kampen.city").info.crs
    assert (tmp_path / "plans" / "map.png").stat().st_size > 50_000


@pytest.mark.skipif(not LONDON.is_file(), reason="CITYTWIN_DATA names no folder with london_fire_stations")
def test_fire_stations_of_london():
    """Cover of ground, not of people: cells of a kilometre in the box, straight ways lengthened by a detour factor."""
    change = Transformer.from_crs("EPSG:4326", "EPSG:27700", always_xy=True)
    west, south, east, north = change.transform_bounds(*BOX)
    stations = read_sites(LONDON, "EPSG:27700")
    assert len(stations.name) == 301
    inside, notes = within(stations, (west, south, east, north), LONDON.name)
    assert len(inside.name) + int(notes[0].split(": ")[1].split()[0]) == 301
    assert "of 301 points lie outside the city" in notes[0]
    assert {"Soho", "Brixton", "Acton"} <= set(inside.name)
    assert not {"Woking", "Walton"} & {name for name, x in zip(inside.name, inside.x, strict=True) if x < west}
    x, y = np.meshgrid(np.arange(west + 500, east, 1_000), np.arange(south + 500, north, 1_000))
    ground = np.column_stack([x.ravel(), y.ravel()])

    def figures(points):
        metres = np.hypot(ground[:, :1] - points.x, ground[:, 1:] - points.y)
        return evaluate(np.ones(len(ground)), DETOUR * metres / SPEED, np.ones(len(points.x), int), 360.0)

    clipped, whole = figures(inside), figures(stations)
    away = cKDTree(np.column_stack([inside.x, inside.y])).query(ground)[0]
    assert clipped.covered == pytest.approx((away * DETOUR / SPEED <= 360).mean())
    assert whole.covered > clipped.covered  # neighbours reach over the border
    # stations spread evenly by chance: half the root of the area of each, Kolesar & Blum 1973; the best lattice of
    # hexagons 0.377 of it. Real ones lie in between where they are dense: within 10 km of Charing Cross.
    centre = np.hypot(*(ground - change.transform(-0.1277, 51.5073)).T) <= 10_000
    near = np.hypot(inside.x - ground[centre, 0].mean(), inside.y - ground[centre, 1].mean()) <= 10_000
    side = np.sqrt(centre.sum() * 1e6 / near.sum())
    assert 0.377 * side < away[centre].mean() < 0.5 * side
