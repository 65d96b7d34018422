"""Real towns through the command line, from the map to the report; tests/DATA.md describes the data sets."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from citytwin.environment.city import City
from citytwin.runners.model import CityModel
from citytwin.runners.results import Results
from citytwin.runners.scenarios.scenario import Scenario

pytestmark = pytest.mark.skipif(
    "CITYTWIN_DATA" not in os.environ, reason="CITYTWIN_DATA is unset; tests/DATA.md says where the sets are from"
)
DATA = Path(os.environ.get("CITYTWIN_DATA", "."))
MORNING = 5
SCENARIO = f"""\
name = "a real town"
[city]
bundle = "town.city"
[clock]
days = 20
[epidemic]
disease = "covid"
r0 = 6.0
initial_infections = 50
[[policy]]
name = "schools closed"
close = ["school"]
from = {MORNING}
[[policy]]
name = "fewer contacts"
reduce = {{ work = 0.8, shop = 0.8, leisure = 0.8 }}
from = {MORNING}
[sweep]
replicates = 4
design = "list"
[sweep.parameters]
"policy.schools closed.compliance" = [0.0, 1.0, 1.0]
"policy.fewer contacts.compliance" = [0.0, 0.0, 1.0]
[output]
by_zone = true
"""


@pytest.mark.parametrize(
    ("file", "people"), [("small_osm/monaco.osm.gz", 38_000), ("small_osm/helsinki_centre.osm.pbf", 8_000)]
)
def test_three_policies_and_four_seeds(tmp_path: Path, import_path, file: str, people: int) -> None:
    def citytwin(*words: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "citytwin", *map(str, words)],
            cwd=tmp_path,
            env=import_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

    (tmp_path / "s.toml").write_text(SCENARIO)
    made = json.loads(citytwin("city", "osm", DATA / file, "--people", people, "--out", "town.city", "--json"))
    assert made["people"] == people
    swept = json.loads(citytwin("sweep", "s.toml", "--out", "out", "--workers", 2, "--json"))
    assert (swept["runs"], swept["done"], swept["failed"]) == (12, 12, 0)

    results = Results(tmp_path / "out")
    series = results.series.sort_values(["point", "seed", "day"])
    new = series["cumulative_infections"].to_numpy().reshape(3, 4, 20)
    # Runs of one seed are one epidemic until the morning on which their policies part.
    assert (new[:, :, :MORNING] == new[:1, :, :MORNING]).all()
    last = new[:, :, -1].sum(axis=1)
    assert last[0] > last[1] > last[2] > 4 * 50
    assert (results.summary["people"] == people).all()
    zones = len(City.load(tmp_path / "town.city").zones)
    assert len(results.table("zone_series")) == 12 * 20 * zones
    by_zone = results.table("zone_series").groupby(["point", "seed", "day"])["infectious"].sum()
    assert np.array_equal(by_zone.to_numpy(), series["infectious"].to_numpy())

    assert "© OpenStreetMap contributors" in citytwin("compare", "out")
    citytwin("report", "out")
    assert "© OpenStreetMap contributors (ODbL 1.0)" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_full_day_of_traffic_in_kampen() -> None:
    """Every trip of a working day of 54,000 people, with public transport, through traffic and freight."""
    scenario = Scenario.from_text(
        f"""
name = "a day in Kampen"
[city]
osm = {{ file = "{DATA}/kampen_flood_city/kampen.osm.pbf" }}
[clock]
start = 2026-03-02
days = 1
[traffic]
gates = {{}}
[output]
tables = ["trips", "links"]
"""
    )
    model = CityModel(scenario, seed=1)
    outputs = model.run()
    trips, links, summary = outputs["trips"], outputs["links"], outputs["summary"]
    people = len(model.city.people)
    assert 2.0 < (trips["person"] >= 0).sum() / people < 3.6  # 3.1 a day in Germany (MiD 2017)
    assert summary["not_arrived"][0] < 0.001 * len(trips["mode"])
    arrived = np.isfinite(trips["arrive"])
    assert np.all(trips["arrive"][arrived] >= trips["depart"][arrived])
    # who drives covers on every link what the link table counts
    driven = (trips["mode"] == 0) & arrived
    streets = model.processes[0]
    metres = (links["left"] * streets.network.length[links["link"]]).sum()
    by_cars = trips["distance_m"][driven & (trips["origin"] != trips["destination"])].sum(dtype=float)
    assert by_cars <= metres * 1.001  # buses drive on top
    assert metres < 1.2 * by_cars
    share = np.bincount(trips["mode"][trips["person"] >= 0], minlength=5) / (trips["person"] >= 0).sum()
    assert 0.2 < share[0] < 0.6
    assert share[2] > 0.005
    # nobody drives faster than the street allows
    free = streets.network.free_time[links["link"]]
    assert np.all(links["travel_seconds"] >= 0.999 * free)


def test_the_morning_of_bologna_from_the_files_of_sumo(tmp_path: Path) -> None:
    """All 11,000 cars of the scenario on their routes: what links count is what the files say."""
    folder = DATA / "bologna_mobility" / "joined"
    (tmp_path / "bologna.toml").write_text(
        f"""
name = "Bologna, a morning hour"
[city]
sumo = {{ file = "{folder}/joined_buslanes.net.xml", additional = ["{folder}/joined_tls.add.xml"], name = "Bologna" }}
[clock]
days = 1
[traffic]
residents = false
sumo_routes = ["{folder}/joined_vtypes.add.xml", "{folder}/joined.rou.xml"]
[output]
tables = ["trips", "links"]
"""
    )
    outputs = CityModel(Scenario.load(tmp_path / "bologna.toml")).run()
    trips, links, summary = outputs["trips"], outputs["links"], outputs["summary"]
    assert summary["trips"].tolist() == [11_000]
    assert summary["not_arrived"].tolist() == [0]
    mean = (trips["arrive"] - trips["depart"]).mean()
    assert 0.9 * 333 < mean < 460  # SUMO 1.28 on the same files: single vehicles, and queues
    routes = ET.parse(folder / "joined.rou.xml").getroot().iter("route")
    driven = Counter(edge for route in routes for edge in route.get("edges").split())
    city = City.load(City.from_sumo(folder / "joined_buslanes.net.xml").save(tmp_path / "bologna.city"))
    counted = np.bincount(links["link"], links["left"], len(city.links))
    assert dict(zip(city.layer("roads")["edge"], counted.astype(int), strict=True)) == {
        edge: driven[edge] for edge in city.layer("roads")["edge"]
    }


def test_the_sections_of_rennes_become_a_city() -> None:
    """2,859 sections of one direction each, drawn 6 m beside the middle of two-way streets."""
    file = DATA / "rennes_traffic" / "etat_du_trafic_temps_reel_2025-11-04.csv"
    columns = {"direction": "along", "speed": "vitesse_maxi", "aside": 6.0, "snap": 7.0, "street": "denomination"}
    city = City.from_lines(file, "Rennes", **columns)
    report = city.info.report["streets"]
    assert report["lines"] == 2_859
    assert len(city.links) == 2_859 - report["lines without length left out"] - report["links drawn twice left out"]
    assert report["links strongly connected"] > 0.95 * len(city.links)
    assert "Rue de Nantes" in set(city.layer("roads")["name"])
