"""A sweep in one MPI job: one process hands out runs, the others make them.

mpirun -n 65 python mpi.py scenario.toml results/mine
"""

import sys
from pathlib import Path

from mpi4py import MPI
from mpi4py.futures import MPICommExecutor

import citytwin as ct

if __name__ == "__main__":
    scenario, out = sys.argv[1:]
    with MPICommExecutor(MPI.COMM_WORLD, root=0) as executor:
        if executor is not None:
            resume = Path(out, "sweep.json").exists()
            results = ct.sweep(
                scenario, out=out, resume=resume, executor=executor, workers=max(1, MPI.COMM_WORLD.size - 1)
            )
            print(results)
