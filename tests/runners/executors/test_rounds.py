"""Growing sweeps on batch systems: the last job of a round plans the next one, submits it, and stops where it must."""

import json
import shutil
import sys

import pytest
import sweep_toys
from made_stores import put

from citytwin.environment.city import City
from citytwin.runners.engine.ledger import Ledger
from citytwin.runners.engine.outcome import SweepError, SweepOutcome, outcome_of
from citytwin.runners.engine.sessions import identity, sessions, states
from citytwin.runners.executors import choice
from citytwin.runners.executors.growth import GROWTH, growth_of
from citytwin.runners.executors.job import SubmitError
from citytwin.runners.executors.parts import read_parts
from citytwin.runners.executors.rounds import close_round
from citytwin.runners.executors.submission import Request, submissions, tasks_in_queue
from citytwin.runners.executors.submit import commands, submit_runs
from citytwin.runners.points.growing import grow, maker_of
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.storage.store import read_tasks, runs_in_results
from citytwin.runners.sweep import plan_sweep, sweep

TEXT = """\
name = "growing"
seed = 4
[city]
bundle = "{bundle}"
[clock]
days = 5
[epidemic]
disease = "covid"
transmission = 0.03
initial_infections = 20
[sweep]
until = {{ indicator = "attack_rate", half_width = 0.02, at_least = 2, at_most = 5 }}
[sweep.parameters]
"epidemic.initial_infections" = [10, 60]
"""
SBATCH = """\
#!/bin/bash
# A Slurm that takes every job but those of scripts that the file "refused" names, and runs none.
echo "sbatch $*" >>"$SHIM/calls"
if grep -qsx "${!#}" "$SHIM/refused"; then echo "sbatch: error: Job violates policy" >&2; exit 1; fi
grep -c sbatch "$SHIM/calls"
"""
SCANCEL = '#!/bin/bash\necho "scancel $*" >>"$SHIM/calls"\n'
SQUEUE = '#!/bin/bash\ncat "$SHIM/queue" 2>/dev/null || true\n'


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return City.synthetic(1_000, seed=2).save(tmp_path_factory.mktemp("town") / "town.city")


@pytest.fixture
def shim(tmp_path, monkeypatch):
    """A folder in which programs of Slurm that run nothing say what they were asked."""
    folder = tmp_path / "shim"
    (folder / "bin").mkdir(parents=True)
    for name, content in (("sbatch", SBATCH), ("scancel", SCANCEL), ("squeue", SQUEUE)):
        (folder / "bin" / name).write_text(content)
        (folder / "bin" / name).chmod(0o755)
    monkeypatch.setenv("SHIM", str(folder))
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return folder


@pytest.fixture(scope="module")
def planned(bundle, tmp_path_factory):
    out = tmp_path_factory.mktemp("planned") / "results"
    plan_sweep(Scenario.from_text(TEXT.format(bundle=bundle)), out)
    return out


@pytest.fixture
def out(planned, tmp_path):
    """A growing sweep of two points that is planned."""
    return shutil.copytree(planned, tmp_path / "results")


ASKED = Request("slurm", tasks=2, seconds_per_run=1.0, queue="short")


def figure(task):
    """Return a figure that spreads at point 1 and does not at point 0."""
    return 0.5 + (0.1 * (-1) ** task["replicate"] if task["point"] else 0.0)


def settle(out, *, failing=()):
    """Let all runs that are written down be done, with made figures, or have failed."""
    done = runs_in_results(out)
    with Ledger(out, identity()) as ledger:
        for task in read_tasks(out):
            run = task["run_id"]
            if run in done:
                continue
            if run in failing:
                ledger.write(run, "failed", attempt=1, error="ValueError", message="no luck")
            else:
                put(out, task, {"summary": {"attack_rate": figure(task)}})
                ledger.write(run, "done", attempt=1, seconds=1.0)
        ledger.end("finished")


def names(out):
    return [task["run_id"] for task in read_tasks(out)]


