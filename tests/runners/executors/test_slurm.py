"""Sweeps as job arrays of a real Slurm: the same bytes as a local sweep, whatever happens to the jobs."""

import os
import signal
from pathlib import Path

import cluster_toys
import pytest
import sweep_toys
from slurm_cluster import LARGEST_ARRAY

from citytwin.runners.engine.ledger import entries
from citytwin.runners.engine.sessions import sessions, states
from citytwin.runners.executors.job import SubmitError
from citytwin.runners.executors.slurm import queued_tasks
from citytwin.runners.executors.submission import Request, submissions
from citytwin.runners.executors.submit import submit_runs
from citytwin.runners.storage.store import runs_in_results
from citytwin.runners.sweep import plan_runs, run_sweep

ASKED = Request("slurm", seconds_per_run=0.1, seconds=600, memory_per_run=200 * 2**20)
LONG = "cluster_toys:execute_long"


@pytest.fixture(autouse=True)
def importable(monkeypatch, import_path):
    """Let jobs find citytwin and the toys."""
    for path in cluster_toys.PATHS:
        monkeypatch.syspath_prepend(path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((import_path["PYTHONPATH"], *cluster_toys.PATHS)))


def planned(out, points, replicates, execute=sweep_toys.EXECUTE, **context):
    plan_runs(sweep_toys.make_tasks(points, replicates), execute, context, out)
    return out


def serial(out, points, replicates, execute=sweep_toys.EXECUTE, **context):
    """Return the files of the same sweep, made by a local supervisor with one worker."""
    run_sweep(sweep_toys.make_tasks(points, replicates), execute, context, out, workers=1)
    return sweep_toys.files(out)


def logs(submission):
    """Return what the jobs said, for a test that fails."""
    return {file.name: file.read_text() for file in submission.folder.glob("*.log")}


def asked(**changes):
    return Request(**vars(ASKED) | changes)


@pytest.fixture(scope="module")
def minute(slurm_session, import_path, tmp_path_factory):
    """A sweep of one run that takes longer than the minute that its task has, which goes on while other tests are made.

    Slurm looks at wall times twice a minute, and may send its signal as much earlier; so it sends none that ends a task,
    and what ends it is that the task knows what time it has.
    """
    folder = tmp_path_factory.mktemp("minute")
    context = {"marks": str(folder), "days": 240, "pause": 0.5}
    out = planned(folder / "minute", 1, 1, LONG, **context)
    slurm_session.aside.add("minute")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in slurm_session.environment.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", os.pathsep.join((import_path["PYTHONPATH"], *cluster_toys.PATHS)))
        submission = submit_runs(out, asked(tasks=1, seconds=60, extra=("#SBATCH --signal=URG@1",)), trust_code=True)
    yield submission, context
    slurm_session.aside.discard("minute")


@pytest.mark.usefixtures("minute")
def test_an_array_of_200_runs_is_what_a_local_sweep_is(tmp_path, slurm):
    out = planned(tmp_path / "50% of 'my' results", 20, 10)
    submission = submit_runs(out, asked(task_seconds=1.0, workers=2), trust_code=True)
    assert list(submission.jobs) == ["array", "finish"], "these runs need no kernels"
    assert (submission.runs, submission.tasks) == (200, LARGEST_ARRAY), "ten would take a second each"
    assert sum(queued_tasks(list(submission.jobs.values())).values()) in range(1, LARGEST_ARRAY + 2)
    slurm.wait()
    assert len(runs_in_results(out)) == 200, logs(submission)
    assert sweep_toys.files(out) == serial(tmp_path / "serial", 20, 10)
    assert len(sessions(out)) >= LARGEST_ARRAY
    assert {file.name for file in submission.folder.glob("?.log")} == {"0.log", "1.log", "2.log", "3.log"}
    with pytest.raises(SubmitError, match="nothing is left to submit, all 200 runs"):
        submit_runs(out, ASKED, trust_code=True)
    with pytest.raises(SubmitError, match="--tasks 5: this Slurm takes arrays of at most 4 tasks"):
        submit_runs(out, asked(tasks=5), trust_code=True)


