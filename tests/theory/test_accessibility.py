"""Accessibility against what must hold.

Isochrone. On a square grid of spacing s (m) the junctions that somebody of speed v (m/s) reaches within t (s) are those
whose Manhattan distance is at most m = floor(v t / s): 2 m² + 2 m + 1 of them.

Monotony. The opportunities reached never become fewer with more minutes or one opportunity more, and never more with a
closed link. Public transport, by which one may also walk all the way, reaches what walking reaches, and more.

Porto Alegre. Hexagons with people, schools, jobs and clinics, streets and two feeds (tests/DATA.md). The bus feed is an
excerpt with trips from 11:30 to 16:00; at 8:00 only the railway runs. Some hexagons are worked out again in plain Python:
ways by networkx, journeys by riding through every trip in every round.
"""

import math
import os
import time
from collections import defaultdict
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.stats import spearmanr
from streets import straight_streets

from citytwin.environment.access import (
    Opportunities,
    Origins,
    Service,
    TravelTimes,
    reach,
    reached_nodes,
    read_points,
    stop_share,
)
from citytwin.environment.access.streets import read_streets
from citytwin.environment.roads import Access as Allowed
from citytwin.environment.transit.gtfs import read_gtfs
from citytwin.environment.transit.timetable import TransitError

DATA = Path(os.environ.get("CITYTWIN_DATA", "")) / "porto_alegre_access"
real = pytest.mark.skipif(not DATA.is_dir(), reason="CITYTWIN_DATA names no folder with porto_alegre_access")
SPEED = {"walk": 4.5 / 3.6, "bicycle": 15 / 3.6, "car": 14.0}  # m/s, the last that of the streets made here
MINUTES = (15, 30, 45, 60)


def grid(side, spacing):
    number = np.arange(side * side).reshape(side, side)
    a = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])
    b = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])
    x, y = (spacing * k.ravel() for k in np.divmod(number, side))
    streets = straight_streets(x, y, np.concatenate([a, b]), np.concatenate([b, a]))
    return streets.with_columns(access=np.full(streets.links, 7, np.uint8))


