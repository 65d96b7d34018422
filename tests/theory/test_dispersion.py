"""Dispersion against the Gaussian plume.

Formula: C(x, y) = Q / (π σy σz u) · exp(−y² / 2 σy²) at the ground, for a source Q [g/s] at the ground, wind u [m/s] and
reflection at the ground; σy, σz Briggs's urban values (Gifford 1976). The vertical spread adds the wake, in squares.
Limit: far from the source, seen with small cells, where the size of a cell no longer matters. Accepted error: 0.5 %, of
which the source's own size is 3 (cell² / 12) / x² = 0.01 % at 1 km and the cell's crosswind width (cell / σy)² / 12 = 0.3 %.
Mass: what is in the air is what was emitted in the time that the wind takes to the plume's end, exactly.
"""

import numpy as np
import pytest

from citytwin.environment.air.dispersion import Weather, concentration, plume_depth, plume_kernel, plume_spread

CELL = 25.0
FLAT = {"mixing_height": 1.0, "reach": 2000.0}  # below the wake's depth: a layer of the same depth everywhere


@pytest.fixture(scope="module")
def west_wind():
    return Weather(speed=3.0, direction=270.0, reach=2500.0)


@pytest.fixture(scope="module")
def kernel(west_wind):
    return plume_kernel(west_wind, CELL)


@pytest.mark.parametrize("distance", [1000, 1500, 2000])
def test_plume(kernel, west_wind, distance):
    half = kernel.shape[0] // 2
    across = np.arange(-10, 11)
    sigma_y, sigma_z = plume_spread(distance)
    sigma_z = np.hypot(sigma_z, west_wind.wake)
    expected = np.exp(-0.5 * (across * CELL / sigma_y) ** 2) / (np.pi * sigma_y * sigma_z * west_wind.speed)
    near = np.abs(across * CELL) < sigma_y
    found = kernel[half + across, half + distance // int(CELL)]
    np.testing.assert_allclose(found[near], expected[near], rtol=5e-3)


def test_same_mass_passes_every_distance(kernel, west_wind):
    """Crosswind sum of concentration times depth times wind is the source's strength; depth changes within 1 % a cell."""
    half = kernel.shape[0] // 2
    steps = np.arange(16, 80, 8)
    flux = kernel[:, half + steps].sum(axis=0) * CELL * plume_depth(steps * CELL, west_wind) * west_wind.speed
    np.testing.assert_allclose(flux, 1.0, atol=1e-2)


@pytest.mark.parametrize("direction", [None, 0.0, 33.0, 270.0])
@pytest.mark.parametrize("stability", ["B", "D", "F"])
def test_mass_is_kept(direction, stability):
    weather = Weather(speed=2.0, direction=direction, stability=stability, **FLAT)
    kernel = plume_kernel(weather, 100.0)
    assert kernel.sum() * 100.0**2 == pytest.approx(weather.reach / weather.speed, rel=1e-12)


def test_centre_of_mass_lies_downwind():
    """In a flat layer the mass is even along the wind: its centre is half the reach away, to the north-east here.

    Cells move the centre of a piece by up to 6 % of a side, one way or the other; along the way this cancels to 1 m.
    """
    kernel = plume_kernel(Weather(direction=225.0, **FLAT), 100.0)
    half = kernel.shape[0] // 2
    north, east = (half - np.arange(2 * half + 1)) * 100.0, (np.arange(2 * half + 1) - half) * 100.0
    mass = kernel.sum()
    assert kernel.sum(axis=0) @ east / mass == pytest.approx(1000 / np.sqrt(2), abs=1.0)
    assert kernel.sum(axis=1) @ north / mass == pytest.approx(1000 / np.sqrt(2), abs=1.0)


def test_all_directions_are_alike():
    kernel = plume_kernel(Weather(reach=1500.0), 100.0)
    half = kernel.shape[0] // 2
    for turned in (kernel.T, kernel[::-1], kernel[:, ::-1]):
        np.testing.assert_allclose(turned, kernel, rtol=1e-3, atol=1e-6 * kernel.max())
    assert kernel.argmax() == half * kernel.shape[0] + half
    single = [plume_kernel(Weather(direction=float(d), reach=1500.0), 100.0)[half, half] for d in range(0, 360, 5)]
    np.testing.assert_allclose(np.mean(single), kernel[half, half], rtol=2e-2)


def test_sum_of_sources_on_the_grid():
    """Two sources on a grid smaller than the kernel, by shifting the kernel by hand."""
    kernel = plume_kernel(Weather(direction=300.0, reach=1500.0), 100.0)
    half = kernel.shape[0] // 2
    grams = np.zeros((2, 12, 9))
    grams[0, 3, 4], grams[0, 11, 0], grams[1, 0, 8] = 3600.0, 7200.0, 36.0
    found = concentration(grams, kernel)
    row, column = np.mgrid[0:12, 0:9]

    def alone(at_row, at_column):
        return 1e6 * kernel[half + row - at_row, half + column - at_column]

    np.testing.assert_allclose(found[0], alone(3, 4) + 2 * alone(11, 0), atol=1e-9 * found.max())
    np.testing.assert_allclose(found[1], alone(0, 8) / 100, atol=1e-9 * found.max())


def test_slow_wind_and_stable_air_are_worse():
    def middle(**weather):
        kernel = plume_kernel(Weather(reach=1000.0, **weather), 100.0)
        return kernel[kernel.shape[0] // 2, kernel.shape[0] // 2]

    assert middle(speed=1.5) == pytest.approx(2 * middle(speed=3.0))
    assert middle(stability="F") > middle(stability="D") > middle(stability="A")
