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


def deaths(folder, **further):
    """Return runs that kill the process of a worker, how often, and the folder in which they count."""
    marks = folder / "marks"
    marks.mkdir()
    return {"kills": {"r000-003": 1, **further}, "marks": str(marks)}


def done(out):
    return [entry.run_id for entry in entries(out) if entry.state == "done"]


def test_workers_of_this_machine_that_are_killed(tmp_path):
    """One run kills every worker that it is given to, and is found out alone."""
    out = planned(tmp_path, **deaths(tmp_path, **{"r002-001": 1, "r003-002": 99}))
    with dask_pool(None, 2) as (executor, slots):
        assert slots() == 2
        outcome = work_through(out, executor, slots=slots)
    assert (outcome.done, outcome.lost) == (19, 1)
    assert [failure.run_id for failure in outcome.failures] == ["r003-002"]
    assert len(done(out)) == len(set(done(out))) == 19, "none that was done was made again"
    # Once it kills nobody any more, all is as if nothing had happened.
    for number in range(99):
        (tmp_path / "marks" / f"r003-002-{number}").touch()
    work_on(out, workers=1)
    assert sweep_toys.files(out) == serial(tmp_path)


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
    assert outcome.done == 20
    assert len(list((tmp_path / "marks").glob("r000-003-*"))) == 2, "it killed a worker and was begun again"
    assert len(done(out)) == len(set(done(out))) == 20, "none that was done was made again"
    assert sweep_toys.files(out) == serial(tmp_path)
    slurm.wait()


def test_a_scheduler_that_does_not_answer_is_said(monkeypatch):
    monkeypatch.setattr("citytwin.runners.executors.dask_pool._CONNECT_SECONDS", 0.5)
    with (
        pytest.raises(SweepError, match=r"Dask cannot be reached at tcp://127\.0\.0\.1:9"),
        dask_pool("tcp://127.0.0.1:9", 1),
    ):
        pass


def test_a_scheduler_that_goes_away_ends_the_sweep_with_a_word(monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr("citytwin.runners.executors.dask_pool._CONNECT_SECONDS", 2)
    with (
        LocalCluster(n_workers=1, dashboard_address=None, host="127.0.0.1") as cluster,
        dask_pool(cluster.scheduler_address, 1) as (_, slots),
    ):
        assert slots() >= 1
        cluster.close()
        with pytest.raises(SweepError, match=r"scheduler of Dask at tcp://127.* does not answer any more .*--resume"):
            slots()


def test_without_dask_the_remedy_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SweepError, match=r'pip install "citytwin\[dask\]"'), dask_pool(None, 1):
        pass
