"""Trees of states: every kind of value comes back as it was, shared where it was shared, and nothing else is read."""

import datetime
import json
from collections import Counter, deque
from dataclasses import dataclass
from enum import IntEnum
from functools import partial, reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from citytwin.environment.city import City
from citytwin.runners.checkpoints.files import read, read_head, write
from citytwin.runners.checkpoints.graph import Checksums, SaveError, Writer, type_of
from citytwin.runners.checkpoints.reader import Reader, StateError
from citytwin.runners.model import CityModel
from citytwin.runners.scenarios.scenario import Scenario

TEXT = """\
name = "small"
[city]
synthetic = { people = 1_000, seed = 2 }
[clock]
days = 3
[epidemic]
disease = "influenza"
"""
HEAD = {"day": 0, "seed": 1, "whole": True, "scenario": {}, "files": {}, "program": {}, "city": "", "clock": {}} | {
    "begun": []
}


AGES = {"view": {"city": "people.age"}, "offset": 0, "shape": [1], "strides": [1], "type": "|u1", "fixed": True}


class Colour(IntEnum):
    RED = 3


class Pair(NamedTuple):
    one: object
    other: object


@dataclass(frozen=True)
class Slotted:
    __slots__ = ("inner",)
    inner: object


class Secretive:
    __slots__ = ("__inner",)

    def __init__(self, inner: object):
        self.__inner = inner

    def told(self) -> object:
        return self.__inner


class Moody:
    """Changes what it does by taking another method."""

    def __init__(self, *, wild: bool = False):
        self.act = self.rage if wild else self.rest

    def rest(self) -> None: ...

    def rage(self) -> None: ...


class Thing:
    not_saved = ("cache",)

    def __init__(self, **values: object):
        self.cache = "as made"
        self.__dict__.update(values)

    def after_restore(self) -> None:
        self.told = sorted(self.__dict__)


class Asked:
    """Says itself what is saved of it, as for pickling."""

    def __init__(self, value: int):
        self.value, self.twice = value, 2 * value

    def __getstate__(self) -> dict[str, int]:
        return {"value": self.value}

    def __setstate__(self, state: dict[str, int]) -> None:
        self.__init__(state["value"])


class Holder(CityModel):
    """A model that holds whatever a test wants to have saved."""


@pytest.fixture(scope="module")
def make():
    """Make fresh models of one city."""
    city = City.synthetic(1_000, seed=2)
    scenario = Scenario.from_text(TEXT)
    return lambda: Holder(scenario, city)


def passed(make, value: object, *, fresh: object = None, whole: bool = True) -> object:
    """Return a value as it comes back through a tree, JSON and arrays."""
    model = make()
    model.held = fresh
    unchanged = None if whole else Checksums(model)
    model.held = value
    writer = Writer(model, unchanged)
    tree = json.loads(json.dumps(writer.tree, allow_nan=False))
    other = make()
    other.held = fresh
    Reader(other, [array.copy("K") for array in writer.arrays]).restore(tree)
    return other.held


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -(2**70),
        1e-320,
        -0.0,
        float("inf"),
        "ü\ud800\n",
        b"\x00\xff",
        np.float32(0.1),
        np.uint64(2**63),
        np.datetime64("2026-01-05"),
        datetime.date(2026, 1, 5),
        datetime.datetime(2026, 1, 5, 7, 30),
        datetime.timedelta(days=-1, microseconds=3),
        slice(None, 5, -1),
        range(3, 10, 2),
        Path("a/b"),
        Colour.RED,
        Thing,
        [1, [2.5, "x"], ()],
        {1: "a", "1": "b", (2, 3): "c", Thing: "d", None: "e", Colour.RED: "f"},
        {frozenset({1}), 2, "three"},
        deque([1, 2], maxlen=2),
        Pair(1, Pair("x", None)),
    ],
    ids=lambda value: type(value).__name__,  # the repr of a set differs from process to process
)
def test_values(make, value: object) -> None:
    found = passed(make, value)
    assert type(found) is type(value)
    assert found == value
    assert isinstance(value, set) or str(found) == str(value)


_atoms = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=5)
)
_values = st.recursive(
    _atoms | hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, min_side=0, max_side=4)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3) | st.tuples(inner)
    ),
    max_leaves=8,
)


@settings(max_examples=50)
@given(_values)
def test_any_nested_values(make, value: object) -> None:
    assert repr(passed(make, [value])) == repr([value])


