"""What happened to every run: an append-only journal of the supervisors of a sweep.

``ledger/0001.jsonl`` belongs to the first session of a sweep, ``0002.jsonl`` to the second …, one JSON object a line.
The ledger is history; whether a run is in the results is decided by its commit alone (:mod:`runners.store`).
"""

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from .store import ERRORS, LEDGER, read_tasks, runs_in_results, write_atomic

State = Literal["queued", "started", "done", "failed", "killed"]
"""``queued``: not begun, or dropped; ``started``: in hand, or in hand when its sweep died; ``done``: in the results;
``failed``: raised an exception; ``killed``: its process died."""

_STATES = ("queued", "started", "done", "failed", "killed")


@dataclass(frozen=True)
class Entry:
    """One line of the ledger.

    Attributes:
        run_id: run.
        state: what it came to.
        attempt: number of the attempt, from 1, over all sessions.
        time: when, ISO 8601 in UTC.
        host: machine of the worker.
        pid: process of the worker.
        seconds: wall time of the attempt, s.
        cpu: processor time of the attempt, s.
        rss: greatest resident memory of the worker so far, bytes.
        error: class of the exception, or name of the signal.
        message: what it said.
        trace: file with the traceback, relative to the results directory.
    """

    run_id: str
    state: State
    attempt: int = 0
    time: str = ""
    host: str = ""
    pid: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    rss: int = 0
    error: str = ""
    message: str = ""
    trace: str = ""


_TYPES: dict[Any, tuple[type, ...]] = {int: (int,), float: (int, float)}
_FIELDS = {field.name: _TYPES.get(field.type, (str,)) for field in fields(Entry)}


def _json(value: Any, indent: int | None = None) -> bytes:
    # Messages may hold halves of characters, as odd file names do; JSON writes those as escapes.
    return json.dumps(value, indent=indent, ensure_ascii=False).encode(errors="backslashreplace")


def now() -> str:
    """Return the time, ISO 8601 in UTC to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Ledger:
    """The journal of one session of a sweep.

    Raises:
        OSError: if the file cannot be made, or a line cannot be written.
    """

    def __init__(self, directory: Path):
        folder = directory / LEDGER
        folder.mkdir(exist_ok=True)
        number = max((int(file.stem) for file in folder.glob("*.jsonl") if file.stem.isdecimal()), default=0)
        while True:
            number += 1
            self.path = folder / f"{number:04d}.jsonl"
            try:
                self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            except FileExistsError:
                continue
            break
        self._host = socket.gethostname()

    def write(self, run_id: str, state: State, **details: Any) -> None:
        """Append a line; it reaches the system at once, so it outlives this process."""
        line = {"run_id": run_id, "state": state, "time": now(), "host": self._host} | details
        content = _json(line) + b"\n"
        while content:
            content = content[os.write(self._handle, content) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def entries(directory: str | Path) -> Iterator[Entry]:
    """Yield the lines of all sessions, oldest first; torn and foreign lines are passed over."""
    for file in sorted((Path(directory) / LEDGER).glob("*.jsonl")):
        with file.open("rb") as lines:
            for line in lines:
                entry = _parse(line)
                if entry is not None:
                    yield entry


def _parse(line: bytes) -> Entry | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    if not isinstance(found, dict) or found.get("state") not in _STATES:
        return None
    known = {name: value for name, value in found.items() if name in _FIELDS}
    if "run_id" not in known or not all(isinstance(value, _FIELDS[name]) for name, value in known.items()):
        return None
    return Entry(**known)


def states(directory: str | Path) -> dict[str, Entry]:
    """Return the state of every run of a sweep, in run order: its latest line in the ledger.

    A run that is committed is ``done``, whatever the ledger says last; one that never began is ``queued``.

    Raises:
        StoreError: if the directory is no sweep.
    """
    directory = Path(directory)
    runs = {task["run_id"]: Entry(task["run_id"], "queued") for task in read_tasks(directory)}
    for entry in entries(directory):
        if entry.run_id in runs and runs[entry.run_id].state != "done":
            runs[entry.run_id] = entry
    for run in runs_in_results(directory) & runs.keys():
        if runs[run].state != "done":  # its sweep died between the commit and the line
            runs[run] = replace(runs[run], state="done", error="", message="", trace="")
    return runs


def record_error(directory: Path, task: dict[str, Any], attempt: int, details: dict[str, Any]) -> str:
    """Write ``errors/<run_id>-<attempt>.json`` and return its path relative to the results directory.

    Raises:
        OSError: if the disk does not take it.
    """
    folder = directory / ERRORS
    folder.mkdir(exist_ok=True)
    path = folder / f"{task['run_id']}-{attempt}.json"
    content = {"task": task, "attempt": attempt, "time": now(), "host": socket.gethostname()} | details
    write_atomic(path, _json(content, indent=2) + b"\n")
    return str(path.relative_to(directory))
