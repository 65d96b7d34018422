"""Levels of road noise at points and facades."""

import numpy as np
import pytest
import shapely
from streets import straight_streets

from citytwin.environment.air import AirError, noise
from citytwin.environment.air.noise import day_evening_night, facades, levels, share_above, street_power


@pytest.fixture
def city():
    rng = np.random.default_rng(8)
    return straight_streets(rng.uniform(0, 2000, 60), rng.uniform(0, 1500, 60), *rng.integers(0, 60, (2, 150)))


@pytest.fixture
def power():
    rng = np.random.default_rng(9)
    flow = rng.integers(0, 900, (150, 24)) * (rng.uniform(size=(150, 24)) < 0.8)
    return street_power(flow, np.where(flow > 0, 12.0, np.nan), heavy=0.05 * flow)


def test_kernel_and_its_plain_form_agree(city, power, monkeypatch):
    rng = np.random.default_rng(10)
    x, y = rng.uniform(-400, 2400, 12), rng.uniform(-400, 1900, 12)
    compiled = levels(x, y, city, power, reach=300.0)
    monkeypatch.setattr(noise, "_add_levels", noise._add_levels.py_func)
    np.testing.assert_allclose(levels(x, y, city, power, reach=300.0), compiled, rtol=1e-12)


def test_buckets_miss_no_street(city, power):
    """Every street that is within reach is heard: the sum over streets one by one, each alone in its buckets."""
    rng = np.random.default_rng(11)
    x, y = rng.uniform(-200, 2200, 40), rng.uniform(-200, 1700, 40)
    energy = np.zeros((40, 24))
    for link in range(city.links):
        one = straight_streets(city.x, city.y, city.start[link : link + 1], city.end[link : link + 1])
        arriving = levels(x, y, one, power[link : link + 1], reach=250.0)
        energy += np.where(arriving > noise.QUIET + 1e-6, 10 ** (0.1 * arriving), 0.0)
    together = levels(x, y, city, power, reach=250.0)
    heard = energy > 1e-9
    assert heard.sum() > 500
    np.testing.assert_allclose(together[heard], 10 * np.log10(energy[heard]), atol=1e-6)
    assert (together[~heard] == noise.QUIET).all()


def test_near_is_louder_and_silence_is_silent():
    street = straight_streets([0, 1000], [0, 0], [0], [1])
    power = street_power(np.array([[600.0, 0.0]]), 13.0)
    found = levels([500, 500, 500, 500], [1, 5, 20, 2000], street, power)
    assert found[0, 0] == found[1, 0] > found[2, 0] > 50
    assert found[3, 0] == noise.QUIET
    assert (found[:, 1] == noise.QUIET).all()


def test_street_without_length_and_without_traffic():
    street = straight_streets([0, 0], [0, 0], [0], [1])
    assert (levels([10], [0], street, street_power(np.full((1, 24), 9.0), 10.0)) == noise.QUIET).all()
    empty = levels([10], [0], straight_streets([0, 50], [0, 0], [0], [1]), street_power(np.zeros((1, 24)), np.nan))
    assert (empty == noise.QUIET).all()


def test_facade_is_the_side_to_the_street():
    street = straight_streets([0, 1000], [0, 0], [0], [1])
    houses = [shapely.box(100, 10, 120, 30), shapely.box(300, -50, 310, -20)]
    x, y = facades(houses, street)
    assert y.tolist() == [10.0, -20.0]
    assert 100 <= x[0] <= 120
    assert 300 <= x[1] <= 310


def test_share_above():
    lden = day_evening_night(np.array([50.0, 58.0, 60.0])[:, None] + np.zeros(24))
    assert share_above(lden, 55.0) == 1.0
    assert share_above(lden, 65.0, [5, 3, 2]) == pytest.approx(0.2)
    assert np.isnan(share_above([], 55.0))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: street_power(-1.0, 10.0), "smallest is -1"),
        (lambda: street_power(1.0, np.nan), "speed: must be a number"),
        (
            lambda: levels([0], [0], straight_streets([0, 1], [0, 0], [0], [1]), np.zeros((2, 24))),
            r"must be \(1 links, hours\)",
        ),
        (lambda: day_evening_night(np.zeros((3, 12))), "have 12 hours"),
    ],
)
def test_refused(call, words):
    with pytest.raises(AirError, match=words):
        call()


def test_network_without_coordinates():
    with pytest.raises(AirError, match="no coordinates"):
        levels([0], [0], straight_streets([0, 1], [0, 0], [0], [1]).with_columns(crs=""), np.zeros((1, 24)))
