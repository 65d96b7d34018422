"""Who is where: compliance, groups and their effects, people kept at home."""

import copy
import pickle

import numpy as np
import pytest
from cities import HOURS, SHOPPING, tiny_city
from epidemic_cities import random_city

from citytwin.agents.presence import COLUMNS, GUEST, HOME, MAX_POLICIES, VISIT_GROUPS, Presence, factors, own_factor
from citytwin.environment.places import PLACE_GROUPS, PlaceKind, Role


@pytest.fixture
def presence():
    return Presence(tiny_city(60), seed=3)


def test_every_group_of_places_but_home_can_be_named_in_a_policy():
    assert set(VISIT_GROUPS) == (set(PLACE_GROUPS) - {"home"}) | {"guests"}
    assert VISIT_GROUPS["school"] == (PlaceKind.KINDERGARTEN, PlaceKind.PRIMARY, PlaceKind.SECONDARY)


def test_a_reduction_is_shared_by_both_sides_of_a_contact():
    factor = factors(reduce={"work": 0.4})
    assert factor[PlaceKind.WORK] ** 2 == pytest.approx(0.6)
    assert np.all(np.delete(factor, PlaceKind.WORK) == 1)


def test_a_closed_place_has_no_visitors_and_no_policy_touches_the_home():
    factor = factors(list(VISIT_GROUPS), {"venue": 0.5})
    assert factor[HOME] == 1
    assert np.all(np.delete(factor, HOME) == 0)


def test_compliance_is_a_uniform_draw_of_the_seed():
    city = random_city(1, people=5000)
    draws = Presence(city, 1).compliance
    assert np.array_equal(draws, Presence(city, 1).compliance)
    assert not np.array_equal(draws, Presence(city, 2).compliance)
    # Kolmogorov-Smirnov distance of 5,000 uniform draws: above 0.023 in 1 % of samples.
    assert np.abs(np.sort(draws) - np.arange(5000) / 5000).max() < 0.023


def test_the_same_people_follow_every_policy(presence):
    half, most = factors(["work"]), factors(["shop"])
    presence.apply([(half, 0.5), (most, 0.8)])
    effect = presence.effect[presence.group]
    follows_half = effect[:, PlaceKind.WORK] == 0
    follows_most = effect[:, PlaceKind.SHOP] == 0
    assert np.array_equal(follows_half, presence.compliance < 0.5)
    assert np.array_equal(follows_most, presence.compliance < 0.8)
    assert np.all(follows_most[follows_half])


def test_effects_of_policies_multiply(presence):
    presence.apply([(factors(reduce={"work": 0.4}), 1.0), (factors(reduce={"work": 0.5}), 1.0)])
    assert presence.effect[presence.group[0], PlaceKind.WORK] == pytest.approx(np.sqrt(0.6 * 0.5))


@pytest.mark.parametrize("policies", [[], [(factors(["work"]), 0.0)], [(factors(reduce={"work": 0.0}), 1.0)]])
def test_policies_without_effect_leave_everybody_with_factors_of_one(presence, policies):
    presence.apply([(factors(["school"]), 1.0)])
    presence.apply(policies)
    assert np.all(presence.effect[presence.group] == 1)
    assert np.all(presence.visits(0).altered[presence.group] == 0)


def test_sixteen_policies_can_be_in_force_at_once_and_one_more_is_refused(presence):
    policies = [(factors(reduce={"shop": 0.1}), (n + 1) / MAX_POLICIES) for n in range(MAX_POLICIES)]
    presence.apply(policies)
    expected = [np.prod([f[PlaceKind.SHOP] for f, c in policies if u < c]) for u in presence.compliance]
    assert np.allclose(presence.effect[presence.group, PlaceKind.SHOP], expected, rtol=1e-12)
    with pytest.raises(ValueError, match="17 policies are in force at once, at most 16"):
        presence.apply([*policies, policies[0]])


