"""Shards joined to larger ones: which, with what bytes, beside others who do the same, and while they are read."""

import json
import threading

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import sweep_toys as toys
from made_stores import FOOTER, check_plain, check_tables, make_store, put

from citytwin.runners.storage import compaction, shards, store
from citytwin.runners.storage.store import Store, read_table, runs_in_results, staged_runs
from citytwin.runners.storage.tables import StoreError


def names(directory, table="series"):
    return sorted(path.name for path in (directory / table).iterdir())


def filled(directory, tasks, block=2):
    """Make a results directory with all runs staged."""
    results = make_store(directory, tasks, block)
    for task in tasks:
        put(directory, task)
    return results


def test_whole_subtrees_of_blocks_are_joined_and_a_short_block_stays(tmp_path):
    tasks = toys.make_tasks(1, 15)  # seven blocks of two runs and one of one
    results = filled(tmp_path / "out", tasks)
    results.finish()
    joined = ["0000000-0000007", "0000008-0000011", "0000012-0000013", "0000014-0000014"]
    assert names(results.directory) == [f"part-{stretch}.parquet" for stretch in joined]
    check_tables(results.directory, tasks)
    assert not staged_runs(results.directory)
    footer = pq.read_metadata(results.directory / "series" / "part-0000000-0000007.parquet").metadata
    assert json.loads(footer[b"citytwin.runs"]) == [task["run_id"] for task in tasks[:8]]
    assert footer[b"citytwin.scenario"].decode() == FOOTER["scenario"]
    before = toys.files(results.directory)
    results.finish()
    assert toys.files(results.directory) == before


def test_no_shard_is_lost_that_a_listing_of_a_moment_ago_lacks(tmp_path, monkeypatch):
    tasks = toys.make_tasks(1, 8)
    results = filled(tmp_path / "out", tasks)
    for number in range(results.blocks):
        results.seal(number)
    real, looks = compaction.shards_of, []

    def outdated(directory, table):  # as a network file system may give it for half a minute
        looks.append(table)
        return [shard for shard in real(directory, table) if (table, shard.first) != ("series", 2) or len(looks) > 6]

    monkeypatch.setattr(compaction, "shards_of", outdated)
    results.finish()
    assert names(results.directory) == ["part-0000000-0000007.parquet"]
    check_tables(results.directory, tasks)


def test_what_a_grown_block_had_before_is_not_lost(tmp_path, monkeypatch):
    tasks = toys.make_tasks(1, 4)
    begun = filled(tmp_path / "out", tasks[:3], block=4)
    begun.finish()
    put(begun.directory, tasks[3])
    grown = Store(begun.directory, [task["run_id"] for task in tasks], 4, FOOTER)
    real, looks = store.shards_of, []

    def outdated(directory, table):
        looks.append(table)
        return [] if table == "series" and looks.count("series") < 3 else real(directory, table)

    with monkeypatch.context() as patch:
        patch.setattr(store, "shards_of", outdated)
        grown.seal(0)
    assert looks.count("series") == 3
    assert names(grown.directory) == ["part-0000000-0000003.parquet"]
    (grown.directory / store.TASKS).write_text("".join(json.dumps(task) + "\n" for task in tasks))
    check_tables(grown.directory, tasks)


def test_size_bounds_what_is_joined(tmp_path, monkeypatch):
    tasks = toys.make_tasks(1, 16)
    alone = filled(tmp_path / "alone", tasks)
    monkeypatch.setattr(compaction, "LARGEST", 0)
    alone.finish()
    assert len(names(alone.directory)) == 8
    sizes = [path.stat().st_size for path in sorted((alone.directory / "series").iterdir())]
    monkeypatch.setattr(compaction, "LARGEST", max(sum(sizes[:2]), sum(sizes[2:4]), sum(sizes[4:6]), sum(sizes[6:])))
    alone.finish()
    assert names(alone.directory) == [f"part-{n:07d}-{n + 3:07d}.parquet" for n in range(0, 16, 4)]
    # Nothing is joined while more is awaited, unless it is sure that it will not be joined again.
    other = filled(tmp_path / "other", tasks)
    for number in range(3):
        other.seal(number)
    other.compact()
    assert names(other.directory) == [f"part-{s}.parquet" for s in ("0000000-0000003", "0000004-0000005")]
    for number in range(3, 8):
        other.seal(number)
    other.finish()
    assert toys.files(other.directory) == toys.files(alone.directory)


