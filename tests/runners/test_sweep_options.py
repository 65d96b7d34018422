"""Options of ``citytwin sweep`` that limit it or go on with it, as users meet them."""

from pathlib import Path

import pytest
from small_scenarios import TINY

from citytwin.runners.engine.ledger import entries
from citytwin.runners.engine.sessions import sessions


@pytest.fixture
def asked(call):
    """Call ``citytwin sweep`` on a small scenario."""

    def called(*options):
        Path("s.toml").write_text(TINY + "[sweep]\nreplicates = 2\n")
        return call("sweep", "s.toml", "--out", "out", "--workers", "2", *options)

    return called


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--time-limit", "soon", "time limit: must be a number and a unit"),
        ("--memory-limit", "4 elephants", "memory limit: '4 elephants' is no amount of memory"),
        ("--walltime", "0 h", "walltime: 0.0; a limit must be greater than 0"),
    ],
)
def test_limits_that_cannot_be_read(asked, option, value, words):
    answer = asked(option, value)
    assert answer.code == 2
    assert words in " ".join(answer.err.replace("│", " ").split())
    assert not Path("out").exists()


def test_a_sweep_without_time_is_planned_and_gone_on_with(asked):
    answer = asked("--walltime", "0.001 s")
    assert (answer.code, answer.out) == (75, "")
    assert answer.err == "Stopped by wall time: 0 of 2 runs are in out; go on with --resume (resume=True).\n"
    assert [session.end["how"] for session in sessions("out")] == ["wall time"]
    answer = asked("--resume", "--time-limit", "0.001 s")
    assert answer.code == 1
    assert "2 of 2 runs failed" in answer.err
    assert "timed_out: time limit: ran longer than 0.001 s" in answer.err
    answer = asked("--only-failed")
    assert answer.code == 0
    made = [entry.run_id for entry in entries("out") if entry.state == "done"]
    assert len(made) == len(set(made)) == 2


def test_there_must_be_failures_to_make_again(asked):
    answer = asked("--only-failed")
    assert answer.code == 2
    assert "out: does not exist, so there is nothing to resume" in answer.err
