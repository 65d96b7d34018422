"""Emissions, air and noise of a sweep: they are in its results as Parquet, and on the map."""

import shutil

import geopandas
import numpy as np
import pytest

from citytwin.runners.planning.burden import air_layer, noise_layer, write_burden
from citytwin.runners.planning.reading import runs_of
from citytwin.runners.planning.traffic import emissions_of, network_of
from citytwin.runners.reports.geo import city_of
from citytwin.runners.results import Results
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.storage.tables import StoreError
from citytwin.runners.sweep import sweep

TEXT = """
name = "burden"
[city]
synthetic = {people = 1500, seed = 1}
[clock]
start = 2026-03-02
days = 2
[traffic]
noise = true
air = {cell = 200}
gates = {through = 0.1, through_trucks = 0.5}
[sweep]
replicates = 2
[sweep.parameters]
"traffic.gates.through" = [0.0, 0.3]
[output]
tables = ["links", "emissions", "air", "noise"]
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("burden") / "results"
    sweep(Scenario.from_text(TEXT), out=folder, workers=1)
    return Results(folder)


def test_tables_agree_with_the_summary(results):
    assert {"emissions", "air", "noise", "links"} <= set(results.tables)
    summary = results.summary.set_index("run_id")
    grams = results.table("emissions").groupby("run_id")["co2_g"].sum()
    np.testing.assert_allclose(grams[summary.index] / 1e6, summary["co2_t"], rtol=1e-5)
    noise = results.table("noise")
    loud = noise[noise["lden"] > 55].groupby("run_id")["residents"].sum().reindex(summary.index, fill_value=0)
    np.testing.assert_allclose(loud / (1500 * 2), summary["noise_above_55"])
    assert (results.compare().query("measure == 'co2_t' and point == 1")["low"] > 0).all()


def test_streets_on_the_map_emit_what_the_run_counted(results):
    for seed, run in runs_of(results, 1).items():
        network = network_of(results, 1)
        found = emissions_of(results, run, network)["nox"].sum()
        kept = results.table("emissions")
        assert found == pytest.approx(kept["nox_g"][kept["run_id"] == run].sum() / 2, rel=1e-5), seed


def test_air_is_the_mean_of_runs_and_days(results):
    kept = results.table("air")
    layer = air_layer(results, city_of(results, 1), 1)
    mean = kept["nox"][kept["point"] == 1].mean()
    assert layer["nox"].mean() == pytest.approx(mean, rel=1e-5) and mean > 0
    assert layer.area.to_numpy() == pytest.approx(200.0**2)
    assert layer["residents"].sum() == 1500


def test_levels_are_averaged_as_energy(results):
    kept = results.table("noise")
    kept = kept[kept["point"] == 0]
    layer = noise_layer(results, city_of(results, 0), 0)
    building = int(layer["building"].iloc[0])
    levels = kept["lden"][kept["building"] == building].to_numpy(float)
    assert len(levels) == 4
    assert layer["lden"].iloc[0] == pytest.approx(10 * np.log10(np.mean(10 ** (levels / 10))))
    assert layer["residents"].sum() == 1500


@pytest.mark.parametrize("name", ["air", "noise"])
def test_files_open_elsewhere(results, tmp_path, name):
    files = write_burden(results, tmp_path, 1, name)
    layer = files[0]
    assert [file.name for file in files] == {"air": ["air.parquet", "air.png"], "noise": ["noise.parquet"]}[name]
    read = geopandas.read_parquet(layer)
    assert read.crs == city_of(results, 1).info.crs and len(read) > 50


def test_a_table_that_was_not_kept_is_named(results, tmp_path):
    folder = shutil.copytree(results.directory, tmp_path / "results")
    shutil.rmtree(folder / "noise")
    without = Results(folder)
    with pytest.raises(StoreError, match="no table 'noise' was kept"):
        write_burden(without, tmp_path, 0, "noise")
