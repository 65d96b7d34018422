"""Census tables by zone: reading, refusing, and whole households that meet them."""

import json
import os
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from citytwin.environment.builders import census_fit
from citytwin.environment.builders.census import ZoneTable, lay_zones, read_zone_table
from citytwin.environment.builders.census_fit import fit_households
from citytwin.environment.builders.fabric import Fabric
from citytwin.environment.builders.households import Households, sample_households
from citytwin.environment.city import CityError

COLUMNS = {
    "zones_key": "code",
    "table_key": "id",
    "name": "label",
    "inhabitants": "people",
    "ages": {"0-15": "young", "16-64": "grown", "65+": "old"},
    "households": {"1": "h1", "2": "h2", "3+": "h3"},
}
ROWS = [
    {"id": "1", "people": "100", "young": "20", "grown": "60", "old": "20", "h1": "20", "h2": "16", "h3": "14"},
    {"id": "2", "people": "61", "young": "11", "grown": "40", "old": "10", "h1": "11", "h2": "10", "h3": "10"},
]


@pytest.fixture
def files(tmp_path):
    """Writes zones and table; returns their paths."""

    def write(rows=ROWS, codes=("01", "02"), separator=",", shapes=None, crs="EPSG:4326"):
        shapes = shapes or [shapely.box(2.1 + 0.02 * i, 41.4, 2.12 + 0.02 * i, 41.42) for i in range(len(codes))]
        frame = geopandas.GeoDataFrame(
            {"code": list(codes), "label": [f"zone {c}" for c in codes]}, geometry=shapes, crs=crs
        )
        zones, table = tmp_path / "zones.geojson", tmp_path / "table.csv"
        frame.to_file(zones, driver="GeoJSON")
        lines = [separator.join(rows[0])] + [separator.join(r.values()) for r in rows]
        table.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return {"zones": zones, "table": table}

    return write


def table_of(inhabitants, ages, households, age_from=(0, 16, 65), open_class=True):
    zones = len(inhabitants)
    frame = geopandas.GeoDataFrame(
        {"name": [f"zone {i}" for i in range(zones)], "key": [str(i) for i in range(zones)]},
        geometry=[shapely.box(1000 * i, 0, 1000 * i + 1000, 1000) for i in range(zones)],
        crs="EPSG:32631",
    )
    households = np.array(households, np.int64)
    sizes = np.arange(1, households.shape[1] + 1)
    return ZoneTable(
        frame, np.array(inhabitants), np.array(age_from), np.array(ages, np.int64), sizes, open_class, households
    )


def by_class(fit, table):
    """Persons by zone and age class, and households by zone and size, counted one by one."""
    ages = np.zeros_like(table.ages)
    homes = np.zeros_like(table.households)
    for h, zone in enumerate(fit.zone):
        people = fit.households.age[fit.households.first[h] : fit.households.first[h + 1]]
        for age in people:
            ages[zone, max(c for c, low in enumerate(table.age_from) if age >= low)] += 1
        if not fit.collective[h]:
            homes[zone, min(len(people), homes.shape[1]) - 1] += 1
    return ages, homes


# ---------------------------------------------------------------------- reading


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_table_is_joined_by_key_in_the_order_of_the_zones(files, separator):
    table = read_zone_table(COLUMNS, **files(rows=ROWS[::-1], separator=separator))
    assert table.zones["name"].tolist() == ["zone 01", "zone 02"]
    assert table.inhabitants.tolist() == [100, 61]
    assert table.ages.tolist() == [[20, 60, 20], [11, 40, 10]]
    assert table.households.tolist() == [[20, 16, 14], [11, 10, 10]]
    assert table.age_from.tolist() == [0, 16, 65]
    assert table.open_class
    assert table.crs == "EPSG:32631"
    assert table.zones.area.to_numpy() == pytest.approx(1668 * 2222, rel=0.01)  # 0.02 x 0.02 degrees at 41.41 N
    assert [len(s.sha256) for s in table.sources] == [64, 64]


