"""Incomes of households: the distribution of the country, alike among neighbours, and nothing else moved by them."""

import hashlib
import json
import os
from pathlib import Path

import geopandas
import numpy as np
import pandas
import pytest

from citytwin.environment.builders import populate
from citytwin.environment.builders.incomes import (
    BETWEEN_ZONES,
    FADING,
    GINI,
    _field,
    draw_incomes,
    spread_of,
)
from citytwin.environment.city import City
from citytwin.environment.equity import gini, theil
from citytwin.environment.schema import SCHEMA, CityError


def digest(city: City) -> str:
    """Return a hash of all columns but the incomes."""
    found = hashlib.sha256()
    for table in ("people", "households", "places", "sites", "buildings", "zones", "nodes", "links", "turns"):
        for name in SCHEMA[table]:
            if name != "income":
                found.update(f"{table}/{name}".encode() + np.ascontiguousarray(getattr(city, table)[name]).tobytes())
    for schedule in city.schedules:
        found.update(schedule.place.tobytes() + schedule.start.tobytes() + schedule.end.tobytes())
    return found.hexdigest()


def test_nothing_else_of_a_city_depends_on_incomes(monkeypatch):
    with_incomes = City.synthetic(2_000, seed=7)
    monkeypatch.setattr(populate, "draw_incomes", lambda zone, *_: np.ones(len(zone), np.float32))
    assert digest(City.synthetic(2_000, seed=7)) == digest(with_incomes)


@pytest.mark.parametrize("country", sorted(GINI))
def test_the_distribution_is_that_of_the_country(country):
    city = City.synthetic(20_000, seed=3, country=country)
    income = city.households.income[city.people.household].astype(float)
    assert gini(income) == pytest.approx(GINI[country], abs=0.003)  # dealt to whole households
    assert np.median(income) == pytest.approx(1.0, abs=0.01)
    assert theil(income) == pytest.approx(spread_of(GINI[country]) ** 2 / 2, rel=0.03)  # of a lognormal
    assert GINI[country] > 0.2


def test_zones_hold_their_share_of_the_variance():
    rng = np.random.default_rng(1)
    zone, size = rng.integers(0, 60, 40_000), rng.integers(1, 6, 40_000)
    x, y = rng.uniform(0, 9_000, (2, 60))
    income = np.log(draw_incomes(zone, size, x, y, 5, 0.3).astype(float))
    mean = np.average(income, weights=size)
    people = np.bincount(zone, size)
    of_zone = np.bincount(zone, size * income) / people
    between = np.average((of_zone - mean) ** 2, weights=people)
    assert between / np.average((income - mean) ** 2, weights=size) == pytest.approx(BETWEEN_ZONES, abs=0.02)


def test_neighbouring_zones_are_alike_as_far_as_stated():
    """Correlation of the field over many seeds is exp(−distance/FADING); 400 seeds give a standard error of 0.05."""
    x = np.array([0.0, 300.0, 1_200.0, 6_000.0])
    fields = np.array([_field(x, np.zeros(4), seed) for seed in range(400)])
    found = np.corrcoef(fields.T)[0]
    assert found == pytest.approx(np.exp(-x / FADING), abs=0.15)
    assert fields.mean() == pytest.approx(0.0, abs=0.1 * fields.std())


def test_incomes_are_drawn_by_the_seed_alone():
    zone, size = np.arange(500) % 3, np.full(500, 2)
    x, y = np.array([0.0, 500.0, 4_000.0]), np.zeros(3)
    one, again, other = (draw_incomes(zone, size, x, y, seed, 0.3) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.array_equal(np.sort(one), np.sort(other))  # the same incomes, dealt otherwise
    alone = draw_incomes(np.zeros(5, int), np.arange(1, 6), np.zeros(1), np.zeros(1), 1, 0.3)
    assert np.isfinite(alone).all()


def test_a_bundle_of_before_is_read_without_incomes(tmp_path):
    city = City.synthetic(1_500, seed=1)
    old = city.save(tmp_path / "old.city")
    head = json.loads((old / "city.json").read_text())
    del head["checksums"]["households/income.npy"]
    (old / "households" / "income.npy").unlink()
    (old / "city.json").write_text(json.dumps(head | {"schema_version": 2}))
    read = City.load(old)
    assert np.isnan(read.households.income).all()
    assert digest(read) == digest(city)
    assert np.isnan(City.load(read.save(tmp_path / "new.city")).households.income).all()
    (old / "city.json").write_text(json.dumps(head))
    with pytest.raises(CityError, match=r"income\.npy: column is missing"):
        City.load(old)


def test_incomes_that_cannot_be_are_refused():
    city = City.one_place(4)
    tables = {table: dict(getattr(city, table)) for table in SCHEMA}
    for wrong in ([1.0, 2.0, np.nan, 1.0], [1.0, 0.0, 1.0, 1.0]):
        tables["households"]["income"] = np.array(wrong, np.float32)
        with pytest.raises(CityError, match="incomes must be numbers above 0, or all unknown"):
            City(city.info, tables, city.schedules)


def test_constants_are_those_of_barcelona():
    """Mean household incomes of 73 neighbourhoods by the root of their household size: variance and how it fades."""
    root = Path(os.environ.get("CITYTWIN_DATA", "")) / "barcelona_city"
    if not (root / "geo" / "barris.geojson").is_file():
        pytest.skip("needs barcelona_city under CITYTWIN_DATA; see tests/DATA.md")
    table = pandas.read_csv(root / "population" / "barris_population_age_households.csv")
    shapes = geopandas.read_file(root / "geo" / "barris.geojson").to_crs(25831)
    points = shapes.set_index(shapes["BARRI"].astype(int)).geometry.representative_point()[table["Codi_Barri"]]
    people = table["Hab"].to_numpy(float)
    income = np.log(table["Dom_renta_EUR"] / np.sqrt(people / table["Dom"])).to_numpy()
    income = income - np.average(income, weights=people)
    variance = np.average(income**2, weights=people)
    assert variance / spread_of(GINI["ES"]) ** 2 == pytest.approx(BETWEEN_ZONES, abs=0.005)
    apart = np.hypot(*(axis[:, None] - axis for axis in (points.x.to_numpy(), points.y.to_numpy())))
    near = (apart > 0) & (apart < 4_000)
    product, weight = np.outer(income, income)[near] / variance, np.outer(people, people)[near]
    errors = {
        reach: np.average((product - np.exp(-apart[near] / reach)) ** 2, weights=weight)
        for reach in range(600, 3_001, 200)
    }
    assert min(errors, key=errors.get) == FADING
