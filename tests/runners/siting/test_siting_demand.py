"""Expected calls by place: as many as the rates say, where people are."""

import numpy as np
import pytest

from citytwin.agents.presence import Presence
from citytwin.agents.response.calls import Calls
from citytwin.runners.siting.demand import expected_calls


@pytest.fixture(scope="module")
def demand(question):
    return expected_calls(question, 99)


def test_as_many_as_the_rates_say(question, demand):
    city, settings = question.city, question.settings
    presence = Presence(city, 1)
    calls = Calls(
        city, presence, settings.kinds, settings.service_times, 1, scenes=question.scenes, factor=settings.calls
    )
    asks = [name for name, kind in settings.kinds.items() if "ambulance" in kind.units]
    week = [sum(calls.expected(day)[name] for name in asks) for day in range(7)]
    assert demand.calls.sum() == pytest.approx(np.mean(week), rel=4 / np.sqrt(50_000))  # four standard errors


def test_where_people_are(question, demand):
    """Half of the calls of the cell in which a place lies would need half of the people to be there."""
    city = question.city
    west, south, east, north = city.info.bounds
    half = demand.side / 2
    assert demand.x.min() >= west - half
    assert demand.y.max() <= north + half
    assert (demand.x.max(), demand.y.min()) <= (east + half, north)
    assert demand.y.min() >= south - half
    x, y = question.network.x[demand.node], question.network.y[demand.node]
    straight = np.hypot(x - demand.x, y - demand.y)
    assert (np.abs(demand.access * 1.34 / 1.3 - straight) <= 2 * demand.side).all()


def test_another_seed_says_nearly_the_same(question, demand):
    other = expected_calls(question, 100)
    assert other.calls.sum() == pytest.approx(demand.calls.sum(), rel=0.03)
    assert other.delay == pytest.approx(demand.delay, rel=0.03)
    assert not np.array_equal(other.calls, demand.calls)
    again = expected_calls(question, 99)
    assert np.array_equal(again.calls, demand.calls)
