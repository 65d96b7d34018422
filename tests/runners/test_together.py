"""Processes, designs and cities together: what a scenario may name at once, run, swept and compared in small towns."""

import json
import os
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
from sweep_toys import files

from citytwin.environment.city import City
from citytwin.environment.network.of_city import network_of_city
from citytwin.environment.places import PlaceKind
from citytwin.environment.roads import RoadRank
from citytwin.runners.model import CityModel
from citytwin.runners.results import Results
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.sweep import sweep

SCHOOLS = (PlaceKind.KINDERGARTEN, PlaceKind.PRIMARY, PlaceKind.SECONDARY)
TOWN = """\
name = "town"
seed = 4
[city]
synthetic = {{ people = {people}, seed = 2 }}
[clock]
start = 2026-03-02
days = {days}
[traffic]
transit = "{transit}"
[output]
tables = ["trips", "links"]
{more}
"""


# ---------------------------------------------------------------------- an epidemic and traffic

CLOSED = (3, 4)
EPIDEMIC = """
[epidemic]
disease = "covid"
r0 = 4.0
initial_infections = 60
[[policy]]
name = "schools closed"
close = ["school"]
from = 3
until = 5
[[policy]]
name = "isolate"
isolate = { at = "onset", days = 10 }
[sweep]
design = "list"
[sweep.parameters]
"policy.schools closed.compliance" = [0.0, 1.0]
"policy.isolate.compliance" = [0.0, 1.0]
"""


@pytest.fixture(scope="module")
def epidemic(tmp_path_factory: pytest.TempPathFactory) -> Results:
    out = tmp_path_factory.mktemp("epidemic") / "out"
    sweep(Scenario.from_text(TOWN.format(people=2_000, days=9, transit="none", more=EPIDEMIC)), out=out, workers=1)
    return Results(out)


