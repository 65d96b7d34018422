"""What a sweep will take: measured, nothing kept, and close to what the sweep then takes."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from citytwin.environment.city import City
from citytwin.runners import cli  # noqa: F401 - registers the commands
from citytwin.runners.commands.common import app
from citytwin.runners.points import estimate as estimates
from citytwin.runners.points.estimate import Estimate, EstimateError, Measured, estimate, estimate_text
from citytwin.runners.scenarios.scenario import Scenario

HEAD = 'name = "small"\n[city]\n{city}\n[clock]\ndays = 20\n[epidemic]\ndisease = "covid"\nr0 = 3.0\n'
SWEPT = '[sweep]\nreplicates = 5\n[sweep.parameters]\n"clock.days" = [20, 40]\n'


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return City.synthetic(1_000, seed=2).save(tmp_path_factory.mktemp("town") / "town.city")


def test_two_runs_are_measured_and_nothing_is_left(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = estimate(Scenario.from_text(HEAD.format(city=f'bundle = "{bundle}"') + SWEPT), workers=2)
    assert (found.points, found.runs, found.most_runs, found.cities) == (2, 10, 10, 0)
    assert [(run.point, run.days, run.of) for run in found.measured] == [(0, 20, 20), (1, 40, 40)]
    assert all(0 < run.cpu < 60 and run.disk > 1000 and run.memory > 5e7 for run in found.measured)
    assert found.cpu_seconds(10) == pytest.approx(5 * sum(run.cpu for run in found.measured))
    assert list(tmp_path.iterdir()) == []


def test_a_long_run_is_broken_off(bundle, monkeypatch, tmp_path):
    scenario = Scenario.from_text(HEAD.format(city=f'bundle = "{bundle}"').replace("days = 20", "days = 5000"))
    context = {"scenario": scenario.to_dict(), "files": {}, "city": str(bundle), "seed": 1, "folder": str(tmp_path)}
    monkeypatch.setattr(estimates, "PATIENCE", 0.05)
    found = Measured(0, **estimates._measure(context))
    assert 1 <= found.days < found.of == 5000
    assert found.cpu > 0.05 * 5000 / found.days / 2
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_is_told(bundle):
    with pytest.raises(EstimateError, match="the measured run failed: CityError"):
        estimates._in_a_process(
            {"scenario": {**_plain(bundle)}, "files": {}, "city": "nowhere", "seed": 1, "folder": "."}
        )


def _plain(bundle):
    return Scenario.from_text(HEAD.format(city=f'bundle = "{bundle}"')).to_dict()


def test_the_command_says_it_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = HEAD.format(city="synthetic.people = 1_000") + SWEPT.replace("replicates = 5\n", _UNTIL)
    Path("s.toml").write_text(text.replace('"clock.days" = [20, 40]', '"epidemic.r0" = [2.0]'))
    done = CliRunner().invoke(app, ["sweep", "s.toml", "--out", "out", "--workers", "2", "--dry-run", "--json"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["points"], facts["runs"], facts["most_runs"], facts["cities"]) == (1, 4, 20, 1)
    assert facts["cpu_seconds"][1] == pytest.approx(5 * facts["cpu_seconds"][0], rel=0.05)
    assert [file.name for file in tmp_path.iterdir()] == ["s.toml"]


_UNTIL = 'until = { indicator = "deaths", half_width = 1, at_most = 20 }\n'
RUN = Measured(point=0, days=30, of=120, cpu=3.0, wall=3.5, memory=400_000_000, disk=20_000)
FOUND = Estimate(6, 24, 24, 4, (RUN, replace(RUN, point=5, days=120, cpu=5.0)), 2, 12.0, 50_000_000)


def test_sums():
    assert FOUND.cpu == 4
    assert FOUND.cpu_seconds(24) == 96
    assert FOUND.disk_bytes(24) == 24 * 20_000 + 2 * 50_000_000
    assert FOUND.memory == 400_000_000
    assert replace(FOUND, cpu_budget=50.0).cpu_seconds(24) == 50


def test_time_is_that_of_the_cores_there_are(monkeypatch):
    monkeypatch.setattr(estimates, "_cores", lambda: 2)
    assert FOUND.wall_seconds(24) == pytest.approx(24 + 96 / 2)
    assert replace(FOUND, workers=1).wall_seconds(24) == pytest.approx(24 + 96)


def test_words(monkeypatch, tmp_path):
    monkeypatch.setattr(estimates, "_cores", lambda: 2)
    text = estimate_text("small", FOUND, tmp_path / "out")
    assert text.splitlines() == [
        "small: nothing was kept; measured by a run of point 0: 3 s (30 of 120 days were run) and of point 5: 5 s",
        "  points    6",
        "  runs      24",
        "  CPU       4 s a run, 96 s in all",
        "  time      about 72 s with 4 workers on 2 cores",
        "  memory    400.0 MB a worker, 1.6 GB in all",
        "  disk      at most 20 kB a run, 100.5 MB in all",
        "  cities    2 to build, about 12 s each",
    ]
    grown = estimate_text("small", replace(FOUND, most_runs=240), tmp_path)
    assert "  runs      24 to 240\n  CPU       4 s a run, 96 s to 16.0 min in all\n" in grown
    huge = replace(FOUND, measured=(replace(RUN, memory=10**15, disk=10**15),))
    warned = estimate_text("small", huge, tmp_path / "out")
    assert "The workers need more memory than this machine has" in warned
    assert "take --workers 1." in warned
    assert "The results may need more than is free on the disk" in warned
