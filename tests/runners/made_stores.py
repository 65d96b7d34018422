"""Stores of results made for tests, and what must stand in them."""

import itertools
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import sweep_toys as toys

from citytwin.runners.storage.store import MANIFEST, TASKS, Store, commit, read_table
from citytwin.runners.storage.tables import to_tables

FOOTER = {"scenario": "name = 'toy'", "versions": "{}"}


def make_store(directory, tasks, block=4):
    """Make a results directory of which only the store is in use."""
    directory.mkdir()
    (directory / TASKS).write_text("".join(json.dumps(task) + "\n" for task in tasks))
    (directory / MANIFEST).write_text("{}")
    return Store(directory, [task["run_id"] for task in tasks], block, FOOTER)


def put(directory, task, outputs=None, types=None):
    """Commit a run."""
    outputs = toys.outputs(task) if outputs is None else outputs
    commit(directory, task["run_id"], to_tables(task, outputs, types or {"epidemic.r0": "float"}))


def expected(tasks, name):
    """Return a table as pandas makes it from what the runs yield, with no use of the store."""
    frames = []
    for task in tasks:
        columns = toys.outputs(task).get(name)
        if columns is None:
            continue
        frame = pd.DataFrame({key: np.atleast_1d(value) for key, value in columns.items()})
        heads = {key: task[key] for key in ("run_id", "point", "replicate", "seed")}
        if name == "summary":
            heads |= task["parameters"]
        frames.append(frame.assign(**heads)[[*heads, *frame.columns]])
    return frames


def check_tables(directory, tasks):
    """Compare every table with what the given runs yield, run by run."""
    for name in ("summary", "series", "infections"):
        frames = expected(tasks, name)
        if not frames:
            continue
        table = read_table(directory, name)
        assert table.column_names == list(dict.fromkeys(itertools.chain(*frames))), name
        found = {
            run: table.filter(pa.compute.equal(table["run_id"], run)) for run in table["run_id"].unique().to_pylist()
        }
        assert list(found) == [frame["run_id"][0] for frame in frames if len(frame)]
        for frame in frames:
            for column in frame if len(frame) else ():
                values = found[frame["run_id"][0]][column].to_pylist()
                assert values == frame[column].tolist(), (name, column)


def check_plain(directory):
    """Check that no run stands twice in what plain tools see."""
    for name in ("summary", "series", "infections"):
        seen = []
        for file in sorted((directory / name).glob("*.parquet")):
            seen += pq.read_table(file)["run_id"].unique().to_pylist()
        assert len(seen) == len(set(seen)), name
