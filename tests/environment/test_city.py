"""The city bundle: written whole or not at all, read memory-mapped, refused with the file named when it is damaged."""

import json
import os
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

from citytwin.environment.city import LAYERS, SCHEMA, City, CityError
from citytwin.environment.schema import SCHEDULE_COLUMNS


@pytest.fixture(scope="module")
def city():
    return City.synthetic(1_500, seed=4, name="Testford")


@pytest.fixture
def bundle(city, tmp_path):
    return city.save(tmp_path / "test.city")


def test_round_trip_keeps_every_column(city, bundle):
    again = City.load(bundle)
    for table, specs in SCHEMA.items():
        for column in specs:
            assert np.array_equal(getattr(again, table)[column], getattr(city, table)[column]), (table, column)
    for ours, theirs in zip(city.schedules, again.schedules, strict=True):
        for column in SCHEDULE_COLUMNS:
            assert np.array_equal(getattr(ours, column), getattr(theirs, column))
    assert again.info == city.info
    assert again.counts() == city.counts()
    for layer in LAYERS:
        assert len(again.layer(layer)) == len(city.layer(layer)) > 0
        assert again.layer(layer).crs == city.info.crs


def test_columns_are_mapped_and_read_only(bundle):
    city = City.load(bundle)
    for column in (city.people.age, city.places.x, city.schedules[0].visitor):
        assert isinstance(column, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


def test_columns_read_as_items_and_attributes(city):
    assert city.people["age"] is city.people.age
    assert len(city.people) == 1_500
    assert list(city.people) == list(SCHEMA["people"])
    with pytest.raises(AttributeError, match="no column 'mood'; there are: age, sex"):
        _ = city.people.mood


def test_what_a_maker_leaves_out_is_filled_in_and_kept(city, tmp_path):
    tables = {table: dict(getattr(city, table)) for table in SCHEMA if table != "turns"}
    del tables["nodes"]["signal"]
    made = City(city.info, tables, city.schedules)
    assert len(made.turns) == 0
    assert made.nodes.signal.dtype == np.uint8
    assert not made.nodes.signal.any()
    again = City.load(made.save(tmp_path / "plain.city"))
    assert len(again.turns) == 0
    assert len(City(city.info, tables | {"turns": again.turns}, city.schedules).turns) == 0  # a table without rows
    for missing in ("links", "people"):
        with pytest.raises(CityError, match=f"{missing}: table is missing"):
            City(city.info, {name: table for name, table in tables.items() if name != missing}, city.schedules)


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        ([(0, 2, 1.0)], "turn 0 joins links that do not meet, 0 and 2"),
        ([(0, 1, 1.0), (0, 1, np.inf)], "a turn stands there twice"),
        ([(0, 1, -1.0)], "penalty is negative"),
        ([(0, 1, np.nan)], "penalty is negative or no number"),
        ([(0, 10**6, 1.0)], r"turns/to_link\.npy: holds"),
    ],
)
def test_turns_that_cannot_be_are_refused(city, turns, message):
    """Links 0 and 1 are the two directions of one street, link 2 begins elsewhere."""
    assert city.links.end[0] == city.links.start[1]
    assert city.links.end[0] != city.links.start[2]
    columns = dict(zip(SCHEMA["turns"], zip(*turns, strict=True), strict=True))
    columns = {name: np.array(values, SCHEMA["turns"][name].dtype) for name, values in columns.items()}
    tables = {table: dict(getattr(city, table)) for table in SCHEMA} | {"turns": columns}
    with pytest.raises(CityError, match=message):
        City(city.info, tables, city.schedules)


def test_same_seed_same_bytes(city, bundle, tmp_path):
    other = City.synthetic(1_500, seed=4, name="Testford").save(tmp_path / "other.city")
    for file in sorted(bundle.rglob("*.npy")):
        assert file.read_bytes() == (other / file.relative_to(bundle)).read_bytes(), file
    different = City.synthetic(1_500, seed=5)
    assert not np.array_equal(different.people.activity, city.people.activity)


