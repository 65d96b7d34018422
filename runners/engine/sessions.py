"""Which sessions of a sweep there were, which of them live, and so the state of every run.

A session on this machine lives while its process does. One on another machine lives while its journal grows: two looks
at the length of a file are compared, never two clocks.
"""

import contextlib
import os
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from ..storage.bulk import uncollected
from ..storage.living import process_mark
from ..storage.store import read_tasks, runs_in_results
from .ledger import BEAT, Entry, entry_of, is_open, ledger_files, object_of, parse_lines, read_lines

SILENT = 6 * BEAT
"""Seconds without a sign of life after which a session on another machine counts as dead."""

_FRESH = 3 * BEAT
"""Age of a journal, s, up to which nobody doubts that its session lives; clocks that differ more cost a second look."""

_TAIL = 4096
"""Bytes at the end of a journal in which its last line nearly always stands."""

_LONGEST_HEAD = 1 << 24
"""Bytes that the first line of a journal may have; it names the runs that are made again."""


@dataclass(frozen=True)
class Session:
    """One time that a sweep was worked on.

    Attributes:
        path: its journal.
        about: what it is: ``started``, ``machine``, ``versions``, ``workers``, …; empty if its first line is torn.
        end: ``ended`` (when), ``how`` and counts by state; empty if it did not say that it ended, nor another session
            that it had fallen silent.
        size: length of its journal, bytes.
    """

    path: Path
    about: dict[str, Any]
    end: dict[str, Any]
    size: int

    @property
    def name(self) -> str:
        """Name, unique in the sweep; names sort by the time of the beginning."""
        return self.path.stem

    @property
    def facts(self) -> dict[str, Any]:
        """All that is known of it, as JSON."""
        return {"name": self.name} | self.about | {"ended": None} | self.end


def sessions(directory: str | Path) -> list[Session]:
    """Return all sessions of a sweep, oldest first."""
    found = []
    for path in ledger_files(directory):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as journal:
            head = object_of(journal.readline(_LONGEST_HEAD)).get("session")
            size = journal.seek(0, os.SEEK_END)
            last = object_of(_last_line(journal, size))
            found.append(Session(path, head if isinstance(head, dict) else {}, last if "ended" in last else {}, size))
    silent = {name for session in found for name in session.end.get("silent", ())}
    return [
        replace(session, end={"ended": None, "how": "silent"})
        if session.name in silent and not session.end
        else session
        for session in found
    ]


def _last_line(journal: BinaryIO, size: int) -> bytes:
    """Return the last line that is whole, of a file of that size."""
    reach = _TAIL
    while True:
        journal.seek(max(0, size - reach))
        _, newline, last = journal.read().rpartition(b"\n")[0].rpartition(b"\n")
        if newline or reach >= size:
            return last
        reach *= 4


# ---------------------------------------------------------------------- who lives


@cache
def place() -> str:
    """Return what tells this machine, since it was started, from all others: only here process numbers mean something."""
    parts = [os.uname().nodename]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def identity() -> dict[str, Any]:
    """Return what a session says of itself so that others find out whether it lives."""
    return {"place": place(), "pid": os.getpid(), "process": process_mark(os.getpid())}


def lives_here(session: Session) -> bool | None:
    """Return whether a session lives; None if only its signs of life can tell."""
    if session.end or not session.about:
        return False
    pid = session.about.get("pid")
    if session.about.get("place") != place() or not isinstance(pid, int):
        return None
    if process_mark(pid) != session.about.get("process"):
        return False
    return pid != os.getpid() or is_open(session.path)


def living(found: Iterable[Session], *, wait: bool = True) -> set[str]:
    """Return the names of the sessions that live.

    Args:
        found: sessions.
        wait: whether to wait for a sign of life where clocks leave a doubt (up to 25 s); else those count as living.
    """
    alive = set()
    doubtful: dict[Path, int] = {}
    for session in found:
        here = lives_here(session)
        if here or (here is None and (not wait or _is_fresh(session.path))):
            alive.add(session.name)
        elif here is None:
            doubtful[session.path] = session.size
    limit = time.monotonic() + 2.5 * BEAT
    while doubtful and time.monotonic() < limit:
        time.sleep(min(0.5, BEAT / 4))
        for path, size in list(doubtful.items()):
            if _size(path) > size:
                alive.add(path.stem)
                del doubtful[path]
    return alive