def test_mapping_from_a_file_names_the_files_beside_it(files, tmp_path):
    files()
    text = """
        zones = "zones.geojson"
        table = "table.csv"
        zones_key = "code"
        table_key = "id"
        inhabitants = "people"
        source = { name = "Census", licence = "CC BY 4.0", attribution = "Office" }
        [ages]
        "0-15" = "young"
        "16-64" = "grown"
        "65+" = "old"
        [households]
        "1" = "h1"
        "2" = "h2"
        "3+" = "h3"
    """
    path = tmp_path / "census.toml"
    path.write_text(text, encoding="utf-8")
    table = read_zone_table(path)
    assert table.zones["name"].tolist() == ["1", "2"]
    assert {(s.name, s.licence, s.attribution) for s in table.sources} == {("Census", "CC BY 4.0", "Office")}


def test_geopackage(files, tmp_path):
    written = files()
    package = tmp_path / "zones.gpkg"
    geopandas.read_file(written["zones"]).to_crs("EPSG:25831").to_file(package)
    table = read_zone_table(COLUMNS, zones=package, table=written["table"])
    assert table.inhabitants.tolist() == [100, 61]


def refusal(columns=COLUMNS, **paths):
    with pytest.raises(CityError) as caught:
        read_zone_table(columns, **paths)
    return str(caught.value)


def test_all_bad_cells_are_named_at_once(files):
    rows = [ROWS[0] | {"young": "-3", "h2": "many"}, ROWS[1] | {"people": "", "old": "10.5"}]
    paths = files(rows=rows)
    text = refusal(**paths)
    assert len(text.splitlines()) == 4
    for column, zone, words in (
        ("young", "1", "negative"), ("h2", "1", "'many' is not a number"), ("people", "2", "not a number"),
        ("old", "2", "not a whole number"),
    ):  # fmt: skip
        assert any(
            f"column '{column}', zone '{zone}'" in line and words in line and str(paths["table"]) in line
            for line in text.splitlines()
        ), text


def test_zones_that_do_not_meet(files):
    paths = files(codes=("01", "03", "03"))
    text = refusal(**paths)
    assert "zone '3' is not in" in text
    assert "zone '3' stands twice" in text
    assert "zone '2' is not in" in text
    assert str(paths["zones"]) in text
    assert str(paths["table"]) in text


def test_missing_columns_are_named_with_those_there_are(files):
    columns = COLUMNS | {"zones_key": "KODE", "inhabitants": "Hab"}
    text = refusal(columns, **files())
    assert "no column 'KODE'" in text
    assert "no column 'Hab'" in text
    assert "young" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"agess": {}}, "unknown key 'agess'"),
        ({"ages": {}}, "'ages' must give a column"),
        ({"ages": "young"}, "'ages' must give a column"),
        ({"inhabitants": 3}, "'inhabitants' must name a column"),
        ({"ages": {"0-15": "young", "17-64": "grown", "65+": "old"}}, "class '17-64' must be \"16-…\""),
        ({"ages": {"0-15": "young", "16-64": "grown"}}, "class '16-64' must be \"16+\""),
        ({"ages": {"children": "young", "16+": "grown"}}, "class 'children'"),
        ({"ages": {"0+": "young", "16+": "grown"}}, "class '0+'"),
        ({"households": {"1": "h1", "3": "h2"}}, "class '3' must be \"2\""),
        ({"households": {"1+": "h1", "2": "h2"}}, "class '1+' must be \"1\""),
        ({"source": "me"}, "'source' must be a table"),
    ],
)
def test_mappings_that_are_wrong(files, change, words):
    assert words in refusal(COLUMNS | change, **files())


def test_files_that_are_wrong(files, tmp_path):
    paths = files()
    assert "no such file" in refusal(zones=tmp_path / "none.geojson", table=paths["table"])
    assert "must be a file of the kind" in refusal(zones=paths["table"], table=paths["table"])
    assert "'zones' must name a file" in refusal(table=paths["table"])
    broken = tmp_path / "broken.geojson"
    broken.write_text('{"type": "FeatureCollection", "features": [', encoding="utf-8")
    assert "not a readable GeoJSON" in refusal(zones=broken, table=paths["table"])
    latin = tmp_path / "latin.csv"
    latin.write_bytes("id;Größe\n1;2\n".encode("latin-1"))
    assert "UTF-8" in refusal(zones=paths["zones"], table=latin)
    toml = tmp_path / "bad.toml"
    toml.write_text("ages = {", encoding="utf-8")
    assert "not a readable TOML" in refusal(toml, **paths)
    assert "not a readable TOML" in refusal(tmp_path / "none.toml", **paths)
    points = files(shapes=[shapely.Point(2.1, 41.4), shapely.Point(2.2, 41.4)])
    assert "must be a polygon" in refusal(**points)


