"""Runs of a sweep: seeds, names, and how a sweep goes on with more points, replicates or values."""

import re

import pytest

from citytwin.runners.points.layout import layout
from citytwin.runners.points.settings import SweepSettings
from citytwin.runners.points.tasks import ExtensionError, TaskMaker, extended, seed_of

SEED = 7


def maker(seed=SEED, **keys):
    settings = SweepSettings.model_validate(keys)
    points = layout(settings, seed).points
    return TaskMaker(settings, seed, points, ["town.city"] * len(points))


def first(made):
    return made.tasks(made.first_runs())


def identity(task):
    return (str(sorted(task["parameters"].items())), task["replicate"], task["seed"])


GRID = {"replicates": 2, "parameters": {"x": [1, 2], "y": ["a", "b"]}}


def test_common_seeds_are_the_same_at_every_point():
    tasks = first(maker(**GRID))
    assert [task["seed"] for task in tasks] == [7, 8] * 4
    assert [task["run_id"] for task in tasks[:3]] == ["p0000-r0000", "p0000-r0001", "p0001-r0000"]
    assert tasks[3] == {
        "run_id": "p0001-r0001",
        "point": 1,
        "replicate": 1,
        "seed": 8,
        "parameters": {"x": 1, "y": "b"},
        "city": "town.city",
    }


def test_independent_seeds_differ_and_depend_on_the_values_alone():
    tasks = first(maker(seeds="independent", **GRID))
    assert len({task["seed"] for task in tasks}) == 8
    assert all(0 <= task["seed"] < 2**62 for task in tasks)
    turned = first(maker(seeds="independent", replicates=2, parameters={"y": ["b", "a", "c"], "x": [2, 1]}))
    assert set(map(identity, tasks)) < set(map(identity, turned))
    settings = SweepSettings.model_validate({"seeds": "independent"})
    assert seed_of(settings, 7, {"x": 1, "y": 2}, 0) == seed_of(settings, 7, {"y": 2, "x": 1}, 0)
    assert seed_of(settings, 7, {"x": 1}, 0) != seed_of(settings, 8, {"x": 1}, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"replicates": 4},
        {"parameters": {"x": [1, 2, 3], "y": ["a", "b"]}},
        {"parameters": {"x": [0, 2, 1], "y": ["b", "c", "a"]}, "replicates": 3},
        {"parameters": {"y": ["a", "b"], "x": [1, 2]}},
    ],
    ids=["replicates", "values", "both", "order"],
)
@pytest.mark.parametrize("seeds", ["common", "independent"])
def test_a_sweep_that_grows_keeps_its_runs_and_appends_others(change, seeds):
    old = first(maker(seeds=seeds, **GRID))
    wanted = maker(seeds=seeds, **(GRID | change))
    tasks = extended(old, wanted)
    assert tasks[: len(old)] == old
    assert sorted(map(identity, tasks)) == sorted(map(identity, first(wanted)))
    assert len({task["run_id"] for task in tasks}) == len(tasks)
    by_point = {task["point"]: task["parameters"] for task in tasks}
    assert sorted(by_point) == list(range(len(wanted.points)))
    assert all(by_point[task["point"]] == task["parameters"] for task in tasks)
    assert extended(tasks, wanted) == tasks


SAMPLED = {"parameters": {"x": {"from": 0, "to": 1}, "n": {"from": 1, "to": 3, "integer": True}}}


@pytest.mark.parametrize(
    ("design", "size"), [("random", "points"), ("sobol", "points"), ("saltelli", "base"), ("morris", "trajectories")]
)
def test_sampled_designs_grow(design, size):
    """Also where whole numbers make rows of a design equal: each keeps its own place."""
    old = first(maker(design=design, **{size: 8}, **SAMPLED))
    wanted = maker(design=design, **{size: 16}, **SAMPLED)
    assert extended(old, wanted) == first(wanted)


def test_a_latin_hypercube_of_another_size_is_another():
    old = first(maker(design="lhs", points=8, **SAMPLED))
    with pytest.raises(ExtensionError, match=r"no point of the design has the values of p0000-r0000 .*Latin hypercube"):
        extended(old, maker(design="lhs", points=16, **SAMPLED))
    more = maker(design="lhs", points=8, replicates=2, **SAMPLED)
    assert extended(old, more)[:8] == old


@pytest.mark.parametrize(
    ("change", "seed", "said"),
    [
        (
            {"parameters": {"x": [1], "y": ["a", "b"]}},
            SEED,
            "no point of the design has the values of p0002-r0000 (x = 2",
        ),
        ({"parameters": {"x": [1, 2]}}, SEED, "no point of the design has the values of p0000-r0000 (x = 1, y = a"),
        (
            {"parameters": {"x": [1.0, 2], "y": ["a", "b"]}},
            SEED,
            "no point of the design has the values of p0000-r0000",
        ),
        ({"replicates": 1}, SEED, "the design has 1 replicates of each point, fewer than there are"),
        ({}, 9, "p0000-r0000 (x = 1, y = a, replicate 0, seed 7): has seed 9 in the design"),
        ({"seeds": "independent"}, SEED, "'seed' and 'seeds' must stay as they were"),
    ],
)
def test_runs_that_would_be_lost_are_named(change, seed, said):
    old = first(maker(**GRID))
    with pytest.raises(ExtensionError, match=re.escape(said)):
        extended(old, maker(seed, **(GRID | change)))


def test_single_runs_can_be_added():
    until = {"indicator": "deaths", "half_width": 1, "at_least": 2, "at_most": 8}
    wanted = maker(parameters={"x": [1, 2]}, until=until)
    old = first(wanted)
    assert [task["replicate"] for task in old] == [0, 1, 0, 1]
    tasks = extended(old, wanted, [(1, 2), (0, 2), (1, 3), (1, 0)])
    assert [task["run_id"] for task in tasks[4:]] == ["p0001-r0002", "p0000-r0002", "p0001-r0003"]
    assert extended(tasks, wanted) == tasks  # what was added stays though the design asks for less


@pytest.mark.parametrize("values", [[1, 2, 3], [2, 1, 3], [3, 2, 1]], ids=str)
def test_points_keep_their_numbers_whatever_their_order(values):
    larger = maker(parameters={"x": values})
    continued = larger.continuing(first(maker(parameters={"x": [1, 2]})))
    numbers = {point["x"]: continued.number(position) for position, point in enumerate(larger.points)}
    assert numbers == {1: 0, 2: 1, 3: 2}


def test_a_number_with_a_point_is_another_value():
    old = first(maker(parameters={"x": [1, 2]}))
    with pytest.raises(ExtensionError, match="no point of the design has the values of p0000-r0000"):
        maker(parameters={"x": [1.0, 2, 3]}).continuing(old)
