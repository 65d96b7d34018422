"""Choosing modes: the kernel is its twin, cars are in one place at a time, people reconsider only for a reason."""

import numpy as np
import pytest
from offers import by_distance
from pydantic import ValidationError

from citytwin.agents.presence import Presence
from citytwin.agents.traffic.cars import Means, means_of
from citytwin.agents.traffic.demand import NO_MODE, Mode, Trips, day_trips, join
from citytwin.agents.traffic.modes import ALONE_AGE, ModeSettings, Offer, choose, choose_modes, utilities
from citytwin.environment.city import City
from citytwin.environment.places import Role
from citytwin.environment.randomness import bits, key, uniform
from citytwin.runners.scenarios.scenario import Scenario, ScenarioError

CAR, PASSENGER, TRANSIT, BICYCLE, WALK = Mode
SEED = 11


@pytest.fixture(scope="module")
def town():
    return City.synthetic(4_000, seed=3)


@pytest.fixture(scope="module")
def trips(town):
    return day_trips(town, Presence(town, SEED), 0, SEED)


@pytest.fixture(scope="module")
def means(town):
    return means_of(town, SEED)


@pytest.fixture(scope="module")
def offer(town, trips):
    return by_distance(trips, town)


@pytest.fixture(scope="module")
def usual(town, trips, offer, means):
    return choose_modes(trips, town, offer, means, SEED)


def gumbel(*draw):
    return -np.log(-np.log(uniform(*draw)))


def twin(city, trips, utility, car_seconds, means, seed):
    """Choose as the kernel does, household by household, in plain words."""
    round_key, trip_key, turn_key = (
        key(seed, what) for what in ("mode of a round", "mode of a trip", "turn for the car")
    )
    mode, ride = np.full(len(trips), NO_MODE), np.full(len(trips), -1)
    rows_of = {}
    for row, person in enumerate(trips.person):
        rows_of.setdefault(int(person), []).append(row)
    for home in range(city.homes):
        members = list(range(city.households.first[home], city.households.first[home + 1]))
        shift = int(bits(turn_key, home, 0) % np.uint64(len(members)))
        members = members[shift:] + members[:shift]
        family = sorted((row for p in members for row in rows_of.get(p, ())), key=lambda r: (trips.person[r], r))

        def standing(p):
            if city.people.age[p] < ALONE_AGE:
                return 3
            if not means.licence[p]:
                return 2
            return 0 if city.people.role[p] == Role.WORKER else 1

        away = [[] for _ in range(means.cars[home])]
        for person in sorted(members, key=standing):  # a stable sort
            rounds, todo = [], []
            for row in rows_of.get(person, ()):
                todo.append(row)
                if trips.to_place[row] == home:
                    rounds.append(todo)
                    todo = []
            for tour in rounds + ([todo] if todo else []):
                aim = int(trips.purpose[tour[0]])
                start = trips.depart[tour[0]]
                end = trips.depart[tour[-1]] + car_seconds[tour[-1]] if trips.to_place[tour[-1]] == home else np.inf
                value = {m: sum(utility[row, m] for row in tour) for m in (CAR, BICYCLE)}
                with np.errstate(divide="ignore"):
                    value[None] = sum(np.log(np.exp(utility[row, [PASSENGER, TRANSIT, WALK]]).sum()) for row in tour)
                free = [c for c in away if all(not (a < end and start < b) for a, b in c)]
                if standing(person) > 1 or not free:
                    value[CAR] = -np.inf
                best = max(
                    value, key=lambda m: value[m] + gumbel(round_key, person, aim * 4 + [CAR, BICYCLE, None].index(m))
                )
                if value[best] == -np.inf:
                    best = None
                if best == CAR:
                    free[0].append((start, end))
                for row in tour:
                    if best is not None:
                        mode[row] = best
                        continue
                    same = [
                        r
                        for r in family
                        if mode[r] != NO_MODE
                        and (trips.from_place[r], trips.to_place[r]) == (trips.from_place[row], trips.to_place[row])
                        and trips.depart[r] // 900 == trips.depart[row] // 900
                    ]
                    driving = [r for r in same if mode[r] == CAR]
                    other = driving[-1] if driving else (same[0] if same else -1)
                    if standing(person) == 3 and other >= 0:
                        mode[row] = PASSENGER if mode[other] == CAR else mode[other]
                    else:
                        errand = aim * 16 + int(trips.purpose[row])
                        drawn = {
                            m: utility[row, m] + gumbel(trip_key, person, errand * 8 + m)
                            for m in (PASSENGER, TRANSIT, WALK)
                        }
                        mode[row] = max(drawn, key=drawn.get) if max(drawn.values()) > -np.inf else WALK
                    if mode[row] == PASSENGER and other >= 0:
                        ride[row] = other if mode[other] == CAR else ride[other]
    return mode, ride


