"""Sets of agents of several classes, rows and ordinary Mesa agents together."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compat import ids_used
from .rowsets import MISSING, ColumnarSet, as_list, counted, model_owned
from .tables import RowSet, Table

_PLAIN = -1
_NONE = -2


class MixedSet(ColumnarSet):
    """A set of agents of several classes, in any order.

    Args:
        model: where they live, a :class:`~.rows.RowModel`.
        tables: tables of the row agents.
        which: int16 (n,) number of each agent's table, −1 for an ordinary Mesa agent.
        rows: int64 (n,) row in that table, or position in ``plain``.
        plain: ordinary Mesa agents.
    """

    def __init__(
        self,
        model: Any,
        tables: tuple[Table, ...],
        which: NDArray[np.int16],
        rows: NDArray[np.int64],
        plain: list[Any],
    ):
        self._model = model
        self._tables = tables
        self._which = which
        self._rows = rows
        self._plain = plain

    @property
    def model(self) -> Any:
        """The model in which the agents live, a :class:`~.rows.RowModel`."""
        return self._model

    def _refresh(self) -> None:
        """Drop agents that were removed from the model."""
        keep = np.ones(len(self._which), bool)
        for number, table in enumerate(self._tables):
            if table.removals:
                mine = self._which == number
                keep[mine] = table.alive[self._rows[mine]]
        registered = self._model.plain_agents
        present = np.array([agent in registered for agent in self._plain], bool)
        if not present.all():
            mine = self._which == _PLAIN
            keep[mine] = present[self._rows[mine]]
        if not keep.all():
            self._which, self._rows = self._which[keep], self._rows[keep]

    def __len__(self) -> int:
        self._refresh()
        return len(self._which)

    def __contains__(self, agent: object) -> bool:
        return self._position(agent) is not None

    def _position(self, agent: Any) -> int | None:
        self._refresh()
        table = getattr(agent, "_table", None)
        if table is None:
            number, row = _PLAIN, next((i for i, other in enumerate(self._plain) if other is agent), -1)
        else:
            number, row = next((i for i, other in enumerate(self._tables) if other is table), _NONE), agent._row
        found = np.flatnonzero((self._which == number) & (self._rows == row))
        return int(found[0]) if len(found) else None

    def _views(self, skip_removed: bool = True) -> Iterator[Any]:
        self._refresh()
        removals = sum(table.removals for table in self._tables)
        registered = self._model.plain_agents
        for number, row in zip(counted(self._which), counted(self._rows), strict=True):
            if number == _PLAIN:
                if not skip_removed or self._plain[row] in registered:
                    yield self._plain[row]
            else:
                table = self._tables[number]
                if not skip_removed or table.alive[row] or sum(t.removals for t in self._tables) == removals:
                    yield table.view(row)

    def _take(self, positions: NDArray[np.int64]) -> ColumnarSet:
        self._refresh()
        which, rows = self._which[positions], self._rows[positions]
        if len(which) and which[0] != _PLAIN and np.all(which == which[0]):
            return RowSet(self._tables[which[0]], rows)
        return MixedSet(self._model, self._tables, which, rows, self._plain)

    def _adopt(self, other: ColumnarSet) -> ColumnarSet:
        mixed = other if isinstance(other, MixedSet) else _mixed(self._model, list(other))
        mixed._refresh()
        self._tables, self._which, self._rows, self._plain = mixed._tables, mixed._which, mixed._rows, mixed._plain
        return self

    def _parts(self) -> Iterator[tuple[NDArray[np.int64], RowSet | list[Any]]]:
        """Yield the agents class by class: their positions in this set, and themselves."""
        self._refresh()
        for number in np.unique(self._which).tolist():
            positions = np.flatnonzero(self._which == number)
            rows = self._rows[positions]
            if number == _PLAIN:
                yield positions, [self._plain[row] for row in rows.tolist()]
            else:
                yield positions, RowSet(self._tables[number], rows)

    def _values(self, name: str, default: Any = MISSING) -> NDArray[Any] | list[Any]:
        parts = []
        for positions, agents in self._parts():
            if isinstance(agents, RowSet):
                parts.append((positions, agents._values(name, default)))
            elif default is MISSING:
                parts.append((positions, [getattr(agent, name) for agent in agents]))
            else:
                parts.append((positions, [getattr(agent, name, default) for agent in agents]))
        arrays = [values.dtype for _, values in parts if isinstance(values, np.ndarray)]
        if len(arrays) == len(parts) and len(set(arrays)) == 1:
            merged = np.empty(len(self), arrays[0])
            for positions, values in parts:
                merged[positions] = values
            return merged
        answers = [None] * len(self)
        for positions, values in parts:
            for position, value in zip(positions.tolist(), as_list(values), strict=True):
                answers[position] = value
        return answers

    def _of_type(self, agent_type: type) -> NDArray[np.bool_]:
        chosen = np.zeros(len(self), bool)
        for positions, agents in self._parts():
            if isinstance(agents, RowSet):
                chosen[positions] = agents._of_type(agent_type)
            else:
                chosen[positions] = [isinstance(agent, agent_type) for agent in agents]
        return chosen

    def column(self, name: str) -> NDArray[Any]:
        """Return an attribute of these agents, which all must have it, as a new array (n,)."""
        return np.array(self._values(name))

    def set(self, attr_name: str, value: Any) -> "MixedSet":
        """Give an attribute of every agent one value, or each its own from an array (n,)."""
        each = isinstance(value, np.ndarray) and value.shape == (len(self),)
        for positions, agents in self._parts():
            mine = value[positions] if each else value
            if isinstance(agents, RowSet):
                agents.set(attr_name, mine)
            else:
                for number, agent in enumerate(agents):
                    setattr(agent, attr_name, mine[number].item() if each else mine)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


class AllAgents(MixedSet):
    """All agents of a model, always up to date: what ``model.agents`` is."""

    def __init__(self, model: Any):
        super().__init__(model, (), np.empty(0, np.int16), np.empty(0, np.int64), [])
        self._seen: Any = None

    def _refresh(self) -> None:
        model = self._model
        tables = tuple(model.tables)
        seen = (tuple((len(t), t.removals) for t in tables), ids_used(model), len(model.plain_agents))
        if seen == self._seen:
            return
        self._plain = list(model.plain_agents)
        parts = [table.agents.rows for table in tables]
        lengths = [len(rows) for rows in parts] + [len(self._plain)]
        self._tables = tables
        self._which = np.repeat(np.array([*range(len(tables)), _PLAIN], np.int16), lengths)
        self._rows = np.concatenate([*parts, np.arange(len(self._plain))])
        self._seen = seen

    def __len__(self) -> int:
        return sum(len(table.agents) for table in self._model.tables) + len(self._model.plain_agents)

    def __contains__(self, agent: object) -> bool:
        table = getattr(agent, "_table", None)
        if table is not None:
            return table.model is self._model and agent.is_alive  # type: ignore[attr-defined]
        return agent in self._model.plain_agents

    def _views(self, skip_removed: bool = True) -> Iterator[Any]:
        registered = self._model.plain_agents
        plain = list(registered)
        yield from chain.from_iterable([table.agents._views(skip_removed) for table in self._model.tables])
        for agent in plain:
            if not skip_removed or agent in registered:
                yield agent

    def _adopt(self, _other: ColumnarSet) -> ColumnarSet:
        raise TypeError(model_owned("agents"))

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self._model}

    def __setstate__(self, state: dict[str, Any]) -> None:
        AllAgents.__init__(self, state["model"])


def gather(model: Any, agents: Iterable[Any]) -> ColumnarSet:
    """Return the set of some agents of a model, each once, in their order."""
    mixed = _mixed(model, list(dict.fromkeys(agents)))
    return mixed._take(np.arange(len(mixed)))


def _mixed(model: Any, agents: list[Any]) -> MixedSet:
    tables: dict[int, Table] = {}
    numbers: dict[int, int] = {}
    which: list[int] = []
    rows: list[int] = []
    plain: list[Any] = []
    for agent in agents:
        if agent.model is not model:
            raise ValueError(f"{agent!r} lives in another model; a set holds agents of one model")
        table = getattr(agent, "_table", None)
        if table is None:
            which.append(_PLAIN)
            rows.append(len(plain))
            plain.append(agent)
        else:
            tables[id(table)] = table
            which.append(numbers.setdefault(id(table), len(numbers)))
            rows.append(agent._row)
    return MixedSet(model, tuple(tables.values()), np.array(which, np.int16), np.array(rows, np.int64), plain)
