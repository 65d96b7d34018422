"""Streets that change while vehicles are under way: closures, speeds and tolls, by the day or by the hour."""

import numpy as np
import pytest
from traffic_networks import Run, network

from citytwin.agents.traffic.demand import Mode
from citytwin.agents.traffic.events import Events
from citytwin.agents.traffic.kernels import CENTIMETRES
from citytwin.agents.traffic.modes import ModeSettings
from citytwin.environment.city import City
from citytwin.environment.roads import RoadRank
from citytwin.runners.model import CityModel
from citytwin.runners.scenarios.scenario import Scenario

TOWN = City.synthetic(8_000, seed=1)
LARGE = np.flatnonzero(TOWN.links.rank <= RoadRank.SECONDARY)[:24].tolist()


def model_of(*changes, traffic=""):
    """Return a model with changes to the larger streets, each a design of its own."""
    designs = "".join(
        f'[[design]]\nname = "design {number}"\nchanges = [{{ {change}, links = {LARGE} }}]\n'
        for number, change in enumerate(changes)
    )
    text = f"""
name = "streets that change"
[city]
synthetic = {{ people = 8_000, seed = 1 }}
[clock]
start = 2026-03-02
days = 1
[traffic]
transit = "none"
{traffic}
{designs}"""
    return CityModel(Scenario.from_text(text), seed=1)


def day_of(*changes, traffic=""):
    """Return the process after a day with such changes."""
    model = model_of(*changes, traffic=traffic)
    model.run()
    return model.processes[0]


NOTHING = 'change = "speed", kmh = 50'  # that is not so already


@pytest.fixture(scope="module")
def before():
    return day_of(NOTHING)


def test_what_is_closed_for_hours_is_entered_by_nobody_then(before):
    closed = day_of('change = "close", hours = "07:00-09:00"')
    assert before.links.entered[28:36][:, LARGE].sum() > 100
    assert closed.links.entered[28:36][:, LARGE].sum() == 0
    assert closed.links.entered[36:][:, LARGE].sum() > 100
    assert closed.summary()["not_arrived"] == 0
    # fewer drive, and those who still do drive farther
    inside = (before.trips.depart >= 7 * 3600) & (before.trips.depart < 9 * 3600)
    both = np.flatnonzero(inside & (before.trips.mode == Mode.CAR) & (closed.trips.mode == Mode.CAR))
    there, now = (day.flow.vehicles[day.moving.trip[both], CENTIMETRES].sum() for day in (before, closed))
    assert len(both) > 20 and now > there
    assert closed.summary()["trips_car"] < before.summary()["trips_car"]


def test_tolls_are_paid_and_avoided(before):
    tolled = day_of('change = "toll", amount = 3.0')
    assert before.summary()["toll_euros"] == 0
    driven = tolled.links.left.sum(axis=0)
    assert tolled.summary()["toll_euros"] == pytest.approx(float(driven @ tolled.network.toll))
    assert tolled.summary()["toll_euros"] > 0
    assert driven[LARGE].sum() < 0.8 * before.links.left[:, LARGE].sum()
    assert tolled.summary()["trips_car"] <= before.summary()["trips_car"]


def test_tolls_of_an_hour_cost_in_that_hour_alone(before):
    tolled = day_of('change = "toll", amount = 3.0, hours = "07:00-09:00"')
    inside = slice(28, 36)
    assert tolled.links.entered[inside][:, LARGE].sum() < 0.8 * before.links.entered[inside][:, LARGE].sum()
    assert tolled.links.entered[:24].sum() == before.links.entered[:24].sum()
    assert tolled.summary()["toll_euros"] > 0


def test_a_slower_street_of_another_design_stays_closed():
    both = day_of('change = "close", hours = "07:00-12:00"', 'change = "speed", kmh = 20, hours = "08:00-10:00"')
    entered = both.links.entered[:, LARGE]
    assert entered[28:48].sum() == 0
    assert entered[48:].sum() > 100


def test_tolls_are_those_of_the_moment(before):
    part = day_of('change = "toll", amount = 3.0, hours = "07:05-07:12"')
    whole = day_of('change = "toll", amount = 3.0, hours = "07:00-07:15"')
    assert 0 < part.summary()["toll_euros"] < whole.summary()["toll_euros"]
    assert before.summary()["toll_euros"] == 0


