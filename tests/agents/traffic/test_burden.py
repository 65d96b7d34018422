"""The burden of a day: passages by kind of vehicle, grams, what people breathe, what they hear."""

from dataclasses import replace

import numpy as np
import pytest
from traffic_networks import Run, network

from citytwin.agents.presence import Presence
from citytwin.agents.traffic.burden import Burden
from citytwin.agents.traffic.emissions import POLLUTANTS, mean_factors
from citytwin.agents.traffic.record import LinkRecord, classes_of
from citytwin.agents.traffic.settings import TrafficSettings
from citytwin.agents.vehicles import VehicleKind
from citytwin.environment.city import City
from citytwin.environment.network.of_city import network_of_city
from citytwin.environment.roads import Access

LINE = ((0, 1), (1, 2), (2, 3))
KINDS = (VehicleKind.CAR, VehicleKind.TRUCK, VehicleKind.BUS, VehicleKind.CAR, VehicleKind.FIRE_ENGINE)


@pytest.fixture(scope="module")
def town():
    return City.synthetic(2_000, seed=5)


class AtHome(Presence):
    """Everybody is at home all the time."""

    def places_at(self, day, slot):  # noqa: ARG002
        return self.city.people.household


class AtWork(Presence):
    """Everybody is in one place, wherever they live."""

    def places_at(self, day, slot):  # noqa: ARG002
        return np.full(len(self.city.people), len(self.city.places) - 1, np.int32)


def passages(streets, at=slice(32, 36), vehicles=40, trucks=0, speed=8.0):
    """Return a record in which vehicles leave all links that cars may use in some quarters of an hour."""
    record = LinkRecord(streets)
    used = np.flatnonzero(streets.usable(1))
    quarters = np.arange(96)[at]
    cell = np.ix_(quarters, used)
    record.left[cell] = record.entered[cell] = vehicles + trucks
    record.left_of[1][cell] = trucks
    record.seconds[cell] = streets.length[used] / speed
    return record


def burden_of(town, record, settings, where=AtHome):
    streets = record.network
    return Burden(streets, where(town, seed=1), TrafficSettings.model_validate(settings)).of_day(3, record)


def test_trucks_and_buses_are_counted_apart():
    kinds = np.array(KINDS, np.uint8)
    trips = [(10.0 * i, 0 if i != 1 else 1, 3) for i in range(len(kinds))]
    run = Run(network(LINE, 100.0, 0.5), trips, classes=classes_of(kinds))
    record = LinkRecord(run.network)
    run.until(900)
    record.note(0, run.flow)
    run.until(1800)
    record.note(1, run.flow)
    table = record.table(7)
    assert table["quarter"].tolist() == [0, 0, 0]
    by_column = {name: table[name].tolist() for name in ("left", "left_car", "left_bus", "left_truck")}
    assert by_column == {"left": [4, 5, 5], "left_car": [2, 2, 2], "left_bus": [1, 1, 1], "left_truck": [1, 2, 2]}


def test_counting_apart_moves_nobody():
    trips = [(float(t), 0, 3) for t in np.arange(200) / 2]
    kinds = np.arange(200, dtype=np.uint8) % len(VehicleKind)
    with_classes = Run(network(LINE, 100.0, 0.5), trips, classes=classes_of(kinds)).until(4000)
    without = Run(network(LINE, 100.0, 0.5), trips).until(4000)
    np.testing.assert_array_equal(with_classes.flow.arrive, without.flow.arrive)


def test_grams_are_those_of_the_vehicles_one_by_one(town):
    streets = network_of_city(town)
    record = LinkRecord(streets)
    speeds = {3: (12.5, 7, 0, 0), 4: (4.0, 5, 2, 1)}  # link: m/s, cars, buses, trucks
    expected = np.zeros(len(POLLUTANTS))
    for link, (speed, *counts) in speeds.items():
        record.left[50, link] = sum(counts)
        record.left_of[:, 50, link] = counts[1:]
        record.seconds[50, link] = streets.length[link] / speed
        for kind, count in zip((VehicleKind.CAR, VehicleKind.BUS, VehicleKind.TRUCK), counts, strict=True):
            expected += count * streets.length[link] / 1000 * mean_factors(kind, speed)[:, 0]
    figures, tables = burden_of(town, record, {})
    found = [figures["co2_t"] * 1e6, figures["nox_kg"] * 1e3, figures["pm10_kg"] * 1e3, figures["pm25_kg"] * 1e3]
    # factors are tabulated by steps of 0.1 km/h
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    table = tables["emissions"]
    assert table["link"].tolist() == [3, 4] and table["hour"].tolist() == [12, 12] and table["day"].tolist() == [3, 3]
    np.testing.assert_allclose([table[f"{name}_g"].sum() for name in POLLUTANTS], expected, rtol=1e-4)


