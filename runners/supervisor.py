"""The supervisor's engine: worker processes, one run each at a time, started anew when they die."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from .ledger import Ledger, State, record_error
from .manifest import PACKAGE, ROOT
from .store import ERRORS, LOGS, Store, staged_runs, write_atomic
from .worker import BOOT, SINGLE_THREADED

Progress = Callable[[int, int, int, float | None], None]
"""``progress(done, failed, total, seconds_left)``; None: not known yet."""

More = Callable[[], Sequence[dict[str, Any]]]
"""Further runs once all so far are settled; none when there is nothing more to do."""

_ATTEMPTS = 2
"""Attempts of a run whose process dies: it may have been an innocent victim once."""

_STILLBORN = 3
"""Workers that die in a row without having made a run, before the sweep is given up."""

_PATIENCE = 10.0
"""Seconds that a worker has to end by itself once it has nothing to do."""

_RECENT = 50
"""Runs from which the time left is estimated."""

_LOG_TAIL = 4000
"""Bytes of a dead worker's output that are kept with the run."""

_HINTS = {"SIGKILL": "killed from outside, often because memory ran out"}


class UnusableError(RuntimeError):
    """The workers cannot work at all; the message says why."""


class UnwritableError(OSError):
    """A worker could not write to the results directory; the message says why."""


