"""Results on the map: figures by zone and cell, files that others read, and pictures."""

import json
from pathlib import Path

import geopandas
import matplotlib as mpl
import numpy as np
import pyarrow.parquet as pq
import pytest
from cities import tiny_city
from matplotlib import image
from small_scenarios import TINY
from typer.testing import CliRunner

from citytwin.environment.schema import Source
from citytwin.runners.cli import app
from citytwin.runners.reports.geo import (
    ABOUT,
    SHOWN,
    about,
    cell_layer,
    city_of,
    coarser,
    write_layer,
    write_maps,
    zone_layer,
)
from citytwin.runners.reports.maps import LEAST, draw_layer
from citytwin.runners.results import Results
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.storage.tables import StoreError
from citytwin.runners.sweep import sweep

MAPPED = """\
[output]
by_zone = true
tables = ["cells", "infections"]
[sweep]
replicates = 2
[sweep.parameters]
"epidemic.r0" = [2.0, 6.0]
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Results of 2 points and 2 seeds in a city with two hospitals and a source."""
    folder = tmp_path_factory.mktemp("mapped")
    city = tiny_city(300)
    city.info.sources.append(Source("a map", "free", "© somebody"))
    bundle = city.save(folder / "town.city")
    text = TINY.replace("synthetic = { people = 1_000, seed = 2 }", f'bundle = "{bundle}"')
    return sweep(Scenario.from_text(text + MAPPED), out=folder / "results", workers=1)


def counted(results: Results, point: int, column: np.ndarray) -> np.ndarray:
    """Count the infections of a point by a column of the people from the tree, mean over its runs."""
    rows = results.table("infections")
    rows = rows[rows["point"] == point]
    return np.bincount(column[rows["person"]], minlength=column.max() + 1) / rows["run_id"].nunique()


def test_zones_have_what_the_infections_say(results: Results) -> None:
    city = city_of(results, 1)
    layer = zone_layer(results, city, 1)
    assert layer is not None
    zone = city.places.zone[city.people.household]
    expected = counted(results, 1, zone)
    assert np.allclose(layer["infections"], expected)
    assert layer["infections"].sum() == pytest.approx(results.summary.query("point == 1")["infections"].mean())
    residents = np.bincount(zone)
    assert layer["residents"].tolist() == residents.tolist()
    assert np.allclose(layer["infections_per_100"], 100 * expected / residents)
    assert np.allclose(layer["infections_per_km2"], expected / (layer.area / 1e6))
    assert layer.crs == city.info.crs


