"""``sweep.json``: what a sweep is, with what program and on which machines it ran; and whether another is the same.

What decides the results (scenario, points, seeds, cities, program) must be the same when a sweep is resumed. It is
written when the sweep is planned and stays as it is unless the sweep grows. What varies without touching the results
(times, machines, number of workers) stands with each session in the ledger.
"""

import difflib
import hashlib
import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from ..storage.atomic import sync_directory, temporary, write_atomic, written
from ..storage.bulk import parsed, uncollected
from ..storage.stage import MANIFEST, TASKS
from ..storage.store import SCHEMA_VERSION
from .ledger import now

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = __name__.partition(".")[0]
FLOORS = ("environment", "agents", "runners")
_KINDS = {"execute": str, "context": dict, "block": int, "runs": int, "cities": dict, "versions": dict}
_LIBRARIES = ("mesa", "numpy", "numba", "pyarrow")
_SHOWN = 30
_CHUNK = 1 << 20

Manifest = dict[str, Any]


class ManifestError(ValueError):
    """A ``sweep.json`` that is missing or damaged; the message names the file."""


@cache
def program() -> dict[str, str]:
    """Return the versions of all that the bytes of the results depend on, with a checksum of this package's code."""
    from ... import __version__

    code = hashlib.sha256()
    inside = (file for floor in FLOORS for kind in ("*.py", "*.toml") for file in (ROOT / floor).rglob(kind))
    files = [*ROOT.glob("*.py"), *inside]  # shipped diseases are TOML
    for file in sorted(files):
        code.update(f"{file.relative_to(ROOT).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    versions = {
        "python": ".".join(platform.python_version_tuple()[:2]),
        PACKAGE: __version__,
        "code": code.hexdigest()[:16],
    }
    for library in _LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            versions[library] = "none"
    return versions


def git_state() -> dict[str, Any] | None:
    """Return the commit of the clone that this package runs from and whether it has changes; None without a clone."""
    if not (ROOT / ".git").exists():
        return None
    try:
        head, status = (
            subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, timeout=10, check=True).stdout
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": head.strip(), "changed": bool(status.strip())}


def machine() -> dict[str, Any]:
    """Return what this machine is."""
    return {
        "host": socket.gethostname(),
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "python": sys.version.split()[0],
    }


@uncollected()
def describe(tasks: Sequence[Mapping[str, Any]], execute: str, context: Mapping[str, Any], block: int) -> Manifest:
    """Return the manifest of a sweep that is about to begin, all of it JSON-able.

    Args:
        tasks: all runs in order.
        execute: import path of the function that makes a run.
        context: what all runs share; its ``scenario`` is kept as a key of its own.
        block: runs a shard.
    """
    points: dict[int, dict[str, Any]] = {}
    for task in tasks:
        points.setdefault(task["point"], task.get("parameters", {}))
    context = dict(context)
    return {
        "schema_version": SCHEMA_VERSION,
        "started": now(),
        "runs": len(tasks),
        "parameters": list(dict.fromkeys(name for parameters in points.values() for name in parameters)),
        "points": [{"point": point, "parameters": parameters} for point, parameters in points.items()],
        "replicates": sorted({task["replicate"] for task in tasks}),
        "scenario": context.pop("scenario", None),
        "execute": execute,
        "context": context,
        "block": block,
        "cities": _cities(tasks),
        "versions": program(),
        "git": git_state(),
    }


