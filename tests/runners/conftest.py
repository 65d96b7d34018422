"""Small scenarios and results that the tests of the runners share."""

import sys
from pathlib import Path

import pytest
import sweep_toys
from cities import tiny_city
from small_scenarios import SWEPT, TINY

from citytwin.environment.city import City
from citytwin.runners import cli
from citytwin.runners.engine import manifest
from citytwin.runners.scenarios.scenario import Scenario


@pytest.fixture(scope="session")
def tiny() -> Scenario:
    """A scenario of 1,000 people and 25 days without a sweep."""
    return Scenario.from_text(TINY)


@pytest.fixture(scope="session")
def town() -> City:
    """A city of 600 people made by hand."""
    return tiny_city(300)


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a sweep of 4 points and 3 seeds by two workers."""
    from citytwin.runners.sweep import sweep

    out = tmp_path_factory.mktemp("swept") / "results"
    sweep(Scenario.from_text(SWEPT), out=out, workers=2)
    return out


@pytest.fixture(scope="module")
def one_program():
    """Let every sweep, also those in processes of their own, be made by one program, whoever edits it meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "program", lambda: sweep_toys.PROGRAM)
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, one_program: None) -> dict[str, bytes]:  # noqa: ARG001 - in force
    """Return the files of a sweep of toys that nothing disturbed, by name."""
    from citytwin.runners.sweep import run_sweep

    out = tmp_path_factory.mktemp("undisturbed") / "out"
    run_sweep(sweep_toys.make_tasks(), sweep_toys.EXECUTE, sweep_toys.CONTEXT, out, workers=1)
    return sweep_toys.files(out)


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    """Return a folder for the marks that runs of toys leave when they begin."""
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


class Answer:
    """What a command left behind: exit code, output and errors."""

    def __init__(self, code: int, out: str, err: str):
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Call the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def called(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["citytwin", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        assert "Traceback (most" not in captured.err + captured.out
        return Answer(int(end.value.code or 0), captured.out, captured.err)

    return called
