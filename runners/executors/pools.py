"""Runs made through any ``concurrent.futures`` executor: process pools, Dask, MPI, whatever a cluster offers.

The executor gets parts: a few runs that a remote process makes with a supervisor of its own and commits one by one. It
hands back a receipt, never results. Whatever the executor promises of failures is not relied upon: after a part fails,
the journals say which of its runs are settled, which had not begun, and which was in hand. The first are done with, the
second go to the next free place, and the last is tried again by itself, with nothing beside it that could be blamed.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from pathlib import Path
from statistics import median
from typing import Any

from ..engine.ledger import UNSUCCESSFUL, ledger_files, read_lines
from ..engine.limits import Limits
from ..engine.outcome import SweepError, SweepInterrupted, SweepOutcome, outcome_of
from ..engine.part import work_on
from ..engine.sessions import states
from ..engine.supervisor import Progress
from ..storage.store import read_tasks, runs_in_results

MadeExecutor = Executor | Callable[[], Executor]
"""An executor, or a function that makes one: that is called again where one broke, as a process pool does."""

PART_SECONDS = 60.0
"""What a part should last: its process takes two or three seconds to start."""

ATTEMPTS = 3
"""Attempts of a run in whose hands remote processes die."""

_STILLBORN = 3
"""Parts in a row that fail without having begun a run, before the sweep is given up."""

_AHEAD = 2
"""Parts handed over for every place, so that none waits for the next one."""

_LONGEST_REASON = 300

_RECENT = 20
"""Parts from which the time of a run is estimated."""

Receipt = dict[str, Any]


def make_part(directory: str, runs: list[str], limits: Limits) -> Receipt:
    """Make some runs in this process's name; what an executor is given to do.

    Returns:
        ``failed``: number of runs that failed; ``left``: runs that were not tried, or not to the end; ``seconds``: wall
        time, s.
    """
    begun = time.monotonic()
    try:
        outcome = work_on(directory, runs, workers=1, limits=limits)
    except SweepInterrupted as stopped:  # Ctrl-C reaches local processes too
        outcome = stopped.outcome
    return {"failed": len(outcome.failures), "left": outcome.left, "seconds": time.monotonic() - begun}


def check_place(executor: MadeExecutor | None, workers: int | Callable[[], int] | None, limits: Limits) -> None:
    """Refuse an executor, workers and limits that do not fit one another.

    Raises:
        SweepError: with what is allowed.
    """
    if executor is not None and not isinstance(executor, Executor) and not callable(executor):
        raise SweepError(
            f"executor: {executor!r}; must be an executor of concurrent.futures, as a process pool or that of a Dask "
            "client, or a function that makes one"
        )
    if callable(workers):
        if executor is None:
            raise SweepError("workers: a number is needed; only an executor may change its size")
    elif workers is not None and (not isinstance(workers, int) or workers < 1):
        raise SweepError(f"workers: {workers!r}; must be a whole number from 1")
    if executor is not None and limits.walltime is not None:
        raise SweepError("walltime: not for a sweep through an executor; give its jobs one instead")


def work_through(
    directory: str | Path,
    executor: MadeExecutor,
    runs: Iterable[str] | None = None,
    *,
    slots: int | Callable[[], int] = 1,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    progress: Progress | None = None,
    part_seconds: float = PART_SECONDS,
) -> SweepOutcome:
    """Make runs that a planned results directory lacks through an executor.

    Args:
        directory: results directory, on a file system that the remote processes share.
        executor: an executor, or a function that makes one.
        runs: the runs; all if None.
        slots: runs that the executor makes side by side; a function where that changes.
        limits: limits of each run. A wall time belongs to the executor's jobs and is refused here.
        progress: called with (done, failed, total, seconds left).
        part_seconds: what a part should last, s.

    Raises:
        SweepError: if the executor cannot be worked with; what was done stands.
        SweepInterrupted: after Ctrl-C; parts in hand may still be finished where they are.
    """
    check_place(executor, slots, limits)
    tasks = read_tasks(Path(directory))
    if runs is not None:
        wanted = set(runs)
        tasks = [task for task in tasks if task["run_id"] in wanted]
    return _Work(Path(directory), executor, tasks, slots, limits, progress, part_seconds).run()


class _Work:
    """All that is known while the parts of a sweep are made."""

    def __init__(
        self,
        directory: Path,
        executor: MadeExecutor,
        tasks: list[dict[str, Any]],
        slots: int | Callable[[], int],
        limits: Limits,
        progress: Progress | None,
        part_seconds: float,
    ):
        self.directory = directory.absolute()
        self.given = executor
        self.reason = ""  # what the last part that failed said
        self.slots = slots if callable(slots) else lambda: slots
        self.limits = limits
        self.progress = progress
        self.part_seconds = part_seconds
        self.earlier = set(ledger_files(self.directory))
        self.tasks = tasks
        done = runs_in_results(self.directory)
        runs = [task["run_id"] for task in tasks]
        self.total = len(runs)
        self.waiting = deque(run for run in runs if run not in done)
        self.settled = self.total - len(self.waiting)
        self.failed = 0
        self.suspects: deque[str] = deque()
        self.deaths: dict[str, int] = {}
        self.parts: dict[Future[Receipt], list[str]] = {}
        self.paces: deque[float] = deque(maxlen=_RECENT)  # s a run, by part
        self.stillborn = 0

    def run(self) -> SweepOutcome:
        self._tell()
        executor = self._executor()
        try:
            while self.waiting or self.parts or self.suspects:
                broken = not self._feed(executor)
                over = wait(self.parts, return_when=FIRST_COMPLETED).done if self.parts else set()
                cut, broke = self._take(over)
                if broken or broke:
                    executor = self._executor(after=executor)  # of which no process is left then, and no part
                    cut += self._take([part for part in self.parts if part.done()])[0]
                if cut:
                    self._sort(cut)
                self._tell()
        except KeyboardInterrupt:
            raise SweepInterrupted(self._stopped("stopped by Ctrl-C"), self._outcome()) from None
        finally:
            for part in self.parts:
                part.cancel()
            if executor is not self.given:
                executor.shutdown(wait=False)
        return self._outcome()

    def _executor(self, after: Executor | None = None) -> Executor:
        """Return the executor to begin with, or another one after that broke."""
        if isinstance(self.given, Executor):
            if after is not None:
                reason = f"the executor broke ({self.reason}) and cannot be made again"
                raise SweepError(f"{self._stopped(reason)}, or give a function that makes the executor")
            return self.given
        if after is not None:
            after.shutdown(wait=True)
        return self.given()

    def _feed(self, executor: Executor) -> bool:
        """Hand over parts until every place has enough; runs that killed remote processes come last, each alone.

        Returns:
            Whether the executor takes them.
        """
        slots = max(1, self.slots())
        while self.waiting and len(self.parts) < _AHEAD * slots:
            size = self._size(slots)
            part = [self.waiting.popleft() for _ in range(min(size, len(self.waiting)))]
            if not self._submit(executor, part):
                self.waiting.extendleft(reversed(part))
                return False
        if self.suspects and not self.parts and not self.waiting:
            if not self._submit(executor, [self.suspects[0]]):
                return False
            self.suspects.popleft()
        return True

    def _submit(self, executor: Executor, part: list[str]) -> bool:
        try:
            future = executor.submit(make_part, str(self.directory), part, self.limits)
        except BrokenExecutor as error:  # found out before any of its parts said so
            self.reason = _reason(error)
            return False
        self.parts[future] = part
        return True

    def _size(self, slots: int) -> int:
        """Return how many runs the next part has: of known runs so many as fill its time, towards the end fewer."""
        if not self.paces:
            return 1
        fair = -(-len(self.waiting) // (_AHEAD * slots))
        return max(1, min(fair, int(self.part_seconds / median(self.paces))))

    def _take(self, over: Iterable[Future[Receipt]]) -> tuple[list[str], bool]:
        """Take what parts came to; return the runs of parts that were cut off, and whether the executor is broken."""
        broken = False
        cut: list[str] = []
        for part in over:
            runs = self.parts.pop(part)
            try:
                receipt = part.result()
            except SweepError:
                raise
            except (Exception, CancelledError) as error:  # whatever an executor says of a process that died
                broken |= isinstance(error, BrokenExecutor)
                self.reason = _reason(error)
                cut += runs
                continue
            if receipt["left"]:  # its process was told to end
                cut += runs
                continue
            self.stillborn = 0
            self._settle(len(runs), receipt["failed"])
            self.paces.append(receipt["seconds"] / len(runs))
        return cut, broken

    def _sort(self, cut: list[str]) -> None:
        """Find out what became of the runs of parts that were cut off, and see to those that are not settled."""
        done = runs_in_results(self.directory)
        said = self._said()
        begun = False
        for run in cut:
            state = said.get(run, "queued")
            if run in done or state in UNSUCCESSFUL:
                begun = True
                self._settle(1, run not in done)
            elif state == "running":
                begun = True
                self.deaths[run] = self.deaths.get(run, 0) + 1
                if self.deaths[run] < ATTEMPTS:
                    self.suspects.append(run)
                else:
                    self._settle(1, 1)
            else:
                self.waiting.append(run)
        self.stillborn = 0 if begun else self.stillborn + 1
        if self.stillborn >= _STILLBORN:
            raise SweepError(self._stopped(f"remote processes cannot make a run ({self.reason})"))

    def _said(self) -> dict[str, str]:
        """Return the latest state of every run that the journals of this sweep's parts name."""
        return {
            found["run_id"]: found["state"]
            for file in ledger_files(self.directory)
            if file not in self.earlier
            for found in read_lines(file)
        }

    # ------------------------------------------------------------------ what to say

    def _settle(self, runs: int, failed: int) -> None:
        self.settled += runs
        self.failed += failed

    def _tell(self) -> None:
        if self.progress is not None:
            left = self.total - self.settled
            seconds = median(self.paces) * left / max(1, self.slots()) if self.paces else None
            self.progress(self.settled - self.failed, self.failed, self.total, seconds)

    def _stopped(self, why: str) -> str:
        done = len(runs_in_results(self.directory).intersection(task["run_id"] for task in self.tasks))
        return (
            f"{self.directory}: {why}; {done} of {self.total} runs are in the results and stay there; "
            "go on with --resume (resume=True)"
        )

    def _outcome(self) -> SweepOutcome:
        work_on(self.directory, [])  # makes nothing, seals what there is
        return outcome_of(self.directory, self.tasks, states(self.directory))


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:_LONGEST_REASON]
