"""New institutions and homes: who moves, and that everything else stays."""

import numpy as np
import pytest
import shapely
from cities import tiny_city
from grids import at, box, design, grid_city

from citytwin.environment.builders.days import near_venues
from citytwin.environment.city import City
from citytwin.environment.design import Design, DesignError
from citytwin.environment.places import BuildingUse, PlaceKind, Role, SiteKind


@pytest.fixture(scope="module")
def town() -> City:
    return City.synthetic(5_000, seed=4)


def changed(city: City, *changes: dict) -> City:
    return Design.from_dict({"name": "test", "crs": city.info.crs, "changes": list(changes)}).apply(city)


def centre(city: City) -> list[float]:
    return [float(np.median(city.places.x)), float(np.median(city.places.y))]


def home_distance(city: City, people: np.ndarray, x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
    home = city.people.household[people]
    return np.hypot(city.places.x[home] - x, city.places.y[home] - y)


def test_a_school_takes_the_nearest_pupils_who_gain(town: City) -> None:
    point = centre(town)
    after = changed(town, {"change": "facility", "kind": "primary", "places": 70, "name": "New", "point": point})
    site = len(town.sites)
    assert (after.sites.kind[site], after.sites.capacity[site]) == (SiteKind.PRIMARY, 70)
    rooms = np.flatnonzero(after.places.site == site)
    moved = np.flatnonzero(after.people.activity != town.people.activity)
    pupils = moved[town.people.role[moved] == Role.PRIMARY]
    assert 0 < len(pupils) <= 70
    assert np.isin(after.people.activity[moved], rooms).all()
    old = town.people.activity[pupils]
    gain = home_distance(town, pupils, town.places.x[old], town.places.y[old]) - home_distance(town, pupils, *point)
    assert (gain > 0).all()
    every = np.flatnonzero((town.people.role == Role.PRIMARY) & (town.people.activity >= 0))
    school = town.people.activity[every]
    nearer = home_distance(town, every, *point) < home_distance(
        town, every, town.places.x[school], town.places.y[school]
    )
    left = np.setdiff1d(every[nearer], pupils)
    if len(left):
        assert home_distance(town, pupils, *point).max() <= home_distance(town, left, *point).min()
    # classes as the builder makes them, each with a teacher who worked elsewhere
    size = np.bincount(after.people.activity[pupils])[rooms]
    assert size.min() >= 10 and size.max() <= 30
    teachers = np.setdiff1d(moved, pupils)
    assert sorted(after.people.activity[teachers]) == rooms.tolist()
    assert (town.people.role[teachers] == Role.WORKER).all()
    assert (town.places.kind[town.people.activity[teachers]] == PlaceKind.WORK).all()


def test_visits_follow_and_nobody_else_is_touched(town: City) -> None:
    change = {"change": "facility", "kind": "primary", "places": 70, "point": centre(town)}
    after = changed(town, change)
    moved = after.people.activity != town.people.activity
    for old, new in zip(town.schedules, after.schedules, strict=True):
        assert np.array_equal(old.start, new.start) and np.array_equal(old.first, new.first)
        person = np.repeat(np.arange(len(town.people)), np.diff(old.first))
        different = old.place != new.place
        assert np.array_equal(different, moved[person] & (old.place == town.people.activity[person]))
        assert np.array_equal(new.place[different], after.people.activity[person[different]])
    for name in ("age", "sex", "role", "household"):
        assert np.array_equal(after.people[name], town.people[name])


def test_a_shop_takes_the_visits_to_the_shop_that_it_drives_out_of_the_nearest_five(town: City) -> None:
    after = changed(town, {"change": "facility", "kind": "shop", "point": centre(town), "jobs": 4})
    new = len(town.places)
    cell, before = near_venues(town.places, town.homes, int(PlaceKind.SHOP))
    _, now = near_venues(after.places, town.homes, int(PlaceKind.SHOP))
    total = 0
    for old_day, new_day in zip(town.schedules, after.schedules, strict=True):
        person = np.repeat(np.arange(len(town.people)), np.diff(old_day.first))
        at_work = np.isin(new_day.place, [new]) & (after.people.activity[person] == new)
        for visit in np.flatnonzero((old_day.place != new_day.place) & ~at_work):
            square = cell[town.people.household[person[visit]]]
            assert new_day.place[visit] == new
            assert set(before[square]) - set(now[square]) == {old_day.place[visit]}
            assert new in now[square]
            total += 1
    assert total > 20
    assert (after.people.activity == new).sum() == 4


def test_the_first_venues_of_a_kind_share_visits() -> None:
    city = tiny_city(300)
    after = changed(city, {"change": "facility", "kind": "shop", "jobs": 0, "point": at(3, 6)})
    new = len(city.places)
    old_visits = sum(
        int((day.place == np.flatnonzero(city.places.kind == PlaceKind.SHOP)[0]).sum()) for day in city.schedules
    )
    moved = sum(int((day.place == new).sum()) for day in after.schedules)
    assert moved == pytest.approx(old_visits / 2, rel=0.4)


def test_a_clinic_has_staff_and_stations_stand_there(town: City) -> None:
    clinic = {"change": "facility", "kind": "clinic", "floor_area": 1_000, "point": centre(town)}
    after = changed(
        town, clinic, {"change": "facility", "kind": "ambulance_station", "places": 3, "point": centre(town)}
    )
    assert after.sites.kind[-2:].tolist() == [SiteKind.HOSPITAL, SiteKind.AMBULANCE_STATION]
    assert after.sites.capacity[-1] == 3
    rooms = np.flatnonzero(after.places.site == len(town.sites))
    assert np.isin(after.people.activity, rooms).sum() == 20  # 50 m2 a job
    names = after.layer("sites")["name"].tolist()
    assert names[-2:] == ["new clinic", "new ambulance station"]


def test_dwellings_are_moved_into_and_everybody_keeps_a_number(town: City) -> None:
    x, y = centre(town)
    area = shapely.box(x - 200, y - 200, x + 200, y + 200)
    after = changed(town, {"change": "density", "dwellings": 60, "geometry": shapely.geometry.mapping(area)})
    homes = town.homes
    moved = np.flatnonzero(after.places.building[:homes] != town.places.building[:homes])
    assert len(moved) == 60
    assert shapely.contains_xy(area, after.places.x[moved], after.places.y[moved]).all()
    assert not shapely.contains_xy(area, town.places.x[moved], town.places.y[moved]).any()
    new = slice(len(town.buildings), len(after.buildings))
    assert after.buildings.dwellings[new].sum() == 60
    assert np.bincount(after.places.building[moved], minlength=len(after.buildings))[new].tolist() == (
        after.buildings.dwellings[new].tolist()
    )
    assert np.array_equal(after.people.activity, town.people.activity)
    assert np.array_equal(after.people.household, town.people.household)
    # they do their shopping near by now: among the five shops nearest to the new home
    household = town.people.household
    cell, near = near_venues(after.places, homes, int(PlaceKind.SHOP))
    checked = 0
    for old_day, new_day in zip(town.schedules, after.schedules, strict=True):
        person = np.repeat(np.arange(len(town.people)), np.diff(old_day.first))
        different = np.flatnonzero(old_day.place != new_day.place)
        assert np.isin(household[person[different]], moved).all()
        for visit in different[town.places.kind[old_day.place[different]] == PlaceKind.SHOP]:
            assert new_day.place[visit] in near[cell[household[person[visit]]]]
            checked += 1
    assert checked > 10
    assert len(after.layer("buildings")) == len(after.buildings)


def test_another_use_empties_homes_and_brings_jobs(town: City) -> None:
    x, y = centre(town)
    area = shapely.box(x - 150, y - 150, x + 150, y + 150)
    change = {"change": "land_use", "use": "work", "jobs": 40, "geometry": shapely.geometry.mapping(area)}
    after = changed(town, change)
    inside = shapely.contains_xy(area, town.buildings.x, town.buildings.y)
    assert (after.buildings.use[inside] == BuildingUse.WORK).all()
    assert (after.buildings.dwellings[inside] == 0).all()
    homes = town.homes
    before = inside[town.places.building[:homes]]
    assert before.sum() > 5
    assert not np.isin(after.places.building[:homes], np.flatnonzero(inside)).any()
    assert np.array_equal(after.places.x[:homes][~before], town.places.x[:homes][~before])
    rooms = np.flatnonzero(after.places.site == len(town.sites))
    assert np.isin(after.people.activity, rooms).sum() == 40


def test_more_dwellings_than_half_the_city_are_refused() -> None:
    with pytest.raises(DesignError, match="at most half of them move"):
        design({"change": "density", "dwellings": 5_000, "area": box(1, 1, 2, 2)}).apply(grid_city())


def test_stops_and_lines_are_tables() -> None:
    city = grid_city()
    made = design(
        {"change": "new_stop", "name": "Market", "point": at(5, 5)},
        {"change": "new_line", "name": "7", "headway": 15, "line": [at(1, 5.1), at(5.2, 5.1), at(9, 5.1)]},
        {"change": "new_line", "name": "8", "mode": "tram", "spacing": 250, "line": [at(5, 0), at(5, 10)]},
    )
    tables = made.transit(city)
    assert tables["lines"]["headway"].tolist() == [900.0, 600.0]
    assert tables["lines"]["first"].tolist() == [5.5 * 3600] * 2
    stops = tables["line_stops"].merge(tables["stops"], on="stop")
    seven = stops[stops["line"] == 0].sort_values("order")
    assert seven["name"].tolist() == ["7 1", "Market", "7 3"]
    assert seven["metres"].tolist() == pytest.approx([0, 420, 800])
    eight = stops[stops["line"] == 1].sort_values("order")
    assert eight["metres"].tolist() == pytest.approx([0, 250, 500, 750, 1000])
    assert eight["name"].iloc[2] == "Market"
    after = made.apply(city)
    assert (after.sites.kind == SiteKind.TRANSPORT_STOP).sum() == 1
