"""How runs are packed into tasks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citytwin.runners.engine.ledger import Entry
from citytwin.runners.executors import parts
from citytwin.runners.executors.job import SubmitError

COSTS = st.lists(st.floats(0.01, 1000), min_size=1, max_size=60)


@given(cost=COSTS, count=st.integers(1, 80))
def test_every_run_is_in_one_part_in_order_and_no_part_is_empty(cost, count):
    runs = [f"r{number}" for number in range(len(cost))]
    packed = parts.pack(runs, cost, count)
    assert [run for part in packed for run in part] == runs
    assert len(packed) == min(count, len(runs)) and all(packed)


@given(cost=COSTS, count=st.integers(1, 20))
def test_no_part_is_dearer_than_its_share_and_one_run(cost, count):
    runs = [str(number) for number in range(len(cost))]
    packed = parts.pack(runs, cost, count)
    share = sum(cost) / len(packed)
    for part in packed:
        assert sum(cost[int(run)] for run in part) <= (share + max(cost)) * (1 + 1e-9)


@given(runs=st.integers(0, 50), count=st.integers(1, 20))
def test_strides_are_a_division_whatever_is_done(runs, count):
    names = [str(number) for number in range(runs)]
    divided = [parts.stride(names, part, count) for part in range(count)]
    assert sorted(int(run) for part in divided for run in part) == list(range(runs))
    assert max(map(len, divided)) - min(map(len, divided)) <= 1


def test_the_cost_of_a_run_is_that_of_others_of_its_point_without_the_first_of_a_worker():
    seconds = {"a0": 9.0, "a1": 1.0, "a2": 3.0, "b0": 8.0, "b1": 4.0, "c0": 7.0}
    lines = [
        Entry(run, "done", host="n", pid=1 if run < "b" else 2, seconds=taken)
        for run, taken in seconds.items()
        if run != "c0"
    ]
    lines += [Entry("c0", "failed", host="n", pid=3, seconds=7.0), Entry("x", "done", host="n", pid=3, seconds=7.0)]
    points = {"a0": 0, "a1": 0, "a2": 0, "b0": 1, "b1": 1, "c0": 2}
    found = parts.measured(lines, points)
    assert found == {0: 2.0, 1: 4.0, None: 3.0}
    assert parts.costs([{"point": 1}, {"point": 2}], found) == [4.0, 3.0]
    assert parts.measured(lines[:1], points) == {0: 9.0, None: 9.0}, "better than nothing"
    assert parts.measured([], points) == {}


def test_the_number_of_tasks_follows_from_their_time_and_has_an_end():
    assert parts.how_many(cost=36_000, runs=1000, seconds=1800, workers=1) == 20
    assert parts.how_many(cost=36_000, runs=1000, seconds=1800, workers=4) == 5
    assert parts.how_many(cost=36_000, runs=10, seconds=1, workers=1) == 10
    assert parts.how_many(cost=36_000, runs=10, seconds=1, workers=4) == 3
    assert parts.how_many(cost=1e9, runs=10**6, seconds=1800, workers=1) == parts.MOST_TASKS
    assert parts.how_many(cost=0.0, runs=1, seconds=1800, workers=2) == 1


def test_parts_are_read_as_they_were_written(tmp_path):
    parts.write_parts(tmp_path, [["a", "b"], ["c"]])
    assert [parts.read_part(tmp_path, number) for number in (0, 1)] == [["a", "b"], ["c"]]
    with pytest.raises(SubmitError, match="no part 2; there are 2, from 0 to 1"):
        parts.read_part(tmp_path, 2)


@pytest.mark.parametrize("content", ["{}\n", "[1]\n", "[\n", "\xff"])
def test_a_damaged_list_of_parts_is_said(tmp_path, content):
    (tmp_path / parts.PARTS).write_text(content, encoding="latin-1")
    with pytest.raises(SubmitError, match=r"parts\.jsonl: cannot be read .*--resume"):
        parts.read_part(tmp_path, 0)