@pytest.mark.parametrize("mode", ["walk", "bicycle", "car"])
@pytest.mark.parametrize(("spacing", "minutes"), [(100.0, 1.0), (75.0, 3.0), (75.0, 5.0), (130.0, 2.5), (300.0, 0.2)])
def test_the_isochrone_of_a_grid(mode, spacing, minutes):
    m = math.floor(SPEED[mode] * minutes * 60 / spacing + 1e-9)
    side = 2 * m + 5
    streets = grid(side, spacing)
    middle = spacing * (side // 2)
    seconds = reached_nodes(TravelTimes(streets), mode, middle, middle, minutes)
    assert np.isfinite(seconds).sum() == 2 * m * m + 2 * m + 1
    apart = np.abs(streets.x - middle) + np.abs(streets.y - middle)
    np.testing.assert_array_equal(np.isfinite(seconds), apart <= m * spacing)


@st.composite
def quarters(draw):
    """A grid, some of its links closed, people and opportunities anywhere in it."""
    streets = grid(6, 100.0)
    closed = np.array(draw(st.lists(st.booleans(), min_size=streets.links, max_size=streets.links)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x, y = rng.uniform(-60, 560, (2, 25))
    people = Origins([str(n) for n in range(25)], x, y, np.ones(25))
    offers = Opportunities(("any",), *rng.uniform(-60, 560, (2, 30)), rng.integers(0, 4, (30, 1)).astype(float))
    return streets, closed, people, offers, draw(st.sampled_from(["walk", "bicycle", "car"]))


@settings(max_examples=60)
@given(quarters(), st.floats(0.1, 8.0), st.tuples(st.floats(-60, 560), st.floats(-60, 560)))
def test_access_is_monotone(case, limit, spot):
    streets, closed, people, offers, mode = case
    limits = (limit, 1.5 * limit)
    free = reach(TravelTimes(streets), mode, people, offers, limits)
    assert (free[:, 1] >= free[:, 0]).all()
    shut = reach(TravelTimes(streets, closed=closed), mode, people, offers, limits)
    assert (shut <= free).all()
    more = Opportunities(
        offers.kinds,
        np.append(offers.x, spot[0]),
        np.append(offers.y, spot[1]),
        np.append(offers.count, [[1.0]], axis=0),
    )
    added = reach(TravelTimes(streets), mode, people, more, limits) - free
    assert set(np.unique(added)) <= {0.0, 1.0}


# ---------------------------------------------------------------------- Porto Alegre


@pytest.fixture(scope="module")
def porto_alegre():
    network, _ = read_streets(DATA / "poa_osm.pbf")
    people, offers = read_points(DATA / "poa_hexgrid.csv", network.crs)
    feeds = [DATA / "poa_eptc.zip", DATA / "poa_trensurb.zip"]
    return network, people, offers, read_gtfs(feeds, "2019-05-14", crs=network.crs).with_walks()


@pytest.fixture(scope="module")
def reached(porto_alegre):
    """What is reached by mode and hour of departure; processor seconds are printed."""
    network, people, offers, timetable = porto_alegre
    out = {}
    for name, mode, hour in (
        ("walk", "walk", 8), ("bicycle", "bicycle", 8), ("car", "car", 8), ("at 8", "transit", 8), ("at 14", "transit", 14)
    ):  # fmt: skip
        times = TravelTimes(network, service=Service(timetable, depart=hour * 3600.0))
        began = time.process_time()
        out[name] = reach(times, mode, people, offers, MINUTES)
        jobs = people.people @ out[name][:, 1, offers.kinds.index("jobs")] / people.people.sum()
        print(f"{name}: {jobs:,.0f} jobs within 30 min, {time.process_time() - began:.2f} CPU s")
    return out


@real
def test_totals_of_porto_alegre(porto_alegre):
    _, people, offers, _ = porto_alegre
    assert len(people) == 1_227
    assert people.people.sum() == 812_935
    assert dict(zip(offers.kinds, offers.count.sum(axis=0), strict=True)) == {
        "schools": 194,
        "jobs": 337_921,
        "healthcare": 141,
    }


@real
def test_what_must_hold_in_porto_alegre(porto_alegre, reached):
    _, people, offers, _ = porto_alegre
    total = offers.count.sum(axis=0)
    for found in reached.values():
        assert (np.diff(found, axis=1) >= 0).all()
        assert (found <= total).all()
    for hour in ("at 8", "at 14"):
        assert (reached[hour] >= reached["walk"]).all()
    # buses make a difference only when the feed has any
    jobs = offers.kinds.index("jobs")
    mean = {name: people.people @ found[:, 1, jobs] / people.people.sum() for name, found in reached.items()}
    assert mean["walk"] < mean["at 8"] < 1.05 * mean["walk"]
    assert mean["at 14"] > 2 * mean["walk"]
    assert mean["walk"] < mean["bicycle"] < mean["car"]
    # the nearer the middle of the jobs, the more of them are reached
    weight = offers.count[:, jobs]
    apart = np.hypot(offers.x - weight @ offers.x / weight.sum(), offers.y - weight @ offers.y / weight.sum())
    for name in ("walk", "bicycle", "at 14"):
        assert spearmanr(apart, reached[name][:, 1, jobs]).statistic < -0.6, name
    # the axis of the city centre, the north-west: among the tenth with most jobs on foot, nearly all lie on that side
    best = reached["walk"][:, 1, jobs] >= np.quantile(reached["walk"][:, 1, jobs], 0.9)
    assert (people.x[best] < np.median(people.x)).mean() > 0.8
    assert (people.y[best] > np.median(people.y)).mean() > 0.95


def _plain(network, people, offers, timetable, row, departs):
    """Seconds from a hexagon to all at each departure, on foot and by public transport, in plain Python."""
    walk = SPEED["walk"]
    graph = nx.DiGraph()
    for link in np.flatnonzero(network.access & 4).tolist():
        pair, cost = (int(network.start[link]), int(network.end[link])), network.length[link] / walk
        if not graph.has_edge(*pair) or graph.edges[pair]["cost"] > cost:
            graph.add_edge(*pair, cost=cost)
    part = np.array(sorted(max(nx.strongly_connected_components(graph), key=len)))

    def snap(x, y):
        apart = np.hypot(network.x[part] - x, network.y[part] - y)
        return int(part[apart.argmin()]), apart.min() / walk, apart.min()

    def ways(node, cutoff):
        return nx.single_source_dijkstra_path_length(graph, node, cutoff=cutoff, weight="cost")

    begin, off, _ = snap(people.x[row], people.y[row])
    ends = [snap(x, y) for x, y in zip(offers.x.tolist(), offers.y.tolist(), strict=True)]
    at_node = defaultdict(list)
    for column, (node, seconds, metres) in enumerate(ends):
        if metres <= 1_000:
            at_node[node].append((column, off + seconds))
    stops = [snap(x, y) for x, y in zip(timetable.stop_x.tolist(), timetable.stop_y.tolist(), strict=True)]
    near = ways(begin, 1_000 / walk)
    access = {
        s: near[node] + seconds
        for s, (node, seconds, metres) in enumerate(stops)
        if metres <= 1_000 and node in near and near[node] + seconds <= 1_000 / walk
    }
    on_foot = np.full(len(ends), np.inf)
    for node, seconds in ways(begin, 1_900).items():
        for column, walked in at_node[node]:
            on_foot[column] = seconds + walked
    by_node = {}
    pattern = timetable.trip_pattern
    rides = []
    for trip in range(timetable.trips):
        arrival, departure = timetable.times(trip)
        if departure[0] < departs[-1] + 1_900 and arrival[-1] >= departs[0]:
            rides.append((timetable.stop[timetable.first[pattern[trip]] : timetable.first[pattern[trip] + 1]].tolist(),
                          arrival.tolist(), departure.tolist()))  # fmt: skip
    out = []
    for depart in departs:
        ready = {s: depart + seconds for s, seconds in access.items()}
        best = {}
        for _ in range(4):
            ridden = {}
            for calls, arrival, departure in rides:
                aboard = False
                for s, come, leave in zip(calls, arrival, departure, strict=True):
                    if aboard:
                        ridden[s] = min(ridden.get(s, math.inf), come)
                    aboard = aboard or ready.get(s, math.inf) <= leave
            for s, t in ridden.items():
                if t > depart + 1_900 or t >= best.get(s, math.inf):
                    continue
                best[s] = t
                for u, seconds in [
                    (s, float(timetable.change[s])),
                    *zip(
                        timetable.walk_stop[timetable.walk_first[s] : timetable.walk_first[s + 1]].tolist(),
                        timetable.walk_seconds[timetable.walk_first[s] : timetable.walk_first[s + 1]].tolist(),
                        strict=True,
                    ),
                ]:
                    ready[u] = min(ready.get(u, math.inf), t + seconds)
        seconds = on_foot.copy()
        for s, t in best.items():
            node, aside, metres = stops[s]
            if metres > 1_000:
                continue
            if node not in by_node:
                by_node[node] = ways(node, 1_000 / walk)
            for end, walked in by_node[node].items():
                if walked + aside <= 1_000 / walk:
                    for column, both in at_node[end]:
                        seconds[column] = min(seconds[column], t - depart + aside + walked + both)
        out.append(seconds)
    same = np.array([node == begin for node, _, _ in ends])
    crow = np.hypot(offers.x - people.x[row], offers.y - people.y[row]) / walk
    return [np.where(same, np.minimum(s, crow), s) for s in (on_foot, *out)]


@real
@pytest.mark.parametrize("row", [150, 901])
def test_hexagons_worked_out_again(porto_alegre, row):
    network, people, offers, timetable = porto_alegre
    service = Service(timetable, depart=14 * 3600.0, window=900.0)
    one = Origins([people.name[row]], people.x[[row]], people.y[[row]], people.people[[row]])
    on_foot, *rides = _plain(network, people, offers, timetable, row, service.departures.tolist())
    ours = {
        m: reach(TravelTimes(network, service=service), m, one, offers, [10, 20, 30])[0] for m in ("walk", "transit")
    }
    plain = {"walk": on_foot, "transit": np.sort(rides, axis=0)[1]}
    for mode, seconds in plain.items():
        for number, limit in enumerate((600, 1_200, 1_800)):
            # times are kept to 32 bits, so a hexagon on the very limit may fall on either side
            least, most = ((seconds <= limit + off) @ offers.count for off in (-0.01, 0.01))
            assert (least <= ours[mode][number]).all()
            assert (ours[mode][number] <= most).all()
    jobs = offers.kinds.index("jobs")
    assert ours["transit"][2, jobs] > ours["walk"][2, jobs] > 0


@real
def test_access_to_stops_in_porto_alegre(porto_alegre):
    network, people, _, timetable = porto_alegre
    near = stop_share(TravelTimes(network), people, timetable)
    # one search from all stops at once; nearly all people walk both ways on every street
    rail = timetable.stop_types[:, [1, 2, 4]].any(axis=1)
    within = np.zeros(len(people), bool)
    graph = nx.Graph()
    for link in np.flatnonzero(network.access & 4).tolist():
        pair, metres = (int(network.start[link]), int(network.end[link])), float(network.length[link])
        if not graph.has_edge(*pair) or graph.edges[pair]["cost"] > metres:
            graph.add_edge(*pair, cost=metres)
    part = np.flatnonzero(network.main_part(Allowed.FOOT))
    tree = cKDTree(np.stack([network.x[part], network.y[part]], 1))
    aside, node = tree.query(np.stack([people.x, people.y], 1))
    for which, limit in ((~rail, 500.0), (rail, 1_000.0)):
        graph.add_node("stops")
        off, at = tree.query(np.stack([timetable.stop_x[which], timetable.stop_y[which]], 1))
        for n in np.unique(at):
            graph.add_edge("stops", int(part[n]), cost=float(off[at == n].min()))
        ways = nx.single_source_dijkstra_path_length(graph, "stops", cutoff=limit + 1, weight="cost")
        walk = np.array([ways.get(int(part[n]), np.inf) for n in node]) + aside
        assert not (np.abs(walk - limit) < 0.1).any()  # nobody on the very border
        # a hexagon and a stop at one junction are as far apart as the crow flies, if that is less
        for row in range(len(people)):
            crow = np.hypot(*(np.stack([timetable.stop_x, timetable.stop_y])[:, which][:, at == node[row]].T
                              - [people.x[row], people.y[row]]).T)  # fmt: skip
            walk[row] = min(walk[row], crow.min(initial=np.inf))
        within |= (walk <= limit) & (aside <= 1_000)
        graph.remove_node("stops")
    np.testing.assert_array_equal(near.within, within)
    assert near.share == pytest.approx(people.people[within].sum() / 812_935)


@real
@pytest.mark.parametrize("day", ["2019-02-28", "2019-08-01"])
def test_a_feed_outside_its_dates_says_so(day):
    with pytest.raises(TransitError, match=r"poa_(eptc|trensurb)\.zip.*2019"):
        read_gtfs([DATA / "poa_eptc.zip", DATA / "poa_trensurb.zip"], day)