@pytest.mark.parametrize("what", ['change = "toll", amount = 3.0', 'change = "close"'])
def test_modes_are_chosen_by_what_holds_when_a_trip_begins(before, what):
    during = day_of(f'{what}, hours = "07:00-09:00"')
    trips, others = before.trips, during.trips
    assert np.array_equal(trips.person, others.person)
    inside = (trips.depart >= 7 * 3600) & (trips.depart < 9 * 3600)
    drove, drives = trips.mode == Mode.CAR, others.mode == Mode.CAR
    assert np.count_nonzero(drives & inside) < np.count_nonzero(drove & inside)
    # whoever changes lives in a household that goes somewhere in these hours
    household = TOWN.people.household[trips.person]
    changed = np.unique(household[trips.mode != others.mode])
    assert len(changed) > 10
    assert np.isin(changed, household[inside]).all()


def test_what_is_closed_over_midnight_stays_closed_for_the_late(before):
    closed = day_of('change = "close", hours = "22:00-06:00"')
    late = slice(88, 96)  # the last quarter of the record holds the hours after midnight
    assert before.links.entered[late][:, LARGE].sum() > 10
    assert closed.links.entered[late][:, LARGE].sum() == 0
    assert closed.links.entered[:24][:, LARGE].sum() == 0
    assert closed.links.entered[24:88][:, LARGE].sum() > 100


def test_learned_routes_go_round_a_closure_in_its_hours_alone():
    before = day_of(NOTHING, traffic="learning = 2")
    closed = day_of('change = "close", hours = "07:00-09:00"', traffic="learning = 2")
    assert before.links.entered[28:36][:, LARGE].sum() > 100
    assert closed.links.entered[28:36][:, LARGE].sum() == 0
    evening = slice(64, 72)
    assert closed.links.entered[evening][:, LARGE].sum() > 0.5 * before.links.entered[evening][:, LARGE].sum()
    assert len(closed.gaps) == 2 and np.isfinite(closed.gaps).all()


def hours_by_car(rerouting, known):
    """Return vehicle-hours of a learned day on which the large streets are slow in the morning, known before or not."""
    slow = 'change = "speed", kmh = 4, hours = "07:00-10:00"'
    traffic = model_of(slow, traffic=f'learning = 2\nrerouting = {rerouting}\nreroute = "5 min"').processes[0]
    learn, events = traffic._learn, traffic._events

    def learned(*arguments):
        if not known:
            traffic._events = lambda _day: Events(traffic.network)
        found = learn(*arguments)
        traffic._events = events
        return found

    traffic._learn = learned
    traffic.advance(0.0, 1.0)
    return traffic.summary()["vehicle_hours"]


def test_who_has_learned_turns_off_where_it_is_slower_than_expected():
    kept, turned = (hours_by_car(rerouting, known=False) for rerouting in (0.0, 1.0))
    foreseen = hours_by_car(0.0, known=True)
    assert turned < 0.95 * kept
    assert foreseen < kept


def test_slower_streets_take_longer():
    slow = day_of('change = "speed", kmh = 20, hours = "00:00-24:00"')
    quarter, link = np.nonzero(slow.links.left[:, LARGE])
    assert len(link) > 100
    link = np.array(LARGE)[link]
    seconds = slow.links.seconds[quarter, link]
    assert np.all(seconds >= slow.network.length[link] / (20 / 3.6) - 0.1)


def test_a_euro_counts_as_the_coefficients_say():
    settings = ModeSettings(euro=-0.3, car_minute=-0.05)
    assert settings.seconds_per_euro == pytest.approx(360.0)
    streets = network([(0, 1), (0, 1)], [1000.0, 1000.0], 1.0, toll=np.array([0.5, 0.0]))
    events = Events(streets, None, settings.seconds_per_euro)
    assert events.now.price(streets.free_time) == pytest.approx([50 + 180, 50])
    run = Run(network([(0, 1)], 1000.0, 1.0), [(i, 0, 1) for i in range(10)]).until(200)
    one = Events(network([(0, 1)], 1000.0, 1.0, toll=np.array([0.25])))
    one.collect(run.flow)
    assert one.paid == pytest.approx(2.5)
