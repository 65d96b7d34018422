"""The store: what a run yields, its commit, the shards, and reading at every moment."""

import contextlib
import itertools
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sweep_toys as toys
from made_stores import FOOTER, check_plain, check_tables, make_store, put

from citytwin.runners.storage import stage, store
from citytwin.runners.storage.shards import ROW_GROUP
from citytwin.runners.storage.store import MANIFEST, TASKS, Store, read_table, staged_runs
from citytwin.runners.storage.tables import StoreError, join_schemas, parameter_types, to_tables


class Crash(BaseException):
    """The process ends here: no clean-up follows."""


# ---------------------------------------------------------------------- tables


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "int"),
        ([1, 2.5], "float"),
        ([True, False], "bool"),
        ([True, 2], "string"),
        ([0.5, "high"], "string"),
        ([["school"], ["work", "school"]], "string"),
        ([None, 3], "int"),
        ([None, None], "string"),
    ],
)
def test_parameter_types(values, kind):
    tasks = [{"parameters": {"a": value}} for value in values]
    assert parameter_types(tasks) == {"a": kind}


def test_parameters_are_columns_of_the_summary():
    values = {"a": [1, 2], "b": [1, 2.5], "c": [0.5, "high"], "d": [["school"], []], "e": [None, 3], "f": [True, False]}
    tasks = [task | {"parameters": {}} for task in toys.make_tasks(1, 2)]
    for name, both in values.items():
        for task, value in zip(tasks, both, strict=True):
            task["parameters"][name] = value
    types = parameter_types(tasks)
    rows = pa.concat_tables([to_tables(task, {}, types)["summary"] for task in tasks]).to_pydict()
    assert rows["run_id"] == ["r000-000", "r000-001"]
    assert (rows["a"], rows["b"], rows["c"]) == ([1, 2], [1.0, 2.5], ["0.5", "high"])
    assert (rows["d"], rows["e"], rows["f"]) == (['["school"]', "[]"], [None, 3], [True, False])


def test_every_table_begins_with_the_run():
    task = toys.make_tasks()[5]
    tables = to_tables(task, toys.outputs(task), {"epidemic.r0": "float"})
    assert set(tables) == {"summary", "series"}
    for table in tables.values():
        assert table.column_names[:4] == ["run_id", "point", "replicate", "seed"]
        assert table.slice(0, 1).select(range(4)).to_pylist() == [{key: task[key] for key in table.column_names[:4]}]


def test_types_of_columns():
    columns = {
        "tiny": np.array([1, 2], np.uint8),
        "yes": np.array([True, False]),
        "text": np.array(["ä", "long enough"]),
        "maybe": np.array(["x", None], dtype=object),
        "none": np.array([None, None], dtype=object),
        "date": np.array(["2026-01-05", "2026-01-06"], "M8[D]"),
        "strided": np.arange(4.0)[::2],
        "swapped": np.array([1, 2], np.int32).astype(">i4"),
    }
    table = to_tables(toys.make_tasks()[0], {"series": columns}, {})["series"]
    types = ["uint8", "bool", "string", "string", "null", "date32[day]", "double", "int32"]
    assert [str(kind) for kind in table.schema.types[4:]] == types
    assert table["text"].to_pylist() == ["ä", "long enough"]
    assert table["maybe"].to_pylist() == ["x", None]
    assert table["yes"].to_pylist() == [True, False]
    assert table["strided"].to_pylist() == [0.0, 2.0]
    assert table["swapped"].to_pylist() == [1, 2]
    table.validate(full=True)


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({"Series": {}}, "'Series'"),
        ({"../up": {}}, r"'\.\./up'"),
        ({"stage": {}}, "'stage'"),
        ({"series": {"a": [1, 2], "b": [1]}}, "a 2, b 1"),
        ({"series": {"a": np.zeros((2, 2))}}, "column 'a'.*2 dimensions"),
        ({"series": {"seed": [1]}}, "'seed' is the sweep's own"),
        ({"summary": {"epidemic.r0": 1.0}}, "'epidemic.r0' is the sweep's own"),
        ({"summary": {"a": [1, 2]}}, "2 rows; a run must yield one"),
        ({"series": {"a": np.array([1j])}}, "complex128"),
        ({"summary": {"a": np.uint64(2**63)}}, "column 'a': holds 9223372036854775808; integers of a summary go to"),
        ({"series": {"a": np.array([{}], dtype=object)}}, "object"),
    ],
)
def test_what_cannot_be_stored_is_named(outputs, words):
    with pytest.raises(StoreError, match=words):
        to_tables(toys.make_tasks()[0], outputs, {"epidemic.r0": "float"})