def test_overwriting_never_loses_the_earlier_city(city, bundle, monkeypatch):
    other = City.synthetic(1_000, seed=9)

    def crash(*_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", crash)
        with pytest.raises(CityError, match="Input/output error"):
            other.save(bundle, overwrite=True)
    assert City.load(bundle).counts() == city.counts()
    other.save(bundle, overwrite=True)
    assert City.load(bundle).counts() == other.counts()
    assert [p.name for p in bundle.parent.iterdir()] == [bundle.name]


def test_existing_target_is_refused(city, bundle):
    with pytest.raises(CityError, match="exists already"):
        city.save(bundle)
    city.save(bundle, overwrite=True)
    assert City.load(bundle).counts() == city.counts()


def test_overwrite_never_removes_what_is_no_bundle(city, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(CityError, match="is not a city bundle"):
        city.save(tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter.txt").exists()


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("people/age.npy", "remove", r"people/age\.npy: column is missing"),
        ("people/age.npy", "truncate", r"people/age\.npy: is damaged"),
        ("people/age.npy", "shorten", r"people/sex\.npy: 1500 entries, expected 1499"),
        ("people/household.npy", "shorten", r"people/household\.npy: 1499 entries, expected 1500"),
        ("people/household.npy", "retype", r"people/household\.npy: must be one column of i4"),
        ("people/activity.npy", "overflow", r"people/activity\.npy: holds .* allowed is -1"),
        ("schedules/0/place.npy", "overflow", r"schedules/0/place\.npy: holds .* allowed is 0"),
        ("schedules/1/visitor.npy", "overflow", r"schedules/1/visitor\.npy: holds"),
        ("schedules/0/first.npy", "shuffle", r"schedules/0/first\.npy: must rise from 0"),
        ("schedules/0/end.npy", "overflow", r"schedules/0/end\.npy: holds .* allowed is 1 … 96"),
        ("schedules/0/start.npy", "overflow", r"schedules/0/start\.npy: a visit ends before it begins"),
        ("schedules/2/visitor_start.npy", "overflow", r"schedules/2/visitor_start\.npy: a visit ends before it begins"),
        ("schedules/0/start.npy", "nudge", r"schedules/0/start\.npy: the visits of a day leave gaps or overlap"),
        ("people/role.npy", "overflow", r"people/role\.npy: holds .* allowed is 0 … 6"),
        ("places/kind.npy", "overflow", r"places/kind\.npy: holds .* allowed is 0 … 8"),
        ("people/household.npy", "nudge", r"people/household\.npy: does not agree"),
        ("households/first.npy", "shuffle", r"households/first\.npy: must rise from 0"),
        ("places/kind.npy", "foreign", r"places/kind\.npy: is damaged"),
        ("city.json", "foreign", r"city\.json: not a valid city description"),
        ("city.json", "remove", "not a city bundle"),
    ],
)
def test_damaged_bundle_is_refused_by_file(bundle, file, damage, message):
    path = bundle / file
    if damage == "remove":
        path.unlink()
    elif damage == "truncate":
        path.write_bytes(path.read_bytes()[:-7])
    elif damage == "foreign":
        path.write_bytes(b"PK\x03\x04 something else")
    else:
        values = np.load(path)
        if damage == "shorten":
            values = values[:-1]
        elif damage == "retype":
            values = values.astype(np.float64)
        elif damage == "overflow":
            values = values.copy()
            values[len(values) // 2] = np.iinfo(values.dtype).max
        elif damage == "nudge":
            values = values.copy()
            values[0] += 1
        elif damage == "shuffle":
            values = values[::-1].copy()
        np.save(path, values)
        declare_whole(bundle, file)
    with pytest.raises(CityError, match=message):
        City.load(bundle)


def declare_whole(bundle, file):
    """Write the checksum of a changed file into city.json, as somebody does who means it."""
    head = json.loads((bundle / "city.json").read_text())
    head["checksums"][file] = f"{zlib.crc32((bundle / file).read_bytes()):08x}"
    (bundle / "city.json").write_text(json.dumps(head))


def test_one_changed_bit_in_any_file_is_noticed(bundle):
    for path in sorted([*bundle.rglob("*.npy"), *bundle.rglob("*.parquet")]):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 4]) + whole[len(whole) // 2 + 1 :])
        with pytest.raises(CityError, match=rf"{path.name}: is damaged"):
            city = City.load(bundle)
            for layer in LAYERS:
                city.layer(layer)
        path.write_bytes(whole)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("crs", None),
        ("bounds", []),
        ("bounds", [0, 0, float("nan"), 1]),
        ("bounds", [5, 0, 1, 1]),
        ("seed", -1),
        ("seed", 1e400),
        ("week", [0, 1]),
        ("week", [9] * 7),
        ("day_types", []),
        ("sources", [{"name": 3}]),
        ("sources", [{"name": "town"}]),
        ("report", 7),
        ("name", None),
    ],
)
def test_wrong_description_is_refused_by_key(bundle, key, value):
    head = json.loads((bundle / "city.json").read_text())
    (bundle / "city.json").write_text(json.dumps(head | {key: value}))
    with pytest.raises(CityError, match=rf"city.*'{key}'"):
        City.load(bundle)
    (bundle / "city.json").write_text(json.dumps({k: v for k, v in head.items() if k != key}))
    with pytest.raises(CityError, match=f"'{key}' is missing"):
        City.load(bundle)


def test_pickled_objects_are_never_read(bundle):
    np.save(bundle / "people" / "age.npy", np.array([{"a": 1}], object), allow_pickle=True)
    declare_whole(bundle, "people/age.npy")
    with pytest.raises(CityError, match=r"people/age\.npy"):
        City.load(bundle)


def test_other_schema_version_is_refused(bundle):
    head = json.loads((bundle / "city.json").read_text())
    (bundle / "city.json").write_text(json.dumps(head | {"schema_version": 99}))
    with pytest.raises(CityError, match="schema 99"):
        City.load(bundle)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting a small file system needs root")
def test_full_disk_leaves_nothing_behind_and_earlier_cities_intact(city, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("this machine does not let the test mount a tmpfs")
    try:
        first = small / "first.city"
        city.save(first)
        written = 0
        with pytest.raises(CityError, match=r"No space left on device|the disk is full"):
            for written in range(1, 50):
                city.save(small / f"copy{written}.city")
        assert City.load(first).counts() == city.counts()
        left = sorted(p.name for p in small.iterdir())
        assert left == sorted(["first.city", *(f"copy{i}.city" for i in range(1, written))])
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_unwritable_place_is_named(city, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CityError, match="cannot write the city"):
        city.save(Path(tmp_path / "file" / "x.city"))
