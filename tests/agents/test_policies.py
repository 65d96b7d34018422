"""What each key of a policy does to whom and where, and how well policies are followed."""

from datetime import date, timedelta
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
from cities import tiny_city
from epidemic_cities import random_city

from citytwin.agents import authorities
from citytwin.agents.authorities import Authority, Policy
from citytwin.agents.citizens import Citizen
from citytwin.agents.policies import LEVELS, PolicySettings
from citytwin.agents.presence import GUEST, HOME, VISIT_GROUPS, Presence, rule
from citytwin.agents.rows import RowModel
from citytwin.environment.places import PlaceKind, Role

ABSENT = -1.0


class Days(RowModel):
    """A model in which nothing happens but policies; day 0 is Monday, 5 January 2026."""

    def __init__(self, city, *policies, seed=1, citizen=Citizen):
        super().__init__(rng=seed)
        self.city, self.day, self.processes = city, 0, []
        self.presence = Presence(city, seed)
        self.citizens = citizen.of_city(self, city, compliance=self.presence.compliance)
        settings = [PolicySettings.model_validate({"name": f"p{n}"} | keys) for n, keys in enumerate(policies)]
        self.authority = Authority(self, settings)

    @property
    def date(self):
        """Date of today."""
        return date(2026, 1, 5) + timedelta(days=self.day)

    def morning(self, day=None):
        """Open a day, the next one by default, and return the factors that people take in by place (people, places)."""
        self.day = self.day if day is None else day
        self.authority.step()
        return self.factors("take")

    def factors(self, name):
        """Return the factor of every person in every place today (people, places)."""
        visits = self.presence.visits(self.day)
        column = np.tile(visits.column.astype(int), (len(self.citizens), 1))
        column += np.where((visits.kind == HOME) & (np.arange(len(visits.kind)) != visits.household[:, None]), GUEST, 0)
        return getattr(visits, name)[visits.group[:, None], column]


@pytest.fixture
def city():
    """A city of 2,000 people with 60 rooms of all kinds in three zones, where many visit each other."""
    return random_city(4, people=2000, places=60)


def of_kind(city, *names):
    """Return which places have a kind that a name stands for; homes for guests (places,)."""
    columns = {column for name in names for column in VISIT_GROUPS[name]}
    return np.isin(city.places.kind, [HOME if column == GUEST else column for column in columns])


def elsewhere(city):
    """Return which places are not each person's own home (people, places)."""
    return np.arange(len(city.places)) != city.people.household[:, None]


def zone_of(city):
    return city.places.zone[city.people.household]


