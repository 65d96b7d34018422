"""Sweeps: what a run costs beside its own work, with us and with others; a sweep of 100,000 runs; Parquet.

    python benchmarks/sweeps.py                          # all parts, as in the tables
    python benchmarks/sweeps.py --part overhead --runs 200 --rounds 1
    python benchmarks/sweeps.py --part store --folder FOLDER     # keeps the Parquet files; duckdb is asked if installed

Overhead: each engine makes the same runs with two workers in a process of its own, pinned to two cores; processor
seconds are those of all its processes, its start and imports included. Ours puts every run on the disk, the others
return a number. Rounds take the engines in turn.
"""

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from peers import machine
from sweep_jobs import ENGINES, HERE, PACKAGES, busy, tasks_of

SECONDS = 0.05
"""Processor seconds of a run that is not trivial."""
POINTS, REPLICATES, DAYS = 500, 20, 200
"""Of the synthetic series: 10,000 runs of 200 days and 30 columns."""


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--part", choices=("overhead", "large", "store"), nargs="+", default=["overhead", "large", "store"]
    )
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    print(f"{machine()}.\n")
    if "overhead" in options.part:
        overhead(options.runs, options.rounds)
    if "large" in options.part:
        large(options.large)
    if "store" in options.part:
        with tempfile.TemporaryDirectory() as folder:
            store(options.folder or Path(folder))


# ---------------------------------------------------------------------- overhead


def overhead(runs: int, rounds: int) -> None:
    """Print what runs of 50 ms and trivial ones cost with each engine."""
    loops = _loops()
    for what, each in ((f"{runs:,} runs of {1000 * SECONDS:g} ms", loops), (f"{runs:,} trivial runs", 0)):
        measured: dict[str, list[dict[str, float]]] = {name: [] for name in ENGINES if _is_installed(name)}
        for _ in range(rounds):
            for name, found in measured.items():
                found.append(_measured(name, runs, each))
        sums = {one["sum"] for found in measured.values() for one in found}
        if len(sums) > 1:
            raise SystemExit("the engines did not make the same runs")
        print(f"{what}, medians of {rounds}:\n")
        print("| engine | wall, s | CPU, s | CPU beyond the bare loop, ms a run |\n|---|---|---|---|")
        base = statistics.median(one["cpu"] for one in measured["bare loop, one process"])
        for name, found in measured.items():
            wall, cpu = (statistics.median(one[key] for one in found) for key in ("wall", "cpu"))
            version = f" {metadata.version(PACKAGES[name])}" if name in PACKAGES else ""
            print(f"| {name}{version} | {wall:.2f} | {cpu:.2f} | {1000 * (cpu - base) / runs:.2f} |")
        print()


def _is_installed(name: str) -> bool:
    return name not in PACKAGES or importlib.util.find_spec(PACKAGES[name]) is not None


def _loops() -> int:
    """Return the rounds of the loop that take :data:`SECONDS`."""
    count = 200_000
    times = []
    for _ in range(5):
        start = time.process_time()
        busy(1, count)
        times.append(time.process_time() - start)
    return round(count * SECONDS / min(times))


