"""What happened to every run: a journal of each session of a sweep, that is, of each supervisor that worked on it.

``ledger/<time>-<host>-<process>.jsonl`` belongs to one session; its name needs no agreement with anybody, so sessions
on many machines may write at once. One JSON object a line: first what the session is, then what happened to its runs,
last how it ended. While it lives its file grows, if by nothing else than a beat: that is how others know that it lives,
whatever their clocks say (:mod:`runners.engine.sessions`).

The ledger is history; whether a run is in the results is decided by its commit alone (:mod:`runners.storage.store`).
"""

import contextlib
import json
import os
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, get_args

from ..storage.atomic import write_atomic
from ..storage.bulk import parsed, uncollected
from ..storage.stage import ERRORS, LEDGER

State = Literal["queued", "running", "done", "failed", "timed_out", "out_of_memory", "killed", "lost"]
"""``queued``: not begun, paused or dropped; ``running``: in hand; ``done``: in the results; ``failed``: raised an
exception; ``timed_out``, ``out_of_memory``: stopped at a limit; ``killed``: its process died; ``lost``: its session died
or fell silent with the run in hand, which no line says and readers conclude."""

STATES: tuple[State, ...] = get_args(State)
UNSUCCESSFUL: tuple[State, ...] = ("failed", "timed_out", "out_of_memory", "killed", "lost")
"""States of runs that were tried and are not in the results."""

BEAT = 10.0
"""Seconds between signs of life."""

_encode = json.JSONEncoder(ensure_ascii=False).encode

BEAT_LINE = b'{"beat": 1}\n'

_open: set[Path] = set()
"""Journals that this process writes."""


class Entry(NamedTuple):
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
        rss: greatest resident memory of the worker so far, bytes; of a run that took too much, what it held.
        error: class of the exception, name of the signal, or what was exceeded.
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

    @property
    def told(self) -> str:
        """What became of the run, in a line."""
        return ": ".join(part for part in (self.state, self.error, self.message) if part)


_USUAL = Entry("", "queued")
_DEFAULTS = list(_USUAL._asdict().items())
_KINDS = list(map(type, _USUAL))
_WRITTEN = frozenset(STATES) - {"lost"}


def to_json(value: Any, indent: int | None = None) -> bytes:
    """Return a value as JSON; texts may hold halves of characters, as odd file names do, which become escapes."""
    text = _encode(value) if indent is None else json.dumps(value, indent=indent, ensure_ascii=False)
    return text.encode(errors="backslashreplace")