def _cities(tasks: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """Return the checksum of every bundle that the tasks name; None for one that is not there."""
    paths = dict.fromkeys(task["city"] for task in tasks if isinstance(task.get("city"), str))
    return {path: _bundle_digest(Path(path)) for path in paths}


def _bundle_digest(bundle: Path) -> str | None:
    """Return a checksum of all that a city bundle holds: its head and every column, by name."""
    head = bundle / "city.json"
    if not head.is_file():
        return None
    digest = hashlib.blake2b(digest_size=32)
    for file in [head, *sorted(bundle.rglob("*.npy"))]:
        digest.update(f"{file.relative_to(bundle).as_posix()}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def essence(task: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what of a task decides its results: where a city lies does not, what is in it is compared by checksum."""
    return {key: value for key, value in task.items() if key != "city"} if "city" in task else task


def read_manifest(directory: Path) -> Manifest:
    """Return the manifest of a results directory.

    Raises:
        ManifestError: if there is none, or it is damaged; the message names the file.
    """
    file = directory / MANIFEST
    try:
        with uncollected():
            found = parsed(file.read_bytes())
        if not isinstance(found, dict):
            raise TypeError("not a table")
        if not layout_differences(found):
            _check(found)
    except FileNotFoundError:
        raise ManifestError(f"{directory}: not a results directory (no {MANIFEST})") from None
    except (OSError, ValueError, TypeError) as error:
        raise ManifestError(f"{file}: not a readable description of a sweep ({error})") from None
    return found


def _check(manifest: Manifest) -> None:
    """Refuse a manifest that lacks what the engine goes by.

    Raises:
        ValueError: naming the key.
    """
    for key, kind in _KINDS.items():
        if type(manifest.get(key)) is not kind:
            raise ValueError(f"'{key}' is missing or no {kind.__name__}")
    if not isinstance(manifest.get("scenario", 0), dict | str | None):
        raise ValueError("'scenario' is missing or neither table nor text")
    if manifest["block"] < 1:
        raise ValueError(f"'block' is {manifest['block']}, not 1 or more")


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write ``sweep.json``, wholly or not at all.

    Raises:
        OSError: if the disk does not take it.
    """
    write_atomic(directory / MANIFEST, _text(manifest))


def write_first_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the ``sweep.json`` that makes a directory a sweep; of several who do at once one succeeds.

    Raises:
        FileExistsError: if there is one.
        OSError: if the disk does not take it.
    """
    path, draft = directory / MANIFEST, temporary(directory / MANIFEST)
    with written(path) as sink:
        sink.write(_text(manifest))
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        raise
    except OSError:  # a file system without such links
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_directory(directory)


def _text(manifest: Manifest) -> bytes:
    """Return a manifest as people read it; of points, which may be many, each is a line."""
    lines = [b"  " + to_json(name) + b": " + _indented(name, value) for name, value in manifest.items()]
    return b"{\n" + b",\n".join(lines) + b"\n}\n"


def _indented(name: str, value: Any) -> bytes:
    if name == "points" and value:
        return b"[\n    " + b",\n    ".join(map(to_json, value)) + b"\n  ]"
    return json.dumps(value, indent=2, ensure_ascii=False).replace("\n", "\n  ").encode()


def write_tasks(directory: Path, tasks: Sequence[Mapping[str, Any]]) -> None:
    """Write the tasks in run order, one JSON object a line.

    Raises:
        OSError: if the disk does not take them.
    """
    write_atomic(directory / TASKS, b"".join(to_json(task) + b"\n" for task in tasks))


def differences(
    old: Manifest, new: Manifest, old_tasks: Sequence[Mapping[str, Any]], tasks: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return what keeps one sweep from being continued as another, the program apart, in lines to be shown."""
    lines = layout_differences(old)
    if old.get("scenario") != new["scenario"]:
        lines += ["scenario:", *_text_difference(old.get("scenario"), new["scenario"])]
    before, after = old.get("context") or {}, dict(new["context"])
    lines += _file_differences(before.get("files") or {}, after.pop("files", {}))
    after.pop("own", None)
    lines += _changes("class of", _own(old, "class"), _own(new, "class"))
    rest = {name: value for name, value in before.items() if name not in ("files", "own")}
    lines += _changes("context", rest, after)
    lines += _changes("", {"execute": old.get("execute")}, {"execute": new["execute"]})
    lines += _task_differences(old_tasks, tasks)
    bundles = old.get("cities", {})
    cities = [sorted(map(str, manifest.values())) for manifest in (bundles, new["cities"])]
    if cities[0] != cities[1]:
        changed = [path for path, digest in new["cities"].items() if digest not in bundles.values()]
        lines.append(f"cities: not the bundles they were ({', '.join(changed or bundles)})")
    return lines if len(lines) <= _SHOWN else [*lines[:_SHOWN], f"… and {len(lines) - _SHOWN} more lines"]


def layout_differences(old: Manifest) -> list[str]:
    """Return how the layout of a results directory differs from that of this program, in lines to be shown."""
    there = old.get("schema_version")
    return [] if there == SCHEMA_VERSION else [f"layout of the results: {there} there, {SCHEMA_VERSION} here"]


def program_differences(old: Manifest, new: Manifest | None = None) -> list[str]:
    """Return how this program differs from the one that last worked on a sweep, in lines to be shown.

    Args:
        old: manifest of the sweep.
        new: what it would be now; without it the code of a user's own classes is not compared.
    """
    own = [] if new is None else _changes("code of", _own(old, "code"), _own(new, "code"))
    return _changes("version of", old.get("versions"), program()) + own


def _own(manifest: Manifest, what: str) -> dict[str, str]:
    """Return class or code of each class of a user's own."""
    return {name: record[what] for name, record in ((manifest.get("context") or {}).get("own") or {}).items()}


def _file_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    lines = []
    for path in {**old, **new}:
        if old.get(path) != new.get(path):
            lines += [f"{path}: is not what it was:", *_text_difference(old.get(path), new.get(path))]
    return lines


def _text_difference(old: Any, new: Any) -> list[str]:
    texts = [value if isinstance(value, str) else json.dumps(value, indent=1, sort_keys=True) for value in (old, new)]
    found = difflib.unified_diff(texts[0].splitlines(), texts[1].splitlines(), "there", "here", n=0, lineterm="")
    return [f"  {line}" for line in found if not line.startswith(("---", "+++", "@@"))]


def _changes(what: str, old: Any, new: Any) -> list[str]:
    old = old if isinstance(old, dict) else {}
    return [
        f"{what} {key}: {_short(old.get(key))} there, {_short(new.get(key))} here".strip()
        for key in {**old, **new}
        if old.get(key) != new.get(key)
    ]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _task_differences(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[str]:
    if old == new:
        return []
    lines = []
    if len(old) != len(new):
        lines.append(f"runs: {len(old)} there, {len(new)} here")
    for before, after in zip(old, new, strict=False):
        if essence(before) != essence(after):
            lines.append(f"first run that differs: {before.get('run_id')} there, {after.get('run_id')} here")
            lines += [f"  {line}" for line in _changes("", essence(before), essence(after))]
            break
    return lines