class TestWhat:
    def test_close(self, city):
        factors = Days(city, {"close": ["venue", "guests"]}).morning()
        closed = of_kind(city, "venue", "guests") & elsewhere(city)
        assert np.array_equal(factors, np.where(closed, ABSENT, 1))

    def test_reduce_holds_for_giving_and_taking(self, city):
        model = Days(city, {"reduce": {"work": 0.36, "venue": 0.75}})
        expected = np.where(of_kind(city, "work"), 0.8, np.where(of_kind(city, "venue"), 0.5, 1.0))
        assert np.allclose(model.morning(), expected, rtol=1e-12)
        assert np.allclose(model.factors("give"), expected, rtol=1e-12)

    def test_masks_hold_back_more_at_the_source_than_at_the_wearer(self, city):
        model = Days(city, {"masks": {"places": ["venue", "shop", "guests"], "source": 0.5, "wearer": 0.25}})
        masked = of_kind(city, "venue", "guests") & elsewhere(city)
        assert np.array_equal(model.morning(), np.where(masked, 0.75, 1))
        assert np.array_equal(model.factors("give"), np.where(masked, 0.5, 1))

    def test_limit_draws_by_person_and_day(self, city):
        model = Days(city, {"limit": {"shop": 0.25}})
        shop = of_kind(city, "shop")
        went = []
        for day in range(8):
            factors = model.morning(day)
            assert np.all(factors[:, ~shop] == 1)
            goes = factors[:, shop] > 0
            assert np.array_equal(goes.all(axis=1), goes.any(axis=1))
            went.append(goes[:, 0])
        went = np.array(went)
        # 16,000 draws of chance 0.25: standard deviation 0.0034; two days of one person are independent.
        assert abs(went.mean() - 0.25) < 4 * 0.0034
        assert abs((went[:-1] & went[1:]).mean() - 0.0625) < 4 * np.sqrt(0.0625 * 0.9375 / (7 * 2000)) * 1.5

    def test_a_lower_limit_lets_fewer_of_the_same_people_go(self, city):
        shop = of_kind(city, "shop")
        few, many = (Days(city, {"limit": {"shop": chance}}).morning(3)[:, shop] > 0 for chance in (0.2, 0.7))
        assert np.all(many[few])
        both = Days(city, {"limit": {"shop": 0.2}}, {"limit": {"shop": 0.7}}).morning(3)[:, shop] > 0
        assert np.array_equal(both, few)

    @pytest.mark.parametrize("cohorts", [2, 3])
    def test_rotation_lets_each_person_come_one_week_in_turn(self, city, cohorts):
        model = Days(city, {"rotate": {"school": cohorts}})
        school = of_kind(city, "school")
        came = []
        for day in range(7 * cohorts + 7):
            factors = model.morning(day)
            assert np.all(factors[:, ~school] == 1)
            came.append(factors[:, school][:, 0] > 0)
            if day % 7:
                assert np.array_equal(came[-1], came[-2])
        weeks = np.array(came[::7])
        assert np.all(weeks[:cohorts].sum(axis=0) == 1)
        assert np.array_equal(weeks[cohorts], weeks[0])
        assert np.all(np.abs(weeks[:cohorts].mean(axis=1) - 1 / cohorts) < 0.05)

    def test_ventilation_changes_the_air_and_nothing_else(self, city):
        model = Days(city, {"ventilate": {"school": 2.0, "venue": 3.0}})
        assert np.all(model.morning() == 1)
        visits = model.presence.visits(0)
        expected = np.where(of_kind(city, "school"), 2.0, np.where(of_kind(city, "venue"), 3.0, 1.0))
        assert np.array_equal(visits.air[visits.column], expected)
        assert not visits.altered.any()

    def test_compliance_with_ventilation_is_a_share_of_the_places(self):
        city = random_city(4, people=50, places=2000)
        airy = []
        for compliance in (0.3, 0.6):
            model = Days(city, {"ventilate": {"education": 2.0}, "compliance": compliance})
            model.morning()
            visits = model.presence.visits(0)
            airy.append(visits.air[visits.column] == 2)
            assert not airy[-1][~of_kind(city, "education")].any()
            share = airy[-1][of_kind(city, "education")].mean()
            assert abs(share - compliance) < 4 * np.sqrt(0.25 / 900)
        assert np.all(airy[1][airy[0]])

    def test_a_cordon_keeps_people_in_and_out(self, city):
        factors = Days(city, {"cordon": True, "whom": {"zones": [1]}}).morning()
        inside, there = zone_of(city) == 1, city.places.zone == 1
        crossing = (inside[:, None] != there) & elsewhere(city)
        assert np.array_equal(factors, np.where(crossing, ABSENT, 1))

    def test_cordons_around_each_zone(self, city):
        model = Days(city, {"cordon": "each", "compliance": 0.5})
        crossing = (zone_of(city)[:, None] != city.places.zone) & (model.presence.compliance < 0.5)[:, None]
        assert np.array_equal(model.morning(), np.where(crossing, ABSENT, 1))

    def test_working_from_home_is_for_workers(self):
        city = tiny_city(600)
        workers = city.people.role == Role.WORKER
        work = city.places.kind == PlaceKind.WORK
        before = np.zeros(len(workers), bool)
        for share in (0.0, 0.3, 0.6, 1.0):
            factors = Days(city, {"work_from_home": share}).morning()
            assert np.all(factors[:, ~work] == 1)
            at_home = (factors[:, work] < 0).all(axis=1)
            assert not at_home[~workers].any()
            assert abs(at_home[workers].mean() - share) < 4 * np.sqrt(0.25 / workers.sum())
            assert np.all(at_home[before])
            before = at_home

    def test_a_level_is_what_its_package_says(self, city):
        for level in range(5):
            keys = LEVELS[level].model_dump(include={"close", "reduce", "limit", "work_from_home"}, exclude_none=True)
            written = Days(city, keys) if level else Days(city)
            assert np.array_equal(Days(city, {"level": level}).morning(2), written.morning(2)), level

    def test_each_level_leaves_less_contact_than_the_one_before(self, city):
        rng = np.random.default_rng(1)
        pairs = rng.integers(0, 2000, (2, 3000))
        contact = []
        for level in range(5):
            model = Days(city, {"level": level})
            take, give = np.maximum(model.morning(1), 0), np.maximum(model.factors("give"), 0)
            contact.append(np.mean(take[pairs[0]] * give[pairs[1]], axis=0))
        outside = ~of_kind(city, "guests", "hospital")
        means = [share[outside].mean() for share in contact]
        assert means[0] == 1
        assert all(low < high for high, low in pairwise(means))

    def test_borders(self, city):
        model = Days(
            city,
            {"border": 0.5, "until": 4},
            {"border": 0.8, "compliance": 0.5, "from": 2},
            {"close": ["shop"]},
        )
        assert model.authority.border == 0
        shares = []
        for day in range(5):
            model.morning(day)
            shares.append(model.authority.border)
        assert shares == pytest.approx([0.5, 0.5, 1 - 0.5 * 0.6, 1 - 0.5 * 0.6, 0.4])


