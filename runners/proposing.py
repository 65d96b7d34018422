"""Work whose runs are proposed: batch after batch, each a function of what came of those before it.

A batch is written down before it begins, and the next one follows from what is committed. Work that is resumed asks for
its batches again from the first; runs that are in the results are not made again, so it goes on as if it had never
stopped. Runs that failed have failed for good once the next batch has begun, as that depends on it; of the last batch they
are tried again.
"""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from .engine import manifest as manifests
from .engine.ledger import UNSUCCESSFUL, Ledger, attempts_made
from .engine.manifest import Manifest, essence
from .engine.outcome import SweepError, SweepInterrupted, SweepOutcome
from .engine.part import about_session, cores, explained, opening_of, store_of
from .engine.sessions import states
from .engine.supervisor import Progress, Supervisor
from .storage.store import read_tasks, staged_runs
from .sweep import Resume, check_directory, default_block, lock, plain

Task = dict[str, Any]
Found = TypeVar("Found")
_Found_co = TypeVar("_Found_co", covariant=True)


class Proposer(Protocol[_Found_co]):
    """Says what is run next.

    Attributes:
        kind: what it is, for messages, as ``calibration``.
        execute: import path of the function that makes a run.
        context: what all runs share, JSON-able.
        most: number of runs that it may ask for in all.
    """

    @property
    def kind(self) -> str: ...
    @property
    def execute(self) -> str: ...
    @property
    def context(self) -> dict[str, Any]: ...
    @property
    def most(self) -> int: ...

    def batches(self, out: Path) -> Generator[list[Task], set[str], _Found_co]:
        """Propose batch after batch, be told what became of each, and return what was found.

        Everything follows from the results alone, so that it comes to the same whenever it is asked.

        Args:
            out: the results, in which the runs of a batch lie when it has been made.

        Yields:
            The tasks of a batch, of all but ``batch``; send the runs of it that are in the results. All parameters occur
            in the first batch. Runs are named by :func:`run_id`, in order; points are counted on, and one may come again
            with further replicates.

        Raises:
            SweepError: if it cannot go on.
        """
        ...


@dataclass(frozen=True)
class Proposed(Generic[Found]):
    """What came of it, over all its sessions.

    Attributes:
        found: what the proposer found.
        tasks: all runs, in order.
        failed: what to say of each run that is not in the results.
    """

    found: Found
    tasks: list[Task]
    failed: dict[str, str]


def all_failed(out: Path, runs: int) -> SweepError:
    """Return what to raise where all runs of a batch failed, and nothing can follow from them."""
    return SweepError(f"{out}: all {runs} runs of a batch failed; see {out}/errors for what went wrong")


def run_id(run: int) -> str:
    """Return the name of a run."""
    return f"r{run:06d}"


def run_proposed(
    proposer: Proposer[Found],
    out: str | Path,
    *,
    workers: int | None = None,
    resume: Resume = False,
    progress: Progress | None = None,
) -> Proposed[Found]:
    """Make all runs that a proposer asks for, whatever happens to the processes.

    Args:
        proposer: what is to be done.
        out: results directory.
        workers: worker processes; one a core if None. The results do not depend on them.
        resume: go on with what is in ``out``; of what is finished no run is made.
        progress: called with (done, failed, most, seconds left).

    Raises:
        SweepError: if it cannot begin or go on; what was done stands.
        SweepInterrupted: after Ctrl-C or SIGTERM.
    """
    out = Path(out)
    check_directory(out, resume=bool(resume))
    with explained(out, proposer.execute):
        out.mkdir(parents=True, exist_ok=True)
        with lock(out):
            return _Session(proposer, out, cores() if workers is None else workers, resume, progress).run()


