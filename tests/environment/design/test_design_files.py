"""Design files of every format, what is wrong with them, and the file to begin with."""

import json
import sqlite3
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from cities import CRS
from grids import at, box, cars, design, grid_city, link

from citytwin.environment.city import City
from citytwin.environment.design import SPECS, Design, DesignError, read_design, write_template
from citytwin.environment.design import read as reading

LINE = [at(3, 4.05), at(6, 4.05)]
CHANGE = {"change": "close", "to": "motor", "hours": "07:30-09:00", "weekdays": "Mon-Fri"}


@pytest.fixture(scope="module")
def city() -> City:
    return grid_city()


def geojson(folder: Path, *features: dict, crs: str | None = CRS, name: str = "a.geojson") -> Path:
    listed = [
        {
            "type": "Feature",
            "properties": {key: value for key, value in feature.items() if key != "geometry"},
            "geometry": feature.get("geometry"),
        }
        for feature in features
    ]
    data = {"type": "FeatureCollection", "features": listed}
    data |= {} if crs is None else {"crs": {"type": "name", "properties": {"name": crs}}}
    (folder / name).write_text(json.dumps(data))
    return folder / name


def refused(made, *told: str) -> None:
    """Assert that something is refused with each of some texts in the message."""
    with pytest.raises(DesignError) as caught:
        made()
    for text in told:
        assert text in str(caught.value), f"{text!r} not in {caught.value}"


# ---------------------------------------------------------------------- formats


def test_all_formats_say_the_same(tmp_path: Path) -> None:
    shape = {"type": "LineString", "coordinates": LINE}
    as_json = geojson(tmp_path, CHANGE | {"geometry": shape})
    frame = geopandas.GeoDataFrame([CHANGE], geometry=[shapely.LineString(LINE)], crs=CRS)
    frame.to_file(tmp_path / "a.gpkg", layer="whatever")
    rows = "\n".join(f"{name} = {json.dumps(value)}" for name, value in CHANGE.items())
    (tmp_path / "a.toml").write_text(f'name = "a"\ncrs = "{CRS}"\n[[change]]\n{rows}\nline = {LINE}\n')
    designs = [read_design(file) for file in (as_json, tmp_path / "a.gpkg", tmp_path / "a.toml")]
    assert designs[0].changes == designs[1].changes == designs[2].changes
    assert {made.name for made in designs} == {"a"}
    for made in designs:
        again = Design.from_dict(json.loads(json.dumps(made.to_dict())))
        assert again.changes == made.changes and again.crs == made.crs


def test_geojson_is_longitude_and_latitude(tmp_path: Path, city: City) -> None:
    line = geopandas.GeoSeries([shapely.LineString(LINE)], crs=CRS).to_crs("EPSG:4326").iloc[0]
    file = geojson(tmp_path, {"change": "close", "geometry": shapely.geometry.mapping(line)}, crs=None)
    assert not cars(read_design(file).apply(city), link(city, (4, 4), (5, 4)))


def test_editors_leave_columns_empty(tmp_path: Path) -> None:
    table = {"change": ["close", "speed"], "to": ["cars", None], "kmh": [np.nan, 30.0], "note": ["why", None]}
    lines = [shapely.LineString(LINE)] * 2
    geopandas.GeoDataFrame(table, geometry=lines, crs=CRS).to_file(tmp_path / "a.gpkg")
    closed, slowed = read_design(tmp_path / "a.gpkg").changes
    assert closed.values["to"] == "cars"
    assert slowed.values["kmh"] == 30.0


def test_streets_may_be_named_in_toml(tmp_path: Path, city: City) -> None:
    (tmp_path / "a.toml").write_text('[[change]]\nchange = "close"\nstreet = ["Row 2", "Row 3"]\nfrom = 2026-05-01\n')
    made = read_design(tmp_path / "a.toml")
    assert made.name == "a"
    assert len(made.check(city)[0]["links"]) == 40
    assert made.changes[0].when.first.isoformat() == "2026-05-01"


# ---------------------------------------------------------------------- the file to begin with


