"""How a run is asked to stop before it is done, and where it keeps what it has reached until it goes on.

The function that makes a run may look, as often as it likes, whether it is asked to stop (:func:`asked`). If so, it
saves its state in :func:`folder` and raises :class:`Paused`; the next attempt, maybe on another machine, finds the
folder as it was left and goes on from there. The folder goes once the run is committed.
"""

from pathlib import Path

CHECKPOINTS = "checkpoints"
"""Folder of a results directory in which runs keep what they go on from, each in one of its own name."""


class Paused(Exception):  # noqa: N818 - it is no error
    """Raised by a run that was asked to stop, once its state is saved."""


class _InHand:
    """The run in hand of this process, of which a worker has one at a time."""

    folder: Path | None = None
    asked = False
    looks = False


_run = _InHand()


def asked() -> bool:
    """Return whether the run in hand is asked to stop soon; always False outside a worker of a sweep."""
    _run.looks = True
    return _run.asked


def folder() -> Path | None:
    """Return where the run in hand may keep its state, ``checkpoints/<run_id>``; None outside a worker of a sweep.

    The folder exists if and only if an earlier attempt, or this one, made it.
    """
    return _run.folder


def ask() -> bool:
    """Ask the run in hand to stop; return whether it has ever looked, so that it will see."""
    _run.asked = True
    return _run.looks


def begin(folder: Path | None) -> None:
    """Let a new run be in hand, with its folder."""
    _run.folder, _run.asked, _run.looks = folder, False, False


def looks() -> bool:
    """Return whether the run in hand has looked, so that it can be paused."""
    return _run.looks
