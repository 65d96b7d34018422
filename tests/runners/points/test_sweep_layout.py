"""From the section ``[sweep]`` to a table of points: ranges, lists, mixtures, and which points stand for all."""

import itertools
from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from citytwin.runners.points.layout import (
    MOST_TRIED,
    count_points,
    first_of,
    kinds_of,
    layout,
    representatives,
    same_text,
)
from citytwin.runners.points.settings import Range, SweepSettings, parse_budget


def section(**keys):
    return SweepSettings.model_validate(keys)


def bounds(low, high, **keys):
    return Range.model_validate({"from": low, "to": high} | keys)


# ---------------------------------------------------------------------- ranges


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.floats(0, 1))
def test_a_share_of_a_range_lies_in_it_and_grows(low, width, share):
    axis = bounds(low, low + width)
    assert axis.from_ <= axis.at(share) <= axis.to
    assert axis.at(0.0) == axis.from_
    assert axis.at(share) <= axis.at(1.0) == pytest.approx(axis.to)


@given(st.floats(1e-6, 1e3), st.floats(1.01, 1e6), st.floats(0, 1))
def test_a_log_range_is_even_in_the_logarithm(low, factor, share):
    axis = bounds(low, low * factor, scale="log")
    expected = low * exp(share * log(axis.to / low))
    assert axis.at(share) == pytest.approx(expected, rel=1e-9)


def test_whole_numbers_are_met_equally_often_both_bounds_included():
    axis = bounds(3, 7, integer=True)
    shares = (np.arange(5000) + 0.5) / 5000
    found, times = np.unique([axis.at(share) for share in shares], return_counts=True)
    assert found.tolist() == [3, 4, 5, 6, 7]
    assert np.ptp(times) <= 1
    assert (axis.at(0.0), axis.at(1.0)) == (3, 7)
    assert type(axis.at(0.5)) is int


@pytest.mark.parametrize("keys", [{}, {"scale": "log"}, {"integer": True}, {"scale": "log", "integer": True}], ids=str)
def test_many_shares_give_what_each_gives(keys):
    axis = bounds(2, 90, **keys)
    shares = np.random.default_rng(1).random(200)
    found = axis.spread(shares)
    assert found == [axis.at(share) for share in shares.tolist()]
    assert {type(value) for value in found} == {int if keys.get("integer") else float}


def test_steps_go_from_bound_to_bound():
    assert bounds(1, 3, steps=5).values() == [1.0, 1.5, 2.0, 2.5, 3.0]
    assert bounds(1, 100, scale="log", steps=3).values() == pytest.approx([1, 10, 100])
    assert bounds(10, 50, integer=True, steps=5).values() == [10, 20, 30, 40, 50]
    assert [type(value) for value in bounds(0, 4, integer=True, steps=3).values()] == [int] * 3


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"from": 3, "to": 1}, "must be greater than 'from'"),
        ({"from": 1, "to": 1}, "must be greater than 'from'"),
        ({"from": 0, "to": 1, "scale": "log"}, "must be above 0"),
        ({"from": 0.5, "to": 3, "integer": True}, "must be whole numbers"),
        ({"from": 0, "to": 3, "integer": True, "steps": 9}, "are not all different"),
        ({"from": float("-inf"), "to": 3}, "must be greater than"),
        ({"from": -1.7e308, "to": 1.7e308}, "lies too far"),
    ],
)
def test_ranges_that_are_none(keys, said):
    with pytest.raises(ValidationError, match=said):
        Range.model_validate(keys)


# ---------------------------------------------------------------------- designs of both


def test_every_sample_meets_every_combination_of_lists():
    sweep = section(design="lhs", points=5, parameters={"a": [1, 2], "x": {"from": 0, "to": 1}, "b": ["u", "v", "w"]})
    points = layout(sweep, 3).points
    assert len(points) == count_points(sweep) == 5 * 2 * 3
    assert list(points[0]) == ["a", "x", "b"]
    samples = list(dict.fromkeys(point["x"] for point in points))
    assert len(samples) == 5
    expected = [(x, a, b) for x in samples for a, b in itertools.product([1, 2], "uvw")]
    assert [(point["x"], point["a"], point["b"]) for point in points] == expected
    alone = section(design="lhs", points=5, parameters={"x": {"from": 0, "to": 1}})
    assert [point["x"] for point in layout(alone, 3).points] == samples  # lists change no sample


def test_a_range_with_steps_is_crossed_like_a_list():
    steps = section(
        design="random", points=2, parameters={"x": {"from": 0, "to": 1}, "y": {"from": 0, "to": 2, "steps": 3}}
    )
    listed = section(design="random", points=2, parameters={"x": {"from": 0, "to": 1}, "y": [0.0, 1.0, 2.0]})
    assert layout(steps, 1).points == layout(listed, 1).points
    grid = section(parameters={"y": {"from": 0, "to": 2, "steps": 3}, "z": [True, False]})
    assert [tuple(point.values()) for point in layout(grid, 1).points] == list(
        itertools.product([0.0, 1.0, 2.0], [True, False])
    )


