"""The engines that the comparison of sweeps gives its work; ``sweeps.py`` starts one a process."""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sweep_work import busy, tasks_of

HERE = Path(__file__).resolve().parent
WORKERS = 2


def bare(runs: int, loops: int) -> list[int]:
    """Make the runs in a loop."""
    return [busy(number, loops) for number in range(runs)]


def citytwin(runs: int, loops: int) -> list[int]:
    """Make the runs as a sweep, into Parquet."""
    from citytwin.runners.storage.store import read_table
    from citytwin.runners.sweep import run_sweep

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        run_sweep(tasks_of(runs), "sweep_work:execute", {"loops": loops}, out, workers=WORKERS)
        return read_table(out, "summary", columns=["value"])["value"].to_pylist()


def citytwin_alone(runs: int, loops: int) -> dict[str, float]:
    """Make the runs as a sweep, and nothing besides; return the seconds that their loops took."""
    from citytwin.runners.engine.ledger import entries
    from citytwin.runners.storage.store import read_table
    from citytwin.runners.sweep import run_sweep

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        begun = datetime.now(UTC)
        run_sweep(tasks_of(runs), "sweep_work:execute", {"loops": loops}, out, workers=WORKERS)
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        first = min(datetime.fromisoformat(entry.time) for entry in entries(out) if entry.state == "done")
        return {
            "supervisor": used[0].ru_utime + used[0].ru_stime,
            "workers": used[1].ru_utime + used[1].ru_stime,
            "loops": sum(read_table(out, "summary", columns=["cpu"])["cpu"].to_pylist()),
            "first": (first - begun).total_seconds(),
        }


def mesa(runs: int, loops: int) -> list[int]:
    """Make the runs by Mesa's batch runner."""
    from mesa.batchrunner import batch_run
    from sweep_model import Busy

    parameters = {"number": range(runs), "loops": loops}
    found = batch_run(Busy, parameters, number_processes=WORKERS, iterations=1, max_steps=1, display_progress=False)
    return [row["value"] for row in sorted(found, key=lambda row: row["number"])]


def joblib(runs: int, loops: int) -> list[int]:
    """Make the runs by joblib's loky."""
    from joblib import Parallel, delayed

    return Parallel(n_jobs=WORKERS)(delayed(busy)(number, loops) for number in range(runs))


def futures(runs: int, loops: int) -> list[int]:
    """Make the runs by a pool of processes of the standard library."""
    from concurrent.futures import ProcessPoolExecutor
    from functools import partial
    from multiprocessing import get_context

    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        return list(pool.map(partial(busy, loops=loops), range(runs)))


def dask(runs: int, loops: int) -> list[int]:
    """Make the runs by Dask on this machine."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        return client.gather(client.map(busy, range(runs), loops=loops, pure=False))


ENGINES: dict[str, Callable[[int, int], list[int]]] = {
    "bare loop, one process": bare,
    "citytwin": citytwin,
    "mesa.batch_run": mesa,
    "joblib": joblib,
    "concurrent.futures": futures,
    "dask": dask,
}
PACKAGES = {"mesa.batch_run": "mesa", "joblib": "joblib", "dask": "distributed"}
"""What each engine is called in the package index, where that has a version of its own."""


def main() -> None:
    """Make runs with an engine and print the sum of what they gave, and the seconds."""
    engine, runs, loops = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if engine == "alone":
        print(json.dumps(citytwin_alone(runs, loops)))
        return
    start = time.perf_counter()
    found = ENGINES[engine](runs, loops)
    print(json.dumps({"wall": time.perf_counter() - start, "sum": sum(found), "runs": len(found)}))


if __name__ == "__main__":
    main()