def test_ages_that_do_not_add_up_are_scaled_and_told(files):
    table = read_zone_table(COLUMNS, **files(rows=[ROWS[0] | {"grown": "160"}, ROWS[1]]))
    # 20, 160 and 20 of 200 become shares of 100
    assert table.ages.tolist() == [[10, 80, 10], [11, 40, 10]]
    (told,) = table.report["zones whose ages do not add up to the inhabitants"]
    assert "zone 01" in told
    assert "200" in told


def test_households_that_hold_too_many_are_scaled_and_told(files):
    table = read_zone_table(COLUMNS, **files(rows=[ROWS[0], ROWS[1] | {"h3": "30"}]))
    # 11 + 2 x 10 + 3 x 30 = 121 persons for 61 inhabitants
    assert table.households[1].tolist() == [11 * 61 // 121, 10 * 61 // 121, 30 * 61 // 121]
    (told,) = table.report["zones whose households hold more than the inhabitants"]
    assert "121" in told
    fit = fit_households(table, seed=1)
    assert np.bincount(np.repeat(fit.zone, fit.households.sizes)).tolist() == [100, 61]


# ---------------------------------------------------------------------- fitting


def test_sizes_ages_and_inhabitants_are_met_exactly():
    table = table_of([1000, 403], [[200, 600, 200], [43, 260, 100]], [[200, 160, 80, 60], [100, 60, 40, 15]])
    fit = fit_households(table, seed=3)
    ages, homes = by_class(fit, table)
    assert np.array_equal(ages, table.ages)
    assert np.array_equal(homes, table.households)
    assert fit.report["ages"]["worst persons"] == 0
    assert fit.report["household sizes"]["worst households"] == 0
    assert fit.households.first[-1] == 1403
    assert fit.households.age.dtype == np.uint8


def test_children_live_with_adults_and_adults_come_first():
    table = table_of([5000], [[1100, 3200, 700]], [[700, 600, 350, 250, 80, 38]])
    households = fit_households(table, seed=1).households
    for h in range(len(households)):
        ages = households.age[households.first[h] : households.first[h + 1]]
        minor = ages < 18
        assert not minor.all()
        assert np.array_equal(minor, np.sort(minor))


def test_every_household_is_one_of_the_sample():
    sample = sample_households(4000, 5)
    ends = zip(sample.first[:-1], sample.first[1:], strict=True)
    known = {(tuple(sample.age[a:b]), tuple(sample.sex[a:b])) for a, b in ends}
    table = table_of([900], [[150, 550, 200]], [[140, 130, 70, 55, 14]], open_class=False)
    households = fit_households(table, sample, seed=2).households
    for a, b in zip(households.first[:-1], households.first[1:], strict=True):
        assert (tuple(households.age[a:b]), tuple(households.sex[a:b])) in known


def test_the_seed_decides():
    table = table_of([1000, 403], [[200, 600, 200], [43, 260, 100]], [[200, 160, 80, 60], [100, 60, 40, 15]])
    one, same, other = (fit_households(table, seed=seed).households for seed in (1, 1, 2))
    assert np.array_equal(one.age, same.age)
    assert np.array_equal(one.sex, same.sex)
    assert not np.array_equal(one.age, other.age)


def test_people_beyond_the_open_class_live_in_collective_homes():
    # 10 households of 3+ hold at least 30, at most 45 of the 100 people beyond singles
    table = table_of([150], [[10, 100, 40]], [[50, 0, 10]])
    fit = fit_households(table, seed=1)
    sizes = fit.households.sizes
    assert sizes[~fit.collective].sum() == 50 + 30 + 15
    assert sizes[fit.collective].sum() == 55
    assert sizes[fit.collective].max() <= census_fit.UNIT
    ages, homes = by_class(fit, table)
    assert np.array_equal(ages, table.ages)
    assert np.array_equal(homes, table.households)
    in_units = np.repeat(fit.collective, sizes)
    assert fit.households.age[in_units].min() >= 16
    assert fit.report["people in collective homes"] == 55
    assert fit.report["zones with over a twentieth in collective homes"] == {"zone 0": round(55 / 150, 3)}


def two_hundred_couples():
    ages, sexes = np.tile(np.array([40, 38], np.uint8), 200), np.tile(np.array([0, 1], np.uint8), 200)
    return Households(np.arange(0, 401, 2, dtype=np.int32), ages, sexes)


def test_sizes_that_the_sample_lacks_are_made_of_others():
    couples = two_hundred_couples()
    table = table_of([3 * 20 + 10 * 8], [[0, 140, 0]], [[0, 0, 20, 0, 0, 0, 0, 10]], open_class=False)
    fit = fit_households(table, couples, seed=1)
    assert np.bincount(fit.households.sizes)[[3, 8]].tolist() == [20, 10]


def test_what_the_sample_cannot_meet_is_told():
    couples = two_hundred_couples()
    table = table_of([100], [[30, 60, 10]], [[0, 50]], open_class=False)
    report = fit_households(table, couples, seed=1).report
    assert report["zones whose ages could not be met"] == ["zone 0"]
    assert report["ages"]["worst persons"] == 40
    assert report["inhabitants"]["worst persons"] == 0


def test_a_zone_without_people_and_one_without_households():
    table = table_of([0, 25, 300], [[0, 0, 0], [0, 15, 10], [50, 200, 50]], [[0, 0], [0, 0], [60, 120]])
    fit = fit_households(table, seed=1)
    assert np.bincount(np.repeat(fit.zone, fit.households.sizes), minlength=3).tolist() == [0, 25, 300]
    assert fit.collective[fit.zone == 1].all()


def test_an_empty_sample_is_refused():
    empty = Households(np.zeros(1, np.int32), np.zeros(0, np.uint8), np.zeros(0, np.uint8))
    with pytest.raises(CityError, match="empty"):
        fit_households(table_of([10], [[0, 10, 0]], [[10]]), empty)


def test_weights_are_those_of_least_relative_entropy():
    """The weights minimise sum w log(w / share) under the same margins: compared with a general-purpose solver."""
    sample = sample_households(400, 8)
    types = census_fit._Types.of(sample, np.array([0, 16, 65]), 3)
    keep = types.size <= 3
    per_size, ages = np.array([0, 40, 35, 25]), np.array([22, 128, 35])
    found = types.weights(per_size, ages)
    assert found @ types.people == pytest.approx(ages, abs=2 * census_fit.CLOSE)
    # the last age class follows from the sizes and the others
    margins = np.concatenate([types.people[keep].T[:-1], [(types.size[keep] == s).astype(float) for s in (1, 2, 3)]])
    wanted = margins @ found[keep]
    assert wanted[2:] == pytest.approx(per_size[1:])
    share = np.exp(types.share[keep])

    def entropy(w):
        return float((w * np.log(np.maximum(w, 1e-12) / share)).sum())

    start = share * per_size[types.size[keep]]
    solved = minimize(
        entropy,
        start,
        jac=lambda w: np.log(np.maximum(w, 1e-12) / share) + 1,
        bounds=[(1e-9, None)] * int(keep.sum()),
        constraints={"type": "eq", "fun": lambda w: margins @ w - wanted, "jac": lambda _: margins},
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-10},
    )
    assert solved.success
    assert found[keep] == pytest.approx(solved.x, abs=0.001)


