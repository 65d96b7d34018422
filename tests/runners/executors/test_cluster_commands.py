"""The commands submit, work, status and rerun, and sweeps through Dask and Slurm, on a small city."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cluster_toys
import pytest
import sweep_toys
from small_scenarios import SWEPT

from citytwin.runners.engine.ledger import Ledger
from citytwin.runners.engine.part import work_on
from citytwin.runners.engine.sessions import identity
from citytwin.runners.executors import submission
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.storage.store import runs_in_results
from citytwin.runners.sweep import plan_runs, sweep

SMALL = SWEPT.replace("replicates = 3", "replicates = 1")
HPC = Path(__file__).resolve().parents[3] / "runners" / "hpc"


@pytest.fixture
def scenario(tmp_path):
    """A sweep of 4 points and 3 seeds, as that of :func:`swept`."""
    file = tmp_path / "town.toml"
    file.write_text(SWEPT)
    return file


@pytest.fixture
def small(tmp_path):
    """A sweep of 4 runs."""
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    return file


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The files of that sweep of 4 runs, made by one worker."""
    out = tmp_path_factory.mktemp("small") / "results"
    sweep(Scenario.from_text(SMALL), out=out, workers=1)
    return sweep_toys.files(out)


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """A sweep of toys of which two runs failed, one was lost and one is queued."""
    out = tmp_path_factory.mktemp("toys") / "results"
    tasks = sweep_toys.make_tasks(2, 4)
    plan_runs(tasks, sweep_toys.EXECUTE, {}, out)
    work_on(out, [task["run_id"] for task in tasks[:4]], workers=1)
    with Ledger(out, identity() | {"process": -1}) as ledger:  # of a process that is gone
        ledger.write("r001-000", "failed", attempt=1, error="ValueError", message="no luck")
        ledger.write("r001-001", "timed_out", attempt=1, error="time limit", message="took more than 5 s")
        ledger.write("r001-002", "running", attempt=1)
    return out


# ---------------------------------------------------------------------- on Slurm


def test_submit_status_and_the_same_files_as_a_local_sweep(call, cluster, small, expected, tmp_path):
    out = tmp_path / "results"
    asked = ("--time-per-run", "0.3 s", "--tasks", "2", "--mem-per-run", "600 MB", "--time", "10 min")
    answer = call("submit", small, "--out", out, "--slurm", "--partition", "main", *asked)
    assert answer.code == 0, answer.err
    assert "4 runs of about 0.3 s in 2 tasks; wall time of a task: 10 min." in answer.out
    [jobs] = submission.submissions(out)
    assert list(jobs.jobs) == ["warm", "array", "finish"]
    assert f"Jobs: warm {jobs.jobs['warm']}, array {jobs.jobs['array']}, finish {jobs.jobs['finish']}" in answer.out
    assert "tasks in the queue: " in call("status", out).out
    assert "are still there" in call("submit", out, "--resume").err
    cluster.wait()
    answer = call("status", out, "--json")
    facts = json.loads(answer.out)
    assert facts["states"]["done"] == facts["runs"] == 4, [log.read_text() for log in jobs.folder.glob("*.log")]
    assert facts["jobs"] == {}
    assert sweep_toys.files(out) == expected
    last = jobs.folder / f"results-{jobs.jobs['finish']}.log"
    assert "4 runs, 100% done" in last.read_text()


@pytest.mark.usefixtures("cluster")
def test_sweep_through_slurm_waits_and_reports(call, small, expected, tmp_path, monkeypatch):
    monkeypatch.setattr("citytwin.runners.executors.choice._LOOK_SECONDS", 0.5)
    out = tmp_path / "results"
    answer = call("sweep", small, "--out", out, "--executor", "slurm", "--workers", "2")
    assert answer.code == 0, answer.err
    assert "4 points" in answer.out
    assert sweep_toys.files(out) == expected
    [jobs] = submission.submissions(out)
    assert (jobs.runs, jobs.tasks) == (1, 1), "three were made to see how long they take"
    answer = call("sweep", small, "--out", out, "--executor", "slurm", "--resume")
    assert answer.code == 0 and "Nothing was left to do" in answer.err


