"""How far a sweep is: runs by state, rate, time left, who works on it, what failed."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .engine.ledger import STATES, UNSUCCESSFUL, Entry
from .engine.sessions import Session, living, sessions, states

_RECENT = 200
"""Runs that were done last, from which the rate is told."""


@dataclass(frozen=True)
class Status:
    """How far a sweep is.

    Attributes:
        directory: results directory.
        total: runs of the sweep.
        counts: number of runs by state; all states are there.
        failures: runs that were tried and are not in the results, each with its last entry, in run order.
        alive: sessions that work on it.
        sessions: all sessions, oldest first.
        per_hour: runs that were done in an hour of late, by the sessions that live; None if none was or none lives.
        hours_left: hours until the rest is done at that rate; None without one.
        cpu_hours: processor time of the runs that are done, h.
    """

    directory: Path
    total: int
    counts: dict[str, int]
    failures: dict[str, Entry]
    alive: list[Session]
    sessions: list[Session]
    per_hour: float | None
    hours_left: float | None
    cpu_hours: float

    @property
    def facts(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "directory": str(self.directory),
            "runs": self.total,
            "states": self.counts,
            "failures": {
                run: {name: getattr(entry, name) for name in ("state", "attempt", "error", "message", "trace")}
                for run, entry in self.failures.items()
            },
            "alive": [session.name for session in self.alive],
            "sessions": [session.facts for session in self.sessions],
            "per_hour": self.per_hour,
            "hours_left": self.hours_left,
            "cpu_hours": self.cpu_hours,
        }


def status(directory: str | Path) -> Status:
    """Return how far a sweep is; it may be running, here or elsewhere, or long over.

    Where a session of another machine is in doubt it is watched for up to 25 s.

    Raises:
        StoreError: if the directory is no sweep.
    """
    directory = Path(directory)
    found = sessions(directory)
    alive = living(found)
    by_run = states(directory, alive)
    count = Counter(entry.state for entry in by_run.values())
    working = [session for session in found if session.name in alive]
    per_hour = _per_hour(by_run, working)
    left = count["queued"] + count["running"]
    return Status(
        directory,
        len(by_run),
        {state: count[state] for state in STATES},
        {run: entry for run, entry in by_run.items() if entry.state in UNSUCCESSFUL},
        working,
        found,
        per_hour,
        left / per_hour if per_hour else None,
        sum(entry.cpu for entry in by_run.values() if entry.state == "done") / 3600,
    )


def _per_hour(by_run: dict[str, Entry], working: list[Session]) -> float | None:
    """Return the rate at which runs were done of late; a clock that jumped makes it wrong for a while, or None."""
    if not working:
        return None
    begun = min(str(session.about.get("started", "")) for session in working)
    times = sorted(entry.time for entry in by_run.values() if entry.state == "done" and entry.time >= begun)[-_RECENT:]
    try:
        first = datetime.fromisoformat(begun if len(times) < _RECENT else times[0])
    except ValueError:
        return None
    seconds = (datetime.now(UTC) - first).total_seconds()
    return len(times) / seconds * 3600 if times and seconds > 0 else None
