"""Cars that look for places: nobody is lost, no place is taken twice, and scarce places send people to other modes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citytwin.agents.traffic import parking
from citytwin.agents.traffic.demand import Mode
from citytwin.agents.traffic.parking import SEARCH_SPEED, figures_of
from citytwin.environment.city import City
from citytwin.environment.network.skims import SPEEDS
from citytwin.environment.roads import Access, RoadRank
from citytwin.runners.model import CityModel
from citytwin.runners.scenarios.scenario import Scenario

TOWN = City.synthetic(6_000, seed=1)
START, END = TOWN.links.start, TOWN.links.end
MIDDLE_X, MIDDLE_Y = (0.5 * (axis[START] + axis[END]) for axis in (TOWN.nodes.x, TOWN.nodes.y))
CENTRAL = np.flatnonzero(
    (np.hypot(MIDDLE_X - np.median(MIDDLE_X), MIDDLE_Y - np.median(MIDDLE_Y)) < 450)
    & ((TOWN.links.access & Access.CAR) > 0)
    & (TOWN.links.rank > RoadRank.TRUNK)
).tolist()


def day_of(places, days=1, more=""):
    """Return the process after days with so many places in the streets of the centre, None for unknown."""
    design = f"""
[[design]]
name = "places"
changes = [{{ change = "parking", places = {places}, links = {CENTRAL} }}]"""
    text = f"""
