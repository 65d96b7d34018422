"""Cities where nobody lives, from the command line to the results."""

import json
from pathlib import Path

import geopandas
import pytest
import shapely
from sumo_files import net

from citytwin.environment.city import City
from citytwin.runners.results import Results
from citytwin.runners.scenarios.scenario import Scenario, ScenarioError

ROUTES = '<routes><vehicle id="v" depart="5"><route edges="a c"/></vehicle></routes>'
SCENARIO = """\
name = "crossing"
[city]
sumo = {{ file = "town.net.xml", additional = [{additional}], name = "Crossing" }}
[clock]
days = 1
[traffic]
{traffic}
[output]
tables = ["trips", "links"]
"""
GIVEN = 'residents = false\nsumo_routes = ["town.rou.xml"]'


@pytest.fixture
def files(tmp_path: Path) -> Path:
    net(folder=tmp_path)
    (tmp_path / "town.rou.xml").write_text(ROUTES)
    (tmp_path / "tls.add.xml").write_text(
        '<additional><tlLogic id="M" type="static" programID="1" offset="7"><phase duration="50" state="GGrr"/>'
        '<phase duration="50" state="rrGG"/></tlLogic></additional>'
    )
    return tmp_path


def scenario(folder: Path, traffic: str = GIVEN, additional: str = '"tls.add.xml"') -> Path:
    path = folder / "crossing.toml"
    path.write_text(SCENARIO.format(traffic=traffic, additional=additional))
    return path


def test_a_network_of_sumo_from_file_to_pictures(call, files: Path) -> None:
    made = call("city", "sumo", "town.net.xml", "--additional", "tls.add.xml", "--out", "town.city", "--json")
    assert made.code == 0
    facts = json.loads(made.out)
    assert (facts["people"], facts["links"], facts["crs"]) == (0, 4, "EPSG:32632")
    assert set(City.load(files / "town.city").signals.cycle) == {100.0}
    shown = call("city", "show", "town.city", "--picture", "town.png")
    assert "nobody lives here; trips are those of files" in shown.out
    assert (files / "town.png").stat().st_size > 1000
    scenario(files)
    assert call("check", "crossing.toml").code == 0
    assert call("run", "crossing.toml", "--out", "out").code == 0
    results = Results(files / "out")
    assert results.summary["trips"].tolist() == [1]
    assert results.summary["not_arrived"].tolist() == [0]
    [trip] = results.table("trips").to_dict("records")
    assert trip["distance_m"] == pytest.approx(200)
    assert call("map", "out").code == 0
    assert call("animate", "out", "--out", "day.gif").code == 0
    assert call("report", "out").code == 0
    assert (files / "day.gif").stat().st_size > 1000


def test_designs_are_swept_and_compared_where_nobody_lives(call, files: Path) -> None:
    path = scenario(files)
    lanes = 'name = "narrow"\nchanges = [{ change = "speed", kmh = 10, links = [0, 2] }]\n'
    path.write_text(
        path.read_text() + f'[[design]]\n{lanes}[sweep.parameters]\n"design.narrow.built" = [false, true]\n'
    )
    assert call("sweep", "crossing.toml", "--out", "out").code == 0
    minutes = Results(files / "out").summary["minutes_by_car"]
    # 200 m at 13.89 m/s and at 10 km/h, and a wait at the signal
    assert minutes[1] - minutes[0] > (200 / (10 / 3.6) - 200 / 13.89 - 50) / 60
    answer = call("compare", "out")
    assert answer.code == 0
    assert "vehicle-km" in answer.out


def test_lines_with_the_meaning_of_their_columns(call, tmp_path: Path) -> None:
    geopandas.GeoDataFrame(
        {"oneway": ["yes", "no"], "vmax": [30, 50], "street": ["Quay", "Bridge"]},
        geometry=[shapely.LineString([(0, 0), (100, 0)]), shapely.LineString([(100, 0), (200, 0)])],
        crs="EPSG:32630",
    ).to_file(tmp_path / "sections.gpkg")
    words = ("--direction", "oneway", "--meaning", "yes=along", "--meaning", "no=both")
    made = call("city", "lines", "sections.gpkg", *words, "--speed", "vmax", "--street", "street", "--out", "a.city")
    assert made.code == 0
    links = City.load(tmp_path / "a.city").links
    assert (links.speed * 3.6).round().tolist() == [30, 50, 50]
    given = 'file = "sections.gpkg", direction = "oneway", meaning = { yes = "along", no = "both" }, speed = "vmax"'
    traffic = '[traffic]\ntrip_tables = ["trips.csv"]\nresidents = false'
    (tmp_path / "trips.csv").write_text("depart,from_x,from_y,to_x,to_y\n7:00,200,0,100,0\n")
    (tmp_path / "s.toml").write_text(f'name = "s"\n[city]\nlines = {{ {given} }}\n[clock]\ndays = 1\n{traffic}\n')
    assert call("run", "s.toml", "--out", "out").code == 0
    assert Results(tmp_path / "out").summary["vehicle_km"].tolist() == pytest.approx([0.1])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sumo", "none.net.xml"), "none.net.xml: there is no such file"),
        (("lines", "none.gpkg"), "none.gpkg: there is no such file"),
        (("lines", "none.gpkg", "--meaning", "yes"), "--meaning yes: write VALUE=WORD, as in yes=along"),
    ],
)
def test_mistakes_leave_nothing_behind(call, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    answer = call("city", *words, "--out", "a.city")
    assert answer.code == 2
    assert message in " ".join(answer.err.split())
    assert not (tmp_path / "a.city").exists()


def problems_of(path: Path) -> str:
    with pytest.raises(ScenarioError) as caught:
        Scenario.load(path).check_files()
    return str(caught.value)


def test_files_that_are_missing_are_named_with_their_lines(files: Path) -> None:
    missing = problems_of(scenario(files, additional='"none.add.xml"'))
    assert "crossing.toml:3: city.sumo.additional[0]" in missing
    assert "none.add.xml: no such file" in missing
    missing = problems_of(scenario(files, GIVEN.replace("town.rou", "none.rou")))
    assert "crossing.toml:8: traffic.sumo_routes[0]" in missing
    missing = problems_of(scenario(files, 'matrices = [{ file = "od.csv", zones = "zones.gpkg" }]'))
    assert "traffic.matrices[0].file" in missing
    assert "traffic.matrices[0].zones" in missing


def test_what_needs_people_is_refused(call, files: Path) -> None:
    assert "nobody lives in this city and no trips are given" in problems_of(scenario(files, "residents = true"))
    path = scenario(files)
    path.write_text(path.read_text() + '[epidemic]\ndisease = "covid"\n')
    assert "epidemic.disease: nobody lives in this city; an epidemic needs one with residents" in problems_of(path)
    City.from_sumo(files / "town.net.xml").save(files / "town.city")
    path.write_text(path.read_text().replace(path.read_text().splitlines()[2], 'bundle = "town.city"'))
    assert "nobody lives in this city; an epidemic" in call("check", path).err
    for words in (
        ("city", "contacts", "town.city"),
        ("access", "town.city"),
        ("access", "town.city", "--mode", "transit"),
    ):
        answer = call(*words)
        assert answer.code == 2
        assert "nobody lives" in answer.err


def test_a_policy_changes_nothing_where_nobody_lives(files: Path) -> None:
    from citytwin.runners.model import CityModel

    path = scenario(files)
    path.write_text(path.read_text() + '[hospitals]\n[[policy]]\nname = "closed"\nclose = ["school"]\n')
    assert CityModel(path).run()["summary"]["trips"].tolist() == [1]