def _measured(name: str, runs: int, loops: int) -> dict[str, float]:
    """Make the runs in a process of its own; return seconds, and the sum of what the runs gave."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    cores = sorted(os.sched_getaffinity(0))[:2] if hasattr(os, "sched_getaffinity") else []
    answer = subprocess.run(
        [sys.executable, str(HERE / "sweep_jobs.py"), name, str(runs), str(loops)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent.parent)])},
        preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return found | {"cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


# ---------------------------------------------------------------------- a large sweep


def large(runs: int) -> None:
    """Print what it takes to plan, make, list and resume a sweep of many runs that do nothing."""
    from citytwin.runners.sessions import states
    from citytwin.runners.sweep import plan_runs, run_sweep

    tasks, context = tasks_of(runs), {"loops": 0}
    rows: list[tuple[str, float, float]] = []

    def timed(what: str, work: Callable[[], Any]) -> Any:
        clock, cpu = time.perf_counter(), time.process_time()
        result = work()
        rows.append((what, time.perf_counter() - clock, time.process_time() - cpu))
        return result

    memory: dict[int, float] = {}

    def watch(done: int, *_: object) -> None:
        if done in (1_000, runs // 5, runs):
            memory[done] = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6

    sys.path.insert(0, str(HERE))
    with tempfile.TemporaryDirectory() as folder:
        out, job = Path(folder) / "out", "sweep_jobs:execute"
        timed("plan", lambda: plan_runs(tasks, job, context, Path(folder) / "planned"))
        timed("make, two workers", lambda: run_sweep(tasks, job, context, out, workers=2, progress=watch))
        found = timed("list the states", lambda: states(out))
        timed("resume, nothing to do", lambda: run_sweep(tasks, job, context, out, workers=2, resume=True))
        files = len(list(out.glob("*/*.parquet")))
    assert all(entry.state == "done" for entry in found.values())
    print(f"{runs:,} runs that do nothing; {files} Parquet files at the end:\n")
    print("| | wall, s | CPU of the supervisor, s |\n|---|---|---|")
    for what, wall, cpu in rows:
        print(f"| {what} | {wall:.2f} | {cpu:.2f} |")
    print(
        "\nMemory of the supervisor: " + ", ".join(f"{mb:.0f} MB after {n:,} runs" for n, mb in memory.items()) + ".\n"
    )


# ---------------------------------------------------------------------- Parquet


def store(folder: Path) -> None:
    """Print size and times of reading of 10,000 runs of 200 days and 30 columns."""
    from citytwin.runners.stage import commit
    from citytwin.runners.store import Store, read_table
    from citytwin.runners.tables import parameter_types, to_tables

    out = folder / "synthetic"
    out.mkdir(parents=True)
    tasks = _synthetic_tasks()
    (out / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
    (out / "sweep.json").write_text("{}")
    types = parameter_types(tasks)
    results = Store(out, [task["run_id"] for task in tasks], 100, {"scenario": "{}", "versions": "{}"})
    spent = {"commit": 0.0, "seal and join": 0.0}

    def count(what: str, work: Callable[[], Any]) -> None:
        start = time.process_time()
        work()
        spent[what] += time.process_time() - start

    for number, task in enumerate(tasks):
        tables = to_tables(task, {"series": _series(task)}, types)
        count("commit", lambda: commit(out, task["run_id"], tables))  # noqa: B023 - called at once
        if number % 100 == 99:
            count("seal and join", lambda: results.seal(number // 100))  # noqa: B023
    count("seal and join", results.finish)
    files = sorted((out / "series").glob("*.parquet"))
    size = sum(path.stat().st_size for path in files) / 1e6
    costs = ", ".join(f"{what} {1000 * cpu / len(tasks):.2f}" for what, cpu in spent.items())
    print(
        f"{len(tasks):,} runs x {DAYS} days x 30 columns: {size:.1f} MB in {len(files)} files; CPU ms a run: {costs}.\n"
    )
    print("| read by | mean of a column by day, s | one point, s |\n|---|---|---|")
    for name, (column, point) in _readers(out, read_table).items():
        print(f"| {name} | {_best(column):.3f} | {_best(point):.3f} |")
    print()


def _synthetic_tasks() -> list[dict[str, Any]]:
    return [
        {
            "run_id": f"p{point:04d}-r{replicate:04d}",
            "point": point,
            "replicate": replicate,
            "seed": replicate,
            "parameters": {"a": point / 10, "b": float(point % 7)},
        }
        for point in range(POINTS)
        for replicate in range(REPLICATES)
    ]


def _series(task: dict[str, Any]) -> dict[str, Any]:
    """Return noise of the kinds that a series has: counts, sums, measurements, two parameters and a word."""
    random = np.random.default_rng([task["seed"], task["point"]])
    counts = {f"x{n}": random.poisson(50 * (n + 1), DAYS).astype(np.int32) for n in range(8)}
    sums = {f"c{n}": np.cumsum(random.poisson(20 * (n + 1), DAYS)).astype(np.int32) for n in range(7)}
    wide = {f"d{n}": random.normal(size=DAYS) for n in range(4)}
    narrow = {f"f{n}": random.normal(size=DAYS).astype(np.float32) for n in range(4)}
    values = task["parameters"].values()
    swept = {f"p{n}": np.full(DAYS, value) for n, value in enumerate(values)}
    return (
        {"day": np.arange(DAYS, dtype=np.int32)}
        | counts
        | sums
        | wide
        | narrow
        | swept
        | {"state": np.full(DAYS, "open")}
    )


def _readers(out: Path, read_table: Callable[..., Any]) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    series, point = str(out / "series"), POINTS // 2

    def by_day(table: Any) -> Any:
        return table.group_by("day").aggregate([("x1", "mean")])

    readers: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "Results.table": (
            lambda: by_day(read_table(out, "series", columns=["day", "x1"])),
            lambda: read_table(out, "series", points={point}),
        ),
        f"pyarrow {metadata.version('pyarrow')}": (
            lambda: by_day(ds.dataset(series).to_table(columns=["day", "x1"])),
            lambda: ds.dataset(series).to_table(filter=pc.field("point") == point),
        ),
    }
    if importlib.util.find_spec("duckdb"):
        import duckdb

        files = f"read_parquet('{series}/*.parquet')"
        readers[f"duckdb {duckdb.__version__}"] = (
            lambda: duckdb.sql(f"SELECT day, avg(x1) FROM {files} GROUP BY day").fetchall(),
            lambda: duckdb.sql(f"SELECT * FROM {files} WHERE point = {point}").fetchnumpy(),
        )
    return readers


def _best(work: Callable[[], Any], times: int = 5) -> float:
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
