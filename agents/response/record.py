"""What emergency response leaves behind: figures of a day, of zones and of the run, and tables.

A response time is from the call to the first unit of a service at the scene; a wait is from a call taken to a unit sent. A
day's figures are about the calls of that day and about who was reached on it; what is still open then counts on the day on
which it ends.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import board
from .doors import BEDS_USED, BOARDERS, DOOR, USED
from .kinds import SERVICES
from .tasks import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .dispatch import Centre
    from .fleet import Fleets

LATE_HANDOVER = 1800.0
"""Seconds at the door and in handover from which a handover is counted as late: 30 minutes, as in England."""
BUSY_STATES = (board.SENT, board.AT_SCENE, board.TO_HOSPITAL, board.AT_DOOR, board.HANDOVER, board.CLEARING)
STATE_NAMES = (
    "off_duty",
    "at_station",
    "to_scene",
    "at_scene",
    "to_hospital",
    "at_door",
    "handover",
    "clearing",
    "returning",
)


def first_reached(
    called: NDArray[Any], arrived: NDArray[Any], group: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the row of the first unit that reached each group of rows (an incident and service), and its response time.

    Args:
        called, arrived: (n,) seconds; arrived is not a number where nobody has been.
        group: (n,) number of the group.

    Returns:
        rows: in rising order, of groups that were reached.
        seconds: from the call to the arrival.
    """
    there = np.flatnonzero(np.isfinite(arrived))
    order = there[np.lexsort((there, arrived[there], group[there]))]
    first = np.ones(len(order), bool)
    first[1:] = group[order[1:]] != group[order[:-1]]
    rows = np.sort(order[first])
    return rows, arrived[rows] - called[rows]


