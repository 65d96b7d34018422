"""Tasks: what an incident asks of one unit. An incident that needs three units is three tasks.

Everything that chance decides about a task is drawn before anybody is sent, from the incident and not from who comes. So
two policies with one seed answer the same tasks, second by second.
"""

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Outcome(IntEnum):
    """How a task stands or ended; every task ends in exactly one of the last five, or is open when the run ends."""

    TO_COME = 0
    WAITING = 1
    IN_SERVICE = 2
    TREATED = 3
    """Done at the scene."""
    TRANSPORTED = 4
    """Brought to a hospital and handed over."""
    CANCELLED = 5
    """Nobody had been sent when the caller's patience ended."""
    LOST = 6
    """All units were busy and nothing is kept waiting (``queue = false``); another service takes it."""
    WITHOUT_HOSPITAL = 7
    """Was to be brought to a hospital, but none could be reached; treated at the scene."""


SPECIALTIES = ("any", "trauma", "stroke", "cardiac", "children", "intensive care")
"""What a patient needs of a hospital; hospitals have a bit for each."""


class Spec(NamedTuple):
    """Type, unit and default of a column."""

    dtype: str
    unit: str
    doc: str
    default: float | None = None


COLUMNS: dict[str, Spec] = {
    "called": Spec("f8", "s", "when the call came, since the start of the clock"),
    "ready": Spec("f8", "s", "when a unit may be sent: the call has been taken and the next unit asked for"),
    "incident": Spec("i4", "", "incident that the task belongs to, by rising number"),
    "kind": Spec("u1", "", "kind of incident"),
    "cause": Spec("u1", "", "where it comes from: number of a name in ``causes``", 0),
    "service": Spec("u1", "", "responders.Service that is asked", 10),
    "priority": Spec("u1", "", "0 goes first", 0),
    "node": Spec("i4", "", "node of the network nearest to the scene"),
    "access": Spec("f4", "s", "time between node and scene, away from streets that vehicles use", 0),
    "x": Spec("f8", "m", "easting of the scene", np.nan),
    "y": Spec("f8", "m", "northing of the scene", np.nan),
    "zone": Spec("i4", "", "zone of the scene, −1 outside", -1),
    "person": Spec("i4", "", "patient among the residents, −1 for others", -1),
    "turnout": Spec("f4", "s", "from being sent to leaving the station; not for who is under way", 0),
    "scene": Spec("f4", "s", "at the scene"),
    "transport": Spec("?", "", "whether a patient is brought to a hospital", 0),
    "handover": Spec("f4", "s", "from a free bay to the patient handed over", 0),
    "clear": Spec("f4", "s", "until the unit is free again after that", 0),
    "stay": Spec("f4", "s", "how long the patient keeps the bay, from the begin of the handover", 0),
    "bed": Spec("f4", "s", "how long the patient then keeps a bed, 0 for those sent home", 0),
    "patience": Spec("f4", "s", "how long a task waits to have somebody sent, from ``ready``", np.inf),
    "skill": Spec("u1", "", "bits of skills that a crew must have", 0),
    "specialty": Spec("u1", "", "position in SPECIALTIES of what the patient needs", 0),
    "hospital": Spec("i4", "", "hospital that must be the one, −1 if any may be", -1),
    "after": Spec("i4", "", "task whose work at the scene must be done before this one's begins, −1 for none", -1),
}
"""Columns of :class:`Tasks`."""


