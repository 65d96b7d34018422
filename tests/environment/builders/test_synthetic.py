"""Invented cities: streets, buildings, schools, work, days."""

from typing import get_args

import geopandas
import numpy as np
import pytest
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from citytwin.environment.builders import activities, days, populate
from citytwin.environment.builders.households import AGE_SHARES, COUNTRIES
from citytwin.environment.builders.synthetic import invent, invent_in_zones
from citytwin.environment.city import City, CityError
from citytwin.environment.places import PlaceKind, Role, SiteKind
from citytwin.environment.roads import Access, RoadRank
from citytwin.runners.scenarios.sections import Country


@pytest.fixture(scope="module")
def city():
    return City.synthetic(30_000, seed=2)


def populated(fabric, **keys):
    return City(*populate.populate(fabric, **keys))


def occupants(city):
    working = city.people.activity[city.people.activity >= 0]
    return np.bincount(working, minlength=len(city.places))


@pytest.mark.parametrize("people", [1_000, 3_000, 30_000])
def test_streets_connect_everyone(people):
    fabric = invent(people, 3)
    links, nodes = fabric.links, len(fabric.nodes["x"])
    drives = (links["access"] & Access.CAR) > 0
    graph = coo_array((np.ones(drives.sum()), (links["start"][drives], links["end"][drives])), shape=(nodes, nodes))
    assert connected_components(graph, directed=True, connection="weak")[0] == 1
    strong = connected_components(graph, directed=True, connection="strong")[1]
    assert np.bincount(strong).max() > 0.97 * nodes
    assert links["length"].min() > 0
    straight = np.hypot(
        fabric.nodes["x"][links["end"]] - fabric.nodes["x"][links["start"]],
        fabric.nodes["y"][links["end"]] - fabric.nodes["y"][links["start"]],
    )
    assert links["length"] == pytest.approx(straight, rel=1e-5)


def test_streets_have_a_hierarchy():
    links = invent(50_000, 1).links
    share = np.bincount(links["rank"], weights=links["length"], minlength=8) / links["length"].sum()
    assert share[RoadRank.RESIDENTIAL] > share[RoadRank.TERTIARY] > share[RoadRank.SECONDARY] > 0
    assert share[RoadRank.TRUNK] > 0 and share[RoadRank.PRIMARY] > 0


@pytest.mark.parametrize("people", [999, 0, -5, 10_000_001])
def test_size_out_of_range_is_refused(people):
    with pytest.raises(CityError, match="1,000 to 10,000,000"):
        invent(people, 1)


def test_density_falls_from_the_centre_and_differs_between_neighbourhoods(city):
    west, south, east, north = city.info.bounds
    home = city.people.household
    distance = np.hypot(city.places.x[home] - (west + east) / 2, city.places.y[home] - (south + north) / 2)
    rings = np.linspace(0, (east - west) / 2, 4)
    density = np.histogram(distance, rings)[0] / np.diff(rings**2)
    assert density[0] > 2 * density[1] > 2 * density[2]
    zones = city.layer("zones")
    people = np.bincount(city.places.zone[home], minlength=len(zones))
    by_zone = people / city.zones.area * 1e6
    assert by_zone.max() > 2 * by_zone.min()
    assert len(set(zones["name"])) == len(zones)


def test_everyone_lives_in_a_building_of_their_zone(city):
    homes = city.places.building[: city.homes]
    assert (homes >= 0).all()
    assert (city.buildings.dwellings[homes] > 0).all()
    assert np.array_equal(city.buildings.zone[homes], city.places.zone[: city.homes])
    polygons = city.layer("zones").geometry.to_numpy()
    points = shapely.points(city.buildings.x[homes], city.buildings.y[homes])
    inside = shapely.intersects(polygons[city.buildings.zone[homes]], points)
    assert inside.mean() > 0.9  # buildings take the zone of their block, whose edges the border may cut


