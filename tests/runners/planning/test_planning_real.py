"""Planning on results of the traffic itself: a superblock, with no epidemic about."""

import json
from pathlib import Path

import geopandas
import pytest
import shapely
from typer.testing import CliRunner

from citytwin.environment.city import City
from citytwin.runners.cli import app

SCENARIO = """\
name = "a superblock"
seed = 3
[city]
bundle = "town.city"
[clock]
days = 1
[traffic]
transit = "none"
[[design]]
name = "Old Town"
file = "block.geojson"
[output]
tables = ["trips", "links"]
[sweep]
[sweep.parameters]
"design.Old Town.built" = [false, true]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scenario and its results."""
    folder = tmp_path_factory.mktemp("superblock")
    city = City.load(City.synthetic(3_000, seed=4).save(folder / "town.city"))
    west, south, east, north = city.info.bounds
    area = shapely.Point((west + east) / 2, (south + north) / 2).buffer(300, cap_style="square")
    block = geopandas.GeoDataFrame({"change": ["superblock"]}, geometry=[area], crs=city.info.crs)
    block.to_file(folder / "block.geojson")
    (folder / "s.toml").write_text(SCENARIO)
    done = CliRunner().invoke(
        app, ["sweep", str(folder / "s.toml"), "--out", str(folder / "results"), "--workers", "1"]
    )
    assert done.exit_code == 0, done.output
    assert "picture" not in done.output.lower()
    return folder


def test_a_superblock_is_compared_without_being_asked_for(folder: Path) -> None:
    done = CliRunner().invoke(app, ["compare", str(folder / "results"), "--json"])
    assert done.exit_code == 0, done.output
    point = json.loads(done.stdout)[1]
    figures = {(row["place"], row["figure"]): row for row in point["traffic"]}
    through, inside = figures["Old Town", "through"], figures["Old Town", "inside_vehicle_km"]
    assert through["after"] < 0.5 * through["before"]
    assert inside["after"] < inside["before"]
    km = figures["city", "vehicle_km"]
    listed = point["measures"]["vehicle_km"]  # the same of the trips: every vehicle arrives, so both say the same
    assert "not_arrived" not in point["measures"]  # which is shown where some do not arrive
    assert km["after"] == pytest.approx(listed["mean"], rel=1e-3)
    assert {row["by"] for row in point["travel"]} == {"all", "mode", "age", "income", "cars", "zone"}


def test_the_report_shows_streets_and_who_gains(folder: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(folder / "results"), "--out", str(folder / "r.html")])
    assert done.exit_code == 0, done.output
    page = (folder / "r.html").read_text()
    assert page.count("<img") == 2
    for text in ("Old Town", "by cars of the household", "vehicle-km", "Change of the vehicles a day"):
        assert text in page
    assert "Infectious people" not in page


def test_results_may_be_moved_with_their_cities(folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    (folder / "results").rename(moved)
    try:
        done = CliRunner().invoke(
            app, ["map", str(moved), "--point", "1", "--what", "nox", "--out", str(tmp_path / "m")]
        )
    finally:
        moved.rename(folder / "results")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("Map: ") == 4
    layer = geopandas.read_parquet(tmp_path / "m" / "streets.parquet")
    closed = layer[(layer["vehicles_per_day"] == 0) & (layer["vehicles_per_day_change"] < 0)]
    assert len(closed)  # streets where nobody drives any more are on the map
