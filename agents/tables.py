"""Tables: all agents of one class in one model, as numpy columns, and the sets of them."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .columns import Column, widen
from .compat import take_ids
from .rowsets import MISSING, ColumnarSet, counted, model_owned

_GROWTH = 1.5


class Address:
    """Where a row agent lives: its table and its row there."""

    __slots__ = ("_row", "_table")

    _table: "Table"
    _row: int


# Setters of the two slots, which work where assignment to an agent means a column.
set_table = Address.__dict__["_table"].__set__
set_row = Address.__dict__["_row"].__set__


class Table:
    """All agents of one class in one model, a row each.

    Attributes:
        model: the model, a :class:`~.rows.RowModel`.
        cls: the class of the agents, a :class:`~.rows.RowAgent`.
        specs: every column by name, declared or attached.
        columns: name -> array (rows,) of the column, writable in place. Fetch it again after agents were added: a
            growing table moves its columns.
        cells: name -> memoryview of the same memory, which gives and takes Python numbers.
        uid: int64 (rows,), unique identifiers.
        alive: bool (rows,), False once the agent was removed.
        removals: how many rows were removed so far.
    """

    def __init__(self, model: Any, cls: type[Any]):
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

    not_saved = ("columns", "cells", "uid", "alive")

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
        self.cells = {name: values.data for name, values in self._store.items()}
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
            column: a Column that has no other name yet.
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
        column.check_name(name, self.cls)
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
        set_table(agent, self)
        set_row(agent, row)
        return agent

    def views(self, rows: Iterable[int], skip_removed: bool = True) -> Iterator[Any]:
        """Yield the agents of rows.

        Args:
            rows: row numbers, of agents living now.
            skip_removed: pass over those that are removed while the caller goes through.
        """
        new, put_table, put_row, cls, removals = object.__new__, set_table, set_row, self.cls, self.removals
        for row in rows:
            if skip_removed and self.removals != removals and not self.alive[row]:
                continue
            agent = new(cls)
            put_table(agent, self)
            put_row(agent, row)
            yield agent

    def rows(self, rows: ArrayLike) -> "RowSet":
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

    def after_restore(self) -> None:
        """Show the columns that a saved state has put here."""
        self._expose()


class RowSet(ColumnarSet):
    """A set of agents of one class.

    Args:
        table: where they live.
        index: slice or int64 row numbers (n,) without repetition, of agents that are alive.

    Attributes:
        table: where they live.
    """

    def __init__(self, table: Table, index: slice | NDArray[np.int64]):
        self.table = table
        self._index = index
        self._removals = -1 if table.removals else 0
        self._members: NDArray[np.bool_] | None = None

    @property
    def model(self) -> Any:
        """The model in which the agents live, a :class:`~.rows.RowModel`."""
        return self.table.model

    @property
    def index(self) -> slice | NDArray[np.int64]:
        """Where the agents are in the columns of their table: a slice if they lie together, else row numbers (n,)."""
        if self._removals != self.table.removals:
            rows = _numbers(self._index)
            alive = self.table.alive[rows]
            if not alive.all():
                self._index = rows[alive]
            self._removals = self.table.removals
        return self._index

    @property
    def rows(self) -> NDArray[np.int64]:
        """Row numbers of the agents, (n,)."""
        return _numbers(self.index)

    def __len__(self) -> int:
        index = self.index
        return index.stop - index.start if isinstance(index, slice) else len(index)

    def __contains__(self, agent: object) -> bool:
        if getattr(agent, "_table", None) is not self.table:
            return False
        row, index = agent._row, self.index  # type: ignore[attr-defined]
        if isinstance(index, slice):
            return index.start <= row < index.stop
        if self._members is None:
            self._members = np.zeros(len(self.table), bool)
            self._members[index] = True
        return bool(row < len(self._members) and self._members[row] and self.table.alive[row])

    def _views(self, skip_removed: bool = True) -> Iterator[Any]:
        return self.table.views(counted(self.index), skip_removed)

    def _take(self, positions: NDArray[np.int64]) -> "RowSet":
        index = self.index
        return RowSet(self.table, positions + index.start if isinstance(index, slice) else index[positions])

    def _adopt(self, other: ColumnarSet) -> "RowSet":
        if isinstance(other, RowSet) and other.table is self.table:
            self._index = other.index
        elif len(other):
            name = self.table.cls.__name__
            raise TypeError(f"a set of {name} agents cannot hold others; make a new set: one_set | other_set")
        else:
            self._index = slice(0, 0)
        self._removals, self._members = self.table.removals, None
        return self

    def _values(self, name: str, default: Any = MISSING) -> NDArray[Any] | list[Any]:
        values = self.table.values(name, self.index)
        if values is not None:
            return values
        if default is MISSING:
            return [getattr(agent, name) for agent in self._views(False)]
        return [getattr(agent, name, default) for agent in self._views(False)]

    def _of_type(self, agent_type: type) -> NDArray[np.bool_]:
        return np.full(len(self), issubclass(self.table.cls, agent_type))

    def _position(self, agent: Any) -> int | None:
        if agent not in self:
            return None
        return int(np.flatnonzero(self.rows == agent._row)[0])

    def column(self, name: str) -> NDArray[Any]:
        """Return a column of these agents as a new array (n,) of the column's own type."""
        if name not in self.table.specs:
            raise AttributeError(self.table.missing(name))
        return self.table.columns[name][self.index].copy()

    def set(self, attr_name: str, value: Any) -> "RowSet":
        """Give an attribute of every agent one value, or each its own from an array (n,)."""
        if attr_name in self.table.specs:
            self.table.write(attr_name, self.index, value)
        else:
            for agent in self._views():
                setattr(agent, attr_name, value)
        return self

    def copy(self) -> "RowSet":
        """Return another set of the same agents."""
        return RowSet(self.table, self.index)

    __copy__ = copy

    def __repr__(self) -> str:
        return f"RowSet({len(self):,} × {self.table.cls.__name__})"

    def __getstate__(self) -> dict[str, Any]:
        return {"table": self.table, "_index": self._index, "_removals": self._removals, "_members": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


class TableSet(RowSet):
    """All agents of one class in a model, always up to date: what ``model.agents_by_type`` holds."""

    def __init__(self, table: Table):
        super().__init__(table, slice(0, 0))
        self._seen = (0, 0)

    @property
    def index(self) -> slice | NDArray[np.int64]:
        """Where the agents are in the columns of their table: a slice if none was removed, else row numbers (n,)."""
        table = self.table
        seen = (len(table), table.removals)
        if self._seen != seen:
            self._index = np.flatnonzero(table.alive) if table.removals else slice(0, len(table))
            self._seen = seen
        return self._index

    def __contains__(self, agent: object) -> bool:
        return getattr(agent, "_table", None) is self.table and agent.is_alive  # type: ignore[attr-defined]

    def _adopt(self, _other: ColumnarSet) -> RowSet:
        raise TypeError(model_owned(f"agents_by_type[{self.table.cls.__name__}]"))

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_index": slice(0, 0), "_seen": (0, 0)}


def _numbers(index: slice | NDArray[np.int64]) -> NDArray[np.int64]:
    return np.arange(index.start, index.stop) if isinstance(index, slice) else index


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
