"""The supervisor's engine: worker processes, one run each at a time, started anew when they die.

A death is charged to the run in hand alone. Runs that pass a limit are ended and settled as what they are. When it is
told to stop, or its wall time is nearly over, runs in hand are paused, finished or dropped, and none is begun.
"""

import contextlib
import queue
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from ..storage.atomic import write_atomic
from ..storage.stage import ERRORS, LOGS, staged_runs
from ..storage.store import Store
from .child import PATIENCE, Child, Events, UnusableError
from .ledger import Ledger, State, record_error
from .limits import Limits, size_text, time_text
from .memory import out_of_memory_kills, resident
from .sealing import Sealing
from .sessions import Others
from .todo import ATTEMPTS, Todo

Progress = Callable[[int, int, int, float | None], None]
"""``progress(done, failed, total, seconds_left)``; None: not known yet."""

More = Callable[[], Sequence[dict[str, Any]]]
"""Further runs once all so far are settled; none when there is nothing more to do."""

SETTLED: tuple[State, ...] = ("done", "failed", "timed_out", "out_of_memory", "killed")
"""What becomes of a run in a session that does not stop."""

WALL_TIME = "wall time"
"""Why a supervisor stopped whose time was over."""

_STILLBORN = 3
"""Workers that die in a row without having made a run, before the sweep is given up."""

_RECENT = 50
"""Runs from which the time that one takes is estimated."""

_MARGIN = 60.0, 0.1
"""Seconds before the end of the wall time at which runs in hand are asked to stop, and the share of it they are at most
(assumed): a step of a large city and its checkpoint take several seconds."""

_LAST_MOMENT = 0.25
"""Share of that margin that is kept for ending workers and sealing; runs in hand are dropped then."""

_GRACE = 20.0
"""Seconds that runs in hand have after SIGTERM; Slurm kills 30 s after it (KillWait)."""

_LOOK = 0.2
"""Seconds between two looks at the memory of the workers."""

_HINTS = {"SIGKILL": "killed from outside, often because memory ran out"}


class UnwritableError(OSError):
    """A worker could not write to the results directory; the message says why."""


