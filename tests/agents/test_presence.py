"""Who is where: compliance, groups and their effects, people kept at home."""

import copy
import pickle

import numpy as np
import pytest
from cities import HOURS, SHOPPING, tiny_city
from epidemic_cities import random_city

from citytwin.agents import rules
from citytwin.agents.presence import (
    AWAY,
    COLUMNS,
    CONFINED,
    FREE,
    GUEST,
    HOME,
    ISOLATED,
    QUARANTINED,
    VISIT_GROUPS,
    Presence,
    below,
    own_factor,
    rule,
)
from citytwin.environment.places import PLACE_GROUPS, PlaceKind, Role


@pytest.fixture
def presence():
    return Presence(tiny_city(60), seed=3)


def factors_of(presence, name, person, place, day=0):
    """Return a person's factor at a place, "give" or "take", from the tables alone."""
    visits = presence.visits(day)
    column = visits.column[place] + (GUEST if visits.kind[place] == HOME and visits.household[person] != place else 0)
    return getattr(visits, name)[visits.group[person], column]


def test_every_group_of_places_but_home_can_be_named_in_a_policy():
    assert set(VISIT_GROUPS) == (set(PLACE_GROUPS) - {"home"}) | {"guests"}
    assert VISIT_GROUPS["school"] == (PlaceKind.KINDERGARTEN, PlaceKind.PRIMARY, PlaceKind.SECONDARY)


def test_compliance_is_a_uniform_draw_of_the_seed():
    city = random_city(1, people=5000)
    draws = Presence(city, 1).compliance
    assert np.array_equal(draws, Presence(city, 1).compliance)
    assert not np.array_equal(draws, Presence(city, 2).compliance)
    # Kolmogorov-Smirnov distance of 5,000 uniform draws: above 0.023 in 1 % of samples.
    assert np.abs(np.sort(draws) - np.arange(5000) / 5000).max() < 0.023


