"""Fleets: who stands where, when they are on duty, and what cannot be."""

import itertools

import numpy as np
import pytest
from cities import CRS, SOUTH, WEST, tiny_city
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from response_towns import copy_of

from citytwin.agents.response.fleet import DAY, PEOPLE_PER_UNIT, FleetError, Fleets
from citytwin.agents.response.scenes import Scenes
from citytwin.agents.response.settings import ResponseSettings
from citytwin.environment.city import City
from citytwin.environment.places import SiteKind

CITY = tiny_city(60)


def fleets(told=None, services=None, city=CITY, seed=1):
    settings = ResponseSettings.model_validate({"fleet": told or {}} | ({"services": services} if services else {}))
    return Fleets(city, settings.fleet, settings.services, Scenes(city), seed)


def on_duty(made, day, weekday, second, absent=None):
    """Return which units are on duty at a second of a day, made day by day from the start."""
    duty = np.ones(len(made.of), bool)
    for number in range(day + 1):
        for moment, unit, begins in made.duty(number, (weekday - day + number) % 7, absent or {}):
            if moment <= day * DAY + second:
                duty[int(unit)] = bool(begins)
    return duty


# ---------------------------------------------------------------------- defaults


def test_a_city_has_units_by_its_people_at_the_stations_that_it_has():
    city = City.synthetic(60_000)
    made = fleets(city=city)
    assert made.services == ("ambulance", "fire", "police")
    for service, number in (("ambulance", 10), ("fire", 9), ("police", 11)):
        stations = int(np.sum(np.asarray(city.sites.kind) == number))
        units = int(np.sum(made.service == number))
        assert units == max(round(60_000 / PEOPLE_PER_UNIT[service]), stations)
        here = np.unique(made.stations.site[made.station[made.service == number]])
        assert set(here.tolist()) == set(np.flatnonzero(np.asarray(city.sites.kind) == number).tolist())
    assert made.crew[made.service == 9].tolist() == [4] * int(np.sum(made.service == 9))


def test_services_may_be_fewer():
    made = fleets(services=["fire"])
    assert made.services == ("fire",) and set(made.service.tolist()) == {9}


# ---------------------------------------------------------------------- stations


def to_degrees(x, y):
    return Transformer.from_crs(CRS, "EPSG:4326", always_xy=True).transform(x, y)


@pytest.mark.parametrize(
    "station",
    [
        {"name": "Ambulance station 1"},
        {"site": 8},
        {"name": "Here", "x": WEST + 900.0, "y": SOUTH + 100.0},
        dict(zip(("longitude", "latitude"), to_degrees(WEST + 900, SOUTH + 100), strict=True)),
    ],
)
def test_a_station_may_be_named_numbered_or_a_point(station):
    made = fleets({"ambulance": {"units": 2, "stations": [station]}}, ["ambulance"])
    assert made.stations.x[0] == pytest.approx(WEST + 900, abs=100)
    assert made.stations.y[0] == pytest.approx(SOUTH + 100, abs=100)
    assert made.stations.node[0] == 2 and made.station.tolist() == [0, 0]
    assert (made.stations.site[0] == 8) == ("x" not in station and "longitude" not in station)


