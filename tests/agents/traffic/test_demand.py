"""Trips of a day: they are what the visits say, for anybody and on any day."""

import numpy as np
import pytest
from cities import tiny_city

from citytwin.agents.presence import AWAY, ISOLATED, Presence, below, rule
from citytwin.agents.traffic.demand import NO_MODE, Trips, day_trips, join, place_nodes
from citytwin.environment.city import City
from citytwin.environment.places import PlaceKind
from citytwin.environment.randomness import key, uniform
from citytwin.environment.roads import Access, largest_component
from citytwin.environment.schema import SCHEMA


@pytest.fixture(scope="module")
def town():
    return City.synthetic(3_000, seed=3)


def twin(presence, day, seed):
    """Return (person, from, to, depart) of all trips, found by asking where everybody is in each slot."""
    where = np.stack([presence.places_at(day, slot) for slot in range(96)])
    departure = key(seed, "departure")
    found = []
    for slot in range(1, 96):
        for person in np.flatnonzero(where[slot] != where[slot - 1]):
            depart = (slot - uniform(departure, person, slot)) * 900.0
            found.append((person, where[slot - 1, person], where[slot, person], depart))
    return found


@pytest.mark.parametrize("day", [0, 5])
def test_trips_are_the_changes_of_place(town, day):
    presence = Presence(town, seed=1)
    presence.begin_day(day)
    presence.apply([rule(below(presence.compliance, 0.6), close=["primary", "leisure", "guests"])])
    presence.put(np.arange(0, 900, 3), ISOLATED)
    presence.put(np.arange(1, 900, 3), AWAY)
    trips = day_trips(town, presence, day, seed=1)
    ours = zip(trips.person, trips.from_place, trips.to_place, trips.depart, strict=True)
    assert sorted(ours) == sorted(twin(presence, day, seed=1))
    who = np.bincount(trips.person, minlength=len(town.people))[:900].reshape(-1, 3).sum(0)
    assert who[0] == 0 and who[1] == 0 and who[2] > 0
    np.testing.assert_array_equal(trips.purpose, town.places.kind[trips.to_place])


def test_visits_that_go_elsewhere(town):
    presence = Presence(town, seed=1)
    presence.begin_day(0)
    shops = np.flatnonzero(town.places.kind == PlaceKind.SHOP)
    visits = np.flatnonzero(town.places.kind[town.schedules[0].place] == PlaceKind.SHOP)[::2]
    presence.redirect(visits, np.full(len(visits), shops[-1]))
    trips = day_trips(town, presence, 0, seed=1)
    ours = zip(trips.person, trips.from_place, trips.to_place, trips.depart, strict=True)
    assert sorted(ours) == sorted(twin(presence, 0, seed=1))
    assert np.sum(trips.to_place == shops[-1]) >= len(visits) // 2


def test_rows_are_in_order_and_follow_each_other(town):
    trips = day_trips(town, Presence(town, seed=1), 0, seed=1)
    assert np.all(np.diff(trips.depart) >= 0)
    later = np.flatnonzero(trips.previous >= 0)
    before = trips.previous[later]
    assert np.all(before < later)
    np.testing.assert_array_equal(trips.person[before], trips.person[later])
    np.testing.assert_array_equal(trips.to_place[before], trips.from_place[later])
    np.testing.assert_array_equal(trips.destination[before], trips.origin[later])
    assert len(np.unique(before)) == len(before)
    first = trips.previous < 0
    assert first.sum() == len(np.unique(trips.person))
    # the day begins at home
    np.testing.assert_array_equal(trips.from_place[first], town.people.household[trips.person[first]])
    assert np.all(trips.mode == NO_MODE)


def test_people_leave_in_the_quarter_before(town):
    trips = day_trips(town, Presence(town, seed=1), 1, seed=1)
    schedule = town.schedules[1]
    visit = {(p, s): int(schedule.start[v]) for p in range(40) for v in range(schedule.first[p], schedule.first[p + 1])
             for s in [int(schedule.place[v])]}  # fmt: skip
    rows = np.flatnonzero(trips.person < 40)
    assert len(rows) > 50
    for row in rows:
        if trips.purpose[row] != PlaceKind.HOME:  # to which people come several times
            begin = 900 * visit[int(trips.person[row]), int(trips.to_place[row])]
            assert begin - 900 < trips.depart[row] < begin
    ahead = 900 - trips.depart % 900
    assert abs(ahead.mean() - 450) < 4 * 260 / np.sqrt(len(trips))