def calls(shim):
    return (shim / "calls").read_text().splitlines()


def test_the_next_round_is_that_of_a_local_sweep_and_is_submitted_with_the_same_settings(out, planned, shim):
    first = submit_runs(out, ASKED)
    assert (first.runs, list(first.jobs)) == (4, ["warm", "array", "finish"])
    settle(out)
    growth = close_round(out, first.folder.name)
    [_, second] = submissions(out)
    assert (growth.state, growth.message) == ("goes on", f"2 further runs were submitted as {second.folder.name}")
    assert names(out)[4:] == ["p0001-r0002", "p0001-r0003"]
    assert (second.request, second.runs, list(second.jobs)) == (first.request, 2, ["array", "finish"])
    assert calls(shim)[3:] == ["sbatch --parsable array.sh", "sbatch --parsable --dependency=afterany:4 finish.sh"]
    settle(out)
    assert close_round(out, second.folder.name).state == "goes on"
    settle(out)
    last = close_round(out, submissions(out)[-1].folder.name)
    assert last.state == "over" and len(submissions(out)) == 3
    assert last.message.startswith("attack_rate is known to ± 0.02 at 1 of 2 points. Least at point 1: ± ")
    with pytest.raises(SubmitError, match="nothing is left to submit, all 7 runs"):
        submit_runs(out, ASKED)

    local = shutil.copytree(planned, out.with_name("local"))

    def work(_):
        settle(local)
        return outcome_of(local, read_tasks(local), states(local))

    grow(local, maker_of(local), work)
    assert read_tasks(local) == read_tasks(out)


def test_a_closing_job_that_is_started_twice_submits_once(out, shim):
    first = submit_runs(out, ASKED)
    settle(out)
    (shim / "queue").write_text("COMPLETING\n")  # the last of its tasks, which Slurm is tidying up
    close_round(out, first.folder.name)
    before = calls(shim)
    growth = close_round(out, first.folder.name)
    assert (growth.state, growth.message) == (
        "goes on",
        f"{submissions(out)[1].folder.name} has been submitted already",
    )
    assert calls(shim) == before and len(names(out)) == 6


def test_a_round_of_which_runs_are_left_is_not_followed_by_another(out, shim, call):
    first = submit_runs(out, ASKED)
    with Ledger(out, identity() | {"process": -1}) as ledger:  # of a process that is gone
        ledger.write("p0000-r0000", "running", attempt=1)
    with pytest.raises(
        SubmitError, match=r"not planned, as runs of this one are not done: 1 lost, 3 queued\. Go on with"
    ):
        close_round(out, first.folder.name)
    assert len(names(out)) == 4 and len(submissions(out)) == 1
    with pytest.raises(SweepError, match=r"The next round is not planned"):
        choice._wait(out, lambda *_: None)  # as citytwin sweep --executor slurm does
    text = call("status", out).out
    assert "  growing sweep stopped: The next round is not planned, as runs of this one are not done" in text
    assert f"citytwin submit {out} --resume" in text
    # Whoever submits what is left goes on with growing, too.
    second = submit_runs(out, ASKED)
    assert second.runs == 4
    settle(out)
    assert close_round(out, second.folder.name).state == "goes on"
    assert len(names(out)) == 6
    del shim


def test_a_round_of_which_nothing_is_done_is_not_followed_by_another(out, shim):
    first = submit_runs(out, ASKED)
    settle(out)
    close_round(out, first.folder.name)
    second = submissions(out)[1]
    before = calls(shim)
    settle(out, failing=names(out)[4:])
    with pytest.raises(
        SubmitError, match=r"none of the 2 runs of this one came to its end\. Put right what they failed of"
    ):
        close_round(out, second.folder.name)
    assert calls(shim) == before and len(names(out)) == 6
    # On one machine it does not go on either.
    made = []

    def work(runs):
        made.append(runs)
        if runs is None:
            return SweepOutcome(out, 6, 4, failed=2)
        settle(out, failing=runs)
        return SweepOutcome(out, len(runs), 0, failed=len(runs))

    grow(out, maker_of(out), work)
    assert made == [None, ["p0001-r0004"]]