def test_units_of_stations_are_kept_and_the_rest_shared_out():
    places = [{"name": n, "x": WEST + x, "y": SOUTH + 500.0} for n, x in (("A", 0), ("B", 500), ("C", 1000))]
    places[0]["units"] = 4
    made = fleets({"ambulance": {"units": 7, "stations": places}}, ["ambulance"])
    count = np.bincount(made.station)
    assert count[0] == 4 and count.sum() == 7 and (count[1:] >= 1).all()


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"stations": [{"name": "Nowhere"}]}, "no such station 'Nowhere'; there are: 'Ambulance station 1'"),
        ({"stations": [{"site": 99}]}, "no site 99; the city has 0 … 9"),
        ({"stations": [{"name": "A", "x": 0.0, "y": 0.0}]}, "'A' at .* lies far off the city"),
        ({"stations": [{"name": "A", "longitude": 5.0, "latitude": 52.0}]}, "lies far off the city"),
        ({"stations": [{"name": "A", "x": WEST + 5_900.0, "y": SOUTH}]}, "off the streets, an hour's walk"),
        ({"units": 5, "stations": [{"site": 8, "units": 2}]}, "5 units, but its stations hold 2"),
        ({"units": 1, "stations": [{"site": 8, "units": 2}]}, "1 units, but its stations hold 2"),
        ({"crews": 0}, "crews: 1 units are on duty at once, but there are 0 crews"),
        ({"crews": 2, "stations": [{"site": 8, "units": 3}]}, "3 units are on duty at once, but there are 2 crews"),
    ],
)
def test_what_cannot_be_is_named(told, message):
    with pytest.raises(FleetError, match=rf"response\.fleet\.ambulance.*{message}"):
        fleets({"ambulance": told}, ["ambulance"])


def test_a_service_without_stations_is_refused():
    kind = np.array(CITY.sites.kind)
    kind[kind == SiteKind.POLICE_STATION] = SiteKind.WORK
    city = copy_of(CITY, sites={"kind": kind})
    assert fleets(city=city).services == ("ambulance", "fire")
    with pytest.raises(FleetError, match="the city has no police station; say where its units stand"):
        fleets(services=["police"], city=city)
    with pytest.raises(FleetError, match=r"response\.fleet\.police: the city has no police station"):
        fleets({"police": {"units": 1}}, city=city)
    kind[np.isin(kind, (9, 10))] = SiteKind.WORK
    with pytest.raises(FleetError, match="nobody can come"):
        fleets(city=copy_of(CITY, sites={"kind": kind}))


def test_there_are_at_most_eight_skills():
    told = {f"f{n}": {"service": "fire", "units": 1, "skills": [f"s{n}a", f"s{n}b"]} for n in range(5)}
    with pytest.raises(FleetError, match="there are 10 skills in all"):
        fleets(told)


def test_fleets_share_the_stations_in_which_both_stand():
    told = {name: {"service": "ambulance", "units": 2} for name in ("basic", "advanced")}
    told["fire"] = {"units": 1, "stations": [{"site": 8}, {"site": 7}]}
    made = fleets(told, ["ambulance", "fire"])
    assert made.stations.name == ("Ambulance station 1", "Fire station 1")
    assert made.station.tolist() == [0, 0, 0, 0, 0]
    assert fleets(told | {"fire": {"units": 2}}, ["ambulance", "fire"]).station.tolist() == [0, 0, 0, 0, 1, 1]


# ---------------------------------------------------------------------- who does what


def test_bits_of_services_skills_and_modes():
    told = {
        "ambulance": {"units": 1, "skills": ["b", "a"], "helps": ["fire"]},
        "next town": {"service": "ambulance", "units": 1, "neighbour": True, "lights": 1.1},
        "fire": {"units": 1, "lights": 1.1, "turnout_factor": 2.0},
    }
    made = fleets(told, ["ambulance", "fire"])
    fleet = made.fleet()
    assert fleet.serves.tolist() == [2, 0, 1] and fleet.aids.tolist() == [1, 2, 0]
    assert made.skills == ("a", "b") and fleet.skills.tolist() == [3, 0, 0]
    assert made.driving == [(1.0, 1.0), (1.3, 0.4), (1.1, 0.4)]
    assert fleet.lights.tolist() == [1, 2, 2] and fleet.normal.tolist() == [0, 0, 0]
    assert fleet.turnout_factor.tolist() == [1.0, 1.0, 2.0]


# ---------------------------------------------------------------------- shifts