def test_classes_by_level_and_age(city):
    people, kind = city.people, city.places.kind
    for role, level, ages in (
        (Role.KINDERGARTEN, PlaceKind.KINDERGARTEN, (0, 5)),
        (Role.PRIMARY, PlaceKind.PRIMARY, (6, 10)),
        (Role.SECONDARY, PlaceKind.SECONDARY, (11, 19)),
    ):
        pupils = np.flatnonzero(people.role == role)
        assert len(pupils) > 500
        assert (kind[people.activity[pupils]] == level).all()
        assert people.age[pupils].min() >= ages[0] and people.age[pupils].max() <= ages[1]
        rooms, size = np.unique(people.activity[pupils], return_counts=True)
        assert size.max() <= 30
        assert 12 < size.mean() < 28
        spread = [np.ptp(people.age[pupils[people.activity[pupils] == room]].astype(int)) for room in rooms[:40]]
        assert np.mean(spread) <= 1.5
    # POLYMOD participants name class sizes of 14, 19, 23, 27, 30 at 10, 25, 50, 75, 90 %
    at_school = np.flatnonzero((people.role == Role.PRIMARY) | (people.role == Role.SECONDARY))
    rooms, inverse, size = np.unique(people.activity[at_school], return_inverse=True, return_counts=True)
    found = np.percentile(size[inverse], [10, 25, 50, 75, 90])
    assert found == pytest.approx([14, 19, 23, 27, 30], abs=4)
    # every class has one teacher, and a worker it is
    classes = np.flatnonzero((kind >= PlaceKind.KINDERGARTEN) & (kind <= PlaceKind.UNIVERSITY))
    staff = np.bincount(people.activity[people.role == Role.WORKER], minlength=len(kind))[classes]
    assert (staff == 1).all()


def test_pupils_go_to_a_school_near_home(city):
    people, places = city.people, city.places
    pupils = np.flatnonzero(people.role == Role.PRIMARY)
    home = people.household[pupils]
    went = np.hypot(
        places.x[people.activity[pupils]] - places.x[home], places.y[people.activity[pupils]] - places.y[home]
    )
    schools = np.flatnonzero(city.sites.kind == SiteKind.PRIMARY)
    distances = np.hypot(
        city.sites.x[schools][None] - places.x[home][:, None], city.sites.y[schools][None] - places.y[home][:, None]
    )
    assert (went <= distances.min(1) + 1e-6).mean() > 0.6
    assert went.mean() < 0.6 * distances.mean()


def test_teams_fit_a_room_and_firms_are_heavy_tailed(city):
    people, kind = city.people, city.places.kind
    size = occupants(city)
    teams = size[(kind == PlaceKind.WORK) | (kind == PlaceKind.HOSPITAL)]
    assert teams.max() <= 30
    assert 9 < (teams**2).sum() / teams.sum() < 16  # people in the room of a worker, about 12, …
    assert np.median(teams) <= 6  # … while most rooms are those of small firms
    workers = people.activity[people.role == Role.WORKER]
    firm = np.bincount(city.places.site[workers], minlength=len(city.sites))[city.sites.kind == SiteKind.WORK]
    firm = np.sort(firm)[::-1]
    assert firm[: len(firm) // 100].sum() > 0.15 * firm.sum()  # Axtell 2001: the largest firms carry the jobs
    assert np.median(firm) <= 4


def test_commuting_falls_with_distance():
    city = City.synthetic(60_000, seed=1)
    people, places = city.people, city.places
    workers = np.flatnonzero(people.role == Role.WORKER)
    home, work = people.household[workers], people.activity[workers]
    real = np.hypot(places.x[work] - places.x[home], places.y[work] - places.y[home]).mean()
    shuffled = np.random.default_rng(1).permutation(work)
    by_chance = np.hypot(places.x[shuffled] - places.x[home], places.y[shuffled] - places.y[home]).mean()
    assert real < 0.9 * by_chance
    assert real == pytest.approx(city.info.report["mean commute, m"], abs=0.1)


def test_every_day_of_everyone_fills_96_slots(city):
    for schedule in city.schedules:
        length = schedule.end.astype(int) - schedule.start
        assert (length > 0).all()
        assert (np.add.reduceat(length, schedule.first[:-1]) == 96).all()
        inner = np.ones(schedule.visits, bool)
        inner[schedule.first[:-1]] = False
        assert np.array_equal(schedule.start[inner], np.roll(schedule.end, 1)[inner])
        last = schedule.first[1:] - 1
        assert (schedule.place[last] == city.people.household).all()


def test_weekday_and_weekend_differ(city):
    kind = city.places.kind
    monday, sunday = city.schedule_on(0), city.schedule_on(6)
    assert city.schedule_on(5) is not sunday and city.schedule_on(1) is not monday
    school = kind == PlaceKind.PRIMARY
    assert school[monday.place].sum() > 1_000 and school[sunday.place].sum() == 0
    assert (kind[sunday.place] == PlaceKind.LEISURE).sum() > (kind[monday.place] == PlaceKind.LEISURE).sum()


def test_kernels_equal_plain_python(monkeypatch):
    compiled = City.synthetic(1_000, seed=8)
    for module, names in (
        (activities, ["_draw_roles"]),
        (days, ["_hours", "_chances", "_carer", "_host", "_plan_days"]),
        (populate, ["_regroup"]),
    ):
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name).py_func)
    with np.errstate(over="ignore"):
        plain = City.synthetic(1_000, seed=8)
    for table in ("people", "places"):
        for column in getattr(compiled, table):
            assert np.array_equal(getattr(compiled, table)[column], getattr(plain, table)[column]), column
    for ours, theirs in zip(compiled.schedules, plain.schedules, strict=True):
        assert np.array_equal(ours.place, theirs.place)
        assert np.array_equal(ours.start, theirs.start)
        assert np.array_equal(ours.end, theirs.end)


