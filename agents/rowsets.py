"""Sets of row agents: Mesa's AgentSet over columns.

:class:`~.tables.RowSet` holds agents of one class as row numbers of their table; :class:`~.mixedsets.MixedSet` holds agents
of several classes, and ordinary Mesa agents among them. Both answer everything that a ``mesa.agent.AgentSet`` answers, in
the same order and with the same values, from whole columns where they can; here is what they have in common.

A plain ``AgentSet(list_of_row_agents)`` is empty at once: Mesa holds agents weakly, and a row agent is a temporary
view. Use ``citizens.select(...)``, ``table.rows(...)`` or ``model.set_of(...)``, which give such sets.
"""

import builtins
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
from mesa.agent import AgentSet
from numpy.typing import ArrayLike, NDArray

from .compat import GroupBy

MISSING = object()
_CHUNK = 1 << 16


class RowGroupBy(GroupBy):
    """Groups of row agents; ``agg`` works on columns."""

    def agg(self, attr_name: str, func: Callable[..., Any]) -> dict[Any, Any]:
        """Return group name -> ``func`` over the values of an attribute."""
        return {
            name: group.agg(attr_name, func)
            if isinstance(group, ColumnarSet)
            else func([getattr(agent, attr_name) for agent in group])
            for name, group in self.groups.items()
        }


