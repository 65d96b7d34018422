"""Real events through the command line: a week of accidents in Barcelona, of which each comes to the centre once."""

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import geopandas
import numpy as np
import pytest
from pyproj import Transformer

from citytwin.environment.city import City
from citytwin.environment.network.of_city import network_of_city
from citytwin.environment.roads import Access
from citytwin.runners.model import CityModel
from citytwin.runners.scenarios.scenario import Scenario

if "CITYTWIN_DATA" not in os.environ:
    pytest.skip("CITYTWIN_DATA is unset; tests/DATA.md says where the sets are from", allow_module_level=True)
DATA = Path(os.environ["CITYTWIN_DATA"]) / "barcelona_city"
THINNED = 100
"""Residents of the census for one in the test."""
AGES = {"0-15": "00_15", "16-24": "16_24", "25-39": "25_39", "40-64": "40_64", "65+": "65_nn"}
SIZES = range(1, 5)
START, DAYS = np.datetime64("2019-03-04"), 7
SCENARIO = """\
name = "a week of accidents in Barcelona"
[city]
bundle = "{bundle}"
[clock]
start = {start}
days = {days}
[response]
calls = 0.0
[[response.events]]
file = "{file}"
time = ["NK_Any", "Mes_any", "Dia_mes", "Hora_dia"]
time_format = "%Y %m %d %H"
spread = "1 h"
x = "Longitud"
y = "Latitud"
crs = "EPSG:4326"
kind = "traffic accident"
case_column = "Numero_expedient"
[output]
tables = ["incidents"]
"""


@pytest.fixture(scope="module")
def barcelona(tmp_path_factory, import_path):
    """Bundle of the neighbourhoods of Barcelona with few residents, made from a census by the command line."""
    folder = tmp_path_factory.mktemp("barcelona")
    with (DATA / "population" / "barris_population_age_households.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with (folder / "census.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["key", "all", *AGES, *(f"homes of {size}" for size in SIZES)])
        for row in rows:
            ages = [round(float(row[f"Hab_{part}_Age"]) / THINNED) for part in AGES.values()]
            homes = [int(float(row[f"Dom_0{size}_Pers"])) // THINNED for size in SIZES]
            table.writerow([row["Codi_Barri"], sum(ages), *ages, *homes])
    lines = [
        f'zones = "{DATA / "geo" / "barris.geojson"}"', 'table = "census.csv"', 'zones_key = "BARRI"', 'table_key = "key"',
        'name = "NOM"', 'inhabitants = "all"', "[ages]", *(f'"{age}" = "{age}"' for age in AGES), "[households]",
        *(f'"{size}{"+" if size == SIZES[-1] else ""}" = "homes of {size}"' for size in SIZES),
    ]  # fmt: skip
    (folder / "census.toml").write_text("\n".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "citytwin", "city", "census", "census.toml", "--out", "town.city", "--json"]
    done = subprocess.run(
        command, cwd=folder, env=import_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert json.loads(done.stdout)["people"] > 1_600_000 / THINNED
    return folder / "town.city"


def test_every_accident_of_a_week_comes_once(barcelona):
    path = DATA / "incidents" / "2019_accidents.csv"
    text = SCENARIO.format(bundle=barcelona, file=path, start=START, days=DAYS)
    model = CityModel(Scenario.from_text(text), seed=1)
    outputs = model.run()
    incidents, summary = outputs["incidents"], outputs["summary"]
    city = City.load(barcelona)
    # what the file says, read by another way: a row a cause, a case once
    with path.open(encoding="utf-8") as file:
        cases = {row["Numero_expedient"].strip(): row for row in reversed(list(csv.DictReader(file)))}
    to_metres = Transformer.from_crs("EPSG:4326", city.info.crs, always_xy=True).transform
    when, where = [], []
    for row in cases.values():
        date = np.datetime64(f"{row['NK_Any']}-{int(row['Mes_any']):02}-{int(row['Dia_mes']):02}")
        if START <= date < START + DAYS:
            when.append((int((date - START).astype(int)), int(row["Hora_dia"])))
            where.append(to_metres(*(float(row[name].replace(",", ".")) for name in ("Longitud", "Latitud"))))
    assert 100 < len(when) < 400  # 10,015 in the year
    # an accident is in its neighbourhood, and on the street next to it
    points = geopandas.GeoDataFrame(geometry=geopandas.points_from_xy(*np.transpose(where)), crs=city.info.crs)
    zone = points.sjoin_nearest(city.layer("zones")[["geometry"]])["index_right"]
    zone = zone[~zone.index.duplicated()].sort_index()
    streets = network_of_city(city)
    nodes = np.flatnonzero(streets.main_part(Access.CAR | Access.BUS))
    at = np.column_stack([streets.x[nodes], streets.y[nodes]])
    node = [int(nodes[np.hypot(*(at - point).T).argmin()]) for point in where]
    expected = Counter((*moment, *place) for moment, *place in zip(when, node, zone.tolist(), strict=True))
    _, first = np.unique(incidents["incident"], return_index=True)
    called, placed, zones = (incidents[name][first] for name in ("called", "node", "zone"))
    hours = (called // 3600).astype(int)
    found = Counter(zip((hours // 24).tolist(), (hours % 24).tolist(), placed.tolist(), zones.tolist(), strict=True))
    assert found == expected
    # each asks for an ambulance, the police and the fire service; how each of these ends is counted once
    services = np.stack(
        [np.bincount(incidents["incident"][incidents["service"] == service]) for service in (9, 10, 11)]
    )
    assert (services == 1).all()
    for service in ("ambulance", "fire", "police"):
        assert summary[f"{service}_calls"][0] == expected.total()
    assert sum(column[0] for name, column in summary.items() if name.startswith("tasks_")) == 3 * expected.total()