def test_the_script_for_slurm_by_hand(call, cluster, small, expected, tmp_path, monkeypatch):
    program(tmp_path, monkeypatch)
    out = tmp_path / "results"
    assert "Planned: 4 runs" in call("sweep", small, "--out", out, "--plan-only").out
    asked = ("--cpus-per-task=1", "--mem=1G", f"--chdir={tmp_path}")
    cluster.call("sbatch", "--array=0-1", *asked, str(HPC / "slurm.sh"), str(out))
    cluster.wait()
    assert sweep_toys.files(out) == expected, [log.read_text() for log in tmp_path.glob("*.log")]


# ---------------------------------------------------------------------- without a batch system


def program(folder, monkeypatch, *further):
    """Let scripts find a program called citytwin, to which further words are said."""
    (folder / "bin").mkdir()
    file = folder / "bin" / "citytwin"
    file.write_text(f'#!/bin/bash\nexec {sys.executable} -m citytwin "$@" {" ".join(further)}\n')
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")


@pytest.mark.parametrize("name", ["pbs", "lsf"])
def test_the_scripts_for_pbs_and_lsf_by_hand(tmp_path, import_path, monkeypatch, name):
    out = tmp_path / "results"
    plan_runs(sweep_toys.make_tasks(1, 6), sweep_toys.EXECUTE, {}, out)
    program(tmp_path, monkeypatch, "--trust-code")
    paths = os.pathsep.join((import_path["PYTHONPATH"], *cluster_toys.PATHS))
    for index in range(2):
        given = {
            "pbs": {"PBS_ARRAY_INDEX": str(index), "parts": "2", "PBS_O_WORKDIR": str(tmp_path)},
            "lsf": {"LSB_JOBINDEX": str(index + 1), "LSB_JOBINDEX_END": "2"},
        }[name]
        environment = os.environ | {"PYTHONPATH": paths, "results": "results"} | given
        done = subprocess.run(
            ["bash", HPC / f"{name}.sh"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "3 of 3 runs are in the results, 0 failed." in done.stdout
        assert len(runs_in_results(out)) == 3 * (index + 1)


def test_parts_by_hand_make_the_whole(call, scenario, swept, tmp_path):
    out = tmp_path / "results"
    assert call("sweep", scenario, "--out", out, "--plan-only").code == 0
    assert "4 of 4 runs" in call("work", out, "--part", "2", "--of", "3", "--workers", "1").out
    assert call("sweep", scenario, "--out", out, "--plan-only", "--resume").code == 0
    answer = call("work", out)
    assert answer.code == 0 and "12 of 12 runs are in the results, 0 failed." in answer.out
    assert sweep_toys.files(out) == sweep_toys.files(swept)
    assert "12 runs, 100% done" in call("work", out, "--finish").out


def test_work_names_what_failed_and_what_is_left(call, tmp_path):
    out = tmp_path / "results"
    tasks = sweep_toys.make_tasks(1, 3)
    plan_runs(tasks, sweep_toys.EXECUTE, {"raises": ["r000-001"], "pause": 1.0}, out)
    answer = call("work", out, "--part", "1", "--of", "3", "--trust-code")
    assert answer.code == 1
    assert "r000-001 (seed 101, epidemic.r0 = 1.5): failed: ValueError: no luck in r000-001" in answer.err
    answer = call("work", out, "--walltime", "0.001 s", "--requeue", "--trust-code")
    assert answer.code == 75
    assert "Stopped by wall time, " in answer.err and "it came no further" in answer.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["work", "x", "--part", "0"], "--part needs one of --of and --submission"),
        (["work", "x", "--of", "3"], "--part needs one of --of and --submission"),
        (["work", "x", "--part", "0", "--of", "3", "--submission", "y"], "--part needs one of"),
        (["work", "x", "--walltime", "soon"], 'wall time: must be a number and a unit, as in "1 day"'),
        (["work", "x"], "x: not a results directory"),
        (["status", "x"], "x: not a results directory"),
        (["rerun", "x", "y"], "x: not a results directory"),
        (["submit", "quickstart"], "one of --slurm, --pbs and --lsf is needed"),
        (["submit", "quickstart", "--slurm", "--pbs"], "one of --slurm, --pbs and --lsf is needed, not several"),
        (["submit", "quickstart", "--slurm", "--time", "2 hours"], "must be a number and a unit"),
        (["submit", "quickstart", "--slurm", "--mem-per-run", "much"], "is no amount of memory"),
        (["submit", "quickstart", "--slurm", "--account", "a b"], "account 'a b': must be 1 to 100"),
        (
            ["submit", "quickstart", "--slurm", "--extra", "ls"],
            "directive 'ls': must be one line that begins with '#SBATCH ",
        ),
        (["submit", "x", "--resume", "--out", "y"], "--out and --set belong to a new sweep"),
        (["submit", "x", "--resume", "--slurm"], "x: not a results directory"),
        (
            ["sweep", "quickstart", "--executor", "cloud"],
            "executor 'cloud': there is none; allowed: local, dask, slurm",
        ),
        (["sweep", "quickstart", "--scheduler", "tcp://a:1"], "and of dask"),
        (["sweep", "quickstart", "--executor", "dask", "--scheduler", "a"], "must be an address as in tcp://host:8786"),
    ],
)
def test_requests_that_are_wrong(call, tmp_path, words, said):
    answer = call(*words)
    assert answer.code == 2
    assert said in " ".join(answer.err.split())
    assert list(tmp_path.iterdir()) == []