@dataclass(frozen=True)
class Tasks:
    """Columns of tasks, each (tasks,), sorted by ``ready``; see :data:`COLUMNS` for types and units."""

    called: NDArray[np.float64]
    ready: NDArray[np.float64]
    incident: NDArray[np.int32]
    kind: NDArray[np.uint8]
    cause: NDArray[np.uint8]
    service: NDArray[np.uint8]
    priority: NDArray[np.uint8]
    node: NDArray[np.int32]
    access: NDArray[np.float32]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    zone: NDArray[np.int32]
    person: NDArray[np.int32]
    turnout: NDArray[np.float32]
    scene: NDArray[np.float32]
    transport: NDArray[np.bool_]
    handover: NDArray[np.float32]
    clear: NDArray[np.float32]
    stay: NDArray[np.float32]
    bed: NDArray[np.float32]
    patience: NDArray[np.float32]
    skill: NDArray[np.uint8]
    specialty: NDArray[np.uint8]
    hospital: NDArray[np.int32]
    after: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ready)

    @classmethod
    def of(cls, **columns: Any) -> "Tasks":
        """Return tasks sorted by ``ready`` (those of one moment keep their order); columns left out get their default.

        Args:
            **columns: one value, or one a task. ``after`` numbers rows as given here, and is numbered anew.

        Raises:
            TypeError: if there is no such column, or one without default is missing.
            ValueError: if lengths differ, or a time is negative or not a number.
        """
        wrong = columns.keys() - COLUMNS.keys()
        if wrong:
            raise TypeError(f"tasks have no column '{min(wrong)}'; there are {', '.join(COLUMNS)}")
        rows = len(np.atleast_1d(np.asarray(columns["ready"])))
        values: dict[str, NDArray[Any]] = {}
        for name, spec in COLUMNS.items():
            given = columns.get(name, columns["ready"] if name == "called" else spec.default)
            if name == "kind" and given is None:
                given = 0
            if name == "incident" and given is None:
                given = np.arange(rows)
            if given is None:
                raise TypeError(f"tasks: column '{name}' ({spec.doc}) is missing")
            column = np.asarray(given)
            if column.ndim > 1 or (column.ndim == 1 and len(column) not in (1, rows)):
                raise ValueError(f"tasks.{name}: {column.shape} values for {rows} tasks")
            values[name] = np.array(np.broadcast_to(column, rows), np.dtype(spec.dtype))
        for name in ("turnout", "scene", "handover", "clear", "stay", "bed", "patience", "access"):
            bad = np.flatnonzero(~(values[name] >= 0))
            if len(bad):
                raise ValueError(f"tasks.{name}: row {bad[0]} is {values[name][bad[0]]:g} s; must be 0 or more")
        for name in ("called", "ready"):
            bad = np.flatnonzero(~np.isfinite(values[name]))
            if len(bad):
                raise ValueError(f"tasks.{name}: row {bad[0]} is {values[name][bad[0]]:g} s; must be a finite time")
        order = np.argsort(values["ready"], kind="stable")
        place = np.empty(rows, np.int32)
        place[order] = np.arange(rows, dtype=np.int32)
        values = {name: column[order] for name, column in values.items()}
        follows = values["after"] >= 0
        values["after"][follows] = place[values["after"][follows]]
        return cls(**values)

    def rows(self, chosen: NDArray[np.bool_]) -> "Tasks":
        """Return some of the tasks; who was to wait for another that is not among them begins at once.

        Args:
            chosen: which, (tasks,).
        """
        place = np.where(chosen, np.cumsum(chosen) - 1, -1).astype(np.int32)
        columns = {name: getattr(self, name)[chosen] for name in COLUMNS}
        after = columns["after"]
        columns["after"] = np.where(after >= 0, place[after], -1).astype(np.int32)
        return Tasks(**columns)

    @classmethod
    def together(cls, parts: "list[Tasks]") -> "Tasks":
        """Return the tasks of several sources as one; incidents are numbered on, part by part."""
        columns: dict[str, list[NDArray[Any]]] = {name: [] for name in COLUMNS}
        rows = incidents = 0
        for part in parts:
            for name in COLUMNS:
                column = getattr(part, name)
                if name == "incident":
                    column = column + incidents
                elif name == "after":
                    column = np.where(column >= 0, column + rows, -1)
                columns[name].append(column)
            rows += len(part)
            incidents += int(part.incident.max(initial=-1)) + 1
        return cls.of(**{name: np.concatenate(column) for name, column in columns.items()})


assert tuple(field.name for field in fields(Tasks)) == tuple(COLUMNS)
