"""Sweeps through any executor: the same bytes as a local sweep, whatever happens to its processes."""

import json
import os
import subprocess
import sys
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cluster_toys
import pytest
import sweep_toys

from citytwin.runners.engine.ledger import entries
from citytwin.runners.engine.limits import Limits
from citytwin.runners.engine.outcome import SweepError
from citytwin.runners.engine.sessions import states
from citytwin.runners.executors.pools import ATTEMPTS, work_through
from citytwin.runners.sweep import plan_runs, run_sweep, sweep


@pytest.fixture(autouse=True)
def importable(monkeypatch, import_path):
    """Let processes of executors find citytwin and the toys."""
    monkeypatch.syspath_prepend(import_path["PYTHONPATH"])
    for path in cluster_toys.PATHS:
        monkeypatch.syspath_prepend(path)
    paths = os.pathsep.join((import_path["PYTHONPATH"], *cluster_toys.PATHS))
    monkeypatch.setenv("PYTHONPATH", paths)


def process_pool():
    return ProcessPoolExecutor(2, mp_context=get_context("spawn"))


def planned(folder, context=None, points=3, replicates=4):
    """Plan a sweep of toys and return its directory."""
    plan_runs(sweep_toys.make_tasks(points, replicates), cluster_toys.EXECUTE, context or {}, folder / "results")
    return folder / "results"


def serial(folder, points=3, replicates=4):
    """Return the files of the same sweep, made by one worker of a local supervisor."""
    out = folder / "serial"
    run_sweep(sweep_toys.make_tasks(points, replicates), cluster_toys.EXECUTE, {}, out, workers=1)
    return sweep_toys.files(out)


def starts(marks, run):
    """Return how often a run was begun and killed its supervisor."""
    return len(list(marks.glob(f"{run}-*")))


class Here(Executor):
    """An executor that works at once in this process."""

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Failing(Executor):
    """An executor in which everything ends with the same error."""

    def __init__(self, error):
        self.error = error

    def submit(self, *_, **__):
        future = Future()
        future.set_exception(self.error)
        return future


def test_a_process_pool_makes_what_a_local_sweep_makes(tmp_path):
    out = planned(tmp_path)
    told = []
    with process_pool() as pool:
        outcome = work_through(out, pool, slots=2, progress=lambda *what: told.append(what))
    assert (outcome.total, outcome.done, outcome.failures, outcome.stopped) == (12, 12, [], "")
    assert sweep_toys.files(out) == serial(tmp_path)
    assert told[0][:3] == (0, 0, 12) and told[-1][:3] == (12, 0, 12)
    assert work_through(out, Here()).done == 12, "nothing is left to do"