def test_status_counts_by_state_and_names_what_failed_with_the_reason(call, toys):
    text = call("status", toys).out
    assert "8 runs, 50% done" in text
    assert "1 queued, 4 done, 1 failed, 1 timed out, 1 lost" in text
    assert "r001-000: failed: ValueError: no luck" in text
    assert "r001-001: timed_out: time limit: took more than 5 s" in text
    facts = json.loads(call("status", toys, "--json").out)
    assert facts["states"]["lost"] == 1 and facts["failures"]["r001-002"]["state"] == "lost"
    assert facts["jobs"] == {} and facts["alive"] == []


def test_watching_ends_when_nothing_goes_on(call, toys, monkeypatch):
    left = [{"RUNNING": 2}, {"RUNNING": 1}, {}]
    waited = []
    monkeypatch.setattr("citytwin.runners.executors.submission.tasks_in_queue", lambda _: left.pop(0))
    monkeypatch.setattr("time.sleep", waited.append)
    text = call("status", toys, "--watch").out
    assert text.count("8 runs, 50% done") == 3 and len(waited) == 2
    assert "tasks in the queue: 2 running\n" in text


def test_rerun_says_whether_it_is_the_same(call, toys, tmp_path, monkeypatch):
    for path in cluster_toys.PATHS:
        monkeypatch.syspath_prepend(path)
    answer = call("rerun", toys, "r000-001", "--out", tmp_path / "again", "--trust-code")
    assert answer.code == 0
    assert "r000-001 came to the same: every table is equal bit for bit (infections, series, summary)." in answer.out
    assert runs_in_results(tmp_path / "again") == {"r000-001"}
    answer = call("rerun", toys, "r001-003", "--json", "--trust-code")
    facts = json.loads(answer.out)
    assert not facts["stored"] and not facts["same"] and facts["failure"] == ""
    assert "has no run 'r9'" in call("rerun", toys, "r9", "--trust-code").err


def test_a_run_of_a_city_is_the_same_when_made_again(call, swept):
    answer = call("rerun", swept, "p0002-r0001")
    assert answer.code == 0, answer.err
    assert "every table is equal bit for bit" in answer.out


# ---------------------------------------------------------------------- executors


def test_sweep_through_dask(call, small, expected, tmp_path, import_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", import_path["PYTHONPATH"])
    monkeypatch.syspath_prepend(import_path["PYTHONPATH"])
    out = tmp_path / "results"
    answer = call("sweep", small, "--out", out, "--executor", "dask", "--workers", "2")
    assert answer.code == 0, answer.err
    assert sweep_toys.files(out) == expected


def test_the_script_for_mpi(small, expected, tmp_path, import_path):
    out = tmp_path / "results"
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    mpirun = [Path(sys.executable).with_name("mpirun"), "--oversubscribe", "--bind-to", "none", "-n", "3"]
    done = subprocess.run(
        [*mpirun, sys.executable, HPC / "mpi.py", small, out],
        env=import_path | allowed,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sweep_toys.files(out) == expected


@pytest.mark.usefixtures("cluster")
def test_the_script_for_dask_on_slurm(small, expected, tmp_path):
    settings = tmp_path / "dask"
    settings.mkdir()
    (settings / "jobqueue.yaml").write_text(
        "jobqueue:\n  slurm:\n    scheduler-options: {host: 127.0.0.1, dashboard_address: null}\n"
        f"    log-directory: {tmp_path / 'logs'}\n    python: {sys.executable}\n"
    )
    out = tmp_path / "results"
    done = subprocess.run(
        [sys.executable, HPC / "dask_cluster.py", small, out],
        env=os.environ | {"DASK_CONFIG": str(settings)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sweep_toys.files(out) == expected