_types = hnp.scalar_dtypes() | st.just(np.dtype([("a", "<i2"), ("b", "<f8", (2,)), ("c", [("d", "?")])]))


@settings(max_examples=30)
@given(hnp.arrays(_types, hnp.array_shapes(max_side=3)), st.booleans(), st.booleans(), st.booleans())
def test_any_array_in_any_order(make, array: np.ndarray, fortran: bool, fixed: bool, backwards: bool) -> None:
    array = np.array(array, order="F" if fortran else "C")
    array = array[::-1] if backwards else array
    array.flags.writeable = not fixed
    found = passed(make, array)
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert (found.flags.c_contiguous, found.flags.f_contiguous) == (array.flags.c_contiguous, array.flags.f_contiguous)
    assert found.flags.writeable is not fixed


def test_what_is_shared_stays_shared(make) -> None:
    whole = np.arange(12.0).reshape(3, 4)
    inner = {"list": [1]}
    thing = Thing(
        whole=whole, row=whole[1], turned=whole.T, part=whole.ravel()[2:6:2], inner=inner, again=[inner, inner]
    )
    thing.me = thing
    found = passed(make, [thing, whole, Pair(whole, inner), Slotted(thing)])
    other, again, pair, slotted = found
    assert again is other.whole is pair.one
    assert other.me is other is slotted.inner
    assert other.again[0] is other.again[1] is other.inner is pair.other
    other.whole[1, 2] = 99.0
    assert other.row[2] == other.turned[2, 1] == 99.0
    other.part[0] = -1.0
    assert other.whole[0, 2] == -1.0
    assert passed(make, [range(2), [], []])[1] is not passed(make, [[], []])[0]


def test_what_is_shared_by_a_set_or_a_dictionary_of_objects_stays_shared(make) -> None:
    one, other, array = Thing(), Thing(), np.arange(3)
    one.array = array
    in_set, listed, by_object = passed(make, [{one}, [one, array], {one: [1], other: [2]}])
    assert in_set == {listed[0]}
    assert listed[0].array is listed[1]
    assert list(by_object.values()) == [[1], [2]]
    assert next(iter(by_object)) is listed[0]
    values = [1], [2]
    first, second = passed(make, [{one: values[0], other: values[1]}, list(values)])
    assert all(found is again for found, again in zip(first.values(), second, strict=True))


def test_what_lies_in_a_set_is_saved_even_if_it_did_not_change(make) -> None:
    def things() -> set[Thing]:  # which comes first depends on where they lie
        return {Thing(number=number, array=np.full(3, number)) for number in range(20)}

    found = passed(make, things(), fresh=things(), whole=False)
    assert sorted(thing.number for thing in found) == list(range(20))
    assert all((thing.array == thing.number).all() for thing in found)


def test_sets_keep_the_order_in_which_they_are_gone_through(make) -> None:
    sets = [{8, 0}, {0, 8}, {24, 8, 16}]
    assert list(sets[0]) != list(sets[1])
    assert list(map(list, passed(make, sets))) == list(map(list, sets))


def test_private_slots_are_saved(make) -> None:
    assert passed(make, Secretive(5), fresh=Secretive(4)).told() == 5


def test_columns_of_the_city_are_referred_to(make) -> None:
    model = make()
    model.held = [model.city.people.age, model.city.people.age[5:9], np.array(model.city.people.age)]
    writer = Writer(model)
    nodes = writer.tree["list"][0]["state"]["held"]["list"]
    assert [node.get("view") for node in nodes] == [{"city": "people.age"}, {"city": "people.age"}, None]
    found = passed(make, model.held)
    assert found[0].base is model.city.people.age
    assert np.shares_memory(found[1], model.city.people.age)
    assert not np.shares_memory(found[2], model.city.people.age)
    assert found[1].tolist() == model.city.people.age[5:9].tolist()


def test_what_did_not_change_is_left_out(make) -> None:
    model = make()
    assert Writer(model, Checksums(model)).arrays == []
    stays, changes = np.arange(5), np.arange(6)
    fresh = {"stays": stays, "changes": changes}
    found = passed(make, {"stays": np.arange(5), "changes": np.arange(6) * 2}, fresh=fresh, whole=False)
    assert found["stays"] is stays  # that of the fresh model
    assert found["changes"].tolist() == [0, 2, 4, 6, 8, 10]


