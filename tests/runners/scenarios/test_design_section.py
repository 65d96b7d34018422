"""Street designs in a scenario: built or not, swept, kept with the results."""

import json
from pathlib import Path

import pytest
import shapely
from small_scenarios import TINY

from citytwin.environment.city import City
from citytwin.environment.design import DesignError
from citytwin.runners.preparation import sweep_tasks
from citytwin.runners.reports.labels import scenario_text
from citytwin.runners.run import run
from citytwin.runners.scenarios.cities import bundle_name, prepare_cities
from citytwin.runners.scenarios.scenario import Scenario, ScenarioError
from citytwin.runners.scenarios.scenario_files import files_of

PLAIN = TINY.partition("[[policy]]")[0]
SLOW = '[[design]]\nname = "slow"\nchanges = [{ change = "speed", links = [0, 1], kmh = 10 }]\n'
BOTH = PLAIN + SLOW + '[sweep.parameters]\n"design.slow.built" = [false, true]\n'


def area_file(folder: Path, kmh: float = 20.0) -> Path:
    """Write a design that slows down all streets of the city of PLAIN."""
    city = City.synthetic(1_000, seed=2)
    shape = shapely.geometry.mapping(shapely.box(*city.info.bounds))
    feature = {"type": "Feature", "properties": {"change": "speed", "kmh": kmh}, "geometry": shape}
    crs = {"type": "name", "properties": {"name": city.info.crs}}
    file = folder / "slow.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    return file


def problems_of(text: str, folder: Path = Path()) -> str:
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_text(text, folder=folder)
    return str(caught.value)


def test_built_or_not_is_swept_and_the_city_is_redrawn_once(tmp_path: Path) -> None:
    scenario = Scenario.from_text(BOTH)
    told: list[str] = []
    tasks, _, _ = sweep_tasks(scenario, tmp_path, told=told.append, tried=True)
    before, after = (City.load(task["city"]) for task in tasks)
    assert (before.links.speed[:2] * 3.6).round(3).tolist() != [10, 10]
    assert (after.links.speed[:2] * 3.6).round(3).tolist() == [10, 10]
    assert (after.links.speed[2:] == before.links.speed[2:]).all()
    assert len(told) == 2
    assert len(list(tmp_path.iterdir())) == 2


def test_equal_designs_share_a_city_and_others_do_not(tmp_path: Path) -> None:
    one, same = Scenario.from_text(PLAIN + SLOW), Scenario.from_text(PLAIN.replace("seed = 3", "seed = 4") + SLOW)
    other = Scenario.from_text(PLAIN + SLOW.replace("10", "15"))
    paths = prepare_cities([scenario.city for scenario in (one, same, other)], tmp_path)
    assert paths[0] == paths[1] != paths[2]
    assert len({bundle_name(s.city) for s in (one, other, Scenario.from_text(PLAIN))}) == 3


def test_a_design_on_a_bundle_leaves_the_bundle_alone(tmp_path: Path) -> None:
    made = City.synthetic(1_000, seed=2).save(tmp_path / "a.city")
    text = PLAIN.replace("synthetic = { people = 1_000, seed = 2 }", f'bundle = "{made}"') + SLOW
    path = prepare_cities([Scenario.from_text(text).city], tmp_path / "cities")[0]
    assert path != made
    assert City.load(path).links.speed[0] * 3.6 == pytest.approx(10)
    assert City.load(made).links.speed[0] * 3.6 != pytest.approx(10)


def test_files_are_kept_as_they_were(tmp_path: Path) -> None:
    file = area_file(tmp_path)
    scenario = Scenario.from_text(PLAIN + f'[[design]]\nname = "slow"\nfile = "{file.name}"\n', folder=tmp_path)
    kept = json.loads(json.dumps([scenario.to_dict(), files_of([scenario])]))
    assert list(kept[1]) == [str(file)]
    area_file(tmp_path, kmh=5.0)
    again = Scenario.from_dict(*kept)
    assert again.city == scenario.city
    changed = Scenario.from_dict(kept[0])
    assert changed.city != scenario.city
    file.unlink()
    assert Scenario.from_dict(*kept).city == scenario.city


def test_a_file_may_be_swept(tmp_path: Path) -> None:
    file = area_file(tmp_path)
    (tmp_path / "other.toml").write_text('[[change]]\nchange = "close"\nlinks = 3\n')
    text = PLAIN + '[[design]]\nname = "streets"\nfile = "slow.geojson"\n[sweep.parameters]\n'
    text += '"design.streets.file" = ["slow.geojson", "other.toml"]\n'
    scenario = Scenario.from_text(text, folder=tmp_path)
    points = [scenario.at_point(point) for point in scenario.points()]
    assert [point.designs[0].file for point in points] == [str(file), str(tmp_path / "other.toml")]
    assert len({bundle_name(point.city) for point in points}) == 2
    assert set(files_of([scenario, *points])) == {str(file), str(tmp_path / "other.toml")}


def test_a_run_is_made_on_the_redrawn_city(tmp_path: Path) -> None:
    short = PLAIN.replace("days = 25", "days = 2") + SLOW
    results = run(Scenario.from_text(short), out=tmp_path / "results")
    cities = sorted((tmp_path / "results" / "cities").iterdir())
    reports = [City.load(path).info.report.get("designs") for path in cities]
    assert sorted(report is None for report in reports) == [False, True]
    assert len(results.summary) == 1
    assert [design.name for design in Scenario.from_text(short).built_designs()] == ["slow"]


def test_problems_are_named_with_their_lines() -> None:
    text = problems_of(PLAIN + SLOW.replace("kmh = 10", "kph = 10"))
    assert "scenario:14: design.slow.changes" in text
    assert "did you mean 'kmh'?" in text
    assert "kmh: is missing" in text
    assert "there is a design 'slow' already" in problems_of(PLAIN + SLOW + SLOW)
    assert "needs either file or changes" in problems_of(PLAIN + '[[design]]\nname = "slow"\n')
    assert "no such file" in problems_of(PLAIN + '[[design]]\nname = "slow"\nfile = "none.gpkg"\n')
    assert "two brackets" in problems_of(PLAIN + '[design]\nname = "slow"\n')
    swept = BOTH.replace("design.slow.built", "design.slov.built")
    assert "no such design" in problems_of(swept)
    assert "did you mean 'slow'" in problems_of(swept)


def test_a_design_that_does_not_fit_its_city_is_told_before_anything_runs(tmp_path: Path) -> None:
    far = PLAIN + SLOW.replace("[0, 1]", "[1_000_000]")
    with pytest.raises(DesignError, match=r"design 'slow': feature 1 \(speed\): links: there is no link 1000000"):
        run(Scenario.from_text(far), out=tmp_path / "results")
    assert not (tmp_path / "results").exists()
    made = City.synthetic(1_000, seed=2).save(tmp_path / "a.city")
    text = far.replace("synthetic = { people = 1_000, seed = 2 }", f'bundle = "{made}"')
    with pytest.raises(ScenarioError, match=r"design: design 'slow': feature 1"):
        Scenario.from_text(text).check_bundles()


def test_what_is_to_be_run_names_the_designs() -> None:
    text = scenario_text(Scenario.from_text(PLAIN + SLOW + SLOW.replace('"slow"', '"slower"') + "built = false\n"))
    assert "design    slow\n" in text
    assert "slower (not built)" in text