def test_closed_places_send_their_visitors_home(presence):
    city = presence.city
    worker = int(np.flatnonzero(city.people.role == Role.WORKER)[0])
    retired = int(np.flatnonzero(city.people.role == Role.RETIRED)[0])
    at_work, in_shop = HOURS[Role.WORKER][0], SHOPPING[0]
    assert presence.place_of(worker, 0, at_work) == city.people.activity[worker]
    presence.apply([(factors(["work"]), 1.0)])
    assert presence.place_of(worker, 0, at_work) == city.people.household[worker]
    assert city.places.kind[presence.place_of(retired, 0, in_shop)] == PlaceKind.SHOP
    presence.apply([])
    assert presence.place_of(worker, 0, at_work) == city.people.activity[worker]


def test_slots_are_half_open(presence):
    worker = int(np.flatnonzero(presence.city.people.role == Role.WORKER)[0])
    start, end = HOURS[Role.WORKER]
    home, work = presence.city.people.household[worker], presence.city.people.activity[worker]
    assert [presence.place_of(worker, 0, slot) for slot in (0, start - 1, start, end - 1, end, 95)] == [
        home,
        home,
        work,
        work,
        home,
        home,
    ]
    with pytest.raises(ValueError, match="slot 96"):
        presence.place_of(worker, 0, 96)


def test_confined_people_are_at_home_today_and_free_tomorrow():
    city = random_city(5)
    presence = Presence(city, 1)
    presence.apply([(factors(["work"], {"shop": 0.5}), 0.5)])
    group, effect = presence.group.copy(), presence.effect.copy()
    presence.confine([3, 7])
    presence.confine([7, 11, 11])
    for person in (3, 7, 11):
        assert all(presence.place_of(person, 0, slot) == city.people.household[person] for slot in range(96))
    others = np.delete(np.arange(60), [3, 7, 11])
    assert np.array_equal(presence.effect[presence.group[others]], effect[group[others]])
    presence.begin_day()
    assert np.array_equal(presence.group, group)
    assert np.array_equal(presence.effect, effect)


def test_guests_can_be_kept_away_without_closing_homes():
    city = random_city(5)
    presence = Presence(city, 1)
    guest, home = next(
        (person, place)
        for person in range(60)
        for place, *_ in city.schedules[0].visits_of(person)
        if place < city.homes and place != city.people.household[person]
    )
    columns = (presence.visits(0).kind, presence.visits(0).household, presence.group)
    assert own_factor(*columns, presence.effect, guest, home) == 1
    presence.apply([(factors(["guests"]), 1.0)])
    columns = (presence.visits(0).kind, presence.visits(0).household, presence.group)
    assert own_factor(*columns, presence.effect, guest, home) == 0
    assert own_factor(*columns, presence.effect, guest, city.people.household[guest]) == 1
    assert presence.effect.shape[1] == COLUMNS == GUEST + 1


def test_days_follow_the_week_from_the_first_weekday():
    city = random_city(1)  # the second day type holds on Saturday and Sunday
    assert [Presence(city, 1).day_type(day) for day in range(9)] == [0, 0, 0, 0, 0, 1, 1, 0, 0]
    assert [Presence(city, 1, first_weekday=5).day_type(day) for day in range(4)] == [1, 1, 0, 0]


def test_kernels_see_read_only_columns_of_the_city(presence):
    visits = presence.visits(0)
    assert not any(
        column.flags.writeable
        for name, column in visits._asdict().items()
        if name not in ("group", "effect", "altered")
    )
    assert visits.place.base is not None  # a view, no copy


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_a_copy_has_its_own_exceptions(presence, duplicate):
    presence.apply([(factors(["work"]), 0.5)])
    presence.confine([0])
    twin = duplicate(presence)
    twin.begin_day()
    assert np.array_equal(twin.effect[twin.group[1:]], presence.effect[presence.group[1:]])
    assert twin.group[0] != presence.group[0]
    assert np.array_equal(twin.visits(0).place, presence.visits(0).place)