class ColumnarSet(AgentSet):
    """What sets of row agents have in common. Subclasses answer positions, values and views."""

    # ------------------------------------------------------------------ what a subclass answers

    @property
    def model(self) -> Any:
        """The model in which the agents live, a :class:`~.rows.RowModel`."""
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def _views(self, skip_removed: bool = True) -> Iterator[Any]:
        """Yield the agents as they are now, leaving out those removed meanwhile if asked."""
        raise NotImplementedError

    def _take(self, positions: NDArray[np.int64]) -> "ColumnarSet":
        """Return the set of the agents at some positions, in that order."""
        raise NotImplementedError

    def _adopt(self, other: "ColumnarSet") -> "ColumnarSet":
        """Hold the agents of another set from now on."""
        raise NotImplementedError

    def _values(self, name: str, default: Any = MISSING) -> NDArray[Any] | list[Any]:
        """Return an attribute of every agent."""
        raise NotImplementedError

    def _of_type(self, agent_type: type) -> NDArray[np.bool_]:
        """Say which agents are of a class or one derived from it, (n,)."""
        raise NotImplementedError

    def _position(self, agent: Any) -> int | None:
        """Return where an agent stands in this set, or None."""
        raise NotImplementedError

    # ------------------------------------------------------------------ going through

    @property
    def random(self) -> Any:
        """The model's generator."""
        return self.model.random

    @property
    def _agents(self) -> dict[Any, None]:
        return dict.fromkeys(self)

    def __iter__(self) -> Iterator[Any]:
        return self._views()

    def __getitem__(self, item: int | slice) -> Any:
        if isinstance(item, slice):
            return list(self._take(np.arange(len(self))[item]))
        return next(self._take(np.arange(len(self))[[item]])._views())

    def to_list(self) -> list[Any]:
        """Return the agents as a list (about 170 bytes each)."""
        return list(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self):,} agents)"

    # ------------------------------------------------------------------ choosing and ordering

    def select(  # type: ignore[override]
        self,
        filter_func: Callable[[Any], bool] | None = None,
        at_most: float = float("inf"),
        inplace: bool = False,
        agent_type: type | None = None,
        where: Callable[[Any], Any] | ArrayLike | None = None,
    ) -> "ColumnarSet":
        """Choose agents.

        Args:
            filter_func: called with every agent, says whether to take it.
            at_most: number of agents to take, or a share of them (a float up to 1): the first that qualify.
            inplace: change this set instead of making a new one.
            agent_type: take agents of this class and those derived from it.
            where: called once with an object whose attributes are the columns of these agents, as int64, float64 or
                bool arrays (n,), gives a bool array (n,); or such an array itself. Much faster than ``filter_func``.

        Returns:
            The chosen agents, in the order of this set.

        Raises:
            ValueError: if ``where`` does not give one bool an agent.
        """
        if filter_func is None and agent_type is None and where is None and at_most == float("inf"):
            return self if inplace else self.copy()
        limit = int(len(self) * at_most) if isinstance(at_most, float) and at_most <= 1.0 else at_most
        chosen: ColumnarSet = self
        if agent_type is not None:
            chosen = chosen._take(np.flatnonzero(self._of_type(agent_type)))
        if where is not None:
            chosen = chosen._take(np.flatnonzero(chosen._mask(where)))
        if filter_func is not None:
            positions: list[int] = []
            for position, agent in enumerate(chosen._views(skip_removed=False)):
                if len(positions) >= limit:
                    break
                if filter_func(agent):
                    positions.append(position)
            chosen = chosen._take(np.array(positions, np.int64))
        elif limit < len(chosen):
            chosen = chosen._take(np.arange(int(limit)))
        return self._adopt(chosen) if inplace else chosen

    def _mask(self, where: Callable[[Any], Any] | ArrayLike) -> NDArray[np.bool_]:
        mask = np.asarray(where(ColumnNamespace(self)) if callable(where) else where)
        if mask.dtype != bool or mask.shape != (len(self),):
            raise ValueError(
                f"select(where=…): one True or False for each of {len(self)} agents wanted, "
                f"got {mask.dtype} of shape {mask.shape}; for example where=lambda c: c.age > 60"
            )
        return mask

    def shuffle(self, inplace: bool = False) -> "ColumnarSet":
        """Bring the agents into random order, the same as Mesa would; 0.5 s a million agents."""
        shuffled = self._take(self._permutation())
        return self._adopt(shuffled) if inplace else shuffled

    def _permutation(self) -> NDArray[np.int64]:
        order = list(range(len(self)))
        self.random.shuffle(order)
        return np.array(order, np.int64)

    def sort(  # type: ignore[override]
        self, key: Callable[[Any], Any] | str, ascending: bool = False, inplace: bool = False
    ) -> "ColumnarSet":
        """Sort by an attribute or a function of the agent, the largest first unless ``ascending``."""
        values = self._values(key) if isinstance(key, str) else [key(agent) for agent in self._views(False)]
        if isinstance(values, np.ndarray):
            # Descending and stable, without negating (which wraps around for unsigned types).
            order = np.argsort(values if ascending else values[::-1], kind="stable")
            order = order if ascending else len(values) - 1 - order[::-1]
        else:
            order = np.array(sorted(range(len(values)), key=values.__getitem__, reverse=not ascending), np.int64)
        ordered = self._take(order)
        return self._adopt(ordered) if inplace else ordered

    def groupby(self, by: Callable[[Any], Any] | str, result_type: str = "agentset") -> RowGroupBy:  # type: ignore[override]
        """Group by an attribute or a function of the agent; groups come in the order of their first agent."""
        values = self._values(by) if isinstance(by, str) else [by(agent) for agent in self._views(False)]
        groups: dict[Any, NDArray[np.int64]]
        if isinstance(values, np.ndarray):
            order = np.argsort(_narrow(values), kind="stable")
            ordered = values[order]
            members = np.split(order, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1) if len(values) else []
            groups = {values[m[0]].item(): m for m in sorted(members, key=_first)}
        else:
            found = defaultdict(list)
            for position, value in enumerate(values):
                found[value].append(position)
            groups = {name: np.array(positions, np.int64) for name, positions in found.items()}
        sets = {name: self._take(positions) for name, positions in groups.items()}
        return RowGroupBy({name: list(group) for name, group in sets.items()} if result_type == "list" else sets)

    # ------------------------------------------------------------------ acting

    def do(self, method: str | Callable[..., Any], *args: Any, **kwargs: Any) -> "ColumnarSet":  # type: ignore[override]
        """Call a method (by name) or a function on every agent.

        Agents made meanwhile are not called, those removed meanwhile neither.
        """
        _call(self._views(), method, args, kwargs)
        return self

    def shuffle_do(self, method: str | Callable[..., Any], *args: Any, **kwargs: Any) -> "ColumnarSet":  # type: ignore[override]
        """Call a method or function on every agent, in random order."""
        _call(self._take(self._permutation())._views(), method, args, kwargs)
        return self

    def map(self, method: str | Callable[..., Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Call a method or function on every agent and return the answers."""
        if isinstance(method, str):
            return [getattr(agent, method)(*args, **kwargs) for agent in self._views()]
        return [method(agent, *args, **kwargs) for agent in self._views()]

    # ------------------------------------------------------------------ values

    def get(self, attr_names: str | list[str], handle_missing: str = "error", default_value: Any = None) -> list[Any]:
        """Return an attribute of every agent as Python values, or a list of several for each."""
        if handle_missing not in ("error", "default"):
            raise ValueError(f"handle_missing must be 'error' or 'default', not {handle_missing!r}")
        default = MISSING if handle_missing == "error" else default_value
        if isinstance(attr_names, str):
            return as_list(self._values(attr_names, default))
        return [list(row) for row in zip(*(as_list(self._values(name, default)) for name in attr_names), strict=True)]

    def agg(self, attribute: str, func: Callable[..., Any] | Iterable[Callable[..., Any]]) -> Any:
        """Return ``func`` over the values of an attribute, or a list of answers for several functions.

        numpy functions get an array, all others a list of Python values. Answers are Python values.
        """
        values = self._values(attribute)
        if callable(func):
            return _aggregate(values, func)
        return [_aggregate(values, f) for f in func]

    def column(self, name: str) -> NDArray[Any]:
        """Return a column of these agents as a new array (n,) of the column's own type."""
        raise NotImplementedError

    # ------------------------------------------------------------------ as a set

    def copy(self) -> "ColumnarSet":
        """Return another set of the same agents."""
        return self._take(np.arange(len(self)))

    __copy__ = copy

    def add(self, agent: Any) -> None:
        """Take an agent of the model into this set."""
        if agent not in self:
            self._adopt(self.model.set_of(chain(self, [agent])))

    def discard(self, agent: Any) -> None:
        """Take an agent out of this set, if it is in it; it stays in the model."""
        position = self._position(agent)
        if position is not None:
            self._adopt(self._take(np.delete(np.arange(len(self)), position)))

    def remove(self, agent: Any) -> None:
        """Take an agent out of this set; it stays in the model.

        Raises:
            KeyError: if it is not in the set.
        """
        if agent not in self:
            raise KeyError(agent)
        self.discard(agent)

    def clear(self) -> None:
        """Empty this set; the agents stay in the model."""
        self._adopt(self._take(np.empty(0, np.int64)))

    def _update(self, agents: Iterable[Any]) -> "ColumnarSet":
        return self._adopt(self.model.set_of(agents))

    def _from_iterable(self, agents: Iterable[Any]) -> "ColumnarSet":  # type: ignore[override]
        return self.model.set_of(agents)


class ColumnNamespace:
    """Columns of a set as attributes: what ``select(where=…)`` hands to its function."""

    __slots__ = ("_agents",)

    def __init__(self, agents: ColumnarSet):
        self._agents = agents

    def __getattr__(self, name: str) -> NDArray[Any]:
        return np.asarray(self._agents._values(name))


def model_owned(name: str) -> str:
    """Return what to say where somebody changes a set that belongs to the model, ``name`` being its attribute."""
    return f"model.{name} is the model's own and always complete; work on a copy: model.{name}.copy()"


def counted(index: slice | NDArray[Any]) -> Iterable[int]:
    """Return numbers as Python integers without making them all at once."""
    if isinstance(index, slice):
        return range(index.start, index.stop)
    return chain.from_iterable(index[i : i + _CHUNK].tolist() for i in range(0, len(index), _CHUNK))


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Return keys that sort like the values; in 16 bits if they fit, which numpy sorts by radix."""
    if values.dtype.kind == "i" and values.size and int(values.max()) - int(values.min()) < 1 << 16:
        return (values - values.min()).astype(np.uint16)
    return values


def _first(positions: NDArray[np.int64]) -> int:
    return int(positions[0])


def as_list(values: NDArray[Any] | list[Any]) -> list[Any]:
    """Return values as a list of Python objects, as Mesa's own sets give them."""
    return values.tolist() if isinstance(values, np.ndarray) else values


def _call(
    agents: Iterator[Any], method: str | Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    if isinstance(method, str):
        for agent in agents:
            getattr(agent, method)(*args, **kwargs)
    else:
        for agent in agents:
            method(agent, *args, **kwargs)


_QUICK: dict[Any, Callable[..., Any]] = {builtins.sum: np.sum, builtins.min: np.min, builtins.max: np.max}


def _aggregate(values: NDArray[Any] | list[Any], func: Callable[..., Any]) -> Any:
    """Apply a function to values, as an array where the answer is the same as for a list."""
    if isinstance(values, np.ndarray):
        if func is len:
            return len(values)
        if func in _QUICK and values.dtype.kind in "iu" and values.size:
            func = _QUICK[func]
        elif not (getattr(func, "__module__", None) or "").startswith("numpy"):
            values = values.tolist()
    answer = func(values)
    return answer.item() if isinstance(answer, np.generic) else answer
