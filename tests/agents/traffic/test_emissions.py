"""Emissions of traffic by link, street and cell."""

import numpy as np
import pytest
from cities import tiny_city
from streets import straight_streets

from citytwin.agents.presence import Presence
from citytwin.agents.traffic.emissions import (
    POLLUTANTS,
    EmissionError,
    cell_grams,
    class_factors,
    factors,
    hourly_flows,
    link_grams,
    mean_factors,
)
from citytwin.agents.vehicles import VehicleKind
from citytwin.environment.air.cells import link_shares
from citytwin.environment.air.dispersion import Weather, concentration, exposure, plume_kernel
from citytwin.environment.air.noise import day_evening_night, levels, share_above, street_power
from citytwin.environment.grid import CityGrid
from citytwin.environment.network.of_city import network_of_city

PETROL = {VehicleKind.CAR: {"car petrol 5": 1.0}, VehicleKind.BUS: {"bus electric": 1.0}}


@pytest.fixture
def streets():
    return straight_streets([0, 400, 400, 0], [0, 0, 300, 300], [0, 1, 2], [1, 2, 3], way=[7, 7, 3])


@pytest.fixture
def table():
    return {
        "quarter": np.array([0, 1, 4, 95, 40]),
        "link": np.array([0, 0, 1, 2, 2]),
        "left": np.array([10, 5, 20, 3, 0]),
        "speed": np.array([50 / 3.6, 20 / 3.6, 2 / 3.6, 200 / 3.6, np.nan]),
    }


def test_grams_by_hand(streets, table):
    grams = link_grams(table, streets, PETROL)
    assert grams.shape == (4, 3, 24)
    at = lambda kmh: class_factors("car petrol 5", [kmh / 3.6])[:, 0]  # noqa: E731
    np.testing.assert_allclose(grams[:, 0, 0], 0.4 * (10 * at(50) + 5 * at(20)), rtol=1e-5)
    np.testing.assert_allclose(grams[:, 1, 1], 0.3 * 20 * at(2), rtol=1e-5)
    np.testing.assert_allclose(grams[:, 2, 23], 0.4 * 3 * at(130), rtol=1e-5)
    assert np.count_nonzero(grams[0]) == 3


def test_kinds_have_their_own_columns(streets, table):
    by_kind = {key: table[key] for key in ("quarter", "link", "speed")}
    by_kind |= {"left_car": table["left"], "left_bus": table["left"], "left_bicycle": table["left"]}
    both, cars = link_grams(by_kind, streets, PETROL), link_grams(table, streets, PETROL)
    wear = class_factors("bus electric", [10.0])[:, 0]
    np.testing.assert_allclose(both[:, 0, 0] - cars[:, 0, 0], 0.4 * 15 * wear, atol=1e-9)


def test_hourly_flows(streets, table):
    by_kind = {key: table[key] for key in ("quarter", "link", "speed")}
    by_kind |= {"left_car": table["left"], "left_truck": [0, 5, 0, 0, 0], "left_bicycle": [9, 9, 9, 9, 0]}
    light, heavy, speed = hourly_flows(by_kind, streets)
    assert light[0, 0] == 15
    assert heavy[0, 0] == 5
    assert heavy.sum() == 5
    assert speed[0, 0] * 3.6 == pytest.approx((10 * 50 + 10 * 20) / 20)
    assert np.isnan(speed).sum() == speed.size - 3
    light, heavy, _ = hourly_flows(table, streets, heavy_share=0.2)
    assert light[1, 1] == pytest.approx(16)
    assert heavy[1, 1] == pytest.approx(4)


def test_tabulated_mix_is_the_mix():
    speed = np.random.default_rng(1).uniform(0, 40, 500)
    one = straight_streets([0, 1000], [0, 0], [0], [1])
    mix = factors().fleet[VehicleKind.CAR]
    expected = sum(share * class_factors(name, speed) for name, share in mix.items())
    np.testing.assert_allclose(mean_factors(VehicleKind.CAR, speed), expected, rtol=1e-12)
    for row in range(0, 500, 50):
        cell = {"quarter": [0], "link": [0], "left": [1], "speed": speed[row : row + 1]}
        np.testing.assert_allclose(link_grams(cell, one)[:, 0, 0], expected[:, row], rtol=1e-5)


def test_mass_stays_in_the_cells():
    rng = np.random.default_rng(5)
    nodes, links = 300, 1000
    city = straight_streets(
        rng.uniform(0, 3000, nodes), rng.uniform(0, 2000, nodes), *rng.integers(0, nodes, (2, links)).astype(np.int32)
    )
    grid = CityGrid((0, 0, 3000, 2000), "EPSG:32631", 70.0)
    shares = link_shares(city, grid)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-12)
    grams = rng.uniform(0, 5, (4, links, 24))
    cells = cell_grams(grams, shares, grid)
    assert cells.shape == (4, 24, *grid.shape)
    np.testing.assert_allclose(cells.sum(axis=(2, 3)), grams.sum(axis=1), rtol=1e-12)