def test_a_template_is_filled_in_and_read(tmp_path: Path, city: City) -> None:
    file = write_template(city, tmp_path / "design.gpkg")
    streets = geopandas.read_file(file, layer="streets")
    assert len(streets) == len(city.links)
    assert streets["name"].tolist() == city.layer("roads")["name"].tolist()
    assert streets.crs == CRS
    assert read_design(file).changes == ()
    for layer, shape, values in (
        ("changes_lines", shapely.LineString(LINE), {"change": "one_way"}),
        ("changes_areas", shapely.Polygon(box(6.5, 6.5, 8.5, 8.5)), {"change": "speed", "kmh": 20.0}),
        ("changes_points", shapely.Point(at(1.5, 1)), {"change": "filter", "buses": False}),
    ):
        empty = geopandas.read_file(file, layer=layer)
        assert len(empty) == 0 and empty.crs == CRS
        assert set(values) < set(empty.columns)
        row = geopandas.GeoDataFrame([values], geometry=[shape], crs=CRS).reindex(columns=empty.columns)
        row.to_file(file, layer=layer, mode="a")
    made = read_design(file)
    assert sorted(change.kind for change in made.changes) == ["filter", "one_way", "speed"]
    after = made.apply(city)
    assert cars(after, link(city, (4, 4), (5, 4))) and not cars(after, link(city, (5, 4), (4, 4)))
    assert after.links.speed[link(city, (7, 7), (8, 7))] * 3.6 == pytest.approx(20)
    assert after.links.access[link(city, (1, 1), (2, 1))] == 6
    # and a feature that is there is changed
    edited = geopandas.read_file(file, layer="changes_areas")
    edited["kmh"] = 10.0
    edited.to_file(file, layer="changes_areas")
    again = read_design(file).apply(city)
    assert again.links.speed[link(city, (7, 7), (8, 7))] * 3.6 == pytest.approx(10)


def test_a_template_has_a_column_for_every_parameter(tmp_path: Path, city: City) -> None:
    file = write_template(city, tmp_path / "design.gpkg")
    for layer, shape in (("changes_lines", "line"), ("changes_areas", "area"), ("changes_points", "point")):
        columns = set(geopandas.read_file(file, layer=layer).columns)
        for spec in SPECS.values():
            if shape in spec.shapes:
                assert set(spec.parameters) <= columns


def test_a_template_never_overwrites(tmp_path: Path, city: City) -> None:
    (tmp_path / "design.gpkg").write_text("mine")
    refused(lambda: write_template(city, tmp_path / "design.gpkg"), "exists already")
    refused(lambda: write_template(city, tmp_path / "design.shp"), "must end with .gpkg")
    refused(lambda: write_template(city, tmp_path / "none" / "design.gpkg"), "no folder")


# ---------------------------------------------------------------------- mistakes


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    point = {"type": "Point", "coordinates": at(1, 1)}
    file = geojson(
        tmp_path,
        {"change": "clsoe", "geometry": point},
        {"change": "speed", "kmh": 900, "geometry": point},
        {"change": "speed", "kph": 30, "geometry": point},
        {"change": "one_way", "geometry": point},
        {"change": "facility", "kind": "primary", "geometry": point},
        {"change": "superblock", "geometry": point},
        {"change": "superblock", "hours": "07:00-08:00"},
        {"geometry": point},
    )
    refused(
        lambda: read_design(file),
        "a.geojson: feature 1: change: there is none called 'clsoe'",
        "did you mean 'close'?",
        "a.geojson: feature 2 (speed): kmh: must be a number from 3 to 150 (given 900)",
        "feature 3 (speed): 'kph': unknown parameter",
        "did you mean 'kmh'?",
        "feature 3 (speed): kmh: is missing",
        "feature 4 (one_way): heading: is missing",
        "feature 5 (facility): places: is missing",
        "feature 6 (superblock): is drawn as Point; allowed: area",
        "feature 7 (superblock): hours: this change is permanent",
        "feature 7 (superblock): where is missing",
        "feature 8: 'change' is missing",
    )


