"""A real Slurm for the tests that need one."""

import os
import tempfile
from pathlib import Path

import pytest
from slurm_cluster import SlurmCluster, UnavailableError

NEEDED = "CITYTWIN_NEEDS_SLURM"
"""Environment variable under which a Slurm that cannot be started is a failure; continuous integration sets it."""


@pytest.fixture(scope="session")
def slurm_session():
    """A Slurm of this session (of every process of it, under xdist), or a skip that says why there is none."""
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:  # its sockets' paths must be short
        try:
            cluster = SlurmCluster(Path(folder))
        except UnavailableError as error:
            if os.environ.get(NEEDED):
                pytest.fail(f"{NEEDED} is set, but Slurm cannot be started: {error}")
            pytest.skip(f"Slurm cannot be started: {error}")
        try:
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture
def slurm(slurm_session, monkeypatch):
    """A Slurm without jobs, which this process and those that it starts find."""
    for name, value in slurm_session.environment.items():
        monkeypatch.setenv(name, value)
    yield slurm_session
    slurm_session.clear()


@pytest.fixture
def cluster(slurm, import_path, monkeypatch):
    """A Slurm whose jobs find citytwin, and the kernels that are compiled beside its code."""
    monkeypatch.setenv("PYTHONPATH", import_path["PYTHONPATH"])
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    return slurm