@settings(max_examples=40, derandomize=True)
@given(
    people=st.integers(150, 1500),
    seed=st.integers(0, 1000),
    bounds=st.lists(st.integers(1, 85), min_size=1, max_size=8, unique=True),
    last=st.integers(2, 8),
)
@example(people=150, seed=0, bounds=[88, 10, 90, 28], last=2)  # two of one class in a large household: no exchange
@example(people=150, seed=0, bounds=[88, 52, 90, 28], last=2)
def test_tables_of_real_households_are_met_exactly(people, seed, bounds, last):
    """A table counted from one sample of households can be met by another sample, to the person."""
    truth = sample_households(people, seed)
    age_from = np.array([0, *sorted(bounds)])
    ages = np.bincount(np.searchsorted(age_from, truth.age, side="right") - 1, minlength=len(age_from))
    sizes = np.bincount(np.minimum(truth.sizes, last), minlength=last + 1)[1:]
    table = table_of([people], [ages], [sizes], age_from)
    fit = fit_households(table, sample_households(20_000, 77), seed=1)
    made_ages, made_sizes = by_class(fit, table)
    assert np.array_equal(made_ages, table.ages)
    assert np.array_equal(made_sizes, table.households)


# ---------------------------------------------------------------------- laying zones over a fabric


def test_zones_are_laid_over_a_fabric_of_another_crs():
    table = table_of([10, 10], [[0, 10, 0], [0, 10, 0]], [[10], [10]])
    spots = geopandas.GeoSeries(
        [shapely.Point(500, 500), shapely.Point(1500, 500), shapely.Point(5000, 500)], crs="EPSG:32631"
    ).to_crs("EPSG:32632")
    columns = {"x": spots.x.to_numpy(), "y": spots.y.to_numpy(), "zone": np.zeros(3, np.int32)}
    old = geopandas.GeoDataFrame({"name": ["all"]}, geometry=[spots.union_all().convex_hull], crs="EPSG:32632")
    fabric = Fabric(
        "town", "EPSG:32632", old, columns | {"dwellings": np.array([4, 5, 6], np.int32)}, dict(columns), {}, {}
    )
    laid = lay_zones(fabric, table)
    assert laid.buildings["zone"].tolist() == [0, 1, 1]
    assert laid.buildings["dwellings"].tolist() == [4, 5, 0]
    assert laid.report["zones"]["buildings outside"] == 1
    assert laid.people == 20
    assert fabric.buildings["dwellings"].tolist() == [4, 5, 6]
    assert laid.zones.crs == "EPSG:32632"


