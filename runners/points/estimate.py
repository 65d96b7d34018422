"""What a sweep will take: processor time, time, memory and disk, measured by runs that are thrown away."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engine.memory import peak
from ..scenarios.cities import prepare_cities
from .layout import first_of
from .settings import MAX_RUNS

if TYPE_CHECKING:
    from ..scenarios.scenario import Scenario

PATIENCE = 20.0
"""Processor time [s] after which a measured run is broken off; what is left of its days is taken to cost as much."""


class EstimateError(RuntimeError):
    """A run that could not be measured; the message says why."""


@dataclass(frozen=True)
class Measured:
    """What one run took.

    Attributes:
        point: its point.
        days: days that were run.
        of: days that it has.
        cpu: processor time of the whole run [s]: making the model, and all days at the cost of those that were run.
        wall: time of the whole run [s], reckoned in the same way.
        memory: greatest resident memory of its process [bytes].
        disk: size of its results as a shard of one run [bytes]; many runs in one shard take less each.
    """

    point: int
    days: int
    of: int
    cpu: float
    wall: float
    memory: int
    disk: int


@dataclass(frozen=True)
class Estimate:
    """What a sweep will take.

    Attributes:
        points: number of points.
        runs: runs that are made whatever comes out.
        most_runs: runs that there may be.
        workers: processes that run side by side.
        measured: what runs took, of the first point and of the last.
        cities: cities that are built first, and how long the building of one took [s]; 0 if it lies there.
        city_seconds: time that the building of one took [s].
        city_bytes: size of one [bytes].
        cpu_budget: processor time that the sweep may use [s]; None if that is not limited.
    """

    points: int
    runs: int
    most_runs: int
    workers: int
    measured: tuple[Measured, ...]
    cities: int
    city_seconds: float
    city_bytes: int
    cpu_budget: float | None = None

    @property
    def cpu(self) -> float:
        """Processor time of a run [s]: the mean of those measured."""
        return sum(run.cpu for run in self.measured) / len(self.measured)

    @property
    def disk(self) -> int:
        """Size of a run's results [bytes], at most: the mean of those measured."""
        return sum(run.disk for run in self.measured) // len(self.measured)

    @property
    def memory(self) -> int:
        """Memory of a worker [bytes]: the most of those measured."""
        return max(run.memory for run in self.measured)

    def cpu_seconds(self, runs: int) -> float:
        """Return the processor time of so many runs [s], no more than the budget."""
        total = runs * self.cpu
        return total if self.cpu_budget is None else min(total, self.cpu_budget)

    def wall_seconds(self, runs: int) -> float:
        """Return the time of so many runs [s] on the cores there are, cities included."""
        wall = sum(run.wall for run in self.measured) / len(self.measured)
        side_by_side = min(self.workers, runs, _cores())
        return self.cities * self.city_seconds + self.cpu_seconds(runs) * max(wall / self.cpu, 1.0) / side_by_side

    def disk_bytes(self, runs: int) -> int:
        """Return the size of the results of so many runs [bytes], at most, cities included."""
        return runs * self.disk + self.cities * self.city_bytes

    def facts(self) -> dict[str, Any]:
        """Return all of it, JSON-able: seconds and bytes."""
        return {
            "points": self.points,
            "runs": self.runs,
            "most_runs": self.most_runs,
            "workers": self.workers,
            "cpu_seconds_a_run": round(self.cpu, 4),
            "cpu_seconds": [round(self.cpu_seconds(runs), 2) for runs in (self.runs, self.most_runs)],
            "wall_seconds": [round(self.wall_seconds(runs), 2) for runs in (self.runs, self.most_runs)],
            "memory_bytes_a_worker": self.memory,
            "memory_bytes": self.memory * self.workers,
            "disk_bytes_a_run": self.disk,
            "disk_bytes": [self.disk_bytes(runs) for runs in (self.runs, self.most_runs)],
            "cities": self.cities,
            "city_seconds": round(self.city_seconds, 3),
            "city_bytes": self.city_bytes,
            "measured": [vars(run) for run in self.measured],
        }


