"""Rows that are agents: populations as numpy columns, each row a real ``mesa.Agent`` when somebody looks at it.

A class declares its columns in its body::

    class Citizen(RowAgent):
        age = Column("u1", unit="years", doc="age in completed years")

    citizens = Citizen.create_agents(model, 1_000_000, age=ages)
    citizens.select(where=lambda c: c.age > 60).agg("age", np.mean)

The values of one class in one model lie in a :class:`Table`. An agent is a *view*: two slots, table and row, made when
asked for and forgotten afterwards. So a million citizens cost their columns and nine bytes more each, and a kernel
works on the very arrays that ``citizen.age`` reads.

Rows are addresses: removing an agent clears its bit in ``table.alive`` and never moves another row.
"""

import copy
import functools
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import mesa
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..environment.randomness import key, uniform
from .compat import CompatModel, take_ids
from .rowsets import AllAgents, RowSet, TableSet

_GROWTH = 1.5


class Column:
    """One column of a class of row agents, declared in the class body.

    Read on the class it gives itself, read on an agent the value in its row as a Python ``int``, ``float`` or ``bool``.

    Args:
        dtype: numpy type of the values: bool, an integer, ``"f4"`` or ``"f8"``.
        default: value of rows for which none is given.
        unit: unit of the values, for example ``"m/s"``.
        doc: meaning.

    Raises:
        TypeError: for another type.
        ValueError: if the default does not fit the type.
    """

    def __init__(self, dtype: Any, default: float = 0, unit: str = "", doc: str = ""):
        self.dtype = np.dtype(dtype)
        if self.dtype.kind not in "biuf" or self.dtype.itemsize > 8 or self.dtype == np.float16:
            raise TypeError(f"Column of {self.dtype}: allowed are bool, i1 to i8, u1 to u8, f4 and f8")
        self.name = ""
        self.unit = unit
        self.doc = doc
        self.default = self.convert(default, 1, "default").item()

    def __set_name__(self, owner: type, name: str) -> None:
        if self.name and self.name != name:
            raise TypeError(f"{owner.__name__}.{name}: this Column is called '{self.name}' already; make another one")
        self.name = name

    def __get__(self, agent: Any, owner: type | None = None) -> Any:
        if agent is None:
            return self
        return agent._table.cells[self.name][agent._row]

    def __set__(self, agent: Any, value: Any) -> None:
        agent._table.put(agent._row, self.name, value)

    def __repr__(self) -> str:
        unit = f", unit={self.unit!r}" if self.unit else ""
        return f'Column("{self.dtype.str[1:]}", {self.default}{unit}, doc={self.doc!r})'

    def convert(self, values: ArrayLike, rows: int, where: str) -> NDArray[Any]:
        """Check values and bring them into the column's type.

        Args:
            values: one number, or one a row.
            rows: number of rows to fill.
            where: what to call the column in an error, for example ``"Citizen.age"``.

        Returns:
            Array (rows,), or of shape () for one number; not a copy if the type is right already.

        Raises:
            ValueError: if the length is wrong or a value does not fit the type.
        """
        array = np.asarray(values)
        if array.ndim > 1 or (array.ndim == 1 and len(array) != rows):
            raise ValueError(f"{where}: {_shape(array)} given for {rows} rows; give one value, or one a row")
        if array.size == 0 or np.can_cast(array.dtype, self.dtype, "safe"):
            return array.astype(self.dtype, copy=False)
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{where}: numbers of type {self.dtype} wanted, got {array.dtype} ({array.flat[0]!r})")
        if self.dtype.kind == "f":
            with np.errstate(over="ignore"):
                converted = array.astype(self.dtype)
            bad = np.isinf(converted) & ~np.isinf(array)
            allowed = f"up to {np.finfo(self.dtype).max:.3g} in size"
        elif self.dtype.kind == "b":
            bad, allowed = (array != 0) & (array != 1), "True or False"
            converted = array.astype(bool)
        elif array.dtype.kind == "f":
            raise ValueError(
                f"{where}: whole numbers wanted, got {array.dtype}; round them: values.astype('{self.dtype}')"
            )
        else:
            limits = np.iinfo(self.dtype)
            bad, allowed = (array < limits.min) | (array > limits.max), f"{limits.min} … {limits.max}"
            converted = array.astype(self.dtype)
        if bad.any():
            at = f" in row {int(np.argmax(bad))}" if array.ndim else ""
            raise ValueError(f"{where}: value {array[bad].flat[0]}{at} does not fit {self.dtype}; allowed is {allowed}")
        return converted