name = "parking"
[city]
synthetic = {{ people = 6_000, seed = 1 }}
[clock]
start = 2026-03-02
days = {days}
[traffic]
{more}
{"" if places is None else design}
[output]
tables = ["trips", "links", "parking"]
"""
    model = CityModel(Scenario.from_text(text), seed=1)
    model.run()
    return model.processes[0]


@pytest.fixture(scope="module")
def plenty():
    return day_of(20_000)


@pytest.fixture(scope="module")
def scarce():
    return day_of(100)


def to_the_centre(traffic):
    """Return which trips lead to places at counted kerbs, for which a car would need a place."""
    return traffic.plans.parking._own[traffic.trips.to_place] >= 0


def test_without_data_nothing_is_looked_for():
    traffic = day_of(None)
    assert traffic.plans.parking is None and traffic.parked is None
    assert traffic.summary()["parking_minutes"] == 0 and traffic.summary()["without_place"] == 0
    assert len(traffic.tables()["parking"]["link"]) == 0
    assert traffic.tables()["parking"].keys() == day_of(100).tables()["parking"].keys()


def test_fewer_places_make_driving_slower_and_rarer(plenty, scarce):
    central = to_the_centre(plenty)
    assert np.array_equal(central, to_the_centre(scarce)) and central.sum() > 500
    modes = [traffic.trips.mode for traffic in (plenty, scarce)]
    drove = [int((mode[central] == Mode.CAR).sum()) for mode in modes]
    assert 0 < drove[1] < 0.9 * drove[0]
    both = central & (modes[0] == Mode.CAR) & (modes[1] == Mode.CAR)
    table = [traffic.tables()["trips"] for traffic in (plenty, scarce)]
    took = [(rows["arrive"] - rows["depart"])[both] for rows in table]
    assert (took[1] - took[0]).mean() > 60.0
    others = [
        sum(traffic.summary()[f"trips_{name}"] for name in ("transit", "bicycle", "walk"))
        for traffic in (plenty, scarce)
    ]
    assert others[1] > others[0]
    assert plenty.summary()["parking_minutes"] < 1.0 < scarce.summary()["parking_minutes"]


def test_search_and_walk_are_what_ends_a_trip_later(scarce):
    parked, rows = scarce.parked, scarce.tables()["trips"]
    looked = parked.outcome > 0
    assert np.array_equal(looked, to_the_centre(scarce) & (scarce.trips.mode == Mode.CAR))
    assert (parked.seconds[looked] > 0).all() and (parked.seconds[~looked] == 0).all()
    slower = rows["delay_seconds"][looked] - parked.seconds[looked]
    assert (slower > -0.1).all()
    assert scarce.summary()["parking_minutes"] == pytest.approx(parked.seconds[looked].mean() / 60)
    assert scarce.summary()["without_place"] == (parked.outcome == 2).sum()
    summary, driven = scarce.summary(), scarce.trips.mode == Mode.CAR
    assert summary["parking_hours"] == pytest.approx(parked.seconds.sum() / 3600)
    # hours on the streets are without those of parking, the time of a trip is with them
    assert summary["minutes_by_car"] == pytest.approx((rows["arrive"] - rows["depart"])[driven].mean() / 60)
    assert summary["delay_hours"] < 0.2 * summary["parking_hours"]


def test_no_place_is_taken_twice_and_no_car_is_lost(plenty, scarce):
    for traffic, total in ((plenty, 20_000), (scarce, 100)):
        counted = traffic.plans.parking.kerbs
        places = counted.places[counted.counted]
        assert places.sum() == total
        parked = traffic.parked
        assert (parked.taken <= places).all() and (parked.taken >= 0).all() and (parked.over >= 0).all()
        balance = traffic.flow.balance()
        assert balance["departed"] == balance["arrived"]
    rows = scarce.tables()["parking"]
    assert (rows["parked"] <= rows["places"]).all()
    assert len(rows["link"]) == 96 * len(np.unique(rows["link"]))
    assert set(np.unique(rows["link"])) <= set(CENTRAL)
    by_quarter = np.bincount(rows["quarter"], rows["parked"])
    assert np.array_equal(by_quarter, scarce.parked.taken.sum(axis=1)) and by_quarter.max() > 90


def test_whose_car_has_a_place_at_home_takes_none_in_the_street():
    parked = [day_of(20_000, more=f"private_parking = {share}").parked for share in (0.0, 1.0)]
    assert parked[0].taken[0].sum() > 100
    assert parked[1].taken[0].sum() == 0


def test_the_next_day_goes_by_what_was_met_and_repeats_itself(scarce):
    first, again = (day_of(100, days=2) for _ in range(2))
    assert np.array_equal(first.plans.parking.expected, again.plans.parking.expected)
    assert not np.array_equal(first.plans.parking.expected, scarce.plans.parking.expected)
    for name in ("mode", "arrive"):
        assert np.array_equal(first.tables()["trips"][name], again.tables()["trips"][name], equal_nan=True)
        day = first.tables()["trips"]["day"] == 0
        assert np.array_equal(first.tables()["trips"][name][day], scarce.tables()["trips"][name], equal_nan=True)


def test_figures_of_nobody():
    assert figures_of(None) == {"parking_hours": 0.0, "parking_minutes": 0.0, "without_place": 0}


# ---------------------------------------------------------------------- the kernel


def park_twin(events, near, places, trips):
    """Park cars one after the other in plain Python; returns seconds, outcomes, and counts and outlook by quarter."""
    taken, over = [0] * len(places), [0] * len(places)
    stands = {}
    seconds, outcome = [0.0] * trips, [0] * trips

    def look(own):
        driven = 0.0
        for kerb, metres, length in near[own]:
            if kerb < 0:
                return -1, driven / SEARCH_SPEED + metres / SPEEDS[Access.FOOT]
            if taken[kerb] < places[kerb]:
                driven += length / (places[kerb] - taken[kerb] + 1)
                return kerb, driven / SEARCH_SPEED + metres / SPEEDS[Access.FOOT]
            driven += length
        return None, driven / SEARCH_SPEED

    counts = []
    rest = list(events)
    for quarter in range(96):
        until = float("inf") if quarter == 95 else (quarter + 1) * 900.0
        while rest and rest[0][0] < until:
            _, comes, car, own, trip = rest.pop(0)
            where = stands.pop(car, None)
            if where is not None:
                (taken if where[0] == "in" else over)[where[1]] -= 1
            if not comes or own < 0:
                continue
            found, took = look(own)
            if found is None:
                stands[car] = "over", own
                over[own] += 1
            elif found >= 0:
                stands[car] = "in", found
                taken[found] += 1
            if trip >= 0:
                seconds[trip], outcome[trip] = took, 2 if found is None else 1
        counts.append((list(taken), list(over), [look(k)[1] for k in range(len(places))]))
    return seconds, outcome, counts


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_the_kernel_equals_its_twin(data):
    kerbs, cars = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 6))
    places = data.draw(st.lists(st.integers(0, 2), min_size=kerbs, max_size=kerbs))
    near = []
    for own in range(kerbs):
        others = data.draw(
            st.lists(st.integers(-1, kerbs - 1).filter(lambda k, own=own: k != own), unique=True, max_size=4)
        )
        if -1 in others:
            others = others[: others.index(-1) + 1]
        near.append([(k, 100.0 * n, 50.0 + 10 * max(k, 0)) for n, k in enumerate([own, *others])])
    one = st.tuples(st.floats(-1, 99_000), st.booleans(), st.integers(0, cars - 1), st.integers(-1, kerbs - 1))
    rows = sorted(data.draw(st.lists(one, max_size=30)), key=lambda row: row[0])
    events = [(*row, number) for number, row in enumerate(rows)]
    flat = [entry for part in near for entry in part]
    first = np.cumsum([0] + [len(part) for part in near])
    seconds, outcome = np.zeros(len(rows)), np.zeros(len(rows), np.uint8)
    taken, over, outlook = np.zeros((96, kerbs), np.int32), np.zeros((96, kerbs), np.int32), np.zeros((96, kerbs))
    columns = [
        np.array([row[n] for row in events], kind) for n, kind in enumerate((float, bool, np.int32, np.int32, np.int64))
    ]
    parking._park(
        *columns, first, *(np.array([e[n] for e in flat], kind) for n, kind in enumerate((np.int32, float, float))),
        np.array(places, np.int32), cars, seconds, outcome, taken, over, outlook,
    )  # fmt: skip
    expected, outcomes, counts = park_twin(events, near, places, len(rows))
    assert np.array_equal(seconds, expected) and np.array_equal(outcome, outcomes)
    for found, column in ((taken, 0), (over, 1), (outlook, 2)):
        assert np.array_equal(found, [count[column] for count in counts])
