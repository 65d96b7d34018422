"""Blocks of runs that are sealed as soon as they are complete, by a thread beside the one that has the runs made."""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from ..storage.stage import staged_runs
from ..storage.store import Store


class Sealing:
    """Counts the runs that are still expected in each block, and seals those where none is.

    Args:
        store: the results.
        told: called, from another thread, after each block.
    """

    def __init__(self, store: Store, told: Callable[[], None]):
        self._store = store
        self._told = told
        self._block_of = {run: number for number in range(store.blocks) for run in store.runs_of(number)}
        self._expected: Counter[int] = Counter()
        self._thread = ThreadPoolExecutor(1, "seal")
        self._begun: deque[Future[None]] = deque()

    def block_of(self, run: str) -> int:
        """Return the number of the block of a run."""
        return self._block_of[run]

    def expect(self, runs: Iterable[str]) -> None:
        """Expect further runs: their blocks are sealed when they are settled."""
        self._expected.update(map(self.block_of, runs))

    def settled(self, run: str) -> None:
        """Expect a run no more; seal its block if it was the last one."""
        block = self.block_of(run)
        self._expected[block] -= 1
        if not self._expected[block]:
            del self._expected[block]
            seal = self._thread.submit(self._seal, block)
            self._begun.append(seal)
            seal.add_done_callback(lambda _: self._told())

    def _seal(self, block: int) -> None:
        """Seal a block that is complete; if it is not, whoever completes it does."""
        if staged_runs(self._store.directory).issuperset(self._store.runs_of(block)):
            self._store.seal(block)

    def check(self) -> None:
        """Look whether what has been sealed so far went well.

        Raises:
            OSError: if the disk did not take it.
            StoreError: if a staged run is damaged.
        """
        while self._begun and self._begun[0].done():
            self._begun.popleft().result()

    def end(self) -> None:
        """Wait until all that was begun is over; :meth:`check` says how it went."""
        self._thread.shutdown()