def test_what_is_given_but_wrong_is_not_called_missing() -> None:
    school = {"change": "facility", "kind": "primary", "places": 0, "point": [5.0, 52.0]}
    with pytest.raises(DesignError) as error:
        Design.from_dict({"changes": [school]})
    (told,) = error.value.problems
    assert "places: must be a whole number from 1 to 20000 (given 0)" in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"change": "close", "street": "Row 55"}, "there is no street 'Row 55' (did you mean 'Row 5'?)"),
        ({"change": "close", "way": 99_999}, "no street of the city has the identifier 99999"),
        ({"change": "close", "links": [100_000]}, "there is no link 100000; allowed: 0 to 439"),
        ({"change": "close", "point": at(4.5, 4.4)}, "no link lies within 25 m of what is drawn"),
        ({"change": "close", "point": at(4.5, 4.4)}, "the nearest street is 40 m away"),
        ({"change": "one_way", "street": "Row 5", "heading": "north"}, "leads neither north nor back; draw a line"),
        ({"change": "filter", "point": at(5.001, 4)}, "lies on a crossing of 4 streets; put it into the street"),
        ({"change": "close", "point": at(900, 4)}, "lies 89 km away from the city 'Tiny'"),
        ({"change": "bus_lane", "street": "Row 2"}, "has no lane to give (20 links); write takes_lane = false"),
        ({"change": "new_street", "line": [at(4.5, 4.5), at(4.4, 4.6)]}, "neither end lies within 25 m of a street"),
        ({"change": "new_street", "line": [at(4, 4), at(4.01, 4.01)]}, "both ends join the same junction"),
        ({"change": "toll", "amount": 1.0, "area": box(4.2, 4.2, 4.8, 4.8)}, "cars enter this area nowhere"),
    ],
)
def test_what_does_not_fit_the_city(city: City, change: dict, told: str) -> None:
    refused(lambda: design(change).apply(city), "design 'test': feature 1", told)


def test_problems_with_the_city_are_told_at_once(city: City) -> None:
    changes = {"change": "close", "street": "Rwo 5"}, {"change": "speed", "kmh": 30, "point": at(4.5, 4.4)}
    refused(lambda: design(*changes).apply(city), "feature 1 (close): street", "feature 2 (speed): no link lies")


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"change": "speed", "kmh": 50}, "speed 30 km/h and speed 50 km/h"),
        ({"change": "one_way", "heading": "west"}, None),
        ({"change": "speed", "kmh": 30}, None),
    ],
)
def test_contradictions(city: City, other: dict, told: str | None) -> None:
    both = design({"change": "speed", "kmh": 30, "street": "Row 5"}, other | {"street": "Row 5"})
    if told is None:
        both.apply(city)
    else:
        refused(lambda: both.apply(city), "feature 1 (speed) and feature 2", "contradict each other on link", told)


def test_a_street_cannot_be_one_way_in_both_directions(city: City) -> None:
    east, west = ({"change": "one_way", "street": "Row 5", "heading": heading} for heading in ("east", "west"))
    refused(lambda: design(east, west).apply(city), "contradict", "car allowed and car kept out")
    closed = {"change": "close", "street": "Row 5"}
    refused(lambda: design(east, closed).apply(city), "contradict")


def test_wrong_coordinate_systems(tmp_path: Path, city: City) -> None:
    shape = {"type": "LineString", "coordinates": LINE}
    metres = geojson(tmp_path, {"change": "close", "geometry": shape}, crs=None)
    refused(lambda: read_design(metres).apply(city), "is no longitude and latitude", CRS)
    other = geojson(tmp_path, {"change": "close", "geometry": shape}, crs="EPSG:32633")
    refused(lambda: read_design(other).apply(city), "km away from the city", "EPSG:32633", CRS)
    none = geojson(tmp_path, {"change": "close", "geometry": shape}, crs="EPSG:nonsense")
    refused(lambda: read_design(none), "'EPSG:nonsense' is no coordinate system")