def test_join_of_types():
    def join(*kinds):
        return join_schemas([pa.schema([("a", kind)]) for kind in kinds]).field("a").type

    assert join(pa.int8(), pa.int32()) == pa.int64()
    assert join(pa.int8(), pa.float32()) == pa.float64()
    assert join(pa.uint64(), pa.int64()) == pa.float64()
    assert join(pa.null(), pa.float32(), pa.null()) == pa.float32()
    assert join(pa.int64(), pa.string()) == pa.string()
    numbers = [pa.int8(), pa.uint64(), pa.float32(), pa.int64(), pa.null()]
    assert {join(*order) for order in itertools.permutations(numbers)} == {pa.float64()}


# ---------------------------------------------------------------------- shards


def test_results_follow_from_the_runs_alone(tmp_path):
    tasks = toys.make_tasks()
    reference = make_store(tmp_path / "reference", tasks)
    for task in tasks:
        put(reference.directory, task)
    for number in range(reference.blocks):
        reference.seal(number)
    wanted = toys.files(reference.directory)
    assert len(wanted) == 9  # three tables, three blocks
    check_tables(reference.directory, tasks)

    generator = np.random.default_rng(5)
    for attempt in range(4):
        other = make_store(tmp_path / f"other{attempt}", tasks)
        for position, number in enumerate(generator.permutation(len(tasks)), 1):
            put(other.directory, tasks[number])
            if position % 3 == 0:  # sealed as far as it goes, and again
                for block in range(other.blocks):
                    other.seal(block)
        for block in range(other.blocks):
            other.seal(block)
        assert toys.files(other.directory) == wanted
        assert not staged_runs(other.directory)


def test_reading_with_plain_tools(tmp_path):
    tasks = toys.make_tasks()
    results = make_store(tmp_path / "out", tasks)
    for task in tasks:
        put(results.directory, task)
    for number in range(results.blocks):
        results.seal(number)
    frame = pd.read_parquet(results.directory / "summary")
    assert frame["run_id"].tolist() == [task["run_id"] for task in tasks]
    assert frame["total"].tolist() == [toys.outputs(task)["summary"]["total"] for task in tasks]


def test_incomplete_block_is_readable_by_plain_tools_and_keeps_its_runs(tmp_path):
    tasks = toys.make_tasks(1, 4)
    results = make_store(tmp_path / "out", tasks)
    for task in tasks[:3]:
        put(results.directory, task)
    results.seal(0)
    assert pd.read_parquet(results.directory / "summary")["replicate"].tolist() == [0, 1, 2]
    assert staged_runs(results.directory) == {task["run_id"] for task in tasks[:3]}
    check_tables(results.directory, tasks[:3])
    put(results.directory, tasks[3])
    check_tables(results.directory, tasks)


def test_lost_staged_runs_are_made_again_rather_than_the_shard_emptied(tmp_path):
    tasks = toys.make_tasks(1, 4)
    results = make_store(tmp_path / "out", tasks)
    for task in tasks[:2]:
        put(results.directory, task)
    results.seal(0)
    (results.directory / "stage" / f"{tasks[0]['run_id']}.arrow").unlink()
    assert results.committed() == {tasks[1]["run_id"]}
    put(results.directory, tasks[2])
    results.seal(0)
    check_tables(results.directory, tasks[1:3])


def test_format_of_shards(tmp_path):
    rows = 2 * ROW_GROUP + 10
    tasks = toys.make_tasks(1, 2)
    results = make_store(tmp_path / "out", tasks, block=2)
    for task in tasks:
        series = {"day": np.arange(rows, dtype=np.int32), "share": np.full(rows, 0.5), "name": np.full(rows, "x")}
        put(results.directory, task, {"series": series})
    results.seal(0)
    file = pq.ParquetFile(results.directory / "series" / "part-0000000-0000001.parquet")
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert sizes == [ROW_GROUP] * 4 + [20]
    group = file.metadata.row_group(0)
    encodings = {group.column(number).path_in_schema: group.column(number).encodings for number in range(7)}
    assert "DELTA_BINARY_PACKED" in encodings["day"]
    assert "BYTE_STREAM_SPLIT" in encodings["share"]
    assert "RLE_DICTIONARY" in encodings["name"] or "PLAIN_DICTIONARY" in encodings["name"]
    assert {group.column(number).compression for number in range(7)} == {"ZSTD"}
    footer = file.metadata.metadata
    assert footer[b"citytwin.scenario"] == b"name = 'toy'"
    assert footer[b"citytwin.schema_version"] == b"2"
    assert json.loads(footer[b"citytwin.runs"]) == [task["run_id"] for task in tasks]


