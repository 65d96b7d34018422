"""Sweeps: what a run costs beside its own work, with us and with others; a sweep of 100,000 runs; Parquet.

    python benchmarks/sweeps.py                          # all parts, as in the tables
    python benchmarks/sweeps.py --part cost large        # the targets, in 2 minutes
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
from sweep_jobs import ENGINES, HERE, PACKAGES
from sweep_work import busy, tasks_of

SECONDS = 0.05
"""Processor seconds of a run that is not trivial."""
SCENARIO = """
name = "large"
[city]
synthetic = {{ people = 1_000, seed = 1 }}
[epidemic]
disease = "covid"
[sweep]
design = "lhs"
points = {points}
[sweep.parameters]
"epidemic.r0" = {{ from = 1.5, to = 3.0 }}
"epidemic.initial_infections" = {{ from = 1, to = 100, integer = true }}
"""
"""File of a large sweep, of which no run is made."""
POINTS, REPLICATES, DAYS = 500, 20, 200
"""Of the synthetic series: 10,000 runs of 200 days and 30 columns."""


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ["cost", "overhead", "large", "store"]
    parser.add_argument("--part", choices=parts, nargs="+", default=parts)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--made", type=int, default=20_000, help="runs that are made to watch the supervisor's memory")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    print(f"{machine()}.\n")
    if "cost" in options.part:
        cost(options.runs)
    if "overhead" in options.part:
        overhead(options.runs, options.rounds)
    if "large" in options.part:
        large(options.large, options.made)
        large_file(options.large)
    if "store" in options.part:
        with tempfile.TemporaryDirectory() as folder:
            store(options.folder or Path(folder))


# ---------------------------------------------------------------------- overhead


def cost(runs: int) -> None:
    """Print the processor time of a sweep of ours beyond that of the runs' own loops: to start it, and for each run."""
    print("| with two workers | CPU, s | of it loops | ms a run beyond start: supervisor | workers | share |")
    print("|---|---|---|---|---|---|")
    begun = _measured("alone", 2, 0)
    for number, what, loops in ((4 * runs, "trivial runs", 0), (runs, f"runs of {1000 * SECONDS:g} ms", _loops())):
        found = _measured("alone", number, loops)
        supervisor = 1000 * (found["supervisor"] - begun["supervisor"]) / number
        workers = 1000 * (found["workers"] - begun["workers"] - found["loops"]) / number
        share = f"{100 * (supervisor + workers) * number / 1000 / found['loops']:.1f} %" if loops else ""
        cpu = found["supervisor"] + found["workers"]
        print(f"| {number:,} {what} | {cpu:.2f} | {found['loops']:.2f} | {supervisor:.2f} | {workers:.2f} | {share} |")
    start = begun["supervisor"] + begun["workers"]
    print(
        f"\nStart and end, imports included: {start:.2f} CPU s; first run done {begun['first']:.2f} s after the call.\n"
    )


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


