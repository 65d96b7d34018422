"""The runs that a session has still to see to, where other sessions may be at the same ones."""

import random
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..storage.stage import STAGE
from .sessions import Others

Task = dict[str, Any]

ATTEMPTS = 2
"""Attempts of a run whose process dies: it may have been an innocent victim once."""


class Todo:
    """Runs that wait for this session, and those that others have in hand, which wait for the others.

    Args:
        directory: results directory.
        others: sessions that may work on the same runs; None if those are left to this one.
        settled: called with a run that others have settled, and whether it is done.

    Attributes:
        waiting: runs that wait for this session, in the order in which they are made.
        theirs: runs that others have in hand.
    """

    def __init__(self, directory: Path, others: Others | None, settled: Callable[[str, bool], None]):
        self.waiting: deque[Task] = deque()
        self.theirs: list[Task] = []
        self._stage = directory / STAGE
        self._others = others
        self._settled = settled
        self._elsewhere: dict[str, dict[str, Any]] = {}

    def add(self, tasks: Iterable[Task], block_of: Callable[[str], int], luck: str) -> None:
        """Add runs, in the order in which they come, but where others are at them block by block.

        Args:
            tasks: runs.
            block_of: number of the block of a run.
            luck: what the order of the blocks follows from; another for every session, so that they seldom meet.
        """
        if self._others is None or not self._others.any:
            self.waiting.extend(tasks)
            return
        blocks: dict[int, list[Task]] = {}
        for task in tasks:
            blocks.setdefault(block_of(task["run_id"]), []).append(task)
        numbers = list(blocks)
        random.Random(luck).shuffle(numbers)
        for number in numbers:
            self.waiting.extend(blocks[number])

    def next(self) -> Task | None:
        """Return the next run that nobody else has made or has in hand, None if there is none."""
        if self._others is None or not self._others.any:
            return self.waiting.popleft() if self.waiting else None
        in_hand = self._others.in_hand()
        while self.waiting:
            task = self.waiting.popleft()
            run = task["run_id"]
            if self._is_settled(run):
                continue
            if (self._stage / f"{run}.arrow").exists():  # done since the last look
                self._settled(run, True)
            elif run in in_hand:
                self.theirs.append(task)
            else:
                return task
        return None

    def look(self, *, idle: bool) -> None:
        """See what others have done, and take over what they had in hand when they died.

        Args:
            idle: whether this session has nothing in hand, so that it looks at once for what others leave to it.
        """
        if self._others is None:
            return
        self._elsewhere |= self._others.look(now=bool(self.theirs) and not self.waiting and idle)
        if not self.theirs:
            return
        in_hand = self._others.in_hand()
        before, self.theirs = self.theirs, []
        for task in before:
            if not self._is_settled(task["run_id"]):
                (self.theirs if task["run_id"] in in_hand else self.waiting).append(task)

    def _is_settled(self, run: str) -> bool:
        """Return whether others have settled a run, and tell so."""
        said = self._elsewhere.pop(run, None)
        if said is None or said["state"] == "queued" or (said["state"] == "killed" and said["attempt"] < ATTEMPTS):
            return False
        self._settled(run, said["state"] == "done")
        return True
