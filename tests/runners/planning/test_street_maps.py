"""Streets on the map: figures by link, files that others read, pictures, and the day as moving pictures."""

import json
import shutil
import sqlite3
from pathlib import Path

import geopandas
import matplotlib as mpl
import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pytest
from matplotlib import image
from PIL import Image
from typer.testing import CliRunner

from citytwin.environment.network.network import Network
from citytwin.environment.roads import Access
from citytwin.runners.cli import app
from citytwin.runners.planning import animation
from citytwin.runners.planning.pictures import draw_changes, draw_streets
from citytwin.runners.planning.reading import QUARTERS, quarters
from citytwin.runners.planning.streets import (
    STREET_FIGURES,
    read_streets,
    section_layer,
    street_layer,
    write_streets,
)
from citytwin.runners.reports.geo import ABOUT, about
from citytwin.runners.storage.tables import StoreError


@pytest.fixture(scope="module")
def files(planned, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    paths = write_streets(planned.results, tmp_path_factory.mktemp("maps"), 1, 0, STREET_FIGURES["flow"])
    return {path.name: path for path in paths}


def driven(planned, point: int) -> np.ndarray:
    """Vehicles a day on each link, counted on the ways of the trips, mean of both seeds."""
    links = len(planned.city.links)
    days = [planned.days[f"p{point:04d}-r{replicate:04d}"] for replicate in range(2)]
    return np.mean([np.bincount(np.concatenate(list(day.ways.values())), minlength=links) for day in days], axis=0)


def test_links_have_what_passed_on_them(planned, files: dict[str, Path]) -> None:
    layer = geopandas.read_parquet(files["streets.parquet"])
    links = planned.city.links
    assert layer["link"].tolist() == np.flatnonzero((links.access & Access.CAR) > 0).tolist()
    after, before = driven(planned, 1)[layer["link"]], driven(planned, 0)[layer["link"]]
    assert np.allclose(layer["vehicles_per_day"], after)
    assert np.allclose(layer["vehicles_per_day_change"], after - before)
    assert layer["vehicles_per_day_change"].abs().max() > 0
    assert np.array_equal(np.isnan(layer["speed_kmh"]), after == 0)
    known = layer.dropna(subset="speed_kmh")
    assert (known["speed_kmh"] <= known["free_speed_kmh"] * (1 + 1e-6)).all()
    seconds = known["length_m"] / known["speed_kmh"] * 3.6
    assert np.allclose(seconds - known["length_m"] / known["free_speed_kmh"] * 3.6, known["delay_s"], atol=1e-4)
    grams = known["co2_kg_per_km_day"] * 1000 / known["vehicles_per_day"]
    assert grams.between(120, 350).all()  # a petrol car emits 341 g/km at 10 km/h, 178 at 50 (EMEP/EEA)
    start = planned.city.nodes.x[links.start[layer["link"]]]
    assert np.allclose(layer.geometry.apply(lambda line: line.coords[0][0]), start)


def test_sections_are_both_directions_together(planned) -> None:
    streets = read_streets(planned.results, planned.city, 1, 0)
    layer, sections = street_layer(streets), section_layer(streets)
    ends = [{tuple(end) for end in line.coords[:: len(line.coords) - 1]} for line in layer.geometry]
    assert len(sections) == len({(way, frozenset(pair)) for way, pair in zip(layer["way"], ends, strict=True)})
    assert sections["vehicles_per_day"].sum() == pytest.approx(layer["vehicles_per_day"].sum())
    network, section = streets.network, sections.iloc[[int(sections["vehicles_per_day"].argmax())]]
    pair = layer.sjoin(section[["geometry"]], predicate="covered_by")
    assert len(pair) == 2
    assert pair["way"].nunique() == 1
    weights = pair["vehicles_per_day"]
    assert section["delay_s"].iloc[0] == pytest.approx(np.average(pair["delay_s"], weights=weights))
    assert section["speed_kmh"].iloc[0] == pytest.approx(weights.sum() / (weights / pair["speed_kmh"]).sum())
    assert network.links == len(planned.city.links)


def test_the_same_point_does_not_differ_from_itself(planned) -> None:
    layer = street_layer(read_streets(planned.results, planned.city, 0, 0))
    for name in ("vehicles_per_day", "speed_kmh", "delay_s"):
        assert (layer[f"{name}_change"].fillna(0) == 0).all()
    assert "vehicles_per_day_change" not in street_layer(read_streets(planned.results, planned.city, 0))


def test_files_open_elsewhere_and_say_what_they_are(planned, files: dict[str, Path], tmp_path: Path) -> None:
    assert list(files) == ["streets.parquet", "streets.gpkg", "streets.png", "streets-change.png"]
    parquet, package = geopandas.read_parquet(files["streets.parquet"]), geopandas.read_file(files["streets.gpkg"])
    assert package.crs == parquet.crs == planned.city.info.crs
    assert set(package.columns) == set(parquet.columns)
    assert np.allclose(package["speed_kmh"], parquet["speed_kmh"], equal_nan=True)
    assert pyogrio.list_layers(files["streets.gpkg"])[:, 0].tolist() == ["streets"]
    with sqlite3.connect(files["streets.gpkg"]) as base:
        said = base.execute("select metadata from gpkg_metadata").fetchall()
    base.close()
    assert any("citytwin.map" in text for (text,) in said)
    facts = json.loads(pq.read_schema(files["streets.parquet"]).metadata[ABOUT])
    assert (facts["point"], facts["baseline"], facts["runs"]) == (1, 0, 2)
    for name in ("streets.png", "streets-change.png"):
        assert image.imread(files[name]).shape[0] > 500
    folder = tmp_path / "again"
    shutil.copytree(files["streets.png"].parent, folder)
    again = write_streets(planned.results, folder, 0, None, STREET_FIGURES["speed"])  # its own files may be replaced
    assert [path.name for path in again] == ["streets.parquet", "streets.gpkg", "streets.png"]
    parquet.to_file(folder / "other.gpkg")
    (folder / "other.gpkg").replace(folder / "streets.gpkg")
    with pytest.raises(StoreError, match=r"streets\.gpkg: exists and was not made by citytwin"):
        write_streets(planned.results, folder, 0, None, STREET_FIGURES["speed"])


def test_pictures_have_units_scale_and_signs(planned) -> None:
    streets = read_streets(planned.results, planned.city, 1, 0)
    sections = section_layer(streets)
    facts = about(planned.results, planned.city, 1) | {"runs": 2, "baseline": 0}
    for key, shown in STREET_FIGURES.items():
        plain, change = (draw(planned.city, sections, shown, facts) for draw in (draw_streets, draw_changes))
        words = [found.get_text() for found in plain.findobj(mpl.text.Text)]
        assert shown.label in words
        assert any(word.endswith((" m", " km")) for word in words)
        assert any("change against point 0, mean of 2 runs" in t.get_text() for t in change.findobj(mpl.text.Text)), key
    change = draw_changes(planned.city, sections, STREET_FIGURES["flow"], facts)
    drawn = max(change.axes[0].collections, key=lambda lines: lines.get_zorder())
    values = sections["vehicles_per_day_change"].to_numpy()
    assert len(drawn.get_segments()) == (values != 0).sum()  # the widest last
    red, _, blue, _ = drawn.get_colors().T
    order = np.argsort(np.abs(values[values != 0]), kind="stable")
    large = np.abs(values[values != 0][order]) > 0.2 * np.abs(values).max()
    assert large.sum() > 2
    assert np.array_equal((red > blue)[large], (values[values != 0][order] > 0)[large])


def test_quarters_are_those_of_the_table(planned) -> None:
    run = "p0001-r0000"
    links = planned.days[run].links
    found = quarters(planned.results, run, 0, len(planned.city.links))
    assert found["left"].sum() == links["left"].sum()
    row = int(links["left"].argmax())
    at = links["quarter"][row], links["link"][row]
    assert found["left"][at] == links["left"][row]
    assert found["speed"][at] == pytest.approx(links["speed"][row])
    assert np.isnan(found["speed"]).sum() == found["speed"].size - len(links["link"])
    with pytest.raises(StoreError, match="day 3: the links table of run p0001-r0000 has days 0 to 0"):
        quarters(planned.results, run, 3, len(planned.city.links))


def test_directions_are_joined_by_their_vehicles() -> None:
    count = 4
    network = Network(
        x=np.array([0.0, 100.0, 200.0]), y=np.zeros(3), start=np.array([0, 1, 1, 2]), end=np.array([1, 0, 2, 1]),
        length=np.full(count, 100.0), speed=np.full(count, 10.0), lanes=np.ones(count), capacity=np.ones(count),
        access=np.full(count, Access.CAR, np.uint8), rank=np.full(count, 6, np.uint8),
        way=np.zeros(count, np.int64), through=np.ones(3, bool),
    )  # fmt: skip
    left, speed = np.zeros((QUARTERS, count), np.float32), np.full((QUARTERS, count), np.nan, np.float32)
    left[32], speed[32] = [3, 1, 0, 2], [5.0, 9.0, np.nan, 10.0]
    speed[33, 0] = 0.5  # a queue from which nobody leaves
    first, relative, flow = animation.sections_by_quarter(network, {"left": left, "speed": speed})
    assert first.tolist() == [0, 2]
    assert flow[32].tolist() == [16, 8]  # vehicles an hour
    assert relative[32] == pytest.approx([(3 * 0.5 + 0.9) / 4, 1.0])
    assert relative[33, 0] == pytest.approx(0.05)
    assert np.isnan(relative[33, 1])
    assert np.isnan(relative[0]).all()


def test_the_day_moves(planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animation, "DPI", 40)
    out = tmp_path / "day.gif"
    done = CliRunner().invoke(app, ["animate", str(planned.results.directory), "--point", "1", "--out", str(out)])
    assert done.exit_code == 0, done.output
    with Image.open(out) as moving:
        assert moving.n_frames == QUARTERS
        pictures = []
        for quarter in (12, 32):
            moving.seek(quarter)
            pictures.append(np.asarray(moving.convert("RGB"), float))
    assert (np.ptp(pictures[1], axis=2) > 60).sum() > 5 * (np.ptp(pictures[0], axis=2) > 60).sum() / 4
    assert [path.name for path in tmp_path.iterdir()] == ["day.gif"]
    (tmp_path / "mine.gif").write_bytes(b"GIF89a of somebody else")
    with pytest.raises(StoreError, match="exists and was not made by citytwin"):
        animation.animate(planned.results, tmp_path / "mine.gif")
    with pytest.raises(StoreError, match=r"must end with \.gif"):
        animation.animate(planned.results, tmp_path / "day.webm")


def test_the_command_draws_streets_where_there_are_links(planned, swept: Path, tmp_path: Path) -> None:
    words = ["map", str(planned.results.directory), "--point", "1", "--out", str(tmp_path / "maps")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert done.stdout.count("Map: ") == 4
    wrong = CliRunner().invoke(app, ["map", str(swept), "--what", "flow", "--out", str(tmp_path / "none")])
    assert isinstance(wrong.exception, StoreError)
    assert 'tables = ["links"]' in str(wrong.exception)