def test_supervisors_that_are_killed_cost_the_run_in_hand_alone(tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    out = planned(tmp_path, {"kills": {"r000-002": 1, "r001-003": 1}, "marks": str(marks)})
    outcome = work_through(out, process_pool, slots=2)
    assert outcome.done == 12
    assert sweep_toys.files(out) == serial(tmp_path)
    done = [entry.run_id for entry in entries(out) if entry.state == "done"]
    assert sorted(done) == sorted(set(done)), "no run that was done was made again"


def test_a_run_that_kills_every_supervisor_is_given_up_and_nobody_else_is_blamed(tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    out = planned(tmp_path, {"kills": {"r001-001": 99}, "marks": str(marks)})
    outcome = work_through(out, process_pool, slots=2)
    assert (outcome.done, outcome.lost) == (11, 1)
    assert [failure.run_id for failure in outcome.failures] == ["r001-001"]
    assert starts(marks, "r001-001") == ATTEMPTS
    assert {entry.attempt for entry in states(out).values() if entry.state == "done"} == {1}


def test_a_run_that_raises_is_recorded_and_not_tried_again(tmp_path):
    out = planned(tmp_path, {"raises": ["r000-001", "r002-003"]})
    outcome = work_through(out, process_pool, slots=2)
    assert (outcome.done, outcome.failed) == (10, 2)
    assert [entry.attempt for entry in states(out).values() if entry.state == "failed"] == [1, 1]


def test_an_executor_that_breaks_and_cannot_be_made_again_ends_the_sweep_with_what_stands(tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    out = planned(tmp_path, {"kills": {"r000-001": 1}, "marks": str(marks)})
    with (
        process_pool() as pool,
        pytest.raises(SweepError, match=r"executor broke .* of 12 runs are .*--resume.*function"),
    ):
        work_through(out, pool, slots=2)
    assert work_through(out, process_pool, slots=2).done == 12
    assert sweep_toys.files(out) == serial(tmp_path)


class Breaking(Here):
    """An executor that breaks when it has two parts, of which the second is told when it is shut down."""

    made = 0

    def __init__(self):
        type(self).made += 1
        self.parts = [] if self.made == 1 else None

    def submit(self, function, /, *args, **kwargs):
        if self.parts is None:
            return super().submit(function, *args, **kwargs)
        self.parts.append(Future())
        if len(self.parts) == 2:
            self.parts[0].set_exception(BrokenExecutor("a process died"))
        return self.parts[-1]

    def shutdown(self, wait=True, *, cancel_futures=False):  # noqa: ARG002 - as executors have it
        for part in self.parts or ():
            if not part.done():
                part.set_exception(BrokenExecutor("a process died"))


def test_an_executor_that_broke_is_made_again_once_whenever_its_parts_say_so(tmp_path):
    out = planned(tmp_path)
    assert work_through(out, Breaking).done == 12
    assert Breaking.made == 2
    assert sweep_toys.files(out) == serial(tmp_path)


def test_an_executor_that_never_begins_a_run_is_given_up(tmp_path):
    out = planned(tmp_path)
    with pytest.raises(SweepError, match=r"cannot make a run .*No module named 'citytwin'.*0 of 12 runs"):
        work_through(out, Failing(ModuleNotFoundError("No module named 'citytwin'")))


def test_results_that_cannot_be_written_end_the_sweep(tmp_path):
    out = planned(tmp_path)
    with pytest.raises(SweepError, match="No space left"):
        work_through(out, Failing(SweepError("results: cannot be written (No space left on device)")))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"workers": lambda: 2}, "workers: a number is needed; only an executor may change its size"),
        ({"workers": 0}, "workers: 0; must be a whole number from 1"),
        ({"workers": 2.5}, r"workers: 2\.5; must be a whole number from 1"),
        ({"workers": -1, "executor": Here()}, "workers: -1; must be a whole number from 1"),
        ({"executor": "dask"}, "executor: 'dask'; must be an executor of concurrent.futures"),
        ({"executor": Here(), "limits": Limits(walltime=60)}, "walltime: not for a sweep through an executor"),
    ],
    ids=["function of one's own workers", "none", "part", "negative", "name", "walltime"],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path, given, said):
    with pytest.raises(SweepError, match=said):
        sweep("quickstart", out=tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_a_wall_time_is_refused_as_it_belongs_to_the_jobs_of_the_executor(tmp_path):
    with pytest.raises(SweepError, match="walltime: not for a sweep through an executor"):
        work_through(planned(tmp_path), Here(), limits=Limits(walltime=60))


def test_parts_grow_with_what_fills_their_time(tmp_path):
    sizes = []

    class Counting(Here):
        def submit(self, function, /, directory, runs, limits):
            sizes.append(len(runs))
            return super().submit(function, directory, runs, limits)

    out = planned(tmp_path, points=10, replicates=10)
    assert work_through(out, Counting(), part_seconds=3600).done == 100
    assert sum(sizes) == 100 and sizes[0] == 1, "the first one measures"
    assert max(sizes) > 20 and sizes.index(max(sizes)) < 4, "then long ones, shorter towards the end"


def test_loky_as_of_joblib(tmp_path):
    loky = pytest.importorskip("joblib.externals.loky")
    marks = tmp_path / "marks"
    marks.mkdir()
    out = planned(tmp_path, {"kills": {"r001-000": 1}, "marks": str(marks)})
    assert work_through(out, lambda: loky.get_reusable_executor(max_workers=2), slots=2).done == 12
    assert sweep_toys.files(out) == serial(tmp_path)


def test_mpi(tmp_path):
    """Three processes of ``mpi4py.futures``: one hands out, two work."""
    out = planned(tmp_path)
    program = Path(sys.executable).with_name("mpirun")
    code = (
        "import sys, json\n"
        "from mpi4py import MPI\n"
        "from mpi4py.futures import MPICommExecutor\n"
        "from citytwin.runners.executors.pools import work_through\n"
        "if __name__ == '__main__':\n"
        "    with MPICommExecutor(MPI.COMM_WORLD, root=0) as executor:\n"
        "        if executor is not None:\n"
        "            print(json.dumps(work_through(sys.argv[1], executor, slots=2).done))\n"
    )
    script = tmp_path / "through_mpi.py"
    script.write_text(code)
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    done = subprocess.run(
        [program, "--oversubscribe", "--bind-to", "none", "-n", "3", sys.executable, script, out],
        env=os.environ | allowed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == 12
    assert sweep_toys.files(out) == serial(tmp_path)