def test_shares_are_lengths_in_cells():
    """Expected from many points along each link, an independent count."""
    rng = np.random.default_rng(2)
    city = straight_streets(rng.uniform(0, 1000, 40), rng.uniform(0, 1000, 40), np.arange(39), np.arange(1, 40))
    grid = CityGrid((0, 0, 1000, 1000), "EPSG:32631", 100.0)
    shares = link_shares(city, grid).toarray()
    at = (np.arange(20_000) + 0.5) / 20_000
    for link in range(0, 39, 6):
        x = city.x[link] + at * (city.x[link + 1] - city.x[link])
        y = city.y[link] + at * (city.y[link + 1] - city.y[link])
        counted = np.bincount(grid.cell_of(x, y), minlength=shares.shape[1]) / len(at)
        np.testing.assert_allclose(shares[link], counted, atol=2e-4)


def test_link_along_a_border_a_point_and_outside():
    city = straight_streets([100, 100, 50, 50, 150, 350], [50, 250, 50, 50, 50, 50], [0, 2, 4], [1, 3, 5])
    grid = CityGrid((0, 0, 200, 250), "EPSG:32631", 100.0)  # three columns, to x = 300
    shares = link_shares(city, grid).toarray()
    np.testing.assert_allclose(shares.sum(axis=1), [1.0, 1.0, 0.75])
    east = grid.cell_of(150, [50, 150, 250])
    np.testing.assert_allclose(shares[0, east], [0.25, 0.5, 0.25])
    assert shares[1, grid.cell_of(50, 50)] == 1.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"left": None}, "no column 'left'"),
        ({"link": [0, 0, 1, 2, 9]}, "link 9 does not exist; there are 0 to 2"),
        ({"quarter": [0, 0, 1, 96, 9]}, "quarter 96"),
        ({"speed": [1, np.nan, 1, 1, 1]}, r"row 1 \(link 0, quarter 1\): 5 vehicles left at nan m/s"),
        ({"left": [1, 1, -1, 1, 1]}, "-1 vehicles"),
    ],
)
def test_bad_tables(streets, table, change, words):
    table = {key: value for key, value in (table | change).items() if value is not None}
    with pytest.raises(EmissionError, match=words):
        link_grams(table, streets)


@pytest.mark.parametrize(
    ("fleet", "words"),
    [
        ({VehicleKind.CAR: {"car petrol 9": 1.0}}, "no class of vehicles 'car petrol 9'; there are: car petrol 4"),
        ({VehicleKind.CAR: {"car petrol 5": 0.9}}, "car: shares sum to 0.9"),
        ({VehicleKind.CAR: {"car petrol 5": 1.5, "car electric": -0.5}}, "share 1.5"),
        ({VehicleKind.BUS: {"bus electric": 1.0}}, "no classes for car; there are mixes for: bus"),
    ],
)
def test_bad_fleets(streets, table, fleet, words):
    with pytest.raises(EmissionError, match=words):
        link_grams(table, streets, fleet)


def test_shipped_fleet_is_whole():
    from citytwin.agents.traffic.emissions import check_fleet

    check_fleet(factors().fleet)
    assert set(factors().fleet) == set(VehicleKind) - {VehicleKind.BICYCLE}


def test_a_day_of_a_city():
    """From the links table of a city to what its people breathe and hear, against a way through by single numbers."""
    city = tiny_city(30)
    network, grid = network_of_city(city), CityGrid.of_city(city, 50.0)
    rng = np.random.default_rng(7)
    busy = {"quarter": np.repeat(np.arange(96, dtype=np.int16), network.links)}
    busy["link"] = np.tile(np.arange(network.links, dtype=np.int32), 96)
    busy["left"] = rng.integers(0, 50, 96 * network.links, np.int32)
    busy["speed"] = rng.uniform(2, 14, 96 * network.links).astype(np.float32)
    grams = link_grams(busy, network)
    cells = cell_grams(grams, link_shares(network, grid), grid)
    np.testing.assert_allclose(cells.sum(axis=(1, 2, 3)), grams.sum(axis=(1, 2)), rtol=1e-12)

    air = concentration(cells, plume_kernel(Weather(reach=1500.0), grid.cell))[POLLUTANTS.index("nox")]
    presence = Presence(city, seed=1)
    places = grid.cell_of(city.places.x, city.places.y)
    breathed = exposure(air, (places[presence.places_at(0, 4 * hour + 2)] for hour in range(24)))
    for person in (0, 3, 11):
        path = [places[presence.place_of(person, 0, 4 * hour + 2)] for hour in range(24)]
        assert breathed[person] == pytest.approx(np.mean([air[hour].flat[cell] for hour, cell in enumerate(path)]))
    home = np.asarray(city.people.household)
    assert (breathed != exposure(air, places[home])).any()

    light, heavy, speed = hourly_flows(busy, network, heavy_share=0.05)
    assert light.sum() + heavy.sum() == pytest.approx(busy["left"].sum())
    lden = day_evening_night(levels(city.places.x, city.places.y, network, street_power(light, speed, heavy)))[home]
    cars = day_evening_night(levels(city.places.x, city.places.y, network, street_power(light, speed)))[home]
    assert (lden > cars).all()
    quietest, loudest = lden.min(), lden.max()
    assert 40 < quietest < loudest < 60  # 100 vehicles an hour on each link
    assert share_above(lden, quietest) < 1.0 == share_above(lden, quietest - 0.1)