class _Process:
    """A worker process as its supervisor sees it."""

    def __init__(self, slot: int, log: Path, events: "queue.SimpleQueue[tuple[Any, ...]]"):
        self.slot = slot
        self.log = log
        self.ready = False
        self.warming = False
        self.task: dict[str, Any] | None = None
        self.attempt = 0
        self.since = 0.0
        self.log_start = 0
        start = {"package": PACKAGE, "root": str(ROOT), "path": sys.path}
        with log.open("ab") as output:
            try:
                self.process = subprocess.Popen(
                    [sys.executable, "-c", BOOT, json.dumps(start)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=output,
                    # The order of sets of strings must not differ from worker to worker.
                    env={"PYTHONHASHSEED": "0"} | os.environ | SINGLE_THREADED,
                    process_group=0,  # Ctrl-C in a terminal reaches the supervisor alone
                )
            except OSError as error:
                raise UnusableError(f"no worker can be started ({error.strerror}); use fewer workers") from None
        threading.Thread(target=self._listen, args=(events,), daemon=True).start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def _listen(self, events: "queue.SimpleQueue[tuple[Any, ...]]") -> None:
        assert self.process.stdout is not None
        with self.process.stdout as reports:
            for line in reports:
                with contextlib.suppress(ValueError):  # torn by the death of the worker
                    events.put(("report", self, json.loads(line)))
        events.put(("gone", self))

    def send(self, **command: Any) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # dead: its end is being reported
            self.process.stdin.write(json.dumps(command).encode() + b"\n")
            self.process.stdin.flush()

    def take(self, task: dict[str, Any], attempt: int) -> None:
        self.task, self.attempt, self.since = task, attempt, time.monotonic()
        self.log_start = self.log.stat().st_size
        self.send(do="run", task=task, attempt=attempt)

    def output(self) -> str:
        """Return the end of what the run in hand printed."""
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(max(self.log_start, self.log.stat().st_size - _LOG_TAIL))
            return log.read(_LOG_TAIL).decode(errors="replace")
        return ""

    def death(self) -> str:
        """Wait for the end of the process and return its cause: name of a signal, or exit code."""
        code = self.end(_PATIENCE)
        if code >= 0:
            return f"exit code {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"

    def end(self, patience: float) -> int:
        """Wait for the process to end, kill it if it does not, and return its exit code."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Supervisor:
    """Makes runs in worker processes until all are settled, or until it is told to stop.

    Args:
        opening: what a worker must know: ``execute``, ``context``, ``types``, and the results ``directory``.
        workers: greatest number of worker processes.
        store: the results.
        ledger: the journal of this session.
        attempts: attempts made so far, by run.
        progress: called at the start and after every settled run.
    """

    def __init__(
        self,
        opening: Mapping[str, Any],
        *,
        workers: int,
        store: Store,
        ledger: Ledger,
        attempts: Mapping[str, int],
        progress: Progress | None,
    ):
        self.directory = store.directory.absolute()  # a run may change the working directory
        self.opening = dict(opening)
        self.warm = self.opening["context"].get("warm")
        self.limit = workers
        self.store = store
        self.ledger = ledger
        self.attempts = dict(attempts)
        self.progress = progress
        self.events: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self.processes: list[_Process] = []
        self.todo: deque[dict[str, Any]] = deque()
        self.stopping: signal.Signals | None = None
        self.deaths: dict[str, int] = {}
        self.stillborn = 0
        self.total = self.done = self.failed = 0
        self.unfinished = False
        self.recent: deque[float] = deque(maxlen=_RECENT)
        self.block_of: dict[str, int] = {}
        self.missing: list[int] = []
        self.sealer = ThreadPoolExecutor(1, "seal")
        self.seals: list[Future[None]] = []

    def run(
        self, tasks: Sequence[dict[str, Any]], done: set[str], more: More | None = None, total: int | None = None
    ) -> signal.Signals | None:
        """Settle every run that is not done yet.

        Args:
            tasks: all runs in order.
            done: runs that are in the results already.
            more: asked for further runs whenever all are settled, where those depend on what the others came to.
            total: runs that progress is measured by, where ``more`` brings further ones.

        Returns:
            The signal that stopped it before all runs were settled, or None.

        Raises:
            UnusableError: if the workers cannot work at all.
            OSError: if the results cannot be written.
        """
        self.todo.extend(task for task in tasks if task["run_id"] not in done)
        self.total, self.done = len(tasks) if total is None else total, len(done)
        for number in range(self.store.blocks):
            runs = self.store.runs_of(number)
            self.block_of.update(dict.fromkeys(runs, number))
            self.missing.append(len(set(runs) - done))
        (self.directory / LOGS).mkdir(exist_ok=True)
        self._tell()
        with self._signals():
            try:
                while self._busy() or (not self.stopping and (self.todo or self._refill(more))):
                    self._feed()
                    self._handle()
            finally:
                self._end()
                self.sealer.shutdown()
                self._tidy()
        for sealed in self.seals:
            sealed.result()
        return self.stopping if self.unfinished or self.done + self.failed < len(tasks) else None

    # ------------------------------------------------------------------ the loop

    def _refill(self, more: More | None) -> bool:
        """Ask for further runs; return whether there are any."""
        if more is None:
            return False
        self.unfinished = True
        self.todo.extend(more())
        self.unfinished = bool(self.todo)
        return self.unfinished

    def _busy(self) -> list[_Process]:
        return [process for process in self.processes if process.task is not None]

    def _feed(self) -> None:
        """Start the workers that are missing and give every idle one something to do."""
        if self.stopping:
            return
        while len(self.processes) < min(self.limit, len(self.todo) + len(self._busy())):
            self._start()
        for process in self.processes:
            if not process.ready or process.task or process.warming or not self.todo:
                continue
            if self.warm is not None:
                # One worker compiles, the others load what it compiled; they import their libraries meanwhile.
                if not any(other.warming for other in self.processes):
                    process.warming = True
                    process.send(do="warm", path=self.warm)
                continue
            task = self.todo.popleft()
            run = task["run_id"]
            self.attempts[run] = self.attempts.get(run, 0) + 1
            self.ledger.write(run, "started", attempt=self.attempts[run], pid=process.pid)
            process.take(task, self.attempts[run])

    def _start(self) -> None:
        slot = min(set(range(len(self.processes) + 1)) - {process.slot for process in self.processes})
        process = _Process(slot, self.directory / LOGS / f"worker-{slot}.log", self.events)
        self.processes.append(process)
        process.send(do="open", directory=str(self.directory), **self.opening)

    def _handle(self) -> None:
        """Wait for the next event and act on it."""
        kind, *about = self.events.get()
        if kind == "report":
            self._report(*about)
        elif kind == "gone":
            self._gone(*about)
        elif kind == "sealed":
            about[0].result()
        else:
            self._signal(*about)

    def _report(self, process: _Process, report: dict[str, Any]) -> None:
        kind = report.pop("is")
        report.pop("run_id", None)
        if kind == "unusable":
            raise UnusableError(self._unusable(report))
        if kind == "unwritable":
            raise UnwritableError(report["message"])
        if kind == "ready":
            process.ready = True
            return
        self.stillborn = 0
        if kind == "warm":
            process.warming, self.warm = False, None
            return
        task, process.task = process.task, None
        assert task is not None
        self._settle(task, kind, process, report)

    def _unusable(self, report: dict[str, Any]) -> str:
        folder = self.directory / ERRORS
        folder.mkdir(exist_ok=True)
        write_atomic(folder / "start.txt", report["traceback"].encode())
        return f"{report['message']} (traceback in {folder / 'start.txt'})"

    def _settle(self, task: dict[str, Any], state: State, process: _Process, details: Mapping[str, Any]) -> None:
        run = task["run_id"]
        self.ledger.write(run, state, **{"attempt": process.attempt, "pid": process.pid, **details})
        self.recent.append(time.monotonic() - process.since)
        if state == "done":
            self.done += 1
            block = self.block_of[run]
            self.missing[block] -= 1
            if not self.missing[block]:
                seal = self.sealer.submit(self.store.seal, block)
                seal.add_done_callback(lambda sealed: self.events.put(("sealed", sealed)))
                self.seals.append(seal)
        else:
            self.failed += 1
        self._tell()

    def _gone(self, process: _Process) -> None:
        """Charge the death of a worker to the run in its hands."""
        self.processes.remove(process)
        cause = process.death()
        task = process.task
        if task is None:
            if self.stopping:
                return
            self.stillborn += 1
            if self.stillborn >= _STILLBORN:
                said = process.output().strip()
                raise UnusableError(f"workers die before they can make a run ({cause}){': ' + said if said else ''}")
            return
        self.stillborn = 0
        run = task["run_id"]
        if run in staged_runs(self.directory):  # it died between the commit and the report
            self._settle(task, "done", process, {})
            return
        seconds = round(time.monotonic() - process.since, 3)
        found = {"error": cause, "message": _HINTS.get(cause, "")}
        trace = record_error(self.directory, task, process.attempt, found | {"output": process.output()})
        details = found | {"seconds": seconds, "trace": trace}
        self.deaths[run] = self.deaths.get(run, 0) + 1
        if self.deaths[run] < _ATTEMPTS:
            self.ledger.write(run, "killed", attempt=process.attempt, pid=process.pid, **details)
            self.todo.append(task)
        else:
            self._settle(task, "killed", process, details)

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(self.done, self.failed, self.total, self._seconds_left())

    def _seconds_left(self) -> float | None:
        """Estimate the time to the end from the median of the latest runs; a worker's first one takes longer."""
        if not self.recent:
            return None
        usual = median(self.recent)
        busy = self._busy()
        begun = sum(max(0.0, usual - (time.monotonic() - process.since)) for process in busy)
        ahead = self.total - self.done - self.failed - len(busy)
        return (ahead * usual + begun) / self.limit

    # ------------------------------------------------------------------ stopping

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Turn Ctrl-C and SIGTERM into events, so that they never strike in the middle of something."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, lambda caught, _: self.events.put(("signal", signal.Signals(caught))))
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signal(self, caught: signal.Signals) -> None:
        """Let the runs in hand finish at the first Ctrl-C; drop them at the second, or when told to terminate."""
        busy = self._busy()
        if self.stopping or caught == signal.SIGTERM:
            for process in busy:
                self._drop(process)
        elif busy:
            print(f"\nStopping when {len(busy)} runs in hand are done; Ctrl-C again to drop them.", file=sys.stderr)
        self.stopping = caught

    def _drop(self, process: _Process) -> None:
        process.process.kill()
        task, process.task = process.task, None
        if task is not None:
            self.ledger.write(task["run_id"], "queued", attempt=process.attempt)

    def _end(self) -> None:
        """End all workers: the idle ones by word, the others by force."""
        for process in self.processes:
            if process.task is None and process.ready and not process.warming:
                process.send(do="end")
            else:
                process.process.kill()
        for process in self.processes:
            process.end(_PATIENCE)

    def _tidy(self) -> None:
        """Remove the logs in which nothing stands."""
        folder = self.directory / LOGS
        for log in folder.glob("worker-*.log"):
            if log.stat().st_size == 0:
                log.unlink()
        with contextlib.suppress(OSError):  # not empty
            folder.rmdir()
