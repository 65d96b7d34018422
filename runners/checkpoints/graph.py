"""The state of a model as a tree: every attribute of every object that can be reached from it, without pickle.

Whoever adds an attribute to a process has it saved. What must not be saved is named by its class::

    class Noise(Process):
        not_saved = ("_levels",)  # made again when it is wanted

        def after_restore(self) -> None:
            ...  # puts back what follows from the rest; not needed where a fresh object has it already

A class that says nothing of ``not_saved``, but defines ``__getstate__`` and ``__setstate__`` as for pickling, is asked by
these. What a model is made of (the city, the settings of a scenario, functions) is not saved either: a state is put into
a model that was made afresh of the same scenario, city and seed.
"""

import functools
import hashlib
import itertools
import random
import types
from collections import deque
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from ...agents.rows import RowAgent
from ...environment.city import City
from ...environment.schema import SCHEMA
from ..scenarios.scenario import Scenario

Json = Any
"""Null, truth values, numbers, texts, lists and objects of these."""

ATOMS = (type(None), bool, int, float, str)
CONTAINERS = {list: "list", tuple: "tuple", set: "set", frozenset: "frozenset"}
OPAQUE = (
    *(City, Scenario, BaseModel, np.dtype, functools.partial, types.ModuleType, types.MappingProxyType),
    *(types.FunctionType, types.MethodType, types.BuiltinFunctionType),
)
"""Kinds of values of which a model made afresh has the same."""
OF_THE_RUN = {"seed", "_seed", "seed_number", "threads", "_threads"}
"""Names of whole numbers that belong to the run, not to its state; so do the keys of draws, which are ``numpy.uint64``."""
_LIBRARIES = {"mesa"}
PACKAGE = __name__.partition(".")[0]


class SaveError(ValueError):
    """A model that cannot be saved; the message names the attribute and the remedy."""


def root_of(cls: type) -> str:
    """Return the name of the package that a class belongs to."""
    return cls.__module__.partition(".")[0]


def name_of(cls: type) -> str:
    """Return the name of a class as states write it."""
    return f"{cls.__module__}:{cls.__qualname__}"


@functools.cache
def not_saved(cls: type) -> frozenset[str] | None:
    """Return the names of attributes of which a class says that they are not saved; None if it says nothing."""
    said = [base.__dict__["not_saved"] for base in cls.__mro__ if "not_saved" in base.__dict__]
    return frozenset().union(*said) if said else None


@functools.cache
def _computed(cls: type) -> frozenset[str]:
    return frozenset(
        name
        for base in cls.__mro__
        for name, value in vars(base).items()
        if isinstance(value, functools.cached_property)
    )


@functools.cache
def _slots(cls: type) -> tuple[str, ...]:
    found = []
    for base in cls.__mro__:
        given = base.__dict__.get("__slots__", ())
        for name in (given,) if isinstance(given, str) else given:
            if name not in ("__dict__", "__weakref__"):
                private = name.startswith("__") and not name.endswith("__")
                found.append(f"_{base.__name__.lstrip('_')}{name}" if private else name)
    return tuple(found)


def asked(cls: type) -> bool:
    """Return whether objects of a class are asked for their state, as pickle asks."""
    return not_saved(cls) is None and cls.__getstate__ is not object.__getstate__


def attributes(value: Any) -> dict[str, Any]:
    """Return the attributes of an object that are saved."""
    cls: type = type(value)
    if asked(cls):
        state = value.__getstate__()
        if not isinstance(state, dict):
            raise SaveError(f"{cls.__name__}.__getstate__ must return a dictionary of attributes, not {state!r}")
        return state
    skipped = (not_saved(cls) or frozenset()) | _computed(cls)
    found = {name: getattr(value, name) for name in _slots(cls) if hasattr(value, name)} | getattr(
        value, "__dict__", {}
    )
    return {name: what for name, what in found.items() if name not in skipped}


