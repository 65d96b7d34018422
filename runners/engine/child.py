"""A worker process as its supervisor sees it."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .manifest import PACKAGE, ROOT
from .worker import BOOT, SINGLE_THREADED

Events = queue.SimpleQueue[tuple[Any, ...]]

PATIENCE = 10.0
"""Seconds that a worker has to end by itself once it has nothing to do."""

_LOG_TAIL = 4000
"""Bytes of a dead worker's output that are kept with the run."""


class UnusableError(RuntimeError):
    """The workers cannot work at all; the message says why."""


class Child:
    """A worker process, the run in its hands, and what is said between the two.

    Args:
        slot: number of its log.
        log: file for what its runs print.
        events: where its reports go, ``("report", child, report)``, and its end, ``("gone", child)``.
        opening: what it must know before its first run.

    Attributes:
        ready: whether it can take a run.
        warming: whether it compiles kernels.
        task: the run in hand, or None.
        attempt: number of the attempt at it.
        since: moment at which it took the run.
        looks: whether a run in its hands has looked whether it is asked to stop.
        verdict: state and details of the run that it is being ended for, or None if it is not being ended.
    """

    def __init__(self, slot: int, log: Path, events: Events, opening: Mapping[str, Any]):
        self.slot = slot
        self.log = log
        self.ready = False
        self.warming = False
        self.task: dict[str, Any] | None = None
        self.attempt = 0
        self.since = 0.0
        self.looks = False
        self.verdict: tuple[Any, dict[str, Any]] | None = None
        self._log_start = 0
        start = {"package": PACKAGE, "root": str(ROOT), "path": sys.path}
        with log.open("ab") as output:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-c", BOOT, json.dumps(start)],  # -P: imports nothing from where we stand
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=output,
                    # The order of sets of strings must not differ from worker to worker.
                    env={"PYTHONHASHSEED": "0"} | os.environ | SINGLE_THREADED,
                    process_group=0,  # Ctrl-C in a terminal reaches the supervisor alone
                )
            except OSError as error:
                raise UnusableError(f"no worker can be started ({error.strerror}); use fewer workers") from None
        threading.Thread(target=self._listen, args=(events, opening), daemon=True).start()

    @property
    def pid(self) -> int:
        """Number of the process, and of the group of all that its runs start."""
        return self._process.pid

    @property
    def seconds(self) -> float:
        """Time since it took the run in hand, s."""
        return time.monotonic() - self.since

    def _listen(self, events: Events, opening: Mapping[str, Any]) -> None:
        assert self._process.stdout is not None
        self.send(do="open", **opening)  # here, as it may be too large for the pipe until the worker reads it
        with self._process.stdout as reports:
            for line in reports:
                with contextlib.suppress(ValueError):  # torn by the death of the worker
                    events.put(("report", self, json.loads(line)))
        events.put(("gone", self))

    def send(self, **command: Any) -> None:
        """Tell it to do something."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # dead, its end is being reported; or ended before it was open
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()

    def take(self, task: dict[str, Any], attempt: int) -> None:
        """Put a run into its hands."""
        self.task, self.attempt, self.since = task, attempt, time.monotonic()
        self._log_start = self.log.stat().st_size
        self.send(do="run", task=task, attempt=attempt)

    def output(self) -> str:
        """Return the end of what the run in hand printed."""
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(max(self._log_start, self.log.stat().st_size - _LOG_TAIL))
            return log.read(_LOG_TAIL).decode(errors="replace")
        return ""

    def kill(self) -> None:
        """End it and all that its run started, at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def death(self) -> str:
        """Wait for the end of the process and return its cause: name of a signal, or exit code."""
        self.kill()  # what its run started may live on; its own end is decided already
        code = self.end(PATIENCE)
        if code >= 0:
            return f"exit code {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"

    def end(self, patience: float) -> int:
        """Wait for the process to end, kill it if it does not, and return its exit code."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()