def test_samples_that_whole_numbers_make_equal_are_one_point():
    sweep = section(design="random", points=50, parameters={"n": {"from": 1, "to": 4, "integer": True}, "b": [0, 1]})
    found = layout(sweep, 1)
    assert sorted({point["n"] for point in found.points}) == [1, 2, 3, 4]
    assert (len(found), found.sampled, found.merged) == (8, 50, 46)
    assert len({same_text(point) for point in found.points}) == len(found)


@pytest.mark.parametrize(
    ("design", "size", "points"), [("saltelli", "base", 16 * 4), ("morris", "trajectories", 16 * 3)]
)
def test_designs_of_indices_keep_every_row(design, size, points):
    whole = {"from": 1, "to": 2, "integer": True}
    sweep = section(design=design, parameters={"n": whole, "m": whole}, **{size: 16})
    assert len(layout(sweep, 1)) == count_points(sweep) == points


def test_nothing_swept_is_one_point():
    assert layout(section(), 1).points == [{}]
    assert len(layout(section(), 1)) == count_points(section()) == 1


@given(st.integers(0, 2**62 - 1), st.sampled_from(["random", "lhs", "sobol"]), st.integers(0, 5))
@settings(deadline=None, max_examples=30)
def test_points_are_a_function_of_settings_and_seed(seed, design, power):
    keys = {"design": design, "points": 2**power, "parameters": {"x": {"from": -1, "to": 1}, "y": [1, 2]}}
    assert layout(section(**keys), seed).points == layout(section(**keys), seed).points


# ---------------------------------------------------------------------- kinds and representatives


def test_kinds_are_told_by_what_lies_on_a_way():
    columns = {
        "city.synthetic.people": [1000, 1000, 2000],
        "epidemic.r0": [1.0, 2.0, 2.0],
        "traffic.tables": [1, 2, 2],
    }
    points = layout(section(design="list", parameters=columns), 1)
    assert kinds_of(points, [("city",)]) == [("1000",), ("1000",), ("2000",)]
    assert first_of(kinds_of(points, [("city",)])) == {("1000",): 0, ("2000",): 2}
    assert kinds_of(points, [("traffic", "*", "file")]) == [("1",), ("2",), ("2",)]
    assert kinds_of(points, [("response",)]) == [(), (), ()]
    assert first_of([(), (), ()]) == {(): 0}


def test_few_points_all_stand_for_themselves():
    columns = {"x": list(range(MOST_TRIED))}
    assert representatives(columns) == list(range(MOST_TRIED))
    assert representatives({}) == [0]


def test_of_many_points_those_with_every_value_and_the_corners_are_chosen():
    x, y, z = [0.1 * n for n in range(100)], ["a", "b", "c", "d"], [True, False]
    rows = list(itertools.product(x, y, z, range(20)))
    columns = dict(zip("xyzn", map(list, zip(*rows, strict=True)), strict=True))
    chosen = representatives(columns)
    assert len(chosen) < 200
    found = [rows[number] for number in chosen]
    assert {row[1] for row in found} == set(y)
    assert {row[3] for row in found} == set(range(20))
    assert {(row[0], row[1], row[2], row[3]) for row in found} >= set(
        itertools.product((x[0], x[-1]), ("a", "d"), z, (0, 19))
    )


def test_of_many_parameters_every_pair_meets_at_all_its_ends():
    drawn = np.random.default_rng(1).integers(0, 2, (3000, 12))
    columns = {f"x{n}": drawn[:, n].tolist() for n in range(12)}
    found = drawn[representatives(columns)]
    for one, other in itertools.combinations(range(12), 2):
        assert {tuple(row) for row in found[:, [one, other]].tolist()} == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_values_are_told_apart_by_their_type():
    assert len({same_text(value) for value in (1, 1.0, True, "1", [1])}) == 5
    assert same_text({"a": 1, "b": 2}) == same_text({"b": 2, "a": 1})


# ---------------------------------------------------------------------- budgets


@pytest.mark.parametrize(
    ("text", "runs", "cpu"),
    [("500 runs", 500, None), ("20 CPU h", None, 72_000), ("1.5 CPU min", None, 90), ("2 CPU days", None, 172_800)],
)
def test_budgets(text, runs, cpu):
    assert parse_budget(text) == (runs, cpu)


@pytest.mark.parametrize(
    "text", ["500", "20 h", "0 runs", "1.5 runs", "-3 runs", "1e3 runs", "20 CPU", "99999999999 runs"]
)
def test_budgets_that_are_none(text):
    with pytest.raises(ValueError, match="must be"):
        parse_budget(text)