@pytest.mark.parametrize(
    ("geometry", "told"),
    [
        ({"type": "Polygon", "coordinates": [[at(0, 0), at(1, 1), at(1, 0), at(0, 1), at(0, 0)]]}, "Self-intersection"),
        ({"type": "LineString", "coordinates": [at(1, 1), at(1, 1)]}, "has no length"),
        ({"type": "LineString", "coordinates": [at(1, 1)]}, "is not a LineString"),
        ({"type": "Point", "coordinates": [1e300, 2]}, "not finite or far too large"),
        ({"type": "Point", "coordinates": ["a", 2]}, "must be two numbers"),
        ({"type": "Point", "coordinates": []}, "must be two numbers"),
        ({"type": "Polygon", "coordinates": at(1, 1)}, "not nested as they must be"),
        ({"type": "Polygon", "coordinates": []}, "is empty"),
        ({"type": "GeometryCollection", "geometries": []}, "is not drawn here"),
        ("LINESTRING (0 0, 1 1)", "is not a geometry of GeoJSON"),
    ],
)
def test_broken_geometries(tmp_path: Path, geometry: object, told: str) -> None:
    file = geojson(tmp_path, {"change": "close", "geometry": geometry})
    refused(lambda: read_design(file), "feature 1", told)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.shp", b"", "a design is a file .gpkg, .geojson, .json, .toml"),
        ("a.gpkg", b"not a database, whatever it says", "is not a GeoPackage"),
        ("a.gpkg", b"SQLite format 3\0and then nothing", "cannot be read as a GeoPackage"),
        ("a.geojson", b"{", "not valid JSON"),
        ("a.geojson", b"[" * 100_000, "not valid JSON"),
        ("a.geojson", b'{"type": "Feature"}', "must be a FeatureCollection"),
        ("a.geojson", b"\xff\xfe", "is not UTF-8 text"),
        ("a.toml", b"[[change]\n", "not valid TOML"),
        ("a.toml", b'[[changes]]\nchange = "close"\n', "changes: unknown key; allowed: name, crs, [[change]]"),
        ("a.toml", b'change = "close"\n', "must be a list of tables"),
        ("a.toml", b'[[change]]\nchange = "close"\nhours = nan\nlinks = 1\n', "never"),
    ],
)
def test_files_that_are_none(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    if told == "never":  # nan is what tables hold where there is nothing
        assert read_design(tmp_path / name).changes[0].when.always
    else:
        refused(lambda: read_design(tmp_path / name), name, told)
    refused(lambda: read_design(tmp_path / f"none{name}"), f"none{name}")


def test_a_geopackage_without_changes(tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(at(1, 1))], crs=CRS)
    frame.to_file(tmp_path / "a.gpkg", layer="points")
    refused(lambda: read_design(tmp_path / "a.gpkg"), "no layer has a column 'change'; layers: 'points'")
    with sqlite3.connect(tmp_path / "b.gpkg") as database:
        database.execute("create table t (change text)")
    database.close()
    refused(lambda: read_design(tmp_path / "b.gpkg"), "b.gpkg")


def test_layers_in_two_systems(tmp_path: Path) -> None:
    for layer, crs in (("a", CRS), ("b", "EPSG:32632")):
        frame = geopandas.GeoDataFrame({"change": ["filter"]}, geometry=[shapely.Point(at(1, 1))], crs=crs)
        frame.to_file(tmp_path / "a.gpkg", layer=layer)
    refused(lambda: read_design(tmp_path / "a.gpkg"), "several coordinate systems")


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = geojson(tmp_path, *[{"change": "filter", "geometry": {"type": "Point", "coordinates": at(1, 1)}}] * 6)
    monkeypatch.setattr(reading, "MOST_CHANGES", 5)
    refused(lambda: read_design(file), "6 changes; allowed: 5")
    monkeypatch.setattr(reading, "MOST_POINTS", 5)
    monkeypatch.setattr(reading, "MOST_CHANGES", 10)
    refused(lambda: read_design(file), "6 corners in all geometries; allowed: 5")
    monkeypatch.setattr(reading, "MOST_BYTES", 10)
    refused(lambda: read_design(file), "a design has at most 10")


def test_what_touches_too_much_is_refused(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("citytwin.environment.design.design.MOST_TOUCHED", 100)
    refused(lambda: design({"change": "speed", "kmh": 30, "area": box(-1, -1, 11, 11)}).apply(city), "make it smaller")


def test_a_city_whose_streets_have_no_names() -> None:
    city = City.synthetic(1_000)
    made = Design.from_dict({"changes": [{"change": "close", "street": "Main Street"}]})
    refused(lambda: made.apply(city), "the streets of this city have no names")


def test_messages_hold_no_control_characters() -> None:
    refused(lambda: design({"change": "clo\x1b[2Jse", "point": at(1, 1)}), "there is none called")
    with pytest.raises(DesignError) as caught:
        design({"change": "close", "b\x1bad": 1, "point": at(1, 1)})
    assert "\x1b" not in str(caught.value)
