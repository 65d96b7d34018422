"""What a sweep came to, and the errors with which one ends."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..storage.tables import ID_COLUMNS
from .ledger import UNSUCCESSFUL, Entry


class SweepError(RuntimeError):
    """A sweep that cannot begin or go on; the message says why, what stands, and what to do."""


class SweepInterrupted(KeyboardInterrupt):
    """A sweep stopped by Ctrl-C; the message says what is done and how to resume.

    Attributes:
        outcome: what is done so far.
    """

    def __init__(self, message: str, outcome: "SweepOutcome"):
        super().__init__(message)
        self.outcome = outcome


class SweepDrained(RuntimeError):  # noqa: N818 - nothing went wrong
    """A sweep that ended before its time was over, or when it was told to; the message says how to resume.

    Attributes:
        outcome: what is done so far.
    """

    def __init__(self, message: str, outcome: "SweepOutcome"):
        super().__init__(message)
        self.outcome = outcome


@dataclass(frozen=True)
class Failure:
    """A run that was tried and is not in the results.

    Attributes:
        run_id: run.
        point: number of its point.
        replicate: number of its replicate.
        seed: its seed.
        parameters: values of the swept parameters.
        state: ``failed`` (raised), ``timed_out``, ``out_of_memory``, ``killed`` (its process died) or ``lost`` (its
            supervisor did).
        attempts: attempts made so far.
        error: class of the exception, name of the signal, or what was exceeded.
        message: what it said.
        trace: file with the traceback, relative to the results directory; empty if there is none.
    """

    run_id: str
    point: int
    replicate: int
    seed: int
    parameters: dict[str, Any]
    state: str
    attempts: int
    error: str
    message: str
    trace: str

    def __str__(self) -> str:
        values = ", ".join(f"{name} = {value}" for name, value in self.parameters.items())
        where = f"{self.run_id} (seed {self.seed}{', ' + values if values else ''})"
        return ": ".join(part for part in (where, self.state, self.error, self.message) if part)


@dataclass(frozen=True)
class SweepOutcome:
    """What a sweep, or the part of it that was asked for, came to over all its sessions.

    Attributes:
        directory: results directory.
        total: runs asked for.
        done: runs in the results.
        failed: runs that raised.
        timed_out: runs that took longer than their time limit.
        out_of_memory: runs that took more than their memory limit, or more than there was.
        killed: runs whose process died, twice in a row.
        lost: runs whose supervisor died with them in hand.
        failures: the runs of the last five kinds, in run order.
        stopped: why it ended before all runs were settled (``SIGINT``, ``SIGTERM``, ``SIGUSR1``, ``wall time``), or "".
    """

    directory: Path
    total: int
    done: int
    failed: int = 0
    timed_out: int = 0
    out_of_memory: int = 0
    killed: int = 0
    lost: int = 0
    failures: list[Failure] = field(default_factory=list)
    stopped: str = ""

    @property
    def left(self) -> int:
        """Runs that are neither in the results nor among the failures."""
        return self.total - self.done - len(self.failures)


def outcome_of(
    directory: Path, tasks: Iterable[Mapping[str, Any]], states: Mapping[str, Entry], stopped: str = ""
) -> SweepOutcome:
    """Return what some runs came to."""
    failures = []
    count: Counter[str] = Counter()
    for task in tasks:
        entry = states[task["run_id"]]
        count[entry.state] += 1
        if entry.state in UNSUCCESSFUL:
            failures.append(
                Failure(
                    **{name: task[name] for name in ID_COLUMNS},
                    parameters=task.get("parameters", {}),
                    state=entry.state,
                    attempts=entry.attempt,
                    error=entry.error,
                    message=entry.message,
                    trace=entry.trace,
                )
            )
    named = {state: count[state] for state in ("done", *UNSUCCESSFUL)}
    return SweepOutcome(directory, count.total(), **named, failures=failures, stopped=stopped)