def test_files_follow_from_the_runs_whatever_the_order_of_events(tmp_path, monkeypatch):
    tasks = toys.make_tasks(3, 10)
    reference = filled(tmp_path / "reference", tasks)
    monkeypatch.setattr(compaction, "LARGEST", 30_000)
    reference.finish()
    wanted = toys.files(reference.directory)
    assert 3 < len(names(reference.directory)) < 15
    generator = np.random.default_rng(3)
    for attempt in range(5):
        results = make_store(tmp_path / f"other{attempt}", tasks, block=2)
        for number in generator.permutation(len(tasks)):
            put(results.directory, tasks[number])
            event = generator.integers(8)
            if event < 3:
                results.seal(number // 2)
            elif event == 3:
                results.compact()
            elif event == 4:
                results.finish()
            check_plain(results.directory)
        results.finish()
        assert toys.files(results.directory) == wanted


def test_failed_runs_are_copied_for_plain_tools_and_made_up_for(tmp_path):
    tasks = toys.make_tasks(2, 4)
    results = make_store(tmp_path / "out", tasks, block=4)
    for number in (0, 1, 2, 3, 4, 6):
        put(results.directory, tasks[number])
    results.finish()
    there = [tasks[number] for number in (0, 1, 2, 3, 4, 6)]
    plain = pd.read_parquet(results.directory / "summary")
    assert sorted(plain["run_id"]) == [task["run_id"] for task in there]
    check_tables(results.directory, there)
    assert staged_runs(results.directory) == {tasks[4]["run_id"], tasks[6]["run_id"]}
    put(results.directory, tasks[5])
    results.finish()
    assert sum(name.startswith("incomplete") for name in names(results.directory, "summary")) == 1
    check_plain(results.directory)
    put(results.directory, tasks[7])
    results.finish()
    complete = filled(tmp_path / "complete", tasks, block=4)
    complete.finish()
    assert toys.files(results.directory) == toys.files(complete.directory)


def test_a_sweep_that_grows_keeps_what_it_has(tmp_path):
    tasks = toys.make_tasks(3, 7)
    small = filled(tmp_path / "out", tasks[:9])
    small.finish()
    check_tables(small.directory, tasks[:9])
    lines = "".join(json.dumps(task) + "\n" for task in tasks)
    (small.directory / store.TASKS).write_text(lines)
    grown = Store(small.directory, [task["run_id"] for task in tasks], 2, FOOTER)
    assert grown.committed() == {task["run_id"] for task in tasks[:9]}
    for task in tasks[9:]:
        put(grown.directory, task)
        check_tables(grown.directory, tasks[: tasks.index(task) + 1])
    grown.finish()
    check_tables(grown.directory, tasks)
    check_plain(grown.directory)
    whole = filled(tmp_path / "whole", tasks)
    whole.finish()
    assert toys.files(grown.directory) == toys.files(whole.directory)


def test_columns_that_some_runs_lack_and_types_that_differ(tmp_path):
    tasks = toys.make_tasks(1, 8)
    peaks = [3, 4, 4.5, None, None, None, 7, 8]
    results = make_store(tmp_path / "out", tasks, block=2)
    for task, peak in zip(tasks, peaks, strict=True):
        more = {"late": np.array([task["replicate"]], np.int8)} if task["replicate"] > 5 else {}
        put(results.directory, task, {"summary": {"peak": peak}, "series": {"day": np.array([0], np.int16), **more}})
    results.finish()
    assert read_table(results.directory, "summary")["peak"].to_pylist() == [None if p is None else p for p in peaks]
    assert read_table(results.directory, "series")["late"].to_pylist() == [None] * 6 + [6, 7]
    assert len(names(results.directory)) == len(names(results.directory, "summary")) == 1


def test_what_would_become_text_is_not_joined(tmp_path):
    tasks = toys.make_tasks(1, 4)
    results = make_store(tmp_path / "out", tasks, block=1)
    for task, label in zip(tasks, (1, 2, "three", "four"), strict=True):
        put(results.directory, task, {"summary": {"label": label}})
    results.finish()
    assert names(results.directory, "summary") == [f"part-{s}.parquet" for s in ("0000000-0000001", "0000002-0000003")]
    assert read_table(results.directory, "summary")["label"].to_pylist() == ["1", "2", "three", "four"]


def test_rows_of_joined_shards_are_cut_into_row_groups_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "ROW_GROUP", 7)
    tasks = toys.make_tasks(1, 4)
    results = filled(tmp_path / "out", tasks)
    results.finish()
    file = pq.ParquetFile(results.directory / "series" / "part-0000000-0000003.parquet")
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [7, 7, 6]
    check_tables(results.directory, tasks)


