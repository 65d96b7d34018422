"""Access and exposure of a design: a clinic and a line are built, and who gains by them is told person by person."""

import json
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from typer.testing import CliRunner

from citytwin.environment.access import Service, TravelTimes, opportunities_of, reach, residents_of
from citytwin.environment.city import City
from citytwin.environment.equity import gini, theil, worst_off
from citytwin.environment.groups import groups_of
from citytwin.environment.network.of_city import network_of_city
from citytwin.environment.polygons import PolygonError
from citytwin.environment.transit.added import with_lines
from citytwin.environment.transit.invented import invented_timetable
from citytwin.runners.cli import app
from citytwin.runners.planning import access, change
from citytwin.runners.planning.access import Reach, morning_seconds
from citytwin.runners.planning.change import compared
from citytwin.runners.planning.exposure import compare_exposure, exposure_of
from citytwin.runners.planning.page import planning_html
from citytwin.runners.reports.geo import city_of
from citytwin.runners.results import Results
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.sweep import sweep

SCENARIO = """\
name = "a clinic and a line"
seed = 2
[city]
synthetic = { people = 2_500, seed = 3 }
[clock]
start = 2026-03-02
days = 1
[traffic]
noise = true
air = {}
[[design]]
name = "clinic"
built = true
crs = "EPSG:3035"
changes = [
    { change = "facility", kind = "clinic", jobs = 0, point = [WEST, SOUTH] },
    { change = "new_line", name = "Link", line = [[WEST, SOUTH], [EAST, NORTH]], mode = "bus", headway = 5, kmh = 40 },
]
[sweep]
replicates = 1
[sweep.parameters]
"design.clinic.built" = [false, true]
[output]
tables = ["trips", "links", "air", "noise"]
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Two points: without a clinic at a home far from the centre and a line there, and with them."""
    city = City.synthetic(2_500, seed=3)
    x, y = city.places.x[: city.homes], city.places.y[: city.homes]
    corners = {"WEST": x.min(), "SOUTH": y[x.argmin()], "EAST": np.median(x), "NORTH": np.median(y)}
    text = SCENARIO
    for name, value in corners.items():
        text = text.replace(name, f"{float(value):.1f}")
    return sweep(Scenario.from_text(text), out=tmp_path_factory.mktemp("built") / "out", workers=1)


def persons(city: City, times: TravelTimes, mode: str, kind: str) -> np.ndarray:
    """What each person reaches within 30 minutes, by way of the home."""
    origins, offers = residents_of(city), opportunities_of(city)
    found = reach(times, mode, origins, offers, [30])[:, 0, offers.kinds.index(kind)]
    spot = {at: row for row, at in enumerate(zip(origins.x.tolist(), origins.y.tolist(), strict=True))}
    homes = city.people.household
    return found[[spot[at] for at in zip(city.places.x[homes].tolist(), city.places.y[homes].tolist(), strict=True)]]


def test_access_is_that_of_each_person(built: Results) -> None:
    table, even = Reach(built).compare(1, 0)
    timed = table[table["minutes"] == 30].set_index(["by", "group", "mode", "kind"])
    runs = [str(run) for run in built.summary.sort_values("point")["run_id"]]
    for point, side in enumerate(("before", "after")):
        city = city_of(built, point)
        network = network_of_city(city)
        timetable = invented_timetable(city)
        if point:
            design = access.built_designs(built.scenario.at_point(built.points[1]).city)[0]
            timetable = with_lines(timetable, **design.transit(city))
        times = TravelTimes(
            network, seconds=morning_seconds(built, [runs[point]], network), service=Service(timetable.with_walks())
        )
        for mode in ("walk", "car", "transit"):
            for kind in ("jobs", "care"):
                each = persons(city, times, mode, kind)
                whole = timed.loc[("all", "everybody", mode, kind)]
                assert whole[side] == pytest.approx(each.mean())
                assert whole[f"share_{side}"] == pytest.approx((each > 0).mean())
                for by, (names, of) in groups_of(city).items():
                    for number in np.unique(of):
                        row = timed.loc[(by, names[number], mode, kind)]
                        assert row["people"] == (of == number).sum()
                        assert row[side] == pytest.approx(each[of == number].mean())
        jobs = persons(city, times, "transit", "jobs")
        assert even["transit"]["gini"][point] == pytest.approx(gini(jobs))
        assert even["transit"]["theil"][point] == pytest.approx(theil(jobs))
        assert even["transit"]["worst_tenth"][point] == pytest.approx(worst_off(jobs, most_is_worst=False))


def test_a_clinic_and_a_line_take_nothing_from_anybody(built: Results) -> None:
    table, even = Reach(built).compare(1, 0)
    everybody = table[table["by"] == "all"].set_index(["mode", "minutes", "kind"])
    assert everybody.loc[("walk", 15, "care")]["share_after"] > everybody.loc[("walk", 15, "care")]["share_before"]
    assert everybody.loc[("transit", 30, "jobs")]["after"] > everybody.loc[("transit", 30, "jobs")]["before"]
    stops = table[(table["kind"] == "stops") & (table["by"] == "all")].iloc[0]
    assert stops["share_after"] > stops["share_before"] > 0
    slow = table[table["mode"] != "car"]  # by car the day is another one
    assert (slow["share_after"] >= slow["share_before"]).all()
    assert (slow["after"].fillna(0.0) >= slow["before"].fillna(0.0)).all()
    assert even["walk"]["gini"][0] == even["walk"]["gini"][1]
    assert even["transit"]["worst_change"][1] == 0
    same, _ = Reach(built).compare(0, 0)
    assert same["before"].equals(same["after"])
    assert same["share_before"].equals(same["share_after"])