def _is_fresh(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return abs(time.time() - path.stat().st_mtime) < _FRESH
    return False


def _size(path: Path) -> int:
    try:
        with path.open("rb") as journal:  # opening makes a network file system look
            return journal.seek(0, os.SEEK_END)
    except OSError:
        return 0


# ---------------------------------------------------------------------- states of runs


@dataclass
class _History:
    """What the journals say: of every run its line that counts, and the runs that each session has in hand."""

    lines: dict[str, dict[str, Any]] = field(default_factory=dict)
    in_hand: dict[str, set[str]] = field(default_factory=dict)

    def read(self, path: Path) -> None:
        begun = self.in_hand.setdefault(path.stem, set())
        for said in read_lines(path):
            run, state = said["run_id"], said["state"]
            (begun.add if state == "running" else begun.discard)(run)
            kept = self.lines.get(run)
            # A later attempt counts more, and what is done stays done; sessions come in the order of their beginning.
            if kept is None or (kept["state"] != "done" and (state == "done" or said["attempt"] >= kept["attempt"])):
                self.lines[run] = said


def states(
    directory: str | Path, alive: set[str] | None = None, runs: Collection[str] | None = None
) -> dict[str, Entry]:
    """Return the state of every run of a sweep, in run order.

    A run is ``done`` if and only if it is in the results. One that a living session has in hand is ``running``; one
    that a dead session had in hand is ``lost``, unless another has taken it up.

    Args:
        directory: results directory.
        alive: names of the sessions that live; found out if None.
        runs: all runs in order, where they have been read.

    Raises:
        StoreError: if the directory is no sweep.
    """
    directory = Path(directory)
    if runs is None:
        runs = [task["run_id"] for task in read_tasks(directory)]
    found = sessions(directory)
    if alive is None:
        alive = living(found)
    history = _History()
    with uncollected():
        for session in found:
            history.read(session.path)
        done = runs_in_results(directory, runs)  # after the journals: what they call done was committed before
        running = set().union(*(history.in_hand[name] for name in alive if name in history.in_hand))
        return {run: _state(run, history.lines.get(run), run in done, run in running) for run in runs}


def _state(run: str, said: Mapping[str, Any] | None, done: bool, running: bool) -> Entry:
    if said is None:
        return Entry(run, "done" if done else "queued")
    entry = entry_of(said)
    if done:
        if entry.state == "done":
            return entry
        # Its session died between the commit and the line, or it is made once more.
        return entry._replace(state="done", error="", message="", trace="")
    if entry.state == "done":  # it was in a file that is damaged or gone
        return Entry(run, "running" if running else "queued", entry.attempt)
    if running:
        return entry if entry.state == "running" else entry._replace(state="running", error="", message="", trace="")
    if entry.state == "running":
        return entry._replace(state="lost", error="", message="its supervisor ended or fell silent with it in hand")
    return entry


# ---------------------------------------------------------------------- what the others do


class Others:
    """What the other sessions of a sweep have in hand and have settled, seen by one that works beside them.

    What they had settled when this is made counts as known.

    Args:
        directory: results directory.

    Attributes:
        own: name of the session that looks, once it has one.
    """

    def __init__(self, directory: Path):
        self.own = ""
        self._directory = directory
        self._known: dict[str, _Other] = {}
        self._due = 0.0
        for session in sessions(directory):
            if session.end:
                self._known[session.name] = _Other(session.path, gone=True)
        self.look(now=True)

    def look(self, *, now: bool = False) -> dict[str, dict[str, Any]]:
        """Read what was written since the last look, by run; nothing unless a look is due.

        Looking takes at most a twentieth of the time, as many sessions may look at many journals.
        """
        begun = time.monotonic()
        if begun < self._due and not now:
            return {}
        settled: dict[str, dict[str, Any]] = {}
        for path in ledger_files(self._directory):
            if path.stem == self.own:
                continue
            other = self._known.setdefault(path.stem, _Other(path))
            if not other.gone:
                settled |= other.read()
        self._due = time.monotonic() + max(0.05, 20 * (time.monotonic() - begun))
        return settled

    @property
    def any(self) -> bool:
        """Whether there is another session that lives."""
        return not all(other.gone for other in self._known.values())

    def gone(self, name: str) -> bool:
        """Return whether a session is known to have ended, died or fallen silent."""
        return name in self._known and self._known[name].gone

    def in_hand(self) -> set[str]:
        """Return the runs that others who live have in hand."""
        return set().union(*(other.in_hand for other in self._known.values() if not other.gone))


class _Other:
    """Another session, as far as its journal has been read."""

    def __init__(self, path: Path, *, gone: bool = False):
        self.path = path
        self.in_hand: set[str] = set()
        self.gone = gone
        self._offset = 0
        self._about: dict[str, Any] | None = None
        self._grown = time.monotonic()

    def read(self) -> dict[str, dict[str, Any]]:
        """Return what was settled since the last look, by run, and find out whether the session still lives."""
        settled: dict[str, dict[str, Any]] = {}
        try:
            with self.path.open("rb") as journal:
                journal.seek(self._offset)
                fresh = journal.read()
        except FileNotFoundError:
            self.gone = True
            return settled
        whole = fresh[: fresh.rfind(b"\n") + 1]
        if whole:
            self._offset += len(whole)
            self._grown = time.monotonic()
        for said in parse_lines(whole):
            run = said["run_id"]
            if said["state"] == "running":
                self.in_hand.add(run)
            else:
                self.in_hand.discard(run)
                settled[run] = said
        if whole and self._about is None:
            head = object_of(whole.partition(b"\n")[0]).get("session")
            self._about = head if isinstance(head, dict) else {}
        ended = "ended" in object_of(whole[:-1].rpartition(b"\n")[2])
        self.gone = ended or not self._lives()
        return settled

    def _lives(self) -> bool:
        silent = time.monotonic() - self._grown > SILENT
        if not self._about:
            return not silent
        # One on this machine must give signs of life, too: its process may go on with other things.
        return not silent and lives_here(Session(self.path, self._about, {}, 0)) is not False
