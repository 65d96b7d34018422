"""What a task of a job array does when it is told to end."""

import os
import signal

import pytest
import sweep_toys

from citytwin.runners.engine.limits import Limits
from citytwin.runners.executors import slurm, task
from citytwin.runners.sweep import plan_runs


@pytest.mark.parametrize(
    ("number", "requeued"), [(signal.SIGUSR1, 1), (signal.SIGTERM, 0)], ids=["signal", "cancelled"]
)
def test_a_task_that_is_cancelled_does_not_ask_to_be_started_again(tmp_path, monkeypatch, number, requeued):
    out = tmp_path / "results"
    plan_runs(sweep_toys.make_tasks(1, 6), sweep_toys.EXECUTE, {"pause": 0.3}, out)
    asked, sent = [], []

    def tell(done, *_):
        if done and not sent:
            sent.append(number)
            os.kill(os.getpid(), number)

    monkeypatch.setattr(slurm, "seconds_left", lambda: None)
    monkeypatch.setattr(slurm, "requeue", lambda: asked.append(1) or "")
    outcome, refused = task.work_on_part(out, None, workers=1, limits=Limits(), requeue=True, progress=tell)
    assert outcome.stopped == number.name and 0 < outcome.done < 6 and not outcome.failures
    assert (len(asked), refused) == (requeued, "")
