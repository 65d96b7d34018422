"""The tables that a run yields, made into Arrow tables with the columns by which every table names its run."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

ID_COLUMNS = ("run_id", "point", "replicate", "seed")
"""The columns with which every table begins."""

SUMMARY = "summary"
RESERVED = ("stage", "errors", "ledger", "logs", "cities", "jobs", "checkpoints")
"""Directories of a sweep that are no tables."""

TABLE_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""What a table may be called."""

Task = Mapping[str, Any]
"""One run: ``run_id``, ``point``, ``replicate``, ``seed``, ``parameters``, and whatever its executor needs."""

Outputs = Mapping[str, Mapping[str, Any]]
"""What a run yields: table name → column name → array ``(rows,)``; ``summary`` has one row and may hold scalars."""


class StoreError(ValueError):
    """Results that cannot be stored or read; the message names the table, column or file, and the remedy."""


def parameter_types(tasks: Iterable[Task]) -> dict[str, str]:
    """Return the type of every swept parameter's column: ``bool``, ``int``, ``float`` or ``string``.

    The types follow from all tasks together, so that every shard has the same columns. Numbers of both kinds make a
    float column; anything mixed with text, and lists and tables, make a string column (lists and tables as JSON).
    """
    kinds: dict[str, set[str]] = {}
    for task in tasks:
        for name, value in task.get("parameters", {}).items():
            kinds.setdefault(name, set()).add(_kind(value))
    types = {}
    for name, found in kinds.items():
        found.discard("none")
        if len(found) == 1:
            types[name] = found.pop()
        else:
            types[name] = "float" if found == {"int", "float"} else "string"
    return types


def _kind(value: Any) -> str:
    if value is None:
        return "none"
    for name, types in (("bool", bool), ("int", int), ("float", float)):
        if isinstance(value, types):
            return name
    return "string"


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def to_tables(task: Task, outputs: Outputs, types: Mapping[str, str]) -> "dict[str, pa.Table]":
    """Turn what a run yields into tables with the identifying columns and, in the summary, the swept parameters.

    Args:
        task: the run.
        outputs: its tables; ``summary`` may be missing or empty and gets its one row all the same.
        types: types of the parameters' columns, from :func:`parameter_types`.

    Raises:
        StoreError: if a table or column has a name or shape that cannot be stored.
    """
    import pyarrow as pa

    tables = {}
    for name, columns in {SUMMARY: {}, **outputs}.items():
        if not TABLE_NAME.fullmatch(name) or name in RESERVED:
            raise StoreError(f"table '{name}': not a name for a table; use small letters, digits and _, not {RESERVED}")
        arrays = {column: _array(name, column, np.atleast_1d(values)) for column, values in columns.items()}
        rows = {len(array) for array in arrays.values()} or {1 if name == SUMMARY else 0}
        if len(rows) > 1:
            lengths = ", ".join(f"{column} {len(array)}" for column, array in arrays.items())
            raise StoreError(f"table '{name}': columns differ in length ({lengths})")
        count = rows.pop()
        if name == SUMMARY and count != 1:
            raise StoreError(f"table '{SUMMARY}' has {count} rows; a run must yield one")
        heads: dict[str, pa.Array] = {"run_id": _repeated(task["run_id"], count)}
        for column in ID_COLUMNS[1:]:
            heads[column] = _numbers(np.full(count, task[column], np.int64))
        if name == SUMMARY:
            for parameter, kind in types.items():
                heads[parameter] = _parameter(task.get("parameters", {}).get(parameter), kind)
        for column in arrays:
            if column in heads:
                raise StoreError(f"table '{name}': column '{column}' is the sweep's own; give it another name")
        heads.update(arrays)
        schema = pa.schema([pa.field(column, array.type) for column, array in heads.items()])
        tables[name] = pa.Table.from_arrays(list(heads.values()), schema=schema)
    return tables


# Columns are built from buffers, because pa.array() imports pandas, a second of processor time in every worker.


def _numbers(values: NDArray[Any]) -> "pa.Array":
    import pyarrow as pa

    values = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def _bits(values: NDArray[Any]) -> "pa.Buffer":
    import pyarrow as pa

    return pa.py_buffer(np.packbits(values.astype(bool), bitorder="little").tobytes())


