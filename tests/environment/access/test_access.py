"""Access against ways worked out by networkx, tables of points, and what must hold whatever the streets."""

import geopandas
import networkx as nx
import numpy as np
import pytest
import shapely
from cities import tiny_city
from streets import straight_streets

from citytwin.environment.access import (
    Access,
    AccessError,
    Opportunities,
    Origins,
    Service,
    TravelTimes,
    gravity,
    green_share,
    isochrone,
    opportunities_of,
    reach,
    reached_nodes,
    read_points,
    residents_of,
    stop_share,
)
from citytwin.environment.access.streets import read_streets
from citytwin.environment.network.of_city import network_of_city
from citytwin.environment.polygons import PolygonError
from citytwin.environment.transit.timetable import RouteType, make_timetable

CRS = "EPSG:32631"
WALK = 4.5 / 3.6
BIKE = 15 / 3.6


def town(side=7, spacing=100.0, seed=5):
    """A grid whose junctions are moved, with one-way streets for vehicles, and its points."""
    rng = np.random.default_rng(seed)
    number = np.arange(side * side).reshape(side, side)
    a = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])
    b = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])
    x, y = (spacing * k.ravel() + rng.uniform(-20, 20, side * side) for k in np.divmod(number, side))
    network = straight_streets(x, y, np.concatenate([a, b]), np.concatenate([b, a]))
    allowed = np.full(network.links, 7, np.uint8)
    allowed[len(a) :][rng.random(len(a)) < 0.15] = 4
    network = network.with_columns(access=allowed, speed=rng.choice([5.0, 8.0, 14.0], network.links))
    where = rng.uniform(0, spacing * (side - 1), (2, 60))
    points = Origins([str(n) for n in range(60)], *where, rng.integers(0, 9, 60).astype(float))
    offers = Opportunities(("jobs", "schools"), *where, rng.integers(0, 50, (60, 2)).astype(float))
    return network, points, offers


def plain_seconds(network, x, y, bit, cost):
    """Seconds between points by networkx, from and to the nearest junction of the strongly connected part."""
    graph = nx.DiGraph()
    for link in np.flatnonzero(network.access & bit):
        pair = int(network.start[link]), int(network.end[link])
        if not graph.has_edge(*pair) or graph.edges[pair]["cost"] > cost[link]:
            graph.add_edge(*pair, cost=float(cost[link]))
    part = sorted(max(nx.strongly_connected_components(graph), key=len))
    apart = np.hypot(network.x[part][None] - x[:, None], network.y[part][None] - y[:, None])
    node, off = np.array(part)[apart.argmin(axis=1)], apart.min(axis=1) / WALK
    ways = dict(nx.all_pairs_dijkstra_path_length(graph, weight="cost"))
    out = np.array([[off[i] + ways[node[i]][node[j]] + off[j] for j in range(len(x))] for i in range(len(x))])
    crow = np.hypot(x[:, None] - x[None], y[:, None] - y[None]) / WALK
    return np.where(node[:, None] == node[None], np.minimum(out, crow), out)


@pytest.mark.parametrize(("mode", "bit"), [("walk", 4), ("bicycle", 2), ("car", 1)])
def test_what_is_reached_equals_networkx(mode, bit):
    network, points, offers = town()
    cost = network.free_time if mode == "car" else network.length / {"walk": WALK, "bicycle": BIKE}[mode]
    seconds = plain_seconds(network, points.x, points.y, bit, cost)
    limits = (1.7, 4.3, 8.9)
    found = reach(TravelTimes(network), mode, points, offers, limits)
    assert 0 < found[:, 0].sum() < found[:, 2].sum() <= 60 * offers.count.sum()
    for number, limit in enumerate(limits):
        np.testing.assert_array_equal(found[:, number], (seconds <= 60 * limit) @ offers.count)
    weighted = gravity(TravelTimes(network), mode, points, offers, 3.0)
    np.testing.assert_allclose(weighted, 2.0 ** (-seconds / 180.0) @ offers.count, rtol=1e-5)


def test_threads_change_nothing():
    network, points, offers = town(12)
    one, three = (reach(TravelTimes(network, threads=t), "bicycle", points, offers, [2, 4]) for t in (1, 3))
    np.testing.assert_array_equal(one, three)


