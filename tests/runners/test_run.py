"""Single runs, the tasks of a sweep, and the cities they need."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_scenarios import SWEPT, TINY

from citytwin.environment.city import City, CityError
from citytwin.runners.model import CityModel
from citytwin.runners.preparation import sweep_tasks
from citytwin.runners.results import Results
from citytwin.runners.run import execute_run, run, warm
from citytwin.runners.scenarios import cities
from citytwin.runners.scenarios.cities import bundle_name, check_city, prepare_cities, slug
from citytwin.runners.scenarios.scenario import Scenario, ScenarioError
from citytwin.runners.scenarios.sections import CitySettings, OsmCity, SyntheticCity
from citytwin.runners.storage.tables import StoreError
from citytwin.runners.sweep import SweepError, sweep


def invented(people: int, seed: int = 1) -> CitySettings:
    return CitySettings(synthetic=SyntheticCity(people=people, seed=seed))


# ---------------------------------------------------------------------- one run


def test_a_run_in_memory_and_one_on_disk_are_equal(tiny: Scenario, tmp_path: Path) -> None:
    memory, disk = run(tiny), run(tiny, tmp_path / "out")
    pd.testing.assert_frame_equal(memory.summary, disk.summary)
    pd.testing.assert_frame_equal(memory.series, disk.series)
    assert memory.tables == disk.tables == ["series", "summary"]
    assert memory.directory is None
    assert memory.info["versions"] == disk.info["versions"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "cities",
        "series",
        "summary",
        "sweep.json",
        "tasks.jsonl",
    ]


def test_a_run_does_what_the_model_does(tiny: Scenario, tmp_path: Path) -> None:
    city = City.synthetic(1_000, seed=2)
    expected = CityModel(tiny, city, seed=11).run()
    results = run(tiny, tmp_path / "out", seed=11, threads=2)
    assert results.summary["seed"].tolist() == [11]
    for name, values in expected["series"].items():
        assert np.array_equal(results.series[name].to_numpy(), values)


def test_progress_is_told_day_by_day(tiny: Scenario) -> None:
    seen: list[tuple[int, int]] = []
    run(tiny.with_parameters({"clock.days": 12, "policy.schools closed.until": 11}), progress=lambda *a: seen.append(a))
    assert seen == [(day, 12) for day in range(1, 13)]


def test_a_swept_scenario_runs_as_its_file_stands() -> None:
    results = run(Scenario.from_text(SWEPT))
    assert results.points == [{}]
    assert results.scenario.points() == [{}]
    assert len(results.summary) == 1


@pytest.mark.parametrize("there", ["file", "folder", "results"])
def test_what_stands_there_is_left_alone(tiny: Scenario, tmp_path: Path, there: str) -> None:
    out = tmp_path / "out"
    if there == "file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / ("sweep.json" if there == "results" else "mine.txt")).write_text("{}")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError, match="already"):
        run(tiny, out)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_may_be_used(tiny: Scenario, tmp_path: Path) -> None:
    assert run(tiny, tmp_path).directory == tmp_path


def test_a_place_that_cannot_be_written(tiny: Scenario, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        run(tiny, tmp_path / "file" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("empty_folder", [True, False])
def test_nothing_is_left_of_a_run_that_fails(
    tiny: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_folder: bool
) -> None:
    def fail(_: CityModel) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(CityModel, "outputs", fail)
    out = tmp_path / "out"
    if empty_folder:
        out.mkdir()
    with pytest.raises(ZeroDivisionError):
        run(tiny, out)
    assert list(tmp_path.iterdir()) == ([out] if empty_folder else [])
    assert not empty_folder or not list(out.iterdir())


def test_more_infections_than_a_bundle_has_people(tmp_path: Path) -> None:
    City.synthetic(1_000).save(tmp_path / "a.city")
    text = TINY.replace("synthetic = { people = 1_000, seed = 2 }", 'bundle = "a.city"').replace("= 15", "= 1_001")
    scenario = Scenario.from_text(text, folder=tmp_path)
    for start in (lambda: run(scenario), lambda: sweep(scenario, out=tmp_path / "out")):
        with pytest.raises(ScenarioError, match=r"epidemic\.initial_infections: .*given 1,001, people 1,000"):
            start()
    assert [path.name for path in tmp_path.iterdir()] == ["a.city"]


def test_an_r0_that_cannot_be_reached_is_found_before_the_first_run(tmp_path: Path) -> None:
    few = "weights = { school = 0, university = 0, work = 0, shop = 0, leisure = 0, hospital = 0 }"  # homes alone
    tiny = TINY.replace("[epidemic]", f"[epidemic]\n{few}")
    text = (
        tiny.replace("r0 = 5.0", "r0 = 100") + '[sweep]\nreplicates = 2\n[sweep.parameters]\n"clock.days" = [25, 26]\n'
    )
    file = tmp_path / "s.toml"
    file.write_text(text)
    line = 1 + text.splitlines().index("r0 = 100")
    for start in (lambda: run(file), lambda: run(file, tmp_path / "out"), lambda: sweep(file, out=tmp_path / "out")):
        with pytest.raises(ScenarioError) as caught:
            start()
        assert str(caught.value).startswith(f"{file}:{line}: epidemic.r0: r0 = 100 cannot be reached: a typical case")
    swept = tiny + '[sweep.parameters]\n"epidemic.r0" = [0.5, 100.0, 3.0]\n'
    file.write_text(swept)
    with pytest.raises(ScenarioError, match=rf"s\.toml:{len(swept.splitlines())}: epidemic\.r0: r0 = 100 cannot be"):
        sweep(file, out=tmp_path / "out")
    tried: list[str] = []
    tasks, _, _ = sweep_tasks(swept_scenario := Scenario.load(file), tmp_path / "cities", tried=True, told=tried.append)
    assert len(tasks) == swept_scenario.runs
    assert len(tried) == 1  # the city alone


# ---------------------------------------------------------------------- sweeps


def test_tasks_in_order(tmp_path: Path) -> None:
    tasks, execute, context = sweep_tasks(Scenario.from_text(SWEPT), tmp_path / "cities")
    assert [(t["point"], t["replicate"], t["seed"]) for t in tasks] == [
        (p, r, 3 + r) for p in range(4) for r in range(3)
    ]
    assert [t["run_id"] for t in tasks[:4]] == ["p0000-r0000", "p0000-r0001", "p0000-r0002", "p0001-r0000"]
    assert tasks[3]["parameters"] == {"policy.schools closed.compliance": 0.0, "policy.work less.compliance": 0.8}
    assert len({t["city"] for t in tasks}) == 1
    assert execute == "citytwin.runners.run:execute_run"
    assert json.loads(json.dumps([tasks, context])) == [tasks, context]
    assert context["city_facts"][0]["people"] == 1_000


def test_a_task_is_the_model_at_its_point(tmp_path: Path) -> None:
    scenario = Scenario.from_text(SWEPT)
    tasks, _, context = sweep_tasks(scenario, tmp_path / "cities")
    found = execute_run(tasks[-1], context)
    point = scenario.with_parameters({"policy.schools closed.compliance": 0.9, "policy.work less.compliance": 0.8})
    expected = CityModel(point, City.synthetic(1_000, seed=2), seed=5).run()
    assert found.keys() == expected.keys() == {"summary", "series", "zone_series", "infections"}
    for table, columns in expected.items():
        for name, values in columns.items():
            np.testing.assert_array_equal(found[table][name], values)  # a figure may be missing


def test_any_number_of_workers_gives_the_same(swept: Path, tmp_path: Path) -> None:
    alone = sweep(Scenario.from_text(SWEPT), out=tmp_path / "alone", workers=1)
    together = Results(swept)
    assert alone.tables == together.tables == ["infections", "series", "summary", "zone_series"]
    for name in alone.tables:
        pd.testing.assert_frame_equal(alone.table(name), together.table(name))


def test_points_of_one_seed_share_their_luck(swept: Path) -> None:
    """Until the first policy is in force anywhere, runs of one seed are the same at every point."""
    for _, series in Results(swept).series.groupby("seed"):
        first = series.loc[series["policies_in_force"] > 0, "day"].min()
        assert first > 4
        different = series.groupby("day")["cumulative_infections"].nunique() > 1
        assert not different[:first].any()
        assert different.iloc[-1]


def test_a_swept_city_is_built_once_a_value(tmp_path: Path) -> None:
    text = SWEPT.replace('"policy.work less.compliance" = [0.0, 0.8]', '"city.synthetic.seed" = [4, 5]')
    told: list[str] = []
    tasks, _, context = sweep_tasks(Scenario.from_text(text), tmp_path / "cities", told=told.append)
    assert len([said for said in told if said.startswith("building")]) == 2
    assert [City.load(t["city"]).info.seed for t in tasks[::3]] == [4, 5, 4, 5]
    assert len(context["city_facts"]) == 2


def test_a_city_that_fails_leaves_nothing(tmp_path: Path) -> None:
    text = SWEPT.replace("synthetic = { people = 1_000, seed = 2 }", 'osm.file = "town.osm"')
    (tmp_path / "town.osm").write_text("no map")
    with pytest.raises(CityError, match=r"town\.osm"):
        sweep(Scenario.from_text(text, folder=tmp_path), out=tmp_path / "deep" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["town.osm"]


def test_an_existing_sweep_is_refused_before_a_city_is_built(swept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cities, "build_city", lambda _: pytest.fail("a city was built"))
    with pytest.raises(SweepError, match="holds a sweep already"):
        sweep(Scenario.from_text(SWEPT), out=swept)


# ---------------------------------------------------------------------- cities


def test_equal_cities_are_built_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [invented(1_000), invented(1_100), invented(1_000)]
    paths = prepare_cities(wanted, tmp_path / "cities")
    assert paths[0] == paths[2] != paths[1]
    assert [len(City.load(path).people) for path in paths] == [1_000, 1_100, 1_000]
    monkeypatch.setattr(cities, "build_city", lambda _: pytest.fail("built again"))
    assert prepare_cities(wanted, tmp_path / "cities") == paths


def test_names_of_bundles_differ_where_settings_do() -> None:
    several = [invented(1_000), invented(1_000, 2), invented(1_001), CitySettings(osm=OsmCity(file="/x/Town.osm.pbf"))]
    names = [bundle_name(settings) for settings in several]
    assert len(set(names)) == 4
    assert names[0].startswith("invented-1000-")
    assert names[3].startswith("town-")
    assert bundle_name(invented(1_000)) == names[0]


def test_a_bundle_stays_where_it_is(tmp_path: Path) -> None:
    City.synthetic(1_000).save(tmp_path / "a.city")
    settings = CitySettings(bundle=str(tmp_path / "a.city"))
    assert prepare_cities([settings], tmp_path / "cities") == [tmp_path / "a.city"]
    assert not (tmp_path / "cities").exists()


def test_files_of_a_city_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(CityError, match=r"none\.city: no such city bundle"):
        check_city(CitySettings(bundle=str(tmp_path / "none.city")))
    with pytest.raises(CityError, match=r"none\.osm: no such file"):
        check_city(CitySettings(osm=OsmCity(file=str(tmp_path / "none.osm"))))
    check_city(invented(1_000))


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("School closure, 2nd try", "school-closure-2nd-try"),
        ("../..", "scenario"),
        ("é", "e"),
        ("..", "scenario"),
        ("Köln, Groß", "koeln-gross"),
        ("東京 1", "東京-1"),
        ("a" * 59 + " b", "a" * 59),
    ],
)
def test_slugs_are_safe_names(name: str, word: str) -> None:
    assert slug(name) == word


# ---------------------------------------------------------------------- warming up


def test_warming_up_compiles_all_that_a_run_needs(tmp_path: Path) -> None:
    from numba.core.registry import CPUDispatcher

    def compiled() -> dict[tuple[str, str], int]:
        return {
            (name, word): len(value.signatures)
            for name, module in list(sys.modules.items())
            if name.startswith("citytwin.")
            for word, value in vars(module).items()
            if isinstance(value, CPUDispatcher)
        }

    warm()
    before = compiled()
    assert sum(before.values()) > 10
    City.synthetic(1_500, seed=9).save(tmp_path / "a.city")
    text = SWEPT.replace("synthetic = { people = 1_000, seed = 2 }", f'bundle = "{tmp_path}/a.city"')
    for threads in (1, 2):
        CityModel(Scenario.from_text(text), threads=threads).run()
    assert compiled() == before
