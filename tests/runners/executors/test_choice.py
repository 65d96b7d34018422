"""Waiting for the jobs of a sweep: until Slurm says that they are over, and with a word on what is left."""

import pytest
import sweep_toys

from citytwin.runners.engine.outcome import SweepDrained
from citytwin.runners.engine.part import work_on
from citytwin.runners.executors import choice
from citytwin.runners.executors.submission import Request
from citytwin.runners.executors.submit import submit_runs
from citytwin.runners.sweep import plan_runs


@pytest.fixture
def out(tmp_path):
    """A sweep of 4 runs whose jobs were written, and one of its runs made."""
    out = tmp_path / "my results"
    plan_runs(sweep_toys.make_tasks(1, 4), sweep_toys.EXECUTE, {}, out)
    submit_runs(out, Request("slurm", seconds_per_run=1.0), write_only=True, trust_code=True)
    work_on(out, ["r000-000"], workers=1)
    return out


def wait(out, monkeypatch, *looks):
    """Wait while Slurm says what it is to say; return how far the sweep was at each look."""
    said = list(looks)
    monkeypatch.setattr(choice, "tasks_in_queue", lambda _: said.pop(0))
    monkeypatch.setattr("time.sleep", lambda _: None)
    told = []
    try:
        choice._wait(out, lambda *about: told.append(about[:3]))
    finally:
        assert not said
    return told


def test_a_slurm_that_does_not_answer_for_once_has_not_ended_the_jobs(out, monkeypatch):
    work_on(out, workers=1)
    assert wait(out, monkeypatch, {"PENDING": 2}, None, {"RUNNING": 1}, {}) == [(4, 0, 4)] * 4


def test_runs_that_the_jobs_left_are_said_with_what_to_do(out, monkeypatch):
    with pytest.raises(
        SweepDrained, match=r"are over, but 3 of 4 runs are left; their logs are in .*/jobs/.*"
    ) as stopped:
        wait(out, monkeypatch, {})
    assert str(stopped.value).endswith(f"go on with citytwin submit '{out}' --resume")
    assert (stopped.value.outcome.done, stopped.value.outcome.left) == (1, 3)
