"""Exposure of people to what is in the air, and weather that is refused."""

import numpy as np
import pytest

from citytwin.environment.air import AirError
from citytwin.environment.air.dispersion import Weather, exposure, plume_kernel

LEVELS = np.arange(12.0).reshape(2, 2, 3)


def test_at_home():
    np.testing.assert_array_equal(exposure(LEVELS, np.array([0, 5, -1])), [3.0, 8.0, 0.0])


def test_where_people_are():
    hours = (np.array(cells) for cells in ([0, 5, 1], [5, 0, -1]))
    np.testing.assert_array_equal(exposure(LEVELS, hours), [(0 + 11) / 2, (5 + 6) / 2, 1 / 2])


@pytest.mark.parametrize("hours", [1, 3])
def test_hours_must_fit(hours):
    with pytest.raises(AirError, match="one array of cells for each of the 2 hours"):
        exposure(LEVELS, [np.array([0, 1])] * hours)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"stability": "G"}, "stability 'G'; allowed are A, B"),
        ({"speed": 0.0}, "speed is 0.0, must be above 0"),
        ({"reach": 2e4}, "to 10000 m"),
        ({"direction": np.nan}, "degrees from north"),
    ],
)
def test_weather_refused(settings, words):
    with pytest.raises(AirError, match=words):
        Weather(**settings)


def test_cell_refused():
    with pytest.raises(AirError, match="cell of 0"):
        plume_kernel(Weather(), 0.0)
