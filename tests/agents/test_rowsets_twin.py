"""Row agents and ordinary Mesa agents take the same steps and show the same."""

import copy

import mesa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from town import Person, Plain

from citytwin.agents.rows import RowModel

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("older than"), st.integers(0, 100)),
        st.tuples(st.just("first"), st.integers(0, 8)),
        st.tuples(st.just("share"), st.floats(0, 1)),
        st.tuples(st.just("sort"), st.booleans()),
        st.tuples(st.just("sort by function"), st.booleans()),
        st.tuples(st.just("shuffle"), st.booleans()),
        st.tuples(st.just("birthday"), st.none()),
        st.tuples(st.just("shuffle_do"), st.none()),
        st.tuples(st.just("set"), st.integers(-5, 5)),
        st.tuples(st.just("die"), st.integers(0, 12)),
        st.tuples(st.just("born"), st.integers(0, 100)),
        st.tuples(st.just("everyone"), st.none()),
        st.tuples(st.just("leave"), st.integers(0, 12)),
    ),
    max_size=12,
)


def take(agents, step, value):
    """Take one step with a set of agents and return the set that follows from it, and what was seen."""
    model, seen = agents.model_of_test, []
    if step == "older than":
        agents = agents.select(lambda a: a.age > value)
    elif step == "first":
        agents = agents.select(at_most=value)
    elif step == "share":
        agents = agents.select(lambda a: a.debt % 2 == 0, at_most=value)
    elif step == "sort":
        agents = agents.sort("age", ascending=value)
    elif step == "sort by function":
        agents = agents.sort(lambda a: (a.decade, a.debt), ascending=value)
    elif step == "shuffle":
        agents = agents.shuffle(inplace=value)
    elif step == "birthday":
        agents.do("birthday")
    elif step == "shuffle_do":
        agents.shuffle_do(lambda a: seen.append(a.unique_id))
    elif step == "set":
        agents.set("debt", value)
    elif step == "die":
        model.agents.select(lambda a: a.unique_id == value).do("remove")
    elif step == "born":
        model.kind(model, age=value)
    elif step == "everyone":
        agents = copy.copy(model.agents)
    elif step == "leave":
        for agent in list(agents.select(lambda a: a.unique_id == value)):
            agents.discard(agent)
    agents.model_of_test = model
    return agents, seen


def observe(agents):
    """Return what a set of agents shows."""
    groups = agents.groupby("decade")
    return {
        "length": len(agents),
        "agents": [(agent.unique_id, agent.age, agent.debt) for agent in agents],
        "values": agents.get(["age", "mood", "well"]),
        "sum": agents.agg("age", sum),
        "extremes": agents.agg("age", [min, max]) if len(agents) else None,
        "answers": agents.map("greeting", "hi"),
        "group names": [name for name, _ in groups],
        "group counts": groups.count(),
        "group sums": groups.agg("debt", sum),
        "groups by function": agents.groupby(lambda a: a.age % 3).count(),
        "members": [agent in agents for agent in agents.model_of_test.agents],
    }


def follow(model, kind, ages, steps):
    """Make agents, take steps, and return what can be seen after each."""
    kind.create_agents(model, len(ages), age=ages, debt=list(range(len(ages))))
    model.kind = kind
    agents = copy.copy(model.agents)
    agents.model_of_test = model
    log = [observe(agents)]
    for step, value in steps:
        agents, seen = take(agents, step, value)
        log.append((step, seen, observe(agents)))
    return log


@settings(max_examples=150)
@given(ages=st.lists(st.integers(0, 100), max_size=8), steps=STEPS)
def test_the_same_steps_show_the_same(ages, steps):
    assert follow(RowModel(rng=5), Person, ages, steps) == follow(mesa.Model(rng=5), Plain, ages, steps)


@pytest.mark.parametrize("ages", [[], [50], [3, 3, 3]])
def test_the_twins_see_something(ages):
    """The property above compares two logs; this makes sure that they say what happened."""
    log = follow(RowModel(rng=5), Person, ages, [("birthday", None), ("born", 9), ("everyone", None)])
    assert log[0]["agents"] == [(uid, age, uid - 1) for uid, age in enumerate(ages, 1)]
    assert log[1][2]["sum"] == sum(ages) + len(ages)
    assert log[3][2]["length"] == len(ages) + 1
