"""Queues of tasks against sorted lists: whoever comes late stands where it belongs."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from worlds import grid_links, streets

from citytwin.agents.response import board
from citytwin.agents.response.dispatch import Centre, Departments, Fleet, make_rules
from citytwin.agents.response.tasks import Tasks
from citytwin.agents.response.travel import Travel
from citytwin.agents.response.waiting import put_in_queue, take_from_queue

TASKS = 12
ROADS = Travel(streets(2, grid_links(2, 1)), [0]).roads([np.ones(2)])


@given(st.lists(st.integers(0, 3), min_size=TASKS, max_size=TASKS), st.lists(st.integers(0, TASKS - 1), max_size=60))
def test_queues_are_sorted_lists(moments, moves):
    """A move takes a task out that waits, and lets one wait that does not."""
    made = Centre(ROADS, Fleet.alike([0]), Departments.unlimited(0), make_rules(stations=1, units=1))
    numbers = np.arange(TASKS)
    made.add(Tasks.of(ready=sorted(moments), node=0, scene=1.0, service=9 + numbers % 2, priority=numbers // 2 % 2))
    state, waiting = made.state, set()
    for task in moves:
        if task in waiting:
            take_from_queue(state, task)
        else:
            put_in_queue(state, task)
        waiting ^= {task}
        assert state.counter[board.WAIT] == len(waiting)
        for row in range(board.SERVICES):
            for priority in range(board.PRIORITIES):
                found, at = [], state.queue[row, priority]
                while at >= 0:
                    found.append(int(at))
                    at = state.kept[at, board.NEXT]
                mine = [n for n in waiting if n % 2 == row and n // 2 % 2 == priority]
                assert found == sorted(mine, key=lambda n: (state.ready[n], n))
                assert state.last[row, priority] == (found[-1] if found else -1)
