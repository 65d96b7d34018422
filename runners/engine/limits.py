"""Limits of a sweep: time and memory of a run, and the time that all of it has on this machine."""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_BYTES = {"b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "tb": 1000**4}
_BYTES |= {"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?b)\s*", re.IGNORECASE)
_SIZE_HELP = "a number with a unit: B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, as in '4 GB'"

_LOADED = time.monotonic()


@dataclass(frozen=True)
class Limits:
    """What runs may take; None: as much as they like.

    Attributes:
        seconds: wall time of a run, s.
        memory: resident memory of a run with all its processes, bytes; pages that workers share count for each.
        walltime: time from the start of this process until it must have ended, s. No run is begun that would not be
            done by then, and runs in hand are paused or finished before.

    Raises:
        ValueError: if a limit is not positive.
    """

    seconds: float | None = None
    memory: int | None = None
    walltime: float | None = None

    def __post_init__(self) -> None:
        for name in ("seconds", "memory", "walltime"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}: {value}; a limit must be greater than 0")

    @classmethod
    def of_texts(
        cls, time_limit: str | None = None, memory_limit: str | None = None, walltime: str | None = None
    ) -> Self:
        """Read limits as people write them: ``"10 min"``, ``"4 GB"``, ``"2 h"``.

        Raises:
            ValueError: if one cannot be read; the message begins with its name.
        """
        from ..scenarios.sections import parse_duration

        given: dict[str, Any] = {}
        for name, option, text, read in (
            ("seconds", "time limit", time_limit, parse_duration),
            ("memory", "memory limit", memory_limit, parse_size),
            ("walltime", "wall time", walltime, parse_duration),
        ):
            if text is not None:
                try:
                    given[name] = read(text)
                except ValueError as error:
                    raise ValueError(f"{option}: {error}") from None
        return cls(**given)

    @property
    def deadline(self) -> float | None:
        """Moment of :func:`time.monotonic` at which the wall time is over, or None."""
        return None if self.walltime is None else process_start() + self.walltime


def parse_size(text: str) -> int:
    """Return the bytes that a text such as ``"4 GB"`` (10⁹) or ``"4 GiB"`` (2³⁰) stands for.

    Raises:
        ValueError: if it is no size.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text}' is no amount of memory; write {_SIZE_HELP}")
    return round(float(found[1]) * _BYTES[found[2].lower()])


def size_text(size: float) -> str:
    """Return a number of bytes as people read it, ``"4.2 GB"``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def time_text(seconds: float) -> str:
    """Return a duration as people read it, ``"10 min"``."""
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def process_start() -> float:
    """Return when this process began, as a moment of :func:`time.monotonic`; at the latest when this was loaded."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return _LOADED
    return min(time.monotonic() - max(age, 0.0), _LOADED)
