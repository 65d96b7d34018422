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
from collections.abc import Iterable
from typing import Any, ClassVar

import mesa
import numpy as np
from numpy.typing import ArrayLike

from ..environment.randomness import key, uniform
from .columns import Column
from .compat import CompatModel
from .mixedsets import AllAgents, gather
from .rowsets import ColumnarSet
from .tables import Address, RowSet, Table, set_row, set_table

__all__ = ["AllAgents", "Column", "RowAgent", "RowModel", "RowSet", "Table"]


class RowAgent(Address, mesa.Agent):
    """A ``mesa.Agent`` whose attributes are one row of a table.

    Subclasses declare their attributes as :class:`Column`; a subclass of a subclass adds columns and overrides methods.
    An agent object is a view: two of the same row are equal and have the same hash. Anything else that is assigned to
    it is refused, since it would be forgotten with the view.

    Args:
        model: a :class:`RowModel`.
        **values: column values of this agent; the others get their default.
    """

    __slots__ = ()

    _columns: ClassVar[dict[str, Column]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        columns: dict[str, Column] = {}
        for base in reversed(cls.__mro__):
            for name, value in vars(base).items():
                if isinstance(value, Column):
                    if name.startswith("_") or (hasattr(RowAgent, name) or name in ("pos", "cell")):
                        raise TypeError(f"{base.__name__}.{name}: the name is taken by every agent; choose another")
                    value.check_name(name, base)
                    columns[name] = value
                elif name in columns:
                    raise TypeError(
                        f"{base.__name__}.{name} hides a column; give another Column or choose another name"
                    )
        cls._columns = columns

    def __init__(self, model: "RowModel", **values: ArrayLike):
        table = _table_of(model, type(self))
        set_row(self, table.append(1, values).start)
        set_table(self, table)

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


def _view(cls: type[RowAgent], table: Table, row: int) -> RowAgent:
    """Make a view while its table may not be filled yet (unpickling goes in circles)."""
    agent = object.__new__(cls)
    set_table(agent, table)
    set_row(agent, row)
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
        if isinstance(rng, np.integer):
            rng = int(rng)  # Mesa takes numpy's whole numbers for seeds, and Python's generator does not
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

    def set_of(self, agents: Iterable[Any]) -> ColumnarSet:
        """Return the set of some agents of this model, each once, in their order."""
        return gather(self, agents)

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
