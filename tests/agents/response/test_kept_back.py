"""Units that are kept back for the most urgent tasks, and neighbours, who are not."""

from dataclasses import replace

import numpy as np
from worlds import grid_links, streets

from citytwin.agents.response.dispatch import Centre, Departments, Fleet, make_rules
from citytwin.agents.response.tasks import Tasks
from citytwin.agents.response.travel import Travel

AMBULANCES = 2
"""Bit of the service."""
OWN, NEIGHBOUR = (0, 1), 2


def centre(hold_out):
    """Return a centre of two units and a neighbour's at one station, which is where all tasks are."""
    roads = Travel(streets(2, grid_links(2, 1)), [0]).roads([np.ones(2)])
    fleet = replace(
        Fleet.alike([0, 0, 0]),
        serves=np.array([AMBULANCES, AMBULANCES, 0], np.int32),
        aids=np.array([0, 0, AMBULANCES], np.int32),
    )
    return Centre(
        roads, fleet, Departments.unlimited(0), make_rules(stations=1, units=3, hold_out=hold_out, hold_from=1)
    )


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