class _Session(Generic[Found]):
    """One time that it is worked on."""

    def __init__(self, proposer: Proposer[Found], out: Path, workers: int, resume: Resume, progress: Progress | None):
        if workers < 1:
            raise SweepError(f"workers: {workers}; at least 1 is needed")
        self.proposer, self.out, self.workers, self.progress = proposer, out, workers, progress
        self.context: dict[str, Any] = plain(proposer.context, "context")
        self.tasks: list[Task] = []
        self.number = 0
        self.batches = proposer.batches(out)
        self.current = self._take(next(self.batches))
        self.primed = False
        self.result: Proposed[Found] | None = None
        if resume:
            self.manifest, self.recorded = self._opened(anyway=resume == "anyway")
        else:
            check_directory(out, resume=False)  # again, now that nobody else can begin here
            self.manifest, self.recorded = self._described(), list(self.current)
            manifests.write_tasks(out, self.current)
            manifests.write_manifest(out, self.manifest)
        self.finished = bool(self.manifest.get("finished"))
        runs = [task["run_id"] for task in self.recorded] if self.finished else map(run_id, range(proposer.most))
        self.store = store_of(out, self.manifest, list(runs))

    # ------------------------------------------------------------------ what it is

    def _take(self, proposed: list[Task]) -> list[Task]:
        tasks = [task | {"batch": self.number} for task in proposed]
        self.tasks += tasks
        return tasks

    def _described(self) -> Manifest:
        return manifests.describe(self.current, self.proposer.execute, self.context, default_block(self.proposer.most))

    def _opened(self, *, anyway: bool) -> tuple[Manifest, list[Task]]:
        """Return manifest and runs of what is in the directory; anything else than this is refused."""
        kind = self.proposer.kind
        old, wanted = manifests.read_manifest(self.out), self._described()
        recorded = read_tasks(self.out)
        first = recorded[: len(self.current)]
        wanted |= {"block": old["block"]}
        if lines := manifests.differences(old, wanted, first, plain(self.current, "runs")):
            shown = "\n  ".join(lines)
            raise SweepError(
                f"{self.out}: holds another {kind}:\n  {shown}\n"
                "Resume it with what it was begun with, or begin a new one under another name."
            )
        if (lines := manifests.program_differences(old)) and not anyway:
            shown = "\n  ".join(lines)
            raise SweepError(
                f"{self.out}: was made by another program:\n  {shown}\n"
                f"Resume it with that one, or begin a new {kind} under another name."
            )
        return old, recorded

    # ------------------------------------------------------------------ running

    def run(self) -> Proposed[Found]:
        self.store.clean()
        redone = self.store.set_aside()
        self.committed = self.store.committed()
        self.given_up = self._given_up()
        attempts = attempts_made(self.out)
        most = self.proposer.most
        if not self.finished or redone:
            self._write(finished=False)
        with Ledger(self.out, about_session(self.workers, most, redone)) as ledger:
            supervisor = Supervisor(
                opening_of(self.manifest, self.current),
                workers=self.workers,
                store=self.store,
                ledger=ledger,
                attempts=attempts,
                progress=self.progress,
            )
            stopped = supervisor.run([], self.committed | self.given_up, self._more, most)
            ledger.end(stopped or "finished", **supervisor.settled)
        if stopped or self.result is None:
            self._write(finished=False)
            count = len(self.store.committed())
            stopped = stopped or "a signal"
            raise SweepInterrupted(
                f"Stopped by {stopped}: {count} of at most {most} runs are in {self.out}; "
                "go on with --resume (resume=True).",
                SweepOutcome(self.out, most, count, stopped=stopped),
            )
        store_of(self.out, self.manifest, [task["run_id"] for task in self.tasks]).finish()
        if not self.manifest.get("finished"):
            self._write(finished=True)
        self.result.failed.update({run: entry.told for run, entry in states(self.out).items() if entry.state != "done"})
        return self.result

    def _given_up(self) -> set[str]:
        """Return the runs that failed for good: a batch that began after theirs, or the result, depends on that."""
        last = self.recorded[-1]["batch"]
        found = states(self.out)
        return {
            task["run_id"]
            for task in self.recorded
            if (self.finished or task["batch"] < last) and found[task["run_id"]].state in UNSUCCESSFUL
        }

    def _more(self) -> list[Task]:
        """Return the runs of the next batch that are still to be made; none when all has come to its end."""
        while True:
            if self.primed and not self._advance():
                return []
            self.primed = True
            settled = self.committed | self.given_up
            missing = [task for task in self.current if task["run_id"] not in settled]
            if missing:
                return missing

    def _advance(self) -> bool:
        """Tell what became of the current batch, and take the next one; return whether there is one."""
        runs = [task["run_id"] for task in self.current]
        done = self._committed_of(runs)
        self.committed |= done
        try:
            proposed = self.batches.send(done)
        except StopIteration as stop:
            self.result = Proposed(stop.value, self.tasks, {})
            return False
        self.number += 1
        self.current = self._take(proposed)
        known = self.recorded[len(self.tasks) - len(self.current) : len(self.tasks)]
        if known and [essence(task) for task in known] != plain([essence(task) for task in self.current], "runs"):
            raise SweepError(
                f"{self.out}: its runs are not those that follow from its results; begin a new {self.proposer.kind}"
            )
        if not known:
            self.recorded = list(self.tasks)
            manifests.write_tasks(self.out, self.tasks)
        return True

    def _committed_of(self, runs: list[str]) -> set[str]:
        """Return which of some runs are in the results."""
        staged = staged_runs(self.out)  # listed first: what is sealed meanwhile is found in a shard
        blocks = {int(run[1:]) // self.store.block for run in runs}
        return (staged | {run for block in blocks for run in self.store.sealed(block)}).intersection(runs)

    # ------------------------------------------------------------------ the record

    def _write(self, *, finished: bool) -> None:
        """Write down what it is, with the runs it has come to."""
        described = manifests.describe(self.tasks, self.proposer.execute, self.context, 1)
        reached = {name: described[name] for name in ("runs", "points", "replicates", "versions")}
        self.manifest |= reached | {"finished": finished}
        manifests.write_manifest(self.out, self.manifest)
