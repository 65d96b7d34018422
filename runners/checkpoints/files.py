"""Saved states on disk: a directory that is there whole or not at all.

::

    state.json    what it is: day, seed, scenario, program, city; checksums of the other two
    tree.json     the state as a tree, see :mod:`.graph`
    arrays.npy    the bytes of all its arrays, one after the other; the tree says where each lies

Files are untrusted: nothing is unpickled, and sizes and types are checked before memory is taken.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..storage.atomic import sync_directory, temporary
from ..storage.bulk import parsed
from .graph import Json, described, type_of
from .reader import StateError

FORMAT = 1
"""Version of the layout of a saved state."""
HEAD, TREE, ARRAYS = "state.json", "tree.json", "arrays.npy"
_ALIGNMENT = 64
_LARGEST_TEXT = 1 << 30
"""Bytes of JSON that are read at most."""


def write(path: Path, head: dict[str, Any], tree: Json, arrays: Sequence[NDArray[Any]]) -> None:
    """Write a state under a temporary name and give it its own when it is whole and on the disk.

    Args:
        path: the directory to make; there must be nothing.
        head: what the state is.
        tree: its tree.
        arrays: its arrays by number.

    Raises:
        OSError: if the disk does not take it, or there is something; nothing is left then.
    """
    stage = temporary(path)
    stage.mkdir()
    try:
        places, memory = _packed(arrays)
        text = json.dumps({"arrays": places, "tree": tree}, separators=(",", ":"), allow_nan=False).encode()
        sums = {TREE: hashlib.sha256(text).hexdigest(), ARRAYS: hashlib.sha256(memory.data).hexdigest()}
        about = json.dumps(head | {"format": FORMAT, "checksums": sums}, indent=2, ensure_ascii=False)
        for name, content in ((TREE, text), (HEAD, about.encode(errors="backslashreplace") + b"\n")):
            with (stage / name).open("wb") as sink:
                sink.write(content)
                _sync(sink)
        with (stage / ARRAYS).open("wb") as sink:
            np.save(sink, memory, allow_pickle=False)
            _sync(sink)
        sync_directory(stage)
        if path.exists():
            raise FileExistsError(17, "exists already", str(path))
        stage.rename(path)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    sync_directory(path.parent)


def read_head(path: str | Path) -> dict[str, Any]:
    """Return what a state is, without reading the state itself.

    Raises:
        StateError: if there is none, or it is damaged.
    """
    file = Path(path) / HEAD
    try:
        head = parsed(_text(file))
    except FileNotFoundError:
        raise StateError(f"{path}: not a saved state (no {HEAD})") from None
    except (OSError, ValueError) as error:
        raise StateError(f"{file}: cannot be read ({error})") from None
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise StateError(f"{file}: not a saved state of this version (format {FORMAT} is wanted)")
    wanted = {"day": int, "seed": int, "whole": bool, "scenario": dict, "files": dict, "program": dict, "city": str}
    for name, kind in (wanted | {"checksums": dict, "clock": dict, "begun": list}).items():
        if type(head.get(name)) is not kind:
            raise StateError(f"{file}: damaged: '{name}' is missing or of another kind")
    return head


def sum_of(head: dict[str, Any]) -> str:
    """Return one checksum of a whole state, from its head."""
    return hashlib.sha256(json.dumps(head, sort_keys=True).encode()).hexdigest()


def read(path: str | Path, head: dict[str, Any]) -> tuple[Json, list[NDArray[Any]]]:
    """Return the tree of a state and its arrays.

    Args:
        path: the state.
        head: of :func:`read_head`.

    Raises:
        StateError: if it is damaged.
    """
    path = Path(path)
    try:
        text = _text(path / TREE)
        if hashlib.sha256(text).hexdigest() != head["checksums"].get(TREE):
            raise StateError(f"{path / TREE}: damaged (its checksum is another)")
        memory = np.lib.format.open_memmap(path / ARRAYS, mode="r")  # takes no archive and no pickle
        if memory.dtype != np.uint8 or memory.ndim != 1:
            raise StateError(f"{path / ARRAYS}: damaged (not one row of bytes)")
        if hashlib.sha256(memory.data).hexdigest() != head["checksums"].get(ARRAYS):
            raise StateError(f"{path / ARRAYS}: damaged (its checksum is another)")
        content = json.loads(text)
        return content["tree"], [_unpacked(memory, *place) for place in content["arrays"]]
    except StateError:
        raise
    except (OSError, EOFError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise StateError(f"{path}: damaged ({type(error).__name__}: {error})") from None


def _packed(arrays: Sequence[NDArray[Any]]) -> tuple[list[Json], NDArray[np.uint8]]:
    """Return where each array lies and how it is to be read, and the bytes of all."""
    places: list[Json] = []
    end = 0
    for array in arrays:
        order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        places.append([end, described(array.dtype), list(array.shape), order])
        end += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
    memory = np.zeros(end, np.uint8)
    for array, (start, _, _, order) in zip(arrays, places, strict=True):
        if array.nbytes:
            flat = (array.T if order == "F" else array).ravel()
            memory[start : start + array.nbytes] = flat.view(np.uint8)
    return places, memory


def _unpacked(memory: NDArray[np.uint8], start: int, described: Json, shape: Sequence[int], order: Any) -> NDArray[Any]:
    dtype = type_of(described)
    size = dtype.itemsize
    for extent in shape:
        if type(extent) is not int or extent < 0:
            raise ValueError(f"an array of shape {shape}")
        size *= extent
    if type(start) is not int or not 0 <= start <= len(memory) - size or order not in ("C", "F"):
        raise ValueError("an array that lies outside the file")
    if not size:
        return np.empty(shape, dtype)
    return np.ndarray(tuple(shape), dtype, memory.data, start, order=order).copy(order=order)


def _text(file: Path) -> bytes:
    if file.stat().st_size > _LARGEST_TEXT:
        raise ValueError("larger than any saved state")
    return file.read_bytes()


def _sync(sink: Any) -> None:
    sink.flush()
    os.fsync(sink.fileno())


def remove(path: Path) -> None:
    """Remove a state, its head first, so that what is left of it is no state."""
    with contextlib.suppress(OSError):
        (path / HEAD).unlink()
        shutil.rmtree(path)