def of_day(results: Results, day: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trips of a day without and with the measures."""
    trips = results.table("trips")
    trips = trips[trips["day"] == day].reset_index(drop=True)
    return tuple(trips[trips["point"] == point].reset_index(drop=True) for point in (0, 1))


def test_days_before_anything_is_done_are_the_same(epidemic: Results) -> None:
    first, second = of_day(epidemic, 0)
    pd.testing.assert_frame_equal(*(trips.drop(columns=["run_id", "point"]) for trips in (first, second)))


def test_nobody_goes_to_a_school_that_is_closed(epidemic: Results) -> None:
    for day in range(9):
        before, after = (trips["purpose"].isin(SCHOOLS).sum() for trips in of_day(epidemic, day))
        if day in (5, 6):
            assert before == after == 0  # a weekend
        elif day in CLOSED:
            assert before > 100 and after == 0
        else:
            assert 0.8 * before < after <= before


def test_who_is_isolated_makes_no_trip_and_all_others_do(epidemic: Results) -> None:
    series = epidemic.series.pivot(index="day", columns="point", values="isolated")
    assert series[0].max() == 0
    for day in (7, 8):
        before, after = (set(trips["person"]) for trips in of_day(epidemic, day))
        assert after < before
        assert 0 < len(before - after) <= series[1][day]


# ---------------------------------------------------------------------- designs with rooms and lines


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    """A town of 3,000 in which a shop, a school, homes and a line are built, and swept."""
    folder = tmp_path_factory.mktemp("quarter")
    city = City.synthetic(3_000, seed=2)
    x, y = (float(np.median(column[: city.homes])) for column in (city.places.x, city.places.y))
    square = [[x - 300, y - 300], [x + 300, y - 300], [x + 300, y + 300], [x - 300, y + 300]]
    changes = [
        {"change": "facility", "kind": "shop", "places": 60, "point": [x + 100, y + 80]},
        {"change": "facility", "kind": "primary", "places": 120, "point": [x - 150, y + 80]},
        {"change": "density", "dwellings": 50, "area": square},
        {"change": "new_line", "name": "Q", "headway": 10, "line": [[x - 600, y], [x, y], [x + 600, y + 200]]},
    ]
    drawn = "".join(
        f"[[change]]\n{''.join(f'{key} = {json.dumps(value)}{chr(10)}' for key, value in change.items())}"
        for change in changes
    )
    (folder / "quarter.toml").write_text(f'crs = "{city.info.crs}"\n{drawn}')
    design = '[[design]]\nname = "quarter"\nfile = "quarter.toml"\n[sweep.parameters]\n'
    design += '"design.quarter.built" = [false, true]'
    (folder / "town.toml").write_text(TOWN.format(people=3_000, days=1, transit="invented", more=design))
    sweep(Scenario.load(folder / "town.toml"), out=folder / "out", workers=1)
    return folder, Results(folder / "out")


def test_people_go_to_what_is_built_and_ride_on_the_new_line(quarter) -> None:
    folder, results = quarter
    bundles = [City.load(path) for path in sorted((folder / "out" / "cities").glob("*.city"))]
    before, after = sorted(bundles, key=lambda city: len(city.places))
    trips = results.table("trips")
    without, built = (trips[trips["point"] == point] for point in (0, 1))
    new = np.arange(len(before.places), len(after.places))
    assert not without["to_place"].isin(new).any()
    went = built[built["to_place"].isin(new)]
    assert set(went["purpose"]) >= {PlaceKind.SHOP, PlaceKind.PRIMARY}
    summary = results.summary
    assert summary["trips_transit"][1] > summary["trips_transit"][0] > 0
    assert summary["not_arrived"].tolist() == [0, 0]
    # who goes nowhere new makes the trips of before
    same = [
        part.loc[~part["to_place"].isin(new) & ~part["from_place"].isin(new), "depart"] for part in (without, built)
    ]
    assert len(np.intersect1d(*same)) > 0.9 * len(without)


def test_what_is_built_is_compared_and_mapped(call, quarter) -> None:
    folder, _ = quarter
    answer = call("compare", folder / "out", "--json")
    assert answer.code == 0
    [travel] = [
        row
        for found in json.loads(answer.out)
        for row in found.get("travel", [])
        if (row["by"], row["group"]) == ("all", "everybody")
    ]
    assert travel["people"] > 2_000
    answer = call("map", folder / "out", "--point", 1, "--out", "maps")
    assert answer.code == 0
    streets = geopandas.read_parquet("maps/streets.parquet")
    assert len(streets) > 0 and streets.crs is not None


# ---------------------------------------------------------------------- designs by the hour in a sweep


def test_designs_by_the_hour_are_swept_and_resumed(call, tmp_path: Path) -> None:
    city = City.synthetic(2_000, seed=2)
    rank = network_of_city(city).rank
    main = np.flatnonzero(rank <= RoadRank.SECONDARY)[:4].tolist() or [0, 1]
    change = f'{{ change = "close", links = {main}, hours = "07:00-10:00" }}'
    more = (
        f'[[design]]\nname = "mornings"\nchanges = [{change}]\n[sweep.parameters]\n'
        '"design.mornings.built" = [false, true]'
    )
    (tmp_path / "town.toml").write_text(TOWN.format(people=2_000, days=1, transit="none", more=more))
    assert call("sweep", "town.toml", "--out", "out").code == 0
    whole = files(tmp_path / "out")
    links = Results(tmp_path / "out").table("links")
    closed = links[links["link"].isin(main) & links["quarter"].between(28, 39)].groupby("point")["entered"].sum()
    assert closed.get(0, 0) > 0
    assert closed.get(1, 0) == 0
    later = links[links["link"].isin(main) & (links["quarter"] >= 40)].groupby("point")["entered"].sum()
    assert later[1] > 0
    shard = next((tmp_path / "out" / "trips").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:100])
    assert call("sweep", "town.toml", "--out", "out", "--resume").code == 0
    shard.with_name(f"{shard.name}.damaged").unlink()
    assert files(tmp_path / "out") == whole


# ---------------------------------------------------------------------- a census

CENSUS = """\
zones = "zones.geojson"
table = "table.csv"
zones_key = "BARRI"
table_key = "Codi_Barri"
name = "NOM"
inhabitants = "Hab"
[ages]
"0-15" = "Hab_00_15_Age"
"16-24" = "Hab_16_24_Age"
"25-39" = "Hab_25_39_Age"
"40-64" = "Hab_40_64_Age"
"65+" = "Hab_65_nn_Age"
[households]
"""
NEIGHBOURHOODS = (54, 55)  # Torre Baró and Ciutat Meridiana, side by side


@pytest.mark.skipif(
    "CITYTWIN_DATA" not in os.environ, reason="CITYTWIN_DATA is unset; tests/DATA.md says where the sets are"
)
def test_traffic_between_neighbourhoods_of_barcelona(tmp_path: Path) -> None:
    source = Path(os.environ["CITYTWIN_DATA"]) / "barcelona_city"
    zones = geopandas.read_file(source / "geo" / "barris.geojson")
    zones[zones["BARRI"].astype(int).isin(NEIGHBOURHOODS)].to_file(tmp_path / "zones.geojson")
    table = pd.read_csv(source / "population" / "barris_population_age_households.csv")
    table = table[table["Codi_Barri"].isin(NEIGHBOURHOODS)]
    table.to_csv(tmp_path / "table.csv", index=False)
    sizes = "".join(f'"{size}" = "Dom_{size:02}_Pers"\n' for size in range(1, 9)) + '"9+" = "Dom_09_nn_Pers"\n'
    (tmp_path / "census.toml").write_text(CENSUS + sizes)
    text = TOWN.format(people=0, days=1, transit="invented", more="").replace(
        "synthetic = { people = 0, seed = 2 }", 'census = { file = "census.toml", name = "Two neighbourhoods" }'
    )
    model = CityModel(Scenario.from_text(text, folder=tmp_path))
    outputs = model.run()
    city, trips, summary = model.city, outputs["trips"], outputs["summary"]
    assert len(city.people) == table["Hab"].sum()
    assert 1.5 < summary["trips"][0] / len(city.people) < 4.0
    assert summary["not_arrived"][0] == 0
    zone = city.places.zone
    between = zone[trips["from_place"]] != zone[trips["to_place"]]
    assert 0.02 < between.mean() < 0.9
    assert min(summary[f"trips_{mode}"][0] for mode in ("car", "walk", "transit")) > 0