class TestRules:
    def test_rules_hold_for_their_people_only(self, presence):
        presence.apply(
            [
                rule(below(presence.compliance, 0.5), close=["work"]),
                rule(below(presence.compliance, 0.8), reduce={"shop": 0.36}),
            ]
        )
        work, shop = (int(np.flatnonzero(presence.city.places.kind == kind)[0]) for kind in (5, 6))
        for person in range(len(presence.group)):
            follows = presence.compliance[person]
            assert factors_of(presence, "take", person, work) == (-1 if follows < 0.5 else 1)
            assert factors_of(presence, "give", person, work) == (-1 if follows < 0.5 else 1)
            assert factors_of(presence, "take", person, shop) == pytest.approx(0.8 if follows < 0.8 else 1)

    def test_factors_of_rules_multiply_and_absence_stays(self, presence):
        masks = rule(masks=(["work", "shop"], 0.5, 0.25))
        presence.apply([masks, rule(reduce={"work": 0.36}), rule(close=["shop"]), rule(close=["shop"])])
        visits = presence.visits(0)
        assert visits.give[visits.group[0], [PlaceKind.WORK, PlaceKind.SHOP]] == pytest.approx([0.4, -1])
        assert visits.take[visits.group[0], [PlaceKind.WORK, PlaceKind.SHOP]] == pytest.approx([0.6, -1])

    def test_rules_hold_in_their_places_only(self):
        city = random_city(2, people=300, places=40)
        presence = Presence(city, 1)
        north, east = city.places.zone == 0, np.arange(len(city.places)) % 2 == 0
        some = below(presence.compliance, 0.6)
        presence.apply([
            rule(some, north, close=["guests", "leisure"]),
            rule(None, east, reduce={"leisure": 0.75}, ventilate={"leisure": 3.0}),
        ])  # fmt: skip
        visits = presence.visits(0)
        for person in range(0, 300, 7):
            for place in range(len(city.places)):
                kind, home = city.places.kind[place], city.people.household[person]
                closed = (
                    some[person] and north[place] and (kind == PlaceKind.LEISURE or (kind == HOME and place != home))
                )
                calm = kind == PlaceKind.LEISURE and east[place]
                assert factors_of(presence, "take", person, place) == (-1 if closed else 0.5 if calm else 1)
                assert visits.air[visits.column[place]] == (3 if calm else 1)

    def test_people_of_numbered_classes_may_have_different_factors_by_class_of_place(self, presence):
        zone = presence.city.places.zone
        people = zone[presence.city.people.household]
        table = np.ones((4, 4, COLUMNS))
        table[:, :, PlaceKind.SHOP] = np.arange(16).reshape(4, 4) / 16
        plain = rule()
        presence.apply([plain._replace(people=people, places=zone, take=table)])
        shop = int(np.flatnonzero(presence.city.places.kind == PlaceKind.SHOP)[0])
        for person, own in enumerate(people):
            assert factors_of(presence, "take", person, shop) == table[own, zone[shop], PlaceKind.SHOP]
            assert factors_of(presence, "give", person, shop) == 1

    def test_a_reduction_is_shared_by_both_sides_of_a_contact(self):
        reduced = rule(reduce={"work": 0.4})
        assert reduced.give[PlaceKind.WORK] * reduced.take[PlaceKind.WORK] == pytest.approx(0.6)
        assert np.all(np.delete(reduced.take, PlaceKind.WORK) == 1)

    def test_no_contact_is_not_the_same_as_not_going(self, presence):
        presence.apply([rule(reduce={"work": 1.0})])
        worker = int(np.flatnonzero(presence.city.people.role == Role.WORKER)[0])
        assert presence.place_of(worker, 0, HOURS[Role.WORKER][0]) == presence.city.people.activity[worker]

    @pytest.mark.parametrize("given", [[], [rule(np.zeros(120, bool), close=["work"])], [rule(reduce={"work": 0.0})]])
    def test_rules_without_effect_leave_everybody_with_factors_of_one(self, presence, given):
        presence.apply([rule(close=["school"])])
        presence.apply(given)
        visits = presence.visits(0)
        assert np.all(visits.take[visits.group] == 1)
        assert np.all(visits.give[visits.group] == 1)
        assert not visits.altered.any()

    def test_any_number_of_rules_can_be_in_force(self):
        city = random_city(3, people=5000)
        presence = Presence(city, 1)
        rng = np.random.default_rng(1)
        follows = rng.random((40, 5000)) < 0.5
        presence.apply([rule(mask, reduce={"shop": 0.01 * (n + 1)}) for n, mask in enumerate(follows)])
        visits = presence.visits(0)
        expected = np.prod(np.where(follows, np.sqrt(1 - 0.01 * np.arange(1, 41))[:, None], 1), axis=0)
        assert np.allclose(visits.take[visits.group, PlaceKind.SHOP], expected, rtol=1e-12)

    def test_groups_with_the_same_factors_are_one(self):
        city = random_city(3, people=5000)
        presence = Presence(city, 1)
        follows = np.random.default_rng(1).random((20, 5000)) < 0.5
        presence.apply([rule(mask, close=["shop"]) for mask in follows])
        assert len(presence.visits(0).take) < 1100
        visits = presence.visits(0)
        assert np.array_equal(visits.take[visits.group, PlaceKind.SHOP] < 0, follows.any(axis=0))

    def test_homes_are_under_no_rule(self, presence):
        wrong = rule()
        wrong.take[HOME] = 0.5
        with pytest.raises(ValueError, match="in their own homes; leave column HOME at 1"):
            presence.apply([wrong])

    def test_more_groups_than_can_be_numbered_are_refused(self):
        people = 70_000
        presence = Presence(random_city(1), 1)
        presence.group = np.zeros(people, np.uint16)
        numbered = rule()._replace(
            people=np.arange(people), take=1 / (1 + np.arange(people))[:, None, None] ** np.ones(COLUMNS)
        )
        numbered.take[:, :, HOME] = 1
        with pytest.raises(ValueError, match="70,000 groups, at most 65,527 can be; use fewer policies"):
            presence.apply([numbered])

    def test_more_areas_than_can_be_numbered_or_kept_are_refused(self, monkeypatch):
        presence = Presence(random_city(1, places=7000), 1)
        places = np.arange(len(presence.city.places))
        with pytest.raises(ValueError, match=r"kinds of areas, at most 6,553 can be; use larger zones"):
            presence.apply([rule(None, places)])
        monkeypatch.setattr(rules, "MAX_CELLS", 2 * 3 * COLUMNS - 1)
        halves, thirds = below(presence.compliance, 0.5), places % 3
        with pytest.raises(ValueError, match=r"into 2 groups and 3 areas, too many to keep; use larger zones or fewer"):
            presence.apply([rule(halves, thirds)])

    def test_the_same_rules_again_change_nothing(self, presence):
        presence.apply([rule(below(presence.compliance, 0.5), close=["work"])])
        view = presence.visits(0)
        presence.apply([rule(below(presence.compliance, 0.5), close=["work"])])
        assert presence.visits(0) is view