def estimate(scenario: "Scenario", workers: int, told: Callable[[str], None] | None = None) -> Estimate:
    """Measure what a sweep will take; nothing is kept.

    A run of the first point and one of the last are made, as costs differ, each in a process of its own with compiled
    kernels, and broken off when it takes long. Their cities are built if they are no bundles.

    Args:
        scenario: the scenario.
        workers: processes that will run side by side.
        told: called with what goes on.

    Raises:
        ScenarioError, CityError: as for the sweep itself.
        EstimateError: if a measured run fails.
    """
    from ..preparation import context_of

    scenario.check_files()
    first = first_of(scenario.kinds())
    chosen = sorted({0, len(scenario.layout) - 1})
    variants = [scenario.at_point(scenario.layout.points[number]) for number in chosen]
    # A city of a kind is that of its first point; equal settings make one city.
    built = {
        scenario.variants[number].city.model_dump_json()
        for number in first.values()
        if _is_built(scenario.variants[number])
    }
    folder = Path(tempfile.mkdtemp(prefix="citytwin-"))
    try:
        begun = time.monotonic()
        paths = prepare_cities([variant.city for variant in variants], folder, told=told)
        seconds = time.monotonic() - begun
        mine = {path for path in paths if folder in path.parents}
        size = sum(map(_size, mine)) // max(len(mine), 1)
        measured = []
        for number, variant, path in zip(chosen, variants, paths, strict=True):
            if told is not None:
                told(f"measuring a run of point {number}")
            context = context_of(variant, []) | {"city": str(path), "seed": scenario.seed, "folder": str(folder)}
            measured.append(Measured(number, **_in_a_process(context)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    runs, most, cpu = _bounds(scenario)
    each = seconds / max(len(mine), 1) if mine else 0.0
    return Estimate(len(scenario.layout), runs, most, workers, tuple(measured), len(built), each, size, cpu)


def _bounds(scenario: "Scenario") -> tuple[int, int, float | None]:
    """Return how many runs there are at least and at most, and the processor time they may take."""
    most = min(len(scenario.layout) * scenario.sweep.most_replicates, MAX_RUNS)
    runs, budget = scenario.runs, scenario.sweep.allowance
    if budget is None:
        return runs, most, None
    if budget.runs is not None:
        return min(runs, budget.runs), min(most, budget.runs), None
    return runs, most, budget.cpu


def _is_built(variant: "Scenario") -> bool:
    return variant.city.bundle is None or bool(variant.built_designs())


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_a_process(context: Mapping[str, Any]) -> dict[str, Any]:
    """Measure a run in a process of its own, as a sweep makes it."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        try:
            return pool.submit(_measure, context).result()
        except BrokenProcessPool:
            raise EstimateError(
                "the measured run was killed, perhaps for want of memory; take a smaller city"
            ) from None
        except Exception as error:
            raise EstimateError(f"the measured run failed: {type(error).__name__}: {error}") from error


def _measure(context: Mapping[str, Any]) -> dict[str, Any]:
    """Make a run, or its first days, and return what it took."""
    from ...environment.city import City
    from ..model import CityModel
    from ..scenarios.scenario import Scenario
    from ..storage import store
    from ..storage.tables import to_tables
    from ..warm_ups import WARM_UPS, warm_up

    scenario = Scenario.from_dict(context["scenario"], context["files"])
    # Kernels are in this process then, as they are in a worker after its first run.
    warm_up([section for section in WARM_UPS if section in context["scenario"]], threads=(1,))
    cpu, wall = time.process_time(), time.monotonic()
    model = CityModel(scenario, City.load(context["city"]), context["seed"])
    made_cpu, made_wall = time.process_time(), time.monotonic()
    while model.running and (model.day == 0 or time.process_time() - made_cpu < PATIENCE):
        model.step()
    share = scenario.clock.days / model.day
    task = {"run_id": "measured", "point": 0, "replicate": 0, "seed": context["seed"], "parameters": {}}
    results = Path(context["folder"]) / "results"
    results.mkdir()
    store.commit(results, "measured", to_tables(task, model.outputs(), {}))
    spent_cpu, spent_wall = time.process_time() - made_cpu, time.monotonic() - made_wall
    store.Store(results, ["measured"], 1, {}).seal(0)
    size = _size(results)
    shutil.rmtree(results)
    return {
        "days": model.day,
        "of": scenario.clock.days,
        "cpu": made_cpu - cpu + spent_cpu * share,
        "wall": made_wall - wall + spent_wall * share,
        "memory": peak(),
        "disk": int(size * share),
    }


# ---------------------------------------------------------------------- in words


def estimate_text(name: str, found: Estimate, out: Path) -> str:
    """Return what a sweep will take, for people to read.

    Args:
        name: of the scenario.
        found: the estimate.
        out: results directory that is meant; only the free space of its disk is looked at.
    """
    parts = [
        f"point {run.point}: {_seconds(run.cpu)}"
        + (f" ({run.days} of {run.of} days were run)" if run.days < run.of else "")
        for run in found.measured
    ]
    several = found.most_runs > found.runs

    def span(amount: Callable[[int], float], text: Callable[[float], str]) -> str:
        low, high = text(amount(found.runs)), text(amount(found.most_runs))
        return f"{low} to {high}" if several and low != high else low

    runs = f"{found.runs:,} to {found.most_runs:,}" if several else f"{found.runs:,}"
    lines = [
        f"{name}: nothing was kept; measured by a run of {' and of '.join(parts)}",
        f"  points    {found.points:,}",
        f"  runs      {runs}",
        f"  CPU       {_seconds(found.cpu)} a run, {span(found.cpu_seconds, _seconds)} in all",
        f"  time      about {span(found.wall_seconds, _seconds)} "
        f"with {_counted(found.workers, 'worker')} on {_counted(_cores(), 'core')}",
        f"  memory    {_bytes(found.memory)} a worker, {_bytes(found.memory * found.workers)} in all",
        f"  disk      at most {_bytes(found.disk)} a run, {span(found.disk_bytes, _bytes)} in all",
    ]
    if found.cities:
        lines.append(f"  cities    {found.cities:,} to build, about {_seconds(found.city_seconds)} each")
    return "\n".join(lines + _warnings(found, out))


def _warnings(found: Estimate, out: Path) -> list[str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    lines = []
    if found.memory * found.workers > memory:
        fit = max(memory // found.memory, 1)
        lines.append(f"  The workers need more memory than this machine has, {_bytes(memory)}; take --workers {fit}.")
    there = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if found.disk_bytes(found.most_runs) > free:
        lines.append(f"  The results may need more than is free on the disk of {out}, {_bytes(free)}.")
    return lines


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _seconds(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def _bytes(size: float) -> str:
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size / 1e3:.0f} kB"
