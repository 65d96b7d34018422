"""How much memory processes hold, and whether the system ended one for want of it; Linux tells, others do not."""

import contextlib
import os
import re
import resource
import sys
from functools import cache
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)
_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def resident(pid: int) -> int:
    """Return the resident memory of a process and all its children, bytes; pages that they share count for each."""
    total, todo = 0, [pid]
    while todo:
        number = todo.pop()
        with contextlib.suppress(OSError, ValueError, IndexError):  # it may have ended
            total += int(Path(f"/proc/{number}/statm").read_text().split()[1]) * _PAGE
            for task in Path(f"/proc/{number}/task").iterdir():
                todo += map(int, (task / "children").read_text().split())
    return total


def peak() -> int:
    """Return the most memory that this process has held, bytes.

    On Linux the usage of resources would begin with what the process that started this one held, however much that is.
    """
    with contextlib.suppress(OSError):
        if found := _PEAK.search(Path("/proc/self/status").read_text()):
            return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def out_of_memory_kills() -> int:
    """Return how many processes the system ended for want of memory: in this control group, else on this machine."""
    for file in _kill_counters():
        with contextlib.suppress(OSError):
            if found := _KILLS.search(file.read_text()):
                return int(found[1])
    return 0


@cache
def _kill_counters() -> list[Path]:
    root = Path("/sys/fs/cgroup")
    found = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                found += [root / path.lstrip("/") / "memory.events", root / "memory.events"]
            elif "memory" in controllers.split(","):
                folder = root / "memory"
                found += [folder / path.lstrip("/") / "memory.oom_control", folder / "memory.oom_control"]
    return [*(file for file in found if file.is_file()), Path("/proc/vmstat")]
