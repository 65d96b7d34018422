"""What drivers know of the streets, and the routes that they learn by living through a day again and again."""

import numpy as np
import pytest
from traffic_networks import network

from citytwin.agents.traffic.events import Events
from citytwin.agents.traffic.learning import Drivers, Knowledge, learn
from citytwin.agents.traffic.record import QUARTERS, LinkRecord
from citytwin.agents.traffic.routes import Router
from citytwin.environment.design.timed import StreetEvents
from citytwin.environment.network.graph import make_graph
from citytwin.environment.roads import Access

HOUR = 3600.0


def two_roads(first=1000.0, second=1200.0, **more):
    """Two roads from node 0 to node 1, 50 and 60 seconds long by default."""
    return network([(0, 1), (0, 1)], [first, second], 1.0, **more)


def hourly(number=96, per=10):
    """Drivers from 0 to 1, as many in each of ``number`` equal parts of a day."""
    depart = np.repeat(np.arange(number) * 86_400.0 / number, per) + 1.0
    count = len(depart)
    return Drivers(np.arange(count), np.zeros(count, np.int32), np.ones(count, np.int32), depart)


def changes(*rows):
    """Changes (second, link, open to cars, toll)."""
    second, link, access, toll = (np.array(column) for column in zip(*rows, strict=True))
    ones = np.ones(len(second))
    return StreetEvents(
        second.astype(float), link.astype(np.int32), access.astype(np.uint8), 20 * ones, ones, ones > 1, ones > 1, toll
    )


def learned(streets, events, seconds=None, times=5, error=0.0, drivers=None):
    """Return the road of each driver, and the gaps, where the roads always take some seconds."""

    def live(_known):
        record = LinkRecord(streets)
        record.seconds[:] = streets.free_time if seconds is None else seconds
        return record

    knowledge, router = Knowledge(streets, learns=True), Router(make_graph(streets, Access.CAR))
    known, gaps = learn(knowledge, router, drivers or hourly(), events, live, times=times, seed=1, error=error)
    assert (np.diff(known.first) == 1).all()
    return known.link, gaps


def test_a_road_that_is_closed_for_hours_is_not_taken_in_these_hours():
    streets = two_roads()
    events = Events(streets, changes((7.1 * HOUR, 0, 0, 0.0), (9 * HOUR, 0, 1, 0.0)))
    road, gaps = learned(streets, events)
    hour = hourly().depart / HOUR
    assert np.array_equal(road == 1, (hour > 7.1) & (hour < 9))
    assert gaps == [0.0] * 5


@pytest.mark.parametrize(("euros", "pays"), [(0.1, True), (0.2, False)])
def test_a_toll_of_an_hour_is_learned_at_what_it_is_worth(euros, pays):
    streets = two_roads()  # the second road takes 10 seconds more, and a euro counts as 60
    events = Events(streets, changes((7 * HOUR, 0, 1, euros), (9 * HOUR, 0, 1, 0.0)), seconds_per_euro=60.0)
    road, _ = learned(streets, events)
    hour = hourly().depart / HOUR
    tolled = (hour > 7) & (hour < 9)
    assert (road[~tolled] == 0).all()
    assert (road[tolled] == (0 if pays else 1)).all()


def test_what_is_slow_in_one_quarter_is_left_by_those_who_leave_then():
    streets = two_roads()
    seconds = np.broadcast_to(streets.free_time, (QUARTERS, 2)).copy()
    seconds[32, 0] = 90.0
    drivers = hourly(per=4000)
    road, gaps = learned(streets, Events(streets), seconds, times=4, drivers=drivers)
    at_eight = drivers.depart // 900 == 32
    assert (road[~at_eight] == 0).all()
    # of those one in two, then one in three of the rest, … turns: one in five is left
    assert np.mean(road[at_eight] == 0) == pytest.approx(0.2, abs=4 * np.sqrt(0.2 * 0.8 / 4000))
    # 4,000 could have saved 30 of the seconds that all spent
    assert gaps[0] == pytest.approx(30.0 / (95 * 50 + 90))
    assert gaps == sorted(gaps, reverse=True)


def test_who_has_learned_expects_the_hour_and_adds_the_surprise():
    streets = two_roads()
    knowledge = Knowledge(streets, learns=True)
    knowledge.expected[10:13, 0] = 100.0, 120.0, 140.0
    knowledge.begin_day()
    assert knowledge.seconds(10) == pytest.approx([100, 60])
    knowledge.see(10, np.array([100.0, 60.0]))
    assert knowledge.seconds(11) == pytest.approx([120, 60])  # nothing was otherwise
    knowledge.see(11, np.array([160.0, 60.0]))
    assert knowledge.seconds(12) == pytest.approx([160, 60])  # half of 40 more
    knowledge.begin_day()
    assert knowledge.seconds(12) == pytest.approx([140, 60])


def test_each_part_of_the_day_has_one_time():
    streets = two_roads()
    knowledge = Knowledge(streets, learns=True)
    hour = np.arange(QUARTERS) / 4
    knowledge.expected[:, 0] = np.select([hour < 7, hour < 10, hour < 16, hour < 19], [60, 90, 70, 100], 60)
    knowledge.expected[8 * 4, 0] += 12.0  # of twelve quarters
    seconds = [knowledge.in_period(3600.0 * second)[0] for second in (0, 6.9, 7, 9.9, 10, 15, 16, 19, 23.9)]
    assert seconds == pytest.approx([60, 60, 91, 91, 70, 70, 100, 60, 60])
    assert knowledge.in_period(0.0)[1] == pytest.approx(60.0)


def test_who_does_not_learn_goes_by_what_was_seen():
    streets = two_roads()
    knowledge = Knowledge(streets, learns=False)
    record = LinkRecord(streets)
    record.seconds[:] = 500.0
    knowledge.remember(record)
    knowledge.begin_day()
    assert knowledge.seconds(40) == pytest.approx([50, 60])
    knowledge.see(40, np.array([100.0, 10.0]))
    assert knowledge.seconds(41) == pytest.approx([75, 60])