def _texts(values: Sequence[str | None]) -> "pa.Array":
    import pyarrow as pa

    encoded = [b"" if value is None else value.encode() for value in values]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    valid = None if None not in values else _bits(np.array([value is not None for value in values]))
    # Wide offsets only where the text needs them: 2 GiB and more.
    kind, width = (pa.string(), np.int32) if offsets[-1] < 2**31 else (pa.large_string(), np.int64)
    buffers = [valid, pa.py_buffer(offsets.astype(width)), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(kind, len(encoded), buffers)


def _repeated(text: str, count: int) -> "pa.Array":
    import pyarrow as pa

    encoded = text.encode()
    offsets = np.arange(0, (count + 1) * len(encoded), len(encoded), dtype=np.int64)
    if offsets[-1] >= 2**31:
        return _texts([text] * count)
    return pa.Array.from_buffers(
        pa.string(), count, [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(encoded * count)]
    )


def _parameter(value: Any, kind: str) -> "pa.Array":
    import pyarrow as pa

    if value is None:
        return pa.nulls(1, {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "string": pa.string()}[kind])
    if kind == "bool":
        return pa.Array.from_buffers(pa.bool_(), 1, [None, _bits(np.array([value]))])
    if kind == "string":
        return _texts([_as_text(value)])
    return _numbers(np.array([value], np.int64 if kind == "int" else np.float64))


def _array(table: str, column: str, values: NDArray[Any]) -> "pa.Array":
    import pyarrow as pa

    where = f"table '{table}', column '{column}'"
    if values.ndim != 1:
        raise StoreError(f"{where}: has {values.ndim} dimensions; a column has one")
    if table == SUMMARY and values.dtype.kind in "iu":
        if values.dtype == np.uint64 and values.max(initial=0) > np.iinfo(np.int64).max:
            raise StoreError(f"{where}: holds {values.max()}; integers of a summary go to 2^63 - 1")
        values = values.astype(np.int64)  # scalars of any width make one column over all runs
    kind = values.dtype.kind
    if kind in "iuf" and values.dtype.itemsize <= 8 and values.dtype != np.float16:
        return _numbers(values)
    if kind == "b":
        return pa.Array.from_buffers(pa.bool_(), len(values), [None, _bits(values)])
    if kind == "U":
        return _texts(values.tolist())
    if kind == "O" and len(values) and all(value is None for value in values):
        return pa.nulls(len(values))
    if kind == "O" and all(value is None or isinstance(value, str) for value in values):
        return _texts(values.tolist())
    if kind == "M":
        return pa.array(values)
    raise StoreError(f"{where}: holds {values.dtype}; use integers, floats to 64 bits, bool, text or dates")


def join_schemas(schemas: "Sequence[pa.Schema]") -> "pa.Schema":
    """Return the schema that holds the columns of all, in order of first appearance.

    Where types differ: integers make int64, numbers of both kinds (and uint64 with others) float64, the rest text.
    """
    import pyarrow as pa

    joined: dict[str, pa.DataType] = {}
    before = None
    for schema in schemas:
        if before is not None and schema.equals(before):  # nearly always, and there may be many
            continue
        before = schema
        for field in schema:
            known = joined.get(field.name)
            joined[field.name] = field.type if known is None else _join(known, field.type)
    return pa.schema([pa.field(name, kind) for name, kind in joined.items()])


def _join(one: "pa.DataType", other: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    kinds = (one, other)
    if all(pa.types.is_integer(kind) for kind in kinds) and pa.uint64() not in kinds:
        return pa.int64()
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
        return pa.float64()
    return pa.large_string() if pa.large_string() in kinds else pa.string()


def without_nulls(schema: "pa.Schema", metadata: Mapping[str, str] | None = None) -> "pa.Schema":
    """Return a schema in which a column without any value counts as float, so that all have a type to compute with."""
    import pyarrow as pa

    kinds = [pa.float64() if pa.types.is_null(field.type) else field.type for field in schema]
    return pa.schema(list(zip(schema.names, kinds, strict=True)), metadata)


def conform(table: "pa.Table", schema: "pa.Schema") -> "pa.Table":
    """Return the table with exactly the columns of a schema; missing ones hold nulls."""
    import pyarrow as pa

    if table.schema.equals(schema):
        return table.replace_schema_metadata(schema.metadata)
    columns = [
        table.column(field.name).cast(field.type, safe=False)
        if field.name in table.schema.names and not pa.types.is_null(field.type)
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