def test_attributes_that_are_not_saved_stay_as_they_were_made(make) -> None:
    saved = Thing(value=1, gone="no")
    saved.cache = "grown"
    fresh = Thing(value=0, other=2)
    found = passed(make, saved, fresh=fresh)
    assert found is fresh
    assert (found.cache, found.value, found.gone) == ("as made", 1, "no")
    assert found.told == ["cache", "gone", "value"]  # what the saved one had not is gone; asked when all stands
    again = passed(make, Asked(21))
    assert (again.value, again.twice) == (21, 42)


def test_keys_of_draws_seeds_and_threads_belong_to_the_run(make) -> None:
    saved = Thing(seed=5, threads=4, key=np.uint64(7), keys={"a": np.uint64(8)}, other=np.uint64(9))
    fresh = Thing(seed=6, threads=1, key=np.uint64(70), keys={"a": np.uint64(80)}, other=3)
    found = passed(make, saved, fresh=fresh)
    assert (found.seed, found.threads, found.key, found.keys["a"]) == (6, 1, 70, 80)
    assert found.other == 9  # nothing of the kind is there in the fresh one
    assert passed(make, saved).seed == 5


class Many(Counter):
    """A container of another kind."""


@pytest.mark.parametrize(
    "value",
    [
        Many("aab"),
        1j,
        memoryview(b"x"),
        iter([]),
        [np.array([{}])],
        np.ma.masked_array([1], [True]),
        np.rec.array([(1,)]),
    ],
    ids=lambda value: type(value).__name__,  # the same in every process that collects
)
def test_what_cannot_be_saved(make, value: object) -> None:
    with pytest.raises(SaveError, match=r"\[0\]\.held.* cannot be saved"):
        passed(make, value)


def test_memory_that_is_no_arrays_is_not_shared_silently(make) -> None:
    memory = bytearray(16)
    assert passed(make, [np.frombuffer(memory, "u1"), np.zeros(3)])[0].tolist() == [0] * 16
    with pytest.raises(SaveError, match=r"\[0\]\.held\[0\] and \[0\]\.held\[1\] share memory that is no array's"):
        passed(make, [np.frombuffer(memory, "u1"), np.frombuffer(memory, "i4")])


def test_a_chain_without_end_is_named(make) -> None:
    chain = None
    for _ in range(3000):
        chain = Thing(following=chain)
    with pytest.raises(SaveError, match=r"^\[0\]\.held\.following.*leads on and on from object to object"):
        passed(make, chain)


def test_another_function_than_a_fresh_model_has_is_named(make) -> None:
    assert isinstance(passed(make, Moody(), fresh=Moody()), Moody)
    with pytest.raises(
        StateError, match=r"held\.act: the saved model had .*:Moody\.rage here, a fresh one has .*rest;"
    ):
        passed(make, Moody(wild=True), fresh=Moody())
    with pytest.raises(StateError, match=r"had .*:len here, a fresh one has .*:max;"):
        passed(make, partial(len), fresh=partial(max))


def test_code_is_not_saved_but_found_again(make) -> None:
    assert passed(make, {"f": len}, fresh={"f": len}) == {"f": len}
    with pytest.raises(StateError, match="had a builtin_function_or_method here that a fresh one has not"):
        passed(make, {"f": len})


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"object": "subprocess:Popen", "state": {}}, "names a class of another package, subprocess:Popen"),
        ({"object": "os:system", "state": {}}, "names a class of another package"),
        ({"object": "citytwin.runners.model:partial", "state": {"x": 1}}, "does not fit|no class|there is not|partial"),
        ({"object": "citytwin.runners.model:nothing", "state": {}}, "names a class that there is not"),
        ({"object": "test_state_trees:Thing", "state": {"__class__": 1}}, "no attribute has such a name"),
        ({"class": "builtins:eval"}, "names a class"),
        ({"class": "citytwin.__main__:main"}, "names a class that there is not"),
        ({"class": "mesa.examples.basic.schelling.app:x"}, "names a class that there is not"),
        ({"deque": [], "most": 2**70}, "does not fit"),
        ({"seconds": [2**70, 0, 0]}, "does not fit"),
        ({}, "unknown kind of value ''"),
        pytest.param(reduce(lambda inside, _: {"list": [inside]}, range(900), 1), "does not fit the model", id="deep"),
        ({"restore": [1]}, "unknown kind of value 'restore'"),
        ({"same": "[0].nowhere"}, "does not fit the model"),
        ({"array": 99}, "does not fit the model"),
        ({"unchanged": True}, "leaves out an array that a fresh model has not"),
        ({"opaque": "City"}, "had a City here that a fresh one has not"),
        (AGES | {"shape": [10**9]}, "does not fit the model"),
        (AGES | {"offset": 9, "shape": [3], "strides": [-8]}, "does not fit the model"),
        (AGES | {"type": "|O"}, "array of Python objects is not read"),
        ({"stream": 1}, "generator of random numbers"),
        ({"agent": [1, 2]}, "an agent without a table"),
        ([1], "a list where a value should be"),
        ({"enum": ["test_state_trees:Colour", "BLUE"]}, "does not fit"),
        ({"datetime": "yesterday"}, "does not fit"),
        ({"dict": [[1]]}, "does not fit"),
    ],
    ids=str,
)
def test_trees_that_somebody_made_up(make, node: object, message: str) -> None:
    model = make()
    model.held = Thing()
    writer = Writer(model)
    writer.tree["list"][0]["state"]["held"] = node
    other = make()
    other.held = Thing() if isinstance(node, dict) and "object" in node else None
    with pytest.raises(StateError, match=message):
        Reader(other, writer.arrays).restore(writer.tree)


