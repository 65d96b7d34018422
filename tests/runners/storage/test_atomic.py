"""What a process that ended has left half-written is removed, and nothing else."""

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from citytwin.runners.storage.atomic import put_in_place, remove_temporary, temporary, write_atomic, written
from citytwin.runners.storage.living import process_mark


def left_by(process: subprocess.Popen, folder: Path) -> Path:
    """Return a temporary file with the name that a process would give it."""
    mine = temporary(folder / "run.arrow")
    host, _, thread = mine.name.removesuffix(".tmp").rsplit("-", 2)
    file = folder / f"{host}-{process.pid}-{thread}.tmp"
    file.touch()
    return file


def test_files_of_the_dead_go_those_of_the_living_stay(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    alive = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        while process_mark(ended.pid) is not None:  # it is a zombie then, as nobody has waited for it
            time.sleep(0.01)
        gone, kept = left_by(ended, tmp_path), left_by(alive, tmp_path)
        remove_temporary(tmp_path)
        assert not gone.exists()
        assert kept.exists()
    finally:
        for process in (ended, alive):
            process.kill()
            process.wait()
    remove_temporary(tmp_path)
    assert not kept.exists()


def test_what_another_thread_is_writing_stays(tmp_path: Path) -> None:
    path, begun, cleaned = tmp_path / "shard", threading.Event(), threading.Event()

    def write() -> None:
        with written(path) as sink:
            begun.set()
            cleaned.wait(60)
            sink.write(b"whole")
        put_in_place(path)

    other = threading.Thread(target=write)
    other.start()
    begun.wait(60)
    temporary(tmp_path / "mine").touch()
    remove_temporary(tmp_path)
    assert [file.name.split(".")[1] for file in tmp_path.iterdir()] == ["shard"]
    cleaned.set()
    other.join()
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("shard", b"whole")]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EIO], ids=["no such promise", "broken disk"])
def test_directories_that_cannot_be_made_to_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    real = os.fsync

    def refused(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").resolve() == tmp_path.resolve():
            raise OSError(code, os.strerror(code))
        real(handle)

    monkeypatch.setattr(os, "fsync", refused)
    if code == errno.EIO:
        with pytest.raises(OSError, match="Input/output error"):
            write_atomic(tmp_path / "file", b"whole")
    else:
        write_atomic(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"
