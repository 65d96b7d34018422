"""Sweeps through Dask, on this machine and as jobs of a real Slurm, while workers are killed."""

import os
import sys

import cluster_toys
import pytest
import sweep_toys

from citytwin.runners.engine.ledger import entries
from citytwin.runners.engine.outcome import SweepError
from citytwin.runners.engine.part import work_on
from citytwin.runners.executors.dask_pool import dask_pool
from citytwin.runners.executors.pools import work_through
from citytwin.runners.sweep import plan_runs, run_sweep

SLURM_WORKERS = """\
jobqueue:
  slurm:
    cores: 1
    processes: 1
    memory: 400 MiB
    walltime: '00:10:00'
    interface: null
    scheduler-options: {{host: 127.0.0.1, dashboard_address: null}}
    worker-extra-args: ['--host', '127.0.0.1', '--no-dashboard', '--lifetime', '9m']
    log-directory: {logs}
    python: {python}
    death-timeout: 60
    job-extra-directives: []
"""


@pytest.fixture(autouse=True)
def importable(monkeypatch, import_path):
    """Let workers find citytwin and the toys."""
    paths = (import_path["PYTHONPATH"], *cluster_toys.PATHS)
    for path in paths:
        monkeypatch.syspath_prepend(path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def planned(folder, **context):
    plan_runs(sweep_toys.make_tasks(4, 5), cluster_toys.EXECUTE, context, folder / "results")
    return folder / "results"


def serial(folder):
    run_sweep(sweep_toys.make_tasks(4, 5), cluster_toys.EXECUTE, {}, folder / "serial", workers=1)
    return sweep_toys.files(folder / "serial")


def deaths(folder):
    """Return runs that kill the process of a worker, and the folder in which they count."""
    marks = folder / "marks"
    marks.mkdir()
    return {"kills": {"r000-003": 1, "r002-001": 1, "r003-002": 99}, "marks": str(marks)}


def check(folder, out, outcome):
    """Make sure that all is there but the run that kills every worker, which is found out alone."""
    assert (outcome.done, outcome.lost) == (19, 1)
    assert [failure.run_id for failure in outcome.failures] == ["r003-002"]
    done = [entry.run_id for entry in entries(out) if entry.state == "done"]
    assert len(done) == len(set(done)) == 19, "none that was done was made again"
    # Once it kills nobody any more, all is as if nothing had happened.
    for number in range(99):
        (folder / "marks" / f"r003-002-{number}").touch()
    work_on(out, workers=1)
    assert sweep_toys.files(out) == serial(folder)


def test_workers_of_this_machine_that_are_killed(tmp_path):
    out = planned(tmp_path, **deaths(tmp_path))
    with dask_pool(None, 2) as (executor, slots):
        assert slots() == 2
        outcome = work_through(out, executor, slots=slots)
    check(tmp_path, out, outcome)


def test_workers_that_are_jobs_of_slurm_and_are_killed(tmp_path, slurm):
    import dask

    (tmp_path / "dask").mkdir()
    settings = SLURM_WORKERS.format(logs=tmp_path / "logs", python=sys.executable)
    (tmp_path / "dask" / "jobqueue.yaml").write_text(settings)
    out = planned(tmp_path, **deaths(tmp_path))
    dask.config.refresh(paths=[str(tmp_path / "dask")])
    try:
        with dask_pool("slurm", 2) as (executor, slots):
            outcome = work_through(out, executor, slots=slots)
    finally:
        dask.config.refresh()
    check(tmp_path, out, outcome)
    slurm.wait()


def test_a_scheduler_that_does_not_answer_is_said(monkeypatch):
    monkeypatch.setattr("citytwin.runners.executors.dask_pool._CONNECT_SECONDS", 0.5)
    with (
        pytest.raises(SweepError, match=r"Dask cannot be reached at tcp://127\.0\.0\.1:9"),
        dask_pool("tcp://127.0.0.1:9", 1),
    ):
        pass


def test_without_dask_the_remedy_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SweepError, match=r'pip install "citytwin\[dask\]"'), dask_pool(None, 1):
        pass