def test_runs_that_fail_beside_others_that_are_done_do_not_hold_up_the_rounds(out, shim):
    first = submit_runs(out, ASKED)
    settle(out, failing=["p0000-r0001"])
    close_round(out, first.folder.name)
    added = names(out)[4:]
    assert added == ["p0000-r0002", "p0001-r0002", "p0000-r0003", "p0001-r0003"], "point 0 has one figure only"
    assert [run for part in read_parts(submissions(out)[1].folder) for run in part] == added, "it is not tried again"
    settle(out)
    del shim


def test_a_batch_system_that_refuses_the_next_round_leaves_it_planned_and_status_says_so(out, shim, call):
    first = submit_runs(out, ASKED)
    settle(out)
    (shim / "refused").write_text("finish.sh\n")
    answer = call("work", out, "--finish", "--submission", first.folder.name)
    assert answer.code == 2 and "4 runs, 100% done" in answer.out
    assert "Slurm did not take" in answer.err and "Job violates policy" in answer.err
    assert "What had been submitted before (scancel 4) was cancelled." in answer.err
    assert calls(shim)[-1] == "scancel 4"
    again = f"The sweep stands planned in {out}, runs to make: 2; go on with: citytwin submit {out} --resume\n"
    assert again in answer.err
    assert json.loads((first.folder / GROWTH).read_text())["state"] == "stopped"
    assert "Job violates policy" in call("status", out).out
    facts = json.loads(call("status", out, "--json").out)
    assert facts["growth"]["state"] == "stopped" and facts["states"]["queued"] == 2
    assert [each.jobs for each in submissions(out)[1:]] == [{}]
    (shim / "refused").unlink()
    answer = call("submit", out, "--resume")
    assert answer.code == 0, answer.err
    assert "2 runs of about 1 s in 2 tasks" not in answer.out and "2 runs of about 1 s" in answer.out
    settle(out)
    answer = call("work", out, "--finish", "--submission", submissions(out)[-1].folder.name)
    assert answer.code == 0 and "Growing sweep: 1 further runs were submitted as" in answer.out


def test_a_figure_that_nobody_knows_is_found_out_before_anything_is_submitted_if_a_run_is_done(bundle, tmp_path, shim):
    out = tmp_path / "results"
    plan_sweep(Scenario.from_text(TEXT.format(bundle=bundle).replace("attack_rate", "atack_rate")), out)
    first = submit_runs(out, ASKED)
    settle(out)
    with pytest.raises(SweepError, match=r"no figure 'atack_rate' .*did you mean 'attack_rate'.*--extend"):
        close_round(out, first.folder.name)
    assert "no figure 'atack_rate'" in growth_of(out, {}, []).message
    before = calls(shim)
    with pytest.raises(SweepError, match="no figure 'atack_rate'"):
        submit_runs(out, ASKED)
    assert calls(shim) == before


def test_status_says_that_it_waits_and_when_nobody_will_go_on(out, shim, call):
    jobs = submit_runs(out, ASKED).jobs
    (shim / "queue").write_text("PENDING\nRUNNING\n")
    waits = f"growing sweep waits: job {jobs['finish']} plans the next round once the runs of this one are made"
    assert waits in call("status", out).out
    (shim / "queue").write_text("")
    text = call("status", out).out
    assert (
        f"growing sweep stopped: Job {jobs['finish']}, which was to plan the next round, was cancelled or ended" in text
    )
    assert f"Go on with: citytwin submit {out} --resume" in text
    (shim / "bin" / "squeue").unlink()
    assert tasks_in_queue(out) is None
    assert waits in call("status", out).out, "nobody knows better"
    # Runs that were made in another way since then are no matter of those jobs.
    close = submissions(out)[0].folder / GROWTH
    close.write_text(json.dumps({"state": "stopped", "message": "x", "time": "2026-01-01"}))
    assert growth_of(out, {}, []).message == "x"
    settle(out)
    assert growth_of(out, {}, sessions(out)) is None