def test_small_children_are_not_left_alone(city):
    age, household = city.people.age, np.asarray(city.people.household)
    small, elder = age < 6, age >= 14
    for weekday, hours in ((0, (8, 10, 15.5, 18, 20)), (5, (10, 15, 20))):
        schedule = city.schedule_on(weekday)
        person = np.repeat(np.arange(len(age)), np.diff(schedule.first))
        for hour in hours:
            now = (schedule.start <= 4 * hour) & (schedule.end > 4 * hour)
            assert np.array_equal(person[now], np.arange(len(age)))
            at_home = schedule.place[now] == household
            watched = np.zeros(city.homes, bool)
            watched[household[at_home & elder]] = True
            assert (at_home & ~watched[household])[small].mean() < 0.03


def test_parents_of_children_at_home_and_employment(city):
    people = city.people
    at_home = np.isin(people.role, [Role.AT_HOME, Role.RETIRED])
    child = np.unique(people.household[(people.age < 6) & at_home])
    adult = np.unique(people.household[(people.age >= 18) & at_home])
    assert len(child) > 200
    assert np.isin(child, adult).mean() > 0.99
    of_age = (people.age >= 18) & (people.age < 65)
    assert (people.role[of_age] == Role.WORKER).mean() == pytest.approx(0.72, abs=0.03)


def same(one, two):
    for table in ("people", "households", "places", "sites", "buildings", "zones", "nodes", "links"):
        ours, theirs = getattr(one, table), getattr(two, table)
        if not all(np.array_equal(ours[column], theirs[column]) for column in ours):
            return False
    return all(
        np.array_equal(ours.place, theirs.place) and np.array_equal(ours.start, theirs.start)
        for ours, theirs in zip(one.schedules, two.schedules, strict=True)
    )


def test_a_fabric_may_be_populated_again():
    fabric = invent(3_000, 4)
    fabric.sites = {k: np.asarray(v)[fabric.sites["kind"] != SiteKind.SHOP] for k, v in fabric.sites.items()}
    fabric.report = {"repairs": 3}
    sites, layers = len(fabric.sites["x"]), dict(fabric.layers)
    first, second = (populated(fabric, seed=4) for _ in range(2))
    assert same(first, second)
    assert not same(first, populated(fabric, seed=5))
    assert first.info == second.info
    assert first.layer("buildings").equals(second.layer("buildings"))
    assert np.allclose(first.layer("buildings").centroid.x, first.buildings.x)
    assert (len(fabric.sites["x"]), fabric.layers, fabric.report) == (sites, layers, {"repairs": 3})


@pytest.mark.parametrize("country", COUNTRIES)
def test_residents_have_the_ages_of_their_country(country):
    city = City.synthetic(20_000, country=country)
    share = np.histogram(city.people.age, [*range(0, 90, 10), 256])[0] / 20_000
    assert share == pytest.approx(np.array(AGE_SHARES[country]) / sum(AGE_SHARES[country]), abs=2e-4)
    assert city.info.report["ages"] == f"{COUNTRIES[country]}, UN World Population Prospects"
    assert city.info.report["household sizes"].startswith("EU-28 2017")


def test_scenarios_know_the_same_countries():
    assert get_args(Country) == tuple(COUNTRIES) == tuple(AGE_SHARES)


def test_unknown_country_is_refused():
    with pytest.raises(CityError, match=r"country 'XX': .*allowed: DE \(Germany\), FR"):
        City.synthetic(1_000, country="XX")


