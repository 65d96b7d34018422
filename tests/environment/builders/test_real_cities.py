"""Whole cities from real files: OpenStreetMap towns and a census; the data sets are described in tests/DATA.md."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from citytwin.environment.city import City, CityError
from citytwin.environment.places import PlaceKind

DATA = os.environ.get("CITYTWIN_DATA")
needs_data = pytest.mark.skipif(
    DATA is None, reason="CITYTWIN_DATA is unset; tests/DATA.md says where the sets are from"
)
FOLDER = Path(DATA or ".")

AGES = {"0-15": "Hab_00_15_Age", "16-24": "Hab_16_24_Age", "25-39": "Hab_25_39_Age", "40-64": "Hab_40_64_Age"}
AGES["65+"] = "Hab_65_nn_Age"


def write_census(folder: Path) -> Path:
    """Write the description of Barcelona's table."""
    source = FOLDER / "barcelona_city"
    lines = [
        f'zones = "{source / "geo" / "barris.geojson"}"',
        f'table = "{source / "population" / "barris_population_age_households.csv"}"',
        'zones_key = "BARRI"',
        'table_key = "Codi_Barri"',
        'name = "NOM"',
        'inhabitants = "Hab"',
        "[ages]",
        *(f'"{label}" = "{column}"' for label, column in AGES.items()),
        "[households]",
        *(f'"{size}" = "Dom_{size:02}_Pers"' for size in range(1, 9)),
        '"9+" = "Dom_09_nn_Pers"',
    ]
    path = folder / "barcelona.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@needs_data
def test_kampen_is_a_whole_town(tmp_path):
    city = City.from_osm(FOLDER / "kampen_flood_city" / "kampen.osm.pbf")
    assert len(city.people) == 54_319
    homes = city.places.building[: city.homes]
    assert (city.buildings.dwellings[homes] > 0).all()
    for kind in (PlaceKind.PRIMARY, PlaceKind.SECONDARY, PlaceKind.WORK, PlaceKind.SHOP, PlaceKind.LEISURE):
        assert (city.places.kind == kind).sum() > 30, kind
    assert any("OpenStreetMap" in source.attribution for source in city.info.sources)
    again = City.load(city.save(tmp_path / "kampen.city"))
    assert again.counts() == city.counts()
    assert again.info.report == city.info.report
    for schedule in again.schedules:
        length = schedule.end.astype(int) - schedule.start
        assert (np.add.reduceat(length, schedule.first[:-1]) == 96).all()


@needs_data
@pytest.mark.parametrize(
    ("file", "people"), [("small_osm/monaco.osm.gz", 38_000), ("bayreuth_osm_dem/north_bayreuth.osm.gz", 20_000)]
)
def test_no_venue_is_overrun_where_the_map_knows_few(file, people):
    city = City.from_osm(FOLDER / file, people=people, country="FR")
    assert city.info.report["ages"].startswith("France")
    assert city.info.report["shops assumed in buildings with dwellings"] > 50
    assert city.info.report["venues assumed in buildings with dwellings"] > 50
    venue = np.isin(city.places.kind, [PlaceKind.SHOP, PlaceKind.LEISURE])
    assert max(np.diff(schedule.place_first)[venue].max() for schedule in city.schedules) < 400


@needs_data
def test_number_of_people_is_asked_for_where_the_map_does_not_say():
    with pytest.raises(CityError, match="states no population; give the number of people"):
        City.from_osm(FOLDER / "small_osm" / "helsinki_centre.osm.pbf")
    assert len(City.from_osm(FOLDER / "small_osm" / "helsinki_centre.osm.pbf", people=8_000).people) == 8_000


@needs_data
def test_barcelona_has_the_people_of_its_census(tmp_path):
    """Ages and household sizes of all 73 neighbourhoods, counted in the finished city, against the published table."""
    pandas = pytest.importorskip("pandas")
    city = City.from_census(write_census(tmp_path), seed=3, name="Barcelona")
    source = FOLDER / "barcelona_city"
    table = pandas.read_csv(source / "population" / "barris_population_age_households.csv")
    keys = [
        int(f["properties"]["BARRI"]) for f in json.loads((source / "geo" / "barris.geojson").read_text())["features"]
    ]
    table = table.set_index("Codi_Barri").loc[keys]  # zones keep the order of their file
    zone = city.places.zone[city.people.household]
    bounds = [0, 16, 25, 40, 65, 256]
    ages = np.stack([np.histogram(city.people.age[zone == z], bounds)[0] for z in range(73)])
    assert np.array_equal(ages, table[list(AGES.values())].to_numpy())
    size = np.minimum(np.diff(city.households.first), 9)
    home_zone = city.places.zone[: city.homes]
    sizes = np.stack([np.bincount(size[home_zone == z], minlength=10)[1:] for z in range(73)])
    wanted = table[[f"Dom_{n:02}_Pers" for n in range(1, 9)] + ["Dom_09_nn_Pers"]].to_numpy()
    # beyond the table's households stand units of collective homes, which the table counts as people only
    assert (sizes >= wanted).all()
    share = sizes.sum(0) / sizes.sum() - wanted.sum(0) / wanted.sum()
    assert np.abs(share).max() < 0.01


@needs_data
def test_people_and_census_exclude_each_other(tmp_path):
    with pytest.raises(CityError, match="not both"):
        City.from_osm(FOLDER / "small_osm" / "monaco.osm.gz", people=1, census=write_census(tmp_path))
    with pytest.raises(CityError, match="country or a census, not both"):
        City.from_osm(FOLDER / "small_osm" / "monaco.osm.gz", country="FR", census=write_census(tmp_path))