class TestWhom:
    @pytest.mark.parametrize(
        ("whom", "meant"),
        [
            ({"ages": [0, 17]}, lambda city: city.people.age <= 17),
            ({"ages": [65, 200]}, lambda city: city.people.age >= 65),
            ({"roles": ["worker", "retired"]}, lambda city: np.isin(city.people.role, (Role.WORKER, Role.RETIRED))),
            ({"zones": [0, 3]}, lambda city: np.isin(zone_of(city), (0, 3))),
            ({"zones": ["North West", 1]}, lambda city: np.isin(zone_of(city), (2, 1))),
            (
                {"zones": [1], "ages": [30, 64], "roles": ["worker"]},
                lambda city: (zone_of(city) == 1) & (city.people.age >= 30) & (city.people.role == Role.WORKER),
            ),
        ],
    )
    def test_people_by_age_role_and_zone(self, whom, meant):
        city = tiny_city(60)
        factors = Days(city, {"close": ["work"], "whom": whom}).morning()
        expected = meant(city)
        assert 0 < expected.sum() < len(expected)
        assert np.array_equal((factors < 0).any(axis=1), expected)

    def test_shares_are_drawn_by_policy(self, city):
        shares = [
            (Days(city, *({"close": ["work"], "whom": {"share": share}} for share in given)).morning() < 0).any(axis=1)
            for given in ((0.3,), (0.3, 0.3), (0.6,))
        ]
        assert abs(shares[0].mean() - 0.3) < 0.04
        assert abs(shares[1].mean() - 0.51) < 0.045  # two policies of names of their own draw apart
        assert np.all(shares[2][shares[0]])

    def test_places_by_zone(self, city):
        factors = Days(city, {"close": ["leisure", "guests"], "where": {"zones": [2]}}).morning()
        closed = of_kind(city, "leisure", "guests") & (city.places.zone == 2) & elsewhere(city)
        assert np.array_equal(factors, np.where(closed, ABSENT, 1))

    @pytest.mark.parametrize("keys", [{"level": 4}, {"limit": {"shop": 0.0}}, {"rotate": {"school": 2}}])
    def test_all_keys_about_places_know_their_zone(self, city, keys):
        there, anywhere = (Days(city, keys | more).morning() for more in ({"where": {"zones": [1]}}, {}))
        inside = city.places.zone == 1
        assert np.array_equal(there[:, inside], anywhere[:, inside])
        assert np.all(there[:, ~inside] == 1)

    def test_air_by_zone(self, city):
        model = Days(city, {"ventilate": {"work": 2.0}, "where": {"zones": [1]}})
        model.morning()
        visits = model.presence.visits(0)
        assert np.array_equal(visits.air[visits.column] == 2, of_kind(city, "work") & (city.places.zone == 1))

    def test_zones_that_are_not_there_are_refused(self):
        with pytest.raises(ValueError, match=r"whom.zones: the city has no zone 9; allowed are numbers 0 to 3"):
            Days(tiny_city(), {"close": ["work"], "whom": {"zones": [9]}})
        with pytest.raises(ValueError, match=r"where.zones: 'Nort' is no zone of the city; allowed are: South West"):
            Days(tiny_city(), {"close": ["work"], "where": {"zones": ["Nort"]}})
        with pytest.raises(ValueError, match=r"no zone 'A'; allowed are numbers 0 to 2; its zones have no names"):
            Days(random_city(1), {"close": ["work"], "where": {"zones": ["A"]}})