def squares(*sizes):
    west, boxes = 0.0, []
    for size in sizes:
        boxes.append(shapely.box(west, 0, west + size, size))
        west += size
    names = [f"square {i}" for i in range(len(sizes))]
    return geopandas.GeoDataFrame({"name": names}, geometry=boxes, crs="EPSG:25831")


def test_streets_inside_given_zones():
    zones = squares(1_500.0, 900.0, 40.0)
    inhabitants = np.array([9_000, 3_000, 60])
    fabric = invent_in_zones(zones, inhabitants, 1, "Squares")
    dwellings = np.bincount(fabric.buildings["zone"], fabric.buildings["dwellings"], minlength=3)
    assert dwellings / dwellings.sum() == pytest.approx(inhabitants / inhabitants.sum(), abs=0.01)
    assert (dwellings > 0).all()
    assert populated(fabric, seed=1).info.crs == "EPSG:25831"


def test_zones_in_degrees_are_refused():
    with pytest.raises(CityError, match="projected CRS"):
        invent_in_zones(squares(1.0).set_crs("EPSG:4326", allow_override=True), np.array([100]), 1, "Degrees")


def test_nobody_can_live_without_dwellings():
    fabric = invent(1_000, 1)
    fabric.buildings["dwellings"][:] = 0
    with pytest.raises(CityError, match="no dwellings"):
        populated(fabric, people=1_000)


def test_venues_share_few_staff_with_their_visitors_and_missing_jobs_become_offices():
    fabric = invent(3_000, 1)
    work = fabric.sites["kind"] == SiteKind.WORK
    fabric.sites = {k: np.asarray(v)[~work] for k, v in fabric.sites.items()}  # a map that knows of shops alone
    city = populated(fabric, people=3_000, seed=1)
    assert city.info.report["offices assumed in buildings with dwellings"] > 50
    assert occupants(city).max() <= 30
    offices = (city.sites.kind == SiteKind.WORK).sum()
    firm = np.bincount(
        city.places.site[city.people.activity[city.people.role == Role.WORKER]], minlength=len(city.sites)
    )
    assert firm[city.sites.kind == SiteKind.WORK].sum() > 0.5 * (city.people.role == Role.WORKER).sum()
    assert (city.buildings.dwellings[city.sites.building[city.sites.kind == SiteKind.WORK]] > 0).all() and offices
    assert "assumed in buildings" not in str(populated(invent(3_000, 1), people=3_000).info.report)


def test_a_map_with_one_shop_gets_more():
    fabric = invent(6_000, 1)
    keep = ~np.isin(fabric.sites["kind"], [SiteKind.SHOP, SiteKind.LEISURE])
    keep[np.flatnonzero(fabric.sites["kind"] == SiteKind.SHOP)[0]] = True
    fabric.sites = {k: np.asarray(v)[keep] for k, v in fabric.sites.items()}
    fabric.sites["floor_area"][fabric.sites["kind"] == SiteKind.SHOP] = 20_000.0
    city = populated(fabric, people=6_000, seed=1)
    assert city.info.report["shops assumed in buildings with dwellings"] == round(6_000 / 180) - 1
    assert city.info.report["venues assumed in buildings with dwellings"] == round(6_000 / 110)
    assert busiest(city) < 300


def busiest(city):
    """Return the visits of a day to the shop or venue that has most."""
    venue = np.isin(city.places.kind, [PlaceKind.SHOP, PlaceKind.LEISURE])
    return max(np.diff(schedule.place_first)[venue].max() for schedule in city.schedules)


def test_main_roads_run_through_and_hospitals_fit_the_town():
    fabric = invent(100_000, 7)
    links, side = fabric.links, round(np.sqrt(100_000 / 80))
    ring = links["rank"] == RoadRank.TRUNK
    # a closed ring: every corner on it has a segment to either side
    meeting = np.bincount(links["start"][ring], minlength=len(fabric.nodes["x"]))
    assert (meeting[meeting > 0] >= 2).all() and ring.sum() > 4 * side
    for people in (1_000, 5_000):
        small = City.synthetic(people, seed=1)
        staff = (small.places.kind[small.people.activity[small.people.activity >= 0]] == PlaceKind.HOSPITAL).sum()
        assert staff < 0.03 * people


def test_more_people_than_a_town_can_hold_are_refused():
    fabric = invent(1_000, 1)
    with pytest.raises(CityError, match=r"100,000,000 people do not fit in; its dwellings hold at most 8,7\d\d"):
        populated(fabric, people=100_000_000)