def _shape(array: NDArray[Any]) -> str:
    return f"{len(array)} values" if array.ndim == 1 else f"an array of shape {array.shape}"


def widen(values: NDArray[Any]) -> NDArray[Any]:
    """Return values as Python would see them: bool, int64 or float64, so that arithmetic does not wrap around."""
    if values.dtype.kind == "f":
        return values.astype(np.float64, copy=False)
    if values.dtype.kind == "b" or values.dtype == np.uint64:
        return values
    return values.astype(np.int64, copy=False)


class Table:
    """All agents of one class in one model, a row each.

    Attributes:
        model: the model.
        cls: the class of the agents.
        specs: every column by name, declared or attached.
        columns: name -> array (rows,) of the column, writable in place. Fetch it again after agents were added: a
            growing table moves its columns.
        cells: name -> memoryview of the same memory, which gives and takes Python numbers.
        uid: int64 (rows,), unique identifiers.
        alive: bool (rows,), False once the agent was removed.
        removals: how many rows were removed so far.
    """

    def __init__(self, model: "RowModel", cls: type["RowAgent"]):
        self.model = model
        self.cls = cls
        self.specs: dict[str, Column] = cls.columns()
        self.removals = 0
        self._rows = 0
        self._store: dict[str, NDArray[Any]] = {name: np.empty(0, c.dtype) for name, c in self.specs.items()}
        self._uid = np.empty(0, np.int64)
        self._alive = np.empty(0, bool)
        self._expose()
        self.agents = TableSet(self)

    columns: Mapping[str, NDArray[Any]]
    cells: dict[str, memoryview]
    uid: NDArray[np.int64]
    alive: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of rows, those of removed agents included; ``len(table.agents)`` counts the living."""
        return self._rows

    def __repr__(self) -> str:
        return f"Table({self.cls.__name__}: {self._rows:,} rows, {self.removals:,} removed; {', '.join(self.specs)})"

    def _expose(self) -> None:
        """Bind what users see to the first rows of the memory in use."""
        rows = self._rows
        self.columns = MappingProxyType({name: values[:rows] for name, values in self._store.items()})
        self.cells = {name: memoryview(values) for name, values in self._store.items()}
        self.uid = self._uid[:rows]
        self.alive = self._alive[:rows]

    def _reserve(self, rows: int) -> None:
        capacity = len(self._alive)
        if rows <= capacity:
            return
        if capacity:
            rows = max(rows, int(capacity * _GROWTH) + 8)
        for name, values in self._store.items():
            self._store[name] = _grown(values, rows)
        self._uid = _grown(self._uid, rows)
        self._alive = _grown(self._alive, rows)

    def append(self, n: int, values: Mapping[str, ArrayLike]) -> slice:
        """Add rows and return where they are.

        Args:
            n: number of agents.
            values: column -> one number, or one an agent; columns not named get their default.

        Raises:
            TypeError: if there is no such column.
            ValueError: if a length or value does not fit; then nothing was added.
        """
        if n < 0:
            raise ValueError(f"{self.cls.__name__}: cannot make {n} agents")
        for name in values:
            if name not in self.specs:
                raise TypeError(f"{self.missing(name)}; columns are: {', '.join(self.specs)}")
        converted = {
            name: column.convert(values[name], n, f"{self.cls.__name__}.{name}") if name in values else column.default
            for name, column in self.specs.items()
        }
        new = slice(self._rows, self._rows + n)
        self._reserve(new.stop)
        for name, value in converted.items():
            self._store[name][new] = value
        first = take_ids(self.model, n)
        self._uid[new] = np.arange(first, first + n)
        self._alive[new] = True
        self._rows = new.stop
        self._expose()
        return new

    def attach(self, name: str, column: Column, values: ArrayLike | None = None) -> NDArray[Any]:
        """Add a column while the model lives; ``agent.<name>`` then works as if the class had declared it.

        Args:
            name: name of the column.
            column: a Column that belongs to no class.
            values: one number, or one a row; without them the column's default.

        Returns:
            The column's array (rows,), to be fetched again from ``columns`` after agents were added.

        Raises:
            ValueError: if the name is taken or is no name, or the values do not fit.
        """
        if not name.isidentifier() or name.startswith("_"):
            raise ValueError(f"'{name}' cannot name a column; use a Python name without leading underscore")
        if name in self.specs or hasattr(self.cls, name):
            raise ValueError(f"{self.cls.__name__} has '{name}' already; choose another name for the column")
        column.__set_name__(self.cls, name)
        store = np.empty(len(self._alive), column.dtype)
        store[:] = column.default
        if values is not None:
            store[: self._rows] = column.convert(values, self._rows, f"{self.cls.__name__}.{name}")
        self.specs[name] = column
        self._store[name] = store
        self._expose()
        return self.columns[name]

    def put(self, row: int, name: str, value: Any) -> None:
        """Write one value, refusing what does not fit the column."""
        try:
            self.cells[name][row] = value
        except KeyError:
            raise AttributeError(self.missing(name)) from None
        except (TypeError, ValueError):
            where = f"{self.cls.__name__}.{name}"
            self._store[name][row] = self.specs[name].convert(value, 1, where).reshape(())

    def write(self, name: str, index: slice | NDArray[np.int64], values: ArrayLike) -> None:
        """Write values into rows of a column, refusing what does not fit.

        Args:
            name: the column.
            index: slice or row numbers (n,).
            values: one number, or (n,).
        """
        rows = index.stop - index.start if isinstance(index, slice) else len(index)
        self.columns[name][index] = self.specs[name].convert(values, rows, f"{self.cls.__name__}.{name}")

    def values(self, name: str, index: slice | NDArray[np.int64]) -> NDArray[Any] | None:
        """Return the values of rows as Python would see them (int64, float64 or bool), or None if it is no column."""
        if name in self.specs:
            return widen(self.columns[name][index])
        return self.uid[index] if name == "unique_id" else None

    def remove(self, rows: ArrayLike) -> None:
        """Remove the agents of rows from the model; rows that are gone already are passed over.

        Args:
            rows: row numbers, or a bool array (rows,).
        """
        index = np.unique(_row_numbers(rows))
        gone = index[self.alive[index]]
        self.alive[gone] = False
        self.removals += len(gone)

    def view(self, row: int) -> Any:
        """Return the agent of a row."""
        agent = object.__new__(self.cls)
        _set_table(agent, self)
        _set_row(agent, row)
        return agent

    def views(self, rows: Iterable[int], skip_removed: bool = True) -> Iterator[Any]:
        """Yield the agents of rows.

        Args:
            rows: row numbers, of agents living now.
            skip_removed: pass over those that are removed while the caller goes through.
        """
        new, set_table, set_row, cls, removals = object.__new__, _set_table, _set_row, self.cls, self.removals
        for row in rows:
            if skip_removed and self.removals != removals and not self.alive[row]:
                continue
            agent = new(cls)
            set_table(agent, self)
            set_row(agent, row)
            yield agent

    def rows(self, rows: ArrayLike) -> RowSet:
        """Return the set of agents of some rows, in that order.

        Args:
            rows: row numbers without repetition, or a bool array (rows,).
        """
        return RowSet(self, _row_numbers(rows))

    def missing(self, name: str) -> str:
        """Say that there is no such column, and what to do."""
        return f"{self.cls.__name__} has no column '{name}'; declare it in the class body: {name} = Column(\"f4\")"

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in ("columns", "cells", "uid", "alive"):
            del state[name]
        # Copies, since a view into a larger memory would be saved with the whole of it.
        state["_store"] = {name: values[: self._rows].copy() for name, values in self._store.items()}
        state["_uid"], state["_alive"] = self.uid.copy(), self.alive.copy()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._expose()


def _row_numbers(rows: ArrayLike) -> NDArray[np.int64]:
    index = np.asarray(rows)
    if index.dtype == bool:
        return np.flatnonzero(index)
    return index.astype(np.int64) if index.size else np.empty(0, np.int64)


def _grown(values: NDArray[Any], rows: int) -> NDArray[Any]:
    # A new array: numpy cannot resize one whose memory is seen by a memoryview.
    grown = np.empty(rows, values.dtype)
    grown[: len(values)] = values
    return grown


class RowAgent(mesa.Agent):
    """A ``mesa.Agent`` whose attributes are one row of a table.

    Subclasses declare their attributes as :class:`Column`; a subclass of a subclass adds columns and overrides methods.
    An agent object is a view: two of the same row are equal and have the same hash. Anything else that is assigned to
    it is refused, since it would be forgotten with the view.

    Args:
        model: a :class:`RowModel`.
        **values: column values of this agent; the others get their default.
    """

    __slots__ = ("_row", "_table")

    _table: Table
    _row: int
    _columns: ClassVar[dict[str, Column]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        columns: dict[str, Column] = {}
        for base in reversed(cls.__mro__):
            for name, value in vars(base).items():
                if isinstance(value, Column):
                    if name.startswith("_") or (hasattr(RowAgent, name) or name in ("pos", "cell")):
                        raise TypeError(f"{base.__name__}.{name}: the name is taken by every agent; choose another")
                    columns[name] = value
                elif name in columns:
                    raise TypeError(
                        f"{base.__name__}.{name} hides a column; give another Column or choose another name"
                    )
        cls._columns = columns

    def __init__(self, model: "RowModel", **values: ArrayLike):
        table = _table_of(model, type(self))
        _set_row(self, table.append(1, values).start)
        _set_table(self, table)

    @classmethod
    def columns(cls) -> dict[str, Column]:
        """Return the declared columns by name, those of base classes first."""
        return dict(cls._columns)

    @classmethod
    def create_agents(cls, model: "RowModel", n: int, *args: Any, **kwargs: Any) -> RowSet:  # type: ignore[override]
        """Make ``n`` agents at once.

        Args:
            model: a :class:`RowModel`.
            n: number of agents.
            *args: only for a class with its own ``__init__``, which is then called for every agent, as in Mesa.
            **kwargs: column -> one number, or one an agent.

        Returns:
            The new agents.

        Raises:
            TypeError: if there is no such column.
            ValueError: if a length or value does not fit.
        """
        table = _table_of(model, cls)
        if cls.__init__ is RowAgent.__init__:
            if args:
                raise TypeError(f"{cls.__name__}.create_agents: name the columns, for example {_example(cls)}=values")
            return RowSet(table, table.append(n, kwargs))
        first = len(table)
        for i in range(n):
            cls(model, *(_item(v, n, i) for v in args), **{name: _item(v, n, i) for name, v in kwargs.items()})
        return RowSet(table, slice(first, len(table)))

    @classmethod
    def from_dataframe(cls, model: "RowModel", df: Any, **kwargs: Any) -> RowSet:
        """Make one agent of each row of a data frame, whose columns are named as those of the class.

        Args:
            model: a :class:`RowModel`.
            df: a pandas DataFrame.
            **kwargs: further columns, one number each.
        """
        return cls.create_agents(model, len(df), **{str(name): df[name].to_numpy() for name in df.columns}, **kwargs)

    @classmethod
    def overrides(cls, hook: str) -> bool:
        """Say whether the class, or one it derives from, replaced a method of the class that first defined it."""
        first = next(vars(base)[hook] for base in reversed(cls.__mro__) if hook in vars(base))
        return getattr(cls, hook) is not first

    @property
    def model(self) -> "RowModel":
        """The model in which the agent lives."""
        return self._table.model

    @property
    def unique_id(self) -> int:
        """Identifier of the agent, unique in its model, from 1."""
        return int(self._table.uid[self._row])

    @property
    def row(self) -> int:
        """Row of the agent in the columns of its table."""
        return self._row

    @property
    def is_alive(self) -> bool:
        """Whether the agent is still in the model."""
        return bool(self._table.alive[self._row])

    def remove(self) -> None:
        """Take the agent out of the model and of every set; its values can still be read."""
        self._table.remove([self._row])

    def random_float(self, purpose: str) -> float:
        """Return a number in (0, 1) that depends on the seed, the purpose, this agent and the day, and on nothing else.

        Use it instead of ``self.random`` in everything an agent decides: the order of agents and the number of threads
        then cannot matter, and two policies under one seed share their luck. Two calls with one purpose on one day give
        the same number; use two purposes for two decisions.
        """
        model = self._table.model
        seed = model.seed_number
        day = getattr(model, "day", model.steps)
        if not isinstance(seed, int | np.integer) or not isinstance(day, int | np.integer):
            raise TypeError(
                f"{type(self).__name__}.random_float needs whole numbers model.seed_number and model.day, "
                f"not {seed!r} and {day!r}"
            )
        return float(uniform(_purpose_key(int(seed), purpose), self.unique_id, int(day)))

    def __setattr__(self, name: str, value: Any) -> None:
        try:
            self._table.cells[name][self._row] = value
        except (KeyError, TypeError, ValueError):
            if name in self._table.cells or not hasattr(type(self), name):
                self._table.put(self._row, name, value)
            else:
                object.__setattr__(self, name, value)  # a property, which may have a setter

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        cells = self._table.cells.get(name)
        if cells is not None:
            return cells[self._row]
        if hasattr(type(self), name):
            return object.__getattribute__(self, name)  # a property that failed: let its own error be seen
        raise AttributeError(self._table.missing(name))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RowAgent) and self._row == other._row and self._table is other._table

    def __hash__(self) -> int:
        return hash((id(self._table), self._row))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={cells[self._row]}" for name, cells in self._table.cells.items())
        return f"{type(self).__name__}(unique_id={self.unique_id}, {values})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _view, (type(self), self._table, self._row)


_set_table = RowAgent.__dict__["_table"].__set__
_set_row = RowAgent.__dict__["_row"].__set__


def _view(cls: type[RowAgent], table: Table, row: int) -> RowAgent:
    """Make a view while its table may not be filled yet (unpickling goes in circles)."""
    agent = object.__new__(cls)
    _set_table(agent, table)
    _set_row(agent, row)
    return agent


def _item(value: Any, n: int, i: int) -> Any:
    """Return the i-th of n values, or the one value for all, as Mesa does."""
    if isinstance(value, list | tuple | np.ndarray) and len(value) == n:
        return value[i]
    return value


def _example(cls: type[RowAgent]) -> str:
    return next(iter(cls.columns()), "age")


def _table_of(model: Any, cls: type[RowAgent]) -> Table:
    if not isinstance(model, RowModel):
        raise TypeError(f"{cls.__name__} lives in columns and needs a model that derives from RowModel, not {model!r}")
    return model.table(cls)


@functools.lru_cache(maxsize=4096)
def _purpose_key(seed: int, purpose: str) -> np.uint64:
    return key(seed, purpose)


class RowModel(CompatModel):
    """A ``mesa.Model`` that hosts row agents beside ordinary Mesa agents.

    Args:
        rng: seed or generator, as for Mesa.
        **kwargs: passed on to Mesa.

    Attributes:
        seed_number: whole number on which every counter-based draw depends: the seed if that is one, else drawn from
            the generator.
    """

    def __init__(self, *args: Any, rng: Any = None, **kwargs: Any):
        self._tables: dict[type[RowAgent], Table] = {}
        super().__init__(*args, rng=rng, **kwargs)
        seed = kwargs.get("seed", rng)
        if not isinstance(seed, int | np.integer):
            seed = copy.deepcopy(self.rng).integers(2**62)  # a copy, to leave the model's own stream as Mesa made it
        self.seed_number = int(seed)
        self._everyone = AllAgents(self)

    def table(self, cls: type[RowAgent]) -> Table:
        """Return the table of a class of row agents, making it at the first time."""
        if cls not in self._tables:
            if not (isinstance(cls, type) and issubclass(cls, RowAgent)):
                raise TypeError(f"{cls!r} is no class of row agents; only those have a table")
            self._tables[cls] = Table(self, cls)
        return self._tables[cls]

    @property
    def tables(self) -> list[Table]:
        """The tables that have held an agent, in the order of their making."""
        return [table for table in self._tables.values() if len(table)]

    @property
    def agents(self) -> AllAgents:
        """All agents of the model: rows class by class, then ordinary Mesa agents."""
        return self._everyone

    @agents.setter
    def agents(self, _agents: Any) -> None:
        raise AttributeError("model.agents belongs to Mesa; keep your own set under another name")

    @property
    def plain_agents(self) -> Any:
        """The ordinary Mesa agents (Mesa's own set)."""
        return self._all_agents

    @property
    def agents_by_type(self) -> dict[type, Any]:
        """Class -> the agents of exactly that class."""
        return {**{table.cls: table.agents for table in self.tables}, **self._agents_by_type}

    @property
    def agent_types(self) -> list[type]:
        """The classes of agents that the model has or had."""
        return list(self.agents_by_type)

    def remove_all_agents(self) -> None:
        """Remove every agent, calling ``remove`` on each where a class has its own."""
        for table in self.tables:
            if table.cls.remove is not RowAgent.remove:
                table.agents.do("remove")
            else:
                table.remove(table.alive.copy())
        super().remove_all_agents()
