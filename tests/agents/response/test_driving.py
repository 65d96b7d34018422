"""Where units are on their way: looked up at rising moments, and found again step by step."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import grid_links, streets

from citytwin.agents.response.board import DRIVEN, GOAL, MODE, PASSED, REST, UNIT_COLUMNS
from citytwin.agents.response.driving import ahead, drive, drive_there, forget, learn, least_drive
from citytwin.agents.response.travel import Travel
from citytwin.environment.network.labels import NEVER


def town(seed, tied):
    """Return streets with some one way, and their travel to six places."""
    rng = np.random.default_rng(seed)
    columns, rows = rng.integers(2, 9, 2)
    links = [pair for pair in grid_links(columns, rows) if rng.random() > 0.15]
    seconds = rng.integers(1, 4, len(links)) * 10.0 if tied else rng.uniform(10, 60, len(links))
    nodes = int(columns * rows)
    roads = Travel(streets(nodes, links), rng.integers(0, nodes, 6)).roads([seconds, 1.5 * seconds])
    return roads, nodes, rng


def walked(roads, mode, node, goal, elapsed):
    """Return the next node and ms to it: at each node over the first arc that is on a quickest way."""
    left = elapsed
    while left > 0 and node != goal:
        rest = drive(roads, mode, node, goal)
        for arc in range(roads.first[node], roads.first[node + 1]):
            step = roads.weight[mode, arc]
            if step < NEVER and step + drive(roads, mode, roads.head[arc], goal) == rest:
                break
        if left < step:
            return roads.head[arc], step - left
        left -= step
        node = roads.head[arc]
    return node, 0.0


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31), st.booleans(), st.lists(st.floats(0, 1.2), min_size=1, max_size=8))
def test_units_are_where_they_have_driven_to(seed, tied, shares):
    roads, nodes, rng = town(seed, tied)
    known = np.full(nodes, NEVER, np.int32)
    for to_place in (True, False):
        mode, node, place = int(rng.integers(2)), int(rng.integers(nodes)), int(rng.integers(6))
        goal = int(roads.place_node[place]) if to_place else int(rng.integers(nodes))
        away = drive(roads, mode, node, goal)
        if away >= NEVER:
            continue
        unit = np.full((1, UNIT_COLUMNS), -1, np.int32)
        unit[0, [MODE, GOAL, PASSED, DRIVEN, REST]] = mode, place if to_place else -1, node, 0, away
        for share in sorted(shares):
            found = ahead(roads, unit, 0, goal, share * away, known)
            assert found == walked(roads, mode, node, goal, share * away)
            assert unit[0, DRIVEN] + unit[0, REST] == away
            assert drive(roads, mode, unit[0, PASSED], goal) == unit[0, REST]
        assert (known == NEVER).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.booleans())
def test_bounds_and_known_ways(seed, tied):
    roads, nodes, rng = town(seed, tied)
    known = np.full(nodes, NEVER, np.int32)
    for mode, origin, goal in zip(*rng.integers(0, [[2], [nodes], [nodes]], (3, 50)), strict=True):
        away = drive(roads, mode, origin, goal)
        assert 0 <= least_drive(roads, mode, origin, goal) <= away
        learn(roads, mode, goal, known)
        assert drive_there(roads, mode, origin, known) == away
        forget(roads, mode, goal, known)
        assert (known == NEVER).all()
