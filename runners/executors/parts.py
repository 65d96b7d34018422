"""How runs are packed into the tasks of a job array: by what they are expected to cost, so that all last alike."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from ..engine.ledger import Entry
from ..storage.store import write_atomic
from .job import SubmitError

MOST_TASKS = 1000
"""Tasks of a job array; Slurm (``MaxArraySize`` 1001) and LSF take no more unless they are told to."""

PARTS = "parts.jsonl"


def measured(entries: "Sequence[Entry]", points: Mapping[str, int]) -> dict[int | None, float]:
    """Return what a run of every point has taken, s of wall time; under None what a run has taken over all points.

    The first run of a worker also loads its kernels; where there are others it is left out.

    Args:
        entries: lines of the ledger.
        points: point of every run.
    """
    seen: set[tuple[str, int]] = set()
    first: dict[int, list[float]] = {}
    later: dict[int, list[float]] = {}
    for entry in entries:
        if entry.state == "done" and entry.seconds > 0 and entry.run_id in points:
            worker = (entry.host, entry.pid)
            (later if worker in seen else first).setdefault(points[entry.run_id], []).append(entry.seconds)
            seen.add(worker)
    found: dict[int | None, float] = {point: fmean(seconds) for point, seconds in (later or first).items()}
    return found | {None: fmean(found.values())} if found else {}


def costs(tasks: Sequence[Mapping[str, Any]], by_point: Mapping[int | None, float]) -> list[float]:
    """Return what each run is expected to take, s: as others of its point, or as all."""
    return [by_point.get(task["point"], by_point[None]) for task in tasks]


def how_many(cost: float, runs: int, seconds: float, workers: int, most: int = MOST_TASKS) -> int:
    """Return the number of tasks so that each lasts about so long.

    Args:
        cost: what all runs take one after another, s.
        runs: number of runs.
        seconds: what a task should last, s.
        workers: runs that a task makes side by side.
        most: number of tasks that an array may have.
    """
    return max(1, min(math.ceil(cost / (seconds * workers)), math.ceil(runs / workers), most))


def pack(runs: Sequence[str], cost: Sequence[float], parts: int) -> list[list[str]]:
    """Divide runs into parts of like cost, each a stretch of the order of runs: its blocks can be sealed early.

    Args:
        runs: runs in order.
        cost: what each takes.
        parts: number of parts; there are fewer if there are fewer runs.

    Returns:
        The parts, none of them empty.
    """
    parts = min(parts, len(runs))
    share = sum(cost) / parts if parts else 0.0
    packed: list[list[str]] = []
    begun = 0.0  # cost of all runs so far
    for number, (run, seconds) in enumerate(zip(runs, cost, strict=True)):
        # A run belongs where its middle lies; but every part gets one, and as many runs are left as parts are.
        due = not packed or begun + seconds / 2 >= share * len(packed) or len(runs) - number <= parts - len(packed)
        if due and len(packed) < parts:
            packed.append([])
        packed[-1].append(run)
        begun += seconds
    return packed


def stride(runs: Sequence[str], part: int, parts: int) -> list[str]:
    """Return the runs of a part where every so manyth run belongs to it: the same whatever has been done so far."""
    return list(runs[part::parts])


def write_parts(folder: Path, parts: Sequence[Sequence[str]]) -> None:
    """Write the parts, one a line.

    Raises:
        OSError: if the disk does not take it.
    """
    write_atomic(folder / PARTS, "".join(json.dumps(part) + "\n" for part in parts).encode())


def read_parts(folder: Path) -> list[list[str]]:
    """Return the runs of all parts.

    Raises:
        SubmitError: if the file is damaged.
    """
    file = folder / PARTS
    try:
        parts = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        if not all(isinstance(part, list) and all(isinstance(run, str) for run in part) for part in parts):
            raise ValueError("not a list of runs")
    except (OSError, ValueError) as error:
        raise SubmitError(f"{file}: cannot be read ({error}); submit again what is missing (--resume)") from None
    return parts


def read_part(folder: Path, number: int) -> list[str]:
    """Return the runs of a part.

    Raises:
        SubmitError: if there is no such part, or the file is damaged.
    """
    parts = read_parts(folder)
    if number >= len(parts):
        raise SubmitError(f"{folder / PARTS}: has no part {number}; there are {len(parts)}, from 0 to {len(parts) - 1}")
    return parts[number]