def test_cells_have_what_the_infections_say(results: Results) -> None:
    city = city_of(results, 0)
    layer = cell_layer(results, city, 0)
    assert layer is not None
    x, y = (city.places[name][city.people.household] for name in ("x", "y"))
    assert layer["residents"].sum() == len(city.people)
    assert layer["infections"].sum() == pytest.approx(results.summary.query("point == 0")["infections"].mean())
    for row in layer.iloc[:: len(layer) // 5].itertuples():  # the residents of a square are those whose home is in it
        west, south, east, north = row.geometry.bounds
        inside = (west <= x) & (x < east) & (south <= y) & (y < north)
        assert inside.sum() == row.residents
        assert row.infections == pytest.approx(counted(results, 0, inside.astype(int))[1])
    assert (layer.area == layer["side"] ** 2).all()


def test_squares_are_joined_until_they_have_enough_residents(results: Results) -> None:
    city = city_of(results, 0)
    cells = cell_layer(results, city, 0)
    assert cells is not None
    wide = coarser(cells)
    assert wide["side"].iloc[0] > cells["side"].iloc[0]
    for name in ("residents", "infections", "deaths"):
        assert wide[name].sum() == pytest.approx(cells[name].sum())
    joined = cells.set_geometry(cells.geometry.centroid).sjoin(wide, predicate="within")
    assert joined.groupby("index_right")["residents_left"].sum().tolist() == wide["residents"].tolist()
    assert np.allclose(wide["infections_per_100"], 100 * wide["infections"] / wide["residents"])


def test_files_open_elsewhere_and_say_what_they_are(results: Results, tmp_path: Path) -> None:
    paths = write_maps(results, tmp_path / "maps", 1, SHOWN["attack"])
    assert [path.name for path in paths] == ["zones.parquet", "zones.png", "cells.parquet", "cells.png"]
    layer = geopandas.read_parquet(paths[0])
    assert layer.crs == city_of(results, 1).info.crs
    assert layer.geometry.is_valid.all()
    facts = json.loads(pq.read_schema(paths[0]).metadata[ABOUT])
    assert (facts["point"], facts["runs"], facts["days"], facts["attribution"]) == (1, 2, 25, ["© somebody"])
    assert facts["parameters"] == "r0 6"
    assert image.imread(paths[1]).shape[0] > 500
    write_maps(results, tmp_path / "maps", 0, SHOWN["deaths"])  # what citytwin wrote may be replaced
    assert json.loads(pq.read_schema(paths[0]).metadata[ABOUT])["point"] == 0


def test_files_of_others_are_left_alone(results: Results, tmp_path: Path) -> None:
    city = city_of(results, 0)
    other = tmp_path / "zones.parquet"
    zone_layer(results, city, 0).to_parquet(other)
    with pytest.raises(StoreError, match="exists and was not made by citytwin"):
        write_maps(results, tmp_path, 0, SHOWN["attack"])
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        write_layer(zone_layer(results, city, 0), tmp_path / "file" / "zones.parquet", {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "zones.parquet"]


def test_the_picture_has_unit_scale_and_attribution(results: Results) -> None:
    city = city_of(results, 1)
    layer = zone_layer(results, city, 1)
    layer.loc[0, "residents"] = LEAST - 1
    figure = draw_layer(city, layer, SHOWN["attack"], about(results, city, 1))
    words = [found.get_text() for found in figure.findobj(mpl.text.Text)]
    assert {"infections per 100 residents", "hospital", f"under {LEAST} residents"} <= set(words)
    assert "infections per 100 residents in 25 days, mean of 2 runs; point 1: r0 6" in words
    assert any("© somebody" in word and city.info.crs in word for word in words)
    assert any(word.endswith((" m", " km")) for word in words)
    colours = figure.axes[0].collections[0].get_facecolors()
    assert len(colours) == len(layer)
    darkest = int(layer["infections_per_100"][1:].argmax()) + 1
    assert colours[1:].sum(axis=1).argmin() + 1 == darkest
    assert len({tuple(colour) for colour in colours}) > 2


def test_what_was_not_kept_cannot_be_mapped(swept: Path, tmp_path: Path) -> None:
    results = Results(swept)
    with pytest.raises(StoreError, match="point 9: there are points 0 to 3"):
        write_maps(results, tmp_path, 9, SHOWN["attack"])
    assert cell_layer(results, city_of(results, 0), 0) is None
    bare = Scenario.from_text(TINY.replace("days = 25", "days = 9"))
    kept = sweep(bare, out=tmp_path / "bare", workers=1)
    with pytest.raises(StoreError, match=r"by zone or cell; write by_zone = true or tables = \[\"cells\"\]"):
        write_maps(kept, tmp_path / "maps", 0, SHOWN["attack"])
    assert not (tmp_path / "maps").exists()


def test_the_command(results: Results, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["map", str(results.directory), "--point", "1", "--out", str(tmp_path / "maps")])
    assert done.exit_code == 0
    assert done.stdout.count("Map: ") == 4
    wrong = CliRunner().invoke(app, ["map", str(results.directory), "--what", "costs"])
    assert wrong.exit_code == 2
    assert "allowed: infections, attack, deaths" in " ".join(wrong.output.replace("│", " ").split())
