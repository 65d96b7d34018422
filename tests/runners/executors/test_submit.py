"""What is submitted: what is missing, packed by what runs took, with the settings of last time."""

import json

import pytest
import sweep_toys

from citytwin.runners.engine.ledger import entries
from citytwin.runners.engine.outcome import SweepError
from citytwin.runners.engine.part import work_on
from citytwin.runners.executors.job import SubmitError
from citytwin.runners.executors.parts import PARTS
from citytwin.runners.executors.submission import JOBS, Request, go_on_command, submissions, tasks_in_queue
from citytwin.runners.executors.submit import START_SECONDS, SUPERVISOR_MEMORY, commands, submit_runs
from citytwin.runners.executors.task import runs_of
from citytwin.runners.storage.store import runs_in_results
from citytwin.runners.sweep import plan_runs

MEBIBYTE = 2**20


@pytest.fixture(autouse=True)
def no_batch_system(monkeypatch):
    """Let nothing be submitted, and the environment be known."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)


@pytest.fixture
def out(tmp_path):
    """A sweep of 12 runs that is planned."""
    plan_runs(sweep_toys.make_tasks(3, 4), sweep_toys.EXECUTE, {"pause": 0.05}, tmp_path / "my results")
    return tmp_path / "my results"


def parts_of(submission):
    return [json.loads(line) for line in (submission.folder / PARTS).read_text().splitlines()]


def test_what_a_run_takes_is_measured_by_runs_that_count(out):
    submission = submit_runs(out, Request("slurm", tasks=2), write_only=True, trust_code=True)
    done = runs_in_results(out)
    assert done == {"r000-000", "r001-001", "r002-002"}, "first, middle and late"
    assert (submission.runs, submission.tasks) == (9, 2)
    assert 0.05 <= submission.seconds_per_run < 5
    assert submission.wall_seconds > START_SECONDS
    parts = parts_of(submission)
    assert len(parts) == 2 and {run for part in parts for run in part}.isdisjoint(done)
    greatest = max(entry.rss for entry in entries(out))
    asked = int((submission.folder / "array.sh").read_text().partition("--mem=")[2].partition("M")[0])
    assert asked * MEBIBYTE > greatest + SUPERVISOR_MEMORY
    second = submit_runs(out, Request("slurm", tasks=3), write_only=True, trust_code=True)
    assert second.runs == 9 and second.tasks == 3, "what is known is not measured again"


def test_what_is_said_is_not_measured_and_stands_in_the_script(out, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/some/where")
    asked = Request("pbs", 4, None, 60.0, 7200.0, 30.0, 100 * MEBIBYTE, 90.0, "long", "city", ("#PBS -m n",))
    submission = submit_runs(out, asked, write_only=True, trust_code=True)
    assert not runs_in_results(out)
    assert (submission.tasks, submission.wall_seconds) == (2, 7200), "360 s of runs, four at a time, a minute each"
    text = (submission.folder / "array.sh").read_text()
    for line in ("#PBS -J 0-1", "#PBS -q long", "#PBS -A city", "#PBS -m n", "#PBS -l walltime=02:00:00"):
        assert f"{line}\n" in text
    assert "select=1:ncpus=4:mem=900mb" in text
    assert "export PYTHONPATH=/some/where\n" in text
    assert f"export NUMBA_CACHE_DIR='{submission.folder}/kernels'\n" in text
    assert "--workers 4 --walltime '7200 s' --time-limit '90 s' --memory-limit '104857600 B'" in text
    assert "--requeue" not in text, "PBS has no such thing"
    assert submissions(out) == [submission]
    assert tasks_in_queue(out) == {}


def test_kernels_are_compiled_first_where_runs_have_some(out):
    file = out / "sweep.json"
    content = json.loads(file.read_text())
    content["context"]["warm"] = "sweep_toys:warm"
    file.write_text(json.dumps(content))
    submission = submit_runs(out, Request("slurm", seconds_per_run=1), write_only=True, trust_code=True)
    assert commands(submission) == [
        f"cd '{submission.folder}'",
        "sbatch --parsable warm.sh",
        "sbatch --parsable --dependency=afterany:JOB_OF_WARM array.sh",
        "sbatch --parsable --dependency=afterany:JOB_OF_ARRAY finish.sh",
    ]
    assert (submission.folder / "warm.sh").read_text().endswith("work '" + str(out) + "' --trust-code --warm\n")
    lsf = submit_runs(out, Request("lsf", seconds_per_run=1), write_only=True, trust_code=True)
    assert commands(lsf)[2] == "bsub -w 'ended(JOB_OF_WARM)' < array.sh"


def test_parts_are_read_by_the_tasks_that_the_script_starts(out):
    submission = submit_runs(out, Request("slurm", tasks=3, seconds_per_run=1), write_only=True, trust_code=True)
    parts = parts_of(submission)
    assert [runs_of(out, number, submission=submission.folder.name) for number in range(3)] == parts
    assert sorted(run for number in range(5) for run in runs_of(out, number, parts=5)) == sorted(
        run for part in parts for run in part
    )
    with pytest.raises(SubmitError, match="part 5 of 5: parts are counted from 0 to 4"):
        runs_of(out, 5, parts=5)
    with pytest.raises(SubmitError, match=rf"no submission '../x'; there are: {submission.folder.name}"):
        runs_of(out, 0, submission="../x")


def test_without_the_batch_system_the_sweep_stands_and_the_remedy_is_said(out):
    with pytest.raises(SubmitError, match=r"there is no sbatch here.*--write-only"):
        submit_runs(out, Request("slurm", seconds_per_run=1), trust_code=True)
    assert work_on(out, workers=1).done == 12


def test_runs_of_which_all_that_are_tried_fail_are_not_submitted_by_guess(tmp_path):
    tasks = sweep_toys.make_tasks(1, 3)
    context = {"raises": [task["run_id"] for task in tasks]}
    plan_runs(tasks, sweep_toys.EXECUTE, context, tmp_path / "results")
    with pytest.raises(SubmitError, match=r"3 runs were made to see .*, and all failed.*--time-per-run"):
        submit_runs(tmp_path / "results", Request("slurm"), write_only=True, trust_code=True)


def test_names_that_cannot_be_meant_are_refused_before_anything_is_done(out):
    with pytest.raises(SubmitError, match="partition or queue 'a b'"):
        submit_runs(out, Request("slurm", queue="a b"), write_only=True, trust_code=True)
    assert not (out / JOBS).exists() and not runs_in_results(out)


REST = '"time": "", "runs": 1, "tasks": 1, "seconds_per_run": 1.0, "wall_seconds": 1.0'
SAID = (
    '"system": "cloud"',
    '"system": "slurm", "workers": "1\\nrm -rf ~"',
    '"system": "slurm", "workers": null',
    '"system": "slurm", "workers": 1.5',
    '"system": "slurm", "seconds": "600"',
    '"system": "slurm", "seconds": NaN',
    '"system": "slurm", "memory_per_run": -1',
    '"system": "slurm", "queue": 7',
)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"request": {}}',
        '{"request": {"system": "slurm", "extra": 3}}',
        *(f'{{"request": {{"extra": [], {said}}}, {REST}}}' for said in SAID),
    ],
)
def test_what_is_known_of_a_submission_may_be_damaged(out, content):
    submission = submit_runs(out, Request("slurm", seconds_per_run=1), write_only=True, trust_code=True)
    (submission.folder / "job.json").write_text(content)
    assert submissions(out) == []
    (submission.folder / "job.json").unlink()
    assert submissions(out) == []


def test_what_is_known_of_a_submission_is_read_as_it_was_written(out):
    asked = Request("lsf", 2, 3, 60.0, 600.0, 1.5, 10**9, 30.0, "short", "city", ("#BSUB -x",))
    submission = submit_runs(out, asked, write_only=True, trust_code=True)
    assert submissions(out) == [submission] and submission.request == asked


def test_arrays_are_no_larger_than_slurm_takes(out, tmp_path, monkeypatch):
    (tmp_path / "scontrol").write_text("#!/bin/bash\necho 'MaxArraySize            = 3'\n")
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert (
        submit_runs(out, Request("slurm", task_seconds=1, seconds_per_run=1), write_only=True, trust_code=True).tasks
        == 3
    )
    with pytest.raises(SubmitError, match="--tasks 4: this Slurm takes arrays of at most 3 tasks"):
        submit_runs(out, Request("slurm", tasks=4, seconds_per_run=1), write_only=True, trust_code=True)
    assert submit_runs(out, Request("pbs", tasks=4, seconds_per_run=1), write_only=True, trust_code=True).tasks == 4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "echo 'sbatch: error: Invalid account' >&2; exit 1",
            "Slurm did not take .*array.sh: sbatch: error: Invalid account",
        ),
        (
            "sleep 60",
            r"sbatch did not answer within 1 s; it may have taken .*array.sh all the same: look \(squeue --me\)",
        ),
    ],
    ids=["refused", "silent"],
)
def test_a_submission_that_fails_says_that_the_sweep_stands_and_how_to_go_on(out, tmp_path, monkeypatch, content, said):
    (tmp_path / "sbatch").write_text(f"#!/bin/bash\n{content}\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("citytwin.runners.executors.job._SUBMIT_PATIENCE", 1.0)
    asked = Request("slurm", seconds_per_run=1.0, queue="short", extra=("#SBATCH --exclusive",))
    with pytest.raises(SubmitError, match=said) as failure:
        submit_runs(out, asked, trust_code=True)
    again = f"citytwin submit '{out}' --resume --trust-code"
    assert (
        go_on_command(out, asked, trust_code=False) == f"citytwin submit '{out}' --resume --extra '#SBATCH --exclusive'"
    )
    assert str(failure.value).endswith(f"The sweep stands planned in {out}, runs to make: 12; go on with: {again}")
    assert [(each.jobs, each.request) for each in submissions(out)] == [({}, asked)], (
        "what was asked for is known next time"
    )


def test_a_directory_that_cannot_be_written_is_said(out):
    (out / JOBS).write_text("in the way")
    with pytest.raises(
        SweepError, match=r"my results: cannot be written \(Not a directory\); 0 of 12 runs are in the results"
    ):
        submit_runs(out, Request("slurm", seconds_per_run=1), trust_code=True)