def test_closed_places_send_their_visitors_home(presence):
    city = presence.city
    worker = int(np.flatnonzero(city.people.role == Role.WORKER)[0])
    retired = int(np.flatnonzero(city.people.role == Role.RETIRED)[0])
    at_work, in_shop = HOURS[Role.WORKER][0], SHOPPING[0]
    assert presence.place_of(worker, 0, at_work) == city.people.activity[worker]
    presence.apply([rule(close=["work"])])
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


def test_places_of_many_people_are_those_of_each():
    presence = Presence(random_city(5), seed=3)
    presence.apply([rule(close=["work"])])
    presence.put([1, 4], ISOLATED)
    people = np.repeat(np.arange(len(presence.group)), 96)
    slots = np.tile(np.arange(96), len(presence.group))
    for day in (0, 5):
        found = presence.places_of(people, day, slots)
        assert found.tolist() == [
            presence.place_of(p, day, s) for p, s in zip(people.tolist(), slots.tolist(), strict=True)
        ]
    assert presence.places_of([], 0, []).tolist() == []
    with pytest.raises(ValueError, match="slots 96 … 96"):
        presence.places_of([0], 0, [96])


def test_guests_can_be_kept_away_without_closing_homes():
    city = random_city(5)
    presence = Presence(city, 1)
    guest, home = next(
        (person, place)
        for person in range(60)
        for place, *_ in city.schedules[0].visits_of(person)
        if place < city.homes and place != city.people.household[person]
    )

    def factor(person, place):
        visits = presence.visits(0)
        return own_factor(visits.kind, visits.column, visits.household, visits.group, visits.take, person, place)

    assert factor(guest, home) == 1
    presence.apply([rule(close=["guests"])])
    assert factor(guest, home) < 0
    assert factor(guest, city.people.household[guest]) == 1


