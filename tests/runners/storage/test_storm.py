"""A storm: workers and supervisors are killed at random moments, and the disk fills once. Nothing is lost or doubled.

Two sessions work on one sweep all the time, each with one worker; whichever dies is followed by another.
"""

import contextlib
import os
import random
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
import sweep_toys as toys

from citytwin.runners.engine.ledger import entries
from citytwin.runners.engine.part import work_on
from citytwin.runners.engine.sessions import states
from citytwin.runners.storage.store import read_table, runs_in_results
from citytwin.runners.sweep import plan_runs, run_sweep

RUNS = 2_000
KILLS = 50
SUPERVISORS_KILLED = 12
"""How many of the killed are supervisors."""
SIDE_BY_SIDE = 2
DISK = 96 << 20
CONTEXT = {"scenario": "name = 'storm'", "pause": 0.004}

pytestmark = pytest.mark.usefixtures("one_program")


def children(pid):
    """Return the processes that a process has started and that live."""
    with contextlib.suppress(OSError):
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in found if toys.is_alive(int(child))]
    return []


class Weather:
    """The sessions at work, and what strikes them."""

    def __init__(self, out):
        self.out = out
        self.working = []
        self.refused = []

    def keep_going(self):
        """Start sessions in the place of those that ended."""
        for process in [process for process in self.working if process.poll() is not None]:
            self.working.remove(process)
            _, errors = process.communicate()
            if process.returncode not in (0, -signal.SIGKILL):
                self.refused.append(errors)
        while len(self.working) < SIDE_BY_SIDE:
            self.working.append(toys.start_work(self.out, workers=1))

    def strike(self, supervisor):
        """Kill a supervisor, or a worker, and return whether there was one."""
        process = random.choice(self.working)
        victims = [process.pid] if supervisor else children(process.pid)
        for victim in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        return bool(victims)

    def fill_the_disk(self, ballast):
        """Leave no room until every session has given up, then make room again."""
        with contextlib.suppress(OSError), ballast.open("wb", 0) as file:
            while True:
                file.write(bytes(4096))
        toys.wait_for(lambda: all(process.poll() is not None for process in self.working))
        ballast.unlink()

    def seal_off(self, stage):
        """Let nothing be written among the staged runs, as on a full disk, where no small disk can be mounted."""
        stage.mkdir(exist_ok=True)
        stage.chmod(0o555)
        toys.wait_for(lambda: all(process.poll() is not None for process in self.working))
        stage.chmod(0o755)


def test_storm(tmp_path):
    seed = random.randrange(2**32)
    print("seed of the storm:", seed)
    random.seed(seed)
    tasks = toys.make_tasks(RUNS // 4, 4)
    names = [task["run_id"] for task in tasks]
    undisturbed = tmp_path / "undisturbed"
    run_sweep(tasks, toys.EXECUTE, CONTEXT, undisturbed, workers=2)
    with toys.small_disk(tmp_path / "disk", DISK) as mounted:
        out = tmp_path / "disk" / "out"
        plan_runs(tasks, toys.EXECUTE, CONTEXT, out)
        weather = Weather(out)
        moments = sorted(random.sample(range(1, RUNS * 9 // 10), KILLS))
        kinds = random.sample([True] * SUPERVISORS_KILLED + [False] * (KILLS - SUPERVISORS_KILLED), KILLS)
        full_at = RUNS // 2
        kills = 0
        try:
            while kills < KILLS:
                weather.keep_going()
                done = len(runs_in_results(out, names))
                if full_at is not None and done >= full_at:
                    if mounted is None:
                        weather.seal_off(out / "stage")
                    else:
                        weather.fill_the_disk(tmp_path / "disk" / "ballast")
                    full_at = None
                elif done >= moments[kills]:
                    kills += weather.strike(kinds[kills])
                time.sleep(0.002)
        finally:
            for process in weather.working:
                process.kill()
                process.communicate()
        assert full_at is None
        # A session gives up when the disk is full, or when its workers are struck three times before a run.
        full, struck = "cannot be written", "workers die before they can make a run (SIGKILL)"
        assert any(full in errors for errors in weather.refused)
        assert all(full in errors or struck in errors for errors in weather.refused), weather.refused
        assert len(runs_in_results(out)) < RUNS, "the storm was over too late"

        outcome = work_on(out, workers=2)
        assert (outcome.done, outcome.failures) == (RUNS, [])
        assert toys.files(out) == toys.files(undisturbed)
        counts = Counter(read_table(out, "summary")["run_id"].to_pylist())
        assert counts == {task["run_id"]: 1 for task in tasks}
        assert {entry.state for entry in states(out).values()} == {"done"}
        # Few were begun for nothing: those in hand when something died, and those that both took, as looking takes time.
        begun = sum(entry.state == "running" for entry in entries(out))
        assert begun <= 1.25 * RUNS
        assert not list(out.glob("**/.*.tmp"))
        shutil.rmtree(out)