def test_nothing_is_computed_that_nobody_asks_for(town):
    record = passages(network_of_city(town))
    assert burden_of(town, record, {"emissions": False}) == ({}, {})
    assert list(burden_of(town, record, {})[1]) == ["emissions"]
    figures, tables = burden_of(town, record, {"emissions": False, "air": {}, "noise": True})
    assert sorted(tables) == ["air", "emissions", "noise"]
    burden = Burden(record.network, AtHome(town, seed=1), TrafficSettings(noise=True))
    assert {*burden.sums, *burden.means} < set(figures)


def test_who_stays_at_home_breathes_the_air_of_home(town):
    record = passages(network_of_city(town))
    figures, tables = burden_of(town, record, {"air": {}})
    air = tables["air"]
    assert air["residents"].sum() == len(town.people)
    for pollutant in ("nox", "pm25"):
        mean = np.average(air[pollutant].astype(float), weights=air["residents"])
        assert mean > 0
        assert figures[f"{pollutant}_exposure"] == pytest.approx(mean, rel=1e-5)
    each = np.repeat(air["nox"].astype(float), air["residents"])
    gini = np.abs(each[:, None] - each).mean() / (2 * each.mean())
    assert figures["gini_nox"] == pytest.approx(gini, rel=1e-4)


def test_who_is_at_work_breathes_the_air_of_work(town):
    figures, tables = burden_of(town, passages(network_of_city(town)), {"air": {"cell": 50}}, AtWork)
    air = tables["air"]
    x, y = town.places.x[-1], town.places.y[-1]
    [here] = np.flatnonzero((np.abs(air["x"] - x) <= 25) & (np.abs(air["y"] - y) <= 25))
    assert figures["nox_exposure"] == pytest.approx(float(air["nox"][here]), rel=1e-5)
    assert figures["gini_nox"] == pytest.approx(0.0, abs=1e-9)


def test_wind_thins_and_traffic_thickens_the_air(town):
    streets = network_of_city(town)
    once = burden_of(town, passages(streets), {"air": {}})[0]["nox_exposure"]
    windy = burden_of(town, passages(streets), {"air": {"wind": 6.0}})[0]["nox_exposure"]
    twice = burden_of(town, passages(streets, vehicles=80), {"air": {}})[0]["nox_exposure"]
    assert windy == pytest.approx(once / 2, rel=1e-6)
    assert twice == pytest.approx(2 * once, rel=1e-6)


def test_levels_follow_traffic_and_hour(town):
    streets = network_of_city(town)

    def lden(**more):
        figures, tables = burden_of(town, passages(streets, **more), {"noise": True})
        return tables["noise"]["lden"].astype(float), figures, tables["noise"]["residents"]

    day, figures, residents = lden(vehicles=10_000)
    assert residents.sum() == len(town.people) and day.min() > 0
    for limit in (55, 65):
        assert figures[f"noise_above_{limit}"] == pytest.approx(residents[day > limit].sum() / len(town.people))
    assert 0 < figures["noise_above_65"] < figures["noise_above_55"]
    # twice the sound is 3 dB more; at night 10 dB are added
    np.testing.assert_allclose(lden(vehicles=20_000)[0] - day, 10 * np.log10(2), atol=1e-4)
    np.testing.assert_allclose(lden(vehicles=10_000, at=slice(8, 12))[0] - day, 10, atol=1e-4)
    # a truck is louder than a car
    assert (lden(vehicles=9000, trucks=1000)[0] > day + 1).all()


def test_homes_without_outlines_are_heard_at_their_place(town):
    record = passages(network_of_city(town))
    outlined = burden_of(town, record, {"noise": True})[1]["noise"]
    bare = City.__new__(City)
    bare.__dict__.update(town.__dict__)
    bare.layer = lambda name: None if name == "buildings" else town.layer(name)
    plain = burden_of(bare, record, {"noise": True})[1]["noise"]
    assert plain["residents"].sum() == len(town.people)
    first = [np.flatnonzero(town.places.building == building)[0] for building in plain["building"][:20]]
    np.testing.assert_array_equal(plain["x"][:20], town.places.x[first].astype(float))
    # outlines are nearer to the street than their middle
    assert outlined["lden"].mean() > plain["lden"].mean()


def test_where_cars_may_drive_nowhere_homes_are_quiet(town):
    streets = network_of_city(town)
    walked = replace(streets, access=streets.access & np.uint8(Access.FOOT | Access.BICYCLE))
    figures, tables = burden_of(town, LinkRecord(walked), {"noise": True})
    assert figures["noise_above_55"] == 0
    assert tables["noise"]["residents"].sum() == len(town.people)
    assert (tables["noise"]["lden"] < 0).all()


def test_a_day_without_traffic_is_clean_and_quiet(town):
    figures, tables = burden_of(town, LinkRecord(network_of_city(town)), {"air": {}, "noise": True})
    assert figures["co2_t"] == figures["nox_exposure"] == figures["noise_above_55"] == 0
    assert np.isnan(figures["gini_nox"])
    assert len(tables["emissions"]["link"]) == 0
    assert (tables["noise"]["lden"] < 0).all()


@pytest.mark.parametrize("wrong", [{"wind": 0.0}, {"stability": "G"}, {"direction": 400.0}, {"cell": 5.0}])
def test_weather_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrafficSettings.model_validate({"air": wrong})
