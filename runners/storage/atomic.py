"""Files that come to stand whole or not at all, whoever writes them, on file systems that many machines share."""

import contextlib
import errno
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO

from .living import process_mark

_TEMPORARY = re.compile(r"\..+\.(?P<host>[^.]+)-(?P<pid>\d+)-(?P<thread>\d+)\.tmp")
_ABANDONED = 24 * 3600.0
"""Age in seconds at which the temporary file of another machine counts as left behind (assumed: no write takes a day)."""


def sync_directory(directory: Path) -> None:
    """Make the renames in a directory last through a loss of power, where the file system can promise that."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # as that of Windows shares says, of any directory
            raise
    finally:
        os.close(handle)


def _host() -> str:
    return _as_word(socket.gethostname())


@cache
def _as_word(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", name) or "host"


def temporary(path: Path) -> Path:
    """Return a name beside a file that no other writer of it has: of this machine, process and thread."""
    return path.with_name(f".{path.name}.{_host()}-{os.getpid()}-{threading.get_ident()}.tmp")


@contextlib.contextmanager
def written(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Yield a file to write; at the end it stands under its temporary name, for a rename to its own.

    Args:
        path: the name that it is to have.
        durable: whether to wait until the disk has it.

    Raises:
        OSError: if the disk does not take it; nothing is left of it.
    """
    part = temporary(path)
    try:
        with part.open("wb") as sink:
            yield sink
            if durable:
                sink.flush()
                os.fsync(sink.fileno())
    except Exception:
        part.unlink(missing_ok=True)
        raise


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that it stands there whole or not at all.

    Raises:
        OSError: if the disk does not take it; whatever stood there before is still there.
    """
    with written(path) as sink:
        sink.write(content)
    put_in_place(path)


def put_in_place(path: Path, name: Path | None = None, *, durable: bool = True) -> None:
    """Give what :func:`written` left its own name, or another one.

    Args:
        path: as for :func:`written`.
        name: another name in the same directory.
        durable: whether to make that last through a loss of power.

    Raises:
        OSError: if the disk does not take it; nothing is left of it.
    """
    part = temporary(path)
    try:
        part.replace(name or path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)


def remove_temporary(directory: Path) -> None:
    """Remove the temporary files and folders of a directory that nobody is writing any more.

    Those are ones of processes of this machine that have ended, of threads of this process that have or that call this,
    and of other machines if they are a day old by the clock of the file system.
    """
    now: float | None = None
    for file in directory.glob(".*.tmp"):
        found = _TEMPORARY.fullmatch(file.name)
        if found is None:
            continue
        if found["host"] == _host():
            ended = not _is_alive(int(found["pid"]), int(found["thread"]))
        else:
            now = _time_of(directory) if now is None else now
            with contextlib.suppress(FileNotFoundError):
                ended = now - file.stat().st_mtime > _ABANDONED
        if ended and file.is_dir():
            shutil.rmtree(file, ignore_errors=True)
        elif ended:
            file.unlink(missing_ok=True)


def _is_alive(pid: int, thread: int) -> bool:
    """Return whether a thread of a process may still write; of other processes, whether they do."""
    if pid == os.getpid():
        return thread != threading.get_ident() and thread in {other.ident for other in threading.enumerate()}
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # of somebody else
    return process_mark(pid) is not None  # a zombie, which nobody has waited for yet, writes no more


def _time_of(directory: Path) -> float:
    """Return the time as the file system of a directory has it; a server's clock may differ from this machine's."""
    probe = temporary(directory / "clock")
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