def shuttle(stops, seconds=120.0, every=600.0, kind=RouteType.BUS):
    """A line through all stops in their order, all day."""
    leave = np.arange(0, 86_400, every)
    count = len(stops)
    times = (leave[:, None] + seconds * np.arange(count)).ravel()
    return make_timetable(
        crs=CRS,
        stops={
            "x": [s[0] for s in stops],
            "y": [s[1] for s in stops],
            "id": [str(n) for n in range(count)],
            "name": [str(n) for n in range(count)],
        },
        routes={"id": ["r"], "name": ["R"], "type": [kind]},
        trips={
            "id": [str(n) for n in range(len(leave))],
            "route": np.zeros(len(leave), int),
            "first": count * np.arange(len(leave) + 1),
        },
        calls={"stop": np.tile(np.arange(count), len(leave)), "arrival": times, "departure": times},
    )


def line(nodes=61, spacing=100.0):
    """A straight two-way street with a junction every 100 m."""
    a, b = np.arange(nodes - 1), np.arange(1, nodes)
    streets = straight_streets(spacing * np.arange(nodes), np.zeros(nodes), np.r_[a, b], np.r_[b, a])
    return streets.with_columns(access=np.full(streets.links, 7, np.uint8))


def test_the_median_journey_by_hand():
    # 200 m to the stop (160 s), 120 s by bus over 4 km, 100 m from the other stop (80 s); the bus leaves every 600 s,
    # departures every 300 s from 8:00:00: one waits 600 − 160 = 440 s and 140 s in turn; the lower median waits 140 s
    streets = line()
    times = TravelTimes(streets, service=Service(shuttle([(200.0, 0.0), (4200.0, 0.0)])))
    start = Origins(["a"], np.array([0.0]), np.array([0.0]), np.ones(1))
    work = Opportunities(("jobs",), np.array([4300.0]), np.array([0.0]), np.array([[10.0]]))
    journey = (160 + 140 + 120 + 80) / 60
    found = reach(times, "transit", start, work, [journey - 0.01, journey + 0.01])
    assert found[0, :, 0].tolist() == [0.0, 10.0]
    on_foot = reach(times, "walk", start, work, [4300 / WALK / 60 - 0.01, 4300 / WALK / 60 + 0.01])
    assert on_foot[0, :, 0].tolist() == [0.0, 10.0]


def test_stops_count_by_what_calls_there():
    streets = line()
    people = Origins(list("abcd"), np.array([0.0, 400, 900, 2_000]), np.zeros(4), np.array([1.0, 2, 3, 4]))
    bus = stop_share(TravelTimes(streets), people, shuttle([(500.0, 0.0), (6_000.0, 0.0)]))
    assert bus.within.tolist() == [True, True, True, False]
    np.testing.assert_allclose(bus.metres[:3], [500, 100, 400], atol=0.1)
    assert bus.share == pytest.approx(0.6)
    rail = stop_share(TravelTimes(streets), people, shuttle([(1_001.0, 0.0), (3_000.0, 0.0)], kind=RouteType.RAIL))
    assert rail.within.tolist() == [False, True, True, True]  # 1 m beyond the last junction within a kilometre


def test_green_space_is_entered_where_streets_touch_it(tmp_path):
    shapes = [shapely.box(980, 10, 1_100, 110), shapely.box(2_990, 10, 3_010, 30)]  # 1.2 ha, and one too small
    path = tmp_path / "green.geojson"
    geopandas.GeoDataFrame(geometry=shapes, crs=CRS).to_crs(4326).to_file(path)
    people = Origins(list("abc"), np.array([700.0, 600, 3_000]), np.zeros(3), np.ones(3))
    near = green_share(TravelTimes(line()), people, path)
    assert near.within.tolist() == [True, False, False]
    with pytest.raises(PolygonError, match="holds no polygon; wanted are areas of green space"):
        lines = tmp_path / "lines.geojson"
        geopandas.GeoDataFrame(geometry=[shapely.LineString([(0, 0), (1, 1)])], crs=4326).to_file(lines)
        green_share(TravelTimes(line()), people, lines)


def plain_reached(times, mode, points, offers, minutes):
    """What is reached, target by target: the twin of the kernel."""
    begins, ends = (times.snap(mode, some.x, some.y) for some in (points, offers))
    out = np.zeros((len(points), len(minutes), len(offers.kinds)))
    for rows, seconds in times.between(mode, begins, ends, 60.0 * max(minutes)):
        for place, row in enumerate(rows.tolist()):
            for target in range(len(offers.x)):
                for number, limit in enumerate(minutes):
                    if seconds[place, target] <= 60.0 * limit + 1e-3:
                        out[row, number] += offers.count[target]
    return out