@pytest.mark.usefixtures("minute")
def test_tasks_that_are_killed_and_cancelled_are_made_up_for(tmp_path, slurm):
    out = planned(tmp_path / "results", 4, 10, pause=0.3)
    first = submit_runs(out, asked(tasks=3), trust_code=True)
    with pytest.raises(SubmitError, match=rf"jobs of .* are still there .*scancel {first.jobs['array']}"):
        submit_runs(out, ASKED, trust_code=True)
    sweep_toys.wait_for(lambda: len(sessions(out)) == 3 and len(runs_in_results(out)) >= 4)
    os.kill(sessions(out)[0].about["pid"], signal.SIGKILL)
    slurm.call("scancel", f"{first.jobs['array']}_1")
    slurm.wait()
    assert len(sessions(out)) == 3, "what is cancelled is not started again"
    left = 40 - len(runs_in_results(out))
    assert left > 0
    state = [entry.state for entry in states(out).values()]
    # The worker of the session that was killed may have committed its run before it noticed.
    assert state.count("done") == 40 - left and state.count("lost") <= 1
    assert state.count("done") + state.count("lost") + state.count("queued") == 40
    second = submit_runs(out, asked(tasks=2), trust_code=True)
    assert second.runs == left
    slurm.wait()
    assert sweep_toys.files(out) == serial(tmp_path / "serial", 4, 10), logs(second)
    done = [entry.run_id for entry in entries(out) if entry.state == "done"]
    assert len(done) == len(set(done)) >= 39, "none was made twice"
    assert [each.folder for each in submissions(out)] == [first.folder, second.folder]


@pytest.mark.usefixtures("minute")
def test_a_signal_pauses_runs_that_go_on_when_slurm_starts_the_job_again(tmp_path, slurm):
    marks = tmp_path / "marks"
    marks.mkdir()
    context = {"marks": str(marks), "days": 600, "pause": 0.1}
    out = planned(tmp_path / "results", 2, 1, LONG, **context)
    submission = submit_runs(out, asked(tasks=2), trust_code=True)
    sweep_toys.wait_for(lambda: [entry.state for entry in entries(out)].count("running") == 2)
    slurm.call("scancel", "--batch", "--signal=USR1", submission.jobs["array"])
    sweep_toys.wait_for(lambda: [entry.state for entry in entries(out)].count("queued") == 2)
    assert not list(marks.iterdir())
    slurm.wait()
    assert len(list(marks.glob("*-from-*"))) == 2, "both went on"
    assert len(sessions(out)) == 4, logs(submission)
    said = logs(submission)[f"results-{submission.jobs['finish']}.log"]
    assert "2 runs, 100% done" in said, "the last job waits for tasks that are put back into the queue"
    files = sweep_toys.files(out)
    assert files == serial(tmp_path / "serial", 2, 1, LONG, **context | {"pause": 0.0})
    assert not (out / "checkpoints").exists()


def test_a_task_ends_before_its_wall_time_and_goes_on_in_another(tmp_path, slurm_session, minute):
    submission, context = minute
    out = submission.folder.parents[1]
    script = (submission.folder / "array.sh").read_text()
    assert "#SBATCH --time=00:01:00\n" in script and "#SBATCH --signal=B:USR1@6\n" in script
    slurm_session.aside.discard("minute")
    slurm_session.wait()
    assert [entry.state for entry in states(out).values()] == ["done"], logs(submission)
    assert "Stopped by wall time, 1 run left." in logs(submission)["0.log"]
    assert "TIME LIMIT" not in logs(submission)["0.log"]
    [mark] = Path(context["marks"]).glob("*-from-*")
    assert 0 < int(mark.name.rpartition("-")[2]) < 240
    assert len(sessions(out)) == 2
    assert sweep_toys.files(out) == serial(tmp_path / "serial", 1, 1, LONG, **context | {"pause": 0.0})