def columns_of(city: City) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the columns of a city, each with its name; a state refers to them."""
    for table in SCHEMA:
        for name in getattr(city, table):
            yield f"{table}.{name}", getattr(city, table)[name]
    for number, schedule in enumerate(city.schedules):
        for name, column in vars(schedule).items():
            if isinstance(column, np.ndarray):
                yield f"schedules.{number}.{name}", column


def owner_of(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array that holds the memory of a view, itself for others."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def contiguous(array: NDArray[Any]) -> bool:
    """Return whether the memory of an array has no gaps, in one order or the other."""
    return bool(array.flags.c_contiguous or array.flags.f_contiguous)


def digest(array: NDArray[Any]) -> bytes:
    """Return a checksum of type, shape and values of an array."""
    sum_ = hashlib.blake2b(f"{array.dtype.descr}{array.shape}".encode(), digest_size=16)
    sum_.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.size else b"")
    return sum_.digest()


class Walk:
    """Goes through all that can be reached from a model, always in the same order, and makes a tree of it.

    What is met again is referred to by the path on which it was met first, so arrays and objects that are shared stay so.

    Args:
        model: the model.
    """

    def __init__(self, model: Any):
        self._seen: dict[int, str] = {}
        self._kept: list[Any] = []  # what is only made when asked for must not lose its identity meanwhile
        self._in_sets = 0  # sets around the value; in them a path means something else in every process
        self._roots = _LIBRARIES | {PACKAGE} | {root_of(cls) for cls in _classes_of(model)} - {"builtins"}
        self._city = {id(owner_of(column)): name for name, column in columns_of(model.city)}

    def walk(self, model: Any) -> Json:
        """Return the tree.

        Raises:
            SaveError: if something can neither be saved nor is of the kinds that a fresh model has as well.
        """
        try:
            return self.node(roots(model), "")
        except RecursionError:
            path = next(reversed(self._seen.values()))
            raise SaveError(
                f"{path[:200]}… leads on and on from object to object, too far to be saved; keep the objects in a list "
                "and refer to one another by its positions"
            ) from None

    # ------------------------------------------------------------------ what a subclass does with it

    def payload(self, array: NDArray[Any], path: str) -> Json:
        """Return the node of an array that holds its own memory."""
        raise NotImplementedError

    def meet(self, value: Any, path: str) -> None:
        """Take note of a value that may be referred to by its path."""

    # ------------------------------------------------------------------ nodes

    def node(self, value: Any, path: str) -> Json:
        """Return the node of a value.

        Raises:
            SaveError: if it can neither be saved nor is of the kinds that a fresh model has as well.
        """
        cls = type(value)
        if cls in ATOMS:
            self.meet(value, path)
            return {"float": repr(value)} if cls is float and not np.isfinite(value) else value
        if isinstance(value, np.ndarray):
            return self._array(value, path)
        if isinstance(value, np.generic):
            self.meet(value, path)
            return {"scalar": [value.dtype.str, value.tobytes().hex()]}
        if isinstance(value, Enum):
            return {"enum": [name_of(cls), value.name]}
        if (simple := _simple(value)) is not None:
            return simple
        if cls is not tuple and id(value) in self._seen:
            return {"same": self._seen[id(value)]}
        if cls is tuple or hasattr(cls, "_fields"):
            items = [self.node(item, f"{path}[{number}]") for number, item in enumerate(value)]
            return {"tuple": items} if cls is tuple else {"named": name_of(cls), "items": items}
        return self._shared(value, path)

    def _shared(self, value: Any, path: str) -> Json:
        """Return the node of what others may refer to."""
        self._seen[id(value)] = path
        self._kept.append(value)
        self.meet(value, path)
        cls = type(value)
        if cls is list or cls is deque:
            items = [self.node(item, f"{path}[{number}]") for number, item in enumerate(value)]
            return {"list": items} if cls is list else {"deque": items, "most": value.maxlen}
        if cls is set or cls is frozenset:
            self._in_sets += 1
            items = [self.node(item, in_set(path, number)) for number, item in enumerate(value)]
            self._in_sets -= 1
            return {CONTAINERS[cls]: items}
        if cls is dict:
            keys = [self.node(key, f"{path}<{number}>") for number, key in enumerate(value)]
            pairs = enumerate(value.items())
            items = [self.node(item, f"{path}[{label_of(key, number)}]") for number, (key, item) in pairs]
            return {"dict": [list(pair) for pair in zip(keys, items, strict=True)]}
        if isinstance(value, RowAgent):
            return {"agent": [self.node(value._table, f"{path}.table"), value._row]}
        if isinstance(value, random.Random):
            return {"stream": self.node(value.getstate(), f"{path}.state")}
        if isinstance(value, np.random.Generator):
            return {"stream": self.node(value.bit_generator.state, f"{path}.state")}
        if isinstance(value, type):
            return {"class": name_of(value)}
        if isinstance(value, OPAQUE):
            return {"opaque": cls.__qualname__, "name": called(value)}
        if root_of(cls) not in self._roots or isinstance(value, list | dict | set | memoryview):
            raise SaveError(
                f"{path} is a {cls.__module__}.{cls.__qualname__}, which cannot be saved; keep numbers, texts, arrays, "
                "lists, dictionaries or objects of the package of your model, process or policy there, or name the "
                "attribute in 'not_saved' of its class if it is made again when it is wanted"
            )
        state = {name: self.node(item, f"{path}.{name}") for name, item in attributes(value).items()}
        return {"object": name_of(cls), "state": state}

    def _array(self, array: NDArray[Any], path: str) -> Json:
        if id(array) in self._seen:
            return {"same": self._seen[id(array)]}
        if type(array) not in (np.ndarray, np.memmap):
            raise SaveError(
                f"{path} is a {type(array).__qualname__}, which cannot be saved; keep plain numpy arrays there"
            )
        if array.dtype.hasobject:
            raise SaveError(f"{path} is an array of Python objects, which cannot be saved; keep a list there")
        self._seen[id(array)] = path
        self._kept.append(array)
        self.meet(array, path)
        owner = owner_of(array)
        if id(owner) in self._city:
            base: Json = {"city": self._city[id(owner)]}
        elif owner is array or not contiguous(owner):
            node = self.payload(array, path)
            return node if array.flags.writeable else node | {"fixed": True}
        else:
            base = self._array(owner, f"{path}/base")
        return {
            "view": base,
            "offset": array.ctypes.data - owner.ctypes.data,
            "shape": list(array.shape),
            "strides": list(array.strides),
            "type": described(array.dtype),
            "fixed": not array.flags.writeable,
        }


def described(dtype: np.dtype[Any]) -> Json:
    """Return the type of an array as JSON; :func:`type_of` reads it."""
    return np.lib.format.dtype_to_descr(dtype)


def type_of(described: Json) -> np.dtype[Any]:
    """Return the type of an array.

    Raises:
        ValueError: if it is none, or of Python objects.
    """
    try:
        dtype = np.lib.format.descr_to_dtype(_as_tuples(described))
    except TypeError as error:
        raise ValueError(f"no type of an array: {described!r} ({error})") from None
    if dtype.hasobject:
        raise ValueError("an array of Python objects is not read from files")
    return dtype


def _as_tuples(described: Json) -> Any:
    """Return a type as numpy describes it: a text, or a list of fields that are tuples."""
    if not isinstance(described, list):
        return described
    return [(name, _as_tuples(what), *(tuple(shape) for shape in rest)) for name, what, *rest in described]


def _simple(value: Any) -> Json | None:
    """Return the node of a value without parts, None if it is none of these."""
    if isinstance(value, datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, timedelta):
        return {"seconds": [value.days, value.seconds, value.microseconds]}
    if isinstance(value, slice | range) and all(part is None or type(part) is int for part in _ends(value)):
        return {type(value).__name__: list(_ends(value))}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, PurePath):
        return {"path": str(value)} if isinstance(value, Path) else None
    return None


def _ends(value: slice | range) -> tuple[Any, Any, Any]:
    return value.start, value.stop, value.step


def label_of(key: Any, number: int) -> str:
    """Return how the path to a value of a dictionary names its key: by its position where it has no words of its own."""
    if isinstance(key, type):
        return name_of(key)
    text = repr(key)
    return f"#{number}" if " at 0x" in text else text


def in_set(path: str, number: int) -> str:
    """Return the path to an item of a set."""
    return f"{path}{{{number}}}"


def called(value: Any) -> str:
    """Return the name of a function or method, also of one with arguments filled in; empty for what is none."""
    if isinstance(value, functools.partial):
        return called(value.func)
    if isinstance(value, types.FunctionType | types.MethodType | types.BuiltinFunctionType):
        return f"{value.__module__}:{value.__qualname__}"
    return ""


def _classes_of(model: Any) -> Iterator[type]:
    """Yield the classes by which users extend a model."""
    yield from type(model).__mro__
    for table in model.tables:
        yield from table.cls.__mro__
    for item in (*model.processes, *model.authority.policies, *model.plain_agents):
        yield from type(item).__mro__
    yield from model.dispatcher_class.__mro__


class Checksums(Walk):
    """Checksums of all arrays of a model by path: those that stay as they are need not be saved."""

    def __init__(self, model: Any):
        super().__init__(model)
        self.of: dict[str, bytes] = {}
        self.walk(model)
        self._kept.clear()
        self._seen.clear()

    def payload(self, array: NDArray[Any], path: str) -> Json:
        """Keep the checksum of an array."""
        if not self._in_sets:
            self.of[path] = digest(array)
        return {}


class Writer(Walk):
    """Makes the tree of a model, and the list of its arrays.

    Args:
        model: the model.
        unchanged: checksums of the model when it was fresh; arrays that are still the same are left out. Without it all
            arrays are in the list.

    Attributes:
        tree: the state as JSON.
        arrays: what it refers to by number.
    """

    def __init__(self, model: Any, unchanged: Checksums | None = None):
        super().__init__(model)
        self._unchanged = {} if unchanged is None else unchanged.of
        self.arrays: list[NDArray[Any]] = []
        self._places: list[tuple[int, int, str]] = []
        self.tree = self.walk(model)
        self._check_places()

    def payload(self, array: NDArray[Any], path: str) -> Json:
        """Return that the array is as in a fresh model, or its number."""
        self._places.append((array.ctypes.data, array.ctypes.data + array.nbytes, path))
        if not self._in_sets and path in self._unchanged and self._unchanged[path] == digest(array):
            return {"unchanged": True}
        self.arrays.append(np.asarray(array))
        return {"array": len(self.arrays) - 1}

    def _check_places(self) -> None:
        """Refuse arrays that share memory which no array holds, as that of a ``bytearray``: they would be apart later.

        Raises:
            SaveError: naming two of them.
        """
        for (_, end, one), (start, _, other) in itertools.pairwise(sorted(self._places)):
            if start < end:
                raise SaveError(f"{one} and {other} share memory that is no array's; make both of one array")


def roots(model: Any) -> list[Any]:
    """Return from where everything in a model can be reached."""
    return [model, list(model.plain_agents)]
