"""What a process that ended has left half-written is removed, and nothing else."""

import subprocess
import sys
import time
from pathlib import Path

from citytwin.runners.storage.atomic import remove_temporary, temporary
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