def test_departures_are_the_same_in_every_policy(town):
    free, closed = Presence(town, seed=1), Presence(town, seed=1)
    closed.apply([rule(close=["shop"])])
    usual = day_trips(town, free, 0, seed=1)
    fewer = day_trips(town, closed, 0, seed=1)
    assert 0 < len(fewer) < len(usual)
    assert not np.any(fewer.purpose == PlaceKind.SHOP)
    to_work = [(p, t, d) for trips in (usual, fewer)
               for p, t, d in zip(trips.person, trips.to_place, trips.depart, strict=True)
               if town.places.kind[t] == PlaceKind.WORK]  # fmt: skip
    assert len(set(to_work)) == max(len(to_work) // 2, int(np.sum(usual.purpose == PlaceKind.WORK)))
    other = day_trips(town, free, 0, seed=2)
    assert len(other) == len(usual) and not np.array_equal(other.depart, usual.depart)


def test_tiny_city_by_hand():
    city = tiny_city(6)
    trips = day_trips(city, Presence(city, seed=1), 0, seed=1)
    assert len(trips) == 2 * len(city.people)  # everybody goes out once
    at_work = np.flatnonzero(trips.purpose == PlaceKind.WORK)
    assert len(at_work) == np.sum(city.people.role == 5)
    assert np.all(trips.destination[at_work] == 4)  # the firm is in the middle of 3 by 3 nodes
    assert np.all((trips.depart[at_work] > 35 * 900) & (trips.depart[at_work] < 36 * 900))


def test_places_are_at_nodes_that_all_can_use(town):
    node = place_nodes(town)
    links = town.links
    for access in (Access.CAR, Access.BICYCLE, Access.FOOT):
        usable = (links.access & access) > 0
        assert largest_component(links.start[usable], links.end[usable], len(town.nodes))[node].all()
    stored = np.where(
        town.places.site >= 0, town.sites.node[town.places.site], town.buildings.node[town.places.building]
    )
    moved = node != stored
    assert moved.mean() < 0.2
    # who moved has no other good node nearer
    good = np.unique(node)
    far = np.hypot(town.nodes.x[node] - town.places.x, town.nodes.y[node] - town.places.y)
    for place in np.flatnonzero(moved)[:20]:
        assert (
            far[place]
            <= np.hypot(town.nodes.x[good] - town.places.x[place], town.nodes.y[good] - town.places.y[place]).min()
        )


def test_no_streets_no_nodes():
    city = tiny_city(6)
    tables = {table: dict(getattr(city, table)) for table in SCHEMA}
    tables["links"] = {name: column[:0] for name, column in tables["links"].items()}
    city = City(city.info, tables, city.schedules)
    assert np.all(place_nodes(city) == -1)
    assert np.all(day_trips(city, Presence(city, seed=1), 0, seed=1).origin == -1)


def test_nobody_goes_out_of_one_room():
    city = City.one_place(1_000)
    assert len(day_trips(city, Presence(city, seed=1), 0, seed=1)) == 0


def test_join_keeps_who_follows_whom():
    one = Trips.in_order(person=[5, 5, 6], depart=[30.0, 10.0, 20.0], previous=[1, -1, -1], origin=[1, 2, 3])
    two = Trips.in_order(depart=[20.0, 5.0], origin=[7, 8])
    assert one.person.tolist() == [5, 6, 5] and one.previous.tolist() == [-1, -1, 0]
    both = join(one, two)
    assert both.depart.tolist() == [5.0, 10.0, 20.0, 20.0, 30.0]
    assert both.person.tolist() == [-1, 5, 6, -1, 5]
    assert both.origin.tolist() == [8, 2, 3, 7, 1]
    assert both.previous.tolist() == [-1, -1, -1, -1, 1]
