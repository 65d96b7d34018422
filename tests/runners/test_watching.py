"""What somebody at a terminal sees: signs of life, and where code of their own went wrong."""

import sys
import time
from pathlib import Path

import pytest
from small_scenarios import TINY

from citytwin.agents.authorities import Policy
from citytwin.agents.citizens import Citizen
from citytwin.runners import cli, model, progress, run


class Terminal:
    """A terminal that keeps all that was written to it."""

    def __init__(self) -> None:
        self.written = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        self.written += text

    def flush(self) -> None:
        pass


def test_a_long_task_says_what_it_is_and_for_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "_PATIENCE", 0.02)
    with progress.sign_of_life("building the city") as say:
        wait_until(lambda: "building the city … 0 s" in terminal.written)
        say("")
        silent = terminal.written
        time.sleep(0.1)
        assert terminal.written == silent
        say("compiling")
        wait_until(lambda: "compiling … 0 s" in terminal.written)
    assert terminal.written.endswith("\r\033[K")  # nothing is left on the line


def wait_until(condition) -> None:
    limit = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.005)


def test_nothing_is_said_where_nobody_watches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_PATIENCE", 0.01)
    with progress.sign_of_life("building the city") as say:
        time.sleep(0.1)
        say("compiling")
    assert capsys.readouterr() == ("", "")


class Lost(Citizen):
    """Fails on the third morning."""

    def goes_out(self) -> bool:
        if self.model.day == 2:
            raise ZeroDivisionError("lost the way")
        return True


class Confused(Policy):
    """Fails on the third morning."""

    def decide(self, model: object) -> bool:
        return model.day == 2 and {}["no such entry"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("broken", "said", "where"),
    [("citizen", "ZeroDivisionError: lost the way", "goes_out"), ("policy", "KeyError: 'no such entry'", "decide")],
)
def test_code_of_ones_own_that_fails_is_named_and_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    broken: str,
    said: str,
    where: str,
) -> None:
    def made(*args: object, **options: object) -> model.CityModel:
        if broken == "citizen":
            return model.CityModel(*args, citizen_class=Lost, **options)  # type: ignore[arg-type]
        built = model.CityModel(*args, **options)  # type: ignore[arg-type]
        built.authority.add(Confused("confused", close=["school"]))
        return built

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "CityModel", made)
    monkeypatch.setattr(sys, "argv", ["citytwin", "run", "tiny.toml", "--out", "out"])
    Path("tiny.toml").write_text(TINY)
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert (end.value.code, out) == (1, "")
    lines = err.splitlines()
    assert lines[0] == f"The run failed on day 2 (2026-01-07): {said}"
    assert [line for line in lines if f'"{__file__}"' in line and line.endswith(f"in {where}")]
    assert lines[-1] == "Nothing was kept."
    assert len(lines) < 20  # the way to the code of one's own, not all of it
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"]
