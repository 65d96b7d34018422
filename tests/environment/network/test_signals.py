"""Default programs of traffic signals: who is green when, for how long, and what a driver waits."""

import itertools

import numpy as np
import pytest

from citytwin.environment.city import City
from citytwin.environment.network.network import SATURATION, Network
from citytwin.environment.network.of_city import network_of_city
from citytwin.environment.network.signals import JOINED, LOST, SHORTEST_GREEN, with_signals
from citytwin.environment.roads import Access, RoadRank

EVERYONE = Access.CAR | Access.BICYCLE | Access.FOOT | Access.BUS


def star(arms, ranks, length=100.0, lanes=None, access=EVERYONE):
    """A junction, node 0, with two-way arms in given compass directions (degrees); links 2k lead in, 2k + 1 out."""
    number = len(arms)
    angle = np.radians(arms)
    tips = np.arange(1, number + 1)
    start = np.stack([tips, np.zeros(number, int)], 1).ravel().astype(np.int32)
    end = np.stack([np.zeros(number, int), tips], 1).ravel().astype(np.int32)
    rank = np.repeat(np.array(ranks, np.uint8), 2)
    lanes = np.repeat(np.ones(number) if lanes is None else np.array(lanes, float), 2)
    return Network(
        x=np.r_[0.0, length * np.sin(angle)],
        y=np.r_[0.0, length * np.cos(angle)],
        start=start,
        end=end,
        length=np.full(2 * number, length),
        speed=np.full(2 * number, 50 / 3.6),
        lanes=lanes,
        capacity=lanes * np.array([SATURATION[RoadRank(r)] for r in rank]) / 3600,
        access=np.full(2 * number, access, np.uint8),
        rank=rank,
        way=np.repeat(np.arange(number), 2).astype(np.int64),
        through=np.ones(number + 1, bool),
        crs="EPSG:32631",
    )


def at_first(network, seed=1):
    where = np.zeros(network.nodes, bool)
    where[0] = True
    return with_signals(network, where, seed)


def windows(network):
    """(start, end) of green by link."""
    signals = network.signals
    return {
        int(link): (float(a), float(b))
        for link, a, b in zip(signals.link, signals.green_start, signals.green_end, strict=True)
    }


def test_opposite_arms_are_green_together_and_crossing_ones_never():
    ranks = [RoadRank.PRIMARY, RoadRank.RESIDENTIAL] * 2
    network = at_first(star([0, 90, 180, 270], ranks))
    green = windows(network)
    assert sorted(green) == [0, 2, 4, 6]  # the links that lead in
    assert green[0] == green[4]
    assert green[2] == green[6]
    main, side = sorted([green[0], green[2]])
    assert main[1] + LOST == pytest.approx(side[0])
    assert set(network.signals.cycle) == {60.0}
    assert side[1] + LOST == pytest.approx(60.0)
    # Webster: greens in the ratio of the critical flows, 1,500 to 600 vehicles an hour and lane
    length = {link: b - a for link, (a, b) in green.items()}
    assert length[0] / length[2] == pytest.approx(1500 / 600)


def test_a_fork_of_three_has_three_phases():
    network = at_first(star([0, 120, 240], [RoadRank.SECONDARY] * 3))
    green = sorted(windows(network).values())
    assert set(network.signals.cycle) == {90.0}
    assert [b - a for a, b in green] == pytest.approx([(90 - 3 * LOST) / 3] * 3)
    assert all(one[1] + LOST == pytest.approx(other[0]) for one, other in itertools.pairwise(green))


def test_small_streets_keep_the_shortest_green():
    network = at_first(star([0, 90, 180], [RoadRank.TRUNK, RoadRank.SERVICE, RoadRank.TRUNK]))
    green = windows(network)
    assert green[2][1] - green[2][0] == pytest.approx(SHORTEST_GREEN)
    assert green[0][1] - green[0][0] == pytest.approx(60 - 2 * LOST - SHORTEST_GREEN)


def test_one_street_alone_stops_for_people_on_foot():
    network = at_first(star([0, 180], [RoadRank.PRIMARY] * 2))
    assert windows(network)[0] == windows(network)[2] == (0.0, 60 - 2 * LOST - SHORTEST_GREEN)


def test_capacity_is_the_saturation_flow_where_a_signal_stands_and_as_before_elsewhere():
    before = star([0, 90, 180], [RoadRank.PRIMARY] * 3, lanes=[2, 1, 2])
    network = at_first(before)
    assert network.capacity[[0, 2, 4]] * 3600 == pytest.approx([3600, 1800, 3600])
    assert network.capacity[[1, 3, 5]].tolist() == before.capacity[[1, 3, 5]].tolist()
    assert network.signals.flow.tolist() == network.capacity[network.signals.link].tolist()


def test_junctions_close_together_share_a_program_and_the_street_between_has_no_signal():
    near = star([90, 270, 0, 180], [RoadRank.PRIMARY, RoadRank.PRIMARY, RoadRank.TERTIARY, RoadRank.TERTIARY])
    length = near.length.copy()
    length[:2] = JOINED  # node 1 is the other half of the crossing
    where = np.array([True, True, False, False, False])
    network = with_signals(near.with_columns(length=length), where, 1)
    assert sorted(network.signals.link.tolist()) == [2, 4, 6]
    assert network.capacity[[0, 1]] * 3600 == pytest.approx(1800)
    assert len(set(network.signals.offset)) == 1
    length[:2] = JOINED + 1
    apart = with_signals(near.with_columns(length=length), where, 1)
    assert sorted(apart.signals.link.tolist()) == [0, 1, 2, 4, 6]
    assert apart.report["signal programs"] == 2


