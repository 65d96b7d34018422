"""A sweep on a Dask cluster that grows and shrinks with what the queue of Slurm gives.

python dask_cluster.py scenario.toml results/mine
"""

import sys
from pathlib import Path

import dask
from dask_jobqueue import SLURMCluster  # or PBSCluster, LSFCluster
from distributed import Client

import citytwin as ct

MOST_JOBS = 50

if __name__ == "__main__":
    scenario, out = sys.argv[1:]
    dask.config.set(
        {"distributed.scheduler.allowed-failures": 0}
    )  # citytwin counts deaths itself, and blames nobody else
    # A worker ends some minutes before its wall time, not all at once, and hands what it has left to another.
    lifetime = ["--lifetime", "225m", "--lifetime-stagger", "5m"]
    with (
        SLURMCluster(cores=1, memory="2GB", walltime="04:00:00", worker_extra_args=lifetime) as cluster,
        Client(cluster) as client,
    ):
        cluster.adapt(maximum_jobs=MOST_JOBS)
        resume = Path(out, "sweep.json").exists()
        print(ct.sweep(scenario, out=out, resume=resume, executor=client.get_executor(pure=False), workers=MOST_JOBS))