def test_column_types_that_differ_between_runs(tmp_path):
    tasks = toys.make_tasks(1, 3)
    results = make_store(tmp_path / "out", tasks, block=1)
    for task, peak in zip(tasks, (3, 4.5, None), strict=True):
        put(results.directory, task, {"summary": {"peak": peak}})
    assert read_table(results.directory, "summary")["peak"].to_pylist() == [3.0, 4.5, None]
    for number in range(3):
        results.seal(number)
    assert read_table(results.directory, "summary")["peak"].to_pylist() == [3.0, 4.5, None]


# ---------------------------------------------------------------------- crashes


def crash_at(monkeypatch, step):
    """Let the process "end" before the given one of the calls by which files come to stand; return their count."""
    calls = [0]

    def wrap(name):
        real = getattr(os, name)

        def call(*arguments, **keywords):
            calls[0] += 1
            if calls[0] == step:
                raise Crash
            return real(*arguments, **keywords)

        monkeypatch.setattr(os, name, call)

    for name in ("replace", "rename", "fsync", "unlink", "mkdir"):
        wrap(name)
    return calls


def test_crash_at_every_step_of_commit_and_sealing(tmp_path):
    tasks = toys.make_tasks(2, 2)
    reference = make_store(tmp_path / "reference", tasks, block=2)
    for task in tasks:
        put(reference.directory, task)
    reference.finish()
    wanted = toys.files(reference.directory)

    def work(results, committed):
        for task in (tasks[1], tasks[2], tasks[0]):
            put(results.directory, task)
            committed.append(task)
            results.seal(results.runs.index(task["run_id"]) // 2)
        results.finish()  # seals what there is of the second block, and joins nothing yet
        put(results.directory, tasks[3])
        committed.append(tasks[3])
        results.finish()

    step = 0
    while True:
        step += 1
        directory = tmp_path / f"crash{step}"
        results = make_store(directory, tasks, block=2)
        committed = []
        with pytest.MonkeyPatch.context() as patch:
            calls = crash_at(patch, step)
            with contextlib.suppress(Crash):
                work(results, committed)
        if calls[0] < step:
            break
        # Every run that was committed can be read, and at most the one that was in hand besides.
        names = {task["run_id"] for task in committed}
        found = store.runs_in_results(directory)
        assert names <= found
        assert len(found - names) <= 1
        present = [task for task in tasks if task["run_id"] in found]
        if present:
            check_tables(directory, present)
        check_plain(directory)
        # A new supervisor makes what is missing, and nothing tells that there was a crash.
        again = Store(directory, results.runs, 2, FOOTER)
        again.clean()
        for task in tasks:
            if task["run_id"] not in again.committed():
                put(directory, task)
        again.finish()
        assert toys.files(directory) == wanted
        assert sorted(path.name for path in directory.rglob("*") if path.is_file()) == sorted(
            [TASKS, MANIFEST, *(Path(name).name for name in wanted)]
        )
        check_tables(directory, tasks)
    assert step > 80  # the loop did go through commits, shards, joins and removals


def test_failed_write_leaves_nothing_and_is_reported(tmp_path, monkeypatch):
    tasks = toys.make_tasks(1, 2)
    results = make_store(tmp_path / "out", tasks, block=2)
    put(results.directory, tasks[0])

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            put(results.directory, tasks[1])
        with pytest.raises(OSError, match="No space left"):
            results.seal(0)
    assert not list(results.directory.glob("*/.*"))
    assert not toys.files(results.directory)
    check_tables(results.directory, tasks[:1])


def test_commit_while_another_session_clears_up(tmp_path, monkeypatch):
    """A session that ends removes the empty folder of staged runs, maybe just before a run of another one is written."""
    tasks = toys.make_tasks(1, 1)
    results = make_store(tmp_path / "out", tasks)
    made, removed = Path.mkdir, []

    def mkdir(path, *given, **options):
        made(path, *given, **options)
        if path.name == stage.STAGE and not removed:
            removed.append(path)
            path.rmdir()

    monkeypatch.setattr(Path, "mkdir", mkdir)
    put(results.directory, tasks[0])
    assert removed
    check_tables(results.directory, tasks)
    assert not list(results.directory.glob("*/.*"))


# ---------------------------------------------------------------------- reading


def test_block_sealed_between_listing_and_reading(tmp_path, monkeypatch):
    tasks = toys.make_tasks(1, 4)
    results = make_store(tmp_path / "out", tasks)
    for task in tasks:
        put(results.directory, task)
    real = store.shards_of
    sealed = []

    def seal_meanwhile(*arguments):
        found = real(*arguments)
        if not sealed:
            sealed.append(True)
            results.seal(0)
        return found

    monkeypatch.setattr(store, "shards_of", seal_meanwhile)
    check_tables(results.directory, tasks)
    assert sealed


@pytest.mark.parametrize("content", [b"", b"not parquet", None])
def test_foreign_shard_is_named(tmp_path, content):
    tasks = toys.make_tasks(1, 1)
    results = make_store(tmp_path / "out", tasks)
    put(results.directory, tasks[0])
    path = results.directory / "summary" / "part-0000000-0000003.parquet"
    path.parent.mkdir()
    if content is None:
        pq.write_table(pa.table({"a": [1]}), path)
    else:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=r"part-\d+-\d+\.parquet: damaged, or not of this sweep"):
        read_table(results.directory, "summary")


