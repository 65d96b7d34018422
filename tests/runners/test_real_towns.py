"""Real towns through the command line, from the map to the report; tests/DATA.md describes the data sets."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from citytwin.environment.city import City
from citytwin.runners.results import Results

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