@pytest.mark.parametrize("mode", ["walk", "bicycle", "car", "transit"])
@pytest.mark.parametrize("seed", range(3))
def test_the_kernel_counts_what_its_twin_counts(mode, seed):
    network, points, _ = town(9, seed=seed)
    rng = np.random.default_rng(seed)
    where = rng.uniform(-30, 830, (2, 150))
    where[:, 0] = 5_000.0  # cut off
    where[:, 1:20] = np.stack([points.x, points.y])[:, 1:20]  # at home
    offers = Opportunities(("a", "b"), *where, rng.integers(0, 9, (150, 2)).astype(float))
    bus = shuttle([(100.0, 100.0), (400.0, 420.0), (700.0, 650.0)], seconds=60.0, every=420.0)
    times = TravelTimes(network, service=Service(bus, step=600.0))
    limits = (6.5, 1.2, 3.0)  # in any order
    found = reach(times, mode, points, offers, limits)
    assert 0 < found[:, 1].sum() < found[:, 2].sum() < found[:, 0].sum()
    np.testing.assert_array_equal(found, plain_reached(times, mode, points, offers, limits))


def test_nothing_to_reach_is_reached():
    network, points, _ = town()
    nothing = Opportunities(("jobs",), np.zeros(0), np.zeros(0), np.zeros((0, 1)))
    assert reach(TravelTimes(network), "walk", points, nothing, [5]).tolist() == [[[0.0]]] * len(points)


def test_an_isochrone_covers_the_streets_reached():
    streets = line()
    area = isochrone(TravelTimes(streets), "walk", 3_000.0, 0.0, 10)  # 750 m each way
    assert area.covers(shapely.LineString([(2_250, 0), (3_750, 0)]))
    west, _, east, _ = area.bounds
    assert (west, east) == (pytest.approx(2_200, abs=1), pytest.approx(3_800, abs=1))
    assert np.isfinite(reached_nodes(TravelTimes(streets), "walk", 3_000.0, 0.0, 10)).sum() == 15


def test_streets_without_sidewalk_tags_are_walked(tmp_path):
    nodes = "".join(f'<node id="{n}" lat="41.0" lon="{2.0 + 0.001 * n}" version="1"/>' for n in range(1, 5))
    tags = [{}, {"sidewalk": "no"}, {"sidewalk": "separate", "oneway": "yes"}]
    ways = "".join(
        f'<way id="{n}" version="1"><nd ref="{n}"/><nd ref="{n + 1}"/>'
        + "".join(f'<tag k="{k}" v="{v}"/>' for k, v in ({"highway": "residential"} | more).items())
        + "</way>"
        for n, more in enumerate(tags, 1)
    )
    path = tmp_path / "street.osm"
    path.write_text(f'<?xml version="1.0"?><osm version="0.6" generator="test">{nodes}{ways}</osm>')
    network, attribution = read_streets(path)
    assert "OpenStreetMap" in attribution
    ends = np.argsort(network.x)[[0, -1]]
    seconds = reached_nodes(TravelTimes(network), "walk", network.x[ends[1]], network.y[ends[1]], 10)
    assert np.isfinite(seconds[ends[0]])  # against the one-way street, too


POINTS = "id,lon,lat,population,jobs,remark\na,2.1,41.3,10,5,x\nb,2.2,41.4,0,,y\n"


def test_points_are_read(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text(POINTS)
    people, offers = read_points(path, CRS)
    assert people.people.tolist() == [10.0, 0.0]
    assert offers.kinds == ("jobs",)
    assert offers.count.tolist() == [[5.0], [0.0]]
    path.write_text(POINTS.replace("population", "clinics"))
    people, offers = read_points(path, CRS)
    assert people is None
    assert offers.kinds == ("clinics", "jobs")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (POINTS.replace("lon", "x"), "line 1: no column 'lon'"),
        (POINTS.replace("41.4", "north"), "line 3: lat is 'north'"),
        (POINTS.replace("2.1,", "2100,"), "line 2: lon is 2100"),
        (POINTS.replace(",10,", ",-10,"), "line 2: population is -10"),
        (POINTS.replace(",5,", ",five,").replace(",0,,", ",0,2,"), "line 2: jobs is 'five'"),
        (POINTS.replace("b,2.2,", "b,"), "line 3: 5 values, the head has 6"),
        (POINTS.splitlines()[0], "holds no points"),
        ("id,lon,lat\na,2.1,41.3\n", "only id and coordinates"),
        ("id,lon,lat,lat\na,2.1,41.3,41.3\n", "stands there twice"),
    ],
)
def test_bad_points_are_named(tmp_path, text, words):
    path = tmp_path / "points.csv"
    path.write_text(text)
    with pytest.raises(AccessError, match=words) as error:
        read_points(path, CRS)
    assert str(path) in str(error.value)


