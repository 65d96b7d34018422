"""Emission curves against published values.

Formula: factor = (a v² + b v + c + d/v) / (e v² + f v + g) · (1 − reduction), v in km/h, g/km (energy MJ/km).
Source: EMEP/EEA air pollutant emission inventory guidebook, chapter 1.A.3.b.i-iv, Appendix 4; wear: chapter
1.A.3.b.vi-vii. The published values below come from elsewhere than the coefficients: the check column of Appendix 4,
and the guidebook's 2013 coefficients of the same curves in their older form (A + C v + E v² + F/v) / (1 + B v + D v²).
Accepted error: half of the last digit that the published value shows; 0.3 % for fuel, whose older table has three digits.
"""

import numpy as np
import pytest

from citytwin.agents.traffic.emissions import class_factors, factors, mean_factors
from citytwin.agents.vehicles import VehicleKind

SPEEDS = np.array([10.0, 20.0, 30.0, 50.0, 80.0, 120.0])
CURVES = list(dict.fromkeys(factors().curves.values()))

TABLES = [  # class, pollutant, g/km at SPEEDS, digits after the point
    ("car petrol 5", "nox", [0.0490, 0.0394, 0.0330, 0.0246, 0.0170, 0.0110], 4),
    ("car petrol 6c", "nox", [0.0602, 0.0498, 0.0418, 0.0305, 0.0195, 0.0105], 4),
    ("car diesel 5", "nox", [0.994, 0.790, 0.674, 0.537, 0.481, 0.723], 3),
    ("car diesel 6dtemp", "nox", [0.625, 0.497, 0.424, 0.338, 0.303, 0.455], 3),
    ("car petrol 6c", "pm", [0.0022, 0.0020, 0.0018, 0.0016, 0.0014, 0.0023], 4),
    ("car diesel 6d", "pm", [0.0040, 0.0027, 0.0020, 0.0015, 0.0011, 0.0009], 4),
]
CHECKS = [  # check column of Appendix 4 at 120 km/h
    ("car petrol 4", "energy", 2.6537, 4),
    ("car petrol 5", "nox", 0.011, 3),
    ("car petrol 6c", "nox", 0.0105, 4),
    ("car diesel 5", "nox", 0.7232, 4),
    ("car diesel 6dtemp", "nox", 0.4551, 4),
    ("car petrol 6c", "pm", 0.0023, 4),
    ("car diesel 6ab", "pm", 0.0009, 4),
]
OLDER = {  # 2013, A to F
    "car petrol 5": (1.891624e-1, 1.571506, 8.154751e-2, 2.732776e-2, -2.488918e-4, -2.684672e-1),
    "car diesel 5": (9.459517e-1, 4.264272e-3, -1.138147e-2, -5.150463e-5, 6.671360e-5, 1.923608),
}


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: f"{curve.classes[0]} {curve.pollutant}")
def test_row_gives_its_check_value(curve):
    speed, value = curve.check
    if curve.check_from == "Appendix 4":
        digits = len(repr(value).split(".")[1])
        assert abs(curve.at(speed) - value) <= 0.5 * 10.0**-digits
    else:
        assert curve.at(speed) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: f"{curve.classes[0]} {curve.pollutant}")
def test_row_ends_where_its_speeds_end(curve):
    slowest, fastest = curve.speeds
    beyond = curve.at([0.0, slowest / 2, slowest, fastest, fastest + 0.1, 999.0])
    assert (beyond[:3] == beyond[2]).all()
    assert (beyond[3:] == beyond[3]).all()
    assert (curve.at(np.linspace(slowest, fastest, 500)) > 0).all()


@pytest.mark.parametrize(("name", "pollutant", "values", "digits"), TABLES)
def test_published_tables(name, pollutant, values, digits):
    found = factors().curves[name, pollutant].at(SPEEDS)
    assert np.abs(found - values).max() <= 0.5001 * 10.0**-digits


@pytest.mark.parametrize(("name", "pollutant", "value", "digits"), CHECKS)
def test_check_column_of_the_spreadsheet(name, pollutant, value, digits):
    assert abs(factors().curves[name, pollutant].at(120.0) - value) <= 0.5 * 10.0**-digits


@pytest.mark.parametrize("name", OLDER)
def test_older_form_of_the_same_curve(name):
    a, b, c, d, e, f = OLDER[name]
    speed = np.linspace(10.0, 130.0, 60)
    older = (a + c * speed + e * speed**2 + f / speed) / (1 + b * speed + d * speed**2)
    np.testing.assert_allclose(factors().curves[name, "nox"].at(speed), older, rtol=2e-5)


def test_petrol_car_follows_the_fuel_curve_of_2013():
    """Table 3-41: FC = (174 + 0.364 v + 0.00874 v²) / (1 + 0.0685 v − 0.000247 v²) g/km; 3.17 g of CO2 per g."""
    speed = np.array([10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 120.0])
    fuel = (174 + 0.364 * speed + 8.74e-3 * speed**2) / (1 + 0.0685 * speed - 2.47e-4 * speed**2)
    co2 = class_factors("car petrol 5", speed / 3.6)[0]
    np.testing.assert_allclose(co2, 3.17 * fuel, rtol=3e-3)
    published = np.array([341, 258, 216, 192, 178, 171, 168, 175, 192])  # rounded to whole grams
    assert (np.abs(co2 - published) <= 0.5 + 3e-3 * published).all()


def test_electric_cars_leave_what_wears_off():
    """Tier 1 of chapter 1.A.3.b.vi-vii: tyres and brakes 0.0138, road 0.0075 g/km of PM10 for a car."""
    co2, nox, pm10, pm25 = class_factors("car electric", SPEEDS / 3.6)
    assert not co2.any()
    assert not nox.any()
    np.testing.assert_allclose(pm10, 0.0138 + 0.0075, atol=1e-4)
    np.testing.assert_allclose(pm25, 0.0074 + 0.0041, atol=1e-4)
    heavy = class_factors("truck electric", SPEEDS / 3.6)[2]
    np.testing.assert_allclose(heavy, 0.0590 + 0.0380, atol=1e-4)


def test_congestion_costs():
    """Every kind of vehicle emits more CO2 a kilometre at 10 km/h than at 50, and no factor is negative anywhere."""
    speed = np.linspace(0.0, 60.0, 601)
    for kind in (VehicleKind.CAR, VehicleKind.TRUCK, VehicleKind.BUS):
        slow, fast = mean_factors(kind, [10 / 3.6, 50 / 3.6])[0]
        assert slow > 1.5 * fast
    for name in factors().classes:
        assert (class_factors(name, speed) >= 0).all()
