"""The streets as they are today: what traffic makes of them, for whoever else drives on them."""

import numpy as np
from numpy.typing import NDArray

QUARTER = 900.0
"""Seconds of a quarter of an hour."""


class StreetsToday:
    """Seconds that links took on the latest day of traffic, by quarter of an hour.

    Attributes:
        day: that day of the run; −1 while there has been none.
    """

    def __init__(self) -> None:
        self.day = -1
        self._seconds: NDArray[np.float64] | None = None

    def note(self, day: int, seconds: NDArray[np.float64]) -> None:
        """Take down what a day was like.

        Args:
            day: day of the run.
            seconds: float64 (quarters, links); not a number where nobody came by.
        """
        self.day, self._seconds = day, seconds

    def seconds(self, start: float, end: float) -> NDArray[np.float64] | None:
        """Return the mean seconds of links (links,) between two moments of the day, in seconds after midnight.

        Returns:
            None if there is no traffic.
        """
        if self._seconds is None:
            return None
        first = int(start // QUARTER)
        last = max(int(np.ceil(end / QUARTER)), first + 1)
        return self._seconds[first:last].mean(axis=0)  # type: ignore[no-any-return]
