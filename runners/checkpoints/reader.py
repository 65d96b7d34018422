"""Putting a saved state into a model that was made afresh."""

import random
import sys
from collections import deque
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...agents.rows import RowAgent
from ...agents.tables import Table
from .graph import (
    OF_THE_RUN,
    PACKAGE,
    Json,
    Walk,
    asked,
    called,
    columns_of,
    in_set,
    label_of,
    name_of,
    not_saved,
    owner_of,
    type_of,
)

_MISSING = object()


class StateError(ValueError):
    """A state that does not fit a model, or is damaged; the message says which part of it."""


class _Fresh(Walk):
    """What a fresh model has, by path, and the classes of all of it by name."""

    def __init__(self, model: Any):
        super().__init__(model)
        self.at: dict[str, Any] = {}
        self.classes: dict[str, type] = {}
        self.walk(model)
        self.packages = self._roots
        self.columns = dict(columns_of(model.city))

    def payload(self, array: NDArray[Any], path: str) -> Json:  # noqa: ARG002
        return {}

    def meet(self, value: Any, path: str) -> None:
        if not self._in_sets:
            self.at[path] = value
        cls = value if isinstance(value, type) else type(value)
        self.classes[name_of(cls)] = cls


class Reader:
    """Puts a state into a fresh model.

    Args:
        model: the model, made of the scenario, city and classes of the one that was saved, and not stepped.
        arrays: the arrays of the state by number.
        same_seed: whether the model has the seed of the saved one. Else what was drawn stays, and what is still to be
            drawn follows the model's.
    """

    def __init__(self, model: Any, arrays: Sequence[NDArray[Any]], *, same_seed: bool = True):
        self._model = model
        self._same_seed = same_seed
        self._arrays = arrays
        self._fresh = _Fresh(model)
        self._done: dict[str, Any] = {}
        self._finished: list[Callable[[], None]] = []

    def restore(self, tree: Json) -> None:
        """Put the state into the model.

        Raises:
            StateError: if it does not fit, or is damaged; the model is of no use then.
        """
        try:
            saved = tree["list"][0]["object"]
            if saved != name_of(type(self._model)):
                raise StateError(f"a model of {saved} was saved, this is a {name_of(type(self._model))}")
            _, agents = self._read(tree, "")
        except StateError:
            raise
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            raise StateError(f"the state does not fit the model ({type(error).__name__}: {error})") from None
        if len(agents) != len(self._model.plain_agents):
            raise StateError(
                f"the state has {len(agents)} plain agents, the model {len(self._model.plain_agents)}; those that are made "
                "or removed during a run cannot be restored (agents with columns can)"
            )
        for finish in self._finished:
            finish()

    # ------------------------------------------------------------------ nodes

    def _read(self, node: Json, path: str) -> Any:
        if not isinstance(node, dict):
            if isinstance(node, list):
                raise StateError(f"{path}: a list where a value should be")
            own = self._fresh.at.get(path)
            # The last word of the path is the name of the attribute.
            return own if type(own) is int and path.rpartition(".")[2] in OF_THE_RUN else node
        kind = next(iter(node), "")
        if kind not in _READERS:
            raise StateError(f"{path}: unknown kind of value '{kind}'")
        return _READERS[kind](self, node, path)

    def _items(self, nodes: Sequence[Json], path: str) -> list[Any]:
        return [self._read(item, f"{path}[{number}]") for number, item in enumerate(nodes)]

    def _at(self, path: str) -> Any:
        found = self._done.get(path, _MISSING)
        return self._fresh.at[path] if found is _MISSING else found

    def _same(self, node: Json, path: str) -> Any:  # noqa: ARG002
        return self._at(node["same"])

    def _opaque(self, node: Json, path: str) -> Any:
        found = self._fresh.at.get(path, _MISSING)
        if found is _MISSING or type(found).__qualname__ != node["opaque"]:
            raise StateError(f"{path}: the saved model had a {node['opaque']} here that a fresh one has not")
        if node["name"] != called(found):
            raise StateError(
                f"{path}: the saved model had {node['name']} here, a fresh one has {called(found)}; functions are not "
                "saved: keep a name or a number there, and choose the function by that"
            )
        return found

    def _float(self, node: Json, path: str) -> float:  # noqa: ARG002
        return float(node["float"])

    def _scalar(self, node: Json, path: str) -> Any:
        own = self._fresh.at.get(path)
        dtype, content = node["scalar"]
        if type(own) is np.uint64 and dtype == own.dtype.str:
            return own
        return np.frombuffer(bytes.fromhex(content), type_of(dtype))[0]

    def _enum(self, node: Json, path: str) -> Any:  # noqa: ARG002
        return self._class_of(node["enum"][0])[node["enum"][1]]  # type: ignore[index]

    def _datetime(self, node: Json, path: str) -> datetime:  # noqa: ARG002
        return datetime.fromisoformat(node["datetime"])

    def _date(self, node: Json, path: str) -> date:  # noqa: ARG002
        return date.fromisoformat(node["date"])

    def _seconds(self, node: Json, path: str) -> timedelta:  # noqa: ARG002
        return timedelta(*node["seconds"])

    def _slice(self, node: Json, path: str) -> slice:  # noqa: ARG002
        return slice(*node["slice"])

    def _range(self, node: Json, path: str) -> range:  # noqa: ARG002
        return range(*node["range"])

    def _bytes(self, node: Json, path: str) -> bytes:  # noqa: ARG002
        return bytes.fromhex(node["bytes"])

    def _path(self, node: Json, path: str) -> Path:  # noqa: ARG002
        return Path(node["path"])

    def _class(self, node: Json, path: str) -> type:
        found = self._done[path] = self._class_of(node["class"])
        return found

    # ------------------------------------------------------------------ arrays

    def _array(self, node: Json, path: str) -> NDArray[Any]:
        array = self._done[path] = self._arrays[node["array"]]
        array.flags.writeable = not node.get("fixed", False)
        return array

    def _unchanged(self, node: Json, path: str) -> NDArray[Any]:  # noqa: ARG002
        array = self._fresh.at.get(path)
        if not isinstance(array, np.ndarray):
            raise StateError(f"{path}: the state leaves out an array that a fresh model has not")
        return array

    def _view(self, node: Json, path: str) -> NDArray[Any]:
        base = node["view"]
        if base.get("city") is not None:
            owner = owner_of(self._fresh.columns[base["city"]])
        else:
            owner = self._read(base, f"{path}/base")
        memory = owner if owner.flags.c_contiguous else owner.T
        view: NDArray[Any] = np.ndarray(
            tuple(node["shape"]), type_of(node["type"]), memory, node["offset"], tuple(node["strides"])
        )
        if node["fixed"]:
            view.flags.writeable = False
        self._done[path] = view
        return view

    # ------------------------------------------------------------------ containers

    def _list(self, node: Json, path: str) -> list[Any]:
        found: list[Any] = []
        self._done[path] = found
        found += self._items(node["list"], path)
        return found

    def _deque(self, node: Json, path: str) -> deque[Any]:
        found: deque[Any] = deque(maxlen=node["most"])
        self._done[path] = found
        found += self._items(node["deque"], path)
        return found

    def _set(self, node: Json, path: str) -> set[Any]:
        found = self._done[path] = set(self._unordered(node["set"], path))
        return found

    def _frozenset(self, node: Json, path: str) -> frozenset[Any]:
        found = self._done[path] = frozenset(self._unordered(node["frozenset"], path))
        return found

    def _unordered(self, nodes: Sequence[Json], path: str) -> list[Any]:
        return [self._read(item, in_set(path, number)) for number, item in enumerate(nodes)]

    def _tuple(self, node: Json, path: str) -> tuple[Any, ...]:
        return tuple(self._items(node["tuple"], path))

    def _named(self, node: Json, path: str) -> Any:
        return self._class_of(node["named"])._make(self._items(node["items"], path))  # type: ignore[attr-defined]

    def _dict(self, node: Json, path: str) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        self._done[path] = found
        keys = [self._read(key, f"{path}<{number}>") for number, (key, _) in enumerate(node["dict"])]
        for number, (key, (_, item)) in enumerate(zip(keys, node["dict"], strict=True)):
            found[key] = self._read(item, f"{path}[{label_of(key, number)}]")
        return found

    # ------------------------------------------------------------------ objects

    def _class_of(self, name: str) -> type:
        """Return a class that a state may name: one that the fresh model knows, or of a package that it is made of."""
        if name in self._fresh.classes:
            return self._fresh.classes[name]
        module, _, qualified = name.partition(":")
        package = module.partition(".")[0]
        if package not in self._fresh.packages:
            raise StateError(f"the state names a class of another package, {name}")
        try:
            # Modules of others may do anything when they are imported, and so does a __main__.
            ours = package == PACKAGE and not module.endswith("__main__")
            found: Any = import_module(module) if ours else sys.modules[module]
            for part in qualified.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError, KeyError):
            found = None
        if not isinstance(found, type):
            raise StateError(f"the state names a class that there is not, {name}")
        return found

    def _agent(self, node: Json, path: str) -> RowAgent:
        table, row = node["agent"]
        found = self._read(table, f"{path}.table")
        if not isinstance(found, Table):
            raise StateError(f"{path}: an agent without a table")
        agent: RowAgent = found.view(int(row))
        self._done[path] = agent
        return agent

    def _stream(self, node: Json, path: str) -> Any:
        own = self._fresh.at.get(path)
        state = self._read(node["stream"], f"{path}.state")
        if isinstance(own, random.Random):
            if self._same_seed:
                own.setstate(state)
        elif isinstance(own, np.random.Generator):
            if self._same_seed:
                own.bit_generator.state = state
        else:
            raise StateError(f"{path}: the saved model had a generator of random numbers here that a fresh one has not")
        return own

    def _object(self, node: Json, path: str) -> Any:
        cls = self._class_of(node["object"])
        own = self._fresh.at.get(path)
        target = own if type(own) is cls else object.__new__(cls)
        self._done[path] = target
        if any(name.startswith("__") for name in node["state"]):
            raise StateError(f"{path}: no attribute has such a name")
        state = {name: self._read(item, f"{path}.{name}") for name, item in node["state"].items()}
        if asked(cls):
            put = cls.__setstate__ if hasattr(cls, "__setstate__") else _update
            self._finished.append(partial(put, target, state))
            return target
        skipped = not_saved(cls) or ()
        for name in [name for name in getattr(target, "__dict__", {}) if name not in state and name not in skipped]:
            object.__delattr__(target, name)
        for name, value in state.items():
            object.__setattr__(target, name, value)
        if hasattr(cls, "after_restore"):
            self._finished.append(partial(cls.after_restore, target))
        if not self._same_seed and hasattr(cls, "after_branch"):
            self._finished.append(partial(cls.after_branch, target))
        return target


def _update(target: Any, state: dict[str, Any]) -> None:
    target.__dict__.update(state)


_READERS: dict[str, Callable[[Reader, Json, str], Any]] = {
    name: getattr(Reader, f"_{name}")
    for name in (
        *(
            "same",
            "opaque",
            "float",
            "scalar",
            "enum",
            "datetime",
            "date",
            "seconds",
            "slice",
            "range",
            "bytes",
            "path",
        ),
        *("class", "array", "unchanged", "view", "list", "deque", "set", "frozenset", "tuple", "named", "dict"),
        *("agent", "stream", "object"),
    )
}
"""What reads a node, by its first key."""