def test_a_larger_budget_goes_on(bundle, tmp_path, shim):
    text = TEXT.format(bundle=bundle)
    out = tmp_path / "results"
    plan_sweep(Scenario.from_text(text.replace("[sweep]", '[sweep]\nbudget = "5 runs"')), out)
    first = submit_runs(out, ASKED)
    settle(out)
    close_round(out, first.folder.name)
    settle(out)
    growth = close_round(out, submissions(out)[-1].folder.name)
    assert growth.state == "over" and "The budget of 5 runs is spent: 5 runs were made" in growth.message
    plan_sweep(Scenario.from_text(text.replace("[sweep]", '[sweep]\nbudget = "6 runs"')), out, extend=True)
    assert submit_runs(out, ASKED).runs == 1
    assert names(out) == ["p0000-r0000", "p0001-r0000", "p0000-r0001", "p0001-r0001", "p0001-r0002", "p0001-r0003"]
    del shim


def test_a_growing_sweep_on_slurm_is_that_of_one_machine(call, cluster, bundle, tmp_path):
    text = (
        TEXT.format(bundle=bundle)
        .replace("half_width = 0.02", "half_width = 0.0001")
        .replace("at_most = 5", "at_most = 4")
    )
    (tmp_path / "growing.toml").write_text(text)
    answer = call(
        "submit", "growing.toml", "--out", "out", "--slurm", "--time-per-run", "0.3 s", "--mem-per-run", "600 MB"
    )
    assert answer.code == 0, answer.err
    assert "growing sweep waits: job " in call("status", "out").out
    totals = []
    choice._wait(tmp_path / "out", lambda *about: totals.append(about[2]))  # over all rounds
    assert (totals[0], totals[-1]) == (4, 8) and not cluster.jobs()
    rounds = submissions(tmp_path / "out")
    logs = [log.read_text() for each in rounds for log in each.folder.glob("*.log")]
    assert [each.runs for each in rounds] == [4, 4], logs
    text = call("status", "out").out
    assert "8 runs, 100% done" in text, logs
    assert "growing sweep over: attack_rate is known to ± 0.0001 at 0 of 2 points." in text
    sweep(Scenario.load("growing.toml"), out="local", workers=1)
    assert sweep_toys.files(tmp_path / "out") == sweep_toys.files(tmp_path / "local")
    assert read_tasks(tmp_path / "out") == read_tasks(tmp_path / "local")


@pytest.mark.parametrize("system", ["slurm", "pbs", "lsf"])
def test_the_last_job_knows_its_submission_and_finds_the_batch_system(out, monkeypatch, system):
    monkeypatch.setenv("PATH", "/opt/batch system/bin")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    submission = submit_runs(out, Request(system, tasks=2, seconds_per_run=1.0), write_only=True)
    text = (submission.folder / "finish.sh").read_text()
    assert "\nexport PATH='/opt/batch system/bin'\n" in text
    kernels = f"\nexport NUMBA_CACHE_DIR={submission.folder}/kernels\n"
    assert kernels in text and kernels in (submission.folder / "array.sh").read_text(), "the next round has them, too"
    work = f"{sys.executable} -m citytwin work {out} --finish --submission {submission.folder.name}\n"
    assert text.endswith(f"exec {work}")
    waits = {
        "slurm": "sbatch --parsable --dependency=afterany:JOB_OF_ARRAY finish.sh",
        "pbs": "qsub -W depend=afterany:JOB_OF_ARRAY finish.sh",
        "lsf": "bsub -w 'ended(JOB_OF_ARRAY)' < finish.sh",
    }
    assert commands(submission)[-1] == waits[system]