def test_kernel_is_its_twin_on_any_number_of_threads(town, trips, offer, means, usual):
    utility = utilities(trips, town, offer, means)
    mode, ride = twin(town, trips, utility, offer.seconds[:, CAR], means, SEED)
    for threads in (1, 2, 4):
        ours = choose_modes(trips, town, offer, means, SEED, threads=threads)
        np.testing.assert_array_equal(ours.mode, mode)
        np.testing.assert_array_equal(ours.ride, ride)
    assert usual.no_way == 0
    assert np.all(np.bincount(mode, minlength=5) > 100)  # every mode is put to the test
    assert (ride >= 0).sum() > 20


def tours(trips, city):
    """Return the number of the round that each trip belongs to."""
    rows = np.lexsort((np.arange(len(trips)), trips.person))
    new = np.ones(len(rows), bool)
    new[1:] = (np.diff(trips.person[rows]) != 0) | (
        trips.to_place[rows[:-1]] == city.people.household[trips.person[rows[:-1]]]
    )
    number = np.empty(len(rows), int)
    number[rows] = np.cumsum(new) - 1
    return number


@pytest.mark.parametrize("mode", [CAR, BICYCLE])
def test_vehicles_come_back(town, trips, usual, mode):
    """A car or bicycle is used on all trips of a round or on none, so it is never left and never found elsewhere."""
    own = town.people.age[trips.person] >= ALONE_AGE
    number = tours(trips, town)
    used = np.bincount(number, weights=(usual.mode == mode) & own)
    length = np.bincount(number, weights=own)
    assert np.all((used == 0) | (used == length))
    assert (used > 0).sum() > 50


def test_no_more_cars_under_way_than_there_are(town, trips, offer, means, usual):
    """Who drives has a licence; at no time are more members of a household away by car than it has cars."""
    driving = np.flatnonzero(usual.mode == CAR)
    assert means.licence[trips.person[driving]].all()
    number = tours(trips, town)
    events = []
    for tour in np.unique(number[driving]):
        rows = np.flatnonzero(number == tour)
        home = town.people.household[trips.person[rows[0]]]
        events.append((home, trips.depart[rows[0]], 1))
        events.append((home, trips.depart[rows[-1]] + offer.seconds[rows[-1], CAR], -1))
    away = np.zeros(town.homes, int)
    for home, _, change in sorted(events):
        away[home] += change
        assert away[home] <= means.cars[home]
    assert np.all(away == 0)


