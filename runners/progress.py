"""Progress of long work, shown where somebody is watching."""

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_PATIENCE = 1.0
"""Seconds after which somebody who watches begins to wonder."""


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


@contextmanager
def sign_of_life(doing: str) -> Iterator[Callable[[str], None]]:
    """Say what goes on and for how long, where there is no telling how much is left; nothing if nobody is watching.

    Args:
        doing: what goes on, for example ``"building the city"``; "" for nothing yet.

    Yields:
        ``say(doing)``: from now on something else goes on, or with "" nothing of which to speak.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    said, began = doing, time.monotonic()
    shown = False
    lock, ended = threading.Lock(), threading.Event()

    def wipe() -> None:
        nonlocal shown
        if shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
        shown = False

    def say(doing: str) -> None:
        nonlocal said, began
        with lock:
            wipe()
            said, began = doing, time.monotonic()

    def show() -> None:
        nonlocal shown
        while not ended.wait(_PATIENCE):
            with lock:
                wipe()
                line = f"{said} … {time.monotonic() - began:.0f} s"
                if said:
                    sys.stderr.write(line[: shutil.get_terminal_size().columns - 1])
                    sys.stderr.flush()
                    shown = True

    clock = threading.Thread(target=show, daemon=True)
    clock.start()
    try:
        yield say
    finally:
        ended.set()
        clock.join()
        wipe()
