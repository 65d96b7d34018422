"""Incidents, and the tasks that each asks of the services.

Every attribute of a task has draws of its own, which belong to the incident: whichever unit comes, and whatever else
happens, the work at the scene of incident 17 lasts as long. So two policies with one seed answer the same tasks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ...environment import quantiles
from ...environment.randomness import key, uniform
from .kinds import SERVICES, CasualtySettings, KindSettings, ServiceName, Services, specialty_number
from .laws import Law
from .tasks import COLUMNS, Tasks
from .triage import Rule, Triage, casualty_of

_UNITS = 1 << 12
"""Most units of a service for one incident."""
_TRIAGED = (Triage.RED, Triage.YELLOW, Triage.GREEN)
"""Classes in the order in which ambulances take them; the position is the priority."""
_CLASSES = (*_TRIAGED, Triage.BLACK)


@dataclass(frozen=True)
class Incidents:
    """Incidents by column, each (incidents,).

    Attributes:
        called: float64 seconds since the start of the clock.
        kind: uint8 number of the kind.
        who, when: int64 what the draws of the incident belong to: a number from 0 and a day; no two incidents of one kind
            and source have both in common.
        node, access, x, y, zone: the scene, as in :data:`~.tasks.COLUMNS`.
        person: int32 who is ill or hurt, −1 for nobody in particular.
        severity: float64 0 to 1, in the place of the draws of priority, transport and number of casualties; not a number
            where these are drawn.
        priority: int16 −1 where it is drawn.
        units: int16 units of each service that is asked, 0 for as many as the kind asks.
    """

    called: NDArray[np.float64]
    kind: NDArray[np.uint8]
    who: NDArray[np.int64]
    when: NDArray[np.int64]
    node: NDArray[np.int32]
    access: NDArray[np.float32]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    zone: NDArray[np.int32]
    person: NDArray[np.int32]
    severity: NDArray[np.float64]
    priority: NDArray[np.int16]
    units: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.called)

    @classmethod
    def of(cls, called: ArrayLike, **columns: ArrayLike) -> "Incidents":
        """Return incidents in the order of time; columns left out get the value of nothing in particular.

        Args:
            called: seconds since the start of the clock (incidents,).
            **columns: one value, or one an incident.
        """
        called = np.asarray(called, float)
        order = np.argsort(called, kind="stable")
        values: dict[str, NDArray[Any]] = {"called": called[order]}
        for name, (dtype, default) in _INCIDENT.items():
            column = np.asarray(columns.pop(name, default), dtype)
            values[name] = column[order] if column.ndim else np.broadcast_to(column, len(called))
        if columns:
            raise TypeError(f"incidents have no column '{min(columns)}'; there are: called, {', '.join(_INCIDENT)}")
        return cls(**values)

    def rows(self, rows: NDArray[np.int64]) -> "Incidents":
        """Return some of the incidents."""
        return Incidents(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


_INCIDENT: dict[str, tuple[str, float]] = {
    "kind": ("u1", 0),
    "who": ("i8", 0),
    "when": ("i8", 0),
    "node": ("i4", -1),
    "access": ("f4", 0),
    "x": ("f8", np.nan),
    "y": ("f8", np.nan),
    "zone": ("i4", -1),
    "person": ("i4", -1),
    "severity": ("f8", np.nan),
    "priority": ("i2", -1),
    "units": ("i2", 0),
}


@njit(cache=True, nogil=True)
def draws(purpose_key, who, when):
    """Return a uniform number (n,) in (0, 1) for each pair of who (n,) and when (n,)."""
    out = np.empty(who.size)
    for i in range(who.size):
        out[i] = uniform(purpose_key, who[i], when[i])
    return out


class _Luck:
    """Draws of incidents of one kind and source."""

    def __init__(self, incidents: Incidents, seed: int, source: str, kind: str):
        self._incidents, self._seed, self._of = incidents, seed, f"response {source} {kind}"

    def of(
        self, purpose: str, rows: NDArray[np.int64] | None = None, number: NDArray[np.int64] | int = 0
    ) -> NDArray[np.float64]:
        """Return a draw for each row, by default for all; ``number`` tells the draws of several units apart."""
        who, when = self._incidents.who, self._incidents.when
        if rows is not None:
            who, when = who[rows], when[rows]
        return draws(key(self._seed, f"{self._of} {purpose}"), who * _UNITS + number, np.ascontiguousarray(when))

    def or_severity(self, purpose: str) -> NDArray[np.float64]:
        """Return a draw for each incident that is small where it is severe; of known severity the rest to 1."""
        known = self._incidents.severity
        return np.where(np.isnan(known), self.of(purpose), 1 - known)


def tasks_of(
    incidents: Incidents,
    kinds: Mapping[str, KindSettings],
    services: Services,
    seed: int,
    *,
    source: str,
    causes: tuple[str, ...],
    skills: Sequence[str] = (),
    triage: Rule | None = None,
) -> Tasks:
    """Return the tasks that incidents ask, with all that chance decides about them.

    Args:
        incidents: in the order of time, which numbers them.
        kinds: all kinds; ``incidents.kind`` numbers them.
        services: what holds for all kinds.
        seed: seed of the run.
        source: where the incidents come from, one of ``causes``; incidents of different sources have different draws.
        causes: names that the column ``cause`` numbers.
        skills: names of all skills, in the order of their bits; others are not asked for.
        triage: sorts casualties in the place of START; None for START.
    """
    blocks = _Blocks()
    for number, (name, kind) in enumerate(kinds.items()):
        rows = np.flatnonzero(incidents.kind == number)
        if len(rows):
            of_kind = incidents.rows(rows) if len(rows) < len(incidents) else incidents
            luck = _Luck(of_kind, seed, source, name)
            _KindTasks(of_kind, name, kind, services, luck, blocks, rows, skills, triage).add()
    return blocks.tasks(incidents, causes.index(source))


class _Blocks:
    """Columns of tasks, put together block by block."""

    def __init__(self) -> None:
        self.rows = 0
        self._columns: dict[str, list[NDArray[Any]]] = {}

    def add(self, tasks: int, columns: Mapping[str, ArrayLike]) -> None:
        for name, column in columns.items():
            spread = np.broadcast_to(np.asarray(column, COLUMNS[name].dtype), tasks)
            self._columns.setdefault(name, []).append(spread)
        self.rows += tasks

    def tasks(self, incidents: Incidents, cause: int) -> Tasks:
        columns = {
            name: column[0] if len(column) == 1 else np.concatenate(column) for name, column in self._columns.items()
        }
        if not columns:
            columns = {"ready": np.zeros(0), "service": np.zeros(0), "node": np.zeros(0), "scene": np.zeros(0)}
            return Tasks.of(**columns)
        row = columns["incident"]
        for name in ("called", "kind", "node", "access", "x", "y", "zone"):
            columns[name] = getattr(incidents, name)[row]
        return Tasks.of(cause=cause, **columns)


class _KindTasks:
    """The tasks of incidents of one kind."""

    def __init__(
        self,
        incidents: Incidents,
        name: str,
        kind: KindSettings,
        services: Services,
        luck: _Luck,
        blocks: _Blocks,
        numbers: NDArray[np.int64],
        skills: Sequence[str],
        triage: Rule | None,
    ):
        self.name, self.triage = name, triage
        self.incidents, self.kind, self.services, self.luck = incidents, kind, services, luck
        self.blocks, self.numbers = blocks, numbers
        self.skill = {
            name: sum(1 << bit for bit, skill in enumerate(skills) if skill in unit.skills)
            for name, unit in kind.units.items()
        }
        self.ready = incidents.called + kind.call_taking.of(luck.of("call taking"))
        steps = np.cumsum(kind.priorities)
        drawn = np.searchsorted(steps, luck.or_severity("priority") * steps[-1], side="right")
        self.priority = np.where(incidents.priority < 0, np.minimum(drawn, len(steps) - 1), incidents.priority)
        patience = kind.patience
        self.patience = np.full(len(incidents), np.inf) if patience is None else patience.of(luck.of("patience"))
        self.first: dict[ServiceName, NDArray[np.int64]] = {}
        """Task of the first unit of each service, by incident."""

    def add(self) -> None:
        """Add the tasks of all services, first of those that others wait for."""
        for name in sorted(self.kind.units, key=lambda name: self.kind.units[name].after is not None):
            if name == "ambulance" and self.kind.casualties is not None:
                self._add_casualties(self.kind.casualties)
            elif name == "ambulance":
                self._add_ambulances()
            else:
                self._add(name, self._counts(name))

    def _counts(self, name: ServiceName) -> NDArray[np.int64]:
        """Return the number of units of a service for each incident."""
        asked = self.incidents.units.astype(np.int64)
        return np.where(asked > 0, asked, self.kind.units[name].number)

    def _time(self, law: Law, purpose: str, rows: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.float64]:
        return law.of(self.luck.of(purpose, rows, number))

    def _add(self, name: ServiceName, counts: NDArray[np.int64], **columns: ArrayLike) -> None:
        """Add a block with so many units of a service for each incident, one incident after the other."""
        rows, number = _spread(counts)
        unit = self.kind.units[name]
        start = self.blocks.rows + np.cumsum(counts) - counts
        self.first[name] = np.where(counts > 0, start, -1)
        times = {
            "turnout": self.kind.law(name, "turnout", self.services),
            "scene": unit.scene,
            "clear": self.kind.law(name, "clear", self.services),
        }
        self.blocks.add(
            len(rows),
            {
                "ready": self.ready[rows],
                "incident": self.numbers[rows],
                "service": SERVICES[name],
                "priority": self.priority[rows],
                "patience": self.patience[rows],
                "skill": self.skill[name],
                "after": -1 if unit.after is None else self.first[unit.after][rows],
                **{what: self._time(law, f"{what} {name}", rows, number) for what, law in times.items()},
                **(_NO_PATIENT | columns),
            },
        )

    def _add_ambulances(self) -> None:
        """Add the ambulances of incidents with one patient, whom the first one has."""
        counts = self._counts("ambulance")
        rows, number = _spread(counts)
        brought = self.luck.or_severity("transport") < self.kind.transported
        self._add("ambulance", counts, **self._patients(rows, number, (number == 0) & brought[rows], number == 0))

    def _patients(
        self, rows: NDArray[np.int64], number: NDArray[np.int64], brought: NDArray[np.bool_], known: NDArray[np.bool_]
    ) -> dict[str, ArrayLike]:
        """Return the columns of ambulances about their patients.

        Args:
            rows, number: incident of each ambulance, and which of its ambulances it is.
            brought: whether it brings somebody to a hospital.
            known: whether that is the person of the incident.
        """
        admitted = brought & (self.luck.of("admission", rows, number) < self.kind.admitted)
        return {
            "person": np.where(known, self.incidents.person[rows], -1),
            "transport": brought,
            "handover": np.where(brought, self._time(self.kind.handover, "handover", rows, number), 0),
            "stay": np.where(brought, self._time(self.kind.stay, "stay", rows, number), 0),
            "bed": np.where(admitted, self._time(self.kind.bed, "bed", rows, number), 0),
            "specialty": specialty_number(self.kind),
        }

    def _add_casualties(self, settings: CasualtySettings) -> None:
        """Add the ambulances of incidents with many casualties, those for the red first, and some without a patient."""
        by_class = self._casualties(settings)
        per_unit = np.array([settings.red_per_unit, settings.yellow_per_unit, settings.green_per_unit])
        needed = -(-by_class // per_unit)
        counts = np.maximum(needed.sum(axis=1), self._counts("ambulance"))
        if len(counts) and counts.max() > _UNITS:
            raise ValueError(f"an incident asks for {counts.max()} ambulances, at most {_UNITS:,} are possible")
        rows, number = _spread(counts)
        place = (number[:, None] >= np.cumsum(needed, axis=1)[rows]).sum(axis=1)  # 0 red, 1 yellow, 2 green, 3 nobody
        patients = self._patients(rows, number, place < len(_TRIAGED), number == 0)
        patients["specialty"] = np.where(place == 0, specialty_number(self.kind), 0)
        priority = np.where(place < len(_TRIAGED), place, self.priority[rows])
        self._add("ambulance", counts, priority=priority, **patients)

    def _casualties(self, settings: CasualtySettings) -> NDArray[np.int64]:
        """Return the casualties of each incident who are red, yellow and green, (incidents, 3)."""
        luck = 1 - self.luck.or_severity("casualties")
        shares = np.cumsum([settings.red, settings.yellow, settings.green])
        found = np.zeros((len(luck), len(_TRIAGED)), np.int64)
        for incident, u in enumerate(luck):
            count = _count(settings, u)
            one = np.full(count, incident)
            place = np.searchsorted(shares, self.luck.of("triage", one, np.arange(count)), side="right")
            if self.triage is not None:
                place = self._sorted_again(self.triage, incident, place)
            found[incident] = np.bincount(place, minlength=len(_CLASSES))[: len(_TRIAGED)]
        return found

    def _sorted_again(self, triage: Rule, incident: int, place: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the position in ``_CLASSES`` of the casualties of an incident by another rule than START."""
        one, number = np.full(len(place), incident), np.arange(len(place))
        findings, chance = (self.luck.of(purpose, one, number) for purpose in ("findings", "triage chance"))
        casualties = [
            casualty_of(
                _CLASSES[place[row]],
                float(findings[row]),
                kind=self.name,
                called=float(self.incidents.called[incident]),
                number=row,
                casualties=len(place),
                chance=float(chance[row]),
            )
            for row in range(len(place))
        ]
        return np.array([_CLASSES.index(triage(casualty)) for casualty in casualties], np.int64)


_NO_PATIENT: dict[str, ArrayLike] = {
    "person": -1,
    "transport": False,
    "handover": 0.0,
    "stay": 0.0,
    "bed": 0.0,
    "specialty": 0,
}


def _spread(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each unit the incident that asks for it, and which of the incident's units it is, from 0."""
    rows = np.repeat(np.arange(len(counts)), counts)
    return rows, np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)


def _count(settings: CasualtySettings, u: float) -> int:
    """Return the number of casualties at the quantile u; at most as many as there can be ambulances."""
    if settings.law == "poisson":
        number = quantiles.poisson(settings.mean, min(u, 1 - 1e-12))
    elif settings.law == "geometric":
        number = int(np.log1p(-min(u, 1 - 1e-12)) / np.log(settings.mean / (1 + settings.mean)))
    else:
        number = round(settings.mean)
    return min(number, _UNITS)