def test_what_is_known_of_one_point_serves_the_others(built: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counted(times, mode, *rest):
        asked.append(mode)
        return reach(times, mode, *rest)

    monkeypatch.setattr(access, "reach", counted)
    both = Reach(built)
    both.compare(1, 0)
    assert asked == ["walk", "bicycle", "car", "transit"] * 2  # the clinic is somewhere to go for all of them
    both.compare(1, 0)
    both.compare(0, 0)
    assert len(asked) == 8


def test_times_by_car_are_those_of_the_morning(built: Results) -> None:
    run = str(built.summary[built.summary["point"] == 0]["run_id"].iloc[0])
    network = network_of_city(city_of(built, 0))
    found = morning_seconds(built, [run], network)
    links = built.table("links")
    rows = links[(links["run_id"] == run) & links["quarter"].between(32, 35)]
    assert len(rows)
    expected = network.free_time.copy()
    for link, part in rows.groupby("link"):
        expected[link] = np.average(part["travel_seconds"], weights=np.maximum(part["left"], 1))
    assert found == pytest.approx(expected)


def test_green_space_counts_where_a_file_has_some(built: Results, tmp_path: Path) -> None:
    city = city_of(built, 0)
    x, y = float(np.median(city.nodes.x)), float(np.median(city.nodes.y))
    park = tmp_path / "park.geojson"
    geopandas.GeoDataFrame(geometry=[shapely.box(x - 150, y - 150, x + 150, y + 150)], crs=city.info.crs).to_crs(
        4326
    ).to_file(park)
    table, _ = Reach(built, park).compare(1, 0)
    green = table[(table["kind"] == "green") & (table["by"] == "all")].set_index(["mode", "minutes"])["share_before"]
    walk = [green.loc["walk"][minutes] for minutes in (np.nan, 15, 30)]
    assert 0 < walk[0] < walk[1] <= walk[2] <= green.loc[("bicycle", 30)]
    done = CliRunner().invoke(app, ["compare", str(built.directory), "--green", str(park)], env={"COLUMNS": "100"})
    assert "300 m of green space" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    wrong = CliRunner().invoke(app, ["compare", str(built.directory), "--green", str(tmp_path / "none.gpkg")])
    assert isinstance(wrong.exception, PolygonError)


def test_exposure_is_that_of_each_home(built: Results) -> None:
    table, even = compare_exposure(built, 1, 0)
    city = city_of(built, 0)
    air, noise = (built.table(name) for name in ("air", "noise"))
    air, noise = (frame[frame["point"] == 0] for frame in (air, noise))
    lden = dict(zip(noise["building"], noise["lden"], strict=True))
    homes = city.people.household
    heard = np.array([lden[building] for building in city.places.building[homes].tolist()])
    met = np.empty(len(homes))
    half = air["side"].iloc[0] / 2
    for row in air[air["residents"] > 0].itertuples():
        x, y = city.places.x[homes], city.places.y[homes]
        met[(np.abs(x - row.x) <= half) & (np.abs(y - row.y) <= half)] = row.nox
    found = table.set_index(["by", "group", "figure"])
    for by, (names, of) in {"all": (["everybody"], 0 * homes), **groups_of(city)}.items():
        for number in np.unique(of):
            rows = of == number
            for figure, each in (("nox", met), ("lden", heard), ("above_55", heard > 55)):
                assert found.loc[(by, names[number], figure)]["before"] == pytest.approx(each[rows].mean(), rel=1e-5)
    assert even["nox"]["gini"][0] == pytest.approx(gini(met), rel=1e-5)
    assert list(even) == ["nox", "pm25"]
    assert set(exposure_of(built, city, 0, [str(air["run_id"].iloc[0])])) == set(table["figure"])


def test_the_command_and_the_page_show_it(built: Results) -> None:
    done = CliRunner().invoke(app, ["compare", str(built.directory)], env={"COLUMNS": "100"})
    assert done.exit_code == 0
    assert max(map(len, done.stdout.splitlines())) <= 100
    for text in ("within 15 min", "transit", "SDG 11.2.1", "by income of the household", "NOx at home", "lowest fifth"):
        assert text in done.stdout
    facts = json.loads(CliRunner().invoke(app, ["compare", str(built.directory), "--json"]).stdout)[1]
    assert {row["of"] for row in facts["evenness"]} >= {"travel", "nox", "pm25", "jobs_walk", "jobs_transit"}
    assert {row["figure"] for row in facts["exposure"]} == {"nox", "pm25", "lden", "above_55", "above_65"}
    frames = next(compared(built)).frames()
    assert list(pd.DataFrame(facts["access"])["share_after"]) == pytest.approx(list(frames["access"]["share_after"]))
    assert "What residents reach" in "".join(planning_html(built, 0))


def test_public_transport_that_cannot_be_read_is_left_out_and_told(
    built: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_):
        raise access.TransitError("feed.zip: no such file")

    monkeypatch.setattr("citytwin.agents.traffic.transit.PublicTransport.begin_day", gone)
    found = next(compared(built))
    assert found.notes == ("Access by public transport is left out: feed.zip: no such file",)
    assert set(found.access["mode"]) == {"walk", "bicycle", "car"}
    assert "jobs_transit" not in found.even


def test_access_of_other_people_is_not_compared(built: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change, "city_of", lambda results, point: City.one_place(3) if point else city_of(results, 0))
    found = next(compared(built))
    assert (found.access, found.exposure) == (None, None)
    assert found.notes == ("The cities of these points have other people: access and exposure are not compared",)