class TestStatus:
    @pytest.fixture
    def presence(self):
        presence = Presence(random_city(5), 1)
        presence.apply([rule(below(presence.compliance, 0.5), close=["work"], reduce={"shop": 0.5})])
        return presence

    def at_home(self, presence, person, day=0):
        home = presence.city.people.household[person]
        return all(presence.place_of(person, day, slot) == home for slot in range(96))

    def test_confined_people_are_at_home_today_and_free_tomorrow(self, presence):
        group, take = presence.group.copy(), presence.visits(0).take.copy()
        presence.confine([3, 7])
        presence.confine([7, 11, 11])
        for person in (3, 7, 11):
            assert self.at_home(presence, person)
        others = np.delete(np.arange(60), [3, 7, 11])
        assert np.array_equal(presence.visits(0).take[presence.group[others]], take[group[others]])
        assert presence.visits(0).altered.max() == 2
        presence.begin_day()
        assert np.array_equal(presence.group, group)
        assert np.array_equal(presence.visits(1).take, take)
        assert not presence.visits(1).altered[len(take) - 4 :].any()

    @pytest.mark.parametrize("status", [ISOLATED, QUARANTINED, AWAY])
    def test_other_statuses_last_until_released_whatever_the_policies(self, presence, status):
        presence.put([4, 9], status)
        for given in ([], [rule(close=["leisure"])]):
            presence.begin_day()
            presence.apply(given)
            assert presence.status[[4, 9, 10]].tolist() == [status, status, FREE]
            assert self.at_home(presence, 4)
        presence.release([4])
        assert presence.status[[4, 9]].tolist() == [FREE, status]
        assert presence.group[4] == presence.group[10]

    def test_the_strongest_status_counts_and_what_lies_under_it_comes_back(self, presence):
        presence.put([1], QUARANTINED)
        presence.confine([1])
        assert presence.status[1] == QUARANTINED
        presence.put([1], ISOLATED)
        assert presence.status[1] == ISOLATED
        presence.put([1], AWAY)
        presence.begin_day()
        assert presence.status[1] == AWAY
        presence.release([1], AWAY)
        assert presence.status[1] == ISOLATED
        presence.release([1], ISOLATED)
        assert presence.status[1] == QUARANTINED
        presence.confine([1])
        presence.release([1])
        assert presence.status[1] == FREE

    def test_contacts_at_home_follow_the_factor_of_the_status(self, presence):
        presence.put([1], ISOLATED)
        presence.put([2], AWAY)
        home = presence.city.people.household
        assert factors_of(presence, "take", 1, home[1]) == 1
        presence.home_factor[ISOLATED] = 0.3
        for name in ("give", "take"):
            assert factors_of(presence, name, 1, home[1]) == 0.3
            assert factors_of(presence, name, 2, home[2]) == 0
            assert factors_of(presence, name, 1, presence.city.homes) == -1

    def test_statuses_alter_nothing_while_nobody_has_them(self, presence):
        presence.apply([])
        presence.put([1], ISOLATED)
        presence.release([1])
        assert not presence.visits(0).altered.any()


class TestPast:
    def day(self, presence, day):
        return {name: np.array(column) for name, column in presence.visits(day)._asdict().items()}

    def test_remembered_days_are_as_they_were(self):
        presence = Presence(random_city(5), 1)
        presence.remember(3)
        seen = {}
        for day in range(8):
            presence.begin_day(day)
            presence.apply(
                [
                    rule(
                        below(presence.compliance, 0.1 * day),
                        np.arange(len(presence.city.places)) % 2 == 0,
                        close=["work"],
                    )
                ]
            )
            presence.confine([day])
            presence.put([20 + day], AWAY if day % 2 else ISOLATED)
            visit = int(np.flatnonzero(presence.visits(day).place >= presence.city.homes)[day])
            presence.redirect([visit], [presence.city.homes + 1])
            presence.release([19 + day])
            seen[day] = self.day(presence, day)
        for day in (5, 6, 7, 4):
            for name, column in self.day(presence, day).items():
                assert np.array_equal(column, seen[day][name]), (day, name)
        assert not np.array_equal(self.day(presence, 3)["group"], seen[3]["group"])

    def test_types_of_columns_never_change(self):
        presence = Presence(random_city(5), 1)
        presence.remember(1)

        def types(day):
            return [(c.dtype, c.ndim, c.flags.c_contiguous, c.flags.writeable) for c in presence.visits(day)]

        plain = types(0)
        presence.begin_day(0)
        presence.apply(
            [rule(below(presence.compliance, 0.5), np.arange(len(presence.city.places)) % 3 == 0, close=["work"])]
        )
        presence.put([1], ISOLATED)
        presence.redirect(
            [int(np.flatnonzero(presence.visits(0).place >= presence.city.homes)[0])], [presence.city.homes]
        )
        assert types(0) == plain
        presence.begin_day(1)
        assert types(0) == types(1) == plain