class TestFollowing:
    def followers(self, model, day):
        model.morning(day)
        return model.authority.policies[0].followers(model)

    def test_one_draw_a_person_for_all_policies(self, city):
        model = Days(city, {"close": ["work"], "compliance": 0.4}, {"close": ["shop"], "compliance": 0.7})
        factors = model.morning()
        some, more = ((factors[:, of_kind(city, name)] < 0).any(axis=1) for name in ("work", "shop"))
        assert np.array_equal(some, model.presence.compliance < 0.4)
        assert np.array_equal(more, model.presence.compliance < 0.7)

    def test_everybody_follows_fully_and_nobody_at_all(self, city):
        assert self.followers(Days(city, {"close": ["work"], "compliance": 1.0}), 0).all()
        assert not self.followers(Days(city, {"close": ["work"], "compliance": 0.0}), 0).any()

    def test_fatigue_loses_its_share_of_the_followers_in_thirty_days_in_force(self, city):
        model = Days(city, {"close": ["work"], "compliance": 0.8, "fatigue": 0.5, "from": 10})
        draws = model.presence.compliance
        before = np.ones(len(draws), bool)
        for day in range(75):
            follows = self.followers(model, day)
            if day >= 10:
                assert np.array_equal(follows, draws < 0.8 * 0.5 ** ((day - 10) / 30)), day
                assert np.all(before[follows])
                assert np.array_equal((model.factors("take") < 0).any(axis=1), follows)
                before = follows

    def test_fatigue_does_not_pass_while_a_policy_pauses(self, city):
        class EverySecond(Policy):
            def decide(self, model):
                return model.day % 2 == 0

        model = Days(city)
        policy = EverySecond("x", close=["work"], fatigue=0.5)
        model.authority.add(policy)
        for day in range(61):
            model.morning(day)
        assert policy.days_in_force == 30
        assert policy.compliance == pytest.approx(0.5)

    def test_a_day_on_which_nothing_changes_leaves_the_tables_as_they_are(self, city):
        model = Days(city, {"level": 1, "fatigue": 0.0}, {"rotate": {"school": 2}}, {"cordon": "each"})
        model.morning(0)
        view = model.presence.visits(0)
        for day in range(1, 5):
            model.morning(day)
            assert model.presence.visits(day) is view
        model.morning(7)
        assert model.presence.visits(7) is not view


class TestHook:
    def test_citizens_decide_whether_they_comply_once_when_a_policy_comes_into_force(self, city):
        asked = []

        class Parent(Citizen):
            def complies(self, policy):
                asked.append((self.row, policy.name))
                return self.age % 2 == 0

        model = Days(
            city, {"close": ["work"], "compliance": 0.1, "from": 2, "whom": {"ages": [20, 60]}}, citizen=Parent
        )
        meant = np.flatnonzero((city.people.age >= 20) & (city.people.age <= 60))
        for day in range(5):
            factors = model.morning(day)
        assert asked == [(row, "p0") for row in meant]
        assert np.flatnonzero((factors < 0).any(axis=1)).tolist() == [p for p in meant if city.people.age[p] % 2 == 0]

    def test_they_are_asked_again_when_it_comes_back(self, city):
        class Moody(Citizen):
            def complies(self, policy):  # noqa: ARG002
                return self.model.day < 3

        class Odd(Policy):
            def decide(self, model):
                return model.day % 2 == 1

        model = Days(city, citizen=Moody)
        model.authority.add(Odd("x", close=["work"]))
        closed = [(model.morning(day) < 0).any() for day in range(5)]
        assert closed == [False, True, False, False, False]

    def test_what_the_base_says_is_the_draw(self, city):
        class Same(Citizen):
            def complies(self, policy):
                return super().complies(policy)

        keys = {"close": ["work"], "compliance": 0.35, "fatigue": 0.2}
        for day in (0, 1):
            assert np.array_equal(Days(city, keys, citizen=Same).morning(day), Days(city, keys).morning(day))

    def test_another_answer_than_yes_or_no_is_an_error(self, city):
        class Silent(Citizen):
            def complies(self, policy):
                pass

        with pytest.raises(TypeError, match=r"Silent.complies returned None; it must return True \(follows"):
            Days(city, {"close": ["work"]}, citizen=Silent).morning()


