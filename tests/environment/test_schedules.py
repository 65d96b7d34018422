"""Visits in person order and place order."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from citytwin.environment.schedules import Schedule


@st.composite
def visit_lists(draw):
    """Days of a few persons in a few places: each day a division of the 96 slots."""
    places = draw(st.integers(1, 6))
    days = []
    for _ in range(draw(st.integers(0, 12))):
        cuts = sorted(draw(st.sets(st.integers(1, 95), max_size=5)))
        edges = [0, *cuts, 96]
        days.append([(draw(st.integers(0, places - 1)), a, b) for a, b in pairwise(edges)])
    return places, days


def schedule_of(places, days):
    flat = [visit for day in days for visit in day]
    first = np.concatenate([[0], np.cumsum([len(day) for day in days])]).astype(np.int32)
    columns = [np.array([v[i] for v in flat], t) for i, t in enumerate((np.int32, np.uint8, np.uint8))]
    return Schedule.from_visits(first, *columns, places)


@given(visit_lists())
def test_place_order_is_the_transpose(case):
    places, days = case
    schedule = schedule_of(places, days)
    by_place = [[] for _ in range(places)]
    for person, day in enumerate(days):
        for place, start, end in day:
            by_place[place].append((person, start, end))
    for place, expected in enumerate(by_place):
        rows = slice(schedule.place_first[place], schedule.place_first[place + 1])
        got = zip(
            schedule.visitor[rows].tolist(),
            schedule.visitor_start[rows].tolist(),
            schedule.visitor_end[rows].tolist(),
            strict=True,
        )
        assert list(got) == expected
    assert schedule.visits == sum(map(len, days))


def test_visits_of_one_person():
    schedule = schedule_of(3, [[(0, 0, 96)], [(1, 0, 30), (2, 30, 60), (1, 60, 96)]])
    assert schedule.visits_of(0) == [(0, 0, 96)]
    assert schedule.visits_of(1) == [(1, 0, 30), (2, 30, 60), (1, 60, 96)]