# ---------------------------------------------------------------------- Barcelona


@pytest.fixture(scope="module")
def barcelona():
    folder = os.environ.get("CITYTWIN_DATA")
    if not folder:
        pytest.skip("CITYTWIN_DATA is not set; tests/DATA.md says where the data sets come from")
    root = Path(folder) / "barcelona_city"
    sizes = {str(n): f"Dom_0{n}_Pers" for n in range(1, 9)} | {"9+": "Dom_09_nn_Pers"}
    ages = {"0-15": "00_15", "16-24": "16_24", "25-39": "25_39", "40-64": "40_64", "65+": "65_nn"}
    columns = {
        "zones_key": "BARRI",
        "table_key": "Codi_Barri",
        "name": "NOM",
        "inhabitants": "Hab",
        "ages": {label: f"Hab_{part}_Age" for label, part in ages.items()},
        "households": sizes,
    }
    return read_zone_table(
        columns,
        zones=root / "geo" / "barris.geojson",
        table=root / "population" / "barris_population_age_households.csv",
    )


def test_barcelona_table_is_read_whole(barcelona):
    """Totals of the data set's own description."""
    assert len(barcelona.zones) == 73
    assert barcelona.inhabitants.sum() == 1_639_981
    assert barcelona.ages.sum(0).tolist() == [208_481, 141_192, 367_699, 573_431, 349_178]
    homes = [209_736, 194_381, 120_329, 88_114, 29_223, 10_865, 4_821, 2_365, 2_999]
    assert barcelona.households.sum(0).tolist() == homes
    assert barcelona.report["persons beyond"] == 37_077
    assert not barcelona.report["zones whose ages do not add up to the inhabitants"]
    # the map and the table agree on the districts' area: 101 km2
    assert barcelona.zones.area.sum() == pytest.approx(101.4e6, rel=0.02)
    assert json.dumps(barcelona.report)


def test_barcelona_is_met_to_the_person(barcelona):
    """Every margin of 73 neighbourhoods, counted anew; the bar is one percentage point for the city."""
    fit = fit_households(barcelona, seed=1)
    sizes = fit.households.sizes
    zone = np.repeat(fit.zone, sizes)
    assert np.array_equal(np.bincount(zone, minlength=73), barcelona.inhabitants)
    ages = np.stack([np.histogram(fit.households.age[zone == z], [0, 16, 25, 40, 65, 200])[0] for z in range(73)])
    assert np.array_equal(ages, barcelona.ages)
    own = ~fit.collective
    homes = np.stack([np.histogram(sizes[own & (fit.zone == z)], [*range(1, 10), 10_000])[0] for z in range(73)])
    assert np.array_equal(homes, barcelona.households)
    # with the units of collective homes counted as households of nine and more
    assert fit.report["household sizes with collective units"]["city, worst percentage points"] < 1.0
    minors = np.add.reduceat((fit.households.age < 18).astype(int), fit.households.first[:-1])
    assert (minors < sizes).all()
