"""Sites: today's stations first, corners where calls are, files read as they are and clipped to the city."""

import geopandas
import numpy as np
import pyproj
import pytest
import shapely

from citytwin.agents.response.siting.plan import SitingError
from citytwin.environment.places import SiteKind
from citytwin.runners.siting.demand import expected_calls
from citytwin.runners.siting.question import read_question, units_of
from citytwin.runners.siting.sites import read_sites, sites_of, within


@pytest.fixture(scope="module")
def demand(question):
    return expected_calls(question, 50)


def degrees(question, x, y):
    return pyproj.Transformer.from_crs(question.city.info.crs, "EPSG:4326", always_xy=True).transform(x, y)


@pytest.mark.parametrize("candidates", ["stations", "sites", "grid"])
def test_todays_stations_come_first_and_no_corner_is_there_twice(question, demand, candidates):
    sites, notes = sites_of(question, demand, candidates)
    assert notes == []
    assert (sites.today, sites.name[0]) == (1, "Corner")
    assert len(np.unique(sites.node)) == len(sites)
    assert len(set(sites.name)) == len(sites)
    assert np.isin(sites.node, question.scenes.nodes).all()
    assert {"stations": len(sites) == 1, "sites": len(sites) <= 5, "grid": len(sites) == 9}[candidates]


def test_institutions_are_stations_of_the_scenario_by_their_number(question, demand):
    sites, _ = sites_of(question, demand, "sites")
    told = sites.station(sites.name.index("Hospital 1"))
    assert told == {"name": "Hospital 1", "site": int(np.argmax(question.city.sites.kind == SiteKind.HOSPITAL))}
    assert sites.station(0) == {"name": "Corner", "x": 430_900.0, "y": 4_580_100.0}


def test_files_are_read_alike(question, demand, tmp_path):
    x, y = np.array([430_250.0, 430_750.0]), np.array([4_580_250.0, 4_580_750.0])
    lon, lat = degrees(question, x, y)
    rows = [f"{name},{a:.9f},{b:.9f},{m}" for name, a, b, m in zip("ab", lon, lat, (2, 3), strict=True)]
    (tmp_path / "p.csv").write_text("\n".join(["Station_Name,Station_Longitude,Station_Latitude,most", *rows]))
    layer = geopandas.GeoDataFrame(
        {"name": ["a", "b"], "most": [2, 3]}, geometry=geopandas.points_from_xy(x, y), crs=question.city.info.crs
    )
    layer.to_file(tmp_path / "p.gpkg")
    layer.to_crs("EPSG:4326").to_file(tmp_path / "p.geojson", driver="GeoJSON")
    for name in ("p.csv", "p.gpkg", "p.geojson"):
        points = read_sites(tmp_path / name, question.city.info.crs)
        assert points.name == ["a", "b"]
        np.testing.assert_allclose(points.x, x, atol=1e-2)
        np.testing.assert_allclose(points.y, y, atol=1e-2)
        assert points.most.tolist() == [2, 3]
        sites, notes = sites_of(question, demand, str(tmp_path / name))
        assert (sites.name, notes) == (("Corner", "a", "b"), [])


def test_what_lies_outside_or_off_the_streets_is_counted(question, demand, tmp_path):
    x = np.array([430_250.0, 450_000.0, 430_500.0])
    y = np.array([4_580_250.0, 4_580_250.0, 4_580_000.0 - 990.0])
    lon, lat = degrees(question, x, y)
    rows = [f"{a:.9f},{b:.9f}" for a, b in zip(lon, lat, strict=True)]
    (tmp_path / "p.csv").write_text("\n".join(["lon,lat", *rows]))
    sites, notes = sites_of(question, demand, str(tmp_path / "p.csv"))
    assert sites.name == ("Corner", "point 1", "point 3")
    assert notes == [f"{tmp_path / 'p.csv'}: 1 of 3 points lie outside the city."]
    (tmp_path / "q.csv").write_text("\n".join(["lon,lat", *rows[1:2]]))
    with pytest.raises(SitingError, match=r"none of its 1 points lies in the city.*swapped"):
        sites_of(question, demand, str(tmp_path / "q.csv"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lon,lat\n", "holds no points"),
        ("lon,lat\n500,41\n", r"line 2: lon is '500'; degrees from −180 to 180"),
        ("lon,lat\n2,\n", "line 2: lat is 'nan'"),
        ("lon,lat,most\n2,41,2.5\n", "row 1: most is '2.5'; whole numbers from 0"),
    ],
)
def test_bad_tables_name_line_and_value(tmp_path, text, said):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(SitingError, match=said):
        read_sites(tmp_path / "p.csv", "EPSG:32631")


def test_lines_are_no_stations(tmp_path):
    layer = geopandas.GeoDataFrame(geometry=[shapely.LineString([(0, 0), (1, 1)])], crs="EPSG:32631")
    layer.to_file(tmp_path / "l.gpkg")
    with pytest.raises(SitingError, match="rows 1 are no points"):
        read_sites(tmp_path / "l.gpkg", "EPSG:32631")


def test_a_box_keeps_what_is_inside(tmp_path):
    (tmp_path / "p.csv").write_text("lon,lat\n0,0\n1,1\n")
    points = read_sites(tmp_path / "p.csv", "EPSG:3857")
    kept, notes = within(points, (-1.0, -1.0, 1.0, 1.0), "p.csv")
    assert kept.name == ["point 1"]
    assert notes == ["p.csv: 1 of 2 points lie outside the city."]


@pytest.mark.parametrize(("text", "sizes"), [("12", [12]), ("8,12,10", [8, 10, 12]), ("8-11,10", [8, 9, 10, 11])])
def test_fleet_sizes(text, sizes):
    assert units_of(text) == sizes


def test_today_with_other_units_and_shifts(question, town_folder, tmp_path):
    assert question.units_today == 2
    assert question.stands_today(2).tolist() == [2]
    assert question.stands_today(5).tolist() == [5]
    text = (
        town_folder / "often.toml"
    ).read_text() + 'shifts = [{ from = "08:00", until = "20:00", units = 1 }]\nunits = 1\n'
    (tmp_path / "shifts.toml").write_text(text)
    shifts = read_question(str(tmp_path / "shifts.toml"), "ambulance", tmp_path, days=1)
    assert (shifts.units_today, shifts.working) == (2, 1)
    sites = sites_of(shifts, expected_calls(shifts, 1), "grid")[0]
    units = np.zeros(len(sites), np.int64)
    units[:2] = 2, 1
    fleet = shifts.of_plan(sites, units)["response"]["fleet"]["ambulance"]
    assert fleet["units"] == 2  # and one in shifts
    assert [station["units"] for station in fleet["stations"]] == [2, 1]


def test_who_helps_out_is_kept_and_others_are_left_aside(question, town_folder, tmp_path):
    text = (town_folder / "often.toml").read_text().replace('services = ["ambulance"]\n', "")
    text += '[response.fleet.fire]\nunits = 1\nhelps = ["ambulance"]\n[response.fleet.police]\nunits = 3\n'
    (tmp_path / "helped.toml").write_text(text)
    helped = read_question(str(tmp_path / "helped.toml"), "ambulance", tmp_path, days=1)
    assert set(helped.settings.fleet) == {"ambulance", "fire"}
    assert helped.settings.services == ("ambulance", "fire")
    assert helped.units_today == question.units_today
    police = read_question(str(tmp_path / "helped.toml"), "police", tmp_path, days=1)
    assert set(police.settings.fleet) == {"police"}
    assert (police.units_today, police.settings.targets) == (3, (180.0, 240.0))