def now() -> str:
    """Return the time, ISO 8601 in UTC to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Ledger:
    """The journal of one session of a sweep; it beats until it is closed.

    Args:
        directory: results directory.
        about: what the session is, JSON-able.

    Attributes:
        name: name of the session.
        path: its file.

    Raises:
        OSError: if the file cannot be made, or a line cannot be written.
    """

    def __init__(self, directory: Path, about: Mapping[str, Any] | None = None):
        folder = directory / LEDGER
        folder.mkdir(exist_ok=True)
        self._host = socket.gethostname()
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        stem = f"{moment}-{re.sub(r'[^A-Za-z0-9._]', '_', self._host)[:60]}-{os.getpid()}"
        self.name = stem
        number = 1
        while True:
            self.path = folder / f"{self.name}.jsonl"
            try:
                self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            except FileExistsError:  # another thread of this process, in the same microsecond
                number += 1
                self.name = f"{stem}.{number}"
                continue
            break
        self._written = True
        self._key = self.path.absolute()  # a run may change the working directory
        _open.add(self._key)
        self._append({"session": {"name": self.name, "started": now()} | dict(about or {})})
        self._closed = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="beat", daemon=True)
        self._heart.start()

    def write(self, run_id: str, state: State, **details: Any) -> None:
        """Append a line about a run; it reaches the system at once, so it outlives this process."""
        self._append({"run_id": run_id, "state": state, "time": now(), "host": self._host} | details)

    def end(self, how: str, **details: Any) -> None:
        """Say how the session ended; it is the last line."""
        self._append({"ended": now(), "how": how} | details)
        self.close()

    def close(self) -> None:
        """Stop beating and close the file; without :meth:`end` the session counts as dead from then on."""
        if not self._closed.is_set():
            self._closed.set()
            self._heart.join()
            _open.discard(self._key)
            os.close(self._handle)

    def _append(self, line: Mapping[str, Any]) -> None:
        content = to_json(line) + b"\n"
        while content:
            content = content[os.write(self._handle, content) :]
        self._written = True

    def _beat(self) -> None:
        while not self._closed.wait(BEAT):
            with contextlib.suppress(OSError):  # a full disk is the matter of whoever writes results
                if not self._written:
                    os.write(self._handle, BEAT_LINE)
                self._written = False
                os.fsync(self._handle)  # so that other machines see it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not self._closed.is_set():
            with contextlib.suppress(OSError):
                self.end(kind.__name__)
        self.close()


def is_open(path: Path) -> bool:
    """Return whether this process writes a journal."""
    return path.absolute() in _open


def ledger_files(directory: str | Path) -> list[Path]:
    """Return the journals of all sessions, oldest first."""
    return sorted((Path(directory) / LEDGER).glob("*.jsonl"))


def entries(directory: str | Path) -> Iterator[Entry]:
    """Yield the lines about runs of all sessions, session after session; torn and foreign lines are passed over."""
    for file in ledger_files(directory):
        for found in read_lines(file):
            yield entry_of(found)


def read_lines(file: Path) -> Iterator[dict[str, Any]]:
    """Yield what the lines of a journal say about runs; torn and foreign ones are passed over."""
    with contextlib.suppress(FileNotFoundError):
        yield from parse_lines(file.read_bytes())


def parse_lines(content: bytes) -> Iterator[dict[str, Any]]:
    """Yield what lines of a journal say about runs: ``run_id``, ``state``, ``attempt``, and fields of :class:`Entry`."""
    lines = content.splitlines()
    try:
        said = parsed(b"[" + b",".join(lines) + b"]")  # all at once: many times as quick
    except ValueError:
        said = map(object_of, lines)
    for found in said:
        if (
            isinstance(found, dict)
            and isinstance(found.get("run_id"), str)
            and isinstance(found.setdefault("attempt", 0), int)
            and isinstance(state := found.get("state"), str)
            and state in _WRITTEN
        ):
            yield found


def object_of(line: bytes) -> dict[str, Any]:
    """Return what a line says, nothing if it is torn or foreign."""
    try:
        found = parsed(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def entry_of(found: Mapping[str, Any]) -> Entry:
    """Return the entry that a line says, as :func:`parse_lines` gives it; fields of a wrong type are left out."""
    values: list[Any] = [found.get(name, default) for name, default in _DEFAULTS]
    if list(map(type, values)) == _KINDS:  # nearly always, and there may be very many
        return Entry._make(values)
    fits = (
        isinstance(value, (int, float) if kind is float else kind) for value, kind in zip(values, _KINDS, strict=True)
    )
    return Entry._make(
        value if right else default for value, right, (_, default) in zip(values, fits, _DEFAULTS, strict=True)
    )


def attempts_made(directory: str | Path) -> dict[str, int]:
    """Return the greatest number of an attempt of every run that was ever begun."""
    attempts: dict[str, int] = {}
    with uncollected():
        for file in ledger_files(directory):
            for found in read_lines(file):
                run, attempt = found["run_id"], found["attempt"]
                if attempt > attempts.get(run, -1):
                    attempts[run] = attempt
    return attempts


def record_error(directory: Path, task: Mapping[str, Any], attempt: int, details: Mapping[str, Any]) -> str:
    """Write ``errors/<run_id>-<attempt>.json`` and return its path relative to the results directory.

    Raises:
        OSError: if the disk does not take it.
    """
    folder = directory / ERRORS
    folder.mkdir(exist_ok=True)
    path = folder / f"{task['run_id']}-{attempt}.json"
    content = {"task": task, "attempt": attempt, "time": now(), "host": socket.gethostname()} | dict(details)
    write_atomic(path, to_json(content, indent=2) + b"\n")
    return str(path.relative_to(directory))
