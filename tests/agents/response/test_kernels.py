"""The kernel of events does what its plain-Python twin does, and the same in one go and in many."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import assert_equal, random_world

from citytwin.agents.response.decisions import Dispatcher

MOVES = ["home", "maximal cover", "compliance"]
PAIRS = [(3, 0), (3, 1), (2, 0), (1, 0), (2, 1)]


@st.composite
def rules(draw):
    """Rules by name, each its default more often than not."""
    return {
        "dispatch": draw(st.sampled_from(["nearest", "nearest", "coverage"])),
        "queue": draw(st.sampled_from(["first", "first", "closest"])),
        "hospital": draw(st.sampled_from(["nearest", "diverting", "least time"])),
        "move": draw(
            st.just("home") | st.sampled_from(MOVES) | st.lists(st.sampled_from(MOVES), min_size=3, max_size=3)
        ),
        "hold_out": draw(st.sampled_from([0, 0, 1, 2])),
        "hold_from": draw(st.integers(0, 3)),
        "loss": draw(st.sampled_from([False, False, True])),
        "scene_lights": draw(st.sampled_from([8, 0, 2])),
        "hospital_lights": draw(st.sampled_from([0, 1])),
        "aid_after": draw(st.sampled_from([np.inf, 0.0, 100.0])),
        "redispatch": draw(st.lists(st.sampled_from(PAIRS), unique=True, max_size=3)),
        "target": draw(st.sampled_from([[np.inf], [200.0], [60.0, 300.0]])),
        "busy_memory": draw(st.sampled_from([500.0, 86_400.0])),
    }


worlds = st.builds(
    random_world,
    st.integers(0, 2**31),
    rules=rules(),
    tied=st.booleans(),
    services=st.integers(1, 3),
    sparse=st.booleans(),
)


@settings(max_examples=150)
@given(worlds)
def test_kernel_and_twin_agree(world):
    assert_equal(world.run_centre(), world.run_twin())


@settings(max_examples=60)
@given(worlds, st.lists(st.integers(0, 6000), max_size=40), st.integers(1, 6))
def test_work_in_parts_is_the_same_to_the_bit(world, stops, parts):
    whole = world.run_centre()
    divided = world.run_centre(sorted(map(float, stops)), parts)
    for name, column in whole.table().items():
        if name not in ("after", "incident"):
            assert np.array_equal(column, divided.table()[name], equal_nan=column.dtype.kind == "f"), name
    assert np.array_equal(whole.state.spent, divided.state.spent)
    assert np.array_equal(whole.rules.real, divided.rules.real)
    assert np.array_equal(whole.rules.busy, divided.rules.busy)


class Same(Dispatcher):
    """Decides everything as rules do by default."""

    def choose_unit(self, task, units):
        return super().choose_unit(task, units)

    def choose_hospital(self, task, hospitals):
        return super().choose_hospital(task, hospitals)

    def choose_task(self, unit, tasks):
        return super().choose_task(unit, tasks)

    def choose_station(self, unit, stations):
        return super().choose_station(unit, stations)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31), st.booleans(), st.lists(st.sampled_from(PAIRS), unique=True))
def test_a_dispatcher_who_decides_like_the_rules_changes_nothing(seed, tied, pairs):
    asked = random_world(seed, rules={"redispatch": pairs, "asks": Same.asks()}, tied=tied)
    asked.changes = []  # a unit without a way to its own station is told another one
    assert len(Same.asks()) == 4
    assert_equal(asked.run_centre(dispatcher=Same()), asked.run_twin())


def test_the_worlds_hold_whatever_can_happen():
    outcomes = set()
    for seed in range(12):
        chosen = {
            "dispatch": ("nearest", "coverage")[seed % 2],
            "queue": ("first", "closest")[seed // 2 % 2],
            "hospital": ("nearest", "diverting", "least time")[seed % 3],
            "move": MOVES[seed // 3 % 3],
            "redispatch": PAIRS,
            "loss": seed == 5,
        }
        world = random_world(seed, rules=chosen, services=1 + seed % 3, sparse=seed % 2 == 1)
        centre, twin = world.run_centre(), world.run_twin()
        assert_equal(centre, twin)
        table = centre.table()
        outcomes |= {task.outcome for task in twin.tasks}
        outcomes |= {name for name in ("diverted", "called_away", "queued", "unreachable") if table[name].any()}
        assert sum(centre.balance().values()) == len(table["ready"])
    assert outcomes >= {
        "treated", "transported", "cancelled", "lost", "without hospital", "diverted", "called_away", "queued",
        "unreachable",
    }  # fmt: skip