@pytest.mark.parametrize("name", ["/elsewhere", "../elsewhere", "ledger"])
def test_staged_run_with_a_table_that_leads_elsewhere_is_named(tmp_path, name):
    tasks = toys.make_tasks(1, 1)
    results = make_store(tmp_path / "out", tasks)
    tables = to_tables(tasks[0], toys.outputs(tasks[0]), {})
    store.commit(results.directory, tasks[0]["run_id"], tables | {name: tables["series"]})
    with pytest.raises(StoreError, match=f"r000-000.arrow: damaged, .*'{name}' is no name of a table"):
        results.finish()
    assert sorted(path.name for path in results.directory.iterdir()) == ["stage", "sweep.json", "tasks.jsonl"]


def test_no_shard_is_removed_for_one_that_only_its_name_makes_longer(tmp_path):
    tasks = toys.make_tasks(2, 4)
    results = make_store(tmp_path / "out", tasks)
    for task in tasks:
        put(results.directory, task)
    results.seal(0)
    results.seal(1)
    whole = toys.files(results.directory)
    summary, series = results.directory / "summary", results.directory / "series"
    (summary / "part-0000000-0000007.parquet").write_bytes((summary / "part-0000000-0000003.parquet").read_bytes())
    (series / ".part-0000000-9999999999.parquet.new").write_bytes(b"not parquet")
    results.clean()
    assert toys.files(results.directory).items() >= whole.items()
    with pytest.raises(StoreError, match=r"part-0000000-0000007\.parquet: damaged, or not of this sweep"):
        read_table(results.directory, "summary")
    assert results.set_aside() == []  # what is in the others need not be made again
    assert toys.files(results.directory) == whole
    check_tables(results.directory, tasks)


def test_staged_run_cut_short_anywhere_is_named(tmp_path):
    tasks = toys.make_tasks(1, 1)
    results = make_store(tmp_path / "out", tasks)
    put(results.directory, tasks[0])
    file = results.directory / "stage" / f"{tasks[0]['run_id']}.arrow"
    whole = file.read_bytes()
    for keep in range(0, len(whole) - 8, 7):
        file.write_bytes(whole[:keep])
        with pytest.raises(StoreError, match=r"r000-000.arrow: damaged, .*; remove it and resume"):
            read_table(results.directory, "summary")


def test_damaged_bytes_are_named_or_harmless(tmp_path):
    tasks = toys.make_tasks(1, 4)
    results = make_store(tmp_path / "out", tasks)
    for task in tasks:
        put(results.directory, task)
    generator = np.random.default_rng(11)
    errors = 0
    for path in ("stage/r000-001.arrow", "series/part-0000000-0000003.parquet"):
        file = results.directory / path
        if path.startswith("series"):
            results.seal(0)
        whole = np.frombuffer(file.read_bytes(), np.uint8)
        for _ in range(100):
            damaged = whole.copy()
            damaged[generator.integers(len(whole), size=3)] = generator.integers(256, size=3)
            file.write_bytes(damaged.tobytes())
            try:
                read_table(results.directory, "series")
            except StoreError as error:
                assert str(file) in str(error)
                errors += 1
        file.write_bytes(whole.tobytes())
    check_tables(results.directory, tasks)
    assert errors > 100


def test_missing_table_and_no_sweep(tmp_path):
    tasks = toys.make_tasks(1, 1)
    results = make_store(tmp_path / "out", tasks)
    with pytest.raises(StoreError, match="no table 'summary'; there are: none yet"):
        read_table(results.directory, "summary")
    put(results.directory, tasks[0])
    with pytest.raises(StoreError, match="no table 'trips'; there are: infections, series, summary"):
        read_table(results.directory, "trips")
    with pytest.raises(StoreError, match="not a results directory"):
        read_table(tmp_path, "summary")
