"""Long runs: killed at any moment, paused or damaged, they go on from the last good state and leave the same files."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sweep_toys as toys
from checkpoint_scenarios import EPIDEMIC, assert_same_tables

from citytwin.environment.city import City
from citytwin.runners.checkpoints.files import HEAD, TREE, read_head
from citytwin.runners.checkpoints.graph import SaveError
from citytwin.runners.checkpoints.running import Checkpoints
from citytwin.runners.engine import pause
from citytwin.runners.model import CityModel
from citytwin.runners.preparation import sweep_tasks
from citytwin.runners.run import execute_run, run
from citytwin.runners.scenarios.scenario import Scenario
from citytwin.runners.storage.tables import StoreError
from citytwin.runners.sweep import run_sweep

LONG = EPIDEMIC + 'checkpoint_every = "2 days"\n'
QUICK = """\
name = "quick"
[city]
bundle = "small.city"
[clock]
days = 300
[epidemic]
disease = "covid"
imports = [{ per_day = 2 }]
[[policy]]
name = "work less"
reduce = { work = 0.6 }
when = "incidence > 2000"
"""


@pytest.fixture(scope="module")
def people() -> City:
    return City.synthetic(1_000, seed=2)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario.from_text(LONG)


@pytest.fixture(scope="module")
def unbroken(scenario: Scenario, people: City) -> dict[str, dict[str, object]]:
    """Tables of the run that nothing happens to."""
    return CityModel(scenario, people).run()


@pytest.fixture
def make(scenario: Scenario, people: City):
    return lambda: CityModel(scenario, people)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def go(checkpoints: Checkpoints, model: CityModel, day: int = 30) -> CityModel:
    while model.running and model.day < day:
        model.step()
        checkpoints.after_step(model)
    return model


# ---------------------------------------------------------------------- states of one run


def test_one_state_is_kept_and_gone_on_from(make, tmp_path: Path, unbroken) -> None:
    (tmp_path / "other").mkdir()
    checkpoints = Checkpoints(tmp_path / "run", 4)
    model = go(checkpoints, checkpoints.begin(make), 9)
    assert names(tmp_path / "run") == ["day-00008"]
    assert read_head(tmp_path / "run" / "day-00008")["whole"] is False
    again = Checkpoints(tmp_path / "run", 4)
    other = again.begin(make)
    assert other.day == 8
    assert_same_tables(go(again, other).outputs(), unbroken)
    assert_same_tables(go(checkpoints, model).outputs(), unbroken)
    assert checkpoints.latest_day() == 28
    checkpoints.remove()
    assert not (tmp_path / "run").exists()


def test_a_damaged_state_is_set_aside_and_the_one_before_taken(make, tmp_path: Path, unbroken) -> None:
    folder, told = tmp_path / "run", []
    checkpoints = Checkpoints(folder, 4)
    go(checkpoints, checkpoints.begin(make), 4)
    shutil.copytree(folder / "day-00004", tmp_path / "kept")
    go(checkpoints, Checkpoints(folder, 4).begin(make), 8)
    shutil.copytree(tmp_path / "kept", folder / "day-00004")
    (folder / "day-00008" / TREE).write_text("{}")
    again = Checkpoints(folder, 4, told.append)
    model = again.begin(make)
    assert model.day == 4
    assert len(told) == 1
    assert "day-00008/tree.json: damaged (its checksum is another); it is set aside" in told[0]
    assert names(folder) == ["day-00004", "day-00008.unusable"]
    assert_same_tables(go(again, model).outputs(), unbroken)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 6}, "of another run"),
        ({"scenario": {"name": "x"}}, "of another run"),
        ({"program": {"python": "2.7"}}, "saved with python 2.7, now"),
        ({"city": "0"}, "saved in another city"),
    ],
    ids=str,
)
def test_a_state_of_another_run_is_set_aside(make, tmp_path: Path, change: dict[str, object], message: str) -> None:
    folder, told = tmp_path / "run", []
    checkpoints = Checkpoints(folder, 2)
    go(checkpoints, checkpoints.begin(make), 2)
    head = json.loads((folder / "day-00002" / HEAD).read_text()) | change
    (folder / "day-00002" / HEAD).write_text(json.dumps(head))
    model = Checkpoints(folder, 2, told.append).begin(make)
    assert model.day == 0
    assert message in told[0]
    assert names(folder) == ["day-00002.unusable"]


def test_a_full_disk_does_not_stop_a_run(make, tmp_path: Path, unbroken, monkeypatch: pytest.MonkeyPatch) -> None:
    from citytwin.runners.checkpoints import files

    told: list[str] = []
    checkpoints = Checkpoints(tmp_path / "run", 10, told.append)
    model = go(checkpoints, checkpoints.begin(make), 10)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.np, "save", full)
    go(checkpoints, model, 20)
    monkeypatch.undo()
    assert "day-00020: the state could not be saved" in told[0]
    assert names(tmp_path / "run") == ["day-00010"]
    assert_same_tables(go(checkpoints, model).outputs(), unbroken)


def test_what_cannot_be_saved_is_said_before_the_run(make, tmp_path: Path) -> None:
    def broken() -> CityModel:
        model = make()
        model.log = iter([])
        return model

    with pytest.raises(SaveError, match=r"\.log is a builtins\.list_iterator, which cannot be saved"):
        Checkpoints(tmp_path / "run", 5).begin(broken)


# ---------------------------------------------------------------------- paused


@pytest.fixture
def in_hand(tmp_path: Path) -> Iterator[Path]:
    """The folder of a run that a worker has in hand."""
    pause.begin(tmp_path / "checkpoints" / "p0-r0")
    yield tmp_path / "checkpoints" / "p0-r0"
    pause.begin(None)


def test_a_run_that_is_asked_to_stop_saves_its_state_and_goes_on_later(
    people: City, tmp_path: Path, in_hand: Path, unbroken, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.save(tmp_path / "small.city")
    task = {"city": str(tmp_path / "small.city"), "seed": 5, "parameters": {}}
    context = {"scenario": Scenario.from_text(EPIDEMIC).to_dict(), "files": {}}
    step = CityModel._make_step
    days = []

    def asked_on_some_days(model: CityModel) -> None:
        step(model)
        days.append(model.day)
        if model.day in (3, 12):
            pause.ask()

    monkeypatch.setattr(CityModel, "_make_step", asked_on_some_days)
    for day in (4, 13):
        with pytest.raises(pause.Paused, match=f"on day {day}"):
            execute_run(task, context)
        assert names(in_hand) == [f"day-{day:05d}"]
        pause.begin(in_hand)
    assert_same_tables(execute_run(task, context), unbroken)
    assert days == list(range(30))  # no day was made twice


def test_a_sweep_stopped_by_a_signal_goes_on_from_the_states(people: City, tmp_path: Path, import_path) -> None:
    people.save(tmp_path / "small.city")
    more = '[output]\ncheckpoint_every = "150 days"\n[sweep]\nreplicates = 2\n'
    (tmp_path / "s.toml").write_text(QUICK.replace("days = 300", "days = 900") + more)
    command = [sys.executable, "-m", "citytwin", "sweep", "s.toml", "--workers", "1", "--out"]
    subprocess.run([*command, "ref"], cwd=tmp_path, env=import_path, check=True, capture_output=True)
    out = tmp_path / "out"
    process = subprocess.Popen(
        [*command, "out"], cwd=tmp_path, env=import_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    toys.wait_for(lambda: list(out.glob("checkpoints/*/day-*")))
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode not in (0, 2), said
    states = list(out.glob("checkpoints/*/day-*"))
    assert len(states) == 1
    day = int(states[0].name[-5:])
    assert 150 <= day < 900
    subprocess.run([*command, "out", "--resume"], cwd=tmp_path, env=import_path, check=True, capture_output=True)
    assert toys.files(out) == toys.files(tmp_path / "ref")
    assert not (out / "checkpoints").exists()


# ---------------------------------------------------------------------- single runs


def begin(place: Path, variables: dict[str, str], *words: str) -> "subprocess.Popen[bytes]":
    """Start ``citytwin run s.toml …``."""
    return subprocess.Popen(
        [sys.executable, "-m", "citytwin", "run", "s.toml", *words],
        cwd=place,
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def latest_day(folder: Path) -> int:
    """Return the day of the latest whole state, −1 if there is none."""
    return max((int(path.name[-5:]) for path in folder.glob("day-?????")), default=-1)


def test_a_run_killed_again_and_again_leaves_the_same_files(people: City, tmp_path: Path, import_path) -> None:
    people.save(tmp_path / "small.city")
    (tmp_path / "s.toml").write_text(QUICK)
    assert begin(tmp_path, import_path, "--out", "ref").wait(300) == 0
    luck, folder = random.Random(1), tmp_path / "out" / "checkpoints" / "run"
    for _ in range(3):
        reached = latest_day(folder)
        process = begin(tmp_path, import_path, "--out", "out", "--checkpoint-every", "3 days", "--resume")

        def moved(process=process, reached=reached) -> bool:
            return process.poll() is not None or latest_day(folder) > reached

        toys.wait_for(moved)
        time.sleep(luck.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (tmp_path / "out" / "sweep.json").exists():
            break
        assert latest_day(folder) > reached  # the last good state is there at every moment
    else:
        assert begin(tmp_path, import_path, "--out", "out", "--resume").wait(300) == 0
    assert toys.files(tmp_path / "out") == toys.files(tmp_path / "ref")
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_a_run_that_fails_keeps_its_state(scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = CityModel._make_step

    def fails_on_day_7(model: CityModel) -> None:
        if model.day == 7:
            raise KeyboardInterrupt
        step(model)

    monkeypatch.setattr(CityModel, "_make_step", fails_on_day_7)
    with pytest.raises(KeyboardInterrupt, match="Stopped; the state of day 6 is saved: go on with --resume"):
        run(scenario, tmp_path / "out", checkpoint_every=3)
    assert names(tmp_path / "out") == ["checkpoints", "cities"]
    monkeypatch.undo()
    with pytest.raises(StoreError, match="holds a run that was stopped; go on with --resume"):
        run(scenario, tmp_path / "out", checkpoint_every=3)
    days: list[int] = []
    results = run(scenario, tmp_path / "out", resume=True, progress=lambda done, _: days.append(done))
    assert days[0] == 7
    assert results.series["day"].tolist() == list(range(30))
    with pytest.raises(StoreError, match="holds results already"):
        run(scenario, tmp_path / "out", resume=True)


def test_days_and_names_that_make_no_sense(scenario: Scenario, tmp_path: Path) -> None:
    for options, message in (
        ({"checkpoint_every": 0}, "whole days from 1 on"),
        ({"checkpoint_every": 3}, "give 'out'"),
        ({"resume": True}, "give 'out'"),
        ({"until_day": 31}, "a day from 1 to 30"),
    ):
        with pytest.raises(ValueError, match=message):
            run(scenario, **options)
    with pytest.raises(StoreError, match="exists already; choose another name for the saved state"):
        run(scenario, save=tmp_path)


def test_commands_say_what_is_wrong(call, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(EPIDEMIC)
    (tmp_path / "t.toml").write_text(EPIDEMIC + 'checkpoint_every = "36 h"\n')
    for words, message in (
        (("s.toml", "--checkpoint-every", "ten"), "'ten' is not a number of whole days"),
        (("s.toml", "--until-day", "99"), "the clock has 30 days (given 99)"),
        (("t.toml",), 't.toml:52: output.checkpoint_every: must be whole days, as in "10 days"'),
    ):
        answer = call("run", *words, "--out", "out")
        assert answer.code == 2
        assert message in answer.err
    assert names(tmp_path) == ["s.toml", "t.toml"]


def test_a_run_until_a_day_and_its_state(call, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(EPIDEMIC)
    answer = call("run", "s.toml", "--until-day", "5", "--save", "day5.state", "--out", "past", "--json")
    assert (answer.code, answer.err) == (0, "")
    head = read_head("day5.state")
    assert (head["day"], head["whole"], head["date"]) == (5, True, "2026-01-10")
    assert head["begun"] == ["tests", "vaccine"]


def test_tasks_of_a_sweep_make_runs_that_keep_states(people: City, tmp_path: Path) -> None:
    """What a sweep asks of its workers is enough for checkpoints, with a parameter that the points set."""
    people.save(tmp_path / "small.city")
    text = LONG.replace("synthetic = { people = 1_000, seed = 2 }", 'bundle = "small.city"').replace(
        "days = 30", "days = 6"
    )
    text = text.replace("from = 8\nuntil = 20", "from = 2\nuntil = 5").replace("from = 12", "from = 1")
    text += '[sweep.parameters]\n"epidemic.r0" = [2.0, 4.0]\n'
    scenario = Scenario.from_text(text, folder=tmp_path)
    tasks, execute, context = sweep_tasks(scenario, tmp_path / "cities")
    outcome = run_sweep(tasks, execute, context, tmp_path / "out", workers=1)
    assert (outcome.done, outcome.failed) == (2, 0)
    assert not (tmp_path / "out" / "checkpoints").exists()