class Record:
    """Keeps figures day by day.

    Args:
        centre: whose tasks they are.
        fleets: the units.
        targets: seconds from the call by priority, (8,).
        zones: number of zones of the city.
    """

    def __init__(self, centre: "Centre", fleets: "Fleets", targets: NDArray[np.float64], zones: int):
        self._centre, self._fleets, self._targets, self._zones = centre, fleets, targets, zones
        self._spent = centre.spent()
        self._series: list[dict[str, int | float]] = []
        self._zone: dict[str, NDArray[Any]] = {}
        self._units: list[dict[str, NDArray[Any]]] = []
        self._doors: list[dict[str, NDArray[Any]]] = []

    # ------------------------------------------------------------------ days

    def note(self, start: float, end: float) -> None:
        """Take down the figures of a day that is over."""
        table = self._centre.table()
        spent = self._centre.spent()
        day = spent - self._spent
        self._spent = spent
        figures: dict[str, int | float] = {}
        zone: dict[str, NDArray[Any]] = {}
        called = (table["called"] >= start) & (table["called"] < end)
        reached = (table["arrived"] >= start) & (table["arrived"] < end)
        for name in self._fleets.services:
            mine = table["service"] == SERVICES[name]
            units = self._fleets.of_service(name)
            calls = np.flatnonzero(mine & called)
            incident, first = np.unique(table["incident"][calls], return_index=True)
            figures[f"{name}_calls"] = len(incident)
            rows, seconds = self._responses(table, mine)
            today = reached[rows]
            rows, seconds = rows[today], seconds[today]
            in_time = seconds <= self._targets[table["priority"][rows]]
            figures |= _quantiles(f"{name}_response", seconds)
            figures[f"{name}_reached"] = len(rows)
            figures[f"{name}_in_time"] = int(in_time.sum())
            on_duty = day[units].sum() - day[units, board.OFF].sum()
            figures[f"{name}_busy"] = float(day[units][:, BUSY_STATES].sum() / max(on_duty, 1e-9))
            at = table["zone"][calls][first]
            zone[f"{name}_calls"] = _by_zone(at, None, self._zones)
            zone[f"{name}_reached"] = _by_zone(table["zone"][rows], None, self._zones)
            zone[f"{name}_in_time"] = _by_zone(table["zone"][rows[in_time]], None, self._zones)
            total = _by_zone(table["zone"][rows], seconds / 60.0, self._zones)
            with np.errstate(invalid="ignore"):
                zone[f"{name}_response_minutes"] = total / zone[f"{name}_reached"]
        figures |= self._hospital_figures(table, start, end)
        outcome = table["outcome"]
        waits = np.isin(outcome, (Outcome.WAITING, Outcome.TO_COME)) & (table["ready"] < end)
        figures["tasks_waiting"] = int(waits.sum())
        figures["tasks_unreachable"] = int((waits & table["unreachable"]).sum())
        for ended in (Outcome.CANCELLED, Outcome.LOST):
            figures[f"tasks_{ended.name.lower()}"] = int(np.count_nonzero((outcome == ended) & called))
        self._series.append(figures)
        self._zone = zone
        self._units.append(self._unit_rows(day, table, start, end))

    def _responses(self, table: dict[str, NDArray[Any]], mine: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[Any]]:
        rows = np.flatnonzero(mine)
        found, seconds = first_reached(table["called"][rows], table["arrived"][rows], table["incident"][rows])
        return rows[found], seconds

    def _hospital_figures(self, table: dict[str, NDArray[Any]], start: float, end: float) -> dict[str, int | float]:
        over = (table["bay"] >= start) & (table["bay"] < end)
        wait = (table["bay"] - table["at_hospital"])[over]
        handover = wait + table["handover"][over]
        hospital = self._centre.state.doors.hospital
        arrived = (table["at_hospital"] >= start) & (table["at_hospital"] < end)
        at = table["at"]
        self._doors.append(
            {
                "day": np.full(len(hospital), round(start / 86_400), np.int32),
                "hospital": np.arange(len(hospital), dtype=np.int32),
                "arrived": np.bincount(at[arrived], minlength=len(hospital)).astype(np.int32),
                "diverted_here": np.bincount(at[arrived & table["diverted"]], minlength=len(hospital)).astype(np.int32),
                "late_handovers": np.bincount(at[over][handover > LATE_HANDOVER], minlength=len(hospital)).astype(
                    np.int32
                ),
                "door_minutes": _mean_by(at[over], wait / 60.0, len(hospital)),
                "bays": hospital[:, 0].copy(),
                "bays_used": hospital[:, USED].copy(),
                "boarders": hospital[:, BOARDERS].copy(),
                "beds_used": hospital[:, BEDS_USED].copy(),
                "at_door": hospital[:, DOOR].copy(),
            }
        )
        return {
            "brought_to_hospital": int(arrived.sum()),
            "diverted": int((arrived & table["diverted"]).sum()),
            "handover_minutes": float(handover.mean() / 60.0) if len(handover) else 0.0,
            "late_handovers": int((handover > LATE_HANDOVER).sum()),
            "door_hours": float(wait.sum() / 3600.0),
            "boarders": int(hospital[:, BOARDERS].sum()),
        }

    def _unit_rows(
        self, day: NDArray[np.float64], table: dict[str, NDArray[Any]], start: float, end: float
    ) -> dict[str, NDArray[Any]]:
        fleets, units = self._fleets, len(day)
        ended = (table["free"] >= start) & (table["free"] < end)
        return {
            "day": np.full(units, round(start / 86_400), np.int32),
            "unit": np.arange(units, dtype=np.int32),
            "service": fleets.service,
            "fleet": fleets.of,
            "station": fleets.station,
            "tasks": np.bincount(table["unit"][ended], minlength=units).astype(np.int32),
            **{f"{name}_seconds": day[:, number] for number, name in enumerate(STATE_NAMES)},
        }

    # ------------------------------------------------------------------ what is asked

    def names(self) -> dict[str, int | float]:
        """Return the figures of a day on which nothing happened."""
        figures: dict[str, int | float] = {}
        for name in self._fleets.services:
            figures[f"{name}_calls"] = 0
            figures |= _quantiles(f"{name}_response", np.zeros(0))
            figures |= {f"{name}_reached": 0, f"{name}_in_time": 0, f"{name}_busy": 0.0}
        figures |= {"brought_to_hospital": 0, "diverted": 0, "handover_minutes": 0.0, "late_handovers": 0}
        figures |= {"door_hours": 0.0, "boarders": 0, "tasks_waiting": 0, "tasks_unreachable": 0}
        return figures | {"tasks_cancelled": 0, "tasks_lost": 0}

    def latest(self) -> dict[str, int | float]:
        """Return the figures of the latest day."""
        return self._series[-1] if self._series else self.names()

    def latest_by_zone(self) -> dict[str, NDArray[Any]]:
        """Return the figures of the latest day by zone."""
        if self._zone:
            return self._zone
        names = [f"{service}_{what}" for service in self._fleets.services for what in ("calls", "reached", "in_time")]
        zero: dict[str, NDArray[Any]] = {name: np.zeros(self._zones, np.int32) for name in names}
        for service in self._fleets.services:
            zero[f"{service}_response_minutes"] = np.full(self._zones, np.nan)
        return zero

    def summary(self) -> dict[str, int | float]:
        """Return the figures of the whole run: response times over all calls, sums, and how tasks ended."""
        table = self._centre.table()
        figures: dict[str, int | float] = {}
        spent = self._centre.spent()
        for name in self._fleets.services:
            mine = table["service"] == SERVICES[name]
            rows, seconds = self._responses(table, mine)
            units = self._fleets.of_service(name)
            figures[f"{name}_calls"] = len(np.unique(table["incident"][mine]))
            figures |= _quantiles(f"{name}_response", seconds)
            waits = (table["sent"] - table["ready"])[mine & np.isfinite(table["sent"])]
            figures[f"{name}_wait_minutes"] = float(waits.mean() / 60.0) if len(waits) else float("nan")
            figures[f"{name}_reached"] = len(rows)
            in_time = seconds <= self._targets[table["priority"][rows]]
            calls = figures[f"{name}_calls"]
            figures[f"{name}_in_time_share"] = float(in_time.sum() / calls) if calls else float("nan")
            on_duty = spent[units].sum() - spent[units, board.OFF].sum()
            figures[f"{name}_busy"] = float(spent[units][:, BUSY_STATES].sum() / max(on_duty, 1e-9))
            figures[f"{name}_units"] = int(units.sum())
        for total in ("brought_to_hospital", "diverted", "late_handovers", "door_hours"):
            figures[total] = sum(row[total] for row in self._series)
        handovers = np.isfinite(table["bay"])
        minutes = (table["bay"] - table["at_hospital"] + table["handover"])[handovers] / 60.0
        figures["handover_minutes"] = float(minutes.mean()) if len(minutes) else 0.0
        for outcome in Outcome:
            figures[f"tasks_{outcome.name.lower()}"] = int(np.count_nonzero(table["outcome"] == outcome))
        waits = table["outcome"] == Outcome.WAITING
        figures["tasks_unreachable"] = int(np.count_nonzero(waits & table["unreachable"]))
        return figures

    def tables(self, wanted: "Sequence[str]") -> dict[str, dict[str, NDArray[Any]]]:
        """Return those of the tables ``incidents``, ``units`` and ``departments`` that are wanted."""
        tables: dict[str, dict[str, NDArray[Any]]] = {}
        if "incidents" in wanted:
            tables["incidents"] = self._centre.table()
        for table, parts in (("units", self._units), ("departments", self._doors)):
            if table in wanted and parts:
                tables[table] = {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}
        return tables


def _quantiles(name: str, seconds: NDArray[np.float64]) -> dict[str, float]:
    """Return mean, median and 90th percentile in minutes; not numbers if there are none."""
    if not len(seconds):
        return dict.fromkeys((f"{name}_minutes", f"{name}_median_minutes", f"{name}_p90_minutes"), float("nan"))
    median, late = np.percentile(seconds, (50, 90))
    return {
        f"{name}_minutes": float(seconds.mean() / 60.0),
        f"{name}_median_minutes": float(median / 60.0),
        f"{name}_p90_minutes": float(late / 60.0),
    }


def _by_zone(zone: NDArray[Any], weight: NDArray[Any] | None, zones: int) -> NDArray[Any]:
    inside = zone >= 0
    counts = np.bincount(zone[inside], None if weight is None else weight[inside], minlength=zones)
    return counts.astype(np.int32) if weight is None else counts


def _mean_by(group: NDArray[Any], values: NDArray[np.float64], groups: int) -> NDArray[np.float64]:
    number = np.bincount(group, minlength=groups)
    with np.errstate(invalid="ignore"):
        return np.bincount(group, values, minlength=groups) / number  # type: ignore[no-any-return]
