"""Road noise against worked values of RLS-19 and its integral.

Emission: LW = A + 10 lg(1 + (v/B)^C) dB(A) for a vehicle at v km/h; LW' = 10 lg Σ n 10^(0.1 LW) / v − 30 for n vehicles an
hour. Worked values: integration test of MATSim's contribution "noise" (NoiseRLS19IT), another implementation of RLS-19.
Propagation: L = 10 lg ∫ 10^(0.1 (LW' − D(s))) dl. Air and ground are taken at the
middle of pieces a quarter as long as they are far; against pieces of 5 cm ours may differ by half of the 0.1 dB to which
levels are reported.
"""

import numpy as np
import pytest
from streets import straight_streets

from citytwin.environment.air import noise
from citytwin.environment.air.noise import HEAVY, LIGHT, TRAILER, day_evening_night, levels, loss, street_power

QUIET_ROAD = {"asphalt": False}


def test_sound_power_of_a_car():
    assert noise.vehicle_power(40 / 3.6, **QUIET_ROAD) == pytest.approx(97.70334139531323, abs=1e-9)


def test_sound_power_of_a_street():
    assert street_power(1800.0, 40 / 3.6, **QUIET_ROAD) == pytest.approx(84.23546653306667, abs=1e-9)


@pytest.mark.parametrize(
    ("group", "speed", "level"), [(LIGHT, 20, 91.0103), (HEAVY, 40, 103.3103), (TRAILER, 50, 108.4103)]
)
def test_at_its_own_scale_a_group_has_3_db_more_than_its_base(group, speed, level):
    """10 lg 2 = 3.0103; light vehicles are never taken as slower than 30 km/h."""
    if speed < group.slowest:
        assert noise.vehicle_power(speed / 3.6, group, **QUIET_ROAD) > level
    else:
        assert noise.vehicle_power(speed / 3.6, group, **QUIET_ROAD) == pytest.approx(level, abs=1e-4)


def test_speed_limits_quieten():
    """From 50 to 30 km/h cars lose 5.9 dB a vehicle and 3.7 dB a street, as they stay longer: by hand from the formula."""
    one = noise.vehicle_power([50 / 3.6, 30 / 3.6], **QUIET_ROAD)
    assert one[0] - one[1] == pytest.approx(10 * np.log10((1 + 2.5**3.06) / (1 + 1.5**3.06)), abs=1e-9)
    street = street_power(500.0, np.array([50, 30]) / 3.6, **QUIET_ROAD)
    assert street[0] - street[1] == pytest.approx(one[0] - one[1] - 10 * np.log10(5 / 3), abs=1e-9)


def test_flows_add():
    doubled = street_power(800.0, 14.0) - street_power(400.0, 14.0)
    assert doubled == pytest.approx(10 * np.log10(2))
    one_truck = street_power(0.0, 50 / 3.6, heavy=1.0, **QUIET_ROAD)
    car = street_power(1.0, 50 / 3.6, **QUIET_ROAD)
    by_hand = 100.3 + 10 * np.log10(1 + 1.25**4.33) - 88.0 - 10 * np.log10(1 + 2.5**3.06)
    assert one_truck - car == pytest.approx(by_hand, abs=1e-9)
    assert by_hand == pytest.approx(5.5, abs=0.1)  # as loud as three or four cars


@pytest.mark.parametrize("distance", [5.0, 12.0, 40.0, 150.0, 400.0])
@pytest.mark.parametrize("start", [-1500.0, 30.0])
def test_street_by_its_integral(distance, start):
    street = straight_streets([start, 1500], [0, 0], [0], [1])
    at = np.arange(start + 0.025, 1500, 0.05)
    way = np.sqrt(at**2 + distance**2 + (4.0 - 0.5) ** 2)
    expected = 80.0 + 10 * np.log10((10 ** (-0.1 * loss(way))).sum() * 0.05)
    found = levels([0.0], [distance], street, np.array([[80.0]]), reach=2000.0)
    assert found[0, 0] == pytest.approx(expected, abs=0.05)


def test_short_street_is_a_point():
    street = straight_streets([-0.5, 0.5], [0, 0], [0], [1])
    for distance in (20.0, 100.0, 300.0):
        way = np.hypot(distance, 4.0 - 0.5)
        found = levels([0.0], [distance], street, np.array([[80.0]]))
        assert found[0, 0] == pytest.approx(80.0 - loss(way), abs=1e-3)


def test_day_evening_night():
    """Annex I of 2002/49/EC: 10 lg(1/24 (12 · 10^(Ld/10) + 4 · 10^((Le + 5)/10) + 8 · 10^((Ln + 10)/10)))."""
    level = np.full(24, 65.0)
    level[19:23], level[23], level[:7] = 62.0, 55.0, 55.0
    expected = 10 * np.log10((12 * 10**6.5 + 4 * 10**6.7 + 8 * 10**6.5) / 24)
    assert day_evening_night(level[None])[0] == pytest.approx(expected)
    assert day_evening_night(np.full((1, 24), 60.0))[0] == pytest.approx(60 + 6.395, abs=1e-3)