@pytest.mark.parametrize(
    "described", ["|O", [["a", "|O"]], "nonsense", 3, {"a": 1}, [["a"]], [[["a", "b"], "<i4", [2]]]]
)
def test_types_of_arrays(described: object) -> None:
    if described == [[["a", "b"], "<i4", [2]]]:
        with pytest.raises((ValueError, TypeError)):
            type_of(described)
    else:
        with pytest.raises(ValueError):
            type_of(described)
    assert type_of([["a", "<i4"], ["b", "<f8", [2]]]).itemsize == 20


# ---------------------------------------------------------------------- on disk


@settings(max_examples=30)
@given(st.lists(hnp.arrays(_types, hnp.array_shapes(max_side=3)), max_size=4), st.booleans())
def test_arrays_on_disk(tmp_path_factory: pytest.TempPathFactory, arrays: list[np.ndarray], fortran: bool) -> None:
    path = tmp_path_factory.mktemp("states") / "s"
    arrays = [np.array(array, order="F" if fortran else "C") for array in arrays]
    write(path, HEAD, {"x": 1}, arrays)
    tree, found = read(path, read_head(path))
    assert tree == {"x": 1}
    for one, other in zip(arrays, found, strict=True):
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
        assert one.flags.f_contiguous is other.flags.f_contiguous
        assert other.flags.writeable
        assert other.flags.owndata


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "s"
    write(path, HEAD, {"x": 1}, [np.arange(100), np.zeros((2, 3), "f4")])
    assert [entry.name for entry in tmp_path.iterdir()] == ["s"]
    return path


@pytest.mark.parametrize("name", ["state.json", "tree.json", "arrays.npy"])
@pytest.mark.parametrize("how", ["gone", "empty", "half", "one bit", "a directory", "other"])
def test_every_damage_is_noticed(state: Path, name: str, how: str) -> None:
    file = state / name
    content = bytearray(file.read_bytes())
    file.unlink()
    if how == "a directory":
        file.mkdir()
    elif how != "gone":
        if how == "one bit":
            content[len(content) // 2] ^= 1
        file.write_bytes(
            {"empty": b"", "half": content[: len(content) // 2], "other": b'{"a": [1, 2'}.get(how, content)
        )
    if how == "one bit" and name == "state.json":
        try:
            read(state, read_head(state))
        except StateError:
            return
        assert json.loads(file.read_bytes()).keys() >= HEAD.keys()  # the bit was in what nobody relies on
        return
    with pytest.raises(StateError, match=str(state)):
        read(state, read_head(state))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "not a saved state of this version"),
        ({"day": "3"}, "'day' is missing or of another kind"),
        ({"day": True}, "'day' is missing or of another kind"),
        ({"checksums": None}, "'checksums' is missing or of another kind"),
        ({"checksums": {}}, "its checksum is another"),
    ],
    ids=str,
)
def test_heads_that_say_other_things(state: Path, change: dict[str, object], message: str) -> None:
    head = json.loads((state / "state.json").read_text()) | change
    (state / "state.json").write_text(json.dumps(head))
    with pytest.raises(StateError, match=message):
        read(state, read_head(state))


def test_nothing_is_left_of_a_state_that_could_not_be_written(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileExistsError):
        write(state, HEAD, {}, [])

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space"):
        write(state.with_name("t"), HEAD, {}, [])
    assert [entry.name for entry in state.parent.iterdir()] == ["s"]