def test_small_children_go_along(town, trips, usual):
    child = town.people.age[trips.person] < ALONE_AGE
    assert not np.any(usual.mode[child] == CAR)
    ride = np.flatnonzero(usual.ride >= 0)
    assert np.all(usual.mode[ride] == PASSENGER)
    driver = usual.ride[ride]
    assert np.all(usual.mode[driver] == CAR)
    np.testing.assert_array_equal(trips.to_place[driver], trips.to_place[ride])
    np.testing.assert_array_equal(
        town.people.household[trips.person[driver]], town.people.household[trips.person[ride]]
    )
    # nobody's small child walks while somebody of the household drives the same way
    rows = {}
    for row in np.flatnonzero(usual.mode == CAR):
        home = town.people.household[trips.person[row]]
        rows[home, trips.from_place[row], trips.to_place[row], trips.depart[row] // 900] = row
    for row in np.flatnonzero(child):
        home = town.people.household[trips.person[row]]
        if (home, trips.from_place[row], trips.to_place[row], trips.depart[row] // 900) in rows:
            assert usual.mode[row] == PASSENGER and usual.ride[row] >= 0


def test_people_reconsider_only_towards_what_became_better(town, trips, offer, means):
    """With as many cars as drivers nobody waits for another; then who changes does so for the better mode."""
    drivers = np.bincount(town.people.household[means.licence], minlength=town.homes).astype(np.uint8)
    plenty = Means(drivers, means.licence, means.bicycle, means.season_ticket)
    adult = town.people.age[trips.person] >= ALONE_AGE
    before = choose_modes(trips, town, offer, plenty, SEED).mode[adult]
    for mode in (CAR, TRANSIT, BICYCLE):
        seconds = offer.seconds.copy()
        seconds[:, mode] *= 0.7
        better = Offer(seconds, offer.metres, None, offer.walk_seconds * 0.7, offer.wait_seconds * 0.7)
        if mode != TRANSIT:
            better = Offer(seconds, offer.metres, None, offer.walk_seconds, offer.wait_seconds)
        after = choose_modes(trips, town, better, plenty, SEED).mode[adult]
        changed = after != before
        assert 0 < changed.mean() < 0.2
        if mode != TRANSIT:
            assert np.all(after[changed] == mode)
        else:  # who leaves the car for public transport may walk some other trip of the round
            assert not np.any((before == TRANSIT) & changed)
            assert not np.any(np.isin(after[changed], [CAR, BICYCLE]))


def test_no_car_no_passenger_no_bicycle(town, trips, offer):
    nothing = Means(
        np.zeros(town.homes, np.uint8),
        np.ones(len(town.people), bool),
        np.zeros(len(town.people), bool),
        np.ones(len(town.people), bool),
    )
    chosen = choose_modes(trips, town, offer, nothing, SEED)
    assert set(np.unique(chosen.mode)) == {TRANSIT, WALK}
    assert chosen.no_way == 0


def test_where_there_is_no_way_people_walk_and_are_counted(town, trips, offer, means):
    seconds = np.full_like(offer.seconds, np.inf)
    chosen = choose_modes(trips, town, Offer(seconds, offer.metres), means, SEED)
    assert np.all(chosen.mode == WALK)
    alone = town.people.age[trips.person] >= ALONE_AGE
    assert alone.sum() <= chosen.no_way <= len(trips)


def test_closed_street_sends_drivers_elsewhere(town, trips, offer, means, usual):
    """A round with one trip that cannot be driven is not driven at all."""
    row = int(np.flatnonzero(usual.mode == CAR)[0])
    seconds = offer.seconds.copy()
    seconds[row, CAR] = np.inf
    closed = Offer(seconds, offer.metres, None, offer.walk_seconds, offer.wait_seconds)
    after = choose_modes(trips, town, closed, means, SEED)
    number = tours(trips, town)
    assert np.all(after.mode[number == number[row]] != CAR)


def test_a_toll_is_a_cost(town, trips, offer, means, usual):
    euros = np.zeros_like(offer.seconds)
    euros[:, CAR] = 5.0
    dearer = Offer(offer.seconds, offer.metres, euros, offer.walk_seconds, offer.wait_seconds)
    after = choose_modes(trips, town, dearer, means, SEED)
    assert (after.mode == CAR).sum() < 0.5 * (usual.mode == CAR).sum()


def test_utilities_by_hand(town):
    """One trip of 4.4 km between its ends: there a euro weighs what the settings say."""
    home = 0
    far = int(np.argmax(np.hypot(town.places.x - town.places.x[home], town.places.y - town.places.y[home])))
    apart = np.hypot(town.places.x[far] - town.places.x[home], town.places.y[far] - town.places.y[home])
    one = Trips.in_order(person=[0], from_place=[home], to_place=[far], depart=[0.0], purpose=[5], previous=[-1])
    people = len(town.people)
    means = Means(np.ones(town.homes, np.uint8), np.ones(people, bool), np.ones(people, bool), np.zeros(people, bool))
    settings = ModeSettings(distance_reference_m=float(apart))
    offer = Offer(
        np.array([[600.0, 660.0, 1200.0, 900.0, 3600.0]]),
        np.full((1, 5), 5_000.0),
        np.array([[2.0, 0, 0, 0, 0]]),
        np.array([300.0]),
        np.array([240.0]),
        np.array([1]),
        np.array([True]),
    )
    got = utilities(one, town, offer, means, settings)[0]
    expected = [
        0.4 - 0.042431 * (10 + 4) - 0.031239 * 4 - 0.310998 * (0.2 * 5 + 2),
        -1.4 - 0.069976 * 11 - 0.835542,
        -0.025501 * 11 - 0.031239 * 5 - 0.021801 * 4 - 0.417658 - 1.416309 - 0.531426 - 0.310998 * 3,
        -0.5 - 0.093485 * 15,
        1.8 - 0.162285 * 60,
    ]
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_trips_of_nobody_keep_their_mode(town, trips, means, usual):
    gates = Trips.in_order(depart=[30_000.0, 40_000.0], mode=[CAR, CAR], from_place=[0, 0], to_place=[1, 1])
    both = join(trips, gates)
    nobody = both.person < 0
    chosen = choose_modes(both, town, by_distance(both, town), means, SEED)
    assert np.all(chosen.mode[nobody] == CAR) and nobody.sum() == 2
    np.testing.assert_array_equal(chosen.mode[~nobody], usual.mode)


def test_offers_that_do_not_fit_are_refused(town, trips, offer, means):
    with pytest.raises(ValueError, match="seconds has the shape"):
        choose_modes(trips, town, Offer(offer.seconds[:-1], offer.metres), means, SEED)
    bad = offer.seconds.copy()
    bad[7, TRANSIT] = np.nan
    with pytest.raises(ValueError, match="trip 7 takes nan s by transit"):
        choose_modes(trips, town, Offer(bad, offer.metres), means, SEED)
    bad[7, TRANSIT] = -1
    with pytest.raises(ValueError, match="trip 7 takes -1 s by transit"):
        choose_modes(trips, town, Offer(bad, offer.metres), means, SEED)


def test_settings_refuse_unknown_names():
    with pytest.raises(ValidationError, match="car_hour"):
        ModeSettings(car_hour=1.0)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("car_minute", "0.04", "at most 0"),
        ("transfer", "0.4", "at most 0"),
        ("euro", "1.0", "at most 0"),
        ("walk_minute", "-101", "at least -100"),
        ("car", "1e3", "at most 100"),
        ("transit", "nan", "finite"),
        ("euro_distance", "-inf", "finite"),
        ("distance_reference_m", "0", "at least 1"),
        ("car_parking_minutes", "1e6", "at most 240"),
        ("fare", "-2", "at least 0"),
        ("car_minute", "-1e-6", "more than a day"),
    ],
)
def test_coefficients_have_bounds(key, value, allowed):
    text = f"""
name = "coefficients"
[city]
synthetic = {{ people = 1_000 }}
[clock]
start = 2026-03-02
days = 1
[traffic.modes]
{key} = {value}
"""
    with pytest.raises(ScenarioError) as error:
        Scenario.from_text(text)
    [line] = str(error.value).splitlines()
    assert "traffic.modes" in line and key in line and allowed in line


def test_equal_utilities_and_no_constraints_share_equally(town, trips, means):
    utility = np.zeros((len(trips), 5))
    utility[:, [CAR, BICYCLE]] = -np.inf
    mode = choose(trips, town, utility, np.zeros(len(trips)), means, SEED).mode
    share = np.bincount(mode[town.people.age[trips.person] >= ALONE_AGE], minlength=5) / np.sum(
        town.people.age[trips.person] >= ALONE_AGE
    )
    assert np.all(np.abs(share[[PASSENGER, TRANSIT, WALK]] - 1 / 3) < 0.02)
