"""Units that are kept back for the most urgent tasks, and neighbours, who are not."""

from dataclasses import replace

import numpy as np
from worlds import grid_links, streets

from citytwin.agents.response.decisions import Dispatcher
from citytwin.agents.response.dispatch import Centre, Departments, Fleet, make_rules
from citytwin.agents.response.tasks import Tasks
from citytwin.agents.response.travel import Travel

AMBULANCES = 2
"""Bit of the service."""
OWN, NEIGHBOUR = (0, 1), 2


class LastFirst(Dispatcher):
    def choose_task(self, _unit, tasks):
        return tasks[-1].number


def centre(hold_out, dispatcher=Dispatcher):
    """Return a centre of two units and a neighbour's at one station, which is where all tasks are."""
    roads = Travel(streets(2, grid_links(2, 1)), [0]).roads([np.ones(2)])
    fleet = replace(
        Fleet.alike([0, 0, 0]),
        serves=np.array([AMBULANCES, AMBULANCES, 0], np.int32),
        aids=np.array([0, 0, AMBULANCES], np.int32),
    )
    rules = make_rules(stations=1, units=3, hold_out=hold_out, hold_from=1, asks=dispatcher.asks())
    return Centre(roads, fleet, Departments.unlimited(0), rules, dispatcher=dispatcher())


def test_neighbours_come_where_own_units_are_kept_back():
    made = centre(hold_out=1)
    made.add(Tasks.of(ready=[0, 1, 2, 3], node=0, scene=[50, 100, 200, 10], service=10, priority=[1, 1, 0, 1]))
    made.run(1000)
    found = made.table()
    # the last of the own units waits for the urgent task; the fourth task is the neighbour's once the second is done, since
    # the own unit that was free before would have been the last one again
    assert found["unit"].tolist() == [OWN[0], NEIGHBOUR, OWN[1], NEIGHBOUR]
    assert found["sent"].tolist() == [0, 1, 2, 101]


def test_neighbours_come_last_where_nobody_is_kept_back():
    made = centre(hold_out=0)
    made.add(Tasks.of(ready=[0, 1, 2, 3], node=0, scene=[50, 100, 200, 10], service=10, priority=[1, 1, 0, 1]))
    made.run(1000)
    found = made.table()
    assert found["unit"].tolist() == [*OWN, NEIGHBOUR, OWN[0]]
    assert found["sent"].tolist() == [0, 1, 2, 50]


def test_a_unit_that_is_kept_back_is_offered_urgent_tasks_only():
    made = centre(1, LastFirst)
    ready = [0, 1, 2, 3, 4]
    made.add(Tasks.of(ready=ready, node=0, scene=[50, 500, 500, 10, 10], service=10, priority=[0, 0, 0, 0, 1]))
    made.run(400)
    found = made.table()
    assert found["sent"][3] == 50  # by the unit that is free first, although the dispatcher likes what is less urgent
    assert np.isnan(found["sent"][4])