def test_a_street_cut_by_footpaths_carries_what_the_green_lets_through():
    """The eastern arm is cut at 8 and at 60 m by a path; beyond the side street at 90 m its own capacity holds."""
    base = star([0, 90, 180], [RoadRank.SECONDARY] * 3)
    # 0 junction, 2 tip of the east; new nodes 4 (8 m), 5 (60 m), 6 (90 m), 7 (side street), 8 (path)
    pairs = [(4, 0), (5, 4), (6, 5), (2, 6), (7, 6)]
    paths = [(8, 4), (8, 5)]
    keep = [0, 1, 4, 5]
    more = [*pairs, *((b, a) for a, b in pairs), *paths]
    start = np.r_[base.start[keep], [a for a, _ in more]].astype(np.int32)
    end = np.r_[base.end[keep], [b for _, b in more]].astype(np.int32)
    number = len(start)
    access = np.full(number, EVERYONE, np.uint8)
    access[-len(paths) :] = Access.FOOT
    network = base.with_columns(
        x=np.r_[base.x, 8, 60, 90, 90, 30],
        y=np.r_[base.y, 0, 0, 0, 80, 30],
        start=start,
        end=end,
        length=np.full(number, 30.0),
        speed=np.full(number, 10.0),
        lanes=np.ones(number),
        capacity=np.full(number, 1000 / 3600),
        access=access,
        rank=np.full(number, RoadRank.SECONDARY, np.uint8),
        way=np.arange(number),
        through=np.ones(9, bool),
    )
    hourly = at_first(network).capacity * 3600
    of = {(int(a), int(b)): float(c) for a, b, c in zip(start, end, hourly, strict=True)}
    assert of[4, 0] == of[5, 4] == of[6, 5] == of[1, 0] == pytest.approx(1800)
    others = [value for pair, value in of.items() if pair not in {(4, 0), (5, 4), (6, 5), (1, 0), (3, 0)}]
    assert others == pytest.approx([1000] * len(others))


def test_ways_for_people_on_foot_have_no_signal():
    network = at_first(star([0, 90], [RoadRank.PATH] * 2, access=Access.FOOT))
    assert network.signals is None


def test_offsets_follow_the_seed_and_nothing_else():
    network = star([0, 90, 180], [RoadRank.PRIMARY] * 3)
    offsets = [set(at_first(network, seed).signals.offset) for seed in range(20)]
    assert all(len(one) == 1 for one in offsets)
    assert at_first(network, 3).signals.offset.tolist() == at_first(network, 3).signals.offset.tolist()
    values = [offset for one in offsets for offset in one]
    assert len(set(values)) > 10
    assert all(0 <= value < 60 for value in values)


@pytest.mark.parametrize(
    ("cycle", "green", "ratio", "wait"), [(60, 30, 0.5, 10.0), (90, 45, 0.8, 18.75), (120, 40, 0.9, 38.10)]
)
def test_uniform_delay_of_a_green_window(cycle, green, ratio, wait):
    """The queue before a signal, integrated over a cycle, gives d1 = C (1 − g)² / (2 (1 − g x)) of the HCM."""
    network = at_first(star([0, 90, 180], [RoadRank.PRIMARY] * 3))
    one = network.signals
    share = green / cycle
    flow = float(one.flow[0])
    arriving = ratio * flow * share
    step = 0.01
    at = (np.arange(3 * cycle / step) + 0.5) * step
    begin = float(one.green_start[0])
    open_ = (at % cycle >= begin) & (at % cycle < begin + green)
    queue, area, came = 0.0, 0.0, 0.0
    for second, is_open in zip(at, open_, strict=True):
        queue = max(0.0, queue + step * (arriving - flow * is_open))
        if second >= 2 * cycle:  # two cycles to settle
            area += queue * step
            came += arriving * step
    formula = cycle * (1 - share) ** 2 / (2 * (1 - share * ratio))
    assert area / came == pytest.approx(formula, rel=0.002)
    assert formula == pytest.approx(wait, abs=0.01)


def test_an_invented_city_has_signals_where_large_streets_meet():
    city = City.synthetic(20_000, seed=3)
    network = network_of_city(city)
    for node in range(len(city.nodes)):
        ranks = city.links.rank[city.links.end == node]
        expected = (ranks <= RoadRank.TERTIARY).sum() >= 3 and (ranks <= RoadRank.SECONDARY).any()
        assert bool(city.nodes.signal[node]) == expected
    assert city.nodes.signal.sum() > 5
    ends = np.unique(network.end[network.signals.link])
    assert np.array_equal(ends, np.flatnonzero(city.nodes.signal))
    assert np.all(network.signals.green_end <= network.signals.cycle)
    assert np.all(network.signals.green_end - network.signals.green_start >= SHORTEST_GREEN - 1e-9)