# ---------------------------------------------------------------------- asking for less


def test_columns_and_points(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "ROW_GROUP", 10)
    tasks = toys.make_tasks(4, 5)
    results = filled(tmp_path / "out", tasks)
    for number in range(6):
        results.seal(number)  # of the last blocks all runs lie staged
    whole = read_table(results.directory, "series").to_pandas(types_mapper=pd.ArrowDtype)
    for columns in (None, ["share"], ["closed", "day", "run_id"]):
        for points in (None, {2}, {0, 3}, set()):
            found = read_table(results.directory, "series", columns=columns, points=points)
            found = found.to_pandas(types_mapper=pd.ArrowDtype)
            rows = whole if points is None else whole[whole["point"].isin(points)]
            expected = (rows if columns is None else rows[columns]).reset_index(drop=True)
            pd.testing.assert_frame_equal(found, expected)
    some = {"r001-003", "r003-004"}
    found = read_table(results.directory, "series", some).to_pandas(types_mapper=pd.ArrowDtype)
    pd.testing.assert_frame_equal(found, whole[whole["run_id"].isin(some)].reset_index(drop=True))
    with pytest.raises(StoreError, match="has no column speed; there are: run_id, point, replicate, seed, day, "):
        read_table(results.directory, "series", columns=["day", "speed"])


def test_only_what_is_asked_for_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "ROW_GROUP", 10)
    tasks = toys.make_tasks(4, 5)
    results = filled(tmp_path / "out", tasks)
    results.finish()
    read = []
    real = pq.ParquetFile.read_row_group

    def spied(self, number, columns=None, **options):
        read.append((number, columns))
        return real(self, number, columns=columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", spied)
    found = read_table(results.directory, "series", columns=["share"], points={1})
    assert found.column_names == ["share"]
    assert len(found) == 5 * toys.ROWS
    assert {tuple(columns) for _, columns in read} == {("run_id", "share")}
    assert len(read) == 3  # of ten row groups of ten rows, those with rows 25 to 49


# ---------------------------------------------------------------------- many at once


def test_several_seal_and_join_at_the_same_time(tmp_path):
    tasks = toys.make_tasks(4, 8)
    reference = filled(tmp_path / "reference", tasks)
    reference.finish()
    results = make_store(tmp_path / "out", tasks, block=2)
    failures = []
    done = threading.Event()

    def work(seed):
        own = Store(results.directory, results.runs, 2, FOOTER)
        order = np.random.default_rng(seed).permutation(len(tasks))
        try:
            for number in order:  # everybody makes every run
                put(own.directory, tasks[number])
                own.seal(number // 2)
                own.compact(final=number % 5 == 0)
        except Exception as error:
            failures.append(error)

    def watch():
        seen = set()
        try:
            while not done.is_set():
                found = runs_in_results(results.directory)
                assert seen <= found
                seen = found
                if found:
                    runs = read_table(results.directory, "summary", columns=["run_id"])["run_id"].to_pylist()
                    assert len(runs) == len(set(runs))
                    assert found <= set(runs)
        except Exception as error:
            failures.append(error)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    watcher = threading.Thread(target=watch)
    for thread in (*workers, watcher):
        thread.start()
    for thread in workers:
        thread.join()
    done.set()
    watcher.join()
    assert not failures
    results.finish()
    assert toys.files(results.directory) == toys.files(reference.directory)


def test_plain_tools_read_while_shards_are_joined(tmp_path):
    tasks = toys.make_tasks(4, 16)
    results = make_store(tmp_path / "out", tasks, block=2)
    (results.directory / "summary").mkdir()
    counts, failures = [], []
    done = threading.Event()

    def look():
        while not done.is_set():
            try:
                files = sorted((results.directory / "summary").glob("*.parquet"))
                runs = [run for file in files for run in pq.read_table(file)["run_id"].to_pylist()]
            except FileNotFoundError:
                continue  # joined between listing and opening: a plain tool has to read again
            except Exception as error:
                failures.append(error)
                return
            counts.append((len(runs), len(set(runs))))

    watcher = threading.Thread(target=look)
    watcher.start()
    for number, task in enumerate(tasks):
        put(results.directory, task)
        results.seal(number // 2)
        if number % 8 == 7:
            results.compact(final=True)
    done.set()
    watcher.join()
    assert not failures
    assert counts
    assert all(runs == different for runs, different in counts)