def test_points_of_another_place_are_refused():
    network, points, offers = town()
    far = Origins(["here", "Paris"], np.array([0.0, 90_000.0]), np.zeros(2), np.ones(2))
    with pytest.raises(AccessError, match=r"point Paris: is 89\.\d km from the nearest street .* outside the city"):
        reach(TravelTimes(network), "walk", far, offers, [5])
    # an island is cut off: nothing is reached from it
    island = Origins([*points.name, "island"], np.append(points.x, -4_000.0), np.append(points.y, 0.0), np.ones(61))
    found = reach(TravelTimes(network), "walk", island, offers, [10])
    assert found[-1].sum() == 0
    assert (found[:-1].sum(axis=(1, 2)) > 0).all()


def test_requests_without_sense_are_named():
    network, points, offers = town()
    with pytest.raises(AccessError, match="no timetable; give a GTFS feed"):
        reach(TravelTimes(network), "transit", points, offers, [5])
    with pytest.raises(AccessError, match="mode 'horse': unknown; there are walk"):
        reach(TravelTimes(network), "horse", points, offers, [5])
    with pytest.raises(AccessError, match="minutes"):
        reach(TravelTimes(network), "walk", points, offers, [0])
    roads = network.with_columns(access=np.full(network.links, 1, np.uint8))
    with pytest.raises(AccessError, match="no street for walk"):
        reach(TravelTimes(roads), "walk", points, offers, [5])


def test_residents_by_zone_age_and_cell():
    city = tiny_city(60)
    people, offers = residents_of(city, 250.0), opportunities_of(city)
    assert people.people.sum() == len(city.people)
    for names, counts in people.groupings.values():
        assert counts.shape == (len(people), len(names))
        np.testing.assert_array_equal(counts.sum(axis=1), people.people)
    assert people.groupings["age"][1].sum(axis=0)[3] == (city.people.age >= 65).sum()
    assert dict(zip(offers.kinds, offers.count.sum(axis=0), strict=True)) == {
        "jobs": (city.people.role == 5).sum(),
        "schools": 2,
        "kindergartens": 1,
        "care": 1,
        "shops": 1,
        "leisure": 1,
    }
    times = TravelTimes(network_of_city(city))
    found = {"walk": reach(times, "walk", people, offers, [10, 20])}
    result = Access(people, offers.kinds, (10.0, 20.0), found)
    table = result.table()
    # person by person, by another way through the columns
    own = {xy: row for row, xy in enumerate(zip(people.x.tolist(), people.y.tolist(), strict=True))}
    homes = city.people.household
    spot = [own[xy] for xy in zip(city.places.x[homes].tolist(), city.places.y[homes].tolist(), strict=True)]
    each = found["walk"][spot, 1, 0]
    for zone, name in enumerate(city.layer("zones")["name"]):
        row = table[(table["group"] == name) & (table["minutes"] == 20) & (table["kind"] == "jobs")].iloc[0]
        members = city.places.zone[homes] == zone
        assert row["people"] == members.sum()
        assert row["mean"] == pytest.approx(each[members].mean())
        assert row["share_any"] == pytest.approx((each[members] > 0).mean())
    cells = table[(table["by"] == "cell") & (table["minutes"] == 20) & (table["kind"] == "jobs")]
    assert cells["people"].sum() == len(city.people)
    assert (cells["people"] * cells["mean"]).sum() == pytest.approx(each.sum())
    layer = result.layer()
    assert layer.geometry.area.to_numpy() == pytest.approx(250.0**2)
    points = shapely.points(people.x, people.y)
    assert shapely.intersects(shapely.union_all(layer.geometry.to_numpy()), points).all()


def test_cyclists_reach_more_along_lanes():
    network, points, offers = town()
    lanes = np.random.default_rng(3).random(network.links) < 0.3
    before = reach(TravelTimes(network), "bicycle", points, offers, (1.7, 2.5))
    after = reach(TravelTimes(network.with_columns(bike_lane=lanes)), "bicycle", points, offers, (1.7, 2.5))
    assert (after >= before).all()
    assert after.sum() > before.sum()
    seconds = plain_seconds(network, points.x, points.y, 2, network.length / np.where(lanes, 18 / 3.6, BIKE))
    np.testing.assert_array_equal(after[:, 1], (seconds <= 150) @ offers.count)
    on_foot = reach(TravelTimes(network.with_columns(bike_lane=lanes)), "walk", points, offers, (1.7,))
    np.testing.assert_array_equal(on_foot, reach(TravelTimes(network), "walk", points, offers, (1.7,)))