class TestRedirection:
    def test_visits_go_elsewhere_today_in_both_orders(self):
        city = random_city(5)
        presence = Presence(city, 1)
        plain = presence.visits(0)
        away = np.flatnonzero(plain.place >= city.homes)[:20]
        to = city.homes + np.arange(20) % 3
        presence.redirect(away, to)
        visits = presence.visits(0)
        expected = np.array(plain.place)
        expected[away] = to
        assert np.array_equal(visits.place, expected)
        by_person = sorted(
            (place, person, *span)
            for person in range(60)
            for place, *span in zip(
                *(c[visits.first[person] : visits.first[person + 1]] for c in visits[1:4]), strict=True
            )
        )
        place_of_row = np.repeat(np.arange(len(city.places)), np.diff(visits.place_first))
        by_place = zip(place_of_row, visits.visitor, visits.visitor_start, visits.visitor_end, strict=True)
        assert [tuple(map(int, row)) for row in by_place] == [tuple(map(int, row)) for row in by_person]
        presence.begin_day()
        assert np.array_equal(presence.visits(1).place, plain.place)

    def test_closed_places_cannot_be_visited_that_way(self):
        city = random_city(5)
        presence = Presence(city, 1)
        visit = int(np.flatnonzero(city.schedules[0].place >= city.homes)[0])
        person = int(np.searchsorted(city.schedules[0].first, visit, side="right")) - 1
        kind = PlaceKind(city.places.kind[city.homes + 1]).name.lower()
        presence.redirect([visit], [city.homes + 1])
        slot = int(city.schedules[0].start[visit])
        assert presence.place_of(person, 0, slot) == city.homes + 1
        presence.apply([rule(close=[kind])])
        assert presence.place_of(person, 0, slot) == city.people.household[person]

    @pytest.mark.parametrize(
        ("visit", "place", "message"),
        [
            ("out", 0, "place 0 cannot be chosen; allowed are places that are no homes"),
            ("out", -1, "place -1 cannot be chosen"),
            ("out", 10**6, "place 1000000 cannot be chosen"),
            ("home", "shop", "is at a home; only visits to other places"),
            (10**6, "shop", "day 0 has visits 0 …"),
            (-1, "shop", "day 0 has visits 0 …"),
        ],
    )
    def test_what_cannot_be_is_refused(self, visit, place, message):
        city = random_city(5)
        at_home = city.schedules[0].place < city.homes
        visit = {"out": np.flatnonzero(~at_home)[0], "home": np.flatnonzero(at_home)[0]}.get(visit, visit)
        with pytest.raises(ValueError, match=message):
            Presence(city, 1).redirect([visit], [city.homes if place == "shop" else place])


def test_days_follow_the_week_from_the_first_weekday():
    city = random_city(1)  # the second day type holds on Saturday and Sunday
    assert [Presence(city, 1).day_type(day) for day in range(9)] == [0, 0, 0, 0, 0, 1, 1, 0, 0]
    assert [Presence(city, 1, first_weekday=5).day_type(day) for day in range(4)] == [1, 1, 0, 0]


def test_kernels_see_read_only_columns_of_the_city(presence):
    visits = presence.visits(0)
    assert not any(column.flags.writeable for column in visits)
    assert visits.place.base is not None  # a view, no copy


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_a_copy_has_its_own_exceptions(presence, duplicate):
    presence.remember(2)
    presence.begin_day(0)
    presence.apply([rule(below(presence.compliance, 0.5), close=["work"])])
    presence.begin_day(1)
    presence.confine([0])
    twin = duplicate(presence)
    assert np.array_equal(twin.visits(0).group, presence.visits(0).group)
    twin.begin_day()
    assert np.array_equal(twin.visits(1).take[twin.group[1:]], presence.visits(1).take[presence.group[1:]])
    assert twin.status[0] == FREE
    assert presence.status[0] == CONFINED
    assert np.array_equal(twin.visits(0).place, presence.visits(0).place)