def test_shifts_come_on_top_and_pass_midnight():
    shifts = [
        {"from": "07:00", "until": "19:00", "units": 2},
        {"from": "22:00", "until": "06:00", "units": 1, "weekdays": [4, 5]},
    ]
    made = fleets({"ambulance": {"units": 1, "shifts": shifts}}, ["ambulance"])
    assert len(made.of) == 4
    hours = {(weekday, hour): None for weekday in range(7) for hour in (3, 12, 20, 23)}
    for weekday, hour in hours:
        made = fleets({"ambulance": {"units": 1, "shifts": shifts}}, ["ambulance"])
        hours[weekday, hour] = int(on_duty(made, weekday, weekday, hour * 3600).sum())
    for (weekday, hour), units in hours.items():
        night = (weekday in (4, 5) and hour == 23) or (weekday in (5, 6) and hour == 3)
        assert units == 1 + 2 * (hour == 12) + night, (weekday, hour)


@given(
    start=st.integers(0, 24 * 4 - 1),
    end=st.integers(0, 24 * 4),
    weekdays=st.sets(st.integers(0, 6), min_size=1),
    away=st.sets(st.integers(0, 6)),
)
def test_duty_changes_are_those_of_a_plain_clock(start, end, weekdays, away):
    def clock(quarter):
        return f"{quarter // 4:02d}:{quarter % 4 * 15:02d}"

    shift = {"from": clock(start), "until": clock(end), "units": 1, "weekdays": sorted(weekdays)}
    made = fleets({"ambulance": {"units": 0, "shifts": [shift]}}, ["ambulance"])
    duty, changes = True, []
    for day in range(7):
        changes += made.duty(day, day, {10: 1.0} if day in away else {}).tolist()
    moments = [change[0] for change in changes]
    assert moments == sorted(moments)
    assert all(one[2] != other[2] for one, other in itertools.pairwise(changes))
    position = 0
    for day, quarter in itertools.product(range(7), range(96)):
        while position < len(changes) and changes[position][0] <= day * DAY + quarter * 900:
            duty = changes[position][2] == 1
            position += 1
        if start < end:
            works = day in weekdays and start <= quarter < end
        else:
            works = (day in weekdays and quarter >= start) or (day > 0 and day - 1 in weekdays and quarter < end)
            works |= day == 0 and 6 in weekdays and quarter < end  # it began on the Sunday before the run
        assert duty == (works and day not in away), (day, quarter)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_crews_stay_away_with_their_share_others_each_day(share):
    made = fleets({"ambulance": {"units": 10, "stations": [{"site": 8}]}}, ["ambulance"])
    days = [on_duty(fleets({"ambulance": {"units": 10}}, ["ambulance"]), day, 0, 0, {10: share}) for day in range(3)]
    assert [int(day.sum()) for day in days] == [10 - round(10 * share)] * 3
    assert made.duty(0, 0, {9: 1.0}).tolist() == []
    if 0 < share < 1:
        assert any(one.tolist() != days[0].tolist() for one in days)


# ---------------------------------------------------------------------- whole days


@pytest.mark.parametrize(("start", "weekdays"), [("06:00", [0, 2]), ("00:00", [0, 2]), ("23:45", [1])])
def test_a_shift_that_ends_when_it_began_lasts_24_hours(start, weekdays):
    shift = {"from": start, "until": start, "units": 1, "weekdays": weekdays}
    made = fleets({"ambulance": {"units": 0, "shifts": [shift], "stations": [{"name": "x", "x": WEST, "y": SOUTH}]}})
    hours, minutes = map(int, start.split(":"))
    begin = 3600 * hours + 60 * minutes
    changes = np.concatenate([made.duty(day, day % 7, {}) for day in range(9)])
    for moment in (day * DAY + second for day in range(9) for second in (0, begin - 1, begin, begin + 1, DAY - 1)):
        so_far = changes[changes[:, 0] <= moment]
        wanted = any(0 <= moment - (turn * DAY + begin) < DAY for turn in range(9) if turn % 7 in weekdays)
        on = bool(so_far[-1, 2]) if len(so_far) else True  # as all units are when a run begins
        assert moment < 0 or on == wanted, moment