class Supervisor:
    """Makes runs in worker processes until all are settled, or until it is told to stop.

    Args:
        opening: what a worker must know: ``execute``, ``context``, ``types``.
        workers: greatest number of worker processes.
        store: the results.
        ledger: the journal of this session.
        attempts: attempts made so far, by run.
        progress: called at the start and after every settled run.
        limits: time and memory of a run, and when this process must have ended.
        others: sessions that may work on the same runs; None if those are left to this one.
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
        limits: Limits = Limits(),  # noqa: B008 - it is frozen
        others: Others | None = None,
    ):
        self.directory = store.directory.absolute()  # a run may change the working directory
        self.opening = {"directory": str(self.directory), **opening}
        self.warm = self.opening["context"].get("warm")
        self.limit = workers
        self.ledger = ledger
        self.attempts = dict(attempts)
        self.progress = progress
        self.limits = limits
        self.events: Events = queue.SimpleQueue()
        self.children: list[Child] = []
        self.todo = Todo(self.directory, others, self._count)
        self.deaths: dict[str, int] = {}
        self.stillborn = 0
        self.memory_kills = out_of_memory_kills()
        self.looked = 0.0
        self.total = self.done = self.failed = 0
        self.settled = dict.fromkeys(SETTLED, 0)
        self.unfinished = False
        self.recent: deque[float] = deque(maxlen=_RECENT)
        self.pausable = False
        self.stopping = ""
        self.hurried = False
        deadline, margin = limits.deadline, min(_MARGIN[0], _MARGIN[1] * (limits.walltime or 0.0))
        self.pause_at = None if deadline is None else deadline - margin
        self.last_moment = None if deadline is None else deadline - _LAST_MOMENT * margin
        self.sealing = Sealing(store, lambda: self.events.put(("sealed",)))

    def run(
        self, tasks: Sequence[dict[str, Any]], done: set[str], more: More | None = None, total: int | None = None
    ) -> str:
        """Settle every run that is not done yet.

        Args:
            tasks: all runs in order.
            done: runs that are in the results already.
            more: asked for further runs whenever all are settled, where those depend on what the others came to.
            total: runs that progress is measured by, where ``more`` brings further ones.

        Returns:
            Why it stopped before all runs were settled: name of a signal, or :data:`WALL_TIME`; "" if they are.

        Raises:
            UnusableError: if the workers cannot work at all.
            OSError: if the results cannot be written.
        """
        self._add([task for task in tasks if task["run_id"] not in done])
        self.total, self.done = len(tasks) if total is None else total, len(done)
        self._tell()
        with self._signals():
            try:
                while self._busy() or (
                    not self.stopping and (self.todo.waiting or self.todo.theirs or self._refill(more))
                ):
                    self._feed()
                    self._handle()
            finally:
                self._end()
                self.sealing.end()
                self._tidy()
        self.sealing.check()
        return self.stopping if self.unfinished or self.done + self.failed < len(tasks) else ""

    # ------------------------------------------------------------------ the loop

    def _add(self, tasks: Sequence[dict[str, Any]]) -> None:
        self.todo.add(tasks, self.sealing.block_of, self.ledger.name)
        self.sealing.expect(task["run_id"] for task in tasks)

    def _refill(self, more: More | None) -> bool:
        """Ask for further runs; return whether there are any."""
        if more is None:
            return False
        self.unfinished = True
        self._add(more())
        self.unfinished = bool(self.todo.waiting)
        return self.unfinished

    def _busy(self) -> list[Child]:
        return [child for child in self.children if child.task is not None]

    def _feed(self) -> None:
        """Start the workers that are missing and give every idle one something to do."""
        self.todo.look(idle=not self._busy())
        if self.todo.waiting and not self.stopping and not self._time_for_another():
            self.stopping = WALL_TIME
        if self.stopping:
            return
        while len(self.children) < min(self.limit, len(self.todo.waiting) + len(self._busy())):
            self._start()
        for child in self.children:
            if not child.ready or child.task or child.warming or not self.todo.waiting:
                continue
            if self.warm is not None:
                # One worker compiles, the others load what it compiled; they import their libraries meanwhile.
                if not any(other.warming for other in self.children):
                    child.warming = True
                    child.send(do="warm", path=self.warm)
                continue
            if (task := self.todo.next()) is None:
                return
            run = task["run_id"]
            self.attempts[run] = self.attempts.get(run, 0) + 1
            self.ledger.write(run, "running", attempt=self.attempts[run], pid=child.pid)
            child.take(task, self.attempts[run])

    def _start(self) -> None:
        slot = min(set(range(len(self.children) + 1)) - {child.slot for child in self.children})
        logs = self.directory / LOGS
        logs.mkdir(exist_ok=True)
        log = logs / f"worker-{self.ledger.name}-{slot}.log"
        self.children.append(Child(slot, log, self.events, self.opening))

    def _handle(self) -> None:
        """Wait for the next event and act on it, or on what is due."""
        try:
            kind, *about = self.events.get(timeout=self._patience())
        except queue.Empty:
            self._check()
            return
        if kind == "report":
            self._report(*about)
        elif kind == "gone":
            self._gone(*about)
        elif kind == "sealed":
            self.sealing.check()
        else:
            self._signal(*about)
        self._check()

    def _patience(self) -> float | None:
        """Return the time until something is due even if nothing happens, s; None if nothing is."""
        now = time.monotonic()
        due: list[float] = []
        busy = self._busy()
        if self.limits.seconds is not None:
            due += [child.since + self.limits.seconds for child in busy if child.verdict is None]
        if self.limits.memory is not None and busy:
            due.append(self.looked + _LOOK)
        due += [moment for moment in (self.pause_at, self.last_moment) if moment is not None]
        if self.todo.theirs:
            due.append(now + 1.0)
        return max(0.0, min(due) - now) if due else None

    # ------------------------------------------------------------------ reports

    def _report(self, child: Child, report: dict[str, Any]) -> None:
        kind = report.pop("is")
        report.pop("run_id", None)
        child.looks = report.pop("looks", False)
        self.pausable |= child.looks
        if kind == "unusable":
            raise UnusableError(self._unusable(report))
        if kind == "unwritable":
            raise UnwritableError(report["message"])
        if kind == "ready":
            child.ready = True
            return
        if kind == "asked":
            self._drop_hopeless(child)
            return
        self.stillborn = 0
        if kind == "warm":
            child.warming, self.warm = False, None
            return
        task, child.task = child.task, None  # if it has a verdict, the run came to its end just before
        if task is None:
            return  # it was dropped just then
        if kind == "paused":
            self.ledger.write(task["run_id"], "queued", attempt=child.attempt, pid=child.pid, **report)
            self.todo.waiting.append(task)
        else:
            self._settle(task, kind, child, report)

    def _unusable(self, report: dict[str, Any]) -> str:
        folder = self.directory / ERRORS
        folder.mkdir(exist_ok=True)
        write_atomic(folder / "start.txt", report["traceback"].encode())
        return f"{report['message']} (traceback in {folder / 'start.txt'})"

    def _settle(self, task: dict[str, Any], state: State, child: Child, details: Mapping[str, Any]) -> None:
        self.ledger.write(task["run_id"], state, **{"attempt": child.attempt, "pid": child.pid, **details})
        self.recent.append(child.seconds)
        self.settled[state] += 1
        self._count(task["run_id"], state == "done")

    def _count(self, run: str, done: bool) -> None:
        """Count a run as settled."""
        self.done += done
        self.failed += not done
        self.sealing.settled(run)
        self._tell()

    def _gone(self, child: Child) -> None:
        """Charge the death of a worker to the run in its hands."""
        self.children.remove(child)
        cause = child.death()
        task = child.task
        if task is None:
            if self.stopping or child.verdict:
                return
            self.stillborn += 1
            if self.stillborn >= _STILLBORN:
                said = child.output().strip()
                raise UnusableError(f"workers die before they can make a run ({cause}){': ' + said if said else ''}")
            return
        self.stillborn = 0
        run = task["run_id"]
        if run in staged_runs(self.directory):  # it died between the commit and the report
            self._settle(task, "done", child, {})
            return
        state, found = child.verdict or self._cause(cause)
        found = {"seconds": round(child.seconds, 3), **found}
        trace = record_error(self.directory, task, child.attempt, found | {"output": child.output()})
        details = found | {"trace": trace}
        if state == "killed":
            self.deaths[run] = self.deaths.get(run, 0) + 1
            if self.deaths[run] < ATTEMPTS:
                self.ledger.write(run, "killed", attempt=child.attempt, pid=child.pid, **details)
                self.todo.waiting.append(task)
                return
        self._settle(task, state, child, details)

    def _cause(self, cause: str) -> tuple[State, dict[str, Any]]:
        """Return the state of a run whose process died by itself, and what to say of it."""
        if cause == "SIGKILL" and out_of_memory_kills() > self.memory_kills:
            self.memory_kills += 1
            return "out_of_memory", {"error": cause, "message": "ended by the system, as there was no memory left"}
        return "killed", {"error": cause, "message": _HINTS.get(cause, "")}

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(self.done, self.failed, self.total, self._seconds_left())

    def _seconds_left(self) -> float | None:
        """Estimate the time to the end from the median of the latest runs; a worker's first one takes longer."""
        if not self.recent:
            return None
        usual = median(self.recent)
        busy = self._busy()
        begun = sum(max(0.0, usual - child.seconds) for child in busy)
        ahead = self.total - self.done - self.failed - len(busy)
        return (ahead * usual + begun) / self.limit

    # ------------------------------------------------------------------ limits

    def _check(self) -> None:
        """End runs that passed a limit, and see to the wall time."""
        now = time.monotonic()
        if self.limits.seconds is not None:
            for child in self._busy():
                if child.verdict is None and child.seconds > self.limits.seconds:
                    about = f"ran longer than {time_text(self.limits.seconds)}"
                    self._convict(child, "timed_out", error="time limit", message=about)
        if self.limits.memory is not None and now - self.looked >= _LOOK:
            self.looked = now
            for child in self._busy():
                held = resident(child.pid) if child.verdict is None else 0
                if held > self.limits.memory:
                    about = f"held {size_text(held)}, more than {size_text(self.limits.memory)}"
                    self._convict(child, "out_of_memory", error="memory limit", message=about, rss=held)
        if self.pause_at is not None and now >= self.pause_at:
            self.pause_at = None
            self._drain(self.stopping or WALL_TIME)
        if self.last_moment is not None and now >= self.last_moment:
            self.last_moment = None
            self._drop_all()

    def _convict(self, child: Child, state: State, **details: Any) -> None:
        child.verdict = state, details
        child.ready = False  # it takes no other run
        child.kill()

    def _time_for_another(self) -> bool:
        """Return whether a run that is begun now would be done, or could be paused, before the wall time is over."""
        if self.pause_at is None:
            return True
        left = self.pause_at - time.monotonic()
        return left > (max(self.recent) if self.recent and not self.pausable else 0.0)

    # ------------------------------------------------------------------ stopping

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Turn signals into events, so that they never strike in the middle of something."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, lambda caught, _: self.events.put(("signal", signal.Signals(caught))))
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signal(self, caught: signal.Signals) -> None:
        """Let the runs in hand finish at the first Ctrl-C; drain at SIGTERM and SIGUSR1; drop them at a second signal."""
        busy = self._busy()
        if caught == signal.SIGUSR1:
            self._drain(caught.name)
        elif self.stopping == caught.name or (self.stopping and caught == signal.SIGINT):
            self._drop_all()
            self.stopping = caught.name
        elif caught == signal.SIGTERM:
            self.hurried = True
            grace = time.monotonic() + _GRACE
            self.last_moment = grace if self.last_moment is None else min(grace, self.last_moment)
            self._drain(caught.name)
        else:
            if busy:
                hand = "the run in hand is done; Ctrl-C again to drop it"
                if len(busy) > 1:
                    hand = f"{len(busy)} runs in hand are done; Ctrl-C again to drop them"
                print(f"\nStopping when {hand}.", file=sys.stderr)
            self.stopping = caught.name

    def _drain(self, reason: str) -> None:
        """Begin no more runs and ask those in hand to stop; what is still in hand at the last moment is dropped."""
        self.stopping = reason
        for child in self._busy():
            child.send(do="pause")

    def _drop_hopeless(self, child: Child) -> None:
        """Drop a run in hand that cannot be paused and would not be done in time, where every second counts."""
        if not self.hurried or child.looks or child.task is None or self.last_moment is None:
            return
        usual = median(self.recent) if self.recent else float("inf")
        if usual - child.seconds > self.last_moment - time.monotonic():
            self._drop(child)

    def _drop_all(self) -> None:
        for child in self._busy():
            self._drop(child)

    def _drop(self, child: Child) -> None:
        child.kill()
        task, child.task = child.task, None
        if task is not None:
            self.ledger.write(task["run_id"], "queued", attempt=child.attempt)

    def _end(self) -> None:
        """End all workers: the idle ones by word, the others by force."""
        for child in self.children:
            if child.task is None and child.ready and not child.warming:
                child.send(do="end")
            else:
                child.kill()
        for child in self.children:
            child.end(PATIENCE)

    def _tidy(self) -> None:
        """Remove the logs in which nothing stands."""
        for log in (self.directory / LOGS).glob(f"worker-{self.ledger.name}-*.log"):
            if log.stat().st_size == 0:
                log.unlink()
