"""Whether a process of this machine lives."""

import os
from pathlib import Path


def process_mark(pid: int) -> int | None:
    """Return when a process of this machine began, in ticks since the machine did; None if there is none (or a zombie)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if stat[0] in "ZX" else int(stat[19])
    except (OSError, ValueError, IndexError):
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:  # no Linux: whether a process of that number lives must do
        os.kill(pid, 0)
    except OSError:
        return None
    return 0
