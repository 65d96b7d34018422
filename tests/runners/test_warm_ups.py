"""Warm-ups are made once for a cache of compiled kernels."""

from pathlib import Path

import numba
import pytest

from citytwin.runners import warm_ups


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The warm-ups that were really made; sources and cache are those of a folder."""
    done: list[str] = []
    for floor in warm_ups.FLOORS:
        (tmp_path / floor).mkdir()
    (tmp_path / "agents" / "kernels.py").write_text("one = 1\n")
    monkeypatch.setattr(warm_ups, "ROOT", tmp_path)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(warm_ups, "warm_up", lambda sections, **_: done.extend(sections))
    return done


def test_a_process_is_warmed_up_once(made: list[str]) -> None:
    warm_ups.warm_up_once(["epidemic"])
    warm_ups.warm_up_once(["epidemic", "traffic"])
    assert made == ["epidemic", "traffic"]


def test_code_that_has_changed_is_warmed_up_again(made: list[str], tmp_path: Path) -> None:
    warm_ups.warm_up_once(["epidemic"])
    (tmp_path / "agents" / "kernels.py").write_text("one = 1  # another size\n")
    warm_ups.warm_up_once(["epidemic"])
    assert made == ["epidemic"] * 2


def test_another_processor_is_warmed_up_too(made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    warm_ups.warm_up_once(["epidemic"])
    monkeypatch.setattr(warm_ups, "get_host_cpu_name", lambda: "another")
    warm_ups.warm_up_once(["epidemic"])
    assert made == ["epidemic"] * 2


def test_a_cache_that_cannot_be_written_is_no_mistake(
    made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "agents" / "kernels.py" / "cache"))
    warm_ups.warm_up_once(["epidemic"])
    warm_ups.warm_up_once(["epidemic"])
    assert made == ["epidemic"] * 2
