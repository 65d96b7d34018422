"""Progress of long work, shown where somebody is watching."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def progress_bar(unit: str) -> Iterator[Callable[[int, int, float | None, str], None]]:
    """Show progress while something long goes on; nothing if nobody is watching.

    Yields:
        ``move(done, total, seconds_left, note)``; without ``seconds_left`` they are estimated.
    """
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from tqdm import tqdm

    bar: Any = None

    def move(done: int, total: int, left: float | None, note: str) -> None:
        nonlocal bar
        time_left = "{remaining}" if left is None else tqdm.format_interval(left)
        shape = f"{{percentage:3.0f}}% |{{bar}}| {{n_fmt}}/{{total_fmt}} {unit}, {time_left} left {note}"
        if bar is None:
            bar = tqdm(total=total, leave=False, dynamic_ncols=True, bar_format=shape)
        bar.bar_format = shape
        bar.n = done
        bar.refresh()

    try:
        yield move
    finally:
        if bar is not None:
            bar.close()