class TestOwn:
    def test_a_policy_may_make_its_own_rules(self, city):
        class CloseBusiest(Policy):
            """Closes the ten rooms with most visits of a working day."""

            def decide(self, model):
                return model.day >= 1

            def rules(self, model):
                schedule = model.city.schedules[0]
                visits = np.diff(schedule.place_first)
                visits[: model.city.homes] = 0
                busiest = np.zeros(len(visits), bool)
                busiest[np.argsort(-visits, kind="stable")[:10]] = True
                return [rule(self.followers(model), busiest, close=["education", "work", "venue", "hospital"])]

        model = Days(city)
        model.authority.add(CloseBusiest("busiest", compliance=0.5))
        assert np.all(model.morning(0) == 1)
        closed = model.morning(1) < 0
        assert closed.any(axis=0).sum() == 10
        assert np.array_equal(closed.any(axis=1), model.presence.compliance < 0.5)
        view = model.presence.visits(1)
        model.morning(2)
        assert model.presence.visits(2) is view  # the same rules made anew are no change

    def test_a_policy_without_rules_and_keys_does_nothing_and_says_so(self):
        with pytest.raises(ValueError, match="does nothing; give one or more of: close, reduce"):
            Policy("idle")


class Counter:
    """A measure that writes down what is asked of it."""

    indicators: ClassVar = {"acts": "times acted"}
    said: ClassVar = []

    def __init__(self, model, policy, settings):
        self.model, self.policy, self.settings, self.acts = model, policy, settings, 0

    def everyday(self):
        self.said.append(("everyday", self.policy.name, type(self).__name__))

    def act(self, followers):
        self.acts += 1
        self.said.append(("act", self.policy.name, type(self).__name__, int(followers.sum())))

    def series(self):
        return {"acts": self.acts}

    def indicator_values(self):
        return {"acts": float(self.acts)}


class Second(Counter):
    """Another kind of measure."""


class TestMeasures:
    @pytest.fixture(autouse=True)
    def measures(self, monkeypatch):
        monkeypatch.setattr(authorities, "MEASURES", {"test": Counter, "isolate": Second})
        Counter.said.clear()

    def test_measures_act_after_all_have_had_their_morning(self):
        city = tiny_city(60)
        model = Days(
            city,
            {"isolate": {"at": "onset"}, "whom": {"ages": [0, 17]}},
            {"test": {"random": 0.5}, "isolate": {}, "from": 1, "until": 2},
        )
        children = int((city.people.age <= 17).sum())
        mornings = [("everyday", "p1", "Counter"), ("everyday", "p0", "Second"), ("everyday", "p1", "Second")]
        model.morning(0)
        assert Counter.said == [*mornings, ("act", "p0", "Second", children)]
        Counter.said.clear()
        model.morning(1)
        acts = [("act", "p1", "Counter", 120), ("act", "p0", "Second", children), ("act", "p1", "Second", 120)]
        assert Counter.said == [*mornings, *acts]
        assert model.authority.series() == {"policies_in_force": 2, "policy.p0": 1, "policy.p1": 1, "acts": 4}
        Counter.said.clear()
        model.morning(2)
        assert Counter.said == [*mornings, ("act", "p0", "Second", children)]

    def test_conditions_may_ask_for_indicators_of_measures_and_hospitals(self):
        class Beds:
            def indicator_values(self):
                return {"icu_occupancy": 0.5}

        model = Days(
            tiny_city(60),
            {"test": {"random": 0.5}},
            {"close": ["work"], "when": "acts > 1"},
            {"close": ["shop"], "when": "icu_occupancy >= 0.5"},
        )
        model.hospitals = Beds()
        in_force = []
        for day in range(4):
            model.morning(day)
            in_force.append([policy.in_force for policy in model.authority.policies])
        assert in_force == [[True, False, True]] * 2 + [[True, True, True]] * 2
