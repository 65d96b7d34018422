"""Dask: workers on this machine, at the address of a scheduler, or as jobs of a batch system (``dask-jobqueue``)."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from typing import Any

from ..engine.outcome import SweepError

JOB_QUEUES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster"}
"""Batch systems whose jobs can be workers, with the class of ``dask_jobqueue`` for each."""

_SETTINGS = {
    # A death is our matter: Dask would blame whatever else was on the worker, and try the same thing again.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.worker.daemon": False,
}

_CONNECT_SECONDS = 30


@contextmanager
def dask_pool(scheduler: str | None, workers: int) -> Iterator[tuple[Executor, Callable[[], int]]]:
    """Connect to Dask, or start it, for the time of a sweep.

    Args:
        scheduler: address (``tcp://host:8786``), or a batch system whose jobs are to be workers, set up as usual in
            ``~/.config/dask/jobqueue.yaml``; None: workers on this machine.
        workers: number of workers or jobs to start.

    Yields:
        An executor, and a function that says how many runs it makes side by side at the moment; it raises SweepError if
        the scheduler is gone.

    Raises:
        SweepError: if Dask is not installed or cannot be reached.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise SweepError('Dask is not installed; pip install "citytwin[dask]"') from None
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(_SETTINGS))
        try:
            where: Any = scheduler
            if scheduler is None:
                where = stack.enter_context(
                    LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, host="127.0.0.1")
                )
            elif scheduler in JOB_QUEUES:
                where = stack.enter_context(_job_cluster(scheduler))
                where.scale(jobs=workers)
            client = stack.enter_context(Client(where, timeout=_CONNECT_SECONDS))
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise SweepError(f"Dask cannot be reached at {scheduler or 'this machine'}: {error}") from None

        def slots() -> int:
            try:
                return sum(client.nthreads().values())
            except OSError as error:
                raise SweepError(
                    f"the scheduler of Dask at {client.scheduler.address} does not answer any more ({error}); "
                    "runs that are in the results stay there; go on with --resume (resume=True)"
                ) from None

        yield client.get_executor(pure=False, retries=0), slots


def _job_cluster(name: str) -> Any:
    try:
        import dask_jobqueue
    except ImportError:
        raise SweepError('dask-jobqueue is not installed; pip install "citytwin[dask]"') from None
    return getattr(dask_jobqueue, JOB_QUEUES[name])()
