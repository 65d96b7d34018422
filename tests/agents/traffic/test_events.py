"""Streets that change while vehicles are under way: closures, speeds and tolls, by the day or by the hour."""

import numpy as np
import pytest
from traffic_networks import Run, network

from citytwin.agents.traffic.events import Events
from citytwin.agents.traffic.modes import ModeSettings
from citytwin.environment.city import City
from citytwin.environment.roads import RoadRank
from citytwin.runners.model import CityModel
from citytwin.runners.scenario import Scenario

TOWN = City.synthetic(8_000, seed=1)
LARGE = np.flatnonzero(TOWN.links.rank <= RoadRank.SECONDARY)[:24].tolist()


def day_of(*changes):
    """Return the process after a day with changes to the larger streets, each a design of its own."""
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
{designs}"""
    model = CityModel(Scenario.from_text(text), seed=1)
    model.run()
    return model.processes[0]


@pytest.fixture(scope="module")
def before():
    return day_of('change = "speed", kmh = 50')  # nothing that is not so already


def test_what_is_closed_for_hours_is_entered_by_nobody_then(before):
    closed = day_of('change = "close", hours = "07:00-09:00"')
    assert before.links.entered[28:36][:, LARGE].sum() > 100
    assert closed.links.entered[28:36][:, LARGE].sum() == 0
    assert closed.links.entered[36:][:, LARGE].sum() > 100
    assert closed.summary()["not_arrived"] == 0
    assert closed.summary()["vehicle_km"] > before.summary()["vehicle_km"]


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
    assert events.priced(streets.free_time) == pytest.approx([50 + 180, 50])
    run = Run(network([(0, 1)], 1000.0, 1.0), [(i, 0, 1) for i in range(10)]).until(200)
    one = Events(network([(0, 1)], 1000.0, 1.0, toll=np.array([0.25])))
    one.collect(run.flow)
    assert one.paid == pytest.approx(2.5)
