"""Columns of agents: declared in a class body, checked on every write."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


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
        self.name = self.name or name

    def check_name(self, name: str, owner: type) -> None:
        """Refuse to be called by two names."""
        if self.name != name:
            raise TypeError(f"{owner.__name__}.{name}: this Column is called '{self.name}' already; make another one")

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
