"""Whether two models are the same in all that can be reached from them, found by another path than saving takes."""

import functools
import math
import random
import types
import weakref
from collections import deque
from collections.abc import Iterator
from enum import Enum

import numpy as np
from mesa.agent import AgentSet
from pydantic import BaseModel

from citytwin.agents.rows import RowAgent
from citytwin.agents.rowsets import ColumnarSet
from citytwin.environment.city import City
from citytwin.runners.scenarios.scenario import Scenario

MADE_AGAIN = {
    "CityModel": {
        "_space",
        "_default_schedule",
        "_event_list",
        "_event_generators",
    },  # Mesa 3.5's clock: see _next_events
    "Presence": {"_views"},
    "Contagion": {"_pool"},
    "LostDays": {"_due", "_columns", "_column_of_activity"},
    "Tracing": {"_crowds"},
    # the latest day of traffic in detail
    "Traffic": {"trips", "moving", "flow", "timetable", "parked", "links"},
    "Fleet": {
        *("vehicle", "_moments", "_to_place", "_last_link", "_goes_on", "_people", "_depart", "_arrive", "_length"),
    },
    "Plans": {"driver", "walked", "given", "_riders", "_on_foot"},
    "PublicTransport": {"timetable", "_walks", "_invented", "_between", "_runs", "_with_lines"},
    "Router": {"_latest", "_hierarchy"},
    "Skims": {"_graphs", "_tables"},
    "Travel": {"known", "_made"},
    "Table": {"cells", "columns", "uid", "alive"},  # views of what is compared
    "TableSet": {"_seen", "_index", "_members", "_removals"},
    "AllAgents": {"_seen", "_plain", "_tables", "_which", "_rows"},
}
"""Attributes, by class, that may differ between a model and its restored twin: caches, and what no later day asks for.

Whoever leaves an attribute out of saved states has to write it here as well, and so to think twice.
"""
CONSTANT = 9
"""Size up to which arrays may be constants of modules, which a restored model shares with nobody: only values count."""
_SAME_BY_MAKING = (City, Scenario, BaseModel, np.dtype, types.ModuleType)
_CODE = (types.FunctionType, types.MethodType, types.BuiltinFunctionType)


def differences(one: object, other: object) -> list[str]:
    """Return the paths at which two models differ, or at which one shares what the other does not."""
    found = list(_differ(one, other, "model", {}, {}, []))
    if _next_events(one) != _next_events(other):
        found.append(f"model: events at {_next_events(one)} and {_next_events(other)}")
    return found


def _next_events(model: object) -> list[float]:
    """Return the times at which Mesa 3.5 has something to do; none where there is no such clock."""
    events = getattr(getattr(model, "_event_list", None), "_events", [])
    return sorted(event.time for event in events if not event._canceled)


def _differ(a: object, b: object, path: str, seen: dict, back: dict, alive: list) -> Iterator[str]:
    if type(a) is not type(b):
        yield f"{path}: {type(a).__name__} and {type(b).__name__}"
        return
    if isinstance(a, type):
        if a is not b:
            yield f"{path}: {a} and {b}"
        return
    if isinstance(a, _SAME_BY_MAKING):
        if not isinstance(a, types.ModuleType | City) and a != b:
            yield f"{path}: {a!r} and {b!r}"[:300]
        return
    if isinstance(a, _CODE):
        if a.__qualname__ != b.__qualname__:
            yield f"{path}: {a} and {b}"
        return
    if isinstance(a, float):
        if a != b and not (math.isnan(a) and math.isnan(b)):
            yield f"{path}: {a} and {b}"
        return
    if a is None or isinstance(a, bool | int | str | bytes | np.generic | Enum | slice | range | memoryview):
        if not isinstance(a, memoryview) and repr(a) != repr(b):
            yield f"{path}: {a!r} and {b!r}"
        return
    constant = isinstance(a, np.ndarray) and a.size <= CONSTANT
    if not isinstance(a, tuple) and not constant:
        if id(a) in seen or id(b) in back:
            if seen.get(id(a)) != id(b) or back.get(id(b)) != id(a):
                yield f"{path}: shared in one model only"
            return
        seen[id(a)], back[id(b)] = id(b), id(a)
        alive += [a, b]
    if isinstance(a, np.ndarray):
        if a.dtype != b.dtype or a.shape != b.shape or a.tobytes() != b.tobytes():
            yield f"{path}: arrays differ"
        if a.flags.writeable != b.flags.writeable:
            yield f"{path}: one array can be written"
        return
    yield from _parts_differ(a, b, path, seen, back, alive)


def _parts_differ(a: object, b: object, path: str, *state: object) -> Iterator[str]:
    if isinstance(a, RowAgent):
        yield from _differ((a._table, a._row), (b._table, b._row), path, *state)
    elif isinstance(a, random.Random):
        yield from _differ(a.getstate(), b.getstate(), path, *state)
    elif isinstance(a, np.random.Generator):
        yield from _differ(a.bit_generator.state, b.bit_generator.state, path, *state)
    elif isinstance(a, functools.partial):
        yield from _differ((a.func, a.args, a.keywords), (b.func, b.args, b.keywords), path, *state)
    elif isinstance(a, list | tuple | deque | frozenset | set) or (
        isinstance(a, AgentSet | weakref.WeakKeyDictionary) and not isinstance(a, ColumnarSet)
    ):
        left, right = (sorted(x, key=repr) if isinstance(x, set | frozenset) else list(x) for x in (a, b))
        if len(left) != len(right):
            yield f"{path}: {len(left)} and {len(right)} items"
        for number, (x, y) in enumerate(zip(left, right, strict=False)):
            yield from _differ(x, y, f"{path}[{number}]", *state)
    elif isinstance(a, dict | types.MappingProxyType):
        yield from _differ(list(a), list(b), f"{path}.keys()", *state)
        for x, y in zip(a, b, strict=False):
            yield from _differ(a[x], b[y], f"{path}[{x!r}]"[:200], *state)
    elif hasattr(a, "compare_me") or any(base.__module__.startswith(("citytwin", "mesa")) for base in type(a).__mro__):
        mine, its = _attributes(a), _attributes(b)
        if mine.keys() != its.keys():
            yield f"{path}: attributes {sorted(mine.keys() ^ its.keys())} are in one only"
        for name in mine.keys() & its.keys():
            yield from _differ(mine[name], its[name], f"{path}.{name}", *state)
    elif not type(a).__name__.startswith("cKDTree"):
        yield f"{path}: nobody knows how to compare a {type(a)}"


def _attributes(value: object) -> dict[str, object]:
    slots = (name for base in type(value).__mro__ for name in getattr(base, "__slots__", ()))
    found = {name: getattr(value, name) for name in slots if hasattr(value, name)} | getattr(value, "__dict__", {})
    derived = set().union(*(MADE_AGAIN.get(base.__name__, ()) for base in type(value).__mro__))
    cached = {
        name
        for base in type(value).__mro__
        for name, what in vars(base).items()
        if isinstance(what, functools.cached_property)
    }
    return {name: what for name, what in found.items() if name not in derived | cached}