def large(runs: int, made: int) -> None:
    """Print what it takes to plan, list and resume a sweep of many runs, and how the supervisor's memory grows."""
    from citytwin.runners.status import status
    from citytwin.runners.sweep import plan_runs, run_sweep

    rows: list[tuple[str, float, float]] = []

    def timed(what: str, work: Callable[[], Any]) -> Any:
        clock, cpu = time.perf_counter(), time.process_time()
        result = work()
        rows.append((what, time.perf_counter() - clock, time.process_time() - cpu))
        return result

    memory: dict[int, float] = {}

    def watch(done: int, *_: object) -> None:
        if done in (1_000, made // 2, made):
            memory[done] = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6

    sys.path.insert(0, str(HERE))
    tasks, job, context = tasks_of(runs), "sweep_work:execute", {"loops": 0}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        run_sweep(tasks_of(made), job, context, Path(folder) / "made", workers=2, progress=watch)
        timed("plan", lambda: plan_runs(tasks, job, context, out))
        _write_results(out, tasks[:-1])
        found = timed("list the states", lambda: status(out))
        assert found.counts["done"] == runs - 1
        timed("resume, one run to do", lambda: run_sweep(tasks, job, context, out, workers=2, resume=True))
        outcome = timed("resume, nothing to do", lambda: run_sweep(tasks, job, context, out, workers=2, resume=True))
        assert outcome.done == runs
        files = len(list(out.glob("*/*.parquet")))
    print(f"{runs:,} runs that do nothing; {files} Parquet files at the end:\n")
    print("| | wall, s | CPU, s |\n|---|---|---|")
    for what, wall, cpu in rows:
        print(f"| {what} | {wall:.2f} | {cpu:.2f} |")
    shown = ", ".join(f"{mb:.0f} MB after {n:,}" for n, mb in memory.items())
    print(f"\nMemory of a supervisor of {made:,} runs: {shown}.\n")


def large_file(points: int) -> None:
    """Print what a user waits for with a large sweep from a file: commands in processes of their own, imports included."""
    from citytwin.runners.storage.stage import read_tasks

    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "large.toml", Path(folder) / "out"
        file.write_text(SCENARIO.format(points=points))
        plan = ("sweep", str(file), "--out", str(out), "--plan-only")
        spent = {"plan": [_command(*plan)], "list the states": [], "plan again, to resume": []}
        for made in (False, True):
            if made:
                _write_results(out, read_tasks(out))
            spent["list the states"].append(_command("status", str(out)))
            spent["plan again, to resume"].append(_command(*plan, "--resume"))
    print(f"{points:,} points from a scenario file, CPU s of each command:\n")
    print("| | none of the runs made | all made |\n|---|---|---|")
    for what, seconds in spent.items():
        print(f"| {what} | {seconds[0]:.2f} | {'' if len(seconds) == 1 else f'{seconds[1]:.2f}'} |")
    print(f"| together | {sum(seconds[0] for seconds in spent.values()):.2f} | |\n")


def _command(*words: str) -> float:
    """Return the processor time of a command of ours, s."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"PYTHONPATH": str(HERE.parent.parent)}
    subprocess.run([sys.executable, "-m", "citytwin", *words], check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _write_results(out: Path, tasks: list[dict[str, Any]]) -> None:
    """Write the first runs of a sweep that is planned as a session would have: shards, staged runs and a journal."""
    import pyarrow as pa

    from citytwin.runners.engine.ledger import Ledger
    from citytwin.runners.engine.manifest import read_manifest
    from citytwin.runners.engine.part import about_session, store_of
    from citytwin.runners.storage.atomic import put_in_place
    from citytwin.runners.storage.shards import shard_path, write_shard
    from citytwin.runners.storage.stage import commit, read_tasks
    from citytwin.runners.storage.tables import parameter_types, to_tables

    results = store_of(out, read_manifest(out), [task["run_id"] for task in read_tasks(out)])
    types, outputs = parameter_types(tasks), {"summary": {"value": 0, "cpu": 0.0}}
    schema = to_tables(tasks[0], outputs, types)["summary"].schema
    (out / "summary").mkdir()
    for first in range(0, len(tasks), results.block):
        part = tasks[first : first + results.block]
        if len(part) < results.block:
            for task in part:
                commit(out, task["run_id"], to_tables(task, outputs, types), durable=False)
            break
        numbers = [task["point"] for task in part]
        zeros = [0] * len(part)
        columns = {"run_id": [task["run_id"] for task in part], "point": numbers, "replicate": zeros}
        columns |= {"seed": [task["seed"] for task in part], "value": zeros, "cpu": [0.0] * len(part)}
        columns |= {name: [task["parameters"][name] for task in part] for name in types}
        path = shard_path(out, "summary", first, first + len(part) - 1)
        write_shard(path, [schema], [pa.table(columns, schema)], results.footer | {"runs": columns["run_id"]})
        put_in_place(path, durable=False)
    with Ledger(out, about_session(2, len(tasks), [])) as ledger:
        for task in tasks:
            ledger.write(task["run_id"], "running", attempt=1, pid=1)
            ledger.write(task["run_id"], "done", attempt=1, pid=1, seconds=0.0003, cpu=0.0003, rss=100_000_000)
        results.finish()
        ledger.end("finished", done=len(tasks))


# ---------------------------------------------------------------------- Parquet


def store(folder: Path) -> None:
    """Print size and times of reading of 10,000 runs of 200 days and 30 columns."""
    from citytwin.runners.storage.stage import commit
    from citytwin.runners.storage.store import Store, read_table
    from citytwin.runners.storage.tables import parameter_types, to_tables

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
