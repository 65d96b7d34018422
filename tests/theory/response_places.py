"""What checks of emergency response have in common: streets between points, units at places, calls at nodes."""

import numpy as np

from citytwin.agents.response.dispatch import Centre, Departments, Fleet, make_rules
from citytwin.agents.response.travel import Travel
from citytwin.environment.network.network import Network
from citytwin.environment.roads import Access


def network(x, y, start, end):
    """Return streets between points in metres."""
    ones = np.ones(len(start))
    return Network(
        x=np.asarray(x, float),
        y=np.asarray(y, float),
        start=np.asarray(start, np.int32),
        end=np.asarray(end, np.int32),
        length=ones,
        speed=ones,
        lanes=ones,
        capacity=ones,
        access=np.full(len(ones), int(Access.CAR), np.uint8),
        rank=np.zeros(len(ones), np.uint8),
        way=np.arange(len(ones)),
        through=np.ones(len(x), bool),
    )


def line(nodes):
    """Return a street through some points, both ways; link ``k`` and ``nodes - 1 + k`` join points ``k`` and ``k + 1``."""
    here = np.arange(nodes - 1)
    return network(np.arange(nodes), np.zeros(nodes), np.r_[here, here + 1], np.r_[here + 1, here])


def centre(streets, seconds, stations, units, *, hospitals=(), departments=None, **rules):
    """Return a centre and its travel: units by station number, hospitals by node."""
    travel = Travel(streets, [*stations, *hospitals])
    doors = Departments.unlimited(len(hospitals)) if departments is None else departments
    made = make_rules(stations=len(stations), units=len(units), **rules)
    return Centre(travel.roads([seconds]), Fleet.alike(units), doors, made), travel


def at_one_place(units, **rules):
    """Return a centre whose units and calls are at one place, so that nobody drives."""
    return centre(line(2), [1.0, 1.0], [0], [0] * units, **rules)[0]


def batches(values, number=40):
    """Return the mean of a series and its standard error from means of batches, which are nearly independent."""
    means = np.array([part.mean() for part in np.array_split(np.asarray(values, float), number)])
    return means.mean(), means.std(ddof=1) / np.sqrt(number)
